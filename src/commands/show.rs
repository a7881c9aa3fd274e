//! `ablate show`: everything about a node.

use super::asking::OfSpec;
use super::{Done, Opened, Place, print, short, spec_of};
use crate::key::explain;
use crate::problem::Problem;
use crate::store;
use crate::words;
use petgraph::graph::NodeIndex;

/// Arguments of `ablate show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate show 'net[schedule=cosine,seed=1]'")]
pub(super) struct Show {
    /// A node: its name, its readable name, or its key.
    node: String,
    #[command(flatten)]
    of: OfSpec,
}

impl Show {
    pub(super) fn run(&self, place: &Place) -> Done {
        let (spec, asking) = spec_of(&self.node, self.of.given(), place)?;
        let opened = Opened::read(&spec, &asking, place)?;
        for index in opened.find(&self.node)? {
            show(&opened, index)?;
        }
        Ok(0)
    }
}

fn show(opened: &Opened, index: NodeIndex) -> Result<(), Problem> {
    let node = &opened.graph.nodes[index];
    print(&format!(
        "{}\nkey     {}\nstate   {}",
        node.name,
        node.key.hex(),
        opened.plan.reason(index).sentence()
    ));
    for (role, input, from) in opened.graph.named_inputs(index) {
        let (name, port, key) = (&from.name, input.port, input.key.short());
        print(&format!("input   {role} = {name}.{port} ({key})"));
    }
    print("settings (defaults included)");
    for (path, value) in explain(&node.settings.full()) {
        print(&format!("  {path}: {value}"));
    }
    let folder = opened.results.node(&node.folder());
    if let Some(adopted) = store::read_node(&folder).ok().and_then(|file| file.adopted) {
        let (made, reason, key) = (&adopted.made, &adopted.reason, short(&adopted.key));
        print(&format!("adopted from {key}, {made}: {reason}"));
        for (path, [old, new]) in &adopted.differences {
            let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
            print(&format!("  {path}: {} → {}", short(&word(old)), short(&word(new))));
        }
    }
    if let Some(record) = &opened.record {
        let metrics = record.metrics(&node.key)?;
        if !metrics.is_empty() {
            print("metrics");
        }
        for (name, metric) in metrics {
            print(format!("  {name} = {} {}", metric.value, metric.unit).trim_end());
        }
    }
    if let Ok(file) = crate::store::read_node(&folder) {
        for arithmetic in &file.arithmetic {
            print(&format!("made on {arithmetic}"));
        }
        print(&format!("files in {}", folder.display()));
        for artefact in &file.artefacts {
            print(&format!(
                "  {}  {}  {}",
                artefact.path,
                words::bytes(artefact.bytes),
                &artefact.blake3[..12]
            ));
        }
    }
    Ok(())
}
