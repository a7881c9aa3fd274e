#!/usr/bin/env python3
"""Training steps of the worker beside PyTorch 2.11, eager, and compiled where a C++ compiler is: the same network, the
same settings, one run on the same machine and threads.

    make bench-training [ARGS="--short | --cases notebook,dit_s2 --threads 1,2 --device cuda --precision f32,tf32,bf16 --compiled --keep"]

Each network in Python takes the weights of a train node of spec.yaml name by name, so both are the same; both do all of
a step: a batch, noise, forward, backward, clipping, AdamW, moving average. Each program runs in a process of its own, one
after the other; memory is the most that the process had. In the steps before those that are measured, both learn from the
same batches, times and noise, so that losses agree: their means over the steps of which the worker tells."""
import argparse, itertools, json, os, pathlib, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import ENVIRONMENT, arguments, done, network, nodes, run, start_worker  # noqa: E402

# Of both programs; the spec's is 0, which leaves the weights as they were drawn.
LEARNING_RATE = 1e-4
# Steps whose losses are compared, and steps that are measured, on a CPU.
CASES = {"quickstart": (20, 200), "notebook": (2, 8), "dit_s2": (2, 10), "default": (1, 3), "simple_unet_64": (1, 4),
         "simple_unet_256": (1, 3)}
CUDA = {"quickstart": (100, 2000), "notebook": (50, 500), "dit_s2": (50, 500), "default": (10, 100), "simple_unet_64": (20, 200),
        "simple_unet_256": (3, 20)}
# Batches on a GPU that are not those of the spec.
BATCHES = {"dit_s2": 128, "simple_unet_64": 64, "simple_unet_256": 64}
SHORT = {"quickstart": (10, 60), "dit_s2": (1, 3)}


def peer(given, node, folder):
    """Trains in this process; prints seconds a step and the losses of the steps before those that are measured."""
    import numpy
    import stream
    import torch
    from torch import nn
    from torch.nn import functional as F
    torch.set_num_threads(given.peer_threads)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high" if given.precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = given.precision == "tf32"
    half = torch.autocast(given.device, torch.bfloat16, enabled=given.precision == "bf16")
    settings, side = node["settings"], json.loads((folder / "dataset.json").read_text())["side"]
    device = torch.device(given.device)
    net = network(node, folder)
    net.to(device)
    adamw = settings["optimizer"]["adamw"]
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=adamw["weight_decay"])
    average = [p.detach().clone() for p in net.parameters()]
    levels = settings["objective"]["ddpm"]["timesteps"]
    distance = {"mse": F.mse_loss, "l2": F.mse_loss, "huber": F.smooth_l1_loss, "l1": F.l1_loss}
    distance = distance[str(settings["objective"]["ddpm"].get("loss", "mse"))]
    data = given.results / "nodes" / node["inputs"]["data"]["folder"]
    maps = torch.from_numpy(numpy.load(data / "train.npy")).reshape(-1, 1, side, side)
    transform = json.loads((data / "dataset.json").read_text())["transform"]
    maps = ((maps.log10() - transform["shift"]) / transform["scale"]).to(device)
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, levels), 0).to(device)
    forward = torch.compile(net) if given.compile else net
    sync = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    batch, losses = given.batch or settings["batch"], []
    for step in range(given.warm + given.steps):
        if step == given.warm:
            sync()
            begin = time.perf_counter()
        if step < given.warm:
            chosen, t, noise = stream.step(settings["seed"], step, len(maps), batch, levels, maps.shape[1:])
            x, t, noise = maps[chosen], torch.tensor(t, device=device), torch.from_numpy(noise).to(device)
        else:
            x = maps[torch.randperm(len(maps), device=device)[:batch]]
            t = torch.randint(0, levels, (len(x),), device=device)
            noise = torch.randn_like(x)
        a = alpha_bar[t][:, None, None, None]
        with half:
            said = forward(a.sqrt() * x + (1 - a).sqrt() * noise, t)
        loss = distance(said.float(), noise)
        optimizer.zero_grad()
        loss.backward()
        if settings["gradient_clip"] != "off":
            nn.utils.clip_grad_norm_(net.parameters(), settings["gradient_clip"])
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, list(net.parameters()), 1 - settings["ema"])
        losses.append(loss.detach())
    sync()
    span = time.perf_counter() - begin
    print(json.dumps({"seconds": span / given.steps, "losses": [float(loss) for loss in losses[:given.warm]]}))


