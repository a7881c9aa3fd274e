//! Loss curves: the raw training loss faint, smoothed on top, the validation loss as dots, for
//! several runs. Thins what is denser than paper can show; knows nothing of how it was trained.

use super::axes::{self, Axis};
use super::csv::Csv;
use super::legend::{self, Entry};
use super::panel::Panel;
use super::paper::{Pane, Paper, Rect};
use super::scale::Scale;
use super::spectrum::quantile;
use super::style::{BLACK, RIM_PT, Stroke, Width, colour, line as look};
use crate::problem::Result;

/// The figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Runs of one name (seeds) share a colour and a line of the legend.
    pub runs: Vec<TrainingRun>,
    /// Horizontal label, such as `step`.
    pub x_label: String,
    /// Vertical label, such as `loss`.
    pub y_label: String,
    /// Whether the vertical axis is logarithmic.
    pub y_log: bool,
    /// The size on paper.
    pub width: Width,
}

/// One run of a [`Training`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainingRun {
    /// The name in the legend.
    pub name: String,
    /// Training loss as `(step, loss)`, ascending.
    pub train: Vec<(f64, f64)>,
    /// Validation loss as `(step, loss)`, ascending.
    pub validation: Vec<(f64, f64)>,
    /// Learning rate as `(step, rate)`, ascending; empty where it is not shown.
    pub rates: Vec<(f64, f64)>,
}

/// The smoothing reaches this part of all points to either side.
const REACH: f64 = 0.012;
/// And never farther than this part of the points before, so that a steep start stays steep.
const REACH_BACK: f64 = 0.2;
/// Width of a column in which only the extremes are kept, in points.
const COLUMN_PT: f64 = 0.6;
/// More validation losses than this in a run are joined to a thin line instead.
const MOST_DOTS: usize = 40;
/// Width in points and opacity of the raw loss.
const RAW: (f64, f64) = (0.4, 0.28);

/// Height of the panel of learning rates, and its distance from the one above, in points.
const RATES_PT: (f64, f64) = (44.0, 4.0);

struct Layout {
    height_pt: f64,
    frame: Rect,
    /// The panel of learning rates below, with its axis.
    lower: Option<(Rect, Axis)>,
    x: Axis,
    y: Axis,
}

