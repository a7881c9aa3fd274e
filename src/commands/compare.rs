//! `ablate compare`: what two nodes are made of and what came out, side by side; or points, or specs.

use super::asking::Asking;
use super::compare_points::Arm;
use super::{Done, Opened, Place, compare_points, compare_specs, print, short, spec_of};
use crate::job::Arithmetic;
use crate::job::{Metric, Metrics, Series, SeriesFile};
use crate::key::{self, Change, Input};
use crate::problem::{Problem, Problems, Result};
use crate::store::{self, NodeFile};
use crate::survey;
use crate::words::{plural, significant};
use petgraph::graph::NodeIndex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Arguments of `ablate compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ablate compare 'net[schedule=linear,seed=0]' 'net[schedule=cosine,seed=0]'
  ablate compare 'net[seed=0]' 'net[seed=0]' --spec experiments/a.yaml --spec-b experiments/b.yaml
  ablate compare schedule=linear schedule=cosine --spec experiments/a.yaml     (points that agree on everything else)
  ablate compare experiments/a.yaml experiments/b.yaml
  ablate compare experiments/a.yaml --against HEAD~1     (the spec as it was)")]
pub(super) struct Compare {
    /// A node: its name, its readable name, or its key; or values of axes; or a spec.
    a: String,
    /// Another node, other values, or another spec.
    #[arg(required_unless_present = "against")]
    b: Option<String>,
    /// A revision of git: the spec as it was there comes first.
    #[arg(long, value_name = "REVISION", conflicts_with_all = ["b", "spec", "spec_b"])]
    against: Option<String>,
    /// With this profile above both specs.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The spec that they belong to.
    #[arg(long)]
    spec: Option<PathBuf>,
    /// The spec of the second one, if it is another.
    #[arg(long, value_name = "SPEC")]
    spec_b: Option<PathBuf>,
}

/// One of the two, with what is known of it.
struct Side {
    opened: Opened,
    asking: Asking,
    index: NodeIndex,
    /// Its `node.json`, metrics and series, if it is finished.
    finished: Option<(NodeFile, Metrics, SeriesFile)>,
}

impl Compare {
    pub(super) fn run(&self, place: &Place) -> Done {
        let is_spec = |name: &str| [".yaml", ".yml"].iter().any(|ending| name.ends_with(ending));
        let asking = Asking::of(self.profile.clone());
        match (&self.b, self.against.as_deref()) {
            (None, Some(revision)) if is_spec(&self.a) => {
                let spec = Path::new(&self.a);
                compare_specs::compare(spec, spec, Some(revision), &asking, place)
            }
            (Some(b), None) if is_spec(&self.a) && is_spec(b) => {
                compare_specs::compare(Path::new(&self.a), Path::new(b), None, &asking, place)
            }
            (Some(b), None) if !is_spec(&self.a) && !is_spec(b) => {
                match (Arm::read(&self.a), Arm::read(b)) {
                    (Some(_), Some(_)) if self.spec_b.is_some() => {
                        let problem = Problem::new("points are those of one spec");
                        Err(problem.help("leave `--spec-b` out").into())
                    }
                    (Some(a), Some(b)) => {
                        let (spec, profile) = (self.spec.as_deref(), self.profile.clone());
                        compare_points::compare(&[a, b], spec, profile, place)
                    }
                    _ => self.nodes(b, place),
                }
            }
            (Some(_), _) => Err(compare_specs::refuse("a node and a spec are not alike").into()),
            (None, _) => Err(compare_specs::refuse("`--against` takes a spec").into()),
        }
    }

    fn nodes(&self, b: &str, place: &Place) -> Done {
        let given = |spec: &Option<PathBuf>| Some((spec.clone()?, Asking::default()));
        let a = Side::read(&self.a, given(&self.spec), place)?;
        let b = match given(&self.spec_b).or(given(&self.spec)) {
            Some(spec) => Side::read(b, Some(spec), place)?,
            // The spec of the first, unless only another one knows the name.
            None => {
                match Side::read(b, Some((a.opened.spec.file.clone(), a.asking.clone())), place) {
                    Ok(b) => b,
                    Err(problems) => match spec_of(b, None, place) {
                        Ok(spec) => Side::read(b, Some(spec), place)?,
                        Err(_) => return Err(problems),
                    },
                }
            }
        };
        print(&format!("a  {}\nb  {}", a.line(), b.line()));
        compare_identities(&a, &b);
        compare_inputs(&a, &b);
        let (Some((file_a, metrics_a, series_a)), Some((file_b, metrics_b, series_b))) =
            (&a.finished, &b.finished)
        else {
            print("only finished nodes have numbers to compare");
            return Ok(0);
        };
        compare_arithmetic(file_a, file_b);
        compare_metrics(metrics_a, metrics_b);
        compare_series(series_a, series_b);
        Ok(0)
    }
}

impl Side {
    fn read(name: &str, given: Option<(PathBuf, Asking)>, place: &Place) -> Result<Self, Problems> {
        let (spec, asking) = spec_of(name, given, place)?;
        let opened = Opened::read(&spec, &asking, place)?;
        let index = only(&opened, name)?;
        let folder = opened.results.wherever(&opened.graph.nodes[index].folder());
        let finished = match folder.join("node.json").exists() {
            true => {
                let (metrics, series) = survey::numbers(&folder)?;
                Some((store::read_node(&folder)?, metrics, series))
            }
            false => None,
        };
        Ok(Self { opened, asking, index, finished })
    }

    fn node(&self) -> &crate::graph::Node {
        &self.opened.graph.nodes[self.index]
    }

    fn line(&self) -> String {
        let state = if self.finished.is_some() { "finished" } else { "not finished" };
        format!("{}  {}  {state}", self.node().name, self.node().folder())
    }

    /// The name, port and short key of the input with a role.
    fn input(&self, role: &str) -> Option<(String, String)> {
        let named = self.opened.graph.named_inputs(self.index);
        let (_, input, from) = named.iter().find(|(name, ..)| name == role)?;
        Some((format!("{}.{}", from.name, input.port), input.key.short()))
    }
}

/// The one node that a name stands for.
fn only(opened: &Opened, name: &str) -> Result<NodeIndex> {
    let found = opened.find(name)?;
    let [one] = found.as_slice() else {
        const SHOWN: usize = 4;
        let names = found.iter().take(SHOWN).map(|i| format!("`{}`", opened.graph.nodes[*i].name));
        let names: Vec<String> = names.collect();
        let more = if found.len() > SHOWN { ", …" } else { "" };
        let problem = Problem::new(format!("`{name}` stands for {}", plural(found.len(), "node")));
        return Err(problem.help(format!("name one of them: {}{more}", names.join(", "))));
    };
    Ok(*one)
}

fn compare_identities(a: &Side, b: &Side) {
    if a.node().key == b.node().key {
        print("identity: the same work, one key");
        return;
    }
    let changes = key::changes(&a.node().identity(), &b.node().identity());
    // Inputs are told by name below.
    let own: Vec<&Change> = changes.iter().filter(|c| !c.path.starts_with("inputs.")).collect();
    if own.is_empty() {
        print("identity: the same but for the inputs");
        return;
    }
    print(&format!("identity: {} with a difference", plural(own.len(), "line")));
    for change in own {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let (old, new) = (word(&change.old), word(&change.new));
        print(&format!("  {}: {} → {}", change.path, short(&old), short(&new)));
    }
}

fn compare_inputs(a: &Side, b: &Side) {
    let (of_a, of_b) = (a.node().inputs.named(), b.node().inputs.named());
    let roles: BTreeSet<&str> = of_a.iter().chain(&of_b).map(|(role, _)| role.as_str()).collect();
    if roles.is_empty() {
        return;
    }
    print("inputs");
    let told = |input: Option<(String, String)>| match input {
        Some((name, key)) => format!("{name} ({key})"),
        None => "nothing".to_owned(),
    };
    for role in roles {
        let of = |inputs: &[(String, &Input)]| {
            inputs.iter().find(|(name, _)| name == role).map(|(_, input)| (*input).clone())
        };
        let same = of(&of_a) == of(&of_b);
        let (of_a, of_b) = (told(a.input(role)), told(b.input(role)));
        print(&match same {
            true => format!("  {role}: the same, {of_a}"),
            false => format!("  {role}: {of_a} → {of_b}"),
        });
    }
}

fn compare_arithmetic(a: &NodeFile, b: &NodeFile) {
    let (of_a, of_b) = (Arithmetic::words(&a.arithmetic), Arithmetic::words(&b.arithmetic));
    print(&match of_a == of_b {
        true => format!("arithmetic: the same, {of_a}"),
        false => format!("arithmetic: {of_a} → {of_b}"),
    });
}

fn compare_metrics(a: &Metrics, b: &Metrics) {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    if names.is_empty() {
        return;
    }
    print("metrics");
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["", "a", "b", "b - a", "relative", "unit"]);
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    for name in names {
        let value = |metric: Option<&Metric>| metric.map_or(f64::NAN, |metric| metric.value);
        let (of_a, of_b) = (value(a.get(name)), value(b.get(name)));
        let unit = a.get(name).or(b.get(name)).map_or("", |metric| metric.unit.as_str());
        let relative = match (of_b - of_a) / of_a.abs() {
            part if part.is_finite() => format!("{:+.2} %", 100.0 * part),
            _ => "–".to_owned(),
        };
        table.add_row([
            name.clone(),
            significant(of_a),
            significant(of_b),
            significant(of_b - of_a),
            relative,
            unit.to_owned(),
        ]);
    }
    table.lines().for_each(|line| print(&format!(" {}", line.trim_end())));
}

fn compare_series(a: &SeriesFile, b: &SeriesFile) {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    if !names.is_empty() {
        print("series, by the largest difference relative to the larger of both values");
    }
    for name in names {
        match (a.get(name), b.get(name)) {
            (Some(of_a), Some(of_b)) => compare_curves(name, of_a, of_b),
            (Some(_), None) => print(&format!("  {name}: of a alone")),
            _ => print(&format!("  {name}: of b alone")),
        }
    }
}

fn compare_curves(name: &str, a: &Series, b: &Series) {
    let none = vec![];
    let x = |series: &'_ Series| series.columns.get("x").cloned().unwrap_or_default();
    let (x_a, x_b) = (x(a), x(b));
    if !alike(&x_a, &x_b) {
        print(&format!(
            "  {name}: at other x, {} and {}",
            plural(x_a.len(), "point"),
            plural(x_b.len(), "point")
        ));
        return;
    }
    for (column, of_a) in a.columns.iter().filter(|(column, _)| *column != "x") {
        let of_b = b.columns.get(column).unwrap_or(&none);
        print(&match largest(of_a, of_b) {
            None if alike(of_a, of_b) => format!("  {name}.{column}: equal"),
            None => format!("  {name}.{column}: of other lengths"),
            Some((i, part)) => {
                let at = x_a.get(i).copied().unwrap_or(i as f64);
                let unit = if a.x_unit.is_empty() { "" } else { &format!(" {}", a.x_unit) };
                format!(
                    "  {name}.{column}: {:.2} %, {} → {} at x = {}{unit}",
                    100.0 * part,
                    significant(of_a[i]),
                    significant(of_b[i]),
                    significant(at)
                )
            }
        });
    }
}

/// Whether two columns have the same values, NaN included.
fn alike(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

/// The place and size of the largest relative difference of columns of equal length; a number beside
/// one that is none counts as all of it.
fn largest(a: &[f64], b: &[f64]) -> Option<(usize, f64)> {
    if a.len() != b.len() {
        return None;
    }
    let part = |(a, b): (&f64, &f64)| match (b - a).abs() / a.abs().max(b.abs()) {
        part if part.is_finite() => part,
        _ if a == b || (a.is_nan() && b.is_nan()) => 0.0,
        _ => 1.0,
    };
    let parts = a.iter().zip(b).map(part).enumerate();
    // Of equal ones the first.
    parts
        .filter(|(_, part)| *part > 0.0)
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_relative_difference_counts_gaps_as_all() {
        assert_eq!(largest(&[1.0, 2.0, 0.0], &[1.0, 4.0, 0.0]), Some((1, 0.5)));
        assert_eq!(largest(&[1.0, f64::NAN], &[1.0, f64::NAN]), None);
        assert_eq!(largest(&[1.0, f64::NAN], &[1.0, 3.0]), Some((1, 1.0)));
        assert_eq!(largest(&[1.0], &[]), None);
    }
}
