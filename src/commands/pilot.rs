//! `ablate pilot`: runs nodes on a machine of a cluster. Its scheduler starts it.

use super::Done;
use crate::pilot::{self, Manner};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `ablate pilot`.
#[derive(Debug, clap::Args)]
pub(super) struct Pilot {
    /// The folder of the experiment's pilots.
    folder: PathBuf,
    /// Leave after so many seconds without a job.
    #[arg(long, default_value_t = 60.0)]
    idle: f64,
    /// Let everything save so many seconds before the end.
    #[arg(long, default_value_t = 120.0)]
    margin: f64,
    /// Be taken for lost after so many seconds of silence.
    #[arg(long, default_value_t = 60.0)]
    patience: f64,
    /// Devices, instead of all that the job has.
    #[arg(long)]
    devices: Option<String>,
    /// The pool it belongs to.
    #[arg(long, default_value = "")]
    pool: String,
    /// Do what was ordered in the folder of this name, and leave.
    #[arg(long)]
    own: Option<String>,
}

impl Pilot {
    pub(super) fn run(&self) -> Done {
        let seconds = |n: f64| Duration::try_from_secs_f64(n).unwrap_or(Duration::MAX);
        let manner = Manner {
            idle: seconds(self.idle),
            margin: seconds(self.margin),
            patience: seconds(self.patience),
            devices: self.devices.clone(),
            pool: self.pool.clone(),
            own: self.own.clone(),
        };
        pilot::work(&self.folder, manner)?;
        Ok(0)
    }
}
