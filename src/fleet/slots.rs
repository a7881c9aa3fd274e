//! The slots of pilots as a run sees them.

use super::outside::{self, is_of};
use super::{Fleet, LOOK, Place};
use crate::job::Ticket;
use crate::pool::{Card, Device, Ended, Lease, News, Slots};
use crate::post::Order;
use crate::problem::{Problem, Result};
use crate::rooms::Room;
use crate::settings::Kind;
use crate::site::{self, Request};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

impl Slots for Fleet {
    fn len(&self) -> usize {
        self.slots.len()
    }

    fn rooms(&self) -> Vec<Room> {
        let room =
            |(device, class): &(Device, usize)| Room { memory: device.memory, class: *class };
        self.devices.iter().map(room).collect()
    }

    fn room(&self, slot: usize) -> usize {
        self.slots[slot].room
    }

    fn name(&self, slot: usize) -> &str {
        &self.slots[slot].name
    }

    fn device(&self, slot: usize) -> &Device {
        &self.devices[self.slots[slot].room].0
    }

    fn is_current(&self, _: usize, _: u64) -> bool {
        true
    }

    fn acquire(&mut self, slot: usize, _: Kind) -> Result<Lease> {
        if self.is_own(slot) {
            return Ok(self.reserve(slot));
        }
        let is_free = self.slots[slot].ticket.is_none() && self.has_open_pilot(slot);
        Ok(if is_free { Lease::Ours } else { Lease::Taken })
    }

    fn start(&mut self, slot: usize, kind: Kind, ticket: &Ticket, job: &Path) -> Result<()> {
        let (ticket, given) = (ticket.clone(), jiff::Timestamp::now().to_string());
        self.slots[slot].ticket = Some(ticket.clone());
        let order =
            Order::Start { slot: self.slots[slot].index, kind, job: job.to_owned(), ticket, given };
        match self.slots[slot].member.filter(|_| !self.is_own(slot)) {
            Some(member) => self.members[member].order(&order),
            None => self.book(slot, &order),
        }
    }

    fn has_worker(&self, slot: usize, _: Kind) -> bool {
        // Whether one is warm is the pilot's affair; a pilot that does not leave has a place.
        self.is_own(slot) || self.has_open_pilot(slot)
    }

    fn is_warm(&self, _: usize) -> bool {
        false
    }

    fn device_memory(&self, _: usize, _: &[Card]) -> Option<u64> {
        None
    }

    fn strangers(&self, _: &Card) -> Vec<u32> {
        vec![]
    }

    fn add(&mut self, _: Device) -> Option<(usize, Vec<usize>)> {
        None
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.slots.iter().find(|slot| slot.name == name).map(|slot| slot.room)
    }

    fn errors(&self, _: usize) -> String {
        // The pilot keeps them beside the job.
        String::new()
    }

    fn ask_to_stop(&mut self, slot: usize) {
        let Place { member: Some(member), index, .. } = self.slots[slot] else { return };
        if !self.take_back(member) {
            // If it cannot be written, the job goes on.
            let _ = self.members[member].order(&Order::Stop { slot: index });
        }
    }

    fn replace(&mut self, _: usize) -> Ended {
        Ended::default()
    }

    fn kill(&mut self, slot: usize) {
        let Place { member: Some(member), index, .. } = self.slots[slot] else { return };
        self.slots[slot].ticket = None;
        if !self.take_back(member) {
            let _ = self.members[member].order(&Order::Kill { slot: index });
        }
    }

    fn close(&mut self) {}

    fn class(&self, asked: &Request) -> usize {
        site::class(self.supplies.iter().map(|supply| &supply.pool), asked)
    }

    fn tend(&mut self, wanted: &dyn Fn() -> BTreeMap<usize, usize>) -> Result<Vec<News>> {
        let mut news = std::mem::take(&mut self.news);
        if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(news);
        }
        if outside::cancelled(&self.names).exists() {
            let problem = Problem::system("`ablate cancel` has ended it");
            return Err(problem.help("the same command goes on where it was"));
        }
        let wanted = wanted();
        let begun = Instant::now();
        self.take_answers(&mut news);
        self.look(&mut news);
        self.ask_for_list();
        // Before the first list nobody knows what waits in the queue.
        if self.has_listed {
            (0..self.supplies.len()).for_each(|pool| self.ask_for_more(pool, &wanted, &mut news));
        }
        // On a slow file system looking must not be all that is done.
        self.looked = Some(Instant::now() + begun.elapsed() * 4);
        match self.hopeless(&wanted) {
            Some(problem) => Err(problem),
            None => Ok(news),
        }
    }

    fn settled(&mut self, ticket: &Ticket) {
        for member in 0..self.members.len() {
            if self.members[member].settle(ticket) {
                self.clear_away(member);
            }
        }
    }

    fn reject(&mut self, slot: usize, ticket: &Ticket) {
        // It may have ended, and the slot been given something else.
        if self.slots[slot].ticket.as_ref() == Some(ticket) {
            self.kill(slot);
        }
        self.settled(ticket);
    }

    fn left(&self, slot: usize) -> Option<Duration> {
        if self.is_own(slot) && self.slots[slot].ticket.is_none() {
            let pool = &self.supplies[self.pool_of(slot)].pool;
            let left = (pool.wall_time()? - pool.site.margin.0).max(0.0);
            return Duration::try_from_secs_f64(left).ok();
        }
        let end = self.members[self.slots[slot].member?].ends? - self.site.margin.0 as i64;
        Some(Duration::from_secs((end - jiff::Timestamp::now().as_second()).max(0) as u64))
    }

    fn is_queued(&self, slot: usize) -> bool {
        let member = self.slots[slot].member.map(|member| &self.members[member]);
        self.is_own(slot) && member.is_some_and(|member| !member.has_said_hello)
    }

    fn is_leaving(&self, slot: usize) -> bool {
        !self.has_open_pilot(slot)
    }

    fn owns(&self, name: &str) -> bool {
        is_of(name, &self.experiment)
    }

    fn is_settled(&self) -> bool {
        let asks = self.supplies.iter().any(|supply| supply.asking > 0);
        self.has_seen && !asks
    }

    fn goes_on_alone(&self) -> bool {
        true
    }
}

impl Fleet {
    /// Whether the pilot of a slot takes jobs.
    fn has_open_pilot(&self, slot: usize) -> bool {
        self.slots[slot].member.is_some_and(|member| self.members[member].is_open())
    }
}
