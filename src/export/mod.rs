//! Rows → files for other programs: CSV, JSON lines, Parquet, and event files of TensorBoard. Row by row, so that a large
//! database needs no more memory than a small one.

mod parquet;
mod tensorboard;
mod text;

use crate::problem::{Problem, Result};
use crate::record::{Record, Sheet};
use std::fs::File;
use std::path::{Path, PathBuf};
use text::Lines;

/// The forms of exported files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, one header line.
    Csv,
    /// One JSON object a line.
    Json,
    /// Apache Parquet, a type for each column.
    Parquet,
    /// Event files of TensorBoard, a run for each node.
    Tensorboard,
}

const SHEETS: [(Sheet, &str); 4] = [
    (Sheet::Results, "results"),
    (Sheet::Series, "series"),
    (Sheet::Nodes, "nodes"),
    (Sheet::Attempts, "attempts"),
];

/// Writes all sheets of one experiment or of all into a folder; each file with its number of rows.
///
/// # Errors
/// If the database refuses, or a file cannot be written.
pub fn export_into(
    record: &Record,
    experiment: Option<&str>,
    folder: &Path,
    format: Format,
) -> Result<Vec<(PathBuf, usize)>> {
    std::fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
    let _one_state = record.snapshot()?;
    if format == Format::Tensorboard {
        return tensorboard::write(record, experiment, folder);
    }
    let mut written = vec![];
    for (sheet, name) in SHEETS {
        let aside = Aside::begin(folder.join(format!("{name}.{}", format.ending())));
        let rows = match format {
            Format::Parquet => parquet::write(record, (sheet, experiment), &aside)?,
            _ => {
                let mut lines = Lines::new(&aside, format)?;
                record.export(sheet, experiment, &mut lines)?;
                lines.finish()?
            }
        };
        written.push((aside.name()?, rows));
    }
    Ok(written)
}

impl Format {
    /// The ending of its files.
    fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "jsonl",
            Self::Parquet => "parquet",
            Self::Tensorboard => "tfevents",
        }
    }
}

/// A file that has its name once it is whole.
#[derive(Debug)]
struct Aside {
    path: PathBuf,
    aside: PathBuf,
}

impl Aside {
    fn begin(path: PathBuf) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("{name}.{}.aside", std::process::id()));
        Self { path, aside }
    }

    /// The file, empty.
    fn make(&self) -> Result<File> {
        File::create(&self.aside).map_err(|e| Problem::os("make", &self.aside, &e))
    }

    fn fail(&self, error: &std::io::Error) -> Problem {
        Problem::os("write", &self.path, error)
    }

    /// Gives the file its name.
    fn name(self) -> Result<PathBuf> {
        std::fs::rename(&self.aside, &self.path).map_err(|e| self.fail(&e))?;
        Ok(self.path.clone())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Only after a failure is there anything left to remove.
        let _ = std::fs::remove_file(&self.aside);
    }
}
