//! Another results folder → its finished nodes, added to this one. That folder may come from another
//! machine or another person, so every node in it is examined before any is copied: its files lie
//! inside it, sizes and digests are right, its key is that of its identity. Nodes are copied aside and
//! renamed as a run publishes them, so an interruption leaves nothing half copied. Checkpoints stay behind.

use crate::coordinator::{self, Coordinator};
use crate::job::Arithmetic;
use crate::key::Key;
use crate::problem::{Problem, Result};
use crate::record::{Finished, Record};
use crate::selection::{self, SelectionFile};
use crate::store::{self, Artefact, NodeFile, Results};
use crate::survey;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Component, Path};

/// How files get here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// They are copied.
    Copy,
    /// They are hard links where the file system allows, else copied.
    Link,
}

/// What became of the nodes of the other folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged {
    /// Added here.
    pub added: usize,
    /// Here already, with the same bytes.
    pub known: usize,
    /// Here already, with other bytes; those here stay.
    pub differing: usize,
    /// Left out since they are damaged.
    pub damaged: usize,
    /// Left out since `ablate clean` has removed their files there.
    pub cleaned: usize,
    /// Left out since a run works on them here.
    pub busy: usize,
}

/// Files without a digest that are taken along.
const FOR_PEOPLE: [&str; 4] = ["costs.json", "log.txt", "events.jsonl", "environment.json"];

/// The largest file that is read whole, in bytes.
const LARGEST: u64 = 256 << 20;

/// Nodes published together.
const BATCH: usize = 64;

/// This folder and the means to write to it.
pub struct Merge<'m> {
    /// The other results folder.
    pub from: &'m Path,
    /// This one.
    pub results: &'m Results,
    /// Its database.
    pub record: &'m mut Record,
    /// This program among those at work here.
    pub coordinator: &'m Coordinator,
    /// How files get here.
    pub transfer: Transfer,
}

/// A node of the other folder that is as its `node.json` says.
struct Sound {
    folder: String,
    file: NodeFile,
}

