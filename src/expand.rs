//! Spec → points: each a set of changes to the spec as written. Names are checked here (every axis
//! must lead to a setting that some node reads); values are checked when nodes are made of them.

use crate::problem::Problem;
use crate::settings::{Reader, Shape, Step, keys};
use crate::spec::{Axis, Declaration, Operator, Placed, Spec, Sweep, Variation, shape_below};
use crate::words;
use serde_json::Value;

/// One combination of values.
#[derive(Debug, Clone)]
pub struct Point {
    /// The sweep it belongs to; empty for the spec as written.
    pub sweep: String,
    /// The axes and the words that name their values here, seed included, in the order of the spec.
    pub coordinates: Vec<(String, Value)>,
    /// The seed, where the sweep asks for seeds.
    pub seed: Option<u64>,
    /// What differs from the spec as written.
    pub changes: Vec<Change>,
}

impl Point {
    /// The value on an axis, if this point has that axis.
    pub fn coordinate(&self, axis: &str) -> Option<&Value> {
        self.coordinates.iter().find(|(name, _)| name == axis).map(|(_, value)| value)
    }

    /// The coordinates without the seed: what makes a row of a table.
    pub fn setting(&self) -> Vec<(String, Value)> {
        self.coordinates.iter().filter(|(name, _)| name != SEED).cloned().collect()
    }
}

/// One change of a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What changes.
    pub target: Target,
    /// The new value.
    pub value: Value,
    /// Where that value stands in the spec.
    pub path: Vec<Step>,
}

/// What an axis varies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A variable.
    Var(String),
    /// A setting of a node: the node's name and the path in its body.
    Setting(String, Vec<String>),
}

impl Target {
    /// Whether changing it changes the settings of this node.
    pub fn reaches(&self, node: &Declaration) -> bool {
        match self {
            Self::Var(name) => mentions(&node.body, name),
            Self::Setting(name, _) => *name == node.name || *name == node.written,
        }
    }

    /// A short word for readable names.
    pub fn word(&self) -> &str {
        match self {
            Self::Var(name) => name,
            Self::Setting(name, path) => path.last().unwrap_or(name),
        }
    }
}

/// The variable that `seeds` replaces.
pub const SEED: &str = "seed";

/// The axis of a one-at-a-time sweep.
pub const VARIANT: &str = "variant";

/// Whether `$name` stands anywhere in a value.
fn mentions(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text.strip_prefix('$') == Some(name),
        Value::Array(items) => items.iter().any(|item| mentions(item, name)),
        Value::Object(map) => map.values().any(|inner| mentions(inner, name)),
        _ => false,
    }
}

/// The points of every sweep, or the one point of a spec without sweeps. An axis that leads nowhere
/// is noted with its place, and left out.
pub fn points(spec: &Spec, reader: &mut Reader) -> Vec<Point> {
    check_vars(spec, reader);
    if spec.sweeps.is_empty() {
        return vec![Point {
            sweep: String::new(),
            coordinates: vec![],
            seed: None,
            changes: vec![],
        }];
    }
    let mut left = MOST_POINTS;
    let mut points = vec![];
    for sweep in &spec.sweeps {
        let count = size(sweep);
        match count.and_then(|count| left.checked_sub(count)) {
            Some(rest) => {
                left = rest;
                points.extend(expand(spec, sweep, reader));
            }
            None => {
                let count = count.map_or("more than 10^19 points".to_owned(), |count| {
                    format!("{} points", words::grouped(count))
                });
                let problem = Problem::new(format!("the sweep `{}` has {count}", sweep.name));
                let help = "a spec may have a million in all: take fewer values or seeds";
                wrong_at(reader, sweep.path.clone(), problem.help(help));
            }
        }
    }
    points
}

/// The points of a spec, at most.
const MOST_POINTS: u64 = 1_000_000;

