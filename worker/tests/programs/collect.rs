//! Nodes that read several others at once.

use crate::project::{Project, json};

const SPEC: &str = "\
question: do the seeds agree?
vars: { seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 8, maps: 24 } } }
  net: { train: { data: maps, model: { unet: { width: 8, multipliers: [1, 2] } }, steps: 2, seed: $seed } }
  draw: { sample: { from: net, sampler: { ddim: { steps: 2 } }, count: 3, seed: $seed } }
  each: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
  all: { evaluate: { samples: { node: draw, over: seed }, reference: maps, measures: [power_spectrum] } }
sweeps: { main: { seeds: 2 } }
";

/// The mean spectrum of a finished score, and how many maps it has.
fn mean_of(node: &std::path::Path) -> (Vec<f64>, usize) {
    let series = json(&node.join("series.json"));
    let column = &series["power_spectrum"]["columns"]["mean"];
    let mean = column.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    (mean, ablate::npy::read_f64(&node.join("spectra.npy")).unwrap().shape[0])
}

#[test]
fn a_score_over_all_seeds_is_that_of_all_their_samples_together() {
    let project = Project::new(SPEC);
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let (mut each, mut all) = (vec![], vec![]);
    for node in project.nodes("evaluate") {
        let inputs = json(&node.join("node.json"))["inputs"].as_object().unwrap().len();
        if inputs == 3 { all.push(mean_of(&node)) } else { each.push(mean_of(&node)) }
    }
    let ([(first, 3), (second, 3)], [(together, 6)]) = (each.as_slice(), all.as_slice()) else {
        panic!("{each:?} {all:?}");
    };
    assert_ne!(first, second);
    for ((a, b), both) in first.iter().zip(second).zip(together) {
        assert!(((a + b) / 2.0 - both).abs() <= 1e-12 * both.abs(), "{a} {b} {both}");
    }
    let again = project.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(again.err.contains("0 nodes to run"), "{}", again.err);
}
