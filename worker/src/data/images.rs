//! Datasets in the format of MNIST: a known set, found on disk or fetched and checked against its
//! published sums, or four files that the spec names. The last train images validate.

use super::dataset::{Item, Made, counted, named};
use super::fetch;
use super::idx::{self, Images, Published, Set};
use super::manifest::Manifest;
use super::transform::Statistics;
use crate::serve::Context;
use ablate::external::cache_folder;
use ablate::npy;
use ablate::problem::{Problem, Result};
use ablate::settings::{DIGIT_SIDE, Idx, IdxSet, Split};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The variable that names a folder with data sets.
const DATA: &str = "ABLATE_DATA";

/// Train images, train labels, test images, test labels.
type Files = [PathBuf; 4];

/// Publishes images and labels.
///
/// # Errors
/// If files cannot be found, fetched or written, or are not what they must be.
pub(super) fn idx(context: &Context<'_>, settings: &Idx) -> Result<Option<Made>> {
    let files = match settings.set {
        Some(set) => find(context, set, settings.folder.as_ref().map(|folder| folder.0.as_path()))?,
        None => named_files(settings)?,
    };
    let (train, train_labels) = pair(&files[0], &files[1])?;
    let (test, test_labels) = pair(&files[2], &files[3])?;
    if (train.rows, train.columns) != (test.rows, test.columns) {
        return Err(Problem::new("train and test images differ in size"));
    }
    check_known(settings.set, &train, &test)?;
    let kept = Split::of(train.count as u64, settings.validation, 0.0);
    let split = Split { test: test.count as u64, ..kept };
    let (first, pad) = (split.train as usize, settings.pad as usize);
    let item = Item { channels: 1, height: train.rows + 2 * pad, width: train.columns + 2 * pad };
    context.started(0, split.sum());
    let mut seen = Statistics::default();
    for (name, count) in named(split) {
        if context.stop() {
            return Ok(None);
        }
        let (images, labels, from) = match name {
            "train" => (&train, &train_labels, 0),
            "validation" => (&train, &train_labels, first),
            _ => (&test, &test_labels, 0),
        };
        let size = images.rows * images.columns;
        let pixels: Vec<u8> = images.pixels[from * size..(from + count) * size]
            .par_chunks_exact(size)
            .flat_map_iter(|image| padded(image, images.columns, pad))
            .collect();
        if name == "train" {
            pixels.iter().for_each(|x| seen.add(counted(settings.transform, f64::from(*x))));
        }
        let shape = [count, item.channels, item.height, item.width];
        npy::write_u8(&Manifest::split_file(&context.job.work, name), &shape, &pixels)?;
        let labels: Vec<i64> = labels[from..from + count].iter().map(|x| i64::from(*x)).collect();
        npy::write_i64(&context.job.work.join(format!("{name}.labels.npy")), &[count], &labels)?;
    }
    let most = train_labels.iter().chain(&test_labels).max().copied().unwrap_or(0);
    Ok(Some(Made {
        units: "bytes".to_owned(),
        classes: Some(usize::from(most) + 1),
        ..Made::new(item, settings.transform, split, seen)
    }))
}

/// Images with as many labels.
fn pair(images: &Path, labels: &Path) -> Result<(Images, Vec<u8>)> {
    let (read, classes) = (idx::images(images)?, idx::labels(labels)?);
    if read.count == 0 || read.count != classes.len() {
        let sentence = format!(
            "{} holds {} images, {} {} labels",
            images.display(),
            read.count,
            labels.display(),
            classes.len()
        );
        return Err(Problem::new(sentence).help("they do not belong together"));
    }
    Ok((read, classes))
}

