//! What a run knows of the places where its jobs run, whether they are on this machine or on others.

use super::cards::Card;
use super::worker::Ended;
use super::{Device, Lease};
use crate::failure::FailureClass;
use crate::job::{Event, Ticket};
use crate::problem::Result;
use crate::rooms::Room;
use crate::settings::Kind;
use crate::site::Request;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The slots of a run. What workers of this machine say arrives on the channel that they were made with; what those
/// elsewhere say, when they are looked after.
pub trait Slots {
    /// How many slots there are.
    fn len(&self) -> usize;

    /// Whether there is no slot at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What there is of each device.
    fn rooms(&self) -> Vec<Room>;

    /// The device of a slot, by its place in [`Slots::rooms`].
    fn room(&self, slot: usize) -> usize;

    /// The name of a slot: no other slot in the results folder has the same.
    fn name(&self, slot: usize) -> &str;

    /// The device of a slot.
    fn device(&self, slot: usize) -> &Device;

    /// Whether a message is from the worker that a slot has now.
    fn is_current(&self, slot: usize, generation: u64) -> bool;

    /// Gets a slot for a kind of node: its worker is started if nobody else's is on it.
    ///
    /// # Errors
    /// If the worker cannot be started.
    fn acquire(&mut self, slot: usize, kind: Kind) -> Result<Lease>;

    /// Gives a job to the worker of a slot that was acquired.
    ///
    /// # Errors
    /// If the worker is gone or does not take the job.
    fn start(&mut self, slot: usize, kind: Kind, ticket: &Ticket, job: &Path) -> Result<()>;

    /// Whether a slot has a worker of ours for a kind of node.
    fn has_worker(&self, slot: usize, kind: Kind) -> bool;

    /// Whether a slot has a worker of ours.
    fn is_warm(&self, slot: usize) -> bool;

    /// Bytes that the worker of a slot has taken of its GPU's memory, where these cards tell.
    fn device_memory(&self, slot: usize, cards: &[Card]) -> Option<u64>;

    /// The programs on a card that are none of this results folder's.
    fn strangers(&self, card: &Card) -> Vec<u32>;

    /// One more device, if it is not there yet; its place, and its slots if it is new. Nothing where devices come
    /// by themselves.
    fn add(&mut self, device: Device) -> Option<(usize, Vec<usize>)>;

    /// The place of a device with this name.
    fn find(&self, name: &str) -> Option<usize>;

    /// What the worker of a slot wrote to standard error since its present job began, where nobody else keeps it.
    fn errors(&self, slot: usize) -> String;

    /// Asks the worker of a slot to save and end its job.
    fn ask_to_stop(&mut self, slot: usize);

    /// Ends the worker of a slot; how it ended.
    fn replace(&mut self, slot: usize) -> Ended;

    /// Ends the worker of a slot, and what it has started, without leaving it time.
    fn kill(&mut self, slot: usize);

    /// Closes every worker's input and waits until all have left; kills those that do not. Workers elsewhere go on.
    fn close(&mut self);

    /// The class of devices that a node is for.
    fn class(&self, _request: &Request) -> usize {
        0
    }

    /// Looks after slots that come and go, of which so many of each class could be used now; what has become of them.
    ///
    /// # Errors
    /// If there are none, and none can be had.
    fn tend(&mut self, _wanted: &dyn Fn() -> BTreeMap<usize, usize>) -> Result<Vec<News>> {
        Ok(vec![])
    }

    /// The end of an attempt is written down: nobody needs to be told of it again.
    fn settled(&mut self, _ticket: &Ticket) {}

    /// Nobody wants what a slot was given by an earlier run.
    fn reject(&mut self, _slot: usize, _ticket: &Ticket) {}

    /// How long a slot is there still, if that is known.
    fn left(&self, _slot: usize) -> Option<Duration> {
        None
    }

    /// Whether what a slot was given waits for its machine.
    fn is_queued(&self, _slot: usize) -> bool {
        false
    }

    /// Whether what a slot does goes on elsewhere when it stops there.
    fn is_leaving(&self, _slot: usize) -> bool {
        false
    }

    /// Whether a slot of this name is this run's to look after, whoever has used it before.
    fn owns(&self, _name: &str) -> bool {
        false
    }

    /// Whether nothing is being asked of a scheduler.
    fn is_settled(&self) -> bool {
        true
    }

    /// Whether jobs go on when the run leaves.
    fn goes_on_alone(&self) -> bool {
        false
    }
}

/// What has become of slots that come and go.
#[derive(Debug)]
pub enum News {
    /// A device has come, with these slots.
    Joined {
        /// Its place.
        room: usize,
        /// Its slots.
        slots: Vec<usize>,
    },
    /// A device takes nothing more.
    Left {
        /// Its place.
        room: usize,
    },
    /// A slot works on something that an earlier run gave it.
    Busy {
        /// The slot.
        slot: usize,
        /// The attempt.
        ticket: Ticket,
        /// How long ago it was given.
        since: Duration,
    },
    /// The machine that a slot's job has waited for is there, since so long.
    Began {
        /// The slot.
        slot: usize,
        /// How long ago.
        since: Duration,
    },
    /// The worker of a slot says something.
    Event {
        /// The slot.
        slot: usize,
        /// What.
        event: Event,
    },
    /// A line of a slot's worker that is no event.
    Garbled {
        /// The slot.
        slot: usize,
        /// The line.
        line: String,
    },
    /// An attempt was lost with its slot.
    Lost {
        /// The slot.
        slot: usize,
        /// Why.
        class: FailureClass,
        /// In one sentence.
        message: String,
    },
    /// Something a person should know.
    Say(String),
}
