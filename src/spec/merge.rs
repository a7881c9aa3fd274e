//! Documents merged beneath each other by `use:`, and the origin of every value.
//! Maps merge deeply, lists replace, null removes, and a one-kind map of another kind replaces the
//! lower one whole.

use super::text::Document;
use crate::problem::{Place, Problem, Problems};
use crate::settings::{Kind, Shape, Step, show_path};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A merged document that knows where each value came from.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The merged value, without any `use:`.
    pub value: Value,
    pub(super) revision: Option<String>,
    profiles: Vec<String>,
    pub(super) documents: Vec<Document>,
    /// Merged path of the root of a subtree → document and path there.
    pub(super) origins: BTreeMap<Vec<Step>, (usize, Vec<Step>)>,
}

/// Fragments may name fragments this deep.
const DEEPEST: usize = 32;

impl Merged {
    /// Reads a file, every fragment that it uses, and every file of points; with a profile, that is put
    /// above the rest. What is wrong with a fragment is noted, and the rest read on; `None` if there is nothing to go on with.
    pub fn read(file: &Path, profile: Option<&str>, problems: &mut Problems) -> Option<Self> {
        Self::read_at(file, profile, None, problems)
    }

    /// The same at a revision of git.
    pub fn read_at(
        file: &Path,
        profile: Option<&str>,
        revision: Option<&str>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let document = problems.keep(Document::read(file, revision))?;
        let value = document.parse(problems)?;
        let mut merged = Self {
            value: Value::Null,
            revision: revision.map(str::to_owned),
            profiles: vec![],
            documents: vec![document],
            origins: BTreeMap::from([(vec![], (0, vec![]))]),
        };
        let trail = vec![file.canonicalize().unwrap_or_else(|_| file.to_owned())];
        merged.value = merged.settle(value, &[], 0, &[], &trail, problems);
        merged.overlay(profile, problems);
        merged.read_points(problems);
        Some(merged)
    }

    /// The names of the profiles.
    pub fn profiles(&self) -> &[String] {
        &self.profiles
    }

    /// Takes the profiles out, and puts the chosen one above everything else.
    fn overlay(&mut self, profile: Option<&str>, problems: &mut Problems) {
        let Value::Object(map) = &mut self.value else { return };
        let profiles = map.shift_remove("profiles").unwrap_or_else(|| Value::Object(Map::new()));
        let at = |name: &str| vec![Step::Key("profiles".into()), Step::Name(name.to_owned())];
        let Value::Object(profiles) = profiles else {
            let problem = Problem::new("`profiles` is not a map of profiles");
            problems.0.push(self.at(&[Step::Key("profiles".into())], problem));
            return;
        };
        for (name, profile) in profiles.iter().filter(|(_, profile)| !profile.is_object()) {
            let problem = Problem::new(format!("the profile `{name}` is not a map"));
            let help = "for example { nodes: { net: { train: { steps: 200 } } } }";
            let shown = if profile.is_null() { "nothing" } else { "something else" };
            problems
                .0
                .push(self.at(&at(name), problem.help(format!("{shown} stands there; {help}"))));
        }
        self.profiles = profiles.keys().cloned().collect();
        let Some(name) = profile else { return };
        let Some(chosen) = profiles.get(name) else {
            let problem = Problem::new(format!("there is no profile `{name}`"));
            let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
            problems.0.push(match known.is_empty() {
                true => problem.help("the spec has no `profiles:`"),
                false => problem.help(super::axis::did_you_mean(name, &known)),
            });
            return;
        };
        let value = std::mem::take(&mut self.value);
        let own = crate::settings::keys(&["profiles", name]);
        self.value = self.merge(value, chosen.clone(), &[], 0, &own);
    }

    /// A problem with the place of a path.
    pub(super) fn at(&self, path: &[Step], problem: Problem) -> Problem {
        match self.place(path) {
            Some(place) => problem.at(place),
            None => problem,
        }
    }

