//! YAML → [`Spec`]: the nodes, variables, sweeps, figures and tables of one file and its fragments,
//! with the way from each value back to its line. Node bodies stay untyped here, since sweeps change
//! them; [`crate::expand`] reads them as settings at every point.

mod axis;
mod merge;
mod outputs;
mod rows;
mod sweep;
mod text;

pub use axis::{Axis, Placed, Values};
pub use merge::{Merged, resolved, shape_below};
pub use outputs::{
    At, Axes, CurveSpec, FigureSpec, ForwardSpec, GraphSpec, GridSpec, HeatmapSpec, HistogramSpec,
    LatexSpec, PointsSpec, Scale, ScatterSpec, SeedsSpec, Shown, SpectrumSpec, SpreadSpec,
    TableSpec, TrainingSpec, TrajectorySpec, Versus,
};
pub use sweep::{Expression, Filter, Operator, Part, Seeds, Sweep, Variation};

use crate::problem::{Problem, Problems};
use crate::settings::table::table;
use crate::settings::{Cadence, Found, Kind, Reader, Setting, Shape, Step, keys};
use crate::words;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One spec, read and checked as far as that goes without expanding it.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The experiment's name: the file's name without its ending.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// The question that the experiment answers.
    pub question: String,
    /// The baseline values of the variables.
    pub vars: Map<String, Value>,
    /// The nodes, an evaluate node once for each of its measures.
    pub nodes: Vec<Declaration>,
    /// The sweeps.
    pub sweeps: Vec<Sweep>,
    /// The figures, by name.
    pub figures: Vec<(String, FigureSpec)>,
    /// The tables, by name.
    pub tables: Vec<(String, TableSpec)>,
    /// What axes, their values and metrics are called in figures and tables.
    pub labels: BTreeMap<String, String>,
    /// Everything as merged, for places.
    pub merged: Merged,
}

/// A node as declared.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its name, such as `net` or `score.power_spectrum`.
    pub name: String,
    /// The key under `nodes:`.
    pub written: String,
    /// Its kind.
    pub kind: Kind,
    /// Its settings as written, variables still in place.
    pub body: Value,
    /// Where values of the body stand that are not at the same place below `path`.
    pub moved: Vec<(Vec<Step>, Vec<Step>)>,
    /// Where the body stands in the merged spec.
    pub path: Vec<Step>,
    /// How to run it.
    pub run: Arc<RunSettings>,
}

table! {
    /// How a node runs; never part of its identity.
    pub struct RunSettings {
        #[doc = "Seconds between two checkpoints of a training, such as `2m`."]
        checkpoint: Option<Duration>;
        #[doc = "Steps, or `1 epoch`, at which a training's checkpoint is kept for ever, so that these lengths can be published later without training again."]
        keep_every: Option<Cadence> [1.0..=1e9];
        #[doc = "Steps, or `1 epoch`, after which a training draws a few samples to look at."]
        preview: Option<Cadence> [1.0..=1e9];
        #[doc = "For how long its worker may say nothing before it is killed and the node tried again; 30m unless written."]
        silence: Option<Duration>;
        #[doc = "The share of a GPU that it takes: several nodes with shares share one. By what equal nodes took of the memory, unless written; without GPUs it means nothing."]
        gpus: Option<f64> [0.1..=1.0];
        #[doc = "GPU memory that it takes at most, such as `20GB`; by what equal nodes took, unless written."]
        memory: Option<Bytes>;
        #[doc = "Whether it gets a job of its own on a cluster; if it is expected to take over half of the time of a pilot's job, unless written."]
        own_job: Option<bool>;
        #[doc = "Whether kernels on a GPU give the same bits each time; yes unless written. `false` takes the fastest instead; on a CPU they always do."]
        deterministic: Option<bool>;
    }
}

impl RunSettings {
    /// Nothing written.
    fn empty() -> Self {
        let (checkpoint, keep_every, preview) = (None, None, None);
        let (silence, gpus, memory, own_job) = (None, None, None, None);
        let deterministic = None;
        Self { checkpoint, keep_every, preview, silence, gpus, memory, own_job, deterministic }
    }
}

/// A span in seconds, read from `2m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duration(pub f64);

impl Setting for Duration {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let written = found.shown();
        words::seconds(&written).map(Self).or_else(|| {
            let problem = Problem::new(format!("`{written}` is not a duration"));
            reader.wrong(found, problem.help("write it as 30s, 2m or 12h"))
        })
    }
    fn write(&self, _: crate::settings::Identity) -> Value {
        json!(self.0)
    }
    fn shape() -> Shape {
        Shape::Scalar("duration")
    }
}

