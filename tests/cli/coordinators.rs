//! Several coordinators in one results folder: every node runs once, all of them finish, whatever is
//! killed meanwhile.

use crate::bench::{Bench, SPEC, Said};
use std::process::Child;
use std::time::Duration;

/// The number of nodes that were published more than once.
fn published_twice(bench: &Bench) -> usize {
    let query = "select count(*) as n from (select node from attempts where outcome = 'done' group by node having count(*) > 1)";
    count(bench, query)
}

fn count(bench: &Bench, query: &str) -> usize {
    let said = bench.ablate(&["query", query, "--csv"]).expect(0);
    said.out.lines().last().unwrap().parse().unwrap()
}

fn finish(child: Child) -> Said {
    Said::of(child.wait_with_output().unwrap()).expect(0)
}

#[test]
fn two_runs_of_one_spec_share_the_work() {
    let bench = Bench::new(SPEC);
    let orders = "slow net 60;slow draw 20";
    let first = bench.start(&["run", "spec.yaml", "--jobs", "1"], orders);
    std::thread::sleep(Duration::from_millis(150));
    let second = bench.start(&["run", "spec.yaml", "--jobs", "1"], orders);
    let (first, second) = (finish(first), finish(second));
    assert_eq!(first.started() + second.started(), 21, "{}\n{}", first.err, second.err);
    assert!(second.started() > 0 && first.started() > 0, "both worked");
    assert_eq!((published_twice(&bench), count(&bench, "select count(*) from nodes")), (0, 21));
    assert_eq!(count(&bench, "select count(*) from claims"), 0);
    assert_eq!(first.out, second.out, "the same answer");
}

#[test]
fn specs_that_share_nodes_run_them_once() {
    let bench = Bench::new(SPEC);
    bench.write("other.yaml", &SPEC.replace("nfe: [10, 50]", "nfe: [10, 20]"));
    let orders = "slow net 40";
    let children = ["spec.yaml", "other.yaml"].map(|spec| bench.start(&["run", spec], orders));
    let said = children.map(finish);
    // 1 dataset, 4 trainings, 12 samplings and 12 scores of which 4 and 4 are shared.
    assert_eq!(said.iter().map(Said::started).sum::<usize>(), 29);
    assert_eq!(published_twice(&bench), 0);
}

#[test]
fn one_of_two_is_killed_and_the_other_finishes() {
    for wait in [100, 300, 500, 800] {
        let bench = Bench::new(SPEC);
        let orders = "slow net 80;slow draw 30";
        let mut victim = bench.start(&["run", "spec.yaml"], orders);
        std::thread::sleep(Duration::from_millis(60));
        let other = bench.start(&["run", "spec.yaml"], orders);
        std::thread::sleep(Duration::from_millis(wait));
        victim.kill().unwrap();
        victim.wait().unwrap();
        finish(other);
        assert_eq!((published_twice(&bench), count(&bench, "select count(*) from nodes")), (0, 21));
        let verify = bench.ablate(&["run", "spec.yaml"]).expect(0);
        assert_eq!(verify.started(), 0);
    }
}

#[test]
fn a_run_whose_slots_are_all_taken_waits_and_then_works() {
    let bench = Bench::new(SPEC);
    bench.write("other.yaml", &SPEC.replace("steps: 100", "steps: 200"));
    let first = bench.start(&["run", "spec.yaml"], "slow net 100");
    std::thread::sleep(Duration::from_millis(400));
    let second = finish(bench.start(&["run", "other.yaml"], ""));
    finish(first);
    assert!(second.err.contains("every slot is taken by other runs"), "{}", second.err);
    assert_eq!(published_twice(&bench), 0);
}

#[test]
fn a_failure_in_one_run_is_a_failure_in_the_other() {
    let bench = Bench::new(SPEC);
    let orders = "slow net 150;fail draw[schedule=linear,nfe=10,seed=0]";
    let children =
        ["1", "1"].map(|jobs| bench.start(&["run", "spec.yaml", "--jobs", jobs], orders));
    for child in children {
        let said = Said::of(child.wait_with_output().unwrap()).expect(1);
        assert!(said.err.contains("1 node failed, 1 not tried because of that"), "{}", said.err);
    }
}

#[test]
fn status_tells_what_others_do() {
    let bench = Bench::new(SPEC);
    let mut child = bench.start(&["run", "spec.yaml"], "slow net 200");
    std::thread::sleep(Duration::from_millis(400));
    let status = bench.ablate(&["status"]).expect(0);
    assert!(status.out.contains("running net[schedule="), "{}", status.out);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_database_removed_under_a_run_ends_it_and_the_next_goes_on() {
    let bench = Bench::new(SPEC);
    let child = bench.start(&["run", "spec.yaml"], "slow net 200");
    std::thread::sleep(Duration::from_millis(500));
    std::fs::remove_file(bench.path("results/ablate.sqlite")).unwrap();
    let said = Said::of(child.wait_with_output().unwrap()).expect(1);
    assert!(said.err.contains("ablate.sqlite was removed while this run used it"), "{}", said.err);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
}

/// Two runs started together on what `harm` has done to a finished results folder; what they said.
fn two_runs_after(harm: impl Fn(&Bench)) -> (Bench, [Said; 2]) {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    harm(&bench);
    let children = [0, 1].map(|_| bench.start(&["run", "spec.yaml"], ""));
    let said = children.map(finish);
    bench.ablate(&["verify"]).expect(0);
    (bench, said)
}

#[test]
fn two_runs_that_find_the_same_damage_mend_it_once() {
    for _ in 0..4 {
        let (bench, said) = two_runs_after(|bench| {
            for entry in std::fs::read_dir(bench.path("results/nodes")).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_string_lossy().starts_with("sample-") {
                    std::fs::write(path.join("artefact.txt"), "damaged").unwrap();
                }
            }
            bench.ablate(&["verify"]).expect(1);
        });
        assert_eq!(
            said.iter().map(Said::started).sum::<usize>(),
            8,
            "{}{}",
            said[0].err,
            said[1].err
        );
        assert_eq!(count(&bench, "select count(*) from nodes"), 21);
    }
}

#[test]
fn two_runs_that_find_the_database_damaged_make_it_anew_once() {
    for _ in 0..4 {
        let (_, said) = two_runs_after(|bench| {
            std::fs::write(bench.path("results/ablate.sqlite"), b"no database at all").unwrap();
        });
        assert_eq!(said.iter().map(Said::started).sum::<usize>(), 0);
        let anew = said.iter().filter(|said| said.err.contains("made anew")).count();
        assert_eq!(anew, 1, "{}{}", said[0].err, said[1].err);
    }
}

#[test]
fn verify_and_clean_beside_a_run_find_nothing_wrong_and_remove_nothing() {
    let bench = Bench::new(SPEC);
    let run = bench.start(&["run", "spec.yaml"], "slow net 60;slow draw 20");
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(120));
        bench.ablate(&["verify"]).expect(0);
        let clean = bench.ablate(&["clean", "--yes"]).expect(0);
        assert!(clean.out.contains("nothing to clean"), "{}", clean.out);
    }
    let said = finish(run);
    assert_eq!((said.started(), published_twice(&bench)), (21, 0));
}
