//! `ablate init`: a small project to start from. What is there already is never overwritten.

use super::{Done, print, schema};
use crate::files::write_aside;
use crate::problem::{Problem, Problems};
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `ablate init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate init schedules && cd schedules && ablate run experiments/first.yaml")]
pub(super) struct Init {
    /// The project's folder, made if it is not there.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

const SPEC: &str = include_str!("init/first.yaml");
const MODEL: &str = include_str!("../../configs/models/unet-tiny.yaml");
/// Results are made again from specs: version control keeps the folder alone.
const IGNORE: &str = "*\n!.gitignore\n";

impl Init {
    pub(super) fn run(&self) -> Done {
        let schema = schema::text();
        let files = [
            ("experiments/first.yaml", SPEC),
            ("configs/models/unet-tiny.yaml", MODEL),
            ("configs/spec.schema.json", schema.as_str()),
            ("results/.gitignore", IGNORE),
        ];
        self.refuse_what_is_there(&files)?;
        for (name, text) in files {
            let path = self.dir.join(name);
            let folder = path.parent().unwrap_or(&self.dir);
            fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
            write_aside(&path, text.as_bytes())?;
            print(&path.display().to_string());
        }
        let spec = files[0].0;
        let there = match self.dir == Path::new(".") {
            true => String::new(),
            false => format!("cd {} && ", self.dir.display()),
        };
        print(&format!("\nnext: {there}ablate plan {spec}, then ablate run {spec}"));
        Ok(0)
    }

    /// Refuses to go on if any of the files is there, before any is written.
    fn refuse_what_is_there(&self, files: &[(&str, &str)]) -> Result<(), Problems> {
        let mut problems = Problems::default();
        for (name, _) in files {
            let path = self.dir.join(name);
            // A link that leads nowhere is in the way too.
            if path.symlink_metadata().is_ok() {
                let problem = Problem::new(format!("{} is in the way", path.display()));
                problems.0.push(problem.help("name another folder: `ablate init DIR`"));
            }
        }
        problems.or(())
    }
}
