"""What an example is worth: the volume of students that agree with the pruned data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import FitError, InputError
from isoloss.theory.perceptron import as_law, read
from isoloss.theory.perceptron_moments import gauss

_ROOT = 1 / np.sqrt(2 * np.pi)
_SOLVED = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VersionSpace:
    """Students that make no error on the kept examples, on a grid.

    Attributes
    ----------
    alpha_prune, alpha_tot, fraction, keep
        As in `isoloss.theory.PrunedPerceptron`; the probe is the teacher.
    q, R
        Cosine of the angle between two such students, and between one of them and the teacher.
    information_gain
        Nats that one more kept example would give: how much the log volume falls.
    entropy
        Log of the volume, per dimension, zero without examples.
    eps_gibbs, eps_centre
        Test error of a student drawn at random, and of the mean of all.
    residual
        Relative residual of the two equations.
    """

    alpha_prune: Array
    alpha_tot: Array
    fraction: Array
    keep: npt.NDArray[np.str_]
    q: Array
    R: Array
    information_gain: Array
    entropy: Array
    eps_gibbs: Array
    eps_centre: Array
    residual: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if name != "keep":
                object.__setattr__(self, name, freeze(getattr(self, name)))
        self.keep.flags.writeable = False

    def __repr__(self) -> str:
        gain = self.information_gain
        return (
            f"VersionSpace(shape {gain.shape}, information_gain {np.min(gain):.6g}.."
            f"{np.max(gain):.6g} nats)"
        )

    @property
    def status(self) -> str:
        """``ok``, or ``failed`` where the equations were not solved at some point."""
        return "ok" if (self.residual < _SOLVED).all() else "failed"

    def require(self) -> VersionSpace:
        """Return self, or raise where a point has no solution."""
        if self.status == "failed":
            i = np.unravel_index(int(np.argmax(~(self.residual < _SOLVED))), self.q.shape)
            raise FitError(
                "NO_SADDLE_POINT",
                f"the equations were not solved at alpha_prune {self.alpha_prune[i]:g}, fraction "
                f"{self.fraction[i]:g}, keep {self.keep[i]}",
            )
        return self

    def to_columns(self) -> dict[str, Any]:
        """Columns of a table, one row a point of the grid."""
        return {name: getattr(self, name).ravel() for name in self.__slots__}

    def to_dict(self) -> dict[str, Any]:
        """Plain types, nested lists in the shape of the grid."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}


def version_space(
    alpha_prune: Any = None, fraction: Any = 1.0, *, keep: Any = "hard", alpha_tot: Any = None
) -> VersionSpace:
    """Volume of the students that agree with the kept examples, for a probe that is the teacher.

    With ``xi = -(R |z| + sqrt(q - R^2) h)/sqrt(1 - q)``, z kept and h standard normal, the log
    volume per dimension is stationary in q and R:

        S = log(1 - q)/2 + (q - R^2)/(2 (1 - q)) + alpha_prune E log H(xi).

    Its fall with one more example of the same kind is ``-E log H(xi)``. The gain may exceed log 2:
    that an example was chosen tells where the boundary runs, beside its label.

    Parameters
    ----------
    alpha_prune, fraction, keep, alpha_tot
        As in `isoloss.theory.pruned_perceptron`, the fraction above zero.

    Returns
    -------
    VersionSpace
        Arrays of the broadcast shape.

    Raises
    ------
    InputError
        If a value breaks these rules or shapes do not broadcast.

    References
    ----------
    Sorscher et al., arXiv:2206.14486; the equations are those of Gardner's volume, replica
    symmetric.

    Examples
    --------
    >>> found = version_space([1, 5], keep="random")
    >>> found.information_gain.round(7).tolist()
    [0.5065505, 0.1873603]
    """
    a, total, f, _, words = read(alpha_prune, fraction, 0.0, keep, alpha_tot)
    if (f == 0).any():
        raise InputError("fraction = 0.0: the volume has no limit there; give a share above 0")
    points = zip(*(v.ravel().tolist() for v in (a, f, words)), strict=True)
    rows = [_solve(*point) for point in points]
    q, R, gain, entropy, gibbs, centre, residual = np.array(rows).T.reshape(7, *a.shape)
    return VersionSpace(
        alpha_prune=a, alpha_tot=total, fraction=f, keep=words, q=q, R=R, information_gain=gain,
        entropy=entropy, eps_gibbs=gibbs, eps_centre=centre, residual=residual,
    )  # fmt: skip


