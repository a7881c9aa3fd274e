//! The one-point distribution: how often each value occurs among all pixels, whatever stands beside them.
//! Distances between the distributions of two sets of pixels, and moments, in 64 bits.

use super::summary::percentile_of_sorted;
use rayon::prelude::*;

/// Values in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sorted(Vec<f64>);

impl Sorted {
    /// Sorts values, at least one, all finite.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.par_sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    /// A percentile, see [`percentile_of_sorted`].
    pub fn percentile(&self, percent: f64) -> f64 {
        percentile_of_sorted(&self.0, percent)
    }
}

/// Goes through the values of two sets in ascending order: calls `each` with the shares of both sets that lie at
/// or below a value, and the distance from there to the next one.
fn steps(a: &Sorted, b: &Sorted, mut each: impl FnMut(f64, f64, f64)) {
    let (a, b) = (&a.0, &b.0);
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let next = |i: usize, j: usize| match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => x.min(*y),
            (Some(x), None) | (None, Some(x)) => *x,
            (None, None) => f64::NAN,
        };
        let here = next(i, j);
        while a.get(i).is_some_and(|x| *x <= here) {
            i += 1;
        }
        while b.get(j).is_some_and(|x| *x <= here) {
            j += 1;
        }
        let width = if i < a.len() || j < b.len() { next(i, j) - here } else { 0.0 };
        each(i as f64 / a.len() as f64, j as f64 / b.len() as f64, width);
    }
}

/// Returns the area between the two cumulative distributions: the first Wasserstein distance, in the
/// unit of the values.
pub fn wasserstein(a: &Sorted, b: &Sorted) -> f64 {
    let mut area = 0.0;
    steps(a, b, |f, g, width| area += (f - g).abs() * width);
    area
}

/// Returns the largest difference of the two cumulative distributions (Kolmogorov-Smirnov).
pub fn kolmogorov_smirnov(a: &Sorted, b: &Sorted) -> f64 {
    let mut largest = 0.0_f64;
    steps(a, b, |f, g, _| largest = largest.max((f - g).abs()));
    largest
}

/// Groups that a floor is averaged over, at most: each costs a sort of all pixels.
pub const GROUPS: usize = 16;

/// What [`wasserstein`] would be for perfect samples: the maps of the reference are cut into disjoint groups
/// of `count` (at most half of them), the first [`GROUPS`] of them are compared with the rest each, and the
/// distances are averaged. `None` for fewer than two maps.
pub fn floor(maps: &[Vec<f64>], count: usize) -> Option<f64> {
    let size = count.min(maps.len() / 2);
    if size == 0 {
        return None;
    }
    let groups = (maps.len() / size).min(GROUPS);
    let one = |group: usize| {
        let range = group * size..(group + 1) * size;
        let part = |inside: bool| {
            let of = maps.iter().enumerate().filter(|(i, _)| range.contains(i) == inside);
            Sorted::new(of.flat_map(|(_, map)| map.iter().copied()).collect())
        };
        wasserstein(&part(true), &part(false))
    };
    Some((0..groups).map(one).sum::<f64>() / groups as f64)
}

/// Returns the density of values in bins with these ascending edges: shares of the values inside all bins,
/// over the widths. The last bin holds its upper edge.
pub fn density(values: &[f64], edges: &[f64]) -> Vec<f64> {
    let bins = edges.len() - 1;
    let (low, high) = (edges[0], edges[bins]);
    let per_unit = bins as f64 / (high - low);
    let mut counts = vec![0_u64; bins];
    for value in values.iter().filter(|value| **value >= low && **value <= high) {
        // Where it would be among even edges; from there to where it is.
        let mut bin = (((value - low) * per_unit) as usize).min(bins - 1);
        while *value < edges[bin] {
            bin -= 1;
        }
        while bin + 1 < bins && *value >= edges[bin + 1] {
            bin += 1;
        }
        counts[bin] += 1;
    }
    let inside = counts.iter().sum::<u64>().max(1) as f64;
    let widths = edges.windows(2).map(|pair| pair[1] - pair[0]);
    counts.iter().zip(widths).map(|(count, width)| *count as f64 / inside / width).collect()
}

/// Mean, standard deviation (n), skewness and excess kurtosis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f64,
    /// The standard deviation about it, by n.
    pub deviation: f64,
    /// The third moment in units of the deviation.
    pub skewness: f64,
    /// The fourth in the same units, less the 3 of a normal law.
    pub kurtosis: f64,
}

impl Moments {
    /// The moments of values, at least one.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let central = |power: i32| values.iter().map(|x| (x - mean).powi(power)).sum::<f64>() / n;
        let deviation = central(2).sqrt();
        Self {
            mean,
            deviation,
            skewness: central(3) / deviation.powi(3),
            kurtosis: central(4) / deviation.powi(4) - 3.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_shifted_and_uneven_sets_are_those_by_hand() {
        let sorted = |values: &[f64]| Sorted::new(values.to_vec());
        let (a, b) = (sorted(&[2.0, 0.0, 1.0]), sorted(&[2.5, 0.5, 1.5]));
        assert!((wasserstein(&a, &b) - 0.5).abs() < 1e-15);
        assert!((kolmogorov_smirnov(&a, &b) - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!((wasserstein(&a, &a), kolmogorov_smirnov(&a, &a)), (0.0, 0.0));
        // Half of the mass moves by 1, and equal values of both sets count at once.
        let (c, d) = (sorted(&[0.0, 0.0, 1.0, 1.0]), sorted(&[1.0]));
        assert!((wasserstein(&c, &d) - 0.5).abs() < 1e-15);
        assert!((kolmogorov_smirnov(&c, &d) - 0.5).abs() < 1e-15);
        assert_eq!(a.percentile(25.0), 0.5);
    }

    #[test]
    fn the_floor_falls_with_the_number_of_maps_and_needs_two() {
        let map = |seed: u64| {
            crate::random::Stream::new(seed, "floor", 0)
                .normal_f32(64)
                .into_iter()
                .map(f64::from)
                .collect::<Vec<f64>>()
        };
        let maps: Vec<Vec<f64>> = (0..64).map(map).collect();
        let (few, many) = (floor(&maps, 1).unwrap(), floor(&maps, 32).unwrap());
        assert!(few > 2.0 * many && many > 0.0, "{few} {many}");
        assert_eq!(floor(&maps[..1], 1), None);
    }

    #[test]
    fn a_density_counts_what_lies_inside() {
        let got = density(&[-1.0, 0.0, 0.4, 0.5, 1.0, 9.0], &[0.0, 0.5, 1.0]);
        assert_eq!(got, [1.0, 1.0]);
    }
}
