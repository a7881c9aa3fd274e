//! The sweep language: which points each construct makes, and how they are called.

use crate::bench::{Bench, SPEC};
use ablate::expand::{Choice, show};
use ablate::graph::{Asked, Graph};
use ablate::spec::Spec;

/// The spec of most tests with these sweeps in the place of its own, and without outputs.
pub(crate) fn with(sweeps: &str) -> String {
    format!("{}sweeps:\n{sweeps}", SPEC.split("sweeps:").next().unwrap())
}

fn read(sweeps: &str) -> (Bench, Spec, Graph) {
    let bench = Bench::new(&with(sweeps));
    let (spec, graph) = match Graph::read(&bench.path("spec.yaml")) {
        Ok(read) => read,
        Err(problems) => panic!("{problems}"),
    };
    (bench, spec, graph)
}

/// Checks the points of a sweep, each as its values.
fn points(sweep: &str, want: &[&str]) {
    let (_keep, _, graph) = read(&format!("  main: {sweep}\n"));
    let shown: Vec<String> = graph
        .points
        .iter()
        .map(|point| {
            let words: Vec<String> = point.coordinates.iter().map(|c| show(&c.value)).collect();
            words.join(" ")
        })
        .collect();
    assert_eq!(shown, want, "{sweep}");
}

/// Checks the names of all nodes of a declaration.
fn names(sweep: &str, declared: &str, want: &[&str]) {
    let (_keep, _, graph) = read(&format!("  main: {sweep}\n"));
    let of = graph.nodes.node_weights().filter(|node| *node.declared == *declared);
    let shown: Vec<&str> = of.map(|node| node.name.as_str()).collect();
    assert_eq!(shown, want, "{sweep}");
}

#[test]
fn a_product_has_every_combination_and_the_last_axis_varies_fastest() {
    points(
        "{ product: { schedule: [linear, cosine], nfe: [10, 50] } }",
        &["linear 10", "linear 50", "cosine 10", "cosine 50"],
    );
}

#[test]
fn a_zip_goes_along_all_its_axes_at_once() {
    points(
        "{ zip: { schedule: [linear, cosine], nfe: [10, 50] }, seeds: 2 }",
        &["linear 10 0", "linear 10 1", "cosine 50 0", "cosine 50 1"],
    );
}

#[test]
fn a_union_has_the_points_of_all_its_parts_each_once() {
    points(
        "{ union: [{ product: { nfe: [10, 50] } }, { zip: { schedule: [cosine], nfe: [7] } }, { nfe: [10, 99] }] }",
        &["10", "50", "cosine 7", "99"],
    );
}

#[test]
fn operators_nest_freely() {
    points(
        "{ product: [{ zip: { schedule: [linear, cosine], net.batch: [8, 16] } }, { nfe: [10, 50] }] }",
        &["linear 8 10", "linear 8 50", "cosine 16 10", "cosine 16 50"],
    );
    points(
        "{ zip: [{ union: [{ schedule: [linear] }, { schedule: [cosine] }] }, { nfe: [10, 50] }] }",
        &["linear 10", "cosine 50"],
    );
    points(
        "{ product: [{ one_at_a_time: { no_ema: { net.ema: off } } }, { nfe: [10, 50] }] }",
        &["baseline 10", "baseline 50", "no_ema 10", "no_ema 50"],
    );
    points(
        "{ union: [{ points: [{ nfe: 7 }] }, { product: [{ points: [{ nfe: 3 }] }, { schedule: [cosine] }] }] }",
        &["7", "3 cosine"],
    );
}

#[test]
fn points_are_listed_and_a_list_is_a_value_there() {
    points(
        "{ points: [{ schedule: cosine, nfe: 20 }, { net.model.unet.multipliers: [1, 2] }] }",
        &["cosine 20", "[1,2]"],
    );
}

