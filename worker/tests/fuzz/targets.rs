//! What is fuzzed of the worker: each takes any bytes, and must come back without a panic, having used
//! little memory. `fuzz/` runs them under libFuzzer.

#![allow(dead_code, reason = "each libFuzzer program uses one of them")]

use std::path::Path;

/// A file in the format of MNIST: what its header promises is there.
pub(crate) fn idx(bytes: &[u8]) {
    if let Ok(read) = ablate_worker::data::idx::parse(bytes) {
        assert_eq!(read.shape.iter().product::<usize>(), read.data.len());
    }
}

/// Weights: names, shapes and numbers fit each other, or the file is refused.
pub(crate) fn safetensors(bytes: &[u8]) {
    if let Ok((tensors, _)) = ablate_worker::weights::from_bytes(bytes, Path::new("fuzzed")) {
        let numbers: usize = tensors.values().map(tch::Tensor::numel).sum();
        assert!(numbers * 4 <= bytes.len());
    }
}
