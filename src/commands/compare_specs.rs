//! `ablate compare A.yaml B.yaml`, or a spec against a revision of its own: what differs, which nodes
//! are kept, added and orphaned, what the difference costs, and how the numbers changed.

use super::asking::Asking;
use super::{Done, Opened, Place, print, short};
use crate::cost::{self, Estimate};
use crate::graph::{Graph, Node};
use crate::key::{self, Change};
use crate::problem::{Problem, Problems, Result};
use crate::record::Record;
use crate::settings::Kind;
use crate::statistics::{Interval, interval};
use crate::words::{self, plural, significant};
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Lines of settings, and of metrics, that are shown.
const SHOWN: usize = 30;

/// Two specs, both read.
struct Both<'o> {
    words: [String; 2],
    pairs: Pairs<'o>,
}

/// Nodes to be compared pair by pair: of one name in two specs, or at two points of one.
pub(super) struct Pairs<'o> {
    pub(super) a: &'o Opened,
    pub(super) b: &'o Opened,
    /// Those that are different work.
    pub(super) pairs: Vec<(NodeIndex, NodeIndex)>,
}

/// Tells the settings and the metrics in which nodes of a pair differ.
///
/// # Errors
/// If the database refuses.
pub(super) fn told_pairs(pairs: &Pairs<'_>) -> Result<()> {
    pairs.settings();
    pairs.metrics()
}

/// Compares two specs, or one with a revision of its own.
pub(super) fn compare(
    a: &Path,
    b: &Path,
    revision: Option<&str>,
    asking: &Asking,
    place: &Place,
) -> Done {
    let of_revision = asking.at(revision);
    let words = match revision {
        Some(revision) => [format!("{} at {revision}", a.display()), b.display().to_string()],
        None => [a.display().to_string(), b.display().to_string()],
    };
    let (a, b) = (Opened::read(a, &of_revision, place)?, Opened::read(b, asking, place)?);
    let pairs = Pairs { a: &a, b: &b, pairs: pairs(&a.graph, &b.graph) };
    Both { words, pairs }.tell()?;
    Ok(0)
}

impl Both<'_> {
    fn tell(&self) -> Result<(), Problems> {
        let opened = [self.pairs.a, self.pairs.b];
        for (side, (opened, word)) in ["a", "b"].iter().zip(opened.iter().zip(&self.words)) {
            let (points, nodes) = (opened.graph.points.len(), opened.graph.nodes.node_count());
            let (points, nodes) = (plural(points, "point"), plural(nodes, "node"));
            print(&format!("{side}  {word}  {points}, {nodes}"));
        }
        self.nodes();
        self.pairs.settings();
        self.costs();
        self.pairs.metrics()?;
        Ok(())
    }

    /// Nodes kept, added and orphaned by kind.
    fn nodes(&self) {
        let keys = |graph: &Graph, kind: Kind| -> BTreeSet<_> {
            let of_kind = graph.nodes.node_weights().filter(|node| node.kind() == kind);
            of_kind.map(|node| node.key).collect()
        };
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["nodes", "kept", "added", "orphaned"]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
        for kind in Kind::ALL {
            let (of_a, of_b) = (keys(&self.pairs.a.graph, kind), keys(&self.pairs.b.graph, kind));
            if !of_a.is_empty() || !of_b.is_empty() {
                let counts = [
                    of_a.intersection(&of_b).count(),
                    of_b.difference(&of_a).count(),
                    of_a.difference(&of_b).count(),
                ];
                let [kept, added, orphaned] = counts.map(|n| n.to_string());
                table.add_row([kind.word().to_owned(), kept, added, orphaned]);
            }
        }
        table.lines().for_each(|line| print(line.trim_end().strip_prefix(' ').unwrap_or_default()));
    }

    /// What is left to run of each.
    fn costs(&self) {
        let left = |opened: &Opened| -> (usize, usize, Option<Estimate>) {
            let to_run: Vec<NodeIndex> = opened.plan.to_run().collect();
            let known: Vec<(Kind, Estimate)> = to_run
                .iter()
                .filter_map(|i| Some((opened.graph.nodes[*i].kind(), opened.plan.estimate(*i)?)))
                .collect();
            let total = (!known.is_empty()).then(|| cost::sum(known.iter().copied()));
            (to_run.len(), to_run.len() - known.len(), total)
        };
        for (side, opened) in [("a", self.pairs.a), ("b", self.pairs.b)] {
            let (nodes, unknown, total) = left(opened);
            let time = total.map_or(String::new(), |total| {
                let [low, middle, high] = [total.low, total.seconds, total.high]
                    .map(|seconds| words::duration(words::span(seconds)));
                format!(", {middle} of a device ({low} to {high})")
            });
            let unknown = match unknown {
                0 => String::new(),
                n => format!(", {} of unknown cost", plural(n, "node")),
            };
            print(&format!("left to run of {side}: {}{time}{unknown}", plural(nodes, "node")));
        }
    }
}

