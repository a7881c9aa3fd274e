//! The tables of settings → the JSON Schema (draft 2020-12) of a spec, for completion and checks in
//! editors. It is made of the tables that the reader uses, so it cannot fall behind. What takes more
//! than one value to decide, such as whether a reference leads anywhere, is for the reader alone.

use crate::settings::{Best, Field, Kind, Setting, Shape};
use crate::spec::{FigureSpec, RunSettings, TableSpec};
use serde_json::{Map, Value, json};

/// Where a value stands, which decides whether `$name` may stand for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// The settings of a node, where variables are filled in.
    Node,
    /// Anything else.
    Outputs,
}

/// A count as people write it: `2000`, `2k`, `1e5`.
const COUNT: &str = r"^\s*\+?[0-9._]+([eE]\+?[0-9]+)?\s*[kMG]?\s*$";

/// A number that a YAML reader may take for a word: `1e-4`, `1_000`.
const NUMBER: &str = r"^\s*[-+]?[0-9._]+([eE][-+]?[0-9]+)?\s*$";

/// Passes over the data: `2 epochs`.
const EPOCHS: &str = r"^\s*\+?[0-9._]+([eE]\+?[0-9]+)?\s*[kMG]?\s*epochs?\s*$";

/// A span of time: `30s`, `2m`, `12h`.
const DURATION: &str = r"^\s*\+?[0-9._]+([eE][-+]?[0-9]+)?\s*(ms|s|min|m|h|d)?\s*$";

/// The schema of a whole spec.
pub fn spec() -> Value {
    let parts = [
        ("question", text("The question that the experiment answers, in one sentence.")),
        ("vars", named("The baseline values of variables; `$name` puts one in.", json!({}))),
        ("nodes", named("The pieces of work, by name.", node())),
        ("sweeps", named("What varies, by name of the sweep.", sweep())),
        (
            "figures",
            named("The figures, by name.", value(&FigureSpec::shape(), None, Within::Outputs)),
        ),
        (
            "tables",
            named("The tables, by name.", value(&TableSpec::shape(), None, Within::Outputs)),
        ),
        (
            "labels",
            named(
                "What axes, their values and metrics are called in figures and tables, by name; `$…$` is mathematics.",
                json!({ "type": "string" }),
            ),
        ),
        (
            "profiles",
            named("What `--profile NAME` puts above the spec.", json!({ "type": "object" })),
        ),
    ];
    let mut schema = closed(parts.map(|(name, part)| (name.to_owned(), part)));
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("A spec of ablate");
    schema["description"] = json!("One experiment: a question, the work that answers it, figures.");
    // A fragment may bring them.
    schema["if"] = json!({ "not": { "required": ["use"] } });
    schema["then"] = json!({ "required": ["question", "nodes"] });
    schema["$defs"] = json!({
        "use": {
            "type": "string",
            "minLength": 1,
            "description": "A file whose map is merged beneath the keys written here; relative to this file.",
        },
        "variable": {
            "type": "string",
            "pattern": r"^\$.+$",
            "description": "The value of a variable.",
        },
        "reference": reference(),
        "points": points(),
        "values": axis_values(),
    });
    schema
}

/// What a node reads.
fn reference() -> Value {
    let name = json!({ "type": "string", "pattern": r"^[^.\s]+(\.[^.\s]+)*$" });
    let best = value(&Best::shape(), None, Within::Outputs);
    let parts = [
        ("node", name.clone()),
        ("at", named("Axes that have other values there.", json!({}))),
        (
            "over",
            described(
                "Reads the nodes over these axes at once, or over `all`.",
                json!({ "type": ["string", "array"] }),
            ),
        ),
        ("best", described("Which nodes of a sweep are read.", best)),
    ];
    let map = closed(parts.map(|(name, part)| (name.to_owned(), part)));
    described(
        "`node` or `node.port`, or a map that pins, collects or chooses.",
        json!({ "anyOf": [name, map] }),
    )
}

/// A declared node: one kind and how it runs.
fn node() -> Value {
    let mut parts: Vec<(String, Value)> =
        Kind::ALL.into_iter().map(|kind| (kind.word().to_owned(), kind_body(kind))).collect();
    let run = value(&RunSettings::shape(), None, Within::Outputs);
    parts.push(("run".to_owned(), described("How it runs; never part of its identity.", run)));
    at_most_one(closed(parts), Kind::ALL.map(Kind::word))
}

/// The settings of a kind as written in a spec.
fn kind_body(kind: Kind) -> Value {
    let shape = match kind.shape() {
        Shape::Map(fields) if kind == Kind::Evaluate => return evaluate(fields),
        other => other,
    };
    value(&shape, None, Within::Node)
}

