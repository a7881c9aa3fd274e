//! Reads what the diffusion files have in common: numbers by key, tensors, and processes by name.

use ablate::settings::{Ddpm, Schedule, Spacing};
use ablate_worker::noise::{self, Limits, Process};
use ablate_worker::samplers::spacing;
use serde_json::Value;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// The word at `key`.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("`{key}` is no word: {}", value[key]))
}

/// The number at `key`.
pub(crate) fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("`{key}` is no number: {}", value[key]))
}

/// The numbers at `key`.
pub(crate) fn numbers_of(value: &Value, key: &str) -> Vec<f64> {
    crate::support::numbers(&value[key])
}

/// The whole number at `key`.
pub(crate) fn whole(value: &Value, key: &str) -> usize {
    number(value, key) as usize
}

/// The whole numbers at `key`.
pub(crate) fn wholes(value: &Value, key: &str) -> Vec<usize> {
    numbers_of(value, key).into_iter().map(|n| n as usize).collect()
}

/// A list of numbers, or a number, as a vector in 64 bits.
pub(crate) fn tensor(value: &Value) -> Tensor {
    Tensor::from_slice(&crate::support::numbers(value))
}

/// The shape of a nested list, and its numbers as a tensor of that shape.
pub(crate) fn nested(value: &Value) -> Tensor {
    let mut shape = vec![];
    let mut inner = value;
    while let Some(items) = inner.as_array() {
        shape.push(items.len() as i64);
        inner = &items[0];
    }
    tensor(value).view(shape.as_slice())
}

/// The numbers of a tensor, row by row.
pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.detach().to_kind(Kind::Double).contiguous().view(-1);
    Vec::try_from(flat).expect("a vector of 64-bit numbers")
}

/// The process that the files call `name`, such as `quadratic+zero_terminal_snr`; `json` has the `params`.
pub(crate) fn process(name: &str, timesteps: usize, json: &Value) -> Process {
    if let Some(base) = name.strip_suffix("+zero_terminal_snr") {
        return process(base, timesteps, json).zero_terminal_snr();
    }
    let betas = numbers_of(&json["params"], "beta");
    let (start, end) = (betas[0], betas[1]);
    let offered = |schedule, rescale| {
        let timesteps = timesteps as u64;
        Process::new(&Ddpm {
            schedule,
            timesteps,
            beta_start: start,
            beta_end: end,
            rescale,
            ..Ddpm::default()
        })
    };
    match name {
        "linear" => offered(Schedule::Linear, false),
        "cosine" => offered(Schedule::Cosine, false),
        "linear_rescaled_1000_over_T" => offered(Schedule::Linear, true),
        "quadratic" => offered(Schedule::Quadratic, false),
        "sigmoid" => offered(Schedule::SigmoidBeta, false),
        "sigmoid_alpha_bar" => offered(Schedule::SigmoidAlphaBar, false),
        // As a widely copied notebook has it; no setting offers it.
        "cosine_seed_clip" => Process::from_betas(noise::cosine(
            timesteps,
            Limits { smallest: 1e-4, largest: 0.9999 },
        )),
        other => panic!("unknown schedule {other}"),
    }
}

/// The times of a spacing that settings offer.
pub(crate) fn spaced(name: &str, process: &Process, count: usize) -> Option<Vec<usize>> {
    let spacing = match name {
        "trailing" => Spacing::Trailing,
        "leading" => Spacing::Leading,
        "linspace" => Spacing::Linspace,
        _ => return None,
    };
    Some(spacing::times(spacing, process.timesteps(), count))
}

/// Counts what is left out of a file, by reason, and prints it at the end.
pub(crate) struct Skipped {
    file: &'static str,
    reasons: BTreeMap<&'static str, usize>,
}

impl Skipped {
    pub(crate) fn new(file: &'static str) -> Self {
        Self { file, reasons: BTreeMap::new() }
    }

    /// Notes one case that is left out.
    pub(crate) fn note(&mut self, reason: &'static str) {
        *self.reasons.entry(reason).or_default() += 1;
    }
}

impl Drop for Skipped {
    fn drop(&mut self) {
        for (reason, count) in &self.reasons {
            println!("skipped {:<39} {count:>5} cases: {reason}", self.file);
        }
    }
}
