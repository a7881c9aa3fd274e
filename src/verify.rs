//! A results folder → everything that is wrong with it: each file against its digest, checkpoints of
//! trajectories too, and the database against the folders. Also the making anew of a database.

use crate::coordinator::{self, Coordinator};
use crate::files;
use crate::problem::{Problem, Result};
use crate::record::{Finished, Record, says_damaged};
use crate::store::{self, Damage, Results};
use crate::survey;
use crate::words::plural;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What was looked at, and what is wrong.
#[derive(Debug, Default)]
pub struct Findings {
    /// By path within the results folder, such as `nodes/train-0123456789ab`.
    pub damage: BTreeMap<String, Vec<Damage>>,
    /// What is wrong with the database.
    pub database: Option<String>,
    /// Nodes looked at.
    pub nodes: usize,
    /// Bytes of artefacts and checkpoints.
    pub bytes: u64,
}

/// Nodes whose rows are compared at once.
const CHUNK: usize = 200;

/// Looks at everything. Reads only.
///
/// # Errors
/// If folders cannot be listed.
pub fn everything(results: &Results) -> Result<Findings> {
    let (whole, mut findings) = folders(results)?;
    findings.database = database(results, &whole, &mut findings.damage);
    if findings.database.is_some() && !coordinator::living(results).is_empty() {
        // A run renames folders before it writes their rows: look again.
        std::thread::sleep(Duration::from_secs(2));
        findings.database = database(results, &whole, &mut findings.damage);
    }
    Ok(findings)
}

/// Looks at every folder: those of whole nodes, and what was found.
fn folders(results: &Results) -> Result<(BTreeSet<String>, Findings)> {
    let folders = results.finished()?;
    let mut findings = Findings { nodes: folders.len(), ..Findings::default() };
    let looked: Vec<(String, Vec<Damage>, u64)> = folders
        .par_iter()
        .map(|folder| {
            let path = results.node(folder);
            let file = store::read_node(&path).ok();
            let bytes = file.map_or(0, |file| file.artefacts.iter().map(|a| a.bytes).sum());
            (format!("nodes/{folder}"), store::check(&path), bytes)
        })
        .collect();
    let work = results.unfinished()?;
    let trajectories: Vec<&String> =
        work.iter().filter(|name| name.starts_with("trajectory-")).collect();
    let checkpoints: Vec<(String, Vec<Damage>, u64)> = trajectories
        .par_iter()
        .map(|folder| {
            let (damage, bytes) = store::check_trajectory(&results.work(folder));
            (format!("work/{folder}"), damage, bytes)
        })
        .collect();
    for (path, damage, bytes) in looked.into_iter().chain(checkpoints) {
        findings.bytes += bytes;
        if !damage.is_empty() {
            findings.damage.insert(path, damage);
        }
    }
    let whole: BTreeSet<String> = folders
        .into_iter()
        .filter(|folder| !findings.damage.contains_key(&format!("nodes/{folder}")))
        .collect();
    Ok((whole, findings))
}

/// What is wrong with the database; recorded nodes without a folder go into `damage`.
fn database(
    results: &Results,
    whole: &BTreeSet<String>,
    damage: &mut BTreeMap<String, Vec<Damage>>,
) -> Option<String> {
    let mut compare = || -> Result<Option<String>> {
        let Some(record) = Record::open_to_read(&results.database())? else {
            return Ok((!whole.is_empty()).then(|| "is missing".to_owned()));
        };
        if let Some(what) = record.inner_damage()? {
            return Ok(Some(what));
        }
        let recorded: BTreeSet<String> = record.folders()?.into_iter().collect();
        for folder in &recorded {
            if !results.node(folder).exists() {
                let gone = Damage { path: "node.json".to_owned(), what: "is gone with its folder" };
                damage.insert(format!("nodes/{folder}"), vec![gone]);
            }
        }
        // A folder without rows is what a kill between its renaming and its rows leaves: no damage.
        let all: Vec<&String> = whole.intersection(&recorded).collect();
        for chunk in all.chunks(CHUNK) {
            let read = survey::read_finished(results, chunk);
            let rows: Vec<Finished<'_>> = read.iter().map(survey::Published::rows).collect();
            if let Some(table) = record.differs_from(&rows)? {
                return Ok(Some(format!("has other rows in `{table}` than the folders say")));
            }
        }
        Ok(None)
    };
    compare().unwrap_or_else(|problem| Some(problem.sentence))
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.database.is_none()
    }

    /// Remembers what is wrong, so that the next run mends what it would not have looked at.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn remember(&self, results: &Results) -> Result<()> {
        if let Some(why) = &self.database {
            return files::write_aside(&results.distrusted(), why.as_bytes());
        }
        Record::open(&results.database())?.note_damage(&self.damage)
    }
}

