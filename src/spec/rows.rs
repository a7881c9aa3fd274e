//! Points listed in a CSV or JSON file → a list of maps, so that another program can propose them, and
//! the way from a value back to its line in that file.

use super::merge::{Merged, tidy, with};
use super::text::Document;
use crate::condition::literal;
use crate::problem::{Place, Problem, Problems, Result};
use crate::settings::Step;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;

/// Points in a file, at most.
const MOST: usize = 1_000_000;

impl Merged {
    /// Reads the files in which sweeps list their points.
    pub(super) fn read_points(&mut self, problems: &mut Problems) {
        let Some(mut sweeps) = self.value.get_mut("sweeps").map(std::mem::take) else { return };
        let mut path = vec![Step::Key("sweeps".to_owned())];
        self.read_points_below(&mut sweeps, &mut path, problems);
        self.value["sweeps"] = sweeps;
    }

    fn read_points_below(
        &mut self,
        value: &mut Value,
        path: &mut Vec<Step>,
        problems: &mut Problems,
    ) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    path.push(Step::Key(key.clone()));
                    match key.as_str() {
                        "points" if !inner.is_array() => {
                            *inner = self.points_file(inner, path, problems);
                        }
                        _ => self.read_points_below(inner, path, problems),
                    }
                    path.pop();
                }
            }
            Value::Array(items) => {
                for (i, inner) in items.iter_mut().enumerate() {
                    path.push(Step::Item(i));
                    self.read_points_below(inner, path, problems);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// The points in the file that `asked` names, itself if it names none.
    fn points_file(&mut self, asked: &Value, path: &[Step], problems: &mut Problems) -> Value {
        let name = match asked {
            Value::String(name) => name,
            Value::Object(map) if map.keys().all(|key| key == "file" || key == "columns") => {
                match map.get("file") {
                    Some(Value::String(name)) => name,
                    _ => return asked.clone(),
                }
            }
            _ => return asked.clone(),
        };
        let columns = match asked.get("columns") {
            None => None,
            Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
                let names = names.iter().filter_map(Value::as_str);
                Some(names.map(|name| (name.to_owned(), name.to_owned())).collect::<Vec<_>>())
            }
            Some(Value::Object(map)) if map.values().all(Value::is_string) => {
                let pair = |(axis, column): (&String, &Value)| {
                    Some((axis.clone(), column.as_str()?.to_owned()))
                };
                Some(map.iter().filter_map(pair).collect())
            }
            Some(_) => {
                let problem = Problem::new("`columns` is neither a list nor a map of columns");
                let problem = problem.help("for example [rate, width] or { rate: lr }");
                problems.0.push(self.at(&with(path, &Step::Key("columns".into())), problem));
                return unread();
            }
        };
        let place = self.place(path);
        let folder = place.as_ref().and_then(|p| p.file.parent()).unwrap_or(Path::new(""));
        let read = Document::read(&tidy(&folder.join(name)), self.revision.as_deref());
        let document = match read {
            Ok(document) => document,
            Err(problem) if problem.place.is_none() => {
                problems.0.push(self.at(path, problem));
                return unread();
            }
            Err(problem) => {
                problems.0.push(problem);
                return unread();
            }
        };
        let Some(mut rows) = points_in(&document, problems) else { return unread() };
        if let Some(columns) = columns {
            let known = columns_of(&document, &rows);
            let missing = columns.iter().find(|(_, column)| !known.contains(column));
            if let Some((_, column)) = missing {
                let file = document.file.display();
                let problem = Problem::new(format!("{file} has no column `{column}`"));
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let problem = problem.help(super::axis::did_you_mean(column, &known));
                problems.0.push(self.at(&with(path, &Step::Key("columns".into())), problem));
                return unread();
            }
            let Some(selected) = select(&document, &rows, &columns, problems) else {
                return unread();
            };
            rows = selected;
        }
        self.documents.push(document);
        self.origins.insert(path.to_vec(), (self.documents.len() - 1, vec![]));
        rows
    }
}

