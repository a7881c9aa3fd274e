//! Bad input of every kind: told with its place, the rule and the way out; exit code 2, nothing lost,
//! little memory, little time.

use crate::bench::{Bench, SPEC, Said};
use std::time::{Duration, Instant};

/// Runs `ablate check` with little memory (256 MB beyond what the program itself needs).
fn check(bench: &Bench) -> Said {
    let begun = Instant::now();
    let said = bench.with_little_memory(&["check", "spec.yaml"], 600_000);
    assert!(begun.elapsed() < Duration::from_secs(60), "it hangs");
    said
}

fn refused(text: &[u8], pieces: &[&str]) {
    let bench = Bench::new("");
    std::fs::write(bench.path("spec.yaml"), text).unwrap();
    let said = check(&bench).expect(2);
    for piece in pieces {
        assert!(said.err.contains(piece), "{piece} in\n{}", said.err);
    }
    assert!(said.err.len() < 4000, "{} bytes of error", said.err.len());
}

/// Checks that the spec with `from` replaced by `to` is refused with all these pieces.
fn changed(from: &str, to: &str, pieces: &[&str]) {
    assert!(SPEC.contains(from), "{from}");
    refused(SPEC.replacen(from, to, 1).as_bytes(), pieces);
}

#[test]
fn a_spec_that_is_not_yaml() {
    refused(b"question: [\n", &["spec.yaml:2:1", "did not find"]);
    refused(b"\x7fELF\x02\x01\x01\x00", &["spec.yaml"]);
}

#[test]
fn a_spec_that_is_empty() {
    refused(b"", &["`question` is missing", "`nodes` is missing"]);
}

#[test]
fn a_spec_that_is_a_folder() {
    let bench = Bench::new("");
    let said = bench.ablate(&["check", "."]).expect(2);
    assert!(
        said.err.contains("Is a directory") && said.err.contains("name a file"),
        "{}",
        said.err
    );
}

#[test]
fn a_spec_that_is_not_utf8() {
    refused(
        b"question: why?\nvars: { a: caf\xe9 }\n",
        &["spec.yaml:2:15", "not UTF-8", "save the file as UTF-8"],
    );
}

#[test]
fn fifty_megabytes_of_nesting() {
    refused(&vec![b'['; 50_000_000], &["larger than any spec"]);
    refused(&vec![b'['; 10_000_000], &["spec.yaml:1:129", "nested deeper"]);
    refused("{a: ".repeat(500_000).as_bytes(), &["nested deeper"]);
    let indented: String = (0..3000).map(|i| " ".repeat(i) + "a:\n").collect();
    refused(indented.as_bytes(), &["recursion limit exceeded"]);
}

#[test]
fn an_alias_bomb() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let many = vec![format!("*a{}", i - 1); 9].join(", ");
        bomb += &format!("a{i}: &a{i} [{many}]\n");
    }
    refused(bomb.as_bytes(), &["repetition limit", "write it out"]);
}

#[test]
fn an_undefined_variable() {
    changed(
        "nfe } }",
        "nef } }",
        &["spec.yaml:7:58: there is no variable `nef`", "did you mean `$nfe`?"],
    );
}

#[test]
fn a_reference_to_a_node_or_port_of_the_wrong_kind() {
    changed("from: net", "from: maps", &["`maps` is a dataset node", "`from` takes a train node"]);
    changed("from: net", "from: net.best", &["a train node has no port `best`"]);
    changed(
        "data: maps",
        "data: maps.tets",
        &["a dataset has no port `tets`", "train, validation and test"],
    );
    changed("reference: maps", "reference: draw", &["`draw` is a sample node"]);
}

#[test]
fn numbers_that_are_negative_or_beyond_all_reason() {
    changed("steps: 100", "steps: -1", &["`-1` is not a whole number", "2000, 2k or 1e5"]);
    changed(
        "steps: 100",
        "steps: 100, optimizer: { adamw: { learning_rate: 3e5 } }",
        &["300000 is out of range", "between 0 and 10"],
    );
    changed("count: 8", "count: 1e12", &["1000000000000 is out of range"]);
    changed("steps: 100", "steps: 99999999999999999999999", &["is not a whole number"]);
    changed("seed: 0", "seed: .nan", &["a number must be finite"]);
}

#[test]
fn a_sweep_of_more_points_than_anybody_can_pay() {
    let axis: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    let axes = format!("net.seed: [{0}], draw.seed: [{0}], net.batch: [{0}]", axis.join(", "));
    changed(
        "nfe: [10, 50] }, seeds: 2",
        &format!("{axes} }}, seeds: 2"),
        &["has 4,000,000,000 points", "take fewer values"],
    );
    changed(
        "product: { schedule: [linear, cosine], nfe: [10, 50] }",
        &format!("zip: [{{ nfe: [10] }}, {{ product: {{ {axes} }} }}]"),
        &["has 2,000,000,000 points"],
    );
    changed("seeds: 2", "seeds: 1000000000", &["`seeds` must be a number"]);
    changed("seeds: 2", "seeds: 1000000", &["has 4,000,000 points"]);
}

#[test]
fn one_mistake_in_a_hundred_thousand_points_is_one_mistake() {
    let rates: Vec<String> = (1..=1000).map(|i| format!("{i}e-6")).collect();
    let axis = format!("net.optimizer.adamw.learning_rate: [{}]", rates.join(", "));
    let many = SPEC.replace("nfe: [10, 50] }, seeds: 2", &format!("{axis} }}, seeds: 50"));
    let spec = many.replace("steps: 100,", "steps: 100, batch: 0,");
    refused(spec.as_bytes(), &["0 is out of range"]);
    let wrong: Vec<String> = (1..=1000).map(|i| format!("x{i}")).collect();
    let axis = format!("net.batch: [{}]", wrong.join(", "));
    let bench = Bench::new(&SPEC.replace("nfe: [10, 50]", &axis));
    let said = check(&bench).expect(2);
    assert!(said.err.contains("`x1` is not a whole number"), "{}", said.err);
    assert!(said.err.contains("800 more problems are not told"), "{}", said.err);
}

#[test]
fn a_results_folder_that_cannot_be_written_to() {
    let bench = Bench::new(SPEC);
    bench.write("results", "a file is in the way");
    let said = bench.ablate(&["run", "spec.yaml"]).expect(2);
    assert!(said.err.contains("results") && said.err.contains("--results DIR"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(bench.path("results")).unwrap(), "a file is in the way");
    let elsewhere = bench.ablate(&["run", "spec.yaml", "--results", "/proc/nothing"]).expect(2);
    assert!(elsewhere.err.contains("/proc/nothing"), "{}", elsewhere.err);
}

#[test]
fn an_artefact_path_that_leaves_its_folder_is_damage_and_is_never_followed() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let node =
        std::fs::read_dir(bench.path("results/nodes")).unwrap().next().unwrap().unwrap().path();
    let file = node.join("node.json");
    let text = std::fs::read_to_string(&file).unwrap();
    // Without its own digest, as an older file would be.
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json.as_object_mut().unwrap().remove("digest");
    json["artefacts"][0]["path"] = "../../../spec.yaml".into();
    std::fs::write(&file, json.to_string()).unwrap();
    let verify = bench.ablate(&["verify"]).expect(1);
    assert!(verify.out.contains("names a file outside its folder"), "{}", verify.out);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.ablate(&["verify"]).expect(0);
    assert!(bench.path("spec.yaml").exists());
}
