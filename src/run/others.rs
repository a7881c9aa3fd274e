//! Other coordinators in the same results folder: what they work on is waited for, what they are
//! done with is taken as done, and slots change hands.

use super::publish::TOGETHER;
use super::{BEAT, Run};
use crate::failure::FailureClass;
use crate::plan;
use crate::problem::Result;
use crate::record::{Claim, Holder};
use crate::schedule::State;
use crate::screen::Change;
use crate::survey;
use petgraph::graph::NodeIndex;
use std::time::{Duration, Instant};

/// Time between two looks at what others do.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// How long a slot that was given up is left to the one who wished for it.
const COURTESY: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// The names that a node's claim takes.
    pub(super) fn claim_names(&self, index: NodeIndex) -> Vec<String> {
        let node = &self.graph.nodes[index];
        [node.folder()].into_iter().chain(plan::trajectory_folder(node)).collect()
    }

    /// Claims a node for the worker of a slot; whether it is ours now.
    pub(super) fn claim(&mut self, index: NodeIndex, slot: usize) -> Result<bool> {
        let holder = Holder {
            coordinator: self.coordinator.id.clone(),
            slot: self.pool.name(slot).to_owned(),
        };
        let claim = Claim { names: self.claim_names(index), holder };
        // What pilots of ours work on was taken up before; what else was claimed for them never reached them.
        let is_free =
            |holder: &Holder| self.pool.owns(&holder.slot) || survey::is_gone(self.results, holder);
        self.record.claim(&claim, &is_free)
    }

    /// Gives the claims of nodes back.
    pub(super) fn release(&mut self, nodes: impl Iterator<Item = NodeIndex>) -> Result<()> {
        let names: Vec<String> = nodes.flat_map(|index| self.claim_names(index)).collect();
        self.record.release(&self.coordinator.id, &names)
    }

    /// Whether a node was published by now.
    pub(super) fn is_published(&self, index: NodeIndex) -> bool {
        let folder = self.graph.nodes[index].folder();
        let path = self.results.node(&folder);
        path.join("node.json").exists()
            && !self.results.is_cleaned(&folder)
            && (!self.suspects.contains(&index) || crate::store::check(&path).is_empty())
    }

    pub(super) fn say_once(&mut self, text: &'static str) {
        if self.said.insert(text) {
            self.monitor.show(&Change::Say(text.to_owned()));
        }
    }

    /// Says, or no longer says, that something waits for a slot.
    pub(super) fn wish(&mut self, wishing: bool) {
        if wishing {
            self.coordinator.wish_for_slot(self.running());
            self.say_once("every slot is taken by other runs; waiting for one");
        } else if self.wishing {
            self.coordinator.wish_nothing();
        }
        self.wishing = wishing;
    }

    /// Gives up idle workers that others wish for.
    pub(super) fn give_up_idle(&mut self) {
        if self.coordinator.wishes().is_empty() {
            return;
        }
        for slot in 0..self.slots.len() {
            if self.slots[slot].is_none() && self.pool.is_warm(slot) {
                self.pool.replace(slot);
            }
        }
    }

    /// After a node has left its slot: one who has none gets it, if we have others.
    pub(super) fn share(&mut self, slot: usize) {
        if self.running() > 0 && self.coordinator.wishes().contains(&0) {
            self.pool.replace(slot);
            self.given_up.insert(slot, Instant::now() + COURTESY);
        }
    }

    /// Looks at what others work on: what they finished is done, what they left is ours to start.
    pub(super) fn look_elsewhere(&mut self) -> Result<()> {
        let tasks = self.schedule.tasks_elsewhere();
        if tasks.is_empty() {
            return Ok(());
        }
        let claims = self.record.claims()?;
        for task in tasks {
            let index = NodeIndex::new(task);
            let held = self.claim_names(index).iter().any(|name| {
                claims.get(name).is_some_and(|holder| {
                    holder.coordinator != self.coordinator.id
                        && !self.pool.owns(&holder.slot)
                        && !survey::is_gone(self.results, holder)
                })
            });
            if held {
                continue;
            }
            if self.is_published(index) {
                self.done_elsewhere(index)?;
            } else if let Some((class, message)) = self.failed_elsewhere(index)? {
                let name = self.graph.nodes[index].name.clone();
                let message = format!("in another run: {message}");
                self.monitor.show(&Change::Failed {
                    slot: None,
                    name,
                    class,
                    message,
                    again: false,
                    alike: 1,
                });
                self.schedule.failed(task, false);
            } else {
                self.schedule.put_back(task);
            }
            self.show_counts();
        }
        Ok(())
    }

    /// Publishes what a dead run had sealed and not yet renamed; whether there was anything.
    pub(super) fn publish_sealed(&mut self, index: NodeIndex) -> Result<bool> {
        survey::publish_sealed(self.results, &self.graph.nodes[index].folder())
    }

    /// A node that another run has published is done; a run that died has not written its rows.
    pub(super) fn done_elsewhere(&mut self, index: NodeIndex) -> Result<()> {
        let node = &self.graph.nodes[index];
        if !self.record.is_recorded(&node.key)? {
            survey::add_rows(self.results, self.record, &[&node.folder()])?;
        }
        let name = node.name.clone();
        self.monitor.show(&Change::Note { name, text: "finished by another run".to_owned() });
        self.schedule.done(index.index());
        Ok(())
    }

    /// The failure for good of a node since this run began, by another.
    fn failed_elsewhere(&self, index: NodeIndex) -> Result<Option<(FailureClass, String)>> {
        let attempts = self.record.attempts(&self.graph.nodes[index].key)?;
        let last =
            attempts.last().filter(|last| last.outcome == "failed" && last.started >= self.begun);
        Ok(last.and_then(|last| {
            let class = FailureClass::from_word(last.class.as_deref()?)?;
            let message = last.message.clone().unwrap_or_default();
            (!class.may_pass()).then_some((class, message))
        }))
    }

    /// How many nodes run here.
    pub(super) fn running(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// How long the loop may sleep.
    pub(super) fn patience(&self) -> Duration {
        if let Some(since) = self.sealed_since {
            // What could start next may wait for what is to be published.
            let is_short = !self.is_open() || self.is_paused || !self.schedule.has_ready();
            let left = TOGETHER.saturating_sub(since.elapsed());
            return if is_short { Duration::ZERO } else { left };
        }
        // Pilots are heard by looking at files.
        let looks = self.pool.goes_on_alone();
        let waits = self.wishing || self.schedule.count(State::Elsewhere) > 0;
        if looks || waits { LOOK } else { BEAT }
    }
}
