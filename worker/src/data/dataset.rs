//! The dataset node: maps in physical units, one file a split, and their manifest. Every log-normal
//! map is a simulation of its own, so the first maps train, the next validate, the last test.

use super::log_normal::{LogNormal, Slab, map_seed};
use super::manifest::Manifest;
use super::transform::{Fitted, Statistics, takes_log};
use crate::files::write_json;
use crate::serve::{Context, End};
use ablate::job::{Better, Costs, Metric, Metrics};
use ablate::npy::Writer;
use ablate::problem::Result;
use ablate::settings::{Dataset, LogNormalFields};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::time::Instant;

/// Critical density of the universe in (Msun/h) / (Mpc/h)^3.
const CRITICAL_DENSITY: f64 = 2.775_366_27e11;

/// Maps made between two looks at the stop flag.
const CHUNK: usize = 64;

/// Makes the dataset that a job asks for.
///
/// # Errors
/// If files cannot be written.
pub fn run(context: &Context<'_>, settings: &Dataset) -> Result<End> {
    match settings {
        Dataset::LogNormalFields(fields) => log_normal(context, fields),
    }
}

/// Maps in each split.
pub fn splits(fields: &LogNormalFields) -> [(&'static str, usize); 3] {
    let kept = |fraction: f64| (fraction * fields.maps as f64).round() as usize;
    let (validation, test) = (kept(fields.validation), kept(fields.test));
    [
        ("train", fields.maps as usize - validation - test),
        ("validation", validation),
        ("test", test),
    ]
}

fn log_normal(context: &Context<'_>, fields: &LogNormalFields) -> Result<End> {
    let start = Instant::now();
    let side = fields.side as usize;
    let slab = Slab { side, box_mpc_h: fields.box_mpc_h, slab_mpc_h: fields.slab_mpc_h };
    let cosmology = &fields.cosmology;
    // Mean surface density of the slab's dark matter.
    let mean = CRITICAL_DENSITY * (cosmology.omega_m - cosmology.omega_b) * fields.slab_mpc_h;
    let generator = LogNormal::new(slab, cosmology);
    let map = |i: usize| -> Vec<f32> {
        generator.map(map_seed(fields.seed, i)).into_iter().map(|rho| (rho * mean) as f32).collect()
    };
    context.started(0, fields.maps);
    let mut seen = Statistics::default();
    let mut first = 0;
    for (split, count) in splits(fields) {
        let path = Manifest::split_file(&context.job.work, split);
        let mut writer = Writer::open(&path, &[count, 1, side, side], 0)?;
        for chunk in (first..first + count).collect::<Vec<_>>().chunks(CHUNK) {
            if context.stop() {
                // A dataset is made again from its first map: it costs seconds.
                return Ok(End::Stopped(0));
            }
            let maps: Vec<Vec<f32>> = chunk.par_iter().map(|i| map(*i)).collect();
            for map in &maps {
                writer.push(map)?;
                if split == "train" {
                    let value = |x: &f32| {
                        if takes_log(fields.transform) {
                            f64::from(*x).log10()
                        } else {
                            f64::from(*x)
                        }
                    };
                    map.iter().for_each(|x| seen.add(value(x)));
                }
            }
            context.progress(chunk[chunk.len() - 1] as u64 + 1, fields.maps, None);
        }
        writer.sync()?;
        first += count;
    }
    let manifest = Manifest {
        side,
        channels: 1,
        box_mpc_h: Some(fields.box_mpc_h),
        units: "(Msun/h) / (Mpc/h)^2".to_owned(),
        transform: Fitted::new(fields.transform, &seen),
        splits: splits(fields).into_iter().map(|(split, n)| (split.to_owned(), n)).collect(),
    };
    manifest.write(&context.job.work)?;
    publish(context, &manifest, &seen, &generator, start)
}

fn publish(
    context: &Context<'_>,
    manifest: &Manifest,
    seen: &Statistics,
    generator: &LogNormal,
    start: Instant,
) -> Result<End> {
    let metric =
        |value: f64, unit: &str| Metric { value, unit: unit.to_owned(), better: Better::Neither };
    let mut metrics: Metrics = manifest
        .splits
        .iter()
        .map(|(split, n)| (format!("{split}_maps"), metric(*n as f64, "")))
        .collect();
    metrics.extend(BTreeMap::from([
        ("train_mean".to_owned(), metric(seen.mean(), "")),
        ("train_deviation".to_owned(), metric(seen.deviation(), "")),
        ("clipped_power".to_owned(), metric(generator.clipped, "")),
    ]));
    write_json(&context.job.work.join("metrics.json"), &metrics)?;
    let maps: usize = manifest.splits.values().sum();
    context.costs(&Costs {
        seconds: start.elapsed().as_secs_f64(),
        steps: maps as u64,
        memory_bytes: 0,
    })?;
    Ok(End::Done)
}
