//! Which axes tell the nodes of a declaration apart: those that a table needs, and those it can leave out.

use super::collect::{Placed, points};
use crate::expand::{Coordinate, Point, show};
use crate::graph::Graph;
use crate::problem::{Problem, Result};
use crate::spec::{Shown, Spec};
use crate::words;
use petgraph::graph::NodeIndex;
use std::collections::{BTreeSet, HashMap};

/// Checks that points which agree on some axes, and on the seed, have one value of what `name` names;
/// where they do not, another axis belongs into one of `settings`.
pub(super) fn single(
    spec: &Spec,
    graph: &Graph,
    shown: Shown<'_>,
    axes: &[String],
    (name, settings): (&str, &[&str]),
) -> Result<()> {
    let Some((node, _)) = spec.split_path(name) else { return Ok(()) };
    for [(first, other), (index, point)] in alike(graph, &points(graph, shown), axes, &node.name) {
        if first != index {
            let differs = |c: &&Coordinate| other.coordinate(&c.axis) != Some(&c.value);
            let axis = point.setting().find(differs).map_or("seed", |c| c.axis.as_str());
            let problem =
                Problem::new(format!("`{name}` has several values here, one for each `{axis}`"));
            let settings = words::alternatives(settings);
            let help = format!(
                "tell them apart: add the axis `{axis}` to {settings}, or choose: `at: {{ {axis}: … }}`"
            );
            return Err(problem.help(help));
        }
    }
    Ok(())
}

/// A node of a declaration, and the point that has it.
type Seen<'p> = (NodeIndex, &'p Point);

/// Points that agree on some axes, and on the seed: the first of them with its node of a declaration, and
/// each other with its own.
fn alike<'p>(
    graph: &Graph,
    points: &[Placed<'p>],
    axes: &[String],
    declared: &str,
) -> Vec<[Seen<'p>; 2]> {
    let mut known: HashMap<(Vec<String>, Option<u64>), Seen<'_>> = HashMap::new();
    let mut found = vec![];
    for (i, point) in points {
        let Some(index) = graph.at(*i, declared) else { continue };
        let words = axes.iter().map(|axis| point.coordinate(axis).map_or(String::new(), show));
        let key = (words.collect(), point.seed);
        match known.get(&key) {
            Some(first) => found.push([*first, (index, *point)]),
            None => {
                known.insert(key, (index, point));
            }
        }
    }
    found
}

/// The axes without those that are seen to make no difference to any of these metrics.
pub(super) fn telling(
    spec: &Spec,
    graph: &Graph,
    points: &[Placed<'_>],
    mut axes: Vec<String>,
    columns: &[String],
) -> Vec<String> {
    let nodes = columns.iter().filter_map(|column| Some(spec.split_path(column)?.0.name.as_str()));
    let nodes: BTreeSet<&str> = nodes.collect();
    for axis in axes.clone() {
        let others: Vec<String> = axes.iter().filter(|other| **other != axis).cloned().collect();
        let of_node = |node: &&str| alike(graph, points, &others, node);
        let pairs: Vec<_> = nodes.iter().flat_map(of_node).collect();
        if !pairs.is_empty() && pairs.iter().all(|[(a, _), (b, _)]| a == b) {
            axes = others;
        }
    }
    axes
}
