//! Measures by waves: power spectra, how they scatter, what pairs of maps share, and triangles.

use super::fields::{Fields, check_alike};
use super::{by_name, columns_of, compared, publish};
use crate::measure::power_spectrum::{self as power, Contrast, Estimator, Grid};
use crate::measure::shapes::Triangles;
use crate::measure::summary::{self, mean, relative, scaled, summarise};
use crate::serve::Context;
use ablate::job::Series;
use ablate::npy;
use ablate::problem::{Problem, Result};
use ablate::settings::{
    Binning, Bispectrum, Covariance, CrossSpectrum, Evaluate, MeanOf, PowerSpectrum,
};
use rayon::prelude::*;

/// Samples and reference, and the grid that both are on.
struct Both {
    ours: Fields,
    theirs: Fields,
    grid: Grid,
}

impl Both {
    fn read(context: &Context<'_>, dimensions: u64) -> Result<Self> {
        let theirs = Fields::read(context, "reference", usize::MAX)?;
        let ours = Fields::read(context, "samples", usize::MAX)?;
        check_alike(&ours.manifest, &theirs.manifest)?;
        let m = &theirs.manifest;
        let box_mpc_h = m.box_mpc_h.ok_or_else(|| {
            let problem = Problem::system("the reference has no box, so no wave numbers");
            problem.help("give the dataset its `box_mpc_h`")
        })?;
        let channels = if dimensions == 3 { m.side } else { 1 };
        if (m.channels, m.width()) != (channels, m.side) {
            let (c, h, w, side) = (m.channels, m.side, m.width(), m.side);
            return Err(Problem::new(format!(
                "the items have the shape [{c}, {h}, {w}]; power in {dimensions} dimensions needs [{channels}, {side}, {side}]"
            ))
            .help("cubes need `dimensions: 3`, and their first axis where channels stand"));
        }
        let grid = Grid { side: m.side, dimensions: dimensions as u32, box_mpc_h };
        Ok(Self { ours, theirs, grid })
    }

    /// The spectra of both sides, about each map's own mean.
    fn own(&self, estimator: &Estimator) -> Result<[Vec<Vec<f64>>; 2]> {
        let of = |fields: &Fields| power::spectra(estimator, &fields.data, Contrast::OWN);
        Ok([of(&self.ours)?, of(&self.theirs)?])
    }
}

/// Spectra of samples and of a reference that may be compared, with the simulations that they are from.
struct Pair {
    ours: Vec<Vec<f64>>,
    theirs: Vec<Vec<f64>>,
    groups: [Vec<usize>; 2],
    mean_ratio: f64,
}

/// Writes the power spectrum of samples beside that of the reference.
pub(super) fn power_spectrum(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &PowerSpectrum,
) -> Result<()> {
    let both = Both::read(context, measure.dimensions)?;
    let estimator = Estimator::new(both.grid, measure.binning, measure.assignment.order());
    let pairs = match measure.matched {
        true => both.ours.matched(&both.theirs)?,
        false => vec![[&both.ours, &both.theirs].map(|side| (0..side.len()).collect())],
    };
    let pairs: Vec<Pair> = pairs
        .iter()
        .map(|pair| spectra_of(&both, pair, &estimator, measure))
        .collect::<Result<_>>()?;
    let values = numbers(&pairs);
    let all = |of: fn(&Pair) -> &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        pairs.iter().flat_map(of).cloned().collect()
    };
    let (ours, theirs) = (all(|pair| &pair.ours), all(|pair| &pair.theirs));
    let (one, other) = (summarise(&ours), summarise(&theirs));
    let (ratio, ratio_error) = power::ratio(&one, ours.len(), &other, theirs.len());
    let z = (0..ratio.len()).map(|b| {
        let of = |s: &summary::Summary, n: usize| s.deviation[b].powi(2) / n as f64;
        (one.mean[b] - other.mean[b]) / (of(&one, ours.len()) + of(&other, theirs.len())).sqrt()
    });
    let mut columns = by_name([
        ("x", estimator.k_h_mpc.clone()),
        ("modes", estimator.modes.clone()),
        ("z", z.collect()),
        ("transfer", ratio.iter().map(|ratio| ratio.sqrt()).collect()),
        ("ratio", ratio),
        ("ratio_error", ratio_error),
    ]);
    columns.extend(columns_of(one, other));
    let y_unit = format!("(Mpc/h)^{}", measure.dimensions);
    let series = Series { x_unit: "h/Mpc".to_owned(), y_unit, columns };
    publish(context, settings, values, ("power_spectrum", series))?;
    let bins = estimator.k_h_mpc.len();
    npy::write_f64(&context.job.work.join("spectra.npy"), &[ours.len(), bins], &ours.concat())
}

