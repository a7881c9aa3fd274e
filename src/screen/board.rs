//! What a screen shows: all that is known of a run at a moment. It follows from [`Change`]s alone, can be written to
//! a file, and read by whoever watches. Pure.

use super::{Change, Counts, failure_word, loss_word};
use crate::failure::FailureClass;
use crate::settings::Kind;
use crate::words;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The state of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// The experiment.
    pub experiment: String,
    /// Seconds since the run began.
    pub now: f64,
    /// Nodes by state.
    pub counts: Counts,
    /// The same by kind.
    pub kinds: Vec<(Kind, Counts)>,
    /// What runs, by slot.
    pub slots: BTreeMap<usize, Place>,
    /// Failures, equal ones together.
    pub failures: Vec<Failure>,
    /// Seconds until the end: lower end, middle, upper end.
    pub left: Option<[f64; 3]>,
    /// What was said last, with a number that only grows.
    pub said: VecDeque<(u64, String)>,
}

/// A slot and the node on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The slot's name.
    pub slot: String,
    /// The node.
    pub name: String,
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub total: u64,
    /// When it started, in seconds since the run began.
    pub began: f64,
    /// The loss, in even parts of the time so far.
    pub losses: Vec<f64>,
    /// Steps at some times of late.
    pub marks: VecDeque<(f64, u64)>,
    /// By how much it is slower than expected, and why.
    pub slow: Option<(f64, String)>,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The first node that failed so.
    pub name: String,
    /// How many there are.
    pub nodes: usize,
    /// The class.
    pub class: FailureClass,
    /// What happened.
    pub message: String,
}

/// How many sentences are kept.
const SAID: usize = 200;

/// How many losses are kept; of more, every second one goes.
const LOSSES: usize = 64;

/// How many marks are kept, and the least time between two, in seconds.
const MARKS: (usize, f64) = (30, 1.0);

impl Board {
    /// An empty board.
    pub fn new(experiment: &str) -> Self {
        Self { experiment: experiment.to_owned(), ..Self::default() }
    }

    /// Takes a change in; the sentence that it is worth, for a terminal.
    pub fn apply(&mut self, change: &Change) -> Option<String> {
        let sentence = self.sentence(change);
        if let Some(sentence) = &sentence {
            let number = self.said.back().map_or(0, |(number, _)| number + 1);
            self.said.push_back((number, sentence.clone()));
            if self.said.len() > SAID {
                self.said.pop_front();
            }
        }
        match change {
            Change::Started { slot, place, name, step, total, .. } => {
                let marks = VecDeque::from([(self.now, *step)]);
                let (slow, losses) = (None, vec![]);
                let (place, name) = (place.clone(), name.clone());
                let began = self.now;
                let (step, total) = (*step, *total);
                let place = Place { slot: place, name, step, total, began, losses, marks, slow };
                self.slots.insert(*slot, place);
            }
            Change::Progress { slot, step, total, loss, .. } => {
                let now = self.now;
                if let Some(place) = self.slots.get_mut(slot) {
                    place.progress(now, *step, *total, *loss);
                }
            }
            Change::Slow { slot, times, reason } => {
                if let Some(place) = self.slots.get_mut(slot) {
                    place.slow = Some((*times, reason.clone()));
                }
            }
            Change::Done { slot, name, .. } | Change::Stopped { slot, name, .. } => {
                self.free(*slot, name);
            }
            Change::Failed { slot, name, class, message, again, alike } => {
                if let Some(slot) = slot {
                    self.free(*slot, name);
                }
                if !again {
                    self.failed(name, *class, message, *alike);
                }
            }
            Change::Counts { all, kinds } => {
                (self.counts, self.kinds) = (*all, kinds.clone());
            }
            Change::Left(left) => self.left = *left,
            Change::Say(_) | Change::Note { .. } => {}
        }
        sentence
    }

    /// Removes a node; its slot may have gone to another node before it was published.
    fn free(&mut self, slot: usize, name: &str) {
        if self.slots.get(&slot).is_some_and(|place| place.name == name) {
            self.slots.remove(&slot);
        }
    }

    fn failed(&mut self, name: &str, class: FailureClass, message: &str, alike: usize) {
        let gist = crate::failure::gist(message);
        let known = self.failures.iter_mut().find(|failure| {
            failure.class == class && crate::failure::gist(&failure.message) == gist && alike > 1
        });
        match known {
            Some(known) => known.nodes += 1,
            None => self.failures.push(Failure {
                name: name.to_owned(),
                nodes: 1,
                class,
                message: message.to_owned(),
            }),
        }
    }

