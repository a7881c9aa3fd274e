//! The sample node: draws samples batch by batch. The noise of sample i belongs to (seed, i), so
//! neither the batch size nor an interruption changes what is drawn; a node that was cut short goes
//! on after its last whole batch.

use crate::data::conditions::{self, Conditions};
use crate::data::manifest::Manifest;
use crate::files::write_json;
use crate::loaded;
use crate::net::{self, Network};
use crate::objective::{Guidance, Model, Rule};
use crate::picture;
use crate::random::Stream;
use crate::samplers::Sampling;
use crate::serve::{Context, End, input};
use crate::weights;
use ablate::files::write_aside;
use ablate::job::{Better, Costs, Metric, Metrics};
use ablate::npy::{self, Writer};
use ablate::problem::{Problem, Result};
use ablate::settings::{Kind, Sample, Settings, Train, Wanted};
use ablate::store::PROGRESS;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;
use tch::{Tensor, nn, no_grad};

/// `progress.json`: how many samples are on disk; it goes when the node is sealed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    done: usize,
    clamped: u64,
    /// Digest of the file with those samples, in hex.
    blake3: String,
}

/// Draws the samples that a job asks for.
///
/// # Errors
/// If files cannot be read or written.
pub fn run(context: &Context<'_>, settings: &Sample) -> Result<End> {
    let start = Instant::now();
    let trained = &input(context.job, "from")?.folder;
    let manifest = Manifest::read(trained)?;
    let train = train_settings(trained)?;
    let network = load(context, settings, (trained, &train), &manifest)?;
    let told = told(context, settings, &train, &manifest)?;
    let guidance = Guidance { scale: settings.guidance_scale, rescale: settings.guidance_rescale };
    let rule = Rule::new(&train.objective)
        .ok_or_else(|| Problem::system("a classifier draws no samples"))?;
    let sampling = Sampling::new(&settings.sampler, &rule)?;
    let work = &context.job.work;
    let count = settings.count as usize;
    let shape = [count, manifest.channels, manifest.side, manifest.width()];
    let path = work.join("samples.npy");
    let (mut progress, mut writer) = go_on(context, &path, &shape)?;
    let first = progress.done;
    let nfe = sampling.nfe() * guidance.evaluations();
    let units = nfe as u64;
    context.started(first as u64 * units, settings.count * units);
    while progress.done < count {
        let batch = progress.done..(progress.done + settings.batch as usize).min(count);
        let condition =
            told.as_ref().map(|told| told.choose(batch.clone()).condition(context.device));
        let network = network.as_ref();
        let earlier = std::cell::RefCell::default();
        let model = Model { network, rule: &rule, condition, guidance, earlier };
        let draw = Draw { context, settings, sampling: &sampling, model };
        let mut kept = Kept::of(settings, &sampling, batch.start);
        let Some(seen) = draw.batch(batch.clone(), &shape, &mut kept)? else {
            return Ok(End::Stopped(progress.done as u64 * units));
        };
        kept.write(work, &manifest)?;
        let mut physical = Vec::with_capacity(seen.len());
        for y in seen {
            let (x, clamped) = manifest.transform.inverse(y);
            progress.clamped += u64::from(clamped);
            physical.push(x);
        }
        writer.push(&physical)?;
        progress.done = batch.end;
        progress.blake3 = writer.digest();
        // What is complete is synced with the rest of the node.
        if progress.done < count || cfg!(not(target_os = "linux")) {
            writer.sync()?;
            let text = serde_json::to_string(&progress).expect("numbers and a digest");
            write_aside(&work.join(PROGRESS), text.as_bytes())?;
        }
        context.checkpoint(progress.done as u64 * units);
    }
    publish(context, &manifest, nfe, &progress, &path)?;
    if let Some(told) = told {
        told.write(&work.join("conditions.npy"))?;
    }
    let drawn = (count - first) as u64 * units;
    context.costs(&Costs {
        seconds: start.elapsed().as_secs_f64(),
        steps: drawn,
        ..Costs::default()
    })?;
    Ok(End::Done)
}

