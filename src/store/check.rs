//! Is a folder what its `node.json` says, and a checkpoint what its digest says?

use super::{Artefact, NodeFile, cleaned_beside, measure, read_node};
use crate::key::Key;
use rayon::prelude::*;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What is wrong with a file of a finished node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// The file, within the node's folder.
    pub path: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl NodeFile {
    /// The digest of everything but the digest.
    pub(super) fn own_digest(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        let text = serde_json::to_string(&bare).expect("a node file is plain data");
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// What is wrong with the file in itself, if it lies in a folder of this name.
    fn fault(&self, folder: &Path) -> Option<&'static str> {
        let key = Key::of(&self.identity);
        let name = format!("{}-{}", self.kind.word(), key.short());
        let in_place = |path: &str| {
            let mut parts = Path::new(path).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        };
        match () {
            () if !self.digest.is_empty() && self.digest != self.own_digest() => {
                Some("has other content")
            }
            () if key.hex() != self.key => Some("has a key that is not that of its settings"),
            () if folder.file_name().is_some_and(|own| own != name.as_str()) => {
                Some("belongs to another folder")
            }
            () if !self.artefacts.iter().all(|artefact| in_place(&artefact.path)) => {
                Some("names a file outside its folder")
            }
            () => None,
        }
    }
}

/// The artefacts that `ablate clean` has removed from a folder.
pub(super) fn removed(folder: &Path) -> Vec<String> {
    let list = cleaned_beside(folder);
    // Another folder's list may be a link to anything.
    let plain = list.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() < 1 << 20);
    if plain { crate::files::read_json(&list).ok().flatten().unwrap_or_default() } else { vec![] }
}

/// Compares a folder with the sizes and digests in its `node.json`.
pub fn check(folder: &Path) -> Vec<Damage> {
    let damage = |path: &str, what| Damage { path: path.to_owned(), what };
    if !folder.join("node.json").exists() {
        return vec![damage("node.json", "is missing")];
    }
    let Ok(file) = read_node(folder) else { return vec![damage("node.json", "cannot be read")] };
    if let Some(what) = file.fault(folder) {
        return vec![damage("node.json", what)];
    }
    let removed = removed(folder);
    let there =
        |known: &&Artefact| !removed.contains(&known.path) || folder.join(&known.path).exists();
    let compare = |known: &Artefact| match fs::metadata(folder.join(&known.path)) {
        Err(_) => Some(damage(&known.path, "is missing")),
        Ok(meta) if meta.len() != known.bytes => Some(damage(&known.path, "has another size")),
        Ok(_) => match measure(folder, &known.path) {
            Ok(now) if now.blake3 == known.blake3 => None,
            Ok(_) => Some(damage(&known.path, "has other content")),
            Err(_) => Some(damage(&known.path, "cannot be read")),
        },
    };
    file.artefacts.par_iter().filter(there).filter_map(compare).collect()
}

/// The steps of the checkpoints in a trajectory's folder, ascending: names such as
/// `checkpoint-000001000.safetensors`.
pub fn checkpoint_steps(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let step =
        |name: &str| name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors")?.parse().ok();
    let mut steps: Vec<u64> =
        entries.filter_map(|entry| step(entry.ok()?.file_name().to_str()?)).collect();
    steps.sort_unstable();
    steps
}

/// The damage of a trajectory's checkpoints, and their size.
pub fn check_trajectory(folder: &Path) -> (Vec<Damage>, u64) {
    let mut damage = vec![];
    let mut bytes = 0;
    for path in checkpoints(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known = fs::read_to_string(path.with_extension("blake3")).unwrap_or_default();
        match crate::files::digest(&path) {
            Ok((digest, size)) => {
                bytes += size;
                if digest != known {
                    damage.push(Damage { path: name, what: "does not fit its digest" });
                }
            }
            // A training that runs removes what it no longer needs.
            Err(_) if !path.exists() => {}
            Err(_) => damage.push(Damage { path: name, what: "cannot be read" }),
        }
    }
    (damage, bytes)
}

fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::super::tests::published;
    use super::*;
    use crate::settings::Kind;

    #[test]
    fn every_damage_is_named() {
        type Case = (&'static str, fn(&Path), &'static str);
        let cases: [Case; 4] = [
            ("removed", |p| fs::remove_file(p).unwrap(), "is missing"),
            ("truncated", |p| fs::write(p, b"012").unwrap(), "has another size"),
            ("one byte flipped", |p| fs::write(p, b"0123x56789").unwrap(), "has other content"),
            ("zeroed tail", |p| fs::write(p, b"01234\0\0\0\0\0").unwrap(), "has other content"),
        ];
        for (name, act, what) in cases {
            let (_keep, _, folder) = published();
            act(&folder.join("samples.npy"));
            let found = check(&folder);
            assert_eq!(found, [Damage { path: "samples.npy".into(), what }], "{name}");
        }
    }

    #[test]
    fn a_node_file_is_believed_only_whole_in_its_own_folder_and_about_itself() {
        let rewrite = |change: &dyn Fn(&mut NodeFile)| {
            let (_keep, _, folder) = published();
            let mut file = read_node(&folder).unwrap();
            change(&mut file);
            fs::write(folder.join("node.json"), serde_json::to_string(&file).unwrap()).unwrap();
            check(&folder)[0].what
        };
        assert_eq!(rewrite(&|f| f.name = "drew".into()), "has other content");
        let resealed = |change: fn(&mut NodeFile)| {
            rewrite(&move |f| {
                change(f);
                f.digest = f.own_digest();
            })
        };
        assert_eq!(resealed(|f| f.key = "00".into()), "has a key that is not that of its settings");
        assert_eq!(resealed(|f| f.kind = Kind::Train), "belongs to another folder");
        for path in ["../../../etc/passwd", "/etc/passwd", "a/b", ".", ""] {
            let (_keep, _, folder) = published();
            let mut file = read_node(&folder).unwrap();
            file.artefacts[0].path = path.into();
            file.digest = file.own_digest();
            fs::write(folder.join("node.json"), serde_json::to_string(&file).unwrap()).unwrap();
            assert_eq!(check(&folder)[0].what, "names a file outside its folder", "{path}");
        }
    }
}
