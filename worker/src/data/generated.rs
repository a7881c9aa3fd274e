//! Datasets that are made: item by item or simulation by simulation, in parallel, written in their
//! order. What is written survives an interruption, and the rest is made as if there had been none.

use super::dataset::{Item, Made, counted, named};
use super::images::padded;
use super::log_normal::{LogNormal, Slab, map_seed, slab_power};
use super::manifest::{Manifest, Parameter};
use super::particle_mesh::{Geometry, Simulation};
use super::transform::Statistics;
use super::{glyphs, log_normal, splitmix};
use crate::files::write_json;
use crate::serve::Context;
use ablate::npy::{self, Mapped, Writer};
use ablate::problem::Result;
use ablate::settings::{
    Cosmology, DIGIT_SIDE, Design, GaussianFields, GlyphDigits, LogNormalFields, LptFields,
    LptOrder, ParticleMeshFields, Split, Transform,
};
use ablate::store::PROGRESS;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Critical density of the universe in (Msun/h) / (Mpc/h)^3.
const CRITICAL_DENSITY: f64 = 2.775_366_27e11;

/// The unit of projected density.
pub(super) const SURFACE_DENSITY: &str = "(Msun/h) / (Mpc/h)^2";

/// Mean surface density of the dark matter in a slab, in [`SURFACE_DENSITY`].
fn surface_density(cosmology: &Cosmology, slab_mpc_h: f64) -> f64 {
    CRITICAL_DENSITY * (cosmology.omega_m - cosmology.omega_b) * slab_mpc_h
}

/// Items that are made together, and how.
struct Recipe<'r> {
    split: Split,
    item: Item,
    transform: Transform,
    /// Items in a group; a group is made at once and lies in one split.
    group: usize,
    /// Groups made between two looks at the stop flag.
    chunk: usize,
    /// Makes the items of a group one after another, in 32 bits; groups are counted over all splits.
    make: &'r (dyn Fn(usize) -> Vec<f32> + Sync),
}

/// `progress.json`: how much is on disk; it goes when the node is sealed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    groups: usize,
    /// Digest of each split's file, in hex.
    digests: BTreeMap<String, String>,
}

/// Items of log-normal fields and glyphs made between two looks at the stop flag.
const CHUNK: usize = 64;

/// Time between two checkpoints.
const PAUSE: Duration = Duration::from_secs(5);

