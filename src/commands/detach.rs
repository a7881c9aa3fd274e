//! `ablate run --detach`: the same run in a process of its own, which no terminal ends.

use super::{Done, print};
use crate::coordinator;
use crate::problem::Problem;
use crate::store::Results;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Says to the process that it is the one that goes on.
const DETACHED: &str = "ABLATE_DETACHED";

/// How long a run may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// Leaves the terminal, if this is the process that goes on.
pub(super) fn leave_terminal() {
    if std::env::var_os(DETACHED).is_some() {
        // It fails for the leader of a group, which has left it already.
        let _ = rustix::process::setsid();
    }
}

/// Starts this program once more with the same arguments but `--detach`, and leaves once that is at work.
pub(super) fn detach(results: &Results, experiment: &str) -> Done {
    let folder = results.experiment(experiment);
    fs::create_dir_all(&folder).map_err(|e| Problem::os("make the folder", &folder, &e))?;
    let log = folder.join("run.log");
    let open = || OpenOptions::new().create(true).append(true).open(&log);
    let (out, errors) = (open(), open());
    let files = out.and_then(|out| Ok((out, errors?)));
    let (out, errors) = files.map_err(|e| Problem::os("open", &log, &e))?;
    let from = fs::metadata(&log).map_or(0, |meta| meta.len());
    let program = std::env::current_exe()
        .map_err(|e| Problem::system(format!("cannot find this program: {e}")))?;
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--detach");
    let mut command = Command::new(&program);
    command.args(arguments).env(DETACHED, "1");
    command.stdin(Stdio::null()).stdout(Stdio::from(out)).stderr(Stdio::from(errors));
    let mut child = command.spawn().map_err(|e| Problem::os("start", &program, &e))?;
    let (pid, begun) = (child.id(), Instant::now());
    let is_its = |id: &String| id.ends_with(&format!("-{pid}"));
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            print(&said_since(&log, from));
            return Ok(status.code().map_or(1, |code| code as u8));
        }
        if coordinator::living(results).iter().any(is_its) || begun.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    print(&format!(
        "runs as process {pid}; `ablate status --watch` shows it, `ablate stop` stops it, and what it says is in {}",
        log.display()
    ));
    Ok(0)
}

fn said_since(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let new = bytes.get(from as usize..).unwrap_or_default();
    String::from_utf8_lossy(new).trim_end().to_owned()
}
