//! One SVG to all files: checks that every character found its glyph, then PNG at 300 dpi and PDF
//! 1.4 with embedded fonts, each with title and sources inside. Sees the bundled fonts only.

use std::sync::Arc;

use krilla::Document;
use krilla::configure::{ConfigurationBuilder, PdfVersion};
use krilla::geom::Size;
use krilla::page::PageSettings;
use krilla::{SerializeSettings, metadata::Metadata as PdfMetadata};
use krilla_svg::{SurfaceExt, SvgSettings};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use usvg::{FontResolver, Group, Node, Options, Tree, fontdb};

use super::font;
use super::paper::{Paper, Record};
use super::svg::escape;
use super::{Metadata, lint};
use crate::problem::{Problem, Result};

/// What a figure becomes: the same picture three times, its data, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Editable text in physical units; the source of the other two.
    pub svg: String,
    /// 300 dpi, with its physical size.
    pub png: Vec<u8>,
    /// PDF 1.4 with embedded fonts.
    pub pdf: Vec<u8>,
    /// The data shown.
    pub csv: String,
    /// A matplotlib script that redraws it from them, where they say enough.
    pub script: Option<String>,
    /// Sentences about what a careful reader would object to; empty if nothing.
    pub warnings: Vec<String>,
}

const DPI: f32 = 300.0;
const POINTS_PER_INCH: f32 = 72.0;
const INCHES_PER_METRE: f64 = 1.0 / 0.0254;

/// Makes all files of a finished sheet.
pub(super) fn export(paper: &Paper, csv: String, meta: &Metadata) -> Result<Drawing> {
    let head = format!(
        "<title>{}</title>\n<metadata>{}</metadata>\n",
        escape(&meta.title),
        escape(&meta.sources)
    );
    let (svg, record) = paper.finish(&head);
    if let Some((c, label)) = record.missing.first() {
        return Err(Problem::new(format!(
            "label `{label}` has the character `{c}`, which the figures' typeface lacks"
        ))
        .help("write it with Latin or Greek letters; the typeface is STIX Two"));
    }
    let tree = parse(&svg)?;
    every_glyph_found(&tree, &record)?;
    let png = png(&tree, meta)?;
    let pdf = pdf(&tree, meta)?;
    Ok(Drawing { svg, png, pdf, csv, script: None, warnings: lint::sentences(&record) })
}

fn parse(svg: &str) -> Result<Tree> {
    let mut fonts = fontdb::Database::new();
    for file in font::files() {
        fonts.load_font_data(file.to_vec());
    }
    let options = Options {
        dpi: POINTS_PER_INCH,
        fontdb: Arc::new(fonts),
        font_resolver: FontResolver {
            select_font: FontResolver::default_font_selector(),
            // A glyph from another face would have another width than was measured.
            select_fallback: Box::new(|_, _, _| None),
        },
        ..Options::default()
    };
    Tree::from_str(svg, &options)
        .map_err(|error| Problem::system(format!("the figure's SVG cannot be read back: {error}")))
}

/// usvg drops text whose font it cannot find and only logs it; so the glyphs are counted.
fn every_glyph_found(tree: &Tree, record: &Record) -> Result<()> {
    let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let wanted: usize = record.words.iter().map(|words| visible(&words.text)).sum();
    let mut found = 0;
    walk(tree.root(), &mut |node| {
        let Node::Text(text) = node else { return };
        for glyph in text.layouted().iter().flat_map(|span| &span.positioned_glyphs) {
            if glyph.id.0 != 0 {
                found += visible(&glyph.text);
            }
        }
    });
    if found == wanted {
        return Ok(());
    }
    Err(Problem::system(format!("only {found} of the figure's {wanted} characters have a glyph")))
}

fn walk(group: &Group, visit: &mut impl FnMut(&Node)) {
    for node in group.children() {
        visit(node);
        if let Node::Group(inner) = node {
            walk(inner, visit);
        }
    }
}

