"""Strength of AlphaZero agents against size and compute."""

from __future__ import annotations

from collections.abc import Mapping

from isoloss.laws.published.entry import Published

_DOUBT = (
    "A was not printed, as only ratios of strengths are measured; quoted from memory and from "
    "notes of third parties, not compared with the paper's text"
)
_STRENGTH = "playing strength g, Elo = 400 log10 g"
_FLOPS = "C = steps x 300 simulations a move x FLOPs of a forward pass x 6,554 states a step"


def _entry(axis: str, measures: str, exponent: float) -> Published:
    return Published(
        law="growth",
        parameters={"alpha": exponent},
        axis=axis,
        measures=measures,
        source="Neumann and Gros 2022, arXiv:2210.00849, table of exponents",
        caveat=_DOUBT,
    )


def _game(name: str, size: float, compute: float, best: float) -> dict[str, Published]:
    return {
        f"alphazero-2022-{name}-size": _entry(
            "N", f"{_STRENGTH}, of agents that compute does not limit; N in parameters", size
        ),
        f"alphazero-2022-{name}-compute": _entry(
            "C", f"{_STRENGTH}, at the best size; {_FLOPS}", compute
        ),
        f"alphazero-2022-{name}-optimal-size": _entry(
            "C", f"best N, in parameters, which the other two make compute/size; {_FLOPS}", best
        ),
    }


GAMES: Mapping[str, Published] = {
    **_game("connect-four", 0.88, 0.55, 0.62),
    **_game("pentago", 0.87, 0.55, 0.63),
}
"""Strength and best size of agents."""
