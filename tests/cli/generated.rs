//! Sweeps that nobody wrote: whatever is generated is either a graph that holds together, or is refused
//! with problems that have their places; nothing panics, hangs or grows without bound.

use crate::bench::SPEC;
use ablate::graph::Graph;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(words).prop_map(str::to_owned).boxed()
}

fn name() -> BoxedStrategy<String> {
    prop_oneof![
        4 => one_of(&["schedule", "nfe", "net.batch", "draw.sampler.ddim.eta", "net.model.unet.width"]),
        1 => one_of(&["size", "seed", "variant", "nowhere", "draw.sampler", "net.steps", "draw.from",
            "net.model.unet.multipliers.0", "score.power_spectrum.binning", "maps.log_normal_fields.side"]),
    ]
    .boxed()
}

fn value() -> BoxedStrategy<String> {
    prop_oneof![
        4 => one_of(&["linear", "cosine", "10", "50", "0.5", "16", "1e1"]),
        1 => one_of(&["[1, 2]", "{ ddim: { steps: 5 } }", "{ ddpm: {} }", "off", "null", "\"\"", "x", "-1",
            "net", "maps.test", "{ nfe: 20 }", "$nfe", "1e999", "{}", "[]"]),
    ]
    .boxed()
}

fn condition() -> BoxedStrategy<String> {
    let plain = (name(), one_of(&["==", "!=", "<", ">=", "in", "and", "="]), value())
        .prop_map(|(name, sign, value)| format!("\"{name} {sign} {}\"", value.replace('"', "'")));
    let map = (name(), value()).prop_map(|(name, value)| format!("{{ {name}: {value} }}"));
    prop_oneof![3 => plain, 1 => map].boxed()
}

fn list(of: BoxedStrategy<String>, most: usize) -> BoxedStrategy<String> {
    prop::collection::vec(of, 1..=most).prop_map(|items| format!("[{}]", items.join(", "))).boxed()
}

/// A map of generated keys; equal ones are left to be told.
fn map(
    key: BoxedStrategy<String>,
    of: BoxedStrategy<String>,
    most: usize,
) -> BoxedStrategy<String> {
    map_of((key, of).prop_map(|(key, value)| format!("{key}: {value}")).boxed(), most)
}

fn map_of(pair: BoxedStrategy<String>, most: usize) -> BoxedStrategy<String> {
    prop::collection::vec(pair, 1..=most)
        .prop_map(|pairs| format!("{{ {} }}", pairs.join(", ")))
        .boxed()
}

/// Axes, most of them as they should be.
fn axes() -> BoxedStrategy<String> {
    let good = one_of(&[
        "schedule: [linear, cosine]",
        "nfe: [10, 50]",
        "nfe: { by: schedule, linear: [10], cosine: [20, 50] }",
        "net.batch: [8, 16]",
        "net.model.unet.width: { range: [8, 16], step: 8 }",
        "draw.sampler.ddim.eta: { when: nfe > 10, values: [0, 1] }",
        "size: { a: { net.steps: 3 }, b: { net.steps: 4, net.ema: off } }",
        "draw.sampler: [{ ddim: { steps: 5 } }, { ddpm: {} }]",
    ]);
    let any = (name(), values()).prop_map(|(name, values)| format!("{name}: {values}"));
    map_of(prop_oneof![14 => good, 1 => any].boxed(), 2)
}

/// A point, most of its values as they should be.
fn point() -> BoxedStrategy<String> {
    let good = one_of(&[
        "schedule: cosine",
        "nfe: 20",
        "net.batch: 4",
        "net.model.unet.multipliers: [1, 2]",
    ]);
    let any = (name(), value()).prop_map(|(name, value)| format!("{name}: {value}"));
    map_of(prop_oneof![14 => good, 1 => any].boxed(), 2)
}

