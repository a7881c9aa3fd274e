//! Where jobs run: warm workers on the devices of this machine.

mod cards;
mod devices;
mod local;
mod worker;

use crate::job::Event;
pub use cards::{Card, cards, program};
pub use devices::{Device, devices};
pub use local::{Lease, Pool, find_worker, has_left, known_workers};
pub use worker::Ended;

/// What arrives from workers, and from the keyboard.
#[derive(Debug)]
pub enum Message {
    /// A worker says something.
    Event {
        /// Its slot.
        slot: usize,
        /// Which worker of that slot it was.
        generation: u64,
        /// What it says.
        event: Event,
    },
    /// A line that is no event: something in the worker wrote to standard output.
    Garbled {
        /// Its slot.
        slot: usize,
        /// The line.
        line: String,
    },
    /// A worker closed its output: it is gone or going.
    Gone {
        /// Its slot.
        slot: usize,
        /// Which worker of that slot it was.
        generation: u64,
    },
    /// Ctrl-C or SIGTERM.
    Interrupt,
}
