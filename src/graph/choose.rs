//! What is chosen among the nodes of a sweep: which compete, what was recorded, and what is not there
//! because something else was chosen, or because nothing is yet.

use super::Asked;
use super::build::{Builder, Collected, NOT, Slots};
use super::make::labels;
use super::reach::Contest;
use crate::expand::{Change, Points};
use crate::key::Key;
use crate::problem::Problem;
use crate::selection::{self, SelectionFile};
use crate::settings::{Found, Kind, Reader, keys};
use petgraph::graph::NodeIndex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Whether a slot becomes a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// It does.
    Here,
    /// Something else was chosen.
    NotChosen,
    /// That is not known yet.
    Undecided,
}

/// A choice among the nodes of a declaration.
#[derive(Debug, Clone)]
pub struct Selection {
    /// What identifies it: see [`selection::id`].
    pub id: Key,
    /// The declaration that reads what is chosen.
    pub reader: String,
    /// The declaration among whose nodes is chosen.
    pub of: String,
    /// The declaration whose metric decides.
    pub by: String,
    /// The metric.
    pub metric: String,
    /// Whether its smaller values are better.
    pub smaller_is_better: bool,
    /// How many are kept.
    pub keep: u64,
    /// Where it is chosen: values of axes that do not compete, `nfe=10`; empty if there are none.
    pub group: String,
    /// All that compete.
    pub candidates: Vec<Candidate>,
    /// The record, if it was made.
    pub file: Option<SelectionFile>,
    /// What is not in the graph before it is made.
    pub pending: Vec<Pending>,
}

/// A declaration whose nodes wait for a choice.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The declaration.
    pub declared: String,
    /// Its kind.
    pub kind: Kind,
    /// How many nodes there will be, at most.
    pub most: usize,
    /// The declarations that it reads, and in which roles.
    pub reads: Vec<(String, &'static str)>,
}

/// What competes.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its values on the axes that compete, `schedule=cosine`.
    pub name: String,
    /// What identifies it: see [`selection::evidence`].
    pub evidence: Key,
    /// The nodes whose metric decides, by seed.
    pub nodes: BTreeMap<u64, Vec<NodeIndex>>,
    /// Names of the nodes that read it if it is chosen.
    pub readers: BTreeSet<String>,
}

impl Selection {
    /// The metric in full, `score.power_spectrum.error`.
    pub fn by_metric(&self) -> String {
        format!("{}.{}", self.by, self.metric)
    }

    /// The declaration that reads what is chosen, with where that is.
    pub fn name(&self) -> String {
        match self.group.is_empty() {
            true => self.reader.clone(),
            false => format!("{}[{}]", self.reader, self.group),
        }
    }

    /// How many nodes of a kind wait for it, at most.
    pub fn pending_of(&self, kind: Kind) -> usize {
        self.pending.iter().filter(|pending| pending.kind == kind).map(|pending| pending.most).sum()
    }

    /// The seeds that all have that compete.
    pub fn seeds(&self) -> BTreeSet<u64> {
        let seeds = |candidate: &Candidate| candidate.nodes.keys().copied().collect();
        let all = self.candidates.iter().map(seeds);
        all.reduce(|a: BTreeSet<u64>, b| a.intersection(&b).copied().collect()).unwrap_or_default()
    }
}

/// The choices of a graph in the making.
#[derive(Debug, Default)]
pub(super) struct Contests {
    /// By declaration and slot; those of declarations that nothing keeps away have none.
    states: Vec<Vec<State>>,
    made: Vec<Drafted>,
}

/// A selection with what competes, slot by slot.
#[derive(Debug)]
struct Drafted {
    selection: Selection,
    entries: Vec<Entry>,
    by: usize,
}

/// One that competes, in the making.
#[derive(Debug, Default)]
struct Entry {
    name: String,
    /// Slots of the deciding declaration, by seed.
    by: BTreeMap<u64, BTreeSet<u32>>,
    /// Slots of the declaration that reads it.
    readers: BTreeSet<u32>,
    /// The first point that has it, and its seed.
    first: (usize, u64),
}

impl Entry {
    /// The slots that decide about it.
    fn deciding(&self) -> impl Iterator<Item = &u32> {
        self.by.values().flatten()
    }
}

