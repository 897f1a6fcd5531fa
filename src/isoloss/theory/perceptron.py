"""Data pruning in the teacher-student perceptron: the exact error of what was kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import FitError, InputError
from isoloss.theory.checks import as_numbers
from isoloss.theory.perceptron_moments import Law
from isoloss.theory.perceptron_solve import solve

KEEP = ("hard", "easy", "random")
RIGHT = np.pi / 2
FEWEST, _MOST = 1e-5, 1e6
"""Examples a dimension that are solved for."""
_SMALLEST = 1e-6
"""Fraction kept that is solved for; below it there is only the limit zero."""
_STRAIGHT = 1e-10
_SOLVED = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrunedPerceptron:
    """Max-margin students of pruned data, on a grid. Every array has its shape.

    Attributes
    ----------
    alpha_prune, alpha_tot
        Examples a dimension, kept and before pruning.
    fraction
        Share that was kept.
    theta
        Angle between probe and teacher, in radians.
    keep
        ``hard``, ``easy`` or ``random``.
    R, rho
        Cosine of the student's angle to the teacher, and to the probe.
    kappa
        Margin: least ``y J.x`` of the kept examples, for a student of length one.
    eps
        Test error, ``arccos(R)/pi``.
    support_fraction
        Share of the kept examples that are support vectors; times ``alpha_prune`` it is their
        number a dimension, which stays below one.
    residual
        Largest relative residual of the three equations.
    """

    alpha_prune: Array
    alpha_tot: Array
    fraction: Array
    theta: Array
    keep: npt.NDArray[np.str_]
    R: Array
    rho: Array
    kappa: Array
    eps: Array
    support_fraction: Array
    residual: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if name != "keep":
                object.__setattr__(self, name, freeze(getattr(self, name)))
        self.keep.flags.writeable = False

    def __repr__(self) -> str:
        low, high = np.min(self.eps), np.max(self.eps)
        return f"PrunedPerceptron(shape {self.eps.shape}, eps {low:.6g}..{high:.6g})"

    @property
    def converged(self) -> npt.NDArray[np.bool_]:
        """Where the equations are solved."""
        return np.asarray(self.residual < _SOLVED)

    @property
    def status(self) -> str:
        """``ok``, or ``failed`` where the equations were not solved at some point."""
        return "ok" if self.converged.all() else "failed"

    def require(self) -> PrunedPerceptron:
        """Return self, or raise where a point has no solution."""
        if self.status == "failed":
            i = np.unravel_index(int(np.argmax(~self.converged)), self.eps.shape)
            raise FitError(
                "NO_SADDLE_POINT",
                f"the equations were not solved at alpha_prune {self.alpha_prune[i]:g}, fraction "
                f"{self.fraction[i]:g}, theta {np.degrees(self.theta[i]):g} degrees, keep "
                f"{self.keep[i]}",
            )
        return self

    def to_columns(self) -> dict[str, Any]:
        """Columns of a table, one row a point of the grid."""
        return {name: getattr(self, name).ravel() for name in self.__slots__}

    def to_dict(self) -> dict[str, Any]:
        """Plain types, nested lists in the shape of the grid."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}


def pruned_perceptron(
    alpha_prune: Any = None, fraction: Any = 1.0, theta: Any = 0.0, *, keep: Any = "hard",
    alpha_tot: Any = None,
) -> PrunedPerceptron:  # fmt: skip
    """Exact test error of a max-margin perceptron that learns from pruned data.

    Inputs are standard normal in N dimensions, N large, labels the sign of a teacher. A probe at
    the angle ``theta`` to the teacher ranks the examples by its margin ``|z|``; ``hard`` keeps the
    fraction with the smallest, ``easy`` that with the largest. With t the field of the student on a
    kept example, (R, c) its components along the teacher and across it towards the probe, r the
    rest, the margin is the largest kappa for which

        alpha_prune E (kappa - t)_+^2 = r^2.

    Parameters
    ----------
    alpha_prune
        Kept examples a dimension, 1e-5 to 1e6.
    fraction
        Share kept, 1e-6 to 1. At zero the limit is taken with alpha_prune held.
    theta
        Angle of the probe in radians, 0 (it knows the teacher) to pi/2 (it knows nothing).
    keep
        ``"hard"``, ``"easy"`` or ``"random"``, or an array of these.
    alpha_tot
        Examples a dimension before pruning, instead of ``alpha_prune``.

    Returns
    -------
    PrunedPerceptron
        Arrays of the broadcast shape.

    Raises
    ------
    InputError
        If a value breaks these rules or shapes do not broadcast.

    References
    ----------
    Sorscher, Geirhos, Shekhar, Ganguli and Morcos, arXiv:2206.14486, appendix A.

    Examples
    --------
    >>> import numpy as np
    >>> found = pruned_perceptron(3, 0.2, np.deg2rad([0, 20]))
    >>> found.eps.round(7).tolist()
    [0.0347213, 0.2609726]
    >>> pruned_perceptron(alpha_tot=[1, 10], fraction=0.6, keep="easy").eps.round(5).tolist()
    [0.24877, 0.05259]
    """
    a, total, f, angle, words = read(alpha_prune, fraction, theta, keep, alpha_tot)
    shape = a.shape
    a, f, angle, words = a.ravel(), f.ravel(), angle.ravel(), words.ravel()
    limit = f == 0
    found = np.full((6, a.size), np.nan)
    if (~limit).any():
        found[:, ~limit] = _solve(a[~limit], f[~limit], angle[~limit], words[~limit])
    if limit.any():
        from isoloss.theory.perceptron_limits import nothing_kept

        found[:, limit] = nothing_kept(a[limit], angle[limit], words[limit])
    names = ("R", "rho", "kappa", "eps", "support_fraction", "residual")
    return PrunedPerceptron(
        alpha_prune=a.reshape(shape), alpha_tot=total, fraction=f.reshape(shape),
        theta=angle.reshape(shape), keep=words.reshape(shape),
        **{name: values.reshape(shape) for name, values in zip(names, found, strict=True)},
    )  # fmt: skip