fn png(tree: &Tree, meta: &Metadata) -> Result<Vec<u8>> {
    let scale = DPI / POINTS_PER_INCH;
    let pixels = |points: f32| (points * scale).round().max(1.0) as u32;
    let (wide, high) = (pixels(tree.size().width()), pixels(tree.size().height()));
    let mut pixmap = Pixmap::new(wide, high).ok_or_else(|| {
        Problem::system(format!("a picture of {wide} x {high} pixels is too large"))
    })?;
    pixmap.fill(Color::WHITE);
    resvg::render(tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    let rgb: Vec<u8> = pixmap
        .pixels()
        .iter()
        .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
        .collect();
    encode(&rgb, (wide, high), meta)
        .map_err(|error| Problem::system(format!("the picture cannot be written as PNG: {error}")))
}

fn encode(
    rgb: &[u8],
    (wide, high): (u32, u32),
    meta: &Metadata,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, wide, high);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let per_metre = (f64::from(DPI) * INCHES_PER_METRE).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre,
        yppu: per_metre,
        unit: png::Unit::Meter,
    }));
    for (key, text) in [("Title", &meta.title), ("Source", &meta.sources)] {
        if !text.is_empty() {
            encoder.add_itxt_chunk(key.to_owned(), text.clone())?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(file)
}

fn pdf(tree: &Tree, meta: &Metadata) -> Result<Vec<u8>> {
    let (wide, high) = (tree.size().width(), tree.size().height());
    let configuration = ConfigurationBuilder::new()
        .with_version(PdfVersion::Pdf14)
        .finish()
        .map_err(|error| Problem::system(format!("PDF 1.4 cannot be written: {error:?}")))?;
    let mut document =
        Document::new_with(SerializeSettings { configuration, ..Default::default() });
    document.set_metadata(
        PdfMetadata::new()
            .title(meta.title.clone())
            .keywords(vec![meta.sources.clone()])
            .creator("ablate".to_owned()),
    );
    let sized =
        |kind: &str| Problem::system(format!("a {kind} of {wide} x {high} pt is impossible"));
    let settings = PageSettings::from_wh(wide, high).ok_or_else(|| sized("page"))?;
    let size = Size::from_wh(wide, high).ok_or_else(|| sized("picture"))?;
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    surface
        .draw_svg(tree, size, SvgSettings::default())
        .ok_or_else(|| Problem::system("the picture cannot be drawn into the PDF"))?;
    surface.finish();
    page.finish();
    document
        .finish()
        .map_err(|error| Problem::system(format!("the PDF cannot be written: {error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::paper::{Anchor, Pane, Type};

    fn sheet(label: &str) -> Paper {
        let paper = Paper::new(100.0, 50.0);
        paper.with_record(|record| record.panes.push(Pane { name: "a".into(), marks: 1 }));
        paper.text((10.0, 20.0), label, Type::new(8.0, Anchor::Start));
        paper
    }

    fn meta() -> Metadata {
        Metadata { title: "A <title>".into(), sources: "nodes 4be1, 9be1".into(), footnote: None }
    }

    #[test]
    fn the_pdf_is_version_1_4_with_embedded_truetype_and_no_type_3() {
        let drawing = export(&sheet("$k^2$ AVAVA fi"), String::new(), &meta()).unwrap();
        let text = String::from_utf8_lossy(&drawing.pdf);
        assert!(text.starts_with("%PDF-1.4"));
        assert!(text.contains("/CIDFontType2") && text.contains("/FontFile2"));
        assert!(!text.contains("/Type3"));
        assert!(text.contains("nodes 4be1, 9be1"));
    }

    #[test]
    fn the_png_knows_its_size_title_and_sources() {
        let drawing = export(&sheet("x"), String::new(), &meta()).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(&drawing.png)).read_info().unwrap();
        let info = reader.info();
        assert_eq!((info.width, info.height), (417, 208));
        assert_eq!(info.pixel_dims.unwrap().xppu, 11811);
        let texts: Vec<String> =
            info.utf8_text.iter().map(|chunk| chunk.get_text().unwrap()).collect();
        assert_eq!(texts, ["A <title>", "nodes 4be1, 9be1"]);
        assert!(drawing.svg.contains("<title>A &lt;title&gt;</title>"));
        assert!(drawing.svg.contains("<metadata>nodes 4be1, 9be1</metadata>"));
    }

    #[test]
    fn a_character_without_a_glyph_fails_the_figure() {
        let problem = export(&sheet("漢"), String::new(), &meta()).unwrap_err();
        assert!(problem.sentence.contains("`漢`"), "{problem}");
    }

    #[test]
    fn text_that_the_reader_drops_fails_the_figure() {
        let paper = sheet("abc");
        let (svg, record) = paper.finish("");
        let broken = svg.replace("'STIX Two Text', 'Times New Roman', serif", "Nothing");
        let tree = parse(&broken).unwrap();
        assert!(every_glyph_found(&tree, &record).is_err());
    }
}
