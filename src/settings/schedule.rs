//! Betas: the variance of the noise that each step of a variance-preserving process adds, in 64 bits.
//! Both programs need them: the worker to train, the coordinator to say what a schedule leaves at its end.

/// Returns `n` numbers from `start` to `end` in equal steps.
fn linspace(start: f64, end: f64, n: usize) -> impl Iterator<Item = f64> {
    let step = (end - start) / n.saturating_sub(1).max(1) as f64;
    (0..n).map(move |i| if i + 1 == n && n > 1 { end } else { start + step * i as f64 })
}

/// Returns alpha-bar, the share of the signal in the variance, under these betas.
pub fn cumulative(betas: &[f64]) -> Vec<f64> {
    let kept = betas.iter().scan(1.0, |kept, beta| {
        *kept *= 1.0 - beta;
        Some(*kept)
    });
    kept.collect()
}

/// Returns alpha-bars stretched so that no signal is left at the last time: their roots are shifted and scaled, the
/// first one kept (Lin et al. 2023, algorithm 1).
pub fn stretched(alpha_bars: &[f64]) -> Vec<f64> {
    let (Some(first), Some(last)) = (alpha_bars.first(), alpha_bars.last()) else { return vec![] };
    let (first, last) = (first.sqrt(), last.sqrt());
    let one = |share: &f64| ((share.sqrt() - last) * first / (first - last)).powi(2);
    alpha_bars.iter().map(one).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Returns betas whose product follows `share`, the signal share at a fraction of the whole time.
fn betas_of(timesteps: usize, limits: Limits, share: impl Fn(f64) -> f64) -> Vec<f64> {
    let at = |time: usize| share(time as f64 / timesteps as f64);
    let beta = |time| 1.0 - at(time + 1) / at(time);
    (0..timesteps).map(|time| beta(time).clamp(limits.smallest, limits.largest)).collect()
}

/// Between which values betas are kept; 0 <= smallest <= largest <= 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// No beta is smaller.
    pub smallest: f64,
    /// No beta is larger.
    pub largest: f64,
}

impl Limits {
    /// Those of Nichol & Dhariwal 2021: no lower one, and 0.999 so that the last step is no singularity.
    pub const PUBLISHED: Self = Self { smallest: 0.0, largest: 0.999 };
}

/// Returns betas in equal steps (Ho et al. 2020, section 4).
pub fn linear(timesteps: usize, start: f64, end: f64) -> Vec<f64> {
    linspace(start, end, timesteps).collect()
}

/// Returns betas whose roots go in equal steps (`quad` of the DDPM release, `scaled_linear` elsewhere).
pub fn quadratic(timesteps: usize, start: f64, end: f64) -> Vec<f64> {
    linspace(start.sqrt(), end.sqrt(), timesteps).map(|root| root * root).collect()
}

/// Returns betas along a sigmoid from -6 to 6 (Xu et al. 2022); not [`sigmoid_alpha_bar`].
pub fn sigmoid_beta(timesteps: usize, start: f64, end: f64) -> Vec<f64> {
    linspace(-6.0, 6.0, timesteps).map(|x| sigmoid(x) * (end - start) + start).collect()
}

/// Returns betas of the squared cosine with s = 0.008 (Nichol & Dhariwal 2021, eq. 17).
pub fn cosine(timesteps: usize, limits: Limits) -> Vec<f64> {
    let s = 0.008;
    let share = |t: f64| ((t + s) / (1.0 + s) * std::f64::consts::FRAC_PI_2).cos().powi(2);
    betas_of(timesteps, limits, share)
}

/// Returns betas under which alpha_bar itself falls along a sigmoid from -3 to 3 (Jabri et al. 2022).
pub fn sigmoid_alpha_bar(timesteps: usize) -> Vec<f64> {
    let (start, end) = (-3.0, 3.0);
    let (high, low) = (sigmoid(end), sigmoid(start));
    let share = |t: f64| (high - sigmoid(t * (end - start) + start)) / (high - low);
    betas_of(timesteps, Limits::PUBLISHED, share)
}
