"""From arrays as they were read to `Data`: validation set apart, inputs standardised."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.place import MOST_BYTES
from isoloss.sweep.data.table import Data

_SPLIT = 5
"""Seed of the permutation that sets rows apart: the same for every run that there is."""
_ROWS = 8192

Raw = npt.NDArray[Any]
Pair = tuple[Raw, Raw]


def set_apart(n: int, held: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that stay and rows that are held, both rising: the last of a fixed permutation."""
    order = np.random.default_rng(_SPLIT).permutation(n)
    return np.sort(order[: n - held]), np.sort(order[n - held :])


def split_off(pair: Pair, held: int) -> tuple[Pair, Pair]:
    """Set validation rows apart."""
    x, y = pair
    stay, leave = set_apart(len(y), held)
    return (x[stay], y[stay]), (x[leave], y[leave])


def digest_arrays(arrays: Iterable[Raw]) -> str:
    """SHA-256 of shapes, types and contents in order."""
    digest = hashlib.sha256()
    for array in arrays:
        plain = np.ascontiguousarray(array)
        digest.update(f"{plain.shape}{plain.dtype.str}\0".encode())
        if plain.size:
            digest.update(plain.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def classes_data(
    train: Pair,
    valid: Pair,
    test: Pair,
    *,
    outputs: int,
    digest: str,
    notes: tuple[str, ...] = (),
) -> Data:
    """Make `Data` of labels, inputs standardised.

    Raises
    ------
    InputError
        If a label is no class, a part is empty or inputs are all equal.
    """
    for part, (_, y) in zip(("train", "valid", "test"), (train, valid, test), strict=True):
        if not len(y):
            raise InputError(f"{part}: no examples are left for it; give more")
        if y.min() < 0 or y.max() >= outputs:
            raise InputError(
                f"{part}: labels from {y.min()} to {y.max()}; must lie in 0..{outputs - 1}"
            )
    found = np.unique(train[1])
    if found.size < 2:
        raise InputError(f"train: all labels are {found[0]}; give two classes or more")
    if missing := outputs - found.size:
        notes += (f"{missing} of {outputs} classes have no training example",)
    inputs = standardised([train[0], valid[0], test[0]])
    labels = [np.array(pair[1], dtype=np.int64) for pair in (train, valid, test)]
    return assemble("classes", inputs, labels, outputs, digest, notes)


def assemble(
    kind: str, inputs: list[Raw], targets: list[Raw], outputs: int, digest: str,
    notes: tuple[str, ...],
) -> Data:  # fmt: skip
    """Make `Data` of three inputs and three targets, in the order train, valid, test."""
    return Data(
        kind=kind,
        train_x=inputs[0],
        train_y=targets[0],
        valid_x=inputs[1],
        valid_y=targets[1],
        test_x=inputs[2],
        test_y=targets[2],
        outputs=outputs,
        digest=digest,
        notes=notes,
    )


def standardised(parts: list[Raw]) -> list[npt.NDArray[np.float32]]:
    """Subtract the first part's mean of each input and divide by one deviation for all inputs.

    One deviation keeps the ratio of strong inputs to weak ones, and what is always zero at zero.

    Raises
    ------
    InputError
        If the first part has no deviation, or the result would not fit in memory.
    """
    first = parts[0]
    if (size := 4 * sum(part.size for part in parts)) > MOST_BYTES:
        raise InputError(f"inputs take {size} bytes as float32, more than {MOST_BYTES}; give fewer")
    mean = first.mean(axis=0, dtype=np.float64)
    total = 0.0
    for start in range(0, len(first), _ROWS):
        total += float(np.square(first[start : start + _ROWS] - mean).sum())
    deviation = np.sqrt(total / first.size)
    if not (np.isfinite(deviation) and deviation > 0):
        raise InputError("inputs: all training examples are equal, or not finite")
    return [_scaled(part, mean, float(deviation)) for part in parts]


def _scaled(part: Raw, mean: Raw, deviation: float) -> npt.NDArray[np.float32]:
    out = np.empty(part.shape, dtype=np.float32)
    for start in range(0, len(part), _ROWS):
        out[start : start + _ROWS] = (part[start : start + _ROWS] - mean) / deviation
    return out
