//! What goes wrong on clusters, and to coordinators.

use crate::cluster::Cluster;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn a_coordinator_may_be_killed_at_every_step() {
    let Some(cluster) = Cluster::up() else { return };
    let order = cluster.path("kill");
    // The names of its orders begin with the time of its start, those of reports with zeros.
    for moment in [
        "1 within claim",
        "2 after claim",
        "2 before job.json",
        "3 after job.json",
        "2 before 1",
        "3 after 1",
        "2 after attempt",
        "1 before publish",
        "2 after publish",
        "1 within rows",
        "2 after rows",
        "2 after release",
        "1 before submitted",
        "1 after submitted",
    ] {
        fs::write(&order, moment).unwrap();
        let run = cluster.start_with("slow net 20", &[("ABLATE_KILL", &order)]);
        let begun = Instant::now();
        let mut run = run;
        while order.exists() && begun.elapsed() < Duration::from_secs(10) && !run.is_over() {
            std::thread::sleep(Duration::from_millis(20));
        }
        if run.is_over() && order.exists() {
            break;
        }
        run.wait();
    }
    let _ = fs::remove_file(&order);
    cluster.run("").expect(0);
    cluster.expect_whole();
}

#[test]
fn a_power_cut_of_a_node_costs_what_ran_there() {
    let Some(cluster) = Cluster::up() else { return };
    let run = cluster.start("slow net 500");
    run.wait_for_times("start  net", 2);
    let node = cluster.node_of(&cluster.running()[0]);
    cluster.node("fail", &node);
    let said = run.expect(0);
    assert!(said.contains("[node_fault]") || said.contains("[preempted]"), "{said}");
    cluster.expect_whole();
}

#[test]
fn a_network_cut_leaves_two_copies_and_one_result() {
    let Some(cluster) = Cluster::up() else { return };
    let run = cluster.start("slow net 1500");
    run.wait_for_times("start  net", 2);
    let node = cluster.node_of(&cluster.running()[0]);
    // The job runs on, and Slurm will start it again elsewhere.
    cluster.node("cut", &node);
    let said = run.expect(0);
    assert!(!said.contains("FAIL "), "what it does is saved, not lost: {said}");
    cluster.expect_whole();
}

#[test]
fn a_preempted_pilot_saves_and_its_nodes_go_on_elsewhere() {
    let Some(cluster) = Cluster::up() else { return };
    cluster.site("partition: main, gres: 'gpu:1'", "partition: spot, gres: 'gpu:2'");
    let run = cluster.start("slow net 400");
    run.wait_for_times("start  net", 2);
    // Somebody more important wants every GPU of three nodes for a moment.
    cluster.slurm("sbatch", &["-p", "main", "-N", "3", "--gres=gpu:2", "--wrap", "srun sleep 3"]);
    run.wait_for("the scheduler takes it back");
    let said = run.expect(0);
    assert!(said.contains("stop   net"), "{said}");
    assert!(!said.contains("FAIL "), "{said}");
    cluster.expect_whole();
}

#[test]
fn a_requeued_job_saves_and_comes_back() {
    let Some(cluster) = Cluster::up() else { return };
    let run = cluster.start("slow net 400");
    run.wait_for_times("start  net", 2);
    cluster.slurm("scontrol", &["requeue", &cluster.running()[0]]);
    let said = run.expect(0);
    assert!(!said.contains("FAIL "), "{said}");
    cluster.expect_whole();
}

#[test]
fn a_job_that_somebody_cancels_is_done_by_others() {
    let Some(cluster) = Cluster::up() else { return };
    let run = cluster.start("slow net 400");
    run.wait_for_times("start  net", 2);
    cluster.slurm("scancel", &["--signal=KILL", "--full", &cluster.running()[0]]);
    cluster.slurm("scancel", &["--signal=KILL", &cluster.running()[0]]);
    run.expect(0);
    cluster.expect_whole();
}

#[test]
fn results_arrive_while_the_scheduler_is_away() {
    let Some(cluster) = Cluster::up() else { return };
    let run = cluster.start("slow net 900;slow draw 1200");
    run.wait_for_times("start  net", 3);
    cluster.stop_controller();
    let before = run.said().matches("done ").count();
    run.wait_for_times("done ", before + 4);
    run.wait_for("what runs goes on");
    std::thread::sleep(Duration::from_secs(12));
    cluster.start_controller();
    run.expect(0);
    cluster.expect_whole();
}

