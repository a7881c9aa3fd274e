//! Which cells of a column are the best, as far as their seeds tell.

use super::cell::Cell;
use crate::job::Better;
use crate::statistics::{holm, welch_p};

/// Below this number of seeds nothing is tested: nobody knows the spread of so few.
pub(super) const FEWEST: usize = 5;

/// How likely a difference may be of none, to be called one.
const ALPHA: f64 = 0.05;

/// What a cell is among those of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// Nothing is said of it.
    #[default]
    None,
    /// The best mean, or one that the test does not tell from it.
    Best,
    /// The best mean of those that are worse.
    Next,
}

/// The marks of a column, and whether they rest on a test. Welch's t-test compares each cell with the one of the best
/// mean, corrected for their number by Holm (1979).
pub(super) fn marks(cells: &[&Cell], better: Better) -> (Vec<Mark>, bool) {
    let mut marks = vec![Mark::None; cells.len()];
    let sign = match better {
        Better::Lower => 1.0,
        Better::Higher => -1.0,
        Better::Neither => return (marks, false),
    };
    let mut order: Vec<(usize, f64)> = cells
        .iter()
        .enumerate()
        .filter_map(|(i, cell)| Some((i, sign * cell.mean()?)))
        .filter(|(_, mean)| mean.is_finite())
        .collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let Some(&(best, least)) = order.first() else { return (marks, false) };
    // Where all are equal none is the best.
    if order.iter().all(|(_, mean)| *mean == least) {
        return (marks, false);
    }
    marks[best] = Mark::Best;
    let enough = |i: usize| cells[i].n() >= FEWEST;
    let others: Vec<usize> =
        order[1..].iter().map(|(i, _)| *i).filter(|i| enough(*i) && enough(best)).collect();
    if others.is_empty() {
        return (marks, false);
    }
    let base = cells[best].numbers();
    let p = |i: &usize| welch_p(&base, &cells[*i].numbers()).unwrap_or(1.0);
    let adjusted = holm(&others.iter().map(p).collect::<Vec<_>>());
    let mut next = None;
    for (i, p) in others.into_iter().zip(adjusted) {
        match p <= ALPHA {
            true => next = next.or(Some(i)),
            false => marks[i] = Mark::Best,
        }
    }
    if let Some(next) = next {
        marks[next] = Mark::Next;
    }
    (marks, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(values: &[f64]) -> Cell {
        let values = values.iter().enumerate().map(|(i, v)| (i as u64, *v)).collect();
        Cell { values, missing: 0, failed: 0 }
    }

    fn marked(rows: &[&[f64]], better: Better) -> (Vec<Mark>, bool) {
        let cells: Vec<Cell> = rows.iter().map(|row| cell(row)).collect();
        marks(&cells.iter().collect::<Vec<_>>(), better)
    }

    const A: [f64; 5] = [1.0, 1.1, 0.9, 1.05, 0.95];
    const B: [f64; 5] = [1.05, 1.1, 0.95, 1.08, 0.93];
    const C: [f64; 5] = [2.0, 2.1, 1.9, 2.05, 1.95];
    const D: [f64; 5] = [3.0, 3.1, 2.9, 3.05, 2.95];

    #[test]
    fn what_the_test_does_not_tell_apart_is_best_together_and_the_next_is_worse() {
        let (marks, tested) = marked(&[&D, &B, &A, &C], Better::Lower);
        assert_eq!(marks, [Mark::None, Mark::Best, Mark::Best, Mark::Next]);
        assert!(tested);
        let (marks, _) = marked(&[&D, &B, &A, &C], Better::Higher);
        assert_eq!(marks, [Mark::Best, Mark::None, Mark::None, Mark::Next]);
    }

    #[test]
    fn few_seeds_are_not_tested() {
        let (marks, tested) = marked(&[&D[..4], &B[..4], &A[..4]], Better::Lower);
        assert_eq!((marks, tested), (vec![Mark::None, Mark::None, Mark::Best], false));
        // A row of few seeds among others is neither as good nor worse.
        let (marks, tested) = marked(&[&A, &B[..2], &C], Better::Lower);
        assert_eq!((marks, tested), (vec![Mark::Best, Mark::None, Mark::Next], true));
    }

    #[test]
    fn equal_columns_and_those_without_a_direction_have_no_best() {
        assert_eq!(marked(&[&[1.0], &[1.0]], Better::Lower).0, [Mark::None; 2]);
        assert_eq!(marked(&[&A, &C], Better::Neither).0, [Mark::None; 2]);
        assert_eq!(marked(&[&[f64::NAN], &[1.0], &[2.0]], Better::Lower).0[1], Mark::Best);
    }
}
