"""Linear model with label noise along gradient flow: one function of size, time and data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import FitError, InputError
from isoloss.theory.checks import (
    as_above_zero,
    as_amount,
    as_amounts,
    as_counts,
    as_noise,
    broadcast,
)
from isoloss.theory.draw import whole
from isoloss.theory.spectrum import Spectrum, from_modes

_FINE, _COARSE = (np.polynomial.legendre.leggauss(n) for n in (24, 16))
_RATIO = 2.0
"""Largest ratio of the ends of a panel."""

_LONGEST = 1e280
_DOUBT = 1e-9
_NODES = 1 << 18
"""Nodes held at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearFlow:
    """Excess risk of the linear model on a grid of c and tau.

    Attributes
    ----------
    c, tau, S2, noise
        Features over samples, time, power of the target and variance of the label noise.
    excess
        Risk on clean targets: ``signal + fitted_noise``.
    signal, fitted_noise
        What is left of the target, and what was learned of the noise.
    error
        Estimate of the absolute error of ``excess`` by quadrature; not that of finite systems.

    Examples
    --------
    >>> found = scale_time([0.5, 1, 2], [1, 10, np.inf], noise=0.25)
    >>> found.excess.round(6).tolist()
    [0.307932, 0.530556, 0.75]
    """

    c: Array
    tau: Array
    S2: Array
    noise: Array
    excess: Array
    signal: Array
    fitted_noise: Array
    error: Array

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        low, high = np.min(self.excess), np.max(self.excess)
        return f"LinearFlow(shape {self.excess.shape}, excess {low:.6g}..{high:.6g})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, nested lists in the shape of the grid."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    def require(self) -> LinearFlow:
        """Return self, or raise where the quadrature is not good to nine digits."""
        with np.errstate(invalid="ignore"):
            if (self.error > _DOUBT * self.excess + 1e-300).any():
                raise FitError(
                    "QUADRATURE", f"the excess risk is only known within {self.error.max():.1e}"
                )
        return self


def scale_time(c: Any, tau: Any, *, S2: Any = 1.0, noise: Any = 0.0) -> LinearFlow:
    r"""Exact excess risk of linear regression by gradient flow from zero, at any c and time.

    Inputs are white, D samples of M features; the flow is that of half the mean squared error.
    With :math:`c = M/D` and the continuous part :math:`\mu` of the Marchenko-Pastur law,

    .. math:: E(c, \tau) = S^2 \Big[\int\! \mu(dl)\, e^{-2 l \tau} + (1 - 1/c)_+\Big]
              + \sigma^2 c \int\! \mu(dl)\, \frac{(1 - e^{-l \tau})^2}{l} .

    Parameters
    ----------
    c
        Features over samples, zero or more; ``inf`` is the limit of many features at a fixed time.
    tau
        Learning rate times time, zero or more; ``inf`` is the end of training.
    S2
        Power of the target, the squared norm of its coefficients.
    noise
        Variance of the label noise.

    Returns
    -------
    LinearFlow
        The arguments broadcast. At c = 1 and ``tau = inf`` with noise the risk is infinite.

    Raises
    ------
    InputError
        If a value breaks these rules.

    Notes
    -----
    With ``l = (1 - sqrt c)^2 + 4 sqrt c sin^2(x/2)`` both integrals are of positive functions,
    ``(2/pi) sin^2 x`` times an entire one in place of ``mu``; panels that grow geometrically from
    the nearest scale on, 24 nodes each, leave some thirteen digits for every c and tau. ``error``
    is the distance to the same with 16 nodes.

    References
    ----------
    The setting is that of arXiv:2409.05782; the law is the classical one of ridgeless regression,
    followed in time.

    Examples
    --------
    >>> float(scale_time(0.5, 1, noise=0.25).excess.round(8))
    0.307932
    """
    c, tau, power, s2 = broadcast(
        c=as_amounts("c", c, infinite=True),
        tau=as_amounts("tau", tau, infinite=True),
        S2=as_amounts("S2", S2),
        noise=as_noise(noise),
    )
    for name, value, largest in (("tau", tau, _LONGEST), ("c", c, 1e200)):
        if ((value > largest) & np.isfinite(value)).any():
            raise InputError(f"{name} = {value.max()!r}: must be at most {largest:g}, or inf")
    flat = (c.ravel(), tau.ravel())
    kept, fitted, err_kept, err_fitted = _integrals(*flat)
    with np.errstate(invalid="ignore"):
        # Nothing of a noise that is not there is learned, not even at the peak.
        learned = np.where(s2.ravel() > 0, s2.ravel() * fitted, 0.0)
        doubt = np.where(s2.ravel() > 0, s2.ravel() * err_fitted, 0.0)
    left = power.ravel() * kept
    shaped = [
        np.reshape(v, c.shape)
        for v in (left + learned, left, learned, power.ravel() * err_kept + doubt)
    ]
    return LinearFlow(
        c=c, tau=tau, S2=power, noise=s2, excess=shaped[0], signal=shaped[1],
        fitted_noise=shaped[2], error=shaped[3],
    )  # fmt: skip


