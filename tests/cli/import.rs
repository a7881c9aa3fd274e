//! `ablate import`: configurations of earlier programs become specs that mean the same.

use crate::bench::Bench;
use ablate::graph::Graph;
use ablate::settings::{Model, Objective, Sampler, Settings};

const FIELDS: &str = "\
method: diffusion
model: { in_channels: 1, out_channels: 1, cond_dim: 6, base_channels: 64, channel_mults: [1, 2], time_dim: 32 }
diffusion: { timesteps: 500, beta_start: 1.0e-4, beta_end: 0.01, schedule: linear }
flow_matching: { sigma_min: 0.0, sigma_max: 1.0 }
training:
  batch_size: 8
  num_epochs: 7
  lr: 0.0002
  weight_decay: 0.0001
  cfg_prob: 0.2
  sample_every: 2
  gradient_clip: 0.5
  optimizer: adamw
  use_augmentation: true
  augmentation: { rotation_p: 0.5, flip_p: 0.0 }
  scheduler: { name: plateau, factor: 0.5, patience: 3, min_lr: 1e-6, warmup_epochs: 5 }
  frobnicate: 3
sampling: { method: ddim, ddim_timesteps: 25, num_steps: 40, cfg_scale: 2.0, eta: 0.5 }
data: { maps_path: maps.npy, params_path: params.txt, train_split: 0.8, num_workers: 4, shuffle: true }
device: cuda
";

/// Imports a configuration, and checks what comes out; the graph, and what was said.
fn imported(config: &str) -> (Bench, Graph, String) {
    let bench = Bench::new("");
    bench.write("config.yaml", config);
    ablate::npy::write_f64(&bench.path("maps.npy"), &[600, 16, 16], &[1.0; 153_600]).unwrap();
    bench.write("params.txt", &"0.3 0.8 1 1 1 1\n".repeat(40));
    let said = bench.ablate(&["import", "config.yaml", "-o", "made.yaml"]).expect(0);
    bench.ablate(&["check", "made.yaml"]).expect(0);
    let (_, graph) = Graph::read(&bench.path("made.yaml")).unwrap();
    (bench, graph, said.err)
}

fn settings<'g>(graph: &'g Graph, name: &str) -> &'g Settings {
    &graph.nodes[graph.find(name)[0]].settings
}

#[test]
fn a_configuration_of_density_fields_keeps_every_number() {
    let (bench, graph, said) = imported(FIELDS);
    let Settings::Train(net) = settings(&graph, "net") else { unreachable!() };
    let Model::SimpleUnet(model) = &net.model else { unreachable!() };
    assert_eq!((model.width, &model.multipliers[..], model.time_width), (64, &[1, 2][..], 32));
    let Objective::Ddpm(ddpm) = &net.objective else { unreachable!() };
    assert_eq!((ddpm.timesteps, ddpm.beta_end), (500, 0.01));
    assert_eq!((net.batch, net.epochs, net.gradient_clip.on()), (8, Some(7), Some(0.5)));
    let plateau = net.plateau.on().unwrap();
    assert_eq!((plateau.factor, plateau.patience, plateau.smallest), (0.5, 3, 1e-6));
    assert_eq!(net.conditions.on().unwrap().dropout(), 0.2);
    assert_eq!(net.augment.len(), 1);
    let Settings::Sample(draw) = settings(&graph, "draw") else { unreachable!() };
    let Sampler::Ddim(ddim) = &draw.sampler else { unreachable!() };
    assert_eq!((ddim.steps, ddim.eta, draw.guidance_scale), (25, 0.5, 2.0));
    for piece in [
        "`training.frobnicate` has no counterpart",
        "left to the machine: data.num_workers, data.shuffle, device",
        "`flow_matching.sigma_min` was read and never used",
    ] {
        assert!(said.contains(piece), "{piece} in\n{said}");
    }
    // Nothing is overwritten, and the spec can be looked at first.
    let again = bench.ablate(&["import", "config.yaml", "-o", "made.yaml"]).expect(2);
    assert!(again.err.contains("in the way"), "{}", again.err);
    let shown = bench.ablate(&["import", "config.yaml"]).expect(0);
    assert_eq!(shown.out.trim(), std::fs::read_to_string(bench.path("made.yaml")).unwrap().trim());
}

#[test]
fn a_flow_keeps_its_direction_and_its_steps() {
    let (_, graph, _) = imported(&FIELDS.replace("method: diffusion", "method: flow"));
    let Settings::Train(net) = settings(&graph, "net") else { unreachable!() };
    assert!(
        matches!(&net.objective, Objective::FlowMatching(flow) if flow.time_direction.word() == "data_to_noise")
    );
    let Settings::Sample(draw) = settings(&graph, "draw") else { unreachable!() };
    assert!(matches!(&draw.sampler, Sampler::Euler(ode) if ode.steps == 40));
}

#[test]
fn networks_that_are_told_digits_become_a_sweep() {
    let config = "\
general: { time_steps: 400, img_size: 32, in_channels: 1, out_channels: 1 }
models:
  UNet: { dim: 16 }
  DiT: { patch_size: 4, hidden_size: 64, depth: 2, num_heads: 4 }
sampling: { method: ddim, ddim_timesteps: 10, w: 1.5 }
";
    let (_, graph, said) = imported(config);
    assert_eq!(graph.find("net").len(), 2);
    let Settings::Sample(draw) = settings(&graph, "draw") else { unreachable!() };
    assert_eq!(draw.guidance_scale, 2.5);
    let dit =
        graph.find("net[network=dit,seed=0]").into_iter().chain(graph.find("net[network=dit]"));
    let dit = dit.map(|i| graph.nodes[i].settings.clone()).next().unwrap();
    let Settings::Train(net) = &*dit else { unreachable!() };
    assert!(matches!(&net.model, Model::Dit(dit) if dit.numbers() == [64, 2, 4]));
    assert!(said.contains("the 1 in 1 + scale"), "{said}");
}

