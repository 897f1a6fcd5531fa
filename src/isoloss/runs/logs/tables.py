"""Logs as tables: CSV, JSON lines and Parquet, of one run or of several; exports of W&B."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from isoloss.errors import InputError
from isoloss.runs.columns import squash
from isoloss.runs.logs.record import (
    MAX_RUNS,
    Log,
    LoggedRun,
    Wanted,
    as_number,
    flatten,
)
from isoloss.runs.rows import short
from isoloss.runs.sniff import HEAD, sniff
from isoloss.runs.source import MAX_COLUMNS, MAX_JSON_BYTES, Limits

_LINE = 4 * 2**20
_PEEK = 200
_STEPS = (
    "trainer/global_step", "train/global_step", "global_step", "num_updates", "n_updates",
    "updates", "update", "optimizer_step", "train_step", "training_step", "step", "steps",
    "iteration", "iterations", "iter", "iters", "num_steps", "_step",
)  # fmt: skip
"""Names of the count of updates, the surest first."""
_RUN_COLUMNS = ("run_name", "run", "run_id", "name")
_GENERIC = ("metrics", "log", "logs", "history", "train", "training", "progress", "results",
            "scalars", "events", "output")  # fmt: skip
_CONFIG_KEYS = ("config", "hparams", "args", "hyperparameters")
_WHOLE_AGAIN = "copy the file again if it is whole elsewhere"

Row = Mapping[str, Any]


class _Table:
    """Sorts rows into runs; which column counts steps is found once."""

    def __init__(self, log: Log, wanted: Wanted, parquet: bool = False) -> None:
        self.log = log
        self.wanted = wanted
        self.runs: dict[str, LoggedRun] = {}
        self.step: str | None = None
        self.run: str | None = None
        self.absent_is_nan = parquet
        self.notes: list[tuple[str, str, str, str]] = []
        self.seen = 0
        self.before: dict[str, Any] = {}

    def columns(self, names: Iterable[str]) -> None:
        """Choose the column of steps, and that of run names."""
        known = {name.casefold(): name for name in names}
        self.step = next((known[s] for s in _STEPS if s in known), None)
        if self.step is None:
            tails = {name.rpartition("/")[2].casefold(): name for name in names}
            self.step = next((tails[s] for s in _STEPS if s in tails), None)
        self.run = next((known[r] for r in _RUN_COLUMNS if r in known), None)

    def take(self, row: Row) -> None:
        """Take in one row."""
        self.seen += 1
        step = as_number(row.get(self.step)) if self.step is not None else float(self.seen)
        name = str(row.get(self.run) or "") if self.run is not None else ""
        if step is None or not math.isfinite(step):
            target = self.before if not self.runs else self._of(name).summary
            for key, value in row.items():
                if key in _CONFIG_KEYS and isinstance(value, Mapping):
                    flatten(target, "", value)
                elif value not in ("", None):
                    flatten(target, key, value)
            return
        run = self._of(name)
        for key, value in row.items():
            if key in (self.step, self.run) or value is None or value == "":
                continue
            number = as_number(value)
            if number is not None:
                if not (self.absent_is_nan and math.isnan(number)):
                    run.log(key, step, number, self.wanted)
            elif isinstance(value, Mapping):
                nested: dict[str, Any] = {}
                flatten(nested, key, value)
                for inner, content in nested.items():
                    if (found := as_number(content)) is not None:
                        run.log(inner, step, found, self.wanted)
                    else:
                        run.set(inner, content)
            else:
                run.set(key, value)

    def _of(self, name: str) -> LoggedRun:
        run = self.runs.get(name)
        if run is None:
            if len(self.runs) >= MAX_RUNS:
                raise InputError(f"more than {MAX_RUNS:,} runs in one table; split it")
            run = LoggedRun(name=name or run_name(self.log), kind=self.log.kind,
                            source=self.log.label)  # fmt: skip
            run.steps_counted = self.step is not None and self.step.casefold() == "_step"
            self.runs[name] = run
        return run

    def finish(self) -> Iterator[LoggedRun]:
        """Hand the runs over."""
        if self.step is None and self.runs:
            tokens = {
                squash(name.rpartition("/")[2]) for r in self.runs.values() for name in r.last
            }
            if not tokens & {"tokens", "tokensseen", "epoch", "ntokens", "totaltokens"}:
                raise InputError(
                    "no column counts steps or tokens, so this is no log of a run; for a table of "
                    "one row a run use isoloss fit as it is, else --columns step=NAME"
                )
            self.notes.append(("NO_STEP", "info", "no column counts steps; rows are counted", ""))
        for run in self.runs.values():
            for key, value in self.before.items():
                run.config.setdefault(key, value)
            for note in self.notes:
                run.note(*note)
            yield run


def read_table(log: Log, wanted: Wanted) -> Iterator[LoggedRun]:
    """Read one table.

    Raises
    ------
    InputError
        No table, or one without steps.
    """
    path = log.paths[0]
    suffix = path.suffix.lower().lstrip(".")
    with path.open("rb") as file:
        head = file.read(HEAD)
    kind = sniff(head, suffix)
    table = _Table(log, wanted, kind == "parquet")
    if kind == "parquet":
        _parquet(table, path)
    else:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
            if kind == "csv":
                _csv(table, text, suffix)
            elif kind == "jsonl":
                _json_lines(table, text)
            else:
                _json(table, text)
    for run in table.finish():
        if log.alone and len(table.runs) == 1:
            settings_beside(run, path.parent)
        yield run


def run_name(log: Log) -> str:
    """Name of a run that is told by its path: the file's, or its folder's if that says more."""
    path = Path(log.label)
    if log.kind in ("table", "lightning"):
        if path.stem.casefold() not in _GENERIC:
            return str(path.with_suffix(""))
        path = path.parent
        if path == Path():
            path = Path(log.paths[0].absolute().parent.name)
        if path.name.startswith("version_") and path.parent == Path():
            above = log.paths[0].absolute().parent.parent.name
            path = Path(above) / path if above else path
        return str(path)
    return str(path)


def settings_beside(run: LoggedRun, folder: Path) -> None:
    """Read settings that lie beside the log of a run; its own settings win."""
    from isoloss.runs.logs.flat_yaml import MAX_BYTES, read_flat_yaml

    for name in ("hparams.yaml", "config.yaml", "config.json", "hparams.json", "params.json",
                 "args.json"):  # fmt: skip
        path = folder / name
        if not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_BYTES:
            continue
        text = path.read_bytes().decode("utf8", "replace")
        found: dict[str, Any] = {}
        if name.endswith("yaml"):
            found = read_flat_yaml(text)
        else:
            try:
                flatten(found, "", json.loads(text))
            except (ValueError, RecursionError):
                run.note("SETTINGS", "warning", f"{name} beside the log cannot be read",
                         "repair it, or name what it says with --columns")  # fmt: skip
        for key, value in found.items():
            if key:
                run.config.setdefault(key, value)


def _lines(text: IO[str], last: list[str]) -> Iterator[str]:
    while line := text.readline(_LINE):
        if len(line) >= _LINE:
            raise InputError(f"a line is longer than {_LINE:,} characters; is this a log?")
        last[0] = line
        yield line


def _csv(table: _Table, text: IO[str], suffix: str) -> None:
    last = [""]
    lines = _lines(text, last)
    first = next((line for line in lines if line.strip()), "")
    outside = "".join(first.split('"')[::2])
    delimiter = "\t" if suffix == "tsv" else max(",\t;|", key=outside.count)
    reader = csv.reader(chain([first], lines), delimiter=delimiter)
    header = next(reader, [])
    if len(header) > MAX_COLUMNS:
        raise InputError(f"{len(header):,} columns; at most {MAX_COLUMNS:,} can be read")
    if first[-1:] != "\n":
        raise InputError("the table is cut short within its header")
    wide = _wide(header)
    table.columns([header[0]] if wide else header)
    held: list[str] | None = None
    bad = 0

    def put(row: list[str]) -> None:
        nonlocal bad
        if len(row) != len(header):
            bad += 1
        elif wide:
            _take_wide(table, wide, row)
        else:
            table.take(dict(zip(header, row, strict=True)))

    try:
        for row in reader:
            if held:
                put(held)
            held = row
    except csv.Error as error:
        table.notes.append(("CORRUPT", "warning", f"the table ends at a fault: {error}",
                            _WHOLE_AGAIN))  # fmt: skip
    # A row without its line break may have lost digits of its last number; a quote closes one.
    whole = last[0].endswith(("\n", "\r")) or (
        last[0].endswith('"') and held is not None and len(held) == len(header)
    )
    if held and whole:
        put(held)
    elif held:
        table.notes.append(("TRUNCATED", "warning", "the last row has no line break, so its numbers"
                            " may be cut; it is left out", "end the file with a line break if it "
                            "is whole"))  # fmt: skip
    if bad:
        table.notes.append(("CORRUPT", "warning", f"{bad} rows have another number of fields than "
                            "the header; they are left out", _WHOLE_AGAIN))  # fmt: skip


def _wide(header: Sequence[str]) -> list[tuple[int, str, str]]:
    """Columns ``run - metric`` of a chart that was exported from W&B; the bands are left out."""
    named = [(i, *name.rpartition(" - ")[::2]) for i, name in enumerate(header) if " - " in name]
    if not named or len(named) < len(header) - 2:
        return []
    return [(i, run, metric) for i, run, metric in named if not metric.endswith(("__MIN", "__MAX"))]


def _take_wide(table: _Table, wide: list[tuple[int, str, str]], row: list[str]) -> None:
    step = as_number(row[0])
    if step is None or not math.isfinite(step):
        return
    for i, name, metric in wide:
        if row[i] and (number := as_number(row[i])) is not None:
            run = table._of(name)
            run.log(metric, step, number, table.wanted)
            run.steps_counted = table.step is None or table.step.casefold() in ("step", "_step")


def _json_lines(table: _Table, text: IO[str]) -> None:
    bad = whole = 0
    torn = False

    def rows() -> Iterator[Row]:
        nonlocal bad, torn, whole
        for line in _lines(text, [""]):
            if not line.strip():
                continue
            torn = False
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                bad, torn = bad + 1, True
                continue
            if isinstance(value, dict):
                whole += 1
                yield value
            else:
                bad += 1

    _rows(table, rows())
    if not whole:
        raise InputError("no line holds a JSON object")
    if torn:
        table.notes.append(("TRUNCATED", "warning", "the last line is cut short; it is left out",
                            _WHOLE_AGAIN))  # fmt: skip
        bad -= 1
    if bad:
        table.notes.append(("CORRUPT", "warning", f"{bad} lines are no JSON objects; they are left "
                            "out", _WHOLE_AGAIN))  # fmt: skip


def _rows(table: _Table, rows: Iterator[Row]) -> None:
    peeked = list(islice(rows, _PEEK))
    table.columns(list(dict.fromkeys(key for row in peeked for key in row)))
    if table.run == "name":  # in streams of events a name is that of the event
        table.run = None
    for row in chain(peeked, rows):
        table.take(row)


def _json(table: _Table, text: IO[str]) -> None:
    data = text.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise InputError(f"the JSON is larger than {MAX_JSON_BYTES:,} characters; write JSON lines")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the JSON cannot be read: {short(str(error), 120)}") from None
    if isinstance(value, dict):
        lists = {k: v for k, v in value.items() if isinstance(v, list)}
        if len({len(v) for v in lists.values()}) != 1:
            raise InputError("the JSON holds neither a list of rows nor columns of one length")
        rest = {k: v for k, v in value.items() if k not in lists}
        flatten(table.before, "", rest)
        value = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    _rows(table, (row for row in value if isinstance(row, dict)))


def _parquet(table: _Table, path: Path) -> None:
    from isoloss.runs.parquet import read_parquet
    from isoloss.runs.read import MAX_BYTES

    with path.open("rb") as file:
        source = read_parquet(file, path.name, Limits(50_000_000, MAX_BYTES))
        table.columns(source.header)
        for batch in source.batches:
            plain = [c.tolist() if hasattr(c, "tolist") else list(c) for c in batch.columns]
            for row in zip(*plain, strict=True):
                table.take(dict(zip(source.header, row, strict=True)))
