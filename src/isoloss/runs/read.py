"""Read a table of runs from whatever holds it: file, stream, dict or data frame."""

from __future__ import annotations

import csv
import io
import math
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.runs.columns import check_usable, resolve
from isoloss.runs.frames import from_mapping, from_object, from_objects
from isoloss.runs.gather import Gathered
from isoloss.runs.parquet import read_parquet
from isoloss.runs.rows import short
from isoloss.runs.selection import Selection, select_runs
from isoloss.runs.sniff import HEAD, sniff
from isoloss.runs.source import Limits, Source
from isoloss.runs.table import Conventions, Runs
from isoloss.runs.text import CappedStream, csv_fault, read_csv, read_json, read_jsonl
from isoloss.runs.where import Condition, parse_where

MAX_ROWS = 5_000_000
MAX_BYTES = 2 * 2**30


def read_runs(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, float] | None = None,
    where: Any = None,
    flops: str = "6ND",
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    conventions: Mapping[str, str] | None = None,
) -> Runs:
    """Read training runs; every row of the source is either used or refused with a reason.

    Parameters
    ----------
    source
        Path of a CSV, TSV, JSON (list of objects, or object of columns), JSON-lines or Parquet
        file, told by content; ``"-"`` for standard input; an open file; a dict of columns; a list
        of dicts; a data frame (pandas, polars, Arrow, ...); or `Runs`, returned as they are.
    columns
        Axis -> column of the source, where the usual names (``params``, ``tokens``, ``flops``,
        ``val_loss``, ...) do not say it. Names of axes are free. ``name`` maps the run ids.
    units
        Axis -> factor, for example ``{"N": 1e6}`` for parameters in millions.
    where
        Which rows to read: a dict from column to value, or list of values, such as
        ``{"Model": "MiX/B/16", "Training": 1}``; or text, such as
        ``"Model=MiX/B/16|ViT/B/16, D<1e9"`` (``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``), or a
        list of texts. All conditions must hold. Text is compared trimmed, numbers as numbers,
        after ``units``. How many rows were left out is said in ``notes`` and ``source``.
    flops
        ``"6ND"``: when exactly two of N, D and C are there, C = 6 N D gives the third.
        ``"given"``: C must be there, and nothing is derived.
    max_rows, max_bytes
        Limits of the source; beyond them an error, never a silent cut.
    conventions
        Words for `Conventions`, for example ``{"evaluation": "C4 validation"}``.

    Returns
    -------
    Runs
        With the refused rows in ``refused``, and what was assumed or looks wrong in ``notes``.

    Raises
    ------
    InputError
        No table, no usable row, no loss, two columns for one axis, or a condition that no row
        meets; says the remedy.
    MissingExtra
        Parquet without pyarrow.

    Examples
    --------
    >>> runs = read_runs({"params": ["70M", "160M", "oops"], "tokens": [1e9, 2e9, 3e9],
    ...                   "val_loss": [4.1, 3.6, 3.2]})
    >>> runs["C"].tolist()
    [4.2e+17, 1.92e+18]
    >>> runs.refused[0].reason
    "N = 'oops': not a number"
    >>> table = {"tokens": [1e9, 2e9, 1e9, 2e9], "loss": [4.1, 3.6, 3.9, 3.5],
    ...          "optimizer": ["adam", "adam", "muon", "muon"]}
    >>> read_runs(table, where={"optimizer": "muon"})["loss"].tolist()
    [3.9, 3.5]
    """
    limits = Limits(_limit("max_rows", max_rows), _limit("max_bytes", max_bytes))
    mapping, factors, words = _options(columns, units, flops, conventions)
    asked = parse_where(where)
    if isinstance(source, Runs):
        if mapping or factors or words:
            raise InputError("columns, units and conventions are for raw tables, not for Runs")
        return select_runs(source, asked) if asked else source
    with ExitStack() as stack:
        try:
            opened = _open(source, limits, stack)
            if isinstance(opened, Runs):
                if mapping or factors or words:
                    raise InputError("columns, units and conventions are for raw tables, not Runs")
                return select_runs(opened, asked) if asked else opened
            return _assemble(opened, mapping, factors, flops, words, asked)
        except InputError:
            raise
        except UnicodeDecodeError as error:
            raise InputError(
                f"the text is not UTF-8 (byte {error.object[error.start]:#04x}); save it as UTF-8"
            ) from None
        except csv.Error as error:
            raise InputError(f"the table cannot be read: {csv_fault(error)}") from None
        except OSError as error:
            raise InputError(f"the source cannot be read: {error.strerror or error}") from None


