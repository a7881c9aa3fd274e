#!/usr/bin/env python3
"""Samples drawn by the worker beside diffusers' pipelines, with the same network and weights, one run on the same machine
and threads: DDPM of 100 steps, DDIM of 50, Heun along a flow of 25.

    make bench-sampling [ARGS="--short | --cases notebook_ddim --threads 1,2 --count 16 --device cuda"]

The peer is PyTorch's network of nets.py in a pipeline of diffusers, or in a loop around its scheduler for a flow, from
noise to an array; of the worker counts what the node counts as its own time, with reading weights and writing samples.
`differ` is the largest difference between the samples of both from the same noise, where the sampler adds none."""
import argparse, json, os, pathlib, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import arguments, done, network, nodes, run, start_worker  # noqa: E402

CASES = ["notebook_ddpm", "notebook_ddim", "flow_heun", "dit_s2_ddim", "default_ddim"]
SHORT = ["notebook_ddim"]


def pipeline(net, settings, trained):
    """A function that draws `count` samples of a side with diffusers, and one that goes on from given noise."""
    import diffusers
    import torch
    from diffusers.models.unets.unet_2d import UNet2DOutput

    class Told(diffusers.ModelMixin, diffusers.ConfigMixin):
        """The network as pipelines ask it."""
        config_name = "config.json"

        @diffusers.configuration_utils.register_to_config
        def __init__(self, sample_size=None, in_channels=1):
            super().__init__()
            self.net = net

        def forward(self, x, t, return_dict=True):
            sample = self.net(x, torch.as_tensor(t, device=x.device).expand(len(x)))
            return UNet2DOutput(sample=sample)

    (word, sampler), = settings["sampler"].items()
    objective = trained["settings"]["objective"]
    told = Told(sample_size=None)
    told.to(next(net.parameters()).device)
    told.eval()
    if word == "heun":
        scheduler = diffusers.FlowMatchHeunDiscreteScheduler(1000)

        def along(x):
            scheduler.set_timesteps(sampler["steps"], device=x.device)
            for t in scheduler.timesteps:
                # Its time runs from data to noise, in thousandths, and so does its velocity.
                x = scheduler.step(-told(x, 1000 - t).sample, t, x, return_dict=False)[0]
            return x

        def draw(count, side):
            with torch.no_grad():
                return along(torch.randn(count, 1, side, side, device=told.device)).cpu().numpy()
        return draw, None
    levels = dict(num_train_timesteps=objective["ddpm"]["timesteps"], beta_start=1e-4, beta_end=0.02, clip_sample=False,
                  timestep_spacing="trailing")
    if word == "ddim":
        scheduler, kind = diffusers.DDIMScheduler(**levels), diffusers.DDIMPipeline
    else:
        scheduler, kind = diffusers.DDPMScheduler(**levels), diffusers.DDPMPipeline
    pipe = kind(told, scheduler)
    pipe.set_progress_bar_config(disable=True)
    steps = sampler.get("steps") or objective["ddpm"]["timesteps"]

    def draw(count, side):
        told.register_to_config(sample_size=side)
        return pipe(batch_size=count, num_inference_steps=steps, output_type="np").images

    def along(x):
        scheduler.set_timesteps(steps, device=x.device)
        with torch.no_grad():
            for t in scheduler.timesteps:
                x = scheduler.step(told(x, t).sample, t, x).prev_sample
        return x
    return draw, along if word == "ddim" else None


def peer(given):
    """Draws in this process; prints seconds, and how far its samples are from those of `--same` from the same noise."""
    import numpy
    import torch
    torch.set_num_threads(given.peer_threads)
    known = done(given)
    node, _ = known[given.peer]
    trained, folder = known[given.peer.rsplit("_", 1)[0]]
    side = json.loads((folder / "dataset.json").read_text())["side"]
    net = network(trained, folder).to(given.device).eval()
    draw, along = pipeline(net, node["settings"], trained)
    differ = None
    if along:
        frames = torch.from_numpy(numpy.load(given.same)).to(given.device)
        differ = float((along(frames[0]) - frames[-1]).abs().max())
    begin = time.perf_counter()
    draw(given.count, side)
    print(json.dumps({"seconds": time.perf_counter() - begin, "differ": differ}))


def ours(given, threads, node, trained, **settings):
    """Seconds, memory in MB, and the frames if `settings` ask for some."""
    import numpy
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        job = dict(key=node["key"], kind="sample", settings=dict(node["settings"], **settings), threads=threads,
                   inputs={"from": dict(folder=str(trained), port="weights")})
        process = start_worker(given, folder, job)
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(said)
        seconds = json.loads((folder / "work/costs.json").read_text())["seconds"]
        frames = folder / "work/frames.npy"
        return seconds, usage.ru_maxrss / 1024, numpy.load(frames) if frames.exists() else None


def main():
    parser = argparse.ArgumentParser()
    arguments(parser, "sampling")
    parser.add_argument("--count", type=int, default=None, help="samples, in one batch: 16, on a GPU 256")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--peer-threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--same", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.programs = given.programs.resolve()
    given.count = given.count or (256 if given.device == "cuda" else 4 if given.short else 16)
    if given.peer:
        return peer(given)
    import numpy
    names = given.cases.split(",") if given.cases else SHORT if given.short else CASES
    known = nodes(given, HERE / "spec.yaml", names)
    print(f"{'samples':16} {'threads':>7} {'diffusers s':>11} {'ablate s':>10} {'ratio':>6} {'MB':>6} {'MB':>6} {'differ':>8}")
    for name in names:
        node, _ = known[name]
        trained = given.results / "nodes" / node["inputs"]["from"]["folder"]
        for threads in map(int, given.threads.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                same = pathlib.Path(folder, "frames.npy")
                _, _, frames = ours(given, threads, node, trained, count=2, batch=2, frames=dict(count=2, samples=2))
                numpy.save(same, frames)
                command = [sys.executable, __file__, "--peer", name, "--peer-threads", threads, "--count", given.count,
                           "--device", given.device, "--results", given.results, "--same", same]
                out, memory = run(command)
            them = json.loads(out.strip().splitlines()[-1])
            seconds, mine, _ = ours(given, threads, node, trained, count=given.count, batch=given.count)
            differ = "-" if them["differ"] is None else f"{them['differ']:.0e}"
            print(f"{name:16} {threads:7} {them['seconds']:11.3f} {seconds:10.3f} {them['seconds'] / seconds:6.2f} "
                  f"{memory:6.0f} {mine:6.0f} {differ:>8}", flush=True)


if __name__ == "__main__":
    main()
