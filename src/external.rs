//! External data files → their digests and shapes. A digest is remembered with the size and the time of
//! the file, so that gigabytes are read once and not at every command. Nothing here knows specs.

use crate::files;
use crate::npy;
use crate::parts::{self, ARRAYS, IMAGES, Parts};
use crate::problem::{Problem, Result};
use crate::settings::{DataFile, Holding, beside};
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
    look: Look,
    blake3: String,
}

/// What a file looks like without being read; several at once have the sum of their sizes, the time of the newest, and
/// in place of the inode a digest of all that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    bytes: u64,
    modified_ns: i128,
    inode: u64,
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
        let (is_file, is_folder) = (path.is_file(), path.is_dir());
        let wrong = match (&file.holding, is_file, is_folder) {
            (Holding::File, false, true) => Some("is a folder"),
            (Holding::Images, true, false) => Some("is a file"),
            (_, false, false) => Some("is not there"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let what = if file.holding == Holding::Images { "folder" } else { "file" };
            let problem = Problem::new(format!("the {what} {} {wrong}", path.display()));
            return Err(problem.help("paths are relative to the file that names them"));
        }
        file.path = path;
        let path = &file.path;
        let sizes = |shape: &[usize]| shape.iter().map(|n| *n as u64).collect();
        if file.is_array() && is_file {
            file.shape = sizes(&npy::Header::read(path).map_err(Problem::usage)?.shape);
        } else if let Holding::Arrays(array) = &file.holding {
            file.shape = sizes(&Parts::find(path, array.as_deref()).map_err(Problem::usage)?.shape);
        }
        if file.holding == Holding::Code && !is_file {
            file.blake3 = Some(self.digest_of_all(path, &parts::code(path)?)?);
            return Ok(());
        }
        let endings: &[&str] = if file.holding == Holding::Images { &IMAGES } else { &ARRAYS };
        if is_file {
            file.blake3 = Some(self.digest(path)?);
            return Ok(());
        }
        let files = parts::tree(path, endings)?;
        if file.holding == Holding::Images {
            let mut classes = parts::classes(path, &files).unwrap_or_default();
            classes.dedup();
            file.shape = sizes(&[files.len(), classes.len()]);
        }
        file.blake3 = Some(self.digest_of_all(path, &files)?);
        Ok(())
    }

    /// The digest of the names and contents of files below a folder, remembered by what all of them look like.
    fn digest_of_all(&mut self, folder: &Path, files: &[PathBuf]) -> Result<String> {
        let mut looks = blake3::Hasher::new();
        let (mut bytes, mut newest) = (0, 0);
        for file in files {
            let meta = std::fs::metadata(file).map_err(|e| Problem::os("read", file, &e))?;
            let modified_ns = modified_ns(&meta);
            looks.update(file.as_os_str().as_encoded_bytes());
            looks.update(&modified_ns.to_le_bytes());
            looks.update(&meta.len().to_le_bytes());
            looks.update(&meta.ino().to_le_bytes());
            bytes += meta.len();
            newest = newest.max(modified_ns);
        }
        let looks = looks.finalize();
        let first: [u8; 8] = looks.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
        let look = Look { bytes, modified_ns: newest, inode: u64::from_le_bytes(first) };
        self.remembering(folder, look, || {
            let mut all = blake3::Hasher::new();
            for file in files {
                let name = file.strip_prefix(folder).unwrap_or(file);
                let (digest, _) = files::digest(file)?;
                all.update(name.as_os_str().as_encoded_bytes());
                all.update(b"\0");
                all.update(digest.as_bytes());
                all.update(b"\n");
            }
            Ok(all.finalize().to_hex().to_string())
        })
    }

    fn digest(&mut self, path: &Path) -> Result<String> {
        let meta = std::fs::metadata(path).map_err(|e| Problem::os("read", path, &e))?;
        let look = Look { bytes: meta.len(), modified_ns: modified_ns(&meta), inode: meta.ino() };
        self.remembering(path, look, || Ok(files::digest(path)?.0))
    }

    /// The digest of what looks like this, remembered or computed.
    fn remembering(
        &mut self,
        path: &Path,
        look: Look,
        compute: impl FnOnce() -> Result<String>,
    ) -> Result<String> {
        if let Some(known) = self.remembered.get(path).filter(|known| known.look == look) {
            return Ok(known.blake3.clone());
        }
        let blake3 = compute()?;
        let now = jiff::Timestamp::now().as_nanosecond();
        if now - look.modified_ns > FRESH_NS {
            let known = Remembered { look, blake3: blake3.clone() };
            self.remembered.insert(path.to_owned(), known);
            self.changed = true;
        }
        Ok(blake3)
    }
}

fn modified_ns(meta: &std::fs::Metadata) -> i128 {
    i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())
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
        DataFile { path: path.into(), ..DataFile::default() }
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
