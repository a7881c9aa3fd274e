//! One metric against another: a dot with its bars for each setting, and the front of those that no other beats in
//! both.

use super::axes::{self, Axis};
use super::csv::Csv;
use super::legend::{self, Entry};
use super::math;
use super::panel::Panel;
use super::paper::{Anchor, Pane, Paper, Rect, Type};
use super::scale::Scale;
use super::style::{BLACK, GREY, RIM_PT, Stroke, Width, colour};
use crate::job::Better;
use crate::problem::Result;

/// The figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// Each in its own colour.
    pub groups: Vec<ScatterGroup>,
    /// What lies across.
    pub x_label: String,
    /// What lies up.
    pub y_label: String,
    /// Whether x is logarithmic.
    pub x_log: bool,
    /// Whether y is logarithmic.
    pub y_log: bool,
    /// Which way is better, across and up; no front is drawn where it is unknown.
    pub better: Option<(Better, Better)>,
    /// The size on paper.
    pub width: Width,
}

/// Dots of one colour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScatterGroup {
    /// The name in the legend; a single group needs none.
    pub name: String,
    /// The dots.
    pub points: Vec<ScatterPoint>,
}

/// A setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScatterPoint {
    /// Stands beside the dot, where there is room.
    pub name: String,
    /// Mean, lower and upper end of the bar; ends that are no numbers have none.
    pub x: [f64; 3],
    /// The same upwards.
    pub y: [f64; 3],
}

const DOT_PT: (f64, f64) = (2.1, 0.5);
const FRONT: Stroke = Stroke { dash: Some("2.4 1.6"), ..Stroke::solid(BLACK, 0.9) };

impl Scatter {
    /// The data behind the figure, a row for each dot.
    #[must_use]
    pub fn csv(&self) -> String {
        let header = ["group", "name", "x", "x_low", "x_high", "y", "y_low", "y_high", "front"];
        let mut csv = Csv::new(&header);
        let front = self.front();
        for group in &self.groups {
            for point in &group.points {
                let on_front = front.contains(&(point.x[0], point.y[0]));
                let numbers: Vec<f64> = point
                    .x
                    .into_iter()
                    .chain(point.y)
                    .chain([if on_front { 1.0 } else { 0.0 }])
                    .collect();
                csv.row(&[&group.name, &point.name], &numbers);
            }
        }
        csv.finish()
    }

    fn points(&self) -> impl Iterator<Item = &ScatterPoint> {
        self.groups.iter().flat_map(|group| &group.points)
    }

    /// The means that no other beats in both, by x ascending.
    fn front(&self) -> Vec<(f64, f64)> {
        let Some((x, y)) = self.better else { return vec![] };
        let sign = |better| if better == Better::Lower { 1.0 } else { -1.0 };
        let (sx, sy) = (sign(x), sign(y));
        let means: Vec<(f64, f64)> = self
            .points()
            .map(|point| (point.x[0], point.y[0]))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        let beats = |a: &(f64, f64), b: &(f64, f64)| {
            let (ax, ay, bx, by) = (sx * a.0, sy * a.1, sx * b.0, sy * b.1);
            ax <= bx && ay <= by && (ax < bx || ay < by)
        };
        let mut front: Vec<(f64, f64)> =
            means.iter().filter(|b| !means.iter().any(|a| beats(a, b))).copied().collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        front.dedup();
        front
    }

    pub(super) fn draw(&self) -> Result<Paper> {
        let mut entries: Vec<Entry> = match self.groups.len() {
            0 | 1 => vec![],
            _ => {
                let entry = |(i, group): (usize, &ScatterGroup)| Entry::dot(&group.name, colour(i));
                self.groups.iter().enumerate().map(entry).collect()
            }
        };
        if self.front().len() > 1 {
            entries.push(Entry::line("not beaten in both", FRONT));
        }
        legend::with_key(&entries, &self.width, true, |free_pt| self.draw_below(free_pt))
    }

    fn draw_below(&self, free_pt: f64) -> Result<(Paper, Rect)> {
        let width = &self.width;
        let rough_pt = width.width_pt - 42.0;
        let high_pt = (0.72 * rough_pt).clamp(90.0, 210.0);
        let scale = |pick: fn(&ScatterPoint) -> [f64; 3], log| {
            Scale::over(self.points().flat_map(pick), log, 0.08)
        };
        let x = Axis::across(scale(|p| p.x, self.x_log), &self.x_label, rough_pt, width);
        let y = Axis::up(scale(|p| p.y, self.y_log), &self.y_label, high_pt, width)
            .clear_ends(0.3 * width.small_pt, high_pt);
        let (left, top) = (y.left_pt(width), RIM_PT + 0.5 + free_pt);
        let right = RIM_PT + x.overhang_pt(rough_pt, width).max(0.5);
        let frame = Rect::new(left, top, width.width_pt - left - right, high_pt);
        let paper = Paper::new(width.width_pt, frame.bottom() + x.below_pt(width));
        let mut panel = Panel::open(&paper, frame, x.scale, y.scale)?;
        let mut marks = 0;
        for (i, group) in self.groups.iter().enumerate() {
            let bar = Stroke::solid(colour(i), 0.9);
            for ScatterPoint { x: [x, x_low, x_high], y: [y, y_low, y_high], .. } in &group.points {
                panel.line(&[(*x_low, *y), (*x_high, *y)], &bar)?;
                panel.line(&[(*x, *y_low), (*x, *y_high)], &bar)?;
            }
        }
        panel.line(&self.stairs(), &FRONT)?;
        for (i, group) in self.groups.iter().enumerate() {
            let means: Vec<(f64, f64)> = group.points.iter().map(|p| (p.x[0], p.y[0])).collect();
            panel.dots(&means, DOT_PT, colour(i), 1.0)?;
            marks += means.iter().filter(|(a, b)| x.scale.shows(*a) && y.scale.shows(*b)).count();
        }
        let gone = self.points().count() - marks;
        paper.with_record(|record| {
            record.panes.push(Pane { name: "scatter".into(), marks });
            if gone > 0 && marks > 0 {
                record.notes.push(format!("left out as not showable: {gone} settings"));
            }
        });
        axes::draw(&paper, frame, (&x, &y), axes::label_x_pt(&[&y], width), width);
        self.write_names(&paper, frame, (&x.scale, &y.scale));
        Ok((paper, frame))
    }

