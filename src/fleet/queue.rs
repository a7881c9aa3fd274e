//! What a scheduler is asked, in its own commands: to submit, to list, to cancel. It may take a minute to answer, or not
//! answer at all; a thread asks, so that nobody else waits.

use crate::pilot::TOKEN;
use crate::problem::{Problem, Result};
use crate::site::{Names, Site, quoted};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long a command of the scheduler may take.
const LONGEST: Duration = Duration::from_secs(60);

/// A job, or one element of an array: what became of it, by the scheduler's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The state, such as `RUNNING`.
    pub state: String,
    /// Why it waits.
    pub reason: String,
}

impl Job {
    /// Whether it waits or runs, or does something that this program has not heard of.
    pub(super) fn is_live(&self) -> bool {
        const ENDED: [&str; 8] = [
            "BOOT_FAIL",
            "CANCELLED",
            "COMPLETED",
            "DEADLINE",
            "FAILED",
            "NODE_FAIL",
            "OUT_OF_MEMORY",
            "TIMEOUT",
        ];
        !ENDED.contains(&self.state.as_str()) && self.state != "PREEMPTED"
    }

    /// Whether its processes may be there.
    pub(super) fn may_run(&self) -> bool {
        self.is_live() && self.state != "PENDING" && self.state != "REQUEUED"
    }
}

/// Jobs by name: that of the submission, and the number in its array.
pub type Jobs = BTreeMap<String, Job>;

/// A scheduler, and the site that says how it is spoken to.
#[derive(Debug, Clone)]
pub struct Scheduler {
    site: Site,
    names: Names,
}

impl Scheduler {
    /// The scheduler of a site, for the jobs of one experiment.
    pub fn new(site: Site, names: Names) -> Self {
        Self { site, names }
    }

    /// Whether it would take a job of these pilots; what it says.
    ///
    /// # Errors
    /// If it would not.
    pub fn test(&self) -> Result<()> {
        if self.site.commands.is_some() {
            return Ok(());
        }
        let script = self.site.script(&self.names, 1);
        run(slurm("sbatch").arg("--test-only"), Some(script)).map(|_| ())
    }

    /// Submits pilots; the name of the submission.
    ///
    /// # Errors
    /// If it refuses.
    pub fn submit(&self, count: u64) -> Result<String> {
        let script = self.site.script(&self.names, count);
        let Some(commands) = &self.site.commands else {
            let said = run(slurm("sbatch").arg("--parsable"), Some(script))?;
            return id_in(&said)
                .ok_or_else(|| Problem::system(format!("sbatch says no number: {}", said.trim())));
        };
        let log = self.names.pilots.join("log");
        // By this word the pilot is known; what the scheduler calls its job is known only afterwards.
        let token = format!("{:x}", jiff::Timestamp::now().as_millisecond());
        let path = log.join(format!("{token}.sh"));
        let line = format!("set -e\nexport {TOKEN}={token}\n");
        let script = script.replacen("set -e\n", &line, 1);
        std::fs::write(&path, script).map_err(|e| Problem::os("write", &path, &e))?;
        let line = commands.submit.replace("{script}", &quoted(&path.display().to_string()));
        let said = run(Command::new("sh").args(["-c", &line]), None)?;
        let last = said.split_whitespace().next_back().map(|id| format!("{token}={id}"));
        last.ok_or_else(|| Problem::system(format!("`{line}` prints no name of a job")))
    }

    /// The jobs that it knows; of another scheduler than Slurm, those of `ours` that are alive.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn list(&self, ours: &[String]) -> Result<Jobs> {
        let Some(commands) = &self.site.commands else {
            let mut command = slurm("squeue");
            command.args([
                "-h",
                "-r",
                "-t",
                "all",
                "--me",
                "-n",
                &self.names.job,
                "-o",
                "%F|%K|%T|%r",
            ]);
            return Ok(jobs_in(&run(&mut command, None)?));
        };
        let is_alive = |id: &String| {
            let line = commands.alive.replace("{id}", &quoted(id_of(id)));
            let status = Command::new("sh")
                .args(["-c", &line])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            status.is_ok_and(|status| status.success())
        };
        let state = |id: &String| {
            let state = if is_alive(id) { "ALIVE" } else { "COMPLETED" };
            (format!("{}_0", stem(id)), Job { state: state.to_owned(), reason: String::new() })
        };
        Ok(ours.iter().map(state).collect())
    }

    /// Cancels all jobs of the experiment, or those that wait.
    ///
    /// # Errors
    /// If it refuses.
    pub fn cancel(&self, only_waiting: bool, ours: &[String]) -> Result<()> {
        let Some(commands) = &self.site.commands else {
            let mut command = slurm("scancel");
            command.args(["--me", "--name", &self.names.job]);
            if only_waiting {
                command.arg("--state=PENDING");
            }
            return run(&mut command, None).map(|_| ());
        };
        for id in ours.iter().filter(|_| !only_waiting) {
            let line = commands.cancel.replace("{id}", &quoted(id_of(id)));
            // Those that have ended cannot be cancelled.
            let _ = run(Command::new("sh").args(["-c", &line]), None);
        }
        Ok(())
    }
}

