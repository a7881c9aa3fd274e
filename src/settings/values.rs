//! The values that settings are made of: numbers, words, lists, what can be off, references.

use super::reader::{Found, Reader};
use super::table::{Identity, Setting, Shape};
use crate::problem::Problem;
use crate::words;
use serde_json::{Value, json};
use std::fmt;

impl Setting for u64 {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let value = match found.value {
            Value::Number(n) => {
                n.as_u64().or_else(|| n.as_f64().and_then(|f| words::count(&f.to_string())))
            }
            Value::String(text) => words::count(text),
            _ => None,
        };
        value.or_else(|| {
            let problem =
                Problem::new(format!("`{}` is not a whole number of at least 0", found.shown()));
            reader.wrong(found, problem.help("write it as 2000, 2k or 1e5"))
        })
    }
    fn write(&self, _: Identity) -> Value {
        json!(self)
    }
    fn shape() -> Shape {
        Shape::Scalar("whole number")
    }
    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl Setting for f64 {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let value = match found.value {
            Value::Number(n) => n.as_f64(),
            Value::String(text) => words::number(text),
            _ => None,
        };
        value.or_else(|| {
            let problem = Problem::new(format!("`{}` is not a number", found.shown()));
            reader.wrong(found, problem.help("write it as 0.5 or 1e-4"))
        })
    }
    fn write(&self, _: Identity) -> Value {
        json!(self)
    }
    fn shape() -> Shape {
        Shape::Scalar("number")
    }
    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Setting for bool {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match found.value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text == "on" => Some(true),
            Value::String(text) if text == "off" => Some(false),
            _ => {
                let problem =
                    Problem::new(format!("`{}` is neither true nor false", found.shown()));
                reader.wrong(found, problem.help("write true or false"))
            }
        }
    }
    fn write(&self, _: Identity) -> Value {
        json!(self)
    }
    fn shape() -> Shape {
        Shape::Scalar("true or false")
    }
}

impl Setting for String {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match found.value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            _ => reader.wrong(found, Problem::new(format!("`{}` is not a word", found.shown()))),
        }
    }
    fn write(&self, _: Identity) -> Value {
        json!(self)
    }
    fn shape() -> Shape {
        Shape::Scalar("word")
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        T::read(found, reader).map(Some)
    }
    fn write(&self, identity: Identity) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.write(identity))
    }
    fn shape() -> Shape {
        T::shape()
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(Setting::number)
    }
    fn can_be_off() -> bool {
        T::can_be_off()
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(items) = found.items() else {
            return reader.wrong(found, Problem::new(format!("`{}` is not a list", found.shown())));
        };
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, reader)).collect();
        read.into_iter().collect()
    }
    fn write(&self, identity: Identity) -> Value {
        Value::Array(self.iter().map(|item| item.write(identity)).collect())
    }
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

/// A setting that can be switched off: `off`, or a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Off<T> {
    /// Written `off`.
    Off,
    /// Written as the value.
    On(T),
}

impl<T: Copy> Off<T> {
    /// The value, unless it is off.
    pub fn on(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

impl<T: Setting> Setting for Off<T> {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match found.value {
            Value::String(text) if text == "off" => Some(Self::Off),
            Value::Bool(false) => Some(Self::Off),
            _ => T::read(found, reader).map(Self::On),
        }
    }
    fn write(&self, identity: Identity) -> Value {
        match self {
            Self::Off => json!("off"),
            Self::On(value) => value.write(identity),
        }
    }
    fn shape() -> Shape {
        match T::shape() {
            Shape::Scalar("number") => Shape::Scalar("number or `off`"),
            Shape::Scalar(_) => Shape::Scalar("whole number or `off`"),
            other => other,
        }
    }
    fn number(&self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::On(value) => value.number(),
        }
    }
    fn can_be_off() -> bool {
        true
    }
}

/// What a node reads, as written: `node` or `node.port`, or a map that pins or collects.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The node's name in the spec.
    pub node: String,
    /// The port, if one was written.
    pub port: Option<String>,
    /// Axes that have other values there than at the point.
    pub at: Vec<(String, Value)>,
    /// The axes over which all nodes are read at once.
    pub over: Option<Over>,
}

/// What is collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Every axis of the sweep, seeds included.
    All,
    /// These axes.
    Axes(Vec<String>),
}

impl Reference {
    /// Reads `node` or `node.port`.
    fn plain(text: &str) -> Self {
        let (node, port) = match text.split_once('.') {
            Some((node, port)) => (node, Some(port.to_owned())),
            None => (text, None),
        };
        Self { node: node.to_owned(), port, at: vec![], over: None }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.port {
            Some(port) => write!(f, "{}.{port}", self.node),
            None => write!(f, "{}", self.node),
        }
    }
}

impl Setting for Reference {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        if let Value::String(text) = found.value {
            return Some(Self::plain(text));
        }
        if !found.value.is_object() {
            let problem = Problem::new(format!("`{}` is not the name of a node", found.shown()));
            return reader.wrong(found, problem);
        }
        super::table::refuse_unknown(found, &["node", "at", "over"], reader);
        let Some(node) = found.key("node") else {
            let problem = Problem::new("`node` is missing");
            return reader.wrong(found, problem.help("for example { node: net, at: { seed: 0 } }"));
        };
        let mut reference = Self::plain(&String::read(&node, reader)?);
        if let Some(at) = found.key("at") {
            let Some(map) = at.value.as_object().filter(|map| !map.is_empty()) else {
                let problem = Problem::new("`at` is not a map of axes and values");
                return reader.wrong(&at, problem.help("for example { schedule: linear }"));
            };
            reference.at = map.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        }
        if let Some(over) = found.key("over") {
            reference.over = Some(match over.value {
                Value::String(word) if word == "all" => Over::All,
                Value::String(word) => Over::Axes(vec![word.clone()]),
                _ => Over::Axes(Vec::read(&over, reader)?),
            });
            if !reference.at.is_empty() {
                let problem = Problem::new("both `at` and `over` are given");
                return reader.wrong(&over, problem.help("pin an axis or collect over it"));
            }
        }
        Some(reference)
    }
    fn write(&self, identity: Identity) -> Value {
        if identity == Identity::Semantic {
            return Value::Null;
        }
        let mut map = serde_json::Map::from_iter([("node".to_owned(), json!(self.to_string()))]);
        if !self.at.is_empty() {
            map.insert("at".to_owned(), Value::Object(self.at.iter().cloned().collect()));
        }
        match &self.over {
            Some(Over::All) => map.insert("over".to_owned(), json!("all")),
            Some(Over::Axes(axes)) => map.insert("over".to_owned(), json!(axes)),
            None => None,
        };
        if map.len() == 1 { json!(self.to_string()) } else { Value::Object(map) }
    }
    fn shape() -> Shape {
        Shape::Reference
    }
}
