//! The figures and tables that a spec asks for.

use crate::settings::table::{choice, kinds, table};

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
    }
}

impl FigureSpec {
    /// The sweep that is drawn, if one is named.
    pub fn sweep(&self) -> Option<&String> {
        match self {
            Self::Spectrum(s) => s.sweep.as_ref(),
            Self::Curve(s) => s.sweep.as_ref(),
            Self::Training(s) => s.sweep.as_ref(),
            Self::Grid(s) => s.sweep.as_ref(),
        }
    }

    /// The node, `node.measure` or `node.measure.metric` that is drawn.
    pub fn target(&self) -> &String {
        match self {
            Self::Spectrum(s) => &s.of,
            Self::Curve(s) => &s.y,
            Self::Training(s) => &s.of,
            Self::Grid(s) => &s.of,
        }
    }

    /// The axes that it names, each with the setting that names it.
    pub fn axes(&self) -> Vec<(&'static str, &String)> {
        let all = match self {
            Self::Spectrum(s) => vec![("lines", s.lines.as_ref()), ("panels", s.panels.as_ref())],
            Self::Curve(s) => vec![("x", Some(&s.x)), ("lines", s.lines.as_ref())],
            Self::Training(s) => vec![("lines", s.lines.as_ref())],
            Self::Grid(s) => vec![("rows", s.rows.as_ref())],
        };
        all.into_iter().filter_map(|(setting, axis)| Some((setting, axis?))).collect()
    }
}

/// A name written in a spec: an axis, a sweep, a node, a metric.
type Word = String;

table! {
    /// Mean power spectra with their 16-84 % band over maps, the truth, and the ratio below.
    pub struct SpectrumSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "`node.measure` of an evaluate node."]
        of: Word;
        #[doc = "The axis whose values are lines."]
        lines: Option<Word>;
        #[doc = "The axis whose values are panels side by side."]
        panels: Option<Word>;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// A metric against an axis, seeds as points and their mean as a line.
    pub struct CurveSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "The axis along x."]
        x: Word;
        #[doc = "`node.metric` or `node.measure.metric`."]
        y: Word;
        #[doc = "The axis whose values are lines."]
        lines: Option<Word>;
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
        #[doc = "A train node."]
        of: Word;
        #[doc = "The axis whose values have colours of their own."]
        lines: Option<Word>;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// Samples on a shared colour scale, a row for each value of an axis.
    pub struct GridSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "A sample node."]
        of: Word;
        #[doc = "The axis whose values are rows."]
        rows: Option<Word>;
        #[doc = "Samples in a row."]
        count: u64 [1.0..=32.0] = 6;
        #[doc = "A venue's column or text width, such as `icml.column`, or a length such as `3.25in`."]
        width: Option<Word>;
    }
}

table! {
    /// A table: a row for each combination of axis values, a column for each metric, seeds folded.
    pub struct TableSpec {
        #[doc = "The sweep; without it, the baseline point."]
        sweep: Option<Word>;
        #[doc = "The axes that make rows; by default all of the sweep's."]
        rows: Option<Vec<Word>>;
        #[doc = "Metrics: `node.metric` or `node.measure.metric`."]
        columns: Vec<Word>;
        #[doc = "`baseline`: each row's difference to the row of the spec as written, paired by seed."]
        versus: Option<Versus>;
    }
}

choice! {
    /// What the rows of a table are compared with.
    pub enum Versus {
        #[doc = "The row that equals the spec as written."]
        Baseline = "baseline",
    }
}
