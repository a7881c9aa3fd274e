//! The train node: one length of a trajectory. The trajectory's folder holds checkpoints from which
//! any length goes on to the bit; what is published depends on the settings and the length alone,
//! never on how often the training was interrupted.

mod feed;
mod lesson;
mod preview;
mod publish;
mod session;

use crate::checkpoint::Checkpoint;
use crate::data::manifest::Manifest;
use crate::device;
use crate::loaded;
use crate::serve::{Context, End, input};
use ablate::problem::{Problem, Result};
use ablate::settings::{Cadence, Length, Train};
use session::Session;
use std::path::Path;
use std::time::{Duration, Instant};

/// The folder of samples to look at, beside the checkpoints.
const PREVIEWS: &str = "previews";

/// Runs a training up to its length.
///
/// # Errors
/// If files cannot be read or written, or the loss is not a number.
pub fn run(context: &Context<'_>, settings: &Train) -> Result<End> {
    let start = Instant::now();
    loaded::forget();
    let data = input(context.job, "data")?;
    let manifest = Manifest::read(&data.folder)?;
    let folder = context
        .job
        .trajectory
        .as_deref()
        .ok_or_else(|| Problem::system("the job names no trajectory"))?;
    let length = length(settings, &manifest, &data.port)?;
    let checkpoint = Checkpoint::newest(folder, length, &mut |text| context.note(text))?;
    keep_threads(context, checkpoint.as_ref());
    let mut session = Session::new(context, settings, &manifest, data, length)?;
    if let Some(checkpoint) = checkpoint {
        session.restore(checkpoint)?;
    }
    session.note_arithmetic(&context.arithmetic.borrow());
    let first = session.step();
    context.started(first, length);
    if session.has_ended() {
        context.note(format!("early stopping ended this training at step {first}"));
    }
    if !train(context, &mut session, &manifest, (folder, length))? {
        session.save(folder, false)?;
        context.checkpoint(session.step());
        return Ok(End::Stopped(session.step()));
    }
    if session.step() > first || first == 0 {
        session.save(folder, true)?;
        context.checkpoint(session.step());
    } else {
        // A length reached before is kept from now on, whoever asked for it first.
        ablate::files::write_aside(&folder.join(format!("checkpoint-{first:09}.kept")), b"")?;
    }
    let steps = session.step() - first;
    publish::publish(context, &mut session, &manifest, start.elapsed(), steps)?;
    Ok(End::Done)
}

/// Optimiser steps in all.
fn length(settings: &Train, manifest: &Manifest, split: &str) -> Result<u64> {
    let items = manifest.splits.get(split).copied().unwrap_or(0) as u64;
    if items == 0 {
        return Err(Problem::system(format!("the split `{split}` is empty")));
    }
    Ok(match settings.length() {
        Length::Steps(steps) => steps,
        Length::Epochs(epochs) => epochs * items.div_ceil(settings.batch),
    })
}

/// A resumed training keeps its number of threads, so that its bits stay the same.
fn keep_threads(context: &Context<'_>, checkpoint: Option<&Checkpoint>) {
    let Some(last) = checkpoint.and_then(|checkpoint| checkpoint.state.arithmetic.last()) else {
        return;
    };
    let mut now = context.arithmetic.borrow_mut();
    if last.device == now.device && last.threads != now.threads {
        device::set_threads(last.threads);
        now.threads = last.threads;
    }
}

/// Trains up to `length`, or to where early stopping ends it; false if it was asked to stop before.
fn train(
    context: &Context<'_>,
    session: &mut Session<'_>,
    manifest: &Manifest,
    (folder, length): (&Path, u64),
) -> Result<bool> {
    if context.job.preview.is_some() {
        context.note(format!("previews go to {}", folder.join(PREVIEWS).display()));
    }
    let pause = Duration::from_secs_f64(context.job.checkpoint_seconds.clamp(0.1, 1e6));
    let mut saved = Instant::now();
    while session.step() < length && !session.has_ended() {
        if context.stop() {
            return Ok(false);
        }
        session.advance()?;
        let step = session.step();
        let per_epoch = session.per_epoch();
        let is_due = |every: Cadence| step.is_multiple_of(every.steps(per_epoch));
        if context.job.preview.is_some_and(is_due) {
            session.preview(manifest, &folder.join(PREVIEWS))?;
        }
        if context.job.keep_every.is_some_and(is_due) && step < length {
            session.save(folder, true)?;
            context.checkpoint(step);
            saved = Instant::now();
        }
        if context.is_progress_due() {
            let loss = session.recent_loss()?;
            context.progress(session.step(), length, loss);
        }
        if saved.elapsed() >= pause && session.step() < length {
            session.save(folder, false)?;
            context.checkpoint(session.step());
            saved = Instant::now();
        }
    }
    session.flush()?;
    Ok(true)
}
