"""Logs of training to curves: steps, losses and learning rates, of finished runs and others."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError, MissingExtra
from isoloss.runs.curve import Curve
from isoloss.runs.logs import names as known
from isoloss.runs.logs.clean import Clean, clean_curve, rate_curve, stepped, updates_of
from isoloss.runs.logs.find import find_logs
from isoloss.runs.logs.names import Ambiguous, choose_metric, unit_in_name
from isoloss.runs.logs.read import read_log
from isoloss.runs.logs.record import LoggedRun
from isoloss.runs.logs.resources import Lookup
from isoloss.runs.logs.rules import Rules, make_rules
from isoloss.runs.rows import clean, short

MOST_POINTS = 4000
"""Points that are kept of a curve."""
_LARGEST = 1e100
"""Losses beyond are no losses, and their squares overflow."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoggedCurve:
    """A curve as it was logged, thinned to some thousand points.

    Attributes
    ----------
    curve
        Finite losses in nats, with rates where they were logged.
    metric, source
        What was taken, and where it was read.
    planned
        Steps that the settings announce, or None.
    missing
        Logs that were no finite number.
    ends_missing
        Whether the last one was such.
    notes
        What the reader saw, such as a log that is cut short.
    """

    curve: Curve
    metric: str
    source: str
    planned: int | None
    missing: int
    ends_missing: bool
    notes: tuple[str, ...]


def read_curves(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    metric: str = "auto",
    loss_unit: str | None = None,
    columns: Mapping[str, str] | None = None,
    on_step: Callable[[str], None] | None = None,
) -> list[LoggedCurve]:
    r"""Read the curves of all runs under some files and folders, whatever logged them.

    Runs need not be finished, and a last record that is cut short costs only itself. One run is in
    memory at a time, at 16 bytes a point of loss, rate and count of updates.

    Parameters
    ----------
    paths
        Files and folders, of any kind that `import_logs` reads.
    metric
        ``"eval"``, ``"train"``, a name, or a pattern with ``*``; ``"auto"`` takes the held-out loss
        where it was logged eight times or more, else the training loss.
    loss_unit
        As for `import_logs`.
    columns
        ``step`` and ``lr``: names of the metrics that count updates and hold the rate.
    on_step
        Called with the name of each log.

    Raises
    ------
    InputError
        No log, a log without a loss, or several losses that could be meant.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("step,lr,loss\n1,0.1,3\n2,0.1,2.5\n3,0.05,2\n")
    ...     found = read_curves(folder)
    >>> found[0].curve, found[0].metric
    (Curve('a', 3 logs, steps 1 to 3), 'loss')
    """
    rules = make_rules(
        metric="eval" if metric == "auto" else metric, loss_unit=loss_unit, final="auto",
        warmup=0.0, anneal=0.1, columns=columns, units=None, pattern=None, keep=(), drop=(),
    )  # fmt: skip
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not listed:
        raise InputError("paths: name a file or a folder that holds logs")
    found: list[LoggedCurve] = []
    empty: list[str] = []
    for log in find_logs(listed).logs:
        if on_step is not None:
            on_step(f"reading {log.label}")
        try:
            before = len(found)
            for run in read_log(log, lambda name: _wanted(name, rules)):
                found.append(_curve(run, rules, metric))
            if len(found) == before:
                empty.append(log.label)
        except MissingExtra:
            raise
        except InputError as error:
            raise InputError(f"{log.label}: {error}") from None
    if not found:
        raise InputError(f"{short(empty[0], 200)}: no run in it")
    # A log that holds its header alone is that of a run that has just begun.
    notes = tuple(f"EMPTY: {short(label, 200)} holds no run, and is left out" for label in empty)
    found[0] = replace(found[0], notes=(*notes, *found[0].notes))
    return _own_names(found)


def _wanted(name: str, rules: Rules) -> bool:
    if name == rules.metric or name in rules.columns.values():
        return True
    of_use = known.is_loss(name) or known.unit_in_name(name) is not None
    clock = known.means(name, known.UPDATES | known.RATES) or "lr" in known.words(name)
    if of_use or clock:
        return True
    return rules.metric not in ("eval", "train") and bool(choose_metric([name], rules.metric)[0])


