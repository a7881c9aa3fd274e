//! Methods along the probability flow of a discrete process, along a flow, and down the levels of EDM, against the golden files.

use crate::reading::{Skipped, number, numbers_of, process, spaced, tensor, text, values, whole};
use crate::support::Golden;
use ablate::settings::{Karras, KarrasMethod};
use ablate_worker::noise::Level;
use ablate_worker::samplers::flow::{EULER, HEUN, MIDPOINT, RK4, Tableau, Walk};
use ablate_worker::samplers::karras::{KarrasWalk, Preconditioning};
use ablate_worker::samplers::sigma::{Method, OnTheWay, SigmaWalk};
use ablate_worker::samplers::{Predicted, ddim, link};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// The times of a case, if they are whole.
fn times_of(case: &Value, json: &Value) -> Option<Vec<usize>> {
    let process = process(text(json, "schedule"), whole(json, "T"), json);
    let count = whole(case, "N");
    if case.get("timesteps").is_none() {
        let times = spaced(text(case, "spacing"), &process, count)?;
        // Rounded ones are not those of the file.
        let even = (process.timesteps() - 1).is_multiple_of(count - 1);
        return (text(case, "spacing") != "linspace" || even).then_some(times);
    }
    let times = numbers_of(case, "timesteps");
    times.iter().all(|t| t.fract() == 0.0).then(|| times.iter().map(|t| *t as usize).collect())
}

#[test]
fn methods_in_sigma_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/solvers.json");
    let mut skipped = Skipped::new("solvers.json");
    let json = golden.json.clone();
    let process = process(text(&json, "schedule"), whole(&json, "T"), &json);
    let (slope, tolerance) = (number(&json["params"], "a_eps"), number(&json["tolerance"], "f64"));
    for case in json["cases"].as_array().unwrap() {
        let name = format!("{} N={} {}", text(case, "solver"), case["N"], text(case, "spacing"));
        let Some(times) = times_of(case, &json) else {
            skipped.note("times between times, which no setting offers");
            continue;
        };
        let method = match text(case, "solver") {
            "euler" => Method::Euler,
            "heun" => Method::Heun,
            "dpmpp_2m" => Method::DpmSolver,
            other => panic!("unknown method {other}"),
        };
        let walk = SigmaWalk::new(method, times.clone(), &process);
        golden.compare(&name, &[walk.nfe() as f64], &[number(case, "nfe")], 0.0, 0.0);
        let level = |i: usize| process.level(times.get(i).copied());
        let sigmas: Vec<f64> =
            (0..=times.len()).map(|i| level(i).sigma() / level(i).alpha()).collect();
        golden.compare(&name, &sigmas, &numbers_of(case, "sigmas"), tolerance, tolerance);
        let is_dpm = method == Method::DpmSolver;
        let mut way = match is_dpm {
            true => walk.begin(&tensor(&case["x_start"])),
            false => OnTheWay::at(tensor(&case["y_start"])),
        };
        for i in 0..times.len() {
            way = walk.step(i, way, |x, _| Predicted::Eps(x * slope));
            // DPM-Solver's path is of x, the others' of y.
            let factor = if is_dpm { level(i + 1).alpha() } else { 1.0 };
            let got = values(&(&way.y * factor));
            // A long path is told by its end alone.
            let told = case.get("path").and_then(Value::as_array);
            let at = |path: &Vec<Value>| (i + path.len()).checked_sub(times.len());
            if let Some(want) = told.and_then(|path| path.get(at(path)?)) {
                let want = crate::support::numbers(want);
                golden.compare(&format!("{name} at {i}"), &got, &want, tolerance, tolerance);
            }
        }
        let key = if is_dpm { "x_final" } else { "y_final" };
        golden.compare(&name, &values(&way.y), &numbers_of(case, key), tolerance, tolerance);
        skipped.note("the exact end point of the equation, which infinitely many steps reach");
    }
    golden.finish();
}

