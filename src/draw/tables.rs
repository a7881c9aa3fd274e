//! Points and rows → the numbers of tables, the settings of nodes, and every number for prose.

use super::alike::telling;
use super::collect::{DEVICE_HOURS, Placed, axes, group, node_at, nodes_at, points};
use super::{Basis, Studio};
use crate::decide;
use crate::expand::{Point, SEED};
use crate::graph::Graph;
use crate::job::{Better, Metric, Metrics};
use crate::key::{Key, explain};
use crate::problem::Result;
use crate::record::Record;
use crate::spec::{Axes, LatexSpec, Shown, Spec, SpreadSpec, TableSpec, Versus};
use crate::store::Results;
use crate::table::{
    Cell, Column, LatexForm, Number, Row, Sheet, Spread, Table, csv_line, number_name,
};
use petgraph::graph::NodeIndex;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A table as a sheet and as data, with what it rests on.
pub(super) fn written(studio: Studio<'_>, asked: &TableSpec) -> Result<(Sheet, String, Basis)> {
    let Studio { spec, graph, record, .. } = studio;
    let (table, nodes) = table(spec, graph, record, asked)?;
    let (missing, failed) = table.missing();
    let basis = Basis { nodes, seeds: Some(table.seeds()), missing, failed };
    Ok((table.sheet(), table.csv(), basis))
}

/// The numbers of a table, and the nodes that they are from.
pub(super) fn table(
    spec: &Spec,
    graph: &Graph,
    record: &Record,
    asked: &TableSpec,
) -> Result<(Table, BTreeSet<Key>)> {
    let points = points(graph, asked.shown());
    let axes = match &asked.rows {
        Some(Axes(axes)) => axes.clone(),
        None => telling(spec, graph, &points, axes(&points), asked.metrics()),
    };
    let mut columns = vec![];
    let mut values = Values::of(graph, record)?;
    let groups = group(&points, &axes);
    let mut rows: Vec<Row> = groups
        .iter()
        .map(|(labels, _)| Row { labels: labels.clone(), baseline: true, cells: vec![] })
        .collect();
    for name in asked.metrics() {
        let Some((node, metric)) = spec.split_path(name) else { continue };
        let mut column =
            Column { name: name.clone(), unit: String::new(), better: Better::Neither };
        for (row, (_, members)) in rows.iter_mut().zip(&groups) {
            row.cells.push(values.cell(members, (&node.name, metric), &mut column)?);
            row.baseline &= members.iter().all(|(i, _)| graph.is_baseline(*i, &node.name));
        }
        columns.push(column);
    }
    // Where nothing was chosen there is nothing to show.
    rows.retain(|row| row.cells.iter().any(|cell| cell.n() + cell.missing > 0));
    let table = Table {
        axes,
        columns,
        rows,
        spread: spread(asked.spread),
        versus: asked.versus.map(|Versus::Baseline| "baseline"),
        labels: spec.labels.clone(),
        remarks: remarks(spec, graph, record, asked)?,
    };
    Ok((table, values.read))
}

/// How LaTeX sets the numbers.
pub(super) fn latex_form(asked: &TableSpec) -> LatexForm {
    match asked.latex {
        LatexSpec::Booktabs => LatexForm::Booktabs,
        LatexSpec::Siunitx => LatexForm::Siunitx,
    }
}

/// What stands behind ±.
fn spread(asked: SpreadSpec) -> Spread {
    match asked {
        SpreadSpec::Deviation => Spread::Deviation,
        SpreadSpec::Error => Spread::Error,
        SpreadSpec::Interval => Spread::Interval,
    }
}

/// What was chosen, for a table whose columns depend on it.
fn remarks(spec: &Spec, graph: &Graph, record: &Record, asked: &TableSpec) -> Result<Vec<String>> {
    if graph.selections.is_empty() {
        return Ok(vec![]);
    }
    let declared = asked.metrics().iter().filter_map(|column| Some(spec.split_path(column)?.0));
    let declared: Vec<&str> = declared.map(|node| node.name.as_str()).collect();
    let points = points(graph, asked.shown());
    let nodes = points.iter().flat_map(|(i, _)| declared.iter().map(|name| graph.at(*i, name)));
    let behind: BTreeSet<&str> =
        graph.upstream(nodes.flatten()).into_iter().map(|i| &*graph.nodes[i].declared).collect();
    let chosen = decide::contests(graph, record)?;
    let chosen = chosen.iter().filter(|contest| {
        let reader = contest.selection.reader.as_str();
        behind.contains(reader) || declared.contains(&reader)
    });
    Ok(chosen.map(decide::Contest::told).collect())
}

