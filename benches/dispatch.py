#!/usr/bin/env python3
"""What a node costs beside its own work: dispatch of trivial nodes beside `xargs -P2`, `ninja -j2` and `snakemake -j2`
running as many trivial commands, warm beside cold workers, the time to the first node, and the coordinator's memory.

    cargo build --release --bins --examples && python3 benches/dispatch.py [--long]

`--long` adds 30,000 nodes and the memory at 100,000. Nodes are those of the fake worker, which does nothing but write
its files; a durable record of each (synced files, a row of the database) is made as always. Ratios are of one run."""
import argparse, json, os, pathlib, resource, shutil, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ABLATE = ROOT / "target/release/ablate"
FAKE = ROOT / "target/release/examples/fake-worker"
WORKER = ROOT / "target/release/ablate-worker"

TRIVIAL = """
question: what does a node cost?
vars: {{ seed: 0 }}
nodes:
  maps: {{ dataset: {{ log_normal_fields: {{ side: 16, maps: 40, seed: $seed }} }} }}
sweeps:
  main: {{ seeds: {n} }}
"""

SHORT = """
question: what does a warm worker save?
vars: { seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  net: { train: { data: maps, model: { unet: { width: 8, multipliers: [1, 2], groups: 4, attention: false } }, objective: { ddpm: {} }, batch: 2, steps: 2, validation: off } }
  draw: { sample: { from: net, sampler: { ddim: { steps: 1, clip: 6 } }, count: 2, batch: 2, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [one_point] } }
sweeps:
  main: { seeds: 100 }
"""


def run(spec, folder, worker, arguments=(), steps="1"):
    """Seconds of a whole run, and its JSON lines."""
    pathlib.Path(folder, "spec.yaml").write_text(spec)
    environment = dict(os.environ, ABLATE_WORKER=str(worker), ABLATE_FAKE_STEPS=steps)
    begin = time.perf_counter()
    done = subprocess.run([ABLATE, "run", "spec.yaml", "--json", "--devices", "cpu:2", *arguments], cwd=folder,
                          env=environment, capture_output=True, text=True)
    span = time.perf_counter() - begin
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr)
    return span, [json.loads(line) for line in done.stdout.splitlines()]


def timed(command, **more):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)
    return time.perf_counter() - begin


def dispatch(n):
    with tempfile.TemporaryDirectory() as folder:
        ours, lines = run(TRIVIAL.format(n=n), folder, FAKE)
        assert sum(line["event"] == "done" for line in lines) == n
    # A process and a file of each, as little as a command can do.
    with tempfile.TemporaryDirectory() as folder:
        numbers = "".join(f"{i}\n" for i in range(n))
        bare = timed(["xargs", "-P2", "-I{}", "cp", "/dev/null", "{}"], cwd=folder, input=numbers, text=True)
    rows = [("ablate", ours), ("xargs -P2 cp", bare)]
    if shutil.which("ninja"):
        with tempfile.TemporaryDirectory() as folder:
            rules = "rule r\n  command = cp /dev/null $out\n" + "".join(f"build {i}: r\n" for i in range(n))
            pathlib.Path(folder, "build.ninja").write_text(rules)
            rows.append(("ninja -j2 cp", timed(["ninja", "-j2", "--quiet"], cwd=folder)))
    # It takes minutes for more.
    if shutil.which("snakemake") and n <= 300:
        with tempfile.TemporaryDirectory() as folder:
            rules = f'rule all:\n    input: [f"out/{{i}}" for i in range({n})]\n' \
                    'rule r:\n    output: "out/{i}"\n    shell: "cp /dev/null {output}"\n'
            pathlib.Path(folder, "Snakefile").write_text(rules)
            quiet = dict(cwd=folder, stderr=subprocess.DEVNULL)
            rows.append(("snakemake -j2 cp", timed(["snakemake", "-j2", "--quiet", "all"], **quiet)))
    print(f"\n{n:,} trivial nodes, 2 slots{'':6}{'s':>8}{'ms a node':>12}{'× xargs':>10}")
    for name, span in rows:
        print(f"{name:28}{span:8.2f}{1e3 * span / n:12.2f}{span / bare:10.2f}", flush=True)


def warm():
    with tempfile.TemporaryDirectory() as folder:
        cold = pathlib.Path(folder, "cold.sh")
        cold.write_text(f'#!/bin/sh\nwhile read -r job; do [ "$job" = stop ] || {WORKER} "$job"; done\n')
        cold.chmod(0o755)
        os.environ.setdefault("LD_LIBRARY_PATH", str(ROOT / "libtorch/lib"))

        def beside(name, worker, seeds):
            """Seconds of the run, and of its slots those that no worker counts as its own work."""
            there = pathlib.Path(folder, f"{name}-{seeds}")
            there.mkdir()
            spec = SHORT.replace("seeds: 100", f"seeds: {seeds}")
            run(spec, there, worker, ["--until", "net"])
            span, _ = run(spec, there, worker)
            files = (there / "results/nodes").glob("[se]*-*/costs.json")
            return span, 2 * span - sum(json.loads(file.read_text())["seconds"] for file in files)

        print("\n200 short nodes, 2 slots            s   beside the work, ms a node")
        few = beside("warm", WORKER, 100)
        many = beside("warm", WORKER, 500)
        for name, (span, rest) in [("warm", few), ("cold", beside("cold", cold, 100))]:
            print(f"{name:28}{span:8.2f}{1e3 * rest / 200:12.2f}")
        print(f"800 more of them, warm      {many[0] - few[0]:8.2f}{1e3 * (many[1] - few[1]) / 800:12.2f}")


def first():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "spec.yaml").write_text(TRIVIAL.format(n=200))
        environment = dict(os.environ, ABLATE_WORKER=str(FAKE), ABLATE_FAKE_STEPS="1")
        begin = time.perf_counter()
        child = subprocess.Popen([ABLATE, "run", "spec.yaml", "--json"], cwd=folder, env=environment,
                                 stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            if '"started"' in line:
                print(f"\nfrom the command to the first node: {1e3 * (time.perf_counter() - begin):.0f} ms")
                break
        child.stdout.read()
        child.wait()


def memory(n):
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "spec.yaml").write_text(TRIVIAL.format(n=n))
        child = subprocess.Popen([ABLATE, "run", "spec.yaml", "--budget", "0.0001gpuh", "--devices", "cpu:2"], cwd=folder,
                                 env=dict(os.environ, ABLATE_WORKER=str(FAKE)), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(child.pid, 0)
        print(f"\ncoordinator with {n:,} nodes: {usage.ru_maxrss / 1024:.0f} MB at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    asked = parser.parse_args()
    first()
    dispatch(300)
    dispatch(3000)
    warm()
    if asked.long:
        dispatch(30000)
        memory(100000)