/// How many points a sweep has, if that can be counted at all.
fn size(sweep: &Sweep) -> Option<u64> {
    let product = |axes: &[Axis]| {
        axes.iter().try_fold(1_u64, |n, axis| n.checked_mul(axis.values.len() as u64))
    };
    let points = match &sweep.operator {
        Operator::Product(axes) => product(axes)?,
        Operator::OneAtATime(variations) => variations
            .iter()
            .try_fold(1_u64, |n, variation| n.checked_add(product(&variation.axes)?))?,
    };
    points.checked_mul(sweep.seeds.as_ref().map_or(1, |seeds| seeds.len() as u64))
}

fn check_vars(spec: &Spec, reader: &mut Reader) {
    for name in spec.vars.keys() {
        if !spec.nodes.iter().any(|node| mentions(&node.body, name)) {
            let path = vec![Step::Key("vars".to_owned()), Step::Name(name.clone())];
            let problem = Problem::new(format!("no node uses the variable `{name}`"));
            wrong_at(
                reader,
                path,
                problem.help(format!("write ${name} where it belongs, or remove it")),
            );
        }
    }
}

fn wrong_at(reader: &mut Reader, path: Vec<Step>, problem: Problem) {
    reader.wrong::<()>(&crate::settings::Found { value: &Value::Null, path }, problem);
}

fn expand(spec: &Spec, sweep: &Sweep, reader: &mut Reader) -> Vec<Point> {
    let mut points = match &sweep.operator {
        Operator::Product(axes) => {
            let named: Vec<(String, &Axis)> =
                axes.iter().map(|axis| (axis.name.clone(), axis)).collect();
            let empty = Point {
                sweep: sweep.name.clone(),
                coordinates: vec![],
                seed: None,
                changes: vec![],
            };
            product(spec, vec![empty], &named, reader)
        }
        Operator::OneAtATime(variations) => one_at_a_time(spec, sweep, variations, reader),
    };
    if let Some(seeds) = &sweep.seeds {
        if !spec.vars.contains_key(SEED) {
            let problem = Problem::new("`seeds` replaces `vars.seed`, which is not there");
            let path = sweep.path.iter().cloned().chain([Step::Name("seeds".to_owned())]).collect();
            wrong_at(
                reader,
                path,
                problem.help("add `vars: { seed: 0 }` and write $seed in the nodes"),
            );
        }
        points = points
            .iter()
            .flat_map(|point| seeds.iter().map(|seed| with_seed(point, *seed, sweep)))
            .collect();
    }
    points
}

fn with_seed(point: &Point, seed: u64, sweep: &Sweep) -> Point {
    let mut point = point.clone();
    point.seed = Some(seed);
    point.coordinates.push((SEED.to_owned(), Value::from(seed)));
    let path = sweep.path.iter().cloned().chain(keys(&["seeds"])).collect();
    point.changes.push(Change {
        target: Target::Var(SEED.to_owned()),
        value: Value::from(seed),
        path,
    });
    point
}

/// Every point with every value of every axis; the last axis varies fastest.
fn product(
    spec: &Spec,
    start: Vec<Point>,
    axes: &[(String, &Axis)],
    reader: &mut Reader,
) -> Vec<Point> {
    let mut points = start;
    for (name, axis) in axes {
        let Some(target) = target(spec, axis, reader) else { continue };
        let extend = |point: &Point, placed: &Placed| {
            let mut point = point.clone();
            point.coordinates.push((name.clone(), placed.value.clone()));
            point.changes.push(change(&target, placed));
            point
        };
        points = points
            .iter()
            .flat_map(|point| axis.values.iter().map(|value| extend(point, value)))
            .collect();
    }
    points
}

fn change(target: &Target, placed: &Placed) -> Change {
    Change { target: target.clone(), value: placed.value.clone(), path: placed.path.clone() }
}

