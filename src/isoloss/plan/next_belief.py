r"""What is known of a law's parameters, and of what follows from them, to first order.

A law is taken in units in which the runs are of order one, with coordinates z: relative changes of
its parameters. Beside them stand the bends by which every law may be wrong,

.. math:: n \to n + g_N n^2, \qquad d \to d + g_D d^2, \qquad d \to d + g_R (d - n)^2

with :math:`n = \log N, d = \log D` around the middle of the runs (see `isoloss.fit.drift`; the last
is that of over- and under-training). Fits know nothing of bends: they are led astray by them.
Everything of interest is linear in both: log losses of runs, the log loss of the target, log N_opt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.drift import CHANCE, RATE
from isoloss.fit.result import Fit
from isoloss.laws.calculus import derivative, gradient
from isoloss.laws.expression import Node, axis, mul, parameter
from isoloss.laws.tape import evaluate
from isoloss.plan.cost import Cost
from isoloss.plan.next_goal import SIZE, Goal
from isoloss.plan.optimum import INTERIOR, solve
from isoloss.plan.problem import make_problem
from isoloss.runs import Runs

WIDE, NEAR = 10.0, 1.0
"""Standard deviations, before any run, of the relative change of amplitudes and of exponents."""
SMALL = 0.05
"""Parameters below this, in units of order one, change by amounts of this size."""
_SIDES = ("N", "D")
_RATIO = "D/N"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A fitted law in units of the runs.

    Attributes
    ----------
    fit
        The law and its parameters.
    scales
        Size of one unit of each axis, and of the loss ``L``.
    root
        Formula in these units.
    theta, size
        Parameters in these units, and what one unit of a coordinate changes them by, (p,).
    middle
        Mean logarithm of the runs' N and D in these units: where bends have no effect.
    prior
        Standard deviation of each coordinate before any run, (p,).
    bend
        Standard deviation of each bend, (q,).
    """

    fit: Fit
    scales: Mapping[str, float]
    root: Node
    theta: Array
    size: Array
    middle: Mapping[str, float]
    prior: Array
    bend: Array

    @property
    def sides(self) -> tuple[str, ...]:
        """Axes that bend; D a second time, with D/N, where there are both."""
        found = tuple(self.middle)
        return (*found, _RATIO) if len(found) == 2 else found

    def leaves(self, x: Mapping[str, Any]) -> dict[str, Any]:
        """Give the formula its axes and parameters, in units of the runs."""
        values: dict[str, Any] = dict(zip(self.fit.law.names, self.theta, strict=True))
        return values | {
            a: np.asarray(x[a], dtype=np.float64) / self.scales[a] for a in self.fit.law.axes
        }


def frame(fitted: Fit, runs: Runs, *, rate: float = RATE) -> Frame:
    """Take a law in the units of the runs; a rate of 0 knows no bends."""
    law = fitted.law
    scales = law.scales({a: runs[a] for a in law.axes}, runs["loss"])
    inverse = {a: 1 / s for a, s in scales.items()}
    theta = law.rescale(fitted.theta, inverse)
    # A law without units for its parameters has them in units of its own.
    wide = [bool(p.unit) or not law.scaled_axes for p in law.parameters]
    least = SMALL if law.scaled_axes else 1e-300
    sides = [a for a in _SIDES if a in law.axes] if rate > 0 else []
    return Frame(
        fit=fitted,
        scales=scales,
        root=law.scaled_expression(scales),
        theta=theta,
        size=np.maximum(np.abs(theta), least),
        middle={a: float(np.mean(np.log(runs[a] / scales[a]))) for a in sides},
        prior=np.where(wide, WIDE, NEAR),
        bend=np.full(3 if len(sides) == 2 else len(sides), np.sqrt(CHANCE) * rate),
    )


def log_losses(f: Frame, x: Mapping[str, Any]) -> tuple[Array, Array, Array]:
    """Give log losses, in the user's unit, and their derivatives by coordinates and bends.

    Shapes (m,), (m, p), (m, q).
    """
    leaves = f.leaves(x)
    count = len(np.atleast_1d(x[f.fit.law.axes[0]]))
    found = [
        np.broadcast_to(np.asarray(v, dtype=np.float64), (count,))
        for v in evaluate(_first(f.root, f.fit.law.names, tuple(f.middle)), leaves)
    ]
    loss, p = found[0], len(f.theta)
    with np.errstate(all="ignore"):
        columns = [v * s / loss for v, s in zip(found[1 : 1 + p], f.size, strict=True)]
        away = {a: np.log(leaves[a]) - f.middle[a] for a in f.middle}
        by = dict(zip(f.middle, found[1 + p :], strict=True))
        bends = [away[a] ** 2 * by[a] / loss for a in f.middle]
        if _RATIO in f.sides:
            bends.append((away["D"] - away["N"]) ** 2 * by["D"] / loss)
        logs = np.log(loss * f.scales["L"])
    effects = np.stack(bends, axis=1) if bends else np.zeros((count, 0))
    return np.asarray(logs), np.stack(columns, axis=1), np.asarray(effects)


