//! Power spectra of periodic fields in two and three dimensions, and their comparison with those of
//! a reference. Wave numbers are binned by their integer squares, so no mode can fall into a wrong
//! bin by rounding; all arithmetic is in 64 bits and independent of the number of threads.
//!
//! P = (L / N^2)^d |F|^2 for N^d pixels over a box of side L, F the unnormalised transform of the
//! density contrast. The k of a bin is the mean |k| of its modes; bins end at the Nyquist number.

use ablate::problem::{Problem, Result};
use ablate::settings::Binning;
use rayon::prelude::*;
use realfft::num_complex::Complex64;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::FftPlanner;
use std::f64::consts::{PI, TAU};
use std::sync::Arc;

/// A periodic grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Pixels along one side.
    pub side: usize,
    /// 2 or 3.
    pub dimensions: u32,
    /// Side of the box, in Mpc/h.
    pub box_mpc_h: f64,
}

impl Grid {
    /// Pixels in all.
    pub fn pixels(&self) -> usize {
        self.side.pow(self.dimensions)
    }
}

/// Measures the power of fields on one grid; plans are made once.
pub struct Estimator {
    grid: Grid,
    rows: Arc<dyn RealToComplex<f64>>,
    columns: Arc<dyn rustfft::Fft<f64>>,
    /// Bin of each mode of the half lattice, from 1; 0 means none.
    bin: Vec<usize>,
    /// Full-lattice modes that each mode of the half lattice stands for, 1 or 2.
    weight: Vec<f64>,
    /// What each mode's power is divided by: the window of the mass assignment.
    window: Vec<f64>,
    /// Mean wave number of each bin, in h/Mpc.
    pub k_h_mpc: Vec<f64>,
    /// Modes of the full lattice in each bin.
    pub modes: Vec<f64>,
}

impl Estimator {
    /// An estimator; `assignment` is the order of the mass assignment to undo (0 none, 1 nearest grid
    /// point, 2 cloud in cell, 3 triangular, 4 piecewise cubic).
    pub fn new(grid: Grid, binning: Binning, assignment: i32) -> Self {
        let half = grid.side / 2 + 1;
        let size = grid.side.pow(grid.dimensions - 1) * half;
        let last = grid.side / 2;
        let squared =
            |mode: usize| frequencies(grid, mode).iter().map(|n| n * n).sum::<i64>() as u64;
        let bin: Vec<usize> = (0..size)
            .map(|mode| bin_of(squared(mode), binning))
            .map(|bin| if bin <= last { bin } else { 0 })
            .collect();
        let weight: Vec<f64> =
            (0..size).map(|mode| hermitian_weight(mode % half, grid.side)).collect();
        let window = (0..size).map(|mode| window(grid, mode, assignment)).collect();
        let (mut k, mut modes) = (vec![0.0; last], vec![0.0; last]);
        for mode in (0..size).filter(|mode| bin[*mode] > 0) {
            modes[bin[mode] - 1] += weight[mode];
            k[bin[mode] - 1] += weight[mode] * (squared(mode) as f64).sqrt();
        }
        let fundamental = TAU / grid.box_mpc_h;
        let k_h_mpc = k.iter().zip(&modes).map(|(sum, n)| fundamental * sum / n).collect();
        Self {
            grid,
            rows: RealFftPlanner::new().plan_fft_forward(grid.side),
            columns: FftPlanner::new().plan_fft_forward(grid.side),
            bin,
            weight,
            window,
            k_h_mpc,
            modes,
        }
    }

    /// Power of a contrast in each bin, in (Mpc/h)^d.
    pub fn auto(&self, contrast: &[f64]) -> Vec<f64> {
        let modes = self.transform(contrast);
        self.mean(|i| modes[i].norm_sqr())
    }

    /// Cross power of two contrasts in each bin.
    pub fn cross(&self, one: &[f64], other: &[f64]) -> Vec<f64> {
        let (a, b) = (self.transform(one), self.transform(other));
        self.mean(|i| (a[i] * b[i].conj()).re)
    }

