//! The networks that are told conditions, guidance, how many parameters all networks have, and the distances
//! between features. Weights
//! come from the formula that the files state, and from the files of weights beside them.

use crate::networks::{
    channels_of, compare_manifest, compare_statistics, filled, settings_of, wave,
};
use crate::reading::{Skipped, nested, number, numbers_of, tensor, text, values, whole, wholes};
use crate::support::{self, Golden};
use ablate::settings::{self, Transform};
use ablate_worker::data::manifest::Manifest;
use ablate_worker::data::transform::{Fitted, Statistics};
use ablate_worker::measure::features;
use ablate_worker::net::{
    self, Channels, Condition, Dit, Input, Network, Sides, SimpleUnet, Tensors, Told, Unet, What,
};
use ablate_worker::objective::Guidance;
use ablate_worker::picture::{Look, Mosaic};
use ablate_worker::weights;
use serde_json::Value;
use tch::{Device, Kind, Tensor, nn, no_grad};

fn told(what: What) -> Option<Told> {
    Some(Told { what, or_nothing: true })
}

/// Gives the parameters in a store the values of the formula, and the store a kind of numbers.
fn fill(store: &mut nn::VarStore, json: &Value, kind: Kind) -> Tensors {
    tch::set_num_threads(1);
    store.set_kind(kind);
    let parameters = net::parameters(&net::state(store));
    let variant = whole(json, "variant") as u32;
    for (name, tensor) in &parameters {
        no_grad(|| tensor.shallow_clone().copy_(&filled(name, &tensor.size(), variant)));
    }
    parameters
}

/// The values of a file of weights, which must be those of the formula.
fn compare_weights(golden: &mut Golden, state: &Tensors, name: &str) {
    let (read, _) = weights::read(&support::folder().join(name)).unwrap();
    for (parameter, value) in &read {
        if let Some(tensor) = state.get(parameter) {
            golden.compare(parameter, &values(tensor), &values(value), 0.0, 1e-7);
        }
    }
    net::load(state, &read).unwrap();
}

/// The first input of the files, rounded to 32 bits as theirs was.
fn input_of(json: &Value, channels: i64, side: i64, kind: Kind) -> (Tensor, Tensor) {
    let times: Vec<i64> = wholes(json, "t").into_iter().map(|t| t as i64).collect();
    let shape = [times.len() as i64, channels, side, side];
    let x = wave(0.8, 0.11, number(&json["params"], "phase"), shape);
    (x.to_kind(Kind::Float).to_kind(kind), Tensor::from_slice(&times))
}

fn dit_of(config: &Value) -> settings::Dit {
    let number = |a: &str, b: &str| config.get(a).or(config.get(b)).and_then(Value::as_u64);
    settings::Dit {
        size: None,
        patch: number("patch_size", "patch").unwrap(),
        width: number("hidden_size", "hidden"),
        depth: number("depth", "depth"),
        heads: number("num_heads", "heads"),
    }
}

fn dit(json: &Value, case: &Value, kind: Kind) -> (nn::VarStore, Dit) {
    let config = &json["config"];
    let (input, side) = (whole(config, "in_channels") as i64, whole(config, "input_size") as i64);
    let output = if case["learn_sigma"].as_bool().unwrap() { 2 * input } else { input };
    let classes = What::Classes(whole(config, "num_classes") as i64);
    let mut store = nn::VarStore::new(Device::Cpu);
    let sides = Sides { height: side, width: side };
    let channels = (Channels { input, output }, sides);
    let net = Dit::new(&store.root(), &dit_of(config), channels, told(classes));
    fill(&mut store, json, kind);
    (store, net)
}

/// Classes of which the last is `nothing`.
fn classes(json: &Value) -> Condition {
    let nothing = whole(&json["config"], "num_classes") as i64;
    let classes: Vec<i64> = wholes(json, "y").into_iter().map(|y| y as i64).collect();
    let withheld: Vec<bool> = classes.iter().map(|class| *class == nothing).collect();
    let known: Vec<i64> = classes.iter().map(|class| class % nothing).collect();
    Condition::new(Tensor::from_slice(&known)).without(Tensor::from_slice(&withheld))
}

