//! The sampler of EDM (Karras et al. 2022, algorithm 2): along the probability flow in sigma, with noise added anew on
//! the way if asked; and the scaling around its networks (table 1).

use ablate::settings::{Karras, KarrasMethod};
use tch::Tensor;

/// The scaling around a network at a noise level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preconditioning {
    /// Standard deviation of the data.
    pub sigma_data: f64,
}

/// Factors of one noise level, numbers or tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors<T> {
    /// Of the noisy sample in the clean one.
    pub skip: T,
    /// Of what the network says in the clean sample.
    pub out: T,
    /// Of the noisy sample as the network sees it.
    pub input: T,
}

impl Preconditioning {
    /// Returns the factors at a level.
    pub fn factors(self, sigma: f64) -> Factors<f64> {
        let data = self.sigma_data;
        let total = (sigma * sigma + data * data).sqrt();
        Factors { skip: (data / total).powi(2), out: sigma * data / total, input: 1.0 / total }
    }

    /// The same for levels `sigma` of any shape.
    pub fn factors_of(self, sigma: &Tensor) -> Factors<Tensor> {
        let data = self.sigma_data;
        let total = (sigma.square() + data * data).sqrt();
        Factors {
            skip: (total.reciprocal() * data).square(),
            out: sigma * data / &total,
            input: total.reciprocal(),
        }
    }

    /// Returns what a network is told of levels `sigma` of any shape: ln(sigma) / 4.
    pub fn noise_times(sigma: &Tensor) -> Tensor {
        sigma.log() / 4.0
    }
}

/// A walk down the noise levels.
#[derive(Debug, Clone, PartialEq)]
pub struct KarrasWalk {
    /// The levels, largest first; the last one is 0.
    pub sigmas: Vec<f64>,
    settings: Karras,
}

impl KarrasWalk {
    /// Makes the walk that settings ask for.
    pub fn new(settings: &Karras) -> Self {
        let root = |sigma: f64| sigma.powf(1.0 / settings.rho);
        let (first, last) = (root(settings.sigma_max), root(settings.sigma_min));
        let gaps = (settings.steps - 1).max(1) as f64;
        let level = |i: u64| (first + i as f64 / gaps * (last - first)).powf(settings.rho);
        let sigmas = (0..settings.steps).map(level).chain([0.0]).collect();
        Self { sigmas, settings: settings.clone() }
    }

    /// Returns how often the network is evaluated for one sample.
    pub fn nfe(&self) -> usize {
        self.settings.evaluations() as usize
    }

    /// Returns how many steps there are.
    pub fn steps(&self) -> usize {
        self.sigmas.len() - 1
    }

    /// Takes step number `i` from samples `x` with their noise; `denoised` gives what clean samples are expected at a
    /// level, `noise` standard normal numbers of the shape of `x`, if any are asked for.
    pub fn step(
        &self,
        i: usize,
        x: &Tensor,
        denoised: impl Fn(&Tensor, f64) -> Tensor,
        noise: impl FnOnce(usize) -> Tensor,
    ) -> Tensor {
        let (now, then) = (self.sigmas[i], self.sigmas[i + 1]);
        let settings = &self.settings;
        let churned =
            settings.churn > 0.0 && (settings.churn_from..=settings.churn_to).contains(&now);
        let (x, now) = if churned {
            let more = (settings.churn / self.steps() as f64).min(2.0_f64.sqrt() - 1.0);
            let raised = now * (1.0 + more);
            let added = (raised * raised - now * now).sqrt() * settings.churn_noise;
            (x + noise(i) * added, raised)
        } else {
            (x.shallow_clone(), now)
        };
        let slope = (&x - denoised(&x, now)) / now;
        let euler = &x + &slope * (then - now);
        if then == 0.0 || settings.method == KarrasMethod::Euler {
            return euler;
        }
        let ahead = (&euler - denoised(&euler, then)) / then;
        x + (slope + ahead) * ((then - now) / 2.0)
    }
}
