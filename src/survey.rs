//! Results folder and database → what is [`Known`], and the repair of what an interruption left
//! between two steps of publishing.

use crate::coordinator::{self, Coordinator};
use crate::files::read_json;
use crate::fleet;
use crate::graph::{Graph, Node};
use crate::job::{Metrics, SeriesFile};
use crate::plan::{Known, Plan, Reason, trajectory_folder};
use crate::pool;
use crate::problem::{Problem, Result};
use crate::record::{Claim, Finished, Holder, Record};
use crate::store::{self, Listing, NodeFile, Results};
use petgraph::graph::NodeIndex;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// What is known, for planning. Reads only; lists each folder once.
///
/// # Errors
/// If folders or the database cannot be read.
pub fn known(graph: &Graph, results: &Results, record: Option<&Record>) -> Result<Known> {
    let mut listing = results.list()?;
    // A sealed folder needs only its renaming, which the next run does.
    let sealed = |name: &&String| {
        !name.starts_with("trajectory-") && results.work(name).join("node.json").exists()
    };
    listing.finished.extend(results.unfinished()?.iter().filter(sealed).cloned());
    known_of(graph, results, record, listing)
}

/// What is known to a run that has just listed `nodes/`. What is sealed in `work/` counts as unfinished: while a
/// worker of the run that sealed it lives, it could not be renamed before.
///
/// # Errors
/// If folders or the database cannot be read.
pub fn known_of(
    graph: &Graph,
    results: &Results,
    record: Option<&Record>,
    listing: Listing,
) -> Result<Known> {
    let work = results.unfinished()?;
    let folders = listing.finished;
    let all_finished = graph.nodes.node_weights().all(|node| folders.contains(&node.folder()));
    let mut known = Known {
        recorded: match record {
            // Only of what is missing it matters whether it was there.
            Some(record) if !all_finished => record.keys()?,
            _ => HashSet::new(),
        },
        history: match record {
            Some(record) if !all_finished => record.history()?,
            _ => vec![],
        },
        checkpoints: checkpoints(graph, results, &folders, &work),
        cleaned: listing.cleaned,
        folders,
        work,
        damaged: BTreeMap::new(),
    };
    if !all_finished {
        known.damaged = damaged(graph, results, &known);
    }
    // What `verify` has found may lie where nothing is about to be read.
    for path in record.map(Record::noted_damage).transpose()?.unwrap_or_default() {
        if let Some(folder) = path.strip_prefix("nodes/").filter(|f| known.folders.contains(*f)) {
            let damage = store::check(&results.wherever(folder));
            if !damage.is_empty() {
                known.damaged.insert(folder.to_owned(), damage);
            }
        }
    }
    Ok(known)
}

/// The damage in folders that a node to run is about to read. A damaged node runs too, so what it
/// reads is looked at next, until nothing more has to be.
fn damaged(
    graph: &Graph,
    results: &Results,
    known: &Known,
) -> BTreeMap<String, Vec<store::Damage>> {
    let mut checked: BTreeMap<String, Vec<store::Damage>> = BTreeMap::new();
    loop {
        let runs = |folder: &String| {
            !known.folders.contains(folder)
                || checked.get(folder).is_some_and(|damage| !damage.is_empty())
        };
        let next: BTreeSet<String> = graph
            .indices()
            .filter(|i| runs(&graph.nodes[*i].folder()))
            .flat_map(|i| {
                graph.inputs(i).map(|input| graph.nodes[input].folder()).collect::<Vec<_>>()
            })
            .filter(|folder| known.folders.contains(folder) && !checked.contains_key(folder))
            .collect();
        if next.is_empty() {
            checked.retain(|_, damage| !damage.is_empty());
            return checked;
        }
        let found: Vec<(String, Vec<store::Damage>)> = next
            .into_par_iter()
            .map(|folder| (folder.clone(), store::check(&results.wherever(&folder))))
            .collect();
        checked.extend(found);
    }
}

/// The steps of the checkpoints of every trajectory that a node to run may start from.
fn checkpoints(
    graph: &Graph,
    results: &Results,
    finished: &HashSet<String>,
    work: &BTreeSet<String>,
) -> BTreeMap<String, Vec<u64>> {
    let trajectory = |node: &Node| {
        let folder = trajectory_folder(node)?;
        (work.contains(&folder) && !finished.contains(&node.folder())).then_some(folder)
    };
    let folders: BTreeSet<String> = graph.nodes.node_weights().filter_map(trajectory).collect();
    let kept = folders.into_iter().map(|folder| {
        let steps = store::checkpoint_steps(&results.work(&folder));
        (folder, steps)
    });
    kept.filter(|(_, steps)| !steps.is_empty()).collect()
}

