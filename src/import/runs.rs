//! Runs that earlier programs made: rows of parameters and metrics → a spec whose nodes are those rows, and the file
//! that they are looked up in. Nothing here knows files.

use super::Imported;
use crate::problem::{Problem, Result};
use crate::words::{self, plural};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Runs, one a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// A cell for each of them; empty where a run has none.
    pub rows: Vec<Vec<String>>,
}

/// Which columns are what, where the user says so.
#[derive(Debug, Clone, Default)]
pub struct Sorting {
    /// Columns that are metrics.
    pub metrics: Vec<String>,
    /// Columns that are parameters; if there are any, all others that are no metrics are left out.
    pub params: Vec<String>,
}

/// A spec, and the file that it looks runs up in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The spec, and what its author should know.
    pub spec: Imported,
    /// The runs, brought into form.
    pub csv: String,
}

/// Columns of an export of Weights & Biases that say how a run went rather than what it was.
const OF_EXPORTS: [&str; 16] = [
    "Name",
    "State",
    "Notes",
    "User",
    "Tags",
    "Created",
    "Runtime",
    "Sweep",
    "ID",
    "Group",
    "Job Type",
    "GPU Type",
    "Hostname",
    "Commit",
    "GPU Count",
    "Description",
];

/// Parts of names by which a column is taken for a metric.
const OF_METRICS: [&str; 24] = [
    "loss",
    "acc",
    "error",
    "score",
    "fid",
    "kid",
    "auc",
    "f1",
    "precision",
    "recall",
    "psnr",
    "ssim",
    "mse",
    "mae",
    "nll",
    "bpd",
    "perplexity",
    "val",
    "test",
    "eval",
    "metric",
    "distance",
    "likelihood",
    "iou",
];

/// Parts of the names of metrics of which large values are better.
const LARGER: [&str; 9] =
    ["acc", "auc", "f1", "precision", "recall", "psnr", "ssim", "iou", "likelihood"];

/// The column of seeds, by its usual names.
const OF_SEEDS: [&str; 4] = ["seed", "random_seed", "rng_seed", "manual_seed"];

/// The most distinct points of a spec.
const MOST: usize = 5000;

/// Makes a spec of runs; they are looked up in the file `csv`, beside the spec.
///
/// # Errors
/// If there is nothing to tell runs apart by, or to tell of them.
pub fn spec_of(runs: &Runs, sorting: &Sorting, name: &str, csv: &str) -> Result<Made> {
    let mut notes = vec![];
    let sorted = sort(runs, sorting, &mut notes)?;
    let rows: Vec<&Vec<String>> = runs
        .rows
        .iter()
        .filter(|row| sorted.metrics.iter().any(|(at, _)| number(&row[*at]).is_some()))
        .collect();
    let without = runs.rows.len() - rows.len();
    if without > 0 {
        notes.push(format!("{} without a metric left out", plural(without, "run")));
    }
    if rows.is_empty() {
        return Err(Problem::new("no run has a metric")
            .help("name the columns that are: --metrics loss,accuracy"));
    }
    // Runs of equal parameters are told apart by their seeds, or else by their order.
    let mut points: Vec<Vec<Value>> = vec![];
    let mut of_point: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut lines = vec![];
    for row in rows {
        let point: Vec<Value> = sorted.params.iter().map(|(at, _)| cell(&row[*at])).collect();
        let key = json!(point).to_string();
        if !of_point.contains_key(&key) {
            points.push(point.clone());
        }
        let known = of_point.entry(key).or_default();
        let own = sorted.seed.and_then(|at| row[at].trim().parse::<u64>().ok());
        let seed = own.filter(|seed| !known.contains(seed)).unwrap_or_else(|| {
            (0..).find(|n| !known.contains(n)).expect("a run more than seeds before it")
        });
        known.push(seed);
        let metrics = sorted.metrics.iter().map(|(at, _)| row[*at].clone());
        let params = point.iter().map(crate::settings::spelled);
        lines.push(params.chain([seed.to_string()]).chain(metrics).collect::<Vec<String>>());
    }
    if points.len() > MOST {
        let what = format!("{} distinct points are more than {MOST}", points.len());
        return Err(Problem::new(what).help("name the parameters that matter: --params lr,width"));
    }
    let seeds: BTreeSet<u64> = of_point.values().flatten().copied().collect();
    let missing: usize = of_point.values().map(|known| seeds.len() - known.len()).sum();
    if missing > 0 {
        let count = plural(missing, "run");
        notes.push(format!(
            "{count} missing, as points have different numbers of seeds: tables show them as failed"
        ));
    }
    let spec = text(&sorted, &points, &seeds, name, csv);
    Ok(Made { spec: Imported { text: spec, notes }, csv: table(&sorted, &lines) })
}

