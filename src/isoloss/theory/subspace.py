"""Gradient flow in a random subspace: size and time enter through their product."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import FitError, InputError
from isoloss.theory.checks import as_above_zero, as_amounts, as_numbers
from isoloss.theory.draw import OnStep, each, whole
from isoloss.theory.simulate import Rng, Simulated
from isoloss.theory.smooth_loss import SmoothLoss

_LARGEST = 24
"""Most alphas for which the spread is followed: it is an equation of their third power."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubspaceFlow:
    """The flow that models of every size follow, and how far a finite one strays.

    Attributes
    ----------
    pt
        Products of size and time, rising, (k,).
    alpha, loss
        The flow and its loss, (k, r) and (k,).
    spread, loss_spread
        Limits for large sizes of ``sqrt(p)`` times the root mean square of ``|alpha_t - A_pt|`` and
        of the difference of their losses, (k,); NaN for more than 24 alphas.
    norm, curvature, steepest
        ``|K K'|``, Lipschitz constant of the gradient, and a bound on the gradient along any of
        these flows.
    eta
        Learning rate.
    """

    pt: Array
    alpha: Array
    loss: Array
    spread: Array
    loss_spread: Array
    norm: float
    curvature: float
    steepest: float
    eta: float

    def __post_init__(self) -> None:
        for name in ("pt", "alpha", "loss", "spread", "loss_spread"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return f"SubspaceFlow({self.pt.size} times, {self.alpha.shape[1]} alphas)"

    def bound(self, delta: float) -> Array:
        r"""Bound the distance of a model from the flow at each product, whatever its size.

        By Groenwall, with :math:`\delta = |W W^T/p - K K^T|` of that model,

        .. math:: |\alpha_t - A_{pt}| \le \frac{\delta G}{\lambda h} (e^{\eta \lambda h p t} - 1),

        lambda the norm of K K', h the curvature and G the steepest gradient. Far above the
        distance where ``pt`` is large.
        """
        off = as_amounts("delta", delta)
        rate = self.norm * self.curvature
        if rate == 0:
            return np.asarray(off * self.steepest * self.eta * self.pt)
        with np.errstate(over="ignore"):
            return np.asarray(off * self.steepest / rate * np.expm1(self.eta * rate * self.pt))

    def needed(self, distance: float) -> Array:
        """Size at which the root mean square distance is this, to leading order, (k,)."""
        return np.asarray((self.spread / as_above_zero("distance", distance)) ** 2)


def subspace_flow(
    loss: SmoothLoss, K: Any, pt: Any, *, eta: float = 1.0, start: Any = None
) -> SubspaceFlow:
    r"""Solve the flow ``dA/ds = -eta K K' grad L(A)`` that models of every size share.

    A model trains p numbers theta; its P >> p parameters are ``beta = R theta + beta_0`` with R
    normal, and its loss depends on ``alpha = K beta`` alone, r < p numbers of it. Gradient flow of
    theta is ``d alpha/dt = -eta W W' grad L(alpha)`` with ``W = K R``, and ``W W'`` is near
    ``p K K'``: alpha at time t is A at ``p t``.

    Parameters
    ----------
    loss
        `Logistic`, `Quadratic`, or anything with their methods.
    K
        What the loss sees of the parameters, (r, P).
    pt
        Products of size and time, zero or more, rising, (k,).
    eta
        Learning rate.
    start
        Alpha at the start, ``K beta_0``, (r,); zero by default.

    Raises
    ------
    InputError
        If a value breaks these rules.
    FitError
        If the flow cannot be followed to its end.

    Notes
    -----
    The spread is exact to leading order in ``1/p``: ``W W'/p - K K'`` is normal, with the moments
    of Wishart's law, and moves alpha by the linearised flow.

    References
    ----------
    arXiv:2409.05782, random-subspace model; bound and spread are derived here.

    Examples
    --------
    >>> from isoloss.theory import Quadratic
    >>> flow = subspace_flow(Quadratic([1.0], [1.0]), [[1.0]], [0, 1])
    >>> flow.alpha[:, 0].round(6).tolist(), flow.spread.round(6).tolist()
    ([0.0, 0.632121], [0.0, 0.52026])
    """
    root, gram, places, rate, first = _given(loss, K, pt, eta, start)
    r = gram.shape[0]
    with_spread = r <= _LARGEST

    def move(_: float, state: Array) -> Array:
        slope = loss.gradient(state[:r])
        down = -rate * (gram @ slope)
        if not with_spread:
            return down
        moves = state[r:].reshape(r, r * r)
        push = np.einsum("ij,k->ijk", root, root @ slope).reshape(r, r * r)
        turned = gram @ (loss.hessian(state[:r]) @ moves)
        return np.concatenate([down, (-rate * (turned + push)).ravel()])

    state = np.zeros(r + (r**3 if with_spread else 0))
    state[:r] = first
    path = _solve(move, state, places)
    alpha = path[:, :r]
    spread, loss_spread = np.full((2, places.size), np.nan)
    if with_spread:
        moves = path[:, r:].reshape(-1, r, r, r)
        both = moves + moves.transpose(0, 1, 3, 2)
        spread = np.sqrt(np.maximum(np.einsum("tijk,tijk->t", moves, both), 0.0))
        slopes = np.array([loss.gradient(v) for v in alpha])
        felt = np.einsum("ti,tijk->tjk", slopes, moves)
        loss_spread = np.sqrt(
            np.maximum(np.einsum("tjk,tjk->t", felt, felt + felt.transpose(0, 2, 1)), 0.0)
        )
    room = max(loss.value(first) - loss.least, 0.0)
    return SubspaceFlow(
        pt=places, alpha=alpha, loss=np.array([loss.value(v) for v in alpha]), spread=spread,
        loss_spread=loss_spread, norm=float(np.linalg.norm(gram, 2)), curvature=loss.curvature,
        # The loss only falls, and a smooth loss has no steeper gradient than this.
        steepest=float(np.sqrt(2 * loss.curvature * room)), eta=rate,
    )  # fmt: skip


def subspace_deviation(r: int, p: float, *, norm: float = 1.0, miss: float | None = None) -> float:
    r"""Bound ``|W W'/p - K K'|`` before W is drawn.

    Parameters
    ----------
    r, p
        Numbers that the loss depends on, and size of the model.
    norm
        ``|K K'|``.
    miss
        Chance that the bound is broken; without one the typical value,
        ``norm (2 sqrt(r/p) + r/p)``.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Davidson and Szarek: singular values of normal matrices lie within ``sqrt p +- (sqrt r + x)``
    but for a chance of ``2 exp(-x^2/2)``.

    Examples
    --------
    >>> round(subspace_deviation(4, 100), 9), round(subspace_deviation(4, 100, miss=0.05), 3)
    (0.44, 1.166)
    """
    few, size = as_above_zero("r", r), as_above_zero("p", p)
    reach = np.sqrt(few)
    if miss is not None:
        if not 0 < miss < 1:
            raise InputError(f"miss = {miss!r}: must lie between 0 and 1")
        reach += np.sqrt(2 * np.log(2 / miss))
    u = reach / np.sqrt(size)
    return float(as_above_zero("norm", norm) * (2 * u + u * u))


def simulate_subspace(
    loss: SmoothLoss, K: Any, p: int, pt: Any, *, eta: float = 1.0, start: Any = None,
    draws: int = 20, rng: Rng = 0, on_step: OnStep | None = None, executor: Executor | None = None,
) -> Simulated:  # fmt: skip
    """Follow models of size p in random subspaces, each beside the flow of `subspace_flow`.

    Parameters
    ----------
    loss, K, pt, eta, start
        As there.
    p
        Size of the model, whole; any, as only ``W W'`` is drawn, from Wishart's law.
    draws, rng, on_step, executor
        As in `simulate_random_features`.

    Returns
    -------
    Simulated
        ``loss`` and ``distance`` from the flow, (draws, k); ``delta``, ``|W W'/p - K K'|``,
        (draws,).

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    arXiv:2409.05782, random-subspace model.

    Examples
    --------
    >>> from isoloss.theory import Quadratic
    >>> made = simulate_subspace(Quadratic([1.0, 2.0], [1, 1]), np.eye(2), 100, [0.5, 1], draws=4)
    >>> made.mean("distance").shape
    (2,)
    """
    size = whole("p", p)
    root, gram, places, rate, first = _given(loss, K, pt, eta, start)
    path = _solve(lambda _, a: -rate * (gram @ loss.gradient(a)), first, places)
    draw = partial(_follow, loss, root, gram, path, size, places, rate, first)
    values, distances, deltas = zip(*each(draw, rng, draws, on_step, executor), strict=True)
    return Simulated(
        values={
            "loss": np.array(values),
            "distance": np.array(distances),
            "delta": np.array(deltas),
        }
    )


def _follow(
    loss: SmoothLoss, root: Array, gram: Array, path: Array, p: int, pt: Array, eta: float,
    start: Array, rng: np.random.Generator,
) -> tuple[Array, Array, float]:  # fmt: skip
    drawn = root @ _wishart(gram.shape[0], p, rng) @ root
    alpha = _solve(lambda _, a: -eta * (drawn @ loss.gradient(a)), start, pt)
    distance = np.linalg.norm(alpha - path, axis=1)
    values = np.array([loss.value(v) for v in alpha])
    return values, distance, float(np.linalg.norm(drawn - gram, 2))


def _wishart(r: int, p: int, rng: np.random.Generator) -> Array:
    """Mean of p outer products of normal vectors; by Bartlett's triangle where p is large."""
    if p < 2 * r:
        Z = rng.standard_normal((r, p))
    else:
        Z = np.tril(rng.standard_normal((r, r)), -1)
        Z[np.arange(r), np.arange(r)] = np.sqrt(rng.chisquare(p - np.arange(r)))
    return np.asarray(Z @ Z.T / p)


def _given(
    loss: SmoothLoss, K: Any, pt: Any, eta: Any, start: Any
) -> tuple[Array, Array, Array, float, Array]:
    """Read the arguments; the root of K K', K K' itself, products, rate and start."""
    seen = as_numbers("K", K)
    if seen.ndim != 2 or seen.shape[0] != loss.r or not np.isfinite(seen).all():
        raise InputError(
            f"K: must be finite, {loss.r} rows for this loss; its shape is {seen.shape}"
        )
    places = np.atleast_1d(as_amounts("pt", pt))
    if places.ndim != 1 or (np.diff(places) <= 0).any():
        raise InputError("pt: must rise from one value to the next")
    first = np.zeros(loss.r) if start is None else as_numbers("start", start)
    if first.shape != (loss.r,) or not np.isfinite(first).all():
        raise InputError(f"start: must be {loss.r} finite numbers")
    gram = seen @ seen.T
    values, vectors = np.linalg.eigh(gram)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root, gram, places, as_above_zero("eta", eta), first


def _solve(move: Any, start: Array, places: Array) -> Array:
    """Follow an equation from zero to each place, (places, numbers)."""
    from scipy.integrate import LSODA, solve_ivp

    if places[-1] == 0:
        return start[None].copy()
    found = solve_ivp(
        move, (0.0, places[-1]), start, method=LSODA, t_eval=places, rtol=1e-9, atol=1e-11
    )
    if not found.success:
        raise FitError("FLOW_LOST", f"the flow could not be followed: {found.message}")
    return np.asarray(found.y.T)
