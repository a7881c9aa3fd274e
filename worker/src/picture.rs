//! Samples as pictures for a first look, PNG and GIF: images as they are, fields in the colours of magma.

use crate::data::manifest::Manifest;
use crate::measure::summary::percentile;
use ablate::files::write_artefact;
use ablate::problem::{Problem, Result};
use std::path::Path;

/// Items along one row, and rows, at most.
const ALONG: usize = 8;

/// Pixels between items and around them.
const PADDING: usize = 2;

/// Hundredths of a second that a frame is shown, and the last one.
const FRAME: u16 = 5;
const LAST_FRAME: u16 = 100;

/// How numbers become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// What is darkest, and brightest.
    limits: [f64; 2],
    colours: Colours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    /// One channel, from black to white.
    Grey,
    /// Three channels.
    Rgb,
    /// The first channel, in a perceptually uniform map.
    Magma,
}

impl Look {
    /// The look of items as a network sees them: of images the whole range from -1 to 1, of fields the inner 99 %
    /// of these values.
    pub fn of(manifest: &Manifest, seen: &[f64]) -> Self {
        let images = manifest.transform.is_image();
        let colours = match (images, manifest.channels) {
            (true, 3) => Colours::Rgb,
            (true, 1) => Colours::Grey,
            _ => Colours::Magma,
        };
        let limits =
            if images { [-1.0, 1.0] } else { [0.5, 99.5].map(|share| percentile(seen, share)) };
        Self { limits, colours }
    }

    /// The colour of pixel `at` of an item with so many pixels in each channel.
    fn colour(&self, item: &[f64], at: usize, pixels: usize) -> [u8; 3] {
        let [low, top] = self.limits;
        let share =
            |value: f64| ((value - low) / (top - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        let byte = |value: f64| (share(value) * 255.0 + 0.5).floor() as u8;
        match self.colours {
            Colours::Grey => [byte(item[at]); 3],
            Colours::Rgb => [0, 1, 2].map(|channel| byte(item[channel * pixels + at])),
            Colours::Magma => {
                let colour = colorous::MAGMA.eval_continuous(share(item[at]));
                [colour.r, colour.g, colour.b]
            }
        }
    }

    /// What is between items: black between images, white between fields.
    fn ground(&self) -> u8 {
        if self.colours == Colours::Magma { 255 } else { 0 }
    }
}

/// Items side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mosaic {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row from the top.
    pub rgb: Vec<u8>,
}

impl Mosaic {
    /// Lays out items, `c h w` numbers each and at least one, `along` to a row, with `padding` pixels of this
    /// grey between and around them; one item alone has none.
    pub fn new(
        seen: &[f64],
        manifest: &Manifest,
        look: Look,
        (along, padding, ground): (usize, usize, u8),
    ) -> Self {
        let (rows, columns) = (manifest.side, manifest.width());
        let items: Vec<&[f64]> = seen.chunks_exact(manifest.numbers()).collect();
        let padding = if items.len() == 1 { 0 } else { padding };
        let (wide, high) = (items.len().min(along), items.len().div_ceil(along));
        let width = wide * (columns + padding) + padding;
        let height = high * (rows + padding) + padding;
        let mut rgb = vec![ground; 3 * width * height];
        for (i, item) in items.into_iter().enumerate() {
            let left = padding + i % along * (columns + padding);
            let top = padding + i / along * (rows + padding);
            for at in 0..rows * columns {
                let place = 3 * ((top + at / columns) * width + left + at % columns);
                let colour = look.colour(item, at, rows * columns);
                rgb[place..place + 3].copy_from_slice(&colour);
            }
        }
        Self { width, height, rgb }
    }
}

fn undrawn(path: &Path, error: impl std::fmt::Display) -> Problem {
    Problem::system(format!("{} cannot be drawn: {error}", path.display()))
}

/// Writes the first samples, `[n, c, h, w]` one after another, as a grid.
///
/// # Errors
/// If the file cannot be written.
pub fn grid(path: &Path, seen: &[f64], manifest: &Manifest) -> Result<()> {
    let count = (seen.len() / manifest.numbers()).min(ALONG * ALONG);
    if count == 0 {
        return Ok(());
    }
    let seen = &seen[..count * manifest.numbers()];
    let look = Look::of(manifest, seen);
    let mosaic = Mosaic::new(seen, manifest, look, (ALONG, PADDING, look.ground()));
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, mosaic.width as u32, mosaic.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&mosaic.rgb)?;
        writer.finish()
    });
    written.map_err(|e| undrawn(path, e))?;
    write_artefact(path, &bytes)
}

/// Writes moments, each of some items `[n, c, h, w]`, as a film that repeats, 20 to a second; the last one stays for
/// a second, and all have its colours.
///
/// # Errors
/// If the file cannot be written.
pub fn film(path: &Path, moments: &[Vec<f64>], manifest: &Manifest) -> Result<()> {
    let Some(last) = moments.last() else { return Ok(()) };
    let look = Look::of(manifest, last);
    let mut bytes = vec![];
    let frames: Vec<Mosaic> = moments
        .iter()
        .map(|moment| Mosaic::new(moment, manifest, look, (ALONG, PADDING, look.ground())))
        .collect();
    let (width, height) = (frames[0].width as u16, frames[0].height as u16);
    let mut drawn = || -> std::result::Result<(), gif::EncodingError> {
        // Greys have one palette; other frames each have their own.
        let greys: Vec<u8> = (0..=u8::MAX).flat_map(|grey| [grey; 3]).collect();
        let mut encoder = gif::Encoder::new(&mut bytes, width, height, &greys)?;
        encoder.set_repeat(gif::Repeat::Infinite)?;
        for (i, mosaic) in frames.iter().enumerate() {
            let mut frame = if look.colours == Colours::Grey {
                let greys: Vec<u8> = mosaic.rgb.iter().step_by(3).copied().collect();
                gif::Frame::from_indexed_pixels(width, height, greys, None)
            } else {
                gif::Frame::from_rgb_speed(width, height, &mosaic.rgb, 10)
            };
            frame.delay = if i + 1 == frames.len() { LAST_FRAME } else { FRAME };
            encoder.write_frame(&frame)?;
        }
        Ok(())
    };
    drawn().map_err(|e| undrawn(path, e))?;
    write_artefact(path, &bytes)
}
