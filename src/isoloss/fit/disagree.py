r"""Whether runs that decide the answer also disagree with the rest, or are only missed.

An answer may move far because what was left out carried most of the information, or because it
says something else than the rest. The variance of the difference between an estimate from all
runs and one from a part of them is the difference of their variances,
:math:`V_\text{rest} - V_\text{all}`: a move beyond that is disagreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import IsolossError
from isoloss.fit.backtest import run_scale
from isoloss.fit.fit import fit
from isoloss.fit.lawset import LawSet
from isoloss.fit.leave_out import Masks, Measured, Quantity, members, standard_error
from isoloss.fit.procedure import emphasised
from isoloss.fit.result import Fit
from isoloss.runs import Runs

DRAWS = 300
"""Resamples of an answer without some runs, at most: it is there to be compared."""
LEAST = 0.5
"""Least standard error of a difference, in those of the answer: variances are estimates."""


def refit(laws: LawSet | Fit, runs: Runs, left_out: Masks) -> LawSet | Fit:
    """Fit and resample every law again without some runs, the weights of a set held.

    Parameters
    ----------
    left_out
        (n,) of bool.

    Raises
    ------
    FitError
        When the runs that are left do not determine a law.
    """
    kept = runs.select(~left_out)
    if isinstance(laws, Fit):
        return _again(laws, kept, laws.weights[~left_out])
    fits = [
        _again(f, kept, f.weights[~left_out]) if w > 0 else f
        for f, w in zip(laws.fits, laws.weights, strict=True)
    ]
    return replace(laws, fits=tuple(fits), left_out=laws.left_out[~left_out])


def with_all_runs(laws: LawSet, runs: Runs) -> LawSet:
    """Fit and resample every law again with the runs that the set leaves out.

    Each law keeps its emphasis, and the set its weights.
    """
    scale = run_scale(runs, laws.axes)
    nothing = np.zeros(len(runs), dtype=bool)
    fits = [
        _again(f, runs, emphasised(scale, float(p), nothing)) if w > 0 else f
        for f, w, p in zip(laws.fits, laws.weights, laws.emphases, strict=True)
    ]
    return replace(laws, fits=tuple(fits), left_out=nothing, left_out_sentence="")


def _again(f: Fit, kept: Runs, weights: Array | None) -> Fit:
    return fit(
        kept,
        f.law,
        objective=f.objective,
        weights=weights,
        draws=min(len(f.draws), DRAWS),
        level=f.level,
        rng=f.seed or 0,
    )


def disagreement(
    laws: LawSet | Fit,
    runs: Runs,
    quantities: Mapping[str, Quantity],
    found: Measured,
    k: int,
    left_out: Masks,
) -> float:
    """Largest move of a quantity in standard errors of the difference.

    Parameters
    ----------
    found, k
        What `measure` found, and which of its sets is in question.
    left_out
        Runs of that set, (n,) of bool.

    References
    ----------
    Hausman 1978, "Specification tests in econometrics", Econometrica 46, lemma 2.1.
    """
    try:
        rest = refit(laws, runs, left_out)
    except IsolossError:
        return float("nan")
    worst = 0.0
    for name, quantity in quantities.items():
        parts = [
            w * standard_error(part(f.draws))
            for (f, _), (w, part) in zip(members(rest), quantity.parts, strict=True)
            if w > 0
        ]
        alone, full = float(np.sum(parts)), found.error[name]
        between = max(alone**2 - full**2, (LEAST * full) ** 2) ** 0.5
        move = abs(float(found.without[name][k] - found.full[name])) / between
        worst = max(worst, move if np.isfinite(move) else 0.0)
    return worst
