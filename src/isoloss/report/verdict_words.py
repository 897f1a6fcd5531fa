"""A verdict's numbers in words and cells: what is infinite is said, not left out."""

from __future__ import annotations

import math
from collections.abc import Callable

from isoloss.prune.verdict_result import Crossover, Estimate, Question, Verdict
from isoloss.prune.verdict_words import asked as in_words
from isoloss.report.digits import exact, power, significant
from isoloss.report.tables import Cell

Write = Callable[[float], str]


def share(value: float) -> str:
    """Write a part as a percentage of three digits.

    Examples
    --------
    >>> share(0.5493), share(-1.14), share(float("inf"))
    ('54.9 %', '−114 %', '∞')
    """
    if not math.isfinite(value):
        return _without_end(value)
    # Digits of a percentage of thousands are of no use.
    return f"{power(100 * value, 3) if abs(value) >= 100 else f'{100 * value:.3g}'} %".replace(
        "-", "−"
    )


def amount(value: float) -> str:
    """Write a number of four digits at most.

    Examples
    --------
    >>> amount(2.0), amount(166.67), amount(3.2e11), amount(float("-inf"))
    ('2', '166.7', '3.200×10¹¹', '−∞')
    """
    if not math.isfinite(value):
        return _without_end(value)
    shown = significant(value)
    return shown.rstrip("0").rstrip(".") if "." in shown and "×" not in shown else shown


def _without_end(value: float) -> str:
    return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"


def ends(estimate: Estimate, write: Write) -> str:
    """Write both ends of an interval."""
    inside = estimate.interval
    return f"{write(inside.low)} to {write(inside.high)}"


def spanned(estimate: Estimate, write: Write) -> str:
    """Write a value and its interval."""
    return f"{write(estimate.value)} ({ends(estimate, write)})"


def value_cell(value: float, write: Write) -> Cell:
    """Give a cell of a number, every digit in its tooltip."""
    return Cell(shown=write(value), digits=exact(value))


def ends_cell(estimate: Estimate, write: Write) -> Cell:
    """Give a cell of an interval, level and method in its tooltip."""
    inside = estimate.interval
    known = (
        f"{exact(inside.low) or write(inside.low)} to {exact(inside.high) or write(inside.high)}"
    )
    return Cell(
        shown=ends(estimate, write), digits=f"{known}, {100 * inside.level:g} %, {inside.method}"
    )


def asked(question: Question) -> str:
    """Say what was asked, and with how many passes."""
    passes = f"{amount(question.epochs)} epochs" if question.epochs != 1 else "one epoch"
    return f"{in_words(question)}, {passes}"


def crossing(found: Crossover) -> str:
    """Say where one policy overtakes another."""
    start = f"At {share(found.keep)} kept, {found.winner} overtakes {found.loser}"
    inside = found.D.interval
    if found.D.value == 0:
        late = "" if inside.high == 0 else f", or else by {amount(inside.high)}"
        return f"{start}: it is ahead from {amount(found.looked[0])} examples kept on{late}."
    if math.isinf(found.D.value):
        early = "" if math.isinf(inside.low) else f", unless from {amount(inside.low)} on"
        return f"{start}: not up to {amount(found.looked[1])} examples kept{early}."
    return (
        f"{start} at {spanned(found.D, amount)} examples kept, a pool of "
        f"{spanned(found.pool, amount)}."
    )


def paid_back(verdict: Verdict) -> str:
    """Say when scoring pays for itself."""
    b = verdict.break_even
    if b is None:
        return "Not known: give columns flops and score_flops, or a cost of scoring."
    unit = "FLOPs" if b.unit == "flops" else "examples seen"
    if math.isinf(b.trainings.value):
        return "Never: pruning saves no training at equal loss."
    return (
        f"Scoring is paid back by {spanned(b.trainings, amount)} trainings at the target; "
        f"{_one_training(b.compute, unit)}. Compute without pruning over that with it, scoring "
        f"included: {spanned(b.multiplier, amount)}."
    )


def _one_training(compute: Estimate, unit: str) -> str:
    if math.isfinite(compute.value):
        return f"a single training pays for it from {spanned(compute, amount)} {unit} on"
    low = compute.interval.low
    early = f", unless from {amount(low)} {unit} on" if math.isfinite(low) else ""
    return f"a single training does not pay for it{early}"