/// What stands in the place of points that could not be read, which has been told.
fn unread() -> Value {
    Value::from(super::sweep::UNREAD)
}

/// Whether a file is a table with commas, by its name.
pub(super) fn is_csv(document: &Document) -> bool {
    document.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

/// The points in a document, as a list of maps.
///
/// # Errors
/// If it is no such list; each mistake with its place.
fn points_in(document: &Document, problems: &mut Problems) -> Option<Value> {
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
fn columns_of(document: &Document, rows: &Value) -> BTreeSet<String> {
    let first =
        if is_csv(document) { reader(document).into_records().flatten().next() } else { None };
    let named = first.iter().flat_map(|record| record.iter().map(str::to_owned));
    let maps = rows.as_array().into_iter().flatten().filter_map(Value::as_object);
    named.chain(maps.flat_map(|map| map.keys().cloned())).collect()
}

/// Of every point only some axes, each from the column that it names; `None` if a point lacks one, which
/// is then told.
fn select(
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

#[cfg(test)]
mod tests {
    use super::super::merge::tests::read;
    use super::*;
    use serde_json::json;

    #[test]
    fn points_come_from_a_table_or_a_list_with_their_lines() {
        let files = [
            (
                "a.yaml",
                "sweeps: { s: { points: p.csv }, j: { points: { file: p.json, columns: { lr: rate } } } }\n",
            ),
            ("p.csv", "lr, schedule\n1e-3, linear\n\"2e-3\", cosine\n"),
            ("p.json", "[{\"rate\": 0.1, \"score\": 3},\n {\"rate\": 0.2, \"score\": 4}]\n"),
        ];
        let merged = read(&files).unwrap();
        let points = &merged.value["sweeps"]["s"]["points"];
        assert_eq!(
            *points,
            json!([{"lr": 1e-3, "schedule": "linear"}, {"lr": 2e-3, "schedule": "cosine"}])
        );
        let path = |sweep: &str, row| {
            let mut path = crate::settings::keys(&["sweeps", sweep, "points"]);
            path.extend([
                Step::Item(row),
                Step::Key(if sweep == "s" { "schedule" } else { "rate" }.into()),
            ]);
            path
        };
        let place = merged.place(&path("s", 1)).unwrap();
        assert_eq!((place.line, place.column, place.width), (3, 9, 6));
        assert!(place.file.ends_with("p.csv"));
        assert_eq!(merged.value["sweeps"]["j"]["points"], json!([{"lr": 0.1}, {"lr": 0.2}]));
        assert!(merged.origin(&path("j", 1)).unwrap().ends_with("p.json:2"));
    }

    #[test]
    fn a_table_that_is_none_is_told_with_its_line() {
        for (table, columns, line, piece) in [
            ("lr,schedule\n1e-3\n", "", 2, "1 cells, where the first line names 2"),
            ("lr,lr\n1,2\n", "", 1, "two columns are called `lr`"),
            ("lr,\n1,2\n", "", 1, "a column has no name"),
            ("lr\n", "", 1, "lists no points"),
            ("lr\n1\n", ", columns: [rate]", 1, "p.csv has no column `rate`"),
            ("lr,x\n1,1\n,2\n", ", columns: [lr]", 3, "this point has no value in the column `lr`"),
        ] {
            let spec = format!("sweeps: {{ s: {{ points: {{ file: p.csv{columns} }} }} }}\n");
            let problems = read(&[("a.yaml", &spec), ("p.csv", table)]).unwrap_err();
            let place = problems.0[0].place.as_ref().unwrap();
            assert_eq!(place.line, line, "{problems}");
            assert!(problems.to_string().contains(piece), "{problems}");
        }
        let missing = read(&[("a.yaml", "sweeps: { s: { points: no.csv } }\n")]).unwrap_err();
        assert!(missing.to_string().contains("a.yaml:1:24: cannot read"), "{missing}");
    }
}
