//! The evaluate node: one measure of samples, beside a reference.

mod judged;

use crate::data::manifest::Manifest;
use crate::data::maps::Maps;
use crate::files::write_json;
use crate::measure::one_point::{self, Moments, Sorted};
use crate::measure::power_spectrum::{self as power, Estimator, Grid, Summary};
use crate::serve::{Context, End, inputs};
use ablate::job::{Better, Costs, Input, Metric, Metrics, Series, SeriesFile};
use ablate::npy;
use ablate::problem::{Problem, Result};
use ablate::settings::{Evaluate, Measure, OnePoint, PowerSpectrum, Space};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::time::Instant;

/// Applies the measure that a job asks for.
///
/// # Errors
/// If files cannot be read or written, or do not fit each other.
pub fn run(context: &Context<'_>, settings: &Evaluate) -> Result<End> {
    let start = Instant::now();
    context.started(0, 1);
    match &settings.measure {
        Measure::PowerSpectrum(measure) => power_spectrum(context, settings, measure)?,
        Measure::OnePoint(measure) => one_point(context, settings, measure)?,
        Measure::Features(measure) => judged::features(context, settings, measure)?,
        Measure::Accuracy(measure) => judged::accuracy(context, settings, measure)?,
    }
    context.costs(&Costs { seconds: start.elapsed().as_secs_f64(), steps: 1, memory_bytes: 0 })?;
    Ok(End::Done)
}

/// The spectra of all fields behind a role, those of several inputs one after another.
fn spectra(
    context: &Context<'_>,
    role: &str,
    estimator: &Estimator,
    of: &Manifest,
) -> Result<Vec<Vec<f64>>> {
    let mut spectra = vec![];
    for input in inputs(context.job, role)? {
        let (shape, fields, manifest) = items(role, input, usize::MAX)?;
        let side = manifest.side;
        if shape[1..] != [1, side, side] {
            return Err(Problem::system(format!(
                "`{role}` has the shape {shape:?}; [n, 1, {side}, {side}] is needed for power spectra"
            )));
        }
        if (manifest.side, manifest.box_mpc_h) != (of.side, of.box_mpc_h) {
            return Err(Problem::system("samples and reference differ in side or box"));
        }
        spectra.append(&mut power::spectra(estimator, &fields)?);
    }
    Ok(spectra)
}

/// The items of an input in physical units: shape `[n, c, h, w]`, numbers, and the manifest that describes them.
/// Where that would be many more than `most` numbers, evenly chosen items.
fn items(role: &str, input: &Input, most: usize) -> Result<(Vec<usize>, Vec<f64>, Manifest)> {
    let manifest = Manifest::read(&input.folder)?;
    let (shape, data) = match input.port.as_str() {
        "out" => {
            let mut array = npy::read_f64(&input.folder.join("samples.npy"))?;
            let each = array.shape.iter().skip(1).product::<usize>().max(1);
            let step = array.data.len().div_ceil(most).max(1);
            if step > 1 {
                array.data = array.data.chunks(each).step_by(step).flatten().copied().collect();
                array.shape[0] = array.data.len() / each;
            }
            (array.shape, array.data)
        }
        _ => {
            let maps = Maps::open(&manifest, input)?;
            let step = (maps.len() * maps.numbers()).div_ceil(most).max(1);
            let data: Vec<f64> =
                (0..maps.len()).step_by(step).flat_map(|i| maps.physical(i)).collect();
            let count = maps.len().div_ceil(step);
            (vec![count, manifest.channels, manifest.side, manifest.width()], data)
        }
    };
    if shape.len() != 4 || shape[0] == 0 {
        return Err(Problem::system(format!(
            "`{role}` has the shape {shape:?}: nothing to measure"
        )));
    }
    Ok((shape, data, manifest))
}

fn power_spectrum(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &PowerSpectrum,
) -> Result<()> {
    let theirs = Manifest::read(&inputs(context.job, "reference")?[0].folder)?;
    let box_mpc_h = theirs.box_mpc_h.ok_or_else(|| {
        let problem = Problem::system("the reference has no box, so no wave numbers");
        problem.help("give the dataset its `box_mpc_h`")
    })?;
    let grid = Grid { side: theirs.side, dimensions: 2, box_mpc_h };
    let estimator = Estimator::new(grid, measure.binning, 0);
    let truth = spectra(context, "reference", &estimator, &theirs)?;
    let spectra = spectra(context, "samples", &estimator, &theirs)?;
    let (mean, known) = (power::summarise(&spectra), power::summarise(&truth));
    let (ratio, ratio_error) = power::ratio(&mean, spectra.len(), &known, truth.len());
    let deviations = power::deviations(&spectra, &truth);
    let values = [
        ("error", power::error(&spectra, &truth)),
        ("floor", power::floor(&truth, spectra.len()).unwrap_or(f64::NAN)),
        ("max_deviation", deviations.into_iter().fold(0.0, f64::max)),
    ];
    let work = &context.job.work;
    write_json(
        &work.join("metrics.json"),
        &metrics(settings, values.map(|v| (v.0, v.1, "")).into()),
    )?;
    let columns = columns(&estimator, mean, known, ratio, ratio_error);
    let series = Series { x_unit: "h/Mpc".to_owned(), y_unit: "(Mpc/h)^2".to_owned(), columns };
    write_json(
        &work.join("series.json"),
        &SeriesFile::from([("power_spectrum".to_owned(), series)]),
    )?;
    let bins = estimator.k_h_mpc.len();
    npy::write_f64(&work.join("spectra.npy"), &[spectra.len(), bins], &spectra.concat())
}