#[test]
fn points_come_from_a_file_that_another_program_wrote() {
    let bench = Bench::new(&with("  main: { points: proposed.csv, seeds: 2 }\n"));
    bench.write("proposed.csv", "net.optimizer.adamw.learning_rate,nfe\n1e-3,10\n2e-3,20\n");
    let plan = bench.ablate(&["plan", "spec.yaml", "--all"]).expect(0);
    assert!(plan.out.contains("draw[learning_rate=0.002,nfe=20,seed=1]"), "{}", plan.out);
    bench.write("proposed.csv", "net.optimizer.adamw.learning_rate,nfe\n1e-3,10\n2e-3,many\n");
    let bad = bench.ablate(&["check", "spec.yaml"]).expect(2);
    assert!(bad.err.contains("proposed.csv:3:6: `many` is not a whole number"), "{}", bad.err);
    bench.write(
        "spec.yaml",
        &with("  main: { points: { file: p.json, columns: { nfe: steps } } }\n"),
    );
    bench.write("p.json", "[{\"steps\": 5, \"value\": 0.3}, {\"steps\": 6}]\n");
    let json = bench.ablate(&["plan", "spec.yaml", "--all"]).expect(0);
    assert!(json.out.contains("draw[nfe=5]") && json.out.contains("draw[nfe=6]"), "{}", json.out);
}

#[test]
fn where_and_exclude_choose_among_the_points() {
    points(
        "{ product: { schedule: [linear, cosine], nfe: [10, 20, 50] }, where: nfe >= 20, exclude: schedule == cosine and nfe > 20 }",
        &["linear 20", "linear 50", "cosine 20"],
    );
    points(
        "{ product: { schedule: [linear, cosine], nfe: [10, 50] }, exclude: [{ schedule: linear, nfe: 10, why: known }, \"nfe == 50 and schedule != linear\"] }",
        &["linear 50", "cosine 10"],
    );
    points(
        "{ union: [{ product: { nfe: [10, 50] }, where: nfe < 20 }, { schedule: [cosine] }] }",
        &["10", "cosine"],
    );
    points(
        "{ product: { nfe: [10, 50] }, seeds: 2, exclude: nfe == 50 and seed == 1 }",
        &["10 0", "10 1", "50 0"],
    );
    points(
        "{ product: { nfe: [10, 50] }, where: net.steps == 100 and schedule == linear }",
        &["10", "50"],
    );
}

#[test]
fn an_axis_may_depend_on_another_or_exist_only_somewhere() {
    points(
        "{ product: { nfe: { by: schedule, linear: [10, 50], cosine: 7 }, schedule: [linear, cosine] } }",
        &["linear 10", "linear 50", "cosine 7"],
    );
    points(
        "{ product: { schedule: [linear, cosine], draw.sampler.ddim.eta: { when: schedule == cosine, values: [0, 1] } } }",
        &["linear", "cosine 0", "cosine 1"],
    );
    points(
        "{ product: { nfe: [10, 50], net.batch: { by: schedule, linear: [8, 16], cosine: [4] } } }",
        &["10 8", "10 16", "50 8", "50 16"],
    );
}

#[test]
fn ranges_have_both_ends_and_clean_numbers() {
    points(
        "{ product: { draw.sampler.ddim.eta: { range: [0, 1], step: 0.25 } } }",
        &["0", "0.25", "0.5", "0.75", "1"],
    );
    points(
        "{ product: { draw.sampler.ddim.eta: { range: [0.1, 0.3], count: 3 } } }",
        &["0.1", "0.2", "0.3"],
    );
    points("{ product: { nfe: { range: [50, 10], step: -20 } } }", &["50", "30", "10"]);
    points(
        "{ product: { net.optimizer.adamw.learning_rate: { log_range: [1e-5, 1e-2], count: 4 } } }",
        &["0.00001", "0.0001", "0.001", "0.01"],
    );
}

