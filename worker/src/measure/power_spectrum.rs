//! Power spectra of periodic fields in two and three dimensions, and their comparison with those of
//! a reference. Wave numbers are binned by their integer squares, so no mode can fall into a wrong
//! bin by rounding; all arithmetic is in 64 bits and independent of the number of threads.
//!
//! P = (L / N^2)^d |F|^2 for N^d pixels over a box of side L, F the unnormalised transform of the
//! density contrast. The k of a bin is the mean |k| of its modes; bins end at the Nyquist number.

use super::summary::{Summary, summarise};
use crate::data::fourier::{Fourier, signed};
use ablate::problem::{Problem, Result};
use ablate::settings::{Binning, Space};
use rayon::prelude::*;
use realfft::num_complex::Complex64;
use std::f64::consts::{PI, TAU};

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
    fourier: Fourier,
    axes: Axes,
    /// Bin of each squared whole wave number, from 1; 0 means none.
    bin: Vec<u32>,
    /// Mean wave number of each bin, in h/Mpc.
    pub k_h_mpc: Vec<f64>,
    /// Modes of the full lattice in each bin.
    pub modes: Vec<f64>,
}

/// What a mode's place along each axis means.
struct Axes {
    side: usize,
    dimensions: u32,
    /// The square of the whole wave number.
    squared: Vec<u64>,
    /// What power is multiplied by to undo the window of the mass assignment.
    unwindow: Vec<f64>,
}

impl Axes {
    fn new(grid: Grid, assignment: i32) -> Self {
        let Grid { side, dimensions, .. } = grid;
        let frequencies = (0..side).map(|place| signed(place, side));
        Self {
            side,
            dimensions,
            squared: frequencies.clone().map(|n| (n * n) as u64).collect(),
            unwindow: frequencies.map(|n| 1.0 / window(n, side, assignment)).collect(),
        }
    }

    /// Squared wave number and factor of a row of the half lattice, without those along its last axis.
    fn of_row(&self, row: usize) -> (u64, f64) {
        let (mut squared, mut factor, mut rest) = (0, 1.0, row);
        for _ in 1..self.dimensions {
            squared += self.squared[rest % self.side];
            factor *= self.unwindow[rest % self.side];
            rest /= self.side;
        }
        (squared, factor)
    }
}

/// Rows of modes that are added up together, so that sums do not depend on the number of threads.
const ROWS: usize = 256;

