//! Figures as papers print them: plain data in, SVG, PNG, PDF and CSV bytes out, the same bytes for
//! the same data. Knows nothing of specs, databases or nodes, and reads no clock, font or file of
//! the machine.

mod axes;
mod clip;
mod colour_bar;
mod csv;
mod curve;
mod curve_page;
mod dag;
mod export;
mod font;
mod grid;
mod heatmap;
mod histogram;
mod legend;
mod lint;
mod math;
mod panel;
mod paper;
mod pixels;
mod scale;
mod scatter;
mod script;
mod spectrum;
mod spectrum_page;
mod style;
mod svg;
mod tiles;
mod training;

pub use curve::{Curve, CurveAxis, CurveLine, CurvePanel, CurvePoint, Reference};
pub use dag::{Dag, DagArrow, DagBox, DagState};
pub use export::Drawing;
pub use font::text_faces;
pub use grid::{Field, Grid, GridRow};
pub use heatmap::Heatmap;
pub use histogram::{Histogram, HistogramPanel};
pub use math::plain;
pub use pixels::{ColourMap, strip};
pub use scatter::{Scatter, ScatterGroup, ScatterPoint};
pub use spectrum::{Band, RatioBand, Spectrum, SpectrumLine, SpectrumPanel};
pub use style::Width;
pub use svg::{base64, escape};
pub use training::{Training, TrainingRun};

use crate::problem::Result;
use paper::Paper;

/// What is written inside each file of a figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// What the figure is called.
    pub title: String,
    /// What it was made from, such as the keys of the nodes.
    pub sources: String,
    /// What stands in small type below the figure, such as that it shows only a part.
    pub footnote: Option<String>,
}

/// A figure that can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// Power spectra against a truth.
    Spectrum(Spectrum),
    /// Loss curves.
    Training(Training),
    /// Sample fields as pictures.
    Grid(Grid),
    /// A metric along an axis.
    Curve(Curve),
    /// Distributions beside a truth.
    Histogram(Histogram),
    /// A metric over two axes.
    Heatmap(Heatmap),
    /// A metric against another.
    Scatter(Scatter),
}

impl Figure {
    /// Draws the figure and makes all its files.
    ///
    /// # Errors
    /// Fails if a label has a character that the bundled typeface lacks.
    pub fn draw(&self, meta: &Metadata) -> Result<Drawing> {
        let paper = self.sheet()?;
        if let Some(footnote) = &meta.footnote {
            paper.add_footnote(footnote);
        }
        let drawing = export::export(&paper, self.csv(), meta)?;
        Ok(Drawing { script: self.script(&meta.title), ..drawing })
    }

    /// The data behind the figure, full precision.
    #[must_use]
    pub fn csv(&self) -> String {
        match self {
            Self::Spectrum(figure) => figure.csv(),
            Self::Training(figure) => figure.csv(),
            Self::Grid(figure) => figure.csv(),
            Self::Curve(figure) => figure.csv(),
            Self::Histogram(figure) => figure.csv(),
            Self::Heatmap(figure) => figure.csv(),
            Self::Scatter(figure) => figure.csv(),
        }
    }

