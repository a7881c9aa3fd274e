//! What `ablate check` says: every spec in `experiments/` passes, and every kind of mistake is told
//! with its place and a hint, all at once.

use crate::bench::{Bench, SPEC};
use ablate::graph::Graph;
use std::path::Path;

#[test]
fn every_spec_in_experiments_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut checked = 0;
    for entry in std::fs::read_dir(root.join("experiments")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            Bench::new(SPEC).ablate(&["check", path.to_str().unwrap()]).expect(0);
            checked += 1;
        }
    }
    assert!(checked > 0);
}

/// Checks that a spec with `from` replaced by `to` is refused with all these pieces.
fn refused(from: &str, to: &str, pieces: &[&str]) {
    assert!(SPEC.contains(from), "{from}");
    let bench = Bench::new(&SPEC.replacen(from, to, 1));
    let said = bench.ablate(&["check", "spec.yaml"]).expect(2);
    for piece in pieces {
        assert!(said.err.contains(piece), "{piece} in\n{}", said.err);
    }
}

#[test]
fn an_unknown_key_has_a_suggestion() {
    refused(
        "schedule: $schedule",
        "shedule: $schedule",
        &["spec.yaml:6:47: unknown key `shedule`", "did you mean `schedule`?"],
    );
}

#[test]
fn a_missing_reference_has_a_suggestion() {
    refused(
        "from: net",
        "from: nett",
        &["spec.yaml:7:27: there is no node `nett`", "did you mean `net`?"],
    );
}

#[test]
fn a_reference_of_another_kind_is_refused() {
    refused("from: net", "from: maps", &["`maps` is a dataset node", "`from` takes a train node"]);
}

#[test]
fn a_circle_is_told() {
    refused("data: maps", "data: net", &["`net` is a train node"]);
    let circle = SPEC.replace("from: net", "from: draw");
    let said = Bench::new(&circle).ablate(&["check", "spec.yaml"]).expect(2);
    assert!(said.err.contains("`draw` is a sample node"), "{}", said.err);
}

#[test]
fn an_axis_that_nothing_uses_is_refused() {
    refused(
        "{ schedule: [linear, cosine], nfe",
        "{ schedul: [linear, cosine], nfe",
        &["the axis `schedul` is neither", "did you mean `schedule`?"],
    );
    refused("seed: 0 }", "seed: 0, spare: 1 }", &["no node uses the variable `spare`"]);
    refused(
        "nfe: [10, 50]",
        "net.model.unet.atention: [true, false]",
        &["leads nowhere", "did you mean `attention`?"],
    );
}

#[test]
fn a_wrong_type_and_a_value_out_of_range_are_refused() {
    refused("steps: 100", "steps: ten", &["`ten` is not a whole number"]);
    refused("maps: 40", "maps: 1", &["1 is out of range", "between 4 and 1000000"]);
    refused(
        "nfe: [10, 50]",
        "nfe: [10, 5000]",
        &["spec.yaml:10:60", "5000 sampler steps, but the training has 1000 times"],
    );
}

#[test]
fn a_value_of_an_axis_is_blamed_at_its_own_place() {
    refused(
        "[linear, cosine]",
        "[linear, cosin]",
        &["spec.yaml:10:41: `cosin` is not known here", "did you mean `cosine`?"],
    );
}

#[test]
fn a_duplicate_key_is_refused() {
    refused("  draw:", "  net: {}\n  draw:", &["spec.yaml:7:3: duplicate key `net`", "keep one"]);
}

