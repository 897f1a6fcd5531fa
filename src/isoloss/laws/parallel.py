"""Parallel streams: one model run several times on changed inputs."""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter


def parallel() -> Law:
    r"""Streams act as parameters: :math:`E + (A/(N(1 + k\ln P)))^\alpha`.

    P is the axis ``streams``. One stream gives the power law of N above a floor.

    Examples
    --------
    >>> theta = {"E": 1.3, "A": 2e8, "alpha": 0.2, "k": 0.33}
    >>> parallel()(theta, {"N": 1e9, "streams": [1, 2, 8]}).round(3)
    array([2.025, 1.996, 1.953])
    """
    return Law(
        name="parallel",
        formula="E + (A/(N*(1 + k*log(streams))))**alpha",
        axes=("N", "streams"),
        parameters=(
            Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss"),
            Parameter(name="A", unit="N*L**(1/alpha)", start=(1e-2, 10.0), meaning="size scale"),
            Parameter(name="alpha", start=(0.08, 1.2), upper=20.0, meaning="exponent of size"),
            Parameter(name="k", start=(0.05, 2.0), upper=100.0, meaning="worth of a stream"),
        ),
        scaled_axes=("N", "L"),
        source="Chen et al. 2025, arXiv:2505.10475, the form from memory",
        description="parallel scaling at one amount of data; needs the axis `streams`",
    )
