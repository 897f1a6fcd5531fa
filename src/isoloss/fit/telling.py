"""Runs that would tell laws apart: what a search for them found."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss.fit.forecast import LawForecast

GOAL = 0.8
"""Power that counts as telling two laws apart."""
MOST_SEEDS = 100
"""More seeds of one configuration than this are no advice."""


def chance(probability: float) -> str:
    """Write a probability as a percentage that is never certain.

    Examples
    --------
    >>> chance(0.834), chance(0.99999)
    ('83 %', 'over 99 %')
    """
    return "over 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Two laws at one candidate run.

    Attributes
    ----------
    laws
        Their names.
    difference
        Log loss under the first minus under the second.
    discrimination
        Its square over seed noise and both laws' parameter variance.
    power
        Chance that one run there rejects the wrong one of the two at the level of the test.
    seeds
        Runs there that would do so with a chance of `GOAL`; ``None`` if more than `MOST_SEEDS`,
        or no number would, the laws' own uncertainty being too large.
    """

    laws: tuple[str, str]
    difference: float
    discrimination: float
    power: float
    seeds: int | None

    @property
    def needed(self) -> str:
        """Seeds in words: ``3 runs``."""
        if self.seeds is None:
            return f"more than {MOST_SEEDS} runs"
        return f"{self.seeds} run{'s' if self.seeds > 1 else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "laws": list(self.laws),
            "difference_percent": 100 * float(np.expm1(self.difference)),
            "discrimination": self.discrimination,
            "power": self.power,
            "seeds": self.seeds,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TellingRun:
    """A candidate run.

    Attributes
    ----------
    at, cost
        Its resources, and what it costs.
    score
        Discrimination averaged over pairs of laws by the product of their weights.
    laws
        What each law predicts of the mean loss there, with intervals of its parameters.
    contrasts
        Pairs of laws there, the heaviest first.
    """

    at: Mapping[str, float]
    cost: float
    score: float
    laws: tuple[LawForecast, ...]
    contrasts: tuple[Contrast, ...]

    @property
    def place(self) -> str:
        """Resources in words."""
        return ", ".join(f"{a} = {v:.3g}" for a, v in self.at.items())

    def loss(self, law: str) -> float:
        """Loss that a law predicts there."""
        return next(f.loss for f in self.laws if f.law == law)

    def contrast(self, pair: tuple[str, str]) -> Contrast:
        """Find a pair of laws."""
        return next(c for c in self.contrasts if c.laws == pair)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "at": dict(self.at),
            "cost": self.cost,
            "score": self.score,
            "score_per_cost": self.score / self.cost,
            "laws": [
                {"law": f.law, "weight": f.weight, "loss": f.loss, "interval": f.interval.to_dict()}
                for f in self.laws
            ],
            "contrasts": [c.to_dict() for c in self.contrasts],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """The best of the runs that a cost allows.

    Attributes
    ----------
    most_cost, unit, n_candidates, limits
        What was searched.
    best
        Largest score of one run.
    thrifty
        Least compute in all, seeds included, that tells the heaviest pair apart with a chance of
        `GOAL`; ``None`` if nothing does.
    by_pair
        The best run for each pair alone, in the order of `TellingRuns.pairs`.
    """

    most_cost: float
    unit: str
    n_candidates: int
    limits: str
    best: TellingRun
    thrifty: TellingRun | None
    by_pair: tuple[TellingRun, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "most_cost": self.most_cost,
            "unit": self.unit,
            "n_candidates": self.n_candidates,
            "limits": self.limits,
            "best": self.best.to_dict(),
            "thrifty": None if self.thrifty is None else self.thrifty.to_dict(),
            "by_pair": [r.to_dict() for r in self.by_pair],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TellingRuns:
    """Runs that would tell the laws of a set apart.

    Attributes
    ----------
    pairs
        Pairs of laws that are worth telling apart, the heaviest first.
    searches
        One a cost cap, the smaller first; empty without pairs.
    noise
        Standard deviation of one run, in log loss.
    level
        Of the test.
    sentence
        For people.
    """

    pairs: tuple[tuple[str, str], ...]
    searches: tuple[Search, ...]
    noise: float
    level: float
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "sentence": self.sentence,
            "pairs": [list(p) for p in self.pairs],
            "noise": self.noise,
            "level": self.level,
            "goal": GOAL,
            "searches": [s.to_dict() for s in self.searches],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of the best run for each pair within each cost."""
        rows = [
            (s, r, r.contrast(pair))
            for s in self.searches
            for pair, r in zip(self.pairs, s.by_pair, strict=True)
        ]
        axes = dict.fromkeys(a for _, r, _ in rows for a in r.at)
        return {
            "most_cost": [s.most_cost for s, _, _ in rows],
            "law": [c.laws[0] for _, _, c in rows],
            "rival": [c.laws[1] for _, _, c in rows],
            **{a: [r.at[a] for _, r, _ in rows] for a in axes},
            "cost": [r.cost for _, r, _ in rows],
            "loss": [r.loss(c.laws[0]) for _, r, c in rows],
            "rival_loss": [r.loss(c.laws[1]) for _, r, c in rows],
            "discrimination": [c.discrimination for _, _, c in rows],
            "power": [c.power for _, _, c in rows],
            "seeds": [c.seeds for _, _, c in rows],
        }

    def summary(self) -> str:
        """Lines for people."""
        lines = [self.sentence]
        known: dict[tuple[str, str], Mapping[str, float]] = {}
        for s in self.searches:
            lines.append(f"  up to {s.most_cost:.3g} {s.unit} ({s.limits}):")
            for pair, run in zip(self.pairs, s.by_pair, strict=True):
                if known.get(pair) == run.at:
                    lines.append(f"    {pair[0]} or {pair[1]}: no better run than the one above")
                    continue
                known[pair] = run.at
                c = run.contrast(pair)
                losses = " or ".join(
                    f"{f.law} {f.loss:.4f} [{f.interval.low:.4f}, {f.interval.high:.4f}]"
                    for f in run.laws
                    if f.law in pair
                )
                lines.append(
                    f"    {run.place}: {losses}; told apart with a chance of {chance(c.power)} by "
                    f"one run; {chance(GOAL)} takes {c.needed}"
                )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"TellingRuns({self.sentence})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"
