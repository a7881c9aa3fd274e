//! Items of several files → one array in the node: archives and folders of arrays, folders of images.

use super::maps::gathered_file;
use crate::serve::Context;
use ablate::external::External;
use ablate::npy::Writer;
use ablate::parts::{self, IMAGES, Parts};
use ablate::photo;
use ablate::problem::{Problem, Result};
use ablate::settings::{DataFile, ImageFolder};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Images decoded between two looks at the stop flag.
const CHUNK: usize = 64;

/// Makes sure that files are those that the run was planned with.
fn check_unchanged(file: &DataFile) -> Result<()> {
    let mut now = DataFile { blake3: None, shape: vec![], ..file.clone() };
    External::default().settle(&mut now, Path::new(""))?;
    if (&now.blake3, &now.shape) == (&file.blake3, &file.shape) {
        return Ok(());
    }
    let sentence = format!("{} has changed since the run was planned", file.path.display());
    Err(Problem::system(sentence).help("run again"))
}

/// An array in the node that takes the place of external files.
fn in_node(path: PathBuf, shape: &[usize]) -> DataFile {
    let shape = shape.iter().map(|n| *n as u64).collect();
    DataFile { path, shape, ..DataFile::default() }
}

/// Copies the items of an archive or of a folder of arrays, as 32-bit floats; `None` if the job was asked to
/// stop.
///
/// # Errors
/// If a file cannot be read or has changed.
pub(super) fn arrays(
    context: &Context<'_>,
    file: &DataFile,
    array: Option<&str>,
) -> Result<Option<DataFile>> {
    check_unchanged(file)?;
    let parts = Parts::find(&file.path, array)?;
    let path = gathered_file(&context.job.work);
    let mut writer = Writer::open(&path, &parts.shape, 0)?;
    let total = parts.shape[0] as u64;
    context.started(0, total);
    let mut done = 0;
    let whole = parts.read(|item| {
        let narrow: Vec<f32> = item.iter().map(|x| *x as f32).collect();
        writer.push(&narrow)?;
        done += 1;
        context.progress(done, total, None);
        Ok(!context.stop())
    })?;
    if !whole {
        return Ok(None);
    }
    writer.sync()?;
    Ok(Some(in_node(path, &parts.shape)))
}

/// Images in the node, the class of each if they have any, and what the classes are called.
type Images = (DataFile, Option<Vec<i64>>, Vec<String>);

/// Decodes the images of a folder; `None` if the job was asked to stop.
///
/// # Errors
/// If one cannot be decoded, or the folder has changed.
pub(super) fn images(context: &Context<'_>, settings: &ImageFolder) -> Result<Option<Images>> {
    check_unchanged(&settings.folder)?;
    let root = &settings.folder.path;
    let files = parts::tree(root, &IMAGES)?;
    let (side, channels) = (settings.side as usize, settings.colour.channels());
    let shape = [files.len(), channels, side, side];
    let path = gathered_file(&context.job.work);
    let mut writer = Writer::open_bytes(&path, &shape, 0)?;
    let total = files.len() as u64;
    context.started(0, total);
    for (done, chunk) in files.chunks(CHUNK).enumerate() {
        if context.stop() {
            return Ok(None);
        }
        let decoded: Vec<Result<Vec<u8>>> =
            chunk.par_iter().map(|file| photo::decode(file, side, channels)).collect();
        for image in decoded {
            writer.push_bytes(&image?)?;
        }
        context.progress(((done + 1) * CHUNK).min(files.len()) as u64, total, None);
    }
    writer.sync()?;
    let of_files = parts::classes(root, &files);
    let mut names = of_files.clone().unwrap_or_default();
    names.dedup();
    let labels = of_files.map(|of_files| {
        let place =
            |class: &String| names.iter().position(|name| name == class).unwrap_or(0) as i64;
        of_files.iter().map(place).collect()
    });
    if labels.is_some() {
        crate::files::write_json(&context.job.work.join("classes.json"), &names)?;
    }
    Ok(Some((in_node(path, &shape), labels, names)))
}
