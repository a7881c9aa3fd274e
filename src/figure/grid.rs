//! Sample fields as pictures in rows and columns, all on one perceptual colour scale with its bar.
//! Takes plain arrays; knows nothing of models or measures.

use super::axes::Axis;
use super::colour_bar::{self, BAR_GAP_PT, BAR_PT};
use super::csv::Csv;
use super::math;
use super::paper::{Anchor, Pane, Paper, Rect, Type};
use super::pixels::{self, ColourMap};
use super::scale::Scale;
use super::spectrum::quantile;
use super::style::{BLACK, LABEL_GAP_PT, RIM_PT, Stroke, Width};
use crate::problem::{Problem, Result};

/// The figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// From top to bottom.
    pub rows: Vec<GridRow>,
    /// Titles above the columns; may be empty.
    pub columns: Vec<String>,
    /// What the colours show, with its unit, such as `$\log_{10}(1+\delta)$`.
    pub bar_label: String,
    /// The values of the darkest and the brightest colour; by default all but the outermost 0.25 %
    /// of values at either end lie within.
    pub limits: Option<(f64, f64)>,
    /// Which colours.
    pub colours: ColourMap,
    /// The size on paper.
    pub width: Width,
}

/// One row of a [`Grid`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GridRow {
    /// Stands left of the row.
    pub label: String,
    /// From left to right.
    pub fields: Vec<Field>,
}

/// A picture of numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Field {
    /// Pixels across.
    pub wide: usize,
    /// Pixels down.
    pub high: usize,
    /// Row by row from the top, `wide * high` values; of colours three times as many.
    pub values: Vec<f64>,
}

const CELL_GAP_PT: f64 = 2.2;
/// A row label wider than this part of the figure is broken into lines.
const LABEL_PART: f64 = 0.2;
const LEADING_EM: f64 = 1.2;
/// More clipped values than this are told, as a fraction.
const CLIPPED: f64 = 0.02;

struct Layout {
    height_pt: f64,
    left_pt: f64,
    top_pt: f64,
    cell_pt: (f64, f64),
    rows: usize,
    bar: Rect,
    axis: Axis,
}

impl Grid {
    /// A summary of each field: extremes, mean, standard deviation, and the fraction of values
    /// outside the colours' limits. The fields themselves are too many numbers for a table.
    #[must_use]
    pub fn csv(&self) -> String {
        let header = ["row", "column", "low", "high", "mean", "deviation", "clipped"];
        let mut csv = Csv::new(&header);
        let limits = self.shown_limits();
        for row in &self.rows {
            for (i, field) in row.fields.iter().enumerate() {
                let title = self.columns.get(i).cloned().unwrap_or_else(|| i.to_string());
                csv.row(&[&row.label, &title], &field.summary(limits));
            }
        }
        csv.finish()
    }

    pub(super) fn draw(&self) -> Result<Paper> {
        self.check()?;
        let limits = self.shown_limits();
        let layout = self.layout(limits);
        let paper = Paper::new(self.width.width_pt, layout.height_pt);
        for (r, row) in self.rows.iter().enumerate() {
            self.draw_label(&paper, &layout, r, &row.label);
            for (c, field) in row.fields.iter().enumerate() {
                let png = pixels::field_png(field, limits, self.colours)?;
                let at = layout.cell(r, c);
                paper.image(at, &png);
                paper.outline(at, &Stroke::solid(BLACK, 0.3));
            }
        }
        self.draw_titles(&paper, &layout);
        if layout.rows > 0 && self.has_bar() {
            colour_bar::draw(&paper, layout.bar, &layout.axis, self.colours, &self.width)?;
        }
        self.note(&paper, limits);
        Ok(paper)
    }

    /// Colours that mean themselves need no bar.
    fn has_bar(&self) -> bool {
        self.colours != ColourMap::Rgb
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.rows.iter().flat_map(|row| &row.fields)
    }