class _Fields:
    """Averages over the fields of kept examples at one q and R.

    The field ``y = R |z| + sqrt(q - R^2) h`` is integrated over; z at given y is normal, cut at the
    bounds of what is kept. Arguments are logits, so that nothing is lost where q or R is near one.
    """

    def __init__(self, low: float, high: float, share: float, q_logit: float, R_logit: float):
        from scipy.special import erfcx, log_ndtr

        self.q, self.rest = 1 / (1 + np.exp(-q_logit)), 1 / (1 + np.exp(q_logit))
        part = 1 / (1 + np.exp(-R_logit))
        self.R = float(np.sqrt(self.q * part))
        self.spread = float(self.q / (1 + np.exp(R_logit)))
        """q - R^2"""
        y, mass = self._nodes(low, high)
        sd = np.sqrt(self.spread / self.q)
        mean = self.R * y / self.q
        near, far = (low - mean) / sd, (high - mean) / sd
        kept = _between(near, far)
        density = _ROOT * (np.exp(-(near**2) / 2) - np.exp(-(far**2) / 2))
        mass = mass * 2 / share
        xi = -y / np.sqrt(self.rest)
        # The hazard phi/H without dividing what has vanished by what has vanished.
        G = np.sqrt(2 / np.pi) / erfcx(xi / np.sqrt(2))
        self.G2 = float(mass @ (kept * G**2))
        self.slope = float(mass @ (kept * G * (G - xi)))
        self.Gz = float(mass @ (G * (kept * mean + sd * density)))
        self.gain = -float(mass @ (kept * log_ndtr(-xi)))

    def _nodes(self, low: float, high: float) -> tuple[Array, Array]:
        """Fields and normal weights, on panels that end where something bends."""
        root, sd = float(np.sqrt(self.q)), float(np.sqrt(self.spread))
        fine = float(np.sqrt(self.rest))
        turn = sd * root / self.R
        steps = np.array([-9.0, -6.0, -3.5, -1.5, 0.0, 1.5, 3.5, 6.0, 9.0])
        cuts = [root * steps, fine * steps, fine * np.array([-40.0, -18.0, 18.0])]
        for edge in (low, high):
            if np.isfinite(edge):
                middle = edge * self.q / self.R
                cuts += [middle + turn * steps, edge * self.R + sd * steps]
        edges = np.unique(np.clip(np.concatenate(cuts), -9.5 * root, 9.5 * root))
        x, weight = gauss(14)
        wide = np.diff(edges)[:, None]
        y = (edges[:-1, None] + wide * x).ravel()
        return y, (wide * weight).ravel() * _ROOT / root * np.exp(-(y**2) / (2 * self.q))

    @property
    def log_alpha(self) -> float:
        """Examples that the first equation asks for: q - R^2 = a (1 - q) E G^2."""
        return float(np.log(self.spread / (self.rest * self.G2)))

    @property
    def miss(self) -> float:
        """Second equation at that number: R (1 - a E G') = a sqrt(1 - q) E G z."""
        a = np.exp(self.log_alpha)
        return float(1 - a * self.slope - a * np.sqrt(self.rest) * self.Gz / self.R)


def _between(near: Array, far: Array) -> Array:
    """Probability of a normal variable between two numbers, by the tail that loses nothing."""
    from scipy.special import ndtr

    swap = near > 0
    return np.asarray(np.where(swap, ndtr(-near) - ndtr(-far), ndtr(far) - ndtr(near)))


def _solve(alpha: float, fraction: float, keep: str) -> tuple[float, ...]:
    """q, R, gain, entropy, both errors and the residual of one point."""
    from scipy.optimize import brentq

    law = as_law(np.array([fraction]), np.zeros(1), np.array([keep]))
    low, high, share = float(law.low[0]), float(law.high[0]), float(law.share[0])

    def overlap(q_logit: float, near: float) -> tuple[float, _Fields]:
        """Solve for R at given q, from a logit that is not far."""

        def miss(R_logit: float) -> float:
            return _Fields(low, high, share, q_logit, R_logit).miss

        # The second equation rises through zero with R.
        step, first = 0.5, miss(near)
        ends = [near, near]
        while (miss(ends[1]) > 0) == (first > 0) and step < 100:
            ends = [ends[1], ends[1] - step if first > 0 else ends[1] + step]
            step *= 1.5
        root = float(brentq(miss, *ends, xtol=1e-13)) if ends[0] != ends[1] else near
        return root, _Fields(low, high, share, q_logit, root)

    # Log a rises with q. Few examples: q ~ a, and the same for the share of R^2 in it.
    goal = float(np.log(alpha))
    below = min(goal, np.log(0.01)) - 1.0
    logit, at = overlap(below, below)
    above, last = below, logit
    while at.log_alpha < goal:
        below, last, above = above, logit, above + 0.7
        logit, at = overlap(above, logit)
    q_logit = float(
        brentq(lambda v: overlap(v, last)[1].log_alpha - goal, below, above, xtol=1e-13)
    )
    at = overlap(q_logit, last)[1]
    residual = max(abs(at.log_alpha - goal), abs(at.miss))
    ratio = at.spread / at.rest
    entropy = (np.log(at.rest) + ratio) / 2 - alpha * at.gain
    gibbs = np.arctan2(np.sqrt(at.rest + at.spread), at.R) / np.pi
    centre = np.arctan2(np.sqrt(at.spread), at.R) / np.pi
    return at.q, at.R, at.gain, float(entropy), float(gibbs), float(centre), residual
