"""Refit without some of the runs, for one law or for a weighted set, in one batch a law."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.threads import one_thread
from isoloss.errors import FitError
from isoloss.fit.design import design_reasons
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.lawset import LawSet
from isoloss.fit.prepare import Prepared, prepare
from isoloss.fit.result import Fit
from isoloss.fit.starts import find_starts
from isoloss.runs import Runs

Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a planner asks for, as a function of the parameters of the laws.

    Attributes
    ----------
    title
        For sentences: "the forecast at 1e+23 FLOPs".
    value
        From the parameters of each law, a sequence of (B, p), to (B,).
    parts
        For each law a share, and the same quantity under that law alone, from (B, p) to (B,):
        the standard error is the sum of the laws' own, by share.
    log
        Whether it is the logarithm of what people read.
    answer
        Whether it is what was asked for, and not only a step towards it.
    """

    title: str
    value: Callable[[Sequence[Array]], Array]
    parts: Sequence[tuple[float, Callable[[Array], Array]]]
    log: bool = False
    answer: bool = True

    def shown(self, value: float) -> float:
        """Turn a value into the number that people read."""
        return float(np.exp(value)) if self.log else float(value)


def leading(
    laws: LawSet | Fit,
    title: str,
    function: Callable[[Array], Array],
    *,
    log: bool = False,
    answer: bool = True,
) -> Quantity:
    """Make a quantity of the only or leading law from a function of its parameters."""
    used = members(laws)
    lead = max(range(len(used)), key=lambda i: used[i][1])
    parts = [(1.0 if i == lead else 0.0, function) for i in range(len(used))]
    return Quantity(title, lambda thetas: function(thetas[lead]), parts, log, answer)


def forecast_of(
    laws: LawSet | Fit, at: Mapping[str, float], title: str, *, loss: float | None = None
) -> Quantity:
    """Make a quantity of the weighted log loss at a target, the weights held.

    A forecast is a median over draws, which differs a little from the mean of the laws' own
    predictions. Given the ``loss`` forecast with all runs, the quantity starts there and moves by
    as much as the mean does.
    """
    used = members(laws)
    x = {a: np.array([float(v)]) for a, v in at.items()}

    def under(f: Fit) -> Callable[[Array], Array]:
        def log_loss(theta: Array) -> Array:
            with np.errstate(all="ignore"):
                return np.asarray(np.log(f.law(theta, x)[:, 0]))

        return log_loss

    parts = [(w, under(f)) for f, w in used]

    def mean(thetas: Sequence[Array]) -> Array:
        return np.asarray(sum(w * p(t) for (w, p), t in zip(parts, thetas, strict=True)))

    offset = 0.0
    if loss is not None:
        offset = float(np.log(loss) - mean([f.theta[None] for f, _ in used])[0])

    def value(thetas: Sequence[Array]) -> Array:
        return mean(thetas) + offset

    return Quantity(title, value, parts, log=True)


def members(laws: LawSet | Fit) -> list[tuple[Fit, float]]:
    """Fits that count, with their weights."""
    if isinstance(laws, Fit):
        return [(laws, 1.0)]
    return [(f, float(w)) for f, w in zip(laws.fits, laws.weights, strict=True) if w > 0]


@dataclass(frozen=True, slots=True, eq=False)
class Refits:
    """A law without each of several sets of runs.

    Attributes
    ----------
    theta
        Parameters, (K, p); NaN where the runs that are left do not determine the law.
    misfit
        Objective a run that is left, (K,).
    reasons
        Why the law is not determined; empty where it is.
    """

    theta: Array
    misfit: Array
    reasons: list[str]


