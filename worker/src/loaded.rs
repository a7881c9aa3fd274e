//! Networks that stay loaded between jobs: the next one often draws from the same network.
//! What was loaded is known by its file, so a file that was written anew is read anew.

use crate::net::Network;
use ablate::problem::{Problem, Result};
use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use tch::Device;

/// How many networks stay: samplings of two trainings may take turns on one slot.
const STAY: usize = 2;

/// What a network was read from, and where it lives: file, device of the disk, number, size and time of change of
/// the file, and the tensors' device.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    file: std::path::PathBuf,
    stamp: [u64; 5],
    device: Device,
}

impl Source {
    fn of(file: &Path, device: Device) -> Result<Self> {
        let meta = std::fs::metadata(file).map_err(|e| Problem::os("read", file, &e))?;
        let changed = [meta.mtime() as u64, meta.mtime_nsec() as u64];
        let stamp = [meta.dev(), meta.ino(), meta.size(), changed[0], changed[1]];
        Ok(Self { file: file.to_owned(), stamp, device })
    }
}

thread_local! {
    /// The newest last.
    static LOADED: RefCell<Vec<(Source, Rc<dyn Network>)>> = const { RefCell::new(vec![]) };
}

/// The network of a file of weights, which `load` reads unless it is loaded already.
///
/// # Errors
/// If the file cannot be looked at, or as `load`.
pub fn network(
    file: &Path,
    device: Device,
    load: impl FnOnce() -> Result<Box<dyn Network>>,
) -> Result<Rc<dyn Network>> {
    let source = Source::of(file, device)?;
    let known = LOADED.with_borrow_mut(|loaded| {
        let place = loaded.iter().position(|(known, _)| *known == source)?;
        let entry = loaded.remove(place);
        let network = entry.1.clone();
        loaded.push(entry);
        Some(network)
    });
    if let Some(network) = known {
        return Ok(network);
    }
    // Before there is a third one in memory.
    LOADED.with_borrow_mut(|loaded| {
        let surplus = (loaded.len() + 1).saturating_sub(STAY);
        loaded.drain(..surplus.min(loaded.len()));
    });
    let network: Rc<dyn Network> = load()?.into();
    LOADED.with_borrow_mut(|loaded| loaded.push((source, network.clone())));
    Ok(network)
}

/// Forgets all networks: a training needs the memory.
pub fn forget() {
    LOADED.with_borrow_mut(Vec::clear);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Input;
    use tch::Tensor;

    struct Nothing;

    impl Network for Nothing {
        fn forward(&self, _: &Input<'_>) -> Tensor {
            Tensor::new()
        }
    }

    #[test]
    fn a_network_is_read_once_until_its_file_changes_or_others_take_its_place() {
        forget();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let mut reads = 0;
        let mut get = |name: &str| {
            let before = reads;
            let load = || {
                reads += 1;
                Ok(Box::new(Nothing) as Box<dyn Network>)
            };
            network(&file(name), Device::Cpu, load).map(|_| reads > before)
        };
        for name in ["a", "b", "c"] {
            std::fs::write(file(name), name).unwrap();
        }
        assert_eq!(
            [get("a"), get("a"), get("b"), get("a")].map(Result::unwrap),
            [true, false, true, false]
        );
        assert_eq!(
            [get("c"), get("a"), get("b")].map(Result::unwrap),
            [true, false, true],
            "the oldest goes"
        );
        std::fs::write(file("b"), "longer").unwrap();
        assert!(get("b").unwrap());
        assert!(get("none").is_err());
        forget();
        assert!(get("b").unwrap());
    }
}
