//! Lays out and draws the panels of a metric along an axis: every seed as a dot, the mean with its
//! error bar, a line where the axis has an order. Names too long to stand side by side turn the
//! panels into dot plots.

use super::axes::{self, Axis};
use super::curve::{Curve, CurveAxis, CurveLine, CurvePanel, CurvePoint};
use super::legend::{self, Entry};
use super::math;
use super::panel::Panel;
use super::paper::{Pane, Paper, Rect};
use super::scale::Scale;
use super::style::{BAND_ALPHA, GREY, LINE_PT, RIM_PT, Stroke, line as stroke_of};
use super::tiles::{self, around, look};
use crate::problem::Result;

const MEAN_PT: (f64, f64) = (2.0, 0.5);
const SEED_PT: (f64, f64) = (1.15, 0.0);
const SEED_ALPHA: f64 = 0.4;
/// Seeds stand beside their error bar, in points.
const SEED_SHIFT_PT: f64 = 3.6;
/// Lines step aside for each other at the same number, in points.
const DODGE_PT: f64 = 2.4;
/// Height of a row in a dot plot, for each line in it, and around them, in points.
const ROW_PT: (f64, f64) = (6.5, 6.0);
/// How far beyond all dots the intervals of a dot plot set its range, as a share of theirs.
const WHISKERS: f64 = 0.5;
/// Panels side by side, at most; more make further rows.
const ABREAST: usize = 4;
/// Between rows of panels, in points.
const ROWS_GAP_PT: f64 = 5.0;

const REFERENCE: Stroke = Stroke { dash: Some("2.4 1.6"), ..Stroke::solid(GREY, 0.7) };

const RULER: Stroke = Stroke::solid([205, 205, 205], 0.35);

/// The frames and axes. In a dot plot the names go down and the metric goes across.
struct Layout {
    height_pt: f64,
    /// Rows of panels, all alike in size.
    rows: Vec<Vec<Rect>>,
    across: Axis,
    up: Axis,
    dots: bool,
}

/// Draws the figure; the legend goes inside a lone panel if there is a free place for it.
pub(super) fn draw(curve: &Curve) -> Result<Paper> {
    let page = Page { curve, names: tiles::names(curve.lines().map(|(_, line)| &line.name)) };
    legend::with_key(&page.entries(), &curve.width, curve.panels.len() <= 1, |free_pt| {
        let layout = page.layout(free_pt);
        let first = layout.rows.first().map_or(&[][..], Vec::as_slice);
        Ok((page.draw_on(&layout)?, around(first)))
    })
}

/// A figure and the names of its lines, whose places are their looks.
struct Page<'c> {
    curve: &'c Curve,
    names: Vec<String>,
}

