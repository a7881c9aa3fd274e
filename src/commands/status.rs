//! `ablate status`: how far the experiments of a results folder are, in a few milliseconds.

use super::{Done, Place, print};
use crate::job::Event;
use crate::record::Record;
use crate::store::Results;
use crate::words;
use std::path::{Path, PathBuf};

/// Arguments of `ablate status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate status experiments/first.yaml")]
pub(super) struct Status {
    /// A spec, to look into its results folder.
    spec: Option<PathBuf>,
}

impl Status {
    pub(super) fn run(&self, place: &Place) -> Done {
        let root = self.spec.as_ref().map_or_else(|| place.alone(), |spec| place.of(spec));
        let Some(record) = Record::open_to_read(&root.join("ablate.sqlite"))? else {
            print(&format!("{}: no experiment has run here yet", root.display()));
            return Ok(0);
        };
        let statement = "SELECT p.experiment, n.kind, count(DISTINCT p.node), count(DISTINCT n.key)
             FROM points p LEFT JOIN nodes n ON n.key = p.node GROUP BY p.experiment, n.kind";
        let (_, rows) = record.query(statement)?;
        for (experiment, _) in record.experiments()? {
            let of = |row: &&Vec<String>| row[0] == experiment;
            let sum = |column: usize| -> u64 {
                rows.iter().filter(of).filter_map(|row| row[column].parse::<u64>().ok()).sum()
            };
            let kinds: Vec<String> = rows
                .iter()
                .filter(of)
                .filter(|row| !row[1].is_empty())
                .map(|row| format!("{} {}", row[1], row[3]))
                .collect();
            print(&format!("{experiment}: {}/{} finished ({})", sum(3), sum(2), kinds.join(", ")));
        }
        show_running(&root)?;
        Ok(0)
    }
}

/// The nodes that living coordinators work on.
fn show_running(root: &Path) -> Result<(), crate::problem::Problem> {
    let results = Results { root: root.to_owned() };
    if crate::coordinator::living(&results).is_empty() {
        print("nothing is running");
        return Ok(());
    }
    for folder in results.unfinished()? {
        let Ok(text) = std::fs::read_to_string(results.work(&folder).join("events.jsonl")) else {
            continue;
        };
        let last = text.lines().rev().find_map(|line| match serde_json::from_str(line) {
            Ok(Event::Progress { step, total, loss }) => Some((step, total, loss)),
            Ok(Event::Started { step, total, .. }) => Some((step, total, None)),
            _ => None,
        });
        let Some((step, total, loss)) = last else { continue };
        let loss = loss.map_or(String::new(), |loss| format!(", loss {loss:.4}"));
        print(&format!(
            "running {folder}: {}/{}{loss}",
            words::grouped(step),
            words::grouped(total)
        ));
    }
    Ok(())
}
