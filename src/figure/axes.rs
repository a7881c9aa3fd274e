//! Frames, ticks and labels around a panel, and the margins they need, measured from the labels.
//! Knows where a panel is and what its scales are, not what is drawn in it.

use super::math;
use super::paper::{Anchor, Paper, Rect, Type};
use super::scale::{self, Scale, Tick, Ticks};
use super::style::{
    AXIS_PT, BLACK, LABEL_GAP_PT, MAJOR_TICK_PT, MINOR_PT, MINOR_TICK_PT, RIM_PT, Stroke,
    TICK_GAP_PT, Width,
};

/// One side of a panel: its scale, where it is marked, and what it shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) ticks: Ticks,
    /// What the axis shows, with its unit; empty for none.
    pub(super) label: String,
    /// Whether tick labels are written.
    pub(super) labelled: bool,
    /// Whether ticks are drawn.
    pub(super) marked: bool,
}

/// Free distance between two tick labels side by side, in points.
const BETWEEN_LABELS_PT: f64 = 3.0;

impl Axis {
    /// An axis marked as densely as `length_pt` and the type size allow.
    pub(super) fn across(scale: Scale, label: &str, length_pt: f64, width: &Width) -> Self {
        let mut most = (length_pt / (3.2 * width.small_pt)).floor().clamp(2.0, 9.0) as usize;
        loop {
            let ticks = scale.ticks(most);
            let wanted: f64 = ticks
                .major
                .iter()
                .map(|tick| math::layout(&tick.label, width.small_pt).width_pt + 6.0)
                .sum();
            if wanted < length_pt || most <= 2 {
                return Self {
                    scale,
                    ticks,
                    label: label.to_owned(),
                    labelled: true,
                    marked: true,
                };
            }
            most -= 1;
        }
    }

    /// The same for an axis that goes up.
    pub(super) fn up(scale: Scale, label: &str, length_pt: f64, width: &Width) -> Self {
        let most = (length_pt / (1.5 * width.small_pt)).floor().clamp(3.0, 7.0) as usize;
        Self {
            scale,
            ticks: scale.ticks(most),
            label: label.to_owned(),
            labelled: true,
            marked: true,
        }
    }

    /// An axis of names at 0, 1, 2 ..., without minor ticks.
    pub(super) fn named(names: &[String], label: &str) -> Self {
        let tick = |(i, name): (usize, &String)| Tick { value: i as f64, label: name.clone() };
        let scale = Scale::linear(-0.5, names.len().max(1) as f64 - 0.5);
        let ticks =
            Ticks { major: names.iter().enumerate().map(tick).collect(), minor: Vec::new() };
        Self { scale, ticks, label: label.to_owned(), labelled: true, marked: true }
    }

    /// The same axis marked at `values` instead, if their labels have room; `length_pt` long.
    pub(super) fn marked_at(self, values: &[f64], length_pt: f64, width: &Width) -> Self {
        let major: Vec<Tick> = values.iter().map(|value| scale::tick(*value)).collect();
        let former = self.ticks.major.iter().map(|tick| tick.value);
        let minor = self.ticks.minor.iter().copied().chain(former).collect();
        let marked = Self { ticks: Ticks { major, minor }, ..self.clone() };
        if values.len() >= 2 && marked.has_room(length_pt, width) { marked } else { self }
    }

    /// Whether all labels of a horizontal axis fit side by side.
    pub(super) fn has_room(&self, length_pt: f64, width: &Width) -> bool {
        let spans: Vec<(f64, f64)> = self
            .ticks
            .major
            .iter()
            .map(|tick| {
                let middle = self.scale.fraction(tick.value) * length_pt;
                let half = math::layout(&tick.label, width.small_pt).width_pt / 2.0;
                (middle - half, middle + half)
            })
            .collect();
        spans.windows(2).all(|pair| pair[0].1 + BETWEEN_LABELS_PT <= pair[1].0)
    }

    /// The same axis without marks at its numbers, which stay.
    pub(super) fn without_ticks(&self) -> Self {
        Self { marked: false, ..self.clone() }
    }

    /// The same axis without any text.
    pub(super) fn bare(&self) -> Self {
        Self { label: String::new(), labelled: false, ..self.clone() }
    }

