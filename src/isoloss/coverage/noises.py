"""What is added to the logarithm of each simulated loss."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    r"""Noise of one run, in log loss: symmetric, and what can only raise a loss.

    .. math:: \epsilon = \sigma (s / s_{max})^{-\gamma} z + u + o

    z is normal or Student's t; u is exponential with mean ``lag`` for a share ``under_tuned`` of
    the runs and zero for the others; o is ``jump`` for a share ``outliers``. The truth that
    intervals are scored against is the law without any of it.

    Attributes
    ----------
    sd
        :math:`\sigma`, that of a run at the largest scale of the design.
    growth
        :math:`\gamma`: how fast noise grows towards small scales.
    freedom
        Degrees of freedom of Student's t; 0 for a normal distribution.
    """

    name: str
    meaning: str
    sd: float = 0.003
    growth: float = 0.0
    freedom: float = 0.0
    under_tuned: float = 0.0
    lag: float = 0.0
    outliers: float = 0.0
    jump: float = 0.0

    def draw(self, scale: Array, rng: np.random.Generator) -> Array:
        """Noise of runs whose scale is given relative to the largest of the design, (n,)."""
        n = len(scale)
        z = rng.standard_t(self.freedom, n) if self.freedom else rng.standard_normal(n)
        late = rng.random(n) < self.under_tuned
        u = np.where(late, self.lag * rng.standard_exponential(n), 0.0)
        o = np.where(rng.random(n) < self.outliers, np.log1p(self.jump), 0.0)
        return np.asarray(self.sd * scale**-self.growth * z + u + o)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"noise": self.name} | {k: v for k, v in asdict(self).items() if k != "name"}


_ALL = (
    Noise(name="normal", meaning="normal, 0.3 % of the loss"),
    Noise(name="shrinking", meaning="normal, larger at small scale", sd=0.002, growth=0.25),
    Noise(name="heavy", meaning="Student's t with 3 degrees of freedom", sd=0.002, freedom=3.0),
    Noise(
        name="one-sided",
        meaning="normal, and three runs in ten under-tuned by 1 % on average",
        under_tuned=0.3,
        lag=0.01,
    ),
    Noise(
        name="outliers", meaning="normal, and one run in fifty 5 % too high",
        outliers=0.02, jump=0.05,
    ),
)  # fmt: skip
NOISES = {n.name: n for n in _ALL}
