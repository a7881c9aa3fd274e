//! `ablate figure`: draws the figures of a spec from what is finished.

use super::asking::Asking;
use super::{Done, Opened, Place, print};
use std::path::PathBuf;

/// Arguments of `ablate figure`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each is written as PDF, SVG, PNG and CSV into figures/ of the experiment's folder; what is not finished
is left out.

Example:
  ablate figure experiments/first.yaml spectra"
)]
pub(super) struct Figure {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// Only this figure.
    name: Option<String>,
}

impl Figure {
    pub(super) fn run(&self, place: &Place) -> Done {
        let (opened, record) = Opened::to_draw(&self.spec, &self.asking, place)?;
        let studio = opened.studio(&record);
        for output in studio.figures(self.name.as_deref())? {
            output.write(&opened.spec, &opened.graph)?;
            print(&output.told(&output.path));
            output.warnings.iter().for_each(|warning| print(&format!("  {warning}")));
        }
        Ok(0)
    }
}
