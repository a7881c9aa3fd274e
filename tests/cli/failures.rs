//! Every class of failure, provoked in the fake worker: how it is told, what is tried again, what is
//! left out, and that nothing survives its worker.

use crate::bench::{Bench, SPEC, Said};
use ablate::failure::FailureClass;
use std::fs;

/// Runs the spec with orders; what was said, after it has failed once and then gone well.
fn mended(orders: &str) -> Said {
    let bench = Bench::new(SPEC);
    let said = bench.ablate_with(&["run", "spec.yaml"], orders).expect(0);
    bench.ablate(&["verify"]).expect(0);
    said
}

fn told(said: &Said, name: &str, class: FailureClass) -> String {
    let start = format!("FAIL   {name} [{}]", class.word());
    let line = said.err.lines().find(|line| line.contains(&start));
    line.unwrap_or_else(|| panic!("no `{start}` in\n{}", said.err)).to_owned()
}

#[test]
fn a_signal_an_exit_code_and_half_an_event_cost_one_try() {
    let class = FailureClass::WorkerDied;
    for (act, how) in [("die", "signal: 6"), ("exit", "exit status: 3"), ("half", "exit status: 0")]
    {
        let said = mended(&format!("{act} maps 1"));
        let line = told(&said, "maps", class);
        assert!(line.contains(how) && line.ends_with("it is tried again"), "{line}");
        assert_eq!(said.started(), 22, "{}", said.err);
    }
}

#[test]
fn a_worker_that_keeps_dying_is_given_up_after_as_many_tries_as_the_table_says() {
    let bench = Bench::new(SPEC);
    let said = bench.ablate_with(&["run", "spec.yaml"], "exit maps").expect(1);
    assert_eq!(said.started(), FailureClass::WorkerDied.policy().tries as usize, "{}", said.err);
    assert!(said.err.contains("1 node failed, 20 not tried because of that"), "{}", said.err);
}

#[test]
fn a_worker_that_says_nothing_is_killed_with_what_it_has_started() {
    let spec = SPEC.replace("  maps: {", "  maps: { run: { silence: 300ms },");
    let bench = Bench::new(&spec);
    let said = bench.ablate_with(&["run", "spec.yaml"], "hang maps 1").expect(0);
    let line = told(&said, "maps", FailureClass::Silent);
    assert!(line.contains("the worker said nothing for") && line.ends_with("again"), "{line}");
    let nodes = fs::read_dir(bench.path("results/nodes")).unwrap();
    let left = nodes.map(|node| node.unwrap().path().join("child")).find(|file| file.exists());
    let child = fs::read_to_string(left.unwrap()).unwrap();
    let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "the child lives: {state}");
}

#[test]
fn a_machine_without_memory_is_told_from_a_worker_that_crashed() {
    let bench = Bench::new(SPEC);
    let line = "ulimit -v 2000000; ABLATE_FAKE='hoard maps 1' exec ablate run spec.yaml";
    let said = bench.shell(line).expect(0);
    let line = told(&said, "maps", FailureClass::HostMemory);
    assert!(line.contains("memory allocation of") && line.ends_with("again"), "{line}");
}

#[test]
fn a_loss_that_is_no_number_and_an_exception_are_not_tried_again() {
    let bench = Bench::new(SPEC);
    let said =
        bench.ablate_with(&["run", "spec.yaml"], "nan net[schedule=cosine,seed=1]").expect(1);
    told(&said, "net[schedule=cosine,seed=1]", FailureClass::NotANumber);
    assert!(!said.err.contains("tried again"), "{}", said.err);
    // The fake worker does not catch its panics; what they say is in its log.
    let said =
        bench.ablate_with(&["run", "spec.yaml"], "say net[schedule=cosine,seed=1]").expect(1);
    let line = told(&said, "net[schedule=cosine,seed=1]", FailureClass::WorkerDied);
    assert!(line.contains("does not fit"), "{line}");
}

/// Four values on each of two axes and one seed: 16 trainings.
const SQUARE: &str = "\
question: what is left out?
vars: { schedule: linear, rate: 1e-3, seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  net:
    train:
      data: maps
      objective: { ddpm: { schedule: $schedule } }
      optimizer: { adamw: { learning_rate: $rate } }
      steps: 100
      seed: $seed
sweeps:
  main: { product: { rate: [1e-4, 1e-3, 1e-2, 1e-1], schedule: [linear, cosine, quadratic, sigmoid_beta] }, seeds: 2 }
";

#[test]
fn equal_failures_are_told_once_and_stop_the_value_that_they_share() {
    let bench = Bench::new(SQUARE);
    let run = ["run", "spec.yaml", "--jobs", "1"];
    let said = bench.ablate_with(&run, "nan net[rate=0.1").expect(1);
    let full: Vec<&str> =
        said.err.lines().filter(|line| line.contains("the loss became NaN")).collect();
    assert_eq!(full.len(), 1, "{}", said.err);
    assert!(said.err.contains("like 3 others before it"), "{}", said.err);
    let text = "4 nodes net failed alike at rate=0.1, and none went well: 4 more there left out";
    assert!(said.err.contains(text), "{}", said.err);
    // All other rates were run with both seeds, and four of this one were tried.
    assert_eq!(said.started(), 1 + 3 * 4 * 2 + 4, "{}", said.err);
    let all = bench.ablate_with(&[&run[..], &["--alike", "0"]].concat(), "nan net[rate=0.1");
    assert_eq!(all.expect(1).started(), 8);
    assert_eq!(bench.ablate(&run).expect(0).started(), 8, "the next run tries them again");
}

#[test]
fn where_everything_fails_each_value_is_tried_a_few_times() {
    let bench = Bench::new(SQUARE);
    let said = bench.ablate_with(&["run", "spec.yaml", "--jobs", "1"], "nan net").expect(1);
    assert!(said.err.contains("16 nodes failed, 16 not tried because of that"), "{}", said.err);
    assert_eq!(said.started(), 1 + 4 * 4, "every rate with every schedule once: {}", said.err);
}

#[test]
fn a_value_at_which_something_went_well_is_not_left_out() {
    let bench = Bench::new(SQUARE);
    let orders =
        "nan net[rate=0.1,schedule=c;nan net[rate=0.1,schedule=q;nan net[rate=0.1,schedule=s";
    let said = bench.ablate_with(&["run", "spec.yaml", "--jobs", "1"], orders).expect(1);
    assert_eq!(said.started(), 33, "{}", said.err);
}
