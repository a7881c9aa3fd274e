//! Reads settings out of a JSON value and keeps every problem with the path where it was found.
//! The caller, who knows the files, turns paths into places.

use crate::problem::{Place, Problem, Problems};
use serde_json::Value;
use std::collections::HashSet;

/// One step of a path into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// The key itself, as the last step: a caret below the word rather than its value.
    Name(String),
    /// An item of a list.
    Item(usize),
}

/// A path of keys.
pub fn keys<S: AsRef<str>>(words: &[S]) -> Vec<Step> {
    words.iter().map(|word| Step::Key(word.as_ref().to_owned())).collect()
}

/// The name of the variable that a text stands for: `$name`, and nothing else.
pub fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    (!name.is_empty() && name.chars().all(is_part)).then_some(name)
}

/// A path as people write it: `nodes.net.train.steps`, `measures[0]`.
pub fn show_path(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Key(key) | Step::Name(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(key);
            }
            Step::Item(i) => out.push_str(&format!("[{i}]")),
        }
    }
    out
}

/// A value and the path that led to it.
#[derive(Debug, Clone)]
pub struct Found<'v> {
    /// The value as written.
    pub value: &'v Value,
    /// Where it stands.
    pub path: Vec<Step>,
}

impl<'v> Found<'v> {
    /// A whole document.
    pub fn root(value: &'v Value) -> Self {
        Self { value, path: Vec::new() }
    }

    /// The value of `key`, if this is a map that has it.
    pub fn key(&self, key: &str) -> Option<Found<'v>> {
        let value = self.value.as_object()?.get(key)?;
        Some(self.below(value, Step::Key(key.to_owned())))
    }

    /// The items of a list.
    pub fn items(&self) -> Option<Vec<Found<'v>>> {
        let items = self.value.as_array()?;
        Some(items.iter().enumerate().map(|(i, value)| self.below(value, Step::Item(i))).collect())
    }

    fn below(&self, value: &'v Value, step: Step) -> Found<'v> {
        let mut path = self.path.clone();
        path.push(step);
        Found { value, path }
    }

    /// The value as a person would write it, cut short.
    pub fn shown(&self) -> String {
        let text = match self.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.chars().count() > 40 {
            format!("{}…", text.chars().take(39).collect::<String>())
        } else {
            text
        }
    }
}

/// Finds the place of a path.
pub type FindPlace<'f> = &'f dyn Fn(&[Step]) -> Option<Place>;

/// Collects problems, each with its path.
#[derive(Debug, Default)]
pub struct Reader {
    problems: Vec<(Vec<Step>, Problem)>,
}

impl Reader {
    /// Notes what is wrong with the value at `found`; always `None`, so that a reader can end with it.
    pub fn wrong<T>(&mut self, found: &Found<'_>, problem: Problem) -> Option<T> {
        self.problems.push((found.path.clone(), problem));
        None
    }

    /// Notes what is wrong with the key `name` of the map at `found`.
    pub fn wrong_key(&mut self, found: &Found<'_>, name: &str, problem: Problem) {
        let mut path = found.path.clone();
        path.push(Step::Name(name.to_owned()));
        self.problems.push((path, problem));
    }

    /// Whether nothing was wrong so far.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// How much was wrong so far.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// Takes over what another reader found.
    pub fn extend(&mut self, other: Reader) {
        self.problems.extend(other.problems);
    }

    /// The same problems with every path led elsewhere.
    #[must_use]
    pub fn moved(self, lead: impl Fn(&[Step]) -> Vec<Step>) -> Self {
        Self {
            problems: self
                .problems
                .into_iter()
                .map(|(path, problem)| (lead(&path), problem))
                .collect(),
        }
    }

    /// All problems, each once; `place` finds the spot of a path, without it the path itself opens the
    /// sentence. Of very many the first ones are told, and how many more there are: a spec of a hundred
    /// thousand points with one mistake has one mistake.
    pub fn into_problems(mut self, place: Option<FindPlace<'_>>) -> Problems {
        const MOST: usize = 200;
        let mut seen = HashSet::new();
        self.problems
            .retain(|(path, problem)| seen.insert((path.clone(), problem.sentence.clone())));
        let more = self.problems.len().saturating_sub(MOST);
        self.problems.truncate(MOST);
        if let Some((_, last)) = self.problems.last_mut().filter(|_| more > 0) {
            let help = last.help.take().map_or(String::new(), |help| format!("{help}; "));
            last.help = Some(format!("{help}{more} more problems are not told"));
        }
        let put =
            |(path, mut problem): (Vec<Step>, Problem)| match place.and_then(|find| find(&path)) {
                Some(place) => problem.at(place),
                None if path.is_empty() => problem,
                None => {
                    problem.sentence = format!("{}: {}", show_path(&path), problem.sentence);
                    problem
                }
            };
        Problems(self.problems.into_iter().map(put).collect())
    }
}
