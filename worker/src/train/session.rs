//! The state of a training in memory, and one step of it. Every random number belongs to (seed,
//! purpose, step), so the state needs no generator.

use super::feed::{Feed, Portion};
use super::lesson::{Batch, Lesson};
use crate::checkpoint::{Checkpoint, State, insert};
use crate::data::augment::augment;
use crate::data::conditions::{self, Conditions};
use crate::data::manifest::Manifest;
use crate::data::maps::Maps;
use crate::ema::{Decay, Ema};
use crate::modes;
use crate::net::{self, Condition, Network, Task, Tensors};
use crate::optimizer::{AdamW, clip_gradients};
use crate::random::Stream;
use crate::rate::Rate;
use crate::serve::{Context, input};
use crate::weights;
use ablate::failure::NOT_A_NUMBER;
use ablate::job::{Arithmetic, Input as Data};
use ablate::problem::{Problem, Result};
use ablate::settings::{Init, Optimizer, Precision, Train, Weights};
use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// A network and all that it holds, which share their memory.
pub(super) struct Net {
    pub(super) network: Box<dyn Network>,
    /// Its parameters, and the running statistics of norms.
    pub(super) state: Tensors,
    /// The parameters alone.
    pub(super) parameters: Tensors,
}

impl Net {
    fn new(settings: &Train, task: &Task, device: Device) -> Result<Self> {
        let store = nn::VarStore::new(device);
        let network = net::build(&settings.model, task, &store.root())?;
        net::initialise(network.as_ref(), &store, settings.seed);
        let state = net::state(&store);
        Ok(Self { network, parameters: net::parameters(&state), state })
    }
}

/// The weights that a training is told to start with.
fn start_of(context: &Context<'_>, init: &Init) -> Result<Tensors> {
    match init {
        Init::From(init) => {
            let word = init.weights.map(Weights::word);
            let word = word.ok_or_else(|| Problem::system("the job does not say which weights"))?;
            let folder = &input(context.job, "init")?.folder;
            Ok(weights::read(&folder.join(format!("{word}.safetensors")))?.0)
        }
        Init::File(file) => {
            let (digest, _) = ablate::files::digest(&file.path)?;
            if file.blake3.as_ref() != Some(&digest) {
                let what = format!("{} has changed since the run was planned", file.path.display());
                return Err(Problem::system(what).help("run again"));
            }
            Ok(weights::read(&file.path)?.0)
        }
    }
}

/// The moving average of the weights, and a network to judge it with, which is built when it is first asked for: it takes
/// as much memory as the one that learns.
pub(super) struct Average<'s> {
    pub(super) ema: Ema,
    judge: OnceCell<Net>,
    settings: &'s Train,
    task: Task,
    device: Device,
}

impl Average<'_> {
    /// A network with the average as it is now.
    pub(super) fn judge(&self) -> Result<&Net> {
        if self.judge.get().is_none() {
            let _ = self.judge.set(Net::new(self.settings, &self.task, self.device)?);
        }
        let judge = self.judge.get().expect("it was set");
        net::load(&judge.state, self.ema.average())?;
        Ok(judge)
    }
}

/// A training in memory.
pub(super) struct Session<'s> {
    pub(super) settings: &'s Train,
    pub(super) net: Net,
    pub(super) average: Option<Average<'s>>,
    pub(super) best: Option<Tensors>,
    pub(super) best_average: Option<Tensors>,
    pub(super) state: State,
    pub(super) losses: Vec<f64>,
    optimizer: AdamW,
    lesson: Arc<Lesson>,
    rate: Rate,
    pub(super) feed: Feed,
    /// What is known of the items beside their maps, and how often the network is not told.
    pub(super) conditions: Option<(Conditions, f64)>,
    /// The validation split with its fixed times and noise.
    pub(super) held_out: Option<Batch>,
    pub(super) device: Device,
    /// Losses that are still on the device.
    pending: Vec<Tensor>,
    /// Losses that have been reported.
    reported: usize,
}

/// Losses read from the device at once.
const PENDING: usize = 64;

