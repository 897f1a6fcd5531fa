"""How well n ReLU neurons can predict a random teacher after T samples: a bound with constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_amounts, as_counts, as_numbers, broadcast

FORMS = ("full", "simple")
_SHIFT = 24
"""From this argument on, four terms of Stirling's series give psi to the last digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundConstants:
    r"""Constants of the bound, none of them confirmed against the papers' theorems.

    Attributes
    ----------
    c1, c2
        Factors on the misspecification and on the estimation term.
    net
        The net on the sphere has at most ``(net/eps)^d`` points; for ``full``.
    log_constant
        What takes the place of ``ln(net/eps)`` in the ``simple`` form; ln 30 unless told.
    count
        Whether to add the cost ``ln(n)/T`` of saying how many atoms differ.

    Examples
    --------
    >>> BoundConstants(c2=0.1).c2
    0.1
    """

    c1: float = 1.0
    c2: float = 1.0
    net: float = 3.0
    log_constant: float = math.log(30)
    count: bool = False

    def __post_init__(self) -> None:
        for name in ("c1", "c2", "log_constant"):
            object.__setattr__(self, name, as_above_zero(name, getattr(self, name)))
        object.__setattr__(self, "net", as_above_zero("net", self.net))
        if self.net < 1:
            raise InputError(f"net = {self.net!r}: must be 1 or more, or the net has no points")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InformationBound:
    """The bound and its two terms on a grid; every array has the shape of the grid.

    Attributes
    ----------
    n, T, d, K
        Neurons, samples, dimension of the inputs, concentration of the teacher.
    misspecification
        What is lost, in nats, because n neurons stand for a teacher of many.
    estimation
        What is lost because those n are learned from T samples.
    loss
        Their sum: a bound on the mean log loss above the irreducible part.
    eps
        Resolution of the neurons' directions; nan in the simple form, which has none.
    form
        ``full`` or ``simple``.
    """

    n: Array
    T: Array
    d: Array
    K: Array
    misspecification: Array
    estimation: Array
    loss: Array
    eps: Array
    form: str

    def __post_init__(self) -> None:
        for name in self.__slots__[:-1]:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return (
            f"InformationBound({self.form}, shape {self.loss.shape}, "
            f"loss {np.min(self.loss):.6g}..{np.max(self.loss):.6g})"
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """What to know before use, in sentences."""
        return vacuous(self.loss)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {k: getattr(self, k).tolist() for k in self.__slots__[:-1]} | {"form": self.form}


def vacuous(loss: Array) -> tuple[str, ...]:
    """Say where a bound is no better than what is reached without learning."""
    if not (loss > 1 / 16).any():
        return ()
    return ("a bound above 1/16 says nothing: always answering one half is no worse on average",)


def distinct_atoms(n: Any, K: Any) -> Array:
    r"""Mean number of different atoms among n draws from a Dirichlet process.

    .. math:: U(n) = \sum_{i<n} \frac{K}{K+i} = K\,(\psi(K+n) - \psi(K)) \approx K \ln(1 + n/K)

    Parameters
    ----------
    n
        Draws, zero or more, whole or not; inf gives inf. Broadcasts with K.
    K
        Concentration, above zero.

    Raises
    ------
    InputError
        If a value breaks these rules, or shapes do not broadcast.

    References
    ----------
    Jeon and Van Roy, arXiv:2407.01456, for the process; Antoniak 1974 for the count.

    Examples
    --------
    >>> distinct_atoms([10, 1000], [5, 10]).round(7)
    array([ 5.841145 , 46.6545789])
    """
    draws = as_amounts("n", n, infinite=True)
    return count_distinct(*broadcast(n=draws, K=as_concentration(K)))[0]


def first_sticks_error(n: Any, K: Any) -> Array:
    r"""Mean squared gap of logits between a teacher and its own first n neurons.

    .. math:: E\,(F - F_{\le n})^2 = \tfrac12 \Bigl(\frac{K}{K+2}\Bigr)^n \le \frac{K}{4n}

    exact, because what is left of the stick after n breaks has mean square :math:`(K/(K+2))^n` and
    holds a teacher of the same kind. So networks exist whose misspecification, at most an eighth
    of this, falls exponentially in n/K, where the bound takes neurons drawn at random and has
    K/(16n). The linear law is one of the bound: no such law is forced upon the best students.

    Parameters
    ----------
    n
        Neurons, zero or more; inf is allowed. Broadcasts with K.
    K
        Concentration.

    Raises
    ------
    InputError
        If a value breaks these rules.

    Examples
    --------
    >>> first_sticks_error([0, 10, 30], 10).round(6)
    array([0.5     , 0.080753, 0.002106])
    """
    neurons, conc = broadcast(n=as_amounts("n", n, infinite=True), K=as_concentration(K))
    return np.asarray(0.5 * np.exp(-neurons * np.log1p(2 / conc)))


def information_bound(
    n: Any, T: Any, *, d: Any, K: Any, form: str = "full", eps: Any = None,
    constants: BoundConstants | None = None,
) -> InformationBound:  # fmt: skip
    r"""Bound on the mean log loss, above the irreducible, of the best mixture of width-n networks.

    .. math:: L \le \frac{c_1}{8}\Bigl(\sqrt{\tfrac{K}{2n}}
                  + \varepsilon\sqrt{1+\tfrac Kn}\Bigr)^2
                  + c_2\,\frac{U(n)\,(d \ln(3/\varepsilon) + \ln 2n)}{T}

    with ``eps`` at its best unless given (``full``), or without it (``simple``)

    .. math:: L = \frac{c_1 K}{16 n} + c_2\,\frac{K \ln(1+n/K)\,(d \ln 30 + \ln 2n)}{T}

    The simple form is no bound: it leaves out the resolution's own loss. It has the same shape.

    Parameters
    ----------
    n
        Neurons, 1 or more, whole or not.
    T
        Samples, 1 or more; inf is allowed, and nothing is left to estimate there.
    d, K
        Dimension of the inputs, 1 or more; concentration, above zero. All four broadcast.
    form
        ``"full"`` or ``"simple"``.
    eps
        Resolution between 0 and 1, for ``full``; the best one unless given.
    constants
        Factors of the terms; those of the formulas above when absent.

    Returns
    -------
    InformationBound
        The predictor "one half" has a loss of at most 1/16 on average, for every K and d: a larger
        bound says nothing.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Jeon and Van Roy, arXiv:2212.01365 and arXiv:2407.01456, for the model and the shape of the two
    terms. The constants are those of a proof of our own: the divergence of two coins is at most an
    eighth of the squared gap of their logits, and a mixture's regret is at most the cost of
    naming one of its members.

    Examples
    --------
    >>> found = information_bound(100, 1e5, d=20, K=10)
    >>> round(float(found.loss), 9), round(float(found.eps), 6)
    (0.030668381, 0.064102)
    """
    constants = constants or BoundConstants()
    check_form(form)
    if eps is not None and form == "simple":
        raise InputError("eps: the simple form has none; use form='full'")
    given = None if eps is None else _as_resolution(eps)
    parts = {
        "n": as_neurons("n", n), "T": as_samples(T), "d": as_dimension(d),
        "K": as_concentration(K),
    }  # fmt: skip
    if given is not None:
        parts["eps"] = given
    neurons, samples, dims, conc, *rest = broadcast(**parts)
    # A rate of zero is that of endless samples.
    rate = np.where(np.isinf(samples), 0.0, 1 / samples)
    distinct = count_distinct(neurons, conc)[0] if form == "full" else _simple(neurons, conc)[0]
    if form == "simple":
        eps_ = np.full(neurons.shape, np.nan)
    else:
        eps_ = rest[0] if rest else best_resolution(neurons, rate, dims, conc, distinct, constants)
    mis, est = terms(neurons, rate, dims, conc, distinct, eps_, constants)
    return InformationBound(
        n=neurons, T=samples, d=dims, K=conc, misspecification=mis, estimation=est,
        loss=mis + est, eps=eps_, form=form,
    )  # fmt: skip


def terms(
    n: Array, rate: Array, d: Array, K: Array, distinct: Array, eps: Array, c: BoundConstants
) -> tuple[Array, Array]:
    """Misspecification and estimation; ``rate`` is 1/T, and eps is nan in the simple form."""
    simple = np.isnan(eps)
    fine = np.where(simple, 0.0, eps)
    spread = np.sqrt(K / (2 * n)) + fine * np.sqrt(1 + K / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = np.where(simple, c.log_constant, math.log(c.net) - np.log(eps))
        code = distinct * (d * digits + np.log(2 * n)) + (np.log(n) if c.count else 0.0)
        est = np.where(rate > 0, c.c2 * rate * code, 0.0)
    return c.c1 / 8 * spread**2, est


def best_resolution(
    n: Array, rate: Array, d: Array, K: Array, distinct: Array, c: BoundConstants
) -> Array:
    """Eps of the least bound, at most 1.

    With ``a = sqrt(K/2n)``, ``b = sqrt(1+K/n)`` the bound is stationary in ``ln eps`` where
    ``(b eps)^2 + a b eps = 4 c2 U d / (c1 T)``; it has no other minimum.
    """
    a, b = np.sqrt(K / (2 * n)), np.sqrt(1 + K / n)
    q = c.c2 / c.c1 * rate * distinct * d
    return np.asarray(np.minimum(8 * q / (a + np.sqrt(a * a + 16 * q)) / b, 1.0))


def count_distinct(n: Array, K: Array) -> tuple[Array, Array, Array]:
    """U(n) and its first two derivatives in n, without differences of large numbers."""
    u = np.zeros(n.shape)
    u1, u2 = np.zeros(n.shape), np.zeros(n.shape)
    for i in range(_SHIFT):
        low, high = K + i, K + n + i
        u += K / low * _share(n, high)
        u1 += K / high / high
        u2 -= 2 * K / high / high / high
    x, y = K + _SHIFT, K + n + _SHIFT
    # psi(y) - psi(x) by Stirling's series, each term as a difference that is exact for small n.
    r, s = 1 / x, 1 / y
    gap = _share(n, y) * r
    u += K * (
        np.log1p(n / x)
        + gap / 2
        + gap * (r + s) * (1 / 12 - (r * r + s * s) / 120 + (r**4 + (r * s) ** 2 + s**4) / 252)
    )
    # psi'(y) and psi''(y).
    u1 += K * s * (1 + s / 2 + s * s / 6 - s**4 / 30 + s**6 / 42)
    u2 -= K * s * s * (1 + s + s * s / 2 - s**4 / 6 + s**6 / 6)
    return u, u1, u2


def _share(n: Array, y: Array) -> Array:
    """Ratio n/y, where an endless n is all of it."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isinf(n), 1.0, n / y))


def _simple(n: Array, K: Array) -> tuple[Array, Array, Array]:
    """K ln(1+n/K) and its first two derivatives in n."""
    return K * np.log1p(n / K), K / (K + n), -K / (K + n) / (K + n)


def counting(form: str) -> Any:
    """Count of distinct atoms of a form, with two derivatives."""
    return count_distinct if form == "full" else _simple


def check_form(form: str) -> None:
    """Refuse what is no form of the bound."""
    if form not in FORMS:
        raise InputError(f"form = {form!r}: write 'full' or 'simple'")


def as_concentration(value: Any) -> Array:
    """Read concentrations."""
    return within("K", value, 1e-6, 1e60)


def as_dimension(value: Any) -> Array:
    """Read dimensions of inputs."""
    return within("d", value, 1.0, 1e60)


def as_neurons(name: str, value: Any) -> Array:
    """Read numbers of neurons."""
    return within(name, value, 1.0, 1e200)


def as_samples(value: Any) -> Array:
    """Read numbers of samples, of which there may be no end."""
    array = as_numbers("T", value)
    finite = np.where(np.isposinf(array), 1.0, array)
    within("T", finite, 1.0, 1e200)
    return array


def _as_resolution(value: Any) -> Array:
    array = as_counts("eps", value)
    if (array > 1).any():
        raise InputError(f"eps = {float(array.max())!r}: must lie between 0 and 1")
    return array


def within(name: str, value: Any, low: float, high: float) -> Array:
    """Read numbers of a range, of any shape."""
    array = as_numbers(name, value)
    with np.errstate(invalid="ignore"):
        bad = ~((array >= low) & (array <= high))
    if bad.any():
        raise InputError(
            f"{name} = {float(array[bad].flat[0])!r}: must lie between {low:g} and {high:g}"
        )
    return array
