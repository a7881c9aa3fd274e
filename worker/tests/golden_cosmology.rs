//! Power spectra, linear theory and field generators against the golden files, driven by the files
//! alone: sizes, seeds and constants are read from them, and every `pk_*` and `xpk_*` file that lies
//! in the folder is compared.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "golden_cosmology/statistics.rs"]
mod statistics;
mod support;

use ablate::npy;
use ablate::settings::{Assignment, Binning, Cosmology};
use ablate_worker::data::cosmology::{
    Growth, LinearPower, TransferFit, growth, transfer_without_wiggles,
};
use ablate_worker::data::log_normal::{LogNormal, Slab, gaussian, slab_power};
use ablate_worker::data::particle_mesh::{Geometry, Simulation, Vector};
use ablate_worker::data::splitmix;
use ablate_worker::measure::power_spectrum::{Contrast, Estimator, Grid};
use serde_json::Value;
use support::{Golden, folder, numbers};

/// The files whose names begin like this, sorted; at least one.
fn files(prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<String> = std::fs::read_dir(folder().join("cosmology"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            name.starts_with(prefix) && name.ends_with(".json") && name != "pk_summary.json"
        })
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no {prefix}* in {}", folder().display());
    names.into_iter().map(|name| &*format!("cosmology/{name}").leak()).collect()
}

/// A stored field as a contrast: about its own mean, unless that is 0 already.
fn delta(name: &str) -> Vec<f64> {
    let field = npy::read_f64(&folder().join(format!("cosmology/fields/{name}.npy"))).unwrap().data;
    let mean = field.iter().sum::<f64>() / field.len() as f64;
    if mean.abs() < 1e-6 { field } else { Contrast::OWN.of(&field).unwrap() }
}

fn grid(json: &Value) -> Grid {
    let number = |key: &str| json[key].as_f64().unwrap();
    let dimensions = json.get("dim").and_then(Value::as_u64).map_or_else(
        || if json["fields"].as_str().unwrap().contains("3d") { 3 } else { 2 },
        |dim| dim as u32,
    );
    Grid { side: number("N") as usize, dimensions, box_mpc_h: number("L") }
}

/// The binnings that a reference holds, by the first word of its key; the independent count is Pylians' own.
fn binning(key: &str) -> Option<Binning> {
    Binning::ALL.iter().copied().find(|b| key.starts_with(&format!("{}_to_nyquist", b.word())))
}

fn assignment(word: &str) -> i32 {
    let known = Assignment::ALL.iter().find(|known| known.word() == word.to_lowercase());
    known.unwrap().order()
}

/// Compares bin by bin, relative to the largest value.
fn compare(golden: &mut Golden, case: &str, got: &[f64], want: &Value, relative: f64) {
    let want = numbers(want);
    let largest = want.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
    let n = want.len().min(got.len());
    golden.compare(case, &got[..n], &want[..n], 0.0, relative * largest);
}

#[test]
fn auto_spectra() {
    for name in files("pk_") {
        let mut golden = Golden::open(name);
        let json = golden.json.clone();
        let (grid, delta) = (grid(&json), delta(json["field"].as_str().unwrap()));
        for (word, by_binning) in json["reference_f64"].as_object().unwrap() {
            for (key, want) in by_binning.as_object().unwrap() {
                let Some(binning) = binning(key) else { continue };
                let estimator = Estimator::new(grid, binning, assignment(word));
                compare(
                    &mut golden,
                    &format!("{word} {key} P"),
                    &estimator.auto(&delta),
                    &want["P"],
                    1e-10,
                );
                compare(
                    &mut golden,
                    &format!("{word} {key} k"),
                    &estimator.k_h_mpc,
                    &want["k"],
                    1e-12,
                );
                compare(
                    &mut golden,
                    &format!("{word} {key} modes"),
                    &estimator.modes,
                    &want["modes"],
                    0.0,
                );
            }
        }
        third_parties(&mut golden, &json, grid, &delta);
        golden.finish();
    }
}

