//! `ablate export`: results as tidy CSV or JSON lines, row by row from the database into files.

use super::{Done, Place, print};
use crate::problem::{Problem, Result};
use crate::record::{Record, Rows, Sheet};
use crate::table::csv_line;
use crate::words::plural;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Arguments of `ablate export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes results (a row for each metric at each point, the axes as columns), series (a row for each
number of a curve), nodes and attempts. docs/results.md tells what each column means.

Examples:
  ablate export experiments/first.yaml -o tidy
  ablate export --all --format json"
)]
pub(super) struct Export {
    /// The spec whose results are written, as they were recorded when it ran last.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    spec: Option<PathBuf>,
    /// The results of every experiment, and the nodes of none.
    #[arg(long)]
    all: bool,
    /// The folder to write into [default: export/ in the experiment's folder, or in the results folder].
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The form of the files.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
}

/// The forms of exported files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Comma-separated values, one header line.
    Csv,
    /// One JSON object a line.
    Json,
}

const SHEETS: [(Sheet, &str); 4] = [
    (Sheet::Results, "results"),
    (Sheet::Series, "series"),
    (Sheet::Nodes, "nodes"),
    (Sheet::Attempts, "attempts"),
];

impl Export {
    pub(super) fn run(&self, place: &Place) -> Done {
        let root = self.spec.as_ref().map_or_else(|| place.alone(), |spec| place.of(spec));
        let path = root.join("ablate.sqlite");
        let record = Record::open_to_read(&path)?.ok_or_else(|| {
            Problem::new(format!("there is no database at {}", path.display()))
                .help("`ablate run` a spec first, or name the folder: --results DIR")
        })?;
        let experiment = self.spec.as_deref().map(|spec| recorded(&record, spec)).transpose()?;
        let beside = experiment.as_ref().map_or_else(|| root.clone(), |name| root.join(name));
        let folder = self.output.clone().unwrap_or_else(|| beside.join("export"));
        for (path, rows) in export_into(&record, experiment.as_deref(), &folder, self.format)? {
            print(&format!("{}: {}", path.display(), plural(rows, "row")));
        }
        Ok(0)
    }
}

/// Writes all sheets of one experiment or of all into a folder; each file with its number of rows.
pub(super) fn export_into(
    record: &Record,
    experiment: Option<&str>,
    folder: &Path,
    format: Format,
) -> Result<Vec<(PathBuf, usize)>> {
    std::fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
    let _one_state = record.snapshot()?;
    let mut written = vec![];
    for (sheet, name) in SHEETS {
        let ending = if format == Format::Csv { "csv" } else { "jsonl" };
        let path = folder.join(format!("{name}.{ending}"));
        let mut file = Sink::begin(&path, format)?;
        record.export(sheet, experiment, &mut file)?;
        written.push((path, file.finish()?));
    }
    Ok(written)
}

/// The name under which a spec was recorded.
fn recorded(record: &Record, spec: &Path) -> Result<String> {
    let name = spec.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if record.experiments()?.iter().any(|known| known.name == name) {
        return Ok(name);
    }
    let problem = Problem::new(format!("{} has not run in this results folder", spec.display()));
    Err(problem.help(format!("`ablate run {}` first", spec.display())))
}

/// A file that takes rows; it has its name once it is whole.
struct Sink {
    path: PathBuf,
    aside: PathBuf,
    out: BufWriter<File>,
    format: Format,
    names: Vec<String>,
    rows: usize,
}

impl Sink {
    fn begin(path: &Path, format: Format) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("{name}.{}.aside", std::process::id()));
        let file = File::create(&aside).map_err(|e| Problem::os("make", &aside, &e))?;
        let out = BufWriter::new(file);
        Ok(Self { path: path.to_owned(), aside, out, format, names: vec![], rows: 0 })
    }

    fn write(&mut self, line: &str) -> Result<()> {
        self.out.write_all(line.as_bytes()).map_err(|e| Problem::os("write", &self.path, &e))
    }

    /// Gives the file its name; the number of rows.
    fn finish(mut self) -> Result<usize> {
        let named = self.out.flush().and_then(|()| std::fs::rename(&self.aside, &self.path));
        named.map_err(|e| Problem::os("write", &self.path, &e))?;
        Ok(self.rows)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Only after a failure is there anything left to remove.
        let _ = std::fs::remove_file(&self.aside);
    }
}

impl Rows for Sink {
    fn head(&mut self, names: &[String]) -> Result<()> {
        self.names = names.to_vec();
        match self.format {
            Format::Csv => self.write(&csv_line(names.iter().cloned())),
            Format::Json => Ok(()),
        }
    }

    fn row(&mut self, cells: &[Value]) -> Result<()> {
        self.rows += 1;
        let line = match self.format {
            Format::Csv => csv_line(cells.iter().map(shown)),
            Format::Json => {
                let pairs = self.names.iter().cloned().zip(cells.iter().cloned());
                Value::Object(pairs.collect::<Map<String, Value>>()).to_string() + "\n"
            }
        };
        self.write(&line)
    }
}

/// A value as it stands in CSV: nothing for null, JSON for maps and lists.
fn shown(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
