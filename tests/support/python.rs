//! The Python that tests look at results with.

use std::path::{Path, PathBuf};

/// A Python with torch, numpy, pandas, safetensors and matplotlib: `ABLATE_PYTHON`, or the one in `.venv` at the top.
/// Without it a test is skipped, unless nothing may be.
pub(crate) fn python() -> Option<PathBuf> {
    let top =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|p| p.join("Cargo.lock").exists());
    let beside = top.map(|top| top.join(".venv/bin/python")).unwrap_or_default();
    let python = std::env::var_os("ABLATE_PYTHON").map_or(beside, PathBuf::from);
    assert!(
        python.exists() || std::env::var_os("ABLATE_REQUIRE_ALL").is_none(),
        "{} is missing, and nothing may be skipped",
        python.display()
    );
    python.exists().then_some(python)
}
