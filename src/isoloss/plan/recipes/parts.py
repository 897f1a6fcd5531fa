"""Parts of a comparison of recipes: at one scale, where curves cross, and pairs of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isoloss._core.interval import Interval

BETTER, WORSE, UNKNOWN = "better", "worse", "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class LawMultiplier:
    """What one law of the set says at one scale, with some parameters in common."""

    law: str
    tied: tuple[str, ...]
    weight: float
    multiplier: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "law": self.law,
            "tied": list(self.tied),
            "weight": self.weight,
            "multiplier": self.multiplier,
            "interval": self.interval.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TieMultiplier:
    """What all laws say at one scale, with some parameters in common.

    Attributes
    ----------
    tied
        Parameters in common.
    used
        Whether the answer holds this one; others are shown to compare.
    multiplier, interval, p_value, verdict
        As those of `ScaleComparison`.
    """

    tied: tuple[str, ...]
    used: bool
    multiplier: float
    interval: Interval
    p_value: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        out = {n: getattr(self, n) for n in self.__dataclass_fields__}
        return out | {"tied": list(self.tied), "interval": self.interval.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleComparison:
    """Two recipes at one compute.

    Attributes
    ----------
    C
        Compute of the baseline, or whatever resource the path is of.
    reach
        C over the largest that both recipes have runs at; at most 1 within the data.
    loss_baseline, loss_recipe
        Losses at C.
    gap, gap_interval
        Loss of the baseline minus that of the recipe: above zero the recipe is better.
    multiplier, multiplier_interval
        The recipe needs C over this for the baseline's loss; zero where no compute reaches it.
    p_value
        Two-sided, of a gap of zero.
    verdict
        ``"better"``, ``"worse"`` or ``"cannot tell"``, of the recipe.
    by_tie
        The same with one floor for both recipes, and with a floor for each.
    by_law
        The same by law.
    """

    C: float
    reach: float
    loss_baseline: float
    loss_recipe: float
    gap: float
    gap_interval: Interval
    multiplier: float
    multiplier_interval: Interval
    p_value: float
    verdict: str
    by_tie: tuple[TieMultiplier, ...]
    by_law: tuple[LawMultiplier, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        out = {n: getattr(self, n) for n in self.__dataclass_fields__}
        out["gap_interval"] = self.gap_interval.to_dict()
        out["multiplier_interval"] = self.multiplier_interval.to_dict()
        out["by_tie"] = [b.to_dict() for b in self.by_tie]
        out["by_law"] = [b.to_dict() for b in self.by_law]
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """Where the curves of two recipes cross.

    Attributes
    ----------
    status
        ``"found"``, ``"none"`` (no crossing in the range searched), ``"open"`` (one may lie in
        ``interval``, which reaches an end of the range or shows no change of sides) or
        ``"not identified"`` (anywhere).
    C
        Where the best curves cross; ``None`` where they do not.
    interval
        All scales at which the interval of the gap holds zero: it holds a crossing with the
        level's probability.
    searched
        Range looked at.
    sentence
        In words.
    """

    status: str
    C: float | None
    interval: Interval | None
    searched: tuple[float, float]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "status": self.status,
            "C": self.C,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "searched": list(self.searched),
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRuns:
    """What the runs of shared cells say without any law.

    Attributes
    ----------
    cells
        Cells in which both recipes have runs.
    gap
        Mean over cells of the log loss of the baseline minus that of the recipe.
    interval
        Of the mean, by Student's t over cells; ``None`` below two cells.
    correlation
        Of the residuals of the two recipes over shared cells: the higher, the more pairing
        gains. NaN below four cells.
    """

    cells: int
    gap: float
    interval: Interval | None
    correlation: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "cells": self.cells,
            "gap": self.gap,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "correlation": self.correlation,
        }
