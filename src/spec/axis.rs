//! The axes of a sweep: a name and the values it takes. Values are a list, a range, labelled values, or
//! depend on another axis (`by`, `when`). Only the form is checked here.

use super::sweep::{read_condition, refuse_empty};
use crate::condition::{Condition, number, same};
use crate::problem::Problem;
use crate::settings::table::refuse_unknown;
use crate::settings::{Found, Reader, Setting, Step};
use crate::words;
use serde_json::{Map, Value};

/// A variable, a dotted path, or a name of its own, and the values it takes.
#[derive(Debug, Clone)]
pub struct Axis {
    /// The variable or path, as written.
    pub name: String,
    /// The values it takes.
    pub values: Values,
    /// Where the axis stands.
    pub path: Vec<Step>,
}

/// The values of an axis.
#[derive(Debug, Clone)]
pub enum Values {
    /// These, everywhere.
    List(Vec<Placed>),
    /// Others for each value of another axis.
    By {
        /// The other axis.
        axis: String,
        /// Its values as words, with the values here.
        cases: Vec<(String, Values)>,
        /// Where the other axis is named.
        path: Vec<Step>,
    },
    /// The axis exists only where a condition holds.
    When {
        /// The condition.
        condition: Condition,
        /// The values there.
        values: Box<Values>,
        /// Where the condition stands.
        path: Vec<Step>,
    },
}

/// A value in a sweep.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The label that names it, if it has one.
    pub label: Option<String>,
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub path: Vec<Step>,
}

impl Placed {
    /// The word that stands for the value in names and tables: its label, or the kind that a one-kind
    /// map chooses, or the value itself.
    pub fn word(&self) -> Value {
        match (&self.label, &self.value) {
            (Some(label), _) => Value::from(label.as_str()),
            (None, Value::Object(map)) if map.len() == 1 => {
                map.keys().next().map_or(Value::Null, |kind| Value::from(kind.as_str()))
            }
            (None, value) => value.clone(),
        }
    }
}

impl Values {
    /// The lists in it: one, or those of all cases.
    pub fn lists(&self) -> Vec<&[Placed]> {
        match self {
            Self::List(list) => vec![list],
            Self::By { cases, .. } => cases.iter().flat_map(|(_, values)| values.lists()).collect(),
            Self::When { values, .. } => values.lists(),
        }
    }

    /// How many values there are at one point, at most.
    pub fn most(&self) -> u64 {
        match self {
            Self::List(list) => list.len() as u64,
            Self::By { cases, .. } => cases.iter().map(|(_, v)| v.most()).max().unwrap_or(1),
            Self::When { values, .. } => values.most().max(1),
        }
    }
}

/// Whether an axis must be written as several values.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum MustVary {
    Yes,
    No,
}

/// What stands in a map that is no set of labelled values.
const FORMS: [&str; 4] = ["by", "when", "range", "log_range"];

/// Values of a range, at most.
const MOST: u64 = 100_000;

/// Reads a map of axes.
pub(super) fn read_axes(
    found: &Found<'_>,
    must_vary: MustVary,
    reader: &mut Reader,
) -> Option<Vec<Axis>> {
    let map = refuse_empty(
        found,
        "an empty sweep: no axis is given",
        "for example { schedule: [linear, cosine] }",
        reader,
    )?;
    let axes: Vec<Option<Axis>> =
        map.keys().map(|name| read_axis(name, &found.key(name)?, must_vary, reader)).collect();
    axes.into_iter().collect()
}

pub(super) fn read_axis(
    name: &str,
    found: &Found<'_>,
    must_vary: MustVary,
    reader: &mut Reader,
) -> Option<Axis> {
    let values = read_values(name, found, must_vary, reader)?;
    Some(Axis { name: name.to_owned(), values, path: found.path.clone() })
}

