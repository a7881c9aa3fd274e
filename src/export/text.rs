//! Rows as lines of text.

use super::{Aside, Format};
use crate::problem::Result;
use crate::record::Rows;
use crate::table::csv_line;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufWriter, Write};

/// Takes rows as lines of CSV, or as JSON objects.
pub(super) struct Lines<'a> {
    aside: &'a Aside,
    out: BufWriter<File>,
    format: Format,
    names: Vec<String>,
    rows: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(aside: &'a Aside, format: Format) -> Result<Self> {
        let out = BufWriter::new(aside.make()?);
        Ok(Self { aside, out, format, names: vec![], rows: 0 })
    }

    fn write(&mut self, line: &str) -> Result<()> {
        self.out.write_all(line.as_bytes()).map_err(|e| self.aside.fail(&e))
    }

    /// The number of rows, all of them written.
    pub(super) fn finish(mut self) -> Result<usize> {
        self.out.flush().map_err(|e| self.aside.fail(&e))?;
        Ok(self.rows)
    }
}

impl Rows for Lines<'_> {
    fn head(&mut self, names: &[String]) -> Result<()> {
        self.names = names.to_vec();
        match self.format {
            Format::Csv => self.write(&csv_line(names.iter().cloned())),
            _ => Ok(()),
        }
    }

    fn row(&mut self, cells: &[Value]) -> Result<()> {
        self.rows += 1;
        let line = match self.format {
            Format::Csv => csv_line(cells.iter().map(shown)),
            _ => {
                let pairs = self.names.iter().cloned().zip(cells.iter().cloned());
                Value::Object(pairs.collect::<Map<String, Value>>()).to_string() + "\n"
            }
        };
        self.write(&line)
    }
}

/// A value as it stands in CSV: nothing for null, JSON for maps and lists.
pub(super) fn shown(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
