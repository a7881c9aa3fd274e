//! A [`Board`] as lines of text for a terminal of some width. Pure.

use super::board::{Board, Failure, Place};
use super::{Counts, loss_word, rate_word};
use console::{measure_text_width, truncate_str};

/// How many kinds of failures are shown.
const FAILURES: usize = 4;

/// Eight heights.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The lines of a board, none wider than `width` columns, at most `height` of them; with colours if they are wanted.
pub(super) fn lines(board: &Board, width: usize, height: usize, colours: bool) -> Vec<String> {
    let paint = Paint { colours };
    let mut lines = vec![overall(board, width, paint), kinds(board, paint)];
    lines.extend(board.failures.iter().take(FAILURES).map(|failure| failed(failure, paint)));
    let room = height.saturating_sub(lines.len() + 1).max(1);
    let hidden = board.slots.len().saturating_sub(room);
    let shown = board.slots.len() - if hidden > 0 { hidden + 1 } else { 0 };
    let slot_width = board.slots.values().map(|place| place.slot.len()).max().unwrap_or(0);
    lines.extend(board.slots.values().take(shown).map(|p| place(p, slot_width, width, paint)));
    if hidden > 0 {
        lines.push(format!(" and {} more", board.slots.len() - shown));
    }
    lines.iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
}

/// The same, the name of the experiment above them.
pub(super) fn titled(board: &Board, width: usize, height: usize, colours: bool) -> Vec<String> {
    let title = Paint { colours }.bold(&board.experiment);
    let mut all = vec![truncate_str(&title, width, "…").into_owned()];
    all.extend(lines(board, width, height.saturating_sub(1), colours));
    all
}

#[derive(Clone, Copy)]
struct Paint {
    colours: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }
}

/// How far the run is.
fn overall(board: &Board, width: usize, paint: Paint) -> String {
    let Counts { done, running, waiting, failed, blocked } = board.counts;
    let total = board.counts.total();
    let mut words = vec![format!("{running} running"), format!("{waiting} waiting")];
    if failed + blocked > 0 {
        words.push(paint.red(&format!("{failed} failed")));
        words.push(format!("{blocked} blocked"));
    }
    let counts = format!(" {}", paint.bold(&format!("{done}/{total}")));
    let words = words.join(" · ");
    let room = width.saturating_sub(measure_text_width(&counts) + measure_text_width(&words) + 3);
    match room >= 6 {
        true => {
            format!("{counts} {} {words}", bar(done as f64 / total.max(1) as f64, room.min(24)))
        }
        false => format!("{counts}  {words}"),
    }
}

/// How far each kind is, and the time: those that run after ⟳, those that failed after ✗.
fn kinds(board: &Board, paint: Paint) -> String {
    let word = |(kind, counts): &(crate::settings::Kind, Counts)| {
        let mut word = format!("{} {}/{}", kind.word(), counts.done, counts.total());
        if counts.running > 0 {
            word += &format!(" ⟳{}", counts.running);
        }
        if counts.failed > 0 {
            word += &paint.red(&format!(" ✗{}", counts.failed));
        }
        word
    };
    let words: Vec<String> = board.kinds.iter().filter(|(_, c)| c.total() > 0).map(word).collect();
    let left = board.left.map_or(String::new(), |[_, middle, high]| {
        format!(", {} left (to {})", clock(middle), clock(high))
    });
    format!(" {}   {}{left}", words.join("  "), clock(board.now))
}

fn failed(failure: &Failure, paint: Paint) -> String {
    let more = match failure.nodes {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let what = format!("[{}] {}", failure.class.word(), failure.message);
    format!(" {} {}{more}  {what}", paint.red("✗"), failure.name)
}

/// A slot and the node on it.
fn place(place: &Place, slot_width: usize, width: usize, paint: Paint) -> String {
    let done = place.step as f64 / place.total.max(1) as f64;
    let left = place.left().map_or(String::new(), |[low, middle, high]| {
        match high > 1.2 * low && high - low > 5.0 {
            true => format!("{}-{}", clock(low), clock(high)),
            false => clock(middle),
        }
    });
    let loss = place.losses.last().map_or(String::new(), |loss| loss_word(*loss));
    let mut right = vec![format!("{:>3.0}%", (100.0 * done).floor())];
    match &place.slow {
        Some((times, reason)) => {
            right.push(paint.yellow(&format!("SLOW {times:.1}×: {reason}")));
            right.push(left);
        }
        None if width >= 72 => {
            let rate = place.rates().map_or(String::new(), |[_, rate, _]| rate_word(rate));
            let line =
                if place.losses.len() > 3 { sparkline(&place.losses, 6) } else { String::new() };
            right.extend([bar(done, 8), format!("{rate:>7}"), format!("{loss:>6}")]);
            right.extend([paint.dim(&format!("{line:6}")), format!("{left:>9}")]);
        }
        None => right.extend([format!("{loss:>6}"), format!("{left:>9}")]),
    }
    let right = right.join(" ");
    let room = width.saturating_sub(slot_width + measure_text_width(&right) + 4);
    let name = shortened(&place.name, room.max(12));
    let gap = room.saturating_sub(measure_text_width(&name));
    let slot = paint.bold(&format!("{:slot_width$}", place.slot));
    format!(" {slot} {name}{:gap$}  {right}", "")
}

/// A name without its middle: its ends tell nodes apart.
fn shortened(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width {
        return name.to_owned();
    }
    let (head, tail) = (width / 2, width - width / 2 - 1);
    let head: String = name.chars().take(head).collect();
    let tail: String = name.chars().skip(count - tail).collect();
    format!("{head}…{tail}")
}

/// A bar that is filled to a share, in eighths of a column.
fn bar(share: f64, width: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * 8.0 * width as f64).floor() as usize;
    let (full, part) = (eighths / 8, eighths % 8);
    let mut bar = "█".repeat(full);
    if part > 0 {
        bar.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][part - 1]);
    }
    let gap = width - full - usize::from(part > 0);
    bar + &"░".repeat(gap)
}

