//! Runs the programs of command nodes: what a worker is for tensors, this is for anything else. It tells the program
//! what it needs in arguments and environment variables, hears of its progress, lets it save when it must stop,
//! and checks what it leaves. It holds to the same contract as the worker of tensors, so that slots, failures and
//! resuming are the same.

mod leaving;
mod outside;
mod processes;
mod progress;
mod telling;

use crate::failure::FailureClass;
use crate::files::{self, write_artefact};
use crate::job::{Arithmetic, Costs, End, Event, Job};
use crate::problem::{Problem, Result};
use crate::settings::{Command, Settings};
use outside::Look;
use processes::Watch;
pub use processes::memory_kills;
use progress::Progress;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use telling::Surroundings;

/// The folder in the node's that is kept from attempt to attempt, and not when it is finished.
const CHECKPOINT: &str = "checkpoint";

/// The file into which a program writes how far it is.
const PROGRESS: &str = "progress.jsonl";

/// Time between two looks at whether a program has ended: short at first, as short programs are many.
const LOOKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(50)];

/// Time between two looks at what it says.
const BEAT: Duration = Duration::from_millis(250);

/// How long a program whose coordinator is gone may take to save.
const PATIENCE: Duration = Duration::from_secs(15);

/// Serves jobs that arrive on standard input, or does the one in a file; the exit code.
pub fn main(job: Option<&Path>) -> u8 {
    // Whose child we are is known from here on.
    is_orphaned();
    // The programs inherit the lock of the slot: it is taken for as long as one of them lives, whatever happens to us.
    let _lock = rustix::io::dup(std::io::stderr());
    match job {
        Some(path) => crate::job::alone(path, run),
        None => crate::job::serve("none", run),
    }
}

/// Runs the job in a file.
fn run(path: &Path, stop: &AtomicBool, emit: &dyn Fn(&Event)) -> Result<End> {
    let job = Job::read(path)?;
    let Settings::Command(command) = job.settings()? else {
        let what = format!("{} is no command: a worker of tensors does it", job.name);
        return Err(Problem::system(what));
    };
    clear(&job.work)?;
    let mut progress = Progress::open(job.work.join(PROGRESS));
    let arithmetic = Arithmetic {
        device: job.device.clone(),
        threads: job.threads,
        libtorch: "none of ours".to_owned(),
        deterministic: false,
    };
    let (step, total) = (progress.saved, progress.total.max(1));
    emit(&Event::Started { step, total, arithmetic });
    let before = Look::at(&command.folder.0, &job.work);
    let mut attempt = match Attempt::start(&job, &command) {
        Ok(attempt) => attempt,
        Err(problem) => return Ok(End::Failed(FailureClass::BadInput, problem.to_string())),
    };
    let status = attempt.attend(&mut progress, stop, emit)?;
    let end = attempt.ended(status, progress.saved, stop.load(Ordering::SeqCst));
    if end != End::Done {
        return Ok(end);
    }
    if let Some(text) = before.changes(&command.folder.0, &job.work) {
        emit(&Event::Note { text });
    }
    attempt.finish(&job, &command)
}

/// Makes the folder as a program finds it: what an earlier attempt left is gone, but for its checkpoint.
fn clear(work: &Path) -> Result<()> {
    let kept = [CHECKPOINT, PROGRESS, "job.json", "log.txt", "events.jsonl"];
    let entries = fs::read_dir(work).map_err(|e| Problem::os("list", work, &e))?;
    for entry in entries.filter_map(std::result::Result::ok) {
        if kept.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|e| Problem::os("remove", &path, &e))?;
    }
    let checkpoint = work.join(CHECKPOINT);
    fs::create_dir_all(&checkpoint).map_err(|e| Problem::os("make the folder", &checkpoint, &e))
}

/// A program that runs.
struct Attempt {
    child: Child,
    watch: Watch,
    started: Instant,
    /// What is called, for people.
    called: String,
    log: std::path::PathBuf,
    /// Where in the log the output of this attempt begins.
    log_from: u64,
    surroundings: Surroundings,
}

