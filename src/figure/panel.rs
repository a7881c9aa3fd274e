//! A plotters chart on a rectangle of paper: lines, bands, dots and whiskers in data units, cut at
//! its frame, with a note of where the ink went. Knows nothing of ticks, labels or legends.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Circle, EmptyElement, Polygon};
use plotters::series::LineSeries;
use plotters::style::{Color, RGBAColor, ShapeStyle};

use super::clip::{self, Point};
use super::paper::{Paper, Rect, UNITS_PER_PT};
use super::scale::Scale;
use super::style::{Rgb, Stroke};
use crate::problem::{Problem, Result};

/// Distance of the points that stand for a line's ink, in points.
const INK_STEP_PT: f64 = 1.5;
/// The same inside bands.
const SHADE_STEP_PT: f64 = 3.0;

/// A frame that data is drawn into.
pub(super) struct Panel<'a> {
    paper: Paper,
    at: Rect,
    x: Scale,
    y: Scale,
    chart: ChartContext<'a, Paper, Cartesian2d<Scale, Scale>>,
}

impl<'a> Panel<'a> {
    /// Opens a panel over `at`, in points.
    pub(super) fn open(paper: &Paper, at: Rect, x: Scale, y: Scale) -> Result<Self> {
        let units = |pt: f64| (pt * UNITS_PER_PT).round() as i32;
        let area = paper
            .clone()
            .into_drawing_area()
            // plotters takes the last unit of an area for the outside of its chart.
            .shrink((units(at.x), units(at.y)), (units(at.w) + 1, units(at.h) + 1));
        let chart = ChartBuilder::on(&area).build_cartesian_2d(x, y).map_err(geometry)?;
        Ok(Self { paper: paper.clone(), at, x, y, chart })
    }

    /// The fractions of a value pair, if both can be shown.
    fn place(&self, (x, y): (f64, f64)) -> Option<Point> {
        let shown = self.x.shows(x) && self.y.shows(y);
        let place = (self.x.fraction(x), self.y.fraction(y));
        // Numbers near the largest there are overflow on a narrow scale.
        (shown && place.0.is_finite() && place.1.is_finite()).then_some(place)
    }

    fn values(&self, (x, y): Point) -> (f64, f64) {
        (self.x.value(x), self.y.value(y))
    }

    /// Where a fraction lies on the page, in points.
    fn on_page(&self, (x, y): Point) -> (f64, f64) {
        (self.at.x + x * self.at.w, self.at.bottom() - y * self.at.h)
    }

    /// Draws a line through the values that can be shown; it is broken where they cannot.
    /// Returns whether any of it lies in the frame.
    pub(super) fn line(&mut self, points: &[(f64, f64)], stroke: &Stroke) -> Result<bool> {
        let places: Vec<Option<Point>> = points.iter().map(|point| self.place(*point)).collect();
        self.paper.set_dash(stroke.dash);
        let mut drawn = false;
        for run in places.split(Option::is_none) {
            let run: Vec<Point> = run.iter().flatten().copied().collect();
            for piece in clip::polyline(&run) {
                drawn = true;
                self.note_line(&piece);
                let values: Vec<_> = piece.into_iter().map(|place| self.values(place)).collect();
                let series = LineSeries::new(values, shape(stroke));
                self.chart.draw_series(series).map_err(geometry)?;
            }
        }
        self.paper.set_dash(None);
        Ok(drawn)
    }

    /// Fills between `low` and `high` of `(x, low, high)`, and breaks where one cannot be shown.
    pub(super) fn band(
        &mut self,
        points: &[(f64, f64, f64)],
        colour: Rgb,
        alpha: f64,
    ) -> Result<()> {
        let places: Vec<Option<(Point, Point)>> = points
            .iter()
            .map(|(x, low, high)| Some((self.place((*x, *low))?, self.place((*x, *high))?)))
            .collect();
        for run in places.split(Option::is_none) {
            let edges: Vec<(Point, Point)> = run.iter().flatten().copied().collect();
            let outline: Vec<Point> = edges
                .iter()
                .map(|edge| edge.0)
                .chain(edges.iter().rev().map(|edge| edge.1))
                .collect();
            let corners = clip::polygon(&outline);
            if edges.len() < 2 || corners.len() < 3 {
                continue;
            }
            self.note_band(&edges);
            let values: Vec<_> = corners.into_iter().map(|place| self.values(place)).collect();
            let polygon = Polygon::new(values, rgba(colour, alpha).filled());
            self.chart.draw_series([polygon]).map_err(geometry)?;
        }
        Ok(())
    }