/// Metrics by name, value and unit, with the direction that the measure gives them.
fn metrics(settings: &Evaluate, values: Vec<(&str, f64, &str)>) -> Metrics {
    let metric = |(name, value, unit): (&str, f64, &str)| {
        let better = Better::of(settings.measure.smaller_is_better(name));
        (name.to_owned(), Metric { value, unit: unit.to_owned(), better })
    };
    values.into_iter().map(metric).collect()
}

/// Bins of a one-point density.
const BINS: usize = 50;

/// Pixels of each side that are compared, at most: of more, those of evenly chosen maps.
const PIXELS: usize = 1 << 24;

fn one_point(context: &Context<'_>, settings: &Evaluate, measure: &OnePoint) -> Result<()> {
    let space = measure.space.ok_or_else(|| {
        Problem::system("the job does not say in which space values are compared")
    })?;
    let ours = pixels(context, "samples", space)?;
    let theirs = pixels(context, "reference", space)?;
    let [all, known] = [&ours, &theirs].map(|maps| maps.concat());
    let moments = Moments::of(&all);
    let densities = |maps: &[Vec<f64>], edges: &[f64]| -> Vec<Vec<f64>> {
        maps.par_iter().map(|map| one_point::density(map, edges)).collect()
    };
    let [all, known] = [all, known].map(Sorted::new);
    let unit = if space == Space::Log { "dex" } else { "" };
    let values = vec![
        ("distance", one_point::wasserstein(&all, &known), unit),
        ("floor", one_point::floor(&theirs, ours.len()).unwrap_or(f64::NAN), unit),
        ("ks", one_point::kolmogorov_smirnov(&all, &known), ""),
        ("mean", moments.mean, unit),
        ("deviation", moments.deviation, unit),
        ("skewness", moments.skewness, ""),
        ("kurtosis", moments.kurtosis, ""),
    ];
    let work = &context.job.work;
    write_json(&work.join("metrics.json"), &metrics(settings, values))?;
    let (low, high) = (known.percentile(0.01), known.percentile(99.99));
    // Of a reference without any spread the width says nothing.
    let width = if high > low { (high - low) / BINS as f64 } else { 1.0 };
    let edges: Vec<f64> = (0..=BINS).map(|i| low + width * i as f64).collect();
    let [mean, reference] = [&ours, &theirs].map(|maps| power::summarise(&densities(maps, &edges)));
    let columns = by_name([
        ("x", edges.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect()),
        ("mean", mean.mean),
        ("low", mean.low),
        ("high", mean.high),
        ("reference_mean", reference.mean),
        ("reference_low", reference.low),
        ("reference_high", reference.high),
    ]);
    let word = if space == Space::Log { "log10 of the value" } else { "value" };
    let series = Series { x_unit: word.to_owned(), y_unit: String::new(), columns };
    write_json(&work.join("series.json"), &SeriesFile::from([("one_point".to_owned(), series)]))
}

/// The pixels behind a role, map by map, as they are to be compared.
fn pixels(context: &Context<'_>, role: &str, space: Space) -> Result<Vec<Vec<f64>>> {
    let mut maps: Vec<Vec<f64>> = vec![];
    let inputs = inputs(context.job, role)?;
    for input in &inputs {
        let (shape, data, _) = items(role, input, PIXELS / inputs.len())?;
        let each: usize = shape[1..].iter().product();
        maps.extend(data.chunks(each).map(<[f64]>::to_vec));
    }
    if space == Space::Log {
        for value in maps.iter_mut().flatten() {
            if *value <= 0.0 {
                let problem =
                    Problem::new(format!("`{role}` holds {value}, which has no logarithm"));
                return Err(problem.help("take `one_point: { space: linear }`"));
            }
            *value = value.log10();
        }
    }
    if let Some(value) = maps.iter().flatten().find(|value| !value.is_finite()) {
        return Err(Problem::new(format!("`{role}` holds {value}, which is no number to compare")));
    }
    Ok(maps)
}

fn columns(
    estimator: &Estimator,
    mean: Summary,
    known: Summary,
    ratio: Vec<f64>,
    ratio_error: Vec<f64>,
) -> BTreeMap<String, Vec<f64>> {
    by_name([
        ("x", estimator.k_h_mpc.clone()),
        ("modes", estimator.modes.clone()),
        ("mean", mean.mean),
        ("deviation", mean.deviation),
        ("low", mean.low),
        ("high", mean.high),
        ("reference_mean", known.mean),
        ("reference_deviation", known.deviation),
        ("reference_low", known.low),
        ("reference_high", known.high),
        ("ratio", ratio),
        ("ratio_error", ratio_error),
    ])
}

/// Columns of a series by their names.
fn by_name<const N: usize>(columns: [(&str, Vec<f64>); N]) -> BTreeMap<String, Vec<f64>> {
    columns.into_iter().map(|(name, values)| (name.to_owned(), values)).collect()
}
