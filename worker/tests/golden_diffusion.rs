//! Noise, predictions, losses and samplers against the golden files; the networks are in
//! `golden_diffusion/networks.rs`. Every size, constant and tolerance comes from the files, so that
//! another folder with other numbers runs the same tests.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails loudly, and prints what it compared and what it left out"
)]

mod support;

#[path = "golden_diffusion/conditional.rs"]
mod conditional;
#[path = "golden_diffusion/networks.rs"]
mod networks;
#[path = "golden_diffusion/oracle.rs"]
mod oracle;
#[path = "golden_diffusion/reading.rs"]
mod reading;
#[path = "golden_diffusion/solvers.rs"]
mod solvers;

use ablate::settings::{self, Ddpm, Loss, Objective, Plateau, Prediction, Variance};
use ablate_worker::ema::{Decay, Ema};
use ablate_worker::net::Tensors;
use ablate_worker::noise::{Level, Process};
use ablate_worker::objective::Rule;
use ablate_worker::rate::Rate;
use ablate_worker::samplers::{self, Step, ddim, ddpm, spacing};
use ablate_worker::{embedding, loss, predict};
use reading::{Skipped, number, numbers_of, process, spaced, tensor, text, values, whole, wholes};
use serde_json::Value;
use support::Golden;
use tch::{Kind, Tensor};

/// The numbers that a case of `schedules.json` lists for its `index`, by their names there.
fn schedule_columns(process: &Process) -> Vec<(&'static str, Vec<f64>)> {
    let all = 0..process.timesteps();
    let posterior = |t: usize| process.posterior(t, t.checked_sub(1));
    let levels = |f: fn(Level) -> f64| all.clone().map(|t| f(process.level(Some(t)))).collect();
    vec![
        ("beta", process.beta.clone()),
        ("alpha_bar", process.alpha_bar.clone()),
        ("sqrt_alpha_bar", levels(Level::alpha)),
        ("sqrt_one_minus_alpha_bar", levels(Level::sigma)),
        ("snr", levels(Level::snr)),
        ("posterior_variance", all.clone().map(|t| posterior(t).variance).collect()),
        (
            "posterior_log_variance_clipped",
            all.clone().map(|t| posterior(t.max(1)).variance.ln()).collect(),
        ),
        ("posterior_mean_coef_x0", all.clone().map(|t| posterior(t).x0_factor).collect()),
        ("posterior_mean_coef_xt", all.map(|t| posterior(t).x_factor).collect()),
    ]
}

#[test]
fn schedules_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/schedules.json");
    let mut skipped = Skipped::new("schedules.json");
    let json = golden.json.clone();
    let tolerance = number(&json["tolerance"], "f64");
    let single = &json["tolerance"]["f32"];
    for case in json["cases"].as_array().unwrap() {
        let name = format!("{} T={}", text(case, "schedule"), case["T"]);
        let process = process(text(case, "schedule"), whole(case, "T"), &json);
        let at = |column: &[f64]| -> Vec<f64> {
            wholes(case, "index").into_iter().map(|i| column[i]).collect()
        };
        for (column, got) in schedule_columns(&process) {
            if let Some(want) = case.get(column) {
                let want = support::numbers(want);
                golden.compare(&format!("{name} {column}"), &at(&got), &want, tolerance, tolerance);
            }
        }
        let (sum, last) = (process.beta.iter().sum(), process.alpha_bar[process.timesteps() - 1]);
        for (key, got) in [("sum_beta", sum), ("alpha_bar_T", last)] {
            if let Some(want) = case.get(key) {
                let want = support::numbers(want);
                golden.compare(
                    &format!("{name} {key}"),
                    &[got],
                    &want,
                    tolerance,
                    tolerance * 1e-3,
                );
            }
        }
        for (key, got, limit) in [
            ("diffusers_beta_f32", &process.beta, "beta_abs"),
            ("diffusers_alpha_bar_f32", &process.alpha_bar, "alpha_bar_abs"),
        ] {
            let Some(want) = case.get(key) else { continue };
            if name.contains("zero_terminal_snr") {
                skipped.note("stretched schedules of diffusers, which computes them in 32 bits");
                continue;
            }
            let (want, limit) = (support::numbers(want), number(single, limit));
            golden.compare(&format!("{name} {key}"), &at(got), &want, 0.0, limit);
        }
    }
    golden.finish();
}