fn read_values(
    name: &str,
    found: &Found<'_>,
    must_vary: MustVary,
    reader: &mut Reader,
) -> Option<Values> {
    if let Some(items) = found.items() {
        return read_list(name, found, &items, reader);
    }
    match found.value.as_object() {
        Some(map) if map.contains_key("by") => read_by(name, found, map, reader),
        Some(map) if map.contains_key("when") => read_when(name, found, map, reader),
        Some(map) if map.contains_key("range") || map.contains_key("log_range") => {
            read_range(name, found, reader).map(Values::List)
        }
        Some(map) if must_vary == MustVary::Yes => read_labelled(name, found, map, reader),
        None if must_vary == MustVary::Yes => {
            let problem = Problem::new(format!("the values of the axis `{name}` are not a list"));
            reader.wrong(found, problem.help(format!("write {name}: [{}]", found.shown())))
        }
        _ => Some(Values::List(vec![placed(found)])),
    }
}

fn placed(found: &Found<'_>) -> Placed {
    Placed { label: None, value: found.value.clone(), path: found.path.clone() }
}

fn read_list(
    name: &str,
    found: &Found<'_>,
    items: &[Found<'_>],
    reader: &mut Reader,
) -> Option<Values> {
    if items.is_empty() {
        return reader.wrong(found, Problem::new(format!("the axis `{name}` has no values")));
    }
    let mut values: Vec<Placed> = Vec::with_capacity(items.len());
    let mut seen = std::collections::HashSet::new();
    for item in items {
        let item = placed(item);
        let word = item.word();
        let word = number(&word).map_or_else(|| word.to_string(), |number| number.to_string());
        if !seen.insert(word) {
            let (at, shown) = (found_at(&item), show(&item.word()));
            let problem = match values.iter().any(|other| same(&other.value, &item.value)) {
                true => Problem::new(format!("`{shown}` stands twice on the axis `{name}`")),
                false => {
                    Problem::new(format!("two values of the axis `{name}` are called `{shown}`"))
                        .help(format!("label them: {name}: {{ a: …, b: … }}"))
                }
            };
            reader.wrong::<()>(&at, problem);
        }
        values.push(item);
    }
    Some(Values::List(values))
}

fn found_at(placed: &Placed) -> Found<'_> {
    Found { value: &placed.value, path: placed.path.clone() }
}

fn show(value: &Value) -> String {
    Found::root(value).shown()
}

/// `{ small: …, big: … }`: each value under its label.
fn read_labelled(
    name: &str,
    found: &Found<'_>,
    map: &Map<String, Value>,
    reader: &mut Reader,
) -> Option<Values> {
    if map.is_empty() {
        return reader.wrong(found, Problem::new(format!("the axis `{name}` has no values")));
    }
    let labelled = |label: &String| {
        let value = found.key(label)?;
        Some(Placed { label: Some(label.clone()), ..placed(&value) })
    };
    Some(Values::List(map.keys().filter_map(labelled).collect()))
}

/// `{ by: method, ddpm: [1000], ddim: [10, 50] }`.
fn read_by(
    name: &str,
    found: &Found<'_>,
    map: &Map<String, Value>,
    reader: &mut Reader,
) -> Option<Values> {
    let by = found.key("by")?;
    let axis = String::read(&by, reader)?;
    if map.len() == 1 {
        let problem = Problem::new(format!("`by: {axis}` has no cases"));
        return reader.wrong(found, problem.help("add `value: [values there]` for each value"));
    }
    let cases: Vec<Option<(String, Values)>> = map
        .keys()
        .filter(|case| *case != "by")
        .map(|case| {
            let values = read_values(name, &found.key(case)?, MustVary::No, reader)?;
            Some((case.clone(), values))
        })
        .collect();
    Some(Values::By { axis, cases: cases.into_iter().collect::<Option<_>>()?, path: by.path })
}

/// `{ when: method == ddim, values: [0, 0.5, 1] }`.
fn read_when(
    name: &str,
    found: &Found<'_>,
    map: &Map<String, Value>,
    reader: &mut Reader,
) -> Option<Values> {
    let when = found.key("when")?;
    let condition = read_condition(&when, reader);
    let inner = found.key("values");
    let values = match &inner {
        Some(values) => read_values(name, values, MustVary::No, reader),
        // A range may stand beside `when`.
        None if map.contains_key("range") || map.contains_key("log_range") => {
            let mut rest = map.clone();
            rest.shift_remove("when");
            let rest = Value::Object(rest);
            let beside = Found { value: &rest, path: found.path.clone() };
            read_range(name, &beside, reader).map(Values::List)
        }
        None => {
            let problem = Problem::new("`values` is missing beside `when`");
            reader.wrong(found, problem.help("add `values: [0, 0.5, 1]`"))
        }
    };
    if inner.is_some() {
        refuse_unknown(found, &["when", "values"], reader);
    }
    Some(Values::When { condition: condition?, values: Box::new(values?), path: when.path })
}

