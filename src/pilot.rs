//! A pilot: what a cluster's scheduler starts. It finds the devices of its job, runs there what a coordinator gives
//! it, on the same warm workers as a run on one machine, and leaves when there is nothing to do, when its time is up
//! or when it is taken back. It opens no database and calls no scheduler.

use crate::files::{read_json, write_quickly};
use crate::job::{Event, Job, Ticket};
use crate::pool::{self, Device, Lease, Message, Pool, Programs, Slots};
use crate::post::{Address, Farewell, Order, Reader, Report, Writer};
use crate::problem::{Problem, Result};
use crate::settings::Kind;
use crate::store::Results;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a pilot behaves.
#[derive(Debug, Clone)]
pub struct Manner {
    /// It leaves after so long without a job.
    pub idle: Duration,
    /// It lets everything save so long before its end.
    pub margin: Duration,
    /// Whoever hears nothing of it for so long takes it for lost.
    pub patience: Duration,
    /// Its devices, as `--devices` names them, instead of all that its job has.
    pub devices: Option<String>,
    /// The name of its pool; empty for the first.
    pub pool: String,
    /// The folder of its order, if it is for one node.
    pub own: Option<String>,
}

/// The environment variable by which a pilot of another scheduler than Slurm is known.
pub const TOKEN: &str = "ABLATE_PILOT";

/// Time between two looks at orders.
const BEAT: Duration = Duration::from_millis(25);

/// How long progress may wait, so that files are few.
const UNHURRIED: Duration = Duration::from_secs(1);

/// What a slot works on.
struct Busy {
    ticket: Ticket,
    /// The folder of the job.
    work: PathBuf,
    /// What is to be told of its progress.
    progress: Option<Event>,
}

/// A pilot at work.
struct Pilot {
    address: Address,
    manner: Manner,
    pool: Pool,
    messages: Receiver<Message>,
    orders: Reader,
    reports: Writer,
    /// What is to be told next.
    outgoing: Vec<Report>,
    told: Instant,
    busy: Vec<Option<Busy>>,
    idle_since: Instant,
    leaving: Option<Farewell>,
    /// Whether the node that it is for has ended.
    is_done: bool,
    /// When the scheduler ends it, in seconds since 1970.
    ends: Option<i64>,
    /// When it last gave a sign of life.
    alive: Arc<Mutex<Instant>>,
    signalled: Arc<AtomicBool>,
}

