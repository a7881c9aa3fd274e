#!/usr/bin/env python3
"""What `ablate` itself costs: commands that compute nothing, and a run with nothing to do, on a graph of 3,000 nodes, as
ratios to starting a process that does nothing. Needs target/release/ablate and the fake worker:

    cargo build --release --bins --examples && python3 benches/overhead.py
"""
import os, pathlib, statistics, subprocess, tempfile, time

root = pathlib.Path(__file__).resolve().parent.parent
ablate = root / "target/release/ablate"
fake = root / "target/release/examples/fake-worker"

SPEC = """
question: what does the coordinator cost?
vars: { schedule: linear, rate: 1e-3, nfe: 10, seed: 0 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  net:
    train: { data: maps, objective: { ddpm: { schedule: $schedule } }, optimizer: { adamw: { learning_rate: $rate } }, steps: 100, seed: $seed }
  draw: { sample: { from: net, sampler: { ddim: { steps: $nfe } }, count: 8, seed: $seed } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
figures: { spectra: { spectrum: { sweep: main, of: score.power_spectrum, lines: schedule, at: { rate: 1e-3, nfe: 10 } } } }
tables: { main: { sweep: main, columns: [score.power_spectrum.error] } }
sweeps:
  main: { product: { schedule: [linear, cosine], rate: [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 7e-4, 8e-4, 9e-4, 1e-3], nfe: [10, 20, 30, 40, 50, 60, 70] }, seeds: 10 }
"""


POINT = "[schedule=linear,rate=0.001,nfe=10,seed=0]"
COMMANDS = [words.split() for words in (
    "check spec.yaml", "schema", "devices", f"why score.power_spectrum{POINT}", f"show score.power_spectrum{POINT}",
    f"log score.power_spectrum{POINT}", f"compare draw{POINT} draw{POINT.replace('=10', '=20')}",
    "export spec.yaml", "table spec.yaml", "figure spec.yaml", "report spec.yaml", "graph spec.yaml", "clean", "verify", "rebuild",
    "completions bash")]


def median_ms(command, times=20):
    spans = []
    for _ in range(times):
        begin = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        spans.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(spans)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    pathlib.Path("spec.yaml").write_text(SPEC)
    os.environ.update(ABLATE_WORKER=str(fake), CI="1", ABLATE_FAKE_STEPS="1")
    begin = time.perf_counter()
    subprocess.run([ablate, "run", "spec.yaml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    first = time.perf_counter() - begin
    nodes = int(subprocess.run([ablate, "query", "select count(*) from nodes", "--csv"], capture_output=True, text=True).stdout.split()[1])
    nothing = median_ms(["/bin/true"])
    print(f"graph of {nodes} nodes; first run with the fake worker {first:.1f} s, {1e3 * first / nodes:.1f} ms a node")
    print(f"{'':28}{'ms':>8}{'× starting a process':>24}")
    for name, command in [
        ("a process that does nothing", ["/bin/true"]),
        ("ablate --version", [ablate, "--version"]),
        ("ablate status", [ablate, "status"]),
        ("ablate plan", [ablate, "plan", "spec.yaml"]),
        ("ablate run, nothing to do", [ablate, "run", "spec.yaml"]),
        *((f"ablate {words[0]}", [ablate, *words]) for words in COMMANDS),
        ("ablate query", [ablate, "query", "select 1"]),
    ]:
        span = median_ms(command, 20 if command[1:] and command[1] in ("plan", "run", "status") else 5)
        print(f"{name:28}{span:8.1f}{span / nothing:24.1f}")