impl Recipe<'_> {
    /// Writes every split's array; `None` if the job was asked to stop.
    fn write(&self, context: &Context<'_>) -> Result<Option<Statistics>> {
        let total = self.split.sum();
        let (mut done, mut writers) = self.go_on(context)?;
        let mut seen = self.seen_so_far(context, done)?;
        context.started((done * self.group) as u64, total);
        let groups = total as usize / self.group;
        let mut saved = Instant::now();
        while done < groups {
            if context.stop() {
                self.save(context, done, &writers)?;
                return Ok(None);
            }
            let chunk = done..(done + self.chunk.max(1)).min(groups);
            let made: Vec<Vec<f32>> =
                chunk.clone().into_par_iter().map(|g| (self.make)(g)).collect();
            for (g, items) in chunk.zip(&made) {
                let k = self.split_of(g);
                writers[k].push(items)?;
                if k == 0 {
                    items.iter().for_each(|x| seen.add(counted(self.transform, f64::from(*x))));
                }
                done = g + 1;
            }
            context.progress((done * self.group) as u64, total, None);
            if saved.elapsed() >= PAUSE {
                self.save(context, done, &writers)?;
                saved = Instant::now();
            }
        }
        self.save(context, done, &writers)?;
        Ok(Some(seen))
    }

    /// The place of the split that a group belongs to.
    fn split_of(&self, group: usize) -> usize {
        let item = (group * self.group) as u64;
        let ends = [self.split.train, self.split.train + self.split.validation];
        ends.iter().filter(|end| item >= **end).count()
    }

    /// The files of the splits, with what an earlier attempt left if it is whole; and the groups in it.
    fn go_on(&self, context: &Context<'_>) -> Result<(usize, Vec<Writer>)> {
        let work = &context.job.work;
        let left = ablate::files::read_json::<Progress>(&work.join(PROGRESS));
        if let Ok(Some(progress)) = &left
            && let Ok(writers) = self.open(context, progress.groups)
        {
            let whole = named(self.split)
                .iter()
                .zip(&writers)
                .all(|((name, _), writer)| progress.digests.get(*name) == Some(&writer.digest()));
            if whole {
                return Ok((progress.groups, writers));
            }
        }
        if !matches!(left, Ok(None)) {
            context.note("what an earlier attempt left is damaged; the data are made again");
        }
        Ok((0, self.open(context, 0)?))
    }

    fn open(&self, context: &Context<'_>, groups: usize) -> Result<Vec<Writer>> {
        let items = groups * self.group;
        let mut first = 0;
        let mut writers = vec![];
        for (name, count) in named(self.split) {
            let Item { channels, height, width } = self.item;
            let keep = items.saturating_sub(first).min(count);
            let path = Manifest::split_file(&context.job.work, name);
            writers.push(Writer::open(&path, &[count, channels, height, width], keep)?);
            first += count;
        }
        Ok(writers)
    }

    fn save(&self, context: &Context<'_>, groups: usize, writers: &[Writer]) -> Result<()> {
        writers.iter().try_for_each(Writer::sync)?;
        let digests = named(self.split).into_iter().zip(writers);
        let digests = digests.map(|((name, _), w)| (name.to_owned(), w.digest())).collect();
        write_json(&context.job.work.join(PROGRESS), &Progress { groups, digests })?;
        context.checkpoint((groups * self.group) as u64);
        Ok(())
    }

    /// Statistics of the train items that are on disk already.
    fn seen_so_far(&self, context: &Context<'_>, groups: usize) -> Result<Statistics> {
        let mut seen = Statistics::default();
        let items = (groups * self.group).min(self.split.train as usize);
        if items > 0 {
            let Item { channels, height, width } = self.item;
            let path = Manifest::split_file(&context.job.work, "train");
            let written = Mapped::open_part(&path)?;
            let numbers = written.numbers(0, items * channels * height * width);
            numbers.for_each(|x| seen.add(counted(self.transform, x)));
        }
        Ok(seen)
    }
}

fn square(side: usize) -> Item {
    Item { channels: 1, height: side, width: side }
}

/// Every log-normal map is a simulation of its own, so the first maps train, the next validate, the last test.
///
/// # Errors
/// If files cannot be written.
pub(super) fn log_normal(
    context: &Context<'_>,
    fields: &LogNormalFields,
    split: Split,
) -> Result<Option<Made>> {
    let side = fields.side as usize;
    let slab = Slab { side, box_mpc_h: fields.box_mpc_h, slab_mpc_h: fields.slab_mpc_h };
    let mean = surface_density(&fields.cosmology, fields.slab_mpc_h);
    let generator = LogNormal::new(slab, &fields.cosmology);
    let make = |i: usize| {
        generator.map(map_seed(fields.seed, i)).into_iter().map(|rho| (rho * mean) as f32).collect()
    };
    let (item, transform) = (square(side), fields.transform);
    let recipe = Recipe { split, item, transform, group: 1, chunk: CHUNK, make: &make };
    let Some(seen) = recipe.write(context)? else { return Ok(None) };
    Ok(Some(Made {
        box_mpc_h: Some(fields.box_mpc_h),
        units: SURFACE_DENSITY.to_owned(),
        metrics: vec![("clipped_power", generator.clipped)],
        ..Made::new(item, transform, split, seen)
    }))
}

