//! What a plan foretells, and what a node says when it is asked why.

use crate::bench::{Bench, SPEC};
use serde_json::Value;
use std::time::{Duration, Instant};

fn json(bench: &Bench, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["plan", "spec.yaml", "--json"].iter().chain(arguments).copied().collect();
    serde_json::from_str(&bench.ablate(&all).expect(0).out).unwrap()
}

#[test]
fn without_history_the_cost_is_unknown_and_with_it_it_is_foretold_and_scored() {
    let bench = Bench::new(SPEC);
    let fresh = bench.ablate(&["plan", "spec.yaml"]).expect(0).out;
    assert!(fresh.contains("Unknown duration") && fresh.contains("4 train, 8 sample"), "{fresh}");
    assert_eq!(json(&bench, &[])["finish_seconds"], Value::Null);
    bench.ablate_with(&["run", "spec.yaml", "--seeds", "0"], "slow net 20").expect(0);
    let plan = json(&bench, &[]);
    let train = &plan["kinds"]["train"];
    assert_eq!((&train["to_run"], &train["finished"]), (&2.into(), &2.into()));
    assert_eq!(train["without_sharing"], 8);
    // Four steps of 20 ms are a part of a hundred steps.
    let each = train["device_seconds"]["seconds"].as_f64().unwrap() / 2.0;
    assert!((1.9..20.0).contains(&each), "{each}");
    let finish = plan["finish_seconds"]["seconds"].as_f64().unwrap();
    assert!(finish >= each && finish <= plan["device_seconds"]["seconds"].as_f64().unwrap() + 1e-6);
    let path = plan["longest_path"]["nodes"].as_array().unwrap();
    assert_eq!(path.len(), 3, "{path:?}");
    assert!(plan["bytes"].as_f64().unwrap() > 0.0);
    let second = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(
        second.err.contains("expected ") && second.err.contains("The last estimate"),
        "{}",
        second.err
    );
    assert_eq!(json(&bench, &[])["estimate_errors"].as_array().unwrap().len(), 1);
}

#[test]
fn more_devices_finish_sooner_and_other_devices_are_unknown() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml", "--seeds", "0"]).expect(0);
    let finish = |on: &str| json(&bench, &["--on", on])["finish_seconds"]["seconds"].as_f64();
    let (one, eight) = (finish("1xcpu").unwrap(), finish("8xcpu").unwrap());
    assert!(eight < 0.8 * one, "{one} {eight}");
    assert_eq!(finish("8xH200"), None);
    let wrong = bench.ablate(&["plan", "spec.yaml", "--on", "many"]).expect(2);
    assert!(wrong.err.contains("8xH200 or 4xcpu"), "{}", wrong.err);
}

#[test]
fn work_of_another_size_is_estimated_by_its_kin() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml", "--seeds", "0"]).expect(0);
    let estimate = |spec: &str| {
        bench.write("spec.yaml", spec);
        let plan = json(&bench, &[]);
        let seconds = &plan["kinds"]["train"]["device_seconds"];
        let n = plan["kinds"]["train"]["to_run"].as_f64().unwrap();
        ["seconds", "low", "high"].map(|end| seconds[end].as_f64().unwrap() / n)
    };
    let [same, low, high] = estimate(SPEC);
    let wide = SPEC.replace("steps: 100,", "model: { unet: { width: 64 } }, steps: 100,");
    let [kin, kin_low, kin_high] = estimate(&wide);
    assert!((3.9..4.1).contains(&(kin / same)), "four times the load: {same} {kin}");
    assert!(kin_high / kin_low > high / low, "kin tell less");
}

#[test]
fn what_failed_is_told_with_what_it_blocks() {
    let bench = Bench::new(SPEC);
    bench.ablate_with(&["run", "spec.yaml"], "fail net[schedule=cosine").expect(1);
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0).out;
    assert!(
        plan.contains("net[schedule=cosine,seed=0]  new; it failed last time")
            || plan.contains("it failed last time"),
        "{plan}"
    );
    assert!(plan.contains("2 nodes failed last time, 8 behind"), "{plan}");
    let why = bench.ablate(&["why", "net[schedule=cosine,seed=1]"]).expect(0).out;
    assert!(why.contains("1 other node failed with the same message"), "{why}");
    let behind = bench.ablate(&["why", "draw[schedule=cosine,nfe=10,seed=1]"]).expect(0).out;
    assert!(behind.contains("it is blocked: net[schedule=cosine,seed=1] failed [bug]"), "{behind}");
}

