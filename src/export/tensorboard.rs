//! Curves and metrics as event files of TensorBoard: records of a length, its checksum, a message and its checksum, where
//! the message is a protocol buffer `Event` (tensorflow/core/util/event.proto).

use super::{Aside, Format};
use crate::files;
use crate::job::Series;
use crate::key::Key;
use crate::problem::{Problem, Result};
use crate::record::Record;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a run for each finished node that has curves over steps, or metrics; each file with its number of values.
pub(super) fn write(
    record: &Record,
    experiment: Option<&str>,
    folder: &Path,
) -> Result<Vec<(PathBuf, usize)>> {
    let mut written = vec![];
    for (key, name) in record.finished_nodes(experiment)? {
        let values = values(record, &key)?;
        if values.is_empty() {
            continue;
        }
        let run = folder.join("tensorboard").join(files::named(&name, &key.short()));
        std::fs::create_dir_all(&run).map_err(|e| Problem::os("make the folder", &run, &e))?;
        // The name has to hold `tfevents`; one node has one file.
        let ending = Format::Tensorboard.ending();
        let aside = Aside::begin(run.join(format!("events.out.{ending}.{}", key.short())));
        let mut out = BufWriter::new(aside.make()?);
        let began = values.first().map_or(0.0, |value| value.time);
        let head = [double(1, began), bytes(3, b"brain.Event:2")].concat();
        let messages = std::iter::once(head).chain(values.iter().map(Scalar::message));
        for message in messages {
            out.write_all(&framed(&message)).map_err(|e| aside.fail(&e))?;
        }
        out.flush().map_err(|e| aside.fail(&e))?;
        written.push((aside.name()?, values.len()));
    }
    Ok(written)
}

/// A number at a step.
struct Scalar {
    tag: String,
    step: u64,
    /// Seconds since 1970.
    time: f64,
    value: f64,
}

/// All that TensorBoard can show of a node, in the order of steps.
fn values(record: &Record, key: &Key) -> Result<Vec<Scalar>> {
    let attempts = record.attempts(key)?;
    let last = attempts.last();
    let began = last.and_then(|last| last.started.parse::<jiff::Timestamp>().ok());
    let began = began.map_or(0.0, |began| began.as_millisecond() as f64 / 1e3);
    let took = last.map_or(0.0, |last| last.seconds);
    let mut values = vec![];
    for name in record.series_names(key)?.into_keys() {
        let series = record.series(key, &name)?.unwrap_or_default();
        let Some(steps) = steps(&series) else { continue };
        let end = steps.last().copied().unwrap_or(1).max(1) as f64;
        for (column, numbers) in series.columns.iter().filter(|(column, _)| *column != "x") {
            let tag = format!("{name}/{column}");
            // Times between the first and the last step were not kept: as if all took as long.
            let scalar = |(step, value): (&u64, &f64)| {
                let time = began + took * *step as f64 / end;
                Scalar { tag: tag.clone(), step: *step, time, value: *value }
            };
            values.extend(steps.iter().zip(numbers).map(scalar));
        }
    }
    let end = values.iter().map(|value| value.step).max().unwrap_or(0);
    for (name, metric) in record.metrics(key)? {
        let (tag, time) = (format!("metrics/{name}"), began + took);
        values.push(Scalar { tag, step: end, time, value: metric.value });
    }
    values.sort_by_key(|value| value.step);
    Ok(values)
}

/// The steps of a series; of one over wave numbers or brightness there are none.
fn steps(series: &Series) -> Option<Vec<u64>> {
    let x = series.columns.get("x")?;
    let whole = |x: &f64| (*x >= 0.0 && *x == x.trunc() && *x < 1e15).then_some(*x as u64);
    x.iter().map(whole).collect::<Option<Vec<u64>>>().filter(|steps| !steps.is_empty())
}

impl Scalar {
    /// `Event { wall_time: 1, step: 2, summary: 5 { value: 1 { tag: 1, simple_value: 2 } } }`.
    fn message(&self) -> Vec<u8> {
        let value = [
            bytes(1, self.tag.as_bytes()),
            vec![2 << 3 | 5],
            (self.value as f32).to_le_bytes().to_vec(),
        ];
        let summary = bytes(1, &value.concat());
        [double(1, self.time), vec![2 << 3], varint(self.step), bytes(5, &summary)].concat()
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = vec![];
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn double(field: u8, value: f64) -> Vec<u8> {
    [vec![field << 3 | 1], value.to_le_bytes().to_vec()].concat()
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], varint(content.len() as u64), content.to_vec()].concat()
}

/// A record of a TFRecord file.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let sum = |bytes: &[u8]| {
        let crc = crc32c::crc32c(bytes);
        crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    [&length[..], &sum(&length), message, &sum(message)].concat()
}
