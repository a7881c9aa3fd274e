//! Questions of the page → JSON, SVG and PNG.

use super::desk::{Book, Desk, State};
use crate::draw::{States, Told, folded};
use crate::figure::Metadata;
use crate::files;
use crate::graph::Node;
use crate::job::{Event, Metric, Series};
use crate::key::explain;
use crate::problem::{Problem, Problems, Result};
use crate::report;
use crate::store::Results;
use axum::body::Bytes;
use petgraph::graph::NodeIndex;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is sent back.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Its media type.
    pub(super) kind: &'static str,
    /// Its bytes.
    pub(super) body: Bytes,
    /// Whether it is true until something is published: what running nodes tell is not.
    pub(super) lasts: bool,
}

/// Names and values behind the `?` of an address.
#[derive(Debug, Default)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    fn all(&self, name: &str) -> Vec<String> {
        let those = self.0.iter().filter(|(known, value)| known == name && !value.is_empty());
        those.map(|(_, value)| value.clone()).collect()
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }
}

/// Attempts that the lanes of a run show.
const LANES: usize = 3000;

/// Nodes that are compared at most.
const COMPARED: usize = 16;

/// Samples of a node that are shown at most.
const SAMPLES: usize = 32;

/// Nodes whose samples decide the colours.
const JUDGED: usize = 64;

fn json(value: &impl Serialize) -> Result<Answer> {
    let body = serde_json::to_vec(value)
        .map_err(|e| Problem::system(format!("an answer cannot be written: {e}")))?;
    Ok(Answer { kind: "application/json", body: body.into(), lasts: true })
}

impl Desk {
    /// The answer to a question; `None` if there is nothing at that address.
    ///
    /// # Errors
    /// If the question names what is not there, or something cannot be read.
    pub(super) fn answer(&self, path: &[&str], query: &Query) -> Result<Option<Answer>, Problems> {
        let [experiment, rest @ ..] = path else { return Ok(None) };
        if rest.is_empty() && *experiment == "experiments" {
            return Ok(Some(self.experiments()?));
        }
        let Some(entry) = self.entry(experiment) else { return Ok(None) };
        let book = match &entry.book {
            Ok(book) => book,
            Err(sentence) => return Err(Problem::new(sentence.clone()).into()),
        };
        let studio = self.studio(book);
        Ok(Some(match rest {
            ["nodes"] => self.nodes(book)?,
            ["run"] => self.run(book)?,
            ["offers"] => json(&studio.offers()?)?,
            ["results"] => self.results(book, query)?,
            ["figures"] => self.figures(book)?,
            ["lines"] => self.lines(book, query)?,
            ["samples"] => self.samples(book, query)?,
            ["strip", key] => match self.strip(book, key, query)? {
                Some(body) => Answer { kind: "image/png", body: body.into(), lasts: true },
                None => return Ok(None),
            },
            ["graph"] => self.graph(book)?,
            ["node", key] => self.node(book, key)?,
            ["compare"] => self.compare(book, query)?,
            _ => return Ok(None),
        }))
    }

    fn experiments(&self) -> Result<Answer> {
        let told = |entry: &super::desk::Entry| {
            let name = &entry.known.name;
            match &entry.book {
                Ok(book) => {
                    let counts: BTreeMap<&str, usize> =
                        book.counts().into_iter().map(|(state, n)| (state.word(), n)).collect();
                    let question = &book.spec.question;
                    let file = book.spec.file.display().to_string();
                    json!({ "name": name, "question": question, "counts": counts, "file": file })
                }
                Err(why) => json!({ "name": name, "why": why }),
            }
        };
        json(&self.entries.iter().map(told).collect::<Vec<_>>())
    }

    /// Every node in columns, so that many are few bytes.
    fn nodes(&self, book: &Book) -> Result<Answer> {
        let nodes = || book.graph.nodes.node_weights();
        json(&json!({
            "now": self.now,
            "names": nodes().map(|node| node.name.as_str()).collect::<Vec<_>>(),
            "declared": nodes().map(|node| &*node.declared).collect::<Vec<_>>(),
            "kinds": nodes().map(|node| node.kind().word()).collect::<Vec<_>>(),
            "keys": nodes().map(|node| node.key.short()).collect::<Vec<_>>(),
            "states": book.states.iter().map(|(state, _)| state.word()).collect::<Vec<_>>(),
            "seconds": book.seconds,
        }))
    }

