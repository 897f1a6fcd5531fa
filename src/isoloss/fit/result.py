"""The result of a fit."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, freeze
from isoloss._core.interval import Interval
from isoloss.errors import FitError, InputError
from isoloss.fit.certificate import Certificate, Reason
from isoloss.fit.influence import Influence
from isoloss.fit.objective import Objective
from isoloss.fit.run_noise import RunNoise, scale_of
from isoloss.laws.law import Law
from isoloss.runs import Runs

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A law fitted to runs, with its draws and its certificate.

    Attributes
    ----------
    law, theta
        The law and its parameters, (p,), in the user's units.
    objective, value
        What was minimised, and its minimum (see `Objective.total`).
    residuals
        Log prediction minus log loss of each run, (n,).
    draws
        Resampled parameters, (B, p); empty without resampling.
    method
        How the draws were made.
    noise
        Standard deviation of one run's log loss around the law at each scale: what a new run adds
        to the uncertainty of the mean.
    status
        ``ok``, ``suspect`` or ``failed``.
    reasons
        Why it is not ok.
    weights
        Weights of the runs, (n,), mean one.
    influence
        Effect of leaving out each run; ``None`` without draws.
    law_reason
        Why this law was taken, where the caller named none.
    """

    law: Law
    theta: Array
    objective: Objective
    value: float
    residuals: Array
    draws: Array
    method: str
    level: float
    noise: RunNoise
    status: str
    reasons: tuple[Reason, ...]
    certificate: Certificate
    weights: Array
    n_rows: int
    digest: str = ""
    seed: int | None = None
    influence: Influence | None = None
    law_reason: str = ""

    def __post_init__(self) -> None:
        for name in ("theta", "residuals", "draws", "weights"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def parameters(self) -> dict[str, float]:
        """Values by name."""
        return dict(zip(self.law.names, self.theta.tolist(), strict=True))

    @property
    def intervals(self) -> dict[str, Interval]:
        """Interval of each parameter, empty without draws."""
        if not len(self.draws):
            return {}
        return {
            name: Interval.from_draws(self.draws[:, i], level=self.level, method=self.method)
            for i, name in enumerate(self.law.names)
        }

    @property
    def rms_residual(self) -> float:
        """Root mean square of the log residuals."""
        return float(np.sqrt(np.mean(self.residuals**2)))

    @property
    def seed_noise(self) -> float:
        """Noise of one run at the largest scale of the runs, and beyond."""
        return self.noise.size

    def noise_at(self, x: Runs | Mapping[str, npt.ArrayLike]) -> Array:
        """Give the standard deviation of one run's log loss at resources ``x``, (n,)."""
        return self.noise.at(scale_of(x, self.law))

    def predict(self, x: Mapping[str, npt.ArrayLike]) -> Array:
        """Loss at resources ``x``, (n,)."""
        return self.law(self.theta, x)

    def predict_draws(self, x: Mapping[str, npt.ArrayLike]) -> Array:
        """Loss at resources ``x`` under each draw, (B, n)."""
        return self.law(self.draws, x)

    def interval(
        self, x: Mapping[str, npt.ArrayLike], *, level: float | None = None, new_run: bool = False
    ) -> list[Interval]:
        """Interval of the mean loss, or of a single new run, at each point of ``x``.

        It holds *if the law is right*; `isoloss.forecast` adds the uncertainty about the law.

        Parameters
        ----------
        x
            Axis name to values, (n,).
        level
            Confidence level; that of the fit by default.
        new_run
            ``False``: where the law lies, which is the mean over many seeds. ``True``: where one
            more run may land, with the noise of its own scale on top.

        Raises
        ------
        InputError
            The fit was made without draws.
        """
        if not len(self.draws):
            raise InputError("draws = 0: an interval needs draws; fit with draws=1000")
        level = self.level if level is None else as_level(level)
        draws = self.predict_draws(x)
        method = f"{self.method}, law taken as right"
        if new_run:
            noise = np.random.default_rng(0).standard_normal(draws.shape)
            draws = draws * np.exp(self.noise_at(x) * noise)
            method += ", new run"
        return [Interval.from_draws(d, level=level, method=method) for d in draws.T]

    def require(self) -> Fit:
        """Return the fit if its status is ok, else raise `FitError` with the first reason."""
        if self.status != "ok":
            first = self.reasons[0]
            raise FitError(first.code, first.message)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss fit --json``."""
        return {
            "schema": SCHEMA,
            "law": self.law.name,
            "law_reason": self.law_reason or None,
            "formula": self.law.formula,
            "pinned": dict(self.law.pinned),
            "tied": dict(self.law.tied),
            "parameters": self.parameters,
            "intervals": {n: i.to_dict() for n, i in self.intervals.items()},
            "objective": {"name": self.objective.name, "value": self.value},
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
            "certificate": self.certificate.to_dict(),
            "rms_residual": self.rms_residual,
            "seed_noise": self.seed_noise,
            "noise_power": self.noise.power,
            "n_rows": self.n_rows,
            "n_draws": len(self.draws),
            "influence": None if self.influence is None else self.influence.to_dict(),
            "digest": self.digest,
            "seed": self.seed,
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of parameters: name, value, low, high."""
        intervals = self.intervals
        return {
            "parameter": list(self.law.names),
            "value": self.theta.tolist(),
            "low": [intervals[n].low if n in intervals else None for n in self.law.names],
            "high": [intervals[n].high if n in intervals else None for n in self.law.names],
        }

    def summary(self) -> str:
        """Table for people."""
        lines = [
            f"{self.law.name}: {self.law.formula}",
            *([f"  taken because {self.law_reason}"] if self.law_reason else []),
            f"{self.n_rows} runs, objective {self.objective.name} = {self.value:.6g}, "
            f"rms residual {100 * self.rms_residual:.2g} %, status {self.status}",
        ]
        intervals = self.intervals
        for name, value in self.parameters.items():
            text = f"  {name:<8} {value:<12.6g}"
            if name in intervals:
                i = intervals[name]
                text += f" [{i.low:.6g}, {i.high:.6g}]"
            lines.append(text)
        if intervals:
            lines.append(f"  intervals: {100 * self.level:g} %, {self.method}")
        lines += [f"  {r.code}: {r.message}" for r in self.reasons]
        return "\n".join(lines)

    def __repr__(self) -> str:
        values = ", ".join(f"{n}={v:.4g}" for n, v in self.parameters.items())
        return f"Fit({self.law.name}: {values}; {self.status})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"
