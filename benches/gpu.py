#!/usr/bin/env python3
"""What only a GPU shows: 24 small trainings one, two and four to a card; a kill in the middle and what the weights are
after going on; and what follows when two nodes on a card find too little memory.

    make build && LD_LIBRARY_PATH=<lib of the CUDA libtorch> python3 benches/gpu.py [--devices cuda:0]

With `--devices cpu:2` the same commands run without a GPU, to try this script. Takes about ten minutes on one card."""
import argparse, hashlib, json, os, pathlib, signal, subprocess, sys, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ABLATE = ROOT / "target/release/ablate"

SPEC = """
question: how do trainings share a card?
vars: {{ seed: 0 }}
nodes:
  maps: {{ dataset: {{ log_normal_fields: {{ side: 32, maps: 512, seed: 7 }} }} }}
  net:
    train:
      data: maps
      model: {{ unet: {{ width: {width}, multipliers: [1, 2], groups: 4, padding: circular }} }}
      objective: {{ ddpm: {{ prediction: v }} }}
      batch: {batch}
      steps: {steps}
      validation: off
      seed: $seed
    run: {{ checkpoint: 5s, gpus: {share} }}
sweeps: {{ main: {{ seeds: {seeds} }} }}
"""


def start(folder, devices, **settings):
    there = pathlib.Path(folder, "spec.yaml")
    there.write_text(SPEC.format(**{"width": 16, "batch": 32, "steps": 600, "share": 1.0, "seeds": 1} | settings))
    return subprocess.Popen([ABLATE, "run", "spec.yaml", "--devices", devices, "--json"], cwd=folder,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(child):
    said = child.communicate()[0]
    if child.returncode:
        sys.exit(said[-3000:])
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def utilisation(stop, found):
    while not stop.wait(1.0):
        try:
            said = subprocess.run(["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"],
                                  capture_output=True, text=True).stdout.split()
            found.extend(float(word) for word in said[:1])
        except (OSError, ValueError):
            return


def packing(devices):
    print(f"24 trainings on {devices}, a share of the card each")
    alone = None
    for share in (1.0, 0.5, 0.25):
        with tempfile.TemporaryDirectory() as folder:
            stop, found = threading.Event(), []
            watch = threading.Thread(target=utilisation, args=(stop, found))
            watch.start()
            begin = time.time()
            finish(start(folder, devices, seeds=24, share=share))
            span = time.time() - begin
            stop.set()
            watch.join()
        alone = alone or span
        busy = f"{sum(found) / len(found):.0f} % busy" if found else "not seen how busy"
        print(f"  {share:4}: {span:7.1f} s, {alone / span:.2f} times as fast as one by one, {busy}", flush=True)


def weights(folder):
    files = sorted(pathlib.Path(folder).glob("results/nodes/train-*/last.safetensors"))
    return [hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files]


def resume(devices):
    with tempfile.TemporaryDirectory() as folder:
        finish(start(folder, devices, steps=3000))
        whole = weights(folder)
    with tempfile.TemporaryDirectory() as folder:
        child = start(folder, devices, steps=3000)
        for line in child.stdout:
            if '"progress"' in line and json.loads(line)["step"] > 1500:
                child.send_signal(signal.SIGKILL)
                break
        child.wait()
        finish(start(folder, devices, steps=3000))
        print(f"killed halfway: weights {'equal' if weights(folder) == whole else 'DIFFER'}, {whole}")


def memory(devices, batch):
    with tempfile.TemporaryDirectory() as folder:
        lines = finish(start(folder, devices, seeds=2, share=0.5, width=64, batch=batch, steps=20))
        failed = [line for line in lines if line["event"] == "failed"]
        for line in failed:
            print(f"  {line['name']} [{line['class']}] again: {line['again']}: {line['message'][:100]}")
        print(f"two nodes of a batch of {batch}: {len(failed)} failed once, and both are done")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", default="cuda:0")
    parser.add_argument("--batch", type=int, default=16384, help="so large that two do not fit on a card and one does")
    asked = parser.parse_args()
    packing(asked.devices)
    resume(asked.devices)
    memory(asked.devices, asked.batch if asked.devices.startswith("cuda") else 8)
