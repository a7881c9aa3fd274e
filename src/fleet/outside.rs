//! What can be known of pilots, and asked of them, without looking after them.

use super::member::Member;
use super::queue::Scheduler;
use super::{LOG, PILOT};
use crate::files;
use crate::post::{Address, Order};
use crate::problem::Result;
use crate::site::{Names, Site};
use crate::store::Results;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The names of an experiment's pilots in a results folder.
pub fn names(results: &Results, experiment: &str) -> Names {
    let folder = results.root.join("pilots").join(experiment);
    // As other machines and other folders name it too: by it jobs are found again.
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let digest = blake3::hash(folder.as_os_str().as_encoded_bytes()).to_hex();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let word: String = experiment.chars().map(plain).collect();
    Names {
        program: std::env::current_exe().unwrap_or_else(|_| "ablate".into()),
        pilots: folder,
        job: format!("ablate-{word}-{}", &digest[..8]),
        tick: None,
    }
}

/// Whether the pilot that a slot belongs to has left, or nobody has heard of it for long; `None` for other slots.
pub fn has_left(results: &Results, slot: &str) -> Option<bool> {
    let rest = slot.strip_prefix(PILOT)?;
    let (pilot, _) = rest.rsplit_once('/')?;
    let address = Address { folder: results.root.join("pilots").join(pilot) };
    let long_ago = || {
        let changed = fs::metadata(address.heartbeat()).and_then(|meta| meta.modified());
        changed.map_or(true, |at| at.elapsed().is_ok_and(|ago| ago > Duration::from_secs(600)))
    };
    let is_queued = || address.booking().exists() && !address.begun().exists();
    Some(address.gone().exists() || (!is_queued() && long_ago()))
}

/// The name of a slot as people read it: that of an experiment is known where it is shown.
pub fn place_of(slot: &str) -> &str {
    slot.strip_prefix(PILOT).and_then(|rest| rest.split_once('/')).map_or(slot, |(_, place)| place)
}

/// The pilot that a slot belongs to, if it does.
pub fn pilot_of(slot: &str) -> Option<&str> {
    slot.strip_prefix(PILOT)?.split('/').nth(1)
}

/// Whether a slot belongs to a pilot of an experiment.
pub(super) fn is_of(slot: &str, experiment: &str) -> bool {
    slot.strip_prefix(PILOT)
        .and_then(|rest| rest.strip_prefix(experiment))
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Asks every pilot of an experiment to save and leave, and takes back what waits in the queue, or all.
///
/// # Errors
/// If a file cannot be written, or the scheduler refuses.
pub fn dismiss(site: &Site, names: &Names, all: bool) -> Result<usize> {
    let mut asked = 0;
    let owner = format!("{}-dismissal", jiff::Timestamp::now().as_millisecond());
    for name in pilots(&names.pilots) {
        let address = Address { folder: names.pilots.join(&name) };
        // What waits for a job of its own waits no longer.
        if address.booking().exists() && address.begin()? {
            files::write_quickly(&address.gone(), b"")?;
            asked += 1;
        } else if !address.gone().exists() {
            Member::new(name, address, &owner).order(&Order::Leave)?;
            asked += 1;
        }
    }
    let ours: Vec<String> = submissions(&names.pilots).into_iter().map(|(id, _)| id).collect();
    Scheduler::new(site.all_pools(), names.clone()).cancel(!all, &ours)?;
    Ok(asked)
}

/// How many pilots of an experiment work, as far as they have given a sign of life in the last two minutes.
pub fn living(names: &Names) -> usize {
    let lives = |name: &String| {
        let address = Address { folder: names.pilots.join(name) };
        let changed = fs::metadata(address.heartbeat()).and_then(|meta| meta.modified());
        let ago = changed.ok().and_then(|at| at.elapsed().ok());
        !address.gone().exists() && ago.is_some_and(|ago| ago < Duration::from_secs(120))
    };
    pilots(&names.pilots).iter().filter(|name| lives(name)).count()
}

/// A file by which whoever looks after the pilots is told that all is cancelled.
pub(super) fn cancelled(names: &Names) -> PathBuf {
    names.pilots.join("cancelled")
}

/// Tells whoever looks after the pilots, if anybody does, that all is cancelled.
///
/// # Errors
/// If the file cannot be written.
pub fn cancel(names: &Names) -> Result<()> {
    match names.pilots.is_dir() {
        true => files::write_quickly(&cancelled(names), b""),
        false => Ok(()),
    }
}

/// The names of the pilots in a folder.
pub(super) fn pilots(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name != LOG);
    names.sort();
    names
}

/// The submissions that were made and may not have ended, each with the name of its pool.
pub(super) fn submissions(folder: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join("submitted")).unwrap_or_default();
    let read = |line: &str| {
        let (id, pool) = line.split_once(' ').unwrap_or((line, ""));
        (id.to_owned(), pool.to_owned())
    };
    text.lines().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_have_one_name_wherever_they_are_named_from() {
        let here = std::env::current_dir().unwrap();
        let of = |root: &Path| names(&Results { root: root.to_owned() }, "first");
        let (near, far) = (of(Path::new("results")), of(&here.join("results")));
        assert_eq!((near.job, near.pilots), (far.job, far.pilots));
    }

    #[test]
    fn the_slots_of_an_experiment_are_told_from_others() {
        let slot = "pilot:first/12_0.0/core-0";
        assert!(is_of(slot, "first") && !is_of(slot, "fir") && !is_of("core-0", "first"));
        let folder = tempfile::tempdir().unwrap();
        let results = Results { root: folder.path().to_owned() };
        assert_eq!(has_left(&results, "core-0"), None);
        assert_eq!(has_left(&results, slot), Some(true));
        let address = Address { folder: folder.path().join("pilots/first/12_0.0") };
        address.make().unwrap();
        fs::write(address.heartbeat(), "1").unwrap();
        assert_eq!(has_left(&results, slot), Some(false));
        fs::write(address.gone(), "").unwrap();
        assert_eq!(has_left(&results, slot), Some(true));
    }
}
