//! The way of an item into noise, as a training sees it: which item, at which times, with which noise.

use super::collect;
use super::pictures::{Points, Source, axes, width_of};
use crate::expand::Point;
use crate::figure::{ColourMap, Field, Figure, Grid, GridRow};
use crate::files::read_json;
use crate::graph::{Graph, Node};
use crate::npy;
use crate::photo;
use crate::problem::{Problem, Result};
use crate::random::Stream;
use crate::settings::{Ddpm, Kind, Objective, Settings};
use crate::spec::{ForwardSpec, Shown, Spec};
use petgraph::graph::NodeIndex;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What is wrong with such a figure, each with the setting that it is about.
pub(super) fn check(
    spec: &Spec,
    graph: &Graph,
    (asked, shown): (&ForwardSpec, Shown<'_>),
) -> Vec<(&'static str, Problem)> {
    let mut wrong = vec![];
    if let Some(image) = asked.image_file(&spec.file).filter(|image| !image.is_file()) {
        let problem = Problem::new(format!("the file {} is not there", image.display()));
        wrong.push(("image", problem.help("paths are relative to the spec")));
    }
    let trains = collect::nodes_at(graph, &collect::points(graph, shown), &asked.of);
    let Some(processes) = trains.iter().map(|node| process(node)).collect::<Option<Vec<_>>>()
    else {
        let problem = Problem::new(format!("`{}` has no noise of discrete times", asked.of));
        wrong.push(("of", problem.help("take a training with the objective `ddpm`")));
        return wrong;
    };
    let least = processes.iter().map(|ddpm| ddpm.timesteps).min();
    let most = asked.times.iter().flatten().max();
    if let (Some(least), Some(most)) = (least, most)
        && most >= &least
    {
        let problem = Problem::new(format!("time {most} of a training with {least} times"));
        wrong.push(("times", problem.help(format!("the last one is {}", least - 1))));
    }
    wrong
}

fn process(node: &Node) -> Option<&Ddpm> {
    match &*node.settings {
        Settings::Train(train) => match &train.objective {
            Objective::Ddpm(ddpm) => Some(ddpm),
            _ => None,
        },
        _ => None,
    }
}

/// An item as a network sees it, `[c, h, w]`.
struct Item {
    channels: usize,
    high: usize,
    wide: usize,
    values: Vec<f64>,
    is_image: bool,
}

impl Source<'_> {
    /// A row for each training: the clean item, then the noisy ones.
    pub(super) fn forward(
        &self,
        points: &Points<'_>,
        asked: &ForwardSpec,
    ) -> Result<Option<Figure>> {
        let mut rows = vec![];
        let (mut is_image, mut is_colour) = (false, false);
        let groups: Vec<_> = collect::group(points, axes(asked.rows.as_ref()))
            .into_iter()
            .filter_map(|(label, members)| Some((label, self.trained(&members, &asked.of)?)))
            .collect();
        // A column is one time in all rows, so one that all trainings have.
        let least = groups.iter().map(|(_, (_, ddpm))| ddpm.timesteps).min().unwrap_or(1);
        let times = asked.times.clone().unwrap_or_else(|| evenly(least));
        let titles = times.iter().map(|time| format!("$t = {time}$"));
        let columns: Vec<String> = std::iter::once("clean".to_owned()).chain(titles).collect();
        for (label, (index, ddpm)) in groups {
            let Some(item) = self.item(index, asked)? else { continue };
            (is_image, is_colour) = (item.is_image, item.is_image && item.channels == 3);
            let fields = noisy(&item, ddpm, &times);
            rows.push(GridRow { label: self.named(asked.rows.as_ref(), &label, ""), fields });
        }
        let colours = match (is_image, is_colour) {
            (true, true) => ColourMap::Rgb,
            (true, false) => ColourMap::Grey,
            (false, _) => ColourMap::Magma,
        };
        Ok((!rows.is_empty()).then_some(Figure::Grid(Grid {
            width: width_of(asked.width.as_ref(), columns.len().saturating_sub(3))?,
            rows,
            columns,
            bar_label: "as the network sees it".to_owned(),
            // What noise carries beyond black and white is cut off, as it is in an image.
            limits: is_image.then_some((-1.0, 1.0)),
            colours,
        })))
    }

    fn trained(&self, members: &[(usize, &Point)], of: &str) -> Option<(NodeIndex, &Ddpm)> {
        let index = members.iter().find_map(|(i, _)| self.graph.at(*i, of))?;
        Some((index, process(&self.graph.nodes[index])?))
    }

    /// The image that is asked for, or the first item of the test split; `None` while the data are not there.
    fn item(&self, train: NodeIndex, asked: &ForwardSpec) -> Result<Option<Item>> {
        if let Some(image) = asked.image_file(&self.spec.file) {
            let side = asked.side as usize;
            let bytes = photo::decode(&image, side, 3)?;
            let values = bytes.into_iter().map(|x| f64::from(x) / 127.5 - 1.0).collect();
            return Ok(Some(Item { channels: 3, high: side, wide: side, values, is_image: true }));
        }
        let data = self.graph.inputs(train).find(|i| self.graph.nodes[*i].kind() == Kind::Dataset);
        let Some(data) = data else { return Ok(None) };
        first_item(&self.graph.nodes[data], &self.results.node(&self.graph.nodes[data].folder()))
    }
}

