//! The U-Net of "The Annotated Diffusion Model" (Rogge & Rasul 2022, after Phil Wang's
//! denoising-diffusion-pytorch), with weight standardisation done right by default and circular
//! padding for periodic boxes.

use super::Network;
use super::attention::{Attention, LinearAttention};
use super::blocks::{ResnetBlock, Style};
use super::layers::{Conv, Linear, Width};
use crate::embedding;
use ablate::problem::{Problem, Result};
use ablate::settings;
use tch::{Tensor, nn};

/// Channels of what a network is given and of what it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// Channels of the input; with self-conditioning, those of the earlier prediction come first.
    pub input: i64,
    /// Channels of the output.
    pub output: i64,
}

impl Channels {
    /// As many channels out as in.
    pub fn same(channels: i64) -> Self {
        Self { input: channels, output: channels }
    }
}

/// Checks that maps of `side` by `side` pixels can be halved as often as the levels ask for.
pub(super) fn check_side(settings: &settings::Unet, side: u64) -> Result<()> {
    let levels = settings.multipliers.len() as u32;
    let divisor = 2_u64.pow(levels.saturating_sub(1));
    if side > 0 && side.is_multiple_of(divisor) {
        return Ok(());
    }
    let sentence = format!(
        "maps of {side} x {side} pixels do not fit a U-Net of {levels} levels, \
         which needs a side divisible by {divisor}"
    );
    Err(Problem::new(sentence).help("take fewer `multipliers`, or maps of another side"))
}

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
    init_conv: Conv,
    time_in: Linear,
    time_out: Linear,
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
    pub fn new(path: &nn::Path, settings: &settings::Unet, channels: Channels) -> Self {
        let builder = Builder::new(settings);
        let (width, time) = (settings.width as i64, builder.style.time_width);
        let middle = *builder.widths.last().expect("a U-Net has its first width");
        let in_middle = Width { from: middle, to: middle };
        Self {
            width,
            init_conv: Conv::point(
                &(path / "init_conv"),
                Width { from: channels.input, to: width },
            ),
            time_in: Linear::new(&(path / "time_mlp" / 1), Width { from: width, to: time }),
            time_out: Linear::new(&(path / "time_mlp" / 3), Width { from: time, to: time }),
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

    fn embed(&self, t: &Tensor, like: &Tensor) -> Tensor {
        let time = embedding::sin_cos(t, self.width, like.kind()); // [n, width]
        self.time_out.forward(&self.time_in.forward(&time).gelu("none")) // [n, 4 width]
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
    fn forward(&self, x: &Tensor, t: &Tensor) -> Tensor {
        let time = self.embed(t, x); // [n, 4 width]
        let first = self.init_conv.forward(x); // [n, width, h, w]
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{build, check_side, initialise};
    use crate::random::Stream;
    use ablate::settings::{Model, Padding};
    use tch::{Device, Kind};

    fn settings(padding: Padding, attention: bool) -> settings::Unet {
        settings::Unet {
            width: 8,
            multipliers: vec![1, 2, 2],
            padding,
            attention,
            ..settings::Unet::default()
        }
    }

    /// How far the network is from commuting with a shift by (4, 8) pixels, and by (1, 3).
    fn shift_errors(padding: Padding, attention: bool) -> [f64; 2] {
        let mut store = nn::VarStore::new(Device::Cpu);
        let net = build(&Model::Unet(settings(padding, attention)), 2, &store.root());
        initialise(&store, 3);
        store.double();
        let x = Tensor::from_slice(&Stream::new(0, "test", 0).normal_f32(2 * 2 * 256));
        let x = x.view([2, 2, 16, 16]).to_kind(Kind::Double);
        let t = Tensor::from_slice(&[3_i64, 700]);
        [[4_i64, 8], [1, 3]].map(|shift| {
            let roll = |x: &Tensor| x.roll(shift.as_slice(), [2_i64, 3].as_slice());
            let error = roll(&net.forward(&x, &t)) - net.forward(&roll(&x), &t);
            error.abs().max().double_value(&[])
        })
    }

    #[test]
    fn a_circular_network_commutes_with_shifts_that_its_levels_divide() {
        for attention in [true, false] {
            let [whole, odd] = shift_errors(Padding::Circular, attention);
            assert!(whole < 1e-12, "attention {attention}: {whole}");
            assert!(odd > 1e-6, "attention {attention}: {odd}");
        }
    }

    #[test]
    fn a_zero_padded_network_sees_where_the_edge_is() {
        let [whole, _] = shift_errors(Padding::Zero, true);
        assert!(whole > 1e-4, "{whole}");
    }

    #[test]
    fn a_side_that_the_levels_do_not_divide_is_refused_in_one_sentence() {
        let model = Model::Unet(settings(Padding::Zero, true));
        assert!(check_side(&model, 28).is_ok());
        let sentence = check_side(&model, 30).unwrap_err().to_string();
        assert!(sentence.contains("30 x 30") && sentence.contains("divisible by 4"), "{sentence}");
        assert!(check_side(&model, 0).is_err());
    }

    #[test]
    fn the_smallest_side_that_is_accepted_can_be_evaluated() {
        for padding in [Padding::Zero, Padding::Circular] {
            let model = Model::Unet(settings(padding, true));
            let store = nn::VarStore::new(Device::Cpu);
            let net = build(&model, 1, &store.root());
            initialise(&store, 0);
            check_side(&model, 4).unwrap();
            let x = Tensor::ones([1, 1, 4, 4], (Kind::Float, Device::Cpu));
            let out = net.forward(&x, &Tensor::from_slice(&[5_i64]));
            assert_eq!(out.size(), [1, 1, 4, 4]);
            assert!(out.abs().max().double_value(&[]).is_finite());
        }
    }

    #[test]
    fn the_network_hears_the_time() {
        let store = nn::VarStore::new(Device::Cpu);
        let net = build(&Model::Unet(settings(Padding::Zero, true)), 1, &store.root());
        initialise(&store, 0);
        let x = Tensor::ones([2, 1, 8, 8], (Kind::Float, Device::Cpu));
        let out = net.forward(&x, &Tensor::from_slice(&[5_i64, 900]));
        assert!((out.get(0) - out.get(1)).abs().max().double_value(&[]) > 1e-3);
    }
}
