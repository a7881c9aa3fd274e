//! What the page tells of each node.

use crate::draw::Studio;
use crate::figure::base64;
use crate::files;
use crate::graph::Graph;
use crate::job::{Arithmetic, Series};
use crate::key::explain;
use crate::problem::Result;
use crate::record::Attempt;
use crate::store::{self, Results};
use crate::words::{duration, plural, span};
use petgraph::graph::NodeIndex;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::rc::Rc;
use std::sync::Arc;

/// A node on the page.
#[derive(Debug, Serialize)]
pub(super) struct NodeView {
    name: String,
    kind: &'static str,
    key: String,
    state: &'static str,
    took: String,
    /// Left out where the page would grow too large.
    details: Option<Details>,
}

/// All that is known of a node.
#[derive(Debug, Serialize)]
pub struct Details {
    settings: Vec<(String, String)>,
    /// The nearest node of its declaration and seed, and the settings in which it differs from that.
    differs: Vec<String>,
    inputs: Vec<String>,
    metrics: Vec<(String, String)>,
    attempts: Vec<String>,
    made_on: String,
    adopted: Option<String>,
    curve: Option<Curve>,
    picture: Option<String>,
    log: String,
}

/// A loss as the points of a line in a box of 100 by 30.
#[derive(Debug, Serialize)]
struct Curve {
    points: String,
    first: String,
    last: String,
}

/// The nodes of a page, as long as there is room.
pub(super) struct Shelf<'s> {
    studio: Studio<'s>,
    attempts: &'s BTreeMap<NodeIndex, Vec<Attempt>>,
    is_finished: &'s dyn Fn(NodeIndex) -> bool,
    /// Bytes that may still be added.
    room: usize,
    /// Nodes by declared name.
    kin: HashMap<Arc<str>, Rc<[Kin]>>,
    /// Nodes without details.
    pub(super) left_out: usize,
}

/// Lines and bytes of a log that are shown.
const LOG: (usize, u64) = (20, 8 << 10);

/// Differences that are told.
const CHANGES: usize = 12;

/// Points of a curve.
const POINTS: usize = 120;

impl<'s> Shelf<'s> {
    pub(super) fn new(
        studio: Studio<'s>,
        attempts: &'s BTreeMap<NodeIndex, Vec<Attempt>>,
        is_finished: &'s dyn Fn(NodeIndex) -> bool,
        room: usize,
    ) -> Self {
        Self { studio, attempts, is_finished, room, kin: HashMap::new(), left_out: 0 }
    }

    /// The nodes among which the nearest to a node is looked for.
    fn kin(&mut self, index: NodeIndex) -> Rc<[Kin]> {
        let graph = self.studio.graph;
        let declared = &graph.nodes[index].declared;
        let known = self.kin.entry(Arc::clone(declared));
        Rc::clone(known.or_insert_with(|| kin(graph, declared).into()))
    }

    pub(super) fn node(&mut self, index: NodeIndex) -> Result<NodeView> {
        let node = &self.studio.graph.nodes[index];
        let attempts = &self.attempts[&index];
        let state = match ((self.is_finished)(index), attempts.last()) {
            (true, _) => "finished",
            (false, Some(last)) if last.outcome == "failed" => "failed",
            (false, Some(_)) => "stopped",
            (false, None) => "not run",
        };
        let seconds: f64 = attempts.iter().map(|attempt| attempt.seconds).sum();
        let details = match self.room {
            0 => None,
            _ => {
                let kin = self.kin(index);
                Some(details(self.studio, (index, state), attempts, &kin)?)
            }
        };
        let size = details.as_ref().map_or(0, |details| {
            serde_json::to_string(details).map_or(usize::MAX, |text| text.len())
        });
        let details = details.filter(|_| size <= self.room);
        match &details {
            Some(_) => self.room -= size,
            None => {
                self.room = 0;
                self.left_out += 1;
            }
        }
        Ok(NodeView {
            name: node.name.clone(),
            kind: node.kind().word(),
            key: node.key.short(),
            state,
            took: if attempts.is_empty() { String::new() } else { duration(span(seconds)) },
            details,
        })
    }
}

/// What is known of a node in some state, with its attempts.
///
/// # Errors
/// If the database refuses.
pub fn details(
    Studio { graph, results, record, .. }: Studio<'_>,
    (index, state): (NodeIndex, &str),
    attempts: &[Attempt],
    kin: &[Kin],
) -> Result<Details> {
    let node = &graph.nodes[index];
    let folder = results.node(&node.folder());
    let file = store::read_node(&folder).ok();
    let metrics = record.metrics(&node.key)?.into_iter().map(|(name, metric)| {
        (name, format!("{} {}", number(metric.value), metric.unit).trim_end().to_owned())
    });
    let curve = record.series(&node.key, "loss")?.as_ref().and_then(curve);
    let attempt = |attempt: &Attempt| {
        let why = match (&attempt.class, &attempt.message) {
            (Some(class), Some(message)) => format!(" [{class}] {message}"),
            _ => String::new(),
        };
        let Attempt { attempt, started, host, device, outcome, seconds, .. } = attempt;
        let took = duration(span(*seconds));
        format!("{attempt}: {started} on {device} of {host}, {outcome} after {took}{why}")
    };
    Ok(Details {
        settings: explain(&node.settings.full()).into_iter().collect(),
        differs: differs(graph, index, kin),
        inputs: graph
            .named_inputs(index)
            .into_iter()
            .map(|(role, input, from)| format!("{role} = {}.{}", from.name, input.port))
            .collect(),
        metrics: metrics.collect(),
        attempts: attempts.iter().map(attempt).collect(),
        made_on: file.as_ref().map_or(String::new(), |file| Arithmetic::words(&file.arithmetic)),
        adopted: file.and_then(|file| file.adopted).map(|adopted| adopted.reason),
        curve,
        picture: picture(&folder),
        // What went well needs no log.
        log: if state == "finished" { String::new() } else { log_tail(results, &node.folder()) },
    })
}

