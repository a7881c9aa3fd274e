//! The evaluate node: one measure of samples, beside a reference.

use crate::data::manifest::Manifest;
use crate::data::maps::Maps;
use crate::files::write_json;
use crate::measure::power_spectrum::{self as power, Estimator, Grid, Summary};
use crate::serve::{Context, End, inputs};
use ablate::job::{Better, Costs, Input, Metric, Metrics, Series, SeriesFile};
use ablate::npy;
use ablate::problem::{Problem, Result};
use ablate::settings::{Evaluate, Measure, PowerSpectrum};
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
        let (fields, manifest) = fields(role, input)?;
        if (manifest.side, manifest.box_mpc_h) != (of.side, of.box_mpc_h) {
            return Err(Problem::system("samples and reference differ in side or box"));
        }
        spectra.append(&mut power::spectra(estimator, &fields)?);
    }
    Ok(spectra)
}

/// The fields of an input, `[n, 1, side, side]`, with the manifest that describes them.
fn fields(role: &str, input: &Input) -> Result<(Vec<f64>, Manifest)> {
    let manifest = Manifest::read(&input.folder)?;
    let (shape, data) = match input.port.as_str() {
        "out" => {
            let array = npy::read_f64(&input.folder.join("samples.npy"))?;
            (array.shape, array.data)
        }
        _ => {
            let maps = Maps::open(&manifest, input)?;
            let data = (0..maps.len()).flat_map(|i| maps.physical(i)).collect();
            (vec![maps.len(), manifest.channels, manifest.side, manifest.width()], data)
        }
    };
    let side = manifest.side;
    if shape[1..] != [1, side, side] || shape[0] == 0 {
        return Err(Problem::system(format!(
            "`{role}` has the shape {shape:?}; [n, 1, {side}, {side}] is needed for power spectra"
        )));
    }
    Ok((data, manifest))
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
    let metric = |name: &str, value: f64| Metric {
        value,
        unit: String::new(),
        better: Better::of(settings.measure.smaller_is_better(name)),
    };
    let values = [
        ("error", power::error(&spectra, &truth)),
        ("floor", power::floor(&truth, spectra.len()).unwrap_or(f64::NAN)),
        ("max_deviation", deviations.into_iter().fold(0.0, f64::max)),
    ];
    let metrics: Metrics =
        values.map(|(name, value)| (name.to_owned(), metric(name, value))).into();
    let work = &context.job.work;
    write_json(&work.join("metrics.json"), &metrics)?;
    let columns = columns(&estimator, mean, known, ratio, ratio_error);
    let series = Series { x_unit: "h/Mpc".to_owned(), y_unit: "(Mpc/h)^2".to_owned(), columns };
    write_json(
        &work.join("series.json"),
        &SeriesFile::from([("power_spectrum".to_owned(), series)]),
    )?;
    let bins = estimator.k_h_mpc.len();
    npy::write_f64(&work.join("spectra.npy"), &[spectra.len(), bins], &spectra.concat())
}

fn columns(
    estimator: &Estimator,
    mean: Summary,
    known: Summary,
    ratio: Vec<f64>,
    ratio_error: Vec<f64>,
) -> BTreeMap<String, Vec<f64>> {
    let named = [
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
    ];
    named.into_iter().map(|(name, values)| (name.to_owned(), values)).collect()
}
