//! Points and rows → the numbers of a table or figure: which points fall into which row, line or
//! panel, and the values there by seed.

use super::alike::single;
use super::forward;
use crate::expand::{Point, SEED, show};
use crate::graph::{Graph, Node};
use crate::problem::{Problem, Problems, Result};
use crate::settings::{Found, Kind, Reader, Step, keys};
use crate::spec::{At, Axes, Declaration, FigureSpec, Shown, Spec, TableSpec, Versus};
use crate::words;
use petgraph::graph::NodeIndex;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Checks that every figure and table names sweeps, axes, nodes and metrics that exist.
///
/// # Errors
/// Everything that does not, each with its place.
pub fn check(spec: &Spec, graph: &Graph) -> Result<(), Problems> {
    let mut reader = Reader::default();
    for (name, table) in &spec.tables {
        let kind = [Step::Key("tables".into()), Step::Key(name.clone())];
        let known = check_shown(spec, graph, table.shown(), &kind, &mut reader);
        if known && table.versus == Some(Versus::Baseline) {
            let path = kind.iter().cloned().chain(keys(&["versus"])).collect();
            note(&mut reader, path, has_baseline(spec, graph, table.shown(), table.metrics()));
        }
        check_content(spec, table, &kind, &mut reader);
        for (i, column) in table.metrics().iter().enumerate() {
            let path =
                kind.iter().cloned().chain(keys(&["columns"])).chain([Step::Item(i)]).collect();
            let checked = metric(spec, graph, column);
            let single = || match &table.rows {
                Some(Axes(axes)) if known => {
                    single(spec, graph, table.shown(), axes, (column, &["rows"]))
                }
                _ => Ok(()),
            };
            note(&mut reader, path, checked.and_then(|()| single()));
        }
        let rows = table.rows.iter().flat_map(|axes| axes.steps("rows"));
        for (way, axis) in rows.filter(|_| known) {
            let path = kind.iter().cloned().chain(way).collect();
            note(&mut reader, path, axis_of(graph, table.shown(), axis));
        }
    }
    for (name, figure) in &spec.figures {
        check_figure(spec, graph, name, figure, &mut reader);
    }
    spec.located(reader).or(())
}

/// Checks that a table has either columns or the settings of a node.
fn check_content(spec: &Spec, table: &TableSpec, kind: &[Step], reader: &mut Reader) {
    let path = |setting| kind.iter().cloned().chain(keys(&[setting])).collect();
    match (&table.columns, &table.settings) {
        (None, None) => {
            let problem = Problem::new("the table has neither `columns` nor `settings`");
            let help =
                "name metrics, as in `columns: [score.error]`, or a node, as in `settings: net`";
            note(reader, kind.to_vec(), Err(problem.help(help)));
        }
        (Some(_), Some(_)) => {
            let problem = Problem::new("a table tells either metrics or settings");
            note(
                reader,
                path("settings"),
                Err(problem.help("make a second table of the settings")),
            );
        }
        (None, Some(node)) => {
            let known: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
            if !known.contains(&node.as_str()) {
                note(reader, path("settings"), Err(unknown("node", node, &known)));
            }
            if table.versus.is_some() {
                let problem = Problem::new("settings are not compared with a baseline");
                note(reader, path("versus"), Err(problem.help("leave it out")));
            }
        }
        (Some(_), None) => {}
    }
}

