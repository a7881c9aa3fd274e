//! The worker's side of the contract, whatever its jobs are: they come in on standard input, events go out on
//! standard output, one JSON line each.

use super::{EXIT_STOPPED, Event};
use crate::failure::FailureClass;
use crate::moment;
use crate::problem::Result;
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everything is in the work folder.
    Done,
    /// It stopped as asked, with this many steps on disk.
    Stopped(u64),
    /// It failed, and the class is known otherwise than from the sentence.
    Failed(FailureClass, String),
}

/// Does the job in a file until it ends or the flag asks it to save and end; the last argument takes its events.
pub type Work = fn(&Path, &AtomicBool, &dyn Fn(&Event)) -> Result<End>;

/// Says an event on standard output.
pub fn emit(event: &Event) {
    let line = serde_json::to_string(event).expect("an event is plain data");
    let mut out = std::io::stdout().lock();
    if moment::is_last("within", "event") {
        let half = &line.as_bytes()[..line.len() / 2];
        let _ = out.write_all(half).and_then(|()| out.flush());
        moment::end();
    }
    // A coordinator that is gone has closed the input too, and that ends the worker.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// Does one job alone; the exit code tells how it ended.
pub fn alone(path: &Path, work: Work) -> u8 {
    code(&attempt(path, &AtomicBool::new(false), work))
}

fn code(last: &Event) -> u8 {
    match last {
        Event::Done => 0,
        Event::Stopped { .. } => EXIT_STOPPED as u8,
        _ => 1,
    }
}

/// Does jobs until the input closes; the exit code. `libtorch` is the version that the worker says it has.
pub fn serve(libtorch: &str, work: Work) -> u8 {
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
        libtorch: libtorch.to_owned(),
    });
    let mut last = Event::Done;
    for path in jobs {
        last = attempt(Path::new(&path), &stop, work);
        // A wish to stop that came after the job's end is over with it.
        stop.store(closed.load(Ordering::SeqCst), Ordering::SeqCst);
    }
    match last {
        Event::Stopped { .. } => code(&last),
        _ => 0,
    }
}

/// Does one job and says how it ended.
fn attempt(path: &Path, stop: &AtomicBool, work: Work) -> Event {
    let end = match catch_unwind(AssertUnwindSafe(|| work(path, stop, &emit))) {
        Ok(Ok(End::Done)) => Event::Done,
        Ok(Ok(End::Stopped(step))) => Event::Stopped { step },
        Ok(Ok(End::Failed(class, message))) => failure(class, &message),
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
