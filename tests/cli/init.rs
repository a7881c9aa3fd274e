//! `ablate init` makes a project that passes `ablate check` and runs, and overwrites nothing.

use crate::bench::{Bench, SPEC};

const FILES: [&str; 4] = [
    "experiments/first.yaml",
    "configs/models/unet-tiny.yaml",
    "configs/spec.schema.json",
    "results/.gitignore",
];

#[test]
fn a_new_project_passes_check_and_runs() {
    let bench = Bench::new(SPEC);
    let said = bench.ablate(&["init", "new/project"]).expect(0);
    for file in FILES {
        assert!(said.out.contains(file), "{file} in\n{}", said.out);
    }
    let spec = "new/project/experiments/first.yaml";
    let check = bench.ablate(&["check", spec]).expect(0);
    assert!(check.out.contains("4 points, 13 nodes"), "{}", check.out);
    let run = bench.ablate(&["run", spec]).expect(0);
    assert_eq!(run.started(), 13);
    assert!(bench.path("new/project/results/first/figures/spectra.pdf").exists());
}

#[test]
fn the_working_directory_is_the_default_and_the_schema_is_the_one_that_schema_prints() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["init"]).expect(0);
    let written = std::fs::read_to_string(bench.path("configs/spec.schema.json")).unwrap();
    assert_eq!(written, bench.ablate(&["schema"]).expect(0).out);
    let spec = std::fs::read_to_string(bench.path("experiments/first.yaml")).unwrap();
    assert!(spec.starts_with("# yaml-language-server: $schema=../configs/spec.schema.json\n"));
}

#[test]
fn a_file_in_the_way_is_named_and_nothing_is_written() {
    let bench = Bench::new(SPEC);
    std::fs::create_dir(bench.path("experiments")).unwrap();
    bench.write("experiments/first.yaml", "mine\n");
    let said = bench.ablate(&["init", "."]).expect(2);
    assert!(said.err.contains("experiments/first.yaml is in the way"), "{}", said.err);
    let kept = std::fs::read_to_string(bench.path("experiments/first.yaml")).unwrap();
    assert_eq!(kept, "mine\n");
    assert!(!bench.path("configs").exists());
}
