"""``isoloss theory point-value``: laws of millions of data points, read and written in parts."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, json_option, positive, print_json, progress, say

_LINES = 1 << 18
_LISTED = 10_000
"""Points that JSON lists; the file holds them all."""

_NAMES = ("point", "k", "delta")
_FITTED = ("point", "c", "alpha", "sigma", "beta", "nll", "r2")
_COLUMNS = (*_FITTED, "value", "error", "mean_value", "samples", "status")


class Size(click.ParamType):  # type: ignore[type-arg]
    """A size of the training set."""

    name = "K"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Read the number; mistakes are usage errors."""
        try:
            return positive(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


class Sizes(click.ParamType):  # type: ignore[type-arg]
    """Two whole sizes, the first not above the second."""

    name = "K0,K1"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Read the numbers; mistakes are usage errors."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        try:
            low, high = (positive(p.strip()) for p in parts)
        except ValueError:
            self.fail(f"{value!r}: write two sizes, as 100,1000", param, ctx)
        if low != int(low) or high != int(high) or low > high:
            self.fail(f"{value!r}: whole sizes, the smaller one first", param, ctx)
        return int(low), int(high)


@click.command("point-value")
@click.argument("file", type=click.Path(path_type=str))
@click.option("--at", type=Size(), help="Size at which points are valued and ranked.")
@click.option("--range", "sizes", type=Sizes(), help="Sizes to average over: Shapley values.")
@click.option(
    "--estimator", type=click.Choice(["likelihood", "log"]), default="likelihood",
    show_default=True, help="How laws are estimated.",
)  # fmt: skip
@click.option(
    "--unsorted", is_flag=True, help="Rows are not in order of point; uses scratch files."
)
@click.option("--select", type=click.IntRange(1), metavar="COUNT", help="Name the best points.")
@click.option("--remove", is_flag=True, help="With --select: the worst, and only below zero.")
@click.option("--min-alpha", type=float, help="With --select: leave out smaller exponents.")
@click.option("--min-r2", type=float, help="With --select: leave out worse log fits.")
@click.option("--out", type=click.Path(path_type=str), help="Write the laws, CSV or NPY.")
@json_option
@guarded
def point_value(
    file: str, at: float | None, sizes: tuple[int, int] | None, estimator: Any, unsorted: bool,
    select: int | None, remove: bool, min_alpha: float | None, min_r2: float | None,
    out: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Value of each data point from samples of its marginal contribution.

    FILE has columns point (whole-number id), k (size of the set), delta (utility gained) and, if
    classes are to be kept in balance, label (a number): CSV with a header, or an NPY array with
    these fields or columns. '-' is CSV from standard input.
    """
    import numpy as np

    from isoloss.errors import InputError
    from isoloss.theory.point_value import STATUSES, fit_stream

    if select is None and (remove or min_alpha is not None or min_r2 is not None):
        raise click.UsageError("--remove, --min-alpha and --min-r2 go with --select")
    if select is not None and at is None and sizes is None:
        raise click.UsageError("--select needs --at, to value points at one size, or --range")
    if out is not None and Path(out).suffix.lower() not in (".csv", ".npy"):
        raise click.UsageError(f"--out {out!r}: the name must end in .csv or .npy")
    labels: list[Any] = []
    counts = dict.fromkeys(STATUSES, 0)
    listed: list[Any] = []
    kept: list[Any] = []
    total = 0
    folder = str(Path(out).parent) if out and unsorted else None
    with progress(quiet=as_json) as step, _written(out) as write:
        chunks = _rows(file, labels if select is not None else None)
        for part in fit_stream(chunks, estimator=estimator, in_order=not unsorted, folder=folder):
            table = _table(part, at, sizes)
            write(table)
            for i, word in enumerate(STATUSES):
                counts[word] += int((part.code == i).sum())
            if total < _LISTED:
                listed.append({k: v[: _LISTED - total] for k, v in table.items()})
            if select is not None:
                score = table["value"] if at is not None else table["mean_value"]
                good = part.ok
                if min_alpha is not None:
                    good &= part.alpha >= min_alpha
                if min_r2 is not None:
                    good &= part.r2 >= min_r2
                kept.append((part.point, score, good))
            total += len(part)
            step(f"{total:,} points")
        if not total:
            raise InputError(f"{file}: holds no samples")
    answer: dict[str, Any] = {
        "points": total,
        "counts": {k: v for k, v in counts.items() if v},
        "at": at,
        "range": list(sizes) if sizes else None,
        "estimator": estimator,
    }
    if select is not None:
        answer |= _chosen(kept, labels, select, remove)
    names = [n for n in _COLUMNS if listed and n in listed[0]]
    columns = {n: np.concatenate([p[n] for p in listed]).tolist() for n in names}
    if as_json:
        print_json(answer | {"laws": columns})
    else:
        say(_summary(answer, columns))
        if out:
            say(f"laws in {out}")
    return DOUBT if counts["unconverged"] or not (counts["ok"] or counts["exact"]) else OK


def _table(laws: Any, at: float | None, sizes: tuple[int, int] | None) -> dict[str, Any]:
    table = {n: getattr(laws, n) for n in _FITTED}
    if at is not None:
        table |= {"value": laws.value(at), "error": laws.error(at)}
    if sizes is not None:
        table["mean_value"] = laws.mean_value(*sizes)
    return table | {"samples": laws.samples, "status": laws.verdict}


def _chosen(kept: list[Any], labels: list[Any], count: int, worst: bool) -> dict[str, Any]:
    """Positions turned into ids, with the class of each where classes were given."""
    import numpy as np

    from isoloss.theory import select_points

    if not kept:
        return {"chosen": [], "score": []}
    point, score, good = (np.concatenate(v) for v in zip(*kept, strict=True))
    classes = None
    if labels:
        ids, values = (np.concatenate(v) for v in zip(*labels, strict=True))
        ids, first = np.unique(ids, return_index=True)
        classes = values[first][np.searchsorted(ids, point)]
    found = select_points(
        score, count=count, labels=classes, worst=worst, usable=good,
        beyond=0.0 if worst else None,
    )  # fmt: skip
    answer: dict[str, Any] = {
        "chosen": point[found.chosen], "score": score[found.chosen],
        "refused": int(found.refused.size),
    }  # fmt: skip
    if classes is not None:
        answer["label"] = classes[found.chosen]
    return answer


def _summary(answer: dict[str, Any], columns: dict[str, Any]) -> str:
    """Write counts for people, and the first points."""
    said = ", ".join(f"{v:,} {k}" for k, v in answer["counts"].items())
    lines = [f"{answer['points']:,} points: {said}"]
    names = list(columns)
    rows = list(islice(zip(*columns.values(), strict=True), 10))
    if rows:
        cells = [[f"{v:.6g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
        widths = [max(len(r[j]) for r in (names, *cells)) for j in range(len(names))]
        for row in (names, *cells):
            lines.append("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)))
        if answer["points"] > len(rows):
            lines.append("...")
    if "chosen" in answer:
        shown = ", ".join(str(v) for v in answer["chosen"][:20])
        lines.append(f"chosen {len(answer['chosen'])}: {shown}")
    return "\n".join(lines)


def _rows(file: str, labels: list[Any] | None) -> Iterator[tuple[Any, Any, Any]]:
    """Triples of columns, and the label of each id beside them, some hundred thousand at once."""
    import numpy as np

    for part in _parts_of_array(file) if file.lower().endswith(".npy") else _parts_of_text(file):
        if labels is not None and "label" in part:
            ids, first = np.unique(part["point"], return_index=True)
            labels.append((ids, part["label"][first]))
        yield part["point"], part["k"], part["delta"]


def _parts_of_array(file: str) -> Iterator[dict[str, Any]]:
    import numpy as np

    from isoloss.errors import InputError

    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise InputError(f"{file}: is no NPY file of numbers ({error})") from error
    fields = array.dtype.names
    if fields is not None:
        _require(file, fields)
        names = [n for n in (*_NAMES, "label") if n in fields]
    else:
        if array.ndim != 2 or array.shape[1] not in (3, 4) or array.dtype.kind not in "iuf":
            raise InputError(
                f"{file}: holds {array.dtype} of shape {array.shape}; write numbers in rows of "
                "point, k, delta and perhaps label"
            )
        names = [*_NAMES, "label"][: array.shape[1]]
    for start in range(0, len(array), _LINES):
        rows = np.array(array[start : start + _LINES])
        yield {n: rows[n] if fields else rows[:, i] for i, n in enumerate(names)}


def _parts_of_text(file: str) -> Iterator[dict[str, Any]]:
    import numpy as np

    from isoloss.errors import InputError

    with _text(file) as lines:
        try:
            head = [
                h.strip().strip('"').lower() for h in next(lines, "").lstrip("\ufeff").split(",")
            ]
            _require(file, head)
            names = [n for n in (*_NAMES, "label") if n in head]
            where = [head.index(n) for n in names]
            done = 0
            while part := list(islice(lines, _LINES)):
                # Blank lines hold nothing, and a part of them alone would be a warning.
                full = [line for line in part if line.strip()]
                if full:
                    try:
                        rows = np.loadtxt(
                            full, delimiter=",", usecols=where, ndmin=2, comments=None
                        )
                    except ValueError as error:
                        text = str(error).split(";")[0]
                        raise InputError(
                            f"{file}: after {done} rows: {text}; every field must be a number"
                        ) from error
                    yield {n: rows[:, i] for i, n in enumerate(names)}
                done += len(full)
        except UnicodeDecodeError as error:
            raise InputError(f"{file}: is not text in UTF-8; an array must end in .npy") from error


def _require(file: str, names: Any) -> None:
    from isoloss.errors import InputError

    missing = [n for n in _NAMES if n not in names]
    if missing:
        raise InputError(
            f"{file}: has no column {', '.join(missing)}; the header must name point, k and delta"
        )


@contextmanager
def _text(file: str) -> Iterator[Iterator[str]]:
    if file == "-":
        yield iter(sys.stdin)
        return
    with Path(file).open(encoding="utf8", newline=None) as handle:
        yield chain(handle)


@contextmanager
def _written(out: str | None) -> Iterator[Any]:
    """Write parts to a file beside the one asked for, which takes its place once all is there."""
    if out is None:
        yield lambda table: None
        return
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if path.suffix.lower() == ".csv":
                yield _csv_writer(file)
            else:
                parts: list[Any] = []
                yield parts.append
                _save_array(file, parts)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _csv_writer(file: Any) -> Any:
    begun = False

    def write(table: dict[str, Any]) -> None:
        nonlocal begun
        if not begun:
            file.write((",".join(table) + "\n").encode())
            begun = True
        columns = [map(str, v.tolist()) for v in table.values()]
        rows = "\n".join(map(",".join, zip(*columns, strict=True)))
        file.write((rows + "\n").encode())

    return write


def _save_array(file: Any, parts: list[dict[str, Any]]) -> None:
    """Save a structured array without pickle; words take eleven characters."""
    import numpy as np

    kinds = {"point": "<i8", "status": "<U11"}
    names = list(parts[0]) if parts else ["point"]
    array = np.empty(
        sum(len(p["point"]) for p in parts), dtype=[(n, kinds.get(n, "<f8")) for n in names]
    )
    for name in names:
        if parts:
            array[name] = np.concatenate([p[name] for p in parts])
    np.save(file, array, allow_pickle=False)
