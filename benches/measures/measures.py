#!/usr/bin/env python3
"""Measures of ablate beside Pylians, powerbox, NumPy, SciPy and torch-fidelity, on the same arrays in memory and by as
many threads, one after the other: power spectra of 1,000 maps of 256² and of a box of 128³, the one-point density of
those maps' pixels, the Wasserstein distance of a fifth of them, the Fréchet distance of 10,000 features of 512 numbers.

    make bench-measures [ARGS="--short | --threads 1,2"]

A peer that is not installed is left out. Each figure is the least of some runs. `agree` is the largest relative difference between what both measured, bin by bin;
Pylians calculates in 32 bits, we in 64."""
import argparse, json, os, pathlib, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BOX, BINS, LOW, HIGH = 25.0, 50, 0.0, 8.0


def timed(work, runs=3):
    """The least seconds of some runs, and what the last one gave."""
    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        out = work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds), out


def write(folder, maps, side, features):
    """The arrays: log-normal densities with a falling spectrum, and two sets of features."""
    import numpy
    random = numpy.random.default_rng(0)

    def density(shape):
        modes = numpy.fft.rfftn(random.standard_normal(shape))
        k2 = sum(numpy.square(n) for n in numpy.meshgrid(
            *[numpy.fft.fftfreq(n) * n for n in shape[:-1]], numpy.arange(shape[-1] // 2 + 1), indexing="ij"))
        field = numpy.fft.irfftn(modes / (1 + k2) ** 0.75, shape)
        field = numpy.exp(field / field.std() * 0.8)
        return field / field.mean()

    numpy.save(folder / "maps.npy", numpy.stack([density((256, 256)) for _ in range(maps)]).astype(numpy.float32))
    numpy.save(folder / "box.npy", density((side,) * 3).astype(numpy.float32)[None])
    mix = random.standard_normal((512, 512)) / 512 ** 0.5
    for name, shift in (("a", 0.0), ("b", 0.1)):
        numpy.save(folder / f"features_{name}.npy", random.standard_normal((features, 512)) @ mix + shift)


def peer(folder, threads):
    """Measures in this process; prints seconds and values by name and peer."""
    import importlib
    import numpy
    import torch
    torch.set_num_threads(threads)
    maps, box = numpy.load(folder / "maps.npy"), numpy.load(folder / "box.npy")[0]
    out = {}

    def note(name, peer, work, value, runs=3, times=1):
        """Notes what a peer takes, which is its module's name too, if it is installed."""
        try:
            module = importlib.import_module({"Pylians": "Pk_library", "powerbox": "powerbox", "NumPy": "numpy", "SciPy": "scipy.stats",
                                              "torch-fidelity": "torch_fidelity.metric_fid"}[peer])
        except ImportError:
            return
        seconds, result = timed(lambda: work(module), runs)
        out.setdefault(name, {})[peer] = {"seconds": seconds * times, "value": value(result)}

    def contrast(field):
        return field / field.mean(dtype=numpy.float64).astype(numpy.float32) - numpy.float32(1)

    plane = lambda pylians: [pylians.Pk_plane(contrast(field), BOX, "CIC", threads, verbose=False) for field in maps]
    note("maps", "Pylians", plane, lambda all: all[0].Pk.tolist())
    cube = lambda pylians: pylians.Pk(contrast(box), BOX, 0, "CIC", threads, verbose=False)
    note("box", "Pylians", cube, lambda p: p.Pk[:, 0].tolist())
    by_powerbox = lambda powerbox, field: powerbox.get_power(contrast(field).astype(float), BOX, bins=field.shape[0] // 2, bins_upto_boxlen=True, nthreads=threads)
    few = maps[:max(1, len(maps) // 20)]
    note("maps", "powerbox", lambda powerbox: [by_powerbox(powerbox, field) for field in few], lambda all: None, 1, len(maps) / len(few))
    note("box", "powerbox", lambda powerbox: by_powerbox(powerbox, box), lambda p: None, 1)
    edges = numpy.linspace(LOW, HIGH, BINS + 1)
    pixels = maps.astype(float).ravel()
    note("density", "NumPy", lambda numpy: numpy.histogram(pixels, edges, density=True)[0], lambda p: p.tolist())
    a, b = numpy.split(pixels[:len(pixels) // 5], 2)
    note("wasserstein", "SciPy", lambda stats: stats.wasserstein_distance(a, b), float, 1)
    sets = [torch.from_numpy(numpy.load(folder / f"features_{name}.npy")) for name in "ab"]
    distance = lambda fid: fid.fid_statistics_to_metric(*map(fid.fid_features_to_statistics, sets), verbose=False)
    note("frechet", "torch-fidelity", distance, lambda d: float(next(iter(d.values()))), 5)
    print(json.dumps(out))


def agree(ours, theirs):
    """The largest relative difference of two lists or numbers; None where there is nothing to compare."""
    if theirs is None:
        return None
    pairs = zip(ours, theirs) if isinstance(ours, list) else [(ours, theirs)]
    return max(abs(a - b) / max(abs(b), 1e-12) for a, b in pairs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--short", action="store_true", help="some seconds, to see that it works")
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target/release", help="where examples/measures is")
    parser.add_argument("--peer", type=pathlib.Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        return peer(given.peer, int(given.threads))
    print(f"{'measure':12} {'threads':>7} {'peer':16} {'peer s':>9} {'ablate s':>9} {'ratio':>6} {'agree':>8}")
    with tempfile.TemporaryDirectory() as folder:
        write(pathlib.Path(folder), *((20, 64, 1000) if given.short else (1000, 128, 10000)))
        for threads in given.threads.split(","):
            environment = dict(os.environ, OMP_NUM_THREADS=threads)
            said = lambda command: json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)
            theirs = said([sys.executable, __file__, "--peer", folder, "--threads", threads])
            ours = said([given.programs.resolve() / "examples/measures", folder, threads])
            for name, mine in ours.items():
                for who, them in theirs.get(name, {}).items():
                    close = agree(mine["value"], them["value"])
                    print(f"{name:12} {threads:>7} {who:16} {them['seconds']:9.4f} {mine['seconds']:9.4f} "
                          f"{them['seconds'] / mine['seconds']:6.2f} {'-' if close is None else f'{close:.0e}':>8}", flush=True)


if __name__ == "__main__":
    main()