/// Pylians (32 bits; it counts self-conjugate modes otherwise, so its last bin is left out) and powerbox.
fn third_parties(golden: &mut Golden, json: &Value, grid: Grid, delta: &[f64]) {
    let below_nyquist = grid.side / 2 - 1;
    for (word, want) in json["pylians"].as_object().unwrap() {
        let estimator = Estimator::new(grid, Binning::Floor, assignment(word));
        let power = &estimator.auto(delta)[..below_nyquist];
        compare(
            golden,
            &format!("Pylians {word}"),
            power,
            &want["P"],
            if word == "None" { 2e-6 } else { 5e-6 },
        );
    }
    let estimator = Estimator::new(grid, Binning::Round, 0);
    let want = &json["powerbox"]["edges_half_integer_ignore0"]["P"];
    compare(golden, "powerbox", &estimator.auto(delta)[..below_nyquist], want, 1e-12);
}

#[test]
fn cross_spectra() {
    for name in files("xpk_") {
        let mut golden = Golden::open(name);
        let json = golden.json.clone();
        let grid = grid(&json);
        let (one, other) = json["fields"].as_str().unwrap().split_once('+').unwrap();
        let (one, other) = (delta(one), delta(other));
        for (key, want) in json["reference_f64"]["cross"].as_object().unwrap() {
            let Some(binning) = binning(key) else { continue };
            let estimator = Estimator::new(grid, binning, 0);
            let cross = estimator.cross(&one, &other);
            compare(&mut golden, &format!("{key} P"), &cross, &want["P"], 1e-10);
            let (a, b) = (estimator.auto(&one), estimator.auto(&other));
            // Where a field has hardly any power, r is the ratio of two roundings.
            let largest = |p: &[f64]| p.iter().copied().fold(0.0, f64::max);
            let powered = |i: &usize| a[*i] > 1e-9 * largest(&a) && b[*i] > 1e-9 * largest(&b);
            let bins: Vec<usize> = (0..cross.len()).filter(powered).collect();
            let r: Vec<f64> = bins.iter().map(|i| cross[*i] / (a[*i] * b[*i]).sqrt()).collect();
            let wanted = numbers(&want["r"]);
            let wanted: Vec<f64> = bins.iter().map(|i| wanted[*i]).collect();
            golden.compare(&format!("{key} r"), &r, &wanted, 1e-9, 1e-9);
        }
        golden.finish();
    }
}

#[test]
fn linear_theory() {
    let mut golden = Golden::open("cosmology/theory.json");
    let json = golden.json.clone();
    let k = numbers(&json["k_h_Mpc"]);
    for (name, want) in json["cosmologies"].as_object().unwrap() {
        let number = |key: &str| want[key].as_f64().unwrap();
        let cosmology = Cosmology {
            omega_m: number("Omega_m"),
            omega_b: number("Omega_b"),
            h: number("h"),
            n_s: number("n_s"),
            sigma_8: number("sigma8"),
        };
        let of = |f: &dyn Fn(f64) -> f64| k.iter().map(|k| f(*k)).collect::<Vec<f64>>();
        let fit = TransferFit::new(&cosmology);
        golden.compare(
            &format!("{name} T"),
            &of(&|k| fit.transfer(k)),
            &numbers(&want["T_eh98"]),
            1e-12,
            0.0,
        );
        let smooth = of(&|k| transfer_without_wiggles(k, &cosmology));
        golden.compare(
            &format!("{name} T no-wiggle"),
            &smooth,
            &numbers(&want["T_eh98_nowiggle"]),
            1e-12,
            0.0,
        );
        let power = LinearPower::new(&cosmology);
        golden.compare(
            &format!("{name} P"),
            &of(&|k| power.at(k)),
            &numbers(&want["P_lin_z0_eh98"]),
            1e-9,
            0.0,
        );
        golden.compare(
            &format!("{name} A"),
            &[power.amplitude()],
            &[number("A_norm_P_eq_A_k_ns_T2")],
            1e-9,
            0.0,
        );
        for (radius, sigma) in want["sigma_R"].as_object().unwrap() {
            let got = power.sigma(radius.parse().unwrap());
            golden.compare(&format!("{name} sigma({radius})"), &[got], &numbers(sigma), 1e-9, 0.0);
        }
        let today = growth(1.0, cosmology.omega_m);
        golden.compare(&format!("{name} D(0)"), &[today], &[number("D1_unnorm_z0")], 1e-9, 0.0);
        let grown = numbers(&want["z"])
            .iter()
            .map(|z| growth(1.0 / (1.0 + z), cosmology.omega_m) / today)
            .collect::<Vec<_>>();
        golden.compare(&format!("{name} D"), &grown, &numbers(&want["D1"]), 1e-9, 0.0);
    }
    golden.finish();
}

