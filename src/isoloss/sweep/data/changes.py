"""What is done to a data set: classes merged, noise added, examples selected."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.pieces import join_pieces, pieces
from isoloss.sweep.data.place import at
from isoloss.sweep.data.selection import read_selection
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import PARTS, Data

ROWS = 1024
_MERGE, _INPUT, _LABEL = 101, 102, 103

GROUPS: dict[tuple[str, int], tuple[tuple[str, tuple[int, ...]], ...]] = {
    ("fashion-mnist", 2): (
        ("clothes", (0, 1, 2, 3, 4, 6)),
        ("shoes and bags", (5, 7, 8, 9)),
    ),
    ("fashion-mnist", 3): (
        ("clothes", (0, 1, 2, 3, 4, 6)),
        ("shoes", (5, 7, 9)),
        ("bags", (8,)),
    ),
    ("mnist", 2): (("even", (0, 2, 4, 6, 8)), ("odd", (1, 3, 5, 7, 9))),
    ("mnist-5k", 2): (("even", (0, 2, 4, 6, 8)), ("odd", (1, 3, 5, 7, 9))),
    ("cifar10", 2): (
        ("vehicles", (0, 1, 8, 9)),
        ("animals", (2, 3, 4, 5, 6, 7)),
    ),
}
"""Groups with a meaning, by set and number of superclasses."""


def changed(spec: DataSpec, data: Data) -> Data:
    """Apply the changes of a spec in this order: classes, noise on inputs, on labels, selection.

    The digest takes in every change; without one it stays. The numbers of rows in a selection are
    those of the whole training part.

    Raises
    ------
    InputError
        If a change does not go with the data.
    """
    done: dict[str, Any] = {}
    if spec.superclasses:
        data = _merged(spec, data)
        done |= {"superclasses": spec.superclasses, "grouping": spec.grouping}
    if spec.input_noise:
        data = _noisy_inputs(spec, data)
        done["input_noise"] = spec.input_noise
    if spec.label_noise:
        data = _noisy_labels(spec, data)
        done["label_noise"] = spec.label_noise
    if done:
        done["seed"] = spec.seed
        data = replace(data, digest=_digest(data, done))
    return selected(spec, data)


def selected(spec: DataSpec, data: Data) -> Data:
    """Keep of data, otherwise changed already, what the selection of a spec keeps.

    Raises
    ------
    InputError
        If the selection cannot be read or is of other data.
    """
    rows, digest = selected_rows(spec, data)
    if rows is None:
        return data
    if data.kind == "text":
        note = f"{rows.size} of {pieces(data, spec.piece)} pieces of {spec.piece} bytes selected"
        joined = join_pieces(data, spec.piece, rows)
        return replace(data, train_x=joined, notes=(*data.notes, note), digest=digest)
    note = f"{rows.size} of {data.examples} training examples selected"
    return replace(
        data,
        train_x=data.train_x[rows],
        train_y=data.train_y[rows],
        notes=(*data.notes, note),
        digest=digest,
    )


def selected_rows(spec: DataSpec, data: Data) -> tuple[npt.NDArray[np.int64] | None, str]:
    """Rows of the training part that a spec's selection keeps, None for all; digest of these data.

    Of text, numbers of pieces.

    Raises
    ------
    InputError
        If the selection cannot be read or is of other data.
    """
    if spec.selection is None:
        return None, data.digest
    if data.kind == "text":
        rows, digest = read_selection(at(spec.selection), pieces(data, spec.piece))
        return rows, _digest(data, {"selection": digest, "piece": spec.piece})
    rows, digest = read_selection(at(spec.selection), data.examples)
    return rows, _digest(data, {"selection": digest})


def _digest(data: Data, done: dict[str, Any]) -> str:
    text = json.dumps([data.digest, done], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def groups(spec: DataSpec, classes: int) -> npt.NDArray[np.int64]:
    """Superclass of each class, (classes,).

    Raises
    ------
    InputError
        If there are fewer classes than superclasses, or no stated groups of this number.
    """
    k = spec.superclasses
    if k > classes:
        raise InputError(f"superclasses = {k}: the data have {classes} classes")
    of = np.empty(classes, dtype=np.int64)
    if spec.grouping == "stated":
        stated = GROUPS.get((spec.name, k))
        if stated is None:
            known = [f"{count} of {name}" for name, count in GROUPS]
            raise InputError(
                f"superclasses = {k}: no groups of {spec.name} are stated; there are "
                f"{', '.join(known)}; or take grouping = 'random'"
            )
        for number, (_, members) in enumerate(stated):
            of[list(members)] = number
        return of
    of[np.random.default_rng([spec.seed, _MERGE]).permutation(classes)] = np.arange(classes) % k
    return of


def _merged(spec: DataSpec, data: Data) -> Data:
    if data.kind != "classes":
        raise InputError(f"superclasses = {spec.superclasses}: the targets are no classes")
    of = groups(spec, data.outputs)
    lists = " | ".join(
        " ".join(map(str, np.flatnonzero(of == i))) for i in range(min(spec.superclasses, 100))
    )
    labels = {f"{part}_y": of[getattr(data, f"{part}_y")] for part in PARTS}
    notes = (*data.notes, f"classes merged: {lists}")
    return replace(data, **labels, outputs=spec.superclasses, notes=notes)


def _noisy_inputs(spec: DataSpec, data: Data) -> Data:
    scale = np.float32(spec.input_noise * _unit(spec))
    noisy = {}
    for number, part in enumerate(PARTS):
        x = getattr(data, f"{part}_x").copy()
        for chunk, start in enumerate(range(0, len(x), ROWS)):
            rows = x[start : start + ROWS]
            source = np.random.default_rng([spec.seed, _INPUT, number, chunk])
            rows += scale * source.standard_normal(rows.shape, dtype=np.float32)
        noisy[f"{part}_x"] = x
    return replace(data, **noisy, notes=(*data.notes, f"noise of {spec.input_noise:g} on inputs"))


def _unit(spec: DataSpec) -> float:
    """Root mean square of the inputs: one, but for latents of falling variance."""
    if spec.name != "spectrum":
        return 1.0
    index = np.arange(1, spec.dimension + 1, dtype=np.float64)
    return float(np.sqrt((index ** -(1 + spec.exponent)).mean()))


def _noisy_labels(spec: DataSpec, data: Data) -> Data:
    y = data.train_y.copy()
    if data.kind == "classes" and spec.label_noise > 1:
        raise InputError(f"label_noise = {spec.label_noise:g}: a chance is at most 1")
    # Generators bring their targets to variance one; that of arrays is what it is.
    unit = y.std(axis=0, dtype=np.float64) if spec.name in ("arrays", "given") else 1.0
    for chunk, start in enumerate(range(0, len(y), ROWS)):
        rows = y[start : start + ROWS]
        source = np.random.default_rng([spec.seed, _LABEL, chunk])
        if data.kind == "classes":
            # Both are drawn for whole chunks, so that a label's fate does not hang on the others.
            hit = source.random(ROWS)[: len(rows)] < spec.label_noise
            other = source.integers(data.outputs, size=ROWS)[: len(rows)]
            rows[hit] = other[hit]
        else:
            noise = source.standard_normal((ROWS, data.outputs), dtype=np.float32)[: len(rows)]
            rows += spec.label_noise * unit * noise
    note = f"label noise of {spec.label_noise:g} on training"
    return replace(data, train_y=y, notes=(*data.notes, note))
