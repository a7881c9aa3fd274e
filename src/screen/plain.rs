//! One line an event, for logs and pipes: no colours, no cursor movement, a heartbeat now and then.

use super::board::Board;
use super::{Change, Counts, Output, failure_word, loss_word, rate_word};
use crate::words;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

/// Lines on a stream.
pub(super) struct Plain<W: Write> {
    out: W,
    start: Instant,
    /// When a line was last written.
    spoken: Instant,
    /// When a progress line of a node was last written.
    last: BTreeMap<String, Instant>,
}

/// Time between two progress lines of one node.
const BEAT: Duration = Duration::from_secs(10);

/// After so long a silence it is said that the run goes on.
const SILENCE: Duration = Duration::from_secs(60);

impl<W: Write> Plain<W> {
    pub(super) fn new(out: W) -> Self {
        let now = Instant::now();
        Self { out, start: now, spoken: now, last: BTreeMap::new() }
    }

    fn line(&mut self, text: &str) {
        self.spoken = Instant::now();
        let elapsed = self.start.elapsed().as_secs_f64();
        // A reader that went away is no reason to stop the run.
        // In one write, so that what others say lands between lines.
        let _ = self.out.write_all(format!("[{elapsed:7.1} s] {text}\n").as_bytes());
    }

    fn is_due(&mut self, name: &str) -> bool {
        let now = Instant::now();
        let due = self.last.get(name).is_none_or(|last| now.duration_since(*last) >= BEAT);
        if due {
            self.last.insert(name.to_owned(), now);
        }
        due
    }
}

impl<W: Write> Output for Plain<W> {
    fn say(&mut self, change: &Change, _: Option<&str>, board: &Board) {
        match change {
            Change::Say(text) => self.line(text),
            Change::Started { name, device, step, total, attempt, .. } => {
                let from =
                    if *step > 0 { format!(", goes on at {step}/{total}") } else { String::new() };
                let again =
                    if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                self.last.insert(name.clone(), Instant::now());
                self.line(&format!("start  {name} on {device}{from}{again}"));
            }
            Change::Progress { name, step, total, loss, rate, left, .. } => {
                if self.is_due(name) {
                    let loss =
                        loss.map_or(String::new(), |loss| format!(", loss {}", loss_word(loss)));
                    let left = left
                        .map_or(String::new(), |left| format!(", {} left", words::duration(left)));
                    self.line(&format!(
                        "       {name} {step}/{total}{loss}, {}{left}",
                        rate_word(*rate)
                    ));
                }
            }
            Change::Note { name, text } => self.line(&format!("note   {name}: {text}")),
            Change::Done { name, seconds, figure, .. } => {
                let figure = figure
                    .as_ref()
                    .map_or(String::new(), |(what, v)| format!(", {what} {}", loss_word(*v)));
                let took = words::duration(Duration::from_secs_f64(*seconds));
                let Counts { done, .. } = board.counts;
                let total = board.counts.total();
                self.line(&format!("done   {name} in {took}{figure} ({done}/{total})"));
            }
            Change::Stopped { name, step, .. } => {
                self.line(&format!("stop   {name}, saved at {step}"))
            }
            Change::Failed { name, class, message, again, alike, .. } => {
                let told = failure_word(message, *again, *alike);
                self.line(&format!("FAIL   {name} [{}] {told}", class.word()));
            }
            Change::Slow { slot, times, reason } => {
                if let Some(place) = board.slots.get(slot) {
                    let name = &place.name;
                    self.line(&format!(
                        "slow   {name} takes {times:.1} times as long as expected: {reason}"
                    ));
                }
            }
            Change::Counts { .. } | Change::Left(_) => {}
        }
    }

    fn draw(&mut self, board: &Board) {
        if self.spoken.elapsed() < SILENCE {
            return;
        }
        let Counts { done, running, waiting, failed, blocked } = board.counts;
        let left = board.left.map_or(String::new(), |[_, middle, high]| {
            let [middle, high] = [middle, high].map(|s| words::duration(words::span(s)));
            format!("; {middle} left (to {high})")
        });
        let total = board.counts.total();
        self.line(&format!(
            "beat   {done}/{total} done, {running} running, {waiting} waiting, {failed} failed, {blocked} blocked{left}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_plain_and_name_the_node_first() {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out);
        let mut board = Board::new("a");
        board.counts = Counts { done: 1, running: 1, ..Counts::default() };
        let (name, figure) = ("net[seed=1]".to_owned(), Some(("loss".to_owned(), 0.5)));
        plain.say(&Change::Done { slot: 0, name, seconds: 61.0, figure }, None, &board);
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("done   net[seed=1] in 1 min 1 s, loss 0.5000 (1/2)\n"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn after_a_silence_a_line_says_that_the_run_goes_on() {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out);
        let mut board = Board::new("a");
        board.counts = Counts { done: 1, running: 2, ..Counts::default() };
        plain.draw(&board);
        let Some(before) = Instant::now().checked_sub(SILENCE) else { return };
        plain.spoken = before;
        plain.draw(&board);
        plain.draw(&board);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("beat   1/3 done, 2 running, 0 waiting"), "{text}");
    }
}
