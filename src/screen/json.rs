//! One JSON object a line, for other programs.

use super::board::Board;
use super::{Change, Output};
use std::io::Write;

/// Objects on a stream.
pub(super) struct Json<W: Write> {
    out: W,
}

impl<W: Write> Json<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Output for Json<W> {
    fn say(&mut self, change: &Change, _: Option<&str>, board: &Board) {
        let mut value = serde_json::to_value(change).expect("a change is plain data");
        if let Some(object) = value.as_object_mut() {
            object.insert("time".to_owned(), jiff::Timestamp::now().to_string().into());
            object.insert("seconds".to_owned(), ((board.now * 1000.0).round() / 1000.0).into());
        }
        // A reader that went away is no reason to stop the run.
        let _ = self.out.write_all(format!("{value}\n").as_bytes());
    }
}
