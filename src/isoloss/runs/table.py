"""The table of runs: what was measured, what was refused, and what the numbers mean."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector, freeze
from isoloss.errors import InputError
from isoloss.runs.notes import DATA_CODES, Note, configuration_ids, data_notes
from isoloss.runs.rows import automatic_name, clean, clean_all, content_digest, short

__all__ = ["SCHEMA", "Conventions", "Note", "Refusal", "Runs"]

SCHEMA = 1
_SHOWN_REFUSALS = 5
_SHOWN_ROWS = 10


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not used.

    Attributes
    ----------
    row
        Data row in the source, counted from 1 (header and blank lines do not count).
    name
        Run name, or ``"row 17"``.
    code
        ``FIELDS``, ``NOT_AN_OBJECT``, ``MISSING``, ``NOT_A_NUMBER``, ``NOT_FINITE``,
        ``NOT_POSITIVE`` or ``DUPLICATE``.
    reason
        What broke which rule, with the value.
    """

    row: int
    name: str
    code: str
    reason: str

    def __post_init__(self) -> None:
        for label in ("name", "code", "reason"):
            object.__setattr__(self, label, clean(getattr(self, label), 400))


@dataclass(frozen=True, slots=True)
class Conventions:
    """What the axes count, in words; stored with every result so that meanings are not mixed."""

    N: str = "parameters as given"
    D: str = "tokens or examples seen"
    C: str = "6 N D"
    loss: str = "nats per token"
    evaluation: str = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, str):
                raise InputError(f"conventions: {item.name} must be text, got {short(value)}")
            object.__setattr__(self, item.name, clean(value))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Runs:
    """Training runs: one finite float64 column per axis, all of one length.

    Attributes
    ----------
    columns
        Axis name -> read-only array of shape (runs,). Names are free; the standard ones are
        ``N`` parameters, ``D`` tokens or examples seen, ``C`` training FLOPs, ``loss``,
        ``U`` unique data, ``seed`` and ``lr``.
    names
        Run ids, free of control characters, at most 200 characters each.
    rows
        Data row of each run in the source, counted from 1.
    conventions
        What the axes count.
    source
        Where the runs came from.
    refused
        Rows of the source that were not used, each with its reason.
    notes
        What was assumed and what looks wrong. Those that follow from the columns are computed
        here, so a selection never carries a stale one.
    digest
        SHA-256 of columns and names, independent of the order of rows.

    Examples
    --------
    >>> runs = Runs(columns={"N": [1e6, 2e6, 4e6], "loss": [4.0, 3.5, 3.1]})
    >>> len(runs), float(runs["loss"].max()), runs.select(runs["N"] > 1e6).names
    (3, 4.0, ('row 2', 'row 3'))
    """

    columns: Mapping[str, Array]
    names: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    conventions: Conventions = field(default_factory=Conventions)
    source: str = "memory"
    refused: tuple[Refusal, ...] = ()
    notes: tuple[Note, ...] = ()
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        columns = {_axis_name(name): _axis_values(name, v) for name, v in self.columns.items()}
        lengths = {name: values.size for name, values in columns.items()}
        if not lengths or 0 in lengths.values():
            raise InputError("runs: need at least one column and one run")
        if len(set(lengths.values())) > 1 or len(columns) < len(self.columns):
            raise InputError(
                f"runs: columns must have one length and distinct names, got {lengths}"
            )
        count = next(iter(lengths.values()))
        rows = tuple(self.rows) or tuple(range(1, count + 1))
        names = tuple(self.names) or tuple(automatic_name(row) for row in rows)
        if len(names) != count or len(rows) != count:
            raise InputError(
                f"runs: {count} values per column but {len(names)} names and {len(rows)} rows"
            )
        names = tuple(n or automatic_name(r) for n, r in zip(clean_all(names), rows, strict=True))
        kept = tuple(note for note in self.notes if note.code not in DATA_CODES)
        final = {
            "columns": MappingProxyType(columns),
            "names": names,
            "rows": rows,
            "source": clean(self.source),
            "refused": tuple(self.refused),
            "notes": kept + data_notes(columns),
            "digest": content_digest(columns, names),
        }
        for key, value in final.items():
            object.__setattr__(self, key, value)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> Array:
        try:
            return self.columns[name]
        except (KeyError, TypeError):
            raise InputError(
                f"the runs have no column {short(name)}; they have: {', '.join(self.columns)}"
            ) from None

    def __repr__(self) -> str:
        return (
            f"Runs({len(self)} runs: {', '.join(self.columns)}; "
            f"{len(self.refused)} refused; {self.digest[:8]})"
        )

    def __reduce__(self) -> tuple[Callable[..., Runs], tuple[dict[str, Any]]]:
        # The read-only mapping cannot travel between processes as it is.
        return Runs.from_dict, (self.to_dict(),)

    def select(self, index: npt.ArrayLike | slice) -> Runs:
        """Keep some runs, by boolean mask, integer positions (repeats allowed) or slice.

        Raises
        ------
        InputError
            Nothing selected, a mask of another length, or a position out of range.
        """
        chosen = self._positions(index)
        return Runs(
            columns={name: values[chosen] for name, values in self.columns.items()},
            names=tuple(self.names[i] for i in chosen),
            rows=tuple(self.rows[i] for i in chosen),
            conventions=self.conventions,
            source=self.source,
            refused=self.refused,
            notes=self.notes,
        )

    def _positions(self, index: npt.ArrayLike | slice) -> npt.NDArray[np.int64]:
        everything = np.arange(len(self), dtype=np.int64)
        if isinstance(index, slice):
            chosen = everything[index]
        else:
            asked = np.atleast_1d(np.asarray(index))
            if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "biu"):
                raise InputError("select: expected a boolean mask or integer positions")
            if asked.dtype.kind == "b" and asked.size != len(self):
                raise InputError(f"select: mask of length {asked.size} for {len(self)} runs")
            try:
                chosen = everything[asked] if asked.size else everything[:0]
            except IndexError as error:
                raise InputError(f"select: {error}") from None
        if not chosen.size:
            raise InputError(f"select: no run is left of {len(self)}; loosen the condition")
        return chosen

    def axes(self, names: Iterable[str]) -> dict[str, Array]:
        """Return several columns, as a law takes them."""
        return {name: self[name] for name in names}

    def configurations(self, axes: Iterable[str] = ()) -> npt.NDArray[np.int64]:
        """Group id per run, numbered by first appearance; runs of one id are replicates.

        Two runs share a configuration when they agree in every column that was chosen before
        the run: not the seed, which is chance, nor losses, scores and timings, which are outcomes
        (told by the column's name, so that an unknown column splits groups rather than merges).
        ``axes`` are settings whatever they are called: hours of training may be a resource.

        Examples
        --------
        >>> Runs(columns={"N": [1, 2, 1], "loss": [3.0, 2.5, 3.1]}).configurations().tolist()
        [0, 1, 0]
        """
        return configuration_ids(self.columns, axes)

    def to_columns(self) -> dict[str, Any]:
        """Return the table as plain columns, ``name`` first; `read_runs` reads it back."""
        return {"name": list(self.names), **self.columns}

    def to_dict(self) -> dict[str, Any]:
        """Plain types; `from_dict` gives the same runs back, bit for bit."""
        return {
            "kind": "runs",
            "schema": SCHEMA,
            "source": self.source,
            "digest": self.digest,
            "conventions": asdict(self.conventions),
            "columns": {name: values.tolist() for name, values in self.columns.items()},
            "names": list(self.names),
            "rows": list(self.rows),
            "refused": [asdict(refusal) for refusal in self.refused],
            "notes": [asdict(note) for note in self.notes],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Runs:
        """Read `to_dict` back; the content is not trusted and must match its digest.

        Raises
        ------
        InputError
            Another schema, a field of the wrong type, or values that do not match the digest.
        """
        data = _mapping("artifact", data)
        if data.get("kind") != "runs" or data.get("schema") != SCHEMA:
            raise InputError(
                f"runs artifact: expected kind 'runs' and schema {SCHEMA}, got "
                f"{short(data.get('kind'))} and {short(data.get('schema'))}"
            )
        columns = {
            _text("column", k): _numbers(k, v)
            for k, v in _mapping("columns", data.get("columns")).items()
        }
        rows = tuple(_row(row) for row in _list("rows", data.get("rows")))
        names = tuple(_text("name", name) for name in _list("names", data.get("names")))
        if not rows or not names:
            raise InputError("runs artifact: no rows or no names")
        runs = cls(
            columns=columns,
            names=names,
            rows=rows,
            conventions=_record(Conventions, data.get("conventions")),
            source=_text("source", data.get("source")),
            refused=tuple(_record(Refusal, r) for r in _list("refused", data.get("refused"))),
            notes=tuple(_record(Note, n) for n in _list("notes", data.get("notes"))),
        )
        if runs.digest != data.get("digest"):
            raise InputError(
                "runs artifact: the values do not match the digest; the file was changed or cut"
            )
        return runs

    def summary(self) -> str:
        """Text for people: ranges, conventions, refused rows and notes."""
        lines = [f"{len(self)} runs from {self.source} (digest {self.digest[:12]})"]
        width = max(map(len, self.columns))
        for name, values in self.columns.items():
            distinct = np.unique(values).size
            lines.append(
                f"  {name:<{width}}  {values.min():.4g} to {values.max():.4g}, {distinct} distinct"
            )
        meanings = [f"{k}: {v}" for k, v in asdict(self.conventions).items() if v]
        lines.append("conventions  " + "; ".join(meanings))
        if self.refused:
            codes = Counter(refusal.code for refusal in self.refused)
            lines.append(
                f"refused {len(self.refused)} rows: "
                + ", ".join(f"{code} {n}" for code, n in codes.most_common())
            )
            lines += [f"  row {r.row}: {r.reason}" for r in self.refused[:_SHOWN_REFUSALS]]
            if len(self.refused) > _SHOWN_REFUSALS:
                lines.append(f"  and {len(self.refused) - _SHOWN_REFUSALS} more in .refused")
        lines += [f"{note.severity}  {note.code}: {note.message}" for note in self.notes]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = [("name", *self.columns)]
        for i in range(min(len(self), _SHOWN_ROWS)):
            cells.append((self.names[i], *(f"{v[i]:.6g}" for v in self.columns.values())))
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in cells
        )
        return f"<pre>{html.escape(self.summary())}</pre><table>{body}</table>"


