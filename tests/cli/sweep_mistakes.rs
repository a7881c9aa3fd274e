//! What is wrong with a sweep is told with its place, the rule and the way out.

use crate::bench::{Bench, SPEC};
use crate::sweeps::with;

/// Checks that a sweep is refused with all these pieces, at this line and column of it.
#[track_caller]
fn refused(sweep: &str, column: usize, pieces: &[&str]) {
    let text = with(&format!("  main: {sweep}\n"));
    let line = text.lines().count();
    let said = Bench::new(&text).ablate(&["check", "spec.yaml"]).expect(2);
    let place = format!("spec.yaml:{line}:{}:", 8 + column);
    for piece in pieces.iter().copied().chain([place.as_str()]) {
        assert!(said.err.contains(piece), "{piece} in\n{}", said.err);
    }
}

#[test]
fn two_axes_that_set_one_path_are_refused() {
    refused(
        "{ product: { nfe: [10, 50], size: { a: { nfe: 3 } } } }",
        47,
        &["two axes set `nfe`, the other at line 10", "let one axis have it"],
    );
    refused(
        "{ product: { schedule: [linear, cosine], net.objective.ddpm.schedule: [cosine] } }",
        72,
        &["two axes set `net.objective.ddpm.schedule`", "through $schedule"],
    );
    refused("{ product: { seed: [1, 2] }, seeds: 2 }", 37, &["two axes set `seed`"]);
    refused(
        "{ product: [{ one_at_a_time: { a: { nfe: 9 } } }, { one_at_a_time: { b: { net.batch: 4 } } }] }",
        1,
        &["two axes of a point are called `variant`"],
    );
}