#[test]
fn the_transformer_and_its_parameters_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/dit.json");
    let json = golden.json.clone();
    let side = whole(&json["config"], "input_size") as i64;
    let channels = whole(&json["config"], "in_channels") as i64;
    for case in json["cases"].as_array().unwrap() {
        let name = format!("learn_sigma {}", case["learn_sigma"]);
        for (kind, key) in [(Kind::Double, "f64_abs"), (Kind::Float, "f32_abs")] {
            let tolerance = number(&json["tolerance"], key);
            let (store, net) = dit(&json, case, kind);
            let state = net::state(&store);
            let parameters = net::parameters(&state);
            let count = net::count(&parameters) as f64;
            golden.compare(&name, &[count], &[number(case, "params_trainable")], 0.0, 0.0);
            if case.get("output").is_some() {
                compare_manifest(&mut golden, &parameters, &json["parameters"]);
                for (token, row) in json["pos_embed_rows"].as_object().unwrap() {
                    let token = token.trim_start_matches("token").parse().unwrap();
                    let got = values(&state["pos_embed"].get(0).get(token));
                    golden.compare("places", &got, &support::numbers(row), 0.0, 1e-6);
                }
                compare_weights(&mut golden, &state, "diffusion/dit.safetensors");
            }
            let (x, t) = input_of(&json, channels, side, kind);
            let condition = classes(&json);
            let input = Input { condition: Some(&condition), ..Input::new(&x, &t) };
            let out = no_grad(|| net.forward(&input));
            // The places of the file of weights are those of 32 bits.
            let tolerance = tolerance.max(1e-6);
            compare_statistics(&mut golden, &name, &out, &case["output_stats"], [0.0, tolerance]);
            if let Some(want) = case.get("output") {
                golden.compare(&name, &values(&out), &support::numbers(want), 0.0, tolerance);
            }
        }
    }
    golden.finish();
}

fn simple_of(config: &Value) -> settings::SimpleUnet {
    settings::SimpleUnet {
        width: whole(config, "base_channels") as u64,
        multipliers: wholes(config, "channel_mults").into_iter().map(|m| m as u64).collect(),
        time_width: whole(config, "time_dim") as u64,
        ..settings::SimpleUnet::default()
    }
}

#[test]
fn the_simple_unet_and_its_parameters_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/simple_unet.json");
    let json = golden.json.clone();
    let config = &json["config"];
    let side = whole(&json, "image_size") as i64;
    for (kind, key) in [(Kind::Double, "f64_abs"), (Kind::Float, "f32_abs")] {
        let tolerance = number(&json["tolerance"], key);
        let mut store = nn::VarStore::new(Device::Cpu);
        let what = What::Parameters(whole(config, "cond_dim") as i64);
        // The file's network has no `nothing`.
        let told = Some(Told { what, or_nothing: false });
        let net = SimpleUnet::new(&store.root(), &simple_of(config), Channels::same(1), told);
        let parameters = fill(&mut store, &json, kind);
        let state = net::state(&store);
        compare_manifest(&mut golden, &parameters, &json["parameters"]);
        compare_weights(&mut golden, &state, "diffusion/simple_unet.safetensors");
        let (x, t) = input_of(&json, 1, side, kind);
        let ask = |cond: Tensor, training| {
            let condition = Condition::new(cond);
            let condition = Some(&condition);
            no_grad(|| net.forward(&Input { condition, training, ..Input::new(&x, &t) }))
        };
        let cond = nested(&json["cond"]);
        let limits = [0.0, tolerance];
        let out = ask(cond.shallow_clone(), false);
        let want = numbers_of(&json, "eval_output");
        golden.compare("output", &values(&out), &want, 0.0, tolerance);
        compare_statistics(&mut golden, "output", &out, &json["eval_stats"], limits);
        let null = ask(cond.zeros_like(), false);
        compare_statistics(&mut golden, "zeros", &null, &json["eval_null_cond_stats"], limits);
        let trained = ask(cond, true);
        compare_statistics(&mut golden, "training", &trained, &json["train_stats"], limits);
        let after = &json["running_mean_after_one_train_forward"];
        let mean = values(&state[text(after, "tensor")]);
        let want = numbers_of(after, "first");
        golden.compare("running mean", &mean[..want.len()], &want, 0.0, tolerance);
    }
    golden.finish();
}

