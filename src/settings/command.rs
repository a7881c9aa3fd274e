//! Settings of command nodes: a program of the user's own, what it is told and what it must leave.

use super::file::{DataFile, DataFolder, Holding};
use super::reader::{Found, Reader, Step};
use super::reference::Reference;
use super::table::{Identity, Setting, Shape, choice, table};
use crate::problem::Problem;
use crate::words;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Component, Path};

table! {
    /// Runs a program, in any language.
    pub struct Command {
        #[doc = "A list of arguments, in which `{out}`, `{checkpoint}`, `{threads}`, `{params.NAME}` and `{needs.ROLE}` are filled in; or a text for `sh -c`, which gets values as environment variables alone."]
        call: Call;
        #[doc = "What it reads, by role: `{ role: node }`, or a list of nodes."]
        needs: Needs = Needs::default(), neutral Needs::default();
        #[doc = "Files and folders of its code, as seen from `folder`; their content enters the key."]
        files: Vec<DataFile> = vec![], neutral vec![];
        #[doc = "Values of any form that it is told, in the environment variable `ABLATE_PARAMS` as JSON and one by one as `ABLATE_PARAM_NAME`."]
        params: Params = Params::default(), neutral Params::default();
        #[doc = "Files and folders that it must leave in `ABLATE_OUT`."]
        outputs: Vec<String> = vec![], neutral vec![];
        #[doc = "The metrics that it must write into `metrics.json`, and which way each is better."]
        metrics: Directions = Directions::default(), neutral Directions::default();
        #[doc = "In what surroundings it runs."]
        environment: Environment = Environment::default(), neutral Environment::default();
        #[doc = "The folder that it runs in, by default that of the file that names it; no part of its identity."]
        folder: DataFolder = DataFolder(".".into());
    }
    check check_command;
}

table! {
    /// In what surroundings a program runs.
    #[derive(Default)]
    pub struct Environment {
        #[doc = "Environment variables that are set for it."]
        variables: Variables = Variables::default(), neutral Variables::default();
        #[doc = "What stands before the call, such as [uv, run] or a container; no part of its identity."]
        prefix: Prefix = Prefix::default();
    }
}

choice! {
    /// Which way a metric is better.
    pub enum Direction {
        /// Small values.
        Lower = "lower",
        /// Large values.
        Higher = "higher",
        /// Neither: it only describes.
        Neither = "neither",
    }
}

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A program and its arguments, with places to be filled in.
    Arguments(Vec<String>),
    /// A text for the shell.
    Shell(String),
}

/// What a program reads, by role.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs(
    /// Roles, each with the node that is read.
    pub Vec<(&'static str, Reference)>,
    /// Whether they were written as a list of nodes.
    bool,
);

/// Values of any form, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(
    /// The values as written.
    pub Map<String, Value>,
);

/// Metrics, each with the way that is better.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directions(
    /// By name of the metric.
    pub BTreeMap<String, Direction>,
);

/// Environment variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(
    /// By name.
    pub BTreeMap<String, String>,
);

/// Arguments that stand before the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix(
    /// The program that calls, and its arguments.
    pub Vec<String>,
);

impl Command {
    /// The metrics that it declares.
    pub fn metrics(&self) -> Vec<&'static str> {
        self.metrics.0.keys().map(|name| role_word(name)).collect()
    }

    /// Whether the smaller value of a metric is the better one.
    pub fn smaller_is_better(&self, metric: &str) -> Option<bool> {
        match self.metrics.0.get(metric)? {
            Direction::Lower => Some(true),
            Direction::Higher => Some(false),
            Direction::Neither => None,
        }
    }

    /// Where each need stands among the settings.
    pub fn references(&self) -> Vec<(&'static str, Vec<Step>, &Reference)> {
        let Needs(needs, is_list) = &self.needs;
        let place = |i: usize| {
            let last = match is_list {
                true => Step::Item(i),
                false => Step::Key(needs[i].0.to_owned()),
            };
            vec![Step::Key("needs".to_owned()), last]
        };
        let each = needs.iter().enumerate();
        each.map(|(i, (role, reference))| (*role, place(i), reference)).collect()
    }

    /// The files of its code, which may be folders with everything in them.
    pub fn code(&mut self) -> Vec<(Vec<Step>, &mut DataFile)> {
        let place =
            |(i, file): (usize, _)| (vec![Step::Key("files".to_owned()), Step::Item(i)], file);
        for file in &mut self.files {
            file.holding = Holding::Code;
        }
        self.files.iter_mut().enumerate().map(place).collect()
    }

    /// What may stand in braces among the arguments.
    fn places(&self) -> Vec<String> {
        let words = ["out", "checkpoint", "threads"].map(str::to_owned).into_iter();
        let params = self.params.0.keys().map(|name| format!("params.{name}"));
        let needs = self.needs.0.iter().map(|(role, _)| format!("needs.{role}"));
        words.chain(params).chain(needs).collect()
    }
}

