"""The form in which every data set reaches training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError

KINDS = ("classes", "numbers", "text")
PARTS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """Examples for training, validation and test.

    Arrays can be written to, so that torch takes them without a copy; nobody does.

    Attributes
    ----------
    kind
        ``classes`` (labels int64), ``numbers`` (targets float32, (n, outputs)), or ``text``
        (``*_x`` are bytes, uint8, and ``*_y`` is empty).
    train_x, train_y, valid_x, valid_y, test_x, test_y
        Inputs float32, (n, features) or (n, channels, height, width), and targets. Validation is
        what a run may choose by; test is what it reports.
    outputs
        Classes, or columns of the target, or symbols of the text.
    digest
        SHA-256 of what was read and of what was done to it; of generators, of the recipe.
    notes
        What a reader should know: source, what was left out and why.
    """

    kind: str
    train_x: npt.NDArray[Any]
    train_y: npt.NDArray[Any]
    valid_x: npt.NDArray[Any]
    valid_y: npt.NDArray[Any]
    test_x: npt.NDArray[Any]
    test_y: npt.NDArray[Any]
    outputs: int
    digest: str
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind = {self.kind!r}: must be one of {', '.join(KINDS)}")
        for part in PARTS:
            x, y = getattr(self, f"{part}_x"), getattr(self, f"{part}_y")
            if self.kind != "text" and len(x) != len(y):
                raise InputError(f"{part}: {len(x)} inputs and {len(y)} targets; give one a row")

    def __repr__(self) -> str:
        sizes = " + ".join(f"{len(getattr(self, f'{part}_x')):,}" for part in PARTS)
        if self.kind == "text":
            return f"Data(text, {sizes} bytes, {self.digest[:8]})"
        shape = " x ".join(str(n) for n in self.features)
        return f"Data({self.kind}, {sizes} of {shape}, {self.outputs} outputs, {self.digest[:8]})"

    @property
    def examples(self) -> int:
        """Training examples, or bytes."""
        return len(self.train_x)

    @property
    def features(self) -> tuple[int, ...]:
        """Shape of one input; empty for text."""
        return () if self.kind == "text" else tuple(self.train_x.shape[1:])


def subset_order(n: int, subset: int) -> npt.NDArray[np.int64]:
    """Order in which examples join a subset: the D first are the subset of size D."""
    return np.random.default_rng([subset, 1]).permutation(n)
