//! The operators of a sweep: axes and sets of points → all their combinations. A combination in the
//! making is a [`Partial`]; what it already has decides the values of axes that depend on others.

use super::names::collect_filters;
use super::target::{self, Target};
use super::{BASELINE, Change, Choice, Coordinate, Known, VARIANT, normal, short_words, show};
use crate::condition::{Condition, same};
use crate::problem::Problem;
use crate::settings::{Found, Reader, Step};
use crate::spec::{
    Axis, Expression, Filter, Operator, Part, Placed, SEED, Spec, Sweep, Values, Variation,
};
use crate::words::plural;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Some coordinates and changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Partial {
    pub(super) coordinates: Vec<Arc<Coordinate>>,
    pub(super) changes: Vec<Arc<Change>>,
}

/// A seed with what it changes, and where it is not of all points, of which.
pub(super) type Seeded = (u64, Partial, Option<Vec<BTreeMap<String, String>>>);

impl Partial {
    /// Whether it has these words on these axes.
    pub(super) fn is_at(&self, at: &BTreeMap<String, String>) -> bool {
        at.iter().all(|(axis, word)| {
            self.coordinates.iter().any(|c| c.axis == *axis && show(&c.value) == *word)
        })
    }

    /// With those of another behind.
    pub(super) fn and(&self, other: &Self) -> Self {
        let chain = |a: &[Arc<_>], b: &[Arc<_>]| a.iter().chain(b).cloned().collect();
        let coordinates = self.coordinates.iter().chain(&other.coordinates).cloned().collect();
        Self { coordinates, changes: chain(&self.changes, &other.changes) }
    }
}

/// The values of an axis, led to what they change.
enum Prepared {
    List(Vec<Partial>),
    By { axis: String, cases: Vec<(String, Prepared)>, path: Vec<Step> },
    When { condition: Condition, values: Box<Prepared>, path: Vec<Step> },
}

/// Expands the sweeps of a spec.
pub(super) struct Expander<'s, 'r> {
    pub(super) spec: &'s Spec,
    pub(super) reader: &'r mut Reader,
    pub(super) known: Known,
    pub(super) changes: Vec<Arc<Change>>,
    pub(super) notices: Vec<(Vec<Step>, Problem)>,
    words: HashMap<String, String>,
    /// At how many points each filter and `when` held.
    pub(super) matched: BTreeMap<Vec<Step>, usize>,
    /// Paths that conditions name, led to their targets, with the values where they are not written.
    pub(super) paths: HashMap<String, Option<(Target, Option<Value>)>>,
    /// The targets of points that were looked at for conflicts.
    pub(super) checked: HashSet<Vec<(u32, Option<u32>)>>,
    /// What was said once and need not be said at every point.
    said: HashSet<(Vec<Step>, String)>,
}

impl<'s, 'r> Expander<'s, 'r> {
    pub(super) fn new(spec: &'s Spec, reader: &'r mut Reader) -> Self {
        Self {
            spec,
            reader,
            known: Known::default(),
            changes: vec![],
            notices: vec![],
            words: short_words(spec),
            matched: BTreeMap::new(),
            paths: HashMap::new(),
            checked: HashSet::new(),
            said: HashSet::new(),
        }
    }

    /// Notes a problem with its place, once.
    pub(super) fn wrong(&mut self, path: &[Step], problem: Problem) {
        if self.said.insert((path.to_vec(), problem.sentence.clone())) {
            self.reader.wrong::<()>(&Found { value: &Value::Null, path: path.to_vec() }, problem);
        }
    }

    /// The points of a sweep, seeds aside.
    pub(super) fn sweep(&mut self, sweep: &Sweep, baseline: &Partial) -> Vec<Partial> {
        self.check_names(sweep);
        let points = match &sweep.points.operator {
            // The outermost baseline is where every variation begins.
            Operator::OneAtATime(variations) => self.one_at_a_time(variations, baseline),
            _ => self.operator(&sweep.points, &Partial::default()),
        };
        let early = sweep.points.filters.iter().filter(|filter| !self.names_seed(sweep, filter));
        let early: Vec<&Filter> = early.collect();
        early.into_iter().fold(points, |points, filter| self.filter(filter, points))
    }

