//! Times as vectors of sines and cosines of many frequencies, the form in which networks take them.
//! Angles are computed in 64 bits where the device has them: in 32, they are off by 1e-4 at t = 999.

use tch::{Device, Kind, Tensor};

/// The longest period, as a multiple of 2 pi.
const LONGEST: f64 = 10_000.0;

/// Returns times `[n]` as `[n, width]` of `kind`: sines, then cosines, with frequencies
/// `LONGEST^(-k / (half - 1))`, k below half = width / 2; `width` is even and at least 4
/// (Ho et al. 2020, released code).
pub fn sin_cos(times: &Tensor, width: i64, kind: Kind) -> Tensor {
    let angles = angles(times, width / 2, width / 2 - 1); // [n, width / 2]
    Tensor::cat(&[angles.sin(), angles.cos()], 1).to_kind(kind) // [n, width]
}

/// Returns times `[n]` as `[n, width]` of `kind`: cosines, then sines, with frequencies
/// `LONGEST^(-k / half)`, k below half = width / 2; `width` is even (Dhariwal & Nichol 2021, released code).
pub fn cos_sin(times: &Tensor, width: i64, kind: Kind) -> Tensor {
    let angles = angles(times, width / 2, width / 2); // [n, width / 2]
    Tensor::cat(&[angles.cos(), angles.sin()], 1).to_kind(kind) // [n, width]
}

fn angles(times: &Tensor, count: i64, divisor: i64) -> Tensor {
    // Apple's devices have no 64-bit numbers.
    let kind = if times.device() == Device::Mps { Kind::Float } else { Kind::Double };
    let k = Tensor::arange(count, (kind, times.device()));
    let frequencies = (k * (-LONGEST.ln() / divisor.max(1) as f64)).exp(); // [count]
    times.to_kind(kind).unsqueeze(1) * frequencies.unsqueeze(0) // [n, count]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(embedding: &Tensor) -> Vec<f64> {
        Vec::try_from(embedding.get(0)).unwrap()
    }

    #[test]
    fn frequencies_go_from_one_to_the_longest_period_or_just_short_of_it() {
        let t = Tensor::from_slice(&[1_i64]);
        let close = |got: &[f64], want: [f64; 2]| {
            assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-15), "{got:?}");
        };
        close(&row(&sin_cos(&t, 4, Kind::Double))[..2], [1.0_f64.sin(), 1e-4_f64.sin()]);
        close(&row(&cos_sin(&t, 4, Kind::Double))[..2], [1.0_f64.cos(), 1e-2_f64.cos()]);
    }

    #[test]
    fn a_late_time_keeps_its_digits_in_single_precision() {
        let t = Tensor::from_slice(&[999_i64]);
        let single = row(&sin_cos(&t, 32, Kind::Float).to_kind(Kind::Double));
        let double = row(&sin_cos(&t, 32, Kind::Double));
        assert!(single.iter().zip(&double).all(|(a, b)| (a - b).abs() < 1e-7));
    }
}
