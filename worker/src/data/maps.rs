//! The items of one split of a dataset, as a network or a measure reads them: from the node's own
//! array, or from an external one that stays where it is. Arrays are mapped, not read.

use super::manifest::Manifest;
use super::transform::Fitted;
use ablate::job::Input;
use ablate::npy::{self, Mapped};
use ablate::problem::{Problem, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

/// The items of a split.
#[derive(Debug)]
pub struct Maps {
    array: Mapped,
    /// The items of the array that belong to the split, in its order; all of them if there is no list.
    chosen: Option<Vec<usize>>,
    /// Channels, rows, columns.
    item: [usize; 3],
    transform: Fitted,
}

/// The file that lists the items of an external or gathered array that belong to a split.
pub fn index_file(folder: &Path, split: &str) -> PathBuf {
    folder.join(format!("{split}.index.npy"))
}

/// The array of items that were gathered from several files.
pub fn gathered_file(folder: &Path) -> PathBuf {
    folder.join("items.npy")
}

fn index(folder: &Path, split: &str) -> Result<Vec<usize>> {
    let index = npy::read_f64(&index_file(folder, split))?.data;
    Ok(index.into_iter().map(|i| i as usize).collect())
}

impl Maps {
    /// Opens the split that an input names.
    ///
    /// # Errors
    /// If a file cannot be read, or is not as the manifest says.
    pub fn open(manifest: &Manifest, input: &Input) -> Result<Self> {
        Self::open_split(manifest, input, &input.port)
    }

    /// Opens another split of the dataset that an input names.
    ///
    /// # Errors
    /// As [`Maps::open`].
    pub fn open_split(manifest: &Manifest, input: &Input, split: &str) -> Result<Self> {
        let (path, chosen) = match (&manifest.source, &input.source) {
            (Some(source), Some(path)) => {
                source.check(path)?;
                (path.clone(), Some(index(&input.folder, split)?))
            }
            (Some(_), None) => {
                return Err(Problem::system("the job does not say where the dataset's array lies"));
            }
            (None, _) if index_file(&input.folder, split).exists() => {
                (gathered_file(&input.folder), Some(index(&input.folder, split)?))
            }
            (None, _) => (Manifest::split_file(&input.folder, split), None),
        };
        let maps = Self {
            array: Mapped::open(&path)?,
            chosen,
            item: [manifest.channels, manifest.side, manifest.width()],
            transform: manifest.transform,
        };
        maps.check(&path, manifest.splits.get(split).copied().unwrap_or(0))?;
        Ok(maps)
    }

    /// Makes sure that the file holds `count` items of the manifest's shape.
    fn check(&self, path: &Path, count: usize) -> Result<()> {
        let shape = &self.array.header.shape;
        let items = shape.first().copied().unwrap_or(0);
        let reach = self.chosen.iter().flatten().max().map_or(0, |last| last + 1);
        if self.len() != count
            || reach > items
            || shape[1.min(shape.len())..].iter().product::<usize>() != self.numbers()
        {
            let [c, h, w] = self.item;
            return Err(Problem::system(format!(
                "{} has the shape {shape:?}, its manifest says {count} items of [{c}, {h}, {w}]",
                path.display()
            )));
        }
        Ok(())
    }

    /// Items.
    pub fn len(&self) -> usize {
        let items = self.array.header.shape.first().copied().unwrap_or(0);
        self.chosen.as_ref().map_or(items, Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, rows and columns of an item.
    pub fn item(&self) -> [usize; 3] {
        self.item
    }

    /// Numbers in an item.
    pub fn numbers(&self) -> usize {
        self.item.iter().product()
    }

    /// Item `i` in physical units, `c h w` numbers.
    pub fn physical(&self, i: usize) -> impl Iterator<Item = f64> + '_ {
        let at = self.chosen.as_ref().map_or(i, |chosen| chosen[i]);
        self.array.numbers(at * self.numbers(), self.numbers())
    }

    /// These items as a network sees them, `[n, c, h, w]` in 32 bits.
    pub fn seen(&self, items: impl ExactSizeIterator<Item = usize>, device: Device) -> Tensor {
        let [c, h, w] = self.item.map(|n| n as i64);
        let items: Vec<usize> = items.collect();
        let (n, numbers) = (items.len(), self.numbers());
        let mut values = vec![0.0_f32; n * numbers];
        let one = |(i, out): (&usize, &mut [f32])| {
            for (x, to) in self.physical(*i).zip(out) {
                *to = self.transform.forward(x as f32);
            }
        };
        items.par_iter().zip(values.par_chunks_mut(numbers.max(1))).for_each(one);
        Tensor::from_slice(&values).view([n as i64, c, h, w]).to_device(device)
    }
}