    /// Failures, what it cost, and who worked where and when.
    fn run(&self, book: &Book) -> Result<Answer> {
        let studio = self.studio(book);
        let attempts = report::attempts(studio)?;
        let failed: Vec<NodeIndex> =
            book.graph.indices().filter(|i| book.state(*i) == State::Failed).collect();
        let (costs, cost) = report::costs(studio, &attempts);
        let newest = self.record.newest_attempts(&book.spec.name, LANES)?;
        let lanes = newest.iter().map(|attempt| {
            let short = attempt.node.get(..12).unwrap_or_default();
            let name = book.by_key.get(short).map_or(short, |i| &book.graph.nodes[*i].name);
            json!({
                "name": name, "key": short, "kind": attempt.kind.word(),
                "place": format!("{} {}", attempt.host, attempt.device),
                "started": attempt.started, "seconds": attempt.seconds, "outcome": attempt.outcome,
            })
        });
        let lanes: Vec<Value> = lanes.collect();
        json(&json!({
            "failures": report::alike(studio, &failed, &attempts),
            "costs": costs, "cost": cost, "lanes": lanes,
        }))
    }

    fn results(&self, book: &Book, query: &Query) -> Result<Answer, Problems> {
        let mut written = json!({ "columns": query.all("columns") });
        for name in ["sweep", "at", "versus", "spread", "latex"] {
            if let Some(value) = query.get(name) {
                written[name] = value.into();
            }
        }
        if !query.all("rows").is_empty() {
            written["rows"] = json!(query.all("rows"));
        }
        let reference = query.all("reference");
        let reference = Some(reference.as_slice()).filter(|words| !words.is_empty());
        Ok(json(&self.studio(book).pivot(&written, reference)?)?)
    }

    /// The figures of the spec, as they stand.
    fn figures(&self, book: &Book) -> Result<Answer> {
        let studio = self.studio(book);
        let text = |output: &crate::draw::Output, ending: &str| {
            let file = output.files.iter().find(|(known, _)| *known == ending);
            file.map(|(_, bytes)| report::inline(&String::from_utf8_lossy(bytes)))
        };
        let figures = studio.figures(None)?;
        let figures = figures.iter().map(|output| {
            json!({ "name": output.name, "svg": text(output, "svg"), "notes": output.warnings,
                    "partial": output.basis.partial() })
        });
        json(&figures.collect::<Vec<_>>())
    }

    fn lines(&self, book: &Book, query: &Query) -> Result<Answer> {
        let told: Told<'_> = &|node| told_so_far(&self.results, node);
        let of = (query.text("sweep"), query.text("node"));
        let series = (query.text("series"), query.text("column"));
        let lines = self.studio(book).lines(of, &query.all("by"), series, told)?;
        // A node that runs may tell its first number at any moment.
        let runs = |i: NodeIndex| {
            book.state(i) == State::Running && *book.graph.nodes[i].declared == *of.1
        };
        let lasts = !book.graph.indices().any(runs);
        Ok(Answer { lasts, ..json(&lines)? })
    }

    fn samples(&self, book: &Book, query: &Query) -> Result<Answer> {
        let studio = self.studio(book);
        let of = (query.text("sweep"), query.text("node"));
        let shelves = studio.shelves(of, query.get("step"), query.number("seed"))?;
        let shown = shelves.iter().filter(|shelf| shelf.is_there);
        let nodes: Vec<NodeIndex> =
            shown.filter_map(|shelf| book.by_key.get(&shelf.key).copied()).collect();
        // Of many nodes, some from everywhere.
        let judged: Vec<NodeIndex> =
            nodes.iter().step_by(nodes.len().div_ceil(JUDGED).max(1)).copied().collect();
        let first = shelves.first().and_then(|shelf| book.by_key.get(&shelf.key).copied());
        let truth = first.and_then(|index| book.graph.data_behind(index));
        let count = query.number("count").unwrap_or(8).min(SAMPLES);
        let (limits, label) = studio
            .shared_limits(&judged.iter().copied().chain(truth).collect::<Vec<_>>(), count)?;
        let truth = truth.filter(|index| studio.has_items(*index));
        let truth = truth.map(|index| book.graph.nodes[index].key.short());
        json(&json!({ "shelves": shelves, "limits": limits, "label": label, "truth": truth }))
    }

