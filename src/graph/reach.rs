//! Which changes reach which declarations, before any settings are read: the declarations that each may
//! read from, the targets that matter for it, and an order in which inputs come first.

use super::inputs;
use crate::expand::{self, Change, Points, Target};
use crate::problem::Problem;
use crate::settings::{
    Best, Found, Kind, Needs, Over, Reader, Reference, Setting, Step, role_word, variable,
};
use crate::spec::{Declaration, Spec};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The roles in which a node names what it reads, and where each stands among its settings.
const ROLES: [(&str, &[&str]); 8] = [
    ("data", &["data"]),
    ("init", &["init", "from"]),
    ("from", &["from"]),
    ("conditions", &["conditions", "from"]),
    ("samples", &["samples"]),
    ("reference", &["reference"]),
    ("classifier", &["measure", "features", "classifier"]),
    ("classifier", &["measure", "accuracy", "classifier"]),
];

/// One way in which a declaration may read from another.
#[derive(Debug)]
pub(super) struct Edge {
    /// The field.
    pub(super) role: &'static str,
    /// What stands there.
    pub(super) reference: Reference,
    /// The declaration that is read.
    pub(super) input: usize,
    /// The changes that `at` makes.
    pub(super) pins: Vec<Arc<Change>>,
    /// For each target whether `over` collects it.
    pub(super) collects: Option<Vec<bool>>,
    /// What chooses among the nodes that are read.
    pub(super) best: Option<Contest>,
}

/// A choice among the nodes of a declaration.
#[derive(Debug)]
pub(super) struct Contest {
    /// The declaration whose metric decides.
    pub(super) by: usize,
    /// The metric.
    pub(super) metric: String,
    /// For each target whether its values compete.
    pub(super) over: Vec<bool>,
}

