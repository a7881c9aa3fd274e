//! Resume is exact: worker, coordinator or both are killed at many moments, the same command goes
//! on, and weights, samples and metrics are those of an undisturbed run to the byte.

use crate::project::Project;
use ablate::store::read_node;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
      plateau: { factor: 0.5, patience: 0, improvement: 0.2 }
      seed: $seed
    run: { checkpoint: 0.1s }
  draw: { sample: { from: net, sampler: { ddim: { steps: $nfe, eta: 0.5, clip: 6 } }, count: 10, batch: 4, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
sweeps:
  main: { product: { schedule: [linear, cosine], nfe: [4, 8] }, seeds: 1 }
tables:
  main: { sweep: main, columns: [score.power_spectrum.error] }
";

/// Every digest of every artefact of every node: names of folders and files come with their contents.
fn digests(project: &Project) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(project.path("results/nodes")).unwrap() {
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
fn rows(project: &Project) -> Vec<String> {
    [
        "select key, kind, name, settings, arithmetic, bytes from nodes order by key",
        "select * from metrics order by node, name",
        "select * from series order by node, name, column_name, i",
        "select * from artefacts order by node, path",
        "select node, count(*) from attempts where outcome = 'done' group by node order by node",
    ]
    .map(|statement| project.ablate(&["query", statement, "--csv"]).expect(0).out)
    .to_vec()
}

/// Runs the spec to its end; what was said.
fn finish(project: &Project) -> String {
    project.ablate(&["run", "spec.yaml"]).expect(0).err
}

fn kill(pid: &str) {
    let _ = Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status();
}

/// The workers that a coordinator has started.
fn workers(project: &Project) -> Vec<String> {
    let entries = std::fs::read_dir(project.path("results/workers")).into_iter().flatten();
    let pids = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "pid"));
    pids.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

#[test]
fn after_kills_at_many_moments_everything_is_as_if_nothing_had_happened() {
    let undisturbed = Project::new(SPEC);
    finish(&undisturbed);
    let disturbed = Project::new(SPEC);
    let mut kills = 0;
    for round in 0..60_u64 {
        let mut child = disturbed.start(&["run", "spec.yaml"]);
        // From before the first event to deep inside the run, at moments that share no period.
        std::thread::sleep(Duration::from_millis(120 + round * 137 % 1700));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        match round % 3 {
            0 => workers(&disturbed).iter().for_each(|pid| kill(pid)),
            1 => kill(&child.id().to_string()),
            _ => {
                workers(&disturbed).iter().for_each(|pid| kill(pid));
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
    // Nothing has to be unlocked.
    finish(&disturbed);
    assert_eq!(digests(&undisturbed), digests(&disturbed));
    assert_eq!(rows(&undisturbed), rows(&disturbed));
}

/// Kills a run and its workers once `ready`.
fn kill_when(project: &Project, ready: impl Fn() -> bool) {
    let mut child = project.start(&["run", "spec.yaml"]);
    for _ in 0..4800 {
        if ready() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    assert!(ready(), "the moment never came");
    workers(project).iter().for_each(|pid| kill(pid));
    kill(&child.id().to_string());
    child.wait().unwrap();
}

/// The files below `work/` whose names end like this, sorted.
fn in_work(project: &Project, ending: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(project.path("results/work")).into_iter().flatten();
    let files = folders.filter_map(|e| std::fs::read_dir(e.ok()?.path()).ok()).flatten();
    let mut all: Vec<PathBuf> = files.filter_map(|e| Some(e.ok()?.path())).collect();
    all.retain(|path| path.to_string_lossy().ends_with(ending));
    all.sort();
    all
}

/// A way in which a file comes to harm, by name.
type Harm = (&'static str, fn(&Path));

/// The ways in which a file comes to harm.
const HARMS: [Harm; 4] = [
    ("removed", |path| std::fs::remove_file(path).unwrap()),
    ("truncated", |path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("one byte flipped", flip_a_byte),
    ("zeroed tail", |path| {
        let mut bytes = std::fs::read(path).unwrap();
        let from = bytes.len() - bytes.len().min(64);
        bytes[from..].fill(0);
        std::fs::write(path, bytes).unwrap();
    }),
];

fn flip_a_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_checkpoint_and_its_digest_damaged_in_any_way_cost_at_most_the_steps_since_the_one_before() {
    let undisturbed = Project::new(SPEC);
    finish(&undisturbed);
    let want = digests(&undisturbed);
    for ending in ["safetensors", "blake3", "kept"] {
        for (name, harm) in HARMS {
            let project = Project::new(SPEC);
            let ready = || in_work(&project, ".safetensors").len() >= 3;
            kill_when(&project, ready);
            let newest = in_work(&project, ".safetensors").pop().expect("there are checkpoints");
            let file = newest.with_extension(ending);
            // An empty mark has nothing to flip, and a passing checkpoint has none.
            let harmed = file.metadata().is_ok_and(|meta| meta.len() > 0);
            if harmed {
                harm(&file);
            }
            let verify = project.ablate(&["verify"]);
            let noticed = harmed && !(ending == "safetensors" && name == "removed");
            assert_eq!(verify.code, Some(i32::from(noticed)), "{ending} {name}: {}", verify.out);
            let said = finish(&project);
            assert_eq!(
                said.contains("does not fit its digest"),
                noticed,
                "{ending} {name}: {said}"
            );
            project.ablate(&["verify"]).expect(0);
            assert_eq!(digests(&project), want, "{ending} {name}");
        }
    }
}

#[test]
fn every_real_file_of_a_finished_node_is_looked_at() {
    let project = Project::new(SPEC);
    finish(&project);
    let mut looked = 0;
    for node in ["dataset", "train", "sample", "evaluate"].map(|kind| project.nodes(kind).remove(0))
    {
        for artefact in read_node(&node).unwrap().artefacts {
            let path = node.join(&artefact.path);
            let good = std::fs::read(&path).unwrap();
            for (name, harm) in HARMS {
                harm(&path);
                let found = ablate::store::check(&node);
                assert_eq!(found.len(), 1, "{} {name}: {found:?}", artefact.path);
                std::fs::write(&path, &good).unwrap();
                looked += 1;
            }
        }
        assert!(ablate::store::check(&node).is_empty());
    }
    assert!(looked > 60, "{looked}");
}

#[test]
fn a_checkpoint_damaged_behind_the_back_of_verify_is_named_by_the_training() {
    // Long enough that the kill comes in the middle of it.
    let project = Project::new(&SPEC.replace("steps: 60", "steps: 300"));
    kill_when(&project, || in_work(&project, ".safetensors").len() >= 3);
    let all = in_work(&project, ".safetensors");
    let folder = all[all.len() - 1].parent().unwrap();
    let own: Vec<&PathBuf> = all.iter().filter(|path| path.starts_with(folder)).collect();
    flip_a_byte(own[own.len() - 1]);
    let said = finish(&project);
    assert!(said.contains("passed over a damaged checkpoint"), "{said}");
}

#[test]
fn half_drawn_samples_that_are_damaged_are_drawn_again() {
    // Fifty batches, so that the kill comes long before the last.
    let spec = SPEC.replace("count: 10", "count: 200");
    assert_ne!(spec, SPEC);
    let project = Project::new(&spec);
    let drawing = || {
        let mut all = in_work(&project, "progress.json");
        all.retain(|path| path.to_string_lossy().contains("/sample-"));
        all
    };
    kill_when(&project, || !drawing().is_empty());
    let progress = drawing().remove(0);
    flip_a_byte(&progress.with_file_name("samples.npy"));
    let said = finish(&project);
    assert!(said.contains("samples of an earlier attempt are damaged"), "{said}");
    let undisturbed = Project::new(&spec);
    finish(&undisturbed);
    assert_eq!(digests(&undisturbed), digests(&project));
}

#[test]
fn data_and_measures_do_not_depend_on_the_number_of_threads() {
    let runs = ["1", "3"].map(|threads| {
        let project = Project::new(SPEC);
        let mut command = project.command(&["run", "spec.yaml"]);
        assert!(command.env("RAYON_NUM_THREADS", threads).output().unwrap().status.success());
        digests(&project)
    });
    assert_eq!(runs[0], runs[1]);
}
