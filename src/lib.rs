//! Ablate: a declarative experiment-graph runner for generative-model research.
//!
//! The modules stand in layers; a module uses those above it in this list, never one below.
//! ARCHITECTURE.md tells the path of data through them.

pub mod problem;

pub mod words;

pub mod statistics;

pub mod random;

pub mod failure;

pub mod moment;

pub mod files;

pub mod npy;

pub mod parts;

pub mod photo;

pub mod settings;

pub mod condition;

pub mod external;

pub mod job;

pub mod spec;

pub mod site;

pub mod import;

pub mod schema;

pub mod key;

pub mod selection;

pub mod expand;

pub mod graph;

pub mod store;

pub mod coordinator;

pub mod record;

pub mod decide;

pub mod cost;

pub mod plan;

pub mod schedule;

pub mod rooms;

pub mod dispatch;

pub mod demand;

pub mod forecast;

pub mod program;

pub mod pool;

pub mod post;

pub mod pilot;

pub mod fleet;

pub mod screen;

pub mod survey;

pub mod verify;

pub mod merge;

pub mod adopt;

pub mod run;

pub mod figure;

pub mod table;

pub mod draw;

pub mod export;

pub mod report;

pub mod serve;

pub mod commands;
