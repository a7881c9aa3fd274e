//! Sets of vectors, one for each map, and their comparison entry by entry: means, bands, distances, the floor of
//! a reference, and the uncertainty by resampling. In 64 bits, independent of the number of threads.

use crate::random::Stream;
use rayon::prelude::*;

/// Statistics over maps, entry by entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Mean over maps.
    pub mean: Vec<f64>,
    /// Sample standard deviation over maps.
    pub deviation: Vec<f64>,
    /// 16th percentile over maps.
    pub low: Vec<f64>,
    /// 84th percentile over maps.
    pub high: Vec<f64>,
}

/// Statistics of the vectors of maps, `[maps][entries]`.
pub fn summarise(vectors: &[Vec<f64>]) -> Summary {
    let entries = vectors.first().map_or(0, Vec::len);
    let column = |e: usize| -> Vec<f64> { vectors.iter().map(|v| v[e]).collect() };
    let columns: Vec<Vec<f64>> = (0..entries).map(column).collect();
    Summary {
        mean: columns.iter().map(|c| mean(c)).collect(),
        deviation: columns.iter().map(|c| deviation(c)).collect(),
        low: columns.iter().map(|c| percentile(c, 16.0)).collect(),
        high: columns.iter().map(|c| percentile(c, 84.0)).collect(),
    }
}

/// The mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation, over n - 1.
pub fn deviation(values: &[f64]) -> f64 {
    let m = mean(values);
    (values.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)).sqrt()
}

/// A percentile with linear interpolation between the sorted values.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile_of_sorted(&sorted, percent)
}

/// The same of values in ascending order, at least one.
pub fn percentile_of_sorted(sorted: &[f64], percent: f64) -> f64 {
    let position = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, share) = (position.floor() as usize, position.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + share * (sorted[above] - sorted[below])
}

/// How far the mean vector of samples is from that of a reference.
pub type Distance = fn(&[f64], &[f64]) -> f64;

/// The mean over entries of abs(ours / theirs - 1).
pub fn relative(ours: &[f64], theirs: &[f64]) -> f64 {
    let each = ours.iter().zip(theirs).map(|(a, b)| (a / b - 1.0).abs());
    each.sum::<f64>() / ours.len() as f64
}

/// The sum over entries of abs(ours - theirs), over that of abs(theirs): for entries that may be zero.
pub fn scaled(ours: &[f64], theirs: &[f64]) -> f64 {
    let apart: f64 = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).sum();
    apart / theirs.iter().map(|b| b.abs()).sum::<f64>()
}

/// The mean vector of some maps.
fn mean_of<'v>(vectors: impl Iterator<Item = &'v Vec<f64>>) -> Vec<f64> {
    let (mut sum, mut count) = (vec![], 0.0);
    for vector in vectors {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= count);
    sum
}

/// The distance of two sets.
pub fn error(ours: &[Vec<f64>], theirs: &[Vec<f64>], distance: Distance) -> f64 {
    distance(&mean_of(ours.iter()), &mean_of(theirs.iter()))
}

/// What [`error`] would be for perfect samples: the reference is cut into disjoint groups of `count`
/// maps (at most half of it), each is compared with the rest, and the errors are averaged.
/// `None` for fewer than two reference maps.
pub fn floor(reference: &[Vec<f64>], count: usize, distance: Distance) -> Option<f64> {
    let size = count.min(reference.len() / 2);
    if size == 0 {
        return None;
    }
    let one = |group: usize| {
        let range = group * size..(group + 1) * size;
        let rest = reference[..range.start].iter().chain(&reference[range.end..]);
        distance(&mean_of(reference[range.clone()].iter()), &mean_of(rest))
    };
    let errors: Vec<f64> = (0..reference.len() / size).into_par_iter().map(one).collect();
    Some(mean(&errors))
}

/// Resampled sets that an uncertainty is taken from.
const RESAMPLED: u64 = 200;

/// The standard deviation of [`error`] when maps are drawn again with replacement from both sets (bootstrap; Efron
/// 1979), those of a simulation together: `groups` says which map belongs to which. `None` for fewer than two
/// simulations on a side.
pub fn bootstrap(sides: [(&[Vec<f64>], &[usize]); 2], distance: Distance) -> Option<f64> {
    let [ours, theirs] = sides.map(|(vectors, groups)| sums(vectors, groups));
    if ours.len().min(theirs.len()) < 2 {
        return None;
    }
    let again = |of: &[(Vec<f64>, f64)], stream: &mut Stream| {
        let mut all = (vec![0.0; of[0].0.len()], 0.0);
        for _ in 0..of.len() {
            let (sum, count) = &of[stream.below(of.len() as u64) as usize];
            all.0.iter_mut().zip(sum).for_each(|(all, value)| *all += value);
            all.1 += count;
        }
        all.0.iter().map(|sum| sum / all.1).collect::<Vec<f64>>()
    };
    let one = |i: u64| {
        let stream = &mut Stream::new(0, "bootstrap", i);
        let ours = again(&ours, stream);
        distance(&ours, &again(&theirs, stream))
    };
    let errors: Vec<f64> = (0..RESAMPLED).into_par_iter().map(one).collect();
    Some(deviation(&errors))
}

