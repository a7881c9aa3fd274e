//! What a person picks while looking → tables, curves and samples of that moment, by the code that makes the outputs of
//! a spec.

use super::alike::telling;
use super::collect::{axes, check, group, points};
use super::forward::test_items;
use super::pictures::{Look, fields};
use super::{Studio, tables};
use crate::expand::Point;
use crate::expand::show;
use crate::figure::{self, Field};
use crate::graph::Node;
use crate::job::{Better, Series};
use crate::problem::{Problem, Problems, Result};
use crate::settings::{Found, Kind, Reader, Setting};
use crate::spec::{Shown, TableSpec};
use crate::table::Table;
use petgraph::graph::NodeIndex;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A sweep, and what can be picked of it.
#[derive(Debug, Serialize)]
pub struct Offer {
    /// Its name; empty where the spec has no sweep.
    pub sweep: String,
    /// Its axes, seed aside, each with its values in order.
    pub axes: Vec<(String, Vec<String>)>,
    /// Its seeds.
    pub seeds: Vec<u64>,
    /// Its declared nodes with their kinds.
    pub nodes: Vec<(String, &'static str)>,
    /// Metrics of its nodes: `node.metric`.
    pub metrics: Vec<String>,
    /// The metrics that the spec's first table of it shows.
    pub shown: Vec<String>,
}

/// A table that a person picked, in every form, and its numbers.
#[derive(Debug, Serialize)]
pub struct Pivot {
    /// For the page.
    pub html: String,
    /// For a paper.
    pub latex: String,
    /// For notes.
    pub markdown: String,
    /// For programs: a line for each row and seed.
    pub csv: String,
    /// What is best by each metric, in a sentence.
    pub verdicts: Vec<String>,
    /// Headings of the columns that name a row.
    pub axes: Vec<String>,
    /// Metrics, each with its unit and which way is better (−1 lower, 1 higher, 0 neither).
    pub metrics: Vec<(String, String, i8)>,
    /// The words of each row and its means.
    pub rows: Vec<(Vec<String>, Vec<Option<f64>>)>,
}

/// One line of a diagram.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The words of its group.
    pub group: Vec<String>,
    /// Its seed.
    pub seed: u64,
    /// The node's key, short.
    pub key: String,
    /// Whether the node still runs.
    pub live: bool,
    /// Seconds of devices that the node has taken.
    pub seconds: f64,
    /// Steps, wave numbers, …
    pub x: Vec<f64>,
    /// Values; none where there is no number.
    pub y: Vec<Option<f64>>,
}

/// Lines of nodes alike.
#[derive(Debug, Serialize)]
pub struct Lines {
    /// The axes by which they are told apart.
    pub by: Vec<String>,
    /// The lines.
    pub lines: Vec<Line>,
    /// Unit of x.
    pub x_unit: String,
    /// Unit of y.
    pub y_unit: String,
    /// Series of the node, each with its columns.
    pub series: BTreeMap<String, Vec<String>>,
    /// Lines that were left out because there are too many.
    pub left_out: usize,
}

/// A node whose samples are shown.
#[derive(Debug, Serialize)]
pub struct Shelf {
    /// The words of its row.
    pub row: Vec<String>,
    /// The word of its step.
    pub step: String,
    /// The node's key, short.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Whether there is anything to show.
    pub is_there: bool,
}

/// A series of a node that still runs: what it has told so far.
pub type Told<'t> = &'t dyn Fn(&Node) -> Option<Series>;

/// Lines at most.
const LINES: usize = 200;

/// Points of a line at most.
const POINTS: usize = 2000;