/// What reaches what.
#[derive(Debug)]
pub(super) struct Reach {
    /// For each declaration and target whether it changes the declaration's own settings.
    pub(super) own: Vec<Vec<bool>>,
    /// For each declaration and target whether it changes the declaration or anything it reads.
    pub(super) all: Vec<Vec<bool>>,
    /// The ways in which each declaration reads from others.
    pub(super) edges: Vec<Vec<Edge>>,
    /// For each declaration, those it may read from or be chosen by, directly or not, itself included.
    pub(super) upstream: Vec<BTreeSet<usize>>,
    /// The declarations, inputs first.
    pub(super) order: Vec<usize>,
    /// What is wrong with the `at` and `over` of a reference, by declaration and role.
    pub(super) wrong: Vec<(usize, &'static str, Step, Problem)>,
    /// For each declaration whether it, or anything it reads, differs from sweep to sweep: what is
    /// collected, and what is chosen.
    pub(super) of_sweep: Vec<bool>,
}

impl Reach {
    /// Finds out what reaches what.
    ///
    /// # Errors
    /// If declarations read from each other in a circle.
    pub(super) fn of(spec: &Spec, points: &mut Points) -> Result<Self, Box<(usize, Problem)>> {
        let mut wrong = vec![];
        let mut edges: Vec<Vec<Edge>> = vec![];
        for (index, node) in spec.nodes.iter().enumerate() {
            edges.push(edges_of(spec, points, (index, node), &mut wrong));
        }
        let order = in_order(spec, &edges)?;
        let targets = points.targets();
        let own: Vec<Vec<bool>> = spec
            .nodes
            .iter()
            .map(|node| targets.iter().map(|target| reaches(target, node, points)).collect())
            .collect();
        let mut all: Vec<Vec<bool>> = own.clone();
        let mut upstream: Vec<BTreeSet<usize>> =
            (0..spec.nodes.len()).map(|index| BTreeSet::from([index])).collect();
        let mut of_sweep = vec![false; spec.nodes.len()];
        for &index in &order {
            for edge in &edges[index] {
                let own = edge.collects.is_some() || edge.best.is_some();
                of_sweep[index] |= own || of_sweep[edge.input];
                for target in 0..targets.len() {
                    let pinned = edge.pins.iter().any(|pin| pin.target_id as usize == target);
                    let collected = edge.collects.as_ref().is_some_and(|over| over[target]);
                    let through = all[edge.input][target] && !pinned && !collected;
                    all[index][target] |= through;
                }
                for input in edge.inputs() {
                    let more = upstream[input].clone();
                    upstream[index].extend(more);
                }
            }
        }
        for (index, edges) in edges.iter_mut().enumerate() {
            for edge in edges {
                let Some(contest) = &mut edge.best else { continue };
                if contest.over.is_empty() {
                    contest.over.clone_from(&all[edge.input]);
                }
                if !upstream[contest.by].contains(&edge.input) {
                    let [by, node] = [contest.by, edge.input].map(|i| &spec.nodes[i].name);
                    let problem = Problem::new(format!(
                        "`{by}` does not read from `{node}`, so it cannot choose among its nodes"
                    ));
                    let help = format!("take a metric of `{node}`, or of what is made of it");
                    wrong.push((index, edge.role, step("best"), problem.help(help)));
                }
            }
        }
        for (index, edges) in edges.iter().enumerate() {
            for edge in edges {
                for pin in &edge.pins {
                    if !all[edge.input][pin.target_id as usize] {
                        let (name, node) = (&pin.label.0, &spec.nodes[edge.input].name);
                        let problem = Problem::new(format!(
                            "`at` pins `{name}`, which nothing of `{node}` reads"
                        ));
                        wrong.push((index, edge.role, step("at"), problem));
                    }
                }
            }
        }
        Ok(Self { own, all, edges, upstream, order, wrong, of_sweep })
    }
}

impl Reach {
    /// Whether anything is chosen.
    pub(super) fn selects(&self) -> bool {
        self.edges.iter().flatten().any(|edge| edge.best.is_some())
    }
}

impl Edge {
    /// The declarations that must be known before this reads anything.
    fn inputs(&self) -> impl Iterator<Item = usize> {
        [self.input].into_iter().chain(self.best.as_ref().map(|contest| contest.by))
    }
}

fn step(key: &str) -> Step {
    Step::Key(key.to_owned())
}

/// Whether changing a target changes a declaration: itself, or a value that another change puts there.
fn reaches(target: &Target, node: &Declaration, points: &Points) -> bool {
    let put_there = |var: &str| {
        points.changes.iter().any(|change| {
            matches!(change.target, Target::Setting(..))
                && change.target.reaches(node)
                && expand::mentions(&change.value, var)
        })
    };
    target.reaches(node) || matches!(target, Target::Var(var) if put_there(var))
}

/// Every way in which a declaration may read from others, at whatever point.
fn edges_of(
    spec: &Spec,
    points: &mut Points,
    (index, node): (usize, &Declaration),
    wrong: &mut Vec<(usize, &'static str, Step, Problem)>,
) -> Vec<Edge> {
    let mut edges: Vec<Edge> = vec![];
    for (role, path) in roles(spec, points, node) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        for reference in references(spec, points, node, (role, &path)) {
            let Some(input) = spec.nodes.iter().position(|other| other.name == reference.node)
            else {
                continue;
            };
            // What is of the wrong kind is told when the node is read.
            if inputs::port((node.kind, role), &reference, spec.nodes[input].kind).is_err()
                || edges.iter().any(|edge| edge.role == role && edge.reference == reference)
            {
                continue;
            }
            let mut note = |step: Step, problem| wrong.push((index, role, step, problem));
            let mut pins = vec![];
            for (name, value) in &reference.at {
                match expand::target_of(spec, name) {
                    Ok(target) => pins.push(points.change(target, value.clone(), vec![])),
                    Err(problem) => note(step("at"), problem),
                }
            }
            edges.push(Edge { role, input, pins, collects: None, best: None, reference });
        }
    }
    // Targets are counted once all pins have theirs.
    for edge in &mut edges {
        if let Some(best) = &edge.reference.best {
            match contest(spec, points, best) {
                Ok(contest) => edge.best = Some(contest),
                Err(problem) => wrong.push((index, edge.role, step("best"), problem)),
            }
        }
        let Some(over) = &edge.reference.over else { continue };
        let mut collects = vec![matches!(over, Over::All); points.targets().len()];
        if let Over::Axes(axes) = over {
            for axis in axes {
                match expand::targets_of(spec, axis) {
                    Ok(targets) => {
                        for (i, target) in points.targets().iter().enumerate() {
                            collects[i] |= targets.contains(target);
                        }
                    }
                    Err(problem) => {
                        wrong.push((index, edge.role, step("over"), problem));
                    }
                }
            }
        }
        edge.collects = Some(collects);
    }
    edges
}

/// The contest of a `best`; without axes of its own those follow.
fn contest(spec: &Spec, points: &Points, best: &Best) -> Result<Contest, Problem> {
    let split = spec.split_path(&best.by).filter(|(_, metric)| !metric.is_empty());
    let Some((node, metric)) = split else {
        let problem = Problem::new(format!("`by: {}` is no metric", best.by));
        return Err(problem.help("write node.metric, for example score.power_spectrum.error"));
    };
    let by = spec.nodes.iter().position(|other| other.name == node.name);
    let mut over = vec![];
    for axis in best.over.iter().flatten() {
        let targets = expand::targets_of(spec, axis)?;
        over.resize(points.targets().len(), false);
        for (i, target) in points.targets().iter().enumerate() {
            over[i] |= targets.contains(target);
        }
    }
    Ok(Contest { by: by.expect("the path led to it"), metric: metric.to_owned(), over })
}

/// The roles in which a declaration may name what it reads, and where each stands among its settings. Those of a
/// command are its user's; in a list of nodes all stand in one place.
fn roles(spec: &Spec, points: &Points, node: &Declaration) -> Vec<(&'static str, Vec<String>)> {
    let owned = |path: &[&str]| path.iter().map(|word| (*word).to_owned()).collect();
    if node.kind != Kind::Command {
        return ROLES.iter().map(|(role, path)| (*role, owned(path))).collect();
    }
    let mut roles = vec![];
    for needs in values(spec, points, node, &["needs"]) {
        let read = Needs::read(&Found::root(needs), &mut Reader::default());
        let named = read.iter().flat_map(|needs| &needs.0).map(|(role, _)| *role);
        let path =
            |role| if needs.is_array() { owned(&["needs"]) } else { owned(&["needs", role]) };
        roles.extend(named.map(|role| (role, path(role))));
    }
    for change in &points.changes {
        let Target::Setting(name, at) = &change.target else { continue };
        let is_here = *name == node.name || *name == node.written;
        if let ([first, role], true) = (at.as_slice(), is_here && at[0] == "needs") {
            roles.push((role_word(role), owned(&[first, role])));
        }
    }
    roles.sort();
    roles.dedup();
    roles
}

/// What may be read in a role, at whatever point.
fn references(
    spec: &Spec,
    points: &Points,
    node: &Declaration,
    (role, path): (&str, &[&str]),
) -> Vec<Reference> {
    let mut found = vec![];
    for value in values(spec, points, node, path) {
        let listed = value.as_array().map(Vec::as_slice);
        let each = listed.unwrap_or(std::slice::from_ref(value)).iter();
        let read =
            each.filter_map(|value| Reference::read(&Found::root(value), &mut Reader::default()));
        // Of a list of nodes each plays the role of its name.
        for read in read.filter(|read| listed.is_none() || read.node == role) {
            if !found.contains(&read) {
                found.push(read);
            }
        }
    }
    found
}

/// What may stand at a path of a declaration: as written, or put there, or above, by a variable or an axis.
fn values<'v>(
    spec: &'v Spec,
    points: &'v Points,
    node: &'v Declaration,
    path: &[&str],
) -> Vec<&'v Value> {
    let mut found: Vec<&Value> = vec![];
    // Values that may stand somewhere on the path, with the words below them; what stands for a variable
    // holds none.
    let mut open: Vec<(&Value, &[&str], bool)> = vec![(&node.body, path, false)];
    for change in &points.changes {
        let Target::Setting(name, at) = &change.target else { continue };
        let is_above = at.len() <= path.len() && at.iter().zip(path).all(|(a, b)| a == b);
        if (*name == node.name || *name == node.written) && is_above {
            open.push((&change.value, &path[at.len()..], false));
        }
    }
    while let Some((value, below, filled)) = open.pop() {
        let var = value.as_str().and_then(variable).filter(|_| !filled);
        if let Some(var) = var {
            let is_var = |target: &Target| matches!(target, Target::Var(name) if name == var);
            let swept = points.changes.iter().filter(|change| is_var(&change.target));
            let all = spec.vars.get(var).into_iter().chain(swept.map(|change| &change.value));
            open.extend(all.map(|value| (value, below, true)));
        } else if let [first, rest @ ..] = below {
            open.extend(value.get(first).map(|inner| (inner, rest, filled)));
        } else if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

/// The declarations so that inputs come first.
fn in_order(spec: &Spec, edges: &[Vec<Edge>]) -> Result<Vec<usize>, Box<(usize, Problem)>> {
    let mut order = vec![];
    // 0 not seen, 1 being looked at, 2 in order.
    let mut state = vec![0_u8; edges.len()];
    for start in 0..edges.len() {
        let mut trail: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((index, next)) = trail.pop() {
            if state[index] == 2 {
                continue;
            }
            state[index] = 1;
            let Some(input) = edges[index].iter().flat_map(Edge::inputs).nth(next) else {
                state[index] = 2;
                order.push(index);
                continue;
            };
            trail.push((index, next + 1));
            match state[input] {
                0 => trail.push((input, 0)),
                1 => return Err(Box::new(circle(spec, &trail, input))),
                _ => {}
            }
        }
    }
    Ok(order)
}

fn circle(spec: &Spec, trail: &[(usize, usize)], back_to: usize) -> (usize, Problem) {
    let start = trail.iter().position(|(index, _)| *index == back_to).unwrap_or(0);
    let names: Vec<&str> = trail[start..]
        .iter()
        .map(|(index, _)| *index)
        .chain([back_to])
        .map(|index| spec.nodes[index].name.as_str())
        .collect();
    let sentence = format!("the nodes read from each other in a circle: {}", names.join(" → "));
    (back_to, Problem::new(sentence).help("break the circle"))
}
