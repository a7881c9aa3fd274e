//! Resume is exact: worker, coordinator or both are killed at many moments, the same command goes
//! on, and weights, samples and metrics are those of an undisturbed run to the byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use ablate::store::read_node;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The quickstart in small: two trainings, four samplings in three batches each.
const SPEC: &str = "\
question: is resuming exact?
vars: { schedule: linear, nfe: 4, seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 48, seed: 3, validation: 0.25, test: 0.25 } } }
  net:
    train:
      data: maps
      model: { unet: { width: 8, multipliers: [1, 2], padding: circular } }
      objective: { ddpm: { schedule: $schedule } }
      batch: 5
      steps: 60
      ema: 0.9
      validation: { every: 7, items: 8 }
      seed: $seed
    run: { checkpoint: 0.1s }
  draw: { sample: { from: net, sampler: { ddim: { steps: $nfe, eta: 0.5, clip: 6 } }, count: 10, batch: 4, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
sweeps:
  main: { product: { schedule: [linear, cosine], nfe: [4, 8] }, seeds: 1 }
tables:
  main: { sweep: main, columns: [score.power_spectrum.error] }
";

fn programs() -> (PathBuf, PathBuf) {
    let worker = PathBuf::from(env!("CARGO_BIN_EXE_ablate-worker"));
    let ablate = worker.with_file_name("ablate");
    assert!(ablate.exists(), "{} is built by `make test`", ablate.display());
    (ablate, worker)
}

fn start(folder: &Path) -> Child {
    start_with(folder, "2")
}

/// Starts a run whose data and measures use this many threads.
fn start_with(folder: &Path, threads: &str) -> Child {
    let (ablate, worker) = programs();
    let mut command = Command::new(ablate);
    command
        .args(["run", "spec.yaml"])
        .current_dir(folder)
        .env("ABLATE_WORKER", worker)
        .env("CI", "1");
    command.env("RAYON_NUM_THREADS", threads);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn new_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spec.yaml"), SPEC).unwrap();
    folder
}

/// Every digest of every artefact of every node: names of folders and files come with their contents.
fn digests(folder: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("results/nodes")).unwrap() {
        let path = entry.unwrap().path();
        assert!(ablate::store::check(&path).is_empty(), "{} is damaged", path.display());
        for artefact in read_node(&path).unwrap().artefacts {
            out.insert(
                format!("{}/{}", path.file_name().unwrap().display(), artefact.path),
                artefact.blake3,
            );
        }
    }
    out
}

/// The numbers of the database, times aside.
fn rows(folder: &Path) -> Vec<String> {
    let (ablate, _) = programs();
    let ask = |statement: &str| {
        let output = Command::new(&ablate)
            .args(["query", statement, "--csv"])
            .current_dir(folder)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    vec![
        ask("select key, kind, name, settings, arithmetic, bytes from nodes order by key"),
        ask("select * from metrics order by node, name"),
        ask("select * from series order by node, name, column_name, i"),
        ask("select * from artefacts order by node, path"),
        ask(
            "select node, count(*) from attempts where outcome = 'done' group by node order by node",
        ),
    ]
}

fn kill(pid: &str) {
    let _ = Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status();
}

/// The workers that a coordinator has started.
fn workers(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("results/workers")).into_iter().flatten();
    let pids = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "pid"));
    pids.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

#[test]
fn after_kills_at_many_moments_everything_is_as_if_nothing_had_happened() {
    let undisturbed = new_folder();
    assert!(start(undisturbed.path()).wait().unwrap().success());
    let disturbed = new_folder();
    let mut kills = 0;
    for round in 0..60_u64 {
        let mut child = start(disturbed.path());
        // From before the first event to deep inside the run, at moments that share no period.
        std::thread::sleep(Duration::from_millis(120 + round * 137 % 1700));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        match round % 3 {
            0 => workers(disturbed.path()).iter().for_each(|pid| kill(pid)),
            1 => kill(&child.id().to_string()),
            _ => {
                workers(disturbed.path()).iter().for_each(|pid| kill(pid));
                kill(&child.id().to_string());
            }
        }
        kills += 1;
        if round % 3 == 0 {
            // The coordinator lives on; it may finish, or be killed a little later.
            std::thread::sleep(Duration::from_millis(200));
            kill(&child.id().to_string());
        }
        child.wait().unwrap();
    }
    assert!(kills >= 5, "only {kills} kills: the run is too short to mean anything");
    assert!(start(disturbed.path()).wait().unwrap().success(), "nothing has to be unlocked");
    assert_eq!(digests(undisturbed.path()), digests(disturbed.path()));
    assert_eq!(rows(undisturbed.path()), rows(disturbed.path()));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let folder = new_folder();
    let mut child = start(folder.path());
    let work = folder.path().join("results/work");
    let checkpoints = || -> Vec<PathBuf> {
        let folders =
            std::fs::read_dir(&work).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
        let files = folders.filter_map(|path| std::fs::read_dir(path).ok()).flatten();
        let mut all: Vec<PathBuf> = files.filter_map(|e| Some(e.ok()?.path())).collect();
        all.retain(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
        all.sort();
        all
    };
    for _ in 0..600 {
        if checkpoints().len() >= 3 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    workers(folder.path()).iter().for_each(|pid| kill(pid));
    kill(&child.id().to_string());
    child.wait().unwrap();
    let newest = checkpoints().pop().expect("there are checkpoints");
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let (ablate, worker) = programs();
    let mut command = Command::new(ablate);
    command
        .args(["run", "spec.yaml"])
        .current_dir(folder.path())
        .env("ABLATE_WORKER", worker)
        .env("CI", "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("passed over a damaged checkpoint"), "{said}");
    let undisturbed = new_folder();
    assert!(start(undisturbed.path()).wait().unwrap().success());
    assert_eq!(digests(undisturbed.path()), digests(folder.path()));
}

#[test]
fn a_finished_training_made_longer_equals_one_of_that_length_from_the_start() {
    let longer = SPEC.replace("steps: 60", "steps: 75");
    let extended = new_folder();
    assert!(start(extended.path()).wait().unwrap().success());
    std::fs::write(extended.path().join("spec.yaml"), &longer).unwrap();
    assert!(start(extended.path()).wait().unwrap().success());
    let direct = new_folder();
    std::fs::write(direct.path().join("spec.yaml"), &longer).unwrap();
    assert!(start(direct.path()).wait().unwrap().success());
    let (all, direct) = (digests(extended.path()), digests(direct.path()));
    let same: BTreeMap<String, String> =
        all.into_iter().filter(|(path, _)| direct.contains_key(path)).collect();
    assert_eq!(same, direct);
}

#[test]
fn data_and_measures_do_not_depend_on_the_number_of_threads() {
    let runs = ["1", "3"].map(|threads| {
        let folder = new_folder();
        assert!(start_with(folder.path(), threads).wait().unwrap().success());
        digests(folder.path())
    });
    assert_eq!(runs[0], runs[1]);
}
