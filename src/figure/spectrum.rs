//! Power spectra against a truth: what the figure is made of, its data as CSV, and the numbers
//! made ready to draw (gaps marked, ratios taken, ranges chosen). `spectrum_page` draws them.

use super::csv::Csv;
use super::paper::Paper;
use super::scale::Scale;
use super::spectrum_page;
use super::style::Width;
use crate::problem::Result;

/// The figure: panels side by side over their ratio panels, one vertical axis, one legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Side by side, at least one.
    pub panels: Vec<SpectrumPanel>,
    /// Horizontal label, such as `$k\ [h\,\mathrm{Mpc}^{-1}]$`.
    pub x_label: String,
    /// Vertical label of the upper panels.
    pub y_label: String,
    /// Vertical label of the ratio panels, such as `$P/P_\mathrm{true}$`.
    pub ratio_label: String,
    /// What the legend calls the floor; unused if no panel has one.
    pub floor_name: String,
    /// The size on paper.
    pub width: Width,
}

/// One panel of a [`Spectrum`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpectrumPanel {
    /// Stands above the panel, such as `25 steps`.
    pub title: Option<String>,
    /// The reference: solid black with a grey band (16 to 84 %).
    pub truth: SpectrumLine,
    /// What is compared with it; a name has the same colour in every panel.
    pub lines: Vec<SpectrumLine>,
    /// What a perfect sampler would reach: ratios between leave-one-out halves of the truth.
    pub floor: Option<RatioBand>,
}

/// A spectrum: power `p` at wavenumbers `k`, in the units that the labels give.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpectrumLine {
    /// The name in the legend.
    pub name: String,
    /// Wavenumbers, ascending.
    pub k: Vec<f64>,
    /// Power; what is not positive and finite is left out and counted.
    pub p: Vec<f64>,
    /// The spread of `p` over seeds or maps.
    pub band: Option<Band>,
}

/// Lower and upper bounds, one pair for each point of a line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Band {
    /// Lower bounds.
    pub low: Vec<f64>,
    /// Upper bounds.
    pub high: Vec<f64>,
}

/// A range of ratios to the truth at wavenumbers `k`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RatioBand {
    /// Wavenumbers, ascending.
    pub k: Vec<f64>,
    /// Lower ratios.
    pub low: Vec<f64>,
    /// Upper ratios.
    pub high: Vec<f64>,
}

/// Points `(k, value)`; not-a-number where the line has a gap.
pub(super) type Points = Vec<(f64, f64)>;
/// Points `(k, low, high)`.
pub(super) type Edges = Vec<(f64, f64, f64)>;

/// A line ready to draw.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) points: Points,
    pub(super) band: Edges,
    pub(super) ratio: Points,
    pub(super) ratio_band: Edges,
}

/// A panel ready to draw; empty lines are gone.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadyPanel {
    pub(super) title: Option<String>,
    pub(super) truth: Ready,
    pub(super) lines: Vec<Ready>,
    pub(super) floor: Edges,
}

impl Spectrum {
    /// The data behind the figure, a row a point; `ratio` is power over the truth's at the same `k`.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv = Csv::new(&["panel", "line", "k", "p", "low", "high", "ratio"]);
        for panel in &self.panels {
            let title = panel.title.as_deref().unwrap_or_default();
            let truth = showable(&panel.truth);
            for line in std::iter::once(&panel.truth).chain(&panel.lines) {
                for (i, (k, p)) in line.k.iter().zip(&line.p).enumerate() {
                    let bound = |pick: fn(&Band) -> &Vec<f64>| {
                        line.band.as_ref().and_then(|b| pick(b).get(i).copied()).unwrap_or(f64::NAN)
                    };
                    let ratio = interpolate(&truth, *k).map_or(f64::NAN, |true_p| p / true_p);
                    let numbers =
                        [*k, *p, bound(|band| &band.low), bound(|band| &band.high), ratio];
                    csv.row(&[title, &line.name], &numbers);
                }
            }
        }
        csv.finish()
    }

    pub(super) fn draw(&self) -> Result<Paper> {
        let mut notes = Vec::new();
        let panels: Vec<ReadyPanel> =
            self.panels.iter().map(|panel| ready_panel(panel, &mut notes)).collect();
        let paper = spectrum_page::draw(self, &panels)?;
        paper.with_record(|record| {
            notes.append(&mut record.notes);
            record.notes = notes;
        });
        Ok(paper)
    }
}

