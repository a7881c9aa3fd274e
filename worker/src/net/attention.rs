//! Attention between the pixels of a field, each form with the norm before it and the way around it.
//! Names follow the reference, where both wrappers are called `fn`. No pixel knows its place, so
//! attention moves with its input.

use super::layers::{Conv, GroupNorm, Width, attend, softmax};
use tch::{Tensor, nn};

/// Heads that attend independently, and channels of each, as in the reference.
const HEADS: i64 = 4;
const HEAD_WIDTH: i64 = 32;
const INNER: i64 = HEADS * HEAD_WIDTH;

/// Queries, keys and values, each `[n, heads, head width, h w]`.
struct Projected {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

impl Projected {
    /// Splits `[n, 3 heads head_width, h, w]`.
    fn split(qkv: &Tensor) -> Self {
        let n = qkv.size()[0];
        let part = |i: i64| {
            qkv.narrow(1, i * INNER, INNER).reshape([n, HEADS, HEAD_WIDTH, -1]) // [n, heads, head width, h w]
        };
        Self { q: part(0), k: part(1), v: part(2) }
    }
}

fn scale() -> f64 {
    (HEAD_WIDTH as f64).powf(-0.5)
}

/// Linear attention (Shen et al. 2018), whose cost grows with the number of pixels alone.
#[derive(Debug)]
pub(super) struct LinearAttention {
    norm: GroupNorm,
    to_qkv: Conv,
    to_out: Conv,
    out_norm: GroupNorm,
}

impl LinearAttention {
    pub(super) fn new(path: &nn::Path, channels: i64) -> Self {
        let around = path / "fn";
        let inner = &around / "fn";
        let to_out = &inner / "to_out";
        Self {
            norm: GroupNorm::new(&(&around / "norm"), 1, channels),
            to_qkv: Conv::point_without_bias(
                &(&inner / "to_qkv"),
                Width { from: channels, to: 3 * INNER },
            ),
            to_out: Conv::point(&(&to_out / 0), Width { from: INNER, to: channels }),
            out_norm: GroupNorm::new(&(&to_out / 1), 1, channels),
        }
    }

    /// `[n, channels, h, w]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let (n, _, h, w) = x.size4().expect("fields have four dimensions");
        let p = Projected::split(&self.to_qkv.forward(&self.norm.forward(x))); // [n, heads, head width, h w]
        let q = softmax(&p.q, -2);
        let k = softmax(&p.k, -1);
        let context = p.v.matmul(&k.transpose(-1, -2)) * scale(); // [n, heads, head width, head width]
        let out = context.matmul(&q); // [n, heads, head width, h w]
        let out = out.reshape([n, INNER, h, w]); // [n, heads head_width, h, w]
        x + self.out_norm.forward(&self.to_out.forward(&out)) // [n, channels, h, w]
    }
}

/// Full attention (Vaswani et al. 2017), between all pairs of pixels.
#[derive(Debug)]
pub(super) struct Attention {
    norm: GroupNorm,
    to_qkv: Conv,
    to_out: Conv,
}

impl Attention {
    pub(super) fn new(path: &nn::Path, channels: i64) -> Self {
        let around = path / "fn";
        let inner = &around / "fn";
        Self {
            norm: GroupNorm::new(&(&around / "norm"), 1, channels),
            to_qkv: Conv::point_without_bias(
                &(&inner / "to_qkv"),
                Width { from: channels, to: 3 * INNER },
            ),
            to_out: Conv::point(&(&inner / "to_out"), Width { from: INNER, to: channels }),
        }
    }

    /// `[n, channels, h, w]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let (n, _, h, w) = x.size4().expect("fields have four dimensions");
        let p = Projected::split(&self.to_qkv.forward(&self.norm.forward(x))); // [n, heads, head width, h w]
        let pixels = |part: Tensor| part.transpose(-1, -2); // [n, heads, h w, head width]
        let out = attend(&pixels(p.q), &pixels(p.k), &pixels(p.v));
        let out = out.transpose(-1, -2).reshape([n, INNER, h, w]); // [n, heads head_width, h, w]
        x + self.to_out.forward(&out) // [n, channels, h, w]
    }
}
