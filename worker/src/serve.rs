//! What this worker does with the jobs it is given. Nothing of a job reaches the next: threads are set, and
//! networks and data are made, per job.

use crate::files::write_json;
use crate::{data, device, evaluate, memory, sample, train};
use ablate::job::{Arithmetic, Costs, Event, Input, Job, alone, serve};
use ablate::problem::{Problem, Result};
use ablate::settings::Settings;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use ablate::job::End;

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
        let arithmetic = RefCell::new(device::arithmetic(device, job.threads, job.deterministic));
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

/// Bytes of freed tensors that may be kept during a job, however few are in use.
const SPARE: u64 = 512 << 20;

/// Runs the program.
pub fn main() -> ExitCode {
    memory::keep(SPARE);
    match std::env::args().nth(1).as_deref() {
        None => serve(device::LIBTORCH, run).into(),
        Some("--version") => {
            let version = env!("CARGO_PKG_VERSION");
            let line = format!("ablate-worker {version} (libtorch {})\n", device::LIBTORCH);
            // Whoever asked and left does not want the answer.
            let _ = std::io::stdout().lock().write_all(line.as_bytes());
            ExitCode::SUCCESS
        }
        Some(path) => alone(Path::new(path), run).into(),
    }
}

/// Runs the job in a file.
///
/// # Errors
/// Whatever keeps the job from ending well.
pub fn run(path: &Path, stop: &AtomicBool, emit: &dyn Fn(&Event)) -> Result<End> {
    let job = Job::read(path)?;
    let settings = job.settings()?;
    let context = Context::new(&job, stop, emit)?;
    let ended = match &settings {
        Settings::Dataset(settings) => data::dataset::run(&context, settings),
        Settings::Train(settings) => train::run(&context, settings),
        Settings::Sample(settings) => sample::run(&context, settings),
        Settings::Evaluate(settings) => evaluate::run(&context, settings),
        Settings::Command(_) => Err(Problem::system("a worker of tensors runs no commands")),
    };
    // The next job may be a small one, beside large ones of others.
    memory::release();
    ended
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
