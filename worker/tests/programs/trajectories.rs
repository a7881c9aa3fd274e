//! Trajectories in use: lengths that share their steps, longer, shorter and swept, and early stopping.

use crate::project::{Project, json};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A training in very small; `more` are settings of it.
fn spec(more: &str, rest: &str) -> String {
    format!(
        "\
question: how long?
nodes:
  maps: {{ dataset: {{ log_normal_fields: {{ side: 16, maps: 32, seed: 3 }} }} }}
  net:
    train:
      data: maps
      model: {{ unet: {{ width: 4, multipliers: [1, 2], groups: 2, attention: false }} }}
      batch: 4
      {more}
{rest}"
    )
}

/// Digests of the artefacts of a node, by path; the key of the node decides nothing.
fn digests(node: &Path) -> BTreeMap<String, String> {
    let file = json(&node.join("node.json"));
    let artefacts = file["artefacts"].as_array().unwrap().clone();
    let pair = |a: Value| {
        (a["path"].as_str().unwrap().to_owned(), a["blake3"].as_str().unwrap().to_owned())
    };
    artefacts.into_iter().map(pair).collect()
}

/// The train node of a length.
fn of_length(project: &Project, steps: u64) -> std::path::PathBuf {
    let is =
        |node: &std::path::PathBuf| json(&node.join("node.json"))["settings"]["steps"] == steps;
    project.nodes("train").into_iter().find(is).unwrap()
}

/// Steps that the attempts at trainings did, in all.
fn steps_done(project: &Project) -> u64 {
    let query = "select sum(steps) from attempts where kind = 'train'";
    let said = project.ablate(&["query", query, "--csv"]).expect(0);
    said.out.lines().last().unwrap().parse().unwrap()
}

fn direct(steps: u64) -> Project {
    let project = Project::new(&spec(&format!("steps: {steps}"), ""));
    project.ablate(&["run", "spec.yaml"]).expect(0);
    project
}

#[test]
fn a_sweep_over_lengths_costs_the_longest_and_gives_each_as_if_alone() {
    let sweep = "sweeps: { main: { product: { net.steps: [20, 10, 30] } } }\n";
    let project = Project::new(&spec("steps: 20", sweep));
    project.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!((project.nodes("train").len(), steps_done(&project)), (3, 30));
    for steps in [10, 20, 30] {
        let alone = direct(steps);
        assert_eq!(digests(&of_length(&project, steps)), digests(&alone.node("train")), "{steps}");
    }
}

#[test]
fn a_shorter_length_asked_for_later_starts_from_the_nearest_checkpoint_and_the_plan_says_so() {
    let project = Project::new(&spec("steps: 10", ""));
    project.ablate(&["run", "spec.yaml"]).expect(0);
    for steps in [30, 20] {
        project.write("spec.yaml", spec(&format!("steps: {steps}"), "").as_bytes());
        let plan = project.ablate(&["plan", "spec.yaml"]).expect(0);
        assert!(plan.out.contains("goes on from the checkpoint at step 10"), "{}", plan.out);
        project.ablate(&["run", "spec.yaml"]).expect(0);
    }
    // 30 steps to the end, and once more from 10 to 20.
    assert_eq!(steps_done(&project), 40);
    assert_eq!(digests(&of_length(&project, 20)), digests(&direct(20).node("train")));
    assert_eq!(digests(&of_length(&project, 30)), digests(&direct(30).node("train")));
}

#[test]
fn kept_checkpoints_let_lengths_be_published_later_without_a_step() {
    // 26 maps of 32 are for training: 7 batches an epoch.
    let text = spec("steps: 30", "    run: { keep_every: 1 epoch }\n");
    let project = Project::new(&text);
    project.ablate(&["run", "spec.yaml"]).expect(0);
    for steps in [7, 21] {
        project.write("spec.yaml", spec(&format!("steps: {steps}"), "").as_bytes());
        project.ablate(&["run", "spec.yaml"]).expect(0);
    }
    assert_eq!(steps_done(&project), 30);
    assert_eq!(digests(&of_length(&project, 21)), digests(&direct(21).node("train")));
}

/// The weights of a train node by their names.
fn weights(node: &Path, word: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(node.join(format!("{word}.safetensors"))).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}

