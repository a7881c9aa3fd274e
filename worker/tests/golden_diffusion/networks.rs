//! The U-Net, a few steps of its training, circular padding and parameter counts. Weights come from
//! the formula that the files state, so no file of weights is needed.

use crate::reading::{Skipped, nested, number, numbers_of, process, text, values, whole, wholes};
use crate::support::Golden;
use ablate::settings::{self, Loss, Standardisation};
use ablate_worker::ema::{Decay, Ema};
use ablate_worker::net::{self, Channels, Input, Network, Tensors, Unet};
use ablate_worker::noise::Process;
use ablate_worker::optimizer::{self, AdamW};
use ablate_worker::{loss, predict};
use serde_json::Value;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// A network of a file's `config`, with its weights filled by the formula.
struct Filled {
    net: Unet,
    parameters: Tensors,
}

pub(crate) fn settings_of(config: &Value) -> settings::Unet {
    settings::Unet {
        width: whole(config, "dim") as u64,
        multipliers: wholes(config, "dim_mults").into_iter().map(|m| m as u64).collect(),
        groups: config["resnet_block_groups"].as_u64().unwrap_or(4),
        ..settings::Unet::default()
    }
}

pub(crate) fn channels_of(config: &Value) -> Channels {
    Channels::same(whole(config, "channels") as i64)
}

impl Filled {
    fn new(settings: &settings::Unet, channels: Channels, variant: u32, kind: Kind) -> Self {
        // Tests run side by side: more threads for each would only wait for one another.
        tch::set_num_threads(1);
        let mut store = nn::VarStore::new(Device::Cpu);
        let net = Unet::new(&store.root(), settings, channels, None);
        store.set_kind(kind);
        let parameters = net::state(&store);
        let values: Tensors = parameters
            .iter()
            .map(|(name, tensor)| (name.clone(), filled(name, &tensor.size(), variant)))
            .collect();
        net::load(&parameters, &values).expect("the values have the parameters' names and shapes");
        Self { net, parameters }
    }
}

/// The `fill` of unet.json: an integer hash of name and index, scaled as the kind of parameter asks.
pub(crate) fn filled(name: &str, shape: &[i64], variant: u32) -> Tensor {
    let numel: i64 = shape.iter().product();
    let (offset, scale) = match shape.len() {
        1 if name.ends_with("weight") => (1.0, 0.1),
        1 => (0.0, 0.05),
        _ => (0.0, (3.0 * shape[0] as f64 / numel as f64).sqrt()),
    };
    let fnv = name
        .bytes()
        .fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let value = |j: u32| {
        let mut h = j.wrapping_mul(0x9E37_79B9).wrapping_add(fnv).wrapping_add(variant);
        h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
        h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
        h ^= h >> 16;
        (offset + scale * (2.0 * f64::from(h) / 4_294_967_296.0 - 1.0)) as f32
    };
    let values: Vec<f32> = (0..numel as u32).map(value).collect();
    Tensor::from_slice(&values).view(shape)
}

/// `amplitude sin(rate k + 0.5 b + 0.9 c + shift)` for k = i W + j, as `[n, channels, side, side]`.
pub(crate) fn wave(amplitude: f64, rate: f64, shift: f64, shape: [i64; 4]) -> Tensor {
    let steps = |n: i64| Tensor::arange(n, (Kind::Double, Device::Cpu));
    let [n, channels, h, w] = shape;
    let sample = (steps(n) * 0.5).view([n, 1, 1]);
    let channel = (steps(channels) * 0.9).view([1, channels, 1]);
    let pixel = (steps(h * w) * rate).view([1, 1, h * w]);
    ((pixel + sample + channel + shift).sin() * amplitude).view(shape)
}

/// The statistics that the files list of a tensor, by name; see `stats_def` in unet.json.
fn statistics(tensor: &Tensor) -> Vec<(&'static str, Vec<f64>)> {
    let y = values(tensor);
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let variance = y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let ramp = y.iter().enumerate().map(|(i, v)| v * (0.01 * i as f64).cos()).sum();
    vec![
        ("shape_numel", vec![n]),
        ("mean", vec![mean]),
        ("std", vec![variance.sqrt()]),
        ("abs_sum", vec![y.iter().map(|v| v.abs()).sum()]),
        ("first", y[..y.len().min(3)].to_vec()),
        ("last", vec![y[y.len() - 1]]),
        ("dot_ramp", vec![ramp]),
    ]
}

