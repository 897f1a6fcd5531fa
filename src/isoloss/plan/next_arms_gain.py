r"""By how much runs of two recipes would narrow their difference, before they are made.

Both recipes are one linear model of coordinates z: what they share, A's own, B's own. The fit that
will be made is of least squares. With J the rows of all runs, divided by the noise, and a prior
:math:`P`, its :math:`\Sigma = (J^T J + P^{-1})^{-1}`. Runs of one place and seed have noise that
correlates by r, of which that fit knows nothing: the gap of log losses, with derivatives g, has the
variance

.. math:: g^T \Sigma\, g + r\, h^T K h, \qquad h = \Sigma\, g, \quad
   K = \sum_{pairs} (j_A j_B^T + j_B j_A^T)

(a sandwich), less than without pairs, as h weighs both runs of a pair with opposite signs. Bends
with effects Y on rows X and :math:`\phi` on the gap lead the fit astray: a unit of bend moves it by
d, and errs by :math:`\phi - g^T d` in the gap; runs X move d by

.. math:: d \to d + \Sigma X^T (I + X \Sigma X^T)^{-1} (Y - X d) .

Where the recipes may have one floor or two, and several laws may hold, each is a case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

Indices = npt.NDArray[np.int64]

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Powers of the cost that gains are divided by, tried in turn: the best depends on the budget."""
ROUNDS = 3
"""Times that each entry of a batch may be exchanged for a better one."""
LEAST = 0.001
"""Runs that take less than this share off the square error are left out of a batch."""
RULES = ("worst", "mean")
_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One law with some parameters in common.

    Attributes
    ----------
    tie, weight
        Which set of ties it belongs to, and how far it is believed there.
    gap
        Log loss of A less that of B at the scale.
    g, phi
        Its derivatives by coordinates, (P,), and by bends, (q,).
    spread
        Standard deviations of the bends, (q,).
    rows, effects
        Of every option, divided by the noise, (M, 2, P) and (M, 2, q); a lone run has a row of
        zeros.
    correlation
        Of the noise of both runs of an option.
    """

    tie: int
    weight: float
    gap: float
    g: Array
    phi: Array
    spread: Array
    rows: Array
    effects: Array
    correlation: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is expected to be known of one case.

    Attributes
    ----------
    covariance
        Of the coordinates, were all noise independent, (P, P).
    cross
        r K of the pairs, (P, P).
    drag
        How bends move the fit, (P, q).
    """

    covariance: Array
    cross: Array
    drag: Array

    def variance(self, g: Array) -> float:
        """Variance of g^T z as fitted."""
        h = self.covariance @ g
        return float(g @ h + h @ self.cross @ h)


