//! The contract with the worker: a [`Job`] file in, [`Event`]s as JSON lines out, files in the work
//! folder, a last event that says how it ended. Both programs use these types and nothing else of
//! each other; they know neither databases nor graphs.
//!
//! A warm worker reads one job-file path a line on its standard input and writes events on its
//! standard output. The line `stop` asks it to save what it has and end the job with
//! [`Event::Stopped`]; a closed input asks the same and then ends the worker. With a job file as
//! its argument it runs that job alone and its exit code says the rest: 0 done, 75 stopped and
//! resumable, else failed.

mod serve;

use crate::failure::FailureClass;
use crate::problem::{Problem, Result};
use crate::settings::{Cadence, Kind, Settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use serve::{End, Work, alone, emit, serve};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Exit code of a worker, and of `ablate`, that stopped early and can go on.
pub const EXIT_STOPPED: i32 = 75;

/// All that a worker is told about one attempt at one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Name for people, such as `net[schedule=cosine,seed=1]`.
    pub name: String,
    /// The node's key, in hex.
    pub key: String,
    /// The kind of node.
    pub kind: Kind,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Every setting, as [`Settings::full`] writes it.
    pub settings: Value,
    /// By role (`data`, `from`, `samples`, `reference`, `conditions`, `classifier`, `init`): where that input was published.
    pub inputs: BTreeMap<String, Input>,
    /// The folder to write artefacts into; it may hold what an earlier attempt left.
    pub work: PathBuf,
    /// For train nodes: the folder of the trajectory, with its checkpoints.
    pub trajectory: Option<PathBuf>,
    /// Seconds between two checkpoints of a training.
    pub checkpoint_seconds: f64,
    /// At which steps the checkpoint of a training is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_every: Option<Cadence>,
    /// After which steps a training draws samples to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Cadence>,
    /// `cpu`, `cuda:0`, `mps`.
    pub device: String,
    /// Threads within one tensor operation.
    pub threads: u32,
    /// Whether kernels on a GPU are to give the same bits each time, rather than be the fastest.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub deterministic: bool,
}

fn yes() -> bool {
    true
}

fn is_yes(yes: &bool) -> bool {
    *yes
}

/// One attempt at a node, by which others name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticket {
    /// The node's key, in hex.
    pub key: String,
    /// The attempt.
    pub attempt: u32,
    /// The coordinator that gave it: one that was killed may not have written down which attempt this was.
    pub by: String,
}

/// A published node that a job reads from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its folder in `nodes/`, absolute.
    pub folder: PathBuf,
    /// The port: a split of a dataset, or `out`.
    pub port: String,
    /// Where the external array of a dataset lies now, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
}

impl Job {
    /// Reads a job file.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a job.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Problem::os("read the job", path, &e))?;
        serde_json::from_str(&text)
            .map_err(|e| Problem::system(format!("{} is not a job: {e}", path.display())))
    }

    /// The settings, read and checked again.
    ///
    /// # Errors
    /// If another version wrote the job.
    pub fn settings(&self) -> Result<Settings> {
        Settings::from_full(self.kind, &self.settings).map_err(|problems| {
            Problem::system(format!("the job does not fit this worker: {problems}"))
        })
    }
}

/// What the last bits of a result depend on beside the settings. Equal arithmetic gives equal bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Arithmetic {
    /// The model of the device, such as `NVIDIA H200` or the processor's name.
    pub device: String,
    /// Threads within one tensor operation.
    pub threads: u32,
    /// Version of libtorch.
    pub libtorch: String,
    /// Whether only deterministic kernels were allowed.
    pub deterministic: bool,
}

impl std::fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let threads = crate::words::plural(self.threads as usize, "thread");
        let exact = if self.deterministic { "deterministic" } else { "not deterministic" };
        write!(f, "{}, {threads}, libtorch {}, {exact}", self.device, self.libtorch)
    }
}

impl Arithmetic {
    /// All that the bits of one result depend on, in words.
    pub fn words(all: &[Self]) -> String {
        match all {
            [] => "something unknown".to_owned(),
            all => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then "),
        }
    }
}

