//! A metric along an axis: every seed as a dot, the mean with its error bar, a line where the axis
//! has an order. Names too long to stand side by side turn the figure into a dot plot.

use super::csv::Csv;
use super::curve_page;
use super::paper::Paper;
use super::style::Width;
use crate::problem::Result;

/// The figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Side by side on shared axes; a line has the same look in all of them.
    pub panels: Vec<CurvePanel>,
    /// What lies along the axis.
    pub axis: CurveAxis,
    /// The label of that axis.
    pub x_label: String,
    /// The metric, with its unit and which way is better.
    pub y_label: String,
    /// Whether the metric's axis is logarithmic.
    pub y_log: bool,
    /// A thin dashed line, such as the floor of the metric; not in the legend if its name is empty.
    pub reference: Option<Reference>,
    /// Whether names go down and the metric across, however short the names are.
    pub dots: bool,
    /// Whether an ordered line has a band instead of error bars and seeds.
    pub band: bool,
    /// The size on paper.
    pub width: Width,
}

/// One panel of a [`Curve`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurvePanel {
    /// Above the panel.
    pub title: Option<String>,
    /// Drawn in this order, each name in its own colour.
    pub lines: Vec<CurveLine>,
}

/// What the points lie along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurveAxis {
    /// Numbers, evenly spaced.
    Linear,
    /// Positive numbers, spaced by their ratios.
    Log,
    /// Names; a point's `x` is the place in this list, from 0.
    Names(Vec<String>),
}

/// One line of a [`Curve`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurveLine {
    /// The name in the legend; a single line needs none.
    pub name: String,
    /// In the order of `x`.
    pub points: Vec<CurvePoint>,
}

/// The metric at one place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurvePoint {
    /// Where on the axis: a number, or the place in the list of names.
    pub x: f64,
    /// The metric of each seed.
    pub seeds: Vec<f64>,
    /// Their mean, or whatever else is claimed.
    pub mean: f64,
    /// Lower end of the error bar; not a number for none.
    pub low: f64,
    /// Upper end of the error bar; not a number for none.
    pub high: f64,
}

/// A value to compare with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reference {
    /// The name in the legend.
    pub name: String,
    /// The metric's value.
    pub value: f64,
}

impl Curve {
    /// The data behind the figure: a row for each mean and each seed.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv = Csv::new(&["panel", "line", "name", "what", "x", "value", "low", "high"]);
        for (panel, line) in self.lines() {
            let panel = panel.title.as_deref().unwrap_or_default();
            for point in &line.points {
                let name = self.name_at(point.x);
                let numbers = [point.x, point.mean, point.low, point.high];
                csv.row(&[panel, &line.name, name, "mean"], &numbers);
                for seed in &point.seeds {
                    let numbers = [point.x, *seed, f64::NAN, f64::NAN];
                    csv.row(&[panel, &line.name, name, "seed"], &numbers);
                }
            }
        }
        csv.finish()
    }

    /// Every line, with the panel it is in.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&CurvePanel, &CurveLine)> {
        self.panels.iter().flat_map(|panel| panel.lines.iter().map(move |line| (panel, line)))
    }

    /// Every point of every line.
    pub(super) fn points(&self) -> impl Iterator<Item = &CurvePoint> {
        self.lines().flat_map(|(_, line)| &line.points)
    }

    fn name_at(&self, x: f64) -> &str {
        match &self.axis {
            CurveAxis::Names(names) if x >= 0.0 => names.get(x as usize).map_or("", String::as_str),
            _ => "",
        }
    }

    /// Whether the axis has an order, so that a line may join its points.
    pub(super) fn ordered(&self) -> bool {
        !matches!(self.axis, CurveAxis::Names(_))
    }

    pub(super) fn draw(&self) -> Result<Paper> {
        curve_page::draw(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_csv_names_panels_means_and_seeds() {
        let point = CurvePoint { seeds: vec![1.5], mean: 1.0, ..CurvePoint::default() };
        let line = CurveLine { name: "b".into(), points: vec![point] };
        let figure = Curve {
            panels: vec![CurvePanel { title: Some("p".into()), lines: vec![line] }],
            axis: CurveAxis::Names(vec!["a".into()]),
            x_label: String::new(),
            y_label: "error".into(),
            y_log: false,
            reference: None,
            dots: false,
            band: false,
            width: Width::default(),
        };
        let expect =
            "panel,line,name,what,x,value,low,high\np,b,a,mean,0,1,0,0\np,b,a,seed,0,1.5,,\n";
        assert_eq!(figure.csv(), expect);
    }
}
