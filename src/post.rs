//! The post between a coordinator and its pilots, which share nothing but a file system: numbered files with one
//! writer each, written aside, renamed into place, and found by listing the folder. What is settled is removed by
//! the coordinator; all else can be read again by the next one.

use crate::files::{read_json, write_quickly};
use crate::job::{Event, Ticket};
use crate::pool::Device;
use crate::problem::{Problem, Result};
use crate::settings::Kind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a coordinator asks of a pilot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Give a job to a slot. The order stays until its end is settled.
    Start {
        /// The slot, by its place in the pilot's list.
        slot: usize,
        /// The kind of node.
        kind: Kind,
        /// The job file.
        job: PathBuf,
        /// The attempt.
        ticket: Ticket,
        /// When it was given, RFC 3339 in UTC.
        given: String,
    },
    /// Ask the job of a slot to save and end.
    Stop {
        /// The slot.
        slot: usize,
    },
    /// End the worker of a slot without leaving it time.
    Kill {
        /// The slot.
        slot: usize,
    },
    /// Take nothing more, let everything save, and leave.
    Leave,
}

/// What a pilot tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// It is there.
    Hello {
        /// The host.
        host: String,
        /// Its devices.
        devices: Vec<Device>,
        /// When it began, in seconds since 1970.
        began: i64,
        /// When the scheduler ends it, in seconds since 1970, if that is known.
        ends: Option<i64>,
        /// Its version.
        version: String,
    },
    /// A worker says something.
    Said {
        /// The slot.
        slot: usize,
        /// The attempt.
        ticket: Ticket,
        /// What.
        event: Event,
    },
    /// A line of a worker that is no event.
    Garbled {
        /// The slot.
        slot: usize,
        /// The line.
        line: String,
    },
    /// It takes nothing more.
    Leaving {
        /// Why.
        why: Farewell,
    },
    /// It has left.
    Bye,
}

/// Why a pilot leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Farewell {
    /// It had nothing to do for a while.
    Idle,
    /// It was asked to.
    Asked,
    /// Its time is nearly up.
    Time,
    /// The scheduler sent a signal: a warning before the end, or a preemption.
    Signal,
}

impl Farewell {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Idle => "it had nothing to do",
            Self::Asked => "it was asked to",
            Self::Time => "its time is up",
            Self::Signal => "the scheduler takes it back",
        }
    }
}

/// The folders of one pilot.
#[derive(Debug, Clone)]
pub struct Address {
    /// The pilot's folder.
    pub folder: PathBuf,
}

impl Address {
    /// Where orders lie.
    pub fn orders(&self) -> PathBuf {
        self.folder.join("in")
    }

    /// Where reports lie.
    pub fn reports(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// The sign of life, written anew again and again.
    pub fn heartbeat(&self) -> PathBuf {
        self.folder.join("alive")
    }

    /// What a pilot was submitted for, if it is for one node: the name of its pool.
    pub fn booking(&self) -> PathBuf {
        self.folder.join("booking")
    }

    /// A file that whoever comes first makes: the pilot of one node, or who takes its order back.
    pub fn begun(&self) -> PathBuf {
        self.folder.join("begun")
    }

    /// Makes that file; whether nobody had.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn begin(&self) -> Result<bool> {
        match fs::OpenOptions::new().write(true).create_new(true).open(self.begun()) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Problem::os("make", self.begun(), &e)),
        }
    }

    /// A file that is there once nothing of the pilot lives any more, or is taken to.
    pub fn gone(&self) -> PathBuf {
        self.folder.join("gone")
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn make(&self) -> Result<()> {
        for folder in [self.orders(), self.reports()] {
            fs::create_dir_all(&folder).map_err(|e| Problem::os("make the folder", &folder, &e))?;
        }
        Ok(())
    }
}

/// A box into which one writer puts numbered letters.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    /// What the names of its letters begin with, so that no later writer uses the same.
    name: String,
    next: u64,
}

impl Writer {
    /// The one writer that a folder ever has.
    pub fn only(folder: PathBuf) -> Self {
        Self { folder, name: String::new(), next: 1 }
    }

    /// One of several writers, one after another.
    pub fn one_of(folder: PathBuf, name: &str) -> Self {
        Self { folder, name: format!("{name}."), next: 1 }
    }

