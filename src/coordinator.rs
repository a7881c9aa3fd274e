//! Who is at work in a results folder. Every coordinator holds the lock of a file of its own for as
//! long as it lives, so a lock that can be taken means that its owner is gone; nobody types `unlock`.
//! Also the wishes of coordinators that wait for a slot. Nothing here knows nodes or the database.

use crate::files::{is_network, read_json, write_aside};
use crate::problem::{Problem, Result};
use crate::store::Results;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::PathBuf;

/// What somebody asks of a coordinator while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Start nothing more; with `now`, save what runs and free the devices too.
    Pause {
        /// Whether what runs is to stop.
        now: bool,
    },
    /// Go on.
    Resume,
    /// Save what runs and leave.
    Stop,
    /// Start the nodes with these keys, in hex, before others, and what they need.
    First(Vec<String>),
    /// Use these devices too, as `--devices` names them.
    Add(String),
    /// Start nothing more on the device of this name.
    Drop(String),
}

/// This program among the coordinators of a results folder; it leaves when dropped.
#[derive(Debug)]
pub struct Coordinator {
    /// Its name: no other coordinator, living or dead, has the same.
    pub id: String,
    results: Results,
    /// Holds the lock.
    _lock: File,
}

impl Coordinator {
    /// Enters a results folder, and clears away the files of coordinators that are gone.
    ///
    /// # Errors
    /// If its lock file cannot be made.
    pub fn enter(results: &Results) -> Result<Self> {
        let folder = results.workers();
        fs::create_dir_all(&folder).map_err(|e| Problem::os("make the folder", &folder, &e))?;
        for id in all(results).into_iter().filter(|id| !is_alive(results, id)) {
            // Another one may be clearing away the same files.
            let _ = fs::remove_file(lock_file(results, &id));
            remove_files(results, &id);
        }
        // There two programs that write one database may not see each other in time.
        if is_network(&folder) && !living(results).is_empty() {
            let problem = Problem::system(
                "another `ablate` works in this results folder, which lies on a network file system: one at a time",
            );
            return Err(problem.help("wait for it, or keep the results on a disk of one machine"));
        }
        let now = jiff::Timestamp::now().as_millisecond();
        let id = format!("{now}-{}", std::process::id());
        // Locked before it has its name, so that nobody ever finds it unlocked.
        let (aside, path) = (folder.join(format!("{id}.entering")), lock_file(results, &id));
        let lock = File::create(&aside).map_err(|e| Problem::os("make", &aside, &e))?;
        lock.lock().map_err(|e| Problem::os("lock", &aside, &e))?;
        fs::rename(&aside, &path).map_err(|e| Problem::os("make", &path, &e))?;
        Ok(Self { id, results: results.clone(), _lock: lock })
    }

    /// The file in which it shows others how far it is.
    pub fn screen_file(&self) -> PathBuf {
        screen_file(&self.results, &self.id)
    }

    /// What was asked of it since it looked last, the oldest first.
    pub fn orders(&self) -> Vec<Order> {
        let start = format!("{}.order-", self.id);
        let entries = fs::read_dir(self.results.workers()).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&start))
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_none_or(|ending| ending != "aside"))
            .collect();
        files.sort();
        let read = |file: &PathBuf| {
            let order = read_json(file).ok().flatten();
            // Whoever asked sees by this that it was heard.
            let _ = fs::remove_file(file);
            order
        };
        files.iter().filter_map(read).collect()
    }

    /// Says that it has something to start and no slot for it, while it runs this many nodes.
    pub fn wish_for_slot(&self, running: usize) {
        // Without the wish it only waits longer.
        let _ = write_aside(&wish_file(&self.results, &self.id), running.to_string().as_bytes());
    }

    /// Takes the wish back.
    pub fn wish_nothing(&self) {
        let _ = fs::remove_file(wish_file(&self.results, &self.id));
    }

    /// For every other living coordinator that waits for a slot, how many nodes it runs.
    pub fn wishes(&self) -> Vec<usize> {
        let wish =
            |id: &String| fs::read_to_string(wish_file(&self.results, id)).ok()?.parse().ok();
        let others = all(&self.results).into_iter().filter(|id| *id != self.id);
        others.filter(|id| is_alive(&self.results, id)).filter_map(|id| wish(&id)).collect()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        remove_files(&self.results, &self.id);
        // If it stays, its lock is free, and the next coordinator removes it.
        let _ = fs::remove_file(lock_file(&self.results, &self.id));
    }
}

