//! The exponential moving average of the weights, as tensors by the names of the parameters.

use crate::fused;
use crate::net::{self, Tensors};
use ablate::problem::Result;
use tch::Tensor;

/// How much of the average survives a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decay {
    /// The same at each step, in [0, 1).
    Fixed(f64),
    /// min(largest, (1 + s) / (10 + s)) at step s, 1 at the first: the initial weights are soon forgotten.
    Ramp(f64),
}

impl Decay {
    /// Returns the decay of a step, 1 at the first.
    pub fn at(self, step: u64) -> f64 {
        match self {
            Self::Fixed(decay) => decay,
            Self::Ramp(largest) => largest.min((1 + step) as f64 / (10 + step) as f64),
        }
    }
}

/// A moving average of parameters; it shares no memory with them.
#[derive(Debug)]
pub struct Ema {
    decay: Decay,
    steps: u64,
    average: Tensors,
}

impl Ema {
    /// Starts an average as a copy of `parameters`.
    pub fn new(decay: Decay, parameters: &Tensors) -> Self {
        Self { decay, steps: 0, average: net::copies(parameters) }
    }

    /// Moves the average towards `parameters`, those given at first:
    /// `average = decay average + (1 - decay) parameter`.
    pub fn update(&mut self, parameters: &Tensors) {
        self.steps += 1;
        let weight = 1.0 - self.decay.at(self.steps);
        let averages: Vec<&Tensor> = self.average.values().collect();
        fused::lerp(&averages, &parameters.values().collect::<Vec<_>>(), weight);
    }

    /// Returns how many updates there were.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the average itself, not a copy.
    pub fn average(&self) -> &Tensors {
        &self.average
    }

    /// Returns a copy of the average.
    pub fn export(&self) -> Tensors {
        net::copies(&self.average)
    }

    /// Takes back what [`Ema::export`] gave after so many `steps`.
    ///
    /// # Errors
    /// If a tensor is missing, unknown or of another shape.
    pub fn import(&mut self, steps: u64, average: &Tensors) -> Result<()> {
        net::load(&self.average, average)?;
        self.steps = steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: f64) -> Tensors {
        Tensors::from([("w".to_owned(), Tensor::from_slice(&[value]))])
    }

    fn value(ema: &Ema) -> f64 {
        ema.average()["w"].double_value(&[0])
    }

    #[test]
    fn the_decay_ramps_up_to_its_limit() {
        // diffusers' EMAModel: 2/11 after the first step.
        assert_eq!(Decay::Ramp(0.999).at(1), 2.0 / 11.0);
        assert!((Decay::Ramp(0.999).at(90) - 0.91).abs() < 1e-15);
        assert_eq!(Decay::Ramp(0.999).at(1_000_000), 0.999);
        assert_eq!(Decay::Fixed(0.9).at(1), 0.9);
    }

    #[test]
    fn an_average_moves_by_its_share_and_leaves_the_weights_alone() {
        let weights = one(1.0);
        let mut ema = Ema::new(Decay::Fixed(0.75), &one(0.0));
        ema.update(&weights);
        ema.update(&weights);
        assert_eq!(value(&ema), 0.25 + 0.75 * 0.25);
        assert_eq!(weights["w"].double_value(&[0]), 1.0);
    }

    #[test]
    fn an_average_goes_on_after_a_restart_as_if_nothing_had_happened() {
        let mut through = Ema::new(Decay::Ramp(0.999), &one(0.0));
        (1..=6).for_each(|i| through.update(&one(f64::from(i))));

        let mut early = Ema::new(Decay::Ramp(0.999), &one(0.0));
        (1..=3).for_each(|i| early.update(&one(f64::from(i))));
        let mut late = Ema::new(Decay::Ramp(0.999), &one(-7.0));
        late.import(early.steps(), &early.export()).unwrap();
        (4..=6).for_each(|i| late.update(&one(f64::from(i))));
        assert_eq!(value(&through), value(&late));
    }

    #[test]
    fn weights_of_another_shape_are_refused() {
        let mut ema = Ema::new(Decay::Fixed(0.9), &one(0.0));
        let other = Tensors::from([("w".to_owned(), Tensor::from_slice(&[0.0, 1.0]))]);
        assert!(ema.import(1, &other).is_err());
    }
}
