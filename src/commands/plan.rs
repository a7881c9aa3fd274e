//! `ablate plan`: what would run, why, what sharing saves, and how long it may take.

use super::asking::Asking;
use super::{Done, Opened, Place, print, slots};
use crate::words::{self, plural};
use std::path::PathBuf;

/// Arguments of `ablate plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Runs nothing. `ablate why NODE` tells more about one node.

Examples:
  ablate plan experiments/first.yaml
  ablate plan experiments/first.yaml --resolved      (where each value comes from)")]
pub(super) struct PlanCommand {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// List every node, the finished ones too.
    #[arg(long)]
    all: bool,
    /// Print each value of the merged spec with the file and line it came from.
    #[arg(long)]
    resolved: bool,
}

/// Nodes listed without `--all`.
const LISTED: usize = 40;

impl PlanCommand {
    pub(super) fn run(&self, place: &Place) -> Done {
        let opened = Opened::read(&self.spec, &self.asking, place)?;
        if self.resolved {
            for (path, value, origin) in crate::spec::resolved(&opened.spec.merged) {
                print(&format!("{path}: {value}    # {origin}"));
            }
            return Ok(0);
        }
        print(&format!("{}\n", opened.spec.question));
        self.list(&opened);
        for line in opened.plan.summary(&opened.graph) {
            print(&line);
        }
        let slots = slots();
        let to_run = opened.plan.to_run().count();
        if to_run == 0 {
            print("Nothing to run.");
            return Ok(0);
        }
        let device = slots.first().map_or("no slot", |slot| slot.model.as_str());
        print(&match opened.plan.expected(&opened.graph, slots.len()) {
            Some(span) => {
                format!(
                    "About {} on {} ({device}), by this results folder's history.",
                    words::duration(span),
                    plural(slots.len(), "slot")
                )
            }
            None => format!(
                "Unknown duration on {} ({device}): no history for some kinds.",
                plural(slots.len(), "slot")
            ),
        });
        Ok(0)
    }

    fn list(&self, opened: &Opened) {
        let listed: Vec<_> =
            opened.plan.reasons().filter(|(_, reason)| self.all || reason.runs()).collect();
        let limit = if self.all { usize::MAX } else { LISTED };
        for (index, reason) in listed.iter().take(limit) {
            let node = &opened.graph.nodes[*index];
            print(&format!(
                "{:<9} {}  {}  {}",
                node.kind().word(),
                node.key.short(),
                node.name,
                reason.sentence()
            ));
        }
        if listed.len() > limit {
            print(&format!(
                "… and {} more; --all lists them",
                plural(listed.len() - limit, "node")
            ));
        }
        if !listed.is_empty() {
            print("");
        }
    }
}
