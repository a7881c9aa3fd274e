//! LeNet-5 (LeCun et al. 1998) with rectified units and max pooling: a classifier of images, by whose last units
//! before the classes images can be compared.

use super::layers::{Conv, Linear, Width};
use super::{Input, Network, Sides};
use ablate::settings::{self, Padding};
use tch::{Tensor, nn};

/// Channels of the two convolutions, and units of the first linear map.
const WIDTHS: [i64; 3] = [6, 16, 120];

/// Side of the kernels.
const KERNEL: i64 = 5;

/// The network.
#[derive(Debug)]
pub struct Lenet {
    conv1: Conv,
    conv2: Conv,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl Lenet {
    /// Declares the parameters at `path`, all zero, for images of these sides, divisible by 4.
    pub fn new(
        path: &nn::Path,
        settings: &settings::Lenet,
        (channels, sides): (i64, Sides),
        classes: i64,
    ) -> Self {
        let [first, second, units] = WIDTHS;
        let features = settings.features as i64;
        let conv = |name: &str, from: i64, to: i64| {
            Conv::new(&(path / name), Width { from, to }, KERNEL, Padding::Zero)
        };
        let linear =
            |name: &str, from: i64, to: i64| Linear::new(&(path / name), Width { from, to });
        let left = second * (sides.height / 4) * (sides.width / 4);
        Self {
            conv1: conv("conv1", channels, first),
            conv2: conv("conv2", first, second),
            fc1: linear("fc1", left, units),
            fc2: linear("fc2", units, features),
            fc3: linear("fc3", features, classes),
        }
    }

    /// What it sees in images `x` `[n, c, h, w]`: `[n, features]`, none below zero.
    pub fn features(&self, x: &Tensor) -> Tensor {
        let pool = |x: Tensor| x.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
        let x = pool(self.conv1.forward(x)); // [n, 6, h / 2, w / 2]
        let x = pool(self.conv2.forward(&x)); // [n, 16, h / 4, w / 4]
        let x = self.fc1.forward(&x.flatten(1, -1)).relu();
        self.fc2.forward(&x).relu()
    }

    /// How likely features `[n, features]` make each class, up to a constant: `[n, classes]`.
    pub fn judge(&self, features: &Tensor) -> Tensor {
        self.fc3.forward(features)
    }
}

impl Network for Lenet {
    /// Returns `[n, classes]`, whatever the times.
    fn forward(&self, input: &Input<'_>) -> Tensor {
        self.judge(&self.features(input.x))
    }
}
