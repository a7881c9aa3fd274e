//! Graph and what is known of the results folder → [`Plan`]: for every node whether it will run,
//! why, and how long that may take. Pure: the facts come in as [`Known`].

use crate::cost::{self, Costs, Estimate};
use crate::graph::{Graph, Node};
use crate::key::{self, Change};
use crate::record::Past;
use crate::settings::{Length, Settings};
use crate::store::Damage;
use crate::words;
use petgraph::graph::NodeIndex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What is known about a results folder.
#[derive(Debug, Default)]
pub struct Known {
    /// Folders in `nodes/`.
    pub folders: HashSet<String>,
    /// Finished folders whose artefacts were removed by `ablate clean`.
    pub cleaned: BTreeSet<String>,
    /// Folders in `work/`.
    pub work: BTreeSet<String>,
    /// Keys that the database knows, in hex.
    pub recorded: HashSet<String>,
    /// Damage in finished folders that were looked at.
    pub damaged: BTreeMap<String, Vec<Damage>>,
    /// Steps kept of trajectories, by folder, ascending.
    pub checkpoints: BTreeMap<String, Vec<u64>>,
    /// What earlier attempts cost.
    pub history: Vec<Past>,
}

/// Why a node runs, or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is finished.
    Finished,
    /// Nobody made it yet.
    New,
    /// An attempt was cut short; the step is that of the last checkpoint, if it has any.
    Interrupted {
        /// Steps that need not be done again.
        step: Option<u64>,
    },
    /// A trajectory of another length exists, and gives a start.
    Continues {
        /// The step of the checkpoint.
        step: u64,
    },
    /// The database knows it, but its folder is gone.
    Gone,
    /// Its folder is damaged.
    Damaged(Vec<Damage>),
    /// Its artefacts were removed by `ablate clean`, and a node that runs, or a figure, needs them.
    Cleaned,
}

impl Reason {
    /// Whether the node has to run.
    pub fn runs(&self) -> bool {
        *self != Self::Finished
    }

    /// The reason as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Finished => "finished".to_owned(),
            Self::New => "new".to_owned(),
            Self::Interrupted { step: Some(step) } => {
                format!("interrupted, goes on at step {}", words::grouped(*step))
            }
            Self::Interrupted { step: None } => "interrupted, goes on with what it left".to_owned(),
            Self::Continues { step } => {
                format!("goes on from the checkpoint at step {}", words::grouped(*step))
            }
            Self::Cleaned => "its artefacts were cleaned away, and are needed".to_owned(),
            Self::Gone => "its folder is gone".to_owned(),
            Self::Damaged(damage) => {
                let files: Vec<String> =
                    damage.iter().map(|d| format!("{} {}", d.path, d.what)).collect();
                format!("damaged: {}", files.join(", "))
            }
        }
    }
}

/// What will happen to each node.
#[derive(Debug)]
pub struct Plan {
    /// The reason, for each node in its order.
    reasons: Vec<Reason>,
    /// Seconds expected, for each node that runs and has history.
    estimates: Vec<Option<Estimate>>,
    /// Bytes expected, likewise.
    bytes: Vec<Option<f64>>,
}

/// Decides for every node of a graph; what it may cost is for devices of this model.
pub fn make(graph: &Graph, known: &Known, device: &str) -> Plan {
    let mut reasons: Vec<Reason> =
        graph.indices().map(|index| reason(&graph.nodes[index], known)).collect();
    need_cleaned(graph, known, &mut reasons);
    let mut plan =
        Plan { estimates: vec![None; reasons.len()], bytes: vec![None; reasons.len()], reasons };
    if !known.history.is_empty() {
        let costs = Costs::learn(&known.history, device);
        for index in plan.to_run().collect::<Vec<_>>() {
            let i = index.index();
            let (kind, work) = (graph.nodes[index].kind(), cost::work(graph, index));
            let left = work.units.saturating_sub(saved(&plan.reasons[i]));
            plan.estimates[i] = costs.seconds(kind, &work, left);
            plan.bytes[i] = costs.bytes(kind, &work);
        }
    }
    plan
}

