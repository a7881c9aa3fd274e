//! How much of which device a task takes, and where there is room for it. Pure: it knows numbers of devices
//! and what they hold, and nothing of what runs there.

use crate::failure::Company;
use std::collections::BTreeSet;

/// What a task takes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Demand {
    /// The share of a GPU, of [`WHOLE`]. A core is always taken whole.
    pub share: u32,
    /// Bytes of the device's memory; 0 if nobody knows.
    pub memory: u64,
    /// Beside whom it runs.
    pub company: Company,
    /// The class of devices that it is for.
    pub class: usize,
}

/// A device as a whole.
pub const WHOLE: u32 = 1000;

/// What there is of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of its memory that tasks may take; `None` if it cannot be shared.
    pub memory: Option<u64>,
    /// Its class: tasks go to devices of theirs.
    pub class: usize,
}

impl Room {
    /// The memory of a GPU of which only the model is known.
    pub const UNKNOWN: u64 = u64::MAX;

    /// A device of the first class, which is the only one of a machine.
    pub fn here(memory: Option<u64>) -> Self {
        Self { memory, class: 0 }
    }
}

#[derive(Debug)]
struct Held {
    room: Room,
    share: u32,
    memory: u64,
    tasks: usize,
    /// Whether a task is there that wants to be alone.
    closed: bool,
    /// Whether nothing more goes there.
    given_up: bool,
}

/// The devices and what they hold.
#[derive(Debug)]
pub struct Rooms {
    all: Vec<Held>,
    /// Whether a task runs that wants this machine for itself.
    closed: bool,
}

/// Where a task could go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Into any of these, the best one first.
    Now(Vec<usize>),
    /// Into this one, once it is empty.
    Later(usize),
    /// Nowhere before all others have ended.
    AfterAll,
    /// No device is large enough.
    Never,
}

impl Rooms {
    /// Empty devices.
    pub fn new(rooms: impl IntoIterator<Item = Room>) -> Self {
        Self { all: rooms.into_iter().map(Held::new).collect(), closed: false }
    }

    /// The classes of devices that take anything more.
    pub fn open(&self) -> BTreeSet<usize> {
        if self.closed {
            return BTreeSet::new();
        }
        let is_full = |held: &Held| {
            let is_taken = held.room.memory.is_none() || held.closed || held.share >= WHOLE;
            held.given_up || (held.tasks > 0 && is_taken)
        };
        self.all.iter().filter(|held| !is_full(held)).map(|held| held.room.class).collect()
    }

    /// Where a task could go, leaving out devices that are kept for others.
    pub fn choose(&self, demand: &Demand, kept: &BTreeSet<usize>) -> Choice {
        if self.closed {
            return Choice::AfterAll;
        }
        let could = |i: &usize| {
            let room = self.all[*i].room;
            room.class == demand.class && room.memory.is_none_or(|all| demand.memory <= all)
        };
        let possible: Vec<usize> = (0..self.all.len()).filter(could).collect();
        if possible.is_empty() {
            return Choice::Never;
        }
        if demand.company == Company::AloneOnHost && self.all.iter().any(|held| held.tasks > 0) {
            return Choice::AfterAll;
        }
        let mut now: Vec<usize> = possible
            .iter()
            .copied()
            .filter(|i| !kept.contains(i) && self.all[*i].takes(demand))
            .collect();
        // The emptiest first: tasks share a device only when every device has one.
        now.sort_by_key(|i| (self.all[*i].share, *i));
        if !now.is_empty() {
            return Choice::Now(now);
        }
        let free = possible.into_iter().filter(|i| !kept.contains(i));
        let last = |i: &usize| (self.all[*i].given_up, self.all[*i].share, *i);
        free.min_by_key(last).map_or(Choice::AfterAll, Choice::Later)
    }

    /// One more device, or one that was given up.
    pub fn add(&mut self, place: usize, room: Room) {
        match self.all.get_mut(place) {
            Some(held) => held.given_up = false,
            None => self.all.push(Held::new(room)),
        }
    }

    /// Nothing more goes into a device.
    pub fn give_up(&mut self, place: usize) {
        self.all[place].given_up = true;
    }

    /// A task goes into a device.
    pub fn enter(&mut self, room: usize, demand: &Demand) {
        let held = &mut self.all[room];
        held.share += held.room.share_of(demand);
        held.memory += demand.memory;
        held.tasks += 1;
        held.closed |= demand.company == Company::AloneOnDevice;
        self.closed |= demand.company == Company::AloneOnHost;
    }

    /// A task leaves a device; the demand is that with which it came.
    pub fn leave(&mut self, room: usize, demand: &Demand) {
        let held = &mut self.all[room];
        held.share -= held.room.share_of(demand);
        held.memory -= demand.memory;
        held.tasks -= 1;
        held.closed &= demand.company != Company::AloneOnDevice;
        self.closed &= demand.company != Company::AloneOnHost;
    }
}

