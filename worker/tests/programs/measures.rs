//! Every measure of fields through both programs, on data that are known to agree or to differ.

use crate::project::{Project, json};
use ablate::npy;
use std::collections::BTreeMap;

/// The metrics of each finished node, by its readable name.
fn metrics(project: &Project) -> BTreeMap<String, BTreeMap<String, f64>> {
    let links = std::fs::read_dir(project.path("results/spec/runs")).unwrap();
    let of = |link: std::io::Result<std::fs::DirEntry>| {
        let link = link.unwrap();
        let all = ablate::files::read_json(&link.path().join("metrics.json")).ok()??;
        let all: serde_json::Map<String, serde_json::Value> = all;
        let value = |v: &serde_json::Value| v["value"].as_f64().unwrap_or(f64::NAN);
        let all = all.iter().map(|(key, v)| (key.clone(), value(v)));
        Some((link.file_name().into_string().unwrap(), all.collect()))
    };
    links.filter_map(of).collect()
}

#[test]
fn fields_of_one_kind_agree_and_of_another_differ_where_they_do() {
    let project = Project::new(
        "\
question: what does each measure see?
nodes:
  maps: { dataset: { log_normal_fields: { side: 32, maps: 480, validation: 0.25, test: 0.5 } } }
  # The same power, and nothing else.
  gauss: { dataset: { gaussian_fields: { side: 32, maps: 480, seed: 5, validation: 0.25, test: 0.5 } } }
  same:
    evaluate:
      samples: maps.validation
      reference: maps
      measures: [power_spectrum, covariance, bispectrum, peaks, minkowski, memorisation]
  other:
    evaluate:
      samples: gauss.validation
      reference: maps
      measures: [power_spectrum, covariance, bispectrum, { peaks: { space: linear } }, { minkowski: { space: linear } }]
  own: { evaluate: { samples: maps.test, reference: maps, measures: [cross_spectrum] } }
  pairs: { evaluate: { samples: gauss.test, reference: maps, measures: [cross_spectrum] } }
  copies: { evaluate: { samples: maps.train, reference: maps, measures: [memorisation] } }
",
    );
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let all = metrics(&project);
    let of = |node: &str, metric: &str| all[node][metric];
    for measure in ["power_spectrum", "bispectrum", "peaks", "minkowski"] {
        let (same, other) = (format!("same.{measure}"), format!("other.{measure}"));
        let (error, floor) = (of(&same, "error"), of(&same, "floor"));
        assert!(error < 2.5 * floor && floor < 3.0 * error, "{measure}: {error} {floor}");
        let deviation = of(&same, "error_deviation");
        assert!(deviation > 0.0 && deviation < 3.0 * floor, "{measure}: {deviation} {floor}");
        if measure != "power_spectrum" {
            let (error, floor) = (of(&other, "error"), of(&other, "floor"));
            assert!(error > 3.0 * floor, "{measure}: {error} {floor}");
        }
    }
    let (chi, floor) =
        (of("same.power_spectrum", "chi_squared"), of("same.power_spectrum", "chi_squared_floor"));
    assert!((chi / floor - 1.0).abs() < 0.5, "{chi} {floor}");
    assert!((of("same.power_spectrum", "mean_ratio") - 1.0).abs() < 0.05);
    // Log-normal maps scatter more than Gaussian ones of equal power, and their bins together.
    let ratio = of("other.covariance", "variance_ratio");
    assert!(ratio < 0.8, "{ratio}");
    assert!(
        of("other.covariance", "correlation_error") > of("same.covariance", "correlation_error")
    );
    assert!((of("same.covariance", "hartlap") - (120.0 - 18.0) / 119.0).abs() < 1e-12);
    assert!((of("own.cross_spectrum", "correlation") - 1.0).abs() < 1e-12);
    assert!(of("own.cross_spectrum", "transfer_error").abs() < 1e-12);
    assert!(of("pairs.cross_spectrum", "correlation").abs() < 0.05);
    assert_eq!(
        (of("copies.memorisation", "copies"), of("copies.memorisation", "nearness")),
        (1.0, 0.0)
    );
    assert_eq!(of("same.memorisation", "copies"), 0.0);
    let nearness = of("same.memorisation", "nearness") - of("same.memorisation", "nearness_floor");
    assert!(nearness.abs() < 0.05, "{nearness}");
}