/// Columns by what they are: place and name in the spec.
struct Sorted {
    params: Vec<(usize, String)>,
    metrics: Vec<(usize, String)>,
    seed: Option<usize>,
}

fn sort(runs: &Runs, sorting: &Sorting, notes: &mut Vec<String>) -> Result<Sorted> {
    for name in sorting.metrics.iter().chain(&sorting.params) {
        if !runs.columns.contains(name) {
            let problem = Problem::new(format!("there is no column `{name}`"));
            return Err(problem.help(words::suggestion(
                name,
                &runs.columns.iter().map(String::as_str).collect::<Vec<_>>(),
            )));
        }
    }
    let values = |at: usize| -> BTreeSet<&str> {
        runs.rows.iter().map(|row| row[at].trim()).filter(|cell| !cell.is_empty()).collect()
    };
    let is_number =
        |at: usize| !values(at).is_empty() && values(at).iter().all(|cell| number(cell).is_some());
    let mut sorted = Sorted { params: vec![], metrics: vec![], seed: None };
    let mut taken: BTreeSet<String> = BTreeSet::from(["seed".to_owned()]);
    let (mut left, mut constant) = (vec![], vec![]);
    for (at, column) in runs.columns.iter().enumerate() {
        let low = column.to_lowercase();
        let is_said = sorting.metrics.contains(column);
        let looks = is_number(at) && OF_METRICS.iter().any(|part| low.contains(part));
        let is_metric =
            is_said || (sorting.metrics.is_empty() && !sorting.params.contains(column) && looks);
        if is_metric {
            sorted.metrics.push((at, free(column, &mut taken)));
        } else if sorted.seed.is_none()
            && OF_SEEDS.contains(&low.rsplit(['.', '/']).next().unwrap_or(&low))
        {
            sorted.seed = Some(at);
        } else if sorting.params.contains(column) {
            sorted.params.push((at, free(column, &mut taken)));
        } else if !sorting.params.is_empty()
            || OF_EXPORTS.contains(&column.as_str())
            || column.starts_with('_')
            || column.is_empty()
        {
            left.push(column.as_str());
        } else if values(at).len() < 2 {
            constant.push(column.as_str());
        } else {
            sorted.params.push((at, free(column, &mut taken)));
        }
    }
    if sorted.metrics.is_empty() {
        return Err(Problem::new("no column looks like a metric")
            .help("name those that are: --metrics loss,accuracy"));
    }
    if sorted.params.is_empty() && sorted.seed.is_none() && runs.rows.len() > 1 {
        return Err(Problem::new("no column tells runs apart")
            .help("name the parameters: --params lr,width"));
    }
    let names = |list: &[(usize, String)]| {
        list.iter().map(|(at, _)| runs.columns[*at].as_str()).collect::<Vec<_>>().join(", ")
    };
    notes.push(format!(
        "parameters: {}; metrics: {}",
        names(&sorted.params),
        names(&sorted.metrics)
    ));
    if !constant.is_empty() {
        notes.push(format!("the same in all runs, and left out: {}", constant.join(", ")));
    }
    if !left.is_empty() {
        notes.push(format!("left out: {}", left.join(", ")));
    }
    Ok(sorted)
}

