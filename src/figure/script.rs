//! A short matplotlib script that redraws a figure from its CSV file, for whoever wants it otherwise.

use super::Figure;
use super::curve::CurveAxis;
use super::style::Width;

const HEAD: &str = r#"import csv, pathlib
import matplotlib.pyplot as plt

plt.rcParams["font.size"] = 8
here = pathlib.Path(__file__)
rows = list(csv.DictReader(open(here.with_suffix(".csv"), encoding="utf-8")))
def number(text): return float(text) if text else float("nan")
def column(some, name): return [number(row[name]) for row in some]
def values(name, some=rows): return list(dict.fromkeys(row[name] for row in some))
"#;

const SPECTRUM: &str = r#"
panels = values("panel")
figure, axes = plt.subplots(2, len(panels), sharex=True, sharey="row", squeeze=False, layout="constrained",
                            figsize=(WIDTH, 0.9 * WIDTH / len(panels) + 0.4), height_ratios=[2.3, 1])
for panel, (upper, lower) in zip(panels, axes.T):
    there = [row for row in rows if row["panel"] == panel]
    for i, name in enumerate(values("line", there)):
        line = [row for row in there if row["line"] == name]
        k, colour = column(line, "k"), "black" if i == 0 else f"C{i - 1}"
        upper.loglog(k, column(line, "p"), "-" if i == 0 else "--", color=colour, label=name)
        upper.fill_between(k, column(line, "low"), column(line, "high"), color=colour, alpha=0.18, lw=0)
        lower.semilogx(k, column(line, "ratio"), "-" if i == 0 else "--", color=colour)
    upper.set_title(panel)
    lower.set_xlabel(X)
axes[0][0].set_ylabel(Y)
axes[1][0].set_ylabel(RATIO)
axes[0][0].legend(frameon=False)
"#;

const TRAINING: &str = r#"
figure, axis = plt.subplots(figsize=(WIDTH, 0.65 * WIDTH), layout="constrained")
names = values("name")
for run in values("run"):
    there = [row for row in rows if row["run"] == run]
    colour = f"C{names.index(there[0]['name'])}"
    for what, style in [("train", dict(alpha=0.25, lw=0.5)), ("smoothed", {}), ("validation", dict(marker="o", ls=""))]:
        line = [row for row in there if row["what"] == what]
        axis.plot(column(line, "step"), column(line, "loss"), color=colour, **style)
for i, name in enumerate(names):
    axis.plot([], [], color=f"C{i}", label=name)
rates = [row for row in rows if row["what"] == "learning rate"]
if rates:
    twin = axis.twinx()
    twin.set_ylabel("learning rate")
    for run in values("run", rates):
        line = [row for row in rates if row["run"] == run]
        twin.plot(column(line, "step"), column(line, "loss"), ":", color=f"C{names.index(line[0]['name'])}")
axis.set(xlabel=X, ylabel=Y, yscale=Y_SCALE)
axis.legend(frameon=False)
"#;

const CURVE: &str = r#"
panels = values("panel")
figure, axes = plt.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False, layout="constrained",
                            figsize=(WIDTH, 0.7 * WIDTH / len(panels) + 0.3))
lines = values("line")
for panel, axis in zip(panels, axes[0]):
    for i, name in enumerate(lines):
        there = [row for row in rows if row["panel"] == panel and row["line"] == name]
        means = [row for row in there if row["what"] == "mean"]
        seeds = [row for row in there if row["what"] == "seed"]
        x, mean = column(means, "x"), column(means, "value")
        bars = [[m - number(row["low"]) for m, row in zip(mean, means)], [number(row["high"]) - m for m, row in zip(mean, means)]]
        if BAND:
            axis.plot(x, mean, "o-", color=f"C{i}", label=name or None)
            axis.fill_between(x, column(means, "low"), column(means, "high"), color=f"C{i}", alpha=0.2, lw=0)
            continue
        axis.errorbar(x, mean, yerr=bars, fmt="o-" if ORDERED else "o", color=f"C{i}", label=name or None)
        axis.plot(column(seeds, "x"), column(seeds, "value"), ".", color=f"C{i}", alpha=0.4)
    axis.set(title=panel, xlabel=X, xscale=X_SCALE, yscale=Y_SCALE)
    names = {number(row["x"]): row["name"] for row in rows if row["name"]}
    if names:
        axis.set_xticks(list(names), list(names.values()), rotation=30, ha="right")
axes[0][0].set_ylabel(Y)
if len(lines) > 1:
    axes[0][0].legend(frameon=False)
"#;

const HISTOGRAM: &str = r#"
panels = values("panel")
figure, axes = plt.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False, layout="constrained",
                            figsize=(WIDTH, 0.7 * WIDTH / len(panels) + 0.3))
