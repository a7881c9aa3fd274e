//! Images of digits, drawn from the program's own fonts as if by many hands: slanted, turned, bent,
//! thicker and thinner. A stand-in for handwritten digits that needs no download. An image is a
//! function of (seed, index), made of additions, multiplications, divisions and square roots alone,
//! which every machine rounds alike. Part of the dataset's definition: it never changes.

use crate::random::Stream;
use std::sync::LazyLock;
use ttf_parser::{Face, OutlineBuilder};

/// Pixels along one side of an image.
pub const SIDE: usize = 28;

/// Classes of images, the digits.
pub const CLASSES: usize = 10;

/// A font, and how far its outlines are moved outwards: the least and the most, in pixels.
struct Typeface {
    bytes: &'static [u8],
    growth_pixels: (f64, f64),
}

/// The fonts that images are drawn from.
const TYPEFACES: [Typeface; 3] = [
    Typeface {
        bytes: include_bytes!("../../../src/figure/fonts/STIXTwoText-Regular.ttf"),
        growth_pixels: (0.1, 0.9),
    },
    Typeface {
        bytes: include_bytes!("../../../src/figure/fonts/STIXTwoText-Bold.ttf"),
        growth_pixels: (-0.3, 0.4),
    },
    Typeface {
        bytes: include_bytes!("../../../src/figure/fonts/STIXTwoText-Italic.ttf"),
        growth_pixels: (0.1, 0.9),
    },
];

type Point = [f64; 2];

/// Closed polygons, y downwards; what winds around a point that is not 0 times holds ink.
type Outline = Vec<Vec<Point>>;

/// The outlines of the ten digits of each font, in font units.
static OUTLINES: LazyLock<Vec<Outline>> = LazyLock::new(|| {
    let outlines = |typeface: &Typeface| {
        let face = Face::parse(typeface.bytes, 0).expect("the bundled fonts are fonts");
        ('0'..='9').map(|digit| outline(&face, digit)).collect::<Vec<Outline>>()
    };
    TYPEFACES.iter().flat_map(outlines).collect()
});

/// The image of `index` in the dataset of `seed`, white (255) on black (0), row by row, and its class.
/// Among the images 10 n to 10 n + 9 each class comes once, in an order of its own.
pub fn digit(seed: u64, index: u64) -> (Vec<u8>, u8) {
    let ten = CLASSES as u64;
    let class =
        Stream::new(seed, "digit class", index / ten).permutation(CLASSES)[(index % ten) as usize];
    let mut stream = Stream::new(seed, "digit shape", index);
    let face = stream.below(TYPEFACES.len() as u64) as usize;
    let hand = Hand::draw(&mut stream, TYPEFACES[face].growth_pixels);
    let outline = hand.shape(&OUTLINES[face * CLASSES + class]);
    let mut ink = Ink::fill(&outline);
    ink.grow(&outline, hand.growth_pixels);
    (ink.pixels(), class as u8)
}

/// The way in which one digit is drawn.
struct Hand {
    /// Tangent of half the angle by which it is turned.
    half_turn: f64,
    /// Sideways shift of the top against the bottom, in heights.
    slant: f64,
    /// Width in units of the font's.
    width: f64,
    /// How far the middle of the height is moved sideways against its ends, in heights.
    bow: f64,
    /// How far the middle of the width is moved down against its ends, in heights.
    sag: f64,
    /// The longer side of what is drawn, before its outline grows.
    size_pixels: f64,
    /// Where its middle is, from the middle of the image.
    shift_pixels: Point,
    /// How far its outline moves outwards.
    growth_pixels: f64,
}

impl Hand {
    fn draw(stream: &mut Stream, growth: (f64, f64)) -> Self {
        let mut between = |low: f64, high: f64| low + (high - low) * stream.next_uniform();
        Self {
            half_turn: between(-0.13, 0.13),
            slant: between(-0.3, 0.3),
            width: between(0.75, 1.25),
            bow: between(-0.12, 0.12),
            sag: between(-0.12, 0.12),
            size_pixels: between(16.5, 20.5),
            shift_pixels: [between(-1.5, 1.5), between(-1.5, 1.5)],
            growth_pixels: between(growth.0, growth.1),
        }
    }

    /// The outline as this hand draws it, in pixels.
    fn shape(&self, outline: &Outline) -> Outline {
        let (middle, size) = extent(outline);
        let cos = (1.0 - self.half_turn * self.half_turn) / (1.0 + self.half_turn * self.half_turn);
        let sin = 2.0 * self.half_turn / (1.0 + self.half_turn * self.half_turn);
        let bent = |point: &Point| {
            // The height spans -1/2 to 1/2.
            let x = (point[0] - middle[0]) / size[1] * self.width;
            let y = (point[1] - middle[1]) / size[1];
            let x = x - self.slant * y + self.bow * (1.0 - 4.0 * y * y);
            let y = y + self.sag * (1.0 - 4.0 * x * x);
            [cos * x - sin * y, sin * x + cos * y]
        };
        let bent = each_point(outline, bent);
        let (middle, size) = extent(&bent);
        let scale = self.size_pixels / size[0].max(size[1]);
        let placed = |point: &Point| {
            let along = |axis: usize| {
                (point[axis] - middle[axis]) * scale + SIDE as f64 / 2.0 + self.shift_pixels[axis]
            };
            [along(0), along(1)]
        };
        each_point(&bent, placed)
    }
}

