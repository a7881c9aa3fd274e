//! `ablate work`: what a worker is for tensors, this is for programs. `ablate run` starts it.

use super::Done;
use crate::program;
use std::path::PathBuf;

/// Arguments of `ablate work`.
#[derive(Debug, clap::Args)]
pub(super) struct Work {
    /// A job file, to do that job alone; else jobs come in on standard input.
    job: Option<PathBuf>,
}

impl Work {
    pub(super) fn run(&self) -> Done {
        Ok(program::main(self.job.as_deref()))
    }
}
