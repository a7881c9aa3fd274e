//! The learning rate of a step: it rises over the warmup, falls along a cosine where that is asked for, and
//! is reduced where the validation loss has stopped falling. A function of the step and of the losses
//! so far, which a checkpoint holds: there is no other state.

use ablate::settings::{Decay, Plateau, Train};

/// How the learning rate of a training goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// The rate after the warmup.
    pub base: f64,
    /// Steps of the warmup.
    pub warmup: u64,
    /// Steps in all.
    pub length: u64,
    /// How it goes after the warmup.
    pub decay: Decay,
    /// When it is reduced.
    pub plateau: Option<Plateau>,
}

impl Rate {
    /// Makes the rate of a training of `length` steps, so many of them to a pass over the data.
    pub fn new(settings: &Train, per_epoch: u64, length: u64) -> Self {
        let ablate::settings::Optimizer::AdamW(adamw) = &settings.optimizer;
        Self {
            base: adamw.learning_rate,
            warmup: adamw.warmup.steps(per_epoch),
            length,
            decay: settings.decay,
            plateau: settings.plateau.on(),
        }
    }

    /// Returns the rate of a step (0-based), after validation losses, each with the number of steps before it.
    pub fn at(&self, step: u64, losses: impl IntoIterator<Item = (u64, f64)>) -> f64 {
        let warm = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        let rate = self.base * warm * self.decayed(step);
        match self.plateau {
            Some(plateau) => {
                let after = losses.into_iter().filter(|(at, _)| *at > self.warmup);
                let factor = plateau.factor_after(after.map(|(_, loss)| loss));
                // The floor never raises a rate that the warmup keeps below it.
                (rate * factor).max(plateau.smallest.min(rate))
            }
            None => rate,
        }
    }

    fn decayed(&self, step: u64) -> f64 {
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Cosine => {
                let after = (step + 1).saturating_sub(self.warmup) as f64;
                let all = self.length.saturating_sub(self.warmup).max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * (after / all).min(1.0)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate() -> Rate {
        Rate { base: 1.0, warmup: 4, length: 14, decay: Decay::Constant, plateau: None }
    }

    #[test]
    fn it_rises_over_the_warmup_and_stays() {
        let rates: Vec<f64> = (0..6).map(|step| rate().at(step, [])).collect();
        assert_eq!(rates, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
        assert_eq!(Rate { warmup: 0, ..rate() }.at(0, []), 1.0);
    }

    #[test]
    fn a_cosine_ends_at_nothing_with_the_last_step() {
        let rate = Rate { decay: Decay::Cosine, ..rate() };
        assert_eq!(rate.at(3, []), 1.0);
        assert!((rate.at(8, []) - 0.5).abs() < 1e-15);
        assert!(rate.at(13, []).abs() < 1e-15);
    }

    #[test]
    fn a_plateau_is_left_by_a_smaller_rate() {
        let plateau = Plateau { factor: 0.5, patience: 1, improvement: 0.0, smallest: 0.2 };
        let rate = Rate { plateau: Some(plateau), ..rate() };
        let at = |losses: &[f64]| rate.at(99, (10..).zip(losses.iter().copied()));
        assert_eq!(at(&[3.0, 2.0, 2.5]), 1.0);
        assert_eq!(at(&[3.0, 2.0, 2.5, 2.5]), 0.5);
        assert_eq!(at(&[3.0; 12]), 0.2, "never below the smallest");
        assert_eq!(
            rate.at(99, [(1, 3.0), (2, 3.0), (3, 3.0), (4, 3.0)]),
            1.0,
            "the warmup is no plateau"
        );
    }
}