#[test]
fn mistakes_in_the_yaml_come_with_a_hint() {
    let mistakes = [
        ("question: [a\nnodes: 3\n", "2:6: did not find expected ',' or ']'", "is not closed"),
        ("question: {a: b\n", "did not find expected ',' or '}'", "is not closed"),
        ("question: a\n\tnodes: 3\n", "2:1: found a tab character", "indent with spaces"),
        ("question: a: b\n", "1:12: mapping values are not allowed", "quote text"),
        ("question: 'a\n", "unexpected end of stream", "a quote before this"),
        ("nodes:\n  a: 1\n b: 2\n", "3:2: did not find expected key", "indent keys"),
        ("just words\n", "1:1: a spec is a map", "begin it with"),
    ];
    for (text, sentence, hint) in mistakes {
        let said = Bench::new(text).ablate(&["check", "spec.yaml"]).expect(2).err;
        assert!(said.contains(sentence) && said.contains(hint), "{text}: {said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
    }
}

#[test]
fn objectives_and_samplers_that_do_not_fit_are_refused() {
    let ddpm = "ddpm: { schedule: $schedule }";
    for (objective, sampler, pieces) in [
        (
            "flow_matching: { loss: $schedule }",
            "ddim: { steps: $nfe }",
            ["learned a flow", "take euler"],
        ),
        (
            "flow_matching: { loss: $schedule }",
            "heun: { steps: $nfe, spacing: trailing }",
            ["in even steps", "leave `spacing` out"],
        ),
        ("edm: { loss: $schedule }", "heun: { steps: $nfe }", ["does not go along", "take karras"]),
        (ddpm, "karras: { steps: $nfe }", ["`edm` objective", "or train by `edm`"]),
        (
            "edm: { loss: $schedule }",
            "karras: { steps: $nfe, sigma_min: 9, sigma_max: 9 }",
            ["is not below sigma_max", "0.002 and 80"],
        ),
        (ddpm, "rk4: { steps: $nfe }", ["needs times between times", "dpm_solver"]),
        (
            ddpm,
            "heun: { steps: 5k }",
            ["5000 sampler steps, but the training has 1000", "at most 1000"],
        ),
        (
            "ddpm: { schedule: $schedule, zero_terminal_snr: true }",
            "ddim: { steps: $nfe }",
            ["nothing but noise to predict", "`prediction: v`"],
        ),
        (
            "ddpm: { schedule: $schedule, prediction: v, zero_terminal_snr: true }",
            "heun: { steps: $nfe }",
            ["no finite", "ddim"],
        ),
        (
            "ddpm: { schedule: $schedule, rescale: true }",
            "ddim: { steps: $nfe }",
            ["`cosine` has no betas", "leave `rescale` out"],
        ),
        (
            "ddpm: { timesteps: 15, rescale: true }",
            "ddim: { steps: 10 }",
            ["the last beta is 1.333", "more timesteps"],
        ),
    ] {
        let text = SPEC.replace(ddpm, objective).replace("ddim: { steps: $nfe }", sampler);
        let by_loss = objective.contains("loss: $schedule");
        let text =
            if by_loss { text.replace("linear", "l2").replace("cosine", "l1") } else { text };
        let said = Bench::new(&text).ablate(&["check", "spec.yaml"]).expect(2).err;
        for piece in pieces {
            assert!(said.contains(piece), "{objective}, {sampler}: {piece} in\n{said}");
        }
    }
}

const TOLD: &str = "\
question: what is it told?
nodes:
  maps: { dataset: DATA }
  net: { train: { data: maps, steps: 10, CONDITIONS } }
  draw: { sample: { from: net, SAMPLE } }
";

#[test]
fn conditions_that_do_not_fit_are_refused() {
    let (digits, fields) = (
        "{ glyph_digits: { images: 100 } }",
        "{ particle_mesh_fields: { side: 8, simulations: 9 } }",
    );
    let (by_class, by_parameter) = ("conditions: classes", "conditions: parameters");
    let never = "conditions: { classes: { dropout: 0 } }";
    for (data, conditions, sample, pieces) in [
        (fields, by_class, "count: 2", ["have no classes", "take `conditions: parameters`"]),
        (digits, by_parameter, "count: 2", ["have no parameters", "take `conditions: classes`"]),
        (
            "{ log_normal_fields: { side: 8, maps: 40 } }",
            by_class,
            "count: 2",
            ["have no classes", "`conditions: off`"],
        ),
        (digits, "batch: 8", "conditions: [3]", ["without conditions", "`conditions: classes`"]),
        (digits, "batch: 8", "guidance_scale: 2", ["without conditions", "leave this out"]),
        (digits, never, "guidance_w: 1", ["told nothing now and then", "dropout: 0.1"]),
        (digits, by_class, "frames: { samples: 9 }, count: 8", ["9 samples, but 8", "fewer"]),
        (digits, by_class, "guidance_w: 1, guidance_scale: 2", ["both", "keep one"]),
        (digits, by_class, "conditions: [3, 10]", ["[10] is no class", "from 0 to 9"]),
        (digits, by_class, "conditions: [[3, 1]]", ["[3, 1] is no class", "from 0 to 9"]),
        (digits, by_class, "conditions: [[3, 1], 2]", ["1 numbers, 2 in the first", "same"]),
        (digits, by_class, "conditions: every", ["are no conditions", "all_classes"]),
        (digits, by_class, "conditions: []", ["there are no conditions", "all_classes"]),
        (digits, by_class, "conditions: { from: net }", ["`net` is a train node", "dataset"]),
        (digits, by_class, "conditions: { from: map }", ["no node `map`", "did you mean `maps`"]),
        (fields, by_parameter, "count: 2", ["`conditions` is missing", "{ from: maps.test }"]),
        (fields, by_parameter, "conditions: all_classes", ["with parameters", "[[0.3, 0.8]]"]),
        (fields, by_parameter, "conditions: [0.3]", ["1 numbers in a row", "2 parameters"]),
        (digits, "model: { dit: { patch: 3 } }", "count: 2", ["patches of 3 x 3", "`patch`"]),
        (digits, "model: { dit: { width: 30, heads: 2 } }", "count: 2", ["width 30", "multiple"]),
        (digits, "model: simple_unet", "count: 2", ["4 levels divides the side by 16", "28"]),
        (digits, "model: { simple_unet: { time_width: 7 } }", "count: 2", ["7 is odd", "sines"]),
        (
            "{ gaussian_fields: { side: 8, maps: 40, transform: log_zscore } }",
            "batch: 4",
            "count: 2",
            ["have no logarithm", "`zscore`"],
        ),
        (
            "{ gaussian_fields: { side: 8, maps: 40, slab_mpc_h: 200 } }",
            "batch: 4",
            "count: 2",
            ["thicker than the box", "at most 100"],
        ),
        (digits, "augment: [roll]", "count: 2", ["no maps of a periodic box", "`box_mpc_h`"]),
        (digits, "augment: [flip]", "count: 2", ["`flip` is not known", "flip_horizontal"]),
        (digits, "init: { from: maps }", "count: 2", ["`maps` is a dataset", "train"]),
        (digits, "init: w.safetensors", "count: 2", ["w.safetensors is not there", "relative"]),
    ] {
        let text =
            TOLD.replace("DATA", data).replace("CONDITIONS", conditions).replace("SAMPLE", sample);
        let said = Bench::new(&text).ablate(&["check", "spec.yaml"]).expect(2).err;
        // Each is told at its place.
        assert!(said.contains("error: spec.yaml:"), "{said}");
        for piece in pieces {
            assert!(said.contains(piece), "{conditions}, {sample}: {piece} in\n{said}");
        }
    }
}

#[test]
fn a_strength_of_guidance_and_a_size_are_one_node_however_they_are_written() {
    let text = "\
question: is it the same?
nodes:
  maps: { dataset: { glyph_digits: { images: 100 } } }
  net: { train: { data: maps, steps: 10, conditions: classes, model: { dit: { size: S, patch: 4 } } } }
  same: { train: { data: maps, steps: 10, conditions: classes, model: { dit: { width: 384, patch: 4 } } } }
  a: { sample: { from: net, guidance_w: 1 } }
  b: { sample: { from: same, guidance_scale: 2, conditions: all_classes } }
  c: { sample: { from: net, conditions: { from: maps.train } } }
  d: { sample: { from: net, conditions: { from: maps.validation } } }
";
    let bench = Bench::new(text);
    let (_, graph) = Graph::read(&bench.path("spec.yaml")).unwrap();
    let names: Vec<&str> = graph.nodes.node_weights().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["maps", "net", "a", "c", "d"]);
    assert_eq!(graph.inputs(graph.find("c")[0]).count(), 2, "it reads the training and the data");
}