#[test]
fn labels_name_values_and_one_label_may_set_several_paths() {
    names(
        "{ product: { net.model.unet.multipliers: { shallow: [1, 2], deep: [1, 2, 4] } } }",
        "net",
        &["net[multipliers=shallow]", "net[multipliers=deep]"],
    );
    names(
        "{ product: { size: { small: { net.model.unet.width: 8, net.batch: 32 }, big: { net.model.unet.width: 64, net.batch: 8, nfe: 20 } } } }",
        "draw",
        &["draw[size=small]", "draw[size=big]"],
    );
    let (_keep, _, graph) = read(
        "  main: { product: { size: { small: { nfe: 5, net.batch: 32 }, big: { net.batch: 8 } } } }\n",
    );
    let notices: Vec<String> = graph.notices.iter().map(ToString::to_string).collect();
    assert!(
        notices[0].contains("`big` leaves `nfe` as it is, which other values of `size` set"),
        "{notices:?}"
    );
    let (_keep, _, graph) = read(
        "  main: { product: { size: { small: { net.model.unet.width: 8, net.batch: 32 } } } }\n",
    );
    let net = graph.nodes.node_weights().find(|node| &*node.declared == "net").unwrap();
    let settings = net.settings.full();
    assert_eq!((&settings["batch"], &settings["model"]["unet"]["width"]), (&32.into(), &8.into()));
}

#[test]
fn a_value_of_an_axis_may_hold_a_variable_that_another_varies() {
    names(
        "{ product: { how: { a: { draw.sampler: { ddim: { steps: $nfe } } }, b: { draw.sampler: { ddpm: { steps: $nfe } } } }, nfe: [5, 6] } }",
        "draw",
        &["draw[how=a,nfe=5]", "draw[how=a,nfe=6]", "draw[how=b,nfe=5]", "draw[how=b,nfe=6]"],
    );
    // What another value of the axis hides is a conflict, wherever it comes among them.
    for (a, b) in [("$nfe", "5"), ("5", "$nfe")] {
        let how = format!(
            "{{ a: {{ draw.sampler: {{ ddim: {{ steps: {a} }} }} }}, b: {{ draw.sampler: {{ ddpm: {{ steps: {b} }} }} }} }}"
        );
        let text = with(&format!("  main: {{ product: {{ how: {how}, nfe: [5, 6] }} }}\n"));
        let said = Bench::new(&text).ablate(&["check", "spec.yaml"]).expect(2).err;
        assert!(said.contains("two axes set `draw.sampler`"), "{a} {b}: {said}");
    }
    // Even one that only such values hold.
    let spec = with(
        "  main: { product: { draw.sampler: [{ ddpm: { steps: $more } }, { ddim: { steps: $nfe } }], more: [5, 6] } }\n",
    );
    let bench = Bench::new(&spec.replace("seed: 0 }", "seed: 0, more: 5 }"));
    let (_, graph) = Graph::read(&bench.path("spec.yaml")).unwrap_or_else(|p| panic!("{p}"));
    let draws = graph.nodes.node_weights().filter(|node| &*node.declared == "draw");
    assert_eq!(draws.count(), 3, "to ddim it is nothing");
}

#[test]
fn an_axis_over_whole_subtrees_is_called_by_their_kinds() {
    names(
        "{ product: { draw.sampler: [{ ddim: { steps: 5 } }, { ddpm: { variance: fixed_small } }] } }",
        "draw",
        &["draw[sampler=ddim]", "draw[sampler=ddpm]"],
    );
}

#[test]
fn paths_that_end_alike_are_told_apart() {
    names(
        "{ product: { net.seed: [1, 2], draw.seed: [3] } }",
        "draw",
        &["draw[net.seed=1,draw.seed=3]", "draw[net.seed=2,draw.seed=3]"],
    );
}

