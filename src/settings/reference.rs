//! What a node reads, as written: another node, one pinned elsewhere, many at once, or the best of them.

use super::reader::{Found, Reader};
use super::table::{Identity, Setting, Shape, table};
use crate::problem::Problem;
use serde_json::{Value, json};
use std::fmt;

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
    /// What chooses among the nodes of a sweep.
    pub best: Option<Best>,
}

table! {
    /// Which nodes of a sweep are read: those whose metric is best, the mean over seeds.
    pub struct Best {
        #[doc = "The metric that decides, `node.metric`; its node reads the one that is chosen."]
        by: String;
        #[doc = "How many are kept."]
        keep: u64 [1.0..=1e6] = 1;
        #[doc = "The axes whose values compete; by default all that reach the node."]
        over: Option<Vec<String>>;
    }
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
        Self { node: node.to_owned(), port, at: vec![], over: None, best: None }
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
        super::table::refuse_unknown(found, &["node", "at", "over", "best"], reader);
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
        }
        if let Some(best) = found.key("best") {
            reference.best = Some(Best::read(&best, reader)?);
        }
        let ways = [!reference.at.is_empty(), reference.over.is_some(), reference.best.is_some()];
        if ways.into_iter().filter(|given| *given).count() > 1 {
            let problem = Problem::new("only one of `at`, `over` and `best` can be given");
            return reader.wrong(found, problem.help("pin axes, collect over them, or choose"));
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
        if let Some(best) = &self.best {
            map.insert("best".to_owned(), best.write(identity));
        }
        if map.len() == 1 { json!(self.to_string()) } else { Value::Object(map) }
    }
    fn shape() -> Shape {
        Shape::Reference
    }
}
