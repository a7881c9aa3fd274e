//! Settings of evaluate nodes: one measure each.

use super::reference::Reference;
use super::table::{choice, kinds, table};

table! {
    /// Applies one measure to samples, beside a reference.
    pub struct Evaluate {
        #[doc = "The samples: a sample node, or a dataset port for the floor row."]
        samples: Reference;
        #[doc = "What they are compared with; the test split of a dataset unless a port says otherwise."]
        reference: Reference;
        #[doc = "The measure."]
        measure: Measure;
    }
}

kinds! {
    /// The measures.
    pub enum Measure {
        /// Power spectrum of the overdensity.
        PowerSpectrum(PowerSpectrum) = "power_spectrum",
        /// Distribution of the values of single pixels.
        OnePoint(OnePoint) = "one_point",
    }
}

impl Measure {
    /// The names of the metrics that the measure publishes.
    pub fn metrics(&self) -> &'static [&'static str] {
        match self {
            Self::PowerSpectrum(_) => &["error", "floor", "max_deviation"],
            Self::OnePoint(_) => {
                &["distance", "floor", "ks", "mean", "deviation", "skewness", "kurtosis"]
            }
        }
    }

    /// Whether the smaller value of a metric is the better one; `None` if it only describes.
    pub fn smaller_is_better(&self, metric: &str) -> Option<bool> {
        match self {
            Self::PowerSpectrum(_) => ["error", "max_deviation"].contains(&metric).then_some(true),
            Self::OnePoint(_) => ["distance", "ks"].contains(&metric).then_some(true),
        }
    }
}

table! {
    /// Mean power spectrum with its 16-84 % band, and the mean relative error against the reference
    /// beside the leave-one-out floor of the reference itself. Linear overdensity, each map by its own mean.
    pub struct PowerSpectrum {
        #[doc = "How wave numbers fall into bins, in units of the fundamental one."]
        binning: Binning = Binning::Round;
    }
}

table! {
    /// How often each value occurs among all pixels: the area between the cumulative distributions of
    /// samples and reference (`distance`, first Wasserstein), beside the `floor` of the reference itself, their
    /// largest difference (`ks`, Kolmogorov-Smirnov), and the moments of the samples.
    pub struct OnePoint {
        #[doc = "Values or their decimal logarithms; by default logarithms where the network of the samples saw them."]
        space: Option<Space>;
    }
}

choice! {
    /// In which form values are compared.
    pub enum Space {
        #[doc = "As they are."]
        Linear = "linear",
        #[doc = "Their decimal logarithms; of positive values."]
        Log = "log",
    }
}

choice! {
    /// Bin n of a wave number k, in units of the fundamental one.
    pub enum Binning {
        #[doc = "n - 1/2 <= k < n + 1/2."]
        Round = "round",
        #[doc = "n <= k < n + 1."]
        Floor = "floor",
        #[doc = "n - 1 < k <= n."]
        Ceil = "ceil",
    }
}