/// The array that holds the test split of a finished dataset, and the places of its first items there.
pub(super) fn test_items(
    node: &Node,
    folder: &Path,
    count: usize,
) -> Result<Option<(PathBuf, Vec<usize>)>> {
    let Settings::Dataset(dataset) = &*node.settings else { return Ok(None) };
    let index = folder.join("test.index.npy");
    if !index.exists() {
        return Ok(Some((folder.join("test.npy"), (0..count).collect())));
    }
    let places = npy::read_f64(&index)?.data.into_iter().take(count).map(|place| place as usize);
    let array = dataset.array().map_or(folder.join("items.npy"), |file| file.path.clone());
    Ok(Some((array, places.collect())))
}

/// The first item of the test split of a dataset, if it is finished.
fn first_item(node: &Node, folder: &Path) -> Result<Option<Item>> {
    let Some(manifest) = read_json::<Value>(&folder.join("dataset.json"))? else { return Ok(None) };
    let Some((path, places)) = test_items(node, folder, 1)? else { return Ok(None) };
    let Some(first) = places.first().copied() else { return Ok(None) };
    let number = |value: &Value| value.as_u64().unwrap_or(1) as usize;
    let (channels, high) = (number(&manifest["channels"]), number(&manifest["side"]));
    let wide = manifest["width"].as_u64().map_or(high, |wide| wide as usize);
    let each = channels * high * wide;
    let header = npy::Header::read(&path)?;
    if header.numbers() < (first + 1) * each {
        return Ok(None);
    }
    let transform = &manifest["transform"];
    let real = |name: &str| transform[name].as_f64().unwrap_or(f64::NAN);
    let (log10, shift, scale) = (transform["log10"] == true, real("shift"), real("scale"));
    let seen = |x: f64| ((if log10 { x.log10() } else { x }) - shift) / scale;
    let values = npy::read_numbers(&path, &header, first * each, each)?;
    let values = values.into_iter().map(seen).collect();
    let is_image = manifest["units"] == "bytes";
    Ok(Some(Item { channels, high, wide, values, is_image }))
}

/// Five times from the first to the last.
fn evenly(timesteps: u64) -> Vec<u64> {
    (0..5).map(|i| i * (timesteps - 1) / 4).collect()
}

/// The clean item, and sqrt(alpha_bar) x + sqrt(1 - alpha_bar) noise at these times, with one noise.
fn noisy(item: &Item, ddpm: &Ddpm, times: &[u64]) -> Vec<Field> {
    let noise = Stream::new(0, "forward", 0).normal_f32(item.values.len());
    let alpha_bars = ddpm.alpha_bars();
    // Of images of one or three channels all are shown, of fields the first.
    let planes = if item.is_image && item.channels == 3 { 3 } else { 1 };
    let shown = planes * item.high * item.wide;
    let at = |alpha_bar: f64| {
        let (signal, spread) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        let values = item.values.iter().zip(&noise).take(shown);
        let values = values.map(|(x, e)| signal * x + spread * f64::from(*e)).collect();
        Field { wide: item.wide, high: item.high, values }
    };
    let levels = times.iter().map(|time| alpha_bars[*time as usize]);
    std::iter::once(1.0).chain(levels).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_fades_as_the_schedule_says_and_the_noise_stays() {
        let item = Item { channels: 1, high: 1, wide: 2, values: vec![0.5, -0.5], is_image: true };
        let ddpm = Ddpm { timesteps: 4, beta_start: 0.1, beta_end: 0.4, ..Ddpm::default() };
        let fields = noisy(&item, &ddpm, &[0, 3]);
        assert_eq!(fields[0].values, item.values);
        // The half sum holds no signal, the half difference no common noise.
        let sum = |i: usize| fields[i].values[0] + fields[i].values[1];
        let alpha_bar = 0.9 * 0.8 * 0.7 * 0.6_f64;
        assert!((sum(1) / sum(2) - (0.1_f64 / (1.0 - alpha_bar)).sqrt()).abs() < 1e-9);
        let noise = Stream::new(0, "forward", 0).normal_f32(2);
        let want = alpha_bar.sqrt() * 0.5 + (1.0 - alpha_bar).sqrt() * f64::from(noise[0]);
        assert!((fields[2].values[0] - want).abs() < 1e-12);
        assert_eq!(evenly(1000), [0, 249, 499, 749, 999]);
    }
}
