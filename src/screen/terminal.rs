//! Bars on a terminal: one for the run, one for each slot; finished nodes scroll away above them.

use super::{Change, Counts, Monitor, failure_word, loss_word, rate_word};
use crate::words;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Bars on standard error.
pub(super) struct Terminal {
    all: MultiProgress,
    overall: ProgressBar,
    slots: BTreeMap<usize, ProgressBar>,
    start: Instant,
    counts: Counts,
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("█▉▊▋▌▍▎▏ ")
}

impl Terminal {
    pub(super) fn new() -> Self {
        let all = MultiProgress::new();
        let overall = all.add(ProgressBar::new(0));
        overall.set_style(style(" {pos}/{len} nodes {bar:24} {wide_msg}"));
        Self {
            all,
            overall,
            slots: BTreeMap::new(),
            start: Instant::now(),
            counts: Counts::default(),
        }
    }

    fn line(&self, text: &str) {
        // Without a terminal there is nothing to show.
        let _ = self.all.println(text);
    }

    fn bar(&mut self, slot: usize) -> &ProgressBar {
        let all = &self.all;
        self.slots.entry(slot).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(1));
            bar.set_style(style(" {prefix:.bold} {bar:16} {percent:>3}% {wide_msg}"));
            bar
        })
    }

    /// Removes the bar of a node; its slot may have gone to another node before it was published.
    fn free(&mut self, slot: usize, name: &str) {
        if self.slots.get(&slot).is_some_and(|bar| bar.prefix() == name)
            && let Some(bar) = self.slots.remove(&slot)
        {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    fn refresh(&self) {
        let c = &self.counts;
        self.overall.set_length(c.total() as u64);
        self.overall.set_position(c.done as u64);
        let mut words_ = vec![format!("{} running", c.running), format!("{} waiting", c.waiting)];
        if c.failed + c.blocked > 0 {
            words_.push(format!("{} failed, {} blocked", c.failed, c.blocked));
        }
        words_.push(words::duration(self.start.elapsed()));
        self.overall.set_message(words_.join(" · "));
    }
}

impl Monitor for Terminal {
    fn show(&mut self, change: &Change) {
        match change {
            Change::Say(text) => self.line(text),
            Change::Started { slot, name, device, step, total, .. } => {
                let bar = self.bar(*slot);
                bar.set_prefix(name.clone());
                bar.set_length(*total);
                bar.set_position(*step);
                bar.set_message(device.clone());
            }
            Change::Progress { slot, name, step, total, loss, rate, left } => {
                let mut shown = vec![format!("{step}/{total}")];
                shown.extend(loss.map(|loss| format!("loss {}", loss_word(loss))));
                shown.push(rate_word(*rate));
                shown.extend(left.map(|left| format!("{} left", words::duration(left))));
                let bar = self.bar(*slot);
                bar.set_prefix(name.clone());
                bar.set_length(*total);
                bar.set_position(*step);
                bar.set_message(shown.join(" · "));
                self.refresh();
            }
            Change::Note { name, text } => self.line(&format!("  note  {name}: {text}")),
            Change::Done { slot, name, seconds, figure } => {
                self.free(*slot, name);
                let took = words::duration(Duration::from_secs_f64(*seconds));
                let figure = figure
                    .as_ref()
                    .map_or(String::new(), |(what, v)| format!("  {what} {}", loss_word(*v)));
                self.line(&format!("  done  {name}  {took}{figure}"));
            }
            Change::Stopped { slot, name, step } => {
                self.free(*slot, name);
                self.line(&format!("  stop  {name}  saved at {step}"));
            }
            Change::Failed { slot, name, class, message, again, alike } => {
                if let Some(slot) = slot {
                    self.free(*slot, name);
                }
                let told = failure_word(message, *again, *alike);
                self.line(&format!("  FAIL  {name}  [{}] {told}", class.word()));
            }
            Change::Counts(counts) => {
                self.counts = *counts;
                self.refresh();
            }
        }
    }

    fn end(&mut self) {
        for bar in self.slots.values() {
            bar.finish_and_clear();
        }
        self.overall.finish_and_clear();
    }
}
