"""Loss along gradient flow and gradient descent, with N features and T samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.theory.checks import (
    as_above_zero,
    as_amount,
    as_amounts,
    as_counts,
    as_noise,
    as_resources,
    as_whole,
    broadcast,
)
from isoloss.theory.complex_kappa import edge, solve_complex
from isoloss.theory.contour import descent, ellipse, talbot, two_ended
from isoloss.theory.guards import along_flow
from isoloss.theory.ridge import PerSample, random_features
from isoloss.theory.spectrum import Spectrum
from isoloss.theory.time_loss import TimeLoss
from isoloss.theory.two_time import Pair, Shared, two_time

_LONGEST = 1e280
_OVERFLOW = 1000.0
_SPENT = 40.0
"""Weight decay times time, past which only the ridge that it tends to is left."""

_RATE = 1000.0
_STEPS = 500.0
"""Beyond both, contours around the ends of the spectrum take the place of an ellipse."""


def gradient_flow(
    spectrum: Spectrum, N: Any, T: Any, t: Any, *, noise: Any = 0.0, weight_decay: Any = 0.0,
    shared: Shared = "both",
) -> TimeLoss:  # fmt: skip
    """Exact high-dimensional loss of gradient flow from zero, at any times.

    The flow is that of half the mean squared error of N random features on T samples: weights w of
    the latents follow ``dv/dt = -(A^T A/N) Sigma_hat v`` for the error v. No time is stepped: the
    loss at t is a double inverse Laplace transform.

    Weight decay l adds l/2 times the squared weights of the features ``N**-0.5 u.x`` to what the
    flow descends. Of a direction of eigenvalue x it leaves ``[l + x exp(-(x+l) t)]/(x+l)``, in the
    end what ridge regression with ``PerSample(l)``, ghat = N T l, leaves.

    Parameters
    ----------
    spectrum
        Modes and target.
    N, T, noise, weight_decay
        Features, samples, label noise, weight decay; they broadcast. ``inf`` is allowed for N and
        T.
    t
        Times, zero or more; ``inf`` gives the ridgeless loss, or that of the ridge. They make the
        last axes.
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
    N, T, noise, decay = _grid(N, T, noise, weight_decay, shared)
    times = as_amounts("t", t, infinite=True)
    if ((times > _LONGEST) & np.isfinite(times)).any():
        raise InputError(f"t = {times.max()!r}: must be below {_LONGEST}, or inf for the end")
    flat_t = times.ravel()
    points = np.repeat(np.arange(N.size), flat_t.size)
    at = np.tile(flat_t, N.size)
    n, m, s2, l2 = (v.ravel()[points] for v in (N, T, noise, decay))
    test, train = flow_at(spectrum, n, m, s2, at, shared, decay=l2)
    return _result(spectrum, (N, T, noise, decay), times, times, test, train, shared)


def flow_at(
    spectrum: Spectrum, N: Array, T: Array, noise: Array, t: Array, shared: Shared = "both", *,
    decay: Array | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """Test and training loss at checked vectors of points, each with its own time."""
    decay = np.zeros(t.shape) if decay is None else decay
    start = t < 1 / _LONGEST
    end = np.isinf(t) | (decay > _SPENT / np.maximum(t, 1 / _LONGEST))
    free = np.isinf(N) & np.isinf(T)
    test, train = _start_of(spectrum, noise)
    if (free & ~start).any():
        i = np.flatnonzero(free & ~start)
        test[i] = _free(spectrum, decay[i], lambda rate: np.exp(-rate * t[i, None]))
    if (end & ~free & ~start).any():
        i = np.flatnonzero(end & ~free & ~start)
        test[i], train[i] = _end_of(spectrum, N[i], T[i], noise[i], decay[i], shared)
    i = np.flatnonzero(~start & ~end & ~free)
    if i.size:
        base = talbot()
        weight = np.broadcast_to(base.weight * np.exp(base.s), (i.size, 1, base.s.size))
        # Decay moves the pole from zero to itself, and the contour with it.
        pair = Pair(N[i], T[i], noise[i], base.s / t[i, None] + decay[i, None], weight)
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
    weight_decay: Any = 0.0,
    shared: Shared = "both",
) -> TimeLoss:
    """Exact high-dimensional loss of full-batch gradient descent from zero.

    As `gradient_flow`, with steps of size eta. Too large a step diverges, and so does the answer:
    it is infinite where float64 ends. Of a direction of eigenvalue x, k steps with weight decay l
    leave ``[l + x (1 - eta (x+l))**k]/(x+l)``.

    Parameters
    ----------
    spectrum, N, T, noise, weight_decay, shared
        As in `gradient_flow`.
    steps
        Whole numbers, zero or more.
    eta
        Step size, above zero; stable below 2 over the sum of the top of the spectrum, `edge`, and
        the weight decay.

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
    N, T, noise, decay = _grid(N, T, noise, weight_decay, shared)
    eta = as_above_zero("eta", eta)
    check_decay(eta, decay)
    counts = as_whole("steps", steps)
    flat = counts.ravel()
    test, train = np.empty((2, N.size, flat.size))
    points = zip(N.flat, T.flat, noise.flat, decay.flat, strict=True)
    for i, (n, m, s2, l2) in enumerate(points):
        test[i], train[i] = _descend(spectrum, n, m, s2, l2, flat, eta, shared)
    grid = (N, T, noise, decay)
    return _result(spectrum, grid, counts, eta * counts, test.ravel(), train.ravel(), shared)


def check_decay(eta: float, decay: Array) -> None:
    """Refuse steps at which decay alone diverges, whatever there is to learn."""
    worst = float(decay.max())
    if eta * worst > 2:
        raise InputError(
            f"weight_decay = {worst!r}, eta = {eta!r}: their product must be at most 2, or the "
            "weights grow by themselves; take smaller steps or less decay"
        )


def _descend(
    spectrum: Spectrum, N: float, T: float, noise: float, decay: float, steps: Array, eta: float,
    shared: Shared,
) -> tuple[Array, Array]:  # fmt: skip
    test, train = _start_of(spectrum, np.full(steps.shape, noise))
    if np.isinf(N) and np.isinf(T):
        test = _free(
            spectrum, np.full(steps.size, decay), lambda rate: _power(eta * rate, steps[:, None])
        )
        return test, test + noise
    length = edge(spectrum, N, T) * (1 + 1e-6) + decay
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
                pair = Pair(n, m, s2, path.s[None] + decay, weight[None])
                found = two_time(spectrum, pair, shared)
            for out, values in zip((test, train), found, strict=True):
                out[group] = np.where(np.isfinite(values[0]), values[0], np.inf)
    return test, train


def transfer(
    spectrum: Spectrum, N: float, T: float, t: Any, lam: Any, *, weight_decay: float = 0.0
) -> Array:
    """Mean residual of modes along gradient flow: one at t = 0, what is never learned at the end.

    The inverse Laplace transform of ``kappa(s)/(lam + kappa(s))/s``.

    Parameters
    ----------
    spectrum, N, T, weight_decay
        As in `gradient_flow`; one N, one T, one weight decay.
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
    s = (base.s / times.reshape(-1, 1) + as_amount("weight_decay", weight_decay)).ravel()
    kappa = solve_complex(spectrum, np.full(s.size, n), np.full(s.size, m), s).kappa
    k = kappa.reshape(-1, base.s.size, 1)
    left = k / (modes.reshape(-1) + k)
    found = 2 * np.einsum("tnl,n->tl", left, base.weight * np.exp(base.s)).real
    return np.asarray(found.reshape(times.shape + modes.shape))


