"""Fit a law of training curves to curves of one model under one or several schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import FitError, InputError
from isoloss.fit.certificate import Reason
from isoloss.fit.curves.points import CurvePoints, curve_points
from isoloss.fit.curves.project import Problem, Solved, search
from isoloss.fit.curves.result import LeftOut, ScheduleFit
from isoloss.laws.curve_law import CurveLaw, get_curve_law
from isoloss.laws.schedule import Schedule
from isoloss.runs.curve import Curve, as_curves

_MISFIT, _PLACES = 1e-3, 2
"""The law is taken to be off by 0.1 %, independently in two places of a curve."""
_BLOCKS = 8
_ROUNDS, _OUTLYING = 2, 4.0
_ALONE = 2e-3
_LOOSE = 0.05
"""Error of forecasting one curve from the others beyond which a fit is in doubt."""


def fit_schedule_law(
    curves: Curve | Sequence[Curve],
    *,
    law: str | CurveLaw = "multi-power",
    schedules: Mapping[str, Schedule] | None = None,
    warmup: int = 0,
    prior: float = 1.0,
) -> ScheduleFit:
    r"""Fit a law of the loss under any schedule to training curves of one model.

    Minimises :math:`\sum (\hat L / L - 1)^2` over all points, with the amplitudes projected out,
    points far off weighted down, and a penalty on shape parameters far from where they are
    expected: curves that end where the learning rate is low say little of exponents, and the best
    fit without it forecasts other schedules worse.

    Parameters
    ----------
    curves
        Of one model, data set and peak rate; the more unlike their schedules, the better.
        Logs of the warm-up and of the first twentieth of a run are left out.
    law
        ``"multi-power"``, ``"annealing"``, or ``"rate-power"`` (no effect of annealing).
    schedules
        Schedule of a curve by its name; of others the logged rates are taken, with lines between
        logs.
    warmup
        Steps in which the rate rose from 0, where no log says so.
    prior
        Strength of the penalty; 0 for none.

    Returns
    -------
    ScheduleFit
        Parameters, their covariance, and how each curve is forecast by the others.

    Raises
    ------
    InputError
        Curves without rates, with too few logs, or steps outside a schedule.
    FitError
        No usable optimum.

    References
    ----------
    Luo et al., arXiv:2503.12811; Tissue et al., arXiv:2408.11029.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.laws.curve_law import curve_loss
    >>> from isoloss.laws.schedule import make_schedule
    >>> true = {"L0": 2.0, "A": 1.0, "alpha": 0.5}
    >>> plan = make_schedule("cosine:2000", peak=0.01)
    >>> at = np.arange(100, 2000, 50)
    >>> curve = Curve(at, curve_loss("rate-power", true, plan, at=at), name="a")
    >>> found = fit_schedule_law(curve, law="rate-power", schedules={"a": plan})
    >>> round(found.parameters["L0"], 3), round(found.parameters["alpha"], 3)
    (2.0, 0.5)
    """
    listed = as_curves(curves)
    names = [curve.name for curve in listed]
    if len(set(names)) < len(names):
        raise InputError(f"curves: names must differ, not {', '.join(names[:6])}")
    if not (np.isfinite(prior) and prior >= 0):
        raise InputError(f"prior = {prior!r}: must be zero or more")
    unknown = sorted(set(schedules or {}) - set(names))
    if unknown:
        raise InputError(f"schedules: no curve is named {', '.join(unknown[:6])}")
    found = get_curve_law(law)
    points = curve_points(listed, schedules, warmup=warmup)
    return fit_points(found, points, prior)


def fit_points(law: CurveLaw, points: CurvePoints, prior: float) -> ScheduleFit:
    """Fit a law to points, with everything that the result holds."""
    keep = np.ones(points.loss.size, dtype=bool)
    solved, problem, done = _solve(law, points, keep, prior, None)
    if not np.isfinite(solved.objective) or not solved.amplitudes[0:2].any():
        raise FitError("NO_OPTIMUM", "no curve law fits; check steps, rates and losses")
    left_out = _leave_out(law, points, prior, solved)
    off = _relative(law, points, solved)
    between = float(np.sqrt(np.mean([e.rms**2 for e in left_out]))) if left_out else _ALONE
    between = max(between, _MISFIT)
    reasons = _reasons(law, points, solved, problem, done, bool(left_out)) + _loose(left_out)
    return ScheduleFit(
        law=law,
        parameters=law.published(points.scale, solved.shape, solved.amplitudes),
        scale=points.scale,
        shape=freeze(solved.shape),
        amplitudes=freeze(solved.amplitudes),
        covariance=freeze(_covariance(problem, solved, points.owner)),
        noise=float(1.4826 * np.median(np.abs(_jumps(off, points.owner)))),
        between=between,
        left_out=left_out,
        r2={n: _r2(points.loss[m], off[m]) for n, m in _each(points)},
        names=points.names,
        points=int(points.loss.size),
        reach=(float(points.nodes.sums.min()), float(points.nodes.sums.max())),
        status="suspect" if reasons else "ok",
        reasons=reasons,
    )


def _loose(left_out: tuple[LeftOut, ...]) -> tuple[Reason, ...]:
    """Doubt curves that do not foretell one another; intervals are as wide as that."""
    if not left_out or (worst := max(left_out, key=lambda one: one.rms)).rms <= _LOOSE:
        return ()
    text = (
        f"the other curves forecast {worst.name} {100 * worst.rms:.2g} % off, so intervals say "
        "little; add a run under a schedule unlike theirs"
    )
    return (Reason(code="LOOSE", message=text),)


def _each(points: CurvePoints) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    return [(name, points.owner == i) for i, name in enumerate(points.names)]


def _solve(
    law: CurveLaw, points: CurvePoints, keep: npt.NDArray[np.bool_], prior: float,
    start: Array | None,
) -> tuple[Solved, Problem, bool]:  # fmt: skip
    """Search, then weigh down points that lie far off and search again from there."""
    curves = np.unique(points.owner[keep]).size
    weight = np.where(keep, points.weight, 0.0)
    strength = prior * _MISFIT**2 * float(keep.sum()) / (_PLACES * curves)
    problem = Problem(law, points.nodes, points.scale, points.loss, weight, strength)
    solved, done, _ = search(problem, start)
    for _ in range(_ROUNDS):
        off = np.abs(_relative(law, points, solved))
        size = _OUTLYING * 1.4826 * float(np.median(off[keep]))
        far = keep & (off > size)
        if size == 0 or not far.any():
            break
        shrunk = np.where(far, np.sqrt(size / np.where(far, off, 1.0)), 1.0)
        problem = replace(problem, weight=weight * shrunk)
        solved, done, _ = search(problem, solved.shape)
    return solved, problem, done


def _relative(law: CurveLaw, points: CurvePoints, solved: Solved) -> Array:
    columns = law.columns(points.nodes, points.scale, solved.shape)[0]
    return np.asarray((solved.amplitudes @ columns - points.loss) / points.loss)


def _leave_out(
    law: CurveLaw, points: CurvePoints, prior: float, start: Solved
) -> tuple[LeftOut, ...]:
    if len(points.names) < 2:
        return ()
    rows = []
    for i, name in enumerate(points.names):
        solved, _, _ = _solve(law, points, points.without(i), prior, start.shape)
        off = _relative(law, points, solved)[points.owner == i]
        tail, half = off[-max(1, off.size // 10) :], off[off.size // 2 :]
        rows.append(
            LeftOut(name=name, error=float(tail.mean()), rms=float(np.sqrt(np.mean(half**2))))
        )
    return tuple(rows)


def full_jacobian(law: CurveLaw, columns: Array, slopes: Array, amplitudes: Array) -> Array:
    """Return derivatives of the loss, shape (shapes + amplitudes, steps)."""
    return np.concatenate([np.einsum("sac,a->sc", slopes, amplitudes), columns])


def _covariance(problem: Problem, solved: Solved, owner: npt.NDArray[np.intp]) -> Array:
    """Sandwich over blocks of neighbours: what a block bootstrap with linear refits would give."""
    law = problem.law
    columns, slopes = law.columns(problem.nodes, problem.scale, solved.shape)
    jacobian = full_jacobian(law, columns, slopes, solved.amplitudes) * problem.weight
    residuals = solved.residuals[: owner.size]
    # What is held at a bound does not move.
    low, high = np.array(law.lower), np.array(law.upper)
    free = np.concatenate([(solved.shape > low) & (solved.shape < high), solved.amplitudes > 0])
    jacobian = jacobian[free]
    bread = jacobian @ jacobian.T
    if problem.strength:
        slope = problem.penalty(solved.shape)[1]
        pull = np.concatenate([slope**2, np.zeros(solved.amplitudes.size)])[free]
        bread = bread + np.diag(pull)
    meat = np.zeros_like(bread)
    for curve in np.unique(owner):
        for block in np.array_split(np.flatnonzero(owner == curve), _BLOCKS):
            score = jacobian[:, block] @ residuals[block]
            meat += np.outer(score, score)
    size = np.sqrt(np.diag(bread))
    inverse = np.linalg.pinv(bread / np.outer(size, size), rcond=1e-12) / np.outer(size, size)
    found = np.zeros((free.size, free.size))
    found[np.ix_(free, free)] = inverse @ meat @ inverse
    return found


def _jumps(off: Array, owner: npt.NDArray[np.intp]) -> Array:
    """Second differences within curves, scaled to the size of one point's noise."""
    second = off[2:] - 2 * off[1:-1] + off[:-2]
    found = second[owner[2:] == owner[:-2]] / np.sqrt(6)
    return found if found.size else off