#[test]
fn noisy_samples_and_predictions_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/forward.json");
    let json = golden.json.clone();
    let tolerance = number(&json["tolerance"], "f64");
    let (x0, eps) = (tensor(&json["x0"]), tensor(&json["eps"]));
    for case in json["cases"].as_array().unwrap() {
        let name = format!("{} t={}", text(case, "schedule"), case["t"]);
        let time = whole(case, "t");
        let process = process(text(case, "schedule"), whole(&json, "T"), &json);
        let level = process.level(Some(time));
        let whole_field = |x: &Tensor| x.view([1, 1, 1, -1]);
        let times = Tensor::from_slice(&[time as i64]);
        let x = process.noisy(&whole_field(&x0), &whole_field(&eps), &times).view(-1);
        let v = predict::v_from_parts(&x0, &eps, level);
        let (x0_of_eps, eps_of_x0) =
            (predict::x0_from_eps(&x, &eps, level), predict::eps_from_x0(&x, &x0, level));
        for (key, got) in [
            ("x_t", &x),
            ("v", &v),
            ("x0_from_eps", &x0_of_eps),
            ("x0_from_v", &predict::x0_from_v(&x, &v, level)),
            ("eps_from_v", &predict::eps_from_v(&x, &v, level)),
            ("eps_from_x0", &eps_of_x0),
            ("v_from_eps", &predict::v_from_parts(&x0_of_eps, &eps, level)),
            ("v_from_x0", &predict::v_from_parts(&x0, &eps_of_x0, level)),
        ] {
            let want = numbers_of(case, key);
            golden.compare(&format!("{name} {key}"), &values(got), &want, tolerance, tolerance);
        }
        for (key, got) in [("alpha_bar", level.signal), ("snr", level.snr())] {
            let want = number(case, key);
            golden.compare(&format!("{name} {key}"), &[got], &[want], tolerance, 0.0);
        }
        let weights = &case["min_snr_weight"];
        let largest = number(weights, "gamma");
        for prediction in Prediction::ALL {
            let key = if *prediction == Prediction::Epsilon { "eps" } else { prediction.word() };
            let ddpm = Ddpm { prediction: *prediction, ..Ddpm::default() };
            let Some(Rule::Discrete(rule)) = Rule::new(&Objective::Ddpm(ddpm)) else {
                unreachable!()
            };
            let (got, want) = (rule.weight(level, largest), number(weights, key));
            golden.compare(&format!("{name} min-SNR {key}"), &[got], &[want], tolerance, 0.0);
        }
    }
    golden.finish();
}

fn variance_of(case: &Value) -> Variance {
    match text(case, "variance") {
        "fixed_small" => Variance::FixedSmall,
        "fixed_large" => Variance::FixedLarge,
        other => panic!("unknown variance {other}"),
    }
}

/// The predicted noise behind a network's output of any kind.
fn eps_of(prediction: &str, x: &Tensor, output: &Tensor, level: Level) -> Tensor {
    match prediction {
        "epsilon" => output.shallow_clone(),
        "sample" => predict::eps_from_x0(x, output, level),
        "v_prediction" => predict::eps_from_v(x, output, level),
        other => panic!("unknown prediction {other}"),
    }
}

#[test]
fn ancestral_steps_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/ddpm_step.json");
    let json = golden.json.clone();
    let tolerance = number(&json["tolerance"], "f64_rel");
    let (x, z) = (tensor(&json["x_t"]), tensor(&json["z"]));
    for case in json["cases"].as_array().unwrap() {
        let (schedule, prediction) = (text(case, "schedule"), text(case, "prediction"));
        let (t, clip) = (whole(case, "t"), case["clip_x0"].as_bool().unwrap().then_some(1.0));
        let process = process(schedule, whole(&json, "T"), &json);
        let choice = variance_of(case);
        let name = format!("{schedule} {} {prediction} {clip:?} t={t}", text(case, "variance"));
        let posterior = process.posterior(t, t.checked_sub(1));
        let step = ddpm::step(&process, t, t.checked_sub(1), choice);
        let eps = eps_of(prediction, &x, &tensor(&json["model_output"]), step.level);
        let predicted = Step { x0_factor: 1.0, x_factor: 0.0, noise_factor: 0.0, ..step };
        for (key, got) in [
            ("x0_hat", predicted.take(&x, &eps, clip, || unreachable!("no noise is added"))),
            ("mean", step.take(&x, &eps, clip, || z.zeros_like())),
            ("x_prev", step.take(&x, &eps, clip, || z.shallow_clone())),
        ] {
            let want = numbers_of(case, key);
            golden.compare(&format!("{name} {key}"), &values(&got), &want, tolerance, tolerance);
        }
        // The file writes a variance of zero as 1e-20.
        let var = ddpm::variance(&posterior, choice).max(1e-20);
        golden.compare(&format!("{name} var"), &[var], &[number(case, "var")], tolerance, 0.0);
        let levels = [step.level.signal, process.level(step.next).signal];
        let want = [number(case, "alpha_bar_t"), number(case, "alpha_bar_prev")];
        golden.compare(&format!("{name} alpha_bar"), &levels, &want, tolerance, 0.0);
    }
    for case in json["subsequence"].as_array().unwrap() {
        let choice = variance_of(case);
        let name = format!("N={} {} {}", case["N"], text(case, "spacing"), text(case, "variance"));
        let process = process("linear", whole(&json, "T"), &json);
        let times = spaced(text(case, "spacing"), &process, whole(case, "N")).unwrap();
        golden.compare(&name, &as_numbers(&times), &numbers_of(case, "timesteps"), 0.0, 0.0);
        let steps = samplers::link(&times, |t, next| ddpm::step(&process, t, next, choice));
        let path = toy_path(&json, steps, tensor(&case["x_start"]), None);
        let (got, want) = (values(path.last().unwrap()), numbers_of(case, "x_final"));
        golden.compare(&name, &got, &want, tolerance, tolerance);
    }
    golden.finish();
}

