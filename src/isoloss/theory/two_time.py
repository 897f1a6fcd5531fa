"""The function of two ridges that losses along training are double inverse transforms of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from isoloss._core.arrays import Array
from isoloss.theory.complex_kappa import ComplexArray, solve_complex
from isoloss.theory.spectrum import Spectrum

Shared = Literal["both", "data", "features", "nothing"]
_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Pair:
    """Where losses are wanted: each row a point with its own contour.

    Attributes
    ----------
    N, T, noise
        Features, samples and label noise, (points,).
    s
        Nodes above the axis, (points, nodes).
    weight
        Weights of the nodes times each filter, (points, filters, nodes).
    """

    N: Array
    T: Array
    noise: Array
    s: ComplexArray
    weight: ComplexArray


def two_time(spectrum: Spectrum, pair: Pair, shared: Shared = "both") -> tuple[Array, Array]:
    """Test and training loss at each point and filter, (points, filters).

    With kappa_i = kappa(s_i), u_i = 1 - z_i/N, w_i = 1 - z_i/T, and P, V, W the sums of
    v2 kappa_i kappa_j, v2 kappa_i lam and lam kappa_j over ``(lam+kappa_i)(lam+kappa_j)``:

        num = P + V W/(N u_i + W),   left = w_i + u_j W N/(T (N u_i + W)),
        test = (num + noise)/left - noise,   train = w_i w_j (num + noise)/left.

    Printed with differences of neighbouring kappas above and below the line, these are sums of
    terms that do not cancel. Two models that share only data have num = P and left = w_i + W/T;
    with other data left = 1 and there is no noise.

    References
    ----------
    The stationary state of the dynamical equations of Bordelon, Atanasov and Pehlevan,
    arXiv:2402.01092, solved in the Laplace domain.
    """
    points, nodes = pair.s.shape
    test, train = np.empty((2, points, pair.weight.shape[1]))
    step = max(1, _BYTES // (32 * nodes * spectrum.lam.size))
    flat = solve_complex(
        spectrum, np.repeat(pair.N, nodes), np.repeat(pair.T, nodes), pair.s.ravel()
    )
    kappa, u, w = (v.reshape(points, nodes) for v in (flat.kappa, flat.u, flat.w))
    for i in range(0, points, step):
        rows = slice(i, i + step)
        part = Pair(*(getattr(pair, n)[rows] for n in ("N", "T", "noise", "s", "weight")))
        test[rows], train[rows] = _sum(spectrum, part, kappa[rows], u[rows], w[rows], shared)
    return test, train


def _sum(
    spectrum: Spectrum, pair: Pair, kappa: ComplexArray, u: ComplexArray, w: ComplexArray,
    shared: Shared,
) -> tuple[Array, Array]:  # fmt: skip
    lam, m = spectrum.lam, spectrum.multiplicity
    a, b, noise = (v[:, None, None] for v in (1 / pair.N, 1 / pair.T, pair.noise))
    # Rows run over nodes above the axis, columns over these and their conjugates.
    inverse = 1 / (lam + kappa[..., None])
    both = np.concatenate([inverse, inverse.conj()], axis=1).swapaxes(1, 2)
    k_j, u_j = (np.concatenate([v, v.conj()], axis=1)[:, None, :] for v in (kappa, u))
    # Large kappas meet their inverses before they meet each other: nothing overflows.
    open_i = inverse * kappa[..., None]
    num = (open_i * (m * spectrum.v2)) @ (both * k_j)
    W = k_j * ((inverse * (m * lam)) @ both)
    if spectrum.tail:
        W = W + spectrum.tail / kappa[..., None]
    if shared in ("data", "nothing"):
        left_over = w[..., None] + b * W
    else:
        open_N = u[..., None] + a * W
        num = num + a * ((open_i * (m * spectrum.v2 * lam)) @ both) * (W / open_N)
        left_over = w[..., None] + b * u_j * (W / open_N)
    if shared in ("features", "nothing"):
        left_over, noise = np.ones_like(left_over), np.zeros_like(noise)
        lost = 0.0
    else:
        lost = spectrum.v0
    # Loss above v0: what is added to the noise is amplified and taken off again.
    inner = (num + (1 - left_over) * (noise + lost)) / left_over

    def transform(values: ComplexArray, weight: ComplexArray) -> Array:
        everywhere = np.concatenate([weight, weight.conj()], axis=2)
        return np.asarray(2 * np.sum((weight @ values) * everywhere, axis=2).real)

    test = transform(inner, pair.weight) + spectrum.v0
    train = transform((num + noise + lost) / left_over, pair.weight * w[:, None, :])
    return test, train
