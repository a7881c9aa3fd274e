//! Plan and slots → when it will be finished, and what it will cost. The same pure scheduler that a run
//! uses is run through with expected times. Pure.

use crate::cost::{self, Estimate};
use crate::demand::Demands;
use crate::dispatch::{self, Attempt};
use crate::graph::Graph;
use crate::key::Key;
use crate::plan::Plan;
use crate::rooms::{Demand, Room, Rooms};
use crate::schedule::{Schedule, State, Task};
use crate::settings::{Kind, Length, Settings};
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet};

/// What some nodes will cost on some slots.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    /// Seconds of devices by kind, of the nodes whose cost is known.
    pub by_kind: BTreeMap<Kind, Estimate>,
    /// Seconds of devices of all of them; `None` if no cost is known.
    pub total: Option<Estimate>,
    /// Nodes whose cost is unknown, by kind.
    pub unknown: BTreeMap<Kind, usize>,
    /// Seconds until all is finished: lower end, middle, upper end; `None` if a cost is unknown.
    pub finish: Option<[f64; 3]>,
    /// The longest path, first node first, with its seconds.
    pub path: (Vec<NodeIndex>, f64),
    /// Bytes that the nodes will leave, of the kinds that left any before.
    pub bytes: Option<f64>,
}

/// The devices that something is foretold for.
#[derive(Debug)]
pub struct Devices<'d> {
    /// What there is of each.
    pub rooms: &'d [Room],
    /// What nodes take of them.
    pub demands: &'d Demands,
    /// How many nodes run at once, at most.
    pub limit: usize,
}

/// Foretells the cost of these nodes on these devices.
pub fn make(
    graph: &Graph,
    plan: &Plan,
    wanted: &BTreeSet<NodeIndex>,
    devices: &Devices,
) -> Forecast {
    let mut forecast = Forecast::default();
    let mut of_kind: BTreeMap<Kind, Vec<Estimate>> = BTreeMap::new();
    for index in wanted {
        let kind = graph.nodes[*index].kind();
        match plan.estimate(*index) {
            Some(estimate) => of_kind.entry(kind).or_default().push(estimate),
            None => *forecast.unknown.entry(kind).or_default() += 1,
        }
        if let Some(bytes) = plan.bytes(*index) {
            *forecast.bytes.get_or_insert(0.0) += bytes;
        }
    }
    let all = of_kind.iter().flat_map(|(kind, list)| list.iter().map(|e| (*kind, *e)));
    forecast.total = (!of_kind.is_empty()).then(|| cost::sum(all));
    forecast.by_kind = of_kind
        .iter()
        .map(|(kind, list)| (*kind, cost::sum(list.iter().map(|e| (*kind, *e)))))
        .collect();
    forecast.path = longest_path(graph, plan, wanted);
    if let (Some(total), true) = (forecast.total, forecast.unknown.is_empty()) {
        let middle = run_through(graph, plan, wanted, devices, |_, _| true);
        let scale = |end: f64| middle * end / total.seconds.max(1e-9);
        forecast.finish = Some([scale(total.low), middle, scale(total.high)]);
    }
    forecast
}

/// The chain of wanted nodes that takes longest.
fn longest_path(graph: &Graph, plan: &Plan, wanted: &BTreeSet<NodeIndex>) -> (Vec<NodeIndex>, f64) {
    let seconds = plan.path_seconds(graph);
    let longest = |a: &NodeIndex, b: &NodeIndex| seconds[a.index()].total_cmp(&seconds[b.index()]);
    let starts = wanted.iter().copied().filter(|i| !graph.inputs(*i).any(|n| wanted.contains(&n)));
    let mut path: Vec<NodeIndex> = starts.max_by(longest).into_iter().collect();
    while let Some(last) = path.last() {
        let behind = graph.users(*last).filter(|user| wanted.contains(user)).max_by(longest);
        let Some(next) = behind else { break };
        path.push(next);
    }
    let total = path.first().map_or(0.0, |first| seconds[first.index()]);
    (path, total)
}

