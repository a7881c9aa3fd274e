//! Real Fourier transforms of squares and cubes: planned once, run as often as wanted, by as many
//! threads as wanted; of cubes, all threads share one. Knows lattices and nothing of what lies on them.

use rayon::prelude::*;
use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};
use std::fmt;
use std::sync::Arc;

/// The signed frequency of a row.
pub fn signed(row: usize, side: usize) -> i64 {
    if row <= side / 2 { row as i64 } else { row as i64 - side as i64 }
}

/// The transforms of a periodic lattice with equal sides, in C order; modes lie on the half lattice,
/// `side / 2 + 1` of them along the last axis.
#[derive(Clone)]
pub struct Fourier {
    side: usize,
    dimensions: u32,
    rows: Arc<dyn RealToComplex<f64>>,
    rows_back: Arc<dyn ComplexToReal<f64>>,
    columns: Arc<dyn Fft<f64>>,
    columns_back: Arc<dyn Fft<f64>>,
}

impl fmt::Debug for Fourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fourier({} along each of {} axes)", self.side, self.dimensions)
    }
}

/// Columns or lines that are transformed together: as many numbers as a cache line holds.
const TOGETHER: usize = 4;

impl Fourier {
    /// Plans the transforms of a lattice of `side` to the power of `dimensions` points.
    pub fn new(side: usize, dimensions: u32) -> Self {
        let mut real = RealFftPlanner::new();
        let mut complex = FftPlanner::new();
        Self {
            side,
            dimensions,
            rows: real.plan_fft_forward(side),
            rows_back: real.plan_fft_inverse(side),
            columns: complex.plan_fft_forward(side),
            columns_back: complex.plan_fft_inverse(side),
        }
    }

    /// Points of the lattice.
    pub fn points(&self) -> usize {
        self.side.pow(self.dimensions)
    }

    /// Modes along the last axis of the half lattice.
    pub fn half(&self) -> usize {
        self.side / 2 + 1
    }

    /// Modes of the half lattice.
    pub fn modes(&self) -> usize {
        self.side.pow(self.dimensions - 1) * self.half()
    }

    /// Room for the modes of a field.
    pub fn no_modes(&self) -> Vec<Complex64> {
        vec![Complex64::default(); self.modes()]
    }

    /// Transforms a field, not normalised, into modes of the half lattice.
    ///
    /// # Panics
    /// If a slice is not of the lattice's size.
    pub fn forward(&self, field: &[f64], modes: &mut [Complex64]) {
        assert_eq!((field.len(), modes.len()), (self.points(), self.modes()));
        let plane = |(from, to): (&[f64], &mut [Complex64])| self.forward_plane(from, to);
        let (points, plane_modes) = (self.side * self.side, self.side * self.half());
        if self.dimensions == 2 {
            return plane((field, modes));
        }
        let planes = modes.par_chunks_exact_mut(plane_modes);
        field.par_chunks_exact(points).zip(planes).for_each(plane);
        self.across(modes, &*self.columns);
    }

    /// The transform of a square, or of a plane of a cube across its last two axes.
    fn forward_plane(&self, field: &[f64], modes: &mut [Complex64]) {
        let mut row = self.rows.make_input_vec();
        let mut scratch = self.rows.make_scratch_vec();
        for (from, to) in field.chunks_exact(self.side).zip(modes.chunks_exact_mut(self.half())) {
            row.copy_from_slice(from);
            self.rows
                .process_with_scratch(&mut row, to, &mut scratch)
                .expect("lengths are those of the plan");
        }
        self.down(modes, &*self.columns);
    }

    /// The inverse of [`Fourier::forward`], normalised; the modes are lost.
    ///
    /// # Panics
    /// If a slice is not of the lattice's size.
    pub fn inverse(&self, modes: &mut [Complex64], field: &mut [f64]) {
        assert_eq!((field.len(), modes.len()), (self.points(), self.modes()));
        let plane = |(from, to): (&mut [Complex64], &mut [f64])| self.inverse_plane(from, to);
        if self.dimensions == 2 {
            return plane((modes, field));
        }
        self.across(modes, &*self.columns_back);
        let (points, plane_modes) = (self.side * self.side, self.side * self.half());
        let planes = field.par_chunks_exact_mut(points);
        modes.par_chunks_exact_mut(plane_modes).zip(planes).for_each(plane);
    }

