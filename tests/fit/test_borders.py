"""Arguments that make no sense, and degenerate shapes, at the border of the room."""

from __future__ import annotations

import numpy as np
import pytest

from isoloss.errors import InputError, LawError
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
