//! A graph of work as boxes in columns, what is read on the left of what reads it, with the state of
//! each. Made for the screen: as large as it has to be, not at a paper's width.

mod layout;

use super::Metadata;
use super::export::{self, Drawing};
use super::font::Face;
use super::math;
use super::paper::{Anchor, Pane, Paper, Rect, Type};
use super::style::{GREY, Rgb, Stroke, colour};
use super::svg::escape;
use crate::problem::Result;

/// The picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dag {
    /// The boxes.
    pub boxes: Vec<DagBox>,
    /// What reads from what.
    pub arrows: Vec<DagArrow>,
}

/// A piece of work, or many of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct DagBox {
    /// Its name.
    pub name: String,
    /// What stands at its right edge, such as `2/5`.
    pub count: String,
    /// Smaller lines below the name.
    pub captions: Vec<String>,
    /// Boxes of one family have one colour.
    pub family: usize,
    /// How far it is.
    pub state: DagState,
}

/// How far a box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DagState {
    /// All of it is finished.
    Finished,
    /// Part of it is finished.
    Partly,
    /// None of it is finished.
    ToRun,
    /// The last attempt at some of it failed.
    Failed,
}

/// One box reads from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DagArrow {
    /// The box that is read.
    pub from: usize,
    /// The box that reads.
    pub to: usize,
    /// The role in which it is read.
    pub role: String,
}

const BOX_WIDE_PT: f64 = 142.0;
const GAP_PT: f64 = 78.0;
/// The last piece of an arrow is straight, so that its role can stand on it.
const LEAD_PT: f64 = 34.0;
const MARGIN_PT: f64 = 10.0;
const BETWEEN_PT: f64 = 11.0;
const NAME_PT: f64 = 9.5;
const CAPTION_PT: f64 = 7.0;
const ROLE_PT: f64 = 6.5;
/// From one caption's baseline to the next.
const LINE_PT: f64 = 9.0;
const INSET_PT: f64 = 8.0;
const CORNER_PT: f64 = 2.5;
const BAR_PT: f64 = 3.5;
const ARROW: Stroke = Stroke::solid([150, 155, 160], 0.7);
const KEY_HIGH_PT: f64 = 22.0;

impl DagState {
    const ALL: [Self; 4] = [Self::Finished, Self::Partly, Self::ToRun, Self::Failed];

    fn fill(self) -> Rgb {
        match self {
            Self::Finished => [0xD3, 0xEC, 0xDA],
            Self::Partly => [0xCF, 0xE2, 0xF6],
            Self::ToRun => [0xEE, 0xEE, 0xEE],
            Self::Failed => [0xF8, 0xCF, 0xCB],
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Partly => "partly finished",
            Self::ToRun => "to run",
            Self::Failed => "failed",
        }
    }
}

impl Dag {
    /// The picture as SVG. Characters that the bundled typeface lacks are shown as question marks.
    #[must_use]
    pub fn svg(&self, meta: &Metadata) -> String {
        let (title, sources) = (escape(&meta.title), escape(&meta.sources));
        let head = format!("<title>{title}</title>\n<metadata>{sources}</metadata>\n");
        self.sheet().finish(&head).0
    }

    /// The picture as SVG, PNG and PDF.
    ///
    /// # Errors
    /// If it is too large for a picture.
    pub fn draw(&self, meta: &Metadata) -> Result<Drawing> {
        export::export(&self.sheet(), self.csv(), meta)
    }

    /// The arrows as text.
    fn csv(&self) -> String {
        let mut csv = super::csv::Csv::new(&["from", "to", "role"]);
        for arrow in &self.arrows {
            csv.row(&[&self.boxes[arrow.from].name, &self.boxes[arrow.to].name, &arrow.role], &[]);
        }
        csv.finish()
    }

