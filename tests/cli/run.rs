//! The coordinator as a user meets it, on the fake worker: it runs what is missing, once, whatever
//! happens in between.

use crate::bench::{Bench, SPEC, Said};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn the_first_run_runs_everything_and_the_second_nothing() {
    let bench = Bench::new(SPEC);
    let first = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(first.started(), 21);
    for piece in [
        "does it run?",
        "n = 2",
        "fewer than 5 seeds are not tested",
        "results/spec/figures/spectra.pdf",
        "results/spec/tables/main.tex",
    ] {
        assert!(first.out.contains(piece), "{piece} in\n{}", first.out);
    }
    let second = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(second.started(), 0);
    assert_eq!(first.out, second.out, "the same answer");
}

#[test]
fn changing_a_setting_runs_only_what_depends_on_it() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.write("spec.yaml", &SPEC.replace("nfe: [10, 50]", "nfe: [10, 20]"));
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0);
    let row = |kind: &str| -> Vec<String> {
        let line = plan.out.lines().find(|line| line.starts_with(kind) && !line.contains('['));
        line.unwrap().split_whitespace().skip(1).take(4).map(str::to_owned).collect()
    };
    assert_eq!(row("train"), ["–", "–", "–", "4"], "{}", plan.out);
    assert_eq!(row("sample"), ["4", "–", "–", "4"], "{}", plan.out);
    assert!(plan.out.contains("Sharing: 4 trainings instead of 8"), "{}", plan.out);
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 8);
}

#[test]
fn a_failing_node_blocks_only_what_lies_behind_it() {
    let bench = Bench::new(SPEC);
    let said =
        bench.ablate_with(&["run", "spec.yaml"], "fail net[schedule=cosine,seed=0]").expect(1);
    assert!(
        said.err.contains("FAIL   net[schedule=cosine,seed=0] [bug] failing as told"),
        "{}",
        said.err
    );
    assert!(said.err.contains("1 node failed, 4 not tried because of that"), "{}", said.err);
    assert!(said.out.contains("Partial: 2 values missing, 2 of them failed."), "{}", said.out);
    let why = bench.ablate(&["why", "net[schedule=cosine,seed=0]"]).expect(0);
    assert!(why.out.contains("attempt 1 failed [bug]: failing as told"), "{}", why.out);
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 5);
}

#[test]
fn a_worker_that_dies_is_replaced_and_its_node_tried_again() {
    let bench = Bench::new(SPEC);
    let said = bench
        .ablate_with(&["run", "spec.yaml"], "die draw[schedule=linear,nfe=10,seed=1] 2")
        .expect(0);
    assert!(said.err.contains("fake: dying as told; it is tried again"), "{}", said.err);
    assert!(said.err.contains("attempt 3"), "{}", said.err);
    let given_up = Bench::new(SPEC);
    given_up.ablate_with(&["run", "spec.yaml"], "die maps").expect(1);
}

#[test]
fn lines_that_are_no_events_are_shown_and_do_no_harm() {
    let bench = Bench::new(SPEC);
    let said = bench.ablate_with(&["run", "spec.yaml"], "garble maps").expect(0);
    assert!(said.err.contains("unexpected output: this is no event"), "{}", said.err);
}

#[test]
fn an_event_that_is_not_known_fails_its_node_instead_of_hanging() {
    let bench = Bench::new(SPEC);
    let said = bench.ablate_with(&["run", "spec.yaml"], "riddle maps").expect(1);
    assert!(said.err.contains("what this ablate does not know"), "{}", said.err);
    assert!(said.err.contains("take both of one version"), "{}", said.err);
}

#[test]
fn damage_that_a_node_would_read_is_named_and_repaired() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let nodes = bench.path("results/nodes");
    let mut damaged = 0;
    for entry in std::fs::read_dir(&nodes).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("dataset-") {
            std::fs::write(path.join("artefact.txt"), "something else, of another length").unwrap();
            damaged += 1;
        } else if name.starts_with("train-") {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    assert_eq!(damaged, 1);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(
        said.err.contains("maps is damaged: artefact.txt has another size; it is made again"),
        "{}",
        said.err
    );
    assert_eq!(said.started(), 5);
}

#[test]
fn a_deleted_database_is_rebuilt_from_the_folders() {
    let bench = Bench::new(SPEC);
    let first = bench.ablate(&["run", "spec.yaml"]).expect(0);
    for name in ["ablate.sqlite", "ablate.sqlite-wal", "ablate.sqlite-shm"] {
        let _ = std::fs::remove_file(bench.path("results").join(name));
    }
    let again = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!((again.started(), again.out), (0, first.out));
    assert!(
        again.err.contains("21 nodes found in nodes/ and added to the database"),
        "{}",
        again.err
    );
}

#[test]
fn ctrl_c_leaves_in_seconds_with_75_and_the_same_command_goes_on() {
    let bench = Bench::new(SPEC);
    let child = bench.start(&["run", "spec.yaml"], "slow net 300");
    std::thread::sleep(Duration::from_millis(600));
    let begun = Instant::now();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let said = Said::of(child.wait_with_output().unwrap()).expect(75);
    assert!(begun.elapsed() < Duration::from_secs(8), "it took {:?}", begun.elapsed());
    assert!(said.err.contains("stopped; the same command goes on"), "{}", said.err);
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0);
    assert!(plan.out.contains("interrupted"), "{}", plan.out);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
}

