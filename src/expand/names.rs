//! What the conditions and names of a sweep mean at a point, and what of them is refused: names that
//! nothing has, filters that match nothing, axes that set one path.

use super::combine::{Expander, Partial};
use super::target::{self, Target};
use super::{Change, Choice, Point, VARIANT, show};
use crate::condition::{Condition, same};
use crate::problem::{Problem, Problems};
use crate::settings::Step;
use crate::spec::{Expression, Filter, Operator, Part, SEED, Sweep, Values};
use crate::words;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Expander<'_, '_> {
    /// The value of an axis, variable or path at a point.
    pub(super) fn value_of<'p>(&'p self, point: &'p Partial, name: &str) -> Option<&'p Value> {
        if let Some(coordinate) = point.coordinates.iter().rev().find(|c| c.axis == name) {
            return Some(&coordinate.value);
        }
        let var;
        let (target, default) = match self.paths.get(name) {
            Some(path) => path.as_ref().map(|(target, default)| (target, default.as_ref()))?,
            None => {
                var = Target::Var(name.to_owned());
                (&var, None)
            }
        };
        let changed = point.changes.iter().rev().find(|change| change.target == *target);
        match (changed, target) {
            (Some(change), _) => Some(&change.value),
            (None, Target::Var(name)) => self.spec.vars.get(name),
            // What fills it in may be another at this point.
            (None, target) => match target.variable(self.spec) {
                Some(var) => self.value_of(point, var),
                None => target.written(self.spec).or(default),
            },
        }
    }

    pub(super) fn holds(&self, condition: &Condition, point: &Partial) -> bool {
        condition.holds(&|name| self.value_of(point, name))
    }

    /// For each point whether a filter keeps it; counts what it matches.
    pub(super) fn matches(&mut self, filter: &Filter, points: &[Partial]) -> Vec<bool> {
        let holds: Vec<bool> =
            points.iter().map(|point| self.holds(&filter.condition, point)).collect();
        let count = holds.iter().filter(|holds| **holds).count();
        *self.matched.entry(filter.path.clone()).or_default() += count;
        holds.into_iter().map(|holds| holds != filter.excludes).collect()
    }

    /// The points that a filter keeps.
    pub(super) fn filter<P: AsPartial>(&mut self, filter: &Filter, points: Vec<P>) -> Vec<P> {
        let partials: Vec<Partial> = points.iter().map(AsPartial::partial).collect();
        let kept = self.matches(filter, &partials);
        points.into_iter().zip(kept).filter(|(_, keep)| *keep).map(|(point, _)| point).collect()
    }

    /// Refuses filters of a sweep that match nothing, and axes that exist nowhere.
    pub(super) fn refuse_unmatched(&mut self, sweep: &Sweep) {
        let mut filters = vec![];
        collect_filters(&sweep.points, &mut filters);
        for filter in filters {
            // After another mistake nobody knows what would match.
            if self.reader.is_clean() && self.matched.get(&filter.path) == Some(&0) {
                let word = if filter.excludes { "exclude" } else { "where" };
                let problem =
                    Problem::new(format!("this `{word}` matches no point: {}", filter.text));
                let help = match filter.excludes {
                    true => "remove it, or mend its names and values",
                    false => "mend its names and values; nothing would be left",
                };
                self.wrong(&filter.path, problem.help(help));
            }
        }
        for axis in sweep.axes() {
            let Values::When { path, .. } = &axis.values else { continue };
            if self.matched.get(path) == Some(&0) {
                let problem = Problem::new(format!(
                    "this `when` holds at no point, so the axis `{}` is nowhere",
                    axis.name
                ));
                self.wrong(path, problem.help("mend its names and values, or remove the axis"));
            }
        }
    }

    /// Whether a filter can only be applied once there are seeds.
    pub(super) fn names_seed(&self, sweep: &Sweep, filter: &Filter) -> bool {
        let over = sweep.seeds.as_ref().map_or(&[][..], |seeds| &seeds.over);
        let known = |name: &str| name == SEED || over.iter().any(|var| var == name);
        sweep.seeds.is_some() && filter.condition.names(&known).into_iter().any(known)
    }

    /// Checks that conditions and `by` name axes, variables or paths that exist.
    pub(super) fn check_names(&mut self, sweep: &Sweep) {
        let mut axes: HashMap<&str, HashSet<String>> = HashMap::new();
        for axis in sweep.axes() {
            let words = axis.values.lists().into_iter().flatten().map(|p| show(&p.word()));
            axes.entry(&axis.name).or_default().extend(words);
        }
        let mut filters = vec![];
        collect_filters(&sweep.points, &mut filters);
        for filter in filters {
            self.check_condition(&filter.condition, &filter.path, &axes);
        }
        for axis in sweep.axes() {
            self.check_values(&axis.values, &axes);
        }
    }

    fn check_values(&mut self, values: &Values, axes: &HashMap<&str, HashSet<String>>) {
        match values {
            Values::List(_) => {}
            Values::When { condition, values, path } => {
                self.check_condition(condition, path, axes);
                self.check_values(values, axes);
            }
            Values::By { axis, cases, path } => {
                if !self.is_known(axis, axes) {
                    return self.unknown_name(axis, path, axes);
                }
                let is_axis = axes.contains_key(axis.as_str());
                if !is_axis && self.value_of(&Partial::default(), axis).is_none() {
                    let problem = Problem::new(format!("`{axis}` has no value in this spec"));
                    return self.wrong(path, problem.help("name an axis of this sweep"));
                }
                let mut taken = axes.get(axis.as_str()).cloned().unwrap_or_default();
                taken.extend(self.spec.vars.get(axis).map(show));
                let takes = |case: &str| {
                    let case = Value::from(case);
                    taken.iter().any(|word| same(&Value::from(word.as_str()), &case))
                };
                for (case, values) in cases {
                    if is_axis && !takes(case) {
                        let mut at = path.clone();
                        at.pop();
                        at.push(Step::Name(case.clone()));
                        let words: Vec<&str> = taken.iter().map(String::as_str).collect();
                        let problem = Problem::new(format!(
                            "the axis `{axis}` never takes the value `{case}`"
                        ));
                        let help = match words::nearest(case, words) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "remove the case".to_owned(),
                        };
                        self.wrong(&at, problem.help(help));
                    }
                    self.check_values(values, axes);
                }
            }
        }
    }

    fn check_condition(
        &mut self,
        condition: &Condition,
        path: &[Step],
        axes: &HashMap<&str, HashSet<String>>,
    ) {
        let is_name = |word: &str| axes.contains_key(word) || self.spec.vars.contains_key(word);
        let names: Vec<String> = condition.names(&is_name).into_iter().map(str::to_owned).collect();
        for name in names {
            if !self.is_known(&name, axes) {
                self.unknown_name(&name, path, axes);
            }
        }
        for (name, value) in condition.equalities() {
            if let Some(problem) = self.never_taken(name, &value, axes) {
                self.wrong(path, problem);
            }
        }
    }

    /// Says so if an axis that takes words never takes this one.
    fn never_taken(
        &self,
        name: &str,
        value: &Value,
        axes: &HashMap<&str, HashSet<String>>,
    ) -> Option<Problem> {
        let mut taken: Vec<String> = axes.get(name)?.iter().cloned().collect();
        taken.extend(self.spec.vars.get(name).map(show));
        // An axis that is known by name alone, or set elsewhere too, may take anything.
        let is = |word: &String| same(&Value::from(word.as_str()), value);
        if axes[name].is_empty() || taken.iter().any(is) || name.contains('.') {
            return None;
        }
        taken.sort();
        taken.dedup();
        let shown = show(value);
        let problem = Problem::new(format!("the axis `{name}` never takes the value `{shown}`"));
        Some(match words::nearest(&shown, taken.iter().map(String::as_str)) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("it takes {}", words::alternatives(&taken))),
        })
    }

    fn is_known(&mut self, name: &str, axes: &HashMap<&str, HashSet<String>>) -> bool {
        let is_axis = axes.contains_key(name) || name == SEED || name == VARIANT;
        if is_axis && self.spec.vars.contains_key(name) {
            return true;
        }
        // A path may be an axis at one point and a change of a variation at another.
        let found = target::find(self.spec, name).ok();
        let known = found.is_some();
        let with_default = |target: Target| {
            let default = target.default(self.spec);
            (target, default)
        };
        self.paths.insert(name.to_owned(), found.map(with_default));
        known || is_axis
    }

    fn unknown_name(&mut self, name: &str, path: &[Step], axes: &HashMap<&str, HashSet<String>>) {
        let known: Vec<&str> =
            axes.keys().copied().chain(self.spec.vars.keys().map(String::as_str)).collect();
        let problem =
            Problem::new(format!("`{name}` is neither an axis here, nor a variable, nor a path"));
        let help = match words::nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name an axis of this sweep, a variable, or node.setting".to_owned(),
        };
        self.wrong(path, problem.help(help));
    }

    /// Tells of a baseline that names what no point sets: the points stay as the spec is written there, and the
    /// baseline is none of them.
    pub(super) fn tell_strange_baseline(
        &mut self,
        sweep: &Sweep,
        baseline: Option<&Vec<Arc<Change>>>,
        points: &[Point],
    ) {
        let is_set = |change: &Change| {
            points.iter().any(|p| p.changes.iter().any(|c| c.target_id == change.target_id))
        };
        let strange = baseline.into_iter().flatten().find(|change| !is_set(change));
        let Some(change) = strange.filter(|_| !points.is_empty()) else { return };
        let (axis, name) = (&change.label.0, &sweep.name);
        let sentence = format!(
            "the baseline of `{name}` names `{axis}`, which is no axis of its points: none of them is the baseline"
        );
        let help = format!("make `{axis}` an axis, or change it where the spec is written");
        self.notices.push((change.path.clone(), Problem::new(sentence).help(help)));
    }

    /// Refuses points in which two axes set the same, or one hides what another fills in.
    pub(super) fn refuse_conflicts(&mut self, sweep: &Sweep, points: &[Point]) {
        for point in points {
            let axes = || point.coordinates.iter().map(|coordinate| &coordinate.axis);
            if let Some((_, axis)) =
                axes().enumerate().find(|(i, a)| axes().take(*i).any(|b| b == *a))
            {
                let help = match axis.as_str() {
                    VARIANT => "make two sweeps, or one `one_at_a_time` of both",
                    _ => "let one axis have it",
                };
                let problem = Problem::new(format!("two axes of a point are called `{axis}`"));
                self.wrong(&sweep.path, problem.help(help));
            }
            // A conflict is one of targets; only where a value may hold variables, it is one of that value.
            let own = |change: &Change| {
                let plain = !matches!(change.value, Value::Object(_) | Value::Array(_));
                (change.target_id, (!plain).then_some(change.id))
            };
            let ids: Vec<_> = point.changes.iter().map(|change| own(change)).collect();
            if self.checked.contains(&ids) {
                continue;
            }
            for (i, second) in point.changes.iter().enumerate() {
                for first in &point.changes[..i] {
                    self.refuse_conflict(first, second);
                }
            }
            self.checked.insert(ids);
        }
    }

    fn refuse_conflict(&mut self, first: &Change, second: &Change) {
        let line = |change: &Change| match self.spec.merged.place(&change.path) {
            Some(place) => format!("line {}", place.line),
            None => "elsewhere".to_owned(),
        };
        let name = |change: &Change| match &change.target {
            Target::Var(name) => name.clone(),
            Target::Setting(node, path) => format!("{node}.{}", path.join(".")),
        };
        if first.target_id == second.target_id {
            let sentence = format!("two axes set `{}`, the other at {}", name(second), line(first));
            let problem = Problem::new(sentence).help("let one axis have it");
            return self.wrong(&second.path, problem);
        }
        for (setting, var) in [(first, second), (second, first)] {
            if let Target::Var(hidden) = &var.target
                && setting.target.hides(hidden, self.spec)
                && !super::mentions(&setting.value, hidden)
            {
                let (setting_name, at) = (name(setting), line(var));
                let sentence =
                    format!("two axes set `{setting_name}`: here, and through ${hidden} ({at})");
                let problem = Problem::new(sentence).help("let one axis have it");
                self.wrong(&setting.path, problem);
            }
        }
    }

    /// Which points a choice from the command line means; `None` if it means all.
    pub(super) fn chosen(
        &mut self,
        choice: &Choice,
        points: &[Point],
        problems: &mut Problems,
    ) -> Option<Vec<bool>> {
        if choice.seeds.is_none() && choice.condition.is_none() {
            return None;
        }
        if let Some((condition, _)) = &choice.condition {
            self.check_choice(condition, problems)?;
        }
        let is_chosen = |point: &Point| {
            let seeds = choice.seeds.as_ref();
            let seed = seeds.is_none_or(|seeds| point.seed.is_some_and(|s| seeds.contains(&s)));
            let condition = choice.condition.as_ref();
            seed && condition.is_none_or(|(c, _)| self.holds(c, &point.partial()))
        };
        let chosen: Vec<bool> = points.iter().map(is_chosen).collect();
        if let Some((_, text)) = choice.condition.as_ref().filter(|_| !chosen.contains(&true)) {
            let problem = Problem::new(format!("`--where {text}` matches no point"));
            problems
                .0
                .push(problem.help("`ablate plan SPEC --all` lists the nodes with their axes"));
        }
        Some(chosen)
    }

    /// Checks that a condition from the command line names what some sweep has.
    fn check_choice(&mut self, condition: &Condition, problems: &mut Problems) -> Option<()> {
        let spec = self.spec;
        let mut axes: HashMap<&str, HashSet<String>> = HashMap::new();
        for axis in spec.sweeps.iter().flat_map(Sweep::axes) {
            let words = axis.values.lists().into_iter().flatten().map(|p| show(&p.word()));
            axes.entry(&axis.name).or_default().extend(words);
        }
        for (name, value) in condition.equalities() {
            if let Some(problem) = self.never_taken(name, &value, &axes) {
                let sentence = format!("`--where`: {}", problem.sentence);
                problems.0.push(Problem { sentence, ..problem });
                return None;
            }
        }
        let is_name = |word: &str| axes.contains_key(word) || spec.vars.contains_key(word);
        for name in condition.names(&is_name) {
            if !self.is_known(name, &axes) {
                let mut known: Vec<&str> =
                    axes.keys().copied().chain(spec.vars.keys().map(String::as_str)).collect();
                known.sort_unstable();
                known.dedup();
                let problem = Problem::new(format!("`--where`: there is no axis `{name}`"));
                problems.0.push(match words::nearest(name, known.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("the axes are {}", words::alternatives(&known))),
                });
                return None;
            }
        }
        Some(())
    }
}

/// Something with coordinates and changes.
pub(super) trait AsPartial {
    /// They alone.
    fn partial(&self) -> Partial;
}

impl AsPartial for Partial {
    fn partial(&self) -> Partial {
        self.clone()
    }
}

impl AsPartial for Point {
    fn partial(&self) -> Partial {
        Partial { coordinates: self.coordinates.clone(), changes: self.changes.clone() }
    }
}

/// The filters of an expression, at every depth.
pub(super) fn collect_filters<'e>(expression: &'e Expression, into: &mut Vec<&'e Filter>) {
    into.extend(&expression.filters);
    match &expression.operator {
        Operator::Product(parts) | Operator::Zip(parts) => {
            for part in parts {
                if let Part::Points(inner) = part {
                    collect_filters(inner, into);
                }
            }
        }
        Operator::OneAtATime(variations) => {
            variations.iter().for_each(|variation| collect_filters(&variation.changes, into));
        }
        Operator::Union(parts) => parts.iter().for_each(|part| collect_filters(part, into)),
        Operator::Points(_) => {}
    }
}
