//! The U-Net of an earlier study of density fields, "SimpleUNet": residual blocks with batch norm, to which
//! linear maps of the embedded time and of the embedded conditions are added.

use super::condition::{ConditionEmbedding, Places, Told};
use super::layers::{BatchNorm, Conv, Linear, Width, factor, wrap};
use super::{Channels, Input, Network, Start};
use crate::embedding;
use ablate::settings::{self, Padding};
use tch::{Tensor, nn};

const PLACES: Places =
    Places { table: "class_embedding", maps: "cond_mlp", activation: |x: &Tensor| x.relu() };

/// Convolution, norm and activation.
#[derive(Debug)]
struct Block {
    conv: Conv,
    norm: BatchNorm,
}

impl Block {
    fn new(path: &nn::Path, width: Width, padding: Padding) -> Self {
        Self {
            conv: Conv::new(&(path / 0), width, 3, padding),
            norm: BatchNorm::new(&(path / 1), width.to),
        }
    }

    fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        self.norm.forward(&self.conv.forward(x), training).relu()
    }
}

/// What a block is told: the embedded time and the embedded conditions, `[n, time width]` each.
struct Words {
    time: Tensor,
    condition: Option<Tensor>,
    training: bool,
}

/// Two blocks and a way around them; between them stand the words.
#[derive(Debug)]
struct Residual {
    block1: Block,
    block2: Block,
    time: Linear,
    condition: Option<Linear>,
    shortcut: Option<Conv>,
}

/// What the blocks of a network have in common.
#[derive(Debug, Clone, Copy)]
struct Style {
    time_width: i64,
    told: bool,
    padding: Padding,
}

impl Residual {
    fn new(path: &nn::Path, width: Width, style: Style) -> Self {
        let Width { from, to } = width;
        let word = |name: &str| Linear::new(&(path / name), Width { from: style.time_width, to });
        Self {
            block1: Block::new(&(path / "block1"), width, style.padding),
            block2: Block::new(&(path / "block2"), Width { from: to, to }, style.padding),
            time: word("time_mlp"),
            condition: style.told.then(|| word("cond_mlp")),
            shortcut: (from != to).then(|| Conv::point(&(path / "shortcut"), width)),
        }
    }

    /// `[n, from, h, w]` to `[n, to, h, w]`.
    fn forward(&self, x: &Tensor, words: &Words) -> Tensor {
        let mut word = self.time.forward(&words.time); // [n, to]
        if let (Some(linear), Some(condition)) = (&self.condition, &words.condition) {
            word += linear.forward(condition);
        }
        let h = self.block1.forward(x, words.training) + word.unsqueeze(-1).unsqueeze(-1);
        let h = self.block2.forward(&h, words.training);
        match &self.shortcut {
            Some(conv) => h + conv.forward(x),
            None => h + x,
        }
    }
}

/// A kernel of 4 by 4 pixels that halves or doubles the side.
#[derive(Debug)]
struct Resize {
    weight: Tensor,
    bias: Tensor,
    padding: Padding,
}

impl Resize {
    fn new(path: &nn::Path, channels: i64, padding: Padding) -> Self {
        let weight = path.zeros("weight", &[channels, channels, 4, 4]);
        Self { weight, bias: path.zeros("bias", &[channels]), padding }
    }

    /// `[n, c, h, w]` to `[n, c, h / 2, w / 2]`.
    fn halve(&self, x: &Tensor) -> Tensor {
        let (x, edge) = match self.padding {
            Padding::Zero => (x.shallow_clone(), 1),
            Padding::Circular => (wrap(x, 1), 0),
        };
        let (weight, bias) = (factor(&self.weight), factor(&self.bias));
        factor(&x).conv2d(&weight, Some(&bias), [2, 2], [edge, edge], [1, 1], 1)
    }

    /// `[n, c, h, w]` to `[n, c, 2 h, 2 w]`. A pixel that was wrapped adds two to each edge, which the
    /// padding, cut off the output, takes away again.
    fn double(&self, x: &Tensor) -> Tensor {
        let (x, edge) = match self.padding {
            Padding::Zero => (x.shallow_clone(), 1),
            Padding::Circular => (wrap(x, 1), 3),
        };
        let (weight, bias) = (factor(&self.weight), factor(&self.bias));
        factor(&x).conv_transpose2d(&weight, Some(&bias), [2, 2], [edge, edge], [0, 0], 1, [1, 1])
    }
}