    /// The points of an expression, where the context has these values.
    fn points(&mut self, expression: &Expression, context: &Partial) -> Vec<Partial> {
        let points = self.operator(expression, context);
        expression.filters.iter().fold(points, |points, filter| {
            let with: Vec<Partial> = points.iter().map(|point| context.and(point)).collect();
            let kept = self.matches(filter, &with);
            points.into_iter().zip(kept).filter(|(_, keep)| *keep).map(|(point, _)| point).collect()
        })
    }

    fn operator(&mut self, expression: &Expression, context: &Partial) -> Vec<Partial> {
        match &expression.operator {
            Operator::Product(parts) => self.product(parts, &expression.path, context),
            Operator::Zip(parts) => self.zip(parts, context),
            Operator::OneAtATime(variations) => self.one_at_a_time(variations, &Partial::default()),
            Operator::Points(rows) => rows.iter().map(|row| self.fixed(row)).collect(),
            Operator::Union(parts) => {
                parts.iter().flat_map(|part| self.points(part, context)).collect()
            }
        }
    }

    /// Every combination; the last part varies fastest.
    fn product(&mut self, parts: &[Part], path: &[Step], context: &Partial) -> Vec<Partial> {
        let mut points = vec![Partial::default()];
        for part in self.in_order(parts, path) {
            points = match part {
                Part::Axis(axis) => {
                    let Some(prepared) = self.prepare(axis) else { continue };
                    let mut next = Vec::with_capacity(points.len());
                    for point in &points {
                        match self.values_at(&prepared, context, point) {
                            Some(values) => {
                                next.extend(values.iter().map(|value| point.and(value)))
                            }
                            None => next.push(point.clone()),
                        }
                    }
                    next
                }
                Part::Points(inner) if depends(inner) => points
                    .iter()
                    .flat_map(|point| {
                        let more = self.points(inner, &context.and(point));
                        more.iter().map(|more| point.and(more)).collect::<Vec<_>>()
                    })
                    .collect(),
                Part::Points(inner) => {
                    let more = self.points(inner, context);
                    points
                        .iter()
                        .flat_map(|point| more.iter().map(|more| point.and(more)))
                        .collect()
                }
            };
        }
        points
    }

