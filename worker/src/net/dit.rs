//! The diffusion transformer with adaLN-Zero (Peebles & Xie 2023): maps cut into patches, which attend to
//! each other, told time and conditions by shifts, scales and gates that start at zero.

use super::condition::{ConditionEmbedding, Places, Told};
use super::layers::{Linear, Width, attend, factor, term};
use super::start::Start;
use super::{Channels, Input, Network, Sides};
use crate::embedding;
use ablate::settings;
use tch::{Kind, Tensor, nn, no_grad};

/// Channels of the time as sines, before its linear maps.
const TIME_WIDTH: i64 = 256;

/// Width within the second half of a block, in units of its own.
const WIDENED: i64 = 4;

/// Added to variances before their root is taken.
const EPS: f64 = 1e-6;

/// Spread of the embeddings at the start.
const EMBEDDED: f64 = 0.02;

const PLACES: Places =
    Places { table: "embedding_table", maps: "mlp", activation: |x: &Tensor| x.silu() };

/// A norm without scale or shift of its own, over the channels of `x` `[n, tokens, width]`.
fn norm(x: &Tensor) -> Tensor {
    let width = *x.size().last().expect("tokens have channels");
    term(x).layer_norm([width], None::<Tensor>, None::<Tensor>, EPS, true)
}

/// `x` `[n, tokens, width]` scaled and shifted by `[n, width]`.
fn modulate(x: &Tensor, shift: &Tensor, scale: &Tensor) -> Tensor {
    shift.unsqueeze(1).addcmul(x, &(scale.unsqueeze(1) + 1.0))
}

/// One block.
#[derive(Debug)]
struct Block {
    heads: i64,
    qkv: Linear,
    proj: Linear,
    fc1: Linear,
    fc2: Linear,
    modulation: Linear,
}

impl Block {
    fn new(path: &nn::Path, width: i64, heads: i64) -> Self {
        let linear = |path: nn::Path, to: i64| Linear::new(&path, Width { from: width, to });
        let (attention, mlp) = (path / "attn", path / "mlp");
        Self {
            heads,
            qkv: linear(&attention / "qkv", 3 * width),
            proj: linear(&attention / "proj", width),
            fc1: linear(&mlp / "fc1", WIDENED * width),
            fc2: Linear::new(&(&mlp / "fc2"), Width { from: WIDENED * width, to: width }),
            modulation: linear(path / "adaLN_modulation" / 1, 6 * width),
        }
    }

    /// `[n, tokens, width]` to the same shape.
    fn attend(&self, x: &Tensor) -> Tensor {
        let (n, tokens, width) = x.size3().expect("tokens have three dimensions");
        let qkv = self.qkv.forward(x).reshape([n, tokens, 3, self.heads, width / self.heads]);
        let qkv = qkv.permute([2, 0, 3, 1, 4]); // [3, n, heads, tokens, width of a head]
        let out = attend(&qkv.get(0), &qkv.get(1), &qkv.get(2));
        self.proj.forward(&out.transpose(1, 2).reshape([n, tokens, width]))
    }

    /// `x` `[n, tokens, width]` told `told` `[n, width]`.
    fn forward(&self, x: &Tensor, told: &Tensor) -> Tensor {
        let parts = self.modulation.forward(&told.silu()).chunk(6, 1); // each [n, width]
        let attended = self.attend(&modulate(&norm(x), &parts[0], &parts[1]));
        let x = x.addcmul(&attended, &parts[2].unsqueeze(1));
        let widened = self.fc1.forward(&modulate(&norm(&x), &parts[3], &parts[4])).gelu("tanh");
        x.addcmul(&self.fc2.forward(&widened), &parts[5].unsqueeze(1))
    }
}

/// The network.
#[derive(Debug)]
pub struct Dit {
    patch: i64,
    output: i64,
    /// Kernel `[width, channels, patch, patch]`.
    patch_weight: Tensor,
    patch_bias: Tensor,
    /// Where each patch is, `[1, tokens, width]`.
    places: Tensor,
    time_in: Linear,
    time_out: Linear,
    condition: Option<ConditionEmbedding>,
    blocks: Vec<Block>,
    last_modulation: Linear,
    last: Linear,
}

