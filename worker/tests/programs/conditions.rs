//! What a network is told: classes and parameters from the data through training to samples.

use crate::project::{Project, json};
use ablate::npy;

/// Items of the dataset: the odd ones are bright, by their parameter.
const ITEMS: usize = 64;

/// A project with maps of one level each: class 1 has parameter p and level 1 + p, class 0 has level -1 - p.
fn project(spec: &str) -> Project {
    let project = Project::new(spec);
    let classes: Vec<i64> = (0..ITEMS as i64).map(|i| i % 2).collect();
    let parameters: Vec<f64> = (0..ITEMS).map(|i| (i / 2) as f64 / 31.0).collect();
    let level = |(class, p): (&i64, &f64)| (2.0 * *class as f64 - 1.0) * (1.0 + p);
    let levels = classes.iter().zip(&parameters).map(level);
    let maps: Vec<f64> = levels.flat_map(|level| vec![level; 64]).collect();
    npy::write_f64(&project.path("maps.npy"), &[ITEMS, 8, 8], &maps).unwrap();
    npy::write_i64(&project.path("labels.npy"), &[ITEMS], &classes).unwrap();
    npy::write_f64(&project.path("parameters.npy"), &[ITEMS, 1], &parameters).unwrap();
    project
}

const SPEC: &str = "\
question: does it listen?
nodes:
  maps:
    dataset: { npy: { file: maps.npy, labels: labels.npy, parameters: parameters.npy, transform: zscore } }
  unet: { train: { use: net.yaml, model: { unet: { width: 8, multipliers: [1, 2] } }, conditions: classes } }
  dit: { train: { use: net.yaml, model: { dit: { patch: 4, width: 32, depth: 2, heads: 4 } }, conditions: classes } }
  simple:
    train:
      use: net.yaml
      model: { simple_unet: { width: 8, multipliers: [1, 2], time_width: 16 } }
      conditions: { parameters: { dropout: 0.2 } }
  a: { sample: { use: draw.yaml, from: unet } }
  b: { sample: { use: draw.yaml, from: unet, guidance_w: 1 } }
  c: { sample: { use: draw.yaml, from: unet, guidance_scale: 2, batch: 5 } }
  d: { sample: { use: draw.yaml, from: dit, conditions: [1] } }
  e: { sample: { use: draw.yaml, from: simple, conditions: [[0.0], [1.0]] } }
  f: { sample: { use: draw.yaml, from: simple, conditions: { from: maps.train, each: 2 } } }
  g: { sample: { use: draw.yaml, from: simple, conditions: [0.5, 1.5], guidance_scale: 0 } }
";

const NET: &str = "\
data: maps
batch: 16
steps: 240
objective: flow_matching
optimizer: { adamw: { learning_rate: 3e-3 } }
ema: 0.95
validation: { every: 120, items: 6 }
";

/// The samples of a node by its name, the mean of each, with its conditions.
fn drawn(project: &Project, name: &str) -> (Vec<f64>, npy::Array<f64>, serde_json::Value) {
    let is = |node: &std::path::PathBuf| json(&node.join("node.json"))["name"] == name;
    let node = project.nodes("sample").into_iter().find(is).unwrap();
    let samples = npy::read_f64(&node.join("samples.npy")).unwrap().data;
    let means = samples.chunks(64).map(|map| map.iter().sum::<f64>() / 64.0).collect();
    let conditions = npy::read_f64(&node.join("conditions.npy")).unwrap();
    (means, conditions, json(&node.join("metrics.json")))
}