/// Values over time as columns of eight heights, on a logarithmic scale where all are positive.
fn sparkline(values: &[f64], width: usize) -> String {
    let is_positive = values.iter().all(|v| *v > 0.0);
    let scaled = |v: &f64| if is_positive { v.ln() } else { *v };
    let width = width.min(values.len());
    let part = |i: usize| {
        let part = &values[i * values.len() / width..(i + 1) * values.len() / width];
        part.iter().map(scaled).sum::<f64>() / part.len() as f64
    };
    let parts: Vec<f64> = (0..width).map(part).collect();
    let (low, high) = parts.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let height = |v: &f64| match high > low {
        true => HEIGHTS[((v - low) / (high - low) * 7.0).round() as usize],
        false => HEIGHTS[0],
    };
    parts.iter().map(height).collect()
}

/// Seconds as `0:48` or `1:02:03`.
fn clock(seconds: f64) -> String {
    let s = seconds.clamp(0.0, 1e7).round() as u64;
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Change;
    use super::super::board::tests::{progress, started};
    use super::*;
    use crate::failure::FailureClass;
    use crate::settings::Kind;

    fn board() -> Board {
        let mut board = Board::new("a");
        let counts = |done, running, waiting, failed, blocked| Counts {
            done,
            running,
            waiting,
            failed,
            blocked,
        };
        let kinds = vec![
            (Kind::Dataset, counts(2, 0, 0, 0, 0)),
            (Kind::Train, counts(31, 8, 0, 1, 0)),
            (Kind::Sample, counts(0, 0, 80, 0, 2)),
        ];
        board.apply(&Change::Counts { all: counts(33, 8, 80, 1, 2), kinds });
        for slot in 0..8 {
            board.apply(&started(
                slot,
                &format!("net[schedule=sigmoid_alpha_bar,width={slot},seed={slot}]"),
            ));
        }
        for step in 1..=40 {
            board.now = f64::from(step);
            for slot in 0..8 {
                board.apply(&progress(slot, "net", 10 * step as u64));
            }
        }
        board.apply(&Change::Left(Some([100.0, 7500.0, 9000.0])));
        for (name, alike) in [("clf[rate=0.1,seed=0]", 1), ("clf[rate=0.1,seed=1]", 2)] {
            let message = "the loss became NaN at step 7".to_owned();
            let class = FailureClass::NotANumber;
            let name = name.to_owned();
            board.apply(&Change::Failed { slot: None, name, class, message, again: false, alike });
        }
        let reason = "4 nodes share the GPU".to_owned();
        board.apply(&Change::Slow { slot: 3, times: 3.11, reason });
        board
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_or_higher_than_it() {
        for width in [20, 40, 60, 80, 120, 300] {
            for height in [3, 8, 12, 50] {
                let lines = lines(&board(), width, height, true);
                assert!(
                    lines.iter().all(|line| measure_text_width(line) <= width),
                    "{width}: {lines:#?}"
                );
                assert!(lines.len() <= height.max(5), "{height}: {lines:#?}");
            }
        }
    }

    #[test]
    fn a_board_among_others_names_its_experiment() {
        let titled = titled(&board(), 80, 12, false);
        assert_eq!(titled[0], board().experiment);
        assert_eq!(titled[1..], lines(&board(), 80, 11, false));
    }

    #[test]
    fn eighty_columns_tell_all_that_matters() {
        let text = lines(&board(), 80, 24, false).join("\n");
        for piece in [
            "33/124",
            "8 running · 80 waiting · 1 failed · 2 blocked",
            "dataset 2/2  train 31/40 ⟳8 ✗1  sample 0/82   0:40, 2:05:00 left (to 2:30:00)",
            "✗ clf[rate=0.1,seed=0] and 1 more  [not_a_number] the loss became NaN",
            "core-0 net[",
            "seed=0]",
            " 40% ███▏░░░░",
            "10.0/s",
            "SLOW 3.1×: 4 nodes share the GPU",
        ] {
            assert!(text.contains(piece), "{piece} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "no colours");
    }

    #[test]
    fn bars_and_sparklines_fill_in_eighths() {
        assert_eq!(bar(0.5, 3), "█▌░");
        assert_eq!(bar(1.0, 2), "██");
        assert_eq!(sparkline(&[1.0, 0.1, 0.01, 0.001], 4), "█▆▃▁");
        assert_eq!(sparkline(&[2.0, 2.0], 6), "▁▁");
        assert_eq!((clock(48.4), clock(3723.0)), ("0:48".to_owned(), "1:02:03".to_owned()));
    }
}
