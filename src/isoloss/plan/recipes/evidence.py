"""What the runs of two recipes say beside the laws: pairs, doubts, and the run that decides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.plan.reason import Reason
from isoloss.plan.recipes.fits import RecipeFit
from isoloss.plan.recipes.parts import UNKNOWN, PairedRuns, ScaleComparison
from isoloss.plan.recipes.scores import t_score
from isoloss.runs import Runs

Cells = npt.NDArray[np.int64]
_BITS = math.log(1 / math.log(2))
_UNIT = 0.05
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


def evidence(paired: PairedRuns) -> list[Reason]:
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
    return reasons


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
