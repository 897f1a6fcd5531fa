"""Chinchilla's law when data are repeated: U unique examples seen D/U times."""

from __future__ import annotations

from dataclasses import replace

from isoloss.laws.joint import chinchilla
from isoloss.laws.law import Law, Parameter

# Effective data: the first pass counts in full, each repeat is worth less, R passes at most.
_DATA = "(min(U,D) + min(U,D)*R_D*(1 - exp(-(D/min(U,D) - 1)/R_D)))"


def repetition() -> Law:
    r"""Chinchilla's law of the effective data :math:`D' = U + U R_D (1 - e^{-(D/U-1)/R_D})`.

    With D no larger than U nothing is repeated and it is Chinchilla's law.
    """
    base = chinchilla()
    return replace(
        base,
        name="repetition",
        formula=f"E + A*N**-alpha + B*{_DATA}**-beta",
        axes=("N", "D", "U"),
        parameters=(
            *base.parameters,
            Parameter(
                name="R_D", start=(1.0, 40.0), upper=1e4, meaning="repeats until data wear out"
            ),
        ),
        # U carries the unit of D: the two share one scale.
        scaled_axes=("N", "D", "U", "L"),
        source="Muennighoff et al. 2023, arXiv:2305.16264, eq. 5, data repetition alone",
        description="repeated data; needs the axis U",
    )


def repetition_joint() -> Law:
    r"""Effective data and effective parameters, as in the paper.

    Parameters beyond those that U examples can feed, :math:`U_N = N_{opt}(U)`, wear out in the
    same way: :math:`N' = U_N + U_N R_N (1 - e^{-(N/U_N - 1)/R_N})`.
    """
    base = repetition()
    # From alpha A N^-alpha = beta B D^-beta at the optimum.
    fed = "(alpha*A/(beta*B)*min(U,D)**beta)**(1/alpha)"
    used = f"min(N, {fed})"
    size = f"({used} + {used}*R_N*(1 - exp(-(N/{used} - 1)/R_N)))"
    return replace(
        base,
        name="repetition_joint",
        formula=f"E + A*{size}**-alpha + B*{_DATA}**-beta",
        parameters=(
            *base.parameters,
            Parameter(
                name="R_N", start=(1.0, 40.0), upper=1e4, meaning="excess until size wears out"
            ),
        ),
        source="Muennighoff et al. 2023, arXiv:2305.16264, eqs. 5-7",
        description="repeated data and over-sized models; needs the axis U",
    )
