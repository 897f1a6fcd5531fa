"""The verdict in words."""

from __future__ import annotations

import math
from typing import Any

from isoloss.prune.verdict_result import (
    EASY,
    HARD,
    KEEP_ALL,
    NO_VERDICT,
    Estimate,
    PolicyFinding,
    Question,
)

_ENDS = {HARD: "hardest", EASY: "easiest"}


def percent(value: float) -> str:
    """Write a part as a percentage of three digits."""
    return f"{100 * value:.3g} %" if math.isfinite(value) else "without end"


def number(value: float) -> str:
    """Write a number for people: four digits, thousands apart, no end in words.

    Examples
    --------
    >>> number(10208.3), number(1e5), number(0.021347), number(3.947e11)
    ('10,210', '100,000', '0.02135', '3.947e+11')
    """
    if not math.isfinite(value):
        return "without end"
    rounded = float(f"{value:.4g}")
    return f"{rounded:,.0f}" if 1000 <= abs(rounded) < 1e9 else f"{rounded:.4g}"


def span(estimate: Estimate, as_percent: bool = False) -> str:
    """Write a value with its interval."""
    show = percent if as_percent else number
    inside = estimate.interval
    return f"{show(estimate.value)} [{show(inside.low)}, {show(inside.high)}]"


def asked(question: Question) -> str:
    """Say what is asked."""
    parts = []
    if math.isfinite(question.pool):
        parts.append(f"a pool of {number(question.pool)} examples")
    if question.budget is not None:
        unit = "FLOPs" if question.unit == "flops" else "examples seen"
        parts.append(f"training for {number(question.budget)} {unit}")
    return " and ".join(parts)


def answer_sentence(answer: str, question: Question, finding: PolicyFinding | None) -> str:
    """Write the answer in one sentence."""
    where = asked(question)
    if answer in _ENDS and finding is not None:
        return (
            f"Prune: for {where}, keep the {_ENDS[answer]} {percent(finding.keep.value)} of "
            f"{number(finding.pool)} examples; the loss is lower by "
            f"{span(finding.gain, as_percent=True)} than without pruning."
        )
    if answer == KEEP_ALL:
        return (
            f"Do not prune by this score: for {where} every policy and share that was tried ends "
            "above training without pruning."
        )
    return f"No verdict for {where}: the pilots do not say whether pruning helps."


def overlap(findings: tuple[PolicyFinding, ...]) -> str:
    """Why the pilots decide nothing."""
    parts = [
        f"{f.policy} at {percent(f.keep.value)} gains {span(f.gain, as_percent=True)}"
        for f in findings
    ]
    return f"the curves overlap at the target: {'; '.join(parts)}"


def summary(verdict: Any) -> str:
    """Write the verdict for people, a screen long."""
    v = verdict
    name = f"{v.metric}, " if v.metric else ""
    data = f" of {v.data}" if v.data else ""
    lines = [f"{name}{v.runs} pilots{data}, {v.outcome}; intervals at {100 * v.level:g} %"]
    lines.append(v.sentence)
    if v.loss is not None and v.loss_none is not None:
        lines.append(f"  {v.outcome} {span(v.loss)}; without pruning {span(v.loss_none)}")
    if v.keep is not None:
        lines.append(f"  best share {span(v.keep, as_percent=True)}")
    if v.multiplier is not None:
        lines.append(f"  an example kept is worth {span(v.multiplier)} random ones")
    lines += [_policy_line(p) for p in v.policies]
    lines += [line for c in v.crossovers if (line := _crossover_line(c))]
    if v.frontier is not None:
        f = v.frontier
        lines.append(f"  {f.sentence}")
        lines.append(
            f"    exponent {span(f.exponent)}, without pruning {span(f.unpruned)}; difference "
            f"{span(f.difference)}, p = {f.p:.2g}"
        )
    if v.break_even is not None:
        lines.append(_break_even_line(v.break_even))
    lines += [f"  {w.sentence}" for w in v.worst_class]
    if v.forms:
        kept = [f"{f.form} {f.weight:.2f}" for f in v.forms if not f.excluded]
        lines.append(
            f"  {len(kept)} of {len(v.forms)} forms of the loss are not excluded: {'; '.join(kept)}"
        )
        lines.append(f"  the target is {v.reach:.3g} times beyond the pilots")
    lines += [f"  note: {n}" for n in v.notes]
    lines += [f"  {r.code}: {r.message}" for r in v.reasons]
    if v.next_pilots:
        lines.append("  next pilot: " + v.next_pilots[0].sentence)
    return "\n".join(lines)


def _policy_line(p: PolicyFinding) -> str:
    text = (
        f"  {p.policy}: {p.finding}; best share {percent(p.keep.value)}, gain "
        f"{span(p.gain, as_percent=True)}, beside as many random "
        f"{span(p.gain_random, as_percent=True)}"
    )
    if p.lossless is not None:
        text += f"; lossless from a share of {span(p.lossless, as_percent=True)}"
    return text


def _crossover_line(c: Any) -> str:
    if c.winner == EASY:
        return ""
    start = f"  at {percent(c.keep)} {c.winner} overtakes {c.loser}"
    inside = c.D.interval
    if c.D.value == 0:
        tail = "" if inside.high == 0 else f", or else by {number(inside.high)}"
        return f"{start}: is ahead from {number(c.looked[0])} examples kept on{tail}"
    if math.isinf(c.D.value):
        tail = "" if math.isinf(inside.low) else f", unless from {number(inside.low)} on"
        return f"{start}: not up to {number(c.looked[1])} examples kept{tail}"
    return f"{start} at {span(c.D)} examples kept, a pool of {span(c.pool)}"


def _break_even_line(b: Any) -> str:
    unit = "FLOPs" if b.unit == "flops" else "examples seen"
    if math.isinf(b.trainings.value):
        return "  scoring is not paid back: pruning saves no training at equal loss"
    return (
        f"  scoring is paid back by {span(b.trainings)} trainings at the target; a single training "
        f"pays for it from {span(b.compute)} {unit} on; compute multiplier with scoring "
        f"{span(b.multiplier)}"
    )


__all__ = ["KEEP_ALL", "NO_VERDICT", "answer_sentence", "asked", "overlap", "summary"]
