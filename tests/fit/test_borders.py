"""Arguments that make no sense, and degenerate shapes, at the border of the room."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from isoloss.errors import FitError, InputError, LawError
from isoloss.fit import bootstrap, fit, fit_laws
from isoloss.fit.certificate import _spectrum
from isoloss.laws import get_law

N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
RUNS = {"N": N, "D": D, "loss": 1.8 + 480 * N**-0.35 + 2100 * D**-0.37}


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    for call in (fit, fit_laws):
        with pytest.raises(InputError, match="rng"):
            call(RUNS, rng=seed, draws=10)
    with pytest.raises(InputError, match="rng"):
        bootstrap(lambda rows: rows.mean(), 5, draws=3, rng=seed)


def test_a_law_without_free_parameters_is_not_fitted() -> None:
    law = get_law("chinchilla").pin(E=1.8, A=480, B=2100, alpha=0.35, beta=0.37)
    with pytest.raises(LawError, match="nothing to fit"):
        fit(RUNS, law)


def test_a_flat_objective_has_no_curvature_and_no_minimum() -> None:
    smallest, condition, edm = _spectrum(np.zeros((2, 2)), np.zeros(2))
    assert (smallest, condition, edm) == (0.0, np.inf, 0.0)
    assert _spectrum(np.zeros((2, 2)), np.ones(2))[2] == np.inf


def test_influence_uses_the_weights_that_the_fit_ended_with() -> None:
    n, d = np.repeat(np.geomspace(1e6, 1e9, 8), 8), np.tile(np.geomspace(1e8, 1e11, 8), 8)
    scale = 0.03 * (n * d / (n * d).min()) ** -0.15
    chance = np.random.default_rng(0).standard_normal(64)
    loss = (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(scale * chance)
    runs = {"N": n, "D": d, "loss": loss}
    found = fit(runs, objective="lsq", noise="scale", draws=200).influence
    assert found is not None
    # Leaving out most single runs of 64 hardly moves anything; other weights would move all.
    for name, shift in found.quantities.items():
        assert abs(np.median(shift)) < 0.05 * found.scales[name], name


def test_a_law_that_fails_late_is_dropped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    procedure = sys.modules["isoloss.fit.procedure"]
    whole, calls = procedure.fit, []

    def failing(runs: Any, law: Any, **options: Any) -> Any:
        calls.append(law.name)
        if law.name == "kaplan":
            raise FitError("NO_FINITE_START", "never finite")
        return whole(runs, law, **options)

    monkeypatch.setattr(procedure, "fit", failing)
    found = fit_laws(RUNS, ["chinchilla", "kaplan"], draws=10)
    assert found.dropped == (("kaplan", "never finite"),)
    assert [f.law.name for f in found.fits] == ["chinchilla"]
    assert calls == ["chinchilla", "kaplan"], "each law is fitted once"
    with pytest.raises(FitError, match="no law could be fitted: kaplan: never finite"):
        fit_laws(RUNS, ["kaplan"], draws=10)
