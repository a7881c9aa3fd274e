//! What a run leaves when everything was finished: all that its answer depended on. As long as none of
//! that has changed there is nothing to do, and the answer is the same, which takes one listing of
//! `nodes/` to know instead of a graph. `why` asks it too: what is finished is told without a graph.

use crate::files::{read_json, write_aside};
use crate::graph::{self, Graph, Node};
use crate::key::Key;
use crate::parts;
use crate::problem::Problems;
use crate::record::Record;
use crate::selection;
use crate::settings::Settings;
use crate::spec::{FigureSpec, Merged, Spec};
use crate::store::Results;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file, in the experiment's folder.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settled {
    /// This program, the working directory, and the texts of the spec and its fragments.
    asked: String,
    /// The digest of the experiment's rows.
    rows: String,
    /// External files and outputs, each with its state.
    files: Vec<(PathBuf, State)>,
    /// The nodes, a line each: folder, key, name in the spec and readable name.
    nodes: String,
    /// What the author of the spec should know.
    notices: Vec<String>,
    /// What was told.
    answer: String,
}

/// What a run with nothing to do tells.
pub(super) struct Answer {
    pub(super) text: String,
    /// What the author of the spec should know.
    pub(super) notices: Vec<String>,
    /// The finished nodes, a line each.
    nodes: String,
}

/// A finished node.
pub(super) struct Finished<'a> {
    pub(super) folder: &'a str,
    pub(super) key: Key,
    pub(super) declared: &'a str,
    pub(super) name: &'a str,
}

impl<'a> Finished<'a> {
    /// The line of a node.
    fn line(node: &Node) -> String {
        [&node.folder(), &node.key.hex(), &*node.declared, &node.name].join("\t")
    }

    fn parse(line: &'a str) -> Option<Self> {
        let mut cells = line.split('\t');
        let mut next = || cells.next();
        let (folder, key, declared, name) = (next()?, Key::from_hex(next()?)?, next()?, next()?);
        Some(Self { folder, key, declared, name })
    }
}

impl Answer {
    /// How many nodes are finished.
    pub(super) fn count(&self) -> usize {
        self.nodes.lines().count()
    }

    /// The nodes that a name stands for, as [`Graph::find`] has it.
    pub(super) fn find(&self, name: &str) -> Vec<Finished<'_>> {
        let all = || self.nodes.lines().filter_map(Finished::parse);
        let exact: Vec<Finished<'_>> = all().filter(|node| node.name == name).collect();
        if !exact.is_empty() {
            return exact;
        }
        let is = |node: &Finished<'_>| {
            graph::is_called(name, (node.declared, node.folder, &node.key.hex()))
        };
        all().filter(is).collect()
    }
}

/// Size and time of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State(u64, i64, i64);

fn state_of(path: &Path) -> Option<State> {
    let meta = std::fs::metadata(path).ok()?;
    Some(State(meta.len(), meta.mtime(), meta.mtime_nsec()))
}

/// The file of an experiment.
fn path_of(results: &Path, name: &str) -> PathBuf {
    results.join(name).join(".settled")
}

/// All that an answer depends on beside results; `None` if it cannot be known.
fn asked(spec: &Path, profile: Option<&str>) -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let State(bytes, seconds, nanoseconds) = state_of(&program)?;
    let here = std::env::current_dir().ok()?;
    let mut problems = Problems::default();
    let merged = Merged::read(spec, profile, &mut problems)?;
    let mut hasher = blake3::Hasher::new();
    let spec = spec.canonicalize().ok()?;
    let words = format!("{bytes} {seconds} {nanoseconds} {here:?} {spec:?} {profile:?}");
    hasher.update(words.as_bytes());
    for text in merged.texts() {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    problems.0.is_empty().then(|| hasher.finalize().to_hex().to_string())
}

impl Settled {
    /// Notes that every node of a graph is finished, and what was told of it.
    pub(super) fn write(
        spec: &Spec,
        profile: Option<&str>,
        graph: &Graph,
        results: &Results,
        record: &Record,
        answer: &str,
    ) -> Option<()> {
        let experiments = record.experiments().ok()?;
        let rows = experiments.into_iter().find(|known| known.name == spec.name)?.digest;
        let folder = results.experiment(&spec.name);
        let mut files = vec![];
        for part in ["figures", "tables"] {
            let entries = std::fs::read_dir(folder.join(part)).into_iter().flatten().flatten();
            files.extend(entries.map(|entry| entry.path()));
        }
        let records = graph
            .selections
            .iter()
            .map(|selection| selection::path_of(&results.root.join("nodes"), &selection.id.hex()));
        files.extend(records);
        for node in graph.nodes.node_weights() {
            if !matches!(*node.settings, Settings::Sample(_) | Settings::Evaluate(_)) {
                let mut settings = (*node.settings).clone();
                for (_, file) in settings.files() {
                    match file.path.is_dir() {
                        true => files.append(&mut parts::everything(&file.path).ok()?),
                        false => files.push(file.path.clone()),
                    }
                }
            }
        }
        files.extend(spec.figures.iter().filter_map(|(_, figure)| match figure {
            FigureSpec::Forward(asked) => asked.image_file(&spec.file),
            _ => None,
        }));
        let files = files.into_iter().map(|path| Some((path.clone(), state_of(&path)?)));
        let nodes: Vec<String> = graph.nodes.node_weights().map(Finished::line).collect();
        let settled = Self {
            asked: asked(&spec.file, profile)?,
            rows,
            files: files.collect::<Option<_>>()?,
            nodes: nodes.join("\n"),
            notices: graph.notices.iter().map(ToString::to_string).collect(),
            answer: answer.to_owned(),
        };
        let text = serde_json::to_string(&settled).ok()?;
        // Without it the next run only takes longer.
        write_aside(&path_of(&results.root, &spec.name), text.as_bytes()).ok()
    }

    /// What was told when everything was finished, if nothing has changed since.
    pub(super) fn answer(spec: &Path, profile: Option<&str>, root: &Path) -> Option<Answer> {
        let name = Spec::name_of(spec, profile);
        let settled: Self = read_json(&path_of(root, &name)).ok()??;
        let same = |(path, state): &(PathBuf, State)| state_of(path).as_ref() == Some(state);
        if !settled.files.iter().all(same) || asked(spec, profile)? != settled.asked {
            return None;
        }
        let results = Results { root: root.to_owned() };
        if results.distrusted().exists() {
            return None;
        }
        let listing = results.list().ok()?;
        let is_whole = |line: &str| {
            let folder = line.split('\t').next().unwrap_or_default();
            listing.finished.contains(folder) && !listing.cleaned.contains(folder)
        };
        if !settled.nodes.lines().all(is_whole) {
            return None;
        }
        let record = Record::open_to_read(&results.database()).ok()??;
        let known = record.experiments().ok()?.into_iter().find(|known| known.name == name)?;
        let rows = known.digest == settled.rows
            && record.count().ok()? == listing.finished.len()
            && record.noted_damage().ok()?.is_empty();
        let Self { answer: text, nodes, notices, .. } = settled;
        rows.then_some(Answer { text, nodes, notices })
    }
}
