//! What every figure shares: the widths that venues print at, type sizes, line widths, colours
//! and dashes. All lengths are points (1/72 in) on paper; nothing here draws.

use crate::problem::{Problem, Result};

/// A place on paper: how wide the figure is and how large its type, all in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Width {
    /// Full width of the figure, in points.
    pub width_pt: f64,
    /// Size of axis labels and titles, in points.
    pub text_pt: f64,
    /// Size of tick and legend labels, in points.
    pub small_pt: f64,
}

/// Column and text width in inches, with the size of axis labels in points.
/// Sizes follow the venues' class files as collected by tueplots 0.2.5; journals from their guides.
const VENUES: [(&str, f64, f64, f64); 19] = [
    ("aaai", 3.3, 6.975, 9.0),
    ("aas", 3.35, 7.1, 8.0),
    ("aanda", 3.46, 7.09, 8.0),
    ("aistats", 3.25, 6.75, 9.0),
    ("colm", 5.5, 5.5, 9.0),
    ("cvpr", 3.25, 6.875, 8.0),
    ("eccv", 4.8, 4.8, 8.0),
    ("iccv", 3.25, 6.875, 8.0),
    ("iclr", 5.5, 5.5, 9.0),
    ("icml", 3.25, 6.75, 8.0),
    ("ieee", 3.5, 7.16, 8.0),
    ("jcap", 6.0, 6.0, 9.0),
    ("jmlr", 6.0, 6.0, 9.0),
    ("mnras", 3.32, 7.0, 8.0),
    ("neurips", 5.5, 5.5, 9.0),
    ("prd", 3.4, 7.06, 8.0),
    ("revtex", 3.4, 7.06, 8.0),
    ("tmlr", 6.5, 6.5, 9.0),
    ("uai", 3.25, 6.75, 9.0),
];

/// Points in each unit of length that a width may be written in.
const UNITS: [(&str, f64); 4] =
    [("in", 72.0), ("cm", 72.0 / 2.54), ("mm", 72.0 / 25.4), ("pt", 1.0)];

/// Narrower than this, labels leave no room for data; in points.
const NARROWEST_PT: f64 = 100.0;
/// Wider than any page, hence a slip of the unit; in points.
const WIDEST_PT: f64 = 1500.0;

impl Width {
    /// Reads `icml.column`, `neurips.text` or a length such as `3.25in`, `85mm` or `234pt`.
    ///
    /// # Errors
    /// Fails with the list of venues if the text is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        Self::venue(text).map_or_else(|| Self::length(text), Ok)
    }

    fn venue(text: &str) -> Option<Self> {
        let (name, part) = text.split_once('.')?;
        let (_, column_in, text_in, text_pt) = VENUES.iter().find(|venue| venue.0 == name)?;
        let width_in = match part {
            "column" => column_in,
            "text" => text_in,
            _ => return None,
        };
        Some(Self { width_pt: width_in * 72.0, text_pt: *text_pt, small_pt: *text_pt - 1.0 })
    }

    fn length(text: &str) -> Result<Self> {
        let width_pt = UNITS.iter().find_map(|(unit, points)| {
            let number = text.strip_suffix(unit)?.trim().parse::<f64>().ok()?;
            Some(number * points)
        });
        let names: Vec<&str> = VENUES.iter().map(|venue| venue.0).collect();
        let help = format!(
            "write a length (`3.25in`, `85mm`) or a venue with `.column` or `.text`: {}",
            names.join(", ")
        );
        match width_pt {
            None => Err(Problem::new(format!("`{text}` is not a figure width")).help(help)),
            Some(width) if !(NARROWEST_PT..=WIDEST_PT).contains(&width) => Err(Problem::new(
                format!("a figure width of `{text}` is {width:.0} pt; it must be 100 to 1500 pt"),
            )
            .help(help)),
            Some(width_pt) => Ok(Self { width_pt, text_pt: 8.0, small_pt: 7.0 }),
        }
    }
}

impl Default for Width {
    /// One ICML column, 3.25 in.
    fn default() -> Self {
        Self { width_pt: 234.0, text_pt: 8.0, small_pt: 7.0 }
    }
}

