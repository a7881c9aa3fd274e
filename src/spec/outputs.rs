//! The figures and tables that a spec asks for.

use super::sweep::read_condition;
use crate::condition::Condition;
use crate::problem::Problem;
use crate::settings::table::{choice, kinds, table};
use crate::settings::{Found, Identity, Reader, Setting, Shape, Step, beside};
use serde_json::Value;
use std::path::{Path, PathBuf};

kinds! {
    /// A figure.
    pub enum FigureSpec {
        /// Power spectra with bands, and their ratio to the truth.
        Spectrum(SpectrumSpec) = "spectrum",
        /// A metric against an axis.
        Curve(CurveSpec) = "curve",
        /// Training and validation losses.
        Training(TrainingSpec) = "training",
        /// Samples, a row for each value of an axis.
        Grid(GridSpec) = "grid",
        /// An item on its way into noise.
        Forward(ForwardSpec) = "forward",
        /// Differences from the baseline, sorted.
        Points(PointsSpec) = "points",
        /// Distributions of pixel values beside that of the truth.
        Histogram(HistogramSpec) = "histogram",
        /// A metric over two axes.
        Heatmap(HeatmapSpec) = "heatmap",
        /// A metric against another, or against what it cost.
        Scatter(ScatterSpec) = "scatter",
        /// Samples on their way out of noise.
        Trajectory(TrajectorySpec) = "trajectory",
        /// The graph of the spec, and how far it is.
        Graph(GraphSpec) = "graph",
    }
}

impl FigureSpec {
    /// The points that are drawn.
    pub fn shown(&self) -> Shown<'_> {
        let (sweep, at) = match self {
            Self::Spectrum(s) => (&s.sweep, &s.at),
            Self::Curve(s) => (&s.sweep, &s.at),
            Self::Training(s) => (&s.sweep, &s.at),
            Self::Grid(s) => (&s.sweep, &s.at),
            Self::Forward(s) => (&s.sweep, &s.at),
            Self::Points(s) => (&s.sweep, &s.at),
            Self::Histogram(s) => (&s.sweep, &s.at),
            Self::Heatmap(s) => (&s.sweep, &s.at),
            Self::Scatter(s) => (&s.sweep, &s.at),
            Self::Trajectory(s) => (&s.sweep, &s.at),
            // It shows all of the spec.
            Self::Graph(_) => return Shown { sweep: None, at: None },
        };
        Shown { sweep: sweep.as_ref(), at: at.as_ref() }
    }

    /// The node, `node.measure` or `node.measure.metric` that is drawn, if it is of one.
    pub fn target(&self) -> Option<&String> {
        Some(match self {
            Self::Spectrum(s) => &s.of,
            Self::Curve(s) => &s.y,
            Self::Training(s) => &s.of,
            Self::Grid(s) => &s.of,
            Self::Forward(s) => &s.of,
            Self::Points(s) => &s.y,
            Self::Histogram(s) => &s.of,
            Self::Heatmap(s) => &s.value,
            Self::Scatter(s) => &s.y,
            Self::Trajectory(s) => &s.of,
            Self::Graph(_) => return None,
        })
    }

    /// All that is drawn.
    pub fn targets(&self) -> Vec<&String> {
        match self {
            Self::Scatter(s) => vec![&s.x, &s.y],
            _ => self.target().into_iter().collect(),
        }
    }

    /// The axes that it names, each with the way to it from the figure's settings.
    pub fn axes(&self) -> Vec<(Vec<Step>, &String)> {
        fn some<'a>(setting: &str, axes: &'a Option<Axes>) -> Vec<(Vec<Step>, &'a String)> {
            axes.as_ref().map_or(vec![], |axes| axes.steps(setting))
        }
        match self {
            Self::Spectrum(s) => [some("lines", &s.lines), some("panels", &s.panels)].concat(),
            Self::Curve(s) => {
                let x = vec![(vec![Step::Key("x".into())], &s.x)];
                [x, some("lines", &s.lines), some("panels", &s.panels)].concat()
            }
            Self::Training(s) => some("lines", &s.lines),
            Self::Grid(s) => some("rows", &s.rows),
            Self::Forward(s) => some("rows", &s.rows),
            Self::Points(s) => some("rows", &s.rows),
            Self::Histogram(s) => [some("lines", &s.lines), some("panels", &s.panels)].concat(),
            Self::Heatmap(s) => {
                vec![(vec![Step::Key("x".into())], &s.x), (vec![Step::Key("y".into())], &s.y)]
            }
            Self::Scatter(s) => [some("lines", &s.lines), some("names", &s.names)].concat(),
            Self::Trajectory(s) => some("rows", &s.rows),
            Self::Graph(_) => vec![],
        }
    }

    /// The settings that tell its lines, panels or rows apart.
    pub fn telling(&self) -> &'static [&'static str] {
        match self {
            Self::Spectrum(_) | Self::Curve(_) | Self::Histogram(_) => &["lines", "panels"],
            Self::Training(_) => &["lines"],
            Self::Grid(_) | Self::Forward(_) | Self::Points(_) | Self::Trajectory(_) => &["rows"],
            Self::Heatmap(_) => &["x", "y"],
            Self::Scatter(_) => &["lines", "names"],
            Self::Graph(_) => &[],
        }
    }
}

