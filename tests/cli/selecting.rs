//! Choosing among the nodes of a sweep: what is chosen and when, what is not there before, how a choice
//! stays as it is, and how a fresh one is asked for.

use crate::bench::{Bench, SPEC};
use std::fs;

/// Four networks by two numbers of sampler steps, of which the best by the mean error is sampled again.
fn spec(best: &str) -> String {
    let reader = format!(
        "  final: {{ sample: {{ from: {{ node: net, best: {best} }}, count: 512, seed: $seed }} }}
  told: {{ evaluate: {{ samples: final, reference: maps, measures: [power_spectrum] }} }}
sweeps:
"
    );
    let rates = "net.optimizer.adamw.learning_rate: [1e-3, 1e-4], nfe: [10, 50] }";
    let table = "  final: { sweep: main, columns: [told.power_spectrum.error] }\n";
    let main = "  main: { sweep: main, columns: [score.power_spectrum.error], versus: baseline }\n";
    SPEC.replace("sweeps:\n", &reader)
        .replace("nfe: [10, 50] }", rates)
        .replace("panels: nfe", "panels: [nfe, net.optimizer.adamw.learning_rate]")
        .replace(main, &format!("{main}{table}"))
}

/// What the check says of a spec that it refuses.
#[track_caller]
fn refused(spec: &str) -> String {
    Bench::new(spec).ablate(&["check", "spec.yaml"]).expect(2).err
}

const BY: &str = "{ by: score.power_spectrum.error }";

/// One column of a query.
fn ask(bench: &Bench, query: &str) -> Vec<String> {
    let out = bench.ablate(&["query", query, "--csv"]).expect(0).out;
    out.lines().skip(1).map(str::to_owned).collect()
}

/// The settings of the networks, the best first by the mean error over these seeds.
fn ranked(bench: &Bench, seeds: &str) -> Vec<String> {
    let query = format!(
        "select s.value || ' ' || r.value from points p
         join metrics m on m.node = p.node and m.name = 'error'
         join coordinates s on s.experiment = p.experiment and s.point = p.point and s.axis = 'schedule'
         join coordinates r on r.experiment = p.experiment and r.point = p.point and r.axis like 'net.%'
         join coordinates x on x.experiment = p.experiment and x.point = p.point and x.axis = 'seed'
         where p.declared = 'score.power_spectrum' and x.value in ({seeds})
         group by 1 order by avg(m.value)"
    );
    ask(bench, &query)
}

/// The settings at which the node that reads the best is finished.
fn finals(bench: &Bench) -> Vec<String> {
    let query = "select distinct s.value || ' ' || r.value from points p
         join nodes n on n.key = p.node
         join coordinates s on s.experiment = p.experiment and s.point = p.point and s.axis = 'schedule'
         join coordinates r on r.experiment = p.experiment and r.point = p.point and r.axis like 'net.%'
         where p.declared = 'final' order by 1";
    ask(bench, query)
}

#[test]
fn the_best_is_chosen_when_all_that_compete_are_finished() {
    let bench = Bench::new(&spec(BY));
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0).out;
    assert!(plan.contains("16 + up to 2"), "{plan}");
    assert!(plan.contains("final reads up to 1 of 4 net, chosen by score.power_spectrum.error after 16 more nodes; up to 2 sample and 2 evaluate nodes then."), "{plan}");
    let first = bench.ablate(&["run", "spec.yaml"]).expect(0);
    // A dataset, 8 trainings, 16 samplings and scores; then 2 of each more.
    assert_eq!(first.started(), 41 + 4, "{}", first.err);
    let ranked = ranked(&bench, "'0', '1'");
    assert_eq!(ranked.len(), 4);
    assert_eq!(finals(&bench), ranked[..1], "{ranked:?}");
    assert!(first.out.contains("chosen of 4 by score.power_spectrum.error at seeds 0, 1."));
    // The rows of what was not chosen are not there, and the choice enters no key.
    let table = fs::read_to_string(bench.path("results/spec/tables/final.csv")).unwrap();
    assert_eq!(table.lines().count(), 3, "one for each seed: {table}");
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
    let clean = bench.ablate(&["clean"]).expect(0).out;
    assert!(!clean.contains("sample-"), "{clean}");
    bench.ablate(&["verify"]).expect(0);
}

