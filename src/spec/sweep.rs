//! The sweeps of a spec: which settings vary, and how the variations combine. Only the form is
//! checked here; whether a path leads anywhere is for [`crate::expand`].

use super::axis::{Axis, MustVary, Placed, read_axes, read_axis};
use crate::condition::Condition;
use crate::problem::Problem;
use crate::settings::{Found, Reader, Setting, Step};
use crate::words;
use serde_json::{Map, Value};

/// One sweep, as written.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Its name.
    pub name: String,
    /// Its points, seeds aside.
    pub points: Expression,
    /// What the baseline differs in from the spec as written.
    pub baseline: Vec<Axis>,
    /// Seeds at every point, if asked for.
    pub seeds: Option<Seeds>,
    /// Where it stands.
    pub path: Vec<Step>,
}

/// Seeds that replace variables at every point.
#[derive(Debug, Clone)]
pub struct Seeds {
    /// The seeds.
    pub values: Vec<u64>,
    /// The variables that they replace.
    pub over: Vec<String>,
    /// Where they stand.
    pub path: Vec<Step>,
}

/// A set of points: an operator, and what is kept of its points.
#[derive(Debug, Clone)]
pub struct Expression {
    /// How variations combine.
    pub operator: Operator,
    /// What is kept and what is left out.
    pub filters: Vec<Filter>,
    /// Where it stands.
    pub path: Vec<Step>,
}

/// How variations combine.
#[derive(Debug, Clone)]
pub enum Operator {
    /// Every combination; of nothing, the one point that changes nothing.
    Product(Vec<Part>),
    /// The first with the first, the second with the second, …
    Zip(Vec<Part>),
    /// The baseline, and each variation alone.
    OneAtATime(Vec<Variation>),
    /// Points as listed.
    Points(Vec<Vec<Axis>>),
    /// The points of all of these.
    Union(Vec<Expression>),
}

/// What is combined: an axis, or points that are themselves combined.
#[derive(Debug, Clone)]
pub enum Part {
    /// An axis.
    Axis(Axis),
    /// Other points.
    Points(Expression),
}

/// A named change of one or several settings.
#[derive(Debug, Clone)]
pub struct Variation {
    /// Its name, such as `no_attention`; or the axis whose values are its points.
    pub name: String,
    /// Whether it is an axis of its own.
    pub is_axis: bool,
    /// The changes; where there are several, each is a point.
    pub changes: Expression,
    /// Where it stands.
    pub path: Vec<Step>,
}

/// Keeps or leaves out the points where a condition holds.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Whether points where it holds are left out rather than kept.
    pub excludes: bool,
    /// The condition.
    pub condition: Condition,
    /// It as written.
    pub text: String,
    /// Where it stands.
    pub path: Vec<Step>,
}

impl Expression {
    /// The parts and axes in it, at every depth.
    pub fn axes(&self) -> Vec<&Axis> {
        let mut axes = vec![];
        self.walk(&mut |axis| axes.push(axis));
        axes
    }

    fn walk<'e>(&'e self, see: &mut dyn FnMut(&'e Axis)) {
        match &self.operator {
            Operator::Product(parts) | Operator::Zip(parts) => {
                for part in parts {
                    match part {
                        Part::Axis(axis) => see(axis),
                        Part::Points(inner) => inner.walk(see),
                    }
                }
            }
            Operator::OneAtATime(variations) => {
                variations.iter().for_each(|variation| variation.changes.walk(see));
            }
            Operator::Points(rows) => rows.iter().flatten().for_each(see),
            Operator::Union(parts) => parts.iter().for_each(|part| part.walk(see)),
        }
    }
}

impl Sweep {
    /// Every axis of it, those of its baseline too.
    pub fn axes(&self) -> Vec<&Axis> {
        self.points.axes().into_iter().chain(&self.baseline).collect()
    }
}

