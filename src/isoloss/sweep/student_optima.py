"""From students to the best width at each compute, with intervals over teachers."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_seed, freeze
from isoloss.errors import InputError
from isoloss.runs import Runs
from isoloss.sweep.ledger import read_ledger
from isoloss.theory import information_optimum

COLUMNS = ("d", "K", "seed", "N", "D", "C", "loss", "lr")
_NEEDED = ("d", "K", "teacher", "n", "T", "lr", "samples", "loss")


def student_table(ledger: Path) -> str:
    """CSV of the students at their best learning rate, a row a teacher, by compute.

    The rate is the best for the mean over teachers at that d, K, n and T; with students that
    diverged it is out of the question. ``N`` is d n, ``D`` the samples seen, ``C`` is d n T with
    the T asked for; ``loss`` is the divergence from the
    teacher in nats.

    Raises
    ------
    InputError
        If a row is not of a student, or at some point the rates were not all tried on one set of
        teachers, as in a sweep that was interrupted.
    """
    cells: dict[tuple[int, int, int, int], dict[float, dict[int, Any]]] = {}
    for row in read_ledger(ledger):
        if missing := [c for c in _NEEDED if c not in row]:
            raise InputError(f"{ledger}: row {row['run']!r} has no {missing[0]}; not a student's")
        cell = cells.setdefault((row["d"], row["K"], row["n"], row["T"]), {})
        cell.setdefault(row["lr"], {})[row["teacher"]] = row
    rows = []
    for (d, K, n, T), rates in cells.items():
        if len({tuple(sorted(found)) for found in rates.values()}) > 1:
            raise InputError(
                f"{ledger}: at d={d}, K={K}, n={n}, T={T} some learning rates lack teachers; "
                "run the sweep to its end"
            )
        means = {lr: np.mean([r["loss"] for r in found.values()]) for lr, found in rates.items()}
        lr = min(means, key=lambda rate: (math.isnan(means[rate]), means[rate]))
        rows += [
            (d, K, seed, d * n, r["samples"], d * n * T, f"{r['loss']:.5g}", f"{lr:g}")
            for seed, r in rates[lr].items()
        ]
    rows.sort(key=lambda r: (r[0], r[1], r[5], r[3], r[2]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudentOptima:
    """Best width of trained students at each compute, (m,), over all pairs of d and K.

    Attributes
    ----------
    d, K, C
        Dimension, concentration, compute d n T.
    n_opt, T_opt, loss
        Vertex of a parabola in ln n through ln mean loss at the best width and its neighbours;
        nan where that has no minimum among the widths trained.
    n_low, n_high, T_low, T_high, loss_low, loss_high
        Ends of the intervals at ``level``: teachers are drawn again, the same ones at every
        compute. Resamples without a vertex are left out of them.
    found
        Share of the resamples that have a vertex.
    pairs
        The pairs of d and K, (k, 2).
    exponent_p, exponent_loss
        Slopes of ln p_opt and ln loss in ln C over all budgets of a pair, with the ends of their
        intervals, (k, 3): value, low, high.
    early_p, late_p
        The slope of ln p_opt over the lower and over the upper half of the budgets, (k, 3).
    teachers, level
        Teachers a pair, and level.
    """

    d: Array
    K: Array
    C: Array
    n_opt: Array
    n_low: Array
    n_high: Array
    T_opt: Array
    T_low: Array
    T_high: Array
    loss: Array
    loss_low: Array
    loss_high: Array
    found: Array
    pairs: Array
    exponent_p: Array
    exponent_loss: Array
    early_p: Array
    late_p: Array
    teachers: int
    level: float

    def __post_init__(self) -> None:
        for name in self.__slots__[:-2]:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return f"StudentOptima({self.C.size} budgets, {len(self.pairs)} pairs of d and K)"

    def local_exponents(self) -> Array:
        """Slope of ln p_opt between each budget and the next of its pair; nan at the last, (m,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.diff(np.log(self.n_opt)) / np.diff(np.log(self.C))
        same = (self.d[1:] == self.d[:-1]) & (self.K[1:] == self.K[:-1])
        return np.append(np.where(same, slopes, np.nan), np.nan)

    def to_columns(self) -> dict[str, Array]:
        """Table with one row a budget."""
        names = [n for n in self.__slots__ if n not in _WHOLE]
        return {n: getattr(self, n) for n in names}

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        plain = {n: getattr(self, n) for n in self.__slots__}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in plain.items()}