    /// The inverse of [`Fourier::forward_plane`], over the points of the whole lattice.
    fn inverse_plane(&self, modes: &mut [Complex64], field: &mut [f64]) {
        self.down(modes, &*self.columns_back);
        let half = self.half();
        let scale = 1.0 / self.points() as f64;
        let mut scratch = self.rows_back.make_scratch_vec();
        for (from, to) in modes.chunks_exact_mut(half).zip(field.chunks_exact_mut(self.side)) {
            // What a real field cannot have is rounding.
            from[0].im = 0.0;
            if self.side.is_multiple_of(2) {
                from[half - 1].im = 0.0;
            }
            self.rows_back
                .process_with_scratch(from, to, &mut scratch)
                .expect("lengths are those of the plan");
            to.iter_mut().for_each(|x| *x *= scale);
        }
    }

    /// Complex transforms down the columns of a plane.
    fn down(&self, plane: &mut [Complex64], plan: &dyn Fft<f64>) {
        let half = self.half();
        let mut columns = vec![Complex64::default(); TOGETHER * self.side];
        let mut scratch = vec![Complex64::default(); plan.get_inplace_scratch_len()];
        for first in (0..half).step_by(TOGETHER) {
            let width = TOGETHER.min(half - first);
            for (i, row) in plane.chunks_exact(half).enumerate() {
                for (j, mode) in row[first..first + width].iter().enumerate() {
                    columns[j * self.side + i] = *mode;
                }
            }
            plan.process_with_scratch(&mut columns[..width * self.side], &mut scratch);
            for (i, row) in plane.chunks_exact_mut(half).enumerate() {
                for (j, mode) in row[first..first + width].iter_mut().enumerate() {
                    *mode = columns[j * self.side + i];
                }
            }
        }
    }

    /// Complex transforms across the planes of a cube.
    fn across(&self, modes: &mut [Complex64], plan: &dyn Fft<f64>) {
        let (side, inner) = (self.side, self.side * self.half());
        // Each block holds neighbouring lines across all planes, one after the other.
        let mut lines = vec![Complex64::default(); modes.len()];
        lines.par_chunks_mut(TOGETHER * side).enumerate().for_each(|(block, lines)| {
            let first = block * TOGETHER;
            for (i, plane) in modes.chunks_exact(inner).enumerate() {
                for (j, line) in lines.chunks_exact_mut(side).enumerate() {
                    line[i] = plane[first + j];
                }
            }
            let mut scratch = vec![Complex64::default(); plan.get_inplace_scratch_len()];
            plan.process_with_scratch(lines, &mut scratch);
        });
        modes.par_chunks_exact_mut(inner).enumerate().for_each(|(i, plane)| {
            for (block, plane) in plane.chunks_mut(TOGETHER).enumerate() {
                let lines = &lines[block * TOGETHER * side..];
                for (j, mode) in plane.iter_mut().enumerate() {
                    *mode = lines[j * side + i];
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::splitmix;
    use std::f64::consts::TAU;

    #[test]
    fn a_field_comes_back_from_its_modes() {
        for (side, dimensions) in [(8, 2), (7, 2), (6, 3), (5, 3)] {
            let fourier = Fourier::new(side, dimensions);
            let field = splitmix::normals(1, fourier.points());
            let mut modes = fourier.no_modes();
            let mut back = vec![0.0; fourier.points()];
            fourier.forward(&field, &mut modes);
            fourier.inverse(&mut modes, &mut back);
            let error = field.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(error < 1e-14, "{error} for {side} in {dimensions} dimensions");
        }
    }

    #[test]
    fn a_wave_along_each_axis_has_its_mode() {
        let fourier = Fourier::new(8, 3);
        for (axis, index) in [(0, 2 * 8 * 5), (1, 2 * 5), (2, 2)] {
            let wave = |i: usize| {
                let place = [i / 64, i / 8 % 8, i % 8][axis];
                (TAU * 2.0 * place as f64 / 8.0).cos()
            };
            let field: Vec<f64> = (0..512).map(wave).collect();
            let mut modes = fourier.no_modes();
            fourier.forward(&field, &mut modes);
            assert!((modes[index].re - 256.0).abs() < 1e-10, "{:?}", modes[index]);
        }
    }

    #[test]
    fn frequencies_are_signed() {
        assert_eq!([0, 1, 4, 5, 7].map(|row| signed(row, 8)), [0, 1, 4, -3, -1]);
        assert_eq!([3, 4].map(|row| signed(row, 7)), [3, -3]);
    }
}
