"""Losses along training, as the models of time return them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isoloss._core.arrays import Array, freeze

_ARRAYS = ("N", "T", "noise", "weight_decay", "time", "test_excess")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeLoss:
    """Losses along training; the last axes are those of time, the first those of the grid.

    Attributes
    ----------
    N, T, noise, weight_decay
        Features, samples, label noise and weight decay; the shape of the grid.
    time
        Times of gradient flow, or steps.
    test_excess, train
        Test loss on clean targets and loss on the training labels. For losses between two
        models, ``train`` is None.
    resolution
        Absolute error to expect of either; smaller values are rounding.
    doubts
        What to know before comparing with a finite system, in sentences.
    """

    N: Array
    T: Array
    noise: Array
    weight_decay: Array
    time: Array
    test_excess: Array
    train: Array | None
    resolution: float
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            object.__setattr__(self, name, freeze(getattr(self, name)))
        if self.train is not None:
            object.__setattr__(self, "train", freeze(self.train))

    def __repr__(self) -> str:
        return f"TimeLoss(grid {self.N.shape}, times {self.time.shape})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, nested lists."""
        return {n: getattr(self, n).tolist() for n in _ARRAYS} | {
            "train": None if self.train is None else self.train.tolist(),
            "resolution": self.resolution,
            "doubts": list(self.doubts),
        }