    /// Takes away labels whose middle is nearer than `pt` to either end of a side `length_pt` long.
    pub(super) fn clear_ends(mut self, pt: f64, length_pt: f64) -> Self {
        let edge = pt / length_pt;
        for tick in &mut self.ticks.major {
            if !(edge..=1.0 - edge).contains(&self.scale.fraction(tick.value)) {
                tick.label.clear();
            }
        }
        self
    }

    /// The widest tick label, in points.
    fn widest_pt(&self, width: &Width) -> f64 {
        let widths =
            self.ticks.major.iter().map(|t| math::layout(&t.label, width.small_pt).width_pt);
        if self.labelled { widths.fold(0.0, f64::max) } else { 0.0 }
    }

    /// Room that a vertical axis needs left of its frame, rim included, in points.
    pub(super) fn left_pt(&self, width: &Width) -> f64 {
        let ticks_pt = self.widest_pt(width);
        let ticks_pt = if ticks_pt > 0.0 { ticks_pt + TICK_GAP_PT } else { 0.0 };
        let label = math::layout(&self.label, width.text_pt);
        let high_pt = label.ascent_pt + label.descent_pt + LABEL_GAP_PT;
        RIM_PT + ticks_pt + if self.label.is_empty() { 0.0 } else { high_pt }
    }

    /// Room that a horizontal axis needs below its frame, rim included, in points.
    pub(super) fn below_pt(&self, width: &Width) -> f64 {
        let tallest = self
            .ticks
            .major
            .iter()
            .map(|tick| math::layout(&tick.label, width.small_pt).ascent_pt)
            .fold(0.0, f64::max);
        let ticks_pt = if self.labelled { TICK_GAP_PT + 1.0 + tallest } else { 0.0 };
        let label = math::layout(&self.label, width.text_pt);
        let label_pt = if self.label.is_empty() {
            0.2 * width.small_pt
        } else {
            LABEL_GAP_PT + label.ascent_pt + label.descent_pt
        };
        RIM_PT + ticks_pt + label_pt
    }

    /// How far the last label of a horizontal axis sticks out right of its frame, in points.
    pub(super) fn overhang_pt(&self, length_pt: f64, width: &Width) -> f64 {
        let last = self.ticks.major.last().filter(|_| self.labelled);
        last.map_or(0.0, |tick| {
            let half_pt = math::layout(&tick.label, width.small_pt).width_pt / 2.0;
            half_pt - (1.0 - self.scale.fraction(tick.value)) * length_pt
        })
        .max(0.0)
    }
}

/// Draws the frame, the ticks and all labels of a panel at `at`. The vertical label stands at
/// `label_x_pt`, so that the labels of stacked panels are in line.
pub(super) fn draw(
    paper: &Paper,
    at: Rect,
    (x, y): (&Axis, &Axis),
    label_x_pt: f64,
    width: &Width,
) {
    draw_ticks(paper, at, x, true);
    draw_ticks(paper, at, y, false);
    paper.outline(at, &Stroke::solid(BLACK, AXIS_PT));
    if x.labelled {
        label_across(paper, at, x, width);
    }
    if y.labelled {
        label_up(paper, at, y, width);
    }
    label_below(paper, at, x, width);
    if !y.label.is_empty() {
        let set = Type::new(width.text_pt, Anchor::Middle).upwards();
        paper.text((label_x_pt, at.y + at.h / 2.0), &y.label, set);
    }
}

/// Writes what a horizontal axis shows below its tick labels, in the middle of `at`.
pub(super) fn label_below(paper: &Paper, at: Rect, x: &Axis, width: &Width) {
    if !x.label.is_empty() {
        let line = math::layout(&x.label, width.text_pt);
        let baseline = at.bottom() + x.below_pt(width) - RIM_PT - line.descent_pt;
        let set = Type::new(width.text_pt, Anchor::Middle);
        paper.text((at.x + at.w / 2.0, baseline), &x.label, set);
    }
}

/// Where the baseline of a vertical axis label stands when it starts at the page's rim, in points.
pub(super) fn label_x_pt(labels: &[&Axis], width: &Width) -> f64 {
    let ascents = labels.iter().map(|axis| math::layout(&axis.label, width.text_pt).ascent_pt);
    RIM_PT + ascents.fold(0.0, f64::max)
}

