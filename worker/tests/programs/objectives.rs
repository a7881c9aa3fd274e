//! Every objective with samplers that fit it, from a spec to numbers.

use crate::project::{Project, json};
use ablate_worker::data::manifest::Manifest;
use std::collections::BTreeMap;

const SPEC: &str = "\
question: what can be learned, and how is it sampled?
nodes:
  maps: { dataset: { log_normal_fields: { side: 8, maps: 40 } } }
  noise:    { train: { use: net.yaml, objective: { ddpm: { schedule: sigmoid_beta, min_snr: 5 } } } }
  velocity: { train: { use: net.yaml, objective: { ddpm: { timesteps: 100, prediction: v, zero_terminal_snr: true } } } }
  clean:    { train: { use: net.yaml, objective: { ddpm: { schedule: quadratic, timesteps: 200, rescale: true, prediction: x0, loss: l1 } } } }
  flow:     { train: { use: net.yaml, objective: flow_matching } }
  reverse:  { train: { use: net.yaml, objective: { flow_matching: { time_direction: data_to_noise, loss: huber } } } }
  a: { sample: { from: noise, sampler: { dpm_solver: { steps: 7 } }, count: 4 } }
  b: { sample: { from: velocity, sampler: { ddim: { steps: 7 } }, count: 4 } }
  c: { sample: { from: clean, sampler: { heun: { steps: 7, spacing: leading } }, count: 4 } }
  d: { sample: { from: clean, sampler: { euler: { steps: 7 } }, count: 4 } }
  e: { sample: { from: flow, sampler: { heun: { steps: 7 } }, count: 4 } }
  f: { sample: { from: flow, sampler: { heun: { steps: 7 } }, count: 4, batch: 3 } }
  g: { sample: { from: reverse, sampler: { rk4: { steps: 2 } }, count: 4 } }
  back: { train: { use: net.yaml, model: { unet: { width: 8, multipliers: [1, 2], self_condition: true } } } }
  i: { sample: { from: back, sampler: { ddim: { steps: 5 } }, count: 4 } }
  j: { sample: { from: back, sampler: { ddim: { steps: 5 } }, count: 4, batch: 3 } }
  edm: { train: { use: net.yaml, objective: edm } }
  k: { sample: { from: edm, sampler: karras, count: 4 } }
  l: { sample: { from: edm, sampler: { karras: { steps: 6, method: euler, churn: 4 } }, count: 4 } }
  h: { sample: { from: reverse, sampler: { midpoint: { steps: 3 } }, count: 4 } }
";

const NET: &str = "\
data: maps
model: { unet: { width: 8, multipliers: [1, 2] } }
batch: 8
steps: 12
validation: { every: 1 epoch, items: 4 }
optimizer: { adamw: { warmup: 1 epoch } }
decay: cosine
";

