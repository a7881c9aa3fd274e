//! `ablate why`: why a node will run, is skipped, waits, or failed, from the code that decides.

use super::asking::OfSpec;
use super::settled::Settled;
use super::{Done, Opened, Place, print, short, spec_of};
use crate::coordinator;
use crate::key::Key;
use crate::plan::{self, Reason};
use crate::problem::Problem;
use crate::record::{Attempt, Holder, Record};
use crate::store::Results;
use crate::words::{self, plural};
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;

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
        let root = place.of(&spec);
        if let Some(answer) = Settled::answer(&spec, asking.profile.as_deref(), &root) {
            let found = answer.find(&self.node);
            let record = Record::open_to_read(&Results { root }.database())?;
            for node in &found {
                is_skipped(node.name, node.folder, &node.key, record.as_ref())?;
            }
            if !found.is_empty() {
                return Ok(0);
            }
        }
        let opened = Opened::read(&spec, &asking, place)?;
        for index in opened.find(&self.node)? {
            explain(&opened, index)?;
        }
        Ok(0)
    }
}

/// Everything that decides about a node.
struct Asked<'o> {
    opened: &'o Opened,
    index: NodeIndex,
    /// What living runs work on, by folder.
    claims: BTreeMap<String, Holder>,
}

fn explain(opened: &Opened, index: NodeIndex) -> Result<(), Problem> {
    let claims = match &opened.record {
        Some(record) => record.claims()?,
        None => BTreeMap::new(),
    };
    let alive = |holder: &Holder| coordinator::is_alive(&opened.results, &holder.coordinator);
    let claims = claims.into_iter().filter(|(_, holder)| alive(holder)).collect();
    let asked = Asked { opened, index, claims };
    let (node, reason) = (&opened.graph.nodes[index], opened.plan.reason(index));
    if *reason == Reason::Finished {
        return is_skipped(&node.name, &node.folder(), &node.key, opened.record.as_ref());
    }
    if let Some(holder) = asked.claims.get(&node.folder()) {
        print(&format!("{} runs now, on the slot {}", node.name, holder.slot));
        return Ok(());
    }
    match asked.failure(index)? {
        Some(last) => asked.has_failed(&last)?,
        None => print(&format!("{} will run: {}", node.name, reason.sentence())),
    }
    asked.waits()?;
    if matches!(reason, Reason::New | Reason::Continues { .. }) {
        asked.differs()?;
    }
    Ok(())
}

/// Tells that a node is finished, and who made it.
fn is_skipped(name: &str, folder: &str, key: &Key, record: Option<&Record>) -> Result<(), Problem> {
    print(&format!("{name} is skipped: it is finished, in nodes/{folder}"));
    let Some(record) = record else { return Ok(()) };
    let attempts = record.attempts(key)?;
    if let Some(last) = attempts.last().filter(|attempt| attempt.outcome == "done") {
        let (seconds, host) = (words::span(last.seconds), &last.host);
        let span = words::duration(seconds);
        let tries = plural(attempts.len(), "attempt");
        print(&format!("  made {} on {host} in {span}, {tries}", last.started));
    }
    Ok(())
}

impl Asked<'_> {
    fn name(&self, index: NodeIndex) -> &str {
        &self.opened.graph.nodes[index].name
    }

    /// The last attempt at a node, if that failed.
    fn failure(&self, index: NodeIndex) -> Result<Option<Attempt>, Problem> {
        let Some(record) = &self.opened.record else { return Ok(None) };
        let last = record.attempts(&self.opened.graph.nodes[index].key)?.pop();
        Ok(last.filter(|attempt| attempt.outcome == "failed"))
    }

    /// Why it failed, and which of its siblings failed alike.
    fn has_failed(&self, last: &Attempt) -> Result<(), Problem> {
        let class = last.class.clone().unwrap_or_default();
        let message = last.message.clone().unwrap_or_default();
        print(&format!("{} failed, and the next run tries it again", self.name(self.index)));
        print(&format!("  attempt {} failed [{class}]: {message}", last.attempt));
        let Some(record) = &self.opened.record else { return Ok(()) };
        let alike = record.failed_alike(last)?;
        if alike > 1 {
            let others = plural(alike - 1, "other node");
            print(&format!("  {others} failed with the same message"));
        }
        let key = self.opened.graph.nodes[self.index].key.short();
        print(&format!("  `ablate log {key}` shows what the worker said"));
        Ok(())
    }

    /// What it waits for: inputs that are not finished, or a slot.
    fn waits(&self) -> Result<(), Problem> {
        let Opened { graph, plan, .. } = self.opened;
        let mut waits = false;
        for input in graph.inputs(self.index).filter(|input| plan.reason(*input).runs()) {
            waits = true;
            let name = self.name(input);
            let holder = self.claims.get(&graph.nodes[input].folder());
            print(&match (self.failure(input)?, holder) {
                (_, Some(holder)) => {
                    format!("  it waits for {name}, which runs on the slot {}", holder.slot)
                }
                (Some(last), None) => {
                    format!("  it is blocked: {name} failed [{}]", last.class.unwrap_or_default())
                }
                (None, None) => format!("  it waits for {name}"),
            });
        }
        let taken: Vec<String> = self
            .claims
            .iter()
            .filter(|(folder, holder)| {
                !folder.starts_with("trajectory-") && !holder.slot.is_empty()
            })
            .map(|(folder, holder)| format!("{} has {}", holder.slot, self.name_of(folder)))
            .collect();
        if !waits && !taken.is_empty() {
            print(&format!("  it waits for a slot: {}", taken.join(", ")));
        }
        Ok(())
    }

    /// The readable name of a folder, if it is of this spec.
    fn name_of(&self, folder: &str) -> String {
        let mut nodes = self.opened.graph.nodes.node_weights();
        nodes.find(|node| node.folder() == folder).map_or(folder, |node| &node.name).to_owned()
    }

    /// Field by field, how it differs from the nearest finished node of its kind.
    fn differs(&self) -> Result<(), Problem> {
        let Some(record) = &self.opened.record else { return Ok(()) };
        let node = &self.opened.graph.nodes[self.index];
        let finished = record.identities(node.kind(), &node.declared)?;
        let Some((name, changes)) = plan::nearest(&node.identity(), &finished) else {
            print(&format!("  no {} node is finished yet", node.kind().word()));
            return Ok(());
        };
        print(&format!("  the nearest finished node, {name}, differs in:"));
        for change in changes.iter().take(SHOWN) {
            let word =
                |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            let (old, new) = (word(&change.old), word(&change.new));
            print(&format!("    {}: {} → {}", change.path, short(&old), short(&new)));
        }
        if changes.len() > SHOWN {
            print(&format!("    and {}", plural(changes.len() - SHOWN, "more line")));
        }
        Ok(())
    }
}