/// `{ range: [from, to], step: s }` or `count: n`; `{ log_range: [from, to], count: n }`. Both ends
/// belong to it.
fn read_range(name: &str, found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Placed>> {
    let word = if found.key("range").is_some() { "range" } else { "log_range" };
    let before = reader.count();
    refuse_unknown(found, &[word, "step", "count"], reader);
    let ends_found = found.key(word)?;
    let ends = <Vec<f64> as Setting>::read(&ends_found, reader)?;
    let step = found.key("step").map(|step| f64::read(&step, reader));
    let count = found.key("count").map(|count| u64::read(&count, reader));
    if reader.count() > before {
        return None;
    }
    let [from, to] = ends.as_slice() else {
        let problem = Problem::new(format!("`{word}` takes two numbers, from and to"));
        return reader.wrong(&ends_found, problem.help(format!("for example {word}: [1, 10]")));
    };
    let numbers = match (word, step.flatten(), count.flatten()) {
        ("range", Some(step), None) => steps(*from, *to, step),
        ("range", None, Some(count)) => spaced(*from, *to, count),
        ("log_range", None, Some(count)) if *from > 0.0 && *to > 0.0 => {
            spaced(from.log10(), to.log10(), count)
                .map(|powers| powers.into_iter().map(|power| 10_f64.powf(power)).collect())
        }
        ("log_range", None, Some(_)) => Err("a logarithmic range lies above 0"),
        ("range", ..) => Err("a range takes either `step` or `count`"),
        _ => Err("a logarithmic range takes `count`"),
    };
    match numbers {
        Ok(numbers) => Some(
            numbers
                .into_iter()
                .map(|x| Placed { label: None, value: tidy(x), path: ends_found.path.clone() })
                .collect(),
        ),
        Err(rule) => {
            let problem = Problem::new(format!("the range of `{name}`: {rule}"));
            let help = "for example { range: [0, 1], step: 0.25 } or { log_range: [1e-5, 1e-2], count: 4 }";
            reader.wrong(found, problem.help(help))
        }
    }
}

/// From one end in steps as far as the other.
fn steps(from: f64, to: f64, step: f64) -> Result<Vec<f64>, &'static str> {
    let count = (to - from) / step;
    if !count.is_finite() || count < 0.0 {
        return Err("the steps lead away from its end");
    }
    if count >= MOST as f64 {
        return Err("more than 100,000 values");
    }
    if (count - count.round()).abs() > 1e-6 {
        return Err("the steps do not arrive at its end");
    }
    Ok((0..=(count + 1e-9) as u64).map(|i| from + i as f64 * step).collect())
}

/// So many values in equal steps, both ends included.
fn spaced(from: f64, to: f64, count: u64) -> Result<Vec<f64>, &'static str> {
    match count {
        0 | 1 => Err("`count` is at least 2"),
        2..=MOST => {
            Ok((0..count).map(|i| from + (to - from) * (i as f64 / (count - 1) as f64)).collect())
        }
        _ => Err("more than 100,000 values"),
    }
}

/// A number to 12 significant digits, so that 0.1 + 0.2 is 0.3; whole where it is.
fn tidy(x: f64) -> Value {
    let rounded: f64 = format!("{x:.11e}").parse().unwrap_or(x);
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        Value::from(rounded as i64)
    } else {
        Value::from(rounded)
    }
}

/// Whether a word has a meaning of its own where labels stand.
pub(super) fn is_form(word: &str) -> bool {
    FORMS.contains(&word)
}

/// A known word that is near a wrong one, as help.
pub(super) fn did_you_mean(wrong: &str, known: &[&str]) -> String {
    match words::nearest(wrong, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", words::alternatives(known)),
    }
}
