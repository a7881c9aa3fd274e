//! How long the rest will take, and which nodes take longer than they should.

use super::Run;
use crate::pool;
use crate::rooms::WHOLE;
use crate::schedule::State;
use crate::screen::Change;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two looks at the whole.
const LOOK: Duration = Duration::from_secs(5);

/// A node is slow when it will take so many times as long as equal ones did, and has run for so long.
const SLOW: (f64, f64) = (2.0, 20.0);

/// Finished nodes of a name before anything is foretold from them.
const FEW: usize = 3;

/// What the nodes of this run took.
#[derive(Debug, Default)]
pub(super) struct Pace {
    looked: Option<Instant>,
    /// Seconds of finished nodes, ascending, by declared name.
    by_name: BTreeMap<Arc<str>, Vec<f64>>,
    /// What finished nodes took and what they were expected to take, of those that were expected to take anything.
    sums: (f64, f64),
}

impl Pace {
    /// A node took so long.
    pub(super) fn took(&mut self, declared: &Arc<str>, seconds: f64, expected: Option<f64>) {
        let list = self.by_name.entry(declared.clone()).or_default();
        list.insert(list.partition_point(|known| *known < seconds), seconds);
        if let Some(expected) = expected {
            self.sums.0 += seconds;
            self.sums.1 += expected;
        }
    }

    /// How long a node will take: by what was expected and how right that was, else by its like; with the lower
    /// and the upper end.
    fn of(&self, declared: &Arc<str>, expected: Option<f64>) -> Option<[f64; 3]> {
        if let Some(expected) = expected {
            let (took, thought) = self.sums;
            let factor = if thought > 1.0 { (took / thought).clamp(0.2, 5.0) } else { 1.0 };
            return Some([0.8, 1.0, 1.3].map(|end| end * factor * expected));
        }
        let seconds = self.by_name.get(declared).filter(|list| list.len() >= FEW)?;
        let at = |q: f64| seconds[((seconds.len() - 1) as f64 * q).round() as usize];
        Some([at(0.16), at(0.5), at(0.84)])
    }
}

impl Run<'_> {
    /// Foretells the end now and then, and tells of nodes that take too long.
    pub(super) fn foresee(&mut self) {
        if self.pace.looked.is_some_and(|last| last.elapsed() < LOOK) {
            return;
        }
        self.pace.looked = Some(Instant::now());
        let left = self.seconds_left();
        self.monitor.show(&Change::Left(left));
        for slot in 0..self.slots.len() {
            if let Some(times) = self.slowness(slot) {
                let reason = self.why_slow(slot);
                self.monitor.show(&Change::Slow { slot, times, reason });
            }
        }
    }

    /// Seconds until the end; `None` if too much is unknown.
    fn seconds_left(&self) -> Option<[f64; 3]> {
        let mut sum = [0.0; 3];
        let mut longest = [0.0; 3];
        let running = |index| {
            let here = self.slots.iter().flatten().find(|running| running.node == index);
            here.map_or(0.0, |running| running.started.elapsed().as_secs_f64())
        };
        for index in self.graph.indices() {
            let state = self.schedule.state(index.index());
            if !matches!(state, State::Waiting | State::Running) {
                continue;
            }
            let spent = if state == State::Running { running(index) } else { 0.0 };
            let expected = self.expected[index.index()];
            let span = self.pace.of(&self.graph.nodes[index].declared, expected)?;
            let share = f64::from(self.demand(index).share) / f64::from(WHOLE);
            for i in 0..3 {
                let left = (span[i] - spent).max(0.0);
                sum[i] += share * left;
                longest[i] = f64::max(longest[i], left);
            }
        }
        let devices = self.limit.min(self.slots_of.len()).max(1) as f64;
        let ends = [0, 1, 2].map(|i| f64::max(sum[i] / devices, longest[i]));
        (ends[2] > 0.0).then_some(ends)
    }

    /// How many times as long as expected a node takes, if that is much and was not said yet.
    fn slowness(&mut self, slot: usize) -> Option<f64> {
        let running = self.slots[slot].as_mut()?;
        let expected = self.expected[running.node.index()]?;
        let elapsed = running.started.elapsed().as_secs_f64();
        let done = running.step.saturating_sub(running.first) as f64;
        let all = running.total.saturating_sub(running.first) as f64;
        if running.is_slow || elapsed < SLOW.1 || done < 1.0 {
            return None;
        }
        let times = elapsed * all / done / expected.max(1e-3);
        running.is_slow = times >= SLOW.0;
        running.is_slow.then_some(times)
    }

    /// Why a node may be slow, as far as this machine shows it.
    fn why_slow(&self, slot: usize) -> String {
        let room = self.pool.room(slot);
        let beside = self.slots_of[room].iter().filter(|s| self.slots[**s].is_some()).count();
        let device = self.pool.device(slot);
        let strangers = device.visible.as_ref().map_or(0, |uuid| {
            let card = pool::cards().into_iter().find(|card| card.uuid == *uuid);
            card.map_or(0, |card| self.pool.strangers(&card).len())
        });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let load = load();
        match () {
            () if strangers > 0 => "other programs use its GPU".to_owned(),
            () if beside > 1 => format!("{beside} nodes share its GPU"),
            () if load.is_some_and(|load| load > 1.5 * cores as f64) => {
                format!("a load of {:.1} on {cores} cores", load.unwrap_or_default())
            }
            () => "nothing on this machine shows why".to_owned(),
        }
    }
}

/// How many programs wanted to run at once in the last minute, on the average.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_expected_is_corrected_by_how_right_it_was_and_the_rest_follows_its_like() {
        let (net, draw) = (Arc::from("net"), Arc::from("draw"));
        let mut pace = Pace::default();
        assert_eq!(pace.of(&net, Some(100.0)).unwrap()[1], 100.0);
        pace.took(&net, 20.0, Some(10.0));
        assert_eq!(pace.of(&net, Some(100.0)).unwrap()[1], 200.0);
        for seconds in [3.0, 5.0] {
            pace.took(&draw, seconds, None);
        }
        assert_eq!(pace.of(&draw, None), None, "two are too few");
        pace.took(&draw, 4.0, None);
        assert_eq!(pace.of(&draw, None), Some([3.0, 4.0, 5.0]));
    }
}