/// The sum of the vectors of each group, and how many they are.
fn sums(vectors: &[Vec<f64>], groups: &[usize]) -> Vec<(Vec<f64>, f64)> {
    let mut all: std::collections::BTreeMap<usize, (Vec<f64>, f64)> = Default::default();
    for (vector, group) in vectors.iter().zip(groups) {
        let (sum, count) = all.entry(*group).or_insert_with(|| (vec![0.0; vector.len()], 0.0));
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        *count += 1.0;
    }
    all.into_values().collect()
}

/// Reduced chi-squared of each vector about the mean of a reference, in units of its deviation entry by entry: the
/// sum over entries / (entries - 1), whatever correlates.
pub fn chi_squared(ours: &[Vec<f64>], theirs: &Summary) -> Vec<f64> {
    let one = |vector: &Vec<f64>| {
        let entries = vector.iter().zip(&theirs.mean).zip(&theirs.deviation);
        let sum: f64 = entries.map(|((x, mean), deviation)| ((x - mean) / deviation).powi(2)).sum();
        sum / (vector.len() as f64 - 1.0)
    };
    ours.iter().map(one).collect()
}

/// [`chi_squared`] of each vector of a reference about the others: what perfect samples would have. Empty for fewer
/// than three.
pub fn chi_squared_without_own(theirs: &[Vec<f64>]) -> Vec<f64> {
    if theirs.len() < 3 {
        return vec![];
    }
    let n = theirs.len() as f64;
    let all = summarise(theirs);
    let one = |vector: &Vec<f64>| {
        // Mean and variance without this vector, from those of all.
        let entries = vector.iter().zip(&all.mean).zip(&all.deviation);
        let squares = entries.map(|((x, mean), deviation)| {
            let apart = x - mean;
            let others = (n - 1.0) * deviation.powi(2) - n / (n - 1.0) * apart.powi(2);
            (n / (n - 1.0) * apart).powi(2) / (others / (n - 2.0))
        });
        squares.sum::<f64>() / (vector.len() as f64 - 1.0)
    };
    theirs.iter().map(one).collect()
}

/// The covariance of entries over maps, by n - 1: `[entries * entries]` in C order.
pub fn covariance(vectors: &[Vec<f64>]) -> Vec<f64> {
    let center = mean_of(vectors.iter());
    let entries = center.len();
    let mut sums = vec![0.0; entries * entries];
    for vector in vectors {
        let apart: Vec<f64> = vector.iter().zip(&center).map(|(x, mean)| x - mean).collect();
        for (i, row) in sums.chunks_exact_mut(entries).enumerate() {
            row.iter_mut().zip(&apart).for_each(|(sum, other)| *sum += apart[i] * other);
        }
    }
    sums.iter().map(|sum| sum / (vectors.len() as f64 - 1.0)).collect()
}

/// The correlation matrix of a covariance of so many entries.
pub fn correlation(covariance: &[f64], entries: usize) -> Vec<f64> {
    let deviation = |i: usize| covariance[i * entries + i].sqrt();
    let one = |at: usize| covariance[at] / (deviation(at / entries) * deviation(at % entries));
    (0..covariance.len()).map(one).collect()
}

/// What the inverse of a covariance of `entries` from so many maps must be multiplied by (Hartlap et al. 2007).
pub fn hartlap(maps: usize, entries: usize) -> f64 {
    (maps as f64 - entries as f64 - 2.0) / (maps as f64 - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::splitmix::normals;

    #[test]
    fn identical_maps_have_no_error_and_the_floor_is_that_of_the_reference() {
        let maps: Vec<Vec<f64>> = (0..8).map(|i| vec![1.0 + 0.1 * f64::from(i % 2), 2.0]).collect();
        assert_eq!(error(&maps, &maps, relative), 0.0);
        assert!(floor(&maps, 1, relative).unwrap() > floor(&maps, 4, relative).unwrap());
        assert_eq!(floor(&maps[..1], 4, relative), None);
        assert_eq!(scaled(&[1.0, -2.0], &[0.0, -4.0]), 0.75);
    }

    #[test]
    fn maps_of_one_simulation_count_as_fewer() {
        // Eight simulations of four equal maps each, and samples that do not vary.
        let noise = normals(1, 8);
        let theirs: Vec<Vec<f64>> = (0..32).map(|i| vec![10.0 + noise[i / 4]]).collect();
        let ours = vec![vec![20.0]; 8];
        let apart: Vec<usize> = (0..32).collect();
        let together: Vec<usize> = (0..32).map(|i| i / 4).collect();
        let of = |groups: &[usize]| {
            bootstrap([(&ours, &apart[..8]), (&theirs, groups)], relative).unwrap()
        };
        let ratio = of(&together) / of(&apart);
        assert!((1.6..2.4).contains(&ratio), "{ratio}");
        assert_eq!(bootstrap([(&ours, &[0; 8]), (&theirs, &apart)], relative), None);
    }

    #[test]
    fn leaving_out_needs_no_second_pass() {
        let theirs: Vec<Vec<f64>> = normals(2, 15).chunks(3).map(<[f64]>::to_vec).collect();
        for (i, got) in chi_squared_without_own(&theirs).into_iter().enumerate() {
            let mut others = theirs.clone();
            let own = others.remove(i);
            let want = chi_squared(&[own], &summarise(&others))[0];
            assert!((got / want - 1.0).abs() < 1e-12);
        }
        assert_eq!(chi_squared_without_own(&theirs[..2]), Vec::<f64>::new());
    }
}
