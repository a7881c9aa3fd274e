//! The residual blocks of the U-Net, told the time by a scale and a shift of their channels.

use super::layers::{Conv, GroupNorm, Linear, Width};
use ablate::settings::{Padding, Standardisation};
use tch::{Tensor, nn};

/// What all blocks of a network have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Channels of the embedded time.
    pub(super) time_width: i64,
    /// Groups of the group norm.
    pub(super) groups: i64,
    pub(super) padding: Padding,
    pub(super) standardisation: Standardisation,
}

/// Convolution, norm and activation.
#[derive(Debug)]
struct Block {
    proj: Conv,
    norm: GroupNorm,
}

impl Block {
    fn new(path: &nn::Path, width: Width, style: Style) -> Self {
        let proj = Conv::new(&(path / "proj"), width, 3, style.padding);
        Self {
            proj: proj.standardised(style.standardisation),
            norm: GroupNorm::new(&(path / "norm"), style.groups, width.to),
        }
    }

    /// `[n, from, h, w]` to `[n, to, h, w]`, before the activation.
    fn normed(&self, x: &Tensor) -> Tensor {
        self.norm.forward(&self.proj.forward(x))
    }
}

/// Two blocks and a way around them; the first one is told the time (Perez et al. 2018).
#[derive(Debug)]
pub(super) struct ResnetBlock {
    mlp: Linear,
    block1: Block,
    block2: Block,
    /// Only where the number of channels changes.
    res_conv: Option<Conv>,
}

impl ResnetBlock {
    pub(super) fn new(path: &nn::Path, width: Width, style: Style) -> Self {
        let Width { from, to } = width;
        Self {
            mlp: Linear::new(&(path / "mlp" / 1), Width { from: style.time_width, to: 2 * to }),
            block1: Block::new(&(path / "block1"), width, style),
            block2: Block::new(&(path / "block2"), Width { from: to, to }, style),
            res_conv: (from != to).then(|| Conv::point(&(path / "res_conv"), width)),
        }
    }

    /// `x` `[n, from, h, w]` and the embedded time `[n, time width]` to `[n, to, h, w]`.
    pub(super) fn forward(&self, x: &Tensor, time: &Tensor) -> Tensor {
        let told = self.mlp.forward(&time.silu()).unsqueeze(-1).unsqueeze(-1); // [n, 2 to, 1, 1]
        let to = told.size()[1] / 2;
        let (scale, shift) = (told.narrow(1, 0, to), told.narrow(1, to, to)); // [n, to, 1, 1]
        let h = shift.addcmul(&self.block1.normed(x), &(scale + 1.0)).silu(); // [n, to, h, w]
        let h = self.block2.normed(&h).silu();
        match &self.res_conv {
            Some(conv) => h + conv.forward(x),
            None => h + x,
        }
    }
}