/// The settings of a node as they are at some points: a row for each, all its values in one place.
pub(super) fn settings(
    Studio { spec, graph, record, results }: Studio<'_>,
    asked: &TableSpec,
    node: &str,
) -> Result<(Sheet, String, Basis)> {
    let points = points(graph, asked.shown());
    let nodes = nodes_at(graph, &points, node);
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in &nodes {
        for (path, value) in explain(&node.settings.full()) {
            let known = values.entry(path).or_default();
            if !known.contains(&value) {
                known.push(value);
            }
        }
    }
    let called = |name: &String| spec.labels.get(name).unwrap_or(name).clone();
    let setting = |path: &String| {
        let label = spec.labels.get(&format!("{node}.{path}"));
        label.cloned().unwrap_or_else(|| called(path))
    };
    let row = |(path, values): (&String, &Vec<String>)| {
        let values: Vec<String> = values.iter().map(called).collect();
        vec![setting(path), values.join(", ")]
    };
    // The seed is what numbers are averaged over.
    let told = || values.iter().filter(|(path, _)| *path != SEED);
    let mut csv = csv_line(["setting", "value"].into_iter().map(str::to_owned));
    for (path, values) in told() {
        csv += &csv_line([path.clone(), values.join(", ")].into_iter());
    }
    let sheet = Sheet::of_words(&["setting", "value"], told().map(row).collect());
    // Settings are true before anything has run.
    let mut basis = Values::of(graph, record)?.basis(&points, node, results)?;
    (basis.missing, basis.failed, basis.seeds) = (0, 0, None);
    Ok((sheet, csv, basis))
}

/// Macros at most: TeX holds all of them in memory.
const MOST: usize = 20_000;

/// Every metric of every combination of axis values that is finished, seeds folded, with the name under which prose
/// finds it; what is to be said of them, such as that there are too many, so that only those of tables and figures are there.
pub(super) fn numbers(
    Studio { spec, graph, record, .. }: Studio<'_>,
) -> Result<(Vec<Number>, Basis, Vec<String>)> {
    let mut values = Values::of(graph, record)?;
    let mut numbers = vec![];
    let all = everything(spec, graph);
    let groups: Vec<_> = all
        .iter()
        .map(|(sweep, points)| {
            let axes = axes(points);
            (sweep, group(points, &axes), axes)
        })
        .collect();
    let named: BTreeSet<&String> = {
        let figures = spec.figures.iter().filter_map(|(_, figure)| figure.target());
        figures.chain(spec.tables.iter().flat_map(|(_, table)| table.metrics())).collect()
    };
    let mut metrics: Vec<(String, String, String)> = vec![];
    for node in &spec.nodes {
        let like = graph.nodes.node_weights().find(|other| *other.declared == *node.name);
        for metric in like.map(|like| like.settings.metrics()).unwrap_or_default() {
            metrics.push((format!("{}.{metric}", node.name), node.name.clone(), metric.to_owned()));
        }
    }
    let rows: usize = groups.iter().map(|(_, groups, _)| groups.len()).sum();
    let all_metrics = metrics.len();
    let is_cut = rows * all_metrics > MOST;
    if is_cut {
        metrics.retain(|(name, _, _)| named.contains(name));
    }
    for (sweep, groups, axes) in &groups {
        for (words, members) in groups {
            let place: Vec<String> =
                axes.iter().zip(words).map(|(axis, word)| format!("{axis}={word}")).collect();
            for (name, node, metric) in &metrics {
                let mut column =
                    Column { name: name.clone(), unit: String::new(), better: Better::Neither };
                let cell = values.cell(members, (node, metric), &mut column)?;
                if cell.n() > 0 {
                    let name = number_name(&[sweep, &place.join(","), name]);
                    numbers.push(Number { name, cell });
                }
            }
        }
    }
    let counts = || numbers.iter().map(|number| number.cell.n());
    let seeds = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let cells = || numbers.iter().map(|number| &number.cell);
    let missing = cells().map(|cell| cell.missing).sum();
    let failed = cells().map(|cell| cell.failed).sum();
    let notes = is_cut.then(|| {
        format!("of {} numbers only those of tables and figures are here", rows * all_metrics)
    });
    let basis = Basis { nodes: values.read, seeds: Some(seeds), missing, failed };
    Ok((numbers, basis, notes.into_iter().collect()))
}

