//! Running a part of a spec, and removing what no spec refers to.

use crate::bench::{Bench, SPEC};
use std::fs;

#[test]
fn until_runs_a_node_and_what_it_needs() {
    let bench = Bench::new(SPEC);
    let said =
        bench.ablate(&["run", "spec.yaml", "--until", "net[schedule=cosine,seed=1]"]).expect(0);
    assert_eq!(said.started(), 2, "the dataset and one training: {}", said.err);
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 19);
}

#[test]
fn only_runs_a_node_whose_inputs_are_finished_and_says_which_are_not() {
    let bench = Bench::new(SPEC);
    let early = bench.ablate(&["run", "spec.yaml", "--only", "net"]).expect(2);
    assert!(early.err.contains("not finished, but read by `--only`: maps"), "{}", early.err);
    assert!(early.err.contains("run `--until` instead"), "{}", early.err);
    bench.ablate(&["run", "spec.yaml", "--only", "maps"]).expect(0);
    assert_eq!(bench.ablate(&["run", "spec.yaml", "--only", "net"]).expect(0).started(), 4);
    let wrong = bench.ablate(&["run", "spec.yaml", "--only", "nett"]).expect(2);
    assert!(wrong.err.contains("did you mean `net`?"), "{}", wrong.err);
}

#[test]
fn fresh_makes_a_finished_node_again_from_its_beginning() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let name = "net[schedule=linear,seed=0]";
    assert_eq!(bench.ablate(&["run", "spec.yaml", "--only", name]).expect(0).started(), 0);
    let fresh = bench.ablate(&["run", "spec.yaml", "--only", name, "--fresh"]).expect(0);
    assert_eq!(fresh.started(), 1);
    assert!(!fresh.err.contains("goes on at"), "{}", fresh.err);
    bench.ablate(&["verify"]).expect(0);
    bench.ablate(&["run", "spec.yaml", "--fresh"]).expect(2);
}

#[test]
fn fresh_removes_nothing_before_it_is_sure_that_it_can_go_on() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let nodes = || fs::read_dir(bench.path("results/nodes")).unwrap().count();
    let net = fs::read_dir(bench.path("results/nodes")).unwrap().map(|e| e.unwrap().path());
    let net =
        net.into_iter().find(|p| p.file_name().unwrap().to_string_lossy().starts_with("train-"));
    fs::remove_dir_all(net.unwrap()).unwrap();
    let said = bench.ablate(&["run", "spec.yaml", "--only", "draw", "--fresh"]).expect(2);
    assert!(said.err.contains("not finished, but read by `--only`"), "{}", said.err);
    assert_eq!(nodes(), 20);
    // Without its checkpoints the training begins anew.
    fs::remove_dir_all(bench.path("results/work")).unwrap();
    let busy = bench.start(&["run", "spec.yaml"], "slow net 200");
    std::thread::sleep(std::time::Duration::from_millis(400));
    let refused = bench.ablate(&["run", "spec.yaml", "--only", "net", "--fresh"]).expect(1);
    assert!(refused.err.contains("another run works on net"), "{}", refused.err);
    assert_eq!(nodes(), 20);
    assert!(busy.wait_with_output().unwrap().status.success());
}

#[test]
fn foreground_shows_what_the_worker_says() {
    let bench = Bench::new(SPEC);
    let said = bench
        .ablate_with(&["run", "spec.yaml", "--only", "maps", "--foreground"], "die maps 1")
        .expect(0);
    assert!(said.err.lines().any(|line| line == "fake: dying as told"), "{}", said.err);
}