def _r2(loss: Array, off: Array) -> float:
    spread = float(((loss - loss.mean()) ** 2).sum())
    return 1 - float(((off * loss) ** 2).sum()) / spread if spread > 0 else float("nan")


def _reasons(
    law: CurveLaw, points: CurvePoints, solved: Solved, problem: Problem, done: bool, several: bool
) -> tuple[Reason, ...]:
    found = []
    if not done:
        found.append(
            Reason(code="MAX_ITER", message="the search used up its steps; treat the fit as rough")
        )
    if not several:
        found.append(
            Reason(
                code="ONE_CURVE",
                message="one curve cannot show how other schedules differ; add a run",
            )
        )
    if len(solved.amplitudes) > 2:
        moves = np.abs(np.diff(problem.nodes.total(np.ones_like(problem.nodes.rate)))).max(
            initial=0
        )
        if moves < 1e-3 * points.scale.rate:
            found.append(
                Reason(
                    code="NO_ANNEALING",
                    message="the learning rate hardly changes in these curves, so the effect of "
                    "lowering it is not in them; add a run that anneals",
                )
            )
        elif solved.amplitudes[2] == 0:
            found.append(
                Reason(code="BOUND_HIT", message="lowering the rate lowers no loss in these curves")
            )
    low, high = np.array(law.lower), np.array(law.upper)
    if ((solved.shape <= low) | (solved.shape >= high)).any():
        found.append(Reason(code="BOUND_HIT", message="a shape parameter lies at its bound"))
    return tuple(found)
