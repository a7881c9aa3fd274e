//! What an axis varies: a variable, or a setting of a node. Names are led to their targets here, and
//! must lead to a setting that some node reads.

use crate::problem::Problem;
use crate::settings::{Shape, variable};
use crate::spec::{Declaration, Spec, Sweep, shape_below};
use crate::words;
use serde_json::Value;

/// What an axis varies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A variable.
    Var(String),
    /// A setting of a node: the node's name and the path in its body.
    Setting(String, Vec<String>),
}

impl Target {
    /// Whether changing it changes the settings of this node.
    pub fn reaches(&self, node: &Declaration) -> bool {
        match self {
            Self::Var(name) => mentions(&node.body, name),
            Self::Setting(name, _) => *name == node.name || *name == node.written,
        }
    }

    /// A short word for readable names.
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Var(name) => name,
            Self::Setting(name, path) => path.last().unwrap_or(name),
        }
    }

    /// The value in the spec as written, if it stands there.
    pub(super) fn written<'s>(&self, spec: &'s Spec) -> Option<&'s Value> {
        let (name, path) = match self {
            Self::Var(name) => return spec.vars.get(name),
            Self::Setting(name, path) => (name, path),
        };
        let node = spec.nodes.iter().find(|node| node.name == *name || node.written == *name)?;
        let value = path.iter().try_fold(&node.body, |value, word| value.get(word))?;
        match self.variable(spec) {
            Some(var) => spec.vars.get(var),
            None => Some(value),
        }
    }

    /// The variable that fills a setting in, if it is written as one.
    pub(super) fn variable<'s>(&self, spec: &'s Spec) -> Option<&'s str> {
        let Self::Setting(name, path) = self else { return None };
        let node = spec.nodes.iter().find(|node| node.name == *name || node.written == *name)?;
        let value = path.iter().try_fold(&node.body, |value, word| value.get(word))?;
        variable(value.as_str()?)
    }

    /// The value that a setting has where it is not written, if it has one.
    pub(super) fn default(&self, spec: &Spec) -> Option<Value> {
        let Self::Setting(name, path) = self else { return None };
        let node = spec.nodes.iter().find(|node| node.name == *name || node.written == *name)?;
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let (last, parents) = words.split_last()?;
        match shape_below(node.kind.shape(), parents)? {
            Shape::Map(fields) => fields.into_iter().find(|field| field.name == *last)?.default,
            _ => None,
        }
    }

    /// Whether a variable fills in this very setting, or all that it fills in lies below it, so that this
    /// hides it.
    pub(super) fn hides(&self, var: &str, spec: &Spec) -> bool {
        let Self::Setting(name, path) = self else { return false };
        if self.variable(spec) == Some(var) {
            return true;
        }
        let mut hidden = false;
        for node in &spec.nodes {
            let mut body = node.body.clone();
            if *name == node.name || *name == node.written {
                let parent = path[..path.len() - 1]
                    .iter()
                    .try_fold(&mut body, |value, word| value.get_mut(word));
                let removed = parent
                    .and_then(|parent| parent.as_object_mut())
                    .and_then(|map| map.shift_remove(path.last()?));
                hidden |= removed.is_some_and(|removed| mentions(&removed, var));
            }
            if mentions(&body, var) {
                return false;
            }
        }
        hidden
    }
}

/// Whether `$name` stands in a value of any axis.
pub(super) fn is_in_sweeps(spec: &Spec, name: &str) -> bool {
    let axes = spec.sweeps.iter().flat_map(Sweep::axes);
    let lists = axes.flat_map(|axis| axis.values.lists());
    lists.flatten().any(|placed| mentions(&placed.value, name))
}

/// Whether `$name` stands anywhere in a value.
pub fn mentions(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => variable(text) == Some(name),
        Value::Array(items) => items.iter().any(|item| mentions(item, name)),
        Value::Object(map) => map.values().any(|inner| mentions(inner, name)),
        _ => false,
    }
}

/// The target that a name leads to, if it leads anywhere and some node reads it.
///
/// # Errors
/// If it does not; the sentence says how far it leads.
pub(super) fn find(spec: &Spec, name: &str) -> Result<Target, Problem> {
    if spec.vars.contains_key(name) {
        return Ok(Target::Var(name.to_owned()));
    }
    let unknown = || {
        let paths: Vec<String> = spec.nodes.iter().map(|node| node.name.clone()).collect();
        let known: Vec<&str> = spec.vars.keys().chain(&paths).map(String::as_str).collect();
        let problem =
            Problem::new(format!("the axis `{name}` is neither a variable nor a path of a node"));
        let first = name.split('.').next().unwrap_or_default();
        problem.help(words::suggestion(first, &known))
    };
    let (node, rest) =
        spec.split_path(name).filter(|(_, rest)| !rest.is_empty()).ok_or_else(unknown)?;
    let mut words: Vec<&str> = rest.split('.').collect();
    let by_name = name.starts_with(&node.name);
    if by_name && node.name != node.written {
        // `score.power_spectrum.binning`: the settings of a measure stand under its own name.
        let kind =
            node.body.get("measure").and_then(Value::as_object).and_then(|map| map.keys().next());
        let kind = kind.map_or_else(|| &node.name[node.written.len() + 1..], String::as_str);
        words.splice(0..0, ["measure", kind]);
    }
    leads_somewhere(node, &words, name)?;
    let node = if by_name { &node.name } else { &node.written };
    Ok(Target::Setting(node.clone(), words.iter().map(|word| (*word).to_owned()).collect()))
}

/// Checks a path against the shape of a node's settings.
fn leads_somewhere(node: &Declaration, path: &[&str], name: &str) -> Result<(), Problem> {
    for n in 1..=path.len() {
        let above = shape_below(node.kind.shape(), &path[..n - 1]);
        if let Some(Shape::List(_)) = above {
            let list = name.strip_suffix(&format!(".{}", path[n - 1..].join("."))).unwrap_or(name);
            let problem = Problem::new(format!("the axis `{name}` leads into a list"));
            return Err(problem.help(format!("set the whole list: {list}: [[…], […]]")));
        }
        if shape_below(node.kind.shape(), &path[..n]).is_some() {
            continue;
        }
        let known: Vec<&'static str> = match above {
            Some(Shape::Map(fields)) => fields.iter().map(|field| field.name).collect(),
            Some(Shape::OneOf(kinds)) => kinds.iter().map(|(word, _)| *word).collect(),
            _ => vec![],
        };
        let problem = Problem::new(format!(
            "the axis `{name}` leads nowhere: `{}` has no `{}`",
            node.name,
            path[n - 1]
        ));
        return Err(match words::nearest(path[n - 1], known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("known there: {}", words::alternatives(&known))),
        });
    }
    Ok(())
}
