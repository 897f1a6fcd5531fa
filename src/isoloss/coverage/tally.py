"""From repeats to coverage: counts, binomial intervals, widths and errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from isoloss._core.arrays import as_level
from isoloss.coverage.cells import Cell
from isoloss.coverage.designs import Target
from isoloss.coverage.procedures import PROCEDURES, QUANTITIES, Repeat
from isoloss.errors import InputError

BINOMIAL_LEVEL = 0.95
"""Level of the interval of a coverage."""
_ROW = ("target", "procedure", "quantity")


def wilson(hits: int, n: int, *, level: float = BINOMIAL_LEVEL) -> tuple[float, float]:
    r"""Interval of a share, from hits among n independent trials.

    The shares p for which :math:`|\hat p - p| \le z \sqrt{p (1 - p) / n}`. Unlike the textbook
    interval it never leaves [0, 1] and has a width at no or all hits.

    Raises
    ------
    InputError
        When there are no trials, or more hits than trials.

    References
    ----------
    Wilson 1927, J. Am. Stat. Assoc. 22, 209-212.

    Examples
    --------
    >>> low, high = wilson(18, 20)
    >>> round(low, 3), round(high, 3)
    (0.699, 0.972)
    """
    if n < 1 or not 0 <= hits <= n:
        raise InputError(f"hits = {hits}, n = {n}: there must be a trial, and no more hits than n")
    z = NormalDist().inv_cdf(0.5 + as_level(level) / 2)
    share = hits / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    total = 1 + z * z / n
    # At no or all hits the end is exactly 0 or 1, and rounding would miss it.
    low = 0.0 if hits == 0 else (middle - half) / total
    high = 1.0 if hits == n else (middle + half) / total
    return low, high


def share_of(hits: int, n: int) -> dict[str, Any]:
    """Coverage with its binomial interval; ``null`` where there was no answer at all."""
    if not n:
        return {"covered": hits, "answered": n, "coverage": None, "low": None, "high": None}
    low, high = (rounded(v) for v in wilson(hits, n))
    return {
        "covered": hits,
        "answered": n,
        "coverage": rounded(hits / n),
        "low": low,
        "high": high,
    }


def rounded(value: float) -> float:
    """Round to six digits: enough for any reader, and a result of a thousand cells stays small."""
    return float(f"{value:.6g}")


def scores(cell: Cell, repeats: Sequence[Repeat]) -> list[dict[str, Any]]:
    """Score a cell: one entry a target, procedure and quantity.

    ``hits`` has one letter a repeat: 1 held the truth, 0 did not, x no answer. Widths and errors
    are of logarithms; ``ratio`` is the median over repeats of the width over the oracle's.
    """
    rows = []
    for t, target in enumerate(cell.targets):
        for p, procedure in enumerate(PROCEDURES):
            for q, quantity in enumerate(QUANTITIES):
                if quantity == "N_opt" and target.N_opt is None:
                    continue
                row = {"target": target.name, "procedure": procedure, "quantity": quantity}
                rows.append(row | _score(target, repeats, (t, p, q)))
    return rows


def _score(
    target: Target, repeats: Sequence[Repeat], place: tuple[int, int, int]
) -> dict[str, Any]:
    t, _, q = place
    quantity = QUANTITIES[q]
    hits, widths, ratios, errors = "", [], [], []
    for repeat in repeats:
        low, high, point = repeat.values[place]
        if math.isnan(low) or math.isnan(high):
            hits += "x"
            continue
        centre = target.N_opt if quantity == "N_opt" else target.loss
        assert centre is not None
        # A fresh run for the interval of one; the law itself for the others.
        goal = repeat.fresh[t] if quantity == "new_run" else centre
        hits += "1" if low <= goal <= high else "0"
        widths.append(_width(low, high))
        ratios.append(
            _over(widths[-1], _width(*repeat.values[t, PROCEDURES.index("oracle"), q, :2]))
        )
        errors.append(abs(math.log(point / centre)) if point > 0 else math.inf)
    return share_of(hits.count("1"), len(hits) - hits.count("x")) | {
        "hits": hits,
        "width": median(widths),
        "ratio": median(ratios),
        "error": median(errors),
    }


def _width(low: float, high: float) -> float:
    """Log of high over low; infinite where the interval reaches zero or infinity."""
    return math.log(high) - math.log(low) if low > 0 and math.isfinite(high) else math.inf


def _over(width: float, oracle: float) -> float:
    if math.isnan(oracle) or not oracle > 0 or math.isinf(oracle):
        return math.nan
    return width / oracle


def median(values: Iterable[float | None]) -> float | None:
    """Middle of the values that exist; ``None`` where none does or it is infinite."""
    known = [v for v in values if v is not None and not math.isnan(v)]
    if not known:
        return None
    # The lower one of two in the middle: averaging a finite and an infinite width says nothing.
    middle = float(np.quantile(known, 0.5, method="lower"))
    return rounded(middle) if math.isfinite(middle) else None


def summarise(cells: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Pool cells: inside and outside the set, by target, procedure and quantity.

    Cells have independent tables, so that a pooled coverage is binomial too; its widths are
    medians over cells. ``worst`` is the cell with the smallest coverage.
    """
    groups: dict[tuple[Any, ...], list[tuple[str, Mapping[str, Any]]]] = {}
    for cell in cells:
        for row in cell["scores"]:
            key = (cell["family"], cell["inside"], *(row[k] for k in _ROW))
            groups.setdefault(key, []).append((cell["cell"], row))
    names = ("family", "inside", *_ROW)
    lines = []
    for key in sorted(groups, key=_order):
        group = groups[key]
        answered = [(name, row) for name, row in group if row["answered"]]
        worst = min(answered, key=lambda item: item[1]["coverage"], default=None)
        pooled = share_of(
            sum(row["covered"] for _, row in group), sum(row["answered"] for _, row in group)
        )
        lines.append(
            dict(zip(names, key, strict=True))
            | {"cells": len(group)}
            | pooled
            | {
                "width": median(_known(row, "width") for _, row in answered),
                "ratio": median(row["ratio"] for _, row in answered),
                "error": median(_known(row, "error") for _, row in answered),
            }
            | {"worst": worst and {"cell": worst[0], "coverage": worst[1]["coverage"]}}
        )
    return lines


def _known(row: Mapping[str, Any], name: str) -> float:
    """Read a cell's median: where there were answers and it is missing, it was infinite."""
    return math.inf if row[name] is None else float(row[name])


def _order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    family, inside, target, procedure, quantity = key
    places = PROCEDURES.index(procedure), QUANTITIES.index(quantity)
    return (family != "joint", not inside, target, *places)