/// A word of a spec that is compared all over a program, such as a role: one copy of it lives as long as the program.
pub fn role_word(text: &str) -> &'static str {
    use std::collections::HashSet;
    use std::sync::{LazyLock, Mutex};
    static WORDS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut words = WORDS.lock().expect("nothing panics while it is held");
    match words.get(text) {
        Some(known) => known,
        None => {
            let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
            words.insert(kept);
            kept
        }
    }
}

/// The name of an environment variable for a word of a spec.
pub fn variable_of(word: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    word.chars().map(plain).collect()
}

/// What a scalar is as an argument or as the value of an environment variable: text as it stands, numbers and truth
/// as JSON writes them, anything larger as JSON.
pub fn spelled(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A piece of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Cuts an argument at the places in it: `{word}` or `{word.word}`; `{{word}}` stands for itself.
fn pieces(argument: &str) -> Vec<Piece<'_>> {
    let mut pieces = vec![];
    let (mut from, mut at) = (0, 0);
    while let Some(open) = argument[at..].find('{').map(|n| at + n) {
        let inside = &argument[open + 1..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let end = inside.find(|c| !is_part(c)).unwrap_or(inside.len());
        let doubled = inside.strip_prefix('{').and_then(|rest| {
            let end = rest.find(|c| !is_part(c))?;
            (end > 0 && rest[end..].starts_with("}}")).then_some(end)
        });
        if let Some(end) = doubled {
            pieces.push(Piece::Text(&argument[from..open]));
            // One of the two braces on either side.
            pieces.push(Piece::Text(&argument[open + 1..open + 3 + end]));
            at = open + 4 + end;
            from = at;
        } else if end > 0
            && inside[end..].starts_with('}')
            && !inside.starts_with(|c: char| c.is_ascii_digit())
        {
            pieces.push(Piece::Text(&argument[from..open]));
            pieces.push(Piece::Place(&inside[..end]));
            at = open + 2 + end;
            from = at;
        } else {
            at = open + 1;
        }
    }
    pieces.push(Piece::Text(&argument[from..]));
    pieces
}

/// An argument with its places filled in; what is put in is not looked at again.
pub fn filled(argument: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let fill = |piece: Piece<'_>| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Place(name) => value(name).unwrap_or_else(|| format!("{{{name}}}")),
    };
    pieces(argument).into_iter().map(fill).collect()
}

