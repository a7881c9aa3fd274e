//! The distribution of the values of single pixels.

use super::fields::Fields;
use super::{columns_of, publish};
use crate::measure::one_point::{self, Moments, Sorted};
use crate::measure::summary::summarise;
use crate::serve::Context;
use ablate::job::Series;
use ablate::problem::Result;
use ablate::settings::{Evaluate, OnePoint, Space};
use rayon::prelude::*;

/// Bins of a one-point density.
const BINS: usize = 50;

/// Pixels of each side that are compared, at most: of more, those of evenly chosen maps.
const PIXELS: usize = 1 << 24;

/// Writes how the values of pixels are distributed in samples, beside those of the reference.
pub(super) fn one_point(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &OnePoint,
) -> Result<()> {
    let read = |role: &str| -> Result<Vec<Vec<f64>>> {
        let fields = Fields::read(context, role, PIXELS)?.seen_in(measure.space, role)?;
        Ok(fields.items().map(<[f64]>::to_vec).collect())
    };
    let (ours, theirs) = (read("samples")?, read("reference")?);
    let [all, known] = [&ours, &theirs].map(|maps| maps.concat());
    let moments = Moments::of(&all);
    let densities = |maps: &[Vec<f64>], edges: &[f64]| -> Vec<Vec<f64>> {
        maps.par_iter().map(|map| one_point::density(map, edges)).collect()
    };
    let [all, known] = [all, known].map(Sorted::new);
    let is_log = measure.space == Some(Space::Log);
    let unit = if is_log { "dex" } else { "" };
    let values = vec![
        ("distance", one_point::wasserstein(&all, &known), unit),
        ("floor", one_point::floor(&theirs, ours.len()).unwrap_or(f64::NAN), unit),
        ("ks", one_point::kolmogorov_smirnov(&all, &known), ""),
        ("mean", moments.mean, unit),
        ("deviation", moments.deviation, unit),
        ("skewness", moments.skewness, ""),
        ("kurtosis", moments.kurtosis, ""),
    ];
    let (low, high) = (known.percentile(0.01), known.percentile(99.99));
    // Of a reference without any spread the width says nothing.
    let width = if high > low { (high - low) / BINS as f64 } else { 1.0 };
    let edges: Vec<f64> = (0..=BINS).map(|i| low + width * i as f64).collect();
    let [mean, reference] = [&ours, &theirs].map(|maps| summarise(&densities(maps, &edges)));
    let mut columns = columns_of(mean, reference);
    let centres = edges.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    columns.insert("x".to_owned(), centres.collect());
    let word = if is_log { "log10 of the value" } else { "value" };
    let series = Series { x_unit: word.to_owned(), y_unit: String::new(), columns };
    publish(context, settings, values, ("one_point", series))
}
