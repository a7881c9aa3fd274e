//! A worker process: how it is heard, how it ends, and when a fresh one should take its place.

use super::{Message, Program};
use crate::failure::FailureClass;
use crate::job::Event;
use crate::program::memory_kills;
use std::fs;
use std::io::{BufRead, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

/// The longest line that a worker may write, in bytes.
pub(super) const LONGEST_LINE: u64 = 1 << 20;

/// Time between two looks at whether a worker has left.
const PAUSE: Duration = Duration::from_millis(5);

/// A process that works for us.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    /// Its program, and when that was last written, as it was when it started.
    program: (Program, Option<SystemTime>),
    /// Jobs it was given.
    jobs: u32,
    /// Its memory in bytes after its first job.
    at_first: Option<u64>,
    /// Processes that the system had ended for lack of memory when its present job began.
    kills: Option<u64>,
}

impl Worker {
    /// A worker that was just started from this program.
    pub(super) fn new(mut child: Child, program: &Program) -> Self {
        let input = child.stdin.take();
        let program = (program.clone(), written(&program.file));
        Self { child, input, program, jobs: 0, at_first: None, kills: None }
    }

    /// The number of its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it a job.
    ///
    /// # Errors
    /// If it is gone or does not read.
    pub(super) fn give(&mut self, job: &Path) -> std::io::Result<()> {
        self.jobs += 1;
        self.kills = memory_kills();
        if self.jobs == 2 {
            self.at_first = resident(self.pid());
        }
        self.say(&format!("{}\n", job.display()))
    }

    /// Writes to its input.
    ///
    /// # Errors
    /// If it is gone or does not read.
    pub(super) fn say(&mut self, line: &str) -> std::io::Result<()> {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let input = self.input.as_mut().ok_or_else(closed)?;
        input.write_all(line.as_bytes())?;
        input.flush()
    }

    /// Closes its input: it saves and leaves.
    pub(super) fn close(&mut self) {
        drop(self.input.take());
    }

    /// Whether it should make place for a fresh one: it has done many jobs, keeps too much memory, or its program
    /// has been built anew.
    pub(super) fn is_stale(&self) -> bool {
        let now = self.at_first.and_then(|_| resident(self.pid()));
        let (program, then) = &self.program;
        is_worn(self.jobs, self.at_first, now) || *then != written(&program.file)
    }

    /// Whether it runs this program.
    pub(super) fn is_of(&self, program: &Program) -> bool {
        self.program.0 == *program
    }

    /// Waits until it has left, and kills it at the deadline; what it has started does not outlive it.
    pub(super) fn end(mut self, deadline: Instant) -> Ended {
        self.close();
        let is_killed = loop {
            match has_ended(self.pid()) {
                true => break false,
                false if Instant::now() < deadline => std::thread::sleep(PAUSE),
                false => break true,
            }
        };
        // Before it is waited for, so that its number is still its own.
        kill_group(self.pid());
        let status = self.child.wait().ok().filter(|_| !is_killed);
        let was_killed = status.and_then(|status| status.signal()) == Some(SIGKILL);
        let for_lack_of_memory =
            was_killed && self.kills.zip(memory_kills()).is_some_and(|(then, now)| now > then);
        Ended { status, for_lack_of_memory }
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    status: Option<ExitStatus>,
    /// Whether the system ended it because the machine had no memory left.
    pub for_lack_of_memory: bool,
}

impl Ended {
    /// How it ended, for people.
    pub fn words(&self) -> String {
        self.status.map_or_else(|| "was gone".to_owned(), |status| format!("ended with {status}"))
    }