fn reason(node: &Node, known: &Known) -> Reason {
    let folder = node.folder();
    if let Some(damage) = known.damaged.get(&folder) {
        return Reason::Damaged(damage.clone());
    }
    if known.folders.contains(&folder) {
        return Reason::Finished;
    }
    let checkpoint = start(node, known);
    match (known.recorded.contains(&node.key.hex()), known.work.contains(&folder), checkpoint) {
        (true, ..) => Reason::Gone,
        (_, true, step) => Reason::Interrupted { step },
        (_, false, Some(step)) => Reason::Continues { step },
        (_, false, None) => Reason::New,
    }
}

/// Makes cleaned nodes run that a figure shows or a node to run reads from, and in turn what those read from.
fn need_cleaned(graph: &Graph, known: &Known, reasons: &mut [Reason]) {
    if known.cleaned.is_empty() {
        return;
    }
    for index in &graph.pictured {
        if known.cleaned.contains(&graph.nodes[*index].folder()) {
            reasons[index.index()] = Reason::Cleaned;
        }
    }
    let mut left: Vec<NodeIndex> =
        graph.indices().filter(|index| reasons[index.index()].runs()).collect();
    while let Some(index) = left.pop() {
        for input in graph.inputs(index) {
            let cleaned = known.cleaned.contains(&graph.nodes[input].folder());
            if cleaned && reasons[input.index()] == Reason::Finished {
                reasons[input.index()] = Reason::Cleaned;
                left.push(input);
            }
        }
    }
}

/// The step of the newest checkpoint that a train node can start from.
fn start(node: &Node, known: &Known) -> Option<u64> {
    let kept = known.checkpoints.get(&trajectory_folder(node)?)?;
    match &*node.settings {
        Settings::Train(train) => match train.length() {
            Length::Steps(length) => kept.iter().copied().filter(|step| *step <= length).max(),
            Length::Epochs(_) => kept.iter().copied().max(),
        },
        _ => None,
    }
}

/// The folder of a train node's trajectory.
pub fn trajectory_folder(node: &Node) -> Option<String> {
    node.trajectory.map(|key| format!("trajectory-{}", key.short()))
}

/// The units of work that a checkpoint saves.
fn saved(reason: &Reason) -> u64 {
    match reason {
        Reason::Interrupted { step: Some(step) } | Reason::Continues { step } => *step,
        _ => 0,
    }
}

impl Plan {
    /// Why a node runs, or does not.
    pub fn reason(&self, index: NodeIndex) -> &Reason {
        &self.reasons[index.index()]
    }

    /// Every node with its reason.
    pub fn reasons(&self) -> impl Iterator<Item = (NodeIndex, &Reason)> {
        self.reasons.iter().enumerate().map(|(i, reason)| (NodeIndex::new(i), reason))
    }

    /// The nodes that run.
    pub fn to_run(&self) -> impl Iterator<Item = NodeIndex> {
        self.reasons().filter(|(_, reason)| reason.runs()).map(|(index, _)| index)
    }

    /// The seconds expected of a node that runs, if its like has run before.
    pub fn estimate(&self, index: NodeIndex) -> Option<Estimate> {
        self.estimates[index.index()]
    }

    /// The bytes expected of a node that runs, if its kind has left any before.
    pub fn bytes(&self, index: NodeIndex) -> Option<f64> {
        self.bytes[index.index()]
    }

    /// For every node, expected seconds from its start to the end of the longest path behind it.
    pub fn path_seconds(&self, graph: &Graph) -> Vec<f64> {
        let mut seconds = vec![0.0; self.reasons.len()];
        // Inputs were added before their users.
        for index in graph.indices().rev() {
            let behind = graph.users(index).map(|user| seconds[user.index()]).fold(0.0, f64::max);
            let own = match self.reason(index).runs() {
                true => self.estimate(index).map_or(1.0, |estimate| estimate.seconds),
                false => 0.0,
            };
            seconds[index.index()] = own + behind;
        }
        seconds
    }
}

/// The finished node of the same kind that differs least, and how.
pub fn nearest(identity: &Value, finished: &[(String, Value)]) -> Option<(String, Vec<Change>)> {
    let differing = finished.iter().map(|(name, other)| (name, key::changes(other, identity)));
    differing
        .min_by_key(|(_, changes)| changes.len())
        .map(|(name, changes)| (name.clone(), changes))
}