/// Those that compete with each other, by the ids of their changes.
type Group = BTreeMap<Vec<u32>, Entry>;

/// What slots are made of.
pub(super) type Made<'m> = (&'m Points, &'m [Slots], &'m Collected);

impl Contests {
    /// Whether a slot becomes a node.
    pub(super) fn state(&self, index: usize, slot: u32) -> State {
        let states = self.states.get(index).filter(|states| !states.is_empty());
        states.map_or(State::Here, |states| states[slot as usize])
    }

    /// The selections with their nodes.
    pub(super) fn told(&self, node: impl Fn((usize, u32)) -> NodeIndex) -> Vec<Selection> {
        let tell = |drafted: &Drafted| {
            let mut selection = drafted.selection.clone();
            for (candidate, entry) in selection.candidates.iter_mut().zip(&drafted.entries) {
                let nodes = |slots: &BTreeSet<u32>| {
                    let all = slots.iter().map(|slot| node((drafted.by, *slot)));
                    all.filter(|node| *node != NodeIndex::end()).collect()
                };
                candidate.nodes = entry.by.iter().map(|(seed, s)| (*seed, nodes(s))).collect();
            }
            selection
        };
        self.made.iter().map(tell).collect()
    }
}

impl Builder<'_> {
    /// Finds out which slots of a declaration become nodes, once those of its inputs are known.
    pub(super) fn choose(
        &mut self,
        index: usize,
        made: Made<'_>,
        asked: &Asked,
        reader: &mut Reader,
    ) {
        self.contests.states.resize(self.spec.nodes.len(), vec![]);
        let slots = 0..self.tables[index].slots.len() as u32;
        self.contests.states[index] =
            slots.map(|slot| self.inherited(index, slot, made.2)).collect();
        for n in 0..self.reach.edges[index].len() {
            if self.reach.edges[index][n].best.is_some() {
                self.hold(index, n, made, asked, reader);
            }
        }
        self.count_pending(index, made);
    }

    /// The state of a slot by what it reads.
    fn inherited(&self, index: usize, slot: u32, collected: &Collected) -> State {
        let Some(instance) = &self.made[index][slot as usize] else { return State::Here };
        let mut state = State::Here;
        for n in &instance.edges {
            let edge = &self.reach.edges[index][*n];
            let of = |slot: &u32| self.contests.state(edge.input, *slot);
            if edge.collects.is_none() {
                let input = self.tables[index].slots[slot as usize].inputs[*n];
                state = state.max(of(&input));
                continue;
            }
            // Of what is collected some may be missing, but not all.
            let states = collected.get(&(index, slot, *n)).into_iter().flatten().map(of);
            let states: BTreeSet<State> = states.collect();
            if states.contains(&State::Undecided) {
                state = State::Undecided;
            } else if !states.is_empty() && !states.contains(&State::Here) {
                state = state.max(State::NotChosen);
            }
        }
        state
    }

    /// Holds the contests of an edge: one for each combination of what does not compete.
    fn hold(
        &mut self,
        index: usize,
        n: usize,
        (points, at, _): Made<'_>,
        asked: &Asked,
        reader: &mut Reader,
    ) {
        let edge = &self.reach.edges[index][n];
        let Some(contest) = &edge.best else { return };
        let mut groups: BTreeMap<(&str, Vec<u32>), (String, Group)> = BTreeMap::new();
        let mut order = vec![];
        for (i, (point, slots)) in points.all.iter().zip(at).enumerate() {
            let (own, by) = (slots[index], slots[contest.by]);
            let reads = |slot: u32| {
                let made = self.made[index][slot as usize].as_ref();
                made.is_some_and(|instance| instance.edges.contains(&n))
            };
            if own == NOT || by == NOT || !reads(own) {
                continue;
            }
            let competes =
                |change: &&Arc<Change>| contest.over[change.target_id as usize] && !change.is_seed;
            let beside = |change: &&Arc<Change>| {
                self.reach.all[index][change.target_id as usize]
                    && !change.is_seed
                    && !competes(change)
            };
            let ids = |is: &dyn Fn(&&Arc<Change>) -> bool| {
                let mut ids: Vec<u32> = point.changes.iter().filter(is).map(|c| c.id).collect();
                ids.sort_unstable();
                ids
            };
            let seed = point.seed.unwrap_or(0);
            let key = (&*point.sweep, ids(&beside));
            if !groups.contains_key(&key) {
                order.push(key.clone());
            }
            let (_, group) = groups
                .entry(key)
                .or_insert_with(|| (labels(point.changes.iter().filter(&beside)), Group::new()));
            let entry = group.entry(ids(&competes)).or_insert_with(|| {
                let name = labels(point.changes.iter().filter(&competes));
                let name = if name.is_empty() { "baseline".to_owned() } else { name };
                Entry { name, first: (i, seed), ..Entry::default() }
            });
            entry.by.entry(seed).or_default().insert(by);
            entry.readers.insert(own);
        }
        let held: Vec<(String, Group)> =
            order.iter().filter_map(|key| groups.remove(key)).collect();
        for (label, entries) in held {
            self.decide((index, n), label, entries, asked, reader);
        }
    }

    /// Decides one contest by its record, or leaves it undecided.
    fn decide(
        &mut self,
        (index, n): (usize, usize),
        group: String,
        entries: Group,
        asked: &Asked,
        reader: &mut Reader,
    ) {
        let edge = &self.reach.edges[index][n];
        let Some(contest) = &edge.best else { return };
        let by = contest.by;
        let state = |slot: &u32| self.contests.state(by, *slot);
        let mut entries: Vec<Entry> = entries.into_values().collect();
        entries.sort_by_key(|entry| entry.first);
        if entries.iter().flat_map(Entry::deciding).any(|slot| state(slot) == State::Undecided) {
            // It waits for another choice.
            for slot in entries.iter().flat_map(|entry| &entry.readers) {
                self.lower(index, *slot, State::Undecided);
            }
            return;
        }
        entries.retain(|entry| entry.deciding().any(|slot| state(slot) == State::Here));
        let first = entries.iter().flat_map(Entry::deciding).next();
        let Some(Some(settings)) = first.map(|slot| &self.made[by][*slot as usize]) else { return };
        let settings = settings.settings.clone();
        let mut wrong = |problem: Problem| {
            let words = keys(&[edge.role, "best", "by"]);
            let path = self.spec.nodes[index].path.iter().cloned().chain(words).collect();
            reader.wrong::<()>(&Found { value: &Value::Null, path }, problem);
        };
        let Some(smaller_is_better) = settings.smaller_is_better(&contest.metric) else {
            let by = &self.spec.nodes[by].name;
            return wrong(no_direction(contest, by, &settings.metrics()));
        };
        let keep = edge.reference.best.as_ref().map_or(1, |best| best.keep);
        let (candidates, entries) = self.candidates((index, by), entries);
        let evidences: Vec<Key> = candidates.iter().map(|c| c.evidence).collect();
        let id = selection::id(&contest.metric, keep, &evidences);
        let read = asked.nodes.as_deref().map(|nodes| selection::read(nodes, &id)).transpose();
        let file = match read {
            Ok(file) => file.flatten(),
            Err(problem) => return wrong(problem),
        };
        let name = |index: usize| self.spec.nodes[index].name.clone();
        let selection = Selection {
            id,
            reader: name(index),
            of: name(edge.input),
            by: name(by),
            metric: contest.metric.clone(),
            smaller_is_better,
            keep,
            group,
            candidates,
            pending: vec![],
            file,
        };
        let chosen = selection.file.as_ref().map(SelectionFile::evidence_chosen);
        for (candidate, entry) in selection.candidates.iter().zip(&entries) {
            let state = match &chosen {
                None => State::Undecided,
                Some(chosen) if chosen.contains(candidate.evidence.hex().as_str()) => State::Here,
                Some(_) => State::NotChosen,
            };
            entry.readers.iter().for_each(|slot| self.lower(index, *slot, state));
        }
        self.contests.made.push(Drafted { selection, entries, by });
    }

    /// What competes; those that are the same work are one.
    fn candidates(
        &self,
        (index, by): (usize, usize),
        entries: Vec<Entry>,
    ) -> (Vec<Candidate>, Vec<Entry>) {
        let key = |slot: &u32| Some(self.made[by][*slot as usize].as_ref()?.key);
        let mut known: Vec<(Key, Entry)> = vec![];
        let mut places: HashMap<Key, usize> = HashMap::new();
        for entry in entries {
            // The first seed that the spec names: seeds that a run adds come after it.
            let at_first_seed = entry.by[&entry.first.1].iter();
            let evidence = selection::evidence(&at_first_seed.filter_map(key).collect::<Vec<_>>());
            let place = *places.entry(evidence).or_insert(known.len());
            let Some((_, same)) = known.get_mut(place) else {
                known.push((evidence, entry));
                continue;
            };
            for (seed, slots) in entry.by {
                same.by.entry(seed).or_default().extend(slots);
            }
            same.readers.extend(entry.readers);
        }
        let candidate = |(evidence, entry): (Key, Entry)| {
            let readers = entry.readers.iter().map(|slot| &self.made[index][*slot as usize]);
            let readers = readers.flatten().map(|instance| instance.name.clone()).collect();
            let name = entry.name.clone();
            (Candidate { name, evidence, nodes: BTreeMap::new(), readers }, entry)
        };
        known.into_iter().map(candidate).unzip()
    }

    fn lower(&mut self, index: usize, slot: u32, state: State) {
        let known = &mut self.contests.states[index][slot as usize];
        *known = state.max(*known);
    }

    /// Counts the nodes of a declaration that undecided selections keep away: of each at most as many as
    /// the largest of its candidates would bring.
    fn count_pending(&mut self, index: usize, (_, at, _): Made<'_>) {
        let kind = self.spec.nodes[index].kind;
        let upstream = &self.reach.upstream[index];
        let collects = self.reach.edges[index].iter().any(|edge| edge.collects.is_some());
        for n in 0..self.contests.made.len() {
            let Drafted { selection, entries, .. } = &self.contests.made[n];
            let reader = self.spec.nodes.iter().position(|node| node.name == selection.reader);
            let reader = reader.filter(|reader| upstream.contains(reader));
            let (Some(reader), None) = (reader, &selection.file) else { continue };
            let candidates: HashMap<u32, usize> = entries
                .iter()
                .enumerate()
                .flat_map(|(i, entry)| entry.readers.iter().map(move |slot| (*slot, i)))
                .collect();
            // Of each candidate the keys of its nodes, through the points where it is read.
            let mut of: Vec<BTreeSet<Key>> = vec![BTreeSet::new(); entries.len()];
            for slots in at.iter().filter(|slots| slots[index] != NOT) {
                let candidate = candidates.get(&slots[reader]);
                let made = self.made[index][slots[index] as usize].as_ref();
                let waits = self.contests.state(index, slots[index]) == State::Undecided;
                if let (Some(candidate), Some(made), true) = (candidate, made, waits) {
                    of[if collects { 0 } else { *candidate }].insert(made.key);
                }
            }
            let mut counts: Vec<usize> = of.iter().map(BTreeSet::len).collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            let keep = usize::try_from(selection.keep).unwrap_or(usize::MAX);
            let most: usize = counts.into_iter().take(keep).sum();
            if most > 0 {
                let name = |index: usize| self.spec.nodes[index].name.clone();
                let edges = self.reach.edges[index].iter();
                let reads = edges.map(|edge| (name(edge.input), edge.role)).collect();
                let pending = Pending { declared: name(index), kind, most, reads };
                self.contests.made[n].selection.pending.push(pending);
            }
        }
    }
}

/// The metric does not say which of its values are better, or is none.
fn no_direction(contest: &Contest, by: &str, known: &[&str]) -> Problem {
    let metric = &contest.metric;
    if !known.is_empty() && !known.contains(&metric.as_str()) {
        let problem = Problem::new(format!("`{by}` has no metric `{metric}`"));
        return problem.help(crate::words::suggestion(metric, known));
    }
    let problem = Problem::new(format!("`{by}.{metric}` has no better end to choose by"));
    problem.help("take a metric that measures an error, a distance or a loss")
}
