//! Jobs of their own: a place for one is there before its machine is. What starts there is an order in the folder of
//! a pilot that does not exist yet; its job is submitted, and finds the order when it begins, whoever looks after the
//! experiment then.

use super::member::Member;
use super::queue::{Ask, Job, stem};
use super::{Fleet, PILOT, Place};
use crate::files;
use crate::job::Event;
use crate::pool::{Device, Lease, News};
use crate::post::{Address, Order};
use crate::problem::Result;
use crate::site::{self, OWN};
use std::time::{Duration, Instant};

impl Fleet {
    /// The place of a pool among those of the site; what is not known any more belongs to the first one.
    pub(super) fn place_of_pool(&self, name: &str) -> usize {
        self.supplies.iter().position(|supply| supply.pool.name == name).unwrap_or(0)
    }

    /// The place of a slot's pool.
    pub(super) fn pool_of(&self, slot: usize) -> usize {
        site::pool_of(self.devices[self.slots[slot].room].1)
    }

    /// Whether a slot is a place for a job of its own.
    pub(super) fn is_own(&self, slot: usize) -> bool {
        site::has_own_job(self.devices[self.slots[slot].room].1)
    }

    /// The places for jobs of their own that a pool has.
    fn own_places(&self, pool: usize) -> Vec<usize> {
        let is_here = |slot: &usize| self.is_own(*slot) && self.pool_of(*slot) == pool;
        (0..self.slots.len()).filter(is_here).collect()
    }

    /// Makes places for as many jobs of their own as are wanted, or as a pool allows.
    pub(super) fn make_places(&mut self, pool: usize, wanted: usize, news: &mut Vec<News>) {
        let most = usize::try_from(self.supplies[pool].pool.site.most).unwrap_or(usize::MAX);
        for _ in self.own_places(pool).len()..wanted.min(most) {
            self.make_place(pool, news);
        }
    }

    fn make_place(&mut self, pool: usize, news: &mut Vec<News>) -> usize {
        let (room, slot) = (self.devices.len(), self.slots.len());
        let device = Device::promised(self.supplies[pool].pool.site.model());
        self.devices.push((device, site::class_of(pool, true)));
        let name = format!("{PILOT}{}/{OWN}-{slot}", self.experiment);
        self.slots.push(Place { room, name, member: None, index: 0, ticket: None });
        news.push(News::Joined { room, slots: vec![slot] });
        slot
    }

    /// Gives a free place the name of a pilot that is to come.
    pub(super) fn reserve(&mut self, slot: usize) -> Lease {
        let supply = &self.supplies[self.pool_of(slot)];
        if self.slots[slot].ticket.is_some() || !supply.may_ask() {
            return Lease::Taken;
        }
        let pilot = format!("{OWN}-{:x}{slot:02x}", jiff::Timestamp::now().as_millisecond());
        self.slots[slot].name = format!("{PILOT}{}/{pilot}/{OWN}", self.experiment);
        Lease::Ours
    }

    /// Leaves an order for the pilot of a place, and asks for its job.
    pub(super) fn book(&mut self, slot: usize, order: &Order) -> Result<()> {
        let pool = self.pool_of(slot);
        let name = super::pilot_of(&self.slots[slot].name).unwrap_or(OWN).to_owned();
        let address = Address { folder: self.names.pilots.join(&name) };
        address.make()?;
        files::write_quickly(&address.booking(), self.supplies[pool].pool.name.as_bytes())?;
        let mut member = Member::new(name.clone(), address, &self.owner);
        member.order(order)?;
        (member.pool, member.slots) = (pool, vec![slot]);
        self.slots[slot].member = Some(self.members.len());
        self.members.push(member);
        self.known.insert(name.clone());
        // Without a scheduler that hears it the node goes back when its job is not seen.
        let _ = self.asks.send(Ask::Own(pool, name));
        Ok(())
    }

    /// A pilot for one node that an earlier coordinator asked for gets a place.
    pub(super) fn place_for(&mut self, member: usize, news: &mut Vec<News>) {
        let pool = self.members[member].pool;
        let is_free = |slot: &usize| self.slots[*slot].ticket.is_none();
        let free = self.own_places(pool).into_iter().find(is_free);
        let slot = free.unwrap_or_else(|| self.make_place(pool, news));
        let name = format!("{PILOT}{}/{}/{OWN}", self.experiment, self.members[member].name);
        (self.slots[slot].name, self.slots[slot].member) = (name, Some(member));
        self.members[member].slots = vec![slot];
    }

    /// The pilot of one node has begun.
    pub(super) fn greet_own(&mut self, member: usize, devices: Vec<Device>, news: &mut Vec<News>) {
        let Some(slot) = self.members[member].slots.first().copied() else { return };
        if let Some(device) = devices.into_iter().next() {
            let room = self.slots[slot].room;
            // As a place it cannot be shared, whatever the device is.
            self.devices[room].0 = Device { memory: None, ..device };
        }
        let now = jiff::Timestamp::now().as_second();
        let ago = self.members[member].began.map_or(0, |began| (now - began).max(0));
        news.push(News::Began { slot, since: Duration::from_secs(ago as u64) });
    }

    /// Whether the job of a pilot for one node, which has not begun, can still be expected.
    pub(super) fn judge_queued(&mut self, member: usize, news: &mut Vec<News>) {
        let longest = self.poll() * 2 + Duration::from_secs(10);
        let this = &mut self.members[member];
        let job = self.jobs.get(this.job());
        if job.is_some_and(Job::is_live) {
            this.queued = Some(Instant::now());
        }
        // One that is not listed may not have been submitted yet.
        let is_late = this.queued.is_some_and(|at| at.elapsed() > longest) && this.denied >= 2;
        let (has_ended, name) = (job.is_some_and(|job| !job.is_live()), this.name.clone());
        let state = job.map(|job| job.state.clone());
        if (has_ended || is_late)
            && self.take_back(member)
            && let Some(state) = state
        {
            self.strike(self.members[member].pool, &name, &state, news);
        }
    }

    /// Takes the order of a pilot for one node back, if its job has not begun; whether it had not.
    pub(super) fn take_back(&mut self, member: usize) -> bool {
        let this = &mut self.members[member];
        if !this.is_own() || this.is_over || !matches!(this.address.begin(), Ok(true)) {
            return false;
        }
        this.is_over = true;
        let _ = files::write_quickly(&this.address.gone(), b"");
        let id = self.submitted.keys().find(|id| stem(id) == this.name).cloned();
        if let Some(id) = id {
            let _ = self.asks.send(Ask::Cancel(id));
        }
        for slot in this.slots.clone() {
            if self.slots[slot].member == Some(member) && self.slots[slot].ticket.take().is_some() {
                self.news.push(News::Event { slot, event: Event::Stopped { step: 0 } });
            }
        }
        self.clear_away(member);
        true
    }
}