def refit_without(f: Fit, runs: Runs, left_out: Masks, *, search: bool = True) -> Refits:
    """Refit a law without each of several sets of runs, all of them one batch.

    Parameters
    ----------
    f, runs
        A fit, and the runs that it was fitted to.
    left_out
        Which runs each problem leaves out, (K, n).
    search
        Also look for the optimum from fresh starts: needed where much is left out, not for
        single runs.

    Examples
    --------
    >>> N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
    >>> D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> runs = Runs(columns={"N": N, "D": D, "loss": 1.8 + 480 * N**-0.35 + 2100 * D**-0.37})
    >>> from isoloss.fit import fit
    >>> found = refit_without(fit(runs, draws=0), runs, np.array([N == 3e8, N > 1e7]))
    >>> found.theta[0].round(2).tolist(), found.reasons
    ([1.8, 480.0, 2100.0, 0.35, 0.37], ['', '4 distinct configurations cannot fix ...'])
    """
    data = prepare(runs, f.law, f.weights)
    kept = ~np.asarray(left_out, dtype=bool)[:, data.order] * data.weights
    reasons = [_undetermined(data, row) for row in kept]
    theta = np.full((len(kept), len(f.law.names)), np.nan)
    misfit = np.full(len(kept), np.nan)
    possible = np.flatnonzero([not r for r in reasons])
    if not possible.size:
        return Refits(theta, misfit, reasons)
    with one_thread():
        kernel = Kernel(data.law, data.x, data.loss, f.objective)
        base = kernel.internal(f.theta)
        starts = [base[None]] * len(possible)
        if search:
            starts = [np.vstack([base, find_starts(kernel, kept[k], keep=2)]) for k in possible]
        owner = np.repeat(possible, [len(s) for s in starts])
        solved = minimise(
            kernel,
            np.concatenate(starts),
            weights=kept[owner],
            max_iterations=100,
            tolerance=1e-9,
        )
        for k in possible:
            mine = np.flatnonzero(owner == k)
            best = mine[int(np.argmin(solved.value[mine]))]
            theta[k] = kernel.natural(solved.q[best])
            misfit[k] = solved.value[best] / kept[k].sum()
    return Refits(theta, misfit, reasons)


def _undetermined(data: Prepared, weights: Array) -> str:
    """Why the runs of positive weight cannot be fitted, or nothing."""
    if not weights.any():
        return "no run is left"
    try:
        found = design_reasons(replace(data, weights=weights))
    except FitError as error:
        return str(error)
    return next((r.message for r in found if r.fatal), "")


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Quantities with all runs and without some.

    Attributes
    ----------
    full, error
        Value with all runs and its standard error, by quantity.
    without
        Value without each set of runs, (K,); NaN where it is not determined.
    misfit
        Objective a run that is left, weighted over laws, (K,).
    reasons
        Why a set could not be left out, (K,).
    """

    full: dict[str, float]
    error: dict[str, float]
    without: dict[str, Array]
    misfit: Array
    reasons: list[str]

    def shift(self, name: str) -> Array:
        """Change in standard errors, (K,); NaN where not determined."""
        return (self.without[name] - self.full[name]) / self.error[name]


def measure(
    laws: LawSet | Fit,
    runs: Runs,
    quantities: Mapping[str, Quantity],
    left_out: Masks,
    *,
    search: bool = True,
) -> Measured:
    """Evaluate quantities with all runs and without each of several sets of runs.

    The weights of a law set are held: what moves is what the laws say, not how far each is
    believed. The standard error of a weighted quantity is the weighted mean of those of the laws:
    they see the same runs, so their errors go together.

    Examples
    --------
    >>> from isoloss.fit import fit
    >>> D = np.geomspace(1e7, 1e10, 9)
    >>> runs = Runs(columns={"D": D, "loss": 1.5 + 400 * D**-0.3})
    >>> found = fit(runs, "power_floor", draws=50)
    >>> quantities = {"loss": forecast_of(found, {"D": 1e11}, "the forecast")}
    >>> result = measure(found, runs, quantities, np.eye(9, dtype=bool))
    >>> bool(np.exp(result.without["loss"]).round(6).max() == np.exp(result.full["loss"]).round(6))
    True
    """
    used = members(laws)
    found = [refit_without(f, runs, left_out, search=search) for f, _ in used]
    reasons = [
        next((r.reasons[k] for r in found if r.reasons[k]), "") for k in range(len(left_out))
    ]
    full, error, without = {}, {}, {}
    for name, quantity in quantities.items():
        centre = float(quantity.value([f.theta[None] for f, _ in used])[0])
        spread = [
            w * standard_error(part(f.draws) if len(f.draws) else np.zeros(0))
            for (f, _), (w, part) in zip(used, quantity.parts, strict=True)
            if w > 0
        ]
        full[name] = centre
        values = quantity.value([r.theta for r in found])
        without[name] = np.where(np.isfinite(values), values, np.nan)
        # What rounding alone may move is no effect, and a parameter that sits at a bound in every
        # draw has no standard error to compare with.
        total, size = float(np.sum(spread)), np.nanmax(np.abs([centre, *without[name]]))
        error[name] = np.inf if total <= 1e-12 * size else max(total, 1e-6 * abs(centre))
    misfit = np.asarray(sum(w * r.misfit for (_, w), r in zip(used, found, strict=True)))
    return Measured(full, error, without, misfit, reasons)


def standard_error(values: Array) -> float:
    """Half the range of the middle 68 % of draws: a few wild ones do not count."""
    values = values[np.isfinite(values)]
    if not values.size:
        return float("inf")
    return 0.5 * float(np.subtract(*np.quantile(values, [0.84, 0.16])))