    /// The parts so that whatever an axis depends on stands before it.
    fn in_order<'p>(&mut self, parts: &'p [Part], path: &[Step]) -> Vec<&'p Part> {
        let mut left: Vec<&Part> = parts.iter().collect();
        let mut ordered = vec![];
        while !left.is_empty() {
            let free = |part: &Part| {
                let needs = needs(part);
                !left.iter().any(|other| {
                    !std::ptr::eq(*other, part)
                        && matches!(other, Part::Axis(axis) if needs.contains(&axis.name.as_str()))
                })
            };
            let Some(next) = left.iter().position(|part| free(part)) else {
                let names = left.iter().filter_map(|part| match part {
                    Part::Axis(axis) => Some(format!("`{}`", axis.name)),
                    Part::Points(_) => None,
                });
                let names = names.collect::<Vec<_>>().join(" and ");
                let problem = Problem::new(format!("the axes {names} depend on each other"));
                self.wrong(path, problem.help("let one of them have values of its own"));
                break;
            };
            ordered.push(left.remove(next));
        }
        ordered
    }

    /// The first with the first, the second with the second, …
    fn zip(&mut self, parts: &[Part], context: &Partial) -> Vec<Partial> {
        let mut columns: Vec<(String, Vec<Step>, Vec<Partial>)> = vec![];
        for part in parts {
            match part {
                Part::Axis(axis) => match self.prepare(axis) {
                    Some(Prepared::List(list)) => {
                        columns.push((format!("`{}`", axis.name), axis.path.clone(), list));
                    }
                    Some(_) => {
                        let problem =
                            Problem::new(format!("the axis `{}` cannot be zipped", axis.name));
                        let help = "in a `zip`, write a list; `by` and `when` belong in a product";
                        self.wrong(&axis.path, problem.help(help));
                    }
                    None => {}
                },
                Part::Points(inner) => {
                    let points = self.points(inner, context);
                    columns.push(("the points".to_owned(), inner.path.clone(), points));
                }
            }
        }
        let Some((first, first_path, list)) = columns.first() else { return vec![] };
        if let Some((name, path, other)) = columns.iter().find(|(.., l)| l.len() != list.len()) {
            let line = |path: &[Step]| self.spec.merged.place(path).map_or(0, |place| place.line);
            let sentence = format!(
                "a zip of unequal lengths: {first} has {} (line {}), {name} has {} (line {})",
                plural(list.len(), "value"),
                line(first_path),
                other.len(),
                line(path),
            );
            let (path, problem) = (path.clone(), Problem::new(sentence));
            self.wrong(&path, problem.help("give both the same number, or take their product"));
            return vec![];
        }
        let mut points = list.clone();
        for (.., column) in &columns[1..] {
            for (point, more) in points.iter_mut().zip(column) {
                *point = point.and(more);
            }
        }
        points
    }

    /// The baseline, then each variation on it; one with several values makes a point for each.
    fn one_at_a_time(&mut self, variations: &[Variation], baseline: &Partial) -> Vec<Partial> {
        let mut points = vec![variant(BASELINE.to_owned(), baseline.changes.clone())];
        for variation in variations {
            let found = self.points(&variation.changes, baseline);
            let varied = varied(&found);
            let several = found.len() > 1;
            for point in found {
                // Of several values the baseline's own is no variation.
                if (variation.is_axis || several) && self.is_baseline(&point, baseline) {
                    continue;
                }
                let values: Vec<String> = point
                    .coordinates
                    .iter()
                    .filter(|c| variation.is_axis || varied.contains(c.axis.as_str()))
                    .map(|c| show(&c.value))
                    .collect();
                let name = match variation.is_axis {
                    true => self.words.get(&variation.name).unwrap_or(&variation.name),
                    false => &variation.name,
                };
                let word = match values.is_empty() {
                    true => name.clone(),
                    false => format!("{name}={}", values.join(",")),
                };
                let new: HashSet<u32> = point.changes.iter().map(|c| c.target_id).collect();
                let kept = baseline.changes.iter().filter(|c| !new.contains(&c.target_id));
                let changes = kept.chain(&point.changes).cloned().collect();
                points.push(variant(word, changes));
            }
        }
        points
    }

    /// Whether the changes of a point leave the baseline as it is.
    fn is_baseline(&self, point: &Partial, baseline: &Partial) -> bool {
        point.changes.iter().all(|change| {
            let there = baseline.changes.iter().find(|c| c.target_id == change.target_id);
            let there = there.map(|c| &c.value).or_else(|| change.target.written(self.spec));
            there.is_some_and(|value| normal(value) == normal(&change.value))
        })
    }

    /// One value for each of these axes.
    pub(super) fn fixed(&mut self, row: &[Axis]) -> Partial {
        let mut point = Partial::default();
        for axis in row {
            if let Some(Prepared::List(list)) = self.prepare(axis) {
                point = list.first().map_or(point.clone(), |value| point.and(value));
            }
        }
        point
    }

    /// Leads the values of an axis to what they change.
    fn prepare(&mut self, axis: &Axis) -> Option<Prepared> {
        let mut path = axis.path.clone();
        path.pop();
        path.push(Step::Name(axis.name.clone()));
        let target = match target::find(self.spec, &axis.name) {
            Ok(target) => Some(target),
            // A name of its own, whose labelled values set several paths.
            Err(_) if is_bundle(axis) => {
                if let Some(notice) = uneven(axis).filter(|notice| !self.notices.contains(notice)) {
                    self.notices.push(notice);
                }
                None
            }
            Err(problem) => {
                let maps = |list: &&[Placed]| list.iter().all(|placed| placed.value.is_object());
                let problem = match axis.values.lists().iter().all(maps) {
                    true => problem.help(format!(
                        "to set several paths at once, label the values: {}: {{ a: {{ … }}, b: {{ … }} }}",
                        axis.name
                    )),
                    false => problem,
                };
                self.wrong(&path, problem);
                return None;
            }
        };
        if let Some(target) = &target
            && !self.spec.nodes.iter().any(|node| target.reaches(node))
            && !matches!(target, Target::Var(name) if target::is_in_sweeps(self.spec, name))
        {
            let problem = Problem::new(format!("nothing uses the axis `{}`", axis.name));
            self.wrong(&path, problem.help(format!("write ${} in a node", axis.name)));
            return None;
        }
        self.prepare_values(axis, target.as_ref(), &axis.values)
    }

    fn prepare_values(
        &mut self,
        axis: &Axis,
        target: Option<&Target>,
        values: &Values,
    ) -> Option<Prepared> {
        Some(match values {
            Values::List(list) => Prepared::List(
                list.iter()
                    .map(|placed| self.value(axis, target, placed))
                    .collect::<Option<Vec<_>>>()?,
            ),
            Values::By { axis: other, cases, path } => {
                let cases = cases.iter().map(|(case, values)| {
                    Some((case.clone(), self.prepare_values(axis, target, values)?))
                });
                let cases = cases.collect::<Option<Vec<_>>>()?;
                Prepared::By { axis: other.clone(), cases, path: path.clone() }
            }
            Values::When { condition, values, path } => {
                let values = Box::new(self.prepare_values(axis, target, values)?);
                Prepared::When { condition: condition.clone(), values, path: path.clone() }
            }
        })
    }

    /// One value of an axis: its coordinate and its changes.
    fn value(&mut self, axis: &Axis, target: Option<&Target>, placed: &Placed) -> Option<Partial> {
        let word = placed.word();
        let short = self.words.get(&axis.name).unwrap_or(&axis.name).clone();
        let label = (short, show(&word));
        let coordinate = Arc::new(Coordinate { axis: axis.name.clone(), value: word });
        let changes = match (target, &placed.value) {
            (Some(target), value) => {
                vec![self.change(target, value.clone(), placed.path.clone(), label, false)]
            }
            (None, Value::Object(map)) => {
                let mut changes = vec![];
                for (name, value) in map {
                    let path = |step| placed.path.iter().cloned().chain([step]).collect::<Vec<_>>();
                    match target::find(self.spec, name) {
                        Ok(target) => {
                            let at = path(Step::Key(name.clone()));
                            let label = label.clone();
                            changes.push(self.change(&target, value.clone(), at, label, false));
                        }
                        Err(problem) => {
                            self.wrong(&path(Step::Name(name.clone())), problem);
                            return None;
                        }
                    }
                }
                changes
            }
            (None, _) => vec![],
        };
        Some(Partial { coordinates: vec![coordinate], changes })
    }

    fn change(
        &mut self,
        target: &Target,
        value: Value,
        path: Vec<Step>,
        label: (String, String),
        is_seed: bool,
    ) -> Arc<Change> {
        let target = target.clone();
        let draft = Change { id: 0, target_id: 0, target, value, path, label, is_seed };
        self.known.change(draft, &mut self.changes)
    }

    /// The values of an axis at a point; `None` where the axis does not exist.
    fn values_at<'p>(
        &mut self,
        prepared: &'p Prepared,
        context: &Partial,
        point: &Partial,
    ) -> Option<&'p [Partial]> {
        match prepared {
            Prepared::List(list) => Some(list),
            Prepared::When { condition, values, path } => {
                let holds = self.holds(condition, &context.and(point));
                *self.matched.entry(path.clone()).or_default() += usize::from(holds);
                match holds {
                    true => self.values_at(values, context, point),
                    false => None,
                }
            }
            Prepared::By { axis, cases, path } => {
                let both = context.and(point);
                let value = self.value_of(&both, axis)?.clone();
                let is = |(case, _): &&(String, Prepared)| {
                    *case == show(&value) || same(&Value::from(case.as_str()), &value)
                };
                match cases.iter().find(is) {
                    Some((_, values)) => self.values_at(values, context, point),
                    None => {
                        let shown = show(&value);
                        let problem =
                            Problem::new(format!("`by: {axis}` has no case for `{shown}`"));
                        self.wrong(path, problem.help(format!("add `{shown}: [values there]`")));
                        None
                    }
                }
            }
        }
    }

    /// Keeps each point once; equal ones are merged, with a notice.
    pub(super) fn merge_equal(&mut self, sweep: &Sweep, points: Vec<Partial>) -> Vec<Partial> {
        let mut as_written: HashMap<u32, bool> = HashMap::new();
        let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut kept: Vec<Partial> = Vec::with_capacity(points.len());
        let mut merged: Vec<(String, String)> = vec![];
        for point in points {
            let changes = point.changes.iter().filter(|change| {
                !*as_written.entry(change.id).or_insert_with(|| {
                    let written = change.target.written(self.spec);
                    written.is_some_and(|value| normal(value) == normal(&change.value))
                })
            });
            let mut ids: Vec<u32> = changes.map(|change| change.id).collect();
            ids.sort_unstable();
            match known.get(&ids) {
                Some(first) => merged.push((name(&point), name(&kept[*first]))),
                None => {
                    known.insert(ids, kept.len());
                    kept.push(point);
                }
            }
        }
        if let Some((point, first)) = merged.first() {
            let sentence = format!(
                "{} of the sweep `{}` {} like others and merged: {point} is {first}",
                plural(merged.len(), "point"),
                sweep.name,
                if merged.len() == 1 { "is" } else { "are" }
            );
            self.notices.push((sweep.path.clone(), Problem::new(sentence)));
        }
        kept
    }

    /// The seeds of a sweep, each with what it changes.
    pub(super) fn seeds(&mut self, sweep: &Sweep, choice: &Choice) -> Option<Vec<Seeded>> {
        let seeds = sweep.seeds.as_ref()?;
        for name in &seeds.over {
            if !self.spec.vars.contains_key(name) {
                let problem =
                    Problem::new(format!("`seeds` replaces `vars.{name}`, which is not there"));
                let help = format!("add `vars: {{ {name}: 0 }}` and write ${name} in the nodes");
                self.wrong(&seeds.path, problem.help(help));
            }
        }
        let mut with = |seed: &u64| {
            let value = Value::from(*seed);
            let coordinate = Coordinate { axis: SEED.to_owned(), value: value.clone() };
            let changes = seeds.over.iter().map(|name| {
                let label = (name.clone(), seed.to_string());
                let target = Target::Var(name.clone());
                self.change(&target, value.clone(), seeds.path.clone(), label, true)
            });
            let changes = changes.collect();
            Partial { coordinates: vec![Arc::new(coordinate)], changes }
        };
        let all = choice.all_seeds(&seeds.values);
        let mut seeded: Vec<Seeded> = all.iter().map(|seed| (*seed, with(seed), None)).collect();
        // Seeds of some points alone, unless all have them anyway.
        let of_sweep = choice.extras.iter().filter(|extra| extra.sweep == sweep.name);
        let mut extras: BTreeMap<u64, Vec<BTreeMap<String, String>>> = BTreeMap::new();
        for extra in of_sweep.filter(|extra| !all.contains(&extra.seed)) {
            extras.entry(extra.seed).or_default().push(extra.at.clone());
        }
        seeded.extend(extras.into_iter().map(|(seed, at)| (seed, with(&seed), Some(at))));
        Some(seeded)
    }
}

