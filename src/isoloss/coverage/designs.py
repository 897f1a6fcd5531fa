"""Which runs are simulated, and where the answers are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from isoloss._core.arrays import Array
from isoloss.coverage.truths import Truth

RAY = 0.09
"""Designs lie around N = 0.09 sqrt(C): about twenty tokens a parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an answer is asked for, and the right answers.

    ``scale`` is what runs are ordered by there: FLOPs, or the one resource.
    """

    name: str
    at: Mapping[str, float]
    scale: float
    loss: float
    N_opt: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "target": self.name,
            "at": dict(self.at),
            "scale": self.scale,
            "loss": self.loss,
            "N_opt": self.N_opt,
        }


class Design(Protocol):
    """Draws the resources of a table of runs, and knows its targets."""

    @property
    def name(self) -> str:
        """Part of the names of cells."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Resources that vary."""

    @property
    def high(self) -> float:
        """Largest scale."""

    def draw(self, rng: np.random.Generator) -> dict[str, Array]:
        """Resources of the runs by name, (n,) each."""

    def targets(self, truth: Truth) -> tuple[Target, ...]:
        """Where answers are asked for under a truth."""

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JointDesign:
    """Runs of N and D between two budgets, at 6 N D.

    Attributes
    ----------
    budgets, sizes
        IsoFLOP curves, geometrically spaced, and runs on each; zero ``sizes`` scatter
        ``budgets`` runs at random.
    low, high
        Smallest and largest budget.
    spread
        Sizes lie between the ray divided and multiplied by it.
    seeds
        Repeats of each configuration.
    """

    name: str
    budgets: int
    sizes: int
    low: float
    high: float
    spread: float = 4.0
    seeds: int = 1
    axes: tuple[str, ...] = ("N", "D")

    def draw(self, rng: np.random.Generator) -> dict[str, Array]:
        """Resources of the runs."""
        if self.sizes:
            C = np.repeat(np.geomspace(self.low, self.high, self.budgets), self.sizes)
            off = np.tile(np.geomspace(1 / self.spread, self.spread, self.sizes), self.budgets)
        else:
            C = np.exp(rng.uniform(np.log(self.low), np.log(self.high), self.budgets))
            off = self.spread ** rng.uniform(-1.0, 1.0, self.budgets)
        N = np.repeat(RAY * np.sqrt(C) * off, self.seeds)
        return {"N": N, "D": np.repeat(C, self.seeds) / (6 * N)}

    def targets(self, truth: Truth) -> tuple[Target, ...]:
        """1e23 FLOPs and a thousand times the largest budget, on the truth's own best ray."""
        return tuple(
            self._target(truth, name, C) for name, C in (("1e23", 1e23), ("1000x", 1e3 * self.high))
        )

    def _target(self, truth: Truth, name: str, C: float) -> Target:
        N = truth.best_size(C)
        at = {"N": N, "D": C / (6 * N)}
        return Target(name=name, at=at, scale=C, loss=float(truth.loss(at)[0]), N_opt=N)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"design": self.name} | {k: v for k, v in asdict(self).items() if k != "name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveDesign:
    """Runs of one resource, D, geometrically spaced."""

    name: str
    points: int
    low: float
    high: float
    axes: tuple[str, ...] = ("D",)

    def draw(self, rng: np.random.Generator) -> dict[str, Array]:
        """Resources of the runs."""
        return {"D": np.geomspace(self.low, self.high, self.points)}

    def targets(self, truth: Truth) -> tuple[Target, ...]:
        """Ten and a hundred times the largest run."""
        return tuple(
            Target(
                name=f"{factor}x",
                at={"D": factor * self.high},
                scale=factor * self.high,
                loss=float(truth.loss({"D": factor * self.high})[0]),
                N_opt=None,
            )
            for factor in (10, 100)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"design": self.name} | {k: v for k, v in asdict(self).items() if k != "name"}


_ALL: tuple[Design, ...] = (
    JointDesign(name="isoflop-20", budgets=4, sizes=5, low=1e18, high=3e19),
    JointDesign(name="isoflop-45", budgets=5, sizes=9, low=1e18, high=1e20),
    JointDesign(name="random-30", budgets=30, sizes=0, low=1e18, high=1e20, spread=8.0),
    JointDesign(name="seeds-60", budgets=4, sizes=5, low=1e18, high=3e19, seeds=3),
    JointDesign(name="wide-200", budgets=10, sizes=20, low=1e18, high=1e21, spread=6.0),
    CurveDesign(name="points-12", points=12, low=1e6, high=1e8),
    CurveDesign(name="points-24", points=24, low=1e6, high=10**8.5),
    CurveDesign(name="points-40", points=40, low=1e6, high=1e9),
)
DESIGNS = {d.name: d for d in _ALL}