State = tuple[Belief, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """What may be run.

    Attributes
    ----------
    arm
        0 for A, 1 for B, 2 for both with one seed, (M,).
    place
        Which candidate, (M,).
    cost
        Of all its runs, (M,).
    """

    arm: Indices
    place: Indices
    cost: Array

    @property
    def runs(self) -> Indices:
        """Runs of each option, (M,)."""
        return np.where(self.arm == 2, 2, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Allowance:
    """What a batch may hold: cost in all, runs, and runs of one recipe at one place."""

    total: float
    most: int
    seeds: int

    def allowed(self, options: Options, chosen: Sequence[int]) -> Indices:
        """Options that may be added to those chosen."""
        have = np.asarray(chosen, dtype=np.int64)
        left = self.total - float(options.cost[have].sum())
        free = self.most - int(options.runs[have].sum())
        places = int(options.place.max(initial=0)) + 1
        count = np.zeros((2, places), dtype=np.int64)
        for arm in (0, 1):
            mine = have[(options.arm[have] == arm) | (options.arm[have] == 2)]
            np.add.at(count[arm], options.place[mine], 1)
        a, b = (count[i][options.place] < self.seeds for i in (0, 1))
        fresh = np.where(options.arm == 0, a, np.where(options.arm == 1, b, a & b))
        affordable = options.cost <= left * (1 + 1e-9)
        return np.flatnonzero(affordable & (options.runs <= free) & fresh)


def variances(cases: Sequence[Case], state: State) -> Array:
    """Expect a square error of the gap under each set of ties, (T,)."""
    each = [
        b.variance(c.g) + np.sum((c.spread * (c.phi - c.g @ b.drag)) ** 2)
        for c, b in zip(cases, state, strict=True)
    ]
    return _mixed(cases, np.array(each)[:, None])[:, 0]


def variances_with(cases: Sequence[Case], state: State, at: Indices) -> Array:
    """Expect square errors after one more of each of some options, (T, len(at))."""
    each = np.empty((len(cases), len(at)))
    for k, (c, b) in enumerate(zip(cases, state, strict=True)):
        X = c.rows[at]
        moved = X @ b.covariance
        inner = moved @ X.transpose(0, 2, 1) + np.eye(2)
        u = moved @ c.g
        pull = np.linalg.solve(inner, u[..., None])[..., 0]
        h = b.covariance @ c.g - np.einsum("mip,mi->mp", moved, pull)
        ends = np.einsum("mip,mp->mi", X, h)
        each[k] = h @ c.g + np.sum(h * (h @ b.cross), axis=1)
        each[k] = np.maximum(each[k] + 2 * c.correlation * ends[:, 0] * ends[:, 1], 0.0)
        left = c.effects[at] - X @ b.drag
        astray = c.phi - c.g @ b.drag - np.einsum("mi,miq->mq", pull, left)
        each[k] += np.sum((c.spread * astray) ** 2, axis=1)
    return _mixed(cases, each)


def centres(cases: Sequence[Case]) -> Array:
    """Mean gap of each set of ties, (T,)."""
    count = 1 + max(c.tie for c in cases)
    found = np.zeros(count)
    for c in cases:
        found[c.tie] += c.weight * c.gap
    return found


def _mixed(cases: Sequence[Case], each: Array) -> Array:
    """Mix cases, (K, m), within their ties, (T, m), with the spread of laws around their mean."""
    middle = centres(cases)
    found = np.zeros((len(middle), each.shape[1]))
    for c, v in zip(cases, each, strict=True):
        found[c.tie] += c.weight * (v + (c.gap - middle[c.tie]) ** 2)
    return found


def after(cases: Sequence[Case], state: State, i: int, *, times: float = 1.0) -> State:
    """Expect an option to be run so many times; below zero: take it back."""
    found = []
    for c, b in zip(cases, state, strict=True):
        X, Y = c.rows[i], c.effects[i]
        moved = X @ b.covariance
        gain = np.linalg.solve(moved @ X.T + np.eye(2) / times, moved)
        covariance = b.covariance - moved.T @ gain
        pair = times * c.correlation * np.outer(X[0], X[1])
        found.append(
            Belief(
                0.5 * (covariance + covariance.T),
                b.cross + pair + pair.T,
                b.drag + gain.T @ (Y - X @ b.drag),
            )
        )
    return tuple(found)


def follow(
    cases: Sequence[Case], state: State, chosen: Sequence[int], *, times: float = 1.0
) -> State:
    """Expect several options."""
    for i in chosen:
        state = after(cases, state, i, times=times)
    return state


def merit(found: Array, first: Array, rule: str) -> Array:
    """Logarithm of what is left of the error, (T, ...) beside (T,): less is better.

    ``worst``: of the larger error of the sets of ties, which the interval that holds both is as
    wide as; ``mean``: the mean of the logarithms.
    """
    if rule == "worst":
        top = np.log(np.maximum(found.max(axis=0), _TINY))
        return np.asarray(top - np.log(max(float(first.max()), _TINY)))
    logs = np.log(np.maximum(found, _TINY))
    begin = np.log(np.maximum(first, _TINY)).reshape((-1,) + (1,) * (found.ndim - 1))
    return np.asarray((logs - begin).mean(axis=0))


def greedy(
    cases: Sequence[Case],
    begin: State,
    options: Options,
    allowance: Allowance,
    rule: str,
    *,
    power: float,
) -> list[int]:
    """Choose options one after another by what each still adds, over its cost to a power."""
    first = variances(cases, begin)
    state, chosen, now = begin, list[int](), 0.0
    while len(at := allowance.allowed(options, chosen)):
        left = merit(variances_with(cases, state, at), first, rule)
        # By the run where cost does not count: a pair is two of the runs that there may be.
        price = options.runs[at] * (options.cost[at] / options.runs[at] / options.cost.min()) ** (
            power
        )
        score = (now - left) / price
        best = int(np.argmax(score))
        if not now - left[best] > LEAST * options.runs[at[best]]:
            break
        chosen.append(int(at[best]))
        state = after(cases, state, chosen[-1])
        now = float(merit(variances(cases, state), first, rule))
    return chosen


def best_batch(
    cases: Sequence[Case], begin: State, options: Options, allowance: Allowance, rule: str
) -> list[int]:
    """Choose a batch: the best of greedy ones, then exchanges within the budget."""
    if not len(options.cost):
        return []
    first = variances(cases, begin)

    def value(chosen: Sequence[int]) -> float:
        return float(merit(variances(cases, follow(cases, begin, chosen)), first, rule))

    found = [greedy(cases, begin, options, allowance, rule, power=p) for p in POWERS]
    worth = [value(c) for c in found]
    batches = sorted(range(len(found)), key=lambda i: worth[i])[:2]
    improved = [_exchanged(cases, begin, options, allowance, rule, found[i]) for i in batches]
    return _pruned(cases, begin, options, rule, min(improved, key=value))


def _pruned(
    cases: Sequence[Case], begin: State, options: Options, rule: str, chosen: Sequence[int]
) -> list[int]:
    """Leave out, the least first, entries that others make all but needless."""
    batch = list(chosen)
    first = variances(cases, begin)
    while batch:
        state = follow(cases, begin, batch)
        now = float(merit(variances(cases, state), first, rule))
        lost = [
            float(merit(variances(cases, after(cases, state, i, times=-1.0)), first, rule) - now)
            / int(options.runs[i])
            for i in batch
        ]
        least = int(np.argmin(lost))
        if lost[least] >= LEAST:
            break
        batch.pop(least)
    return batch


def _exchanged(
    cases: Sequence[Case],
    begin: State,
    options: Options,
    allowance: Allowance,
    rule: str,
    chosen: Sequence[int],
) -> list[int]:
    """Exchange entries one by one, and fill free places, while that helps."""
    batch = list(chosen)
    first = variances(cases, begin)
    now = float(merit(variances(cases, follow(cases, begin, batch)), first, rule))
    for _ in range(ROUNDS):
        before = now
        # Afresh in every round: entries taken back leave rounding.
        state = follow(cases, begin, batch)
        for place in range(len(batch) + 1):
            others = batch[:place] + batch[place + 1 :]
            at = allowance.allowed(options, others)
            if not len(at):
                continue
            rest = state
            if place < len(batch):
                rest = after(cases, state, batch[place], times=-1.0)
            merits = merit(variances_with(cases, rest, at), first, rule)
            best = int(np.argmin(merits))
            more = LEAST * int(options.runs[at[best]]) if place == len(batch) else 1e-9
            if merits[best] < now - more:
                batch = [*others[:place], int(at[best]), *others[place:]]
                state = after(cases, rest, int(at[best]))
                now = float(merits[best])
        if not now < before - 1e-6:
            break
    return batch
