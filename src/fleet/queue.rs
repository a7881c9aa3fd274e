//! What a scheduler is asked, in its own commands: to submit, to list, to cancel. It may take a minute to answer, or not
//! answer at all; a thread asks, so that nobody else waits.

use crate::pilot::TOKEN;
use crate::problem::{Problem, Result};
use crate::site::{Commands, Names, OWN, Pool, Purpose, quoted};
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
    pools: Vec<Pool>,
    names: Names,
}

impl Scheduler {
    /// The scheduler of a site's pools, for the jobs of one experiment.
    pub fn new(pools: Vec<Pool>, names: Names) -> Self {
        Self { pools, names }
    }

    /// Whether it would take a job of each pool; what it says.
    ///
    /// # Errors
    /// If it would not.
    pub fn test(&self) -> Result<()> {
        for pool in self.pools.iter().filter(|pool| pool.site.commands.is_none()) {
            let script = pool.site.script(&self.names, &pool.name, Purpose::Pilots(1));
            let tested = run(slurm("sbatch").arg("--test-only"), Some(script));
            tested.map_err(|mut problem| {
                if !pool.name.is_empty() {
                    problem.sentence = format!("pool {}: {}", pool.name, problem.sentence);
                }
                problem
            })?;
        }
        Ok(())
    }

    /// Submits a job of a pool; the name of the submission.
    ///
    /// # Errors
    /// If it refuses.
    pub fn submit(&self, pool: usize, purpose: Purpose<'_>) -> Result<String> {
        let Pool { name, site, .. } = &self.pools[pool];
        let script = site.script(&self.names, name, purpose);
        let Some(commands) = &site.commands else {
            let said = run(slurm("sbatch").arg("--parsable"), Some(script))?;
            let id = id_in(&said).ok_or_else(|| {
                Problem::system(format!("sbatch says no number: {}", said.trim()))
            })?;
            return Ok(match purpose {
                Purpose::Pilots(_) => id,
                Purpose::Own(name) => format!("{name}={id}"),
            });
        };
        let log = self.names.pilots.join("log");
        // By this word the pilot is known; what the scheduler calls its job is known only afterwards.
        let token = match purpose {
            Purpose::Pilots(_) => format!("{:x}", jiff::Timestamp::now().as_millisecond()),
            Purpose::Own(name) => name.to_owned(),
        };
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
        let mut jobs = Jobs::new();
        if self.pools.iter().any(|pool| pool.site.commands.is_none()) {
            let mut command = slurm("squeue");
            command.args(["-h", "-r", "-t", "all", "--me", "-o", "%F|%K|%T|%r|%j", "-n"]);
            command.arg(self.job_names(ours).join(","));
            jobs = jobs_in(&run(&mut command, None)?, &self.names.job);
        }
        let Some(commands) = self.commands() else { return Ok(jobs) };
        let is_alive = |id: &String| {
            let line = commands.alive.replace("{id}", &quoted(id_of(id)));
            let status = Command::new("sh")
                .args(["-c", &line])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            status.is_ok_and(|status| status.success())
        };
        // What is only booked has no name yet by which this scheduler would know it.
        for id in ours.iter().filter(|id| id.contains('=')) {
            let state = if is_alive(id) { "ALIVE" } else { "COMPLETED" };
            let name =
                if is_own(stem(id)) { stem(id).to_owned() } else { format!("{}_0", stem(id)) };
            jobs.insert(name, Job { state: state.to_owned(), reason: String::new() });
        }
        Ok(jobs)
    }

    /// How another scheduler than Slurm is spoken to, if there is one: a site has one scheduler.
    fn commands(&self) -> Option<&Commands> {
        self.pools.iter().find_map(|pool| pool.site.commands.as_ref())
    }

    /// The names that jobs may have.
    fn job_names(&self, ours: &[String]) -> Vec<String> {
        let pools = self.pools.iter().map(|pool| self.names.of(&pool.name, Purpose::Pilots(1)));
        let own = ours.iter().map(|id| stem(id)).filter(|name| is_own(name));
        pools.chain(own.map(|name| self.names.of("", Purpose::Own(name)))).collect()
    }

