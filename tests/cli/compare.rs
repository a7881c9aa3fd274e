//! `ablate compare` tells what two nodes are made of and what came out.

use crate::bench::{Bench, SPEC};

const LINEAR: &str = "score.power_spectrum[schedule=linear,nfe=10,seed=0]";
const COSINE: &str = "score.power_spectrum[schedule=cosine,nfe=10,seed=0]";

#[test]
fn what_differs_is_told_field_by_field() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let said = bench
        .ablate(&["compare", "net[schedule=linear,seed=0]", "net[schedule=cosine,seed=1]"])
        .expect(0);
    for piece in [
        "settings.objective.ddpm.schedule: linear → cosine",
        "settings.seed: 0 → 1",
        "data: the same, maps.train",
        "arithmetic: the same, fake, 1 thread",
    ] {
        assert!(said.out.contains(piece), "{piece} in\n{}", said.out);
    }
}

#[test]
fn inputs_are_told_by_name_and_numbers_with_their_difference() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let said = bench.ablate(&["compare", LINEAR, COSINE]).expect(0);
    for piece in [
        "identity: the same but for the inputs",
        "samples: draw[schedule=linear,nfe=10,seed=0].out",
        "power_spectrum.mean: ",
        " h/Mpc",
    ] {
        assert!(said.out.contains(piece), "{piece} in\n{}", said.out);
    }
    let error = said.out.lines().find(|line| line.trim_start().starts_with("error ")).unwrap();
    let numbers: Vec<f64> = error.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!((numbers[1] - numbers[0] - numbers[2]).abs() < 1e-5, "{error}");
    let same = bench.ablate(&["compare", LINEAR, LINEAR]).expect(0);
    assert!(same.out.contains("identity: the same work, one key"), "{}", same.out);
    assert!(same.out.contains("power_spectrum.mean: equal"), "{}", same.out);
}

#[test]
fn nodes_of_two_specs_are_compared() {
    let bench = Bench::new(SPEC);
    bench.write("other.yaml", &SPEC.replace("steps: 100", "steps: 300"));
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let name = "net[schedule=linear,seed=0]";
    let said = bench
        .ablate(&["compare", name, name, "--spec", "spec.yaml", "--spec-b", "other.yaml"])
        .expect(0);
    assert!(said.out.contains("settings.steps: 100 → 300"), "{}", said.out);
    assert!(said.out.contains("only finished nodes have numbers"), "{}", said.out);
}

#[test]
fn a_name_of_several_nodes_is_refused_with_their_names() {
    let bench = Bench::new(SPEC);
    let said = bench.ablate(&["compare", "net", "maps", "--spec", "spec.yaml"]).expect(2);
    assert!(said.err.contains("`net` stands for 4 nodes"), "{}", said.err);
    assert!(said.err.contains("`net[schedule=linear,seed=0]`"), "{}", said.err);
}

#[test]
fn two_specs_are_compared_by_nodes_settings_and_numbers() {
    let bench = Bench::new(SPEC);
    bench.write(
        "other.yaml",
        &SPEC.replace("steps: 100", "steps: 200").replace("[10, 50]", "[10, 70]"),
    );
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.ablate(&["run", "other.yaml"]).expect(0);
    let out = bench.ablate(&["compare", "spec.yaml", "other.yaml"]).expect(0).out;
    let row = |kind: &str| -> Vec<String> {
        let line = out.lines().find(|line| line.starts_with(kind)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    assert_eq!(row("dataset"), ["1", "0", "0"], "{out}");
    assert_eq!(row("train"), ["0", "4", "4"], "{out}");
    assert!(out.contains("net.steps: 100 → 200  (4 nodes)"), "{out}");
    assert!(out.contains("left to run of b: 0 nodes"), "{out}");
    assert!(out.contains("score.power_spectrum.error: ") && out.contains("(n = 4)"), "{out}");
    let mixed = bench.ablate(&["compare", "spec.yaml", "net"]).expect(2);
    assert!(mixed.err.contains("not alike"), "{}", mixed.err);
}

#[test]
fn a_spec_is_compared_with_what_it_was() {
    let bench = Bench::new(&SPEC.replace("steps: 100,", "use: part.yaml,"));
    bench.write("part.yaml", "steps: 100\n");
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments);
        assert!(
            command.current_dir(bench.path(".")).output().unwrap().status.success(),
            "{arguments:?}"
        );
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    bench.write("part.yaml", "steps: 300\n");
    let out = bench.ablate(&["compare", "spec.yaml", "--against", "HEAD"]).expect(0).out;
    assert!(out.contains("spec.yaml at HEAD") && out.contains("net.steps: 100 → 300"), "{out}");
    assert!(out.contains("left to run of a: 21 nodes"), "{out}");
    let none = bench.ablate(&["compare", "spec.yaml", "--against", "nowhere"]).expect(2);
    assert!(none.err.contains("cannot read spec.yaml at nowhere"), "{}", none.err);
    let option = bench.ablate(&["compare", "spec.yaml", "--against=--output=x"]).expect(2);
    assert!(option.err.contains("no revision") && !bench.path("x").exists(), "{}", option.err);
}

#[test]
fn points_are_compared_pair_by_pair() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let out = bench.ablate(&["compare", "schedule=linear", "schedule=cosine"]).expect(0).out;
    for piece in [
        "a  schedule=linear  4 points",
        "4 pairs that agree on everything else",
        "  maps: the same",
        "  net: 2 nodes differ",
        "  score.power_spectrum: 4 nodes differ",
        "net.objective.ddpm.schedule: linear → cosine  (2 nodes)",
    ] {
        assert!(out.contains(piece), "{piece} in\n{out}");
    }
    let mean = |schedule: &str| -> f64 {
        let query = format!(
            "select avg(m.value) from points p join metrics m on m.node = p.node and m.name = 'error'
             join coordinates c on c.experiment = p.experiment and c.point = p.point and c.axis = 'schedule'
             where p.declared = 'score.power_spectrum' and c.value = '{schedule}'"
        );
        let out = bench.ablate(&["query", &query, "--csv"]).expect(0).out;
        out.lines().nth(1).unwrap().parse().unwrap()
    };
    let line = out.lines().find(|line| line.contains("score.power_spectrum.error:")).unwrap();
    let words: Vec<f64> =
        line.split([' ', ',']).filter_map(|word| word.parse().ok()).take(3).collect();
    let want = [mean("linear"), mean("cosine"), mean("cosine") - mean("linear")];
    for (got, want) in words.iter().zip(want) {
        assert!((got - want).abs() < 1e-4, "{line}: {want}");
    }
    assert!(line.contains("(n = 4)"), "{line}");
    let one = bench.ablate(&["compare", "nfe=10,schedule=linear", "nfe=50,schedule=linear"]);
    let one = one.expect(0).out;
    assert!(one.contains("  net: the same") && one.contains("  draw: 2 nodes differ"), "{one}");
    for (a, hint) in [("shedule=linear", "`schedule`"), ("schedule=cosin", "`cosine`")] {
        let said = bench.ablate(&["compare", a, "schedule=cosine"]).expect(2).err;
        assert!(said.contains(hint), "{said}");
    }
    let two = [
        "compare",
        "schedule=linear",
        "schedule=cosine",
        "--spec",
        "spec.yaml",
        "--spec-b",
        "spec.yaml",
    ];
    assert!(bench.ablate(&two).expect(2).err.contains("points are those of one spec"));
    let apart = bench.ablate(&["compare", "schedule=linear", "nfe=50"]).expect(2).err;
    assert!(apart.contains("name the same axes for both"), "{apart}");
}