    fn check(&self) -> Result<()> {
        for row in &self.rows {
            for (i, field) in row.fields.iter().enumerate() {
                let (wide, high, count) = (field.wide, field.high, field.values.len());
                let each = self.colours.values();
                let pixels = wide.checked_mul(high).and_then(|pixels| pixels.checked_mul(each));
                if wide == 0 || high == 0 || pixels != Some(count) {
                    let place = format!("field {} of row `{}`", i + 1, row.label);
                    return Err(Problem::new(format!(
                        "{place} has {count} values for {wide} x {high} pixels"
                    )));
                }
            }
        }
        Ok(())
    }

    fn shown_limits(&self) -> (f64, f64) {
        let all = || self.fields().flat_map(|field| &field.values).copied();
        let by_data = || (quantile(all(), 0.0025), quantile(all(), 0.9975));
        let (low, high) = self.limits.map_or_else(by_data, |(a, b)| (Some(a), Some(b)));
        let scale = Scale::linear(low.unwrap_or(f64::NAN), high.unwrap_or(f64::NAN));
        (scale.low(), scale.high())
    }

    fn layout(&self, limits: (f64, f64)) -> Layout {
        let width = &self.width;
        let widest = self
            .rows
            .iter()
            .flat_map(|row| self.label_lines(&row.label))
            .map(|line| math::layout(&line, width.small_pt).width_pt)
            .fold(0.0, f64::max);
        let left_pt = RIM_PT + if widest > 0.0 { widest + LABEL_GAP_PT } else { 0.0 };
        let titled = self.columns.iter().any(|title| !title.is_empty());
        let top_pt = RIM_PT + if titled { 0.8 * width.small_pt + LABEL_GAP_PT } else { 0.5 };
        let columns = self.rows.iter().map(|row| row.fields.len()).max().unwrap_or(0).max(1) as f64;
        let rows = self.rows.len();
        let tall = self.fields().map(|f| f.high as f64 / f.wide as f64).fold(0.0, f64::max);
        let tall = if tall > 0.0 { tall } else { 1.0 };
        // The bar's labels depend on its height, which depends on the cells: two rounds settle it.
        let mut axis = Axis::up(Scale::linear(limits.0, limits.1), &self.bar_label, 60.0, width);
        let (mut cell_pt, mut grid_pt) = ((0.0, 0.0), 0.0);
        for _ in 0..2 {
            let bar_pt = colour_bar::room_pt(&axis, width);
            let right_pt = if self.has_bar() { bar_pt } else { RIM_PT };
            let room = width.width_pt - left_pt - right_pt - CELL_GAP_PT * (columns - 1.0);
            cell_pt.0 = (room / columns).clamp(4.0, 0.34 * width.width_pt);
            cell_pt.1 = cell_pt.0 * tall;
            grid_pt = rows as f64 * (cell_pt.1 + CELL_GAP_PT) - CELL_GAP_PT;
            axis = Axis::up(axis.scale, &self.bar_label, grid_pt.max(30.0), width);
        }
        let right = left_pt + columns * (cell_pt.0 + CELL_GAP_PT) - CELL_GAP_PT;
        let bar = Rect::new(right + BAR_GAP_PT, top_pt, BAR_PT, grid_pt.max(30.0));
        let below_pt = if self.has_bar() { 0.4 * width.small_pt } else { 0.0 };
        let height_pt = bar.bottom().max(top_pt + grid_pt) + RIM_PT + below_pt;
        Layout { height_pt, left_pt, top_pt, cell_pt, rows, bar, axis }
    }

    fn draw_label(&self, paper: &Paper, layout: &Layout, row: usize, label: &str) {
        let at = layout.cell(row, 0);
        let (x, middle) = (at.x - LABEL_GAP_PT, at.y + at.h / 2.0);
        let small_pt = self.width.small_pt;
        let lines = self.label_lines(label);
        let first = middle - (lines.len() as f64 - 1.0) / 2.0 * LEADING_EM * small_pt;
        for (i, line) in lines.iter().enumerate() {
            let baseline = first + (i as f64 * LEADING_EM + math::CAPITAL_EM / 2.0) * small_pt;
            paper.text((x, baseline), line, Type::new(small_pt, Anchor::End));
        }
    }