_WHOLE = ("pairs", "exponent_p", "exponent_loss", "early_p", "late_p", "teachers", "level")


def student_optima(
    runs: Runs, *, around: int = 3, draws: int = 1000, level: float = 0.9, rng: int = 0
) -> StudentOptima:
    """Find the best width at each compute of a table of `student_table`.

    Parameters
    ----------
    runs
        Columns d, K, seed, N, D, C, loss; at each d, K and C every width has the same seeds.
    around
        Widths that a parabola is drawn through, 3 or more: the best and its neighbours. The loss
        rises faster towards few neurons than towards many, so a wider parabola lies too far right.
    draws, level, rng
        Resamples of the teachers, level of the intervals, seed.

    Raises
    ------
    InputError
        If columns or students are missing, or a value breaks these rules.

    Examples
    --------
    >>> import numpy as np
    >>> n, seed = np.tile([4, 8, 16, 32, 64], 3), np.repeat([0, 1, 2], 5)
    >>> loss = 0.01 * np.exp(np.log(n / 16) ** 2 / 4) * (1 + seed / 10)
    >>> columns = {"d": 10 + 0 * n, "K": 5 + 0 * n, "seed": seed, "N": 10 * n, "loss": loss}
    >>> columns |= {"D": 16000 / n, "C": 160000.0 + 0 * n}
    >>> found = student_optima(Runs(columns=columns), draws=20)
    >>> found.n_opt.round(6), found.loss.round(6)
    (array([16.]), array([0.011]))
    """
    missing = [c for c in COLUMNS[:-1] if c not in runs]
    if missing:
        raise InputError(f"runs: no column {missing[0]}; give a table of trained students")
    if draws < 2 or around < 3:
        raise InputError(f"draws = {draws!r}, around = {around!r}: at least 2 draws and 3 widths")
    level, source = as_level(level), np.random.default_rng(as_seed(rng))
    rows, pairs, slopes = [], [], []
    for d, K in sorted(set(zip(runs["d"].tolist(), runs["K"].tolist(), strict=True))):
        budgets = list(_budgets(runs, d, K))
        teachers = len(budgets[0][2])
        if teachers < 2 or any(len(table) != teachers for _, _, table in budgets):
            raise InputError(f"runs: d={d:g}, K={K:g}: every budget needs the same teachers, 2 up")
        picks = np.vstack([np.arange(teachers), source.integers(teachers, size=(draws, teachers))])
        best = np.array([_vertices(n, table, picks, around) for _, n, table in budgets])
        C = np.array([budget for budget, _, _ in budgets])
        for budget, (n, loss) in zip(C, best, strict=True):
            rows.append((d, K, budget, *_summary(n, loss, budget / d, level)))
        pairs.append((d, K))
        half = (C.size + 1) // 2
        n, loss = best[:, 0], best[:, 1]
        parts = ((C, n), (C, loss), (C[:half], n[:half]), (C[-half:], n[-half:]))
        slopes.append([_slope(budget, values, level) for budget, values in parts])
    columns = np.array(rows).T
    of = np.moveaxis(np.array(slopes), 1, 0)
    return StudentOptima(
        **dict(zip(StudentOptima.__slots__, columns, strict=False)),
        pairs=np.array(pairs), exponent_p=of[0], exponent_loss=of[1], early_p=of[2], late_p=of[3],
        teachers=teachers, level=level,
    )  # fmt: skip


