//! The tensors of Ablate: what `ablate-worker` does with a job. The coordinator never links this.

pub use ablate::random;

pub mod noise;

pub mod predict;

pub mod loss;

pub mod embedding;

pub mod net;

pub mod fused;

pub mod modes;

pub mod memory;

pub mod optimizer;

pub mod rate;

pub mod ema;

pub mod samplers;

pub mod objective;

pub mod data;

pub mod measure;

pub mod files;

mod cuda;

pub mod device;

pub mod weights;

pub mod checkpoint;

pub mod loaded;

pub mod picture;

pub mod train;

pub mod sample;

pub mod evaluate;

pub mod serve;