impl Merge<'_> {
    /// Adds the finished nodes of the other folder; tells what a person should know.
    ///
    /// # Errors
    /// If the other folder is none, or files or the database cannot be written. What was added stays.
    pub fn run(mut self, tell: &mut dyn FnMut(&str)) -> Result<Merged> {
        let folders = self.listed()?;
        clear_away(self.results)?;
        let mut merged = Merged::default();
        let examined: Vec<_> = folders
            .into_par_iter()
            .map(|folder| (examine(&self.from.join("nodes").join(&folder), &folder), folder))
            .collect();
        let mut new = vec![];
        for (file, folder) in examined {
            match file {
                Err(what) => {
                    merged.damaged += 1;
                    tell(&format!("{folder} is damaged and left out: {what}"));
                }
                Ok(file) if self.results.node(&folder).exists() => {
                    self.compare(&folder, &file, &mut merged, tell);
                }
                Ok(file) if is_cleaned(&self.from.join("nodes").join(&folder), &file) => {
                    merged.cleaned += 1;
                    tell(&format!(
                        "{folder} is left out: `ablate clean` has removed its files there"
                    ));
                }
                Ok(file) => new.push(Sound { folder, file }),
            }
        }
        let aside = self.results.work(&format!("merging-{}", self.coordinator.id));
        for batch in new.chunks(BATCH) {
            self.add(batch, &aside, &mut merged, tell)?;
        }
        // It is empty, or not there at all.
        let _ = fs::remove_dir(&aside);
        self.add_selections(tell)?;
        Ok(merged)
    }

    /// Adds the records of what was chosen there; one that is here already stays.
    fn add_selections(&self, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let (there, here) = (self.from.join("nodes"), self.results.root.join("nodes"));
        let entries = fs::read_dir(&there).map_err(|e| Problem::os("list", &there, &e))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for name in names.filter(|name| selection::is_file(name)) {
            let known = here.join(&name);
            let path = there.join(&name);
            let read = selection::read_file(&path).ok().flatten();
            let named = |file: &SelectionFile| selection::path_of(&here, &file.id) == known;
            match read.filter(named) {
                None => tell(&format!("{name} is damaged and left out")),
                Some(file) if known.exists() => {
                    let own = selection::read_file(&known)?;
                    if own.is_some_and(|own| own.evidence_chosen() != file.evidence_chosen()) {
                        tell(&format!("{name} chose otherwise there; the choice here stays"));
                    }
                }
                Some(file) => file.write(&here)?,
            }
        }
        Ok(())
    }

    /// The names in `nodes/` of the other folder.
    fn listed(&self) -> Result<Vec<String>> {
        let nodes = self.from.join("nodes");
        let here = self.results.root.join("nodes");
        let there = nodes.canonicalize().map_err(|_| {
            let problem = Problem::new(format!("{} is no results folder", self.from.display()));
            problem.help("name the folder that holds nodes/")
        })?;
        if there == here {
            return Err(Problem::new("a results folder cannot be merged into itself")
                .help("name the folder to add to: --results DIR"));
        }
        let entries = fs::read_dir(&nodes).map_err(|e| Problem::os("list", &nodes, &e))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| !name.ends_with(store::CLEANED) && !selection::is_file(name))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Compares a node that is here already with the one there.
    fn compare(
        &self,
        folder: &str,
        there: &NodeFile,
        merged: &mut Merged,
        tell: &mut dyn FnMut(&str),
    ) {
        let Ok(here) = store::read_node(&self.results.node(folder)) else {
            merged.differing += 1;
            return tell(&format!("{folder} is here, but its node.json cannot be read"));
        };
        let only = |of: &NodeFile, other: &NodeFile| -> Vec<String> {
            let own = of.artefacts.iter().filter(|artefact| !other.artefacts.contains(artefact));
            own.map(|artefact| artefact.path.clone()).collect()
        };
        let mut differing = only(there, &here);
        differing.extend(only(&here, there));
        differing.sort();
        differing.dedup();
        if differing.is_empty() && here.key == there.key {
            merged.known += 1;
            return;
        }
        merged.differing += 1;
        tell(&format!(
            "{} ({folder}) is here with other bytes ({}), which stay: made here on {}; there on {}",
            here.name,
            differing.join(", "),
            Arithmetic::words(&here.arithmetic),
            Arithmetic::words(&there.arithmetic)
        ));
    }

    /// Adds a batch of nodes: copied aside, renamed, synced, published, with their rows.
    fn add(
        &mut self,
        batch: &[Sound],
        aside: &Path,
        merged: &mut Merged,
        tell: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let mut ready: Vec<&Sound> = vec![];
        for sound in batch {
            if !survey::claim(self.results, self.record, self.coordinator, &sound.folder)? {
                merged.busy += 1;
                tell(&format!("{} is left out: a run works on it here", sound.file.name));
            } else if self.results.node(&sound.folder).exists() {
                merged.known += 1;
            } else if let Err(what) = self.bring(sound, &aside.join(&sound.folder))? {
                merged.damaged += 1;
                tell(&format!("{} is damaged and left out: {what}", sound.folder));
            } else {
                ready.push(sound);
            }
        }
        let folders: Vec<String> = ready.iter().map(|sound| sound.folder.clone()).collect();
        self.results.publish(&folders)?;
        let mut rows = vec![];
        for sound in &ready {
            let (metrics, series) = survey::numbers(&self.results.node(&sound.folder))?;
            rows.push(Finished { folder: &sound.folder, file: &sound.file, metrics, series });
        }
        self.record.finished(&rows)?;
        merged.added += rows.len();
        let claimed: Vec<String> = batch.iter().map(|sound| sound.folder.clone()).collect();
        self.record.release(&self.coordinator.id, &claimed)
    }

    /// Copies a node aside, `node.json` last, and puts it where a run leaves a complete node. An
    /// attempt at it that was cut short here is given up. The inner error is damage met on the way.
    fn bring(&self, sound: &Sound, aside: &Path) -> Result<Result<(), String>> {
        let there = self.from.join("nodes").join(&sound.folder);
        fs::create_dir_all(aside).map_err(|e| Problem::os("make the folder", aside, &e))?;
        for artefact in &sound.file.artefacts {
            if !self.bring_file(&there, aside, artefact)? {
                fs::remove_dir_all(aside).map_err(|e| Problem::os("remove", aside, &e))?;
                return Ok(Err(format!("{} changed meanwhile", artefact.path)));
            }
        }
        for name in FOR_PEOPLE.iter().filter(|name| is_file(&there.join(name))) {
            if !aside.join(name).exists() {
                let path = there.join(name);
                fs::copy(&path, aside.join(name)).map_err(|e| Problem::os("copy", &path, &e))?;
            }
        }
        let text = serde_json::to_string_pretty(&sound.file).expect("a node file is plain data");
        let list = aside.join("node.json");
        // Publishing syncs it with all the rest.
        fs::write(&list, text + "\n").map_err(|e| Problem::os("write", &list, &e))?;
        let work = self.results.work(&sound.folder);
        if work.exists() {
            fs::remove_dir_all(&work).map_err(|e| Problem::os("replace", &work, &e))?;
        }
        fs::rename(aside, &work).map_err(|e| Problem::os("make", &work, &e))?;
        Ok(Ok(()))
    }

    /// Copies or links a file; whether it is the one that was examined.
    fn bring_file(&self, there: &Path, aside: &Path, artefact: &Artefact) -> Result<bool> {
        let (from, to) = (there.join(&artefact.path), aside.join(&artefact.path));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|e| Problem::os("make the folder", parent, &e))?;
        }
        if self.transfer == Transfer::Link && fs::hard_link(&from, &to).is_ok() {
            return Ok(true);
        }
        let digest = copy(&from, &to).map_err(|e| Problem::os("copy", &from, &e))?;
        Ok(digest == artefact.blake3)
    }
}

