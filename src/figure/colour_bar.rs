//! The bar that tells which number has which colour.

use super::axes::Axis;
use super::math;
use super::paper::{Anchor, Paper, Rect, Type};
use super::pixels::{self, ColourMap};
use super::style::{
    AXIS_PT, BLACK, LABEL_GAP_PT, MAJOR_TICK_PT, RIM_PT, Stroke, TICK_GAP_PT, Width,
};
use crate::problem::Result;

/// The width of a bar, and its distance from what it explains, in points.
pub(super) const BAR_PT: f64 = 6.5;
pub(super) const BAR_GAP_PT: f64 = 5.0;

/// Room that a bar with its labels needs right of what it explains, rim included, in points.
pub(super) fn room_pt(axis: &Axis, width: &Width) -> f64 {
    (BAR_GAP_PT + BAR_PT + axis.left_pt(width)).max(RIM_PT)
}

/// Draws a bar at `bar` with its labels at the right.
pub(super) fn draw(
    paper: &Paper,
    bar: Rect,
    axis: &Axis,
    colours: ColourMap,
    width: &Width,
) -> Result<()> {
    paper.image(bar, &pixels::bar_png(colours)?);
    paper.outline(bar, &Stroke::solid(BLACK, AXIS_PT));
    let mut widest: f64 = 0.0;
    for tick in axis.ticks.major.iter().filter(|tick| !tick.label.is_empty()) {
        let y = bar.bottom() - axis.scale.fraction(tick.value) * bar.h;
        let ends = [(bar.right(), y), (bar.right() + 0.6 * MAJOR_TICK_PT, y)];
        paper.stroke(&ends, &Stroke::solid(BLACK, AXIS_PT));
        let baseline = y + math::CAPITAL_EM / 2.0 * width.small_pt;
        let x = ends[1].0 + 0.6 * TICK_GAP_PT;
        let at = paper.text((x, baseline), &tick.label, Type::new(width.small_pt, Anchor::Start));
        widest = widest.max(at.right());
    }
    let line = math::layout(&axis.label, width.small_pt);
    let at = (widest + LABEL_GAP_PT + line.ascent_pt, bar.y + bar.h / 2.0);
    let set = Type::new(width.small_pt, Anchor::Middle).upwards();
    paper.text(at, &axis.label, set);
    Ok(())
}
