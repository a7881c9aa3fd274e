//! A sheet of paper as a plotters backend: 100 units a point in, SVG in points out, with text of
//! the bundled faces, dashes, opacity and clipping. Remembers where it put text and data, for the
//! legend's place and for the lint; knows nothing of axes.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

use super::math;
use super::style::{GREY, RIM_PT, Rgb, Stroke};
use super::svg::{
    FAMILY, base64, fill_attributes, number, path_data, rect_attributes, stroke_attributes,
    text_element,
};

/// Units of plotters' whole-number coordinates in one point.
pub(super) const UNITS_PER_PT: f64 = 100.0;

/// A rectangle on the page in points, `y` downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

impl Rect {
    pub(super) const fn new(x: f64, y: f64, w: f64, h: f64) -> Self {
        Self { x, y, w, h }
    }

    pub(super) fn right(&self) -> f64 {
        self.x + self.w
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.h
    }

    pub(super) fn contains(&self, (x, y): (f64, f64)) -> bool {
        x >= self.x && x <= self.right() && y >= self.y && y <= self.bottom()
    }

    pub(super) fn grown(&self, by: f64) -> Self {
        Self::new(self.x - by, self.y - by, self.w + 2.0 * by, self.h + 2.0 * by)
    }

    /// Side lengths of what both cover; zero or less if they are apart.
    pub(super) fn overlap(&self, other: &Self) -> (f64, f64) {
        (
            self.right().min(other.right()) - self.x.max(other.x),
            self.bottom().min(other.bottom()) - self.y.max(other.y),
        )
    }
}

/// Which end of a text its point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text is set: size in points, colour, anchor, and whether it reads upwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type {
    pub(super) size_pt: f64,
    pub(super) colour: Rgb,
    pub(super) anchor: Anchor,
    pub(super) upwards: bool,
}

impl Type {
    pub(super) const fn new(size_pt: f64, anchor: Anchor) -> Self {
        Self { size_pt, colour: [0, 0, 0], anchor, upwards: false }
    }

    pub(super) const fn upwards(self) -> Self {
        Self { upwards: true, ..self }
    }
}

/// A text that was set, with the box it fills.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Words {
    pub(super) text: String,
    pub(super) at: Rect,
    pub(super) size_pt: f64,
}

/// A frame for data, and how many marks went into it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pane {
    pub(super) name: String,
    pub(super) marks: usize,
}

/// What lies where on the sheet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Record {
    pub(super) width_pt: f64,
    pub(super) height_pt: f64,
    pub(super) words: Vec<Words>,
    pub(super) legends: Vec<Rect>,
    /// Points along lines, at markers and inside bands, a point or two apart.
    pub(super) ink: Vec<(f64, f64)>,
    pub(super) panes: Vec<Pane>,
    /// Characters without a glyph, with the text they are in.
    pub(super) missing: Vec<(char, String)>,
    pub(super) unknown: Vec<(String, String)>,
    /// What the figure itself has to tell: points left out, lines off the scale.
    pub(super) notes: Vec<String>,
}

struct Sheet {
    body: String,
    record: Record,
    dash: Option<&'static str>,
}

/// A handle to the sheet; plotters draws through one clone, the axes through another.
#[derive(Clone)]
pub(super) struct Paper(Rc<RefCell<Sheet>>);

impl Paper {
    /// A blank sheet.
    pub(super) fn new(width_pt: f64, height_pt: f64) -> Self {
        let record = Record { width_pt, height_pt, ..Record::default() };
        Self(Rc::new(RefCell::new(Sheet { body: String::new(), record, dash: None })))
    }

    /// Dashes, in points, of the lines drawn from now on.
    pub(super) fn set_dash(&self, dash: Option<&'static str>) {
        self.0.borrow_mut().dash = dash;
    }

    /// Lets the record be read or added to.
    pub(super) fn with_record<T>(&self, act: impl FnOnce(&mut Record) -> T) -> T {
        act(&mut self.0.borrow_mut().record)
    }

    /// Makes the page a line longer, for small grey words below everything.
    pub(super) fn add_footnote(&self, text: &str) {
        const SIZE_PT: f64 = 6.5;
        let (width_pt, baseline_pt) = self.with_record(|record| {
            record.height_pt += 1.5 * SIZE_PT;
            (record.width_pt, record.height_pt - 0.4 * SIZE_PT)
        });
        let set = Type { colour: GREY, ..Type::new(SIZE_PT, Anchor::End) };
        self.text((width_pt - RIM_PT, baseline_pt), text, set);
    }

    /// Draws a straight or bent line in points, outside any panel.
    pub(super) fn stroke(&self, points: &[(f64, f64)], stroke: &Stroke) {
        let sheet = &mut *self.0.borrow_mut();
        let path = path_data(points.iter().copied());
        let style = stroke_attributes(stroke);
        put(&mut sheet.body, &format!("<path d=\"{path}\" fill=\"none\" {style}/>"));
    }

    pub(super) fn outline(&self, at: Rect, stroke: &Stroke) {
        let sheet = &mut *self.0.borrow_mut();
        let (shape, style) = (rect_attributes(at), stroke_attributes(stroke));
        put(&mut sheet.body, &format!("<rect {shape} fill=\"none\" {style}/>"));
    }

    pub(super) fn fill(&self, at: Rect, colour: Rgb, alpha: f64) {
        let sheet = &mut *self.0.borrow_mut();
        let (shape, style) = (rect_attributes(at), fill_attributes(colour, alpha));
        put(&mut sheet.body, &format!("<rect {shape} {style}/>"));
    }

