//! The three things that a network can predict about a noisy sample `x`, and the way from each to the
//! others: the noise `eps`, the clean sample `x0`, and the velocity `v = alpha eps - sigma x0`
//! (Salimans & Ho 2022, appendix D). All tensors of one call have one shape; alpha and sigma are
//! those of the level.

use crate::noise::Level;
use tch::Tensor;

/// Returns the clean sample whose noise is `eps`; the level holds some signal.
pub fn x0_from_eps(x: &Tensor, eps: &Tensor, level: Level) -> Tensor {
    (x - eps * level.sigma()) / level.alpha()
}

/// Returns the clean sample whose velocity is `v`.
pub fn x0_from_v(x: &Tensor, v: &Tensor, level: Level) -> Tensor {
    x * level.alpha() - v * level.sigma()
}

/// Returns the noise of a sample whose clean part is `x0`; the level holds some noise.
pub fn eps_from_x0(x: &Tensor, x0: &Tensor, level: Level) -> Tensor {
    (x - x0 * level.alpha()) / level.sigma()
}

/// Returns the noise of a sample whose velocity is `v`.
pub fn eps_from_v(x: &Tensor, v: &Tensor, level: Level) -> Tensor {
    v * level.alpha() + x * level.sigma()
}

/// Returns the velocity of a clean sample and its noise.
pub fn v_from_parts(x0: &Tensor, eps: &Tensor, level: Level) -> Tensor {
    eps * level.alpha() - x0 * level.sigma()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_round_comes_back_to_the_same_sample() {
        let (x0, eps) = (Tensor::from_slice(&[0.3, -1.2]), Tensor::from_slice(&[-0.4, 2.0]));
        for alpha_bar in [0.999, 0.5, 1e-4] {
            let level = Level::preserving(alpha_bar);
            let x = &x0 * level.alpha() + &eps * level.sigma();
            let v = v_from_parts(&x0, &eps, level);
            for (got, want) in [
                (x0_from_eps(&x, &eps, level), &x0),
                (x0_from_v(&x, &v, level), &x0),
                (eps_from_x0(&x, &x0, level), &eps),
                (eps_from_v(&x, &v, level), &eps),
            ] {
                assert!((got - want).abs().max().double_value(&[]) < 1e-11, "{alpha_bar}");
            }
        }
    }
}
