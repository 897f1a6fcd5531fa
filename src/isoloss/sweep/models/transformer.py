"""A byte-level decoder-only transformer, as plain as it can be."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isoloss.sweep.spec import CONTEXT, VOCABULARY, RunSpec


class Block(nn.Module):
    """Pre-norm attention and a four-times-wide GELU perceptron, no biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
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
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True
        )
        x = x + self.mix(y.transpose(1, 2).reshape(b, t, d))
        out: Tensor = x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
        return out


class ByteTransformer(nn.Module):
    """Logits over the next byte; the output layer shares the embedding's weights."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        d = spec.width
        self.embed = nn.Embedding(VOCABULARY, d)
        self.position = nn.Parameter(torch.zeros(CONTEXT, d))
        self.blocks = nn.ModuleList(Block(d, spec.heads) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(d, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim < 2:
                continue
            # 1/sqrt(fan-in), and the two layers that write to the residual stream shrunk with
            # depth so that its variance does not grow with it (GPT-2's rule).
            std = weight.shape[1] ** -0.5
            if name.endswith(("mix.weight", "down.weight")):
                std *= (2 * spec.depth) ** -0.5
            if name in ("embed.weight", "position"):
                std = d**-0.5
            nn.init.normal_(weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        """Bytes (batch, time) to logits (batch, time, 256)."""
        h = self.embed(x) + self.position[: x.shape[1]]
        for block in self.blocks:
            h = block(h)
        return F.linear(self.norm(h), self.embed.weight)
