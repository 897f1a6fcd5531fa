"""Kaplan's relations of batch, steps, compute and overfitting, by name.

Units: N parameters without embeddings, D and batches in tokens, compute in FLOPs unless a name
says PF-days (`PF_DAY`), loss in nats per token. Laws of the loss are in the catalogue (``kaplan``,
``kaplan_steps``, ``power`` with published constants); here is what follows from them. Constants
are those of WebText2 and its tokenizer: pass your own for anything else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_positive
from isoloss.errors import InputError
from isoloss.laws.law import Law, Parameter
from isoloss.laws.published.kaplan import KAPLAN
from isoloss.laws.published.language import LANGUAGE

__all__ = [
    "BestUse",
    "best_use",
    "critical_batch",
    "early_stop",
    "examples_for_steps",
    "least_data",
    "minimum_compute",
    "minimum_steps",
    "overfitting",
    "steps_at_batch",
    "training_flops",
]

PF_DAY = 8.64e19
"""FLOPs of 1e15 a second for a day."""

_JOINT = LANGUAGE["kaplan-2020"].parameters
_STEPS = KAPLAN["kaplan-2020-steps"].parameters


def kaplan_steps() -> Law:
    """Loss of size and steps on endless data: ``(Nc/N)^alpha_N + (Sc/S)^alpha_S``.

    Steps are those at a batch far above the critical one: see `minimum_steps`.
    """
    return Law(
        name="kaplan_steps",
        formula="(Nc/N)**alpha_N + (Sc/S)**alpha_S",
        axes=("N", "S"),
        parameters=(
            Parameter(name="Nc", unit="N*L**(1/alpha_N)", start=(1e-2, 10.0), meaning="size scale"),
            Parameter(name="Sc", unit="S*L**(1/alpha_S)", start=(1e-2, 10.0), meaning="step scale"),
            Parameter(
                name="alpha_N", start=(0.08, 1.2), upper=20.0, meaning="exponent of model size"
            ),
            Parameter(name="alpha_S", start=(0.08, 1.2), upper=20.0, meaning="exponent of steps"),
        ),
        scaled_axes=("N", "S", "L"),
        source="Kaplan et al. 2020, arXiv:2001.08361, eq. 1.6",
        description="learning curves of many sizes on endless data; needs the columns N and S",
    )


def critical_batch(loss: npt.ArrayLike, *, scale: float = 2e8, alpha_B: float = 0.21) -> Array:
    r"""Batch, in tokens, at which a step is worth half its examples: :math:`B_* L^{-1/\alpha_B}`.

    Raises
    ------
    InputError
        If a value is not positive.

    References
    ----------
    arXiv:2001.08361, eqs. 1.4 and 5.3.

    Examples
    --------
    >>> round(float(critical_batch(3.0)))
    1069114
    """
    L = _positive("loss", loss)
    return np.asarray(as_positive("scale", scale) / L ** (1 / as_positive("alpha_B", alpha_B)))


def minimum_steps(steps: npt.ArrayLike, batch: npt.ArrayLike, critical: npt.ArrayLike) -> Array:
    r"""Count steps to the same loss at an endless batch: :math:`S_{min} = S/(1 + B_{crit}/B)`.

    Parameters
    ----------
    steps, batch
        As trained; the batch in tokens.
    critical
        Critical batch at the loss reached, in tokens, by `critical_batch`.

    Raises
    ------
    InputError
        If a value is not positive, or shapes do not broadcast.

    References
    ----------
    arXiv:2001.08361, eq. 5.4.

    Examples
    --------
    >>> round(float(minimum_steps(250_000, 524_288, 1_048_576)))
    83333
    """
    S, B, c = _broadcast(steps=steps, batch=batch, critical=critical)
    return np.asarray(S / (1 + c / B))


def minimum_compute(compute: npt.ArrayLike, batch: npt.ArrayLike, critical: npt.ArrayLike) -> Array:
    r"""Compute to the same loss at a tiny batch: :math:`C_{min} = C/(1 + B/B_{crit})`.

    In the unit of ``compute``; other arguments, errors as in `minimum_steps`.

    References
    ----------
    arXiv:2001.08361, eq. 5.5.

    Examples
    --------
    >>> minimum_compute(3e19, 524_288, 1_048_576)
    array(2.e+19)
    """
    C, B, c = _broadcast(compute=compute, batch=batch, critical=critical)
    return np.asarray(C / (1 + B / c))


def steps_at_batch(least_steps: npt.ArrayLike, batch: npt.ArrayLike,
                   critical: npt.ArrayLike) -> Array:  # fmt: skip
    r"""Undo `minimum_steps`: :math:`S = S_{min} (1 + B_{crit}/B)`.

    Examples
    --------
    >>> steps_at_batch(1000, [1e6, 1e9], 1e6)
    array([2000., 1001.])
    """
    S, B, c = _broadcast(least_steps=least_steps, batch=batch, critical=critical)
    return np.asarray(S * (1 + c / B))


def examples_for_steps(
    steps: npt.ArrayLike, least_steps: npt.ArrayLike, least_examples: npt.ArrayLike
) -> Array:
    r"""Examples that a loss costs in S steps: :math:`(S/S_{min} - 1)(E/E_{min} - 1) = 1`.

    The least examples are the critical batch times the least steps. At the least steps or below
    no number of examples is enough: infinity.

    Raises
    ------
    InputError
        If a value is not positive, or shapes do not broadcast.

    References
    ----------
    arXiv:2001.08361, eq. 5.1, after McCandlish et al. 2018, arXiv:1812.06162.

    Examples
    --------
    >>> examples_for_steps([1000, 2000, 5000], 1000, 1e9)
    array([     inf, 2.00e+09, 1.25e+09])
    """
    S, s, e = _broadcast(steps=steps, least_steps=least_steps, least_examples=least_examples)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(s < S, e * (1 + 1 / np.maximum(S / s - 1, 0.0)), math.inf))


def training_flops(N: npt.ArrayLike, batch: npt.ArrayLike, steps: npt.ArrayLike) -> Array:
    """FLOPs of training, ``6 N B S``, without attention over the context and embeddings.

    Examples
    --------
    >>> float(training_flops(1.3e9, 2e6, 5.4e3) / PF_DAY)
    0.975
    """
    n, B, S = _broadcast(N=N, batch=batch, steps=steps)
    return np.asarray(6 * n * B * S)


def overfitting(
    N: npt.ArrayLike, D: npt.ArrayLike, *, Nc: float = _JOINT["Nc"], Dc: float = _JOINT["Dc"],
    alpha_N: float = _JOINT["alpha_N"], alpha_D: float = _JOINT["alpha_D"],
) -> Array:  # fmt: skip
    r"""Share by which D tokens leave the loss above endless data, ``L(N, D)/L(N, inf) - 1``.

    It depends on :math:`N^{\alpha_N/\alpha_D}/D` alone:
    :math:`(1 + (N/N_c)^{\alpha_N/\alpha_D} D_c/D)^{\alpha_D} - 1`.

    Raises
    ------
    InputError
        If a value is not positive, or shapes do not broadcast.

    References
    ----------
    arXiv:2001.08361, eq. 4.3.

    Examples
    --------
    >>> overfitting(1e9, [2.2e10, 2.2e11]).round(4)
    array([0.0218, 0.0024])
    """
    n, d = _broadcast(N=N, D=D)
    aN, aD = as_positive("alpha_N", alpha_N), as_positive("alpha_D", alpha_D)
    share = (n / as_positive("Nc", Nc)) ** (aN / aD) * (as_positive("Dc", Dc) / d)
    return np.asarray(np.expm1(aD * np.log1p(share)))


def least_data(N: npt.ArrayLike, *, scale: float = 5e3, exponent: float = 0.74) -> Array:
    """Tokens above which overfitting stays within the noise of seeds, about 2 %: ``5e3 N^0.74``.

    Raises
    ------
    InputError
        If a value is not positive.

    References
    ----------
    arXiv:2001.08361, eq. 4.4.

    Examples
    --------
    >>> f"{float(least_data(1e9)):.3g}"
    '2.29e+10'
    """
    n = _positive("N", N)
    return np.asarray(as_positive("scale", scale) * n ** as_positive("exponent", exponent))


def early_stop(
    N: npt.ArrayLike, D: npt.ArrayLike, *, Nc: float = _JOINT["Nc"], Dc: float = _JOINT["Dc"],
    alpha_N: float = _JOINT["alpha_N"], alpha_D: float = _JOINT["alpha_D"],
    Sc: float = _STEPS["Sc"], alpha_S: float = _STEPS["alpha_S"],
) -> Array:  # fmt: skip
    r"""Least steps before a model stops early, :math:`S_c [L(N,D) - L(N,\infty)]^{-1/\alpha_S}`.

    A lower bound: until then D tokens train like endless ones.

    Raises
    ------
    InputError
        If a value is not positive, or shapes do not broadcast.

    References
    ----------
    arXiv:2001.08361, eq. 5.7.

    Examples
    --------
    >>> f"{float(early_stop(1e9, 2.2e10)):.3g}"
    '1.07e+05'
    """
    aN = as_positive("alpha_N", alpha_N)
    share = overfitting(N, D, Nc=Nc, Dc=Dc, alpha_N=aN, alpha_D=alpha_D)
    n = np.broadcast_to(_positive("N", N), share.shape)
    gap = (as_positive("Nc", Nc) / n) ** aN * share
    with np.errstate(divide="ignore"):
        return np.asarray(as_positive("Sc", Sc) * gap ** (-1 / as_positive("alpha_S", alpha_S)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BestUse:
    """How everything grows with the least compute, by the exponents of its parts.

    Attributes
    ----------
    loss
        The loss falls as C to minus this.
    size, batch, steps, data
        Growth exponents of N, B, S and D = B S.
    """

    loss: float
    size: float
    batch: float
    steps: float
    data: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {name: getattr(self, name) for name in self.__slots__}


def best_use(alpha_N: float = 0.076, alpha_S: float = 0.76, alpha_B: float = 0.21) -> BestUse:
    r"""Combine exponents of size, steps and batch into those of the best use of compute.

    From least loss :math:`(N_c/N)^{\alpha_N} + (S_c/S)^{\alpha_S}` at :math:`C = 6 N B(L) S`: the
    loss falls with :math:`\alpha_C = 1/(1/\alpha_S + 1/\alpha_B + 1/\alpha_N)`, and N, B, S grow
    with :math:`\alpha_C` over the exponent of their own. With the constants as rounded in the
    paper the loss exponent is .0520 (.0525 with alpha_N = .077), while .054 is printed, and .050
    was fitted; N then grows with .684, while .73 was fitted.

    Raises
    ------
    InputError
        If a value is not positive.

    References
    ----------
    arXiv:2001.08361, eqs. 6.4 and 6.5, appendix B.

    Examples
    --------
    >>> round(best_use().loss, 4), round(best_use(alpha_N=0.077).loss, 4)
    (0.052, 0.0525)
    """
    aN = as_positive("alpha_N", alpha_N)
    aS, aB = as_positive("alpha_S", alpha_S), as_positive("alpha_B", alpha_B)
    loss = 1 / (1 / aS + 1 / aB + 1 / aN)
    size, batch, steps = loss / aN, loss / aB, loss / aS
    return BestUse(loss=loss, size=size, batch=batch, steps=steps, data=batch + steps)


def _positive(name: str, value: npt.ArrayLike) -> Array:
    """Read finite positive numbers of any shape."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, got {value!r}") from error
    bad = ~(np.isfinite(array) & (array > 0))
    if bad.any():
        raise InputError(f"{name} = {float(array[bad].flat[0])!r}: must be finite and positive")
    return array


def _broadcast(**named: npt.ArrayLike) -> tuple[Array, ...]:
    """Read numbers of shapes that go together."""
    arrays = [_positive(name, value) for name, value in named.items()]
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError as error:
        shapes = ", ".join(f"{n} {a.shape}" for n, a in zip(named, arrays, strict=True))
        raise InputError(f"{shapes}: these shapes do not broadcast; see numpy's rules") from error