    /// Draws filled circles, with a white ring around each if `ring_pt` is positive.
    pub(super) fn dots(
        &mut self,
        points: &[(f64, f64)],
        (radius_pt, ring_pt): (f64, f64),
        colour: Rgb,
        alpha: f64,
    ) -> Result<()> {
        let units = |pt: f64| (pt * UNITS_PER_PT).round() as i32;
        let places: Vec<Point> = points.iter().filter_map(|point| self.place(*point)).collect();
        for place in places {
            if clip::segment(place, place).is_none() {
                continue;
            }
            let on_page = self.on_page(place);
            self.paper.with_record(|record| record.ink.push(on_page));
            let centre = self.values(place);
            let ring =
                Circle::new((0, 0), units(radius_pt + ring_pt), rgba([255; 3], 1.0).filled());
            let disc = Circle::new((0, 0), units(radius_pt), rgba(colour, alpha).filled());
            let drawn = if ring_pt > 0.0 {
                self.chart.draw_series([EmptyElement::at(centre) + ring + disc]).map(|_| ())
            } else {
                self.chart.draw_series([EmptyElement::at(centre) + disc]).map(|_| ())
            };
            drawn.map_err(geometry)?;
        }
        Ok(())
    }

    /// Points to where a line has gone that is off the scale, at a fraction of the width.
    pub(super) fn off_scale(&self, across: f64, upwards: bool, colour: Rgb) {
        let (x, edge) = self.on_page((across, if upwards { 1.0 } else { 0.0 }));
        let (tip, base) = if upwards { (edge + 1.2, edge + 5.0) } else { (edge - 1.2, edge - 5.0) };
        self.paper.polygon(&[(x, tip), (x - 2.2, base), (x + 2.2, base)], colour, 1.0);
        self.paper.with_record(|record| record.ink.push((x, base)));
    }

    fn note_line(&self, piece: &[Point]) {
        for pair in piece.windows(2) {
            let (a, b) = (self.on_page(pair[0]), self.on_page(pair[1]));
            let steps = ((b.0 - a.0).hypot(b.1 - a.1) / INK_STEP_PT).ceil().max(1.0) as usize;
            self.paper.with_record(|record| {
                record.ink.extend((0..=steps).map(|i| {
                    let t = i as f64 / steps as f64;
                    (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1))
                }));
            });
        }
    }

    fn note_band(&self, edges: &[(Point, Point)]) {
        for pair in edges.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let wide_pt = (b.0.0 - a.0.0).abs() * self.at.w;
            let columns = (wide_pt / SHADE_STEP_PT).ceil().clamp(1.0, 500.0) as usize;
            for i in 0..=columns {
                let t = i as f64 / columns as f64;
                let mix = |from: f64, to: f64| from + t * (to - from);
                let x = mix(a.0.0, b.0.0);
                let (low, high) = (mix(a.0.1, b.0.1), mix(a.1.1, b.1.1));
                let Some((low, high)) = clip::segment((x, low), (x, high)) else { continue };
                let (low, high) = (self.on_page(low), self.on_page(high));
                let rows = ((low.1 - high.1).abs() / SHADE_STEP_PT).ceil().max(1.0) as usize;
                self.paper.with_record(|record| {
                    record.ink.extend(
                        (0..=rows).map(|row| {
                            (low.0, low.1 + row as f64 / rows as f64 * (high.1 - low.1))
                        }),
                    );
                });
            }
        }
    }
}

fn rgba([r, g, b]: Rgb, alpha: f64) -> RGBAColor {
    RGBAColor(r, g, b, alpha)
}

fn shape(stroke: &Stroke) -> ShapeStyle {
    let width = (stroke.width_pt * UNITS_PER_PT).round() as u32;
    rgba(stroke.colour, stroke.alpha).stroke_width(width)
}

fn geometry(error: impl std::fmt::Display) -> Problem {
    Problem::system(format!("the plotting library could not place an element: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::style::BLACK;

    fn svg_of(draw: impl FnOnce(&mut Panel<'_>)) -> String {
        let paper = Paper::new(100.0, 100.0);
        let at = Rect::new(10.0, 10.0, 80.0, 80.0);
        let scales = (Scale::linear(0.0, 1.0), Scale::log(1.0, 100.0));
        let mut panel = Panel::open(&paper, at, scales.0, scales.1).unwrap();
        draw(&mut panel);
        paper.finish("").0
    }

    #[test]
    fn a_line_is_mapped_cut_at_the_frame_and_broken_at_a_gap() {
        let points =
            [(0.0, 10.0), (0.5, 1000.0), (0.6, f64::NAN), (0.7, 0.0), (0.8, 10.0), (1.0, 1.0)];
        let svg = svg_of(|panel| {
            panel.line(&points, &Stroke::solid(BLACK, 1.0)).unwrap();
        });
        assert!(svg.contains("M10 50L30 10\""), "{svg}");
        assert!(svg.contains("M74 50L90 90\""), "{svg}");
        assert_eq!(svg.matches("<path").count(), 2);
    }

    #[test]
    fn a_line_wholly_off_the_scale_says_so() {
        svg_of(|panel| {
            let far = [(0.0, 1e5), (1.0, 1e6)];
            assert!(!panel.line(&far, &Stroke::solid(BLACK, 1.0)).unwrap());
        });
    }

    #[test]
    fn a_band_is_cut_at_the_frame() {
        let svg = svg_of(|panel| {
            panel.band(&[(0.0, 0.1, 10.0), (1.0, 0.1, 10.0)], BLACK, 0.2).unwrap();
        });
        let path = svg.split("d=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for corner in ["10 50", "90 50", "90 90", "10 90"] {
            assert!(path.contains(corner), "{path}");
        }
    }
}
