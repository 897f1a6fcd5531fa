r"""Whether a law's exponents drift with scale, and how far that moves the best split.

Every law of N and D is taken as one of two: right, or right in bent coordinates

.. math:: n \to n + g_N (n - \bar n)^2, \qquad d \to d + g_D (d - \bar d)^2

with :math:`n = \log N`, :math:`d = \log D`. Local exponents then change by a share 2 g an e-fold of
N or of D. Bends are normal around zero with standard deviation `RATE`, before the runs are
seen; the residuals of the fit say what is left of both doubts. All is linear in g.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.fit.backtest import run_scale
from isoloss.fit.kernel import Kernel
from isoloss.fit.prepare import prepare
from isoloss.fit.result import Fit
from isoloss.fit.splits import best_sizes, splits_compute, top_product
from isoloss.laws.calculus import derivative, gradient
from isoloss.laws.expression import Node, axis, mul, parameter
from isoloss.laws.tape import evaluate
from isoloss.runs import Runs

CHANCE = 0.5
"""Chance that the exponents of a law drift, before the runs are seen."""
RATE = 0.01
"""Standard deviation of a bend: an exponent changes by about 5 % a decade."""
_OUTLYING = 2.5
"""Residuals beyond this many standard deviations count as ones that far out."""
_SIDES = ("N", "D")
_AHEAD = 1000.0
"""Where the drift is told in one number: this many times the compute of the largest runs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drift:
    """What the runs say about the drift of one law's exponents.

    Attributes
    ----------
    chance
        That the exponents drift.
    bend
        Estimates of g_N and g_D if they do, (2,).
    covariance
        Of what is still unknown of them, (2, 2).
    pull
        How bends move the fitted internal coordinates, (p, 2).
    kernel, q
        The law bound to its runs, and the fit, (p,).
    """

    chance: float
    bend: Array
    covariance: Array
    pull: Array
    kernel: Kernel
    q: Array

    def __post_init__(self) -> None:
        for name in ("bend", "covariance", "pull", "q"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def split_slopes(self, at: Mapping[str, Array], tilt: npt.ArrayLike = -1.0) -> Array:
        r"""How bends move log N_opt, the fit following them; (m, 2).

        At an optimum :math:`h = L_n + t L_d` is zero, so that :math:`dn^* = -h_g / h_n\,dg`.

        Parameters
        ----------
        at
            N and D at best splits, and other axes of the law, in the user's units, (m,); axes
            that are left out are held at their medians over the runs.
        tilt
            d log D / d log N along the budget; -1 for costs proportional to N D.
        """
        kernel, t = self.kernel, np.asarray(tilt, dtype=np.float64)
        leaves = _leaves(kernel, self.q) | {
            a: np.asarray(at[a], dtype=np.float64) / kernel.scales[a]
            if a in at
            else np.median(kernel.x[a])
            for a in kernel.law.axes
        }
        m = len(np.atleast_1d(at["N"]))
        found = [
            np.broadcast_to(np.asarray(v, dtype=np.float64), (m,))
            for v in evaluate(_second(kernel.root, kernel.law.names), leaves)
        ]
        L_n, L_d, L_nn, L_nd, L_dd = found[:5]
        by_theta = np.array(found[5:]).reshape(2, kernel.p, m)
        theta = kernel.scaled(self.q)
        by_q = (by_theta[0] + t * by_theta[1]) * np.where(kernel.logs, theta, 1.0)[:, None]
        n, d = (np.log(leaves[a]) - _middle(kernel, a) for a in _SIDES)
        direct = [
            n**2 * (L_nn + t * L_nd) + 2 * n * L_n,
            d**2 * (L_nd + t * L_dd) + 2 * t * d * L_d,
        ]
        with np.errstate(all="ignore"):
            bent = np.stack(direct, axis=1) + by_q.T @ self.pull
            return np.asarray(-bent / (L_nn + 2 * t * L_nd + t**2 * L_dd)[:, None])

    def split_spread(self, at: Mapping[str, Array], tilt: npt.ArrayLike = -1.0) -> Array:
        """Root mean square move of log N_opt if the exponents drift, (m,); 0 where losses overflow.

        The estimate of the drift counts as a part of it: runs that hardly show a drift do not say
        where it leads, and correcting for it would err more than leaving it.
        """
        slopes = self.split_slopes(at, tilt)
        moments = self.covariance + np.outer(self.bend, self.bend)
        found = np.sqrt(np.einsum("mi,ij,mj->m", slopes, moments, slopes))
        return np.where(np.isfinite(found), found, 0.0)


def find_drift(kernel: Kernel, q: Array, weights: Array) -> Drift:
    r"""Weigh drifting exponents against constant ones, given a fit.

    With :math:`\tilde r` the log residuals and :math:`\tilde\Phi` the effects of bends, both less
    what changes of the parameters explain, and s the noise, the log likelihood ratio of drift is

    .. math:: -\tfrac12 \log |1 + R^2 K| + \tfrac12 b^T (R^{-2} + K)^{-1} b, \quad
       K = \tilde\Phi^T \tilde\Phi / s^2, \; b = \tilde\Phi^T \tilde r / s^2

    and the estimate of g is :math:`(R^{-2} + K)^{-1} b`, R being `RATE`.

    Parameters
    ----------
    q
        Internal coordinates of the optimum, (p,).
    weights
        That it was fitted with, (n,), in the order of the kernel's runs.
    """
    jac, effects, left = (v[weights > 0] for v in _linear(kernel, q))
    weights = weights[weights > 0]
    # What is held at a bound follows no bend.
    jac = jac * ((q > kernel.lower) & (q < kernel.upper))
    # Columns of one size: amplitudes and exponents may differ by many orders.
    size = np.sqrt(np.sum(jac**2, axis=0))
    size[~(size > 0)] = 1.0
    unit, root = jac / size, np.sqrt(weights)[:, None]
    with np.errstate(all="ignore"):
        pull = -np.linalg.pinv(unit * root, rcond=1e-10) @ (effects * root) / size[:, None]
    count = len(left)
    wide = 1.4826 * float(np.median(np.abs(left))) * np.sqrt(count / max(count - kernel.p, 1))
    # An outlier is no drift.
    left = np.clip(left, -_OUTLYING * wide, _OUTLYING * wide)
    base, strength, _ = np.linalg.svd(unit, full_matrices=False)
    base = base[:, strength > 1e-10 * strength[0]]
    left = left - base @ (base.T @ left)
    effects = effects - base @ (base.T @ effects)
    spare = len(left) - base.shape[1]
    noise = np.sqrt(left @ left / spare) if spare > 0 else np.inf
    # Runs computed from a formula have no noise but that of rounding.
    noise = max(float(noise), 1e-12)
    known, score = effects.T @ effects / noise**2, effects.T @ left / noise**2
    covariance: Array = np.linalg.inv(np.eye(2) / RATE**2 + known).astype(np.float64)
    bend = covariance @ score
    ratio = -0.5 * np.linalg.slogdet(np.eye(2) + RATE**2 * known)[1] + 0.5 * score @ bend
    against = np.log((1 - CHANCE) / CHANCE) - ratio
    return Drift(
        chance=float(1 / (1 + np.exp(np.clip(against, -700, 700)))),
        bend=bend,
        covariance=covariance,
        pull=pull,
        kernel=kernel,
        q=q,
    )


def find_drifts(fits: Sequence[Fit], runs: Runs) -> tuple[Drift | None, ...]:
    """Find the drift of each law; ``None`` for laws that do not speak of both N and D."""
    found: list[Drift | None] = []
    for f in fits:
        if not splits_compute(f.law):
            found.append(None)
            continue
        data = prepare(runs, f.law)
        kernel = Kernel(f.law, data.x, data.loss, f.objective)
        found.append(find_drift(kernel, kernel.internal(f.theta), f.weights[data.order]))
    return tuple(found)


def split_discrepancy(drifts: Sequence[Drift | None], weights: Array) -> float:
    """Root mean square move of log N_opt a root of log reach, a thousand times ahead.

    The mean is over drift or none and over the laws that have a best split; 0 without any.
    """
    total = share = 0.0
    for drift, weight in zip(drifts, weights, strict=True):
        if drift is None or weight == 0:
            continue
        kernel = drift.kernel
        scale = run_scale(kernel.x_user, kernel.law.axes)
        log_N = best_sizes(kernel, drift.q[None], scale, ahead=_AHEAD)
        if not np.isfinite(log_N[0]):
            continue
        N = np.exp(log_N)
        product = _AHEAD * top_product(kernel.x_user, scale)
        spread = float(drift.split_spread({"N": N, "D": product / N})[0])
        total, share = total + weight * drift.chance * spread**2, share + weight
    return float(np.sqrt(total / share / np.log(_AHEAD))) if share > 0 else 0.0


def _linear(kernel: Kernel, q: Array) -> tuple[Array, Array, Array]:
    """Differentiate log predictions by parameters and bends, (n, p), (n, 2); with residuals."""
    slopes = evaluate(list(_first(kernel.root)), _leaves(kernel, q) | kernel.x)
    predicted = kernel.predict(q[None])[0]
    jac = kernel.jacobian(q[None], slice(0, kernel.n))[0]
    if kernel.objective.log:
        loss, left = np.exp(predicted), kernel.y - predicted
    else:
        loss, jac, left = predicted, jac / predicted, np.log(kernel.y) - np.log(predicted)
    effects = [
        (np.log(kernel.x[a]) - _middle(kernel, a)) ** 2 * slope / loss
        for a, slope in zip(_SIDES, slopes, strict=True)
    ]
    # What no run feels, or what overflows, is not known from them.
    jac, bends = np.nan_to_num(jac.T, posinf=0.0, neginf=0.0), np.stack(effects, axis=1)
    return jac, np.nan_to_num(bends, posinf=0.0, neginf=0.0), left


def _middle(kernel: Kernel, a: str) -> float:
    """Where bends have no effect; another place would only be another fit of the parameters."""
    return float(np.mean(np.log(kernel.x[a])))


def _leaves(kernel: Kernel, q: Array) -> dict[str, Any]:
    return dict(zip(kernel.law.names, kernel.scaled(q), strict=True))


def _by_log(node: Node, a: str) -> Node:
    return mul(axis(a), derivative(node, axis(a)))


@lru_cache(maxsize=128)
def _first(root: Node) -> tuple[Node, Node]:
    """Build the derivatives of the loss by log N and log D."""
    return _by_log(root, "N"), _by_log(root, "D")


@lru_cache(maxsize=128)
def _second(root: Node, names: tuple[str, ...]) -> list[Node]:
    """Build L_n, L_d, L_nn, L_nd, L_dd, and the derivatives of the first two by parameters."""
    L_n, L_d = _first(root)
    variables = [parameter(name) for name in names]
    return [
        L_n, L_d, _by_log(L_n, "N"), _by_log(L_n, "D"), _by_log(L_d, "D"),
        *gradient(L_n, variables), *gradient(L_d, variables),
    ]  # fmt: skip
