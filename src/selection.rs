//! Which nodes of a sweep were found best, and the record of it: made once, when all that compete are
//! finished, and kept with the numbers it rests on until a person asks for a fresh one.

use crate::files::{read_json, write_aside};
use crate::key::{Key, canonical};
use crate::problem::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The record of a choice, beside the folders of finished nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectionFile {
    /// What was asked: see [`id`].
    pub id: String,
    /// The declaration among whose nodes was chosen.
    pub of: String,
    /// The metric that decided, `node.metric`.
    pub by: String,
    /// Whether its smaller values are better.
    pub smaller_is_better: bool,
    /// How many were to be kept.
    pub keep: u64,
    /// The seeds over which the mean was taken.
    pub seeds: Vec<u64>,
    /// When it was made, RFC 3339 in UTC.
    pub made: String,
    /// All that competed, in the order of the spec.
    pub candidates: Vec<CandidateFile>,
    /// The choices that this one replaces, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
}

/// One that competed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateFile {
    /// Its values on the axes, `schedule=cosine`.
    pub name: String,
    /// Its identity: see [`evidence`].
    pub evidence: String,
    /// The metric by seed; null where it was no number.
    pub values: BTreeMap<u64, Option<f64>>,
    /// Whether it was chosen.
    pub chosen: bool,
}

impl CandidateFile {
    /// The mean over seeds; NaN if a value is no number.
    pub fn mean(&self) -> f64 {
        let values = self.values.values().map(|value| value.unwrap_or(f64::NAN));
        values.sum::<f64>() / self.values.len() as f64
    }
}

/// A choice that was replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Earlier {
    /// When it was made.
    pub made: String,
    /// The seeds over which the mean was taken.
    pub seeds: Vec<u64>,
    /// What was chosen.
    pub chosen: Vec<String>,
}

impl SelectionFile {
    /// The names of what was chosen.
    pub fn chosen(&self) -> Vec<&str> {
        let chosen = self.candidates.iter().filter(|candidate| candidate.chosen);
        chosen.map(|candidate| candidate.name.as_str()).collect()
    }

    /// The identities of what was chosen, in hex.
    pub fn evidence_chosen(&self) -> BTreeSet<&str> {
        let chosen = self.candidates.iter().filter(|candidate| candidate.chosen);
        chosen.map(|candidate| candidate.evidence.as_str()).collect()
    }

    /// Writes the record beside finished nodes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, nodes: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("a selection is plain data") + "\n";
        write_aside(&path_of(nodes, &self.id), text.as_bytes())
    }
}

/// The record of a choice, if it was made.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn read(nodes: &Path, id: &Key) -> Result<Option<SelectionFile>> {
    read_file(&path_of(nodes, &id.hex()))
        .map(|file| file.filter(|file| file.id == id.hex()))
        .map_err(|p| p.help("remove the file; the next run chooses afresh"))
}

/// The record in a file, if that is there.
///
/// # Errors
/// If it cannot be read, is no plain file of a sane size, or holds something else.
pub fn read_file(path: &Path) -> Result<Option<SelectionFile>> {
    const LARGEST: u64 = 256 << 20;
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() || meta.len() > LARGEST => {
            Err(Problem::system(format!("{} is no record of a choice", path.display())))
        }
        _ => read_json(path),
    }
}

/// How the names of such files begin, and end.
const AROUND: [&str; 2] = ["selection-", ".json"];

/// The file of a choice.
pub fn path_of(nodes: &Path, id: &str) -> PathBuf {
    nodes.join(format!("{}{}{}", AROUND[0], &id[..12.min(id.len())], AROUND[1]))
}

/// Whether a name in `nodes/` is that of such a file.
pub fn is_file(name: &str) -> bool {
    name.starts_with(AROUND[0]) && name.ends_with(AROUND[1])
}

/// What identifies one that competes: the nodes whose metric decides about it, at its first seed. More
/// seeds do not make it another.
pub fn evidence(keys: &[Key]) -> Key {
    let mut hex: Vec<String> = keys.iter().map(Key::hex).collect();
    hex.sort_unstable();
    hex.dedup();
    Key::of_text(&hex.join(" "))
}

/// What identifies a choice: all that compete, the metric, and how many are kept. It knows neither spec
/// nor sweep, so that the same question has one answer.
pub fn id(metric: &str, keep: u64, candidates: &[Key]) -> Key {
    let mut hex: Vec<String> = candidates.iter().map(Key::hex).collect();
    hex.sort_unstable();
    let asked = serde_json::json!({ "by": metric, "candidates": hex, "keep": keep });
    Key::of_text(&canonical(&asked))
}

/// Which of some means are the best, at most so many; of equal ones the first. What is no number is
/// never chosen.
pub fn best(means: &[f64], keep: u64, smaller_is_better: bool) -> Vec<bool> {
    let sign = if smaller_is_better { 1.0 } else { -1.0 };
    let mut order: Vec<usize> = (0..means.len()).filter(|i| means[*i].is_finite()).collect();
    order.sort_by(|a, b| (sign * means[*a]).total_cmp(&(sign * means[*b])));
    order.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    (0..means.len()).map(|i| order.contains(&i)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_and_what_is_no_number_is_not() {
        let means = [3.0, f64::NAN, 1.0, 2.0, 1.0];
        assert_eq!(best(&means, 2, true), [false, false, true, false, true]);
        assert_eq!(best(&means, 1, true), [false, false, true, false, false]);
        assert_eq!(best(&means, 2, false), [true, false, false, true, false]);
        assert_eq!(best(&means, 9, true), [true, false, true, true, true]);
        assert_eq!(best(&[f64::INFINITY], 1, false), [false]);
    }

    #[test]
    fn a_choice_is_the_same_in_whatever_order_it_is_asked() {
        let [a, b] = ["a", "b"].map(Key::of_text);
        assert_eq!(id("error", 1, &[a, b]), id("error", 1, &[b, a]));
        assert_ne!(id("error", 1, &[a, b]), id("error", 2, &[a, b]));
        assert_ne!(id("error", 1, &[a, b]), id("loss", 1, &[a, b]));
        assert_eq!(evidence(&[a, b, b]), evidence(&[b, a]));
    }

    #[test]
    fn a_record_is_read_back_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::of_text("asked");
        assert_eq!(read(folder.path(), &key).unwrap(), None);
        let candidate = CandidateFile {
            name: "schedule=linear".into(),
            evidence: Key::of_text("a").hex(),
            values: BTreeMap::from([(0, Some(1.5)), (1, None)]),
            chosen: true,
        };
        let file = SelectionFile {
            id: key.hex(),
            of: "net".into(),
            by: "score.power_spectrum.error".into(),
            smaller_is_better: true,
            keep: 2,
            seeds: vec![0, 1],
            made: "2026-01-01T00:00:00Z".into(),
            candidates: vec![candidate],
            earlier: vec![],
        };
        file.write(folder.path()).unwrap();
        assert_eq!(read(folder.path(), &key).unwrap(), Some(file.clone()));
        assert_eq!(file.evidence_chosen(), BTreeSet::from([Key::of_text("a").hex().as_str()]));
        assert!(file.candidates[0].mean().is_nan());
        std::fs::write(path_of(folder.path(), &key.hex()), "{").unwrap();
        let said = read(folder.path(), &key).unwrap_err().to_string();
        assert!(said.contains("selection-") && said.contains("remove the file"), "{said}");
    }
}
