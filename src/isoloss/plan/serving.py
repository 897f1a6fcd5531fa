"""Training and serving together: the cheapest model that reaches a loss and answers so much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_positive
from isoloss._core.interval import Interval
from isoloss.errors import FitError, LawError
from isoloss.laws import Law
from isoloss.plan.problem import read_source

_SIZES = np.log(10.0) * np.arange(2.0, 18.0, 0.05)
_DATA = (np.log(1e2), np.log(1e22))
_HALVINGS = 60
Height = Callable[[Array, Array], Array]
"""Loss at log sizes and log data, both (B, n)."""
_ZOOM = np.linspace(0.0, 1.0, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The cheapest way to a loss when the model will also serve.

    Attributes
    ----------
    loss, tokens
        What was asked for: the loss, and the tokens to serve.
    N, D
        Best size and training data.
    training, serving
        FLOPs of each; ``price`` is what one served FLOP costs in FLOPs of training.
    N_alone, D_alone
        Best without serving.
    saved
        Share of the whole cost that is saved against N_alone and D_alone.
    N_interval
        Of the best size, if the law is right; ``None`` without draws.
    """

    law: str
    loss: float
    tokens: float
    price: float
    N: float
    D: float
    training: float
    serving: float
    N_alone: float
    D_alone: float
    saved: float
    N_interval: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        names = ("law", "loss", "tokens", "price", "N", "D", "training", "serving", "N_alone",
                 "D_alone", "saved")  # fmt: skip
        interval = None if self.N_interval is None else self.N_interval.to_dict()
        return {n: getattr(self, n) for n in names} | {"N_interval": interval}

    def summary(self) -> str:
        """Lines for people."""
        interval = "" if self.N_interval is None else f" {self.N_interval!r}"
        return (
            f"{self.law}: loss {self.loss:g} and {self.tokens:.3g} tokens served: N = {self.N:.4g}"
            f"{interval}, D = {self.D:.4g}, {self.D / self.N:.1f} tokens a parameter\n"
            f"  {self.training:.4g} FLOPs to train, {self.serving:.4g} to serve; "
            f"{self.saved:.1%} less than with N = {self.N_alone:.4g}, best for training alone"
        )


def allocate_served(
    law: Any,
    theta: Mapping[str, float] | npt.ArrayLike | None = None,
    *,
    loss: float,
    tokens: float,
    price: float = 1.0,
    train: float = 6.0,
    serve: float = 2.0,
    draws: npt.ArrayLike | None = None,
    level: float = 0.9,
) -> Served:
    r"""Find N and D of least cost :math:`6ND + p\,2NT` that reach a loss and serve T tokens.

    A smaller model trained longer costs more to train and less to serve. For each size the data
    that reach the loss are found by bisection, then the size by ever finer grids.

    Parameters
    ----------
    law, theta
        A law of N and D and its values, or a fit alone.
    loss
        To be reached.
    tokens
        To be served, over the life of the model.
    price
        Cost of a served FLOP over that of a training FLOP: above one where serving uses the
        hardware worse.
    train, serve
        FLOPs per parameter and token.
    draws, level
        Resampled parameters (those of a fit by default) and the level of the interval.

    Raises
    ------
    LawError
        The law needs other resources than N and D.
    FitError
        ``LOSS_BELOW_FLOOR``: no size reaches the loss.

    References
    ----------
    Sardana et al. 2024, arXiv:2401.00448.

    Examples
    --------
    >>> from isoloss.laws import PUBLISHED, get_law
    >>> values = PUBLISHED["epoch-2024-lad"].parameters
    >>> found = allocate_served(get_law("chinchilla"), values, loss=2.1, tokens=2e12)
    >>> print(f"{found.N:.2g} in place of {found.N_alone:.2g}, {found.saved:.0%} saved")
    6.3e+09 in place of 1.3e+10, 29% saved
    """
    as_level(level)
    for name, value in (("loss", loss), ("price", price), ("train", train), ("serve", serve)):
        as_positive(name, value)
    if tokens != 0:
        as_positive("tokens", tokens)
    form, vector, matrix, method = read_source(law, theta, draws)
    if set(form.axes) != {"N", "D"}:
        raise LawError(f"{form.name} is of {', '.join(form.axes)}: serving needs one of N and D")
    weight = price * serve * tokens
    (n,), (d,) = _best(form, vector[None], loss, train, weight)
    (alone,), (data,) = _best(form, vector[None], loss, train, 0.0)
    if not np.isfinite(n):
        raise FitError(
            "LOSS_BELOW_FLOOR", f"no size reaches loss {loss:g} under {form.name}; aim higher"
        )
    interval = None
    if matrix is not None and len(matrix):
        sizes, _ = _best(form, matrix, loss, train, weight)
        kept = sizes[np.isfinite(sizes)]
        if 2 * len(kept) > len(sizes):
            interval = Interval.from_draws(kept, level=level, method=method or "draws")
    cost, before = (train * a * b + weight * a for a, b in ((n, d), (alone, data)))
    return Served(
        law=form.name, loss=float(loss), tokens=float(tokens), price=float(price), N=float(n),
        D=float(d), training=float(train * n * d), serving=float(serve * n * tokens),
        N_alone=float(alone), D_alone=float(data), saved=float(1 - cost / before),
        N_interval=interval,
    )  # fmt: skip