    fn sheet(&self) -> Paper {
        let captions = self.boxes.iter().map(|b| b.captions.len()).max().unwrap_or(0);
        let high = 18.0 + LINE_PT * captions as f64;
        let ends: Vec<(usize, usize)> = self.arrows.iter().map(|a| (a.from, a.to)).collect();
        let layout = layout::layout(self.boxes.len(), &ends, high + BETWEEN_PT);
        let column = |i: usize| MARGIN_PT + (BOX_WIDE_PT + GAP_PT) * i as f64;
        let frames: Vec<Rect> = layout
            .columns
            .iter()
            .zip(&layout.middles)
            .map(|(i, middle)| Rect::new(column(*i), MARGIN_PT + middle, BOX_WIDE_PT, high))
            .collect();
        let right = frames.iter().map(Rect::right).fold(0.0, f64::max);
        let bottom = frames.iter().map(Rect::bottom).fold(0.0, f64::max);
        let bends = layout.bends.iter().flatten().copied().fold(0.0, f64::max) + high;
        let bottom = bottom.max(bends);
        let paper = Paper::new(right.max(230.0) + MARGIN_PT, bottom + MARGIN_PT + KEY_HIGH_PT);
        let ports = self.ports(&frames, &layout);
        for (i, arrow) in self.arrows.iter().enumerate() {
            let start = (frames[arrow.from].right(), frames[arrow.from].y + high / 2.0);
            let end = (frames[arrow.to].x, ports[i]);
            let bend = |(n, at): (usize, &f64)| {
                let x = column(layout.columns[arrow.from] + 1 + n);
                (x, MARGIN_PT + at + high / 2.0)
            };
            let between: Vec<(f64, f64)> = layout.bends[i].iter().enumerate().map(bend).collect();
            connect(&paper, start, &between, end);
        }
        for (i, arrow) in self.arrows.iter().enumerate() {
            let at = (frames[arrow.to].x - 5.0, ports[i] - 1.8);
            let set = Type { colour: GREY, ..Type::new(ROLE_PT, Anchor::End) };
            paper.text(at, &shown(&arrow.role), set);
        }
        self.boxes.iter().zip(&frames).for_each(|(one, frame)| draw_box(&paper, one, *frame));
        self.key(&paper, bottom + MARGIN_PT + 10.0);
        let marks = self.boxes.len();
        paper.with_record(|record| record.panes.push(Pane { name: "graph".into(), marks }));
        paper
    }

    /// For each arrow, the height at which it enters its box: in the order in which they come from above.
    fn ports(&self, frames: &[Rect], layout: &layout::Layout) -> Vec<f64> {
        let mut ports = vec![0.0; self.arrows.len()];
        for (to, frame) in frames.iter().enumerate() {
            let comes_from = |i: &usize| match layout.bends[*i].last() {
                Some(bend) => *bend,
                None => layout.middles[self.arrows[*i].from],
            };
            let mut into: Vec<usize> =
                (0..self.arrows.len()).filter(|i| self.arrows[*i].to == to).collect();
            into.sort_by(|a, b| comes_from(a).total_cmp(&comes_from(b)));
            let step = frame.h / (into.len() + 1) as f64;
            for (n, i) in into.into_iter().enumerate() {
                ports[i] = frame.y + step * (n + 1) as f64;
            }
        }
        ports
    }

    /// Explains the states that occur.
    fn key(&self, paper: &Paper, y: f64) {
        let mut x = MARGIN_PT;
        for state in DagState::ALL {
            if !self.boxes.iter().any(|b| b.state == state) {
                continue;
            }
            let sample = Rect::new(x, y - 6.0, 9.0, 7.0);
            paper.fill(sample, state.fill(), 1.0);
            paper.outline(sample, &Stroke::solid(GREY, 0.4));
            let set = Type { colour: GREY, ..Type::new(CAPTION_PT, Anchor::Start) };
            let words = paper.text((x + 12.0, y), state.words(), set);
            x = words.right() + 12.0;
        }
    }
}

fn draw_box(paper: &Paper, one: &DagBox, frame: Rect) {
    let edge = colour(one.family);
    paper.polygon(&rounded(frame), one.state.fill(), 1.0);
    let bar = Rect::new(frame.x, frame.y, BAR_PT + CORNER_PT, frame.h);
    let mut left = rounded(bar);
    left.iter_mut().for_each(|(x, _)| *x = x.min(frame.x + BAR_PT));
    paper.polygon(&left, edge, 1.0);
    let mut outline = rounded(frame);
    outline.push(outline[0]);
    paper.stroke(&outline, &Stroke::solid(edge, 0.9));
    let (left, right) = (frame.x + INSET_PT, frame.right() - INSET_PT + 3.0);
    let count = format!(r"$\mathbf{{{}}}$", shown(&one.count));
    let count = if one.count.is_empty() { String::new() } else { count };
    let counted =
        paper.text((right, frame.y + 12.5), &count, Type::new(CAPTION_PT + 1.0, Anchor::End));
    let name = cut(&shown(&one.name), NAME_PT, counted.x - left - 4.0);
    paper.text((left, frame.y + 12.5), &name, Type::new(NAME_PT, Anchor::Start));
    for (i, caption) in one.captions.iter().enumerate() {
        let y = frame.y + 13.0 + LINE_PT * (i + 1) as f64;
        let set = Type { colour: [85, 85, 85], ..Type::new(CAPTION_PT, Anchor::Start) };
        paper.text((left, y), &cut(&shown(caption), CAPTION_PT, right - left), set);
    }
}

