//! The processes of a program: their memory, how they are asked to stop, and how their rest ends. What the system
//! tells of them is read from `/proc`; where there is none, the program alone is known.

use rustix::process::{Pid, Signal, getpgid, kill_process};
use std::fs;

/// What is known of the processes of one program.
pub(super) struct Watch {
    /// Whether the program is started by another one, such as a shell, that may not pass signals on.
    has_wrapper: bool,
    /// Bytes of memory that they had together at most.
    most: u64,
    /// Processes that the system had ended for lack of memory before.
    kills: Option<u64>,
}

/// A line of `/proc/PID/stat`, as far as it matters.
struct Stat {
    pid: u32,
    parent: u32,
    group: u32,
    pages: u64,
}

impl Watch {
    pub(super) fn new(has_wrapper: bool) -> Self {
        Self { has_wrapper, most: 0, kills: memory_kills() }
    }

    /// Notes the memory that they have now.
    pub(super) fn look(&mut self) {
        let pages: u64 = others_of_group().iter().map(|stat| stat.pages).sum();
        self.most = self.most.max(pages * rustix::param::page_size() as u64);
    }

    pub(super) fn most_memory(&self) -> u64 {
        self.most
    }

    /// Whether the system has ended processes for lack of memory meanwhile.
    pub(super) fn was_short_of_memory(&self) -> bool {
        self.kills.zip(memory_kills()).is_some_and(|(then, now)| now > then)
    }

    /// Asks a program to save and end. Loaders of data and other helpers of it are its own to end; but what
    /// another program was asked to start gets the signal itself.
    pub(super) fn ask_to_stop(&self, program: u32) {
        if self.has_wrapper {
            let started = others_of_group().into_iter().filter(|stat| stat.parent == program);
            started.for_each(|stat| signal(stat.pid, Signal::TERM));
        }
        signal(program, Signal::TERM);
    }

    /// Ends a program without leaving it time.
    pub(super) fn kill(&self, program: u32) {
        signal(program, Signal::KILL);
        self.end_rest();
    }

    /// Ends what a program has left running.
    pub(super) fn end_rest(&self) {
        // A wrapper that died of a signal may have left the program itself, still saving.
        others_of_group().iter().for_each(|stat| signal(stat.pid, Signal::KILL));
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Who is gone needs no signal.
        let _ = kill_process(pid, signal);
    }
}

/// The other processes of our group, if it is ours: a worker leads one, in which all that it starts stays.
fn others_of_group() -> Vec<Stat> {
    let own = std::process::id();
    let leads = getpgid(None).is_ok_and(|group| group.as_raw_nonzero().get() as u32 == own);
    if !leads {
        return vec![];
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(stat).filter(|stat| stat.group == own && stat.pid != own).collect()
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let is_dead = fields.first() == Some(&"Z");
    if is_dead {
        return None;
    }
    Some(Stat { pid, parent: number(1)? as u32, group: number(2)? as u32, pages: number(21)? })
}

/// How many processes Linux has ended for lack of memory since it started.
pub fn memory_kills() -> Option<u64> {
    let counters = fs::read_to_string("/proc/vmstat").ok()?;
    let line = counters.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}
