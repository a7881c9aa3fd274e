//! Measures of shapes in maps: peaks and minima, Minkowski functionals.

use super::fields::{Fields, check_alike};
use super::{by_name, columns_of, compared, publish};
use crate::measure::shapes::{Shapes, peaks as count_peaks, standardised};
use crate::measure::summary::{error, scaled, summarise};
use crate::serve::Context;
use ablate::job::Series;
use ablate::problem::{Problem, Result};
use ablate::settings::{Evaluate, Minkowski, Peaks, Space};
use rayon::prelude::*;

/// Samples and reference in the form in which they are compared.
fn both(context: &Context<'_>, space: Option<Space>) -> Result<[Fields; 2]> {
    let read = |role: &str| Fields::read(context, role, usize::MAX)?.seen_in(space, role);
    let (ours, theirs) = (read("samples")?, read("reference")?);
    check_alike(&ours.manifest, &theirs.manifest)?;
    let m = &theirs.manifest;
    if m.channels != 1 || m.width() != m.side {
        let (c, h, w) = (m.channels, m.side, m.width());
        return Err(Problem::new(format!(
            "the items have the shape [{c}, {h}, {w}]; shapes are measured in square maps of one channel"
        )));
    }
    Ok([ours, theirs])
}

/// A vector for each map, of all maps at once.
fn each(fields: &Fields, of: impl Fn(&[f64]) -> Vec<f64> + Sync) -> Vec<Vec<f64>> {
    let items: Vec<&[f64]> = fields.items().collect();
    items.par_iter().map(|item| of(&standardised(item))).collect()
}

/// Half steps from one threshold to another.
fn halves(from: i32, to: i32) -> Vec<f64> {
    (2 * from..=2 * to).map(|i| f64::from(i) / 2.0).collect()
}

/// Writes the numbers of peaks and minima of samples beside those of the reference.
pub(super) fn peaks(context: &Context<'_>, settings: &Evaluate, measure: &Peaks) -> Result<()> {
    let [ours, theirs] = both(context, measure.space)?;
    let (thresholds, side) = (halves(-1, 4), theirs.manifest.side);
    let at_mean = thresholds.iter().position(|nu| *nu == 0.0).unwrap_or(0);
    let count = |fields: &Fields| {
        each(fields, |map| {
            let valleys: Vec<f64> = map.iter().map(|x| -x).collect();
            let mut counts = count_peaks(map, side, &thresholds);
            counts.append(&mut count_peaks(&valleys, side, &thresholds));
            counts
        })
    };
    let (counts, known) = (count(&ours), count(&theirs));
    let mut values = compared([(&counts, &ours.groups), (&known, &theirs.groups)], scaled);
    let [one, other] = [&counts, &known].map(|counts| summarise(counts));
    values.push(("peaks", one.mean[at_mean], ""));
    values.push(("minima", one.mean[thresholds.len() + at_mean], ""));
    // Minima stand at the thresholds below which they are.
    let below = thresholds.iter().map(|nu| -nu);
    let mut columns = by_name([("x", thresholds.iter().copied().chain(below).collect())]);
    let is_peak = (0..2 * thresholds.len()).map(|i| f64::from(u8::from(i < thresholds.len())));
    columns.insert("is_peak".to_owned(), is_peak.collect());
    columns.extend(columns_of(one, other));
    let series =
        Series { x_unit: "standard deviations".to_owned(), y_unit: "per map".to_owned(), columns };
    publish(context, settings, values, ("peaks", series))
}

/// Writes the Minkowski functionals of samples beside those of the reference.
pub(super) fn minkowski(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &Minkowski,
) -> Result<()> {
    const WIDTH: f64 = 0.5;
    let [ours, theirs] = both(context, measure.space)?;
    let thresholds = halves(-3, 3);
    let m = &theirs.manifest;
    // Without a box the unit of length is a pixel.
    let shapes = Shapes::new(m.side, m.box_mpc_h.unwrap_or(m.side as f64));
    let n = thresholds.len();
    let of = |fields: &Fields| {
        each(fields, |map| {
            let all = shapes.minkowski(map, &thresholds, WIDTH);
            (0..3).flat_map(|which| all.iter().map(move |v| v[which])).collect()
        })
    };
    let (measured, known) = (of(&ours), of(&theirs));
    // Each functional has a unit of its own.
    fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
        let n = ours.len() / 3;
        let each = ours.chunks(n).zip(theirs.chunks(n));
        each.map(|(ours, theirs)| scaled(ours, theirs)).sum::<f64>() / 3.0
    }
    let mut values = compared([(&measured, &ours.groups), (&known, &theirs.groups)], apart);
    for (which, name) in ["area_error", "border_error", "curvature_error"].into_iter().enumerate() {
        let part = |all: &[Vec<f64>]| -> Vec<Vec<f64>> {
            all.iter().map(|vector| vector[which * n..(which + 1) * n].to_vec()).collect()
        };
        values.push((name, error(&part(&measured), &part(&known), scaled), ""));
    }
    let mut columns = by_name([("x", thresholds.repeat(3))]);
    let which = (0..3 * n).map(|i| (i / n) as f64);
    columns.insert("functional".to_owned(), which.collect());
    columns.extend(columns_of(summarise(&measured), summarise(&known)));
    let unit = if m.box_mpc_h.is_some() { "h/Mpc" } else { "1/pixel" };
    let series = Series {
        x_unit: "standard deviations".to_owned(),
        y_unit: format!("({unit})^n for functional n"),
        columns,
    };
    publish(context, settings, values, ("minkowski", series))
}
