#!/usr/bin/env python3
"""The figures and tables of an experiment of 300 nodes: `ablate figure` and `ablate table` beside one Python process that
draws the same figures with matplotlib (the scripts that ablate leaves beside its own) and makes the tables with pandas
from the same database. Whole processes, from their start to the last file. Also the report: seconds, size, and how long
a browser takes to show it, if there is one.

    make build python && cargo build --release --examples && .venv/bin/python benches/paper.py

Numbers are those of the fake worker."""
import os, pathlib, shutil, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ABLATE = ROOT / "target/release/ablate"
FAKE = ROOT / "target/release/examples/fake-worker"

SPEC = """
question: what do figures and tables cost?
vars: { schedule: linear, nfe: 10, seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  net: { train: { data: maps, objective: { ddpm: { schedule: $schedule } }, steps: 100, seed: $seed } }
  draw: { sample: { from: net, sampler: { ddim: { steps: $nfe, clip: 6 } }, count: 8, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
sweeps:
  main: { product: { schedule: [linear, cosine, quadratic, sigmoid_beta], nfe: [5, 10, 20, 50, 100, 200, 500] }, seeds: 5 }
figures:
  spectra: { spectrum: { sweep: main, at: { nfe: 50 }, of: score.power_spectrum, lines: schedule } }
  quality: { curve: { sweep: main, x: nfe, y: score.power_spectrum.error, lines: schedule, x_scale: log } }
  worth: { points: { sweep: main, y: score.power_spectrum.error } }
  both: { heatmap: { sweep: main, x: nfe, y: schedule, value: score.power_spectrum.error } }
tables:
  main: { sweep: main, columns: [score.power_spectrum.error], versus: baseline }
  some: { sweep: main, at: { nfe: 50 }, columns: [score.power_spectrum.error], spread: ci95 }
"""

PEER = """
import pathlib, sqlite3, matplotlib, pandas
matplotlib.use("agg")
import matplotlib.pyplot as plt
save = plt.Figure.savefig
# Ours writes all three, too.
def all_three(figure, path):
    for ending in ("pdf", "svg", "png"):
        save(figure, pathlib.Path(path).with_suffix("." + ending), dpi=300)
plt.Figure.savefig = all_three
folder = pathlib.Path("results/spec/figures")
for name in ("spectra", "quality", "worth", "both"):
    path = folder / f"{name}.py"
    exec(compile(path.read_text(), str(path), "exec"), {"__file__": str(path), "__name__": "__main__"})
frame = pandas.read_sql("select axes, seed, value from results_by_axis where metric = 'error'", sqlite3.connect("results/ablate.sqlite"))
table = frame.groupby("axes")["value"].agg(["mean", "std", "count"])
for name in ("main", "some"):
    rows = [" & ".join([axes.replace("_", " "), f"{row['mean']:.3f} $\\\\pm$ {row['std']:.3f}"]) for axes, row in table.iterrows()]
    pathlib.Path(f"{name}.tex").write_text(" \\\\\\\\\\n".join(rows))
    table.to_csv(f"{name}.csv")
"""


def timed(commands, folder, runs=5):
    spans = []
    for _ in range(runs):
        begin = time.perf_counter()
        for command in commands:
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        spans.append(time.perf_counter() - begin)
    return statistics.median(spans)


def main():
    with tempfile.TemporaryDirectory() as folder:
        there = pathlib.Path(folder)
        (there / "spec.yaml").write_text(SPEC)
        (there / "peer.py").write_text(PEER)
        environment = dict(os.environ, ABLATE_WORKER=str(FAKE), ABLATE_FAKE_STEPS="1")
        subprocess.run([ABLATE, "run", "spec.yaml"], cwd=folder, env=environment, check=True, capture_output=True)
        nodes = len(list((there / "results/nodes").glob("*-*")))
        ours = timed([[ABLATE, "figure", "spec.yaml"], [ABLATE, "table", "spec.yaml"]], folder)
        peer = timed([[sys.executable, "peer.py"]], folder)
        print(f"{nodes} nodes, 4 figures as PDF, SVG and PNG, 2 tables; medians of 5, whole processes")
        print(f"  ablate figure, ablate table   {ours:6.2f} s")
        print(f"  matplotlib and pandas         {peer:6.2f} s   {peer / ours:.1f} times as long")
        span = timed([[ABLATE, "report", "spec.yaml"]], folder)
        page = there / "results/spec/report.html"
        print(f"  ablate report                 {span:6.2f} s   {page.stat().st_size / 1e6:.2f} MB")
        if shutil.which("chromium"):
            show = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/browser", "--dump-dom"]
            empty = there / "empty.html"
            empty.write_text("<p>nothing</p>")
            first = timed([[*show, empty.as_uri()]], folder, 3)
            both = timed([[*show, page.as_uri()]], folder, 3)
            print(f"  a browser shows it within     {both - first:6.2f} s of an empty page")


main()