/// A node and all its settings as words.
type Kin = (NodeIndex, BTreeMap<String, String>);

/// The nodes of one declaration.
pub fn kin(graph: &Graph, declared: &str) -> Vec<Kin> {
    let those = graph.indices().filter(|index| &*graph.nodes[*index].declared == declared);
    those.map(|index| (index, explain(&graph.nodes[index].settings.full()))).collect()
}

/// In which settings a node differs from the nearest other of its declaration and seed, the first one of several.
fn differs(graph: &Graph, index: NodeIndex, kin: &[Kin]) -> Vec<String> {
    let node = &graph.nodes[index];
    let Some((_, own)) = kin.iter().find(|(known, _)| *known == index) else { return vec![] };
    let changes = |other: &BTreeMap<String, String>| -> Vec<String> {
        let paths: BTreeSet<&String> = own.keys().chain(other.keys()).collect();
        let word = |of: &BTreeMap<String, String>, path: &String| {
            of.get(path).cloned().unwrap_or_else(|| "nothing".to_owned())
        };
        paths
            .into_iter()
            .filter(|path| own.get(*path) != other.get(*path))
            .map(|path| format!("{path}: {} → {}", word(other, path), word(own, path)))
            .collect()
    };
    let others =
        kin.iter().filter(|(known, _)| *known != index && graph.nodes[*known].seed == node.seed);
    let nearest = others
        .map(|(other, settings)| (*other, changes(settings)))
        // Equal settings: only what they read differs.
        .filter(|(_, changes)| !changes.is_empty())
        .min_by_key(|(_, changes)| changes.len());
    let Some((other, changes)) = nearest else { return vec![] };
    let more = changes.len().saturating_sub(CHANGES);
    let more = (more > 0).then(|| format!("and {}", plural(more, "more line")));
    let head = format!("from {} in", graph.nodes[other].name);
    std::iter::once(head).chain(changes.into_iter().take(CHANGES)).chain(more).collect()
}

/// A number in five figures, a whole one as it is.
fn number(value: f64) -> String {
    match value.abs() {
        size if value == value.trunc() && size < 1e15 => format!("{value}"),
        size if (1e-3..1e5).contains(&size) => format!("{value:.5}"),
        _ => format!("{value:.4e}"),
    }
}

/// The first look that a node leaves, as a data URI.
fn picture(folder: &std::path::Path) -> Option<String> {
    let path = folder.join("samples.png");
    let small = fs::metadata(&path).is_ok_and(|file| file.len() < 400_000);
    let bytes = small.then(|| fs::read(&path).ok()).flatten()?;
    Some(format!("data:image/png;base64,{}", base64(&bytes)))
}

/// A loss over its steps, logarithmic where it can be.
fn curve(series: &Series) -> Option<Curve> {
    let losses = series.columns.get("mean")?;
    let shown: Vec<f64> = losses.iter().copied().filter(|loss| loss.is_finite()).collect();
    let (first, last) = (*shown.first()?, *shown.last()?);
    if shown.len() < 3 {
        return None;
    }
    let log = shown.iter().all(|loss| *loss > 0.0);
    let each = shown.len().div_ceil(POINTS);
    let values: Vec<f64> = shown
        .chunks(each)
        .map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64)
        .map(|mean| if log { mean.ln() } else { mean })
        .collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let place = |(i, value): (usize, &f64)| {
        let x = 100.0 * i as f64 / (values.len() - 1).max(1) as f64;
        let y = 29.0 - 28.0 * (value - low) / (high - low).max(1e-12);
        format!("{x:.1},{y:.1}")
    };
    let points: Vec<String> = values.iter().enumerate().map(place).collect();
    let word = |loss: f64| format!("{loss:.4}");
    Some(Curve { points: points.join(" "), first: word(first), last: word(last) })
}

/// The last lines that a node's worker said.
pub fn log_tail(results: &Results, folder: &str) -> String {
    let places = [results.node(folder), results.work(folder)].map(|at| at.join("log.txt"));
    let log = places.into_iter().find(|path| path.exists());
    let text = log.map_or(String::new(), |path| files::tail(&path, LOG.1));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG.0)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_thinned_and_fills_its_box() {
        let x: Vec<f64> = (0..5000).map(f64::from).collect();
        let mean = x.iter().map(|x| 1.0 / (1.0 + x)).collect();
        let columns = BTreeMap::from([("x".to_owned(), x), ("mean".to_owned(), mean)]);
        let curve = curve(&Series { columns, ..Series::default() }).unwrap();
        let points: Vec<&str> = curve.points.split(' ').collect();
        assert!(points.len() <= POINTS, "{}", points.len());
        assert_eq!((points[0], points[points.len() - 1]), ("0.0,1.0", "100.0,29.0"));
        assert_eq!((curve.first.as_str(), curve.last.as_str()), ("1.0000", "0.0002"));
    }
}
