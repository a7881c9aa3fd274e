//! Artefact folders: `work/` while a node runs, `nodes/` once it is finished, and the order of
//! writes that makes every interruption recoverable. Nothing here knows the database.
//!
//! Publishing is: artefacts, then `node.json` written aside and renamed ([`seal`]), then the folder
//! renamed ([`Results::publish`]), then the row (the caller's). A folder that holds `node.json` is
//! complete; what it lists can be checked against sizes and digests at any time.

mod check;

pub use check::{Damage, check, check_trajectory, checkpoint_steps};

use crate::files::{write_artefact, write_aside};
use crate::graph::Node;
use crate::job::Arithmetic;
use crate::key::Input;
use crate::moment;
use crate::problem::{Problem, Result};
use crate::selection;
use crate::settings::Kind;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A results folder.
#[derive(Debug, Clone)]
pub struct Results {
    /// Its path, absolute.
    pub root: PathBuf,
}

/// `node.json`: what a finished node is, and what is in its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeFile {
    /// Version of this format.
    pub format: u32,
    /// Version of the program that published it.
    pub ablate: String,
    /// Kind of node.
    pub kind: Kind,
    /// Key, in hex.
    pub key: String,
    /// Name for people.
    pub name: String,
    /// What the key is made of.
    pub identity: Value,
    /// Every setting.
    pub settings: Value,
    /// By role, the node that was read.
    pub inputs: BTreeMap<String, InputFile>,
    /// What the bits depend on beside the settings; more than one entry means mixed arithmetic.
    pub arithmetic: Vec<Arithmetic>,
    /// Every artefact, by path.
    pub artefacts: Vec<Artefact>,
    /// The node that was made in its place, if it was never run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adoption>,
    /// BLAKE3 digest of the file without this field, in hex; empty in files of before it was written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// That the artefacts of another node serve as those of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// Key of the node that was run, in hex.
    pub key: String,
    /// Why that is right.
    pub reason: String,
    /// When it was decided, RFC 3339 in UTC.
    pub made: String,
    /// What differs between their identities: path, value there, value here.
    pub differences: BTreeMap<String, [Option<String>; 2]>,
}

/// The version of [`NodeFile`] that this program writes.
pub const FORMAT: u32 = 1;

/// An input in `node.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Key, in hex.
    pub key: String,
    /// Its folder in `nodes/`.
    pub folder: String,
    /// The port that was read.
    pub port: String,
}

impl InputFile {
    /// An input of a graph, with its name.
    pub fn named((name, input, from): (String, &Input, &Node)) -> (String, Self) {
        let (folder, port) = (from.folder(), input.port.to_owned());
        (name, Self { key: input.key.hex(), folder, port })
    }
}

/// One file of a finished node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Artefact {
    /// Path in the node's folder.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 digest, in hex.
    pub blake3: String,
}

/// Files in a node's folder that differ between runs of equal work, and so have no digest.
const UNDIGESTED: [&str; 7] = [
    "node.json",
    "costs.json",
    "log.txt",
    "events.jsonl",
    "job.json",
    "environment.json",
    PROGRESS,
];

/// How much of a node is on disk, while it is being made. It goes after the node is sealed, so that a
/// kill before that costs nothing.
pub const PROGRESS: &str = "progress.json";

impl Results {
    /// Opens a results folder, made if it is not there.
    ///
    /// # Errors
    /// If folders cannot be made.
    pub fn open(root: &Path) -> Result<Self> {
        for part in ["nodes", "work"] {
            let path = root.join(part);
            fs::create_dir_all(&path).map_err(|e| {
                let problem = Problem::os("make the folder", &path, &e).usage();
                problem.help("name a folder that can be written to: --results DIR")
            })?;
        }
        let root = root.canonicalize().map_err(|e| Problem::os("open", root, &e))?;
        Ok(Self { root })
    }

    /// A results folder to look into; nothing is made, and what is not there is empty.
    pub fn look(root: &Path) -> Self {
        Self { root: root.canonicalize().unwrap_or_else(|_| root.to_owned()) }
    }

    /// Where results go by default: `results/` beside the spec's `experiments/` folder, else in the working directory.
    pub fn default_root(spec: &Path) -> PathBuf {
        let absolute = spec.canonicalize().unwrap_or_else(|_| spec.to_owned());
        let beside = absolute
            .ancestors()
            .find(|folder| folder.file_name().is_some_and(|n| n == "experiments"));
        match beside.and_then(Path::parent) {
            Some(parent) => parent.join("results"),
            None => PathBuf::from("results"),
        }
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join("ablate.sqlite")
    }

    /// A file that says why the database is not to be believed, if it is not.
    pub fn distrusted(&self) -> PathBuf {
        self.root.join("ablate.sqlite.distrusted")
    }

    /// The folder of locks and logs of coordinators and workers.
    pub fn workers(&self) -> PathBuf {
        self.root.join("workers")
    }

    /// The folder of a finished node.
    pub fn node(&self, folder: &str) -> PathBuf {
        self.root.join("nodes").join(folder)
    }

