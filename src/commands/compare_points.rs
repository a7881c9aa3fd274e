//! `ablate compare schedule=linear schedule=cosine --spec SPEC`: the points that have some values beside
//! those that have others and agree on everything else, seeds included.

use super::asking::Asking;
use super::compare_specs::{Pairs, told_pairs};
use super::{Done, Opened, Place, print};
use crate::expand::{Point, show};
use crate::problem::{Problem, Problems, Result};
use crate::record::Record;
use crate::words::{self, plural};
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Values on axes, as written: `schedule=linear,nfe=10`.
pub(super) struct Arm {
    text: String,
    values: BTreeMap<String, String>,
}

impl Arm {
    /// Reads `axis=value,axis=value`; `None` if the text is something else.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.contains('[') {
            return None;
        }
        let value = |part: &str| {
            let (axis, value) = part.split_once('=')?;
            let value = value.trim_start_matches('=').trim();
            Some((axis.trim().to_owned(), value.to_owned()))
        };
        let values = text.split(',').map(value).collect::<Option<BTreeMap<_, _>>>()?;
        Some(Self { text: text.to_owned(), values })
    }

    /// The points of one sweep that have these values, by their values on the other axes.
    fn points<'g>(&self, points: &[(usize, &'g Point)]) -> BTreeMap<Rest<'g>, usize> {
        let has = |(_, point): &&(usize, &Point)| {
            self.values.iter().all(|(axis, value)| {
                point.coordinate(axis).is_some_and(|known| show(known) == *value)
            })
        };
        let rest = |(i, point): &(usize, &'g Point)| {
            let others = point.coordinates.iter().filter(|c| !self.values.contains_key(&c.axis));
            let others = others.map(|c| (c.axis.clone(), show(&c.value))).collect();
            ((&*point.sweep, others), *i)
        };
        points.iter().filter(has).map(rest).collect()
    }
}

/// A sweep, and the values on axes that were not named.
type Rest<'g> = (&'g str, Vec<(String, String)>);

/// Compares the points of two arms.
pub(super) fn compare(
    arms: &[Arm; 2],
    spec: Option<&Path>,
    profile: Option<String>,
    place: &Place,
) -> Done {
    let (spec, asking) = match spec {
        Some(spec) => (spec.to_owned(), Asking::of(profile)),
        None => only_experiment(place)?,
    };
    let opened = Opened::read(&spec, &asking, place)?;
    let points: Vec<(usize, &Point)> = opened.graph.points.iter().enumerate().collect();
    for arm in arms {
        arm.check(&points)?;
    }
    let [of_a, of_b] = [0, 1].map(|i| arms[i].points(&points));
    let pairs: Vec<(usize, usize)> =
        of_a.iter().filter_map(|(rest, a)| Some((*a, *of_b.get(rest)?))).collect();
    if pairs.is_empty() {
        let problem = Problem::new("no two points have these values and agree on everything else");
        return Err(problem.help("name the same axes for both").into());
    }
    for (side, arm, n) in [("a", &arms[0], of_a.len()), ("b", &arms[1], of_b.len())] {
        print(&format!("{side}  {}  {}", arm.text, plural(n, "point")));
    }
    print(&format!("{} that agree on everything else", plural(pairs.len(), "pair")));
    let (same, differing) = nodes(&opened, &pairs);
    for (declared, [same, all]) in same {
        print(&match all - same {
            0 => format!("  {declared}: the same"),
            n if same == 0 => format!("  {declared}: {} differ", plural(n, "node")),
            n => format!("  {declared}: {} differ, {same} the same", plural(n, "node")),
        });
    }
    told_pairs(&Pairs { a: &opened, b: &opened, pairs: differing })?;
    Ok(0)
}

/// For each declaration how many pairs are the same work, of how many; and those that are not, each once.
type Sorted<'o> = (BTreeMap<&'o str, [usize; 2]>, Vec<(NodeIndex, NodeIndex)>);

fn nodes<'o>(opened: &'o Opened, pairs: &[(usize, usize)]) -> Sorted<'o> {
    let graph = &opened.graph;
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut differing = vec![];
    for (a, b) in pairs {
        for (declared, of_a, _) in graph.nodes_at(*a) {
            let Some(of_b) = graph.at(*b, declared) else { continue };
            if seen.insert((of_a, of_b)) {
                let [same, all] = counts.entry(declared).or_default();
                *all += 1;
                *same += usize::from(of_a == of_b);
                differing.extend(Some((of_a, of_b)).filter(|(a, b)| a != b));
            }
        }
    }
    (counts, differing)
}

impl Arm {
    /// Refuses axes and values that no point has.
    fn check(&self, points: &[(usize, &Point)]) -> Result<()> {
        for (axis, value) in &self.values {
            let all = points.iter().flat_map(|(_, point)| &point.coordinates);
            let axes: BTreeSet<&str> = all.clone().map(|c| c.axis.as_str()).collect();
            if !axes.contains(axis.as_str()) {
                return Err(unknown("axis", axis, &axes));
            }
            let known: BTreeSet<String> =
                all.filter(|c| c.axis == *axis).map(|c| show(&c.value)).collect();
            if !known.contains(value) {
                let known = known.iter().map(String::as_str).collect();
                return Err(unknown(&format!("value of `{axis}`"), value, &known));
            }
        }
        Ok(())
    }
}

fn unknown(what: &str, name: &str, known: &BTreeSet<&str>) -> Problem {
    let problem = Problem::new(format!("no point has the {what} `{name}`"));
    problem.help(words::suggestion(name, &known.iter().copied().collect::<Vec<_>>()))
}

/// The experiment that ran here, if there is only one.
fn only_experiment(place: &Place) -> Result<(PathBuf, Asking), Problems> {
    let record = Record::open_to_read(&place.alone().join("ablate.sqlite"))?;
    let known = record.map(|record| record.experiments()).transpose()?.unwrap_or_default();
    match known.as_slice() {
        [one] => Ok((one.file.clone(), Asking::of(one.asked.profile.clone()))),
        _ => {
            Err(Problem::new("of which spec are these points?").help("name it: --spec SPEC").into())
        }
    }
}
