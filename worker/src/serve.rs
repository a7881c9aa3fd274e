//! The worker's side of the contract: jobs come in on standard input, events go out on standard
//! output, one JSON line each. Nothing of a job reaches the next: threads are set, and networks and
//! data are made, per job.

use crate::files::write_json;
use crate::{data, device, evaluate, sample, train};
use ablate::failure::FailureClass;
use ablate::job::{Arithmetic, Costs, EXIT_STOPPED, Event, Input, Job};
use ablate::moment;
use ablate::problem::{Problem, Result};
use ablate::settings::Settings;
use std::cell::{Cell, RefCell};
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How a job ended without failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything is in the work folder.
    Done,
    /// It stopped as asked, with this many steps on disk.
    Stopped(u64),
}

/// What a job's code may use of the world: its job, its events, the wish to stop.
pub struct Context<'j> {
    /// The job.
    pub job: &'j Job,
    /// Where its tensors live.
    pub device: tch::Device,
    /// What its bits depend on, set when it starts.
    pub arithmetic: RefCell<Arithmetic>,
    stop: &'j AtomicBool,
    emit: &'j dyn Fn(&Event),
    last_progress: Cell<Option<Instant>>,
    last_checkpoint: Cell<u64>,
}

/// Time between two progress events.
const BEAT: Duration = Duration::from_millis(250);

impl<'j> Context<'j> {
    /// The context of a job; `emit` takes its events.
    ///
    /// # Errors
    /// If its device is not there.
    pub fn new(job: &'j Job, stop: &'j AtomicBool, emit: &'j dyn Fn(&Event)) -> Result<Self> {
        let device = device::of(job)?;
        device::set_threads(job.threads);
        let arithmetic = RefCell::new(device::arithmetic(device, job.threads));
        Ok(Self {
            job,
            device,
            arithmetic,
            stop,
            emit,
            last_progress: Cell::new(None),
            last_checkpoint: Cell::new(0),
        })
    }

    /// Whether the job was asked to save and end.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Says that the job begins, at `step` of `total`.
    pub fn started(&self, step: u64, total: u64) {
        (self.emit)(&Event::Started { step, total, arithmetic: self.arithmetic.borrow().clone() });
    }

    /// Says how far the job is, at most four times a second; whether it was said.
    pub fn progress(&self, step: u64, total: u64, loss: Option<f64>) -> bool {
        let due = self.is_progress_due();
        if due {
            self.last_progress.set(Some(Instant::now()));
            (self.emit)(&Event::Progress { step, total, loss });
        }
        due
    }

    /// Whether [`Context::progress`] would say anything now.
    pub fn is_progress_due(&self) -> bool {
        self.last_progress.get().is_none_or(|last| last.elapsed() >= BEAT)
    }

    /// Says that all up to `step` is on disk.
    pub fn checkpoint(&self, step: u64) {
        self.last_checkpoint.set(step);
        (self.emit)(&Event::Checkpoint { step });
    }

    /// The step of the last checkpoint of this attempt.
    pub fn last_checkpoint(&self) -> u64 {
        self.last_checkpoint.get()
    }

    /// Says something a person should know.
    pub fn note(&self, text: impl Into<String>) {
        (self.emit)(&Event::Note { text: text.into() });
    }

    /// Writes what the job cost.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn costs(&self, costs: &Costs) -> Result<()> {
        write_json(
            &self.job.work.join("costs.json"),
            &Costs { memory_bytes: peak_memory_bytes(), ..costs.clone() },
        )
    }
}