#[test]
fn networks_learn_to_do_as_they_are_told() {
    let project = project(SPEC);
    project.write("net.yaml", NET.as_bytes());
    project.write("draw.yaml", b"sampler: { heun: { steps: 10 } }\ncount: 8\n");
    let said = project.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(said.err.contains("p0 = 1.5, outside the training's 0 to"), "{}", said.err);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    // The classes in turn, dark and bright.
    let (means, classes, metrics) = drawn(&project, "a");
    assert_eq!(classes.data, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    for (class, level) in classes.data.iter().zip(&means) {
        assert!(if *class == 0.0 { *level < -0.5 } else { *level > 0.5 }, "{means:?}");
    }
    assert_eq!(metrics["nfe"]["value"], 20.0);
    // One strength under two names, whatever the batch.
    let (guided, _, metrics) = drawn(&project, "b");
    let (other, ..) = drawn(&project, "c");
    assert_eq!(metrics["nfe"]["value"], 40.0);
    assert_ne!(guided, means);
    assert!(guided.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-4), "{guided:?} {other:?}");
    // One class alone, by the transformer.
    let (means, classes, _) = drawn(&project, "d");
    assert_eq!(classes.data, [1.0; 8]);
    assert!(mean(&means) > 0.5, "{means:?}");
    // The parameter sets how far from zero the level is.
    let (means, parameters, _) = drawn(&project, "e");
    assert_eq!((parameters.shape, &parameters.data[..2]), (vec![8, 1], &[0.0, 1.0][..]));
    let far = |first: usize| {
        mean(&means.iter().skip(first).step_by(2).map(|m| m.abs()).collect::<Vec<_>>())
    };
    assert!(far(1) > far(0) + 0.3, "{means:?}");
    // Those of items of a split, each twice.
    let (_, parameters, _) = drawn(&project, "f");
    let of_split = {
        let folder = project.node("dataset");
        npy::read_f64(&folder.join("train.parameters.npy")).unwrap().data
    };
    let pairs: Vec<&[f64]> = parameters.data.chunks(2).collect();
    assert!(pairs.iter().all(|pair| pair[0] == pair[1] && of_split.contains(&pair[0])));
    assert!(pairs[0] != pairs[1] || pairs[1] != pairs[2], "{parameters:?}");
    // Told nothing, the network does not hear of the conditions.
    let (_, parameters, metrics) = drawn(&project, "g");
    assert_eq!((parameters.data[1], &metrics["nfe"]["value"]), (1.5, &20.0.into()));
}

#[test]
fn conditions_of_items_that_have_others_are_refused() {
    let spec = "\
question: is it the same parameter?
nodes:
  maps: { dataset: { npy: { file: maps.npy, parameters: parameters.npy, transform: zscore } } }
  other: { dataset: { npy: { file: maps.npy, parameters: other.txt, transform: zscore } } }
  net: { train: { data: maps, model: { unet: { width: 4, multipliers: [1] } }, conditions: parameters, steps: 1, batch: 4 } }
  draw: { sample: { from: net, sampler: { ddim: { steps: 1 } }, conditions: { from: other.train }, count: 2 } }
";
    let project = project(spec);
    project.write("other.txt", ("# brightness\n".to_owned() + &"0.5\n".repeat(ITEMS)).as_bytes());
    let said = project.ablate(&["run", "spec.yaml"]).expect(1).err;
    assert!(said.contains("trained with p0, and the items have brightness"), "{said}");
}

