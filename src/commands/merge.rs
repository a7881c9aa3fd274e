//! `ablate merge`: adds the finished nodes of another results folder.

use super::{Done, Place, print, say};
use crate::coordinator::Coordinator;
use crate::merge::{Merged, Transfer};
use crate::record::Record;
use crate::store::Results;
use crate::survey;
use crate::words::plural;
use std::path::PathBuf;

/// Arguments of `ablate merge`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Sizes, digests and keys there are checked first; damaged nodes are named and left out. Nodes that are
here already stay as they are. Checkpoints of trainings are not merged, nor is the history of attempts.
Afterwards, `ablate run SPEC` finds the nodes finished.

Example:
  ablate merge /mnt/cluster/results --results results"
)]
pub(super) struct Merge {
    /// The other results folder, which holds nodes/.
    dir: PathBuf,
    /// Make hard links instead of copies where the file system allows.
    #[arg(long)]
    link: bool,
}

impl Merge {
    pub(super) fn run(&self, place: &Place) -> Done {
        let results = Results::open(&place.alone())?;
        let coordinator = Coordinator::enter(&results)?;
        let mut record = Record::open(&results.database())?;
        for line in survey::recover(&results, &mut record, &coordinator)?.0 {
            say(&line);
        }
        let merge = crate::merge::Merge {
            from: &self.dir,
            results: &results,
            record: &mut record,
            coordinator: &coordinator,
            transfer: if self.link { Transfer::Link } else { Transfer::Copy },
        };
        let merged = merge.run(&mut |line| say(line));
        record.release_all(&coordinator.id)?;
        let merged = merged?;
        print(&summary(&merged));
        Ok(u8::from(merged.damaged > 0))
    }
}

/// `12 nodes added, 3 here already, 1 here with other bytes, 2 damaged and left out`.
fn summary(merged: &Merged) -> String {
    let mut told = vec![format!("{} added", plural(merged.added, "node"))];
    let rest = [
        (merged.known, "here already"),
        (merged.differing, "here with other bytes"),
        (merged.busy, "being made by a run here"),
        (merged.cleaned, "cleaned there and left out"),
        (merged.damaged, "damaged and left out"),
    ];
    told.extend(rest.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    told.join(", ")
}