impl Dit {
    /// Declares the parameters at `path`, all zero, for maps of these sides, which the patch divides.
    pub fn new(
        path: &nn::Path,
        settings: &settings::Dit,
        (channels, sides): (Channels, Sides),
        told: Option<Told>,
    ) -> Self {
        let [width, depth, heads] = settings.numbers().map(|n| n as i64);
        let patch = settings.patch as i64;
        let embedder = path / "x_embedder" / "proj";
        let time = path / "t_embedder" / "mlp";
        let last = path / "final_layer";
        let linear = |path: nn::Path, from: i64, to: i64| Linear::new(&path, Width { from, to });
        let grid = [sides.height / patch, sides.width / patch];
        let mut places = path.zeros_no_train("pos_embed", &[1, grid[0] * grid[1], width]);
        no_grad(|| places.copy_(&sines(grid, width)));
        Self {
            patch,
            output: channels.output,
            patch_weight: embedder.zeros("weight", &[width, channels.input, patch, patch]),
            patch_bias: embedder.zeros("bias", &[width]),
            places,
            time_in: linear(&time / 0, TIME_WIDTH, width),
            time_out: linear(&time / 2, width, width),
            condition: told
                .map(|told| ConditionEmbedding::new(&(path / "y_embedder"), told, width, &PLACES)),
            blocks: (0..depth).map(|i| Block::new(&(path / "blocks" / i), width, heads)).collect(),
            last_modulation: linear(&last / "adaLN_modulation" / 1, width, 2 * width),
            last: linear(&last / "linear", width, patch * patch * channels.output),
        }
    }

    /// Time and conditions in one vector, `[n, width]`.
    fn told(&self, input: &Input<'_>) -> Tensor {
        let time = embedding::cos_sin(input.t, TIME_WIDTH, input.x.kind()); // [n, TIME_WIDTH]
        let time = self.time_out.forward(&self.time_in.forward(&time).silu()); // [n, width]
        match (&self.condition, input.condition) {
            (Some(embedding), Some(condition)) => time + embedding.forward(condition),
            _ => time,
        }
    }
}

/// Sines and cosines of the column, then of the row of each patch, `[1, rows columns, width]`.
fn sines([rows, columns]: [i64; 2], width: i64) -> Tensor {
    let half = width / 2;
    // The embedding of times is that of places, its halves the other way round.
    let along = |count: i64| {
        let places = Tensor::arange(count, (Kind::Double, tch::Device::Cpu));
        embedding::cos_sin(&places, half, Kind::Double).roll([half / 2], [1_i64]) // [count, half]
    };
    let across = along(columns).unsqueeze(0).expand([rows, columns, half], false);
    let down = along(rows).unsqueeze(1).expand([rows, columns, half], false);
    Tensor::cat(&[across, down], 2).reshape([1, rows * columns, width])
}

impl Network for Dit {
    fn forward(&self, input: &Input<'_>) -> Tensor {
        let (n, _, height, width) = input.x.size4().expect("fields have four dimensions");
        let p = self.patch;
        let told = self.told(input); // [n, width]
        let (weight, bias) = (factor(&self.patch_weight), factor(&self.patch_bias));
        let x = factor(input.x).conv2d(&weight, Some(&bias), [p, p], [0, 0], [1, 1], 1);
        let mut x = x.flatten(2, 3).transpose(1, 2) + &self.places; // [n, tokens, width]
        for block in &self.blocks {
            x = block.forward(&x, &told);
        }
        let parts = self.last_modulation.forward(&told.silu()).chunk(2, 1); // each [n, width]
        let x = self.last.forward(&modulate(&norm(&x), &parts[0], &parts[1])); // [n, tokens, p p c]
        let x = x.reshape([n, height / p, width / p, p, p, self.output]);
        x.permute([0, 5, 1, 3, 2, 4]).reshape([n, self.output, height, width])
    }

    fn start(&self, name: &str) -> Option<Start> {
        let is_zero = name.contains("adaLN_modulation") || name.starts_with("final_layer");
        let is_embedding = name.starts_with("t_embedder") || name.starts_with("y_embedder");
        Some(match name.ends_with("bias") {
            _ if is_zero => Start::Constant(0.0),
            true => Start::Constant(0.0),
            false if is_embedding => Start::Normal(EMBEDDED),
            false => Start::Xavier,
        })
    }
}
