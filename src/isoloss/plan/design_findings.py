"""What the places of runs alone say about a design, before any law is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.law import is_resource
from isoloss.plan.design_noise import design_groups
from isoloss.runs import Runs

_ALIKE = 1.05
"""Values within this factor count as one level of an axis."""
_LEVELS = 4
"""With fewer levels of an axis nothing is left to check the shape of its term."""
_LINE = 0.99
"""Correlation of log N and log D from which they count as one axis."""
_SEVERITY = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the design cannot do, or does badly.

    Attributes
    ----------
    code
        As in `isoloss study` where both say it.
    severity
        ``high``, ``medium`` or ``low``.
    message, remedy
        For people.
    repeats_help
        Whether more of the same runs would help.
    """

    code: str
    severity: str
    message: str
    remedy: str
    repeats_help: bool = False

    def to_dict(self) -> dict[str, str | bool]:
        """Plain types."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "remedy": self.remedy,
            "repeats_help": self.repeats_help,
        }


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Order by severity, else as found."""
    return tuple(sorted(findings, key=lambda f: _SEVERITY[f.severity]))


def levels(values: Array) -> int:
    """How many values there are, those within 5 % of the one before counted as one.

    A level spans 10 % at most, so that values which lie close all along an axis are many.

    Examples
    --------
    >>> levels(np.array([1e7, 1.01e7, 3e7]))
    2
    >>> levels(np.geomspace(1e7, 1e9, 1000)) > 40
    True
    """
    logs = np.sort(np.log(values))
    step = np.log(_ALIKE)
    gaps = np.append(np.flatnonzero(np.diff(logs) > step) + 1, logs.size)
    count = here = 0
    while here < logs.size:
        count += 1
        full = np.searchsorted(logs, logs[here] + 2 * step, side="right")
        here = int(min(full, gaps[np.searchsorted(gaps, here, side="right")]))
    return count


def is_one_line(N: Array, D: Array) -> bool:
    """Whether N and D rise together: their terms cannot be told apart by any number of runs."""
    if levels(N) < 2 or levels(D) < 2:
        return False
    ratio = np.log(D) - np.log(N)
    if np.ptp(ratio) < np.log(_ALIKE):
        return True
    return float(np.corrcoef(np.log(N), np.log(D))[0, 1]) > _LINE


def design_findings(runs: Runs, axes: Sequence[str], parameters: int) -> list[Finding]:
    """Find confounding, axes that hardly vary, too few levels, runs and repeats.

    Parameters
    ----------
    axes
        Resources of the laws in question.
    parameters
        Of the law with the fewest.

    Examples
    --------
    >>> N = np.array([1e7, 3e7, 1e8, 3e8])
    >>> runs = Runs(columns={"N": N, "D": 20 * N, "loss": [4.0, 3.6, 3.3, 3.1]})
    >>> [f.code for f in design_findings(runs, ("N", "D"), 5)]
    ['CONFOUNDED_N_D', 'TOO_FEW_RUNS', 'FEW_RUNS', 'NO_REPLICATES']
    """
    found: list[Finding] = []
    names = [a for a in axes if is_resource(a) and a in runs]
    for a in names:
        found += _axis(a, runs[a], alone=len(names) == 1)
    if "N" in names and "D" in names:
        found += _confounding(runs["N"], runs["D"])
    if "C" in runs and "C" not in names and (runs["C"] > 0).all():
        decades = float(np.ptp(np.log10(runs["C"])))
        if decades < 1:
            found.append(
                Finding(
                    code="NARROW_COMPUTE",
                    severity="medium",
                    message=f"C spans {decades:.2f} decades: too short a lever to extrapolate from",
                    remedy="add runs a decade below or above",
                )
            )
    points = len(np.unique(np.stack([runs[a] for a in names]), axis=1).T)
    repeated = len(np.unique(design_groups(runs, axes))) < len(runs)
    return found + _counts(len(runs), points, parameters, repeated=repeated)


