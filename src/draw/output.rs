//! A figure, a table or the numbers for prose as files, with what they rest on: written into the experiment's folder,
//! or compared with what stands there.

use crate::files::write_aside;
use crate::graph::Graph;
use crate::key::Key;
use crate::problem::{Problem, Result};
use crate::spec::Spec;
use crate::store::{self, Results};
use crate::table::Sheet;
use crate::words::plural;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// A figure.
    Figure,
    /// A table.
    Table,
    /// The numbers for prose.
    Numbers,
}

impl OutputKind {
    /// Its word in sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Figure => "figure",
            Self::Table => "table",
            Self::Numbers => "numbers",
        }
    }
}

/// An output as files.
#[derive(Debug, Clone)]
pub struct Output {
    /// What it is.
    pub kind: OutputKind,
    /// Its name in the spec.
    pub name: String,
    /// The file that a paper includes; the others stand beside it.
    pub path: PathBuf,
    /// The bytes of each file, by the file's ending; none if there is nothing to show yet.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// What it rests on.
    pub basis: Basis,
    /// What a reader should know of its drawing.
    pub warnings: Vec<String>,
    /// Of a table, its words.
    pub sheet: Option<Sheet>,
}

/// What an output rests on.
#[derive(Debug, Clone, Default)]
pub struct Basis {
    /// The finished nodes.
    pub nodes: BTreeSet<Key>,
    /// The smallest and largest number of seeds behind one of its numbers; `None` where nothing depends on seeds.
    pub seeds: Option<(usize, usize)>,
    /// Values that are not there yet.
    pub missing: usize,
    /// How many of them failed.
    pub failed: usize,
}

impl Basis {
    /// What is said of an output from partial results, inside it.
    pub fn partial(&self) -> Option<String> {
        let failed =
            if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        (self.missing > 0)
            .then(|| format!("Partial: {} missing{failed}", plural(self.missing, "value")))
    }
}

impl Output {
    /// Where it is, or that it is not.
    pub fn told(&self, path: &Path) -> String {
        match self.files.is_empty() {
            false => path.display().to_string(),
            true => format!("{} is not made: there is nothing to show yet", path.display()),
        }
    }

    /// Writes the files and, beside them, what they rest on. Without anything to show, what an earlier run wrote stays.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, spec: &Spec, graph: &Graph) -> Result<()> {
        if self.files.is_empty() {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
        }
        for (ending, bytes) in &self.files {
            write_aside(&self.path.with_extension(ending), bytes)?;
        }
        let text = serde_json::to_string_pretty(&self.sources(spec, graph)).expect("plain data");
        write_aside(&self.path.with_extension("sources.json"), (text + "\n").as_bytes())
    }

    /// The sidecar: what made it, of what, and the digest of every file.
    fn sources(&self, spec: &Spec, graph: &Graph) -> serde_json::Value {
        let name_of: BTreeMap<Key, &str> =
            graph.nodes.node_weights().map(|node| (node.key, node.name.as_str())).collect();
        let nodes: BTreeMap<String, &str> = self
            .basis
            .nodes
            .iter()
            .map(|key| (key.hex(), name_of.get(key).copied().unwrap_or_default()))
            .collect();
        let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let files: BTreeMap<String, String> = self
            .files
            .iter()
            .map(|(ending, bytes)| (self.file_name(ending), digest(bytes)))
            .collect();
        json!({
            "experiment": spec.name,
            self.kind.word(): self.name,
            "made_by": program(),
            "spec": spec_digest(spec),
            "seeds": self.basis.seeds.map(|(fewest, most)| json!({ "fewest": fewest, "most": most })),
            "missing": self.basis.missing,
            "failed": self.basis.failed,
            "nodes": nodes,
            "files": files,
        })
    }

    /// The name of the file with this ending.
    pub fn file_name(&self, ending: &str) -> String {
        let path = self.path.with_extension(ending);
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Why a paper should not be printed with what stands on disk; nothing if it should.
    pub fn objections(&self, graph: &Graph, results: &Results, wanted: usize) -> Vec<String> {
        let mut found = vec![];
        if self.files.is_empty() {
            return vec!["nothing that it shows is finished".to_owned()];
        }
        for (ending, bytes) in &self.files {
            match fs::read(self.path.with_extension(ending)) {
                Ok(there) if there == *bytes => {}
                Ok(_) => found.push(format!("{} is stale", self.file_name(ending))),
                Err(_) => found.push(format!("{} is not there", self.file_name(ending))),
            }
        }
        if let Some(partial) = self.basis.partial() {
            found.push(format!("p{}", &partial[1..]));
        }
        if let Some((fewest, _)) = self.basis.seeds.filter(|(fewest, _)| *fewest < wanted) {
            let seeds = plural(fewest, "seed");
            found.push(format!("it rests on {seeds} where {wanted} are asked for"));
        }
        found.extend(self.mixtures(graph, results));
        found
    }

    /// What nodes of one kind do not have in common, although numbers are compared only where they do.
    fn mixtures(&self, graph: &Graph, results: &Results) -> Vec<String> {
        let mut revisions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut arithmetic: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let (mut changed, mut adopted) = (0, 0);
        let nodes = graph.nodes.node_weights().filter(|node| self.basis.nodes.contains(&node.key));
        for node in nodes {
            let Ok(file) = store::read_node(&results.node(&node.folder())) else { continue };
            let kind = file.kind.word();
            let revision =
                file.identity.get("revision").map(ToString::to_string).unwrap_or_default();
            revisions.entry(kind).or_default().insert(revision);
            arithmetic
                .entry(kind)
                .or_default()
                .extend(file.arithmetic.iter().map(ToString::to_string));
            changed += usize::from(file.arithmetic.len() > 1);
            adopted += usize::from(file.adopted.is_some());
        }
        let mut found = vec![];
        for (kind, all) in revisions.iter().filter(|(_, all)| all.len() > 1) {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            found.push(format!("its {kind} nodes are of different revisions: {}", all.join(", ")));
        }
        for (kind, all) in arithmetic.iter().filter(|(_, all)| all.len() > 1) {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            found.push(format!("its {kind} nodes mix arithmetic: {}", all.join("; ")));
        }
        if changed > 0 {
            found.push(format!("{} changed arithmetic on the way", plural(changed, "node")));
        }
        if adopted > 0 {
            found.push(format!("{} adopted, not run", plural(adopted, "node")));
        }
        found
    }
}

/// The program that makes outputs.
pub(super) fn program() -> String {
    format!("ablate {}", env!("CARGO_PKG_VERSION"))
}

/// A digest of what a spec asks to be done: nodes, variables and sweeps, however they are shown.
pub(super) fn spec_digest(spec: &Spec) -> String {
    let parts: BTreeMap<&str, &serde_json::Value> = ["nodes", "vars", "sweeps"]
        .into_iter()
        .filter_map(|part| Some((part, spec.merged.value.get(part)?)))
        .collect();
    let text = serde_json::to_string(&parts).expect("plain data");
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_results_are_told() {
        let basis = Basis { missing: 3, failed: 1, ..Basis::default() };
        assert_eq!(basis.partial().unwrap(), "Partial: 3 values missing, 1 failed");
        assert_eq!(Basis::default().partial(), None);
    }
}