#[test]
fn one_at_a_time_names_its_points_by_what_differs() {
    points(
        "{ one_at_a_time: { schedule: [linear, cosine], nfe: [10, 50], no_ema: { net.ema: off, draw.weights: last }, loss: { net.objective.ddpm.loss: [l1, huber] } } }",
        &["baseline", "schedule=cosine", "nfe=50", "no_ema", "loss=l1", "loss=huber"],
    );
}

#[test]
fn another_baseline_loses_no_work() {
    let keys = |sweep: &str| {
        let (_keep, _, graph) = read(&format!("  main: {sweep}\n"));
        let mut keys: Vec<String> = graph.nodes.node_weights().map(|node| node.key.hex()).collect();
        keys.sort();
        keys
    };
    let one = "one_at_a_time: { schedule: [linear, cosine] }, seeds: 2";
    assert_eq!(
        keys(&format!("{{ {one} }}")),
        keys(&format!("{{ baseline: {{ schedule: cosine }}, {one} }}"))
    );
    points(
        &format!("{{ baseline: {{ schedule: cosine }}, {one} }}"),
        &["baseline 0", "baseline 1", "schedule=linear 0", "schedule=linear 1"],
    );
    let (_keep, _, graph) =
        read(&format!("  main: {{ baseline: {{ schedule: cosine }}, {one} }}\n"));
    let flags: Vec<bool> = (0..4).map(|point| graph.is_baseline(point, "draw")).collect();
    assert_eq!(flags, [true, true, false, false]);
}

#[test]
fn seeds_may_replace_several_variables() {
    let spec = with("  main: { product: { nfe: [10] }, seeds: [3, 5], over: [seed, noise] }\n")
        .replace("seed: 0 }", "seed: 0, noise: 0 }")
        .replace("count: 8, seed: $seed", "count: 8, seed: $noise");
    let bench = Bench::new(&spec);
    let plan = bench.ablate(&["plan", "spec.yaml", "--all"]).expect(0);
    assert!(plan.out.contains("draw[nfe=10,seed=5,noise=5]"), "{}", plan.out);
    let missing = with("  main: { product: { nfe: [10] }, seeds: 2, over: noise }\n");
    let said = Bench::new(&missing).ablate(&["check", "spec.yaml"]).expect(2);
    assert!(said.err.contains("`seeds` replaces `vars.noise`, which is not there"), "{}", said.err);
}

#[test]
fn a_reference_pins_an_axis_whatever_the_point_says() {
    let spec = SPEC
        .replace("samples: draw,", "samples: { node: draw, at: { schedule: linear } },")
        .split("figures:")
        .next()
        .unwrap()
        .to_owned();
    let bench = Bench::new(&spec);
    let (_, graph) = Graph::read(&bench.path("spec.yaml")).unwrap();
    let scores: Vec<&str> = graph
        .nodes
        .node_weights()
        .filter(|n| &*n.declared == "score.power_spectrum")
        .map(|n| n.name.as_str())
        .collect();
    assert_eq!(
        scores,
        [
            "score.power_spectrum[nfe=10,seed=0]",
            "score.power_spectrum[nfe=10,seed=1]",
            "score.power_spectrum[nfe=50,seed=0]",
            "score.power_spectrum[nfe=50,seed=1]",
        ]
    );
    for (i, point) in graph.points.iter().enumerate() {
        let score = graph.at(i, "score.power_spectrum").unwrap();
        let samples = graph.input(score, "samples").unwrap();
        assert!(graph.nodes[samples].name.contains("schedule=linear"), "{point:?}");
    }
    // The pinned value may be none of the sweep's.
    let only = spec.replace("schedule: [linear, cosine], ", "");
    let elsewhere = only.replace("{ schedule: linear }", "{ schedule: cosine }");
    let bench = Bench::new(&elsewhere);
    let plan = bench.ablate(&["plan", "spec.yaml", "--all"]).expect(0);
    assert!(plan.out.contains("draw[nfe=50,seed=1,schedule=cosine]"), "{}", plan.out);
}

