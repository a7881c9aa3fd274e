//! Settings of train nodes.

use super::condition::Conditions;
use super::network::{Model, Unet};
use super::objective::{Ddpm, Objective};
use super::reader::{Found, Reader};
use super::reference::Reference;
use super::start::{Augmentation, Init};
use super::table::{choice, kinds, table};
use super::values::{Cadence, Off};
use crate::problem::Problem;

table! {
    /// Trains one network on the train split of a dataset.
    pub struct Train {
        #[doc = "The dataset; its train split unless a port says otherwise."]
        data: Reference;
        #[doc = "The network."]
        model: Model = Model::Unet(Unet::default());
        #[doc = "What the network learns to predict, and under which noise."]
        objective: Objective = Objective::Ddpm(Ddpm::default());
        #[doc = "What the network is told of each item beside the time."]
        conditions: Off<Conditions> = Off::Off, neutral Off::Off;
        #[doc = "Weights to start with, for fine-tuning: `{ from: node }` of another training of the same network, or a `.safetensors` file; by default fresh ones by `seed`."]
        init: Option<Box<Init>>;
        #[doc = "What is done at random to each map, a list: `flip_horizontal`, `flip_vertical`, `quarter_turns`, `roll`."]
        augment: Vec<Augmentation> = vec![], neutral vec![];
        #[doc = "The optimiser."]
        optimizer: Optimizer = Optimizer::AdamW(AdamW::default());
        #[doc = "Maps in one optimiser step."]
        batch: u64 [1.0..=65536.0] = 64;
        #[doc = "Maps taken at once, where a whole batch does not fit into memory: its gradients are summed over parts."]
        micro_batch: Option<u64> [1.0..=65536.0];
        #[doc = "Of products in the network while it trains; weights and sums have 32 bits in any case, and samples are drawn with 32."]
        precision: Precision = Precision::F32, neutral Precision::F32;
        #[doc = "Length of the training in optimiser steps; either this or `epochs`."]
        steps: Option<u64> [1.0..=1e9];
        #[doc = "Length of the training in passes over the data; either this or `steps`."]
        epochs: Option<u64> [1.0..=1e7];
        #[doc = "Largest decay of the exponential moving average of the weights; the decay at step s is min(ema, (1+s)/(10+s))."]
        ema: Off<f64> [0.0..=0.999_999_9] = Off::On(0.999);
        #[doc = "Whether that decay rises; otherwise it is the same from the first step."]
        ema_ramp: bool = true, neutral true;
        #[doc = "Largest norm of the gradient; a larger one is scaled down to it."]
        gradient_clip: Off<f64> [1e-6..=1e6] = Off::On(1.0);
        #[doc = "How the learning rate goes after the warmup."]
        decay: Decay = Decay::Constant, neutral Decay::Constant;
        #[doc = "Reduce the learning rate where the validation loss has stopped falling."]
        plateau: Off<Plateau> = Off::Off, neutral Off::Off;
        #[doc = "Loss on the validation split, with noise and times fixed per item."]
        validation: Off<Validation> = Off::On(Validation::default());
        #[doc = "End the training once the validation loss has stopped falling."]
        early_stopping: Off<EarlyStopping> = Off::Off, neutral Off::Off;
        #[doc = "Seed of the initial weights, the order of the data, the times and the noise."]
        seed: u64 [0.0..=9e15] = 0;
    }
    settle settle_train;
    check check_train;
}

choice! {
    /// Bits of the numbers that are multiplied.
    pub enum Precision {
        #[doc = "32 bits."]
        F32 = "f32",
        #[doc = "32 bits, of whose digits NVIDIA GPUs multiply the first 10 after the point (TF32), as PyTorch's convolutions do unless told otherwise; elsewhere 32."]
        Tf32 = "tf32",
        #[doc = "16 bits with the range of 32 (bfloat16): faster on GPUs that have it."]
        Bf16 = "bf16",
    }
}