    /// The folder of a node in progress, or of a trajectory.
    pub fn work(&self, folder: &str) -> PathBuf {
        self.root.join("work").join(folder)
    }

    /// The folder of a finished node, which may still have to be renamed into `nodes/`.
    pub fn wherever(&self, folder: &str) -> PathBuf {
        let published = self.node(folder);
        if published.exists() { published } else { self.work(folder) }
    }

    /// The folder for people of an experiment.
    pub fn experiment(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What is in `nodes/`, by one listing of it.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let names = list(&self.root.join("nodes"))?;
        for name in names.into_iter().filter(|name| !selection::is_file(name)) {
            match name.strip_suffix(CLEANED) {
                Some(folder) if self.is_cleaned(folder) => {
                    listing.cleaned.insert(folder.to_owned());
                }
                Some(_) => {}
                None => {
                    listing.finished.insert(name);
                }
            }
        }
        Ok(listing)
    }

    /// The names of the folders in `nodes/`, sorted.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn finished(&self) -> Result<BTreeSet<String>> {
        Ok(self.list()?.finished.into_iter().collect())
    }

    /// Whether artefacts of a finished node were removed, and are not back.
    pub fn is_cleaned(&self, folder: &str) -> bool {
        let path = self.node(folder);
        check::removed(&path).iter().any(|name| !path.join(name).exists())
    }

    /// Removes the artefacts of a finished node; `node.json`, metrics and series stay. What is removed is
    /// listed in a file beside the folder first, so that nobody takes it for damage.
    ///
    /// # Errors
    /// If files cannot be written or removed.
    pub fn clean(&self, folder: &str) -> Result<()> {
        let path = self.node(folder);
        let removed: Vec<String> = read_node(&path)?
            .artefacts
            .into_iter()
            .map(|a| a.path)
            .filter(|p| is_large(p))
            .collect();
        let text = serde_json::to_string(&removed).expect("a list of names is plain data") + "\n";
        write_aside(&cleaned_beside(&path), text.as_bytes())?;
        for name in removed {
            let file = path.join(name);
            if file.exists() {
                fs::remove_file(&file).map_err(|e| Problem::os("remove", &file, &e))?;
            }
        }
        Ok(())
    }

    /// The names of the folders in `work/`.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn unfinished(&self) -> Result<BTreeSet<String>> {
        Ok(list(&self.root.join("work"))?.into_iter().collect())
    }

    /// Renames sealed folders from `work/` into `nodes/`, after one sync for all of them.
    ///
    /// # Errors
    /// If a folder cannot be renamed; those before it are published.
    pub fn publish(&self, folders: &[String]) -> Result<()> {
        if folders.is_empty() {
            return Ok(());
        }
        let nodes = self.root.join("nodes");
        let handle = fs::File::open(&nodes).map_err(|e| Problem::os("open", &nodes, &e))?;
        sync_file_system(&handle);
        for folder in folders {
            let (from, to) = (self.work(folder), self.node(folder));
            if to.exists() {
                fs::remove_dir_all(&to).map_err(|e| Problem::os("replace", &to, &e))?;
            }
            // Whoever sealed it may have been killed before it could do this.
            let _ = fs::remove_file(from.join(PROGRESS));
            moment::pass("before", "publish");
            fs::rename(&from, &to).map_err(|e| Problem::os("publish", &to, &e))?;
            moment::pass("after", "publish");
            // Its artefacts are back.
            let _ = fs::remove_file(cleaned_beside(&to));
        }
        handle.sync_all().map_err(|e| Problem::os("sync", &nodes, &e))
    }

    /// Puts a damaged finished node out of the way, so that it is made again.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn discard(&self, folder: &str) -> Result<()> {
        let path = self.node(folder);
        match fs::remove_dir_all(&path) {
            // Another run may have been faster.
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Problem::os("remove the damaged", &path, &e))
            }
            _ => Ok(()),
        }
    }
}

/// What is in `nodes/`.
#[derive(Debug, Default)]
pub struct Listing {
    /// The folders.
    pub finished: HashSet<String>,
    /// Those whose artefacts were removed by [`Results::clean`].
    pub cleaned: BTreeSet<String>,
}

/// How the name of the file beside a cleaned folder ends.
pub const CLEANED: &str = ".cleaned";

/// The file that lists what was removed from a node's folder.
fn cleaned_beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(CLEANED);
    name.into()
}

/// Whether `ablate clean` removes an artefact; what stays is small and worth keeping for ever.
pub fn is_large(name: &str) -> bool {
    !["metrics.json", "series.json", "series.npy", "history.csv", "arithmetic.json"].contains(&name)
}

fn list(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(|e| Problem::os("list", folder, &e))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.collect())
}

/// Makes everything that was written so far on this file system survive a loss of power.
fn sync_file_system(on: &fs::File) {
    #[cfg(target_os = "linux")]
    let synced = rustix::fs::syncfs(on).is_ok();
    #[cfg(not(target_os = "linux"))]
    let synced = false;
    if !synced {
        // Elsewhere each artefact was synced by the worker that wrote it.
        let _ = on.sync_all();
    }
}

