//! The networks, and their parameters under the names of the reference weights, so that files of
//! weights can be exchanged. A network is built at a place of a [`nn::VarStore`], filled by
//! [`initialise`], and from then on only evaluated; who trains it works on [`parameters`].

mod attention;
mod blocks;
pub mod flat;
mod layers;
mod start;
mod unet;

pub use layers::wrap;
pub use start::initialise;
pub use unet::{Channels, Unet};

use ablate::problem::{Problem, Result};
use ablate::settings::Model;
use std::collections::BTreeMap;
use tch::{Tensor, nn, no_grad};

/// Tensors by name, in the order of their names.
pub type Tensors = BTreeMap<String, Tensor>;

/// A network that predicts the noise in noisy samples.
pub trait Network {
    /// Returns the prediction `[n, c, h, w]` for samples `x` `[n, c, h, w]` at times `t` `[n]` int64, 0-based.
    fn forward(&self, x: &Tensor, t: &Tensor) -> Tensor;
}

/// Builds a network for samples of `channels` channels; its parameters, at `path`, are all zero until
/// [`initialise`] or [`load`].
pub fn build(model: &Model, channels: i64, path: &nn::Path) -> Box<dyn Network> {
    match model {
        Model::Unet(settings) => Box::new(Unet::new(path, settings, Channels::same(channels))),
    }
}

/// Checks that a network can take maps of `side` by `side` pixels.
///
/// # Errors
/// If the levels of the network do not fit the side.
pub fn check_side(model: &Model, side: u64) -> Result<()> {
    match model {
        Model::Unet(settings) => unet::check_side(settings, side),
    }
}

/// Returns the parameters in `store`, by name; they share its memory.
pub fn parameters(store: &nn::VarStore) -> Tensors {
    store.variables().into_iter().collect()
}

/// Returns how many numbers the tensors hold together.
pub fn count(tensors: &Tensors) -> usize {
    tensors.values().map(Tensor::numel).sum()
}

/// Returns copies of the tensors, without gradients.
pub fn copies(tensors: &Tensors) -> Tensors {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor.detach().copy())).collect()
}

/// Copies `values` into `tensors`, name by name, whatever their kinds and devices.
///
/// # Errors
/// If a name is missing or unknown, or a shape differs; then nothing was copied.
pub fn load(tensors: &Tensors, values: &Tensors) -> Result<()> {
    for (name, tensor) in tensors {
        let Some(value) = values.get(name) else {
            return Err(Problem::system(format!("the file lacks the tensor `{name}`")));
        };
        let (want, got) = (tensor.size(), value.size());
        if want != got {
            let sentence = format!("the tensor `{name}` has the shape {got:?} instead of {want:?}");
            return Err(Problem::system(sentence));
        }
    }
    if let Some(name) = values.keys().find(|name| !tensors.contains_key(*name)) {
        return Err(Problem::system(format!("the file holds an unknown tensor `{name}`")));
    }
    no_grad(|| {
        for (tensor, value) in tensors.values().zip(values.values()) {
            tensor.shallow_clone().copy_(value);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pairs: &[(&str, &[f64])]) -> Tensors {
        pairs.iter().map(|(name, v)| ((*name).to_owned(), Tensor::from_slice(v))).collect()
    }

    #[test]
    fn tensors_are_loaded_by_name() {
        let to = named(&[("a", &[0.0, 0.0]), ("b", &[0.0])]);
        load(&to, &named(&[("b", &[3.0]), ("a", &[1.0, 2.0])])).unwrap();
        assert_eq!(to["a"].double_value(&[1]), 2.0);
        assert_eq!(to["b"].double_value(&[0]), 3.0);
        assert_eq!(count(&to), 3);
    }

    #[test]
    fn what_does_not_fit_is_named_and_nothing_is_loaded() {
        let to = named(&[("a", &[0.0]), ("b", &[0.0])]);
        for (values, name) in [
            (named(&[("a", &[1.0])]), "`b`"),
            (named(&[("a", &[1.0]), ("b", &[1.0, 2.0])]), "`b`"),
            (named(&[("a", &[1.0]), ("b", &[1.0]), ("c", &[1.0])]), "`c`"),
        ] {
            let problem = load(&to, &values).unwrap_err().to_string();
            assert!(problem.contains(name), "{problem}");
            assert_eq!(to["a"].double_value(&[0]), 0.0);
        }
    }

    #[test]
    fn copies_stay_when_the_original_moves() {
        let tensors = named(&[("a", &[1.0])]);
        let kept = copies(&tensors);
        let _ = tensors["a"].shallow_clone().zero_();
        assert_eq!(kept["a"].double_value(&[0]), 1.0);
    }
}
