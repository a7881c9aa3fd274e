//! A metric along an axis: every seed as a dot, the mean with its error bar, a line where the axis
//! has an order. Names too long to stand side by side turn the figure into a dot plot.

use super::axes::{self, Axis};
use super::csv::Csv;
use super::legend::{self, Entry};
use super::panel::Panel;
use super::paper::{Pane, Paper, Rect};
use super::scale::Scale;
use super::style::{GREY, LINE_PT, RIM_PT, Stroke, Width, line as look};
use crate::problem::Result;

/// The figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Drawn in this order, each in its own colour.
    pub lines: Vec<CurveLine>,
    /// What lies along the axis.
    pub axis: CurveAxis,
    /// The label of that axis.
    pub x_label: String,
    /// The metric, with its unit and which way is better.
    pub y_label: String,
    /// Whether the metric's axis is logarithmic.
    pub y_log: bool,
    /// A thin dashed line, such as the floor of the metric; not in the legend if its name is empty.
    pub reference: Option<Reference>,
    /// The size on paper.
    pub width: Width,
}

/// What the points lie along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurveAxis {
    /// Numbers, evenly spaced.
    Linear,
    /// Positive numbers, spaced by their ratios.
    Log,
    /// Names; a point's `x` is the place in this list, from 0.
    Names(Vec<String>),
}

/// One line of a [`Curve`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurveLine {
    /// The name in the legend; a single line needs none.
    pub name: String,
    /// In the order of `x`.
    pub points: Vec<CurvePoint>,
}

/// The metric at one place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurvePoint {
    /// Where on the axis: a number, or the place in the list of names.
    pub x: f64,
    /// The metric of each seed.
    pub seeds: Vec<f64>,
    /// Their mean, or whatever else is claimed.
    pub mean: f64,
    /// Lower end of the error bar; not a number for none.
    pub low: f64,
    /// Upper end of the error bar; not a number for none.
    pub high: f64,
}

/// A value to compare with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reference {
    /// The name in the legend.
    pub name: String,
    /// The metric's value.
    pub value: f64,
}

const MEAN_PT: (f64, f64) = (2.0, 0.5);
const SEED_PT: (f64, f64) = (1.15, 0.0);
const SEED_ALPHA: f64 = 0.4;
/// Seeds stand beside their error bar, in points.
const SEED_SHIFT_PT: f64 = 3.6;
/// Lines step aside for each other at the same number, in points.
const DODGE_PT: f64 = 2.4;
/// Height of a row in a dot plot, for each line in it, and around them, in points.
const ROW_PT: (f64, f64) = (6.5, 6.0);

/// The plot's frame and axes. In a dot plot the names go down and the metric goes across.
struct Layout {
    height_pt: f64,
    frame: Rect,
    across: Axis,
    up: Axis,
    dots: bool,
}

