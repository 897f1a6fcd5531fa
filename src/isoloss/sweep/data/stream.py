"""Drawn examples of which the i-th depends on the seed and on i alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.place import MOST_BYTES
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.standard import assemble
from isoloss.sweep.data.table import Data

ROWS = 1024
"""Examples drawn together. Every chunk is drawn whole, so that products with it round alike."""
EXAMPLES, VALID, TEST = 65_536, 2048, 8192
"""Training examples where none are asked for; validation and test examples always."""
TRAIN_PART, VALID_PART, TEST_PART, TRUTH = range(4)
"""Streams of one seed: the examples of each part, and what is true of all of them."""
VERSION = 1
"""Counts changes of what is drawn for a spec."""

Float32 = npt.NDArray[np.float32]
Draw = Callable[[np.random.Generator, int], tuple[npt.NDArray[Any], npt.NDArray[Any]]]


def stream(spec: DataSpec, part: int, chunk: int = 0) -> np.random.Generator:
    """Seed one chunk of one part; sets of different names share nothing."""
    name = int.from_bytes(hashlib.sha256(spec.name.encode()).digest()[:4], "big")
    return np.random.default_rng([spec.seed, name, part, chunk])


def drawn_data(
    spec: DataSpec, draw: Draw, kind: str, outputs: int, shape: tuple[int, ...],
    notes: tuple[str, ...],
) -> Data:  # fmt: skip
    """Draw all three parts, chunk by chunk.

    Parameters
    ----------
    draw
        From a generator and a number of rows, inputs of ``shape`` each and targets.

    Raises
    ------
    InputError
        If the inputs would not fit in memory.
    """
    counts = (spec.examples or EXAMPLES, VALID, TEST)
    size = 4 * sum(counts) * int(np.prod(shape))
    if size > MOST_BYTES:
        raise InputError(
            f"{spec.name}: inputs take {size} bytes, more than {MOST_BYTES}; lower examples or "
            "dimension"
        )
    inputs, targets = [], []
    for part, n in enumerate(counts):
        x = np.empty((n, *shape), dtype=np.float32)
        y = np.empty(n, dtype=np.int64) if kind == "classes" else np.empty((n, outputs), np.float32)
        for chunk, start in enumerate(range(0, n, ROWS)):
            some, said = draw(stream(spec, part, chunk), ROWS)
            stop = min(n, start + ROWS)
            x[start:stop], y[start:stop] = some[: stop - start], said[: stop - start]
        inputs.append(x)
        targets.append(y)
    return assemble(kind, inputs, targets, outputs, recipe(spec), notes)


def recipe(spec: DataSpec) -> str:
    """SHA-256 of what a generator was asked for, changes left out."""
    fields = ("name", "dimension", "teacher_width", "teacher_depth", "inputs", "exponent",
              "target_exponent", "examples", "seed")  # fmt: skip
    asked = {name: getattr(spec, name) for name in fields} | {"version": VERSION}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
