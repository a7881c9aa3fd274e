//! Files written so that a reader sees all of them or nothing.

use ablate::files::write_artefact;
use ablate::problem::{Problem, Result};
use serde::Serialize;
use std::path::Path;

/// Writes a value as indented JSON, aside and then renamed, as an artefact.
///
/// # Errors
/// If the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| {
        Problem::system(format!("{} cannot be written as JSON: {e}", path.display()))
    })?;
    write_artefact(path, (text + "\n").as_bytes())
}
