//! What a node costs, learned from what earlier ones cost: settings → units of work and the load of each,
//! history → seconds per load. Equal work is best known; its kin tell the rest, within a wider
//! interval; what has neither is unknown. Pure.

use crate::graph::Graph;
use crate::record::{DeviceMemory, Past};
use crate::settings::{
    Command, Dataset, Identity, Kind, Length, Model, Objective, Setting, Settings,
};
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;

/// How much work a node is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Units, as workers count them: steps, network evaluations times samples, items, measures.
    pub units: u64,
    /// Load of one unit, in arithmetic that only compares.
    pub weight: f64,
    /// Bytes that it may leave, in a measure that only compares.
    pub size: f64,
}

/// Seconds with an interval that holds two times out of three.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The expected value.
    pub seconds: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Whether equal work was done before, rather than kin.
    pub is_same: bool,
}

/// Pixels of a map that nobody knows the size of.
const PIXELS: f64 = 4096.0;

/// A particle-mesh map costs about a hundred log-normal ones.
const PARTICLE_MESH: f64 = 100.0;

/// What a node is, as work. The network of a sample node is that of its training.
pub fn work(graph: &Graph, index: NodeIndex) -> Work {
    let settings = |index: NodeIndex| &*graph.nodes[index].settings;
    let input = |index, role| graph.input(index, role);
    let pixels_of = |index: Option<NodeIndex>| match index.map(settings) {
        Some(Settings::Dataset(data)) => pixels(data),
        _ => PIXELS,
    };
    match settings(index) {
        Settings::Dataset(data) => {
            let items = data.split().map_or(1, |split| split.sum());
            let factor = match data {
                Dataset::ParticleMeshFields(_) => PARTICLE_MESH,
                Dataset::LptFields(_) => PARTICLE_MESH / 10.0,
                _ => 1.0,
            };
            let size = items as f64 * pixels(data);
            Work { units: items, weight: factor * pixels(data), size }
        }
        Settings::Train(train) => {
            let data = input(index, "data");
            let units = match (train.length(), data.map(settings)) {
                (Length::Steps(steps), _) => steps,
                (Length::Epochs(epochs), Some(Settings::Dataset(data))) => {
                    let items = data.split().map_or(1, |split| split.train);
                    epochs.saturating_mul(items.div_ceil(train.batch).max(1))
                }
                (Length::Epochs(epochs), _) => epochs,
            };
            let weight = train.batch as f64 * network(&train.model, pixels_of(data));
            Work { units, weight, size: parameters(&train.model) }
        }
        Settings::Sample(sample) => {
            let train = input(index, "from");
            let pixels = pixels_of(train.and_then(|train| input(train, "data")));
            let (load, times, is_flow) = match train.map(settings) {
                Some(Settings::Train(train)) => {
                    let load = network(&train.model, pixels);
                    match &train.objective {
                        Objective::Ddpm(ddpm) => (load, ddpm.timesteps, false),
                        _ => (load, 1000, true),
                    }
                }
                _ => (pixels, 1000, false),
            };
            let twice = if sample.is_guided() { 2 } else { 1 };
            let steps = twice * sample.sampler.evaluations(times, is_flow);
            let size = sample.count as f64 * pixels;
            Work { units: sample.count.saturating_mul(steps), weight: load, size }
        }
        Settings::Evaluate(_) => {
            let maps = |input: NodeIndex| match settings(input) {
                Settings::Sample(sample) => sample.count as f64,
                Settings::Dataset(data) => data.split().map_or(1.0, |split| split.test as f64),
                _ => 0.0,
            };
            let count: f64 = graph.inputs(index).map(maps).sum();
            let pixels = pixels_of(input(index, "reference"));
            Work { units: 1, weight: count.max(1.0) * pixels, size: count.max(1.0) }
        }
        Settings::Command(command) => Work { units: 1, weight: 1.0 + likeness(command), size: 1.0 },
    }
}

/// A number below 1 that programs have in common which are called alike, with whatever values.
fn likeness(command: &Command) -> f64 {
    let text = command.call.write(Identity::Semantic).to_string();
    let digest = blake3::hash(text.as_bytes());
    let first: [u8; 4] = digest.as_bytes()[..4].try_into().expect("a digest has 32 bytes");
    f64::from(u32::from_le_bytes(first)) / 2f64.powi(32)
}

