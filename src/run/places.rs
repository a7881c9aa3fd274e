//! Which node starts where: what each takes of a device, which devices have room for it, and what is kept free
//! for a large one that waits.

use super::others::LOOK;
use super::{Run, Running};
use crate::dispatch::{self, Next};
use crate::failure::FailureClass;
use crate::pool::{self, Lease};
use crate::problem::Result;
use crate::rooms::Demand;
use crate::screen::Change;
use petgraph::graph::NodeIndex;
use std::time::{Duration, Instant};

/// Time between two looks at the memory that a worker has taken of a GPU.
pub(super) const MEMORY_BEAT: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// Starts what can start and has a place.
    pub(super) fn start_ready(&mut self) -> Result<()> {
        let (mut wishing, mut changed) = (false, false);
        // What is elsewhere or done by another run makes the next one ready.
        while self.is_open() && self.running() < self.limit && self.schedule.has_ready() {
            match self.start_one()? {
                Found::Started => changed = true,
                Found::NoSlot => {
                    wishing = true;
                    break;
                }
                Found::NoRoom => break,
            }
        }
        // Who has pilots of its own takes nobody's slot.
        if (wishing || self.wishing) && !self.pool.goes_on_alone() {
            self.wish(wishing);
        }
        if changed {
            self.show_counts();
        }
        Ok(())
    }

    /// Starts the first node for which there is room.
    fn start_one(&mut self) -> Result<Found> {
        let demand = |task| self.demand(NodeIndex::new(task));
        let class = |task: usize| self.classes[task];
        match dispatch::next(&self.schedule, &self.rooms, class, demand) {
            Next::Start(task, rooms) => {
                let Some(slot) = self.get_slot(&rooms, NodeIndex::new(task))? else {
                    return Ok(Found::NoSlot);
                };
                self.schedule.start(task);
                let index = NodeIndex::new(task);
                self.begin(index, slot, self.demand(index))?;
                Ok(Found::Started)
            }
            Next::TooLarge(task) => {
                self.schedule.start(task);
                self.too_large(NodeIndex::new(task))?;
                Ok(Found::Started)
            }
            Next::Wait => Ok(Found::NoRoom),
        }
    }

    /// What a node takes.
    pub(super) fn demand(&self, index: NodeIndex) -> Demand {
        let company = self.company.get(&index).copied();
        let class = self.classes[index.index()];
        Demand { class, ..self.demands.of(self.graph, index, company) }
    }

    /// A node that asks for more memory than any device has.
    fn too_large(&mut self, index: NodeIndex) -> Result<()> {
        let demand = self.demand(index);
        let largest = self.demands.largest().unwrap_or(0);
        let [wanted, there] = [demand.memory, largest].map(crate::words::bytes);
        self.monitor.show(&Change::Failed {
            slot: None,
            name: self.graph.nodes[index].name.clone(),
            class: FailureClass::BadInput,
            message: format!(
                "it asks for {wanted} of GPU memory, and the largest device has {there}"
            ),
            again: false,
            alike: 1,
        });
        self.schedule.failed(index.index(), false);
        Ok(())
    }

    /// A slot on one of these devices, the best one first, if there is any.
    fn get_slot(&mut self, rooms: &[usize], index: NodeIndex) -> Result<Option<usize>> {
        let now = Instant::now();
        let kind = self.graph.nodes[index].kind();
        let is_free = |slot: &usize| {
            self.slots[*slot].is_none() && self.given_up.get(slot).is_none_or(|until| *until < now)
        };
        let mut free: Vec<usize> = rooms
            .iter()
            .flat_map(|room| {
                let mut here: Vec<usize> = self.slots_of[*room].clone();
                here.retain(|slot| is_free(slot) && self.fits(index, *slot));
                // A worker that stands ready goes first; of others one is enough, for the device is one.
                here.sort_by_key(|slot| !self.pool.has_worker(*slot, kind));
                here.into_iter().take(1)
            })
            .collect();
        free.sort_by_key(|slot| !self.pool.has_worker(*slot, kind));
        if !free.first().is_some_and(|slot| self.pool.has_worker(*slot, kind)) {
            if self.refused.is_some_and(|last| last.elapsed() < LOOK) {
                return Ok(None);
            }
            self.refused = None;
        }
        for slot in free {
            match self.pool.acquire(slot, kind)? {
                Lease::Ours => return Ok(Some(slot)),
                Lease::Taken => {}
                Lease::Strange => self.say_once(
                    "a GPU that other programs use is left to them (`ablate devices` shows it, --devices cuda:N takes it)",
                ),
                Lease::Orphan => {
                    self.say_once("waiting for a worker of an interrupted run to save and leave")
                }
            }
        }
        self.refused = Some(now);
        Ok(None)
    }

    /// Notes how much of their GPUs' memory the workers have taken.
    pub(super) fn watch_memory(&mut self) {
        if self.demands.largest().is_none() || self.watched.elapsed() < MEMORY_BEAT {
            return;
        }
        self.watched = Instant::now();
        let cards = pool::cards();
        for slot in 0..self.slots.len() {
            if let Some(running) = &mut self.slots[slot]
                && let Some(bytes) = self.pool.device_memory(slot, &cards)
            {
                running.memory.see(bytes);
            }
        }
    }

    /// A node leaves its slot.
    pub(super) fn vacate(&mut self, slot: usize) -> Option<Running> {
        let running = self.slots[slot].take()?;
        self.rooms.leave(self.pool.room(slot), &running.demand);
        Some(running)
    }
}

/// What came of an attempt to start something.
enum Found {
    /// A node was started, or turned out to be done.
    Started,
    /// There is room, but others have it.
    NoSlot,
    /// Nothing that could start fits beside what runs.
    NoRoom,
}

/// The GPU memory that a worker takes for a node. Workers keep memory from node to node: only what grew is
/// known to be this one's.
#[derive(Debug)]
pub(super) struct Taken {
    before: u64,
    most: u64,
}

impl Taken {
    /// A worker that had taken this much before.
    pub(super) fn since(before: Option<u64>) -> Self {
        Self { before: before.unwrap_or(0), most: 0 }
    }

    fn see(&mut self, bytes: u64) {
        self.most = self.most.max(bytes);
    }

    /// The most that was seen, if it was this node that took it.
    pub(super) fn bytes(&self) -> Option<u64> {
        (self.most > self.before).then_some(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_an_earlier_node_took_is_not_counted() {
        let seen = |before, list: &[u64]| {
            let mut taken = Taken::since(before);
            list.iter().for_each(|bytes| taken.see(*bytes));
            taken.bytes()
        };
        assert_eq!(seen(None, &[]), None);
        assert_eq!(seen(None, &[5, 5]), Some(5));
        assert_eq!(seen(Some(5), &[5, 5, 5]), None);
        assert_eq!(seen(Some(5), &[5, 9, 7]), Some(9));
    }
}
