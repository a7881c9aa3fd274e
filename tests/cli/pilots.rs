//! Pilots without a cluster: a scheduler of three commands of the shell, which starts what it is given at once. What
//! needs Slurm is in tests/slurm.

use crate::bench::{Bench, SPEC, Said};
use std::fs;
use std::time::{Duration, Instant};

const SITE: &str = "\
most: 3
idle: 2s
margin: 5s
patience: 4s
poll: 200ms
devices: cpu:1
commands:
  submit: setsid sh {script} >/dev/null 2>>pilots.log & echo job $!
  alive: kill -0 {id}
  cancel: kill {id}
";

fn bench() -> Bench {
    let bench = Bench::new(SPEC);
    bench.write("site.yaml", SITE);
    bench
}

const RUN: [&str; 4] = ["run", "spec.yaml", "--on", "site.yaml"];

/// Digests of all artefacts.
fn digests(bench: &Bench, results: &str) -> Vec<String> {
    let mut found = vec![];
    for folder in fs::read_dir(bench.path(results).join("nodes")).unwrap() {
        let text = fs::read_to_string(folder.unwrap().path().join("node.json")).unwrap();
        let node: serde_json::Value = serde_json::from_str(&text).unwrap();
        found.push(format!("{} {}", node["name"], node["artefacts"]));
    }
    found.sort();
    found
}

#[test]
fn any_scheduler_that_submits_tells_and_cancels_will_do() {
    let bench = bench();
    let said = bench.ablate_with(&RUN, "slow draw 60").expect(0);
    assert!(said.err.matches("1 pilot submitted as job").count() >= 2, "{}", said.err);
    assert_eq!(said.started(), 21, "{}", said.err);
    bench.ablate(&["run", "spec.yaml", "--results", "local"]).expect(0);
    assert_eq!(digests(&bench, "results"), digests(&bench, "local"));
    bench.ablate(&["verify", "--results", "results"]).expect(0);
}

#[test]
fn a_run_that_is_killed_is_taken_up_and_what_is_cancelled_leaves() {
    let bench = bench();
    let mut run = bench.start(&RUN, "slow net 300");
    let pilots = bench.path("results/pilots/spec");
    let begun = Instant::now();
    let ordered = || {
        let entries = fs::read_dir(&pilots).into_iter().flatten().flatten();
        entries
            .filter(|e| fs::read_dir(e.path().join("in")).is_ok_and(|orders| orders.count() > 0))
            .count()
    };
    while ordered() < 1 {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing was started");
        std::thread::sleep(Duration::from_millis(20));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let said = bench.ablate(&["cancel", "spec.yaml", "--on", "site.yaml"]).expect(0);
    assert!(said.out.contains("cancelled"), "{}", said.out);
    bench.ablate_with(&RUN, "").expect(0);
    let said = bench.ablate(&["query", "SELECT count(*) AS twice FROM attempts WHERE outcome = 'done' GROUP BY node HAVING count(*) > 1", "--csv"]);
    assert_eq!(said.expect(0).out.trim(), "twice");
}

#[test]
fn ticks_move_an_experiment_on_without_anybody_staying() {
    let bench = bench();
    bench.write("site.yaml", &SITE.replace("idle: 2s", "idle: 20s"));
    let tick = || bench.ablate_with(&["tick", "spec.yaml", "--on", "site.yaml"], "slow net 2500");
    let begun = Instant::now();
    let mut ticks = 0;
    let last = loop {
        let said = tick();
        ticks += 1;
        match said.code {
            Some(75) => assert!(begun.elapsed() < Duration::from_secs(120), "{}", said.err),
            _ => break said,
        }
        std::thread::sleep(Duration::from_millis(300));
    };
    assert!(ticks > 1, "one tick did it all");
    assert!(last.expect(0).out.contains("baseline"));
    bench.ablate(&["run", "spec.yaml", "--results", "local"]).expect(0);
    assert_eq!(digests(&bench, "results"), digests(&bench, "local"));
}

#[test]
fn a_plan_for_a_site_shows_what_would_be_submitted() {
    let bench = bench();
    let site = "sbatch: { partition: gpu, gres: 'gpu:h200:1', time: '4:00:00' }\nmost: 8\nmodules: [cuda/12]\n";
    fs::create_dir_all(bench.path("configs/sites")).unwrap();
    bench.write("configs/sites/big.yaml", site);
    let said = bench.ablate(&["plan", "spec.yaml", "--on", "big"]).expect(0);
    for words in [
        "up to 8 pilots at once, each for 4:00:00",
        "#SBATCH --partition=gpu",
        "#SBATCH --array=0-7",
        "module load cuda/12",
    ] {
        assert!(said.out.contains(words), "no `{words}` in\n{}", said.out);
    }
    let said = bench.ablate(&["plan", "spec.yaml", "--on", "big", "--scripts", "made"]).expect(0);
    assert!(said.out.contains("Written to made/pilots.sh"), "{}", said.out);
    let script = fs::read_to_string(bench.path("made/pilots.sh")).unwrap();
    assert!(script.contains("exec srun") && script.contains(" pilot "), "{script}");
    let said = bench.ablate(&["run", "spec.yaml", "--on", "bgi"]).expect(2);
    assert!(
        said.err.contains("there is no site `bgi`") && said.err.contains("big"),
        "{}",
        said.err
    );
    let said = bench.ablate(&["plan", "spec.yaml", "--on", "8yH200"]).expect(2);
    assert!(said.err.contains("names no devices") && said.err.contains("8xH200"), "{}", said.err);
}

#[test]
fn every_site_that_comes_along_is_understood() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/sites");
    let bench = bench();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let said = bench.ablate(&["plan", "spec.yaml", "--on", path.to_str().unwrap()]).expect(0);
        assert!(said.out.contains("#SBATCH --partition="), "{}", said.out);
        count += 1;
    }
    assert!(count >= 4, "{count} sites");
}

#[test]
fn on_a_network_file_system_there_is_one_writer_and_no_shared_memory() {
    let bench = Bench::new(SPEC);
    let network = |arguments: &[&str]| {
        bench.ablate_env(arguments, "ABLATE_NETWORK", std::path::Path::new("1"))
    };
    network(&["run", "spec.yaml"]).expect(0);
    assert!(!bench.path("results/ablate.sqlite-wal").exists());
    let mode: Said = network(&["query", "SELECT journal_mode FROM pragma_journal_mode", "--csv"]);
    assert!(mode.expect(0).out.contains("delete"));
    let bench = Bench::new(SPEC);
    let mut first = bench.start(&["run", "spec.yaml"], "slow net 300");
    let begun = Instant::now();
    while !bench.path("results/workers/core-0.pid").exists() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = bench.ablate_env(&["run", "spec.yaml"], "ABLATE_NETWORK", std::path::Path::new("1"));
    assert!(said.expect(1).err.contains("one at a time"));
    assert!(first.wait().unwrap().success());
}
