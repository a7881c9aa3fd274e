//! One YAML file as text and as a value, and the way from a path in the value back to the line.
//! YAML tags, anchors that repeat too much, duplicate keys and numbers that are not finite are
//! refused here, so that nothing after this knows YAML.

use crate::problem::{Place, Problem, Problems};
use crate::settings::Step;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file that was read.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// Its name, as a person would say it.
    pub(super) file: PathBuf,
    /// Its text.
    pub(super) text: String,
}

/// The largest spec or fragment that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Brackets within brackets, at most.
const DEEPEST: usize = 128;

/// A file that is no text, with the place of the first byte that is none.
fn not_utf8(file: &Path, bytes: &[u8]) -> Problem {
    let good = match std::str::from_utf8(bytes) {
        Err(e) => String::from_utf8_lossy(&bytes[..e.valid_up_to()]).into_owned(),
        Ok(text) => text.to_owned(),
    };
    let line = good.matches('\n').count() + 1;
    let text = good.rsplit('\n').next().unwrap_or_default().to_owned();
    let column = text.chars().count() + 1;
    let place = Place { file: file.to_owned(), line, column, width: 1, text };
    Problem::new("this byte is not UTF-8").help("save the file as UTF-8").at(place)
}

/// A file as git knows it at a revision.
fn at_revision(file: &Path, revision: &str) -> crate::problem::Result<Vec<u8>> {
    let problem = |why: &str| {
        let sentence = format!("cannot read {} at {revision}: {why}", file.display());
        Problem::new(sentence).help("name a commit, branch or tag that has the file")
    };
    // A revision is never an option of git's.
    if revision.starts_with('-') {
        return Err(problem("that is no revision"));
    }
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let said = std::process::Command::new("git")
        .arg("-C")
        .arg(folder.unwrap_or(Path::new(".")))
        .args(["show", &format!("{revision}:./{name}")])
        .output()
        .map_err(|e| problem(&format!("git does not start: {e}")))?;
    match said.status.success() {
        true => Ok(said.stdout),
        false => Err(problem(String::from_utf8_lossy(&said.stderr).lines().next().unwrap_or("?"))),
    }
}

impl Document {
    /// Reads a file, as it is now or at a revision of git.
    ///
    /// # Errors
    /// If it cannot be read, is not UTF-8, or is larger than any spec would be.
    pub(super) fn read(file: &Path, revision: Option<&str>) -> crate::problem::Result<Self> {
        match revision {
            Some(revision) => Self::of(file, at_revision(file, revision)?),
            None => Self::read_now(file),
        }
    }

    fn read_now(file: &Path) -> crate::problem::Result<Self> {
        let fail = |e: std::io::Error| {
            let problem = Problem::new(format!("cannot read {}: {e}", file.display()));
            match e.kind() {
                std::io::ErrorKind::NotFound => problem.help("check the path"),
                std::io::ErrorKind::IsADirectory => problem.help("name a file in it"),
                _ => problem,
            }
        };
        // By what comes, not by what the system says: a device has no size and no end.
        let mut bytes = vec![];
        let opened = std::fs::File::open(file).map_err(fail)?;
        opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
        Self::of(file, bytes)
    }

    fn of(file: &Path, bytes: Vec<u8>) -> crate::problem::Result<Self> {
        if bytes.len() as u64 > LARGEST {
            let what = format!("{} is larger than any spec", file.display());
            return Err(
                Problem::new(what).help("specs are small; data belong in files of their own")
            );
        }
        let text = String::from_utf8(bytes).map_err(|e| not_utf8(file, e.as_bytes()))?;
        let document = Self { file: file.to_owned(), text };
        match document.too_deep() {
            Some(place) => {
                Err(Problem::new("brackets are nested deeper than in any spec").at(place))
            }
            None => Ok(document),
        }
    }

