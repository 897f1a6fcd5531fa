"""From the gains of all policies to one answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from isoloss.fit.certificate import Reason
from isoloss.prune.verdict_checks import far_reason, misfit_reason
from isoloss.prune.verdict_fit import FittedForms
from isoloss.prune.verdict_gain import Gains, find_policy, measure_gains
from isoloss.prune.verdict_result import KEEP_ALL, NO_VERDICT, PolicyFinding, Question
from isoloss.prune.verdict_words import overlap, span


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """The answer, the policy behind it, why there is none, and what all of it rests on."""

    answer: str
    chosen: PolicyFinding | None
    reasons: tuple[Reason, ...]
    policies: tuple[PolicyFinding, ...]
    gains: Gains


def decide(forms: FittedForms, question: Question, level: float) -> Decision:
    """Find what every policy does at the target, and choose the answer."""
    gains = measure_gains(forms, question, level)
    policies = tuple(
        find_policy(forms, gains, d.policy, question, level) for d in forms.world.designs
    )
    policies = tuple(
        replace(p, finding="unsettled") if beyond_one_size(forms, p) else p for p in policies
    )
    answer, chosen, reasons = _answer(policies, gains, forms)
    return Decision(answer=answer, chosen=chosen, reasons=reasons, policies=policies, gains=gains)


def beyond_one_size(forms: FittedForms, finding: PolicyFinding) -> bool:
    """Whether a policy was piloted at one size, and the target is another."""
    scaled = {d.policy: d.scaled for d in forms.world.designs}
    return not scaled[finding.policy] and finding.reach > 1.5


def _answer(
    policies: tuple[PolicyFinding, ...], gains: Gains, forms: FittedForms
) -> tuple[str, PolicyFinding | None, tuple[Reason, ...]]:
    """Choose the answer."""
    reach = max(p.reach for p in policies)
    if wrong := misfit_reason(forms, reach) or far_reason(forms, reach):
        return NO_VERDICT, None, (wrong,)
    better = sorted((p for p in policies if p.finding == "better"), key=lambda p: -p.gain.value)
    if better:
        first = better[0]
        reasons = [
            Reason(
                code="POLICIES_ALIKE",
                message=f"{p.policy} helps as well, and the pilots do not tell it from "
                f"{first.policy}: "
                f"{span(p.gain, as_percent=True)}",
            )
            for p in better[1:]
            if not _apart(gains, first, p)
        ]
        return first.policy, first, tuple(reasons)
    if all(p.finding == "worse" for p in policies):
        return KEEP_ALL, None, ()
    stuck = [p for p in policies if beyond_one_size(forms, p)]
    if stuck:
        names = " and ".join(p.policy for p in stuck)
        why = Reason(
            code="ONE_SIZE",
            message=f"{names} was piloted at one size, so that its change with scale is unknown, "
            f"and the target is {stuck[0].reach:.3g} times beyond: pilot the same shares at two "
            "more sizes",
        )
        return NO_VERDICT, None, (why,)
    return NO_VERDICT, None, (Reason(code="OVERLAP", message=overlap(policies)),)


def _apart(gains: Gains, first: PolicyFinding, other: PolicyFinding) -> bool:
    """Whether the better of two policies that help is surely better."""
    i, j = (
        int(
            np.argmin(
                [
                    abs(k - p.keep.value) if name == p.policy else math.inf
                    for name, k in zip(gains.policies, gains.keeps, strict=True)
                ]
            )
        )
        for p in (first, other)
    )
    tail = (1 - first.gain.interval.level) / 2
    return float(np.nanquantile((gains.gain[:, i] - gains.gain[:, j])[1:], tail)) > 0
