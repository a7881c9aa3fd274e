//! Settings of sample nodes.

use super::condition::Wanted;
use super::reader::{Found, Reader};
use super::reference::Reference;
use super::table::{choice, kinds, table};
use super::values::Off;
use crate::problem::Problem;

table! {
    /// Draws samples from a trained network.
    pub struct Sample {
        #[doc = "The train node."]
        from: Reference;
        #[doc = "Which weights: by default `best_ema` if the training keeps EMA weights and validates, else `ema`, else `last`."]
        weights: Option<Weights>;
        #[doc = "The sampler."]
        sampler: Sampler = Sampler::Ddim(Ddim::default());
        #[doc = "Samples to draw."]
        count: u64 [1.0..=1e7] = 64;
        #[doc = "Samples drawn together; a resumed node starts at the last whole batch."]
        batch: u64 [1.0..=65536.0] = 64;
        #[doc = "Seed of the noise; sample i depends on (seed, i) alone."]
        seed: u64 [0.0..=9e15] = 0;
        #[doc = "What the network is told, if it was trained with conditions: `all_classes` in turn (the default with classes), a list of classes or of parameters in turn, or `{ from: maps.test }`, those of the items of a dataset."]
        conditions: Option<Wanted>;
        #[doc = "Strength s of classifier-free guidance, nothing + s (told - nothing): 1 is none, 0 tells nothing, other values take two evaluations for one."]
        guidance_scale: f64 [0.0..=1000.0] = 1.0, neutral 1.0;
        #[doc = "The same as papers count it, s = 1 + w; either this or `guidance_scale`."]
        guidance_w: Option<f64> [-1.0..=999.0];
        #[doc = "Share of the guided output that is scaled back to the standard deviation of the told one (Lin et al. 2023: 0.7)."]
        guidance_rescale: f64 [0.0..=1.0] = 0.0, neutral 0.0;
        #[doc = "Moments on the way from noise to samples that are kept, as an array and as a film."]
        frames: Off<Frames> = Off::Off, neutral Off::Off;
    }
    settle settle_guidance;
    check check_sample;
}

table! {
    /// Moments on the way from noise to samples: `frames.npy`, `[moments, samples, c, h, w]` as a network sees
    /// them, noise first, and `frames.gif`, 20 of them a second.
    #[derive(Copy)]
    pub struct Frames {
        #[doc = "Samples whose way is kept, the first ones; not more than `batch`."]
        samples: u64 [1.0..=64.0] = 1;
        #[doc = "Moments, evenly over the steps, the first and the last among them; by default the noise and every step."]
        count: Option<u64> [2.0..=1e5];
    }
}

impl Frames {
    /// The steps after which a moment is kept, of so many; 0 is the noise.
    pub fn moments(self, steps: u64) -> Vec<u64> {
        let count = self.count.unwrap_or(steps + 1).min(steps + 1);
        (0..count).map(|i| (i * steps + (count - 1) / 2) / (count - 1).max(1)).collect()
    }
}

/// Writes the strength of guidance in one way.
fn settle_guidance(sample: Sample) -> Sample {
    let guidance_scale = sample.guidance_w.map_or(sample.guidance_scale, |w| 1.0 + w);
    Sample { guidance_scale, guidance_w: None, ..sample }
}

fn check_sample(sample: &Sample, found: &Found<'_>, reader: &mut Reader) {
    let most = sample.batch.min(sample.count);
    if let Some(frames) = sample.frames.on().filter(|frames| frames.samples > most) {
        let what = format!("frames of {} samples, but {most} are drawn together", frames.samples);
        let problem = Problem::new(what);
        reader.wrong_key(found, "frames", problem.help("keep fewer, or draw a larger `batch`"));
    }
    if sample.guidance_w.is_some() && found.key("guidance_scale").is_some() {
        let problem = Problem::new("both `guidance_scale` and `guidance_w` are given");
        reader.wrong_key(found, "guidance_w", problem.help("keep one; the scale is 1 + w"));
    }
}