    /// The failure of a job whose worker ended in the middle of it, and had written this to standard error.
    pub fn obituary(&self, errors: &str) -> (FailureClass, String) {
        let told = last_words(errors);
        let how = self.words();
        let message = match (self.for_lack_of_memory, told.is_empty()) {
            (true, _) => format!("the worker {how}: the system had no memory left"),
            (false, true) => format!("the worker {how}"),
            (false, false) => format!("the worker {how}: {told}"),
        };
        let class = match self.for_lack_of_memory {
            true => FailureClass::HostMemory,
            false => FailureClass::told_by(&told).unwrap_or(FailureClass::WorkerDied),
        };
        (class, message)
    }
}

/// What a worker that died said of it: where it panicked and with what message, else its last lines.
fn last_words(errors: &str) -> String {
    let lines: Vec<&str> = errors.lines().collect();
    let panic = lines.iter().rposition(|line| line.contains(" panicked at "));
    // Below the message there may be a stack.
    let said = match panic {
        Some(at) => &lines[at..lines.len().min(at + 2)],
        None => &lines[lines.len().saturating_sub(3)..],
    };
    said.join(" / ")
}

/// A worker is replaced after so many jobs.
const JOBS: u32 = 500;

/// A worker whose memory between jobs has grown to so many bytes, and to so many times what it was after its
/// first job, is replaced.
const GROWN: (u64, u64) = (4 << 30, 3);

/// Whether a worker has done enough, or keeps too much memory.
fn is_worn(jobs: u32, at_first: Option<u64>, now: Option<u64>) -> bool {
    let has_grown = |first: u64, now: u64| now > GROWN.0 && now > GROWN.1 * first;
    jobs >= JOBS || at_first.zip(now).is_some_and(|(first, now)| has_grown(first, now))
}

/// The memory of a process in bytes, as Linux tells it.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// When a program's file was last written.
fn written(program: &Path) -> Option<SystemTime> {
    fs::metadata(program).and_then(|meta| meta.modified()).ok()
}

/// Whether a child of ours has ended; it is waited for all the same.
fn has_ended(pid: u32) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

/// The number of the signal that cannot be caught.
const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();

/// Kills a process and all that it has started, if they are still in its group.
pub(super) fn kill_group(pid: u32) {
    if let Some(group) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // Nobody is left in it: then there is nothing to do.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Sends every line of a worker's output, and at its end that it is gone.
pub(super) fn listen(
    mut output: impl BufRead,
    slot: usize,
    generation: u64,
    sender: &Sender<Message>,
) {
    loop {
        let mut line = Vec::new();
        match output.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let message = match understand(&text) {
            Some(event) => Message::Event { slot, generation, event },
            None => Message::Garbled { slot, line: text },
        };
        if sender.send(message).is_err() {
            return;
        }
    }
    // Nobody listens any more when the run is over.
    let _ = sender.send(Message::Gone { slot, generation });
}

/// The event in a line, if there is one. An event that is not known ends the job: what it says may be that
/// the job has ended, and nobody would hear of it.
fn understand(line: &str) -> Option<Event> {
    if let Ok(event) = serde_json::from_str(line) {
        return Some(event);
    }
    let unknown: serde_json::Value = serde_json::from_str(line).ok()?;
    unknown.get("event")?;
    let message =
        format!("the worker says what this ablate does not know: {line}; take both of one version");
    Some(Event::Failed { class: FailureClass::Bug, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_worn_after_many_jobs_or_when_its_memory_has_grown() {
        let gigabytes = |n: u64| Some(n << 30);
        assert!(is_worn(JOBS, None, None) && !is_worn(JOBS - 1, None, None));
        assert!(is_worn(3, gigabytes(2), gigabytes(7)));
        assert!(!is_worn(3, gigabytes(3), gigabytes(7)), "it holds much, and did so at first");
        assert!(!is_worn(3, Some(1 << 20), gigabytes(1)), "little is little");
    }

    #[test]
    fn a_panic_is_told_by_its_message_whatever_stands_below() {
        let panic = "first\n\nthread 'main' panicked at a.rs:1:2:\nno such thing\nstack backtrace:\n  0: a\n  1: b\n";
        assert_eq!(last_words(panic), "thread 'main' panicked at a.rs:1:2: / no such thing");
        assert_eq!(last_words("a\nb\nc\nd"), "b / c / d");
        assert_eq!(last_words(""), "");
    }
}
