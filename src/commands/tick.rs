//! `ablate tick`: moves an experiment on a cluster on without staying: for cron, where nothing may run for long.

use super::run::RunCommand;
use super::{Done, Place};
use crate::site::quoted;
use crate::spec::Spec;
use crate::store::Results;
use clap::Parser;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Arguments of `ablate tick`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It hears what pilots report, gives them what they can do next, asks for more of them, and leaves: exit code 75 until all is
done, then 0 with figures and tables drawn. Pilots wait `idle` for the next tick: let it be longer than the time between two.

Example, in a crontab:
  */2 * * * * cd /data/project && ablate tick experiments/first.yaml --on slurm >> tick.log 2>&1"
)]
pub(super) struct Tick {
    /// The spec, a YAML file.
    spec: PathBuf,
    /// The cluster: the name of a site in configs/sites/, or a file that describes one.
    #[arg(long, value_name = "SITE")]
    on: String,
    /// The profile to run with.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// The arguments of a run as clap reads them.
#[derive(Debug, Parser)]
struct Given {
    #[command(flatten)]
    run: RunCommand,
}

impl Tick {
    pub(super) fn run(&self, place: &Place) -> Done {
        let mut words: Vec<OsString> = vec!["ablate".into(), self.spec.clone().into()];
        words.extend(["--once", "--on", &self.on].map(OsString::from));
        if let Some(profile) = &self.profile {
            words.extend(["--profile", profile].map(OsString::from));
        }
        Given::parse_from(words).run.run(place)
    }
}

/// The call of a tick for the shell of whatever machine sees the same files.
pub(super) fn call(spec: &Spec, profile: Option<&str>, site: &Path, results: &Results) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "ablate".into());
    let words = [program.as_path(), Path::new("tick"), &absolute(&spec.file)].map(PathBuf::from);
    let mut words: Vec<String> = words.iter().map(|word| word.display().to_string()).collect();
    words.extend(["--on".to_owned(), absolute(site).display().to_string()]);
    words.extend(["--results".to_owned(), absolute(&results.root).display().to_string()]);
    words.extend(profile.into_iter().flat_map(|name| ["--profile".to_owned(), name.to_owned()]));
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
