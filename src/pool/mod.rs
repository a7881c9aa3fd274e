//! Where jobs run: warm workers on the devices of this machine.

mod cards;
mod devices;
mod local;
mod slots;
mod worker;

use crate::job::Event;
use crate::problem::Result;
pub use cards::{Card, cards, program};
pub use devices::{Device, devices};
pub use local::{Lease, Pool, Program, Programs, WORK, has_left, known_workers};
pub use slots::{News, Slots};
pub use worker::Ended;

/// The devices of this machine that a run may use, or those of them that were asked for, as they are now.
///
/// # Errors
/// If a device that was asked for is not there.
pub fn devices_here(asked: Option<&str>) -> Result<Vec<Device>> {
    let inherited = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    devices(&cards(), inherited.as_deref(), cores(), asked)
}

/// The cores of this machine that this program may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

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