impl Room {
    fn share_of(self, demand: &Demand) -> u32 {
        if self.memory.is_none() { WHOLE } else { demand.share }
    }
}

impl Held {
    fn new(room: Room) -> Self {
        Self { room, share: 0, memory: 0, tasks: 0, closed: false, given_up: false }
    }

    fn takes(&self, demand: &Demand) -> bool {
        if self.given_up || self.tasks == 0 {
            return !self.given_up;
        }
        !self.closed
            && demand.company == Company::Any
            && self.share + self.room.share_of(demand) <= WHOLE
            && self.room.memory.is_none_or(|all| self.memory + demand.memory <= all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIGABYTE: u64 = 1 << 30;

    fn demand(share: u32, gigabytes: u64) -> Demand {
        Demand { share, memory: gigabytes * GIGABYTE, ..Demand::default() }
    }

    fn gpus(n: usize) -> Rooms {
        Rooms::new((0..n).map(|_| Room::here(Some(80 * GIGABYTE))))
    }

    fn now(choice: Choice) -> usize {
        let Choice::Now(list) = choice else { panic!("{choice:?}") };
        list[0]
    }

    #[test]
    fn small_tasks_spread_before_they_share_and_share_until_it_is_full() {
        let (mut rooms, none) = (gpus(2), BTreeSet::new());
        let half = demand(500, 20);
        for room in [0, 1, 0, 1] {
            assert_eq!(now(rooms.choose(&half, &none)), room);
            rooms.enter(room, &half);
        }
        assert_eq!(rooms.choose(&half, &none), Choice::Later(0));
        rooms.leave(1, &half);
        assert_eq!(now(rooms.choose(&half, &none)), 1);
        assert_eq!(rooms.choose(&demand(500, 61), &none), Choice::Later(1), "for lack of memory");
    }

    #[test]
    fn a_large_task_keeps_the_emptiest_device_for_itself() {
        let mut rooms = gpus(2);
        let (small, large) = (demand(250, 5), demand(WHOLE, 70));
        for room in [0, 1, 0] {
            rooms.enter(room, &small);
        }
        let Choice::Later(kept) = rooms.choose(&large, &BTreeSet::new()) else { panic!() };
        assert_eq!(kept, 1);
        // Others go on elsewhere in the meantime.
        assert_eq!(now(rooms.choose(&small, &BTreeSet::from([kept]))), 0);
        rooms.leave(1, &small);
        assert_eq!(now(rooms.choose(&large, &BTreeSet::new())), 1);
        assert_eq!(rooms.choose(&demand(1, 81), &BTreeSet::new()), Choice::Never);
    }

    #[test]
    fn a_task_that_wants_to_be_alone_is() {
        let (mut rooms, none) = (gpus(2), BTreeSet::new());
        let alone = |company| Demand { company, ..demand(100, 1) };
        let device = alone(Company::AloneOnDevice);
        rooms.enter(0, &demand(100, 1));
        assert_eq!(rooms.choose(&device, &none), Choice::Now(vec![1]));
        rooms.enter(1, &device);
        assert_eq!(now(rooms.choose(&demand(100, 1), &none)), 0);
        let host = alone(Company::AloneOnHost);
        assert_eq!(rooms.choose(&host, &none), Choice::AfterAll);
        rooms.leave(0, &demand(100, 1));
        rooms.leave(1, &device);
        rooms.enter(now(rooms.choose(&host, &none)), &host);
        assert_eq!(rooms.choose(&demand(100, 1), &none), Choice::AfterAll);
        rooms.leave(0, &host);
        assert_eq!(now(rooms.choose(&demand(100, 1), &none)), 0);
    }

    #[test]
    fn what_only_a_device_that_was_given_up_could_hold_waits_for_it() {
        let memory = |gigabytes: u64| Room::here(Some(gigabytes * GIGABYTE));
        let mut rooms = Rooms::new([memory(80), memory(40)]);
        rooms.give_up(0);
        let (large, small, none) = (demand(WHOLE, 60), demand(100, 1), BTreeSet::new());
        assert_eq!(rooms.choose(&large, &none), Choice::Later(0));
        assert_eq!(rooms.choose(&small, &BTreeSet::from([0])), Choice::Now(vec![1]));
        rooms.give_up(1);
        assert!(rooms.open().is_empty());
        rooms.add(0, memory(80));
        assert_eq!(now(rooms.choose(&large, &none)), 0);
    }

    #[test]
    fn a_core_takes_one_task_whatever_it_asks_for() {
        let (mut rooms, none) = (Rooms::new([Room::here(None); 2]), BTreeSet::new());
        let tenth = demand(100, 200);
        rooms.enter(now(rooms.choose(&tenth, &none)), &tenth);
        assert_eq!(now(rooms.choose(&tenth, &none)), 1);
        rooms.enter(1, &tenth);
        assert_eq!(rooms.choose(&tenth, &none), Choice::Later(0));
    }
}
