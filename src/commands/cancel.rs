//! `ablate cancel`: lets the pilots of an experiment save and leave, and takes their jobs back.

use super::{Done, Place, print};
use crate::fleet;
use crate::site::Site;
use crate::spec::Spec;
use crate::store::Results;
use crate::words::plural;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Arguments of `ablate cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "What runs is saved as far as it is; `ablate run` goes on from there.

Example:
  ablate cancel experiments/first.yaml --on slurm")]
pub(super) struct Cancel {
    /// The spec, a YAML file.
    spec: PathBuf,
    /// The cluster: the name of a site in configs/sites/, or a file that describes one.
    #[arg(long, value_name = "SITE")]
    on: String,
    /// The profile that it was run with.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Do not wait until the pilots have saved.
    #[arg(long)]
    now: bool,
}

/// How long pilots may take to save and leave.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cancel {
    pub(super) fn run(&self, place: &Place) -> Done {
        let site = Site::read(&Site::find(&self.on, &self.spec)?)?;
        let results = Results::look(&place.of(&self.spec));
        let names = fleet::names(&results, &Spec::name_of(&self.spec, self.profile.as_deref()));
        fleet::cancel(&names)?;
        let asked = fleet::dismiss(&site, &names, false)?;
        let begun = Instant::now();
        while !self.now && fleet::living(&names) > 0 && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(100));
        }
        fleet::dismiss(&site, &names, true)?;
        print(&format!("{} cancelled", plural(asked, "pilot")));
        Ok(0)
    }
}
