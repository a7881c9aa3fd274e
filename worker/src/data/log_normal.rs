//! Gaussian and log-normal maps of a slab of a periodic universe, with exactly known power spectrum
//! (Coles & Jones 1991; Xavier, Abdalla & Joachimi 2016). A map depends on its seed alone.

use super::cosmology::LinearPower;
use super::fourier::{Fourier, signed};
use super::splitmix;
use ablate::settings::Cosmology;
use rayon::prelude::*;
use realfft::num_complex::Complex64;
use std::collections::BTreeSet;
use std::f64::consts::{PI, TAU};

/// Geometry of the maps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slab {
    /// Pixels along one side, even.
    pub side: usize,
    /// Side of the periodic box, and its depth, in Mpc/h.
    pub box_mpc_h: f64,
    /// Thickness of the projected slab, in Mpc/h.
    pub slab_mpc_h: f64,
}

/// Planes of the half lattice of a real transform: row by row, `side / 2 + 1` numbers in each.
type HalfPlane = Vec<f64>;

/// The projected power of a slab, P2(k) = (1/L) sum over n of P3(sqrt(k^2 + k_n^2)) sinc^2(k_n T / 2), in (Mpc/h)^2,
/// on the half lattice; the mode at 0 holds the power of the slab's mean.
pub fn slab_power(slab: Slab, cosmology: &Cosmology) -> HalfPlane {
    let p3 = LinearPower::new(cosmology);
    let (n, half) = (slab.side, slab.side / 2 + 1);
    let squared: Vec<u64> = (0..n * half)
        .map(|i| signed(i / half, n).pow(2) as u64 + ((i % half) as u64).pow(2))
        .collect();
    let distinct: Vec<u64> =
        squared.iter().copied().collect::<BTreeSet<u64>>().into_iter().collect();
    let power: Vec<f64> = distinct.par_iter().map(|k2| projected(*k2, slab, &p3)).collect();
    let at = |k2: &u64| power[distinct.binary_search(k2).expect("it is one of the distinct ones")];
    squared.iter().map(at).collect()
}

/// Terms of the sum along the line of sight, on each side of 0; converged to 5e-6.
const DEPTH: i64 = 256;

fn projected(k2: u64, slab: Slab, p3: &LinearPower) -> f64 {
    let fundamental = TAU / slab.box_mpc_h;
    let term = |n: i64| {
        let deep = fundamental * n as f64;
        let x = deep * slab.slab_mpc_h / 2.0;
        let window = if n == 0 { 1.0 } else { x.sin() / x };
        p3.at((k2 as f64 * fundamental * fundamental + deep * deep).sqrt()) * window * window
    };
    (-DEPTH..=DEPTH).map(term).sum::<f64>() / slab.box_mpc_h
}

/// The log-normal fields of one slab and universe.
#[derive(Debug)]
pub struct LogNormal {
    slab: Slab,
    /// Power of the Gaussian field, on the half lattice, never negative.
    pub gaussian_power: HalfPlane,
    /// Variance of the Gaussian field.
    pub variance: f64,
    /// Share of the Gaussian power that was negative and is left out.
    pub clipped: f64,
}

impl LogNormal {
    /// Fields whose density has the slab's linear power.
    pub fn new(slab: Slab, cosmology: &Cosmology) -> Self {
        Self::with_power(slab, &slab_power(slab, cosmology))
    }

    /// Fields whose density has this power on the half lattice, in (Mpc/h)^2.
    pub fn with_power(slab: Slab, power: &[f64]) -> Self {
        let (n, half) = (slab.side, slab.side / 2 + 1);
        let scale = (n as f64 / slab.box_mpc_h).powi(2);
        let spectrum = power.iter().map(|p| Complex64::new(p * scale, 0.0)).collect();
        let correlation = inverse(spectrum, n);
        let logarithm: Vec<f64> = correlation.iter().map(|xi| xi.ln_1p()).collect();
        let raw: HalfPlane = forward(&logarithm, n).iter().map(|z| z.re / scale).collect();
        let (negative, all) =
            raw.iter().fold((0.0, 0.0), |(neg, all), p| (neg - p.min(0.0), all + p.abs()));
        let gaussian_power: HalfPlane = raw.iter().map(|p| p.max(0.0)).collect();
        let weight = |i: usize| if i.is_multiple_of(half) || i % half == n / 2 { 1.0 } else { 2.0 };
        let variance = gaussian_power.iter().enumerate().map(|(i, p)| weight(i) * p).sum::<f64>()
            / slab.box_mpc_h.powi(2);
        Self { slab, gaussian_power, variance, clipped: negative / all }
    }

    /// One map of density in units of the cosmic mean, `side` rows of `side` pixels.
    pub fn map(&self, seed: u64) -> Vec<f64> {
        let white = splitmix::normals(seed, self.slab.side * self.slab.side);
        let field = gaussian(self.slab, &self.gaussian_power, &white);
        field.iter().map(|g| (g - self.variance / 2.0).exp()).collect()
    }
}

/// A Gaussian field with this power on the half lattice, from white noise.
pub fn gaussian(slab: Slab, power: &[f64], white: &[f64]) -> Vec<f64> {
    let scale = slab.side as f64 / slab.box_mpc_h;
    let mut modes = forward(white, slab.side);
    for (mode, p) in modes.iter_mut().zip(power) {
        *mode *= p.sqrt() * scale;
    }
    inverse(modes, slab.side)
}

/// The seed of map `i` of a dataset.
pub fn map_seed(seed: u64, i: usize) -> u64 {
    splitmix::output(seed, i as u64)
}

/// Unnormalised real transform of a square field, to rows of the half lattice.
fn forward(field: &[f64], n: usize) -> Vec<Complex64> {
    let fourier = Fourier::new(n, 2);
    let mut modes = fourier.no_modes();
    fourier.forward(field, &mut modes);
    modes
}

/// The inverse of [`forward`], normalised.
fn inverse(mut modes: Vec<Complex64>, n: usize) -> Vec<f64> {
    let fourier = Fourier::new(n, 2);
    let mut field = vec![0.0; fourier.points()];
    fourier.inverse(&mut modes, &mut field);
    field
}

/// The largest wave number of a map's lattice, in h/Mpc.
pub fn nyquist_h_mpc(slab: Slab) -> f64 {
    PI * slab.side as f64 / slab.box_mpc_h
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_power_of_many_maps_is_the_known_one() {
        let slab = Slab { side: 16, box_mpc_h: 100.0, slab_mpc_h: 20.0 };
        let cosmology = Cosmology::default();
        let power = slab_power(slab, &cosmology);
        let fields = LogNormal::new(slab, &cosmology);
        let maps = 4000;
        let mut mean = vec![0.0; power.len()];
        for i in 0..maps {
            let contrast: Vec<f64> =
                fields.map(map_seed(5, i)).iter().map(|rho| rho - 1.0).collect();
            for (sum, mode) in mean.iter_mut().zip(forward(&contrast, 16)) {
                *sum += mode.norm_sqr() * (100.0_f64 / 256.0).powi(2) / maps as f64;
            }
        }
        let (got, want) = (mean[1..8].iter().sum::<f64>(), power[1..8].iter().sum::<f64>());
        assert!((got / want - 1.0).abs() < 0.05, "{got} {want}");
    }
}
