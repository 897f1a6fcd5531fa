"""The information-theoretic bound on networks of one hidden layer, as a law to fit."""

from __future__ import annotations

import math

from isoloss.errors import LawError
from isoloss.laws.law import Law, Parameter


def information() -> Law:
    r"""Misspecification and estimation of N/d neurons that learn from D samples.

    .. math::

        L = E + \frac{A}{N} + \frac{B}{D}\,\ln\Bigl(1+\frac NM\Bigr)
            \Bigl(1 + \frac{\ln(N/M)}{w}\Bigr)

    N counts input weights, d of them a neuron. For a teacher of concentration K the theory says
    ``M = d K``, ``w = d ln 30 + ln 2K``, ``A = K d/16``, ``B = K w``; `information_values` gives
    these with its constants. Sizes below M grow as the cube root of compute at the best split,
    sizes above it as the square root, but for logarithms.

    The loss rises with N where data are too few for so many neurons. w is seen through the
    logarithm of a logarithm: pin it where d is known. It must stay above ``ln(M/N)``.

    Examples
    --------
    >>> theta = information_values(d=10, K=10)
    >>> information()(theta, {"N": 5466.8617, "D": 1829203.0}).round(8)
    array([0.00204437])
    """
    return Law(
        name="information",
        formula="E + A/N + B*log1p(N/M)*(1 + log(N/M)/w)/D",
        axes=("N", "D"),
        parameters=(
            Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss"),
            Parameter(name="A", unit="L*N", meaning="amplitude of misspecification, K d/16"),
            Parameter(name="B", unit="L*D", meaning="amplitude of estimation, K w"),
            Parameter(
                name="M",
                unit="N",
                start=(0.01, 10.0),
                meaning="parameters of the neurons that matter, d K",
            ),
            Parameter(
                name="w",
                lower=1.0,
                upper=1e9,
                start=(10.0, 1000.0),
                meaning="nats to name a neuron, d ln 30 + ln 2K",
            ),
        ),
        scaled_axes=("N", "D", "L"),
        source=(
            "shape of the bounds of Jeon and Van Roy, arXiv:2212.01365 and 2407.01456; constants "
            "of a proof of our own"
        ),
        description=(
            "networks of one hidden layer, where nearly every parameter beyond the first M costs "
            "no further samples; elsewhere a form with exponent 1 in size and in data"
        ),
    )


def information_values(
    *, d: float, K: float, c1: float = 1.0, c2: float = 1.0,
    log_constant: float = math.log(30), E: float = 0.0,
) -> dict[str, float]:  # fmt: skip
    """Parameters of the law `information` from the constants of the theory.

    Parameters
    ----------
    d, K
        Dimension of the inputs, at least 1, and concentration of the teacher, above zero.
    c1, c2
        Factors on misspecification and estimation.
    log_constant
        Nats to state one weight.
    E
        Irreducible loss.

    Raises
    ------
    LawError
        If a value is not finite and positive (E: not negative), or d is below 1.

    Examples
    --------
    >>> {k: round(v, 4) for k, v in information_values(d=10, K=10).items()}
    {'E': 0.0, 'A': 6.25, 'B': 370.0771, 'M': 100.0, 'w': 37.0077}
    """
    given = {"d": d, "K": K, "c1": c1, "c2": c2, "log_constant": log_constant}
    for name, value in given.items():
        if not 0 < value < math.inf:
            raise LawError(f"{name} = {value!r}: must be finite and positive")
    if d < 1:
        raise LawError(f"d = {d!r}: must be 1 or more")
    if not 0 <= E < math.inf:
        raise LawError(f"E = {E!r}: must be finite and zero or more")
    w = d * log_constant + math.log(2 * K)
    if w <= 0:
        raise LawError(
            f"d = {d:g}, K = {K:g}, log_constant = {log_constant:g}: the nats to name a neuron, "
            "d log_constant + ln 2K, must be positive; raise log_constant or K"
        )
    return {"E": E, "A": c1 * K * d / 16, "B": c2 * K * w, "M": float(d * K), "w": w}
