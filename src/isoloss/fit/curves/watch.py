"""Forecast the end of a run that is under way, and say whether it is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, freeze
from isoloss._core.interval import Interval
from isoloss.errors import FitError, InputError
from isoloss.fit.certificate import Reason
from isoloss.fit.curves.collapse import collapse
from isoloss.fit.curves.forecast import forecast_curve
from isoloss.fit.curves.health import health
from isoloss.fit.curves.points import FEWEST, first_step, schedule_of
from isoloss.fit.curves.result import ScheduleFit
from isoloss.fit.curves.schedule_fit import fit_schedule_law
from isoloss.laws.curve_law import CurveLaw, RateScale, get_curve_law
from isoloss.laws.rate_nodes import RateNodes
from isoloss.laws.schedule import Schedule
from isoloss.runs.curve import Curve, as_curves

_SHARE_OF_POWER, _SHARE_SPREAD = 0.4, 0.5
"""Amplitude of annealing over what the power law leaves at the end: .38 in the published fits."""
_FALLEN = 0.7
_UNTESTED = {"like": 0.005, "family": 0.005}
_OWN = 0.012
_FEW_SHARE, _OFF = 0.1, 3.0
_POINTS = 1000
_STOP = ("NOT_FINITE", "DIVERGED", "ABOVE_TARGET")
_ALONE = 0.5
"""Share done before which no run is stopped on the word of its own curve."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunWatch:
    """What can be said of a run before its end.

    Attributes
    ----------
    name, route
        Of the run; ``"like"``, ``"family"`` or ``"own"``.
    done
        Share of the planned steps that is logged.
    final_loss, final
        Forecast of the last step, with the interval of a measurement.
    replayed
        Relative errors of the same forecast on complete runs, cut at the same share.
    step, expected
        The forecast curve at the logged steps and beyond.
    verdict
        ``"go on"``, ``"look"`` or ``"stop"``.
    reasons
        Why not simply go on.
    """

    name: str
    route: str
    done: float
    final_loss: float
    final: Interval
    replayed: dict[str, float]
    step: Array
    expected: Array
    verdict: str
    reasons: tuple[Reason, ...]

    def __repr__(self) -> str:
        return f"RunWatch({self.name!r}: {self.verdict}, {self.final_loss:.5g} {self.final!r})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "name": self.name,
            "route": self.route,
            "done": self.done,
            "final_loss": self.final_loss,
            "final": self.final.to_dict(),
            "replayed": dict(self.replayed),
            "verdict": self.verdict,
            "reasons": [r.to_dict() for r in self.reasons],
        }

    def summary(self) -> str:
        """Say it in lines for people."""
        words = {
            "like": "by the law of earlier runs of this size",
            "family": "by the collapsed curve of the family",
            "own": "by its own curve alone",
        }
        lines = [
            f"{self.name}: {100 * self.done:.3g} % done; {self.verdict}",
            f"  final loss {self.final_loss:.4f} [{self.final.low:.4f}, {self.final.high:.4f}], "
            f"{words[self.route]}",
        ]
        if self.replayed:
            size = np.sqrt(np.mean(np.square(list(self.replayed.values()))))
            lines.append(
                f"  replayed on {len(self.replayed)} complete runs cut there: "
                f"{100 * size:.2g} % off"
            )
        return "\n".join(lines + [f"  {r.code}: {r.message}" for r in self.reasons])