/// A point of a one-at-a-time sweep: named by its word alone.
fn variant(word: String, changes: Vec<Arc<Change>>) -> Partial {
    let label = (String::new(), word.clone());
    let named = |change: Arc<Change>| {
        Arc::new(Change { label: label.clone(), ..Arc::unwrap_or_clone(change) })
    };
    let coordinate = Coordinate { axis: VARIANT.to_owned(), value: Value::from(word) };
    Partial {
        coordinates: vec![Arc::new(coordinate)],
        changes: changes.into_iter().map(named).collect(),
    }
}

/// The axes on which points differ.
fn varied(points: &[Partial]) -> HashSet<String> {
    let mut first: HashMap<&str, &Value> = HashMap::new();
    let mut varied = HashSet::new();
    for coordinate in points.iter().flat_map(|point| &point.coordinates) {
        let known = first.entry(&coordinate.axis).or_insert(&coordinate.value);
        if **known != coordinate.value {
            varied.insert(coordinate.axis.clone());
        }
    }
    varied
}

/// A point as a person would name it.
fn name(point: &Partial) -> String {
    let words: Vec<String> =
        point.coordinates.iter().map(|c| format!("{}={}", c.axis, show(&c.value))).collect();
    if words.is_empty() { "the baseline".to_owned() } else { words.join(",") }
}

