//! `dataset.json`: what a dataset is, so that its users need nothing else: geometry, units, splits,
//! and the transform between physical values and what a network sees.

use super::transform::Fitted;
use crate::files::write_json;
use ablate::problem::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `dataset.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Rows of an item, and columns too unless `width` says otherwise.
    pub side: usize,
    /// Columns of an item that is not square.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Channels of an item.
    pub channels: usize,
    /// Side of the periodic box in Mpc/h, for fields.
    pub box_mpc_h: Option<f64>,
    /// Unit of the values.
    pub units: String,
    /// The transform, fitted on the train split.
    pub transform: Fitted,
    /// Items in each split.
    pub splits: BTreeMap<String, usize>,
    /// The conditions that every item has, in the order of `<split>.parameters.npy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Classes of the items, numbered from 0 in `<split>.labels.npy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Items of one simulation, which stand together in every split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// The external array that the items stay in; `<split>.index.npy` lists them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// BLAKE3 digest of each split's array, in hex.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
}

/// A condition: its name, and the range that becomes [0, 1] for a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, such as `omega_m`.
    pub name: String,
    /// The smallest value of the design, else of the train split.
    pub low: f64,
    /// The largest value of the design, else of the train split.
    pub high: f64,
}

/// An external array, known by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// BLAKE3 digest of the file, in hex.
    pub blake3: String,
}

impl Source {
    /// Makes sure that a file may be the array; its digest was compared when the run was planned.
    ///
    /// # Errors
    /// If it cannot be looked at, or has another size.
    pub fn check(&self, path: &Path) -> Result<()> {
        let meta = std::fs::metadata(path).map_err(|e| Problem::os("read", path, &e))?;
        if meta.len() == self.bytes {
            return Ok(());
        }
        Err(Problem::system(format!("{} has changed since the run was planned", path.display()))
            .help("run again"))
    }
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
        let found = ablate::files::read_json(&path)?;
        found.ok_or_else(|| Problem::system(format!("{} is not there", path.display())))
    }

    /// Writes the manifest into a node's folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_json(&folder.join(MANIFEST), self)
    }

    /// The manifest as trainings and samples carry it: what the items are, not which files they are in.
    pub fn described(&self) -> Self {
        Self { source: None, digests: BTreeMap::new(), ..self.clone() }
    }

    /// Columns of an item.
    pub fn width(&self) -> usize {
        self.width.unwrap_or(self.side)
    }

    /// Numbers in an item.
    pub fn numbers(&self) -> usize {
        self.channels * self.side * self.width()
    }

    /// The file of a split.
    pub fn split_file(folder: &Path, split: &str) -> PathBuf {
        folder.join(format!("{split}.npy"))
    }
}
