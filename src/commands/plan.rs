//! `ablate plan`: what would run, why, what sharing saves, and how long it may take.

use super::asking::Asking;
use super::plan_site::submissions;
use super::{Done, Opened, Place, print};
use crate::cost::{self, Estimate};
use crate::decide::{self, Contest};
use crate::demand::Demands;
use crate::forecast::{self, Forecast};
use crate::graph::Selection;
use crate::plan::Reason;
use crate::pool;
use crate::problem::{Problem, Problems, Result};
use crate::rooms::Room;
use crate::settings::Kind;
use crate::site::Site;
use crate::words::{self, plural};
use petgraph::graph::NodeIndex;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Arguments of `ablate plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Runs nothing. `ablate why NODE` tells more about one node.

Examples:
  ablate plan experiments/first.yaml
  ablate plan experiments/first.yaml --on 8xH200     (by what such a GPU did for this results folder before)
  ablate plan experiments/first.yaml --on slurm      (a site in configs/sites/: what is submitted, and when it is done)
  ablate plan experiments/first.yaml --resolved      (where each value comes from)")]
pub(super) struct PlanCommand {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// List every node, the finished ones too.
    #[arg(long)]
    all: bool,
    /// Print each value of the merged spec with the file and line it came from.
    #[arg(long)]
    resolved: bool,
    /// Plan for these devices, such as 8xH200 or 4xcpu, or for a site, instead of those of this machine.
    #[arg(long, value_name = "DEVICES")]
    on: Option<String>,
    /// Write what a cluster's scheduler would get into this folder.
    #[arg(long, value_name = "DIR", requires = "on", conflicts_with = "json")]
    scripts: Option<PathBuf>,
    /// Print everything as JSON.
    #[arg(long, conflicts_with = "resolved")]
    json: bool,
}

/// Nodes listed without `--all`.
const LISTED: usize = 40;

/// Names of a path that are shown.
const SHOWN: usize = 6;

/// The devices that a plan is for.
struct Devices {
    rooms: Vec<Room>,
    /// How many nodes run at once, at most.
    limit: usize,
    /// `cpu`, or the model of a GPU or a part of it.
    model: String,
}

impl Devices {
    /// The devices of as many pilots as a site allows.
    fn of_site(site: &Site) -> Self {
        let count = usize::try_from(site.most.saturating_mul(site.slots)).unwrap_or(usize::MAX);
        Self::alike(count.clamp(1, 100_000), &site.model().unwrap_or_else(|| "cpu".to_owned()))
    }

    /// Reads `8xH200`; nothing if it is no number and model.
    fn read(text: &str) -> Option<Self> {
        let (count, model) = text.split_once(['x', '×'])?;
        let count = count.trim().parse().ok().filter(|count| (1..=100_000).contains(count))?;
        let model = model.trim();
        (!model.is_empty()).then(|| Self::alike(count, model))
    }

    /// So many devices of one model. How much memory a GPU of it has is known if there is one here.
    fn alike(count: usize, model: &str) -> Self {
        let memory = (model != "cpu").then(|| {
            let here = pool::devices_here(None).unwrap_or_default();
            let like = here.iter().find(|device| cost::is_device(device.word(), model));
            like.and_then(|device| device.memory).unwrap_or(Room::UNKNOWN)
        });
        // Small nodes share GPUs: of their hosts it is supposed that they have cores enough.
        let limit = if memory.is_some() { usize::MAX } else { count };
        Self { rooms: vec![Room::here(memory); count], limit, model: model.to_owned() }
    }

    /// The devices of this machine.
    fn here() -> Result<Self> {
        let devices = pool::devices_here(None)?;
        let model = devices.first().map_or("cpu", |device| device.word()).to_owned();
        let rooms: Vec<Room> = devices.iter().map(|d| Room::here(d.memory)).collect();
        Ok(Self { limit: rooms.len().max(pool::cores()), rooms, model })
    }

    fn count(&self) -> usize {
        self.rooms.len()
    }

    fn is_cpu(&self) -> bool {
        self.model == "cpu"
    }

    fn word(&self) -> String {
        match self.is_cpu() {
            true => plural(self.count(), "core"),
            false => format!("{} × {}", self.count(), self.model),
        }
    }

    /// Time of a device in the unit in which it is paid.
    fn time(&self, seconds: f64) -> String {
        match (self.is_cpu(), seconds >= 3600.0) {
            (false, true) => format!("{:.1} GPU-hours", seconds / 3600.0),
            (true, true) => format!("{:.1} core-hours", seconds / 3600.0),
            _ => words::duration(words::span(seconds)),
        }
    }

    /// An estimate with its interval.
    fn times(&self, estimate: &Estimate) -> String {
        let (low, high) = (self.time(estimate.low), self.time(estimate.high));
        format!("{} ({low} to {high})", self.time(estimate.seconds))
    }
}

/// A plan with all that is told of it.
struct Told {
    opened: Opened,
    devices: Devices,
    /// The nodes that were asked for, and whether those are all.
    asked: BTreeSet<NodeIndex>,
    is_whole: bool,
    /// Those of them that would run.
    to_run: BTreeSet<NodeIndex>,
    forecast: Forecast,
    /// Nodes whose last attempt failed, and unfinished nodes behind them.
    failed: BTreeSet<NodeIndex>,
    blocked: BTreeSet<NodeIndex>,
    /// Shares by which the newest estimates were wrong.
    errors: Vec<f64>,
    /// What is known of each selection.
    chosen: Vec<String>,
}

impl PlanCommand {
    pub(super) fn run(&self, place: &Place) -> Done {
        let mut site = None;
        let devices = match &self.on {
            None => Devices::here()?,
            Some(on) => match Devices::read(on) {
                Some(devices) => devices,
                None => Devices::of_site(site.insert(self.site(on)?)),
            },
        };
        let opened = Opened::read_for(&self.spec, &self.asking, place, &devices.model)?;
        if self.resolved {
            for (path, value, origin) in crate::spec::resolved(&opened.spec.merged) {
                print(&format!("{path}: {value}    # {origin}"));
            }
            return Ok(0);
        }
        let told = Told::of(opened, devices)?;
        if self.json {
            let text = serde_json::to_string_pretty(&told.json()).expect("numbers and words");
            print(&text);
            return Ok(0);
        }
        print(&format!("{}\n", told.opened.spec.question));
        self.list(&told);
        told.summary().iter().for_each(|line| print(line));
        if let Some(site) = site {
            let Told { opened, to_run, .. } = &told;
            submissions(&site, opened, to_run).show(self.scripts.as_deref())?;
        }
        Ok(0)
    }

    fn site(&self, on: &str) -> Result<Site, Problems> {
        let file = Site::find(on, &self.spec).map_err(|problem| {
            let known =
                problem.help.clone().map_or_else(String::new, |help| format!("; of sites {help}"));
            let help =
                format!("write a number and a model, such as 8xH200 or 4xcpu, or a site{known}");
            Problem::new(format!("`--on {on}` names no devices")).help(help)
        })?;
        Site::read(&file)
    }

    fn list(&self, told: &Told) {
        let Opened { graph, plan, .. } = &told.opened;
        let listed: Vec<NodeIndex> =
            told.asked.iter().copied().filter(|i| self.all || plan.reason(*i).runs()).collect();
        let limit = if self.all { usize::MAX } else { LISTED };
        for index in listed.iter().take(limit) {
            let (node, reason) = (&graph.nodes[*index], plan.reason(*index).sentence());
            let (kind, key, name) = (node.kind().word(), node.key.short(), &node.name);
            let failed = if told.failed.contains(index) { "; it failed last time" } else { "" };
            print(&format!("{kind:<9} {key}  {name}  {reason}{failed}"));
        }
        if listed.len() > limit {
            let more = plural(listed.len() - limit, "node");
            print(&format!("… and {more} more; --all lists them"));
        }
        if !listed.is_empty() {
            print("");
        }
    }
}

impl Told {
    fn of(opened: Opened, devices: Devices) -> Result<Self> {
        let Opened { graph, plan, record, .. } = &opened;
        let chosen = graph.chosen();
        let is_whole = chosen.is_none();
        let asked = chosen.unwrap_or_else(|| graph.indices().collect());
        let to_run: BTreeSet<NodeIndex> = plan.to_run().filter(|i| asked.contains(i)).collect();
        let seen = || record.as_ref().and_then(|record| record.device_memory().ok());
        let demands = Demands::on(&devices.rooms, || seen().unwrap_or_default());
        let (rooms, limit) = (devices.rooms.as_slice(), devices.limit);
        let there = forecast::Devices { rooms, demands: &demands, limit };
        let forecast = forecast::make(graph, plan, &to_run, &there);
        let failures = match record {
            Some(record) if !to_run.is_empty() => record.failures()?,
            _ => BTreeMap::new(),
        };
        let has_failed = |i: &NodeIndex| failures.contains_key(&graph.nodes[*i].key.hex());
        let failed: BTreeSet<NodeIndex> = match failures.is_empty() {
            true => BTreeSet::new(),
            false => to_run.iter().copied().filter(has_failed).collect(),
        };
        let mut blocked = BTreeSet::new();
        let mut left: Vec<NodeIndex> = failed.iter().copied().collect();
        while let Some(index) = left.pop() {
            for user in graph.users(index).filter(|user| to_run.contains(user)) {
                if blocked.insert(user) {
                    left.push(user);
                }
            }
        }
        let chosen = match record {
            Some(record) => decide::contests(graph, record)?.iter().map(Contest::told).collect(),
            None => graph.selections.iter().map(|s| Contest::unknown(s).told()).collect(),
        };
        let errors = record.as_ref().map(|r| r.estimate_errors()).transpose()?.unwrap_or_default();
        let told = Self {
            asked,
            is_whole,
            to_run,
            forecast,
            failed,
            blocked,
            errors,
            chosen,
            opened,
            devices,
        };
        Ok(told)
    }

    /// How many of the nodes of a kind satisfy something.
    fn count(&self, kind: Kind, is: impl Fn(NodeIndex) -> bool) -> usize {
        let graph = &self.opened.graph;
        self.asked.iter().filter(|i| graph.nodes[**i].kind() == kind && is(**i)).count()
    }

    /// Whether nodes of a kind are asked for, now or once something is chosen.
    fn has(&self, kind: Kind) -> bool {
        let graph = &self.opened.graph;
        self.count(kind, |_| true) > 0
            || graph.selections.iter().any(|selection| selection.pending_of(kind) > 0)
    }

    /// The lines behind the list of nodes.
    fn summary(&self) -> Vec<String> {
        let mut lines = self.table();
        lines.extend(self.chosen.iter().take(SHOWN).cloned());
        if self.chosen.len() > SHOWN {
            let more = plural(self.chosen.len() - SHOWN, "more choice");
            lines.push(format!("… and {more}; `ablate select` lists them."));
        }
        if self.to_run.is_empty() {
            lines.push("Nothing to run.".to_owned());
            return lines;
        }
        lines.extend(self.savings());
        lines.extend(self.times());
        if let Some(bytes) = self.forecast.bytes {
            lines.push(format!("Disk: about {}.", words::bytes(bytes as u64)));
        }
        if !self.failed.is_empty() {
            let (failed, blocked) = (plural(self.failed.len(), "node"), self.blocked.len());
            lines.push(format!(
                "{failed} failed last time, {blocked} behind; they are tried again."
            ));
        }
        lines.extend(scored(&self.errors));
        lines
    }

    /// A line for each kind.
    fn table(&self) -> Vec<String> {
        let (graph, plan) = (&self.opened.graph, &self.opened.plan);
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        let head = ["", "new", "go on", "again", "finished", "shared", "device time"];
        table.set_header(head);
        for column in table.column_iter_mut().skip(1).take(4) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
        for kind in Kind::ALL.into_iter().filter(|kind| self.has(*kind)) {
            let later: usize = graph.selections.iter().map(|s| s.pending_of(kind)).sum();
            let count = |is: &dyn Fn(&Reason) -> bool| match self
                .count(kind, |index| is(plan.reason(index)))
            {
                0 => "–".to_owned(),
                n => n.to_string(),
            };
            let all = self.count(kind, |_| true);
            let unshared = graph.unshared.get(&kind).copied().unwrap_or(0);
            let shared = match self.is_whole && unshared > all {
                true => format!("{all} instead of {unshared}"),
                false => String::new(),
            };
            let time = match (self.forecast.by_kind.get(&kind), self.forecast.unknown.get(&kind)) {
                (Some(time), None) => self.devices.times(time),
                (Some(time), Some(n)) => format!("{} and {n} unknown", self.devices.times(time)),
                (None, Some(_)) => "unknown".to_owned(),
                (None, None) => String::new(),
            };
            let goes_on =
                |r: &Reason| matches!(r, Reason::Interrupted { .. } | Reason::Continues { .. });
            let again = |r: &Reason| r.runs() && *r != Reason::New && !goes_on(r);
            let new = count(&|r| *r == Reason::New);
            let new = match later {
                0 => new,
                n if new == "–" => format!("up to {n}"),
                n => format!("{new} + up to {n}"),
            };
            table.add_row([
                kind.word().to_owned(),
                new,
                count(&goes_on),
                count(&again),
                count(&|r| !r.runs()),
                shared,
                time,
            ]);
        }
        table
            .lines()
            .map(|line| line.trim_end().strip_prefix(' ').unwrap_or_default().to_owned())
            .collect()
    }

    /// What sharing saves: nodes that points ask for and that are made once.
    fn savings(&self) -> Option<String> {
        let graph = &self.opened.graph;
        if !self.is_whole {
            return None;
        }
        let all = graph.unshared.get(&Kind::Train).copied().unwrap_or(0);
        let made = self.count(Kind::Train, |_| true);
        let saved = all.checked_sub(made).filter(|saved| *saved > 0)?;
        let runs = self.to_run.iter().filter(|i| graph.nodes[**i].kind() == Kind::Train).count();
        let each = self.forecast.by_kind.get(&Kind::Train).filter(|_| runs > 0);
        let time = each.map_or(String::new(), |each| {
            let saved = self.devices.time(each.seconds / runs as f64 * saved as f64);
            format!(", which saves about {saved}")
        });
        Some(format!("Sharing: {} instead of {all}{time}.", plural(made, "training")))
    }

    /// Device time, the end, and the longest path.
    fn times(&self) -> Vec<String> {
        let Forecast { total, unknown, finish, path, .. } = &self.forecast;
        let mut lines = vec![];
        let word = self.devices.word();
        if !unknown.is_empty() {
            let kinds: Vec<String> =
                unknown.iter().map(|(kind, n)| format!("{n} {}", kind.word())).collect();
            lines.push(format!(
                "Unknown duration on {word}: no history there for {} to run.",
                kinds.join(", ")
            ));
        }
        if let Some(total) = total {
            let known = if unknown.is_empty() { "" } else { " of what is known" };
            lines.push(format!("Device time{known}: {}.", self.devices.times(total)));
        }
        if let Some([low, middle, high]) = finish {
            let [low, middle, high] = [low, middle, high].map(|s| words::duration(words::span(*s)));
            lines.push(format!("Finished on {word} in about {middle} ({low} to {high})."));
            let names: Vec<&str> =
                path.0.iter().map(|i| self.opened.graph.nodes[*i].name.as_str()).collect();
            let more = if names.len() > SHOWN { " → …" } else { "" };
            let names = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(" → ");
            let span = words::duration(words::span(path.1));
            lines.push(format!("Longest path: {span}, {names}{more}."));
        }
        lines
    }

    fn json(&self) -> serde_json::Value {
        let Opened { spec, graph, plan, .. } = &self.opened;
        let interval = |e: &Estimate| json!({ "seconds": e.seconds, "low": e.low, "high": e.high });
        let node = |index: &NodeIndex| {
            let (node, reason) = (&graph.nodes[*index], plan.reason(*index));
            json!({
                "name": node.name,
                "declared": &*node.declared,
                "kind": node.kind().word(),
                "key": node.key.hex(),
                "runs": reason.runs(),
                "reason": reason.sentence(),
                "blocked": self.blocked.contains(index),
                "estimate": plan.estimate(*index).as_ref().map(interval),
                "bytes": plan.bytes(*index),
            })
        };
        let kind = |kind: Kind| {
            let all = self.count(kind, |_| true);
            let unshared = graph.unshared.get(&kind).copied().unwrap_or(0);
            let counts = json!({
                "to_run": self.count(kind, |i| plan.reason(i).runs()),
                "finished": self.count(kind, |i| !plan.reason(i).runs()),
                "blocked": self.count(kind, |i| self.blocked.contains(&i)),
                "without_sharing": unshared.max(all),
                "unknown": self.forecast.unknown.get(&kind).copied().unwrap_or(0),
                "device_seconds": self.forecast.by_kind.get(&kind).map(interval),
            });
            (kind.word().to_owned(), counts)
        };
        let selection = |(selection, told): (&Selection, &String)| {
            let pending =
                Kind::ALL.into_iter().map(|kind| (kind.word(), selection.pending_of(kind)));
            json!({
                "reader": selection.name(),
                "of": selection.of,
                "by": selection.by_metric(),
                "keep": selection.keep,
                "candidates": selection.candidates.len(),
                "chosen": selection.file.as_ref().map(|file| file.chosen()),
                "seeds": selection.file.as_ref().map(|file| &file.seeds),
                "pending": pending.filter(|(_, most)| *most > 0).collect::<BTreeMap<_, _>>(),
                "told": told,
            })
        };
        let path: Vec<&str> =
            self.forecast.path.0.iter().map(|i| graph.nodes[*i].name.as_str()).collect();
        json!({
            "experiment": spec.name,
            "question": spec.question,
            "points": graph.points.len(),
            "devices": { "count": self.devices.count(), "model": self.devices.model },
            "kinds": Kind::ALL.into_iter().map(kind).collect::<serde_json::Map<_, _>>(),
            "device_seconds": self.forecast.total.as_ref().map(interval),
            "finish_seconds": self.forecast.finish.map(|[low, seconds, high]| {
                json!({ "seconds": seconds, "low": low, "high": high })
            }),
            "longest_path": { "nodes": path, "seconds": self.forecast.path.1 },
            "bytes": self.forecast.bytes,
            "estimate_errors": self.errors,
            "selections": graph.selections.iter().zip(&self.chosen).map(selection).collect::<Vec<_>>(),
            "nodes": self.asked.iter().map(node).collect::<Vec<_>>(),
        })
    }
}

/// How good the newest estimates were.
pub(super) fn scored(errors: &[f64]) -> Option<String> {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2)?;
    let many = match errors.len() {
        1 => "The last estimate was off by".to_owned(),
        n => format!("The last {n} estimates were off by a median of"),
    };
    Some(format!("{many} {:.0} %.", 100.0 * median))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_people_write_them() {
        let read = |text: &str| Devices::read(text).map(|d| (d.count(), d.model));
        assert_eq!(read("8xH200"), Some((8, "H200".to_owned())));
        assert_eq!(read("4xcpu"), Some((4, "cpu".to_owned())));
        for wrong in ["", "H200", "0xcpu", "x", "8x", "-1xcpu"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn estimates_are_scored_by_their_median() {
        assert_eq!(scored(&[]), None);
        assert_eq!(scored(&[0.5]).unwrap(), "The last estimate was off by 50 %.");
        let many = scored(&[0.1, 0.9, 0.09]).unwrap();
        assert_eq!(many, "The last 3 estimates were off by a median of 10 %.");
    }
}