/// What an earlier attempt left, if it is whole, and the file to go on with; else a beginning.
fn go_on(context: &Context<'_>, path: &Path, shape: &[usize]) -> Result<(Progress, Writer)> {
    let left = ablate::files::read_json::<Progress>(&context.job.work.join(PROGRESS));
    let begin = || Ok((Progress::default(), Writer::open(path, shape, 0)?));
    match left {
        Ok(None) => return begin(),
        Ok(Some(progress)) => {
            let writer = Writer::open(path, shape, progress.done);
            if let Some(writer) = writer.ok().filter(|w| w.digest() == progress.blake3) {
                return Ok((progress, writer));
            }
        }
        Err(_) => {}
    }
    context.note("the samples of an earlier attempt are damaged; they are drawn again");
    begin()
}

/// The network with the weights that the settings name.
fn load(
    context: &Context<'_>,
    settings: &Sample,
    (trained, train): (&Path, &Train),
    manifest: &Manifest,
) -> Result<Rc<dyn Network>> {
    let word = settings
        .weights
        .ok_or_else(|| Problem::system("the job does not say which weights"))?
        .word();
    let file = trained.join(format!("{word}.safetensors"));
    loaded::network(&file, context.device, || {
        let store = nn::VarStore::new(context.device);
        let task = conditions::task(manifest, train)?;
        let network = net::with_fixed_weights(|| net::build(&train.model, &task, &store.root()))?;
        let (values, _) = weights::read(&file)?;
        net::load(&net::state(&store), &values)?;
        Ok(network)
    })
}

/// What the network is told of each sample.
fn told(
    context: &Context<'_>,
    settings: &Sample,
    train: &Train,
    manifest: &Manifest,
) -> Result<Option<Conditions>> {
    let (Some(on), Some(wanted)) = (train.conditions.on(), &settings.conditions) else {
        return Ok(None);
    };
    let none = Conditions::none(manifest, on)?;
    let count = settings.count as usize;
    let in_turn = |all: Conditions| all.choose((0..count).map(|i| i % all.len()));
    let told = match wanted {
        Wanted::AllClasses => in_turn(none.every_class()),
        Wanted::Listed(rows) => in_turn(none.listed(rows)?),
        Wanted::From(items) => {
            let data = input(context.job, "conditions")?;
            none.check_data(&Manifest::read(&data.folder)?)?;
            let all = none.of_split(&data.folder, &data.port)?;
            if all.is_empty() {
                return Err(Problem::new(format!("the split `{}` is empty", data.port)));
            }
            // In an order of their own, so that any number of samples stands for all, and more only add.
            let order = Stream::new(0, "conditions", 0).permutation(all.len());
            let item = |i: usize| order[i / items.each as usize % order.len()];
            all.choose((0..count).map(item))
        }
    };
    if let Some((parameter, value)) = told.outside() {
        let (name, low, high) = (&parameter.name, parameter.low, parameter.high);
        context.note(format!(
            "samples are asked for at {name} = {value}, outside the training's {low} to {high}"
        ));
    }
    Ok(Some(told))
}

/// The settings of the train node in a folder.
pub(crate) fn train_settings(folder: &Path) -> Result<Train> {
    let file = ablate::store::read_node(folder)?;
    match Settings::from_full(Kind::Train, &file.settings) {
        Ok(Settings::Train(train)) => Ok(train),
        _ => Err(Problem::system(format!(
            "{} is not a train node of this version",
            folder.display()
        ))),
    }
}

/// The moments of the first batch that are kept.
#[derive(Default)]
struct Kept {
    /// The steps after which there is one.
    steps: Vec<u64>,
    /// Samples of each.
    samples: i64,
    moments: Vec<Vec<f64>>,
}

impl Kept {
    fn of(settings: &Sample, sampling: &Sampling, first: usize) -> Self {
        match settings.frames.on().filter(|_| first == 0) {
            Some(frames) => Self {
                steps: frames.moments(sampling.steps() as u64),
                samples: frames.samples as i64,
                moments: vec![],
            },
            None => Self::default(),
        }
    }

    /// Keeps the samples `x` `[n, c, h, w]` after a step, if they are among the moments.
    fn look(&mut self, step: u64, x: &Tensor) {
        if self.steps.contains(&step) {
            let first = x.narrow(0, 0, self.samples.min(x.size()[0])).to_kind(tch::Kind::Double);
            let first = first.to_device(tch::Device::Cpu).contiguous().view([-1]);
            self.moments.extend(Vec::try_from(&first).ok());
        }
    }