/// Notes what is wrong with a command as a whole.
fn check_command(command: &Command, found: &Found<'_>, reader: &mut Reader) {
    let places = command.places();
    if let (Call::Arguments(arguments), Some(call)) = (&command.call, found.key("call")) {
        for (item, argument) in call.items().unwrap_or_default().iter().zip(arguments) {
            for piece in pieces(argument) {
                let Piece::Place(name) = piece else { continue };
                if places.iter().any(|known| known == name) {
                    continue;
                }
                let problem = Problem::new(format!("nothing is called `{{{name}}}` here"));
                let help = match words::nearest(name, places.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{{{near}}}`?"),
                    None => format!(
                        "known are {}; `{{{{{name}}}}}` stands for itself",
                        words::alternatives(&places)
                    ),
                };
                reader.wrong::<()>(item, problem.help(help));
            }
        }
    }
    let names = command.params.0.keys().map(|name| ("params", name.as_str()));
    let names = names.chain(command.needs.0.iter().map(|(role, _)| ("needs", *role)));
    let mut seen: BTreeMap<(&str, String), &str> = BTreeMap::new();
    for (setting, name) in names {
        if let Some(other) = seen.insert((setting, variable_of(name)), name) {
            let (Some(inner), variable) = (found.key(setting), variable_of(name)) else { continue };
            let problem =
                Problem::new(format!("`{other}` and `{name}` would be one variable, {variable}"));
            reader.wrong_key(&inner, name, problem.help("rename one of them"));
        }
    }
    for (i, output) in command.outputs.iter().enumerate() {
        let is_plain =
            Path::new(output).components().all(|part| matches!(part, Component::Normal(_)));
        if is_plain && !RESERVED.contains(&output.as_str()) {
            continue;
        }
        let Some(item) =
            found.key("outputs").and_then(|outputs| outputs.items()?.into_iter().nth(i))
        else {
            continue;
        };
        let problem = match is_plain {
            true => Problem::new(format!("`{output}` is written by ablate itself")),
            false => Problem::new(format!("`{output}` is no path below the folder of the node")),
        };
        reader.wrong::<()>(
            &item,
            problem.help("name a file or folder that the program leaves in ABLATE_OUT"),
        );
    }
}

/// Names in the folder of a node that are not a program's.
pub const RESERVED: [&str; 8] = [
    "node.json",
    "job.json",
    "costs.json",
    "log.txt",
    "events.jsonl",
    "arithmetic.json",
    "environment.json",
    "checkpoint",
];

impl Setting for Call {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let help = "write [program, argument, …], or a text for the shell";
        match found.value {
            Value::String(text) if !text.trim().is_empty() => Some(Self::Shell(text.clone())),
            Value::Array(items) if !items.is_empty() => {
                scalars(found, reader, help).map(Self::Arguments).filter(|_| !items.is_empty())
            }
            _ => {
                let problem = Problem::new(format!("`{}` calls nothing", found.shown()));
                reader.wrong(found, problem.help(help))
            }
        }
    }
    fn write(&self, _: Identity) -> Value {
        match self {
            Self::Arguments(arguments) => json!(arguments),
            Self::Shell(text) => json!(text),
        }
    }
    fn shape() -> Shape {
        Shape::Any(vec![
            Shape::Scalar("text"),
            Shape::List(Box::new(Shape::Free("text or number"))),
        ])
    }
}

/// The items of a list as a program gets them.
fn scalars(found: &Found<'_>, reader: &mut Reader, help: &str) -> Option<Vec<String>> {
    let Some(items) = found.items() else {
        let problem = Problem::new(format!("`{}` is not a list", found.shown()));
        return reader.wrong(found, problem.help(help.to_owned()));
    };
    let read: Vec<Option<String>> = items.iter().map(|item| scalar(item, reader)).collect();
    read.into_iter().collect()
}

/// Text, a number or truth, as a program gets it.
fn scalar(found: &Found<'_>, reader: &mut Reader) -> Option<String> {
    match found.value {
        Value::String(text) if text.contains('\0') => {
            reader.wrong(found, Problem::new("a program cannot be told a zero byte"))
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(spelled(found.value)),
        _ => {
            let problem = Problem::new(format!("`{}` is neither text nor a number", found.shown()));
            reader.wrong(found, problem.help("quote it if it is text"))
        }
    }
}

/// Whether a name can be part of that of an environment variable.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_part)
}

/// The map at `found`, if all its keys are names.
fn named<'v>(
    found: &Found<'v>,
    example: &str,
    reader: &mut Reader,
) -> Option<Vec<(String, Found<'v>)>> {
    let Some(map) = found.value.as_object() else {
        let problem = Problem::new(format!("`{}` is not a map", found.shown()));
        return reader.wrong(found, problem.help(format!("for example {example}")));
    };
    let before = reader.count();
    for key in map.keys().filter(|key| !is_name(key)) {
        let problem = Problem::new(format!("`{key}` is no name"));
        reader.wrong_key(found, key, problem.help("names are of letters, digits, `_` and `-`"));
    }
    let all = map.keys().filter_map(|key| Some((key.clone(), found.key(key)?)));
    (reader.count() == before).then(|| all.collect())
}

impl Setting for Needs {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        if let Some(items) = found.items() {
            let mut needs: Vec<(&'static str, Reference)> = vec![];
            for item in items {
                let reference = Reference::read(&item, reader)?;
                let role = role_word(&reference.node);
                if needs.iter().any(|(known, _)| *known == role) {
                    let problem = Problem::new(format!("`{role}` is needed twice"));
                    return reader.wrong(
                        &item,
                        problem.help("give roles: { first: node, second: node.port }"),
                    );
                }
                needs.push((role, reference));
            }
            return Some(Self(needs, true));
        }
        let named = named(found, "{ samples: draw }", reader)?;
        let read = named
            .iter()
            .map(|(role, inner)| Some((role_word(role), Reference::read(inner, reader)?)));
        let read: Vec<Option<_>> = read.collect();
        Some(Self(read.into_iter().collect::<Option<_>>()?, false))
    }
    fn write(&self, identity: Identity) -> Value {
        match identity {
            Identity::Semantic => Value::Null,
            Identity::Full => {
                let written = |(role, reference): &(&'static str, Reference)| {
                    ((*role).to_owned(), reference.write(Identity::Full))
                };
                Value::Object(self.0.iter().map(written).collect())
            }
        }
    }
    fn shape() -> Shape {
        Shape::Any(vec![Shape::Free("map of references"), Shape::List(Box::new(Shape::Reference))])
    }
}

impl Setting for Params {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let named = named(found, "{ bins: 20 }", reader)?;
        let length: usize =
            named.iter().map(|(name, inner)| name.len() + inner.value.to_string().len()).sum();
        if length > LONGEST {
            let problem = Problem::new(format!(
                "{length} bytes of values are more than a program can be told"
            ));
            return reader
                .wrong(found, problem.help("write them to a file, and list it in `files`"));
        }
        Some(Self(named.into_iter().map(|(name, inner)| (name, inner.value.clone())).collect()))
    }
    fn write(&self, _: Identity) -> Value {
        Value::Object(self.0.clone())
    }
    fn shape() -> Shape {
        Shape::Free("map of values")
    }
}

/// Bytes of one environment variable that Linux passes on, with room to spare.
const LONGEST: usize = 120_000;

impl Setting for Directions {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let named = named(found, "{ error: lower, accuracy: higher }", reader)?;
        let read =
            named.into_iter().map(|(name, inner)| Some((name, Direction::read(&inner, reader)?)));
        let read: Vec<Option<_>> = read.collect();
        Some(Self(read.into_iter().collect::<Option<_>>()?))
    }
    fn write(&self, identity: Identity) -> Value {
        Value::Object(
            self.0.iter().map(|(name, way)| (name.clone(), way.write(identity))).collect(),
        )
    }
    fn shape() -> Shape {
        Shape::Free("map of metrics to lower, higher or neither")
    }
}

impl Setting for Variables {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let named = named(found, "{ WANDB_MODE: offline }", reader)?;
        let mut read = BTreeMap::new();
        for (name, inner) in named {
            if name.starts_with("ABLATE_") || name.contains('-') {
                let problem = Problem::new(format!("`{name}` cannot be set for a program"));
                reader.wrong_key(
                    found,
                    &name,
                    problem.help("names are of letters, digits and `_`, and ABLATE_… are taken"),
                );
                return None;
            }
            read.insert(name, scalar(&inner, reader)?);
        }
        Some(Self(read))
    }
    fn write(&self, _: Identity) -> Value {
        json!(self.0)
    }
    fn shape() -> Shape {
        Shape::Free("map of environment variables")
    }
}

impl Setting for Prefix {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        scalars(found, reader, "for example [uv, run]").map(Self)
    }
    fn write(&self, identity: Identity) -> Value {
        match identity {
            Identity::Full => json!(self.0),
            // The same program in another place is the same program.
            Identity::Semantic => Value::Null,
        }
    }
    fn shape() -> Shape {
        Shape::List(Box::new(Shape::Free("text or number")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once_and_other_braces_stay() {
        let value = |name: &str| match name {
            "out" => Some("/a {params.x}".to_owned()),
            "params.x" => Some("$(date) \"'\n".to_owned()),
            _ => None,
        };
        assert_eq!(filled("--out={out}/b", value), "--out=/a {params.x}/b");
        assert_eq!(filled("{params.x}", value), "$(date) \"'\n");
        assert_eq!(
            filled("{print $1} {} { out } {{out}} {1}", value),
            "{print $1} {} { out } {out} {1}"
        );
        assert_eq!(filled("{\"a\": {\"b\": 1}}", value), "{\"a\": {\"b\": 1}}");
        assert_eq!(filled("ö{out}ö{", value), "ö/a {params.x}ö{");
    }

    #[test]
    fn words_of_a_spec_are_kept_once() {
        let first = role_word(&format!("{}-role", "my"));
        assert!(std::ptr::eq(first, role_word("my-role")));
    }
}
