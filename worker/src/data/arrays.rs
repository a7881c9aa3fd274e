//! Datasets that lie on disk already: any `.npy` array, and the maps of the CAMELS Multifield Dataset.
//! The array stays where it is; the node holds the list of items of each split, their conditions, and
//! the statistics of the train split, for which every value is looked at once.

use super::dataset::{Item, Made, counted, named};
use super::gathered;
use super::manifest::{Parameter, Source};
use super::maps::index_file;
use super::table::{self, Table};
use super::transform::Statistics;
use crate::random::Stream;
use crate::serve::Context;
use ablate::npy::{self, Mapped};
use ablate::problem::{Problem, Result};
use ablate::settings::{CamelsCmd, DataFile, ImageFolder, Npy, Split, Transform};
use rayon::prelude::*;
use std::path::Path;

/// Items looked at between two looks at the stop flag.
const CHUNK: usize = 256;

/// An array and how it is cut.
struct Cut<'c> {
    file: &'c DataFile,
    /// Items that belong together.
    group: usize,
    /// The seed of the order of groups; `None` keeps them as they are.
    shuffle: Option<u64>,
    split: Split,
    transform: Transform,
}

/// Publishes any array; `None` if the job was asked to stop.
///
/// # Errors
/// If files cannot be read, do not fit each other, or hold values that the transform cannot take.
pub(super) fn npy(context: &Context<'_>, settings: &Npy, split: Split) -> Result<Option<Made>> {
    let file = if settings.file.is_array() {
        settings.file.clone()
    } else {
        match gathered::arrays(context, &settings.file, settings.array.as_deref())? {
            Some(file) => file,
            None => return Ok(None),
        }
    };
    let cut = Cut {
        file: &file,
        group: settings.group as usize,
        shuffle: settings.shuffle.then_some(settings.seed),
        split,
        transform: settings.transform,
    };
    let Some(mut made) = cut.make(context)? else { return Ok(None) };
    made.box_mpc_h = settings.box_mpc_h;
    made.units = settings.units.clone().unwrap_or_default();
    if let Some(file) = &settings.parameters {
        made.parameters = cut.parameters(context, &table::read(&file.path)?, &file.path)?;
    }
    if let Some(file) = &settings.labels {
        made.classes = Some(cut.labels(context, &file.path)?);
    }
    Ok(Some(made))
}

/// Publishes the images of a folder; `None` if the job was asked to stop.
///
/// # Errors
/// If one cannot be read.
pub(super) fn image_folder(
    context: &Context<'_>,
    settings: &ImageFolder,
    split: Split,
) -> Result<Option<Made>> {
    let Some((file, labels, classes)) = gathered::images(context, settings)? else {
        return Ok(None);
    };
    let cut = Cut {
        file: &file,
        group: 1,
        shuffle: settings.shuffle.then_some(settings.seed),
        split,
        transform: settings.transform,
    };
    let Some(mut made) = cut.make(context)? else { return Ok(None) };
    made.units = "bytes".to_owned();
    if let Some(labels) = labels {
        cut.write_labels(context, &labels)?;
        made.classes = Some(classes.len());
    }
    Ok(Some(made))
}

/// The names and design ranges of the parameters of CAMELS, in the order of its files.
const CAMELS: [(&str, f64, f64); 6] = [
    ("omega_m", 0.1, 0.5),
    ("sigma_8", 0.6, 1.0),
    ("a_sn1", 0.25, 4.0),
    ("a_agn1", 0.25, 4.0),
    ("a_sn2", 0.5, 2.0),
    ("a_agn2", 0.5, 2.0),
];

/// Publishes maps of the CAMELS Multifield Dataset; `None` if the job was asked to stop.
///
/// # Errors
/// As [`npy`].
pub(super) fn camels(
    context: &Context<'_>,
    settings: &CamelsCmd,
    split: Split,
) -> Result<Option<Made>> {
    let cut = Cut {
        file: &settings.maps,
        group: settings.maps_per_simulation as usize,
        shuffle: None,
        split,
        transform: settings.transform,
    };
    let path = &settings.parameters.path;
    let mut table = table::read(path)?;
    // Older files end in a column of seeds.
    table.keep_columns(if table.columns == CAMELS.len() + 1 {
        CAMELS.len()
    } else {
        table.columns
    });
    let Some(mut made) = cut.make(context)? else { return Ok(None) };
    made.parameters = cut.parameters(context, &table, path)?;
    if made.parameters.len() == CAMELS.len() {
        let known =
            |(name, low, high): (&str, f64, f64)| Parameter { name: name.to_owned(), low, high };
        made.parameters = CAMELS.into_iter().map(known).collect();
    }
    made.box_mpc_h = Some(settings.box_mpc_h);
    made.units = super::generated::SURFACE_DENSITY.to_owned();
    Ok(Some(made))
}

