"""How long runs will take, from runs that were measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.sweep.shapes import Transformer
from isoloss.sweep.tasks import Task

STEP, LAYER, FLOPS = 5e-4, 1.5e-3, 8e10
"""Where nothing was measured: seconds of a step beside its arithmetic, the same for each layer of
a transformer, and FLOP/s of one core."""

_NEAREST = 7


@dataclass(frozen=True, slots=True, eq=False)
class Speed:
    """Seconds a FLOP of measured runs, by the log of the FLOPs of a step.

    Small steps do few FLOPs a second, so a run is compared with those of like steps.
    """

    size: Array
    seconds: Array
    watts: float

    @property
    def measured(self) -> bool:
        """Whether any run was measured."""
        return self.size.size > 0

    def of(self, flops: float, steps: float, step: float = STEP) -> float:
        """Core seconds of some FLOPs in some steps; ``step`` counts where none was measured."""
        steps = max(steps, 1.0)
        if not self.measured:
            return steps * step + flops / FLOPS
        size = math.log(max(flops / steps, 1.0))
        near = np.argsort(np.abs(self.size - size), kind="stable")[:_NEAREST]
        return flops * float(np.median(self.seconds[near]))

    def of_task(self, task: Task) -> float:
        """Core seconds of a task."""
        updates = sorted(spec.updates for spec in task.specs)
        steps = float(sum(updates))
        if task.kind == "trunk":
            steps = updates[-1] + task.specs[0].decay * sum(updates[:-1])
        model = task.specs[0].model
        deep = model.depth if isinstance(model, Transformer) else 0
        return self.of(task.cost, steps, STEP + LAYER * deep)


def measured_speed(rows: Iterable[Mapping[str, Any]]) -> Speed:
    """Read speeds off the rows of a ledger.

    Examples
    --------
    >>> row = {"flops": 1e9, "steps": 100, "cpu_seconds": 0.5, "joules": 5.0}
    >>> speed = measured_speed([row])
    >>> speed.of(2e9, 200), speed.watts
    (1.0, 10.0)
    """
    size, seconds, joules, spent = [], [], 0.0, 0.0
    for row in rows:
        flops, time = _positive(row.get("flops")), _positive(row.get("cpu_seconds"))
        if not (flops and time):
            continue
        size.append(math.log(max(flops / max(row.get("steps") or 1, 1), 1.0)))
        seconds.append(time / flops)
        joules += _positive(row.get("joules"))
        spent += time
    return Speed(np.array(size), np.array(seconds), joules / spent if spent else 0.0)


def _positive(value: object) -> float:
    good = isinstance(value, (int, float)) and math.isfinite(value) and value > 0
    return float(value) if good and isinstance(value, (int, float)) else 0.0


def time_text(seconds: float) -> str:
    """Say a time to two digits.

    Examples
    --------
    >>> time_text(3.2), time_text(150), time_text(9000)
    ('3 s', '2.5 min', '2.5 h')
    """
    if seconds < 99:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.2g} min" if seconds < 99 * 60 else f"{seconds / 3600:.3g} h"