#[test]
fn a_choice_stays_with_its_seeds_until_a_fresh_one_is_asked_for() {
    let bench = Bench::new(&spec(BY));
    bench.ablate(&["run", "spec.yaml", "--seeds", "0"]).expect(0);
    let first = ranked(&bench, "'0'");
    assert_eq!(finals(&bench), first[..1]);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let both = ranked(&bench, "'0', '1'");
    assert_ne!(first[0], both[0], "with these keys the seeds disagree, else this tests nothing");
    assert_eq!(finals(&bench), first[..1], "frozen");
    for command in [&["plan", "spec.yaml"][..], &["table", "spec.yaml", "final"]] {
        let said = bench.ablate(command).expect(0).out;
        let told = "at seed 0; a fresh choice at seeds 0, 1 would be net[";
        assert!(said.contains(told), "{command:?}: {said}");
    }
    let tex = fs::read_to_string(bench.path("results/spec/tables/final.tex")).unwrap();
    assert!(tex.contains("a fresh choice at seeds 0, 1"), "{tex}");
    // A run with nothing to do tells it as well, and again.
    for _ in 0..2 {
        let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
        assert!(said.started() == 0 && said.out.contains("a fresh choice"), "{}", said.out);
    }
    let shown = bench.ablate(&["select", "spec.yaml"]).expect(0).out;
    assert!(shown.contains("  * net[") && !shown.contains("changed"), "{shown}");
    let again = bench.ablate(&["select", "spec.yaml", "--again"]).expect(0).out;
    assert!(again.contains("1 choice changed"), "{again}");
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(said.started(), 4, "{}", said.err);
    assert_eq!(finals(&bench), both[..1]);
    assert!(said.out.contains("at seeds 0, 1.") && !said.out.contains("a fresh choice"));
    let again = bench.ablate(&["select", "spec.yaml", "--again"]).expect(0).out;
    assert!(again.contains("Nothing changes."), "{again}");
    let record = fs::read_dir(bench.path("results/nodes")).unwrap().map(|e| e.unwrap().path());
    let record = record.into_iter().find(|p| p.to_string_lossy().contains("selection-")).unwrap();
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(record).unwrap()).unwrap();
    assert_eq!(record["earlier"][0]["seeds"], serde_json::json!([0]), "what it replaced is kept");
}

#[test]
fn several_may_be_kept_and_only_some_axes_compete() {
    let bench = Bench::new(&spec("{ by: score.power_spectrum.error, keep: 2 }"));
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let mut best = ranked(&bench, "'0', '1'")[..2].to_vec();
    best.sort();
    assert_eq!(finals(&bench), best);

    let over = "{ by: score.power_spectrum.error, over: [net.optimizer.adamw.learning_rate] }";
    let bench = Bench::new(&spec(over));
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0).out;
    assert!(plan.contains("final[schedule=cosine] reads up to 1 of 2 net"), "{plan}");
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let ranked = ranked(&bench, "'0', '1'");
    let best = ["cosine", "linear"].map(|schedule| {
        ranked.iter().find(|setting| setting.starts_with(schedule)).unwrap().clone()
    });
    assert_eq!(finals(&bench), best);
}

#[test]
fn a_picture_of_the_graph_shows_what_waits_for_a_choice() {
    let bench = Bench::new(&spec(BY));
    let picture = || {
        bench.ablate(&["graph", "spec.yaml", "-o", "graph.svg"]).expect(0);
        fs::read_to_string(bench.path("graph.svg")).unwrap()
    };
    let before = picture();
    for word in ["final", "told.power_spectrum", "up to 2 once chosen"] {
        assert!(before.contains(word), "{word}");
    }
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let after = picture();
    assert!(after.contains("final") && !after.contains("once chosen"));
}

#[test]
fn a_seed_that_a_run_adds_below_those_of_the_spec_changes_no_choice() {
    let bench = Bench::new(&spec(BY).replace("seeds: 2", "seeds: [1, 2]"));
    bench.ablate(&["run", "spec.yaml", "--seeds", "1"]).expect(0);
    let chosen = finals(&bench);
    assert_eq!(chosen, ranked(&bench, "'1'")[..1]);
    bench.ablate(&["run", "spec.yaml", "--seeds", "0-2"]).expect(0);
    assert_eq!(finals(&bench), chosen);
    let shown = bench.ablate(&["select", "spec.yaml"]).expect(0).out;
    assert!(shown.contains("at seed 1"), "{shown}");
}

#[test]
fn what_is_chosen_can_be_collected_and_what_waits_for_it_waits() {
    let pooled = "  pooled: { evaluate: { samples: { node: final, over: all }, reference: maps, measures: [power_spectrum] } }\nsweeps:\n";
    let text = spec("{ by: score.power_spectrum.error, keep: 2 }").replace("sweeps:\n", pooled);
    let bench = Bench::new(&text);
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0).out;
    assert!(!plan.contains("  pooled"), "{plan}");
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(said.started(), 41 + 2 * 4 + 1, "{}", said.err);
    let inputs = "select count(*) from edges e join nodes n on n.key = e.node where n.name like 'pooled%' and e.role like 'samples%'";
    assert_eq!(ask(&bench, inputs), ["4"], "two of them at two seeds");
}

