#!/usr/bin/env python3
"""Planning and a run with nothing to do, side by side with ninja, GNU make and Snakemake on the same work:
S chains of train, sample and evaluate on one dataset, and one node that reads all scores' samples. Needs
target/release/ablate and the fake worker; installs ninja and Snakemake into a venv of its own:

    cargo build --release --bins --examples && python3 benches/planning.py [--largest 300000] [--short]

Every node of ours is a job for a worker that makes nothing of it; every node of the others is a shell that
writes a line. A tool that would take longer than ten minutes to finish its nodes first is left out there.
"""
import argparse, os, pathlib, platform, statistics, subprocess, sys, tempfile, time

root = pathlib.Path(__file__).resolve().parent.parent
ablate = root / "target/release/ablate"
fake = root / "target/release/examples/fake-worker"
PEERS = ["ninja==1.13.0", "snakemake==9.13.4"]


def run(command, cwd, times=1):
    """Median seconds, and the largest memory in MB, of a command that must succeed."""
    spans, memory = [], 0
    for _ in range(times):
        begin = time.perf_counter()
        child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        spans.append(time.perf_counter() - begin)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{command} ended with {child.returncode}")
        memory = max(memory, usage.ru_maxrss / 1024)
    return statistics.median(spans), memory


def spec(chains):
    seeds = 10 if chains >= 100 else 1
    rates = ", ".join(f"{1e-5 * (i + 1):.6g}" for i in range(chains // seeds))
    return f"""question: how fast is planning?
vars: {{ rate: 0.5, seed: 0 }}
nodes:
  maps: {{ dataset: {{ log_normal_fields: {{ side: 16, maps: 40 }} }} }}
  net: {{ train: {{ data: maps, optimizer: {{ adamw: {{ learning_rate: $rate }} }}, steps: 100, seed: $seed }} }}
  draw: {{ sample: {{ from: net, count: 8, seed: $seed }} }}
  score: {{ evaluate: {{ samples: draw, reference: maps, measures: [power_spectrum] }} }}
  all: {{ evaluate: {{ samples: {{ node: draw, over: all }}, reference: maps, measures: [power_spectrum] }} }}
sweeps:
  main: {{ product: {{ rate: [{rates}] }}, seeds: {seeds} }}
"""


def ninja_file(chains):
    lines = ["rule node", "  command = echo made > $out", "build maps: node"]
    for i in range(chains):
        lines += [f"build net{i}: node maps", f"build draw{i}: node net{i}", f"build score{i}: node draw{i}"]
    lines.append("build all: node " + " ".join(f"score{i}" for i in range(chains)))
    return "\n".join(lines) + "\ndefault all\n"


def makefile(chains):
    lines = ["all: " + " ".join(f"score{i}" for i in range(chains)), "\techo made > $@", "maps:", "\techo made > $@"]
    for i in range(chains):
        for target, source in [(f"net{i}", "maps"), (f"draw{i}", f"net{i}"), (f"score{i}", f"draw{i}")]:
            lines += [f"{target}: {source}", "\techo made > $@"]
    return "\n".join(lines) + "\n"


def snakefile(chains):
    return f"""rule all_scores:
    input: expand("score{{i}}", i=range({chains}))
    output: "all"
    shell: "echo made > {{output}}"
rule maps:
    output: "maps"
    shell: "echo made > {{output}}"
rule net:
    input: "maps"
    output: "net{{i}}"
    shell: "echo made > {{output}}"
rule draw:
    input: "net{{i}}"
    output: "draw{{i}}"
    shell: "echo made > {{output}}"
rule score:
    input: "draw{{i}}"
    output: "score{{i}}"
    shell: "echo made > {{output}}"
"""


def tools(venv):
    """Name, file and its text, command that plans, command that runs, most nodes that it finishes in time."""
    ninja, snakemake = venv / "bin/ninja", venv / "bin/snakemake"
    snake = [snakemake, "-s", "Snakefile", "--cores", "2", "-q"]
    return [
        ("ablate", "spec.yaml", spec, [ablate, "plan", "spec.yaml"], [ablate, "run", "spec.yaml"], 30_000),
        ("ninja", "build.ninja", ninja_file, [ninja, "-n"], [ninja], 30_000),
        ("GNU make", "Makefile", makefile, ["make", "-n"], ["make", "-s", "-j2"], 30_000),
        ("Snakemake", "Snakefile", snakefile, [*snake, "-n"], snake, 3_000),
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--largest", type=int, default=300_000, help="nodes of the largest graph")
    parser.add_argument("--short", action="store_true", help="300 and 3,000 nodes without Snakemake")
    asked = parser.parse_args()
    sizes = [300, 3_000] if asked.short else [n for n in (300, 3_000, 30_000, 300_000) if n <= asked.largest]
    os.environ.update(ABLATE_WORKER=str(fake), ABLATE_FAKE_STEPS="1", CI="1")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        venv = folder / "venv"
        peers = PEERS[:1] if asked.short else PEERS
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", *peers], check=True)
        cores = len(os.sched_getaffinity(0))
        print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}; {', '.join(peers)}; medians of 5")
        print(f"{'nodes':>8}  {'tool':10}{'plan s':>9}{'÷ ninja':>9}{'MB':>7}{'no-op s':>9}{'÷ ninja':>9}{'MB':>7}")
        for nodes in sizes:
            measured = {}
            for name, file, write, plan, work, most in tools(venv):
                if (asked.short and name == "Snakemake") or (name == "Snakemake" and nodes > 3_000):
                    continue
                here = folder / f"{name.replace(' ', '-')}-{nodes}"
                here.mkdir()
                (here / file).write_text(write(nodes // 3))
                times = 1 if name == "Snakemake" else 5
                planned = run(plan, here, times)
                idle = None
                if nodes <= most:
                    run(work, here)
                    run(work, here)
                    idle = run(work, here, times)
                measured[name] = (planned, idle)
            for name, (planned, idle) in measured.items():
                cells = f"{planned[0]:9.3f}{planned[0] / measured['ninja'][0][0]:9.2f}{planned[1]:7.0f}"
                if idle:
                    cells += f"{idle[0]:9.3f}{idle[0] / measured['ninja'][1][0]:9.2f}{idle[1]:7.0f}"
                print(f"{nodes:>8}  {name:10}{cells}", flush=True)


main()
