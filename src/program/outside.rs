//! What a program wrote beside its folder: nothing keeps such files, and nothing would miss them.

use crate::words;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files below the folder that a program runs in, without the results.
pub(super) struct Look {
    /// Times and sizes; `None` where there are too many to look at.
    files: Option<BTreeMap<PathBuf, (Option<SystemTime>, u64)>>,
}

/// Of more files nothing is told.
const MOST: usize = 20_000;

/// How many of them are named.
const NAMED: usize = 5;

impl Look {
    /// The files as they are now. `work` is the folder of the node: all around it is the runner's.
    pub(super) fn at(folder: &Path, work: &Path) -> Self {
        let results = work.parent().and_then(Path::parent).unwrap_or(work);
        let mut files = BTreeMap::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let (name, path) = (entry.file_name(), entry.path());
                let name = name.to_string_lossy();
                if name.starts_with('.') || name == "__pycache__" || path == results {
                    continue;
                }
                let Ok(meta) = entry.metadata() else { continue };
                if meta.is_dir() {
                    open.push(path);
                } else {
                    files.insert(path, (meta.modified().ok(), meta.len()));
                }
                if files.len() + open.len() > MOST {
                    return Self { files: None };
                }
            }
        }
        Self { files: Some(files) }
    }

    /// What has been written since, as a sentence.
    pub(super) fn changes(&self, folder: &Path, work: &Path) -> Option<String> {
        let before = self.files.as_ref()?;
        let after = Self::at(folder, work).files?;
        let changed = after.iter().filter(|(path, look)| before.get(*path) != Some(look));
        let names: Vec<String> = changed
            .map(|(path, _)| path.strip_prefix(folder).unwrap_or(path).display().to_string())
            .collect();
        if names.is_empty() {
            return None;
        }
        let mut told = names[..names.len().min(NAMED)].join(", ");
        if names.len() > NAMED {
            told += &format!(" and {} more", words::plural(names.len() - NAMED, "file"));
        }
        Some(format!(
            "while it ran, files outside its folder were written: {told}; only what is in ABLATE_OUT is kept"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_outside_the_results_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let work = here.join("results").join("work").join("command-1");
        fs::create_dir_all(&work).unwrap();
        fs::create_dir_all(here.join("sub")).unwrap();
        fs::write(here.join("old"), "1").unwrap();
        let look = Look::at(here, &work);
        assert_eq!(look.changes(here, &work), None);
        fs::write(work.join("mine"), "1").unwrap();
        fs::write(here.join(".hidden"), "1").unwrap();
        assert_eq!(look.changes(here, &work), None);
        fs::write(here.join("sub/new"), "1").unwrap();
        fs::write(here.join("old"), "changed").unwrap();
        let told = look.changes(here, &work).unwrap();
        assert!(told.contains("old, sub/new;"), "{told}");
    }
}
