//! What a few numbers say about their mean. Pure.

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

/// The mean of numbers with its 95 % interval by Student's t; `None` of none.
pub fn interval(values: &[f64]) -> Option<Interval> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let half_width = (n > 1).then(|| {
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        t_975(n - 1) * (squares / (n - 1) as f64 / n as f64).sqrt()
    });
    Some(Interval { mean, half_width, n })
}

/// The 97.5 % quantile of Student's t: exact for 1 and 2 degrees of freedom, else the expansion of
/// Abramowitz & Stegun 26.7.5, to 1e-3 of the value.
fn t_975(freedom: usize) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    let z = |power: i32| Z.powi(power);
    let v = freedom as f64;
    match freedom {
        0 | 1 => 12.706_204_736_432_1,
        2 => 4.302_652_729_911_27,
        _ => {
            let terms = [
                (z(3) + z(1)) / 4.0,
                (5.0 * z(5) + 16.0 * z(3) + 3.0 * z(1)) / 96.0,
                (3.0 * z(7) + 19.0 * z(5) + 17.0 * z(3) - 15.0 * z(1)) / 384.0,
                (79.0 * z(9) + 776.0 * z(7) + 1482.0 * z(5) - 1920.0 * z(3) - 945.0 * z(1))
                    / 92160.0,
            ];
            Z + terms.iter().zip(1..).map(|(term, power)| term / v.powi(power)).sum::<f64>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_that_of_the_tables() {
        // Abramowitz & Stegun, table 26.10.
        for (freedom, want) in
            [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)]
        {
            let t = t_975(freedom);
            assert!((t - want).abs() < 1.5e-3 * want, "{freedom}: {t}");
        }
    }

    #[test]
    fn an_interval_knows_whether_its_sign_is_known() {
        let sure = interval(&[1.0, 1.1, 0.9]).unwrap();
        assert!((sure.mean - 1.0).abs() < 1e-12 && !sure.straddles_zero());
        // 4.303 × 0.1 / √3.
        assert!((sure.half_width.unwrap() - 0.2484).abs() < 1e-3);
        assert!(interval(&[1.0, -0.5, 0.2]).unwrap().straddles_zero());
        assert!(interval(&[1.0]).unwrap().straddles_zero(), "one number says nothing of its error");
        assert_eq!(interval(&[]), None);
    }
}
