"""The best split of the compute of the largest runs, as fits of a law see it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel
from isoloss.laws.calculus import derivative
from isoloss.laws.expression import MINUS_ONE, Node, add, axis, mul
from isoloss.laws.law import Law
from isoloss.laws.tape import evaluate

BEYOND = 30.0
"""Optima are sought among the sizes of the runs, and this factor to either side."""
_POINTS = 129
_STEPS = 80


def splits_compute(law: Law) -> bool:
    """Whether a law has both sides of the split."""
    return {"N", "D"} <= set(law.axes)


def top_product(x: Mapping[str, Array], scale: Array) -> float:
    """N D of the runs of largest scale, the largest of them."""
    top = np.asarray(scale >= scale.max())
    return float(np.max((np.asarray(x["N"]) * np.asarray(x["D"]))[top]))


def best_sizes(kernel: Kernel, q: Array, scale: Array, *, ahead: float = 1.0) -> Array:
    r"""Logarithm of the best size at the N D of the largest runs, in the user's unit, (B,).

    Along :math:`N D = \text{const}` the loss is least where
    :math:`h = N L_N - D L_D` turns from negative to positive. NaN where no size within the range
    searched is a minimum.

    Parameters
    ----------
    kernel
        A law of N and D bound to all runs. Its other axes are held at their medians over the
        runs of largest scale.
    q
        Internal coordinates of the fits, (B, p).
    scale
        Of the kernel's runs, (n,).
    ahead
        Multiplies that N D.
    """
    slope, bend = _line(kernel.root)
    theta = kernel.scaled(q)
    leaves = {name: theta[:, i, None] for i, name in enumerate(kernel.law.names)}
    top = scale >= scale.max()
    leaves |= {a: np.asarray(np.median(v[top])) for a, v in kernel.x.items() if a not in ("N", "D")}
    product = ahead * top_product(kernel.x, scale)

    def at(nodes: list[Node], n: Array) -> list[Array]:
        """Values at log sizes (B, m)."""
        size = np.exp(n)
        found = evaluate(nodes, leaves | {"N": size, "D": product / size})
        return [np.broadcast_to(np.asarray(v, dtype=np.float64), n.shape) for v in found]

    edge = np.log(BEYOND)
    sizes = np.log(kernel.x["N"])
    grid = np.linspace(sizes.min() - edge, sizes.max() + edge + np.log(ahead), _POINTS)
    h, loss = at([slope, kernel.root], np.broadcast_to(grid, (len(q), _POINTS)))
    with np.errstate(invalid="ignore"):
        turns = (h[:, :-1] < 0) & (h[:, 1:] >= 0)
    height = np.where(turns, np.minimum(loss[:, :-1], loss[:, 1:]), np.inf)
    first = np.argmin(height, axis=1)
    low, high = grid[first], grid[first + 1]
    n = 0.5 * (low + high)
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            h, b = (v[:, 0] for v in at([slope, bend], n[:, None]))
            low, high = np.where(h < 0, n, low), np.where(h < 0, high, n)
            step = n - h / b
            # A step that leaves the bracket halves it.
            new = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
            moved, n = np.abs(new - n), new
            if not (moved > 1e-14 * (1 + np.abs(n))).any():
                break
    found = turns.any(axis=1) & np.isfinite(n)
    return np.where(found, n + np.log(kernel.scales["N"]), np.nan)


@lru_cache(maxsize=128)
def _line(root: Node) -> tuple[Node, Node]:
    """Build h along constant N D, and its derivative by log N."""
    h = _along(root)
    return h, _along(h)


def _along(node: Node) -> Node:
    """Build the derivative by log N at constant N D."""
    N, D = axis("N"), axis("D")
    fall = mul(MINUS_ONE, mul(D, derivative(node, D)))
    return add(mul(N, derivative(node, N)), fall)
