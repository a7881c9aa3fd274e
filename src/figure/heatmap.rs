//! A metric over two axes: a coloured cell for each pair of values, with its number where there is room.

use super::axes::{self, Axis};
use super::colour_bar;
use super::csv::Csv;
use super::curve_page::downwards;
use super::grid::Field;
use super::math;
use super::paper::{Anchor, Pane, Paper, Rect, Type};
use super::pixels::{self, ColourMap};
use super::scale::Scale;
use super::style::{BLACK, RIM_PT, Rgb, Stroke, Width};
use crate::problem::Result;

/// The figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Heatmap {
    /// The values of the axis across, from the left.
    pub columns: Vec<String>,
    /// The values of the axis down, from the top.
    pub rows: Vec<String>,
    /// Row by row, a number for each column; not a number where there is none.
    pub cells: Vec<Vec<f64>>,
    /// The axis across.
    pub x_label: String,
    /// The axis down.
    pub y_label: String,
    /// The metric, with its unit and which way is better.
    pub bar_label: String,
    /// Whether colours go by the logarithm.
    pub log: bool,
    /// The size on paper.
    pub width: Width,
}

/// Between two cells, in points.
const GAP_PT: f64 = 0.8;
const RIM: Stroke = Stroke::solid([255, 255, 255], GAP_PT);

impl Heatmap {
    /// The data behind the figure, a row for each cell.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv = Csv::new(&["row", "column", "value"]);
        for (row, cells) in self.rows.iter().zip(&self.cells) {
            for (column, value) in self.columns.iter().zip(cells) {
                csv.row(&[row, column], &[*value]);
            }
        }
        csv.finish()
    }

    pub(super) fn draw(&self) -> Result<Paper> {
        let width = &self.width;
        let values = || self.cells.iter().flatten().copied();
        let scale = Scale::over(values(), self.log, 0.0);
        let x = Axis::named(&self.columns, &self.x_label);
        let y = downwards(Axis::named(&self.rows, &self.y_label));
        let left_pt = y.left_pt(width);
        let top_pt = RIM_PT + 0.5;
        let rows = self.rows.len().max(1) as f64;
        // The bar's labels depend on its height, which depends on the cells: two rounds settle it.
        let mut bar_axis = Axis::up(scale, &self.bar_label, 60.0, width);
        let mut frame = Rect::new(left_pt, top_pt, 10.0, 60.0);
        for _ in 0..2 {
            frame.w = width.width_pt - left_pt - colour_bar::room_pt(&bar_axis, width);
            let cell_pt = frame.w / self.columns.len().max(1) as f64;
            frame.h = (rows * (0.62 * cell_pt).clamp(11.0, 34.0)).max(30.0);
            bar_axis = Axis::up(scale, &self.bar_label, frame.h, width)
                .clear_ends(0.3 * width.small_pt, frame.h);
        }
        let paper = Paper::new(width.width_pt, frame.bottom() + x.below_pt(width));
        self.draw_cells(&paper, frame, &scale)?;
        let label_x_pt = axes::label_x_pt(&[&y], width);
        axes::draw(&paper, frame, (&x.without_ticks(), &y.without_ticks()), label_x_pt, width);
        let bar =
            Rect::new(frame.right() + colour_bar::BAR_GAP_PT, frame.y, colour_bar::BAR_PT, frame.h);
        colour_bar::draw(&paper, bar, &bar_axis, ColourMap::Viridis, width)?;
        let gone = values().filter(|value| !scale.shows(*value)).count();
        let marks = values().count() - gone;
        paper.with_record(|record| {
            record.panes.push(Pane { name: "heatmap".into(), marks });
            if gone > 0 && marks > 0 {
                record.notes.push(format!("left out, and grey: {gone} cells without a value"));
            }
        });
        Ok(paper)
    }

    fn draw_cells(&self, paper: &Paper, frame: Rect, scale: &Scale) -> Result<()> {
        let (w, h) =
            (frame.w / self.columns.len().max(1) as f64, frame.h / self.rows.len().max(1) as f64);
        let shown =
            |value: &f64| if scale.shows(*value) { scale.fraction(*value) } else { f64::NAN };
        let words = self.words();
        let room = w - 2.0 * GAP_PT - 2.0;
        let fits = |word: &String| math::layout(word, self.width.small_pt).width_pt <= room;
        // Numbers in some cells alone would look as if the others had none.
        let written = h >= 1.3 * self.width.small_pt && words.iter().flatten().all(fits);
        for (r, cells) in self.cells.iter().enumerate() {
            for (c, value) in cells.iter().enumerate() {
                let at = Rect::new(frame.x + c as f64 * w, frame.y + r as f64 * h, w, h);
                let fraction = shown(value);
                let field = Field { wide: 1, high: 1, values: vec![fraction] };
                paper.image(at, &pixels::field_png(&field, (0.0, 1.0), ColourMap::Viridis)?);
                paper.outline(at, &RIM);
                if written && fraction.is_finite() {
                    let colour: Rgb = if fraction < 0.6 { [255, 255, 255] } else { BLACK };
                    let set = Type { colour, ..Type::new(self.width.small_pt, Anchor::Middle) };
                    let baseline = at.y + h / 2.0 + math::CAPITAL_EM / 2.0 * self.width.small_pt;
                    paper.text((at.x + w / 2.0, baseline), &words[r][c], set);
                }
            }
        }
        Ok(())
    }

    /// The numbers of the cells, all with equally many decimals.
    fn words(&self) -> Vec<Vec<String>> {
        let finite = || self.cells.iter().flatten().filter(|v| v.is_finite());
        let low = finite().copied().fold(f64::INFINITY, f64::min);
        let high = finite().copied().fold(f64::NEG_INFINITY, f64::max);
        let step = ((high - low) / 50.0).max(1e-9 * high.abs());
        let decimals = match step > 0.0 && step.is_finite() {
            true => (-step.log10().floor()).clamp(0.0, 6.0) as usize,
            false => 2,
        };
        let word = |value: &f64| match value.is_finite() {
            true => format!("{value:.decimals$}").replace('-', "−"),
            false => String::new(),
        };
        self.cells.iter().map(|row| row.iter().map(word).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_figure_have_equally_many_decimals() {
        let figure = Heatmap {
            columns: vec!["10".into(), "50".into()],
            rows: vec!["a".into(), "b".into()],
            cells: vec![vec![0.1234, 0.5], vec![f64::NAN, 0.25]],
            x_label: String::new(),
            y_label: String::new(),
            bar_label: String::new(),
            log: false,
            width: Width::default(),
        };
        assert_eq!(figure.words(), [["0.123", "0.500"], ["", "0.250"]]);
        assert_eq!(figure.csv(), "row,column,value\na,10,0.1234\na,50,0.5\nb,10,\nb,50,0.25\n");
    }
}