#[test]
fn a_killed_coordinator_leaves_nothing_to_unlock() {
    let bench = Bench::new(SPEC);
    for wait in [50, 150, 300] {
        let mut child = bench.start(&["run", "spec.yaml"], "slow net 60");
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let query = "select count(*) from (select node from attempts where outcome = 'done' group by node having count(*) > 1)";
    let twice = bench.ablate(&["query", query, "--csv"]).expect(0);
    assert!(twice.out.trim().ends_with('0'), "{}", twice.out);
}

#[test]
fn why_names_the_field_that_differs() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.write("spec.yaml", &SPEC.replace("steps: 100", "steps: 200"));
    let said = bench.ablate(&["why", "net[schedule=linear,seed=0]"]).expect(0);
    assert!(said.out.contains("settings.steps: 100 → 200"), "{}", said.out);
    let skipped = bench.ablate(&["why", "maps"]).expect(0);
    assert!(skipped.out.contains("maps is skipped: it is finished"), "{}", skipped.out);
}

#[test]
fn what_is_finished_is_told_alike_with_and_without_a_graph() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let keys = bench.ablate(&["query", "select substr(key, 1, 9) from nodes", "--csv"]).expect(0);
    let key = keys.out.lines().last().unwrap();
    let names = ["net", "score", "draw[schedule=cosine,nfe=50,seed=1]", "maps", key];
    let ask = || names.map(|name| bench.ablate(&["why", name]).expect(0).out);
    let known = ask();
    assert_eq!(known.each_ref().map(|said| said.matches("is skipped").count()), [4, 8, 1, 1, 1]);
    let unknown = bench.ablate(&["why", "nett"]).expect(2).err;
    assert!(unknown.contains("did you mean `net`"), "{unknown}");
    std::fs::remove_file(bench.path("results/spec/.settled")).unwrap();
    assert_eq!(ask(), known);
}

#[test]
fn the_database_answers_questions_and_refuses_to_be_changed() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let rows = bench
        .ablate(&["query", "select count(*) from results where metric = 'error'", "--csv"])
        .expect(0);
    assert!(rows.out.contains('8'), "{}", rows.out);
    let refused = bench.ablate(&["query", "delete from nodes"]).expect(2);
    assert!(refused.err.contains("only reads"), "{}", refused.err);
    bench.ablate(&["query", "select nothing from nowhere"]).expect(2);
}

#[test]
fn show_and_log_tell_about_a_node() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let show = bench.ablate(&["show", "net[schedule=linear,seed=0]"]).expect(0);
    for piece in ["objective.ddpm.beta_end: 0.02", "input   data = maps.train", "artefact.txt"] {
        assert!(show.out.contains(piece), "{piece} in\n{}", show.out);
    }
    assert!(bench.ablate(&["log", "maps"]).expect(0).out.contains("attempt 1 on"));
    let wrong = bench.ablate(&["show", "nett", "--spec", "spec.yaml"]).expect(2);
    assert!(wrong.err.contains("did you mean `net`?"), "{}", wrong.err);
}

#[test]
fn a_run_with_nothing_to_do_notices_whatever_has_changed() {
    let bench = Bench::new(&SPEC.replace("steps: 100,", "use: part.yaml,"));
    bench.write("part.yaml", "steps: 100\n");
    let run = || bench.ablate(&["run", "spec.yaml"]).expect(0);
    let first = run();
    assert_eq!(first.started(), 21);
    let again = run();
    assert!(again.err.contains("spec: 0 nodes to run, 21 finished"), "{}", again.err);
    assert_eq!(again.out, first.out);
    let table = bench.path("results/spec/tables/main.csv");
    std::fs::remove_file(&table).unwrap();
    assert_eq!((run().started(), table.exists()), (0, true), "a table is written anew");
    bench.write("part.yaml", "steps: 100 # a remark\n");
    assert_eq!(run().started(), 0);
    bench.write("part.yaml", "steps: 200\n");
    assert_eq!(run().started(), 20, "a fragment counts");
    let nodes = bench.path("results/nodes");
    let score = std::fs::read_dir(&nodes).unwrap().map(|e| e.unwrap().path());
    let wanted = bench.ablate(&["query", "select folder from nodes n join points p on p.node = n.key where p.declared like 'score%' limit 1", "--csv"]).expect(0).out;
    let wanted = wanted.lines().nth(1).unwrap().to_owned();
    let score = score.into_iter().find(|path| path.ends_with(&wanted)).unwrap();
    std::fs::remove_dir_all(score).unwrap();
    assert_eq!(run().started(), 1, "a node that is gone is made again");
    assert_eq!(run().started(), 0);
    std::fs::remove_file(bench.path("results/ablate.sqlite")).unwrap();
    assert!(run().err.contains("added to the database"));
    assert!(bench.ablate(&["status"]).expect(0).out.contains("spec: 21/21"));
}

#[test]
fn a_spec_that_was_moved_is_known_where_it_is_now() {
    let bench = Bench::new(SPEC);
    std::fs::create_dir_all(bench.path("a")).unwrap();
    std::fs::create_dir_all(bench.path("b")).unwrap();
    bench.write("a/spec.yaml", SPEC);
    let run = |folder: &str| {
        bench.shell(&format!("cd {folder} && ablate run spec.yaml --results ../results"))
    };
    assert_eq!(run("a").expect(0).started(), 21);
    std::fs::rename(bench.path("a/spec.yaml"), bench.path("b/spec.yaml")).unwrap();
    assert_eq!(run("b").expect(0).started(), 0);
    let file = bench.ablate(&["query", "select file from experiments", "--csv"]).expect(0).out;
    assert!(file.contains("/b/spec.yaml"), "{file}");
}
