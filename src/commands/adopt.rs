//! `ablate adopt`: lets a finished node serve as another, with the reason written down.

use super::asking::OfSpec;
use super::{Done, Opened, Place, print, short, spec_of};
use crate::coordinator::Coordinator;
use crate::problem::{Problem, Result};
use crate::verify;
use crate::words::plural;
use petgraph::graph::NodeIndex;

/// Arguments of `ablate adopt`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For work that you know to be the same although its key differs, such as after renaming a setting. The reason and
all that differs are written into the node's node.json for ever, and `ablate show` tells them.

Example:
  ablate adopt train-3f2a91c04b7e 'net[seed=0]' --reason 'the new default changes nothing at width 16'"
)]
pub(super) struct Adopt {
    /// The finished node: its folder, or the beginning of its key.
    old: String,
    /// The node of the spec that it shall serve as.
    new: String,
    /// Why that is right.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    of: OfSpec,
}

impl Adopt {
    pub(super) fn run(&self, place: &Place) -> Done {
        if self.reason.trim().is_empty() {
            return Err(Problem::new("`--reason` is empty").help("say why it is right").into());
        }
        let (spec, asking) = spec_of(&self.new, self.of.given(), place)?;
        let opened = Opened::read(&spec, &asking, place)?;
        let index = only(&opened, &self.new)?;
        let old = folder_of(&opened, &self.old)?;
        let Opened { graph, results, record, .. } = opened;
        drop(record);
        let coordinator = Coordinator::enter(&results)?;
        let mut tell = |text: &str| print(text);
        let mut record = verify::open_record(&results, &coordinator, &mut tell)?;
        let means = (&results, &mut record, &coordinator);
        let changes = crate::adopt::adopt(&graph, index, &old, self.reason.trim(), means)?;
        let node = &graph.nodes[index];
        print(&format!("{} is finished: nodes/{} adopts nodes/{old}", node.name, node.folder()));
        print(&format!("  although {} of its identity differ:", plural(changes.len(), "line")));
        for change in changes {
            let word =
                |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            let (old, new) = (word(&change.old), word(&change.new));
            print(&format!("    {}: {} → {}", change.path, short(&old), short(&new)));
        }
        Ok(0)
    }
}

/// The one node of the spec that is meant.
fn only(opened: &Opened, name: &str) -> Result<NodeIndex> {
    match opened.find(name)?.as_slice() {
        [one] => Ok(*one),
        all => {
            let what = format!("`{name}` stands for {}", plural(all.len(), "node"));
            Err(Problem::new(what).help("name one of them, as `ablate plan` prints it"))
        }
    }
}

/// The one finished folder that is meant.
fn folder_of(opened: &Opened, name: &str) -> Result<String> {
    const SHORTEST: usize = 4;
    let is = |folder: &String| {
        let key = folder.rsplit('-').next().unwrap_or_default();
        folder == name || (name.len() >= SHORTEST && key.starts_with(name))
    };
    let folders = opened.results.finished()?;
    let found: Vec<&String> = folders.iter().filter(|folder| is(folder)).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let problem = Problem::new(format!("no finished node is called `{name}`"));
            Err(problem.help("name its folder in nodes/, or the beginning of its key"))
        }
        all => {
            let what = format!("`{name}` begins the keys of {}", plural(all.len(), "node"));
            Err(Problem::new(what).help("give more digits"))
        }
    }
}
