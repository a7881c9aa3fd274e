//! What the terminal shows. A screen receives [`Change`]s and nothing else; it never touches the run.

mod plain;
mod terminal;

use crate::failure::FailureClass;
use crate::words;
use std::io::IsTerminal;
use std::time::Duration;

/// Something that a person may want to see.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A line about the run as a whole.
    Say(String),
    /// A node has a slot.
    Started {
        /// Its slot.
        slot: usize,
        /// Name of the node.
        name: String,
        /// The device, for people.
        device: String,
        /// Steps that need not be done again.
        step: u64,
        /// Steps in all.
        total: u64,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// A node goes on.
    Progress {
        /// Its slot.
        slot: usize,
        /// Name of the node.
        name: String,
        /// Steps done.
        step: u64,
        /// Steps in all.
        total: u64,
        /// Mean training loss of late.
        loss: Option<f64>,
        /// Steps a second.
        rate: f64,
        /// Time left.
        left: Option<Duration>,
    },
    /// A worker says something.
    Note {
        /// Name of the node.
        name: String,
        /// What it says.
        text: String,
    },
    /// A node is finished.
    Done {
        /// Its slot.
        slot: usize,
        /// Name of the node.
        name: String,
        /// Seconds it took.
        seconds: f64,
        /// A number worth showing, with its name.
        figure: Option<(String, f64)>,
    },
    /// A node stopped as asked.
    Stopped {
        /// Its slot.
        slot: usize,
        /// Name of the node.
        name: String,
        /// Steps saved.
        step: u64,
    },
    /// A node failed.
    Failed {
        /// Its slot, if it was one of ours.
        slot: Option<usize>,
        /// Name of the node.
        name: String,
        /// Why.
        class: FailureClass,
        /// What happened.
        message: String,
        /// Whether it will be tried again.
        again: bool,
        /// How many nodes of its name have failed alike, itself included.
        alike: usize,
    },
    /// How many nodes are where.
    Counts(Counts),
}

/// How many nodes are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Finished, those of earlier runs included.
    pub done: usize,
    /// With a slot.
    pub running: usize,
    /// Waiting for inputs or a slot.
    pub waiting: usize,
    /// Failed.
    pub failed: usize,
    /// Behind a failure.
    pub blocked: usize,
}

impl Counts {
    /// All nodes.
    pub fn total(&self) -> usize {
        self.done + self.running + self.waiting + self.failed + self.blocked
    }
}

/// A screen.
pub trait Monitor {
    /// Shows a change.
    fn show(&mut self, change: &Change);
    /// Removes what is not meant to stay.
    fn end(&mut self) {}
}

/// The screen for standard error: bars on a terminal, plain lines elsewhere.
pub fn monitor() -> Box<dyn Monitor> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if std::io::stderr().is_terminal() && !dumb && std::env::var_os("CI").is_none() {
        Box::new(terminal::Terminal::new())
    } else {
        Box::new(plain::Plain::new(std::io::stderr()))
    }
}

/// What happened to a node that failed; what others of its name have met before is not said again.
fn failure_word(message: &str, again: bool, alike: usize) -> String {
    match (again, alike) {
        (true, _) => format!("{message}; it is tried again"),
        (false, 0 | 1) => message.to_owned(),
        (false, n) => format!("like {} before it", words::plural(n - 1, "other")),
    }
}

/// A loss in four figures.
fn loss_word(loss: f64) -> String {
    if (1e-3..1e4).contains(&loss.abs()) { format!("{loss:.4}") } else { format!("{loss:.3e}") }
}

/// A rate in three figures.
fn rate_word(rate: f64) -> String {
    match rate {
        r if r >= 100.0 => format!("{r:.0}/s"),
        r if r >= 10.0 => format!("{r:.1}/s"),
        r => format!("{r:.2}/s"),
    }
}