    /// Cancels all jobs of the experiment, or those that wait.
    ///
    /// # Errors
    /// If it refuses.
    pub fn cancel(&self, only_waiting: bool, ours: &[String]) -> Result<()> {
        let Some(commands) = self.commands() else {
            for name in self.job_names(ours) {
                let mut command = slurm("scancel");
                command.args(["--me", "--name", &name]);
                if only_waiting {
                    command.arg("--state=PENDING");
                }
                run(&mut command, None)?;
            }
            return Ok(());
        };
        // Whether one waits is not known.
        ours.iter().filter(|_| !only_waiting).for_each(|id| cancel_by(commands, id));
        Ok(())
    }

    /// Cancels one submission, if it has not ended.
    fn cancel_one(&self, id: &str) {
        match self.commands() {
            Some(commands) => cancel_by(commands, id),
            None => drop(run(slurm("scancel").arg(id_of(id)), None)),
        }
    }
}

fn cancel_by(commands: &Commands, id: &str) {
    let line = commands.cancel.replace("{id}", &quoted(id_of(id)));
    // Those that have ended cannot be cancelled.
    let _ = run(Command::new("sh").args(["-c", &line]), None);
}

/// What the names of a submission's jobs begin with.
pub(super) fn stem(submission: &str) -> &str {
    submission.split('=').next().unwrap_or(submission)
}

/// Whether a name is that of a pilot with a job for one node.
pub(super) fn is_own(name: &str) -> bool {
    name.strip_prefix(OWN).is_some_and(|rest| rest.starts_with('-'))
}

/// What the scheduler calls the job of a submission.
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

/// The jobs in lines of `squeue`; those of one node by the names that are theirs behind that of the experiment.
fn jobs_in(said: &str, experiment: &str) -> Jobs {
    let job = |line: &str| {
        let mut words = line.trim().splitn(5, '|');
        let (id, element) = (words.next()?, words.next()?);
        let element = if element.bytes().all(|b| b.is_ascii_digit()) { element } else { "0" };
        let state = words.next()?.to_owned();
        let reason = words.next()?.to_owned();
        let own = words.next().and_then(|name| name.strip_prefix(experiment)?.strip_prefix('-'));
        let name = own.filter(|name| is_own(name)).map(str::to_owned);
        Some((name.unwrap_or_else(|| format!("{id}_{element}")), Job { state, reason }))
    };
    said.lines().filter_map(job).collect()
}

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// Submit so many pilots of a pool.
    Submit(usize, u64),
    /// Submit a job of a pool for one node.
    Own(usize, String),
    /// Cancel this submission.
    Cancel(String),
    /// List the jobs; these are ours.
    List(Vec<String>),
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// The submission of so many pilots of a pool.
    Submitted(usize, u64, Result<String>),
    /// That of the job of one node.
    Booked(usize, String, Result<String>),
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
                Ok(Ask::Submit(pool, count)) => {
                    let submitted = scheduler.submit(pool, Purpose::Pilots(count));
                    Answer::Submitted(pool, count, submitted)
                }
                Ok(Ask::Own(pool, name)) => {
                    let submitted = scheduler.submit(pool, Purpose::Own(&name));
                    Answer::Booked(pool, name, submitted)
                }
                Ok(Ask::Cancel(id)) => {
                    scheduler.cancel_one(&id);
                    continue;
                }
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
        let said = "12|0|RUNNING|None|ablate-x\n12|1|PENDING|Resources|ablate-x-cores\n13|N/A|COMPLETED|None|ablate-x\n14|0|SIGNALING|None|ablate-x\n15|N/A|PENDING|Priority|ablate-x-own-1f\nnonsense\n";
        let jobs = jobs_in(said, "ablate-x");
        assert_eq!(jobs.len(), 5);
        assert_eq!(jobs["own-1f"].reason, "Priority");
        assert!(jobs["12_0"].may_run() && jobs["12_1"].is_live() && !jobs["12_1"].may_run());
        assert!(!jobs["13_0"].is_live() && jobs["14_0"].may_run());
    }
}
