//! A short run of each fuzz target, from seeds that are nearly right.

#[path = "../../../tests/fuzz/mutate.rs"]
mod mutate;
mod targets;

use ablate_worker::weights;
use flate2::{Compression, write::GzEncoder};
use std::collections::BTreeMap;
use std::io::Write;
use tch::Tensor;

#[test]
fn idx_files() {
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let images = [words(&[0x803, 2, 3, 3]), vec![5; 18]].concat();
    let labels = [words(&[0x801, 4]), vec![1; 4]].concat();
    let mut encoder = GzEncoder::new(vec![], Compression::best());
    encoder.write_all(&images).unwrap();
    let packed = encoder.finish().unwrap();
    mutate::run(targets::idx, &[&images, &labels, &packed], 10_000);
}

#[test]
fn weights_files() {
    let tensors = BTreeMap::from([
        ("a.weight".to_owned(), Tensor::from_slice(&[0.5_f32; 6]).view([2, 3])),
        ("b".to_owned(), Tensor::from_slice(&[0.25_f64; 2])),
    ]);
    let bytes = weights::to_bytes(&tensors, &serde_json::json!({ "side": 4 })).unwrap();
    mutate::run(targets::safetensors, &[&bytes], 30_000);
}

#[test]
fn weights_whose_header_lies_are_refused_without_taking_memory() {
    let header = |text: &str, data: usize| {
        [(text.len() as u64).to_le_bytes().to_vec(), text.as_bytes().to_vec(), vec![0; data]]
            .concat()
    };
    let cases = [
        ("a length beyond the file", [u64::MAX.to_le_bytes().to_vec(), b"{}".to_vec()].concat()),
        (
            "a shape beyond memory",
            header(
                r#"{"a":{"dtype":"F32","shape":[999999999,999999999],"data_offsets":[0,8]}}"#,
                8,
            ),
        ),
        (
            "offsets beyond the file",
            header(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8000000]}}"#, 8),
        ),
        (
            "offsets that overlap",
            header(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
                12,
            ),
        ),
        (
            "a type without numbers",
            header(r#"{"a":{"dtype":"BOOL","shape":[8],"data_offsets":[0,8]}}"#, 8),
        ),
        ("no header", vec![]),
        ("a pickle", b"\x80\x02}q\x00.".to_vec()),
    ];
    for (name, bytes) in cases {
        let refused = weights::from_bytes(&bytes, std::path::Path::new("w.safetensors"));
        assert!(refused.unwrap_err().sentence.contains("w.safetensors"), "{name}");
    }
}
