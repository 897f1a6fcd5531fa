"""Features and targets as they come: arrays, ``.npy`` files mapped into memory, text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.spectra.npy import is_npy, read_npy
from isoloss.spectra.text import read_labels, read_rows

BLOCK = 1 << 22
"""Numbers read at a time: 32 MB."""

LEAST_ROWS = 30
_MOST_CLASSES = 1000
_HUGE, _TINY = 1e120, 1e-120


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """Rows of features, read in blocks, and the targets of the same rows.

    Attributes
    ----------
    values
        The array as given, (rows, columns); may be mapped from a file.
    kept
        Numbers of the rows that are used, (n,), from 0.
    used
        Columns that vary, (p,).
    targets
        One row for each kept row, (n, outputs), or None.
    classes
        Names of the classes where targets are indicators of classes, else empty.
    notes
        What was left out, in sentences.
    """

    values: Any
    kept: Any
    used: Any
    targets: Array | None
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Rows used."""
        return len(self.kept)

    @property
    def p(self) -> int:
        """Columns used."""
        return len(self.used)

    def __repr__(self) -> str:
        outputs = 0 if self.targets is None else self.targets.shape[1]
        return f"Features({self.n} rows, {self.p} columns, {outputs} targets)"

    def groups(self, groups: Any) -> Any:
        """Group of each used row, of labels for all rows or for those; a number stays as it is.

        Raises
        ------
        InputError
            If there are as many labels as neither.
        """
        if isinstance(groups, (str, PathLike)):
            groups = _labels(groups, len(self.values))
        if np.ndim(groups) == 0:
            return groups
        found = np.asarray(groups)
        if found.ndim > 1 or len(found) not in (len(self.values), self.n):
            raise InputError(
                f"groups: shape {found.shape}; one label for each of the {len(self.values)} rows"
            )
        return found[self.kept] if len(found) == len(self.values) else found

    def take(self, rows: Any) -> Array:
        """Rows by their place among the kept ones, as float64."""
        wanted = np.asarray(rows)
        found = np.asarray(self.values[self.kept[wanted]], dtype=np.float64)
        return found if self.p == found.shape[1] else found[:, self.used]

    def blocks(self, rows: Any = None) -> Iterator[tuple[Any, Array]]:
        """Places of rows and their features, a block at a time."""
        places = np.arange(self.n) if rows is None else np.asarray(rows)
        step = max(1, BLOCK // max(self.p, 1))
        for start in range(0, len(places), step):
            part = places[start : start + step]
            yield part, self.take(part)


def as_features(source: Any, labels: Any = None, *, kind: str = "auto") -> Features:
    """Read features, and targets if there are any; refuse rows that cannot be used, aloud.

    Parameters
    ----------
    source
        Array (rows, columns), a path to a ``.npy`` file (mapped into memory, never unpickled) or to
        a table of numbers in text, or `Features`, which are returned as they are.
    labels
        Numbers (rows,) or (rows, outputs), classes (rows,), or a path to either; None for no
        target. A class becomes one column of zeros and ones each.
    kind
        ``"classes"``, ``"numbers"``, or ``"auto"``: texts, truth values and whole numbers of few
        values are classes.

    Raises
    ------
    InputError
        If there are fewer than 30 good rows, nothing varies, sizes differ, or values cannot be
        read.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> as_features(rng.standard_normal((50, 4)), rng.integers(3, size=50))
    Features(50 rows, 4 columns, 3 targets)
    """
    if isinstance(source, Features):
        if labels is not None:
            raise InputError("labels: the features hold targets already; give an array with them")
        return source
    if kind not in ("auto", "classes", "numbers"):
        raise InputError(f"kind = {kind!r}: write 'auto', 'classes' or 'numbers'")
    values = _matrix(source)
    rows = values.shape[0]
    raw = None if labels is None else _labels(labels, rows)
    kept, used, notes = _usable(values, raw)
    if len(kept) < LEAST_ROWS:
        raise InputError(
            f"features: {len(kept)} usable rows of {rows}; a spectrum needs {LEAST_ROWS} and more"
        )
    targets: Array | None = None
    classes: tuple[str, ...] = ()
    if raw is not None:
        targets, classes = _targets(raw[kept], kind)
        if classes:
            notes.append(f"labels are {len(classes)} classes, each a target of zeros and ones")
        if not np.ptp(targets, axis=0).any():
            raise InputError("labels: are all the same; there is nothing to learn")
    return Features(
        values=values, kept=kept, used=used, targets=None if targets is None else freeze(targets),
        classes=classes, notes=tuple(notes),
    )  # fmt: skip


def _matrix(source: Any) -> Any:
    if isinstance(source, (str, PathLike)):
        values = _from_file(Path(source))
    else:
        try:
            values = np.asarray(source)
            if values.dtype == object:
                values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InputError("features: expected an array of numbers, one row a sample") from error
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise InputError(
            f"features: shape {values.shape} of {values.dtype}; give numbers as (rows, columns)"
        )
    if 0 in values.shape:
        raise InputError(f"features: shape {values.shape} holds no number")
    return values


def _from_file(path: Path) -> Any:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a .npy file or a table of numbers")
    if is_npy(path):
        return read_npy(path)
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"PK":
        raise InputError(
            f"{path.name}: is an archive (.npz?); save the one array with numpy.save instead"
        )
    return read_rows(path)


def _labels(labels: Any, rows: int) -> Any:
    if isinstance(labels, (str, PathLike)):
        path = Path(labels)
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give a .npy file or a table")
        raw = read_npy(path) if is_npy(path) else read_labels(path)
        if raw.dtype.kind == "U" and raw.shape == (rows + 1,):
            # Names of classes do not tell a heading from a class; the count does.
            raw = raw[1:]
    else:
        raw = np.asarray(labels)
    if raw.dtype == object:
        raw = np.array([str(v) for v in raw.ravel()]).reshape(raw.shape)
    if raw.ndim not in (1, 2) or raw.size == 0:
        raise InputError(f"labels: shape {raw.shape}; give (rows,) or (rows, outputs)")
    if raw.shape[0] != rows:
        raise InputError(f"labels: {raw.shape[0]} for {rows} rows of features; one for each row")
    if raw.dtype.kind == "c" or (raw.ndim == 2 and raw.dtype.kind not in "biuf"):
        raise InputError(
            f"labels: {raw.dtype} of shape {raw.shape}; give numbers or one class each"
        )
    return raw


def _usable(values: Any, raw: Any) -> tuple[Any, Any, list[str]]:
    """Rows whose numbers are all finite, columns that vary over them, and what was left out."""
    rows, columns = values.shape
    good = np.ones(rows, dtype=bool)
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    step = max(1, BLOCK // columns)
    for start in range(0, rows, step):
        part = np.asarray(values[start : start + step], dtype=np.float64)
        fine = np.isfinite(part).all(axis=1)
        if raw is not None and raw.dtype.kind == "f":
            fine &= np.isfinite(raw[start : start + step].reshape(len(part), -1)).all(axis=1)
        good[start : start + step] = fine
        if fine.any():
            low = np.minimum(low, part[fine].min(axis=0))
            high = np.maximum(high, part[fine].max(axis=0))
    notes = []
    bad = np.flatnonzero(~good)
    if len(bad):
        shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        notes.append(f"{len(bad)} of {rows} rows refused, not finite: {shown} (from 0)")
    if not good.any():
        raise InputError(f"features: no usable row; {notes[0]}")
    used = np.flatnonzero(high > low)
    if not len(used):
        raise InputError("features: no column varies; there is no spectrum to measure")
    if len(used) < columns:
        notes.append(f"{columns - len(used)} of {columns} columns do not vary and are left out")
    largest = max(float(np.abs(high[used]).max()), float(np.abs(low[used]).max()))
    spread = float((high[used] - low[used]).max())
    if largest > _HUGE or spread < _TINY:
        raise InputError(
            f"features: largest value {largest:g}, largest spread {spread:g}; squares leave the "
            "range of float64, divide or multiply all by one number"
        )
    return np.flatnonzero(good), used, notes


def _targets(raw: Any, kind: str) -> tuple[Array, tuple[str, ...]]:
    if raw.ndim == 2:
        if kind == "classes" and raw.shape[1] > 1:
            raise InputError(f"labels: shape {raw.shape}; classes are one column")
        if raw.shape[1] > 1:
            return _in_range(raw), ()
        raw = raw[:, 0]
    if kind == "auto":
        whole = raw.dtype.kind in "biuSU" or bool((raw == np.floor(raw)).all())
        few = raw.dtype.kind in "bSU" or len(np.unique(raw)) <= min(_MOST_CLASSES, len(raw) // 10)
        kind = "classes" if whole and few else "numbers"
    if kind == "numbers":
        if raw.dtype.kind in "SU":
            raise InputError("labels: are texts, not numbers; take them as classes")
        return _in_range(raw[:, None]), ()
    names, place = np.unique(raw, return_inverse=True)
    if len(names) > min(_MOST_CLASSES, len(raw) // 2):
        raise InputError(
            f"labels: {len(names)} classes for {len(raw)} rows; take them as numbers, or join "
            "classes"
        )
    return np.eye(len(names))[place.ravel()], tuple(str(v) for v in names)


def _in_range(raw: Any) -> Array:
    values = np.asarray(raw, dtype=np.float64)
    largest, spread = float(np.abs(values).max()), float(np.ptp(values, axis=0).max())
    if largest > _HUGE or 0 < spread < _TINY:
        raise InputError(
            f"labels: largest {largest:g}, spread {spread:g}; squares leave the range of float64, "
            "divide or multiply all by one number"
        )
    return values