impl Training {
    /// The data behind the figure: every raw, smoothed and validation value.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv = Csv::new(&["run", "name", "what", "step", "loss"]);
        for (i, run) in self.runs.iter().enumerate() {
            let smoothed = smooth(&run.train);
            let kinds = [
                ("train", &run.train),
                ("smoothed", &smoothed),
                ("validation", &run.validation),
                ("learning rate", &run.rates),
            ];
            for (what, points) in kinds {
                for (step, loss) in points {
                    csv.row(&[&i.to_string(), &run.name, what], &[*step, *loss]);
                }
            }
        }
        csv.finish()
    }

    pub(super) fn draw(&self) -> Result<Paper> {
        let names = self.names();
        legend::with_key(&self.entries(&names), &self.width, true, |free_pt| {
            let layout = self.layout(free_pt);
            Ok((self.draw_on(&layout, &names)?, layout.frame))
        })
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for run in &self.runs {
            if !names.contains(&run.name.as_str()) {
                names.push(&run.name);
            }
        }
        names
    }

    /// Whether validation losses are few enough to be dots.
    fn dotted(&self) -> bool {
        self.runs.iter().all(|run| run.validation.len() <= MOST_DOTS)
    }

    fn entries(&self, names: &[&str]) -> Vec<Entry> {
        let validated = self.runs.iter().any(|run| !run.validation.is_empty());
        let kinds = |stroke: Stroke| {
            let dots = Entry::dot("validation", stroke.colour);
            let validation =
                if self.dotted() { dots } else { Entry::line("validation", thin(stroke)) };
            [Entry::line("training", stroke), validation]
        };
        match names {
            [_] if validated => kinds(look(0)).to_vec(),
            [] | [_] => Vec::new(),
            _ => {
                let lines = names.iter().enumerate().map(|(i, name)| Entry::line(name, look(i)));
                let key = kinds(Stroke::solid(BLACK, look(0).width_pt));
                lines.chain(if validated { key.to_vec() } else { Vec::new() }).collect()
            }
        }
    }

    /// Losses of what matters: smoothed and validation in full, raw without its rarest spikes.
    fn loss_scale(&self) -> Scale {
        let mut values = Vec::new();
        for run in &self.runs {
            let smoothed = smooth(&run.train);
            let bare: Vec<f64> = smoothed.iter().map(|(_, loss)| *loss).collect();
            let raw = || run.train.iter().map(|(_, loss)| *loss);
            values.extend(bare.iter().copied().filter(|_| self.y_log));
            // On a linear axis the first steps would flatten all that follows.
            values.extend([0.0, 0.95].iter().filter_map(|q| quantile(bare.iter().copied(), *q)));
            values.extend([0.01, 0.95].iter().filter_map(|q| quantile(raw(), *q)));
            let checks = || run.validation.iter().map(|(_, loss)| *loss);
            values.extend([0.0, 0.95].iter().filter_map(|q| quantile(checks(), *q)));
        }
        Scale::over(values.into_iter(), self.y_log, 0.06)
    }

    fn layout(&self, free_pt: f64) -> Layout {
        let width = &self.width;
        let rough_pt = width.width_pt - 42.0;
        let high_pt = (0.64 * rough_pt).clamp(90.0, 180.0);
        let top = RIM_PT + 0.5 + free_pt;
        let steps = self.runs.iter().flat_map(|run| run.train.iter().chain(&run.validation));
        let x_scale = Scale::over(steps.map(|(step, _)| *step), false, 0.02);
        let x = Axis::across(x_scale, &self.x_label, rough_pt, width);
        let y = Axis::up(self.loss_scale(), &self.y_label, high_pt, width)
            .clear_ends(0.3 * width.small_pt, high_pt);
        let rates = || self.runs.iter().flat_map(|run| run.rates.iter().map(|(_, rate)| *rate));
        let lower = rates().next().map(|_| {
            Axis::up(
                Scale::over(rates().chain([0.0]), false, 0.08),
                "learning rate",
                RATES_PT.0,
                width,
            )
            .clear_ends(0.3 * width.small_pt, RATES_PT.0)
        });
        let left = lower.iter().map(|axis| axis.left_pt(width)).fold(y.left_pt(width), f64::max);
        let right = RIM_PT + x.overhang_pt(rough_pt, width).max(0.5);
        let frame = Rect::new(left, top, width.width_pt - left - right, high_pt);
        let lower = lower
            .map(|axis| (Rect { y: frame.bottom() + RATES_PT.1, h: RATES_PT.0, ..frame }, axis));
        let bottom = lower.as_ref().map_or(frame.bottom(), |(at, _)| at.bottom());
        Layout { height_pt: bottom + x.below_pt(width), frame, lower, x, y }
    }

    fn draw_on(&self, layout: &Layout, names: &[&str]) -> Result<Paper> {
        let paper = Paper::new(self.width.width_pt, layout.height_pt);
        let mut panel = Panel::open(&paper, layout.frame, layout.x.scale, layout.y.scale)?;
        let index =
            |run: &TrainingRun| names.iter().position(|name| *name == run.name).unwrap_or(0);
        let columns = layout.frame.w / COLUMN_PT;
        for run in &self.runs {
            let raw = thinned(&run.train, &layout.x.scale, columns);
            panel.line(&raw, &Stroke::solid(colour(index(run)), RAW.0).faint(RAW.1))?;
        }
        let mut marks = 0;
        for run in &self.runs {
            let stroke = look(index(run));
            let smoothed = thinned(&smooth(&run.train), &layout.x.scale, columns);
            panel.line(&smoothed, &stroke)?;
            let checks = &run.validation;
            if self.dotted() {
                panel.dots(checks, (1.6, 0.4), stroke.colour, 1.0)?;
            } else {
                panel.line(checks, &thin(stroke))?;
            }
            marks += smoothed.len() + checks.iter().filter(|(_, loss)| loss.is_finite()).count();
            note_gaps(&paper, run, &layout.y.scale);
        }
        paper.with_record(|record| record.panes.push(Pane { name: "training".into(), marks }));
        let all: Vec<&Axis> =
            [&layout.y].into_iter().chain(layout.lower.iter().map(|(_, axis)| axis)).collect();
        let label_x_pt = axes::label_x_pt(&all, &self.width);
        let Some((at, axis)) = &layout.lower else {
            axes::draw(&paper, layout.frame, (&layout.x, &layout.y), label_x_pt, &self.width);
            return Ok(paper);
        };
        axes::draw(&paper, layout.frame, (&layout.x.bare(), &layout.y), label_x_pt, &self.width);
        let mut panel = Panel::open(&paper, *at, layout.x.scale, axis.scale)?;
        for run in &self.runs {
            panel.line(&thinned(&run.rates, &layout.x.scale, columns), &look(index(run)))?;
        }
        axes::draw(&paper, *at, (&layout.x, axis), label_x_pt, &self.width);
        Ok(paper)
    }
}

