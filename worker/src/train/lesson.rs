//! What is learned from a batch: denoising, or the classes of the items.

use crate::net::{self, Condition, Input, Network};
use crate::objective::Rule;
use crate::random::Stream;
use ablate::settings::{Objective, Precision};
use tch::{Device, Reduction, Tensor, no_grad};

/// What a network learns.
pub(super) enum Lesson {
    /// To say something of noisy samples.
    Denoise(Rule),
    /// The classes of samples.
    Classify {
        /// Share of the target that is spread over all classes.
        label_smoothing: f64,
    },
}

/// What there is to learn from.
pub(super) struct Batch {
    /// Samples `[n, c, h, w]`.
    pub(super) x0: Tensor,
    /// What is told of them, or to be found out.
    pub(super) condition: Option<Condition>,
    /// Times `[n]` and noise `[n, c, h, w]`, for denoising.
    pub(super) noise: Option<(Tensor, Tensor)>,
    /// Whether a network that looks back sees what it predicts of them.
    pub(super) again: bool,
}

impl Batch {
    /// `count` samples from the `at`-th on.
    fn narrow(&self, at: i64, count: i64) -> Self {
        let part = |tensor: &Tensor| tensor.narrow(0, at, count);
        Self {
            x0: part(&self.x0),
            condition: self.condition.as_ref().map(|all| all.narrow(at, count)),
            noise: self.noise.as_ref().map(|(times, noise)| (part(times), part(noise))),
            again: self.again,
        }
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> i64 {
        self.x0.size()[0]
    }

    /// The samples, so many at once.
    pub(super) fn parts(&self, most: i64) -> impl Iterator<Item = Self> {
        (0..self.len())
            .step_by(most as usize)
            .map(move |at| self.narrow(at, most.min(self.len() - at)))
    }
}

impl Lesson {
    /// The lesson of an objective.
    pub(super) fn new(objective: &Objective) -> Self {
        match Rule::new(objective) {
            Some(rule) => Self::Denoise(rule),
            None => {
                let label_smoothing = match objective {
                    Objective::Classification(settings) => settings.label_smoothing,
                    _ => 0.0,
                };
                Self::Classify { label_smoothing }
            }
        }
    }

    /// Random times and noise of a training step for samples of this size.
    pub(super) fn noise(
        &self,
        (seed, step): (u64, u64),
        size: &[i64],
        device: Device,
    ) -> Option<(Tensor, Tensor)> {
        let Self::Denoise(rule) = self else { return None };
        let times = rule.draw_times(&mut Stream::new(seed, "times", step), size[0]);
        Some((times.to_device(device), normal(Stream::new(seed, "noise", step), size, device)))
    }

    /// Times spread evenly over all, and noise from a stream that no seed changes: every arm of an ablation
    /// is validated on the same.
    pub(super) fn fixed_noise(&self, size: &[i64], device: Device) -> Option<(Tensor, Tensor)> {
        let Self::Denoise(rule) = self else { return None };
        let noise = normal(Stream::new(0, "validation noise", 0), size, device);
        Some((rule.even_times(size[0]).to_device(device), noise))
    }

    /// The mean loss of a network on a batch, a scalar; products in the network have this precision.
    pub(super) fn loss(
        &self,
        network: &dyn Network,
        batch: &Batch,
        (training, precision): (bool, Precision),
    ) -> Tensor {
        let forward = |input: &Input<'_>| {
            let said = net::with_precision(precision, || network.forward(input));
            said.to_kind(batch.x0.kind())
        };
        let condition = batch.condition.as_ref();
        match (self, &batch.noise, condition) {
            (Self::Denoise(rule), Some((times, noise)), _) => {
                let ask = |x: &Tensor, t: &Tensor, clean: &dyn Fn(&Tensor) -> Tensor| {
                    let input = Input { condition, training, ..Input::new(x, t) };
                    if !(batch.again && network.looks_back()) {
                        return forward(&input);
                    }
                    let earlier = no_grad(|| clean(&forward(&input)));
                    forward(&Input { earlier: Some(&earlier), ..input })
                };
                rule.loss(ask, &batch.x0, noise, times)
            }
            (Self::Classify { label_smoothing }, _, Some(classes)) => {
                let x = &batch.x0;
                let said = forward(&Input { training, ..Input::new(x, x) });
                let (mean, ignored) = (Reduction::Mean, -100);
                let classes = classes.values();
                said.cross_entropy_loss(classes, None::<Tensor>, mean, ignored, *label_smoothing)
            }
            _ => unreachable!("denoising has its noise, and a classifier its classes"),
        }
    }
}

/// Standard normal numbers of this size.
fn normal(mut stream: Stream, size: &[i64], device: Device) -> Tensor {
    let numbers = stream.normal_f32(size.iter().product::<i64>() as usize);
    Tensor::from_slice(&numbers).view(size).to_device(device)
}
