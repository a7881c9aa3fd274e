//! Between physical values and what a network sees: fitted on the train split, and inverted after
//! sampling, clamped to the range of that split so that no runaway pixel spoils a spectrum.

use ablate::settings::Transform;
use serde::{Deserialize, Serialize};

/// A fitted transform: `y = (f(x) - shift) / scale`, f the logarithm to base 10 or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// Whether the logarithm is taken.
    pub log10: bool,
    /// Subtracted after that.
    pub shift: f64,
    /// Divided by after that.
    pub scale: f64,
    /// Smallest value that the train split shows a network.
    pub low: f64,
    /// Largest value that the train split shows a network.
    pub high: f64,
}

/// Running statistics of values.
#[derive(Debug, Clone, Copy)]
pub struct Statistics {
    count: f64,
    mean: f64,
    squares: f64,
    low: f64,
    high: f64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { count: 0.0, mean: 0.0, squares: 0.0, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Statistics {
    /// Takes one more value (Welford 1962).
    pub fn add(&mut self, x: f64) {
        self.count += 1.0;
        let step = x - self.mean;
        self.mean += step / self.count;
        self.squares += step * (x - self.mean);
        self.low = self.low.min(x);
        self.high = self.high.max(x);
    }

    /// Takes the values of another, as if they had come after these (Chan, Golub & LeVeque 1979).
    pub fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if other.count == 0.0 {
            return;
        }
        let apart = other.mean - self.mean;
        self.mean += apart * other.count / count;
        self.squares += other.squares + apart * apart * self.count * other.count / count;
        self.count = count;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }

    /// The mean so far.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The standard deviation so far, with n in the denominator.
    pub fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }
}

impl Fitted {
    /// Whether it is that of bytes, so that values are pixels of images.
    pub fn is_image(&self) -> bool {
        (self.log10, self.shift, self.scale) == (false, 127.5, 127.5)
    }

    /// Fits a transform; `seen` are statistics of the train split, after the logarithm if the transform takes it.
    pub fn new(transform: Transform, seen: &Statistics) -> Self {
        let (shift, scale) = match transform {
            Transform::LogZScore | Transform::ZScore => (seen.mean(), seen.deviation()),
            Transform::LogMinMax | Transform::MinMax => {
                ((seen.low + seen.high) / 2.0, (seen.high - seen.low) / 2.0)
            }
            Transform::Bytes => (127.5, 127.5),
        };
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let (low, high) = match transform {
            Transform::Bytes => (-1.0, 1.0),
            _ => ((seen.low - shift) / scale, (seen.high - shift) / scale),
        };
        Self { log10: transform.takes_log(), shift, scale, low, high }
    }

    /// Physical to seen.
    pub fn forward(&self, x: f32) -> f32 {
        let x = f64::from(x);
        let x = if self.log10 { x.log10() } else { x };
        ((x - self.shift) / self.scale) as f32
    }

    /// Seen to physical, and whether the value had to be clamped.
    pub fn inverse(&self, y: f32) -> (f32, bool) {
        let y = f64::from(y);
        let kept = y.clamp(self.low, self.high);
        let x = kept * self.scale + self.shift;
        ((if self.log10 { 10_f64.powf(x) } else { x }) as f32, kept != y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_parts_together_are_those_of_the_whole() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i * i % 37)).collect();
        let of = |values: &[f64]| {
            let mut seen = Statistics::default();
            values.iter().for_each(|x| seen.add(*x));
            seen
        };
        let mut parts = Statistics::default();
        values.chunks(7).for_each(|part| parts.merge(&of(part)));
        let whole = of(&values);
        assert!((parts.mean() - whole.mean()).abs() < 1e-12);
        assert!((parts.deviation() - whole.deviation()).abs() < 1e-12);
        assert_eq!((parts.low, parts.high, parts.count), (whole.low, whole.high, whole.count));
    }

    #[test]
    fn every_transform_comes_back_and_clamps_beyond_the_train_split() {
        for transform in Transform::ALL {
            let values = [1.0, 20.0, 255.0, 4.0];
            let mut seen = Statistics::default();
            values
                .iter()
                .for_each(|x: &f64| seen.add(if transform.takes_log() { x.log10() } else { *x }));
            let fitted = Fitted::new(*transform, &seen);
            for x in values {
                let (back, clamped) = fitted.inverse(fitted.forward(x as f32));
                assert!((f64::from(back) / x - 1.0).abs() < 1e-5, "{transform:?} {x} {back}");
                assert!(!clamped || (x == 1.0 || x == 255.0));
            }
            assert!(fitted.inverse(1e6).1);
            assert!(fitted.inverse(f32::INFINITY).0.is_finite());
        }
    }
}
