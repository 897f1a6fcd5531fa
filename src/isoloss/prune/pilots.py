"""The table of pilots: small trainings on pruned, random and whole pools, checked row by row."""

from __future__ import annotations

import csv
import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.runs.rows import clean, short
from isoloss.runs.table import Refusal

POLICIES = ("hard", "easy")
"""Policies that choose; ``random`` does not, and rows with all kept follow none."""
NONE = "none"
OUTCOMES = ("loss", "error", "worst_error")
_NUMBERS = (*OUTCOMES, "seen", "flops", "score_flops")
_TEXTS = ("metric", "data")
KNOWN = ("policy", "keep", "pool", "D", "seed", *_NUMBERS, *_TEXTS)
MAX_BYTES = 64 * 2**20
MAX_ROWS = 100_000
ROUNDED = 0.01
"""Kept examples may be this part off keep x pool: class floors and ties move a few."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Pilots:
    """Pilot trainings, one row a run.

    Attributes
    ----------
    policy
        ``hard``, ``easy`` or ``none``: random rows, and those with all kept, follow no policy.
    keep, pool, D
        Share kept, examples before and after pruning, (n,). Of rows without a policy the pool is D:
        a random part of a pool is an unpruned smaller one.
    seed
        Texts; empty where not given.
    values
        Column to numbers, (n,), NaN where empty: loss, error, worst_error, seen, flops,
        score_flops; columns that the table lacks are absent.
    metric, data
        Name of the score and of the data of each row, empty where not given.
    rows
        Row of the source, counted from 1, header and blank lines not counted.
    refused
        Rows that are not used, each with its reason.
    ignored
        Columns that mean nothing here.
    source
        Where the table came from.

    Examples
    --------
    >>> table = {"policy": ["random", "hard", "easy"], "keep": [1.0, 0.5, 2.0],
    ...          "pool": [1000, 1000, 1000], "loss": [0.3, 0.31, 0.4]}
    >>> found = read_pilots(table)
    >>> found, found.D.tolist()
    (Pilots(2 runs, 1 policy, 1 row refused), [1000.0, 500.0])
    >>> found.refused[0].reason
    'keep = 2.0: must be above 0 and at most 1; write the share that was kept, such as 0.3'
    """

    policy: tuple[str, ...]
    keep: Array
    pool: Array
    D: Array
    seed: tuple[str, ...]
    values: Mapping[str, Array]
    metric: tuple[str, ...]
    data: tuple[str, ...]
    rows: tuple[int, ...]
    refused: tuple[Refusal, ...] = ()
    ignored: tuple[str, ...] = ()
    source: str = "memory"

    def __post_init__(self) -> None:
        for name in ("keep", "pool", "D"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
        frozen = {name: freeze(values) for name, values in self.values.items()}
        object.__setattr__(self, "values", frozen)

    def __len__(self) -> int:
        return len(self.policy)

    def __repr__(self) -> str:
        gone = f", {_count(len(self.refused), 'row')} refused" if self.refused else ""
        chosen = len({p for p in self.policy if p != NONE})
        word = "policy" if chosen == 1 else "policies"
        return f"Pilots({_count(len(self), 'run')}, {chosen} {word}{gone})"

    @property
    def digest(self) -> str:
        """SHA-256 of what is used, independent of the order of rows."""
        table = [self.policy, self.seed, self.metric, self.data]
        numbers = [self.keep, self.pool, self.D, *(self.values[n] for n in sorted(self.values))]
        numbers_listed = [v.tolist() for v in numbers]
        lines = sorted(repr([*row]) for row in zip(*table, *numbers_listed, strict=True))
        return hashlib.sha256("\n".join([*sorted(self.values), *lines]).encode()).hexdigest()

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What was measured, of `OUTCOMES`."""
        return tuple(name for name in OUTCOMES if name in self.values)

    def metrics(self) -> tuple[tuple[str, str], ...]:
        """Pairs of data and metric that some policy was tried with, in order of first rows."""
        chosen = [
            (d, m) for p, d, m in zip(self.policy, self.data, self.metric, strict=True) if p != NONE
        ]
        return tuple(dict.fromkeys(chosen))

    def take(self, chosen: npt.NDArray[np.bool_]) -> Pilots:
        """Part of the rows; what was refused stays listed."""
        at = np.flatnonzero(chosen)
        texts = {
            name: tuple(getattr(self, name)[i] for i in at)
            for name in ("policy", "seed", "metric", "data", "rows")
        }
        return Pilots(
            **texts, keep=self.keep[at], pool=self.pool[at], D=self.D[at],
            values={name: v[at] for name, v in self.values.items()},
            refused=self.refused, ignored=self.ignored, source=self.source,
        )  # fmt: skip

    def of(self, metric: str | None = None, data: str | None = None) -> Pilots:
        """Rows of one metric, with the random and unpruned rows of the same data.

        Raises
        ------
        InputError
            If there are several and none is named, or the one that is named is not there.
        """
        there = self.metrics()
        found = [(d, m) for d, m in there if metric in (None, m) and data in (None, d)]
        listed = "; ".join(f"metric {short(m)}, data {short(d)}" for d, m in there[:10])
        if not there:
            raise InputError(
                "policy: no row prunes, so there is nothing to judge; add rows of policy hard or "
                "easy with keep below 1"
            )
        if not found:
            raise InputError(
                f"metric = {short(metric)}, data = {short(data)}: no pruned row has them; there "
                f"are {listed}"
            )
        if len(found) > 1:
            raise InputError(f"metric, data: several are in the table, name one of {listed}")
        name, score = found[0]
        return self.take(
            np.array(
                [
                    d == name and (p == NONE or m == score)
                    for p, m, d in zip(self.policy, self.metric, self.data, strict=True)
                ]
            )
        )