#[test]
fn measures_that_the_data_do_not_allow_are_refused() {
    let digits = "{ glyph_digits: { images: 100 } }";
    let fields = "{ log_normal_fields: { side: 8, maps: 40 } }";
    for (data, measure, pieces) in [
        (digits, "power_spectrum", ["no maps of a periodic box", "`box_mpc_h`"]),
        (digits, "bispectrum", ["no maps of a periodic box", "`box_mpc_h`"]),
        (digits, "covariance", ["no maps of a periodic box", "`box_mpc_h`"]),
        (digits, "cross_spectrum", ["no maps of a periodic box", "`box_mpc_h`"]),
        (digits, "peaks: { space: log }", ["has no logarithm", "`space: linear`"]),
        (fields, "power_spectrum: { matched: true }", ["no conditions to match", "`matched`"]),
        (fields, "power_spectrum: { dimensions: 4 }", ["4 is out of range", "2 and 3"]),
        (fields, "power_spectrum: { mean: each }", ["`each` is not known", "per_map"]),
    ] {
        let spec = format!(
            "question: does it fit?\nnodes:\n  maps: {{ dataset: {data} }}\n  \
             score: {{ evaluate: {{ samples: maps.validation, reference: maps, measures: [{measure}] }} }}\n"
        );
        let said = Bench::new(&spec).ablate(&["check", "spec.yaml"]).expect(2).err;
        for piece in pieces {
            assert!(said.contains(piece) && said.contains("spec.yaml:4:"), "{measure}: {said}");
        }
    }
    // Copies are looked for where the network could have seen them.
    let spec = format!(
        "question: which split?\nnodes:\n  maps: {{ dataset: {fields} }}\n  \
         score: {{ evaluate: {{ samples: maps.test, reference: maps, measures: [peaks, memorisation] }} }}\n"
    );
    let bench = Bench::new(&spec);
    let (_, graph) = Graph::read(&bench.path("spec.yaml")).unwrap();
    for (name, split) in [("score.peaks", "test"), ("score.memorisation", "train")] {
        let identity = graph.nodes[graph.find(name)[0]].identity().to_string();
        assert!(identity.contains(&format!("\"port\":\"{split}\"")), "{name}: {identity}");
    }
}