def scale_time_law(
    p: Any, t: Any, D: Any, *, M: Any, eta: Any = 1.0, S2: Any = 1.0, noise: Any = 0.0
) -> LinearFlow:
    """Risk of a model of size p after time t on D samples: ``E(M/D, eta p t)``.

    Size and time enter through their product alone, so double descent along size, along time and
    along data are cuts through one function.

    Parameters
    ----------
    p, t
        Size and time, zero or more; ``inf`` is allowed.
    D
        Samples, above zero; ``inf`` is allowed.
    M
        Features of the linear model that all sizes train inside of, above zero.
    eta, S2, noise
        Learning rate, power of the target, variance of the label noise.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    arXiv:2409.05782, scale-time equivalence; the linear law is that of `scale_time`.

    Examples
    --------
    >>> found = scale_time_law([100, 200], [4, 2], 50, M=100, eta=1e-3, noise=1)
    >>> bool(found.excess[0] == found.excess[1])
    True
    """
    c, tau = place_of(p=p, t=t, D=D, M=M, eta=eta)
    return scale_time(c, tau, S2=S2, noise=noise)


def place_of(*, p: Any, t: Any, D: Any, M: Any, eta: Any) -> tuple[Array, Array]:
    """Return c and tau of a size, a time, samples and features."""
    size, time, data, features, rate = broadcast(
        p=as_amounts("p", p, infinite=True), t=as_amounts("t", t, infinite=True),
        D=as_counts("D", D), M=as_counts("M", M), eta=as_amounts("eta", eta),
    )  # fmt: skip
    with np.errstate(invalid="ignore", over="ignore"):
        c, tau = features / data, rate * size * time
    for name, value in (("M/D", c), ("eta p t", tau)):
        if np.isnan(value).any():
            raise InputError(f"{name}: zero times inf, or inf over inf, has no value; give numbers")
    return c, tau


def peak_time(c: Any) -> Array:
    """Time scale on which the risk at c reaches its end: one over the least eigenvalue.

    ``1/(1 - sqrt c)^2``; near c = 1 the interpolation peak takes longer and longer to appear. In
    the time of a model of size p it is this over ``eta p``: larger models peak earlier.

    Examples
    --------
    >>> peak_time([0.25, 1]).tolist()
    [4.0, inf]
    """
    ratio = as_amounts("c", c, infinite=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(np.isinf(ratio), 0.0, 1 / _gap(ratio) ** 2))


def two_groups(
    tau: Any, *, ls: Any, ln: Any, Ms: Any, Mn: Any, D: Any, S2: Any = 1.0, noise: Any = 0.0
) -> Array:
    r"""Excess risk with signal in weak features and strong ones that carry noise alone.

    .. math:: E(\tau) = S^2 l_s e^{-2 l_s \tau} + \frac{\sigma^2}{D} \big[
              M_s (1 - e^{-l_s \tau})^2 + M_n (1 - e^{-l_n \tau})^2 \big]

    Noise is fitted first, at ``1/ln``, and the risk rises; the signal is learned at ``1/ls``, and
    it falls again: double descent in time. This is the first order in M/D; the law at any D is
    that of `gradient_flow` on a `two_group_spectrum` with ``N=inf``.

    Parameters
    ----------
    tau
        Learning rate times time, zero or more; ``inf`` is allowed.
    ls, ln
        Variances of signal and of noise features.
    Ms, Mn
        Their numbers, far below D.
    D, S2, noise
        Samples, squared norm of the target's coefficients, variance of the label noise.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    The early-noise mechanism of arXiv:2409.05782, in its simplest model.

    Examples
    --------
    >>> words = {"ls": 0.05, "ln": 1, "Ms": 50, "Mn": 100, "D": 2000, "noise": 1}
    >>> two_groups([1, 10, 100], **words).round(8).tolist()
    [0.06528016, 0.07225989, 0.07466651]
    """
    time, slow, fast, signal, other, data, power, s2 = broadcast(
        tau=as_amounts("tau", tau, infinite=True), ls=as_counts("ls", ls), ln=as_counts("ln", ln),
        Ms=as_counts("Ms", Ms), Mn=as_amounts("Mn", Mn), D=as_counts("D", D),
        S2=as_amounts("S2", S2), noise=as_noise(noise),
    )  # fmt: skip
    for name, value in (("ls", slow), ("ln", fast), ("Ms", signal)):
        if np.isinf(value).any():
            raise InputError(f"{name} = inf: must be finite")
    with np.errstate(over="ignore", invalid="ignore"):
        # At the start nothing has moved, however fast it would.
        a, b = (np.where(time > 0, rate * time, 0.0) for rate in (slow, fast))
    fitted = signal * np.expm1(-a) ** 2 + other * np.expm1(-b) ** 2
    return np.asarray(power * slow * np.exp(-2 * a) + s2 / data * fitted)