    /// Writes them, if there are any: before the progress, so that an attempt that goes on has them.
    fn write(&self, work: &Path, manifest: &Manifest) -> Result<()> {
        if self.moments.is_empty() {
            return Ok(());
        }
        let (samples, item) =
            (self.samples as usize, [manifest.channels, manifest.side, manifest.width()]);
        let shape: Vec<usize> = [self.moments.len(), samples].into_iter().chain(item).collect();
        let numbers: Vec<f32> = self.moments.iter().flatten().map(|x| *x as f32).collect();
        let mut writer = Writer::open(&work.join("frames.npy"), &shape, 0)?;
        writer.push(&numbers)?;
        writer.sync()?;
        picture::film(&work.join("frames.gif"), &self.moments, manifest)
    }
}

/// All that drawing one batch needs.
struct Draw<'d> {
    context: &'d Context<'d>,
    settings: &'d Sample,
    sampling: &'d Sampling,
    model: Model<'d>,
}

impl Draw<'_> {
    /// The samples with these indices as the network sees them; `None` if the job was asked to stop.
    fn batch(
        &self,
        indices: std::ops::Range<usize>,
        shape: &[usize; 4],
        kept: &mut Kept,
    ) -> Result<Option<Vec<f32>>> {
        let twice = self.model.guidance.evaluations() as u64;
        let units = twice * self.sampling.nfe() as u64;
        let start = self.noise("start", &indices, 0, shape);
        let noise = |step: usize| self.noise("step", &indices, step as u64 + 1, shape);
        kept.look(0, &start);
        let mut step = 0;
        let each = |evaluations: usize, x: &Tensor| {
            step += 1;
            kept.look(step, x);
            let done =
                indices.start as u64 * units + twice * evaluations as u64 * indices.len() as u64;
            self.context.progress(done, self.settings.count * units, None);
            !self.context.stop()
        };
        let Some(x) = no_grad(|| self.sampling.run(start, &self.model, noise, each)) else {
            return Ok(None);
        };
        let flat = x.to_device(tch::Device::Cpu).contiguous().view([-1]);
        Vec::try_from(&flat).map(Some).map_err(|e: tch::TchError| Problem::system(e.to_string()))
    }

    /// Noise of each sample at a step, from streams of its own.
    fn noise(
        &self,
        purpose: &'static str,
        indices: &std::ops::Range<usize>,
        step: u64,
        shape: &[usize; 4],
    ) -> Tensor {
        let each: usize = shape[1..].iter().product();
        let of_sample = |i: usize| {
            Stream::new(self.settings.seed, purpose, (i as u64) << 24 | step).normal_f32(each)
        };
        let numbers: Vec<Vec<f32>> = indices.clone().into_par_iter().map(of_sample).collect();
        let size = [indices.len() as i64, shape[1] as i64, shape[2] as i64, shape[3] as i64];
        Tensor::from_slice(&numbers.concat()).view(size).to_device(self.context.device)
    }
}

/// Writes the manifest, the metrics and the picture.
fn publish(
    context: &Context<'_>,
    manifest: &Manifest,
    nfe: usize,
    progress: &Progress,
    samples: &Path,
) -> Result<()> {
    let array = npy::read_f32(samples)?;
    let metric =
        |value: f64, unit: &str| Metric { value, unit: unit.to_owned(), better: Better::Neither };
    let seen: Vec<f64> =
        array.data.iter().map(|x| f64::from(manifest.transform.forward(*x))).collect();
    let mean = seen.iter().sum::<f64>() / seen.len() as f64;
    let deviation =
        (seen.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / seen.len() as f64).sqrt();
    let metrics = Metrics::from([
        ("nfe".to_owned(), metric(nfe as f64, "evaluations")),
        ("clamped".to_owned(), metric(progress.clamped as f64 / seen.len() as f64, "")),
        ("mean".to_owned(), metric(mean, "train deviations")),
        ("deviation".to_owned(), metric(deviation, "train deviations")),
    ]);
    write_json(&context.job.work.join("metrics.json"), &metrics)?;
    manifest.write(&context.job.work)?;
    picture::grid(&context.job.work.join("samples.png"), &seen, manifest)
}
