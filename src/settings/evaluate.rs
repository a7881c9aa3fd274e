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
        /// Covariance of the power spectrum from map to map.
        Covariance(Covariance) = "covariance",
        /// Waves that samples share with the reference, map by map.
        CrossSpectrum(CrossSpectrum) = "cross_spectrum",
        /// Equilateral triangles of waves.
        Bispectrum(Bispectrum) = "bispectrum",
        /// Distribution of the values of single pixels.
        OnePoint(OnePoint) = "one_point",
        /// Numbers of peaks and minima.
        Peaks(Peaks) = "peaks",
        /// Area, border and curvature of what lies above thresholds.
        Minkowski(Minkowski) = "minkowski",
        /// Whether samples are copies of what was trained on.
        Memorisation(Memorisation) = "memorisation",
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
            Self::PowerSpectrum(_) => &[
                "error",
                "error_deviation",
                "floor",
                "max_deviation",
                "chi_squared",
                "chi_squared_floor",
                "mean_ratio",
            ],
            Self::Covariance(_) => &[
                "variance_error",
                "variance_floor",
                "variance_ratio",
                "correlation_error",
                "correlation_floor",
                "hartlap",
            ],
            Self::CrossSpectrum(_) => &["correlation", "correlation_deviation", "transfer_error"],
            Self::Bispectrum(_) => &["error", "error_deviation", "floor"],
            Self::Peaks(_) => &["error", "error_deviation", "floor", "peaks", "minima"],
            Self::Minkowski(_) => &[
                "error",
                "error_deviation",
                "floor",
                "area_error",
                "border_error",
                "curvature_error",
            ],
            Self::Memorisation(_) => &["copies", "nearness", "nearness_floor", "items"],
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
            Self::Covariance(_) => {
                ["variance_error", "correlation_error"].contains(&metric).then_some(true)
            }
            Self::CrossSpectrum(_) => match metric {
                "correlation" => Some(false),
                "transfer_error" => Some(true),
                _ => None,
            },
            Self::Bispectrum(_) | Self::Peaks(_) => (metric == "error").then_some(true),
            Self::Minkowski(_) => ["error", "area_error", "border_error", "curvature_error"]
                .contains(&metric)
                .then_some(true),
            Self::Memorisation(_) => (metric == "copies").then_some(true),
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
            _ => None,
        }
    }

    /// What compares items with a box, whose wave numbers have a unit.
    pub fn needs_box(&self) -> bool {
        matches!(
            self,
            Self::PowerSpectrum(_)
                | Self::Covariance(_)
                | Self::CrossSpectrum(_)
                | Self::Bispectrum(_)
        )
    }

    /// In which form values are compared, where the data decide that unless it is written.
    pub fn space(&mut self) -> Option<&mut Option<Space>> {
        match self {
            Self::OnePoint(OnePoint { space })
            | Self::Peaks(Peaks { space })
            | Self::Minkowski(Minkowski { space })
            | Self::Memorisation(Memorisation { space }) => Some(space),
            _ => None,
        }
    }

    /// The split of the reference that is read unless another is named.
    pub fn split(&self) -> &'static str {
        if matches!(self, Self::Memorisation(_)) { "train" } else { "test" }
    }

    /// Which weights of the classifier are read.
    pub fn weights(&mut self) -> Option<&mut Option<Weights>> {
        match self {
            Self::Features(Features { weights, .. }) | Self::Accuracy(Accuracy { weights, .. }) => {
                Some(weights)
            }
            _ => None,
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
    /// Mean power spectrum with its 16-84 % band, and its mean relative `error` against the reference
    /// beside the leave-one-out `floor` of the reference itself, and by how much the error varies when simulations are
    /// drawn again (`error_deviation`). `chi_squared` is the mean over samples of the reduced chi-squared about the
    /// reference, bin by bin in units of its scatter, `chi_squared_floor` that of the reference itself.
    /// `mean_ratio` is the mean of all samples over that of the reference, which spectra about each map's own mean
    /// do not see.
    pub struct PowerSpectrum {
        #[doc = "How wave numbers fall into bins, in units of the fundamental one."]
        binning: Binning = Binning::Round;
        #[doc = "3 for cubes: items of `[side, side, side]`, whose first axis stands where channels do."]
        dimensions: u64 [2.0..=3.0] = 2;
        #[doc = "Power of the overdensity, or of the logarithm less its mean."]
        space: Space = Space::Linear;
        #[doc = "The mean that is left out: of each map, or of the reference."]
        mean: MeanOf = MeanOf::PerMap;
        #[doc = "Compare samples with the reference of equal conditions alone, and average over conditions."]
        matched: bool = false;
        #[doc = "How mass was put on the grid: powers are divided by its squared window, on both sides. Not beyond 0.7 of the Nyquist number."]
        assignment: Assignment = Assignment::None, neutral Assignment::None;
    }
}

choice! {
    /// Assignment of the mass of particles to a grid.
    pub enum Assignment {
        #[doc = "Unknown, or not to be undone."]
        None = "none",
        #[doc = "To the nearest grid point."]
        Ngp = "ngp",
        #[doc = "Cloud in cell."]
        Cic = "cic",
        #[doc = "Triangular-shaped cloud."]
        Tsc = "tsc",
        #[doc = "Piecewise cubic spline."]
        Pcs = "pcs",
    }
}

impl Assignment {
    /// The order of its window, a power of sinc.
    pub fn order(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Ngp => 1,
            Self::Cic => 2,
            Self::Tsc => 3,
            Self::Pcs => 4,
        }
    }
}