/// Gaussian maps of known power: the first maps train, the next validate, the last test.
///
/// # Errors
/// If files cannot be written.
pub(super) fn gaussian(
    context: &Context<'_>,
    fields: &GaussianFields,
    split: Split,
) -> Result<Option<Made>> {
    let side = fields.side as usize;
    let slab = Slab { side, box_mpc_h: fields.box_mpc_h, slab_mpc_h: fields.slab_mpc_h };
    let mut power = slab_power(slab, &fields.cosmology);
    // Each map has the mean density itself.
    power[0] = 0.0;
    let make = |i: usize| {
        let white = splitmix::normals(map_seed(fields.seed, i), side * side);
        let contrast = log_normal::gaussian(slab, &power, &white);
        contrast.into_iter().map(|delta| (1.0 + delta) as f32).collect()
    };
    let (item, transform) = (square(side), fields.transform);
    let recipe = Recipe { split, item, transform, group: 1, chunk: CHUNK, make: &make };
    let Some(seen) = recipe.write(context)? else { return Ok(None) };
    Ok(Some(Made {
        box_mpc_h: Some(fields.box_mpc_h),
        units: "mean densities".to_owned(),
        ..Made::new(item, transform, split, seen)
    }))
}

/// The output of a dataset's seed that seeds its Latin hypercube: far beyond those that seed simulations.
const DESIGN_OUTPUT: u64 = 1 << 62;

/// Simulations, each in a universe of its own.
struct Universes<'u> {
    count: usize,
    seed: u64,
    design: Design,
    cosmology: &'u Cosmology,
    split: Split,
    transform: Transform,
}

impl Universes<'_> {
    /// Omega_m and sigma_8 of every simulation.
    fn conditions(&self) -> Vec<[f64; 2]> {
        let n = self.count;
        let here = [self.cosmology.omega_m, self.cosmology.sigma_8];
        match self.design {
            Design::LatinHypercube => {
                let seed = splitmix::output(self.seed, DESIGN_OUTPUT);
                let ranges = [Design::OMEGA_M, Design::SIGMA_8];
                let points = splitmix::latin_hypercube(seed, n, &ranges);
                points.into_iter().map(|point| [point[0], point[1]]).collect()
            }
            Design::CosmicVariance => vec![here; n],
            Design::OneParameter => {
                let first = n.div_ceil(2);
                let along = |i: usize, count: usize, (low, high): (f64, f64)| {
                    low + (high - low) * i as f64 / (count - 1).max(1) as f64
                };
                let point = |i: usize| match i.checked_sub(first) {
                    None => [along(i, first, Design::OMEGA_M), here[1]],
                    Some(i) => [here[0], along(i, n - first, Design::SIGMA_8)],
                };
                (0..n).map(point).collect()
            }
        }
    }

    /// The seed of a simulation.
    fn seed_of(&self, i: usize) -> u64 {
        map_seed(self.seed, if self.design == Design::OneParameter { 0 } else { i })
    }

    /// Writes the maps that `project` makes of every simulation, in units of the mean density.
    fn write(
        &self,
        context: &Context<'_>,
        geometry: Geometry,
        project: impl Fn(&Simulation, u64) -> Vec<Vec<f64>> + Sync,
    ) -> Result<Option<Made>> {
        let conditions = self.conditions();
        let make = |i: usize| {
            let [omega_m, sigma_8] = conditions[i];
            let cosmology = Cosmology { omega_m, sigma_8, ..self.cosmology.clone() };
            let mean = surface_density(&cosmology, geometry.box_mpc_h / geometry.slabs as f64);
            let maps = project(&Simulation::new(geometry, &cosmology), self.seed_of(i));
            // A pixel that no particle reaches has no logarithm: it holds a tenth of a particle's share.
            let least = 0.1 * geometry.slabs as f64 / geometry.side as f64;
            maps.concat().into_iter().map(|rho| (rho.max(least) * mean) as f32).collect()
        };
        let group = 3 * geometry.slabs;
        let (split, item, transform) = (self.split, square(geometry.side), self.transform);
        let chunk = rayon::current_num_threads();
        let recipe = Recipe { split, item, transform, group, chunk, make: &make };
        let Some(seen) = recipe.write(context)? else { return Ok(None) };
        let mut first = 0;
        for (name, count) in named(split) {
            let rows: Vec<f64> =
                (first..first + count).flat_map(|item| conditions[item / group]).collect();
            let path = context.job.work.join(format!("{name}.parameters.npy"));
            npy::write_f64(&path, &[count, 2], &rows)?;
            first += count;
        }
        let ranges = match self.design {
            Design::LatinHypercube | Design::OneParameter => [Design::OMEGA_M, Design::SIGMA_8],
            Design::CosmicVariance => conditions[0].map(|x| (x, x)),
        };
        let named = ["omega_m", "sigma_8"].into_iter().zip(ranges);
        let parameter = |(name, (low, high)): (&str, (f64, f64))| Parameter {
            name: name.to_owned(),
            low,
            high,
        };
        Ok(Some(Made {
            box_mpc_h: Some(geometry.box_mpc_h),
            units: SURFACE_DENSITY.to_owned(),
            parameters: named.map(parameter).collect(),
            group,
            ..Made::new(item, transform, split, seen)
        }))
    }
}