fn check_figure(spec: &Spec, graph: &Graph, name: &str, figure: &FigureSpec, reader: &mut Reader) {
    // A graph names nothing.
    let Some(target) = figure.target() else { return };
    let kind = keys(&["figures", name, figure.word()]);
    let known = check_shown(spec, graph, figure.shown(), &kind, reader);
    let mut named = known;
    for (way, axis) in figure.axes().into_iter().filter(|_| known) {
        let path = kind.iter().cloned().chain(way).collect();
        let checked = axis_of(graph, figure.shown(), axis);
        named &= checked.is_ok();
        note(reader, path, checked);
    }
    let (setting, checked) = match figure {
        FigureSpec::Curve(asked) => ("y", metric(spec, graph, &asked.y)),
        FigureSpec::Spectrum(asked) => ("of", of_kind(spec, &asked.of, &[Kind::Evaluate])),
        FigureSpec::Training(asked) => {
            ("of", of_kind(spec, &asked.of, &[Kind::Train, Kind::Command]))
        }
        FigureSpec::Grid(asked) => ("of", of_kind(spec, &asked.of, &[Kind::Sample, Kind::Command])),
        FigureSpec::Forward(asked) => ("of", of_kind(spec, &asked.of, &[Kind::Train])),
        FigureSpec::Points(asked) => ("y", metric(spec, graph, &asked.y)),
        FigureSpec::Histogram(asked) => ("of", of_kind(spec, &asked.of, &[Kind::Evaluate])),
        FigureSpec::Heatmap(asked) => ("value", metric(spec, graph, &asked.value)),
        FigureSpec::Scatter(asked) => {
            let path = kind.iter().cloned().chain(keys(&["x"])).collect();
            note(reader, path, metric(spec, graph, &asked.x));
            ("y", metric(spec, graph, &asked.y))
        }
        FigureSpec::Trajectory(asked) => ("of", of_kind(spec, &asked.of, &[Kind::Sample])),
        FigureSpec::Graph(_) => return,
    };
    if let FigureSpec::Points(asked) = figure
        && checked.is_ok()
        && known
    {
        let path = kind.iter().cloned().chain(keys(&["sweep"])).collect();
        note(
            reader,
            path,
            has_baseline(spec, graph, figure.shown(), std::slice::from_ref(&asked.y)),
        );
    }
    if let FigureSpec::Forward(asked) = figure
        && checked.is_ok()
    {
        for (setting, problem) in forward::check(spec, graph, (asked, figure.shown())) {
            let path = kind.iter().cloned().chain(keys(&[setting])).collect();
            note(reader, path, Err(problem));
        }
    }
    // A figure of trainings draws a line for each of them, whatever it tells apart.
    // Without `rows`, points are told apart by all axes.
    let by_all = matches!(figure, FigureSpec::Points(asked) if asked.rows.is_none());
    let folds = !matches!(figure, FigureSpec::Training(_)) && !by_all;
    let single = || match named && folds {
        true => {
            let axes: Vec<String> =
                figure.axes().into_iter().map(|(_, axis)| axis.clone()).collect();
            single(spec, graph, figure.shown(), &axes, (target, figure.telling()))
        }
        false => Ok(()),
    };
    let path = kind.iter().cloned().chain(keys(&[setting])).collect();
    note(reader, path, checked.and_then(|()| single()));
}

fn note(reader: &mut Reader, path: Vec<Step>, checked: Result<()>) {
    if let Err(problem) = checked {
        reader.wrong::<()>(&Found { value: &Value::Null, path }, problem);
    }
}

/// Checks that a sweep is there and that something of it is shown; whether it is.
fn check_shown(
    spec: &Spec,
    graph: &Graph,
    shown: Shown<'_>,
    kind: &[Step],
    reader: &mut Reader,
) -> bool {
    let path = |setting| kind.iter().cloned().chain(keys(&[setting])).collect();
    let known: Vec<&str> = spec.sweeps.iter().map(|sweep| sweep.name.as_str()).collect();
    let checked = match shown.sweep {
        None if known.is_empty() => Ok(()),
        None => Err(Problem::new("`sweep` is missing").help(format!("add `sweep: {}`", known[0]))),
        Some(name) if known.contains(&name.as_str()) => Ok(()),
        Some(name) => Err(unknown("sweep", name, &known)),
    };
    if checked.is_err() {
        note(reader, path("sweep"), checked);
        return false;
    }
    let checked = shown.at.map_or(Ok(()), |at| check_at(graph, shown, at));
    let shows = checked.is_ok();
    note(reader, path("at"), checked);
    shows
}

/// Checks that a condition names axes of the sweep and holds at some of its points.
fn check_at(graph: &Graph, shown: Shown<'_>, at: &At) -> Result<()> {
    let all = Shown { at: None, ..shown };
    for name in at.condition.names(&|_| false) {
        axis_of(graph, all, name)?;
    }
    if points(graph, all).is_empty() || !points(graph, shown).is_empty() {
        return Ok(());
    }
    let axes = axes(&points(graph, all));
    let problem = Problem::new("this holds at no point of the sweep");
    Err(problem.help(format!("its axes are {}", words::alternatives(&axes))))
}

