//! Where jobs run: warm workers on this machine.

mod devices;
mod local;

pub use devices::{Device, devices};
pub use local::{Ended, Lease, Message, Pool, find_worker, has_left};
