//! What the server knows: the experiments of a results folder, the state of every node, and what changed when.

use crate::coordinator;
use crate::draw::Studio;
use crate::files;
use crate::graph::Graph;
use crate::problem::{Problem, Result};
use crate::record::{Experiment, Record};
use crate::screen::Board;
use crate::spec::Spec;
use crate::store::Results;
use petgraph::graph::NodeIndex;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Its folder is there.
    Finished,
    /// A living run works on it.
    Running,
    /// Its last attempt failed.
    Failed,
    /// It needs one that failed.
    Blocked,
    /// It was not run, or was stopped.
    Waiting,
}

impl State {
    /// Its word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
        }
    }
}

/// An experiment that can be read.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) spec: Spec,
    pub(super) graph: Graph,
    /// The state of each node, and when it changed last.
    pub(super) states: Vec<(State, u64)>,
    /// Seconds of devices that each node has taken.
    pub(super) seconds: Vec<f64>,
    /// Nodes by the first digits of their key.
    pub(super) by_key: HashMap<String, NodeIndex>,
}

/// An experiment.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) known: Experiment,
    /// When it was read last, in changes.
    pub(super) read: u64,
    /// The spec's file as it was then.
    stamp: Option<(SystemTime, u64)>,
    /// What became of it: why it cannot be read.
    pub(super) book: Result<Book, String>,
}

/// All that is known.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) results: Results,
    pub(super) record: Record,
    pub(super) entries: Vec<Entry>,
    /// Grows with every change of what is answered.
    pub(super) now: u64,
    /// What living runs show, as JSON.
    pub(super) boards: String,
    /// Whose claims count, and the database, when states were last read.
    seen: Option<(i64, Vec<String>)>,
    looked: Option<Instant>,
}

/// Time between two looks at the files of specs.
const LOOK: Duration = Duration::from_secs(2);