#[test]
fn a_training_with_batch_norm_and_conditions_goes_on_to_the_bit_at_any_precision() {
    let spec = |steps: u32, precision: &str| {
        format!(
            "question: is it the same?
nodes:
  maps: {{ dataset: {{ npy: {{ file: maps.npy, labels: labels.npy, transform: zscore }} }} }}
  net:
    train:
      data: maps
      model: {{ simple_unet: {{ width: 4, multipliers: [1, 2], time_width: 8 }} }}
      conditions: classes
      precision: {precision}
      batch: 8
      steps: {steps}
"
        )
    };
    let weights = |project: &Project| {
        let is_long =
            |node: &std::path::PathBuf| json(&node.join("metrics.json"))["steps"]["value"] == 9.0;
        let node = project.nodes("train").into_iter().find(is_long).unwrap();
        let read = |word: &str| std::fs::read(node.join(format!("{word}.safetensors"))).unwrap();
        ["last", "ema", "best", "best_ema"].map(read)
    };
    let of_both = ["f32", "bf16"].map(|precision| {
        let in_parts = project(&spec(5, precision));
        in_parts.ablate(&["run", "spec.yaml"]).expect(0);
        in_parts.write("spec.yaml", spec(9, precision).as_bytes());
        in_parts.ablate(&["run", "spec.yaml"]).expect(0);
        let at_once = project(&spec(9, precision));
        at_once.ablate(&["run", "spec.yaml"]).expect(0);
        assert!(weights(&in_parts) == weights(&at_once), "{precision}");
        weights(&at_once)
    });
    assert!(of_both[0] != of_both[1], "another precision is another training");
}

const JUDGED: &str = "\
question: does the judge know?
nodes:
  digits: { dataset: { glyph_digits: { images: 1200, seed: 3 } } }
  clf:
    train:
      data: digits
      objective: { classification: { label_smoothing: 0.05 } }
      model: lenet
      batch: 32
      epochs: 6
      ema: 0.9
      validation: { every: 1 epoch }
  net: { train: { data: digits, model: { unet: { width: 4, multipliers: [1, 2] } }, conditions: classes, batch: 8, steps: 2 } }
  draw: { sample: { from: net, sampler: { ddim: { steps: 2, clip: 1 } }, count: 100 } }
  real: { evaluate: { samples: digits.validation, reference: digits, measures: [features: { classifier: clf }, accuracy: { classifier: clf }] } }
  false: { evaluate: { samples: draw, reference: digits, measures: [features: { classifier: clf }, accuracy: { classifier: clf }] } }
";

#[test]
fn a_classifier_tells_digits_from_noise() {
    let project = Project::new(JUDGED);
    let said = project.ablate(&["run", "spec.yaml"]).expect(0);
    // 120 items of the validation split are enough for 84 features.
    assert!(!said.err.contains("span less than 84"), "{}", said.err);
    let metrics = |name: &str| {
        let is = |node: &std::path::PathBuf| json(&node.join("node.json"))["name"] == name;
        let node = project.nodes("evaluate").into_iter().find(is).unwrap();
        json(&node.join("metrics.json"))
    };
    let value = |metrics: &serde_json::Value, name: &str| metrics[name]["value"].as_f64().unwrap();
    let (real, noise) = (metrics("real.accuracy"), metrics("false.accuracy"));
    assert!(value(&real, "accuracy") > 0.8 && value(&real, "ceiling") > 0.8, "{real}");
    assert!(value(&noise, "accuracy") < 0.4, "{noise}");
    assert_eq!(value(&real, "ceiling"), value(&noise, "ceiling"));
    let (real, noise) = (metrics("real.features"), metrics("false.features"));
    assert!(value(&noise, "frechet") > 5.0 * value(&real, "frechet"), "{real} {noise}");
    assert!(value(&noise, "kid") > 5.0 * value(&real, "kid").abs(), "{real} {noise}");
    assert!(value(&real, "coverage") > 0.8 && value(&noise, "coverage") < 0.3, "{real} {noise}");
    assert!(value(&real, "recall") > 0.6 && value(&noise, "precision") < 0.6, "{real} {noise}");
    // The floor is that of as many items of the same law.
    let ratio = value(&real, "frechet") / value(&real, "frechet_floor");
    assert!((0.5..2.0).contains(&ratio), "{real}");
    let unit = real["frechet"]["unit"].as_str().unwrap();
    let clf = project.nodes("train").into_iter().map(|node| node.to_string_lossy().into_owned());
    let key = unit.strip_prefix("lenet84@").unwrap();
    assert!(clf.into_iter().any(|node| node.contains(&format!("train-{key}"))), "{unit}");
}
