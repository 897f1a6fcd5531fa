"""Defects of FLOP calculators in use, each with the check of the ledger that tells it apart.

The oracle is written product by product: what is multiplied with what, how often a sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from isoloss.errors import InputError
from isoloss.runs.counting import (
    CONVENTIONS,
    HARDWARE,
    DecoderModel,
    Experts,
    compare_conventions,
    count_model,
    shapes_near,
    training_bill,
)

Count = Callable[[DecoderModel], float]

LLAMA = DecoderModel(width=512, depth=4, heads=8, kv_heads=2, vocabulary=3000, context=256,
                     mlp_width=1408, gated=True, tied=False)  # fmt: skip
MODELS = (
    LLAMA,
    replace(LLAMA, kv_heads=8, gated=False, tied=True),
    replace(LLAMA, experts=Experts(count=8, active=2, width=300)),
    replace(LLAMA, window=64, windowed_layers=2),
    replace(LLAMA, context=8192, vocabulary=200_000),
)


def oracle(m: DecoderModel) -> float:
    """Training FLOPs a token, product by product."""
    d, t, total = m.width, m.context, 0
    units = d // m.heads
    for layer in range(m.depth):
        sides = [(d, d), (d, m.key_heads * units), (d, m.key_heads * units), (d, d)]
        width = m.hidden
        if m.experts is not None:
            width = m.experts.width or width
            sides.append((d, m.experts.count))
        perceptron = [(d, width)] * (2 if m.gated else 1) + [(width, d)]
        sides += perceptron * (m.experts.active if m.experts else 1)
        total += sum(2 * a * b * t for a, b in sides)
        window = m.window if m.window and layer < (m.windowed_layers or m.depth) else t
        pairs = sum(min(q + 1, window) for q in range(t))
        total += 2 * 2 * d * pairs
    return 3 * (total / t + 2 * d * m.vocabulary)


def right(count: Count) -> bool:
    return all(count(m) == pytest.approx(oracle(m), rel=1e-12) for m in MODELS)


def ours(m: DecoderModel) -> float:
    return count_model(m).flops


def test_the_ledger_is_the_oracle() -> None:
    assert right(ours)


def test_the_mask_is_counted_twice_or_not_at_all() -> None:
    """karpathy/nanoGPT issue 456; AI-Hypercomputer/maxtext issues 1988, 2031 (attention is 10 % of
    FLOPs at 8k of context and 90 % at 128k, so that a factor of two there is one of everything).

    Ours: which pairs count is an argument, and its three values are 1 : 1/2 : (T + 1)/2T.
    """
    assert not right(lambda m: count_model(m, masked="all").flops)
    assert not right(lambda m: ours(m) - count_model(m).flops_of("attention") / 2)
    m = LLAMA
    full, half, exact = (count_model(m, masked=w).flops_of("attention") for w in
                         ("all", "half", "exact"))  # fmt: skip
    assert full == 2 * half
    assert exact * 2 * m.context == full * (m.context + 1)


def test_a_look_up_is_a_product_or_the_head_counts_twice() -> None:
    """volcengine/veomni pull request 703; huggingface/trl issue 6709; and appendix F of Hoffmann
    et al. 2022, whose text counts the look-up and whose table A4 does not.
    """
    assert not right(lambda m: ours(m) + 6 * m.width * m.vocabulary)
    assert not right(lambda m: ours(m) - 6 * m.width * m.vocabulary)
    terms = dict(zip(*(count_model(LLAMA).to_columns()[k] for k in ("term", "training")),
                     strict=True))  # fmt: skip
    assert terms["token embedding"] == 0
    assert terms["head"] == 6 * LLAMA.width * LLAMA.vocabulary
    assert sum(terms.values()) == count_model(LLAMA).flops


def test_shards_of_a_sequence_are_taken_for_sequences() -> None:
    """NVIDIA-NeMo/Megatron-Bridge issue 4161: over cp devices, tokens came out cp times too few and
    attention cp squared times.

    Ours: context and tokens are given. A shard's length in their place is a smaller number, and
    the terms say where: dense FLOPs per token do not depend on it.
    """
    cp = 4
    shard = replace(LLAMA, context=LLAMA.context // cp)
    assert not right(lambda m: ours(replace(m, context=m.context // cp)))
    assert count_model(shard).flops_of("dense") == count_model(LLAMA).flops_of("dense")
    halves = (count_model(m, masked="half").flops_of("attention") for m in (LLAMA, shard))
    assert next(halves) == cp * next(halves)
    one, four = (compare_conventions(LLAMA, tokens=n).rows[0].C for n in (1e9, 4e9))
    assert four == 4 * one


def test_the_vocabulary_is_missing() -> None:
    """The released code of Porian et al. 2024, pull request 1, and every formula without a head."""
    assert not right(lambda m: ours(replace(m, vocabulary=1)))
    small, large = LLAMA, replace(LLAMA, vocabulary=LLAMA.vocabulary + 1000)
    grows = {
        name: c.flops_per_unit(large) - c.flops_per_unit(small) for name, c in CONVENTIONS.items()
    }
    column = 6 * 1000 * LLAMA.width
    blind = {name for name, change in grows.items() if change == 0}
    assert blind == {"kaplan", "kaplan-attention", "hoffmann-table", "deepseek"}
    assert {grows[n] for n in ("exact", "ledger", "porian", "porian-attention", "megatron")} == {
        column
    }
    # Untied, 6 N charges for the look-up as well; so does the text of appendix F.
    assert {grows[n] for n in ("6nd", "6nd-attention", "palm", "hoffmann")} == {2 * column}


def test_a_formula_is_quoted_wrongly() -> None:
    """deepseek-ai/DeepSeek-LLM issue 48. Ours: each formula cites its place, and is a function."""
    for name, c in CONVENTIONS.items():
        if name not in ("exact", "ledger"):
            assert "arXiv:" in c.source
            assert c.source.rpartition("arXiv:")[2].count(",") >= 1
    # Equation 2 of that paper: M counts attention and no vocabulary, 6 N_2 the reverse.
    m = DecoderModel(width=640, depth=10, heads=10, vocabulary=102_400, context=4096)
    M = CONVENTIONS["deepseek"].flops_per_unit(m)
    assert M == 72 * 10 * 640**2 + 12 * 10 * 640 * 4096
    six_n2 = 72 * 10 * 640**2 + 6 * 102_400 * 640
    assert six_n2 != M


def test_keys_of_groups_are_counted_as_full_heads() -> None:
    """6 and 12 d^2 a layer are for as many heads of keys as of queries."""
    assert not right(lambda m: ours(replace(m, kv_heads=m.heads)))


def test_a_gated_perceptron_is_counted_as_two_matrices() -> None:
    """Formulas with 4 d d_ff a layer are for two matrices; a gated perceptron has three."""
    assert not right(lambda m: ours(replace(m, gated=False)))


def test_all_experts_are_counted_as_active() -> None:
    """6 N with all parameters charges eight experts where two are used."""
    assert not right(lambda m: ours(replace(m, experts=m.experts and replace(m.experts, active=8))))
    mixed = MODELS[2]
    assert CONVENTIONS["6nd"].size(mixed) == count_model(mixed).N_active
    assert count_model(mixed).N_active < count_model(mixed).N_total


def test_recomputed_activations_are_counted_as_model_flops() -> None:
    """96 L d^2 (Narayanan et al. 2021, eq. 3) is with a second forward pass; 72 is the model's."""
    plain = DecoderModel(width=256, depth=4, heads=4, vocabulary=1000, context=128, norm="none",
                         positions="none")  # fmt: skip
    forward = count_model(plain).forward
    assert count_model(plain).flops == 3 * forward
    assert CONVENTIONS["megatron"].flops_per_unit(plain) < 4 * forward


