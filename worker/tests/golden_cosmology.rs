//! Power spectra, linear theory and field generators against the golden files, driven by the files
//! alone: sizes, seeds and constants are read from them, and every `pk_*` and `xpk_*` file that lies
//! in the folder is compared.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use ablate::npy;
use ablate::settings::{Binning, Cosmology};
use ablate_worker::data::cosmology::{LinearPower, TransferFit, growth, transfer_without_wiggles};
use ablate_worker::data::log_normal::{LogNormal, Slab, gaussian, slab_power};
use ablate_worker::data::splitmix;
use ablate_worker::measure::power_spectrum::{
    Estimator, Grid, contrast, percentile, spectra, summarise,
};
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
    if mean.abs() < 1e-6 { field } else { contrast(&field).unwrap() }
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
    ["None", "NGP", "CIC", "TSC", "PCS"].iter().position(|known| *known == word).unwrap() as i32
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
        let measured = estimator.auto(&contrast(&density).unwrap());
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
fn statistics_over_maps() {
    let mut golden = Golden::open("cosmology/stats_golden.json");
    let json = golden.json.clone();
    let maps = |name: &str| {
        npy::read_f64(&folder().join(format!("cosmology/fields/{name}.npy"))).unwrap().data
    };
    let box_mpc_h = json["L"].as_f64().unwrap();
    let grid = Grid { side: json["N"].as_u64().unwrap() as usize, dimensions: 2, box_mpc_h };
    let estimator = Estimator::new(grid, Binning::Round, 0);
    let (a, b) =
        (spectra(&estimator, &maps("setA")).unwrap(), spectra(&estimator, &maps("setB")).unwrap());
    let (one, other) = (summarise(&a), summarise(&b));
    let want = &json["pk"];
    for (key, got) in [
        ("mean_A", &one.mean),
        ("std_A_ddof1", &one.deviation),
        ("p16_A", &one.low),
        ("p84_A", &one.high),
        ("mean_B", &other.mean),
        ("std_B_ddof1", &other.deviation),
    ] {
        golden.compare(key, got, &numbers(&want[key]), 1e-9, 0.0);
    }
    let (ratio, ratio_error) =
        ablate_worker::measure::power_spectrum::ratio(&other, b.len(), &one, a.len());
    golden.compare("ratio", &ratio, &numbers(&want["ratio_B_over_A"]), 1e-9, 0.0);
    golden.compare(
        "ratio error",
        &ratio_error,
        &numbers(&want["sem_ratio_delta_method"]),
        1e-9,
        0.0,
    );
    let error = ablate_worker::measure::power_spectrum::error(&b, &a);
    golden.compare("mean error", &[error], &numbers(&want["mean_abs_frac_diff"]), 1e-9, 0.0);
    assert_eq!(percentile(&[1.0, 2.0, 3.0], 50.0), 2.0);
    golden.finish();
}
