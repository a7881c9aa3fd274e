//! Spec → points: each a set of changes to the spec as written. Names are checked here (every axis
//! must lead to a setting that some node reads); values are checked when nodes are made of them.

mod combine;
mod names;
mod target;

pub use target::{Target, mentions};

use crate::condition::{Condition, same};
use crate::key::canonical;
use crate::problem::{Problem, Problems};
use crate::settings::{Found, Reader, Step};
use crate::spec::{Axis, Expression, Operator, Part, Shown, Spec, Sweep};
use crate::words;
use combine::{Expander, Partial};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use target::is_in_sweeps;

pub use crate::spec::SEED;

/// The axis of a one-at-a-time sweep.
pub const VARIANT: &str = "variant";

/// The name of the baseline among the variants.
pub const BASELINE: &str = "baseline";

/// Everything that is asked for, point by point.
#[derive(Debug, Default)]
pub struct Points {
    /// The points, sweep after sweep.
    pub all: Vec<Point>,
    /// Every change that some point makes, by its id.
    pub changes: Vec<Arc<Change>>,
    known: Known,
    /// For each sweep that has one, what its baseline differs in from the spec as written.
    pub baselines: BTreeMap<String, Vec<Arc<Change>>>,
    /// What the author of the spec should know.
    pub notices: Vec<(Vec<Step>, Problem)>,
    /// Whether each point is chosen, if anything was.
    pub chosen: Option<Vec<bool>>,
}

impl Points {
    /// What changes can change; [`Change::target_id`] counts them.
    pub fn targets(&self) -> &[Target] {
        &self.known.targets
    }

    /// A change beside those of the points.
    pub fn change(&mut self, target: Target, value: Value, path: Vec<Step>) -> Arc<Change> {
        let label = (target.word().to_owned(), show(&value));
        let draft = Change { id: 0, target_id: 0, target, value, path, label, is_seed: false };
        self.known.change(draft, &mut self.changes)
    }
}

/// Targets and changes that were met, each with its number.
#[derive(Debug, Default)]
struct Known {
    targets: Vec<Target>,
    target_ids: HashMap<Target, u32>,
    change_ids: HashMap<(u32, String), u32>,
}

impl Known {
    /// The change with its numbers; new ones are added to `all`.
    fn change(&mut self, mut change: Change, all: &mut Vec<Arc<Change>>) -> Arc<Change> {
        let next = self.targets.len() as u32;
        change.target_id = *self.target_ids.entry(change.target.clone()).or_insert(next);
        if change.target_id == next {
            self.targets.push(change.target.clone());
        }
        let next = self.change_ids.len() as u32;
        let known = (change.target_id, normal(&change.value));
        change.id = *self.change_ids.entry(known).or_insert(next);
        let is_new = change.id == next;
        let change = Arc::new(change);
        if is_new {
            all.push(change.clone());
        }
        change
    }
}

/// The target that a name in a spec leads to.
///
/// # Errors
/// If it leads nowhere.
pub fn target_of(spec: &Spec, name: &str) -> Result<Target, Problem> {
    target::find(spec, name)
}

/// The targets that an axis changes: its own, or those that its labelled values set.
///
/// # Errors
/// If there is no such axis.
pub fn targets_of(spec: &Spec, axis: &str) -> Result<Vec<Target>, Problem> {
    let own = target::find(spec, axis);
    let axes = spec.sweeps.iter().flat_map(Sweep::axes).filter(|other| other.name == axis);
    let values = axes.flat_map(|axis| axis.values.lists()).flatten();
    let names: Vec<&String> =
        values.filter_map(|placed| placed.value.as_object()).flat_map(|map| map.keys()).collect();
    match own {
        Ok(target) => Ok(vec![target]),
        Err(problem) if names.is_empty() => Err(problem),
        Err(_) => names.into_iter().map(|name| target::find(spec, name)).collect(),
    }
}

/// One combination of values.
#[derive(Debug, Clone)]
pub struct Point {
    /// The sweep it belongs to; empty for the spec as written.
    pub sweep: Arc<str>,
    /// The axes and the words that name their values here, seed included, in the order of the spec.
    pub coordinates: Vec<Arc<Coordinate>>,
    /// The seed, where the sweep asks for seeds.
    pub seed: Option<u64>,
    /// What differs from the spec as written.
    pub changes: Vec<Arc<Change>>,
}

/// A value on an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinate {
    /// The axis, as the spec names it.
    pub axis: String,
    /// The value, or the word that stands for it.
    pub value: Value,
}