/// A number of bytes, read from `20GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Setting for Bytes {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let written = found.shown();
        words::bytes_of(&written).map(Self).or_else(|| {
            let problem = Problem::new(format!("`{written}` is no amount of memory"));
            reader.wrong(found, problem.help("write it as 20GB or 512MB"))
        })
    }
    fn write(&self, _: crate::settings::Identity) -> Value {
        json!(self.0)
    }
    fn shape() -> Shape {
        Shape::Scalar("bytes")
    }
}

/// The variable that `seeds` replaces unless `over` names others.
pub const SEED: &str = "seed";

/// Names of folders in results/ that are not experiments.
const TAKEN: [&str; 4] = ["nodes", "work", "workers", "pilots"];

const PARTS: [&str; 7] = ["question", "vars", "nodes", "sweeps", "figures", "tables", "labels"];

/// Reads a YAML file that is no spec as a plain value, with the limits of specs; what is wrong lands in `problems`.
pub fn plain(file: &Path, problems: &mut Problems) -> Option<Value> {
    match text::Document::read(file, None) {
        Ok(document) => document.parse(problems),
        Err(problem) => {
            problems.0.push(problem);
            None
        }
    }
}

impl Spec {
    /// Reads a spec and its fragments, with a profile above them if one is chosen, as they are now or at a
    /// revision of git. What is wrong lands in `problems`, and the rest is read on, so
    /// that everything can be told at once; `None` if there is nothing to go on with.
    pub fn read(
        file: &Path,
        profile: Option<&str>,
        revision: Option<&str>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let merged = Merged::read_at(file, profile, revision, problems)?;
        let mut reader = Reader::default();
        let mut spec = Self::from_merged(file, &merged, &mut reader);
        if let Some(profile) = profile {
            // Its outputs stand beside those of the whole.
            spec.name = Self::name_of(file, Some(profile));
        }
        problems.0.append(&mut spec.located(reader).0);
        Some(spec)
    }

    /// The name of the experiment of a file: the file's name without its ending, and the profile's.
    pub fn name_of(file: &Path, profile: Option<&str>) -> String {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        profile.map_or_else(|| stem.clone().into_owned(), |profile| format!("{stem}-{profile}"))
    }

    fn from_merged(file: &Path, merged: &Merged, reader: &mut Reader) -> Self {
        let root = Found::root(&merged.value);
        // Of what is no map nothing is missing.
        let mut ignored = Reader::default();
        let reader = match merged.value.is_object() || merged.value.is_null() {
            true => reader,
            false => {
                let problem = Problem::new("a spec is a map").help("begin it with `question: …`");
                reader.wrong::<()>(&root, problem);
                &mut ignored
            }
        };
        crate::settings::table::refuse_unknown(&root, &PARTS, reader);
        let name = Self::name_of(file, None);
        if TAKEN.contains(&name.as_str()) {
            let problem = Problem::new(format!("a spec cannot be called `{name}`"));
            reader.wrong::<()>(
                &root,
                problem.help("results/ has a folder of that name; rename the file"),
            );
        }
        let question = root.key("question").and_then(|found| String::read(&found, reader));
        if question.is_none() && reader.is_clean() {
            let problem = Problem::new("`question` is missing")
                .help("say in one sentence what the experiment asks");
            reader.wrong::<()>(&root, problem);
        }
        let vars = root.key("vars").and_then(|found| match found.value.as_object() {
            Some(map) => Some(map.clone()),
            None => reader.wrong(&found, Problem::new("`vars` is not a map of variables")),
        });
        Self {
            name,
            file: file.to_owned(),
            question: question.unwrap_or_default(),
            vars: vars.unwrap_or_default(),
            nodes: read_nodes(&root, reader),
            sweeps: root.key("sweeps").map(|found| sweep::read(&found, reader)).unwrap_or_default(),
            figures: read_named(&root, "figures", reader),
            tables: read_named(&root, "tables", reader),
            labels: read_named(&root, "labels", reader).into_iter().collect(),
            merged: merged.clone(),
        }
    }

    /// The declaration with this name.
    pub fn node(&self, name: &str) -> Option<&Declaration> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The declarations that a written name stands for: a node, or all measures of an evaluate node.
    pub fn declared<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Declaration> {
        self.nodes.iter().filter(move |node| node.name == name || node.written == name)
    }

    /// Splits `node.rest` at the longest declared node name.
    pub fn split_path<'p>(&self, path: &'p str) -> Option<(&Declaration, &'p str)> {
        let rest_of = |name: &str| match path.strip_prefix(name) {
            Some("") => Some(""),
            Some(rest) => rest.strip_prefix('.'),
            None => None,
        };
        let exact = self.nodes.iter().filter_map(|node| Some((node, rest_of(&node.name)?)));
        let longest = exact.max_by_key(|(node, _)| node.name.len());
        longest.or_else(|| self.nodes.iter().find_map(|node| Some((node, rest_of(&node.written)?))))
    }

    /// Problems with the places of their paths filled in.
    pub fn located(&self, reader: Reader) -> Problems {
        reader.into_problems(Some(&|path| self.merged.place(path)))
    }
}

