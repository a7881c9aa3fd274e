//! The settings and keys of a declaration: each distinct set of changes is read once, inputs have their
//! say, and the key is hashed, on all cores.

use super::body::{self, Moved};
use super::build::{Builder, Collected, Slot};
use super::choose::State;
use super::data;
use super::inputs::{self, Facts};
use crate::expand::Change;
use crate::external::{self, External};
use crate::key::{self, Input, Inputs, Key};
use crate::problem::Problem;
use crate::settings::{Command, Found, Reader, Settings, Step, keys};
use crate::words;
use rayon::prelude::*;
use serde_json::Value;
use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;

/// A slot whose settings and key are known.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) settings: Arc<Settings>,
    /// Declarations and slots of the inputs, beside what enters the key.
    pub(super) inputs: Vec<(usize, u32)>,
    /// The edges that it reads through.
    pub(super) edges: Vec<usize>,
    pub(super) keyed: Inputs,
    pub(super) key: Key,
    pub(super) trajectory: Option<Key>,
    pub(super) name: String,
}

/// Settings of a declaration as some changes make them, before inputs have their say.
struct Draft {
    settings: Settings,
    moved: Moved,
    /// For each reference: the edge, and the port.
    inputs: Vec<(usize, &'static str)>,
}

/// Settings once inputs have had their say, with the texts that enter keys.
struct Settled {
    settings: Arc<Settings>,
    text: String,
    trajectory: Option<String>,
    /// What its author should know.
    notices: Vec<(Vec<Step>, Problem)>,
}

/// One input of a slot.
#[derive(Debug, Clone, Copy)]
struct Read {
    role: &'static str,
    port: &'static str,
    /// The declaration.
    input: usize,
    /// Its slot.
    slot: u32,
}

impl Builder<'_> {
    /// Reads the settings of every slot of a declaration, and finds their keys.
    pub(super) fn make(&mut self, index: usize, collected: &Collected, reader: &mut Reader) {
        let slots = &self.tables[index].slots;
        // Drafts are shared by slots that differ only in their inputs.
        let own = |slot: &Slot| {
            let changes =
                slot.changes.iter().filter(|c| self.reach.own[index][c.target_id as usize]);
            let mut id: Vec<u32> = changes.map(|change| change.id).collect();
            id.sort_unstable();
            id
        };
        let (firsts, draft_of) = distinct(slots.iter().map(own));
        let drafts = collect(reader, &firsts, |first, reader| {
            self.draft(index, &slots[*first].changes, reader)
        });
        let inputs: Vec<Option<Vec<Read>>> = (0..slots.len())
            .into_par_iter()
            .map(|slot| {
                let draft = drafts[draft_of[slot]].as_ref()?;
                Some(self.inputs_of((index, slot as u32), draft, collected))
            })
            .collect();
        // Settings are settled once for each draft and what of the inputs bears on it.
        let facts: Vec<Option<Vec<Facts>>> =
            inputs.par_iter().map(|inputs| self.facts(inputs.as_deref()?)).collect();
        let (cases, case_of) = distinct(facts.iter().zip(&draft_of));
        let settled = collect(reader, &cases, |case, reader| {
            let facts = facts[*case].as_ref()?;
            self.settle(index, drafts[draft_of[*case]].as_ref()?, facts, reader)
        });
        let made: Vec<Option<Instance>> = (0..slots.len())
            .into_par_iter()
            .map(|slot| {
                let settled = settled[case_of[slot]].as_ref()?;
                let edges = drafts[draft_of[slot]].as_ref()?.inputs.iter().map(|(edge, _)| *edge);
                let inputs = inputs[slot].as_ref()?;
                Some(self.instance(index, &slots[slot], settled, (inputs, edges.collect())))
            })
            .collect();
        self.made[index] = made;
        for notice in settled.into_iter().flatten().flat_map(|settled| settled.notices) {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }

    /// What of some inputs bears on the settings; `None` if one of them is wrong.
    fn facts(&self, inputs: &[Read]) -> Option<Vec<Facts>> {
        let instance = |input: usize, slot: u32| self.made[input][slot as usize].as_ref();
        let facts = inputs.iter().map(|read| {
            let made = instance(read.input, read.slot)?;
            let below = made.inputs.iter().filter_map(|(input, slot)| instance(*input, *slot));
            Some(Facts::of(&made.settings, below.map(|below| &*below.settings)))
        });
        let mut facts = facts.collect::<Option<Vec<Facts>>>()?;
        // What is collected is all alike.
        facts.dedup();
        Some(facts)
    }

    /// The settings of a declaration under some changes; `None` if something is wrong, which is noted.
    fn draft(&self, index: usize, changes: &[Arc<Change>], reader: &mut Reader) -> Option<Draft> {
        let node = &self.spec.nodes[index];
        let (body, moved) = body::at(self.spec, node, changes, reader);
        if !reader.is_clean() {
            // Without its variables nothing more can be said of the node.
            return None;
        }
        let mut own = Reader::default();
        let found = Found { value: &body, path: vec![] };
        let settings = Settings::read(node.kind, &found, &mut own).filter(|_| own.is_clean());
        let back = |path: &[_]| body::origin(node, &moved, path);
        let Some(mut settings) = settings else {
            reader.extend(own.moved(back));
            return None;
        };
        self.settle_files(&mut settings, back, reader)?;
        let mut inputs = vec![];
        for (role, place, reference) in settings.references() {
            let mut wrong = |below: Option<Step>, problem| {
                let path = place.iter().cloned().chain(below).collect::<Vec<_>>();
                reader.wrong::<()>(&Found { value: &Value::Null, path: back(&path) }, problem);
            };
            let of_reach = self.reach.wrong.iter().filter(|(i, r, ..)| *i == index && *r == role);
            let mut clean = true;
            for (_, _, step, problem) in of_reach {
                wrong(Some(step.clone()), problem.clone());
                clean = false;
            }
            let input = self.spec.nodes.iter().position(|other| other.name == reference.node);
            let port = match input {
                Some(input) => {
                    inputs::port((node.kind, role), reference, self.spec.nodes[input].kind)
                        .map(|port| inputs::split(&settings, role, reference, port))
                }
                None => Err(self.no_node(&reference.node)),
            };
            let edges = &self.reach.edges[index];
            let edge = edges.iter().position(|e| e.role == role && e.reference == *reference);
            match (port, edge) {
                (Ok(port), Some(edge)) if clean => inputs.push((edge, port)),
                (Err(problem), _) => wrong(None, problem),
                _ => return None,
            }
        }
        reader.is_clean().then_some(Draft { settings, moved, inputs })
    }

    fn no_node(&self, name: &str) -> Problem {
        let names: Vec<&str> = self.spec.nodes.iter().map(|node| node.name.as_str()).collect();
        let problem = Problem::new(format!("there is no node `{name}`"));
        match words::nearest(name, names.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("the nodes are {}", words::alternatives(&names))),
        }
    }

