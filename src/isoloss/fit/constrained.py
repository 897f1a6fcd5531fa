"""Minimisation with a quantity held fixed, for a batch of values of it."""

from __future__ import annotations

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel, Terms
from isoloss.fit.objective import Objective, Objectives
from isoloss.fit.quantity import Quantity

FIRST, ROUNDS = 60, 10
"""Steps of the majorising matrix, and rounds of multipliers; three rounds are usual."""
STIFFER = 100.0
NEAR = 1e-3
"""A step to the minimum of this many residuals still counts as there."""


class ConstrainedKernel(Kernel):
    r"""A kernel with one more term, :math:`\frac{\mu}{2}(h(q; v) - t)^2`.

    It is one more measurement, of the quantity itself, so the engine needs no change: v, t and
    :math:`\mu` travel in the place of the measurements, (B, 3), and the measurements stay here.
    """

    def __init__(self, kernel: Kernel, quantity: Quantity) -> None:
        self.__dict__.update(kernel.__dict__)
        self.quantity = quantity

    def terms(
        self,
        q: Array,
        weights: Array,
        y: Array | None = None,
        *,
        second: bool = True,
        goal: Objective | Objectives | None = None,
    ) -> Terms:
        """Objective, gradient and curvatures with the additional term; see `Kernel.terms`."""
        assert y is not None
        base = super().terms(q, weights, second=second, goal=goal)
        with np.errstate(all="ignore"):
            return self._with_term(base, q, y, second)

    def _with_term(self, base: Terms, q: Array, y: Array, second: bool) -> Terms:
        h, _, slope, bend = self.quantity.terms(q, y[:, 0])
        miss, mu = h - y[:, 1], y[:, 2]
        square = mu[:, None, None] * slope[:, :, None] * slope[:, None, :]
        value = base.value + 0.5 * mu * miss**2
        major = base.major + square
        hessian = major
        if second:
            hessian = base.hessian + square + (mu * miss)[:, None, None] * bend
        return Terms(
            value=np.where(np.isfinite(value), value, np.inf),
            gradient=base.gradient + (mu * miss)[:, None] * slope,
            major=major,
            hessian=hessian,
        )


def minimise_at(
    kernel: Kernel,
    quantity: Quantity,
    v: Array,
    starts: Array,
    *,
    weights: Array,
    mu: float,
    close: float,
) -> tuple[Array, Array, Array]:
    r"""Minimise with the quantity at each of the values v, (B,), by an augmented Lagrangian.

    Each round minimises with a penalty around :math:`t = -\lambda/\mu` and moves the multipliers
    by what was missed; where that helps little the penalty becomes stiffer.

    Parameters
    ----------
    mu
        First stiffness of the penalty.
    close
        What h may be at the end.

    Returns
    -------
    q : ndarray of shape (B, p)
    value : ndarray of shape (B,)
        Objective without the penalty; infinite where no minimum was found.
    reached : ndarray of shape (B,)
        Where the quantity came to lie.
    """
    inner, seen = ConstrainedKernel(kernel, quantity), weights[None]
    y = np.stack([v, np.zeros_like(v), np.full_like(v, mu)], axis=1)
    q, h = starts.copy(), np.full_like(v, np.inf)
    left = stiffened = np.arange(len(v))
    for _ in range(ROUNDS):
        if stiffened.size:
            # Where an amplitude touches zero its exponent has no curvature, and a long Newton
            # step may end on a saddle. Steps of the majorising matrix do not, so they come first.
            q[stiffened] = minimise(
                inner,
                q[stiffened],
                weights=seen,
                y=y[stiffened],
                newton=False,
                max_iterations=FIRST,
                tolerance=1e-8,
            ).q
        q[left] = minimise(inner, q[left], weights=seen, y=y[left]).q
        before, h[left] = h[left], quantity.terms(q[left], v[left])[0]
        slow = np.abs(h[left]) > 0.05 * np.abs(before)
        still = np.abs(h[left]) > close
        left, slow = left[still], slow[still]
        if not left.size:
            break
        y[left, 1] -= h[left]
        stiffened = left[slow]
        y[stiffened, 1] /= STIFFER
        y[stiffened, 2] *= STIFFER
    value = kernel.terms(q, seen, second=False).value
    good = (np.abs(h) <= close) & (_distance(inner, q, y, weights) <= NEAR)
    return q, np.where(good, value, np.inf), quantity.reached(q, v)


def _distance(inner: ConstrainedKernel, q: Array, y: Array, weights: Array) -> Array:
    """Largest part of the gradient that could still be followed, in units of the residual."""
    terms = inner.terms(q, weights[None], y)
    held = ((q <= inner.lower) & (terms.gradient > 0)) | ((q >= inner.upper) & (terms.gradient < 0))
    size = (
        np.einsum("bpp->bp", terms.major)
        * np.maximum(terms.value, inner.floor(weights[None]))[:, None]
    )
    with np.errstate(all="ignore"):
        part = np.where(held, 0.0, np.abs(terms.gradient) / np.sqrt(np.maximum(size, 1e-300)))
    return np.asarray(np.where(np.isfinite(part), part, np.inf).max(axis=1))