/// The number behind a word in a key such as `normals_seed42_first8`.
fn tagged(key: &str, tag: &str) -> Option<u64> {
    key.split('_').find_map(|part| part.strip_prefix(tag)?.parse().ok())
}

#[test]
fn random_numbers_of_the_generators() {
    let mut golden = Golden::open("cosmology/mocks_golden.json");
    let json = golden.json.clone();
    for (key, want) in json.as_object().unwrap() {
        let seed = tagged(key, "seed").unwrap_or(0);
        if key.starts_with("splitmix64") {
            for (i, word) in want.as_array().unwrap().iter().enumerate() {
                let same = word.as_str().unwrap().parse() == Ok(splitmix::output(seed, i as u64));
                golden.compare(key, &[f64::from(u8::from(same))], &[1.0], 0.0, 0.0);
            }
        } else if key.starts_with("normals") && want.is_array() {
            let want = numbers(want);
            golden.compare(key, &splitmix::normals(seed, want.len()), &want, 1e-13, 1e-15);
        } else if key.starts_with("permutation") {
            let want = numbers(want);
            let got: Vec<f64> =
                splitmix::permutation(seed, want.len()).iter().map(|i| *i as f64).collect();
            golden.compare(key, &got, &want, 0.0, 0.0);
        } else if key.starts_with("latin_hypercube") {
            let rows = want.as_array().unwrap().len();
            let got = splitmix::latin_hypercube(seed, rows, &[(0.1, 0.5), (0.6, 1.0)]).concat();
            golden.compare(key, &got, &numbers(want), 1e-14, 0.0);
        }
    }
    golden.finish();
}

/// Slab power is evaluated directly here and from a table of 2049 points in the file: 3.4e-5 apart.
const TABLE: f64 = 1e-4;

#[test]
fn gaussian_and_log_normal_maps() {
    let mut golden = Golden::open("cosmology/mocks_golden.json");
    let json = golden.json.clone();
    for (key, want) in json.as_object().unwrap().iter().filter(|(key, _)| key.starts_with("slab2d"))
    {
        let number = |key: &str| want[key].as_f64().unwrap();
        let slab =
            Slab { side: number("N") as usize, box_mpc_h: number("L"), slab_mpc_h: number("T") };
        let cosmology = Cosmology::default();
        let half = slab.side / 2 + 1;
        let power = slab_power(slab, &cosmology);
        golden.compare(
            &format!("{key} P2"),
            &power[..half],
            &numbers(&want["P2D_row0"]),
            TABLE,
            0.0,
        );
        let fields = LogNormal::new(slab, &cosmology);
        let row = &fields.gaussian_power[..half];
        golden.compare(&format!("{key} Pg"), row, &numbers(&want["Pg_row0"]), TABLE, TABLE);
        golden.compare(
            &format!("{key} variance"),
            &[fields.variance],
            &[number("sigma_g2")],
            TABLE,
            0.0,
        );
        golden.compare(
            &format!("{key} clipped"),
            &[fields.clipped],
            &[number("clipped_fraction")],
            1e-2,
            1e-9,
        );
        let seed = want["seed"].as_u64().unwrap();
        // The file's Gaussian map leaves out the power of the mean.
        let without_mean: Vec<f64> =
            power.iter().enumerate().map(|(i, p)| if i == 0 { 0.0 } else { *p }).collect();
        let white = splitmix::normals(seed, slab.side * slab.side);
        let map = gaussian(slab, &without_mean, &white);
        let density = fields.map(seed);
        for (name, got) in [("grf", &map), ("lognormal", &density)] {
            let stored = [name.to_owned(), format!("{name}_first8")]
                .iter()
                .find_map(|k| want.get(k.as_str()).cloned());
            let stored = numbers(&stored.unwrap());
            golden.compare(
                &format!("{key} {name}"),
                &got[..stored.len()],
                &stored,
                2.0 * TABLE,
                2.0 * TABLE,
            );
        }
        let estimator = Estimator::new(
            Grid { side: slab.side, dimensions: 2, box_mpc_h: slab.box_mpc_h },
            Binning::Round,
            0,
        );
        let measured = estimator.auto(&Contrast::OWN.of(&density).unwrap());
        golden.compare(
            &format!("{key} measured"),
            &measured,
            &numbers(&want["lognormal_pk_round"]["P"]),
            5.0 * TABLE,
            0.0,
        );
    }
    golden.finish();
}