/// An evaluate node is written with several `measures`, each of which becomes a node.
fn evaluate(fields: Vec<Field>) -> Value {
    let mut parts = vec![];
    for field in fields {
        if field.name != "measure" {
            parts.push((field.name.to_owned(), setting(&field, Within::Node)));
            continue;
        }
        let one = value(&field.shape, None, Within::Node);
        let list = json!({ "type": "array", "items": one, "minItems": 1 });
        let named = json!({ "type": "object", "additionalProperties": one, "minProperties": 1 });
        let both = json!({ "anyOf": [list, named] });
        parts.push((
            "measures".to_owned(),
            described("A list of measures, or name: measure; each is a node of its own.", both),
        ));
    }
    nullable(closed(parts))
}

/// The operators of a sweep.
const OPERATORS: [&str; 5] = ["product", "zip", "one_at_a_time", "points", "union"];

/// A sweep: one operator, filters, a baseline, and seeds.
fn sweep() -> Value {
    let count = number(&json!({ "type": "integer" }), Some((1.0, 1e6)), COUNT);
    let seed = number(&json!({ "type": "integer" }), Some((0.0, 9e15)), COUNT);
    let list = json!({ "type": "array", "items": seed, "minItems": 1, "uniqueItems": true });
    let word = json!({ "type": "string", "minLength": 1 });
    let words = json!({ "type": "array", "items": word, "minItems": 1 });
    let beside = [
        ("baseline", named("What the baseline has that the spec as written has not.", json!({}))),
        (
            "seeds",
            described(
                "Seeds that replace `vars.seed` at every point: a number or a list.",
                json!({ "anyOf": [count, list] }),
            ),
        ),
        (
            "over",
            described(
                "The variables that seeds replace, `seed` by default.",
                json!({ "anyOf": [word, words] }),
            ),
        ),
    ];
    let beside = beside.map(|(name, part)| (name.to_owned(), part));
    at_most_one(closed(operators().into_iter().chain(beside)), OPERATORS)
}

/// A set of points within another.
fn points() -> Value {
    at_most_one(closed(operators()), OPERATORS)
}

/// The operators, and what filters their points.
fn operators() -> Vec<(String, Value)> {
    let inner = json!({ "anyOf": [{ "$ref": "#/$defs/points" }, { "type": "object" }] });
    let list = json!({ "type": "array", "items": inner, "minItems": 1 });
    let axes = named("Axes, each with its values.", json!({ "$ref": "#/$defs/values" }));
    let parts = json!({ "anyOf": [axes, list] });
    let file = closed([
        ("file".to_owned(), json!({ "type": "string", "minLength": 1 })),
        ("columns".to_owned(), json!({ "type": ["array", "object"] })),
    ]);
    let point = json!({ "type": "object", "minProperties": 1 });
    let rows = json!({ "type": "array", "items": point, "minItems": 1 });
    let rows = json!({ "anyOf": [rows, { "type": "string", "minLength": 1 }, file] });
    let one = condition();
    let condition = json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] });
    let variation =
        named("The baseline, and each variation alone: changes, or an axis.", json!({}));
    [
        ("product", described("Every combination of the values of all axes.", parts.clone())),
        (
            "zip",
            described("The first values together, the second ones together, and so on.", parts),
        ),
        ("one_at_a_time", variation),
        ("points", described("Points as listed, here or in a CSV or JSON file.", rows)),
        ("union", described("The points of all of these.", list)),
        ("where", described("Keeps the points where this holds.", condition.clone())),
        ("exclude", described("Leaves out the points where this holds.", condition)),
    ]
    .map(|(name, part)| (name.to_owned(), part))
    .to_vec()
}

/// A condition as text, or as a map of values.
fn condition() -> Value {
    json!({ "anyOf": [
        { "type": "string", "minLength": 1 },
        { "type": "object", "minProperties": 1 },
    ] })
}

/// The values of an axis: a list, or a map of labels, cases or a range.
fn axis_values() -> Value {
    let list = json!({ "type": "array", "minItems": 1, "uniqueItems": true });
    json!({ "anyOf": [list, { "type": "object", "minProperties": 1 }] })
}

/// One setting of a map: its value, sentence and default.
fn setting(field: &Field, within: Within) -> Value {
    let mut schema = described(field.doc.trim(), value(&field.shape, field.limits, within));
    if field.off {
        schema =
            described(field.doc.trim(), json!({ "anyOf": [{ "enum": ["off", false] }, schema] }));
    }
    if let Some(default) = field.default.as_ref().filter(|default| !default.is_null()) {
        schema["default"] = default.clone();
    }
    schema
}

/// A value of a shape; null stands for an absent one, and removes what a fragment says.
fn value(shape: &Shape, limits: Option<(f64, f64)>, within: Within) -> Value {
    let mut forms = match shape {
        Shape::Scalar(words) => scalar(words, limits),
        Shape::Words(words) => vec![json!({ "enum": words })],
        Shape::Map(fields) => {
            vec![closed(fields.iter().map(|field| (field.name.to_owned(), setting(field, within))))]
        }
        Shape::OneOf(kinds) => one_kind(kinds, within),
        Shape::List(inner) => {
            vec![json!({ "type": "array", "items": value(inner, None, within) })]
        }
        Shape::Any(shapes) => shapes.iter().map(|shape| value(shape, limits, within)).collect(),
        Shape::Reference => vec![json!({ "$ref": "#/$defs/reference" })],
        Shape::Free(words) if words.starts_with("map") => vec![json!({ "type": "object" })],
        Shape::Free(_) => vec![json!({ "type": ["string", "number", "boolean"] })],
    };
    if within == Within::Node {
        forms.push(json!({ "$ref": "#/$defs/variable" }));
    }
    forms.push(json!({ "type": "null" }));
    json!({ "anyOf": forms })
}

