//! CIFAR-10 in its binary version: records of a label and 32 by 32 pixels of red, green and blue, a plane each. The
//! last train images validate.

use super::dataset::{Item, Made, counted, named};
use super::images::places;
use super::manifest::Manifest;
use super::transform::Statistics;
use crate::serve::Context;
use ablate::npy;
use ablate::problem::{Problem, Result};
use ablate::settings::{CIFAR_SIDE, Cifar10, Dataset};
use std::path::{Path, PathBuf};

/// Numbers in an image.
const PIXELS: usize = 3 * (CIFAR_SIDE * CIFAR_SIDE) as usize;

/// Images in a file.
const RECORDS: usize = 10_000;

/// Classes.
const CLASSES: u8 = 10;

/// The folder in which the published archive holds its files.
const FOLDER: &str = "cifar-10-batches-bin";

/// Images and their labels, one after another.
#[derive(Debug, Default, PartialEq, Eq)]
struct Images {
    pixels: Vec<u8>,
    labels: Vec<i64>,
}

impl Images {
    /// Adds the records of a file.
    fn add(&mut self, bytes: &[u8]) -> std::result::Result<(), String> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(PIXELS + 1) {
            return Err(format!("{} bytes are no whole records of {}", bytes.len(), PIXELS + 1));
        }
        for (i, record) in bytes.chunks_exact(PIXELS + 1).enumerate() {
            if record[0] >= CLASSES {
                return Err(format!(
                    "record {i} has the label {}, of {CLASSES} classes",
                    record[0]
                ));
            }
            self.labels.push(i64::from(record[0]));
            self.pixels.extend_from_slice(&record[1..]);
        }
        Ok(())
    }

    /// Reads published files, each of ten thousand records.
    fn read(paths: &[PathBuf]) -> Result<Self> {
        let mut images = Self::default();
        for path in paths {
            let size = std::fs::metadata(path).map_err(|e| Problem::os("read", path, &e))?.len();
            let want = (RECORDS * (PIXELS + 1)) as u64;
            let wrong = |what: String| {
                Problem::new(format!("{}: {what}", path.display()))
                    .help("take the binary version as it is published")
            };
            if size != want {
                return Err(wrong(format!("{size} bytes instead of {want}")));
            }
            let bytes = std::fs::read(path).map_err(|e| Problem::os("read", path, &e))?;
            images.add(&bytes).map_err(wrong)?;
        }
        Ok(images)
    }
}

/// Finds the files of train images, and that of test images.
fn find(folder: Option<&Path>) -> Result<(Vec<PathBuf>, PathBuf)> {
    let train: Vec<String> = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
    let all = places(folder);
    let place = all.iter().flat_map(|folder| [folder.join(FOLDER), folder.clone()]).find(|place| {
        train.iter().map(String::as_str).chain(["test_batch.bin"]).all(|f| place.join(f).is_file())
    });
    let Some(place) = place else {
        let first = all.first().map_or_else(|| PathBuf::from("."), |folder| folder.join(FOLDER));
        let what = format!("CIFAR-10 is not there: no {} with its five fellows", train[0]);
        let help = format!(
            "unpack cifar-10-binary.tar.gz of www.cs.toronto.edu/~kriz/cifar.html, so that {} is there",
            first.join(&train[0]).display()
        );
        return Err(Problem::new(what).help(help));
    };
    Ok((train.iter().map(|file| place.join(file)).collect(), place.join("test_batch.bin")))
}

/// Publishes the images; `None` if the job was asked to stop.
///
/// # Errors
/// If files cannot be found or written, or are not what they must be.
pub(super) fn cifar10(context: &Context<'_>, settings: &Cifar10) -> Result<Option<Made>> {
    let (train, test) = find(settings.folder.as_ref().map(|folder| folder.0.as_path()))?;
    let split = Dataset::Cifar10(settings.clone()).split().expect("its images are counted");
    context.started(0, split.sum());
    let (train, test) = (Images::read(&train)?, Images::read(&[test])?);
    let side = CIFAR_SIDE as usize;
    let item = Item { channels: 3, height: side, width: side };
    let mut seen = Statistics::default();
    for (name, count) in named(split) {
        if context.stop() {
            return Ok(None);
        }
        let (images, from) = match name {
            "train" => (&train, 0),
            "validation" => (&train, split.train as usize),
            _ => (&test, 0),
        };
        let pixels = &images.pixels[from * PIXELS..(from + count) * PIXELS];
        if name == "train" {
            pixels.iter().for_each(|x| seen.add(counted(settings.transform, f64::from(*x))));
        }
        npy::write_u8(
            &Manifest::split_file(&context.job.work, name),
            &[count, 3, side, side],
            pixels,
        )?;
        let labels = &images.labels[from..from + count];
        npy::write_i64(&context.job.work.join(format!("{name}.labels.npy")), &[count], labels)?;
    }
    Ok(Some(Made {
        units: "bytes".to_owned(),
        classes: Some(usize::from(CLASSES)),
        ..Made::new(item, settings.transform, split, seen)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: u8, first: u8) -> Vec<u8> {
        let mut record = vec![label];
        record.extend((0..PIXELS).map(|i| first.wrapping_add((i / 1024) as u8)));
        record
    }

    #[test]
    fn records_are_a_label_and_three_planes() {
        let mut images = Images::default();
        images.add(&[record(3, 7), record(9, 200)].concat()).unwrap();
        assert_eq!(images.labels, [3, 9]);
        let planes = [0, 1024, 2048, PIXELS].map(|at| images.pixels[at]);
        assert_eq!(planes, [7, 8, 9, 200]);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let mut images = Images::default();
        assert!(images.add(&record(3, 7)[1..]).unwrap_err().contains("no whole records"));
        assert!(images.add(&[]).is_err());
        let sentence = images.add(&[record(0, 1), record(10, 7)].concat()).unwrap_err();
        assert!(sentence.contains("record 1 has the label 10"), "{sentence}");
    }
}