#[test]
fn windows_of_mass_assignment() {
    for name in files("mas_") {
        let mut golden = Golden::open(name);
        let json = golden.json.clone();
        let side = json["grid"].as_u64().unwrap() as usize;
        let dimensions = json["dim"].as_u64().unwrap() as u32;
        let grid = Grid { side, dimensions, box_mpc_h: json["L"].as_f64().unwrap() };
        for scheme in Assignment::ALL.iter().filter(|scheme| **scheme != Assignment::None) {
            let (order, scheme) = (scheme.order(), scheme.word().to_uppercase());
            let want = &json["schemes"][&scheme];
            let file = want["density_file"].as_str().unwrap();
            let density = npy::read_f64(&folder().join("cosmology").join(file)).unwrap().data;
            let contrast = Contrast::OWN.of(&density).unwrap();
            for (key, order) in [("P_raw", 0), ("P_deconvolved", order)] {
                let power = Estimator::new(grid, Binning::Floor, order).auto(&contrast);
                // The reference counts the waves at the Nyquist number differently.
                let bins = power.len() - 1;
                let known = numbers(&want[key]);
                golden.compare(
                    &format!("{scheme} {key}"),
                    &power[..bins],
                    &known[..bins],
                    5e-6,
                    0.0,
                );
            }
        }
        golden.finish();
    }
}

/// The linear power as the reference has it: on 2049 points, and straight lines between their logarithms.
fn tabulated(cosmology: &Cosmology) -> impl Fn(f64) -> f64 {
    const POINTS: usize = 2049;
    let (low, high) = (1e-4_f64.ln(), 1e3_f64.ln());
    let step = (high - low) / (POINTS - 1) as f64;
    let power = LinearPower::new(cosmology);
    let table: Vec<f64> =
        (0..POINTS).map(|i| power.at((low + step * i as f64).exp()).ln()).collect();
    move |k_h_mpc| {
        let place = (k_h_mpc.ln() - low) / step;
        let i = place as usize;
        let after = place - i as f64;
        (table[i] * (1.0 - after) + table[i + 1] * after).exp()
    }
}

/// The simulation and the white noise that a key such as `pm3_n16_L100_seed12_4slabs` names.
fn simulation(key: &str) -> (Simulation, Vec<f64>) {
    let number = |tag: &str| tagged(key, tag).unwrap() as usize;
    let slabs = key.split('_').find_map(|part| part.strip_suffix("slabs")?.parse().ok());
    let side = number("n");
    let geometry = Geometry {
        side,
        mesh: side,
        box_mpc_h: number("L") as f64,
        steps: tagged(key, "pm").unwrap_or(1) as usize,
        slabs: slabs.unwrap_or(1),
    };
    let white = splitmix::normals(number("seed") as u64, side.pow(3));
    let cosmology = Cosmology::default();
    (Simulation::with_power(geometry, cosmology.omega_m, tabulated(&cosmology)), white)
}

fn root_mean_squares(vectors: &[Vector]) -> Vec<f64> {
    let square = |axis: usize| vectors.iter().map(|v| v[axis] * v[axis]).sum::<f64>();
    (0..3).map(|axis| (square(axis) / vectors.len() as f64).sqrt()).collect()
}