/// Finishes what an interruption left half done: sealed folders are renamed, published folders get
/// their rows, rows without a folder are forgotten. Returns what was done, for people, and what is in
/// `nodes/` now.
///
/// # Errors
/// If folders or the database cannot be written.
pub fn recover(
    results: &Results,
    record: &mut Record,
    coordinator: &Coordinator,
) -> Result<(Vec<String>, Listing)> {
    let mut said = vec![];
    let mut published = HashSet::new();
    for folder in results.unfinished()?.iter().filter(|name| !name.starts_with("trajectory-")) {
        if results.work(folder).join("node.json").exists()
            && claim(results, record, coordinator, folder)?
            && publish_sealed(results, folder)?
        {
            published.insert(folder.clone());
        }
    }
    let recorded = record.folders()?;
    let listing = results.list()?;
    let missing: BTreeSet<&String> =
        listing.finished.iter().filter(|folder| !recorded.contains(*folder)).collect();
    if !missing.is_empty() {
        let missing: Vec<&String> = missing.into_iter().collect();
        let added = add_rows(results, record, &missing)?;
        let found =
            missing.iter().filter(|folder| !published.contains(**folder)).count().min(added);
        if found > 0 {
            said.push(format!(
                "{} found in nodes/ and added to the database",
                crate::words::plural(found, "node")
            ));
        }
    }
    let gone: BTreeSet<String> = recorded.difference(&listing.finished).cloned().collect();
    if !gone.is_empty() {
        record.forget(&record.keys_of(&gone)?)?;
        said.push(format!(
            "{} recorded but gone from nodes/",
            crate::words::plural(gone.len(), "node")
        ));
    }
    forget_gone(results, record)?;
    Ok((said, listing))
}

/// Removes the claims of coordinators that are dead and whose workers have left.
///
/// # Errors
/// If the database refuses.
pub fn forget_gone(results: &Results, record: &mut Record) -> Result<()> {
    let mut gone: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, holder) in record.claims()? {
        if is_gone(results, &holder) {
            gone.entry(holder.coordinator).or_default().push(name);
        }
    }
    gone.iter().try_for_each(|(coordinator, names)| record.release(coordinator, names))
}

/// Publishes a work folder that was sealed and not yet renamed, if it is whole; whether it was. A damaged
/// one is only unsealed. The caller holds its claim.
///
/// # Errors
/// If the folder cannot be renamed or changed.
pub fn publish_sealed(results: &Results, folder: &str) -> Result<bool> {
    let work = results.work(folder);
    let seal = work.join("node.json");
    if !seal.exists() {
        return Ok(false);
    }
    if store::check(&work).is_empty() {
        results.publish(&[folder.to_owned()])?;
        return Ok(true);
    }
    std::fs::remove_file(&seal).map_err(|e| Problem::os("remove", &seal, &e))?;
    Ok(false)
}

/// Puts damaged folders out of the way, and forgets them, so that their nodes are made again. Those
/// that another run is repairing are left to it.
///
/// # Errors
/// If they cannot be removed.
pub fn discard_damaged(
    graph: &Graph,
    plan: &Plan,
    results: &Results,
    record: &mut Record,
    coordinator: &Coordinator,
) -> Result<Vec<String>> {
    let mut said = vec![];
    for (index, reason) in plan.reasons() {
        let (Reason::Damaged(_), node) = (reason, &graph.nodes[index]) else { continue };
        // By the time it is claimed, another run may have repaired it.
        let folder = node.folder();
        if claim(results, record, coordinator, &folder)?
            && !store::check(&results.node(&folder)).is_empty()
        {
            results.discard(&folder)?;
            record.forget(&[node.key.hex()])?;
            record.forget_damage(&format!("nodes/{folder}"))?;
            said.push(format!("{} is {}; it is made again", node.name, reason.sentence()));
        }
    }
    said.extend(mend_trajectories(results, record, coordinator)?);
    record.release_all(&coordinator.id)?;
    Ok(said)
}

