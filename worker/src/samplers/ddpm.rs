//! Ancestral sampling (Ho, Jain & Abbeel 2020, algorithm 2): draws from the posterior of the earlier
//! sample as if the predicted clean sample were the true one.

use super::Step;
use crate::noise::{Posterior, Process};
use ablate::settings::Variance;

/// Returns the variance of the noise that a posterior is sampled with.
pub fn variance(posterior: &Posterior, variance: Variance) -> f64 {
    match variance {
        Variance::FixedSmall => posterior.variance,
        Variance::FixedLarge => posterior.beta,
    }
}

/// Returns the step from `time` to `next` (eq. 7), over one time or several. The step to the clean
/// sample adds no noise, whatever the variance.
pub fn step(process: &Process, time: usize, next: Option<usize>, choice: Variance) -> Step {
    let posterior = process.posterior(time, next);
    Step {
        time,
        next,
        level: process.level(Some(time)),
        x0_factor: posterior.x0_factor,
        x_factor: posterior.x_factor,
        eps_factor: 0.0,
        noise_factor: next.map_or(0.0, |_| variance(&posterior, choice).sqrt()),
    }
}
