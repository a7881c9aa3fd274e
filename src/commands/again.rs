//! `ablate verify SPEC --again NODE`: makes a finished node once more, aside, and compares the bytes.

use super::asking::Asking;
use super::run::listen_for_signals;
use super::{Done, Opened, Place, print};
use crate::coordinator::{self, Coordinator};
use crate::demand::Demands;
use crate::job::Arithmetic;
use crate::plan;
use crate::pool::{self, Pool, Programs, Slots};
use crate::problem::{Problem, Problems, Result};
use crate::record::Record;
use crate::run::{Limits, Means, Outcome, Run};
use crate::screen::monitor;
use crate::store::{self, NodeFile, Results};
use crate::survey;
use crate::words::plural;
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;

/// Makes the nodes that names stand for again and compares them.
pub(super) fn verify(spec: &Path, names: &[String], place: &Place) -> Done {
    let opened = Opened::read(spec, &Asking::default(), place)?;
    let mut nodes = BTreeSet::new();
    for name in names {
        nodes.extend(opened.find(name)?);
    }
    let inputs = nodes.iter().flat_map(|index| opened.graph.inputs(*index));
    for index in nodes.iter().copied().chain(inputs) {
        let node = &opened.graph.nodes[index];
        if opened.results.is_cleaned(&node.folder()) {
            let problem = Problem::new(format!("the files of {} were cleaned away", node.name));
            return Err(problem.help("`ablate run --only` it with `--fresh` first").into());
        }
        let damage = store::check(&opened.results.node(&node.folder()));
        if let Some(first) = damage.first() {
            let what = format!(
                "{} is not there to compare with: {} {}",
                node.name, first.path, first.what
            );
            return Err(Problem::new(what).help("`ablate run` it first").into());
        }
    }
    let coordinator = Coordinator::enter(&opened.results)?;
    let aside = Aside::new(&opened, &nodes, &coordinator)?;
    let outcome = aside.run(&opened, &nodes, &coordinator)?;
    if outcome.stopped || outcome.counts.failed > 0 {
        return Ok(outcome.exit_code());
    }
    let mut differing = 0;
    for index in &nodes {
        let (node, folder) = (&opened.graph.nodes[*index], opened.graph.nodes[*index].folder());
        let first = store::read_node(&opened.results.node(&folder))?;
        let second = store::read_node(&aside.results.node(&folder))?;
        let lines = differences(&first, &second);
        match lines.is_empty() {
            true => print(&format!(
                "{}: {} the same to the bit",
                node.name,
                plural(first.artefacts.len(), "file")
            )),
            false => print(&format!("{}: made again, it differs", node.name)),
        }
        differing += usize::from(!lines.is_empty());
        lines.iter().for_each(|line| print(&format!("  {line}")));
    }
    Ok(u8::from(differing > 0))
}

/// A results folder aside, with links to what the nodes read; removed when dropped.
struct Aside {
    results: Results,
}

impl Aside {
    fn new(
        opened: &Opened,
        nodes: &BTreeSet<NodeIndex>,
        coordinator: &Coordinator,
    ) -> Result<Self> {
        clear_away(&opened.results)?;
        let root = opened.results.root.join(format!("{PREFIX}{}", coordinator.id));
        let aside = Self { results: Results::open(&root)? };
        let inputs = nodes.iter().flat_map(|index| opened.graph.inputs(*index));
        for input in inputs.filter(|input| !nodes.contains(input)) {
            let folder = opened.graph.nodes[input].folder();
            let link = aside.results.node(&folder);
            if !link.exists() {
                std::os::unix::fs::symlink(opened.results.node(&folder), &link)
                    .map_err(|e| Problem::os("link", &link, &e))?;
            }
        }
        Ok(aside)
    }

    /// Runs the nodes on the slots that runs of the real folder use, too.
    fn run(
        &self,
        opened: &Opened,
        nodes: &BTreeSet<NodeIndex>,
        coordinator: &Coordinator,
    ) -> Result<Outcome, Problems> {
        let (results, graph) = (&self.results, &opened.graph);
        let mut record = Record::open(&results.database())?;
        let known = survey::known(graph, results, None)?;
        let plan = plan::make(graph, &known, "cpu");
        let (sender, messages) = channel();
        listen_for_signals(sender.clone())?;
        let devices = pool::devices_here(None)?;
        let pool = Pool::new(Programs::find(), &opened.results, &coordinator.id, devices, sender);
        let (limit, demands) = (pool.len(), Demands::on(&pool.rooms(), Vec::new));
        let mut monitor = monitor();
        let means = Means {
            graph,
            results,
            record: &mut record,
            coordinator,
            pool: Box::new(pool),
            demands,
            limit,
            patience: 0,
            once: false,
            limits: Limits::default(),
            monitor: monitor.as_mut(),
        };
        Ok(Run::new(means, &plan, nodes).finish(&messages)?)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What stays takes room and nothing else.
        let _ = fs::remove_dir_all(&self.results.root);
    }
}

/// How the names of such folders begin; the coordinator's follows.
const PREFIX: &str = "again-";

/// Removes what an interrupted comparison left: its coordinator is gone.
fn clear_away(results: &Results) -> Result<()> {
    let root = &results.root;
    for entry in fs::read_dir(root).map_err(|e| Problem::os("list", root, &e))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(PREFIX).is_some_and(|id| !coordinator::is_alive(results, id)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// The files in which two nodes of one key differ, and what else may explain it.
fn differences(first: &NodeFile, second: &NodeFile) -> Vec<String> {
    let digests = |file: &NodeFile| -> BTreeMap<String, String> {
        file.artefacts.iter().map(|a| (a.path.clone(), a.blake3.clone())).collect()
    };
    let (old, new) = (digests(first), digests(second));
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut lines: Vec<String> = paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| match (old.get(path), new.get(path)) {
            (Some(_), None) => format!("{path} was not made again"),
            (None, _) => format!("{path} was not there before"),
            _ => format!("{path} has other bytes"),
        })
        .collect();
    if !lines.is_empty() && first.arithmetic != second.arithmetic {
        let word = |file: &NodeFile| Arithmetic::words(&file.arithmetic);
        lines.push(format!("arithmetic: {}; now {}", word(first), word(second)));
    }
    lines
}
