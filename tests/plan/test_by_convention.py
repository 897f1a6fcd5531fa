"""The convention alone moves the best split, by as much as it must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plan import (
    SixND,
    allocate,
    family_cost,
    split_by_convention,
    split_by_table,
)
from isoloss.plan.family import FamilyCost
from isoloss.runs import Runs, embedded_runs, read_runs
from isoloss.runs.counting import DecoderModel, convert_runs, count_model, describe_runs
from runs.porian_models import PATH, models


def family(widths, *, vocabulary=256, context=128):
    return [DecoderModel(width=w, depth=w // 16, heads=1, vocabulary=vocabulary, context=context,
                         positions="none", norm="none") for w in widths]  # fmt: skip


def test_the_cost_of_a_family_of_one_aspect_ratio_is_exact():
    models = family([32, 64, 128, 256, 512], vocabulary=5000, context=1024)
    counts = [count_model(m, masked="half") for m in models]
    N = np.array([c.N_non_embedding for c in counts], float)
    rates = np.array([c.flops for c in counts], float)
    cost = family_cost(N, rates)
    assert cost.misfit < 1e-12
    # Blocks: 6 N. Attention 6 L T w and head 6 V w, with N = 12 L w^2 and L = w / 16.
    a, c, e = cost.rate_terms
    assert a == pytest.approx(6)
    assert c == pytest.approx(6 * 1024 / 16 * (16 / 12) ** (2 / 3))
    assert e == pytest.approx(6 * 5000 * (16 / 12) ** (1 / 3))
    wide = count_model(family([2048], vocabulary=5000, context=1024)[0], masked="half")
    assert float(cost(wide.N_non_embedding, 1.0)) == pytest.approx(wide.flops)
    # The same models by all parameters: N is no power of the blocks then.
    total = np.array([c.N_total for c in counts], float)
    whole = family_cost(total, rates, blocks=N)
    assert whole.misfit < 1e-12
    assert float(whole(wide.N_total, 1.0)) == pytest.approx(wide.flops)
    np.testing.assert_allclose(whole.blocks(total), N, rtol=1e-12)
    np.testing.assert_allclose(whole.size_of(N), total, rtol=1e-12)


SIZES = [(1.0, 0.0, 0.0), (1.0, 0.0, 3e4), (0.0, 2.0, 5.0), (1.0, 9.0, 1e9), (0.0, 0.0, 2.0)]


def test_a_family_of_one_depth_is_exact_too():
    models = [
        DecoderModel(width=w, depth=4, heads=1, vocabulary=300, context=64, norm="none")
        for w in (32, 64, 128, 256)
    ]
    counts = [count_model(m) for m in models]
    blocks = [c.N_non_embedding for c in counts]
    cost = family_cost([c.N_total for c in counts], [c.flops for c in counts], blocks=blocks)
    assert cost.width_power == pytest.approx(0.5, abs=1e-6)
    assert cost.misfit < 1e-6
    assert cost.size_terms[0] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("power", [1 / 3, 0.42])
def test_its_slope_and_inverses_are_those_of_the_function(size, power):
    cost = FamilyCost(size_terms=size, rate_terms=(6.0, 120.0, 9000.0), width_power=power)
    for N in (1e-6, 1.0, 1e4, 1e7, 1e10, 1e20):
        h = 1e-6
        up = np.log(cost.per_token(np.array(N * np.exp(h))) / cost.per_token(np.array(N)))
        assert float(cost.tilt(N, 1e9)) == pytest.approx(-float(up) / h, rel=1e-5)
        assert float(cost.size_of(cost.blocks(N))) == pytest.approx(N, rel=1e-13)
    assert float(cost(cost.size(1e9, 1e20), 1e9)) == pytest.approx(1e20)
    assert f"^{1 - power:.3f}" in cost.text


def test_bad_families():
    with pytest.raises(InputError, match="N, per_token"):
        family_cost([1.0, 2.0], [1.0])
    with pytest.raises(InputError, match="N"):
        family_cost([0.0], [1.0])
    with pytest.raises(InputError, match="blocks"):
        family_cost([1.0], [1.0], blocks=[1.0, 2.0])


def chinchilla_runs() -> tuple[Runs, list[DecoderModel]]:
    """Runs that follow Chinchilla's law of *all* parameters, without noise."""
    shapes = family([64, 96, 128, 192, 256, 384, 512], vocabulary=4096)
    models, N, D = [], [], []
    for m in shapes:
        for d in (1e8, 3e8, 1e9, 3e9, 1e10):
            models.append(m)
            N.append(count_model(m).N_total)
            D.append(d)
    n, d = np.array(N, float), np.array(D)
    loss = 1.7 + 400 * n**-0.34 + 410 * d**-0.28
    return read_runs({"N": n, "D": d, "loss": loss}), models


