//! Samplers: from noise to samples, one network evaluation a step. A sampler is a [`Chain`] of steps
//! whose factors are settled beforehand; the network and the fresh noise come in from outside, so
//! that a run can pause between any two steps.

pub mod ddim;
pub mod ddpm;
pub mod spacing;

use crate::noise::{Level, Process};
use crate::predict;
use ablate::problem::{Problem, Result};
use ablate::settings::{Sampler, Spacing};
use tch::Tensor;

/// One step towards less noise: `x_next = x0_factor x0 + x_factor x + eps_factor eps + noise_factor z`
/// with x0 predicted and z fresh standard normal noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The time at which the network is asked.
    pub time: usize,
    /// The time after the step; `None` when the sample is clean.
    pub next: Option<usize>,
    /// The level of noise at `time`.
    pub level: Level,
    /// Factor of the predicted clean sample.
    pub x0_factor: f64,
    /// Factor of the present sample.
    pub x_factor: f64,
    /// Factor of the predicted noise.
    pub eps_factor: f64,
    /// Standard deviation of the fresh noise.
    pub noise_factor: f64,
}

impl Step {
    /// Returns the sample after this step from `x` with predicted noise `eps`, both `[n, c, h, w]`.
    ///
    /// `clip` limits the absolute value of the predicted clean sample; the noise is then derived
    /// from it again. `noise` gives standard normal numbers of the shape of `x`, and is asked only
    /// if this step adds any.
    pub fn take(
        &self,
        x: &Tensor,
        eps: &Tensor,
        clip: Option<f64>,
        noise: impl FnOnce() -> Tensor,
    ) -> Tensor {
        let x0 = predict::x0_from_eps(x, eps, self.level);
        let (x0, eps) = match clip {
            None => (x0, eps.shallow_clone()),
            Some(limit) => {
                let x0 = x0.clamp(-limit, limit);
                let eps = predict::eps_from_x0(x, &x0, self.level);
                (x0, eps)
            }
        };
        let mut out = x0 * self.x0_factor;
        for (factor, part) in [(self.x_factor, x), (self.eps_factor, &eps)] {
            if factor != 0.0 {
                out += part * factor;
            }
        }
        if self.noise_factor != 0.0 {
            out += noise() * self.noise_factor;
        }
        out
    }
}

/// All steps of a sampler.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// The steps, noisiest first; the last one ends at the clean sample.
    pub steps: Vec<Step>,
    /// Limit on the absolute value of the predicted clean sample.
    pub clip: Option<f64>,
}

impl Chain {
    /// Makes the chain that settings ask for, over the times of a training's process.
    ///
    /// # Errors
    /// If there are more steps than times.
    pub fn new(settings: &Sampler, process: &Process) -> Result<Self> {
        let timesteps = process.timesteps();
        let (spacing, count, clip) = match settings {
            Sampler::Ddim(ddim) => (ddim.spacing, ddim.steps as usize, ddim.clip.on()),
            Sampler::Ddpm(ddpm) => {
                let count = ddpm.steps.map_or(timesteps, |steps| steps as usize);
                (Spacing::Trailing, count, ddpm.clip.on())
            }
        };
        if count > timesteps {
            let sentence =
                format!("the sampler takes {count} steps, but the training has {timesteps} times");
            return Err(Problem::new(sentence).help(format!("take at most {timesteps} steps")));
        }
        let times = spacing::times(spacing, timesteps, count);
        let steps = match settings {
            Sampler::Ddim(ddim) => link(&times, |t, next| ddim::step(process, t, next, ddim.eta)),
            Sampler::Ddpm(ddpm) => {
                link(&times, |t, next| ddpm::step(process, t, next, ddpm.variance))
            }
        };
        Ok(Self { steps, clip })
    }

    /// Returns how often the network is evaluated for one sample.
    pub fn nfe(&self) -> usize {
        self.steps.len()
    }

    /// Takes step number `i` (0-based) from `x` `[n, c, h, w]`.
    ///
    /// `predict_eps` gives the predicted noise of samples at a time; `noise` gives standard normal
    /// numbers for a step number, both in the shape of `x`.
    pub fn step(
        &self,
        i: usize,
        x: &Tensor,
        predict_eps: impl FnOnce(&Tensor, usize) -> Tensor,
        noise: impl FnOnce(usize) -> Tensor,
    ) -> Tensor {
        let step = &self.steps[i];
        step.take(x, &predict_eps(x, step.time), self.clip, || noise(i))
    }