#[test]
fn until_makes_what_decides_and_then_what_was_chosen() {
    let bench = Bench::new(&spec(BY));
    let said = bench.ablate(&["run", "spec.yaml", "--until", "final"]).expect(0);
    assert_eq!(said.started(), 41 + 2, "{}", said.err);
    let ranked = ranked(&bench, "'0', '1'");
    let (schedule, rate) = ranked[3].split_once(' ').unwrap();
    let name = format!("final[schedule={schedule},learning_rate={rate},seed=0]");
    let why = bench.ablate(&["why", &name, "--spec", "spec.yaml"]).expect(2).err;
    assert!(why.contains("others were better by score.power_spectrum.error"), "{why}");
}

#[test]
fn one_that_failed_leaves_the_choice_open_and_nothing_is_chosen_without_it() {
    let bench = Bench::new(&spec(BY));
    let orders = "fail net[schedule=cosine,learning_rate=0.001,seed=1]";
    let said = bench.ablate_with(&["run", "spec.yaml"], orders).expect(1);
    assert!(!said.err.contains("start  final"), "{}", said.err);
    let why = bench.ablate(&["why", "final", "--spec", "spec.yaml"]).expect(2).err;
    assert!(why.contains("`final` waits for a choice that is not made yet"), "{why}");
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0).out;
    assert!(plan.contains("after 2 more nodes"), "{plan}");
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(said.started(), 5 + 4, "{}", said.err);
}

#[test]
fn a_choice_outlives_the_database_and_goes_along_with_a_merge() {
    let bench = Bench::new(&spec(BY));
    bench.ablate(&["run", "spec.yaml", "--seeds", "0"]).expect(0);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let chosen = finals(&bench);
    fs::remove_file(bench.path("results/ablate.sqlite")).unwrap();
    bench.ablate(&["rebuild"]).expect(0);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(said.started(), 0, "{}", said.err);
    assert_eq!(finals(&bench), chosen);
    let other = Bench::new(&spec(BY));
    let from = bench.path("results");
    other.ablate(&["merge", &from.to_string_lossy()]).expect(0);
    assert_eq!(other.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
    assert_eq!(finals(&other), chosen, "by seed 0, as it was there");
    let record = fs::read_dir(from.join("nodes")).unwrap().map(|e| e.unwrap().path());
    let record = record.into_iter().find(|p| p.to_string_lossy().contains("selection-")).unwrap();
    fs::write(record, "{").unwrap();
    let said = bench.ablate(&["plan", "spec.yaml"]).expect(1).err;
    assert!(said.contains("selection-") && said.contains("remove the file"), "{said}");
    assert!(said.contains("spec.yaml:9:"), "{said}");
}

#[test]
fn choices_that_cannot_be_made_are_refused() {
    let mistakes = [
        ("{ by: score.power_spectrum.eror }", "has no metric `eror`"),
        ("{ by: score.power_spectrum.floor }", "has no better end to choose by"),
        ("{ by: nothing.error }", "is no metric"),
        ("{ by: net }", "is no metric"),
        ("{ by: maps.loss }", "does not read from `net`"),
        ("{ by: told.power_spectrum.error }", "in a circle"),
        ("{ by: score.power_spectrum.error, keep: 0 }", "out of range"),
        ("{ by: score.power_spectrum.error, over: [shedule] }", "shedule"),
        ("{ by: score.power_spectrum.error, top: 2 }", "unknown key `top`"),
        ("{ keep: 2 }", "`by` is missing"),
    ];
    for (best, sentence) in mistakes {
        let said = refused(&spec(best));
        assert!(said.contains(sentence) && said.contains("spec.yaml:"), "{best}: {said}");
    }
    let both = spec(BY).replace("best:", "at: { schedule: linear }, best:");
    assert!(refused(&both).contains("only one of `at`, `over` and `best`"));
    let none = Bench::new(SPEC).ablate(&["select", "spec.yaml"]).expect(2).err;
    assert!(none.contains("nothing is chosen in this spec"), "{none}");
}

#[test]
fn a_row_that_would_hold_several_values_is_refused() {
    let said = refused(&SPEC.replace("columns: [score", "rows: [schedule], columns: [score"));
    assert!(said.contains("has several values here, one for each `nfe`"), "{said}");
}
