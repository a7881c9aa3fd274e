//! How far a program is, as it writes itself: the last line of a file, `{"step": 5, "total": 100}` or `5 100`.

use crate::files;
use crate::job::Event;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is known of a program's progress.
pub(super) struct Progress {
    path: PathBuf,
    /// Steps that need not be done again.
    pub(super) saved: u64,
    /// Steps in all.
    pub(super) total: u64,
    step: u64,
    length: u64,
    log_length: u64,
    told: Instant,
}

/// One line.
#[derive(Debug, PartialEq, Deserialize)]
struct Line {
    step: u64,
    #[serde(default)]
    total: Option<u64>,
    #[serde(default)]
    loss: Option<f64>,
    /// Steps that the checkpoint holds.
    #[serde(default)]
    saved: Option<u64>,
}

/// Bytes at the end of the file among which the last line is looked for.
const LONGEST: u64 = 4096;

/// A program that writes nothing but its log says so much by that, this often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

impl Progress {
    /// What an earlier attempt has left of it.
    pub(super) fn open(path: PathBuf) -> Self {
        let mut progress = Self {
            path,
            saved: 0,
            total: 1,
            step: 0,
            length: 0,
            log_length: 0,
            told: Instant::now(),
        };
        let text = files::tail(&progress.path, LONGEST);
        for line in text.lines().filter_map(understand) {
            progress.take(&line);
        }
        progress.step = progress.saved;
        // The program begins from its checkpoint, and so does the file.
        let kept = serde_json::json!({ "step": progress.saved, "total": progress.total, "saved": progress.saved });
        if progress.saved > 0 {
            // Without it a second interruption tells less.
            let _ = fs::write(&progress.path, format!("{kept}\n"));
        } else {
            let _ = fs::remove_file(&progress.path);
        }
        progress.length = size(&progress.path);
        progress
    }

    fn take(&mut self, line: &Line) {
        self.step = line.step;
        self.total = line.total.unwrap_or(self.total).max(line.step);
        self.saved = line.saved.unwrap_or(self.saved);
    }

    /// Tells what the program has said since, if anything.
    pub(super) fn tell(&mut self, log: &Path, emit: &dyn Fn(&Event)) {
        let (length, log_length) = (size(&self.path), size(log));
        let mut loss = None;
        if length != self.length {
            self.length = length;
            let text = files::tail(&self.path, LONGEST);
            // The last one may not be written to its end.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            if let Some(line) = whole.lines().rev().find_map(understand) {
                let before = self.saved;
                loss = line.loss.filter(|loss| loss.is_finite());
                self.take(&line);
                if self.saved > before {
                    emit(&Event::Checkpoint { step: self.saved });
                }
            }
        } else if log_length == self.log_length || self.told.elapsed() < SIGN_OF_LIFE {
            return;
        }
        self.log_length = log_length;
        self.told = Instant::now();
        emit(&Event::Progress { step: self.step, total: self.total, loss });
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

fn understand(line: &str) -> Option<Line> {
    if let Ok(line) = serde_json::from_str(line) {
        return Some(line);
    }
    let mut words = line.split_whitespace().map(|word| word.parse::<u64>().ok());
    let (step, total) = (words.next()??, words.next());
    Some(Line { step, total: total.flatten(), loss: None, saved: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_or_two_numbers() {
        let line = |step, total| Some(Line { step, total, loss: None, saved: None });
        assert_eq!(understand("5 100"), line(5, Some(100)));
        assert_eq!(understand(r#"{"step": 5}"#), line(5, None));
        let all = understand(r#"{"step": 5, "total": 9, "loss": 0.5, "saved": 4, "more": []}"#);
        assert_eq!(all, Some(Line { step: 5, total: Some(9), loss: Some(0.5), saved: Some(4) }));
        assert_eq!(understand("epoch 5"), None);
    }

    #[test]
    fn an_attempt_begins_where_the_checkpoint_of_the_last_one_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress.jsonl");
        fs::write(&path, "{\"step\":7,\"total\":10,\"saved\":5}\n{\"step\":8}\n{\"st").unwrap();
        let progress = Progress::open(path.clone());
        assert_eq!((progress.saved, progress.total), (5, 10));
        let again = Progress::open(path);
        assert_eq!((again.saved, again.total), (5, 10));
    }
}
