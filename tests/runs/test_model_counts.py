"""Counts by term: what checkpoints hold, what papers print, and what must not depend on what."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.runs import embedded_runs
from isoloss.runs.counting import (
    ConvModel,
    DecoderModel,
    Experts,
    Layer,
    MlpModel,
    VitModel,
    count_model,
    describe_runs,
)
from isoloss.runs.counting.decoder import twice_pairs

GOLDEN = tomllib.loads((Path(__file__).parents[1] / "golden" / "models.toml").read_text("utf8"))
GPT3 = DecoderModel(width=12288, depth=96, heads=96, vocabulary=50257, context=2048,
                    attention_bias="all", mlp_bias=True, norm="layer",
                    positions="learned")  # fmt: skip
SMALL = DecoderModel(width=64, depth=3, heads=4, vocabulary=100, context=32)


def palm(width: int, depth: int, heads: int) -> DecoderModel:
    return DecoderModel(width=width, depth=depth, heads=heads, head_width=256, kv_heads=1,
                        vocabulary=256000, context=2048, gated=True, norm="none")  # fmt: skip


def chinchilla(width: int, hidden: int, head_width: int, heads: int, depth: int) -> DecoderModel:
    """A reading that gives every row: what is not said in the paper is inferred from it."""
    return DecoderModel(width=width, depth=depth, heads=heads, head_width=head_width,
                        mlp_width=hidden, vocabulary=32000, context=2048, positions="relative",
                        norm="layer", attention_bias="all", head_bias=True)  # fmt: skip


def test_gpt3_has_the_parameters_and_the_training_compute_of_its_table():
    # Brown et al. 2020, table D.1: 174,600 million parameters, 300 billion tokens, 3.14e23.
    counts = count_model(GPT3)
    assert round(counts.N_total / 1e8) == 1746
    assert 6 * counts.N_total * 300e9 == pytest.approx(3.14e23, rel=2e-3)


@pytest.mark.parametrize(
    ("shape", "billions"),
    [((4096, 32, 16), 8.63), ((8192, 64, 32), 62.50), ((18432, 118, 48), 540.35)],
)
def test_palm_has_the_parameters_of_its_table_1(shape, billions):
    assert round(count_model(palm(*shape)).N_total / 1e9, 2) == billions


def test_every_row_of_chinchillas_table_a9_is_met_to_the_last_digit():
    rows = GOLDEN["chinchilla"]["rows"]
    assert len(rows) == 49
    for millions, *shape in rows:
        assert round(count_model(chinchilla(*shape)).N_total / 1e6) == millions
    # Chinchilla itself: 80 layers, 64 heads of 128, d_model 8192 (table 4).
    assert round(count_model(chinchilla(8192, 32768, 128, 64, 80)).N_total / 1e9) == 70


def test_gpt2_by_hand():
    d, layers, v, t = 768, 12, 50257, 1024
    model = DecoderModel(width=d, depth=layers, heads=12, vocabulary=v, context=t,
                         attention_bias="all", mlp_bias=True, norm="layer",
                         positions="learned")  # fmt: skip
    counts = count_model(model)
    block = 4 * d * d + 4 * d + 8 * d * d + 5 * d + 4 * d
    assert counts.N_total == v * d + t * d + layers * block + 2 * d == 124_439_808
    assert counts.N_non_embedding == layers * block + 2 * d
    keys = (t + 1) / 2
    assert counts.forward == 2 * (12 * layers * d * d + v * d) + 4 * layers * keys * d
    assert counts.flops == 3 * counts.forward


def test_resnets_have_the_parameters_and_products_that_are_known():
    # torchvision: 11,689,512 and 25,557,032 parameters; 1.81 and 4.09 GFLOPS, one a product.
    for build, parameters, products in ((resnet18, 11_689_512, 1.81), (resnet50, 25_557_032, 4.09)):
        counts = count_model(build())
        assert counts.N_total == parameters
        assert round(counts.forward / 2e9, 2) == products


def stem() -> list[Layer]:
    return [
        Layer(kind="conv", channels=64, kernel=7, stride=2, norm=True),
        Layer(kind="pool", kernel=3, stride=2, padding=1),
    ]


def finish(layers: list[Layer]) -> ConvModel:
    head = [Layer(kind="mean"), Layer(kind="dense", channels=1000, bias=True)]
    return ConvModel(inputs=(3, 224, 224), layers=tuple(layers + head))


def resnet18() -> ConvModel:
    layers = stem()
    for stage, width in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            start = len(layers)
            layers += [Layer(kind="conv", channels=width, kernel=3, stride=stride, norm=True),
                       Layer(kind="conv", channels=width, kernel=3, norm=True)]  # fmt: skip
            if stride == 2:
                layers.append(Layer(kind="conv", channels=width, stride=2, norm=True,
                                    shortcut_from=start))  # fmt: skip
    return finish(layers)


def resnet50() -> ConvModel:
    layers = stem()
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            start = len(layers)
            layers += [Layer(kind="conv", channels=width, norm=True),
                       Layer(kind="conv", channels=width, kernel=3, stride=stride, norm=True),
                       Layer(kind="conv", channels=4 * width, norm=True)]  # fmt: skip
            if not block:
                layers.append(Layer(kind="conv", channels=4 * width, stride=stride, norm=True,
                                    shortcut_from=start))  # fmt: skip
    return finish(layers)


def test_the_ledger_of_the_embedded_runs_is_what_the_engine_counts():
    runs = embedded_runs()
    models = describe_runs(runs, vocabulary=256, positions="learned")
    for i, model in enumerate(models):
        counts = count_model(model, masked="half")
        seen = runs["seen"][i]
        assert counts.N_total == runs["N"][i]
        assert counts.N_non_embedding == runs["N_non_embedding"][i]
        for group in ("dense", "head", "attention"):
            assert counts.flops_of(group) * seen == runs[f"flops_{group}"][i]
        assert counts.flops * seen == runs["C"][i]


shapes = st.builds(
    lambda units, heads, group, depth, v, t, hidden, gated, bias, norm, qk, pos, tied: DecoderModel(
        width=units * heads * group, depth=depth, heads=heads * group, kv_heads=heads,
        vocabulary=v, context=t, mlp_width=hidden, gated=gated, mlp_bias=bias, norm=norm,
        qk_norm=qk, positions=pos, tied=tied,
    ),
    *[st.integers(1, 40) for _ in range(7)], st.booleans(), st.booleans(),
    st.sampled_from(["layer", "scale", "none"]), st.sampled_from(["none", "head", "width"]),
    st.sampled_from(["none", "learned", "rotary", "relative"]), st.booleans(),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(shapes)
def test_invariants(model):
    counts = count_model(model)
    d, v = model.width, model.vocabulary
    assert counts.N_total == sum(counts.to_columns()["parameters"])
    # One more symbol is one more row of the embedding, of an untied head, and a column of products.
    more = count_model(replace(model, vocabulary=v + 1))
    assert more.N_total - counts.N_total == d * (1 if model.tied else 2)
    assert more.flops - counts.flops == 6 * d
    assert more.N_non_embedding == counts.N_non_embedding
    # Tying changes parameters and no product.
    other = count_model(replace(model, tied=not model.tied))
    assert other.flops == counts.flops
    assert abs(other.N_total - counts.N_total) == v * d
    # Layers add up.
    two, three = (count_model(replace(model, depth=model.depth + k)) for k in (1, 2))
    assert three.N_total - two.N_total == two.N_total - counts.N_total
    # The three ways to count a mask differ by half a token and by half a square.
    half, full = (count_model(model, masked=m) for m in ("half", "all"))
    assert full.flops_of("attention") == 2 * half.flops_of("attention")
    assert half.flops_of("attention") * (model.context + 1) == pytest.approx(
        counts.flops_of("attention") * model.context
    )
    # All experts active, one of them, or a dense perceptron: one cost.
    one = count_model(replace(model, experts=Experts(count=1, active=1)))
    assert one.flops - one.flops_of("router") == counts.flops
    assert one.N_total == counts.N_total + model.depth * d


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.one_of(st.none(), st.integers(1, 40)))
def test_pairs_are_those_that_a_mask_leaves(context, window):
    seen = sum(1 for q in range(context) for k in range(q + 1) if window is None or q - k < window)
    assert twice_pairs(context, window, True, "exact") == 2 * seen
    assert twice_pairs(context, window, True, "all") == 2 * context**2
    assert twice_pairs(context, None, False, "exact") == 2 * context**2


def test_windows_of_some_layers():
    local = replace(SMALL, window=8, windowed_layers=2)
    per_layer = [count_model(replace(SMALL, depth=1, window=w)).flops_of("attention")
                 for w in (8, 8, None)]  # fmt: skip
    assert count_model(local).flops_of("attention") == sum(per_layer)
    assert count_model(replace(SMALL, window=10**6)).flops == count_model(SMALL).flops


def test_experts_hold_more_than_a_token_meets():
    mixed = replace(SMALL, gated=True, experts=Experts(count=8, active=2, width=16, shared=1,
                                                       shared_width=24, shared_gate=True,
                                                       dense_layers=1))  # fmt: skip
    counts = count_model(mixed)
    idle = 2 * 6 * 3 * 64 * 16
    assert counts.N_total - counts.N_active == idle
    assert counts.N_non_embedding - counts.N_active_non_embedding == idle


def test_integers_have_no_largest():
    huge = DecoderModel(width=2**38, depth=10**6, heads=2**20, vocabulary=10**9, context=2**30)
    counts = count_model(huge)
    assert counts.N_total == (
        10**9 * 2**38 + 10**6 * (12 * 2**76 + 2 * 2**38) + 2**38
    ) > 2**63  # fmt: skip
    assert isinstance(counts.flops, int)
    assert "ModelCounts" in repr(counts)
    assert "1,000,000,000" not in counts.summary()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "width = 64 is not divisible by heads = 3"),
        ({"depth": 0}, "depth = 0: must be a whole number of at least 1"),
        ({"depth": float("nan")}, "depth = nan"),
        ({"depth": True}, "depth = True"),
        ({"width": 64.0}, r"width = 64\.0"),
        ({"context": 10**40}, "context = 1000"),
        ({"kv_heads": 3}, "heads = 4 is not divisible by kv_heads = 3"),
        ({"positions": "sinus"}, "must be one of none, learned, rotary, relative"),
        ({"gated": 1}, "gated = 1: must be true or false"),
        ({"window": 4, "causal": False}, "only of causal attention"),
        ({"windowed_layers": 2}, "give the window"),
        ({"window": 4, "windowed_layers": 9}, "of 3 layers"),
        ({"experts": 8}, "expected Experts"),
        ({"experts": Experts(count=4, active=1, dense_layers=9)}, "there are 3 layers"),
    ],
)
def test_shapes_that_cannot_be(change: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **change)


def test_other_families_refuse_what_cannot_be():
    with pytest.raises(InputError, match="cannot meet more than the 2 experts"):
        Experts(count=2, active=3)
    with pytest.raises(InputError, match="image = 30 is not divisible by patch = 16"):
        VitModel(image=30, patch=16, width=8, depth=1, heads=1, classes=2)
    with pytest.raises(InputError, match=r"widths: 0 is not a whole number"):
        MlpModel(inputs=3, widths=(4, 0), outputs=1)
    with pytest.raises(InputError, match="must be one of conv, pool, mean, dense"):
        Layer(kind="attention")
    with pytest.raises(InputError, match="a kernel of 7 does not fit 3 x 3"):
        count_model(ConvModel(inputs=(1, 3, 3), layers=(
            Layer(kind="conv", channels=2, kernel=7, padding=0),)))  # fmt: skip
    with pytest.raises(InputError, match="both must be of one shape"):
        count_model(ConvModel(inputs=(1, 8, 8), layers=(
            Layer(kind="conv", channels=2), Layer(kind="conv", channels=3, shortcut_from=0),
        )))  # fmt: skip
    with pytest.raises(InputError, match="no layer before it"):
        count_model(ConvModel(inputs=(1, 8, 8), layers=(
            Layer(kind="conv", channels=2, shortcut_from=1),)))  # fmt: skip
    with pytest.raises(InputError, match="channels = 3 is not divisible by groups = 2"):
        count_model(ConvModel(inputs=(3, 8, 8), layers=(
            Layer(kind="conv", channels=2, groups=2),)))  # fmt: skip
    with pytest.raises(InputError, match="expected DecoderModel"):
        count_model({"kind": "mlp"})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="masked = 'some'"):
        count_model(SMALL, masked="some")