    /// The place of a path of the merged value.
    pub fn place(&self, path: &[Step]) -> Option<Place> {
        let (n, (document, below)) = (0..=path.len())
            .rev()
            .find_map(|n| self.origins.get(&as_keys(&path[..n])).map(|origin| (n, origin)))?;
        let full: Vec<Step> = below.iter().chain(&path[n..]).cloned().collect();
        // What a profile brings may itself have come from a fragment.
        if full != path && full.first() == Some(&Step::Key("profiles".to_owned())) && *document == 0
        {
            return self.place(&full);
        }
        self.documents[*document].place(&full)
    }

    /// The texts of all files that were read, in their order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().map(|document| document.text.as_str())
    }

    /// `file:line` of a path of the merged value.
    pub fn origin(&self, path: &[Step]) -> Option<String> {
        self.place(path).map(|place| format!("{}:{}", place.file.display(), place.line))
    }

    /// Resolves every `use:` in `value`, which stands at `at` in the merged value and at `own` in `document`.
    fn settle(
        &mut self,
        value: Value,
        at: &[Step],
        document: usize,
        own: &[Step],
        trail: &[PathBuf],
        problems: &mut Problems,
    ) -> Value {
        let mut map = match value {
            Value::Object(map) => map,
            Value::Array(items) => {
                let settled = items.into_iter().enumerate().map(|(i, item)| {
                    let step = Step::Item(i);
                    self.settle(
                        item,
                        &with(at, &step),
                        document,
                        &with(own, &step),
                        trail,
                        problems,
                    )
                });
                return Value::Array(settled.collect());
            }
            other => return other,
        };
        let used = map.shift_remove("use");
        let mut high = Map::new();
        for (key, value) in map {
            let step = Step::Key(key.clone());
            let value =
                self.settle(value, &with(at, &step), document, &with(own, &step), trail, problems);
            high.insert(key, value);
        }
        let Some(used) = used else { return Value::Object(high) };
        let place = self.documents[document].place(&with(own, &Step::Key("use".to_owned())));
        match self.fragment(&used, at, document, trail, problems) {
            Ok(Value::Null) => Value::Object(high),
            Ok(low) => self.merge(low, Value::Object(high), at, document, own),
            Err(problem) => {
                problems.0.push(match place {
                    Some(place) if problem.place.is_none() => problem.at(place),
                    _ => problem,
                });
                Value::Object(high)
            }
        }
    }

    /// Reads and settles the fragment that `used` names, to stand at `at`.
    fn fragment(
        &mut self,
        used: &Value,
        at: &[Step],
        document: usize,
        trail: &[PathBuf],
        problems: &mut Problems,
    ) -> Result<Value, Problem> {
        let Value::String(name) = used else {
            return Err(Problem::new("`use` takes the path of a file"));
        };
        let folder = self.documents[document].file.parent().unwrap_or(Path::new(""));
        let file = tidy(&folder.join(name));
        let known = file.canonicalize().unwrap_or_else(|_| file.clone());
        if trail.contains(&known) || trail.len() > DEEPEST {
            return Err(
                Problem::new(format!("`{name}` uses itself")).help("break the cycle of `use:`")
            );
        }
        let fragment = Document::read(&file, self.revision.as_deref())?;
        let Some(value) = fragment.parse(problems) else { return Ok(Value::Null) };
        if !value.is_object() {
            return Err(Problem::new(format!("{} does not hold a map", file.display())));
        }
        self.documents.push(fragment);
        let own = self.documents.len() - 1;
        let trail: Vec<PathBuf> = trail.iter().cloned().chain([known]).collect();
        // Values of the fragment come from it, until a higher map claims the path again.
        self.origins.insert(at.to_vec(), (own, vec![]));
        Ok(self.settle(value, at, own, &[], &trail, problems))
    }

    /// Puts `high`, of `document` at `own`, above `low`; both stand at `at`.
    fn merge(
        &mut self,
        low: Value,
        high: Value,
        at: &[Step],
        document: usize,
        own: &[Step],
    ) -> Value {
        let high = match (low, high) {
            (Value::Object(low), Value::Object(high)) if !replaces(at, &low, &high) => {
                let mut merged = low;
                for (key, value) in high {
                    let step = Step::Key(key.clone());
                    let (at, own) = (with(at, &step), with(own, &step));
                    let below = merged.get(&key).cloned();
                    match (below, value) {
                        (_, Value::Null) => {
                            merged.shift_remove(&key);
                        }
                        (Some(below), value) => {
                            let value = self.merge(below, value, &at, document, &own);
                            merged.insert(key, value);
                        }
                        (None, value) => {
                            self.origins.entry(at).or_insert((document, own));
                            merged.insert(key, value);
                        }
                    }
                }
                return Value::Object(merged);
            }
            (_, high) => high,
        };
        // Whatever fragments the lower value had mixed in here is gone with it.
        self.origins.retain(|path, _| path.len() <= at.len() || !path.starts_with(at));
        self.origins.insert(at.to_vec(), (document, own.to_vec()));
        high
    }
}

