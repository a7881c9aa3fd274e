#!/usr/bin/env python3
"""How the time of a training step grows with the side of the maps, the width of the network and the batch, beside
PyTorch's, as a table and a figure.

    make bench-growth [ARGS="--threads 2 --device cuda --figure growth.svg"]

A U-Net of width 16 with two levels, circular padding and no attention, 32², batch 8; one of the three changes at a time."""
import argparse, pathlib, sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent)), sys.path.insert(0, str(HERE))
from common import arguments, nodes  # noqa: E402
from training import ours, theirs  # noqa: E402

BASE = dict(side=32, width=16, batch=8)
SERIES = dict(side=[16, 32, 64, 128], width=[8, 16, 32, 64], batch=[2, 8, 32, 128])
NODE = """  {name}:
    train: {{ data: maps{side}, model: {{ unet: {{ width: {width}, multipliers: [1, 2], groups: 4, attention: false, padding: circular }} }}, objective: ddpm, batch: {batch}, steps: 1, validation: off }}
"""


def name(point):
    return "side{side}_width{width}_batch{batch}".format(**point)


def figure(path, rows):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib import ticker
    plt.rcParams.update({"font.size": 9, "svg.fonttype": "none"})
    shown, panels = plt.subplots(1, 3, figsize=(7, 2.4), sharey=True, layout="constrained")
    for panel, (what, values) in zip(panels, SERIES.items()):
        for who, colour, mark in (("PyTorch", "#0072B2", "s"), ("ablate", "#D55E00", "o")):
            panel.plot(values, [1e3 * rows[what, value][who] for value in values], color=colour, marker=mark, label=who)
        panel.set(xscale="log", yscale="log", xlabel={"side": "side of the maps (pixels)", "width": "width of the network", "batch": "batch"}[what])
        panel.set_xticks(values, map(str, values))
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("step (ms)")
    panels[0].legend(frameon=False)
    shown.savefig(path)


def main():
    parser = argparse.ArgumentParser()
    arguments(parser, "growth")
    parser.add_argument("--figure", type=pathlib.Path, help="where to draw it")
    given = parser.parse_args()
    given.programs, given.precision, given.batch = given.programs.resolve(), "f32", 0
    threads = int(given.threads.split(",")[-1])
    points = {(what, value): dict(BASE, **{what: value}) for what, values in SERIES.items() for value in values}
    maps = "".join(f"  maps{side}: {{ dataset: {{ log_normal_fields: {{ side: {side}, maps: 256 }} }} }}\n" for side in SERIES["side"])
    trains = "".join(NODE.format(name=name(point), **point) for point in {name(p): p for p in points.values()}.values())
    given.results.mkdir(parents=True, exist_ok=True)
    spec = given.results / "growth.yaml"
    spec.write_text(f"question: How does a step grow?\nnodes:\n{maps}{trains}")
    known = nodes(given, spec, {name(point) for point in points.values()})
    rows, measured = {}, {}
    print(f"{'what':8} {'':>5} {'PyTorch ms':>11} {'ablate ms':>10} {'ratio':>6}")
    for (what, value), point in points.items():
        if name(point) not in measured:
            work = point["side"] ** 2 * point["width"] ** 2 * point["batch"] / (32 ** 2 * 16 ** 2 * 8)
            steps = 500 if given.device == "cuda" else max(4, min(200, int(100 / work)))
            case = (name(point), (max(2, steps // 5), steps))
            measured[name(point)] = {"PyTorch": theirs(case, given, threads, "f32")["seconds"],
                                     "ablate": ours(case, given, threads, "f32", known[name(point)][0])["seconds"]}
        rows[what, value] = row = measured[name(point)]
        print(f"{what:8} {value:5} {1e3 * row['PyTorch']:11.1f} {1e3 * row['ablate']:10.1f} {row['PyTorch'] / row['ablate']:6.2f}", flush=True)
    if given.figure:
        figure(given.figure, rows)


if __name__ == "__main__":
    main()