#[test]
fn growth_and_displacements_of_simulations() {
    let mut golden = Golden::open("cosmology/mocks_golden.json");
    let json = golden.json.clone();
    for (key, want) in json.as_object().unwrap() {
        if let Some((_, omega_m)) = key.split_once("growth_funcs_om") {
            let growth = Growth::new(omega_m.parse().unwrap());
            let a = numbers(&want["a"]);
            let of = |f: &dyn Fn(f64) -> f64| a.iter().map(|a| f(*a)).collect::<Vec<f64>>();
            for (name, got) in [
                ("D", of(&|a| growth.displacement(a))),
                ("gD", of(&|a| growth.momentum(a))),
                ("GD", of(&|a| growth.force(a))),
            ] {
                golden.compare(&format!("{key} {name}"), &got, &numbers(&want[name]), 1e-12, 0.0);
            }
        } else if key.starts_with("lpt_") {
            let (simulation, white) = simulation(key);
            let moved = simulation.displacements(&white);
            for (name, vectors) in [("psi1", &moved.first), ("psi2", &moved.second)] {
                let first: Vec<f64> = vectors[..4].iter().map(|v| v[0]).collect();
                let stored = numbers(&want[&format!("{name}_x_first4")]);
                golden.compare(&format!("{key} {name}"), &first, &stored, 1e-9, 1e-9);
                let stored = numbers(&want[&format!("{name}_rms_xyz")]);
                let got = root_mean_squares(vectors);
                golden.compare(&format!("{key} {name} rms"), &got, &stored, 1e-9, 0.0);
            }
        }
    }
    golden.finish();
}

#[test]
fn positions_and_maps_of_simulations() {
    let mut golden = Golden::open("cosmology/mocks_golden.json");
    let json = golden.json.clone();
    for (key, want) in json.as_object().unwrap().iter().filter(|(key, _)| key.ends_with("slabs")) {
        let (simulation, white) = simulation(key);
        let positions = match key.split('_').next().unwrap() {
            "za" => simulation.first_order(&simulation.displacements(&white), 1.0),
            "2lpt" => simulation.second_order(&simulation.displacements(&white), 1.0),
            _ => simulation.positions(&white),
        };
        let box_mpc_h = tagged(key, "L").unwrap() as f64;
        let mut same_place = |what: &str, got: &[Vector], stored: &Value| {
            // Modulo the box: a coordinate near 0 may be stored near its end.
            let apart = got.concat().into_iter().zip(numbers(stored)).map(|(g, w)| {
                let around = (g - w).rem_euclid(box_mpc_h);
                around.min(box_mpc_h - around)
            });
            let apart: Vec<f64> = apart.collect();
            let none = vec![0.0; apart.len()];
            golden.compare(&format!("{key} {what}"), &apart, &none, 0.0, 1e-9);
        };
        same_place("first positions", &positions[..3], &want["pos_first3"]);
        same_place("last position", &positions[positions.len() - 1..], &want["pos_last"]);
        let maps = simulation.project(&positions);
        let stored = key.split('_').take(2).collect::<Vec<_>>().join("_");
        let stored =
            npy::read_f64(&folder().join(format!("cosmology/fields/mock_{stored}_maps.npy")))
                .unwrap();
        assert_eq!(stored.shape, [maps.len(), white.len() / maps[0].len(), maps[0].len() / 16]);
        golden.compare(&format!("{key} maps"), &maps.concat(), &stored.data, 1e-9, 1e-9);
        golden.compare(
            &format!("{key} first row"),
            &maps[0][..16],
            &numbers(&want["map0_row0"]),
            1e-9,
            1e-9,
        );
        let mean = |map: &[f64]| map.iter().sum::<f64>() / map.len() as f64;
        let means: Vec<f64> = maps.iter().map(|map| mean(map)).collect();
        golden.compare(&format!("{key} means"), &means, &numbers(&want["map_means"]), 1e-12, 0.0);
        let deviation = |(map, mean): (&Vec<f64>, &f64)| {
            let squares: f64 = map.iter().map(|rho| (rho - mean).powi(2)).sum();
            (squares / map.len() as f64).sqrt()
        };
        let deviations: Vec<f64> = maps.iter().zip(&means).map(deviation).collect();
        golden.compare(
            &format!("{key} deviations"),
            &deviations,
            &numbers(&want["map_stds"]),
            1e-9,
            0.0,
        );
    }
    golden.finish();
}
