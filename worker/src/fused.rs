//! Operations of libtorch on lists of tensors that the `tch` crate leaves out, by way of `shim/fused.cpp`: an optimiser
//! step, a moving average, a norm over all tensors in one pass over memory on a CPU and in a few kernels on a GPU.

#![expect(
    unsafe_code,
    reason = "libtorch is C++; all of it that `tch` does not reach is in this file"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use tch::{Device, Kind, Tensor};

type Pointers = *const *mut c_void;

/// The numbers of a step of AdamW.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Decay of the weights, times the rate.
    pub weight_decay: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

unsafe extern "C" {
    fn ablate_adamw(
        count: usize,
        weights: Pointers,
        gradients: Pointers,
        first: Pointers,
        second: Pointers,
        step: *mut c_void,
        settings: *const Step,
    ) -> *mut c_char;
    fn ablate_lerp(count: usize, averages: Pointers, values: Pointers, weight: f64) -> *mut c_char;
    fn ablate_scale(count: usize, tensors: Pointers, factor: *mut c_void) -> *mut c_char;
    fn ablate_norm(
        count: usize,
        tensors: Pointers,
        in_double: c_int,
        norm: *mut c_void,
    ) -> *mut c_char;
    fn ablate_forget(count: usize, parameters: Pointers) -> *mut c_char;
    fn ablate_free(message: *mut c_char);
}

/// Pointers to tensors, for as long as the tensors are borrowed.
fn pointers(tensors: &[&Tensor]) -> Vec<*mut c_void> {
    tensors.iter().map(|tensor| pointer(tensor)).collect()
}

fn pointer(tensor: &Tensor) -> *mut c_void {
    tensor.as_ptr().cast_mut().cast()
}

/// What libtorch refuses is a mistake of this program, as with every operation of `tch`.
fn expect(message: *mut c_char) {
    if !message.is_null() {
        // SAFETY: a message of the shim ends with a zero, and is freed once, here.
        let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
        unsafe { ablate_free(message) };
        panic!("libtorch: {text}");
    }
}

fn same_length(lists: &[&[&Tensor]]) -> usize {
    assert!(lists.windows(2).all(|pair| pair[0].len() == pair[1].len()), "lists of one length");
    lists[0].len()
}

/// Takes step number `number`, from 1, of AdamW on `weights`, by their `gradients`, with moments `first` and `second`:
/// lists in the same order, each tensor of the shape, kind and device of its weight.
pub fn adamw(
    weights: &[&Tensor],
    gradients: &[&Tensor],
    [first, second]: [&[&Tensor]; 2],
    number: u64,
    settings: Step,
) {
    let count = same_length(&[weights, gradients, first, second]);
    let Some(device) = weights.first().map(|weight| weight.device()) else { return };
    let step = Tensor::full([] as [i64; 0], number as f64, (Kind::Float, device));
    let [weights, gradients, first, second] = [weights, gradients, first, second].map(pointers);
    // SAFETY: four arrays of `count` tensors that are borrowed until the call ends, one tensor, one struct of C's layout.
    expect(unsafe {
        ablate_adamw(
            count,
            weights.as_ptr(),
            gradients.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            pointer(&step),
            &raw const settings,
        )
    });
}

/// `averages += weight (values - averages)`, tensor by tensor.
pub fn lerp(averages: &[&Tensor], values: &[&Tensor], weight: f64) {
    let count = same_length(&[averages, values]);
    let [averages, values] = [averages, values].map(pointers);
    // SAFETY: two arrays of `count` tensors that are borrowed until the call ends.
    expect(unsafe { ablate_lerp(count, averages.as_ptr(), values.as_ptr(), weight) });
}

/// `tensors *= factor`, a scalar tensor on their device.
pub fn scale(tensors: &[&Tensor], factor: &Tensor) {
    let list = pointers(tensors);
    // SAFETY: an array of so many tensors and one more, borrowed until the call ends.
    expect(unsafe { ablate_scale(list.len(), list.as_ptr(), pointer(factor)) });
}