#[test]
fn a_node_may_collect_over_axes() {
    let collecting = |over: &str| {
        let spec = SPEC
            .replace("samples: draw,", &format!("samples: {{ node: draw, over: {over} }},"))
            .split("figures:")
            .next()
            .unwrap()
            .to_owned();
        let bench = Bench::new(&spec);
        let (_, graph) = Graph::read(&bench.path("spec.yaml")).unwrap();
        let scores =
            graph.indices().filter(|i| &*graph.nodes[*i].declared == "score.power_spectrum");
        scores
            .map(|i| {
                let roles = graph.nodes[i]
                    .inputs
                    .named()
                    .into_iter()
                    .filter(|(role, _)| role.starts_with("samples"))
                    .count();
                (graph.nodes[i].name.clone(), roles)
            })
            .collect::<Vec<_>>()
    };
    let seeds = collecting("seed");
    assert_eq!(seeds.len(), 4);
    assert_eq!(seeds[0], ("score.power_spectrum[schedule=linear,nfe=10]".to_owned(), 2));
    assert_eq!(collecting("all"), [("score.power_spectrum".to_owned(), 8)]);
    assert_eq!(
        collecting("[nfe, seed]"),
        [
            ("score.power_spectrum[schedule=linear]".to_owned(), 4),
            ("score.power_spectrum[schedule=cosine]".to_owned(), 4),
        ]
    );
}

#[test]
fn more_seeds_only_add() {
    let bench = Bench::new(SPEC);
    let keys = |more_seeds: Vec<u64>| {
        let choice = Choice { more_seeds, ..Choice::default() };
        let asked = Asked { choice, ..Asked::default() };
        let (_, graph) = Graph::read_with(&bench.path("spec.yaml"), &asked).unwrap();
        graph.nodes.node_weights().map(|node| node.key).collect::<std::collections::BTreeSet<_>>()
    };
    let (few, more) = (keys(vec![]), keys((0..5).collect()));
    assert!(few.is_subset(&more) && more.len() > few.len());
}

#[test]
fn a_run_of_some_points_makes_these_and_more_seeds_stay_known() {
    let bench = Bench::new(SPEC);
    let run = |arguments: &[&str]| {
        let all: Vec<&str> = ["run", "spec.yaml"].iter().chain(arguments).copied().collect();
        bench.ablate(&all).expect(0)
    };
    // 1 dataset, then 1 training with its 2 samplings and scores.
    assert_eq!(run(&["--seeds", "0", "--where", "schedule == cosine"]).started(), 6);
    assert_eq!(run(&["--seeds", "0-1"]).started(), 21 - 6);
    assert_eq!(run(&["--seeds", "2", "--where", "nfe < 20"]).started(), 2 * 3);
    let table = bench.ablate(&["table", "spec.yaml"]).expect(0).out;
    assert!(table.contains('3') && table.contains('2'), "{table}");
    let why = bench.ablate(&["why", "net[schedule=linear,seed=2]"]).expect(0).out;
    assert!(why.contains("is skipped"), "{why}");
    let clean = bench.ablate(&["clean"]).expect(0).out;
    assert!(!clean.contains("train-"), "seeds that were added are wanted: {clean}");
    assert_eq!(run(&[]).started(), 2 * 2, "the added seed is completed");
    let nothing = bench.ablate(&["plan", "spec.yaml", "--where", "nfe > 60"]).expect(2);
    assert!(nothing.err.contains("`--where nfe > 60` matches no point"), "{}", nothing.err);
    let unknown = bench.ablate(&["run", "spec.yaml", "--where", "nef == 3"]).expect(2);
    assert!(unknown.err.contains("did you mean `nfe`?"), "{}", unknown.err);
    let seeds = bench.ablate(&["run", "spec.yaml", "--seeds", "a"]).expect(2);
    assert!(seeds.err.contains("write 0-4, or 0,2,7"), "{}", seeds.err);
}

