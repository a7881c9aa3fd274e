//! The making of a [`Graph`]: points are reduced to the changes that matter for each declaration, each
//! such set is read as settings once, on all cores, and equal keys become one node.

use super::choose::Contests;
use super::make::Instance;
use super::reach::Reach;
use super::{Asked, Graph};
use crate::expand::{Change, Point, Points};
use crate::external::External;
use crate::problem::Problem;
use crate::settings::{Found, Reader, Step};
use crate::spec::Spec;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

/// Builds the graph of these points; what is wrong lands in `reader`.
pub(super) fn build(spec: &Spec, mut points: Points, asked: &Asked, reader: &mut Reader) -> Graph {
    let reach = match Reach::of(spec, &mut points) {
        Ok(reach) => reach,
        Err(circle) => {
            let (index, problem) = *circle;
            let path = spec.nodes[index].path.clone();
            reader.wrong::<()>(&Found { value: &Value::Null, path }, problem);
            return Graph::default();
        }
    };
    let mut builder = Builder {
        spec,
        tables: spec.nodes.iter().map(|_| Table::default()).collect(),
        made: spec.nodes.iter().map(|_| vec![]).collect(),
        reach,
        external: Mutex::new(None),
        notices: vec![],
        contests: Contests::default(),
    };
    let at = builder.request_points(&points);
    let plain = builder.request_plain(&points, &at);
    // What no sweep needs is read all the same, so that its mistakes are told.
    for index in 0..spec.nodes.len() {
        builder.request(index, &[], 0, 0);
    }
    builder.request_inputs();
    let collected = builder.collected(&points, &at);
    let order = builder.reach.order.clone();
    for index in order {
        builder.make(index, &collected, reader);
        if builder.reach.selects() {
            builder.choose(index, (&points, &at, &collected), asked, reader);
        }
    }
    if !reader.is_clean() {
        return Graph::default();
    }
    points.notices.append(&mut builder.notices);
    builder.publish(points, &at, &plain)
}

/// The slot of each declaration at a point; `NOT` where it is not wanted.
pub(super) type Slots = Box<[u32]>;

/// No slot.
pub(super) const NOT: u32 = u32::MAX;

/// The distinct sets of changes of one declaration.
#[derive(Debug, Default)]
pub(super) struct Table {
    index: HashMap<Box<[u32]>, u32>,
    pub(super) slots: Vec<Slot>,
}

/// A declaration with the changes that matter for it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) changes: Box<[Arc<Change>]>,
    /// The seed of the point that first asked for it.
    pub(super) seed: u64,
    /// The sweep it belongs to, where that matters.
    sweep: u32,
    /// The slots that its edges lead to, in their order.
    pub(super) inputs: Box<[u32]>,
}

/// The slots that a slot collects, by declaration, slot and edge.
pub(super) type Collected = HashMap<(usize, u32, usize), Vec<u32>>;

/// A graph in the making.
pub(super) struct Builder<'s> {
    pub(super) spec: &'s Spec,
    pub(super) reach: Reach,
    /// By declaration.
    pub(super) tables: Vec<Table>,
    /// By declaration and slot; `None` where something is wrong.
    pub(super) made: Vec<Vec<Option<Instance>>>,
    /// Made when the first external file is met.
    pub(super) external: Mutex<Option<External>>,
    /// What the author of the spec should know of settings, with its place.
    pub(super) notices: Vec<(Vec<Step>, Problem)>,
    /// What is chosen, and what therefore is not there.
    pub(super) contests: Contests,
}