/// Whether every value of an axis is a labelled map, so that its name may be its own.
fn is_bundle(axis: &Axis) -> bool {
    let bundle = |list: &&[Placed]| {
        list.iter().all(|placed| placed.label.is_some() && placed.value.is_object())
    };
    !axis.name.contains('.') && axis.values.lists().iter().all(bundle)
}

/// A labelled value that leaves a path as it is which its siblings set, for its author to know.
fn uneven(axis: &Axis) -> Option<(Vec<Step>, Problem)> {
    let keys = |placed: &Placed| -> BTreeSet<String> {
        placed.value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect()
    };
    let lists = axis.values.lists();
    let all: BTreeSet<String> = lists.iter().copied().flatten().flat_map(keys).collect();
    lists.iter().copied().flatten().find_map(|placed| {
        let left = all.difference(&keys(placed)).next().cloned()?;
        let (label, name) = (placed.label.as_deref().unwrap_or_default(), &axis.name);
        let sentence =
            format!("`{label}` leaves `{left}` as it is, which other values of `{name}` set");
        Some((placed.path.clone(), Problem::new(sentence)))
    })
}

/// Whether the points of an expression depend on what it is combined with.
fn depends(expression: &Expression) -> bool {
    let mut filters = vec![];
    collect_filters(expression, &mut filters);
    let lists = |axis: &&Axis| matches!(axis.values, Values::List(_));
    !filters.is_empty() || !expression.axes().iter().all(lists)
}

/// The names that a part depends on.
fn needs(part: &Part) -> Vec<&str> {
    fn of_values<'v>(values: &'v Values, into: &mut Vec<&'v str>) {
        match values {
            Values::List(_) => {}
            Values::By { axis, cases, .. } => {
                into.push(axis);
                cases.iter().for_each(|(_, values)| of_values(values, into));
            }
            Values::When { condition, values, .. } => {
                into.extend(condition.names(&|_| true));
                of_values(values, into);
            }
        }
    }
    let mut names = vec![];
    match part {
        Part::Axis(axis) => of_values(&axis.values, &mut names),
        Part::Points(inner) => {
            let mut filters = vec![];
            collect_filters(inner, &mut filters);
            names.extend(filters.iter().flat_map(|filter| filter.condition.names(&|_| true)));
            inner.axes().iter().for_each(|axis| of_values(&axis.values, &mut names));
        }
    }
    names
}