fn pixels(data: &Dataset) -> f64 {
    data.geometry().map_or(PIXELS, |geometry| (geometry.height * geometry.width) as f64)
}

/// Parts of a network: the channels of each, and the share of the pixels at which it stands.
fn parts(model: &Model) -> Vec<(f64, f64)> {
    let levels = |width: u64, multipliers: &[u64]| {
        let channels = multipliers.iter().map(|m| (width * m) as f64);
        channels.enumerate().map(|(level, c)| (c, 0.25_f64.powi(level as i32))).collect()
    };
    match model {
        Model::Unet(unet) => levels(unet.width, &unet.multipliers),
        Model::Adm(unet) => levels(unet.width, &unet.multipliers),
        Model::SimpleUnet(unet) => levels(unet.width, &unet.multipliers),
        Model::Dit(dit) => {
            let [width, depth, _] = dit.numbers();
            vec![(width as f64, 1.0 / (dit.patch * dit.patch) as f64); depth as usize]
        }
        // Two convolutions of few channels with kernels of 25 pixels.
        Model::Lenet(_) => vec![(10.0, 1.0), (10.0, 0.25)],
    }
}

/// Load of one evaluation of a network on one map.
fn network(model: &Model, pixels: f64) -> f64 {
    let times = |yes: bool, more: f64| if yes { more } else { 1.0 };
    let factor = match model {
        Model::Unet(unet) => times(unet.attention, 1.3) * times(unet.self_condition, 1.2),
        // The other U-Nets have four blocks in a level.
        Model::Adm(unet) => {
            (2 * unet.blocks + 1) as f64 / 4.0
                * times(unet.attention_side > 0, 1.2)
                * times(unet.self_condition, 1.2)
        }
        _ => 1.0,
    };
    let load = |(channels, share): (f64, f64)| factor * channels * channels * share * pixels;
    parts(model).into_iter().map(load).sum()
}

fn parameters(model: &Model) -> f64 {
    parts(model).into_iter().map(|(channels, _)| channels * channels).sum()
}

/// What a history says about the costs of nodes on one device.
#[derive(Debug, Default)]
pub struct Costs {
    same: BTreeMap<(Kind, u64), Vec<f64>>,
    kin: BTreeMap<Kind, Vec<f64>>,
    bytes: BTreeMap<Kind, Vec<f64>>,
}

/// The narrowest interval of equal work that was done once.
const ONCE: f64 = 1.25;

/// The narrowest interval by kin.
const KIN: f64 = 2.0;

impl Costs {
    /// Learns from a history; of other devices only what takes no time of theirs: sizes on disk.
    pub fn learn(history: &[Past], device: &str) -> Self {
        let mut model = Self::default();
        for past in history {
            if past.size > 0.0 && past.bytes > 0 {
                model.bytes.entry(past.kind).or_default().push(past.bytes as f64 / past.size);
            }
            if !is_device(&past.device, device) || past.units == 0 || past.weight <= 0.0 {
                continue;
            }
            let rate = past.seconds / past.units as f64;
            let known = model.same.entry((past.kind, past.weight.to_bits())).or_default();
            known.push(rate);
            model.kin.entry(past.kind).or_default().push(rate / past.weight);
        }
        let lists =
            model.same.values_mut().chain(model.kin.values_mut()).chain(model.bytes.values_mut());
        lists.for_each(|list| list.sort_by(f64::total_cmp));
        model
    }

    /// Seconds for so many units of this work; `None` if nothing of its kind was ever done there.
    pub fn seconds(&self, kind: Kind, work: &Work, units: u64) -> Option<Estimate> {
        let (rates, scale, narrowest, is_same) = match self.same.get(&(kind, work.weight.to_bits()))
        {
            Some(rates) => {
                let narrowest = if rates.len() > 1 { 1.05 } else { ONCE };
                (rates, 1.0, narrowest, true)
            }
            None => (self.kin.get(&kind)?, work.weight, KIN, false),
        };
        let load = scale * units as f64;
        let [low, middle, high] = [0.16, 0.5, 0.84].map(|q| load * quantile(rates, q));
        Some(Estimate {
            seconds: middle,
            low: low.min(middle / narrowest),
            high: high.max(middle * narrowest),
            is_same,
        })
    }

    /// Bytes that a node may leave on disk.
    pub fn bytes(&self, kind: Kind, work: &Work) -> Option<f64> {
        Some(work.size * quantile(self.bytes.get(&kind)?, 0.5))
    }
}

