"""A byte-level decoder-only transformer, as plain as it can be."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from isoloss.sweep.shapes import Transformer

HEAD = 16
"""Units of a head for which attention is the same under both width rules."""


class Block(nn.Module):
    """Pre-norm attention and a four-times-wide GELU perceptron, no biases."""

    def __init__(self, width: int, heads: int, scale: float) -> None:
        super().__init__()
        self.heads, self.scale = heads, scale
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Residual stream of shape (batch, time, width) in and out."""
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).unbind(2)
        y = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True,
            scale=self.scale,
        )  # fmt: skip
        x = x + self.mix(y.transpose(1, 2).reshape(b, t, d))
        out: Tensor = x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
        return out


class ByteTransformer(nn.Module):
    """Logits over the next byte; the output layer shares the embedding's weights.

    Parameters
    ----------
    shape
        Width, depth, heads, context.
    outputs
        Symbols.
    base
        Base width under ``mup``, else None. Since one matrix is embedding and output layer, it is
        scaled as an input and the logits are divided by the ratio of widths; attention scores are
        divided by the units of a head rather than their root.
    """

    def __init__(self, shape: Transformer, outputs: int, base: int | None) -> None:
        super().__init__()
        d = shape.width
        units = d // shape.heads
        scale = units**-0.5 if base is None else HEAD**0.5 / units
        self.base = base
        self.embed = nn.Embedding(outputs, d)
        self.position = nn.Parameter(torch.empty(shape.context, d))
        self.blocks = nn.ModuleList(Block(d, shape.heads, scale) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(d, bias=False)

    def draw(self, source: Generator) -> None:
        """Fill in the initial weights."""
        d, depth = self.position.shape[1], len(self.blocks)
        for name, weight in self.named_parameters():
            if weight.ndim < 2:
                nn.init.ones_(weight)
                continue
            # 1/sqrt(fan-in), and the two layers that write to the residual stream shrunk with
            # depth so that its variance does not grow with it (GPT-2's rule).
            std = weight.shape[1] ** -0.5
            if name.endswith(("mix.weight", "down.weight")):
                std *= (2 * depth) ** -0.5
            if name in ("embed.weight", "position"):
                std = (self.base or d) ** -0.5
            nn.init.normal_(weight, std=std, generator=source)

    @staticmethod
    def role(name: str) -> str:
        """Tell what a parameter joins: see `isoloss.sweep.models.width`."""
        return "input" if name == "position" or "norm" in name or "embed" in name else "hidden"

    def forward(self, x: Tensor) -> Tensor:
        """Bytes (batch, time) to logits (batch, time, symbols)."""
        h = self.embed(x) + self.position[: x.shape[1]]
        for block in self.blocks:
            h = block(h)
        h = self.norm(h)
        if self.base is not None:
            h = h * (self.base / h.shape[-1])
        return F.linear(h, self.embed.weight)
