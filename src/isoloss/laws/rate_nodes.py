r"""Sums over all earlier changes of a rate, at few nodes each.

The multi-power law asks, at every logged step t, for
:math:`\sum_{k \le t} \Delta\eta_k\, G(\eta_k^{-\gamma} S_k(t))`: as many terms as there are steps.
Changes far back act through a smooth function of k, which a polynomial carries: a block of steps
as long as its distance is replaced by 14 of its steps, with weights that give the same sum for
every polynomial of degree 13. Nodes and weights know nothing of the parameters, so they are found
once for a schedule; only what is nearest is summed term by term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

_ORDER, _ROUGH_ORDER = 14, 6
"""Nodes a block. With a singularity three half-lengths off, errors fall as 5.8^-14 = 2e-11."""
_LEAF = 32
"""Blocks below this length are summed term by term."""
_SMOOTH, _ROUGH_SMOOTH = 1e-12, 1e-4
"""How well nodes must reproduce the rates of their block, relative to the peak."""
_RATIO = 2.0
"""Largest over smallest rate of a block: a power of the rate is singular at rate zero."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class RateNodes:
    """What laws of a schedule are evaluated on, at the steps asked for.

    Attributes
    ----------
    sums
        Sum of all rates up to each step, shape (steps,).
    starts
        Where the nodes of each step begin, shape (steps,); a node belongs to one step.
    weight, rate, gap, age
        Of each node: the change of rate it stands for, its rate, and the sum of rates and the
        steps since.
    """

    sums: Array
    starts: npt.NDArray[np.intp]
    weight: Array
    rate: Array
    gap: Array
    age: Array

    @classmethod
    def join(cls, parts: Sequence[RateNodes]) -> RateNodes:
        """Put the nodes of several curves one after the other."""
        before = np.cumsum([0, *(p.weight.size for p in parts[:-1])])
        starts = [p.starts + n for p, n in zip(parts, before, strict=True)]
        fields = ("sums", "weight", "rate", "gap", "age")
        joined = {f: np.concatenate([getattr(p, f) for p in parts]) for f in fields}
        return cls(starts=np.concatenate(starts), **joined)

    def total(self, values: Array) -> Array:
        """Sum weighted values over the nodes of each step, shape (steps,); keeps complex ones."""
        padded = np.append(self.weight * values, 0.0)
        counts = np.diff(np.append(self.starts, self.weight.size))
        found = np.add.reduceat(padded, self.starts) if self.starts.size else padded[:0]
        return np.asarray(np.where(counts > 0, found, 0.0))


def rate_nodes(
    rates: Array, at: npt.NDArray[np.intp], *, rough: bool = False, exact: bool = False
) -> RateNodes:
    """Find the nodes of a schedule for the sums at some steps.

    Parameters
    ----------
    rates
        Rates of steps 0, 1, ..., shape (steps,).
    at
        Steps at which sums are wanted.
    rough
        Six nodes a block, and blocks that are smooth to 1e-4: sums are right to about 1e-5, for
        rates that were logged now and then.
    exact
        Whether every change is a node of its own: the plain sum.
    """
    sums = np.cumsum(rates)
    before = sums - rates
    change = np.diff(rates, prepend=rates[:1])
    change[0] = 0.0
    changes = np.flatnonzero(change)
    tree = [] if exact else _tree(rates, change, rough)
    parts_w: list[Array] = []
    parts_k: list[npt.NDArray[np.intp]] = []
    counts = []
    for t in at.tolist():
        weights, places = _cover(t, sums, changes, change, tree)
        parts_w.append(weights)
        parts_k.append(places)
        counts.append(weights.size)
    weight = np.concatenate(parts_w) if parts_w else np.zeros(0)
    place = np.concatenate(parts_k) if parts_k else np.zeros(0, dtype=np.intp)
    owner, when = np.repeat(sums[at], counts), np.repeat(at, counts)
    # A rate of zero acts as a tiny one: at once after a change, or never.
    rate = np.maximum(rates[place], _TINY * rates.max())
    gap = np.maximum(owner - before[place], 0.0)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
    age = (when - place).astype(np.float64)
    return RateNodes(np.asarray(sums[at]), starts, weight, rate, gap, age)


@dataclass(frozen=True, slots=True)
class _Level:
    length: int
    usable: npt.NDArray[np.bool_]
    """Per block, whether its nodes may stand for it."""
    weights: Array
    """Shape (blocks, order)."""
    offsets: npt.NDArray[np.intp]


def _tree(rates: Array, change: Array, rough: bool) -> list[_Level]:
    """Blocks of lengths 32, 64, ... with nodes, the shortest first."""
    levels, length, peak = [], _LEAF, float(rates.max())
    order, tolerance = (_ROUGH_ORDER, _ROUGH_SMOOTH) if rough else (_ORDER, _SMOOTH)
    while length <= rates.size // 2:
        whole = rates.size // length
        block = rates[: whole * length].reshape(whole, length)
        offsets, basis = _basis(length, order)
        off = np.abs(block[:, offsets] @ basis.T - block).max(axis=1)
        low = block.min(axis=1)
        usable = (off <= tolerance * peak) & (block.max(axis=1) <= _RATIO * low)
        weights = change[: whole * length].reshape(whole, length) @ basis
        levels.append(_Level(length, usable, weights, offsets))
        length *= 2
    return levels


def _basis(length: int, order: int) -> tuple[npt.NDArray[np.intp], Array]:
    """Nodes near Chebyshev's among 0 ... length - 1; Lagrange's polynomials at all of these."""
    angles = (2 * np.arange(order) + 1) * np.pi / (2 * order)
    nodes = np.rint((length - 1) / 2 * (1 - np.cos(angles)))
    x = 2 * np.arange(length) / (length - 1) - 1
    z = 2 * nodes / (length - 1) - 1
    # Through Chebyshev's polynomials: no product of differences loses digits.
    vander = np.polynomial.chebyshev.chebvander
    basis = np.linalg.solve(vander(z, order - 1).T, vander(x, order - 1).T).T
    return nodes.astype(np.intp), np.asarray(basis)


def _cover(
    t: int, sums: Array, changes: npt.NDArray[np.intp], change: Array, tree: list[_Level]
) -> tuple[Array, npt.NDArray[np.intp]]:
    """Weights and steps of the nodes that stand for all changes up to a step."""
    weights: list[Array] = []
    places: list[npt.NDArray[np.intp]] = []
    end = t + 1
    while end > 0:
        level = _largest(end, t, sums, tree)
        if level is None:
            # Up to the next border at which a block may end, term by term.
            start = (end - 1) // _LEAF * _LEAF if tree else 0
            a, b = np.searchsorted(changes, [start, end])
            places.append(changes[a:b])
            weights.append(change[changes[a:b]])
        else:
            start = end - level.length
            block = level.weights[start // level.length]
            inside = np.searchsorted(changes, [start, end])
            if inside[1] - inside[0] <= level.offsets.size:
                own = changes[inside[0] : inside[1]]
                places.append(own)
                weights.append(change[own])
            else:
                places.append(start + level.offsets)
                weights.append(block)
        end = start
    return np.concatenate(weights), np.concatenate(places)


def _largest(end: int, t: int, sums: Array, tree: list[_Level]) -> _Level | None:
    """Return the longest block that ends here, is smooth, and no longer than its distance."""
    best, distance = None, sums[t] - sums[end - 1]
    for level in tree:
        if end % level.length or level.length > t + 1 - end:
            break
        start = end - level.length
        span = sums[end - 1] - (sums[start - 1] if start else 0.0)
        if span <= distance and level.usable[start // level.length]:
            best = level
    return best
