//! What a few numbers say about their mean. Pure.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean with the half width of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half the width of the interval; `None` for a single number.
    pub half_width: Option<f64>,
    /// How many numbers there are.
    pub n: usize,
}

impl Interval {
    /// Whether zero lies within, so that nobody knows the sign.
    pub fn straddles_zero(&self) -> bool {
        self.half_width.is_none_or(|half| self.mean.abs() <= half)
    }
}

/// The mean of numbers; `None` of none.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation (n - 1), from two numbers on.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let (n, mean) = (values.len(), mean(values)?);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (n > 1).then(|| (squares / (n - 1) as f64).sqrt())
}

/// The mean of numbers with its 95 % interval by Student's t; `None` of none.
pub fn interval(values: &[f64]) -> Option<Interval> {
    let (n, mean) = (values.len(), mean(values)?);
    let deviation = standard_deviation(values);
    let half_width =
        deviation.map(|s| students_t(n as f64 - 1.0).inverse_cdf(0.975) * s / (n as f64).sqrt());
    Some(Interval { mean, half_width, n })
}

/// The two-sided p of Welch's t-test (1947): whether two samples may have one mean. `None` if a sample has no spread
/// of its own, for lack of numbers.
pub fn welch_p(a: &[f64], b: &[f64]) -> Option<f64> {
    let difference = mean(a)? - mean(b)?;
    let error = |values: &[f64]| Some(standard_deviation(values)?.powi(2) / values.len() as f64);
    let (of_a, of_b) = (error(a)?, error(b)?);
    let sum = of_a + of_b;
    if sum == 0.0 {
        return Some(if difference == 0.0 { 1.0 } else { 0.0 });
    }
    let freedom =
        sum.powi(2) / (of_a.powi(2) / (a.len() - 1) as f64 + of_b.powi(2) / (b.len() - 1) as f64);
    let t = difference.abs() / sum.sqrt();
    t.is_finite().then(|| 2.0 * students_t(freedom).sf(t))
}

/// Adjusts p values for their number: a smallest one counts as often as there are any, the next once less (Holm 1979).
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let (mut adjusted, mut most) = (vec![1.0; p.len()], 0.0);
    for (rank, i) in order.into_iter().enumerate() {
        most = f64::max(most, p[i] * (p.len() - rank) as f64).min(1.0);
        adjusted[i] = most;
    }
    adjusted
}

/// Below this number of pairs no test is worth its name: the exact sign-flip test of 4 pairs cannot
/// give a p below 0.125.
pub const FEWEST_PAIRS: usize = 5;

/// The two-sided p of the exact sign-flip test on paired differences, from five pairs on.
pub fn sign_flip_p(differences: &[f64]) -> Option<f64> {
    let n = differences.len();
    if !(FEWEST_PAIRS..=20).contains(&n) {
        return None;
    }
    let observed = differences.iter().sum::<f64>().abs();
    let as_far = (0_u32..1 << n).filter(|signs| {
        let flipped =
            differences.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d });
        flipped.sum::<f64>().abs() >= observed * (1.0 - 1e-12)
    });
    Some(as_far.count() as f64 / f64::from(1_u32 << n))
}

fn students_t(freedom: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom).expect("positive degrees of freedom")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_that_of_the_tables() {
        // Abramowitz & Stegun, table 26.10.
        for (freedom, want) in [
            (1.0, 12.706),
            (2.0, 4.303),
            (3.0, 3.182),
            (4.0, 2.776),
            (9.0, 2.262),
            (30.0, 2.042),
            (120.0, 1.980),
        ] {
            let t = students_t(freedom).inverse_cdf(0.975);
            assert!((t - want).abs() < 5.1e-4, "{freedom}: {t}");
        }
    }

    #[test]
    fn an_interval_knows_whether_its_sign_is_known() {
        let sure = interval(&[1.0, 1.1, 0.9]).unwrap();
        assert!((sure.mean - 1.0).abs() < 1e-12 && !sure.straddles_zero());
        // 4.302 65 × 0.1 / √3.
        assert!((sure.half_width.unwrap() - 0.248_413_8).abs() < 1e-6);
        assert!(interval(&[1.0, -0.5, 0.2]).unwrap().straddles_zero());
        assert!(interval(&[1.0]).unwrap().straddles_zero(), "one number says nothing of its error");
        assert_eq!(interval(&[]), None);
    }

    #[test]
    fn welch_is_that_of_other_programs() {
        // scipy.stats.ttest_ind(a, b, equal_var=False), scipy 1.17.1.
        let a = [0.21, 0.23, 0.2, 0.22, 0.24];
        let b = [0.25, 0.21, 0.27, 0.26, 0.24];
        assert!(
            (welch_p(&a, &b).unwrap() - 0.075_410_831_710_186_84).abs() < 1e-9,
            "{:?}",
            welch_p(&a, &b)
        );
        assert_eq!(welch_p(&[1.0, 1.0], &[1.0, 1.0]), Some(1.0));
        assert_eq!(welch_p(&[1.0, 1.0], &[2.0, 2.0]), Some(0.0));
        assert_eq!(welch_p(&[1.0], &[2.0, 3.0]), None);
    }

    #[test]
    fn holm_steps_down_and_never_back() {
        let adjusted = holm(&[0.04, 0.01, 0.03, 0.005]);
        let want = [0.06, 0.03, 0.06, 0.02];
        assert!(adjusted.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{adjusted:?}");
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn the_sign_flip_test_is_exact() {
        assert_eq!(sign_flip_p(&[1.0, 2.0, 3.0, 4.0]), None);
        assert_eq!(sign_flip_p(&[1.0, 2.0, 3.0, 4.0, 5.0]), Some(2.0 / 32.0));
        assert_eq!(sign_flip_p(&[1.0, -1.0, 1.0, -1.0, 0.0]), Some(1.0));
    }
}