#[test]
fn guidance_is_that_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/cfg.json");
    let json = golden.json.clone();
    let guide = |json: &Value, scale: f64, rescale: f64| {
        let guidance = Guidance { scale, rescale };
        values(&guidance.guide(&nested(&json["eps_cond"]), &nested(&json["eps_uncond"])))
    };
    for case in json["cases"].as_array().unwrap() {
        // One scale is stored, s = 1 + w; the misreading takes w for s.
        let misread = case.get("note").map(|_| number(&json, "w"));
        let stated = case["guidance_scale"].as_f64().or(case["w"].as_f64().map(|w| 1.0 + w));
        let of_name = match text(case, "name") {
            "paper w=0" | "diffusers s=1" => Some(1.0),
            "diffusers s=0" => Some(0.0),
            _ => None,
        };
        let scale = misread.or(stated).or(of_name).expect("a case says how strong guidance is");
        let got = guide(&json, scale, 0.0);
        golden.compare(text(case, "name"), &got, &numbers_of(case, "eps"), 1e-12, 1e-12);
    }
    let rescaled = &json["rescale"];
    let scale = number(rescaled, "guidance_scale");
    for (key, rescale) in
        [("guided", 0.0), ("rescaled_phi1", 1.0), ("result", number(rescaled, "phi"))]
    {
        let got = guide(rescaled, scale, rescale);
        golden.compare(key, &got, &numbers_of(rescaled, key), 1e-12, 1e-12);
    }
    golden.finish();
}

/// The parameters of a network of a row, and those with what is fixed.
fn counts(row: &Value) -> [usize; 2] {
    let (model, config) = (text(row, "model"), &row["config"]);
    let store = nn::VarStore::new(Device::Cpu);
    let root = &store.root();
    if model == "seed Unet" {
        let self_condition = config["self_condition"].as_bool().unwrap_or(false);
        let settings = settings::Unet { self_condition, ..settings_of(config) };
        Unet::new(root, &settings, channels_of(config), None);
    } else if model.starts_with("SimpleUNet") {
        let channels = Channels {
            input: whole(config, "in_channels") as i64,
            output: whole(config, "out_channels") as i64,
        };
        let what = What::Parameters(whole(config, "cond_dim") as i64);
        let told = Some(Told { what, or_nothing: false });
        SimpleUnet::new(root, &simple_of(config), channels, told);
    } else {
        // Rows without a `config` state it in their name.
        let (settings, input, side, sigma, classes) = match config.is_object() {
            true => {
                let patch = model.rsplit('/').next().unwrap();
                let mut config = config.clone();
                config["patch"] = Value::from(patch.parse::<u64>().unwrap());
                let numbers = ["in_channels", "input_size", "num_classes"];
                let [input, side, classes] = numbers.map(|key| whole(&config, key) as i64);
                (dit_of(&config), input, side, config["learn_sigma"].as_bool().unwrap(), classes)
            }
            false if model.starts_with("DiT-S/2") => (sized(2, [384, 12, 6]), 1, 32, false, 10),
            false => (sized(4, [256, 6, 8]), 1, 32, false, 10),
        };
        let output = if sigma { 2 * input } else { input };
        let sides = Sides { height: side, width: side };
        let channels = (Channels { input, output }, sides);
        Dit::new(root, &settings, channels, told(What::Classes(classes)));
    }
    let state = net::state(&store);
    [net::count(&net::parameters(&state)), net::count(&state)]
}

