//! Moments at which a kill would hurt most: around a rename, within a transaction, in the middle of a line.
//! Tests end a program there: `ABLATE_KILL` holds a file, whose one line names a moment and how often it is
//! passed before the program is killed, such as `2 after publish`. Whoever is killed removes the file first, so
//! that one kill happens once, whichever process comes there. Without the variable nothing happens.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

struct Order {
    file: PathBuf,
    moment: String,
    left: AtomicU64,
}

fn order() -> Option<&'static Order> {
    static ORDER: OnceLock<Option<Order>> = OnceLock::new();
    let read = || {
        let file = PathBuf::from(std::env::var_os("ABLATE_KILL")?);
        let text = std::fs::read_to_string(&file).ok()?;
        let (times, moment) = text.trim().split_once(' ')?;
        let left = AtomicU64::new(times.parse().ok()?);
        Some(Order { file, moment: moment.to_owned(), left })
    };
    ORDER.get_or_init(read).as_ref()
}

/// Whether the program is to be killed at this moment, which has a word and a name; the file is gone then.
pub fn is_last(word: &str, name: &str) -> bool {
    let Some(order) = order() else { return false };
    let is_it =
        order.moment.strip_prefix(word).is_some_and(|rest| name.starts_with(rest.trim_start()));
    is_it
        && order.left.fetch_sub(1, Ordering::SeqCst) == 1
        && std::fs::remove_file(&order.file).is_ok()
}

/// Passes a moment, if it is not the last.
pub fn pass(word: &str, name: &str) {
    if is_last(word, name) {
        end();
    }
}

/// Ends the program as `kill -9` does.
pub fn end() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal comes before the call returns; if it could not be sent, the end is the same.
    std::process::abort();
}
