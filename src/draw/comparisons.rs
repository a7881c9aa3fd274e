//! Metrics set against each other: differences from the baseline, over two axes, one against another.

use super::collect::{self, NO_AXIS};
use super::pictures::{Points, Source, axes, width_of};
use crate::figure::{
    Curve, CurveAxis, CurveLine, CurvePanel, CurvePoint, Figure, Heatmap, Reference, Scatter,
    ScatterGroup, ScatterPoint, plain,
};
use crate::job::Better;
use crate::problem::Result;
use crate::spec::{Axes, HeatmapSpec, PointsSpec, Scale, ScatterSpec};
use crate::statistics::{interval, mean, standard_deviation};
use crate::table::{Cell, Column};

impl Source<'_> {
    /// The values of a metric at some points, and what it is.
    pub(super) fn cell(&self, points: &Points<'_>, name: &str) -> Result<(Cell, Column)> {
        let mut column =
            Column { name: name.to_owned(), unit: String::new(), better: Better::Neither };
        let Some((node, metric)) = self.spec.split_path(name) else {
            return Ok((Cell::default(), column));
        };
        let cell = self.values.borrow_mut().cell(points, (&node.name, metric), &mut column)?;
        Ok((cell, column))
    }

    /// What a metric is called, with its unit.
    fn metric(&self, column: &Column) -> String {
        match column.unit.as_str() {
            "" => self.called(&column.name),
            unit => format!("{} [{}]", self.called(&column.name), unit.replace('$', "")),
        }
    }

    /// Differences from the baseline as a dot plot, the smallest at the top.
    pub(super) fn points(&self, points: &Points<'_>, asked: &PointsSpec) -> Result<Option<Figure>> {
        let by = match &asked.rows {
            Some(Axes(axes)) => axes.clone(),
            None => self.telling(points, &asked.y),
        };
        let mut metric = None;
        let (mut baseline, mut rows) = (None, vec![]);
        let declared = self.spec.split_path(&asked.y).map_or("", |(node, _)| &*node.name);
        for (words, members) in collect::group(points, &by) {
            let (cell, column) = self.cell(&members, &asked.y)?;
            if column.better != Better::Neither || metric.is_none() {
                metric = Some(column);
            }
            let is_baseline = members.iter().all(|(i, _)| self.graph.is_baseline(*i, declared));
            match is_baseline {
                true => baseline = Some(cell),
                false => rows.push((self.named(Some(&Axes(by.clone())), &words, ""), cell)),
            }
        }
        let (Some(baseline), Some(metric)) = (baseline, metric) else { return Ok(None) };
        let mut rows: Vec<(String, Vec<f64>)> = rows
            .into_iter()
            .map(|(name, cell)| (name, cell.minus(&baseline)))
            .filter(|(_, differences)| !differences.is_empty())
            .collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let middle = |differences: &[f64]| mean(differences).unwrap_or(f64::NAN);
        rows.sort_by(|a, b| middle(&a.1).total_cmp(&middle(&b.1)));
        let point = |(i, (_, differences)): (usize, &(String, Vec<f64>))| {
            let known = interval(differences);
            let half = known.and_then(|known| known.half_width).unwrap_or(f64::NAN);
            let mean = middle(differences);
            let seeds = if differences.len() > 1 { differences.clone() } else { vec![] };
            CurvePoint { x: i as f64, seeds, mean, low: mean - half, high: mean + half }
        };
        let drawn = rows.iter().enumerate().map(point).collect();
        let line = CurveLine { name: String::new(), points: drawn };
        Ok(Some(Figure::Curve(Curve {
            panels: vec![CurvePanel { title: None, lines: vec![line] }],
            axis: CurveAxis::Names(rows.into_iter().map(|(name, _)| name).collect()),
            x_label: String::new(),
            y_label: format!("Δ {}", self.metric(&metric)),
            y_log: false,
            reference: Some(Reference { name: String::new(), value: 0.0 }),
            dots: true,
            band: false,
            width: width_of(asked.width.as_ref(), 1)?,
        })))
    }

    /// The axes that make a difference to a metric.
    fn telling(&self, points: &Points<'_>, name: &str) -> Vec<String> {
        let all = collect::axes(points);
        super::alike::telling(self.spec, self.graph, points, all, &[name.to_owned()])
    }

    pub(super) fn heatmap(
        &self,
        points: &Points<'_>,
        asked: &HeatmapSpec,
    ) -> Result<Option<Figure>> {
        let words = |axis: &String| -> Vec<String> {
            let groups = collect::group(points, std::slice::from_ref(axis));
            groups.into_iter().map(|(mut words, _)| words.remove(0)).collect()
        };
        let (columns, rows) = (words(&asked.x), words(&asked.y));
        let mut cells = vec![vec![f64::NAN; columns.len()]; rows.len()];
        let mut metric = None;
        let by = [asked.y.clone(), asked.x.clone()];
        for (place, members) in collect::group(points, &by) {
            let (cell, column) = self.cell(&members, &asked.value)?;
            let at = |words: &[String], word| words.iter().position(|other| other == word);
            if let (Some(r), Some(c), Some(mean)) =
                (at(&rows, &place[0]), at(&columns, &place[1]), cell.mean())
            {
                cells[r][c] = mean;
                metric = Some(column);
            }
        }
        let Some(metric) = metric else { return Ok(None) };
        let called = |words: Vec<String>| words.iter().map(|word| self.called(word)).collect();
        Ok(Some(Figure::Heatmap(Heatmap {
            columns: called(columns),
            rows: called(rows),
            cells,
            x_label: self.axis(&asked.x),
            y_label: self.axis(&asked.y),
            bar_label: self.metric(&metric),
            log: asked.scale == Scale::Log,
            width: width_of(asked.width.as_ref(), 1)?,
        })))
    }

    pub(super) fn scatter(
        &self,
        points: &Points<'_>,
        asked: &ScatterSpec,
    ) -> Result<Option<Figure>> {
        let mut groups = vec![];
        let mut kinds = None;
        for (line, members) in collect::group(points, axes(asked.lines.as_ref())) {
            let mut drawn = vec![];
            for (words, members) in collect::group(&members, axes(asked.names.as_ref())) {
                let (x, of_x) = self.cell(&members, &asked.x)?;
                let (y, of_y) = self.cell(&members, &asked.y)?;
                if x.n() == 0 || y.n() == 0 {
                    continue;
                }
                kinds = Some((of_x, of_y));
                let words: Vec<String> = words
                    .iter()
                    .filter(|word| *word != NO_AXIS)
                    .map(|word| plain(&self.called(word)))
                    .collect();
                drawn.push(ScatterPoint {
                    name: words.join(", "),
                    x: with_bar(&x),
                    y: with_bar(&y),
                });
            }
            let name = self.named(asked.lines.as_ref(), &line, "");
            groups.push(ScatterGroup { name, points: drawn });
        }
        let Some((of_x, of_y)) = kinds else { return Ok(None) };
        groups.retain(|group| !group.points.is_empty());
        let better = match (of_x.better, of_y.better) {
            (_, Better::Neither) => None,
            // What something costs is counted without saying which way is better.
            (Better::Neither, y) => Some((Better::Lower, y)),
            both => Some(both),
        };
        Ok(Some(Figure::Scatter(Scatter {
            groups,
            x_label: self.metric(&of_x),
            y_label: self.metric(&of_y),
            x_log: asked.x_scale == Scale::Log,
            y_log: asked.y_scale == Scale::Log,
            better,
            width: width_of(asked.width.as_ref(), 1)?,
        })))
    }
}

/// The mean over seeds with the ends of a bar of one standard deviation.
fn with_bar(cell: &Cell) -> [f64; 3] {
    let numbers = cell.numbers();
    let mean = mean(&numbers).unwrap_or(f64::NAN);
    let deviation = standard_deviation(&numbers).filter(|s| *s > 0.0).unwrap_or(f64::NAN);
    [mean, mean - deviation, mean + deviation]
}
