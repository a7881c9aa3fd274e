//! The block at the bottom of a terminal: it is drawn anew ten times a second at most, and what is said scrolls away
//! above it.

use super::Output;
use super::board::Board;
use super::lines::lines;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A block on standard error.
pub(super) struct Terminal {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self { all: MultiProgress::new(), bars: vec![] }
    }
}

impl Output for Terminal {
    fn say(&mut self, _: &super::Change, sentence: Option<&str>, _: &Board) {
        if let Some(sentence) = sentence {
            // Without a terminal there is nothing to show.
            let _ = self.all.println(sentence);
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
        let (height, width) = console::Term::stderr().size();
        let colours = console::colors_enabled_stderr();
        // The last column stays empty: some terminals begin a new line after it.
        let width = usize::from(width).saturating_sub(1);
        let height = usize::from(height).saturating_sub(1) / boards.len().max(1);
        let drawn = boards.iter().flat_map(|board| lines(board, width, height, colours));
        self.show(drawn.collect());
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
