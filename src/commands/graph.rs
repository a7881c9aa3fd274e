//! `ablate graph`: the graph of a spec as a picture, folded by declared name, with how far each is.

use super::asking::Asking;
use super::{Done, Opened, Place, print};
use crate::draw::{States, folded, unfolded};
use crate::figure::{Dag, Metadata};
use crate::files::write_aside;
use crate::problem::{Problem, Result};
use crate::record::Record;
use std::path::{Path, PathBuf};

/// Arguments of `ablate graph`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ablate graph experiments/first.yaml
  ablate graph experiments/first.yaml --all -o graph.pdf")]
pub(super) struct GraphCommand {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// The file: .svg, .png or .pdf, or `-` for SVG on standard output [default: graph.svg in the experiment's folder].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A box for each node instead of each name in the spec; at most 200.
    #[arg(long)]
    all: bool,
}

impl GraphCommand {
    pub(super) fn run(&self, place: &Place) -> Done {
        let opened = Opened::read(&self.spec, &self.asking, place)?;
        let failed = opened.record.as_ref().map(Record::failures).transpose()?.unwrap_or_default();
        let states = States {
            is_finished: &|index| !opened.plan.reason(index).runs(),
            failed: failed.into_keys().collect(),
        };
        let dag = match self.all {
            true => unfolded(&opened.graph, &states)?,
            false => folded(&opened.spec, &opened.graph, &states),
        };
        let title = format!("{}: {}", opened.spec.name, opened.spec.question);
        let meta =
            Metadata { title, sources: opened.spec.file.display().to_string(), footnote: None };
        let path = match &self.output {
            Some(path) if path == Path::new("-") => {
                print(dag.svg(&meta).trim_end());
                return Ok(0);
            }
            Some(path) => path.clone(),
            None => {
                let folder = opened.results.experiment(&opened.spec.name);
                std::fs::create_dir_all(&folder)
                    .map_err(|e| Problem::os("make the folder", &folder, &e))?;
                folder.join("graph.svg")
            }
        };
        write(&dag, &meta, &path)?;
        print(&path.display().to_string());
        Ok(0)
    }
}

/// Writes the picture in the form that the file's ending names.
fn write(dag: &Dag, meta: &Metadata, path: &Path) -> Result<()> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => write_aside(path, dag.svg(meta).as_bytes()),
        Some("png") => write_aside(path, &dag.draw(meta)?.png),
        Some("pdf") => write_aside(path, &dag.draw(meta)?.pdf),
        _ => {
            let problem = Problem::new(format!("{} has no known ending", path.display()));
            Err(problem.help("name it .svg, .png or .pdf"))
        }
    }
}
