//! Boxes and arrows → columns and heights: each box one column right of the last one it reads from
//! (longest path), long arrows threaded through the columns between, boxes ordered by the mean place
//! of their neighbours, heights as near to these as room allows. Knows neither sizes of type nor what
//! boxes hold.

use std::collections::BTreeMap;

/// Where everything stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layout {
    /// For each box, its column.
    pub(super) columns: Vec<usize>,
    /// For each box, the height of its middle.
    pub(super) middles: Vec<f64>,
    /// For each arrow, the height at which it passes each column between its ends, left to right.
    pub(super) bends: Vec<Vec<f64>>,
}

/// Rounds of ordering; the best one is kept.
const ORDERINGS: usize = 24;
/// Rounds of moving boxes towards their neighbours.
const MOVES: usize = 40;
/// The room that a passing arrow takes, as a part of a box's.
const THREAD: f64 = 0.35;

/// Lays boxes out, `room` apart from middle to middle in a column.
pub(super) fn layout(boxes: usize, arrows: &[(usize, usize)], room: f64) -> Layout {
    let columns = longest_paths(boxes, arrows);
    let mut grid = Grid::new(boxes, &columns, arrows);
    grid.order();
    let heights = grid.heights(room);
    Layout {
        bends: grid.threads.iter().map(|t| t.iter().map(|v| heights[*v]).collect()).collect(),
        middles: heights[..boxes].to_vec(),
        columns,
    }
}

/// The column of each box. Arrows that close a circle do not count.
fn longest_paths(boxes: usize, arrows: &[(usize, usize)]) -> Vec<usize> {
    let mut waits = vec![0_usize; boxes];
    let mut users = vec![vec![]; boxes];
    for (from, to) in arrows {
        waits[*to] += 1;
        users[*from].push(*to);
    }
    let mut columns = vec![0; boxes];
    let mut placed = vec![false; boxes];
    let mut ready: Vec<usize> = (0..boxes).rev().filter(|i| waits[*i] == 0).collect();
    loop {
        let next = ready.pop().or_else(|| {
            let rest = (0..boxes).filter(|i| !placed[*i]);
            rest.min_by_key(|i| waits[*i])
        });
        let Some(next) = next else { return columns };
        placed[next] = true;
        for user in users[next].iter().copied().filter(|user| !placed[*user]) {
            columns[user] = columns[user].max(columns[next] + 1);
            waits[user] -= 1;
            if waits[user] == 0 {
                ready.push(user);
            }
        }
        ready.retain(|i| !placed[*i]);
    }
}

/// Boxes and the places where long arrows pass, by column; the first vertices are the boxes.
struct Grid {
    order: Vec<Vec<usize>>,
    /// Neighbours in the column to the left, and to the right.
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
    /// For each arrow, its vertices between its ends.
    threads: Vec<Vec<usize>>,
    boxes: usize,
}

impl Grid {
    fn new(boxes: usize, columns: &[usize], arrows: &[(usize, usize)]) -> Self {
        let widest = columns.iter().max().map_or(0, |last| last + 1);
        let mut order = vec![vec![]; widest];
        (0..boxes).for_each(|i| order[columns[i]].push(i));
        let mut grid = Self {
            order,
            left: vec![vec![]; boxes],
            right: vec![vec![]; boxes],
            threads: vec![],
            boxes,
        };
        let mut shared = BTreeMap::new();
        for (from, to) in arrows {
            grid.thread(*from, *to, columns, &mut shared);
        }
        grid
    }

    /// Leads an arrow through the columns between; arrows out of one box share their way.
    fn thread(
        &mut self,
        from: usize,
        to: usize,
        columns: &[usize],
        shared: &mut BTreeMap<(usize, usize), usize>,
    ) {
        let mut thread = vec![];
        if columns[to] > columns[from] {
            let mut last = from;
            for column in columns[from] + 1..columns[to] {
                let at = *shared.entry((from, column)).or_insert_with(|| {
                    self.left.push(vec![]);
                    self.right.push(vec![]);
                    self.order[column].push(self.left.len() - 1);
                    self.left.len() - 1
                });
                self.join(last, at);
                thread.push(at);
                last = at;
            }
            self.join(last, to);
        }
        self.threads.push(thread);
    }

    fn join(&mut self, left: usize, right: usize) {
        if !self.right[left].contains(&right) {
            self.right[left].push(right);
            self.left[right].push(left);
        }
    }