/// Augmentations in one order, each once, so that equal lists are one training.
fn settle_train(mut train: Train) -> Train {
    let known = Augmentation::ALL.iter().filter(|one| train.augment.contains(one));
    train.augment = known.copied().collect();
    train
}

/// How long to train, as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Optimiser steps.
    Steps(u64),
    /// Passes over the train split, the last batch of a pass possibly smaller.
    Epochs(u64),
}

impl Train {
    /// How long to train.
    pub fn length(&self) -> Length {
        match (self.steps, self.epochs) {
            (Some(steps), _) => Length::Steps(steps),
            (None, epochs) => Length::Epochs(epochs.unwrap_or(1)),
        }
    }

    /// Whether the smaller value of a metric is the better one; `None` if it only describes.
    pub fn smaller_is_better(metric: &str) -> Option<bool> {
        const LOSSES: [&str; 5] = [
            "loss",
            "validation_loss",
            "validation_loss_ema",
            "best_validation_loss",
            "best_validation_loss_ema",
        ];
        LOSSES.contains(&metric).then_some(true)
    }
}

fn check_train(train: &Train, found: &Found<'_>, reader: &mut Reader) {
    if train.early_stopping.on().is_some() && train.validation.on().is_none() {
        let problem = Problem::new("early stopping needs a validation loss");
        let help = "take `validation: { every: 250 }`, or `early_stopping: off`";
        reader.wrong_key(found, "early_stopping", problem.help(help));
    }
    if train.plateau.on().is_some() && train.validation.on().is_none() {
        let problem = Problem::new("a plateau is one of the validation loss");
        let help = "take `validation: { every: 250 }`, or `plateau: off`";
        reader.wrong_key(found, "plateau", problem.help(help));
    }
    check_classifier(train, found, reader);
    match (train.steps, train.epochs) {
        (Some(_), Some(_)) => {
            reader.wrong_key(
                found,
                "epochs",
                Problem::new("both `steps` and `epochs` are given").help("keep one"),
            );
        }
        (None, None) => {
            let problem =
                Problem::new("`steps` is missing").help("add `steps: 2k` or `epochs: 10`");
            reader.wrong::<()>(found, problem);
        }
        _ => {}
    }
}

/// Refuses networks that do not do what the objective asks for.
fn check_classifier(train: &Train, found: &Found<'_>, reader: &mut Reader) {
    let word = train.model.word();
    let classifies = matches!(train.objective, Objective::Classification(_));
    let problem = match (classifies, matches!(train.model, Model::Lenet(_))) {
        (true, false) => {
            Problem::new(format!("`{word}` turns maps into maps, and classifies nothing"))
                .help("take `model: lenet` with this objective")
        }
        (false, true) => Problem::new("`lenet` is a classifier, and learns no noise")
            .help("take `objective: classification` with it, or another model"),
        _ if classifies && train.conditions.on().is_some() => {
            let problem = Problem::new("a classifier is not told what it is to find out");
            reader.wrong_key(found, "conditions", problem.help("leave `conditions` out"));
            return;
        }
        _ => return,
    };
    reader.wrong_key(found, "model", problem);
}

kinds! {
    /// The optimisers.
    pub enum Optimizer {
        /// Adam with decoupled weight decay.
        AdamW(AdamW) = "adamw",
    }
}

table! {
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019); Adam at `weight_decay: 0`.
    pub struct AdamW {
        #[doc = "Learning rate."]
        learning_rate: f64 [0.0..=10.0] = 1e-3;
        #[doc = "Steps, or `5 epochs`, over which the learning rate rises linearly from 0 to its value."]
        warmup: Cadence [0.0..=1e9] = Cadence::Steps(0);
        #[doc = "Weight decay."]
        weight_decay: f64 [0.0..=10.0] = 0.0;
        #[doc = "Decay of the first moment."]
        beta_1: f64 [0.0..=0.999_999] = 0.9;
        #[doc = "Decay of the second moment."]
        beta_2: f64 [0.0..=0.999_999_9] = 0.999;
        #[doc = "Added to the root of the second moment."]
        epsilon: f64 [1e-16..=1.0] = 1e-8;
    }
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            warmup: Cadence::Steps(0),
            weight_decay: 0.0,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        }
    }
}

