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
        "up to 8 pilots at once, each for 4 h 0 min",
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

#[test]
fn cancelling_ends_a_run_that_looks_after_pilots() {
    let bench = bench();
    let mut run = bench.start(&RUN, "slow net 300");
    let pilots = bench.path("results/pilots/spec");
    let folders = || fs::read_dir(&pilots).into_iter().flatten().flatten();
    until("a pilot is there", || folders().any(|entry| entry.path().join("alive").exists()));
    let status = || bench.ablate(&["status", "--results", "results"]).expect(0).out;
    until("pilots are told of", || status().contains("on a cluster"));
    let said = bench.ablate(&["cancel", "spec.yaml", "--on", "site.yaml"]).expect(0);
    assert!(said.out.contains("cancelled"), "{}", said.out);
    // What looks after them ends too, and asks for no more.
    assert_eq!(run.wait().unwrap().code(), Some(1));
    let stays =
        folders().filter(|e| e.path().join("in").exists() && !e.path().join("gone").exists());
    assert_eq!(stays.count(), 0);
    let begun = Instant::now();
    bench.ablate(&["cancel", "spec.yaml", "--on", "site.yaml"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(30), "there is nobody to wait for");
    bench.ablate_with(&RUN, "").expect(0);
}

/// How the site starts a script.
const START: &str = "setsid sh {script} >/dev/null 2>>pilots.log &";

/// The same, but that this is done first where the job is for one node.
fn own_jobs(first: &str) -> String {
    let start = START.trim_end_matches(" &");
    format!("(if grep -q -e --own {{script}}; then {first}; fi; {start}) >/dev/null 2>&1 &")
}

/// The spec with trainings that ask for jobs of their own.
fn with_own_jobs() -> Bench {
    let train = "    train: { data: maps";
    let spec = SPEC.replace(train, &format!("    run: {{ own_job: true }}\n{train}"));
    let bench = Bench::new(&spec);
    bench.write("site.yaml", SITE);
    bench
}

#[test]
fn a_node_that_asks_for_it_gets_a_job_of_its_own() {
    let bench = with_own_jobs();
    let said = bench.ablate_with(&RUN, "").expect(0);
    assert_eq!(
        said.err.matches("a pilot for one node submitted as job").count(),
        4,
        "{}",
        said.err
    );
    assert_eq!(said.started(), 21, "{}", said.err);
    let trainings = said.err.lines().filter(|line| line.contains("a core of own-"));
    assert_eq!(trainings.count(), 4, "{}", said.err);
    bench.ablate(&["run", "spec.yaml", "--results", "local"]).expect(0);
    assert_eq!(digests(&bench, "results"), digests(&bench, "local"));
    let left = fs::read_dir(bench.path("results/pilots/spec")).unwrap().flatten();
    let left: Vec<_> =
        left.filter(|e| e.file_name().to_string_lossy().starts_with("own-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_order_in_the_queue_is_done_whether_anybody_looks_after_it_or_not() {
    let bench = with_own_jobs();
    bench.write("site.yaml", &SITE.replace(START, &own_jobs("sleep 3")));
    let mut run = bench.start(&RUN, "");
    let pilots = bench.path("results/pilots/spec");
    let submitted = || {
        let text = fs::read_to_string(pilots.join("submitted")).unwrap_or_default();
        let names = text.lines().filter_map(|line| line.split('=').next());
        names.filter(|name| name.starts_with("own-")).map(|n| pilots.join(n)).collect::<Vec<_>>()
    };
    until("a node waits in the queue", || {
        submitted().iter().any(|folder| folder.exists() && !folder.join("begun").exists())
    });
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(submitted().iter().any(|folder| !folder.join("begun").exists()), "nothing waits");
    until("the queue is done", || submitted().iter().all(|folder| folder.join("gone").exists()));
    let said = bench.ablate_with(&RUN, "").expect(0);
    assert!(said.err.contains("taken up from an earlier run"), "{}", said.err);
    let said = bench.ablate(&["query", "SELECT count(*) AS twice FROM attempts WHERE outcome = 'done' GROUP BY node HAVING count(*) > 1", "--csv"]);
    assert_eq!(said.expect(0).out.trim(), "twice");
    bench.ablate(&["run", "spec.yaml", "--results", "local"]).expect(0);
    assert_eq!(digests(&bench, "results"), digests(&bench, "local"));
}

#[test]
fn jobs_of_one_node_that_never_begin_are_not_asked_for_for_ever() {
    let bench = with_own_jobs();
    // What is for one node is taken and forgotten.
    let site = SITE.replace(START, &own_jobs("exit"));
    bench.write("site.yaml", &site.replace("poll: 200ms", "poll: 100ms"));
    let said = bench.ablate_with(&RUN, "").expect(1);
    assert!(said.err.contains("3 pilots in a row ended before they said anything"), "{}", said.err);
    let claims = bench.ablate(&["query", "SELECT count(*) AS n FROM attempts", "--csv"]).expect(0);
    assert!(!claims.out.contains("failed"), "{}", claims.out);
    bench.write("site.yaml", SITE);
    bench.ablate_with(&RUN, "").expect(0);
}

#[test]
fn nodes_go_to_the_pools_that_take_them() {
    let bench = bench();
    bench.write(
        "site.yaml",
        &format!("{SITE}pools:\n  measures: {{ kinds: [evaluate], most: 1 }}\n"),
    );
    let said = bench.ablate_with(&RUN, "").expect(0);
    let of = |kind: &str| {
        let lines =
            said.err.lines().filter(|line| line.contains("a core of ") && line.contains(kind));
        lines.map(|line| line.contains("of measures-")).collect::<Vec<_>>()
    };
    assert!(!of("score").is_empty() && of("score").iter().all(|is| *is), "{}", said.err);
    assert!(!of("net").is_empty() && !of("net").iter().any(|is| *is), "{}", said.err);
    let plan =
        bench.ablate(&["plan", "spec.yaml", "--on", "site.yaml", "--seeds", "0-4"]).expect(0);
    assert!(plan.out.contains("measures: 12 nodes, up to 1 pilot at once"), "{}", plan.out);
    assert!(plan.out.contains(" --pool measures"), "{}", plan.out);
    bench.write("site.yaml", &format!("{SITE}pools: {{ a-b: {{ kinds: [mesure] }} }}\n"));
    let said = bench.ablate(&["plan", "spec.yaml", "--on", "site.yaml"]).expect(2);
    assert!(said.err.contains("cannot be the name of a pool"), "{}", said.err);
    bench.write("site.yaml", &format!("{SITE}pools: {{ b: {{ kinds: [mesure] }} }}\n"));
    let said = bench.ablate(&["plan", "spec.yaml", "--on", "site.yaml"]).expect(2);
    assert!(said.err.contains("`mesure` is no kind of node"), "{}", said.err);
}

#[test]
fn where_jobs_may_submit_jobs_one_tick_is_enough() {
    let bench = bench();
    // Without work pilots leave soon, and nobody looks after them but they themselves.
    bench.write("site.yaml", &SITE.replace("idle: 2s", "idle: 300ms\nnodes_submit: true"));
    let said = bench.ablate_with(&["tick", "spec.yaml", "--on", "site.yaml"], "slow net 1300");
    assert_eq!(said.code, Some(75), "{}", said.err);
    until("the table is there", || bench.path("results/spec/tables/main.tex").exists());
    bench.ablate(&["run", "spec.yaml", "--results", "local"]).expect(0);
    assert_eq!(digests(&bench, "results"), digests(&bench, "local"));
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came to that: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
