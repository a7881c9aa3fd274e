//! `ablate row`: the numbers of a run that was imported, by its parameters. Specs of `ablate import` call it.

use super::Done;
use super::import::table;
use crate::files::write_aside;
use crate::import::runs;
use crate::problem::Problem;
use std::path::PathBuf;

/// Arguments of `ablate row`.
#[derive(Debug, clap::Args)]
pub(super) struct Row {
    /// The runs.
    file: PathBuf,
}

impl Row {
    pub(super) fn run(&self) -> Done {
        let told = |name: &str| {
            std::env::var(name).map_err(|_| {
                Problem::new(format!("{name} is not set")).help("a command node calls this")
            })
        };
        let params = serde_json::from_str(&told("ABLATE_PARAMS")?)
            .map_err(|e| Problem::new(format!("ABLATE_PARAMS cannot be understood: {e}")))?;
        let metrics = runs::row(&table(&self.file)?, &params)?;
        let path = PathBuf::from(told("ABLATE_OUT")?).join("metrics.json");
        write_aside(&path, serde_json::to_string(&metrics).expect("numbers").as_bytes())?;
        Ok(0)
    }
}