def watch_run(
    curve: Curve,
    planned: Schedule,
    *,
    like: Sequence[Curve] = (),
    family: Sequence[Curve] = (),
    schedules: Mapping[str, Schedule] | None = None,
    warmup: int = 0,
    target: float | None = None,
    level: float = 0.9,
    ends_missing: bool = False,
) -> RunWatch:
    r"""Forecast the final loss of a run from what is logged so far.

    With ``like``, complete runs of the same model, a multi-power law fitted to them gives the curve
    under the planned schedule, and the run's own last third its level. With ``family``, complete
    runs of other sizes under the same shape of schedule, their collapsed curve does. With neither,
    the law is fitted to the run itself; what annealing will bring is then a rough constant.
    Intervals are the errors of the same forecast on complete runs, each cut at the same share.

    Parameters
    ----------
    curve
        The run so far.
    planned
        Rates of all its steps.
    like, family
        Complete runs; one of the two.
    schedules
        Of complete runs by name; else their logged rates.
    warmup
        As for `fit_schedule_law`.
    target
        A loss that the run must reach; the verdict is to stop where the interval lies above it,
        but to look where less than half is done and the run's own curve is all there is.
    level
        Of the interval.
    ends_missing
        Whether the last log was no finite number above zero.

    Returns
    -------
    RunWatch
        Forecast, interval, verdict.

    Raises
    ------
    InputError
        Too few logs after the warm-up, logs beyond the plan, or runs that do not fit together.

    Examples
    --------
    >>> from isoloss.laws.curve_law import curve_loss
    >>> from isoloss.laws.schedule import make_schedule
    >>> true = {"L0": 2.0, "A": 1.0, "alpha": 0.5}
    >>> plan = make_schedule("constant:2000", peak=0.01)
    >>> at = np.arange(100, 900, 20)
    >>> run = Curve(at, curve_loss("rate-power", true, plan, at=at), name="run")
    >>> found = watch_run(run, plan)
    >>> found.verdict, round(found.done, 2), round(found.final_loss, 2)
    ('go on', 0.44, 2.22)
    """
    level = as_level(level)
    if like and family:
        raise InputError("like, family: give one of the two")
    if curve.step[-1] > len(planned):
        raise InputError(
            f"{curve.name}: step {curve.step[-1]:g} is logged, but {len(planned)} are planned"
        )
    curve = curve.thinned(_POINTS)
    usable = int((curve.step >= first_step(planned)).sum())
    if usable < FEWEST:
        raise InputError(
            f"{curve.name}: {usable} logs after the warm-up and the first twentieth of the plan; "
            f"{FEWEST} are needed, so wait"
        )
    done = min(float(curve.step[-1]) / (len(planned) - 1), 1.0)
    others = as_curves(like or family) if like or family else []
    plans = [schedule_of(c, schedules, warmup) for c in others]
    route = "like" if like else "family" if family else "own"
    reasons: list[Reason] = []
    replayed: dict[str, float] = {}
    if route == "own":
        end, expected, size = _own(curve, planned, done)
    else:
        make = _by_law if like else _by_family
        predict = make(others, plans)
        end, expected = predict(curve, planned)
        if len(others) > (1 if like else 2):
            replayed = _replay(make, others, plans, done)
        errors = np.array(list(replayed.values()) or [_UNTESTED[route]])
        size = max(float(np.sqrt(np.mean(errors**2))), 1e-3)
        reasons += _off(curve, expected(curve.step), size)
    half = _quantile(level, len(replayed)) * size * end
    final = Interval(
        low=end - half, high=end + half, level=level,
        method="replay on complete runs" if replayed else "errors usual on published curves",
    )  # fmt: skip
    reasons = health(curve, expected(curve.step), ends_missing=ends_missing) + reasons
    if done < _FEW_SHARE:
        text = f"{100 * done:.2g} % is done; a forecast from less than 10 % says little"
        reasons.append(Reason(code="EARLY", message=text))
    if target is not None and final.low > target:
        text = f"the whole interval lies above the target {target:g}"
        reasons.append(Reason(code="ABOVE_TARGET", message=text))
    early = route == "own" and done < _ALONE
    stop = any(r.code in _STOP and not (early and r.code == "ABOVE_TARGET") for r in reasons)
    step = np.unique(np.append(curve.step, np.linspace(curve.step[-1], len(planned) - 1, 100)))
    return RunWatch(
        name=curve.name,
        route=route,
        done=done,
        final_loss=end,
        final=final,
        replayed=replayed,
        step=freeze(step),
        expected=freeze(expected(step)),
        verdict="stop" if stop else "look" if reasons else "go on",
        reasons=tuple(reasons),
    )


_Predict = Callable[[Curve, Schedule], tuple[float, Callable[[Array], Array]]]