/// Completes a work folder: lists its artefacts with digests in `node.json`, the last file written.
///
/// # Errors
/// If an artefact cannot be read, or `node.json` not written.
pub fn seal(work: &Path, mut file: NodeFile) -> Result<NodeFile> {
    sweep_aside(work)?;
    file.artefacts = artefacts(work)?;
    file.digest = file.own_digest();
    let text = serde_json::to_string_pretty(&file).expect("a node file is plain data") + "\n";
    let path = work.join("node.json");
    write_artefact(&path, text.as_bytes())?;
    Ok(file)
}

/// Removes what an interrupted attempt was about to rename.
fn sweep_aside(work: &Path) -> Result<()> {
    for name in list(work)?.iter().filter(|name| name.ends_with(".aside")) {
        let path = work.join(name);
        fs::remove_file(&path).map_err(|e| Problem::os("remove", &path, &e))?;
    }
    Ok(())
}

/// The artefacts in a folder and those below it, with sizes and digests, sorted by path.
fn artefacts(work: &Path) -> Result<Vec<Artefact>> {
    let mut names = vec![];
    for name in list(work)?.into_iter().filter(|name| is_artefact(name)) {
        push_files(work, name, &mut names)?;
    }
    names.sort();
    names.into_par_iter().map(|name| measure(work, &name)).collect()
}

/// The file of this name, or all files in the folder of this name. A link to a folder is none: it may lead anywhere,
/// back here too.
fn push_files(work: &Path, name: String, names: &mut Vec<String>) -> Result<()> {
    let path = work.join(&name);
    let meta = fs::symlink_metadata(&path).map_err(|e| Problem::os("read", &path, &e))?;
    if meta.is_dir() {
        for inner in list(&path)? {
            push_files(work, format!("{name}/{inner}"), names)?;
        }
    } else if path.is_file() {
        names.push(name);
    }
    Ok(())
}

fn is_artefact(name: &str) -> bool {
    !UNDIGESTED.contains(&name)
}

fn measure(folder: &Path, name: &str) -> Result<Artefact> {
    let (blake3, bytes) = crate::files::digest(&folder.join(name))?;
    Ok(Artefact { path: name.to_owned(), bytes, blake3 })
}

/// Reads `node.json`.
///
/// # Errors
/// If it cannot be read, is not a node file, or is of a newer version.
pub fn read_node(folder: &Path) -> Result<NodeFile> {
    let path = folder.join("node.json");
    let text = fs::read_to_string(&path).map_err(|e| Problem::os("read", &path, &e))?;
    let file: NodeFile = serde_json::from_str(&text)
        .map_err(|e| Problem::system(format!("{}: {e}", path.display())))?;
    if file.format > FORMAT {
        let problem = Problem::new(format!(
            "{} was written by a newer ablate ({})",
            path.display(),
            file.ablate
        ));
        return Err(problem.help("update ablate"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use serde_json::json;

    fn file() -> NodeFile {
        let identity = json!({ "kind": "sample" });
        NodeFile {
            format: FORMAT,
            ablate: "0".into(),
            kind: Kind::Sample,
            key: Key::of(&identity).hex(),
            name: "draw".into(),
            identity,
            settings: json!({}),
            inputs: BTreeMap::new(),
            arithmetic: vec![],
            artefacts: vec![],
            adopted: None,
            digest: String::new(),
        }
    }

    fn folder_name() -> String {
        format!("sample-{}", Key::of(&file().identity).short())
    }

    /// A results folder with one published node, and that node's folder.
    pub(super) fn published() -> (tempfile::TempDir, Results, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::open(folder.path()).unwrap();
        let work = results.work(&folder_name());
        fs::create_dir(&work).unwrap();
        fs::write(work.join("samples.npy"), b"0123456789").unwrap();
        fs::write(work.join("log.txt"), b"hello").unwrap();
        fs::write(work.join("metrics.aside"), b"{").unwrap();
        fs::write(work.join(PROGRESS), b"{}").unwrap();
        seal(&work, file()).unwrap();
        results.publish(&[folder_name()]).unwrap();
        let node = results.node(&folder_name());
        (folder, results, node)
    }

    #[test]
    fn a_published_folder_is_whole_and_its_log_has_no_digest() {
        let (_keep, results, folder) = published();
        let node = read_node(&folder).unwrap();
        assert_eq!(
            node.artefacts.iter().map(|a| a.path.as_str()).collect::<Vec<_>>(),
            ["samples.npy"]
        );
        assert!(check(&folder).is_empty());
        assert!(results.unfinished().unwrap().is_empty());
        assert!(!folder.join("metrics.aside").exists() && !folder.join(PROGRESS).exists());
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let newer = NodeFile { format: FORMAT + 1, ..file() };
        fs::write(folder.path().join("node.json"), serde_json::to_string(&newer).unwrap()).unwrap();
        assert!(read_node(folder.path()).unwrap_err().sentence.contains("newer ablate"));
    }
}