pub(super) fn with(path: &[Step], step: &Step) -> Vec<Step> {
    path.iter().chain([step]).cloned().collect()
}

/// Origins are kept under keys; a path that ends at a name stands beside its value.
fn as_keys(path: &[Step]) -> Vec<Step> {
    path.iter()
        .map(|step| match step {
            Step::Name(name) => Step::Key(name.clone()),
            other => other.clone(),
        })
        .collect()
}

/// Joins `..` and `.` without asking the file system, so that messages stay readable.
pub(super) fn tidy(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Whether `high` names another kind than `low` at a place where one kind is chosen.
fn replaces(at: &[Step], low: &Map<String, Value>, high: &Map<String, Value>) -> bool {
    let chosen = |map: &Map<String, Value>, known: &[&str]| {
        map.keys().find(|k| known.contains(&k.as_str())).cloned()
    };
    let Some(known) = kinds_at(at) else { return false };
    matches!((chosen(low, &known), chosen(high, &known)), (Some(a), Some(b)) if a != b)
}

/// The words of the one-kind map at a path of a spec, if there is one.
fn kinds_at(at: &[Step]) -> Option<Vec<&'static str>> {
    let words: Vec<&str> = at
        .iter()
        .map(|step| match step {
            Step::Key(key) | Step::Name(key) => key.as_str(),
            Step::Item(_) => "[]",
        })
        .collect();
    match words.as_slice() {
        ["nodes", _] => Some(Kind::ALL.iter().map(|kind| kind.word()).collect()),
        ["nodes", _, kind, rest @ ..] => match shape_below(Kind::from_word(kind)?.shape(), rest)? {
            Shape::OneOf(kinds) => Some(kinds.into_iter().map(|(word, _)| word).collect()),
            _ => None,
        },
        _ => None,
    }
}

/// The shape at the end of a path of words.
pub fn shape_below(shape: Shape, words: &[&str]) -> Option<Shape> {
    let [first, rest @ ..] = words else { return Some(shape) };
    let next = match shape {
        Shape::Map(fields) => fields.into_iter().find(|field| field.name == *first)?.shape,
        Shape::OneOf(kinds) => kinds.into_iter().find(|(word, _)| word == first)?.1,
        Shape::List(inner) => *inner,
        Shape::Free(_) => return Some(shape),
        Shape::Any(forms) => {
            return forms.into_iter().find_map(|form| shape_below(form, words));
        }
        _ => return None,
    };
    shape_below(next, rest)
}