/// The nodes of these that would be finished within some seconds, and within some seconds of devices.
/// A budget is spent seed by seed, on whole points first, however many devices there are.
pub fn within(
    graph: &Graph,
    plan: &Plan,
    wanted: &BTreeSet<NodeIndex>,
    devices: &Devices,
    end: Option<f64>,
    budget: Option<f64>,
) -> BTreeSet<NodeIndex> {
    let paid = match budget {
        Some(budget) => affordable(graph, plan, wanted, budget),
        None => wanted.clone(),
    };
    let Some(end) = end else { return paid };
    let mut fits = BTreeSet::new();
    run_through(graph, plan, &paid, devices, |index, now| {
        let starts = now + plan.estimate(index).map_or(0.0, |e| e.seconds) <= end;
        if starts {
            fits.insert(index);
        }
        starts
    });
    fits
}

/// The nodes of these that a budget of device seconds pays for: first those that nothing reads, each with
/// all that it needs, seed 0 of everything before seed 1; then with what is left whatever else it pays for.
fn affordable(
    graph: &Graph,
    plan: &Plan,
    wanted: &BTreeSet<NodeIndex>,
    budget: f64,
) -> BTreeSet<NodeIndex> {
    let cost = |index: NodeIndex| plan.estimate(index).map_or(0.0, |e| e.seconds);
    let is_last = |index: &NodeIndex| !graph.users(*index).any(|user| wanted.contains(&user));
    let (mut last, mut inner): (Vec<NodeIndex>, Vec<NodeIndex>) =
        wanted.iter().copied().partition(is_last);
    for list in [&mut last, &mut inner] {
        list.sort_by_key(|index| graph.nodes[*index].seed);
    }
    let (mut left, mut paid) = (budget, BTreeSet::new());
    for index in last.into_iter().chain(inner) {
        let (mut needs, mut sum) = (BTreeSet::new(), 0.0);
        let mut trail = vec![index];
        while let Some(node) = trail.pop().filter(|_| sum <= left) {
            if wanted.contains(&node) && !paid.contains(&node) && needs.insert(node) {
                sum += cost(node);
                trail.extend(graph.inputs(node));
            }
        }
        if sum <= left {
            left -= sum;
            paid.append(&mut needs);
        }
    }
    paid
}

/// The time until nothing runs any more, if every node takes its seconds. A node that may not start at its time
/// is left, with all behind it.
fn run_through(
    graph: &Graph,
    plan: &Plan,
    wanted: &BTreeSet<NodeIndex>,
    devices: &Devices,
    mut may_start: impl FnMut(NodeIndex, f64) -> bool,
) -> f64 {
    let schedule = Schedule::new(tasks(graph, plan, wanted));
    let rooms = Rooms::new(devices.rooms.iter().copied());
    let demands: Vec<Demand> =
        graph.indices().map(|index| devices.demands.of(graph, index, None)).collect();
    let attempt = |task: usize, now: f64| {
        let index = NodeIndex::new(task);
        match may_start(index, now) {
            true => Attempt::Done(plan.estimate(index).map_or(0.0, |e| e.seconds)),
            false => Attempt::Left,
        }
    };
    dispatch::simulate(schedule, (rooms, devices.limit.max(1)), |task| demands[task], attempt)
}

/// The nodes of a graph as tasks, in the same order.
pub fn tasks(graph: &Graph, plan: &Plan, wanted: &BTreeSet<NodeIndex>) -> Vec<Task> {
    let mut sharing: BTreeMap<Key, u32> = BTreeMap::new();
    for index in graph.indices() {
        if let Some(key) = graph.nodes[index].trajectory {
            *sharing.entry(key).or_default() += 1;
        }
    }
    let groups: BTreeMap<Key, usize> =
        sharing.iter().filter(|(_, n)| **n > 1).zip(0..).map(|((key, _), i)| (*key, i)).collect();
    let paths = plan.path_seconds(graph);
    let task = |index: NodeIndex| {
        let node = &graph.nodes[index];
        let group = node.trajectory.and_then(|key| groups.get(&key).copied());
        Task {
            inputs: graph.inputs(index).map(NodeIndex::index).collect(),
            path_seconds: paths[index.index()],
            seed: node.seed,
            class: node.kind() as u8,
            group: group.map(|group| (group, length(&node.settings))),
            state: match plan.reason(index).runs() {
                true if wanted.contains(&index) => State::Waiting,
                true => State::Left,
                false => State::Done,
            },
        }
    };
    graph.indices().map(task).collect()
}

fn length(settings: &Settings) -> u64 {
    match settings {
        Settings::Train(train) => match train.length() {
            Length::Steps(n) | Length::Epochs(n) => n,
        },
        _ => 0,
    }
}