#[test]
fn judges_that_do_not_fit_are_refused() {
    let spec = |data: &str, train: &str, sample: &str, measure: &str| {
        format!(
            "\
question: who judges?
nodes:
  maps: {{ dataset: {data} }}
  clf: {{ train: {{ data: maps, steps: 10, {train} }} }}
  draw: {{ sample: {{ from: {sample} }} }}
  net: {{ train: {{ data: maps, steps: 10 }} }}
  score: {{ evaluate: {{ samples: draw, reference: maps, measures: [{measure}] }} }}
"
        )
    };
    let digits = "{ glyph_digits: { images: 100 } }";
    let judge = "objective: classification, model: lenet";
    let by = "accuracy: { classifier: clf }";
    for (data, train, sample, measure, pieces) in [
        (digits, "objective: classification", "net", by, ["classifies nothing", "`model: lenet`"]),
        (digits, "model: lenet", "net", by, ["learns no noise", "`objective: classification`"]),
        (
            digits,
            "objective: classification, model: lenet, conditions: classes",
            "net",
            by,
            ["not told what it is to find out", "leave `conditions` out"],
        ),
        (digits, judge, "clf", by, ["draws no samples", "another objective"]),
        (
            "{ log_normal_fields: { side: 8, maps: 40 } }",
            judge,
            "net",
            by,
            ["no classes to learn", "`labels`"],
        ),
        (digits, judge, "net", "features", ["`classifier` is missing", "classifier: …"]),
        (digits, judge, "net", "features: { classifier: net }", ["makes no classifier", "lenet"]),
        (digits, judge, "net", "features: { classifier: maps }", ["`maps` is a dataset", "train"]),
        (
            digits,
            "objective: classification, model: lenet, ema: off",
            "net",
            "features: { classifier: clf, weights: ema }",
            ["keeps no moving average", "`weights: last`"],
        ),
    ] {
        let said = Bench::new(&spec(data, train, sample, measure));
        let said = said.ablate(&["check", "spec.yaml"]).expect(2).err;
        for piece in pieces {
            assert!(said.contains(piece), "{train}, {measure}: {piece} in\n{said}");
        }
    }
    let fits = spec(digits, judge, "net", "features: { classifier: clf }");
    let bench = Bench::new(&fits);
    bench.ablate(&["check", "spec.yaml"]).expect(0);
    let (_, graph) = Graph::read(&bench.path("spec.yaml")).unwrap();
    let score = graph.find("score.features")[0];
    let inputs: Vec<&str> = graph.inputs(score).map(|i| graph.nodes[i].name.as_str()).collect();
    assert!(inputs.contains(&"clf"), "{inputs:?}");
}