impl Page<'_> {
    fn entries(&self) -> Vec<Entry> {
        let named = self.names.iter().enumerate().filter(|(_, name)| !name.is_empty());
        let mut entries: Vec<Entry> = named
            .map(|(i, name)| {
                let stroke = if self.curve.ordered() { stroke_of(i) } else { bar(i) };
                let banded = self.curve.band && self.curve.ordered();
                let band = banded.then_some((stroke.colour, BAND_ALPHA));
                Entry { dot: Some(stroke.colour), band, ..Entry::line(name, stroke) }
            })
            .collect();
        // A single line needs no key.
        if self.names.len() == 1 {
            entries.clear();
        }
        if let Some(reference) = self.curve.reference.as_ref().filter(|r| !r.name.is_empty()) {
            entries.push(Entry::line(&reference.name, REFERENCE));
        }
        entries
    }

    fn x_axis(&self, length_pt: f64) -> Axis {
        let curve = self.curve;
        let log = match &curve.axis {
            CurveAxis::Names(names) => return Axis::named(names, &curve.x_label),
            CurveAxis::Linear => false,
            CurveAxis::Log => true,
        };
        let aside_pt = DODGE_PT * (self.names.len() as f64 - 1.0) / 2.0 + SEED_SHIFT_PT;
        let rim = 0.04 + aside_pt / length_pt;
        let scale = Scale::over(curve.points().map(|point| point.x), log, rim);
        let mut values: Vec<f64> =
            curve.points().map(|p| p.x).filter(|x| scale.shows(*x)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let axis = Axis::across(scale, &curve.x_label, length_pt, &curve.width);
        // Few settings are marked each; readers look for the values that were run.
        if values.len() <= 8 { axis.marked_at(&values, length_pt, &curve.width) } else { axis }
    }

    fn value_scale(&self) -> Scale {
        let values = || {
            let of = |point: &CurvePoint| point.seeds.clone().into_iter().chain([point.mean]);
            let reference = self.curve.reference.iter().map(|reference| reference.value);
            self.curve.points().flat_map(of).chain(reference)
        };
        let ends = self.curve.points().flat_map(|point| [point.low, point.high]);
        if !self.curve.dots {
            return Scale::over(values().chain(ends), self.curve.y_log, 0.07);
        }
        // The interval of two seeds is so wide that it would leave nothing to see of the rest; it is cut at the frame.
        let known = Scale::over(values(), self.curve.y_log, 0.0);
        let cut = ends
            .filter(|end| known.shows(*end))
            .map(|end| known.value(known.fraction(end).clamp(-WHISKERS, 1.0 + WHISKERS)));
        Scale::over(values().chain(cut), self.curve.y_log, 0.04)
    }

    /// As few rows as leave every panel room for its title.
    fn layout(&self, free_pt: f64) -> Layout {
        let count = self.curve.panels.len().max(1);
        let titles = self.curve.panels.iter().filter_map(|panel| panel.title.as_ref());
        let widest_pt = titles
            .map(|title| math::layout(title, self.curve.width.text_pt).width_pt)
            .fold(0.0, f64::max);
        let even = |most: usize| count.div_ceil(count.div_ceil(most));
        let mut abreast = even(ABREAST);
        loop {
            let layout = self.layout_in_rows(free_pt, abreast);
            let panel_pt = layout.rows.first().and_then(|row| row.first()).map_or(0.0, |at| at.w);
            if abreast == 1 || widest_pt <= panel_pt {
                return layout;
            }
            abreast = even(abreast - 1);
        }
    }

    /// With so many panels side by side.
    fn layout_in_rows(&self, free_pt: f64, abreast: usize) -> Layout {
        let width = &self.curve.width;
        let count = self.curve.panels.len();
        let rough_pt = tiles::panel_pt(width.width_pt - 42.0, abreast);
        let x = self.x_axis(rough_pt);
        let dots = !self.curve.ordered() && (self.curve.dots || !x.has_room(rough_pt, width));
        let (across, up, high_pt) = if dots {
            let each_pt = self.names.len() as f64 * ROW_PT.0 + ROW_PT.1;
            let high_pt = x.ticks.major.len() as f64 * each_pt + 4.0;
            // The names on the left take their room from all panels.
            let rough_pt = 0.7 * rough_pt;
            let value = Axis::across(self.value_scale(), &self.curve.y_label, rough_pt, width);
            (value, downwards(x), high_pt)
        } else {
            let high_pt = (0.66 * rough_pt).clamp(90.0, 190.0);
            let value = Axis::up(self.value_scale(), &self.curve.y_label, high_pt, width);
            (x, value.clear_ends(0.3 * width.small_pt, high_pt), high_pt)
        };
        let left = up.left_pt(width);
        let right = RIM_PT + across.overhang_pt(rough_pt, width).max(0.5);
        let panel_pt = tiles::panel_pt(width.width_pt - left - right, abreast);
        let title_pt = tiles::title_pt(self.curve.panels.iter().map(|panel| &panel.title), width);
        let unlabelled = Axis { label: String::new(), ..across.clone() };
        let step_pt = title_pt + high_pt + unlabelled.below_pt(width) + ROWS_GAP_PT;
        let row = |row: usize| {
            let top = RIM_PT + 0.5 + free_pt + title_pt + row as f64 * step_pt;
            let here = abreast.min(count - row * abreast);
            tiles::row(Rect::new(left, top, panel_pt, high_pt), here)
        };
        let rows: Vec<Vec<Rect>> = (0..count.div_ceil(abreast)).map(row).collect();
        let bottom = rows.last().and_then(|row| row.first()).map_or(free_pt, Rect::bottom);
        Layout { height_pt: bottom + across.below_pt(width), rows, across, up, dots }
    }

    fn draw_on(&self, layout: &Layout) -> Result<Paper> {
        let width = &self.curve.width;
        let paper = Paper::new(width.width_pt, layout.height_pt);
        let label_x_pt = axes::label_x_pt(&[&layout.up], width);
        // Below several panels the label stands once, in the middle of all.
        let across = Axis { label: String::new(), ..layout.across.clone() };
        let places = layout.rows.iter().flat_map(|row| row.iter().enumerate());
        for (panel, (column, at)) in self.curve.panels.iter().zip(places) {
            self.draw_panel(&paper, *at, panel, layout)?;
            let up = if column == 0 { layout.up.clone() } else { layout.up.bare() };
            axes::draw(&paper, *at, (&across, &up), label_x_pt, width);
            tiles::draw_title(&paper, *at, panel.title.as_ref(), width);
        }
        if let (Some(first), Some(last)) = (layout.rows.first(), layout.rows.last()) {
            let all = Rect { y: last[0].y, ..around(first) };
            axes::label_below(&paper, all, &layout.across, width);
        }
        self.note_gaps(&paper, layout.value_scale());
        Ok(paper)
    }

    fn draw_panel(
        &self,
        paper: &Paper,
        at: Rect,
        asked: &CurvePanel,
        layout: &Layout,
    ) -> Result<()> {
        let mut panel = Panel::open(paper, at, layout.across.scale, layout.up.scale)?;
        if let Some(reference) = &self.curve.reference {
            let name_axis = if layout.dots { &layout.up } else { &layout.across };
            let ends = [name_axis.scale.low(), name_axis.scale.high()];
            let ends = ends.map(|x| layout.place(at, x, reference.value, (0.0, 0.0)));
            panel.line(&ends, &REFERENCE)?;
        }
        if layout.dots && self.names.len() > 1 {
            layout.draw_rulers(&mut panel)?;
        }
        let mut marks = 0;
        for line in &asked.lines {
            marks += self.draw_line(&mut panel, at, layout, line)?;
        }
        let label = math::plain(&self.curve.y_label);
        let name = asked.title.as_deref().map_or(label, math::plain);
        paper.with_record(|record| record.panes.push(Pane { name, marks }));
        Ok(())
    }

    /// Draws bars, then the line, then the dots; returns how many means were drawn.
    fn draw_line(
        &self,
        panel: &mut Panel<'_>,
        at: Rect,
        layout: &Layout,
        line: &CurveLine,
    ) -> Result<usize> {
        let index = look(&self.names, &line.name);
        let aside = self.aside_pt(at, layout, index);
        let bar = bar(index);
        let place = |x, value, beside| layout.place(at, x, value, (aside, beside));
        let shown: Vec<&CurvePoint> =
            line.points.iter().filter(|p| layout.value_scale().shows(p.mean)).collect();
        let banded = self.curve.band && self.curve.ordered();
        if banded {
            let scale = layout.value_scale();
            // What is beyond a logarithmic axis ends at the frame.
            let edge = |end: f64| if scale.shows(end) { end } else { scale.low() };
            let edges: Vec<_> = shown
                .iter()
                .filter(|p| p.low.is_finite() && p.high.is_finite())
                .map(|p| (p.x, edge(p.low), edge(p.high)))
                .collect();
            panel.band(&edges, bar.colour, BAND_ALPHA)?;
        }
        for point in shown.iter().filter(|_| !banded) {
            let ends = bar_ends(point, layout.value_scale()).map(|end| place(point.x, end, 0.0));
            panel.line(&ends, &Stroke { width_pt: LINE_PT * 0.9, ..bar })?;
            let seeds: Vec<_> =
                point.seeds.iter().map(|seed| place(point.x, *seed, SEED_SHIFT_PT)).collect();
            panel.dots(&seeds, SEED_PT, bar.colour, SEED_ALPHA)?;
        }
        let means: Vec<_> = shown.iter().map(|p| place(p.x, p.mean, 0.0)).collect();
        if self.curve.ordered() {
            panel.line(&means, &stroke_of(index))?;
        }
        panel.dots(&means, MEAN_PT, bar.colour, 1.0)?;
        Ok(means.len())
    }

    fn aside_pt(&self, at: Rect, layout: &Layout, index: usize) -> f64 {
        if self.curve.band && self.curve.ordered() {
            return 0.0;
        }
        let from_middle = index as f64 - (self.names.len() as f64 - 1.0) / 2.0;
        let CurveAxis::Names(names) = &self.curve.axis else { return DODGE_PT * from_middle };
        let long_pt = if layout.dots { at.h } else { at.w };
        let slot_pt = long_pt / names.len().max(1) as f64;
        let step_pt = (0.7 * slot_pt / self.names.len().max(1) as f64).min(14.0);
        step_pt * from_middle
    }

    fn note_gaps(&self, paper: &Paper, scale: &Scale) {
        for (panel, line) in self.curve.lines() {
            let values = line.points.iter().flat_map(|p| p.seeds.iter().chain([&p.mean]));
            let (total, shown) =
                (values.clone().count(), values.filter(|v| scale.shows(**v)).count());
            if shown < total {
                let (gone, name) = (total - shown, &line.name);
                let place = panel.title.as_ref().map_or(String::new(), |t| format!(" in `{t}`"));
                let note = format!(
                    "left out as not showable: {gone} of {total} values of line `{name}`{place}"
                );
                paper.with_record(|record| record.notes.push(note));
            }
        }
    }
}

