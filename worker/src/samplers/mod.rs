//! Samplers: from noise to samples. A [`Chain`] of steps whose factors are settled beforehand, a
//! [`sigma::SigmaWalk`] along the probability flow of a discrete process, a [`flow::Walk`], or a
//! [`karras::KarrasWalk`] down noise levels of any size; the network and the fresh noise come in from outside.

pub mod ddim;
pub mod ddpm;
pub mod flow;
pub mod karras;
pub mod sigma;
pub mod spacing;

use crate::noise::{Level, Process};
use crate::objective::Rule;
use crate::predict;
use ablate::problem::{Problem, Result};
use ablate::settings::{Sampler, Spacing};
use flow::Walk;
use karras::KarrasWalk;
use sigma::{Method, SigmaWalk};
use tch::Tensor;

/// What a network says of samples at a time.
#[derive(Debug)]
pub enum Predicted {
    /// Their noise.
    Eps(Tensor),
    /// Both the clean sample and the noise.
    Parts {
        /// The clean sample.
        x0: Tensor,
        /// The noise.
        eps: Tensor,
    },
}

impl From<Tensor> for Predicted {
    fn from(eps: Tensor) -> Self {
        Self::Eps(eps)
    }
}

impl Predicted {
    /// Returns the clean sample and the noise of samples `x` at a level.
    pub fn parts(self, x: &Tensor, level: Level) -> (Tensor, Tensor) {
        match self {
            Self::Eps(eps) => (predict::x0_from_eps(x, &eps, level), eps),
            Self::Parts { x0, eps } => (x0, eps),
        }
    }
}

/// Whom a sampler asks.
pub trait Model {
    /// Returns what is predicted of samples `x` `[n, c, h, w]` at a discrete time.
    fn predicted(&self, x: &Tensor, time: usize) -> Predicted;
    /// Returns the velocity of samples `x` `[n, c, h, w]` at a time in [0, 1], 0 being noise.
    fn velocity(&self, x: &Tensor, time: f64) -> Tensor;
    /// Returns the clean samples expected of samples `x` `[n, c, h, w]` with noise of standard deviation sigma.
    fn denoised(&self, x: &Tensor, sigma: f64) -> Tensor;
}

/// A sampler that fits a network's objective.
#[derive(Debug, Clone, PartialEq)]
pub enum Sampling {
    /// Steps of settled factors.
    Chain(Chain),
    /// Along the probability flow of a discrete process.
    Sigma(SigmaWalk),
    /// Along a flow.
    Flow(Walk),
    /// Down noise levels of any size.
    Karras(KarrasWalk),
}

impl Sampling {
    /// Makes the sampler that settings ask for.
    ///
    /// # Errors
    /// If it does not fit the rule by which the network learned.
    pub fn new(settings: &Sampler, rule: &Rule) -> Result<Self> {
        let misfit = || {
            let word = settings.word();
            Problem::new(format!("the sampler `{word}` does not fit the objective of the training"))
        };
        match rule {
            Rule::Discrete(rule) => {
                let (method, ode) = match settings {
                    Sampler::Ddim(_) | Sampler::Ddpm(_) => {
                        return Ok(Self::Chain(Chain::new(settings, &rule.process)?));
                    }
                    Sampler::Euler(ode) => (Method::Euler, ode),
                    Sampler::Heun(ode) => (Method::Heun, ode),
                    Sampler::DpmSolver(ode) => (Method::DpmSolver, ode),
                    Sampler::Midpoint(_) | Sampler::Rk4(_) | Sampler::Karras(_) => {
                        return Err(misfit());
                    }
                };
                let spacing = ode.spacing.unwrap_or(Spacing::Trailing);
                let times = times_of(spacing, ode.steps as usize, &rule.process)?;
                Ok(Self::Sigma(SigmaWalk::new(method, times, &rule.process)))
            }
            Rule::Flow(_) => {
                let (tableau, steps) = match settings {
                    Sampler::Euler(ode) => (flow::EULER, ode.steps),
                    Sampler::Heun(ode) => (flow::HEUN, ode.steps),
                    Sampler::Midpoint(ode) => (flow::MIDPOINT, ode.steps),
                    Sampler::Rk4(ode) => (flow::RK4, ode.steps),
                    Sampler::Ddim(_)
                    | Sampler::Ddpm(_)
                    | Sampler::DpmSolver(_)
                    | Sampler::Karras(_) => return Err(misfit()),
                };
                Ok(Self::Flow(Walk { tableau, steps: steps as usize }))
            }
            Rule::Edm(_) => match settings {
                Sampler::Karras(karras) => Ok(Self::Karras(KarrasWalk::new(karras))),
                _ => Err(misfit()),
            },
        }
    }

    /// Returns how often the network is evaluated for one sample.
    pub fn nfe(&self) -> usize {
        match self {
            Self::Chain(chain) => chain.nfe(),
            Self::Sigma(walk) => walk.nfe(),
            Self::Flow(walk) => walk.nfe(),
            Self::Karras(walk) => walk.nfe(),
        }
    }

    /// Returns how many steps there are.
    pub fn steps(&self) -> usize {
        match self {
            Self::Chain(chain) => chain.steps.len(),
            Self::Sigma(walk) => walk.times.len(),
            Self::Flow(walk) => walk.steps,
            Self::Karras(walk) => walk.steps(),
        }
    }

