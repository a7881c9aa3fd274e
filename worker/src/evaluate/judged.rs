//! Measures by a classifier: how far its features of samples are from those of the reference, and how often it
//! sees the class that was asked for.

use super::metrics;
use crate::data::conditions::{self, Conditions};
use crate::data::manifest::Manifest;
use crate::data::maps::Maps;
use crate::files::write_json;
use crate::measure::features;
use crate::net::{self, Lenet};
use crate::random::Stream;
use crate::sample::train_settings;
use crate::serve::{Context, input, inputs};
use crate::weights;
use ablate::job::Input;
use ablate::npy;
use ablate::problem::{Problem, Result};
use ablate::settings::{Accuracy, Evaluate, Features, Model, Weights};
use tch::{Device, Kind, Tensor, nn, no_grad};

/// Images looked at together.
const BATCH: usize = 256;

/// A classifier, and what it expects to see.
struct Judge {
    net: Lenet,
    manifest: Manifest,
    /// Its name and the beginning of its key, for people.
    name: String,
    device: Device,
}

impl Judge {
    fn read(context: &Context<'_>, weights: Option<Weights>) -> Result<Self> {
        let folder = &input(context.job, "classifier")?.folder;
        let (manifest, train) = (Manifest::read(folder)?, train_settings(folder)?);
        let Model::Lenet(settings) = &train.model else {
            return Err(Problem::system("the training makes no classifier"));
        };
        let word = weights.ok_or_else(|| Problem::system("the job does not say which weights"))?;
        let task = conditions::task(&manifest, &train)?;
        net::check_sides(&train.model, task.sides)?;
        let store = nn::VarStore::new(context.device);
        let classes = task.classes.unwrap_or(1);
        let net = Lenet::new(&store.root(), settings, (task.channels, task.sides), classes);
        let (values, _) = weights::read(&folder.join(format!("{}.safetensors", word.word())))?;
        net::load(&net::state(&store), &values)?;
        let key = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let key = key.rsplit('-').next().unwrap_or_default().chars().take(8).collect::<String>();
        let name = format!("lenet{}@{key}", settings.features);
        Ok(Self { net, manifest, name, device: context.device })
    }

    /// The features of all images of an input, `[n, d]` in 64 bits.
    fn features(&self, images: &Images) -> Tensor {
        let parts: Vec<Tensor> = (0..images.len())
            .step_by(BATCH)
            .map(|at| {
                let x = images.seen(at..(at + BATCH).min(images.len()), self.device);
                let features = no_grad(|| self.net.features(&x));
                features.to_device(Device::Cpu).to_kind(Kind::Double)
            })
            .collect();
        Tensor::cat(&parts, 0)
    }

    /// The share of images in which the classifier sees these classes.
    fn accuracy(&self, images: &Images, classes: &[i64]) -> f64 {
        let features = self.features(images).to_kind(Kind::Float).to_device(self.device);
        let seen = no_grad(|| self.net.judge(&features)).argmax(1, false).to_device(Device::Cpu);
        let right = seen.eq_tensor(&Tensor::from_slice(classes)).sum(Kind::Int64);
        right.int64_value(&[]) as f64 / classes.len() as f64
    }
}

/// Images in physical units as the classifier sees them.
struct Images {
    data: Vec<f32>,
    shape: [i64; 3],
}

impl Images {
    /// The images of an input: of a sample node, or of the split of a dataset that it names.
    fn read(role: &str, input: &Input, judge: &Judge) -> Result<Self> {
        Self::read_some(role, input, &input.port, judge, usize::MAX)
    }

    /// The same of any port, of a split at most so many, chosen at random.
    fn read_some(
        role: &str,
        input: &Input,
        port: &str,
        judge: &Judge,
        most: usize,
    ) -> Result<Self> {
        let manifest = Manifest::read(&input.folder)?;
        let of = |m: &Manifest| [m.channels, m.side, m.width()];
        if of(&manifest) != of(&judge.manifest) {
            let [c, h, w] = of(&manifest);
            let [a, b, d] = of(&judge.manifest);
            return Err(Problem::new(format!(
                "`{role}` has items of [{c}, {h}, {w}], and the classifier knows [{a}, {b}, {d}]"
            )));
        }
        let shape = of(&manifest).map(|n| n as i64);
        let each = manifest.numbers();
        let physical: Vec<f64> = match port {
            "out" => npy::read_f64(&input.folder.join("samples.npy"))?.data,
            split => {
                let maps = Maps::open_split(&manifest, input, split)?;
                let mut items = Stream::new(0, "items", 0).permutation(maps.len());
                items.truncate(most);
                // In their own order, as their classes are.
                items.sort_unstable();
                items.into_iter().flat_map(|i| maps.physical(i)).collect()
            }
        };
        if physical.len() < 2 * each {
            return Err(Problem::new(format!("`{role}` has fewer than two items to compare")));
        }
        let seen = |x: f64| judge.manifest.transform.forward(x as f32);
        Ok(Self { data: physical.into_iter().map(seen).collect(), shape })
    }