/// One line from a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The worker is up and waits for jobs.
    Hello {
        /// Version of the worker.
        version: String,
        /// Version of libtorch.
        libtorch: String,
    },
    /// The job was read and begins, at `step` if it goes on from a checkpoint.
    Started {
        /// Steps (or samples) that need not be done again.
        step: u64,
        /// Steps (or samples) in all.
        total: u64,
        /// What the bits depend on from here.
        arithmetic: Arithmetic,
    },
    /// It goes on: at most a few a second.
    Progress {
        /// Steps (or samples) done.
        step: u64,
        /// Steps (or samples) in all.
        total: u64,
        /// Mean training loss since the last such event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loss: Option<f64>,
    },
    /// All up to `step` is on disk.
    Checkpoint {
        /// Steps (or samples) saved.
        step: u64,
    },
    /// Something a person should know.
    Note {
        /// A sentence.
        text: String,
    },
    /// The artefacts, `metrics.json`, `series.json` and `costs.json` are in the work folder.
    Done,
    /// It stopped as asked, with all up to `step` on disk.
    Stopped {
        /// Steps (or samples) saved.
        step: u64,
    },
    /// The coordinator writes this among a node's events when it tries no more.
    GivenUp {
        /// Why, in one sentence.
        message: String,
    },
    /// It cannot go on.
    Failed {
        /// The class of the failure, which decides whether to try again.
        class: FailureClass,
        /// What happened, in one sentence.
        message: String,
    },
}

/// `metrics.json`: the reproducible numbers of a node, by name.
pub type Metrics = BTreeMap<String, Metric>;

/// One number and what it means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The number; NaN and infinity are written as null.
    #[serde(deserialize_with = "null_as_nan")]
    pub value: f64,
    /// Its unit, empty for pure numbers.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Small values.
    Lower,
    /// Large values.
    Higher,
    /// Neither: it only describes.
    Neither,
}

impl Better {
    /// The word for whether small values are better.
    pub fn of(smaller: Option<bool>) -> Self {
        match smaller {
            Some(true) => Self::Lower,
            Some(false) => Self::Higher,
            None => Self::Neither,
        }
    }
}

/// `series.json`: curves by name (`loss`, `validation_loss`, `power_spectrum`, …).
pub type SeriesFile = BTreeMap<String, Series>;

/// A curve: columns of equal length; `columns["x"]` is the axis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Unit of x.
    pub x_unit: String,
    /// Unit of the other columns.
    pub y_unit: String,
    /// `x`, `mean`, `low`, `high`, `modes`, `reference_mean`, …; NaN is written as null.
    #[serde(with = "columns")]
    pub columns: BTreeMap<String, Vec<f64>>,
}

/// `costs.json`: what a node cost, summed over its attempts; never part of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Seconds of work in this attempt.
    pub seconds: f64,
    /// Steps (or samples) done in this attempt.
    pub steps: u64,
    /// Largest memory of the worker so far, in bytes.
    pub memory_bytes: u64,
    /// Seconds of this attempt in which a training waited for its data.
    #[serde(default, skip_serializing_if = "is_none")]
    pub waiting_seconds: f64,
}

fn is_none(seconds: &f64) -> bool {
    *seconds == 0.0
}

fn null_as_nan<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

mod columns {
    //! Columns of numbers in which null stands for NaN.
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(
        columns: &BTreeMap<String, Vec<f64>>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        columns.serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<BTreeMap<String, Vec<f64>>, D::Error> {
        let read = BTreeMap::<String, Vec<Option<f64>>>::deserialize(d)?;
        Ok(read
            .into_iter()
            .map(|(k, v)| (k, v.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect()))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_with_its_name() {
        let line = serde_json::to_string(&Event::Checkpoint { step: 7 }).unwrap();
        assert_eq!(line, r#"{"event":"checkpoint","step":7}"#);
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), Event::Checkpoint { step: 7 });
    }

    #[test]
    fn a_series_keeps_what_is_not_a_number() {
        let series = Series {
            columns: BTreeMap::from([("x".to_owned(), vec![1.0, f64::NAN])]),
            ..Series::default()
        };
        let text = serde_json::to_string(&series).unwrap();
        assert!(text.contains("[1.0,null]"), "{text}");
        let back: Series = serde_json::from_str(&text).unwrap();
        assert!(back.columns["x"][1].is_nan());
    }
}
