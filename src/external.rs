//! External data files → their digests and shapes. A digest is remembered with the size and the time of
//! the file, so that gigabytes are read once and not at every command. Nothing here knows specs.

use crate::files;
use crate::npy;
use crate::problem::{Problem, Result};
use crate::settings::{DataFile, beside};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is known of external files in one command.
#[derive(Debug, Default)]
pub struct External {
    remembered: BTreeMap<PathBuf, Remembered>,
    /// Where digests are remembered from one command to the next, if there is such a place.
    store: Option<PathBuf>,
    changed: bool,
}

/// A digest, and what the file looked like when it was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    bytes: u64,
    modified_ns: i128,
    inode: u64,
    blake3: String,
}

/// A file changed within this many nanoseconds is hashed again: its time may not tell two changes apart.
const FRESH_NS: i128 = 2_000_000_000;

impl External {
    /// With what earlier commands remembered in `store`; what cannot be read there is forgotten.
    pub fn new(store: Option<PathBuf>) -> Self {
        let read = store.as_deref().and_then(|path| files::read_json(path).ok().flatten());
        Self { remembered: read.unwrap_or_default(), store, changed: false }
    }

    /// Finds a file that is named in a file in `folder`: its absolute path, its digest, its shape.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or calls itself an array and is none.
    pub fn settle(&mut self, file: &mut DataFile, folder: &Path) -> Result<()> {
        let path = beside(folder, &file.path);
        if !path.is_file() {
            let what = if path.is_dir() { "is a folder" } else { "is not there" };
            let problem = Problem::new(format!("the file {} {what}", path.display()));
            return Err(problem.help("paths are relative to the file that names them"));
        }
        if path.extension().is_some_and(|ending| ending == "npy") {
            let header = npy::Header::read(&path).map_err(Problem::usage)?;
            file.shape = header.shape.iter().map(|n| *n as u64).collect();
        }
        file.blake3 = Some(self.digest(&path)?);
        file.path = path;
        Ok(())
    }

    fn digest(&mut self, path: &Path) -> Result<String> {
        let meta = std::fs::metadata(path).map_err(|e| Problem::os("read", path, &e))?;
        let modified_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        let seen = |r: &Remembered| {
            (r.bytes, r.modified_ns, r.inode) == (meta.len(), modified_ns, meta.ino())
        };
        if let Some(known) = self.remembered.get(path).filter(|known| seen(known)) {
            return Ok(known.blake3.clone());
        }
        let (blake3, bytes) = files::digest(path)?;
        let now = jiff::Timestamp::now().as_nanosecond();
        if now - modified_ns > FRESH_NS {
            let inode = meta.ino();
            let known = Remembered { bytes, modified_ns, inode, blake3: blake3.clone() };
            self.remembered.insert(path.to_owned(), known);
            self.changed = true;
        }
        Ok(blake3)
    }
}

impl Drop for External {
    fn drop(&mut self) {
        let Some(store) = self.store.as_deref().filter(|_| self.changed) else { return };
        let text = serde_json::to_string(&self.remembered).expect("digests are plain data");
        // Without it the next command hashes again.
        let folder = store.parent().unwrap_or(Path::new("."));
        let _ = std::fs::create_dir_all(folder)
            .map_err(|e| Problem::os("make the folder", folder, &e))
            .and_then(|()| files::write_aside(store, text.as_bytes()));
    }
}

/// The folder for what can be made again, shared by all projects of a user: `~/.cache/ablate`.
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))?;
    Some(base.join("ablate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> DataFile {
        DataFile { path: path.into(), blake3: None, shape: vec![] }
    }

    #[test]
    fn a_file_is_known_by_its_content_and_its_digest_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = (folder.path().join("a.npy"), folder.path().join("c/digests.json"));
        npy::write_f64(&data, &[2, 3], &[0.0; 6]).unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        std::fs::File::options().write(true).open(&data).unwrap().set_modified(old).unwrap();
        let settle = || {
            let mut found = file("a.npy");
            External::new(Some(store.clone())).settle(&mut found, folder.path()).unwrap();
            found
        };
        let first = settle();
        assert_eq!(first.shape, [2, 3]);
        // What is remembered is believed.
        let text = std::fs::read_to_string(&store).unwrap();
        let wrong = text.replace(first.blake3.as_deref().unwrap(), "remembered");
        std::fs::write(&store, wrong).unwrap();
        assert_eq!(settle().blake3.as_deref(), Some("remembered"));
        npy::write_f64(&data, &[2, 3], &[1.0; 6]).unwrap();
        assert!(settle().blake3.unwrap().len() == 64, "a changed file is hashed again");
    }

    #[test]
    fn what_is_not_there_or_is_no_array_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.npy"), b"not numbers, whatever it says").unwrap();
        let mut external = External::default();
        for (name, what) in
            [("a.npy", "is not there"), ("b.npy", "is not an array"), (".", "is a folder")]
        {
            let problem = external.settle(&mut file(name), folder.path()).unwrap_err();
            assert!(problem.sentence.contains(what), "{problem}");
        }
    }
}
