//! The values of one metric over seeds, and what they say.

use crate::statistics::{interval, mean, standard_deviation};
use std::collections::BTreeMap;

/// The values of one metric over seeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// Value by seed.
    pub values: BTreeMap<u64, f64>,
    /// Seeds whose value is not there (yet).
    pub missing: usize,
    /// How many of them failed.
    pub failed: usize,
}

/// What stands behind ±.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spread {
    /// The sample standard deviation over seeds (n - 1).
    #[default]
    Deviation,
    /// The standard error of their mean.
    Error,
    /// Half the 95 % interval of their mean by Student's t.
    Interval,
}

impl Spread {
    /// Its name in sentences.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Deviation => "sample standard deviation",
            Self::Error => "standard error of the mean",
            Self::Interval => "half the 95 % interval of the mean by Student's t",
        }
    }
}

impl Cell {
    /// How many seeds have a value.
    pub fn n(&self) -> usize {
        self.values.len()
    }

    /// The values in the order of the seeds.
    pub fn numbers(&self) -> Vec<f64> {
        self.values.values().copied().collect()
    }

    /// The mean over seeds.
    pub fn mean(&self) -> Option<f64> {
        mean(&self.numbers())
    }

    /// What is written behind ±, from two seeds on.
    pub fn spread(&self, spread: Spread) -> Option<f64> {
        let numbers = self.numbers();
        match spread {
            Spread::Deviation => standard_deviation(&numbers),
            Spread::Error => Some(standard_deviation(&numbers)? / (numbers.len() as f64).sqrt()),
            Spread::Interval => interval(&numbers)?.half_width,
        }
    }

    /// Differences to another cell, seed by seed.
    pub fn minus(&self, other: &Self) -> Vec<f64> {
        self.values
            .iter()
            .filter_map(|(seed, value)| Some(value - other.values.get(seed)?))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_what_it_is_called() {
        let values = [1.0, 2.0, 4.0].into_iter().enumerate().map(|(i, v)| (i as u64, v)).collect();
        let cell = Cell { values, missing: 0, failed: 0 };
        let is = |spread, want: f64| {
            let found = cell.spread(spread).unwrap();
            assert!((found - want).abs() < 1e-9, "{spread:?}: {found}");
        };
        is(Spread::Deviation, 1.527_525_231_65);
        is(Spread::Error, 0.881_917_103_69);
        // 4.302 652 729 9 s/√3.
        is(Spread::Interval, 3.794_583_034_53);
        assert_eq!(Cell::default().mean(), None);
        assert_eq!(Cell::default().spread(Spread::Deviation), None);
    }
}
