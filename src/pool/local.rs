//! Warm workers on this machine, one a slot: started when first needed, kept between jobs, replaced
//! after a failure or a death. Lines from all of them arrive on one channel. A core is one slot; a GPU has
//! several, so that small jobs can share it.
//!
//! A worker's standard error goes to a log file of its slot that the coordinator has locked; the
//! worker inherits the lock with the file. So a slot is taken for as long as a process works on it,
//! whatever happens to its coordinator, and a lock that can be taken means that the slot is free. The lease of a
//! device with several slots is such a lock too, which all workers on it inherit: a device belongs to one
//! coordinator at a time.

use super::cards::{Card, cards};
use super::worker::{Ended, LONGEST_LINE, Worker, kill_group, listen};
use super::{Device, Message, Slots};
use crate::coordinator;
use crate::job::Ticket;
use crate::problem::{Problem, Result};
use crate::rooms::Room;
use crate::settings::Kind;
use crate::store::Results;
use rustix::io::FdFlags;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// The slots and their workers.
#[derive(Debug)]
pub struct Pool {
    programs: Programs,
    results: Results,
    /// The coordinator it belongs to.
    owner: String,
    /// Whether workers write to the terminal, for debugging.
    foreground: bool,
    sender: Sender<Message>,
    devices: Vec<Lot>,
    slots: Vec<Slot>,
}

/// A device and who has it.
#[derive(Debug)]
struct Lot {
    device: Device,
    /// The lock of a device with several slots, while we have it.
    lease: Option<File>,
}

#[derive(Debug)]
struct Slot {
    /// The device, by its place in the list.
    room: usize,
    /// `core-0`, `gpu-0`, `gpu-0.1`.
    name: String,
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
    /// A program that is none of ours uses the device.
    Strange,
    /// A worker of a dead coordinator is still saving its work.
    Orphan,
}

/// How long a worker may take to leave once its input is closed.
const GRACE: Duration = Duration::from_millis(500);

/// How long workers of an earlier run may take to save and leave.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that works, with what it is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub file: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// The programs that work on slots.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Does all that needs tensors.
    tensors: Program,
    /// Runs the programs of command nodes.
    commands: Program,
}

/// The subcommand of this program that runs the programs of command nodes.
pub const WORK: &str = "work";

impl Programs {
    /// The worker of tensors is `ABLATE_WORKER`, else beside this program, else on the path; that of commands is
    /// this program itself.
    pub fn find() -> Self {
        let own = std::env::current_exe().ok();
        let beside = own.as_ref().and_then(|own| Some(own.parent()?.join("ablate-worker")));
        let named = std::env::var_os("ABLATE_WORKER").map(PathBuf::from);
        let worker = named.or_else(|| beside.filter(|path| path.exists()));
        let file = worker.unwrap_or_else(|| "ablate-worker".into());
        Self {
            tensors: Program { file, arguments: vec![] },
            commands: Program {
                file: own.unwrap_or_else(|| "ablate".into()),
                arguments: vec![WORK.to_owned()],
            },
        }
    }

    /// The program for a kind of node.
    fn of(&self, kind: Kind) -> &Program {
        match kind {
            Kind::Command => &self.commands,
            Kind::Dataset | Kind::Train | Kind::Sample | Kind::Evaluate => &self.tensors,
        }
    }
}

impl Pool {
    /// A pool without workers yet, of a coordinator at work in `results`.
    pub fn new(
        programs: Programs,
        results: &Results,
        owner: &str,
        devices: Vec<Device>,
        sender: Sender<Message>,
    ) -> Self {
        let mut pool = Self {
            programs,
            results: results.clone(),
            owner: owner.to_owned(),
            foreground: false,
            sender,
            devices: vec![],
            slots: vec![],
        };
        for device in devices {
            pool.add(device);
        }
        pool
    }

    /// Lets the workers write to the terminal instead of a log.
    pub fn to_foreground(&mut self) {
        self.foreground = true;
    }

    /// Who has a slot whose lock somebody holds; a worker that nobody waits for is killed in the end.
    fn taken(&mut self, slot: usize, owner: &Path) -> Lease {
        let owner = fs::read_to_string(owner).unwrap_or_default();
        if coordinator::is_alive(&self.results, owner.trim()) {
            self.slots[slot].orphaned = None;
            return Lease::Taken;
        }
        let since = *self.slots[slot].orphaned.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE {
            let room = self.slots[slot].room;
            let beside = self.slots.iter().filter(|slot| slot.room == room);
            beside.for_each(|slot| kill_orphan(&slot_file(&self.results, &slot.name, "pid")));
        }
        Lease::Orphan
    }

