//! The key to lines, bands and markers: set inside a panel where there is no ink, or as rows above
//! the panels. Measures its own text; learns where the ink is from the sheet.

use std::collections::BTreeSet;

use super::math;
use super::paper::{Anchor, Paper, Rect, Type};
use super::style::{RIM_PT, Rgb, Stroke, Width};
use crate::problem::Result;

/// One line of the key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) stroke: Option<Stroke>,
    /// A patch behind the line, with its opacity.
    pub(super) band: Option<(Rgb, f64)>,
    pub(super) dot: Option<Rgb>,
}

impl Entry {
    /// The key to a line.
    pub(super) fn line(label: &str, stroke: Stroke) -> Self {
        Self { label: label.to_owned(), stroke: Some(stroke), band: None, dot: None }
    }

    /// The key to a marker.
    pub(super) fn dot(label: &str, colour: Rgb) -> Self {
        Self { label: label.to_owned(), stroke: None, band: None, dot: Some(colour) }
    }

    /// The key to an area.
    pub(super) fn band(label: &str, colour: Rgb, alpha: f64) -> Self {
        Self { label: label.to_owned(), stroke: None, band: Some((colour, alpha)), dot: None }
    }
}

const SAMPLE_PT: f64 = 17.0;
const SAMPLE_GAP_PT: f64 = 4.0;
const BETWEEN_COLUMNS_PT: f64 = 11.0;
/// Distance from the frame and from any ink, in points.
const CLEAR_PT: f64 = 4.0;
/// Free width beside rows above the panels, and free height below them, in points.
const ROWS_RIM_PT: f64 = 30.0;
const ROWS_GAP_PT: f64 = 3.0;
const ROW_EM: f64 = 1.38;
/// Places tried across and up a panel.
const TRIES: usize = 13;

/// Width and height of the key as one column, in points.
fn column_size(entries: &[Entry], size_pt: f64) -> (f64, f64) {
    let widest = widest_pt(entries, size_pt);
    (SAMPLE_PT + SAMPLE_GAP_PT + widest, entries.len() as f64 * ROW_EM * size_pt)
}

fn widest_pt(entries: &[Entry], size_pt: f64) -> f64 {
    entries.iter().map(|entry| math::layout(&entry.label, size_pt).width_pt).fold(0.0, f64::max)
}

/// Draws a figure with its key: inside the frame if `inside` and a place is free of ink, else as rows
/// above. `draw` leaves the given height free at the top, and returns the sheet with its frame.
pub(super) fn with_key(
    entries: &[Entry],
    width: &Width,
    inside: bool,
    draw: impl Fn(f64) -> Result<(Paper, Rect)>,
) -> Result<Paper> {
    let size_pt = width.small_pt;
    if inside || entries.is_empty() {
        let (paper, frame) = draw(0.0)?;
        if entries.is_empty() {
            return Ok(paper);
        }
        if let Some(at) = place(&paper, frame, entries, size_pt) {
            draw_column(&paper, at, entries, size_pt);
            return Ok(paper);
        }
    }
    let rows = rows(entries, width.width_pt - ROWS_RIM_PT, size_pt);
    let (paper, frame) = draw(rows.height_pt + ROWS_GAP_PT)?;
    draw_rows(&paper, (frame.x + frame.w / 2.0, RIM_PT), &rows, entries, size_pt);
    Ok(paper)
}

/// The place in `panel` for the key that is farthest from all ink, if it has any free of ink.
fn place(paper: &Paper, panel: Rect, entries: &[Entry], size_pt: f64) -> Option<Rect> {
    let (w, h) = column_size(entries, size_pt);
    let room = panel.grown(-CLEAR_PT - 2.0);
    if w > room.w || h > room.h {
        return None;
    }
    let ink = ink_in(paper, panel.grown(1.0));
    let mut best: Option<(f64, Rect)> = None;
    for (across, down) in tries() {
        let at = Rect::new(room.x + across * (room.w - w), room.y + down * (room.h - h), w, h);
        let clear = ink.iter().map(|point| distance(&at, *point)).fold(25.0, f64::min);
        // A corner is where readers look first; worth some points of distance.
        let edges = [across, down].into_iter().filter(|t| *t == 0.0 || *t == 1.0).count();
        let score = clear + 4.0 * edges as f64;
        if clear >= CLEAR_PT && best.is_none_or(|(most, _)| score > most + 1e-9) {
            best = Some((score, at));
        }
    }
    best.map(|(_, at)| at)
}

/// The ink inside `at`, on a raster of one point, which is as fine as the eye asks here.
fn ink_in(paper: &Paper, at: Rect) -> Vec<(f64, f64)> {
    let cells: BTreeSet<(i32, i32)> = paper.with_record(|record| {
        let inside = record.ink.iter().filter(|point| at.contains(**point));
        inside.map(|(x, y)| (x.round() as i32, y.round() as i32)).collect()
    });
    cells.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect()
}

/// Fractions of the free room; upper right first, so that it wins among equals.
fn tries() -> impl Iterator<Item = (f64, f64)> {
    let step = |i: usize| i as f64 / (TRIES - 1) as f64;
    (0..TRIES).flat_map(move |row| (0..TRIES).rev().map(move |column| (step(column), step(row))))
}

fn distance(at: &Rect, (x, y): (f64, f64)) -> f64 {
    let dx = (at.x - x).max(x - at.right()).max(0.0);
    let dy = (at.y - y).max(y - at.bottom()).max(0.0);
    dx.hypot(dy)
}