    fn label_lines(&self, label: &str) -> Vec<String> {
        math::wrap(label, self.width.small_pt, LABEL_PART * self.width.width_pt)
    }

    fn draw_titles(&self, paper: &Paper, layout: &Layout) {
        for (c, title) in self.columns.iter().enumerate() {
            let at = layout.cell(0, c);
            let set = Type::new(self.width.small_pt, Anchor::Middle);
            paper.text((at.x + at.w / 2.0, at.y - LABEL_GAP_PT), title, set);
        }
    }

    fn note(&self, paper: &Paper, limits: (f64, f64)) {
        let total: usize = self.fields().map(|field| field.values.len()).sum();
        let gone = self.fields().flat_map(|f| &f.values).filter(|value| !value.is_finite()).count();
        let clipped: f64 =
            self.fields().map(|f| f.summary(limits)[4] * f.values.len() as f64).sum();
        let part = clipped / total.max(1) as f64;
        paper.with_record(|record| {
            let marks = total - gone;
            record.panes.push(Pane { name: "grid".into(), marks });
            if gone > 0 {
                let note = format!("shown grey as not a number: {gone} of {total} pixels");
                record.notes.push(note);
            }
            if part > CLIPPED && self.has_bar() {
                let percent = 100.0 * part;
                record
                    .notes
                    .push(format!("{percent:.1} % of the values are beyond the colour bar"));
            }
        });
    }
}

impl Layout {
    fn cell(&self, row: usize, column: usize) -> Rect {
        let (w, h) = self.cell_pt;
        let x = self.left_pt + column as f64 * (w + CELL_GAP_PT);
        Rect::new(x, self.top_pt + row as f64 * (h + CELL_GAP_PT), w, h)
    }
}

impl Field {
    /// Lowest, highest, mean, standard deviation (n-1), and the fraction outside `limits`.
    fn summary(&self, (low, high): (f64, f64)) -> [f64; 5] {
        let shown: Vec<f64> =
            self.values.iter().copied().filter(|value| value.is_finite()).collect();
        let count = shown.len() as f64;
        let mean = shown.iter().sum::<f64>() / count;
        let square: f64 = shown.iter().map(|value| (value - mean).powi(2)).sum();
        let outside = shown.iter().filter(|value| **value < low || **value > high).count();
        [
            shown.iter().copied().fold(f64::NAN, f64::min),
            shown.iter().copied().fold(f64::NAN, f64::max),
            mean,
            (square / (count - 1.0)).sqrt(),
            if shown.is_empty() { 0.0 } else { outside as f64 / count },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(values: Vec<f64>, limits: Option<(f64, f64)>) -> Grid {
        let field = Field { wide: values.len(), high: 1, values };
        Grid {
            rows: vec![GridRow { label: "a".into(), fields: vec![field] }],
            columns: vec![],
            bar_label: "value".into(),
            limits,
            colours: ColourMap::Magma,
            width: Width::default(),
        }
    }

    #[test]
    fn limits_leave_out_only_rare_outliers() {
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        values[7] = 1e9;
        let (low, high) = figure(values, None).shown_limits();
        assert!(low < 5.0 && (990.0..1000.0).contains(&high), "{low} {high}");
    }

    #[test]
    fn fields_of_one_value_or_none_have_limits_too() {
        for values in [vec![2.0; 4], vec![f64::NAN; 4]] {
            let (low, high) = figure(values, None).shown_limits();
            assert!(low < high);
        }
    }

    #[test]
    fn values_beyond_the_bar_and_gaps_are_told() {
        let values = vec![0.0, 1.0, 5.0, f64::NAN];
        let notes = figure(values, Some((0.0, 1.0))).draw().unwrap();
        let notes = notes.with_record(|record| record.notes.clone());
        assert_eq!(
            notes,
            [
                "shown grey as not a number: 1 of 4 pixels",
                "33.3 % of the values are beyond the colour bar",
            ]
        );
    }
}
