//! What a run knows of a node on a slot.

use super::now;
use super::places::Taken;
use crate::job::{Arithmetic, Event, Ticket};
use crate::rooms::Demand;
use petgraph::graph::NodeIndex;
use std::fs::File;
use std::io::Write;
use std::time::Instant;

/// A node on a slot.
pub(super) struct Running {
    pub(super) node: NodeIndex,
    pub(super) ticket: Ticket,
    pub(super) started: Instant,
    /// When its worker said something last.
    pub(super) heard: Instant,
    pub(super) clock: String,
    pub(super) first: u64,
    pub(super) step: u64,
    pub(super) total: u64,
    pub(super) saved: u64,
    pub(super) arithmetic: Option<Arithmetic>,
    pub(super) events: Option<File>,
    /// Whether it was said that it is slow.
    pub(super) is_slow: bool,
    /// What it takes of its device.
    pub(super) demand: Demand,
    pub(super) memory: Taken,
}

impl Running {
    /// A node that begins now, on a worker that had taken so much of its GPU's memory before.
    pub(super) fn new(node: NodeIndex, ticket: Ticket, demand: Demand, taken: Option<u64>) -> Self {
        Self {
            node,
            ticket,
            started: Instant::now(),
            heard: Instant::now(),
            clock: now(),
            first: 0,
            step: 0,
            total: 0,
            saved: 0,
            arithmetic: None,
            events: None,
            is_slow: false,
            demand,
            memory: Taken::since(taken),
        }
    }

    /// Keeps an event in the node's folder.
    pub(super) fn log(&mut self, event: &Event) {
        let line = serde_json::to_string(event).expect("an event is plain data") + "\n";
        // The event log is for people: a full disk shows elsewhere.
        let _ = self.events.as_mut().map(|events| events.write_all(line.as_bytes()));
    }
}
