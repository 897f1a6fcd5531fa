"""Pilots of two recipes: which of their runs are twins, and how much noise twins share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.plan.audit_take import Taken
from isoloss.plan.power_arms import Pairs
from isoloss.runs import Runs

LEAST_PAIRS = 5
_MOST = 0.95
_SAME = 0.999999


def find_twins(a: Runs, b: Runs, axes: Sequence[str]) -> tuple[Pairs, Pairs]:
    """Find runs of A and of B at the same place, and of the same seed where both have seeds.

    Examples
    --------
    >>> a = Runs(columns={"D": [1e8, 2e8, 2e8], "seed": [0, 0, 1], "loss": [3, 2, 2]})
    >>> b = Runs(columns={"D": [2e8, 4e8], "seed": [1, 0], "loss": [2, 1]})
    >>> [t.tolist() for t in find_twins(a, b, ("D",))]
    [[2], [0]]
    """
    keys = [*axes, "seed"] if "seed" in a and "seed" in b else list(axes)
    free: dict[tuple[float, ...], list[int]] = {}
    for j, key in enumerate(zip(*(b[k].tolist() for k in keys), strict=True)):
        free.setdefault(key, []).append(j)
    first, second = [], []
    for i, key in enumerate(zip(*(a[k].tolist() for k in keys), strict=True)):
        if free.get(key):
            first.append(i)
            second.append(free[key].pop(0))
    return np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)


def read_correlation(
    paired: float | str, a: Taken, b: Taken | None, twins: tuple[Pairs, Pairs]
) -> tuple[float, str]:
    """Correlation of the noise of twins: as given, as measured in two pilots, or none.

    Raises
    ------
    InputError
        For a number that is no correlation from 0 to below 1, or two pilots that are one.
    """
    if isinstance(paired, str):
        if paired != "auto":
            raise InputError(f"paired = {paired!r}: write 'auto', or a correlation from 0 to 1")
        count = len(twins[0])
        if b is None or count < LEAST_PAIRS:
            text = "no two pilots with twins, so seeds count as unpaired; say --paired R to pair"
            return 0.0, text
        found = float(np.corrcoef(_rows(a, twins[0]), _rows(b, twins[1]))[0, 1])
        found = found if math.isfinite(found) else 0.0
        sure = (1 - found**2) / math.sqrt(count - 1)
        if found > _SAME:
            raise InputError(
                "other: its runs lie off its law exactly as those of A do off theirs; is it the "
                "same table? Give paired= a correlation if it is not"
            )
        used = min(max(found, 0.0), _MOST)
        text = f"{count} twins, whose residuals correlate by {found:.2f} (+- {sure:.2f})"
        return used, text + (f", taken as {used:g}" if used != found else "")
    if not (math.isfinite(paired) and 0 <= paired < 1):
        raise InputError(f"paired = {paired!r}: a correlation must be at least 0 and below 1")
    if paired == 0:
        return 0.0, "unpaired, as given"
    return float(paired), f"runs of one seed correlate by {paired:g}, as given"


def _rows(t: Taken, rows: Pairs) -> Array:
    return t.residuals[rows]