/// Checks that what compares with the baseline has it among its points.
fn has_baseline(spec: &Spec, graph: &Graph, shown: Shown<'_>, metrics: &[String]) -> Result<()> {
    let declared = |column: &String| spec.split_path(column).map(|(node, _)| node.name.clone());
    let nodes: Vec<String> = metrics.iter().filter_map(declared).collect();
    let is_baseline =
        |(point, _): &Placed<'_>| nodes.iter().all(|node| graph.is_baseline(*point, node));
    if points(graph, shown).iter().any(is_baseline) {
        return Ok(());
    }
    let sweep = shown.sweep.map_or("", String::as_str);
    let problem = Problem::new(format!("the baseline is no point of the sweep `{sweep}`"));
    Err(problem
        .help("give it the baseline's values too, or write `baseline: { axis: value }` in it"))
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Problem {
    Problem::new(format!("there is no {what} `{name}`")).help(words::suggestion(name, known))
}

fn axis_of(graph: &Graph, shown: Shown<'_>, axis: &str) -> Result<()> {
    let known: Vec<String> = axes(&points(graph, Shown { at: None, ..shown }));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.contains(&axis) || axis == SEED { Ok(()) } else { Err(unknown("axis", axis, &known)) }
}

fn of_kind(spec: &Spec, name: &str, kinds: &[Kind]) -> Result<()> {
    let is = |node: &&Declaration| kinds.contains(&node.kind);
    let known: Vec<&str> = spec.nodes.iter().filter(is).map(|n| n.name.as_str()).collect();
    let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
    let wanted = words.join(" or ");
    if known.contains(&name) {
        return Ok(());
    }
    match spec.node(name) {
        Some(node) => {
            let problem = Problem::new(format!("`{name}` is a {} node", node.kind.word()));
            Err(problem.help(format!("the node must be of kind {wanted}")))
        }
        None => Err(unknown(&format!("{wanted} node"), name, &known)),
    }
}

/// What a node cost, with its failed attempts: a metric of every node that no worker reports.
pub(super) const DEVICE_HOURS: &str = "device_hours";

/// Checks `node.metric`.
fn metric(spec: &Spec, graph: &Graph, name: &str) -> Result<()> {
    let Some((node, metric)) = spec.split_path(name).filter(|(_, metric)| !metric.is_empty())
    else {
        let known: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
        let problem = Problem::new(format!("`{name}` is not a metric"));
        return Err(problem
            .help(format!("write node.metric, with a node of {}", words::alternatives(&known))));
    };
    let settings =
        graph.nodes.node_weights().find(|n| *n.declared == *node.name).map(|n| &n.settings);
    let known = settings.map(|settings| settings.metrics()).unwrap_or_default();
    if known.is_empty() || known.contains(&metric) || metric == DEVICE_HOURS {
        Ok(())
    } else {
        Err(unknown("metric", metric, &known))
    }
}

/// The points that are shown, with their places in the graph.
pub(super) fn points<'g>(graph: &'g Graph, shown: Shown<'_>) -> Vec<Placed<'g>> {
    graph.points.iter().enumerate().filter(|(_, point)| point.is_shown(shown)).collect()
}

/// The axes of points, seed aside, in the order of the spec.
pub(super) fn axes(points: &[(usize, &Point)]) -> Vec<String> {
    let mut axes: Vec<String> = vec![];
    for coordinate in points.iter().flat_map(|(_, point)| point.setting()) {
        if !axes.contains(&coordinate.axis) {
            axes.push(coordinate.axis.clone());
        }
    }
    axes
}

/// A point and its place in the graph.
pub(super) type Placed<'p> = (usize, &'p Point);

/// The word of an axis that a point does not have.
pub(super) const NO_AXIS: &str = "–";

/// The words of some axes, and the points that have them.
type Group<'p> = (Vec<String>, Vec<Placed<'p>>);

/// Points grouped by the words of some axes, in the order in which they first come.
pub(super) fn group<'p>(points: &[Placed<'p>], by: &[String]) -> Vec<Group<'p>> {
    let mut groups: Vec<Group<'p>> = vec![];
    let mut places: HashMap<Vec<String>, usize> = HashMap::new();
    for (i, point) in points {
        let label: Vec<String> =
            by.iter().map(|axis| point.coordinate(axis).map_or(NO_AXIS.to_owned(), show)).collect();
        let place = *places.entry(label.clone()).or_insert_with(|| {
            groups.push((label, vec![]));
            groups.len() - 1
        });
        groups[place].1.push((*i, point));
    }
    groups
}

/// The node of a declaration at a point.
pub(super) fn node_at(graph: &Graph, point: usize, declared: &str) -> Option<NodeIndex> {
    graph.at(point, declared)
}

/// The nodes of a declaration at some points, each once.
pub(super) fn nodes_at<'g>(
    graph: &'g Graph,
    points: &[(usize, &Point)],
    declared: &str,
) -> Vec<&'g Node> {
    let found: BTreeSet<NodeIndex> =
        points.iter().filter_map(|(i, _)| node_at(graph, *i, declared)).collect();
    found.into_iter().map(|index| &graph.nodes[index]).collect()
}
