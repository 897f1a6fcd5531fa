"""What the runs of two recipes say beside the laws: pairs, doubts, and the run that decides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.errors import FitError
from isoloss.plan.comparison import UNKNOWN, PairedRuns, ScaleComparison
from isoloss.plan.normal_scores import t_score
from isoloss.plan.reason import Reason
from isoloss.plan.recipe_fit import RecipeFit, fit_recipes
from isoloss.plan.recipe_law import SIDES
from isoloss.runs import Runs

Cells = npt.NDArray[np.int64]
_BITS = math.log(1 / math.log(2))
_UNIT = 0.05
_TIED = 0.01
"""Chance that runs of one floor are said to have two."""
_MOST_PAIRS = 100
_LEAST_CELLS = 4


def paired_runs(
    pair: tuple[Runs, Runs], cells: Cells, fitted: RecipeFit, level: float
) -> PairedRuns:
    """Compare runs of the same cell, without any law."""
    first, second = _cell_means(pair, cells, np.log(np.concatenate([t["loss"] for t in pair])))
    gaps = first - second
    count = len(gaps)
    interval = None
    if count >= 2:
        mean, error = float(gaps.mean()), float(gaps.std(ddof=1)) / math.sqrt(count)
        half = t_score(1 - level, count - 1) * error
        interval = Interval(
            low=mean - half, high=mean + half, level=level, method="Student's t over cells"
        )
    correlation = math.nan
    if count >= _LEAST_CELLS:
        u, v = _cell_means(pair, cells, fitted.residuals)
        if u.std() > 0 and v.std() > 0:
            correlation = float(np.corrcoef(u, v)[0, 1])
    return PairedRuns(
        cells=count,
        gap=float(gaps.mean()) if count else math.nan,
        interval=interval,
        correlation=correlation,
    )


def _cell_means(pair: tuple[Runs, Runs], cells: Cells, values: Array) -> tuple[Array, Array]:
    """Means over the runs of each shared cell, by recipe."""
    n = len(pair[0])
    total = int(cells.max()) + 1
    sums, counts = [], []
    for part in (slice(0, n), slice(n, None)):
        counts.append(np.bincount(cells[part], minlength=total))
        sums.append(np.bincount(cells[part], values[part], minlength=total))
    shared = (counts[0] > 0) & (counts[1] > 0)
    first, second = (s[shared] / c[shared] for s, c in zip(sums, counts, strict=True))
    return first, second


def evidence(
    pair: tuple[Runs, Runs],
    fitted: RecipeFit,
    paired: PairedRuns,
    free: RecipeFit | None,
) -> list[Reason]:
    """Doubts that need the losses."""
    reasons = []
    if not paired.cells:
        reasons.append(
            Reason(
                code="UNPAIRED",
                message="no cell has runs of both recipes: noise that they would share stays in "
                "the difference; repeat sizes and amounts of data of one with the other",
                severity="info",
            )
        )
    elif abs(abs(paired.gap) - _BITS) < _UNIT:
        reasons.append(
            Reason(
                code="LOSS_UNITS",
                message=f"losses differ by a factor of {math.exp(abs(paired.gap)):.3g} on average, "
                "which is near that of bits to nats (1.443): check the units of both",
            )
        )
    if free is not None and (tied := _tie_test(pair, fitted, free)):
        reasons.append(tied)
    return reasons


def untied(
    pair: tuple[Runs, Runs], fitted: RecipeFit, *, draws: int, resample: str, seed: int
) -> RecipeFit | None:
    """Fit again with a floor for each recipe; ``None`` where no floor was in common."""
    if "E" not in fitted.recipe.tied:
        return None
    rest = tuple(n for n in fitted.recipe.tied if n != "E")
    try:
        return fit_recipes(
            pair, fitted.recipe.base, tie=rest, objective=fitted.objective, draws=draws,
            resample=resample, seed=seed,
        )  # fmt: skip
    except FitError:
        return None


def _tie_test(pair: tuple[Runs, Runs], fitted: RecipeFit, free: RecipeFit) -> Reason | None:
    """Whether a floor for each recipe fits much better."""
    freedom = sum(len(t) for t in pair) - free.theta.size
    if freedom < 1 or free.value <= 0:
        return None
    from scipy.special import fdtrc

    gain = max(fitted.value / free.value - 1, 0.0) * freedom
    if fdtrc(1.0, freedom, gain) > _TIED:
        return None
    floors = [free.theta[free.recipe.law.names.index(f"E_{s}")] for s in SIDES]
    return Reason(
        code="FLOORS_DIFFER",
        message=f"with a floor E for each recipe ({floors[0]:.4g}, {floors[1]:.4g}) the runs fit "
        "better than chance allows (1 %): if data or evaluation differ, losses are not "
        "comparable; else let it be free: --tie none (in Python tie=())",
    )


def next_run(
    pair: tuple[Runs, Runs],
    names: tuple[str, str],
    axes: Sequence[str],
    scale: tuple[Array, Array],
    cells: Cells,
    fitted: RecipeFit,
    main: ScaleComparison,
) -> str:
    """Say which run would decide: both recipes where the largest run of either is."""
    if main.verdict != UNKNOWN:
        return ""
    side = int(scale[1].max() > scale[0].max())
    row = int(np.argmax(scale[side]))
    where = ", ".join(f"{a} = {pair[side][a][row]:.4g}" for a in axes)
    n = len(pair[0])
    cell = cells[row + side * n]
    other = cells[n:] if side == 0 else cells[:n]
    if cell not in other:
        text = f"to decide: run {names[1 - side]} at {where}, the largest run of {names[side]}"
    else:
        text = f"to decide: run both at {where}, the largest, with further seeds"
    return text + _how_many(pair, cells, fitted, main)


def _how_many(
    pair: tuple[Runs, Runs], cells: Cells, fitted: RecipeFit, main: ScaleComparison
) -> str:
    """Pairs that would show the present gap four times out of five."""
    u, v = _cell_means(pair, cells, fitted.residuals)
    if len(u) >= _LEAST_CELLS:
        noise = float((u - v).std(ddof=1))
    else:
        noise = math.sqrt(2.0) * float(fitted.residuals.std())
    gap = abs(math.log(main.loss_baseline / main.loss_recipe))
    score = t_score(1 - main.gap_interval.level, 1e6) + 0.8416
    pairs = math.inf if gap == 0 else (score * noise / gap) ** 2
    if pairs > _MOST_PAIRS:
        return f"; a gap as small as the present one needs more than {_MOST_PAIRS} pairs to show"
    count = max(2, math.ceil(pairs))
    return f"; {count} pairs would show the present gap four times out of five"
