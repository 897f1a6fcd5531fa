"""Mixtures of experts."""

from __future__ import annotations

from collections.abc import Mapping

from isoloss.laws.published.entry import Published

_MEMORY = "constants from memory, not compared with the paper"

EXPERTS: Mapping[str, Published] = {
    "clark-2022-s-base": Published(
        law="routing",
        parameters={
            "a": 0.082, "b": 0.108, "c": 0.009, "d": 1.104, "E_start": 1.847, "E_max": 314.478,
        },
        source="Clark et al. 2022, arXiv:2202.01169, table 3, S-BASE",
        caveat=f"{_MEMORY}; printed with a and b negative; logarithms to base ten; 130e9 tokens",
    ),
    "krajewski-2024": Published(
        law="granularity",
        parameters={
            "E": 0.47, "A": 18.1, "B": 30.8, "alpha": 0.115, "beta": 0.147, "g": 2.1, "gamma": 0.58,
        },
        source="Krajewski et al. 2024, arXiv:2402.07871, table 1",
        caveat=f"{_MEMORY}; 64 times as many parameters as are active, N without embeddings",
    ),
}  # fmt: skip
"""Routing and granularity."""
