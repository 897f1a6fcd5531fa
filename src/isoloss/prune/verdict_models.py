"""Forms as functions of parameters, batched over draws: formulas, and the perceptron's tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.law import Law, Parameter
from isoloss.laws.margin_pruned import LEAST_ANGLE, LEAST_SHARE, MOST, RIGHT
from isoloss.prune.verdict_forms import EXACT, Design, columns

PERFECT = "perfect score"
_LEAST, _LAST, _STEP = math.log(2e-3), math.log(5e3), 0.05
_SHARP = math.log(0.2), math.log(20.0)
"""Sizes between which the error may turn sharply."""
_ANGLES = 20
_SPREAD = 3.0
"""Angles are looked at within this factor of the fitted one."""


class Model(Protocol):
    """Log outcome, in units of the mean, of rows of one policy."""

    @property
    def name(self) -> str:
        """Of the form."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""

    @property
    def lower(self) -> Array:
        """Least values; of M its logarithm, as everywhere here."""

    @property
    def upper(self) -> Array:
        """Largest values."""

    def values(self, theta: Array, policy: str, keep: Array, x: Array) -> Array:
        """Log outcome, (draws, n)."""

    def slopes(self, theta: Array, policy: str, keep: Array, x: Array) -> Array:
        """Their derivatives by the parameters, (draws, n, p)."""


@dataclass(frozen=True, slots=True, eq=False)
class FormulaModel:
    """A law; the parameter M by its logarithm."""

    law: Law
    designs: tuple[Design, ...]

    @property
    def name(self) -> str:
        """Of the form."""
        return self.law.name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.law.names

    @property
    def lower(self) -> Array:
        """Least values."""
        return np.array([_least(p.name, p.lower) for p in self.law.parameters])

    @property
    def upper(self) -> Array:
        """Largest values."""
        return np.array([30.0 if p.name == "M" else p.upper for p in self.law.parameters])

    def _natural(self, theta: Array) -> Array:
        if "M" not in self.names:
            return theta
        out = theta.copy()
        at = self.names.index("M")
        out[:, at] = np.exp(out[:, at])
        return out

    def _table(self, policy: str, keep: Array, x: Array) -> dict[str, Array]:
        table = columns(x, policy, keep, self.designs)
        return {a: table[a] for a in self.law.axes}

    def values(self, theta: Array, policy: str, keep: Array, x: Array) -> Array:
        """Log outcome, (draws, n)."""
        with np.errstate(all="ignore"):
            return np.asarray(np.log(self.law(self._natural(theta), self._table(policy, keep, x))))

    def slopes(self, theta: Array, policy: str, keep: Array, x: Array) -> Array:
        """Their derivatives by the parameters, (draws, n, p)."""
        natural, table = self._natural(theta), self._table(policy, keep, x)
        with np.errstate(all="ignore"):
            found = self.law.jacobian(natural, table) / self.law(natural, table)[..., None]
        if "M" in self.names:
            at = self.names.index("M")
            found[..., at] *= natural[:, at][:, None]
        return np.asarray(found)


def _least(name: str, lower: float) -> float:
    if name == "M":
        return -30.0
    return max(lower, 1e-3) if name in ("beta", "A", "B") else lower