def read_pilots(source: Any) -> Pilots:
    """Read pilots from a CSV file or a mapping of columns.

    Every row is used, or listed in ``refused`` with its number, what broke which rule, and what to
    do. Needed are the columns ``policy``, ``keep``, one of ``pool`` and ``D``, and one of ``loss``
    and ``error``; ``seed``, ``worst_error``, ``seen``, ``flops``, ``score_flops``, ``metric`` and
    ``data`` are used where they are there.

    Parameters
    ----------
    source
        Path of a CSV file in UTF-8, a mapping from column to values, or `Pilots`.

    Raises
    ------
    InputError
        If there is no such table, a column is missing or there twice, or no row can be used.
    """
    if isinstance(source, Pilots):
        return source
    if isinstance(source, Mapping):
        header, rows, label = *_from_mapping(source), "memory"
    elif isinstance(source, str | os.PathLike):
        header, rows, label = *_from_csv(Path(source)), Path(source).name
    else:
        raise InputError(
            f"pilots: got {type(source).__name__}; give the path of a CSV or a mapping of columns"
        )
    _check_header(header)
    good, refused = [], []
    seen: dict[tuple[Any, ...], tuple[int, Any]] = {}
    for number, cells in enumerate(rows, start=1):
        if number > MAX_ROWS:
            raise InputError(f"pilots: more than {MAX_ROWS} rows; give the runs, not their curves")
        try:
            if len(cells) != len(header):
                raise _Refused("FIELDS", f"{len(cells)} cells: the header has {len(header)}")
            row = _read_row(dict(zip(header, cells, strict=True)))
            _check_copy(row, number, seen)
            good.append((number, row))
        except _Refused as why:
            refused.append(Refusal(number, f"row {number}", why.code, why.reason))
    if not good:
        first = f": row {refused[0].row}: {refused[0].reason}" if refused else ": it has no rows"
        raise InputError(f"pilots: no row of {short(label)} can be used{first}")
    return _assemble(good, refused, header, label)


class _Refused(Exception):
    """A row that cannot be used."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _from_mapping(source: Mapping[Any, Any]) -> tuple[list[str], Iterator[Sequence[Any]]]:
    table: dict[str, Sequence[Any]] = {}
    for name, values in source.items():
        array = values.tolist() if hasattr(values, "tolist") else values
        if isinstance(array, str | bytes) or not isinstance(array, Sequence):
            raise InputError(f"pilots: column {short(name)} is no list of values")
        table[str(name)] = array
    sizes = {name: len(v) for name, v in table.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"pilots: columns must have one length, got {sizes}")
    return list(table), zip(*table.values(), strict=True)


def _from_csv(path: Path) -> tuple[list[str], Iterator[Sequence[Any]]]:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the CSV file of pilots")
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path.name}: larger than {MAX_BYTES >> 20} MiB; give one row a run")
    try:
        lines = raw.decode("utf-8-sig").splitlines()
        table = [row for row in csv.reader(lines, strict=True) if row]
    except UnicodeDecodeError:
        raise InputError(f"{path.name}: is no text in UTF-8; save the table as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path.name}: cannot be read as CSV: {error}") from None
    if not table:
        raise InputError(f"{path.name}: is empty; the first line names the columns")
    return [cell.strip() for cell in table[0]], iter(table[1:])


def _check_header(header: Sequence[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1 and name in KNOWN})
    if twice:
        raise InputError(f"pilots: column {twice[0]} is there twice; name each column once")
    for group in (("policy",), ("keep",), ("pool", "D"), ("loss", "error")):
        if not any(name in header for name in group):
            raise InputError(
                f"pilots: no column {' or '.join(group)}; the table has "
                f"{', '.join(short(h) for h in header[:20]) or 'none'}"
            )


def _number(name: str, value: Any) -> float:
    """Read one cell; NaN where it is empty."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    if isinstance(value, bool):
        raise _Refused("NOT_A_NUMBER", f"{name} = {value}: is not a number; write one")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _Refused(
            "NOT_A_NUMBER", f"{name} = {short(value)}: is not a number; write one"
        ) from None
    if not math.isfinite(number):
        raise _Refused(
            "NOT_FINITE", f"{name} = {number}: must be finite; a run that diverged has no loss"
        )
    return number


