#!/usr/bin/env python3
"""Training steps a second of the quickstart's network: the worker beside PyTorch 2.11 (eager), in one
run, on the same machine and threads. Needs target/release/ablate-worker, the results of
`make demo`, and a Python with torch 2.11 (made by benches/training.sh).

The network in Python is built from the settings of a finished train node and must take that node's
weights name by name, so both do the same work: forward, backward, clipping, AdamW, moving average.
"""
import json, os, pathlib, subprocess, sys, tempfile, time

import torch
from torch import nn
from torch.nn import functional as F

root = pathlib.Path(__file__).resolve().parent.parent
worker = root / "target/release/ablate-worker"
results = root / "results"
STEPS, WARM = 120, 20


class Conv(nn.Conv2d):
    """A convolution with circular padding, its weights standardised where asked."""

    def __init__(self, a, b, k, standardise=False):
        super().__init__(a, b, k, padding=k // 2, padding_mode="circular" if CIRCULAR else "zeros")
        self.standardise = standardise

    def forward(self, x):
        w = self.weight
        if self.standardise:
            w = (w - w.mean((1, 2, 3), keepdim=True)) * (w.var((1, 2, 3), unbiased=False, keepdim=True) + 1e-5).rsqrt()
        return self._conv_forward(x, w, self.bias)


class Block(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.proj, self.norm = Conv(a, b, 3, True), nn.GroupNorm(GROUPS, b)

    def forward(self, x, scale_shift=None):
        x = self.norm(self.proj(x))
        if scale_shift is not None:
            x = x * (scale_shift[0] + 1) + scale_shift[1]
        return F.silu(x)


class Resnet(nn.Module):
    def __init__(self, a, b, t):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(t, 2 * b))
        self.block1, self.block2 = Block(a, b), Block(b, b)
        self.res_conv = Conv(a, b, 1) if a != b else nn.Identity()

    def forward(self, x, t):
        h = self.block1(x, self.mlp(t)[:, :, None, None].chunk(2, 1))
        return self.block2(h) + self.res_conv(x)


class Unet(nn.Module):
    def __init__(self, width, multipliers):
        super().__init__()
        self.width = width
        dims = [width, *(m * width for m in multipliers)]
        t, last = 4 * width, len(multipliers) - 1
        self.init_conv = Conv(1, width, 1)
        self.time_mlp = nn.Sequential(nn.Identity(), nn.Linear(width, t), nn.GELU(), nn.Linear(t, t))
        pairs = list(zip(dims, dims[1:]))
        self.downs = nn.ModuleList(
            nn.ModuleList([Resnet(a, a, t), Resnet(a, a, t), nn.Identity(),
                           nn.Sequential(nn.PixelUnshuffle(2), Conv(4 * a, b, 1)) if i < last else Conv(a, b, 3)])
            for i, (a, b) in enumerate(pairs))
        self.mid_block1, self.mid_block2 = Resnet(dims[-1], dims[-1], t), Resnet(dims[-1], dims[-1], t)
        self.ups = nn.ModuleList(
            nn.ModuleList([Resnet(a + b, b, t), Resnet(a + b, b, t), nn.Identity(),
                           nn.Sequential(nn.Upsample(scale_factor=2), Conv(b, a, 3)) if i < last else Conv(b, a, 3)])
            for i, (a, b) in enumerate(reversed(pairs)))
        self.final_res_block, self.final_conv = Resnet(2 * width, width, t), Conv(width, 1, 1)

    def forward(self, x, t):
        half = self.width // 2
        angle = t[:, None] * torch.exp(torch.arange(half) * (-torch.log(torch.tensor(1e4)) / (half - 1)))
        t = self.time_mlp(torch.cat([angle.sin(), angle.cos()], 1))
        x = self.init_conv(x)
        first, skips = x, []
        for one, two, _, change in self.downs:
            x = one(x, t); skips.append(x)
            x = two(x, t); skips.append(x)
            x = change(x)
        x = self.mid_block2(self.mid_block1(x, t), t)
        for one, two, _, change in self.ups:
            x = one(torch.cat([x, skips.pop()], 1), t)
            x = two(torch.cat([x, skips.pop()], 1), t)
            x = change(x)
        return self.final_conv(self.final_res_block(torch.cat([x, first], 1), t))


def weights(path):
    """Tensors of a .safetensors file; floats of 32 bits."""
    raw = path.read_bytes()
    n = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + n])
    header.pop("__metadata__", None)
    at = lambda e: torch.frombuffer(bytearray(raw[8 + n + e["data_offsets"][0]:8 + n + e["data_offsets"][1]]), dtype=torch.float32)
    return {name: at(e).reshape(e["shape"]) for name, e in header.items()}


