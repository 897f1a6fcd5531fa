"""The row that a run leaves in the ledger: the same fields, whoever trained it."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.version import package_version
from isoloss.sweep.counts import Counts
from isoloss.sweep.spec import RunSpec

WATTS_A_CORE = 10.0
"""Power that a busy core is taken to draw: an assumption, so that energy is a proxy."""

CLOCKED = ("seconds", "cpu_seconds", "trunk_seconds", "joules", "started")
"""Fields that differ between two runs of one spec; all others are equal bit for bit on a CPU."""


def row(
    spec: RunSpec,
    counts: Counts,
    *,
    steps: int | None = None,
    status: str = "done",
    reason: str = "",
    seconds: float,
    cpu_seconds: float,
    device: str,
    digest: str,
    **measured: Any,
) -> dict[str, Any]:
    """Build the row of one run.

    Parameters
    ----------
    spec, counts
        The run and the size of its model.
    steps
        Steps taken, where a run ended early; all by default.
    status, reason
        ``done``, ``diverged`` or ``failed``, and why.
    seconds, cpu_seconds
        What it took, by the clock and by the processor.
    device
        Where it ran.
    digest
        Of the data.
    measured
        Whatever else was measured: ``loss``, ``train_loss``, ``curve``, ``torch``, ``started`` ...
        None is left out. FLOPs given here stand in place of those that ``counts`` has.
    """
    taken = spec.updates if steps is None else steps
    seen = spec.seen if steps is None else steps * spec.batch * spec.unit
    return {
        "run": spec.name,
        "status": status,
        **({"reason": reason} if reason else {}),
        "spec": spec.record(),
        "N": counts.N,
        "N_non_embedding": counts.N_non_embedding,
        "D": spec.D,
        "seen": seen,
        "steps": taken,
        "flops_dense": counts.flops_dense * seen,
        "flops_head": counts.flops_head * seen,
        "flops_attention": counts.flops_attention * seen,
        "flops": counts.flops * seen,
        **{name: value for name, value in measured.items() if value is not None},
        "seconds": round(seconds, 4),
        "cpu_seconds": round(cpu_seconds, 4),
        "joules": joules(seconds, cpu_seconds, device),
        "device": device,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "isoloss": package_version(),
        "data": digest[:16],
    }


def class_errors(missed: Any, labels: npt.NDArray[Any]) -> list[float]:
    """Share of wrong answers among the examples of each class; NaN where there are none.

    Parameters
    ----------
    missed
        Wrong answers by class, (classes,).
    labels
        Classes of the examples, (n,).

    Examples
    --------
    >>> class_errors([1, 0], np.array([0, 0, 1]))
    [0.5, 0.0]
    """
    counts = np.bincount(labels, minlength=len(missed))
    with np.errstate(invalid="ignore"):
        return list((np.asarray(missed, dtype=float) / counts).round(6).tolist())


def joules(seconds: float, cpu_seconds: float, device: str) -> float | None:
    """Energy proxy: busy cores at `WATTS_A_CORE`, or a GPU at its power limit; None if unknown.

    Examples
    --------
    >>> joules(2.0, 1.5, "cpu")
    15.0
    """
    watts = _limit(device) if device.startswith("cuda") else WATTS_A_CORE
    if not math.isfinite(watts):
        return None
    return round(watts * (seconds if device.startswith("cuda") else cpu_seconds), 4)


@lru_cache(maxsize=8)
def _limit(device: str) -> float:
    """Power limit of a GPU in watts; NaN where it cannot be read."""
    number = device.partition(":")[2] or "0"
    # torch counts the cards that it may see; nvidia-smi counts all, and takes their names too.
    seen = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    if any(seen) and int(number) < len(seen):
        number = seen[int(number)]
    command = ["nvidia-smi", f"--id={number}", "--query-gpu=power.limit"]
    try:
        out = subprocess.run(
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            timeout=20,
            check=True,
            text=True,
        )
        return float(out.stdout.strip().splitlines()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return math.nan
