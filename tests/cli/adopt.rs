//! A finished node that serves as another.

use crate::bench::{Bench, SPEC};

fn folder(bench: &Bench, name: &str) -> String {
    let query = format!("select folder from nodes where name = '{name}'");
    let out = bench.ablate(&["query", &query, "--csv"]).expect(0).out;
    out.lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_node_adopts_another_with_its_reason_and_what_lies_behind_runs_on_it() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let old = folder(&bench, "net[schedule=linear,seed=0]");
    bench.write("spec.yaml", &SPEC.replace("steps: 100,", "steps: 100, gradient_clip: 2.0,"));
    let new = "net[schedule=linear,seed=0]";
    let said = bench.ablate(&["adopt", &old, new, "--reason", "no gradient was clipped"]).expect(0);
    assert!(said.out.contains("settings.gradient_clip: 1 → 2"), "{}", said.out);
    // 3 of 4 trainings, and all samplings and scores.
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 3 + 8 + 8);
    let show = bench.ablate(&["show", new]).expect(0).out;
    assert!(show.contains("adopted from") && show.contains("no gradient was clipped"), "{show}");
    bench.ablate(&["verify"]).expect(0);
    bench.ablate(&["rebuild"]).expect(0);
    let table = bench
        .ablate(&["query", "select reason, differences from adoptions", "--csv"])
        .expect(0)
        .out;
    assert!(
        table.contains("no gradient was clipped") && table.contains("gradient_clip"),
        "{table}"
    );
    bench.ablate(&["verify"]).expect(0);
}

#[test]
fn what_cannot_be_adopted_is_refused_and_nothing_changes() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let net = folder(&bench, "net[schedule=linear,seed=0]");
    let draw = folder(&bench, "draw[schedule=linear,nfe=10,seed=0]");
    bench.write("spec.yaml", &SPEC.replace("steps: 100,", "steps: 100, gradient_clip: 2.0,"));
    let new = "net[schedule=linear,seed=0]";
    let refused = |arguments: &[&str], piece: &str| {
        let all: Vec<&str> = ["adopt"].iter().chain(arguments).copied().collect();
        let said = bench.ablate(&all).expect(2);
        assert!(said.err.contains(piece), "{piece} in {}", said.err);
    };
    refused(&[&draw, new, "--reason", "x"], "is a sample node");
    refused(&["train-000000000000", new, "--reason", "x"], "no finished node is called");
    refused(&[&net, "net", "--reason", "x"], "stands for 4 nodes");
    refused(&[&net, new, "--reason", " "], "`--reason` is empty");
    refused(&[&net, "maps", "--reason", "x"], "is a train node, maps a dataset node");
    bench.write("spec.yaml", SPEC);
    refused(&[&net, "net[schedule=cosine,seed=0]", "--reason", "x"], "is finished already");
    assert_eq!(bench.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
    bench.ablate(&["verify"]).expect(0);
}