/// Compares statistics where each element may be off by `absolute + relative |element|`.
pub(crate) fn compare_statistics(
    golden: &mut Golden,
    name: &str,
    tensor: &Tensor,
    want: &Value,
    limits: [f64; 2],
) {
    let [relative, absolute] = limits;
    let numel = tensor.numel() as f64;
    let of_all = number(want, "abs_sum") * relative + numel * absolute;
    for (key, got) in statistics(tensor) {
        let absolute = if matches!(key, "abs_sum" | "dot_ramp") { of_all } else { absolute };
        let want = numbers_of(want, key);
        golden.compare(&format!("{name} {key}"), &got, &want, relative, absolute);
    }
}

fn standardisation_of(case: &Value) -> Standardisation {
    match text(case, "weight_standardisation") {
        "correct" => Standardisation::On,
        "off" => Standardisation::Off,
        "as_written" => Standardisation::AsWritten,
        other => panic!("unknown weight standardisation {other}"),
    }
}

/// Compares tensors with the list of parameters in a file.
pub(crate) fn compare_manifest(golden: &mut Golden, parameters: &Tensors, manifest: &Value) {
    let manifest = manifest.as_array().unwrap();
    let count = [parameters.len() as f64];
    golden.compare("parameters", &count, &[manifest.len() as f64], 0.0, 0.0);
    for entry in manifest {
        let name = text(entry, "name");
        let tensor = parameters.get(name).unwrap_or_else(|| panic!("no parameter {name}"));
        let shape: Vec<f64> = tensor.size().into_iter().map(|n| n as f64).collect();
        golden.compare(&format!("{name} shape"), &shape, &numbers_of(entry, "shape"), 0.0, 0.0);
        let y = values(tensor);
        let first = numbers_of(entry, "first");
        golden.compare(&format!("{name} first"), &y[..first.len()], &first, 0.0, 0.0);
        let sums = [y.iter().sum(), y.iter().map(|v| v.abs()).sum()];
        let want = [number(entry, "sum"), number(entry, "abs_sum")];
        golden.compare(&format!("{name} sums"), &sums, &want, 1e-12, 1e-9);
    }
}

/// The network of a case and its inputs: x, x of the earlier prediction, t.
fn evaluate(json: &Value, case: &Value, kind: Kind, earlier_is_zero: bool) -> (usize, Tensor) {
    let config = &json["config"];
    let self_condition = case["self_condition"].as_bool().unwrap();
    let weight_standardisation = standardisation_of(case);
    let settings = settings::Unet { weight_standardisation, self_condition, ..settings_of(config) };
    let channels = channels_of(config);
    let filled = Filled::new(&settings, channels, whole(json, "variant") as u32, kind);
    let times: Vec<i64> = wholes(json, "t").into_iter().map(|t| t as i64).collect();
    let side = whole(json, "image_size") as i64;
    let (shape, phase) =
        ([times.len() as i64, channels.output, side, side], number(&json["params"], "phase"));
    // The files' inputs were rounded to 32 bits.
    let rounded = |x: Tensor| x.to_kind(Kind::Float).to_kind(kind);
    let x = rounded(wave(0.8, 0.11, phase, shape));
    let earlier = rounded(wave(0.5, 0.07, phase + 1.0, shape));
    let earlier = (self_condition && !earlier_is_zero).then_some(&earlier);
    let times = Tensor::from_slice(&times);
    let out = no_grad(|| filled.net.forward(&Input { earlier, ..Input::new(&x, &times) }));
    (net::count(&filled.parameters), out)
}

