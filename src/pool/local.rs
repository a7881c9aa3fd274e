//! Warm workers on this machine, one a slot: started when first needed, kept between jobs, replaced
//! after a failure or a death. Lines from all of them arrive on one channel.
//!
//! A worker's standard error goes to a log file of its slot that the coordinator has locked; the
//! worker inherits the lock with the file. So a slot is taken for as long as a process works on it,
//! whatever happens to its coordinator, and a lock that can be taken means that the slot is free.

use super::Device;
use crate::coordinator;
use crate::failure::FailureClass;
use crate::job::Event;
use crate::problem::{Problem, Result};
use crate::store::Results;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

/// What arrives from workers, and from the keyboard.
#[derive(Debug)]
pub enum Message {
    /// A worker says something.
    Event {
        /// Its slot.
        slot: usize,
        /// Which worker of that slot it was.
        generation: u64,
        /// What it says.
        event: Event,
    },
    /// A line that is no event: something in the worker wrote to standard output.
    Garbled {
        /// Its slot.
        slot: usize,
        /// The line.
        line: String,
    },
    /// A worker closed its output: it is gone or going.
    Gone {
        /// Its slot.
        slot: usize,
        /// Which worker of that slot it was.
        generation: u64,
    },
    /// Ctrl-C or SIGTERM.
    Interrupt,
}

/// The slots and their workers.
#[derive(Debug)]
pub struct Pool {
    program: PathBuf,
    results: Results,
    /// The coordinator it belongs to.
    owner: String,
    /// Whether workers write to the terminal, for debugging.
    foreground: bool,
    sender: Sender<Message>,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    device: Device,
    generation: u64,
    worker: Option<Worker>,
    /// Where in the slot's log the output of the present job begins.
    log_from: u64,
    /// Since when a worker of a dead coordinator has been seen here.
    orphaned: Option<Instant>,
}

/// What came of an attempt to get a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// A worker of ours stands ready.
    Ours,
    /// A worker of another living coordinator is on it.
    Taken,
    /// A worker of a dead coordinator is still saving its work.
    Orphan,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    /// When its program file was last written, as it was when it started.
    program: Option<SystemTime>,
    /// Jobs it was given.
    jobs: u32,
    /// Its memory in bytes after its first job.
    at_first: Option<u64>,
    /// Processes that the system had ended for lack of memory when its present job began.
    kills: Option<u64>,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// How many processes Linux has ended for lack of memory since it started.
fn memory_kills() -> Option<u64> {
    let counters = fs::read_to_string("/proc/vmstat").ok()?;
    let line = counters.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

/// The longest line that a worker may write, in bytes.
const LONGEST_LINE: u64 = 1 << 20;

/// How long a worker may take to leave once its input is closed.
const GRACE: Duration = Duration::from_millis(500);

/// Time between two looks at whether a worker has left.
const PAUSE: Duration = Duration::from_millis(5);

/// How long workers of an earlier run may take to save and leave.
const PATIENCE: Duration = Duration::from_secs(20);

/// The worker program: `ABLATE_WORKER`, else beside this program, else on the path.
pub fn find_worker() -> PathBuf {
    if let Some(path) = std::env::var_os("ABLATE_WORKER") {
        return path.into();
    }
    let beside =
        std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("ablate-worker")));
    beside.filter(|path| path.exists()).unwrap_or_else(|| "ablate-worker".into())
}

impl Pool {
    /// A pool without workers yet, of a coordinator at work in `results`.
    pub fn new(
        program: PathBuf,
        results: &Results,
        owner: &str,
        devices: Vec<Device>,
        sender: Sender<Message>,
    ) -> Self {
        let slot =
            |device| Slot { device, generation: 0, worker: None, log_from: 0, orphaned: None };
        Self {
            program,
            results: results.clone(),
            owner: owner.to_owned(),
            foreground: false,
            sender,
            slots: devices.into_iter().map(slot).collect(),
        }
    }

