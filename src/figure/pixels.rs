//! Numbers to coloured pixels: a field or a colour bar as an indexed PNG file, whose palette is the
//! colour map itself, so that no colour is rounded twice.

use super::grid::Field;
use crate::problem::{Problem, Result};

/// Colours for numbers, from low to high.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColourMap {
    /// Black, purple, orange, pale yellow; even steps to the eye.
    #[default]
    Magma,
    /// Purple, green, yellow; even steps to the eye, also for the colour-blind.
    Viridis,
    /// Black to white.
    Grey,
    /// Blue, white, red; for numbers around zero.
    BlueRed,
    /// The colours themselves: fields hold red, then green, then blue.
    Rgb,
}

/// Levels of a map; the last place of the palette is for what is not a number.
const LEVELS: usize = 255;
const NOT_A_NUMBER: [u8; 3] = [160, 160, 160];
/// Some viewers smooth small pictures; none smooths what is already larger than its print.
const SMALLEST_PIXELS: usize = 256;

impl ColourMap {
    fn palette(self) -> Vec<u8> {
        let gradient = match self {
            Self::Magma => colorous::MAGMA,
            Self::Viridis => colorous::VIRIDIS,
            Self::Grey | Self::Rgb => colorous::GREYS,
            Self::BlueRed => colorous::RED_BLUE,
        };
        // These two run from high to low.
        let falling = matches!(self, Self::Grey | Self::Rgb | Self::BlueRed);
        let mut palette: Vec<u8> = (0..LEVELS)
            .flat_map(|level| {
                let level = if falling { LEVELS - 1 - level } else { level };
                gradient.eval_rational(level, LEVELS).as_array()
            })
            .collect();
        palette.extend(NOT_A_NUMBER);
        palette
    }
}

impl ColourMap {
    /// Numbers that make a pixel.
    pub(crate) fn values(self) -> usize {
        if self == Self::Rgb { 3 } else { 1 }
    }
}

/// The field as a PNG; each value becomes a square of pixels.
pub(super) fn field_png(field: &Field, limits: (f64, f64), map: ColourMap) -> Result<Vec<u8>> {
    picture(field, limits, map, SMALLEST_PIXELS.div_ceil(field.wide.max(field.high)))
}

/// The same with so many pixels for each value, across and down.
fn picture(field: &Field, limits: (f64, f64), map: ColourMap, times: usize) -> Result<Vec<u8>> {
    if map == ColourMap::Rgb {
        return colour_png(field, limits, times);
    }
    let mut levels = Vec::with_capacity(field.values.len() * times * times);
    for row in field.values.chunks(field.wide) {
        let wide: Vec<u8> = row
            .iter()
            .flat_map(|value| std::iter::repeat_n(level(*value, limits), times))
            .collect();
        for _ in 0..times {
            levels.extend_from_slice(&wide);
        }
    }
    indexed_png(&levels, (field.wide * times, field.high * times), map)
}

/// Fields of one shape side by side as a PNG, a pixel of nothing between two; each value becomes one pixel.
///
/// # Errors
/// If they are too large, or of several shapes.
pub fn strip(fields: &[Field], limits: (f64, f64), map: ColourMap) -> Result<Vec<u8>> {
    let Some(first) = fields.first() else { return Err(Problem::new("there is no field")) };
    let (wide, high, planes) = (first.wide, first.high, map.values());
    let whole = planes * wide * high;
    if fields.iter().any(|field| field.wide != wide || field.values.len() < whole) {
        return Err(Problem::new("the fields are of several shapes"));
    }
    let long = fields.len() * (wide + 1) - 1;
    let mut values = vec![f64::NAN; planes * long * high];
    for (i, field) in fields.iter().enumerate() {
        for (row, line) in field.values[..whole].chunks(wide).enumerate() {
            let at = row * long + i * (wide + 1);
            values[at..at + wide].copy_from_slice(line);
        }
    }
    picture(&Field { wide: long, high, values }, limits, map, 1)
}

