"""Optimal splits along a range of budgets: the path that reports draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.serial import plain
from isoloss.plan.allocate import allocate
from isoloss.plan.allocation import Intervals
from isoloss.plan.intervals import LAW_TAKEN_AS_RIGHT


def frontier(
    law: Any,
    theta: Mapping[str, float] | npt.ArrayLike | None = None,
    C_grid: npt.ArrayLike | None = None,
    *,
    level: float = 0.9,
    **policy: Any,
) -> dict[str, Any]:
    """Follow N_opt, D_opt and L_opt over budgets.

    Parameters
    ----------
    law, theta
        As in `allocate`.
    C_grid
        Budgets, (m,), log-spaced for a drawing.
    level
        Of the intervals.
    **policy
        What `allocate` takes: ``cost``, ``draws``, ``weights``, ``fixed``, ``max_D``, ``method``.

    Returns
    -------
    dict
        Plain lists C, N_opt, N_low, N_high, D_opt, D_low, D_high, L_opt, L_low, L_high, with
        level, method, status and reasons. Ends are None without draws and where there is no
        optimum.

    Examples
    --------
    >>> from isoloss.laws import PUBLISHED, get_law
    >>> values = PUBLISHED["epoch-2024-lad"].parameters
    >>> path = frontier(get_law("chinchilla"), values, [1e20, 1e22])
    >>> [f"{n:.2g}" for n in path["N_opt"]], path["N_low"]
    (['8.5e+08', '9.1e+09'], [None, None])
    """
    found = allocate(law, theta, C_grid, level=level, near=False, **policy)
    path: dict[str, Any] = {"C": found.C}
    method = ""
    for stem in ("N", "D", "L"):
        intervals: Intervals = getattr(found, f"{stem}_interval") or (None,) * found.C.size
        path[f"{stem}_opt"] = getattr(found, f"{stem}_opt")
        path[f"{stem}_low"] = [i.low if i else np.nan for i in intervals]
        path[f"{stem}_high"] = [i.high if i else np.nan for i in intervals]
        method = next((i.method for i in intervals if i), method)
    path |= {
        "level": level,
        "method": method or f"no draws, {LAW_TAKEN_AS_RIGHT}",
        "status": found.status,
        "reasons": [r.to_dict() for r in found.reasons],
    }
    result: dict[str, Any] = plain(path)
    return result
