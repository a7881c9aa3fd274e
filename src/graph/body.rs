//! The body of a node at a point: the changes of the point made, variables filled in, and the way
//! from each value back to where it stands in the spec.

use crate::expand::{Change, Target};
use crate::problem::Problem;
use crate::settings::{Found, Reader, Shape, Step, variable};
use crate::spec::{Declaration, Spec, shape_below};
use crate::words;
use serde_json::Value;
use std::sync::Arc;

/// Where parts of a body that were put in from elsewhere stand in the spec.
pub(super) type Moved = Vec<(Vec<Step>, Vec<Step>)>;

/// The settings of a node at a point, as written: changes made, variables filled in.
pub(super) fn at(
    spec: &Spec,
    node: &Declaration,
    changes: &[Arc<Change>],
    reader: &mut Reader,
) -> (Value, Moved) {
    let mut body = node.body.clone();
    let mut moved = node.moved.clone();
    let mut paths: Vec<_> = changes
        .iter()
        .filter_map(|change| match &change.target {
            Target::Setting(name, path) if *name == node.name || *name == node.written => {
                Some((path, change))
            }
            _ => None,
        })
        .collect();
    // Parents are set before children.
    paths.sort_by_key(|(path, _)| path.len());
    for (path, change) in paths {
        if let Some((at, chosen)) = other_variant(node, &body, path) {
            let (node, path) = (&node.written, path.join("."));
            let sentence = format!(
                "`{node}.{at}` is `{chosen}` at some point, so `{node}.{path}` leads nowhere"
            );
            let problem = Problem::new(sentence);
            let help = format!(
                "let the axis exist only there: {{ when: …, values: … }}, or vary `{node}.{at}`"
            );
            let found = Found { value: &Value::Null, path: change.path.clone() };
            reader.wrong::<()>(&found, problem.help(help));
            continue;
        }
        set(&mut body, path, change.value.clone());
        // A change brings the key along with its value, unlike a variable.
        let mut key = crate::settings::keys(path);
        moved.push((key.clone(), change.path.clone()));
        if let Some(Step::Key(name)) = key.pop() {
            key.push(Step::Name(name));
            moved.push((key, change.path.clone()));
        }
    }
    fill(spec, node, changes, &mut body, &mut vec![], &mut moved, reader);
    (body, moved)
}

/// The place on a path where another variant is chosen than the path goes through, and that variant.
fn other_variant(node: &Declaration, body: &Value, path: &[String]) -> Option<(String, String)> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let mut value = body;
    for n in 0..words.len() {
        if let Some(Shape::OneOf(kinds)) = shape_below(node.kind.shape(), &words[..n]) {
            let chosen = match value {
                Value::String(word) => Some(word),
                Value::Object(map) => map.keys().next(),
                _ => None,
            };
            let is_other =
                |word: &&String| *word != words[n] && kinds.iter().any(|(kind, _)| kind == word);
            if let Some(chosen) = chosen.filter(is_other) {
                return Some((words[..n].join("."), chosen.clone()));
            }
        }
        value = value.get(words[n])?;
    }
    None
}

/// Sets the value at a path, making maps on the way; a bare word becomes the kind it stands for.
fn set(body: &mut Value, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *body = value;
        return;
    };
    if let Value::String(word) = body {
        *body = serde_json::json!({ word.clone(): {} });
    }
    if !body.is_object() {
        *body = serde_json::json!({});
    }
    if let Value::Object(map) = body {
        set(map.entry(first.clone()).or_insert(Value::Null), rest, value);
    }
}

/// Puts the values of variables where `$name` stands.
fn fill(
    spec: &Spec,
    node: &Declaration,
    changes: &[Arc<Change>],
    value: &mut Value,
    at: &mut Vec<Step>,
    moved: &mut Moved,
    reader: &mut Reader,
) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                at.push(Step::Key(key.clone()));
                fill(spec, node, changes, inner, at, moved, reader);
                at.pop();
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter_mut().enumerate() {
                at.push(Step::Item(i));
                fill(spec, node, changes, inner, at, moved, reader);
                at.pop();
            }
        }
        Value::String(text) => {
            let Some(name) = variable(text).map(str::to_owned) else {
                // A second `$` says that none is meant.
                if text.strip_prefix('$').is_some_and(|rest| variable(rest).is_some()) {
                    text.remove(0);
                }
                return;
            };
            let is = |change: &&Arc<Change>| matches!(&change.target, Target::Var(n) if *n == name);
            let changed = changes.iter().find(is);
            match (changed, spec.vars.get(&name)) {
                (Some(change), _) => {
                    *value = change.value.clone();
                    moved.push((at.clone(), change.path.clone()));
                }
                (None, Some(written)) => {
                    *value = written.clone();
                    moved.push((at.clone(), crate::settings::keys(&["vars", &name])));
                }
                (None, None) => {
                    let problem = Problem::new(format!("there is no variable `{name}`"));
                    let near = words::nearest(&name, spec.vars.keys().map(String::as_str));
                    let help = near.map_or_else(
                        || format!("add `vars: {{ {name}: … }}`"),
                        |n| format!("did you mean `${n}`?"),
                    );
                    let found = Found { value: &Value::Null, path: origin(node, moved, at) };
                    reader.wrong::<()>(&found, problem.help(help));
                }
            }
        }
        _ => {}
    }
}

/// The path in the merged spec of a path in a node's body at some point.
pub(super) fn origin(node: &Declaration, moved: &Moved, path: &[Step]) -> Vec<Step> {
    let known = moved
        .iter()
        .rev()
        .filter(|(from, _)| path.starts_with(from))
        .max_by_key(|(from, _)| from.len());
    match known {
        Some((from, to)) => to.iter().chain(&path[from.len()..]).cloned().collect(),
        None => node.path.iter().chain(path).cloned().collect(),
    }
}
