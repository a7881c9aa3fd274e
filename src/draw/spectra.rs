//! Power spectra and other series of samples beside those of the truth.

use super::collect;
use super::pictures::{Points, Source, axes, column, mean, width_of};
use crate::figure::{Band, Figure, RatioBand, Spectrum, SpectrumLine, SpectrumPanel};
use crate::graph::Node;
use crate::job::Series;
use crate::npy;
use crate::problem::Result;
use crate::spec::{Axes, SpectrumSpec};

/// Lines beside the truth.
pub(super) struct Compared {
    pub(super) truth: SpectrumLine,
    pub(super) lines: Vec<SpectrumLine>,
    pub(super) x_unit: String,
    pub(super) y_unit: String,
}

/// Lines with a band of their own at most: more bands on each other tell nothing.
const BANDS: usize = 4;

impl Source<'_> {
    /// A series of samples at some points, a line for each value of an axis, beside that of the truth; `None` if none
    /// is finished.
    pub(super) fn compared(
        &self,
        points: &Points<'_>,
        by: Option<&Axes>,
        (of, name): (&str, &str),
    ) -> Result<Option<Compared>> {
        let mut found: Option<Compared> = None;
        for (line, members) in collect::group(points, axes(by)) {
            let series = self.series(&members, of, name)?;
            let Some(first) = series.first() else { continue };
            let over_seeds =
                |name: &str| mean(&series.iter().map(|s| column(s, name)).collect::<Vec<_>>());
            let compared = found.get_or_insert_with(|| Compared {
                truth: SpectrumLine {
                    name: "truth (16–84 % of maps)".to_owned(),
                    k: column(first, "x"),
                    p: column(first, "reference_mean"),
                    band: Some(Band {
                        low: column(first, "reference_low"),
                        high: column(first, "reference_high"),
                    }),
                },
                lines: vec![],
                x_unit: first.x_unit.clone(),
                y_unit: first.y_unit.clone(),
            });
            compared.lines.push(SpectrumLine {
                name: self.named(by, &line, "samples"),
                k: column(first, "x"),
                p: over_seeds("mean"),
                band: Some(Band { low: over_seeds("low"), high: over_seeds("high") }),
            });
        }
        Ok(found)
    }

    pub(super) fn spectrum(
        &self,
        points: &Points<'_>,
        asked: &SpectrumSpec,
    ) -> Result<Option<Figure>> {
        let mut panels = vec![];
        let mut unit = String::new();
        for (panel, members) in collect::group(points, axes(asked.panels.as_ref())) {
            let what = (asked.of.as_str(), "power_spectrum");
            let Some(compared) = self.compared(&members, asked.lines.as_ref(), what)? else {
                continue;
            };
            let floor = match asked.floor {
                true => self.floor(&members, asked)?,
                false => None,
            };
            let Compared { truth, mut lines, x_unit: _, y_unit } = compared;
            if lines.len() > BANDS {
                lines.iter_mut().for_each(|line| line.band = None);
            }
            unit = y_unit;
            let title = self.title(asked.panels.as_ref(), &panel);
            panels.push(SpectrumPanel { title, truth, lines, floor });
        }
        if panels.is_empty() {
            return Ok(None);
        }
        Ok(Some(Figure::Spectrum(Spectrum {
            width: width_of(asked.width.as_ref(), panels.len())?,
            panels,
            x_label: r"$k\ [h\,\mathrm{Mpc}^{-1}]$".to_owned(),
            y_label: match unit.as_str() {
                "(Mpc/h)^3" => r"$P(k)\ [(h^{-1}\,\mathrm{Mpc})^3]$".to_owned(),
                _ => r"$P(k)\ [(h^{-1}\,\mathrm{Mpc})^2]$".to_owned(),
            },
            ratio_label: r"$P/P_{\mathrm{true}}$".to_owned(),
            floor_name: r"perfect samples ($\pm 1\,\sigma$)".to_owned(),
        })))
    }

    /// Where the ratio of perfect samples would lie, for the line that rests on the fewest maps.
    fn floor(&self, points: &Points<'_>, asked: &SpectrumSpec) -> Result<Option<RatioBand>> {
        let mut fewest: Option<(usize, RatioBand)> = None;
        for (_, members) in collect::group(points, axes(asked.lines.as_ref())) {
            let nodes = collect::nodes_at(self.graph, &members, &asked.of);
            let of_node = |node: &&Node| maps_of(&self.results.node(&node.folder()));
            let counts: Vec<usize> = nodes.iter().filter_map(of_node).collect();
            let Some(series) =
                self.series(&members, &asked.of, "power_spectrum")?.into_iter().next()
            else {
                continue;
            };
            let all: usize = counts.iter().sum();
            let (Some(each), false) = (counts.first(), all == 0) else { continue };
            if fewest.as_ref().is_some_and(|(known, _)| *known <= all) {
                continue;
            }
            let band = perfect(&series, *each, all);
            fewest = Some((all, band));
        }
        Ok(fewest.map(|(_, band)| band))
    }
}

/// Where the ratio of so many perfect samples would lie, ± one standard error, by the series of a measure that has seen
/// `each` samples.
///
/// The error of a ratio, as it was measured, is (e/r)² = s²/n + t²/m, with s and t the relative deviations of samples and
/// reference; perfect samples have t in the place of s.
fn perfect(series: &Series, each: usize, all: usize) -> RatioBand {
    let relative = |of: &str, by: &str| -> Vec<f64> {
        column(series, of).iter().zip(column(series, by)).map(|(a, b)| a / b).collect()
    };
    let own = relative("deviation", "mean");
    let theirs = relative("reference_deviation", "reference_mean");
    let errors = relative("ratio_error", "ratio");
    let sigma = |((own, theirs), error): ((&f64, &f64), &f64)| {
        let of_reference = (error * error - own * own / each as f64).max(0.0);
        (theirs * theirs / all as f64 + of_reference).sqrt()
    };
    let sigmas: Vec<f64> = own.iter().zip(&theirs).zip(&errors).map(sigma).collect();
    RatioBand {
        k: column(series, "x"),
        low: sigmas.iter().map(|sigma| 1.0 - sigma).collect(),
        high: sigmas.iter().map(|sigma| 1.0 + sigma).collect(),
    }
}

/// How many maps a measure of power spectra has seen, if its array is still there.
fn maps_of(folder: &std::path::Path) -> Option<usize> {
    npy::Header::read(&folder.join("spectra.npy")).ok()?.shape.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfect_samples_scatter_as_the_reference_does() {
        let (n, m): (f64, f64) = (100.0, 400.0);
        let error = 1.3 * (0.25 / n + 0.16 / m).sqrt();
        let columns = [
            ("x", 0.5),
            ("mean", 2.6),
            ("deviation", 1.3),
            ("reference_mean", 2.0),
            ("reference_deviation", 0.8),
            ("ratio", 1.3),
            ("ratio_error", error),
        ];
        let columns = columns.map(|(name, value)| (name.to_owned(), vec![value]));
        let series = Series { columns: columns.into(), ..Series::default() };
        let band = perfect(&series, 100, 200);
        let sigma = (0.16_f64 / 200.0 + 0.16 / m).sqrt();
        assert!((band.high[0] - 1.0 - sigma).abs() < 1e-12, "{band:?}");
        assert!((band.low[0] - 1.0 + sigma).abs() < 1e-12 && band.k == [0.5]);
    }
}
