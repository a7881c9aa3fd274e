#!/usr/bin/env python3
"""How long a training waits for its data: a file of 15,000 maps of 256², 3.9 GB, that is mapped and not held in memory,
and networks from one that does next to nothing to a small U-Net, on a CPU or a GPU.

    make bench-data [ARGS="--maps 15000 --device cuda --folder /scratch"]

Writes the file unless it is there. Prints milliseconds a step, the share of it that was waited for a batch, and what the
same steps take on a file that is small enough to be held in memory."""
import argparse, json, os, pathlib, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import ROOT, done  # noqa: E402

SPEC = """
question: does a training wait for its data?
nodes:
  maps: {{ dataset: {{ npy: {{ file: "{file}", box_mpc_h: 25, transform: log_zscore }} }} }}
  net:
    train: {{ data: maps, model: {model}, objective: ddpm, batch: {batch}, steps: {steps}, validation: off, ema: off }}
    run: {{ checkpoint: 1h }}
"""
MODELS = {
    "next to nothing": ("{ dit: { patch: 64, width: 16, depth: 1, heads: 1 } }", 200),
    "small U-Net": ("{ unet: { width: 8, multipliers: [1, 2], groups: 4, attention: false } }", 8),
}


def write(path, maps):
    """Log-normal maps of white noise: what is in them does not matter here."""
    import numpy
    random = numpy.random.default_rng(0)
    out = numpy.lib.format.open_memmap(path, "w+", numpy.float32, (maps, 256, 256))
    for first in range(0, maps, 256):
        part = out[first:first + 256]
        part[:] = numpy.exp(random.standard_normal(part.shape, numpy.float32))
    out.flush()


def train(given, file, model, batch, steps):
    """Milliseconds a step, and the share of the time that was waited."""
    with tempfile.TemporaryDirectory() as folder:
        spec = pathlib.Path(folder, "spec.yaml")
        spec.write_text(SPEC.format(file=file, model=model, batch=batch, steps=steps))
        given.results = pathlib.Path(folder, "results")
        said = subprocess.run([given.programs / "ablate", "--results", given.results, "run", spec, "--devices", given.device + ":0" * (given.device == "cuda")],
                              capture_output=True, text=True, env=dict(os.environ, RAYON_NUM_THREADS=str(given.threads)))
        if said.returncode:
            sys.exit(said.stdout[-2000:] + said.stderr[-2000:])
        costs = json.loads((done(given)["net"][1] / "costs.json").read_text())
    return 1e3 * costs["seconds"] / steps, costs.get("waiting_seconds", 0.0) / costs["seconds"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--maps", type=int, default=15000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1, help="that draw and read beside the one that learns")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()), help="where the file is")
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target/release")
    given = parser.parse_args()
    given.programs = given.programs.resolve()
    large, small = (given.folder / f"ablate-bench-{n}.npy" for n in (given.maps, 1000))
    for path, maps in ((large, given.maps), (small, 1000)):
        if not path.exists():
            write(path, maps)
    print(f"{'network':16} {'mapped ms':>10} {'waited':>7} {'held ms':>8} {'waited':>7}")
    for name, (model, steps) in MODELS.items():
        mapped, waited = train(given, large, model, given.batch, steps)
        held, little = train(given, small, model, given.batch, steps)
        print(f"{name:16} {mapped:10.1f} {100 * waited:6.1f}% {held:8.1f} {100 * little:6.1f}%", flush=True)


if __name__ == "__main__":
    main()
