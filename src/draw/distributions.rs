//! Distributions of pixel values, and samples on their way out of noise.

use super::pictures::{Look, Points, Source, axes, width_of};
use super::spectra::Compared;
use super::{Studio, collect};
use crate::figure::{Field, Figure, Grid, GridRow, Histogram, HistogramPanel};
use crate::npy;
use crate::problem::{Problem, Result};
use crate::spec::{HistogramSpec, Scale, TrajectorySpec};
use std::path::Path;

impl Source<'_> {
    pub(super) fn histogram(
        &self,
        points: &Points<'_>,
        asked: &HistogramSpec,
    ) -> Result<Option<Figure>> {
        let mut panels = vec![];
        let mut unit = String::new();
        for (panel, members) in collect::group(points, axes(asked.panels.as_ref())) {
            let what = (asked.of.as_str(), "one_point");
            let Some(compared) = self.compared(&members, asked.lines.as_ref(), what)? else {
                continue;
            };
            let Compared { truth, lines, x_unit, y_unit: _ } = compared;
            unit = x_unit;
            let title = self.title(asked.panels.as_ref(), &panel);
            panels.push(HistogramPanel { title, truth, lines });
        }
        if panels.is_empty() {
            return Ok(None);
        }
        let is_log = unit.starts_with("log10 of ");
        let known = self.data(points, &asked.of)?.and_then(|look| look.quantity(is_log));
        let x_label = match (known, unit.strip_prefix("log10 of ")) {
            (Some(known), _) => known,
            (None, Some(what)) => format!(r"$\log_{{10}}$ of {}", what.replace('$', "")),
            (None, None) if unit.is_empty() => "value".to_owned(),
            (None, None) => unit.replace('$', ""),
        };
        Ok(Some(Figure::Histogram(Histogram {
            width: width_of(asked.width.as_ref(), panels.len())?,
            panels,
            x_label,
            y_label: "density".to_owned(),
            y_log: asked.y_scale == Scale::Log,
        })))
    }

    /// What the data behind a measure are.
    fn data(&self, points: &Points<'_>, of: &str) -> Result<Option<Look>> {
        let measured = points.iter().find_map(|(i, _)| self.graph.at(*i, of));
        let data = measured.and_then(|index| self.graph.data_behind(index));
        let folder = data.map(|index| self.results.node(&self.graph.nodes[index].folder()));
        folder.map(|folder| Look::of(&folder.join("samples.npy"))).transpose()
    }

    /// A row of moments for each group, of the first node that has kept any.
    pub(super) fn trajectory(
        &self,
        points: &Points<'_>,
        asked: &TrajectorySpec,
    ) -> Result<Option<Figure>> {
        let mut rows = vec![];
        let (mut look, mut columns) = (Look::default(), vec![]);
        for (label, members) in collect::group(points, axes(asked.rows.as_ref())) {
            let nodes = collect::nodes_at(self.graph, &members, &asked.of);
            let mut folders = nodes.iter().map(|node| self.results.node(&node.folder()));
            let Some(folder) = folders.find(|folder| folder.join("frames.npy").exists()) else {
                continue;
            };
            look = Look::of(&folder.join("samples.npy"))?;
            let fields = moments(&folder.join("frames.npy"), asked, &look)?;
            // Rows of other lengths have other moments; they share only their ends.
            let share = |i: usize| format!("{:.0} %", 100.0 * i as f64 / (fields.len() - 1) as f64);
            if fields.len() > columns.len() {
                columns = (0..fields.len()).map(share).collect();
            }
            rows.push(GridRow { label: self.named(asked.rows.as_ref(), &label, ""), fields });
        }
        Ok((!rows.is_empty()).then_some(Figure::Grid(Grid {
            rows,
            columns,
            bar_label: "as the network sees it".to_owned(),
            limits: look.is_image().then_some((-1.0, 1.0)),
            colours: look.colours(),
            width: width_of(asked.width.as_ref(), 2)?,
        })))
    }
}

/// The film of all moments that the first node of a figure has kept.
pub(super) fn film(
    studio: Studio<'_>,
    points: &Points<'_>,
    asked: &TrajectorySpec,
) -> Option<Vec<u8>> {
    let nodes = collect::nodes_at(studio.graph, points, &asked.of);
    let mut films = nodes.iter().map(|node| studio.results.node(&node.folder()).join("frames.gif"));
    std::fs::read(films.find(|film| film.exists())?).ok()
}

/// Evenly chosen moments of one sample.
fn moments(path: &Path, asked: &TrajectorySpec, look: &Look) -> Result<Vec<Field>> {
    let header = npy::Header::read(path)?;
    let [all, samples, channels, high, wide] = header.shape[..] else {
        return Err(Problem::system(format!("{} holds no moments", path.display())));
    };
    if asked.sample as usize >= samples {
        let problem = Problem::new(format!("there are moments of {samples} samples only"));
        return Err(problem.help("take a smaller `sample`, or keep `frames` of more"));
    }
    let item = channels * high * wide;
    let count = (asked.count as usize).min(all).max(1);
    let shown = look.colours().values().min(channels) * high * wide;
    (0..count)
        .map(|i| {
            let moment = i * (all - 1) / (count - 1).max(1);
            let first = (moment * samples + asked.sample as usize) * item;
            let values = npy::read_numbers(path, &header, first, shown)?;
            Ok(Field { wide, high, values })
        })
        .collect()
}