fn ready_panel(panel: &SpectrumPanel, notes: &mut Vec<String>) -> ReadyPanel {
    let place =
        panel.title.as_ref().map_or_else(String::new, |title| format!(" in panel `{title}`"));
    let reference = showable(&panel.truth);
    let mut keep = |line: &SpectrumLine| {
        let ready = ready(line, &reference);
        let shown = ready.points.iter().filter(|(_, p)| p.is_finite()).count();
        let total = line.k.len().max(line.p.len());
        if total == 0 && line.name.is_empty() {
            notes.push(format!("there is no truth{place}, hence no ratio"));
        } else if shown == 0 {
            notes
                .push(format!("line `{}`{place} has no positive power and is left out", line.name));
        } else if shown < total {
            notes.push(format!(
                "left out as not positive: {} of {total} points of line `{}`{place}",
                total - shown,
                line.name
            ));
        }
        (shown > 0).then_some(ready)
    };
    let truth = keep(&panel.truth).unwrap_or_default();
    let lines = panel.lines.iter().filter_map(keep).collect();
    let floor = panel
        .floor
        .as_ref()
        .map_or_else(Vec::new, |floor| edges(&floor.k, &floor.low, &floor.high));
    ReadyPanel { title: panel.title.clone(), truth, lines, floor }
}

fn ready(line: &SpectrumLine, reference: &[(f64, f64)]) -> Ready {
    let gap = |value: f64| if value.is_finite() && value > 0.0 { value } else { f64::NAN };
    let points: Points = line
        .k
        .iter()
        .zip(&line.p)
        .filter(|(k, _)| k.is_finite() && **k > 0.0)
        .map(|(k, p)| (*k, gap(*p)))
        .collect();
    let band = line.band.as_ref().map_or_else(Vec::new, |b| edges(&line.k, &b.low, &b.high));
    let over = |k: f64, p: f64| interpolate(reference, k).map_or(f64::NAN, |truth| p / truth);
    Ready {
        name: line.name.clone(),
        ratio: points.iter().map(|(k, p)| (*k, over(*k, *p))).collect(),
        ratio_band: band
            .iter()
            .map(|(k, low, high)| (*k, over(*k, *low), over(*k, *high)))
            .collect(),
        points,
        band,
    }
}

/// A band's edges. On a logarithmic axis nothing reaches down to 0, so a lower edge that is not
/// positive goes a long way below the upper one instead of tearing a hole.
fn edges(k: &[f64], low: &[f64], high: &[f64]) -> Edges {
    k.iter()
        .zip(low.iter().zip(high))
        .filter(|(k, _)| k.is_finite() && **k > 0.0)
        .map(|(k, (low, high))| match (low.is_finite(), high.is_finite() && *high > 0.0) {
            (true, true) => (*k, low.max(high * 1e-6), *high),
            _ => (*k, f64::NAN, f64::NAN),
        })
        .collect()
}

