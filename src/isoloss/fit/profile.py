"""Profile likelihood: how far a quantity can move before the fit becomes clearly worse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_positive
from isoloss._core.interval import Interval
from isoloss._core.threads import one_thread
from isoloss.errors import FitError, InputError
from isoloss.fit.certificate import Reason
from isoloss.fit.draws import smoothed
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import prepare
from isoloss.fit.profile_result import Profile
from isoloss.fit.quantity import Quantity, of_loss, of_parameters, of_split
from isoloss.fit.result import Fit
from isoloss.fit.trace import Trace
from isoloss.laws import get_law, is_law_name
from isoloss.laws.law import Law
from isoloss.runs import Runs, read_runs


def profile(
    runs: Any,
    fit: Fit,
    quantity: str,
    *,
    at: Mapping[str, float] | None = None,
    level: float | None = None,
    flops_per_nd: float = 6.0,
) -> Profile:
    r"""Trace the objective with a quantity held fixed, and take the interval from where it rises.

    With F the objective (:math:`\frac12\sum w_i r_i^2` for least squares), minimised over all
    parameters under the constraint that the quantity is v, the interval holds the v for which

    .. math:: 2\,(F(v) - F_{\min})/\tau \le F_{1,n-p}(\text{level}),

    :math:`\tau` the variance of the residuals, :math:`\sum w_i r_i^2/(n-p)`; for other objectives
    :math:`E[\psi^2]/E[\psi']`, which makes it a quasi-likelihood ratio. The interval needs no
    draws, does not depend on how the law is written, and may be open: what the runs do not
    bound comes out as unbounded.

    Parameters
    ----------
    runs
        The runs of the fit.
    fit
        From `isoloss.fit`; draws are not needed.
    quantity
        A parameter; a formula of parameters, such as ``"beta/(alpha + beta)"``; ``"loss"``, the
        mean loss at the resources ``at``; or ``"N_opt"``, the best model size at the budget
        ``at={"C": ...}``.
    at
        Resources of ``"loss"`` or ``"N_opt"``.
    level
        Confidence level; that of the fit by default.
    flops_per_nd
        Training FLOPs for each parameter and example, for ``"N_opt"``.

    Returns
    -------
    Profile

    Raises
    ------
    InputError
        An unknown quantity, or other runs than those of the fit.
    FitError
        ``TOO_FEW_RUNS`` when no more runs than parameters; ``NO_INTERIOR_OPTIMUM`` when no model
        size is best at the budget.

    Notes
    -----
    It takes runs as independent with noise that the weights describe. Repeated seeds that share
    an error make it too narrow: use ``resample="wild"`` there. For a parameter whose optimum is
    at its bound the level is not exact.

    References
    ----------
    Bates and Watts 1988, Nonlinear Regression Analysis, section 6.1; Huber and Ronchetti 2009,
    Robust Statistics, section 13.6 (quasi-likelihood ratios).

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.fit import fit, profile
    >>> N = np.geomspace(1e6, 1e10, 24)
    >>> noise = np.random.default_rng(0).standard_normal(24)
    >>> runs = {"N": N, "loss": (1.8 + 400 * N**-0.3) * np.exp(0.004 * noise)}
    >>> found = fit(runs, "power_floor", objective="lsq", draws=0)
    >>> profile(runs, found, "alpha").interval
    [0.30..., 0.30...] (90 %, profile likelihood, F(1, 21))
    """
    level = fit.level if level is None else as_level(level)
    as_positive("flops_per_nd", flops_per_nd)
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    if len(table) != len(fit.weights) or (fit.digest and table.digest != fit.digest):
        raise InputError("runs: these are not the runs of the fit; give the table it was made from")
    with one_thread():
        data = prepare(table, fit.law, fit.weights)
        plain = Kernel(data.law, data.x, data.loss, fit.objective)
        kernel = smoothed(plain, data, plain.internal(fit.theta))
        n, p = int(np.sum(data.weights > 0)), kernel.p
        if n <= p:
            raise FitError("TOO_FEW_RUNS", f"{n} runs leave no noise to judge {p} parameters by")
        start = plain.internal(fit.theta)[None]
        best = minimise(kernel, start, weights=data.weights).q[0]
        asked, centre = _asked(kernel, quantity, best, dict(at or {}), flops_per_nd)
        spread = spread_of(kernel, best, data.weights)
        cut = _quantile(level, n - p)
        trace = Trace(kernel, asked, data.weights, best, centre, threshold=0.5 * cut * spread)
        before = trace.best
        trace.run()
    robust = math.isfinite(fit.objective.delta) or fit.objective.over != 1.0
    kind = "profile quasi-likelihood, robust scale" if robust else "profile likelihood"
    ends = [float(asked.user(np.array(e))) for e in trace.ends]
    if trace.how[1] == "bound" and _is_guard(fit.law, quantity):
        trace.how[1], ends[1] = "open", math.inf
    reasons = _reasons(asked, trace, ends)
    if trace.best < before - 1e-6 * before - float(kernel.floor(data.weights)):
        reasons.append(
            Reason(
                code="NOT_THE_MINIMUM",
                message="a fit with the quantity held fixed reached a lower objective than the "
                "fit; the fit stands in a local minimum, and the interval is about the lower one",
            )
        )
    return Profile(
        quantity=asked.name,
        at=dict(at or {}),
        law=fit.law.name,
        estimate=float(asked.user(np.array(centre))),
        interval=Interval(low=ends[0], high=ends[1], level=level, method=f"{kind}, F(1, {n - p})"),
        low_end=trace.how[0],
        high_end=trace.how[1],
        values=asked.user(trace.v),
        statistic=trace.rise * cut,
        theta=kernel.natural(trace.q),
        names=fit.law.names,
        threshold=cut,
        reasons=tuple(reasons),
    )


def _asked(
    kernel: Kernel, name: str, best: Array, at: Mapping[str, float], flops_per_nd: float
) -> tuple[Quantity, float]:
    """Make the quantity, and find its value at the optimum."""
    law = kernel.law
    if name in ("loss", "N_opt") and name not in law.names:
        if name == "loss":
            asked = of_loss(kernel, at)
            return asked, float(asked.reached(best[None], np.zeros(1))[0])
        asked = of_split(kernel, at, flops_per_nd=flops_per_nd)
        return asked, _root(asked, best)
    if at:
        raise InputError(f"at: only for quantity = 'loss' or 'N_opt', not {name!r}")
    values = dict(zip(law.names, kernel.natural(best), strict=True))
    asked = of_parameters(kernel, name, positive=values.get(name, 0.0) > 0)
    centre = float(asked.reached(best[None], np.zeros(1))[0])
    if not math.isfinite(centre):
        raise InputError(f"quantity = {name!r}: not finite at the fit, so it has no interval")
    return asked, centre


def _root(asked: Quantity, best: Array) -> float:
    """Find the value at which h rises through zero, by halving."""
    grid = np.linspace(asked.lower, asked.upper, 2001)[1:-1]
    h = asked.terms(np.repeat(best[None], len(grid), axis=0), grid)[0]
    turns = np.flatnonzero((h[:-1] < 0) & (h[1:] >= 0))
    if not len(turns):
        raise FitError(
            "NO_INTERIOR_OPTIMUM",
            "no model size is best at this budget under this fit; see isoloss.allocate",
        )
    low, high = grid[turns[0]], grid[turns[0] + 1]
    for _ in range(60):
        middle = 0.5 * (low + high)
        if asked.terms(best[None], np.array([middle]))[0][0] < 0:
            low = middle
        else:
            high = middle
    return float(0.5 * (low + high))


def spread_of(kernel: Kernel, q: Array, weights: Array) -> float:
    r"""Estimate what twice the rise of the objective is divided by.

    :math:`E[\psi^2]/E[\psi']` with n - p in place of n: for least squares the variance of the
    residuals. :math:`E[\psi']` is the share of errors near the law, in which a handful of runs
    would decide; so the errors are smoothed by a normal of the usual width (Silverman's rule).
    """
    goal = kernel.objective
    used = weights > 0
    r = (kernel.predict(q[None])[0] - kernel.y)[used]
    w, n = weights[used], int(np.sum(used))
    freedom = n - kernel.p
    square = float(np.sum(w * goal.terms(r)[1] ** 2)) / freedom
    if math.isinf(goal.delta) and goal.over == 1.0:
        slope = 1.0
    else:
        slope = _smooth_slope(goal, r * np.sqrt(n / freedom), w)
    return max(square / slope, 1e-16 * kernel.typical**2)


def _smooth_slope(goal: Objective, r: Array, w: Array) -> float:
    from scipy.special import ndtr

    middle = float(np.subtract(*np.quantile(r, [0.75, 0.25]))) / 1.349
    width = 0.9 * min(float(np.std(r)), middle or np.inf) * len(r) ** -0.2 + 1e-300
    edges = [ndtr((e - r) / width) for e in (-goal.delta, 0.0, goal.delta)]
    slopes = edges[1] - edges[0] + goal.over * (edges[2] - edges[1])
    return max(float(np.average(slopes, weights=w)), 1e-300)


def _quantile(level: float, freedom: int) -> float:
    """Quantile of F(1, freedom): the square of Student's."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 * (1 + level)) ** 2)


def _is_guard(law: Law, name: str) -> bool:
    """Whether an upper bound is the catalogue's own, which keeps the engine from overflow."""
    if not is_law_name(law.name):
        return False
    own = {p.name: p.upper for p in get_law(law.name, axis=law.axes[0]).parameters}
    return any(p.name == name and own.get(name) == p.upper for p in law.parameters)


def _reasons(asked: Quantity, trace: Trace, ends: list[float]) -> list[Reason]:
    """Say which ends are not closed."""
    words, lost = [], []
    edges = asked.user(trace.v[[0, -1]])
    for side, how, end, edge in zip(("below", "above"), trace.how, ends, edges, strict=True):
        if how == "bound":
            words.append(f"{side} (its bound is {end:g})")
        elif how == "open":
            words.append(side)
        elif how == "lost":
            lost.append(f"{side} {edge:.4g}")
    reasons = []
    if words:
        reasons.append(
            Reason(
                code="OPEN_INTERVAL",
                message=f"the runs do not bound {asked.name} {' or '.join(words)}; add runs that "
                "resolve it, or pin what you know",
            )
        )
    if lost:
        reasons.append(
            Reason(
                code="TRACE_LOST",
                message=f"no minimum was found with {asked.name} {' or '.join(lost)}, so that end "
                "is not known and left open; use draws instead",
            )
        )
    return reasons
