//! `ablate export`: results for other programs.

use super::{Done, Place, print};
use crate::export::{Format, export_into};
use crate::problem::{Problem, Result};
use crate::record::Record;
use crate::words::plural;
use std::path::{Path, PathBuf};

/// Arguments of `ablate export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes results (a row for each metric at each point, the axes as columns), series (a row for each
number of a curve), nodes and attempts. docs/results.md tells what each column means. For TensorBoard it writes
a run for each node, with its curves over steps and its metrics.

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
    #[arg(long, value_enum, default_value_t = Form::Csv)]
    format: Form,
}

/// The forms of exported files.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Form {
    /// Comma-separated values, one header line.
    Csv,
    /// One JSON object a line.
    Json,
    /// Apache Parquet, a type for each column.
    Parquet,
    /// Event files of TensorBoard, a run for each node.
    Tensorboard,
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Csv => Self::Csv,
            Form::Json => Self::Json,
            Form::Parquet => Self::Parquet,
            Form::Tensorboard => Self::Tensorboard,
        }
    }
}

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
        let written = export_into(&record, experiment.as_deref(), &folder, self.format.into())?;
        match self.format {
            Form::Tensorboard => {
                let values = plural(written.iter().map(|(_, values)| values).sum(), "value");
                let runs = plural(written.len(), "run");
                print(&format!("{}: {runs}, {values}", folder.join("tensorboard").display()));
            }
            _ => written.iter().for_each(|(path, rows)| {
                print(&format!("{}: {}", path.display(), plural(*rows, "row")));
            }),
        }
        Ok(0)
    }
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
