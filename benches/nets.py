"""The networks of Ablate in PyTorch, under the same names, as one would write them: the peers of benches."""
import math

import torch
from torch import nn
from torch.nn import functional as F


class Conv(nn.Conv2d):
    """A convolution, with circular padding or weights that are standardised where asked."""

    def __init__(self, a, b, k, circular=False, standardise=False, bias=True):
        super().__init__(a, b, k, padding=k // 2, padding_mode="circular" if circular and k > 1 else "zeros", bias=bias)
        self.standardise = standardise

    def forward(self, x):
        w = self.weight
        if self.standardise:
            w = (w - w.mean((1, 2, 3), keepdim=True)) * (w.var((1, 2, 3), unbiased=False, keepdim=True) + 1e-5).rsqrt()
        return self._conv_forward(x, w, self.bias)


def times(t, width, divisor, cos_first=False):
    half = width // 2
    angle = t[:, None].double() * torch.exp(torch.arange(half, device=t.device) * (-math.log(1e4) / divisor))
    parts = [angle.cos(), angle.sin()] if cos_first else [angle.sin(), angle.cos()]
    return torch.cat(parts, 1).float()


class Block(nn.Module):
    def __init__(self, a, b, s):
        super().__init__()
        standardise = s.get("weight_standardisation", "on") == "on"
        self.proj, self.norm = Conv(a, b, 3, s["circular"], standardise), nn.GroupNorm(s["groups"], b)

    def forward(self, x, scale_shift=None):
        x = self.norm(self.proj(x))
        if scale_shift is not None:
            x = x * (scale_shift[0] + 1) + scale_shift[1]
        return F.silu(x)


class Resnet(nn.Module):
    def __init__(self, a, b, t, s):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(t, 2 * b))
        self.block1, self.block2 = Block(a, b, s), Block(b, b, s)
        self.res_conv = Conv(a, b, 1) if a != b else nn.Identity()

    def forward(self, x, t):
        h = self.block1(x, self.mlp(t)[:, :, None, None].chunk(2, 1))
        return self.block2(h) + self.res_conv(x)


class Around(nn.Module):
    """A function with a norm before it and a way around it, under the names of the notebook."""

    def __init__(self, channels, function):
        super().__init__()
        self.fn = nn.Module()
        self.fn.norm, self.fn.fn = nn.GroupNorm(1, channels), function

    def forward(self, x):
        return x + self.fn.fn(self.fn.norm(x))


class LinearAttention(nn.Module):
    def __init__(self, channels, heads=4, width=32):
        super().__init__()
        self.heads, self.width = heads, width
        self.to_qkv = nn.Conv2d(channels, 3 * heads * width, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(heads * width, channels, 1), nn.GroupNorm(1, channels))

    def forward(self, x):
        n, _, h, w = x.shape
        q, k, v = (part.reshape(n, self.heads, self.width, h * w) for part in self.to_qkv(x).chunk(3, 1))
        q, k = q.softmax(-2) * self.width ** -0.5, k.softmax(-1)
        context = torch.einsum("bhdn,bhen->bhde", k, v)
        out = torch.einsum("bhde,bhdn->bhen", context, q)
        return self.to_out(out.reshape(n, -1, h, w))


class Attention(nn.Module):
    def __init__(self, channels, heads=4, width=32):
        super().__init__()
        self.heads, self.width = heads, width
        self.to_qkv = nn.Conv2d(channels, 3 * heads * width, 1, bias=False)
        self.to_out = nn.Conv2d(heads * width, channels, 1)

    def forward(self, x):
        n, _, h, w = x.shape
        q, k, v = (part.reshape(n, self.heads, self.width, h * w) for part in self.to_qkv(x).chunk(3, 1))
        likeness = torch.einsum("bhdi,bhdj->bhij", q * self.width ** -0.5, k)
        out = torch.einsum("bhij,bhdj->bhdi", likeness.softmax(-1), v)
        return self.to_out(out.reshape(n, -1, h, w))