#[test]
fn a_start_where_predicted_noise_says_nothing_of_the_sample_is_told() {
    let note = "less than a thousandth of the variance is signal";
    for (objective, sampler, told) in [
        ("{ schedule: cosine }", "ddim: { steps: 10 }", true),
        ("{ schedule: cosine }", "heun: { steps: 10 }", true),
        ("{ schedule: cosine }", "ddpm: { steps: 10 }", true),
        ("{ schedule: cosine }", "ddpm: {}", false),
        ("{ schedule: cosine }", "ddim: { steps: 10, clip: 6 }", false),
        ("{ schedule: cosine }", "ddim: { steps: 10, spacing: leading }", false),
        ("{ schedule: cosine, prediction: v }", "ddim: { steps: 10 }", false),
        ("{ schedule: cosine }", "ddim: { steps: 50, spacing: leading }", true),
        ("{ schedule: linear }", "dpm_solver: { steps: 10 }", true),
        ("{ schedule: linear }", "ddim: { steps: 50, spacing: leading }", true),
        ("{ schedule: linear }", "ddim: { steps: 50, clip: 1 }", false),
        ("{ schedule: linear, timesteps: 300 }", "ddim: { steps: 50 }", false),
    ] {
        let text = format!(
            "\
question: where does it start?
nodes:
  maps: {{ dataset: {{ log_normal_fields: {{ side: 8, maps: 40 }} }} }}
  net: {{ train: {{ data: maps, steps: 10, objective: {{ ddpm: {objective} }} }} }}
  draw: {{ sample: {{ from: net, sampler: {{ {sampler} }} }} }}
"
        );
        let said = Bench::new(&text).ablate(&["check", "spec.yaml"]).expect(0).err;
        assert_eq!(said.contains(note), told, "{objective}, {sampler}: {said}");
        assert!(!told || said.contains("spec.yaml:5:"), "{said}");
    }
}

#[test]
fn logarithms_of_images_are_refused() {
    let images =
        SPEC.replace("log_normal_fields: { side: 16, maps: 40 }", "glyph_digits: { images: 100 }");
    let images = images.split("figures:").next().unwrap().to_owned();
    let with = |measure: &str| {
        let text = images.replace("[power_spectrum]", &format!("[{measure}]"));
        Bench::new(&text).ablate(&["check", "spec.yaml"])
    };
    let said = with("{ one_point: { space: log } }").expect(2).err;
    assert!(said.contains("may be 0") && said.contains("`space: linear`"), "{said}");
    with("one_point").expect(0);
}

