//! `ablate check`: everything that is wrong with a spec, at once.

use super::{Done, print, say};
use crate::graph::{Asked, Graph};
use crate::problem::Problems;
use crate::words::plural;
use std::path::PathBuf;

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
            let asked = Asked { profile: self.profile.clone(), ..Asked::default() };
            let checked = Graph::read_with(file, &asked).and_then(|(spec, graph)| {
                crate::draw::check(&spec, &graph)?;
                Ok((spec, graph))
            });
            match checked {
                Ok((spec, graph)) => {
                    graph.notices.iter().for_each(|notice| say(&format!("note: {notice}")));
                    let points = plural(graph.points.len(), "point");
                    let nodes = plural(graph.nodes.node_count(), "node");
                    print(&format!(
                        "{}: {points}, {nodes}. {}",
                        spec.file.display(),
                        spec.question
                    ));
                }
                Err(mut found) => problems.0.append(&mut found.0),
            }
        }
        problems.or(0)
    }
}