impl Estimator {
    /// An estimator; `assignment` is the order of the mass assignment to undo (0 none, 1 nearest grid
    /// point, 2 cloud in cell, 3 triangular, 4 piecewise cubic).
    pub fn new(grid: Grid, binning: Binning, assignment: i32) -> Self {
        let last = grid.side / 2;
        let largest = u64::from(grid.dimensions) * (last * last) as u64;
        let bin = (0..=largest).map(|squared| bin_of(squared, binning));
        let bin = bin.map(|bin| if bin <= last { bin as u32 } else { 0 }).collect();
        let mut estimator = Self {
            grid,
            fourier: Fourier::new(grid.side, grid.dimensions),
            axes: Axes::new(grid, assignment),
            bin,
            k_h_mpc: vec![],
            modes: vec![0.0; last],
        };
        let root: Vec<f64> = (0..=largest).map(|squared| (squared as f64).sqrt()).collect();
        estimator.modes = estimator.sums(|_, _, _| 1.0);
        let k = estimator.sums(|_, squared, _| root[squared]);
        let fundamental = TAU / grid.box_mpc_h;
        let mean = |(sum, n): (&f64, &f64)| fundamental * sum / n;
        estimator.k_h_mpc = k.iter().zip(&estimator.modes).map(mean).collect();
        estimator
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

    /// The correlation coefficient of two contrasts in each bin, of the sums over its modes.
    pub fn correlation(&self, one: &[f64], other: &[f64]) -> Vec<f64> {
        let (a, b) = (self.transform(one), self.transform(other));
        let cross = self.mean(|i| (a[i] * b[i].conj()).re);
        let powers = self.mean(|i| a[i].norm_sqr()).into_iter().zip(self.mean(|i| b[i].norm_sqr()));
        cross.into_iter().zip(powers).map(|(cross, (p, r))| cross / (p * r).sqrt()).collect()
    }

    /// The mean over the modes of each bin, in physical units.
    fn mean(&self, of: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        let sums = self.sums(|mode, _, factor| of(mode) * factor);
        let unit = (self.grid.box_mpc_h / (self.grid.side as f64).powi(2))
            .powi(self.grid.dimensions as i32);
        sums.iter().zip(&self.modes).map(|(sum, modes)| unit * sum / modes).collect()
    }

    /// Sums over all modes in each bin of what `of` says of a mode of the half lattice, its squared wave number and its
    /// factor against the window.
    fn sums(&self, of: impl Fn(usize, usize, f64) -> f64 + Sync) -> Vec<f64> {
        let half = self.fourier.half();
        let rows = self.fourier.modes() / half;
        let part = |first: usize| {
            let mut sums = vec![0.0; self.modes.len() + 1];
            for row in first..(first + ROWS).min(rows) {
                let (across, factor) = self.axes.of_row(row);
                for column in 0..half {
                    let squared = (across + self.axes.squared[column]) as usize;
                    let bin = self.bin[squared] as usize;
                    let factor = factor * self.axes.unwindow[column];
                    let weight = hermitian_weight(column, self.grid.side);
                    sums[bin] += weight * of(row * half + column, squared, factor);
                }
            }
            sums
        };
        let parts: Vec<Vec<f64>> =
            (0..rows.div_ceil(ROWS)).into_par_iter().map(|chunk| part(chunk * ROWS)).collect();
        // The first is of modes that lie in no bin.
        (1..=self.modes.len()).map(|bin| parts.iter().map(|part| part[bin]).sum()).collect()
    }

    /// The unnormalised transform on the half lattice.
    fn transform(&self, field: &[f64]) -> Vec<Complex64> {
        let mut modes = self.fourier.no_modes();
        self.fourier.forward(field, &mut modes);
        modes
    }
}

/// The bin of a mode with this squared integer wave number.
pub(super) fn bin_of(squared: u64, binning: Binning) -> usize {
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

/// The squared window of a mass assignment of this order along one axis.
fn window(frequency: i64, side: usize, order: i32) -> f64 {
    let x = PI * frequency as f64 / side as f64;
    if frequency == 0 { 1.0 } else { (x.sin() / x).powi(2 * order) }
}

/// What the power of fields is taken of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// The field over its mean less 1, or its decimal logarithm less the mean of that.
    pub space: Space,
    /// The mean; without it, each field's own.
    pub mean: Option<f64>,
}

impl Contrast {
    /// The density contrast of a field about its own mean.
    pub const OWN: Self = Self { space: Space::Linear, mean: None };

    /// The values whose mean is asked for.
    fn seen(self, x: f64) -> f64 {
        if self.space == Space::Log { x.log10() } else { x }
    }

    /// The mean of fields, as `mean` holds it.
    pub fn mean_of(self, fields: &[f64]) -> f64 {
        fields.iter().map(|x| self.seen(*x)).sum::<f64>() / fields.len() as f64
    }

