//! The bundled typeface, STIX Two (OFL, subset to Latin, Greek and mathematics): which face has
//! a character, and how wide it is. No font of the machine is ever looked at.

use std::sync::LazyLock;

/// One of the bundled faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Face {
    Regular,
    Italic,
    Bold,
    /// Operators and brackets that the text faces lack.
    Math,
}

const FACES: [Face; 4] = [Face::Regular, Face::Italic, Face::Bold, Face::Math];

static PARSED: LazyLock<[ttf_parser::Face<'static>; 4]> = LazyLock::new(|| {
    FACES.map(|face| {
        ttf_parser::Face::parse(face.bytes(), 0).expect("the bundled fonts are well formed")
    })
});

impl Face {
    pub(super) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Regular => include_bytes!("fonts/STIXTwoText-Regular.ttf"),
            Self::Italic => include_bytes!("fonts/STIXTwoText-Italic.ttf"),
            Self::Bold => include_bytes!("fonts/STIXTwoText-Bold.ttf"),
            Self::Math => include_bytes!("fonts/STIXTwoMath-Regular.ttf"),
        }
    }

    /// The width of `c` in units of the type size, if this face has it.
    pub(super) fn advance_em(self, c: char) -> Option<f64> {
        let face = &PARSED[self as usize];
        let advance = face.glyph_hor_advance(face.glyph_index(c)?)?;
        Some(f64::from(advance) / f64::from(face.units_per_em()))
    }

    /// The face that shows `c` when this one is asked for, with the width in units of the size.
    pub(super) fn with(self, c: char) -> Option<(Self, f64)> {
        [self, Self::Math, Self::Regular]
            .into_iter()
            .find_map(|face| face.advance_em(c).map(|advance| (face, advance)))
    }
}

/// The upright and the slanted face, for pages that show figures.
pub fn text_faces() -> [&'static [u8]; 2] {
    [Face::Regular.bytes(), Face::Italic.bytes()]
}

/// Every bundled face's file.
pub(super) fn files() -> impl Iterator<Item = &'static [u8]> {
    FACES.into_iter().map(Face::bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_characters_of_papers_are_there() {
        let wanted = "0123456789−×±·∞≤≥≈∼→⟨⟩∇∂√∝⊙∑∫∥′°–—…αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩéüßñ";
        for c in wanted.chars() {
            assert!(Face::Regular.with(c).is_some(), "{c}");
        }
    }

    #[test]
    fn a_character_of_no_face_is_missing() {
        assert_eq!(Face::Regular.with('漢'), None);
    }

    #[test]
    fn digits_are_equally_wide_so_that_tick_labels_align() {
        let widths: Vec<_> = ('0'..='9').map(|c| Face::Regular.advance_em(c)).collect();
        assert!(widths.iter().all(|width| *width == widths[0]));
    }

    #[test]
    fn the_fonts_stay_small() {
        assert!(files().map(<[u8]>::len).sum::<usize>() < 400_000);
    }
}