/// Reads the map of sweeps.
pub(super) fn read(found: &Found<'_>, reader: &mut Reader) -> Vec<Sweep> {
    let Some(map) = found.value.as_object() else {
        reader.wrong::<()>(found, Problem::new("`sweeps` is not a map of sweeps"));
        return vec![];
    };
    map.keys().filter_map(|name| read_one(name, &found.key(name)?, reader)).collect()
}

const OPERATORS: [&str; 5] = ["product", "zip", "one_at_a_time", "points", "union"];

/// What may stand beside the operator of a sweep.
const BESIDE: [&str; 5] = ["where", "exclude", "baseline", "seeds", "over"];

fn read_one(name: &str, found: &Found<'_>, reader: &mut Reader) -> Option<Sweep> {
    let Some(map) = found.value.as_object() else {
        let problem = Problem::new(format!("the sweep `{name}` is not a map"));
        return reader.wrong(found, problem.help("for example { product: { … }, seeds: 3 }"));
    };
    let known: Vec<&'static str> = OPERATORS.into_iter().chain(BESIDE).collect();
    crate::settings::table::refuse_unknown(found, &known, reader);
    let seeds = read_seeds(found, reader);
    let baseline = match found.key("baseline") {
        Some(baseline) => read_fixed(&baseline, reader)?,
        None => vec![],
    };
    if map.keys().all(|key| BESIDE.contains(&key.as_str())) && seeds.is_none() {
        let help = format!("add {} or `seeds`", words::alternatives(&OPERATORS));
        let problem = Problem::new(format!("the sweep `{name}` varies nothing"));
        return reader.wrong(found, problem.help(help));
    }
    let points = read_expression(found, reader)?;
    Some(Sweep { name: name.to_owned(), points, baseline, seeds, path: found.path.clone() })
}

/// Whether a map is an operator with what belongs to it, rather than a map of axes.
fn is_expression(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.keys().any(|key| OPERATORS.contains(&key.as_str())))
}

/// Reads the operator of a map, and its filters.
fn read_expression(found: &Found<'_>, reader: &mut Reader) -> Option<Expression> {
    let map = found.value.as_object()?;
    let written: Vec<&str> = OPERATORS.into_iter().filter(|word| map.contains_key(*word)).collect();
    let filters = read_filters(found, reader);
    let operator = match written.as_slice() {
        [] => Operator::Product(vec![]),
        [word] => {
            let inner = found.key(word)?;
            match *word {
                "product" => Operator::Product(read_parts(&inner, reader)?),
                "zip" => Operator::Zip(read_parts(&inner, reader)?),
                "one_at_a_time" => Operator::OneAtATime(read_variations(&inner, reader)?),
                "points" => Operator::Points(read_points(&inner, reader)?),
                _ => Operator::Union(read_union(&inner, reader)?),
            }
        }
        [first, second, ..] => {
            let problem = Problem::new(format!("two operators: `{first}` and `{second}`"));
            let help = format!("nest them: {{ product: [{{ {first}: … }}, {{ {second}: … }}] }}");
            return reader.wrong(found, problem.help(help));
        }
    };
    Some(Expression { operator, filters: filters?, path: found.path.clone() })
}

/// A map of axes as the product of them.
fn product_of(axes: Vec<Axis>, path: &[Step]) -> Expression {
    let parts = axes.into_iter().map(Part::Axis).collect();
    Expression { operator: Operator::Product(parts), filters: vec![], path: path.to_vec() }
}