fn sized(patch: u64, [width, depth, heads]: [u64; 3]) -> settings::Dit {
    let [width, depth, heads] = [width, depth, heads].map(Some);
    settings::Dit { size: None, patch, width, depth, heads }
}

#[test]
fn parameter_counts_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/param_counts.json");
    let json = golden.json.clone();
    for row in json["rows"].as_array().unwrap() {
        let [trained, all] = counts(row).map(|count| count as f64);
        let name = format!("{} {}", text(row, "model"), row["config"]);
        golden.compare(&name, &[trained], &[number(row, "params")], 0.0, 0.0);
        if let Some(want) = row.get("params_with_frozen_pos_embed") {
            golden.compare(&name, &[all], &values(&tensor(want)), 0.0, 0.0);
        }
    }
    golden.finish();
}

#[test]
fn distances_of_features_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/metrics.json");
    let mut skipped = Skipped::new("metrics.json");
    let json = golden.json.clone();
    let tolerance = number(&json["tolerance"], "f64_abs");
    let (real, fake) = (nested(&json["real"]), nested(&json["fake"]));
    let mut same = |name: &str, got: f64, want: f64| {
        golden.compare(name, &[got], &[want], 0.0, tolerance);
    };
    same("fid", features::frechet(&real, &fake), number(&json, "fid"));
    same("fid, other way round", features::frechet(&fake, &real), number(&json, "fid"));
    same("fid of itself", features::frechet(&real, &real), 0.0);
    let closed = &json["fid_2x2_closed_form"];
    let [mu1, mu2] = ["mu1", "mu2"].map(|key| tensor(&closed[key]));
    let [c1, c2] = ["C1", "C2"].map(|key| nested(&closed[key]));
    let got = features::frechet_of([&mu1, &mu2], [&c1, &c2]);
    same("fid in two dimensions", got, number(closed, "fid"));
    let got = features::kernel_distance(&fake, &real);
    same("kid", got, number(&json, "kid_unbiased"));
    assert_eq!(features::kernel_distances(&fake, &real), (got, None));
    for (name, want) in json["prdc"].as_object().unwrap() {
        let k = name.trim_start_matches("k=").parse().unwrap();
        let (precision, recall) = features::precision_recall(&fake, &real, k);
        let (density, coverage) = features::density_coverage(&fake, &real, k);
        for (metric, got) in [
            ("precision", precision),
            ("recall", recall),
            ("density", density),
            ("coverage", coverage),
        ] {
            same(&format!("{metric} {name}"), got, number(want, metric));
        }
    }
    skipped.note("the biased kernel distance, and the score of class probabilities");
    golden.finish();
}

#[test]
fn grids_of_images_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/image_grid.json");
    let json = golden.json.clone();
    let shape = wholes(&json, "shape");
    let manifest = Manifest {
        side: shape[2],
        width: Some(shape[3]),
        channels: shape[1],
        box_mpc_h: None,
        units: String::new(),
        transform: Fitted::new(Transform::Bytes, &Statistics::default()),
        splits: std::collections::BTreeMap::new(),
        parameters: vec![],
        classes: None,
        group: None,
        source: None,
        digests: std::collections::BTreeMap::new(),
    };
    let x = support::numbers(&json["x"]);
    for case in json["cases"].as_array().unwrap() {
        let (along, padding) = (whole(case, "nrow"), whole(case, "padding"));
        let ground = (number(case, "pad_value") * 255.0) as u8;
        let look = Look::of(&manifest, &x);
        let mosaic = Mosaic::new(&x, &manifest, look, (along, padding, ground));
        let want = numbers_of(case, "shape");
        golden.compare("shape", &[mosaic.height as f64, mosaic.width as f64], &want, 0.0, 0.0);
        let red: Vec<f64> = mosaic.rgb.chunks(3).map(|pixel| f64::from(pixel[0])).collect();
        golden.compare("pixels", &red, &support::numbers(&case["pixels_u8"]), 0.0, 0.0);
    }
    golden.finish();
}
