//! Runs on a real Slurm: clusters of its own daemons on this machine, started by `up.sh` and broken by `node.sh`.
//! Without Slurm's packages everything here is skipped, unless nothing may be. `make test-slurm` installs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod faults;
mod own;
mod runs;
#[path = "../support/said.rs"]
mod said;
