//! Which points of a spec a command is asked about: a profile, seeds, a condition.

use crate::condition::Condition;
use crate::expand::Choice;
use crate::graph::Asked;
use crate::problem::{Problem, Result};
use crate::words;
use std::path::PathBuf;

/// The options that choose points.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Asking {
    /// Put this profile of the spec above it; its outputs stand beside those of the whole.
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Only these seeds, such as 0-4 or 0,2,7; seeds that the spec does not have are added.
    #[arg(long, value_name = "LIST")]
    seeds: Option<String>,
    /// Only the points where this holds, such as 'schedule == cosine and nfe > 10'.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// A revision of git to read the spec from.
    #[arg(skip)]
    pub(super) revision: Option<String>,
}

impl Asking {
    /// A profile of a spec, whole.
    pub(super) fn of(profile: Option<String>) -> Self {
        Self { profile, ..Self::default() }
    }

    /// Whether all points are meant.
    pub(super) fn is_all(&self) -> bool {
        self.seeds.is_none() && self.condition.is_none()
    }

    /// The same at a revision of git.
    pub(super) fn at(&self, revision: Option<&str>) -> Self {
        Self { revision: revision.map(str::to_owned), ..self.clone() }
    }

    /// What is asked for, beside the seeds that earlier runs added, with the folder of finished nodes.
    ///
    /// # Errors
    /// If a list of seeds or a condition is none.
    pub(super) fn asked(&self, recorded: Choice, nodes: PathBuf) -> Result<Asked> {
        let condition = match &self.condition {
            Some(text) => {
                let condition = Condition::parse(text)
                    .map_err(|p| Problem { sentence: format!("`--where`: {}", p.sentence), ..p })?;
                Some((condition, text.clone()))
            }
            None => None,
        };
        let seeds = self.seeds.as_deref().map(seeds).transpose()?;
        let choice = Choice { seeds, condition, ..recorded };
        let (profile, revision) = (self.profile.clone(), self.revision.clone());
        Ok(Asked { nodes: Some(nodes), profile, revision, choice })
    }
}

/// The options that name the spec of a node.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct OfSpec {
    /// The spec it belongs to: needed if that never ran here, or if several have such a name.
    #[arg(long)]
    pub(super) spec: Option<PathBuf>,
    /// The profile of that spec.
    #[arg(long, value_name = "NAME", requires = "spec")]
    pub(super) profile: Option<String>,
}

impl OfSpec {
    /// The spec that was named, if one was.
    pub(super) fn given(&self) -> Option<(PathBuf, Asking)> {
        Some((self.spec.clone()?, Asking::of(self.profile.clone())))
    }
}

/// Reads `0-4`, `0,2,7` or `0-2,9`.
fn seeds(text: &str) -> Result<Vec<u64>> {
    const MOST: u64 = 100_000;
    let mut seeds = vec![];
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (words::count(from), words::count(to)) {
            (Some(from), Some(to)) if from <= to && to - from < MOST => seeds.extend(from..=to),
            _ => {
                let problem = Problem::new(format!("`--seeds {text}` is no list of seeds"));
                return Err(problem.help("write 0-4, or 0,2,7"));
            }
        }
    }
    seeds.sort_unstable();
    seeds.dedup();
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_ranges_and_lists() {
        assert_eq!(seeds("0-2,9,1").unwrap(), [0, 1, 2, 9]);
        for wrong in ["", "2-1", "a", "1,,2", "0-1000000"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
