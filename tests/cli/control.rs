//! What can be asked of a run while it goes on, and runs that no terminal ends.

use crate::bench::{Bench, SPEC, Said};
use std::time::{Duration, Instant};

fn wait(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// The names of the nodes that were started, in order.
fn started(said: &Said) -> Vec<&str> {
    let names = said.err.lines().filter_map(|line| line.split("] start  ").nth(1));
    names.map(|rest| rest.split(' ').next().unwrap()).collect()
}

#[test]
fn a_pause_lets_what_runs_end_and_starts_nothing_more_until_it_is_over() {
    let bench = Bench::new(SPEC);
    let refused = bench.ablate(&["pause"]).expect(2);
    assert!(refused.err.contains("nothing runs in"), "{}", refused.err);
    let run = bench.start(&["run", "spec.yaml"], "slow net 150");
    wait(400);
    assert_eq!(bench.ablate(&["pause"]).expect(0).out, "1 run heard it\n");
    wait(1200);
    let claims = bench.ablate(&["query", "SELECT * FROM claims", "--csv"]).expect(0);
    assert_eq!(claims.out.lines().count(), 1, "nothing runs: {}", claims.out);
    bench.ablate(&["resume"]).expect(0);
    let said = Said::of(run.wait_with_output().unwrap()).expect(0);
    assert_eq!(said.started(), 21, "{}", said.err);
    let line = |text: &str| said.err.lines().position(|line| line.contains(text)).unwrap();
    let (paused, resumed) = (line("paused: nothing more is started"), line("going on"));
    let between = said.err.lines().skip(paused).take(resumed - paused);
    assert_eq!(between.filter(|line| line.contains("start  ")).count(), 0, "{}", said.err);
}

#[test]
fn a_pause_now_saves_what_runs_and_it_goes_on_from_there() {
    let bench = Bench::new(SPEC);
    let run = bench.start(&["run", "spec.yaml", "--jobs", "1"], "slow net 500");
    wait(500);
    bench.ablate(&["pause", "--now"]).expect(0);
    wait(600);
    bench.ablate(&["resume"]).expect(0);
    let said = Said::of(run.wait_with_output().unwrap()).expect(0);
    assert!(said.err.contains("stop   net["), "{}", said.err);
    assert!(said.err.contains("goes on at"), "{}", said.err);
    assert_eq!(said.started(), 22, "{}", said.err);
}

#[test]
fn nodes_that_are_asked_for_first_come_first_with_what_they_need() {
    let bench = Bench::new(SPEC);
    let run = bench.start(
        &["run", "spec.yaml", "--jobs", "1"],
        "slow maps 150;slow net 60;slow draw 60;slow score 60",
    );
    wait(400);
    let wanted = "score.power_spectrum[schedule=cosine,nfe=50,seed=1]";
    bench.ablate(&["first", wanted]).expect(0);
    let said = Said::of(run.wait_with_output().unwrap()).expect(0);
    let order =
        ["maps", "net[schedule=cosine,seed=1]", "draw[schedule=cosine,nfe=50,seed=1]", wanted];
    let started = started(&said);
    let places = order.map(|name| started.iter().position(|started| *started == name).unwrap());
    // While one of them is published the slot takes another node.
    assert!(places.is_sorted() && places[1] == 1 && places[3] <= 6, "{}", said.err);
}

#[test]
fn devices_are_added_and_dropped_while_a_run_goes_on() {
    let bench = Bench::new(SPEC);
    let run = bench.start(&["run", "spec.yaml", "--devices", "cpu:1"], "slow net 100;slow draw 50");
    wait(300);
    bench.ablate(&["devices", "--add", "cpu:3"]).expect(0);
    wait(300);
    bench.ablate(&["devices", "--drop", "core-0"]).expect(0);
    let said = Said::of(run.wait_with_output().unwrap()).expect(0);
    for text in ["core-2 is used from now on", "nothing more is started on core-0"] {
        assert!(said.err.contains(text), "{text} in\n{}", said.err);
    }
    assert_eq!(said.started(), 21, "{}", said.err);
    let used = "SELECT count(DISTINCT slot) FROM claims";
    bench.ablate(&["query", used, "--csv"]).expect(0);
    let logs = std::fs::read_dir(bench.path("results/workers")).unwrap().flatten();
    let logs = logs.filter(|f| f.path().extension().is_some_and(|e| e == "log")).count();
    assert_eq!(logs, 3, "three cores had a worker");
}

#[test]
fn a_detached_run_outlives_its_terminal_and_is_stopped_by_its_name() {
    let bench = Bench::new(SPEC);
    let orders = "slow net 150";
    let said = bench.ablate_with(&["run", "spec.yaml", "--detach"], orders).expect(0);
    assert!(said.out.contains("runs as process"), "{}", said.out);
    wait(500);
    let begun = Instant::now();
    bench.ablate(&["stop"]).expect(0);
    bench.ablate(&["status", "--watch"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(10), "it left in {:?}", begun.elapsed());
    let log = std::fs::read_to_string(bench.path("results/spec/run.log")).unwrap();
    assert!(log.contains("stopped; the same command goes on"), "{log}");
    // A second one goes on; whoever runs the spec meanwhile waits for it and has its answer.
    bench.ablate_with(&["run", "spec.yaml", "--detach"], orders).expect(0);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(said.out.contains("n = 2"), "{}", said.out);
    // What cannot run is told at once.
    bench.write("spec.yaml", &SPEC.replace("width", "breadth").replace("train:", "trian:"));
    bench.ablate(&["run", "spec.yaml", "--detach"]).expect(2);
}
