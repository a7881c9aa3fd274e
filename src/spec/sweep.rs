//! The sweeps of a spec: which settings vary, and how the variations combine. Only the form is
//! checked here; whether a path leads anywhere is for [`crate::expand`].

use crate::problem::Problem;
use crate::settings::{Found, Reader, Step};
use crate::words;
use serde_json::Value;

/// One sweep, as written.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Its name.
    pub name: String,
    /// How variations combine.
    pub operator: Operator,
    /// Seeds that replace `vars.seed` at every point, if asked for.
    pub seeds: Option<Vec<u64>>,
    /// Where it stands.
    pub path: Vec<Step>,
}

/// How variations combine.
#[derive(Debug, Clone)]
pub enum Operator {
    /// Every combination of the values of all axes.
    Product(Vec<Axis>),
    /// The baseline, and each variation alone.
    OneAtATime(Vec<Variation>),
}

/// A variable or dotted path, and the values it takes.
#[derive(Debug, Clone)]
pub struct Axis {
    /// The variable or path, as written.
    pub name: String,
    /// The values, each with its place.
    pub values: Vec<Placed>,
    /// Where the axis stands.
    pub path: Vec<Step>,
}

/// A value in a sweep.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub path: Vec<Step>,
}

/// A named change of one or several settings.
#[derive(Debug, Clone)]
pub struct Variation {
    /// Its name, such as `no_attention`.
    pub name: String,
    /// The settings it changes; those with several values make a point for each.
    pub axes: Vec<Axis>,
}

/// Reads the map of sweeps.
pub(super) fn read(found: &Found<'_>, reader: &mut Reader) -> Vec<Sweep> {
    let Some(map) = found.value.as_object() else {
        reader.wrong::<()>(found, Problem::new("`sweeps` is not a map of sweeps"));
        return vec![];
    };
    map.keys().filter_map(|name| read_one(name, &found.key(name)?, reader)).collect()
}

const OPERATORS: [&str; 2] = ["product", "one_at_a_time"];

fn read_one(name: &str, found: &Found<'_>, reader: &mut Reader) -> Option<Sweep> {
    let Some(map) = found.value.as_object() else {
        let problem = Problem::new(format!("the sweep `{name}` is not a map"));
        return reader.wrong(found, problem.help("for example { product: { … }, seeds: 3 }"));
    };
    let known = ["product", "one_at_a_time", "seeds"];
    crate::settings::table::refuse_unknown(found, &known, reader);
    let seeds = found.key("seeds").and_then(|seeds| read_seeds(&seeds, reader));
    let written: Vec<&str> = OPERATORS.into_iter().filter(|word| map.contains_key(*word)).collect();
    let operator = match written.as_slice() {
        [] if seeds.is_some() => Operator::Product(vec![]),
        ["product"] => Operator::Product(read_axes(&found.key("product")?, reader)?),
        ["one_at_a_time"] => {
            Operator::OneAtATime(read_variations(&found.key("one_at_a_time")?, reader)?)
        }
        [] => {
            let help = format!("add {} or `seeds`", words::alternatives(&OPERATORS));
            return reader.wrong(
                found,
                Problem::new(format!("the sweep `{name}` varies nothing")).help(help),
            );
        }
        _ => {
            return reader.wrong(
                found,
                Problem::new("a sweep has one operator").help("make two sweeps of it"),
            );
        }
    };
    Some(Sweep { name: name.to_owned(), operator, seeds, path: found.path.clone() })
}

fn read_seeds(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<u64>> {
    let seeds: Vec<u64> = match found.value {
        Value::Array(_) => <Vec<u64> as crate::settings::Setting>::read(found, reader)?,
        _ => (0..<u64 as crate::settings::Setting>::read(found, reader)?.min(1_000_001)).collect(),
    };
    let mut sorted = seeds.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if seeds.is_empty() || seeds.len() > 1_000_000 || sorted.len() != seeds.len() {
        let problem =
            Problem::new("`seeds` must be a number of at least 1, or a list of different seeds");
        return reader.wrong(found, problem.help("for example 3, or [0, 1, 7]"));
    }
    Some(seeds)
}

fn read_axes(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Axis>> {
    let Some(map) = found.value.as_object().filter(|map| !map.is_empty()) else {
        let problem = Problem::new("an empty sweep: no axis is given");
        return reader.wrong(found, problem.help("for example { schedule: [linear, cosine] }"));
    };
    let axes: Vec<Option<Axis>> =
        map.keys().map(|name| read_axis(name, &found.key(name)?, MustVary::Yes, reader)).collect();
    axes.into_iter().collect()
}

/// Whether an axis must be a list.
#[derive(PartialEq, Eq, Clone, Copy)]
enum MustVary {
    Yes,
    No,
}

fn read_axis(
    name: &str,
    found: &Found<'_>,
    must_vary: MustVary,
    reader: &mut Reader,
) -> Option<Axis> {
    let items = match (found.items(), must_vary) {
        (Some(items), _) => items,
        (None, MustVary::No) => vec![found.clone()],
        (None, MustVary::Yes) => {
            let problem = Problem::new(format!("the values of the axis `{name}` are not a list"));
            return reader.wrong(found, problem.help(format!("write {name}: [{}]", found.shown())));
        }
    };
    if items.is_empty() {
        return reader.wrong(found, Problem::new(format!("the axis `{name}` has no values")));
    }
    let mut values: Vec<Placed> = Vec::new();
    for item in &items {
        if values.iter().any(|placed| placed.value == *item.value) {
            reader.wrong::<()>(
                item,
                Problem::new(format!("`{}` stands twice on the axis `{name}`", item.shown())),
            );
        }
        values.push(Placed { value: item.value.clone(), path: item.path.clone() });
    }
    Some(Axis { name: name.to_owned(), values, path: found.path.clone() })
}

fn read_variations(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Variation>> {
    let Some(map) = found.value.as_object().filter(|map| !map.is_empty()) else {
        let problem = Problem::new("an empty sweep: no variation is given");
        return reader.wrong(
            found,
            problem.help("for example { no_attention: { net.model.unet.attention: false } }"),
        );
    };
    let mut variations = Vec::new();
    for name in map.keys() {
        let inner = found.key(name)?;
        if name == "baseline" {
            reader.wrong_key(
                found,
                name,
                Problem::new("`baseline` is always included").help("choose another name"),
            );
        }
        let Some(changes) = inner.value.as_object().filter(|changes| !changes.is_empty()) else {
            let problem = Problem::new(format!("the variation `{name}` changes nothing"));
            reader.wrong::<()>(&inner, problem.help("for example { net.ema: off }"));
            continue;
        };
        let axes: Vec<Axis> = changes
            .keys()
            .filter_map(|path| read_axis(path, &inner.key(path)?, MustVary::No, reader))
            .collect();
        variations.push(Variation { name: name.clone(), axes });
    }
    Some(variations)
}
