//! The pieces of SVG text: numbers, colours, attributes, paths, texts and embedded files, all in
//! points. Pure functions from values to strings; knows neither the sheet nor what is on it.

use std::fmt::Write as _;

use super::font::Face;
use super::math;
use super::paper::{Rect, Type, UNITS_PER_PT};
use super::style::{Rgb, Stroke};

/// The families that an SVG asks for; a viewer without them falls back to its serif.
pub(super) const FAMILY: &str = "'STIX Two Text', 'Times New Roman', serif";
const MATH_FAMILY: &str = "'STIX Two Math', 'STIX Two Text', serif";

pub(super) fn text_element(
    (x, y): (f64, f64),
    back_pt: f64,
    line: &math::Line,
    set: Type,
) -> String {
    let mut element = String::from("<text xml:space=\"preserve\"");
    if set.colour != [0, 0, 0] {
        let _ = write!(element, " fill=\"{}\"", hex(set.colour));
    }
    if set.upwards {
        let _ =
            write!(element, " transform=\"translate({} {}) rotate(-90)\"", number(x), number(y));
    }
    element.push('>');
    let (x, y) = if set.upwards { (0.0, 0.0) } else { (x, y) };
    for run in &line.runs {
        let face = match run.face {
            Face::Regular => String::new(),
            Face::Italic => " font-style=\"italic\"".to_owned(),
            Face::Bold => " font-weight=\"700\"".to_owned(),
            Face::Math => format!(" font-family=\"{MATH_FAMILY}\""),
        };
        let _ = write!(
            element,
            "<tspan x=\"{}\" y=\"{}\" font-size=\"{}\"{face}>{}</tspan>",
            number(x - back_pt + run.x_pt),
            number(y - run.rise_pt),
            number(run.size_pt),
            escape(&run.text)
        );
    }
    element.push_str("</text>");
    element
}

/// Text as it may stand inside an XML element or attribute; control characters become spaces.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Hundredths of a point, without trailing zeros.
pub(super) fn number(value: f64) -> String {
    let hundredths = (value * UNITS_PER_PT).round() / UNITS_PER_PT;
    if hundredths == 0.0 { "0".to_owned() } else { format!("{hundredths}") }
}

pub(super) fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

pub(super) fn rect_attributes(at: Rect) -> String {
    let [x, y, w, h] = [at.x, at.y, at.w, at.h].map(number);
    format!("x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"")
}

pub(super) fn fill_attributes(colour: Rgb, alpha: f64) -> String {
    let opacity = if alpha < 1.0 { format!(" fill-opacity=\"{alpha}\"") } else { String::new() };
    format!("fill=\"{}\"{opacity}", hex(colour))
}

pub(super) fn stroke_attributes(stroke: &Stroke) -> String {
    let mut style =
        format!("stroke=\"{}\" stroke-width=\"{}\"", hex(stroke.colour), number(stroke.width_pt));
    if stroke.alpha < 1.0 {
        let _ = write!(style, " stroke-opacity=\"{}\"", stroke.alpha);
    }
    if let Some(dash) = stroke.dash {
        let _ = write!(style, " stroke-dasharray=\"{dash}\"");
    }
    style.push_str(" stroke-linejoin=\"round\"");
    style
}

pub(super) fn path_data(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    let mut last = None;
    for (x, y) in points {
        let point = (number(x), number(y));
        if last.as_ref() == Some(&point) {
            continue;
        }
        let _ = write!(path, "{}{} {}", if last.is_none() { 'M' } else { 'L' }, point.0, point.1);
        last = Some(point);
    }
    path
}

/// Bytes as base64 (RFC 4648), for data URIs.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut word = 0_u32;
        for i in 0..3 {
            word = word << 8 | u32::from(three.get(i).copied().unwrap_or(0));
        }
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize] as char;
            text.push(if i <= three.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_as_the_standard_says() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn numbers_are_hundredths_without_trailing_zeros_or_minus_zero() {
        assert_eq!([1.0, 0.125, -0.001, 12.3456].map(number), ["1", "0.13", "0", "12.35"]);
    }

    #[test]
    fn markup_in_a_name_is_escaped() {
        assert_eq!(escape("<a & \"b\">\u{7}"), "&lt;a &amp; &quot;b&quot;&gt; ");
    }
}