    /// The front as a line that goes along the axes: what lies between two of its dots is reached by neither.
    fn stairs(&self) -> Vec<(f64, f64)> {
        let front = self.front();
        let lower_x = self.better.is_some_and(|(x, _)| x == Better::Lower);
        let mut stairs: Vec<(f64, f64)> = front.first().copied().into_iter().collect();
        for pair in front.windows(2) {
            let corner = if lower_x { (pair[1].0, pair[0].1) } else { (pair[0].0, pair[1].1) };
            stairs.extend([corner, pair[1]]);
        }
        stairs
    }

    /// Writes each name on a side of its dot where nothing is yet; left out where all sides are taken.
    fn write_names(&self, paper: &Paper, frame: Rect, (x, y): (&Scale, &Scale)) {
        let size_pt = (self.width.small_pt - 0.5).max(6.0);
        let mut left_out = 0;
        for point in self.points().filter(|point| !point.name.is_empty()) {
            if !(x.shows(point.x[0]) && y.shows(point.y[0])) {
                continue;
            }
            let at = (
                frame.x + x.fraction(point.x[0]) * frame.w,
                frame.bottom() - y.fraction(point.y[0]) * frame.h,
            );
            let line = math::layout(&point.name, size_pt);
            let (wide, high) = (line.width_pt, math::CAPITAL_EM * size_pt);
            let sides = [
                (at.0 + 3.6, at.1 - 2.4),
                (at.0 + 3.6, at.1 + 2.4 + high),
                (at.0 - 3.6 - wide, at.1 - 2.4),
                (at.0 - 3.6 - wide, at.1 + 2.4 + high),
            ];
            let is_free = |(left, baseline): &(f64, f64)| {
                let place =
                    Rect::new(*left, baseline - high, wide, high + 0.24 * size_pt).grown(0.6);
                let inside = place.x > frame.x + 1.0
                    && place.right() < frame.right() - 1.0
                    && place.y > frame.y + 1.0
                    && place.bottom() < frame.bottom() - 1.0;
                inside
                    && paper.with_record(|record| {
                        !record.ink.iter().any(|ink| place.contains(*ink))
                            && !record.words.iter().any(|words| {
                                let (across, down) = words.at.overlap(&place);
                                across > 0.0 && down > 0.0
                            })
                    })
            };
            match sides.iter().find(|side| is_free(side)) {
                Some(side) => {
                    let set = Type { colour: GREY, ..Type::new(size_pt, Anchor::Start) };
                    let text = paper.text(*side, &point.name, set);
                    // The key stays off it.
                    paper.with_record(|record| {
                        let steps = (text.w / 2.0).ceil() as usize;
                        let ink = (0..=steps).map(|i| {
                            let along = text.w * i as f64 / steps.max(1) as f64;
                            (text.x + along, text.y + text.h / 2.0)
                        });
                        record.ink.extend(ink);
                    });
                }
                None => left_out += 1,
            }
        }
        if left_out > 0 {
            let note = format!("names left out for lack of room: {left_out}");
            paper.with_record(|record| record.notes.push(note));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(points: &[(f64, f64)], better: (Better, Better)) -> Scatter {
        let point = |(x, y): &(f64, f64)| ScatterPoint {
            name: format!("{x}"),
            x: [*x, f64::NAN, f64::NAN],
            y: [*y, f64::NAN, f64::NAN],
        };
        let points = points.iter().map(point).collect();
        Scatter {
            groups: vec![ScatterGroup { name: "a".into(), points }],
            x_label: "cost".into(),
            y_label: "error".into(),
            x_log: false,
            y_log: false,
            better: Some(better),
            width: Width::default(),
        }
    }

    #[test]
    fn the_front_holds_what_no_other_beats_in_both() {
        let points = [(1.0, 9.0), (2.0, 5.0), (3.0, 6.0), (4.0, 5.0), (5.0, 1.0), (f64::NAN, 0.0)];
        let front = figure(&points, (Better::Lower, Better::Lower)).front();
        assert_eq!(front, [(1.0, 9.0), (2.0, 5.0), (5.0, 1.0)]);
        let front = figure(&points, (Better::Lower, Better::Higher)).front();
        assert_eq!(front, [(1.0, 9.0)]);
        let front = figure(&points, (Better::Higher, Better::Lower)).front();
        assert_eq!(front, [(5.0, 1.0)]);
    }

    #[test]
    fn stairs_go_along_the_axes_on_the_side_that_is_reached() {
        let figure = figure(&[(1.0, 9.0), (2.0, 5.0)], (Better::Lower, Better::Lower));
        assert_eq!(figure.stairs(), [(1.0, 9.0), (2.0, 9.0), (2.0, 5.0)]);
        assert!(figure.csv().ends_with(",1\n"), "{}", figure.csv());
    }
}