impl TableSpec {
    /// The points that are told.
    pub fn shown(&self) -> Shown<'_> {
        Shown { sweep: self.sweep.as_ref(), at: self.at.as_ref() }
    }

    /// The metrics, or the node, that it tells.
    pub fn targets(&self) -> impl Iterator<Item = &String> {
        self.metrics().iter().chain(&self.settings)
    }

    /// The metrics that it tells.
    pub fn metrics(&self) -> &[String] {
        self.columns.as_deref().unwrap_or_default()
    }
}

impl ForwardSpec {
    /// Where the image is that a figure of this spec's file asks for.
    pub fn image_file(&self, spec: &Path) -> Option<PathBuf> {
        let folder = spec.parent().unwrap_or(Path::new(""));
        Some(beside(folder, Path::new(self.image.as_ref()?)))
    }
}

/// Which points a figure or table shows.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'s> {
    /// Those of this sweep; without it, the baseline point.
    pub sweep: Option<&'s String>,
    /// Only those where this holds.
    pub at: Option<&'s At>,
}

/// A condition on the axes of points.
#[derive(Debug, Clone, PartialEq)]
pub struct At {
    /// What must hold.
    pub condition: Condition,
    written: Value,
}

impl Setting for At {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let condition = read_condition(found, reader)?;
        Some(Self { condition, written: found.value.clone() })
    }
    fn write(&self, _: Identity) -> Value {
        self.written.clone()
    }
    fn shape() -> Shape {
        Shape::Scalar("condition")
    }
}

/// One axis, or several whose values stand together: `nfe`, or `[schedule, nfe]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes(pub Vec<String>);

impl Axes {
    /// Each axis, with the way to it from the map whose `setting` this is.
    pub fn steps(&self, setting: &str) -> Vec<(Vec<Step>, &String)> {
        let key = Step::Key(setting.to_owned());
        match &self.0[..] {
            [axis] => vec![(vec![key], axis)],
            axes => {
                let way = |i| vec![key.clone(), Step::Item(i)];
                axes.iter().enumerate().map(|(i, axis)| (way(i), axis)).collect()
            }
        }
    }
}

impl Setting for Axes {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        if found.value.as_array().is_some_and(Vec::is_empty) {
            let problem = Problem::new("the list names no axis").help("leave the setting out");
            return reader.wrong(found, problem);
        }
        match found.value {
            Value::Array(_) => Vec::read(found, reader).map(Self),
            _ => String::read(found, reader).map(|axis| Self(vec![axis])),
        }
    }
    fn write(&self, identity: Identity) -> Value {
        match &self.0[..] {
            [axis] => axis.write(identity),
            axes => axes.to_vec().write(identity),
        }
    }
    fn shape() -> Shape {
        Shape::Any(vec![String::shape(), Vec::<String>::shape()])
    }
}

