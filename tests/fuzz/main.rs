//! A short run of each fuzz target, from seeds that are nearly right.

mod mutate;
mod targets;

const SPEC: &str = include_str!("../../experiments/quickstart.yaml");

/// Sweeps, figures and tables of every kind, without fragments.
const WHOLE: &str = "\
question: does it run?
vars: { schedule: linear, nfe: 10, seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  digits: { dataset: { glyph_digits: { images: 1k } } }
  net:
    train: { data: maps, objective: { ddpm: { schedule: $schedule } }, steps: 2k, early_stopping: { patience: 3 }, seed: $seed }
    run: { checkpoint: 2m }
  draw: { sample: { from: net, sampler: { ddim: { steps: $nfe } }, count: 8, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
sweeps:
  main: { product: { schedule: [linear, cosine], nfe: [10, 50] }, seeds: 2 }
  one: { one_at_a_time: { loss: { net.objective.ddpm.loss: [l1, huber] }, no_ema: { net.ema: off, draw.weights: last } }, seeds: [0, 7] }
figures:
  spectra: { spectrum: { sweep: main, of: score.power_spectrum, lines: schedule, panels: nfe } }
tables:
  main: { sweep: main, columns: [score.power_spectrum.error], versus: baseline }
";

#[test]
fn specs() {
    let anchors: &[u8] = b"a: &a [1, *a]\nb: !tag { <<: *a, ? [x]: y }\n--- \nc: |\n  text\n";
    mutate::run(targets::spec, &[SPEC.as_bytes(), WHOLE.as_bytes(), anchors], 8000);
}

#[test]
fn arrays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    ablate::npy::write_f64(&path, &[2, 3], &[0.5; 6]).unwrap();
    let floats = std::fs::read(&path).unwrap();
    ablate::npy::write_u8(&path, &[4, 1, 2, 2], &[7; 16]).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    mutate::run(targets::npy, &[&floats, &bytes], 20_000);
}

#[test]
fn event_lines() {
    let seeds: [&[u8]; 5] = [
        br#"{"event":"started","step":0,"total":10,"arithmetic":{"device":"x","threads":1,"libtorch":"2","deterministic":true}}"#,
        br#"{"event":"progress","step":7,"total":10,"loss":0.25}"#,
        br#"{"event":"failed","class":"disk_full","message":"No space left on device"}"#,
        br#"{"event":"hello","version":"0.1.0","libtorch":"2.11.0"}"#,
        br#"{"event":"done"}"#,
    ];
    mutate::run(targets::event, &seeds, 20_000);
}