def read(
    alpha_prune: Any, fraction: Any, theta: Any, keep: Any, alpha_tot: Any
) -> tuple[Array, Array, Array, Array, npt.NDArray[np.str_]]:
    """Read and broadcast the arguments: kept, total, fraction, angle, word."""
    if (alpha_prune is None) == (alpha_tot is None):
        raise InputError("give either alpha_prune (kept examples a dimension) or alpha_tot (all)")
    name = "alpha_tot" if alpha_prune is None else "alpha_prune"
    alpha = as_numbers(name, alpha_tot if alpha_prune is None else alpha_prune)
    _within(name, alpha, np.isfinite(alpha) & (alpha > 0), "finite and positive")
    f = as_numbers("fraction", fraction)
    _within("fraction", f, (f >= 0) & (f <= 1), "a share between 0 and 1")
    angle, words = as_angle(theta), as_keep(keep)
    try:
        arrays = np.broadcast_arrays(alpha, f, angle, words)
    except ValueError as error:
        raise InputError(
            f"{name} {alpha.shape}, fraction {f.shape}, theta {angle.shape}, keep {words.shape}: "
            "these shapes do not broadcast; see numpy's rules"
        ) from error
    alpha, f, angle, words = (np.array(v) for v in arrays)
    f = np.where(words == "random", np.where(f == 0, 1.0, f), f) if name == "alpha_prune" else f
    _within(
        "fraction", f, (f >= _SMALLEST) | (f == 0),
        f"at least {_SMALLEST:g}, or 0 for the limit with alpha_prune held",
    )  # fmt: skip
    with np.errstate(divide="ignore"):
        a, total = (alpha * f, alpha) if name == "alpha_tot" else (alpha, alpha / f)
    _within(
        "alpha_prune", a, (a >= FEWEST) & (a <= _MOST),
        f"{FEWEST:g} to {_MOST:g} kept examples a dimension",
    )  # fmt: skip
    return a, total, f, angle, words


def as_angle(theta: Any) -> Array:
    """Read angles in radians."""
    angle = as_numbers("theta", theta)
    _within(
        "theta", angle, (angle >= 0) & (angle <= RIGHT * (1 + 1e-12)),
        "an angle in radians between 0 and pi/2; numpy.deg2rad makes radians of degrees",
    )  # fmt: skip
    return np.minimum(angle, RIGHT)


def as_keep(keep: Any) -> npt.NDArray[np.str_]:
    """Read which examples are kept."""
    words = np.asarray(keep)
    bad = [w for w in words.ravel().tolist() if w not in KEEP]
    if bad or not words.size:
        raise InputError(f"keep = {bad[0] if bad else keep!r}: write one of {', '.join(KEEP)}")
    return words.astype(np.str_)


def as_law(fraction: Array, theta: Array, keep: npt.NDArray[np.str_]) -> Law:
    """Kept examples of fractions above zero, (n,); what prunes nothing, or blindly, is one law."""
    from scipy.special import erfcinv, erfinv

    blind = (keep == "random") | (fraction == 1) | (theta == RIGHT)
    low = np.where((keep == "easy") & ~blind, np.sqrt(2) * erfcinv(fraction), 0.0)
    high = np.where((keep == "hard") & ~blind, np.sqrt(2) * erfinv(fraction), np.inf)
    # Far below the least fraction an angle changes nothing but how hard the equations are.
    angle = np.where(blind | (theta < _STRAIGHT), 0.0, theta)
    return Law(low, high, np.where(blind, 1.0, fraction), angle)


def describe(law: Law, theta: Array, student: Any) -> tuple[Array, Array, Array, Array]:
    """R, rho, kappa and eps of students."""
    R, c = student.hyp * np.cos(student.chi), student.hyp * np.sin(student.chi)
    # Where nothing was chosen by the probe, its direction is one of many.
    blind = (law.low == 0) & np.isinf(law.high)
    rho = np.where(blind, R * np.cos(theta), student.hyp * np.cos(theta - student.chi))
    rho = np.where(theta == RIGHT, 0.0, rho)
    eps = np.arctan2(np.hypot(student.r, c), R) / np.pi
    return R, rho, student.kappa(law), eps


def _solve(a: Array, f: Array, theta: Array, keep: npt.NDArray[np.str_]) -> Array:
    """Six quantities of every point, each law and point but once."""
    whole = as_law(f, theta, keep)
    table = np.stack([whole.low, whole.high, whole.share, whole.theta, a], axis=1)
    points, back = np.unique(table, axis=0, return_inverse=True)
    rows, curve = np.unique(points[:, :4], axis=0, return_inverse=True)
    law, laws = Law(*points[:, :4].T), Law(*rows.T)
    found = solve(law, points[:, 4], curve.ravel(), laws)
    back = back.ravel()
    shown = describe(whole, theta, found.student.pick(back))
    return np.stack([*shown, found.support[back], found.residual[back]])


def _within(name: str, array: Array, good: npt.NDArray[np.bool_], rule: str) -> None:
    if not good.all():
        where = np.argwhere(~good)[0]
        place = f"[{', '.join(map(str, where))}]" if array.ndim else ""
        raise InputError(f"{name}{place} = {float(array[tuple(where)])!r}: must be {rule}")
