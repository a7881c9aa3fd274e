//! `ablate clean`: what no experiment refers to, what removing it would free, and what making it again
//! would cost. Nothing is removed without `--yes`.

use super::{Done, Place, print};
use crate::coordinator::{self, Coordinator};
use crate::graph::Graph;
use crate::plan::trajectory_folder;
use crate::problem::{Problem, Result};
use crate::record::{Experiment, Record};
use crate::store::{self, Results, is_large};
use crate::survey;
use crate::words::{bytes, duration, plural, span};
use std::collections::BTreeSet;
use std::path::Path;

/// Arguments of `ablate clean`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keeps what the specs that have run here refer to, as they are now. Of the rest it removes artefacts and
checkpoints; settings, metrics and series stay for ever.

Examples:
  ablate clean                     # shows what could go, and what it would cost to make again
  ablate clean --yes --checkpoints"
)]
pub(super) struct Clean {
    /// Remove it; without this, only show.
    #[arg(long)]
    yes: bool,
    /// Also the checkpoints of finished trainings: they can then no longer be made longer without
    /// starting again.
    #[arg(long)]
    checkpoints: bool,
}

/// Something that can be removed.
struct Item {
    what: What,
    folder: String,
    name: String,
    bytes: u64,
    /// Seconds that it took to make.
    seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Artefacts of a finished node; numbers and settings stay.
    Artefacts,
    /// A folder in `work/`, whole.
    Work,
}

impl Clean {
    pub(super) fn run(&self, place: &Place) -> Done {
        let root = place.alone();
        let results = Results { root };
        let Some(mut record) = Record::open_to_read(&results.database())? else {
            let problem = Problem::new(format!("{} has no database", results.root.display()));
            return Err(problem.help("name the results folder: --results DIR").into());
        };
        let wanted = Wanted::find(&results, &record)?;
        let items = self.items(&results, &record, &wanted)?;
        let (size, cost) = items
            .iter()
            .fold((0, 0.0), |(size, cost), item| (size + item.bytes, cost + item.seconds));
        for item in &items {
            let part = if item.what == What::Artefacts { "nodes" } else { "work" };
            // Without its history nobody knows.
            let took = match item.seconds {
                0.0 => "unknown time".to_owned(),
                seconds => duration(span(seconds)),
            };
            print(&format!(
                "{part}/{}  {}  {}, {took} to make again",
                item.folder,
                item.name,
                bytes(item.bytes)
            ));
        }
        let all = plural(items.len(), "folder");
        let cost = duration(span(cost));
        if items.is_empty() {
            print("nothing to clean: every node belongs to an experiment");
        } else if self.yes {
            let results = Results::open(&results.root)?;
            record = Record::open(&results.database())?;
            remove(&items, &results, &mut record)?;
            print(&format!("removed {} in {all}; numbers and settings stay", bytes(size)));
        } else {
            print(&format!(
                "{} in {all} could go, {cost} to make again; `--yes` removes them, numbers and settings stay",
                bytes(size)
            ));
        }
        Ok(0)
    }

    fn items(&self, results: &Results, record: &Record, wanted: &Wanted) -> Result<Vec<Item>> {
        let seconds = record.seconds_by_node()?;
        let mut items = vec![];
        for folder in results.finished()? {
            let path = results.node(&folder);
            let Ok(file) = store::read_node(&path) else { continue };
            if wanted.nodes.contains(&file.key) {
                continue;
            }
            let large = file.artefacts.iter().filter(|artefact| is_large(&artefact.path));
            let there = large.filter(|artefact| path.join(&artefact.path).exists());
            let bytes = there.map(|artefact| artefact.bytes).sum();
            if bytes > 0 {
                let seconds = seconds.get(&file.key).copied().unwrap_or(0.0);
                let (what, name) = (What::Artefacts, file.name);
                items.push(Item { what, folder, name, bytes, seconds });
            }
        }
        for folder in results.unfinished()? {
            let is_trajectory = folder.starts_with("trajectory-");
            let finished = is_trajectory && self.checkpoints && !wanted.growing.contains(&folder);
            let merging = folder
                .strip_prefix("merging-")
                .is_some_and(|id| coordinator::is_alive(results, id));
            if wanted.keep_work || merging || (!finished && wanted.work.contains(&folder)) {
                continue;
            }
            let bytes = size_of(&results.work(&folder));
            let name = if is_trajectory { "checkpoints" } else { "an interrupted attempt" };
            let (what, name) = (What::Work, name.to_owned());
            items.push(Item { what, folder, name, bytes, seconds: 0.0 });
        }
        Ok(items)
    }
}

/// What the experiments refer to.
#[derive(Default)]
struct Wanted {
    /// Keys, in hex.
    nodes: BTreeSet<String>,
    /// Folders in `work/`.
    work: BTreeSet<String>,
    /// Trajectories that a node which is not finished needs.
    growing: BTreeSet<String>,
    /// Whether a spec cannot be read now, so that nobody knows what else it needs.
    keep_work: bool,
}

impl Wanted {
    /// By the specs as they are now; of those that cannot be read, by what the database remembers.
    fn find(results: &Results, record: &Record) -> Result<Self> {
        let mut wanted = Self::default();
        let finished = results.finished()?;
        let experiments = record.experiments()?;
        if experiments.is_empty() {
            let problem = Problem::new("this database knows no experiment, so everything would go");
            return Err(problem.help("`ablate run` the specs whose results shall stay"));
        }
        for Experiment { name, file, asked, .. } in experiments {
            // Of a relative path nobody knows where it was meant.
            let read = match file.is_absolute() {
                true => Graph::read_with(&file, &asked).ok(),
                false => None,
            };
            match read {
                Some((_, graph)) => {
                    print(&format!("kept: what {} refers to", file.display()));
                    wanted.add_graph(&graph, &finished);
                }
                None => {
                    print(&format!(
                        "kept: what {name} had when it ran, and all of work/, since {} cannot be read",
                        file.display()
                    ));
                    wanted.nodes.extend(record.nodes_of(&name)?);
                    wanted.keep_work = true;
                }
            }
        }
        Ok(wanted)
    }

    fn add_graph(&mut self, graph: &Graph, finished: &BTreeSet<String>) {
        for node in graph.nodes.node_weights() {
            self.nodes.insert(node.key.hex());
            self.work.insert(node.folder());
            if let Some(folder) = trajectory_folder(node) {
                if !finished.contains(&node.folder()) {
                    self.growing.insert(folder.clone());
                }
                self.work.insert(folder);
            }
        }
    }
}

/// Bytes of the files directly in a folder.
fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|meta| meta.len()).sum()
}

fn remove(items: &[Item], results: &Results, record: &mut Record) -> Result<()> {
    let coordinator = Coordinator::enter(results)?;
    for item in items {
        if !survey::claim(results, record, &coordinator, &item.folder)? {
            print(&format!("{} is in use by a run and stays", item.folder));
            continue;
        }
        match item.what {
            What::Artefacts => results.clean(&item.folder)?,
            What::Work => {
                let path = results.work(&item.folder);
                std::fs::remove_dir_all(&path).map_err(|e| Problem::os("remove", &path, &e))?;
            }
        }
    }
    record.release_all(&coordinator.id)
}
