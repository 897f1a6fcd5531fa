"""Kaplan's laws of one resource, of steps, and of the best use of compute."""

from __future__ import annotations

from collections.abc import Mapping

from isoloss.laws.published.entry import Published

_PAPER = "Kaplan et al. 2020, arXiv:2001.08361"
_ROUNDED = (
    "exponents to two digits; prefactors from memory and from notes of third parties, not compared "
    "with the paper"
)


def _curve(scale: float, exponent: float, axis: str, printed: str, where: str, unit: str,
           more: str = "") -> Published:  # fmt: skip
    return Published(
        law="power",
        parameters={"A": scale**exponent, "alpha": exponent},
        axis=axis,
        measures=f"loss in nats per token of WebText2; {axis} in {unit}",
        source=f"{_PAPER}, {where}",
        caveat=f"printed as ({printed}/{axis})^{exponent:g}: A is computed from it{more}",
    )


def _optimum(prefactor: float, exponent: float, what: str, doubt: str = "") -> Published:
    return Published(
        law="growth",
        parameters={"A": prefactor, "alpha": exponent},
        axis="C",
        measures=f"{what}, at the best use of C, the least compute, in PF-days (8.64e19 FLOPs)",
        source=f"{_PAPER}, table 6",
        caveat=_ROUNDED + doubt,
    )


KAPLAN: Mapping[str, Published] = {
    "kaplan-2020-size": _curve(
        8.8e13, 0.076, "N", "8.8e13", "eq. 1.1", "parameters without embeddings",
        "; trained to convergence on enough data",
    ),
    "kaplan-2020-data": _curve(
        5.4e13, 0.095, "D", "5.4e13", "eq. 1.2", "tokens", "; large models, stopped early",
    ),
    "kaplan-2020-compute": _curve(
        3.1e8, 0.050, "C", "3.1e8", "eq. 1.3",
        "PF-days (8.64e19 FLOPs) at a batch far below the critical one",
        "; .050 is fitted, while the exponents of size, steps and batch combine to .054 as "
        "printed and to .0520 as rounded",
    ),
    "kaplan-2020-compute-fixed-batch": _curve(
        1.6e7, 0.057, "C", "1.6e7", "table 5", "PF-days (8.64e19 FLOPs)",
        "; at the fixed batch of 2^19 tokens, so no law of the least compute",
    ),
    "kaplan-2020-steps": Published(
        law="kaplan_steps",
        parameters={"Nc": 6.5e13, "Sc": 2.1e3, "alpha_N": 0.077, "alpha_S": 0.76},
        measures="loss in nats per token of WebText2; S in steps at a batch far above the "
        "critical one",
        source=f"{_PAPER}, eq. 1.6 and table 3",
        caveat="endless data, after warm-up; adjust measured steps first, as "
        "isoloss.laws.kaplan.minimum_steps does",
    ),
    "kaplan-2020-optimal-size": _optimum(1.3e9, 0.73, "parameters without embeddings"),
    "kaplan-2020-optimal-batch": _optimum(2.0e6, 0.24, "tokens a batch"),
    "kaplan-2020-optimal-steps": _optimum(
        5.4e3, 0.03, "least steps", "; so small an exponent may be zero"
    ),
    "kaplan-2020-optimal-data": _optimum(
        2e10, 0.27, "tokens, each seen once",
        "; twice C/(6 N), as training at the critical batch takes twice the least compute",
    ),
}  # fmt: skip
"""Laws of one resource, of steps, and of what grows with compute."""
