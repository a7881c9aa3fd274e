//! Settings and the keys of inputs → a node's [`Key`]. One function, [`identity`], lists what
//! enters; the hash and the explanation both read that list, so they cannot disagree.

use crate::settings::{Decay, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// The identity of a node: equal work has an equal key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of an identity.
    pub fn of(identity: &Value) -> Self {
        Self::of_text(&canonical(identity))
    }

    /// The key of an identity in canonical JSON.
    pub fn of_text(identity: &str) -> Self {
        Self(*blake3::hash(identity.as_bytes()).as_bytes())
    }

    /// All 64 hex digits.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        self.push_hex(&mut text);
        text
    }

    /// The first 12 hex digits, as in folder names.
    pub fn short(&self) -> String {
        let mut text = String::with_capacity(12);
        push_digits(&self.0[..6], &mut text);
        text
    }

    fn push_hex(&self, text: &mut String) {
        push_digits(&self.0, text);
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

fn push_digits(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// What a node reads in one role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// The role, such as `data`.
    pub role: &'static str,
    /// The node there.
    pub key: Key,
    /// The port that is read.
    pub port: &'static str,
}

/// The inputs of a node, sorted by role; a role that collects has several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(Vec<Input>);

impl Inputs {
    /// Sorts inputs; those of one role by key, so that the order of points does not matter.
    pub fn new(mut inputs: Vec<Input>) -> Self {
        inputs.sort();
        inputs.dedup();
        Self(inputs)
    }

    /// The input with a role, the first of several.
    pub fn get(&self, role: &str) -> Option<&Input> {
        self.0.iter().find(|input| input.role == role)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Input> {
        self.0.iter()
    }

    /// All of them, each with a name of its own: its role, and where a role has several a number too.
    pub fn named(&self) -> Vec<(String, &Input)> {
        self.by_role()
            .flat_map(|inputs| {
                inputs.iter().enumerate().map(|(i, input)| match inputs.len() {
                    1 => (input.role.to_owned(), input),
                    _ => (format!("{}.{i}", input.role), input),
                })
            })
            .collect()
    }

    fn by_role(&self) -> impl Iterator<Item = &[Input]> {
        self.0.chunk_by(|a, b| a.role == b.role)
    }
}

/// All that a key is made of, as canonical JSON: kind, revision of the kind, semantic settings (as
/// [`settings_text`] writes them) and inputs. The one writer of identities: what people are shown is
/// this text, read again.
pub fn identity_text(word: &str, revision: u32, settings: &str, inputs: &Inputs) -> String {
    let mut text = String::with_capacity(settings.len() + 128 * (1 + inputs.0.len()));
    text.push_str("{\"inputs\":{");
    for (i, inputs) in inputs.by_role().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push('"');
        text.push_str(inputs[0].role);
        text.push_str("\":");
        let several = inputs.len() > 1;
        text.push_str(if several { "[" } else { "" });
        for (j, input) in inputs.iter().enumerate() {
            if j > 0 {
                text.push(',');
            }
            text.push_str("{\"key\":\"");
            input.key.push_hex(&mut text);
            text.push_str("\",\"port\":\"");
            text.push_str(input.port);
            text.push_str("\"}");
        }
        text.push_str(if several { "]" } else { "" });
    }
    text.push_str("},\"kind\":\"");
    text.push_str(word);
    text.push_str("\",\"revision\":");
    text.push_str(&revision.to_string());
    text.push_str(",\"settings\":");
    text.push_str(settings);
    text.push('}');
    text
}

/// The semantic settings as they enter a key; and for a training those without its length, as they
/// enter the key of its trajectory. Nulls are left out: absent settings, and references, which the
/// inputs stand for.
pub fn settings_text(settings: &Settings) -> (String, Option<String>) {
    let semantic = settings.semantic();
    let without = |names: &[&str]| {
        let mut text = String::with_capacity(1024);
        push_filled(&semantic, names, &mut text);
        text
    };
    let trajectory = match settings {
        // Where the learning rate depends on the length, so does every step.
        Settings::Train(train) if train.decay == Decay::Cosine => Some(without(&[])),
        Settings::Train(_) => Some(without(&["steps", "epochs"])),
        _ => None,
    };
    (without(&[]), trajectory)
}

/// The word that stands for the kind in the identity of a trajectory.
pub const TRAJECTORY: &str = "trajectory";

/// All that a key is made of, for people and for comparison.
pub fn identity(settings: &Settings, inputs: &Inputs) -> Value {
    let (kind, (text, _)) = (settings.kind(), settings_text(settings));
    let text = identity_text(kind.word(), kind.revision(), &text, inputs);
    serde_json::from_str(&text).expect("canonical JSON is JSON")
}

/// JSON with sorted keys and one way to write each number.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    push_canonical(value, &mut text);
    text
}