    pub(super) fn disc(&self, (x, y): (f64, f64), radius_pt: f64, colour: Rgb, alpha: f64) {
        let sheet = &mut *self.0.borrow_mut();
        let style = fill_attributes(colour, alpha);
        let (x, y, r) = (number(x), number(y), number(radius_pt));
        put(&mut sheet.body, &format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" {style}/>"));
    }

    pub(super) fn polygon(&self, points: &[(f64, f64)], colour: Rgb, alpha: f64) {
        let sheet = &mut *self.0.borrow_mut();
        let path = path_data(points.iter().copied());
        let style = fill_attributes(colour, alpha);
        put(&mut sheet.body, &format!("<path d=\"{path}Z\" {style}/>"));
    }

    /// Places a PNG file, its pixels shown as squares.
    pub(super) fn image(&self, at: Rect, png: &[u8]) {
        let sheet = &mut *self.0.borrow_mut();
        let (shape, data) = (rect_attributes(at), base64(png));
        put(
            &mut sheet.body,
            &format!(
                "<image {shape} preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" \
                 style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>"
            ),
        );
    }

    /// Sets a label with its baseline at `y`, and returns the box it fills.
    pub(super) fn text(&self, (x, y): (f64, f64), label: &str, set: Type) -> Rect {
        let line = math::layout(label, set.size_pt);
        let back_pt = match set.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => line.width_pt / 2.0,
            Anchor::End => line.width_pt,
        };
        let high = line.ascent_pt + line.descent_pt;
        let at = if set.upwards {
            Rect::new(x - line.ascent_pt, y + back_pt - line.width_pt, high, line.width_pt)
        } else {
            Rect::new(x - back_pt, y - line.ascent_pt, line.width_pt, high)
        };
        let sheet = &mut *self.0.borrow_mut();
        let text = math::plain(label);
        let record = &mut sheet.record;
        record.missing.extend(line.missing.iter().map(|c| (*c, label.to_owned())));
        record.unknown.extend(line.unknown.iter().map(|name| (name.clone(), label.to_owned())));
        if line.runs.is_empty() {
            return at;
        }
        record.words.push(Words { text, at, size_pt: set.size_pt });
        put(&mut sheet.body, &text_element((x, y), back_pt, &line, set));
        at
    }

    /// The finished SVG, with `head` (title and metadata elements) at its top, and the record.
    pub(super) fn finish(&self, head: &str) -> (String, Record) {
        let sheet = self.0.borrow();
        let (w, h) = (sheet.record.width_pt, sheet.record.height_pt);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.3}pt\" height=\"{h:.3}pt\" \
             viewBox=\"0 0 {w:.3} {h:.3}\" font-family=\"{FAMILY}\">\n{head}<rect width=\"100%\" \
             height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            sheet.body
        );
        (svg, sheet.record.clone())
    }
}

fn put(body: &mut String, element: &str) {
    body.push_str(element);
    body.push('\n');
}

fn points_of(units: i32) -> f64 {
    f64::from(units) / UNITS_PER_PT
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// plotters' colour and whole-number width as our stroke, with the dashes set on the side.
fn stroke_of<S: BackendStyle>(style: &S, dash: Option<&'static str>) -> Stroke {
    let BackendColor { alpha, rgb: (r, g, b) } = style.color();
    let width_pt = f64::from(style.stroke_width()) / UNITS_PER_PT;
    Stroke { colour: [r, g, b], alpha, width_pt, dash }
}

fn colour_of<S: BackendStyle>(style: &S) -> (Rgb, f64) {
    let BackendColor { alpha, rgb: (r, g, b) } = style.color();
    ([r, g, b], alpha)
}

impl DrawingBackend for Paper {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        let sheet = self.0.borrow();
        let units = |pt: f64| (pt * UNITS_PER_PT).round() as u32;
        (units(sheet.record.width_pt), units(sheet.record.height_pt))
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        let (r, g, b) = color.rgb;
        self.disc((points_of(x), points_of(y)), 0.1, [r, g, b], color.alpha);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S) -> Drawn {
        self.draw_path([a, b], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let points: Vec<_> = path.into_iter().map(|(x, y)| (points_of(x), points_of(y))).collect();
        let dash = self.0.borrow().dash;
        self.stroke(&points, &stroke_of(style, dash));
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (x0, y0): BackendCoord,
        (x1, y1): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let at = Rect::new(points_of(x0), points_of(y0), points_of(x1 - x0), points_of(y1 - y0));
        if fill {
            let (colour, alpha) = colour_of(style);
            self.fill(at, colour, alpha);
        } else {
            self.outline(at, &stroke_of(style, None));
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        let (colour, alpha) = colour_of(style);
        let centre = (points_of(x), points_of(y));
        self.disc(centre, f64::from(radius) / UNITS_PER_PT, colour, alpha);
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Drawn {
        let (colour, alpha) = colour_of(style);
        let points: Vec<_> =
            corners.into_iter().map(|(x, y)| (points_of(x), points_of(y))).collect();
        self.polygon(&points, colour, alpha);
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        let set = Type::new(style.size() / UNITS_PER_PT, Anchor::Start);
        self.text((points_of(x), points_of(y)), text, set);
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let line = math::layout(text, style.size());
        let units = |length: f64| length.ceil() as u32;
        Ok((units(line.width_pt), units(line.ascent_pt + line.descent_pt)))
    }
}