impl Builder<'_> {
    /// The slot for a declaration under some changes. What collects or chooses belongs to one sweep.
    fn request(&mut self, index: usize, changes: &[Arc<Change>], seed: u64, sweep: u32) -> u32 {
        let matters = &self.reach.all[index];
        let mut id: Vec<u32> =
            changes.iter().filter(|c| matters[c.target_id as usize]).map(|c| c.id).collect();
        id.sort_unstable();
        if self.reach.of_sweep[index] {
            id.push(u32::MAX - sweep);
        }
        let table = &mut self.tables[index];
        if let Some(known) = table.index.get(id.as_slice()) {
            return *known;
        }
        let slot = table.slots.len() as u32;
        let changes = changes.iter().filter(|c| matters[c.target_id as usize]).cloned().collect();
        table.slots.push(Slot { changes, seed, sweep, inputs: Box::default() });
        table.index.insert(id.into_boxed_slice(), slot);
        slot
    }

    /// The slots of every point.
    fn request_points(&mut self, points: &Points) -> Vec<Slots> {
        let mut wanted: HashMap<Arc<str>, (u32, Vec<usize>)> = HashMap::new();
        for point in &points.all {
            if !wanted.contains_key(&point.sweep) {
                let sweep = (wanted.len() as u32, self.wanted(&point.sweep, points));
                wanted.insert(point.sweep.clone(), sweep);
            }
        }
        let slots = |point: &Point| {
            let (sweep, wanted) = &wanted[&point.sweep];
            let mut slots = vec![NOT; self.spec.nodes.len()].into_boxed_slice();
            for index in wanted {
                let seed = point.seed.unwrap_or(0);
                slots[*index] = self.request(*index, &point.changes, seed, *sweep);
            }
            slots
        };
        points.all.iter().map(slots).collect()
    }

    /// The declarations that the points of a sweep need: those that its changes reach, those that its
    /// figures and tables name, and what they read from.
    fn wanted(&self, sweep: &str, points: &Points) -> Vec<usize> {
        let all = 0..self.spec.nodes.len();
        if sweep.is_empty() {
            return all.collect();
        }
        let of_sweep = points.all.iter().filter(|point| *point.sweep == *sweep);
        let targets: BTreeSet<u32> =
            of_sweep.flat_map(|point| point.changes.iter().map(|c| c.target_id)).collect();
        if targets.is_empty() {
            // The baseline alone.
            return all.collect();
        }
        let named = self.named_by_outputs(sweep);
        let reached = |index: &usize| {
            named.contains(index)
                || targets.iter().any(|target| self.reach.all[*index][*target as usize])
                || self.reach.edges[*index].iter().any(|edge| edge.collects.is_some())
        };
        let reached: BTreeSet<usize> = all
            .filter(reached)
            .flat_map(|index| self.reach.upstream[index].iter().copied())
            .collect();
        reached.into_iter().collect()
    }

    /// The declarations that the figures and tables of a sweep read.
    fn named_by_outputs(&self, sweep: &str) -> BTreeSet<usize> {
        let figures =
            self.spec.figures.iter().map(|(_, figure)| (figure.shown().sweep, figure.targets()));
        let tables = self
            .spec
            .tables
            .iter()
            .map(|(_, table)| (table.sweep.as_ref(), table.targets().collect()));
        let targets = figures.chain(tables).filter(|(of, _)| of.is_some_and(|of| of == sweep));
        let targets: Vec<&String> =
            targets.flat_map(|(_, targets): (_, Vec<&String>)| targets).collect();
        let declared = |target: &String| {
            let (node, _) = self.spec.split_path(target)?;
            self.spec.nodes.iter().position(|other| other.name == node.name)
        };
        targets.into_iter().filter_map(declared).collect()
    }

    /// For every point the slots that each declaration would have in its baseline, seeds aside.
    fn request_plain(&mut self, points: &Points, at: &[Slots]) -> Vec<Slots> {
        // By sweep its number, and by declaration the plain slot of each slot.
        type Plain = (u32, Vec<HashMap<u32, u32>>);
        let mut sweeps: HashMap<Arc<str>, Plain> = HashMap::new();
        let mut out = Vec::with_capacity(at.len());
        for (point, slots) in points.all.iter().zip(at) {
            let next = sweeps.len() as u32;
            let (sweep, known) = sweeps
                .entry(point.sweep.clone())
                .or_insert_with(|| (next, vec![HashMap::new(); slots.len()]));
            let baseline = points.baselines.get(&*point.sweep).map_or(&[][..], Vec::as_slice);
            let plain = slots.iter().enumerate().map(|(index, slot)| {
                if *slot == NOT {
                    return NOT;
                }
                *known[index].entry(*slot).or_insert_with(|| {
                    let seeds = point.changes.iter().filter(|change| change.is_seed);
                    let changes: Vec<Arc<Change>> = baseline.iter().chain(seeds).cloned().collect();
                    self.request(index, &changes, point.seed.unwrap_or(0), *sweep)
                })
            });
            out.push(plain.collect());
        }
        out
    }

    /// The slots that the inputs of every slot stand in, users first, so that pins reach far.
    fn request_inputs(&mut self) {
        for index in self.reach.order.clone().into_iter().rev() {
            for slot in 0..self.tables[index].slots.len() {
                let Slot { changes, seed, sweep, .. } = &self.tables[index].slots[slot];
                let (changes, seed, sweep) = (changes.clone(), *seed, *sweep);
                let mut slots = vec![];
                for n in 0..self.reach.edges[index].len() {
                    let edge = &self.reach.edges[index][n];
                    let input = edge.input;
                    if edge.collects.is_some() {
                        slots.push(NOT);
                    } else if edge.pins.is_empty() {
                        slots.push(self.request(input, &changes, seed, sweep));
                    } else {
                        let kept = changes.iter().filter(|change| {
                            !edge.pins.iter().any(|pin| pin.target_id == change.target_id)
                        });
                        let pinned: Vec<Arc<Change>> = kept.chain(&edge.pins).cloned().collect();
                        slots.push(self.request(input, &pinned, seed, sweep));
                    }
                }
                self.tables[index].slots[slot].inputs = slots.into_boxed_slice();
            }
        }
    }

    /// The slots of the inputs of every slot that collects.
    fn collected(&self, points: &Points, at: &[Slots]) -> Collected {
        let mut out = Collected::new();
        for (index, edges) in self.reach.edges.iter().enumerate() {
            for (n, edge) in edges.iter().enumerate().filter(|(_, e)| e.collects.is_some()) {
                let mut seen = BTreeSet::new();
                for (_, slots) in points.all.iter().zip(at) {
                    let (own, input) = (slots[index], slots[edge.input]);
                    if own != NOT && input != NOT && seen.insert((own, input)) {
                        out.entry((index, own, n)).or_default().push(input);
                    }
                }
            }
        }
        out
    }
}
