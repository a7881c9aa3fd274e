//! The values with which parameters start: PyTorch's defaults, which tch does not have, or what a network
//! asks for, drawn from the project's own random numbers.

use super::{Network, Tensors, parameters, state};
use crate::random::{self, Stream};
use tch::{Tensor, nn, no_grad};

/// Fills all parameters of a network in `store`, by default as PyTorch does: weights and biases of
/// convolutions and linear layers uniform within 1/sqrt(fan-in), norms at scale 1 and shift 0.
///
/// A parameter depends on (seed, name, shape) alone, so networks that differ in one part, such as
/// the arms of an ablation, start alike in all others.
pub fn initialise(network: &dyn Network, store: &nn::VarStore, seed: u64) {
    let parameters = parameters(&state(store));
    for (name, tensor) in &parameters {
        let start = network.start(name).unwrap_or_else(|| default_of(&parameters, name, tensor));
        no_grad(|| tensor.shallow_clone().copy_(&start.values(seed, name, tensor)));
    }
}

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// All the same.
    Constant(f64),
    /// Uniform within plus or minus this bound.
    Uniform(f64),
    /// Uniform within sqrt(6 / (fan-in + fan-out)) (Glorot & Bengio 2010), a kernel taken as one matrix.
    Xavier,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

impl Start {
    fn values(&self, seed: u64, name: &str, like: &Tensor) -> Tensor {
        match self {
            Self::Constant(value) => like.full_like(*value),
            Self::Uniform(bound) => {
                let drawn = Self::stream(seed, name).uniform(like.numel());
                let values: Vec<f64> = drawn.iter().map(|u| (2.0 * u - 1.0) * bound).collect();
                Tensor::from_slice(&values).view(like.size().as_slice())
            }
            Self::Xavier => {
                let to = like.size()[0] as f64;
                let from = like.numel() as f64 / to;
                Self::Uniform((6.0 / (from + to)).sqrt()).values(seed, name, like)
            }
            Self::Normal(deviation) => {
                let drawn = Self::stream(seed, name).normal_f32(like.numel());
                Tensor::from_slice(&drawn).view(like.size().as_slice()) * *deviation
            }
        }
    }

    fn stream(seed: u64, name: &str) -> Stream {
        Stream::new(seed, "weights", random::hash(name))
    }
}

/// PyTorch's default. A layer is known by its weight: that of a norm has one dimension, that of any other layer more.
fn default_of(parameters: &Tensors, name: &str, tensor: &Tensor) -> Start {
    let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
    let weight = parameters.get(&format!("{layer}.weight")).unwrap_or(tensor);
    let shape = weight.size();
    if shape.len() > 1 {
        let fan_in: i64 = shape[1..].iter().product();
        Start::Uniform(1.0 / (fan_in as f64).sqrt())
    } else if name.ends_with("weight") {
        Start::Constant(1.0)
    } else {
        Start::Constant(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Channels, Unet};
    use ablate::settings;
    use tch::{Device, Kind};

    fn started(seed: u64, attention: bool) -> Tensors {
        let store = nn::VarStore::new(Device::Cpu);
        let settings = settings::Unet { width: 8, attention, ..settings::Unet::default() };
        let net = Unet::new(&store.root(), &settings, Channels::same(1), None);
        initialise(&net, &store, seed);
        state(&store)
    }

    #[test]
    fn weights_and_biases_fill_pytorchs_interval_evenly() {
        let parameters = started(0, true);
        // fan-in 8 * 9 = 72 for both.
        let bound = 1.0 / 72.0_f64.sqrt();
        let values = [".weight", ".bias"]
            .map(|end| parameters[&format!("downs.0.0.block1.proj{end}")].detach().flatten(0, -1));
        let all = Tensor::cat(&values, 0).to_kind(Kind::Double);
        let largest = all.abs().max().double_value(&[]);
        assert!(largest <= bound && largest > 0.98 * bound);
        let spread = all.square().mean(Kind::Double).double_value(&[]).sqrt();
        assert!((spread / (bound / 3.0_f64.sqrt()) - 1.0).abs() < 0.1);
    }

    #[test]
    fn norms_start_without_effect() {
        let parameters = started(0, true);
        assert_eq!(parameters["downs.0.0.block1.norm.weight"].min().double_value(&[]), 1.0);
        assert_eq!(parameters["downs.0.0.block1.norm.bias"].abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn equal_seeds_start_alike_and_others_do_not() {
        let (a, b, c) = (started(1, true), started(1, true), started(2, true));
        assert!(a.iter().all(|(name, tensor)| *tensor == b[name]));
        assert_ne!(a["init_conv.weight"], c["init_conv.weight"]);
    }

    #[test]
    fn the_arms_of_an_ablation_start_alike_where_they_agree() {
        let (with, without) = (started(1, true), started(1, false));
        assert!(without.len() < with.len());
        assert!(without.iter().all(|(name, tensor)| *tensor == with[name]));
    }

    #[test]
    fn the_first_weight_never_changes() {
        // A change of this number changes every training: raise the revision of train instead.
        let first = started(7, true)["init_conv.weight"].double_value(&[0, 0, 0, 0]);
        assert!((first - 0.947_170_371_6).abs() < 1e-7, "{first}");
    }
}
