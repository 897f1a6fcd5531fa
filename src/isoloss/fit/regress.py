"""Any formula on any columns: least squares with the engine and the certificate of scaling laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.threads import one_thread
from isoloss.errors import FitError, InputError
from isoloss.fit.certificate import AGREEMENT, Certificate, Reason, certify
from isoloss.fit.covariance import accuracy_reasons, covariance, next_step, squares
from isoloss.fit.engine import CONVERGED, MAX_ITERATIONS, Solutions, minimise
from isoloss.fit.exchange import nearest_images
from isoloss.fit.guess import Guesser
from isoloss.fit.kernel import Kernel
from isoloss.fit.mirror import choose
from isoloss.fit.objective import Objective, parse_objective
from isoloss.fit.regression import Regression
from isoloss.fit.regression_data import Start, Table, read_starts
from isoloss.fit.sized import sized_kernel
from isoloss.laws import Law

MANY = 5_000
"""Above this many rows, all but the best two starts are given up on a part of the rows."""

RARE = 0.2
"""Share of the starts that ended in an optimum; one that fewer reach is not called the best."""


def regress(
    columns: Mapping[str, npt.ArrayLike],
    formula: str | Law,
    *,
    response: str = "y",
    start: Start | Sequence[Start] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    objective: str | Objective = "lsq",
    weights: npt.ArrayLike | None = None,
    search: bool = True,
    max_iterations: int = MAX_ITERATIONS,
) -> Regression:
    r"""Fit a formula to columns of any sign: nonlinear regression with a certificate.

    Minimises :math:`\sum_i w_i (f(x_i, \theta) - y_i)^2` from several starts by Newton steps with
    exact first and second derivatives. For scaling laws, which live in log loss, use
    `isoloss.fit`.

    Parameters
    ----------
    columns
        Name to numbers, all of one length n. Transform a response by adding a column
        (``{"log_y": np.log(y)}``).
    formula
        Text such as ``"b1*(1 - exp(-b2*x))"``, or a `Law`. Names that are no columns are
        parameters; they may have either sign unless ``bounds`` says otherwise.
    response
        Column that the formula is to give.
    start
        Values of all parameters; or several such, in the order of trust. Where optima are mirror
        images of each other, the one nearest the first is given. Without it, starts come from
        the units that the formula implies; give one where you can.
    bounds
        Parameter name to (lower, upper).
    objective
        ``"lsq"``, ``"huber:d"`` with d in the unit of the response, or an `Objective`.
    weights
        One non-negative number a row: inverse variances, up to a factor.
    search
        Whether to try starts besides those given. Without, a fit from one start is never ``ok``:
        nothing shows that another would not end lower.
    max_iterations
        Of the minimiser, from each start.

    Returns
    -------
    Regression

    Raises
    ------
    InputError, LawError
        The columns, the formula or the start cannot be used as given.
    FitError
        No usable answer: fewer distinct points than parameters, or no finite start.

    References
    ----------
    Bates and Watts (1988), Nonlinear Regression Analysis and Its Applications, chapter 2; Golub
    and Pereyra (1973), SIAM J. Numer. Anal. 10, 413, on solving for linear parameters.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0.0, 5.0, 12)
    >>> y = 3 * (1 - np.exp(-0.8 * x)) + 0.01 * np.cos(7 * x)
    >>> found = regress({"x": x, "y": y}, "a*(1 - exp(-b*x))", start={"a": 1, "b": 1})
    >>> found.status, round(found.parameters["b"], 3), round(found.standard_errors["b"], 3)
    ('ok', 0.8, 0.006)
    """
    data = Table(columns, formula, response, bounds, weights)
    goal = replace(parse_objective(objective), log=False)
    if goal.delta == 0:
        raise InputError(
            "objective = 'lad': regress needs a smooth objective; write 'huber:d' with d well "
            "below the residuals"
        )
    if max_iterations < 1:
        raise InputError(f"max_iterations = {max_iterations}: must be at least 1")
    given = read_starts(data.law, start)
    if not (given or search):
        raise InputError("search = False needs a start: start={'a': 1.0, ...}")
    with one_thread():
        search_for = Guesser(data.law, data.x, data.y, data.w, data.size) if search else None
        kernel, solutions, starts = _solve(data, goal, given, search_for, max_iterations)
        certificate, reasons = certify(kernel, solutions, kernel.internal(starts), data.w)
        ended = max(int(np.sum(solutions.status == CONVERGED)), certificate.n_agree)
        if 2 <= certificate.n_agree < RARE * ended:
            reasons.append(
                Reason(
                    code="MULTIMODAL",
                    message=f"only {certificate.n_agree} of the {ended} starts that ended in an "
                    "optimum reached the best one, which may not be the global one: start closer",
                )
            )
        if len(starts) == 1 and data.nonlinear:
            reasons.append(
                Reason(
                    code="ONE_START",
                    message="one start was tried, so nothing shows that no better optimum exists: "
                    "give others, or search=True",
                )
            )
        if search_for and not given and not search_for.resolved:
            names = ", ".join(data.law.names[i] for i in search_for.waves)
            reasons.append(
                Reason(
                    code="PERIODIC",
                    message=f"{names} set waves, and every few cycles make an optimum of "
                    "their own: give a start near the periods that you expect",
                )
            )
        best = solutions.q[int(np.argmin(solutions.value))]
        return _result(data, goal, kernel, best, certificate, reasons)


def _solve(
    data: Table,
    goal: Objective,
    given: list[Array],
    search: Guesser | None,
    max_iterations: int,
) -> tuple[Kernel, Solutions, Array]:
    """Minimise from every start; give the kernel, where each ended, and the starts."""
    starts = np.array(given).reshape(-1, len(data.law.names))
    if search:
        near = [g for s in given for g in (s[None], search.around(s, 1.5), search.around(s, 10.0))]
        own = search.best([*near, search.spread()], keep=4 if given else 8)
        starts = np.vstack([starts, own])
    starts, ends = _descend(data, goal, _distinct(starts), max_iterations)
    if given:
        ends = nearest_images(data.law, ends, given[0])
    kernel, solutions = _finish(data, goal, ends, max_iterations)
    if search and data.nonlinear and _agreeing(solutions) < 2:
        # Nothing else came here: look again, around the best end.
        theta = kernel.natural(solutions.q)
        best = theta[int(np.argmin(solutions.value))]
        more = search.best([search.around(best, f) for f in (1.5, 4.0)], keep=4)
        more, ends = _descend(data, goal, more, max_iterations)
        starts = np.vstack([starts, more])
        ends = nearest_images(data.law, ends, given[0]) if given else ends
        kernel, solutions = _finish(data, goal, np.vstack([theta, ends]), max_iterations)
    return kernel, choose(kernel, solutions, given, data.w), starts


def _distinct(starts: Array) -> Array:
    """Leave out starts that are within a hundredth of an earlier one in every parameter."""
    kept: list[Array] = []
    for s in starts:
        if not any(np.all(np.abs(s - k) <= 0.01 * np.abs(k)) for k in kept):
            kept.append(s)
    return np.array(kept).reshape(-1, starts.shape[1])


def _agreeing(solutions: Solutions) -> int:
    return int(np.sum(solutions.value <= solutions.value.min() * (1 + AGREEMENT)))


def _descend(
    data: Table, goal: Objective, starts: Array, max_iterations: int
) -> tuple[Array, Array]:
    """Run Newton's and Gauss and Newton's method from each start: starts, better ends, (k, p).

    With very many rows, on a part of them, and only the best two are kept.
    """
    n = len(data.y)
    rows = np.linspace(0, n - 1, min(n, MANY)).astype(int)
    x, w = {a: v[rows] for a, v in data.x.items()}, data.w[None, rows]
    first = starts[0] if len(starts) else data.size
    size = np.where(first != 0, np.abs(first), data.size)
    kernel = sized_kernel(data.law, x, data.y[rows], goal, size)
    q = kernel.internal(starts)
    newton, gauss = (
        minimise(kernel, q, weights=w, newton=second, max_iterations=max_iterations)
        for second in (True, False)
    )
    better = newton.value <= gauss.value
    ends = kernel.natural(np.where(better[:, None], newton.q, gauss.q))
    if n > MANY:
        order = np.argsort(np.minimum(newton.value, gauss.value), kind="stable")[:2]
        return starts[order], ends[order]
    return starts, ends


def _finish(
    data: Table, goal: Objective, ends: Array, max_iterations: int
) -> tuple[Kernel, Solutions]:
    """Measure the parameters anew by the best end, and take every end to full accuracy."""
    with np.errstate(all="ignore"):
        residuals = data.law(ends, data.x) - data.y
        value = np.sum(data.w * goal.terms(residuals)[0], axis=-1)
    if not np.isfinite(value).any():
        raise FitError(
            "NO_FINITE_START",
            f"{data.law.formula} is not finite on these rows from any start; give another start, "
            "or bounds that keep logarithms and powers defined",
        )
    best = ends[int(np.nanargmin(value))]
    kernel = sized_kernel(
        data.law, data.x, data.y, goal, np.where(best != 0, np.abs(best), data.size)
    )
    solutions = minimise(
        kernel,
        kernel.internal(ends),
        weights=data.w[None],
        max_iterations=max_iterations,
        tolerance=1e-16,
    )
    return kernel, solutions


def _result(
    data: Table,
    goal: Objective,
    kernel: Kernel,
    best: Array,
    certificate: Certificate,
    reasons: list[Reason],
) -> Regression:
    theta = kernel.natural(best)
    table = covariance(kernel, best, data.w, data.freedom)
    step = next_step(kernel, best, data.w)
    errors = np.nan_to_num(np.sqrt(np.maximum(np.diag(table), 0.0)))
    relative = np.abs(step) / np.maximum(np.maximum(np.abs(theta), errors), 1e-300)
    reasons = [
        *data.reasons,
        *reasons,
        *accuracy_reasons(kernel, best, data.w, data.freedom, step, relative),
    ]
    residuals = np.empty(len(data.y))
    residuals[data.order] = data.law(theta, data.x) - data.y
    fatal = any(r.fatal for r in reasons) or not np.isfinite(theta).all()
    return Regression(
        law=data.law,
        theta=theta,
        response=data.response,
        covariance=table,
        method="classical" if squares(goal) else "sandwich",
        objective=goal,
        value=float(goal.total(residuals, data.given)),
        rss=float(np.sum(data.given * residuals**2)),
        residuals=residuals,
        freedom=data.freedom,
        next_step=relative,
        status="failed" if fatal else "suspect" if reasons else "ok",
        reasons=tuple(reasons),
        certificate=certificate,
        weights=data.given,
    )
