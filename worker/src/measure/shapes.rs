//! What a power spectrum does not see in a map: its peaks and minima, the area, border and genus above thresholds,
//! and triangles of waves. Maps are periodic squares; all arithmetic is in 64 bits.

use super::power_spectrum::bin_of;
use crate::data::fourier::{Fourier, signed};
use ablate::settings::Binning;
use realfft::num_complex::Complex64;
use std::f64::consts::TAU;

/// A map less its mean, in units of its standard deviation; all zero if it is constant.
pub fn standardised(map: &[f64]) -> Vec<f64> {
    let n = map.len() as f64;
    let mean = map.iter().sum::<f64>() / n;
    let deviation = (map.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    let unit = if deviation > 0.0 { deviation } else { 1.0 };
    map.iter().map(|x| (x - mean) / unit).collect()
}

/// Returns the numbers of pixels above each threshold that are larger than all eight periodic neighbours.
pub fn peaks(map: &[f64], side: usize, thresholds: &[f64]) -> Vec<f64> {
    let at = |row: usize, column: usize| map[row % side * side + column % side];
    let mut heights = vec![];
    for row in 0..side {
        for column in 0..side {
            let own = at(row, column);
            // Offsets are counted from side - 1, so that they wrap without going below zero.
            let mut around = (0..9).filter(|i| *i != 4);
            if around.all(|i| own > at(row + side - 1 + i / 3, column + side - 1 + i % 3)) {
                heights.push(own);
            }
        }
    }
    let above = |nu: &f64| heights.iter().filter(|height| *height > nu).count() as f64;
    thresholds.iter().map(above).collect()
}

/// Measures the shapes of maps of one size; plans are made once.
pub struct Shapes {
    fourier: Fourier,
    side: usize,
    /// Side of the box, in Mpc/h, or in pixels.
    box_side: f64,
}

impl Shapes {
    /// For maps of so many pixels along a side, over a box.
    pub fn new(side: usize, box_side: f64) -> Self {
        Self { fourier: Fourier::new(side, 2), side, box_side }
    }

    /// Returns the three Minkowski functionals of a standardised map above each threshold: area share, length of the
    /// border / 4 and mean curvature of it / (2 pi), by unit area, so 1, 1/length and 1/length² in units
    /// of the box (Schmalzing & Górski 1998).
    ///
    /// Derivatives are taken in Fourier space; the border is where the map lies within `width / 2` of the
    /// threshold.
    pub fn minkowski(&self, map: &[f64], thresholds: &[f64], width: f64) -> Vec<[f64; 3]> {
        let [down, across, down2, across2, mixed] = self.derivatives(map);
        let pixels = map.len() as f64;
        let one = |nu: &f64| {
            let mut sums = [0.0; 3];
            for (i, u) in map.iter().enumerate() {
                sums[0] += f64::from(u8::from(u > nu));
                if (u - nu).abs() > width / 2.0 {
                    continue;
                }
                let (a, b) = (down[i], across[i]);
                let steepness = a * a + b * b;
                if steepness > 0.0 {
                    sums[1] += steepness.sqrt();
                    sums[2] += (2.0 * a * b * mixed[i] - a * a * across2[i] - b * b * down2[i])
                        / steepness;
                }
            }
            let border = width * pixels;
            [sums[0] / pixels, sums[1] / border / 4.0, sums[2] / border / TAU]
        };
        thresholds.iter().map(one).collect()
    }

    /// The first derivatives down and across, both second ones and the mixed one.
    fn derivatives(&self, map: &[f64]) -> [Vec<f64>; 5] {
        let mut modes = self.fourier.no_modes();
        self.fourier.forward(map, &mut modes);
        let unit = TAU / self.box_side;
        let half = self.fourier.half();
        // The highest frequency of an even side has no sign, and so no odd derivative.
        let odd = |n: i64| if 2 * n.unsigned_abs() as usize == self.side { 0.0 } else { n as f64 };
        let derive = |factor: &dyn Fn(i64, i64) -> Complex64| {
            let mut derived: Vec<Complex64> = modes
                .iter()
                .enumerate()
                .map(|(i, mode)| mode * factor(signed(i / half, self.side), (i % half) as i64))
                .collect();
            let mut out = vec![0.0; map.len()];
            self.fourier.inverse(&mut derived, &mut out);
            out
        };
        let along = |n: i64| Complex64::new(0.0, unit * odd(n));
        let twice = |n: i64| Complex64::new(-(unit * n as f64).powi(2), 0.0);
        [
            derive(&|down, _| along(down)),
            derive(&|_, across| along(across)),
            derive(&|down, _| twice(down)),
            derive(&|_, across| twice(across)),
            derive(&|down, across| along(down) * along(across)),
        ]
    }
}

/// Measures equilateral triangles of waves, `|k1| = |k2| = |k3|` within a shell; plans are made once.
pub struct Triangles {
    fourier: Fourier,
    /// A lattice of twice the side, on which products of three waves do not alias.
    wide: Fourier,
    side: usize,
    box_mpc_h: f64,
    shells: Vec<u64>,
    /// Triangles in each shell.
    pub triangles: Vec<f64>,
}

impl Triangles {
    /// For maps of so many pixels along a side, over a box in Mpc/h, and shells of whole wave numbers in units of the
    /// fundamental one, below half the side: each holds n - 1/2 <= k < n + 1/2.
    pub fn new(side: usize, box_mpc_h: f64, shells: &[u64]) -> Self {
        let (fourier, wide) = (Fourier::new(side, 2), Fourier::new(2 * side, 2));
        let shells = shells.to_vec();
        let mut new = Self { fourier, wide, side, box_mpc_h, shells, triangles: vec![] };
        let ones = vec![Complex64::new(1.0, 0.0); new.fourier.modes()];
        let points = new.wide.points() as f64;
        // Every transform is divided by the points, three times over, and the sum once more.
        let count = |shell: &u64| new.cubed(&ones, *shell) * points * points;
        new.triangles = new.shells.iter().map(count).collect();
        new
    }

    /// Returns the bispectrum of a contrast in each shell, in (Mpc/h)^4; not a number where no triangle closes.
    pub fn bispectrum(&self, contrast: &[f64]) -> Vec<f64> {
        let mut modes = self.fourier.no_modes();
        self.fourier.forward(contrast, &mut modes);
        let points = self.wide.points() as f64;
        let unit = self.box_mpc_h.powi(4) / (self.side as f64).powi(6);
        let one = |(shell, triangles): (&u64, &f64)| {
            let sum = self.cubed(&modes, *shell) * points * points;
            if *triangles > 0.5 { unit * sum / triangles } else { f64::NAN }
        };
        self.shells.iter().zip(&self.triangles).map(one).collect()
    }

    /// The sum over the wide lattice of the third power of what a shell of these modes makes there.
    fn cubed(&self, modes: &[Complex64], shell: u64) -> f64 {
        let (half, wide_half) = (self.fourier.half(), self.wide.half());
        let mut wide = self.wide.no_modes();
        for (i, mode) in modes.iter().enumerate() {
            let (down, across) = (signed(i / half, self.side), (i % half) as i64);
            let squared = (down * down + across * across) as u64;
            if bin_of(squared, Binning::Round) == shell as usize {
                let row = down.rem_euclid(2 * self.side as i64) as usize;
                wide[row * wide_half + across as usize] = *mode;
            }
        }
        let mut field = vec![0.0; self.wide.points()];
        self.wide.inverse(&mut wide, &mut field);
        field.iter().map(|x| x.powi(3)).sum()
    }
}
