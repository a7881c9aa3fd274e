//! Reads the golden files and keeps the count of what was compared, one [`Golden`] a file.
//! The folder is the one that `ABLATE_GOLDEN` names, by default `tests/golden`; a missing file fails.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder with the reference numbers.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("ABLATE_GOLDEN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
        PathBuf::from,
    )
}

/// One golden file and what was compared against it so far.
pub(crate) struct Golden {
    name: &'static str,
    /// The file's content.
    pub(crate) json: Value,
    cases: usize,
    largest: f64,
    failures: Vec<String>,
}

impl Golden {
    /// Opens `name`, a path below the golden folder such as `diffusion/ddim.json`.
    pub(crate) fn open(name: &'static str) -> Self {
        let path = folder().join(name);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|e| panic!("cannot read the golden file {}: {e}", path.display()));
        let json =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { name, json, cases: 0, largest: 0.0, failures: Vec::new() }
    }

    /// Compares one case, number by number: the error is |got - want| / (absolute + relative |want|),
    /// which must be at most 1.
    pub(crate) fn compare(
        &mut self,
        case: &str,
        got: &[f64],
        want: &[f64],
        relative: f64,
        absolute: f64,
    ) {
        self.cases += 1;
        if got.len() != want.len() {
            self.failures.push(format!(
                "{case}: {} values, the file has {}",
                got.len(),
                want.len()
            ));
            return;
        }
        for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
            let error = (g - w).abs();
            self.largest = self.largest.max(if error.is_nan() { f64::INFINITY } else { error });
            if error.is_nan() || error > absolute + relative * w.abs() {
                self.failures.push(format!("{case}[{i}]: got {g:e}, want {w:e}"));
                return;
            }
        }
    }

    /// Prints the line of `make test-golden`; fails if any case did, or if there was none.
    #[expect(clippy::print_stdout, reason = "the line is what `make test-golden` shows")]
    pub(crate) fn finish(self) {
        println!(
            "golden {:<40} {:>5} cases, largest error {:.1e}",
            self.name, self.cases, self.largest
        );
        assert!(self.failures.is_empty(), "{}:\n{}", self.name, self.failures.join("\n"));
        assert!(self.cases > 0, "{}: nothing was compared", self.name);
    }
}

/// The numbers of a JSON array, or of a single number; panics with the place otherwise.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap_or_else(|| panic!("not a number: {other}"))],
    }
}
