"""How well a design answers, on what that rests, and what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from isoloss.fit.backtest import run_scale
from isoloss.plan.audit_missing import Examined
from isoloss.plan.audit_parts import (
    ANSWERED,
    NEVER,
    OPEN,
    ROUGHLY,
    Direction,
    LawAnswer,
    Leverage,
    Question,
    Support,
    Target,
)
from isoloss.plan.audit_questions import NEEDED, Aim, Asked, place_under
from isoloss.plan.audit_take import Taken, by_configuration
from isoloss.plan.audit_words import joined, open_sentence, place_of, weak_sentence
from isoloss.plan.design_findings import Finding
from isoloss.plan.design_noise import DesignNoise
from isoloss.plan.local_model import LocalModel
from isoloss.plan.precision import Precision
from isoloss.plan.problem import Problem
from isoloss.runs import Runs

_WEAK = 0.25
"""Relative standard error from which a direction is told."""
_MOST_WEAK = 2
_PART = 0.2
"""Changes below this share of the largest are left out of a sentence."""
_NO_CHECK = 0.9
_FAR = 3.0
_HEAVY = 3


def judge(
    name: str,
    examined: list[Examined],
    lead: Taken,
    noise: DesignNoise,
    count: npt.NDArray[np.int64],
    places: list[str],
) -> Question:
    """Say how well the design answers a question under the leading law, and beside the others.

    Parameters
    ----------
    examined
        Laws at the design, the leading one first.
    count
        Repeats of each configuration, (c,).
    places
        The configurations in words.
    """
    able = [(e, e.asked[name]) for e in examined if name in e.asked]
    first, asked = able[0]
    log = np.log if asked.relative else np.asarray
    shares = np.array([e.weight for e, _ in able])
    centres = np.array([float(log(a.value)) for _, a in able])
    mean = float(shares @ centres / shares.sum())
    between = float(np.sqrt(shares @ (centres - mean) ** 2 / shares.sum()))
    error = first.seen.variance(asked.row) ** 0.5
    total = float(np.hypot(error, between))
    again, limit = 1.0, 1.0
    if np.isfinite(error):
        more = (noise.of_mean(count) / noise.of_mean(2 * count))[:, None]
        twice = Precision.of(first.seen.rows * more)
        again = float(np.hypot(twice.variance(asked.row) ** 0.5, between)) / max(total, 1e-300)
        rest = 0.0
        if noise.beyond > 0:
            scale = (noise.of_mean(count) / noise.beyond)[:, None]
            rest = Precision.of(first.seen.rows * scale).variance(asked.row) ** 0.5
        limit = float(np.hypot(rest, between)) / max(total, 1e-300)
    needed = NEEDED[name]
    if name == "E":
        lowest = float(lead.data.loss.min())
        needed = (needed[0] * lowest, needed[1] * lowest)
    half, supports = _supports(first.seen, asked, places)
    return Question(
        name=name,
        title=asked.title,
        relative=asked.relative,
        value=asked.value,
        standard_error=error,
        between=between,
        again=again,
        limit=limit,
        needed=needed,
        state=_state(total, limit, needed),
        half=half,
        supports=supports,
        by_law=tuple(
            LawAnswer(
                law=e.model.law.name,
                weight=e.weight,
                value=a.value,
                standard_error=e.seen.variance(a.row) ** 0.5,
            )
            for e, a in able
        ),
    )


def _state(total: float, limit: float, needed: tuple[float, float]) -> str:
    if not np.isfinite(total):
        return NEVER
    if total <= needed[1]:
        return ANSWERED if total <= needed[0] else ROUGHLY
    return NEVER if limit * total > needed[1] else OPEN


def _supports(seen: Precision, asked: Asked, places: list[str]) -> tuple[int, tuple[Support, ...]]:
    variance = seen.variance(asked.row)
    if not np.isfinite(variance) or variance == 0:
        return 0, ()
    share = seen.pulls(asked.row) ** 2
    share = share / share.sum()
    order = np.argsort(-np.round(share, 9), kind="stable")
    half = 1 + int(np.searchsorted(np.cumsum(share[order]), 0.5 - 1e-9))
    without = np.sqrt(seen.without_each(asked.row) / variance)
    return half, tuple(
        Support(place=places[k], share=float(share[k]), without=float(without[k]))
        for k in order[:_HEAVY]
    )


def refused(q: Question) -> Question:
    """On one line of N and D the two terms may change places."""
    return replace(
        q, standard_error=float("inf"), again=1.0, limit=1.0, state=NEVER, half=0, supports=()
    )


def find_directions(e: Examined, lead: Taken, noise: DesignNoise) -> tuple[Direction, ...]:
    """Find parameters that no run tells apart, then those that are hardly told apart."""
    labels = e.model.labels
    found = []
    for members, directions in e.seen.groups():
        names = [labels[i] for i in members]
        found.append(
            Direction(
                changes={},
                standard_error=float("inf"),
                open=directions,
                moved=0.0,
                sentence=open_sentence(names, directions),
            )
        )
    turned, errors = e.seen.directions()
    floor = _floor(e.model, lead)
    unit = by_configuration(lead)
    for k in range(min(_MOST_WEAK, len(errors))):
        if errors[k] < _WEAK:
            break
        changes = turned[:, k] * errors[k]
        moved = float(np.abs(unit @ changes).max())
        most = float(np.abs(changes).max())
        order = [i for i in np.argsort(-np.abs(changes), kind="stable")
                 if abs(changes[i]) >= _PART * most]  # fmt: skip
        spoken = {labels[i]: _spoken(e.model, i, float(changes[i])) for i in order}
        found.append(
            Direction(
                changes=dict(zip(labels, changes.tolist(), strict=True)),
                standard_error=float(errors[k]),
                open=0,
                moved=moved,
                sentence=weak_sentence(spoken, moved, noise.one, floor if "E" in spoken else ""),
            )
        )
    return tuple(found)


def _spoken(model: LocalModel, i: int, change: float) -> tuple[float, bool]:
    """Change of a parameter as people read it: floors in losses, others as a share."""
    if model.law.parameters[i].unit == "L":
        return change * float(model.size[i]) * float(model.scales["L"]), False
    return change, True


def _floor(model: LocalModel, lead: Taken) -> str:
    if "E" not in model.law.names:
        return ""
    E, lowest = float(model.theta[model.law.names.index("E")]), float(lead.data.loss.min())
    if not 0 < E < lowest:
        return f"; the lowest loss of the runs is {lowest:.3g}"
    above = 100 * (lowest / E - 1)
    return f"; the lowest loss of the runs, {lowest:.3g}, is {above:.0f} % above E"


def find_leverage(
    seen: Precision, lead: Taken, places: list[str], table: Runs
) -> tuple[Leverage, ...]:
    """Order the configurations by how far they decide their own fitted loss."""
    values = seen.leverage()
    order = np.argsort(-np.round(values, 9), kind="stable")
    made: list[list[str]] = [[] for _ in places]
    for row, group in zip(lead.data.order, lead.data.groups, strict=True):
        made[int(group)].append(table.names[int(row)])
    return tuple(
        Leverage(place=places[k], names=tuple(made[k]), leverage=float(values[k])) for k in order
    )


def find_target(
    e: Examined,
    problem: Problem,
    aim: Aim,
    noise: DesignNoise,
    table: Runs,
    axes: Sequence[str],
) -> Target | None:
    """Measure how far the decision lies beyond the data, by what the runs know there."""
    at = place_under(e.model, problem, aim)
    if at is None:
        return None
    row = e.model.rows({a: np.array([v]) for a, v in at.items()})[0]
    data = {a: table[a] for a in e.model.law.axes}
    edge = np.sqrt(np.sum((e.model.rows(data) @ e.seen.root) ** 2, axis=1)).max()
    place = {a: np.array([v]) for a, v in at.items()}
    joint = {"N", "D"} <= set(at)
    far = np.asarray(problem.cost(place["N"], place["D"])) if joint else run_scale(place, axes)
    near = np.asarray(problem.cost(table["N"], table["D"])) if joint else run_scale(table, axes)
    return Target(
        at=at,
        place=place_of(at),
        reach=float(far[0] / near.max()),
        error=e.seen.variance(row) ** 0.5 / noise.one,
        worst_run=float(edge / noise.one),
    )


def find_never(e: Examined, questions: tuple[Question, ...], *, line: bool) -> tuple[str, ...]:
    """List what no repeating of the runs identifies."""
    found = []
    if line:
        found.append("which part of the loss belongs to N and which to D, and the best split")
    for members, _ in e.seen.groups():
        names = [e.model.labels[i].rstrip("*") for i in members]
        found.append(f"{joined(names)} one from another" if len(names) > 1 else names[0])
    for q in questions:
        if q.state == NEVER and np.isfinite(q.standard_error):
            why = f"the laws differ by {q.shown(q.between)}"
            if q.limit * q.total > 1.5 * q.between:
                why = "scatter that is none of seeds remains"
            found.append(f"{q.title} ({why})")
    return tuple(found)


def fitted_findings(
    lead: Taken,
    leverage: tuple[Leverage, ...],
    target: Target | None,
    noise: DesignNoise,
    e: Examined,
) -> list[Finding]:
    """Find what is wrong with a design once laws are fitted."""
    found = []
    if k := e.seen.null.shape[1]:
        found.append(
            Finding(
                code="UNIDENTIFIED",
                severity="high",
                message=f"{e.seen.rank} of the {e.seen.rank + k} parameters of "
                f"{e.model.law.name} are determined; see what the runs do not tell apart",
                remedy="add runs of another kind, pin parameters or choose a smaller law",
            )
        )
    alone = [r for r in leverage if r.leverage >= _NO_CHECK]
    if alone:
        names = "; ".join(r.place for r in alone[:3]) + ("; ..." if len(alone) > 3 else "")
        found.append(
            Finding(
                code="HIGH_LEVERAGE",
                severity="medium",
                message=f"the law passes through {len(alone)} configuration"
                f"{'s' * (len(alone) > 1)} whatever was measured there: {names}",
                remedy="add runs near them, so that a mistake there can be seen",
            )
        )
    if target is not None and _FAR < target.distance < np.inf:
        found.append(
            Finding(
                code="FAR_BEYOND",
                severity="medium",
                message=f"the decision lies {target.distance:.3g} times farther than the edge of "
                "the data, by what the runs know there",
                remedy="add larger runs on the way, or those named as missing",
                repeats_help=True,
            )
        )
    unseen = {e.model.law.names[i] for members, _ in e.seen.groups() for i in members}
    bound = [n for n in lead.at_bound if n not in unseen]
    if bound:
        found.append(
            Finding(
                code="BOUND_HIT",
                severity="medium",
                message=f"{joined(bound)} of {e.model.law.name} lies at a bound or "
                "beyond reason: standard errors hold on one side of it at best",
                remedy="see the profile of the fit, or choose a smaller law",
            )
        )
    if noise.seeds is not None and noise.beyond > noise.seeds:
        found.append(
            Finding(
                code="MISFIT",
                severity="medium",
                message=noise.sentence,
                remedy="look for what differs between configurations (tuning, schedule), or try "
                "other laws",
            )
        )
    return found
