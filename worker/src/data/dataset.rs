//! The dataset node: the items of each split in physical units, and their manifest. This module makes
//! the log-normal fields and publishes any kind; the other kinds have modules of their own.

use super::arrays;
use super::log_normal::{LogNormal, Slab, map_seed};
use super::manifest::{Manifest, Parameter, Source};
use super::transform::{Fitted, Statistics, takes_log};
use crate::files::write_json;
use crate::serve::{Context, End};
use ablate::job::{Better, Costs, Metric, Metrics};
use ablate::npy::Writer;
use ablate::problem::{Problem, Result};
use ablate::settings::{Cosmology, Dataset, LogNormalFields, Split, Transform};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::time::Instant;

/// Critical density of the universe in (Msun/h) / (Mpc/h)^3.
const CRITICAL_DENSITY: f64 = 2.775_366_27e11;

/// The unit of projected density.
pub(super) const SURFACE_DENSITY: &str = "(Msun/h) / (Mpc/h)^2";

/// Maps made between two looks at the stop flag.
const CHUNK: usize = 64;

/// Makes the dataset that a job asks for.
///
/// # Errors
/// If files cannot be read or written, or hold what they must not.
pub fn run(context: &Context<'_>, settings: &Dataset) -> Result<End> {
    let start = Instant::now();
    let split =
        settings.split().ok_or_else(|| Problem::system("the job does not say how to split"));
    let made = match settings {
        Dataset::LogNormalFields(fields) => log_normal(context, fields)?,
        Dataset::Npy(array) => arrays::npy(context, array, split?)?,
        Dataset::CamelsCmd(maps) => arrays::camels(context, maps, split?)?,
    };
    match made {
        Some(made) => {
            made.publish(context, start)?;
            Ok(End::Done)
        }
        // A dataset is made again from its beginning: what is on disk of it counts for nothing.
        None => Ok(End::Stopped(0)),
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
    fn publish(self, context: &Context<'_>, start: Instant) -> Result<()> {
        let work = &context.job.work;
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
            memory_bytes: 0,
        })
    }
}

/// The value that statistics are taken of.
pub(super) fn counted(transform: Transform, x: f64) -> f64 {
    if takes_log(transform) { x.log10() } else { x }
}

/// Mean surface density of the dark matter in a slab, in [`SURFACE_DENSITY`].
pub(super) fn surface_density(cosmology: &Cosmology, slab_mpc_h: f64) -> f64 {
    CRITICAL_DENSITY * (cosmology.omega_m - cosmology.omega_b) * slab_mpc_h
}

/// Writes maps that are made one by one, `make(i)` being map i over all splits in the order train,
/// validation, test; `None` if the job was asked to stop.
pub(super) fn write_maps(
    context: &Context<'_>,
    split: Split,
    item: Item,
    transform: Transform,
    make: impl Fn(usize) -> Vec<f32> + Sync,
) -> Result<Option<Statistics>> {
    let total = split.sum();
    context.started(0, total);
    let mut seen = Statistics::default();
    let mut first = 0;
    for (name, count) in named(split) {
        let path = Manifest::split_file(&context.job.work, name);
        let shape = [count, item.channels, item.height, item.width];
        let mut writer = Writer::open(&path, &shape, 0)?;
        for chunk in (first..first + count).collect::<Vec<_>>().chunks(CHUNK) {
            if context.stop() {
                return Ok(None);
            }
            let maps: Vec<Vec<f32>> = chunk.par_iter().map(|i| make(*i)).collect();
            for map in &maps {
                writer.push(map)?;
                if name == "train" {
                    map.iter().for_each(|x| seen.add(counted(transform, f64::from(*x))));
                }
            }
            context.progress(chunk[chunk.len() - 1] as u64 + 1, total, None);
        }
        writer.sync()?;
        first += count;
    }
    Ok(Some(seen))
}

/// Every log-normal map is a simulation of its own, so the first maps train, the next validate, the last test.
fn log_normal(context: &Context<'_>, fields: &LogNormalFields) -> Result<Option<Made>> {
    let side = fields.side as usize;
    let slab = Slab { side, box_mpc_h: fields.box_mpc_h, slab_mpc_h: fields.slab_mpc_h };
    let mean = surface_density(&fields.cosmology, fields.slab_mpc_h);
    let generator = LogNormal::new(slab, &fields.cosmology);
    let map = |i: usize| -> Vec<f32> {
        generator.map(map_seed(fields.seed, i)).into_iter().map(|rho| (rho * mean) as f32).collect()
    };
    let item = Item { channels: 1, height: side, width: side };
    let split = Split::of(fields.maps, fields.validation, fields.test);
    let Some(seen) = write_maps(context, split, item, fields.transform, map)? else {
        return Ok(None);
    };
    Ok(Some(Made {
        item,
        box_mpc_h: Some(fields.box_mpc_h),
        units: SURFACE_DENSITY.to_owned(),
        transform: fields.transform,
        split,
        seen,
        parameters: vec![],
        classes: None,
        source: None,
        metrics: vec![("clipped_power", generator.clipped)],
    }))
}