    /// The weighted mean over the modes of each bin, in physical units.
    fn mean(&self, of: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.modes.len()];
        for (i, bin) in self.bin.iter().enumerate().filter(|(_, bin)| **bin > 0) {
            sums[bin - 1] += self.weight[i] * of(i) / self.window[i];
        }
        let unit = (self.grid.box_mpc_h / (self.grid.side as f64).powi(2))
            .powi(self.grid.dimensions as i32);
        sums.iter().zip(&self.modes).map(|(sum, modes)| unit * sum / modes).collect()
    }

    /// The unnormalised transform on the half lattice.
    fn transform(&self, field: &[f64]) -> Vec<Complex64> {
        let (n, half) = (self.grid.side, self.grid.side / 2 + 1);
        let mut out = vec![Complex64::default(); self.bin.len()];
        let mut row = vec![0.0; n];
        for (line, target) in field.chunks_exact(n).zip(out.chunks_exact_mut(half)) {
            row.copy_from_slice(line);
            self.rows.process(&mut row, target).expect("lengths are those of the plan");
        }
        let mut stride = half;
        for _ in 1..self.grid.dimensions {
            transform_axis(&mut out, n, stride, self.columns.as_ref());
            stride *= n;
        }
        out
    }
}

/// Complex transforms along the axis with this stride.
fn transform_axis(modes: &mut [Complex64], n: usize, stride: usize, plan: &dyn rustfft::Fft<f64>) {
    let mut line = vec![Complex64::default(); n];
    let mut scratch = vec![Complex64::default(); plan.get_inplace_scratch_len()];
    for block in modes.chunks_exact_mut(n * stride) {
        for offset in 0..stride {
            for (i, value) in line.iter_mut().enumerate() {
                *value = block[offset + i * stride];
            }
            plan.process_with_scratch(&mut line, &mut scratch);
            for (i, value) in line.iter().enumerate() {
                block[offset + i * stride] = *value;
            }
        }
    }
}

/// The signed frequencies of a mode of the half lattice, the last axis last.
fn frequencies(grid: Grid, mode: usize) -> Vec<i64> {
    let (n, half) = (grid.side, grid.side / 2 + 1);
    let signed = |i: usize| if i <= n / 2 { i as i64 } else { i as i64 - n as i64 };
    let mut out = vec![(mode % half) as i64];
    let mut rest = mode / half;
    for _ in 1..grid.dimensions {
        out.insert(0, signed(rest % n));
        rest /= n;
    }
    out
}

/// The bin of a mode with this squared integer wave number.
fn bin_of(squared: u64, binning: Binning) -> usize {
    let root = squared.isqrt();
    let bin = match binning {
        Binning::Floor => root,
        Binning::Ceil => root + u64::from(root * root < squared),
        // (root + 1/2)^2 lies between root^2 + root and the next integer.
        Binning::Round => root + u64::from(squared > root * root + root),
    };
    bin as usize
}

/// A mode of the half lattice also stands for its conjugate, unless that is on the half lattice too.
fn hermitian_weight(last: usize, side: usize) -> f64 {
    if last == 0 || (side.is_multiple_of(2) && last == side / 2) { 1.0 } else { 2.0 }
}

/// The squared window of a mass assignment of this order.
fn window(grid: Grid, mode: usize, order: i32) -> f64 {
    let sinc = |n: i64| {
        let x = PI * n as f64 / grid.side as f64;
        if n == 0 { 1.0 } else { x.sin() / x }
    };
    frequencies(grid, mode).iter().map(|n| sinc(*n).powi(2 * order)).product()
}

/// The density contrast of a field about its own mean.
///
/// # Errors
/// If the mean is not a positive number.
pub fn contrast(field: &[f64]) -> Result<Vec<f64>> {
    let mean = field.iter().sum::<f64>() / field.len() as f64;
    if !(mean.is_finite() && mean > 0.0) {
        return Err(Problem::system(format!("a density field has the mean {mean}")));
    }
    Ok(field.iter().map(|x| x / mean - 1.0).collect())
}

/// The power of each field in each bin, in the order of the fields.
///
/// # Errors
/// If a field has no positive mean; the sentence says which.
pub fn spectra(estimator: &Estimator, fields: &[f64]) -> Result<Vec<Vec<f64>>> {
    let each = fields.par_chunks_exact(estimator.grid.pixels()).enumerate().map(|(i, field)| {
        let contrast =
            contrast(field).map_err(|p| Problem::system(format!("field {i}: {}", p.sentence)))?;
        Ok(estimator.auto(&contrast))
    });
    each.collect()
}

/// Statistics over maps, bin by bin.
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

