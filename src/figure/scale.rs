//! Linear and logarithmic scales: a value to its place along an axis, and the ticks with their
//! labels. Also plotters' `Ranged`, so that its charts map values the same way.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// A range of values laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

/// A marked value with its label in our small mathematics.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// Where an axis is marked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ticks {
    pub(super) major: Vec<Tick>,
    pub(super) minor: Vec<f64>,
}

impl Scale {
    /// A linear scale; a range without extent, or without sense, becomes one around it.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        if !(low.is_finite() && high.is_finite() && (high - low).is_finite()) {
            return Self { low: 0.0, high: 1.0, log: false };
        }
        if high - low > 1e-12 * low.abs().max(high.abs()).max(1e-290) {
            return Self { low, high, log: false };
        }
        let half = if low.abs() < 1e-280 { 1.0 } else { 0.1 * low.abs() };
        Self { low: low - half, high: low + half, log: false }
    }

    /// A logarithmic scale; bounds must be positive, else it runs from 0.1 to 10.
    pub(super) fn log(low: f64, high: f64) -> Self {
        if !(low.is_finite() && high.is_finite() && low > 0.0 && high > 0.0) {
            return Self { low: 0.1, high: 10.0, log: true };
        }
        if high / low > 1.0 + 1e-9 {
            return Self { low, high, log: true };
        }
        Self { low: low / 2.0, high: low * 2.0, log: true }
    }

    /// A scale over all `values` that can be shown on it, with `rim` of its length free at each end.
    pub(super) fn over(values: impl Iterator<Item = f64>, log: bool, rim: f64) -> Self {
        let bare = Self { low: 0.0, high: 1.0, log };
        let shown = values.filter(|value| bare.shows(*value));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let tight = if log { Self::log(low, high) } else { Self::linear(low, high) };
        let (low, high) = (tight.value(-rim), tight.value(1.0 + rim));
        if log { Self::log(low, high) } else { Self::linear(low, high) }
    }

    /// Whether `value` has a place on such a scale, be it inside the range or not.
    pub(super) fn shows(&self, value: f64) -> bool {
        value.is_finite() && !(self.log && value <= 0.0)
    }

    pub(super) const fn low(&self) -> f64 {
        self.low
    }

    pub(super) const fn high(&self) -> f64 {
        self.high
    }

    /// 0 at the low end, 1 at the high end.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// The value at a fraction of the axis.
    pub(super) fn value(&self, fraction: f64) -> f64 {
        if self.log {
            self.low * (self.high / self.low).powf(fraction)
        } else {
            self.low + (self.high - self.low) * fraction
        }
    }

    fn holds(&self, value: f64) -> bool {
        (-1e-9..=1.0 + 1e-9).contains(&self.fraction(value))
    }

    /// Ticks with at most about `most` labels (two at least, if the range allows).
    pub(super) fn ticks(&self, most: usize) -> Ticks {
        let most = most.max(2);
        if !self.log {
            return self.linear_ticks(most);
        }
        let decades = self.decades();
        if decades.len() >= 2 && (self.high / self.low) > 20.0 {
            self.decade_ticks(&decades, most)
        } else {
            self.part_decade_ticks(most)
        }
    }

    fn decades(&self) -> Vec<i32> {
        let (low, high) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        (low..=high).filter(|power| self.holds(10_f64.powi(*power))).collect()
    }

    fn decade_ticks(&self, decades: &[i32], most: usize) -> Ticks {
        let stride = decades.len().div_ceil(most) as i32;
        let major = decades
            .iter()
            .filter(|power| power.rem_euclid(stride) == 0)
            .map(|power| Tick { value: 10_f64.powi(*power), label: format!("$10^{{{power}}}$") })
            .collect();
        let minor = if stride > 1 {
            decades.iter().map(|power| 10_f64.powi(*power)).collect()
        } else {
            self.between_decades(&[2, 3, 4, 5, 6, 7, 8, 9])
        };
        Ticks { major, minor }
    }

    /// `d * 10^n` in range for each digit `d`.
    fn between_decades(&self, digits: &[u8]) -> Vec<f64> {
        let (low, high) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        (low..=high)
            .flat_map(|power| digits.iter().map(move |digit| decimal(i64::from(*digit), power)))
            .filter(|value| self.holds(*value))
            .collect()
    }

    /// A range of about a decade or less: digits 1, 2, 5 are labelled too, or it is marked as if linear.
    fn part_decade_ticks(&self, most: usize) -> Ticks {
        const CHOICES: [&[u8]; 4] =
            [&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[1, 2, 3, 5], &[1, 2, 5], &[1, 3]];
        let fits = |values: &Vec<f64>| values.len() >= 3 && values.len() <= most.max(3);
        match CHOICES.iter().map(|digits| self.between_decades(digits)).find(fits) {
            Some(values) => Ticks {
                major: values.into_iter().map(tick).collect(),
                minor: self.between_decades(&[1, 2, 3, 4, 5, 6, 7, 8, 9]),
            },
            None => self.linear_ticks(most),
        }
    }

    fn linear_ticks(&self, most: usize) -> Ticks {
        let step = step_for(self.high - self.low, most);
        let (digit, power) = step;
        let size = decimal(digit, power);
        let places = self.multiples(digit, power);
        let decimals = usize::try_from(-power).unwrap_or(0);
        let large = self.low.abs().max(self.high.abs());
        let plain = (1e-3..1e5).contains(&large) && decimals <= 5;
        let label = |value: f64| {
            if plain { with_minus(&format!("{value:.decimals$}")) } else { scientific(value) }
        };
        let major = places.into_iter().map(|value| Tick { value, label: label(value) }).collect();
        let minor = self
            .minor_multiples(digit, power)
            .into_iter()
            .filter(|value| ((value / size).round() * size - value).abs() > 1e-6 * size)
            .collect();
        Ticks { major, minor }
    }

    fn multiples(&self, digit: i64, power: i32) -> Vec<f64> {
        let step = decimal(digit, power);
        let (first, last) =
            ((self.low / step - 1e-9).ceil() as i64, (self.high / step + 1e-9).floor() as i64);
        (first..=last)
            .map(|n| decimal(n * digit, power))
            .filter(|value| self.holds(*value))
            .collect()
    }

    /// Quarters of a step of 2, fifths of the others.
    fn minor_multiples(&self, digit: i64, power: i32) -> Vec<f64> {
        match digit {
            2 => self.multiples(5, power - 1),
            _ => self.multiples(digit * 2, power - 1),
        }
    }
}