#[test]
fn while_a_run_goes_on_a_node_says_which_input_or_slot_it_waits_for() {
    let bench = Bench::new(SPEC);
    let mut child = bench.start(&["run", "spec.yaml", "--jobs", "1"], "slow net 1500");
    let begun = Instant::now();
    let why = |node: &str| bench.ablate(&["why", node, "--spec", "spec.yaml"]).expect(0).out;
    let running = loop {
        let nets = why("net");
        if let Some(line) = nets.lines().find(|line| line.contains("runs now, on the slot core-0"))
        {
            break line.split(" runs").next().unwrap().to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing runs: {nets}");
        std::thread::sleep(Duration::from_millis(30));
    };
    let nets = why("net");
    assert!(nets.contains(&format!("it waits for a slot: core-0 has {running}")), "{nets}");
    let draws = why("draw");
    assert!(
        draws.contains(&format!("it waits for {running}, which runs on the slot core-0")),
        "{draws}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_budget_takes_what_fits_seeds_first_and_says_what_will_be_complete() {
    let bench = Bench::new(&SPEC.replace("seeds: 2", "seeds: 3"));
    bench
        .ablate_with(
            &["run", "spec.yaml", "--seeds", "0", "--where", "schedule == linear"],
            "slow net 1500",
        )
        .expect(0);
    let whole = json(&bench, &[])["device_seconds"]["seconds"].as_f64().unwrap();
    let some = format!("{}s", 0.45 * whole);
    let said = bench.ablate(&["run", "spec.yaml", "--budget", &some]).expect(75);
    assert!(said.err.contains("by then ") && said.err.contains("seed 0: 4 of 4"), "{}", said.err);
    assert!(said.err.contains("left for later"), "{}", said.err);
    assert!(said.out.contains("Partial"), "{}", said.out);
    let done = json(&bench, &["--seeds", "0"]);
    assert_eq!(done["kinds"]["evaluate"]["to_run"], 0, "all of seed 0 is there");
    assert!(json(&bench, &[])["kinds"]["train"]["to_run"].as_u64().unwrap() > 0);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    for (option, wrong) in [("--budget", "much"), ("--deadline", "soon")] {
        let said = bench.ablate(&["run", "spec.yaml", option, wrong]).expect(2);
        assert!(said.err.contains("is no time"), "{}", said.err);
    }
}

#[test]
fn a_deadline_ends_a_run_whose_cost_is_unknown() {
    let bench = Bench::new(SPEC);
    let begun = Instant::now();
    let said =
        bench.ablate_with(&["run", "spec.yaml", "--deadline", "1s"], "slow net 3000").expect(75);
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert!(
        said.err.contains("is unknown") && said.err.contains("the deadline is reached"),
        "{}",
        said.err
    );
    bench.ablate(&["run", "spec.yaml"]).expect(0);
}

#[test]
fn a_spec_that_is_edited_while_it_runs_is_reconciled_and_no_node_runs_twice() {
    let bench = Bench::new(SPEC);
    let first = bench.start(&["run", "spec.yaml", "--jobs", "1"], "slow net 150");
    std::thread::sleep(Duration::from_millis(500));
    bench.write("spec.yaml", &SPEC.replace("nfe: [10, 50]", "nfe: [10, 50, 70]"));
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    crate::bench::Said::of(first.wait_with_output().unwrap()).expect(0);
    let twice = "select count(*) from (select node from attempts where outcome = 'done' group by node having count(*) > 1)";
    assert_eq!(bench.ablate(&["query", twice, "--csv"]).expect(0).out.lines().nth(1), Some("0"));
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
    let status = bench.ablate(&["status"]).expect(0).out;
    assert!(status.contains("spec: 29/29"), "{status}");
}

#[test]
fn seeds_are_topped_up_where_a_difference_may_be_none_and_nowhere_else() {
    let spec = SPEC.replace(
        "product: { schedule: [linear, cosine], nfe: [10, 50] }",
        "product: { schedule: [linear, cosine], nfe: [10, 50, 60] }",
    );
    let bench = Bench::new(&spec);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let said = bench.ablate(&["run", "spec.yaml", "--topup", "4"]).expect(0);
    assert!(said.err.contains("; one more seed"), "{}", said.err);
    let counts = "select c.value || ' ' || d.value, count(*) from points p
        join coordinates c on c.experiment = p.experiment and c.point = p.point and c.axis = 'schedule'
        join coordinates d on d.experiment = p.experiment and d.point = p.point and d.axis = 'nfe'
        where p.declared = 'draw' group by 1 order by 1";
    let rows = bench.ablate(&["query", counts, "--csv"]).expect(0).out;
    let count = |line: &str| line.rsplit(',').next().unwrap().parse().unwrap();
    let seeds: Vec<u32> = rows.lines().skip(1).map(count).collect();
    assert_eq!(seeds.len(), 6, "{rows}");
    assert!(seeds.iter().all(|n| (2..=4).contains(n)) && seeds.contains(&4), "{rows}");
    // Every row is decided, or has all the seeds that it may have; and a second time adds none.
    let again = bench.ablate(&["run", "spec.yaml", "--topup", "4"]).expect(0);
    assert_eq!(again.started(), 0, "{}", again.err);
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
    let clean = bench.ablate(&["clean"]).expect(0).out;
    assert!(!clean.contains("train-"), "the added seeds are wanted: {clean}");
    let none = Bench::new(&SPEC.replace(", versus: baseline", ""));
    let said = none.ablate(&["run", "spec.yaml", "--topup", "3"]).expect(2);
    assert!(said.err.contains("no table of the spec compares with the baseline"), "{}", said.err);
}