/// What `product` and `zip` take: a map of axes, or a list of operators and maps of axes.
fn read_parts(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Part>> {
    let Some(items) = found.items() else {
        if found.value.is_object() && is_expression(found.value) {
            let problem = Problem::new("an operator stands among the axes");
            return reader.wrong(found, problem.help("write a list: [{ zip: … }, { axis: … }]"));
        }
        return Some(
            read_axes(found, MustVary::Yes, reader)?.into_iter().map(Part::Axis).collect(),
        );
    };
    let mut parts = vec![];
    for item in &items {
        if is_expression(item.value) {
            refuse_beside(item, reader);
            parts.push(Part::Points(read_expression(item, reader)?));
        } else {
            parts.extend(read_axes(item, MustVary::Yes, reader)?.into_iter().map(Part::Axis));
        }
    }
    if parts.is_empty() {
        return reader.wrong(found, Problem::new("an empty sweep: no axis is given"));
    }
    Some(parts)
}

/// Within an operator, only filters may stand beside another.
fn refuse_beside(found: &Found<'_>, reader: &mut Reader) {
    let known: Vec<&'static str> = OPERATORS.into_iter().chain(["where", "exclude"]).collect();
    let Some(map) = found.value.as_object() else { return };
    for word in ["seeds", "over", "baseline"].iter().filter(|word| map.contains_key(**word)) {
        let problem = Problem::new(format!("`{word}` belongs to the sweep"));
        reader.wrong_key(found, word, problem.help("write it beside the outermost operator"));
    }
    let own = map.iter().filter(|(key, _)| !["seeds", "over", "baseline"].contains(&key.as_str()));
    let own = Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect());
    let rest = Found { value: &own, path: found.path.clone() };
    crate::settings::table::refuse_unknown(&rest, &known, reader);
}

fn read_union(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Expression>> {
    let Some(items) = found.items().filter(|items| !items.is_empty()) else {
        let problem = Problem::new("`union` is not a list of sets of points");
        let help = "for example [{ product: { … } }, { zip: { … } }]";
        return reader.wrong(found, problem.help(help));
    };
    let parts: Vec<Option<Expression>> = items
        .iter()
        .map(|item| {
            if is_expression(item.value) {
                refuse_beside(item, reader);
                read_expression(item, reader)
            } else {
                Some(product_of(read_axes(item, MustVary::No, reader)?, &item.path))
            }
        })
        .collect();
    parts.into_iter().collect()
}

/// Stands where points were to come from a file that could not be read.
pub(super) const UNREAD: &str = "\0unread";

/// A list of points, each a map of fixed values.
fn read_points(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Vec<Axis>>> {
    if found.value == UNREAD {
        return None;
    }
    let Some(items) = found.items().filter(|items| !items.is_empty()) else {
        let problem = Problem::new("`points` is not a list of points");
        let help = "for example [{ schedule: linear, nfe: 10 }], or the name of a CSV or JSON file";
        return reader.wrong(found, problem.help(help));
    };
    let points: Vec<Option<Vec<Axis>>> =
        items.iter().map(|item| read_fixed(item, reader)).collect();
    points.into_iter().collect()
}

/// A map of names with one value each; a list is one value here.
fn read_fixed(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Axis>> {
    let map = refuse_empty(
        found,
        "a point that changes nothing",
        "for example { schedule: cosine, nfe: 10 }",
        reader,
    )?;
    let fixed = |name: &String| {
        let value = found.key(name)?;
        let one = Placed { label: None, value: value.value.clone(), path: value.path.clone() };
        let values = super::axis::Values::List(vec![one]);
        Some(Axis { name: name.clone(), values, path: value.path })
    };
    map.keys().map(fixed).collect()
}

/// A map with something in it.
pub(super) fn refuse_empty<'v>(
    found: &Found<'v>,
    sentence: &str,
    help: &str,
    reader: &mut Reader,
) -> Option<&'v Map<String, Value>> {
    match found.value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => Some(map),
        None => reader.wrong(found, Problem::new(sentence).help(help)),
    }
}