/// How long a run waits for another one to make a damaged database anew.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the database of a results folder for a run; a damaged one is made anew first, by the run that was
/// here first. `tell` hears of it.
///
/// # Errors
/// If it cannot be opened or made.
pub fn open_record(
    results: &Results,
    coordinator: &Coordinator,
    tell: &mut dyn FnMut(&str),
) -> Result<Record> {
    let begun = Instant::now();
    loop {
        let problem = match try_open(results) {
            Err(problem) if results.distrusted().exists() || says_damaged(&problem) => problem,
            other => return other,
        };
        let first = coordinator::living(results).first() == Some(&coordinator.id);
        if first || begun.elapsed() > PATIENCE {
            // Two that came at once may both have seen nobody before them: the second finds it made.
            let _turn = turn(results);
            if let Ok(record) = try_open(results) {
                return Ok(record);
            }
            tell(&format!("{}; it is made anew from nodes/", problem.sentence));
            return rebuild(results, coordinator).map(|(record, _)| record);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits for its turn to make the database anew, which lasts as long as what is returned; where a folder cannot be
/// locked there is no such turn.
fn turn(results: &Results) -> Option<fs::File> {
    let folder = fs::File::open(&results.root).ok()?;
    folder.lock().ok()?;
    Some(folder)
}

fn try_open(results: &Results) -> Result<Record> {
    if let Ok(why) = fs::read_to_string(results.distrusted()) {
        return Err(Problem::system(format!("the database: {why}")));
    }
    let record = Record::open(&results.database())?;
    // Reads the table that everything else hangs on.
    record.folders()?;
    Ok(record)
}

/// Makes the database anew from the folders, with what can still be read of its history. The old file is
/// kept as `ablate.sqlite.before`. Returns the database, and what was done.
///
/// # Errors
/// If another run is at work, or files cannot be written.
pub fn rebuild(results: &Results, coordinator: &Coordinator) -> Result<(Record, String)> {
    // One that came later waits until this is done.
    if coordinator::living(results).iter().any(|id| *id < coordinator.id) {
        let problem = Problem::system(format!("a run is at work in {}", results.root.display()));
        return Err(problem.help("wait for it, or stop it, and try again"));
    }
    let path = results.database();
    let new = path.with_extension("sqlite.new");
    remove_database(&new)?;
    let (taken, added) = {
        let mut record = Record::open(&new)?;
        let taken = if path.exists() { record.take_history(&path)? } else { 0 };
        // Only whole folders give rows: what harmed the file may have harmed them, too.
        let (whole, findings) = folders(results)?;
        record.note_damage(&findings.damage)?;
        let whole: Vec<&String> = whole.iter().collect();
        (taken, survey::add_rows(results, &mut record, &whole)?)
    };
    let fail = |e: std::io::Error| Problem::os("replace", &path, &e);
    let before = path.with_extension("sqlite.before");
    if path.exists() {
        remove(&before)?;
        fs::hard_link(&path, &before).map_err(fail)?;
    }
    // A journal of the old file must never be played into the new one.
    for suffix in ["-wal", "-shm"] {
        remove(&with_suffix(&path, suffix))?;
    }
    // The one act that counts: before it the old file is distrusted still, after it the new one is whole.
    fs::rename(&new, &path).map_err(fail)?;
    let _ = fs::remove_file(results.distrusted());
    let done = format!(
        "{} from nodes/, {} of history from the old database",
        plural(added, "node"),
        plural(taken, "row")
    );
    Ok((Record::open(&path)?, done))
}

/// Removes a database file with its journals.
fn remove_database(path: &Path) -> Result<()> {
    ["", "-wal", "-shm"].iter().try_for_each(|suffix| remove(&with_suffix(path, suffix)))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(suffix);
    file.into()
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Problem::os("remove", path, &e)),
        _ => Ok(()),
    }
}
