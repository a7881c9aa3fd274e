//! Everything about an experiment → one page of HTML that needs no network: question, failures, figures, tables, graph,
//! cost, and every node with its settings, attempts, log and curves.

mod nodes;

use crate::decide;
use crate::draw::{Output, OutputKind, States, Studio, folded};
use crate::figure::{Metadata, base64, plain, text_faces};
use crate::problem::{Problem, Result};
use crate::record::Attempt;
use crate::spec::FigureSpec;
use crate::table::Verdict;
use crate::words::{duration, plural, span};
use minijinja::{AutoEscape, Environment, value::Value};
pub use nodes::{Details, details, kin, log_tail};
use nodes::{NodeView, Shelf};
use petgraph::graph::NodeIndex;
use serde::Serialize;
use std::collections::BTreeMap;

/// The most that a page holds of nodes and their pictures, in bytes, so that it stays below 10 MB.
const MOST: usize = 6 << 20;

/// All that the page tells.
#[derive(Debug, Serialize)]
struct Page {
    experiment: String,
    question: String,
    made: String,
    summary: String,
    /// What the tables say, in sentences.
    verdicts: Vec<String>,
    remarks: Vec<String>,
    failures: Vec<FailureView>,
    figures: Vec<FigureView>,
    tables: Vec<TableView>,
    graph: String,
    costs: Vec<CostView>,
    cost: String,
    nodes: Vec<NodeView>,
    left_out: usize,
    fonts: [String; 2],
}

/// Failures of one cause.
#[derive(Debug, Serialize)]
pub struct FailureView {
    name: String,
    class: String,
    message: String,
    attempts: String,
    log: String,
    others: usize,
}