/// Maps of particle-mesh simulations: the first simulations train, the next validate, the last test.
///
/// # Errors
/// If files cannot be written.
pub(super) fn particle_mesh(
    context: &Context<'_>,
    fields: &ParticleMeshFields,
    split: Split,
) -> Result<Option<Made>> {
    let geometry = Geometry {
        side: fields.side as usize,
        mesh: (fields.side * fields.mesh) as usize,
        box_mpc_h: fields.box_mpc_h,
        steps: fields.steps as usize,
        slabs: fields.slabs as usize,
    };
    let universes = Universes {
        count: fields.simulations as usize,
        seed: fields.seed,
        design: fields.design,
        cosmology: &fields.cosmology,
        split,
        transform: fields.transform,
    };
    universes.write(context, geometry, Simulation::maps)
}

/// Maps by perturbation theory: the first simulations train, the next validate, the last test.
///
/// # Errors
/// If files cannot be written.
pub(super) fn perturbed(
    context: &Context<'_>,
    fields: &LptFields,
    split: Split,
) -> Result<Option<Made>> {
    let side = fields.side as usize;
    let (box_mpc_h, slabs) = (fields.box_mpc_h, fields.slabs as usize);
    // No step is taken.
    let geometry = Geometry { side, mesh: side, box_mpc_h, steps: 1, slabs };
    let universes = Universes {
        count: fields.simulations as usize,
        seed: fields.seed,
        design: fields.design,
        cosmology: &fields.cosmology,
        split,
        transform: fields.transform,
    };
    let project = |simulation: &Simulation, seed: u64| {
        let moved = simulation.displacements(&splitmix::normals(seed, side * side * side));
        let today = 1.0;
        simulation.project(&match fields.order {
            LptOrder::First => simulation.first_order(&moved, today),
            LptOrder::Second => simulation.second_order(&moved, today),
        })
    };
    universes.write(context, geometry, project)
}

/// Digits drawn from fonts: the first images train, the next validate, the last test.
///
/// # Errors
/// If files cannot be written.
pub(super) fn glyphs(
    context: &Context<'_>,
    settings: &GlyphDigits,
    split: Split,
) -> Result<Option<Made>> {
    let pad = settings.pad as usize;
    let make = |i: usize| {
        let (image, _) = glyphs::digit(settings.seed, i as u64);
        padded(&image, DIGIT_SIDE as usize, pad).into_iter().map(f32::from).collect()
    };
    let (item, transform) = (square(DIGIT_SIDE as usize + 2 * pad), settings.transform);
    let recipe = Recipe { split, item, transform, group: 1, chunk: CHUNK, make: &make };
    let Some(seen) = recipe.write(context)? else { return Ok(None) };
    let mut first = 0;
    for (name, count) in named(split) {
        let label = |i: usize| i64::from(glyphs::digit(settings.seed, i as u64).1);
        let labels: Vec<i64> = (first..first + count).into_par_iter().map(label).collect();
        npy::write_i64(&context.job.work.join(format!("{name}.labels.npy")), &[count], &labels)?;
        first += count;
    }
    Ok(Some(Made {
        classes: Some(10),
        units: "bytes".to_owned(),
        ..Made::new(item, transform, split, seen)
    }))
}
