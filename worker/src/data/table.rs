//! Tables of numbers in files: `.npy` of two dimensions, or text with a line for each row as
//! `numpy.savetxt` and CAMELS write it.

use ablate::npy;
use ablate::problem::{Problem, Result};
use std::io::Read;
use std::path::Path;

/// Rows of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Names of the columns, if the file gives as many as there are columns.
    pub names: Vec<String>,
    /// Numbers in a row.
    pub columns: usize,
    data: Vec<f64>,
}

impl Table {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.data.len() / self.columns.max(1)
    }

    /// One row.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.columns..(i + 1) * self.columns]
    }

    /// Keeps the first `columns` columns.
    pub fn keep_columns(&mut self, columns: usize) {
        let old = self.columns;
        self.data = self.data.chunks_exact(old).flat_map(|row| row[..columns].to_vec()).collect();
        self.names.truncate(columns);
        self.columns = columns;
    }
}

/// The longest text that is read, in bytes.
const LONGEST: u64 = 1 << 30;

/// Reads a table.
///
/// # Errors
/// If the file cannot be read, or is no table of finite numbers; text errors name the line.
pub fn read(path: &Path) -> Result<Table> {
    if path.extension().is_some_and(|ending| ending == "npy") {
        let array = npy::read_f64(path)?;
        let [rows, columns] = array.shape[..] else {
            let what = format!("{} has the shape {:?}", path.display(), array.shape);
            return Err(Problem::new(what).help("[n, k] is needed"));
        };
        if rows == 0 || columns == 0 || array.data.iter().any(|x| !x.is_finite()) {
            let what = format!("{} holds no table of finite numbers", path.display());
            return Err(Problem::new(what));
        }
        return Ok(Table { names: vec![], columns, data: array.data });
    }
    let mut text = String::new();
    let opened = std::fs::File::open(path).map_err(|e| Problem::os("open", path, &e))?;
    let read = opened.take(LONGEST + 1).read_to_string(&mut text);
    read.map_err(|e| Problem::os("read", path, &e))?;
    if text.len() as u64 > LONGEST {
        return Err(Problem::new(format!("{} is longer than any table", path.display())));
    }
    parse(&text).map_err(|problem| Problem {
        sentence: format!("{}:{}", path.display(), problem.sentence),
        ..problem
    })
}

/// Reads a table from text: numbers apart by spaces, tabs or commas; `#` begins a comment, and the last
/// comment before the numbers may name the columns; a first column of names is left out.
///
/// # Errors
/// If a line is not as the first; the sentence begins with its number.
pub fn parse(text: &str) -> Result<Table> {
    let mut table = Table { names: vec![], columns: 0, data: vec![] };
    let mut header = vec![];
    for (i, line) in text.lines().enumerate() {
        let words = |line: &str| -> Vec<String> {
            let parts = line.split(|c: char| c.is_whitespace() || c == ',');
            parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        if let Some(comment) = line.trim_start().strip_prefix('#') {
            if table.columns == 0 {
                header = words(comment);
            }
            continue;
        }
        let mut cells = words(line);
        if cells.first().is_some_and(|cell| cell.parse::<f64>().is_err()) && cells.len() > 1 {
            cells.remove(0);
        }
        if cells.is_empty() {
            continue;
        }
        let wrong = |what: String| Problem::new(format!("{}: {what}", i + 1));
        for cell in &cells {
            let value = cell.parse::<f64>().ok().filter(|value| value.is_finite());
            table
                .data
                .push(value.ok_or_else(|| wrong(format!("`{cell}` is not a finite number")))?);
        }
        if table.columns == 0 {
            table.columns = cells.len();
        } else if table.columns != cells.len() {
            return Err(wrong(format!("{} numbers, {} before", cells.len(), table.columns)));
        }
    }
    if table.columns == 0 {
        return Err(Problem::new("1: there are no numbers"));
    }
    if header.len() == table.columns {
        table.names = header;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_camels_is_read_with_its_names() {
        let table = parse("# Om\tsigma8\n0.30900 0.97900\n0.1 0.6\n").unwrap();
        assert_eq!((table.rows(), table.columns), (2, 2));
        assert_eq!((table.row(1), table.names[1].as_str()), (&[0.1, 0.6][..], "sigma8"));
    }

    #[test]
    fn names_of_rows_and_commas_are_passed_over_and_columns_can_be_dropped() {
        let mut table = parse("LH_0, 1, 2, 77\nLH_1, 3, 4, 78\n").unwrap();
        table.keep_columns(2);
        assert_eq!((table.row(0), table.row(1)), (&[1.0, 2.0][..], &[3.0, 4.0][..]));
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, what) in [
            ("1 2\n3\n", "2: 1 numbers, 2 before"),
            ("1 2\n3 nan\n", "2: `nan` is not a finite number"),
            ("# only\n", "1: there are no numbers"),
        ] {
            assert_eq!(parse(text).unwrap_err().sentence, what);
        }
    }
}
