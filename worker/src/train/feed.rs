//! The batches of a training: which items, their maps, times and noise. All of it belongs to (seed, step), so where the
//! device or the disk would be waited for, a thread prepares the next ones while a step is taken.

use super::lesson::Lesson;
use crate::data::maps::Maps;
use crate::random::Stream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tch::{Device, Tensor};

/// The largest split that is held in memory, in numbers of 4 bytes.
const HELD: usize = 1 << 28;

/// Batches that wait, beside the one that is being prepared.
const WAITING: usize = 1;

/// What a step learns from.
pub(super) struct Portion {
    /// The items.
    pub(super) items: Vec<usize>,
    /// Their maps as a network sees them, `[n, c, h, w]`.
    pub(super) x0: Tensor,
    /// Times and noise, for denoising.
    pub(super) noise: Option<(Tensor, Tensor)>,
}

/// What is prepared of a step, in the machine's memory.
struct Prepared {
    step: u64,
    items: Vec<usize>,
    /// None of a split that is held.
    x0: Option<Tensor>,
    noise: Option<(Tensor, Tensor)>,
}

/// What batches are prepared from.
struct Source {
    maps: Maps,
    lesson: Arc<Lesson>,
    seed: u64,
    batch: usize,
    is_held: bool,
}

impl Source {
    /// Steps to a pass over the data, its last batch possibly smaller.
    fn per_epoch(&self) -> u64 {
        self.maps.len().div_ceil(self.batch) as u64
    }

    /// Prepares a step; `order` is that of the epoch that was asked for last.
    fn prepare(&self, step: u64, order: &mut Option<(u64, Vec<usize>)>) -> Prepared {
        let (epoch, within) = (step / self.per_epoch(), (step % self.per_epoch()) as usize);
        if order.as_ref().is_none_or(|(known, _)| *known != epoch) {
            let new = Stream::new(self.seed, "order", epoch).permutation(self.maps.len());
            *order = Some((epoch, new));
        }
        let all = order.as_ref().map_or(&[][..], |(_, order)| order);
        let first = within * self.batch;
        let items = all[first..(first + self.batch).min(all.len())].to_vec();
        let size: Vec<i64> =
            std::iter::once(items.len() as i64).chain(self.maps.item().map(|n| n as i64)).collect();
        let seen = || self.maps.seen(items.iter().copied(), Device::Cpu);
        let x0 = (!self.is_held).then(seen);
        let noise = self.lesson.noise((self.seed, step), &size, Device::Cpu);
        Prepared { step, items, x0, noise }
    }
}

/// Gives a training its batches.
pub(super) struct Feed {
    source: Arc<Source>,
    /// A split that is small enough, on the device as a network sees it.
    held: Option<Tensor>,
    device: Device,
    order: Option<(u64, Vec<usize>)>,
    /// Where a thread puts what it prepares.
    ahead: Option<Receiver<Prepared>>,
    /// How long steps waited for their batch.
    pub(super) waited: Duration,
}

impl Feed {
    /// The batches of a split, of so many items, in an order of a seed.
    pub(super) fn new(
        maps: Maps,
        (seed, batch): (u64, u64),
        lesson: Arc<Lesson>,
        device: Device,
    ) -> Self {
        Self::holding((maps, HELD), (seed, batch), lesson, device)
    }

    /// The same, of a split that is held if it has at most so many numbers.
    fn holding(
        (maps, most): (Maps, usize),
        (seed, batch): (u64, u64),
        lesson: Arc<Lesson>,
        device: Device,
    ) -> Self {
        let small = maps.len().saturating_mul(maps.numbers()) <= most;
        let held = small.then(|| maps.seen(0..maps.len(), device));
        let source = Source { maps, lesson, seed, batch: batch as usize, is_held: small };
        let (source, order, waited) = (Arc::new(source), None, Duration::ZERO);
        Self { source, held, device, order, ahead: None, waited }
    }

    /// Steps to a pass over the data.
    pub(super) fn per_epoch(&self) -> u64 {
        self.source.per_epoch()
    }

