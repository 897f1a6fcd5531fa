"""How much to keep: the fraction of least error, the frontier, and where the answers change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_numbers
from isoloss.theory.perceptron import (
    FEWEST,
    PrunedPerceptron,
    as_angle,
    as_keep,
    as_law,
    describe,
    pruned_perceptron,
    read,
)
from isoloss.theory.perceptron_limits import margin_constant
from isoloss.theory.perceptron_moments import Law
from isoloss.theory.perceptron_solve import Solved, Student, polish, solve

_KNOTS = 49
"""Fractions of the first look, equally spaced in their logarithm."""
_LEAST = 1e-6
_ZOOMS, _TRIES = 5, 7
_SOLVED = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frontier:
    """Least error at each number of kept examples, and the fraction that gives it.

    Attributes
    ----------
    alpha_prune
        Kept examples a dimension, (k,), rising.
    theta
        Angle of the probe, radians.
    fraction, eps
        Best fraction and its error, (k,). Zero where keeping less always helps.
    exponent
        Fall of the error, ``-d log eps/d log alpha_prune``, (k,): one is the power law without
        pruning. Infinite where the error is zero.
    law
        ``C0 sin(theta)/alpha_prune``, which the frontier returns to, (k,).
    """

    alpha_prune: Array
    theta: float
    fraction: Array
    eps: Array
    exponent: Array
    law: Array

    def __post_init__(self) -> None:
        for name in ("alpha_prune", "fraction", "eps", "exponent", "law"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return f"Frontier({self.eps.size} points, theta {self.theta:.4g})"

    def to_columns(self) -> dict[str, Any]:
        """Columns of a table, one row a number of examples."""
        names = ("alpha_prune", "fraction", "eps", "exponent", "law")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"theta": self.theta} | {k: v.tolist() for k, v in self.to_columns().items()}


def optimal_fraction(
    alpha_prune: Any = None, theta: Any = 0.0, *, keep: Any = "hard", alpha_tot: Any = None
) -> PrunedPerceptron:
    """Keep the fraction with the least test error.

    With ``alpha_prune`` held the pool is as large as the fraction asks for, and only what is
    learned from costs. With ``alpha_tot`` held the examples are those there are.

    Parameters
    ----------
    alpha_prune, theta, keep, alpha_tot
        As in `isoloss.theory.pruned_perceptron`, one of the two numbers.

    Returns
    -------
    PrunedPerceptron
        At the best fractions, in the broadcast shape. Fractions below 1e-6 are not looked at but
        for the limit zero, which is the answer with ``alpha_prune`` held at 2 or more and a perfect
        probe: the hardest examples alone then teach everything.

    Raises
    ------
    InputError
        If a value breaks these rules or shapes do not broadcast.

    References
    ----------
    Sorscher et al., arXiv:2206.14486.

    Examples
    --------
    >>> found = optimal_fraction([1, 1.5])
    >>> found.fraction.round(3).tolist(), found.eps.round(7).tolist()
    ([0.95, 0.693], [0.2641323, 0.2062967])
    >>> optimal_fraction(alpha_tot=[0.5, 8], keep="easy").fraction.round(3).tolist()
    [0.567, 0.881]
    """
    pooled = alpha_prune is None
    a, total, _, angle, words = read(alpha_prune, 1.0, theta, keep, alpha_tot)
    alpha, shape = (total if pooled else a).ravel(), a.shape
    angle, words = angle.ravel(), words.ravel()
    best = np.ones(alpha.size)
    for key in {(float(t), str(w)) for t, w in zip(angle, words, strict=True)}:
        i = np.flatnonzero((angle == key[0]) & (words == key[1]))
        if key[1] != "random":
            best[i] = _search(alpha[i], key[0], key[1], pooled)
    held = {"alpha_tot" if pooled else "alpha_prune": alpha.reshape(shape)}
    return pruned_perceptron(
        fraction=best.reshape(shape), theta=angle.reshape(shape), keep=words.reshape(shape), **held
    )


def frontier(alpha_prune: Any, theta: float = 0.0) -> Frontier:
    """Least error that keeping the hard examples of an unlimited pool reaches.

    With a perfect probe it falls to zero at two examples a dimension. An imperfect one gains fast
    at first; then the frontier is a power law again, ``C0 sin(theta)/alpha_prune``, as if only the
    part of the teacher that the probe does not know were left to learn.

    Parameters
    ----------
    alpha_prune
        Kept examples a dimension, (k,).
    theta
        Angle of the probe in radians.

    Raises
    ------
    InputError
        If a value is out of range.

    References
    ----------
    Sorscher et al., arXiv:2206.14486, Pareto frontier.

    Examples
    --------
    >>> found = frontier([10, 100], np.deg2rad(20))
    >>> (found.eps / found.law).round(2).tolist()
    [1.23, 1.04]
    """
    alpha = np.unique(np.atleast_1d(as_numbers("alpha_prune", alpha_prune)))
    angle = as_angle(theta)
    if angle.ndim:
        raise InputError(f"theta: expected one angle, got shape {angle.shape}")
    at = optimal_fraction(alpha, angle).require()
    # At the best fraction moving it changes nothing: the slope is that at a fraction held.
    step = 1e-4
    beside = alpha * np.exp(np.array([[-step], [step]]))
    less, more = pruned_perceptron(beside, at.fraction, angle).eps
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = np.where(at.eps > 0, (np.log(less) - np.log(more)) / (2 * step), np.inf)
    return Frontier(
        alpha_prune=alpha, theta=float(angle), fraction=at.fraction, eps=at.eps, exponent=fall,
        law=margin_constant() * np.sin(angle) / alpha,
    )  # fmt: skip


def crossover(
    fraction: Any, theta: float = 0.0, *, of: tuple[str, str] = ("hard", "random")
) -> Array:
    """Kept examples a dimension above which the first way to keep a fraction beats the second.

    Parameters
    ----------
    fraction
        Share kept, of any shape, above zero.
    theta
        Angle of the probe in radians.
    of
        The two ways. They are compared at the same number of kept examples.

    Returns
    -------
    ndarray
        The last crossing from worse to better, between 0.01 and 1e4 examples; nan where there is
        none. Divide by the fraction for examples before pruning.

    Raises
    ------
    InputError
        If a value is out of range.

    References
    ----------
    Sorscher et al., arXiv:2206.14486: keep easy examples when data are scarce, hard ones when
    they abound.

    Examples
    --------
    >>> crossover([0.5, 0.2]).round(6).tolist()
    [1.453283, 1.759883]
    >>> crossover(0.2, of=("hard", "easy")).round(6).tolist()
    2.068159
    """
    f = as_numbers("fraction", fraction)
    if not ((f > 0) & (f <= 1)).all():
        raise InputError(f"fraction = {f.tolist()!r}: must lie above 0, and be at most 1")
    first, second = as_keep(list(of))

    def gap(alpha: Any, share: Any) -> Array:
        better, worse = (
            pruned_perceptron(alpha, share, theta, keep=k).require().eps for k in (first, second)
        )
        return np.asarray(np.log(better / worse))

    share = f.reshape(-1, 1)
    grid = np.log(np.geomspace(0.01, 1e4, 141)) + 0 * share
    rows = np.arange(f.size)
    # Where both are next to the same, rounding has no sign to go by.
    known, noise = np.ones(f.size, dtype=bool), 1e-9
    for _ in range(5):
        gaps = gap(np.exp(grid), share)
        crossings = (gaps[:, :-1] > noise) & (gaps[:, 1:] <= -noise)
        known, noise = known & crossings.any(axis=1), 0.0
        j = crossings.shape[1] - 1 - np.argmax(crossings[:, ::-1], axis=1)
        left, right = grid[rows, j], grid[rows, j + 1]
        rise = gaps[rows, j] - gaps[rows, j + 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            root = left + (right - left) * gaps[rows, j] / rise
        grid = np.linspace(left, right, 9, axis=1)
    return np.exp(np.where(known, root, np.nan)).reshape(f.shape)


def lossless_fraction(
    alpha_tot: Any, excess: float = 0.02, theta: float = 0.0, *, keep: str = "hard"
) -> Array:
    """Smallest fraction whose error is at most ``1 + excess`` times that of all examples.

    With a perfect probe and hard examples the number kept, ``alpha_tot`` times this, tends to a
    constant: 3.43 a dimension for 2 percent, however large the pool.

    Parameters
    ----------
    alpha_tot
        Examples a dimension before pruning, of any shape.
    excess
        Relative error that is accepted, above zero.
    theta, keep
        As in `isoloss.theory.pruned_perceptron`.

    Raises
    ------
    InputError
        If a value is out of range.

    Examples
    --------
    >>> lossless_fraction([10, 100]).round(4).tolist()
    [0.3261, 0.0344]
    """
    from scipy.optimize import brentq

    total = as_numbers("alpha_tot", alpha_tot)
    if not (np.isfinite(excess) and excess > 0):
        raise InputError(f"excess = {excess!r}: must be finite and positive, as 0.02 for 2 percent")
    found = np.ones(total.size)
    for i, pool in enumerate(total.ravel()):
        # Relative to nothing kept every error is lossless where there is little to learn from.
        knots = np.geomspace(max(_LEAST, 1.0001 * FEWEST / pool), 1.0, 81)
        bound = (1 + excess) * pruned_perceptron(alpha_tot=pool, keep="random").require().eps

        def gap(fraction: Any, pool: float = pool, bound: Array = bound) -> Array:
            at = pruned_perceptron(fraction=fraction, theta=theta, keep=keep, alpha_tot=pool)
            return np.asarray(at.require().eps / bound - 1)

        above = np.flatnonzero(gap(knots) > 0)
        j = int(above[-1]) if above.size else -1
        found[i] = knots[0] if j < 0 else brentq(gap, knots[j], knots[j + 1], xtol=1e-9)
    return found.reshape(total.shape)


def _search(alpha: Array, theta: float, keep: str, pooled: bool) -> Array:
    """Best fraction at each alpha, for one probe: a grid, then closer around its best."""
    floor = _LEAST if not pooled else min(1.0, max(_LEAST, 1e-3 / float(alpha.max())))
    knots = np.log(np.geomspace(floor, 1.0, _KNOTS))
    kept = alpha[:, None] * np.exp(knots) if pooled else np.repeat(alpha[:, None], _KNOTS, axis=1)
    known = kept >= FEWEST
    laws = _laws(np.exp(knots), theta, keep)
    curve = np.broadcast_to(np.arange(_KNOTS), kept.shape)[known]
    found = solve(laws.pick(curve), kept[known], curve, laws)
    states, eps = np.full((3, *kept.shape), np.nan), np.full(kept.shape, np.inf)
    states[:, known] = found.student
    eps[known] = _errors(laws.pick(curve), theta, found)
    # A flat minimum keeps more.
    best = _KNOTS - 1 - np.argmin(eps[:, ::-1] * (1 + 1e-12 * np.arange(_KNOTS)), axis=1)
    rows = np.arange(alpha.size)
    centre, low = knots[best], eps[rows, best]
    sides = [np.clip(best + k, 0, _KNOTS - 1) for k in (-1, 1)]
    width = np.full(alpha.size, knots[1] - knots[0])
    middle = states[:, rows, best]
    # Rise of the unknowns by the log of the fraction, to guess them in between.
    run = knots[sides[1]] - knots[sides[0]]
    slope = (states[:, rows, sides[1]] - states[:, rows, sides[0]]) / run
    offsets = np.linspace(-1, 1, _TRIES)
    least = np.full(alpha.size, knots[0])
    if pooled:
        # No pool is pruned to fewer examples than are solved for.
        least = np.clip(np.log(1.0001 * FEWEST / alpha), knots[0], 0.0)
    for _ in range(_ZOOMS):
        tries = np.clip(centre[:, None] + width[:, None] * offsets, least[:, None], 0.0)
        guess = middle[:, :, None] + slope[:, :, None] * (tries - centre[:, None])
        point, values = _try(alpha, tries, guess, theta, keep, pooled)
        j = np.nanargmin(np.where(np.isfinite(values), values, np.inf), axis=1)
        j = np.where(values[rows, j] <= low, j, _TRIES // 2)
        centre, low = tries[rows, j], np.minimum(low, values[rows, j])
        middle = point[:, rows, j]
        inner = np.clip(j, 1, _TRIES - 2)
        run = tries[rows, inner + 1] - tries[rows, inner - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (point[:, rows, inner + 1] - point[:, rows, inner - 1]) / run
        slope[~np.isfinite(slope)] = 0.0
        last = (tries, values, j)
        width = width * (2 / (_TRIES - 1))
    best_fraction = np.exp(np.clip(_vertex(*last), least, 0.0))
    # What gains no more than the solver's digits is no reason to leave anything out.
    best_fraction = np.where((centre >= -1e-12) | (eps[:, -1] <= low * (1 + 1e-9)), 1.0,
                             best_fraction)  # fmt: skip
    if not pooled:
        zero = pruned_perceptron(alpha, 0.0, theta, keep=keep)
        best_fraction = np.where(zero.eps < low * (1 - 1e-9), 0.0, best_fraction)
    return best_fraction


def _try(
    alpha: Array, tries: Array, guess: Array, theta: float, keep: str, pooled: bool
) -> tuple[Array, Array]:
    """Solve near a guess; from the beginning where that does not help."""
    f = np.exp(tries).ravel()
    law = _laws(f, theta, keep)
    a = np.repeat(alpha, tries.shape[1])
    a = a * f if pooled else a
    start = Student(*guess.reshape(3, -1))
    student, residual = np.array(start), np.full(a.size, np.inf)
    support = np.full(a.size, np.nan)
    for plane in (False, True):
        i = np.flatnonzero((law.theta > 0) == plane)
        if i.size:
            near = start.pick(i)
            part = polish(law.pick(i), a[i], (near, near.x - 0.5, near.x + 0.5), plane)
            student[:, i], residual[i], support[i] = part.student, part.residual, part.support
    lost = np.flatnonzero(~(residual < _SOLVED))
    if lost.size:
        again = law.pick(lost)
        part = solve(again, a[lost], np.arange(lost.size), again)
        student[:, lost], residual[lost], support[lost] = part.student, part.residual, part.support
    values = _errors(law, theta, Solved(Student(*student), support, residual))
    return student.reshape(3, *tries.shape), values.reshape(tries.shape)


def _laws(fraction: Array, theta: float, keep: str) -> Law:
    return as_law(fraction, np.full(fraction.size, theta), np.full(fraction.size, keep))


def _errors(law: Law, theta: float, found: Solved) -> Array:
    eps = describe(law, np.full(law.low.size, theta), found.student)[3]
    return np.asarray(np.where(found.residual < _SOLVED, eps, np.inf))


def _vertex(tries: Array, values: Array, j: Array) -> Array:
    """Least of the parabola through the best of some equally spaced tries and its neighbours."""
    rows, i = np.arange(j.size), np.clip(j, 1, tries.shape[1] - 2)
    left, middle, right = (np.log(values[rows, i + k]) for k in (-1, 0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        move = (left - right) / (2 * (left + right - 2 * middle))
    move = np.where(np.isfinite(move), np.clip(move, -1, 1), 0.0)
    return np.asarray(tries[rows, i] + move * (tries[rows, i + 1] - tries[rows, i]))
