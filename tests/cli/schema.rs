//! `ablate schema` agrees with `ablate check`: what one takes the other takes, and both refuse a typo.

use crate::bench::{Bench, SPEC};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn validator() -> jsonschema::Validator {
    let said = Bench::new(SPEC).ablate(&["schema"]).expect(0);
    let schema: Value = serde_json::from_str(&said.out).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn wrong(validator: &jsonschema::Validator, text: &str) -> Vec<String> {
    let value: Value = serde_yaml::from_str(text).unwrap();
    validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

fn specs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect()
}

#[test]
fn every_spec_in_experiments_fits_the_schema() {
    let validator = validator();
    assert!(!specs().is_empty());
    for path in specs() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(wrong(&validator, &text), [""; 0], "{}", path.display());
    }
}

#[test]
fn what_check_takes_fits_the_schema() {
    let validator = validator();
    let one_at_a_time = "one_at_a_time: { a: { net.ema: off, draw.weights: last }, b: { net.model.unet.attention: [true, false] } }";
    let cases = [
        SPEC.to_owned(),
        SPEC.replace("steps: 100", "steps: 2k"),
        SPEC.replace("steps: 100", "steps: 1e3"),
        SPEC.replace("steps: 100", "epochs: 3, validation: off, ema: off"),
        SPEC.replace("steps: 100", "steps: 100, validation: { every: 10 }, model: unet"),
        SPEC.replace("steps: 100", "steps: 100, model: { unet: { multipliers: [1, 2] } }"),
        SPEC.replace("seeds: 2", "seeds: [0, 3, 9]"),
        SPEC.replace(
            "[power_spectrum]",
            "{ power_spectrum: { power_spectrum: { binning: floor } } }",
        ),
        SPEC.replace("product: { schedule: [linear, cosine], nfe: [10, 50] }", one_at_a_time)
            .replace(", lines: schedule, panels: nfe", ", lines: variant")
            .replace("$schedule", "linear")
            .replace("steps: $nfe", "steps: 10")
            .replace("schedule: linear, nfe: 10, ", ""),
    ];
    for text in &cases {
        let said = Bench::new(text).ablate(&["check", "spec.yaml"]);
        assert_eq!(said.code, Some(0), "{}\n{text}", said.err);
        assert_eq!(wrong(&validator, text), [""; 0], "{text}");
    }
    let used = SPEC.replace("steps: 100", "steps: 100, use: a.yaml, run: null");
    assert_ne!(wrong(&validator, &used), [""; 0], "`run` stands beside the kind");
    let used = SPEC.replace("steps: 100", "steps: 100, use: a.yaml, model: null");
    assert_eq!(wrong(&validator, &used), [""; 0]);
}

#[test]
fn what_check_refuses_does_not_fit_the_schema() {
    let validator = validator();
    let cases = [
        ("shedule in a map", "schedule: $schedule", "shedule: $schedule"),
        ("a part", "vars:", "varz:"),
        ("a kind", "{ sample:", "{ sampel:"),
        ("a kind of a setting", "ddim:", "dimm:"),
        ("a word", "steps: 100", "steps: ten"),
        ("a number out of range", "maps: 40", "maps: 1"),
        ("a measure", "[power_spectrum]", "[power_spectra]"),
        ("a figure's setting", "lines: schedule", "line: schedule"),
        ("a table's setting", "versus: baseline", "versus: base"),
        ("an operator", "product:", "products:"),
        ("values that are no list", "nfe: [10, 50]", "nfe: 10"),
        ("two kinds", "{ dataset:", "{ train: {}, dataset:"),
        ("no question", "question: does it run?\n", ""),
    ];
    for (name, from, to) in cases {
        assert!(SPEC.contains(from), "{from}");
        let text = SPEC.replacen(from, to, 1);
        Bench::new(&text).ablate(&["check", "spec.yaml"]).expect(2);
        assert_ne!(wrong(&validator, &text), [""; 0], "{name}");
    }
}