impl Sample {
    /// Whether each evaluation of the sampler takes two of the network.
    pub fn is_guided(&self) -> bool {
        self.guidance_scale != 0.0 && self.guidance_scale != 1.0
    }
}

choice! {
    /// Which weights of a training.
    pub enum Weights {
        #[doc = "Those after the last step."]
        Last = "last",
        #[doc = "Those of the smallest validation loss."]
        Best = "best",
        #[doc = "The exponential moving average after the last step."]
        Ema = "ema",
        #[doc = "The moving average of the smallest validation loss of its own."]
        BestEma = "best_ema",
    }
}

kinds! {
    /// The samplers.
    pub enum Sampler {
        /// Ancestral sampling, one network evaluation a step.
        Ddpm(DdpmSampler) = "ddpm",
        /// Implicit sampling, deterministic at `eta: 0`.
        Ddim(Ddim) = "ddim",
        /// Euler's method along the probability flow; one network evaluation a step.
        Euler(Ode) = "euler",
        /// Heun's method; two evaluations a step (one in the last of a `ddpm` objective).
        Heun(Ode) = "heun",
        /// The midpoint method; two evaluations a step. For `flow_matching`.
        Midpoint(FlowOde) = "midpoint",
        /// The classical Runge-Kutta method; four evaluations a step. For `flow_matching`.
        Rk4(FlowOde) = "rk4",
        /// DPM-Solver++ (2M); one evaluation a step. For `ddpm`.
        DpmSolver(Ode) = "dpm_solver",
        /// The sampler of EDM, by Heun's method or Euler's, with noise on the way or without. For `edm`.
        Karras(Karras) = "karras",
    }
}

impl Sampler {
    /// Network evaluations for one sample, of a training with so many times.
    pub fn evaluations(&self, timesteps: u64, is_flow: bool) -> u64 {
        match self {
            Self::Ddpm(ancestral) => ancestral.steps.unwrap_or(timesteps),
            Self::Ddim(ddim) => ddim.steps,
            Self::Euler(ode) | Self::DpmSolver(ode) => ode.steps,
            Self::Heun(ode) => (2 * ode.steps).saturating_sub(u64::from(!is_flow)),
            Self::Midpoint(ode) => 2 * ode.steps,
            Self::Rk4(ode) => 4 * ode.steps,
            Self::Karras(karras) => karras.evaluations(),
        }
    }

    /// The number of steps as asked for.
    pub fn steps(&self) -> Option<u64> {
        match self {
            Self::Ddpm(ancestral) => ancestral.steps,
            Self::Ddim(ddim) => Some(ddim.steps),
            Self::Euler(ode) | Self::Heun(ode) | Self::DpmSolver(ode) => Some(ode.steps),
            Self::Midpoint(ode) | Self::Rk4(ode) => Some(ode.steps),
            Self::Karras(karras) => Some(karras.steps),
        }
    }
}

table! {
    /// A method along the probability flow: in even steps of time for `flow_matching`; for `ddpm` in
    /// sigma / alpha, over chosen times (Karras et al. 2022; Lu et al. 2022).
    pub struct Ode {
        #[doc = "Steps; the metric `nfe` tells the network evaluations."]
        steps: u64 [1.0..=1e5] = 25;
        #[doc = "Which times of a `ddpm` training are visited, `trailing` by default; `flow_matching` has no such choice."]
        spacing: Option<Spacing>;
    }
}

table! {
    /// A method along the flow in even steps of time.
    pub struct FlowOde {
        #[doc = "Steps; the metric `nfe` tells the network evaluations."]
        steps: u64 [1.0..=1e5] = 25;
    }
}

table! {
    /// Ancestral sampling (Ho et al. 2020, algorithm 2), over all times or an evenly spaced part of them.
    pub struct DdpmSampler {
        #[doc = "Network evaluations; by default every time of the training's schedule."]
        steps: Option<u64> [1.0..=1e5];
        #[doc = "Variance of the noise added at each step."]
        variance: Variance = Variance::FixedSmall;
        #[doc = "Limit on the predicted clean sample, as the network sees it; never for unbounded fields."]
        clip: Off<f64> [1e-3..=1e6] = Off::Off, neutral Off::Off;
    }
}