/// Unpacked files have no published sums; their sizes have to do.
fn check_known(set: Option<IdxSet>, train: &Images, test: &Images) -> Result<()> {
    let side = DIGIT_SIDE as usize;
    let is =
        |images: &Images, count| (images.count, images.rows, images.columns) == (count, side, side);
    match set {
        Some(set) if !(is(train, 60_000) && is(test, 10_000)) => {
            let sentence = format!("the files found are not those of `{}`", set.word());
            Err(Problem::new(sentence).help("put the published files there, packed as they come"))
        }
        _ => Ok(()),
    }
}

fn named_files(settings: &Idx) -> Result<Files> {
    let file = |file: &Option<ablate::settings::DataFile>| {
        let file = file.as_ref().ok_or_else(|| Problem::system("the job lacks a file"))?;
        Ok(file.path.clone())
    };
    Ok([
        file(&settings.images)?,
        file(&settings.labels)?,
        file(&settings.test_images)?,
        file(&settings.test_labels)?,
    ])
}

impl From<IdxSet> for Set {
    fn from(set: IdxSet) -> Self {
        match set {
            IdxSet::Mnist => Self::Mnist,
            IdxSet::FashionMnist => Self::FashionMnist,
        }
    }
}

/// The folders in which known sets are looked for: one that the spec names, that of `ABLATE_DATA`, the cache.
pub(super) fn places(folder: Option<&Path>) -> Vec<PathBuf> {
    let named = std::env::var_os(DATA).map(PathBuf::from);
    let cache = cache_folder().map(|cache| cache.join("data"));
    folder.map(Path::to_owned).into_iter().chain(named).chain(cache).collect()
}

/// The files of a known set: in the folder that the spec names, in `ABLATE_DATA`, in the cache; what is
/// nowhere is fetched into the first of these that there is.
fn find(context: &Context<'_>, set: IdxSet, folder: Option<&Path>) -> Result<Files> {
    let set = Set::from(set);
    let folders = places(folder);
    let Some(target) = folders.first().map(|folder| folder.join(set.folder()).join("raw")) else {
        let problem = Problem::new("there is no folder to keep the data in");
        return Err(problem.help("give `folder:`, or set ABLATE_DATA"));
    };
    let mut files = vec![];
    for file in set.files() {
        let path = match idx::locate(set, &file, &folders) {
            Some(path) => path,
            None => download(context, set, &file, &target)?,
        };
        check_sum(&path, &file)?;
        files.push(path);
    }
    files.try_into().map_err(|_| Problem::system("a set has four files"))
}

fn download(context: &Context<'_>, set: Set, file: &Published, target: &Path) -> Result<PathBuf> {
    let to = target.join(file.name);
    context.note(format!("fetching {}", file.name));
    let mut tell = |here, total: Option<u64>| {
        context.progress(here, total.unwrap_or(here), None);
    };
    fetch::file(&fetch::urls(set, file), &to, file.sha256, file.bytes, &mut tell)?;
    Ok(to)
}

/// Compares a packed file with its published sum.
fn check_sum(path: &Path, file: &Published) -> Result<()> {
    if path.extension().is_none_or(|ending| ending != "gz") {
        return Ok(());
    }
    let mut hasher = Sha256::new();
    let mut read = std::fs::File::open(path).map_err(|e| Problem::os("open", path, &e))?;
    std::io::copy(&mut read, &mut hasher).map_err(|e| Problem::os("read", path, &e))?;
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == file.sha256 {
        return Ok(());
    }
    let sentence =
        format!("{} is damaged, or another file: its SHA-256 is {found}", path.display());
    Err(Problem::new(sentence).help("remove it: it is fetched again"))
}

/// An image of bytes, `side` pixels in a row, with `pad` pixels of zeros at each edge.
pub(super) fn padded(image: &[u8], side: usize, pad: usize) -> Vec<u8> {
    let (rows, width) = (image.len() / side, side + 2 * pad);
    let mut out = vec![0; (rows + 2 * pad) * width];
    for (r, row) in image.chunks_exact(side).enumerate() {
        let from = (r + pad) * width + pad;
        out[from..from + side].copy_from_slice(row);
    }
    out
}
