//! `ablate select`: what was found best and is read, and a fresh choice where a person asks for it.

use super::asking::Asking;
use super::{Done, Opened, Place, print};
use crate::coordinator::Coordinator;
use crate::decide;
use crate::problem::Problem;
use crate::words;
use std::path::PathBuf;

/// Arguments of `ablate select`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A choice is made once, by the run that finishes all that compete, and stays as it is when seeds are added.

Examples:
  ablate select experiments/chosen.yaml
  ablate select experiments/chosen.yaml --again"
)]
pub(super) struct Select {
    /// The spec, a YAML file.
    spec: PathBuf,
    /// Put this profile of the spec above it.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Choose afresh by everything that is finished now, where that makes a difference.
    #[arg(long)]
    again: bool,
}

impl Select {
    pub(super) fn run(&self, place: &Place) -> Done {
        let asking = Asking::of(self.profile.clone());
        let opened = Opened::read(&self.spec, &asking, place)?;
        if opened.graph.selections.is_empty() {
            let problem = Problem::new("nothing is chosen in this spec");
            let help = "write `from: { node: net, best: { by: score.power_spectrum.error } }`";
            return Err(problem.help(help).into());
        }
        let Some(record) = &opened.record else {
            return Err(Problem::new("nothing is finished yet")
                .help("`ablate run` it first")
                .into());
        };
        let mut changed = 0;
        for contest in decide::contests(&opened.graph, record)? {
            print(&contest.told());
            if let Some(fresh) = contest.fresh().filter(|_| self.again) {
                // Held while it writes, as whatever changes results is.
                let _coordinator = Coordinator::enter(&opened.results)?;
                fresh.write(&opened.results.root.join("nodes"))?;
                changed += 1;
            }
            for line in contest.ranking() {
                print(&format!("  {line}"));
            }
        }
        if self.again {
            print(&match changed {
                0 => "Nothing changes.".to_owned(),
                n => format!(
                    "{} changed; the next run makes what is new.",
                    words::plural(n, "choice")
                ),
            });
        }
        Ok(0)
    }
}