fn bar(index: usize) -> Stroke {
    Stroke { dash: None, ..stroke_of(index) }
}

/// The ends of an error bar: one that is missing is at the mean, and on a logarithmic axis one
/// that is not positive is beyond the frame.
fn bar_ends(point: &CurvePoint, scale: &Scale) -> [f64; 2] {
    [point.low, point.high].map(|end| match end {
        end if !end.is_finite() => point.mean,
        end if scale.shows(end) => end,
        _ => scale.value(-1.0),
    })
}

/// An axis of names, the first at the top.
pub(super) fn downwards(mut axis: Axis) -> Axis {
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

    /// Where a value stands in the frame `at`, moved along the axis of names by `aside` and `beside` points.
    fn place(&self, at: Rect, x: f64, value: f64, (aside, beside): (f64, f64)) -> (f64, f64) {
        if self.dots {
            let last = self.up.ticks.major.len().saturating_sub(1) as f64;
            let shift = -(aside + beside * 0.8) / at.h;
            let scale = &self.up.scale;
            return (value, scale.value(scale.fraction(last - x) + shift));
        }
        let scale = &self.across.scale;
        (scale.value(scale.fraction(x) + (aside + beside) / at.w), value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::Width;
    use super::*;

    fn figure(names: &[&str]) -> Curve {
        let point = |x: usize| CurvePoint { x: x as f64, mean: 1.0, ..CurvePoint::default() };
        let points = (0..names.len()).map(point).collect();
        let line = CurveLine { name: String::new(), points };
        Curve {
            panels: vec![CurvePanel { title: None, lines: vec![line] }],
            axis: CurveAxis::Names(names.iter().map(|name| (*name).to_owned()).collect()),
            x_label: String::new(),
            y_label: "error".into(),
            y_log: false,
            reference: None,
            dots: false,
            band: false,
            width: Width::default(),
        }
    }

    fn layout(curve: &Curve) -> Layout {
        let names = tiles::names(curve.lines().map(|(_, line)| &line.name));
        Page { curve, names }.layout(0.0)
    }

    #[test]
    fn names_with_room_stand_below_and_long_ones_on_the_left_from_top_to_bottom() {
        assert!(!layout(&figure(&["a", "b"])).dots);
        let long = layout(&figure(&["a name much too long for its column"; 4]));
        assert!(long.dots);
        let at = long.rows[0][0];
        let place = |x: f64| long.place(at, x, 1.0, (0.0, 0.0)).1;
        assert!(place(0.0) > place(1.0));
    }

    #[test]
    fn few_settings_are_marked_where_they_were_run() {
        let mut figure = figure(&["a", "b", "c"]);
        figure.axis = CurveAxis::Log;
        let points = &mut figure.panels[0].lines[0].points;
        for (point, x) in points.iter_mut().zip([10.0, 25.0, 100.0]) {
            point.x = x;
        }
        let ticks = layout(&figure).across.ticks.major;
        let labels: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["10", "25", "100"]);
    }

    #[test]
    fn missing_seeds_are_counted() {
        let mut figure = figure(&["a"]);
        figure.panels[0].lines[0].points[0].seeds = vec![1.0, f64::NAN];
        let notes = figure.draw().unwrap().with_record(|record| record.notes.clone());
        assert_eq!(notes, ["left out as not showable: 1 of 3 values of line ``"]);
    }

    #[test]
    fn panels_that_are_too_many_for_a_row_make_rows_of_equal_length() {
        let mut figure = figure(&["a", "b"]);
        for (count, rows) in [(1, vec![1]), (4, vec![4]), (5, vec![3, 2]), (8, vec![4, 4])] {
            figure.panels = vec![figure.panels[0].clone(); count];
            let layout = layout(&figure);
            assert_eq!(layout.rows.iter().map(Vec::len).collect::<Vec<_>>(), rows);
            let bottoms = layout.rows.iter().map(|row| row[0].bottom());
            assert!(bottoms.is_sorted() && layout.height_pt > layout.rows[0][0].bottom());
        }
    }

    #[test]
    fn panels_keep_room_for_their_titles() {
        let mut figure = figure(&["a", "b"]);
        for (length, rows) in [(4, 1), (24, 2), (60, 4)] {
            let panel = CurvePanel { title: Some("t".repeat(length)), ..figure.panels[0].clone() };
            figure.panels = vec![panel; 4];
            assert_eq!(layout(&figure).rows.len(), rows, "{length}");
        }
    }

    #[test]
    fn a_line_looks_the_same_in_every_panel() {
        let mut figure = figure(&["a", "b"]);
        let named =
            |name: &str| CurveLine { name: name.into(), ..figure.panels[0].lines[0].clone() };
        let lines = [named("first"), named("second")];
        let panel = |lines: &[CurveLine]| CurvePanel { title: None, lines: lines.to_vec() };
        figure.panels = vec![panel(&lines), panel(&lines[1..])];
        let names = tiles::names(figure.lines().map(|(_, line)| &line.name));
        assert_eq!(
            figure.lines().map(|(_, l)| look(&names, &l.name)).collect::<Vec<_>>(),
            [0, 1, 1]
        );
    }
}