impl Curve {
    /// The data behind the figure: a row for each mean and each seed.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv = Csv::new(&["line", "name", "what", "x", "value", "low", "high"]);
        for line in &self.lines {
            for point in &line.points {
                let name = self.name_at(point.x);
                let numbers = [point.x, point.mean, point.low, point.high];
                csv.row(&[&line.name, name, "mean"], &numbers);
                for seed in &point.seeds {
                    csv.row(&[&line.name, name, "seed"], &[point.x, *seed, f64::NAN, f64::NAN]);
                }
            }
        }
        csv.finish()
    }

    fn name_at(&self, x: f64) -> &str {
        match &self.axis {
            CurveAxis::Names(names) if x >= 0.0 => names.get(x as usize).map_or("", String::as_str),
            _ => "",
        }
    }

    pub(super) fn draw(&self) -> Result<Paper> {
        legend::with_key(&self.entries(), &self.width, true, |free_pt| {
            let layout = self.layout(free_pt);
            Ok((self.draw_on(&layout)?, layout.frame))
        })
    }

    fn entries(&self) -> Vec<Entry> {
        let named = self.lines.iter().enumerate().filter(|(_, line)| !line.name.is_empty());
        let mut entries: Vec<Entry> = named
            .map(|(i, line)| {
                let stroke = if self.ordered() { look(i) } else { self.bar(i) };
                Entry { dot: Some(stroke.colour), ..Entry::line(&line.name, stroke) }
            })
            .collect();
        if entries.len() == 1 && self.lines.len() == 1 {
            entries.clear();
        }
        if let Some(reference) = self.reference.as_ref().filter(|r| !r.name.is_empty()) {
            entries.push(Entry::line(&reference.name, REFERENCE));
        }
        entries
    }

    fn ordered(&self) -> bool {
        !matches!(self.axis, CurveAxis::Names(_))
    }

    fn bar(&self, index: usize) -> Stroke {
        Stroke { dash: None, ..look(index) }
    }

    fn x_axis(&self, length_pt: f64) -> Axis {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let log = match &self.axis {
            CurveAxis::Names(names) => return Axis::named(names, &self.x_label),
            CurveAxis::Linear => false,
            CurveAxis::Log => true,
        };
        let scale = Scale::over(points().map(|point| point.x), log, 0.07);
        let mut values: Vec<f64> = points().map(|p| p.x).filter(|x| scale.shows(*x)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let axis = Axis::across(scale, &self.x_label, length_pt, &self.width);
        // Few settings are marked each; readers look for the values that were run.
        if values.len() <= 8 { axis.marked_at(&values, length_pt, &self.width) } else { axis }
    }

    fn value_scale(&self) -> Scale {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let values = points.flat_map(|point| {
            point.seeds.iter().copied().chain([point.mean, point.low, point.high])
        });
        let reference = self.reference.iter().map(|reference| reference.value);
        Scale::over(values.chain(reference), self.y_log, 0.07)
    }

    fn layout(&self, free_pt: f64) -> Layout {
        let width = &self.width;
        let rough_pt = width.width_pt - 42.0;
        let top = RIM_PT + 0.5 + free_pt;
        let x = self.x_axis(rough_pt);
        let dots = !self.ordered() && !x.has_room(rough_pt, width);
        let (across, up, high_pt) = if dots {
            let count = x.ticks.major.len() as f64;
            let high_pt = count * (self.lines.len() as f64 * ROW_PT.0 + ROW_PT.1) + 4.0;
            let value = Axis::across(self.value_scale(), &self.y_label, rough_pt * 0.7, width);
            (value, downwards(x), high_pt)
        } else {
            let high_pt = (0.66 * rough_pt).clamp(90.0, 190.0);
            let value = Axis::up(self.value_scale(), &self.y_label, high_pt, width);
            (x, value.clear_ends(0.3 * width.small_pt, high_pt), high_pt)
        };
        let left = up.left_pt(width);
        let right = RIM_PT + across.overhang_pt(rough_pt, width).max(0.5);
        let frame = Rect::new(left, top, width.width_pt - left - right, high_pt);
        Layout { height_pt: top + high_pt + across.below_pt(width), frame, across, up, dots }
    }

    fn draw_on(&self, layout: &Layout) -> Result<Paper> {
        let paper = Paper::new(self.width.width_pt, layout.height_pt);
        let mut panel = Panel::open(&paper, layout.frame, layout.across.scale, layout.up.scale)?;
        if let Some(reference) = &self.reference {
            let name_axis = if layout.dots { &layout.up } else { &layout.across };
            let ends = [name_axis.scale.low(), name_axis.scale.high()];
            let ends = ends.map(|x| layout.place(x, reference.value, (0.0, 0.0)));
            panel.line(&ends, &REFERENCE)?;
        }
        if layout.dots && self.lines.len() > 1 {
            layout.draw_rulers(&mut panel)?;
        }
        let mut marks = 0;
        for (i, line) in self.lines.iter().enumerate() {
            marks += self.draw_line(&mut panel, layout, (i, line))?;
        }
        let name = math_name(&self.y_label);
        paper.with_record(|record| record.panes.push(Pane { name, marks }));
        let label_x_pt = axes::label_x_pt(&[&layout.up], &self.width);
        axes::draw(&paper, layout.frame, (&layout.across, &layout.up), label_x_pt, &self.width);
        self.note_gaps(&paper, layout.value_scale());
        Ok(paper)
    }

    /// Draws bars, then the line, then the dots; returns how many means were drawn.
    fn draw_line(
        &self,
        panel: &mut Panel<'_>,
        layout: &Layout,
        (index, line): (usize, &CurveLine),
    ) -> Result<usize> {
        let aside = self.aside_pt(layout, index);
        let bar = self.bar(index);
        let shown: Vec<&CurvePoint> =
            line.points.iter().filter(|p| layout.value_scale().shows(p.mean)).collect();
        for point in &shown {
            let ends = self.bar_ends(point, layout.value_scale());
            let ends = ends.map(|end| layout.place(point.x, end, (aside, 0.0)));
            panel.line(&ends, &Stroke { width_pt: LINE_PT * 0.9, ..bar })?;
            let beside = (aside, SEED_SHIFT_PT);
            let seeds: Vec<_> =
                point.seeds.iter().map(|seed| layout.place(point.x, *seed, beside)).collect();
            panel.dots(&seeds, SEED_PT, bar.colour, SEED_ALPHA)?;
        }
        let means: Vec<_> =
            shown.iter().map(|point| layout.place(point.x, point.mean, (aside, 0.0))).collect();
        if self.ordered() {
            panel.line(&means, &look(index))?;
        }
        panel.dots(&means, MEAN_PT, bar.colour, 1.0)?;
        Ok(means.len())
    }

    /// The ends of an error bar: one that is missing is at the mean, and on a logarithmic axis one
    /// that is not positive is beyond the frame.
    fn bar_ends(&self, point: &CurvePoint, scale: &Scale) -> [f64; 2] {
        [point.low, point.high].map(|end| match end {
            end if !end.is_finite() => point.mean,
            end if scale.shows(end) => end,
            _ => scale.value(-1.0),
        })
    }

    fn aside_pt(&self, layout: &Layout, index: usize) -> f64 {
        let from_middle = index as f64 - (self.lines.len() as f64 - 1.0) / 2.0;
        let CurveAxis::Names(names) = &self.axis else { return DODGE_PT * from_middle };
        let long_pt = if layout.dots { layout.frame.h } else { layout.frame.w };
        let slot_pt = long_pt / names.len().max(1) as f64;
        let step_pt = (0.7 * slot_pt / self.lines.len().max(1) as f64).min(14.0);
        step_pt * from_middle
    }

    fn note_gaps(&self, paper: &Paper, scale: &Scale) {
        for line in &self.lines {
            let values = line.points.iter().flat_map(|p| p.seeds.iter().chain([&p.mean]));
            let (total, shown) =
                (values.clone().count(), values.filter(|v| scale.shows(**v)).count());
            if shown < total {
                let (gone, name) = (total - shown, &line.name);
                let note =
                    format!("left out as not showable: {gone} of {total} values of line `{name}`");
                paper.with_record(|record| record.notes.push(note));
            }
        }
    }
}

