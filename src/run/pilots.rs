//! Slots that come and go with the pilots of a cluster: what joins, what leaves, what an earlier run left under way.

use super::{Run, Running};
use crate::job::Ticket;
use crate::key::Key;
use crate::pool::News;
use crate::problem::Result;
use crate::schedule::State;
use crate::screen::Change;
use crate::settings::Kind;
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::time::{Duration, Instant};

/// So much time has to be left at least for a node that saves what it has.
const SHORTEST: Duration = Duration::from_secs(10);

/// How long nothing must come before a run leaves that waits for nothing.
const QUIET: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// Looks after slots that come and go.
    pub(super) fn tend(&mut self) -> Result<()> {
        let open = self.is_open() && !self.is_paused;
        let (slots, schedule, classes) = (&self.slots, &self.schedule, &self.classes);
        let wanted = || {
            let running = slots.iter().flatten().map(|running| running.node.index());
            let mut counts = BTreeMap::new();
            for task in running.chain(schedule.ready()).filter(|_| open) {
                *counts.entry(classes[task]).or_default() += 1;
            }
            counts
        };
        for news in self.pool.tend(&wanted)? {
            self.heard = Instant::now();
            match news {
                News::Joined { room, slots } => self.join(room, slots),
                News::Left { room } => self.rooms.give_up(room),
                News::Busy { slot, ticket, since } => self.take_up(slot, &ticket, since)?,
                News::Began { slot, since } => self.began(slot, since),
                News::Event { slot, event } => self.event(slot, event)?,
                News::Garbled { slot, line } => self.garbled(slot, &line),
                News::Lost { slot, class, message } => self.failed(slot, class, message)?,
                News::Say(text) => self.monitor.show(&Change::Say(text)),
            }
        }
        Ok(())
    }

    /// Gives back what earlier runs had claimed for pilots that are ours, and that none of them works on.
    pub(super) fn forget_claims(&mut self) -> Result<()> {
        if !self.pool.goes_on_alone() {
            return Ok(());
        }
        let mut stale: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, holder) in self.record.claims()? {
            if holder.coordinator != self.coordinator.id && self.pool.owns(&holder.slot) {
                stale.entry(holder.coordinator).or_default().push(name);
            }
        }
        stale.iter().try_for_each(|(coordinator, names)| self.record.release(coordinator, names))
    }

    /// A device has come.
    fn join(&mut self, room: usize, slots: Vec<usize>) {
        let Some(size) = self.pool.rooms().get(room).copied() else { return };
        self.rooms.add(room, size);
        self.demands.add(size);
        self.slots.extend(slots.iter().map(|_| None));
        self.slots_of.push(slots);
    }

    /// Takes up what an earlier run gave to a slot; what is not wanted any more ends.
    fn take_up(&mut self, slot: usize, ticket: &Ticket, since: Duration) -> Result<()> {
        let key = Key::from_hex(&ticket.key);
        let index = self.graph.indices().find(|i| Some(self.graph.nodes[*i].key) == key);
        let wanted = index.filter(|i| self.schedule.state(i.index()) == State::Waiting);
        let Some(index) = wanted.filter(|i| self.schedule.is_ready(i.index())) else {
            self.pool.reject(slot, ticket);
            return Ok(());
        };
        let name = self.graph.nodes[index].name.clone();
        if !self.claim(index, slot)? {
            self.pool.reject(slot, ticket);
            return Ok(());
        }
        self.schedule.start(index.index());
        // A run that was killed may have got as far as its seal.
        if self.is_published(index) || self.publish_sealed(index)? {
            self.done_elsewhere(index)?;
            self.pool.reject(slot, ticket);
            return self.release([index].into_iter());
        }
        let demand = self.demand(index);
        self.rooms.enter(self.pool.room(slot), &demand);
        let events = self.results.work(&self.graph.nodes[index].folder()).join("events.jsonl");
        let mut running = Running::new(index, ticket.clone(), demand, None);
        running.started = running.started.checked_sub(since).unwrap_or(running.started);
        running.events = OpenOptions::new().create(true).append(true).open(events).ok();
        self.slots[slot] = Some(running);
        self.monitor.show(&Change::Note { name, text: "taken up from an earlier run".to_owned() });
        Ok(())
    }

    /// What waited for a machine has one: its time counts from now on.
    fn began(&mut self, slot: usize, since: Duration) {
        if let Some(running) = &mut self.slots[slot] {
            running.heard = Instant::now();
            running.started = running.heard.checked_sub(since).unwrap_or(running.heard);
            running.clock = super::now();
        }
    }

    /// Whether a node can be done, or save what it has, before a slot is taken back.
    pub(super) fn fits(&self, index: NodeIndex, slot: usize) -> bool {
        let Some(left) = self.pool.left(slot) else { return true };
        let saves = match self.graph.nodes[index].kind() {
            Kind::Train | Kind::Sample | Kind::Command => true,
            Kind::Dataset | Kind::Evaluate => false,
        };
        let expected = self.expected[index.index()].filter(|_| !saves);
        let seconds = |s| Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX);
        left >= expected.map_or(SHORTEST, seconds).max(SHORTEST)
    }

    /// A run that is to do what can be done now, and no more, leaves when all is quiet.
    pub(super) fn leave_in_time(&mut self) {
        let is_quiet = self.heard.elapsed() > QUIET && self.pool.is_settled();
        if self.once && self.interrupts == 0 && is_quiet && !self.schedule.is_over() {
            self.interrupts = 1;
        }
    }

    /// Leaves what runs elsewhere to itself.
    pub(super) fn detach(&mut self) {
        let running = crate::words::plural(self.running(), "node");
        let text = format!(
            "detached: what runs goes on ({running}), and pilots leave when they have nothing to do; the same \
             command takes them up again, `ablate cancel` cancels them"
        );
        self.monitor.show(&Change::Say(text));
    }
}
