//! The layers that networks are made of; each declares its parameters under PyTorch's names. Fields
//! are `[n, c, h, w]`, and every convolution here keeps their side.

use ablate::settings::{Padding, Precision, Standardisation};
use std::cell::{Cell, OnceCell};
use std::thread::LocalKey;
use tch::{Kind, Tensor, nn};

/// Added to variances before their root is taken.
const EPS: f64 = 1e-5;

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
    static FIXED: Cell<bool> = const { Cell::new(false) };
}

/// Works with a cell at a value, and sets it back however the work ends: this thread has more jobs to do.
fn with<C: Copy, T>(cell: &'static LocalKey<Cell<C>>, value: C, work: impl FnOnce() -> T) -> T {
    struct SetBack<C: Copy + 'static>(&'static LocalKey<Cell<C>>, C);
    impl<C: Copy> Drop for SetBack<C> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _back = SetBack(cell, cell.replace(value));
    work()
}

/// Builds networks whose weights never change once they are evaluated: what is made of them is made once.
pub fn with_fixed_weights<T>(build: impl FnOnce() -> T) -> T {
    with(&FIXED, true, build)
}

/// Evaluates networks with this precision of products: with [`Precision::Bf16`] convolutions, matrices and attention work on
/// 16-bit numbers, norms, softmax and sums on 32-bit ones, and weights stay as they are (Micikevicius et al. 2018).
pub fn with_precision<T>(precision: Precision, evaluate: impl FnOnce() -> T) -> T {
    with(&PRECISION, precision, evaluate)
}

/// A factor of a product: in 16 bits where 32-bit numbers are to be multiplied so.
pub(super) fn factor(x: &Tensor) -> Tensor {
    match (PRECISION.get(), x.kind()) {
        (Precision::Bf16, Kind::Float) => x.to_kind(Kind::BFloat16),
        _ => x.shallow_clone(),
    }
}

/// What a sum is taken of: in 32 bits where it has 16.
pub(super) fn term(x: &Tensor) -> Tensor {
    if x.kind() == Kind::BFloat16 { x.to_kind(Kind::Float) } else { x.shallow_clone() }
}

/// Softmax along a dimension, summed in at least 32 bits.
pub(super) fn softmax(x: &Tensor, dimension: i64) -> Tensor {
    term(x).softmax(dimension, None::<Kind>).to_kind(x.kind())
}

/// Attention between tokens `[n, heads, tokens, head width]`, scaled by the root of the head's width.
pub(super) fn attend(queries: &Tensor, keys: &Tensor, values: &Tensor) -> Tensor {
    let (mask, scale) = (None::<Tensor>, None::<f64>);
    Tensor::scaled_dot_product_attention(queries, keys, values, mask, 0.0, false, scale, false)
}

/// Convolves `x` `[n, from, h, w]` with `weight` `[to, from, k, k]`, k odd, to `[n, to, h, w]`.
type Convolve = fn(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor;

/// Turns the weights of a convolution `[to, from, k, k]` into those it is done with.
type Standardise = fn(weight: &Tensor) -> Tensor;

/// Returns `x` `[n, c, h, w]` with `edge` pixels of the opposite side added all round:
/// `[n, c, h + 2 edge, w + 2 edge]`; `edge` is at most the side.
pub fn wrap(x: &Tensor, edge: i64) -> Tensor {
    x.pad([edge; 4], "circular", None)
}

fn convolve_zero_padded(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let edge = weight.size()[3] / 2;
    x.conv2d(weight, bias, [1, 1], [edge, edge], [1, 1], 1)
}

fn convolve_circular(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let wrapped = wrap(x, weight.size()[3] / 2);
    wrapped.conv2d(weight, bias, [1, 1], [0, 0], [1, 1], 1)
}

/// A kernel of one pixel sees no edge, whatever lies beyond it.
fn convolution(padding: Padding, kernel: i64) -> Convolve {
    match padding {
        Padding::Circular if kernel > 1 => convolve_circular,
        Padding::Circular | Padding::Zero => convolve_zero_padded,
    }
}

/// The weights less their mean, and their variance, per output channel.
fn centred(weight: &Tensor) -> (Tensor, Tensor) {
    let all_but_first = [1_i64, 2, 3];
    let mean = weight.mean_dim(all_but_first.as_slice(), true, None::<Kind>);
    (weight - mean, weight.var_dim(all_but_first.as_slice(), false, true))
}

fn plain(weight: &Tensor) -> Tensor {
    weight.shallow_clone()
}

/// Qiao et al. 2019, eq. 10.
fn standardised(weight: &Tensor) -> Tensor {
    let (centred, variance) = centred(weight);
    centred * (variance + EPS).rsqrt()
}

/// The widely copied mistake: times the standard deviation instead of divided by it.
fn standardised_as_written(weight: &Tensor) -> Tensor {
    let (centred, variance) = centred(weight);
    centred * (variance + EPS).sqrt()
}

fn standardisation(kind: Standardisation) -> Standardise {
    match kind {
        Standardisation::On => standardised,
        Standardisation::Off => plain,
        Standardisation::AsWritten => standardised_as_written,
    }
}

/// Channels before and after a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Width {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// A convolution that keeps the side.
#[derive(Debug)]
pub(super) struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
    convolve: Convolve,
    standardise: Standardise,
    /// Of weights that are fixed, what they are convolved with, once it was asked for.
    kept: Option<OnceCell<Tensor>>,
}

