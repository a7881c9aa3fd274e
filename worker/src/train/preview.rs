//! A look at what a training can draw so far: a few samples and, for fields in a box, how far their power is from
//! that of held-out items. Whether and how often one looks changes no result.

use super::session::{Net, Session};
use crate::data::manifest::Manifest;
use crate::measure::power_spectrum::{self as power, Contrast, Estimator, Grid};
use crate::measure::summary::{error, relative};
use crate::objective::{Guidance, Model, Rule};
use crate::picture;
use crate::random::Stream;
use crate::samplers::Sampling;
use ablate::files::write_aside;
use ablate::problem::{Problem, Result};
use ablate::settings::{Binning, Found, Objective, Reader, Sampler, Setting};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::Path;
use tch::{Device, Tensor, no_grad};

/// Samples that are drawn.
const SAMPLES: i64 = 16;

/// Items that their power is compared with, at most.
const ITEMS: i64 = 256;

/// Network evaluations that a look may cost, about.
const EVALUATIONS: u64 = 25;

/// A quick sampler for an objective; none for a classifier. Samples stay within what the train split shows.
fn sampler(objective: &Objective, manifest: &Manifest) -> Option<Sampler> {
    let reach = manifest.transform.low.abs().max(manifest.transform.high.abs()).max(1e-3);
    let written: Value = match objective {
        Objective::Ddpm(ddpm) => {
            let steps = EVALUATIONS.min(ddpm.timesteps);
            json!({ "ddim": { "steps": steps, "spacing": "leading", "clip": reach } })
        }
        Objective::FlowMatching(_) => json!({ "heun": { "steps": EVALUATIONS / 2 } }),
        Objective::Edm(_) => json!({ "karras": { "steps": EVALUATIONS / 2 } }),
        Objective::Classification(_) => return None,
    };
    Sampler::read(&Found::root(&written), &mut Reader::default())
}

impl Session<'_> {
    /// Draws samples with the weights as they are now, their average if there is one: `step-<n>.png` below `folder`, and a
    /// line in `previews.csv`.
    pub(super) fn preview(&self, manifest: &Manifest, folder: &Path) -> Result<()> {
        let Some(sampler) = sampler(&self.settings.objective, manifest) else { return Ok(()) };
        let Some(rule) = Rule::new(&self.settings.objective) else { return Ok(()) };
        std::fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
        let seen = match &self.average {
            Some(average) => self.draw(average.judge()?, &rule, &sampler, manifest)?,
            None => self.draw(&self.net, &rule, &sampler, manifest)?,
        };
        let step = self.step();
        picture::grid(&folder.join(format!("step-{step:09}.png")), &seen, manifest)?;
        let physical: Vec<f64> = physical(&seen, manifest);
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        let variance = seen.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / seen.len() as f64;
        let power = match self.power_error(&physical, manifest)? {
            Some(error) => error.to_string(),
            None => String::new(),
        };
        let line = format!("{step},{power},{mean},{}\n", variance.sqrt());
        add(&folder.join("previews.csv"), step, &line)
    }

    /// Samples as the network sees them, `[n, c, h, w]` numbers.
    fn draw(
        &self,
        net: &Net,
        rule: &Rule,
        sampler: &Sampler,
        manifest: &Manifest,
    ) -> Result<Vec<f64>> {
        let sampling = Sampling::new(sampler, rule)?;
        let size = [manifest.channels, manifest.side, manifest.width()].map(|n| n as i64);
        let noise = |purpose: &'static str, index: u64| {
            let numbers = SAMPLES * size.iter().product::<i64>();
            let numbers = Stream::new(0, purpose, index).normal_f32(numbers as usize);
            let size = [SAMPLES, size[0], size[1], size[2]];
            Tensor::from_slice(&numbers).view(size).to_device(self.device)
        };
        let condition = self.conditions.as_ref().map(|(all, _)| {
            all.choose((0..SAMPLES as usize).map(|i| i % all.len())).condition(self.device)
        });
        let guidance = Guidance { scale: 1.0, rescale: 0.0 };
        let network = net.network.as_ref();
        let model = Model { network, rule, condition, guidance, earlier: RefCell::default() };
        let start = noise("preview", 0);
        let step = |step: usize| noise("preview step", step as u64);
        let drawn = no_grad(|| sampling.run(start, &model, step, |_, _| true));
        let Some(drawn) = drawn else { return Ok(vec![]) };
        let flat = drawn.to_kind(tch::Kind::Double).to_device(Device::Cpu).contiguous().view([-1]);
        Vec::try_from(&flat).map_err(|e: tch::TchError| Problem::system(e.to_string()))
    }

    /// The mean relative error of the power, for fields in a box with items held out.
    fn power_error(&self, ours: &[f64], manifest: &Manifest) -> Result<Option<f64>> {
        let (Some(box_mpc_h), Some(held_out)) = (manifest.box_mpc_h, &self.held_out) else {
            return Ok(None);
        };
        if manifest.channels != 1 || manifest.width() != manifest.side {
            return Ok(None);
        }
        let items = held_out.x0.narrow(0, 0, ITEMS.min(held_out.len()));
        let items = items.to_kind(tch::Kind::Double).to_device(Device::Cpu).contiguous();
        let items = Vec::try_from(&items.view([-1]))
            .map_err(|e: tch::TchError| Problem::system(e.to_string()))?;
        let grid = Grid { side: manifest.side, dimensions: 2, box_mpc_h };
        let estimator = Estimator::new(grid, Binning::Round, 0);
        let of = |fields: &[f64]| power::spectra(&estimator, fields, Contrast::OWN);
        // Early samples may have no density that a contrast could be taken of.
        let Ok(ours) = of(ours) else { return Ok(None) };
        Ok(Some(error(&ours, &of(&physical(&items, manifest))?, relative)))
    }
}

fn physical(seen: &[f64], manifest: &Manifest) -> Vec<f64> {
    seen.iter().map(|y| f64::from(manifest.transform.inverse(*y as f32).0)).collect()
}

/// Adds the line of a step; what an attempt that was cut short wrote of this step or later ones goes.
fn add(path: &Path, step: u64, line: &str) -> Result<()> {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    let is_earlier = |line: &&str| {
        let of = line.split(',').next().and_then(|step| step.parse::<u64>().ok());
        of.is_some_and(|of| of < step)
    };
    let kept = before.lines().filter(is_earlier).map(|line| format!("{line}\n"));
    let head = "step,power_error,mean,deviation\n".to_owned();
    let text: String = std::iter::once(head).chain(kept).chain([line.to_owned()]).collect();
    write_aside(path, text.as_bytes())
}
