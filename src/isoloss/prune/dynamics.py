"""A recorder of training dynamics that any training loop can feed."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from isoloss._core.append import append_line
from isoloss._core.serial import write_atomic
from isoloss.errors import InputError
from isoloss.prune.scores_checks import as_whole, finite, probable, softmax
from isoloss.prune.scores_errors import error_length, margin_of
from isoloss.prune.scores_ids import Ids, as_ids

FLUSH = 1 << 16
"""Rows kept in memory before they are written."""

_VALUES = ("correct", "p_label", "el2n", "margin_p", "margin_logits")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Recorder:
    """Keeps, for each example and time it was looked at, what scores need: 28 bytes and the id.

    Rows are written in pieces of ``.npy`` files, each whole or not at all, and a piece counts when
    its line in the ledger is on disk: a kill costs what was not flushed yet, at most ``FLUSH``
    rows. A training that goes on records again what it repeats; of an example and a time the last
    record counts.

    Parameters
    ----------
    folder
        Where to; may hold records already.
    writer
        Name of this process where several record into one folder, each under its own.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from isoloss.prune import read_dynamics
    >>> with TemporaryDirectory() as place:
    ...     with Recorder(place) as recorder:
    ...         recorder.record(0, ids=["a", "b"], labels=[0, 1], logits=[[2.0, 0], [1.0, 0]])
    ...         recorder.record(1, ids=["b", "a"], labels=[1, 0], logits=[[0, 2.0], [0, 1.0]])
    ...     found = read_dynamics(place)
    >>> found.scores["forgetting"].values.tolist(), found.scores["aum"].values.tolist()
    ([1.0, 0.0], [-0.5, -0.5])
    """

    def __init__(self, folder: Any, *, writer: str = "0") -> None:
        if not _NAME.fullmatch(writer):
            raise InputError(f"writer = {writer!r}: use letters, digits, _, . and -, up to 64")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._writer = writer
        self._ledger = self.folder / f"ledger-{writer}.jsonl"
        self._next = 1 + max((line["piece"] for line in ledger_lines(self._ledger)), default=-1)
        self._rows: list[tuple[Ids, npt.NDArray[Any], npt.NDArray[Any]]] = []
        self._held = 0

    def record(
        self, epoch: int, ids: Any, labels: Any, *, logits: Any = None, probabilities: Any = None,
        correct: Any = None,
    ) -> None:  # fmt: skip
        """Add what a network says of some examples at a time.

        Parameters
        ----------
        epoch
            Time, a whole number; any numbers that rise with training will do.
        ids
            Ids of the examples, (n,).
        labels
            Classes, (n,).
        logits, probabilities
            Outputs, (n, classes), one of the two: arrays, mapped files, or tensors that have
            ``detach().cpu().numpy()``.
        correct
            Whether the examples were right, (n,), where there are no outputs: forgetting alone.

        Raises
        ------
        InputError
            If not exactly one of the three is given, lengths differ, or numbers are not finite.
        """
        if as_whole("epoch", epoch, 0) >= 2**31:
            raise InputError(f"epoch = {epoch!r}: must be below 2^31")
        given = [v for v in (logits, probabilities, correct) if v is not None]
        if len(given) != 1:
            raise InputError("record: give one of logits, probabilities and correct")
        found, y = as_ids(_array(ids)), _array(labels)
        if y.shape != found.shape or y.dtype.kind not in "iu":
            raise InputError(f"labels: shape {y.shape} of {y.dtype} for {found.size} ids")
        values = np.full((found.size, len(_VALUES)), np.nan, dtype=np.float32)
        if correct is not None:
            right = _array(correct)
            if right.shape != found.shape or not np.isin(right, (0, 1)).all():
                raise InputError(f"correct: shape {right.shape}; give yes or no for each id")
            values[:, 0] = right
        else:
            _measure(_array(given[0]), y, logits is not None, values)
        when = np.stack([np.full(found.size, epoch), y], axis=1).astype(np.int32)
        self._rows.append((found, when, values))
        self._held += found.size
        if self._held >= FLUSH:
            self.flush()

    def flush(self) -> None:
        """Write what is held in memory to disk."""
        if not self._rows:
            return
        if len({ids.dtype.kind == "S" for ids, _, _ in self._rows}) > 1:
            raise InputError("ids: some are numbers and some texts; give them alike")
        parts = [np.concatenate(part) for part in zip(*self._rows, strict=True)]
        digest = hashlib.sha256()
        for path, part in zip(
            piece_files(self.folder, self._writer, self._next), parts, strict=True
        ):
            buffer = io.BytesIO()
            np.save(buffer, part, allow_pickle=False)
            write_atomic(path, buffer.getvalue())
            digest.update(buffer.getvalue())
        line = {"piece": self._next, "rows": self._held, "digest": digest.hexdigest()}
        append_line(self._ledger, json.dumps(line))
        self._rows, self._held, self._next = [], 0, self._next + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.flush()


def _measure(
    outputs: npt.NDArray[Any], labels: npt.NDArray[Any], logits: bool, values: npt.NDArray[Any]
) -> None:
    if outputs.ndim != 2 or outputs.shape[0] != labels.size or outputs.shape[1] < 2:
        raise InputError(f"outputs: shape {outputs.shape} for {labels.size} ids")
    if outputs.dtype.kind not in "biuf":
        raise InputError(f"outputs: {outputs.dtype}; give numbers")
    if ((labels < 0) | (labels >= outputs.shape[1])).any():
        raise InputError(f"labels: must lie from 0 to {outputs.shape[1] - 1}")
    block = finite(outputs) if logits else probable(outputs)
    p = softmax(block) if logits else block
    y = labels.astype(np.int64)
    values[:, 0] = block.argmax(axis=1) == y
    values[:, 1] = p[np.arange(y.size), y]
    values[:, 2] = error_length(p, y)
    values[:, 3] = margin_of(p, y)
    if logits:
        values[:, 4] = margin_of(block, y)


def _array(value: Any) -> npt.NDArray[Any]:
    """Take an array, or a tensor by its methods; no framework is imported."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        try:
            return np.asarray(value.numpy())
        except TypeError:
            # Half precision of a kind that numpy lacks.
            return np.asarray(value.float().numpy())
    return np.asarray(value)


def piece_files(folder: Path, writer: str, piece: int) -> tuple[Path, Path, Path]:
    """Name the files of a piece: ids, times with labels, values."""
    stem = f"piece-{writer}-{piece:06d}"
    return (
        folder / f"{stem}-ids.npy", folder / f"{stem}-when.npy", folder / f"{stem}-values.npy",
    )  # fmt: skip


def ledger_lines(ledger: Path) -> Iterator[dict[str, Any]]:
    """Finished lines, a piece once; what a kill cut short is passed over."""
    if not ledger.exists():
        return
    found: dict[int, dict[str, Any]] = {}
    for text in ledger.read_text("utf8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("piece"), int) and "digest" in line:
            found[line["piece"]] = line
    yield from found.values()
