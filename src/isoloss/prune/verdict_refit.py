r"""Draws of a form together with what the form misses.

Means of cells are

.. math:: y = f(\theta) + \tau_0 \Phi_0 w_0 + \tau_1 \Phi_1 w_1 + \epsilon,

f the form, w standard normal, :math:`\epsilon` the noise of seeds. :math:`\Phi_0` is a departure
from the law of random examples, taken at as many of them as what is kept is worth, so that an error
of the law is one of gains too. :math:`\Phi_1` is one of each policy, zero where all is kept and a
random walk over :math:`\log(1/k)`. Over :math:`s = \log(D/D_{min})/\log(D_{max}/D_{min})` each is a
straight line and an integrated random walk: slopes that drift on beyond the pilots as they may have
drifted within. :math:`\tau` is the departure of log loss over the range of the pilots; its values
are weighed by the likelihood of the means, and what the means do not exclude is drawn. A departure
that the pilots cannot see is not zero, and most of it is beyond them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.prune.pilots import NONE, POLICIES
from isoloss.prune.verdict_cells import World, by_policy
from isoloss.prune.verdict_models import Model

DEPARTURES = (0.0, *(0.01 * 2.0**i for i in range(7)))
"""Departures considered, of log loss: none, and 1 to 64 percent, each twice the last."""
_KNOTS = np.linspace(0.0, 4.0, 33)
_STEPS = 3
_VAGUE = 10.0
"""Parameters are held this loosely near the fit, in units of one and their own size."""


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """Features of what a form may miss, at any policy, share and size."""

    low: float
    span: float
    cuts: dict[str, Array]
    sizes: Array
    curve: Array

    @property
    def size(self) -> int:
        """Number of features."""
        return len(_KNOTS) + 1 + sum(len(c) * (len(_KNOTS) + 2) for c in self.cuts.values())

    @property
    def alike(self) -> int:
        """How many of the first features are of all policies."""
        return len(_KNOTS) + 1

    def features(self, policy: str, keep: Array, D: Array, value: Array) -> Array:
        """Features, (n, size).

        Parameters
        ----------
        value
            Log outcome there by the form, which says how many random examples it is worth.
        """
        worth = np.interp(-value, -self.curve, self.sizes) if policy in self.cuts else np.log(D)
        line = self._line(np.log(D))
        parts = [self._line(worth)]
        for name, cuts in self.cuts.items():
            edges = np.concatenate([[0.0], cuts])
            gaps = np.diff(edges)
            cut = -np.log(keep) if name == policy else np.zeros(len(D))
            last = np.append(np.full(len(gaps) - 1, 1.0), math.inf)
            hats = np.clip((cut[:, None] - edges[:-1]) / gaps, 0.0, last)
            hats = hats * np.sqrt(gaps / cuts[-1])
            grown = np.column_stack([np.ones(len(D)), line])
            parts.append((hats[:, :, None] * grown[:, None, :]).reshape(len(D), -1))
        return np.hstack(parts)

    def _line(self, log_D: Array) -> Array:
        """Build a straight line and the steps of an integrated random walk."""
        s = (log_D - self.low) / self.span
        step = _KNOTS[1] - _KNOTS[0]
        return np.column_stack([s, np.maximum(s[:, None] - _KNOTS, 0.0) * math.sqrt(step)])


def make_departure(world: World, model: Model, theta: Array) -> Departure:
    """Take the range of sizes and shares of the pilots, and the form's own curve at its fit."""
    cells = world.cells
    cuts = {
        p: np.unique(-np.log(cells.keep[cells.policy == p]))
        for p in POLICIES
        if (cells.policy == p).any()
    }
    span = math.log(cells.D.max() / cells.D.min())
    sizes = np.linspace(math.log(cells.D.min()) - 5, math.log(cells.D.max()) + 12, 341)
    ones = np.ones(len(sizes))
    curve = model.values(theta[None], NONE, ones, np.exp(sizes) / world.x0)[0]
    # Where it has come to rest a tiny slope keeps it invertible.
    curve = np.minimum.accumulate(curve) - 1e-9 * np.arange(len(sizes))
    return Departure(math.log(cells.D.min()), max(span, 0.7), cuts, sizes, curve)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Means of cells beside one form, around its fit."""

    world: World
    model: Model
    departure: Departure
    features: Array
    y: Array

    def values(self, theta: Array) -> Array:
        """Log outcome of the cells, (draws, cells)."""
        return self._each(theta, slopes=False)

    def slopes(self, theta: Array) -> Array:
        """Their derivatives, (draws, cells, p)."""
        return self._each(theta, slopes=True)

    def _each(self, theta: Array, *, slopes: bool) -> Array:
        cells = self.world.cells
        tail = (len(self.model.names),) if slopes else ()
        out = np.empty((len(theta), len(cells.D), *tail))
        for policy, at in by_policy(cells).items():
            ask = self.model.slopes if slopes else self.model.values
            out[:, at] = ask(theta, policy, cells.keep[at], cells.D[at] / self.world.x0)
        return out


def make_problem(world: World, model: Model, theta: Array) -> Problem:
    """Put cells, a form near its fit, and features together."""
    cells, departure = world.cells, make_departure(world, model, theta)
    features = np.empty((len(cells.D), departure.size))
    for policy, at in by_policy(cells).items():
        keep, D = cells.keep[at], cells.D[at]
        value = model.values(theta[None], policy, keep, D / world.x0)[0]
        features[at] = departure.features(policy, keep, D, value)
    return Problem(world, model, departure, features, cells.log_mean - math.log(world.unit))


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Departures of a form, weighed.

    Attributes
    ----------
    scales
        Of the features, root variances, (pairs, features).
    covariances
        Of the means, (pairs, cells, cells).
    shares
        Weight of each pair of departures, given the means, (pairs,).
    evidence
        Log likelihood of the means with parameters at their best, mean over departures.
    pairs
        The departures themselves, (pairs, 2).
    """

    scales: Array
    covariances: Array
    shares: Array
    evidence: float
    pairs: Array