/// Every value with the file and line that it came from, one a line, for `plan --resolved`.
pub fn resolved(merged: &Merged) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    fn walk(
        value: &Value,
        path: &mut Vec<Step>,
        merged: &Merged,
        out: &mut Vec<(String, String, String)>,
    ) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, inner) in map {
                    path.push(Step::Key(key.clone()));
                    walk(inner, path, merged, out);
                    path.pop();
                }
            }
            leaf => out.push((
                show_path(path),
                leaf.to_string(),
                merged.origin(path).unwrap_or_default(),
            )),
        }
    }
    walk(&merged.value, &mut Vec::new(), merged, &mut out);
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    fn read_with(files: &[(&str, &str)], profile: Option<&str>) -> Result<Merged, Problems> {
        let mut problems = Problems::default();
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let merged = Merged::read(&folder.path().join(files[0].0), profile, &mut problems);
        problems.or(merged.unwrap())
    }

    pub(in crate::spec) fn read(files: &[(&str, &str)]) -> Result<Merged, Problems> {
        read_with(files, None)
    }

    #[test]
    fn a_profile_lies_above_everything_and_its_values_know_their_lines() {
        let files = [
            (
                "a.yaml",
                "nodes: { net: { train: { steps: 5, batch: 4 } } }\nprofiles:\n  small:\n    nodes: { net: { train: { use: b.yaml, steps: 1 } } }\n",
            ),
            ("b.yaml", "ema: off\n"),
        ];
        let merged = read_with(&files, Some("small")).unwrap();
        assert_eq!(
            merged.value["nodes"]["net"]["train"],
            json!({"steps": 1, "batch": 4, "ema": "off"})
        );
        let origin = |word: &str| {
            let path: Vec<Step> =
                ["nodes", "net", "train", word].map(|k| Step::Key(k.to_owned())).to_vec();
            merged.origin(&path).unwrap()
        };
        assert!(origin("steps").ends_with("a.yaml:4"), "{}", origin("steps"));
        assert!(origin("batch").ends_with("a.yaml:1"), "{}", origin("batch"));
        assert!(origin("ema").ends_with("b.yaml:1"), "{}", origin("ema"));
        let plain = read(&files).unwrap();
        assert_eq!(plain.value["nodes"]["net"]["train"]["steps"], 5);
        let unknown = read_with(&files, Some("smal")).unwrap_err().to_string();
        assert!(unknown.contains("did you mean `small`?"), "{unknown}");
    }

    #[test]
    fn a_fragment_merges_beneath_and_null_removes() {
        let merged = read(&[
            (
                "a.yaml",
                "nodes: { net: { train: { use: b.yaml, steps: 5, model: null, list: [1] } } }\n",
            ),
            ("b.yaml", "steps: 9\nbatch: 4\nmodel: { unet: {} }\nlist: [1, 2]\n"),
        ])
        .unwrap();
        assert_eq!(
            merged.value["nodes"]["net"]["train"],
            json!({"steps": 5, "batch": 4, "list": [1]})
        );
        let path: Vec<Step> =
            ["nodes", "net", "train", "batch"].map(|k| Step::Key(k.to_owned())).to_vec();
        assert!(merged.origin(&path).unwrap().ends_with("b.yaml:2"));
        let path: Vec<Step> =
            ["nodes", "net", "train", "steps"].map(|k| Step::Key(k.to_owned())).to_vec();
        assert!(merged.origin(&path).unwrap().ends_with("a.yaml:1"), "{:?}", merged.origin(&path));
    }

    #[test]
    fn another_kind_replaces_the_lower_one_whole() {
        let merged = read(&[
            ("a.yaml", "nodes: { draw: { sample: { use: b.yaml, sampler: { ddpm: {} } } } }\n"),
            ("b.yaml", "sampler: { ddim: { steps: 5 } }\ncount: 3\n"),
        ])
        .unwrap();
        assert_eq!(
            merged.value["nodes"]["draw"]["sample"],
            json!({"sampler": {"ddpm": {}}, "count": 3})
        );
    }

    #[test]
    fn a_cycle_of_fragments_is_told() {
        let problems =
            read(&[("a.yaml", "x: { use: b.yaml }\n"), ("b.yaml", "y: { use: a.yaml }\n")])
                .unwrap_err();
        assert!(problems.to_string().contains("uses itself"), "{problems}");
    }
}
