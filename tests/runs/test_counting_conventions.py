"""Published formulas against what their papers print, and against the exact count."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from isoloss.errors import InputError
from isoloss.runs.counting import (
    CONVENTIONS,
    DecoderModel,
    Experts,
    MlpModel,
    compare_conventions,
    count_model,
    get_convention,
)
from runs.porian_models import models, sizes
from runs.test_model_counts import GOLDEN, GPT3, SMALL, chinchilla, palm


def flops(name, model):
    return CONVENTIONS[name].flops_per_unit(model)


def table_a4(name, vocabulary):
    """How many rows of the table a formula meets to the last digit."""
    met = 0
    for depth, width, heads, head_width, printed in GOLDEN["chinchilla"]["flops"]["rows"]:
        model = replace(
            chinchilla(width, 4 * width, head_width, heads, depth), vocabulary=vocabulary
        )
        met += round(flops(name, model) / (6 * count_model(model).N_total), 2) == printed
    return met


def test_chinchillas_table_a4_leaves_out_embedding_and_head():
    """The ratios printed come from the formulas of appendix F without two of its terms.

    With the terms as the text has them no row is met, whatever the vocabulary: they only add.
    """
    assert table_a4("hoffmann-table", 32000) == 6
    for vocabulary in (1000, 16000, 24000, 28000, 36000, 50257, 256000):
        assert table_a4("hoffmann-table", vocabulary) < 6
        assert table_a4("hoffmann", vocabulary) < 6
    assert table_a4("hoffmann", 32000) == 0


def test_palm_mfu_is_the_one_of_its_table_3():
    # 540B: 6144 chips of 275e12, 238.3 thousand tokens a second: 46.2 %, 45.7 % without attention.
    from isoloss.runs.counting import model_utilisation

    model = palm(18432, 118, 48)
    speed = {"hardware": "tpu-v4", "devices": 6144}
    assert round(100 * model_utilisation(flops("palm", model), 238.3e3, **speed), 1) == 46.2
    assert round(100 * model_utilisation(flops("6nd", model), 238.3e3, **speed), 1) == 45.7


def test_kaplans_table_1_by_hand():
    d, layers, t = 64, 3, 32
    model = replace(SMALL, norm="none")
    N = 2 * d * layers * (2 * d + 4 * d)
    assert CONVENTIONS["kaplan"].size(model) == N
    assert flops("kaplan", model) == 6 * N
    assert flops("kaplan-attention", model) == 3 * (2 * N + 2 * layers * t * d)


def test_deepseeks_equation_2_and_megatrons():
    for model in (GPT3, SMALL):
        d, layers, t, v = model.width, model.depth, model.context, model.vocabulary
        assert flops("deepseek", model) == 72 * layers * d**2 + 12 * layers * d * t
        printed = 72 * layers * d**2 * (1 + t / (6 * d) + v / (12 * layers * d))
        assert flops("megatron", model) == pytest.approx(printed, rel=1e-14)


def test_formulas_that_claim_every_product_are_the_exact_count_where_they_apply():
    """On the architecture a formula was made for, only its mask and its norms are its own."""
    plain = replace(GPT3, attention_bias="none", mlp_bias=False, norm="none", positions="none")
    full = count_model(plain, masked="all").flops
    half = count_model(plain, masked="half").flops
    assert flops("megatron", plain) == full
    assert flops("palm", plain) == full
    assert flops("6nd-attention", plain) == flops("porian-attention", plain) == half
    assert flops("ledger", plain) == half
    softmax = 9 * plain.depth * plain.heads * plain.context
    look_up = 6 * plain.vocabulary * plain.width
    assert flops("hoffmann", plain) == full + softmax + look_up


def test_gated_grouped_or_mixed_models_break_formulas_made_for_others():
    llama = DecoderModel(width=4096, depth=32, heads=32, kv_heads=8, vocabulary=32000, context=4096,
                         mlp_width=14336, gated=True, tied=False)  # fmt: skip
    mixed = replace(llama, experts=Experts(count=8, active=2))
    ratios = {
        row.convention.name: row.ratio
        for row in compare_conventions(mixed).rows
    }  # fmt: skip
    assert ratios["exact"] == 1
    assert 0.94 < ratios["kaplan"] < ratios["6nd"] < ratios["6nd-attention"] < 1.02
    assert ratios["deepseek"] < 0.6
    assert ratios["hoffmann"] < 0.6


def test_long_contexts_and_large_vocabularies_make_six_n_d_wrong_both_ways():
    small = DecoderModel(width=512, depth=8, heads=8, vocabulary=128_256, context=1024, tied=False)
    assert flops("6nd", small) / flops("exact", small) > 1.4
    long = replace(small, context=131_072)
    assert flops("6nd", long) / flops("exact", long) < 0.5
    assert count_model(long).flops_of("attention") / count_model(long).flops > 0.7


def test_every_convention_cites_its_place_and_has_words():
    for name, c in CONVENTIONS.items():
        assert name == c.name
        assert c.N
        assert c.C
        if name in ("exact", "ledger"):
            continue
        assert re.search(r"\d{4}\.\d{5}, (eq\.|table|appendix|section|released data)", c.source), (
            name
        )


def test_names_and_families():
    with pytest.raises(InputError, match="must be one of exact"):
        get_convention("chinchila")
    mlp = MlpModel(inputs=3, widths=(4,), outputs=2)
    assert [r.convention.name for r in compare_conventions(mlp).rows] == ["exact", "ledger", "6nd"]
    with pytest.raises(InputError, match="decoder-only transformers, not of a mlp"):
        compare_conventions(mlp, conventions=["palm"])
    with pytest.raises(InputError, match="name one or more"):
        compare_conventions(mlp, conventions=[])
    for bad in (0, -1, math.nan, math.inf, True, "many"):
        with pytest.raises(InputError, match="tokens"):
            compare_conventions(mlp, tokens=bad)


def test_the_table_says_what_it_holds():
    table = compare_conventions(GPT3, tokens=300 * 10**9)
    assert [r["convention"] for r in table.to_dict()["rows"]] == list(CONVENTIONS)
    assert table.rows[0].flops * 300 * 10**9 == table.rows[0].C
    text = table.summary()
    assert all(name in text for name in CONVENTIONS)
    assert "conventions" in repr(table)
    assert set(table.to_columns()) == {"convention", "N", "flops", "ratio", "C"}


def test_porians_sizes_are_those_of_its_released_runs():
    found, released = models(), sizes()
    assert len(found) == 16
    for k, model in enumerate(found.values()):
        assert CONVENTIONS["kaplan"].size(model) == released["kaplan"][k]
        assert CONVENTIONS["porian"].size(model) == released["standard"][k]
        assert flops("porian-attention", model) == 6 * released["attention"][k]
        assert model.hidden % 256 == 0
