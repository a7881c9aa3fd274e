//! PNG and JPEG files → pixels of one size.

use crate::problem::{Problem, Result};
use image::ImageReader;
use image::imageops::FilterType;
use std::path::Path;

/// Returns an image as `[channels, side, side]` bytes, of three channels or one: its middle square, scaled by cubic
/// interpolation over all pixels that fall into one.
///
/// # Errors
/// If the file is no image, or would claim much memory.
pub fn decode(path: &Path, side: usize, channels: usize) -> Result<Vec<u8>> {
    let fail = |e: &dyn std::fmt::Display| {
        Problem::new(format!("{} is no image that can be read: {e}", path.display()))
            .help("remove it, or save it anew as PNG or JPEG")
    };
    // The reader has limits, so that a small file cannot claim much memory.
    let reader = ImageReader::open(path).map_err(|e| fail(&e))?;
    let reader = reader.with_guessed_format().map_err(|e| fail(&e))?;
    let image = reader.decode().map_err(|e| fail(&e))?;
    let (width, height) = (image.width(), image.height());
    let square = width.min(height);
    let image = image.crop_imm((width - square) / 2, (height - square) / 2, square, square);
    let side = u32::try_from(side).map_err(|e| fail(&e))?;
    let image = match square == side {
        true => image,
        false => image.resize_exact(side, side, FilterType::CatmullRom),
    };
    if channels == 1 {
        return Ok(image.to_luma8().into_raw());
    }
    let pixels = image.to_rgb8().into_raw();
    Ok((0..3).flat_map(|c| pixels.iter().skip(c).step_by(3).copied()).collect())
}