#[test]
fn a_path_into_a_list_is_refused() {
    refused(
        "{ product: { net.model.unet.multipliers.0: [1, 2] } }",
        14,
        &["leads into a list", "set the whole list: net.model.unet.multipliers:"],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_told_where_it_stands() {
    refused("{ product: { net.batch: [8, 16, many] } }", 33, &["`many` is not a whole number"]);
    refused(
        "{ product: { size: { a: { net.batch: 8 }, b: { net.batch: x } } } }",
        59,
        &["`x` is not a whole number"],
    );
}

#[test]
fn a_zip_of_unequal_lengths_names_both() {
    refused(
        "{ zip: { schedule: [linear, cosine], nfe: [10] } }",
        43,
        &["a zip of unequal lengths: `schedule` has 2 values (line 10), `nfe` has 1 (line 10)"],
    );
}

#[test]
fn a_by_with_a_missing_or_strange_case_is_refused() {
    refused(
        "{ product: { schedule: [linear, cosine], nfe: { by: schedule, linear: [10] } } }",
        53,
        &["`by: schedule` has no case for `cosine`", "add `cosine:"],
    );
    refused(
        "{ product: { schedule: [linear], nfe: { by: schedule, linear: [10], cosin: [1] } } }",
        69,
        &["the axis `schedule` never takes the value `cosin`"],
    );
    refused(
        "{ product: { nfe: { by: shedule, linear: [10] } } }",
        25,
        &["`shedule` is neither an axis", "did you mean `schedule`?"],
    );
    refused(
        "{ product: { nfe: { by: net.batch, 8: [10] }, net.batch: { by: nfe, 10: [8] } } }",
        1,
        &["the axes `nfe` and `net.batch` depend on each other"],
    );
}

#[test]
fn colliding_labels_are_refused() {
    refused(
        "{ product: { draw.sampler: [{ ddim: { steps: 5 } }, { ddim: { steps: 9 } }] } }",
        53,
        &["two values of the axis `draw.sampler` are called `ddim`", "label them"],
    );
    refused("{ product: { nfe: [10, 1e1] } }", 24, &["`10.0` stands twice on the axis `nfe`"]);
}

#[test]
fn an_exclude_or_where_that_matches_nothing_is_refused() {
    refused(
        "{ product: { nfe: [10, 50] }, exclude: nfe == 20 }",
        40,
        &["the axis `nfe` never takes the value `20`"],
    );
    refused(
        "{ product: { nfe: [10, 50] }, where: nfe == 20 }",
        38,
        &["the axis `nfe` never takes the value `20`"],
    );
    refused(
        "{ product: { nfe: [10, 50] }, exclude: nef == 20 }",
        40,
        &["`nef` is neither an axis here", "did you mean `nfe`?"],
    );
    refused(
        "{ product: { nfe: [10, 50] }, exclude: nfe = 20 }",
        40,
        &["`=` means nothing", "write `==`"],
    );
    refused("{ product: { nfe: [10, 50] }, exclude: nfe > 1 }", 1, &["no point is left"]);
}

#[test]
fn a_path_into_a_variant_that_is_not_chosen_is_refused_where_it_stands() {
    refused(
        "{ product: { draw.sampler.ddpm.clip: [6, 8] } }",
        39,
        &[
            "`draw.sampler` is `ddim` at some point, so `draw.sampler.ddpm.clip` leads nowhere",
            "when:",
        ],
    );
    refused(
        "{ product: { size: { a: { net.model.unet.width: 30 } } } }",
        49,
        &["the width 30 is odd or not divisible"],
    );
}

#[test]
fn what_no_sweep_needs_is_checked_all_the_same() {
    let spec = with("  main: { product: { nfe: [10, 50] } }\n")
        .replace("sweeps:", "  other: { sample: { from: nett } }\nsweeps:");
    let said = Bench::new(&spec).ablate(&["check", "spec.yaml"]).expect(2);
    assert!(said.err.contains("there is no node `nett`"), "{}", said.err);
    let profile = format!(
        "{SPEC}profiles: {{ small: {{ nodes: {{ nett: {{ train: {{ steps: 2 }} }} }} }} }}\n"
    );
    let said = Bench::new(&profile).ablate(&["check", "spec.yaml"]).expect(2);
    assert!(said.err.contains("`data` is missing"), "{}", said.err);
}

#[test]
fn a_table_versus_a_baseline_that_is_no_point_is_refused() {
    let spec = SPEC.replace("nfe: [10, 50]", "nfe: [20, 50]");
    let said = Bench::new(&spec).ablate(&["check", "spec.yaml"]).expect(2);
    assert!(said.err.contains("the baseline is no point of the sweep `main`"), "{}", said.err);
    let given = spec.replace("seeds: 2 }", "seeds: 2, baseline: { nfe: 20 } }");
    Bench::new(&given).ablate(&["check", "spec.yaml"]).expect(0);
}

#[test]
fn operators_that_are_written_wrongly_are_refused() {
    refused(
        "{ product: { nfe: [10] }, zip: { nfe: [10] } }",
        1,
        &["two operators: `product` and `zip`"],
    );
    refused("{ product: { nfe: 10 } }", 19, &["are not a list", "write nfe: [10]"]);
    refused(
        "{ product: { size: [{ nfe: 10 }, { nfe: 20 }] } }",
        14,
        &["neither a variable", "label the values"],
    );
    refused(
        "{ product: { size: { a: { nfe: 10 }, b: { nef: 3 } } } }",
        43,
        &["the axis `nef` is neither"],
    );
    refused(
        "{ union: [{ product: { nfe: [10] }, seeds: 2 }] }",
        37,
        &["`seeds` belongs to the sweep"],
    );
    refused("{ product: { nfe: { range: [1, 5] } } }", 19, &["either `step` or `count`"]);
    refused("{ product: { nfe: { log_range: [0, 5], count: 3 } } }", 19, &["lies above 0"]);
    refused("{ product: { nfe: { range: [1, 5], step: 3 } } }", 19, &["do not arrive at its end"]);
    refused("{ product: { nfe: { range: [1, 5], step: -1 } } }", 19, &["lead away from its end"]);
    refused(
        "{ product: { nfe: { range: [1, 1e9], step: 1 } } }",
        19,
        &["more than 100,000 values"],
    );
    refused("{ product: { nfe: { when: nfe, value: [1] } } }", 19, &["`values` is missing"]);
    refused(
        "{ product: { nfe: { when: net.batch > 64, values: [1] } } }",
        27,
        &["this `when` holds at no point, so the axis `nfe` is nowhere"],
    );
    refused("{ product: { nfe: { by: net.epochs, 1: [1] } } }", 25, &["`net.epochs` has no value"]);
    refused("{ points: nowhere.csv }", 11, &["cannot read", "nowhere.csv"]);
    refused("{ over: seed }", 3, &["`over` names what `seeds` replace"]);
}

#[test]
fn a_pin_that_pins_nothing_is_refused() {
    let with_at = |at: &str| {
        let spec = SPEC.replace("samples: draw,", &format!("samples: {{ node: draw, {at} }},"));
        Bench::new(&spec).ablate(&["check", "spec.yaml"]).expect(2).err
    };
    let unread =
        with_at("at: { maps.log_normal_fields.seed: 3, score.power_spectrum.binning: round }");
    assert!(
        unread.contains("spec.yaml:8:") && unread.contains("which nothing of `draw` reads"),
        "{unread}"
    );
    let unknown = with_at("at: { shedule: linear }");
    assert!(unknown.contains("did you mean `schedule`?"), "{unknown}");
    let both = with_at("at: { schedule: linear }, over: seed");
    assert!(both.contains("only one of `at`, `over` and `best`"), "{both}");
    let axis = with_at("over: shedule");
    assert!(axis.contains("did you mean `schedule`?"), "{axis}");
}
