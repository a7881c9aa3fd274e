//! What a node takes of a device: by its settings, else by what equal nodes took. Pure.

use crate::cost::{self, Memory};
use crate::failure::Company;
use crate::graph::Graph;
use crate::record::DeviceMemory;
use crate::rooms::{Demand, Room, WHOLE};
use petgraph::graph::NodeIndex;

/// A node that asks for nothing gets at least this share of a GPU, however little memory it takes: it computes too.
const LEAST: u32 = WHOLE / 4;

/// What is added to the memory that equal nodes took, in hundredths.
const MARGIN: u64 = 10;

/// The demands of nodes on some devices.
#[derive(Debug)]
pub struct Demands {
    /// What equal nodes took of a GPU's memory.
    memory: Memory,
    /// The memory of the smallest and of the largest GPU, if there is one.
    gpus: Option<(u64, u64)>,
}

impl Demands {
    /// Demands on these devices. What nodes took before is asked for only where there are GPUs.
    pub fn on(rooms: &[Room], seen: impl FnOnce() -> Vec<DeviceMemory>) -> Self {
        let of_gpus = || rooms.iter().filter_map(|room| room.memory);
        let gpus = of_gpus().min().zip(of_gpus().max());
        Self { memory: Memory::learn(gpus.map_or(vec![], |_| seen())), gpus }
    }

    /// There is one more device.
    pub fn add(&mut self, room: Room) {
        if let Some(memory) = room.memory {
            let (smallest, largest) = self.gpus.unwrap_or((memory, memory));
            self.gpus = Some((smallest.min(memory), largest.max(memory)));
        }
    }

    /// The memory of the largest GPU, if there is one.
    pub fn largest(&self) -> Option<u64> {
        self.gpus.map(|(_, largest)| largest)
    }

    /// What a node takes; `company` tells what an earlier attempt of it has shown.
    pub fn of(&self, graph: &Graph, index: NodeIndex, company: Option<Company>) -> Demand {
        let Some((smallest, largest)) = self.gpus else {
            let company = company.unwrap_or_default();
            return Demand { share: WHOLE, company, ..Demand::default() };
        };
        let run = &graph.nodes[index].run;
        let known = self.memory.of(graph.nodes[index].kind(), &cost::work(graph, index));
        let seen = known.and_then(|known| known.bytes);
        let remembered = seen.map(|bytes| (bytes + bytes / 100 * MARGIN).min(largest));
        let memory = run.memory.map(|bytes| bytes.0).or(remembered);
        let share = match (run.gpus, memory) {
            (Some(share), _) => (share * f64::from(WHOLE)).round() as u32,
            (None, Some(memory)) if smallest < Room::UNKNOWN => part(memory, smallest),
            _ => WHOLE,
        };
        let was_short = run.memory.is_none() && known.is_some_and(|known| known.was_short);
        let shy = if was_short { Company::AloneOnDevice } else { Company::Any };
        let company = company.unwrap_or(shy);
        Demand { share, memory: memory.unwrap_or(0), company, class: 0 }
    }
}

/// The share of a GPU that goes with so much of its memory.
fn part(memory: u64, all: u64) -> u32 {
    let part = u128::from(memory) * u128::from(WHOLE) / u128::from(all.max(1));
    u32::try_from(part).unwrap_or(WHOLE).clamp(LEAST, WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_follows_the_memory_and_leaves_room_to_compute() {
        let gigabyte = 1_u64 << 30;
        assert_eq!(part(60 * gigabyte, 80 * gigabyte), 750);
        assert_eq!(part(gigabyte, 80 * gigabyte), LEAST);
        assert_eq!(part(u64::MAX, 1), WHOLE);
    }

    #[test]
    fn devices_that_come_later_count() {
        let mut demands = Demands::on(&[Room::here(None)], || panic!("nobody asks"));
        assert_eq!(demands.largest(), None);
        demands.add(Room::here(Some(80)));
        demands.add(Room::here(Some(40)));
        assert_eq!((demands.gpus, demands.largest()), (Some((40, 80)), Some(80)));
    }
}
