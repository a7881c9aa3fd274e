//! Points listed in a CSV or JSON file → a list of maps, so that another program can propose them, and
//! the way from a value back to its line in that file.

use super::text::Document;
use crate::condition::literal;
use crate::problem::{Place, Problem, Problems, Result};
use crate::settings::Step;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Points in a file, at most.
const MOST: usize = 1_000_000;

/// Whether a file is a table with commas, by its name.
pub(super) fn is_csv(document: &Document) -> bool {
    document.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

/// The points in a document, as a list of maps.
///
/// # Errors
/// If it is no such list; each mistake with its place.
pub(super) fn read(document: &Document, problems: &mut Problems) -> Option<Value> {
    let value =
        if is_csv(document) { table(document, problems)? } else { document.parse(problems)? };
    match &value {
        Value::Array(rows) if rows.iter().all(Value::is_object) && !rows.is_empty() => Some(value),
        Value::Array(rows) => {
            let wrong = rows.iter().position(|row| !row.is_object());
            let problem = Problem::new(match wrong {
                Some(_) => "this is not a point",
                None => "the file lists no points",
            });
            let problem = problem.help("a list of maps is needed, such as [{ \"rate\": 1e-3 }]");
            let path: Vec<Step> = wrong.map(Step::Item).into_iter().collect();
            problems.0.push(located(document, &path, problem));
            None
        }
        _ => {
            let problem = Problem::new("the file does not hold a list of points");
            problems.0.push(located(document, &[], problem));
            None
        }
    }
}

fn located(document: &Document, path: &[Step], problem: Problem) -> Problem {
    match document.place(path) {
        Some(place) => problem.at(place),
        None => problem,
    }
}

fn reader(document: &Document) -> csv::Reader<&[u8]> {
    let mut builder = csv::ReaderBuilder::new();
    builder.flexible(true).trim(csv::Trim::All).has_headers(false);
    builder.from_reader(document.text.as_bytes())
}

/// A table: the first line names the axes, an empty cell leaves its axis out.
fn table(document: &Document, problems: &mut Problems) -> Option<Value> {
    let mut names: Vec<String> = vec![];
    let mut rows = vec![];
    let mut read = || -> Result<()> {
        for record in reader(document).records() {
            let record = record.map_err(|e| {
                let line = e.position().map_or(1, |at| at.line() as usize);
                Problem::new(format!("this line is no CSV: {e}")).at(line_place(document, line))
            })?;
            let line = record.position().map_or(1, |at| at.line() as usize);
            if names.is_empty() {
                names = record.iter().map(str::to_owned).collect();
                check_names(&names).map_err(|problem| problem.at(line_place(document, line)))?;
                continue;
            }
            if record.len() != names.len() {
                let sentence =
                    format!("{} cells, where the first line names {}", record.len(), names.len());
                return Err(Problem::new(sentence).at(line_place(document, line)));
            }
            let cells = names.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
            let row: Map<String, Value> =
                cells.map(|(name, cell)| (name.clone(), literal(cell))).collect();
            rows.push(Value::Object(row));
            if rows.len() > MOST {
                return Err(
                    Problem::new("more than a million points").at(line_place(document, line))
                );
            }
        }
        Ok(())
    };
    problems.keep(read())?;
    Some(Value::Array(rows))
}

fn check_names(names: &[String]) -> Result<()> {
    if names.iter().any(String::is_empty) {
        return Err(Problem::new("a column has no name"));
    }
    let twice = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
    match twice {
        Some((_, name)) => Err(Problem::new(format!("two columns are called `{name}`"))),
        None => Ok(()),
    }
}

fn line_place(document: &Document, line: usize) -> Place {
    document.place_at(line, 1)
}

/// The place of a cell of a table, or of the name of its column.
pub(super) fn place(document: &Document, path: &[Step]) -> Option<Place> {
    let Some(Step::Item(row)) = path.first() else { return Some(document.place_at(1, 1)) };
    let mut records = reader(document).into_records().flatten();
    let names = records.next()?;
    let record = records.nth(*row)?;
    let line = record.position()?.line() as usize;
    let column = match path.get(1) {
        Some(Step::Key(name) | Step::Name(name)) => names.iter().position(|known| known == name),
        _ => None,
    };
    let text = document.text.lines().nth(line - 1).unwrap_or_default();
    Some(document.place_at(line, column.map_or(1, |column| cell_column(text, column))))
}

/// The 1-based column at which a cell begins.
fn cell_column(line: &str, cell: usize) -> usize {
    let (mut quoted, mut seen) = (false, 0);
    for (i, c) in line.chars().enumerate() {
        match c {
            _ if seen == cell && !c.is_whitespace() => return i + 1,
            '"' => quoted = !quoted,
            ',' if !quoted => seen += 1,
            _ => {}
        }
    }
    1
}

/// The columns of a table, or all keys of a list of maps.
pub(super) fn columns(document: &Document, rows: &Value) -> BTreeSet<String> {
    let first =
        if is_csv(document) { reader(document).into_records().flatten().next() } else { None };
    let named = first.iter().flat_map(|record| record.iter().map(str::to_owned));
    let maps = rows.as_array().into_iter().flatten().filter_map(Value::as_object);
    named.chain(maps.flat_map(|map| map.keys().cloned())).collect()
}

/// Of every point only some axes, each from the column that it names; `None` if a point lacks one, which
/// is then told.
pub(super) fn select(
    document: &Document,
    rows: &Value,
    columns: &[(String, String)],
    problems: &mut Problems,
) -> Option<Value> {
    let mut out = vec![];
    for (i, row) in rows.as_array().into_iter().flatten().enumerate() {
        let mut point = Map::new();
        for (axis, column) in columns {
            let Some(value) = row.get(column) else {
                let sentence = format!("this point has no value in the column `{column}`");
                problems.0.push(located(document, &[Step::Item(i)], Problem::new(sentence)));
                return None;
            };
            point.insert(axis.clone(), value.clone());
        }
        out.push(Value::Object(point));
    }
    Some(Value::Array(out))
}