#[test]
fn a_profile_is_an_experiment_of_its_own_and_shares_what_is_equal() {
    let spec =
        format!("{SPEC}profiles:\n  small: {{ nodes: {{ net: {{ train: {{ steps: 7 }} }} }} }}\n");
    let bench = Bench::new(&spec);
    let small = bench.ablate(&["run", "spec.yaml", "--profile", "small"]).expect(0);
    assert_eq!(small.started(), 21);
    assert!(bench.path("results/spec-small/tables/main.csv").exists());
    assert_eq!(
        bench.ablate(&["run", "spec.yaml"]).expect(0).started(),
        20,
        "the dataset is shared"
    );
    let status = bench.ablate(&["status"]).expect(0).out;
    assert!(status.contains("spec: 21/21") && status.contains("spec-small: 21/21"), "{status}");
    let clean = bench.ablate(&["clean"]).expect(0).out;
    assert!(!clean.contains("train-"), "what the profile needs stays: {clean}");
    let which = bench.ablate(&["show", "net[schedule=linear,seed=0]"]).expect(2);
    assert!(which.err.contains("is one thing in"), "{}", which.err);
    let show = ["show", "net[schedule=linear,seed=0]", "--spec", "spec.yaml", "--profile", "small"];
    assert!(bench.ablate(&show).expect(0).out.contains("steps: 7"));
    let unknown = bench.ablate(&["run", "spec.yaml", "--profile", "smal"]).expect(2);
    assert!(unknown.err.contains("did you mean `small`?"), "{}", unknown.err);
}

#[test]
fn equal_points_are_merged_and_told() {
    let bench = Bench::new(&with(
        "  main: { points: [{ nfe: 50 }, { nfe: \"50\" }, { schedule: cosine }] }\n",
    ));
    let said = bench.ablate(&["check", "spec.yaml"]).expect(0);
    assert!(said.err.contains("note: spec.yaml:10:9: 1 point of the sweep `main` is like others and merged: nfe=50 is nfe=50"), "{}", said.err);
}

#[test]
fn conditions_see_what_a_point_has_however_it_got_it() {
    // Through a variable, through a variation, and by default.
    points(
        "{ product: { schedule: [linear, cosine] }, where: net.objective.ddpm.schedule == cosine }",
        &["cosine"],
    );
    points(
        "{ one_at_a_time: { no_ema: { net.ema: off }, small: { net.batch: 8 } }, where: net.ema == off or net.batch == 64 }",
        &["baseline", "no_ema"],
    );
    points(
        "{ one_at_a_time: { no_ema: { net.ema: off }, b: { nfe: 9 } }, exclude: variant == no_ema }",
        &["baseline", "b"],
    );
    points("{ product: { nfe: [10, 50] }, exclude: draw.sampler.ddim.steps == 50 }", &["10"]);
}

#[test]
fn a_baseline_that_is_no_point_is_told() {
    let spec = |sweep: &str| {
        crate::bench::SPEC.replace("product: { schedule: [linear, cosine], nfe: [10, 50] }", sweep)
    };
    let plain = |sweep: &str| spec(sweep).replace(", versus: baseline", "");
    let check =
        |sweep: &str| Bench::new(&plain(sweep)).ablate(&["check", "spec.yaml"]).expect(0).err;
    let strange =
        check("baseline: { net.batch: 8 }, product: { schedule: [linear, cosine], nfe: [10, 50] }");
    assert!(
        strange.contains("the baseline of `main` names `batch`, which is no axis"),
        "{strange}"
    );
    assert!(strange.contains("spec.yaml:"), "{strange}");
    let fine = check(
        "baseline: { schedule: cosine }, product: { schedule: [linear, cosine], nfe: [10, 50] }",
    );
    assert!(!fine.contains("which is no axis"), "{fine}");
}