#[test]
fn the_unet_and_its_parameters_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/unet.json");
    let mut skipped = Skipped::new("unet.json");
    let json = golden.json.clone();
    let variant = whole(&json, "variant") as u32;
    let channels = channels_of(&json["config"]);
    let plain = Filled::new(&settings_of(&json["config"]), channels, variant, Kind::Double);
    compare_manifest(&mut golden, &plain.parameters, &json["parameters"]);
    for case in json["cases"].as_array().unwrap() {
        let name = format!(
            "standardisation {}, self-conditioning {}",
            text(case, "weight_standardisation"),
            case["self_condition"]
        );
        for (kind, key) in [(Kind::Double, "f64_abs"), (Kind::Float, "f32_abs")] {
            let tolerance = number(&json["tolerance"], key);
            let (count, out) = evaluate(&json, case, kind, false);
            golden.compare(&name, &[count as f64], &[number(case, "params")], 0.0, 0.0);
            let largest = values(&out.abs().max());
            golden.compare(&name, &largest, &[number(case, "output_abs_max")], 0.0, tolerance);
            compare_statistics(&mut golden, &name, &out, &case["output_stats"], [0.0, tolerance]);
            if let Some(want) = case.get("output") {
                let want = crate::support::numbers(want);
                golden.compare(&format!("{name} output"), &values(&out), &want, 0.0, tolerance);
            }
            if let Some(want) = case.get("output_stats_x_self_cond_none_is_zeros") {
                let (_, out) = evaluate(&json, case, kind, true);
                compare_statistics(
                    &mut golden,
                    &format!("{name}, none"),
                    &out,
                    want,
                    [0.0, tolerance],
                );
            }
        }
        for _ in case["layers"].as_object().into_iter().flatten() {
            skipped.note("statistics within the network, which its output contains");
        }
    }
    golden.finish();
}

/// Stochastic gradient descent with momentum, as PyTorch has it; no setting offers it, but it tells
/// wrong gradients, which Adam rescales, from right ones.
struct Sgd {
    rate: f64,
    momentum: f64,
    velocity: Option<Vec<Tensor>>,
}

impl Sgd {
    fn step(&mut self, parameters: &Tensors) {
        no_grad(|| {
            let gradients = parameters.values().map(|w| w.grad().copy());
            let velocity = match self.velocity.take() {
                None => gradients.collect(),
                Some(old) => old
                    .iter()
                    .zip(gradients)
                    .map(|(v, g)| v * self.momentum + g)
                    .collect::<Vec<_>>(),
            };
            for (weight, velocity) in parameters.values().zip(&velocity) {
                let _ = weight.shallow_clone().g_sub_(&(velocity * self.rate));
            }
            self.velocity = Some(velocity);
        });
        optimizer::forget_gradients(parameters);
    }
}

enum Optimizer {
    AdamW(Box<AdamW>, f64),
    Sgd(Sgd),
}

impl Optimizer {
    fn of(run: &Value, parameters: &Tensors) -> Self {
        let rate = number(run, "lr");
        if text(run, "optimizer") == "sgd" {
            return Self::Sgd(Sgd { rate, momentum: number(run, "momentum"), velocity: None });
        }
        let betas = run.get("betas").map_or(vec![0.9, 0.999], crate::support::numbers);
        let settings = settings::AdamW {
            weight_decay: run["weight_decay"].as_f64().unwrap_or(0.0),
            beta_1: betas[0],
            beta_2: betas[1],
            ..settings::AdamW::default()
        };
        Self::AdamW(Box::new(AdamW::new(&settings, parameters)), rate)
    }

    fn step(&mut self, parameters: &Tensors) {
        match self {
            Self::AdamW(adamw, rate) => adamw.step(parameters, *rate),
            Self::Sgd(sgd) => sgd.step(parameters),
        }
    }
}

/// The one batch of train_steps.json.
struct Batch {
    process: Process,
    x0: Tensor,
    eps: Tensor,
    times: Tensor,
}

impl Batch {
    fn of(json: &Value, kind: Kind) -> Self {
        let times: Vec<i64> = wholes(json, "t").into_iter().map(|t| t as i64).collect();
        let (side, phase) = (whole(json, "image_size") as i64, number(&json["params"], "phase"));
        let channels = whole(&json["config"], "channels") as i64;
        let shape = [times.len() as i64, channels, side, side];
        let rounded = |x: Tensor| x.to_kind(Kind::Float).to_kind(kind);
        Self {
            process: process("linear", whole(json, "T"), json),
            x0: rounded(wave(0.8, 0.11, phase, shape)),
            eps: rounded(wave(1.3, 1.9, 0.4 + phase, shape)),
            times: Tensor::from_slice(&times),
        }
    }