table! {
    /// When and on how much to validate.
    #[derive(Copy)]
    pub struct Validation {
        #[doc = "Optimiser steps, or `1 epoch`, between two validations; the last step is always validated."]
        every: Cadence [1.0..=1e9] = Cadence::Steps(250);
        #[doc = "Items of the validation split to use, at most."]
        items: u64 [1.0..=1e7] = 256;
    }
}

impl Default for Validation {
    fn default() -> Self {
        Self { every: Cadence::Steps(250), items: 256 }
    }
}

choice! {
    /// How the learning rate goes after the warmup.
    pub enum Decay {
        #[doc = "It stays."]
        Constant = "constant",
        #[doc = "Along half a cosine to 0 at the end of the training, whose length is then part of its trajectory."]
        Cosine = "cosine",
    }
}

table! {
    /// When to reduce the learning rate, and by how much.
    #[derive(Copy)]
    pub struct Plateau {
        #[doc = "What the learning rate is multiplied by."]
        factor: f64 [1e-3..=0.999] = 0.3;
        #[doc = "Validations in a row without a smaller loss that are borne; the next one reduces the rate. Those within the warmup do not count."]
        patience: u64 [0.0..=1e6] = 2;
        #[doc = "Share of the smallest loss by which a loss must fall below it to count."]
        improvement: f64 [0.0..=0.5] = 1e-4;
        #[doc = "The rate is never reduced below this."]
        smallest: f64 [0.0..=1.0] = 0.0;
    }
}

impl Default for Plateau {
    fn default() -> Self {
        Self { factor: 0.3, patience: 2, improvement: 1e-4, smallest: 0.0 }
    }
}

impl Plateau {
    /// The product of all reductions after these validation losses.
    pub fn factor_after(&self, losses: impl IntoIterator<Item = f64>) -> f64 {
        let (mut best, mut waited, mut factor) = (f64::INFINITY, 0, 1.0);
        for loss in losses {
            if loss < best * (1.0 - self.improvement) || best == f64::INFINITY {
                (best, waited) = (loss, 0);
            } else {
                waited += 1;
            }
            if waited > self.patience {
                factor *= self.factor;
                waited = 0;
            }
        }
        factor
    }
}

table! {
    /// When to end a training before its length: its weights after that are those of the step where it ended.
    #[derive(Copy)]
    pub struct EarlyStopping {
        #[doc = "Validations in a row without a smaller loss; of the averaged weights, if there are any."]
        patience: u64 [1.0..=1e6] = 10;
        #[doc = "Share of the smallest loss by which a loss must fall below it to count."]
        improvement: f64 [0.0..=0.5] = 0.0;
    }
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self { patience: 10, improvement: 0.0 }
    }
}

impl EarlyStopping {
    /// Whether a training ends after these validation losses, the last one being the newest.
    pub fn ends(&self, losses: impl IntoIterator<Item = f64>) -> bool {
        let (mut best, mut waited) = (f64::INFINITY, 0);
        for loss in losses {
            if loss < best - self.improvement * best.abs() || best == f64::INFINITY {
                (best, waited) = (loss, 0);
            } else {
                waited += 1;
            }
        }
        waited >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_ends_when_patience_does() {
        let ends = |patience, improvement, losses: &[f64]| {
            EarlyStopping { patience, improvement }.ends(losses.iter().copied())
        };
        assert!(!ends(2, 0.0, &[]));
        assert!(!ends(2, 0.0, &[1.0, 2.0, 0.9, 1.0]));
        assert!(ends(2, 0.0, &[1.0, 2.0, 0.9, 1.0, 0.9]));
        assert!(ends(2, 0.1, &[1.0, 0.95, 0.92]), "too small a fall does not count");
        assert!(ends(1, 0.0, &[1.0, f64::NAN]));
    }
}