fn each_point(outline: &Outline, moved: impl Fn(&Point) -> Point) -> Outline {
    outline.iter().map(|polygon| polygon.iter().map(&moved).collect()).collect()
}

/// The middle and the size of the box around an outline.
fn extent(outline: &Outline) -> (Point, Point) {
    let mut low = [f64::INFINITY; 2];
    let mut high = [f64::NEG_INFINITY; 2];
    for point in outline.iter().flatten() {
        for axis in 0..2 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    let of = |f: fn(f64, f64) -> f64| [f(low[0], high[0]), f(low[1], high[1])];
    (of(|low, high| (low + high) / 2.0), of(|low, high| high - low))
}

/// The edges of an outline, each from one point to the next.
fn edges(outline: &Outline) -> impl Iterator<Item = [Point; 2]> + '_ {
    let around = |polygon: &'_ Vec<Point>| -> Vec<[Point; 2]> {
        (0..polygon.len()).map(|i| [polygon[i], polygon[(i + 1) % polygon.len()]]).collect()
    };
    outline.iter().flat_map(around)
}

/// Samples along one side of a pixel.
const FINE: usize = 8;

/// Samples along one side of an image.
const SAMPLES: usize = SIDE * FINE;

/// Which samples of an image hold ink.
struct Ink {
    samples: Vec<bool>,
}

/// The coordinate of a sample, in pixels.
fn sample(i: usize) -> f64 {
    (i as f64 + 0.5) / FINE as f64
}

/// The first sample that does not lie before a coordinate in pixels.
fn sample_from(x: f64) -> usize {
    ((x * FINE as f64 - 0.5).ceil().max(0.0) as usize).min(SAMPLES)
}

impl Ink {
    /// Fills an outline, given in pixels.
    fn fill(outline: &Outline) -> Self {
        let mut crossings: Vec<Vec<(f64, i32)>> = vec![Vec::new(); SAMPLES];
        for [from, to] in edges(outline) {
            let (top, bottom, turn) = if from[1] < to[1] { (from, to, 1) } else { (to, from, -1) };
            for (row, crossings) in crossings
                .iter_mut()
                .enumerate()
                .take(sample_from(bottom[1]))
                .skip(sample_from(top[1]))
            {
                let down = (sample(row) - top[1]) / (bottom[1] - top[1]);
                crossings.push((top[0] + down * (bottom[0] - top[0]), turn));
            }
        }
        let mut samples = vec![false; SAMPLES * SAMPLES];
        for (row, mut crossings) in samples.chunks_exact_mut(SAMPLES).zip(crossings) {
            crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut winding = 0;
            for pair in crossings.windows(2) {
                winding += pair[0].1;
                if winding != 0 {
                    let (begin, end) = (sample_from(pair[0].0), sample_from(pair[1].0));
                    row[begin..end].fill(true);
                }
            }
        }
        Self { samples }
    }

    /// Moves the outline outwards, or inwards if `by_pixels` is negative.
    fn grow(&mut self, outline: &Outline, by_pixels: f64) {
        let reach = by_pixels.abs();
        for [from, to] in edges(outline) {
            let span = |axis: usize| {
                let low = from[axis].min(to[axis]) - reach;
                sample_from(low)..sample_from(from[axis].max(to[axis]) + reach)
            };
            for row in span(1) {
                for column in span(0) {
                    let place = [sample(column), sample(row)];
                    if distance_squared(place, from, to) < reach * reach {
                        self.samples[row * SAMPLES + column] = by_pixels > 0.0;
                    }
                }
            }
        }
    }

    /// The share of ink in each pixel, 255 if all of it.
    fn pixels(&self) -> Vec<u8> {
        let whole = FINE * FINE;
        let share = |pixel: usize| {
            let corner = pixel / SIDE * FINE * SAMPLES + pixel % SIDE * FINE;
            let row = |i: usize| &self.samples[corner + i * SAMPLES..][..FINE];
            let count = (0..FINE).flat_map(row).filter(|ink| **ink).count();
            ((count * 255 + whole / 2) / whole) as u8
        };
        (0..SIDE * SIDE).map(share).collect()
    }
}

/// The square of the distance between a point and an edge.
fn distance_squared(point: Point, from: Point, to: Point) -> f64 {
    let edge = [to[0] - from[0], to[1] - from[1]];
    let away = [point[0] - from[0], point[1] - from[1]];
    let length = edge[0] * edge[0] + edge[1] * edge[1];
    let along = if length > 0.0 { (away[0] * edge[0] + away[1] * edge[1]) / length } else { 0.0 };
    let along = along.clamp(0.0, 1.0);
    let gap = [away[0] - along * edge[0], away[1] - along * edge[1]];
    gap[0] * gap[0] + gap[1] * gap[1]
}