    /// Finds the external files of a node; `None` if one is not there, which is then noted.
    fn settle_files(
        &self,
        settings: &mut Settings,
        back: impl Fn(&[Step]) -> Vec<Step>,
        reader: &mut Reader,
    ) -> Option<()> {
        let mut whole = Some(());
        let folder_of = |path: &[_]| {
            let place = self.spec.merged.place(path);
            let folder = place.and_then(|place| Some(place.file.parent()?.to_owned()));
            folder.unwrap_or_default()
        };
        let folder_of_command = match settings {
            Settings::Command(command) => Some(self.settle_folder(command, &back, reader)?),
            _ => None,
        };
        for (place, file) in settings.files() {
            let path = back(&place);
            let folder = folder_of_command.clone().unwrap_or_else(|| folder_of(&path));
            let mut external = self.external.lock().expect("no reader of files panics");
            let external = external.get_or_insert_with(|| {
                External::new(external::cache_folder().map(|f| f.join("digests.json")))
            });
            if let Err(problem) = external.settle(file, &folder) {
                whole = reader.wrong(&Found { value: &Value::Null, path }, problem);
            }
        }
        whole?;
        let Settings::Dataset(dataset) = settings else { return whole };
        let word = dataset.word();
        if let Some(folder) = dataset.folder() {
            let path = back(&keys(&[word, "folder"]));
            folder.0 = crate::settings::beside(&folder_of(&path), &folder.0);
        }
        let found = Found { value: &Value::Null, path: back(&keys(&[word])) };
        data::check_dataset(dataset, &found, reader)
    }

    /// Finds the folder that a command runs in, from which its files are named too: by default that of the file that
    /// holds the call.
    fn settle_folder(
        &self,
        command: &mut Command,
        back: impl Fn(&[Step]) -> Vec<Step>,
        reader: &mut Reader,
    ) -> Option<PathBuf> {
        let path = back(&keys(&["folder"]));
        let place = |key: &str| self.spec.merged.place(&back(&keys(&[key])));
        let named_in = place("folder").or_else(|| place("call"));
        let beside = named_in.and_then(|place| Some(place.file.parent()?.to_owned()));
        let folder = crate::settings::beside(&beside.unwrap_or_default(), &command.folder.0);
        if !folder.is_dir() {
            let problem = Problem::new(format!("there is no folder {}", folder.display()));
            let found = Found { value: &Value::Null, path };
            return reader.wrong(&found, problem.help("it is relative to the file that names it"));
        }
        command.folder.0.clone_from(&folder);
        Some(folder)
    }