def test_without_noise_the_true_convention_gives_the_true_exponent_and_another_a_larger_one():
    """Pearce and Song 2024: N without embeddings, at small scale, grows faster with C."""
    runs, models = chinchilla_runs()
    effect = split_by_convention(runs, models, 1e19, conventions=["6nd", "kaplan"],
                                 laws=["chinchilla"], draws=0)  # fmt: skip
    true, bare = effect.rows
    assert true.exponent_N == pytest.approx(0.28 / 0.62, abs=1e-6)
    values = {"E": 1.7, "A": 400, "B": 410, "alpha": 0.34, "beta": 0.28}
    from isoloss.laws import get_law

    plan = allocate(get_law("chinchilla"), values, 1e19, cost=SixND())
    assert true.N_opt == pytest.approx(plan.N_opt[0], rel=1e-5)
    assert true.N_reference == pytest.approx(true.N_opt, rel=1e-12)
    assert true.C_reference == pytest.approx(1e19)
    assert bare.exponent_N > true.exponent_N + 0.02
    assert effect.spread["chinchilla"] == pytest.approx(bare.exponent_N - true.exponent_N)
    # The bare optimum, in all parameters, is a larger model than its own number says.
    assert bare.N_reference > bare.N_opt
    assert bare.C_reference == pytest.approx(6 * bare.N_reference * bare.D_opt)


def test_rows_of_equal_convention_are_equal_and_results_say_what_they_hold():
    runs = embedded_runs()
    models = describe_runs(runs, vocabulary=256, positions="learned")
    one, two = (convert_runs(runs, models, c) for c in ("ledger", "kaplan"))
    effect = split_by_table({"a": one, "b": one, "c": two}, 1e15, laws=["coupled"], draws=20)
    a, b, c = effect.rows
    assert (a.N_opt, a.exponent_N) == (b.N_opt, b.exponent_N)
    assert c.exponent_N > a.exponent_N
    for row in effect.rows:
        assert row.N_opt in row.N_interval
        assert row.exponent_N in row.exponent_interval
    plain = effect.to_dict()
    assert plain["reference"] == "a"
    assert plain["rows"][0]["N_interval"]["level"] == 0.9
    assert "moves the exponent of N by" in effect.summary()
    assert "ConventionEffect" in repr(effect)
    assert len(effect.to_columns()["law"]) == 3
    assert not effect.warnings


def test_a_cost_that_is_no_function_of_size_is_said():
    runs, models = chinchilla_runs()
    contexts = [128, 32768]
    odd = [replace(m, context=contexts[i % 2]) for i, m in enumerate(models)]
    effect = split_by_convention(runs, odd, 1e19, conventions=["6nd", "exact"],
                                 laws=["chinchilla"], draws=0)  # fmt: skip
    assert len(effect.warnings) == 1
    assert "exact: the cost of a token is no smooth function of N" in effect.warnings[0]


def test_what_cannot_be_compared():
    runs, models = chinchilla_runs()
    with pytest.raises(InputError, match="two or more"):
        split_by_convention(runs, models, 1e19, conventions=["6nd", "6nd"])
    with pytest.raises(InputError, match="laws: name one"):
        split_by_convention(runs, models, 1e19, laws=[])
    with pytest.raises(InputError, match="must be finite and positive"):
        split_by_convention(runs, models, -1)
    other = runs.select(np.arange(len(runs))[::-1])
    with pytest.raises(InputError, match="its runs are not those of a"):
        split_by_table({"a": runs, "b": other}, 1e19)


def test_the_head_alone_moves_the_exponent_of_porians_runs():
    """Their first step, .84 to .71, is from minima of two sets of isoFLOP curves; here one set of
    runs is counted twice, by one surface.
    """
    described = models()
    table = read_runs(PATH, columns={"N": "n", "D": "t", "C": "flops"},
                      where={"dataset": "rw", "hparams": "base", "warmup": "short",
                             "file": "summary_df"})  # fmt: skip
    headed = {m.vocabulary * m.width + n: m for n, m in described.items()}
    effect = split_by_convention(table, [headed[n] for n in table["N"]], 1e19, laws=["chinchilla"],
                                 conventions=["porian", "kaplan"], draws=0)  # fmt: skip
    with_head, without = effect.rows
    assert convert_runs(table, [headed[n] for n in table["N"]], "porian")["N"].tolist() == (
        table["N"].tolist()
    )
    assert without.exponent_N - with_head.exponent_N > 0.1
