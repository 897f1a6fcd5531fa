"""Limits of the pruned perceptron: many examples, few, capacity, too small a share kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.theory.checks import as_numbers
from isoloss.theory.perceptron import RIGHT, as_angle, as_keep, as_law, pruned_perceptron
from isoloss.theory.perceptron_moments import gauss, line_moments, plane_moments

CAPACITY = 2.0
"""Random labels a dimension that a perceptron can learn (Cover)."""
_ROOT = 1 / np.sqrt(2 * np.pi)


def margin_constant() -> float:
    """C0 of ``eps -> C0/alpha``: the error of a max-margin student of many random examples.

    Examples
    --------
    >>> round(margin_constant(), 10)
    0.5004889318
    """
    return _steepest()[1]


def many_examples(fraction: Any, theta: Any = 0.0, *, keep: Any = "hard") -> Array:
    """Coefficient c of ``eps -> c/alpha_prune`` as examples become many at a fixed fraction.

    Only examples near the teacher's boundary count, so ``c = C0 f/p`` with p the chance that one
    there is kept. A perfect probe that keeps the easy ones moves the boundary outwards instead, and
    p is ``phi(g)/phi(0)`` with g the least margin kept.

    Parameters
    ----------
    fraction, theta, keep
        As in `isoloss.theory.pruned_perceptron`, the fraction above zero.

    Raises
    ------
    InputError
        As there.

    References
    ----------
    Derived from the equations of arXiv:2206.14486, appendix A.

    Examples
    --------
    >>> many_examples([0.2, 0.5], keep=["hard", "easy"]).round(6).tolist()
    [0.100098, 0.314161]
    """
    from scipy.special import erf, erfc

    f, angle, words = _given(fraction, theta, keep)
    law = as_law(f, angle, words)
    easy = law.low > 0
    edge = np.where(easy, law.low, law.high)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = edge / (np.sqrt(2) * np.sin(law.theta))
        kept = np.where(easy, erfc(scaled), erf(scaled))
        kept = np.where(easy & (law.theta == 0), np.exp(-(edge**2) / 2), kept)
        return np.asarray(margin_constant() * law.share / kept)


def few_examples(fraction: Any, theta: Any = 0.0, *, keep: Any = "hard") -> Array:
    """Coefficient of ``R -> c sqrt(alpha_prune)`` as examples become few: their mean ``|T.x|``.

    With a perfect probe it is ``2 (phi(0) - phi(g))/f`` for hard and ``2 phi(g)/f`` for easy, and
    without pruning ``sqrt(2/pi)``.

    Parameters
    ----------
    fraction, theta, keep
        As in `isoloss.theory.pruned_perceptron`, the fraction above zero.

    Raises
    ------
    InputError
        As there.

    Examples
    --------
    >>> few_examples([1, 0.5, 0.5], keep=["hard", "hard", "easy"]).round(5).tolist()
    [0.79788, 0.32466, 1.27111]
    """
    f, angle, words = _given(fraction, theta, keep)
    law = as_law(f.ravel(), angle.ravel(), words.ravel())
    found, none = np.empty(f.size), np.zeros(f.size)
    for plane in (False, True):
        i = np.flatnonzero((law.theta > 0) == plane)
        o = none[i]
        if not i.size:
            continue
        # A margin this large has every example below it.
        if plane:
            found[i] = plane_moments(law.pick(i), o + 1e-9, o, o + 1, o + 50).Pu
        else:
            found[i] = line_moments(law.pick(i), o + 1e-9, o + 1, o + 50).Pu
    return found.reshape(f.shape)


def beyond_capacity(alpha_prune: Any) -> Array:
    """Coefficient h of ``alpha_tot eps -> h(alpha_prune)`` as a perfect probe keeps ever less.

    The hardest examples lie on the teacher's boundary and their labels are a fair coin's: below two
    a dimension the student learns those and nothing of the teacher, and h is infinite. Above, no
    other student fits them all, and ``h -> C0`` faster than exponentially.

    Parameters
    ----------
    alpha_prune
        Kept examples a dimension, above zero.

    Raises
    ------
    InputError
        If it is not positive.

    Examples
    --------
    >>> beyond_capacity([1, 2.1, 2.5, 4]).round(8).tolist()
    [inf, 1.09617603, 0.60717394, 0.50298705]
    """
    alpha = as_numbers("alpha_prune", alpha_prune)
    if not (alpha > 0).all():
        raise InputError(f"alpha_prune = {float(alpha.min())!r}: must be positive")
    found = [_above_capacity(float(a)) if a > CAPACITY else np.inf for a in alpha.ravel()]
    return np.array(found).reshape(alpha.shape)


def over_pruned(alpha_prune: Any, theta: Any) -> Array:
    """Error that is left when an imperfect probe keeps next to nothing, hard examples first.

    Kept examples have no component along the probe, so the student is ``R = sin(theta) R_random``:
    more examples turn it to a vector at a right angle to the probe, not to the teacher.

    Parameters
    ----------
    alpha_prune, theta
        As in `isoloss.theory.pruned_perceptron`; the angle above zero.

    Raises
    ------
    InputError
        As there.

    Examples
    --------
    >>> over_pruned(1e6, np.deg2rad([10, 20, 40])).round(4).tolist()
    [0.4444, 0.3889, 0.2778]
    """
    R = pruned_perceptron(alpha_prune, keep="random").require().R
    return np.asarray(np.arccos(np.sin(as_angle(theta)) * R) / np.pi)


def probe_angle(alpha_probe: Any) -> Array:
    """Angle in radians of a probe that learned from ``alpha_probe`` random examples a dimension.

    Raises
    ------
    InputError
        If the number is out of range.

    Examples
    --------
    >>> np.rad2deg(probe_angle([1, 10, 100])).round(3).tolist()
    [47.828, 8.853, 0.901]
    """
    return np.asarray(np.pi * pruned_perceptron(alpha_probe, keep="random").require().eps)


def growing_pool(alpha_prune: Any, rate: float) -> Array:
    """Error of a perfect probe whose pool grows as ``alpha_tot = alpha_prune exp(rate alpha)``.

    This is the sense in which pruning beats the power law exponentially: with the share kept
    falling as ``f = exp(-rate alpha_prune)`` the error is ``h(alpha_prune) f/alpha_prune``, at any
    rate that one can find examples for.

    Raises
    ------
    InputError
        If ``alpha_prune`` or the rate is not positive.

    Examples
    --------
    >>> [f"{v:.3e}" for v in growing_pool([3, 6, 9], rate=1.0)]
    ['8.783e-03', '2.068e-04', '6.863e-06']
    """
    alpha = as_numbers("alpha_prune", alpha_prune)
    if not (np.isfinite(rate) and rate > 0):
        raise InputError(f"rate = {rate!r}: must be finite and positive")
    return np.asarray(np.minimum(beyond_capacity(alpha) * np.exp(-rate * alpha) / alpha, 0.5))


def nothing_kept(alpha: Array, theta: Array, keep: npt.NDArray[np.str_]) -> Array:
    """Limits of R, rho, kappa, eps, support fraction and residual as the fraction goes to zero."""
    found = np.zeros((6, alpha.size))
    for i, (a, angle, word) in enumerate(zip(alpha, theta, keep, strict=True)):
        if angle == RIGHT or (word == "hard" and angle > 0):
            bare = pruned_perceptron(a, keep="random")
            R = np.sin(angle) * float(bare.R)
            found[:, i] = R, 0, bare.kappa, np.arccos(R) / np.pi, bare.support_fraction, 0
        elif word == "easy":
            found[:, i] = np.cos(angle), 1, np.inf, angle / np.pi, _easiest(float(a)), 0
        elif a < CAPACITY:
            kappa, support = _coins(float(a))
            found[:, i] = 0, 0, kappa, 0.5, support, 0
        else:
            found[:, i] = 1, 1, 0, 0, 1 / a, 0
    return found


def _given(fraction: Any, theta: Any, keep: Any) -> tuple[Array, Array, npt.NDArray[np.str_]]:
    f, angle, words = as_numbers("fraction", fraction), as_angle(theta), as_keep(keep)
    if not ((f > 0) & (f <= 1)).all():
        raise InputError(f"fraction = {f.tolist()!r}: must lie above 0, and be at most 1")
    try:
        return tuple(np.array(v) for v in np.broadcast_arrays(f, angle, words))  # type: ignore[return-value]
    except ValueError as error:
        raise InputError("fraction, theta and keep do not broadcast; see numpy's rules") from error


def _normal(k: Any) -> tuple[Any, Any]:
    """Probability that a standard normal variable is below k, and its mean squared shortfall."""
    from scipy.special import ndtr

    short = ndtr(k)
    return short, (k * k + 1) * short + k * _ROOT * np.exp(-k * k / 2)


def _integrals(k: float) -> tuple[float, float]:
    """Integrals of the two of `_normal` up to k."""
    short, _ = _normal(k)
    density = float(_ROOT * np.exp(-k * k / 2))
    return float(k * short + density), float(((k**3 + 3 * k) * short + (k * k + 2) * density) / 3)


def _window(k: float, omega: float) -> tuple[float, float]:
    """Means of the two of `_normal` from k - omega to k."""
    if omega > 0.1:
        whole, rest = _integrals(k), _integrals(k - omega)
        return (whole[0] - rest[0]) / omega, (whole[1] - rest[1]) / omega
    # Differences would lose what is common.
    x, weight = gauss(8)
    one, two = _normal(k - omega * x)
    return float(weight @ one), float(weight @ two)


@lru_cache
def _steepest() -> tuple[float, float]:
    """Margin over the length r of the rest with many examples, and C0."""
    from scipy.optimize import brentq

    def gap(k: float) -> float:
        one, two = _integrals(k)
        return one - two

    k = float(brentq(gap, 0.1, 2.0, xtol=1e-15))
    return k, float(np.sqrt(np.pi / 2) / (np.pi * _integrals(k)[0]))


def _above_capacity(alpha: float) -> float:
    """Solve for h: margin and width of the window, over r, of the examples kept."""
    from scipy.optimize import brentq

    def margin(omega: float) -> float:
        def gap(k: float) -> float:
            one, two = _window(k, omega)
            return one - two

        return float(brentq(gap, 0.0, 2.0, xtol=1e-15))

    def miss(x: float) -> float:
        omega = float(np.exp(x))
        return alpha * _window(margin(omega), omega)[0] - 1

    omega = np.exp(brentq(miss, np.log(1e-7), np.log(3 * alpha + 10), xtol=1e-14))
    return float(alpha * np.sqrt(np.pi / 2) / (np.pi * omega))


def _coins(alpha: float) -> tuple[float, float]:
    """Margin of random labels below capacity, and the share of support vectors."""
    from scipy.optimize import brentq

    top = 2 / np.sqrt(alpha) + 1
    kappa = float(brentq(lambda k: float(_normal(k)[1]) - 1 / alpha, 0.0, top, xtol=1e-15))
    return kappa, float(_normal(kappa)[0])


def _easiest(alpha: float) -> float:
    """Share of support vectors where only the easiest are kept.

    Their margins exceed g by an exponential variable over g, to which r is proportional.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    x, weight = gauss(40)

    def means(q: float, sigma: float) -> tuple[float, float, float, float]:
        top = min(40.0, sigma * (q + 9.0))
        edges = np.clip([0.0, sigma * (q - 4), sigma * q, 4.0, 12.0, top], 0.0, top)
        edges = np.sort(edges)
        wide = np.diff(edges)[:, None]
        s = (edges[:-1, None] + wide * x).ravel()
        mass = (wide * weight).ravel() * np.exp(-s)
        tau = q - s / sigma
        short = ndtr(tau)
        first = tau * short + _ROOT * np.exp(-(tau**2) / 2)
        parts = (short, first, first * s, tau * first + short)
        P, m1, ms, m2 = (float(mass @ part) for part in parts)
        return P, m1, ms, m2

    def miss(q: float, sigma: float) -> float:
        _, m1, ms, _ = means(q, sigma)
        return sigma * q - sigma**2 - ms / m1

    def solve(log_sigma: float) -> tuple[float, float, float, float]:
        sigma = float(np.exp(log_sigma))
        end = sigma + 60.0 / sigma + 8.0
        return means(float(brentq(miss, -8.0, end, args=(sigma,), xtol=1e-13)), sigma)

    def gap(log_sigma: float) -> float:
        return float(np.log(alpha * solve(log_sigma)[3]))

    return solve(float(brentq(gap, np.log(1e-7), np.log(1e4), xtol=1e-12)))[0]