impl Conv {
    /// Declares a convolution with a kernel of `kernel` by `kernel` pixels, odd.
    pub(super) fn new(path: &nn::Path, width: Width, kernel: i64, padding: Padding) -> Self {
        let bias = path.zeros("bias", &[width.to]);
        Self { bias: Some(bias), ..Self::without_bias(path, width, kernel, padding) }
    }

    /// Declares a convolution of single pixels.
    pub(super) fn point(path: &nn::Path, width: Width) -> Self {
        Self::new(path, width, 1, Padding::Zero)
    }

    /// Declares a convolution of single pixels that adds nothing of its own.
    pub(super) fn point_without_bias(path: &nn::Path, width: Width) -> Self {
        Self::without_bias(path, width, 1, Padding::Zero)
    }

    fn without_bias(path: &nn::Path, width: Width, kernel: i64, padding: Padding) -> Self {
        let weight = path.zeros("weight", &[width.to, width.from, kernel, kernel]);
        Self {
            weight,
            bias: None,
            convolve: convolution(padding, kernel),
            standardise: plain,
            kept: FIXED.get().then(OnceCell::new),
        }
    }

    /// The same convolution, its weights standardised before each use.
    pub(super) fn standardised(self, kind: Standardisation) -> Self {
        Self { standardise: standardisation(kind), ..self }
    }

    /// `[n, from, h, w]` to `[n, to, h, w]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let standardise = || (self.standardise)(&self.weight);
        let weight = match &self.kept {
            Some(kept) => kept.get_or_init(standardise).shallow_clone(),
            None => standardise(),
        };
        let bias = self.bias.as_ref().map(factor);
        (self.convolve)(&factor(x), &factor(&weight), bias.as_ref())
    }
}

/// Group norm with a learned scale and shift (Wu & He 2018).
#[derive(Debug)]
pub(super) struct GroupNorm {
    groups: i64,
    weight: Tensor,
    bias: Tensor,
}

impl GroupNorm {
    /// Declares a norm over `groups` groups of channels, a divisor of `channels`.
    pub(super) fn new(path: &nn::Path, groups: i64, channels: i64) -> Self {
        let (weight, bias) = (path.zeros("weight", &[channels]), path.zeros("bias", &[channels]));
        Self { groups, weight, bias }
    }

    /// `[n, channels, h, w]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        term(x).group_norm(self.groups, Some(&self.weight), Some(&self.bias), EPS, true)
    }
}

/// Batch norm with a learned scale and shift (Ioffe & Szegedy 2015): by the statistics of the batch in training,
/// else by their running averages.
#[derive(Debug)]
pub(super) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

/// Share of a batch in the running averages, as in PyTorch.
const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    pub(super) fn new(path: &nn::Path, channels: i64) -> Self {
        Self {
            weight: path.zeros("weight", &[channels]),
            bias: path.zeros("bias", &[channels]),
            running_mean: path.zeros_no_train("running_mean", &[channels]),
            running_var: path.ones_no_train("running_var", &[channels]),
        }
    }

    /// `[n, channels, h, w]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        let (mean, var) = (Some(&self.running_mean), Some(&self.running_var));
        term(x).batch_norm(weight, bias, mean, var, training, MOMENTUM, EPS, true)
    }
}

/// A matrix and a shift.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(super) fn new(path: &nn::Path, width: Width) -> Self {
        let weight = path.zeros("weight", &[width.to, width.from]);
        Self { weight, bias: path.zeros("bias", &[width.to]) }
    }

    /// The kind of its numbers.
    pub(super) fn kind(&self) -> Kind {
        self.weight.kind()
    }

    /// `[.., from]` to `[.., to]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        factor(x).linear(&factor(&self.weight), Some(&factor(&self.bias)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn random_weight() -> Tensor {
        Tensor::from_slice(&Stream::new(0, "test", 0).uniform(2 * 3 * 9)).view([2, 3, 3, 3])
    }

    #[test]
    fn whatever_ends_a_work_sets_back_what_it_was_done_with() {
        let lost = std::panic::catch_unwind(|| {
            with_fixed_weights(|| with_precision(Precision::Bf16, || panic!("out of memory")))
        });
        assert!(lost.is_err());
        assert_eq!((FIXED.get(), PRECISION.get()), (false, Precision::F32));
    }

    #[test]
    fn standardised_weights_have_mean_zero_and_variance_one_per_output_channel() {
        let weight = standardised(&(random_weight() * 5.0 + 2.0));
        for channel in 0..2 {
            let w = weight.get(channel);
            assert!(w.mean(Kind::Double).double_value(&[]).abs() < 1e-12);
            assert!((w.square().mean(Kind::Double).double_value(&[]) - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn the_form_as_written_is_the_right_one_times_the_variance() {
        let weight = random_weight();
        let (_, variance) = centred(&weight);
        let error = standardised_as_written(&weight) - standardised(&weight) * (variance + EPS);
        assert!(error.abs().max().double_value(&[]) < 1e-12);
    }

    #[test]
    fn an_edge_wraps_to_the_opposite_side() {
        let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0]).view([1, 1, 2, 2]);
        let wrapped = wrap(&x, 1);
        assert_eq!(wrapped.size(), [1, 1, 4, 4]);
        let first_row: Vec<f64> = Vec::try_from(wrapped.get(0).get(0).get(0)).unwrap();
        assert_eq!(first_row, [4.0, 3.0, 4.0, 3.0]);
    }
}