@dataclass(frozen=True, slots=True, eq=False)
class PerceptronModel:
    """The exact form near one angle, or at angle zero, from tables by policy and share.

    Over the logarithm of examples the error is a cubic through four nodes, over that of the angle
    a polynomial: what is asked of every draw at every size is then cheap.
    """

    designs: tuple[Design, ...]
    low: float
    high: float
    angle: float
    tables: dict[tuple[str, float, bool], Array] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the form."""
        return PERFECT if self.high == 0 else EXACT

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("E", "A", "M") if self.high == 0 else ("E", "A", "M", "theta")

    @property
    def lower(self) -> Array:
        """Least values; M by its logarithm."""
        return np.array([0.0, 1e-6, -30.0, self.low][: len(self.names)])

    @property
    def upper(self) -> Array:
        """Largest values."""
        return np.array([math.inf, math.inf, 30.0, self.high][: len(self.names)])

    @property
    def angles(self) -> Array:
        """Nodes."""
        if self.high == 0:
            return np.zeros(1)
        at = np.cos(np.pi * (2 * np.arange(_ANGLES) + 1) / (2 * _ANGLES))
        return np.asarray(self.low * (self.high / self.low) ** (0.5 - 0.5 * at))

    def values(self, theta: Array, policy: str, keep: Array, x: Array) -> Array:
        """Log outcome, (draws, n)."""
        return self._both(theta, policy, keep, x, slopes=False)[0]

    def slopes(self, theta: Array, policy: str, keep: Array, x: Array) -> Array:
        """Their derivatives by the parameters, (draws, n, p)."""
        return self._both(theta, policy, keep, x, slopes=True)[1]

    def _both(
        self, theta: Array, policy: str, keep: Array, x: Array, *, slopes: bool
    ) -> tuple[Array, Array]:
        shape = (len(theta), len(x))
        eps, by_size, by_angle = np.empty(shape), np.empty(shape), np.zeros(shape)
        basis, turned = self._basis(theta)
        for share in np.unique(keep):
            mine = np.flatnonzero(keep == share)
            size = np.log(x[mine]) - theta[:, 2:3]
            table = self._table(policy, float(share), bool(size.max() > math.log(0.99 * MOST)))
            log_eps, slope = _cubic(basis @ table, size)
            eps[:, mine], by_size[:, mine] = np.exp(log_eps), slope
            if slopes and len(self.names) > 3:
                by_angle[:, mine] = _cubic(turned @ table, size)[0]
        E, A = theta[:, 0:1], theta[:, 1:2]
        loss = E + A * eps
        if not slopes:
            return np.log(loss), eps
        parts = [1 / loss, eps / loss, -A * eps * by_size / loss, A * eps * by_angle / loss]
        return np.log(loss), np.stack(parts[: len(self.names)], axis=-1)

    def _basis(self, theta: Array) -> tuple[Array, Array]:
        """Weights of the nodes at each draw's angle, and their derivatives."""
        if len(self.names) < 4:
            return np.ones((len(theta), 1)), np.zeros((len(theta), 1))
        scale = math.log(self.high / self.low) / 2
        inverse = _vandermonde_inverse()
        angle = np.clip(theta[:, 3], self.low, self.high)
        t = np.clip(np.log(angle / self.low) / scale - 1, -1, 1)
        series = np.polynomial.chebyshev.chebvander(t, _ANGLES - 1)
        turned = np.stack(
            [
                np.polynomial.chebyshev.chebval(
                    t, np.polynomial.chebyshev.chebder(np.eye(_ANGLES)[i])
                )
                for i in range(_ANGLES)
            ],
            axis=-1,
        )
        return series @ inverse, turned @ inverse / (scale * angle[:, None])

    def _table(self, policy: str, keep: float, far: bool) -> Array:
        """Log errors by angle and examples, (angles, sizes)."""
        kept = "easy" if policy == "easy" and keep < 1 else "hard"
        key = (kept, keep, far and kept == "easy")
        if key not in self.tables:
            if self.high == 0:
                self.tables[key] = _perfect(kept, keep)
            else:
                table = _of_law(kept, keep, self.angles, np.exp(_sizes()))
                if key[2]:
                    beyond = np.maximum(_sizes(), math.log(MOST))
                    ends = _easy_far(self.angle)(math.log(keep), beyond)[0]
                    table = table + (ends - ends[0])
                self.tables[key] = table
        return self.tables[key]


@lru_cache(maxsize=1)
def _vandermonde_inverse() -> Array:
    at = np.cos(np.pi * (2 * np.arange(_ANGLES) + 1) / (2 * _ANGLES))
    return np.asarray(np.linalg.inv(np.polynomial.chebyshev.chebvander(-at, _ANGLES - 1)))