    /// What a slot reads.
    fn inputs_of(
        &self,
        (index, slot): (usize, u32),
        draft: &Draft,
        collected: &Collected,
    ) -> Vec<Read> {
        let mut inputs = vec![];
        for (n, port) in &draft.inputs {
            let edge = &self.reach.edges[index][*n];
            let read = |slot| Read { role: edge.role, port, input: edge.input, slot };
            match collected.get(&(index, slot, *n)) {
                Some(slots) => {
                    let here = |slot: &&u32| self.contests.state(edge.input, **slot) == State::Here;
                    inputs.extend(slots.iter().filter(here).map(|slot| read(*slot)));
                }
                None if edge.collects.is_none() => {
                    inputs.push(read(self.tables[index].slots[slot as usize].inputs[*n]));
                }
                // A baseline that is no point of its sweep is never published.
                None => {}
            }
        }
        inputs
    }

    /// Lets the inputs have their say: defaults and limits that depend on them.
    fn settle(
        &self,
        index: usize,
        draft: &Draft,
        facts: &[Facts],
        reader: &mut Reader,
    ) -> Option<Settled> {
        let node = &self.spec.nodes[index];
        let mut settings = draft.settings.clone();
        let mut own = Reader::default();
        inputs::settle(&mut settings, facts, &mut own);
        if !own.is_clean() {
            reader.extend(own.moved(|path| body::origin(node, &draft.moved, path)));
            return None;
        }
        let (text, trajectory) = key::settings_text(&settings);
        let notices = inputs::warnings(&settings, facts)
            .into_iter()
            .map(|(path, problem)| (body::origin(node, &draft.moved, &path), problem))
            .collect();
        Some(Settled { text, trajectory, notices, settings: Arc::new(settings) })
    }

    fn instance(
        &self,
        index: usize,
        slot: &Slot,
        settled: &Settled,
        (inputs, edges): (&[Read], Vec<usize>),
    ) -> Instance {
        let node = &self.spec.nodes[index];
        let input = |read: &Read| {
            let made = &self.made[read.input][read.slot as usize];
            let key = made.as_ref().expect("its facts were asked for").key;
            Input { role: read.role, key, port: read.port }
        };
        let keyed = Inputs::new(inputs.iter().map(input).collect());
        let revision = node.kind.revision();
        let key =
            |word, text: &str| Key::of_text(&key::identity_text(word, revision, text, &keyed));
        Instance {
            key: key(node.kind.word(), &settled.text),
            trajectory: settled.trajectory.as_ref().map(|text| key(key::TRAJECTORY, text)),
            name: readable(&node.name, &slot.changes),
            settings: settled.settings.clone(),
            inputs: inputs.iter().map(|read| (read.input, read.slot)).collect(),
            edges,
            keyed,
        }
    }
}

/// The places of the first of each distinct item, and for every item the number of its like.
fn distinct<K: Hash + Eq>(items: impl Iterator<Item = K>) -> (Vec<usize>, Vec<usize>) {
    let mut known: HashMap<K, usize> = HashMap::new();
    let mut firsts = vec![];
    let number = |(i, item)| {
        *known.entry(item).or_insert_with(|| {
            firsts.push(i);
            firsts.len() - 1
        })
    };
    let numbers = items.enumerate().map(number).collect();
    (firsts, numbers)
}

/// Makes something of each item on all cores; what is wrong lands in `reader`, in the items' order.
fn collect<T: Sync, R: Send>(
    reader: &mut Reader,
    items: &[T],
    make: impl Fn(&T, &mut Reader) -> Option<R> + Sync,
) -> Vec<Option<R>> {
    let one = |item: &T| {
        let mut reader = Reader::default();
        (make(item, &mut reader), reader)
    };
    let made: Vec<(Option<R>, Reader)> = items.par_iter().map(one).collect();
    made.into_iter()
        .map(|(made, problems)| {
            reader.extend(problems);
            made
        })
        .collect()
}

/// `net[schedule=cosine,seed=1]`, the seed last.
fn readable(declared: &str, changes: &[Arc<Change>]) -> String {
    match labels(changes.iter()) {
        labels if labels.is_empty() => declared.to_owned(),
        labels => format!("{declared}[{labels}]"),
    }
}

/// `schedule=cosine,seed=1`.
pub(super) fn labels<'c>(changes: impl Iterator<Item = &'c Arc<Change>>) -> String {
    let mut name = String::new();
    let mut last: Option<&(String, String)> = None;
    for change in changes {
        // A variant, and a value that sets several paths, are named once.
        if last.is_some_and(|last| *last == change.label) {
            continue;
        }
        if last.is_some() {
            name.push(',');
        }
        last = Some(&change.label);
        let (axis, value) = &change.label;
        if !axis.is_empty() {
            name.push_str(axis);
            name.push('=');
        }
        name.push_str(value);
    }
    name
}
