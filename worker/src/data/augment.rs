//! What is done at random to maps before a network sees them: flips, quarter turns, shifts in a periodic box.
//! Each map has its own chance, which depends on (seed, step) alone.

use crate::random::Stream;
use ablate::settings::Augmentation;
use tch::{Kind, Tensor};

/// Where each pixel of a map is taken from.
struct Moves {
    /// Whether rows and columns are exchanged, `[n, 1, 1]` bool.
    transpose: Tensor,
    /// Whether top and bottom, left and right are exchanged, `[n, 1, 1]` bool each.
    flips: [Tensor; 2],
    /// Rows and columns by which a map is shifted, `[n, 1, 1]` int64 each.
    shifts: [Tensor; 2],
}

impl Moves {
    /// Draws the moves of `n` maps of these sides.
    fn draw(
        augment: &[Augmentation],
        stream: &mut Stream,
        n: usize,
        [height, width]: [i64; 2],
    ) -> Self {
        let on = |one| augment.contains(&one);
        let (mut turned, mut top, mut left) = (vec![], vec![], vec![]);
        let mut shifts = [vec![], vec![]];
        for _ in 0..n {
            // Always as many numbers, so that one augmentation does not change what another does.
            let flip = [stream.below(2) == 1, stream.below(2) == 1];
            let turns = stream.below(4);
            let by = [stream.below(height as u64) as i64, stream.below(width as u64) as i64];
            let turns = if on(Augmentation::QuarterTurns) { turns } else { 0 };
            // A quarter turn exchanges rows and columns, then top and bottom; half a turn both flips.
            turned.push(turns % 2 == 1);
            top.push((flip[0] && on(Augmentation::FlipVertical)) != (turns == 1 || turns == 2));
            left.push((flip[1] && on(Augmentation::FlipHorizontal)) != (turns == 2 || turns == 3));
            for (shifts, by) in shifts.iter_mut().zip(by) {
                shifts.push(if on(Augmentation::Roll) { by } else { 0 });
            }
        }
        let each = |of: &[bool]| Tensor::from_slice(of).view([-1, 1, 1]);
        Self {
            transpose: each(&turned),
            flips: [each(&top), each(&left)],
            shifts: shifts.map(|by| Tensor::from_slice(&by).view([-1, 1, 1])),
        }
    }

    /// The place of the pixel that comes to each place, `[n, h w]`.
    fn places(&self, [height, width]: [i64; 2], like: &Tensor) -> Tensor {
        let options = (Kind::Int64, like.device());
        let here = |x: &Tensor| x.to_device(like.device());
        let rows = Tensor::arange(height, options).view([1, height, 1]);
        let columns = Tensor::arange(width, options).view([1, 1, width]);
        let moved = |at: &Tensor, i: usize, side: i64| {
            let flipped = (at.neg() + (side - 1)).where_self(&here(&self.flips[i]), at);
            (flipped + here(&self.shifts[i])).remainder(side)
        };
        let (rows, columns) = (moved(&rows, 0, height), moved(&columns, 1, width));
        let straight = &rows * width + &columns;
        // Only square maps are turned.
        let places = match height == width {
            true => straight.transpose(1, 2).where_self(&here(&self.transpose), &straight),
            false => straight,
        };
        places.flatten(1, 2)
    }
}

/// Returns maps `[n, c, h, w]` after these moves, each map by its own chance; quarter turns need square maps.
pub fn augment(x: &Tensor, augment: &[Augmentation], stream: &mut Stream) -> Tensor {
    let (n, c, h, w) = x.size4().expect("fields have four dimensions");
    let moves = Moves::draw(augment, stream, n as usize, [h, w]);
    let places = moves.places([h, w], x).unsqueeze(1).expand([n, c, h * w], false);
    x.flatten(2, 3).gather(2, &places, false).view([n, c, h, w])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tch::Device;

    /// The distinct maps that augmentations make of one small map with different pixels.
    fn made(ways: &[Augmentation], [h, w]: [i64; 2]) -> BTreeSet<Vec<i64>> {
        let map = Tensor::arange(h * w, (Kind::Int64, Device::Cpu)).view([1, 1, h, w]);
        let maps = map.repeat([400, 2, 1, 1]);
        let out = augment(&maps, ways, &mut Stream::new(0, "test", 0));
        assert_eq!(out.size(), [400, 2, h, w]);
        let rows = |i: i64, c: i64| Vec::<i64>::try_from(out.get(i).get(c).flatten(0, 1)).unwrap();
        (0..400).for_each(|i| assert_eq!(rows(i, 0), rows(i, 1), "channels go together"));
        (0..400).map(|i| rows(i, 0)).collect()
    }

    #[test]
    fn flips_turns_and_shifts_make_all_they_can_and_nothing_else() {
        use Augmentation::{FlipHorizontal, FlipVertical, QuarterTurns, Roll};
        assert_eq!(made(&[FlipHorizontal], [1, 3]), [vec![0, 1, 2], vec![2, 1, 0]].into());
        assert_eq!(made(&[FlipVertical], [1, 3]), [vec![0, 1, 2]].into());
        let turns = [vec![0, 1, 2, 3], vec![1, 3, 0, 2], vec![3, 2, 1, 0], vec![2, 0, 3, 1]];
        assert_eq!(made(&[QuarterTurns], [2, 2]), turns.into());
        assert_eq!(made(&[QuarterTurns, FlipHorizontal], [2, 2]).len(), 8);
        assert_eq!(made(&[Roll], [2, 3]).len(), 6);
        assert!(made(&[Roll], [2, 3]).contains(&vec![4, 5, 3, 1, 2, 0]));
        assert_eq!(made(&[], [2, 3]).len(), 1);
    }
}