/// Statistics of the spectra of maps, `[maps][bins]`.
pub fn summarise(spectra: &[Vec<f64>]) -> Summary {
    let bins = spectra.first().map_or(0, Vec::len);
    let column = |b: usize| -> Vec<f64> { spectra.iter().map(|s| s[b]).collect() };
    let columns: Vec<Vec<f64>> = (0..bins).map(column).collect();
    Summary {
        mean: columns.iter().map(|c| mean(c)).collect(),
        deviation: columns.iter().map(|c| deviation(c)).collect(),
        low: columns.iter().map(|c| percentile(c, 16.0)).collect(),
        high: columns.iter().map(|c| percentile(c, 84.0)).collect(),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
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

/// The mean over bins of |P / P_reference - 1|, P the mean over maps.
pub fn error(spectra: &[Vec<f64>], reference: &[Vec<f64>]) -> f64 {
    mean(&deviations(spectra, reference))
}

/// |P / P_reference - 1| in each bin.
pub fn deviations(spectra: &[Vec<f64>], reference: &[Vec<f64>]) -> Vec<f64> {
    let (ours, theirs) = (summarise(spectra).mean, summarise(reference).mean);
    ours.iter().zip(&theirs).map(|(p, r)| (p / r - 1.0).abs()).collect()
}

/// What [`error`] would be for perfect samples: the reference is cut into disjoint groups of `count`
/// maps (at most half of it), each is compared with the rest, and the errors are averaged.
/// `None` for fewer than two reference maps.
pub fn floor(reference: &[Vec<f64>], count: usize) -> Option<f64> {
    let size = count.min(reference.len() / 2);
    if size == 0 {
        return None;
    }
    let one = |group: usize| {
        let range = group * size..(group + 1) * size;
        let (inside, outside): (Vec<_>, Vec<_>) =
            reference.iter().cloned().enumerate().partition(|(i, _)| range.contains(i));
        let strip =
            |maps: Vec<(usize, Vec<f64>)>| maps.into_iter().map(|(_, map)| map).collect::<Vec<_>>();
        error(&strip(inside), &strip(outside))
    };
    let errors: Vec<f64> = (0..reference.len() / size).into_par_iter().map(one).collect();
    Some(mean(&errors))
}

/// P / P_reference in each bin, with its standard error by the delta method.
pub fn ratio(
    ours: &Summary,
    count: usize,
    theirs: &Summary,
    reference: usize,
) -> (Vec<f64>, Vec<f64>) {
    let bin = |b: usize| {
        let ratio = ours.mean[b] / theirs.mean[b];
        let relative = |s: &Summary, n: usize| (s.deviation[b] / s.mean[b]).powi(2) / n as f64;
        (ratio, ratio * (relative(ours, count) + relative(theirs, reference)).sqrt())
    };
    (0..ours.mean.len()).map(bin).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::splitmix::normals;

    fn grid(side: usize, dimensions: u32) -> Grid {
        Grid { side, dimensions, box_mpc_h: 25.0 }
    }

    #[test]
    fn a_plane_wave_has_its_power_in_its_bin() {
        let g = grid(32, 2);
        let wave: Vec<f64> =
            (0..1024).map(|i| 0.5 * (TAU * 5.0 * (i / 32) as f64 / 32.0).cos()).collect();
        let estimator = Estimator::new(g, Binning::Round, 0);
        let power = estimator.auto(&wave);
        // Two modes of A^2/4 L^2 each.
        let want = 2.0 * 0.25 / 4.0 * 625.0 / estimator.modes[4];
        assert!((power[4] - want).abs() < 1e-12 * want);
        assert!(power.iter().enumerate().all(|(b, p)| b == 4 || *p < 1e-20));
    }

    #[test]
    fn power_scales_with_the_square_and_ignores_shifts() {
        for dimensions in [2, 3] {
            let g = grid(12, dimensions);
            let field = normals(4, g.pixels());
            let mut shifted = field.clone();
            shifted.rotate_right(5 * 12_usize.pow(dimensions - 1));
            let double: Vec<f64> = field.iter().map(|x| 2.0 * x).collect();
            let estimator = Estimator::new(g, Binning::Round, 0);
            let power = estimator.auto(&field);
            for (b, p) in power.iter().enumerate() {
                assert!((estimator.auto(&double)[b] / p - 4.0).abs() < 1e-12);
                assert!((estimator.auto(&shifted)[b] / p - 1.0).abs() < 1e-12);
                assert!((estimator.cross(&field, &field)[b] / p - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn identical_maps_have_no_error_and_the_floor_is_that_of_the_reference() {
        let maps: Vec<Vec<f64>> = (0..8).map(|i| vec![1.0 + 0.1 * f64::from(i % 2), 2.0]).collect();
        assert_eq!(error(&maps, &maps), 0.0);
        assert!(floor(&maps, 1).unwrap() > floor(&maps, 4).unwrap());
        assert_eq!(floor(&maps[..1], 4), None);
    }

    #[test]
    fn a_field_without_mean_is_named() {
        let estimator = Estimator::new(grid(4, 2), Binning::Round, 0);
        let mut fields = vec![1.0; 48];
        fields[20] = f64::NAN;
        assert!(spectra(&estimator, &fields).unwrap_err().sentence.starts_with("field 1:"));
    }
}
