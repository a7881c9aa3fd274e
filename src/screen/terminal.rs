//! The block at the bottom of a terminal: it is drawn anew ten times a second at most, and what is said scrolls away
//! above it.

use super::Output;
use super::board::Board;
use super::lines::{lines, titled};
use console::measure_text_width;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::VecDeque;

/// How many sentences are kept, to be said again.
const RECENT: usize = 200;

/// A block on standard error.
pub(super) struct Terminal {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
    /// What was said last.
    recent: VecDeque<String>,
    /// The columns for which lines were drawn last.
    width: usize,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let recent = VecDeque::new();
        Self { all: MultiProgress::new(), bars: vec![], recent, width: 0 }
    }
}

impl Output for Terminal {
    fn say(&mut self, _: &super::Change, sentence: Option<&str>, _: &Board) {
        let Some(sentence) = sentence else { return };
        self.heed_size();
        // Without a terminal there is nothing to show.
        let _ = self.all.println(sentence);
        self.recent.push_back(sentence.to_owned());
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    fn draw(&mut self, board: &Board) {
        self.draw_all(&[board]);
    }

    fn end(&mut self) {
        for bar in self.bars.drain(..) {
            bar.finish_and_clear();
        }
    }
}

impl Terminal {
    /// Draws boards below each other in place of those before.
    pub(super) fn draw_all(&mut self, boards: &[&Board]) {
        let (width, height) = self.heed_size();
        let colours = console::colors_enabled_stderr();
        let height = height.saturating_sub(1) / boards.len().max(1);
        let drawn = boards.iter().flat_map(|board| match boards.len() {
            0 | 1 => lines(board, width, height, colours),
            // Several runs are told apart.
            _ => titled(board, width, height, colours),
        });
        self.show(drawn.collect());
    }

    /// The columns and rows that there are. A terminal that has become narrower has broken the lines of the block in
    /// ways of its own: it is wiped, and what fits of what was said is said again.
    fn heed_size(&mut self) -> (usize, usize) {
        let terminal = console::Term::stderr();
        let (height, width) = terminal.size();
        // The last column stays empty: some terminals begin a new line after it.
        let (width, height) = (usize::from(width).saturating_sub(1), usize::from(height));
        if width < self.width && !self.bars.is_empty() {
            self.all.set_draw_target(ProgressDrawTarget::hidden());
            let _ = terminal.clear_screen();
            (self.all, self.bars) = (MultiProgress::new(), vec![]);
            for sentence in last_fitting(&self.recent, width, height / 2) {
                let _ = terminal.write_line(sentence);
            }
        }
        self.width = width;
        (width, height)
    }

    fn show(&mut self, lines: Vec<String>) {
        while self.bars.len() > lines.len() {
            if let Some(bar) = self.bars.pop() {
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
        }
        while self.bars.len() < lines.len() {
            let bar = self.all.add(ProgressBar::new(1));
            let style = ProgressStyle::with_template("{msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bars.push(bar);
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line);
        }
    }
}

/// The last sentences that fit into so many columns and rows, the oldest first.
fn last_fitting(said: &VecDeque<String>, width: usize, height: usize) -> Vec<&String> {
    let mut left = height;
    let mut fitting: Vec<&String> = said
        .iter()
        .rev()
        .take_while(|sentence| {
            let rows = measure_text_width(sentence).div_ceil(width.max(1)).max(1);
            let fits = rows <= left;
            left = left.saturating_sub(rows);
            fits
        })
        .collect();
    fitting.reverse();
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_last_is_said_again_as_far_as_it_fits() {
        let said =
            VecDeque::from(["one", "a longer one", "\u{1b}[1mtwo\u{1b}[0m"].map(str::to_owned));
        let again = |width, height| last_fitting(&said, width, height).len();
        assert_eq!(
            [again(80, 9), again(80, 2), again(6, 2), again(6, 3), again(6, 0)],
            [3, 2, 1, 2, 0]
        );
        assert_eq!(last_fitting(&said, 6, 3)[0], "a longer one");
    }
}