def best_split(
    f: Frame, budget: float, cost: Cost, fixed: Mapping[str, float]
) -> tuple[float, Array, Array, dict[str, Any]] | None:
    r"""Find log N_opt of a budget, its derivatives, (p,) and (q,), and the place; or ``None``.

    At the optimum :math:`h = L_n + t L_d` is zero, t being d log D / d log N along the budget, so
    that :math:`d\log N_{opt} = -h_z / h_n\,dz`.
    """
    law = f.fit.law
    if not {"N", "D"} <= set(law.axes):
        return None
    held = {a: v for a, v in fixed.items() if a in law.axes and a not in ("N", "D", "C")}
    problem = make_problem(law, cost, held, None)
    found = solve(problem, f.fit.theta[None], np.array([budget]))
    if found.kind[0, 0] != INTERIOR:
        return None
    log_N = float(found.log_N[0, 0])
    N = float(np.exp(log_N))
    D = float(cost.tokens(N, budget))
    place = {"N": N, "D": D, "C": budget} | held
    t = float(cost.tilt(N, D))
    leaves, p = f.leaves(place), len(f.theta)
    values = [float(v) for v in evaluate(_second(f.root, law.names), leaves)]
    L_n, L_d, L_nn, L_nd, L_dd = values[:5]
    by_N, by_D = np.array(values[5 : 5 + p]), np.array(values[5 + p :])
    n, d = (np.log(leaves[a]) - f.middle.get(a, 0.0) for a in _SIDES)
    bends = {
        "N": n**2 * (L_nn + t * L_nd) + 2 * n * L_n,
        "D": d**2 * (L_nd + t * L_dd) + 2 * t * d * L_d,
        _RATIO: (d - n) ** 2 * (L_nd + t * L_dd) + 2 * (t - 1) * (d - n) * L_d,
    }
    slope = (by_N + t * by_D) * f.size
    bent = np.array([bends[a] for a in f.sides])
    bend = L_nn + 2 * t * L_nd + t**2 * L_dd
    if not (np.isfinite(slope).all() and bend > 0):
        return None
    return log_N, -slope / bend, -bent / bend, place


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A goal and its companion under one law: values, (2,), derivatives, (2, p) and (2, q).

    NaN where a law has no say.
    """

    value: Array
    slope: Array
    bend: Array
    place: Mapping[str, float]


def target(
    f: Frame, goal: Goal, companion: float | None, cost: Cost, fixed: Mapping[str, float]
) -> Target | None:
    """Express the goal, and log N_opt or the loss at the companion's budget, by coordinates.

    ``None`` where the law has no best split and the goal needs one.
    """
    size = len(f.prior)
    split = None if companion is None else best_split(f, companion, cost, fixed)
    budget = goal.budget if "C" not in f.fit.law.axes else None
    if (budget is not None or goal.kind == SIZE) and split is None:
        return None
    place = split[3] if budget is not None and split is not None else dict(fixed) | dict(goal.at)
    logs, slopes, bends = log_losses(f, {a: np.array([v]) for a, v in place.items()})
    nothing = (np.nan, np.full(size, np.nan), np.full(len(f.bend), np.nan))
    pair = [(float(logs[0]), slopes[0], bends[0]), nothing if split is None else split[:3]]
    if goal.kind == SIZE:
        pair.reverse()
    value, slope, bend = (np.array([part[i] for part in pair]) for i in range(3))
    return Target(value, slope, bend, place)


def covariance(slopes: Array, noise: Array, prior: Array | None) -> Array:
    r"""Covariance :math:`(P_0^{-1} + \sum_i j_i j_i^T/s_i^2)^{-1}` of the coordinates, (P, P).

    Parameters
    ----------
    slopes
        Derivatives of the runs' log losses, (n, P).
    noise
        Standard deviation of each run, (n,).
    prior
        Standard deviations before any run, (P,); ``None`` for none.
    """
    rows = slopes / noise[:, None]
    if prior is not None:
        rows = np.vstack([rows, np.diag(1 / prior)])
    # Orthogonal triangles keep twice the digits of the information matrix.
    length = np.sqrt(np.einsum("np,np->p", rows, rows))
    triangle = np.linalg.qr(rows / length, mode="r")
    root = np.linalg.solve(triangle, np.eye(len(length))) / length[:, None]
    return np.asarray(root @ root.T)


@lru_cache(maxsize=128)
def _first(root: Node, names: tuple[str, ...], sides: tuple[str, ...]) -> Sequence[Node]:
    slopes = gradient(root, [parameter(n) for n in names])
    return [root, *slopes, *(mul(axis(a), derivative(root, axis(a))) for a in sides)]


@lru_cache(maxsize=128)
def _second(root: Node, names: tuple[str, ...]) -> Sequence[Node]:
    def by(node: Node, a: str) -> Node:
        return mul(axis(a), derivative(node, axis(a)))

    L_n, L_d = by(root, "N"), by(root, "D")
    variables = [parameter(n) for n in names]
    return [
        L_n, L_d, by(L_n, "N"), by(L_n, "D"), by(L_d, "D"),
        *gradient(L_n, variables), *gradient(L_d, variables),
    ]  # fmt: skip