impl Point {
    /// The value on an axis, if this point has that axis.
    pub fn coordinate(&self, axis: &str) -> Option<&Value> {
        self.coordinates.iter().find(|c| c.axis == axis).map(|c| &c.value)
    }

    /// Whether a figure or table shows this point.
    pub fn is_shown(&self, shown: Shown<'_>) -> bool {
        *self.sweep == *shown.sweep.map_or("", String::as_str)
            && shown.at.is_none_or(|at| at.condition.holds(&|axis| self.coordinate(axis)))
    }

    /// The coordinates without the seed: what makes a row of a table.
    pub fn setting(&self) -> impl Iterator<Item = &Coordinate> {
        self.coordinates.iter().map(Arc::as_ref).filter(|c| c.axis != SEED)
    }
}

/// One change of a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The same for equal values of one target.
    pub id: u32,
    /// The place of the target in [`Points::targets`].
    pub target_id: u32,
    /// What changes.
    pub target: Target,
    /// The new value.
    pub value: Value,
    /// Where that value stands in the spec.
    pub path: Vec<Step>,
    /// The axis and the value in readable names; a variant has no axis.
    pub label: (String, String),
    /// Whether `seeds` made it.
    pub is_seed: bool,
}

/// What is chosen of the points without editing the spec.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Seeds beside those of every sweep that has seeds.
    pub more_seeds: Vec<u64>,
    /// Seeds of some points alone.
    pub extras: Vec<Extra>,
    /// Chooses the points with one of these seeds; those that no sweep has are made.
    pub seeds: Option<Vec<u64>>,
    /// Chooses the points where this holds; with the text, for messages.
    pub condition: Option<(Condition, String)>,
}

/// A seed of some points alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Extra {
    /// The sweep.
    pub sweep: String,
    /// The seed.
    pub seed: u64,
    /// The points: those with these words on these axes.
    pub at: BTreeMap<String, String>,
}

impl Choice {
    /// The seeds of a sweep with these of its own.
    pub fn all_seeds(&self, own: &[u64]) -> Vec<u64> {
        let mut seeds = own.to_vec();
        for seed in self.more_seeds.iter().chain(self.seeds.iter().flatten()) {
            if !seeds.contains(seed) {
                seeds.push(*seed);
            }
        }
        seeds
    }
}

/// The points of a spec, at most.
const MOST_POINTS: u64 = 1_000_000;

/// The points of every sweep, or the one point of a spec without sweeps. An axis that leads nowhere
/// is noted with its place, and left out; what is wrong with the choice lands in `problems`.
pub fn points(
    spec: &Spec,
    choice: &Choice,
    reader: &mut Reader,
    problems: &mut Problems,
) -> Points {
    check_vars(spec, reader);
    let mut expander = Expander::new(spec, reader);
    let mut out = Points::default();
    if spec.sweeps.is_empty() {
        out.all.push(Point {
            sweep: Arc::from(""),
            coordinates: vec![],
            seed: None,
            changes: vec![],
        });
    }
    let mut left = MOST_POINTS;
    for sweep in &spec.sweeps {
        let count = size(sweep, choice);
        match count.and_then(|count| left.checked_sub(count)) {
            Some(rest) => {
                left = rest;
                expand(&mut expander, sweep, choice, &mut out);
            }
            None => {
                let count = count.map_or("more than 10^19 points".to_owned(), |count| {
                    format!("{} points", words::grouped(count))
                });
                let problem = Problem::new(format!("the sweep `{}` has {count}", sweep.name));
                let help = "a spec may have a million in all: take fewer values or seeds";
                expander.wrong(&sweep.path, problem.help(help));
            }
        }
    }
    if choice.seeds.is_some() && !spec.sweeps.iter().any(|sweep| sweep.seeds.is_some()) {
        let problem = Problem::new("`--seeds` chooses seeds, and no sweep has any");
        problems.0.push(problem.help("write `seeds: 3` in a sweep"));
    }
    out.chosen = expander.chosen(choice, &out.all, problems);
    (out.known, out.changes, out.notices) = (expander.known, expander.changes, expander.notices);
    out
}

/// How many points a sweep has at most, if that can be counted at all.
fn size(sweep: &Sweep, choice: &Choice) -> Option<u64> {
    let extras = choice.extras.iter().filter(|extra| extra.sweep == sweep.name).count();
    let seeds =
        sweep.seeds.as_ref().map(|own| (choice.all_seeds(&own.values).len() + extras) as u64);
    most(&sweep.points)?.checked_mul(seeds.unwrap_or(1))
}

