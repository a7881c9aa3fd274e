//! Distances between two sets of feature vectors, `[n, d]` and `[m, d]` in 64 bits on a CPU: how alike the
//! images are that a classifier saw them in.

use crate::random::Stream;
use tch::{Kind, Tensor};

/// Rows that are compared with all others at once.
const ROWS: i64 = 1024;

/// Blocks of rows of a covariance: more save more products, and make them smaller.
const BLOCKS: i64 = 4;

/// Subsets over which the kernel distance is averaged, and rows in each, as published.
const SUBSETS: u64 = 100;
const SUBSET: i64 = 1000;

/// How libtorch computes distances: by differences, not by products, which lose the digits of close
/// neighbours.
const BY_DIFFERENCES: i64 = 2;

fn mean(x: &Tensor) -> Tensor {
    x.mean_dim([0_i64].as_slice(), false, None::<Kind>)
}

/// Covariance `[d, d]` of rows, over n - 1.
fn covariance(x: &Tensor) -> Tensor {
    let (centred, d) = (x - mean(x), x.size()[1]);
    let block = (d + BLOCKS - 1) / BLOCKS;
    // It is symmetric: of each block of rows only what lies on and beyond the diagonal is multiplied.
    let row = |at: i64| {
        let rows = centred.narrow(1, at, block.min(d - at));
        let beyond = rows.tr().matmul(&centred.narrow(1, at, d - at));
        beyond.constant_pad_nd([at, 0])
    };
    let rows: Vec<Tensor> = (0..d).step_by(block as usize).map(row).collect();
    let upper = Tensor::cat(&rows, 0);
    (upper.triu(0) + upper.triu(1).tr()) / (x.size()[0] - 1) as f64
}

/// Returns the Fréchet distance of two normal distributions with these means `[d]` and covariances `[d, d]`:
/// abs(mean - mean')² + tr(C + C' - 2 (C C')^(1/2)) (Dowson & Landau 1982).
///
/// The trace of the root is the sum of the roots of the eigenvalues of C^(1/2) C' C^(1/2), which is symmetric.
pub fn frechet_of(means: [&Tensor; 2], covariances: [&Tensor; 2]) -> f64 {
    let (values, vectors) = covariances[0].linalg_eigh("L");
    let root = (&vectors * values.clamp_min(0.0).sqrt().unsqueeze(0)).matmul(&vectors.tr());
    let inner = root.matmul(covariances[1]).matmul(&root);
    let shared = ((&inner + inner.tr()) / 2.0).linalg_eigvalsh("L");
    let shared = shared.clamp_min(0.0).sqrt().sum(Kind::Double);
    let traces = covariances[0].trace() + covariances[1].trace();
    let apart = (means[0] - means[1]).square().sum(Kind::Double);
    (apart + traces - shared * 2.0).double_value(&[])
}

/// Returns the Fréchet distance of two sets, of at least two rows each (Heusel et al. 2017).
pub fn frechet(a: &Tensor, b: &Tensor) -> f64 {
    frechet_of([&mean(a), &mean(b)], [&covariance(a), &covariance(b)])
}

/// Returns the unbiased squared maximum mean discrepancy with the kernel (x y / d + 1)³ (Bińkowski et al. 2018);
/// it may be negative.
pub fn kernel_distance(a: &Tensor, b: &Tensor) -> f64 {
    let d = a.size()[1] as f64;
    let kernel = |x: &Tensor, y: &Tensor| (x.matmul(&y.tr()) / d + 1.0).pow_tensor_scalar(3);
    // Without the diagonal.
    let own = |x: &Tensor| {
        let (k, n) = (kernel(x, x), x.size()[0] as f64);
        (k.sum(Kind::Double) - k.trace()) / (n * (n - 1.0))
    };
    (own(a) + own(b) - kernel(a, b).mean(Kind::Double) * 2.0).double_value(&[])
}

/// Returns mean and standard deviation of the kernel distance over random subsets of a thousand rows; of
/// smaller sets the distance of the whole, and no deviation.
pub fn kernel_distances(a: &Tensor, b: &Tensor) -> (f64, Option<f64>) {
    let size = SUBSET.min(a.size()[0]).min(b.size()[0]);
    if size == a.size()[0] && size == b.size()[0] {
        return (kernel_distance(a, b), None);
    }
    let chosen = |x: &Tensor, purpose: &'static str, i: u64| {
        let order = Stream::new(0, purpose, i).permutation(x.size()[0] as usize);
        let first: Vec<i64> = order[..size as usize].iter().map(|row| *row as i64).collect();
        x.index_select(0, &Tensor::from_slice(&first))
    };
    let one =
        |i: u64| kernel_distance(&chosen(a, "kid samples", i), &chosen(b, "kid reference", i));
    let all: Vec<f64> = (0..SUBSETS).map(one).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len() as f64;
    (mean, Some(variance.sqrt()))
}

