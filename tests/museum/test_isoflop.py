"""Defects of published isoFLOP analyses, each with the test that tells it from a sound one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.laws import get_law
from isoloss.plan import allocate, fit_isoflop, group_budgets

X = np.linspace(-2.3, 2.3, 9)
SIZES = 1e8 * np.exp(X)


def ours(loss: np.ndarray) -> float | None:
    """N_opt of one budget, or None where there is none; three equal budgets make a line."""
    C = np.repeat([1e19, 1e20, 1e21], 9)
    N = np.tile(SIZES, 3)
    for degree in (2, 3):
        answer = fit_isoflop(N, C / (6 * N), C, np.tile(loss, 3), degree=degree)
        if np.isnan(answer.budgets[0].N_opt):
            assert answer.budgets[0].refusal is not None
            assert np.isnan(answer.exponent_N)
            return None
    return answer.budgets[0].N_opt


def stationary_point(loss: np.ndarray) -> float | None:
    """The defect: only a vanishing leading coefficient is refused."""
    a, b, _ = np.polyfit(np.log(SIZES), loss, 2)
    return None if a == 0 else float(np.exp(-b / (2 * a)))


def within_the_sizes(loss: np.ndarray) -> float | None:
    """Half of a repair: a stationary point inside counts, whichever way the curve bends."""
    found = stationary_point(loss)
    return found if found is not None and SIZES[0] < found < SIZES[-1] else None


CONCAVE = 3 - 0.05 * (X - 0.3) ** 2
FALLING = 3 + 0.01 * (X - 4) ** 2
RISING = 3 + 0.01 * (X + 4) ** 2
BOWL = 3 + 0.05 * (X - 0.3) ** 2


@pytest.mark.parametrize("defect", [stationary_point, within_the_sizes])
def test_a_maximum_is_taken_for_the_optimum(defect: Callable[..., float | None]) -> None:
    """A parabola that bends down has a stationary point too, and it is the worst size there is.

    The code refused a leading coefficient of zero but not a negative one, and did not ask whether
    the vertex lies between the sizes that were trained. Where: marin-community/marin,
    ``isoflop_analysis.py``.

    Ours: a minimum counts only inside the sizes and with a curvature whose interval is above
    zero; everything else is refused with a reason, and no line is drawn through fewer than two.
    """

    def sound(vertex: Callable[[np.ndarray], float | None]) -> bool:
        refused = all(vertex(curve) is None for curve in (CONCAVE, FALLING, RISING))
        return refused and vertex(BOWL) == pytest.approx(1e8 * np.exp(0.3), rel=1e-6)

    assert sound(ours)
    assert defect(CONCAVE) is not None
    assert not sound(defect)


@given(st.floats(-6, 6), st.floats(-0.2, 0.2))
def test_whatever_is_accepted_is_a_minimum_inside(shift: float, bend: float) -> None:
    """The same promise over parabolas at random: what comes out beats both ends."""
    found = ours(20 + bend * (X - shift) ** 2)
    if found is not None:
        assert bend > 0
        assert SIZES[0] < found < SIZES[-1]
        assert found == pytest.approx(1e8 * np.exp(shift), rel=1e-4)


def rounded(C: np.ndarray) -> list[list[int]]:
    """The defect: one significant digit names the bucket."""
    keys = [f"{c:.0e}" for c in C]
    return [[i for i, k in enumerate(keys) if k == key] for key in dict.fromkeys(keys)]


def grouped(C: np.ndarray) -> list[list[int]]:
    return [g.index.tolist() for g in group_budgets(C)]


def test_budgets_are_binned_by_a_rounded_number() -> None:
    """Runs of 1.5e19 and of 2.4e19 FLOPs both round to 2e19 and were fitted as one budget.

    The lower budget has the higher losses and the smaller sizes, so the common curve tilts and its
    minimum moves. Where: marin-community/marin, ``isoflop_analysis.py``, documented there.

    Ours: budgets are told apart by the gaps between them, never by a rounded value, so that
    neither two budgets share a bin nor one budget is cut at an edge.
    """
    apart, astride = np.array([1.5e19, 2.4e19] * 5), np.array([1.49e19, 1.51e19] * 5)

    def sound(groups: Callable[[np.ndarray], list[list[int]]]) -> bool:
        return len(groups(apart)) == 2 and len(groups(astride)) == 1

    assert sound(grouped)
    assert not sound(rounded)
    law = get_law("chinchilla")
    values = {"E": 1.7, "A": 400.0, "B": 2000.0, "alpha": 0.34, "beta": 0.34}
    C = np.repeat([1.5e19, 2.4e19, 1.5e21, 2.4e21], 7)
    centre = allocate(law, values, C, near=False).N_opt
    N = centre * np.tile(np.geomspace(0.3, 3, 7), 4)
    loss = law(values, {"N": N, "D": C / (6 * N)})
    truth = float(allocate(law, values, 1e23, near=False).N_opt[0])
    answer = fit_isoflop(N, C / (6 * N), C, loss)
    assert len(answer.budgets) == 4
    assert answer.at(1e23)["N_opt"] == pytest.approx(truth, rel=1e-3)
    binned = fit_isoflop(N, C / (6 * N), np.array([float(f"{c:.0e}") for c in C]), loss)
    assert binned.at(1e23)["N_opt"] != pytest.approx(truth, rel=1e-3)


@given(st.floats(1e18, 1e26))
def test_nearest_means_nearest(C: float) -> None:
    """A function that promised the nearest power of two gave the next one above.

    Just above a power that is twice the size, or half the data, that was asked for. Where:
    marin-community/marin, ``isoflop_analysis.py``.

    Ours: sizes of a plan are not rounded at all. They cost the budget to the last digit; what is
    built from them is the caller's choice, and the near-optimal range says how free it is.
    """
    values = {"E": 1.7, "A": 400.0, "B": 2000.0, "alpha": 0.34, "beta": 0.34}
    plan = allocate(get_law("chinchilla"), values, C)
    N, D = float(plan.N_opt[0]), float(plan.D_opt[0])

    def sound(size: float) -> bool:
        """No rounding, or to the power of two at most a factor of root two away."""
        return 6 * size * D == pytest.approx(C, rel=1e-12)

    assert sound(N)
    up = 2.0 ** np.ceil(np.log2(N))
    assert up / N < 1 + 1e-12 or not sound(up)
    assert plan.near_optimal[0].N_low < N < plan.near_optimal[0].N_high