    /// The contrast of a field.
    ///
    /// # Errors
    /// If the mean is not a positive number, or a value that has to be is not.
    pub fn of(self, field: &[f64]) -> Result<Vec<f64>> {
        let mean = self.mean.unwrap_or_else(|| self.mean_of(field));
        match self.space {
            Space::Linear if mean.is_finite() && mean > 0.0 => {
                Ok(field.iter().map(|x| x / mean - 1.0).collect())
            }
            Space::Linear => Err(Problem::system(format!("a density field has the mean {mean}"))),
            Space::Log if mean.is_finite() => Ok(field.iter().map(|x| x.log10() - mean).collect()),
            Space::Log => {
                Err(Problem::new("it holds values that have no logarithm")
                    .help("take `space: linear`"))
            }
        }
    }
}

/// The power of each field in each bin, in the order of the fields.
///
/// # Errors
/// If a field has no contrast; the sentence says which.
pub fn spectra(estimator: &Estimator, fields: &[f64], contrast: Contrast) -> Result<Vec<Vec<f64>>> {
    let each = fields.par_chunks_exact(estimator.grid.pixels()).enumerate().map(|(i, field)| {
        let contrast = contrast
            .of(field)
            .map_err(|p| Problem { sentence: format!("field {i}: {}", p.sentence), ..p })?;
        Ok(estimator.auto(&contrast))
    });
    each.collect()
}

/// |P / P_reference - 1| in each bin, P the mean over maps.
pub fn deviations(spectra: &[Vec<f64>], reference: &[Vec<f64>]) -> Vec<f64> {
    let (ours, theirs) = (summarise(spectra).mean, summarise(reference).mean);
    ours.iter().zip(&theirs).map(|(p, r)| (p / r - 1.0).abs()).collect()
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
    fn windows_are_undone_mode_by_mode_and_sums_do_not_depend_on_threads() {
        for (side, dimensions) in [(12, 2), (40, 3)] {
            let g = grid(side, dimensions);
            let field = normals(9, g.pixels());
            let estimator = Estimator::new(g, Binning::Floor, 2);
            // A direct sum over the half lattice, as the formula says.
            let (half, modes) = (side / 2 + 1, estimator.transform(&field));
            let mut want = vec![0.0; side / 2];
            for (i, mode) in modes.iter().enumerate() {
                let along = |axis: u32| signed(i / half / side.pow(axis) % side, side) as f64;
                let mut n: Vec<f64> = (0..dimensions - 1).map(along).collect();
                n.push((i % half) as f64);
                let k = n.iter().map(|n| n * n).sum::<f64>().sqrt();
                let bin = k as usize;
                if (1..=side / 2).contains(&bin) {
                    let sinc = |n: &f64| {
                        let x = PI * n / side as f64;
                        if *n == 0.0 { 1.0 } else { x.sin() / x }
                    };
                    let window: f64 = n.iter().map(|n| sinc(n).powi(4)).product();
                    let weight = if [0, side / 2].contains(&(i % half)) { 1.0 } else { 2.0 };
                    want[bin - 1] += weight * mode.norm_sqr() / window;
                }
            }
            let unit = (25.0 / (side as f64).powi(2)).powi(dimensions as i32);
            let threads = |n: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
                pool.install(|| estimator.auto(&field))
            };
            let power = threads(1);
            for (b, p) in power.iter().enumerate() {
                let want = want[b] * unit / estimator.modes[b];
                assert!((p / want - 1.0).abs() < 1e-12, "{dimensions} {b}: {p} {want}");
            }
            assert_eq!(power, threads(3));
        }
    }

    #[test]
    fn a_field_without_mean_is_named() {
        let estimator = Estimator::new(grid(4, 2), Binning::Round, 0);
        let mut fields = vec![1.0; 48];
        fields[20] = f64::NAN;
        let refused = |space| {
            let contrast = Contrast { space, mean: None };
            spectra(&estimator, &fields, contrast).unwrap_err().sentence
        };
        assert!(refused(Space::Linear).starts_with("field 1:"));
        assert!(refused(Space::Log).contains("have no logarithm"));
    }

    #[test]
    fn the_power_of_logarithms_knows_no_unit_and_that_about_a_mean_does() {
        let estimator = Estimator::new(grid(8, 2), Binning::Round, 0);
        let field: Vec<f64> = normals(3, 64).iter().map(|x| x.exp()).collect();
        let tenfold: Vec<f64> = field.iter().map(|x| 10.0 * x).collect();
        let of = |field: &[f64], space, mean| {
            spectra(&estimator, field, Contrast { space, mean }).unwrap()[0][1]
        };
        for (space, mean, want) in
            [(Space::Log, None, 1.0), (Space::Linear, None, 1.0), (Space::Linear, Some(2.0), 100.0)]
        {
            let ratio = of(&tenfold, space, mean) / of(&field, space, mean);
            assert!((ratio / want - 1.0).abs() < 1e-12, "{ratio}");
        }
    }
}
