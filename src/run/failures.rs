//! Attempts that fail: what is told, what is tried again, and what is left out because of them.

use super::{Run, Running};
use crate::failure::{Alike, Company, FailureClass};
use crate::job::Event;
use crate::problem::Result;
use crate::schedule::State;
use crate::screen::Change;
use crate::settings::Kind;
use crate::words;
use petgraph::graph::NodeIndex;
use std::time::Duration;

/// How long a worker may say nothing where the spec says nothing of it.
const SILENCE: Duration = Duration::from_secs(30 * 60);

impl Run<'_> {
    /// A worker's output ended: its node, if it had one, failed.
    pub(super) fn gone(&mut self, slot: usize) -> Result<()> {
        let errors = self.pool.errors(slot);
        let ended = self.pool.replace(slot);
        if self.slots[slot].is_none() {
            return Ok(());
        }
        let (class, message) = ended.obituary(&errors);
        self.failed(slot, class, message)
    }

    /// Kills workers that have said nothing for too long.
    pub(super) fn end_silent(&mut self) -> Result<()> {
        for slot in 0..self.slots.len() {
            let Some(running) = &self.slots[slot] else { continue };
            let node = &self.graph.nodes[running.node];
            let silence = node.run.silence.map(|span| words::span(span.0));
            // Whether the program of a command hangs or thinks is for its user to say.
            let usual = (node.kind() != Kind::Command).then_some(SILENCE);
            let Some(patience) = silence.or(usual) else { continue };
            if running.heard.elapsed() < patience || self.pool.is_queued(slot) {
                continue;
            }
            self.pool.kill(slot);
            let message = format!("the worker said nothing for {}", words::duration(patience));
            self.failed(slot, FailureClass::Silent, message)?;
        }
        Ok(())
    }

    pub(super) fn failed(
        &mut self,
        slot: usize,
        class: FailureClass,
        message: String,
    ) -> Result<()> {
        let Some(mut running) = self.vacate(slot) else { return Ok(()) };
        self.keep_log(slot, &running);
        let index = running.node;
        let progressed = running.saved > running.first;
        let before = self.futile.get(&index).copied().unwrap_or(0);
        let futile = if progressed { 0 } else { before + 1 };
        self.futile.insert(index, futile);
        let policy = class.policy();
        let again = futile < policy.tries && class.may_pass() && self.is_open();
        if again && policy.next != Company::Any {
            self.company.insert(index, policy.next);
        }
        if !again {
            running.log(&Event::GivenUp { message: message.clone() });
        }
        self.pool.replace(slot);
        let alike = if again { Alike::default() } else { self.compare(index, class, &message) };
        self.monitor.show(&Change::Failed {
            slot: Some(slot),
            name: self.graph.nodes[index].name.clone(),
            class,
            message: message.clone(),
            again,
            alike: alike.nodes,
        });
        self.record_failure(slot, &running, class, message);
        self.pool.settled(&running.ticket);
        self.schedule.failed(index.index(), again);
        if !again {
            self.release([index].into_iter())?;
            self.leave_out(index, alike);
        }
        if policy.ends_run && !self.closed {
            self.closed = true;
            let what =
                format!("{}: nothing more is started; mend that and run again", class.meaning());
            self.monitor.show(&Change::Say(what));
        }
        self.share(slot);
        self.show_counts();
        Ok(())
    }

    fn record_failure(
        &mut self,
        slot: usize,
        running: &Running,
        class: FailureClass,
        text: String,
    ) {
        self.attempt(slot, running, "failed", Some((class, text)), 0);
    }

    /// Which nodes of this name have failed alike by now.
    fn compare(&mut self, index: NodeIndex, class: FailureClass, message: &str) -> Alike {
        let coordinates = self.coordinates.get_or_insert_with(|| self.graph.common_coordinates());
        let declared = &self.graph.nodes[index].declared;
        self.failures.add(declared, class, message, &coordinates[index.index()])
    }

    /// After many equal failures at a value of an axis, where nothing of the same name went well: what else
    /// of it waits there is left out of this run.
    fn leave_out(&mut self, index: NodeIndex, alike: Alike) {
        let Some(coordinates) = &self.coordinates else { return };
        let declared = &self.graph.nodes[index].declared;
        for ((axis, value), n) in alike.at {
            if self.patience == 0 || n < self.patience {
                continue;
            }
            let at = (axis, value);
            let siblings =
                self.graph.indices().filter(|i| self.graph.nodes[*i].declared == *declared);
            let (here, beside): (Vec<NodeIndex>, Vec<NodeIndex>) =
                siblings.partition(|i| coordinates[i.index()].contains(&at));
            let state = |i: &NodeIndex| self.schedule.state(i.index());
            // What all nodes of the name have in common tells nothing.
            if beside.is_empty() || here.iter().any(|i| state(i) == State::Done) {
                continue;
            }
            let waiting: Vec<NodeIndex> =
                here.into_iter().filter(|i| state(i) == State::Waiting).collect();
            if waiting.is_empty() {
                continue;
            }
            for i in &waiting {
                self.schedule.leave_out(i.index());
            }
            let (axis, value) = at;
            self.monitor.show(&Change::Say(format!(
                "{n} nodes {declared} failed alike at {axis}={value}, and none went well: {} more there \
                 left out of this run (`--alike 0` tries all)",
                waiting.len()
            )));
        }
    }
}