/// Works in the folder of an experiment's pilots until there is a reason to leave.
///
/// # Errors
/// If the folder cannot be written, or the devices cannot be found.
pub fn work(pilots: &Path, manner: Manner) -> Result<()> {
    let began = jiff::Timestamp::now().as_second();
    let entered = match &manner.own {
        Some(own) => take_order(pilots, own)?,
        None => Some(enter(pilots, &manner.pool)?),
    };
    let Some(address) = entered else {
        // The order was taken back, or an earlier start of this job has taken it.
        return Ok(());
    };
    let signalled = Arc::new(AtomicBool::new(false));
    // The scheduler's warning, its preemption, and whoever runs it by hand.
    for signal in
        [signal_hook::consts::SIGUSR2, signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT]
    {
        signal_hook::flag::register(signal, Arc::clone(&signalled))
            .map_err(|e| Problem::system(format!("cannot listen for signals: {e}")))?;
    }
    let alive = beat(&address, manner.patience)?;
    let devices = devices(manner.devices.as_deref())?;
    let (sender, messages) = channel();
    // Locks and logs of its workers lie in its own folder: other pilots have slots of the same names.
    let own = Results { root: address.folder.clone() };
    fs::create_dir_all(own.workers())
        .map_err(|e| Problem::os("make the folder", own.workers(), &e))?;
    let pool = Pool::new(Programs::find(), &own, "pilot", devices.clone(), sender);
    let mut pilot = Pilot {
        busy: (0..pool.len()).map(|_| None).collect(),
        orders: Reader::new(address.orders()),
        reports: Writer::only(address.reports()),
        outgoing: vec![],
        told: Instant::now(),
        idle_since: Instant::now(),
        leaving: None,
        is_done: false,
        ends: variable("SLURM_JOB_END_TIME").and_then(|text| text.parse().ok()),
        address,
        manner,
        pool,
        messages,
        alive,
        signalled,
    };
    let hello = Report::Hello {
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        devices,
        began,
        ends: pilot.ends,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    pilot.outgoing.push(hello);
    pilot.tell()?;
    pilot.all()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The name of a pilot: that of its job, and which start of it this is.
fn name() -> String {
    if let Some(token) = variable(TOKEN) {
        return format!("{token}_0.0");
    }
    let job = variable("SLURM_ARRAY_JOB_ID").or_else(|| variable("SLURM_JOB_ID"));
    let Some(job) = job else {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        return format!("{host}-{}", std::process::id());
    };
    let part = |name: &str| variable(name).unwrap_or_else(|| "0".to_owned());
    format!("{job}_{}.{}", part("SLURM_ARRAY_TASK_ID"), part("SLURM_RESTART_COUNT"))
}

/// Makes a folder of its own. A scheduler that lost its memory gives numbers a second time.
fn enter(pilots: &Path, pool: &str) -> Result<Address> {
    let name = match pool {
        "" => name(),
        pool => format!("{pool}-{}", name()),
    };
    fs::create_dir_all(pilots).map_err(|e| Problem::os("make the folder", pilots, &e))?;
    for again in 0..1000 {
        let name = if again == 0 { name.clone() } else { format!("{name}.again{again}") };
        let folder = pilots.join(name);
        match fs::create_dir(&folder) {
            Ok(()) => {
                let address = Address { folder };
                address.make()?;
                return Ok(address);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Problem::os("make the folder", &folder, &e)),
        }
    }
    Err(Problem::system(format!("a thousand pilots are called {name}")))
}

/// The folder of the pilot of one node, if nobody else has taken its order.
fn take_order(pilots: &Path, own: &str) -> Result<Option<Address>> {
    let address = Address { folder: pilots.join(own) };
    let is_first = address.booking().exists() && address.begin()?;
    Ok(is_first.then_some(address))
}

/// The devices of the job: its GPUs, or else as many cores as it asked for.
fn devices(asked: Option<&str>) -> Result<Vec<Device>> {
    let cores = variable("SLURM_CPUS_PER_TASK").and_then(|n| n.parse::<usize>().ok());
    let found = pool::devices_here(asked)?;
    match (asked, cores) {
        (None, Some(cores)) if found.iter().all(|device| device.name == "cpu") => {
            pool::devices_here(Some(&format!("cpu:{}", cores.max(1))))
        }
        _ => Ok(found),
    }
}

/// Gives a sign of life now, and again and again from a thread of its own, so that nothing else holds it up.
fn beat(address: &Address, patience: Duration) -> Result<Arc<Mutex<Instant>>> {
    let path = address.heartbeat();
    let sign = move |n: u64| write_quickly(&path, n.to_string().as_bytes());
    sign(0)?;
    let last = Arc::new(Mutex::new(Instant::now()));
    let noted = Arc::clone(&last);
    std::thread::spawn(move || {
        for n in 1.. {
            std::thread::sleep((patience / 6).min(Duration::from_secs(10)));
            let begun = Instant::now();
            if sign(n).is_ok()
                && let Ok(mut last) = noted.lock()
            {
                *last = begun;
            }
        }
    });
    Ok(last)
}

impl Pilot {
    fn all(&mut self) -> Result<()> {
        loop {
            self.end_if_lost();
            self.look_around();
            for (_, order) in self.orders.read::<Order>() {
                self.obey(order);
            }
            if let Ok(message) = self.messages.recv_timeout(BEAT) {
                self.hear(message);
                while let Ok(message) = self.messages.try_recv() {
                    self.hear(message);
                }
            }
            self.tell()?;
            if self.leaving.is_some() && self.busy.iter().all(Option::is_none) {
                return self.leave();
            }
        }
    }

    /// Whoever has heard nothing for as long as this gives our jobs to others: nothing of us may write any more.
    fn end_if_lost(&mut self) {
        let silent = self.alive.lock().map_or(Duration::MAX, |last| last.elapsed());
        if silent > self.manner.patience * 3 / 4 {
            (0..self.pool.len()).for_each(|slot| self.pool.kill(slot));
            std::process::exit(1);
        }
    }

    /// Whether there is a reason to leave.
    fn look_around(&mut self) {
        if self.leaving.is_some() {
            return;
        }
        let left = self.ends.map(|end| end - jiff::Timestamp::now().as_second());
        if self.signalled.load(Ordering::SeqCst) {
            self.begin_to_leave(Farewell::Signal);
        } else if left.is_some_and(|left| left <= self.manner.margin.as_secs() as i64) {
            self.begin_to_leave(Farewell::Time);
        } else if self.busy.iter().any(Option::is_some) {
            self.idle_since = Instant::now();
        } else if self.idle_since.elapsed() > self.manner.idle || self.is_done {
            self.begin_to_leave(Farewell::Idle);
        }
    }

    fn begin_to_leave(&mut self, why: Farewell) {
        self.leaving = Some(why);
        self.outgoing.push(Report::Leaving { why });
        for slot in 0..self.busy.len() {
            if self.busy[slot].is_some() {
                self.pool.ask_to_stop(slot);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Start { slot, kind, job, ticket, .. } => self.start(slot, kind, job, ticket),
            Order::Stop { slot } if slot < self.pool.len() => self.pool.ask_to_stop(slot),
            Order::Kill { slot } if slot < self.pool.len() => {
                self.pool.kill(slot);
                // Whoever asked has written the end down.
                self.busy[slot] = None;
                self.is_done = self.manner.own.is_some();
            }
            Order::Stop { .. } | Order::Kill { .. } => {}
            Order::Leave if self.leaving.is_none() => self.begin_to_leave(Farewell::Asked),
            Order::Leave => {}
        }
    }

    fn start(&mut self, slot: usize, kind: Kind, job: PathBuf, ticket: Ticket) {
        let said = |event| Report::Said { slot, ticket: ticket.clone(), event };
        if self.leaving.is_some() || slot >= self.pool.len() {
            return self.outgoing.push(said(Event::Stopped { step: 0 }));
        }
        let started = match self.pool.acquire(slot, kind) {
            Ok(Lease::Ours) => {
                self.fit(slot, &job).and_then(|job| self.pool.start(slot, kind, &ticket, &job))
            }
            Ok(_) => Err(Problem::system("others use the device")),
            Err(problem) => Err(problem),
        };
        match started {
            Ok(()) => {
                let work = job.parent().unwrap_or(&job).to_owned();
                self.busy[slot] = Some(Busy { ticket, work, progress: None });
            }
            Err(problem) => {
                let class = crate::failure::FailureClass::WorkerDied;
                self.outgoing.push(said(Event::Failed { class, message: problem.to_string() }));
                self.is_done = self.manner.own.is_some();
            }
        }
    }

    /// The job for a slot. When that of a node with a job of its own was written, nobody knew its device.
    fn fit(&self, slot: usize, path: &Path) -> Result<PathBuf> {
        if self.manner.own.is_none() {
            return Ok(path.to_owned());
        }
        let read = read_json(path)?;
        let mut job: Job =
            read.ok_or_else(|| Problem::system(format!("{} is gone", path.display())))?;
        let device = self.pool.device(slot);
        (job.device, job.threads) = (device.name.clone(), device.threads);
        let path = self.address.folder.join("job.json");
        let text = serde_json::to_string_pretty(&job).expect("a job is plain data") + "\n";
        write_quickly(&path, text.as_bytes())?;
        Ok(path)
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Event { slot, generation, event }
                if self.pool.is_current(slot, generation) =>
            {
                self.say(slot, event);
            }
            Message::Gone { slot, generation } if self.pool.is_current(slot, generation) => {
                let errors = self.pool.errors(slot);
                let (class, message) = self.pool.replace(slot).obituary(&errors);
                self.say(slot, Event::Failed { class, message });
            }
            Message::Garbled { slot, line } => self.outgoing.push(Report::Garbled { slot, line }),
            Message::Event { .. } | Message::Gone { .. } | Message::Interrupt => {}
        }
    }

    /// Something to be told of the job of a slot.
    fn say(&mut self, slot: usize, event: Event) {
        let Some(busy) = &mut self.busy[slot] else { return };
        if matches!(event, Event::Progress { .. }) {
            busy.progress = Some(event);
            return;
        }
        let ticket = busy.ticket.clone();
        // In their order.
        let before = busy.progress.take();
        let ends = matches!(event, Event::Done | Event::Stopped { .. } | Event::Failed { .. });
        if ends {
            keep_log(&busy.work, &self.pool.errors(slot));
            self.busy[slot] = None;
            self.is_done = self.manner.own.is_some();
        }
        if matches!(event, Event::Failed { .. }) {
            self.pool.replace(slot);
        }
        for event in before.into_iter().chain([event]) {
            self.outgoing.push(Report::Said { slot, ticket: ticket.clone(), event });
        }
    }

    /// Tells what there is to tell: at once, or of mere progress now and then.
    fn tell(&mut self) -> Result<()> {
        if self.told.elapsed() > UNHURRIED {
            for (slot, busy) in self.busy.iter_mut().enumerate() {
                let Some(busy) = busy else { continue };
                if let Some(event) = busy.progress.take() {
                    self.outgoing.push(Report::Said { slot, ticket: busy.ticket.clone(), event });
                }
            }
        }
        if !self.outgoing.is_empty() {
            self.reports.post(&std::mem::take(&mut self.outgoing))?;
            self.told = Instant::now();
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        self.pool.close();
        self.outgoing.push(Report::Bye);
        self.tell()?;
        write_quickly(&self.address.gone(), b"")
    }
}

/// Appends what a worker wrote to standard error to the log of its node.
fn keep_log(work: &Path, errors: &str) {
    if errors.is_empty() {
        return;
    }
    // The log is for people: a full disk shows elsewhere.
    let opened = OpenOptions::new().create(true).append(true).open(work.join("log.txt"));
    let _ = opened.and_then(|mut file| file.write_all(errors.as_bytes()));
}
