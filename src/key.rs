//! Settings and the keys of inputs → a node's [`Key`]. One function, [`identity`], lists what
//! enters; the hash and the explanation both read that list, so they cannot disagree.

use crate::settings::{Kind, Settings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// The identity of a node: equal work has an equal key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of an identity.
    pub fn of(identity: &Value) -> Self {
        Self(*blake3::hash(canonical(identity).as_bytes()).as_bytes())
    }

    /// All 64 hex digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first 12 hex digits, as in folder names.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Reads what [`Key::hex`] wrote.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// The inputs of a node by role: the key of the node there, and the port that is read.
pub type Inputs = BTreeMap<&'static str, (Key, String)>;

/// All that a key is made of: kind, revision of the kind, semantic settings, inputs.
pub fn identity(settings: &Settings, inputs: &Inputs) -> Value {
    build(settings.kind().word(), settings.kind(), strip_empty(settings.semantic()), inputs)
}

/// The identity of a training's trajectory: that of the train node without its length.
pub fn trajectory(settings: &Settings, inputs: &Inputs) -> Option<Value> {
    let Settings::Train(_) = settings else { return None };
    let mut semantic = strip_empty(settings.semantic());
    for length in ["steps", "epochs"] {
        semantic.as_object_mut().map(|map| map.remove(length));
    }
    Some(build("trajectory", Kind::Train, semantic, inputs))
}

fn build(word: &str, kind: Kind, settings: Value, inputs: &Inputs) -> Value {
    let inputs: Map<String, Value> = inputs
        .iter()
        .map(|(role, (key, port))| ((*role).to_owned(), json!({ "key": key.hex(), "port": port })))
        .collect();
    json!({ "kind": word, "revision": kind.revision(), "settings": settings, "inputs": inputs })
}

/// Leaves out nulls: absent settings, and references, which the inputs stand for.
fn strip_empty(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k, strip_empty(v)))
                .collect(),
        ),
        other => other,
    }
}

/// JSON with sorted keys and one way to write each number.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let inner: Vec<String> =
                sorted.iter().map(|(k, v)| format!("{}:{}", json!(k), canonical(v))).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15 => format!("{}", f as i64),
            _ => n.to_string(),
        },
        other => other.to_string(),
    }
}

/// An identity as lines `path → value`, for people and for comparison.
pub fn explain(identity: &Value) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    flatten(identity, String::new(), &mut lines);
    lines
}

fn flatten(value: &Value, path: String, lines: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(inner, path, lines);
            }
        }
        Value::String(text) => {
            lines.insert(path, text.clone());
        }
        leaf => {
            lines.insert(path, canonical(leaf));
        }
    }
}

/// One line of an identity that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path in the identity, such as `settings.steps`.
    pub path: String,
    /// The value of the other node, if it has the line.
    pub old: Option<String>,
    /// The value of this node, if it has the line.
    pub new: Option<String>,
}

/// What differs from `old` to `new`.
pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let (old, new) = (explain(old), explain(new));
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| Change {
            path: path.clone(),
            old: old.get(path).cloned(),
            new: new.get(path).cloned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(extra: Value) -> Settings {
        let mut body = json!({ "data": "maps", "steps": 2000 });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Settings::from_full(Kind::Train, &body).unwrap()
    }

    fn key(settings: &Settings) -> Key {
        Key::of(&identity(settings, &Inputs::new()))
    }

    #[test]
    fn numbers_units_and_key_order_do_not_matter() {
        let a = train(
            json!({ "optimizer": { "adamw": { "learning_rate": "1e-4", "beta_1": 0.9 } }, "batch": 64 }),
        );
        let b = train(
            json!({ "batch": "64", "optimizer": { "adamw": { "beta_1": 0.9, "learning_rate": 0.0001 } } }),
        );
        assert_eq!(key(&a), key(&b));
        assert_eq!(key(&train(json!({ "steps": "2k" }))), key(&train(json!({}))));
    }

    #[test]
    fn what_is_semantic_changes_the_key_and_a_default_written_out_does_not() {
        let plain = train(json!({}));
        assert_ne!(key(&plain), key(&train(json!({ "seed": 1 }))));
        assert_eq!(key(&plain), key(&train(json!({ "batch": 64, "ema": 0.999 }))));
        assert_eq!(
            key(&plain),
            key(&train(json!({ "data": "other" }))),
            "inputs enter by key, not by name"
        );
    }

    #[test]
    fn a_neutral_value_is_left_out() {
        let read = |sampler: Value| {
            Settings::from_full(
                Kind::Sample,
                &json!({ "from": "net", "sampler": { "ddim": sampler } }),
            )
            .unwrap()
        };
        let identity = identity(&read(json!({ "clip": "off" })), &Inputs::new());
        assert!(!canonical(&identity).contains("clip"), "{identity}");
        assert_ne!(key(&read(json!({ "clip": 1.0 }))), key(&read(json!({}))));
    }

    #[test]
    fn the_trajectory_forgets_the_length() {
        let of = |settings: &Settings| Key::of(&trajectory(settings, &Inputs::new()).unwrap());
        assert_eq!(of(&train(json!({}))), of(&train(json!({ "steps": 5 }))));
        assert_ne!(of(&train(json!({}))), of(&train(json!({ "seed": 5 }))));
    }

    #[test]
    fn changes_name_the_field_with_both_values() {
        let (a, b) = (train(json!({})), train(json!({ "seed": 3 })));
        let found = changes(&identity(&a, &Inputs::new()), &identity(&b, &Inputs::new()));
        let want =
            Change { path: "settings.seed".into(), old: Some("0".into()), new: Some("3".into()) };
        assert_eq!(found, [want]);
    }
}
