//! The program as a user meets it, on the fake worker.

mod bench;
mod identity;
mod layers;
mod run;
mod specs;