fn push_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => push_map(map.iter().collect(), text, push_canonical),
        Value::Array(items) => {
            text.push('[');
            for (i, inner) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                push_canonical(inner, text);
            }
            text.push(']');
        }
        Value::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15 => {
                text.push_str(&(f as i64).to_string());
            }
            _ => text.push_str(&n.to_string()),
        },
        Value::String(inner) => push_string(inner, text),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Null => text.push_str("null"),
    }
}

/// Canonical JSON of a map, its members written by `push`.
fn push_map(
    mut members: Vec<(&String, &Value)>,
    text: &mut String,
    push: impl Fn(&Value, &mut String),
) {
    members.sort_unstable_by_key(|(key, _)| *key);
    text.push('{');
    for (i, (key, inner)) in members.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        push_string(key, text);
        text.push(':');
        push(inner, text);
    }
    text.push('}');
}

/// Canonical JSON without the members that are null, nor those of the outermost map with these names.
fn push_filled(value: &Value, without: &[&str], text: &mut String) {
    match value {
        Value::Object(map) => {
            let kept = |(key, inner): &(&String, &Value)| {
                !inner.is_null() && !without.contains(&key.as_str())
            };
            let members = map.iter().filter(kept).collect();
            push_map(members, text, |inner, text| push_filled(inner, &[], text));
        }
        other => push_canonical(other, text),
    }
}

fn push_string(inner: &str, text: &mut String) {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\' || byte == b' ';
    if inner.bytes().all(plain) {
        text.push('"');
        text.push_str(inner);
        text.push('"');
    } else {
        text.push_str(&json!(inner).to_string());
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
    use crate::settings::Kind;

    fn train(extra: Value) -> Settings {
        let mut body = json!({ "data": "maps", "steps": 2000 });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Settings::from_full(Kind::Train, &body).unwrap()
    }

    fn key(settings: &Settings) -> Key {
        Key::of(&identity(settings, &Inputs::default()))
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
        let identity = identity(&read(json!({ "clip": "off" })), &Inputs::default());
        assert!(!canonical(&identity).contains("clip"), "{identity}");
        assert_ne!(key(&read(json!({ "clip": 1.0 }))), key(&read(json!({}))));
    }

    #[test]
    fn the_trajectory_forgets_the_length() {
        let of = |settings: &Settings| settings_text(settings).1.unwrap();
        assert_eq!(of(&train(json!({}))), of(&train(json!({ "steps": 5 }))));
        assert_ne!(of(&train(json!({}))), of(&train(json!({ "seed": 5 }))));
        let cosine = |steps: u64| of(&train(json!({ "steps": steps, "decay": "cosine" })));
        assert_ne!(cosine(5), cosine(6), "its rate depends on the length");
    }

    #[test]
    fn changes_name_the_field_with_both_values() {
        let (a, b) = (train(json!({})), train(json!({ "seed": 3 })));
        let found = changes(&identity(&a, &Inputs::default()), &identity(&b, &Inputs::default()));
        let want =
            Change { path: "settings.seed".into(), old: Some("0".into()), new: Some("3".into()) };
        assert_eq!(found, [want]);
    }
}