/// What the names of a submission's jobs begin with.
pub(super) fn stem(submission: &str) -> &str {
    submission.split('=').next().unwrap_or(submission)
}

/// What another scheduler than Slurm calls the job of a submission.
pub(super) fn id_of(submission: &str) -> &str {
    submission.split_once('=').map_or(submission, |(_, id)| id)
}

/// A command of Slurm, without what the user's settings, or a job around us, would make of it.
fn slurm(name: &str) -> Command {
    let mut command = Command::new(name);
    let within = std::env::var_os("SLURM_JOB_ID").is_some();
    for (variable, _) in std::env::vars_os() {
        let Some(word) = variable.to_str() else { continue };
        let formats = word.starts_with("SQUEUE_")
            || word.starts_with("SACCT_")
            || word == "SLURM_TIME_FORMAT";
        let of_job = within && word.starts_with("SLURM_") && word != "SLURM_CONF";
        if formats || of_job {
            command.env_remove(word);
        }
    }
    command
}

/// Runs a command; what it prints.
fn run(command: &mut Command, input: Option<String>) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|e| {
        let problem = Problem::system(format!("cannot run `{name}`: {e}"));
        problem.help("is this a host from which jobs are submitted?")
    })?;
    let (sender, ended) = channel();
    std::thread::spawn(move || {
        let written =
            child.stdin.take().zip(input).map(|(mut pipe, text)| pipe.write_all(text.as_bytes()));
        // A program that does not read its input says why.
        drop(written);
        let _ = sender.send(child.wait_with_output());
    });
    let output: Output = match ended.recv_timeout(LONGEST) {
        Ok(output) => output.map_err(|e| Problem::system(format!("`{name}`: {e}")))?,
        Err(_) => return Err(Problem::system(format!("`{name}` does not answer"))),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(Problem::system(format!("`{name}` refuses: {}", said.join(" / "))))
}

/// The number in what `sbatch --parsable` prints: `123` or `123;cluster`, below whatever the site prints too.
fn id_in(said: &str) -> Option<String> {
    said.lines().rev().find_map(|line| {
        let word = line.trim().split(';').next()?;
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| word.to_owned())
    })
}

/// The jobs in lines of `squeue`.
fn jobs_in(said: &str) -> Jobs {
    let job = |line: &str| {
        let mut words = line.trim().split('|');
        let (id, element) = (words.next()?, words.next()?);
        let element = if element.bytes().all(|b| b.is_ascii_digit()) { element } else { "0" };
        let state = words.next()?.to_owned();
        Some((format!("{id}_{element}"), Job { state, reason: words.next()?.to_owned() }))
    };
    said.lines().filter_map(job).collect()
}

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// Submit so many pilots.
    Submit(u64),
    /// List the jobs; these are ours.
    List(Vec<String>),
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// The submission of so many pilots.
    Submitted(u64, Result<String>),
    /// The list.
    Listed(Result<Jobs>),
}

/// Starts the thread.
pub(super) fn ask(scheduler: Scheduler) -> (Sender<Ask>, Receiver<Answer>) {
    let (asks, asked) = channel();
    let (answers, answered) = channel();
    std::thread::spawn(move || {
        loop {
            let answer = match asked.recv_timeout(Duration::from_secs(3600)) {
                Ok(Ask::Submit(count)) => Answer::Submitted(count, scheduler.submit(count)),
                Ok(Ask::List(ours)) => Answer::Listed(scheduler.list(&ours)),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if answers.send(answer).is_err() {
                return;
            }
        }
    });
    (asks, answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_submission_is_found_below_a_banner() {
        assert_eq!(id_in("Welcome to 2026\n 17 nodes are down\n123;gpu\n").as_deref(), Some("123"));
        assert_eq!(id_in("42\n").as_deref(), Some("42"));
        assert_eq!(id_in("sbatch: no\n"), None);
    }

    #[test]
    fn a_list_of_jobs_is_understood_and_unknown_states_are_alive() {
        let said = "12|0|RUNNING|None\n12|1|PENDING|Resources\n13|N/A|COMPLETED|None\n14|0|SIGNALING|None\nnonsense\n";
        let jobs = jobs_in(said);
        assert_eq!(jobs.len(), 4);
        assert!(jobs["12_0"].may_run() && jobs["12_1"].is_live() && !jobs["12_1"].may_run());
        assert!(!jobs["13_0"].is_live() && jobs["14_0"].may_run());
    }
}