    fn sheet(&self) -> Result<Paper> {
        match self {
            Self::Spectrum(figure) => figure.draw(),
            Self::Training(figure) => figure.draw(),
            Self::Grid(figure) => figure.draw(),
            Self::Curve(figure) => figure.draw(),
            Self::Histogram(figure) => figure.draw(),
            Self::Heatmap(figure) => figure.draw(),
            Self::Scatter(figure) => figure.draw(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Better;

    fn line(name: &str, factor: f64) -> SpectrumLine {
        let k: Vec<f64> = (0..24).map(|i| 0.2 * 1.2_f64.powi(i)).collect();
        let p: Vec<f64> = k.iter().map(|k| factor * 80.0 / (1.0 + k * k)).collect();
        let band = Band {
            low: p.iter().map(|p| 0.8 * p).collect(),
            high: p.iter().map(|p| 1.2 * p).collect(),
        };
        SpectrumLine { name: name.into(), k, p, band: Some(band) }
    }

    fn spectrum(width: &str, panels: usize, lines: Vec<SpectrumLine>) -> Figure {
        let panel = |i: usize| SpectrumPanel {
            title: (panels > 1).then(|| format!("{} steps", 10 * (i + 1))),
            truth: line("truth", 1.0),
            lines: lines.clone(),
            floor: None,
        };
        Figure::Spectrum(Spectrum {
            panels: (0..panels).map(panel).collect(),
            x_label: r"$k\ [h\,\mathrm{Mpc}^{-1}]$".into(),
            y_label: r"$P(k)\ [(h^{-1}\,\mathrm{Mpc})^2]$".into(),
            ratio_label: r"$P/P_\mathrm{true}$".into(),
            floor_name: "floor".into(),
            width: Width::parse(width).unwrap(),
        })
    }

    fn training(width: &str) -> Figure {
        let points = |scale: f64| (1..400).map(|i| (f64::from(i), scale / f64::from(i))).collect();
        let run = |name: &str, scale: f64| TrainingRun {
            name: name.into(),
            train: points(scale),
            validation: vec![(100.0, scale / 90.0), (300.0, scale / 280.0)],
            rates: if width == "neurips.text" { points(1e-3) } else { vec![] },
        };
        Figure::Training(Training {
            runs: vec![run("a", 1.0), run("b", 3.0)],
            x_label: "step".into(),
            y_label: "loss".into(),
            y_log: true,
            width: Width::parse(width).unwrap(),
        })
    }

    fn curve(axis: CurveAxis, lines: usize, panels: usize) -> Figure {
        let point = |x: usize| CurvePoint {
            x: x as f64,
            seeds: vec![0.9 / (x + 1) as f64, 1.1 / (x + 1) as f64],
            mean: 1.0 / (x + 1) as f64,
            low: 0.8 / (x + 1) as f64,
            high: f64::NAN,
        };
        let line =
            |i: usize| CurveLine { name: format!("line {i}"), points: (0..4).map(point).collect() };
        let panel = |i: usize| CurvePanel {
            title: (panels > 1).then(|| format!("prediction = {i}")),
            lines: (0..lines).map(line).collect(),
        };
        Figure::Curve(Curve {
            panels: (0..panels).map(panel).collect(),
            axis,
            x_label: "x".into(),
            y_label: "error".into(),
            y_log: false,
            reference: Some(Reference { name: "floor".into(), value: 0.1 }),
            dots: false,
            band: false,
            width: if panels > 1 { Width::parse("icml.text").unwrap() } else { Width::default() },
        })
    }

    fn grid(width: &str, side: usize) -> Figure {
        let values = (0..side * side).map(|i| (i as f64 * 0.7).sin()).collect();
        let field = Field { wide: side, high: side, values };
        let row = |label: &str| GridRow { label: label.into(), fields: vec![field.clone(); 4] };
        Figure::Grid(Grid {
            rows: vec![row("truth"), row("a name of several words")],
            columns: vec![],
            bar_label: "value".into(),
            limits: None,
            colours: ColourMap::Magma,
            width: Width::parse(width).unwrap(),
        })
    }

    fn heatmap(columns: usize, rows: usize) -> Figure {
        let names = |n: usize| (0..n).map(|i| format!("name {i}")).collect();
        let cell = |r: usize, c: usize| if r + c == 3 { f64::NAN } else { 0.1 + (r * c) as f64 };
        Figure::Heatmap(Heatmap {
            columns: names(columns),
            rows: names(rows),
            cells: (0..rows).map(|r| (0..columns).map(|c| cell(r, c)).collect()).collect(),
            x_label: "network evaluations".into(),
            y_label: "schedule".into(),
            bar_label: "error".into(),
            log: false,
            width: Width::default(),
        })
    }

    fn scatter(groups: usize) -> Figure {
        let point = |i: usize| {
            let x = (i + 1) as f64;
            let y = 1.0 / x;
            ScatterPoint {
                name: format!("{i}"),
                x: [x, x - 0.2, x + 0.2],
                y: [y, 0.8 * y, 1.2 * y],
            }
        };
        let group = |i: usize| ScatterGroup {
            name: format!("group {i}"),
            points: (0..4).map(|j| point(groups * j + i)).collect(),
        };
        Figure::Scatter(Scatter {
            groups: (0..groups).map(group).collect(),
            x_label: "hours".into(),
            y_label: "error".into(),
            x_log: true,
            y_log: true,
            better: Some((Better::Lower, Better::Lower)),
            width: Width::default(),
        })
    }

    fn histogram(panels: usize, y_log: bool) -> Figure {
        let panel = |i: usize| HistogramPanel {
            title: (panels > 1).then(|| format!("{i} steps")),
            truth: line("truth", 1.0),
            lines: vec![line("a", 1.1), line("b", 0.0)],
        };
        Figure::Histogram(Histogram {
            panels: (0..panels).map(panel).collect(),
            x_label: r"$\log_{10}$ of the value".into(),
            y_label: "density".into(),
            y_log,
            width: if panels > 1 { Width::parse("icml.text").unwrap() } else { Width::default() },
        })
    }

    fn every_kind() -> Vec<Figure> {
        let names = |name: &str| CurveAxis::Names((0..4).map(|i| format!("{name} {i}")).collect());
        vec![
            spectrum("icml.column", 1, vec![line("a", 1.1), line("b", 0.9)]),
            spectrum("icml.column", 1, (0..6).map(|i| line(&format!("line {i}"), 1.1)).collect()),
            spectrum("neurips.text", 3, vec![line("a", 1.1), line("b", 0.01)]),
            spectrum("icml.text", 4, vec![line("a", 1.0)]),
            training("icml.column"),
            training("neurips.text"),
            curve(CurveAxis::Linear, 3, 1),
            curve(CurveAxis::Log, 1, 1),
            curve(names("name"), 2, 1),
            curve(names("a very long name with the number"), 2, 1),
            curve(CurveAxis::Log, 3, 3),
            curve(names("name"), 2, 5),
            curve(names("a very long name with the number"), 2, 2),
            grid("icml.text", 16),
            grid("icml.column", 16),
            heatmap(4, 3),
            heatmap(9, 12),
            scatter(1),
            scatter(5),
            histogram(1, true),
            histogram(3, false),
        ]
    }

    #[test]
    fn the_same_data_give_the_same_bytes() {
        let meta =
            Metadata { title: "t".into(), sources: "s".into(), footnote: Some("part".into()) };
        for figure in every_kind() {
            assert!(figure.draw(&meta).unwrap() == figure.draw(&meta).unwrap());
        }
    }

    #[test]
    fn nothing_is_cut_covered_or_on_top_of_another() {
        for figure in every_kind() {
            let warnings = figure.draw(&Metadata::default()).unwrap().warnings;
            let bad: Vec<_> = warnings
                .iter()
                .filter(|warning| {
                    !warning.contains("off the scale") && !warning.contains("left out")
                })
                .collect();
            assert!(bad.is_empty(), "{bad:?} in {figure:?}");
        }
    }

    #[test]
    fn every_figure_has_its_width_to_a_thousandth_of_a_point() {
        let drawing = spectrum("100mm", 1, vec![]).draw(&Metadata::default()).unwrap();
        assert!(drawing.svg.contains("width=\"283.465pt\""));
    }

    #[test]
    fn figures_without_data_are_drawn_and_said_to_be_empty() {
        let width = Width::default();
        let label = String::new;
        let spectrum = Spectrum {
            panels: vec![SpectrumPanel::default()],
            x_label: label(),
            y_label: label(),
            ratio_label: label(),
            floor_name: label(),
            width,
        };
        let figures = [
            Figure::Spectrum(Spectrum { panels: vec![], ..spectrum.clone() }),
            Figure::Spectrum(spectrum),
            Figure::Training(Training {
                runs: vec![TrainingRun { train: vec![(1.0, f64::NAN)], ..Default::default() }],
                x_label: label(),
                y_label: label(),
                y_log: true,
                width,
            }),
            Figure::Curve(Curve {
                panels: vec![CurvePanel::default()],
                axis: CurveAxis::Names(vec![]),
                x_label: label(),
                y_label: label(),
                y_log: true,
                reference: None,
                dots: false,
                band: false,
                width,
            }),
            Figure::Grid(Grid {
                rows: vec![],
                columns: vec!["a".into()],
                bar_label: label(),
                limits: None,
                colours: ColourMap::Grey,
                width,
            }),
        ];
        for figure in figures {
            let warnings = figure.draw(&Metadata::default()).unwrap().warnings;
            assert!(warnings.iter().any(|w| w.contains("empty") || w.contains("no panels")));
        }
    }

    #[test]
    fn a_field_whose_size_and_values_disagree_is_refused() {
        let Figure::Grid(mut figure) = grid("icml.column", 4) else { unreachable!() };
        figure.rows[1].fields[2].values.pop();
        let problem = Figure::Grid(figure).draw(&Metadata::default()).unwrap_err();
        assert!(problem.sentence.contains("field 3 of row `a name"), "{problem}");
    }

    #[test]
    fn gaps_zeros_and_strays_in_a_spectrum_are_counted() {
        let mut bad = line("bad", 1.0);
        bad.p[2] = f64::NAN;
        bad.p[5] = 0.0;
        bad.p[9] = -1.0;
        let empty = SpectrumLine { name: "empty".into(), ..Default::default() };
        let lines = vec![bad, empty, line("far", 1e9)];
        let warnings =
            spectrum("icml.column", 1, lines).draw(&Metadata::default()).unwrap().warnings;
        assert_eq!(
            warnings[..2],
            [
                "left out as not positive: 3 of 24 points of line `bad`",
                "line `empty` has no positive power and is left out",
            ]
        );
        assert!(warnings[2].starts_with("line `far` lies off the scale of the panel;"));
    }

    #[test]
    fn the_spectrum_csv_has_a_row_a_point_with_the_ratio() {
        let csv = spectrum("icml.column", 1, vec![line("a, b", 2.0)]).csv();
        let rows: Vec<&str> = csv.lines().collect();
        assert_eq!((rows.len(), rows[0]), (49, "panel,line,k,p,low,high,ratio"));
        assert!(
            rows[25].starts_with(",\"a, b\",0.2,153.84615384615384,") && rows[25].ends_with(",2")
        );
    }
}