def weigh(problem: Problem, theta: Array, *, solved: bool) -> Weighed:
    """Weigh departures by the likelihood, parameters near their fit.

    Parameters
    ----------
    solved
        Whether the form is a solved model, which may miss nothing: half the prior weight is on
        that. A formula misses something.
    """
    tried = DEPARTURES if solved else DEPARTURES[1:]
    prior = np.full(len(tried), 1.0 / len(tried))
    if solved:
        prior = np.array([0.5, *np.full(len(tried) - 1, 0.5 / (len(tried) - 1))])
    pairs = np.array([(a, b) for a in tried for b in tried])
    chance = np.array([p * q for p in prior for q in prior])
    phi, m = problem.features, problem.departure.alike
    alike, own = phi[:, :m] @ phi[:, :m].T, phi[:, m:] @ phi[:, m:].T
    V = (
        problem.world.cells.covariance
        + pairs[:, 0, None, None] ** 2 * alike
        + pairs[:, 1, None, None] ** 2 * own
    )
    J, r = problem.slopes(theta[None])[0], problem.y - problem.values(theta[None])[0]
    inverse = np.linalg.inv(V)
    hold = np.diag(1 / (_VAGUE * (1 + np.abs(theta))) ** 2)
    H = J.T @ inverse @ J + hold
    b = inverse @ r
    step = np.linalg.solve(H, (b @ J)[..., None])[..., 0]
    left = r @ b.T - np.einsum("ij,ij->i", step, b @ J)
    size = np.linalg.slogdet(V)[1]
    profile = np.log(chance) - 0.5 * (size + left)
    logs = profile - 0.5 * np.linalg.slogdet(H)[1]
    shares = np.exp(logs - logs.max())
    top = float(profile.max())
    scales = np.hstack(
        [np.repeat(pairs[:, :1], m, axis=1), np.repeat(pairs[:, 1:], phi.shape[1] - m, axis=1)]
    )
    return Weighed(
        scales, V, shares / shares.sum(), top + math.log(float(np.sum(np.exp(profile - top)))),
        pairs,
    )  # fmt: skip