impl Pairs<'_> {
    /// The settings in which paired nodes differ, each line once with how many nodes it is of.
    fn settings(&self) {
        let mut lines: BTreeMap<(String, String, String, String), usize> = BTreeMap::new();
        for (of_a, of_b) in &self.pairs {
            let (of_a, of_b) = (&self.a.graph.nodes[*of_a], &self.b.graph.nodes[*of_b]);
            for Change { path, old, new } in key::changes(&of_a.identity(), &of_b.identity()) {
                // What differs upstream is told there.
                if !path.starts_with("inputs.") {
                    let word =
                        |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
                    let line = (of_b.declared.to_string(), path, word(old), word(new));
                    *lines.entry(line).or_default() += 1;
                }
            }
        }
        if lines.is_empty() {
            return print("settings: paired nodes have the same");
        }
        print("settings that differ between paired nodes");
        for ((declared, path, old, new), count) in lines.iter().take(SHOWN) {
            let path = path.strip_prefix("settings.").unwrap_or(path);
            let nodes = plural(*count, "node");
            print(&format!("  {declared}.{path}: {} → {}  ({nodes})", short(old), short(new)));
        }
        if lines.len() > SHOWN {
            print(&format!("  and {}", plural(lines.len() - SHOWN, "more line")));
        }
    }

    /// Differences of metrics between paired nodes, over all of them that both have.
    fn metrics(&self) -> Result<()> {
        let (Some(of_a), Some(of_b)) = (&self.a.record, &self.b.record) else { return Ok(()) };
        let mut differences: BTreeMap<(String, String), Vec<(f64, f64)>> = BTreeMap::new();
        for (a, b) in &self.pairs {
            let (a, b) = (&self.a.graph.nodes[*a], &self.b.graph.nodes[*b]);
            let (mut before, mut after) = (values(of_a, a)?, values(of_b, b)?);
            while let Some((name, old)) = before.pop_first() {
                if let Some(new) = after.remove(&name) {
                    let metric = (b.declared.to_string(), name);
                    differences.entry(metric).or_default().push((old, new));
                }
            }
        }
        differences.retain(|_, pairs| pairs.iter().any(|(old, new)| old != new));
        if differences.is_empty() {
            return Ok(());
        }
        print("metrics of paired nodes, b - a, with 95 % intervals of the mean");
        for ((declared, name), pairs) in differences.iter().take(SHOWN) {
            let changes: Vec<f64> = pairs.iter().map(|(old, new)| new - old).collect();
            let Some(change) = interval(&changes) else { continue };
            let mean = |side: fn(&(f64, f64)) -> f64| {
                pairs.iter().map(side).sum::<f64>() / pairs.len() as f64
            };
            let (old, new) = (significant(mean(|p| p.0)), significant(mean(|p| p.1)));
            print(&format!("  {declared}.{name}: {old} → {new}, {}", told(&change)));
        }
        Ok(())
    }
}

/// Nodes of one readable name in both graphs that are different work.
fn pairs(a: &Graph, b: &Graph) -> Vec<(NodeIndex, NodeIndex)> {
    let of_b: HashMap<&str, NodeIndex> =
        b.indices().map(|index| (b.nodes[index].name.as_str(), index)).collect();
    let pair = |index: NodeIndex| Some((index, *of_b.get(a.nodes[index].name.as_str())?));
    let differ = |(i, j): &(NodeIndex, NodeIndex)| a.nodes[*i].key != b.nodes[*j].key;
    a.indices().filter_map(pair).filter(differ).collect()
}

/// The finite metrics of a node.
fn values(record: &Record, node: &Node) -> Result<BTreeMap<String, f64>> {
    let metrics = record.metrics(&node.key)?;
    let finite = metrics.into_iter().filter(|(_, metric)| metric.value.is_finite());
    Ok(finite.map(|(name, metric)| (name, metric.value)).collect())
}

/// `+0.012 ± 0.004 (n = 6)`.
fn told(change: &Interval) -> String {
    let sign = if change.mean >= 0.0 { "+" } else { "" };
    let half = change.half_width.map_or(String::new(), |half| format!(" ± {}", significant(half)));
    let doubt = match change.half_width {
        Some(_) if change.straddles_zero() => ", which may be none",
        _ => "",
    };
    format!("{sign}{}{half} (n = {}){doubt}", significant(change.mean), change.n)
}

/// Refuses what cannot be compared.
///
/// # Errors
/// Says what is needed.
pub(super) fn refuse(sentence: &str) -> Problem {
    let help = "name two nodes, two points, two specs, or a spec with `--against REVISION`";
    Problem::new(sentence.to_owned()).help(help)
}
