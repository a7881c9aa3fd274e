//! Runs that go well, are detached, taken up again, cancelled.

use crate::cluster::Cluster;
use std::time::{Duration, Instant};

#[test]
fn a_run_on_a_cluster_leaves_what_a_run_on_one_machine_leaves() {
    let Some(cluster) = Cluster::up() else { return };
    cluster.site("idle: 4s", "idle: 60s");
    let said = cluster.run("slow draw 30").expect(0);
    assert!(said.err.contains("pilots submitted as job"), "{}", said.err);
    assert!(said.out.contains("baseline"), "{}", said.out);
    cluster.expect_whole();
    let again = cluster.run("").expect(0);
    assert!(again.err.contains("0 nodes to run, 21 finished"), "{}", again.err);
    // Pilots of a finished run do not hold their places.
    let begun = Instant::now();
    while !cluster.running().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", cluster.running());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_detached_run_goes_on_and_is_taken_up_again() {
    let Some(cluster) = Cluster::up() else { return };
    let run = cluster.start("slow net 400");
    run.wait_for_times("start  net", 3);
    run.signal("-INT");
    let said = run.expect(75);
    assert!(said.contains("detached:") && said.contains("`ablate cancel`"), "{said}");
    assert!(!cluster.running().is_empty(), "pilots go on");
    let said = cluster.run("slow net 400").expect(0);
    assert!(said.err.contains("taken up from an earlier run"), "{}", said.err);
    cluster.expect_whole();
}

#[test]
fn programs_run_on_a_cluster_as_they_do_here() {
    let Some(cluster) = Cluster::up() else { return };
    cluster.write(
        "spec.yaml",
        "question: q\nvars: { n: 1 }\nnodes:\n  ext:\n    command:\n      call: 'echo \"{\\\"n\\\": $ABLATE_PARAM_N}\" > \"$ABLATE_OUT/metrics.json\"; echo $SLURM_JOB_ID > \"$ABLATE_OUT/../../job\"'\n      params: { n: $n }\nsweeps: { main: { product: { n: [1, 2, 3] } } }\ntables: { main: { sweep: main, rows: n, columns: [ext.n] } }\n",
    );
    let said = cluster.run("").expect(0);
    assert!(said.out.contains("ext.n"), "{}", said.out);
    let job = std::fs::read_to_string(cluster.path("results/job")).unwrap();
    assert!(job.trim().parse::<u32>().is_ok(), "it ran in a job: {job}");
}

#[test]
fn what_is_cancelled_is_saved_and_leaves_nothing_in_the_queue() {
    let Some(cluster) = Cluster::up() else { return };
    let mut run = cluster.start("slow net 300");
    run.wait_for_times("start  net", 2);
    run.kill();
    let said = cluster.said(&["cancel", "spec.yaml", "--on", "site.yaml"], "").expect(0);
    assert!(said.out.contains("cancelled"), "{}", said.out);
    assert!(cluster.slurm("squeue", &["-h", "-t", "R,PD"]).trim().is_empty());
    cluster.run("").expect(0);
    cluster.expect_whole();
}

#[test]
fn a_second_run_of_the_same_experiment_leaves_the_pilots_to_the_first() {
    let Some(cluster) = Cluster::up() else { return };
    let run = cluster.start("slow net 200");
    run.wait_for("start  net");
    let said = cluster.run("").expect(1);
    assert!(said.err.contains("another `ablate` looks after the pilots of spec"), "{}", said.err);
    run.expect(0);
    cluster.expect_whole();
}