    fn strip(&self, book: &Book, key: &str, query: &Query) -> Result<Option<Vec<u8>>> {
        let count = query.number("count").unwrap_or(8).min(SAMPLES);
        let limit = |name, otherwise| query.number(name).unwrap_or(otherwise);
        let limits = (limit("low", 0.0), limit("high", 1.0));
        self.studio(book).strip(book.node(key)?, count, limits)
    }

    fn graph(&self, book: &Book) -> Result<Answer> {
        let is_finished = |index: NodeIndex| book.state(index) == State::Finished;
        let failed = book.graph.indices().filter(|i| book.state(*i) == State::Failed);
        let failed = failed.map(|i| book.graph.nodes[i].key.hex()).collect();
        let states = States { is_finished: &is_finished, failed };
        let meta = Metadata { title: book.spec.name.clone(), ..Metadata::default() };
        let svg = folded(&book.spec, &book.graph, &states).svg(&meta);
        Ok(Answer { kind: "image/svg+xml", body: report::inline(&svg).into(), lasts: true })
    }

    fn node(&self, book: &Book, key: &str) -> Result<Answer> {
        let index = book.node(key)?;
        let node = &book.graph.nodes[index];
        let attempts = self.record.attempts(&node.key)?;
        let state = book.state(index).word();
        let kin = report::kin(&book.graph, &node.declared);
        let details = report::details(self.studio(book), (index, state), &attempts, &kin)?;
        let link = |index: NodeIndex| {
            let node = &book.graph.nodes[index];
            json!({ "key": node.key.short(), "name": node.name, "state": book.state(index).word() })
        };
        let inputs: BTreeSet<NodeIndex> = book.graph.inputs(index).collect();
        let users: BTreeSet<NodeIndex> = book.graph.users(index).collect();
        json(&json!({
            "name": node.name, "kind": node.kind().word(), "key": node.key.hex(), "state": state,
            "folder": node.folder(), "details": details,
            "inputs": inputs.into_iter().map(link).collect::<Vec<_>>(),
            "users": users.into_iter().take(200).map(link).collect::<Vec<_>>(),
            "again": format!("ablate run {} --only '{}'", book.spec.file.display(), node.name),
        }))
    }

    /// What differs between nodes, and what came out of each.
    fn compare(&self, book: &Book, query: &Query) -> Result<Answer> {
        let keys = query.all("nodes");
        let nodes: Vec<&Node> = keys
            .iter()
            .take(COMPARED)
            .map(|key| Ok(&book.graph.nodes[book.node(key)?]))
            .collect::<Result<_>>()?;
        let mut settings: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        let mut metrics: BTreeMap<String, Vec<Option<Metric>>> = BTreeMap::new();
        for (i, node) in nodes.iter().enumerate() {
            let mut told = explain(&node.settings.full());
            let read = node.inputs.named();
            told.extend(
                read.into_iter().map(|(role, input)| (format!("reads {role}"), input.key.short())),
            );
            for (path, value) in told {
                settings.entry(path).or_insert_with(|| vec![None; nodes.len()])[i] = Some(value);
            }
            for (name, metric) in self.record.metrics(&node.key)? {
                metrics.entry(name).or_insert_with(|| vec![None; nodes.len()])[i] = Some(metric);
            }
        }
        let all = settings.len();
        settings.retain(|_, values| values.iter().any(|value| *value != values[0]));
        let head = |node: &&Node| json!({ "key": node.key.short(), "name": node.name, "kind": node.kind().word() });
        json(&json!({
            "nodes": nodes.iter().map(head).collect::<Vec<_>>(),
            "alike": all - settings.len(), "settings": settings, "metrics": metrics,
        }))
    }
}

/// The losses that a node which runs has told so far.
fn told_so_far(results: &Results, node: &Node) -> Option<Series> {
    const MOST: u64 = 4 << 20;
    let text = files::tail(&results.work(&node.folder()).join("events.jsonl"), MOST);
    let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in text.lines() {
        if let Ok(Event::Progress { step, loss: Some(loss), .. }) = serde_json::from_str(line) {
            columns.entry("x".to_owned()).or_default().push(step as f64);
            columns.entry("mean".to_owned()).or_default().push(loss);
        }
    }
    (!columns.is_empty()).then(|| Series {
        x_unit: "steps".to_owned(),
        columns,
        ..Series::default()
    })
}
