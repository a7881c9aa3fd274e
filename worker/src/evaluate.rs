//! The evaluate node: one measure of samples, beside a reference.

mod fields;
mod judged;
mod memorised;
mod pixels;
mod shapes;
mod spectra;

use crate::files::write_json;
use crate::measure::summary::{self, Distance, Summary};
use crate::serve::{Context, End};
use ablate::job::{Better, Costs, Metric, Metrics, Series, SeriesFile};
use ablate::problem::Result;
use ablate::settings::{Evaluate, Measure};
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
        Measure::PowerSpectrum(measure) => spectra::power_spectrum(context, settings, measure)?,
        Measure::Covariance(measure) => spectra::covariance(context, settings, measure)?,
        Measure::CrossSpectrum(measure) => spectra::cross_spectrum(context, settings, measure)?,
        Measure::Bispectrum(measure) => spectra::bispectrum(context, settings, measure)?,
        Measure::OnePoint(measure) => pixels::one_point(context, settings, measure)?,
        Measure::Peaks(measure) => shapes::peaks(context, settings, measure)?,
        Measure::Minkowski(measure) => shapes::minkowski(context, settings, measure)?,
        Measure::Memorisation(measure) => memorised::memorisation(context, settings, measure)?,
        Measure::Features(measure) => judged::features(context, settings, measure)?,
        Measure::Accuracy(measure) => judged::accuracy(context, settings, measure)?,
    }
    let seconds = start.elapsed().as_secs_f64();
    context.costs(&Costs { seconds, steps: 1, ..Costs::default() })?;
    Ok(End::Done)
}

/// Metrics by name, value and unit, with the direction that the measure gives them.
fn metrics(settings: &Evaluate, values: Vec<(&str, f64, &str)>) -> Metrics {
    let metric = |(name, value, unit): (&str, f64, &str)| {
        let better = Better::of(settings.measure.smaller_is_better(name));
        (name.to_owned(), Metric { value, unit: unit.to_owned(), better })
    };
    values.into_iter().map(metric).collect()
}

/// Error, its uncertainty and the floor of two sets of vectors, each with the simulations that they are from.
fn compared(
    [ours, theirs]: [(&Vec<Vec<f64>>, &[usize]); 2],
    distance: Distance,
) -> Vec<(&'static str, f64, &'static str)> {
    let error = summary::error(ours.0, theirs.0, distance);
    let sides = [(&**ours.0, ours.1), (&**theirs.0, theirs.1)];
    let deviation = summary::bootstrap(sides, distance).unwrap_or(f64::NAN);
    let floor = summary::floor(theirs.0, ours.0.len(), distance).unwrap_or(f64::NAN);
    vec![("error", error, ""), ("error_deviation", deviation, ""), ("floor", floor, "")]
}

/// Means and bands of samples and reference as columns.
fn columns_of(ours: Summary, theirs: Summary) -> BTreeMap<String, Vec<f64>> {
    by_name([
        ("mean", ours.mean),
        ("deviation", ours.deviation),
        ("low", ours.low),
        ("high", ours.high),
        ("reference_mean", theirs.mean),
        ("reference_deviation", theirs.deviation),
        ("reference_low", theirs.low),
        ("reference_high", theirs.high),
    ])
}

/// Writes the metrics of a measure, and its series under this name.
fn publish(
    context: &Context<'_>,
    settings: &Evaluate,
    values: Vec<(&str, f64, &str)>,
    (name, series): (&str, Series),
) -> Result<()> {
    let work = &context.job.work;
    write_json(&work.join("metrics.json"), &metrics(settings, values))?;
    write_json(&work.join("series.json"), &SeriesFile::from([(name.to_owned(), series)]))
}

/// Columns of a series by their names.
fn by_name<const N: usize>(columns: [(&str, Vec<f64>); N]) -> BTreeMap<String, Vec<f64>> {
    columns.into_iter().map(|(name, values)| (name.to_owned(), values)).collect()
}
