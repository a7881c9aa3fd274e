//! The networks, and their parameters under the names of the reference weights, so that files of
//! weights can be exchanged. A network is built at a place of a [`nn::VarStore`], filled by
//! [`initialise`], and from then on only evaluated; who trains it works on [`parameters`], and keeps
//! its [`state`].

mod adm;
mod attention;
mod blocks;
mod condition;
mod dit;
mod layers;
mod lenet;
mod simple_unet;
mod start;
#[cfg(test)]
mod tests;
mod unet;

pub use adm::Adm;
pub use condition::{Condition, Told, What};
pub use dit::Dit;
pub use layers::{with_fixed_weights, with_precision, wrap};
pub use lenet::Lenet;
pub use simple_unet::SimpleUnet;
pub use start::{Start, initialise};
pub use unet::Unet;

use ablate::problem::{Problem, Result};
use ablate::settings::Model;
use std::collections::BTreeMap;
use tch::{Tensor, nn, no_grad};

/// Tensors by name, in the order of their names.
pub type Tensors = BTreeMap<String, Tensor>;

/// What a network is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Input<'i> {
    /// Noisy samples `[n, c, h, w]`.
    pub x: &'i Tensor,
    /// Their times `[n]`: int64, 0-based, or 64-bit numbers up to a thousand.
    pub t: &'i Tensor,
    /// What is told of them, to a network that was built for that.
    pub condition: Option<&'i Condition>,
    /// What was predicted of the clean samples before, `[n, c, h, w]`, to a network that looks at it; by default
    /// zeros.
    pub earlier: Option<&'i Tensor>,
    /// Whether norms take the statistics of this batch, and remember them.
    pub training: bool,
}

impl<'i> Input<'i> {
    /// Asks about samples without telling more than the times.
    pub fn new(x: &'i Tensor, t: &'i Tensor) -> Self {
        Self { x, t, condition: None, earlier: None, training: false }
    }

    /// Returns the samples, for a network that looks back behind what was predicted of them before or zeros, `[n, 2 c,
    /// h, w]`.
    fn seen(&self, looks_back: bool) -> Tensor {
        match (looks_back, self.earlier) {
            (true, Some(earlier)) => Tensor::cat(&[earlier, self.x], 1),
            (true, None) => Tensor::cat(&[&self.x.zeros_like(), self.x], 1),
            (false, _) => self.x.shallow_clone(),
        }
    }
}

/// A network that predicts something of noisy samples, or classifies clean ones.
pub trait Network {
    /// Returns the prediction `[n, c, h, w]`; a classifier's, `[n, classes]`.
    fn forward(&self, input: &Input<'_>) -> Tensor;

    /// Returns whether it looks at what was predicted before.
    fn looks_back(&self) -> bool {
        false
    }

    /// Returns how a parameter starts, if not as PyTorch does by default.
    fn start(&self, _name: &str) -> Option<Start> {
        None
    }
}

/// Channels of what a network is given and of what it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// Channels of the input.
    pub input: i64,
    /// Channels of the output.
    pub output: i64,
}

impl Channels {
    /// As many channels out as in.
    pub fn same(channels: i64) -> Self {
        Self { input: channels, output: channels }
    }
}

/// Sides of maps in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    /// Rows.
    pub height: i64,
    /// Columns.
    pub width: i64,
}

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Channels of the maps.
    pub channels: i64,
    /// Sides of the maps.
    pub sides: Sides,
    /// What it is told of them.
    pub told: Option<Told>,
    /// Classes that there are, for a classifier.
    pub classes: Option<i64>,
}

/// Builds a network; its parameters, at `path`, are all zero until [`initialise`] or [`load`].
///
/// # Errors
/// If the network cannot take maps of these sides.
pub fn build(model: &Model, task: &Task, path: &nn::Path) -> Result<Box<dyn Network>> {
    let (channels, Task { sides, told, .. }) = (Channels::same(task.channels), *task);
    check_sides(model, sides)?;
    Ok(match model {
        Model::Unet(settings) => Box::new(Unet::new(path, settings, channels, told)),
        Model::Adm(settings) => Box::new(Adm::new(path, settings, (channels, sides), told)),
        Model::SimpleUnet(settings) => Box::new(SimpleUnet::new(path, settings, channels, told)),
        Model::Dit(settings) => Box::new(Dit::new(path, settings, (channels, sides), told)),
        Model::Lenet(settings) => {
            let classes = task.classes.unwrap_or(1);
            Box::new(Lenet::new(path, settings, (task.channels, sides), classes))
        }
    })
}

/// Checks that a network can take maps of these sides.
///
/// # Errors
/// If they are not divisible by what the network divides them by.
pub fn check_sides(model: &Model, sides: Sides) -> Result<()> {
    let (divisor, what) = model.divisor();
    let Sides { height, width } = sides;
    let fits = |side: i64| side > 0 && (side as u64).is_multiple_of(divisor);
    if fits(height) && fits(width) {
        return Ok(());
    }
    let sentence = format!(
        "maps of {height} x {width} pixels do not fit {what}, which needs sides divisible by {divisor}"
    );
    Err(Problem::new(sentence).help("take another network, or maps of other sides"))
}

/// Returns all that a network in `store` holds, by name, with the running statistics of norms; the
/// tensors share its memory.
pub fn state(store: &nn::VarStore) -> Tensors {
    store.variables().into_iter().collect()
}

/// Returns the parameters of a [`state`], which training changes.
pub fn parameters(state: &Tensors) -> Tensors {
    let trained = state.iter().filter(|(_, tensor)| tensor.requires_grad());
    trained.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
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
