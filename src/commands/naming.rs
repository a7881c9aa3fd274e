//! Which nodes of a plan a run is asked for: all that are missing, those up to a node, or a node alone.

use crate::graph::{Graph, Selection};
use crate::plan::Plan;
use crate::problem::{Problem, Result};
use crate::words::{self, plural};
use petgraph::graph::NodeIndex;
use std::collections::BTreeSet;

/// The options that choose nodes.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Naming {
    /// Run only this node (a name such as `net`, a readable name, a key); its inputs must be finished.
    #[arg(long, value_name = "NODE", conflicts_with = "until")]
    pub(super) only: Vec<String>,
    /// Run this node and what it needs, and nothing behind it.
    #[arg(long, value_name = "NODE")]
    until: Vec<String>,
    /// Make the nodes of `--only` again, whatever is there of them.
    #[arg(long, requires = "only")]
    pub(super) fresh: bool,
}

impl Naming {
    /// Whether nothing is chosen.
    pub(super) fn is_all(&self) -> bool {
        self.only.is_empty() && self.until.is_empty()
    }

    /// The nodes of `--only`.
    pub(super) fn named(&self, graph: &Graph) -> Result<BTreeSet<NodeIndex>> {
        find(graph, &self.only)
    }

    /// The nodes to run.
    ///
    /// # Errors
    /// If a name stands for no node, or an input of `--only` is not finished.
    pub(super) fn wanted(&self, graph: &Graph, plan: &Plan) -> Result<BTreeSet<NodeIndex>> {
        let mut missing: BTreeSet<NodeIndex> = plan.to_run().collect();
        if let Some(chosen) = graph.chosen() {
            missing = missing.intersection(&chosen).copied().collect();
        }
        if !self.only.is_empty() {
            let wanted: BTreeSet<NodeIndex> =
                self.named(graph)?.intersection(&missing).copied().collect();
            self.refuse_unfinished(graph, plan, &wanted)?;
            return Ok(wanted);
        }
        if !self.until.is_empty() {
            let upstream = graph.upstream(find_or_undecided(graph, &self.until)?);
            return Ok(upstream.intersection(&missing).copied().collect());
        }
        Ok(missing)
    }

    /// Refuses to run nodes alone whose inputs are not finished.
    ///
    /// # Errors
    /// Names an input.
    pub(super) fn refuse_unfinished(
        &self,
        graph: &Graph,
        plan: &Plan,
        wanted: &BTreeSet<NodeIndex>,
    ) -> Result<()> {
        let inputs: BTreeSet<NodeIndex> =
            wanted.iter().flat_map(|index| graph.inputs(*index)).collect();
        let names: Vec<&str> = inputs
            .iter()
            .filter(|input| !wanted.contains(input) && plan.reason(**input).runs())
            .map(|input| graph.nodes[*input].name.as_str())
            .collect();
        let Some(first) = names.first() else { return Ok(()) };
        let count = names.len();
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        let problem = Problem::new(format!("not finished, but read by `--only`: {first}{more}"));
        Err(problem.help("run `--until` instead, which makes them first"))
    }
}

/// The nodes that names on the command line stand for.
fn find(graph: &Graph, names: &[String]) -> Result<BTreeSet<NodeIndex>> {
    let mut found = BTreeSet::new();
    for name in names {
        let nodes = graph.find(name);
        if nodes.is_empty() {
            return Err(unknown(graph, name));
        }
        found.extend(nodes);
    }
    Ok(found)
}

/// The same; of a name that waits for a choice, the nodes that decide it.
fn find_or_undecided(graph: &Graph, names: &[String]) -> Result<BTreeSet<NodeIndex>> {
    let mut found = BTreeSet::new();
    for name in names {
        let waits = graph.find(name).is_empty() && graph.is_declared(name);
        let undecided = graph.selections.iter().filter(|s| waits && s.file.is_none());
        let deciding = undecided.flat_map(|s| &s.candidates).flat_map(|c| c.nodes.values());
        let before = found.len();
        found.extend(deciding.flatten().copied());
        if found.len() == before {
            found.extend(find(graph, std::slice::from_ref(name))?);
        }
    }
    Ok(found)
}

/// No node is called so.
pub(super) fn unknown(graph: &Graph, name: &str) -> Problem {
    let reads = |s: &&Selection| s.candidates.iter().any(|c| c.readers.contains(name));
    if let Some(selection) = graph.selections.iter().find(reads) {
        let by = selection.by_metric();
        return match &selection.file {
            Some(_) => Problem::new(format!("{name} is not there: others were better by {by}"))
                .help("`ablate select SPEC` shows how all that competed did"),
            None => Problem::new(format!("whether {name} is made is not decided yet, by {by}"))
                .help("`ablate plan SPEC` tells what is missing for that"),
        };
    }
    if graph.is_declared(name) && graph.selections.iter().any(|s| s.file.is_none()) {
        let problem = Problem::new(format!("`{name}` waits for a choice that is not made yet"));
        return problem.help("`ablate plan SPEC` tells what is missing for that");
    }
    let names: Vec<&str> = graph
        .nodes
        .node_weights()
        .flat_map(|node| [node.name.as_str(), node.declared.as_ref()])
        .collect();
    let nodes = plural(graph.nodes.node_count(), "node");
    let problem = Problem::new(format!("none of the {nodes} is called `{name}`"));
    match words::nearest(name, names.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`ablate plan SPEC --all` lists them"),
    }
}
