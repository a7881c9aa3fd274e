//! `ablate graph`: the graph of a spec as a picture, folded by declared name, with how far each is.

use super::asking::Asking;
use super::{Done, Opened, Place, print};
use crate::figure::{Dag, DagArrow, DagBox, DagState, Metadata};
use crate::files::write_aside;
use crate::problem::{Problem, Result};
use crate::record::Record;
use crate::settings::Kind;
use crate::words::{grouped, plural};
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Arguments of `ablate graph`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ablate graph experiments/first.yaml
  ablate graph experiments/first.yaml --all -o graph.pdf")]
pub(super) struct GraphCommand {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// The file: .svg, .png or .pdf, or `-` for SVG on standard output [default: graph.svg in the experiment's folder].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A box for each node instead of each name in the spec; at most 200.
    #[arg(long)]
    all: bool,
}

/// The most nodes that `--all` draws.
const MOST: usize = 200;

impl GraphCommand {
    pub(super) fn run(&self, place: &Place) -> Done {
        let opened = Opened::read(&self.spec, &self.asking, place)?;
        let failed = match &opened.record {
            Some(record) => failed(record)?,
            None => BTreeSet::new(),
        };
        let dag = if self.all { unfolded(&opened, &failed)? } else { folded(&opened, &failed) };
        let title = format!("{}: {}", opened.spec.name, opened.spec.question);
        let meta =
            Metadata { title, sources: opened.spec.file.display().to_string(), footnote: None };
        let path = match &self.output {
            Some(path) if path == Path::new("-") => {
                print(dag.svg(&meta).trim_end());
                return Ok(0);
            }
            Some(path) => path.clone(),
            None => {
                let folder = opened.results.experiment(&opened.spec.name);
                std::fs::create_dir_all(&folder)
                    .map_err(|e| Problem::os("make the folder", &folder, &e))?;
                folder.join("graph.svg")
            }
        };
        write(&dag, &meta, &path)?;
        print(&path.display().to_string());
        Ok(0)
    }
}

/// Writes the picture in the form that the file's ending names.
fn write(dag: &Dag, meta: &Metadata, path: &Path) -> Result<()> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => write_aside(path, dag.svg(meta).as_bytes()),
        Some("png") => write_aside(path, &dag.draw(meta)?.png),
        Some("pdf") => write_aside(path, &dag.draw(meta)?.pdf),
        _ => {
            let problem = Problem::new(format!("{} has no known ending", path.display()));
            Err(problem.help("name it .svg, .png or .pdf"))
        }
    }
}

/// The keys of the nodes whose last attempt failed.
fn failed(record: &Record) -> Result<BTreeSet<String>> {
    let statement = "SELECT node FROM attempts WHERE outcome = 'failed'
         AND id IN (SELECT max(id) FROM attempts GROUP BY node)";
    let (_, rows) = record.query(statement)?;
    Ok(rows.into_iter().flatten().collect())
}

/// What is told of the nodes of one box.
#[derive(Debug, Default)]
struct Tally {
    finished: usize,
    failed: usize,
    all: usize,
    axes: Vec<String>,
}

impl Tally {
    fn state(&self) -> DagState {
        match self {
            Self { failed: 1.., .. } => DagState::Failed,
            Self { finished, all, .. } if finished == all => DagState::Finished,
            Self { finished: 0, .. } => DagState::ToRun,
            _ => DagState::Partly,
        }
    }