    /// Whether programs that are none of ours use a device that nobody asked for by its name.
    fn is_strange(&self, room: usize) -> bool {
        let Device { visible: Some(uuid), is_asked: false, .. } = &self.devices[room].device else {
            return false;
        };
        cards().iter().any(|card| card.uuid == *uuid && !self.strangers(card).is_empty())
    }

    /// The file of a slot: its `log`, `pid` or `owner`.
    fn file(&self, slot: usize, ending: &str) -> PathBuf {
        slot_file(&self.results, &self.slots[slot].name, ending)
    }

    fn spawn(&mut self, slot: usize, log: File, program: &Program) -> Result<()> {
        let path = self.file(slot, "log");
        log.set_len(0).map_err(|e| Problem::os("empty", &path, &e))?;
        let write = |path: PathBuf, text: &str| {
            fs::write(&path, text).map_err(|e| Problem::os("write", &path, &e))
        };
        write(self.file(slot, "owner"), &self.owner)?;
        // The name of a device is that of its first slot.
        write(slot_file(&self.results, &self.device(slot).slot, "owner"), &self.owner)?;
        let mut command = Command::new(&program.file);
        command.args(&program.arguments);
        if let Some(visible) = &self.device(slot).visible {
            command.env("CUDA_VISIBLE_DEVICES", visible);
        }
        // Tensors come and go many times a second: giving their memory back to the system each time
        // costs a quarter of the run time.
        for variable in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"] {
            command.env(variable, "17179869184");
        }
        // In the foreground standard error is the terminal, and the worker inherits the lock beside it.
        let (errors, kept) = match self.foreground {
            true => (Stdio::inherit(), Some(log)),
            false => (Stdio::from(log), None),
        };
        let lease = self.devices[self.slots[slot].room].lease.as_ref();
        let inherit = |flags| {
            let files = kept.iter().chain(lease);
            files.into_iter().try_for_each(|file| rustix::io::fcntl_setfd(file, flags))
        };
        inherit(FdFlags::empty()).map_err(|e| Problem::os("hand over", &path, &e.into()))?;
        // A group of its own, so that Ctrl-C reaches the coordinator alone.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let child = command.spawn();
        // Workers on other devices must not have it.
        inherit(FdFlags::CLOEXEC).map_err(|e| Problem::os("keep", &path, &e.into()))?;
        let mut child = child.map_err(|e| {
            let problem = Problem::os("start the worker", &program.file, &e);
            problem.help("build it with `make`, or name it in ABLATE_WORKER")
        })?;
        write(self.file(slot, "pid"), &child.id().to_string())?;
        let output = child.stdout.take();
        self.slots[slot].generation += 1;
        let generation = self.slots[slot].generation;
        self.slots[slot].worker = Some(Worker::new(child, program));
        let sender = self.sender.clone();
        if let Some(output) = output {
            std::thread::spawn(move || listen(BufReader::new(output), slot, generation, &sender));
        }
        Ok(())
    }

    fn end(&mut self, slot: usize, deadline: Instant) -> Ended {
        let ended = self.slots[slot].worker.take().map(|worker| worker.end(deadline));
        let room = self.slots[slot].room;
        if self.slots.iter().all(|slot| slot.room != room || slot.worker.is_none()) {
            self.devices[room].lease = None;
        }
        ended.unwrap_or_default()
    }
}

impl Slots for Pool {
    fn len(&self) -> usize {
        self.slots.len()
    }

    fn rooms(&self) -> Vec<Room> {
        self.devices.iter().map(|lot| Room::here(lot.device.memory)).collect()
    }

    fn room(&self, slot: usize) -> usize {
        self.slots[slot].room
    }

    fn name(&self, slot: usize) -> &str {
        &self.slots[slot].name
    }

    fn device(&self, slot: usize) -> &Device {
        &self.devices[self.slots[slot].room].device
    }

    fn is_current(&self, slot: usize, generation: u64) -> bool {
        self.slots[slot].generation == generation && self.slots[slot].worker.is_some()
    }

