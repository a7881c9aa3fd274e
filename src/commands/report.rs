//! `ablate report`: everything about an experiment on one page.

use super::asking::Asking;
use super::{Done, Opened, Place, print};
use crate::files::write_aside;
use crate::problem::Problem;
use crate::report;
use std::path::PathBuf;

/// Arguments of `ablate report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate report experiments/first.yaml")]
pub(super) struct ReportCommand {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// The file [default: report.html in the experiment's folder].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ReportCommand {
    pub(super) fn run(&self, place: &Place) -> Done {
        let (opened, record) = Opened::to_draw(&self.spec, &self.asking, place)?;
        let studio = opened.studio(&record);
        let page = report::page(studio, &studio.outputs()?)?;
        let path = match &self.output {
            Some(path) => path.clone(),
            None => {
                let folder = opened.results.experiment(&opened.spec.name);
                std::fs::create_dir_all(&folder)
                    .map_err(|e| Problem::os("make the folder", &folder, &e))?;
                folder.join("report.html")
            }
        };
        write_aside(&path, page.as_bytes())?;
        print(&path.display().to_string());
        Ok(0)
    }
}
