//! The U-Net of "The Annotated Diffusion Model" (Rogge & Rasul 2022, after Phil Wang's
//! denoising-diffusion-pytorch), with weight standardisation done right by default and circular
//! padding for periodic boxes.

use super::attention::{Attention, LinearAttention};
use super::blocks::{ResnetBlock, Style};
use super::condition::{ConditionEmbedding, Places, Told};
use super::layers::{Conv, Linear, Width};
use super::{Channels, Input, Network, Start};
use crate::embedding;
use ablate::settings;
use tch::{Tensor, nn};

const PLACES: Places = Places {
    table: "class_embedding",
    maps: "condition_mlp",
    activation: |x: &Tensor| x.gelu("none"),
};

/// One level of either half: two residual blocks, perhaps attention, and a change of side or channels.
#[derive(Debug)]
struct Level {
    block1: ResnetBlock,
    block2: ResnetBlock,
    attention: Option<LinearAttention>,
    resize: fn(Tensor) -> Tensor,
    change: Conv,
}

impl Level {
    fn attend(&self, x: Tensor) -> Tensor {
        match &self.attention {
            Some(attention) => attention.forward(&x),
            None => x,
        }
    }

    /// `[n, c, h, w]` to the side and channels of the next level.
    fn leave(&self, x: Tensor) -> Tensor {
        self.change.forward(&(self.resize)(x))
    }
}

/// `[n, c, h, w]` to `[n, 4 c, h / 2, w / 2]`: nothing is lost.
fn halve(x: Tensor) -> Tensor {
    x.pixel_unshuffle(2)
}

/// `[n, c, h, w]` to `[n, c, 2 h, 2 w]`: every pixel four times.
fn double(x: Tensor) -> Tensor {
    let (_, _, h, w) = x.size4().expect("fields have four dimensions");
    x.upsample_nearest2d([2 * h, 2 * w], None, None)
}

fn keep(x: Tensor) -> Tensor {
    x
}

/// Declares the layers of one network, level by level.
struct Builder {
    style: Style,
    attention: bool,
    /// Channels at the top and after each level.
    widths: Vec<i64>,
}

impl Builder {
    fn new(settings: &settings::Unet) -> Self {
        let width = settings.width as i64;
        let levels = settings.multipliers.iter().map(|multiplier| *multiplier as i64 * width);
        let style = Style {
            time_width: 4 * width,
            groups: settings.groups as i64,
            padding: settings.padding,
            standardisation: settings.weight_standardisation,
        };
        let widths = std::iter::once(width).chain(levels).collect();
        Self { style, attention: settings.attention, widths }
    }

    fn resnet_block(&self, path: &nn::Path, width: Width) -> ResnetBlock {
        ResnetBlock::new(path, width, self.style)
    }

    fn linear_attention(&self, path: &nn::Path, channels: i64) -> Option<LinearAttention> {
        self.attention.then(|| LinearAttention::new(path, channels))
    }

    /// A level that narrows the field and widens the channels; the last one keeps the side.
    fn down(&self, path: &nn::Path, width: Width, is_last: bool) -> Level {
        let same = Width { from: width.from, to: width.from };
        let padding = self.style.padding;
        let change = if is_last {
            Conv::new(&(path / 3), width, 3, padding)
        } else {
            Conv::point(&(path / 3 / 1), Width { from: 4 * width.from, to: width.to })
        };
        Level {
            block1: self.resnet_block(&(path / 0), same),
            block2: self.resnet_block(&(path / 1), same),
            attention: self.linear_attention(&(path / 2), width.from),
            resize: if is_last { keep } else { halve },
            change,
        }
    }

    /// A level that widens the field and narrows the channels; the last one keeps the side. Both
    /// blocks also see what the other half kept, which has as many channels as this level returns.
    fn up(&self, path: &nn::Path, width: Width, is_last: bool) -> Level {
        let joined = Width { from: width.from + width.to, to: width.from };
        let place = if is_last { path / 3 } else { path / 3 / 1 };
        Level {
            block1: self.resnet_block(&(path / 0), joined),
            block2: self.resnet_block(&(path / 1), joined),
            attention: self.linear_attention(&(path / 2), width.from),
            resize: if is_last { keep } else { double },
            change: Conv::new(&place, width, 3, self.style.padding),
        }
    }

    fn downs(&self, path: &nn::Path) -> Vec<Level> {
        let pairs = self.widths.windows(2).enumerate();
        let is_last = |i: usize| i + 2 == self.widths.len();
        let level = |(i, pair): (usize, &[i64])| {
            self.down(&(path / i), Width { from: pair[0], to: pair[1] }, is_last(i))
        };
        pairs.map(level).collect()
    }

