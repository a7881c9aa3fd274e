//! `ablate log -f` follows a node from its first event until it has ended.

use crate::bench::{Bench, SPEC, Said};
use std::process::Command;
use std::time::Duration;

fn follow(bench: &Bench, node: &str) -> std::process::Child {
    bench.start(&["log", "-f", node, "--spec", "spec.yaml"], "")
}

fn wait(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
fn a_running_node_is_followed_until_it_is_published() {
    let bench = Bench::new(SPEC);
    let run = bench.start(&["run", "spec.yaml"], "slow net 150");
    wait(100);
    let log = follow(&bench, "net[schedule=linear,seed=0]");
    let said = Said::of(log.wait_with_output().unwrap()).expect(0);
    let lines: Vec<&str> = said.out.lines().collect();
    for piece in ["2 of 4, loss 0.5000", "4 of 4, loss 0.2500", "saved at 4", "done"] {
        assert!(lines.contains(&piece), "{piece} in\n{}", said.out);
    }
    assert!(lines.last().unwrap().starts_with("finished, in nodes/train-"), "{}", said.out);
    let mut sorted = lines.clone();
    sorted.retain(|line| line.contains(" of 4, loss"));
    assert!(sorted.is_sorted() && sorted.len() == 4, "each event once: {}", said.out);
    Said::of(run.wait_with_output().unwrap()).expect(0);
}

#[test]
fn several_nodes_are_followed_at_once_by_name() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let said = bench.ablate(&["log", "-f", "net", "--spec", "spec.yaml"]).expect(0);
    for piece in ["net[schedule=linear,seed=0]: done", "net[schedule=cosine,seed=1]: finished"] {
        assert!(said.out.contains(piece), "{piece} in\n{}", said.out);
    }
}

#[test]
fn it_ends_when_the_node_fails_for_good_or_nobody_is_left() {
    let bench = Bench::new(SPEC);
    let run = bench.start(
        &["run", "spec.yaml"],
        "slow maps 100;fail net[schedule=linear,seed=0];slow net 200",
    );
    wait(150);
    let log = follow(&bench, "net[schedule=linear,seed=0]");
    let other = follow(&bench, "score");
    let said = Said::of(log.wait_with_output().unwrap()).expect(1);
    assert!(said.out.contains("it has not begun; waiting for it"), "{}", said.out);
    assert!(said.out.contains("failed [bug]: failing as told"), "{}", said.out);
    Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    Said::of(run.wait_with_output().unwrap()).expect(75);
    let said = Said::of(other.wait_with_output().unwrap()).expect(1);
    assert!(said.out.contains("not finished, and nothing runs here"), "{}", said.out);
}

#[test]
fn the_failure_before_a_second_try_is_past() {
    let bench = Bench::new(SPEC);
    let node = "net[schedule=linear,seed=0]";
    bench.ablate_with(&["run", "spec.yaml"], &format!("fail {node}")).expect(1);
    let said = bench.ablate(&["log", "-f", node, "--spec", "spec.yaml"]).expect(1);
    assert!(said.out.contains("failed for good"), "{}", said.out);
    let run = bench.start(&["run", "spec.yaml"], "slow net 300");
    wait(500);
    let said = Said::of(follow(&bench, node).wait_with_output().unwrap()).expect(0);
    assert!(said.out.contains("failed [bug]") && said.out.contains("finished, in"), "{}", said.out);
    Said::of(run.wait_with_output().unwrap()).expect(0);
}
