"""Training in few bits, and rounding afterwards."""

from __future__ import annotations

from dataclasses import replace

from isoloss.laws.joint import chinchilla
from isoloss.laws.law import Law, Parameter

_EFFECTIVE = "(N*(1 - exp(-bits/gamma)))"


def _bits(name: str = "gamma") -> Parameter:
    return Parameter(name=name, start=(0.5, 6.0), upper=50.0, lower=1e-3, meaning="bits to forget")


def precision() -> Law:
    r"""Chinchilla's law of the parameters that P bits leave: :math:`N' = N(1 - e^{-P/\gamma})`.

    P is the axis ``bits``, of weights in training. With many bits it is Chinchilla's law. For
    weights, activations and cache apart, the paper multiplies three such factors: write the formula
    with three axes.

    Examples
    --------
    >>> theta = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37, "gamma": 2.7}
    >>> precision()(theta, {"N": 1e9, "D": 2e10, "bits": [3, 8, 16, 1000]}).round(3)
    array([2.515, 2.47 , 2.464, 2.464])
    """
    base = chinchilla()
    return replace(
        base,
        name="precision",
        formula=f"E + A*{_EFFECTIVE}**-alpha + B*D**-beta",
        axes=("N", "D", "bits"),
        parameters=(*base.parameters, _bits()),
        source="Kumar et al. 2024, arXiv:2411.04330, the form from memory",
        description="low-precision training; needs the axis `bits`",
    )


def precision_post() -> Law:
    r"""Chinchilla's law and what rounding to P bits after training adds.

    That is :math:`C_T D^{p} N^{-q} e^{-P/\gamma}`, P the axis ``bits``. More data make a
    model harder to round. With many bits it is Chinchilla's law.

    Examples
    --------
    >>> theta = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
    >>> more = {"C_T": 0.05, "p": 0.5, "q": 0.5, "gamma": 0.6}
    >>> precision_post()(theta | more, {"N": 1e9, "D": [2e10, 2e11], "bits": 3}).round(3)
    array([2.466, 2.283])
    """
    base = chinchilla()
    return replace(
        base,
        name="precision_post",
        formula="E + A*N**-alpha + B*D**-beta + C_T*D**p*N**-q*exp(-bits/gamma)",
        axes=("N", "D", "bits"),
        parameters=(
            *base.parameters,
            Parameter(
                name="C_T",
                unit="L*D**(-p)*N**q",
                start=(0.5, 20.0),
                meaning="amplitude of rounding",
            ),
            Parameter(
                name="p", start=(0.1, 1.0), upper=20.0, meaning="exponent of data in rounding"
            ),
            Parameter(
                name="q", start=(0.1, 1.0), upper=20.0, meaning="exponent of size in rounding"
            ),
            _bits(),
        ),
        source="Kumar et al. 2024, arXiv:2411.04330, the form from memory",
        description="rounded after training; needs the axis `bits`",
    )