fn spectra_of(
    both: &Both,
    [ours, theirs]: &[Vec<usize>; 2],
    estimator: &Estimator,
    measure: &PowerSpectrum,
) -> Result<Pair> {
    let groups = [
        ours.iter().map(|i| both.ours.groups[*i]).collect(),
        theirs.iter().map(|i| both.theirs.groups[*i]).collect(),
    ];
    let (ours, theirs) = (both.ours.chosen(ours), both.theirs.chosen(theirs));
    let mut contrast = Contrast { space: measure.space, mean: None };
    if measure.mean == MeanOf::Ensemble {
        contrast.mean = Some(contrast.mean_of(&theirs));
    }
    let mean_ratio = Contrast::OWN.mean_of(&ours) / Contrast::OWN.mean_of(&theirs);
    Ok(Pair {
        ours: power::spectra(estimator, &ours, contrast)?,
        theirs: power::spectra(estimator, &theirs, contrast)?,
        groups,
        mean_ratio,
    })
}

/// The metrics of pairs: their means, chi-squared by sample.
fn numbers(pairs: &[Pair]) -> Vec<(&'static str, f64, &'static str)> {
    let over_pairs = |of: &dyn Fn(&Pair) -> f64| mean(&pairs.iter().map(of).collect::<Vec<_>>());
    let error = |pair: &Pair| summary::error(&pair.ours, &pair.theirs, relative);
    let floor =
        |pair: &Pair| summary::floor(&pair.theirs, pair.ours.len(), relative).unwrap_or(f64::NAN);
    let largest =
        |pair: &Pair| power::deviations(&pair.ours, &pair.theirs).into_iter().fold(0.0, f64::max);
    // Of several conditions each is a draw; of one, its simulations are.
    let error_deviation = match pairs {
        [pair] => {
            let sides = [(&*pair.ours, &*pair.groups[0]), (&*pair.theirs, &*pair.groups[1])];
            summary::bootstrap(sides, relative).unwrap_or(f64::NAN)
        }
        pairs => {
            let errors: Vec<f64> = pairs.iter().map(error).collect();
            summary::deviation(&errors) / (errors.len() as f64).sqrt()
        }
    };
    let chi_squared: Vec<f64> = pairs
        .iter()
        .flat_map(|pair| summary::chi_squared(&pair.ours, &summarise(&pair.theirs)))
        .collect();
    let without_own: Vec<f64> =
        pairs.iter().flat_map(|pair| summary::chi_squared_without_own(&pair.theirs)).collect();
    vec![
        ("error", over_pairs(&error), ""),
        ("error_deviation", error_deviation, ""),
        ("floor", over_pairs(&floor), ""),
        ("max_deviation", over_pairs(&largest), ""),
        ("chi_squared", mean(&chi_squared), ""),
        ("chi_squared_floor", mean(&without_own), ""),
        ("mean_ratio", over_pairs(&|pair| pair.mean_ratio), ""),
    ]
}

/// Writes how the power spectra of samples scatter, beside those of the reference.
pub(super) fn covariance(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &Covariance,
) -> Result<()> {
    let both = Both::read(context, 2)?;
    let estimator = Estimator::new(both.grid, measure.binning, 0);
    let [ours, theirs] = both.own(&estimator)?;
    if ours.len().min(theirs.len()) < 3 {
        return Err(Problem::new("a covariance takes at least three maps on each side"));
    }
    let bins = estimator.k_h_mpc.len();
    let scatter = |spectra: &[Vec<f64>]| {
        let covariance = summary::covariance(spectra);
        let correlation = summary::correlation(&covariance, bins);
        let variance: Vec<f64> = (0..bins).map(|b| covariance[b * bins + b]).collect();
        (covariance, correlation, variance)
    };
    let apart = |ours: &[Vec<f64>], theirs: &[Vec<f64>]| {
        let ((_, a, v), (_, b, w)) = (scatter(ours), scatter(theirs));
        let off = (0..a.len()).filter(|at| at / bins != at % bins);
        let off: Vec<f64> = off.map(|at| (a[at] - b[at]).abs()).collect();
        [relative(&v, &w), mean(&off)]
    };
    // Halves of the reference, of as many maps as there are samples.
    let half = ours.len().min(theirs.len() / 2);
    let floors = if half < 3 {
        [f64::NAN; 2]
    } else {
        let starts = (0..theirs.len() / half).map(|i| i * half);
        let each: Vec<[f64; 2]> = starts
            .map(|at| {
                let rest = [&theirs[..at], &theirs[at + half..]].concat();
                apart(&theirs[at..at + half], &rest)
            })
            .collect();
        [0, 1].map(|i| mean(&each.iter().map(|floor| floor[i]).collect::<Vec<_>>()))
    };
    let [variance_error, correlation_error] = apart(&ours, &theirs);
    let ((covariance, _, variance), (known, _, reference)) = (scatter(&ours), scatter(&theirs));
    let ratio: Vec<f64> = variance.iter().zip(&reference).map(|(v, w)| v / w).collect();
    let values = vec![
        ("variance_error", variance_error, ""),
        ("variance_floor", floors[0], ""),
        ("variance_ratio", mean(&ratio), ""),
        ("correlation_error", correlation_error, ""),
        ("correlation_floor", floors[1], ""),
        ("hartlap", summary::hartlap(ours.len(), bins), ""),
    ];
    let columns = by_name([
        ("x", estimator.k_h_mpc),
        ("variance", variance),
        ("reference_variance", reference),
        ("ratio", ratio),
    ]);
    let series = Series { x_unit: "h/Mpc".to_owned(), y_unit: "(Mpc/h)^4".to_owned(), columns };
    publish(context, settings, values, ("covariance", series))?;
    let work = &context.job.work;
    npy::write_f64(&work.join("covariance.npy"), &[bins, bins], &covariance)?;
    npy::write_f64(&work.join("reference_covariance.npy"), &[bins, bins], &known)
}