/// The largest memory of this process so far, as Linux tells it.
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Runs the program.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => serve(),
        Some("--version") => {
            write_line(&format!(
                "ablate-worker {} (libtorch {})",
                env!("CARGO_PKG_VERSION"),
                device::LIBTORCH
            ));
            ExitCode::SUCCESS
        }
        Some(path) => {
            let stop = Arc::new(AtomicBool::new(false));
            match attempt(Path::new(path), &stop) {
                Event::Done => ExitCode::SUCCESS,
                Event::Stopped { .. } => ExitCode::from(EXIT_STOPPED as u8),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn write_line(line: &str) {
    let mut out = std::io::stdout().lock();
    if moment::is_last("within", "event") {
        let half = &line.as_bytes()[..line.len() / 2];
        let _ = out.write_all(half).and_then(|()| out.flush());
        moment::end();
    }
    // A coordinator that is gone has closed the input too, and that ends the worker.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

fn emit(event: &Event) {
    write_line(&serde_json::to_string(event).expect("an event is plain data"));
}

/// Runs jobs until the input closes.
fn serve() -> ExitCode {
    let stop = Arc::new(AtomicBool::new(false));
    let closed = Arc::new(AtomicBool::new(false));
    let (sender, jobs) = channel();
    let (stop_flag, closed_flag) = (Arc::clone(&stop), Arc::clone(&closed));
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(|line| line.ok()) {
            if line == "stop" {
                stop_flag.store(true, Ordering::SeqCst);
            } else if sender.send(line).is_err() {
                return;
            }
        }
        closed_flag.store(true, Ordering::SeqCst);
        stop_flag.store(true, Ordering::SeqCst);
    });
    emit(&Event::Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: device::LIBTORCH.to_owned(),
    });
    let mut last = Event::Done;
    for path in jobs {
        last = attempt(Path::new(&path), &stop);
        // A wish to stop that came after the job's end is over with it.
        stop.store(closed.load(Ordering::SeqCst), Ordering::SeqCst);
    }
    if matches!(last, Event::Stopped { .. }) {
        ExitCode::from(EXIT_STOPPED as u8)
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs one job and says how it ended.
fn attempt(path: &Path, stop: &AtomicBool) -> Event {
    let end = match catch_unwind(AssertUnwindSafe(|| run(path, stop, &emit))) {
        Ok(Ok(End::Done)) => Event::Done,
        Ok(Ok(End::Stopped(step))) => Event::Stopped { step },
        Ok(Err(problem)) => failure(FailureClass::of(&problem), &problem.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let text = text.unwrap_or_else(|| "the worker panicked".to_owned());
            failure(FailureClass::of_text(&text), &text)
        }
    };
    emit(&end);
    end
}

/// Runs the job in a file.
///
/// # Errors
/// Whatever keeps the job from ending well.
pub fn run(path: &Path, stop: &AtomicBool, emit: &dyn Fn(&Event)) -> Result<End> {
    let job = Job::read(path)?;
    let settings = job.settings()?;
    let context = Context::new(&job, stop, emit)?;
    match &settings {
        Settings::Dataset(settings) => data::dataset::run(&context, settings),
        Settings::Train(settings) => train::run(&context, settings),
        Settings::Sample(settings) => sample::run(&context, settings),
        Settings::Evaluate(settings) => evaluate::run(&context, settings),
    }
}

/// The folder and port of an input.
///
/// # Errors
/// If the job has no such input.
pub fn input<'j>(job: &'j Job, role: &str) -> Result<&'j Input> {
    job.inputs.get(role).ok_or_else(|| Problem::system(format!("the job has no input `{role}`")))
}

/// The inputs with a role: one, or those that were collected as `role.0`, `role.1`, …
///
/// # Errors
/// If there is none.
pub fn inputs<'j>(job: &'j Job, role: &str) -> Result<Vec<&'j Input>> {
    let collected = (0..).map_while(|i| job.inputs.get(&format!("{role}.{i}")));
    let all: Vec<&Input> = job.inputs.get(role).into_iter().chain(collected).collect();
    if all.is_empty() {
        return Err(Problem::system(format!("the job has no input `{role}`")));
    }
    Ok(all)
}

/// The event of a failure, told in one line.
fn failure(class: FailureClass, message: &str) -> Event {
    // The stack of libtorch's C++ follows the first lines.
    let mut told = String::new();
    for line in message.lines().take(4).map(str::trim) {
        told += &match (line.strip_prefix("help: "), told.is_empty()) {
            (Some(help), _) => format!(" ({help})"),
            (None, true) => line.to_owned(),
            (None, false) => format!(" / {line}"),
        };
    }
    Event::Failed { class, message: told }
}