/// A field of red, green and blue as a PNG.
fn colour_png(field: &Field, limits: (f64, f64), times: usize) -> Result<Vec<u8>> {
    let plane = field.wide * field.high;
    let byte = |value: f64| match value.is_finite() {
        true => {
            ((value - limits.0) / (limits.1 - limits.0) * 255.0).round().clamp(0.0, 255.0) as u8
        }
        false => NOT_A_NUMBER[0],
    };
    let mut bytes = Vec::with_capacity(3 * plane * times * times);
    for row in 0..field.high {
        let wide: Vec<u8> = (0..field.wide)
            .flat_map(|column| {
                let at = row * field.wide + column;
                let pixel = [0, 1, 2].map(|c| byte(field.values[c * plane + at]));
                std::iter::repeat_n(pixel, times).flatten()
            })
            .collect();
        for _ in 0..times {
            bytes.extend_from_slice(&wide);
        }
    }
    png_of(&bytes, (field.wide * times, field.high * times), None)
}

/// The colour map itself, bright end up.
pub(super) fn bar_png(map: ColourMap) -> Result<Vec<u8>> {
    const TIMES: usize = 4;
    let levels: Vec<u8> =
        (0..LEVELS * TIMES).rev().flat_map(|i| [(i / TIMES) as u8; TIMES]).collect();
    indexed_png(&levels, (TIMES, LEVELS * TIMES), map)
}

fn level(value: f64, (low, high): (f64, f64)) -> u8 {
    if !value.is_finite() {
        return LEVELS as u8;
    }
    ((value - low) / (high - low) * LEVELS as f64).floor().clamp(0.0, (LEVELS - 1) as f64) as u8
}

fn indexed_png(levels: &[u8], sides: (usize, usize), map: ColourMap) -> Result<Vec<u8>> {
    png_of(levels, sides, Some(map))
}

/// A PNG of places in the palette of a map, or of bytes of red, green and blue.
fn png_of(bytes: &[u8], (wide, high): (usize, usize), map: Option<ColourMap>) -> Result<Vec<u8>> {
    let side = |pixels: usize| {
        u32::try_from(pixels)
            .map_err(|_| Problem::new(format!("a field of {wide} x {high} pixels is too large")))
    };
    let (wide, high) = (side(wide)?, side(high)?);
    encode(bytes, (wide, high), map)
        .map_err(|error| Problem::system(format!("a field cannot be written as PNG: {error}")))
}

fn encode(
    bytes: &[u8],
    (wide, high): (u32, u32),
    map: Option<ColourMap>,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, wide, high);
    match map {
        Some(map) => {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(map.palette());
        }
        None => encoder.set_color(png::ColorType::Rgb),
    }
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(bytes)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_take_the_first_and_the_last_colour_and_gaps_their_own() {
        for (value, expect) in
            [(-9.0, 0), (0.0, 0), (0.5, 127), (1.0, 254), (7.0, 254), (f64::NAN, 255)]
        {
            assert_eq!(level(value, (0.0, 1.0)), expect, "{value}");
        }
    }

    #[test]
    fn every_map_runs_from_its_low_to_its_high_end() {
        let ends = |map: ColourMap| {
            let palette = map.palette();
            assert_eq!(palette.len(), 768);
            (palette[0..3].to_vec(), palette[762..765].to_vec())
        };
        assert_eq!(ends(ColourMap::Magma), (vec![0, 0, 4], vec![252, 253, 191]));
        assert_eq!(ends(ColourMap::Grey), (vec![0, 0, 0], vec![255, 255, 255]));
        let (low, high) = ends(ColourMap::BlueRed);
        assert!(low[2] > low[0] && high[0] > high[2]);
    }

    #[test]
    fn a_value_becomes_a_square_of_equal_pixels() {
        let field = Field { wide: 2, high: 1, values: vec![0.0, 1.0] };
        let file = field_png(&field, (0.0, 1.0), ColourMap::Magma).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut levels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut levels).unwrap();
        assert_eq!((info.width, info.height), (256, 128));
        assert!(levels[..128].iter().all(|level| *level == 0));
        assert!(levels[128..256].iter().all(|level| *level == 254));
    }
}