fn thin(stroke: Stroke) -> Stroke {
    Stroke { width_pt: 0.6, dash: None, ..stroke }
}

fn note_gaps(paper: &Paper, run: &TrainingRun, scale: &Scale) {
    let total = run.train.len() + run.validation.len();
    let all = run.train.iter().chain(&run.validation);
    let gone = all.filter(|(_, loss)| !scale.shows(*loss)).count();
    if gone > 0 {
        let name = &run.name;
        let note = format!("left out as not showable: {gone} of {total} losses of run `{name}`");
        paper.with_record(|record| record.notes.push(note));
    }
}

/// The mean over a window around each point. A running average would lag behind a falling loss.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let shown: Vec<(f64, f64)> =
        points.iter().copied().filter(|(_, loss)| loss.is_finite()).collect();
    let mut sums = vec![0.0];
    sums.extend(shown.iter().scan(0.0, |sum, (_, loss)| {
        *sum += loss;
        Some(*sum)
    }));
    let widest = (REACH * shown.len() as f64).ceil();
    let mean_around = |i: usize| {
        let reach = (REACH_BACK * i as f64).min(widest) as usize;
        let (from, to) = (i - reach, (i + reach + 1).min(shown.len()));
        (sums[to] - sums[from]) / (to - from) as f64
    };
    shown.iter().enumerate().map(|(i, (step, _))| (*step, mean_around(i))).collect()
}

/// Of all points in a column only the first, lowest, highest and last, in their order.
fn thinned(points: &[(f64, f64)], x: &Scale, columns: f64) -> Vec<(f64, f64)> {
    let column = |point: &(f64, f64)| (x.fraction(point.0) * columns).floor();
    let mut kept = Vec::new();
    for chunk in points.chunk_by(|a, b| column(a) == column(b)) {
        let by_loss = |a: &&usize, b: &&usize| chunk[**a].1.total_cmp(&chunk[**b].1);
        let places: Vec<usize> = (0..chunk.len()).collect();
        let mut picked = vec![0, chunk.len() - 1];
        picked.extend(places.iter().min_by(by_loss));
        picked.extend(places.iter().max_by(by_loss));
        picked.sort_unstable();
        picked.dedup();
        kept.extend(picked.into_iter().map(|i| chunk[i]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_a_constant_gives_the_constant_from_the_first_point_on() {
        let points: Vec<_> = (0..500).map(|i| (f64::from(i), 3.0)).collect();
        assert!(smooth(&points).iter().all(|(_, loss)| (loss - 3.0).abs() < 1e-12));
    }

    #[test]
    fn smoothing_does_not_lag_behind_a_falling_loss() {
        let points: Vec<_> = (0..2000).map(|i| (f64::from(i), 2000.0 - f64::from(i))).collect();
        let smoothed = smooth(&points);
        assert!((0..1900).all(|i| (smoothed[i].1 - points[i].1).abs() < 1e-6));
    }

    #[test]
    fn smoothing_averages_noise_away_and_skips_what_is_no_number() {
        let mut points: Vec<_> =
            (0..2000).map(|i| (f64::from(i), if i % 2 == 0 { 0.0 } else { 2.0 })).collect();
        points[1500].1 = f64::NAN;
        let smoothed = smooth(&points);
        assert_eq!(smoothed.len(), 1999);
        assert!(smoothed[1000..].iter().all(|(_, loss)| (loss - 1.0).abs() < 0.05));
    }

    #[test]
    fn thinning_keeps_spikes_and_ends() {
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), 1.0)).collect();
        points[54_321].1 = 9.0;
        let kept = thinned(&points, &Scale::linear(0.0, 100_000.0), 300.0);
        assert!(kept.len() <= 1204, "{}", kept.len());
        assert!(kept.contains(&(54_321.0, 9.0)));
        assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[99_999]));
    }
}
