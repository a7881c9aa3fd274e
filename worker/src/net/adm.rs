//! The U-Net of Dhariwal & Nichol 2021 (ADM): residual blocks that end at zero, told time and conditions by scales
//! and shifts between norm and activation, full attention where the side is small, and blocks that change the
//! side themselves. Nothing in it knows its place, so with circular padding it moves with its input by
//! whatever its levels divide.

use super::condition::{ConditionEmbedding, Places, Told};
use super::layers::{Conv, GroupNorm, Linear, Width, attend};
use super::start::Start;
use super::{Channels, Input, Network, Sides};
use crate::embedding;
use ablate::settings::{self, Padding};
use tch::{Tensor, nn};

const PLACES: Places =
    Places { table: "class_embedding", maps: "condition_mlp", activation: |x: &Tensor| x.silu() };

/// What the blocks of a network have in common.
#[derive(Debug, Clone, Copy)]
struct Style {
    told: i64,
    groups: i64,
    padding: Padding,
    head_width: i64,
}

/// How a block changes the side.
#[derive(Debug, Clone, Copy)]
enum Side {
    Keep,
    Halve,
    Double,
}

impl Side {
    /// `[n, c, h, w]` to `[n, c, h / 2, w / 2]`, each the mean of four, or to `[n, c, 2 h, 2 w]`, each four times.
    fn change(self, x: &Tensor) -> Tensor {
        match self {
            Self::Keep => x.shallow_clone(),
            Self::Halve => x.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None::<i64>),
            Self::Double => {
                let (_, _, h, w) = x.size4().expect("fields have four dimensions");
                x.upsample_nearest2d([2 * h, 2 * w], None, None)
            }
        }
    }
}

/// Two convolutions and a way around them.
#[derive(Debug)]
struct Residual {
    side: Side,
    norm1: GroupNorm,
    conv1: Conv,
    told: Linear,
    norm2: GroupNorm,
    conv2: Conv,
    shortcut: Option<Conv>,
}

impl Residual {
    fn new(path: &nn::Path, width: Width, side: Side, style: Style) -> Self {
        let Width { from, to } = width;
        Self {
            side,
            norm1: GroupNorm::new(&(path / "norm1"), style.groups, from),
            conv1: Conv::new(&(path / "conv1"), width, 3, style.padding),
            told: Linear::new(&(path / "told"), Width { from: style.told, to: 2 * to }),
            norm2: GroupNorm::new(&(path / "norm2"), style.groups, to),
            conv2: Conv::new(&(path / "conv2"), Width { from: to, to }, 3, style.padding),
            shortcut: (from != to).then(|| Conv::point(&(path / "shortcut"), width)),
        }
    }

    /// `x` `[n, from, h, w]` told `told` `[n, told]` to `[n, to, h', w']`.
    fn forward(&self, x: &Tensor, told: &Tensor) -> Tensor {
        let parts = self.told.forward(told).unsqueeze(-1).unsqueeze(-1).chunk(2, 1); // each [n, to, 1, 1]
        let h = self.side.change(&self.norm1.forward(x).silu());
        let h = self.norm2.forward(&self.conv1.forward(&h)) * (&parts[0] + 1.0) + &parts[1];
        let h = self.conv2.forward(&h.silu());
        let around = self.side.change(x);
        match &self.shortcut {
            Some(conv) => h + conv.forward(&around),
            None => h + around,
        }
    }
}

/// Full attention between all pixels, with a way around it.
#[derive(Debug)]
struct Attention {
    heads: i64,
    norm: GroupNorm,
    qkv: Conv,
    proj: Conv,
}

impl Attention {
    fn new(path: &nn::Path, width: i64, style: Style) -> Self {
        Self {
            heads: (width / style.head_width).max(1),
            norm: GroupNorm::new(&(path / "norm"), style.groups, width),
            qkv: Conv::point(&(path / "qkv"), Width { from: width, to: 3 * width }),
            proj: Conv::point(&(path / "proj"), Width { from: width, to: width }),
        }
    }

    /// `[n, c, h, w]` to the same shape.
    fn forward(&self, x: &Tensor) -> Tensor {
        let (n, c, h, w) = x.size4().expect("fields have four dimensions");
        let qkv = self.qkv.forward(&self.norm.forward(x));
        let qkv = qkv.reshape([n, 3, self.heads, c / self.heads, h * w]).transpose(3, 4);
        // Each [n, heads, h w, width of a head].
        let out = attend(&qkv.select(1, 0), &qkv.select(1, 1), &qkv.select(1, 2));
        x + self.proj.forward(&out.transpose(2, 3).reshape([n, c, h, w]))
    }
}

/// A block, and perhaps attention after it.
#[derive(Debug)]
struct Stage {
    block: Residual,
    attention: Option<Attention>,
}

impl Stage {
    fn forward(&self, x: &Tensor, told: &Tensor) -> Tensor {
        let x = self.block.forward(x, told);
        match &self.attention {
            Some(attention) => attention.forward(&x),
            None => x,
        }
    }
}

/// The network.
#[derive(Debug)]
pub struct Adm {
    width: i64,
    looks_back: bool,
    time_in: Linear,
    time_out: Linear,
    condition: Option<ConditionEmbedding>,
    first: Conv,
    /// Each keeps what it makes for a stage on the way up.
    downs: Vec<Stage>,
    middle: [Stage; 2],
    /// Whether a stage sees what was kept; those that double the side do not.
    ups: Vec<(Stage, bool)>,
    last_norm: GroupNorm,
    last: Conv,
}

/// Declares stages one after another, with the channels that each makes.
struct Builder<'b> {
    settings: &'b settings::Adm,
    style: Style,
    path: &'b nn::Path<'b>,
}