fn draw_ticks(paper: &Paper, at: Rect, axis: &Axis, horizontal: bool) {
    if !axis.marked {
        return;
    }
    let major = axis.ticks.major.iter().map(|tick| (tick.value, MAJOR_TICK_PT, AXIS_PT));
    let minor = axis.ticks.minor.iter().map(|value| (*value, MINOR_TICK_PT, MINOR_PT));
    for (value, long_pt, wide_pt) in minor.chain(major) {
        let stroke = Stroke::solid(BLACK, wide_pt);
        let fraction = axis.scale.fraction(value);
        if horizontal {
            let x = at.x + fraction * at.w;
            paper.stroke(&[(x, at.bottom()), (x, at.bottom() - long_pt)], &stroke);
            paper.stroke(&[(x, at.y), (x, at.y + long_pt)], &stroke);
        } else {
            let y = at.bottom() - fraction * at.h;
            paper.stroke(&[(at.x, y), (at.x + long_pt, y)], &stroke);
            paper.stroke(&[(at.right(), y), (at.right() - long_pt, y)], &stroke);
        }
    }
}

/// Writes tick labels below, leaving out those that would touch the one before.
fn label_across(paper: &Paper, at: Rect, axis: &Axis, width: &Width) {
    let lines = axis.ticks.major.iter().map(|tick| math::layout(&tick.label, width.small_pt));
    let tallest = lines.map(|line| line.ascent_pt).fold(0.0, f64::max);
    let baseline = at.bottom() + TICK_GAP_PT + 1.0 + tallest;
    let mut taken = f64::NEG_INFINITY;
    for tick in &axis.ticks.major {
        let x = at.x + axis.scale.fraction(tick.value) * at.w;
        let half_pt = math::layout(&tick.label, width.small_pt).width_pt / 2.0;
        if tick.label.is_empty() || x - half_pt < taken + BETWEEN_LABELS_PT {
            continue;
        }
        paper.text((x, baseline), &tick.label, Type::new(width.small_pt, Anchor::Middle));
        taken = x + half_pt;
    }
}

fn label_up(paper: &Paper, at: Rect, axis: &Axis, width: &Width) {
    for tick in axis.ticks.major.iter().filter(|tick| !tick.label.is_empty()) {
        let y = at.bottom() - axis.scale.fraction(tick.value) * at.h;
        let baseline = y + math::CAPITAL_EM / 2.0 * width.small_pt;
        let set = Type::new(width.small_pt, Anchor::End);
        paper.text((at.x - TICK_GAP_PT, baseline), &tick.label, set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_left_margin_grows_with_the_widest_tick_label() {
        let width = Width::default();
        let narrow = Axis::up(Scale::linear(0.0, 1.0), "", 100.0, &width);
        let wide = Axis::up(Scale::linear(0.0, 90_000.0), "", 100.0, &width);
        assert!(wide.left_pt(&width) > narrow.left_pt(&width) + 5.0);
    }

    #[test]
    fn labels_at_the_ends_can_be_cleared() {
        let width = Width::default();
        let axis = Axis::up(Scale::linear(0.0, 1.0), "", 100.0, &width).clear_ends(3.0, 100.0);
        let labels: Vec<&str> = axis.ticks.major.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!((labels.first(), labels.last()), (Some(&""), Some(&"")));
        assert!(labels.iter().filter(|label| !label.is_empty()).count() >= 3);
    }

    #[test]
    fn crowded_labels_are_thinned() {
        let paper = Paper::new(100.0, 100.0);
        let names: Vec<String> = (0..12).map(|i| format!("category {i}")).collect();
        let axis = Axis::named(&names, "");
        let at = Rect::new(10.0, 10.0, 80.0, 60.0);
        draw(&paper, at, (&axis, &axis.bare()), 0.0, &Width::default());
        let words = paper.finish("").1.words;
        assert!(words.len() >= 2 && words.len() < 12);
        assert!(words.windows(2).all(|pair| pair[0].at.right() + 2.9 < pair[1].at.x), "{words:?}");
    }
}