def _curve(run: LoggedRun, rules: Rules, asked: str) -> LoggedCurve:
    name = clean(run.name) or "unnamed"
    metric = _metric(run, asked, name)
    if (unit := unit_in_name(metric)) and not rules.unit_given:
        raise InputError(
            f"{short(metric)} of {short(name)} is named as {unit}; say so with --loss-unit {unit}, "
            "or --loss-unit nats if it is not"
        )
    fatal = [reason for _, severity, reason, _ in run.notes if severity == "dropped"]
    if fatal:
        raise InputError(f"{short(name)}: {fatal[0]}")
    clock = updates_of(run, rules.columns.get("step"))
    found = clean_curve(*stepped(run, metric, clock), rules.unit)
    good = (found.values > 0) & (found.values < _LARGEST) & (found.steps >= 0)
    steps, values = found.steps[good], found.values[good]
    if not steps.size:
        raise InputError(f"{short(name)}: {short(metric)} has no finite log above zero")
    named = rules.columns.get("lr")
    if named is not None and named not in run.curves:
        raise InputError(f"{short(name)}: lr = {short(named)}: no metric of this name is logged")
    rate = rate_curve(run, clock, named)
    lr = _rates_at(rate, steps)
    curve = Curve(steps, values, lr, name=name).thinned(MOST_POINTS)
    planned = Lookup(run, clock, float(steps[-1]), rules.columns, {}).planned()
    return LoggedCurve(
        curve=curve,
        metric=metric,
        source=run.source,
        planned=_whole(planned),
        missing=found.missing + int((~good).sum()),
        ends_missing=found.ends_missing or not good[-1],
        notes=(
            *(f"{code}: {reason}" for code, _, reason, _ in run.notes),
            *_seen(found, int((~good).sum()), run.config.get(metric)),
        ),
    )


def _metric(run: LoggedRun, asked: str, name: str) -> str:
    tried = ("eval", "train") if asked == "auto" else (asked,)
    names = run.counts
    if asked == "auto":
        names = {n: k for n, k in run.counts.items() if k >= 8 or len(run.counts) == 1}
        names = names or run.counts
    for kind in tried:
        try:
            metric, _ = choose_metric(names, kind)
        except Ambiguous as error:
            shown = ", ".join(map(short, error.names[:8]))
            raise InputError(
                f"{short(name)} logs several metrics that could be meant: {shown}; choose one with "
                "--metric"
            ) from None
        if metric is not None and metric in run.curves:
            return metric
    shown = ", ".join(map(short, list(run.counts)[:8])) or "nothing"
    raise InputError(f"{short(name)}: no loss among what it logs ({shown}); --metric NAME")


def _rates_at(rate: tuple[Array, Array] | None, steps: Array) -> Array | None:
    if rate is None:
        return None
    found = np.interp(steps, *rate)
    return np.asarray(found) if found.min() >= 0 and found.max() > 0 else None


def _seen(found: Clean, odd: int, text: object) -> list[str]:
    """Say what was left out; ``text`` is what a log held in place of a number."""
    notes = []
    if isinstance(text, str):
        notes.append(f"TEXT: logs of the loss hold text, such as {short(text)}; they are left out")
    if odd:
        notes.append(f"NOT_POSITIVE: {odd} logs are not above zero, or beyond all losses")
    if found.restarts:
        notes.append(f"RESTARTED: steps went back {found.restarts} times; later logs stay")
    if found.missing:
        notes.append(f"MISSING: {found.missing} logs are no finite number")
    return notes


def _whole(planned: float | None) -> int | None:
    if planned is None or not math.isfinite(planned) or planned < 2:
        return None
    return int(planned)


def _own_names(found: list[LoggedCurve]) -> list[LoggedCurve]:
    """Give curves of one name numbers."""
    seen: dict[str, int] = {}
    rows = []
    for one in found:
        count = seen[one.curve.name] = seen.get(one.curve.name, 0) + 1
        if count > 1:
            c = one.curve
            one = replace(one, curve=Curve(c.step, c.loss, c.lr, name=f"{c.name} ({count})"))
        rows.append(one)
    return rows