    /// Puts a letter into the box; its name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn post(&mut self, letter: &impl Serialize) -> Result<String> {
        let name = format!("{}{:08}.json", self.name, self.next);
        let text = serde_json::to_string(letter).expect("a letter is plain data") + "\n";
        // Not waited for until it is on a disk: what a loss of power takes was not heard, and is done again.
        write_quickly(&self.folder.join(&name), text.as_bytes())?;
        self.next += 1;
        Ok(name)
    }
}

/// Reads the letters in a box, each once.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    seen: BTreeSet<String>,
    /// Since when a letter has been missing between others.
    gap: Option<Instant>,
    last: Option<u64>,
    /// Whether it has read before: what was settled earlier left gaps.
    has_read: bool,
}

/// How long a later letter waits for an earlier one that the file system does not show yet.
const GAP: Duration = Duration::from_secs(5);

impl Reader {
    /// Reads a box from its first letter on.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, seen: BTreeSet::new(), gap: None, last: None, has_read: false }
    }

    /// The letters that have come since the last time, in their order, each with its name.
    pub fn read<T: DeserializeOwned>(&mut self) -> Vec<(String, T)> {
        let mut letters = vec![];
        for name in self.names() {
            let number = number(&name);
            if let (Some(last), Some(number)) = (self.last, number)
                && self.has_read
                && number > last + 1
                && self.gap.get_or_insert_with(Instant::now).elapsed() < GAP
            {
                break;
            }
            // Who wrote it may have taken it back; what a loss of power has left of it says nothing.
            if let Ok(Some(letter)) = read_json(&self.folder.join(&name)) {
                letters.push((name.clone(), letter));
            }
            (self.gap, self.last) = (None, number.or(self.last));
            self.seen.insert(name);
        }
        self.has_read = true;
        letters
    }

    /// The names of letters that were not read yet, sorted.
    fn names(&mut self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let all: BTreeSet<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with(".json"))
            .collect();
        // What was removed is never read again, and names are never used twice.
        self.seen.retain(|name| all.contains(name));
        all.difference(&self.seen).cloned().collect()
    }
}

/// The number of a letter whose folder has one writer.
fn number(name: &str) -> Option<u64> {
    name.strip_suffix(".json")?.parse().ok()
}

/// Removes a letter that is settled.
pub fn remove(folder: &Path, name: &str) {
    // If it stays, it is settled once more.
    let _ = fs::remove_file(folder.join(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_once_and_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::only(folder.path().to_owned());
        let mut reader = Reader::new(folder.path().to_owned());
        assert!(reader.read::<u32>().is_empty());
        for n in [7, 8, 9] {
            writer.post(&n).unwrap();
        }
        let read = |reader: &mut Reader| -> Vec<u32> {
            reader.read().into_iter().map(|(_, n)| n).collect()
        };
        assert_eq!(read(&mut reader), [7, 8, 9]);
        assert!(read(&mut reader).is_empty());
        // A file system may show the later one first.
        let (fourth, fifth) = (writer.post(&10).unwrap(), writer.post(&11).unwrap());
        let hidden = folder.path().join("hidden");
        fs::rename(folder.path().join(&fourth), &hidden).unwrap();
        assert!(read(&mut reader).is_empty(), "{fifth} waits");
        fs::rename(&hidden, folder.path().join(&fourth)).unwrap();
        assert_eq!(read(&mut reader), [10, 11]);
        remove(folder.path(), &fifth);
        assert!(read(&mut reader).is_empty());
        // Who begins anew reads what is not settled, at once.
        remove(folder.path(), "00000002.json");
        assert_eq!(read(&mut Reader::new(folder.path().to_owned())), [7, 9, 10]);
        fs::write(folder.path().join("00000003.json"), "").unwrap();
        assert_eq!(read(&mut Reader::new(folder.path().to_owned())), [7, 10]);
    }

    #[test]
    fn writers_of_one_box_never_use_a_name_twice() {
        let folder = tempfile::tempdir().unwrap();
        let box_of = |name| Writer::one_of(folder.path().to_owned(), name);
        let first = box_of("1-a").post(&Order::Leave).unwrap();
        let second = box_of("2-b").post(&Order::Stop { slot: 1 }).unwrap();
        assert!(first < second);
        let read: Vec<(String, Order)> = Reader::new(folder.path().to_owned()).read();
        assert_eq!(read, [(first, Order::Leave), (second, Order::Stop { slot: 1 })]);
    }
}
