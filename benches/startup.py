#!/usr/bin/env python3
"""From a worker's start to its first step, cold and as a later job of a warm one, beside Python that imports PyTorch and
trains the same network.

    make bench-startup

The network is that of the quickstart: a U-Net of width 16, 32², batch 8. Medians of some starts on one thread; the files
are in the system's memory."""
import argparse, json, pathlib, statistics, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from common import ENVIRONMENT, arguments, nodes, write_job  # noqa: E402


def starts(given, node):
    """Milliseconds of a new worker to its greeting and to the first step, and of a second job to its first."""
    data = given.results / "nodes" / node["inputs"]["data"]["folder"]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        job = dict(key=node["key"], kind="train", settings=dict(node["settings"], steps=3), threads=1,
                   inputs=dict(data=dict(folder=str(data), port="train")))
        paths = [write_job(given, pathlib.Path(folder), job) for folder in (one, other)]
        begin = time.perf_counter()
        process = subprocess.Popen([given.programs / "ablate-worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        spans = []

        def until(*names):
            while (event := json.loads(process.stdout.readline()))["event"] not in names:
                if event["event"] == "failed":
                    sys.exit(event)
            spans.append(1e3 * (time.perf_counter() - begin))

        until("hello")
        for path in paths:
            if path == paths[1]:
                begin = time.perf_counter()
            process.stdin.write(f"{path}\n"), process.stdin.flush()
            until("progress")
            until("done")
        process.stdin.close()
        process.wait()
    hello, first, _, second, _ = spans
    return hello, first, second


def main():
    parser = argparse.ArgumentParser()
    arguments(parser, "training")
    given = parser.parse_args()
    given.programs = given.programs.resolve()
    known = nodes(given, HERE / "training/spec.yaml", ["quickstart"])
    times = 3 if given.short else 10
    ours = [statistics.median(all) for all in zip(*(starts(given, known["quickstart"][0]) for _ in range(times)))]

    def seconds(command):
        begin = time.perf_counter()
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        return 1e3 * (time.perf_counter() - begin)

    bare = [sys.executable, "-c", "import torch"]
    step = [sys.executable, HERE / "training/training.py", "--peer", "quickstart", "--peer-threads", 1, "--warm", 0,
            "--steps", 1, "--device", given.device, "--results", given.results]
    imported, first = (statistics.median(seconds(command) for _ in range(times)) for command in (bare, step))
    rows = [("a worker greets", ours[0]), ("a worker's first step", ours[1]), ("a warm worker's first step", ours[2]),
            ("Python has imported PyTorch", imported), ("Python's first step, and its end", first)]
    for name, span in rows:
        print(f"{name:34}{span:8.1f} ms")
    print(f"to the first step {first / ours[1]:.1f} times as fast as Python, warm {first / ours[2]:.0f} times")


if __name__ == "__main__":
    main()
