//! What a program leaves: the files that it promised, and its numbers in the forms that all nodes have.

use crate::files::write_artefact;
use crate::job::{Better, Job, Metric, Metrics, Series, SeriesFile};
use crate::problem::{Problem, Result};
use crate::settings::Command;
use crate::words;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Bytes of `metrics.json` and of `series.json` that are read.
const MOST: u64 = 64 << 20;

/// Checks what is in the folder, and brings its numbers into form.
///
/// # Errors
/// If something that was promised is missing, or cannot be understood.
pub(super) fn check(work: &Path, command: &Command) -> Result<()> {
    let missing: Vec<&String> =
        command.outputs.iter().filter(|output| !work.join(output.as_str()).exists()).collect();
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let sentence =
            format!("the program ended well, but left no {} in ABLATE_OUT", names.join(", "));
        return Err(Problem::new(sentence));
    }
    let metrics = read(work, "metrics.json")?.map(|map| metrics(&map, command)).transpose()?;
    let known = metrics.as_ref();
    for name in command.metrics.0.keys() {
        if !known.is_some_and(|metrics| metrics.contains_key(name)) {
            let problem =
                Problem::new(format!("the program ended well, but `metrics.json` has no `{name}`"));
            let found: Vec<&str> =
                known.into_iter().flat_map(|m| m.keys()).map(String::as_str).collect();
            return Err(match found.is_empty() {
                true => problem.help("it writes it into ABLATE_OUT"),
                false => problem.help(format!("it has {}", words::alternatives(&found))),
            });
        }
    }
    let series = read(work, "series.json")?.map(|map| series(&map)).transpose()?;
    let write =
        |name: &str, text: String| write_artefact(&work.join(name), (text + "\n").as_bytes());
    if let Some(metrics) = metrics {
        write("metrics.json", serde_json::to_string_pretty(&metrics).expect("numbers"))?;
    }
    if let Some(series) = series {
        write("series.json", serde_json::to_string(&series).expect("numbers"))?;
    }
    Ok(())
}

/// Samples are items of a dataset: where a program leaves `samples.npy` and needs one, what that says of its items is
/// put beside them, so that they are measured and drawn as those of a sample node are.
///
/// # Errors
/// If it cannot be written.
pub(super) fn describe(job: &Job) -> Result<()> {
    const MANIFEST: &str = "dataset.json";
    if !job.work.join("samples.npy").exists() || job.work.join(MANIFEST).exists() {
        return Ok(());
    }
    let manifests = job.inputs.values().map(|input| input.folder.join(MANIFEST));
    match manifests.into_iter().find_map(|path| fs::read(path).ok()) {
        Some(manifest) => write_artefact(&job.work.join(MANIFEST), &manifest),
        None => Ok(()),
    }
}

/// A map from a JSON file, if it is there.
fn read(work: &Path, name: &str) -> Result<Option<Map<String, Value>>> {
    let path = work.join(name);
    let Ok(meta) = fs::metadata(&path) else { return Ok(None) };
    if meta.len() > MOST {
        let what = format!(
            "{name} has {}, which is more than {}",
            words::bytes(meta.len()),
            words::bytes(MOST)
        );
        return Err(Problem::new(what).help("large arrays belong into .npy files"));
    }
    let text = fs::read_to_string(&path).map_err(|e| Problem::os("read", &path, &e))?;
    let wrong = |why: String| {
        let problem = Problem::new(format!("{name} cannot be understood: {why}"));
        problem.help("numbers that are not finite are written as null")
    };
    match serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))? {
        Value::Object(map) => Ok(Some(map)),
        _ => Err(wrong("it is no map of names".to_owned())),
    }
}

/// `{ "error": 0.1 }` or `{ "error": { "value": 0.1, "unit": "px", "better": "lower" } }`.
fn metrics(map: &Map<String, Value>, command: &Command) -> Result<Metrics> {
    let metric = |(name, written): (&String, &Value)| {
        let part = |key: &str| written.get(key).and_then(Value::as_str).unwrap_or_default();
        let number = match written {
            Value::Object(map) => map.get("value").unwrap_or(&Value::Bool(false)),
            other => other,
        };
        let value = match number {
            Value::Null => f64::NAN,
            Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
            _ => {
                let what = format!("metrics.json: `{name}` is no number");
                return Err(
                    Problem::new(what).help("write 0.5, or { \"value\": 0.5, \"unit\": \"px\" }")
                );
            }
        };
        let better = match (command.metrics.0.contains_key(name), part("better")) {
            (false, "lower") => Better::Lower,
            (false, "higher") => Better::Higher,
            _ => Better::of(command.smaller_is_better(name)),
        };
        Ok((name.clone(), Metric { value, unit: part("unit").to_owned(), better }))
    };
    map.iter().map(metric).collect()
}

/// `{ "loss": [3, 2, 1] }`, `{ "loss": { "x": […], "y": […] } }`, or with units and more columns as nodes of ours
/// write them.
fn series(map: &Map<String, Value>) -> Result<SeriesFile> {
    map.iter().map(|(name, written)| Ok((name.clone(), curve(name, written)?))).collect()
}

fn curve(name: &str, written: &Value) -> Result<Series> {
    let wrong = |why: &str| {
        let problem = Problem::new(format!("series.json: `{name}` {why}"));
        problem.help("write [3, 2, 1], or { \"x\": […], \"y\": […] }")
    };
    let numbers = |value: &Value| -> Option<Vec<f64>> {
        let number = |value: &Value| match value {
            Value::Null => Some(f64::NAN),
            other => other.as_f64(),
        };
        value.as_array()?.iter().map(number).collect()
    };
    let unit = |key: &str| written.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let listed = match written {
        Value::Array(_) => {
            let y = numbers(written).ok_or_else(|| wrong("holds what is no number"))?;
            columns.insert("x".to_owned(), (1..=y.len()).map(|i| i as f64).collect());
            columns.insert("mean".to_owned(), y);
            Map::new()
        }
        Value::Object(map) => match map.get("columns") {
            Some(Value::Object(columns)) => columns.clone(),
            _ => map
                .iter()
                .filter(|(key, _)| !key.ends_with("_unit"))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        },
        _ => return Err(wrong("is no list of numbers")),
    };
    for (key, value) in &listed {
        let column = numbers(value).ok_or_else(|| wrong("holds what is no list of numbers"))?;
        columns.insert(if key == "y" { "mean".to_owned() } else { key.clone() }, column);
    }
    let length = columns.get("x").ok_or_else(|| wrong("has no `x`"))?.len();
    if columns.values().any(|column| column.len() != length) {
        return Err(wrong("has columns of different lengths"));
    }
    Ok(Series { x_unit: unit("x_unit"), y_unit: unit("y_unit"), columns })
}