choice! {
    /// Whose mean a contrast is about.
    pub enum MeanOf {
        #[doc = "Each map's own."]
        PerMap = "per_map",
        #[doc = "That of all maps of the reference, so that power counts how means vary."]
        Ensemble = "ensemble",
    }
}

table! {
    /// How the power spectrum scatters from map to map, which a network that draws only the mean gets wrong: the
    /// mean over bins of the absolute relative error of its variance, and the mean absolute difference of the
    /// correlations between bins, each beside what other maps of the reference would have. `hartlap` is the factor
    /// that the inverse of the covariance needs (Hartlap et al. 2007).
    pub struct Covariance {
        #[doc = "How wave numbers fall into bins, in units of the fundamental one."]
        binning: Binning = Binning::Round;
    }
}

table! {
    /// For samples that belong to the items of the reference one by one, such as reconstructions: the correlation
    /// coefficient of their waves, averaged over bins and pairs, and the mean of abs(T - 1) over bins, T the root of
    /// the ratio of mean powers.
    pub struct CrossSpectrum {
        #[doc = "How wave numbers fall into bins, in units of the fundamental one."]
        binning: Binning = Binning::Round;
    }
}

table! {
    /// The bispectrum of equilateral triangles in shells that are one fundamental wave number wide, up to a third of
    /// the side: the summed absolute error of its mean, in units of the sum of the reference.
    pub struct Bispectrum {
        #[doc = "Every so manyth shell is measured, from 2 on; each takes a transform."]
        every: u64 [1.0..=1e4] = 2;
    }
}

table! {
    /// Numbers of peaks above thresholds in each map, of pixels that are larger than their eight neighbours, and of
    /// minima below: the summed absolute error of both, in units of the sum of the reference. Thresholds go from -1 to 4
    /// standard deviations of the map in halves; `peaks` and `minima` are those above and below the mean.
    pub struct Peaks {
        #[doc = "Values or their decimal logarithms; by default logarithms where the network of the samples saw them."]
        space: Option<Space>;
    }
}

table! {
    /// Minkowski functionals (Schmalzing & Górski 1998) above thresholds from -3 to 3 standard deviations of the map in
    /// halves: share of the area, border length and curvature by area. The error of each is summed over thresholds in
    /// units of the sum of the reference; `error` is the mean of the three.
    pub struct Minkowski {
        #[doc = "Values or their decimal logarithms; by default logarithms where the network of the samples saw them."]
        space: Option<Space>;
    }
}

table! {
    /// Whether samples are copies: the distance of each to the nearest item of the training, over that to the second
    /// nearest. `copies` is the share of samples where that is below 1/3 (Yoon et al. 2023), `nearness` the
    /// median over samples, `nearness_floor` the same of items of the training among the others. The reference is the
    /// train split unless a port says otherwise.
    pub struct Memorisation {
        #[doc = "Values or their decimal logarithms; by default logarithms where the network of the samples saw them."]
        space: Option<Space>;
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
