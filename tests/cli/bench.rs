//! A folder with a spec and results, and the `ablate` program on it with the fake worker.

pub(crate) use crate::said::Said;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The spec that most tests run: 2 schedules × 2 sampler lengths × 2 seeds, 21 nodes.
pub(crate) const SPEC: &str = "\
question: does it run?
vars: { schedule: linear, nfe: 10, seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  net:
    train: { data: maps, objective: { ddpm: { schedule: $schedule } }, steps: 100, seed: $seed }
  draw: { sample: { from: net, sampler: { ddim: { steps: $nfe } }, count: 8, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
sweeps:
  main: { product: { schedule: [linear, cosine], nfe: [10, 50] }, seeds: 2 }
figures:
  spectra: { spectrum: { sweep: main, of: score.power_spectrum, lines: schedule, panels: nfe } }
tables:
  main: { sweep: main, columns: [score.power_spectrum.error], versus: baseline }
";

/// A folder of its own for one test.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new(spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("spec.yaml"), spec).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str], orders: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_ablate"));
        let fake = program.parent().unwrap().join("examples/fake-worker");
        assert!(fake.exists(), "{} is built by `cargo test`", fake.display());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        command.env("ABLATE_WORKER", fake).env("ABLATE_FAKE", orders).env("CI", "1");
        command
    }

    /// Runs `ablate` with arguments; orders go to the fake worker.
    pub(crate) fn ablate_with(&self, arguments: &[&str], orders: &str) -> Said {
        Said::of(self.command(arguments, orders).output().unwrap())
    }

    /// Runs `ablate` with a variable that names a path.
    pub(crate) fn ablate_env(&self, arguments: &[&str], variable: &str, path: &Path) -> Said {
        Said::of(self.command(arguments, "").env(variable, path).output().unwrap())
    }

    /// Runs `ablate` with so many kilobytes of address space.
    pub(crate) fn with_little_memory(&self, arguments: &[&str], kilobytes: u32) -> Said {
        let ablate = env!("CARGO_BIN_EXE_ablate");
        let line = format!("ulimit -v {kilobytes}; exec {ablate} {}", arguments.join(" "));
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(self.folder.path()).env("CI", "1");
        Said::of(command.output().unwrap())
    }

    pub(crate) fn ablate(&self, arguments: &[&str]) -> Said {
        self.ablate_with(arguments, "")
    }

    /// Runs a command line as a person would type it.
    pub(crate) fn shell(&self, line: &str) -> Said {
        let mut command = Command::new("sh");
        let programs = Path::new(env!("CARGO_BIN_EXE_ablate")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        command.args(["-c", line]).current_dir(self.folder.path()).env("PATH", path);
        command.env("ABLATE_WORKER", programs.join("examples/fake-worker")).env("CI", "1");
        Said::of(command.output().unwrap())
    }

    /// Starts `ablate` and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str], orders: &str) -> Child {
        self.command(arguments, orders)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Said {
    /// How many nodes were started.
    pub(crate) fn started(&self) -> usize {
        self.err.lines().filter(|line| line.contains("] start  ")).count()
    }
}