def _tail(curve: Curve) -> slice:
    return slice(-max(len(curve) // 3, 3), None)


def _by_law(others: Sequence[Curve], plans: Sequence[Schedule]) -> _Predict:
    fitted = fit_schedule_law(
        others, schedules={c.name: p for c, p in zip(others, plans, strict=True)}
    )
    return lambda curve, planned: _levelled(fitted, curve, planned)


def _levelled(
    fitted: ScheduleFit, curve: Curve, planned: Schedule
) -> tuple[float, Callable[[Array], Array]]:
    """Move a law's curve to the level of the run's last third."""
    first = first_step(planned)
    at = np.unique(np.linspace(first, len(planned) - 1, 400).round())
    ahead = forecast_curve(fitted, planned, at=at)

    def law(step: Array) -> Array:
        return np.asarray(np.interp(step, at, ahead.loss))

    part = _tail(curve)
    shift = float(np.mean(np.log(curve.loss[part] / law(curve.step[part]))))
    return ahead.final_loss * float(np.exp(shift)), lambda step: law(step) * np.exp(shift)


def _by_family(others: Sequence[Curve], plans: Sequence[Schedule]) -> _Predict:
    shared = collapse(others, plans)

    def predict(curve: Curve, planned: Schedule) -> tuple[float, Callable[[Array], Array]]:
        from isoloss.fit.curves.collapse import same_shape

        same_shape(plans[0], planned)
        part = _tail(curve)
        end = shared.end(curve.step[part] / len(planned), curve.loss[part])
        return end, lambda step: shared.expected(step / len(planned), end)

    return predict


def _own(
    curve: Curve, planned: Schedule, done: float
) -> tuple[float, Callable[[Array], Array], float]:
    """Fit the run's own curve; where no fall of the rate was seen, put a usual one in."""
    try:
        fitted = fit_schedule_law(curve, schedules={curve.name: planned})
    except FitError as error:
        raise InputError(f"{curve.name}: {error}") from None
    # Three quarters of what is seen: what the last few logs show of a fall is its start.
    place = min(round(0.75 * float(curve.step[-1])), len(planned) - 1)
    doubt = 0.0
    if planned.rates[place] > _FALLEN * planned.peak:
        fitted = fit_schedule_law(curve, law=_tied(), schedules={curve.name: planned})
        now = planned.rates[min(round(float(curve.step[-1])), len(planned) - 1)]
        fall = max(float(now - planned.rates[-1]), 0.0) / planned.peak
        doubt = _SHARE_SPREAD * _SHARE_OF_POWER * float(fitted.amplitudes[1]) * fall
    end, expected = _levelled(fitted, curve, planned)
    size = np.sqrt((_OWN * (1 - done) ** 0.5) ** 2 + (doubt / end) ** 2 + 1e-6)
    return end, expected, float(size)


def _tied() -> CurveLaw:
    """Build the multi-power law whose annealing is a share of what the power law leaves."""
    law = get_curve_law("multi-power")

    def columns(nodes: RateNodes, scale: RateScale, shape: Array) -> tuple[Array, Array]:
        found, slopes = law.columns(nodes, scale, shape)
        # The sum of all planned rates counts as one, so the power law ends at its amplitude.
        tie = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, _SHARE_OF_POWER]])
        return tie @ found, np.einsum("ab,sbc->sac", tie, slopes)

    return replace(law, name="multi-power, tied", columns=columns, published=lambda *_: {})


def _replay(
    make: Callable[[Sequence[Curve], Sequence[Schedule]], _Predict], others: Sequence[Curve],
    plans: Sequence[Schedule], done: float,
) -> dict[str, float]:  # fmt: skip
    """Forecast each complete run from the others, cut at the same share."""
    found = {}
    for i, (curve, plan) in enumerate(zip(others, plans, strict=True)):
        rest = [c for j, c in enumerate(others) if j != i]
        begun = curve.until(done * (len(plan) - 1))
        if int((begun.step >= first_step(plan)).sum()) < FEWEST:
            continue
        predict = make(rest, [p for j, p in enumerate(plans) if j != i])
        end, _ = predict(begun, plan)
        found[curve.name] = end / float(curve.loss[-max(1, len(curve) // 50) :].mean()) - 1
    return found


def _off(curve: Curve, expected: Array, size: float) -> list[Reason]:
    """Say where the run leaves the shape that others show."""
    half = len(curve) // 2
    if half < 5:
        return []
    ratio = np.log(curve.loss[half:] / expected[half:])
    third = max(ratio.size // 3, 2)
    drift = float(ratio[-third:].mean() - ratio[:third].mean())
    if abs(drift) < _OFF * max(size, 2e-3):
        return []
    text = (
        f"over its second half the run moved {100 * drift:+.2g} % against the curve of the others"
    )
    return [Reason(code="OFF_FAMILY", message=f"{text}; compare data, rates and batch")]


def _quantile(level: float, count: int) -> float:
    from scipy.stats import norm, t

    q = (1 + level) / 2
    return float(t.ppf(q, count)) if count else float(norm.ppf(q))