#[test]
fn euler_in_sigma_is_the_implicit_sampler_and_dpm_solver_begins_as_it() {
    let json = Golden::open("diffusion/solvers.json").json;
    let process = process("linear", 1000, &json);
    let start = tensor(&json["x_start"]);
    let predict = |x: &Tensor, time: usize| x * (0.1 + time as f64 / 2000.0);
    for count in [7, 20] {
        let times = spaced("trailing", &process, count).unwrap();
        let walk = SigmaWalk::new(Method::Euler, times.clone(), &process);
        let euler = (0..count).fold(walk.begin(&start), |way, i| {
            walk.step(i, way, |x, t| Predicted::Eps(predict(x, t)))
        });
        let steps = link(&times, |t, next| ddim::step(&process, t, next, 0.0));
        let noise = || -> Tensor { unreachable!("nothing is random") };
        let ddim = steps.iter().fold(start.shallow_clone(), |x, step| {
            step.take(&x, &predict(&x, step.time), None, noise)
        });
        assert!(((&euler.y - &ddim) / &ddim).abs().max().double_value(&[]) < 1e-11);
        let first = |method| {
            let walk = SigmaWalk::new(method, times.clone(), &process);
            walk.step(0, walk.begin(&start), |x, t| Predicted::Eps(predict(x, t))).y
        };
        let difference = first(Method::DpmSolver) - first(Method::Euler);
        assert!(difference.abs().max().double_value(&[]) < 1e-9);
    }
}

fn tableau(name: &str) -> Option<Tableau> {
    Some(match name {
        "euler" => EULER,
        "midpoint" => MIDPOINT,
        "heun2" => HEUN,
        "rk4" => RK4,
        _ => return None,
    })
}

#[test]
fn walks_and_paths_of_flows_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/flow.json");
    let mut skipped = Skipped::new("flow.json");
    let json = golden.json.clone();
    let (a, b) = (number(&json, "a"), number(&json, "b"));
    let tolerance = number(&json["tolerance"], "f64");
    for case in json["ode"].as_array().unwrap() {
        let (field, method) = (text(case, "field"), text(case, "method"));
        let Some(tableau) = tableau(method) else {
            skipped.note("the 3/8 rule and exact end points, which no setting offers");
            continue;
        };
        let walk = Walk { tableau, steps: whole(case, "N") };
        let velocity = |x: &Tensor, t: f64| match field {
            "linear" => x * a + b * t,
            "nonlinear" => x * (a * (2.0 * t).cos()) + b * t * t,
            other => panic!("unknown field {other}"),
        };
        let end = (0..walk.steps).fold(tensor(&json["x_start"]), |x, i| walk.step(i, &x, velocity));
        let name = format!("{field} {method} N={}", case["N"]);
        golden.compare(&name, &values(&end), &numbers_of(case, "x1"), tolerance, tolerance);
        golden.compare(&name, &[walk.nfe() as f64], &[number(case, "nfe")], 0.0, 0.0);
    }
    let (data, noise) = (tensor(&json["data"]), tensor(&json["noise"]));
    for case in json["paths"].as_array().unwrap() {
        let t = number(case, "t");
        for (key, t, sign) in [
            ("rectified (t=0 noise)", t, 1.0),
            ("seed004/SD3 (t=0 DATA, t=1 noise)", 1.0 - t, -1.0),
        ] {
            let level = Level::straight(t);
            let x = &data * level.alpha() + &noise * level.sigma();
            let u = (&data - &noise) * sign;
            let name = format!("{key} t={t}");
            let want = &case[key];
            golden.compare(&name, &values(&x), &numbers_of(want, "x_t"), tolerance, tolerance);
            golden.compare(&name, &values(&u), &numbers_of(want, "u"), tolerance, tolerance);
        }
        skipped.note("other paths than straight ones, which no setting offers");
    }
    for case in json["reverse_uniform"].as_array().unwrap() {
        // The same walk with time turned round.
        if text(case, "method") != "euler" {
            skipped.note("a Heun whose last step is Euler's, which no setting offers");
            continue;
        }
        let walk = Walk { tableau: EULER, steps: whole(case, "N") };
        let velocity = |x: &Tensor, t: f64| -(x * a + b * (1.0 - t));
        let end = (0..walk.steps).fold(tensor(&json["x_start"]), |x, i| walk.step(i, &x, velocity));
        let name = format!("reversed N={}", case["N"]);
        golden.compare(&name, &values(&end), &numbers_of(case, "x_final"), tolerance, tolerance);
    }
    skipped.note("uneven grids of diffusers, which no setting offers");
    golden.finish();
}