def _axis(a: str, values: Array, *, alone: bool) -> list[Finding]:
    low, high, count = float(values.min()), float(values.max()), levels(values)
    if count == 1:
        text = f"{a} is about {np.exp(np.mean(np.log(values))):.3g} in every run: its term is one "
        text += "more constant, and neither its exponent nor its share of the floor E can be known"
        remedy = f"add runs at other {a}"
        return [Finding(code="CONSTANT_AXIS", severity="high", message=text, remedy=remedy)]
    found = []
    if count < _LEVELS:
        text = f"{a} takes {count} values: " + (
            "two lie on every curve, so the exponent of "
            f"{a} cannot be told from a floor E by {a} alone"
            if count == 2
            else "enough for a curve, and nothing to check it with"
        )
        severity = "high" if count == 2 else "medium"
        remedy = f"add values of {a}, best beyond {low:.3g} and {high:.3g}"
        found.append(Finding(code="FEW_LEVELS", severity=severity, message=text, remedy=remedy))
    decades = float(np.log10(high / low))
    if decades < 1:
        found.append(
            Finding(
                code="NARROW_COMPUTE" if a == "C" else "NARROW_AXIS",
                severity="medium",
                message=f"{a} spans {decades:.2f} decades, a factor {high / low:.3g}: its exponent "
                + ("bends" if alone else "trades against the floor E"),
                remedy=f"add runs at {low / 10:.2g} or {high * 10:.2g}",
            )
        )
    return found


def _confounding(N: Array, D: Array) -> list[Finding]:
    if levels(N) < 2 or levels(D) < 2:
        return []
    ratio = D / N
    correlation = float(np.corrcoef(np.log(N), np.log(D))[0, 1])
    if is_one_line(N, D):
        one = float(np.ptp(np.log(ratio))) < np.log(_ALIKE)
        text = (
            f"D/N is about {np.exp(np.mean(np.log(ratio))):.3g} in every run"
            if one
            else f"D grows with N in lockstep (correlation of logs {correlation:.4f})"
        )
        text += ": which part of the loss belongs to N and which to D cannot be known, so neither "
        text += "can the best split; forecasts hold along this line alone"
        remedy = "add runs with other ratios of D to N"
        return [Finding(code="CONFOUNDED_N_D", severity="high", message=text, remedy=remedy)]
    if float(np.ptp(np.log(N * D))) < np.log(_ALIKE):
        text = "all runs spend one compute budget: how the best split moves with compute rests on "
        text += "the form of the law"
        remedy = "add runs at a second and third budget"
        return [Finding(code="ONE_BUDGET", severity="high", message=text, remedy=remedy)]
    if float(np.ptp(np.log(ratio))) < np.log(3):
        text = f"D/N stays within a factor {np.exp(np.ptp(np.log(ratio))):.3g}: N and D are hardly "
        text += "told apart"
        remedy = "add over-trained small and under-trained large runs"
        return [Finding(code="NARROW_RATIO", severity="medium", message=text, remedy=remedy)]
    return []


def _counts(count: int, points: int, parameters: int, *, repeated: bool) -> list[Finding]:
    found = []
    if points < parameters + 2:
        lacking, more = points < parameters, parameters + 2 - points
        text = f"{points} distinct configurations for {parameters} parameters " + (
            "cannot fix them" if lacking else "leave nothing to check the law with"
        )
        found.append(
            Finding(
                code="TOO_FEW_RUNS" if lacking else "FEW_CONFIGURATIONS",
                severity="high",
                message=text,
                remedy=f"add at least {more} configuration{'s' * (more > 1)}",
            )
        )
    if count < 10:
        found.append(
            Finding(
                code="FEW_RUNS",
                severity="medium",
                message=f"{count} runs: most laws need 10 or more to be told apart",
                remedy="add cheap runs: twenty spread over size and data beat five large ones",
            )
        )
    if not repeated:
        found.append(
            Finding(
                code="NO_REPLICATES",
                severity="low",
                message="no configuration was repeated with another seed, so the noise of one run "
                "is only inferred from the scatter around the law",
                remedy="repeat two or three cheap configurations with new seeds",
            )
        )
    return found
