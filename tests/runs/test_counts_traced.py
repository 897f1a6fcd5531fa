"""Counts against what torch counts while real modules run: equal to the last FLOP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isoloss.runs.counting import (
    ConvModel,
    DecoderModel,
    Experts,
    Layer,
    MlpModel,
    VitModel,
    count_model,
)

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class Norm(nn.Module):
    def __init__(self, units: int, kind: str) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(units)) if kind != "none" else 1.0
        self.shift = nn.Parameter(torch.zeros(units)) if kind == "layer" else 0.0

    def forward(self, x: Any) -> Any:
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * self.scale + self.shift


class Attention(nn.Module):
    """Products written out, so that the counter sees each of them."""

    def __init__(self, m: Any, key_heads: int, units: int, qkv: bool, out: bool) -> None:
        super().__init__()
        self.heads, self.key_heads, self.units = m.heads, key_heads, units
        self.q = nn.Linear(m.width, m.heads * units, bias=qkv)
        self.k = nn.Linear(m.width, key_heads * units, bias=qkv)
        self.v = nn.Linear(m.width, key_heads * units, bias=qkv)
        self.out = nn.Linear(m.heads * units, m.width, bias=out)

    def forward(self, x: Any) -> Any:
        b, t, _ = x.shape

        def split(y: Any, heads: int) -> Any:
            y = y.view(b, t, heads, self.units).transpose(1, 2)
            return y.repeat_interleave(self.heads // heads, 1)

        q = split(self.q(x), self.heads)
        k, v = split(self.k(x), self.key_heads), split(self.v(x), self.key_heads)
        scores = (q @ k.transpose(2, 3)).softmax(-1)
        return self.out((scores @ v).transpose(1, 2).reshape(b, t, -1))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int, gated: bool, bias: bool) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=bias)
        self.gate = nn.Linear(width, hidden, bias=bias) if gated else None
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Any) -> Any:
        h = F.gelu(self.up(x)) if self.gate is None else self.up(x) * F.silu(self.gate(x))
        return self.down(h)


class Mixture(nn.Module):
    def __init__(self, m: DecoderModel, e: Experts) -> None:
        super().__init__()
        width = e.width or m.hidden
        self.active = e.active
        self.router = nn.Linear(m.width, e.count, bias=False)
        kind = m.gated, m.mlp_bias
        self.experts = nn.ModuleList(Mlp(m.width, width, *kind) for _ in range(e.count))
        own = e.shared_width or width
        self.shared = nn.ModuleList(Mlp(m.width, own, *kind) for _ in range(e.shared))
        self.weigh = nn.Linear(m.width, 1, bias=False) if e.shared_gate else None

    def forward(self, x: Any) -> Any:
        flat = x.reshape(-1, x.shape[-1])
        weights, chosen = self.router(flat).softmax(-1).topk(self.active, -1)
        out = torch.zeros_like(flat)
        for i, expert in enumerate(self.experts):
            rows, slots = (chosen == i).nonzero(as_tuple=True)
            if rows.numel():
                out = out.index_add(0, rows, expert(flat[rows]) * weights[rows, slots, None])
        common = sum(s(flat) for s in self.shared)
        if self.weigh is not None:
            common = common * self.weigh(flat).sigmoid()
        return (out + common).view_as(x)


class Decoder(nn.Module):
    def __init__(self, m: DecoderModel) -> None:
        super().__init__()
        self.embed = nn.Embedding(m.vocabulary, m.width)
        if m.positions == "learned":
            self.position = nn.Parameter(torch.zeros(m.context, m.width))
        self.blocks = nn.ModuleList()
        for i in range(m.depth):
            plain = m.experts is None or i < m.experts.dense_layers
            qkv, out = m.attention_bias != "none", m.attention_bias == "all"
            self.blocks.append(nn.ModuleList([
                Norm(m.width, m.norm), Attention(m, m.key_heads, m.head_units, qkv, out),
                Norm(m.width, m.norm),
                Mlp(m.width, m.hidden, m.gated, m.mlp_bias) if plain else Mixture(m, m.experts),
            ]))  # fmt: skip
        self.norm = Norm(m.width, m.norm)
        self.head = nn.Linear(m.width, m.vocabulary, bias=m.head_bias)
        if m.tied:
            self.head.weight = self.embed.weight

    def forward(self, x: Any) -> Any:
        h = self.embed(x)
        if hasattr(self, "position"):
            h = h + self.position[: x.shape[1]]
        for norm1, attention, norm2, mlp in self.blocks:
            h = h + attention(norm1(h))
            h = h + mlp(norm2(h))
        return self.head(self.norm(h))


def shape(**changes: Any) -> DecoderModel:
    base = {"width": 24, "depth": 2, "heads": 4, "vocabulary": 50, "context": 10}
    return DecoderModel(**(base | changes))


DECODERS = {
    "dense": shape(),
    "learned positions, biases, tied": shape(
        positions="learned", attention_bias="all", mlp_bias=True, norm="layer"
    ),
    "untied, biased head": shape(tied=False, head_bias=True),
    "grouped queries": shape(kv_heads=2, attention_bias="qkv"),
    "one key head, wide heads": shape(kv_heads=1, head_width=16),
    "gated, odd ratio": shape(gated=True, mlp_width=61, tied=False, norm="none"),
    "experts, top 2": shape(gated=True, experts=Experts(count=5, active=2, width=20)),
    "experts, shared, first layer dense": shape(
        depth=3, experts=Experts(count=4, active=1, shared=1, shared_width=30, shared_gate=True,
                                 dense_layers=1)),
}  # fmt: skip


def trace(run: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.mark.parametrize("name", DECODERS)
def test_decoders(name):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    m = DECODERS[name]
    module = Decoder(m)
    counts = count_model(m, masked="all")  # as written out, every score is computed
    assert sum(p.numel() for p in module.parameters()) == counts.N_total
    batch = 3
    x = torch.randint(m.vocabulary, (batch, m.context))
    tokens = batch * m.context
    assert trace(lambda: module(x)) == counts.forward * tokens
    # The embedding needs a gradient, so nothing is spared: the backward pass is twice the forward.
    assert trace(lambda: module(x).sum().backward()) == counts.flops * tokens


def test_an_expert_that_is_idle_is_not_computed():
    m = DECODERS["experts, top 2"]
    all_of_them = count_model(shape(gated=True, experts=Experts(count=5, active=5, width=20)))
    assert count_model(m).flops < all_of_them.flops
    assert count_model(m).N_total == all_of_them.N_total


class Vit(nn.Module):
    def __init__(self, m: VitModel) -> None:
        super().__init__()
        self.patch = nn.Conv2d(m.channels, m.width, m.patch, m.patch, bias=m.bias)
        self.cls = nn.Parameter(torch.zeros(1, 1, m.width)) if m.class_token else None
        self.position = nn.Parameter(torch.zeros(m.tokens, m.width))
        hidden = m.mlp_width or 4 * m.width
        units = m.width // m.heads
        self.blocks = nn.ModuleList(nn.ModuleList([
            Norm(m.width, m.norm), Attention(m, m.heads, units, m.bias, m.bias),
            Norm(m.width, m.norm), Mlp(m.width, hidden, False, m.bias),
        ]) for _ in range(m.depth))  # fmt: skip
        self.norm = Norm(m.width, m.norm)
        self.head = nn.Linear(m.width, m.classes, bias=m.bias)

    def forward(self, x: Any) -> Any:
        h = self.patch(x).flatten(2).transpose(1, 2)
        if self.cls is not None:
            h = torch.cat([self.cls.expand(len(h), -1, -1), h], 1)
        h = h + self.position
        for norm1, attention, norm2, mlp in self.blocks:
            h = h + attention(norm1(h))
            h = h + mlp(norm2(h))
        h = self.norm(h)
        return self.head(h[:, 0] if self.cls is not None else h.mean(1))


@pytest.mark.parametrize("class_token", [True, False])
def test_image_transformer(class_token):
    m = VitModel(image=12, patch=4, width=16, depth=2, heads=2, classes=7, mlp_width=40,
                 class_token=class_token)  # fmt: skip
    module, counts = Vit(m), count_model(m)
    assert sum(p.numel() for p in module.parameters()) == counts.N_total
    x = torch.zeros(3, 3, 12, 12)
    assert trace(lambda: module(x)) == 3 * counts.forward
    # Pixels need no gradient: one product of the first layer is spared, and is not taken off.
    first = counts.terms[0]
    assert trace(lambda: module(x).sum().backward()) == 3 * (counts.flops - first.forward)
    y = x.clone().requires_grad_()
    assert trace(lambda: module(y).sum().backward()) == 3 * counts.flops


def test_perceptron():
    m = MlpModel(inputs=9, widths=(8, 5), outputs=3)
    module = nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))
    counts = count_model(m)
    assert sum(p.numel() for p in module.parameters()) == counts.N_total
    x = torch.zeros(4, 9, requires_grad=True)
    assert trace(lambda: module(x)) == 4 * counts.forward
    assert trace(lambda: module(x).sum().backward()) == 4 * counts.flops


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.a = nn.Conv2d(8, 12, 3, 2, 1, groups=4)
        self.b = nn.Conv2d(12, 12, 1, bias=False)
        self.short = nn.Conv2d(8, 12, 1, 2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(k) for k in (8, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Any) -> Any:
        h = F.max_pool2d(self.norms[0](self.stem(x)), 2, 2)
        h = self.b(self.norms[1](self.a(h))) + self.short(h)
        return self.head(h.mean((2, 3)))


def test_residual_convolutions():
    m = ConvModel(inputs=(3, 21, 18), layers=(
        Layer(kind="conv", channels=8, kernel=3, stride=2, norm=True),
        Layer(kind="pool", kernel=2, stride=2, padding=0),
        Layer(kind="conv", channels=12, kernel=3, stride=2, groups=4, bias=True, norm=True),
        Layer(kind="conv", channels=12),
        Layer(kind="conv", channels=12, stride=2, shortcut_from=2),
        Layer(kind="mean"),
        Layer(kind="dense", channels=5, bias=True),
    ))  # fmt: skip
    module, counts = Residual(), count_model(m)
    assert sum(p.numel() for p in module.parameters()) == counts.N_total
    assert trace(lambda: module(torch.zeros(2, 3, 21, 18))) == 2 * counts.forward


def test_the_byte_transformer_of_sweeps():
    from isoloss.sweep.counts import counts as swept
    from isoloss.sweep.counts import description
    from isoloss.sweep.models.build import build
    from isoloss.sweep.shapes import Transformer
    from sweep.small_data import spec

    run = spec(Transformer(width=12, depth=3, heads=2, context=9))
    module, counts = build(run, (), 256), count_model(description(run, (), 256))
    assert sum(p.numel() for p in module.parameters()) == counts.N_total == swept(run, (), 256).N
    x = torch.zeros(2, 9, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        module(x)
    # Attention is one call here, which the counter takes as full where it sees it at all.
    seen = counter.get_flop_counts()["Global"]
    products = sum(v for k, v in seen.items() if "attention" not in str(k))
    assert 3 * products == 18 * counts.flops_of(("dense", "head"))