/// The Euclidean norm of at least one tensor, of all together, a scalar tensor on their device.
pub fn norm(tensors: &[&Tensor]) -> Tensor {
    // Apple's devices have no 64-bit numbers.
    let in_double = tensors.iter().all(|tensor| tensor.device() != Device::Mps);
    let (list, norm) = (pointers(tensors), Tensor::new());
    // SAFETY: an array of so many tensors, borrowed until the call ends, and one that is ours.
    expect(unsafe { ablate_norm(list.len(), list.as_ptr(), in_double.into(), pointer(&norm)) });
    norm
}

/// Parameters have no gradient from now on.
pub fn forget_gradients(parameters: &[&Tensor]) {
    let list = pointers(parameters);
    // SAFETY: an array of so many tensors, borrowed until the call ends.
    expect(unsafe { ablate_forget(list.len(), list.as_ptr()) });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
    }

    #[test]
    fn a_step_of_adamw_is_that_of_its_formula() {
        let tensor = |x: &[f32]| Tensor::from_slice(x);
        let (w, g) = (tensor(&[1.0, -2.0, 3.0]), tensor(&[0.5, -0.1, 0.0]));
        let (m, v) = (tensor(&[0.1, 0.0, -0.2]), tensor(&[0.01, 0.0, 0.04]));
        let settings =
            Step { rate: 0.1, beta_1: 0.9, beta_2: 0.99, weight_decay: 0.01, epsilon: 1e-8 };
        let before = [&w, &g, &m, &v].map(numbers);
        adamw(&[&w], &[&g], [&[&m], &[&v]], 3, settings);
        let [w0, g0, m0, v0] = &before;
        for (i, (((w0, g0), m0), v0)) in w0.iter().zip(g0).zip(m0).zip(v0).enumerate() {
            let (m1, v1) = (0.9 * m0 + 0.1 * g0, 0.99 * v0 + 0.01 * g0 * g0);
            let (m_hat, v_hat) = (m1 / (1.0 - 0.9_f64.powi(3)), v1 / (1.0 - 0.99_f64.powi(3)));
            let want = w0 * (1.0 - 0.1 * 0.01) - 0.1 * m_hat / (v_hat.sqrt() + 1e-8);
            for (got, want) in [(&w, want), (&m, m1), (&v, v1)] {
                assert!((numbers(got)[i] - want).abs() < 1e-6, "{i}: {got} {want}");
            }
        }
    }

    #[test]
    fn averages_factors_and_norms_go_over_all_tensors() {
        let (a, b) =
            (Tensor::from_slice(&[0.0_f32, 4.0]), Tensor::from_slice(&[8.0_f32]).view([1, 1]));
        let (x, y) =
            (Tensor::from_slice(&[1.0_f32, 0.0]), Tensor::from_slice(&[0.0_f32]).view([1, 1]));
        lerp(&[&a, &b], &[&x, &y], 0.25);
        assert_eq!([numbers(&a), numbers(&b)].concat(), [0.25, 3.0, 6.0]);
        scale(&[&a, &b], &Tensor::from(2.0_f32));
        assert_eq!([numbers(&a), numbers(&b)].concat(), [0.5, 6.0, 12.0]);
        assert!((norm(&[&a, &b]).double_value(&[]) - 180.25_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_norm_of_millions_of_numbers_keeps_its_digits() {
        let large = Tensor::full([5_000_000], 0.1, (Kind::Float, Device::Cpu));
        let want = f64::from(0.1_f32) * 5e6_f64.sqrt();
        assert!((norm(&[&large]).double_value(&[]) / want - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_gradient_is_forgotten_and_comes_anew() {
        let x = Tensor::from_slice(&[3.0_f32]).set_requires_grad(true);
        for _ in 0..2 {
            x.square().sum(Kind::Float).backward();
            assert_eq!(numbers(&x.grad()), [6.0]);
            forget_gradients(&[&x]);
            assert!(!x.grad().defined());
        }
    }

    #[test]
    #[should_panic(expected = "libtorch: ")]
    fn what_libtorch_refuses_is_told_and_nothing_unwinds_through_it() {
        lerp(&[&Tensor::from_slice(&[1.0_f32])], &[&Tensor::from_slice(&[1_i64, 2])], 0.5);
    }
}
