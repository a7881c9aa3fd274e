//! `ablate why`: why a node will run, is skipped, waits, or failed, from the code that decides.

use super::asking::OfSpec;
use super::{Done, Opened, Place, print, short, spec_of};
use crate::plan::{self, Reason};
use crate::problem::Problem;
use crate::record::Attempt;
use petgraph::graph::NodeIndex;

/// Arguments of `ablate why`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ablate why net --spec experiments/first.yaml
  ablate why 'draw[schedule=cosine,seed=1]'")]
pub(super) struct Why {
    /// A node: its name, its readable name, or its key.
    node: String,
    #[command(flatten)]
    of: OfSpec,
}

/// Differences shown against the nearest finished node.
const SHOWN: usize = 12;

impl Why {
    pub(super) fn run(&self, place: &Place) -> Done {
        let (spec, asking) = spec_of(&self.node, self.of.given(), place)?;
        let opened = Opened::read(&spec, &asking, place)?;
        for index in opened.find(&self.node)? {
            explain(&opened, index)?;
        }
        Ok(0)
    }
}

fn explain(opened: &Opened, index: NodeIndex) -> Result<(), Problem> {
    let node = &opened.graph.nodes[index];
    let reason = opened.plan.reason(index);
    if *reason == Reason::Finished {
        print(&format!("{} is skipped: it is finished, in nodes/{}", node.name, node.folder()));
        return Ok(());
    }
    let failure = |index: NodeIndex| -> Result<Option<Attempt>, Problem> {
        let Some(record) = &opened.record else { return Ok(None) };
        let last = record.attempts(&opened.graph.nodes[index].key)?.pop();
        Ok(last.filter(|attempt| attempt.outcome == "failed"))
    };
    if let Some(last) = failure(index)? {
        let (class, message) = (last.class.unwrap_or_default(), last.message.unwrap_or_default());
        print(&format!("{} failed, and the next run tries it again", node.name));
        print(&format!("  attempt {} failed [{class}]: {message}", last.attempt));
        print(&format!("  `ablate log {}` shows what the worker said", node.key.short()));
    } else {
        print(&format!("{} will run: {}", node.name, reason.sentence()));
    }
    for input in opened.graph.inputs(index).filter(|input| opened.plan.reason(*input).runs()) {
        let name = &opened.graph.nodes[input].name;
        match failure(input)? {
            Some(last) => print(&format!(
                "  it is blocked: {name} failed [{}]",
                last.class.unwrap_or_default()
            )),
            None => print(&format!("  it waits for {name}")),
        }
    }
    let Some(record) = &opened.record else { return Ok(()) };
    if matches!(reason, Reason::New | Reason::Continues { .. }) {
        let finished = record.identities(node.kind())?;
        let Some((name, changes)) = plan::nearest(&node.identity(), &finished) else {
            print(&format!("  no {} node is finished yet", node.kind().word()));
            return Ok(());
        };
        print(&format!("  the nearest finished node, {name}, differs in:"));
        for change in changes.iter().take(SHOWN) {
            let word =
                |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            print(&format!(
                "    {}: {} → {}",
                change.path,
                short(&word(&change.old)),
                short(&word(&change.new))
            ));
        }
    }
    Ok(())
}