impl Builder<'_> {
    fn stage(&self, name: &str, i: usize, width: Width, side: Side, attends: bool) -> Stage {
        let path = self.path / name / i as i64;
        Stage {
            block: Residual::new(&(&path / "block"), width, side, self.style),
            attention: attends
                .then(|| Attention::new(&(&path / "attention"), width.to, self.style)),
        }
    }

    /// The stages down, with the channels that each makes, those of the first convolution before.
    fn downs(&self, levels: &[i64], sides: Sides) -> (Vec<Stage>, Vec<i64>) {
        let mut kept = vec![self.settings.width as i64];
        let mut stages = vec![];
        let mut push = |to: i64, side, attends| {
            let from = kept.last().copied().unwrap_or(to);
            stages.push(self.stage("downs", stages.len(), Width { from, to }, side, attends));
            kept.push(to);
        };
        for (level, to) in levels.iter().enumerate() {
            if level > 0 {
                push(levels[level - 1], Side::Halve, false);
            }
            for _ in 0..self.settings.blocks {
                push(*to, Side::Keep, self.attends(sides, level));
            }
        }
        (stages, kept)
    }

    /// The stages up: one more in each level than down, since each sees one thing that was kept.
    fn ups(&self, levels: &[i64], sides: Sides, mut kept: Vec<i64>) -> Vec<(Stage, bool)> {
        let mut stages = vec![];
        let mut from = levels.last().copied().unwrap_or(1);
        for (level, to) in levels.iter().copied().enumerate().rev() {
            for _ in 0..=self.settings.blocks {
                let joined = Width { from: from + kept.pop().unwrap_or(0), to };
                let attends = self.attends(sides, level);
                let stage = self.stage("ups", stages.len(), joined, Side::Keep, attends);
                stages.push((stage, true));
                from = to;
            }
            if level > 0 {
                let same = Width { from, to: from };
                stages.push((self.stage("ups", stages.len(), same, Side::Double, false), false));
            }
        }
        stages
    }

    fn attends(&self, sides: Sides, level: usize) -> bool {
        let side = sides.height.max(sides.width) >> level;
        side <= self.settings.attention_side as i64
    }
}

impl Adm {
    /// Declares the parameters at `path`, all zero, for maps of these sides.
    pub fn new(
        path: &nn::Path,
        settings: &settings::Adm,
        (channels, sides): (Channels, Sides),
        told: Option<Told>,
    ) -> Self {
        let width = settings.width as i64;
        let style = Style {
            told: 4 * width,
            groups: settings.groups as i64,
            padding: settings.padding,
            head_width: settings.head_width as i64,
        };
        let builder = Builder { settings, style, path };
        let levels: Vec<i64> = settings.multipliers.iter().map(|m| *m as i64 * width).collect();
        let (downs, kept) = builder.downs(&levels, sides);
        let deepest = levels.last().copied().unwrap_or(width);
        let same = Width { from: deepest, to: deepest };
        let attends = settings.attention_side > 0;
        let seen = if settings.self_condition { 2 * channels.input } else { channels.input };
        let time = |i: i64, from: i64| {
            Linear::new(&(path / "time_mlp" / i), Width { from, to: style.told })
        };
        let top = levels.first().copied().unwrap_or(width);
        Self {
            width,
            looks_back: settings.self_condition,
            time_in: time(0, width),
            time_out: time(2, style.told),
            condition: told.map(|told| ConditionEmbedding::new(path, told, style.told, &PLACES)),
            first: Conv::new(&(path / "first"), Width { from: seen, to: width }, 3, style.padding),
            downs,
            middle: [
                builder.stage("middle", 0, same, Side::Keep, attends),
                builder.stage("middle", 1, same, Side::Keep, false),
            ],
            ups: builder.ups(&levels, sides, kept),
            last_norm: GroupNorm::new(&(path / "last_norm"), style.groups, top),
            last: Conv::new(
                &(path / "last"),
                Width { from: top, to: channels.output },
                3,
                style.padding,
            ),
        }
    }

    /// Time and conditions in one vector, `[n, 4 width]`, as every block hears it.
    fn told(&self, input: &Input<'_>) -> Tensor {
        let time = embedding::cos_sin(input.t, self.width, input.x.kind()); // [n, width]
        let time = self.time_out.forward(&self.time_in.forward(&time).silu());
        match (&self.condition, input.condition) {
            (Some(embedding), Some(condition)) => (time + embedding.forward(condition)).silu(),
            _ => time.silu(),
        }
    }
}

impl Network for Adm {
    fn forward(&self, input: &Input<'_>) -> Tensor {
        let told = self.told(input); // [n, 4 width]
        let mut x = self.first.forward(&input.seen(self.looks_back)); // [n, width, h, w]
        let mut kept = vec![x.shallow_clone()];
        for stage in &self.downs {
            x = stage.forward(&x, &told);
            kept.push(x.shallow_clone());
        }
        for stage in &self.middle {
            x = stage.forward(&x, &told);
        }
        for (stage, joins) in &self.ups {
            if *joins {
                let kept = kept.pop().expect("the way down kept one for each");
                x = Tensor::cat(&[x, kept], 1);
            }
            x = stage.forward(&x, &told);
        }
        self.last.forward(&self.last_norm.forward(&x).silu()) // [n, output, h, w]
    }

    fn looks_back(&self) -> bool {
        self.looks_back
    }

    /// What a block adds starts at nothing, and so does the output.
    fn start(&self, name: &str) -> Option<Start> {
        let is_last = |layer: &str| name.contains(&format!(".{layer}."));
        if is_last("conv2") || is_last("proj") || name.starts_with("last.") {
            return Some(Start::Constant(0.0));
        }
        name.starts_with(PLACES.table).then(ConditionEmbedding::start_of_table)
    }
}