fn as_numbers(times: &[usize]) -> Vec<f64> {
    times.iter().map(|t| *t as f64).collect()
}

/// The samples after each step with the files' toy model, eps = a_eps x, and their made-up noise.
fn toy_path(json: &Value, steps: Vec<Step>, x: Tensor, clip: Option<f64>) -> Vec<Tensor> {
    let (slope, phase) = (number(&json["params"], "a_eps"), number(&json["params"], "phase"));
    let chain = samplers::Chain { steps, clip };
    let noise = |i: usize| {
        let j = Tensor::arange(x.numel() as i64, (Kind::Double, x.device()));
        (j * 2.1 + (0.5 + 0.37 * i as f64 + phase)).sin() * 0.95
    };
    let mut path = vec![x.shallow_clone()];
    for i in 0..chain.nfe() {
        let next = chain.step(i, path.last().unwrap(), |x, _| x * slope, noise);
        path.push(next);
    }
    path.split_off(1)
}

#[test]
fn implicit_steps_and_chains_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/ddim.json");
    let mut skipped = Skipped::new("ddim.json");
    let json = golden.json.clone();
    let process = process(text(&json, "schedule"), whole(&json, "T"), &json);
    timestep_lists(&mut golden, &mut skipped, &json);
    single_ddim_steps(&mut golden, &json, &process);
    ddim_chains(&mut golden, &json, &process);
    skipped.note("the exact end point of the equation, which infinitely many steps reach");
    golden.finish();
}

fn timestep_lists(golden: &mut Golden, skipped: &mut Skipped, json: &Value) {
    for case in json["timesteps"].as_array().unwrap() {
        let (timesteps, count) = (whole(case, "T"), whole(case, "N"));
        let list = match text(case, "kind") {
            "leading" => spacing::leading(timesteps, count, whole(case, "steps_offset")),
            "trailing" => spacing::trailing(timesteps, count),
            "linspace" => spacing::linspace(timesteps, count),
            _ => {
                skipped.note("spacings that no setting offers");
                continue;
            }
        };
        let name = format!("times {} {count} of {timesteps}", text(case, "kind"));
        let want = &case["timesteps"];
        let got = as_numbers(&list);
        if want.is_array() {
            golden.compare(&name, &got, &support::numbers(want), 0.0, 0.0);
        } else {
            let (first, last) = (numbers_of(want, "first"), numbers_of(want, "last"));
            golden.compare(&name, &got[..first.len()], &first, 0.0, 0.0);
            golden.compare(&name, &got[got.len() - last.len()..], &last, 0.0, 0.0);
        }
        golden.compare(&name, &[got.len() as f64], &[number(case, "count")], 0.0, 0.0);
    }
}

fn single_ddim_steps(golden: &mut Golden, json: &Value, process: &Process) {
    let tolerance = number(&json["tolerance"], "f64");
    let (x, eps, z) = (tensor(&json["x_start"]), tensor(&json["eps"]), tensor(&json["z0"]));
    for case in json["steps"].as_array().unwrap() {
        let name = format!("step {} to {} eta {}", case["t"], case["t_prev"], case["eta"]);
        let next = usize::try_from(case["t_prev"].as_i64().unwrap()).ok();
        let step = ddim::step(process, whole(case, "t"), next, number(case, "eta"));
        let x0 = predict::x0_from_eps(&x, &eps, step.level);
        let x_prev = step.take(&x, &eps, None, || z.shallow_clone());
        for (key, got) in [("x0_hat", x0), ("x_prev", x_prev)] {
            let want = numbers_of(case, key);
            golden.compare(&format!("{name} {key}"), &values(&got), &want, tolerance, tolerance);
        }
        let got = [step.noise_factor, step.level.signal, process.level(step.next).signal];
        let want = ["sigma", "alpha_bar_t", "alpha_bar_prev"].map(|key| number(case, key));
        golden.compare(&name, &got, &want, tolerance, 1e-15);
    }
}

