//! `ablate import`: a spec of the configuration of an earlier program, or of the runs that it made.

use super::{Done, print, say};
use crate::files::{read_json, write_aside};
use crate::import::{self, Imported, runs, runs::Runs, runs::Sorting};
use crate::parts;
use crate::problem::{Problem, Problems, Result};
use crate::words;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Arguments of `ablate import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs become nodes that look their numbers up, so that tables and figures can be made of them.

Examples:
  ablate import config.yaml -o experiments/earlier.yaml      (a configuration becomes a spec that means the same)
  ablate import wandb_export.csv -o experiments/earlier.yaml
  ablate import runs.csv --params lr,width --metrics fid -o experiments/earlier.yaml
  ablate import multirun/2026-11-02/10-00-00 -o experiments/earlier.yaml      (of Hydra)"
)]
pub(super) struct Import {
    /// A configuration, YAML in one of the known layouts; a CSV file of runs; or a folder of Hydra's multirun.
    config: PathBuf,
    /// Columns of runs that are metrics; by default those that are called as metrics are.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Columns of runs that are parameters; by default all others in which they differ.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    params: Vec<String>,
    /// The spec to write; by default it is printed.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(&self) -> Done {
        let is_table = self.config.extension().is_some_and(|ending| ending == "csv");
        if self.config.is_dir() || is_table {
            return self.runs();
        }
        let mut problems = Problems::default();
        let Some(value) = crate::spec::plain(&self.config, &mut problems) else {
            return Err(problems);
        };
        let name = self.config.file_name().unwrap_or_default().to_string_lossy();
        let imported = import::spec_of(&value, &name).map_err(|problem| self.told(problem))?;
        self.write(&imported, None)
    }

    fn told(&self, problem: Problem) -> Problem {
        let sentence = format!("{}: {}", self.config.display(), problem.sentence);
        Problem { sentence, ..problem }
    }

    /// Runs that an earlier program made.
    fn runs(&self) -> Done {
        let Some(output) = &self.output else {
            let problem = Problem::new("the runs are written beside the spec");
            return Err(problem.help("name it: -o experiments/earlier.yaml").into());
        };
        let runs = match self.config.is_dir() {
            true => hydra(&self.config)?,
            false => table(&self.config)?,
        };
        let csv = output.with_extension("csv");
        let beside = csv.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sorting = Sorting { metrics: self.metrics.clone(), params: self.params.clone() };
        let name = self.config.display().to_string();
        let made = runs::spec_of(&runs, &sorting, &name, &beside).map_err(|p| self.told(p))?;
        self.write(&made.spec, Some((&csv, &made.csv)))
    }

    /// Writes a spec, and what lies beside it.
    fn write(&self, imported: &Imported, beside: Option<(&Path, &String)>) -> Done {
        for note in &imported.notes {
            say(&format!("note: {note}"));
        }
        let Some(output) = &self.output else {
            print(imported.text.trim_end());
            return Ok(0);
        };
        for path in [output.as_path()].into_iter().chain(beside.map(|(path, _)| path)) {
            if path.symlink_metadata().is_ok() {
                let problem = Problem::new(format!("{} is in the way", path.display()));
                return Err(problem.help("name another file").into());
            }
        }
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
        if let Some((path, text)) = beside {
            write_aside(path, text.as_bytes())?;
        }
        write_aside(output, imported.text.as_bytes())?;
        print(&output.display().to_string());
        let next = if beside.is_some() { "run" } else { "plan" };
        print(&format!("\nnext: ablate check {0}, then ablate {next} {0}", output.display()));
        Ok(0)
    }
}

/// The largest table that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// The runs in a CSV file.
pub(super) fn table(file: &Path) -> Result<Runs> {
    let fail = |e: csv::Error| Problem::new(format!("{}: {e}", file.display()));
    let bytes = std::fs::metadata(file).map_err(|e| Problem::os("read", file, &e).usage())?.len();
    if bytes > LARGEST {
        return Err(Problem::new(format!("{} has {}", file.display(), words::bytes(bytes))));
    }
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(fail)?;
    let owned = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let columns = owned(reader.headers().map_err(fail)?);
    let rows = reader.records().map(|record| record.map(|record| owned(&record)));
    Ok(Runs { columns, rows: rows.collect::<std::result::Result<_, _>>().map_err(fail)? })
}

/// Files in which jobs of Hydra leave their numbers.
const NUMBERS: [&str; 4] =
    ["metrics.json", "results.json", "test_results.json", "eval_results.json"];

/// The runs in a folder of Hydra's multirun: what each overrides, and the numbers that it left.
fn hydra(folder: &Path) -> Result<Runs, Problems> {
    let mut cells: Vec<BTreeMap<String, String>> = vec![];
    let files = parts::everything_hidden(folder)?;
    let mut overrides: Vec<&PathBuf> =
        files.iter().filter(|path| path.ends_with(".hydra/overrides.yaml")).collect();
    overrides.sort_by_key(|path| {
        let job = path.parent().and_then(Path::parent).and_then(|job| job.file_name());
        let number = job.and_then(|name| name.to_str()?.parse::<u64>().ok());
        (path.parent().and_then(Path::parent).and_then(Path::parent), number, job)
    });
    for path in overrides {
        let mut problems = Problems::default();
        let value = crate::spec::plain(path, &mut problems).ok_or(problems)?;
        let mut row = BTreeMap::new();
        let listed = value.as_array().cloned().unwrap_or_default();
        for text in listed.iter().filter_map(Value::as_str) {
            if let Some((name, value)) = text.trim_start_matches('+').split_once('=') {
                row.insert(name.to_owned(), value.to_owned());
            }
        }
        let job = path.parent().and_then(Path::parent).unwrap_or(folder);
        let numbers =
            NUMBERS.iter().find_map(|name| read_json::<Value>(&job.join(name)).ok().flatten());
        for (name, value) in numbers.as_ref().and_then(Value::as_object).into_iter().flatten() {
            if let Some(number) = value.as_f64() {
                row.insert(name.clone(), number.to_string());
            }
        }
        cells.push(row);
    }
    if cells.is_empty() {
        let problem = Problem::new(format!("{} holds no jobs of Hydra", folder.display()));
        return Err(problem
            .help("name the folder in which 0, 1, 2, … lie, each with .hydra/overrides.yaml")
            .into());
    }
    let names: BTreeSet<&String> = cells.iter().flat_map(BTreeMap::keys).collect();
    let columns: Vec<String> = names.into_iter().cloned().collect();
    let row = |cells: &BTreeMap<String, String>| {
        columns.iter().map(|name| cells.get(name).cloned().unwrap_or_default()).collect()
    };
    Ok(Runs { rows: cells.iter().map(row).collect(), columns: columns.clone() })
}