#[derive(Debug, Serialize)]
struct FigureView {
    name: String,
    svg: String,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TableView {
    name: String,
    html: String,
}

/// What the nodes of a kind cost.
#[derive(Debug, Serialize)]
pub struct CostView {
    kind: &'static str,
    attempts: usize,
    spent: String,
    failed: String,
    share: u32,
}

const TEMPLATE: &str = include_str!("page.html");
/// What pages look like, those of a server too.
pub const STYLE: &str = include_str!("style.css");
/// A function of the name `sortable` that lets a table be sorted.
pub const SORT: &str = include_str!("sort.js");
const SCRIPT: &str = include_str!("script.js");

/// The page of an experiment, as its outputs stand.
///
/// # Errors
/// If the database or a node's files cannot be read.
pub fn page(studio: Studio<'_>, outputs: &[Output]) -> Result<String> {
    let page = view(studio, outputs)?;
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let wrong =
        |error: minijinja::Error| Problem::system(format!("the report's template: {error:#}"));
    environment.add_template("page", TEMPLATE).map_err(wrong)?;
    let value = Value::from(minijinja::value::Serde(&page));
    let safe = |text: &str| Value::from_safe_string(text.to_owned());
    let context = minijinja::context! { page => value, style => safe(STYLE), script => safe(&(SORT.to_owned() + SCRIPT)) };
    environment.get_template("page").and_then(|page| page.render(context)).map_err(wrong)
}

fn view(studio: Studio<'_>, outputs: &[Output]) -> Result<Page> {
    let Studio { spec, graph, results, record } = studio;
    let finished = results.list()?.finished;
    let is_finished = |index: NodeIndex| finished.contains(&graph.nodes[index].folder());
    let failed = record.failures()?;
    let states = States { is_finished: &is_finished, failed: failed.into_keys().collect() };
    let attempts = attempts(studio)?;
    let done = graph.indices().filter(|index| is_finished(*index)).count();
    let has_failed =
        |i: &NodeIndex| !is_finished(*i) && states.failed.contains(&graph.nodes[*i].key.hex());
    let failures: Vec<NodeIndex> = graph.indices().filter(has_failed).collect();
    let all = graph.nodes.node_count();
    let mut summary = format!("{done} of {} finished", plural(all, "node"));
    if !failures.is_empty() {
        summary += &format!(", {} failed", failures.len());
    }
    let meta = Metadata { title: spec.name.clone(), ..Metadata::default() };
    let mut shelf = Shelf::new(studio, &attempts, &is_finished, MOST);
    let nodes: Vec<NodeView> =
        graph.indices().map(|index| shelf.node(index)).collect::<Result<_>>()?;
    let (costs, cost) = costs(studio, &attempts);
    // The graph has a part of its own.
    let graphs: Vec<&String> = spec
        .figures
        .iter()
        .filter(|(_, figure)| matches!(figure, FigureSpec::Graph(_)))
        .map(|(name, _)| name)
        .collect();
    let is_figure = |output: &&Output| output.kind == OutputKind::Figure;
    let figures = outputs.iter().filter(is_figure).filter(|one| !graphs.contains(&&one.name));
    let tables = outputs.iter().filter(|output| output.kind == OutputKind::Table);
    Ok(Page {
        experiment: spec.name.clone(),
        question: spec.question.clone(),
        made: studio.made_by(),
        summary,
        verdicts: verdicts(outputs),
        remarks: remarks(studio, outputs)?,
        failures: alike(studio, &failures, &attempts),
        figures: figures.filter_map(figure).collect(),
        tables: tables.filter_map(table).collect(),
        graph: inline(&folded(spec, graph, &states).svg(&meta)),
        costs,
        cost,
        nodes,
        left_out: shelf.left_out,
        fonts: text_faces().map(base64),
    })
}

/// What is best by each metric of the tables, once for each.
fn verdicts(outputs: &[Output]) -> Vec<String> {
    let mut verdicts: Vec<Verdict> = vec![];
    let told = outputs.iter().filter_map(|output| output.sheet.as_ref());
    for verdict in told.flat_map(|sheet| &sheet.verdicts) {
        if !verdicts.iter_mut().any(|known| known.absorb(verdict)) {
            verdicts.push(verdict.clone());
        }
    }
    verdicts.iter().map(|verdict| plain(&verdict.to_string())).collect()
}

/// The attempts at every node, the first one first.
pub type Attempts = BTreeMap<NodeIndex, Vec<Attempt>>;

/// The attempts at every node.
///
/// # Errors
/// If the database refuses.
pub fn attempts(Studio { graph, record, .. }: Studio<'_>) -> Result<Attempts> {
    graph.indices().map(|index| Ok((index, record.attempts(&graph.nodes[index].key)?))).collect()
}

/// What the reader has to know before anything else: choices, and outputs that show a part.
fn remarks(studio: Studio<'_>, outputs: &[Output]) -> Result<Vec<String>> {
    let contests = decide::contests(studio.graph, studio.record)?;
    let mut remarks: Vec<String> = contests.iter().map(decide::Contest::told).collect();
    for output in outputs.iter().filter(|output| output.kind != OutputKind::Numbers) {
        let name = format!("{} {}", output.kind.word(), output.name);
        match output.basis.partial() {
            _ if output.files.is_empty() => {
                remarks.push(format!("The {name} has nothing to show yet."))
            }
            Some(partial) => remarks.push(format!("The {name} shows a part. {partial}.")),
            None => {}
        }
    }
    Ok(remarks)
}

/// Failures by cause: equal ones together.
pub fn alike(studio: Studio<'_>, failed: &[NodeIndex], attempts: &Attempts) -> Vec<FailureView> {
    let mut found: BTreeMap<(String, String), FailureView> = BTreeMap::new();
    for index in failed {
        let node = &studio.graph.nodes[*index];
        let Some(last) = attempts[index].last() else { continue };
        let class = last.class.clone().unwrap_or_default();
        let message = last.message.clone().unwrap_or_default();
        let gist = crate::failure::gist(&message).clone();
        found.entry((class.clone(), gist)).and_modify(|known| known.others += 1).or_insert_with(
            || FailureView {
                name: node.name.clone(),
                class,
                message,
                attempts: plural(attempts[index].len(), "attempt"),
                log: nodes::log_tail(studio.results, &node.folder()),
                others: 0,
            },
        );
    }
    found.into_values().collect()
}

fn figure(output: &Output) -> Option<FigureView> {
    let (_, svg) = output.files.iter().find(|(ending, _)| *ending == "svg")?;
    let svg = inline(&String::from_utf8_lossy(svg));
    Some(FigureView { name: output.name.clone(), svg, notes: output.warnings.clone() })
}

fn table(output: &Output) -> Option<TableView> {
    let (_, html) = output.files.iter().find(|(ending, _)| *ending == "html")?;
    Some(TableView { name: output.name.clone(), html: String::from_utf8_lossy(html).into_owned() })
}

/// An SVG file as a part of a page: without its head, and no wider than the page.
pub fn inline(svg: &str) -> String {
    let start = svg.find("<svg").unwrap_or(0);
    svg[start..].to_owned()
}

/// Device time by kind, what failed apart, and all of it in a sentence.
pub fn costs(studio: Studio<'_>, attempts: &Attempts) -> (Vec<CostView>, String) {
    let mut kinds: BTreeMap<crate::settings::Kind, (usize, f64, f64)> = BTreeMap::new();
    for (index, list) in attempts {
        let sum = kinds.entry(studio.graph.nodes[*index].kind()).or_default();
        for attempt in list {
            sum.0 += 1;
            sum.1 += attempt.seconds;
            if attempt.outcome == "failed" {
                sum.2 += attempt.seconds;
            }
        }
    }
    let total: f64 = kinds.values().map(|(_, seconds, _)| seconds).sum();
    let lost: f64 = kinds.values().map(|(_, _, failed)| failed).sum();
    let word = |seconds: f64| match seconds {
        s if s >= 3600.0 => format!("{:.1} h", s / 3600.0),
        s => duration(span(s)),
    };
    let views = kinds.iter().map(|(kind, (attempts, spent, failed))| CostView {
        kind: kind.word(),
        attempts: *attempts,
        spent: word(*spent),
        failed: if *failed > 0.0 { word(*failed) } else { "–".to_owned() },
        share: (100.0 * spent / total.max(1e-9)).round() as u32,
    });
    let lost = if lost > 0.0 {
        format!(", {} of it in attempts that failed", word(lost))
    } else {
        String::new()
    };
    (views.collect(), format!("{} of devices in all{lost}", word(total)))
}