#[test]
fn spectra_may_be_of_logarithms_of_cubes_and_at_matched_conditions() {
    // Two conditions with contrasts of 0.1 and 0.3, and few of one where there are many of the other.
    let noise =
        |seed: u64, n: usize| ablate_worker::random::Stream::new(seed, "test", 0).normal_f32(n);
    let map = |i: usize, amplitude: f64| -> Vec<f64> {
        noise(i as u64, 64).into_iter().map(|x| (amplitude * f64::from(x)).exp()).collect()
    };
    // 32 to train on, 16 of which most are weak, and 16 of which most are strong.
    let weak = |i: usize| if i < 48 { i % 16 < 12 } else { i % 16 < 4 };
    let of = |i: usize| if weak(i) { 0.1 } else { 0.3 };
    let maps: Vec<f64> = (0..64).flat_map(|i| map(i, of(i))).collect();
    let rows: String = (0..64).map(|i| format!("{}\n", of(i))).collect();
    let cubes: Vec<f64> =
        noise(9, 40 * 64).into_iter().map(|x| (0.2 * f64::from(x)).exp()).collect();
    let project = Project::new(
        "\
question: is each spectrum of what was asked?
nodes:
  maps: { dataset: { npy: { file: maps.npy, parameters: rows.txt, shuffle: false, validation: 0.25, test: 0.25, box_mpc_h: 8 } } }
  cubes: { dataset: { npy: { file: cubes.npy, shuffle: false, validation: 0.4, test: 0.4, box_mpc_h: 4 } } }
  plain: { evaluate: { samples: maps.validation, reference: maps, measures: [power_spectrum] } }
  matched: { evaluate: { samples: maps.validation, reference: maps, measures: [power_spectrum: { matched: true }] } }
  logs: { evaluate: { samples: maps.validation, reference: maps, measures: [power_spectrum: { matched: true, space: log }] } }
  about: { evaluate: { samples: maps.validation, reference: maps, measures: [power_spectrum: { mean: ensemble }] } }
  solid: { evaluate: { samples: cubes.validation, reference: cubes, measures: [power_spectrum: { dimensions: 3 }] } }
  flat: { evaluate: { samples: cubes.validation, reference: cubes, measures: [power_spectrum] } }
",
    );
    npy::write_f64(&project.path("maps.npy"), &[64, 8, 8], &maps).unwrap();
    npy::write_f64(&project.path("cubes.npy"), &[40, 4, 4, 4], &cubes).unwrap();
    project.write("rows.txt", rows.as_bytes());
    let said = project.ablate(&["run", "spec.yaml"]).expect(1);
    assert!(said.err.contains("power in 2 dimensions needs [1, 4, 4]"), "{}", said.err);
    let all = metrics(&project);
    let plain = &all["plain.power_spectrum"];
    let matched = &all["matched.power_spectrum"];
    // Samples are three quarters of the weak condition, the reference a quarter.
    assert!(plain["error"] > 0.4 && matched["error"] < 0.5 * plain["error"], "{all:?}");
    assert!(matched["floor"] > 0.0 && matched["error_deviation"] > 0.0);
    assert!(
        (matched["chi_squared"] / matched["chi_squared_floor"]).ln().abs() < 1.0,
        "{matched:?}"
    );
    let power = |name: &str| -> (f64, String) {
        let node = project.path(&format!("results/spec/runs/{name}.power_spectrum"));
        let series = json(&node.join("series.json"));
        let series = &series["power_spectrum"];
        let values = series["columns"]["reference_mean"].as_array().unwrap();
        let sum: f64 = values.iter().map(|v| v.as_f64().unwrap()).sum();
        (sum / values.len() as f64, series["y_unit"].as_str().unwrap().to_owned())
    };
    // White noise of variance v has the power v (L / N)^d; logarithms are to the base of ten.
    let variance = (4.0 * 0.1_f64.powi(2) + 12.0 * 0.3_f64.powi(2)) / 16.0;
    let (logs, unit) = power("logs");
    assert!((logs / (variance / 10_f64.ln().powi(2)) - 1.0).abs() < 0.15, "{logs}");
    assert_eq!(unit, "(Mpc/h)^2");
    let (cubes, unit) = power("solid");
    assert!((cubes / 0.2_f64.powi(2) - 1.0).abs() < 0.3, "{cubes}");
    assert_eq!(unit, "(Mpc/h)^3");
    assert!((power("about").0 / power("plain").0 - 1.0).abs() < 0.2);
    assert_ne!(power("about").0, power("plain").0);
}