/// The forms of a scalar, told from the words that the docs use for it.
fn scalar(words: &str, limits: Option<(f64, f64)>) -> Vec<Value> {
    let off = words.contains("`off`").then(|| json!({ "enum": ["off", false] }));
    let form = match words.split(" or `").next().unwrap_or(words) {
        "whole number" => {
            number(&json!({ "type": "integer" }), limits.or(Some((0.0, 9e15))), COUNT)
        }
        "steps or epochs" => {
            let steps = number(&json!({ "type": "integer" }), limits, COUNT);
            json!({ "anyOf": [steps, { "type": "string", "pattern": EPOCHS }] })
        }
        "number" => number(&json!({ "type": "number" }), limits, NUMBER),
        "duration" => number(&json!({ "type": "number" }), Some((0.0, f64::MAX)), DURATION),
        "condition" => condition(),
        "true or false" => json!({ "enum": [true, false, "on", "off"] }),
        _ => json!({ "type": "string", "minLength": 1 }),
    };
    [form].into_iter().chain(off).collect()
}

/// A number within limits, or the same written as a word.
fn number(plain: &Value, limits: Option<(f64, f64)>, pattern: &str) -> Value {
    let mut plain = plain.clone();
    if let Some((smallest, largest)) = limits {
        plain["minimum"] = json!(smallest);
        if largest < f64::MAX {
            plain["maximum"] = json!(largest);
        }
    }
    json!({ "anyOf": [plain, { "type": "string", "pattern": pattern }] })
}

/// A one-kind map, or the word alone.
fn one_kind(kinds: &[(&'static str, Shape)], within: Within) -> Vec<Value> {
    let words: Vec<&str> = kinds.iter().map(|(word, _)| *word).collect();
    let parts = kinds.iter().map(|(word, shape)| ((*word).to_owned(), value(shape, None, within)));
    vec![json!({ "enum": words }), at_most_one(closed(parts), words.iter().copied())]
}

/// A map of these keys and `use:`, and no others.
fn closed(parts: impl IntoIterator<Item = (String, Value)>) -> Value {
    let mut properties: Map<String, Value> = parts.into_iter().collect();
    properties.insert("use".to_owned(), json!({ "$ref": "#/$defs/use" }));
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A map whose keys the user chooses.
fn named(description: &str, each: Value) -> Value {
    let map = json!({
        "type": "object",
        "properties": { "use": { "$ref": "#/$defs/use" } },
        "additionalProperties": nullable(each),
    });
    described(description, map)
}

/// Of these keys, one at most: a fragment may bring it.
fn at_most_one(mut map: Value, words: impl IntoIterator<Item = &'static str>) -> Value {
    let has = |word| json!({ "required": [word] });
    let mut cases: Vec<Value> = words.into_iter().map(has).collect();
    cases.push(json!({ "not": { "anyOf": cases } }));
    map["oneOf"] = Value::Array(cases);
    map
}

fn nullable(schema: Value) -> Value {
    match &schema {
        Value::Object(map) if map.is_empty() => schema,
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

fn described(description: &str, mut schema: Value) -> Value {
    schema["description"] = json!(description);
    schema
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schemas of a property, wherever they stand.
    fn properties<'s>(schema: &'s Value, name: &str, out: &mut Vec<&'s Value>) {
        match schema {
            Value::Object(map) => {
                out.extend(map.get("properties").and_then(|known| known.get(name)));
                map.values().for_each(|inner| properties(inner, name, out));
            }
            Value::Array(items) => items.iter().for_each(|inner| properties(inner, name, out)),
            _ => {}
        }
    }

    #[test]
    fn a_setting_has_its_sentence_limits_and_default() {
        let schema = spec();
        let mut found = vec![];
        properties(&schema, "timesteps", &mut found);
        let [timesteps] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(timesteps["description"], "Number of noise levels T.");
        assert_eq!(timesteps["default"], 1000);
        let plain = &timesteps["anyOf"][0]["anyOf"][0];
        assert_eq!((&plain["minimum"], &plain["maximum"]), (&json!(2.0), &json!(1e5)));
    }

    #[test]
    fn every_description_is_a_sentence() {
        fn walk(schema: &Value) {
            if let Some(text) = schema.get("description").and_then(Value::as_str) {
                assert!(text.ends_with(['.', ';']) || text.contains(". "), "{text}");
            }
            match schema {
                Value::Object(map) => map.values().for_each(walk),
                Value::Array(items) => items.iter().for_each(walk),
                _ => {}
            }
        }
        walk(&spec());
    }
}