    /// Where brackets are nested so deep that parsing them would take for ever.
    fn too_deep(&self) -> Option<Place> {
        let mut depth = 0_usize;
        for (at, byte) in self.text.bytes().enumerate() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST {
                let before = &self.text[..at];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                return Some(self.place_at(line, column));
            }
        }
        None
    }

    /// Parses the text: every duplicate key is noted, and the last one holds; after a syntax error
    /// there is no value.
    pub(super) fn parse(&self, problems: &mut Problems) -> Option<Value> {
        for nth in 0.. {
            let left = Cell::new(nth);
            let build = Build { duplicates: &left };
            let error = match build.deserialize(serde_yaml::Deserializer::from_str(&self.text)) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let message = error.to_string();
            let sentence = message.split(" at line ").next().unwrap_or_default();
            let duplicate = sentence.find("duplicate key");
            let sentence = duplicate.map_or(sentence, |start| &sentence[start..]);
            let problem = Problem::new(sentence);
            let problem = match help(sentence) {
                Some(help) => problem.help(help),
                None => problem,
            };
            problems.0.push(match error.location() {
                Some(spot) => problem.at(self.place_at(spot.line(), spot.column())),
                None => {
                    Problem { sentence: format!("{}: {sentence}", self.file.display()), ..problem }
                }
            });
            duplicate?;
        }
        None
    }

    /// The place of a path, or of the longest beginning of it that exists.
    pub(super) fn place(&self, path: &[Step]) -> Option<Place> {
        if super::rows::is_csv(self) {
            return super::rows::place(self, path);
        }
        (0..=path.len()).rev().find_map(|n| {
            let walk = Walk { path: &path[..n] };
            let error = walk.deserialize(serde_yaml::Deserializer::from_str(&self.text)).err()?;
            let message = error.to_string();
            let spot = error.location().filter(|_| message.contains(FOUND))?;
            Some(self.place_at(spot.line(), spot.column()))
        })
    }

    /// The place of a line and column, both from 1.
    pub(super) fn place_at(&self, line: usize, column: usize) -> Place {
        let text = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned();
        let rest: String = text.chars().skip(column.saturating_sub(1)).collect();
        let ends = |c: char| " ,:]}#\t".contains(c);
        let width = match rest.chars().next() {
            Some('{' | '[') | None => 1,
            Some(quote @ ('"' | '\'')) => {
                rest[1..].find(quote).map_or(1, |end| rest[..end + 2].chars().count())
            }
            Some(_) => rest.chars().take_while(|c| !ends(*c)).count(),
        };
        Place {
            file: self.file.clone(),
            line: line.max(1),
            column: column.max(1),
            width: width.max(1),
            text,
        }
    }
}

/// What to do about a mistake in the YAML, by the parser's words for it.
fn help(sentence: &str) -> Option<&'static str> {
    const HELP: [(&str, &str); 8] = [
        ("duplicate key", "keep one of them; the last one would hold"),
        ("tab character", "indent with spaces"),
        ("expected ',' or ']'", "a bracket `[` before this is not closed, or a comma is missing"),
        ("expected ',' or '}'", "a brace `{` before this is not closed, or a comma is missing"),
        ("did not find expected key", "indent keys of one map alike, and write `key: value`"),
        ("mapping values are not allowed", "quote text that holds a colon, or start a new line"),
        ("unexpected end of stream", "a quote before this is not closed"),
        ("repetition limit", "aliases (`*name`) repeat each other too often; write it out"),
    ];
    HELP.iter().find(|(words, _)| sentence.contains(words)).map(|(_, help)| *help)
}

/// Builds a value; fails at the `duplicates`-th duplicate key, counting from 0.
#[derive(Clone, Copy)]
struct Build<'c> {
    duplicates: &'c Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value (no tags)")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_i128<E: Error>(self, v: i128) -> Result<Value, E> {
        self.visit_f64(v as f64)
    }
    fn visit_u128<E: Error>(self, v: u128) -> Result<Value, E> {
        self.visit_f64(v as f64)
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut seen = HashSet::new();
        while let Some(key) =
            entries.next_key_seed(Key { seen: &mut seen, duplicates: self.duplicates })?
        {
            let value = entries.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Reads a key; fails at a duplicate, so that the parser's mark points at it.
struct Key<'s> {
    seen: &'s mut HashSet<String>,
    duplicates: &'s Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word as key")
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        if !self.seen.insert(key.to_owned()) {
            match self.duplicates.get() {
                0 => return Err(E::custom(format!("duplicate key `{key}`"))),
                left => self.duplicates.set(left - 1),
            }
        }
        Ok(key.to_owned())
    }
}