/// A name written in a spec: an axis, a sweep, a node, a metric.
type Word = String;

table! {
    /// Mean power spectra with their 16-84 % band over maps, the truth, and the ratio below.
    pub struct SpectrumSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "`node.measure` of an evaluate node."]
        of: Word;
        #[doc = "The axis whose values are lines, or a list of them."]
        lines: Option<Axes>;
        #[doc = "The axis whose values are panels side by side, or a list of them."]
        panels: Option<Axes>;
        #[doc = "Whether the ratio has a band in which perfect samples of equal number would lie, ± one standard error."]
        floor: bool = false;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// A metric against an axis, seeds as points and their mean as a line.
    pub struct CurveSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "The axis along x."]
        x: Word;
        #[doc = "`node.metric` or `node.measure.metric`."]
        y: Word;
        #[doc = "The axis whose values are lines, or a list of them."]
        lines: Option<Axes>;
        #[doc = "The axis whose values are panels side by side, or a list of them."]
        panels: Option<Axes>;
        #[doc = "Whether seeds are points with ± one standard deviation, or a band of it; along names always points."]
        seeds: SeedsSpec = SeedsSpec::Points;
        #[doc = "Scale of the x axis."]
        x_scale: Scale = Scale::Linear;
        #[doc = "Scale of the y axis."]
        y_scale: Scale = Scale::Linear;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

choice! {
    /// The scale of an axis.
    pub enum Scale {
        #[doc = "Equal steps."]
        Linear = "linear",
        #[doc = "Equal factors."]
        Log = "log",
    }
}

table! {
    /// Training and validation losses against the step.
    pub struct TrainingSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "A train node."]
        of: Word;
        #[doc = "The axis whose values have colours of their own, or a list of them."]
        lines: Option<Axes>;
        #[doc = "Whether the learning rate stands below."]
        learning_rate: bool = false;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// Samples on a shared colour scale, a row for each value of an axis.
    pub struct GridSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "A sample node."]
        of: Word;
        #[doc = "The axis whose values are rows, or a list of them."]
        rows: Option<Axes>;
        #[doc = "Samples in a row."]
        count: u64 [1.0..=32.0] = 6;
        #[doc = "Whether the first row shows items of the test split."]
        truth: bool = false;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// An item as a training sees it: clean, and with the noise of chosen times, the same noise at all of them; a row for
    /// each value of an axis. It needs no training to be finished.
    pub struct ForwardSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "A train node with noise of discrete times."]
        of: Word;
        #[doc = "The axis whose values are rows, or a list of them."]
        rows: Option<Axes>;
        #[doc = "A PNG or JPEG image to take instead of the first item of the data."]
        image: Option<Word>;
        #[doc = "Side to which its middle square is scaled, in pixels."]
        side: u64 [8.0..=1024.0] = 128;
        #[doc = "The times, from 0; by default five in even steps from the first to the last."]
        times: Option<Vec<u64>>;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// The difference of each combination of axis values from the baseline, paired by seed: every seed as a dot, their
    /// mean with its 95 % interval, sorted.
    pub struct PointsSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "`node.metric` or `node.measure.metric`."]
        y: Word;
        #[doc = "The axis that makes rows, or a list of them; by default all of the sweep's."]
        rows: Option<Axes>;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// Distributions of pixel values with their 16-84 % band over maps, beside the truth.
    pub struct HistogramSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "`node.one_point` of an evaluate node."]
        of: Word;
        #[doc = "The axis whose values are lines, or a list of them."]
        lines: Option<Axes>;
        #[doc = "The axis whose values are panels side by side, or a list of them."]
        panels: Option<Axes>;
        #[doc = "Scale of the densities."]
        y_scale: Scale = Scale::Log;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// A metric over two axes as coloured cells, the mean over seeds in each.
    pub struct HeatmapSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "The axis across."]
        x: Word;
        #[doc = "The axis down."]
        y: Word;
        #[doc = "`node.metric` or `node.measure.metric`."]
        value: Word;
        #[doc = "Scale of the colours."]
        scale: Scale = Scale::Linear;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// A metric against another: means with their standard deviations over seeds, and the front of those that no other
    /// beats in both.
    pub struct ScatterSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "The metric across; `node.device_hours` is what a node cost, with its failed attempts."]
        x: Word;
        #[doc = "The metric up."]
        y: Word;
        #[doc = "The axis whose values have colours of their own, or a list of them."]
        lines: Option<Axes>;
        #[doc = "The axis whose value stands beside each dot, or a list of them."]
        names: Option<Axes>;
        #[doc = "Scale of the x axis."]
        x_scale: Scale = Scale::Linear;
        #[doc = "Scale of the y axis."]
        y_scale: Scale = Scale::Linear;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// A sample on its way out of noise, a row for each value of an axis. The node must keep `frames`.
    pub struct TrajectorySpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "A sample node with `frames`."]
        of: Word;
        #[doc = "The axis whose values are rows, or a list of them."]
        rows: Option<Axes>;
        #[doc = "Moments in a row, the first and the last among them."]
        count: u64 [2.0..=32.0] = 7;
        #[doc = "Which sample, from 0."]
        sample: u64 [0.0..=1e6] = 0;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// The graph of a spec.
    pub struct GraphSpec {
        #[doc = "A box for each node, instead of one for each name with its seeds and axes folded."]
        all: bool = false;
    }
}

