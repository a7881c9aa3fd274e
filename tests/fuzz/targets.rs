//! What is fuzzed of the coordinator: each takes any bytes, and must come back without a panic, having
//! used little memory. `fuzz/` runs them under libFuzzer.

#![allow(dead_code, reason = "each libFuzzer program uses one of them")]

use std::path::PathBuf;

/// A file of its own with these bytes.
fn file(ending: &str, bytes: &[u8]) -> PathBuf {
    let name =
        format!("ablate-fuzz-{}-{:?}.{ending}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).expect("the temporary folder takes it");
    path
}

/// A spec: every mistake is a problem, every problem can be shown.
pub(crate) fn spec(bytes: &[u8]) {
    let path = file("yaml", bytes);
    if let Err(problems) = ablate::graph::Graph::read(&path) {
        assert!(!problems.to_string().is_empty());
        assert_eq!(problems.exit_code(), 2, "{problems}");
    }
    let _ = std::fs::remove_file(path);
}

/// An array: what its header promises is there.
pub(crate) fn npy(bytes: &[u8]) {
    let path = file("npy", bytes);
    if let Ok(array) = ablate::npy::read_f64(&path) {
        assert_eq!(array.shape.iter().product::<usize>(), array.data.len());
        assert!(array.data.len() <= bytes.len());
        let mapped = ablate::npy::Mapped::open(&path).expect("it was read before");
        assert_eq!(mapped.numbers(0, array.data.len()).count(), array.data.len());
    }
    let _ = std::fs::remove_file(path);
}

/// A line from a worker.
pub(crate) fn event(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(event) = serde_json::from_str::<ablate::job::Event>(&text) {
        let again = serde_json::to_string(&event).expect("an event is plain data");
        assert!(serde_json::from_str::<ablate::job::Event>(&again).is_ok(), "{again}");
    }
}
