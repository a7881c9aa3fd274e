//! The graph of a spec as boxes and arrows: one box for each declared node, or for each node.

use super::Studio;
use crate::figure::{Dag, DagArrow, DagBox, DagState, Drawing, Metadata};
use crate::graph::Graph;
use crate::problem::{Problem, Result};
use crate::settings::Kind;
use crate::spec::{GraphSpec, Spec};
use crate::words::{grouped, plural};
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet};

/// The most nodes that are drawn one by one.
const MOST: usize = 200;

/// What is told of the nodes of one box.
#[derive(Debug, Default)]
struct Tally {
    finished: usize,
    failed: usize,
    all: usize,
    axes: Vec<String>,
}

impl Tally {
    fn state(&self) -> DagState {
        match self {
            Self { failed: 1.., .. } => DagState::Failed,
            Self { finished, all, .. } if finished == all => DagState::Finished,
            Self { finished: 0, .. } => DagState::ToRun,
            _ => DagState::Partly,
        }
    }

    /// `3 finished, 1 failed, 2 to run`.
    fn sentence(&self) -> String {
        let parts = [
            (self.finished, "finished"),
            (self.failed, "failed"),
            (self.all - self.finished - self.failed, "to run"),
        ];
        let told = parts.iter().filter(|(count, _)| *count > 0);
        told.map(|(count, word)| format!("{} {word}", grouped(*count as u64)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The colour of a kind, as a place among the figures' colours.
fn family(kind: Kind) -> usize {
    match kind {
        Kind::Train => 0,
        Kind::Evaluate => 1,
        Kind::Sample => 2,
        Kind::Dataset => 3,
        Kind::Command => 4,
    }
}

/// What is known of the nodes.
pub struct States<'s> {
    /// Whether a node is finished.
    pub is_finished: &'s dyn Fn(NodeIndex) -> bool,
    /// The nodes whose last attempt failed, by the whole key.
    pub failed: BTreeSet<String>,
}

impl Studio<'_> {
    /// The graph of the spec as it stands.
    pub(super) fn graph_picture(&self, name: &str, asked: &GraphSpec) -> Result<Drawing> {
        let finished = self.results.list()?.finished;
        let is_finished = |index: NodeIndex| finished.contains(&self.graph.nodes[index].folder());
        let failed = self.record.failures()?.into_keys().collect();
        let states = States { is_finished: &is_finished, failed };
        let dag = match asked.all {
            true => unfolded(self.graph, &states)?,
            false => folded(self.spec, self.graph, &states),
        };
        let title = format!("{}: {name}", self.spec.name);
        dag.draw(&Metadata { title, sources: self.made_by(), ..Metadata::default() })
    }
}

/// A box for each declared node, its seeds and axes folded.
pub fn folded(spec: &Spec, graph: &Graph, state: &States<'_>) -> Dag {
    // In the order of the spec.
    let names: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for index in graph.indices() {
        let node = &graph.nodes[index];
        let tally = tallies.entry(&node.declared).or_default();
        tally.all += 1;
        let is_finished = (state.is_finished)(index);
        tally.finished += usize::from(is_finished);
        tally.failed += usize::from(!is_finished && state.failed.contains(&node.key.hex()));
        for axis in axes(&node.name) {
            if !tally.axes.iter().any(|known| known == axis) {
                tally.axes.push(axis.to_owned());
            }
        }
    }
    // What waits for a choice is drawn, too.
    let pending = || graph.selections.iter().flat_map(|selection| &selection.pending);
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    for pending in pending() {
        tallies.entry(&pending.declared).or_default();
        *waiting.entry(&pending.declared).or_default() += pending.most;
    }
    let drawn: Vec<&str> = names.into_iter().filter(|name| tallies.contains_key(name)).collect();
    let place: BTreeMap<&str, usize> =
        drawn.iter().enumerate().map(|(i, name)| (*name, i)).collect();
    let mut arrows: BTreeSet<(usize, usize, &str)> = graph
        .nodes
        .edge_references()
        .filter_map(|edge| {
            let of = |index: NodeIndex| place.get(graph.nodes[index].declared.as_ref()).copied();
            Some((of(edge.source())?, of(edge.target())?, *edge.weight()))
        })
        .collect();
    for pending in pending() {
        let arrow = |(read, role): &(String, &'static str)| {
            Some((*place.get(read.as_str())?, *place.get(&*pending.declared)?, *role))
        };
        arrows.extend(pending.reads.iter().filter_map(arrow));
    }
    let boxes = drawn.iter().filter_map(|name| {
        let kind = spec.node(name)?.kind;
        let most = waiting.get(name).copied().unwrap_or(0);
        Some(folded_box(name, kind, &tallies[name], most))
    });
    Dag {
        boxes: boxes.collect(),
        arrows: arrows
            .into_iter()
            .map(|(from, to, role)| DagArrow { from, to, role: role.to_owned() })
            .collect(),
    }
}

/// The box of a declaration; so many more nodes at most wait for a choice.
fn folded_box(name: &str, kind: Kind, tally: &Tally, waiting: usize) -> DagBox {
    let axes = match tally.axes.is_empty() {
        true => String::new(),
        false => format!(" · {}", tally.axes.join(", ")),
    };
    let mut count = format!("{}/{}", grouped(tally.finished as u64), grouped(tally.all as u64));
    let mut told: Vec<String> =
        Some(tally.sentence()).filter(|text| !text.is_empty()).into_iter().collect();
    if waiting > 0 {
        count += "+";
        told.push(format!("up to {} once chosen", grouped(waiting as u64)));
    }
    DagBox {
        name: name.to_owned(),
        count,
        captions: vec![format!("{}{axes}", kind.word()), told.join(", ")],
        family: family(kind),
        state: if waiting > 0 && tally.all == 0 { DagState::ToRun } else { tally.state() },
    }
}

/// The axes in a readable name: `schedule` and `seed` of `net[schedule=cosine,seed=1]`.
fn axes(name: &str) -> impl Iterator<Item = &str> {
    let label = name.split_once('[').map_or("", |(_, rest)| rest.trim_end_matches(']'));
    label.split(',').filter_map(|part| part.split_once('=').map(|(axis, _)| axis))
}

/// A box for each node.
///
/// # Errors
/// If there are too many to be read.
pub fn unfolded(graph: &Graph, state: &States<'_>) -> Result<Dag> {
    let count = graph.nodes.node_count();
    if count > MOST {
        let problem = Problem::new(format!("a graph of {} cannot be read", plural(count, "node")));
        return Err(
            problem.help(format!("--all draws at most {MOST}; without it, names are drawn"))
        );
    }
    let one = |index: NodeIndex| {
        let node = &graph.nodes[index];
        let is_finished = (state.is_finished)(index);
        let tally = Tally {
            finished: usize::from(is_finished),
            failed: usize::from(!is_finished && state.failed.contains(&node.key.hex())),
            all: 1,
            axes: vec![],
        };
        let label = node.name.strip_prefix(&*node.declared).unwrap_or_default();
        let label = label.trim_start_matches('[').trim_end_matches(']').replace(',', ", ");
        DagBox {
            name: node.declared.to_string(),
            count: String::new(),
            captions: vec![if label.is_empty() { node.kind().word().to_owned() } else { label }],
            family: family(node.kind()),
            state: tally.state(),
        }
    };
    let arrows = graph.nodes.edge_references().map(|edge| DagArrow {
        from: edge.source().index(),
        to: edge.target().index(),
        role: (*edge.weight()).to_owned(),
    });
    Ok(Dag { boxes: graph.indices().map(one).collect(), arrows: arrows.collect() })
}
