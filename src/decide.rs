//! Selections and rows → choices: what would be chosen by the numbers that are there, and whether that
//! differs from what was recorded.

use crate::graph::{Graph, Selection};
use crate::problem::Result;
use crate::record::Record;
use crate::selection::{CandidateFile, Earlier, SelectionFile, best};
use crate::settings::Kind;
use crate::words::{self, plural, significant};
use std::collections::{BTreeMap, BTreeSet};

/// A selection with what is known of those that compete.
#[derive(Debug)]
pub struct Contest<'g> {
    /// What is asked.
    pub selection: &'g Selection,
    /// For each that competes its metric by seed, the mean over the nodes there; only of seeds at which all of
    /// these nodes are finished.
    values: Vec<BTreeMap<u64, f64>>,
    /// How many of the deciding nodes are not finished.
    unfinished: usize,
}

impl<'g> Contest<'g> {
    /// Reads what is known.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn read(selection: &'g Selection, graph: &Graph, record: &Record) -> Result<Self> {
        let mut contest = Self { selection, values: vec![], unfinished: 0 };
        for candidate in &selection.candidates {
            let mut values = BTreeMap::new();
            for (seed, nodes) in &candidate.nodes {
                let (mut sum, mut finished) = (0.0, 0);
                for node in nodes {
                    let key = &graph.nodes[*node].key;
                    if record.is_recorded(key)? {
                        let metrics = record.metrics(key)?;
                        sum += metrics.get(&selection.metric).map_or(f64::NAN, |m| m.value);
                        finished += 1;
                    }
                }
                contest.unfinished += nodes.len() - finished;
                if finished == nodes.len() && finished > 0 {
                    values.insert(*seed, sum / finished as f64);
                }
            }
            contest.values.push(values);
        }
        Ok(contest)
    }

    /// Of a results folder where nothing is finished.
    pub fn unknown(selection: &'g Selection) -> Self {
        let nodes = selection.candidates.iter().flat_map(|candidate| candidate.nodes.values());
        let unfinished = nodes.map(Vec::len).sum();
        let values = vec![BTreeMap::new(); selection.candidates.len()];
        Self { selection, values, unfinished }
    }

    /// The choice by these seeds, or else by all at which everything that competes is finished; `None` if
    /// there is no such seed, or one of those asked for is not finished.
    pub fn choice(&self, asked: Option<&BTreeSet<u64>>) -> Option<SelectionFile> {
        let has = |seed: &u64| self.values.iter().all(|values| values.contains_key(seed));
        let all = self.selection.seeds();
        let seeds: Vec<u64> = match asked {
            Some(asked) => asked.intersection(&all).copied().collect(),
            None => all.into_iter().filter(has).collect(),
        };
        if seeds.is_empty() || !seeds.iter().all(has) {
            return None;
        }
        let competing = self.selection.candidates.iter().zip(&self.values);
        let mut candidates: Vec<CandidateFile> = competing
            .map(|(candidate, values)| CandidateFile {
                name: candidate.name.clone(),
                evidence: candidate.evidence.hex(),
                values: seeds
                    .iter()
                    .map(|seed| (*seed, Some(values[seed]).filter(|value| value.is_finite())))
                    .collect(),
                chosen: false,
            })
            .collect();
        let means: Vec<f64> = candidates.iter().map(CandidateFile::mean).collect();
        let chosen = best(&means, self.selection.keep, self.selection.smaller_is_better);
        for (candidate, chosen) in candidates.iter_mut().zip(chosen) {
            candidate.chosen = chosen;
        }
        Some(SelectionFile {
            id: self.selection.id.hex(),
            of: self.selection.of.clone(),
            by: self.selection.by_metric(),
            smaller_is_better: self.selection.smaller_is_better,
            keep: self.selection.keep,
            made: jiff::Timestamp::now().to_string(),
            candidates,
            seeds,
            earlier: vec![],
        })
    }

    /// The choice that would be made now, if it differs from the one that was recorded.
    pub fn fresh(&self) -> Option<SelectionFile> {
        let recorded = self.selection.file.as_ref()?;
        let mut fresh = self.choice(None)?;
        if recorded.evidence_chosen() == fresh.evidence_chosen() {
            return None;
        }
        fresh.earlier.clone_from(&recorded.earlier);
        fresh.earlier.push(Earlier {
            made: recorded.made.clone(),
            seeds: recorded.seeds.clone(),
            chosen: recorded.chosen().into_iter().map(str::to_owned).collect(),
        });
        Some(fresh)
    }

    /// What people should know of it, in a sentence.
    pub fn told(&self) -> String {
        let Selection { file, keep, of, candidates, .. } = self.selection;
        let name = self.selection.name();
        let by = self.selection.by_metric();
        let Some(file) = file else {
            let kinds = Kind::ALL.into_iter().map(|kind| (kind, self.selection.pending_of(kind)));
            let kinds: Vec<String> = kinds
                .filter(|(_, most)| *most > 0)
                .map(|(kind, most)| format!("{most} {}", kind.word()))
                .collect();
            let behind = match kinds.is_empty() {
                true => String::new(),
                false => format!("; up to {} nodes then", words::listed(&kinds)),
            };
            let when = match self.unfinished {
                0 => "in the next run".to_owned(),
                n => format!("after {}", plural(n, "more node")),
            };
            let of_all = format!("up to {keep} of {} {of}", candidates.len());
            return format!("{name} reads {of_all}, chosen by {by} {when}{behind}.");
        };
        let chosen = self.chosen(file);
        let seeds = seeds_word(&file.seeds);
        let was =
            format!("{name} reads {chosen}, chosen of {} by {by} at {seeds}", candidates.len());
        match self.fresh() {
            None => format!("{was}."),
            Some(fresh) => {
                let now = self.chosen(&fresh);
                let seeds = seeds_word(&fresh.seeds);
                format!("{was}; a fresh choice at {seeds} would be {now}.")
            }
        }
    }

    /// A line for each that competes, the best first, by the seeds of the record or else by all at which
    /// everything is finished.
    pub fn ranking(&self) -> Vec<String> {
        let now = || self.choice(None);
        let Some(file) = self.selection.file.clone().or_else(now) else { return vec![] };
        let number = |value: Option<f64>| value.map_or("NaN".to_owned(), significant);
        let sign = if file.smaller_is_better { 1.0 } else { -1.0 };
        let mut lines: Vec<(f64, String)> = file
            .candidates
            .iter()
            .map(|candidate| {
                let shown: Vec<String> =
                    candidate.values.values().map(|value| number(*value)).collect();
                let mark = if candidate.chosen { "*" } else { " " };
                let mean = number(Some(candidate.mean()));
                let of_seeds = format!("mean {mean} of {}", shown.join(", "));
                (
                    sign * candidate.mean(),
                    format!("{mark} {}[{}]  {of_seeds}", file.of, candidate.name),
                )
            })
            .collect();
        lines.sort_by(|a, b| a.0.total_cmp(&b.0));
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// What was chosen, each with its mean.
    fn chosen(&self, file: &SelectionFile) -> String {
        let chosen = file.candidates.iter().filter(|candidate| candidate.chosen);
        let shown: Vec<String> = chosen
            .map(|c| format!("{}[{}] ({})", file.of, c.name, significant(c.mean())))
            .collect();
        match shown.is_empty() {
            true => "nothing".to_owned(),
            false => words::listed(&shown),
        }
    }
}

/// Every selection of a graph with what is known of it.
///
/// # Errors
/// If the database refuses.
pub fn contests<'g>(graph: &'g Graph, record: &Record) -> Result<Vec<Contest<'g>>> {
    graph.selections.iter().map(|selection| Contest::read(selection, graph, record)).collect()
}

/// `seed 0`, `seeds 0, 1, 2`.
fn seeds_word(seeds: &[u64]) -> String {
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let word = if seeds.len() == 1 { "seed" } else { "seeds" };
    format!("{word} {}", list.join(", "))
}