#[test]
fn learning_rates_are_checked() {
    for (setting, piece) in [
        ("plateau: {}, validation: off,", "a plateau is one of the validation loss"),
        ("plateau: { factor: 1.5 },", "out of range"),
        ("decay: cosin,", "did you mean `cosine`?"),
        ("validation: { every: two epochs },", "is no number of epochs"),
        ("validation: { every: 0 epochs },", "out of range"),
        ("optimizer: { adamw: { warmup: -1 } },", "is not a whole number"),
    ] {
        refused("data: maps,", &format!("data: maps, {setting}"), &[piece]);
    }
    let text = SPEC.replace(
        "data: maps,",
        "data: maps, plateau: {}, decay: cosine, validation: { every: 1 epoch }, optimizer: { adamw: { warmup: 2 epochs } },",
    );
    Bench::new(&text).ablate(&["check", "spec.yaml"]).expect(0);
}

#[test]
fn a_schedule_that_leaves_signal_is_told_of_and_runs() {
    let text = SPEC.replace("schedule: $schedule", "schedule: $schedule, timesteps: 500");
    let bench = Bench::new(&text);
    let note = "note: spec.yaml:6:";
    let said = bench.ablate(&["check", "spec.yaml"]).expect(0).err;
    assert!(
        said.contains(note)
            && said.contains("at the last of 500 times of the linear schedule 0.00635"),
        "{said}"
    );
    // A run with nothing to do says it again.
    for _ in 0..2 {
        assert!(bench.ablate(&["run", "spec.yaml"]).expect(0).err.contains(note));
    }
    let text = SPEC.replace("{ schedule: $schedule }", "{ timesteps: 500, rescale: true }");
    let text = text.replace("schedule: [linear, cosine], ", "").replace("lines: schedule, ", "");
    let text = text.replace("schedule: linear, ", "").replace("$nfe }", "$nfe, clip: 1 }");
    let said = Bench::new(&text).ablate(&["check", "spec.yaml"]).expect(0).err;
    assert!(!said.contains("note:"), "{said}");
}

#[test]
fn everything_is_told_at_once() {
    let spec = SPEC
        .replace("steps: 100", "steps: ten")
        .replace("from: net", "from: nett")
        .replace("maps: 40", "mapps: 40");
    let said = Bench::new(&spec).ablate(&["check", "spec.yaml"]).expect(2);
    assert_eq!(said.err.matches("error: ").count(), 4, "{}", said.err);
}

#[test]
fn figures_and_tables_name_what_exists() {
    refused(
        "of: score.power_spectrum",
        "of: score.power_spectra",
        &["did you mean `score.power_spectrum`?"],
    );
    refused("score.power_spectrum.error", "score.power_spectrum.eror", &["did you mean `error`?"]);
    refused("lines: schedule", "lines: shedule", &["there is no axis `shedule`"]);
}

#[test]
fn a_file_that_is_no_spec_is_refused_without_harm() {
    for text in ["", "- 1\n", "question: [\n", "a: &a [*a]\n", "\u{0}\u{1}", "question: ?\n"] {
        let said = Bench::new(text).ablate(&["check", "spec.yaml"]).expect(2);
        assert!(said.err.starts_with("error: "), "{text:?}: {}", said.err);
    }
    Bench::new("").ablate(&["check", "absent.yaml"]).expect(2);
}

#[test]
fn one_at_a_time_includes_the_baseline_once() {
    let spec = SPEC.replace(
        "  main: { product: { schedule: [linear, cosine], nfe: [10, 50] }, seeds: 2 }",
        "  main: { one_at_a_time: { cosine: { schedule: cosine }, loss: { net.objective.ddpm.loss: [l1, huber] } }, seeds: 2 }",
    );
    let spec = spec.replace(", lines: schedule, panels: nfe", ", lines: variant");
    let said = Bench::new(&spec).ablate(&["plan", "spec.yaml", "--all"]).expect(0);
    let trainings =
        said.out.lines().filter(|line| line.starts_with("train ") && line.contains("net["));
    assert_eq!(trainings.count(), 8, "{}", said.out);
    assert!(said.out.contains("net[loss=huber,seed=1]"), "{}", said.out);
}
