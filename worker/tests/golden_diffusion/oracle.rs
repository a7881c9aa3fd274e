//! White Gaussian data, for which the best possible network is known in closed form: with it our
//! samplers must reach tabulated means and variances, and our losses their smallest values.

use crate::reading::{Skipped, number, process, spaced, text, values, whole};
use crate::support::Golden;
use ablate::settings::{Loss, Variance};
use ablate_worker::noise::{Level, Process};
use ablate_worker::samplers::flow::{EULER, HEUN, MIDPOINT, RK4, Walk};
use ablate_worker::samplers::{Chain, ddim, ddpm, link};
use ablate_worker::{loss, predict};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// A name such as `linear T=300` with its number of times, by default that of the file.
fn named_process(name: &str, json: &Value) -> Process {
    let (base, timesteps) = name.split_once(" T=").map_or((name, whole(json, "T")), |(base, t)| {
        (base, t.parse().expect("a number of times"))
    });
    process(base, timesteps, json)
}

fn chain_of(case: &Value, process: &Process) -> Chain {
    let times =
        spaced(text(case, "spacing"), process, whole(case, "N")).expect("an offered spacing");
    let steps = match text(case, "sampler") {
        "ddim" => link(&times, |t, next| ddim::step(process, t, next, number(case, "eta"))),
        "ddpm" => {
            let choice = match text(case, "variance") {
                "fixed_small" => Variance::FixedSmall,
                "fixed_large" => Variance::FixedLarge,
                other => panic!("unknown variance {other}"),
            };
            link(&times, |t, next| ddpm::step(process, t, next, choice))
        }
        other => panic!("unknown sampler {other}"),
    };
    Chain { steps, clip: None }
}

/// The exact mean and variance that a chain gives data N(mean, variance). With the best network every
/// sampler is linear in the first and the fresh noise, so sample 0 runs without any, sample 1 from
/// x = 1, and sample 2 + i with noise 1 in step i: the differences are the factors of independent
/// normal numbers.
fn moments(chain: &Chain, process: &Process, mean: f64, variance: f64) -> [f64; 2] {
    let unit = |i: i64| {
        let zeros = Tensor::zeros([chain.nfe() as i64 + 2], (Kind::Double, Device::Cpu));
        let _ = zeros.get(i).fill_(1.0);
        zeros
    };
    let best = |x: &Tensor, t: usize| {
        let level = process.level(Some(t));
        let spread = level.signal * variance + level.sigma().powi(2);
        (x - level.alpha() * mean) * (level.sigma() / spread)
    };
    let out = values(&chain.run(unit(1), best, |i| unit(2 + i as i64)));
    [out[0], out[1..].iter().map(|x| (x - out[0]).powi(2)).sum()]
}