#[test]
fn every_objective_is_learned_and_sampled() {
    let project = Project::new(SPEC);
    project.write("net.yaml", NET.as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let mut samples = BTreeMap::new();
    let mut evaluations = BTreeMap::new();
    for node in project.nodes("sample") {
        let name = json(&node.join("node.json"))["name"].as_str().unwrap().to_owned();
        let metrics = json(&node.join("metrics.json"));
        evaluations.insert(name.clone(), metrics["nfe"]["value"].as_f64().unwrap());
        let array = ablate::npy::read_f32(&node.join("samples.npy")).unwrap();
        assert_eq!(array.shape, [4, 1, 8, 8]);
        assert!(array.data.iter().all(|x| x.is_finite() && *x > 0.0), "{name}");
        samples.insert(name, array.data);
    }
    let want = [
        ("a", 7.0),
        ("b", 7.0),
        ("c", 13.0),
        ("d", 7.0),
        ("e", 14.0),
        ("f", 14.0),
        ("g", 8.0),
        ("h", 6.0),
        ("i", 5.0),
        ("j", 5.0),
        ("k", 35.0),
        ("l", 6.0),
    ];
    assert_eq!(evaluations, want.map(|(name, nfe)| (name.to_owned(), nfe)).into());
    // The noise belongs to the sample, so the batch is nearly nothing to it.
    let pairs = [("e", "f"), ("i", "j")].map(|(a, b)| samples[a].iter().zip(&samples[b]));
    for (one, other) in pairs.into_iter().flatten() {
        assert!((one.log10() - other.log10()).abs() < 1e-4, "{one} {other}");
    }
    for node in project.nodes("train") {
        let history = std::fs::read_to_string(node.join("history.csv")).unwrap();
        let rates: Vec<f64> = history
            .lines()
            .skip(1)
            .map(|l| l.split(',').nth(2).unwrap().parse().unwrap())
            .collect();
        // 32 maps are 4 batches: the rate rises over the first pass and has fallen to nothing at the end.
        let largest = rates.iter().copied().fold(0.0, f64::max);
        assert_eq!((rates.len(), rates[3]), (12, largest), "{rates:?}");
        assert!(rates[0] == largest / 4.0 && rates[11] < 1e-12, "{rates:?}");
        let validated: Vec<usize> = history
            .lines()
            .skip(1)
            .enumerate()
            .filter(|(_, line)| !line.split(',').nth(3).unwrap().is_empty())
            .map(|(i, _)| i + 1)
            .collect();
        assert_eq!(validated, [4, 8, 12]);
    }
}

const FILM: &str = "\
question: what is on the way?
nodes:
  maps: { dataset: { log_normal_fields: { side: 8, maps: 40 } } }
  noise: { train: { use: net.yaml } }
  flow: { train: { use: net.yaml, objective: flow_matching } }
  a: { sample: { from: noise, sampler: { ddim: { steps: 6 } }, count: 5, batch: 3, frames: { samples: 2 } } }
  b: { sample: { from: noise, sampler: { dpm_solver: { steps: 6 } }, count: 5, frames: { samples: 2, count: 3 } } }
  c: { sample: { from: flow, sampler: { heun: { steps: 6 } }, count: 5, frames: { count: 2 } } }
  d: { sample: { from: noise, sampler: { ddim: { steps: 6 } }, count: 5, batch: 3 } }
";

#[test]
fn a_film_goes_from_noise_to_the_samples_and_leaves_them_alone() {
    let project = Project::new(FILM);
    project.write("net.yaml", NET.as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = |name: &str| {
        let is = |node: &std::path::PathBuf| json(&node.join("node.json"))["name"] == name;
        project.nodes("sample").into_iter().find(is).unwrap()
    };
    let samples = |name: &str| ablate::npy::read_f64(&node(name).join("samples.npy")).unwrap().data;
    assert_eq!(samples("a"), samples("d"));
    for (name, moments, of) in [("a", 7, 2), ("b", 3, 2), ("c", 2, 1)] {
        let frames = ablate::npy::read_f64(&node(name).join("frames.npy")).unwrap();
        assert_eq!(frames.shape, [moments, of, 1, 8, 8]);
        let each = of * 64;
        let (first, last) = (&frames.data[..each], &frames.data[(moments - 1) * each..]);
        let square = first.iter().map(|x| x * x).sum::<f64>() / each as f64;
        assert!((0.6..1.5).contains(&square), "{name} begins with noise: {square}");
        let transform = Manifest::read(&node(name)).unwrap().transform;
        for (sample, last) in samples(name).iter().zip(last) {
            let (end, _) = transform.inverse(*last as f32);
            assert_eq!(f64::from(end), *sample, "{name} ends elsewhere");
        }
        let film = std::fs::read(node(name).join("frames.gif")).unwrap();
        let mut reader = gif::DecodeOptions::new().read_info(film.as_slice()).unwrap();
        let mut shown = 0;
        while reader.next_frame_info().unwrap().is_some() {
            shown += 1;
        }
        assert_eq!(shown, moments);
    }
}
