"""Kernels of infinitely wide perceptrons: of their outputs, and of their gradients."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError

KernelActivation = Literal["relu", "erf", "linear"]
KernelKind = Literal["nngp", "ntk"]
_MOST = 2**27
"""Entries of a kernel matrix: 1 GiB."""


def mlp_kernel(
    x: Any,
    z: Any = None,
    *,
    kind: KernelKind = "nngp",
    depth: int = 1,
    activation: KernelActivation = "relu",
    weights: float = 2.0,
    biases: float = 0.0,
    readout: float | None = None,
) -> Array:
    """Kernel of a perceptron of endless width between rows of x and rows of z.

    With inputs of d numbers, first ``k = weights x.z/d + biases``. A hidden layer turns a kernel k
    into ``weights E[s(u) s(v)] + biases``, u and v normal with the covariance that k gives them:
    this is ``"nngp"``, the covariance of the network's output at its start. The last layer has
    the variance ``readout``. ``"ntk"`` is the kernel of the output's gradient in all weights,
    ``t <- k + t weights E[s'(u) s'(v)]`` with ``t = k`` at first: each weight is a standard normal
    number times the root of its variance over its fan-in, and the gradient is in that number.

    Parameters
    ----------
    x, z
        Inputs, (n, d) and (m, d); z is x where absent.
    kind
        ``"nngp"`` or ``"ntk"``.
    depth
        Hidden layers, 1 or more.
    activation
        ``"relu"``, ``"erf"`` or ``"linear"``.
    weights, biases, readout
        Variance of a weight times its fan-in; variance of a bias; the first for the last layer,
        ``weights`` where absent.

    Returns
    -------
    array
        (n, m).

    Raises
    ------
    InputError
        If shapes, names or variances are not as said, or the matrix would take over 1 GiB.

    References
    ----------
    Cho and Saul 2009, arc-cosine kernels; Williams 1997, erf; Lee et al., arXiv:1711.00165, and
    Jacot, Gabriel and Hongler, arXiv:1806.07572, for depth and gradients.

    Examples
    --------
    >>> x = np.array([[1.0, 1.0], [1.0, -1.0]])
    >>> mlp_kernel(x).round(4).tolist()                    # 2/(2 pi) of right angles, 1 of none
    [[2.0, 0.6366], [0.6366, 2.0]]
    >>> bool((mlp_kernel(x, kind="ntk") >= mlp_kernel(x)).all())
    True
    """
    x = _inputs("x", x)
    other = x if z is None else _inputs("z", z)
    if other.shape[1] != x.shape[1]:
        raise InputError(f"z: {other.shape[1]} columns, x has {x.shape[1]}; both must have as many")
    if len(x) * len(other) > _MOST:
        raise InputError(
            f"x and z: a kernel of {len(x)} by {len(other)} rows; at most {_MOST} entries are "
            "made, take fewer rows"
        )
    if kind not in get_args(KernelKind):
        raise InputError(f"kind = {kind!r}: write one of {', '.join(get_args(KernelKind))}")
    if activation not in get_args(KernelActivation):
        raise InputError(
            f"activation = {activation!r}: write one of {', '.join(get_args(KernelActivation))}"
        )
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or depth < 1:
        raise InputError(f"depth = {depth!r}: must be a whole number of hidden layers, 1 or more")
    w = _variance("weights", weights)
    b = _variance("biases", biases, least=0.0)
    last = w if readout is None else _variance("readout", readout)

    d = x.shape[1]
    k = w * (x @ other.T) / d + b
    own = w * (x**2).sum(axis=1) / d + b
    its = own if z is None else w * (other**2).sum(axis=1) / d + b
    tangent = k.copy()
    for layer in range(int(depth)):
        scale = last if layer == depth - 1 else w
        mean, slope = _pair(k, own[:, None], its[None, :], activation)
        if z is None:
            # Rounding of the angle between a row and itself would cost half of the digits.
            np.fill_diagonal(mean, _alone(own, activation))
            np.fill_diagonal(slope, _pair(own, own, own, activation)[1])
        k = scale * mean + b
        tangent = k + scale * slope * tangent
        own, its = (scale * _alone(v, activation) + b for v in (own, its))
    found: Array = tangent if kind == "ntk" else k
    return found


def _pair(k: Array, own: Any, its: Any, activation: str) -> tuple[Array, Array]:
    """E[s(u) s(v)] and E[s'(u) s'(v)] of covariance k and variances own and its."""
    if activation == "linear":
        return k.copy(), np.ones_like(k)
    if activation == "erf":
        both = (1 + 2 * own) * (1 + 2 * its)
        mean = 2 / math.pi * np.arcsin(np.clip(2 * k / np.sqrt(both), -1, 1))
        return mean, 4 / math.pi / np.sqrt(both - 4 * k**2)
    size = np.sqrt(own * its)
    # A row of zeros has no angle; whatever is taken for it is multiplied by zero.
    cosine = np.clip(np.divide(k, size, out=np.ones_like(k), where=size > 0), -1, 1)
    angle = np.arccos(cosine)
    mean = size * (np.sqrt(1 - cosine**2) + (math.pi - angle) * cosine) / (2 * math.pi)
    return mean, (math.pi - angle) / (2 * math.pi)


def _alone(own: Array, activation: str) -> Array:
    """E[s(u)^2]."""
    if activation == "linear":
        return own.copy()
    if activation == "erf":
        return np.asarray(2 / math.pi * np.arcsin(2 * own / (1 + 2 * own)))
    return own / 2


def _inputs(name: str, values: Any) -> Array:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected rows of numbers") from error
    if found.ndim != 2 or 0 in found.shape:
        raise InputError(f"{name}: shape {found.shape}; expected rows of numbers, (n, d)")
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise InputError(f"{name}[{row}]: holds a value that is not finite; leave the row out")
    return found


def _variance(name: str, value: Any, least: float | None = None) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} = {value!r}: expected a number") from error
    if not math.isfinite(found) or (found <= 0 if least is None else found < least):
        rule = "above zero" if least is None else "zero or more"
        raise InputError(f"{name} = {value!r}: must be finite and {rule}")
    return found
