//! Jobs of one node, and pools.

use crate::cluster::{Cluster, SITE, SPEC};
use std::time::{Duration, Instant};

/// Trainings get jobs of their own; what else there is goes to pilots without a GPU.
fn cluster(options: &str) -> Option<Cluster> {
    let cluster = Cluster::up()?;
    let train = "    train: {";
    assert!(SPEC.contains(train));
    cluster.write(
        "spec.yaml",
        &SPEC.replace(train, &format!("    run: {{ own_job: true }}\n{train}")),
    );
    write_site(&cluster, options);
    Some(cluster)
}

/// A site whose jobs of one node have further options.
fn write_site(cluster: &Cluster, options: &str) {
    let gpu = "gres: 'gpu:1'";
    assert!(SITE.contains(gpu));
    let pools = "pools:\n  small: { kinds: [dataset, sample, evaluate], most: 2, sbatch: { partition: main, mem: 200, time: 10 } }\n";
    cluster.write("site.yaml", &(SITE.replace(gpu, &format!("{gpu}{options}")) + pools));
}

#[test]
fn jobs_of_one_node_and_pools_leave_what_a_run_on_one_machine_leaves() {
    let Some(cluster) = cluster("") else { return };
    let said = cluster.run("slow draw 30").expect(0);
    assert_eq!(said.err.matches("a pilot for one node submitted").count(), 4, "{}", said.err);
    let starts = |word: &str| {
        let lines = said.err.lines().filter(|line| line.contains("start  ") && line.contains(word));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(starts("net[").iter().all(|line| line.contains(" of own-")), "{}", said.err);
    assert!(starts("score").iter().all(|line| line.contains(" of small-")), "{}", said.err);
    cluster.expect_whole();
}

#[test]
fn a_job_of_one_node_that_somebody_cancels_is_saved_and_gets_another() {
    let Some(cluster) = cluster("") else { return };
    let run = cluster.start("slow net 400");
    run.wait_for_times("start  net", 2);
    let own = cluster.slurm("squeue", &["-h", "-t", "R", "-o", "%i %j"]);
    let own = own.lines().find(|line| line.contains("-own-")).unwrap().split(' ').next().unwrap();
    cluster.slurm("scancel", &[own]);
    let said = run.expect(0);
    assert!(said.contains("the scheduler takes it back"), "{said}");
    assert!(said.matches("a pilot for one node submitted").count() > 4, "{said}");
    cluster.expect_whole();
}

#[test]
fn orders_in_the_queue_are_done_while_nobody_looks() {
    let Some(cluster) = cluster(", hold: true") else { return };
    let mut run = cluster.start("");
    run.wait_for_times("a pilot for one node submitted", 3);
    run.kill();
    let held = cluster.slurm("squeue", &["-h", "-t", "PD", "-o", "%i %j"]);
    let held: Vec<&str> = held.lines().filter(|line| line.contains("-own-")).collect();
    let held: Vec<&str> = held.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(held.len() >= 3, "{held:?}");
    // One of them somebody cancels; the others have their turn.
    cluster.slurm("scancel", &[held[0]]);
    held[1..].iter().for_each(|job| drop(cluster.slurm("scontrol", &["release", job])));
    let begun = Instant::now();
    while !cluster.slurm("squeue", &["-h", "-t", "R,PD,CG"]).trim().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(40), "they do not end");
        std::thread::sleep(Duration::from_millis(100));
    }
    write_site(&cluster, "");
    let said = cluster.run("").expect(0);
    assert!(said.err.contains("taken up from an earlier run"), "{}", said.err);
    assert!(!said.err.contains("FAIL "), "{}", said.err);
    cluster.expect_whole();
}