def _read_row(cells: Mapping[str, Any]) -> dict[str, Any]:
    text = clean(str(cells["policy"])).lower()
    keep = _number("keep", cells["keep"])
    if not 0 < keep <= 1:
        what = "is missing" if math.isnan(keep) else f"= {keep}"
        raise _Refused(
            "OUT_OF_RANGE",
            f"keep {what}: must be above 0 and at most 1; write the share that was kept, "
            "such as 0.3",
        )
    if keep < 1 and text not in (*POLICIES, "random"):
        raise _Refused(
            "UNKNOWN_POLICY",
            f"policy = {short(cells['policy'])}: must be random, hard or easy where keep is "
            "below 1",
        )
    row: dict[str, Any] = {"policy": text if keep < 1 and text in POLICIES else NONE, "keep": keep}
    row["pool"], row["D"] = _sizes(
        keep, _number("pool", cells.get("pool")), _number("D", cells.get("D"))
    )
    # A random half of a pool and a whole smaller pool are the same setting, but two runs.
    row["given"] = (keep, row["pool"])
    if row["policy"] == NONE:
        row["keep"], row["pool"] = 1.0, row["D"]
    for name in _NUMBERS:
        row[name] = _number(name, cells.get(name))
        if row[name] <= 0 and not (name == "score_flops" and row[name] == 0):
            raise _Refused(
                "NOT_POSITIVE",
                f"{name} = {row[name]:g}: must be above 0; test on more examples, or take the loss",
            )
    if math.isnan(row["loss"]) and math.isnan(row["error"]):
        raise _Refused("MISSING", "loss, error: both are empty; leave the run out or give one")
    for name in (*_TEXTS, "seed"):
        value = cells.get(name)
        row[name] = "" if value is None else clean(str(value))
    return row


def _sizes(keep: float, pool: float, D: float) -> tuple[float, float]:
    for name, value in (("pool", pool), ("D", D)):
        if value < 1:
            raise _Refused("NOT_POSITIVE", f"{name} = {value:g}: must be 1 or more examples")
    if math.isnan(pool) and math.isnan(D):
        raise _Refused("MISSING", "pool, D: both are empty; give one of them")
    if math.isnan(pool):
        return D / keep, D
    if math.isnan(D):
        return pool, max(float(round(keep * pool)), 1.0)
    if abs(D - keep * pool) > max(1.0, ROUNDED * keep * pool):
        raise _Refused(
            "MISMATCH",
            f"D = {D:g}: keep x pool is {keep * pool:g}; correct one of keep, pool and D",
        )
    return pool, D


def _check_copy(row: dict[str, Any], number: int, seen: dict[tuple[Any, ...], Any]) -> None:
    """Refuse a run that is there twice."""
    what = tuple(row[n] for n in ("policy", "given", "D", "seed", *_TEXTS))
    result = tuple(row[n] for n in OUTCOMES)
    same = repr(result)
    if not row["seed"]:
        what, message = (*what, same), "equal in everything, and no seed tells them apart"
    else:
        message = f"seed {short(row['seed'])} of the same setting"
    first = seen.setdefault(what, (number, same))
    if first[0] != number:
        other = "" if first[1] == same else ", with another result"
        raise _Refused(
            "DUPLICATE",
            f"repeats row {first[0]}: {message}{other}; keep one, or give each run its seed",
        )


def _assemble(
    good: list[tuple[int, dict[str, Any]]],
    refused: list[Refusal],
    header: Sequence[str],
    label: str,
) -> Pilots:
    rows = [row for _, row in good]
    values = {name: np.array([row[name] for row in rows]) for name in _NUMBERS if name in header}
    return Pilots(
        policy=tuple(r["policy"] for r in rows),
        keep=np.array([r["keep"] for r in rows]),
        pool=np.array([r["pool"] for r in rows]),
        D=np.array([r["D"] for r in rows]),
        seed=tuple(r["seed"] for r in rows),
        values={name: v for name, v in values.items() if not np.isnan(v).all()},
        metric=tuple(r["metric"] for r in rows),
        data=tuple(r["data"] for r in rows),
        rows=tuple(n for n, _ in good),
        refused=tuple(refused),
        ignored=tuple(clean(name) for name in header if name not in KNOWN),
        source=clean(label),
    )  # fmt: skip
