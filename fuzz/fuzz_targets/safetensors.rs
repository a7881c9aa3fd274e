#![no_main]

#[path = "../../worker/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::safetensors(bytes));
