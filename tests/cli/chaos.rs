//! Kills at every named moment, and at any other: what is left when the same command has been given often
//! enough is what an undisturbed run leaves. The long form, with the real worker, is in benches/chaos.

use crate::bench::Bench;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Seven nodes, two of them lengths of one trajectory.
const SMALL: &str = "\
question: does it survive?
vars: { steps: 100, seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  net: { train: { data: maps, objective: { ddpm: {} }, steps: $steps, seed: $seed } }
  draw: { sample: { from: net, sampler: { ddim: { steps: 10, clip: 1 } }, count: 8, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
sweeps:
  main: { product: { steps: [50, 100] } }
tables:
  main: { sweep: main, columns: [score.power_spectrum.error] }
";

/// Moments of the coordinator, then of the worker.
const COORDINATOR: [&str; 12] = [
    "within claim",
    "after claim",
    "before job.json",
    "after job.json",
    "before node.json",
    "after node.json",
    "after attempt",
    "before publish",
    "after publish",
    "within rows",
    "after rows",
    "after release",
];
const WORKER: [&str; 1] = ["within event"];

/// Every file of every finished node that a reader may rely on, and every row, times aside.
fn left(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let mut left = BTreeMap::new();
    let nodes = bench.path("results/nodes");
    for folder in fs::read_dir(&nodes).unwrap() {
        let folder = folder.unwrap().path();
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !["log.txt", "events.jsonl", "costs.json"].contains(&name) {
                let inside = path.strip_prefix(&nodes).unwrap().display().to_string();
                left.insert(inside, fs::read(&path).unwrap());
            }
        }
    }
    for (table, order) in [
        ("experiments", "name"),
        ("points", "point, declared"),
        ("coordinates", "point, axis"),
        ("nodes", "key"),
        ("edges", "node, role, input"),
        ("metrics", "node, name"),
        ("series", "node, name, column_name, i"),
        ("artefacts", "node, path"),
        ("claims", "name"),
        ("damage", "folder"),
    ] {
        // Costs, logs and events differ from run to run.
        let but = match table {
            "artefacts" => "WHERE path NOT IN ('log.txt', 'events.jsonl', 'costs.json')",
            _ => "",
        };
        let columns = match table {
            "experiments" => "name, question, seeds",
            "nodes" => "key, kind, name, folder, settings, identity, arithmetic",
            _ => "*",
        };
        let rows = format!("SELECT {columns} FROM {table} {but} ORDER BY {order}");
        let said = bench.ablate(&["query", &rows, "--csv"]).expect(0);
        left.insert(format!("table {table}"), said.out.into_bytes());
    }
    left
}

#[track_caller]
fn same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>, when: &str) {
    let names = |left: &BTreeMap<String, Vec<u8>>| left.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "{when}");
    for (name, bytes) in one {
        let (one, other) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&other[name]));
        assert_eq!(one, other, "{name}, {when}");
    }
}

/// No node that was done once ran again.
#[track_caller]
fn ran_once(bench: &Bench, when: &str) {
    let twice = "SELECT node, count(*) FROM attempts WHERE outcome = 'done' GROUP BY node HAVING count(*) > 1";
    let said = bench.ablate(&["query", twice, "--csv"]).expect(0);
    assert_eq!(said.out.lines().count(), 1, "{when}: {}", said.out);
}

fn undisturbed() -> BTreeMap<String, Vec<u8>> {
    let bench = Bench::new(SMALL);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    left(&bench)
}

#[test]
fn a_kill_at_any_named_moment_costs_nothing_but_time() {
    let wanted = undisturbed();
    let all = COORDINATOR.iter().map(|moment| (moment, true));
    let all: Vec<_> = all.chain(WORKER.iter().map(|moment| (moment, false))).collect();
    for (moment, is_coordinator) in all {
        for times in [1, 3] {
            let when = format!("killed the time {times} of `{moment}`");
            let bench = Bench::new(SMALL);
            let order = bench.path("kill");
            fs::write(&order, format!("{times} {moment}")).unwrap();
            let said = bench.ablate_env(&["run", "spec.yaml"], "ABLATE_KILL", &order);
            assert!(!order.exists(), "{when}: it never came to that");
            assert_eq!(said.code, (!is_coordinator).then_some(0), "{when}: {}", said.err);
            bench.ablate(&["run", "spec.yaml"]).expect(0);
            same(&left(&bench), &wanted, &when);
            ran_once(&bench, &when);
            bench.ablate(&["verify"]).expect(0);
        }
    }
}

#[test]
fn a_sealed_node_whose_worker_lingers_is_not_read_before_it_is_published() {
    let bench = Bench::new(SMALL);
    let order = bench.path("kill");
    fs::write(&order, "1 after node.json").unwrap();
    let line =
        format!("ABLATE_KILL={} ABLATE_FAKE='linger 1500' ablate run spec.yaml", order.display());
    // The shell is replaced by the program, which a signal ends.
    assert_eq!(bench.shell(&format!("exec env {line}")).code, None);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    same(&left(&bench), &undisturbed(), "after a kill of the coordinator alone");
}

fn kill(pid: &str) {
    // It may be gone already.
    let _ = Command::new("kill").args(["-9", pid]).stderr(std::process::Stdio::null()).status();
}

fn workers(results: &Path) -> Vec<String> {
    let entries = fs::read_dir(results.join("workers")).into_iter().flatten().flatten();
    let pids = entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "pid"));
    pids.filter_map(|path| fs::read_to_string(path).ok()).collect()
}

#[test]
fn kills_at_random_instants_of_either_or_both_leave_what_an_undisturbed_run_leaves() {
    let wanted = undisturbed();
    // Fixed instants from a small generator: a failure can be looked at again.
    let mut state = 7u64;
    let mut next = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % n
    };
    let mut kills = 0;
    while kills < 20 {
        let bench = Bench::new(SMALL);
        // Longer than the whole takes otherwise, so that most kills meet something at work.
        loop {
            let mut child =
                bench.start(&["run", "spec.yaml"], "slow net 20;slow maps 20;slow draw 20");
            std::thread::sleep(Duration::from_millis(40 + next(500)));
            let ended = child.try_wait().unwrap();
            let victims = next(3);
            if ended.is_none() && victims != 1 {
                child.kill().unwrap();
            }
            if ended.is_none() && victims != 0 {
                workers(&bench.path("results")).iter().for_each(|pid| kill(pid));
            }
            kills += u32::from(ended.is_none());
            if child.wait().unwrap().code() == Some(0) {
                break;
            }
        }
        same(&left(&bench), &wanted, &format!("after {kills} kills"));
        ran_once(&bench, &format!("after {kills} kills"));
        bench.ablate(&["verify"]).expect(0);
    }
}
