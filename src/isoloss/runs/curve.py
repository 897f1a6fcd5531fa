"""One training curve: losses at steps, and the learning rates where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector, freeze
from isoloss.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Losses of one run at rising steps.

    Attributes
    ----------
    step
        Updates made, shape (logs,), rising, zero or more.
    loss
        Loss, shape (logs,), positive.
    lr
        Learning rates at these steps, or None where they were not logged.
    name
        For tables and messages.

    Examples
    --------
    >>> Curve([10, 20], [3.0, 2.5], [1e-3, 1e-3], name="a")
    Curve('a', 2 logs, steps 10 to 20)
    """

    step: Array
    loss: Array
    lr: Array | None
    name: str

    def __init__(
        self,
        step: npt.ArrayLike,
        loss: npt.ArrayLike,
        lr: npt.ArrayLike | None = None,
        *,
        name: str = "run",
    ) -> None:
        steps, losses = as_vector("step", step), as_vector("loss", loss, positive=True)
        rates = None if lr is None else as_vector("lr", lr)
        sizes = {steps.size, losses.size} | (set() if rates is None else {rates.size})
        if len(sizes) > 1:
            raise InputError(f"curve {name}: step, loss and lr must have one length, not {sizes}")
        if not steps.size:
            raise InputError(f"curve {name}: holds no log; name a later step or another metric")
        if steps[0] < 0 or (np.diff(steps) <= 0).any():
            raise InputError(f"curve {name}: steps must rise from zero or more; sort the logs")
        if rates is not None and (rates.min() < 0 or rates.max() <= 0):
            raise InputError(f"curve {name}: learning rates must be zero or more, not all zero")
        object.__setattr__(self, "step", freeze(steps))
        object.__setattr__(self, "loss", freeze(losses))
        object.__setattr__(self, "lr", None if rates is None else freeze(rates))
        object.__setattr__(self, "name", str(name))

    def __len__(self) -> int:
        return int(self.step.size)

    def __repr__(self) -> str:
        return (
            f"Curve({self.name!r}, {len(self)} logs, steps {self.step[0]:g} to {self.step[-1]:g})"
        )

    def until(self, step: float) -> Curve:
        """Return the part up to a step."""
        keep = self.step <= step
        rates = None if self.lr is None else self.lr[keep]
        return Curve(self.step[keep], self.loss[keep], rates, name=self.name)

    def thinned(self, most: int) -> Curve:
        """Return at most so many points: means of neighbours, the last log as it is.

        Averages lower the noise; steps are averaged alike, so a straight curve stays where it is.
        """
        if len(self) <= most:
            return self
        ends = np.linspace(0, len(self) - 1, most).round().astype(int)
        starts = np.unique(np.append(ends[:-1], len(self) - 1))
        counts = np.diff(np.append(starts, len(self)))

        def means(values: Array) -> Array:
            return np.asarray(np.add.reduceat(values, starts) / counts)

        rates = None if self.lr is None else means(self.lr)
        return Curve(means(self.step), means(self.loss), rates, name=self.name)


def as_curves(curves: Curve | Sequence[Curve]) -> list[Curve]:
    """Read one curve or several, with names of their own.

    Raises
    ------
    InputError
        No curve, or something else.
    """
    listed = [curves] if isinstance(curves, Curve) else list(curves)
    if not listed or not all(isinstance(c, Curve) for c in listed):
        raise InputError("curves: pass one isoloss Curve or a list of them")
    return listed
