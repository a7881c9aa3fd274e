//! The program as a user meets it, on the fake worker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod choosing;
mod coordinators;
mod damage;
mod figures;
mod identity;
mod layers;
mod run;
mod specs;
