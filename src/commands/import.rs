//! `ablate import`: a spec of the configuration of an earlier program.

use super::{Done, print, say};
use crate::files::write_aside;
use crate::import;
use crate::problem::{Problem, Problems};
use std::path::{Path, PathBuf};

/// Arguments of `ablate import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate import config.yaml -o experiments/earlier.yaml")]
pub(super) struct Import {
    /// The configuration, YAML in one of the known layouts.
    config: PathBuf,
    /// The spec to write; by default it is printed.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(&self) -> Done {
        let mut problems = Problems::default();
        let Some(value) = crate::spec::plain(&self.config, &mut problems) else {
            return Err(problems);
        };
        let name = self.config.file_name().unwrap_or_default().to_string_lossy();
        let told = |problem: Problem| {
            let sentence = format!("{}: {}", self.config.display(), problem.sentence);
            Problem { sentence, ..problem }
        };
        let imported = import::spec_of(&value, &name).map_err(told)?;
        for note in &imported.notes {
            say(&format!("note: {note}"));
        }
        let Some(output) = &self.output else {
            print(imported.text.trim_end());
            return Ok(0);
        };
        if output.symlink_metadata().is_ok() {
            let problem = Problem::new(format!("{} is in the way", output.display()));
            return Err(problem.help("name another file").into());
        }
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
        write_aside(output, imported.text.as_bytes())?;
        print(&output.display().to_string());
        print(&format!("\nnext: ablate check {0}, then ablate plan {0}", output.display()));
        Ok(0)
    }
}
