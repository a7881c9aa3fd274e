//! The distance between a prediction and its target. Values of different losses are not comparable:
//! for small residuals Huber is half the squared error.

use ablate::settings::Loss;
use tch::{Kind, Reduction, Tensor};

/// Where Huber turns from a square into a straight line.
const HUBER_BETA: f64 = 1.0;

/// Returns the mean over all elements, a scalar; `prediction` and `target` have one shape.
pub fn mean(loss: Loss, prediction: &Tensor, target: &Tensor) -> Tensor {
    reduced(loss, prediction, target, Reduction::Mean)
}

/// Returns the mean of each sample times its weight, averaged over the batch.
///
/// `prediction` and `target` are `[n, …]`, `weights` is `[n]`; the result is a scalar.
pub fn weighted(loss: Loss, prediction: &Tensor, target: &Tensor, weights: &Tensor) -> Tensor {
    (per_sample(loss, prediction, target) * weights).mean(None::<Kind>)
}

/// Returns the mean of each sample, `[n]`; `prediction` and `target` are `[n, …]`.
pub fn per_sample(loss: Loss, prediction: &Tensor, target: &Tensor) -> Tensor {
    let elements = reduced(loss, prediction, target, Reduction::None); // [n, …]
    elements.flatten(1, -1).mean_dim([1_i64].as_slice(), false, None::<Kind>) // [n]
}

fn reduced(loss: Loss, prediction: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
    match loss {
        Loss::L2 => prediction.mse_loss(target, reduction),
        Loss::L1 => prediction.l1_loss(target, reduction),
        Loss::Huber => prediction.smooth_l1_loss(target, reduction, HUBER_BETA),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_residuals_cost_half_the_square_and_large_ones_their_size_less_one_half() {
        let at = |residual: f64| {
            let (prediction, target) = (Tensor::from(residual), Tensor::from(0.0));
            [Loss::L2, Loss::L1, Loss::Huber]
                .map(|loss| mean(loss, &prediction, &target).double_value(&[]))
        };
        assert_eq!(at(0.5), [0.25, 0.5, 0.125]);
        assert_eq!(at(-3.0), [9.0, 3.0, 2.5]);
    }

    #[test]
    fn a_weight_counts_for_its_own_sample_only() {
        let prediction = Tensor::from_slice(&[1.0, 1.0, 2.0, 2.0]).view([2, 2]);
        let target = prediction.zeros_like();
        let weights = Tensor::from_slice(&[1.0, 0.25]);
        let got = weighted(Loss::L2, &prediction, &target, &weights).double_value(&[]);
        assert_eq!(got, (1.0 + 0.25 * 4.0) / 2.0);
    }
}