    /// Returns what a step learns from.
    pub(super) fn take(&mut self, step: u64) -> Portion {
        let begin = Instant::now();
        let Prepared { items, x0, noise, .. } = self.prepared(step);
        self.waited += begin.elapsed();
        let x0 = match (&self.held, x0) {
            (_, Some(x0)) => x0.to_device(self.device),
            (Some(held), None) => {
                let items: Vec<i64> = items.iter().map(|i| *i as i64).collect();
                held.index_select(0, &Tensor::from_slice(&items).to_device(self.device))
            }
            (None, None) => unreachable!("what is not held is prepared"),
        };
        let there = |(times, noise): (Tensor, Tensor)| {
            (times.to_device(self.device), noise.to_device(self.device))
        };
        Portion { items, x0, noise: noise.map(there) }
    }

    /// A step from the thread, which is started anew where it prepared another one; of a split in the memory that the
    /// network works on, from here: there is nothing to wait for but this work, for which the job has its cores.
    fn prepared(&mut self, step: u64) -> Prepared {
        if self.device == Device::Cpu && self.held.is_some() {
            return self.source.prepare(step, &mut self.order);
        }
        if let Some(ahead) = &self.ahead
            && let Ok(prepared) = ahead.recv()
            && prepared.step == step
        {
            return prepared;
        }
        let (sender, receiver) = sync_channel(WAITING);
        let source = self.source.clone();
        // It ends when nobody takes what it prepares.
        std::thread::spawn(move || {
            let mut order = None;
            (step + 1..).all(|step| sender.send(source.prepare(step, &mut order)).is_ok())
        });
        self.ahead = Some(receiver);
        self.source.prepare(step, &mut self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::manifest::Manifest;
    use crate::data::transform::Fitted;
    use ablate::job::Input;
    use ablate::npy::Writer;
    use ablate::settings::{Ddpm, Objective};
    use std::collections::BTreeMap;

    /// A feed over eleven maps in a folder, three to a step, held in memory or prepared ahead.
    fn feed(folder: &std::path::Path, most: usize) -> Feed {
        let manifest = Manifest {
            side: 2,
            width: None,
            channels: 1,
            box_mpc_h: None,
            units: String::new(),
            transform: Fitted { log10: false, shift: 0.0, scale: 1.0, low: 0.0, high: 43.0 },
            splits: BTreeMap::from([("train".to_owned(), 11)]),
            parameters: vec![],
            classes: None,
            group: None,
            source: None,
            digests: BTreeMap::new(),
        };
        let input = Input { folder: folder.to_owned(), port: "train".to_owned(), source: None };
        let maps = Maps::open(&manifest, &input).unwrap();
        let lesson = Arc::new(Lesson::new(&Objective::Ddpm(Ddpm::default())));
        Feed::holding((maps, most), (5, 3), lesson, Device::Cpu)
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(tch::Kind::Double).reshape([-1])).unwrap()
    }

    #[test]
    fn what_is_prepared_ahead_is_what_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer =
            Writer::open(&Manifest::split_file(folder.path(), "train"), &[11, 1, 2, 2], 0).unwrap();
        writer.push(&(0..44).map(|i| i as f32).collect::<Vec<_>>()).unwrap();
        writer.sync().unwrap();
        let (mut held, mut ahead) = (feed(folder.path(), 44), feed(folder.path(), 43));
        // Across the end of an epoch, whose last batch is smaller, on after a leap, and back.
        let steps = [0, 1, 2, 3, 4, 5, 40, 41, 2, 3];
        for step in steps {
            let (a, b) = (held.take(step), ahead.take(step));
            assert_eq!(a.items, b.items, "{step}");
            assert_eq!(a.items.len(), if step % 4 == 3 { 2 } else { 3 });
            let first = numbers(&a.x0).into_iter().step_by(4).map(|x| x as usize / 4);
            assert!(first.eq(a.items.iter().copied()), "the maps of the items");
            let (of_a, of_b) = (a.noise.unwrap(), b.noise.unwrap());
            for (a, b) in [(&a.x0, &b.x0), (&of_a.0, &of_b.0), (&of_a.1, &of_b.1)] {
                assert_eq!(numbers(a), numbers(b), "{step}");
            }
        }
        assert!(held.ahead.is_none() && ahead.ahead.is_some());
        // One epoch goes through all items once.
        let mut all: Vec<usize> = (4..8).flat_map(|step| held.take(step).items).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..11));
    }
}