impl Desk {
    /// Reads all experiments of a results folder.
    ///
    /// # Errors
    /// If it has no database, or that cannot be read.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let results = Results::look(root);
        let path = results.database();
        let record = Record::open_to_read(&path)?.ok_or_else(|| {
            let help = "`ablate run` a spec first, or name the folder: --results DIR";
            Problem::new(format!("there is no database at {}", path.display())).help(help)
        })?;
        let mut desk = Self {
            results,
            record,
            entries: vec![],
            now: 0,
            boards: String::from("[]"),
            seen: None,
            looked: None,
        };
        desk.refresh()?;
        Ok(desk)
    }

    /// Looks at what changed; whether anything did.
    ///
    /// # Errors
    /// If the database refuses.
    pub(super) fn refresh(&mut self) -> Result<bool> {
        let living = coordinator::living(&self.results);
        let board = |id: &String| -> Option<Board> {
            files::read_json(&coordinator::screen_file(&self.results, id)).ok()?
        };
        let boards: Vec<Board> = living.iter().filter_map(board).collect();
        let boards = serde_json::to_string(&boards).expect("a board is plain data");
        let mut changed = boards != self.boards;
        self.boards = boards;
        if self.record.still_there().is_err() {
            // It was made anew.
            if let Some(record) = Record::open_to_read(&self.results.database())? {
                (self.record, self.seen) = (record, None);
            }
        }
        let seen = Some((self.record.changes()?, living));
        let is_due = self.looked.is_none_or(|last| last.elapsed() >= LOOK);
        if seen != self.seen || is_due {
            self.looked = Some(Instant::now());
            changed |= self.read_experiments()?;
        }
        if seen != self.seen {
            self.seen = seen;
            self.now += 1;
            self.read_states()?;
            changed = true;
        }
        Ok(changed)
    }

    /// Reads the experiments that are new or have changed.
    fn read_experiments(&mut self) -> Result<bool> {
        let mut changed = false;
        let known = self.record.experiments()?;
        self.entries.retain(|entry| known.iter().any(|one| one.name == entry.known.name));
        for experiment in known {
            let stamp = stamp(&experiment.file);
            let place = self.entries.iter().position(|one| one.known.name == experiment.name);
            let is_same = place.is_some_and(|place| {
                let entry = &self.entries[place];
                entry.stamp == stamp && entry.known.digest == experiment.digest
            });
            if is_same {
                continue;
            }
            self.now += 1;
            changed = true;
            let entry = Entry { read: self.now, stamp, book: book(&experiment), known: experiment };
            match place {
                Some(place) => self.entries[place] = entry,
                None => self.entries.push(entry),
            }
            self.seen = None;
        }
        Ok(changed)
    }

    fn read_states(&mut self) -> Result<()> {
        let finished = self.record.keys()?;
        let failed = self.record.failures()?;
        let claims = self.record.claims()?;
        let took = self.record.seconds_by_node()?;
        let alive: BTreeMap<&str, bool> = claims
            .values()
            .map(|holder| holder.coordinator.as_str())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|id| (id, coordinator::is_alive(&self.results, id)))
            .collect();
        for entry in &mut self.entries {
            let Ok(Book { graph, states, seconds, .. }) = &mut entry.book else { continue };
            let mut fresh = vec![State::Waiting; graph.nodes.node_count()];
            let mut behind = vec![];
            for index in graph.indices() {
                let node = &graph.nodes[index];
                let key = node.key.hex();
                let tenths = took.get(&key).map_or(0.0, |seconds| (seconds * 10.0).round());
                seconds[index.index()] = tenths / 10.0;
                let holder = claims.get(&node.folder());
                fresh[index.index()] = if finished.contains(&key) {
                    State::Finished
                } else if holder.is_some_and(|holder| alive[holder.coordinator.as_str()]) {
                    State::Running
                } else if failed.contains_key(&key) {
                    behind.push(index);
                    State::Failed
                } else {
                    State::Waiting
                };
            }
            while let Some(index) = behind.pop() {
                for user in graph.users(index) {
                    if fresh[user.index()] == State::Waiting {
                        fresh[user.index()] = State::Blocked;
                        behind.push(user);
                    }
                }
            }
            for (known, state) in states.iter_mut().zip(fresh) {
                if known.0 != state {
                    *known = (state, self.now);
                }
            }
        }
        Ok(())
    }

    /// An experiment by its name.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.known.name == name)
    }

    /// What an experiment's outputs are made of.
    pub(super) fn studio<'d>(&'d self, book: &'d Book) -> Studio<'d> {
        let Book { spec, graph, .. } = book;
        Studio { spec, graph, results: &self.results, record: &self.record }
    }
}

/// What tells that a file changed.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}

fn book(known: &Experiment) -> Result<Book, String> {
    if !known.file.exists() {
        return Err(format!("its spec is gone: {}", known.file.display()));
    }
    let (spec, graph) =
        Graph::read_with(&known.file, &known.asked).map_err(|problems| problems.to_string())?;
    let by_key = graph.indices().map(|index| (graph.nodes[index].key.short(), index)).collect();
    let states = vec![(State::Waiting, 0); graph.nodes.node_count()];
    let seconds = vec![0.0; states.len()];
    Ok(Book { spec, graph, states, seconds, by_key })
}

impl Book {
    /// The node of a short key.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn node(&self, key: &str) -> Result<NodeIndex> {
        let found = self.by_key.get(key).copied();
        found.ok_or_else(|| Problem::new(format!("there is no node `{key}`")))
    }

    /// The state of a node.
    pub(super) fn state(&self, index: NodeIndex) -> State {
        self.states[index.index()].0
    }

    /// How many nodes are in each state.
    pub(super) fn counts(&self) -> BTreeMap<State, usize> {
        let mut counts = BTreeMap::new();
        for (state, _) in &self.states {
            *counts.entry(*state).or_default() += 1;
        }
        counts
    }
}