    /// Takes all steps from pure noise `x` `[n, c, h, w]`; see [`Chain::step`].
    pub fn run(
        &self,
        x: Tensor,
        predict_eps: impl Fn(&Tensor, usize) -> Tensor,
        noise: impl Fn(usize) -> Tensor,
    ) -> Tensor {
        (0..self.steps.len()).fold(x, |x, i| self.step(i, &x, &predict_eps, &noise))
    }
}

/// Returns the steps between neighbours of a descending list of times, and the one from the last of
/// them to the clean sample.
pub fn link(times: &[usize], step: impl Fn(usize, Option<usize>) -> Step) -> Vec<Step> {
    times.iter().enumerate().map(|(i, &time)| step(time, times.get(i + 1).copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ablate::settings::{Ddim, Ddpm, DdpmSampler, Off, Schedule, Variance};

    fn process(schedule: Schedule) -> Process {
        Process::new(&Ddpm { schedule, ..Ddpm::default() })
    }

    fn toy_noise(i: usize) -> Tensor {
        Tensor::from_slice(&[0.3, -0.8]) * ((i % 5) as f64 - 2.0)
    }

    fn toy_run(settings: &Sampler) -> Tensor {
        let chain = Chain::new(settings, &process(Schedule::Linear)).unwrap();
        chain.run(Tensor::from_slice(&[0.4, -1.1]), |x, _| x * 0.3, toy_noise)
    }

    #[test]
    fn ddim_with_eta_one_is_ddpm_with_the_smaller_variance() {
        for steps in [10, 37] {
            let ddim = toy_run(&Sampler::Ddim(Ddim { steps, eta: 1.0, ..Ddim::default() }));
            let ddpm = toy_run(&Sampler::Ddpm(DdpmSampler {
                steps: Some(steps),
                variance: Variance::FixedSmall,
                clip: Off::Off,
            }));
            assert!(((&ddim - &ddpm) / &ddpm).abs().max().double_value(&[]) < 1e-11);
        }
    }

    #[test]
    fn ddim_without_eta_never_asks_for_noise() {
        let settings = Sampler::Ddim(Ddim { steps: 20, ..Ddim::default() });
        let chain = Chain::new(&settings, &process(Schedule::Cosine)).unwrap();
        let out = chain.run(
            Tensor::from_slice(&[0.4]),
            |x, _| x * 0.3,
            |_| unreachable!("no step adds noise"),
        );
        assert!(out.double_value(&[0]).is_finite());
        assert_eq!(chain.nfe(), 20);
    }

    #[test]
    fn the_true_noise_leads_back_to_the_clean_sample() {
        for schedule in [Schedule::Linear, Schedule::Cosine] {
            let process = process(schedule);
            let (x0, eps) = (Tensor::from_slice(&[0.7]), Tensor::from_slice(&[-1.3]));
            let chain =
                Chain::new(&Sampler::Ddim(Ddim { steps: 7, ..Ddim::default() }), &process).unwrap();
            let first = chain.steps[0].level;
            let x = &x0 * first.alpha() + &eps * first.sigma();
            let out = chain.run(x, |_, _| eps.shallow_clone(), toy_noise);
            assert!((out.double_value(&[0]) - 0.7).abs() < 1e-9);
        }
    }

    #[test]
    fn pausing_between_steps_changes_nothing() {
        let settings = Sampler::Ddim(Ddim { steps: 9, eta: 0.5, ..Ddim::default() });
        let chain = Chain::new(&settings, &process(Schedule::Linear)).unwrap();
        let mut x = Tensor::from_slice(&[0.4, -1.1]);
        for i in 0..chain.nfe() {
            x = chain.step(i, &x, |x, _| x * 0.3, toy_noise);
        }
        assert_eq!(x, toy_run(&settings));
    }

    #[test]
    fn a_clipped_sampler_stays_within_its_limit() {
        let settings = Sampler::Ddim(Ddim { steps: 10, clip: Off::On(1.0), ..Ddim::default() });
        assert!(toy_run(&settings).abs().max().double_value(&[]) <= 1.0);
    }

    #[test]
    fn more_steps_than_times_are_refused_with_the_largest_number() {
        let settings = Sampler::Ddim(Ddim { steps: 1001, ..Ddim::default() });
        let problem = Chain::new(&settings, &process(Schedule::Linear)).unwrap_err();
        assert!(problem.to_string().contains("1000"), "{problem}");
    }
}