    /// Lets the workers write to the terminal instead of a log.
    pub fn to_foreground(&mut self) {
        self.foreground = true;
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no slot at all.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The device of a slot.
    pub fn device(&self, slot: usize) -> &Device {
        &self.slots[slot].device
    }

    /// Whether a message is from the worker that a slot has now.
    pub fn is_current(&self, slot: usize, generation: u64) -> bool {
        self.slots[slot].generation == generation && self.slots[slot].worker.is_some()
    }

    /// Gets a slot: its worker is started if nobody else's is on it.
    ///
    /// # Errors
    /// If the worker cannot be started.
    pub fn acquire(&mut self, slot: usize) -> Result<Lease> {
        if self.is_stale(slot) {
            self.replace(slot);
        }
        if self.slots[slot].worker.is_some() {
            return Ok(Lease::Ours);
        }
        let log = open_log(&self.file(slot, "log"))?;
        if log.try_lock().is_ok() {
            self.slots[slot].orphaned = None;
            self.spawn(slot, log)?;
            return Ok(Lease::Ours);
        }
        let owner = fs::read_to_string(self.file(slot, "owner")).unwrap_or_default();
        if coordinator::is_alive(&self.results, owner.trim()) {
            self.slots[slot].orphaned = None;
            return Ok(Lease::Taken);
        }
        let since = *self.slots[slot].orphaned.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE {
            kill_orphan(&self.file(slot, "pid"));
        }
        Ok(Lease::Orphan)
    }

    /// Whether the worker of a slot should make place for a fresh one: it has done many jobs, keeps too much
    /// memory, or its program has been built anew.
    fn is_stale(&self, slot: usize) -> bool {
        let Some(worker) = &self.slots[slot].worker else { return false };
        let now = worker.at_first.and_then(|_| resident(worker.child.id()));
        is_worn(worker.jobs, worker.at_first, now) || worker.program != written(&self.program)
    }

    /// Whether a slot has a worker of ours.
    pub fn has_worker(&self, slot: usize) -> bool {
        self.slots[slot].worker.is_some()
    }

    /// Gives a job to the worker of a slot that was acquired.
    ///
    /// # Errors
    /// If the worker is gone or does not take the job.
    pub fn start(&mut self, slot: usize, job: &Path) -> Result<()> {
        self.slots[slot].log_from =
            fs::metadata(self.file(slot, "log")).map_or(0, |meta| meta.len());
        let line = format!("{}\n", job.display());
        let gone = |why: &str| {
            Problem::system(format!("the worker of slot {slot} does not take the job: {why}"))
        };
        let worker = self.slots[slot].worker.as_mut().ok_or_else(|| gone("it is gone"))?;
        worker.jobs += 1;
        worker.kills = memory_kills();
        if worker.jobs == 2 {
            worker.at_first = resident(worker.child.id());
        }
        let input = worker.input.as_mut().ok_or_else(|| gone("it is gone"))?;
        let sent = input.write_all(line.as_bytes()).and_then(|()| input.flush());
        sent.map_err(|e| gone(&e.to_string()))
    }

    /// The file of a slot: its `log`, `pid` or `owner`.
    fn file(&self, slot: usize, ending: &str) -> PathBuf {
        slot_file(&self.results, &self.slots[slot].device.slot, ending)
    }

    fn spawn(&mut self, slot: usize, log: File) -> Result<()> {
        let path = self.file(slot, "log");
        log.set_len(0).map_err(|e| Problem::os("empty", &path, &e))?;
        let write = |path: PathBuf, text: &str| {
            fs::write(&path, text).map_err(|e| Problem::os("write", &path, &e))
        };
        write(self.file(slot, "owner"), &self.owner)?;
        let mut command = Command::new(&self.program);
        if let Some(visible) = &self.slots[slot].device.visible {
            command.env("CUDA_VISIBLE_DEVICES", visible);
        }
        // Tensors come and go many times a second: giving their memory back to the system each time
        // costs a quarter of the run time.
        for variable in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"] {
            command.env(variable, "17179869184");
        }
        // In the foreground standard error is the terminal, and the worker inherits the lock beside it.
        let (errors, kept) = match self.foreground {
            true => {
                rustix::io::fcntl_setfd(&log, rustix::io::FdFlags::empty())
                    .map_err(|e| Problem::os("hand over", &path, &e.into()))?;
                (Stdio::inherit(), Some(log))
            }
            false => (Stdio::from(log), None),
        };
        // A group of its own, so that Ctrl-C reaches the coordinator alone.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().map_err(|e| {
            let problem = Problem::os("start the worker", &self.program, &e);
            problem.help("build it with `make`, or name it in ABLATE_WORKER")
        })?;
        drop(kept);
        write(self.file(slot, "pid"), &child.id().to_string())?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        self.slots[slot].generation += 1;
        let generation = self.slots[slot].generation;
        let (program, jobs, at_first, kills) = (written(&self.program), 0, None, None);
        self.slots[slot].worker = Some(Worker { child, input, program, jobs, at_first, kills });
        let sender = self.sender.clone();
        if let Some(output) = output {
            std::thread::spawn(move || listen(BufReader::new(output), slot, generation, &sender));
        }
        Ok(())
    }

    /// What the worker of a slot wrote to standard error since its present job began.
    pub fn errors(&self, slot: usize) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(self.file(slot, "log"))?;
            // Of much, the end: that is where it tells why it died.
            let end = file.metadata()?.len();
            let from = self.slots[slot].log_from.max(end.saturating_sub(LONGEST_LINE));
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = vec![];
            file.take(LONGEST_LINE).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }

    /// Asks the worker of a slot to save and end its job.
    pub fn ask_to_stop(&mut self, slot: usize) {
        if let Some(input) =
            self.slots[slot].worker.as_mut().and_then(|worker| worker.input.as_mut())
        {
            // A worker that is gone has nothing left to save.
            let _ = input.write_all(b"stop\n").and_then(|()| input.flush());
        }
    }

    /// Ends the worker of a slot; how it ended.
    pub fn replace(&mut self, slot: usize) -> Ended {
        self.end(slot, Instant::now() + GRACE)
    }

    /// Ends the worker of a slot, and what it has started, without leaving it time.
    pub fn kill(&mut self, slot: usize) {
        if let Some(worker) = &self.slots[slot].worker {
            kill_group(worker.child.id());
        }
        self.end(slot, Instant::now());
    }

    fn end(&mut self, slot: usize, deadline: Instant) -> Ended {
        let gone = Ended { status: None, for_lack_of_memory: false };
        let Some(mut worker) = self.slots[slot].worker.take() else { return gone };
        drop(worker.input.take());
        let is_killed = loop {
            match has_ended(worker.child.id()) {
                true => break false,
                false if Instant::now() < deadline => std::thread::sleep(PAUSE),
                false => break true,
            }
        };
        // Before it is waited for, so that its number is still its own; what it has started does not outlive it.
        kill_group(worker.child.id());
        let status = worker.child.wait().ok().filter(|_| !is_killed);
        let was_killed = status.and_then(|status| status.signal()) == Some(SIGKILL);
        let for_lack_of_memory =
            was_killed && worker.kills.zip(memory_kills()).is_some_and(|(then, now)| now > then);
        Ended { status, for_lack_of_memory }
    }

    /// Closes every worker's input and waits until all have left; kills those that do not.
    pub fn close(&mut self) {
        for slot in &mut self.slots {
            if let Some(worker) = &mut slot.worker {
                drop(worker.input.take());
            }
        }
        let deadline = Instant::now() + GRACE;
        for slot in 0..self.slots.len() {
            self.end(slot, deadline);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

fn open_log(path: &Path) -> Result<File> {
    let options = OpenOptions::new().create(true).read(true).append(true).open(path);
    options.map_err(|e| Problem::os("open", path, &e))
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
fn kill_group(pid: u32) {
    if let Some(group) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // Nobody is left in it: then there is nothing to do.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Sends every line of a worker's output, and at its end that it is gone.
fn listen(mut output: impl BufRead, slot: usize, generation: u64, sender: &Sender<Message>) {
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

fn slot_file(results: &Results, slot: &str, ending: &str) -> PathBuf {
    results.workers().join(format!("{slot}.{ending}"))
}

/// Whether no worker that `owner` started is on a slot any more.
pub fn has_left(results: &Results, slot: &str, owner: &str) -> bool {
    let log = slot_file(results, slot, "log");
    let free = match File::open(log) {
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    };
    let present = fs::read_to_string(slot_file(results, slot, "owner")).unwrap_or_default();
    free || present.trim() != owner
}

/// Kills the process named in a file, if it is a worker, and what it has started.
fn kill_orphan(pid_file: &Path) {
    let Some(pid) =
        fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<u32>().ok())
    else {
        return;
    };
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if command.starts_with("ablate-worker") || command.starts_with("fake-worker") {
        kill_group(pid);
    }
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
}