def _budgets(runs: Runs, d: float, K: float) -> Iterator[tuple[float, Array, Array]]:
    """Each compute of a pair: its widths and losses, (teachers, widths)."""
    mine = (runs["d"] == d) & (runs["K"] == K)
    for C in np.unique(runs["C"][mine]):
        here = mine & (runs["C"] == C)
        n, seeds = np.unique(runs["N"][here] / d), np.unique(runs["seed"][here])
        if n.size < 3 or here.sum() != n.size * seeds.size:
            raise InputError(
                f"runs: d={d:g}, K={K:g}, C={C:g}: needs three widths or more, each with the same "
                "seeds once"
            )
        order = np.lexsort((runs["N"][here], runs["seed"][here]))
        yield float(C), n, runs["loss"][here][order].reshape(seeds.size, n.size)


def _vertices(n: Array, losses: Array, picks: Any, around: int) -> tuple[Array, Array]:
    """Vertex and least loss for each pick of teachers, the first that of all; nan without one."""
    mean = np.log(losses[picks].mean(axis=1))
    x = np.log(n)
    size = min(around, n.size)
    first = np.clip(np.argmin(mean, axis=1) - size // 2, 0, n.size - size)
    index = first[:, None] + np.arange(size)
    at, y = x[index], np.take_along_axis(mean, index, axis=1)
    centre = at.mean(axis=1, keepdims=True)
    # Least squares on 1, t, t^2 of centred places; every row has its own.
    t = at - centre
    design = np.stack([np.ones_like(t), t, t * t], axis=2)
    c, b, a = np.moveaxis(np.linalg.pinv(design) @ y[..., None], 1, 0)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        place = -b / (2 * a)
        bottom = c + b * place / 2
    place = place + centre[:, 0]
    good = (a > 0) & (place >= x[0]) & (place <= x[-1])
    return np.where(good, np.exp(place), np.nan), np.where(good, np.exp(bottom), np.nan)


def _summary(n: Array, loss: Array, product: float, level: float) -> tuple[float, ...]:
    """Values with intervals, in the order of the attributes; ``product`` is n T."""
    n_low, n_high = _ends(n[1:], level)
    low, high = _ends(loss[1:], level)
    found = float(np.isfinite(n[1:]).mean())
    return (
        n[0], n_low, n_high, product / n[0], product / n_high, product / n_low, loss[0], low, high,
        found,
    )  # fmt: skip


def _slope(C: Array, values: Array, level: float) -> tuple[float, float, float]:
    """Slope of ln values, (budgets, 1 + draws), in ln C by least squares, with its interval."""
    x = np.log(C) - np.log(C).mean()
    if x.size < 2:
        return math.nan, math.nan, math.nan
    slopes = x @ np.log(values) / (x @ x)
    return float(slopes[0]), *_ends(slopes[1:], level)


def _ends(draws: Array, level: float) -> tuple[float, float]:
    kept = draws[np.isfinite(draws)]
    if kept.size < 2:
        return math.nan, math.nan
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def optima_text(found: StudentOptima) -> str:
    """Table for people, a row a budget, beside the information-theoretic bound's best n.

    ``bound/loss`` is how many times the least loss the least bound is.
    """
    heads = (
        "d", "K", "C", "n_opt", "interval", "T_opt", "loss", "interval", "slope of p",
        "bound's n", "its slope", "bound/loss",
    )  # fmt: skip
    bound = information_optimum(found.C, d=found.d, K=found.K)
    rows = [heads]
    local = found.local_exponents()
    for i in range(found.C.size):
        rows.append(
            (
                f"{found.d[i]:g}", f"{found.K[i]:g}", f"{found.C[i]:.4g}",
                f"{found.n_opt[i]:.3g}", f"{found.n_low[i]:.3g} to {found.n_high[i]:.3g}",
                f"{found.T_opt[i]:.3g}", f"{found.loss[i]:.3g}",
                f"{found.loss_low[i]:.3g} to {found.loss_high[i]:.3g}",
                "" if np.isnan(local[i]) else f"{local[i]:.2f}",
                f"{bound.n_opt[i]:.3g}", f"{bound.exponent_p[i]:.2f}",
                f"{bound.loss[i] / found.loss[i]:.3g}",
            )
        )  # fmt: skip
    widths = [max(len(r[j]) for r in rows) for j in range(len(heads))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) for r in rows)