/// Removes what an interrupted merge left: its coordinator is gone.
fn clear_away(results: &Results) -> Result<()> {
    for name in results.unfinished()? {
        let Some(id) = name.strip_prefix("merging-") else { continue };
        if !coordinator::is_alive(results, id) {
            let path = results.work(&name);
            fs::remove_dir_all(&path).map_err(|e| Problem::os("remove", &path, &e))?;
        }
    }
    Ok(())
}

/// Reads a node of another folder, or tells what is wrong with it.
fn examine(path: &Path, folder: &str) -> Result<NodeFile, String> {
    let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    if !is_folder {
        return Err("it is not a folder".to_owned());
    }
    for name in ["node.json", "metrics.json", "series.json"] {
        small(&path.join(name)).map_err(|what| format!("{name} {what}"))?;
    }
    let file = store::read_node(path).map_err(|problem| problem.sentence)?;
    let key = Key::from_hex(&file.key).filter(|key| *key == Key::of(&file.identity));
    let Some(key) = key else { return Err("its key is not that of its identity".to_owned()) };
    if folder != format!("{}-{}", file.kind.word(), key.short()) {
        return Err("its folder has another name than its key".to_owned());
    }
    let mut paths = BTreeSet::new();
    for artefact in &file.artefacts {
        lies_inside(path, &artefact.path)?;
        if !paths.insert(&artefact.path) {
            return Err(format!("its list of files names `{}` twice", artefact.path));
        }
    }
    if let Some(damage) = store::check(path).first() {
        return Err(format!("{} {}", damage.path, damage.what));
    }
    survey::numbers(path).map_err(|problem| problem.sentence)?;
    Ok(file)
}

/// Whether a node that is sound lacks files all the same.
fn is_cleaned(path: &Path, file: &NodeFile) -> bool {
    file.artefacts.iter().any(|artefact| path.join(&artefact.path).symlink_metadata().is_err())
}

/// Checks that a file, if there is one, is small enough to be read whole.
fn small(path: &Path) -> Result<(), &'static str> {
    match path.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(meta) if !meta.is_file() => Err("is not a plain file"),
        Ok(meta) if meta.len() > LARGEST => Err("is too large"),
        Ok(_) => Ok(()),
    }
}

/// Checks that the path of an artefact neither leaves its folder nor leads through a link.
fn lies_inside(folder: &Path, artefact: &str) -> Result<(), String> {
    let path = Path::new(artefact);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || artefact.is_empty() || artefact == "node.json" || artefact.contains('\0') {
        return Err(format!("its list of files names `{artefact}`"));
    }
    let mut at = folder.to_owned();
    for part in path.components() {
        at.push(part);
        if at.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
            return Err(format!("{artefact} is a link"));
        }
    }
    match at.symlink_metadata() {
        Ok(meta) if !meta.is_file() => Err(format!("{artefact} is not a plain file")),
        // What is missing is damage like any other.
        _ => Ok(()),
    }
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_file())
}

/// Copies a file; the digest of what was written. What is there already may be a link to the source,
/// so it is never written to.
fn copy(from: &Path, to: &Path) -> std::io::Result<String> {
    let (mut source, mut target) = (File::open(from)?, File::create_new(to)?);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            read => {
                hasher.update(&buffer[..read]);
                target.write_all(&buffer[..read])?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_an_artefact_stays_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.npy"), b"").unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("etc")).unwrap();
        for good in ["a.npy", "sub/missing.npy", "missing"] {
            assert!(lies_inside(folder.path(), good).is_ok(), "{good}");
        }
        for bad in [
            "../x",
            "/etc/passwd",
            "sub/../../x",
            "",
            ".",
            "node.json",
            "link",
            "etc/hostname",
            "sub",
        ] {
            assert!(lies_inside(folder.path(), bad).is_err(), "{bad}");
        }
    }
}
