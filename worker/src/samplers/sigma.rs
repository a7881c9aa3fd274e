//! Deterministic methods along the probability flow of a discrete process, in the coordinates
//! y = x / alpha and s = sigma / alpha, in which dy/ds is the predicted noise (Song et al. 2020; Karras et
//! al. 2022). The times between steps are those of the process, down to the clean sample at s = 0.

use super::Predicted;
use crate::noise::{Level, Process};
use tch::Tensor;

/// How the walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Euler: the implicit sampler without noise, in other words.
    Euler,
    /// Heun: the mean of the slopes at both ends; the last step, which ends without noise, is Euler's.
    Heun,
    /// DPM-Solver++ (2M) (Lu et al. 2022): the clean sample, extrapolated from the last two.
    DpmSolver,
}

/// A walk over some times, noisiest first.
#[derive(Debug, Clone, PartialEq)]
pub struct SigmaWalk {
    /// The method.
    pub method: Method,
    /// The times, noisiest first.
    pub times: Vec<usize>,
    /// Their levels, and that of the clean sample.
    levels: Vec<Level>,
}

/// A walk on its way.
#[derive(Debug)]
pub struct OnTheWay {
    /// The sample over alpha.
    pub y: Tensor,
    /// The last predicted clean sample.
    last: Option<Tensor>,
}

impl OnTheWay {
    /// A beginning at y.
    pub fn at(y: Tensor) -> Self {
        Self { y, last: None }
    }
}

/// s of a level.
fn s(level: Level) -> f64 {
    level.sigma() / level.alpha()
}

impl SigmaWalk {
    /// Makes the walk over these times.
    pub fn new(method: Method, times: Vec<usize>, process: &Process) -> Self {
        let clean = [None].into_iter();
        let levels = times.iter().map(|time| Some(*time)).chain(clean);
        Self { method, levels: levels.map(|time| process.level(time)).collect(), times }
    }

    /// Returns how often the network is evaluated for one sample.
    pub fn nfe(&self) -> usize {
        match self.method {
            Method::Heun => 2 * self.times.len() - 1,
            Method::Euler | Method::DpmSolver => self.times.len(),
        }
    }

    /// Returns the beginning of a walk from samples `x` at the noisiest time.
    pub fn begin(&self, x: &Tensor) -> OnTheWay {
        OnTheWay::at(x / self.levels[0].alpha())
    }

    /// Returns the samples after `i` steps of a walk.
    pub fn samples(&self, i: usize, way: &OnTheWay) -> Tensor {
        &way.y * self.levels[i].alpha()
    }

    /// Takes step number `i`; `predict` is asked at samples and a time.
    pub fn step(
        &self,
        i: usize,
        way: OnTheWay,
        predict: impl Fn(&Tensor, usize) -> Predicted,
    ) -> OnTheWay {
        let (now, then) = (self.levels[i], self.levels[i + 1]);
        let ask = |y: &Tensor, i: usize| {
            let x = y * self.levels[i].alpha();
            predict(&x, self.times[i]).parts(&x, self.levels[i])
        };
        let y = way.y;
        let (x0, eps) = ask(&y, i);
        let width = s(then) - s(now);
        match self.method {
            Method::Euler => OnTheWay { y: y + eps * width, last: None },
            Method::Heun => {
                let euler = &y + &eps * width;
                if i + 1 == self.times.len() {
                    return OnTheWay { y: euler, last: None };
                }
                let (_, ahead) = ask(&euler, i + 1);
                OnTheWay { y: y + (eps + ahead) * (width / 2.0), last: None }
            }
            Method::DpmSolver => {
                let share = s(then) / s(now);
                let log_step = |from: usize| (s(self.levels[from]) / s(self.levels[from + 1])).ln();
                let clean = match way.last {
                    // To no noise at all the step is infinite: of first order.
                    Some(last) if s(then) > 0.0 => {
                        let ratio = log_step(i - 1) / log_step(i);
                        &x0 * (1.0 + 0.5 / ratio) - last * (0.5 / ratio)
                    }
                    _ => x0.shallow_clone(),
                };
                OnTheWay { y: y * share + clean * (1.0 - share), last: Some(x0) }
            }
        }
    }
}