    fn len(&self) -> usize {
        self.data.len() / self.shape.iter().product::<i64>() as usize
    }

    fn seen(&self, items: std::ops::Range<usize>, device: Device) -> Tensor {
        let each = self.shape.iter().product::<i64>() as usize;
        let [c, h, w] = self.shape;
        let part = &self.data[items.start * each..items.end * each];
        Tensor::from_slice(part).view([-1, c, h, w]).to_device(device)
    }
}

/// The features behind a role, those of several inputs one after another.
fn features_of(context: &Context<'_>, role: &str, judge: &Judge) -> Result<Tensor> {
    let mut parts = vec![];
    for input in inputs(context.job, role)? {
        parts.push(judge.features(&Images::read(role, input, judge)?));
    }
    Ok(Tensor::cat(&parts, 0))
}

/// Writes the distances between features.
pub(super) fn features(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &Features,
) -> Result<()> {
    let judge = Judge::read(context, measure.weights)?;
    let ours = features_of(context, "samples", &judge)?;
    let theirs = features_of(context, "reference", &judge)?;
    let (items, width) = (ours.size()[0], ours.size()[1]);
    if items.min(theirs.size()[0]) <= width {
        context.note(format!(
            "{} items span less than {width} features: take more samples than that",
            items.min(theirs.size()[0])
        ));
    }
    // As many others of the same data, as far from the reference as perfect samples are.
    let reference = inputs(context.job, "reference")?[0];
    let other = if reference.port == "train" { "test" } else { "train" };
    let others = Images::read_some("reference", reference, other, &judge, items as usize);
    let floor = others.map(|others| features::frechet(&judge.features(&others), &theirs));
    let (kid, deviation) = features::kernel_distances(&ours, &theirs);
    let (near, wide) = (measure.neighbours as i64, measure.density_neighbours as i64);
    let (precision, recall) = features::precision_recall(&ours, &theirs, near);
    let (density, coverage) = features::density_coverage(&ours, &theirs, wide);
    let unit = judge.name.as_str();
    let values = vec![
        ("frechet", features::frechet(&ours, &theirs), unit),
        ("frechet_floor", floor.unwrap_or(f64::NAN), unit),
        ("kid", kid, unit),
        ("kid_deviation", deviation.unwrap_or(f64::NAN), unit),
        ("precision", precision, ""),
        ("recall", recall, ""),
        ("density", density, ""),
        ("coverage", coverage, ""),
        ("items", items as f64, ""),
    ];
    write_json(&context.job.work.join("metrics.json"), &metrics(settings, values))
}

/// Writes how often the classifier sees what was asked for.
pub(super) fn accuracy(
    context: &Context<'_>,
    settings: &Evaluate,
    measure: &Accuracy,
) -> Result<()> {
    let judge = Judge::read(context, measure.weights)?;
    let of_role = |role: &str| -> Result<f64> {
        let (mut right, mut all) = (0.0, 0.0);
        for input in inputs(context.job, role)? {
            let images = Images::read(role, input, &judge)?;
            let classes = classes_of(role, input)?;
            if classes.len() != images.len() {
                let (n, m) = (images.len(), classes.len());
                return Err(Problem::system(format!("`{role}` has {n} items and {m} classes")));
            }
            right += judge.accuracy(&images, &classes) * images.len() as f64;
            all += images.len() as f64;
        }
        Ok(right / all)
    };
    let values = vec![
        ("accuracy", of_role("samples")?, judge.name.as_str()),
        ("ceiling", of_role("reference")?, judge.name.as_str()),
    ];
    write_json(&context.job.work.join("metrics.json"), &metrics(settings, values))
}

/// The classes of the items of an input: those that were asked for, or those that a dataset has.
fn classes_of(role: &str, input: &Input) -> Result<Vec<i64>> {
    if input.port != "out" {
        let all = Manifest::read(&input.folder)?.classes.unwrap_or(0);
        let none = Conditions::Classes { all, of: vec![] };
        return match none.of_split(&input.folder, &input.port)? {
            Conditions::Classes { of, .. } => Ok(of),
            Conditions::Parameters { .. } => Ok(vec![]),
        };
    }
    let path = input.folder.join("conditions.npy");
    let array = npy::read_f64(&path).ok().filter(|array| array.shape.len() == 1);
    let array = array.ok_or_else(|| {
        Problem::new(format!("`{role}` was drawn without classes"))
            .help("train with `conditions: classes`")
    })?;
    Ok(array.data.iter().map(|class| *class as i64).collect())
}
