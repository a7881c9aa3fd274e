//! What a node may read from: which declarations lie upstream, which port a role takes, and the
//! limits and defaults that an input sets for the settings of its users.

use crate::problem::Problem;
use crate::settings::{Found, Kind, Reader, Reference, Sampler, Weights};
use crate::spec::{Declaration, Spec};
use serde_json::Value;
use std::collections::BTreeSet;

/// For each declaration, those it may read from, directly or not, itself included.
pub(super) fn upstream(spec: &Spec) -> Vec<BTreeSet<usize>> {
    // Any word in a reference field of a body, a variable or a sweep may name a node, so that axes
    // over references count too.
    let index_of = |word: &str| {
        let name = word.split('.').next().unwrap_or_default();
        let exact = spec.nodes.iter().position(|node| node.name == word);
        exact.or_else(|| spec.nodes.iter().position(|node| node.name == name))
    };
    let direct = |node: &Declaration| {
        let mut found = BTreeSet::new();
        for role in ["data", "from", "samples", "reference"] {
            let Some(Value::String(word)) = node.body.get(role) else { continue };
            match word.strip_prefix('$') {
                Some(var) => {
                    let swept = spec.sweeps.iter().flat_map(|sweep| values_of(sweep, var));
                    let all = swept.chain(spec.vars.get(var).cloned());
                    found.extend(all.filter_map(|v| index_of(v.as_str()?)));
                }
                None => found.extend(index_of(word)),
            }
            let path = format!("{}.{role}", node.written);
            let swept = spec.sweeps.iter().flat_map(|sweep| values_of(sweep, &path));
            found.extend(swept.filter_map(|v| index_of(v.as_str()?)));
        }
        found
    };
    let direct: Vec<BTreeSet<usize>> = spec.nodes.iter().map(direct).collect();
    (0..spec.nodes.len())
        .map(|start| {
            let mut seen = BTreeSet::from([start]);
            let mut left = vec![start];
            while let Some(index) = left.pop() {
                left.extend(direct[index].iter().filter(|next| seen.insert(**next)));
            }
            seen
        })
        .collect()
}

/// The values that a sweep gives a variable or path.
fn values_of(sweep: &crate::spec::Sweep, name: &str) -> Vec<Value> {
    use crate::spec::Operator;
    let axes: Vec<&crate::spec::Axis> = match &sweep.operator {
        Operator::Product(axes) => axes.iter().collect(),
        Operator::OneAtATime(variations) => variations.iter().flat_map(|v| &v.axes).collect(),
    };
    let values = axes.into_iter().filter(|axis| axis.name == name).flat_map(|axis| &axis.values);
    values.map(|placed| placed.value.clone()).collect()
}

/// The port that a role reads, of a node of this kind.
pub(super) fn port(role: &str, reference: &Reference, kind: Kind) -> Result<String, Problem> {
    let wanted: &[Kind] = match role {
        "data" | "reference" => &[Kind::Dataset],
        "from" => &[Kind::Train],
        _ => &[Kind::Sample, Kind::Dataset],
    };
    if !wanted.contains(&kind) {
        let words: Vec<&str> = wanted.iter().map(|kind| kind.word()).collect();
        let problem = Problem::new(format!("`{}` is a {} node", reference.node, kind.word()));
        return Err(problem.help(format!("`{role}` takes a {} node", words.join(" or "))));
    }
    match (kind, role, reference.port.as_deref()) {
        (Kind::Dataset, _, Some(port @ ("train" | "validation" | "test"))) => Ok(port.to_owned()),
        (Kind::Dataset, "data", None) => Ok("train".to_owned()),
        (Kind::Dataset, "reference", None) => Ok("test".to_owned()),
        (Kind::Dataset, _, None) => {
            Err(Problem::new(format!("which split of `{}`?", reference.node))
                .help(format!("write {0}.train, {0}.validation or {0}.test", reference.node)))
        }
        (Kind::Dataset, _, Some(port)) => {
            Err(Problem::new(format!("a dataset has no port `{port}`"))
                .help("its ports are train, validation and test"))
        }
        (_, _, None) => Ok("out".to_owned()),
        (_, _, Some(port)) => {
            Err(Problem::new(format!("a {} node has no port `{port}`", kind.word()))
                .help(format!("write `{}` alone", reference.node)))
        }
    }
}

