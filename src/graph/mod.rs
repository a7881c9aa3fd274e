//! Spec and points → [`Graph`]: a node for each distinct piece of work. A declared node is read as
//! settings once for each combination of the axes that reach it; equal keys become one node.

mod body;
mod build;
mod choose;
mod data;
mod inputs;
mod make;
mod publish;
mod reach;

use crate::expand::{self, Choice, Point};
use crate::failure::Coordinates;
use crate::key::{self, Input, Inputs, Key};
use crate::problem::{Problem, Problems};
use crate::settings::{Kind, Reader, Settings};
use crate::site::Request;
use crate::spec::{RunSettings, Spec};
pub use choose::{Candidate, Pending, Selection};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A node: one piece of work with its identity.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its identity.
    pub key: Key,
    /// Name for people: `net[schedule=cosine,seed=1]`.
    pub name: String,
    /// The declaration's name, such as `net` or `score.power_spectrum`.
    pub declared: Arc<str>,
    /// Its settings, complete.
    pub settings: Arc<Settings>,
    /// Its inputs by role.
    pub inputs: Inputs,
    /// For train nodes, the key of the trajectory.
    pub trajectory: Option<Key>,
    /// The seed of the point that first asked for it, to run seed 0 of everything first.
    pub seed: u64,
    /// How it runs; no part of its identity.
    pub run: Arc<RunSettings>,
}

impl Node {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.settings.kind()
    }

    /// `<kind>-<key12>`: the name of its folder.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.kind().word(), self.key.short())
    }

    /// What it asks of the machines of a site, if it is expected to take so many seconds.
    pub fn asks(&self, seconds: Option<f64>) -> Request {
        let memory = self.run.memory.map(|bytes| bytes.0);
        Request { kind: self.kind(), memory, seconds, own_job: self.run.own_job }
    }

    /// What its key is made of.
    pub fn identity(&self) -> Value {
        key::identity(&self.settings, &self.inputs)
    }
}

/// The graph of a spec, edges from inputs to users with the role as weight.
#[derive(Debug, Default)]
pub struct Graph {
    /// The nodes.
    pub nodes: DiGraph<Node, &'static str>,
    /// The points, as expanded.
    pub points: Vec<Point>,
    /// The declared names, in the order of the spec.
    declared: Vec<Arc<str>>,
    /// For each point, what each declared name stands for there.
    at: Vec<At>,
    /// The nodes whose artefacts a figure shows, so that they are needed even when nothing else reads them.
    pub pictured: BTreeSet<NodeIndex>,
    /// How many nodes there would be if no two points shared any, by kind.
    pub unshared: BTreeMap<Kind, usize>,
    /// What is chosen among the nodes of a sweep, or will be.
    pub selections: Vec<Selection>,
    /// What the author of the spec should know.
    pub notices: Vec<Problem>,
    /// Whether each point is chosen, if anything was.
    chosen: Option<Vec<bool>>,
}

/// What the declared names stand for at a point.
#[derive(Debug)]
struct At {
    /// Their nodes; the end where a name is not wanted.
    nodes: Box<[NodeIndex]>,
    /// Whether they are the same work as in the baseline, seeds aside.
    baseline: Box<[bool]>,
}

/// What of a spec is wanted.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The folder with finished nodes, beside which the records of selections lie.
    pub nodes: Option<PathBuf>,
    /// A profile above it.
    pub profile: Option<String>,
    /// A revision of git from which it is read, instead of the file as it is now.
    pub revision: Option<String>,
    /// Which of its points.
    pub choice: Choice,
}

impl Graph {
    /// Reads a spec and builds its graph.
    ///
    /// # Errors
    /// Everything that is wrong with the file, its sweeps, and the settings at any point, each with its place.
    pub fn read(file: &Path) -> Result<(Spec, Self), Problems> {
        Self::read_with(file, &Asked::default())
    }

    /// Reads a spec and builds the graph of what is asked for.
    ///
    /// # Errors
    /// As [`Graph::read`]; and if what is asked for is not there.
    pub fn read_with(file: &Path, asked: &Asked) -> Result<(Spec, Self), Problems> {
        let mut problems = Problems::default();
        let Some(spec) =
            Spec::read(file, asked.profile.as_deref(), asked.revision.as_deref(), &mut problems)
        else {
            return Err(problems.or(()).expect_err("without a spec there is a problem"));
        };
        let mut reader = Reader::default();
        let points = expand::points(&spec, &asked.choice, &mut reader, &mut problems);
        let graph = build::build(&spec, points, asked, &mut reader);
        problems.0.append(&mut spec.located(reader).0);
        problems.or((spec, graph))
    }