/// The points of each sweep, or the baseline point alone under no name.
pub(super) fn everything<'g>(spec: &Spec, graph: &'g Graph) -> Vec<(String, Vec<Placed<'g>>)> {
    let shown = |sweep| Shown { sweep, at: None };
    if spec.sweeps.is_empty() {
        return vec![(String::new(), points(graph, shown(None)))];
    }
    spec.sweeps
        .iter()
        .map(|sweep| (sweep.name.clone(), points(graph, shown(Some(&sweep.name)))))
        .collect()
}

/// Values of metrics, and where they are from.
pub(super) struct Values<'v> {
    graph: &'v Graph,
    record: &'v Record,
    /// Nodes whose last attempt failed, by the whole key.
    failed: BTreeSet<String>,
    /// Seconds of devices by the whole key, once they were asked for.
    seconds: Option<BTreeMap<String, f64>>,
    /// Metrics of nodes that were read: many cells are of one node.
    metrics: HashMap<Key, Metrics>,
    /// Nodes that were read.
    pub(super) read: BTreeSet<Key>,
}

impl<'v> Values<'v> {
    pub(super) fn of(graph: &'v Graph, record: &'v Record) -> Result<Self> {
        let failed = record.failures()?.into_keys().collect();
        let (metrics, read) = (HashMap::new(), BTreeSet::new());
        Ok(Self { graph, record, failed, seconds: None, metrics, read })
    }

    /// The values of a node's metric by seed at points that agree on everything else.
    pub(super) fn cell(
        &mut self,
        members: &[(usize, &Point)],
        (declared, metric): (&str, &str),
        column: &mut Column,
    ) -> Result<Cell> {
        let mut cell = Cell::default();
        for (i, point) in members {
            let Some(index) = node_at(self.graph, *i, declared) else { continue };
            let key = self.graph.nodes[index].key;
            let found = match metric {
                DEVICE_HOURS => self.device_hours(index)?,
                _ => self.metric(key, metric)?,
            };
            match found {
                Some(found) => {
                    cell.values.insert(point.seed.unwrap_or(0), found.value);
                    column.unit.clone_from(&found.unit);
                    column.better = found.better;
                    self.read.insert(key);
                }
                None => {
                    cell.missing += 1;
                    cell.failed += usize::from(self.has_failed(index));
                }
            }
        }
        Ok(cell)
    }

    fn metric(&mut self, key: Key, name: &str) -> Result<Option<Metric>> {
        let metrics = match self.metrics.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.record.metrics(&key)?),
        };
        Ok(metrics.get(name).cloned())
    }

    /// What a finished node cost.
    fn device_hours(&mut self, index: NodeIndex) -> Result<Option<Metric>> {
        let key = self.graph.nodes[index].key;
        let is_finished = self.record.is_recorded(&key)?;
        if self.seconds.is_none() {
            self.seconds = Some(self.record.seconds_by_node()?);
        }
        let all = self.seconds.as_ref().filter(|_| is_finished);
        let seconds = all.and_then(|all| all.get(&key.hex()));
        let metric =
            |s: &f64| Metric { value: s / 3600.0, unit: "h".into(), better: Better::Lower };
        Ok(seconds.map(metric))
    }

    /// What a picture of a declaration at some points rests on: the nodes that are finished, and the seeds of each
    /// combination of axis values.
    pub(super) fn basis(
        &self,
        points: &[Placed<'_>],
        declared: &str,
        results: &Results,
    ) -> Result<Basis> {
        let finished = results.list()?.finished;
        let mut basis = Basis::default();
        let (mut fewest, mut most) = (usize::MAX, 0);
        for (_, members) in group(points, &axes(points)) {
            let mut seeds = BTreeSet::new();
            for (i, point) in members {
                let Some(index) = node_at(self.graph, i, declared) else { continue };
                let node = &self.graph.nodes[index];
                match finished.contains(&node.folder()) {
                    true => {
                        basis.nodes.insert(node.key);
                        seeds.insert(point.seed.unwrap_or(0));
                    }
                    false => {
                        basis.missing += 1;
                        basis.failed += usize::from(self.has_failed(index));
                    }
                }
            }
            (fewest, most) = (fewest.min(seeds.len()), most.max(seeds.len()));
        }
        basis.seeds = Some((fewest.min(most), most));
        Ok(basis)
    }

    /// Whether a node that is not there, or one that it needs, failed last time.
    fn has_failed(&self, index: NodeIndex) -> bool {
        let has = |i: &NodeIndex| self.failed.contains(&self.graph.nodes[*i].key.hex());
        !self.failed.is_empty() && self.graph.upstream([index]).iter().any(has)
    }
}
