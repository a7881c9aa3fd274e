//! The program as a user meets it, on the fake worker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adopt;
mod bad_input;
mod bench;
mod chaos;
mod choosing;
mod compare;
mod control;
mod coordinators;
mod damage;
mod devices;
mod docs;
mod export;
mod failures;
mod figures;
mod follow;
mod generated;
mod graph;
mod help;
mod identity;
mod import;
mod init;
mod layers;
mod merge;
mod pilots;
mod planning;
mod programs;
#[path = "../support/python.rs"]
mod python;
mod report;
mod run;
#[path = "../support/said.rs"]
mod said;
mod schema;
mod screens;
mod selecting;
mod serve;
mod specs;
mod sweep_mistakes;
mod sweeps;
mod tables;
