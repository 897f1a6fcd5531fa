"""One call from runs to a certified fit: no grid of starts to choose, the same every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_seed, as_vector
from isoloss._core.threads import one_thread
from isoloss.errors import FitError
from isoloss.fit.absolute import solve_absolute
from isoloss.fit.approach import descend
from isoloss.fit.certificate import Certificate, Reason, certify
from isoloss.fit.covariance import polish
from isoloss.fit.design import design_reasons
from isoloss.fit.draws import draw_parameters
from isoloss.fit.engine import Solutions, minimise
from isoloss.fit.influence import influence, parameter_quantities
from isoloss.fit.kernel import Kernel
from isoloss.fit.noise import noise_column, weighted
from isoloss.fit.objective import Objective, parse_objective
from isoloss.fit.perturb import hat_basis
from isoloss.fit.prepare import Prepared, choose_law, prepare
from isoloss.fit.result import Fit
from isoloss.fit.run_noise import RunNoise, run_noise, scale_of
from isoloss.fit.starts import find_starts
from isoloss.laws import Law, get_law
from isoloss.runs import Runs, read_runs

MANY = 5_000
"""Above this many runs, starts are tried on a part of them and draws come from a sandwich."""
INFLUENCE_RUNS = 3_000
"""Up to this many runs, the effect of each is examined unasked."""


def fit(
    runs: Any,
    law: str | Law | None = None,
    *,
    objective: str | Objective = "huber:1e-3",
    weights: npt.ArrayLike | None = None,
    noise: str = "constant",
    draws: int = 1000,
    resample: str = "auto",
    level: float = 0.9,
    rng: int = 0,
    axis: str | None = None,
    starts: Sequence[Mapping[str, float]] = (),
    journal: Path | None = None,
) -> Fit:
    r"""Fit a law to runs.

    Minimises :math:`\sum_i w_i \rho(r_i)`, by default with the Huber loss of the difference of
    log losses. Starts are found by projecting out what is linear; the minimum is reached by
    Newton steps with exact derivatives and examined from several sides.

    Parameters
    ----------
    runs
        `Runs`, or anything `read_runs` takes: a path, a dict of columns, a dataframe.
    law
        Name in the catalogue, formula, or `Law`. ``None`` or ``"auto"`` follows the columns:
        ``chinchilla`` with N and D, ``power_floor`` with one resource; ``law_reason`` of the
        result says why.
    objective
        `Objective`, or text such as ``"huber:1e-3"``, ``"lsq"``, ``"lad"``, ``"one-sided:1e-3"``.
    weights
        One non-negative number a run.
    noise
        What is known of the noise multiplies the weights by one over its variance.
        ``"constant"``: nothing. ``"scale"``: noise that shrinks with scale, estimated from the
        residuals of a first fit. ``"seeds"``: the spread of repeated seeds, as a power of scale.
        ``"column:NAME"``: a column with the standard error of each run's loss, in its unit.
    draws
        Draws for the intervals; 0 for none.
    resample
        How the parameters are drawn. Runs drawn with replacement: ``"case"``, ``"cluster"``
        (configurations with all their seeds move together), or ``"auto"``, which is cluster when
        configurations are repeated. Losses drawn anew and fitted again: ``"wild"`` (the errors of
        each configuration times one random factor), ``"residual"`` (errors dealt out anew),
        ``"seed"`` (normal noise). Normal limits: ``"jackknife"`` (each configuration left out
        once), ``"normal"`` (sandwich covariance), which also stands in for case and cluster
        above 5,000 runs.
    level
        Confidence level of the intervals.
    rng
        Seed of the resampling; everything else is deterministic.
    axis
        Resource of a one-resource law.
    starts
        Values of all parameters, in your units, to start from besides those that are found.
    journal
        Folder where finished bootstrap blocks are kept, to continue after a kill.

    Returns
    -------
    Fit

    Raises
    ------
    InputError, LawError
        The runs or the law cannot be used as given.
    FitError
        No usable answer: fewer configurations than parameters, or no finite start.

    Examples
    --------
    >>> import numpy as np
    >>> N = np.repeat([1e7, 3e7, 1e8, 3e8], 4)
    >>> D = np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
    >>> result = fit({"N": N, "D": D, "loss": loss}, "chinchilla", draws=0)
    >>> round(result.parameters["alpha"], 6), result.status
    (0.35, 'ok')
    """
    as_level(level)
    as_seed(rng)
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    goal = parse_objective(objective)
    form, law_reason = choose_law(table, law, axis=axis)
    column = noise_column(noise)
    with one_thread():
        data = prepare(table, form, weights, outcomes=(column,) if column else ())
        reasons = design_reasons(data)
        data = weighted(data, noise, table, goal, lambda: _first_residuals(data, goal))
        kernel, solutions, certificate, found = _solve(data, goal, starts)
        reasons += found
        best = solutions.q[int(np.argmin(solutions.value))]
        theta = kernel.natural(best)
        drawn, method = np.zeros((0, kernel.p)), "no resampling"
        if draws:
            made = draw_parameters(
                kernel,
                data,
                best,
                draws=draws,
                resample=resample,
                seed=rng,
                journal=journal,
                key=(table.digest, goal.name),
                many=kernel.n > MANY,
            )
            drawn, method = made.theta, made.method
            reasons += made.reasons
        back = np.empty(len(data.order), dtype=np.int64)
        back[data.order] = np.arange(len(back))
        examined = None
        if draws and len(drawn) and kernel.n <= INFLUENCE_RUNS and kernel.n > kernel.p + 2:
            examined = influence(
                form,
                theta,
                drawn,
                goal,
                table,
                parameter_quantities(form),
                weights=data.weights[back],
            )
            if examined.flagged.any():
                reasons.append(Reason(code="INFLUENTIAL_RUNS", message=examined.sentence))
    predicted = data.law(theta, data.x)
    log_residuals = np.log(predicted) - np.log(data.loss)
    value = float(goal.total(log_residuals if goal.log else predicted - data.loss, data.weights))
    fatal = any(r.fatal for r in reasons) or not np.isfinite(theta).all()
    return Fit(
        law=data.law,
        theta=theta,
        objective=goal,
        value=value,
        residuals=log_residuals[back],
        draws=drawn,
        method=method,
        level=level,
        noise=_noise(kernel, data, best, log_residuals),
        status="failed" if fatal else "suspect" if reasons else "ok",
        reasons=tuple(reasons),
        certificate=certificate,
        weights=data.weights[back],
        n_rows=len(table),
        digest=table.digest,
        seed=rng,
        influence=examined,
        law_reason=law_reason,
    )


def _noise(kernel: Kernel, data: Prepared, best: Array, log_residuals: Array) -> RunNoise:
    """Noise of one run at each scale, from the runs that have weight."""
    used = data.weights > 0
    basis = np.zeros((kernel.n, 0))
    if kernel.n <= MANY:
        basis = hat_basis(kernel, best, data.weights)
    return run_noise(
        log_residuals[used],
        basis[used],
        data.weights[used],
        scale_of(data.x, data.law)[used],
        data.groups[used],
    )


def _first_residuals(data: Prepared, goal: Objective) -> Array:
    """Log residuals of a fit before the noise is known."""
    kernel, solutions, _, _ = _solve(data, goal)
    theta = kernel.natural(solutions.q[int(np.argmin(solutions.value))])
    return np.asarray(np.log(data.law(theta, data.x)) - np.log(data.loss))


def _solve(
    data: Prepared, goal: Objective, given: Sequence[Mapping[str, float]] = ()
) -> tuple[Kernel, Solutions, Certificate, list[Reason]]:
    """Find starts and the minimum, and certify it."""
    kernel = Kernel(data.law, data.x, data.loss, goal, smooth=1e-2)
    solutions, starts = solve(kernel, data, given)
    if not np.isfinite(solutions.value).any():
        raise FitError(
            "NO_FINITE_START",
            f"{data.law.name} is not finite on these runs from any start; check units and bounds",
        )
    if goal.delta > 0:
        # In every unit the same point: the last steps are judged by the gradient, not by the
        # rounded objective.
        best = int(np.argmin(solutions.value))
        solutions.q[best], _ = polish(kernel, solutions.q[best], data.weights)
    certificate, reasons = certify(kernel, solutions, starts, data.weights)
    if goal.delta == 0:
        solutions, reasons = solve_absolute(kernel, solutions, data.weights, goal, reasons)
    return kernel, solutions, certificate, reasons


def solve(
    kernel: Kernel, data: Prepared, given: Sequence[Mapping[str, float]] = ()
) -> tuple[Solutions, Array]:
    """Minimise from good starts; on very many runs the starts are tried on a part of them."""
    special = _special_cases(kernel, data)
    if given:
        own = [kernel.internal(as_vector("starts", kernel.law.theta(s))) for s in given]
        special = np.vstack([*own, *([] if special is None else [special])])
    if kernel.n <= MANY:
        starts = find_starts(kernel, data.weights, extra=special)
        return descend(kernel, starts, data.weights), starts
    part = part_of(kernel, data)
    starts = find_starts(part[0], part[1], extra=special)
    rough = minimise(part[0], starts, weights=part[1])
    order = np.argsort(rough.value, kind="stable")[:2]
    return minimise(kernel, rough.q[order], weights=data.weights), rough.q[order]


def part_of(kernel: Kernel, data: Prepared) -> tuple[Kernel, Array]:
    """Make a kernel of about 4,000 runs spread over the losses."""
    order = np.argsort(data.loss, kind="stable")
    rows = np.sort(order[np.linspace(0, kernel.n - 1, 4000).astype(int)])
    part = Kernel(
        kernel.law,
        {a: data.x[a][rows] for a in kernel.law.axes},
        data.loss[rows],
        kernel.goal,
        scales=kernel.scales,
    )
    return part, data.weights[rows]


def _special_cases(kernel: Kernel, data: Prepared) -> Array | None:
    """Optima of the laws that this one contains, as starts."""
    extra = []
    for name, values in kernel.law.special_cases.items():
        simple = get_law(name)
        if not set(simple.names) <= set(kernel.law.names):
            continue
        inner = Kernel(simple, data.x, data.loss, kernel.goal, scales=kernel.scales)
        found, _ = solve(inner, data)
        theta = inner.natural(found.q[int(np.argmin(found.value))])
        full = dict(zip(simple.names, theta, strict=True)) | dict(values)
        extra.append(kernel.internal(np.array([full[n] for n in kernel.law.names])))
    return np.array(extra) if extra else None
