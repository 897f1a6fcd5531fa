"""Mixtures of experts cut finer: how small an expert should be."""

from __future__ import annotations

from dataclasses import replace

from isoloss.laws.joint import chinchilla
from isoloss.laws.law import Law, Parameter


def granularity() -> Law:
    r"""Chinchilla's law whose size term falls with granularity.

    :math:`E + (g G^{-\gamma} + A) N^{-\alpha} + B D^{-\beta}`.
    G, the axis ``granularity``, is how many times smaller an expert is than the feed-forward layer
    of the dense model. As G grows it is Chinchilla's law.

    Examples
    --------
    >>> theta = {"E": 0.5, "A": 18.0, "B": 31.0, "alpha": 0.115, "beta": 0.147}
    >>> x = {"N": 1e9, "D": 2e10, "granularity": [1, 16]}
    >>> granularity()(theta | {"g": 2.1, "gamma": 0.58}, x).round(3)
    array([3.303, 3.148])
    """
    base = chinchilla()
    return replace(
        base,
        name="granularity",
        formula="E + (g*granularity**-gamma + A)*N**-alpha + B*D**-beta",
        axes=("N", "D", "granularity"),
        parameters=(
            *base.parameters,
            Parameter(
                name="g", unit="L*N**alpha*granularity**gamma", meaning="cost of coarse experts"
            ),
            Parameter(name="gamma", start=(0.2, 1.5), upper=20.0, meaning="how fast it fades"),
        ),
        scaled_axes=("N", "D", "granularity", "L"),
        source="Krajewski et al. 2024, arXiv:2402.07871, the form from memory",
        description="mixtures of experts; needs the axis `granularity`",
    )