    fn sentence(&self, change: &Change) -> Option<String> {
        Some(match change {
            Change::Say(text) => text.clone(),
            Change::Note { name, text } => format!("  note  {name}: {text}"),
            Change::Done { name, seconds, figure, .. } => {
                let took = words::duration(words::span(*seconds));
                let figure = figure
                    .as_ref()
                    .map_or(String::new(), |(what, v)| format!("  {what} {}", loss_word(*v)));
                format!("  done  {name}  {took}{figure}")
            }
            Change::Stopped { name, step, .. } => format!("  stop  {name}  saved at {step}"),
            Change::Failed { name, class, message, again, alike, .. } => {
                let told = failure_word(message, *again, *alike);
                format!("  FAIL  {name}  [{}] {told}", class.word())
            }
            Change::Slow { slot, times, reason } => {
                let name = &self.slots.get(slot)?.name;
                format!("  slow  {name}  {times:.1} times as long as expected: {reason}")
            }
            Change::Started { .. }
            | Change::Progress { .. }
            | Change::Counts { .. }
            | Change::Left(_) => return None,
        })
    }
}

impl Place {
    fn progress(&mut self, now: f64, step: u64, total: u64, loss: Option<f64>) {
        (self.step, self.total) = (step, total);
        if let Some(loss) = loss.filter(|loss| loss.is_finite()) {
            self.losses.push(loss);
            if self.losses.len() > LOSSES {
                let mut keep = false;
                self.losses.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
        }
        if self.marks.back().is_none_or(|(last, _)| now - last >= MARKS.1) {
            self.marks.push_back((now, step));
            if self.marks.len() > MARKS.0 {
                self.marks.pop_front();
            }
        }
    }

    /// Steps a second of late: lower end, middle and upper end of what was seen; `None` before there are three.
    pub fn rates(&self) -> Option<[f64; 3]> {
        let pairs = self.marks.iter().zip(self.marks.iter().skip(1));
        let mut rates: Vec<f64> =
            pairs.map(|((t, a), (u, b))| b.saturating_sub(*a) as f64 / (u - t)).collect();
        rates.sort_by(f64::total_cmp);
        let (first, last) = (self.marks.front()?, self.marks.back()?);
        let middle = last.1.saturating_sub(first.1) as f64 / (last.0 - first.0);
        let at = |q: f64| rates[((rates.len() - 1) as f64 * q).round() as usize];
        (rates.len() >= 3 && middle > 0.0)
            .then(|| [at(0.16).min(middle), middle, at(0.84).max(middle)])
    }

    /// Seconds left: lower end, middle and upper end.
    pub fn left(&self) -> Option<[f64; 3]> {
        let [low, middle, high] = self.rates()?;
        let steps = self.total.saturating_sub(self.step) as f64;
        // The mean over the last half minute is known better than one second's.
        let blend = |rate: f64| steps / (0.5 * (rate + middle)).max(1e-9);
        Some([blend(high), steps / middle, blend(low)])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::screen) fn started(slot: usize, name: &str) -> Change {
        Change::Started {
            slot,
            place: format!("core-{slot}"),
            name: name.to_owned(),
            device: "a core".to_owned(),
            step: 0,
            total: 1000,
            attempt: 1,
        }
    }

    pub(in crate::screen) fn progress(slot: usize, name: &str, step: u64) -> Change {
        let (name, loss) = (name.to_owned(), Some(1.0 / step as f64));
        Change::Progress { slot, name, step, total: 1000, loss, rate: 10.0, left: None }
    }

    #[test]
    fn a_node_s_time_left_is_a_range_once_there_are_three_rates() {
        let mut board = Board::new("a");
        board.apply(&started(0, "net"));
        for (i, step) in [10, 20, 32, 40, 52].into_iter().enumerate() {
            board.now = (i + 1) as f64;
            if i == 2 {
                assert_eq!(board.slots[&0].left(), None);
            }
            board.apply(&progress(0, "net", step));
        }
        let [low, middle, high] = board.slots[&0].left().unwrap();
        assert!((middle - 948.0 / 10.4).abs() < 1e-9, "{middle}");
        assert!(low < middle && middle < high && high < 1.3 * middle, "{low} {middle} {high}");
    }

    #[test]
    fn losses_are_thinned_evenly_and_the_last_ones_stay() {
        let mut board = Board::new("a");
        board.apply(&started(0, "net"));
        for step in 1..=1000 {
            board.apply(&progress(0, "net", step));
        }
        let losses = &board.slots[&0].losses;
        assert!(losses.len() <= LOSSES && losses.len() > LOSSES / 2);
        assert!(losses[0] == 1.0 && losses.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn a_slot_that_has_gone_to_another_node_is_not_freed() {
        let mut board = Board::new("a");
        board.apply(&started(0, "net"));
        board.apply(&started(0, "draw"));
        let (name, figure) = ("net".to_owned(), None);
        let said = board.apply(&Change::Done { slot: 0, name, seconds: 61.0, figure });
        assert_eq!(said.as_deref(), Some("  done  net  1 min 1 s"));
        assert_eq!(board.slots[&0].name, "draw");
    }

    #[test]
    fn a_board_is_the_same_after_it_was_written_and_read() {
        let mut board = Board::new("a");
        board.apply(&started(0, "net"));
        board.apply(&progress(0, "net", 7));
        let text = serde_json::to_string(&board).unwrap();
        assert_eq!(serde_json::from_str::<Board>(&text).unwrap(), board);
    }
}
