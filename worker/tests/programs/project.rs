//! A folder with a spec, and the two programs on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A folder of its own for one test.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

/// What a program said, and its exit code.
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl Said {
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

impl Project {
    pub(crate) fn new(spec: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        project.write("spec.yaml", spec.as_bytes());
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// A command of `ablate` with the real worker.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let worker = PathBuf::from(env!("CARGO_BIN_EXE_ablate-worker"));
        let ablate = worker.with_file_name("ablate");
        assert!(ablate.exists(), "{} is built by `make test`", ablate.display());
        let mut command = Command::new(ablate);
        command.args(arguments).current_dir(self.folder.path()).env("ABLATE_WORKER", worker);
        command.env("CI", "1").env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    pub(crate) fn ablate(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The only finished node of a kind.
    pub(crate) fn node(&self, kind: &str) -> PathBuf {
        let mut found = self.nodes(kind);
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        found.remove(0)
    }

    /// The finished nodes of a kind.
    pub(crate) fn nodes(&self, kind: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("results/nodes")).into_iter().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(kind));
        found.sort();
        found
    }
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