def _assemble(
    source: Source,
    mapping: Mapping[str, str],
    units: Mapping[str, float],
    flops: str,
    words: Mapping[str, str],
    asked: Sequence[Condition],
) -> Runs:
    if not source.header:
        rest = [refusal for batch in source.batches for refusal in batch.refused]
        shown = f": {len(rest)} rows refused; row {rest[0].row}: {rest[0].reason}" if rest else ""
        raise InputError(f"no columns in {source.label}{shown}")
    roles = resolve(source.header, mapping, source.notes)
    roles.notes += source.notes
    if flops == "given" and "C" not in roles.axes:
        raise InputError("flops='given' needs a column of training FLOPs: --columns C=COLUMN")
    gathered = Gathered(roles, units)
    selection = Selection(asked, source.header, roles, units, flops)
    if selection:
        source.batches = selection.batches(source.batches)
        source.label = f"{source.label} where {selection}"
    gathered.read(source)
    selection.check()
    good = gathered.finish(flops)
    if selection:
        selection.narrow(gathered.values, good)
    if not good.any():
        raise InputError(_nothing_left(source, gathered))
    varying = gathered.note_mixture(good)
    if selection:
        gathered.notes.append(selection.note(varying))
    check_usable(roles, source.header, source.notes)
    default = Conventions().C
    C = "training FLOPs as given" if "C" in roles.axes else default
    derived = {"DERIVED_N", "DERIVED_D"} & {note.code for note in gathered.notes}
    meanings = {"C": default if derived else C, **roles.conventions, **words}
    kept = np.flatnonzero(good).tolist()
    return Runs(
        columns=gathered.columns(good),
        names=tuple(gathered.names[i] for i in kept) if gathered.names else (),
        rows=tuple(gathered.rows[good].tolist()),
        conventions=Conventions(**meanings),
        source=source.label,
        refused=tuple(gathered.refused),
        notes=tuple(gathered.notes),
    )


def _nothing_left(source: Source, gathered: Gathered) -> str:
    refused = gathered.refused
    if not refused:
        return f"{source.label} names its columns but holds no rows"
    shown = "; ".join(f"row {r.row}: {r.reason}" for r in refused[:3])
    more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
    return f"no usable row in {source.label}; {len(refused)} rows refused: {shown}{more}"


def _open(source: Any, limits: Limits, stack: ExitStack) -> Source | Runs:
    if isinstance(source, str) and source == "-":
        return _stream(getattr(sys.stdin, "buffer", sys.stdin), "standard input", "", limits)
    if isinstance(source, (str, os.PathLike)):
        return _path(source, limits, stack)
    if isinstance(source, (bytes, bytearray)):
        raise InputError("bytes: pass io.BytesIO(data), or a path")
    if hasattr(source, "read"):
        return _stream(source, "an open file", "", limits)
    if isinstance(source, Mapping):
        if source.get("kind") == "runs" and "schema" in source:
            return Runs.from_dict(source)
        return from_mapping(source, "memory", limits)
    if isinstance(source, (list, tuple)):
        if not source:
            raise InputError("the source is empty")
        return from_objects(enumerate(source, 1), "memory", limits)
    return from_object(source, limits)