/// What nodes took of a GPU's memory, by kind and load.
#[derive(Debug, Default)]
pub struct Memory {
    known: BTreeMap<(Kind, u64), DeviceMemory>,
}

impl Memory {
    /// Learns from what attempts took.
    pub fn learn(seen: Vec<DeviceMemory>) -> Self {
        let known = seen.into_iter().map(|seen| ((seen.kind, seen.weight.to_bits()), seen));
        Self { known: known.collect() }
    }

    /// What equal nodes took.
    pub fn of(&self, kind: Kind, work: &Work) -> Option<DeviceMemory> {
        self.known.get(&(kind, work.weight.to_bits())).copied()
    }
}

/// Whether a history's device is the one that is meant: the same, or a GPU by a part of its name.
pub fn is_device(past: &str, meant: &str) -> bool {
    past == meant || (meant != "cpu" && past.to_lowercase().contains(&meant.to_lowercase()))
}

/// A quantile of sorted values.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (below, part) = (at.floor() as usize, at.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}

/// The sum of estimates. Within a class, such as a kind with its basis, errors go together; between
/// classes they do not.
pub fn sum(estimates: impl IntoIterator<Item = (Kind, Estimate)>) -> Estimate {
    let mut classes: BTreeMap<(Kind, bool), [f64; 3]> = BTreeMap::new();
    for (kind, estimate) in estimates {
        let class = classes.entry((kind, estimate.is_same)).or_default();
        class[0] += estimate.seconds;
        class[1] += estimate.seconds - estimate.low;
        class[2] += estimate.high - estimate.seconds;
    }
    let seconds: f64 = classes.values().map(|class| class[0]).sum();
    let spread = |i: usize| classes.values().map(|class| class[i] * class[i]).sum::<f64>().sqrt();
    Estimate {
        seconds,
        low: (seconds - spread(1)).max(0.0),
        high: seconds + spread(2),
        is_same: classes.keys().all(|(_, same)| *same),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(weight: f64, seconds: f64) -> Past {
        let device = "NVIDIA H100 80GB HBM3".to_owned();
        Past { kind: Kind::Train, device, units: 100, weight, seconds, bytes: 0, size: 0.0 }
    }

    fn work(weight: f64) -> Work {
        Work { units: 200, weight, size: 1.0 }
    }

    #[test]
    fn equal_work_is_best_known_and_kin_tell_the_rest() {
        let history = [past(10.0, 1.0), past(10.0, 1.2), past(10.0, 1.1), past(40.0, 5.0)];
        let model = Costs::learn(&history, "H100");
        let same = model.seconds(Kind::Train, &work(10.0), 200).unwrap();
        assert!((same.seconds - 2.2).abs() < 1e-9 && same.is_same, "{same:?}");
        assert!(same.low < 2.1 && same.high > 2.3 && same.high < 2.5, "{same:?}");
        let kin = model.seconds(Kind::Train, &work(20.0), 200).unwrap();
        assert!(kin.seconds > 3.9 && kin.seconds < 5.1 && !kin.is_same, "{kin:?}");
        assert!(kin.high >= 2.0 * kin.seconds && kin.low <= kin.seconds / 2.0, "{kin:?}");
    }

    #[test]
    fn what_was_never_done_there_is_unknown() {
        let history = [past(10.0, 1.0)];
        assert!(Costs::learn(&history, "cpu").seconds(Kind::Train, &work(10.0), 1).is_none());
        let model = Costs::learn(&history, "h100");
        assert!(model.seconds(Kind::Sample, &work(10.0), 1).is_none());
        let once = model.seconds(Kind::Train, &work(10.0), 100).unwrap();
        assert_eq!((once.low, once.high), (1.0 / ONCE, ONCE));
    }

    #[test]
    fn errors_of_one_class_go_together_and_of_different_ones_do_not() {
        let one = Estimate { seconds: 10.0, low: 7.0, high: 13.0, is_same: true };
        let alike = sum([(Kind::Train, one), (Kind::Train, one)]);
        assert_eq!((alike.low, alike.high), (14.0, 26.0));
        let apart =
            sum([(Kind::Train, one), (Kind::Sample, Estimate { low: 6.0, high: 14.0, ..one })]);
        assert_eq!((apart.low, apart.high), (15.0, 25.0));
    }
}
