"""Mixtures of domains: loss as a function of the shares of the training data."""

from __future__ import annotations

from dataclasses import replace

from isoloss.errors import LawError
from isoloss.laws.joint import chinchilla
from isoloss.laws.law import Law, Parameter

MOST_DOMAINS = 20


def is_share(axis: str) -> bool:
    """Whether an axis is the share of a domain: r1, r2, ...

    Examples
    --------
    >>> [is_share(a) for a in ("r1", "r12", "r", "rate", "N")]
    [True, True, False, False, False]
    """
    return axis.startswith("r") and axis[1:].isdecimal()


def _count(domains: int) -> range:
    if not 2 <= domains <= MOST_DOMAINS:
        raise LawError(f"domains = {domains}: from 2 to {MOST_DOMAINS}")
    return range(1, domains + 1)


def mixture(domains: int) -> Law:
    r"""Exponential of the shares: :math:`E + e^{\sum_j t_j r_j}`, on one domain or task.

    The shares r1, r2, ... are axes and sum to one. The paper writes
    :math:`c + k e^{\sum_j t_j r_j}`; as the shares sum to one, k can be moved into all t_j, and is
    no parameter of its own: :math:`t_j = \log k + t_j'`. Fit each domain's loss by itself.

    Examples
    --------
    >>> theta = {"E": 1.9, "t1": 0.3, "t2": -1.2}
    >>> mixture(2)(theta, {"r1": [0.9, 0.5, 0.1], "r2": [0.1, 0.5, 0.9]}).round(3)
    array([3.062, 2.538, 2.25 ])
    """
    numbers = _count(domains)
    return Law(
        name=f"mixture_{domains}",
        formula="E + exp(" + " + ".join(f"t{j}*r{j}" for j in numbers) + ")",
        axes=tuple(f"r{j}" for j in numbers),
        parameters=(
            Parameter(name="E", start=(0.1, 1.0), meaning="loss that no mixture lowers"),
            *(
                Parameter(
                    name=f"t{j}", lower=-60.0, upper=60.0, start=(-3.0, 1.5),
                    meaning=f"effect of domain {j}",
                )
                for j in numbers
            ),
        ),
        source="Ye et al. 2024, arXiv:2403.16952, the form from memory",
        description=f"shares r1 to r{domains} of {domains} domains, at one size and one D",
    )  # fmt: skip


def mixture_additive(domains: int) -> Law:
    r"""Chinchilla's law whose floor depends on the mixture.

    :math:`E + 1/\sum_j C_j r_j^{g_j} + A N^{-\alpha} + B D^{-\beta}`: the mixture that is best is
    best at every size and amount of data. Shares must be positive.

    Examples
    --------
    >>> theta = {"E": 1.5, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
    >>> more = {"C1": 2.0, "g1": 0.6, "C2": 1.0, "g2": 0.4}
    >>> x = {"N": 1e9, "D": 2e10, "r1": [0.9, 0.6, 0.2], "r2": [0.1, 0.4, 0.8]}
    >>> mixture_additive(2)(theta | more, x).round(3)
    array([2.603, 2.626, 2.761])
    """
    numbers = _count(domains)
    base = chinchilla()
    # The shares have no unit and no size to divide by: what they do is in C_j.
    return replace(
        base,
        name=f"mixture_additive_{domains}",
        formula=(
            "E + 1/(" + " + ".join(f"C{j}*r{j}**g{j}" for j in numbers) + ")"
            " + A*N**-alpha + B*D**-beta"
        ),
        axes=("N", "D", *(f"r{j}" for j in numbers)),
        parameters=(
            *base.parameters,
            *(
                p
                for j in numbers
                for p in (
                    Parameter(name=f"C{j}", unit="L**-1", start=(0.2, 5.0), upper=1e6,
                              meaning=f"worth of domain {j}"),
                    Parameter(name=f"g{j}", start=(0.1, 1.5), upper=20.0,
                              meaning=f"exponent of domain {j}"),
                )
            ),
        ),
        source="Shukor et al. 2025, arXiv:2507.09404, the additive form from memory",
        description=f"shares r1 to r{domains} of {domains} domains beside N and D",
    )  # fmt: skip
