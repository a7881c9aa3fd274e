//! Datasets: how they are made, what the network sees of them, and the way back.

mod arrays;
pub mod augment;
mod cifar;
pub mod conditions;
pub mod cosmology;
pub mod dataset;
pub mod fetch;
pub mod fourier;
mod gathered;
mod generated;
pub mod glyphs;
pub mod idx;
mod images;
pub mod log_normal;
pub mod manifest;
pub mod maps;
pub mod particle_mesh;
pub mod splitmix;
pub mod table;
pub mod transform;