def two_group_spectrum(*, ls: float, ln: float, Ms: int, Mn: int, S2: float = 1.0) -> Spectrum:
    """Spectrum of the features of `two_groups`: signal in the weak ones, spread evenly.

    Raises
    ------
    InputError
        If a number is not above zero, or Ms or Mn not whole.

    Examples
    --------
    >>> round(two_group_spectrum(ls=0.05, ln=1, Ms=50, Mn=100).power, 6)
    0.05
    """
    slow, fast = as_above_zero("ls", ls), as_above_zero("ln", ln)
    signal, other = whole("Ms", Ms), whole("Mn", Mn)
    power = as_amount("S2", S2)
    lam = np.repeat([slow, fast], [signal, other])
    return from_modes(lam, np.repeat([power * slow / signal, 0.0], [signal, other]))


def _gap(c: Array) -> Array:
    """Distance of sqrt c from one, without cancellation."""
    return np.asarray(np.abs(1 - c) / (1 + np.sqrt(c)))


def _integrals(c: Array, tau: Array) -> tuple[Array, Array, Array, Array]:
    """Shares of signal left and of noise fitted, and errors of both; limits included."""
    kept, fitted = np.ones((2, c.size))
    errors = np.zeros((2, c.size))
    still, end = tau == 0, np.isinf(tau)
    fitted[still | np.isinf(c)] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        last = end & np.isfinite(c)
        kept[last] = (1 - 1 / np.maximum(c, 1.0))[last]
        fitted[last] = np.where(c < 1, c / np.abs(1 - c), 1 / np.abs(c - 1))[last]
    none = (c == 0) & ~still & ~end
    kept[none], fitted[none] = np.exp(-2 * tau[none]), 0.0
    some = np.flatnonzero((c > 0) & np.isfinite(c) & ~still & ~end)
    panels, lows = _panels(c[some], tau[some])
    # Points that need as many panels go together.
    order = np.argsort(panels, kind="stable")
    for count in np.unique(panels):
        mine = order[panels[order] == count]
        for part in np.array_split(mine, -(-mine.size * int(count) * 24 // _NODES)):
            i = some[part]
            best = _sums(c[i], tau[i], lows[part], int(count), _FINE)
            rough = _sums(c[i], tau[i], lows[part], int(count), _COARSE)
            mass = 1 - 1 / np.maximum(c[i], 1.0)
            kept[i], fitted[i] = best[0] + mass, best[1]
            errors[:, i] = np.abs(best - rough) + 4e-16 * np.array([kept[i], fitted[i]])
    return kept, fitted, errors[0], errors[1]


def _panels(c: Array, tau: Array) -> tuple[Any, Array]:
    """Count panels, and end the first at half the nearest scale on which a function varies."""
    fourth = c**0.25
    with np.errstate(over="ignore"):
        turn = np.minimum(1 / (np.sqrt(tau) * fourth), np.pi)
        pole = np.minimum(_gap(c) / fourth, np.pi)
    low = 0.5 * np.minimum(turn, np.maximum(pole, 1e-15 * turn))
    return np.ceil(np.log(np.pi / low) / np.log(_RATIO)).astype(np.int64), low


def _sums(c: Array, tau: Array, low: Array, count: int, rule: Any) -> Array:
    """Both integrals by a rule on every panel, (2, points)."""
    nodes, weights = rule
    steps = (np.pi / low)[:, None] ** (np.arange(count + 1) / count)
    ends = np.concatenate([np.zeros((c.size, 1)), low[:, None] * steps], axis=1)
    half = np.diff(ends, axis=1)[:, :, None] / 2
    x = (ends[:, :-1, None] + half * (1 + nodes)).reshape(c.size, -1)
    w, sine = (half * weights).reshape(c.size, -1) * (2 / np.pi), np.sin(x)
    root, time = np.sqrt(c)[:, None], tau[:, None]
    lam = _gap(c)[:, None] ** 2 + 4 * root * np.sin(x / 2) ** 2
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        decay = np.exp(-2 * lam * time)
        share = -np.expm1(-lam * time) / lam
        left = np.sum(w * (sine / lam) * sine * decay, axis=1)
        # No product leaves float64, neither at 1e280 nor for huge c.
        fitted = np.sum(w * (sine * share) * (c[:, None] * (sine * share)), axis=1)
    return np.array([left, fitted])
