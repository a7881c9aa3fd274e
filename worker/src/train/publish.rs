//! What a train node publishes at its length: weights, history, metrics.

use super::session::Session;
use crate::data::manifest::Manifest;
use crate::files::write_json;
use crate::net;
use crate::serve::Context;
use crate::weights;
use ablate::files::write_artefact;
use ablate::job::{Better, Costs, Metric, Metrics, Series, SeriesFile};
use ablate::problem::Result;
use ablate::settings::{Identity, Setting, Train};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Points of the loss curve, at most; the history holds every step.
const POINTS: usize = 1000;

/// Steps over which the final loss is averaged.
const LAST: usize = 100;

/// Writes everything into the work folder.
pub(super) fn publish(
    context: &Context<'_>,
    session: &mut Session<'_>,
    manifest: &Manifest,
    took: Duration,
    steps: u64,
) -> Result<()> {
    let ended = session.has_ended();
    // A length between two validations gets one of its own, which the trajectory does not remember:
    // a longer training must not depend on the lengths published on its way.
    if session.state.validations.last().is_none_or(|(step, ..)| *step != session.state.step) {
        session.validate()?;
    }
    let work = &context.job.work;
    manifest.described().write(work)?;
    write_weights(context, session, manifest)?;
    write_json(&work.join("metrics.json"), &metrics(session, ended))?;
    write_json(&work.join("series.json"), &series(session))?;
    write_artefact(&work.join("history.csv"), history(session).as_bytes())?;
    write_json(&work.join("arithmetic.json"), &session.state.arithmetic)?;
    let waiting_seconds = session.feed.waited.as_secs_f64();
    let seconds = took.as_secs_f64();
    context.costs(&Costs { seconds, steps, waiting_seconds, ..Costs::default() })
}

fn write_weights(context: &Context<'_>, session: &Session<'_>, manifest: &Manifest) -> Result<()> {
    let metadata = json!({
        "model": session.settings.model.write(Identity::Full),
        "objective": session.settings.objective.write(Identity::Full),
        "conditions": session.settings.conditions.write(Identity::Full),
        "channels": manifest.channels,
        "side": manifest.side,
    });
    let all = [
        ("last", Some(&session.net.state)),
        ("ema", session.average.as_ref().map(|average| average.ema.average())),
        ("best", session.best.as_ref()),
        ("best_ema", session.best_average.as_ref()),
    ];
    for (word, tensors) in all {
        if let Some(tensors) = tensors {
            weights::write(
                &context.job.work.join(format!("{word}.safetensors")),
                tensors,
                &metadata,
            )?;
        }
    }
    Ok(())
}

fn metrics(session: &Session<'_>, ended: bool) -> Metrics {
    let mut metrics = Metrics::new();
    let mut put = |name: &str, value: Option<f64>| {
        let better = Better::of(Train::smaller_is_better(name));
        let metric = |value| Metric { value, unit: String::new(), better };
        metrics.extend(value.map(|value| (name.to_owned(), metric(value))));
    };
    let (state, steps) = (&session.state, session.state.step as f64);
    let last = &session.losses[session.losses.len().saturating_sub(LAST)..];
    put("loss", Some(last.iter().sum::<f64>() / last.len().max(1) as f64));
    put("steps", Some(steps));
    put("parameters", Some(net::count(&session.net.parameters) as f64));
    put("ended_at", ended.then_some(steps));
    put("validation_loss", state.validations.last().map(|(_, plain, _)| *plain));
    put("validation_loss_ema", state.validations.last().and_then(|(_, _, average)| *average));
    put("best_validation_loss", state.best.map(|(loss, _)| loss));
    put("best_validation_loss_ema", state.best_ema.map(|(loss, _)| loss));
    metrics
}

fn series(session: &Session<'_>) -> SeriesFile {
    let curve = |x: Vec<f64>, mean: Vec<f64>| Series {
        x_unit: "step".to_owned(),
        y_unit: String::new(),
        columns: BTreeMap::from([("x".to_owned(), x), ("mean".to_owned(), mean)]),
    };
    let width = session.losses.len().div_ceil(POINTS).max(1);
    let bins = session.losses.chunks(width).enumerate();
    let (x, mean) = bins
        .map(|(i, bin)| {
            let middle = (i * width) as f64 + (bin.len() as f64 + 1.0) / 2.0;
            (middle, bin.iter().sum::<f64>() / bin.len() as f64)
        })
        .unzip();
    let mut all = SeriesFile::from([("loss".to_owned(), curve(x, mean))]);
    let validations = &session.state.validations;
    if !validations.is_empty() {
        let steps: Vec<f64> = validations.iter().map(|(step, ..)| *step as f64).collect();
        let plain = validations.iter().map(|(_, plain, _)| *plain).collect();
        all.insert("validation_loss".to_owned(), curve(steps.clone(), plain));
        let average: Vec<f64> = validations.iter().filter_map(|(_, _, average)| *average).collect();
        if average.len() == steps.len() {
            all.insert("validation_loss_ema".to_owned(), curve(steps, average));
        }
    }
    let every = session.losses.len().div_ceil(POINTS).max(1);
    let (x, mean) = session
        .learning_rates()
        .enumerate()
        .step_by(every)
        .map(|(i, rate)| (i as f64 + 1.0, rate))
        .unzip();
    all.insert("learning_rate".to_owned(), curve(x, mean));
    all
}

/// `history.csv`: a line a step; validation losses stand at their steps.
fn history(session: &Session<'_>) -> String {
    let mut out = String::from("step,loss,learning_rate,validation_loss,validation_loss_ema\n");
    let validations: BTreeMap<u64, (f64, Option<f64>)> = session
        .state
        .validations
        .iter()
        .map(|(step, plain, average)| (*step, (*plain, *average)))
        .collect();
    for (i, (loss, rate)) in session.losses.iter().zip(session.learning_rates()).enumerate() {
        let step = i as u64 + 1;
        let (plain, average) = validations
            .get(&step)
            .map_or((None, None), |(plain, average)| (Some(*plain), *average));
        let cell = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        out += &format!("{step},{loss},{rate},{},{}\n", cell(plain), cell(average));
    }
    out
}
