//! Both programs together, on real tensors: from a spec to published nodes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod collect;
mod conditions;
mod datasets;
mod formats;
mod measures;
mod objectives;
mod oracle;
mod own_programs;
mod project;
#[path = "../../../tests/support/python.rs"]
mod python;
mod resume;
mod trajectories;
