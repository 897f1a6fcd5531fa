"""Which assumption moves the forecast: laws, objectives, weights, runs and scales left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import IsolossError
from isoloss.fit import LawSet, fit_laws
from isoloss.fit.backtest import run_scale
from isoloss.fit.leave_out import forecast_of, measure
from isoloss.runs import Runs
from isoloss.study.influence import scales_at

MOST_RUNS = 3000
SMALLEST = (("quarter", 0.25), ("half", 0.5))
LEAST_WEIGHT = 0.02
"""Laws below it were as good as rejected: what they say alone moves nothing."""
MOST_VALUES = 8
"""A column of settings with at most so many values is left out value by value."""

Losses = Sequence[float | None]


def sensitivity_rows(
    table: Runs,
    laws: LawSet,
    points: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    r"""Forecast again under other assumptions, one changed at a time.

    Each row has the loss at every point and the move
    :math:`\ln(L'/L) / \ln(\text{high}/\text{low})` as percent of the width of the interval.
    Whatever leaves runs out holds the weights of the laws.

    Parameters
    ----------
    points
        Those of a sealed forecast.
    options
        What the laws were fitted with.

    Returns
    -------
    list of dict
        ``assumption``, ``kind`` (``law``, ``weights``, ``objective``, ``runs``, ``scale``,
        ``column``), ``loss``, ``percent_of_interval``, ``reason``; the largest movers first,
        those that were not possible last.
    """
    say("forecasting under other assumptions")
    rows = _laws_alone(points)
    rows += _other_fits(table, laws, points, options)
    if len(table) <= MOST_RUNS:
        rows += _scales(table, laws, points)
        rows += _without(table, laws, points)
    found = [_row(points, *row) for row in rows]
    return sorted(found, key=_largest, reverse=True)


def _row(
    points: Sequence[Mapping[str, Any]], kind: str, assumption: str, losses: Losses, reason: str
) -> dict[str, Any]:
    shares: list[float | None] = []
    for p, loss in zip(points, losses, strict=True):
        width = float(np.log(p["interval"]["high"] / p["interval"]["low"]))
        usable = loss is not None and np.isfinite(loss) and loss > 0 and width > 0
        shares.append(100 * float(np.log(loss / p["loss"])) / width if usable and loss else None)
    return {
        "assumption": assumption,
        "kind": kind,
        "loss": list(losses),
        "percent_of_interval": shares,
        "reason": reason or None,
    }


def _largest(row: Mapping[str, Any]) -> float:
    moves = [abs(v) for v in row["percent_of_interval"] if v is not None]
    return max(moves, default=-1.0)


_Found = tuple[str, str, Losses, str]


def _laws_alone(points: Sequence[Mapping[str, Any]]) -> list[_Found]:
    """Each law as if it were right; what it says stands in the forecast already."""
    return [
        ("law", f"{entry['law']} alone (weight {entry['weight']:.2f})",
         [p["laws"][i]["loss"] for p in points], "")
        for i, entry in enumerate(points[0]["laws"])
        if LEAST_WEIGHT <= entry["weight"] < 1
    ]  # fmt: skip


def _other_fits(
    table: Runs,
    laws: LawSet,
    points: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> list[_Found]:
    """Other objectives and weights of the runs; everything else is chosen anew."""
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("objective", f"objective {name}", {"objective": name})
        for name in ("huber:0.001", "lsq", "lad")
        if name != laws.objective.name
    ]
    changes += [
        ("weights", f"runs weighted by scale to the power {p:g}" if p else "runs weighted equally",
         {"emphasis": p})
        for p in (0.0, 1.0)
    ]  # fmt: skip
    if laws.left_out.any():
        changes.append(("runs", "with the runs that no law explains", {"outliers": "keep"}))
    given = {k: v for k, v in options.items() if k not in ("laws", "seed")}
    out: list[_Found] = []
    for kind, title, change in changes:
        try:
            other = fit_laws(
                table, options["laws"], rng=options["seed"], **given | change | {"draws": 0}
            )
        except IsolossError as error:
            out.append((kind, title, [None] * len(points), str(error)))
            continue
        out.append((kind, title, [_moved(p, laws, other) for p in points], ""))
    return out


def _moved(point: Mapping[str, Any], before: LawSet, after: LawSet) -> float:
    """Move the forecast, a median of draws, by as much as the laws' own predictions move."""
    x = {a: np.array([v]) for a, v in point["at"].items()}
    return float(point["loss"] * after.predict(x)[0] / before.predict(x)[0])


def _scales(table: Runs, laws: LawSet, points: Sequence[Mapping[str, Any]]) -> list[_Found]:
    found = scales_at(laws, table, [(p["at"], p["loss"]) for p in points])
    if found is None:
        return []
    names = ["forecast"] if len(points) == 1 else [f"forecast_{i + 1}" for i in range(len(points))]
    return [
        ("scale", f"without {level.name} ({level.n_runs} runs)",
         [_shown(found.without[n][k]) for n in names], found.reasons[k])
        for k, level in enumerate(found.levels)
    ]  # fmt: skip


def _without(table: Runs, laws: LawSet, points: Sequence[Mapping[str, Any]]) -> list[_Found]:
    """Without the smallest runs, and without each value of a column of settings."""
    scale = run_scale(table, laws.axes)
    masks: list[tuple[str, str, npt.NDArray[np.bool_]]] = []
    for name, share in SMALLEST:
        # A threshold on scale, so that runs of equal scale stay together.
        gone = scale < np.sort(scale)[int(share * len(table))]
        masks.append(("runs", f"without the smallest {name} ({int(gone.sum())} runs)", gone))
    settings = [
        c for c in table.columns if c not in (*laws.axes, "N", "D", "C", "U", "loss", "seed")
    ]
    for name in settings:
        values = np.unique(table[name])
        if 2 <= len(values) <= MOST_VALUES:
            masks += [("column", f"without {name} = {v:g}", table[name] == v) for v in values]
    masks = [m for m in masks if 0 < m[2].sum() < len(table)]
    if not masks:
        return []
    quantities = {
        str(i): forecast_of(laws, p["at"], "the forecast", loss=p["loss"])
        for i, p in enumerate(points)
    }
    found = measure(laws, table, quantities, np.array([m[2] for m in masks]))
    return [
        (kind, title, [_shown(found.without[q][k]) for q in quantities], found.reasons[k])
        for k, (kind, title, _) in enumerate(masks)
    ]


def _shown(log_loss: Array | float) -> float | None:
    value = float(log_loss)
    return float(np.exp(value)) if np.isfinite(value) else None


def sensitivity_lines(rows: Sequence[Mapping[str, Any]], most: int = 5) -> list[str]:
    """Write the largest movers for people."""
    lines = ["what moves the forecast most, in percent of the width of its interval:"]
    for row in rows[:most]:
        moves = [v for v in row["percent_of_interval"] if v is not None]
        if moves:
            lines.append(f"  {max(moves, key=abs):+6.1f} %  {row['assumption']}")
    failed = sum(bool(r["reason"]) for r in rows)
    if failed:
        lines.append(f"  {failed} of {len(rows)} changes were not possible; the file says why")
    return lines