/// Straight pieces that a curve is cut into.
const PIECES: usize = 6;

/// Collects an outline as polygons.
#[derive(Default)]
struct Pen {
    polygons: Outline,
}

impl Pen {
    /// Adds a point, given as the font does, y upwards.
    fn add(&mut self, [x, y]: Point) {
        if let Some(polygon) = self.polygons.last_mut() {
            polygon.push([x, -y]);
        }
    }

    /// The last point, y upwards.
    fn place(&self) -> Point {
        let last = self.polygons.last().and_then(|polygon| polygon.last());
        last.map_or([0.0, 0.0], |[x, y]| [*x, -*y])
    }

    /// Adds a curve of Bézier's, by de Casteljau's construction on its control points.
    fn curve<const N: usize>(&mut self, control: [(f32, f32); N]) {
        let mut points = vec![self.place()];
        points.extend(control.map(|(x, y)| [f64::from(x), f64::from(y)]));
        for piece in 1..=PIECES {
            let t = piece as f64 / PIECES as f64;
            let mut level = points.clone();
            while level.len() > 1 {
                let between = |pair: &[Point]| {
                    [0, 1].map(|axis| pair[0][axis] * (1.0 - t) + pair[1][axis] * t)
                };
                level = level.windows(2).map(between).collect();
            }
            self.add(level[0]);
        }
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.polygons.push(Vec::new());
        self.line_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.add([f64::from(x), f64::from(y)]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.curve([(x1, y1), (x, y)]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.curve([(x1, y1), (x2, y2), (x, y)]);
    }

    fn close(&mut self) {}
}

/// The outline of a character, in font units.
fn outline(face: &Face<'_>, character: char) -> Outline {
    let glyph = face.glyph_index(character).expect("the bundled fonts hold the digits");
    let mut pen = Pen::default();
    face.outline_glyph(glyph, &mut pen).expect("a digit has an outline");
    pen.polygons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_the_images_never_change() {
        let mut hash = blake3::Hasher::new();
        for index in 0..20 {
            let (pixels, class) = digit(7, index);
            hash.update(&pixels).update(&[class]);
        }
        let pinned = "1966b04fb1ea729d248d7bb70066a1b986bc70b97b604618cff4be800ce82a0d";
        assert_eq!(hash.finalize().to_hex().as_str(), pinned);
    }

    #[test]
    fn each_ten_images_hold_each_class_once_in_an_order_of_their_own() {
        let classes = |ten: u64| (0..10).map(|i| digit(1, 10 * ten + i).1).collect::<Vec<u8>>();
        assert_ne!(classes(0), classes(1));
        let mut sorted = classes(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<u8>>());
    }

    #[test]
    fn no_image_is_empty_full_or_cut_off() {
        for index in 0..300 {
            let (pixels, class) = digit(2, index);
            let ink: f64 = pixels.iter().map(|p| f64::from(*p) / 255.0).sum::<f64>() / 784.0;
            assert!((0.04..0.4).contains(&ink), "{class}: {ink}");
            assert!(pixels.iter().any(|p| *p > 200), "{class}");
            let edge = |i: &usize| [i / 28, i % 28].iter().any(|place| [0, 27].contains(place));
            assert!((0..784).filter(edge).all(|i| pixels[i] == 0), "{class} at image {index}");
        }
    }

    #[test]
    fn seeds_and_classes_look_different() {
        let mean = |class: u8| {
            let mut mean = vec![0.0; 784];
            for (pixels, _) in (0..400).map(|i| digit(3, i)).filter(|(_, c)| *c == class) {
                mean.iter_mut().zip(pixels).for_each(|(m, p)| *m += f64::from(p) / 40.0);
            }
            mean
        };
        let means: Vec<Vec<f64>> = (0..10).map(mean).collect();
        for (a, b) in (0..10).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let apart: f64 = means[a].iter().zip(&means[b]).map(|(x, y)| (x - y).abs()).sum();
            assert!(apart / 784.0 > 5.0, "{a} and {b}: {apart}");
        }
        assert_ne!(digit(3, 0), digit(4, 0));
    }

    #[test]
    fn a_square_is_filled_and_grows_and_shrinks_by_whole_pixels() {
        let square = vec![vec![[4.0, 4.0], [4.0, 8.0], [8.0, 8.0], [8.0, 4.0]]];
        let lit = |by: f64| {
            let mut ink = Ink::fill(&square);
            ink.grow(&square, by);
            ink.pixels().iter().filter(|p| **p == 255).count()
        };
        // A grown square has round corners.
        assert_eq!([lit(0.0), lit(1.0), lit(-1.0)], [16, 32, 4]);
    }
}