/// Nodes and weights of Simpson's rule for an even function under N(0, spread^2), on the positive
/// half. The pieces meet at 1, where Huber changes its form.
fn gaussian_rule(spread: f64) -> (Tensor, Tensor) {
    let (intervals, end) = (1000, 12.0 * spread);
    let pieces = if end > 1.0 { vec![(0.0, 1.0), (1.0, end)] } else { vec![(0.0, end)] };
    let (mut nodes, mut weights) = (vec![], vec![]);
    for (from, to) in pieces {
        let h = (to - from) / f64::from(intervals);
        for i in 0..=intervals {
            let r = from + h * f64::from(i);
            let simpson = match i {
                _ if i == 0 || i == intervals => 1.0,
                _ if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let density =
                (-0.5 * (r / spread).powi(2)).exp() / (spread * std::f64::consts::TAU.sqrt());
            nodes.push(r);
            weights.push(2.0 * density * simpson * h / 3.0);
        }
    }
    (Tensor::from_slice(&nodes).view([-1, 1]), Tensor::from_slice(&weights))
}

/// The smallest losses at one time: eps in l2, l1 and Huber, then x0 and v in l2.
fn smallest_losses(process: &Process, time: usize, variance: f64) -> [f64; 5] {
    let level = process.level(Some(time));
    let spread = level.signal * variance + level.sigma().powi(2);
    let (residual, weights) = gaussian_rule((level.signal * variance / spread).sqrt());
    // What is left of x0 and v when the prediction of the noise is off by `residual`.
    let none = residual.zeros_like();
    let x0 = predict::x0_from_eps(&none, &residual, level);
    let v = predict::v_from_parts(&x0, &residual, level);
    let expected = |loss, off: &Tensor| {
        let per_node = loss::per_sample(loss, off, &none);
        (per_node * &weights).sum(Kind::Double).double_value(&[])
    };
    [
        expected(Loss::L2, &residual),
        expected(Loss::L1, &residual),
        expected(Loss::Huber, &residual),
        expected(Loss::L2, &x0),
        expected(Loss::L2, &v),
    ]
}

/// Factor and offset of the best velocity for data N(mean, variance): u = factor (x - t mean) + mean.
fn best_slope(t: f64, variance: f64) -> f64 {
    let level = Level::straight(t);
    let covariance = level.alpha() * variance - level.sigma();
    covariance / (level.signal * variance + level.noise)
}

/// The mean and variance that a walk gives data N(mean, variance) with the best velocity, which is linear.
fn flow_moments(walk: Walk, mean: f64, variance: f64) -> [f64; 2] {
    let start = Tensor::from_slice(&[0.0, 1.0]);
    let velocity = |x: &Tensor, t: f64| (x - t * mean) * best_slope(t, variance) + mean;
    let end = values(&(0..walk.steps).fold(start, |x, i| walk.step(i, &x, velocity)));
    [end[0], (end[1] - end[0]).powi(2)]
}

/// The smallest mean squared error of a velocity, over all times.
fn smallest_flow_loss(variance: f64) -> f64 {
    let n = 100_000;
    let at = |t: f64| {
        let level = Level::straight(t);
        let spread = level.signal * variance + level.noise;
        1.0 + variance - best_slope(t, variance).powi(2) * spread
    };
    (0..n).map(|i| at((f64::from(i) + 0.5) / f64::from(n))).sum::<f64>() / f64::from(n)
}

#[test]
fn the_best_network_gives_the_moments_and_losses_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/gaussian_oracle.json");
    let mut skipped = Skipped::new("gaussian_oracle.json");
    let json = golden.json.clone();
    let tolerance = number(&json["tolerance"], "recursion_f64");
    for case in json["sampler_stats"].as_array().unwrap() {
        let process = named_process(text(case, "schedule"), &json);
        let chain = chain_of(case, &process);
        let got = moments(&chain, &process, number(&json, "m"), number(&json, "s2"));
        let name = format!("{case}");
        let want = [number(case, "mean"), number(case, "var")];
        golden.compare(&name, &got, &want, tolerance, tolerance);
    }
    for case in json["bayes_loss"].as_array().unwrap() {
        let process = named_process(text(case, "schedule"), &json);
        let variance = number(case, "data_variance");
        let timesteps = process.timesteps();
        let mut got = [0.0; 5];
        for time in 0..timesteps {
            for (sum, loss) in got.iter_mut().zip(smallest_losses(&process, time, variance)) {
                *sum += loss / timesteps as f64;
            }
        }
        let keys = ["eps_mse", "eps_l1", "eps_huber", "x0_mse", "v_mse"];
        let want = keys.map(|key| number(case, key));
        let name = format!("smallest loss {} s2={variance}", text(case, "schedule"));
        golden.compare(&name, &got, &want, tolerance, tolerance);
    }
    let (mean, variance) = (number(&json, "m"), number(&json, "s2"));
    for case in json["flow_stats"].as_array().unwrap() {
        let tableau = match text(case, "method") {
            "euler" => EULER,
            "midpoint" => MIDPOINT,
            "heun2" | "heun" => HEUN,
            "rk4" => RK4,
            _ => {
                skipped.note("methods along flows that no setting offers");
                continue;
            }
        };
        let got = flow_moments(Walk { tableau, steps: whole(case, "N") }, mean, variance);
        let want = [number(case, "mean"), number(case, "var")];
        golden.compare(&format!("flow {case}"), &got, &want, tolerance, tolerance);
    }
    for (variance, want) in json["bayes_loss_flow_mse"].as_object().unwrap() {
        let got = smallest_flow_loss(variance.parse().unwrap());
        let name = format!("smallest loss of a flow s2={variance}");
        golden.compare(&name, &[got], &[want.as_f64().unwrap()], 1e-6, 0.0);
    }
    golden.finish();
}
