//! Points, rows and artefacts → figures: which curve of which node becomes which line of which panel.

use super::tables::Values;
use super::{Basis, Studio, collect};
use crate::expand::{Point, short_words};
use crate::figure::{
    ColourMap, Curve, CurveAxis, CurveLine, CurvePanel, CurvePoint, Drawing, Field, Figure, Grid,
    GridRow, Metadata, Training, TrainingRun, Width,
};
use crate::graph::Graph;
use crate::job::Series;
use crate::npy;
use crate::problem::Result;
use crate::record::Record;
use crate::spec::{Axes, CurveSpec, FigureSpec, GridSpec, Scale, SeedsSpec, Spec, TrainingSpec};
use crate::statistics;
use crate::store::Results;
use std::cell::RefCell;
use std::collections::HashMap;

/// What a figure is drawn from.
pub(super) struct Source<'s> {
    pub(super) spec: &'s Spec,
    pub(super) graph: &'s Graph,
    pub(super) results: &'s Results,
    pub(super) record: &'s Record,
    /// Numbers that were read, and where from.
    pub(super) values: RefCell<Values<'s>>,
    words: ShortWords,
}

/// Some points of a sweep.
pub(super) type Points<'p> = [(usize, &'p Point)];

/// Draws a figure; `None` if nothing that it shows is finished.
pub(super) fn draw(
    studio: Studio<'_>,
    (name, asked): (&str, &FigureSpec),
    points: &Points<'_>,
    (basis, values): (&Basis, Values<'_>),
) -> Result<Option<Drawing>> {
    let Studio { spec, graph, results, record } = studio;
    let (values, words) = (RefCell::new(values), short_words(spec));
    let source = Source { spec, graph, results, record, values, words };
    let figure = match asked {
        FigureSpec::Spectrum(asked) => source.spectrum(points, asked)?,
        FigureSpec::Curve(asked) => source.curve(points, asked)?,
        FigureSpec::Training(asked) => source.training(points, asked)?,
        FigureSpec::Grid(asked) => source.grid(points, asked)?,
        FigureSpec::Forward(asked) => source.forward(points, asked)?,
        FigureSpec::Points(asked) => source.points(points, asked)?,
        FigureSpec::Histogram(asked) => source.histogram(points, asked)?,
        FigureSpec::Heatmap(asked) => source.heatmap(points, asked)?,
        FigureSpec::Scatter(asked) => source.scatter(points, asked)?,
        FigureSpec::Trajectory(asked) => source.trajectory(points, asked)?,
        FigureSpec::Graph(asked) => return studio.graph_picture(name, asked).map(Some),
    };
    let Some(figure) = figure else { return Ok(None) };
    let title = format!("{}: {name}", spec.name);
    let sources = studio.sources(&basis.nodes);
    // A figure of the forward process needs nothing that is trained.
    let footnote = basis.partial().filter(|_| !matches!(asked, FigureSpec::Forward(_)));
    figure.draw(&Metadata { title, sources, footnote }).map(Some)
}

/// The word of an axis in labels, as in the names of nodes.
type ShortWords = HashMap<String, String>;

pub(super) fn axes(asked: Option<&Axes>) -> &[String] {
    asked.map_or(&[], |axes| &axes.0)
}

/// The width asked for; by default that of a column, or of the text for panels side by side.
pub(super) fn width_of(asked: Option<&String>, panels: usize) -> Result<Width> {
    match asked {
        Some(text) => Width::parse(text),
        None if panels > 1 => Width::parse("icml.text"),
        None => Ok(Width::default()),
    }
}

pub(super) fn column(series: &Series, name: &str) -> Vec<f64> {
    series.columns.get(name).cloned().unwrap_or_default()
}

/// The mean of columns of equal length.
pub(super) fn mean(columns: &[Vec<f64>]) -> Vec<f64> {
    let length = columns.iter().map(Vec::len).min().unwrap_or(0);
    (0..length).map(|i| columns.iter().map(|c| c[i]).sum::<f64>() / columns.len() as f64).collect()
}

impl Source<'_> {
    /// What something is called: by the labels of the spec, else by its own name as plain text.
    pub(super) fn called(&self, name: &str) -> String {
        let label = self.spec.labels.get(name);
        label.cloned().unwrap_or_else(|| name.replace('$', ""))
    }

    /// What an axis is called.
    pub(super) fn axis(&self, axis: &str) -> String {
        match self.spec.labels.get(axis) {
            Some(label) => label.clone(),
            None => self.called(self.words.get(axis).map_or(axis, String::as_str)),
        }
    }

    /// The name of a line or row: its words, each behind its axis where a number would say nothing alone.
    pub(super) fn named(&self, asked: Option<&Axes>, words: &[String], otherwise: &str) -> String {
        let told = |(axis, word): (&String, &String)| match crate::words::number(word) {
            Some(_) if !self.spec.labels.contains_key(word) => {
                format!("{} = {word}", self.axis(axis))
            }
            _ => self.called(word),
        };
        let told: Vec<String> = axes(asked).iter().zip(words).map(told).collect();
        if told.is_empty() { self.called(otherwise) } else { told.join(", ") }
    }

    /// What stands above a panel: each axis with its word.
    pub(super) fn title(&self, asked: Option<&Axes>, words: &[String]) -> Option<String> {
        let told = |(axis, word): (&String, &String)| {
            format!("{} = {}", self.axis(axis), self.called(word))
        };
        let told: Vec<String> = axes(asked).iter().zip(words).map(told).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// The series of a declaration at some points, a node once.
    pub(super) fn series(
        &self,
        points: &Points<'_>,
        declared: &str,
        name: &str,
    ) -> Result<Vec<Series>> {
        let nodes = collect::nodes_at(self.graph, points, declared);
        let found: Result<Vec<Option<Series>>> =
            nodes.iter().map(|node| self.record.series(&node.key, name)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn training(&self, points: &Points<'_>, asked: &TrainingSpec) -> Result<Option<Figure>> {
        let mut runs = vec![];
        for (line, members) in collect::group(points, axes(asked.lines.as_ref())) {
            let name = self.named(asked.lines.as_ref(), &line, &asked.of);
            for node in collect::nodes_at(self.graph, &members, &asked.of) {
                let pairs = |series: Option<Series>| {
                    let series = series.unwrap_or_default();
                    column(&series, "x")
                        .into_iter()
                        .zip(column(&series, "mean"))
                        .collect::<Vec<_>>()
                };
                let train = pairs(self.record.series(&node.key, "loss")?);
                let validation = pairs(self.record.series(&node.key, "validation_loss")?);
                let rates = match asked.learning_rate {
                    true => pairs(self.record.series(&node.key, "learning_rate")?),
                    false => vec![],
                };
                if !train.is_empty() {
                    runs.push(TrainingRun { name: name.clone(), train, validation, rates });
                }
            }
        }
        Ok((!runs.is_empty()).then_some(Figure::Training(Training {
            runs,
            x_label: "step".to_owned(),
            y_label: "loss".to_owned(),
            y_log: true,
            width: width_of(asked.width.as_ref(), 1)?,
        })))
    }

    fn curve(&self, points: &Points<'_>, asked: &CurveSpec) -> Result<Option<Figure>> {
        let along = collect::group(points, std::slice::from_ref(&asked.x));
        let places: Vec<String> = along.into_iter().map(|(mut words, _)| words.remove(0)).collect();
        let numeric = places.iter().all(|word| crate::words::number(word).is_some());
        let by = axes(asked.lines.as_ref());
        // Every panel has every line, if only to keep their order and their looks.
        let all: Vec<Vec<String>> =
            collect::group(points, by).into_iter().map(|(line, _)| line).collect();
        let mut panels = vec![];
        for (panel, members) in collect::group(points, axes(asked.panels.as_ref())) {
            let of_panel = collect::group(&members, by);
            let mut lines = vec![];
            for line in &all {
                let members = of_panel.iter().find(|(own, _)| own == line);
                let points = match members {
                    Some((_, members)) => self.along(members, asked, (&places, numeric))?,
                    None => vec![],
                };
                let name = self.named(asked.lines.as_ref(), line, &asked.y);
                lines.push(CurveLine { name, points });
            }
            if lines.iter().any(|line| !line.points.is_empty()) {
                panels.push(CurvePanel { title: self.title(asked.panels.as_ref(), &panel), lines });
            }
        }
        if panels.is_empty() {
            return Ok(None);
        }
        let axis = match (numeric, asked.x_scale) {
            (true, Scale::Log) => CurveAxis::Log,
            (true, Scale::Linear) => CurveAxis::Linear,
            (false, _) => CurveAxis::Names(places.iter().map(|word| self.called(word)).collect()),
        };
        Ok(Some(Figure::Curve(Curve {
            width: width_of(asked.width.as_ref(), panels.len())?,
            panels,
            axis,
            x_label: self.axis(&asked.x),
            y_label: self.called(&asked.y),
            y_log: asked.y_scale == Scale::Log,
            reference: None,
            dots: false,
            band: asked.seeds == SeedsSpec::Band,
        })))
    }

    /// The points of a line: at a number of the axis, or at the place of its word among `places`.
    fn along(
        &self,
        points: &Points<'_>,
        asked: &CurveSpec,
        (places, numeric): (&[String], bool),
    ) -> Result<Vec<CurvePoint>> {
        let mut drawn = vec![];
        for (x, members) in collect::group(points, std::slice::from_ref(&asked.x)) {
            let (cell, _) = self.cell(&members, &asked.y)?;
            let seeds = cell.numbers();
            if seeds.is_empty() {
                continue;
            }
            let place = places.iter().position(|word| *word == x[0]).unwrap_or(0) as f64;
            let number = crate::words::number(&x[0]).filter(|_| numeric);
            drawn.push(point(number.unwrap_or(place), seeds));
        }
        Ok(drawn)
    }

    /// Rows of samples from the first point of each group that has any; what a network sees as a logarithm
    /// is drawn as one, relative to the mean.
    /// Items of the data that the first of the samplings was trained on.
    fn truth(&self, points: &Points<'_>, asked: &GridSpec) -> Result<Option<GridRow>> {
        let Self { spec, graph, results, record, .. } = *self;
        let first =
            points.iter().find_map(|(i, _)| graph.at(*i, &asked.of)).filter(|_| asked.truth);
        let data = first.and_then(|index| graph.data_behind(index));
        let Some(data) = data else { return Ok(None) };
        let studio = Studio { spec, graph, results, record };
        let found = studio.look(data, asked.count as usize)?;
        Ok(found.map(|(fields, _)| GridRow { label: "test data".to_owned(), fields }))
    }

    fn grid(&self, points: &Points<'_>, asked: &GridSpec) -> Result<Option<Figure>> {
        let mut rows: Vec<GridRow> = self.truth(points, asked)?.into_iter().collect();
        let own = rows.len();
        let mut look = Look::default();
        for (label, members) in collect::group(points, axes(asked.rows.as_ref())) {
            let nodes = collect::nodes_at(self.graph, &members, &asked.of);
            let path =
                nodes.iter().map(|node| self.results.node(&node.folder()).join("samples.npy"));
            let Some(path) = path.into_iter().find(|path| path.exists()) else { continue };
            look = Look::of(&path)?;
            let places: Vec<usize> = (0..asked.count as usize).collect();
            let fields = fields(&path, &places, &look)?;
            rows.push(GridRow { label: self.named(asked.rows.as_ref(), &label, ""), fields });
        }
        Ok((rows.len() > own).then_some(Figure::Grid(Grid {
            rows,
            columns: vec![],
            bar_label: look.label(),
            limits: look.limits(),
            colours: look.colours(),
            width: width_of(asked.width.as_ref(), 1)?,
        })))
    }
}

/// Mean and sample standard deviation over seeds, as a point with its bar.
fn point(x: f64, seeds: Vec<f64>) -> CurvePoint {
    let mean = statistics::mean(&seeds).unwrap_or(f64::NAN);
    let deviation = statistics::standard_deviation(&seeds).unwrap_or(f64::NAN);
    CurvePoint { x, seeds, mean, low: mean - deviation, high: mean + deviation }
}

/// How samples are looked at, by the manifest beside them.
#[derive(Default)]
pub(super) struct Look {
    log10: bool,
    units: String,
    channels: usize,
}

impl Look {
    pub(super) fn of(samples: &std::path::Path) -> Result<Self> {
        let manifest: Option<serde_json::Value> =
            crate::files::read_json(&samples.with_file_name("dataset.json"))?;
        let manifest = manifest.unwrap_or_default();
        Ok(Self {
            log10: manifest["transform"]["log10"].as_bool().unwrap_or(false),
            units: manifest["units"].as_str().unwrap_or_default().to_owned(),
            channels: manifest["channels"].as_u64().unwrap_or(1) as usize,
        })
    }

    /// Images of three channels are shown as what they are, others by their first channel.
    pub(super) fn colours(&self) -> ColourMap {
        match (self.units.as_str(), self.channels) {
            ("bytes", 3) => ColourMap::Rgb,
            ("bytes", _) => ColourMap::Grey,
            _ => ColourMap::Magma,
        }
    }

    /// Whether samples are pictures, black to white.
    pub(super) fn is_image(&self) -> bool {
        self.units == "bytes"
    }

    pub(super) fn limits(&self) -> Option<(f64, f64)> {
        (self.colours() == ColourMap::Rgb).then_some((0.0, 255.0))
    }

    /// What the values themselves are, or their logarithms.
    pub(super) fn quantity(&self, is_log: bool) -> Option<String> {
        let (name, unit) = match self.units.as_str() {
            units if units.contains("Msun") => (r"\Sigma", r"[h\,M_\odot\,\mathrm{Mpc}^{-2}]"),
            "bytes" => return Some("brightness".to_owned()),
            _ => return None,
        };
        Some(match is_log {
            true => format!(r"$\log_{{10}}\,{name}\ {unit}$"),
            false => format!("${name}\\ {unit}$"),
        })
    }

    pub(super) fn label(&self) -> String {
        match (self.log10, self.units.as_str()) {
            (true, units) if units.contains("Msun") => {
                r"$\log_{10}(\Sigma/\langle\Sigma\rangle)$".to_owned()
            }
            (true, _) => r"$\log_{10}(x/\langle x\rangle)$".to_owned(),
            (false, "" | "bytes") => "value".to_owned(),
            (false, units) => units.replace('$', ""),
        }
    }
}

/// Some items of a file, of fields the first channel of each; places beyond its end are left out.
pub(super) fn fields(path: &std::path::Path, places: &[usize], look: &Look) -> Result<Vec<Field>> {
    let header = npy::Header::read(path)?;
    let [n, .., high, wide] = header.shape[..] else { return Ok(vec![]) };
    let each = header.numbers() / n.max(1);
    let mut maps = vec![];
    for place in places.iter().filter(|place| **place < n) {
        maps.push(npy::read_numbers(path, &header, place * each, each)?);
    }
    let count = maps.iter().map(Vec::len).sum::<usize>().max(1);
    let mean = maps.iter().flatten().sum::<f64>() / count as f64;
    let seen = |x: &f64| if look.log10 { (x / mean).log10() } else { *x };
    let shown = (look.colours().values() * wide * high).min(each);
    let field =
        |map: &Vec<f64>| Field { wide, high, values: map[..shown].iter().map(seen).collect() };
    Ok(maps.iter().map(field).collect())
}