    /// `3 finished, 1 failed, 2 to run`.
    fn sentence(&self) -> String {
        let parts = [
            (self.finished, "finished"),
            (self.failed, "failed"),
            (self.all - self.finished - self.failed, "to run"),
        ];
        let told = parts.iter().filter(|(count, _)| *count > 0);
        told.map(|(count, word)| format!("{} {word}", grouped(*count as u64)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The colour of a kind, as a place among the figures' colours.
fn family(kind: Kind) -> usize {
    match kind {
        Kind::Train => 0,
        Kind::Evaluate => 1,
        Kind::Sample => 2,
        Kind::Dataset => 3,
    }
}

/// A box for each declared node.
fn folded(opened: &Opened, failed: &BTreeSet<String>) -> Dag {
    let graph = &opened.graph;
    // In the order of the spec.
    let names: Vec<&str> = opened.spec.nodes.iter().map(|node| node.name.as_str()).collect();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for index in graph.indices() {
        let node = &graph.nodes[index];
        let tally = tallies.entry(&node.declared).or_default();
        tally.all += 1;
        let runs = opened.plan.reason(index).runs();
        tally.finished += usize::from(!runs);
        tally.failed += usize::from(runs && failed.contains(&node.key.hex()));
        for axis in axes(&node.name) {
            if !tally.axes.iter().any(|known| known == axis) {
                tally.axes.push(axis.to_owned());
            }
        }
    }
    // What waits for a choice is drawn, too.
    let pending = || graph.selections.iter().flat_map(|selection| &selection.pending);
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    for pending in pending() {
        tallies.entry(&pending.declared).or_default();
        *waiting.entry(&pending.declared).or_default() += pending.most;
    }
    let drawn: Vec<&str> = names.into_iter().filter(|name| tallies.contains_key(name)).collect();
    let place: BTreeMap<&str, usize> =
        drawn.iter().enumerate().map(|(i, name)| (*name, i)).collect();
    let mut arrows: BTreeSet<(usize, usize, &str)> = graph
        .nodes
        .edge_references()
        .filter_map(|edge| {
            let of = |index: NodeIndex| place.get(graph.nodes[index].declared.as_ref()).copied();
            Some((of(edge.source())?, of(edge.target())?, *edge.weight()))
        })
        .collect();
    for pending in pending() {
        let arrow = |(read, role): &(String, &'static str)| {
            Some((*place.get(read.as_str())?, *place.get(&*pending.declared)?, *role))
        };
        arrows.extend(pending.reads.iter().filter_map(arrow));
    }
    let boxes = drawn.iter().filter_map(|name| {
        let kind = opened.spec.node(name)?.kind;
        let most = waiting.get(name).copied().unwrap_or(0);
        Some(folded_box(name, kind, &tallies[name], most))
    });
    Dag {
        boxes: boxes.collect(),
        arrows: arrows
            .into_iter()
            .map(|(from, to, role)| DagArrow { from, to, role: role.to_owned() })
            .collect(),
    }
}

/// The box of a declaration; so many more nodes at most wait for a choice.
fn folded_box(name: &str, kind: Kind, tally: &Tally, waiting: usize) -> DagBox {
    let axes = match tally.axes.is_empty() {
        true => String::new(),
        false => format!(" · {}", tally.axes.join(", ")),
    };
    let mut count = format!("{}/{}", grouped(tally.finished as u64), grouped(tally.all as u64));
    let mut told: Vec<String> =
        Some(tally.sentence()).filter(|text| !text.is_empty()).into_iter().collect();
    if waiting > 0 {
        count += "+";
        told.push(format!("up to {} once chosen", grouped(waiting as u64)));
    }
    DagBox {
        name: name.to_owned(),
        count,
        captions: vec![format!("{}{axes}", kind.word()), told.join(", ")],
        family: family(kind),
        state: if waiting > 0 && tally.all == 0 { DagState::ToRun } else { tally.state() },
    }
}

/// The axes in a readable name: `schedule` and `seed` of `net[schedule=cosine,seed=1]`.
fn axes(name: &str) -> impl Iterator<Item = &str> {
    let label = name.split_once('[').map_or("", |(_, rest)| rest.trim_end_matches(']'));
    label.split(',').filter_map(|part| part.split_once('=').map(|(axis, _)| axis))
}

/// A box for each node.
fn unfolded(opened: &Opened, failed: &BTreeSet<String>) -> Result<Dag> {
    let graph = &opened.graph;
    let count = graph.nodes.node_count();
    if count > MOST {
        let problem = Problem::new(format!("a graph of {} cannot be read", plural(count, "node")));
        return Err(
            problem.help(format!("--all draws at most {MOST}; without it, names are drawn"))
        );
    }
    let one = |index: NodeIndex| {
        let node = &graph.nodes[index];
        let runs = opened.plan.reason(index).runs();
        let tally = Tally {
            finished: usize::from(!runs),
            failed: usize::from(runs && failed.contains(&node.key.hex())),
            all: 1,
            axes: vec![],
        };
        let label = node.name.strip_prefix(&*node.declared).unwrap_or_default();
        let label = label.trim_start_matches('[').trim_end_matches(']').replace(',', ", ");
        DagBox {
            name: node.declared.to_string(),
            count: String::new(),
            captions: vec![if label.is_empty() { node.kind().word().to_owned() } else { label }],
            family: family(node.kind()),
            state: tally.state(),
        }
    };
    let arrows = graph.nodes.edge_references().map(|edge| DagArrow {
        from: edge.source().index(),
        to: edge.target().index(),
        role: (*edge.weight()).to_owned(),
    });
    Ok(Dag { boxes: graph.indices().map(one).collect(), arrows: arrows.collect() })
}