/// Removes the damaged checkpoints that `verify` has found, and forgets what is mended by now.
fn mend_trajectories(
    results: &Results,
    record: &mut Record,
    coordinator: &Coordinator,
) -> Result<Vec<String>> {
    let mut said = vec![];
    for path in record.noted_damage()? {
        let Some((part, folder)) = path.split_once('/') else { continue };
        if part == "work" && claim(results, record, coordinator, folder)? {
            let work = results.work(folder);
            for damage in store::check_trajectory(&work).0 {
                let file = work.join(&damage.path);
                // It may be pruned by now.
                let _ = std::fs::remove_file(&file);
                said.push(format!("{path}/{} {}; it is removed", damage.path, damage.what));
            }
            record.forget_damage(&path)?;
        } else if part == "nodes" {
            // A folder that is gone is a node to make, no damage any more.
            let node = results.node(folder);
            if !node.exists() || store::check(&node).is_empty() {
                record.forget_damage(&path)?;
            }
        }
    }
    Ok(said)
}

/// Removes all there is of some nodes, the checkpoints of their trajectories too, so that they are made
/// again from their beginning.
///
/// # Errors
/// If another run works on one of them, or something cannot be removed.
pub fn discard(
    graph: &Graph,
    nodes: &BTreeSet<NodeIndex>,
    results: &Results,
    record: &mut Record,
    coordinator: &Coordinator,
) -> Result<()> {
    let folders_of = |index: &NodeIndex| {
        let node = &graph.nodes[*index];
        [node.folder()].into_iter().chain(trajectory_folder(node))
    };
    for index in nodes {
        for folder in folders_of(index) {
            if !claim(results, record, coordinator, &folder)? {
                record.release_all(&coordinator.id)?;
                let name = &graph.nodes[*index].name;
                let problem = Problem::system(format!("another run works on {name}"));
                return Err(problem.help("wait for it"));
            }
        }
    }
    for index in nodes {
        for folder in folders_of(index) {
            for path in [results.node(&folder), results.work(&folder)] {
                if path.exists() {
                    std::fs::remove_dir_all(&path).map_err(|e| Problem::os("remove", &path, &e))?;
                }
            }
        }
        record.forget(&[graph.nodes[*index].key.hex()])?;
    }
    record.release_all(&coordinator.id)
}

/// Claims one folder outside a run; whether it is ours.
///
/// # Errors
/// If the database refuses.
pub fn claim(
    results: &Results,
    record: &mut Record,
    coordinator: &Coordinator,
    folder: &str,
) -> Result<bool> {
    let holder = Holder { coordinator: coordinator.id.clone(), slot: String::new() };
    let claim = Claim { names: vec![folder.to_owned()], holder };
    record.claim(&claim, &|holder| is_gone(results, holder))
}

/// Whether the holder of a claim is dead and its worker has left.
pub fn is_gone(results: &Results, holder: &Holder) -> bool {
    let has_left = || match fleet::has_left(results, &holder.slot) {
        Some(has_left) => has_left,
        None => pool::has_left(results, &holder.slot, &holder.coordinator),
    };
    !coordinator::is_alive(results, &holder.coordinator) && (holder.slot.is_empty() || has_left())
}

/// Adds the rows of published folders; a folder that cannot be read is left for `verify`. Returns how
/// many were added.
///
/// # Errors
/// If the database refuses.
pub fn add_rows(results: &Results, record: &mut Record, folders: &[&String]) -> Result<usize> {
    let mut added = 0;
    for chunk in folders.chunks(100) {
        let read = read_finished(results, chunk);
        let rows: Vec<Finished<'_>> = read.iter().map(Published::rows).collect();
        record.finished(&rows)?;
        added += rows.len();
    }
    Ok(added)
}

/// A published folder as it was read.
#[derive(Debug)]
pub struct Published {
    folder: String,
    file: NodeFile,
    metrics: Metrics,
    series: SeriesFile,
}

impl Published {
    /// What becomes rows.
    pub fn rows(&self) -> Finished<'_> {
        Finished {
            folder: &self.folder,
            file: &self.file,
            metrics: self.metrics.clone(),
            series: self.series.clone(),
        }
    }
}

/// Reads published folders; those that cannot be read are left out.
pub fn read_finished(results: &Results, folders: &[&String]) -> Vec<Published> {
    let read = |folder: &&String| {
        let path = results.node(folder);
        let file = store::read_node(&path).ok()?;
        let (metrics, series) = numbers(&path).ok()?;
        Some(Published { folder: (*folder).clone(), file, metrics, series })
    };
    folders.par_iter().filter_map(read).collect()
}

/// The metrics and series of a folder, empty where there are none.
///
/// # Errors
/// If a file is there and cannot be read.
pub fn numbers(folder: &Path) -> Result<(Metrics, SeriesFile)> {
    Ok((
        read_json(&folder.join("metrics.json"))?.unwrap_or_default(),
        read_json(&folder.join("series.json"))?.unwrap_or_default(),
    ))
}
