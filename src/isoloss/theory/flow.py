"""Loss along gradient flow and gradient descent, with N features and T samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import (
    as_above_zero,
    as_amounts,
    as_counts,
    as_noise,
    as_resources,
    as_whole,
    broadcast,
)
from isoloss.theory.complex_kappa import edge, solve_complex
from isoloss.theory.contour import descent, ellipse, talbot, two_ended
from isoloss.theory.ridge import random_features
from isoloss.theory.spectrum import Spectrum
from isoloss.theory.two_time import Pair, Shared, two_time

_LONGEST = 1e280
_OVERFLOW = 1000.0
_RATE = 1000.0
_STEPS = 500.0
"""Beyond both, contours around the ends of the spectrum take the place of an ellipse."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeLoss:
    """Losses along training; the last axes are those of time, the first those of N, T and noise.

    Attributes
    ----------
    N, T, noise
        Features, samples and label noise; the shape of the grid.
    time
        Times of gradient flow, or steps.
    test_excess, train
        Test loss on clean targets and loss on the training labels. For losses between two
        models, ``train`` is None.
    resolution
        Absolute error to expect of either; smaller values are rounding.
    """

    N: Array
    T: Array
    noise: Array
    time: Array
    test_excess: Array
    train: Array | None
    resolution: float

    def __post_init__(self) -> None:
        for name in ("N", "T", "noise", "time", "test_excess"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
        if self.train is not None:
            object.__setattr__(self, "train", freeze(self.train))

    def __repr__(self) -> str:
        return f"TimeLoss(grid {self.N.shape}, times {self.time.shape})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, nested lists."""
        names = ("N", "T", "noise", "time", "test_excess")
        return {n: getattr(self, n).tolist() for n in names} | {
            "train": None if self.train is None else self.train.tolist(),
            "resolution": self.resolution,
        }


def gradient_flow(
    spectrum: Spectrum, N: Any, T: Any, t: Any, *, noise: Any = 0.0, shared: Shared = "both"
) -> TimeLoss:
    """Exact high-dimensional loss of gradient flow from zero, at any times.

    The flow is that of half the mean squared error of N random features on T samples: weights w of
    the latents follow ``dv/dt = -(A^T A/N) Sigma_hat v`` for the error v. No time is stepped: the
    loss at t is a double inverse Laplace transform.

    Parameters
    ----------
    spectrum
        Modes and target.
    N, T, noise
        Features, samples, label noise; they broadcast. ``inf`` is allowed for N and T.
    t
        Times, zero or more; ``inf`` gives the ridgeless loss. They make the last axes.
    shared
        ``"both"``: the loss of one model. ``"data"``, ``"features"``, ``"nothing"``: the mean
        product of the errors of two models that share only that, which is what the variance of
        ensembles is made of.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Bordelon, Atanasov and Pehlevan, arXiv:2402.01092.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = gradient_flow(power_law(b=1.3, a=1.5, M=1500), 200, 400, [1, 100, 1e4])
    >>> found.test_excess.round(6).tolist()
    [1.341712, 0.326013, 0.431194]
    """
    N, T, noise = _grid(N, T, noise, shared)
    times = as_amounts("t", t, infinite=True)
    if ((times > _LONGEST) & np.isfinite(times)).any():
        raise InputError(f"t = {times.max()!r}: must be below {_LONGEST}, or inf for the end")
    flat_t = times.ravel()
    points = np.repeat(np.arange(N.size), flat_t.size)
    at = np.tile(flat_t, N.size)
    n, m, s2 = (v.ravel()[points] for v in (N, T, noise))
    test, train = flow_at(spectrum, n, m, s2, at, shared)
    return _result(spectrum, N, T, noise, times, test, train, shared)


def flow_at(
    spectrum: Spectrum, N: Array, T: Array, noise: Array, t: Array, shared: Shared = "both"
) -> tuple[Array, Array]:
    """Test and training loss at checked vectors of points, each with its own time."""
    start, end = t < 1 / _LONGEST, np.isinf(t)
    free = np.isinf(N) & np.isinf(T)
    test, train = _start_of(spectrum, noise)
    if (free & ~start).any():
        test[free & ~start] = _free(spectrum, lambda lam: -2 * lam * t[free & ~start][:, None])
    if (end & ~free).any():
        i = np.flatnonzero(end & ~free)
        test[i], train[i] = _end_of(spectrum, N[i], T[i], noise[i], shared)
    i = np.flatnonzero(~start & ~end & ~free)
    if i.size:
        base = talbot()
        weight = np.broadcast_to(base.weight * np.exp(base.s), (i.size, 1, base.s.size))
        pair = Pair(N[i], T[i], noise[i], base.s / t[i, None], weight)
        test[i], train[i] = (v[:, 0] for v in two_time(spectrum, pair, shared))
    train[free] = (test + noise)[free]
    return test, train


def gradient_descent(
    spectrum: Spectrum,
    N: Any,
    T: Any,
    steps: Any,
    *,
    eta: float,
    noise: Any = 0.0,
    shared: Shared = "both",
) -> TimeLoss:
    """Exact high-dimensional loss of full-batch gradient descent from zero.

    As `gradient_flow`, with steps of size eta. Too large a step diverges, and so does the answer:
    it is infinite where float64 ends.

    Parameters
    ----------
    spectrum, N, T, noise, shared
        As in `gradient_flow`.
    steps
        Whole numbers, zero or more.
    eta
        Step size, above zero; stable below 2 over the top of the spectrum, `edge`.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Bordelon, Atanasov and Pehlevan, arXiv:2402.01092, discrete time.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> spectrum = power_law(b=1.3, a=1.5, M=1500)
    >>> found = gradient_descent(spectrum, 200, 300, [1, 10, 1000], eta=0.5, noise=0.02)
    >>> found.test_excess.round(6).tolist()
    [1.591144, 0.724906, 0.3504]
    """
    N, T, noise = _grid(N, T, noise, shared)
    eta = as_above_zero("eta", eta)
    counts = as_whole("steps", steps)
    flat = counts.ravel()
    test, train = np.empty((2, N.size, flat.size))
    for i, (n, m, s2) in enumerate(zip(N.flat, T.flat, noise.flat, strict=True)):
        test[i], train[i] = _descend(spectrum, n, m, s2, flat, eta, shared)
    return _result(spectrum, N, T, noise, counts, test.ravel(), train.ravel(), shared)


def _descend(
    spectrum: Spectrum, N: float, T: float, noise: float, steps: Array, eta: float, shared: Shared
) -> tuple[Array, Array]:
    test, train = _start_of(spectrum, np.full(steps.shape, noise))
    if np.isinf(N) and np.isinf(T):
        with np.errstate(divide="ignore"):
            test = _free(
                spectrum,
                lambda lam: np.where(
                    steps[:, None] == 0, 0.0, steps[:, None] * _log_square(eta * lam)
                ),
            )
        return test, test + noise
    length = edge(spectrum, N, T) * (1 + 1e-6)
    # Past float64, whatever the rest of the spectrum does.
    lost = 2 * steps * np.log(max(eta * length - 1, 1.0)) > _OVERFLOW
    test[lost] = train[lost] = np.inf
    # Steps within an octave share a contour, made for the largest.
    octave = np.where(steps > 0, np.ceil(np.log2(np.maximum(steps, 1))), -1)
    octave[lost] = -1
    for which in np.unique(octave[octave >= 0]):
        at = np.flatnonzero(octave == which)
        last = float(steps[at].max())
        many = last > _STEPS and last * eta * length > _RATE
        groups = [[i] for i in at] if many else [at]
        for group in groups:
            k = steps[group]
            path = (two_ended if many else ellipse)(length, float(k.max()), eta)
            with np.errstate(over="ignore", invalid="ignore"):
                weight = path.weight * descent(path.s, k, eta)
                n, m, s2 = (np.array([v]) for v in (N, T, noise))
                pair = Pair(n, m, s2, path.s[None], weight[None])
                found = two_time(spectrum, pair, shared)
            for out, values in zip((test, train), found, strict=True):
                out[group] = np.where(np.isfinite(values[0]), values[0], np.inf)
    return test, train


def transfer(spectrum: Spectrum, N: float, T: float, t: Any, lam: Any) -> Array:
    """Mean residual of modes along gradient flow: one at t = 0, what is never learned at the end.

    The inverse Laplace transform of ``kappa(s)/(lam + kappa(s))/s``.

    Parameters
    ----------
    spectrum, N, T
        As in `gradient_flow`; one N, one T.
    t
        Times above zero, any shape.
    lam
        Eigenvalues of the modes, any shape; it makes the last axes.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Bordelon, Atanasov and Pehlevan, arXiv:2402.01092, transfer functions H_k.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> spectrum = power_law(b=1.3, a=1.5, M=1500)
    >>> transfer(spectrum, 200, 400, [1, 100], 10**-1.3).round(6).tolist()
    [0.951692, 0.118718]
    """
    times, modes = as_counts("t", t), as_amounts("lam", lam)
    n, m = as_resources("N", N), as_resources("T", T)
    if n.ndim or m.ndim or not np.isfinite(times).all():
        raise InputError("N, T, t: expected one N, one T and finite times")
    base = talbot()
    s = (base.s / times.reshape(-1, 1)).ravel()
    kappa = solve_complex(spectrum, np.full(s.size, n), np.full(s.size, m), s).kappa
    k = kappa.reshape(-1, base.s.size, 1)
    left = k / (modes.reshape(-1) + k)
    found = 2 * np.einsum("tnl,n->tl", left, base.weight * np.exp(base.s)).real
    return np.asarray(found.reshape(times.shape + modes.shape))


def flow_ensemble(
    spectrum: Spectrum, N: Any, T: Any, t: Any, *, features: float = 1, data: float = 1,
    noise: Any = 0.0,
) -> TimeLoss:  # fmt: skip
    """Loss of the mean prediction over crossed draws of features and of data, along the flow.

    Parameters
    ----------
    spectrum, N, T, t, noise
        As in `gradient_flow`.
    features, data
        Draws of each, one or more; ``inf`` is allowed.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Bordelon, Atanasov and Pehlevan, arXiv:2402.01092, ensembling and bagging.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> spectrum = power_law(b=1.3, a=1.5, M=1500)
    >>> one, four = (flow_ensemble(spectrum, 200, 400, 1e4, features=e) for e in (1, 4))
    >>> bool(four.test_excess < one.test_excess)
    True
    """
    f, d = (1 / float(as_counts(n, v)) for n, v in (("features", features), ("data", data)))
    share: dict[Shared, float] = {
        "both": f * d, "data": (1 - f) * d, "features": f * (1 - d), "nothing": (1 - f) * (1 - d)
    }  # fmt: skip
    parts = {
        k: gradient_flow(spectrum, N, T, t, noise=noise, shared=k) for k, v in share.items() if v
    }
    first = next(iter(parts.values()))
    test = sum(share[k] * v.test_excess for k, v in parts.items())
    return TimeLoss(
        N=first.N, T=first.T, noise=first.noise, time=first.time, test_excess=np.asarray(test),
        train=None, resolution=first.resolution,
    )  # fmt: skip


def _log_square(x: Array) -> Array:
    """Logarithm of (1-x)^2."""
    small = np.minimum(x, 0.5)
    return np.where(x < 0.5, 2 * np.log1p(-small), np.log((1 - x) ** 2))


def _grid(N: Any, T: Any, noise: Any, shared: Shared) -> tuple[Array, ...]:
    if shared not in get_args(Shared):
        raise InputError(f"shared = {shared!r}: write one of {', '.join(get_args(Shared))}")
    return broadcast(N=as_resources("N", N), T=as_resources("T", T), noise=as_noise(noise))


def _start_of(spectrum: Spectrum, noise: Array) -> tuple[Array, Array]:
    power = np.full(noise.shape, spectrum.power)
    return power, power + noise


def _free(spectrum: Spectrum, exponent: Any) -> Array:
    """Loss with nothing that limits: each mode on its own."""
    m, v2 = spectrum.multiplicity, spectrum.v2
    with np.errstate(over="ignore"):
        decay = np.exp(exponent(spectrum.lam))
    return np.asarray(np.where(v2 > 0, decay, 0.0) @ (m * v2)) + spectrum.v0


def _end_of(
    spectrum: Spectrum, N: Array, T: Array, noise: Array, shared: Shared
) -> tuple[Array, Array]:
    found = random_features(spectrum, N, T, noise=noise)
    if shared == "both":
        return found.test_excess, found.train
    parts = {
        "data": found.bias2 + found.V_D,
        "features": found.bias2 + found.V_F,
        "nothing": found.bias2,
    }
    return parts[shared], found.train


def _result(
    spectrum: Spectrum, N: Array, T: Array, noise: Array, time: Array, test: Array, train: Array,
    shared: Shared,
) -> TimeLoss:  # fmt: skip
    shape = N.shape + time.shape
    size = spectrum.power + float(noise.max())
    return TimeLoss(
        N=N, T=T, noise=noise, time=time, test_excess=np.maximum(test, 0.0).reshape(shape),
        train=np.maximum(train, 0.0).reshape(shape) if shared == "both" else None,
        resolution=1e-12 * size,
    )  # fmt: skip