/// A line from one box to another: level at both ends and where it passes a column.
fn connect(paper: &Paper, start: (f64, f64), between: &[(f64, f64)], end: (f64, f64)) {
    let mut points = vec![start];
    let mut at = start;
    for (x, y) in between {
        curve(&mut points, at, (*x, *y));
        at = (x + BOX_WIDE_PT, *y);
        points.push(at);
    }
    curve(&mut points, at, (end.0 - LEAD_PT, end.1));
    points.push((end.0 - 4.0, end.1));
    paper.stroke(&points, &ARROW);
    let head = [end, (end.0 - 4.5, end.1 - 2.0), (end.0 - 4.5, end.1 + 2.0)];
    paper.polygon(&head, ARROW.colour, 1.0);
}

/// A Bézier curve that is level at both ends.
fn curve(points: &mut Vec<(f64, f64)>, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) {
    const PIECES: i32 = 20;
    if (y0 - y1).abs() < 0.01 {
        points.push((x1, y1));
        return;
    }
    let reach = ((x1 - x0).abs() / 2.0).max(20.0);
    for i in 1..=PIECES {
        let t = f64::from(i) / f64::from(PIECES);
        let weights =
            [(1.0 - t).powi(3), 3.0 * t * (1.0 - t).powi(2), 3.0 * t * t * (1.0 - t), t.powi(3)];
        let at = |ends: [f64; 4]| weights.iter().zip(ends).map(|(w, v)| w * v).sum();
        points.push((at([x0, x0 + reach, x1 - reach, x1]), at([y0, y0, y1, y1])));
    }
}

/// The outline of a rectangle with round corners.
fn rounded(at: Rect) -> Vec<(f64, f64)> {
    let corner = |(x, y): (f64, f64), from: f64| {
        (0..=4).map(move |i| {
            let angle = (from + 22.5 * f64::from(i)).to_radians();
            (x + CORNER_PT * angle.cos(), y + CORNER_PT * angle.sin())
        })
    };
    let (left, right) = (at.x + CORNER_PT, at.right() - CORNER_PT);
    let (top, bottom) = (at.y + CORNER_PT, at.bottom() - CORNER_PT);
    corner((left, top), 180.0)
        .chain(corner((right, top), 270.0))
        .chain(corner((right, bottom), 0.0))
        .chain(corner((left, bottom), 90.0))
        .collect()
}

/// Text without mathematics, and with characters of the bundled typeface alone.
fn shown(text: &str) -> String {
    let known = |c: char| if c != '$' && Face::Regular.with(c).is_some() { c } else { '?' };
    text.chars().map(known).collect()
}

/// Text cut so that it is at most this wide.
fn cut(text: &str, size_pt: f64, most_pt: f64) -> String {
    let wide = |text: &str| math::layout(text, size_pt).width_pt;
    if wide(text) <= most_pt {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    loop {
        kept.pop();
        let shorter: String = kept.iter().chain(&['…']).collect();
        if kept.is_empty() || wide(&shorter) <= most_pt {
            return shorter;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, state: DagState) -> DagBox {
        let captions = vec!["train · seed".to_owned(), "1 finished, 4 to run".to_owned()];
        DagBox { name: name.into(), count: "1/5".into(), captions, family: 0, state }
    }

    fn dag() -> Dag {
        let names = ["maps", "net", "a_very_long_name_of_a_node_that_no_box_can_hold", "漢<b>$x"];
        let boxes = names.iter().map(|name| one(name, DagState::Partly)).collect();
        let arrow = |from, to, role: &str| DagArrow { from, to, role: role.into() };
        let arrows = vec![
            arrow(0, 1, "data"),
            arrow(1, 2, "from"),
            arrow(2, 3, "samples"),
            arrow(0, 3, "reference"),
        ];
        Dag { boxes, arrows }
    }

    #[test]
    fn all_files_are_made_whatever_the_names() {
        let drawing = dag().draw(&Metadata::default()).unwrap();
        assert!(drawing.svg.contains("…") && drawing.svg.contains("?&lt;b&gt;?x"));
        assert!(drawing.pdf.starts_with(b"%PDF"));
        assert_eq!(drawing.csv.lines().count(), 5);
        assert_eq!(drawing.svg, dag().svg(&Metadata::default()));
    }

    #[test]
    fn nothing_lies_on_top_of_another_or_outside() {
        let (_, record) = dag().sheet().finish("");
        let warnings = super::super::lint::sentences(&record);
        let bad: Vec<&String> = warnings.iter().filter(|w| !w.contains("no panels")).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }

    #[test]
    fn a_graph_without_boxes_is_drawn() {
        assert!(Dag::default().svg(&Metadata::default()).contains("</svg>"));
    }
}
