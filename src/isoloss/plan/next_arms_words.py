"""Doubts about runs that are to tell two recipes apart, the verdict to stop, and the sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isoloss._core.interval import Interval
from isoloss.plan.next_arms_gain import State
from isoloss.plan.next_arms_read import Reading
from isoloss.plan.next_arms_result import ArmsTie, NextArmRun, ends
from isoloss.plan.next_places import Places
from isoloss.plan.reason import Reason

LEAST_GAIN = 0.02
"""Batches that take less than this share off the square error are not worth their cost."""
_SEEN = 0.8
_BLIND = 0.5
_FAR = 100.0
_MISFIT = 0.9
"""Residuals of twins that correlate by more are misfit rather than noise."""


def reasons_for(
    reading: Reading,
    begin: State,
    ties: Sequence[ArmsTie],
    where: Places,
    budget: float,
    gain: float,
    sign: int,
) -> tuple[bool, list[Reason]]:
    """Whether to stop, and why; what else to know."""
    found, unit = [], where.runs.unit
    if not len(where.runs):
        text = f"every candidate costs more than {budget:.3g} {unit}; raise the budget or allow "
        text += "smaller runs"
        found.append(Reason(code="NO_AFFORDABLE_RUN", message=text, severity="refusal"))
    elif gain < LEAST_GAIN:
        text = f"no batch within the budget takes {100 * LEAST_GAIN:g} % off the square error of "
        text += "the gap: stop, or spend much more; what is left is how laws bend and differ far "
        text += "from the runs, or the runs are as good as noise allows"
        found.append(Reason(code="NOTHING_NARROWS", message=text, severity="refusal"))
    if sign:
        text = f"{reading.names[1]} is {'better' if sign > 0 else 'worse'} at that scale whichever "
        text += "parameters are in common, as the runs at hand have it: more runs only narrow "
        text += "the multiplier; ask isoloss compare, which resamples, before acting on it"
        found.append(Reason(code="SETTLED", message=text, severity="info"))
    elif gain >= LEAST_GAIN:
        found += _reach(reading, ties)
    found += _rest(reading, begin)
    stops = {"NO_AFFORDABLE_RUN", "NOTHING_NARROWS", "SETTLED", "BEYOND_REACH"}
    return any(r.code in stops for r in found), found


def one_sign(ties: Sequence[ArmsTie]) -> bool:
    """Whether one recipe is the better one whichever parameters are in common."""
    return len({t.gap > 0 for t in ties}) == 1


def _reach(reading: Reading, ties: Sequence[ArmsTie]) -> list[Reason]:
    """Say what decides, and whether any affordable design would."""
    told = [
        f"{_held(t)} {reading.names[1 if t.gap > 0 else 0]} is ahead, called by these runs with a "
        f"chance of {100 * t.power:.0f} % and by a hundred times as many with "
        f"{100 * t.power_many:.0f} %"
        for t in ties
    ]
    if not one_sign(ties):
        text = f"{'; '.join(told)}: whether the floors are one decides, so settle that first, by "
        text += "runs near the scale or by what you know of data and evaluation (--tie)"
        return [Reason(code="TIE_DECIDES", message=text)]
    found = []
    if min(t.power_many for t in ties) < _BLIND:
        text = f"{'; '.join(told)}: at the gap as estimated no affordable design names the better "
        if len(ties) > 1 and max(t.power_many for t in ties) >= _BLIND:
            text += "one unless the floors are known to be one (--tie E): compare at a smaller "
            text += "scale, or allow runs near that one (--box)"
        else:
            text += "one: they are alike as far as such runs can see; compare at a smaller scale, "
            text += "or take either"
        found.append(Reason(code="BEYOND_REACH", message=text))
    elif len(ties) > 1 and max(t.power for t in ties) >= _SEEN > _BLIND > min(
        t.power for t in ties
    ):
        text = f"{'; '.join(told)}: whether the floors are one decides"
        found.append(Reason(code="TIE_DECIDES", message=text))
    return found


def _held(t: ArmsTie) -> str:
    return f"with {', '.join(t.tied)} in common" if t.tied else "with nothing in common"


def _rest(reading: Reading, begin: State) -> list[Reason]:
    found = []
    loose = []
    for j, b in zip(reading.joints, begin, strict=True):
        # The part of the variance that comes from the prior of parameters, not from runs.
        pull = j.case.g @ b.covariance
        if np.sum((pull / j.prior) ** 2) > 0.5 * float(pull @ j.case.g):
            loose.append(j.fitted.recipe.base.name)
    if loose:
        names = ", ".join(dict.fromkeys(loose))
        text = f"{names}: the runs at hand leave the gap open, so that the intervals are those of "
        text += "a wide guess; make the first runs, ask again"
        found.append(Reason(code="PRIOR_DECIDES", message=text))
    reach = reading.scale / reading.place.largest
    if reach > _FAR:
        text = f"the comparison is {reach:.3g} times beyond the largest scale that both recipes "
        text += "have runs at: what runs would tell rests on the laws alone"
        found.append(Reason(code="FAR_BEYOND", message=text))
    if reading.scale * _FAR < reading.place.smallest:
        text = f"the comparison is {reading.place.smallest / reading.scale:.3g} times below the "
        text += "smallest scale that both recipes have runs at: is that the scale you mean?"
        found.append(Reason(code="FAR_BELOW", message=text))
    noise = reading.noise
    if noise.measured and noise.correlation >= _MISFIT:
        text = f"{noise.sentence}: so much is what the laws miss in both recipes rather than noise "
        text += "of a seed, and further runs may not share it; say --paired R (in Python paired=R)"
        found.append(Reason(code="PAIRED_MISFIT", message=text))
    return found


def sentence(
    reading: Reading,
    runs: Sequence[NextArmRun],
    before: Interval,
    after: Interval,
    gain: float,
    spent: float,
    unit: str,
    verdict: str,
    power: float,
) -> str:
    """Say the whole in one sentence or two."""
    baseline, recipe = reading.names
    what = f"the compute multiplier of {recipe} over {baseline} at {reading.place.resource} = "
    what += f"{reading.scale:.3g}"
    level = f"({100 * before.level:g} %)"
    if not runs:
        text = f"No run that can be afforded narrows {what}: it stays within {ends(before)} {level}"
    else:
        count = sum(r.runs for r in runs)
        text = f"{count} run{'s' if count > 1 else ''} for {spent:.3g} {unit} would narrow {what} "
        text += f"from {ends(before)} to {ends(after)} {level}, {100 * gain:.0f} % off the square "
        text += "error of the gap"
    if verdict != "cannot tell":
        return f"{text}. Which is better is settled: {recipe} is {verdict}."
    if not runs:
        return text + "."
    return f"{text}, and name the better one with a chance of {100 * power:.0f} %."
