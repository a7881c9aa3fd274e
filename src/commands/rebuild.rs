//! `ablate rebuild`: makes the database anew from the folders in `nodes/`.

use super::{Done, Place, print};
use crate::coordinator::Coordinator;
use crate::problem::Problem;
use crate::store::Results;

/// Arguments of `ablate rebuild`.
#[derive(Debug, clap::Args)]
pub(super) struct Rebuild {}

impl Rebuild {
    pub(super) fn run(&self, place: &Place) -> Done {
        let root = place.alone();
        if !root.join("nodes").exists() {
            let problem = Problem::new(format!("{} is no results folder", root.display()));
            return Err(problem.help("name it: --results DIR").into());
        }
        let results = Results::open(&root)?;
        let coordinator = Coordinator::enter(&results)?;
        let (_, done) = crate::verify::rebuild(&results, &coordinator)?;
        print(&format!("{} is made anew: {done}", results.database().display()));
        Ok(0)
    }
}