#[test]
fn a_training_starts_with_the_weights_of_another_or_of_a_file() {
    let frozen = "optimizer: { adamw: { learning_rate: 0 } }";
    let project = Project::new(&spec("steps: 9\n      ema: 0.5", ""));
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let first = project.node("train");
    std::fs::copy(first.join("last.safetensors"), project.path("w.safetensors")).unwrap();
    let tuned = |name: &str, init: &str| {
        format!(
            "  {name}:
    train:
      data: maps
      model: {{ unet: {{ width: 4, multipliers: [1, 2], groups: 2, attention: false }} }}
      batch: 4
      steps: 1
      {frozen}
      init: {init}
"
        )
    };
    let rest = tuned("a", "{ from: net, weights: ema }") + &tuned("b", "w.safetensors");
    project.write("spec.yaml", spec("steps: 9\n      ema: 0.5", &rest).as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(steps_done(&project), 11);
    let named = |name: &str| {
        let is = |node: &std::path::PathBuf| json(&node.join("node.json"))["name"] == name;
        project.nodes("train").into_iter().find(is).unwrap()
    };
    assert_eq!(weights(&named("a"), "last"), weights(&first, "ema"));
    assert_eq!(weights(&named("b"), "last"), weights(&first, "last"));
    assert_ne!(weights(&first, "last"), weights(&first, "ema"));
    // Another network does not take them.
    let wider = tuned("a", "{ from: net }").replace("width: 4", "width: 8");
    project.write("spec.yaml", spec("steps: 9\n      ema: 0.5", &wider).as_bytes());
    let said = project.ablate(&["run", "spec.yaml"]).expect(1);
    assert!(said.err.contains("has the shape"), "{}", said.err);
}

#[test]
fn parts_of_a_batch_add_up_to_it_and_augmentations_change_it() {
    let rest = "  parts: { train: { use: net.yaml, micro_batch: 3 } }
  whole: { train: { use: net.yaml } }
  moved: { train: { use: net.yaml, augment: [roll, quarter_turns, flip_horizontal] } }
  fixed: { train: { use: net.yaml, ema_ramp: false } }
";
    let project = Project::new(&spec("steps: 2", rest));
    let net = "data: maps
model: { unet: { width: 4, multipliers: [1, 2], groups: 2, attention: false } }
batch: 8
steps: 12
";
    project.write("net.yaml", net.as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let history = |name: &str| {
        let is = |node: &std::path::PathBuf| json(&node.join("node.json"))["name"] == name;
        let node = project.nodes("train").into_iter().find(is).unwrap();
        let text = std::fs::read_to_string(node.join("history.csv")).unwrap();
        let cell = |line: &str, i: usize| line.split(',').nth(i).unwrap().parse().unwrap();
        let losses: Vec<f64> = text.lines().skip(1).map(|line| cell(line, 1)).collect();
        (losses, cell(text.lines().last().unwrap(), 4))
    };
    let ((whole, ema), (parts, _)) = (history("whole"), history("parts"));
    assert_eq!(whole.len(), 12);
    let off = whole.iter().zip(&parts).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
    assert!(off < 1e-3, "{off}: {whole:?} {parts:?}");
    assert_ne!(whole, parts, "parts are summed in another order");
    let (moved, _) = history("moved");
    assert!((moved[0] / whole[0] - 1.0).abs() > 1e-4, "{moved:?} {whole:?}");
    let (fixed, slow) = history("fixed");
    assert_eq!(fixed, whole, "the average does not act back");
    // After 12 steps a fixed decay of 0.999 has hardly left the start.
    assert!(slow > ema, "{slow} {ema}");
}

#[test]
fn early_stopping_ends_before_the_length_and_longer_lengths_publish_the_same() {
    // With such a learning rate the loss soon grows.
    let stopping = |steps: u64| {
        let more = format!(
            "steps: {steps}
      optimizer: {{ adamw: {{ learning_rate: 0.3 }} }}
      validation: {{ every: 2, items: 8 }}
      early_stopping: {{ patience: 3 }}"
        );
        spec(&more, "")
    };
    let project = Project::new(&stopping(400));
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let first = project.node("train");
    let ended_at = json(&first.join("metrics.json"))["ended_at"]["value"].as_f64().unwrap() as u64;
    assert!(ended_at < 400 && ended_at.is_multiple_of(2), "{ended_at}");
    assert_eq!(steps_done(&project), ended_at);
    project.write("spec.yaml", stopping(600).as_bytes());
    let said = project.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(
        said.err.contains(&format!("early stopping ended this training at step {ended_at}")),
        "{}",
        said.err
    );
    assert_eq!(steps_done(&project), ended_at, "not a step more");
    assert_eq!(digests(&of_length(&project, 600)), digests(&first));
    // A length before the end is a training of its own that has not ended.
    let before = ended_at - 3;
    project.write("spec.yaml", stopping(before).as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let metrics = json(&of_length(&project, before).join("metrics.json"));
    assert_eq!(
        (&metrics["ended_at"], &metrics["steps"]["value"]),
        (&Value::Null, &(before as f64).into())
    );
}

#[test]
fn early_stopping_survives_kills() {
    let text = spec(
        "steps: 400
      optimizer: { adamw: { learning_rate: 0.3 } }
      validation: { every: 2, items: 8 }
      early_stopping: { patience: 6 }
    run: { checkpoint: 0.1s }",
        "",
    );
    let undisturbed = Project::new(&text);
    undisturbed.ablate(&["run", "spec.yaml"]).expect(0);
    let disturbed = Project::new(&text);
    for wait in [700, 900, 1100] {
        let mut child = disturbed.start(&["run", "spec.yaml"]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    disturbed.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(digests(&undisturbed.node("train")), digests(&disturbed.node("train")));
}

#[test]
fn looking_at_samples_meanwhile_changes_nothing() {
    for objective in ["{ ddpm: { timesteps: 50 } }", "flow_matching", "edm"] {
        let own = format!("objective: {objective}, steps: 12").replace(", ", "\n      ");
        let run = |rest: &str| {
            let project = Project::new(&spec(&own, rest));
            let said = project.ablate(&["run", "spec.yaml"]).expect(0);
            (project, said.err)
        };
        let ((before, _), (looking, said)) = (run(""), run("    run: { preview: 5 }\n"));
        assert_eq!(digests(&before.node("train")), digests(&looking.node("train")), "{objective}");
        let folder = said.split("previews go to ").nth(1).unwrap().lines().next().unwrap();
        let folder = looking.path(folder.trim());
        for step in [5, 10] {
            let picture = std::fs::read(folder.join(format!("step-{step:09}.png"))).unwrap();
            assert!(picture.starts_with(b"\x89PNG"));
        }
        let table = std::fs::read_to_string(folder.join("previews.csv")).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, "step,power_error,mean,deviation"), "{table}");
        let numbers: Vec<f64> = lines[2].split(',').map(|x| x.parse().unwrap()).collect();
        assert!(numbers[0] == 10.0 && numbers[1] > 0.0 && numbers[3] > 0.0, "{table}");
    }
}
