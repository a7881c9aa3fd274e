//! `dataset.json`: what a dataset is, so that its users need nothing else: geometry, units, splits,
//! and the transform between physical values and what a network sees.

use super::transform::Fitted;
use crate::files::write_json;
use ablate::npy;
use ablate::problem::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

/// What `dataset.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Pixels along one side.
    pub side: usize,
    /// Channels of a map.
    pub channels: usize,
    /// Side of the periodic box in Mpc/h, for fields.
    pub box_mpc_h: Option<f64>,
    /// Unit of the values.
    pub units: String,
    /// The transform, fitted on the train split.
    pub transform: Fitted,
    /// Maps in each split.
    pub splits: BTreeMap<String, usize>,
}

/// The name of the file.
pub const MANIFEST: &str = "dataset.json";

impl Manifest {
    /// Reads the manifest in a node's folder.
    ///
    /// # Errors
    /// If it is not there, or not a manifest.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let found = ablate::survey::read_json(&path)?;
        found.ok_or_else(|| Problem::system(format!("{} is not there", path.display())))
    }

    /// Writes the manifest into a node's folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_json(&folder.join(MANIFEST), self)
    }

    /// The file of a split.
    pub fn split_file(folder: &Path, split: &str) -> PathBuf {
        folder.join(format!("{split}.npy"))
    }

    /// The maps of a split as a network sees them, `[n, c, h, w]`.
    ///
    /// # Errors
    /// If the file cannot be read, or is not as the manifest says.
    pub fn load(&self, folder: &Path, split: &str, device: Device) -> Result<Tensor> {
        let path = Self::split_file(folder, split);
        let array = npy::read_f32(&path)?;
        let shape =
            [self.splits.get(split).copied().unwrap_or(0), self.channels, self.side, self.side];
        if array.shape != shape {
            let problem = format!(
                "{} has the shape {:?}, its manifest says {shape:?}",
                path.display(),
                array.shape
            );
            return Err(Problem::system(problem));
        }
        let seen: Vec<f32> = array.data.iter().map(|x| self.transform.forward(*x)).collect();
        Ok(Tensor::from_slice(&seen).view(shape.map(|d| d as i64)).to_device(device))
    }
}