/// What the walker says when it has arrived.
const FOUND: &str = "arrived";

/// Walks along a path and fails on purpose at its end: the error carries the place.
#[derive(Clone, Copy)]
struct Walk<'p> {
    path: &'p [Step],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    fn arrive<E: Error>(self) -> Result<(), E> {
        if self.path.is_empty() { Err(E::custom(FOUND)) } else { Ok(()) }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.arrive()
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.arrive()
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.arrive()
    }
    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.arrive()
    }
    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.arrive()
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.arrive()
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.arrive()
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.arrive()
    }
    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.arrive()
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.arrive()?;
        let nothing = Cell::new(usize::MAX);
        for i in 0.. {
            let next = match self.path.first() {
                Some(Step::Item(wanted)) if *wanted == i => {
                    items.next_element_seed(Walk { path: &self.path[1..] })?
                }
                _ => items.next_element_seed(Build { duplicates: &nothing })?.map(|_| ()),
            };
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.arrive()?;
        let nothing = Cell::new(usize::MAX);
        let name = match self.path.first() {
            Some(Step::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        while let Some(key) = entries.next_key_seed(NamedKey { stop_at: name })? {
            match self.path.first() {
                Some(Step::Key(wanted)) if *wanted == key => {
                    entries.next_value_seed(Walk { path: &self.path[1..] })?;
                }
                _ => {
                    entries.next_value_seed(Build { duplicates: &nothing })?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a key; fails on purpose at the wanted one.
struct NamedKey<'n> {
    stop_at: Option<&'n str>,
}

impl<'de> DeserializeSeed<'de> for NamedKey<'_> {
    type Value = String;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NamedKey<'_> {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word as key")
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        if self.stop_at == Some(key) { Err(E::custom(FOUND)) } else { Ok(key.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document { file: "a.yaml".into(), text: text.to_owned() }
    }

    fn key(word: &str) -> Step {
        Step::Key(word.to_owned())
    }

    #[test]
    fn a_path_leads_back_to_its_line_and_column() {
        let doc = document("a:\n  b: [1, {c: x}]\n  d: \"q r\"\n");
        let at = |path: &[Step]| doc.place(path).map(|p| (p.line, p.column, p.width)).unwrap();
        assert_eq!(at(&[key("a"), key("b"), Step::Item(1), key("c")]), (2, 14, 1));
        assert_eq!(at(&[key("a"), Step::Name("d".to_owned())]), (3, 3, 1));
        assert_eq!(at(&[key("a"), key("d")]), (3, 6, 5));
        assert_eq!(at(&[key("a"), key("nowhere")]), (2, 3, 1), "the longest beginning that exists");
    }

    #[test]
    fn every_duplicate_key_is_told_with_its_place() {
        let problems = {
            let mut problems = Problems::default();
            assert!(document("a: 1\nb: {x: 1, x: 2}\na: 2\n").parse(&mut problems).is_some());
            problems
        };
        let shown: Vec<(usize, usize, String)> = problems
            .0
            .iter()
            .map(|p| p.place.as_ref().map(|at| (at.line, at.column, p.sentence.clone())).unwrap())
            .collect();
        assert_eq!(
            shown,
            [(2, 11, "duplicate key `x`".to_owned()), (3, 1, "duplicate key `a`".to_owned())]
        );
    }

    #[test]
    fn tags_infinities_and_bad_syntax_are_refused_with_a_place() {
        for (text, line) in
            [("a: !x 1\n", 1), ("a: 1\nb: .nan\n", 2), ("a: [1\nb: 2\n", 2), ("a: b: c\n", 1)]
        {
            let mut problems = Problems::default();
            assert!(document(text).parse(&mut problems).is_none());
            assert_eq!(
                problems.0[0].place.as_ref().map(|p| p.line),
                Some(line),
                "{text}: {problems}"
            );
        }
    }
}
