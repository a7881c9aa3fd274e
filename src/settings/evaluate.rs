//! Settings of evaluate nodes: one measure each.

use super::reference::Reference;
use super::sample::Weights;
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
        /// Distances between the features that a classifier sees in images.
        Features(Features) = "features",
        /// How often a classifier sees the class that was asked for.
        Accuracy(Accuracy) = "accuracy",
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
            Self::Features(_) => &[
                "frechet",
                "frechet_floor",
                "kid",
                "kid_deviation",
                "precision",
                "recall",
                "density",
                "coverage",
                "items",
            ],
            Self::Accuracy(_) => &["accuracy", "ceiling"],
        }
    }

    /// Whether the smaller value of a metric is the better one; `None` if it only describes.
    pub fn smaller_is_better(&self, metric: &str) -> Option<bool> {
        match self {
            Self::PowerSpectrum(_) => ["error", "max_deviation"].contains(&metric).then_some(true),
            Self::OnePoint(_) => ["distance", "ks"].contains(&metric).then_some(true),
            Self::Features(_) => match metric {
                "frechet" | "kid" => Some(true),
                "precision" | "recall" | "density" | "coverage" => Some(false),
                _ => None,
            },
            Self::Accuracy(_) => (metric == "accuracy").then_some(false),
        }
    }
}

impl Measure {
    /// What the measure reads beside samples and reference: the name of the setting, and what it says.
    pub fn judge(&self) -> Option<(&'static str, &Reference)> {
        match self {
            Self::Features(Features { classifier, .. })
            | Self::Accuracy(Accuracy { classifier, .. }) => Some(("classifier", classifier)),
            Self::PowerSpectrum(_) | Self::OnePoint(_) => None,
        }
    }

    /// Which weights of the classifier are read.
    pub fn weights(&mut self) -> Option<&mut Option<Weights>> {
        match self {
            Self::Features(Features { weights, .. }) | Self::Accuracy(Accuracy { weights, .. }) => {
                Some(weights)
            }
            Self::PowerSpectrum(_) | Self::OnePoint(_) => None,
        }
    }
}

table! {
    /// Fréchet distance (Heusel et al. 2017), kernel distance (Bińkowski et al. 2018), precision and recall
    /// (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of the features that a classifier of the
    /// same data sees in samples and reference. Comparable for one classifier and one number of items alone.
    pub struct Features {
        #[doc = "The train node of the classifier."]
        classifier: Reference;
        #[doc = "Which weights of the classifier; by default as for samples."]
        weights: Option<Weights>;
        #[doc = "Neighbours that span the manifold, for precision and recall."]
        neighbours: u64 [1.0..=100.0] = 3;
        #[doc = "Neighbours that span the manifold, for density and coverage."]
        density_neighbours: u64 [1.0..=100.0] = 5;
    }
}

table! {
    /// Share of the samples in which a classifier sees the class that was asked for, and its `ceiling`: the
    /// same of the reference with its true classes.
    pub struct Accuracy {
        #[doc = "The train node of the classifier."]
        classifier: Reference;
        #[doc = "Which weights of the classifier; by default as for samples."]
        weights: Option<Weights>;
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
