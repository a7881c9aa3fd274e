//! What a network learns: settings of objectives.

use super::reader::{Found, Reader};
use super::schedule::{self, Limits};
use super::table::{choice, kinds, table};
use super::values::Off;
use crate::problem::Problem;

kinds! {
    /// What the network learns.
    pub enum Objective {
        /// Denoising diffusion in a variance-preserving process of discrete times.
        Ddpm(Ddpm) = "ddpm",
        /// Flow matching: the velocity along straight paths from noise to data.
        FlowMatching(FlowMatching) = "flow_matching",
        /// Denoising at noise levels of any size, preconditioned.
        Edm(Edm) = "edm",
        /// The class of each item: a judge of images rather than a source of them.
        Classification(Classification) = "classification",
    }
}

table! {
    /// Denoising diffusion (Ho, Jain & Abbeel 2020, eq. 14).
    pub struct Ddpm {
        #[doc = "The noise schedule."]
        schedule: Schedule = Schedule::Linear;
        #[doc = "Number of noise levels T."]
        timesteps: u64 [2.0..=1e5] = 1000;
        #[doc = "First beta of the schedules that have betas: linear, quadratic and sigmoid_beta."]
        beta_start: f64 [1e-8..=0.999] = 1e-4;
        #[doc = "Last beta of these schedules."]
        beta_end: f64 [1e-8..=0.999] = 0.02;
        #[doc = "Multiply these betas by 1000 / T, so that about as little signal is left at the last time as for T = 1000."]
        rescale: bool = false, neutral false;
        #[doc = "Stretch the schedule until no signal at all is left at the last time (Lin et al. 2023)."]
        zero_terminal_snr: bool = false, neutral false;
        #[doc = "What the network predicts."]
        prediction: Prediction = Prediction::Epsilon, neutral Prediction::Epsilon;
        #[doc = "Largest signal-to-noise ratio that counts in the weight of a time (min-SNR, Hang et al. 2023: 5); `off` weighs all times alike."]
        min_snr: Off<f64> [1e-3..=1e6] = Off::Off, neutral Off::Off;
        #[doc = "The distance between prediction and target, averaged over all elements."]
        loss: Loss = Loss::L2;
    }
    check check_ddpm;
}

impl Default for Ddpm {
    fn default() -> Self {
        Self {
            schedule: Schedule::Linear,
            timesteps: 1000,
            beta_start: 1e-4,
            beta_end: 0.02,
            rescale: false,
            zero_terminal_snr: false,
            prediction: Prediction::Epsilon,
            min_snr: Off::Off,
            loss: Loss::L2,
        }
    }
}

/// Signal share at the last time above which a sampler that starts from pure noise is told of.
pub const SIGNAL_LEFT: f64 = 1e-3;

impl Ddpm {
    /// The variance that each of the times adds, before any stretching.
    pub fn betas(&self) -> Vec<f64> {
        let timesteps = self.timesteps as usize;
        let scale = if self.rescale { 1000.0 / self.timesteps as f64 } else { 1.0 };
        let (start, end) = (scale * self.beta_start, scale * self.beta_end);
        match self.schedule {
            Schedule::Linear => schedule::linear(timesteps, start, end),
            Schedule::Quadratic => schedule::quadratic(timesteps, start, end),
            Schedule::SigmoidBeta => schedule::sigmoid_beta(timesteps, start, end),
            Schedule::Cosine => schedule::cosine(timesteps, Limits::PUBLISHED),
            Schedule::SigmoidAlphaBar => schedule::sigmoid_alpha_bar(timesteps),
        }
    }

    /// The share of the signal in the variance at each of the times.
    pub fn alpha_bars(&self) -> Vec<f64> {
        let alpha_bars = schedule::cumulative(&self.betas());
        if self.zero_terminal_snr { schedule::stretched(&alpha_bars) } else { alpha_bars }
    }

    /// The share of the signal in the variance that is left at the last time, alpha-bar there.
    pub fn signal_left(&self) -> f64 {
        self.alpha_bars().last().copied().unwrap_or(1.0)
    }
}

fn check_ddpm(ddpm: &Ddpm, found: &Found<'_>, reader: &mut Reader) {
    if ddpm.rescale && !ddpm.schedule.has_betas() {
        let word = ddpm.schedule.word();
        let problem = Problem::new(format!("the schedule `{word}` has no betas to rescale"));
        let help = "it is made for any T; leave `rescale` out, or let it depend on the schedule";
        reader.wrong_key(found, "rescale", problem.help(help));
    }
    let scale = if ddpm.rescale { 1000.0 / ddpm.timesteps as f64 } else { 1.0 };
    if ddpm.schedule.has_betas() && scale * ddpm.beta_end.max(ddpm.beta_start) > 0.999 {
        let problem = Problem::new(format!(
            "rescaled to {} times, the last beta is {:.3}",
            ddpm.timesteps,
            scale * ddpm.beta_end
        ));
        reader.wrong_key(found, "rescale", problem.help("betas are below 1: take more timesteps"));
    }
    if ddpm.zero_terminal_snr && ddpm.prediction == Prediction::Epsilon {
        let problem = Problem::new("at the last time there is nothing but noise to predict");
        let help = "take `prediction: v` or `x0` with `zero_terminal_snr`";
        reader.wrong_key(found, "zero_terminal_snr", problem.help(help));
    }
}

