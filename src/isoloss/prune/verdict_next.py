"""Which pilot to run next: the one that narrows the gain at the target most."""

from __future__ import annotations

import math

import numpy as np

from isoloss._core.arrays import Array
from isoloss.prune.pilots import NONE
from isoloss.prune.verdict_fit import FittedForms
from isoloss.prune.verdict_gain import Gains
from isoloss.prune.verdict_result import NextPilot
from isoloss.prune.verdict_words import number

SEEDS = 3
_UP = (1.0, 2.0, 4.0)
"""Sizes looked at, over the largest of the pilots."""


def find_next_pilots(
    forms: FittedForms, gains: Gains, policy: str, count: int = 3
) -> tuple[NextPilot, ...]:
    r"""Rank pilots by what is left of the variance of the gain once they have been run.

    Over the draws of all forms, with g the log gain at the target and y the log loss of a pilot of
    noise s and n seeds, what is left is

    .. math:: 1 - \frac{\mathrm{cov}(g, y)^2}{\mathrm{var}(g)(\mathrm{var}(y) + s^2/n)}.
    """
    mine = np.flatnonzero([p == policy for p in gains.policies])
    best = int(mine[np.argmax(gains.centre[mine])])
    goal = gains.gain[1:, best]
    cells = forms.world.cells
    tried = np.unique(cells.keep[cells.policy == policy])
    largest = cells.D.max()
    options: list[tuple[str, float, float]] = [(NONE, 1.0, float(largest * u)) for u in _UP]
    for keep in {float(tried[0]), float(gains.keeps[best]), float(tried[-1])}:
        options += [(policy, keep, float(largest * u)) for u in _UP]
    found = []
    for name, keep, D in options:
        y = forms.log_outcomes(name, keep, np.array([D]))[1:, 0]
        found.append((_left(goal, y, cells.noise**2 / SEEDS), name, keep, D))
    found.sort(key=lambda row: (round(row[0], 3), row[3], row[1]))
    return tuple(_pilot(*row) for row in found[:count])


def _left(goal: Array, y: Array, noise: float) -> float:
    """Share of the standard deviation that stays."""
    good = np.isfinite(goal) & np.isfinite(y)
    if good.sum() < 10:
        return 1.0
    table = np.cov(goal[good], y[good])
    explained = table[0, 1] ** 2 / max(table[0, 0] * (table[1, 1] + noise), 1e-300)
    return math.sqrt(max(1 - min(explained, 1.0), 0.0))


def _pilot(left: float, policy: str, keep: float, D: float) -> NextPilot:
    size = float(f"{D:.2g}")
    pool = size / keep
    what = (
        f"train {SEEDS} seeds on {number(size)} random examples"
        if policy == NONE
        else f"keep the {'hardest' if policy == 'hard' else 'easiest'} {100 * keep:.3g} % of "
        f"{number(pool)} examples, so {number(size)}, and train {SEEDS} seeds on them"
    )
    sentence = f"{what}: the interval of the gain is expected to narrow to {left:.0%} of its width"
    return NextPilot(
        policy=policy, keep=keep, D=size, pool=pool, seeds=SEEDS, narrows_to=left,
        sentence=sentence,
    )  # fmt: skip