def _best(law: Law, theta: Array, loss: float, train: float, weight: float) -> tuple[Array, Array]:
    """Sizes and data of least cost, (B,); NaN where no size reaches the loss."""

    def height(log_N: Array, log_D: Array) -> Array:
        return law(theta, {"N": np.exp(log_N), "D": np.exp(log_D)})

    return cheapest(height, np.full(len(theta), loss), train, weight)


def cheapest(
    height: Height, loss: Array, train: float, weight: float, *, halvings: int = _HALVINGS
) -> tuple[Array, Array]:
    """Sizes and data of least ``N (train D + weight)`` at losses, (B,); NaN where none reaches.

    Costs are known to 2**-halvings of the range searched, sizes to the root of that.
    """
    target = loss[:, None]

    def cost(log_N: Array) -> Array:
        data = _data(height, log_N, target, halvings)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(log_N) * (train * np.exp(data) + weight))

    sizes = _SIZES if halvings >= _HALVINGS else _SIZES[::4]
    grid = np.broadcast_to(sizes, (len(loss), len(sizes)))
    values = cost(grid)
    at = np.argmin(values, axis=1)
    none = ~np.isfinite(values.min(axis=1))
    low = sizes[np.maximum(at - 1, 0)][:, None]
    high = sizes[np.minimum(at + 1, len(sizes) - 1)][:, None]
    # Each zoom leaves a sixth of the range; further ones would be lost in the rounding of costs.
    for _ in range(halvings // 5 - 1):
        grid = low + (high - low) * _ZOOM
        at = np.argmin(cost(grid), axis=1)[:, None]
        low = np.take_along_axis(grid, np.maximum(at - 1, 0), axis=1)
        high = np.take_along_axis(grid, np.minimum(at + 1, len(_ZOOM) - 1), axis=1)
    log_N = (low + high) / 2
    log_D = _data(height, log_N, target, halvings)
    N, D = np.exp(log_N[:, 0]), np.exp(log_D[:, 0])
    return np.where(none, np.nan, N), np.where(none, np.nan, D)


def _data(height: Height, log_N: Array, loss: Array, halvings: int) -> Array:
    """Log of the data that reach the loss, (B, n); infinite where none do."""
    low, high = (np.full(log_N.shape, v) for v in _DATA)

    def reached(log_D: Array) -> npt.NDArray[np.bool_]:
        return np.asarray(height(log_N, log_D) <= loss)

    possible = reached(high)
    for _ in range(halvings):
        middle = (low + high) / 2
        good = reached(middle)
        low, high = np.where(good, low, middle), np.where(good, middle, high)
    return np.where(possible, high, np.inf)
