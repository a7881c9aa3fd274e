//! Runge-Kutta methods along a flow, from noise at time 0 to data at time 1 in even steps.

use tch::Tensor;

/// An explicit Runge-Kutta method: where it asks, how it combines the answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tableau {
    /// Where within a step each stage lies, and how it is reached from the ones before.
    pub stages: &'static [(f64, &'static [f64])],
    /// Weights of the stages.
    pub weights: &'static [f64],
}

/// Euler's method, of first order.
pub const EULER: Tableau = Tableau { stages: &[(0.0, &[])], weights: &[1.0] };

/// Heun's method, of second order: the mean of the slopes at both ends.
pub const HEUN: Tableau = Tableau { stages: &[(0.0, &[]), (1.0, &[1.0])], weights: &[0.5, 0.5] };

/// The midpoint method, of second order.
pub const MIDPOINT: Tableau =
    Tableau { stages: &[(0.0, &[]), (0.5, &[0.5])], weights: &[0.0, 1.0] };

/// The classical method of fourth order.
pub const RK4: Tableau = Tableau {
    stages: &[(0.0, &[]), (0.5, &[0.5]), (0.5, &[0.0, 0.5]), (1.0, &[0.0, 0.0, 1.0])],
    weights: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
};

/// A walk along a flow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Walk {
    /// The method.
    pub tableau: Tableau,
    /// The number of steps.
    pub steps: usize,
}

impl Walk {
    /// Returns how often the velocity is asked for.
    pub fn nfe(&self) -> usize {
        self.steps * self.tableau.stages.len()
    }

    /// Takes step number `i` from `x`; `velocity` is asked at samples and a time in [0, 1].
    pub fn step(&self, i: usize, x: &Tensor, velocity: impl Fn(&Tensor, f64) -> Tensor) -> Tensor {
        let width = 1.0 / self.steps as f64;
        // Never in place: every stage begins at x.
        let moved = |factors: &[f64], slopes: &[Tensor]| {
            let parts = factors.iter().zip(slopes).filter(|(factor, _)| **factor != 0.0);
            parts.fold(x.shallow_clone(), |y, (factor, slope)| y + slope * (factor * width))
        };
        let mut slopes: Vec<Tensor> = vec![];
        for (at, factors) in self.tableau.stages {
            let y = moved(factors, &slopes);
            slopes.push(velocity(&y, (i as f64 + at) * width));
        }
        moved(self.tableau.weights, &slopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of a walk along dx/dt = cos(t) x from x = 1, whose end is exp(sin 1).
    fn error(tableau: Tableau, steps: usize) -> f64 {
        let walk = Walk { tableau, steps };
        let velocity = |x: &Tensor, t: f64| x * t.cos();
        let x = (0..steps).fold(Tensor::from(1.0), |x, i| walk.step(i, &x, velocity));
        (x.double_value(&[]) - 1.0_f64.sin().exp()).abs()
    }

    #[test]
    fn every_method_has_its_order() {
        for (tableau, order) in [(EULER, 1.0), (HEUN, 2.0), (MIDPOINT, 2.0), (RK4, 4.0)] {
            let seen = (error(tableau, 20) / error(tableau, 40)).log2();
            assert!((seen - order).abs() < 0.15, "{tableau:?}: {seen}");
        }
    }
}
