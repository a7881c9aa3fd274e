//! The dataset node: the items of each split in physical units, and their manifest. How the items come
//! about is for the modules beside this one.

use super::manifest::{Manifest, Parameter, Source};
use super::transform::{Fitted, Statistics};
use super::{arrays, cifar, generated, images};
use crate::files::write_json;
use crate::serve::{Context, End};
use ablate::job::{Better, Costs, Metric, Metrics};
use ablate::problem::{Problem, Result};
use ablate::settings::{Dataset, Split, Transform};
use std::collections::BTreeMap;
use std::time::Instant;

/// Makes the dataset that a job asks for.
///
/// # Errors
/// If files cannot be read or written, or hold what they must not.
pub fn run(context: &Context<'_>, settings: &Dataset) -> Result<End> {
    let start = Instant::now();
    let split =
        settings.split().ok_or_else(|| Problem::system("the job does not say how to split"));
    let made = match settings {
        Dataset::LogNormalFields(fields) => generated::log_normal(context, fields, split?)?,
        Dataset::GaussianFields(fields) => generated::gaussian(context, fields, split?)?,
        Dataset::LptFields(fields) => generated::perturbed(context, fields, split?)?,
        Dataset::ParticleMeshFields(fields) => generated::particle_mesh(context, fields, split?)?,
        Dataset::GlyphDigits(glyphs) => generated::glyphs(context, glyphs, split?)?,
        Dataset::Npy(array) => arrays::npy(context, array, split?)?,
        Dataset::ImageFolder(images) => arrays::image_folder(context, images, split?)?,
        Dataset::Idx(files) => images::idx(context, files)?,
        Dataset::Cifar10(files) => cifar::cifar10(context, files)?,
        Dataset::CamelsCmd(maps) => arrays::camels(context, maps, split?)?,
    };
    match made {
        Some(made) => {
            made.publish(context, start)?;
            Ok(End::Done)
        }
        None => Ok(End::Stopped(context.last_checkpoint())),
    }
}

/// A dataset whose arrays are written, and what its manifest will say.
pub(super) struct Made {
    /// Rows, columns and channels of an item.
    pub(super) item: Item,
    pub(super) box_mpc_h: Option<f64>,
    pub(super) units: String,
    pub(super) transform: Transform,
    /// Items of each split.
    pub(super) split: Split,
    /// Statistics of the train split, after the logarithm if the transform takes it.
    pub(super) seen: Statistics,
    pub(super) parameters: Vec<Parameter>,
    pub(super) classes: Option<usize>,
    /// Items of one simulation.
    pub(super) group: usize,
    pub(super) source: Option<Source>,
    /// Numbers worth recording beside those of every dataset.
    pub(super) metrics: Vec<(&'static str, f64)>,
}

/// The shape of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// The three splits by name, each with its number of items, one after another.
pub(super) fn named(split: Split) -> [(&'static str, usize); 3] {
    [
        ("train", split.train as usize),
        ("validation", split.validation as usize),
        ("test", split.test as usize),
    ]
}

impl Made {
    /// A dataset without what only some kinds have.
    pub(super) fn new(item: Item, transform: Transform, split: Split, seen: Statistics) -> Self {
        Self {
            item,
            box_mpc_h: None,
            units: String::new(),
            transform,
            split,
            seen,
            parameters: vec![],
            classes: None,
            group: 1,
            source: None,
            metrics: vec![],
        }
    }

    fn publish(self, context: &Context<'_>, start: Instant) -> Result<()> {
        let work = &context.job.work;
        if self.seen.deviation() == 0.0 {
            let problem = Problem::new("all values of the train split are equal");
            return Err(problem.help("there is nothing to learn from them: check the file"));
        }
        let Item { channels, height, width } = self.item;
        let mut digests = BTreeMap::new();
        for (split, _) in named(self.split) {
            let path = Manifest::split_file(work, split);
            if path.exists() {
                digests.insert(split.to_owned(), ablate::files::digest(&path)?.0);
            }
        }
        let manifest = Manifest {
            side: height,
            width: (width != height).then_some(width),
            channels,
            box_mpc_h: self.box_mpc_h,
            units: self.units,
            transform: Fitted::new(self.transform, &self.seen),
            splits: named(self.split).into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
            parameters: self.parameters,
            classes: self.classes,
            group: (self.group > 1).then_some(self.group),
            source: self.source,
            digests,
        };
        manifest.write(work)?;
        let metric = |value: f64| Metric { value, unit: String::new(), better: Better::Neither };
        let mut metrics: Metrics = manifest
            .splits
            .iter()
            .map(|(split, n)| (format!("{split}_maps"), metric(*n as f64)))
            .collect();
        let own = [("train_mean", self.seen.mean()), ("train_deviation", self.seen.deviation())];
        let own = own.into_iter().chain(self.metrics);
        metrics.extend(own.map(|(name, value)| (name.to_owned(), metric(value))));
        write_json(&work.join("metrics.json"), &metrics)?;
        context.costs(&Costs {
            seconds: start.elapsed().as_secs_f64(),
            steps: self.split.sum(),
            ..Costs::default()
        })
    }
}

/// The value that statistics are taken of.
pub(super) fn counted(transform: Transform, x: f64) -> f64 {
    if transform.takes_log() { x.log10() } else { x }
}