const REFERENCE: Stroke = Stroke { dash: Some("2.4 1.6"), ..Stroke::solid(GREY, 0.7) };

const RULER: Stroke = Stroke::solid([205, 205, 205], 0.35);

fn math_name(label: &str) -> String {
    super::math::plain(label)
}

/// An axis of names, the first at the top.
fn downwards(mut axis: Axis) -> Axis {
    let last = axis.ticks.major.len().saturating_sub(1) as f64;
    for tick in &mut axis.ticks.major {
        tick.value = last - tick.value;
    }
    axis
}

impl Layout {
    /// Thin lines between the names of a dot plot, where several marks belong to one name.
    fn draw_rulers(&self, panel: &mut Panel<'_>) -> Result<()> {
        for i in 1..self.up.ticks.major.len() {
            let ends = [self.across.scale.low(), self.across.scale.high()];
            panel.line(&ends.map(|x| (x, i as f64 - 0.5)), &RULER)?;
        }
        Ok(())
    }

    fn value_scale(&self) -> &Scale {
        if self.dots { &self.across.scale } else { &self.up.scale }
    }

    /// Where a value stands, moved along the axis of names by `aside` and `beside` points.
    fn place(&self, x: f64, value: f64, (aside, beside): (f64, f64)) -> (f64, f64) {
        if self.dots {
            let last = self.up.ticks.major.len().saturating_sub(1) as f64;
            let shift = -(aside + beside * 0.8) / self.frame.h;
            let scale = &self.up.scale;
            return (value, scale.value(scale.fraction(last - x) + shift));
        }
        let scale = &self.across.scale;
        (scale.value(scale.fraction(x) + (aside + beside) / self.frame.w), value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(names: &[&str]) -> Curve {
        let point = |x: usize| CurvePoint { x: x as f64, mean: 1.0, ..CurvePoint::default() };
        let points = (0..names.len()).map(point).collect();
        Curve {
            lines: vec![CurveLine { name: String::new(), points }],
            axis: CurveAxis::Names(names.iter().map(|name| (*name).to_owned()).collect()),
            x_label: String::new(),
            y_label: "error".into(),
            y_log: false,
            reference: None,
            width: Width::default(),
        }
    }

    #[test]
    fn names_with_room_stand_below_and_long_ones_on_the_left_from_top_to_bottom() {
        assert!(!figure(&["a", "b"]).layout(0.0).dots);
        let long = figure(&["a name much too long for its column"; 4]).layout(0.0);
        assert!(long.dots);
        assert!(long.place(0.0, 1.0, (0.0, 0.0)).1 > long.place(1.0, 1.0, (0.0, 0.0)).1);
    }

    #[test]
    fn few_settings_are_marked_where_they_were_run() {
        let mut figure = figure(&["a", "b", "c"]);
        figure.axis = CurveAxis::Log;
        for (point, x) in figure.lines[0].points.iter_mut().zip([10.0, 25.0, 100.0]) {
            point.x = x;
        }
        let ticks = figure.layout(0.0).across.ticks.major;
        let labels: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["10", "25", "100"]);
    }

    #[test]
    fn missing_seeds_are_counted() {
        let mut figure = figure(&["a"]);
        figure.lines[0].points[0].seeds = vec![1.0, f64::NAN];
        let notes = figure.draw().unwrap().with_record(|record| record.notes.clone());
        assert_eq!(notes, ["left out as not showable: 1 of 3 values of line ``"]);
    }

    #[test]
    fn the_csv_names_means_and_seeds() {
        let mut figure = figure(&["a"]);
        figure.lines[0].points[0].seeds = vec![1.5];
        let expect = "line,name,what,x,value,low,high\n,a,mean,0,1,0,0\n,a,seed,0,1.5,,\n";
        assert_eq!(figure.csv(), expect);
    }
}