/// Red, green, blue; sRGB, 0 to 255.
pub(super) type Rgb = [u8; 3];

pub(super) const BLACK: Rgb = [0, 0, 0];
pub(super) const GREY: Rgb = [110, 110, 110];

/// Okabe & Ito's colours without black and yellow, darkest first, then a brown and a grey.
const COLOURS: [Rgb; 8] = [
    [0x00, 0x72, 0xB2],
    [0xD5, 0x5E, 0x00],
    [0x00, 0x9E, 0x73],
    [0xCC, 0x79, 0xA7],
    [0xE6, 0x9F, 0x00],
    [0x56, 0xB4, 0xE9],
    [0x7A, 0x4A, 0x21],
    [0x70, 0x70, 0x70],
];

/// Dash patterns in points; as many as keep lines apart in grey print.
const DASHES: [&str; 6] =
    ["4.4 1.6", "5 1.5 1.1 1.5", "1.1 1.5", "8 2", "5 1.4 1.1 1.4 1.1 1.4", "2.4 1.4"];

pub(super) const AXIS_PT: f64 = 0.6;
pub(super) const MINOR_PT: f64 = 0.45;
pub(super) const LINE_PT: f64 = 1.1;
pub(super) const MAJOR_TICK_PT: f64 = 3.2;
pub(super) const MINOR_TICK_PT: f64 = 1.8;
/// Between a frame and its tick labels.
pub(super) const TICK_GAP_PT: f64 = 2.6;
/// Between tick labels and the axis label, and between a title and its frame.
pub(super) const LABEL_GAP_PT: f64 = 3.2;
/// White rim of the page.
pub(super) const RIM_PT: f64 = 1.5;
/// Opacity of bands; low enough that four of them still differ.
pub(super) const BAND_ALPHA: f64 = 0.18;

/// How a line is stroked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stroke {
    pub(super) colour: Rgb,
    pub(super) alpha: f64,
    pub(super) width_pt: f64,
    pub(super) dash: Option<&'static str>,
}

impl Stroke {
    pub(super) const fn solid(colour: Rgb, width_pt: f64) -> Self {
        Self { colour, alpha: 1.0, width_pt, dash: None }
    }

    pub(super) const fn faint(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }
}

pub(super) const fn colour(index: usize) -> Rgb {
    COLOURS[index % COLOURS.len()]
}

/// The `index`-th line beside a solid black reference: own colour and own dashes.
pub(super) fn dashed_line(index: usize) -> Stroke {
    Stroke { dash: Some(DASHES[index % DASHES.len()]), ..Stroke::solid(colour(index), LINE_PT) }
}

/// The `index`-th line where nothing else is solid: the first is.
pub(super) fn line(index: usize) -> Stroke {
    match index % (DASHES.len() + 1) {
        0 => Stroke::solid(colour(index), LINE_PT),
        later => Stroke { dash: Some(DASHES[later - 1]), ..Stroke::solid(colour(index), LINE_PT) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_is_a_venue_or_a_length() {
        for (text, width_pt) in [
            ("icml.column", 234.0),
            ("neurips.text", 396.0),
            ("3.25in", 234.0),
            ("25.4 cm", 720.0),
            ("100mm", 283.464_566_929_133_86),
            ("240pt", 240.0),
        ] {
            let width = Width::parse(text).unwrap();
            assert!((width.width_pt - width_pt).abs() < 1e-9, "{text}: {}", width.width_pt);
        }
    }

    #[test]
    fn other_widths_are_refused_with_the_venues() {
        for text in ["nature.column", "icml.page", "12", "", "3in2", "0.1in", "NaNin", "infpt"] {
            assert!(Width::parse(text).is_err(), "{text}");
        }
        let problem = Width::parse("icml").unwrap_err();
        assert!(problem.help.unwrap().contains("neurips"));
    }

    #[test]
    fn the_first_six_lines_differ_in_colour_and_in_dashes() {
        let lines: Vec<Stroke> = (0..6).map(dashed_line).collect();
        for (i, a) in lines.iter().enumerate() {
            assert!(lines[..i].iter().all(|b| a.colour != b.colour && a.dash != b.dash));
        }
    }
}
