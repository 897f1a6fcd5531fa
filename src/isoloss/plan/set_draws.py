"""Draws of the best split under weighted laws, moved as far as their exponents may drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import FitError
from isoloss.fit.drift import Drift
from isoloss.fit.lawset import LawSet
from isoloss.plan.cost import Cost
from isoloss.plan.optimum import NONE, solve
from isoloss.plan.problem import Problem


def tokens(cost: Cost, N: Array, C: Array, max_D: float | None) -> Array:
    """Examples that the budget leaves for a size, at most those there are."""
    D = np.asarray(cost.tokens(N, C))
    return D if max_D is None else np.minimum(D, max_D)


def draw_optima(
    members: Sequence[tuple[Any, float, Problem]], C: Array, warnings: list[str], laws: LawSet
) -> dict[str, Array]:
    """Each draw's own optimum under its own law, moved as far as exponents may drift."""
    rng = np.random.default_rng([0, 11])
    drifts = {f.law.name: d for f, d in zip(laws.fits, laws.drifts, strict=True) if d}
    parts: dict[str, list[Array]] = {"N_opt": [], "D_opt": [], "weights": []}
    # The chance numbers go to the laws by name, as in forecasts.
    for f, w, problem in sorted(members, key=lambda m: m[0].law.name):
        theta = f.draws if len(f.draws) else f.theta[None]
        found = solve(problem, theta, C)
        normal = rng.standard_normal((len(theta), 1))
        drift = drifts[f.law.name]
        drifting = rng.random((len(theta), 1)) < drift.chance
        ok = (found.kind != NONE).all(axis=1)
        if ok.mean() < 0.95:
            warnings.append(
                f"{f.law.name}: {100 * (1 - ok.mean()):.0f} % of the draws have no interior "
                "optimum; the intervals leave them out and are too narrow"
            )
        if not ok.any():
            continue
        log_N = found.log_N[ok]
        # One point alone cannot hold a spread.
        if len(f.draws):
            middle = np.median(log_N, axis=0)
            spread = _drift_spread(drift, problem, middle, C)
            log_N = log_N + (normal * drifting)[ok] * spread
        least = problem.least_size(C)
        if least is not None:
            # Where the data bind, no smaller size can spend the budget.
            log_N = np.maximum(log_N, least)
        # What is hardly determined may drift beyond all numbers: an open interval, no mistake.
        with np.errstate(over="ignore", divide="ignore"):
            N = np.exp(log_N)
            D = tokens(problem.cost, N, np.broadcast_to(C, N.shape), problem.max_D)
        parts["N_opt"].append(N)
        parts["D_opt"].append(D)
        parts["weights"].append(np.full(len(N), w / len(N)))
    if not parts["weights"]:
        raise FitError(
            "NO_INTERIOR_OPTIMUM",
            "under every law more of one side is always better; add runs that vary N and D apart",
        )
    return {n: np.concatenate(v) for n, v in parts.items()}


def _drift_spread(drift: Drift, problem: Problem, log_N: Array, C: Array) -> Array:
    """By how much log N_opt moves at each budget if the exponents of a law drift, (m,)."""
    N = np.exp(log_N)
    D = tokens(problem.cost, N, C, problem.max_D)
    others = {a: np.full(len(N), v) for a, v in problem.fixed.items()}
    return drift.split_spread({"N": N, "D": D} | others, problem.cost.tilt(N, D))