/// Distances of every row of `x` to every row of `y`, a block of rows of `x` at a time.
fn blocks<'t>(x: &'t Tensor, y: &'t Tensor) -> impl Iterator<Item = Tensor> + 't {
    let n = x.size()[0];
    (0..n)
        .step_by(ROWS as usize)
        .map(move |at| Tensor::cdist(&x.narrow(0, at, ROWS.min(n - at)), y, 2.0, BY_DIFFERENCES))
}

/// The distance of every row to its `k`-th neighbour among the others, `[n]`.
fn radii(x: &Tensor, k: i64) -> Tensor {
    // The nearest is the row itself.
    let k = (k + 1).min(x.size()[0]);
    let nearest = |block: Tensor| block.kthvalue(k, 1, false).0;
    Tensor::cat(&blocks(x, x).map(nearest).collect::<Vec<_>>(), 0)
}

/// The distances of every row of `x` to the `k` nearest of `y`, in ascending order, `[n, k]`.
pub fn nearest(x: &Tensor, y: &Tensor, k: i64) -> Tensor {
    let nearest = |block: Tensor| block.topk(k, 1, false, true).0;
    Tensor::cat(&blocks(x, y).map(nearest).collect::<Vec<_>>(), 0)
}

/// Share of the rows of `x` that lie within the radius of any row of `y`.
fn covered(x: &Tensor, y: &Tensor, radii: &Tensor) -> f64 {
    let within = |block: Tensor| {
        block.less_tensor(&radii.unsqueeze(0)).any_dim(1, false).sum(Kind::Int64).int64_value(&[])
    };
    blocks(x, y).map(within).sum::<i64>() as f64 / x.size()[0] as f64
}

/// Returns precision, the share of samples on the manifold of the reference, and recall, the share of the reference
/// on that of the samples; a manifold is all that is nearer to one of its points than that point's `k`-th
/// neighbour (Kynkäänniemi et al. 2019).
pub fn precision_recall(samples: &Tensor, reference: &Tensor, k: i64) -> (f64, f64) {
    let precision = covered(samples, reference, &radii(reference, k));
    (precision, covered(reference, samples, &radii(samples, k)))
}

/// Returns density, how many of the reference's balls hold a sample, over `k`, and coverage, the share of those balls
/// that hold any (Naeem et al. 2020).
pub fn density_coverage(samples: &Tensor, reference: &Tensor, k: i64) -> (f64, f64) {
    let radii = radii(reference, k);
    let held =
        |block: Tensor| block.less_tensor(&radii.unsqueeze(0)).sum(Kind::Int64).int64_value(&[]);
    let held = blocks(samples, reference).map(held).sum::<i64>() as f64;
    let density = held / (k * samples.size()[0]) as f64;
    let nearest = Tensor::cat(
        &blocks(reference, samples)
            .map(|block| block.amin([1_i64].as_slice(), false))
            .collect::<Vec<_>>(),
        0,
    );
    let coverage = nearest.less_tensor(&radii).to_kind(Kind::Double).mean(Kind::Double);
    (density, coverage.double_value(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(purpose: &'static str, n: usize, d: usize) -> Tensor {
        let numbers = Stream::new(5, purpose, 0).normal_f32(n * d);
        Tensor::from_slice(&numbers).view([n as i64, d as i64]).to_kind(Kind::Double)
    }

    #[test]
    fn a_set_is_no_distance_from_itself_and_a_shift_is_its_square() {
        let a = cloud("a", 300, 3);
        assert!(frechet(&a, &a).abs() < 1e-9);
        let moved = &a + Tensor::from_slice(&[3.0, 0.0, 4.0]);
        assert!((frechet(&a, &moved) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn fewer_rows_than_features_still_have_a_distance() {
        let (a, b) = (cloud("a", 4, 9), cloud("b", 4, 9));
        assert!(frechet(&a, &b) > 0.0 && frechet(&a, &a).abs() < 1e-6);
    }

    #[test]
    fn the_kernel_distance_of_two_draws_of_one_law_is_nothing_within_its_deviation() {
        let (mean, deviation) = kernel_distances(&cloud("a", 1500, 4), &cloud("b", 1500, 4));
        assert!(mean.abs() < 3.0 * deviation.unwrap(), "{mean} {deviation:?}");
        let small = cloud("c", 50, 4);
        assert_eq!(kernel_distances(&small, &cloud("d", 50, 4)).1, None);
    }

    #[test]
    fn what_is_far_away_is_neither_precise_nor_recalled() {
        let (a, b) = (cloud("a", 1300, 2), cloud("b", 1300, 2));
        let (precision, recall) = precision_recall(&a, &b, 3);
        assert!(precision > 0.9 && recall > 0.9, "{precision} {recall}");
        let (density, coverage) = density_coverage(&a, &b, 5);
        assert!((density - 1.0).abs() < 0.1 && coverage > 0.9, "{density} {coverage}");
        let far = a + 100.0;
        assert_eq!(precision_recall(&far, &b, 3), (0.0, 0.0));
        assert_eq!(density_coverage(&far, &b, 5), (0.0, 0.0));
    }
}
