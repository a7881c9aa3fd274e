//! Distributions of values beside that of the truth, with bands over maps.

use super::axes::{self, Axis};
use super::csv::Csv;
use super::legend::{self, Entry};
use super::panel::Panel;
use super::paper::{Pane, Paper, Rect};
use super::scale::Scale;
use super::spectrum::{Band, SpectrumLine};
use super::style::{BAND_ALPHA, BLACK, LINE_PT, RIM_PT, Rgb, Stroke, Width, colour, dashed_line};
use super::tiles::{self, around, look};
use crate::problem::Result;

/// The figure: panels side by side on shared axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Side by side.
    pub panels: Vec<HistogramPanel>,
    /// What the values are, with their unit.
    pub x_label: String,
    /// What is up, such as `density`.
    pub y_label: String,
    /// Whether densities are on a logarithmic axis.
    pub y_log: bool,
    /// The size on paper.
    pub width: Width,
}

/// One panel of a [`Histogram`]. Of its lines `k` holds the middles of bins and `p` the densities.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramPanel {
    /// Above the panel.
    pub title: Option<String>,
    /// Solid black, with a grey band.
    pub truth: SpectrumLine,
    /// What is compared with it.
    pub lines: Vec<SpectrumLine>,
}

const TRUTH_BAND: Rgb = [190, 190, 190];
const TRUTH_ALPHA: f64 = 0.75;

impl Histogram {
    /// The data behind the figure, a row for each bin.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv = Csv::new(&["panel", "line", "x", "density", "low", "high"]);
        for panel in &self.panels {
            let title = panel.title.as_deref().unwrap_or_default();
            for line in std::iter::once(&panel.truth).chain(&panel.lines) {
                for (x, p, low, high) in bins(line) {
                    csv.row(&[title, &line.name], &[x, p, low, high]);
                }
            }
        }
        csv.finish()
    }

    fn all(&self) -> impl Iterator<Item = &SpectrumLine> {
        self.panels.iter().flat_map(|panel| std::iter::once(&panel.truth).chain(&panel.lines))
    }

    fn scales(&self) -> (Scale, Scale) {
        let x = Scale::over(self.all().flat_map(|line| line.k.iter().copied()), false, 0.02);
        let values = || self.all().flat_map(|line| line.p.iter().copied());
        if !self.y_log {
            return (x, Scale::over(values().chain([0.0]), false, 0.05));
        }
        // A bin with a handful of pixels shall not set the range.
        let most = values().filter(|p| p.is_finite()).fold(0.0, f64::max);
        (x, Scale::over(values().filter(|p| *p > 1e-5 * most), true, 0.05))
    }

    pub(super) fn draw(&self) -> Result<Paper> {
        let names =
            tiles::names(self.panels.iter().flat_map(|panel| &panel.lines).map(|line| &line.name));
        let mut entries = vec![];
        if let Some(truth) = self.panels.iter().map(|p| &p.truth).find(|truth| !truth.p.is_empty())
        {
            let band = truth.band.is_some().then_some((TRUTH_BAND, TRUTH_ALPHA));
            entries.push(Entry { band, ..Entry::line(&truth.name, Stroke::solid(BLACK, LINE_PT)) });
        }
        for (i, name) in names.iter().enumerate() {
            let band = Some((colour(i), BAND_ALPHA));
            entries.push(Entry { band, ..Entry::line(name, dashed_line(i)) });
        }
        legend::with_key(&entries, &self.width, self.panels.len() <= 1, |free_pt| {
            self.draw_below(free_pt, &names)
        })
    }

    fn draw_below(&self, free_pt: f64, names: &[String]) -> Result<(Paper, Rect)> {
        let width = &self.width;
        let (x_scale, y_scale) = self.scales();
        let rough_pt = tiles::panel_pt(width.width_pt - 42.0, self.panels.len());
        let high_pt = (0.66 * rough_pt).clamp(90.0, 190.0);
        let x = Axis::across(x_scale, &self.x_label, rough_pt, width);
        let y = Axis::up(y_scale, &self.y_label, high_pt, width)
            .clear_ends(0.3 * width.small_pt, high_pt);
        let left = y.left_pt(width);
        let right = RIM_PT + x.overhang_pt(rough_pt, width).max(0.5);
        let panel_pt = tiles::panel_pt(width.width_pt - left - right, self.panels.len());
        let title_pt = tiles::title_pt(self.panels.iter().map(|panel| &panel.title), width);
        let top = RIM_PT + 0.5 + free_pt + title_pt;
        let places = tiles::row(Rect::new(left, top, panel_pt, high_pt), self.panels.len());
        let paper = Paper::new(width.width_pt, top + high_pt + x.below_pt(width));
        let bare = Axis { label: String::new(), ..x.clone() };
        for (i, (panel, at)) in self.panels.iter().zip(&places).enumerate() {
            draw_panel(&paper, *at, panel, (x_scale, y_scale), names)?;
            let y = if i == 0 { y.clone() } else { y.bare() };
            axes::draw(&paper, *at, (&bare, &y), axes::label_x_pt(&[&y], width), width);
            tiles::draw_title(&paper, *at, panel.title.as_ref(), width);
        }
        if !places.is_empty() {
            axes::label_below(&paper, around(&places), &x, width);
        }
        Ok((paper, around(&places)))
    }
}

/// Middle, density and band of each bin.
fn bins(line: &SpectrumLine) -> impl Iterator<Item = (f64, f64, f64, f64)> {
    line.k.iter().zip(&line.p).enumerate().map(|(i, (x, p))| {
        let bound = |pick: fn(&Band) -> &Vec<f64>| {
            line.band.as_ref().and_then(|band| pick(band).get(i).copied()).unwrap_or(f64::NAN)
        };
        (*x, *p, bound(|band| &band.low), bound(|band| &band.high))
    })
}

fn draw_panel(
    paper: &Paper,
    at: Rect,
    panel: &HistogramPanel,
    (x, y): (Scale, Scale),
    names: &[String],
) -> Result<()> {
    let mut chart = Panel::open(paper, at, x, y)?;
    let band = |line: &SpectrumLine| -> Vec<(f64, f64, f64)> {
        let floor = y.value(-1.0);
        // On a logarithmic axis nothing reaches down to 0.
        let shown = |value: f64| if y.shows(value) { value } else { floor };
        let has_band = line.band.is_some();
        let all = bins(line).filter(|_| has_band);
        all.map(|(x, _, low, high)| (x, shown(low), shown(high))).collect()
    };
    let points =
        |line: &SpectrumLine| -> Vec<(f64, f64)> { bins(line).map(|(x, p, ..)| (x, p)).collect() };
    chart.band(&band(&panel.truth), TRUTH_BAND, TRUTH_ALPHA)?;
    for line in &panel.lines {
        chart.band(&band(line), colour(look(names, &line.name)), BAND_ALPHA)?;
    }
    chart.line(&points(&panel.truth), &Stroke::solid(BLACK, LINE_PT))?;
    let mut marks = panel.truth.p.len();
    for line in &panel.lines {
        chart.line(&points(line), &dashed_line(look(names, &line.name)))?;
        marks += line.p.len();
    }
    let name = panel.title.clone().unwrap_or_else(|| "histogram".to_owned());
    paper.with_record(|record| record.panes.push(Pane { name, marks }));
    Ok(())
}