_Record = TypeVar("_Record", Refusal, Note, Conventions)


def _axis_name(name: Any) -> str:
    if not isinstance(name, str) or not name or clean(name) != name or name == "name":
        raise InputError(
            f"column {short(name)}: a column name is printable text of at most 200 characters "
            "and not 'name', which holds the run ids"
        )
    return name


def _axis_values(name: str, values: Any) -> Array:
    try:
        return freeze(as_vector(name, values) + 0.0)  # one zero: -0.0 and 0.0 must hash alike
    except OverflowError:
        raise InputError(f"{name}: holds an integer beyond 1.8e308") from None


def _mapping(what: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"runs artifact: {what} must be an object, got {short(value)}")
    return value


def _list(what: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"runs artifact: {what} must be a list, got {short(value)}")
    return value


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"runs artifact: {what} must be text, got {short(value)}")
    return value


def _row(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise InputError(f"runs artifact: a row number is an integer from 1, got {short(value)}")
    return value


def _numbers(name: object, values: Any) -> Array:
    for value in _list(f"column {short(name)}", values):
        if type(value) not in (int, float):
            raise InputError(f"runs artifact: column {short(name)} holds {short(value)}")
    try:
        return np.asarray(values, dtype=np.float64)
    except OverflowError:
        raise InputError(f"runs artifact: column {short(name)} holds a huge integer") from None


def _record(kind: type[_Record], value: Any) -> _Record:
    given = dict(_mapping(kind.__name__, value))
    expected = {item.name for item in fields(kind)}
    if set(given) != expected:
        raise InputError(f"runs artifact: {kind.__name__} needs exactly {sorted(expected)}")
    for key, content in given.items():
        given[key] = _row(content) if key == "row" else _text(key, content)
    return kind(**given)
