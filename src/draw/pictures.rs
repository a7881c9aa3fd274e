//! Points, rows and artefacts → figures: which curve of which node becomes which line of which panel.

use super::collect;
use crate::expand::Point;
use crate::figure::{
    Band, ColourMap, Curve, CurveAxis, CurveLine, CurvePoint, Drawing, Field, Figure, Grid,
    GridRow, Metadata, Spectrum, SpectrumLine, SpectrumPanel, Training, TrainingRun, Width,
};
use crate::graph::Graph;
use crate::job::Series;
use crate::npy;
use crate::problem::Result;
use crate::record::Record;
use crate::spec::{CurveSpec, FigureSpec, GridSpec, Scale, Spec, SpectrumSpec, TrainingSpec};
use crate::store::Results;

/// What a figure is drawn from.
struct Source<'s> {
    spec: &'s Spec,
    graph: &'s Graph,
    results: &'s Results,
    record: &'s Record,
}

/// Some points of a sweep.
type Points<'p> = [(usize, &'p Point)];

/// Draws a figure; `None` if nothing that it shows is finished.
pub(super) fn draw(
    spec: &Spec,
    graph: &Graph,
    results: &Results,
    record: &Record,
    name: &str,
    asked: &FigureSpec,
) -> Result<Option<Drawing>> {
    let source = Source { spec, graph, results, record };
    let points = collect::points(graph, asked.sweep());
    let figure = match asked {
        FigureSpec::Spectrum(asked) => source.spectrum(&points, asked)?,
        FigureSpec::Curve(asked) => source.curve(&points, asked)?,
        FigureSpec::Training(asked) => source.training(&points, asked)?,
        FigureSpec::Grid(asked) => source.grid(&points, asked)?,
    };
    let Some(figure) = figure else { return Ok(None) };
    let declared = spec.split_path(asked.target()).map_or("", |(node, _)| node.name.as_str());
    let keys: Vec<String> =
        collect::nodes_at(graph, &points, declared).iter().map(|node| node.key.short()).collect();
    let title = format!("{}: {name}", spec.name);
    figure.draw(&Metadata { title, sources: keys.join(" ") }).map(Some)
}

fn width(asked: Option<&String>) -> Result<Width> {
    asked.map_or_else(|| Ok(Width::default()), |text| Width::parse(text))
}

fn axis(asked: Option<&String>) -> Vec<String> {
    asked.into_iter().cloned().collect()
}

/// A word of the spec as plain text for a label.
fn plain(words: &[String]) -> String {
    words.join(", ").replace('$', "")
}

/// The name of a line or row: its word, behind its axis where a number would say nothing alone.
fn named(axis: Option<&String>, words: &[String], otherwise: &str) -> String {
    match (axis, words) {
        (_, []) => otherwise.to_owned(),
        (Some(axis), [word]) if crate::words::number(word).is_some() => {
            format!("{axis} = {word}").replace('$', "")
        }
        _ => plain(words),
    }
}

fn column(series: &Series, name: &str) -> Vec<f64> {
    series.columns.get(name).cloned().unwrap_or_default()
}

/// The mean of columns of equal length.
fn mean(columns: &[Vec<f64>]) -> Vec<f64> {
    let length = columns.iter().map(Vec::len).min().unwrap_or(0);
    (0..length).map(|i| columns.iter().map(|c| c[i]).sum::<f64>() / columns.len() as f64).collect()
}

