"""The parts of an audit: questions, directions, leverage, the decision, the missing run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANSWERED, ROUGHLY, OPEN, NEVER = "answered", "roughly", "open", "never"


def finite(value: float) -> float | None:
    """Return the number, or nothing where it has no bound: JSON has no infinity."""
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LawAnswer:
    """A question under one law: its answer there, and the standard error of the design."""

    law: str
    weight: float
    value: float
    standard_error: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types; an error without bound is ``None``."""
        return {
            "law": self.law,
            "weight": self.weight,
            "value": finite(self.value),
            "standard_error": finite(self.standard_error),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """A configuration that an answer rests on.

    Attributes
    ----------
    place
        Its resources in words.
    share
        Of the answer's weight: weights are those of the measurements in the estimate, squared.
    without
        Factor by which the standard error grows without it.
    """

    place: str
    share: float
    without: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"place": self.place, "share": self.share, "without": finite(self.without)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something one may want to know, and how well the design lets one know it.

    Attributes
    ----------
    name, title
        ``loss``, ``N_opt``, ``exponents``, ``alpha`` or ``E``; and in words.
    relative
        Whether errors are those of the logarithm.
    value
        Under the leading law; of N_opt and loss, the thing itself.
    standard_error
        Under the leading law, were it right; infinite where the design does not determine it.
    between
        Standard deviation over the laws, by weight.
    again, limit
        Factor on both together after each run was made once more, and without end.
    needed
        Standard errors up to which it counts as answered, and as answered roughly.
    state
        ``answered``, ``roughly``, ``open``, or ``never``: no repeating would answer it.
    half
        Fewest configurations that carry half of the weight.
    supports
        Those that it rests on most, the heaviest first.
    by_law
        The same under each law.
    """

    name: str
    title: str
    relative: bool
    value: float
    standard_error: float
    between: float
    again: float
    limit: float
    needed: tuple[float, float]
    state: str
    half: int
    supports: tuple[Support, ...]
    by_law: tuple[LawAnswer, ...]

    @property
    def total(self) -> float:
        """Error of the design and of the choice of law together."""
        return math.hypot(self.standard_error, self.between)

    def shown(self, error: float) -> str:
        """Write an error as people read it."""
        if not math.isfinite(error):
            return "no bound"
        if self.name == "loss":
            return f"{100 * error:.2g} %"
        if self.relative:
            return f"a factor {math.exp(min(error, 700.0)):.3g}"
        return f"{error:.2g}"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "name": self.name,
            "title": self.title,
            "state": self.state,
            "value": finite(self.value),
            "error_of_logarithm": self.relative,
            "standard_error": finite(self.standard_error),
            "between_laws": finite(self.between),
            "factor_with_runs_again": finite(self.again),
            "factor_without_end": finite(self.limit),
            "needed": list(self.needed),
            "half_of_weight": self.half,
            "supports": [s.to_dict() for s in self.supports],
            "laws": [a.to_dict() for a in self.by_law],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Direction:
    """Parameters that move together.

    Attributes
    ----------
    changes
        Parameter to its relative change over one standard error along the direction; without a
        scale where no run sees it.
    standard_error
        Of the direction; infinite where no run sees it.
    open
        How many combinations of these parameters no run sees; 0 where all are seen.
    moved
        Largest relative change of a measured loss over that standard error.
    sentence
        For people.
    """

    changes: Mapping[str, float]
    standard_error: float
    open: int
    moved: float
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "changes": dict(self.changes),
            "standard_error": finite(self.standard_error),
            "open": self.open,
            "moved": self.moved,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leverage:
    """A configuration and how far it decides its own fitted loss.

    Attributes
    ----------
    place, names
        Its resources in words, and its runs.
    leverage
        From 0 to 1: at 1 the law passes through it whatever was measured.
    """

    place: str
    names: tuple[str, ...]
    leverage: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"place": self.place, "names": list(self.names), "leverage": self.leverage}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """The decision, in the design's own metric.

    Attributes
    ----------
    at, place
        Its resources.
    reach
        Its scale in units of the largest run's.
    error
        Standard error of the mean loss there, in units of the noise of one run.
    worst_run
        The largest such number at any run.
    """

    at: Mapping[str, float]
    place: str
    reach: float
    error: float
    worst_run: float

    @property
    def distance(self) -> float:
        """How much less is known there than at the run that is known least."""
        return self.error / self.worst_run

    @property
    def sentence(self) -> str:
        """In words."""
        if not math.isfinite(self.error):
            return f"the target, {self.place}, lies in a direction that no run sees"
        text = (
            f"the target, {self.place}, is {self.reach:.3g} times the scale of the largest run; "
            f"the mean loss there is known to {self.error:.2g} times the noise of one run, at the "
            f"runs to {self.worst_run:.2g} times or better: {self.distance:.3g} times farther than "
            "the edge of the data"
        )
        if self.error > 1:
            text += "; one run there would say more of it than all runs do"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "at": dict(self.at),
            "reach": self.reach,
            "error_in_runs": finite(self.error),
            "worst_run": self.worst_run,
            "distance": finite(self.distance),
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MissingRun:
    """A run that would narrow answers.

    Attributes
    ----------
    kind, at, place
        In words, and its resources.
    cost, share
        In the unit of the runs' scale, and as a share of what all runs cost.
    narrows
        Question to the share by which its standard error falls.
    opens
        Further runs of other kinds that are needed before every question has an answer.
    """

    kind: str
    at: Mapping[str, float]
    place: str
    cost: float
    share: float
    narrows: Mapping[str, float]
    opens: int

    @property
    def sentence(self) -> str:
        """In words."""
        text = f"{self.kind}: {self.place} ({100 * self.share:.2g} % of what the runs cost)"
        if self.opens:
            text += " sees a direction that no run sees"
            more = self.opens - 1
            if more:
                text += f"; {more} more such kind" + (" is needed" if more == 1 else "s are needed")
            return text
        gains = [f"{n} by {100 * g:.0f} %" for n, g in self.narrows.items() if g >= 0.005]
        return text + " narrows " + (", ".join(gains) or "nothing by as much as 0.5 %")

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "kind": self.kind,
            "at": dict(self.at),
            "cost": self.cost,
            "share_of_cost": self.share,
            "narrows": dict(self.narrows),
            "opens": self.opens,
            "sentence": self.sentence,
        }