/// Writes what samples and the items that they belong to have in common.
pub(super) fn cross_spectrum(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &CrossSpectrum,
) -> Result<()> {
    let both = Both::read(context, 2)?;
    let (n, m) = (both.ours.len(), both.theirs.len());
    if n != m {
        let problem = Problem::new(format!("{n} samples cannot belong to {m} items one by one"));
        return Err(problem.help("compare as many samples as the reference has items"));
    }
    let estimator = Estimator::new(both.grid, measure.binning, 0);
    let pairs: Vec<(&[f64], &[f64])> = both.ours.items().zip(both.theirs.items()).collect();
    let correlations: Vec<Vec<f64>> = pairs
        .par_iter()
        .map(|(ours, theirs)| {
            let (ours, theirs) = (Contrast::OWN.of(ours)?, Contrast::OWN.of(theirs)?);
            Ok(estimator.correlation(&ours, &theirs))
        })
        .collect::<Result<_>>()?;
    let [ours, theirs] = both.own(&estimator)?;
    let power = [&ours, &theirs].map(|spectra| summarise(spectra).mean);
    let transfer: Vec<f64> = power[0].iter().zip(&power[1]).map(|(p, r)| (p / r).sqrt()).collect();
    let per_pair: Vec<f64> = correlations.iter().map(|bins| mean(bins)).collect();
    let ones = vec![1.0; transfer.len()];
    let values = vec![
        ("correlation", mean(&per_pair), ""),
        ("correlation_deviation", summary::deviation(&per_pair) / (n as f64).sqrt(), ""),
        ("transfer_error", relative(&transfer, &ones), ""),
    ];
    let summary = summarise(&correlations);
    let columns = by_name([
        ("x", estimator.k_h_mpc),
        ("mean", summary.mean),
        ("deviation", summary.deviation),
        ("low", summary.low),
        ("high", summary.high),
        ("transfer", transfer),
    ]);
    let series = Series { x_unit: "h/Mpc".to_owned(), y_unit: String::new(), columns };
    publish(context, settings, values, ("cross_spectrum", series))
}

/// Writes the equilateral bispectrum of samples beside that of the reference.
pub(super) fn bispectrum(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &Bispectrum,
) -> Result<()> {
    let both = Both::read(context, 2)?;
    let last = (both.grid.side / 3).max(2) as u64;
    let shells: Vec<u64> = (2..=last).step_by(measure.every as usize).collect();
    let triangles = Triangles::new(both.grid.side, both.grid.box_mpc_h, &shells);
    let of = |fields: &Fields| -> Result<Vec<Vec<f64>>> {
        let items: Vec<&[f64]> = fields.items().collect();
        let each = items.par_iter().map(|item| Ok(triangles.bispectrum(&Contrast::OWN.of(item)?)));
        each.collect()
    };
    let (ours, theirs) = (of(&both.ours)?, of(&both.theirs)?);
    let groups = [&*both.ours.groups, &*both.theirs.groups];
    let values = compared([(&ours, groups[0]), (&theirs, groups[1])], scaled);
    // The mean wave number of a shell is that of a bin of the same width.
    let bins = Estimator::new(both.grid, Binning::Round, 0).k_h_mpc;
    let mut columns = by_name([
        ("x", shells.iter().map(|shell| bins[*shell as usize - 1]).collect()),
        ("triangles", triangles.triangles),
    ]);
    columns.extend(columns_of(summarise(&ours), summarise(&theirs)));
    let series = Series { x_unit: "h/Mpc".to_owned(), y_unit: "(Mpc/h)^4".to_owned(), columns };
    publish(context, settings, values, ("bispectrum", series))
}