impl<'s> Session<'s> {
    pub(super) fn new(
        context: &Context<'_>,
        settings: &'s Train,
        manifest: &Manifest,
        data: &Data,
        length: u64,
    ) -> Result<Self> {
        let device = context.device;
        let task = conditions::task(manifest, settings)?;
        let net = Net::new(settings, &task, device)?;
        if let Some(init) = &settings.init {
            net::load(&net.state, &start_of(context, init)?)?;
        }
        let conditions = |split: &str| {
            let none = Conditions::of_training(manifest, settings)?;
            none.map(|none| none.of_split(&data.folder, split)).transpose()
        };
        let Optimizer::AdamW(adamw) = &settings.optimizer;
        let lesson = Arc::new(Lesson::new(&settings.objective));
        let decay =
            |largest| if settings.ema_ramp { Decay::Ramp(largest) } else { Decay::Fixed(largest) };
        let held_out = match settings.validation.on() {
            Some(validation) => {
                let maps = Maps::open_split(manifest, data, "validation")?;
                let items = maps.len().min(validation.items as usize);
                let x0 = maps.seen(0..items, device);
                let condition =
                    conditions("validation")?.map(|all| all.choose(0..items).condition(device));
                let noise = lesson.fixed_noise(&x0.size(), device);
                Some(Batch { x0, condition, noise, again: true })
            }
            None => None,
        };
        let feed = Feed::new(
            Maps::open(manifest, data)?,
            (settings.seed, settings.batch),
            lesson.clone(),
            device,
        );
        Ok(Self {
            rate: Rate::new(settings, feed.per_epoch(), length),
            settings,
            optimizer: AdamW::new(adamw, &net.parameters),
            average: match settings.ema.on() {
                Some(largest) => Some(Average {
                    ema: Ema::new(decay(largest), &net.state),
                    judge: OnceCell::new(),
                    settings,
                    task,
                    device,
                }),
                None => None,
            },
            net,
            best: None,
            best_average: None,
            state: State {
                step: 0,
                best: None,
                best_ema: None,
                validations: vec![],
                arithmetic: vec![],
            },
            losses: vec![],
            lesson,
            conditions: conditions(&data.port)?
                .map(|all| (all, settings.conditions.on().map_or(0.0, |on| on.dropout()))),
            feed,
            held_out,
            device,
            pending: vec![],
            reported: 0,
        })
    }

    pub(super) fn step(&self) -> u64 {
        self.state.step
    }

    /// Whether early stopping has ended the training here.
    pub(super) fn has_ended(&self) -> bool {
        let rule = self.settings.early_stopping.on();
        let losses =
            self.state.validations.iter().map(|(_, plain, average)| average.unwrap_or(*plain));
        rule.is_some_and(|rule| rule.ends(losses))
    }

    /// Notes what the bits depend on from here.
    pub(super) fn note_arithmetic(&mut self, now: &Arithmetic) {
        if self.state.arithmetic.last() != Some(now) {
            self.state.arithmetic.push(now.clone());
        }
    }

    /// One optimiser step, and a validation if one is due.
    pub(super) fn advance(&mut self) -> Result<()> {
        let step = self.state.step;
        let Portion { items, mut x0, noise } = self.feed.take(step);
        if !self.settings.augment.is_empty() {
            let mut stream = Stream::new(self.settings.seed, "augment", step);
            x0 = augment(&x0, &self.settings.augment, &mut stream);
        }
        let again = Stream::new(self.settings.seed, "self-conditioning", step).below(2) == 1;
        let batch = Batch { x0, condition: self.condition(step, &items), noise, again };
        let loss = self.learn(&batch);
        if let Some(largest) = self.settings.gradient_clip.on() {
            let _ = clip_gradients(&self.net.parameters, largest);
        }
        let rate = self.learning_rate();
        self.optimizer.step(&self.net.parameters, rate);
        if let Some(average) = &mut self.average {
            average.ema.update(&self.net.state);
        }
        self.pending.push(loss);
        self.state.step += 1;
        if self.pending.len() >= PENDING {
            self.flush()?;
        }
        match self.settings.validation.on() {
            Some(validation)
                if self.state.step.is_multiple_of(validation.every.steps(self.per_epoch())) =>
            {
                self.validate()
            }
            _ => Ok(()),
        }
    }

    /// Adds the gradients of a batch, in parts if it does not fit into memory; its mean loss.
    fn learn(&self, batch: &Batch) -> Tensor {
        let most = self.settings.micro_batch.map_or(batch.len(), |most| most as i64);
        modes::allow_tf32(self.settings.precision == Precision::Tf32);
        let mut sum = Tensor::zeros([], (Kind::Float, self.device));
        for part in batch.parts(most) {
            let share = part.len() as f64 / batch.len() as f64;
            let how = (true, self.settings.precision);
            let loss = self.lesson.loss(self.net.network.as_ref(), &part, how) * share;
            loss.backward();
            sum += loss.detach();
        }
        modes::allow_tf32(false);
        sum
    }