/// The baseline, then each variation; a variation with several values makes a point for each.
fn one_at_a_time(
    spec: &Spec,
    sweep: &Sweep,
    variations: &[Variation],
    reader: &mut Reader,
) -> Vec<Point> {
    let named = |word: String| Point {
        sweep: sweep.name.clone(),
        coordinates: vec![(VARIANT.to_owned(), Value::from(word))],
        seed: None,
        changes: vec![],
    };
    let mut points = vec![named("baseline".to_owned())];
    for variation in variations {
        let axes: Vec<(String, &Axis)> =
            variation.axes.iter().map(|axis| (axis.name.clone(), axis)).collect();
        let plural: Vec<&str> =
            axes.iter().filter(|(_, a)| a.values.len() > 1).map(|(n, _)| n.as_str()).collect();
        for mut point in product(spec, vec![named(variation.name.clone())], &axes, reader) {
            let values: Vec<String> =
                plural.iter().filter_map(|axis| point.coordinate(axis)).map(show).collect();
            let word = match values.is_empty() {
                true => variation.name.clone(),
                false => format!("{}={}", variation.name, values.join(",")),
            };
            point.coordinates = vec![(VARIANT.to_owned(), Value::from(word))];
            points.push(point);
        }
    }
    points
}

/// A value as it stands in readable names and table cells.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => crate::key::canonical(other),
    }
}

/// What an axis varies, if its name leads anywhere.
fn target(spec: &Spec, axis: &Axis, reader: &mut Reader) -> Option<Target> {
    let mut path = axis.path.clone();
    path.pop();
    path.push(Step::Name(axis.name.clone()));
    let target = match find(spec, &axis.name) {
        Ok(target) => target,
        Err(problem) => {
            wrong_at(reader, path, problem);
            return None;
        }
    };
    if !spec.nodes.iter().any(|node| target.reaches(node)) {
        let problem = Problem::new(format!("nothing uses the axis `{}`", axis.name));
        wrong_at(reader, path, problem.help(format!("write ${} in a node", axis.name)));
        return None;
    }
    Some(target)
}

fn find(spec: &Spec, name: &str) -> Result<Target, Problem> {
    if spec.vars.contains_key(name) {
        return Ok(Target::Var(name.to_owned()));
    }
    let unknown = || {
        let paths: Vec<String> = spec.nodes.iter().map(|node| node.name.clone()).collect();
        let known: Vec<&str> = spec.vars.keys().chain(&paths).map(String::as_str).collect();
        let problem =
            Problem::new(format!("the axis `{name}` is neither a variable nor a path of a node"));
        let first = name.split('.').next().unwrap_or_default();
        problem.help(match words::nearest(first, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", words::alternatives(&known)),
        })
    };
    let (node, rest) =
        spec.split_path(name).filter(|(_, rest)| !rest.is_empty()).ok_or_else(unknown)?;
    let mut words: Vec<&str> = rest.split('.').collect();
    let by_name = name.starts_with(&node.name);
    if by_name && node.name != node.written {
        // `score.power_spectrum.binning`: the settings of a measure stand under its own name.
        let kind =
            node.body.get("measure").and_then(Value::as_object).and_then(|map| map.keys().next());
        let kind = kind.map_or_else(|| &node.name[node.written.len() + 1..], String::as_str);
        words.splice(0..0, ["measure", kind]);
    }
    leads_somewhere(node, &words, name)?;
    let node = if by_name { &node.name } else { &node.written };
    Ok(Target::Setting(node.clone(), words.iter().map(|word| (*word).to_owned()).collect()))
}

/// Checks a path against the shape of a node's settings.
fn leads_somewhere(node: &Declaration, path: &[&str], name: &str) -> Result<(), Problem> {
    for n in 1..=path.len() {
        if shape_below(node.kind.shape(), &path[..n]).is_some() {
            continue;
        }
        let known: Vec<&'static str> = match shape_below(node.kind.shape(), &path[..n - 1]) {
            Some(Shape::Map(fields)) => fields.iter().map(|field| field.name).collect(),
            Some(Shape::OneOf(kinds)) => kinds.iter().map(|(word, _)| *word).collect(),
            _ => vec![],
        };
        let problem = Problem::new(format!(
            "the axis `{name}` leads nowhere: `{}` has no `{}`",
            node.name,
            path[n - 1]
        ));
        return Err(match words::nearest(path[n - 1], known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("known there: {}", words::alternatives(&known))),
        });
    }
    Ok(())
}