def _sizes() -> Array:
    return np.arange(_LEAST, _LAST, _STEP)


def _of_law(kept: str, keep: float, angles: Array, sizes: Array) -> Array:
    """Look at the catalogue's table; easy examples wait at its end."""
    law = Law(name=kept, formula=f"margin_{kept}(x, keep, theta)", axes=("x", "keep"),
              parameters=_ANGLE)  # fmt: skip
    x = np.minimum(sizes, 0.999 * MOST) if kept == "easy" else sizes
    return np.log(law(angles[:, None], {"x": x, "keep": np.full(len(x), keep)}))


_ANGLE = (Parameter(name="theta", lower=LEAST_ANGLE, upper=RIGHT, start=(0.15, 1.2)),)


@lru_cache(maxsize=256)
def _perfect(kept: str, keep: float) -> Array:
    """Log errors at angle zero, where the catalogue's table does not reach: solved for."""
    from scipy.interpolate import CubicSpline

    from isoloss.theory import pruned_perceptron

    low, high = _SHARP if kept == "hard" else (0.0, 0.0)
    parts = (np.arange(_LEAST, low, 0.2), np.arange(low, high, _STEP),
             np.arange(high, _LAST + 0.2, 0.2))  # fmt: skip
    at = np.concatenate(parts)
    eps = pruned_perceptron(np.exp(at), keep, 0.0, keep=kept).eps
    return np.asarray(CubicSpline(at, np.log(eps))(_sizes())).reshape(1, -1)


@lru_cache(maxsize=16)
def _easy_far(angle: float) -> Any:
    """Log errors of easy examples beyond the catalogue's table, at one angle, solved for."""
    from scipy.interpolate import RectBivariateSpline

    from isoloss.theory import pruned_perceptron

    shares, sizes = np.geomspace(LEAST_SHARE, 1.0, 12), np.linspace(math.log(MOST), _LAST + 0.1, 12)
    eps = pruned_perceptron(np.exp(sizes)[None], shares[:, None], angle, keep="easy").eps
    return RectBivariateSpline(np.log(shares), sizes, np.log(eps))


def near_angle(designs: Sequence[Design], theta: float) -> PerceptronModel:
    """Exact form within a factor of an angle."""
    low, high = max(theta / _SPREAD, LEAST_ANGLE), min(theta * _SPREAD, RIGHT)
    return PerceptronModel(tuple(designs), low, max(high, 1.2 * low), theta)


def all_angles(designs: Sequence[Design]) -> PerceptronModel:
    """Exact form at any angle, roughly: for starts."""
    return PerceptronModel(tuple(designs), LEAST_ANGLE, RIGHT, math.radians(20))


def perfect_score(designs: Sequence[Design]) -> PerceptronModel:
    """Exact form of a score that is the truth."""
    return PerceptronModel(tuple(designs), 0.0, 0.0, 0.0)


def _cubic(table: Array, at: Array) -> tuple[Array, Array]:
    """Value and slope of rows of a table at places of their own, straight beyond its ends."""
    inside = np.clip(at, _LEAST + _STEP, _LEAST + _STEP * (table.shape[1] - 3))
    place = (inside - _LEAST) / _STEP
    i = np.clip(place.astype(int), 1, table.shape[1] - 3)
    t = place - i
    rows = np.arange(len(table))[:, None]
    a, b, c, d = (table[rows, i + j] for j in (-1, 0, 1, 2))
    c1 = c - a / 3 - b / 2 - d / 6
    c2 = (a + c) / 2 - b
    c3 = (d - a) / 6 + (b - c) / 2
    value = b + t * (c1 + t * (c2 + t * c3))
    slope = (c1 + t * (2 * c2 + 3 * t * c3)) / _STEP
    return value + slope * (at - inside), slope