    /// Orders every column by the mean place of its neighbours, from left to right and back.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.order.clone());
        for round in 0..ORDERINGS {
            let columns: Vec<usize> = match round % 2 {
                0 => (1..self.order.len()).collect(),
                _ => (0..self.order.len().saturating_sub(1)).rev().collect(),
            };
            for column in columns {
                self.order_column(column, round % 2 == 0);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.order.clone());
            }
        }
        self.order = best.1;
    }

    fn order_column(&mut self, column: usize, by_left: bool) {
        let places = self.places();
        let neighbours = if by_left { &self.left } else { &self.right };
        let mean = |vertex: &usize| {
            let near = &neighbours[*vertex];
            let own = places[*vertex];
            let sum: f64 = near.iter().map(|other| places[*other]).sum();
            if near.is_empty() { own } else { sum / near.len() as f64 }
        };
        let mut keyed: Vec<(f64, usize)> =
            self.order[column].iter().map(|v| (mean(v), *v)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.order[column] = keyed.into_iter().map(|(_, vertex)| vertex).collect();
    }

    /// The place of each vertex in its column, from 0 to 1.
    fn places(&self) -> Vec<f64> {
        let mut places = vec![0.0; self.left.len()];
        for column in &self.order {
            for (i, vertex) in column.iter().enumerate() {
                places[*vertex] = (i as f64 + 0.5) / column.len() as f64;
            }
        }
        places
    }

    /// How many pairs of lines cross.
    fn crossings(&self) -> usize {
        let places = self.places();
        let crossings_after = |column: &Vec<usize>| {
            let mut ends: Vec<f64> = vec![];
            let mut crossings = 0;
            for vertex in column {
                let mut targets: Vec<f64> =
                    self.right[*vertex].iter().map(|r| places[*r]).collect();
                targets.sort_by(f64::total_cmp);
                for target in &targets {
                    crossings += ends.len() - ends.partition_point(|end| end <= target);
                }
                ends.extend(targets);
                ends.sort_by(f64::total_cmp);
            }
            crossings
        };
        self.order.iter().map(crossings_after).sum()
    }

    /// The height of each vertex: as near to the mean of its neighbours as order and room allow.
    fn heights(&self, room: f64) -> Vec<f64> {
        let mut heights = vec![0.0; self.left.len()];
        for column in &self.order {
            let wanted = vec![0.0; column.len()];
            self.settle(column, &wanted, room, &mut heights);
        }
        for round in 0..MOVES {
            let columns: Vec<&Vec<usize>> = match round % 2 {
                0 => self.order.iter().collect(),
                _ => self.order.iter().rev().collect(),
            };
            for column in columns {
                let wanted: Vec<f64> = column.iter().map(|v| self.wanted(*v, &heights)).collect();
                self.settle(column, &wanted, room, &mut heights);
            }
        }
        let top = heights.iter().copied().fold(f64::INFINITY, f64::min);
        heights.iter_mut().for_each(|height| *height -= top);
        heights
    }

    fn wanted(&self, vertex: usize, heights: &[f64]) -> f64 {
        let near = || self.left[vertex].iter().chain(&self.right[vertex]);
        match near().count() {
            0 => heights[vertex],
            n => near().map(|other| heights[*other]).sum::<f64>() / n as f64,
        }
    }

    /// The heights nearest to the wanted ones, in the sense of least squares, that keep order and room.
    fn settle(&self, column: &[usize], wanted: &[f64], room: f64, heights: &mut [f64]) {
        let size = |vertex: usize| if vertex < self.boxes { room } else { room * THREAD };
        let mut offsets = vec![0.0; column.len()];
        for i in 1..column.len() {
            offsets[i] = offsets[i - 1] + (size(column[i - 1]) + size(column[i])) / 2.0;
        }
        let freed: Vec<f64> =
            wanted.iter().zip(&offsets).map(|(want, offset)| want - offset).collect();
        for ((vertex, level), offset) in column.iter().zip(ascending(&freed)).zip(offsets) {
            heights[*vertex] = level + offset;
        }
    }
}

/// The ascending sequence nearest to the given one (pool adjacent violators).
fn ascending(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = vec![];
    for value in values {
        pools.push((*value, 1));
        while let [.., (low, n), (high, m)] = pools[..]
            && low / n as f64 > high / m as f64
        {
            pools.truncate(pools.len() - 2);
            pools.push((low + high, n + m));
        }
    }
    pools.iter().flat_map(|(sum, n)| std::iter::repeat_n(sum / *n as f64, *n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_stands_right_of_the_last_one_it_reads_from() {
        let layout = layout(4, &[(0, 1), (1, 2), (2, 3), (0, 3)], 10.0);
        assert_eq!(layout.columns, [0, 1, 2, 3]);
        assert_eq!(layout.bends[3].len(), 2, "the long arrow passes two columns");
    }

    #[test]
    fn a_circle_is_laid_out_all_the_same() {
        let layout = layout(3, &[(0, 1), (1, 2), (2, 0)], 10.0);
        assert_eq!(layout.columns, [0, 1, 2]);
    }

    #[test]
    fn boxes_of_a_column_keep_their_distance() {
        let arrows: Vec<(usize, usize)> = (1..6).map(|i| (0, i)).collect();
        let layout = layout(6, &arrows, 10.0);
        let mut column = layout.middles[1..].to_vec();
        column.sort_by(f64::total_cmp);
        assert!(column.windows(2).all(|pair| pair[1] - pair[0] >= 10.0 - 1e-9), "{column:?}");
        assert!((layout.middles[0] - 20.0).abs() < 1e-6, "the source stands in their middle");
    }

    #[test]
    fn two_crossed_pairs_are_uncrossed() {
        let layout = layout(4, &[(0, 3), (1, 2)], 10.0);
        let (a, b) = (layout.middles[0] - layout.middles[1], layout.middles[3] - layout.middles[2]);
        assert!(a * b > 0.0, "{layout:?}");
    }

    #[test]
    fn the_nearest_ascending_sequence_pools_what_descends() {
        assert_eq!(ascending(&[1.0, 3.0, 2.0, 4.0]), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(ascending(&[3.0, 2.0, 1.0]), [2.0; 3]);
        assert!(ascending(&[]).is_empty());
    }
}
