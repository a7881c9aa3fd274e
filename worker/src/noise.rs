//! Noise: how much of it there is at each time of a variance-preserving process, in 64 bits.
//! Times are 0-based (index 0 is the papers' t = 1); before time 0 there is no noise, `alpha_bar = 1`.
//! Nothing here knows networks or samplers.

use ablate::settings::Ddpm;
use ablate::settings::schedule;
use tch::Tensor;

pub use ablate::settings::schedule::{
    Limits, cosine, linear, quadratic, sigmoid_alpha_bar, sigmoid_beta,
};

/// How much signal and noise a noisy sample holds: `x = alpha x0 + sigma eps`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Variance of the signal, alpha squared.
    pub signal: f64,
    /// Variance of the noise, sigma squared.
    pub noise: f64,
}

impl Level {
    /// No noise at all.
    pub const CLEAN: Self = Self { signal: 1.0, noise: 0.0 };

    /// The level of a variance-preserving process with this share of signal, in [0, 1].
    pub fn preserving(alpha_bar: f64) -> Self {
        Self { signal: alpha_bar, noise: 1.0 - alpha_bar }
    }

    /// The level on the straight path from noise, at time 0, to data, at time 1 (Lipman et al. 2023;
    /// Liu et al. 2023).
    pub fn straight(time: f64) -> Self {
        Self { signal: time * time, noise: (1.0 - time) * (1.0 - time) }
    }

    /// Returns the factor of the clean sample.
    pub fn alpha(self) -> f64 {
        self.signal.sqrt()
    }

    /// Returns the factor of the noise.
    pub fn sigma(self) -> f64 {
        self.noise.sqrt()
    }

    /// Returns the ratio of the variances of signal and noise; infinite for [`Level::CLEAN`].
    pub fn snr(self) -> f64 {
        self.signal / self.noise
    }
}

/// The levels at all times of a process in discrete steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Variance that each step adds, in (0, 1].
    pub beta: Vec<f64>,
    /// Product of 1 - beta up to and including each time: falls from nearly 1 towards 0.
    pub alpha_bar: Vec<f64>,
}

impl Process {
    /// Makes the process that settings ask for.
    pub fn new(settings: &Ddpm) -> Self {
        let process = Self::from_betas(settings.betas());
        match settings.zero_terminal_snr {
            true => process.zero_terminal_snr(),
            false => process,
        }
    }

    /// Makes the process with these betas, each in (0, 1], at least one.
    pub fn from_betas(beta: Vec<f64>) -> Self {
        let alpha_bar = schedule::cumulative(&beta);
        Self { beta, alpha_bar }
    }

    /// Makes the process with these signal shares, falling, in [0, 1).
    pub fn from_alpha_bars(alpha_bar: Vec<f64>) -> Self {
        let before = std::iter::once(1.0).chain(alpha_bar.iter().copied());
        let beta = alpha_bar.iter().zip(before).map(|(now, before)| 1.0 - now / before).collect();
        Self { beta, alpha_bar }
    }

    /// Returns the process [`schedule::stretched`] until no signal is left at the last time. A network that
    /// predicts noise learns nothing at that time.
    #[must_use]
    pub fn zero_terminal_snr(&self) -> Self {
        Self::from_alpha_bars(schedule::stretched(&self.alpha_bar))
    }

    /// Returns the number of times T.
    pub fn timesteps(&self) -> usize {
        self.beta.len()
    }

    /// Returns the level at a time below T; `None` stands for the time before 0.
    pub fn level(&self, time: Option<usize>) -> Level {
        time.map_or(Level::CLEAN, |time| Level::preserving(self.alpha_bar[time]))
    }

    /// Returns the posterior of the sample at `next`, given the one at `time` and the clean one.
    pub fn posterior(&self, time: usize, next: Option<usize>) -> Posterior {
        let (now, then) = (self.level(Some(time)), self.level(next));
        // One step of the table keeps beta as it is; over several steps it follows from the product.
        let neighbours = next.map_or(0, |next| next + 1) == time;
        let lost = if neighbours { self.beta[time] } else { 1.0 - now.signal / then.signal };
        let noise = now.noise;
        Posterior {
            x0_factor: then.alpha() * lost / noise,
            x_factor: (1.0 - lost).sqrt() * then.noise / noise,
            variance: then.noise / noise * lost,
            beta: lost,
        }
    }