fn read_variations(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Variation>> {
    let map = refuse_empty(
        found,
        "an empty sweep: no variation is given",
        "for example { no_attention: { net.model.unet.attention: false } }",
        reader,
    )?;
    let variations: Vec<Option<Variation>> = map
        .keys()
        .map(|name| {
            let inner = found.key(name)?;
            if name == "baseline" {
                let problem = Problem::new("`baseline` is always included");
                let help = "choose another name; to begin elsewhere, write `baseline:` beside `one_at_a_time`";
                reader.wrong_key(found, name, problem.help(help));
            }
            read_variation(name, &inner, reader)
        })
        .collect();
    variations.into_iter().collect()
}

fn read_variation(name: &str, found: &Found<'_>, reader: &mut Reader) -> Option<Variation> {
    let whole = |changes, is_axis| Variation {
        name: name.to_owned(),
        is_axis,
        changes,
        path: found.path.clone(),
    };
    if is_expression(found.value) {
        refuse_beside(found, reader);
        return Some(whole(read_expression(found, reader)?, false));
    }
    let forms = |map: &Map<String, Value>| map.keys().any(|key| super::axis::is_form(key));
    let is_axis = !found.value.is_object() || found.value.as_object().is_some_and(forms);
    if is_axis {
        let axis = read_axis(name, found, MustVary::No, reader)?;
        return Some(whole(product_of(vec![axis], &found.path), true));
    }
    let sentence = format!("the variation `{name}` changes nothing");
    refuse_empty(found, &sentence, "for example { net.ema: off }", reader)?;
    let axes = read_axes(found, MustVary::No, reader)?;
    Some(whole(product_of(axes, &found.path), false))
}

/// Reads `where` and `exclude`, each a condition or a list of them.
fn read_filters(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Filter>> {
    let mut filters = Some(vec![]);
    for (word, excludes) in [("where", false), ("exclude", true)] {
        let Some(written) = found.key(word) else { continue };
        for item in written.items().unwrap_or_else(|| vec![written.clone()]) {
            let read = read_condition(&item, reader).map(|condition| Filter {
                excludes,
                condition,
                text: item.shown(),
                path: item.path.clone(),
            });
            match (read, &mut filters) {
                (Some(filter), Some(all)) => all.push(filter),
                _ => filters = None,
            }
        }
    }
    filters
}

/// A condition as text, or as a map of values with perhaps a `why`.
pub(super) fn read_condition(found: &Found<'_>, reader: &mut Reader) -> Option<Condition> {
    match found.value {
        Value::String(text) => match Condition::parse(text) {
            Ok(condition) => Some(condition),
            Err(problem) => reader.wrong(found, problem),
        },
        Value::Object(map) if map.keys().any(|key| key != "why") => {
            let mut values = map.clone();
            values.shift_remove("why");
            Some(Condition::of_map(&values))
        }
        _ => {
            let problem = Problem::new(format!("`{}` is not a condition", found.shown()));
            let help = "for example `schedule == cosine and nfe > 10`, or { schedule: cosine, nfe: [10, 50] }";
            reader.wrong(found, problem.help(help))
        }
    }
}

fn read_seeds(found: &Found<'_>, reader: &mut Reader) -> Option<Seeds> {
    let over_found = found.key("over");
    let over = match &over_found {
        Some(over) if over.value.is_array() => Vec::<String>::read(over, reader)?,
        Some(over) => vec![String::read(over, reader)?],
        None => vec![crate::spec::SEED.to_owned()],
    };
    let Some(written) = found.key("seeds") else {
        if over_found.is_some() {
            let problem = Problem::new("`over` names what `seeds` replace, and there are none");
            reader.wrong_key(found, "over", problem.help("add `seeds: 3`"));
        }
        return None;
    };
    let values = seed_list(&written, reader)?;
    Some(Seeds { values, over, path: written.path })
}

/// Seeds, at most.
const MOST_SEEDS: u64 = 1_000_000;

fn seed_list(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<u64>> {
    let seeds: Vec<u64> = match found.value {
        Value::Array(_) => Vec::read(found, reader)?,
        _ => (0..u64::read(found, reader)?.min(MOST_SEEDS + 1)).collect(),
    };
    let mut sorted = seeds.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if seeds.is_empty() || seeds.len() as u64 > MOST_SEEDS || sorted.len() != seeds.len() {
        let problem = Problem::new(
            "`seeds` must be a number from 1 to a million, or a list of different seeds",
        );
        return reader.wrong(found, problem.help("for example 3, or [0, 1, 7]"));
    }
    Some(seeds)
}
