//! Statistics over maps, how they scatter, and shapes in them.

use crate::support::{Golden, folder, numbers};
use ablate::npy;
use ablate::settings::Binning;
use ablate_worker::measure::one_point::{self, Moments, Sorted};
use ablate_worker::measure::power_spectrum::{Contrast, Estimator, Grid, spectra};
use ablate_worker::measure::shapes::{Shapes, Triangles, peaks, standardised};
use ablate_worker::measure::summary::{self, percentile, relative, summarise};

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
    let [a, b] =
        ["setA", "setB"].map(|name| spectra(&estimator, &maps(name), Contrast::OWN).unwrap());
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
    let error = summary::error(&b, &a, relative);
    golden.compare("mean error", &[error], &numbers(&want["mean_abs_frac_diff"]), 1e-9, 0.0);
    assert_eq!(percentile(&[1.0, 2.0, 3.0], 50.0), 2.0);
    let want = &json["pdf_log10"];
    let logs = |name: &str| -> Vec<f64> { maps(name).into_iter().map(f64::log10).collect() };
    let (a, b) = (logs("setA"), logs("setB"));
    let edges = numbers(&want["edges"]);
    for (set, values) in [("A", &a), ("B", &b)] {
        let density = one_point::density(values, &edges);
        golden.compare(set, &density, &numbers(&want[&format!("density_{set}")]), 1e-9, 1e-12);
        let moments = Moments::of(values);
        for (key, got) in [
            ("mean", moments.mean),
            ("std_ddof0", moments.deviation),
            ("skew", moments.skewness),
            ("kurtosis_excess", moments.kurtosis),
        ] {
            golden.compare(key, &[got], &numbers(&want[set][key]), 1e-9, 1e-12);
        }
    }
    let [a, b] = [a, b].map(Sorted::new);
    let distance = one_point::wasserstein(&a, &b);
    golden.compare("distance", &[distance], &numbers(&want["wasserstein1"]), 1e-9, 0.0);
    let largest = one_point::kolmogorov_smirnov(&a, &b);
    golden.compare("ks", &[largest], &numbers(&want["ks_D"]), 1e-9, 0.0);
    golden.finish();
}

#[test]
fn scatter_of_maps() {
    let mut golden = Golden::open("cosmology/stats_golden.json");
    let json = golden.json.clone();
    let grid = Grid {
        side: json["N"].as_u64().unwrap() as usize,
        dimensions: 2,
        box_mpc_h: json["L"].as_f64().unwrap(),
    };
    let estimator = Estimator::new(grid, Binning::Round, 0);
    let [a, b] = ["setA", "setB"]
        .map(|name| spectra(&estimator, &set(name).concat(), Contrast::OWN).unwrap());
    let one = summarise(&a);
    let want = &json["reduced_chi2"];
    let chi_squared = summary::chi_squared(&b, &one);
    golden.compare("chi2", &chi_squared, &numbers(&want["gen_vs_true_per_map"]), 1e-9, 0.0);
    let without_own = summary::chi_squared_without_own(&a);
    let key = "true_leave_one_out_per_map";
    golden.compare(key, &without_own, &numbers(&want[key]), 1e-9, 0.0);
    let (covariance, bins) = (summary::covariance(&a), one.mean.len());
    let correlation = summary::correlation(&covariance, bins);
    let corner =
        |matrix: &[f64]| -> Vec<f64> { (0..16).map(|i| matrix[i / 4 * bins + i % 4]).collect() };
    let want = &json["cov"];
    for (key, matrix) in [("cov_first4x4", &covariance), ("corr_first4x4", &correlation)] {
        let rows = want[key].as_array().unwrap();
        let rows: Vec<f64> = rows.iter().flat_map(numbers).collect();
        golden.compare(key, &corner(matrix), &rows, 1e-9, 0.0);
    }
    let off: f64 = (0..bins * bins).filter(|i| i / bins != i % bins).map(|i| correlation[i]).sum();
    let off = off / (bins * (bins - 1)) as f64;
    golden.compare("off", &[off], &numbers(&want["corr_mean_offdiag"]), 1e-9, 0.0);
    let hartlap = summary::hartlap(a.len(), 10);
    golden.compare(
        "hartlap",
        &[hartlap],
        &numbers(&want["hartlap_factor_first10bins"]),
        1e-12,
        0.0,
    );
    golden.finish();
}

/// The maps of a stored set.
fn set(name: &str) -> Vec<Vec<f64>> {
    let array = npy::read_f64(&folder().join(format!("cosmology/fields/{name}.npy"))).unwrap();
    let each = array.shape[1..].iter().product();
    array.data.chunks(each).map(<[f64]>::to_vec).collect()
}

#[test]
fn shapes_of_maps() {
    let mut golden = Golden::open("cosmology/stats_golden.json");
    let json = golden.json.clone();
    let (side, box_mpc_h) = (json["N"].as_u64().unwrap() as usize, json["L"].as_f64().unwrap());
    let maps = set("setA");
    let logs: Vec<Vec<f64>> = maps
        .iter()
        .map(|map| standardised(&map.iter().map(|x| x.log10()).collect::<Vec<_>>()))
        .collect();
    let want = &json["peaks_8neigh_periodic_strict"];
    let thresholds = numbers(&want["nu_thresholds"]);
    let valleys: Vec<f64> = logs[0].iter().map(|x| -x).collect();
    for (key, map) in [("peaks_map0", &logs[0]), ("minima_map0", &valleys)] {
        golden.compare(key, &peaks(map, side, &thresholds), &numbers(&want[key]), 0.0, 0.0);
    }
    let mut all = vec![0.0; thresholds.len()];
    for map in &logs {
        let counts = peaks(map, side, &thresholds);
        all.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    golden.compare("peaks", &all, &numbers(&want["peaks_total_A"]), 0.0, 0.0);
    let want = &json["minkowski"];
    let thresholds = numbers(&want["nus"]);
    let shapes = Shapes::new(side, box_mpc_h);
    let got = shapes.minkowski(&logs[0], &thresholds, want["dnu"].as_f64().unwrap());
    let rows: Vec<f64> = want["V0_V1_V2"].as_array().unwrap().iter().flat_map(numbers).collect();
    golden.compare("minkowski", &got.concat(), &rows, 1e-9, 1e-12);
    let want = &json["bispectrum_equilateral"];
    let shells: Vec<u64> = numbers(&want["shells"]).iter().map(|shell| *shell as u64).collect();
    let triangles = Triangles::new(side, box_mpc_h, &shells);
    let contrast = Contrast::OWN.of(&maps[0]).unwrap();
    let got: Vec<f64> = triangles
        .bispectrum(&contrast)
        .into_iter()
        .zip(triangles.triangles.iter().copied())
        .flat_map(|(b, n)| [b, n])
        .collect();
    let rows: Vec<f64> = want["B_and_Ntri"].as_array().unwrap().iter().flat_map(numbers).collect();
    golden.compare("bispectrum", &got, &rows, 1e-9, 0.0);
    golden.finish();
}
