//! Implicit sampling (Song, Meng & Ermon 2020): the clean sample predicted at one time is noised
//! again to the next, mostly with the predicted noise itself.

use super::Step;
use crate::noise::Process;

/// Returns the step from `time` to `next` (eq. 12); `eta` in [0, 1] is the share of ancestral noise,
/// 0 being deterministic and 1 the same law as [`super::ddpm::step`] with the smaller variance.
pub fn step(process: &Process, time: usize, next: Option<usize>, eta: f64) -> Step {
    let (now, then) = (process.level(Some(time)), process.level(next));
    let share = then.noise / now.noise;
    let sigma = eta * (share * (1.0 - now.signal / then.signal)).sqrt();
    // Rounding must not take the root of a negative number where the noise vanishes.
    let direction = (then.noise - sigma * sigma).max(0.0).sqrt();
    Step {
        time,
        next,
        level: now,
        x0_factor: then.alpha(),
        x_factor: 0.0,
        eps_factor: direction,
        noise_factor: sigma,
    }
}
