//! The slots of pilots as a run sees them.

use super::{Fleet, LOOK, Place, is_of};
use crate::job::Ticket;
use crate::pool::{Card, Device, Ended, Lease, News, Slots};
use crate::post::Order;
use crate::problem::Result;
use crate::rooms::Room;
use crate::settings::Kind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

impl Slots for Fleet {
    fn len(&self) -> usize {
        self.slots.len()
    }

    fn rooms(&self) -> Vec<Room> {
        self.devices.iter().map(|device| Room { memory: device.memory }).collect()
    }

    fn room(&self, slot: usize) -> usize {
        self.slots[slot].room
    }

    fn name(&self, slot: usize) -> &str {
        &self.slots[slot].name
    }

    fn device(&self, slot: usize) -> &Device {
        &self.devices[self.slots[slot].room]
    }

    fn is_current(&self, _: usize, _: u64) -> bool {
        true
    }

    fn acquire(&mut self, slot: usize, _: Kind) -> Result<Lease> {
        let place = &self.slots[slot];
        let is_free = place.ticket.is_none() && self.members[place.member].is_open();
        Ok(if is_free { Lease::Ours } else { Lease::Taken })
    }

    fn start(&mut self, slot: usize, kind: Kind, ticket: &Ticket, job: &Path) -> Result<()> {
        let Place { member, index, .. } = self.slots[slot];
        let given = jiff::Timestamp::now().to_string();
        let (job, ticket): (PathBuf, Ticket) = (job.to_owned(), ticket.clone());
        self.slots[slot].ticket = Some(ticket.clone());
        self.members[member].order(&Order::Start { slot: index, kind, job, ticket, given })
    }

    fn has_worker(&self, slot: usize, _: Kind) -> bool {
        // Whether one is warm is the pilot's affair; a pilot that does not leave has a place.
        self.members[self.slots[slot].member].is_open()
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
        let Place { member, index, .. } = self.slots[slot];
        // If it cannot be written, the job goes on.
        let _ = self.members[member].order(&Order::Stop { slot: index });
    }

    fn replace(&mut self, _: usize) -> Ended {
        Ended::default()
    }

    fn kill(&mut self, slot: usize) {
        let Place { member, index, .. } = self.slots[slot];
        self.slots[slot].ticket = None;
        let _ = self.members[member].order(&Order::Kill { slot: index });
    }

    fn close(&mut self) {}

    fn tend(&mut self, wanted: usize) -> Result<Vec<News>> {
        let mut news = vec![];
        if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(news);
        }
        let begun = Instant::now();
        self.take_answers(&mut news);
        self.look(&mut news);
        self.ask_for_list();
        // Before the first list nobody knows what waits in the queue.
        if !self.jobs.is_empty() || !self.is_asking {
            self.ask_for_more(wanted);
        }
        // On a slow file system looking must not be all that is done.
        self.looked = Some(Instant::now() + begun.elapsed() * 4);
        let alive = self.members.iter().any(|member| !member.is_over);
        match self.paused.take_if(|_| !alive) {
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
        let end = self.members[self.slots[slot].member].ends? - self.site.margin.0 as i64;
        Some(Duration::from_secs((end - jiff::Timestamp::now().as_second()).max(0) as u64))
    }

    fn is_leaving(&self, slot: usize) -> bool {
        !self.members[self.slots[slot].member].is_open()
    }

    fn owns(&self, name: &str) -> bool {
        is_of(name, &self.experiment)
    }

    fn is_settled(&self) -> bool {
        self.listed.is_some() && !self.is_asking && self.asking == 0
    }

    fn goes_on_alone(&self) -> bool {
        true
    }
}