    fn target(&self, objective: &str) -> Tensor {
        let each = |i: usize| {
            let (time, i) = (self.times.int64_value(&[i as i64]), i as i64);
            let level = self.process.level(Some(time as usize));
            predict::v_from_parts(&self.x0.get(i), &self.eps.get(i), level)
        };
        match objective {
            "eps" => self.eps.shallow_clone(),
            "v" => Tensor::stack(&(0..self.times.numel()).map(each).collect::<Vec<_>>(), 0),
            other => panic!("unknown objective {other}"),
        }
    }

    fn loss(&self, net: &Unet, run: &Value) -> Tensor {
        let kind = match text(run, "loss") {
            "l1" => Loss::L1,
            "l2" => Loss::L2,
            "huber" => Loss::Huber,
            other => panic!("unknown loss {other}"),
        };
        let x = self.process.noisy(&self.x0, &self.eps, &self.times);
        let predicted = net.forward(&Input::new(&x, &self.times));
        loss::mean(kind, &predicted, &self.target(text(run, "objective")))
    }
}

fn train(
    golden: &mut Golden,
    json: &Value,
    run: &Value,
    kind: Kind,
    want: &Value,
    limits: [f64; 2],
) {
    let name = format!("{} {kind:?}", text(run, "name"));
    let channels = channels_of(&json["config"]);
    let variant = whole(json, "variant") as u32;
    let Filled { net, parameters } =
        Filled::new(&settings_of(&json["config"]), channels, variant, kind);
    let batch = Batch::of(json, kind);
    let mut optimizer = Optimizer::of(run, &parameters);
    let mut ema = Ema::new(Decay::Fixed(number(run, "ema_decay")), &parameters);
    let [relative, absolute] = limits;
    for log in want["log"].as_array().unwrap() {
        let loss = batch.loss(&net, run);
        loss.backward();
        let norm = match run["clip_grad_norm"].as_f64() {
            Some(largest) => optimizer::clip_gradients(&parameters, largest),
            None => optimizer::gradient_norm(&parameters),
        };
        let got = [loss.double_value(&[]), norm.double_value(&[])];
        let expected = [number(log, "loss"), number(log, "grad_norm_before_clip")];
        golden.compare(
            &format!("{name} step {}", log["step"]),
            &got,
            &expected,
            relative,
            absolute,
        );
        if whole(log, "step") == 0 {
            for (parameter, sum) in want["grad_abs_sum_step0"].as_object().unwrap() {
                let got = values(&parameters[parameter].grad().abs().sum(Kind::Double));
                let expected = crate::support::numbers(sum);
                golden.compare(
                    &format!("{name} gradient {parameter}"),
                    &got,
                    &expected,
                    relative,
                    absolute,
                );
            }
        }
        optimizer.step(&parameters);
        ema.update(&parameters);
    }
    for (key, tensors) in [("after", &parameters), ("ema_after", ema.average())] {
        for (parameter, stats) in want[key].as_object().unwrap() {
            let place = format!("{name} {key} {parameter}");
            compare_statistics(golden, &place, &tensors[parameter], stats, limits);
        }
    }
}

#[test]
fn training_steps_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/train_steps.json");
    let json = golden.json.clone();
    for run in json["runs"].as_array().unwrap() {
        train(&mut golden, &json, run, Kind::Double, &run["float64"], [1e-8, 1e-10]);
        // The file itself says to expect 1e-3 in 32 bits.
        train(&mut golden, &json, run, Kind::Float, &run["float64"], [1e-3, 1e-4]);
    }
    golden.finish();
}

#[test]
fn padded_convolutions_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/padding.json");
    let json = golden.json.clone();
    for case in json["cases"].as_array().unwrap() {
        let (stride, edge) = (whole(case, "stride") as i64, whole(case, "pad") as i64);
        let (x, weight) = (nested(&case["x"]), nested(&case["weight"]));
        let convolve = |x: &Tensor, edge: i64| {
            values(&x.conv2d(&weight, None::<Tensor>, [stride; 2], [edge; 2], [1, 1], 1))
        };
        for (key, got) in [
            ("circular", convolve(&net::wrap(&x, edge), 0)),
            ("zeros_for_comparison", convolve(&x, edge)),
        ] {
            let name = format!("{key} kernel {}", case["kernel"]);
            golden.compare(&name, &got, &numbers_of(case, key), 1e-12, 1e-12);
        }
    }
    golden.finish();
}