/// The points that a logarithmic panel can show, in order of `k`.
fn showable(line: &SpectrumLine) -> Points {
    let positive = |x: &f64| x.is_finite() && *x > 0.0;
    let pairs = line.k.iter().copied().zip(line.p.iter().copied());
    let mut points: Points = pairs.filter(|(k, p)| positive(k) && positive(p)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// The truth at `k`, straight in log-log between its points; nothing outside their range.
fn interpolate(points: &[(f64, f64)], k: f64) -> Option<f64> {
    let slack = 1e-6;
    let after = points.partition_point(|(at, _)| *at < k * (1.0 - slack));
    let (k1, p1) = *points.get(after)?;
    if (k1 / k - 1.0).abs() <= 2.0 * slack {
        return Some(p1);
    }
    let (k0, p0) = *points.get(after.checked_sub(1)?)?;
    let t = (k / k0).ln() / (k1 / k0).ln();
    Some(p0 * (p1 / p0).powf(t))
}

/// How far beyond the truth's range the vertical axis follows lines, as a factor.
const FOLLOW: f64 = 1e3;
/// A line this far from the truth, at most places, does not set the ratio's range.
const FAR: f64 = 0.75;

/// Half ranges of the ratio axis that leave its outer labels clear of its ends.
const HALVES: [f64; 7] = [0.065, 0.13, 0.19, 0.26, 0.39, 0.65, 0.98];

/// Wavenumbers of everything shown.
pub(super) fn k_scale(panels: &[ReadyPanel]) -> Scale {
    let lines = panels.iter().flat_map(|panel| std::iter::once(&panel.truth).chain(&panel.lines));
    let shown = lines.flat_map(|line| &line.points).filter(|(_, p)| p.is_finite());
    Scale::over(shown.map(|(k, _)| *k), true, 0.025)
}

/// Power of everything shown, as long as it is within reach of the truth.
pub(super) fn p_scale(panels: &[ReadyPanel]) -> Scale {
    let truths = || panels.iter().map(|panel| &panel.truth);
    let points = |line: &Ready| line.points.iter().map(|(_, p)| *p).collect::<Vec<_>>();
    let bands = |line: &Ready| line.band.iter().flat_map(|(_, l, h)| [*l, *h]).collect::<Vec<_>>();
    let truth: Vec<f64> = truths()
        .flat_map(points)
        .chain(truths().flat_map(bands))
        .filter(|p| p.is_finite())
        .collect();
    let lines: Vec<f64> = panels
        .iter()
        .flat_map(|panel| &panel.lines)
        .flat_map(points)
        .filter(|p| p.is_finite())
        .collect();
    let (low, high) = bounds(&truth).or_else(|| bounds(&lines)).unwrap_or((0.1, 10.0));
    let all = truth.iter().chain(&lines).map(|p| p.clamp(low / FOLLOW, high * FOLLOW));
    Scale::over(all, true, 0.05)
}

fn bounds(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().min_by(f64::total_cmp)?;
    let high = values.iter().copied().max_by(f64::total_cmp)?;
    Some((low, high))
}

/// Ratios around 1, wide enough for the lines that are anywhere near the truth.
pub(super) fn ratio_scale(panels: &[ReadyPanel]) -> Scale {
    let mut wanted: f64 = 0.0;
    let mut near = false;
    for panel in panels {
        for line in &panel.lines {
            let off = quantile(line.ratio.iter().map(|(_, ratio)| (ratio - 1.0).abs()), 0.8);
            if let Some(off) = off.filter(|off| *off <= FAR) {
                wanted = wanted.max(1.3 * off);
                near = true;
            }
        }
        let half = |(_, low, high): &(f64, f64, f64)| (high - low).abs() / 2.0;
        let truth = quantile(panel.truth.ratio_band.iter().map(half), 0.5).unwrap_or(0.0);
        wanted =
            wanted.max(1.2 * truth).max(quantile(panel.floor.iter().map(half), 0.5).unwrap_or(0.0));
    }
    let any = panels.iter().any(|panel| !panel.lines.is_empty());
    let wanted = if any && !near { 1.0 } else { wanted };
    let half = HALVES.into_iter().find(|half| wanted <= *half).unwrap_or(HALVES[6]);
    Scale::linear(1.0 - half, 1.0 + half)
}

/// The value below which a fraction of the finite ones lies.
pub(super) fn quantile(values: impl Iterator<Item = f64>, fraction: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(values[(fraction * last as f64).round() as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power_law(name: &str, k: &[f64], factor: f64) -> SpectrumLine {
        let p = k.iter().map(|k| factor * k.powi(-3)).collect();
        SpectrumLine { name: name.into(), k: k.to_vec(), p, band: None }
    }

    fn ready_with(lines: Vec<SpectrumLine>) -> ReadyPanel {
        let truth = power_law("truth", &[1.0, 2.0, 4.0, 8.0], 10.0);
        let panel = SpectrumPanel { truth, lines, ..SpectrumPanel::default() };
        ready_panel(&panel, &mut Vec::new())
    }

    #[test]
    fn the_truth_is_interpolated_as_a_power_law_and_never_extended() {
        let truth = showable(&power_law("truth", &[8.0, 1.0, 4.0, 2.0], 10.0));
        assert!((interpolate(&truth, 3.0).unwrap() - 10.0 / 27.0).abs() < 1e-12);
        assert_eq!(interpolate(&truth, 2.0), Some(1.25));
        assert_eq!(interpolate(&truth, 8.0), Some(10.0 / 512.0));
        assert_eq!((interpolate(&truth, 0.9), interpolate(&truth, 8.1)), (None, None));
    }

    #[test]
    fn a_gap_is_not_bridged_and_has_no_ratio() {
        let mut line = power_law("a", &[1.0, 2.0, 4.0, 8.0], 20.0);
        line.p[1] = -1.0;
        let panel = ready_with(vec![line]);
        let ratio: Vec<f64> = panel.lines[0].ratio.iter().map(|(_, ratio)| *ratio).collect();
        assert!(ratio[1].is_nan() && (ratio[2] - 2.0).abs() < 1e-12);
        assert_eq!(panel.lines[0].points.len(), 4);
    }

    #[test]
    fn one_line_far_off_does_not_set_the_ratio_axis() {
        let k = [1.0, 2.0, 4.0, 8.0];
        let near = power_law("near", &k, 10.8);
        let far = power_law("far", &k, 0.1);
        let high = |lines: Vec<SpectrumLine>| ratio_scale(&[ready_with(lines)]).high() - 1.0;
        assert!((high(vec![near.clone(), far.clone()]) - 0.13).abs() < 1e-12);
        assert!((high(vec![far]) - 0.98).abs() < 1e-12);
    }

    #[test]
    fn the_power_axis_follows_a_line_a_hundred_times_too_low_but_no_stray() {
        let k = [1.0, 2.0, 4.0, 8.0];
        let low = |factor: f64| p_scale(&[ready_with(vec![power_law("a", &k, factor)])]).low();
        let truth_low = 10.0 / 512.0;
        assert!(low(0.1) < 0.01 * truth_low);
        assert!(low(1e-9) > 1e-4 * truth_low);
    }

    #[test]
    fn a_band_that_reaches_zero_stays_whole_on_a_log_axis() {
        let edges = edges(&[1.0, 2.0, 3.0], &[-1.0, 0.5, 0.5], &[2.0, 2.0, f64::NAN]);
        assert_eq!(edges[0], (1.0, 2e-6, 2.0));
        assert!(edges[2].1.is_nan());
    }
}
