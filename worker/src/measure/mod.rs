//! The measures of evaluate nodes, in 64 bits.

pub mod features;
pub mod one_point;
pub mod power_spectrum;
pub mod shapes;
pub mod summary;
