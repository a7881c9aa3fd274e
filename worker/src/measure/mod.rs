//! The measures of evaluate nodes: tensor-free, in 64 bits.

pub mod one_point;
pub mod power_spectrum;