    /// For each node, the axes and values that all its points have in common, the seeds aside.
    pub fn common_coordinates(&self) -> Vec<Coordinates> {
        let mut common: Vec<Option<Coordinates>> = vec![None; self.nodes.node_count()];
        for (i, point) in self.points.iter().enumerate() {
            let is_seed = |axis: &str| {
                point.changes.iter().any(|change| change.is_seed && change.label.0 == axis)
            };
            let coordinates = point.coordinates.iter().filter(|c| !is_seed(&c.axis));
            let here: Coordinates =
                coordinates.map(|c| (c.axis.clone(), expand::show(&c.value))).collect();
            for (_, node, _) in self.nodes_at(i) {
                match &mut common[node.index()] {
                    Some(common) => common.retain(|coordinate| here.contains(coordinate)),
                    none => *none = Some(here.clone()),
                }
            }
        }
        common.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// The nodes at the points that were chosen, with what they read; `None` if nothing was chosen.
    pub fn chosen(&self) -> Option<BTreeSet<NodeIndex>> {
        let chosen = self.chosen.as_ref()?;
        let points = (0..self.at.len()).filter(|point| chosen[*point]);
        let nodes = points.flat_map(|point| self.nodes_at(point).map(|(_, node, _)| node));
        Some(self.upstream(nodes))
    }

    /// Whether a name is declared, as a node or as an evaluate node of several measures.
    pub fn is_declared(&self, name: &str) -> bool {
        let is = |declared: &str| {
            declared.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.declared.iter().any(|declared| is(declared))
    }

    /// The node of a declared name at a point.
    pub fn at(&self, point: usize, declared: &str) -> Option<NodeIndex> {
        let index = self.declared.iter().position(|name| **name == *declared)?;
        Some(self.at[point].nodes[index]).filter(|node| *node != NodeIndex::end())
    }

    /// Whether a declared name is the same work at a point as in the baseline, seeds aside.
    pub fn is_baseline(&self, point: usize, declared: &str) -> bool {
        let index = self.declared.iter().position(|name| **name == *declared);
        index.is_some_and(|index| self.at[point].baseline[index])
    }

    /// The declared names that a point has, with their nodes, and whether they are as in the baseline.
    pub fn nodes_at(&self, point: usize) -> impl Iterator<Item = (&str, NodeIndex, bool)> {
        let At { nodes, baseline } = &self.at[point];
        let all = self.declared.iter().zip(nodes).zip(baseline);
        all.map(|((name, node), baseline)| (&**name, *node, *baseline))
            .filter(|(_, node, _)| *node != NodeIndex::end())
    }

    /// All nodes.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = NodeIndex> + use<> {
        (0..self.nodes.node_count()).map(NodeIndex::new)
    }

    /// The inputs of a node.
    pub fn inputs(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.nodes.neighbors_directed(node, petgraph::Direction::Incoming)
    }

    /// The nodes that read from a node.
    pub fn users(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.nodes.neighbors_directed(node, petgraph::Direction::Outgoing)
    }

    /// These nodes and all that they read from, directly or not.
    pub fn upstream(&self, of: impl IntoIterator<Item = NodeIndex>) -> BTreeSet<NodeIndex> {
        let mut left: Vec<NodeIndex> = of.into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(node) = left.pop() {
            if found.insert(node) {
                left.extend(self.inputs(node));
            }
        }
        found
    }

    /// The dataset that a node rests on; of several the first.
    pub fn data_behind(&self, node: NodeIndex) -> Option<NodeIndex> {
        self.upstream([node]).into_iter().find(|i| self.nodes[*i].kind() == Kind::Dataset)
    }

    /// The input of a node with this role.
    pub fn input(&self, node: NodeIndex, role: &str) -> Option<NodeIndex> {
        let mut edges = self.nodes.edges_directed(node, petgraph::Direction::Incoming);
        edges.find(|edge| *edge.weight() == role).map(|edge| edge.source())
    }

    /// What a node reads: each input with a name of its own, and the node there.
    pub fn named_inputs(&self, node: NodeIndex) -> Vec<(String, &Input, &Node)> {
        let by_key: HashMap<&Key, &Node> =
            self.inputs(node).map(|input| (&self.nodes[input].key, &self.nodes[input])).collect();
        let named = self.nodes[node].inputs.named().into_iter();
        // Every input has its edge.
        named.filter_map(|(name, input)| Some((name, input, *by_key.get(&input.key)?))).collect()
    }

    /// The nodes that a name on the command line stands for: a readable name, a declared
    /// name, an evaluate node for all its measures, a key or its beginning.
    pub fn find(&self, name: &str) -> Vec<NodeIndex> {
        let is = |node: &Node| is_called(name, (&node.declared, &node.folder(), &node.key.hex()));
        let exact: Vec<NodeIndex> =
            self.indices().filter(|i| self.nodes[*i].name == name).collect();
        if exact.is_empty() {
            self.indices().filter(|i| is(&self.nodes[*i])).collect()
        } else {
            exact
        }
    }
}

/// Whether a name stands for a node of this name in the spec, folder and key: that name or its first words, the
/// folder, or the beginning of the key.
pub fn is_called(name: &str, (declared, folder, key): (&str, &str, &str)) -> bool {
    declared == name
        || declared.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
        || folder == name
        || (name.len() >= 4 && key.starts_with(name))
}