/// A name for a column that a spec can hold, and that no other has.
fn free(column: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let mut name: String = column.chars().map(plain).collect();
    name = name.trim_matches('_').to_owned();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, "c_");
    }
    let wanted = name.clone();
    let mut n = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}_{n}");
        n += 1;
    }
    name
}

fn number(cell: &str) -> Option<f64> {
    cell.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A parameter as a spec writes it.
fn cell(text: &str) -> Value {
    let text = text.trim();
    match (text, number(text)) {
        ("true" | "True", _) => json!(true),
        ("false" | "False", _) => json!(false),
        (_, Some(number)) if number.fract() == 0.0 && number.abs() < 9e15 => json!(number as i64),
        (_, Some(number)) => json!(number),
        _ => json!(text),
    }
}

fn text(
    sorted: &Sorted,
    points: &[Vec<Value>],
    seeds: &BTreeSet<u64>,
    name: &str,
    csv: &str,
) -> String {
    let names: Vec<&str> = sorted.params.iter().map(|(_, name)| name.as_str()).collect();
    let map = |values: Vec<Value>| -> Value {
        Value::Object(
            names.iter().map(|name| (*name).to_owned()).zip(values).collect::<Map<_, _>>(),
        )
    };
    let mut vars = map(points[0].clone());
    vars["seed"] = json!(seeds.first());
    let params: Map<String, Value> = names
        .iter()
        .chain(&["seed"])
        .map(|name| ((*name).to_owned(), json!(format!("${name}"))))
        .collect();
    let way = |metric: &str| {
        if LARGER.iter().any(|part| metric.contains(part)) { "higher" } else { "lower" }
    };
    let metrics: Map<String, Value> =
        sorted.metrics.iter().map(|(_, m)| (m.clone(), json!(way(m)))).collect();
    let columns: Vec<String> =
        sorted.metrics.iter().map(|(_, metric)| format!("run.{metric}")).collect();
    let mut out = String::new();
    let question = json!(format!("What do the runs of {name} say?"));
    let _ = write!(
        out,
        "# Made by `ablate import`. Which way a metric is better is guessed from its name.\n\
         question: {question}\n\nvars: {vars}\n\nnodes:\n  run:\n    command:\n      \
         call: [ablate, row, {csv}]\n      files: [{csv}]\n      params: {params}\n      metrics: {metrics}\n\n",
        csv = json!(csv),
        params = Value::Object(params),
        metrics = Value::Object(metrics),
    );
    if !names.is_empty() {
        let _ = write!(out, "sweeps:\n  main:\n    points:\n");
        for point in points {
            let _ = writeln!(out, "      - {}", map(point.clone()));
        }
        let _ = writeln!(out, "    seeds: {}", json!(seeds));
        let _ = write!(
            out,
            "\ntables:\n  main:\n    sweep: main\n    rows: {}\n    columns: {}\n",
            json!(names),
            json!(columns)
        );
    } else {
        let _ = write!(
            out,
            "sweeps:\n  main: {{ points: [{{ seed: {0} }}], seeds: {1} }}\n",
            seeds.first().unwrap_or(&0),
            json!(seeds)
        );
        let _ = write!(out, "\ntables:\n  main: {{ sweep: main, columns: {} }}\n", json!(columns));
    }
    // A picture of the first metric, where one numeric parameter alone tells points apart.
    if let ([only], true) =
        (names.as_slice(), points.len() > 2 && points.iter().all(|point| point[0].is_number()))
    {
        let _ = write!(
            out,
            "\nfigures:\n  first: {{ curve: {{ sweep: main, x: {only}, y: {} }} }}\n",
            columns[0]
        );
    }
    out
}

fn table(sorted: &Sorted, lines: &[Vec<String>]) -> String {
    let mut writer = csv::Writer::from_writer(vec![]);
    let params = sorted.params.iter().map(|(_, name)| name.as_str());
    let metrics = sorted.metrics.iter().map(|(_, name)| name.as_str());
    let head: Vec<&str> = params.chain(["seed"]).chain(metrics).collect();
    let written = writer
        .write_record(&head)
        .and_then(|()| lines.iter().try_for_each(|line| writer.write_record(line)));
    written.expect("memory takes it");
    String::from_utf8(writer.into_inner().expect("memory takes it")).expect("it was text")
}

/// The metrics of the run with these parameters, among those in a file of [`spec_of`].
///
/// # Errors
/// If there is none.
pub fn row(runs: &Runs, params: &Map<String, Value>) -> Result<Map<String, Value>> {
    let wanted = |row: &&Vec<String>| {
        let is = |(column, text): (&String, &String)| {
            params.get(column).is_none_or(|value| cell(text) == *value)
        };
        runs.columns.iter().zip(row.iter()).all(is)
    };
    let Some(found) = runs.rows.iter().find(wanted) else {
        return Err(Problem::new(format!("no run has {}", Value::Object(params.clone()))));
    };
    let metrics =
        runs.columns.iter().zip(found).filter(|(column, _)| !params.contains_key(*column));
    Ok(metrics.map(|(column, text)| (column.clone(), json!(number(text)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(columns: &[&str], rows: &[&[&str]]) -> Runs {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Runs { columns: owned(columns), rows: rows.iter().map(|row| owned(row)).collect() }
    }

    #[test]
    fn columns_are_told_apart_by_what_they_are_called_and_hold() {
        let runs = runs(
            &[
                "Name",
                "State",
                "lr",
                "model.width",
                "batch",
                "seed",
                "val/loss",
                "Test Acc",
                "_step",
            ],
            &[
                &["a", "finished", "0.1", "32", "8", "0", "0.5", "0.9", "10"],
                &["b", "finished", "0.1", "32", "8", "1", "0.6", "0.8", "10"],
                &["c", "finished", "0.2", "64", "8", "0", "0.4", "0.7", "10"],
                &["d", "crashed", "0.2", "64", "8", "1", "", "", ""],
            ],
        );
        let made = spec_of(&runs, &Sorting::default(), "a.csv", "b.csv").unwrap();
        assert_eq!(
            made.csv,
            "lr,model_width,seed,val_loss,test_acc\n0.1,32,0,0.5,0.9\n0.1,32,1,0.6,0.8\n0.2,64,0,0.4,0.7\n"
        );
        let told = made.spec.notes.join("\n");
        for words in [
            "1 run without a metric",
            "left out: batch",
            "1 run missing",
            "metrics: val/loss, Test Acc",
        ] {
            assert!(told.contains(words), "{told}");
        }
        assert!(made.spec.text.contains(r#""test_acc":"higher""#), "{}", made.spec.text);
    }

    #[test]
    fn runs_without_seeds_are_counted() {
        let runs =
            runs(&["lr", "loss"], &[&["1e-1", "1"], &["0.1", "2"], &["0.2", "3"], &["0.2", "4"]]);
        let made = spec_of(&runs, &Sorting::default(), "a", "b").unwrap();
        assert_eq!(made.csv, "lr,seed,loss\n0.1,0,1\n0.1,1,2\n0.2,0,3\n0.2,1,4\n");
        let params = json!({ "lr": 0.2, "seed": 1 });
        let again =
            super::tests::runs(&["lr", "seed", "loss"], &[&["0.1", "0", "1"], &["0.2", "1", "4"]]);
        assert_eq!(
            Value::Object(row(&again, params.as_object().unwrap()).unwrap()),
            json!({ "loss": 4.0 })
        );
        assert!(row(&again, json!({ "lr": 7 }).as_object().unwrap()).is_err());
    }
}