/// Draws the key as one column at `at`.
fn draw_column(paper: &Paper, at: Rect, entries: &[Entry], size_pt: f64) {
    paper.with_record(|record| record.legends.push(at));
    for (i, entry) in entries.iter().enumerate() {
        draw_entry(paper, (at.x, at.y + (i as f64 + 0.5) * ROW_EM * size_pt), entry, size_pt);
    }
}

/// The key as rows of equal columns.
struct Rows {
    columns: usize,
    widths_pt: Vec<f64>,
    /// Height of all rows, in points.
    height_pt: f64,
}

/// Finds the most columns that fit in `wide_pt`.
fn rows(entries: &[Entry], wide_pt: f64, size_pt: f64) -> Rows {
    let cells: Vec<f64> = entries
        .iter()
        .map(|e| SAMPLE_PT + SAMPLE_GAP_PT + math::layout(&e.label, size_pt).width_pt)
        .collect();
    for columns in (1..=entries.len().max(1)).rev() {
        let rows = entries.len().div_ceil(columns);
        // As many columns as rows need, so that the last row is not left with one entry.
        let columns = entries.len().div_ceil(rows.max(1)).max(1);
        let widths_pt: Vec<f64> = (0..columns)
            .map(|c| cells.iter().skip(c).step_by(columns).copied().fold(0.0, f64::max))
            .collect();
        let total = widths_pt.iter().sum::<f64>() + BETWEEN_COLUMNS_PT * (columns - 1) as f64;
        if total <= wide_pt || columns == 1 {
            return Rows { columns, widths_pt, height_pt: rows as f64 * ROW_EM * size_pt };
        }
    }
    Rows { columns: 1, widths_pt: vec![0.0], height_pt: 0.0 }
}

/// Draws the key as rows whose middle is at `middle_x`, from `top` down.
fn draw_rows(
    paper: &Paper,
    (middle_x, top): (f64, f64),
    rows: &Rows,
    entries: &[Entry],
    size_pt: f64,
) {
    let total = rows.widths_pt.iter().sum::<f64>() + BETWEEN_COLUMNS_PT * (rows.columns - 1) as f64;
    let page_pt = paper.with_record(|record| record.width_pt);
    let left = (middle_x - total / 2.0).min(page_pt - RIM_PT - total).max(RIM_PT);
    paper.with_record(|record| {
        record.legends.push(Rect::new(left, top, total, rows.height_pt));
    });
    for (i, entry) in entries.iter().enumerate() {
        let (row, column) = (i / rows.columns, i % rows.columns);
        let before: f64 = rows.widths_pt[..column].iter().map(|w| w + BETWEEN_COLUMNS_PT).sum();
        let middle = top + (row as f64 + 0.5) * ROW_EM * size_pt;
        draw_entry(paper, (left + before, middle), entry, size_pt);
    }
}

fn draw_entry(paper: &Paper, (x, middle): (f64, f64), entry: &Entry, size_pt: f64) {
    if let Some((colour, alpha)) = entry.band {
        let half = 0.36 * size_pt;
        paper.fill(Rect::new(x, middle - half, SAMPLE_PT, 2.0 * half), colour, alpha);
    }
    if let Some(stroke) = &entry.stroke {
        paper.stroke(&[(x, middle), (x + SAMPLE_PT, middle)], stroke);
    }
    if let Some(colour) = entry.dot {
        paper.disc((x + SAMPLE_PT / 2.0, middle), 1.9, colour, 1.0);
    }
    let baseline = middle + math::CAPITAL_EM / 2.0 * size_pt;
    let at = (x + SAMPLE_PT + SAMPLE_GAP_PT, baseline);
    paper.text(at, &entry.label, Type::new(size_pt, Anchor::Start));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::style;

    fn entries(count: usize) -> Vec<Entry> {
        (0..count).map(|i| Entry::line(&format!("line {i}"), style::line(i))).collect()
    }

    const PANEL: Rect = Rect::new(20.0, 10.0, 180.0, 120.0);

    #[test]
    fn the_key_goes_where_no_ink_is() {
        let paper = Paper::new(220.0, 150.0);
        paper.with_record(|record| {
            for i in 0..=100 {
                let t = f64::from(i) / 100.0;
                record.ink.push((20.0 + 180.0 * t, 10.0 + 110.0 * t));
            }
        });
        let at = place(&paper, PANEL, &entries(3), 7.0).unwrap();
        assert!(at.x > 110.0 && at.y < 60.0, "{at:?}");
        let ink = paper.with_record(|record| record.ink.clone());
        assert!(ink.iter().all(|point| distance(&at, *point) >= CLEAR_PT));
    }

    #[test]
    fn a_full_panel_has_no_place() {
        let paper = Paper::new(220.0, 150.0);
        paper.with_record(|record| {
            for i in 0..180 * 12 {
                record.ink.push((20.0 + f64::from(i % 180), 10.0 + 10.0 * f64::from(i / 180)));
            }
        });
        assert_eq!(place(&paper, PANEL, &entries(3), 7.0), None);
    }

    #[test]
    fn rows_use_the_width_and_leave_no_orphan() {
        let wide = rows(&entries(6), 400.0, 7.0);
        assert_eq!(wide.columns, 6);
        let narrow = rows(&entries(5), 220.0, 7.0);
        assert_eq!(narrow.columns, 3);
    }
}