def peer(settings, node, side):
    torch.manual_seed(0)
    net = Unet(UNET["width"], UNET["multipliers"])
    net.load_state_dict(weights(node / "last.safetensors"), strict=True)
    adamw = settings["optimizer"]["adamw"]
    optimizer = torch.optim.AdamW(net.parameters(), adamw["learning_rate"], weight_decay=adamw["weight_decay"])
    average = [p.detach().clone() for p in net.parameters()]
    maps = torch.randn(819, 1, side, side)
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
    for step in range(STEPS):
        if step == WARM:
            begin = time.perf_counter()
        x = maps[torch.randperm(len(maps))[:settings["batch"]]]
        t = torch.randint(0, 1000, (len(x),))
        noise = torch.randn_like(x)
        a = alpha_bar[t][:, None, None, None]
        loss = F.mse_loss(net(a.sqrt() * x + (1 - a).sqrt() * noise, t), noise)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), settings["gradient_clip"])
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, list(net.parameters()), 1 - settings["ema"])
    return (STEPS - WARM) / (time.perf_counter() - begin)


def ours(node, settings, threads):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "work").mkdir(), (folder / "trajectory").mkdir()
        data = results / "nodes" / node["inputs"]["data"]["folder"]
        job = dict(name="bench", key=node["key"], kind="train", attempt=1, work=str(folder / "work"),
                   settings=dict(settings, steps=STEPS, validation="off"), trajectory=str(folder / "trajectory"),
                   inputs=dict(data=dict(folder=str(data), port="train")), checkpoint_seconds=1e6, device="cpu", threads=threads)
        (folder / "job.json").write_text(json.dumps(job))
        environment = dict(os.environ, MALLOC_MMAP_THRESHOLD_="17179869184", MALLOC_TRIM_THRESHOLD_="17179869184")
        process = subprocess.Popen([worker, folder / "job.json"], stdout=subprocess.PIPE, text=True, env=environment)
        begin = None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["step"] >= WARM and begin is None:
                begin, first = time.perf_counter(), event["step"]
            if event["event"] == "checkpoint":
                return (event["step"] - first) / (time.perf_counter() - begin)
        sys.exit("the worker did not finish")


folder = next(path for path in sorted((results / "nodes").iterdir()) if path.name.startswith("train-"))
node = json.loads((folder / "node.json").read_text())
settings = node["settings"]
UNET = settings["model"]["unet"]
CIRCULAR, GROUPS = UNET["padding"] == "circular", UNET["groups"]
side = json.loads((folder / "dataset.json").read_text())["side"]
print(f"U-Net of width {UNET['width']}, multipliers {UNET['multipliers']}, {side}², batch {settings['batch']}, float32; torch {torch.__version__}")
print(f"{'threads':>8}{'PyTorch steps/s':>18}{'ablate steps/s':>18}{'ratio':>8}")
for threads in (1, 2):
    torch.set_num_threads(threads)
    theirs, mine = peer(settings, folder, side), ours(node, settings, threads)
    print(f"{threads:8}{theirs:18.2f}{mine:18.2f}{mine / theirs:8.2f}")