class Unet(nn.Module):
    def __init__(self, s, side):
        super().__init__()
        s = dict(s, circular=s["padding"] == "circular")
        self.width = width = s["width"]
        dims = [width, *(m * width for m in s["multipliers"])]
        t, last, circular = 4 * width, len(s["multipliers"]) - 1, s["circular"]
        linear = lambda c: Around(c, LinearAttention(c)) if s["attention"] else nn.Identity()
        self.init_conv = Conv(1, width, 1)
        self.time_mlp = nn.Sequential(nn.Identity(), nn.Linear(width, t), nn.GELU(), nn.Linear(t, t))
        pairs = list(zip(dims, dims[1:]))
        self.downs = nn.ModuleList(
            nn.ModuleList([Resnet(a, a, t, s), Resnet(a, a, t, s), linear(a),
                           nn.Sequential(nn.PixelUnshuffle(2), Conv(4 * a, b, 1)) if i < last else Conv(a, b, 3, circular)])
            for i, (a, b) in enumerate(pairs))
        middle = dims[-1]
        self.mid_block1, self.mid_block2 = Resnet(middle, middle, t, s), Resnet(middle, middle, t, s)
        self.mid_attn = Around(middle, Attention(middle)) if s["attention"] else nn.Identity()
        self.ups = nn.ModuleList(
            nn.ModuleList([Resnet(a + b, b, t, s), Resnet(a + b, b, t, s), linear(b),
                           nn.Sequential(nn.Upsample(scale_factor=2), Conv(b, a, 3, circular)) if i < last
                           else Conv(b, a, 3, circular)])
            for i, (a, b) in enumerate(reversed(pairs)))
        self.final_res_block, self.final_conv = Resnet(2 * width, width, t, s), Conv(width, 1, 1)

    def forward(self, x, t):
        t = self.time_mlp(times(t, self.width, self.width // 2 - 1))
        x = self.init_conv(x)
        first, skips = x, []
        for one, two, attend, change in self.downs:
            x = one(x, t); skips.append(x)
            x = two(x, t); skips.append(x)
            x = change(attend(x))
        x = self.mid_block2(self.mid_attn(self.mid_block1(x, t)), t)
        for one, two, attend, change in self.ups:
            x = one(torch.cat([x, skips.pop()], 1), t)
            x = two(torch.cat([x, skips.pop()], 1), t)
            x = change(attend(x))
        return self.final_conv(self.final_res_block(torch.cat([x, first], 1), t))


class Residual(nn.Module):
    def __init__(self, a, b, t, circular):
        super().__init__()
        block = lambda a: nn.Sequential(Conv(a, b, 3, circular), nn.BatchNorm2d(b), nn.ReLU())
        self.block1, self.block2, self.time_mlp = block(a), block(b), nn.Linear(t, b)
        self.shortcut = Conv(a, b, 1) if a != b else nn.Identity()

    def forward(self, x, t):
        return self.block2(self.block1(x) + self.time_mlp(t)[:, :, None, None]) + self.shortcut(x)


class Up(nn.ConvTranspose2d):
    def __init__(self, c, circular):
        super().__init__(c, c, 4, 2, padding=3 if circular else 1)
        self.circular = circular

    def forward(self, x):
        return super().forward(F.pad(x, (1, 1, 1, 1), mode="circular") if self.circular else x)


class SimpleUnet(nn.Module):
    def __init__(self, s, side):
        super().__init__()
        circular, width, self.t = s["padding"] == "circular", s["width"], s["time_width"]
        levels = [m * width for m in s["multipliers"]]
        t, mode = self.t, "circular" if circular else "zeros"
        self.time_mlp = nn.Sequential(nn.Identity(), nn.Linear(t, t), nn.ReLU(), nn.Linear(t, t), nn.ReLU())
        self.init_conv = Conv(1, width, 3, circular)
        pair = lambda **parts: nn.ModuleDict(parts)
        down = lambda c: nn.Conv2d(c, c, 4, 2, 1, padding_mode=mode)
        self.downs = nn.ModuleList(
            pair(res=Residual(a, b, t, circular), down=down(b)) for a, b in zip([width, *levels], levels))
        self.mid = Residual(levels[-1], levels[-1], t, circular)
        below = [levels[-1], *reversed(levels)]
        self.ups = nn.ModuleList(
            pair(up=Up(a, circular), res=Residual(a + b, b, t, circular)) for a, b in zip(below, reversed(levels)))
        self.final_conv = nn.Sequential(Conv(levels[0], levels[0], 3, circular), nn.ReLU(), Conv(levels[0], 1, 1))

    def forward(self, x, t):
        t = self.time_mlp[:4](times(t, self.t, self.t // 2 - 1))
        x, kept = self.init_conv(x), []
        for level in self.downs:
            x = level["res"](x, t); kept.append(x)
            x = level["down"](x)
        x = self.mid(x, t)
        for level in self.ups:
            x = level["res"](torch.cat([level["up"](x), kept.pop()], 1), t)
        return self.final_conv(x)


class DitBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, told):
        n, tokens, width = x.shape
        norm = lambda x: F.layer_norm(x, (width,), eps=1e-6)
        a, b, c, d, e, f = (part[:, None] for part in self.adaLN_modulation(told).chunk(6, 1))
        qkv = self.attn.qkv(norm(x) * (1 + b) + a).reshape(n, tokens, 3, self.heads, width // self.heads)
        out = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4).unbind(0))
        x = x + c * self.attn.proj(out.transpose(1, 2).reshape(n, tokens, width))
        return x + f * self.mlp.fc2(F.gelu(self.mlp.fc1(norm(x) * (1 + e) + d), approximate="tanh"))


class Dit(nn.Module):
    def __init__(self, s, side):
        super().__init__()
        self.patch, self.side, width = s["patch"], side, s["width"]
        self.x_embedder, self.t_embedder, self.final_layer = nn.Module(), nn.Module(), nn.Module()
        self.x_embedder.proj = nn.Conv2d(1, width, self.patch, self.patch)
        self.t_embedder.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.register_buffer("pos_embed", torch.zeros(1, (side // self.patch) ** 2, width))
        self.blocks = nn.ModuleList(DitBlock(width, s["heads"]) for _ in range(s["depth"]))
        self.final_layer.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.final_layer.linear = nn.Linear(width, self.patch ** 2)

    def forward(self, x, t):
        told = self.t_embedder.mlp(times(t, 256, 128, cos_first=True))
        x = self.x_embedder.proj(x).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            x = block(x, told)
        shift, scale = (part[:, None] for part in self.final_layer.adaLN_modulation(told).chunk(2, 1))
        x = self.final_layer.linear(F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift)
        n, p, grid = len(x), self.patch, self.side // self.patch
        return x.reshape(n, grid, grid, p, p, 1).permute(0, 5, 1, 3, 2, 4).reshape(n, 1, self.side, self.side)


def build(model, side):
    """The network of a train node's settings."""
    if isinstance(model, str):
        raise ValueError(f"settings in full, not `{model}`")
    kind, settings = next(iter(model.items()))
    return {"unet": Unet, "simple_unet": SimpleUnet, "dit": Dit}[kind](settings, side)
