//! A grid of samples as a PNG, for a first look: what the network sees, in the colours of magma from
//! the 0.5th to the 99.5th percentile.

use crate::data::manifest::Manifest;
use crate::measure::power_spectrum::percentile;
use ablate::files::write_aside;
use ablate::problem::{Problem, Result};
use std::path::Path;

/// Samples along one row, and rows, at most.
const ALONG: usize = 8;

/// Pixels between samples.
const GAP: usize = 2;

/// Writes the first samples, `[n, c, h, w]` one after another, as a grid.
///
/// # Errors
/// If the file cannot be written.
pub fn grid(path: &Path, seen: &[f64], manifest: &Manifest) -> Result<()> {
    let (rows, columns, map) = (manifest.side, manifest.width(), manifest.numbers());
    let count = (seen.len() / map).min(ALONG * ALONG);
    if count == 0 {
        return Ok(());
    }
    let (wide, high) = (count.min(ALONG), count.div_ceil(ALONG));
    let (low, top) =
        (percentile(&seen[..count * map], 0.5), percentile(&seen[..count * map], 99.5));
    let (width, height) = (wide * (columns + GAP) - GAP, high * (rows + GAP) - GAP);
    let mut pixels = vec![255_u8; 3 * width * height];
    for i in 0..count {
        let (left, upper) = ((i % ALONG) * (columns + GAP), (i / ALONG) * (rows + GAP));
        for (j, value) in seen[i * map..i * map + rows * columns].iter().enumerate() {
            let share = ((value - low) / (top - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
            let colour = colorous::MAGMA.eval_continuous(share);
            let at = 3 * ((upper + j / columns) * width + left + j % columns);
            pixels[at..at + 3].copy_from_slice(&[colour.r, colour.g, colour.b]);
        }
    }
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&pixels)?;
        writer.finish()
    });
    written.map_err(|e| Problem::system(format!("{} cannot be drawn: {e}", path.display())))?;
    write_aside(path, &bytes)
}