#[test]
fn a_plain_configuration_becomes_an_ablation_to_extend() {
    let config = "model: { dim: 32 }\ndiffusion: { timesteps: 500 }\ntrain: { batch_size: 32, lr: 1e-4, epochs: 3 }\n";
    let (_, graph, _) = imported(config);
    let Settings::Train(net) = settings(&graph, "net") else { unreachable!() };
    assert!(matches!(&net.objective, Objective::Ddpm(ddpm) if ddpm.timesteps == 500));
    assert_eq!((net.batch, net.epochs), (32, Some(3)));
}

#[test]
fn values_that_mean_nothing_are_named_and_never_become_part_of_the_spec() {
    let config = FIELDS
        .replace("batch_size: 8", "batch_size: many")
        .replace("schedule: linear", "schedule: \"linear }, x: {\"")
        .replace("channel_mults: [1, 2]", "channel_mults: [1, a]");
    let (_, graph, said) = imported(&config);
    let Settings::Train(net) = settings(&graph, "net") else { unreachable!() };
    assert_eq!(net.batch, 64);
    for path in ["training.batch_size", "diffusion.schedule", "model.channel_mults"] {
        assert!(said.contains(&format!("`{path}: ")) && said.contains("not understood"), "{said}");
    }
}

#[test]
fn what_is_no_configuration_is_refused_with_what_is_known() {
    let bench = Bench::new("");
    for (text, piece) in [
        ("a: 1\n", "config.yaml: the layout of this configuration is not known"),
        ("a: [1\n", "did not find expected"),
    ] {
        bench.write("config.yaml", text);
        let said = bench.ablate(&["import", "config.yaml", "-o", "made.yaml"]).expect(2);
        assert!(said.err.contains(piece), "{}", said.err);
        assert!(!bench.path("made.yaml").exists());
    }
    bench.ablate(&["import", "nowhere.yaml"]).expect(2);
}

#[test]
fn an_export_of_runs_becomes_tables_and_figures() {
    let bench = Bench::new("");
    let mut text = "\"Name\",\"State\",\"Runtime\",\"optimizer.lr\",\"seed\",\"val/loss\",\"test acc\",\"_step\"\n".to_owned();
    for (lr, seed, loss) in [
        ("0.1", 0, 0.5),
        ("0.1", 1, 0.7),
        ("0.01", 0, 0.4),
        ("0.01", 1, 0.2),
        ("1e-3", 0, 0.9),
        ("1e-3", 1, 0.7),
    ] {
        text += &format!(
            "\"run-{lr}-{seed}\",\"finished\",\"12\",\"{lr}\",\"{seed}\",\"{loss}\",\"{}\",\"100\"\n",
            1.0 - loss
        );
    }
    text += "\"broken\",\"crashed\",\"1\",\"0.1\",\"2\",\"\",\"\",\"3\"\n";
    bench.write("wandb.csv", &text);
    let said = bench.ablate(&["import", "wandb.csv", "-o", "earlier.yaml"]).expect(0);
    for words in
        ["parameters: optimizer.lr; metrics: val/loss, test acc", "1 run without a metric left out"]
    {
        assert!(said.err.contains(words), "{}", said.err);
    }
    bench.ablate(&["check", "earlier.yaml"]).expect(0);
    let said = bench.ablate(&["run", "earlier.yaml"]).expect(0);
    assert_eq!(said.started(), 6);
    let table = std::fs::read_to_string(bench.path("results/earlier/tables/main.md")).unwrap();
    assert!(table.contains("| 0.01 | **0.30 ± 0.14** | **0.70 ± 0.14** |"), "{table}");
    assert!(bench.path("results/earlier/figures/first.pdf").exists());
    let again = bench.ablate(&["import", "wandb.csv", "-o", "earlier.yaml"]).expect(2);
    assert!(again.err.contains("is in the way"), "{}", again.err);
    let wrong = bench
        .ablate(&["import", "wandb.csv", "-o", "other.yaml", "--metrics", "val/los"])
        .expect(2);
    assert!(
        wrong.err.contains("there is no column `val/los`")
            && wrong.err.contains("did you mean `val/loss`?"),
        "{}",
        wrong.err
    );
    assert!(!bench.path("other.yaml").exists());
}

#[test]
fn jobs_of_hydra_become_points() {
    let bench = Bench::new("");
    for (job, (lr, width)) in
        [("0.1", "32"), ("0.1", "64"), ("0.2", "32"), ("0.2", "64")].iter().enumerate()
    {
        let folder = bench.path(&format!("multirun/{job}/.hydra"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("overrides.yaml"),
            format!("- optimizer.lr={lr}\n- +model.width={width}\n"),
        )
        .unwrap();
        bench.write(
            &format!("multirun/{job}/metrics.json"),
            &format!("{{\"fid\": {job}.5, \"note\": \"x\"}}"),
        );
    }
    bench.ablate(&["import", "multirun", "-o", "earlier.yaml"]).expect(0);
    bench.ablate(&["run", "earlier.yaml"]).expect(0);
    let table = std::fs::read_to_string(bench.path("results/earlier/tables/main.md")).unwrap();
    assert!(table.contains("| 64 | 0.2 | 3.500 |"), "{table}");
    let said = bench.ablate(&["import", "results", "-o", "other.yaml"]).expect(2);
    assert!(said.err.contains("holds no jobs of Hydra"), "{}", said.err);
}
