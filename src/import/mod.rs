//! Configurations of earlier programs → specs: three layouts of YAML, each told by the keys it has. What has no
//! counterpart is named, never dropped in silence. Nothing here knows files.

pub mod runs;

use crate::problem::{Problem, Result};
use crate::words;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

/// A spec made of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The spec.
    pub text: String,
    /// What its author should know, a sentence each.
    pub notes: Vec<String>,
}

/// Keys of the earlier programs that say how they run rather than what.
const HOW: [&str; 10] = [
    "device",
    "num_workers",
    "workers",
    "shuffle",
    "pin_memory",
    "log_dir",
    "save_dir",
    "checkpoint_dir",
    "sample_dir",
    "output_dir",
];

/// A configuration, and which of its values were taken.
struct Config<'c> {
    value: &'c Value,
    taken: BTreeSet<String>,
    notes: Vec<String>,
}

/// Makes a spec of a configuration called `name`.
///
/// # Errors
/// If its layout is none of the three.
pub fn spec_of(value: &Value, name: &str) -> Result<Imported> {
    let mut config = Config { value, taken: BTreeSet::new(), notes: vec![] };
    let has = |path: &str| config.look(path).is_some();
    let text = if has("training") && has("sampling") {
        config.fields()
    } else if has("general") && has("models") {
        config.networks()?
    } else if has("model.dim") && has("train") {
        config.digits()
    } else {
        let problem = Problem::new("the layout of this configuration is not known");
        let help = "known are those with model.dim and train, with general and models, with training and sampling";
        return Err(problem.help(help));
    };
    config.name_the_rest();
    let question = Value::from(format!("What does the configuration {name} give?"));
    let text = format!("# Made by `ablate import`.\nquestion: {question}\n\n{text}");
    Ok(Imported { text, notes: config.notes })
}

/// A number as a spec has it.
fn shown(x: f64) -> String {
    if x != 0.0 && x.abs() < 1e-2 { format!("{x:e}") } else { format!("{x}") }
}

