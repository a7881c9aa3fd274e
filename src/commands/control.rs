//! `ablate pause`, `resume`, `stop` and `first`: what is asked of runs while they go on. They hear it within a
//! second, from a file in the results folder.

use super::asking::OfSpec;
use super::{Done, Opened, Place, print, spec_of};
use crate::coordinator::{self, Order};
use crate::problem::{Problem, Result};
use crate::store::Results;
use crate::words::plural;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Arguments of `ablate pause`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ablate pause                 (what runs goes on to its end)
  ablate pause --now           (what runs saves and leaves its device)")]
pub(super) struct Pause {
    /// A spec, to look into its results folder.
    spec: Option<PathBuf>,
    /// Save what runs, and free the devices.
    #[arg(long)]
    now: bool,
}

impl Pause {
    pub(super) fn run(&self, place: &Place) -> Done {
        ask(&folder(self.spec.as_ref(), place), &Order::Pause { now: self.now })
    }
}

/// Arguments of `ablate resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate resume")]
pub(super) struct Resume {
    /// A spec, to look into its results folder.
    spec: Option<PathBuf>,
}

impl Resume {
    pub(super) fn run(&self, place: &Place) -> Done {
        ask(&folder(self.spec.as_ref(), place), &Order::Resume)
    }
}

/// Arguments of `ablate stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "`ablate run SPEC` goes on where they were.

Example:
  ablate stop")]
pub(super) struct Stop {
    /// A spec, to look into its results folder.
    spec: Option<PathBuf>,
}

impl Stop {
    pub(super) fn run(&self, place: &Place) -> Done {
        ask(&folder(self.spec.as_ref(), place), &Order::Stop)
    }
}

/// Arguments of `ablate first`.
#[derive(Debug, clap::Args)]
#[command(after_help = "What the nodes need comes first with them; what runs already goes on.

Example:
  ablate first 'net[schedule=cosine,seed=0]'")]
pub(super) struct First {
    /// Nodes: a name, a readable name, or a key.
    #[arg(required = true)]
    nodes: Vec<String>,
    #[command(flatten)]
    of: OfSpec,
}

impl First {
    pub(super) fn run(&self, place: &Place) -> Done {
        let mut keys = vec![];
        let mut results = None;
        for node in &self.nodes {
            let (spec, asking) = spec_of(node, self.of.given(), place)?;
            let opened = Opened::read(&spec, &asking, place)?;
            let found = opened.find(node)?;
            keys.extend(found.into_iter().map(|index| opened.graph.nodes[index].key.hex()));
            results = Some(opened.results);
        }
        let results = results.expect("a node is required");
        ask(&results, &Order::First(keys))
    }
}

fn folder(spec: Option<&PathBuf>, place: &Place) -> Results {
    Results { root: spec.map_or_else(|| place.alone(), |spec| place.of(spec)) }
}

/// How long runs may take to hear.
const HEARING: Duration = Duration::from_secs(10);

/// Asks every run in a results folder, and waits until all have heard.
pub(super) fn ask(results: &Results, order: &Order) -> Done {
    let living = coordinator::living(results);
    if living.is_empty() {
        let problem = Problem::new(format!("nothing runs in {}", results.root.display()));
        return Err(problem.help("name another folder: --results DIR").into());
    }
    let asked: Vec<(&String, PathBuf)> = living
        .iter()
        .map(|id| Ok((id, coordinator::ask(results, id, order)?)))
        .collect::<Result<_>>()?;
    let begun = Instant::now();
    let waits =
        |(id, file): &&(&String, PathBuf)| file.exists() && coordinator::is_alive(results, id);
    while asked.iter().any(|one| waits(&one)) {
        if begun.elapsed() > HEARING {
            let deaf = asked.iter().filter(waits).count();
            let text = format!("{} did not hear it yet", plural(deaf, "run"));
            return Err(Problem::system(text).help("`ablate status` shows what they do").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    print(&format!("{} heard it", plural(asked.len(), "run")));
    Ok(0)
}