/// The weights that a sample node takes by default, and the limits that its training sets.
pub(super) fn settle_sample(
    sample: &mut crate::settings::Sample,
    train: &crate::settings::Train,
    found: &Found<'_>,
    reader: &mut Reader,
) {
    let (ema, validates) = (train.ema.on().is_some(), train.validation.on().is_some());
    let missing = match sample.weights {
        Some(Weights::Ema | Weights::BestEma) if !ema => {
            Some("the training keeps no moving average (`ema: off`)")
        }
        Some(Weights::Best | Weights::BestEma) if !validates => {
            Some("the training does not validate (`validation: off`)")
        }
        _ => None,
    };
    if let Some(why) = missing {
        reader.wrong_key(
            found,
            "weights",
            Problem::new(why).help("take `weights: last`, or leave `weights` out"),
        );
    }
    sample.weights.get_or_insert(match (ema, validates) {
        (true, true) => Weights::BestEma,
        (true, false) => Weights::Ema,
        _ => Weights::Last,
    });
    let crate::settings::Objective::Ddpm(ddpm) = &train.objective;
    let asked = match &sample.sampler {
        Sampler::Ddim(ddim) => Some(ddim.steps),
        Sampler::Ddpm(ancestral) => ancestral.steps,
    };
    let path = crate::settings::keys(&["sampler", sample.sampler.word(), "steps"]);
    if let Some(steps) = asked.filter(|steps| *steps > ddpm.timesteps) {
        let problem = Problem::new(format!(
            "{steps} sampler steps, but the training has {} times",
            ddpm.timesteps
        ));
        let at = Found { value: found.value, path };
        reader.wrong::<()>(&at, problem.help(format!("at most {} steps", ddpm.timesteps)));
    }
}

/// Limits that external files set for a dataset; `None` if one is broken, which is then noted.
pub(super) fn check_dataset(
    dataset: &crate::settings::Dataset,
    found: &Found<'_>,
    reader: &mut Reader,
) -> Option<()> {
    use crate::settings::Dataset;
    let (setting, file, group_setting, group) = match dataset {
        Dataset::Npy(s) => ("file", &s.file, "group", s.group),
        Dataset::CamelsCmd(s) => ("maps", &s.maps, "maps_per_simulation", s.maps_per_simulation),
        _ => return Some(()),
    };
    let before = reader.count();
    let items = match (dataset, &file.shape[..]) {
        (_, [items, _, _]) | (Dataset::Npy(_), [items, _, _, _]) => *items,
        (_, shape) => {
            let what =
                if shape.is_empty() { "is not a `.npy` file" } else { "is of another shape" };
            let problem = Problem::new(format!("{} {what}", file.path.display()));
            reader.wrong_key(found, setting, problem.help("[n, h, w] is needed, or [n, c, h, w]"));
            return None;
        }
    };
    if !items.is_multiple_of(group) {
        let problem =
            Problem::new(format!("{items} items are not a whole number of groups of {group}"));
        reader.wrong_key(
            found,
            group_setting,
            problem.help("give the number that belong together"),
        );
    }
    if dataset.split().is_none_or(|split| split.train == 0) {
        let problem = Problem::new("nothing is left to train on");
        let help = "keep a smaller fraction for validation and test";
        reader.wrong_key(found, setting, problem.help(help));
    }
    (reader.count() == before).then_some(())
}

/// Limits that the data set for a training.
pub(super) fn check_train(
    train: &crate::settings::Train,
    data: &crate::settings::Dataset,
    found: &Found<'_>,
    reader: &mut Reader,
) {
    let crate::settings::Model::Unet(unet) = &train.model;
    let halvings = unet.multipliers.len().saturating_sub(1) as u32;
    let factor = 2_u64.pow(halvings);
    if let Some(geometry) = data.geometry()
        && let Some(side) =
            [geometry.height, geometry.width].into_iter().find(|side| !side.is_multiple_of(factor))
    {
        let sentence = format!(
            "a U-Net of {} divides the side by {factor}, and {side} is not divisible by that",
            crate::words::plural(unet.multipliers.len(), "level"),
        );
        reader.wrong_key(
            found,
            "model",
            Problem::new(sentence).help("take fewer `multipliers`, or data of another side"),
        );
    }
    if train.validation.on().is_some() && data.split().is_some_and(|split| split.validation == 0) {
        let problem = Problem::new("the dataset keeps nothing for validation");
        reader.wrong_key(
            found,
            "validation",
            problem.help("give it `validation: 0.1`, or train with `validation: off`"),
        );
    }
}
