"""Runs that no law explains are left out aloud, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fit.designs import table
from isoloss.errors import InputError
from isoloss.fit import LawSet, fit_laws, forecast
from isoloss.fit.disagree import with_all_runs
from isoloss.fit.unexplained import left_out_sentence, unexplained
from isoloss.runs import Runs

PAIR = ["chinchilla", "coupled"]
AT = {"N": 1e11, "D": 3e12}
NOISE = 0.003


def spoiled(rows: list[int], factor: float = 1.2) -> Runs:
    """Runs of a Chinchilla truth, some of them off by a factor."""
    runs = table("chinchilla", noise=NOISE, seed=3)
    loss = np.array(runs["loss"])
    loss[rows] *= factor
    return Runs(columns=dict(runs.columns) | {"loss": loss})


def few(runs: Runs, **options: object) -> LawSet:
    return fit_laws(runs, PAIR, draws=60, **options)


@pytest.fixture(scope="module")
def clean() -> LawSet:
    return few(spoiled([]))


def test_good_runs_are_all_kept(clean: LawSet) -> None:
    assert not clean.left_out.any()
    assert clean.left_out_sentence == ""
    assert clean.to_dict()["left_out"] == []


@pytest.mark.parametrize("factor", [1.2, 1 / 1.3, 3.0])
def test_a_wrong_run_is_left_out_and_named(clean: LawSet, factor: float) -> None:
    runs = spoiled([5], factor)
    found = few(runs)
    assert np.flatnonzero(found.left_out).tolist() == [5]
    assert f"({runs.names[5]})" in found.left_out_sentence
    assert found.left_out_sentence in found.summary()
    for f in found.fits:
        assert f.weights[5] == 0
    at = forecast(found, AT).loss
    assert at == pytest.approx(forecast(clean, AT).loss, rel=0.005)


def test_the_fits_are_those_without_the_run() -> None:
    runs = spoiled([5])
    keep = np.arange(len(runs)) != 5
    found, without = few(runs), few(runs.select(keep))
    np.testing.assert_allclose(found.weights, without.weights, rtol=1e-9)
    for ours, theirs in zip(found.fits, without.fits, strict=True):
        # The scales that the engine works in come from all runs: equal but for rounding.
        np.testing.assert_allclose(ours.theta, theirs.theta, rtol=1e-6)
        assert ours.seed_noise == pytest.approx(theirs.seed_noise, rel=1e-6)
    assert found.discrepancy == pytest.approx(without.discrepancy, rel=1e-6)


def test_kept_on_request() -> None:
    found = few(spoiled([5]), outliers="keep")
    assert not found.left_out.any()
    assert all(f.weights[5] > 0 for f in found.fits)


def test_a_large_one_hides_a_smaller_one() -> None:
    # Of 60 runs three may go; the second and third show once the first is gone.
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7.5, 9.5, 60), 10 ** rng.uniform(9, 11, 60)
    loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
    loss *= np.exp(NOISE * rng.standard_normal(60))
    loss[[7, 8, 9]] *= [4.0, 1.2, 1.05]
    found = few(Runs(columns={"N": N, "D": D, "loss": loss}))
    assert np.flatnonzero(found.left_out).tolist() == [7, 8, 9]


def test_many_runs_off_are_the_fault_of_the_laws() -> None:
    found = few(spoiled(list(range(0, 36, 4))))
    assert not found.left_out.any()


def test_only_what_every_law_with_a_weight_misses(clean: LawSet) -> None:
    first, second = clean.fits
    far = np.array(first.residuals)
    far[2] = 1.0
    ours = replace(first, residuals=far)
    both = np.array([0.5, 0.5])
    assert not unexplained([ours, second], both).any()
    assert np.flatnonzero(unexplained([ours, second], np.array([1.0, 0.0]))).tolist() == [2]
    again = replace(second, residuals=far)
    assert np.flatnonzero(unexplained([ours, again], both)).tolist() == [2]
    # A run that a fit does without is not found again.
    weights = np.array(first.weights)
    weights[2] = 0.0
    assert not unexplained([replace(ours, weights=weights)], np.ones(1)).any()


def test_runs_from_a_formula_have_no_outliers() -> None:
    assert not few(table("chinchilla")).left_out.any()


def test_points_of_a_curve_are_kept() -> None:
    x = np.geomspace(1e6, 1e9, 40)
    loss = (1 + 90 * x**-0.3) * np.exp(0.001 * np.random.default_rng(0).standard_normal(40))
    loss[0] *= 1.2
    assert not fit_laws({"D": x, "loss": loss}, ["power_floor"], draws=0).left_out.any()


def test_the_answer_with_them_is_the_one_that_keeps_them() -> None:
    runs = spoiled([5])
    found = few(runs)
    whole = with_all_runs(found, runs)
    assert not whole.left_out.any()
    assert whole.weights.tolist() == found.weights.tolist()
    for f, p in zip(whole.fits, found.emphases, strict=True):
        if len(f.draws):
            scale = 6 * runs["N"] * runs["D"]
            wanted = scale**p / np.mean(scale**p)
            np.testing.assert_allclose(f.weights, wanted, rtol=1e-12)


def test_row_order_does_not_matter() -> None:
    runs = spoiled([5])
    mixed = np.random.default_rng(1).permutation(len(runs))
    found, shuffled = few(runs), few(runs.select(mixed))
    assert mixed[np.flatnonzero(shuffled.left_out)].tolist() == [5]
    np.testing.assert_allclose(forecast(found, AT).loss, forecast(shuffled, AT).loss, rtol=1e-12)


def test_sentences() -> None:
    assert left_out_sentence([], 10) == ""
    many = left_out_sentence([str(i) for i in range(12)], 400)
    assert many.startswith("12 of 400 runs are left out")
    assert many.endswith("(0, 1, 2, 3, 4, 5, 6, 7, ...).")


def test_misuse() -> None:
    with pytest.raises(InputError, match="outliers = 'drop': write 'auto' or 'keep'"):
        few(spoiled([]), outliers="drop")
