//! Rows for other programs, one at a time, so that a large database needs no more memory than a small
//! one. docs/results.md tells what each column means.

use super::{Record, sql};
use crate::expand::SEED;
use crate::problem::{Problem, Result};
use rusqlite::types::{Value as Stored, ValueRef};
use serde_json::{Number, Value};

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sheet {
    /// A row for each metric at each point, with the axes as columns.
    Results,
    /// A row for each number of each curve.
    Series,
    /// A row for each finished node.
    Nodes,
    /// A row for each attempt.
    Attempts,
}

/// Who takes the rows.
pub trait Rows {
    /// Takes the names of the columns, before any row.
    ///
    /// # Errors
    /// If they cannot be written.
    fn head(&mut self, names: &[String]) -> Result<()>;
    /// Takes a row: null where there is no number.
    ///
    /// # Errors
    /// If it cannot be written.
    fn row(&mut self, cells: &[Value]) -> Result<()>;
}

/// How a column's values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they are stored.
    Plain,
    /// A coordinate, stored as text: a number if it is one.
    Coordinate,
    /// JSON, stored as text.
    Json,
}

/// The columns of `results` after the axes.
const RESULTS: [(&str, &str); 9] = [
    ("p.declared", "declared"),
    ("m.name", "metric"),
    ("m.value", "value"),
    ("m.unit", "unit"),
    ("m.better", "better"),
    ("p.baseline", "baseline"),
    ("n.name", "node"),
    ("n.kind", "kind"),
    ("n.key", "key"),
];

const SERIES: [(&str, &str); 9] = [
    ("n.name", "node"),
    ("s.name", "series"),
    ("s.column_name", "column"),
    ("s.i", "i"),
    ("s.x", "x"),
    ("s.y", "y"),
    ("s.x_unit", "x_unit"),
    ("s.y_unit", "y_unit"),
    ("n.key", "key"),
];

const NODES: [(&str, &str); 10] = [
    ("n.kind", "kind"),
    ("n.name", "node"),
    ("n.folder", "folder"),
    ("n.bytes", "bytes"),
    ("(SELECT count(*) FROM attempts a WHERE a.node = n.key)", "attempts"),
    ("(SELECT sum(a.seconds) FROM attempts a WHERE a.node = n.key)", "seconds"),
    ("(SELECT sum(a.steps) FROM attempts a WHERE a.node = n.key)", "steps"),
    ("n.arithmetic", "arithmetic"),
    ("n.settings", "settings"),
    ("n.key", "key"),
];

const ATTEMPTS: [(&str, &str); 12] = [
    ("n.name", "node"),
    ("a.kind", "kind"),
    ("a.attempt", "attempt"),
    ("a.host", "host"),
    ("a.device", "device"),
    ("a.started", "started"),
    ("a.seconds", "seconds"),
    ("a.steps", "steps"),
    ("a.outcome", "outcome"),
    ("a.class", "class"),
    ("a.message", "message"),
    ("a.node", "key"),
];

impl Record {
    /// Lets everything read until the result is dropped see one state of the database.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn snapshot(&self) -> Result<impl Sized + '_> {
        self.connection.unchecked_transaction().map_err(sql)
    }

    /// Gives the rows of a sheet, of one experiment or of all, to `rows`.
    ///
    /// # Errors
    /// If the database refuses, or `rows` does.
    pub fn export(
        &self,
        sheet: Sheet,
        experiment: Option<&str>,
        rows: &mut dyn Rows,
    ) -> Result<()> {
        let axes = match sheet {
            Sheet::Results => self.axes(experiment)?,
            _ => vec![],
        };
        let columns = columns(sheet, &axes);
        let names: Vec<String> = columns.iter().map(|(_, name, _)| name.clone()).collect();
        rows.head(&names)?;
        let selected: Vec<&str> = columns.iter().map(|(what, ..)| what.as_str()).collect();
        let statement = format!("SELECT {} {}", selected.join(", "), source(sheet));
        let mut prepared = self.connection.prepare(&statement).map_err(sql)?;
        let experiment = experiment.map_or(Stored::Null, |name| Stored::Text(name.to_owned()));
        let parameters = [experiment].into_iter().chain(axes.into_iter().map(Stored::Text));
        let mut found = prepared.query(rusqlite::params_from_iter(parameters)).map_err(sql)?;
        let mut cells = vec![Value::Null; columns.len()];
        while let Some(row) = found.next().map_err(sql)? {
            for (i, (_, _, form)) in columns.iter().enumerate() {
                cells[i] = cell(row.get_ref(i).map_err(sql)?, *form)?;
            }
            rows.row(&cells)?;
        }
        Ok(())
    }

    /// The axes of an experiment, or of all, but for the seed, which has a column of its own.
    fn axes(&self, experiment: Option<&str>) -> Result<Vec<String>> {
        let statement = "SELECT DISTINCT axis FROM coordinates
             WHERE (?1 IS NULL OR experiment = ?1) AND axis <> ?2 ORDER BY axis";
        self.select(statement, rusqlite::params![experiment, SEED], |row| row.get(0))
    }
}

