//! Weights on disk, as `.safetensors` under the names of the reference implementations, with one
//! line of metadata that says what network they belong to. Reading never executes anything, and
//! allocates no more than the file holds.

use crate::net::Tensors;
use ablate::files::write_artefact;
use ablate::problem::{Problem, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tch::{Kind, Tensor};

/// The key of our metadata.
const METADATA: &str = "ablate";

/// The bytes of a file with these tensors; floats of 32 and 64 bits.
///
/// # Errors
/// If a tensor is of another type.
pub fn to_bytes(tensors: &Tensors, metadata: &Value) -> Result<Vec<u8>> {
    let raw: BTreeMap<&String, (Dtype, Vec<usize>, Vec<u8>)> =
        tensors.iter().map(|(name, tensor)| Ok((name, raw(tensor)?))).collect::<Result<_>>()?;
    let views: Vec<(&String, TensorView<'_>)> = raw
        .iter()
        .map(|(name, (kind, shape, bytes))| {
            let view = TensorView::new(*kind, shape.clone(), bytes);
            Ok((
                *name,
                view.map_err(|e| {
                    Problem::system(format!("the tensor `{name}` cannot be written: {e}"))
                })?,
            ))
        })
        .collect::<Result<_>>()?;
    // One entry, since the order of several would differ from run to run.
    let metadata = HashMap::from([(METADATA.to_owned(), metadata.to_string())]);
    safetensors::serialize(views, Some(metadata))
        .map_err(|e| Problem::system(format!("weights cannot be written: {e}")))
}

fn raw(tensor: &Tensor) -> Result<(Dtype, Vec<usize>, Vec<u8>)> {
    let shape = tensor.size().iter().map(|d| *d as usize).collect();
    let flat = tensor.detach().to_device(tch::Device::Cpu).contiguous().view([-1]);
    let fail = |e: tch::TchError| Problem::system(format!("a tensor cannot be read: {e}"));
    match tensor.kind() {
        Kind::Float => {
            let values: Vec<f32> = Vec::try_from(&flat).map_err(fail)?;
            Ok((Dtype::F32, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        }
        Kind::Double => {
            let values: Vec<f64> = Vec::try_from(&flat).map_err(fail)?;
            Ok((Dtype::F64, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        }
        other => Err(Problem::system(format!("tensors of type {other:?} are not written"))),
    }
}

/// Reads tensors and metadata from the bytes of a file.
///
/// # Errors
/// If the bytes are damaged, or hold other types than floats. Those of 16 bits become 32.
pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<(Tensors, Value)> {
    let fail =
        |e: safetensors::SafeTensorError| Problem::system(format!("{}: {e}", path.display()));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(fail)?;
    let text = header.metadata().as_ref().and_then(|map| map.get(METADATA).cloned());
    let metadata = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null);
    let file = SafeTensors::deserialize(bytes).map_err(fail)?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        let shape: Vec<i64> = view.shape().iter().map(|d| *d as i64).collect();
        let tensor = match view.dtype() {
            Dtype::F16 => floats(view.data(), |b| half::f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => floats(view.data(), |b| half::bf16::from_le_bytes(b).to_f32()),
            Dtype::F32 => floats(view.data(), f32::from_le_bytes),
            Dtype::F64 => floats(view.data(), f64::from_le_bytes),
            other => {
                let what = format!("{}: `{name}` is of type {other:?}", path.display());
                return Err(Problem::system(what).help("floats of 16, 32 or 64 bits are read"));
            }
        };
        tensors.insert(name, tensor.view(shape.as_slice()));
    }
    Ok((tensors, metadata))
}

/// A flat tensor of the numbers in `bytes`.
fn floats<const N: usize, T: tch::kind::Element>(bytes: &[u8], number: fn([u8; N]) -> T) -> Tensor {
    let (whole, _) = bytes.as_chunks::<N>();
    Tensor::from_slice(&whole.iter().map(|bytes| number(*bytes)).collect::<Vec<T>>())
}

/// Writes weights, aside and then renamed.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, tensors: &Tensors, metadata: &Value) -> Result<()> {
    write_artefact(path, &to_bytes(tensors, metadata)?)
}

/// Reads weights.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn read(path: &Path) -> Result<(Tensors, Value)> {
    let bytes = std::fs::read(path).map_err(|e| Problem::os("read", path, &e))?;
    from_bytes(&bytes, path)
}