#[test]
fn a_job_that_slurm_has_forgotten_is_not_waited_for_for_ever() {
    let Some(cluster) = Cluster::up_with(&[("SLURM_MINJOBAGE", "5")]) else { return };
    let mut run = cluster.start("slow net 500");
    run.wait_for_times("start  net", 2);
    run.kill();
    // Its pilots are killed while nobody looks, and Slurm forgets them.
    cluster.kill_pilots();
    std::thread::sleep(Duration::from_secs(10));
    let said = cluster.run("").expect(0);
    assert!(said.err.contains("is lost"), "{}", said.err);
    cluster.expect_whole();
}

#[test]
fn a_training_longer_than_a_job_goes_on_in_the_next() {
    let Some(cluster) = Cluster::up() else { return };
    cluster.site("time: 10", "time: 1");
    cluster.write(
        "site.yaml",
        &fs::read_to_string(cluster.path("site.yaml"))
            .unwrap()
            .replace("margin: 10s", "margin: 40s"),
    );
    cluster.write(
        "spec.yaml",
        "question: q\nnodes:\n  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }\n  net: { train: { data: maps, objective: { ddpm: {} }, steps: 100 } }\n",
    );
    // Four steps of eleven seconds, and jobs with half a minute of work in them.
    let said = cluster.run("slow net 11000").expect(0);
    let leaves = ["its time is up", "the scheduler takes it back"];
    assert!(leaves.iter().any(|why| said.err.contains(why)), "{}", said.err);
    assert!(said.err.contains("start  net on") && said.err.contains("goes on at"), "{}", said.err);
    assert!(!said.err.contains("FAIL "), "{}", said.err);
    cluster.expect_whole();
}

#[test]
fn pilots_that_cannot_start_are_not_asked_for_again_and_again() {
    let Some(cluster) = Cluster::up() else { return };
    cluster.write(
        "site.yaml",
        &format!("{}prelude: 'echo module not found: cuda >&2; exit 3'\n", crate::cluster::SITE),
    );
    let said = cluster.run("").expect(1);
    assert!(said.err.contains("3 pilots in a row ended before they said anything"), "{}", said.err);
    assert!(said.err.contains("the last one wrote: module not found: cuda"), "{}", said.err);
    let jobs = cluster.slurm("squeue", &["-h", "-r", "-t", "all"]);
    assert!(jobs.lines().count() <= 4, "{jobs}");
}

#[test]
fn what_the_scheduler_would_refuse_is_told_before_anything_is_done() {
    let Some(cluster) = Cluster::up() else { return };
    cluster.site("partition: main", "partition: nowhere");
    let said = cluster.run("").expect(2);
    assert!(said.err.contains("invalid partition specified: nowhere"), "{}", said.err);
    cluster.site("gpu:1", "gpu:7");
    let said = cluster.run("").expect(2);
    assert!(said.err.contains("Requested node configuration is not available"), "{}", said.err);
}

#[test]
fn a_job_out_of_memory_is_told_as_that() {
    if !fs::metadata("/sys/fs/cgroup/memory").is_ok_and(|meta| meta.is_dir()) {
        return;
    }
    let Some(cluster) = Cluster::up_with(&[("SLURM_CGROUP", "1")]) else { return };
    let said = cluster.run("hoard maps 1").expect(0);
    assert!(said.err.contains("[host_memory]"), "{}", said.err);
    cluster.expect_whole();
}

#[test]
fn a_held_job_is_waited_for_and_told() {
    let Some(cluster) = Cluster::up() else { return };
    cluster.site("time: 10", "time: 10, hold: true");
    let run = cluster.start("");
    run.wait_for("JobHeldUser");
    let jobs = cluster.slurm("squeue", &["-h", "-o", "%A"]);
    jobs.lines().for_each(|job| drop(cluster.slurm("scontrol", &["release", job.trim()])));
    run.expect(0);
    cluster.expect_whole();
}
