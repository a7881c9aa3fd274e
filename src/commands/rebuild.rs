//! `ablate rebuild`: makes the database anew from the folders in `nodes/`.

use super::{Done, Place, print};
use crate::coordinator::{self, Coordinator};
use crate::problem::Problem;
use crate::store::Results;

/// Arguments of `ablate rebuild`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The history of attempts and experiments is taken over where it can be read; the old file is kept as
ablate.sqlite.before. `ablate run` does the same by itself when it finds the database damaged.

Example:
  ablate rebuild --results results"
)]
pub(super) struct Rebuild {}

impl Rebuild {
    pub(super) fn run(&self, place: &Place) -> Done {
        let root = place.alone();
        if !root.join("nodes").exists() {
            let problem = Problem::new(format!("{} is no results folder", root.display()));
            return Err(problem.help("name it: --results DIR").into());
        }
        let results = Results::open(&root)?;
        if !coordinator::living(&results).is_empty() {
            let problem =
                Problem::system(format!("a run is at work in {}", results.root.display()));
            return Err(problem.help("wait for it, or stop it, and try again").into());
        }
        let coordinator = Coordinator::enter(&results)?;
        let (_, done) = crate::verify::rebuild(&results, &coordinator)?;
        print(&format!("{} is made anew: {done}", results.database().display()));
        Ok(0)
    }
}