def _shown_path(text: str) -> str:
    """Show a path inside a message; of a long one the end, where the file's name is."""
    return short(text if len(text) <= 120 else "..." + text[-117:], 120)


def _path(source: str | os.PathLike[Any], limits: Limits, stack: ExitStack) -> Source | Runs:
    text = os.fspath(source)
    shown = _shown_path(text if isinstance(text, str) else repr(text))
    try:
        path = Path(text)
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise InputError(f"{shown} is a folder; pass the file inside")
        if info.st_size > limits.bytes:
            raise limits.too_large()
        regular = stat.S_ISREG(info.st_mode)
        file = stack.enter_context(path.open("rb"))
    except InputError:
        raise
    except FileNotFoundError:
        hint = "; download it first" if "://" in str(text) else ""
        hint = "; for text, pass io.StringIO(text)" if "\n" in str(text) else hint
        raise InputError(f"no such file: {shown}{hint}") from None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{shown} cannot be opened: {error}") from None
    return _stream(file, path.name, path.suffix.lower().lstrip("."), limits, on_disk=regular)


def _stream(
    file: Any, label: str, suffix: str, limits: Limits, *, on_disk: bool = False
) -> Source | Runs:
    pull = _puller(file)
    head = b""
    while len(head) < HEAD and (data := pull(HEAD - len(head))):
        head += data
    kind = sniff(head, suffix)
    stream = CappedStream(head, pull, limits)
    if kind == "csv":
        return read_csv(stream, label, limits, suffix=suffix)
    if kind == "jsonl":
        return read_jsonl(stream, label, limits)
    if kind == "parquet":
        whole = file if on_disk else io.BytesIO(io.BufferedReader(stream).read())
        whole.seek(0)
        return read_parquet(whole, label, limits)
    read = read_json(stream, label, limits)
    return read if isinstance(read, Source) else Runs.from_dict(read)


def _puller(file: Any) -> Callable[[int], bytes]:
    """Read up to about so many bytes from a binary or a text file."""

    def pull(size: int) -> bytes:
        try:
            data = file.read(size)
        except (OSError, UnicodeDecodeError):
            raise
        except Exception as error:  # a file-like object of any make
            raise InputError(f"the file cannot be read: {short(str(error), 120)}") from None
        if isinstance(data, str):
            return data.encode("utf8", "surrogatepass")
        if isinstance(data, (bytes, bytearray, memoryview)) or data is None:
            return bytes(data or b"")
        raise InputError(f"the file gives {type(data).__name__}, neither bytes nor text")

    return pull


def _limit(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} = {short(value)}: must be a positive integer")
    return int(value)


def _options(
    columns: Mapping[str, str] | None,
    units: Mapping[str, float] | None,
    flops: str,
    conventions: Mapping[str, str] | None,
) -> tuple[dict[str, str], dict[str, float], dict[str, str]]:
    if flops not in ("6ND", "given"):
        raise InputError(f"flops = {short(flops)}: must be '6ND' or 'given'")
    mapping = _texts("columns", columns)
    words = _texts("conventions", conventions)
    known = [item.name for item in fields(Conventions)]
    if strange := set(words) - set(known):
        raise InputError(f"conventions: {short(min(strange))} is not one of {', '.join(known)}")
    factors: dict[str, float] = {}
    if units is not None and not isinstance(units, Mapping):
        raise InputError("units: expected axis -> factor, for example {'N': 1e6}")
    for axis, factor in (units or {}).items():
        try:
            number = float(factor)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise InputError(
                f"units: {short(axis)} = {short(factor)}: must be a positive number, such as 1e6"
            )
        factors[str(axis)] = number
    return mapping, factors, words


def _texts(what: str, given: Mapping[str, str] | None) -> dict[str, str]:
    pairs = dict(given) if isinstance(given, Mapping) else None if given is not None else {}
    if pairs is None or not all(isinstance(t, str) for pair in pairs.items() for t in pair):
        raise InputError(f"{what}: expected a dict from text to text")
    return pairs
