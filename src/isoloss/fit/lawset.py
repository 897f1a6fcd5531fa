"""Several laws fitted to the same runs, weighted by how well each one extrapolated."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.fit.backtest import Backtest
from isoloss.fit.drift import Drift
from isoloss.fit.objective import Objective
from isoloss.fit.result import Fit
from isoloss.fit.rolling import Step


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LawSet:
    """Fits of rival and nested laws with weights.

    Attributes
    ----------
    fits
        One a law, in the order of the set.
    weights
        Shares that sum to one; zero for laws that failed.
    record, evidence
        Shares by extrapolation alone and by fit alone; `weights` are half of each.
    emphases
        Power p of each law's weights :math:`s^p` on runs of scale s.
    objective
        Chosen by the back-test unless given.
    backtest
        The errors that the weights come from.
    steps
        What the whole procedure forecast from below each cut, choosing objective and weights
        from below it as well.
    discrepancies
        Standard deviations, per root of a unit of log reach, by which those forecasts may have
        missed beyond what the noise of runs explains; all are equally likely.
    drifts
        What the runs say about the drift of each law's exponents, one a law; ``None`` for laws
        that do not split compute.
    split_discrepancy
        Standard deviation of log N_opt, per root of a unit of log reach, that follows from them
        a thousand times ahead; 0 for laws that split nothing.
    dropped
        Laws that could not be fitted, and why.
    left_out
        Runs that no law explains and that the fits do without, (n,) of bool; see
        `isoloss.fit.unexplained`.
    left_out_sentence
        Which they are; empty where there are none.
    sentence
        Whether the runs tell the laws apart.
    """

    fits: tuple[Fit, ...]
    weights: Array
    record: Array
    evidence: Array
    emphases: Array
    objective: Objective
    backtest: Backtest
    steps: tuple[Step, ...]
    discrepancies: Array
    drifts: tuple[Drift | None, ...]
    split_discrepancy: float
    dropped: tuple[tuple[str, str], ...]
    level: float
    sentence: str
    left_out: npt.NDArray[np.bool_]
    left_out_sentence: str

    def __post_init__(self) -> None:
        for name in ("weights", "record", "evidence", "emphases", "discrepancies"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def discrepancy(self) -> float:
        """Root mean square of `discrepancies`."""
        return float(np.sqrt(np.mean(self.discrepancies**2)))

    @property
    def best(self) -> Fit:
        """Fit of the law with the largest weight."""
        return self.fits[int(np.argmax(self.weights))]

    @property
    def axes(self) -> tuple[str, ...]:
        """Resources that the set needs."""
        return tuple(dict.fromkeys(a for f in self.fits for a in f.law.axes))

    def predict(self, x: Any) -> Array:
        """Weighted geometric mean of the laws' losses, (n,)."""
        used = [(f, w) for f, w in zip(self.fits, self.weights, strict=True) if w > 0]
        return np.asarray(np.exp(sum(w * np.log(f.predict(x)) for f, w in used)))

    def backtest_error(self, law: str) -> float | None:
        """Root-mean-square log error of a law over the cuts; ``None`` without a back-test."""
        emphasis = next(
            (e for f, e in zip(self.fits, self.emphases, strict=True) if f.law.name == law), 0.0
        )
        value = self.backtest.score(law, self.objective.name, float(emphasis))
        return value if np.isfinite(value) else None

    @property
    def procedure_error(self) -> float | None:
        """Root-mean-square log error of the procedure over its steps; ``None`` without any."""
        if not self.steps:
            return None
        return float(np.sqrt(np.mean([s.error**2 for s in self.steps])))

    @property
    def procedure_reach(self) -> float | None:
        """Farthest that a step forecast; ``None`` without any."""
        return max((s.reach for s in self.steps), default=None)

    def shares(self, i: int) -> dict[str, float | None]:
        """Weight of a law, what it is made of, its emphasis, its record, whether it drifts."""
        drift = self.drifts[i]
        return {
            "weight": float(self.weights[i]),
            "weight_by_extrapolation": float(self.record[i]),
            "weight_by_fit": float(self.evidence[i]),
            "emphasis": float(self.emphases[i]),
            "backtest_error": self.backtest_error(self.fits[i].law.name),
            "drift_chance": None if drift is None else drift.chance,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        names = [f.law.name for f in self.fits]
        laws = []
        for i, f in enumerate(self.fits):
            laws.append(f.to_dict() | self.shares(i))
        return {
            "objective": self.objective.name,
            "laws": laws,
            "dropped": [{"law": n, "reason": r} for n, r in self.dropped],
            "discrepancy": self.discrepancy,
            "split_discrepancy": self.split_discrepancy,
            "left_out": np.flatnonzero(self.left_out).tolist(),
            "left_out_sentence": self.left_out_sentence,
            "sentence": self.sentence,
            "backtest": self.backtest.to_dict()
            | {
                "error": self.procedure_error,
                "reach": self.procedure_reach,
                "steps": [s.to_dict(names) for s in self.steps],
            },
        }

    def summary(self) -> str:
        """Table for people."""
        lines = [f"objective {self.objective.name}; weights from {len(self.backtest.cuts)} cuts"]
        for f, w, p in zip(self.fits, self.weights, self.emphases, strict=True):
            error = self.backtest_error(f.law.name)
            text = "not back-tested" if error is None else f"back-test error {100 * error:.2g} %"
            lean = f"emphasis {p:.2g}"
            lines.append(f"  {f.law.name:<14} weight {w:.3f}  {lean:<13} {text}  {f.status}")
        lines += [f"  {n}: left out, {r}" for n, r in self.dropped]
        lines += [self.left_out_sentence] if self.left_out_sentence else []
        return "\n".join([*lines, self.sentence])

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{f.law.name} {w:.2f}" for f, w in zip(self.fits, self.weights, strict=True)
        )
        return f"LawSet({parts}; {self.objective.name})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"