impl Cut<'_> {
    fn items(&self) -> usize {
        self.file.shape.first().copied().unwrap_or(0) as usize
    }

    /// The items of each split, groups kept together.
    fn order(&self) -> Vec<usize> {
        let groups = self.items() / self.group;
        let order = match self.shuffle {
            Some(seed) => Stream::new(seed, "split", 0).permutation(groups),
            None => (0..groups).collect(),
        };
        order.into_iter().flat_map(|g| g * self.group..(g + 1) * self.group).collect()
    }

    /// Writes the lists of items, and looks at every value once; `None` if the job was asked to stop.
    fn make(&self, context: &Context<'_>) -> Result<Option<Made>> {
        let array = Mapped::open(&self.file.path)?;
        let shape: Vec<u64> = array.header.shape.iter().map(|n| *n as u64).collect();
        if shape != self.file.shape {
            let what =
                format!("{} has changed since the run was planned", self.file.path.display());
            return Err(Problem::system(what).help("run again"));
        }
        let item = match array.header.shape[..] {
            [_, height, width] => Item { channels: 1, height, width },
            [_, channels, height, width] => Item { channels, height, width },
            _ => return Err(Problem::system("the array is neither [n, h, w] nor [n, c, h, w]")),
        };
        let (order, split) = (self.order(), self.split);
        context.started(0, order.len() as u64);
        let train = split.train as usize;
        let mut seen = Statistics::default();
        for (done, items) in order.chunks(CHUNK).enumerate() {
            if context.stop() {
                return Ok(None);
            }
            // In parallel, but added up in the order of the items: the same bits on any number of threads.
            let looked: Vec<Result<Statistics>> =
                items.par_iter().map(|i| self.look(&array, *i, item)).collect();
            for (k, one) in looked.into_iter().enumerate() {
                let one = one?;
                if done * CHUNK + k < train {
                    seen.merge(&one);
                }
            }
            context.progress(
                ((done + 1) * CHUNK).min(order.len()) as u64,
                order.len() as u64,
                None,
            );
        }
        let mut first = 0;
        for (name, count) in named(split) {
            let items: Vec<i64> = order[first..first + count].iter().map(|i| *i as i64).collect();
            npy::write_i64(&index_file(&context.job.work, name), &[count], &items)?;
            first += count;
        }
        let bytes = std::fs::metadata(&self.file.path).map_or(0, |meta| meta.len());
        // What was gathered has no digest of its own and lies in the node.
        let source = self.file.blake3.clone().map(|blake3| Source { bytes, blake3 });
        let made = Made::new(item, self.transform, split, seen);
        Ok(Some(Made { source, group: self.group, ..made }))
    }

    /// Statistics of one item.
    fn look(&self, array: &Mapped, i: usize, item: Item) -> Result<Statistics> {
        let numbers = item.channels * item.height * item.width;
        let mut seen = Statistics::default();
        for (at, x) in array.numbers(i * numbers, numbers).enumerate() {
            if !x.is_finite() || (self.transform.takes_log() && x <= 0.0) {
                return Err(self.refuse(i, at, x, item));
            }
            seen.add(counted(self.transform, x));
        }
        Ok(seen)
    }

    fn refuse(&self, i: usize, at: usize, x: f64, item: Item) -> Problem {
        let (row, column) = (at / item.width % item.height, at % item.width);
        let place = format!(
            "{}: item {i} holds {x} in channel {}, row {row}, column {column}",
            self.file.path.display(),
            at / (item.width * item.height),
        );
        if x.is_finite() {
            let word = self.transform.word();
            Problem::new(format!("{place}, and `{word}` takes the logarithm of densities"))
                .help("clean the data, or take `transform: zscore`")
        } else {
            Problem::new(place).help("clean the data: every value must be a number")
        }
    }

    /// Writes the parameters of every item, and says what they are called and how far they reach.
    fn parameters(
        &self,
        context: &Context<'_>,
        table: &Table,
        path: &Path,
    ) -> Result<Vec<Parameter>> {
        let (items, groups) = (self.items(), self.items() / self.group);
        let per = match table.rows() {
            rows if rows == items => 1,
            rows if rows == groups => self.group,
            rows => {
                let what = format!("{} has {rows} lines", path.display());
                let help = format!("{items} items or {groups} groups need as many");
                return Err(Problem::new(what).help(help));
            }
        };
        let (order, split) = (self.order(), self.split);
        let mut first = 0;
        for (name, count) in named(split) {
            let rows: Vec<f64> = order[first..first + count]
                .iter()
                .flat_map(|i| table.row(i / per))
                .copied()
                .collect();
            let path = context.job.work.join(format!("{name}.parameters.npy"));
            npy::write_f64(&path, &[count, table.columns], &rows)?;
            first += count;
        }
        let train = &order[..split.train as usize];
        let range = |column: usize| {
            let values = train.iter().map(|i| table.row(i / per)[column]);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)))
        };
        let parameter = |column: usize| {
            let (low, high) = range(column);
            let name = table.names.get(column).cloned().unwrap_or_else(|| format!("p{column}"));
            Parameter { name, low, high }
        };
        Ok((0..table.columns).map(parameter).collect())
    }

    /// Writes the label of every item; the number of classes.
    fn labels(&self, context: &Context<'_>, path: &Path) -> Result<usize> {
        let labels = npy::read_f64(path)?;
        let whole = |x: &f64| x.fract() == 0.0 && (0.0..65536.0).contains(x);
        if labels.shape != [self.items()] || !labels.data.iter().all(whole) {
            let what = format!("{} are no labels of {} items", path.display(), self.items());
            return Err(Problem::new(what).help("[n] whole numbers from 0 are needed"));
        }
        let labels: Vec<i64> = labels.data.iter().map(|label| *label as i64).collect();
        self.write_labels(context, &labels)?;
        Ok(labels.iter().max().map_or(1, |most| *most as usize + 1))
    }

    fn write_labels(&self, context: &Context<'_>, labels: &[i64]) -> Result<()> {
        let order = self.order();
        let mut first = 0;
        for (name, count) in named(self.split) {
            let own: Vec<i64> = order[first..first + count].iter().map(|i| labels[*i]).collect();
            npy::write_i64(&context.job.work.join(format!("{name}.labels.npy")), &[count], &own)?;
            first += count;
        }
        Ok(())
    }
}
