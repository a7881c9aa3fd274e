//! What `ablate plan --on SITE` tells of a site: jobs, machine time and scripts.

use super::{Opened, print};
use crate::fleet;
use crate::problem::{Problem, Result};
use crate::site::{self, Pool, Purpose, Site};
use crate::words::plural;
use crate::{files, words};
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What would be submitted.
pub(super) struct Submissions {
    /// A line for each pool that has anything to do, and for its jobs of one node.
    lines: Vec<String>,
    /// The scripts, by their names.
    scripts: Vec<(String, String)>,
    job: String,
}

/// What a site would be asked for.
pub(super) fn submissions(
    site: &Site,
    opened: &Opened,
    to_run: &BTreeSet<NodeIndex>,
) -> Submissions {
    let names = fleet::names(&opened.results, &opened.spec.name);
    let pools = site.all_pools();
    let mut classes: BTreeMap<usize, Vec<Option<f64>>> = BTreeMap::new();
    for index in to_run {
        let seconds = opened.plan.estimate(*index).map(|estimate| estimate.seconds);
        let class = site::class(&pools, &opened.graph.nodes[*index].asks(seconds));
        classes.entry(class).or_default().push(seconds);
    }
    if classes.is_empty() {
        classes.insert(0, vec![]);
    }
    let (mut lines, mut scripts) = (vec![], vec![]);
    for (class, seconds) in &classes {
        let (pool, is_own) = (&pools[site::pool_of(*class)], site::has_own_job(*class));
        let lead = if pool.name.is_empty() { String::new() } else { format!("{}: ", pool.name) };
        let (count, time) = (seconds.len() as u64, each(pool));
        let slots = if is_own { 1 } else { pool.site.slots };
        let most = count.div_ceil(slots).min(pool.site.most);
        let purpose = if is_own { Purpose::Own("own-ID") } else { Purpose::Pilots(most.max(1)) };
        let what = match is_own {
            false => format!("up to {} at once", plural(most as usize, "pilot")),
            _ if count == 1 => "in a job of its own".to_owned(),
            _ => format!("each in a job of its own, up to {most} at once"),
        };
        let nodes = plural(count as usize, "node");
        lines.push(format!("  {lead}{nodes}, {what}{time}{}", hours(seconds, slots)));
        let name = match (pool.name.as_str(), is_own) {
            ("", false) => "pilots.sh".to_owned(),
            ("", true) => "own.sh".to_owned(),
            (name, false) => format!("pilots-{name}.sh"),
            (name, true) => format!("own-{name}.sh"),
        };
        scripts.push((name, pool.site.script(&names, &pool.name, purpose)));
    }
    Submissions { lines, scripts, job: names.job }
}

/// How long each job may take.
fn each(pool: &Pool) -> String {
    let time = pool.wall_time().map(|seconds| words::duration(words::span(seconds)));
    time.map_or(String::new(), |time| format!(", each for {time}"))
}

/// The time of machines, as far as it is known: nodes share a machine's time with those beside them.
fn hours(seconds: &[Option<f64>], slots: u64) -> String {
    let known: Vec<f64> = seconds.iter().flatten().copied().collect();
    if known.is_empty() {
        return String::new();
    }
    let sum = known.iter().sum::<f64>() / slots as f64;
    let at_least = if known.len() < seconds.len() { "at least " } else { "about " };
    match sum >= 3600.0 {
        true => format!("; {at_least}{} node-hours", words::significant(sum / 3600.0)),
        false => format!("; {at_least}{} of a machine", words::duration(words::span(sum))),
    }
}

impl Submissions {
    /// Prints it, and the scripts too if they are not to be written into a folder.
    pub(super) fn show(&self, folder: Option<&Path>) -> Result<()> {
        print(&format!("On the cluster, as jobs named {}:\n{}", self.job, self.lines.join("\n")));
        let Some(folder) = folder else {
            self.scripts.iter().for_each(|(_, script)| print(&format!("\n{}", script.trim_end())));
            return Ok(());
        };
        fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
        for (name, script) in &self.scripts {
            let path = folder.join(name);
            files::write_aside(&path, script.as_bytes())?;
            print(&format!("Written to {}.", path.display()));
        }
        Ok(())
    }
}