    fn acquire(&mut self, slot: usize, kind: Kind) -> Result<Lease> {
        let program = self.programs.of(kind).clone();
        let is_unfit = |worker: &Worker| worker.is_stale() || !worker.is_of(&program);
        if self.slots[slot].worker.as_ref().is_some_and(is_unfit) {
            self.replace(slot);
        }
        if self.slots[slot].worker.is_some() {
            return Ok(Lease::Ours);
        }
        let room = self.slots[slot].room;
        if self.devices[room].lease.is_none() && self.device(slot).places() > 1 {
            let path = slot_file(&self.results, &self.device(slot).slot, "lease");
            let lease = open_log(&path)?;
            if lease.try_lock().is_err() {
                return Ok(self.taken(slot, &path.with_extension("owner")));
            }
            if self.is_strange(room) {
                return Ok(Lease::Strange);
            }
            self.devices[room].lease = Some(lease);
        }
        let log = open_log(&self.file(slot, "log"))?;
        if log.try_lock().is_err() {
            return Ok(self.taken(slot, &self.file(slot, "owner")));
        }
        self.slots[slot].orphaned = None;
        self.spawn(slot, log, &program)?;
        Ok(Lease::Ours)
    }

    fn strangers(&self, card: &Card) -> Vec<u32> {
        card.others(&known_workers(&self.results))
    }

    fn has_worker(&self, slot: usize, kind: Kind) -> bool {
        self.slots[slot].worker.as_ref().is_some_and(|worker| worker.is_of(self.programs.of(kind)))
    }

    fn is_warm(&self, slot: usize) -> bool {
        self.slots[slot].worker.is_some()
    }

    fn device_memory(&self, slot: usize, cards: &[Card]) -> Option<u64> {
        let worker = self.slots[slot].worker.as_ref()?;
        let uuid = self.device(slot).visible.as_ref()?;
        cards.iter().find(|card| card.uuid == *uuid)?.taken_by(worker.pid())
    }

    fn start(&mut self, slot: usize, _: Kind, _: &Ticket, job: &Path) -> Result<()> {
        self.slots[slot].log_from =
            fs::metadata(self.file(slot, "log")).map_or(0, |meta| meta.len());
        let gone = |why: &str| {
            Problem::system(format!("the worker of slot {slot} does not take the job: {why}"))
        };
        let worker = self.slots[slot].worker.as_mut().ok_or_else(|| gone("it is gone"))?;
        worker.give(job).map_err(|e| gone(&e.to_string()))
    }

    fn add(&mut self, device: Device) -> Option<(usize, Vec<usize>)> {
        if let Some(room) = self.find(&device.slot) {
            return Some((room, vec![]));
        }
        let (room, first) = (self.devices.len(), self.slots.len());
        for place in 0..device.places() {
            let name = match place {
                0 => device.slot.clone(),
                n => format!("{}.{n}", device.slot),
            };
            let slot =
                Slot { room, name, generation: 0, worker: None, log_from: 0, orphaned: None };
            self.slots.push(slot);
        }
        self.devices.push(Lot { device, lease: None });
        Some((room, (first..self.slots.len()).collect()))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.devices.iter().position(|lot| lot.device.slot == name)
    }

    fn errors(&self, slot: usize) -> String {
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

    fn ask_to_stop(&mut self, slot: usize) {
        if let Some(worker) = &mut self.slots[slot].worker {
            // A worker that is gone has nothing left to save.
            let _ = worker.say("stop\n");
        }
    }

    fn replace(&mut self, slot: usize) -> Ended {
        self.end(slot, Instant::now() + GRACE)
    }

    fn kill(&mut self, slot: usize) {
        if let Some(worker) = &self.slots[slot].worker {
            kill_group(worker.pid());
        }
        self.end(slot, Instant::now());
    }

    fn close(&mut self) {
        self.slots.iter_mut().filter_map(|slot| slot.worker.as_mut()).for_each(Worker::close);
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

/// Kills the process named in a file, if it is a worker, and what it has started. Where it is gone, what it has
/// started holds the slot.
fn kill_orphan(pid_file: &Path) {
    let Some(pid) =
        fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<u32>().ok())
    else {
        return;
    };
    let called = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = called.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let name = words.next().unwrap_or_default();
    let name = Path::new(&*name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_worker = ["ablate-worker", "fake-worker"].iter().any(|known| name.starts_with(known));
    // No process takes a number that is still that of a group.
    if is_worker || words.next().is_some_and(|word| word == WORK) || called.is_empty() {
        kill_group(pid);
    }
}

/// The processes of all workers in a results folder, as their files tell.
pub fn known_workers(results: &Results) -> Vec<u32> {
    let entries = fs::read_dir(results.workers()).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let pids = files.filter(|path| path.extension().is_some_and(|ending| ending == "pid"));
    pids.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok()).collect()
}
