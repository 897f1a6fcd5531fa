"""Fits of two recipes' runs together, with draws that keep pairs of runs together."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.threads import one_thread
from isoloss.errors import FitError
from isoloss.fit.certificate import certify
from isoloss.fit.design import design_reasons
from isoloss.fit.draws import draw_parameters
from isoloss.fit.fit import fit, solve
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Huber, Objective, parse_objective
from isoloss.fit.prepare import Prepared, prepare
from isoloss.laws import Law
from isoloss.plan.reason import Reason
from isoloss.plan.recipes.law import RecipeLaw, recipe_law
from isoloss.runs import Runs

SAME = 1e-3
"""Sizes and amounts of data that differ by less than this, relatively, are one cell."""
_EFFICIENT = 1.345
"""Huber's threshold in standard deviations that loses 5 % where noise is normal."""
_LEAST_DELTA = 1e-6
_CELLS_A_PARAMETER = 3
"""With fewer cells for each parameter of one recipe, cells are not drawn but their errors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecipeFit:
    """One law fitted to two recipes.

    Attributes
    ----------
    recipe
        The law of both.
    theta, draws
        Parameters of both, (q,) and (B, q).
    residuals
        Log prediction minus log loss of the stacked runs, A first, (n,).
    value
        Minimum of the objective.
    method
        How the draws were made.
    reasons
        Doubts.
    """

    recipe: RecipeLaw
    theta: Array
    draws: Array
    residuals: Array
    value: float
    objective: Objective
    method: str
    reasons: tuple[Reason, ...]


def cell_ids(tables: Sequence[Runs], axes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Give numbers to the cells of stacked tables: runs of one cell agree in all axes to `SAME`.

    Seeds of one configuration are one cell, and so are the two recipes there: what they share,
    from the order of the data to what the law misses, moves together in every draw.

    Examples
    --------
    >>> one = Runs(columns={"N": [1e6, 2e6], "loss": [4.0, 3.5]})
    >>> two = Runs(columns={"N": [2.0001e6, 4e6], "loss": [3.4, 3.2]})
    >>> cell_ids([one, two], ["N"]).tolist()
    [0, 1, 1, 2]
    """
    labels = []
    for axis in axes:
        logs = np.log(np.concatenate([t[axis] for t in tables]))
        order = np.argsort(logs, kind="stable")
        step = np.diff(logs[order], prepend=logs[order[0]]) > SAME
        label = np.empty(len(logs))
        label[order] = np.cumsum(step)
        labels.append(label)
    _, found = np.unique(np.stack(labels), axis=1, return_inverse=True)
    return np.asarray(found, dtype=np.int64).ravel()


def check_design(tables: Sequence[Runs], base: Law, tie: Collection[str]) -> list[Reason]:
    """Doubts that follow from where the runs of each recipe lie.

    Raises
    ------
    FitError
        Too few configurations of one recipe for its own parameters.
    """
    own = base.pin(**{n: 1.0 for n in base.names if n in tie})
    reasons: dict[str, Reason] = {}
    for table in tables:
        if not own.names:
            continue
        for r in design_reasons(prepare(table, own)):
            if r.fatal:
                raise FitError(r.code, r.message)
            reasons.setdefault(r.code, Reason(code=r.code, message=r.message))
    return list(reasons.values())


def fit_each(tables: Sequence[Runs], base: Law) -> list[Array]:
    """Parameters of each recipe alone, where a fit of both starts."""
    with one_thread():
        return [fit(t, base, draws=0).theta for t in tables]


def fit_recipes(
    tables: Sequence[Runs],
    base: Law,
    *,
    tie: Collection[str],
    objective: str | Objective,
    draws: int,
    resample: str,
    seed: int,
    alone: Sequence[Array],
) -> RecipeFit:
    """Fit two recipes at once and draw their parameters together; ``alone``: see `fit_each`."""
    recipe = recipe_law(base, tie)
    side = np.repeat([0, 1], [len(t) for t in tables])
    x = {a: np.concatenate([t[a] for t in tables]) for a in base.axes}
    loss = np.concatenate([t["loss"] for t in tables])
    stacked = Runs(columns=recipe.columns(x, side) | {"loss": loss})
    with one_thread():
        data = prepare(stacked, recipe.law)
        data = replace(data, groups=cell_ids(tables, base.axes)[data.order])
        start = recipe.join(alone[0], alone[1])
        goal = _goal(data, objective, start)
        kernel = Kernel(data.law, data.x, data.loss, goal, smooth=1e-2)
        solutions, starts = solve(kernel, data, [start])
        if not np.isfinite(solutions.value).any():
            raise FitError("NO_FINITE_START", f"{base.name} is not finite on these runs")
        chosen = int(np.argmin(solutions.value))
        best = solutions.q[chosen]
        reasons = certify(kernel, solutions, starts, data.weights)[1]
        drawn, method = np.zeros((0, kernel.p)), "no resampling"
        if draws:
            made = draw_parameters(
                kernel, data, best,
                draws=draws, resample=_method(resample, data, base), seed=seed,
                journal=None, key=None, many=False,
            )  # fmt: skip
            drawn, method = made.theta, f"paired {made.method}"
            reasons = [*reasons, *made.reasons]
    theta = kernel.natural(best)
    residuals = np.empty(len(loss))
    residuals[data.order] = np.log(data.law(theta, data.x)) - np.log(data.loss)
    return RecipeFit(
        recipe=recipe,
        theta=theta,
        draws=drawn,
        residuals=residuals,
        value=float(solutions.value[chosen]),
        objective=goal,
        method=method,
        reasons=tuple(
            Reason(code=r.code, message=r.message, severity="refusal" if r.fatal else "doubt")
            for r in reasons
        ),
    )


def _method(resample: str, data: Prepared, base: Law) -> str:
    if resample != "auto":
        return resample
    cells = len(np.unique(data.groups))
    return "cluster" if cells >= _CELLS_A_PARAMETER * len(base.names) else "wild"


def _goal(data: Prepared, objective: str | Objective, start: dict[str, float]) -> Objective:
    """Objective asked for; by default a Huber loss with a threshold as wide as the noise.

    A threshold far below the noise estimates medians, which throws away a third of the runs'
    information and, worse, what pairs of runs have in common.
    """
    if objective != "auto":
        return parse_objective(objective)
    kernel = Kernel(data.law, data.x, data.loss, Huber(1e-3), smooth=1e-2)
    found, _ = solve(kernel, data, [start])
    theta = kernel.natural(found.q[int(np.argmin(found.value))])
    off = np.abs(np.log(data.law(theta, data.x)) - np.log(data.loss))
    freedom = max(kernel.n - kernel.p, 1)
    noise = 1.4826 * float(np.median(off)) * math.sqrt(kernel.n / freedom)
    return Huber(max(_EFFICIENT * noise, _LEAST_DELTA)) if noise > 0 else Huber(1e-3)
