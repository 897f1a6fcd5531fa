"""Policies: which examples come first, as values and not as flags."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from isoloss.errors import InputError


@dataclass(frozen=True, slots=True)
class Hard:
    """Keep the highest scores: good where data are plentiful and labels clean."""

    name = "hard"


@dataclass(frozen=True, slots=True)
class Easy:
    """Keep the lowest scores: good where data are scarce."""

    name = "easy"


@dataclass(frozen=True, slots=True)
class Random:
    """Keep by chance, by a hash of id and seed: the baseline. Smaller budgets are subsets."""

    name = "random"


@dataclass(frozen=True, slots=True)
class Middle:
    """Keep the ranks nearest to the middle one, as moderate coresets do."""

    name = "middle"


@dataclass(frozen=True, slots=True)
class Stratified:
    """Cover the range of scores: fill strata evenly, by chance inside each.

    With ``noise_guard`` this is coverage-centric selection (arXiv:2210.15809).

    Attributes
    ----------
    strata
        How many.
    of
        ``"width"``: equal ranges of the score, as in the paper; ``"mass"``: equal numbers of
        examples, which outliers and ties do not empty.
    """

    strata: int = 50
    of: Literal["width", "mass"] = "width"
    name = "stratified"

    def __post_init__(self) -> None:
        whole = isinstance(self.strata, int) and not isinstance(self.strata, bool)
        if not whole or not 1 <= self.strata <= 1_000_000:
            raise InputError(f"strata = {self.strata!r}: must be a whole number from 1 to 1e6")
        if self.of not in ("width", "mass"):
            raise InputError(f"of = {self.of!r}: write 'width' or 'mass'")


@dataclass(frozen=True, slots=True, eq=False)
class ByCluster:
    """Divide the budget over clusters by complexity, then keep the hardest of each.

    Density-based pruning (arXiv:2401.04578); the score is the distance to the centroid there.

    Attributes
    ----------
    complexity
        By name of cluster, or one number a cluster in the order of sorted names.
    temperature, floor
        As `allocate_clusters`.
    """

    complexity: Any
    temperature: float = 0.1
    floor: int = 1
    name = "cluster"

    def of(self, names: list[Any]) -> list[float]:
        """Complexities of the clusters named, in their order."""
        if isinstance(self.complexity, Mapping):
            lacking = [n for n in names if n not in self.complexity]
            if lacking:
                raise InputError(f"complexity: none for cluster {lacking[0]!r}")
            return [float(self.complexity[n]) for n in names]
        if len(self.complexity) != len(names):
            raise InputError(
                f"complexity: {len(self.complexity)} numbers for {len(names)} clusters; give one "
                "for each, in the order of sorted names"
            )
        return [float(v) for v in self.complexity]


Policy = Hard | Easy | Random | Middle | Stratified | ByCluster
POLICIES: dict[str, type[Hard | Easy | Random | Middle | Stratified]] = {
    p.name: p for p in (Hard, Easy, Random, Middle, Stratified)
}
"""Policies that need no more than their name."""


def as_policy(policy: Any) -> Policy:
    """Read a policy: an object, or a name."""
    if isinstance(policy, Hard | Easy | Random | Middle | Stratified | ByCluster):
        return policy
    if isinstance(policy, str) and policy in POLICIES:
        return POLICIES[policy]()
    near = difflib.get_close_matches(str(policy), POLICIES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"policy = {policy!r}: write one of {', '.join(POLICIES)}{hint}")