    /// Goes all the way from pure noise `x` `[n, c, h, w]`. `noise` gives standard normal numbers for a step
    /// number; `each` hears of the evaluations so far and sees the samples after every step, and ends the walk by
    /// `false`, whereupon the result is `None`.
    pub fn run(
        &self,
        x: Tensor,
        model: &dyn Model,
        noise: impl Fn(usize) -> Tensor,
        mut each: impl FnMut(usize, &Tensor) -> bool,
    ) -> Option<Tensor> {
        let predict = |x: &Tensor, time: usize| model.predicted(x, time);
        match self {
            Self::Chain(chain) => {
                let mut x = x;
                for i in 0..chain.steps.len() {
                    x = chain.step(i, &x, predict, &noise);
                    go_on(each(i + 1, &x), i + 1, self.nfe())?;
                }
                Some(x)
            }
            Self::Sigma(walk) => {
                let mut way = walk.begin(&x);
                for i in 0..walk.times.len() {
                    way = walk.step(i, way, predict);
                    let per_step = if walk.method == Method::Heun { 2 } else { 1 };
                    let done = (per_step * (i + 1)).min(self.nfe());
                    go_on(each(done, &walk.samples(i + 1, &way)), done, self.nfe())?;
                }
                // The last level is that of the clean sample, where alpha is 1.
                Some(way.y)
            }
            Self::Flow(walk) => {
                let mut x = x;
                for i in 0..walk.steps {
                    x = walk.step(i, &x, |x, t| model.velocity(x, t));
                    let done = (i + 1) * walk.tableau.stages.len();
                    go_on(each(done, &x), done, self.nfe())?;
                }
                Some(x)
            }
            Self::Karras(walk) => {
                let mut x = x * walk.sigmas[0];
                for i in 0..walk.steps() {
                    x = walk.step(i, &x, |x, sigma| model.denoised(x, sigma), &noise);
                    let per_step = self.nfe().div_ceil(walk.steps());
                    let done = (per_step * (i + 1)).min(self.nfe());
                    // Seen with the spread of the clean sample and unit noise.
                    let total = (1.0 + walk.sigmas[i + 1].powi(2)).sqrt();
                    go_on(each(done, &(&x / total)), done, self.nfe())?;
                }
                Some(x)
            }
        }
    }
}

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
        self.take_predicted(x, Predicted::Eps(eps.shallow_clone()), clip, noise)
    }

    /// The same with whatever was predicted.
    pub fn take_predicted(
        &self,
        x: &Tensor,
        predicted: Predicted,
        clip: Option<f64>,
        noise: impl FnOnce() -> Tensor,
    ) -> Tensor {
        let (x0, eps) = predicted.parts(x, self.level);
        let (x0, eps) = match clip {
            None => (x0, eps),
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
    /// If there are more steps than times, or the sampler is of another form.
    pub fn new(settings: &Sampler, process: &Process) -> Result<Self> {
        match settings {
            Sampler::Ddim(ddim) => {
                let times = times_of(ddim.spacing, ddim.steps as usize, process)?;
                let steps = link(&times, |t, next| ddim::step(process, t, next, ddim.eta));
                Ok(Self { steps, clip: ddim.clip.on() })
            }
            Sampler::Ddpm(ddpm) => {
                let count = ddpm.steps.map_or(process.timesteps(), |steps| steps as usize);
                let times = times_of(Spacing::Trailing, count, process)?;
                let steps = link(&times, |t, next| ddpm::step(process, t, next, ddpm.variance));
                Ok(Self { steps, clip: ddpm.clip.on() })
            }
            other => Err(Problem::new(format!("`{}` is no chain of steps", other.word()))),
        }
    }

    /// Returns how often the network is evaluated for one sample.
    pub fn nfe(&self) -> usize {
        self.steps.len()
    }

    /// Takes step number `i` (0-based) from `x` `[n, c, h, w]`.
    ///
    /// `predict` gives what is predicted of samples at a time, the noise alone or both parts; `noise` gives standard normal
    /// numbers for a step number, both in the shape of `x`.
    pub fn step<P: Into<Predicted>>(
        &self,
        i: usize,
        x: &Tensor,
        predict: impl FnOnce(&Tensor, usize) -> P,
        noise: impl FnOnce(usize) -> Tensor,
    ) -> Tensor {
        let step = &self.steps[i];
        step.take_predicted(x, predict(x, step.time).into(), self.clip, || noise(i))
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

/// `None` if the walk is to end before the last of its evaluations.
fn go_on(goes_on: bool, done: usize, all: usize) -> Option<()> {
    (goes_on || done == all).then_some(())
}

/// Returns `count` times of a process, noisiest first.
fn times_of(spacing: Spacing, count: usize, process: &Process) -> Result<Vec<usize>> {
    let timesteps = process.timesteps();
    if count > timesteps {
        let sentence =
            format!("the sampler takes {count} steps, but the training has {timesteps} times");
        return Err(Problem::new(sentence).help(format!("take at most {timesteps} steps")));
    }
    Ok(spacing::times(spacing, timesteps, count))
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
