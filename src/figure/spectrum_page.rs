//! Lays out and draws the panels of a power-spectrum figure: upper panels that share an axis, ratio
//! panels beneath, one legend off the data. Takes numbers made ready by `spectrum`.

use super::axes::{self, Axis};
use super::legend::{self, Entry};
use super::panel::Panel;
use super::paper::{Pane, Paper, Rect};
use super::spectrum::{Ready, ReadyPanel, Spectrum, k_scale, p_scale, quantile, ratio_scale};
use super::style::{BAND_ALPHA, BLACK, LINE_PT, RIM_PT, Rgb, Stroke, colour, dashed_line};
use super::tiles::{self, around, look};
use crate::problem::Result;

const TRUTH_BAND: Rgb = [190, 190, 190];
const FLOOR_BAND: Rgb = [125, 125, 125];
const FLOOR_ALPHA: f64 = 0.55;
const TRUTH_ALPHA: f64 = 0.75;
/// Between an upper panel and its ratio panel, in points.
const STACK_GAP_PT: f64 = 4.0;

/// Where everything stands, in points.
struct Layout {
    height_pt: f64,
    upper: Vec<Rect>,
    lower: Vec<Rect>,
    label_x_pt: f64,
    x: Axis,
    p: Axis,
    ratio: Axis,
}

/// Draws the figure; the legend goes inside a lone panel if there is a free place for it.
pub(super) fn draw(spectrum: &Spectrum, panels: &[ReadyPanel]) -> Result<Paper> {
    let names = tiles::names(panels.iter().flat_map(|panel| &panel.lines).map(|line| &line.name));
    let entries = entries(spectrum, panels, &names);
    legend::with_key(&entries, &spectrum.width, panels.len() <= 1, |free_pt| {
        let layout = Layout::new(spectrum, panels, free_pt);
        Ok((draw_panels(spectrum, panels, &layout, &names)?, around(&layout.upper)))
    })
}

fn entries(spectrum: &Spectrum, panels: &[ReadyPanel], names: &[String]) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Some(truth) = panels.iter().map(|panel| &panel.truth).find(|t| !t.points.is_empty()) {
        let band = (!truth.band.is_empty()).then_some((TRUTH_BAND, TRUTH_ALPHA));
        entries.push(Entry { band, ..Entry::line(&truth.name, Stroke::solid(BLACK, LINE_PT)) });
    }
    for (i, name) in names.iter().enumerate() {
        let mut lines = panels.iter().flat_map(|panel| &panel.lines);
        let banded = lines.any(|line| line.name == *name && !line.band.is_empty());
        let band = banded.then_some((colour(i), BAND_ALPHA));
        entries.push(Entry { band, ..Entry::line(name, dashed_line(i)) });
    }
    if panels.iter().any(|panel| !panel.floor.is_empty()) {
        entries.push(Entry::band(&spectrum.floor_name, FLOOR_BAND, FLOOR_ALPHA));
    }
    entries
}

impl Layout {
    fn new(spectrum: &Spectrum, panels: &[ReadyPanel], free_pt: f64) -> Self {
        let width = &spectrum.width;
        let rough_pt = tiles::panel_pt(width.width_pt - 42.0, panels.len());
        let (upper_pt, lower_pt) =
            ((0.74 * rough_pt).clamp(96.0, 190.0), (0.32 * rough_pt).clamp(48.0, 76.0));
        let end_pt = 0.55 * width.small_pt;
        let p = Axis::up(p_scale(panels), &spectrum.y_label, upper_pt, width)
            .clear_ends(end_pt, upper_pt);
        let ratio = Axis::up(ratio_scale(panels), &spectrum.ratio_label, lower_pt, width)
            .clear_ends(end_pt, lower_pt);
        let x = Axis::across(k_scale(panels), &spectrum.x_label, rough_pt, width);
        let left = p.left_pt(width).max(ratio.left_pt(width));
        let right = RIM_PT + x.overhang_pt(rough_pt, width).max(0.5);
        let panel_pt = tiles::panel_pt(width.width_pt - left - right, panels.len());
        let title_pt = tiles::title_pt(panels.iter().map(|panel| &panel.title), width);
        let top = RIM_PT + 0.5 + free_pt + title_pt;
        let lower_top = top + upper_pt + STACK_GAP_PT;
        let row = |y: f64, h: f64| tiles::row(Rect::new(left, y, panel_pt, h), panels.len());
        Self {
            height_pt: lower_top + lower_pt + x.below_pt(width),
            upper: row(top, upper_pt),
            lower: row(lower_top, lower_pt),
            label_x_pt: axes::label_x_pt(&[&p, &ratio], width),
            x,
            p,
            ratio,
        }
    }
}