impl Studio<'_> {
    /// What can be picked.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn offers(&self) -> Result<Vec<Offer>> {
        let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (declared, metric) in self.record.metric_names(&self.spec.name)? {
            known.entry(declared).or_default().push(metric);
        }
        let offer = |(sweep, placed): (String, Vec<(usize, &Point)>)| {
            let values = |axis: &String| {
                let mut values: Vec<String> = vec![];
                let seen = &mut BTreeSet::new();
                for (_, point) in &placed {
                    if let Some(word) = point.coordinate(axis).map(show)
                        && seen.insert(word.clone())
                    {
                        values.push(word);
                    }
                }
                values
            };
            let axes = axes(&placed).into_iter().map(|axis| (axis.clone(), values(&axis)));
            let seeds: BTreeSet<u64> = placed.iter().filter_map(|(_, point)| point.seed).collect();
            let reached: BTreeSet<&str> =
                placed.iter().flat_map(|(i, _)| self.graph.nodes_at(*i)).map(|(d, ..)| d).collect();
            let nodes: Vec<(String, &'static str)> = self
                .spec
                .nodes
                .iter()
                .filter(|node| reached.contains(node.name.as_str()))
                .map(|node| (node.name.clone(), node.kind.word()))
                .collect();
            let metrics = nodes.iter().flat_map(|(node, _)| {
                let of_node = known.get(node).into_iter().flatten();
                of_node.map(move |metric| format!("{node}.{metric}"))
            });
            let metrics = metrics.collect();
            let of_it = |(_, table): &&(String, TableSpec)| {
                table.sweep.as_deref().unwrap_or_default() == sweep && table.columns.is_some()
            };
            let shown = self.spec.tables.iter().find(of_it);
            let shown = shown.map_or(vec![], |(_, table)| table.metrics().to_vec());
            Offer {
                sweep,
                axes: axes.collect(),
                seeds: seeds.into_iter().collect(),
                nodes,
                metrics,
                shown,
            }
        };
        Ok(tables::everything(self.spec, self.graph).into_iter().map(offer).collect())
    }

    /// A table of a spec, or one that is written as in a spec; `reference` is the row that others are compared with
    /// instead of the baseline.
    ///
    /// # Errors
    /// If it names what is not there.
    pub fn pivot(&self, written: &Value, reference: Option<&[String]>) -> Result<Pivot, Problems> {
        let mut reader = Reader::default();
        let asked = TableSpec::read(&Found::root(written), &mut reader);
        let problems = reader.into_problems(None);
        let Some(asked) = asked.filter(|_| problems.0.is_empty()) else { return Err(problems) };
        let spec = crate::spec::Spec {
            tables: vec![("this".to_owned(), asked.clone())],
            figures: vec![],
            ..self.spec.clone()
        };
        check(&spec, self.graph)?;
        let (mut table, nodes) = tables::table(self.spec, self.graph, self.record, &asked)?;
        if let Some(reference) = reference {
            let is_there = table.rows.iter().any(|row| row.labels == reference);
            table.versus = is_there.then_some("reference");
            for row in &mut table.rows {
                row.baseline = row.labels == reference;
            }
        }
        let sheet = table.sheet();
        let form = tables::latex_form(&asked);
        let latex = sheet.latex(form, &self.sources(&nodes));
        let verdicts = sheet.verdicts.iter().map(|one| figure::plain(&one.to_string())).collect();
        let (html, markdown, csv) = (sheet.html(), sheet.markdown(), table.csv());
        let Table { axes, columns, rows, .. } = table;
        let direction = |better: Better| match better {
            Better::Lower => -1,
            Better::Higher => 1,
            Better::Neither => 0,
        };
        let metrics = columns.into_iter().map(|c| (c.name, c.unit, direction(c.better)));
        let mean = |cell: &crate::table::Cell| cell.mean();
        let rows =
            rows.iter().map(|row| (row.labels.clone(), row.cells.iter().map(mean).collect()));
        let (metrics, rows) = (metrics.collect(), rows.collect());
        Ok(Pivot { html, latex, markdown, csv, verdicts, axes, metrics, rows })
    }

    /// A column of a series of all nodes of a declaration in a sweep, by some axes; by none, by all that make a difference.
    ///
    /// # Errors
    /// If the sweep or the node is not there, or the database refuses.
    pub fn lines(
        &self,
        (sweep, declared): (&str, &str),
        by: &[String],
        (name, column): (&str, &str),
        told: Told<'_>,
    ) -> Result<Lines> {
        let placed = self.placed(sweep)?;
        let seconds = self.record.seconds_by_node()?;
        let by = match by {
            [] => telling(self.spec, self.graph, &placed, axes(&placed), &[declared.to_owned()]),
            _ => by.to_vec(),
        };
        let mut found = Lines {
            by: by.clone(),
            lines: vec![],
            x_unit: String::new(),
            y_unit: String::new(),
            series: BTreeMap::new(),
            left_out: 0,
        };
        let mut seen = BTreeSet::new();
        for (words, members) in group(&placed, &by) {
            for (i, point) in members {
                let Some(index) = self.graph.at(i, declared) else { continue };
                let node = &self.graph.nodes[index];
                if !seen.insert(index) {
                    continue;
                }
                if found.series.is_empty() {
                    found.series = self.record.series_names(&node.key)?;
                }
                if found.lines.len() == LINES {
                    found.left_out += 1;
                    continue;
                }
                let recorded = self.record.series(&node.key, name)?;
                let live = recorded.is_none();
                let Some(series) = recorded.or_else(|| told(node)) else { continue };
                let (Some(x), Some(y)) = (series.columns.get("x"), series.columns.get(column))
                else {
                    continue;
                };
                let (x, y) = thinned(x, y);
                (found.x_unit, found.y_unit) = (series.x_unit, series.y_unit);
                found.lines.push(Line {
                    group: words.clone(),
                    seed: point.seed.unwrap_or(0),
                    key: node.key.short(),
                    live,
                    seconds: seconds.get(&node.key.hex()).copied().unwrap_or(0.0),
                    x,
                    y: y.into_iter().map(|y| Some(y).filter(|y| y.is_finite())).collect(),
                });
            }
        }
        Ok(found)
    }

    fn placed(&self, sweep: &str) -> Result<Vec<(usize, &Point)>> {
        let name = sweep.to_owned();
        let known = self.spec.sweeps.iter().any(|sweep| sweep.name == name);
        // The one point of a spec without sweeps has no name.
        let is_plain = sweep.is_empty() && self.spec.sweeps.is_empty();
        if !known && !is_plain {
            return Err(Problem::new(format!("there is no sweep `{sweep}`")));
        }
        Ok(points(self.graph, Shown { sweep: known.then_some(&name), at: None }))
    }

    /// The samples of a declaration with one seed: a row for each combination of the axes but `step`.
    ///
    /// # Errors
    /// If the sweep is not there.
    pub fn shelves(
        &self,
        (sweep, declared): (&str, &str),
        step: Option<&str>,
        seed: Option<u64>,
    ) -> Result<Vec<Shelf>> {
        let placed = self.placed(sweep)?;
        let of_seed: Vec<_> =
            placed.into_iter().filter(|(_, p)| seed.is_none() || p.seed == seed).collect();
        let others: Vec<String> =
            axes(&of_seed).into_iter().filter(|axis| Some(axis.as_str()) != step).collect();
        let others = telling(self.spec, self.graph, &of_seed, others, &[declared.to_owned()]);
        let mut shelves = vec![];
        let mut seen = BTreeSet::new();
        for (row, members) in group(&of_seed, &others) {
            for (i, point) in members {
                let Some(index) = self.graph.at(i, declared) else { continue };
                let word = |axis: &str| point.coordinate(axis).map(show).unwrap_or_default();
                let step = step.map(word).unwrap_or_default();
                let node = &self.graph.nodes[index];
                if node.kind() == Kind::Sample && seen.insert((row.clone(), step.clone())) {
                    shelves.push(Shelf {
                        row: row.clone(),
                        step,
                        key: node.key.short(),
                        name: node.name.clone(),
                        is_there: self.has_items(index),
                    });
                }
            }
        }
        Ok(shelves)
    }

    /// The lowest and the highest value among the first samples of some nodes, and what the values are.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn shared_limits(&self, nodes: &[NodeIndex], count: usize) -> Result<([f64; 2], String)> {
        let mut limits = [f64::INFINITY, f64::NEG_INFINITY];
        let mut label = String::new();
        for index in nodes {
            let Some((fields, look)) = self.look(*index, count)? else { continue };
            label = figure::plain(&look.label());
            if let Some((low, high)) = look.limits() {
                return Ok(([low, high], label));
            }
            let values = fields.into_iter().flat_map(|field| field.values);
            for value in values.filter(|value| value.is_finite()) {
                limits = [limits[0].min(value), limits[1].max(value)];
            }
        }
        Ok((if limits[0] < limits[1] { limits } else { [0.0, 1.0] }, label))
    }

    /// The first samples of a sample node, or the first items of the test split of a dataset, side by side as a PNG,
    /// one pixel for each of theirs; `None` while there are none.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn strip(
        &self,
        node: NodeIndex,
        count: usize,
        limits: (f64, f64),
    ) -> Result<Option<Vec<u8>>> {
        let Some((fields, look)) = self.look(node, count)? else { return Ok(None) };
        figure::strip(&fields, limits, look.colours()).map(Some)
    }

    /// Whether a node has samples or items to show: those that are cleaned away are not there.
    pub fn has_items(&self, node: NodeIndex) -> bool {
        self.items(node, 1).is_ok_and(|found| found.is_some_and(|(path, _)| path.exists()))
    }

    /// The array of a node's samples or test items, and the places of the first of them.
    fn items(&self, node: NodeIndex, count: usize) -> Result<Option<(PathBuf, Vec<usize>)>> {
        let node = &self.graph.nodes[node];
        let folder = self.results.node(&node.folder());
        match node.kind() {
            Kind::Sample => Ok(Some((folder.join("samples.npy"), (0..count).collect()))),
            Kind::Dataset => test_items(node, &folder, count),
            _ => Ok(None),
        }
    }

    /// The first samples or test items of a node, and what they are.
    pub(super) fn look(&self, node: NodeIndex, count: usize) -> Result<Option<(Vec<Field>, Look)>> {
        let Some((path, places)) = self.items(node, count)? else { return Ok(None) };
        if !path.exists() {
            return Ok(None);
        }
        // An array that is not ours lies elsewhere, what is known of it does not.
        let folder = self.results.node(&self.graph.nodes[node].folder());
        let look = Look::of(&folder.join("samples.npy"))?;
        let fields = fields(&path, &places, &look)?;
        Ok((!fields.is_empty()).then_some((fields, look)))
    }
}