fn ddim_chains(golden: &mut Golden, json: &Value, process: &Process) {
    let tolerance = number(&json["tolerance"], "f64");
    let start = || tensor(&json["x_start"]);
    for case in json["trajectories"].as_array().unwrap() {
        let (eta, spacing) = (number(case, "eta"), text(case, "spacing"));
        let clip = case["clip_x0_and_rederive_eps"].as_bool().unwrap().then_some(1.0);
        let name = format!("chain N={} {spacing} eta {eta} clip {clip:?}", case["N"]);
        let times = spaced(spacing, process, whole(case, "N")).unwrap();
        golden.compare(&name, &as_numbers(&times), &numbers_of(case, "timesteps"), 0.0, 0.0);
        let steps = samplers::link(&times, |t, next| ddim::step(process, t, next, eta));
        let path = toy_path(json, steps, start(), clip);
        for point in case["path"].as_array().unwrap() {
            let (got, want) = (values(&path[whole(point, "i")]), numbers_of(point, "x"));
            golden.compare(&format!("{name} at {}", point["i"]), &got, &want, tolerance, tolerance);
        }
        let (got, want) = (values(path.last().unwrap()), numbers_of(case, "x_final"));
        golden.compare(&name, &got, &want, tolerance, tolerance);
    }
    let quirk = &json["linspace_quirk"];
    let times = spaced(text(quirk, "spacing"), process, whole(quirk, "N")).unwrap();
    let steps = samplers::link(&times, |t, next| ddim::step(process, t, next, 0.0));
    let end = values(toy_path(json, steps, start(), None).last().unwrap());
    let want = numbers_of(quirk, "x_final_next_element");
    golden.compare("linspace", &end, &want, tolerance, tolerance);

    let other = &json["seed004_sequence"];
    let pairs = wholes(other, "timesteps").into_iter().zip(wholes(other, "t_prev"));
    let steps = pairs.map(|(t, next)| ddim::step(process, t, Some(next), 0.0)).collect();
    let end = values(toy_path(json, steps, start(), None).last().unwrap());
    golden.compare("offset chain", &end, &numbers_of(other, "x_final"), tolerance, tolerance);
}

#[test]
fn losses_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/losses.json");
    let mut skipped = Skipped::new("losses.json");
    let json = golden.json.clone();
    let (prediction, target) = (tensor(&json["prediction"]), tensor(&json["target"]));
    for case in json["cases"].as_array().unwrap() {
        let name = text(case, "loss");
        let loss = match name.split(' ').next() {
            _ if case.as_object().unwrap().len() > 2 => {
                skipped.note("losses with a constant of their own, which no setting offers");
                continue;
            }
            Some("l1") => Loss::L1,
            Some("l2") => Loss::L2,
            Some("huber") => Loss::Huber,
            _ => panic!("unknown loss {name}"),
        };
        let got = loss::mean(loss, &prediction, &target).double_value(&[]);
        golden.compare(name, &[got], &[number(case, "value")], 1e-14, 0.0);
    }
    let weighted = &json["weighted"];
    let shape: Vec<i64> = wholes(weighted, "shape").into_iter().map(|n| n as i64).collect();
    let (prediction, target) = (prediction.view(&*shape), target.view(&*shape));
    let per_sample = loss::per_sample(Loss::L2, &prediction, &target);
    let want = numbers_of(weighted, "per_sample_mse");
    golden.compare("per sample", &values(&per_sample), &want, 1e-14, 0.0);
    let weights = tensor(&weighted["weights"]);
    let got = loss::weighted(Loss::L2, &prediction, &target, &weights).double_value(&[]);
    golden.compare("weighted", &[got], &[number(weighted, "value")], 1e-14, 0.0);
    golden.finish();
}