table! {
    /// A table: a row for each combination of axis values, a column for each metric, seeds folded.
    pub struct TableSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "Only the points where this holds, such as `{ nfe: 50 }` or `nfe >= 10`; by default all."]
        at: Option<At>;
        #[doc = "The axis that makes rows, or a list of them; by default all of the sweep's."]
        rows: Option<Axes>;
        #[doc = "Metrics: `node.metric` or `node.measure.metric`."]
        columns: Option<Vec<Word>>;
        #[doc = "Instead of columns: a node whose settings are told, one in a row, with all values that they have at the points."]
        settings: Option<Word>;
        #[doc = "What stands behind ±."]
        spread: SpreadSpec = SpreadSpec::Deviation;
        #[doc = "`baseline`: each row's difference to the row of the spec as written, paired by seed."]
        versus: Option<Versus>;
        #[doc = "How LaTeX sets the numbers."]
        latex: LatexSpec = LatexSpec::Booktabs;
    }
}

choice! {
    /// How a curve shows seeds.
    pub enum SeedsSpec {
        #[doc = "A point for each, and an error bar."]
        Points = "points",
        #[doc = "A band of one standard deviation about the mean."]
        Band = "band",
    }
}

choice! {
    /// What stands behind ±.
    pub enum SpreadSpec {
        #[doc = "The sample standard deviation over seeds."]
        Deviation = "sd",
        #[doc = "The standard error of the mean."]
        Error = "sem",
        #[doc = "Half the 95 % interval of the mean, by Student's t."]
        Interval = "ci95",
    }
}

choice! {
    /// How LaTeX sets numbers.
    pub enum LatexSpec {
        #[doc = "Right-aligned; needs the package booktabs."]
        Booktabs = "booktabs",
        #[doc = "Aligned at their decimal points; needs siunitx, version 3, too."]
        Siunitx = "siunitx",
    }
}

choice! {
    /// What the rows of a table are compared with.
    pub enum Versus {
        #[doc = "The row that equals the spec as written."]
        Baseline = "baseline",
    }
}
