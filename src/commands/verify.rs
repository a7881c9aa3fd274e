//! `ablate verify`: every file of a results folder against its digest, and the database against the files.

use super::{Done, Place, print};
use crate::problem::Problem;
use crate::store::Results;
use crate::verify::everything;
use crate::words::{bytes, plural};
use std::path::PathBuf;

/// Arguments of `ablate verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads everything once. What is wrong is named and remembered: the next `ablate run` mends it.
Exit code 1 if anything is wrong.

Examples:
  ablate verify --results results
  ablate verify experiments/first.yaml --again 'net[seed=0]'    # made once more, aside, and compared to the bit"
)]
pub(super) struct Verify {
    /// A spec, to verify its results folder.
    spec: Option<PathBuf>,
    /// Make this finished node once more, aside, and compare the bytes; nothing is changed.
    #[arg(long, value_name = "NODE", requires = "spec")]
    again: Vec<String>,
}

impl Verify {
    pub(super) fn run(&self, place: &Place) -> Done {
        if let Some(spec) = self.spec.as_deref().filter(|_| !self.again.is_empty()) {
            return super::again::verify(spec, &self.again, place);
        }
        let root = self.spec.as_ref().map_or_else(|| place.alone(), |spec| place.of(spec));
        if !root.join("nodes").exists() {
            let problem = Problem::new(format!("{} is no results folder", root.display()));
            return Err(problem.help("name it: --results DIR").into());
        }
        let results = Results::open(&root)?;
        let findings = everything(&results)?;
        for (path, damage) in &findings.damage {
            for d in damage {
                print(&format!("{path}: {} {}", d.path, d.what));
            }
        }
        if let Some(what) = &findings.database {
            print(&format!("ablate.sqlite: {what}"));
        }
        let (nodes, size) = (plural(findings.nodes, "node"), bytes(findings.bytes));
        if findings.is_sound() {
            print(&format!("{nodes}, {size}: all is as it was written"));
            return Ok(0);
        }
        findings.remember(&results)?;
        let wrong = findings.damage.len() + usize::from(findings.database.is_some());
        print(&format!(
            "{nodes}, {size}: {} damaged; the next `ablate run` mends them",
            plural(wrong, "place")
        ));
        Ok(1)
    }
}