choice! {
    /// How noise grows with time.
    pub enum Schedule {
        #[doc = "Betas from `beta_start` to `beta_end` in equal steps (Ho et al. 2020)."]
        Linear = "linear",
        #[doc = "Squared cosine with s = 0.008, betas at most 0.999 (Nichol & Dhariwal 2021)."]
        Cosine = "cosine",
        #[doc = "Roots of the betas in equal steps; `scaled_linear` elsewhere."]
        Quadratic = "quadratic",
        #[doc = "Betas along a sigmoid from -6 to 6 (Xu et al. 2022)."]
        SigmoidBeta = "sigmoid_beta",
        #[doc = "The share of the signal along a sigmoid from 3 to -3 (Jabri et al. 2022)."]
        SigmoidAlphaBar = "sigmoid_alpha_bar",
    }
}

impl Schedule {
    /// Whether it goes from a first to a last beta.
    pub fn has_betas(self) -> bool {
        matches!(self, Self::Linear | Self::Quadratic | Self::SigmoidBeta)
    }
}

choice! {
    /// What a network predicts about a noisy sample.
    pub enum Prediction {
        #[doc = "The noise."]
        Epsilon = "epsilon",
        #[doc = "The clean sample."]
        X0 = "x0",
        #[doc = "The velocity alpha eps - sigma x0 (Salimans & Ho 2022)."]
        V = "v",
    }
}

choice! {
    /// The distance between prediction and target.
    pub enum Loss {
        #[doc = "Mean squared error."]
        L2 = "l2",
        #[doc = "Mean absolute error."]
        L1 = "l1",
        #[doc = "Smooth L1 with beta = 1: half the square below 1, the distance less one half above."]
        Huber = "huber",
    }
}

table! {
    /// Flow matching along x = t x0 + (1 - t) noise, t from 0 to 1: the network learns the velocity
    /// x0 - noise (Lipman et al. 2023; Liu et al. 2023).
    pub struct FlowMatching {
        #[doc = "Which way the network's time runs, and its velocity points."]
        time_direction: TimeDirection = TimeDirection::NoiseToData;
        #[doc = "The distance between predicted and true velocity, averaged over all elements."]
        loss: Loss = Loss::L2;
    }
}

impl Default for FlowMatching {
    fn default() -> Self {
        Self { time_direction: TimeDirection::NoiseToData, loss: Loss::L2 }
    }
}

table! {
    /// EDM (Karras et al. 2022): samples plus noise of standard deviation sigma, ln sigma normal; the network is
    /// scaled around so that what it sees and what it is to say have variance one at every level.
    pub struct Edm {
        #[doc = "Standard deviation of the data as the network sees them; by default 1 where the transform makes it so (`zscore`, `log_zscore`), else 0.5."]
        sigma_data: Option<f64> [1e-3..=1e3];
        #[doc = "Mean of ln sigma in training."]
        p_mean: f64 [-10.0..=10.0] = -1.2;
        #[doc = "Standard deviation of ln sigma in training."]
        p_std: f64 [0.01..=10.0] = 1.2;
        #[doc = "The distance between what the network says and should say, averaged over all elements; `l2` is that of the paper."]
        loss: Loss = Loss::L2;
    }
}

impl Edm {
    /// Standard deviation of data whose transform makes it one, or not.
    pub fn sigma_of(is_standardised: bool) -> f64 {
        if is_standardised { 1.0 } else { 0.5 }
    }
}

table! {
    /// Classification by cross-entropy; for the model `lenet`, on data with classes.
    pub struct Classification {
        #[doc = "Share of the target that is spread over all classes."]
        label_smoothing: f64 [0.0..=0.9] = 0.0;
    }
}

choice! {
    /// Where time 0 is.
    pub enum TimeDirection {
        #[doc = "Noise at t = 0, data at t = 1 (most papers)."]
        NoiseToData = "noise_to_data",
        #[doc = "Data at t = 0, noise at t = 1 (Stable Diffusion 3): u(x, t) is -u(x, 1 - t) of the other."]
        DataToNoise = "data_to_noise",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_at_the_last_time() {
        let left = |ddpm: Ddpm| ddpm.signal_left();
        // As in schedules.json: 4.0e-5 at T = 1000, 0.0064 at 500, 0.048 at 300, 0.114 quadratic.
        assert!((left(Ddpm::default()) / 4.036e-5 - 1.0).abs() < 1e-3);
        let short = |timesteps| Ddpm { timesteps, ..Ddpm::default() };
        assert!((left(short(500)) - 0.0064).abs() < 1e-4);
        assert!((left(short(300)) - 0.048).abs() < 1e-3);
        let quadratic = Ddpm { schedule: Schedule::Quadratic, ..short(300) };
        assert!((left(quadratic) - 0.114).abs() < 1e-3);
        assert!(left(Ddpm { rescale: true, ..short(300) }) < SIGNAL_LEFT);
        assert!(left(Ddpm { zero_terminal_snr: true, ..short(300) }) == 0.0);
    }
}