impl Source<'_> {
    /// The series of a declaration at some points, a node once.
    fn series(&self, points: &Points<'_>, declared: &str, name: &str) -> Result<Vec<Series>> {
        let nodes = collect::nodes_at(self.graph, points, declared);
        let found: Result<Vec<Option<Series>>> =
            nodes.iter().map(|node| self.record.series(&node.key, name)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn spectrum(&self, points: &Points<'_>, asked: &SpectrumSpec) -> Result<Option<Figure>> {
        let panels_axis = axis(asked.panels.as_ref());
        let mut panels = vec![];
        for (panel, members) in collect::group(points, &panels_axis) {
            let mut lines = vec![];
            let mut truth = None;
            for (line, members) in collect::group(&members, &axis(asked.lines.as_ref())) {
                let series = self.series(&members, &asked.of, "power_spectrum")?;
                let Some(first) = series.first() else { continue };
                let over_seeds =
                    |name: &str| mean(&series.iter().map(|s| column(s, name)).collect::<Vec<_>>());
                truth.get_or_insert_with(|| SpectrumLine {
                    name: "truth (16–84 % of maps)".to_owned(),
                    k: column(first, "x"),
                    p: column(first, "reference_mean"),
                    band: Some(Band {
                        low: column(first, "reference_low"),
                        high: column(first, "reference_high"),
                    }),
                });
                lines.push(SpectrumLine {
                    name: named(asked.lines.as_ref(), &line, "samples"),
                    k: column(first, "x"),
                    p: over_seeds("mean"),
                    band: Some(Band { low: over_seeds("low"), high: over_seeds("high") }),
                });
            }
            let Some(truth) = truth else { continue };
            let title = asked.panels.as_ref().map(|axis| format!("{axis} = {}", plain(&panel)));
            panels.push(SpectrumPanel { title, truth, lines, floor: None });
        }
        if panels.is_empty() {
            return Ok(None);
        }
        let default = if panels.len() > 1 { Width::parse("icml.text")? } else { Width::default() };
        Ok(Some(Figure::Spectrum(Spectrum {
            width: if asked.width.is_some() { width(asked.width.as_ref())? } else { default },
            panels,
            x_label: r"$k\ [h\,\mathrm{Mpc}^{-1}]$".to_owned(),
            y_label: r"$P(k)\ [(h^{-1}\,\mathrm{Mpc})^2]$".to_owned(),
            ratio_label: r"$P/P_{\mathrm{true}}$".to_owned(),
            floor_name: String::new(),
        })))
    }

    fn training(&self, points: &Points<'_>, asked: &TrainingSpec) -> Result<Option<Figure>> {
        let mut runs = vec![];
        for (line, members) in collect::group(points, &axis(asked.lines.as_ref())) {
            let name = named(asked.lines.as_ref(), &line, &asked.of);
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
                if !train.is_empty() {
                    runs.push(TrainingRun { name: name.clone(), train, validation });
                }
            }
        }
        Ok((!runs.is_empty()).then_some(Figure::Training(Training {
            runs,
            x_label: "step".to_owned(),
            y_label: "loss".to_owned(),
            y_log: true,
            width: width(asked.width.as_ref())?,
        })))
    }

    fn curve(&self, points: &Points<'_>, asked: &CurveSpec) -> Result<Option<Figure>> {
        let words: Vec<Vec<String>> = collect::group(points, std::slice::from_ref(&asked.x))
            .into_iter()
            .map(|(x, _)| x)
            .collect();
        let numeric = words.iter().all(|x| crate::words::number(&x[0]).is_some());
        let mut lines = vec![];
        for (line, members) in collect::group(points, &axis(asked.lines.as_ref())) {
            let mut drawn = vec![];
            for (x, members) in collect::group(&members, std::slice::from_ref(&asked.x)) {
                let seeds: Vec<f64> =
                    collect::values(self.spec, self.graph, self.record, &members, &asked.y)?
                        .into_values()
                        .collect();
                if seeds.is_empty() {
                    continue;
                }
                let place = words.iter().position(|word| *word == x).unwrap_or(0) as f64;
                let x = if numeric { crate::words::number(&x[0]).unwrap_or(place) } else { place };
                drawn.push(point(x, seeds));
            }
            let name = named(asked.lines.as_ref(), &line, &asked.y);
            lines.push(CurveLine { name, points: drawn });
        }
        if lines.iter().all(|line| line.points.is_empty()) {
            return Ok(None);
        }
        let names = || words.iter().map(|word| plain(word)).collect();
        let axis = match (numeric, asked.x_scale) {
            (true, Scale::Log) => CurveAxis::Log,
            (true, Scale::Linear) => CurveAxis::Linear,
            (false, _) => CurveAxis::Names(names()),
        };
        Ok(Some(Figure::Curve(Curve {
            lines,
            axis,
            x_label: asked.x.clone(),
            y_label: asked.y.clone(),
            y_log: asked.y_scale == Scale::Log,
            reference: None,
            width: width(asked.width.as_ref())?,
        })))
    }

    /// Rows of samples from the first point of each group that has any; what a network sees as a logarithm
    /// is drawn as one, relative to the mean.
    fn grid(&self, points: &Points<'_>, asked: &GridSpec) -> Result<Option<Figure>> {
        let mut rows = vec![];
        let mut look = Look::default();
        for (label, members) in collect::group(points, &axis(asked.rows.as_ref())) {
            let nodes = collect::nodes_at(self.graph, &members, &asked.of);
            let path =
                nodes.iter().map(|node| self.results.node(&node.folder()).join("samples.npy"));
            let Some(path) = path.into_iter().find(|path| path.exists()) else { continue };
            look = Look::of(&path)?;
            let fields = fields(&path, asked.count as usize, &look)?;
            rows.push(GridRow { label: named(asked.rows.as_ref(), &label, ""), fields });
        }
        Ok((!rows.is_empty()).then_some(Figure::Grid(Grid {
            rows,
            columns: vec![],
            bar_label: look.label(),
            limits: None,
            colours: if look.units == "bytes" { ColourMap::Grey } else { ColourMap::Magma },
            width: width(asked.width.as_ref())?,
        })))
    }
}

/// Mean and sample standard deviation over seeds, as a point with its bar.
fn point(x: f64, seeds: Vec<f64>) -> CurvePoint {
    let n = seeds.len() as f64;
    let mean = seeds.iter().sum::<f64>() / n;
    let deviation = (seeds.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    CurvePoint { x, seeds, mean, low: mean - deviation, high: mean + deviation }
}

/// How samples are looked at, by the manifest beside them.
#[derive(Default)]
struct Look {
    log10: bool,
    units: String,
}

impl Look {
    fn of(samples: &std::path::Path) -> Result<Self> {
        let manifest: Option<serde_json::Value> =
            crate::files::read_json(&samples.with_file_name("dataset.json"))?;
        let manifest = manifest.unwrap_or_default();
        Ok(Self {
            log10: manifest["transform"]["log10"].as_bool().unwrap_or(false),
            units: manifest["units"].as_str().unwrap_or_default().to_owned(),
        })
    }

    fn label(&self) -> String {
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

/// The first samples of a file, the first channel of each.
fn fields(path: &std::path::Path, count: usize, look: &Look) -> Result<Vec<Field>> {
    let header = npy::Header::read(path)?;
    let [n, _, high, wide] = header.shape[..] else { return Ok(vec![]) };
    let each = header.numbers() / n.max(1);
    let values = npy::read_numbers(path, &header, 0, count.min(n) * each)?;
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let seen = |x: &f64| if look.log10 { (x / mean).log10() } else { *x };
    let field =
        |map: &[f64]| Field { wide, high, values: map[..wide * high].iter().map(seen).collect() };
    Ok(values.chunks_exact(each.max(1)).map(field).collect())
}
