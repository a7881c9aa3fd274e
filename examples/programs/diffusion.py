"""Trains a small UNet of diffusers on maps and draws samples: a training loop that saves, stops and goes on.

The samples are measured by nodes of Ablate: `samples.npy` is all that they need.
"""

import pathlib
import sys

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
import ablate_node as node  # noqa: E402  (or `pip install` it)

STATE = node.checkpoint / "state.pt"


def main():
    torch.set_num_threads(node.threads)
    device = torch.device(node.device)
    steps, batch, seed = node.param("steps", 100), node.param("batch", 16), node.param("seed", 0)
    # Densities are positive and skewed: their logarithm is nearly normal.
    maps = torch.from_numpy(np.log(np.load(node.input("maps") / "train.npy")))
    mean, deviation = maps.mean(), maps.std()
    maps = ((maps - mean) / deviation).to(device)

    torch.manual_seed(seed)
    channels = node.param("channels", 16)
    unet = UNet2DModel(
        sample_size=maps.shape[-1], in_channels=1, out_channels=1, layers_per_block=1,
        block_out_channels=(channels, 2 * channels), norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    ).to(device)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=node.param("lr", 1e-3))
    scheduler = DDPMScheduler(num_train_timesteps=node.param("timesteps", 100), clip_sample=False)

    losses = []
    first = node.start()
    if first:
        state = torch.load(STATE, map_location=device, weights_only=True)
        unet.load_state_dict(state["unet"])
        optimizer.load_state_dict(state["optimizer"])
        losses = state["losses"]
        print(f"going on from step {first}")

    for step in range(first, steps):
        # Every random number belongs to a step, so that an interruption changes none of them.
        random = torch.Generator(device).manual_seed(seed * 1_000_003 + step)
        clean = maps[torch.randint(len(maps), (batch,), generator=random, device=device)]
        noise = torch.randn(clean.shape, generator=random, device=device)
        times = torch.randint(len(scheduler), (batch,), generator=random, device=device)
        predicted = unet(scheduler.add_noise(clean, noise, times), times).sample
        loss = torch.nn.functional.mse_loss(predicted, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        node.progress(step + 1, steps, loss=losses[-1])
        if (node.must_stop() or (step + 1) % 25 == 0) and step + 1 < steps:
            state = {"unet": unet.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}
            torch.save(state, STATE.with_suffix(".new"))
            STATE.with_suffix(".new").replace(STATE)
            node.saved(step + 1)
            if node.must_stop():
                node.stop()

    node.metric("loss", np.mean(losses[-20:]), better="lower")
    node.series("loss", range(1, steps + 1), losses, x_unit="step")
    drawn = sample(unet, scheduler, maps.shape[-1], seed)
    np.save(node.out / "samples.npy", np.exp(drawn * deviation.item() + mean.item()))


@torch.no_grad()
def sample(unet, scheduler, side, seed):
    device = next(unet.parameters()).device
    random = torch.Generator(device).manual_seed(seed)
    x = torch.randn((node.param("count", 16), 1, side, side), generator=random, device=device)
    for time in scheduler.timesteps:
        x = scheduler.step(unet(x, time).sample, time, x, generator=random).prev_sample
    return x.cpu().numpy()


if __name__ == "__main__":
    main()