    /// Steps to a pass over the data, its last batch possibly smaller.
    pub(super) fn per_epoch(&self) -> u64 {
        self.feed.per_epoch()
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64 {
        self.learning_rate_of(self.state.step)
    }

    /// The learning rate of a step, by what was known before it.
    fn learning_rate_of(&self, step: u64) -> f64 {
        let known = self.state.validations.iter().take_while(|(at, ..)| *at <= step);
        self.rate.at(step, known.map(|(at, plain, ema)| (*at, ema.unwrap_or(*plain))))
    }

    /// The learning rates of all steps so far.
    pub(super) fn learning_rates(&self) -> impl Iterator<Item = f64> {
        (0..self.state.step).map(|step| self.learning_rate_of(step))
    }

    /// What is told of the items of a step, to each with its own chance.
    fn condition(&self, step: u64, items: &[usize]) -> Option<Condition> {
        let (all, dropout) = self.conditions.as_ref()?;
        let condition = all.choose(items.iter().copied()).condition(self.device);
        let mut stream = Stream::new(self.settings.seed, "condition dropout", step);
        let withheld: Vec<bool> =
            stream.uniform(items.len()).into_iter().map(|u| u < *dropout).collect();
        Some(condition.without(Tensor::from_slice(&withheld).to_device(self.device)))
    }

    /// Reads the losses that are still on the device.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let stacked = Tensor::stack(&std::mem::take(&mut self.pending), 0)
            .to_kind(Kind::Double)
            .to_device(Device::Cpu);
        let read: Vec<f64> =
            Vec::try_from(&stacked).map_err(|e: tch::TchError| Problem::system(e.to_string()))?;
        for loss in read {
            self.losses.push(loss);
            if !loss.is_finite() {
                let what = format!("the {NOT_A_NUMBER} at step {}", self.losses.len());
                return Err(Problem::system(what).help("a smaller learning rate may help"));
            }
        }
        Ok(())
    }

    /// The mean loss of the steps since the last call.
    pub(super) fn recent_loss(&mut self) -> Result<Option<f64>> {
        self.flush()?;
        let recent = &self.losses[self.reported.min(self.losses.len())..];
        let mean = (!recent.is_empty()).then(|| recent.iter().sum::<f64>() / recent.len() as f64);
        self.reported = self.losses.len();
        Ok(mean)
    }

    /// The validation losses of the weights and of their average, as they are now.
    pub(super) fn validation_losses(&self) -> Result<Option<(f64, Option<f64>)>> {
        let Some(held_out) = &self.held_out else { return Ok(None) };
        let of = |net: &Net| {
            let mut sum = 0.0;
            for part in held_out.parts(self.settings.batch as i64) {
                // As samples are drawn, so that trainings of other precision compare.
                let how = (false, Precision::F32);
                let mean = no_grad(|| self.lesson.loss(net.network.as_ref(), &part, how));
                let mean: f64 = (&mean)
                    .try_into()
                    .map_err(|e: tch::TchError| Problem::system(e.to_string()))?;
                sum += mean * part.len() as f64;
            }
            Ok::<f64, Problem>(sum / held_out.len() as f64)
        };
        let average = match &self.average {
            Some(average) => Some(of(average.judge()?)?),
            None => None,
        };
        Ok(Some((of(&self.net)?, average)))
    }

    /// Validates, and remembers the best weights so far.
    pub(super) fn validate(&mut self) -> Result<()> {
        let Some((plain, average)) = self.validation_losses()? else { return Ok(()) };
        let step = self.state.step;
        if !plain.is_finite() || average.is_some_and(|loss| !loss.is_finite()) {
            let what = format!("the validation {NOT_A_NUMBER} after step {step}");
            return Err(Problem::system(what).help("a smaller learning rate may help"));
        }
        self.state.validations.push((step, plain, average));
        if self.state.best.is_none_or(|(best, _)| plain < best) {
            self.state.best = Some((plain, step));
            self.best = Some(net::copies(&self.net.state));
        }
        if let (Some(held), Some(loss)) = (&self.average, average)
            && self.state.best_ema.is_none_or(|(best, _)| loss < best)
        {
            self.state.best_ema = Some((loss, step));
            self.best_average = Some(held.ema.export());
        }
        Ok(())
    }

    /// Writes a checkpoint of this moment.
    pub(super) fn save(&mut self, folder: &Path, keep: bool) -> Result<()> {
        self.flush()?;
        let mut tensors = Tensors::new();
        insert(&mut tensors, "model", net::copies(&self.net.state));
        insert(&mut tensors, "optimizer", self.optimizer.export());
        if let Some(average) = &self.average {
            insert(&mut tensors, "ema", average.ema.export());
        }
        for (part, named) in [("best", &self.best), ("best_ema", &self.best_average)] {
            insert(&mut tensors, part, named.iter().flat_map(net::copies));
        }
        Checkpoint { state: self.state.clone(), tensors, losses: self.losses.clone() }
            .write(folder, keep)
    }

    /// Takes the state of a checkpoint.
    pub(super) fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        net::load(&self.net.state, &checkpoint.part("model"))?;
        self.optimizer.import(checkpoint.state.step, &checkpoint.part("optimizer"))?;
        if let Some(average) = &mut self.average {
            average.ema.import(checkpoint.state.step, &checkpoint.part("ema"))?;
        }
        let some = |named: Tensors| (!named.is_empty()).then_some(named);
        self.best = some(checkpoint.part("best"));
        self.best_average = some(checkpoint.part("best_ema"));
        self.state = checkpoint.state;
        self.losses = checkpoint.losses;
        self.reported = self.losses.len();
        Ok(())
    }
}