/// The network.
#[derive(Debug)]
pub struct SimpleUnet {
    time_width: i64,
    time_in: Linear,
    time_out: Linear,
    condition: Option<ConditionEmbedding>,
    init_conv: Conv,
    downs: Vec<(Residual, Resize)>,
    mid: Residual,
    ups: Vec<(Resize, Residual)>,
    final_in: Conv,
    final_out: Conv,
}

impl SimpleUnet {
    /// Declares the parameters at `path`, all zero.
    pub fn new(
        path: &nn::Path,
        settings: &settings::SimpleUnet,
        channels: Channels,
        told: Option<Told>,
    ) -> Self {
        let (width, time_width) = (settings.width as i64, settings.time_width as i64);
        let padding = settings.padding;
        let style = Style { time_width, told: told.is_some(), padding };
        let levels: Vec<i64> = settings.multipliers.iter().map(|m| *m as i64 * width).collect();
        let befores = std::iter::once(width).chain(levels.iter().copied());
        let time = |i: i64| Linear::new(&(path / "time_mlp" / i), square(time_width));
        let down = |(i, (from, to)): (usize, (i64, i64))| {
            let path = path / "downs" / i as i64;
            let residual = Residual::new(&(&path / "res"), Width { from, to }, style);
            (residual, Resize::new(&(&path / "down"), to, padding))
        };
        let middle = levels.last().copied().unwrap_or(width);
        let mut below = middle;
        let up = |(i, to): (usize, i64)| {
            let (path, from) = (path / "ups" / i as i64, below);
            below = to;
            let joined = Width { from: from + to, to };
            let resize = Resize::new(&(&path / "up"), from, padding);
            (resize, Residual::new(&(&path / "res"), joined, style))
        };
        Self {
            time_width,
            time_in: time(1),
            time_out: time(3),
            condition: told.map(|told| ConditionEmbedding::new(path, told, time_width, &PLACES)),
            init_conv: Conv::new(
                &(path / "init_conv"),
                Width { from: channels.input, to: width },
                3,
                padding,
            ),
            downs: befores.zip(levels.iter().copied()).enumerate().map(down).collect(),
            mid: Residual::new(&(path / "mid"), square(middle), style),
            ups: levels.iter().rev().copied().enumerate().map(up).collect(),
            final_in: Conv::new(
                &(path / "final_conv" / 0),
                square(levels.first().copied().unwrap_or(width)),
                3,
                padding,
            ),
            final_out: Conv::point(
                &(path / "final_conv" / 2),
                Width { from: levels.first().copied().unwrap_or(width), to: channels.output },
            ),
        }
    }

    fn words(&self, input: &Input<'_>) -> Words {
        let time = embedding::sin_cos(input.t, self.time_width, input.x.kind());
        let condition = match (&self.condition, input.condition) {
            (Some(embedding), Some(condition)) => Some(embedding.forward(condition)),
            _ => None,
        };
        Words {
            time: self.time_out.forward(&self.time_in.forward(&time).relu()),
            condition,
            training: input.training,
        }
    }
}

fn square(width: i64) -> Width {
    Width { from: width, to: width }
}

impl Network for SimpleUnet {
    fn forward(&self, input: &Input<'_>) -> Tensor {
        let words = self.words(input);
        let mut x = self.init_conv.forward(input.x); // [n, width, h, w]
        let mut kept = vec![];
        for (residual, resize) in &self.downs {
            x = residual.forward(&x, &words); // [n, c, h, w] of this level
            kept.push(x.shallow_clone());
            x = resize.halve(&x);
        }
        x = self.mid.forward(&x, &words);
        for (resize, residual) in &self.ups {
            let kept = kept.pop().expect("the way down kept one per level");
            let joined = Tensor::cat(&[resize.double(&x), kept], 1); // [n, c below + c, h, w]
            x = residual.forward(&joined, &words);
        }
        self.final_out.forward(&self.final_in.forward(&x).relu()) // [n, output, h, w]
    }

    fn start(&self, name: &str) -> Option<Start> {
        name.starts_with(PLACES.table).then(ConditionEmbedding::start_of_table)
    }
}
