//! White Gaussian data, for which the smallest possible loss is known in closed form: a trained network must come
//! near it, and never below what chance allows.

use crate::project::{Project, json};
use ablate_worker::random::Stream;

const SPEC: &str = "\
question: how near does a small network come to the best one?
nodes:
  white: { dataset: { npy: { file: white.npy, transform: zscore, validation: 0.4, test: 0.1 } } }
  noise:    { train: { use: net.yaml, objective: { ddpm: { timesteps: 1000 } } } }
  velocity: { train: { use: net.yaml, objective: { ddpm: { timesteps: 1000, prediction: v } } } }
  flow:     { train: { use: net.yaml, objective: flow_matching } }
";

const NET: &str = "\
data: white
model: { unet: { width: 8, multipliers: [1, 2], attention: false } }
optimizer: { adamw: { learning_rate: 4e-3, warmup: 20 } }
batch: 32
steps: 250
ema: off
decay: cosine
validation: { every: 250, items: 1000 }
";

#[test]
fn losses_approach_the_smallest_possible_ones_from_above() {
    let project = Project::new(SPEC);
    project.write("net.yaml", NET.as_bytes());
    let items = 2500;
    // N(0.5, 0.25): the network sees N(0, 1).
    let values: Vec<f64> = Stream::new(11, "white", 0)
        .normal_f32(items * 64)
        .into_iter()
        .map(|z| 0.5 + 0.5 * f64::from(z))
        .collect();
    ablate::npy::write_f64(&project.path("white.npy"), &[items, 8, 8], &values).unwrap();
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let mut seen = 0;
    for node in project.nodes("train") {
        let name = json(&node.join("node.json"))["name"].as_str().unwrap().to_owned();
        let loss = json(&node.join("metrics.json"))["validation_loss"]["value"].as_f64().unwrap();
        // gaussian_oracle.json: linear betas and unit variance; the velocity of a flow costs pi / 2.
        let best = match name.as_str() {
            "noise" => 0.27551,
            "velocity" => 1.0,
            _ => std::f64::consts::FRAC_PI_2,
        };
        assert!((0.98..1.08).contains(&(loss / best)), "{name}: {loss} beside {best}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}