    fn ups(&self, path: &nn::Path) -> Vec<Level> {
        let pairs = self.widths.windows(2).rev().enumerate();
        let is_last = |i: usize| i + 2 == self.widths.len();
        let level = |(i, pair): (usize, &[i64])| {
            self.up(&(path / i), Width { from: pair[1], to: pair[0] }, is_last(i))
        };
        pairs.map(level).collect()
    }
}

/// The network.
#[derive(Debug)]
pub struct Unet {
    width: i64,
    looks_back: bool,
    init_conv: Conv,
    time_in: Linear,
    time_out: Linear,
    condition: Option<ConditionEmbedding>,
    downs: Vec<Level>,
    mid_block1: ResnetBlock,
    mid_attention: Option<Attention>,
    mid_block2: ResnetBlock,
    ups: Vec<Level>,
    final_res_block: ResnetBlock,
    final_conv: Conv,
}

impl Unet {
    /// Declares the parameters at `path`, all zero.
    pub fn new(
        path: &nn::Path,
        settings: &settings::Unet,
        channels: Channels,
        told: Option<Told>,
    ) -> Self {
        let builder = Builder::new(settings);
        let (width, time) = (settings.width as i64, builder.style.time_width);
        let middle = *builder.widths.last().expect("a U-Net has its first width");
        // What was predicted before comes first.
        let seen = if settings.self_condition { 2 * channels.input } else { channels.input };
        let in_middle = Width { from: middle, to: middle };
        Self {
            width,
            looks_back: settings.self_condition,
            init_conv: Conv::point(&(path / "init_conv"), Width { from: seen, to: width }),
            time_in: Linear::new(&(path / "time_mlp" / 1), Width { from: width, to: time }),
            time_out: Linear::new(&(path / "time_mlp" / 3), Width { from: time, to: time }),
            condition: told.map(|told| ConditionEmbedding::new(path, told, time, &PLACES)),
            downs: builder.downs(&(path / "downs")),
            mid_block1: builder.resnet_block(&(path / "mid_block1"), in_middle),
            mid_attention: settings.attention.then(|| Attention::new(&(path / "mid_attn"), middle)),
            mid_block2: builder.resnet_block(&(path / "mid_block2"), in_middle),
            ups: builder.ups(&(path / "ups")),
            final_res_block: builder
                .resnet_block(&(path / "final_res_block"), Width { from: 2 * width, to: width }),
            final_conv: Conv::point(
                &(path / "final_conv"),
                Width { from: width, to: channels.output },
            ),
        }
    }

    /// Time and conditions in one vector, `[n, 4 width]`.
    fn embed(&self, input: &Input<'_>) -> Tensor {
        let time = embedding::sin_cos(input.t, self.width, input.x.kind()); // [n, width]
        let time = self.time_out.forward(&self.time_in.forward(&time).gelu("none"));
        match (&self.condition, input.condition) {
            (Some(embedding), Some(condition)) => time + embedding.forward(condition),
            _ => time,
        }
    }

    fn middle(&self, x: &Tensor, time: &Tensor) -> Tensor {
        let x = self.mid_block1.forward(x, time);
        let x = match &self.mid_attention {
            Some(attention) => attention.forward(&x),
            None => x,
        };
        self.mid_block2.forward(&x, time)
    }
}

impl Network for Unet {
    fn forward(&self, input: &Input<'_>) -> Tensor {
        let time = self.embed(input); // [n, 4 width]
        let first = self.init_conv.forward(&input.seen(self.looks_back)); // [n, width, h, w]
        let mut x = first.shallow_clone();
        let mut kept = vec![];
        for level in &self.downs {
            x = level.block1.forward(&x, &time); // [n, c, h, w] of this level
            kept.push(x.shallow_clone());
            x = level.block2.forward(&x, &time);
            // The reference keeps it before attention; other editions do so after.
            kept.push(x.shallow_clone());
            x = level.leave(level.attend(x)); // [n, c, h, w] of the next level
        }
        x = self.middle(&x, &time);
        for level in &self.ups {
            let mut joined = |x: &Tensor| {
                let kept = kept.pop().expect("the way down kept two per level");
                Tensor::cat(&[x, &kept], 1) // [n, c + c of the level above, h, w]
            };
            x = level.block1.forward(&joined(&x), &time); // [n, c, h, w] of this level
            x = level.block2.forward(&joined(&x), &time);
            x = level.leave(level.attend(x)); // [n, c, h, w] of the level above
        }
        let x = Tensor::cat(&[&x, &first], 1); // [n, 2 width, h, w]
        self.final_conv.forward(&self.final_res_block.forward(&x, &time)) // [n, output, h, w]
    }

    fn looks_back(&self) -> bool {
        self.looks_back
    }

    fn start(&self, name: &str) -> Option<Start> {
        name.starts_with(PLACES.table).then(ConditionEmbedding::start_of_table)
    }
}