for panel, axis in zip(panels, axes[0]):
    there = [row for row in rows if row["panel"] == panel]
    for i, name in enumerate(values("line", there)):
        line = [row for row in there if row["line"] == name]
        x, colour = column(line, "x"), "black" if i == 0 else f"C{i - 1}"
        axis.plot(x, column(line, "density"), "-" if i == 0 else "--", color=colour, label=name)
        axis.fill_between(x, column(line, "low"), column(line, "high"), color=colour, alpha=0.18, lw=0)
    axis.set(title=panel, xlabel=X, yscale=Y_SCALE)
axes[0][0].set_ylabel(Y)
axes[0][0].legend(frameon=False)
"#;

const HEATMAP: &str = r#"
down, across = values("row"), values("column")
cells = [[next(number(row["value"]) for row in rows if (row["row"], row["column"]) == (r, c)) for c in across] for r in down]
figure, axis = plt.subplots(figsize=(WIDTH, 0.75 * WIDTH), layout="constrained")
picture = axis.imshow(cells, aspect="auto", cmap="viridis", norm=Y_SCALE)
axis.set_xticks(range(len(across)), across)
axis.set_yticks(range(len(down)), down)
axis.set(xlabel=X, ylabel=Y)
figure.colorbar(picture, label=BAR)
"#;

const SCATTER: &str = r#"
figure, axis = plt.subplots(figsize=(WIDTH, 0.75 * WIDTH), layout="constrained")
groups = values("group")
def bars(some, name):
    return [[number(row[name]) - number(row[name + "_low"]) for row in some], [number(row[name + "_high"]) - number(row[name]) for row in some]]
for i, group in enumerate(groups):
    there = [row for row in rows if row["group"] == group]
    axis.errorbar(column(there, "x"), column(there, "y"), xerr=bars(there, "x"), yerr=bars(there, "y"), fmt="o", color=f"C{i}", label=group or None)
    for row in there:
        axis.annotate(row["name"], (number(row["x"]), number(row["y"])), xytext=(3, 3), textcoords="offset points")
front = sorted((number(row["x"]), number(row["y"])) for row in rows if number(row["front"]))
axis.plot(*zip(*front), "--", color="grey", drawstyle="steps-post") if front else None
axis.set(xlabel=X, ylabel=Y, xscale=X_SCALE, yscale=Y_SCALE)
if len(groups) > 1:
    axis.legend(frameon=False)
"#;

const FOOT: &str = r#"
figure.savefig(here.with_suffix(".matplotlib.pdf"))
"#;

impl Figure {
    /// The script; `None` of pictures, whose pixels are no table.
    pub(super) fn script(&self, title: &str) -> Option<String> {
        let scale = |log: bool| if log { "log" } else { "linear" };
        let inches = |width: &Width| format!("WIDTH = {:.4}  # inches\n", width.width_pt / 72.0);
        let text = |name: &str, value: &str| {
            // JSON's strings are Python's.
            format!("{name} = {}\n", serde_json::to_string(value).expect("a string"))
        };
        let (settings, body) = match self {
            Self::Spectrum(f) => {
                let labels = [text("X", &f.x_label), text("Y", &f.y_label)].concat();
                (inches(&f.width) + &labels + &text("RATIO", &f.ratio_label), SPECTRUM)
            }
            Self::Training(f) => {
                let labels = [text("X", &f.x_label), text("Y", &f.y_label)].concat();
                (inches(&f.width) + &labels + &text("Y_SCALE", scale(f.y_log)), TRAINING)
            }
            Self::Curve(f) => {
                let labels = [text("X", &f.x_label), text("Y", &f.y_label)].concat();
                let x_scale = text("X_SCALE", scale(f.axis == CurveAxis::Log));
                let ordered = if f.ordered() { "ORDERED = True\n" } else { "ORDERED = False\n" };
                let banded = if f.band && f.ordered() { "BAND = True\n" } else { "BAND = False\n" };
                let scales = x_scale + &text("Y_SCALE", scale(f.y_log)) + ordered + banded;
                (inches(&f.width) + &labels + &scales, CURVE)
            }
            Self::Histogram(f) => {
                let labels = [text("X", &f.x_label), text("Y", &f.y_label)].concat();
                (inches(&f.width) + &labels + &text("Y_SCALE", scale(f.y_log)), HISTOGRAM)
            }
            Self::Heatmap(f) => {
                let labels = [text("X", &f.x_label), text("Y", &f.y_label)].concat();
                let bar = text("BAR", &f.bar_label) + &text("Y_SCALE", scale(f.log));
                (inches(&f.width) + &labels + &bar, HEATMAP)
            }
            Self::Scatter(f) => {
                let labels = [text("X", &f.x_label), text("Y", &f.y_label)].concat();
                let scales = text("X_SCALE", scale(f.x_log)) + &text("Y_SCALE", scale(f.y_log));
                (inches(&f.width) + &labels + &scales, SCATTER)
            }
            Self::Grid(_) => return None,
        };
        let title = title.replace('\n', " ");
        let what = "Redraws it with matplotlib from the CSV file beside it; change it as you like.";
        Some(format!("# {title}\n# {what}\n{HEAD}\n{settings}{body}{FOOT}"))
    }
}
