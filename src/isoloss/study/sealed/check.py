"""Check a sealed forecast: its hash, its clock, and whether the runs give it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.version import package_version
from isoloss.runs import Runs, read_runs
from isoloss.study.sealed.file import SealedForecast, read_sealed
from isoloss.study.sealed.layout import parse_time
from isoloss.study.sealed.make import libraries, seal

SAME = 1e-3
"""Quantiles that differ by less than this part of their interval's width are the same answer."""
_PATIENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealCheck:
    """What a check of a sealed forecast found.

    Attributes
    ----------
    sha256
        Hash of the content, recomputed.
    time_utc
        When it was sealed, as the sealing machine's clock had it.
    same_runs
        Whether the runs given have the digest that was sealed; ``None`` if none were given.
    shift
        Largest difference of any quantile, as part of the width of its interval, when the
        forecast is derived again; ``None`` if it was not.
    notes
        What to know before believing it.
    """

    sha256: str
    time_utc: str
    same_runs: bool | None
    shift: float | None
    notes: tuple[str, ...]

    @property
    def same(self) -> bool | None:
        """Whether the runs give the same forecast; ``None`` if it was not derived again."""
        return None if self.shift is None else bool(self.same_runs and self.shift <= SAME)

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss seal --check --json``."""
        return {
            "sha256": self.sha256,
            "time_utc": self.time_utc,
            "same_runs": self.same_runs,
            "same": self.same,
            "shift": self.shift,
            "notes": list(self.notes),
        }

    def summary(self) -> str:
        """Lines for people."""
        lines = [f"unchanged since it was sealed: sha256 {self.sha256}"]
        if self.same_runs is not None:
            word = "are those" if self.same_runs else "are NOT those"
            lines.append(f"the runs given {word} that it was made from")
        if self.shift == 0:
            lines.append("derived again: the same to the last bit")
        elif self.shift is not None:
            word = "the same" if self.same else "NOT the same"
            lines.append(
                f"derived again: {word}; a quantile moves by {100 * self.shift:.2g} % of the "
                "width of its interval at most"
            )
        return "\n".join([*lines, *(f"note: {n}" for n in self.notes)])


def check_sealed(
    source: str | Path | SealedForecast,
    runs: Any = None,
    *,
    now: datetime | None = None,
    on_step: Callable[[str], None] | None = None,
) -> SealCheck:
    """Check the hash and, given the runs, derive the forecast again with the sealed options.

    Parameters
    ----------
    source
        The file, or what `read_sealed` returned.
    runs
        `Runs`, read as they were when it was sealed, or anything `read_runs` takes: a raw table
        is read with the sealed mapping of columns, units and rows.

    Raises
    ------
    InputError
        When the file is none, or was changed.

    Examples
    --------
    >>> D = np.geomspace(1e7, 1e10, 9)
    >>> table = {"D": D, "loss": 1.5 + 400 * D**-0.3}
    >>> found = check_sealed(seal(table, {"D": 1e11}, draws=100), table)
    >>> found.same_runs, found.shift
    (True, 0.0)
    """
    found = read_sealed(source)
    a = found.answers
    notes = list(clock_notes(a, now))
    if a["runs"].get("holding_targets"):
        notes.append("some targets were among the runs: for these it is no forecast")
    same_runs, shift = None, None
    if runs is not None:
        table = _table(runs, a["options"])
        same_runs = table.digest == a["runs"]["digest"]
        if same_runs:
            again = _again(table, a, on_step)
            shift = _shift(a["points"], again.answers["points"])
        else:
            notes.append(
                f"digest of the runs given: {table.digest[:12]}, {len(table)} runs; sealed: "
                f"{a['runs']['digest'][:12]}, {a['runs']['n_runs']} runs"
            )
        if a["made"]["isoloss"] != package_version() or a["made"]["libraries"] != libraries():
            notes.append(
                "it was made with other versions than those here, which may move the digits"
            )
    return SealCheck(
        sha256=found.sha256,
        time_utc=a["made"]["time_utc"],
        same_runs=same_runs,
        shift=shift,
        notes=tuple(notes),
    )


def clock_notes(answers: Mapping[str, Any], now: datetime | None = None) -> list[str]:
    """Say so where the time stamp lies in the future: one of the two clocks is wrong."""
    stamp = parse_time(answers["made"]["time_utc"])
    if stamp > (now or datetime.now(UTC)) + _PATIENCE:
        return [
            f"the time stamp {answers['made']['time_utc']} lies in the future: the clock here or "
            "there is wrong"
        ]
    return []


def _table(runs: Any, options: Mapping[str, Any]) -> Runs:
    if isinstance(runs, Runs):
        return runs
    return read_runs(
        runs,
        columns=options["columns"] or None,
        units=options["units"] or None,
        where=options["where"] or None,
    )


def _again(
    table: Runs, answers: Mapping[str, Any], on_step: Callable[[str], None] | None
) -> SealedForecast:
    options = dict(answers["options"])
    emphasis = options["emphasis"]
    return seal(
        table,
        [p["at"] for p in answers["points"]],
        laws=options["laws"],
        objective=options["objective"],
        emphasis=emphasis if isinstance(emphasis, (int, float)) else str(emphasis),
        outliers=options["outliers"],
        draws=int(options["draws"]),
        level=float(options["level"]),
        rng=int(options["seed"]),
        axis=options["axis"],
        conventions={} if table.conventions is None else asdict(table.conventions),
        on_step=on_step,
    )


def _shift(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> float:
    worst = 0.0
    for old, new in zip(before, after, strict=True):
        width = np.log(old["interval"]["high"] / old["interval"]["low"])
        same_grid = np.array_equal(old["quantiles"]["probability"], new["quantiles"]["probability"])
        if not same_grid:
            return float("inf")
        for name in ("new_run", "mean"):
            moved = np.log(np.array(new["quantiles"][name]) / np.array(old["quantiles"][name]))
            largest = float(np.abs(moved).max())
            worst = max(worst, largest / float(width) if width > 0 else largest)
        worst = max(worst, abs(np.log(new["loss"] / old["loss"])) / max(float(width), 1e-12))
    return float(worst)