table! {
    /// Implicit sampling (Song, Meng & Ermon 2020, eq. 12).
    pub struct Ddim {
        #[doc = "Network evaluations."]
        steps: u64 [1.0..=1e5] = 50;
        #[doc = "Share of the ancestral noise: 0 is deterministic, 1 is ancestral sampling."]
        eta: f64 [0.0..=1.0] = 0.0;
        #[doc = "Which times are visited."]
        spacing: Spacing = Spacing::Trailing;
        #[doc = "Limit on the predicted clean sample, as the network sees it; never for unbounded fields."]
        clip: Off<f64> [1e-3..=1e6] = Off::Off, neutral Off::Off;
    }
}

impl Default for Ddim {
    fn default() -> Self {
        Self { steps: 50, eta: 0.0, spacing: Spacing::Trailing, clip: Off::Off }
    }
}

table! {
    /// The sampler of EDM (Karras et al. 2022, algorithm 2): noise levels from `sigma_max` to `sigma_min` in equal steps
    /// of their `rho`-th root, then none.
    pub struct Karras {
        #[doc = "Steps."]
        steps: u64 [2.0..=1e5] = 18;
        #[doc = "Order of the steps."]
        method: KarrasMethod = KarrasMethod::Heun;
        #[doc = "The smallest level but none."]
        sigma_min: f64 [1e-6..=10.0] = 0.002;
        #[doc = "The largest level, at which samples start."]
        sigma_max: f64 [0.1..=1e4] = 80.0;
        #[doc = "How much more finely small levels are stepped."]
        rho: f64 [1.0..=100.0] = 7.0;
        #[doc = "Noise added anew over the whole way (S_churn): 0 makes the sampler deterministic."]
        churn: f64 [0.0..=1e4] = 0.0;
        #[doc = "The smallest level at which noise is added (S_min)."]
        churn_from: f64 [0.0..=1e4] = 0.0;
        #[doc = "The largest level at which noise is added (S_max)."]
        churn_to: f64 [0.0..=1e9] = 1e9;
        #[doc = "Standard deviation of that noise (S_noise)."]
        churn_noise: f64 [0.5..=2.0] = 1.0;
    }
    check check_karras;
}

fn check_karras(karras: &Karras, found: &Found<'_>, reader: &mut Reader) {
    if karras.sigma_min >= karras.sigma_max {
        let (low, high) = (karras.sigma_min, karras.sigma_max);
        let problem = Problem::new(format!("sigma_min, {low}, is not below sigma_max, {high}"));
        reader.wrong_key(found, "sigma_min", problem.help("take 0.002 and 80, as the paper"));
    }
}

impl Karras {
    /// Network evaluations for one sample.
    pub fn evaluations(&self) -> u64 {
        match self.method {
            KarrasMethod::Heun => 2 * self.steps - 1,
            KarrasMethod::Euler => self.steps,
        }
    }
}

choice! {
    /// The order of the sampler of EDM.
    pub enum KarrasMethod {
        #[doc = "Heun's method: two evaluations a step, one in the last."]
        Heun = "heun",
        #[doc = "Euler's method: one evaluation a step."]
        Euler = "euler",
    }
}

choice! {
    /// Variance of ancestral sampling.
    pub enum Variance {
        #[doc = "The posterior variance given a clean sample of zero variance."]
        FixedSmall = "fixed_small",
        #[doc = "beta itself."]
        FixedLarge = "fixed_large",
    }
}

choice! {
    /// Which times a sampler of N steps visits, of T; each list ends at, or near, time 0.
    pub enum Spacing {
        #[doc = "T-1 downwards in steps of T/N (999, 899, … 99 for N = 10): starts at the noisiest time."]
        Trailing = "trailing",
        #[doc = "Multiples of T/N down to 0 (900, 800, … 0 for N = 10)."]
        Leading = "leading",
        #[doc = "From T-1 to 0 in equal steps, rounded."]
        Linspace = "linspace",
    }
}
