"""What an import gives: the table, where each row came from, and every finding."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.runs.logs.clean import stepped
from isoloss.runs.logs.names import RATES, TOKENS, keys, means
from isoloss.runs.logs.read import read_log
from isoloss.runs.logs.record import Finding, Log, LoggedRun
from isoloss.runs.logs.reduce import Reduction, Row
from isoloss.runs.logs.rules import Rules
from isoloss.runs.table import Runs

SCHEMA = 1
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SHOWN = 20
CURVE_COLUMNS = ("name", "step", "tokens", "loss", "lr")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ImportedRuns:
    """The table that was made of logs, and what lies behind it.

    Attributes
    ----------
    runs
        The table: N, D, loss and, where every run has them, C, lr, seed, ``loss_se`` and the
        columns that were asked for.
    rows
        For each run, in the order of the table: source, metric, how each value was found.
    findings
        Everything dropped or flagged, with reason and remedy.
    rules
        Every choice, in words.
    found
        Runs that were found.
    text_columns
        Tokenizer, evaluation set and tags, where they differ between runs.
    """

    runs: Runs
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    rules: dict[str, Any]
    found: int
    text_columns: dict[str, list[str]]
    sources: tuple[tuple[Log, dict[int, str]], ...]
    policy: Rules

    def __repr__(self) -> str:
        return f"ImportedRuns({len(self.runs)} of {self.found} runs; {len(self.findings)} findings)"

    @property
    def dropped(self) -> tuple[Finding, ...]:
        """Findings that cost a run, or a file, its place."""
        return tuple(f for f in self.findings if f.severity == "dropped")

    @property
    def in_doubt(self) -> bool:
        """Whether something was dropped, or is usable with doubt."""
        return any(f.severity != "info" for f in self.findings)

    def to_csv(self) -> str:
        """Return the table as CSV, every digit kept; `read_runs` reads it.

        A name that a spreadsheet would take for a formula gets an apostrophe in front.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = self.runs.columns
        writer.writerow(["name", *map(harmless, columns), *self.text_columns])
        for i, name in enumerate(self.runs.names):
            numbers = [plain_number(values[i]) for values in columns.values()]
            texts = [harmless(values[i]) for values in self.text_columns.values()]
            writer.writerow([harmless(name), *numbers, *texts])
        return out.getvalue()

    def curves(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Read the logs again and give the clean curve of each run, a log at a time.

        Yields text: name, step, tokens, loss in nats, learning rate; empty where not logged.
        """
        metrics = {row.name: row.metric for row in self.rows}
        for log, names in self.sources:
            for place, run in enumerate(read_log(log, lambda name: self._useful(name, metrics))):
                run.name = names.get(place, "")
                if metrics.get(run.name, "") in run.curves:  # a log may have changed since
                    yield from _curve(run, metrics[run.name], self.policy)

    def _useful(self, name: str, metrics: dict[str, str]) -> bool:
        from isoloss.runs.logs.names import of_use

        return of_use(name) or name in metrics.values() or name in self.policy.columns.values()

    def to_dict(self) -> dict[str, Any]:
        """Plain types: choices, table, the way to each row, findings."""
        return {
            "kind": "import",
            "schema": SCHEMA,
            "rules": self.rules,
            "n_found": self.found,
            "n_imported": len(self.runs),
            "n_dropped": len(self.dropped),
            "conventions": asdict(self.runs.conventions),
            "digest": self.runs.digest,
            "columns": {k: v.tolist() for k, v in self.runs.columns.items()},
            "text_columns": self.text_columns,
            "runs": [_row(row) for row in self.rows],
            "findings": [asdict(f) for f in self.findings],
            "notes": [asdict(note) for note in self.runs.notes],
        }

    def summary(self) -> str:
        """Text for people: choices, the table, everything dropped or flagged."""
        words = {k: v for k, v in self.rules.items() if v not in ("", [], {})}
        lines = [f"{len(self.runs)} of {self.found} runs imported (digest {self.runs.digest[:12]})"]
        lines += [f"  {key}: {value}" for key, value in words.items()]
        meanings = asdict(self.runs.conventions)
        lines.append("  " + "; ".join(f"{k}: {v}" for k, v in meanings.items() if v))
        lines += self._table()
        counts = Counter((f.severity, f.code) for f in self.findings)
        for severity in ("dropped", "warning", "info"):
            codes = [f"{code} {n}" for (s, code), n in sorted(counts.items()) if s == severity]
            if codes:
                lines.append(f"{severity}: {', '.join(codes)}")
        return "\n".join(lines)

    def _table(self) -> list[str]:
        columns = [c for c in ("N", "D", "C", "loss", "loss_se") if c in self.runs]
        head = ["name", *columns, "metric", "step"]
        cells = [
            [_cut(row.name), *(f"{self.runs[c][i]:.5g}" for c in columns), _cut(row.metric),
             f"{row.step:g}"]
            for i, row in enumerate(self.rows[:_SHOWN])
        ]  # fmt: skip
        widths = [max(len(r[k]) for r in [head, *cells]) for k in range(len(head))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip()
                 for r in [head, *cells]]  # fmt: skip
        if len(self.rows) > _SHOWN:
            lines.append(f"... and {len(self.rows) - _SHOWN} more")
        return lines


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Examples
    --------
    >>> harmless("=cmd()"), harmless("run-1")
    ("'=cmd()", 'run-1')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def plain_number(value: float) -> str:
    """Shortest text that gives the number back; whole numbers without a point."""
    value = float(value)
    if value == math.floor(value) and abs(value) < 2**53:
        return str(int(value))
    return repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _row(row: Row) -> dict[str, Any]:
    return asdict(row)


def _curve(run: LoggedRun, metric: str, rules: Rules) -> Iterator[tuple[str, str, str, str, str]]:
    curve, clock = Reduction(run, rules).curve(metric)
    others = []
    for named, known in (("D", TOKENS), ("lr", RATES)):
        name = rules.columns.get(named)
        found = [n for n in run.curves if n == name or (name is None and means(n, known))]
        found.sort(key=lambda n: (keys(n)[0] not in TOKENS | RATES, n))
        others.append(stepped(run, found[0], clock) if found else None)
    sampled: list[Array | None] = []
    for pair in others:
        if pair is None or not pair[0].size:
            sampled.append(None)
            continue
        order = np.argsort(pair[0], kind="stable")
        steps, values = pair[0][order], pair[1][order]
        sampled.append(np.interp(curve.steps, steps, values, left=math.nan, right=math.nan))
    name = harmless(run.name)
    for i in range(curve.steps.size):
        extra = [
            "" if v is None or not math.isfinite(v[i]) else plain_number(v[i]) for v in sampled
        ]
        yield (
            name,
            plain_number(curve.steps[i]),
            extra[0],
            plain_number(curve.values[i]),
            extra[1],
        )