/// What is selected for each column, its name, and how it is read.
fn columns(sheet: Sheet, axes: &[String]) -> Vec<(String, String, Form)> {
    let plain = |columns: &[(&str, &str)]| -> Vec<(String, String, Form)> {
        let form = |name: &str| match name {
            "settings" | "arithmetic" => Form::Json,
            _ => Form::Plain,
        };
        columns
            .iter()
            .map(|(what, name)| ((*what).to_owned(), (*name).to_owned(), form(name)))
            .collect()
    };
    let points = [("p.experiment", "experiment"), ("p.sweep", "sweep"), ("p.point", "point")];
    match sheet {
        Sheet::Series => plain(&SERIES),
        Sheet::Nodes => plain(&NODES),
        Sheet::Attempts => plain(&ATTEMPTS),
        Sheet::Results => {
            let mut all = plain(&points);
            all.extend(axes.iter().enumerate().map(|(i, axis)| {
                let taken = points.iter().chain(&RESULTS).any(|(_, name)| name == axis);
                let name = if taken { format!("axis_{axis}") } else { axis.clone() };
                (coordinate(&format!("?{}", i + 2)), name, Form::Coordinate)
            }));
            let seed = format!("coalesce(p.seed, {})", coordinate(&format!("'{SEED}'")));
            all.push((seed, SEED.to_owned(), Form::Coordinate));
            all.extend(plain(&RESULTS));
            all
        }
    }
}

/// The value of the point on an axis.
fn coordinate(axis: &str) -> String {
    format!(
        "(SELECT c.value FROM coordinates c
          WHERE c.experiment = p.experiment AND c.point = p.point AND c.axis = {axis})"
    )
}

/// Where the rows come from, in the order of an index wherever there is one.
fn source(sheet: Sheet) -> &'static str {
    match sheet {
        Sheet::Results => {
            "FROM points p JOIN nodes n ON n.key = p.node JOIN metrics m ON m.node = p.node
             WHERE (?1 IS NULL OR p.experiment = ?1)
             ORDER BY p.experiment, p.point, p.declared, m.name"
        }
        Sheet::Series => {
            "FROM nodes n JOIN series s ON s.node = n.key
             WHERE (?1 IS NULL OR n.key IN (SELECT node FROM points WHERE experiment = ?1))
             ORDER BY n.key, s.name, s.column_name, s.i"
        }
        Sheet::Nodes => {
            "FROM nodes n
             WHERE (?1 IS NULL OR n.key IN (SELECT node FROM points WHERE experiment = ?1))
             ORDER BY n.key"
        }
        Sheet::Attempts => {
            "FROM attempts a LEFT JOIN nodes n ON n.key = a.node
             WHERE (?1 IS NULL OR a.node IN (SELECT node FROM points WHERE experiment = ?1))
             ORDER BY a.id"
        }
    }
}

fn cell(stored: ValueRef<'_>, form: Form) -> Result<Value> {
    let text = match stored {
        ValueRef::Null | ValueRef::Blob(_) => return Ok(Value::Null),
        ValueRef::Integer(whole) => return Ok(whole.into()),
        ValueRef::Real(number) => return Ok(number.into()),
        ValueRef::Text(text) => String::from_utf8_lossy(text),
    };
    match form {
        Form::Plain => Ok(text.into()),
        Form::Coordinate => {
            Ok(text.parse::<Number>().map_or_else(|_| text.clone().into(), Value::Number))
        }
        Form::Json => serde_json::from_str(&text)
            .map_err(|e| Problem::system(format!("the database holds JSON that is none: {e}"))),
    }
}
