//! Which times a sampler visits: descending lists out of 0 to T-1.

use ablate::settings::Spacing;

/// Returns `count` times out of `timesteps`, noisiest first; `count` is from 1 to `timesteps`.
pub fn times(spacing: Spacing, timesteps: usize, count: usize) -> Vec<usize> {
    match spacing {
        Spacing::Trailing => trailing(timesteps, count),
        Spacing::Leading => leading(timesteps, count, 0),
        Spacing::Linspace => linspace(timesteps, count),
    }
}

/// Returns every T/N-th time from T-1 downwards, positions rounded (Lin et al. 2023, table 2).
pub fn trailing(timesteps: usize, count: usize) -> Vec<usize> {
    let interval = timesteps as f64 / count as f64;
    (0..count).map(|i| round(timesteps as f64 - i as f64 * interval) - 1).collect()
}

/// Returns the multiples of floor(T/N) below T, each raised by `offset` (Song, Meng & Ermon 2020 with 0).
pub fn leading(timesteps: usize, count: usize, offset: usize) -> Vec<usize> {
    let interval = timesteps / count;
    (0..count).rev().map(|i| i * interval + offset).collect()
}

/// Returns the times from T-1 to 0 in equal steps, rounded; time 0 alone for one step.
pub fn linspace(timesteps: usize, count: usize) -> Vec<usize> {
    let interval = (timesteps - 1) as f64 / count.saturating_sub(1).max(1) as f64;
    (0..count).rev().map(|i| round(i as f64 * interval)).collect()
}

/// Rounds halves to even, as NumPy does, so that lists agree with those of other libraries.
fn round(x: f64) -> usize {
    x.round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spacing_descends_within_range_and_has_the_length_asked_for() {
        for &spacing in Spacing::ALL {
            for (timesteps, count) in
                [(1000, 1), (1000, 7), (1000, 999), (1000, 1000), (10, 10), (2, 1)]
            {
                let list = times(spacing, timesteps, count);
                assert_eq!(list.len(), count);
                let falls = list.windows(2).all(|pair| pair[0] > pair[1]);
                assert!(falls && list[0] < timesteps, "{spacing:?} {timesteps}/{count}: {list:?}");
            }
        }
    }

    #[test]
    fn ten_of_a_thousand_are_those_that_the_settings_promise() {
        let ends = |spacing| {
            let list = times(spacing, 1000, 10);
            (list[0], list[1], list[9])
        };
        assert_eq!(ends(Spacing::Trailing), (999, 899, 99));
        assert_eq!(ends(Spacing::Leading), (900, 800, 0));
        assert_eq!(ends(Spacing::Linspace), (999, 888, 0));
    }
}
