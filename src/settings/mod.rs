//! The vocabulary that both programs share: what a node can be told, its limits, defaults and
//! frozen neutral values, each setting written once. The same table reads a spec (all problems at
//! once), writes the canonical JSON that enters a key, reads it back in the worker, and lists the
//! settings for the docs. Nothing here knows YAML, files or keys.

mod command;
mod condition;
mod dataset;
mod evaluate;
mod fields;
mod file;
mod network;
mod objective;
mod reader;
mod reference;
mod sample;
pub mod schedule;
mod start;
pub(crate) mod table;
mod train;
mod values;

pub use command::{
    Call, Command, Direction, Environment, Needs, RESERVED, filled, role_word, spelled, variable_of,
};
pub use condition::{Conditions, Dropout, Items, Wanted};
pub use dataset::{
    CIFAR_SIDE, CamelsCmd, Cifar10, Colour, DIGIT_SIDE, Dataset, Geometry, GlyphDigits, Idx,
    IdxSet, ImageFolder, Known, Npy, Split, Transform,
};
pub use evaluate::{
    Accuracy, Assignment, Binning, Bispectrum, Covariance, CrossSpectrum, Evaluate, Features,
    MeanOf, Measure, Memorisation, Minkowski, OnePoint, Peaks, PowerSpectrum, Space,
};
pub use fields::{
    Cosmology, Design, GaussianFields, LogNormalFields, LptFields, LptOrder, ParticleMeshFields,
};
pub use file::{DataFile, DataFolder, Holding, beside};
pub use network::{Adm, Dit, DitSize, Lenet, Model, Padding, SimpleUnet, Standardisation, Unet};
pub use objective::{
    Classification, Ddpm, Edm, FlowMatching, Loss, Objective, Prediction, SIGNAL_LEFT, Schedule,
    TimeDirection,
};
pub use reader::{FindPlace, Found, Reader, Step, keys, show_path, variable};
pub use reference::{Best, Over, Reference};
pub use sample::{
    Ddim, DdpmSampler, FlowOde, Frames, Karras, KarrasMethod, Ode, Sample, Sampler, Spacing,
    Variance, Weights,
};
pub use start::{Augmentation, Init, InitFrom};
pub use table::{Field, Identity, Number, Setting, Shape};
pub use train::{
    AdamW, Decay, EarlyStopping, Length, Optimizer, Plateau, Precision, Train, Validation,
};

pub use values::{Cadence, Off};

use crate::problem::Problems;
use serde_json::Value;

/// The kinds of node.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Makes or reads data, split into train, validation and test.
    Dataset,
    /// Trains one network.
    Train,
    /// Draws samples from a trained network.
    Sample,
    /// Applies one measure to samples.
    Evaluate,
    /// Runs a program of the user's own.
    Command,
}

impl Kind {
    /// Every kind, in the order of the pipeline.
    pub const ALL: [Self; 5] =
        [Self::Dataset, Self::Train, Self::Sample, Self::Evaluate, Self::Command];

    /// The word in specs and folder names.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Train => "train",
            Self::Sample => "sample",
            Self::Evaluate => "evaluate",
            Self::Command => "command",
        }
    }

    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Raised by hand whenever the code behind a kind changes its results; part of every key.
    pub fn revision(self) -> u32 {
        match self {
            Self::Dataset | Self::Train | Self::Sample | Self::Command => 1,
            // Power spectra have more metrics, and their errors an uncertainty.
            Self::Evaluate => 2,
        }
    }

    /// The fields of a kind, for docs and schema.
    pub fn shape(self) -> Shape {
        match self {
            Self::Dataset => Dataset::shape(),
            Self::Train => Train::shape(),
            Self::Sample => Sample::shape(),
            Self::Evaluate => Evaluate::shape(),
            Self::Command => Command::shape(),
        }
    }
}

/// The settings of one node.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    /// See [`Dataset`].
    Dataset(Dataset),
    /// See [`Train`].
    Train(Train),
    /// See [`Sample`].
    Sample(Sample),
    /// See [`Evaluate`].
    Evaluate(Evaluate),
    /// See [`Command`].
    Command(Command),
}

