//! `ablate log`: what a node's worker said, and how its attempts ended.

use super::asking::OfSpec;
use super::follow::follow;
use super::{Done, Opened, Place, print, spec_of};
use crate::files;
use crate::words;
use std::path::Path;

/// The most of a file that is shown, in bytes.
const SHOWN: u64 = 1 << 20;

/// Prints a file, of a very long one its end.
fn print_end(path: &Path) {
    let Ok(meta) = std::fs::metadata(path) else { return };
    let text = files::tail(path, SHOWN);
    if meta.len() <= SHOWN {
        return print(text.trim_end());
    }
    let before = words::bytes(meta.len() - SHOWN);
    print(&format!("… {before} before this are not shown: {}", path.display()));
    // The first line is not whole.
    print(text.split_once('\n').map_or(&*text, |(_, rest)| rest).trim_end());
}

/// Arguments of `ablate log`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ablate log 'net[seed=0]'
  ablate log -f 'net[seed=0]'        (in another terminal, while `ablate run` runs)")]
pub(super) struct Log {
    /// A node: its name, its readable name, or its key.
    node: String,
    #[command(flatten)]
    of: OfSpec,
    /// Show the events too.
    #[arg(long)]
    events: bool,
    /// Follow it while it runs, until it is finished, has failed, or nothing runs here any more.
    #[arg(short, long, conflicts_with = "events")]
    follow: bool,
}

impl Log {
    pub(super) fn run(&self, place: &Place) -> Done {
        let (spec, asking) = spec_of(&self.node, self.of.given(), place)?;
        let opened = Opened::read(&spec, &asking, place)?;
        let found = opened.find(&self.node)?;
        if self.follow {
            return Ok(u8::from(!follow(&opened, &found)?));
        }
        for index in found {
            let node = &opened.graph.nodes[index];
            print(&format!("{}  {}", node.name, node.folder()));
            let attempts = opened
                .record
                .as_ref()
                .map(|r| r.attempts(&node.key))
                .transpose()?
                .unwrap_or_default();
            for a in attempts {
                let why = match (&a.class, &a.message) {
                    (Some(class), Some(message)) => format!(" [{class}] {message}"),
                    _ => String::new(),
                };
                print(&format!(
                    "  {} attempt {} on {} {}: {} in {:.1} s{why}",
                    a.started, a.attempt, a.host, a.device, a.outcome, a.seconds
                ));
            }
            let folder = opened.results.wherever(&node.folder());
            let names: &[&str] =
                if self.events { &["log.txt", "events.jsonl"] } else { &["log.txt"] };
            for name in names {
                print_end(&folder.join(name));
            }
        }
        Ok(0)
    }
}