def test_the_peak_of_a_device_is_the_one_with_sparsity() -> None:
    """Twice the peak halves the utilisation and the bill of whoever takes it for granted.

    Ours: dense peaks only, with their source; utilisation and price have no default.
    """
    assert HARDWARE["h100-sxm"].peak == 989.4e12
    with pytest.raises(TypeError):
        training_bill(1e20, hardware="h100-sxm")  # type: ignore[call-arg]
    assert training_bill(1e20, hardware="h100-sxm", utilisation=0.4).cost is None


def test_nearest_is_the_ceiling() -> None:
    """``isoflop_analysis`` of marin rounds to "the nearest" power of two by its ceiling."""

    def ceiling(N: float) -> float:
        sizes = [s.N for s in shapes_near(N, vocabulary=1000, context=128, limit=40)]
        return min(s for s in sizes if s >= N)

    def nearest(N: float) -> float:
        return shapes_near(N, vocabulary=1000, context=128, limit=1)[0].N

    def sound(pick: Callable[[float], float]) -> bool:
        wanted = [1.01 * s.N for s in shapes_near(3e7, vocabulary=1000, context=128, limit=5)]
        return all(abs(pick(N) / N - 1) <= 0.01 for N in wanted)

    assert sound(nearest)
    assert not sound(ceiling)


def test_heads_that_do_not_divide_the_width_are_rounded_away() -> None:
    """Integer division of width by heads silently drops units, and their products."""
    with pytest.raises(InputError, match="not divisible"):
        replace(LLAMA, heads=7)
