//! A finished node → another key: its artefacts become those of a node that was never run. Somebody says
//! that they are the same in spite of what differs; who believes it later can read what differed and
//! why it was thought not to matter.

use crate::coordinator::Coordinator;
use crate::graph::Graph;
use crate::key::{self, Change};
use crate::problem::{Problem, Result};
use crate::record::Record;
use crate::store::{self, Adoption, InputFile, NodeFile, Results};
use crate::survey;
use petgraph::graph::NodeIndex;
use std::fs;

/// Makes a finished folder the result of a node; what differs between the two identities.
///
/// # Errors
/// If the folder is not whole or of another kind, the node is finished or in use, or files cannot be
/// written.
pub fn adopt(
    graph: &Graph,
    index: NodeIndex,
    old: &str,
    reason: &str,
    (results, record, coordinator): (&Results, &mut Record, &Coordinator),
) -> Result<Vec<Change>> {
    let node = &graph.nodes[index];
    let (from, folder) = (results.node(old), node.folder());
    if let Some(first) = store::check(&from).first() {
        let what = format!("nodes/{old} is not whole: {} {}", first.path, first.what);
        return Err(Problem::new(what).help("adopt a finished node; `ablate verify` tells more"));
    }
    if results.is_cleaned(old) {
        return Err(Problem::new(format!("the files of nodes/{old} were cleaned away")));
    }
    let file = store::read_node(&from)?;
    if file.kind != node.kind() {
        let (old_kind, kind) = (file.kind.word(), node.kind().word());
        let what = format!("nodes/{old} is a {old_kind} node, {} a {kind} node", node.name);
        return Err(Problem::new(what).help("adopt a node of the same kind"));
    }
    if !survey::claim(results, record, coordinator, &folder)? {
        return Err(Problem::system(format!("another run works on {}", node.name)));
    }
    if results.node(&folder).join("node.json").exists() {
        record.release_all(&coordinator.id)?;
        let problem = Problem::new(format!("{} is finished already", node.name));
        return Err(problem.help("there is nothing to adopt it for"));
    }
    let changes = key::changes(&file.identity, &node.identity());
    let work = results.work(&folder);
    if work.exists() {
        fs::remove_dir_all(&work).map_err(|e| Problem::os("remove", &work, &e))?;
    }
    fs::create_dir_all(&work).map_err(|e| Problem::os("make the folder", &work, &e))?;
    for artefact in &file.artefacts {
        let (source, target) = (from.join(&artefact.path), work.join(&artefact.path));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|e| Problem::os("make the folder", parent, &e))?;
        }
        // What is finished never changes, so one copy serves both.
        if fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target).map_err(|e| Problem::os("copy", &source, &e))?;
        }
    }
    let adopted = Adoption {
        key: file.key.clone(),
        reason: reason.to_owned(),
        made: jiff::Timestamp::now().to_string(),
        differences: changes
            .iter()
            .map(|c| (c.path.clone(), [c.old.clone(), c.new.clone()]))
            .collect(),
    };
    store::seal(
        &work,
        NodeFile {
            key: node.key.hex(),
            name: node.name.clone(),
            identity: node.identity(),
            settings: node.settings.full(),
            inputs: graph.named_inputs(index).into_iter().map(InputFile::named).collect(),
            adopted: Some(adopted),
            ..file
        },
    )?;
    results.publish(std::slice::from_ref(&folder))?;
    survey::add_rows(results, record, &[&folder])?;
    record.release_all(&coordinator.id)?;
    Ok(changes)
}