fn most(expression: &Expression) -> Option<u64> {
    let part = |part: &Part| match part {
        Part::Axis(axis) => Some(axis.values.most()),
        Part::Points(inner) => most(inner),
    };
    match &expression.operator {
        Operator::Product(parts) => {
            parts.iter().try_fold(1_u64, |n, next| n.checked_mul(part(next)?))
        }
        // All of them are made before their lengths are compared.
        Operator::Zip(parts) => parts.iter().try_fold(1_u64, |n, next| Some(n.max(part(next)?))),
        Operator::Points(rows) => Some(rows.len() as u64),
        Operator::OneAtATime(variations) => variations
            .iter()
            .try_fold(1_u64, |n, variation| n.checked_add(most(&variation.changes)?)),
        Operator::Union(parts) => {
            parts.iter().try_fold(0_u64, |n, part| n.checked_add(most(part)?))
        }
    }
}

fn check_vars(spec: &Spec, reader: &mut Reader) {
    for name in spec.vars.keys() {
        let in_nodes = spec.nodes.iter().any(|node| mentions(&node.body, name));
        if !in_nodes && !is_in_sweeps(spec, name) {
            let path = vec![Step::Key("vars".to_owned()), Step::Name(name.clone())];
            let problem = Problem::new(format!("no node uses the variable `{name}`"));
            let help = format!("write ${name} where it belongs, or remove it");
            reader.wrong::<()>(&Found { value: &Value::Null, path }, problem.help(help));
        }
    }
}

/// Adds the points of one sweep: its expression, each point once, at every seed.
fn expand(expander: &mut Expander<'_, '_>, sweep: &Sweep, choice: &Choice, out: &mut Points) {
    let baseline = expander.fixed(&sweep.baseline);
    let partials = expander.sweep(sweep, &baseline);
    let partials = expander.merge_equal(sweep, partials);
    if !baseline.changes.is_empty() {
        out.baselines.insert(sweep.name.clone(), baseline.changes);
    }
    let name: Arc<str> = Arc::from(sweep.name.as_str());
    let first = out.all.len();
    let whole = |partial: Partial, seed: Option<u64>| Point {
        sweep: name.clone(),
        coordinates: partial.coordinates,
        seed,
        changes: partial.changes,
    };
    match expander.seeds(sweep, choice) {
        None => out.all.extend(partials.into_iter().map(|partial| whole(partial, None))),
        Some(seeds) => {
            for partial in &partials {
                let of_point = |(_, _, only): &&combine::Seeded| {
                    only.as_ref().is_none_or(|at| at.iter().any(|at| partial.is_at(at)))
                };
                let seeded = seeds
                    .iter()
                    .filter(of_point)
                    .map(|(seed, with, _)| whole(partial.and(with), Some(*seed)));
                out.all.extend(seeded);
            }
        }
    }
    let late = sweep.points.filters.iter().filter(|f| expander.names_seed(sweep, f));
    for filter in late.collect::<Vec<_>>() {
        let kept = expander.filter(filter, out.all.split_off(first));
        out.all.extend(kept);
    }
    expander.refuse_unmatched(sweep);
    expander.tell_strange_baseline(sweep, out.baselines.get(&sweep.name), &out.all[first..]);
    expander.refuse_conflicts(sweep, &out.all[first..]);
    if out.all.len() == first && expander.reader.is_clean() {
        let problem = Problem::new(format!("no point is left of the sweep `{}`", sweep.name));
        expander.wrong(&sweep.path, problem.help("loosen its `where` and `exclude`"));
    }
}

/// A value as it stands in readable names and table cells.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => canonical(other),
    }
}

/// A value with everything that people write in several ways written in one.
fn normal(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, String> =
                map.iter().map(|(k, v)| (k, normal(v))).collect();
            format!("{sorted:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(normal).collect::<Vec<_>>()),
        other => match crate::condition::number(other) {
            Some(number) => number.to_string(),
            None if same(other, &Value::Bool(true)) => "true".to_owned(),
            None if same(other, &Value::Bool(false)) => "false".to_owned(),
            None => show(other),
        },
    }
}

/// The words that stand for targets in readable names: the last of a path, or all of it where several
/// end alike.
pub fn short_words(spec: &Spec) -> HashMap<String, String> {
    let axes: Vec<&Axis> = spec.sweeps.iter().flat_map(Sweep::axes).collect();
    let names: BTreeSet<&str> = axes
        .iter()
        .map(|axis| axis.name.as_str())
        .chain(spec.vars.keys().map(String::as_str))
        .collect();
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for name in &names {
        *counts.entry(last(name)).or_default() += 1;
    }
    let word = |name: &str| if counts[&last(name)] == 1 { last(name) } else { name.to_owned() };
    names.iter().map(|name| ((*name).to_owned(), word(name))).collect()
}
