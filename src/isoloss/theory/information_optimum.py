"""Neurons and samples at fixed compute C = d n T that make the information bound least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, broadcast
from isoloss.theory.information import (
    BoundConstants,
    as_concentration,
    as_dimension,
    best_resolution,
    check_form,
    counting,
    terms,
    vacuous,
    within,
)

_POINTS = 129
_HALVINGS = 60
_TOGETHER = 1 << 17
"""Points of a grid that are worked on at once."""
Growth = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InformationOptimum:
    """Best sizes at each compute; every array has the shape of the grid.

    Attributes
    ----------
    C, d, K
        Compute d n T, dimension of the inputs, concentration.
    n_opt, T_opt, p_opt
        Neurons, samples, and parameters ``p = d n``.
    loss, misspecification, estimation, eps
        Of the bound there, as in `InformationBound`.
    model_share
        Parameters a sample, ``p_opt/T_opt = p_opt^2/C``: how compute leans to the model.
    exponent_p, exponent_loss
        Local slopes of ``ln p_opt`` and ``ln loss`` in ``ln C``; that of ``ln T_opt`` is
        ``1 - exponent_p``.
    slope_left
        Slope of ``ln loss`` in ``ln n`` at the answer: zero but for rounding where the optimum is
        inside, above zero where one neuron is already too many.
    form
        ``full`` or ``simple``.
    """

    C: Array
    d: Array
    K: Array
    n_opt: Array
    T_opt: Array
    p_opt: Array
    loss: Array
    misspecification: Array
    estimation: Array
    eps: Array
    model_share: Array
    exponent_p: Array
    exponent_loss: Array
    slope_left: Array
    form: str

    def __post_init__(self) -> None:
        for name in self.__slots__[:-1]:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return (
            f"InformationOptimum({self.form}, shape {self.loss.shape}, "
            f"n_opt {np.min(self.n_opt):.6g}..{np.max(self.n_opt):.6g})"
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """What to know before use, in sentences."""
        found = [*vacuous(self.loss)]
        if (self.n_opt <= 1).any():
            found.append("one neuron is already too many at some budgets; n_opt is 1 there")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {k: getattr(self, k).tolist() for k in self.__slots__[:-1]} | {"form": self.form}


def information_optimum(
    C: Any, *, d: Any, K: Any, form: str = "full", constants: BoundConstants | None = None,
    whole: bool = False,
) -> InformationOptimum:  # fmt: skip
    """Minimise the information bound over n at fixed compute ``C = d n T``.

    Parameters
    ----------
    C
        Compute, parameters times samples, at least d: one neuron and one sample.
    d, K
        Dimension of the inputs, concentration; all three broadcast.
    form, constants
        As in `information_bound`.
    whole
        Take the better of the two whole n beside the optimum, with all samples that fit.

    Returns
    -------
    InformationOptimum
        Where the best n is below one, the answer is one neuron.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Jeon and Van Roy, arXiv:2212.01365 and arXiv:2407.01456: both p and T grow as the root of C, up
    to logarithms.

    Examples
    --------
    >>> best = information_optimum(1e10, d=10, K=10, form="simple")
    >>> print(f"{best.n_opt:.8g} {best.T_opt:.8g} {best.loss:.8g}")
    546.68617 1829203 0.0020443669
    """
    constants = constants or BoundConstants()
    check_form(form)
    budget, dims, conc = broadcast(C=as_compute(C), d=as_dimension(d), K=as_concentration(K))
    if (budget < dims).any():
        i = int(np.flatnonzero(budget.ravel() < dims.ravel())[0])
        raise InputError(
            f"C = {budget.flat[i]:g} is below d = {dims.flat[i]:g}: it does not pay for one "
            "neuron and one sample"
        )
    bound = _Bound(budget, dims, conc, form, constants)
    logs = _lowest(bound.value, bound.tilt, np.log(budget / dims))
    if whole:
        logs = _whole(bound, logs)
    n = np.exp(logs)
    mis, est, eps = bound.parts(logs)
    samples = budget / (dims * n)
    if whole:
        n = np.round(n)
        samples = np.maximum(np.floor(budget / (dims * n) * (1 + 1e-12)), 1.0)
        est = est * (budget / (dims * n) / samples)
    growth = np.where(logs > 0, bound.growth(logs), 0.0)
    return InformationOptimum(
        C=budget, d=dims, K=conc, n_opt=n, T_opt=samples, p_opt=dims * n,
        loss=mis + est, misspecification=mis, estimation=est, eps=eps,
        model_share=dims * n / samples, exponent_p=growth,
        # Only the estimation term knows of C while n and eps are at their best.
        exponent_loss=-est / (mis + est),
        slope_left=bound.tilt(logs) / (mis + est), form=form,
    )  # fmt: skip


def many_neurons(C: Any, *, d: Any, K: Any, log_constant: float = np.log(30)) -> Array:
    r"""Limit of n_opt in the simple form where ``K << n << exp(d ln 30)``: the linear law.

    .. math:: n^2\,(1 + \ln(n/K)) = \frac{C}{16\,d^2 \ln 30}

    solved by Lambert's W. Parameters d n and samples T both grow as the root of C but for the one
    logarithm, and ``p/T = 1/(16 ln 30 (1 + ln(n/K)))``.

    Examples
    --------
    >>> limit = many_neurons(1e30, d=1e4, K=10)
    >>> bool(abs(limit / information_optimum(1e30, d=1e4, K=10, form="simple").n_opt - 1) < 1e-3)
    True
    """
    from scipy.special import lambertw

    budget, dims, conc = broadcast(C=as_compute(C), d=as_dimension(d), K=as_concentration(K))
    root = np.sqrt(budget / as_above_zero("log_constant", log_constant)) / (4 * dims * conc)
    return np.asarray(conc * np.exp(np.real(lambertw(2 * np.e**2 * root**2)) / 2 - 1))


def few_neurons(C: Any, *, d: Any, K: Any, log_constant: float = np.log(30)) -> Array:
    r"""Limit of n_opt in the simple form where ``n << K`` and ``ln 2n << d ln 30``.

    .. math:: n^3 = \frac{K C}{32\,d^2 \ln 30}

    Here every neuron is new, ``U(n) = n``, the estimation term is proportional to parameters over
    samples, and the model grows as the cube root of compute: the linear law begins where n passes
    K.

    Examples
    --------
    >>> limit = few_neurons(1e12, d=100, K=1e8)
    >>> bool(abs(limit / information_optimum(1e12, d=100, K=1e8, form="simple").n_opt - 1) < 0.02)
    True
    """
    budget, dims, conc = broadcast(C=as_compute(C), d=as_dimension(d), K=as_concentration(K))
    return np.asarray(
        np.cbrt(conc * budget / (32 * as_above_zero("log_constant", log_constant)))
        / dims ** (2 / 3)
    )


def two_term_optimum(C: Any, d: Any, growth: Growth, *, A: float = 1.0, B: float = 1.0) -> Array:
    r"""Best n of any law of two terms, :math:`L = A/n + B\,d\,g(n)/T` with ``C = d n T``.

    .. math:: n^2\,(g + n g') = \frac{A\,C}{B\,d^2}

    A constant g gives the linear law, n as the root of C; a g that grows as n gives the cube root.

    Parameters
    ----------
    C, d
        Compute, at least d, and dimension; they broadcast.
    growth
        Function of an array n that returns g and its derivative, both above zero or zero. If
        ``n^2 (g + n g')`` falls somewhere, the lowest of 129 points on log scale is refined.
    A, B
        Amplitudes, above zero.

    Raises
    ------
    InputError
        If a value breaks these rules.

    Examples
    --------
    >>> import numpy as np
    >>> constant = lambda n: (np.ones_like(n), np.zeros_like(n))
    >>> two_term_optimum([1e6, 1e8], 10, constant).round(6).tolist()
    [100.0, 1000.0]
    """
    budget, dims = broadcast(C=as_compute(C), d=as_dimension(d))
    if (budget < dims).any():
        raise InputError(f"C = {float(budget.min()):g}: must be at least d")
    size, data = as_above_zero("A", A), as_above_zero("B", B)
    price = data * dims / budget * dims

    def value(logs: Array) -> Array:
        n = np.exp(logs)
        return np.asarray(size / n + price * n * growth(n)[0])

    def tilt(logs: Array) -> Array:
        n = np.exp(logs)
        g, slope = growth(n)
        return np.asarray(-size / n + price * n * (g + n * slope))

    return np.exp(_lowest(value, tilt, np.log(budget / dims)))


class _Bound:
    """The bound along fixed compute as a function of u = ln n, with derivatives.

    Written ``(c1/8) S^2 + W V`` with ``S = a + b eps``, ``W = c2 (d/C) n U`` and
    ``V = d ln(net/eps) + ln 2n``; eps is at its best, so that the first derivative needs none of
    eps.
    """

    def __init__(self, C: Array, d: Array, K: Array, form: str, c: BoundConstants) -> None:
        self.C, self.d, self.K, self.form, self.c = C, d, K, form, c
        self.count = counting(form)

    def parts(self, logs: Array) -> tuple[Array, Array, Array]:
        """Misspecification, estimation and eps."""
        n = np.exp(logs)
        rate = self.d / self.C * n
        d, K = (np.broadcast_to(v, n.shape) for v in (self.d, self.K))
        distinct = self.count(n, K)[0]
        if self.form == "simple":
            eps = np.full(n.shape, np.nan)
        else:
            eps = best_resolution(n, rate, d, K, distinct, self.c)
        mis, est = terms(n, rate, d, K, distinct, eps, self.c)
        return mis, est, eps

    def value(self, logs: Array) -> Array:
        """Sum of the two terms."""
        mis, est, _ = self.parts(logs)
        return mis + est

    def tilt(self, logs: Array) -> Array:
        """Slope of the bound in u."""
        return self._first(logs)[0]

    def _first(self, logs: Array) -> tuple[Array, ...]:
        n, c, K, d = np.exp(logs), self.c, self.K, self.d
        fine = np.nan_to_num(self.parts(logs)[2])
        a, b, k = np.sqrt(K / (2 * n)), np.sqrt(1 + K / n), K / n
        S, S_u = a + b * fine, -a / 2 - k / (2 * b) * fine
        U, U1, U2 = self.count(n, np.broadcast_to(K, n.shape))
        rate = c.c2 * d / self.C * n
        if self.form == "simple":
            V = d * c.log_constant + np.log(2 * n)
        else:
            V = d * (np.log(c.net) - np.log(fine)) + np.log(2 * n)
        W, W_u = rate * U, rate * (U + n * U1)
        est_u = W_u * V + W + (rate * (np.log(n) + 1) if c.count else 0.0)
        W_uu = rate * (U + n * U1 + 2 * n * U1 + n * n * U2)
        est_uu = W_uu * V + 2 * W_u + (rate * (np.log(n) + 2) if c.count else 0.0)
        return c.c1 / 4 * S * S_u + est_u, est_u, est_uu, W, W_u, S, S_u, fine, a, b, k

    def growth(self, logs: Array) -> Array:
        """Slope of ln n_opt in ln C, by the implicit function theorem."""
        _, est_u, est_uu, W, W_u, S, S_u, fine, a, b, k = self._first(logs)
        q, d = self.c.c1 / 4, self.d
        S_uu = a / 4 + (k / (2 * b) - k * k / (4 * b**3)) * fine
        L_uu = q * (S_u * S_u + S * S_uu) + est_uu
        # With x = ln eps; where eps is held at 1, or there is none, x does not move.
        free = (fine > 0) & (fine < 1)
        L_ux = np.where(free, q * (b * fine * S_u - k / (2 * b) * fine * S) - d * W_u, 0.0)
        L_xx = np.where(free, q * (b * fine * S + (b * fine) ** 2), 1.0)
        est_x = np.where(free, -d * W, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((est_u * L_xx - est_x * L_ux) / (L_uu * L_xx - L_ux * L_ux))


def as_compute(value: Any) -> Array:
    """Read amounts of compute."""
    return within("C", value, 1.0, 1e100)


def _lowest(value: Callable[[Array], Array], tilt: Callable[[Array], Array], end: Array) -> Array:
    """Logarithm of the n of least value between 1 and exp(end): a grid, then its slope halved."""
    grid = np.linspace(0.0, 1.0, _POINTS).reshape((-1,) + (1,) * end.ndim) * end
    rows = max(1, _TOGETHER // end.size)
    values = [value(grid[i : i + rows]) for i in range(0, _POINTS, rows)]
    best = np.argmin(np.concatenate(values), axis=0)
    low, high = (
        np.take_along_axis(grid, np.clip(best + i, 0, _POINTS - 1)[None], axis=0)[0]
        for i in (-1, 1)
    )
    first, last = tilt(low), tilt(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        falls = tilt(middle) < 0
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    # The loss may rise from the first neuron on, or fall up to one sample.
    return np.where(first >= 0, np.where(best == 0, 0.0, low), np.where(last < 0, high, low))


def _whole(bound: _Bound, logs: Array) -> Array:
    """Logarithm of the better of the two whole numbers of neurons beside an optimum."""
    below = np.maximum(np.floor(np.exp(logs) * (1 + 1e-12)), 1.0)
    above = np.minimum(below + 1, np.maximum(np.floor(bound.C / bound.d), 1.0))
    one, other = np.log(below), np.log(above)
    return np.where(bound.value(other) < bound.value(one), other, one)
