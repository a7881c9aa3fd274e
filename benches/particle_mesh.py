#!/usr/bin/env python3
"""Seconds a box of `particle_mesh_fields` (64^3 particles, 64^3 mesh, 7 steps, 15 maps): the worker beside
the same algorithm in NumPy, in one run, one thread each. Needs `make build` and the Python of `make python`.

The NumPy half has the same transforms, deposits, gathers and steps; its linear power is a power law, which
costs the same. That both algorithms agree is what tests/golden shows."""
import json, os, pathlib, subprocess, tempfile, time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np

root = pathlib.Path(__file__).resolve().parent.parent
SIDE, STEPS, SLABS, BOX, OMEGA = 64, 7, 5, 25.0, 0.3


class Lattice:
    def __init__(self, n):
        fundamental = 2 * np.pi / BOX
        whole, half = np.rint(np.fft.fftfreq(n) * n) * fundamental, np.arange(n // 2 + 1) * fundamental
        self.n, self.k = n, [whole[:, None, None], whole[None, :, None], half[None, None, :]]
        self.k2 = sum(k**2 for k in self.k)
        self.k2[0, 0, 0] = 1
        self.odd = [k.copy() for k in self.k]
        self.odd[0][n // 2], self.odd[1][:, n // 2], self.odd[2][..., n // 2] = 0, 0, 0

    def back(self, modes):
        return np.fft.irfftn(modes, s=(self.n,) * 3, axes=(0, 1, 2))


def displacements(lattice, white):
    amplitude = np.sqrt(50.0 * lattice.k2**-1.0 * (lattice.n / BOX) ** 3)
    amplitude[0, 0, 0] = 0
    phi = -np.fft.rfftn(white) * amplitude / lattice.k2
    phi[0, 0, 0] = 0
    first = [lattice.back(-1j * k * phi) for k in lattice.odd]
    xx, yy, zz = (lattice.back(-k * k * phi) for k in lattice.k)
    source = xx * yy + xx * zz + yy * zz
    for a, b in ((0, 1), (0, 2), (1, 2)):
        source = source - lattice.back(-lattice.odd[a] * lattice.odd[b] * phi) ** 2
    second = -np.fft.rfftn(source) / lattice.k2
    second[0, 0, 0] = 0
    return first, [-3 / 7 * lattice.back(1j * k * second) for k in lattice.odd]


def corners(x, n):
    u = [c * (n / BOX) for c in x]
    low = [np.floor(c) for c in u]
    share = [c - l for c, l in zip(u, low)]
    low = [l.astype(np.int64) % n for l in low]
    high = [(l + 1) % n for l in low]
    for bits in range(8):
        up = [bits >> axis & 1 for axis in (2, 1, 0)]
        i, j, k = (high[a] if up[a] else low[a] for a in range(3))
        wx, wy, wz = (share[a] if up[a] else 1 - share[a] for a in range(3))
        yield (i * n + j) * n + k, wx * wy * wz


def box(seed):
    lattice = Lattice(SIDE)
    first, second = displacements(lattice, np.random.default_rng(seed).standard_normal((SIDE,) * 3))
    q = np.arange(SIDE) * BOX / SIDE
    grid = [q[:, None, None], q[None, :, None], q[None, None, :]]
    x = [np.mod((grid[i] + 0.1 * first[i] + 0.01 * second[i]).ravel(), BOX) for i in range(3)]
    p = [(0.03 * first[i]).ravel() for i in range(3)]

    def force():
        all_corners = list(corners(x, SIDE))
        density = sum(np.bincount(i, w, SIDE**3) for i, w in all_corners).reshape((SIDE,) * 3) - 1
        modes = np.fft.rfftn(density) / lattice.k2
        modes[0, 0, 0] = 0
        out = []
        for k in lattice.odd:
            component = lattice.back(1j * k * modes).ravel()
            out.append(sum(w * component[i] for i, w in all_corners))
        return out

    f = force()
    for _ in range(STEPS):
        p = [a + 0.05 * b for a, b in zip(p, f)]
        x = [np.mod(a + 0.05 * b, BOX) for a, b in zip(x, p)]
        f = force()
        p = [a + 0.05 * b for a, b in zip(p, f)]
    maps = []
    for axis in range(3):
        slab = np.floor(x[axis] * (SLABS / BOX)).astype(np.int64) % SLABS
        a, b = (x[i] for i in range(3) if i != axis)
        for s in range(SLABS):
            u, v = a[slab == s] * (SIDE / BOX), b[slab == s] * (SIDE / BOX)
            i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
            du, dv = u - i, v - j
            plane = np.zeros(SIDE * SIDE)
            for da, wa in ((0, 1 - du), (1, du)):
                for db, wb in ((0, 1 - dv), (1, dv)):
                    plane += np.bincount((i + da) % SIDE * SIDE + (j + db) % SIDE, wa * wb, SIDE * SIDE)
            maps.append(plane)
    return maps


def numpy_seconds(boxes):
    box(0)
    begun = time.perf_counter()
    for seed in range(boxes):
        box(seed)
    return (time.perf_counter() - begun) / boxes


def ablate_seconds(few, many):
    """What the larger dataset takes longer, a simulation."""
    took = {}
    for simulations in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            spec = pathlib.Path(folder) / "spec.yaml"
            settings = json.dumps({"side": SIDE, "simulations": simulations, "steps": STEPS, "slabs": SLABS})
            spec.write_text(f"question: how fast?\nnodes: {{ maps: {{ dataset: {{ particle_mesh_fields: {settings} }} }} }}\n")
            begun = time.perf_counter()
            subprocess.run([root / "target/release/ablate", "run", spec, "--results", f"{folder}/results"],
                           check=True, capture_output=True)
            took[simulations] = time.perf_counter() - begun
    return (took[many] - took[few]) / (many - few)


peer, ours = numpy_seconds(5), ablate_seconds(5, 45)
print(f"NumPy {np.__version__}: {peer:.3f} s a box; ablate: {ours:.3f} s a box; {peer / ours:.1f} times as fast")