    /// Returns noisy samples `x_t = alpha x0 + sigma eps` (Ho et al. 2020, eq. 4).
    ///
    /// `x0` and `eps` are `[n, c, h, w]`, `times` is `[n]` int64 below T, on one device.
    pub fn noisy(&self, x0: &Tensor, eps: &Tensor, times: &Tensor) -> Tensor {
        let (alpha, sigma) = self.factors(times, x0);
        alpha * x0 + sigma * eps
    }

    /// Returns alpha and sigma at `times` `[n]` int64, each `[n, 1, 1, 1]`, of the kind and on the
    /// device of `like`.
    pub fn factors(&self, times: &Tensor, like: &Tensor) -> (Tensor, Tensor) {
        let table = |factor: fn(Level) -> f64| {
            let values: Vec<f64> =
                self.alpha_bar.iter().map(|share| factor(Level::preserving(*share))).collect();
            // The roots are taken in 64 bits: 1 - alpha_bar at time 0 keeps few digits in 32.
            let values = Tensor::from_slice(&values).to_kind(like.kind()).to_device(like.device());
            values.index_select(0, times).view([-1, 1, 1, 1])
        };
        (table(Level::alpha), table(Level::sigma))
    }
}

/// A normal law for an earlier sample: `mean = x0_factor x0 + x_factor x` (Ho et al. 2020, eq. 7).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// Factor of the clean sample in the mean.
    pub x0_factor: f64,
    /// Factor of the noisy sample in the mean.
    pub x_factor: f64,
    /// The variance, if the clean sample is known exactly.
    pub variance: f64,
    /// Variance that the steps in between add; the larger choice of sampling variance.
    pub beta: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ablate::settings::Schedule;
    use tch::{Device, Kind};

    #[test]
    fn the_linear_process_of_ho_et_al_ends_in_noise_alone() {
        let process = Process::new(&Ddpm::default());
        assert_eq!(process.timesteps(), 1000);
        // DDPM release: alpha_bar after 1000 steps, computed with 50 digits.
        assert!((process.alpha_bar[999] - 4.035_829_765_375_68e-5).abs() < 1e-17);
    }

    #[test]
    fn a_shorter_linear_process_keeps_signal_at_its_end() {
        // Betas are not rescaled with T; at T = 300 a share of 0.048 is left.
        let process = Process::new(&Ddpm { timesteps: 300, ..Ddpm::default() });
        assert!((process.alpha_bar[299] - 0.048).abs() < 1e-3);
    }

    #[test]
    fn the_cosine_falls_all_the_way_and_not_only_at_its_end() {
        let process = Process::new(&Ddpm { schedule: Schedule::Cosine, ..Ddpm::default() });
        assert!((process.alpha_bar[499] - 0.5).abs() < 0.01);
        assert!(process.beta.iter().all(|beta| *beta > 0.0 && *beta <= 0.999));
    }

    #[test]
    fn steps_of_the_posterior_add_up() {
        // Two ancestral steps without clipping have the mean of one long step when x0 is known.
        let process = Process::new(&Ddpm::default());
        let (x, x0) = (0.7, -0.3);
        let mean = |x: f64, time, next| {
            let posterior = process.posterior(time, next);
            posterior.x0_factor * x0 + posterior.x_factor * x
        };
        let twice = mean(mean(x, 500, Some(499)), 499, Some(498));
        assert!((twice - mean(x, 500, Some(498))).abs() < 1e-12);
    }

    #[test]
    fn every_sample_of_a_batch_gets_the_noise_of_its_own_time() {
        let process = Process::new(&Ddpm::default());
        let options = (Kind::Double, Device::Cpu);
        let (x0, eps) = (Tensor::ones([2, 1, 1, 1], options), Tensor::zeros([2, 1, 1, 1], options));
        let got = process.noisy(&x0, &eps, &Tensor::from_slice(&[0_i64, 999]));
        for (i, time) in [0, 999].into_iter().enumerate() {
            let want = process.level(Some(time)).alpha();
            assert_eq!(got.double_value(&[i as i64, 0, 0, 0]), want);
        }
    }
}
