//! Whether samples are copies of items of the training.

use super::fields::{Fields, check_alike};
use super::{by_name, publish};
use crate::measure::features::nearest;
use crate::measure::summary::percentile;
use crate::random::Stream;
use crate::serve::Context;
use ablate::job::Series;
use ablate::problem::{Problem, Result};
use ablate::settings::{Evaluate, Memorisation};
use tch::Tensor;

/// A sample this much nearer to one item than to any other is a copy (Yoon et al. 2023).
const COPY: f64 = 1.0 / 3.0;

/// Items of the training that are looked for among the others, at most.
const OWN: usize = 1000;

/// Numbers of each side that are compared, at most: of more, those of evenly chosen items.
const NUMBERS: usize = 1 << 28;

/// Writes how near samples are to the items of the training.
pub(super) fn memorisation(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &Memorisation,
) -> Result<()> {
    let read = |role: &str| Fields::read(context, role, NUMBERS)?.seen_in(measure.space, role);
    let (ours, theirs) = (read("samples")?, read("reference")?);
    check_alike(&ours.manifest, &theirs.manifest)?;
    if theirs.len() < 3 {
        return Err(Problem::new("with fewer than three items nothing is nearer than the rest"));
    }
    let tensor = |fields: &Fields| {
        let each = fields.each() as i64;
        Tensor::from_slice(&fields.data).view([-1, each]).to_kind(tch::Kind::Float)
    };
    let (samples, known) = (tensor(&ours), tensor(&theirs));
    let found = ratios(&nearest(&samples, &known, 2));
    let mut own = Stream::new(0, "items", 0).permutation(theirs.len());
    own.truncate(OWN);
    let own: Vec<i64> = own.into_iter().map(|i| i as i64).collect();
    let own = known.index_select(0, &Tensor::from_slice(&own));
    // The nearest of an item is itself.
    let floor = ratios(&nearest(&own, &known, 3).narrow(1, 1, 2));
    let copies = found.iter().filter(|ratio| **ratio < COPY).count() as f64;
    let values = vec![
        ("copies", copies / found.len() as f64, ""),
        ("nearness", percentile(&found, 50.0), ""),
        ("nearness_floor", percentile(&floor, 50.0), ""),
        ("items", theirs.len() as f64, ""),
    ];
    let sample = (0..found.len()).map(|i| i as f64).collect();
    let columns = by_name([("x", sample), ("ratio", found)]);
    let series = Series { x_unit: "sample".to_owned(), y_unit: String::new(), columns };
    publish(context, settings, values, ("memorisation", series))
}

/// The first over the second of two distances `[n, 2]`; 0 if both are.
fn ratios(distances: &Tensor) -> Vec<f64> {
    let (first, second) = (distances.select(1, 0), distances.select(1, 1));
    let ratios = first / second.clamp_min(f64::MIN_POSITIVE);
    Vec::try_from(ratios.to_kind(tch::Kind::Double)).unwrap_or_default()
}