impl Settings {
    /// Reads the settings of a `kind`; what is wrong lands in `reader`.
    pub fn read(kind: Kind, found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match kind {
            Kind::Dataset => Dataset::read(found, reader).map(Self::Dataset),
            Kind::Train => Train::read(found, reader).map(Self::Train),
            Kind::Sample => Sample::read(found, reader).map(Self::Sample),
            Kind::Evaluate => Evaluate::read(found, reader).map(Self::Evaluate),
            Kind::Command => Command::read(found, reader).map(Self::Command),
        }
    }

    /// Reads what [`Settings::full`] wrote.
    ///
    /// # Errors
    /// Every field that is missing, unknown or out of range.
    pub fn from_full(kind: Kind, json: &Value) -> Result<Self, Problems> {
        let mut reader = Reader::default();
        let read = Self::read(kind, &Found::root(json), &mut reader);
        reader.into_problems(None).or(())?;
        Ok(read.expect("a reader without problems has read everything"))
    }

    /// The kind of node these settings are for.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Dataset(_) => Kind::Dataset,
            Self::Train(_) => Kind::Train,
            Self::Sample(_) => Kind::Sample,
            Self::Evaluate(_) => Kind::Evaluate,
            Self::Command(_) => Kind::Command,
        }
    }

    /// Every setting with its value, defaults filled in.
    pub fn full(&self) -> Value {
        self.write(Identity::Full)
    }

    /// The settings that enter the key: semantic ones that differ from their neutral value.
    pub fn semantic(&self) -> Value {
        self.write(Identity::Semantic)
    }

    fn write(&self, identity: Identity) -> Value {
        match self {
            Self::Dataset(s) => s.write(identity),
            Self::Train(s) => s.write(identity),
            Self::Sample(s) => s.write(identity),
            Self::Evaluate(s) => s.write(identity),
            Self::Command(s) => s.write(identity),
        }
    }

    /// The names of the metrics that such a node publishes; empty where they depend on more than the settings.
    pub fn metrics(&self) -> Vec<&'static str> {
        match self {
            Self::Evaluate(s) => s.measure.metrics().to_vec(),
            Self::Command(s) => s.metrics(),
            _ => vec![],
        }
    }

    /// Whether the smaller value of a metric is the better one; `None` if it only describes.
    pub fn smaller_is_better(&self, metric: &str) -> Option<bool> {
        match self {
            Self::Evaluate(s) => s.measure.smaller_is_better(metric),
            Self::Train(_) => Train::smaller_is_better(metric),
            Self::Command(s) => s.smaller_is_better(metric),
            Self::Dataset(_) | Self::Sample(_) => None,
        }
    }

    /// The external files that the settings name, each with the path of the setting that names it.
    pub fn files(&mut self) -> Vec<(Vec<Step>, &mut DataFile)> {
        match self {
            Self::Dataset(s) => {
                let word = s.word();
                s.files().into_iter().map(|(name, file)| (keys(&[word, name]), file)).collect()
            }
            Self::Train(s) => match s.init.as_deref_mut() {
                Some(Init::File(file)) => vec![(keys(&["init"]), file)],
                _ => vec![],
            },
            Self::Command(s) => s.code(),
            _ => vec![],
        }
    }

    /// The references of these settings: role, path among the settings, and `node[.port]` as written.
    pub fn references(&self) -> Vec<(&'static str, Vec<Step>, &Reference)> {
        match self {
            Self::Dataset(_) => vec![],
            Self::Train(s) => {
                let init = match s.init.as_deref() {
                    Some(Init::From(init)) => Some(("init", keys(&["init", "from"]), &init.from)),
                    _ => None,
                };
                [("data", keys(&["data"]), &s.data)].into_iter().chain(init).collect()
            }
            Self::Sample(s) => {
                let conditions = match &s.conditions {
                    Some(Wanted::From(items)) => {
                        Some(("conditions", keys(&["conditions", "from"]), &items.from))
                    }
                    _ => None,
                };
                [("from", keys(&["from"]), &s.from)].into_iter().chain(conditions).collect()
            }
            Self::Evaluate(s) => {
                let judge = s.measure.judge().map(|(role, reference)| {
                    (role, keys(&["measure", s.measure.word(), role]), reference)
                });
                let both = [
                    ("samples", keys(&["samples"]), &s.samples),
                    ("reference", keys(&["reference"]), &s.reference),
                ];
                both.into_iter().chain(judge).collect()
            }
            Self::Command(s) => s.references(),
        }
    }
}