def batch(name, given):
    """Another batch than the spec's, or 0."""
    return given.batch or (BATCHES.get(name, 0) if given.device == "cuda" else 0)


def theirs(case, given, threads, precision, compiled=False, keep=False):
    warm, steps = case[1]
    command = [sys.executable, HERE / "training.py", "--peer", case[0], "--peer-threads", threads, "--warm", warm, "--steps", steps,
               "--device", given.device, "--results", given.results, "--precision", precision, "--batch", batch(case[0], given)]
    command += ["--compile"] if compiled else []
    out, memory = run(command, ENVIRONMENT if keep else None)
    return dict(json.loads(out.strip().splitlines()[-1]), memory=memory)


def ours(case, given, threads, precision, node):
    warm, steps = case[1]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = given.results / "nodes" / node["inputs"]["data"]["folder"]
        settings = dict(node["settings"], steps=warm + steps + 1, precision=precision)
        settings["batch"] = batch(case[0], given) or settings["batch"]
        settings["optimizer"] = {"adamw": dict(settings["optimizer"]["adamw"], learning_rate=LEARNING_RATE)}
        job = dict(key=node["key"], kind="train", settings=settings, threads=threads,
                   inputs=dict(data=dict(folder=str(data), port="train")))
        process = start_worker(given, folder, job)
        seen, compared, losses = [], 0, 0.0
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "failed":
                sys.exit(line)
            if event["event"] == "progress" and event["step"] <= warm:
                # It is the mean of the steps since it was told last.
                losses += event["loss"] * (event["step"] - compared)
                compared = event["step"]
            if event["event"] == "progress" and event["step"] >= warm:
                seen.append((event["step"], time.perf_counter()))
                if event["step"] >= warm + steps:
                    break
            if event["event"] == "checkpoint" and seen:
                break
        process.kill()
        _, _, usage = os.wait4(process.pid, 0)
        (first, begin), (last, end) = seen[0], seen[-1]
        return {"seconds": (end - begin) / (last - first), "loss": losses / compared, "compared": compared, "memory": usage.ru_maxrss / 1024}


def main():
    parser = argparse.ArgumentParser()
    arguments(parser, "training")
    parser.add_argument("--keep", action="store_true", help="let PyTorch keep freed memory by the same settings of the allocator")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too")
    parser.add_argument("--precision", default="f32", help="of f32, tf32 and bf16, with commas")
    parser.add_argument("--batch", type=int, default=0, help="another batch than the spec's, or on a GPU those of this file")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--peer-threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--warm", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.programs = given.programs.resolve()
    cases = SHORT if given.short else CASES
    if given.device == "cuda":
        cases = CUDA
    if given.peer:
        return peer(given, *done(given)[given.peer])
    names = given.cases.split(",") if given.cases else list(cases)
    known = nodes(given, HERE / "spec.yaml", names)
    print(f"{'network':16} {'threads':>7} {'numbers':>7} {'PyTorch s':>10} {'ablate s':>10} {'ratio':>6} {'MB':>6} {'MB':>6} {'loss':>8} {'loss':>8}"
          + (f" {'compiled s':>11} {'ratio':>6}" if given.compiled else ""))
    for name in names:
        node, _ = known[name]
        for threads, precision in itertools.product(map(int, given.threads.split(",")), given.precision.split(",")):
            case = (name, cases[name])
            them, us = theirs(case, given, threads, precision, keep=given.keep), ours(case, given, threads, precision, node)
            loss = sum(them["losses"][:us["compared"]]) / us["compared"]
            line = (f"{name:16} {threads:7} {precision:>7} {them['seconds']:10.4f} {us['seconds']:10.4f} {them['seconds'] / us['seconds']:6.2f} "
                    f"{them['memory']:6.0f} {us['memory']:6.0f} {loss:8.5f} {us['loss']:8.5f}")
            if given.compiled:
                fast = theirs(case, given, threads, precision, compiled=True)
                line += f" {fast['seconds']:11.4f} {fast['seconds'] / us['seconds']:6.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