fn values() -> BoxedStrategy<String> {
    let by = (name(), value(), list(value(), 2), value(), list(value(), 2)).prop_map(
        |(axis, a, at_a, b, at_b)| format!("{{ by: {axis}, \"{a}\": {at_a}, \"{b}\": {at_b} }}"),
    );
    let when = (condition(), list(value(), 2))
        .prop_map(|(condition, values)| format!("{{ when: {condition}, values: {values} }}"));
    let range =
        (value(), value(), one_of(&["step: 1", "count: 3", "count: 1e9", "step: 0", "x: 1"]))
            .prop_map(|(from, to, how)| format!("{{ range: [{from}, {to}], {how} }}"));
    let labels =
        map(one_of(&["a", "b", "c"]), prop_oneof![value(), map(name(), value(), 2)].boxed(), 3);
    prop_oneof![6 => list(value(), 3), 1 => by, 1 => when, 1 => range, 1 => labels, 1 => value()]
        .boxed()
}

fn sweep() -> BoxedStrategy<String> {
    let variation = prop_oneof![6 => axes(), 3 => point(), 1 => list(value(), 2)].boxed();
    let leaf = prop_oneof![
        axes().prop_map(|axes| format!("product: {axes}")),
        axes().prop_map(|axes| format!("zip: {axes}")),
        list(point(), 3).prop_map(|points| format!("points: {points}")),
        map(prop_oneof![9 => one_of(&["a", "b", "c"]), 1 => name()].boxed(), variation, 2)
            .prop_map(|variations| format!("one_at_a_time: {variations}")),
    ];
    let nested = leaf.prop_recursive(3, 12, 3, move |inner| {
        let part = prop_oneof![inner.prop_map(|i| format!("{{ {i} }}")), axes()].boxed();
        prop_oneof![
            list(part.clone(), 3).prop_map(|parts| format!("union: {parts}")),
            list(part.clone(), 3).prop_map(|parts| format!("product: {parts}")),
            list(part, 2).prop_map(|parts| format!("zip: {parts}")),
        ]
    });
    let beside = prop_oneof![
        6 => Just(String::new()),
        1 => one_of(&[", where: nfe >= 10", ", exclude: nfe == 50 and schedule == cosine"]),
        1 => condition().prop_map(|c| format!(", exclude: {c}")),
        2 => one_of(&[", seeds: 2", ", seeds: [1, 1]", ", seeds: 2, over: [seed, nfe]", ", seeds: 1e7"]),
        1 => point().prop_map(|b| format!(", baseline: {b}")),
    ];
    (nested, beside).prop_map(|(sweep, beside)| format!("{{ {sweep}{beside} }}")).boxed()
}

/// Reads a spec with a sweep; what comes of it must hold together. Whether it is a graph.
fn check(sweep: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spec.yaml");
    let nodes = SPEC.split("sweeps:").next().unwrap();
    std::fs::write(&file, format!("{nodes}sweeps: {{ main: {sweep} }}\n")).unwrap();
    let begun = Instant::now();
    let read = Graph::read(&file);
    assert!(begun.elapsed() < Duration::from_secs(20), "{sweep} hangs");
    match read {
        Ok((_, graph)) => {
            let keys: BTreeSet<_> = graph.nodes.node_weights().map(|node| node.key).collect();
            assert_eq!(keys.len(), graph.nodes.node_count(), "{sweep}: a key twice");
            for node in graph.indices() {
                assert!(
                    graph.inputs(node).all(|input| input < node),
                    "{sweep}: an input comes later"
                );
            }
            for (i, point) in graph.points.iter().enumerate() {
                let axes: BTreeSet<_> = point.coordinates.iter().map(|c| &c.axis).collect();
                assert_eq!(axes.len(), point.coordinates.len(), "{sweep}: an axis twice");
                assert!(
                    graph.at(i, "draw").is_some()
                        || graph.at(i, "net").is_some()
                        || graph.at(i, "maps").is_some()
                        || graph.at(i, "score.power_spectrum").is_some(),
                    "{sweep}"
                );
            }
            true
        }
        Err(problems) => {
            for problem in &problems.0 {
                assert!(problem.place.is_some(), "{sweep}: without a place: {problem}");
            }
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sweep_is_a_graph_or_refused_with_places(sweep in sweep()) {
        check(&sweep);
    }
}

#[test]
fn the_generator_makes_sweeps_of_both_kinds() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let made: Vec<bool> =
        (0..200).map(|_| check(&sweep().new_tree(&mut runner).unwrap().current())).collect();
    let good = made.iter().filter(|good| **good).count();
    assert!((10..190).contains(&good), "{good} of 200 are graphs");
}