/// Removes all files of a coordinator but its lock.
fn remove_files(results: &Results, id: &str) {
    let entries = fs::read_dir(results.workers()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_its = name.strip_prefix(id).is_some_and(|rest| {
            rest == ".wish" || rest.starts_with(".screen") || rest.starts_with(".order-")
        });
        if is_its {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn lock_file(results: &Results, id: &str) -> PathBuf {
    results.workers().join(format!("{id}.coordinator"))
}

fn wish_file(results: &Results, id: &str) -> PathBuf {
    results.workers().join(format!("{id}.wish"))
}

/// Asks something of a coordinator; the file that is gone once it was heard.
///
/// # Errors
/// If it cannot be written.
pub fn ask(results: &Results, id: &str, order: &Order) -> Result<PathBuf> {
    let now = jiff::Timestamp::now().as_nanosecond();
    let path = results.workers().join(format!("{id}.order-{now}-{}", std::process::id()));
    let text = serde_json::to_string(order).expect("an order is plain data");
    write_aside(&path, text.as_bytes())?;
    Ok(path)
}

/// The file in which a coordinator shows others how far it is.
pub fn screen_file(results: &Results, id: &str) -> PathBuf {
    results.workers().join(format!("{id}.screen"))
}

/// Every coordinator that has a lock file, the dead ones too.
fn all(results: &Results) -> Vec<String> {
    let entries = fs::read_dir(results.workers()).into_iter().flatten();
    let id = |name: &str| name.strip_suffix(".coordinator").map(str::to_owned);
    let mut ids: Vec<String> =
        entries.filter_map(|entry| id(entry.ok()?.file_name().to_str()?)).collect();
    ids.sort();
    ids
}

/// Whether a coordinator still runs.
pub fn is_alive(results: &Results, id: &str) -> bool {
    // Opened for reading: a folder that may not be written to can still be looked at.
    match File::open(lock_file(results, id)) {
        Ok(file) => file.try_lock_shared().is_err(),
        // Whoever cannot be looked at may live.
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
    }
}

/// The coordinators that run now.
pub fn living(results: &Results) -> Vec<String> {
    all(results).into_iter().filter(|id| is_alive(results, id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_lives_until_it_is_dropped_and_its_wish_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::open(folder.path()).unwrap();
        let first = Coordinator::enter(&results).unwrap();
        assert_eq!(living(&results), std::slice::from_ref(&first.id));
        first.wish_for_slot(2);
        assert_eq!(first.wishes(), [0; 0], "its own wish is none of its business");
        drop(first);
        let second = Coordinator::enter(&results).unwrap();
        assert_eq!((living(&results), second.wishes()), (vec![second.id.clone()], vec![]));
    }

    #[test]
    fn what_is_asked_is_heard_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::open(folder.path()).unwrap();
        let me = Coordinator::enter(&results).unwrap();
        let orders = [Order::Pause { now: true }, Order::First(vec!["a".into()]), Order::Resume];
        let files: Vec<PathBuf> =
            orders.iter().map(|order| ask(&results, &me.id, order).unwrap()).collect();
        assert!(files.iter().all(|file| file.exists()));
        assert_eq!(me.orders(), orders);
        assert!(me.orders().is_empty() && files.iter().all(|file| !file.exists()));
    }

    #[test]
    fn what_a_dead_coordinator_left_is_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::open(folder.path()).unwrap();
        fs::create_dir(results.workers()).unwrap();
        fs::write(lock_file(&results, "1-1"), b"").unwrap();
        fs::write(wish_file(&results, "1-1"), b"0").unwrap();
        assert!(!is_alive(&results, "1-1"));
        let _me = Coordinator::enter(&results).unwrap();
        assert!(!lock_file(&results, "1-1").exists() && !wish_file(&results, "1-1").exists());
    }
}
