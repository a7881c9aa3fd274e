//! Checkpoints of a trajectory: all that a training needs to go on to the bit, in one file with a
//! digest beside it. A file that does not fit its digest is passed over, and an older one taken.

use crate::net::Tensors;
use crate::weights;
use ablate::files::write_aside;
use ablate::job::Arithmetic;
use ablate::problem::{Problem, Result};
use ablate::store::checkpoint_steps;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tch::Tensor;

/// The state of a training after some step.
pub struct Checkpoint {
    /// Numbers and lists.
    pub state: State,
    /// `model.…`, `ema.…`, `first.…`, `second.…`, `best.…`, `best_ema.…`, by reference name.
    pub tensors: Tensors,
    /// Training loss of every step so far.
    pub losses: Vec<f64>,
}

/// The part of a checkpoint that is not tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// Smallest validation loss of the weights so far, and its step.
    pub best: Option<(f64, u64)>,
    /// Smallest validation loss of the averaged weights so far, and its step.
    pub best_ema: Option<(f64, u64)>,
    /// Step, validation loss, and validation loss of the averaged weights.
    pub validations: Vec<(u64, f64, Option<f64>)>,
    /// What the bits so far depend on.
    pub arithmetic: Vec<Arithmetic>,
}

fn file(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("checkpoint-{step:09}.safetensors"))
}

const LOSSES: &str = "history.loss";

impl Checkpoint {
    /// Writes the checkpoint into a trajectory's folder; its digest comes first, so that the file counts
    /// only once it is whole. With `keep`, it is never removed.
    ///
    /// # Errors
    /// If files cannot be written.
    pub fn write(mut self, folder: &Path, keep: bool) -> Result<()> {
        self.tensors.insert(LOSSES.to_owned(), Tensor::from_slice(&self.losses));
        let metadata =
            serde_json::to_value(&self.state).map_err(|e| Problem::system(e.to_string()))?;
        let bytes = weights::to_bytes(&self.tensors, &metadata)?;
        let path = file(folder, self.state.step);
        write_aside(&path.with_extension("blake3"), blake3::hash(&bytes).to_hex().as_bytes())?;
        if keep {
            write_aside(&path.with_extension("kept"), b"")?;
        }
        write_aside(&path, &bytes)?;
        prune(folder)
    }

    /// The newest whole checkpoint at or before a step; `note` hears of damaged ones.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn newest(
        folder: &Path,
        at_most: u64,
        note: &mut dyn FnMut(String),
    ) -> Result<Option<Self>> {
        for step in checkpoint_steps(folder).into_iter().rev().filter(|step| *step <= at_most) {
            match Self::read(&file(folder, step)) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(problem) => {
                    note(format!("passed over a damaged checkpoint: {}", problem.sentence))
                }
            }
        }
        Ok(None)
    }

    fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Problem::os("read", path, &e))?;
        let digest = std::fs::read_to_string(path.with_extension("blake3")).unwrap_or_default();
        if digest != blake3::hash(&bytes).to_hex().as_str() {
            return Err(Problem::system(format!("{} does not fit its digest", path.display())));
        }
        let (mut tensors, metadata) = weights::from_bytes(&bytes, path)?;
        let damaged = || Problem::system(format!("{} is not a checkpoint", path.display()));
        let state = serde_json::from_value(metadata).map_err(|_| damaged())?;
        let losses = tensors.remove(LOSSES).ok_or_else(damaged)?;
        let losses = Vec::try_from(&losses).map_err(|_| damaged())?;
        Ok(Self { state, tensors, losses })
    }

    /// The tensors whose names begin with `part.`, without that.
    pub fn part(&self, part: &str) -> Tensors {
        let strip = |name: &String| name.strip_prefix(part)?.strip_prefix('.').map(str::to_owned);
        self.tensors
            .iter()
            .filter_map(|(name, tensor)| Some((strip(name)?, tensor.shallow_clone())))
            .collect()
    }
}

/// Puts tensors under `part.` into a checkpoint's.
pub fn insert(into: &mut Tensors, part: &str, tensors: impl IntoIterator<Item = (String, Tensor)>) {
    into.extend(tensors.into_iter().map(|(name, tensor)| (format!("{part}.{name}"), tensor)));
}

/// Removes all but the newest two checkpoints and those to keep.
fn prune(folder: &Path) -> Result<()> {
    let passing: Vec<u64> = checkpoint_steps(folder)
        .into_iter()
        .filter(|step| !file(folder, *step).with_extension("kept").exists())
        .collect();
    for step in passing.iter().rev().skip(2) {
        let path = file(folder, *step);
        for path in [path.clone(), path.with_extension("blake3")] {
            match std::fs::remove_file(&path) {
                // A digest that is lost already is no reason to fail.
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Problem::os("remove", &path, &e));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