def draw(
    problem: Problem, theta: Array, found: Weighed, count: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    r"""Draw parameters and departures; the best guess first, a mean over departures.

    Each draw departs by a random w, its noise too, from the means, is fitted again by a few damped
    Gauss-Newton steps with exact derivatives, and takes up what is left: for a linear form that is
    an exact draw given the means (Matheron's rule).

    Returns
    -------
    theta, departures
        Parameters (1 + count, p) and coefficients of the features (1 + count, size).
    """
    main = np.flatnonzero(found.shares > 0.01 * found.shares.max())
    m, cells = len(main), problem.world.cells
    which = np.concatenate([main, rng.choice(len(found.shares), size=count, p=found.shares)])
    w = rng.standard_normal((m + count, problem.features.shape[1]))
    noise = rng.standard_normal((m + count, len(cells.D))) @ _root(cells.covariance).T
    # So few repeats know the size of noise only so well.
    noise *= np.sqrt(cells.freedom / rng.chisquare(cells.freedom, size=(m + count, 1)))
    w[:m], noise[:m] = 0.0, 0.0
    first = w * found.scales[which]
    goal = problem.y - first @ problem.features.T - noise
    used, back = np.unique(which, return_inverse=True)
    inverse = np.asarray(np.linalg.inv(found.covariances[used]))[back]
    out = _refit(problem, theta, goal, inverse)
    left = goal - problem.values(out)
    taken = np.einsum("bij,bj->bi", inverse, left) @ problem.features
    departures = first + found.scales[which] ** 2 * taken
    guess = found.shares[main] / found.shares[main].sum()
    return (
        np.vstack([guess @ out[:m], out[m:]]),
        np.vstack([guess @ departures[:m], departures[m:]]),
    )


def refine(problem: Problem, theta: Array) -> Array:
    """Bring one row of parameters to the optimum of the means with their noise alone."""
    inverse = np.asarray(np.linalg.inv(problem.world.cells.covariance))[None]
    for _ in range(4):
        theta = _refit(problem, theta, problem.y[None], inverse)[0]
    return theta


def _root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _refit(problem: Problem, start: Array, goal: Array, inverse: Array) -> Array:
    """Fit every row of goals, from one start, inside the bounds."""
    low, high = problem.model.lower, problem.model.upper
    hold = 1 / (_VAGUE * (1 + np.abs(start))) ** 2
    theta = np.tile(np.clip(start, low, high), (len(goal), 1))
    cost = _cost(problem, theta, goal, inverse, start, hold)
    damping = np.full(len(goal), 1e-6)
    for _ in range(_STEPS):
        J, r = problem.slopes(theta), goal - problem.values(theta)
        JV = np.einsum("bni,bnm->bim", J, inverse)
        H = JV @ J + np.diag(hold)
        g = (JV @ r[..., None])[..., 0] - hold * (theta - start)
        step = _bounded(H, g, theta, low, high, damping)
        trial = np.clip(theta + step, low, high)
        value = _cost(problem, trial, goal, inverse, start, hold)
        for _ in range(3):
            worse = ~(value <= cost)
            if not worse.any():
                break
            step[worse] *= 0.3
            trial[worse] = np.clip(theta + step, low, high)[worse]
            value = _cost(problem, trial, goal, inverse, start, hold)
        better = value <= cost
        theta, cost = np.where(better[:, None], trial, theta), np.where(better, value, cost)
    return theta


def _cost(
    problem: Problem, theta: Array, goal: Array, inverse: Array, start: Array, hold: Array
) -> Array:
    r = goal - problem.values(theta)
    found = np.einsum("bi,bij,bj->b", r, inverse, r) + ((theta - start) ** 2) @ hold
    return np.asarray(np.where(np.isfinite(found), found, np.inf))


def _bounded(H: Array, g: Array, theta: Array, low: Array, high: Array, damping: Array) -> Array:
    """Step of each row; parameters that would leave their bounds stop there, the others adapt."""
    p = len(low)
    diagonal = np.einsum("bii->bi", H)
    damped = H + np.eye(p) * (damping[:, None] * diagonal)[:, None, :]
    stuck = np.zeros(theta.shape, dtype=bool)
    step = np.zeros(theta.shape)
    for _ in range(p):
        fixed = np.where(stuck, np.clip(step, low - theta, high - theta), 0.0)
        free = ~stuck
        system = np.where(free[:, :, None] & free[:, None, :], damped, 0.0)
        system = system + np.eye(p) * stuck[:, None, :]
        right = np.where(free, g - np.einsum("bij,bj->bi", damped, fixed), 0.0)
        step = np.linalg.solve(system, right[..., None])[..., 0] + fixed
        out = (theta + step < low - 1e-12) | (theta + step > high + 1e-12)
        if not (out & free).any():
            break
        stuck |= out
    return np.clip(step, low - theta, high - theta)