fn read_named<T: Setting>(
    root: &Found<'_>,
    part: &'static str,
    reader: &mut Reader,
) -> Vec<(String, T)> {
    let Some(found) = root.key(part) else { return vec![] };
    let Some(map) = found.value.as_object() else {
        reader.wrong::<()>(&found, Problem::new(format!("`{part}` is not a map")));
        return vec![];
    };
    map.keys()
        .filter_map(|name| Some((name.clone(), T::read(&found.key(name)?, reader)?)))
        .collect()
}

fn read_nodes(root: &Found<'_>, reader: &mut Reader) -> Vec<Declaration> {
    let Some(found) = root.key("nodes") else {
        let problem =
            Problem::new("`nodes` is missing").help("add `nodes: { maps: { dataset: … } }`");
        reader.wrong::<()>(root, problem);
        return vec![];
    };
    let Some(map) = found.value.as_object() else {
        reader.wrong::<()>(&found, Problem::new("`nodes` is not a map of nodes"));
        return vec![];
    };
    map.keys().filter_map(|name| read_node(name, &found, reader)).flatten().collect()
}

fn read_node(name: &str, nodes: &Found<'_>, reader: &mut Reader) -> Option<Vec<Declaration>> {
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        let problem = Problem::new(format!("`{name}` cannot name a node"));
        reader.wrong_key(nodes, name, problem.help("use letters, digits and `_`"));
    }
    let found = nodes.key(name)?;
    let Some(map) = found.value.as_object() else {
        let problem = Problem::new(format!("the node `{name}` is not a map"));
        return reader.wrong(&found, problem.help("for example { train: { … } }"));
    };
    let mut known: Vec<&'static str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
    let written: Vec<&str> = known.iter().copied().filter(|word| map.contains_key(*word)).collect();
    let help = format!("give it one of {}", words::alternatives(&known));
    known.push("run");
    crate::settings::table::refuse_unknown(&found, &known, reader);
    let [kind] = written.as_slice() else {
        let stray = map.keys().any(|key| !known.contains(&key.as_str()));
        return if stray && written.is_empty() {
            None
        } else {
            reader.wrong(
                &found,
                Problem::new(format!("the node `{name}` has {} kinds", written.len())).help(help),
            )
        };
    };
    let run = match found.key("run") {
        Some(run) => RunSettings::read(&run, reader)?,
        None => RunSettings::empty(),
    };
    let body = found.key(kind)?;
    let declaration = Declaration {
        name: name.to_owned(),
        written: name.to_owned(),
        kind: Kind::from_word(kind)?,
        body: body.value.clone(),
        moved: vec![],
        path: body.path.clone(),
        run: Arc::new(run),
    };
    if declaration.kind == Kind::Evaluate {
        split_measures(declaration, &body, reader)
    } else {
        Some(vec![declaration])
    }
}

/// An evaluate node with `measures` becomes a node for each of them.
fn split_measures(
    node: Declaration,
    found: &Found<'_>,
    reader: &mut Reader,
) -> Option<Vec<Declaration>> {
    let Some(measures) = found.key("measures") else {
        let problem =
            Problem::new("`measures` is missing").help("for example `measures: [power_spectrum]`");
        return reader.wrong(found, problem);
    };
    let mut written: Vec<(String, Found<'_>)> = Vec::new();
    match (measures.items(), measures.value.as_object()) {
        (Some(items), _) => {
            for item in items {
                let word = item.value.as_object().and_then(|map| map.keys().next().cloned());
                written.push((word.unwrap_or_else(|| item.shown()), item));
            }
        }
        (None, Some(map)) => {
            written.extend(map.keys().filter_map(|name| Some((name.clone(), measures.key(name)?))))
        }
        (None, None) => {
            return reader.wrong(&measures, Problem::new("`measures` is neither a list nor a map"));
        }
    }
    if written.is_empty() {
        return reader.wrong(
            &measures,
            Problem::new("no measure is given").help("for example [power_spectrum]"),
        );
    }
    let mut out: Vec<Declaration> = Vec::new();
    for (name, measure) in written {
        let full = format!("{}.{name}", node.name);
        if out.iter().any(|other| other.name == full) {
            let problem = Problem::new(format!("the measure `{name}` stands twice"));
            reader.wrong::<()>(&measure, problem.help("name them: { a: { … }, b: { … } }"));
            continue;
        }
        let mut body = node.body.as_object().cloned().unwrap_or_default();
        body.shift_remove("measures");
        body.insert("measure".to_owned(), measure.value.clone());
        let moved = vec![(keys(&["measure"]), measure.path.clone())];
        out.push(Declaration { name: full, body: Value::Object(body), moved, ..node.clone() });
    }
    Some(out)
}