impl Attempt {
    fn start(job: &Job, command: &Command) -> Result<Self> {
        let log = job.work.join("log.txt");
        let open = || -> std::io::Result<(File, File, u64)> {
            let file = OpenOptions::new().create(true).append(true).open(&log)?;
            let from = file.metadata()?.len();
            Ok((file.try_clone()?, file, from))
        };
        let (output, errors, log_from) = open().map_err(|e| Problem::os("open", &log, &e))?;
        let told = telling::told(job, command);
        let mut process = told.process();
        process.stdin(Stdio::null()).stdout(output).stderr(errors);
        let watch = Watch::new(told.has_wrapper());
        let called = told.called();
        let child = process.spawn().map_err(|e| {
            let why = match e.kind() {
                std::io::ErrorKind::NotFound => "it is not there".to_owned(),
                _ => e.to_string(),
            };
            let problem = Problem::new(format!("`{}` cannot be started: {why}", told.program()));
            problem.help(format!("it is looked for from {}", command.folder.0.display()))
        })?;
        let surroundings = Surroundings::capture(&told, command);
        Ok(Self { child, watch, started: Instant::now(), called, log, log_from, surroundings })
    }

    /// Waits for the end of the program, hears of its progress, and asks it to save when it must stop.
    fn attend(
        &mut self,
        progress: &mut Progress,
        stop: &AtomicBool,
        emit: &dyn Fn(&Event),
    ) -> Result<ExitStatus> {
        let fail = |e: std::io::Error| Problem::system(format!("cannot wait for a program: {e}"));
        let mut asked: Option<Instant> = None;
        let mut looked = Instant::now();
        loop {
            let status = self.child.try_wait().map_err(fail)?;
            if status.is_some() || looked.elapsed() >= BEAT {
                looked = Instant::now();
                progress.tell(&self.log, emit);
                self.watch.look();
            }
            if let Some(status) = status {
                // What it has left running would write on into a folder that is finished.
                self.watch.end_rest();
                return Ok(status);
            }
            if stop.load(Ordering::SeqCst) && asked.is_none() {
                self.watch.ask_to_stop(self.child.id());
                asked = Some(Instant::now());
            }
            if asked.is_some_and(|since| since.elapsed() > PATIENCE && is_orphaned()) {
                self.watch.kill(self.child.id());
            }
            let is_young = self.started.elapsed() < Duration::from_secs(1);
            std::thread::sleep(LOOKS[usize::from(!is_young)]);
        }
    }

    /// How it ended: well, early as it was asked, or in a failure.
    fn ended(&self, status: ExitStatus, saved: u64, was_asked: bool) -> End {
        if status.success() {
            return End::Done;
        }
        if was_asked || status.code() == Some(crate::job::EXIT_STOPPED) {
            return End::Stopped(saved);
        }
        let length = fs::metadata(&self.log).map_or(0, |meta| meta.len());
        let said = files::tail(&self.log, (length - self.log_from.min(length)).min(1 << 14));
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(3)..].join(" / ");
        let class = match status.signal() {
            Some(_) if self.watch.was_short_of_memory() => FailureClass::HostMemory,
            // Of many lines the last ones tell: an earlier error may have been got over.
            signal => FailureClass::told_by(&last).unwrap_or(match signal {
                Some(_) => FailureClass::WorkerDied,
                None => FailureClass::Bug,
            }),
        };
        let told = if last.is_empty() { String::new() } else { format!(": {last}") };
        End::Failed(class, format!("`{}` ended with {status}{told}", self.called))
    }

    /// Checks what a program that ended well has left, and writes down what it cost.
    fn finish(self, job: &Job, command: &Command) -> Result<End> {
        if let Err(problem) = leaving::check(&job.work, command) {
            return Ok(End::Failed(FailureClass::Bug, problem.to_string()));
        }
        leaving::describe(job)?;
        let costs = Costs {
            seconds: self.started.elapsed().as_secs_f64(),
            steps: 1,
            memory_bytes: self.watch.most_memory(),
            ..Costs::default()
        };
        let write = |name: &str, value: &serde_json::Value| {
            let text = serde_json::to_string_pretty(value).expect("plain data") + "\n";
            write_artefact(&job.work.join(name), text.as_bytes())
        };
        write("costs.json", &serde_json::to_value(&costs).expect("numbers"))?;
        write("environment.json", &self.surroundings.value())?;
        // Nobody goes on from here.
        let _ = fs::remove_file(job.work.join(PROGRESS));
        let checkpoint = job.work.join(CHECKPOINT);
        fs::remove_dir_all(&checkpoint).map_err(|e| Problem::os("remove", &checkpoint, &e))?;
        Ok(End::Done)
    }
}

/// Whether whoever started this program is gone.
fn is_orphaned() -> bool {
    static PARENT: std::sync::OnceLock<Option<rustix::process::Pid>> = std::sync::OnceLock::new();
    let now = rustix::process::getppid();
    *PARENT.get_or_init(|| now) != now
}