impl Config<'_> {
    fn look(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self.value, |value, key| value.get(key)).filter(|v| !v.is_null())
    }

    fn take(&mut self, path: &str) -> Option<&Value> {
        self.taken.insert(path.to_owned());
        self.look(path)
    }

    fn number(&mut self, path: &str, otherwise: f64) -> f64 {
        let read = |value: &Value| match value {
            Value::String(text) => words::number(text),
            other => other.as_f64(),
        };
        self.read(path, read).unwrap_or(otherwise)
    }

    /// A word of letters, digits and underscores.
    fn word(&mut self, path: &str, otherwise: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let read = |value: &Value| {
            let word = value.as_str().filter(|word| word.chars().all(is_plain));
            word.map(str::to_owned)
        };
        self.read(path, read).unwrap_or_else(|| otherwise.to_owned())
    }

    fn path(&mut self, path: &str, otherwise: &str) -> String {
        let read = |value: &Value| value.as_str().map(str::to_owned);
        self.read(path, read).unwrap_or_else(|| otherwise.to_owned())
    }

    fn list(&mut self, path: &str, otherwise: &str) -> String {
        let read = |value: &Value| {
            let items = value.as_array().filter(|items| items.iter().all(Value::is_u64))?;
            let items: Vec<String> = items.iter().map(Value::to_string).collect();
            Some(format!("[{}]", items.join(", ")))
        };
        self.read(path, read).unwrap_or_else(|| otherwise.to_owned())
    }

    /// What a value means; one that means nothing is named, and what stands for it is for the caller.
    fn read<T>(&mut self, path: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.take(path)?;
        let meant = read(value);
        if meant.is_none() {
            let shown = value.to_string();
            self.note(format!(
                "`{path}: {shown}` is not understood; the usual value stands for it"
            ));
        }
        meant
    }

    fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    /// Names what was not taken.
    fn name_the_rest(&mut self) {
        fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
            match value {
                Value::Object(map) if !map.is_empty() => {
                    for (key, inner) in map {
                        let at =
                            if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                        leaves(inner, &at, out);
                    }
                }
                _ => out.push(path.to_owned()),
            }
        }
        let mut all = vec![];
        leaves(self.value, "", &mut all);
        let within = |path: &String| {
            self.taken.iter().any(|taken| path == taken || path.starts_with(&format!("{taken}.")))
        };
        let rest: Vec<String> = all.into_iter().filter(|path| !within(path)).collect();
        let is_how =
            |path: &String| path.rsplit('.').next().is_some_and(|last| HOW.contains(&last));
        let (how, lost): (Vec<String>, Vec<String>) = rest.into_iter().partition(is_how);
        if !how.is_empty() {
            self.note(format!("left to the machine: {}", how.join(", ")));
        }
        for path in lost {
            self.note(format!("`{path}` has no counterpart and is left out"));
        }
    }

    /// The discrete process of `diffusion.…`.
    fn ddpm(&mut self, timesteps: &str) -> String {
        let schedule = self.word("diffusion.schedule", "linear");
        let (start, end) =
            (self.number("diffusion.beta_start", 1e-4), self.number("diffusion.beta_end", 0.02));
        let betas = match schedule.as_str() {
            "cosine" => String::new(),
            _ => format!(", beta_start: {}, beta_end: {}", shown(start), shown(end)),
        };
        format!("{{ ddpm: {{ schedule: {schedule}, timesteps: {timesteps}{betas} }} }}")
    }

    /// The layout with `model.dim`, `diffusion.timesteps` and `train`.
    fn digits(&mut self) -> String {
        let dim = self.number("model.dim", 32.0);
        let timesteps = self.number("diffusion.timesteps", 1000.0);
        let multipliers = self.list("model.dim_mults", "[1, 2, 4]");
        let [batch, rate, epochs] = [("batch_size", 64.0), ("lr", 1e-4), ("epochs", 10.0)]
            .map(|(key, otherwise)| self.number(&format!("train.{key}"), otherwise));
        let objective = self.ddpm("$timesteps");
        self.note("the data are MNIST padded to 32 by 32 pixels, as the earlier program had them");
        let rate = shown(rate);
        format!(
            "\
vars: {{ timesteps: {timesteps}, seed: 0 }}

nodes:
  digits:
    dataset: {{ idx: {{ set: mnist, pad: 2 }} }}
  net:
    train:
      data: digits
      model: {{ unet: {{ width: {dim}, multipliers: {multipliers} }} }}
      objective: {objective}
      optimizer: {{ adamw: {{ learning_rate: {rate} }} }}
      batch: {batch}
      epochs: {epochs}
      validation: {{ every: 1 epoch }}
      seed: $seed
  draw:
    sample: {{ from: net, sampler: {{ ddpm: {{ clip: 1 }} }}, count: 64, seed: $seed }}

sweeps:
  main: {{ product: {{ timesteps: [{timesteps}] }} }}

figures:
  images: {{ grid: {{ sweep: main, of: draw, rows: timesteps, count: 8 }} }}
  losses: {{ training: {{ sweep: main, of: net }} }}
"
        )
    }

    /// The values of an axis over the networks of `models`.
    fn labelled_networks(&mut self) -> String {
        let mut labels = String::new();
        if self.look("models.UNet").is_some() {
            let width = self.number("models.UNet.dim", 64.0);
            let multipliers = self.list("models.UNet.dim_mults", "[1, 2, 4]");
            let _ = writeln!(
                labels,
                "        unet: {{ net.model: {{ unet: {{ width: {width}, multipliers: {multipliers} }} }} }}"
            );
        }
        if self.look("models.DiT").is_some() {
            let of =
                [("patch_size", 4.0), ("hidden_size", 256.0), ("depth", 6.0), ("num_heads", 8.0)];
            let [patch, width, depth, heads] =
                of.map(|(key, otherwise)| self.number(&format!("models.DiT.{key}"), otherwise));
            let _ = writeln!(
                labels,
                "        dit: {{ net.model: {{ dit: {{ patch: {patch}, width: {width}, depth: {depth}, heads: {heads} }} }} }}"
            );
        }
        labels
    }

    /// The layout with `general` and `models`: networks that are told the digit.
    fn networks(&mut self) -> Result<String> {
        let timesteps = self.number("general.time_steps", 1000.0);
        let side = self.number("general.img_size", 32.0);
        let channels =
            [self.number("general.in_channels", 1.0), self.number("general.out_channels", 1.0)];
        if channels != [1.0, 1.0] {
            self.note("the channels are those of the data, whatever the configuration says");
        }
        let pad = ((side - 28.0) / 2.0).max(0.0).floor();
        if 28.0 + 2.0 * pad != side {
            self.note(format!(
                "images are padded to {} pixels, not resized to {side}",
                28.0 + 2.0 * pad
            ));
        }
        let rate = shown(self.number("general.lr", 1e-4));
        let (batch, epochs) =
            (self.number("general.batch_size", 64.0), self.number("general.epochs", 30.0));
        let labels = self.labelled_networks();
        if labels.is_empty() {
            let problem = Problem::new("`models` names neither `UNet` nor `DiT`");
            return Err(problem.help("these are the networks that have a counterpart"));
        }
        let method = self.word("sampling.method", "ddim");
        let steps = self.number("sampling.ddim_timesteps", 10.0);
        let w = self.number("sampling.w", 1.0);
        let sampler = match method.as_str() {
            "ddpm" => "{ ddpm: { clip: 1 } }".to_owned(),
            _ => format!("{{ ddim: {{ steps: {steps}, spacing: leading, clip: 1 }} }}"),
        };
        self.note("the transformer is the published one; the earlier one lacked the 1 in 1 + scale, and dropped labels by batch");
        Ok(format!(
            "\
vars: {{ seed: 0 }}

nodes:
  digits:
    dataset: {{ idx: {{ set: mnist, pad: {pad} }} }}
  net:
    train:
      data: digits
      model: unet
      conditions: {{ classes: {{ dropout: 0.1 }} }}
      objective: {{ ddpm: {{ schedule: linear, timesteps: {timesteps} }} }}
      optimizer: {{ adamw: {{ learning_rate: {rate} }} }}
      batch: {batch}
      epochs: {epochs}
      validation: {{ every: 1 epoch }}
      seed: $seed
  draw:
    sample: {{ from: net, sampler: {sampler}, guidance_w: {w}, count: 100, seed: $seed }}

sweeps:
  main:
    product:
      network:
{labels}
figures:
  images: {{ grid: {{ sweep: main, of: draw, rows: network, count: 10 }} }}
  losses: {{ training: {{ sweep: main, of: net, lines: network }} }}
"
        ))
    }

    /// The objective and the sampler of the layout with `method`.
    fn method(&mut self) -> (String, String) {
        let method = self.word("method", "diffusion");
        let timesteps = self.number("diffusion.timesteps", 1000.0);
        let (ddim, eta) =
            (self.number("sampling.ddim_timesteps", 50.0), self.number("sampling.eta", 0.0));
        let steps = self.number("sampling.num_steps", 50.0);
        let sampling = self.word("sampling.method", "ddim");
        for key in ["sigma_min", "sigma_max"] {
            if self.take(&format!("flow_matching.{key}")).is_some() {
                self.note(format!("`flow_matching.{key}` was read and never used; it is left out"));
            }
        }
        if method.starts_with("flow") {
            for key in ["schedule", "beta_start", "beta_end"] {
                self.taken.insert(format!("diffusion.{key}"));
            }
            self.note("the embedding of the time is scaled by 1000, without which the network hardly heard it");
            let word = if sampling == "heun" { "heun" } else { "euler" };
            let sampler = format!("{{ {word}: {{ steps: {steps} }} }}");
            return ("{ flow_matching: { time_direction: data_to_noise } }".to_owned(), sampler);
        }
        let sampler = match sampling.as_str() {
            "ddpm" => "ddpm".to_owned(),
            _ => format!("{{ ddim: {{ steps: {ddim}, eta: {eta}, spacing: leading }} }}"),
        };
        if sampling != "ddpm" {
            self.note(
                "DDIM ends at the clean sample; the earlier program left noise of deviation 0.01",
            );
        }
        (self.ddpm(&timesteps.to_string()), sampler)
    }

    /// The learning rate and what becomes of it.
    fn optimizer(&mut self) -> String {
        let rate = shown(self.number("training.lr", 1e-4));
        let name = self.word("training.optimizer", "adamw").to_lowercase();
        let decay = shown(self.number("training.weight_decay", 0.0));
        if !name.starts_with("adam") {
            self.note(format!("the optimizer `{name}` is not known here; AdamW stands for it"));
        }
        let warmup = self.number("training.scheduler.warmup_epochs", 0.0);
        let mut text = format!(
            "      optimizer: {{ adamw: {{ learning_rate: {rate}, weight_decay: {decay}, warmup: {warmup} epochs }} }}\n"
        );
        let scheduler = self.word("training.scheduler.name", "");
        let (factor, patience, least) = (
            self.number("training.scheduler.factor", 0.3),
            self.number("training.scheduler.patience", 2.0),
            self.number("training.scheduler.min_lr", 0.0),
        );
        match scheduler.as_str() {
            "" | "none" => {}
            "cosine" => text += "      decay: cosine\n",
            _ => {
                let least = shown(least);
                let _ = writeln!(
                    text,
                    "      plateau: {{ factor: {factor}, patience: {patience}, smallest: {least} }}"
                );
            }
        }
        if self.look("training.early_stopping").is_some() {
            let path = "training.early_stopping.patience";
            let path = if self.look(path).is_some() { path } else { "training.early_stopping" };
            let patience = self.number(path, 10.0);
            let _ = writeln!(text, "      early_stopping: {{ patience: {patience} }}");
        }
        text
    }

    /// What is done to the maps.
    fn augmentation(&mut self) -> String {
        let on = self.take("training.use_augmentation").and_then(Value::as_bool).unwrap_or(false);
        let turns = self.number("training.augmentation.rotation_p", 0.0) > 0.0;
        let flips = self.number("training.augmentation.flip_p", 0.0) > 0.0;
        if !on || !(turns || flips) {
            return String::new();
        }
        self.note(
            "maps are flipped half the time and turned evenly, whatever the probabilities were",
        );
        let ways = [(turns, "quarter_turns"), (flips, "flip_horizontal"), (flips, "flip_vertical")];
        let ways: Vec<&str> = ways.into_iter().filter(|(on, _)| *on).map(|(_, way)| way).collect();
        format!("      augment: [{}]\n", ways.join(", "))
    }

    /// The layout with `training` and `sampling`: density fields told their parameters.
    fn fields(&mut self) -> String {
        let maps = self.path("data.maps_path", "maps.npy");
        let parameters = self.path("data.params_path", "params.txt");
        let kept = shown(((1.0 - self.number("data.train_split", 0.9)) / 2.0 * 1e6).round() / 1e6);
        self.note("maps are split by simulation, and what was kept from training is halved between validation and test");
        let width = self.number("model.base_channels", 128.0);
        let multipliers = self.list("model.channel_mults", "[1, 2, 4, 8]");
        let time = self.number("model.time_dim", 256.0);
        for key in ["in_channels", "out_channels", "cond_dim"] {
            self.taken.insert(format!("model.{key}"));
        }
        let (objective, sampler) = self.method();
        let dropout = self.number("training.cfg_prob", 0.1);
        let scale = self.number("sampling.cfg_scale", 1.0);
        if scale < 1.0 {
            self.note("the earlier program skipped guidance below a scale of 1; here 0 tells the network nothing");
        }
        let clip = self.number("training.gradient_clip", 1.0);
        let (batch, epochs) =
            (self.number("training.batch_size", 64.0), self.number("training.num_epochs", 200.0));
        let every = self.number("training.sample_every", 0.0);
        let keep =
            if every > 0.0 { format!(", keep_every: {every} epochs") } else { String::new() };
        if every > 0.0 {
            self.note(format!(
                "samples at every {every} epochs are an axis: `net.epochs: [{every}, …, {epochs}]`"
            ));
        }
        let (optimizer, augment) = (self.optimizer(), self.augmentation());
        let [maps, parameters] = [maps, parameters].map(|path| Value::from(path).to_string());
        format!(
            "\
vars: {{ seed: 0 }}

nodes:
  maps:
    dataset: {{ camels_cmd: {{ maps: {maps}, parameters: {parameters}, validation: {kept}, test: {kept}, transform: log_minmax }} }}
  net:
    train:
      data: maps
{augment}      model: {{ simple_unet: {{ width: {width}, multipliers: {multipliers}, time_width: {time} }} }}
      conditions: {{ parameters: {{ dropout: {dropout} }} }}
      objective: {objective}
{optimizer}      gradient_clip: {clip}
      validation: {{ every: 1 epoch, items: 10k }}
      batch: {batch}
      epochs: {epochs}
      seed: $seed
    run: {{ checkpoint: 5m{keep} }}
  draw:
    sample: {{ from: net, sampler: {sampler}, conditions: {{ from: maps.test }}, guidance_scale: {scale}, count: 256, seed: $seed }}
  score:
    evaluate: {{ samples: draw, reference: maps, measures: [power_spectrum, one_point] }}

figures:
  spectra: {{ spectrum: {{ of: score.power_spectrum }} }}
  losses: {{ training: {{ of: net }} }}

tables:
  main: {{ columns: [score.power_spectrum.error, score.power_spectrum.floor, net.best_validation_loss] }}
"
        )
    }
}
