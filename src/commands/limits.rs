//! How much a run may cost: device time (`--budget`), or the time at which it ends (`--deadline`). What
//! fits is chosen before anything starts, seeds first, so that whole tables come early.

use crate::forecast;
use crate::graph::Graph;
use crate::plan::Plan;
use crate::problem::{Problem, Result};
use crate::run::Limits;
use crate::words::{self, plural};
use jiff::Zoned;
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The options that limit a run.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Limiting {
    /// Run for at most this much time of devices, such as 40gpuh, 3h or 30m; seed 0 of everything first.
    #[arg(long, value_name = "TIME")]
    budget: Option<String>,
    /// End by this time of day or after this span, such as 18:00 or 2h; what fits is run, seed 0 first.
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
}

impl Limiting {
    /// The limits, if there are any.
    ///
    /// # Errors
    /// If a time is none.
    pub(super) fn limits(&self) -> Result<Limits> {
        let device_seconds = self.budget.as_deref().map(budget).transpose()?;
        let seconds = self.deadline.as_deref().map(|text| deadline(text, &Zoned::now()));
        let end = seconds.transpose()?.map(|s| Instant::now() + Duration::from_secs_f64(s));
        Ok(Limits { device_seconds, end })
    }

    /// Whether there are none.
    pub(super) fn is_none(&self) -> bool {
        self.budget.is_none() && self.deadline.is_none()
    }
}

/// Seconds of a budget.
fn budget(text: &str) -> Result<f64> {
    let plain = ["gpuh", "coreh"].iter().find_map(|unit| text.trim().strip_suffix(unit));
    let seconds = match plain {
        Some(hours) => words::number(hours).map(|hours| hours * 3600.0),
        None => words::seconds(text),
    };
    seconds.filter(|seconds| *seconds > 0.0 && *seconds < 1e12).ok_or_else(|| {
        Problem::new(format!("`--budget {text}` is no time")).help("write 40gpuh, 3h or 30m")
    })
}

/// Seconds from now to a time of day, today or tomorrow, or the length of a span.
fn deadline(text: &str, now: &Zoned) -> Result<f64> {
    let wrong =
        || Problem::new(format!("`--deadline {text}` is no time")).help("write 18:00 or 2h");
    if !text.contains(':') {
        let seconds = words::seconds(text);
        return seconds.filter(|s| *s > 0.0 && *s < 1e9).ok_or_else(wrong);
    }
    let time: jiff::civil::Time = text.trim().parse().map_err(|_| wrong())?;
    let today = now.date().to_datetime(time).to_zoned(now.time_zone().clone());
    let mut then = today.map_err(|_| wrong())?;
    if then <= *now {
        then = then.tomorrow().map_err(|_| wrong())?;
    }
    Ok(then.timestamp().as_second() as f64 - now.timestamp().as_second() as f64)
}

/// The nodes that fit, and what is said of them.
pub(super) fn fitting(
    graph: &Graph,
    plan: &Plan,
    wanted: &BTreeSet<NodeIndex>,
    devices: &forecast::Devices,
    limits: &Limits,
) -> (BTreeSet<NodeIndex>, Vec<String>) {
    let unknown = wanted.iter().filter(|index| plan.estimate(**index).is_none()).count();
    if unknown > 0 {
        let nodes = plural(unknown, "node");
        let text = format!(
            "the cost of {nodes} is unknown; the run ends when the limit is reached, wherever that is"
        );
        return (wanted.clone(), vec![text]);
    }
    let seconds = limits.end.map(|end| end.saturating_duration_since(Instant::now()).as_secs_f64());
    let fits = forecast::within(graph, plan, wanted, devices, seconds, limits.device_seconds);
    let lines = complete(graph, plan, &fits);
    (fits, lines)
}

/// How many points will be complete, by seed.
fn complete(graph: &Graph, plan: &Plan, fits: &BTreeSet<NodeIndex>) -> Vec<String> {
    let is_done = |index: NodeIndex| fits.contains(&index) || !plan.reason(index).runs();
    let mut seeds: BTreeMap<Option<u64>, (usize, usize)> = BTreeMap::new();
    for (i, point) in graph.points.iter().enumerate() {
        let (done, all) = seeds.entry(point.seed).or_default();
        *all += 1;
        *done += usize::from(graph.nodes_at(i).all(|(_, node, _)| is_done(node)));
    }
    let (done, all) = seeds.values().fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1));
    let by_seed: Vec<String> = seeds
        .iter()
        .filter_map(|(seed, (done, all))| Some(format!("seed {}: {done} of {all}", (*seed)?)))
        .collect();
    let by_seed = match by_seed.is_empty() {
        true => String::new(),
        false => format!(" ({})", by_seed.join(", ")),
    };
    vec![format!("by then {done} of {} will be complete{by_seed}", plural(all, "point"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_in_hours_of_devices() {
        assert_eq!(budget("40gpuh").unwrap(), 144_000.0);
        assert_eq!((budget("3h").unwrap(), budget("30m").unwrap()), (10_800.0, 1_800.0));
        for wrong in ["", "gpuh", "-1h", "0s", "much"] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_deadline_is_the_next_such_time_or_a_span() {
        let now: Zoned = "2026-03-01T17:30:00+00:00[UTC]".parse().unwrap();
        assert_eq!(deadline("18:00", &now).unwrap(), 1800.0);
        assert_eq!(deadline("17:00", &now).unwrap(), 23.5 * 3600.0);
        assert_eq!(deadline("2h", &now).unwrap(), 7200.0);
        for wrong in ["", "25:00", "soon", "-1h"] {
            assert!(deadline(wrong, &now).is_err(), "{wrong}");
        }
    }
}
