"""Draws of the parameters of one fit: which method, and what to doubt about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.fit.certificate import Reason
from isoloss.fit.draw_methods import METHODS, Task
from isoloss.fit.kernel import Kernel
from isoloss.fit.prepare import Prepared

FEW_CLUSTERS = 8
"""Below this many clusters their spread says little about the spread of all that could be."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Draws in the user's units, (B, p), how they were made, and what to doubt about them."""

    theta: Array
    method: str
    reasons: tuple[Reason, ...]


def draw_parameters(
    kernel: Kernel,
    data: Prepared,
    best: Array,
    *,
    draws: int,
    resample: str,
    seed: int,
    journal: Path | None,
    key: Any,
    many: bool,
) -> Drawn:
    """Draw parameters by a method of `METHODS`, or by the one that suits the runs (``"auto"``).

    Parameters
    ----------
    many
        Whether there are so many runs that the case and cluster bootstraps give way to their
        normal limit.
    """
    if resample != "auto" and resample not in METHODS:
        raise InputError(f"resample = {resample!r}: write auto, {', '.join(METHODS)}")
    groups = data.groups
    name = resample
    if resample in ("auto", "normal"):
        repeated = len(np.unique(groups)) < 0.95 * len(groups)
        groups = groups if repeated else np.arange(kernel.n)
        name = resample if resample == "normal" else "cluster" if repeated else "case"
    elif resample == "case":
        groups = np.arange(kernel.n)
    if many and name in ("case", "cluster"):
        name = "normal"
    if name != "normal":
        kernel = smoothed(kernel, data, best)
    task = Task(
        kernel=kernel,
        data=data,
        best=best,
        draws=draws,
        seed=seed,
        groups=groups,
        journal=journal,
        key=[key, data.law.to_dict(), name, groups, best, data.weights],
    )
    q, ok, method = METHODS[name](task)
    theta = kernel.natural(q)
    finite = np.isfinite(theta).all(axis=1)
    lost = int(np.sum(~ok) + np.sum(~finite))
    reasons = _doubts(task, name, lost, len(ok))
    return Drawn(theta=theta[finite], method=method, reasons=tuple(reasons))


def smoothed(kernel: Kernel, data: Prepared, best: Array) -> Kernel:
    """Kernel for refits: what stands in for the corner of the absolute value.

    It is small beside the residuals.
    """
    typical = float(np.median(np.abs(kernel.predict(best[None])[0] - kernel.y))) / kernel.typical
    smooth = max(0.05 * typical, 1e-6)
    return Kernel(data.law, data.x, data.loss, kernel.goal, scales=kernel.scales, smooth=smooth)


def _doubts(task: Task, name: str, lost: int, total: int) -> list[Reason]:
    reasons = []
    if lost > 0.02 * total:
        reasons.append(
            Reason(
                code="DRAWS_LOST",
                message=f"{lost} of {total} resamples did not converge; the intervals "
                "are too narrow or too wide",
            )
        )
    by_cluster = name in ("wild", "jackknife") or (name in ("cluster", "normal") and task.clustered)
    if by_cluster and task.clusters < FEW_CLUSTERS:
        reasons.append(
            Reason(
                code="FEW_CLUSTERS",
                message=f"{task.clusters} clusters are too few to draw from: intervals of "
                f"resample '{name}' are too narrow; add configurations, or use 'seed'",
            )
        )
    if name in ("wild", "seed") and task.kernel.goal.over != 1.0:
        reasons.append(
            Reason(
                code="SYMMETRIC_DRAWS",
                message=f"resample '{name}' draws noise that is symmetric, and "
                f"{task.kernel.goal.name} is for noise that is not; use 'case' or 'residual'",
            )
        )
    return reasons