def flow_ensemble(
    spectrum: Spectrum, N: Any, T: Any, t: Any, *, features: float = 1, data: float = 1,
    noise: Any = 0.0, weight_decay: Any = 0.0,
) -> TimeLoss:  # fmt: skip
    """Loss of the mean prediction over crossed draws of features and of data, along the flow.

    Parameters
    ----------
    spectrum, N, T, t, noise, weight_decay
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
        k: gradient_flow(spectrum, N, T, t, noise=noise, weight_decay=weight_decay, shared=k)
        for k, v in share.items()
        if v
    }
    first = next(iter(parts.values()))
    test = sum(share[k] * v.test_excess for k, v in parts.items())
    return TimeLoss(
        N=first.N, T=first.T, noise=first.noise, weight_decay=first.weight_decay, time=first.time,
        test_excess=np.asarray(test), train=None, resolution=first.resolution,
        doubts=first.doubts,
    )  # fmt: skip


def _power(x: Array, steps: Array) -> Array:
    """(1 - x)**steps, with the digits of x where that is small."""
    with np.errstate(divide="ignore"):
        logs = np.where(x < 0.5, np.log1p(-np.minimum(x, 0.5)), np.log(np.abs(1 - x)))
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.where(steps == 0, 1.0, np.exp(steps * logs))
    return np.where((x > 1) & (np.fmod(steps, 2) == 1), -size, size)


def _grid(N: Any, T: Any, noise: Any, weight_decay: Any, shared: Shared) -> tuple[Array, ...]:
    if shared not in get_args(Shared):
        raise InputError(f"shared = {shared!r}: write one of {', '.join(get_args(Shared))}")
    return broadcast(
        N=as_resources("N", N),
        T=as_resources("T", T),
        noise=as_noise(noise),
        weight_decay=as_amounts("weight_decay", weight_decay),
    )


def _start_of(spectrum: Spectrum, noise: Array) -> tuple[Array, Array]:
    power = np.full(noise.shape, spectrum.power)
    return power, power + noise


def _free(spectrum: Spectrum, decay: Array, left: Callable[[Array], Array]) -> Array:
    """Loss with nothing that limits: each mode on its own; left is that of its rate."""
    m, v2, lam = spectrum.multiplicity, spectrum.v2, spectrum.lam
    rate = lam + decay[:, None]
    with np.errstate(over="ignore"):
        square = ((decay[:, None] + lam * left(rate)) / rate) ** 2
    return np.asarray(np.where(v2 > 0, square, 0.0) @ (m * v2)) + spectrum.v0


def _end_of(
    spectrum: Spectrum, N: Array, T: Array, noise: Array, decay: Array, shared: Shared
) -> tuple[Array, Array]:
    found = random_features(spectrum, N, T, ridge=PerSample(decay), noise=noise)
    if shared == "both":
        return found.test_excess, found.train
    parts = {
        "data": found.bias2 + found.V_D,
        "features": found.bias2 + found.V_F,
        "nothing": found.bias2,
    }
    return parts[shared], found.train


def _result(
    spectrum: Spectrum, grid: tuple[Array, ...], time: Array, flow_time: Array, test: Array,
    train: Array, shared: Shared,
) -> TimeLoss:  # fmt: skip
    N, T, noise, decay = grid
    shape = N.shape + time.shape
    size = spectrum.power + float(noise.max())
    kappa = random_features(spectrum, N, T).kappa
    return TimeLoss(
        N=N, T=T, noise=noise, weight_decay=decay, time=time,
        test_excess=np.maximum(test, 0.0).reshape(shape),
        train=np.maximum(train, 0.0).reshape(shape) if shared == "both" else None,
        resolution=1e-12 * size,
        doubts=along_flow(spectrum, N, T, flow_time.max(), decay, kappa),
    )  # fmt: skip
