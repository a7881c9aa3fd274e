//! Panels side by side, in as many rows as they need: where each stands, and their titles.

use super::paper::{Anchor, Paper, Rect, Type};
use super::style::{LABEL_GAP_PT, Width};

/// Between panels side by side, in points.
pub(super) const SIDE_GAP_PT: f64 = 6.0;

/// From the left end of the first to the right end of the last of panels side by side.
pub(super) fn around(panels: &[Rect]) -> Rect {
    let empty = Rect::new(0.0, 0.0, 0.0, 0.0);
    let (first, last) = (panels.first().unwrap_or(&empty), panels.last().unwrap_or(&empty));
    Rect::new(first.x, first.y, last.right() - first.x, first.h)
}

/// The width of one of `count` panels side by side within `free_pt`, in points.
pub(super) fn panel_pt(free_pt: f64, count: usize) -> f64 {
    let count = count.max(1) as f64;
    (free_pt - SIDE_GAP_PT * (count - 1.0)) / count
}

/// `count` panels side by side from `first` on, of the size of `first`.
pub(super) fn row(first: Rect, count: usize) -> Vec<Rect> {
    let at = |i: usize| first.x + i as f64 * (first.w + SIDE_GAP_PT);
    (0..count).map(|i| Rect::new(at(i), first.y, first.w, first.h)).collect()
}

/// Room that titles need above panels, in points; none if no panel has one.
pub(super) fn title_pt<'t>(
    mut titles: impl Iterator<Item = &'t Option<String>>,
    width: &Width,
) -> f64 {
    if titles.any(Option::is_some) { 0.75 * width.text_pt + LABEL_GAP_PT } else { 0.0 }
}

/// Writes a title above a panel.
pub(super) fn draw_title(paper: &Paper, at: Rect, title: Option<&String>, width: &Width) {
    let Some(title) = title else { return };
    let set = Type::new(width.text_pt, Anchor::Middle);
    paper.text((at.x + at.w / 2.0, at.y - LABEL_GAP_PT), title, set);
}

/// Names in order of first appearance: the place of a line's name is its look in all panels.
pub(super) fn names<'n>(all: impl Iterator<Item = &'n String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in all {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The look of the line of this name.
pub(super) fn look(names: &[String], name: &str) -> usize {
    names.iter().position(|other| other == name).unwrap_or(0)
}