#[test]
fn clean_is_dry_by_default_and_keeps_numbers_for_ever() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let nothing = bench.ablate(&["clean"]).expect(0);
    assert!(nothing.out.contains("nothing to clean"), "{}", nothing.out);
    bench.write("spec.yaml", &SPEC.replace("[linear, cosine]", "[linear]"));
    // 2 trainings with their trajectories, 4 samplings, 4 measures.
    let dry = bench.ablate(&["clean"]).expect(0);
    assert!(dry.out.contains("in 12 folders could go"), "{}", dry.out);
    assert!(dry.out.contains("net[schedule=cosine,seed=1]"), "{}", dry.out);
    let done = bench.ablate(&["clean", "--yes"]).expect(0);
    assert!(done.out.contains("numbers and settings stay"), "{}", done.out);
    assert!(bench.ablate(&["clean"]).expect(0).out.contains("nothing to clean"));
    bench.ablate(&["verify"]).expect(0);
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
    // The numbers of the measures are still there; the samples are made again only when something reads them.
    bench.write("spec.yaml", SPEC);
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
    let nodes = bench.path("results/nodes");
    let score = fs::read_dir(&nodes).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        let text = fs::read_to_string(path.join("node.json")).unwrap_or_default();
        text.contains("score.power_spectrum[schedule=cosine,nfe=50,seed=1]")
    });
    fs::remove_dir_all(score.unwrap()).unwrap();
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0);
    assert!(plan.out.contains("its artefacts were cleaned away, and are needed"), "{}", plan.out);
    assert_eq!(
        bench.ablate(&["run", "spec.yaml"]).expect(0).started(),
        3,
        "training, sampling, measure"
    );
    bench.ablate(&["verify"]).expect(0);
}

#[test]
fn a_node_made_again_aside_is_compared_to_the_bit() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let name = "draw[schedule=linear,nfe=10,seed=0]";
    let same = bench.ablate(&["verify", "spec.yaml", "--again", name, "--again", "maps"]).expect(0);
    assert!(
        same.out.contains("the same to the bit") && same.out.contains("maps: 2 files"),
        "{}",
        same.out
    );
    let left: Vec<_> =
        fs::read_dir(bench.path("results")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with("again")), "{left:?}");
    // A worker that does something else under the same key.
    let other =
        bench.ablate_with(&["verify", "spec.yaml", "--again", name], "fill draw 3").expect(1);
    assert!(other.out.contains("made again, it differs"), "{}", other.out);
    assert!(other.out.contains("ballast was not there before"), "{}", other.out);
    let failed =
        bench.ablate_with(&["verify", "spec.yaml", "--again", "maps"], "fail maps").expect(1);
    assert!(failed.err.contains("failing as told"), "{}", failed.err);
}

#[test]
fn clean_keeps_what_is_half_done_while_a_spec_cannot_be_read() {
    let bench = Bench::new(SPEC);
    let mut child = bench.start(&["run", "spec.yaml"], "slow net 300");
    std::thread::sleep(std::time::Duration::from_millis(700));
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let work = || fs::read_dir(bench.path("results/work")).unwrap().count();
    let before = work();
    assert!(before > 0);
    bench.write("spec.yaml", "question: [");
    let said = bench.ablate(&["clean", "--yes", "--checkpoints"]).expect(0);
    assert!(said.out.contains("cannot be read"), "{}", said.out);
    assert_eq!(work(), before);
}

#[test]
fn clean_reads_the_specs_of_its_own_results_wherever_it_is_called() {
    let (here, there) = (Bench::new(SPEC), Bench::new(&SPEC.replace("side: 16", "side: 32")));
    for bench in [&here, &there] {
        bench.ablate(&["run", "spec.yaml"]).expect(0);
    }
    let results = there.path("results");
    let said = here.ablate(&["clean", "--results", results.to_str().unwrap()]).expect(0);
    assert!(said.out.contains("nothing to clean"), "{}", said.out);
}

#[test]
fn two_specs_of_one_name_do_not_share_a_results_folder() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    fs::create_dir(bench.path("other")).unwrap();
    bench.write("other/spec.yaml", SPEC);
    let said = bench.ablate(&["run", "other/spec.yaml"]).expect(2);
    assert!(said.err.contains("another spec called `spec` has results here"), "{}", said.err);
    bench.write("nodes.yaml", SPEC);
    let taken = bench.ablate(&["check", "nodes.yaml"]).expect(2);
    assert!(taken.err.contains("a spec cannot be called `nodes`"), "{}", taken.err);
}