#[test]
fn embeddings_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/embeddings.json");
    let json = golden.json.clone();
    for case in json["cases"].as_array().unwrap() {
        let (width, times) = (whole(case, "dim") as i64, tensor(&case["t"]));
        for (kind, tolerance) in [(Kind::Double, "f64"), (Kind::Float, "f32_abs")] {
            let tolerance = number(&json["tolerance"], tolerance);
            for (key, want) in case.as_object().unwrap() {
                let got = match key.split(' ').next() {
                    Some("sin_cos_half_minus_1") => embedding::sin_cos(&times, width, kind),
                    Some("cos_sin_half") => embedding::cos_sin(&times, width, kind),
                    _ => continue,
                };
                let name = format!("{key} {width} t={} {kind:?}", case["t"]);
                let want = support::numbers(want);
                golden.compare(&name, &values(&got.flatten(0, -1)), &want, 0.0, tolerance);
            }
        }
    }
    golden.finish();
}

/// Rates epoch by epoch, a step and a validation each.
fn epoch_rates(golden: &mut Golden, skipped: &mut Skipped, json: &Value) {
    let losses = numbers_of(json, "val_loss");
    for case in json["epoch_schedules"].as_array().unwrap() {
        let name = text(case, "name");
        if name.contains("as coded") {
            skipped.note("a warmup whose first epoch runs at the full rate");
            continue;
        }
        let plateau = Plateau {
            factor: number(case, "factor"),
            patience: whole(case, "plateau_patience") as u64,
            improvement: 1e-4,
            smallest: number(case, "min_lr"),
        };
        let rate = Rate {
            base: number(case, "base_lr"),
            warmup: whole(case, "warmup_epochs") as u64,
            length: losses.len() as u64,
            decay: settings::Decay::Constant,
            plateau: Some(plateau),
        };
        let log = case["log"].as_array().unwrap();
        let got: Vec<f64> = (0..log.len())
            .map(|epoch| rate.at(epoch as u64, (1..).zip(losses[..epoch].iter().copied())))
            .collect();
        let want: Vec<f64> = log.iter().map(|line| number(line, "lr")).collect();
        golden.compare(name, &got, &want, 1e-12, 0.0);
        skipped.note("early stop by an absolute improvement, which no setting offers");
    }
}

#[test]
fn moving_averages_and_rates_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/lr_ema.json");
    let mut skipped = Skipped::new("lr_ema.json");
    let json = golden.json.clone();
    let trace = &json["ema_trace"];
    let weights: Vec<Tensors> = numbers_of(trace, "weights")
        .into_iter()
        .map(|weight| Tensors::from([("w".to_owned(), Tensor::from_slice(&[weight]))]))
        .collect();
    let mut ema = Ema::new(Decay::Fixed(number(trace, "decay")), &weights[0]);
    let mut got = vec![numbers_of(trace, "weights")[0]];
    for weight in &weights[1..] {
        ema.update(weight);
        got.push(ema.average()["w"].double_value(&[0]));
    }
    golden.compare("trace", &got, &numbers_of(trace, "ema"), 1e-13, 1e-13);

    for (name, case) in json["ema_decay"].as_object().unwrap() {
        if !name.contains("min(decay,(1+s)/(10+s))") {
            skipped.note("other decays, which no setting offers");
            continue;
        }
        let largest = number(&json["ema_decay"]["constant"], "decay");
        // Their first update, at k = 1, only copies the weights, as our beginning does: s = k - 1.
        let counted = wholes(case, "k").into_iter().zip(numbers_of(case, "decay"));
        let (steps, want): (Vec<_>, Vec<_>) = counted.filter(|(k, _)| *k > 1).unzip();
        let got: Vec<f64> = steps.iter().map(|k| Decay::Ramp(largest).at(*k as u64 - 1)).collect();
        golden.compare(name, &got, &want, 1e-14, 0.0);
    }
    epoch_rates(&mut golden, &mut skipped, &json);
    let case = &json["step_schedules"]["cosine"];
    let (base, warmup) = (number(case, "base_lr"), whole(case, "warmup_steps") as u64);
    let length = whole(case, "total_steps") as u64;
    let rate = Rate { base, warmup, length, decay: settings::Decay::Cosine, plateau: None };
    let counted = wholes(case, "step_index").into_iter().zip(numbers_of(case, "lr"));
    // Their first step has no rate at all; ours are one ahead.
    let (steps, want): (Vec<usize>, Vec<f64>) = counted.filter(|(i, _)| *i > 0).unzip();
    let got: Vec<f64> = steps.iter().map(|i| rate.at(*i as u64 - 1, [])).collect();
    golden.compare("cosine", &got, &want, 1e-12, 1e-18);
    skipped.note("rates that are 0 in the first step, or fall linearly, which no setting offers");
    golden.finish();
}