fn draw_panels(
    spectrum: &Spectrum,
    panels: &[ReadyPanel],
    layout: &Layout,
    names: &[String],
) -> Result<Paper> {
    let width = &spectrum.width;
    let paper = Paper::new(width.width_pt, layout.height_pt);
    for (i, panel) in panels.iter().enumerate() {
        let (upper, lower) = (layout.upper[i], layout.lower[i]);
        draw_upper(&paper, upper, panel, layout, names)?;
        draw_lower(&paper, lower, panel, layout, names)?;
        let first = i == 0;
        let p = if first { layout.p.clone() } else { layout.p.bare() };
        let ratio = if first { layout.ratio.clone() } else { layout.ratio.bare() };
        // Below several panels the label stands once, in the middle of all.
        let x = Axis { label: String::new(), ..layout.x.clone() };
        axes::draw(&paper, upper, (&x.bare(), &p), layout.label_x_pt, width);
        axes::draw(&paper, lower, (&x, &ratio), layout.label_x_pt, width);
        tiles::draw_title(&paper, upper, panel.title.as_ref(), width);
    }
    if !panels.is_empty() {
        axes::label_below(&paper, around(&layout.lower), &layout.x, width);
    }
    Ok(paper)
}

fn draw_upper(
    paper: &Paper,
    at: Rect,
    panel: &ReadyPanel,
    layout: &Layout,
    names: &[String],
) -> Result<()> {
    let mut chart = Panel::open(paper, at, layout.x.scale, layout.p.scale)?;
    chart.band(&panel.truth.band, TRUTH_BAND, TRUTH_ALPHA)?;
    for line in &panel.lines {
        chart.band(&line.band, colour(look(names, &line.name)), BAND_ALPHA)?;
    }
    chart.line(&panel.truth.points, &Stroke::solid(BLACK, LINE_PT))?;
    for line in &panel.lines {
        let index = look(names, &line.name);
        let drawn = chart.line(&line.points, &dashed_line(index))?;
        if !drawn {
            let across = 0.06 + 0.05 * index as f64;
            let middle = quantile(line.points.iter().map(|(_, p)| *p), 0.5);
            let upwards = middle.is_some_and(|p| p > layout.p.scale.high());
            chart.off_scale(across, upwards, colour(index));
            note_off_scale(paper, line, panel, "panel");
        }
    }
    note_pane(paper, panel);
    Ok(())
}

fn draw_lower(
    paper: &Paper,
    at: Rect,
    panel: &ReadyPanel,
    layout: &Layout,
    names: &[String],
) -> Result<()> {
    let mut chart = Panel::open(paper, at, layout.x.scale, layout.ratio.scale)?;
    chart.band(&panel.truth.ratio_band, TRUTH_BAND, TRUTH_ALPHA)?;
    chart.band(&panel.floor, FLOOR_BAND, FLOOR_ALPHA)?;
    for line in &panel.lines {
        chart.band(&line.ratio_band, colour(look(names, &line.name)), BAND_ALPHA)?;
    }
    let ends = [(layout.x.scale.low(), 1.0), (layout.x.scale.high(), 1.0)];
    chart.line(&ends, &Stroke::solid(BLACK, 0.8))?;
    for line in &panel.lines {
        let index = look(names, &line.name);
        let comparable = line.ratio.iter().any(|(_, ratio)| ratio.is_finite());
        let drawn = chart.line(&line.ratio, &dashed_line(index))?;
        if comparable && !drawn {
            let middle = quantile(line.ratio.iter().map(|(_, ratio)| *ratio), 0.5);
            let upwards = middle.is_some_and(|ratio| ratio > 1.0);
            chart.off_scale(0.06 + 0.05 * index as f64, upwards, colour(index));
            note_off_scale(paper, line, panel, "ratio panel");
        }
    }
    Ok(())
}

fn note_off_scale(paper: &Paper, line: &Ready, panel: &ReadyPanel, kind: &str) {
    let place = match &panel.title {
        Some(title) => format!("{kind} `{title}`"),
        None => format!("the {kind}"),
    };
    let note = format!(
        "line `{}` lies off the scale of {place}; an arrow at its border shows where",
        line.name
    );
    paper.with_record(|record| record.notes.push(note));
}

fn note_pane(paper: &Paper, panel: &ReadyPanel) {
    let name = panel.title.clone().unwrap_or_else(|| "spectrum".to_owned());
    let lines = std::iter::once(&panel.truth).chain(&panel.lines);
    let marks = lines.flat_map(|line| &line.points).filter(|(_, p)| p.is_finite()).count();
    paper.with_record(|record| record.panes.push(Pane { name, marks }));
}