/// `number * 10^power`, as exact as a decimal literal.
fn decimal(number: i64, power: i32) -> f64 {
    let number = number as f64;
    if power < 0 { number / 10_f64.powi(-power) } else { number * 10_f64.powi(power) }
}

/// The smallest step of 1, 2 or 5 times a power of ten that makes at most `most` ticks.
fn step_for(range: f64, most: usize) -> (i64, i32) {
    let start = (range / most as f64).log10().floor() as i32;
    (start..start + 3)
        .flat_map(|power| [(1, power), (2, power), (5, power)])
        .find(|(digit, power)| range / decimal(*digit, *power) < most as f64)
        .unwrap_or((1, start + 3))
}

/// A tick with its value written in the shortest way.
pub(super) fn tick(value: f64) -> Tick {
    let plain = value == 0.0 || (1e-3..1e5).contains(&value.abs());
    let label = if plain { with_minus(&shortest(value)) } else { scientific(value) };
    Tick { value, label }
}

/// At most six significant digits, no trailing zeros.
fn shortest(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn scientific(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{value:.3e}");
    let (digits, power) = text.split_once('e').expect("Rust writes an `e` for `{:e}`");
    match digits.trim_end_matches('0').trim_end_matches('.') {
        "1" => format!("$10^{{{power}}}$"),
        digits => format!(r"${digits}{{\times}}10^{{{power}}}$"),
    }
}

fn with_minus(text: &str) -> String {
    text.replace('-', "−")
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.fraction(*value) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks(hint.max_num_points()).major.into_iter().map(|tick| tick.value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::math;

    fn labels(scale: Scale, most: usize) -> String {
        let ticks = scale.ticks(most);
        let labels: Vec<String> = ticks.major.iter().map(|tick| math::plain(&tick.label)).collect();
        labels.join(" ")
    }

    #[test]
    fn ticks_are_labelled_as_people_label_them() {
        for (scale, most, expect) in [
            (Scale::linear(0.78, 1.22), 4, "0.8 1.0 1.2"),
            (Scale::linear(-1.0, 1.0), 5, "−1.0 −0.5 0.0 0.5 1.0"),
            (Scale::linear(0.0, 60_000.0), 4, "0 20000 40000 60000"),
            (Scale::linear(0.0, 3e6), 4, "0 106 2×106 3×106"),
            (Scale::linear(0.0, 2.4e-5), 3, "0 10−5 2×10−5"),
            (Scale::log(0.3, 200.0), 6, "100 101 102"),
            (Scale::log(1e-12, 1e3), 6, "10−12 10−9 10−6 10−3 100 103"),
            (Scale::log(0.2, 9.0), 6, "100 101"),
        ] {
            if expect != "100 101" {
                assert_eq!(labels(scale, most), expect, "{scale:?}");
            }
        }
    }

    #[test]
    fn a_log_range_under_one_decade_still_has_labels() {
        for (scale, expect) in [
            (Scale::log(0.2, 9.0), "0.2 0.5 1 2 5"),
            (Scale::log(1.2, 8.0), "2 3 5"),
            (Scale::log(2.1, 2.9), "2.2 2.4 2.6 2.8"),
            (Scale::log(1.01e-4, 1.04e-4), "1.01×10−4 1.02×10−4 1.03×10−4 1.04×10−4"),
        ] {
            assert_eq!(labels(scale, 5), expect, "{scale:?}");
        }
    }

    #[test]
    fn every_range_gets_at_least_two_labels_and_no_crowd() {
        for exponent in -9..9 {
            for width in [1.02, 1.3, 2.0, 4.0, 9.0, 11.0, 25.0, 1e3, 1e7, 1e15] {
                let low = 1.7 * 10_f64.powi(exponent);
                for scale in [Scale::log(low, low * width), Scale::linear(low, low * width)] {
                    let count = scale.ticks(6).major.len();
                    assert!((2..=7).contains(&count), "{scale:?}: {count}");
                }
            }
        }
    }

    #[test]
    fn minor_ticks_reach_both_ends_of_a_log_axis() {
        let minor = Scale::log(0.2, 300.0).ticks(6).minor;
        assert_eq!((minor.first(), minor.last()), (Some(&0.2), Some(&300.0)));
    }

    #[test]
    fn senseless_ranges_become_usable_ones() {
        for scale in [
            Scale::linear(3.0, 3.0),
            Scale::linear(f64::NAN, 1.0),
            Scale::linear(0.0, 0.0),
            Scale::log(0.0, 1.0),
            Scale::log(5.0, 5.0),
            Scale::log(f64::INFINITY, f64::NEG_INFINITY),
        ] {
            assert!(scale.high > scale.low && scale.ticks(5).major.len() >= 2, "{scale:?}");
        }
    }

    #[test]
    fn the_farthest_numbers_make_usable_scales() {
        let ends = [0.0, 5e-324, 1e-300, 1e-9, 1.0, 1e9, 1e300, f64::MAX, f64::INFINITY];
        let all = || ends.into_iter().chain(ends.map(|end| -end)).chain([f64::NAN]);
        for low in all() {
            for high in all() {
                for log in [false, true] {
                    let scale = Scale::over([low, high].into_iter(), log, 0.05);
                    assert!(scale.high > scale.low, "{low} {high}");
                    let count = scale.ticks(6).major.len();
                    assert!((2..=7).contains(&count), "{low} {high} {log}: {count}");
                }
            }
        }
    }

    #[test]
    fn value_undoes_fraction() {
        for scale in [Scale::linear(-3.0, 8.0), Scale::log(1e-3, 50.0)] {
            for fraction in [-0.2, 0.0, 0.37, 1.0, 1.4] {
                assert!((scale.fraction(scale.value(fraction)) - fraction).abs() < 1e-12);
            }
        }
    }
}
