//! `ablate check`: everything that is wrong with a spec, at once.

use super::{Done, print, say};
use crate::expand::Point;
use crate::graph::{Asked, Graph};
use crate::problem::Problems;
use crate::spec::Spec;
use crate::words::plural;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Arguments of `ablate check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Runs nothing. Exit code 2 if anything is wrong.

Example:
  ablate check experiments/*.yaml")]
pub(super) struct Check {
    /// The specs, YAML files.
    #[arg(required = true)]
    specs: Vec<PathBuf>,
    /// With this profile above them.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

impl Check {
    pub(super) fn run(&self) -> Done {
        let mut problems = Problems::default();
        for file in &self.specs {
            let chosen = self.profile.as_deref();
            match check(file, chosen) {
                Ok(spec) => {
                    // Without a choice every profile has to hold.
                    let all = spec.merged.profiles().iter().filter(|_| chosen.is_none());
                    for profile in all {
                        if let Err(mut found) = check(file, Some(profile)) {
                            problems.0.append(&mut found.0);
                        }
                    }
                }
                Err(mut found) => problems.0.append(&mut found.0),
            }
        }
        problems.or(0)
    }
}

/// Checks a spec with a profile above it.
fn check(file: &Path, profile: Option<&str>) -> Result<Spec, Problems> {
    let asked = Asked { profile: profile.map(str::to_owned), ..Asked::default() };
    let (spec, graph) = Graph::read_with(file, &asked)?;
    crate::draw::check(&spec, &graph)?;
    graph.notices.iter().for_each(|notice| say(&format!("note: {notice}")));
    // What several sweeps have in common is one point.
    let changes = |point: &Point| -> BTreeSet<u32> { point.changes.iter().map(|c| c.id).collect() };
    let distinct: BTreeSet<BTreeSet<u32>> = graph.points.iter().map(changes).collect();
    let points = plural(distinct.len(), "point");
    let nodes = plural(graph.nodes.node_count(), "node");
    let (file, question) = (file.display(), &spec.question);
    let with = profile.map_or(String::new(), |profile| format!(" with the profile {profile}"));
    print(&format!("{file}{with}: {points}, {nodes}. {question}"));
    Ok(spec)
}