/// A line of so many points that no extreme is lost: of each part the lowest and the highest, in their order.
fn thinned(x: &[f64], y: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = x.len().min(y.len());
    if n <= POINTS {
        return (x[..n].to_vec(), y[..n].to_vec());
    }
    let each = n.div_ceil(POINTS / 2);
    let mut kept: Vec<usize> = vec![];
    for from in (0..n).step_by(each) {
        let part = from..(from + each).min(n);
        let low = part.clone().min_by(|a, b| y[*a].total_cmp(&y[*b])).unwrap_or(from);
        let high = part.max_by(|a, b| y[*a].total_cmp(&y[*b])).unwrap_or(from);
        kept.extend([low.min(high), low.max(high)]);
    }
    kept.dedup();
    (kept.iter().map(|i| x[*i]).collect(), kept.iter().map(|i| y[*i]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_line_keeps_its_spikes() {
        let x: Vec<f64> = (0..100_000).map(f64::from).collect();
        let mut y = vec![0.0; x.len()];
        (y[777], y[55_555]) = (9.0, -3.0);
        let (thin_x, thin_y) = thinned(&x, &y);
        assert!(thin_x.len() <= POINTS && thin_x.is_sorted_by(|a, b| a < b));
        let at = |value: f64| thin_x[thin_y.iter().position(|y| *y == value).unwrap()];
        assert_eq!((at(9.0), at(-3.0)), (777.0, 55_555.0));
        assert_eq!(thinned(&x[..10], &y[..10]).0, x[..10]);
    }
}
