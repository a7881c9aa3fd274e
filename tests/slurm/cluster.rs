//! One throw-away cluster with a folder for results, and `ablate` on it with the fake worker.

use crate::said::Said;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// 2 schedules × 2 sampler lengths × 2 seeds, 21 nodes.
pub(crate) const SPEC: &str = "\
question: does it run?
vars: { schedule: linear, nfe: 10, seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  net:
    train: { data: maps, objective: { ddpm: { schedule: $schedule } }, steps: 100, seed: $seed }
  draw: { sample: { from: net, sampler: { ddim: { steps: $nfe, clip: 1 } }, count: 8, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
sweeps:
  main: { product: { schedule: [linear, cosine], nfe: [10, 50] }, seeds: 2 }
tables:
  main: { sweep: main, columns: [score.power_spectrum.error], versus: baseline }
";

/// A site with short times.
pub(crate) const SITE: &str = "\
sbatch: { partition: main, gres: 'gpu:1', mem: 200, time: 10 }
most: 4
idle: 4s
margin: 10s
patience: 6s
poll: 300ms
";

/// A cluster; it goes down when dropped.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    daemons: PathBuf,
    settings: Vec<(String, String)>,
    _turn: MutexGuard<'static, ()>,
}

/// The machine is small: one cluster at a time.
static TURN: Mutex<()> = Mutex::new(());

impl Cluster {
    /// A cluster, or nothing where Slurm is not installed.
    pub(crate) fn up() -> Option<Self> {
        Self::up_with(&[])
    }

    pub(crate) fn up_with(settings: &[(&str, &str)]) -> Option<Self> {
        let installed = Path::new("/usr/sbin/slurmctld").exists();
        assert!(
            installed || std::env::var_os("ABLATE_REQUIRE_ALL").is_none(),
            "slurmctld is missing, and nothing may be skipped; `make test-slurm` installs it"
        );
        if !installed {
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        // The path of a socket is short.
        let daemons = PathBuf::from(format!("/tmp/ablate-slurm-{}-{number}", std::process::id()));
        let cluster = Self {
            folder: tempfile::tempdir().unwrap(),
            daemons,
            settings: settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            _turn: turn,
        };
        cluster.script("up.sh", &[]);
        cluster.write("spec.yaml", SPEC);
        cluster.write("site.yaml", SITE);
        Some(cluster)
    }

    fn script(&self, name: &str, arguments: &[&str]) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm").join(name);
        let mut command = Command::new(path);
        command.args(arguments).env("SLURM_TEST_DIR", &self.daemons);
        command.envs(self.settings.iter().map(|(k, v)| (k, v)));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name} {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Breaks or mends a node.
    pub(crate) fn node(&self, what: &str, name: &str) {
        self.script("node.sh", &[what, name]);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Changes the site.
    pub(crate) fn site(&self, from: &str, to: &str) {
        assert!(SITE.contains(from));
        self.write("site.yaml", &SITE.replace(from, to));
    }

    fn on(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path()).env("SLURM_CONF", self.daemons.join("slurm.conf"));
        command.env("CI", "1");
        command
    }

    /// A command of Slurm; what it prints.
    pub(crate) fn slurm(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(name);
        command.args(arguments);
        let output = self.on(command).output().unwrap();
        assert!(
            output.status.success(),
            "{name} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn ablate(&self, arguments: &[&str], orders: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_ablate"));
        let fake = program.parent().unwrap().join("examples/fake-worker");
        assert!(fake.exists(), "{} is built by `cargo build --examples`", fake.display());
        let mut command = Command::new(program);
        command.args(arguments).env("ABLATE_WORKER", fake).env("ABLATE_FAKE", orders);
        self.on(command)
    }

    /// Runs `ablate`; orders go to the fake worker, wherever it is.
    pub(crate) fn said(&self, arguments: &[&str], orders: &str) -> Said {
        Said::of(self.ablate(arguments, orders).output().unwrap())
    }

    /// The same run on the cluster.
    pub(crate) fn run(&self, orders: &str) -> Said {
        self.said(&["run", "spec.yaml", "--on", "site.yaml"], orders)
    }

    /// Starts a run on the cluster and leaves it running.
    pub(crate) fn start(&self, orders: &str) -> Started {
        self.start_with(orders, &[])
    }

    pub(crate) fn start_with(&self, orders: &str, variables: &[(&str, &Path)]) -> Started {
        let log = self.path(&format!("run-{:?}.log", Instant::now()).replace(' ', ""));
        let mut command = self.ablate(&["run", "spec.yaml", "--on", "site.yaml"], orders);
        command.envs(variables.iter().copied());
        let errors = fs::File::create(&log).unwrap();
        let child = command.stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        Started { child, log }
    }

    /// Checks that the results are those of an undisturbed run on one machine, and every node was published once.
    pub(crate) fn expect_whole(&self) {
        let local = tempfile::tempdir().unwrap();
        let results = local.path().to_str().unwrap();
        self.said(&["run", "spec.yaml", "--results", results], "").expect(0);
        let (here, there) = (digests(&self.path("results")), digests(local.path()));
        let differs = |(name, digest): &(&String, &String)| here.get(*name) != Some(*digest);
        let missing: Vec<_> = there.iter().filter(differs).collect();
        let extra: Vec<_> = here.keys().filter(|name| !there.contains_key(*name)).collect();
        assert!(missing.is_empty() && extra.is_empty(), "missing {missing:?}, extra {extra:?}");
        let done = self.said(
            &["query", "SELECT count(*) FROM attempts WHERE outcome = 'done' GROUP BY node HAVING count(*) > 1", "--results", "results"],
            "",
        );
        let done = done.expect(0);
        assert!(!done.out.contains('2'), "a node was done twice: {}", done.out);
        self.said(&["verify", "--results", "results"], "").expect(0);
    }

    /// Kills the pilots, without a word to anybody.
    pub(crate) fn kill_pilots(&self) {
        let folder = self.path("results/pilots").canonicalize().unwrap().display().to_string();
        let done =
            Command::new("pkill").args(["-9", "-f", &format!("ablate pilot {folder}")]).status();
        assert!(done.unwrap().success());
    }

    /// Takes the scheduler away.
    pub(crate) fn stop_controller(&self) {
        let pid = fs::read_to_string(self.daemons.join("run/slurmctld.pid")).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    }

    /// Brings it back.
    pub(crate) fn start_controller(&self) {
        let mut command = Command::new("/usr/sbin/slurmctld");
        command.arg("-f").arg(self.daemons.join("slurm.conf"));
        assert!(self.on(command).status().unwrap().success());
    }

    /// The node that a pilot runs on, for a job such as `12_0`.
    pub(crate) fn node_of(&self, job: &str) -> String {
        self.slurm("squeue", &["-h", "-r", "-j", job, "-o", "%N"]).trim().to_owned()
    }

    /// The jobs of pilots that run.
    pub(crate) fn running(&self) -> Vec<String> {
        let said = self.slurm("squeue", &["-h", "-r", "-t", "R", "-o", "%F_%K"]);
        said.lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("KEEP").is_some() {
            let _ = Command::new("cp")
                .args(["-a", self.folder.path().to_str().unwrap(), "/tmp/kept"])
                .status();
        }
        if std::thread::panicking() {
            let logs = self.path("results/pilots/spec/log");
            for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                if !text.trim().is_empty() {
                    let mut out = std::io::stderr().lock();
                    let _ = std::io::Write::write_all(
                        &mut out,
                        format!("{:?}: {text}\n", entry.path()).as_bytes(),
                    );
                }
            }
        }
        self.script("down.sh", &[]);
    }
}

/// Digests of every artefact of every finished node.
fn digests(results: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(results.join("nodes")).unwrap() {
        let path = folder.unwrap().path();
        let Ok(text) = fs::read_to_string(path.join("node.json")) else { continue };
        let node: serde_json::Value = serde_json::from_str(&text).unwrap();
        for artefact in node["artefacts"].as_array().unwrap() {
            let name = format!("{} {}", node["name"], artefact["path"]);
            found.insert(name, artefact["blake3"].to_string());
        }
    }
    assert!(!found.is_empty());
    found
}

/// A run that goes on.
pub(crate) struct Started {
    child: Child,
    log: PathBuf,
}

impl Started {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said something.
    #[track_caller]
    pub(crate) fn wait_for(&self, words: &str) {
        self.wait_for_times(words, 1);
    }

    /// Waits until it has said something so often.
    #[track_caller]
    pub(crate) fn wait_for_times(&self, words: &str, times: usize) {
        let begun = Instant::now();
        while self.said().matches(words).count() < times {
            assert!(begun.elapsed() < Duration::from_secs(90), "no `{words}` in\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn wait(mut self) {
        self.child.wait().unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[track_caller]
    pub(crate) fn expect(mut self, code: i32) -> String {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if begun.elapsed() > Duration::from_secs(150) => {
                    self.kill();
                    panic!("it goes on:\n{}", self.said());
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        assert_eq!(status.code(), Some(code), "{}", self.said());
        self.said()
    }
}