#[test]
fn the_sampler_of_edm_and_its_scaling_are_those_of_the_golden_file() {
    let mut golden = Golden::open("diffusion/edm.json");
    let json = golden.json.clone();
    let tolerance = number(&json["tolerance"], "f64");
    let (steps, rho) = (whole(&json, "N") as u64, number(&json, "rho"));
    let (sigma_min, sigma_max) = (number(&json, "sigma_min"), number(&json, "sigma_max"));
    let sigma_data = number(&json, "sigma_data");
    let around = Preconditioning { sigma_data };
    let (x, f, y) = (tensor(&json["x_t"]), tensor(&json["F"]), tensor(&json["y"]));
    for case in json["preconditioning"].as_array().unwrap() {
        let sigma = number(case, "sigma");
        let factors = around.factors(sigma);
        let time = Preconditioning::noise_times(&Tensor::from(sigma)).double_value(&[]);
        let got = [factors.skip, factors.out, factors.input, time, factors.out.powi(-2)];
        let want = ["c_skip", "c_out", "c_in", "c_noise", "loss_weight"].map(|k| number(case, k));
        golden.compare("factors", &got, &want, tolerance, tolerance);
        let batch = around.factors_of(&Tensor::from(sigma));
        let same = [&batch.skip, &batch.out, &batch.input].map(|factor| factor.double_value(&[]));
        golden.compare("factors of a batch", &same, &want[..3], tolerance, tolerance);
        let clean = &x * factors.skip + &f * factors.out;
        golden.compare("D", &values(&clean), &numbers_of(case, "D"), tolerance, tolerance);
        let target = (&y - &x * factors.skip) / factors.out;
        let want = numbers_of(case, "F_target_for_y=x0");
        golden.compare("F", &values(&target), &want, tolerance, tolerance);
    }
    let settings = |case: Option<&Value>| {
        let of = |key: &str, otherwise| case.map_or(otherwise, |case| number(case, key));
        let is_euler = case.is_some_and(|case| text(case, "solver") == "euler");
        Karras {
            steps,
            method: if is_euler { KarrasMethod::Euler } else { KarrasMethod::Heun },
            sigma_min,
            sigma_max,
            rho,
            churn: of("S_churn", 0.0),
            churn_from: of("S_min", 0.0),
            churn_to: of("S_max", 0.0),
            churn_noise: of("S_noise", 1.0),
        }
    };
    let sigmas = KarrasWalk::new(&settings(None)).sigmas;
    golden.compare("sigmas", &sigmas, &numbers_of(&json, "sigmas"), tolerance, tolerance);
    let phase = number(&json["params"], "phase");
    let noise = |k: usize| {
        let j = Tensor::arange(x.numel() as i64, (Kind::Double, Device::Cpu));
        (j * 2.1 + (0.5 + 0.37 * k as f64 + phase)).sin() * 0.95
    };
    let mut skipped = Skipped::new("edm.json");
    for case in json["sampler"].as_array().unwrap() {
        if case.get("S_churn").is_none() {
            skipped.note("the exact end point of the equation, which infinitely many steps reach");
            continue;
        }
        let walk = KarrasWalk::new(&settings(Some(case)));
        let name = format!("{} with churn {}", text(case, "solver"), case["S_churn"]);
        golden.compare(&name, &[walk.nfe() as f64], &[number(case, "nfe")], 0.0, 0.0);
        let shrink = sigma_data * sigma_data;
        let denoised = |x: &Tensor, sigma: f64| x * (shrink / (shrink + sigma * sigma));
        let mut at = &x * walk.sigmas[0];
        let path = case["path"].as_array().into_iter().flatten();
        let path: Vec<(usize, &Value)> = path.map(|point| (whole(point, "k"), point)).collect();
        for k in 0..walk.steps() {
            at = walk.step(k, &at, denoised, noise);
            for (_, point) in path.iter().filter(|(known, _)| *known == k) {
                let place = format!("{name}, step {k}");
                golden.compare(&place, &values(&at), &numbers_of(point, "x"), tolerance, tolerance);
            }
        }
        golden.compare(&name, &values(&at), &numbers_of(case, "x_final"), tolerance, tolerance);
    }
    golden.finish();
}
