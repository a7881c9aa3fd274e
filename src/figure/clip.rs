//! Cuts lines and polygons at the unit square, so that what leaves a panel leaves it at the right
//! slope. plotters would pull points outside onto the border instead. Fractions in, fractions out.

/// A point in fractions of a panel's width and height.
pub(super) type Point = (f64, f64);

/// The part of the segment from `a` to `b` inside the unit square (Liang & Barsky 1984).
pub(super) fn segment(a: Point, b: Point) -> Option<(Point, Point)> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for (towards, room) in [(-dx, a.0), (dx, 1.0 - a.0), (-dy, a.1), (dy, 1.0 - a.1)] {
        if towards == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if towards < 0.0 {
            enter = enter.max(room / towards);
        } else {
            leave = leave.min(room / towards);
        }
    }
    let at = |t: f64| (a.0 + t * dx, a.1 + t * dy);
    (enter <= leave).then(|| (at(enter), at(leave)))
}

/// The pieces of a bent line inside the unit square.
pub(super) fn polyline(points: &[Point]) -> Vec<Vec<Point>> {
    let mut pieces: Vec<Vec<Point>> = Vec::new();
    for pair in points.windows(2) {
        let Some((from, to)) = segment(pair[0], pair[1]) else { continue };
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&from) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

/// The part of a polygon inside the unit square (Sutherland & Hodgman 1974).
pub(super) fn polygon(corners: &[Point]) -> Vec<Point> {
    let inside: [fn(Point) -> f64; 4] = [|p| p.0, |p| 1.0 - p.0, |p| p.1, |p| 1.0 - p.1];
    inside.into_iter().fold(corners.to_vec(), |corners, depth| half_plane(&corners, depth))
}

/// Keeps where `depth` is not negative; it must be linear.
fn half_plane(corners: &[Point], depth: fn(Point) -> f64) -> Vec<Point> {
    let mut kept = Vec::with_capacity(corners.len() + 4);
    for (i, &b) in corners.iter().enumerate() {
        let a = corners[(i + corners.len() - 1) % corners.len()];
        let (depth_a, depth_b) = (depth(a), depth(b));
        if (depth_a < 0.0) != (depth_b < 0.0) {
            let t = depth_a / (depth_a - depth_b);
            kept.push((a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)));
        }
        if depth_b >= 0.0 {
            kept.push(b);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_leaves_keeps_its_slope() {
        let pieces = polyline(&[(0.0, 0.5), (1.0, -0.5), (1.0, 0.5)]);
        assert_eq!(pieces, [vec![(0.0, 0.5), (0.5, 0.0)], vec![(1.0, 0.0), (1.0, 0.5)]]);
    }

    #[test]
    fn a_line_outside_leaves_nothing() {
        assert!(polyline(&[(0.1, 1.2), (0.9, 1.1)]).is_empty());
        assert!(polyline(&[(-0.5, 0.2), (0.2, -0.6)]).is_empty());
        assert!(polyline(&[(0.5, 0.5)]).is_empty());
    }

    #[test]
    fn a_line_inside_is_left_whole() {
        let points = [(0.0, 0.0), (0.5, 0.9), (1.0, 1.0)];
        assert_eq!(polyline(&points), [points.to_vec()]);
    }

    #[test]
    fn a_polygon_is_cut_along_the_border() {
        let cut = polygon(&[(0.5, 0.5), (0.5, 1.5), (1.5, 0.5)]);
        let area = cut.iter().zip(cut.iter().cycle().skip(1)).map(|(a, b)| a.0 * b.1 - b.0 * a.1);
        assert!((area.sum::<f64>().abs() / 2.0 - 0.25).abs() < 1e-12, "{cut:?}");
        assert!(polygon(&[(2.0, 2.0), (3.0, 2.0), (2.0, 3.0)]).is_empty());
        assert!(polygon(&[]).is_empty());
    }
}
