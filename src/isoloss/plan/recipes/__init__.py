"""Recipes compared: compute multipliers, crossings, many variants, repeated looks."""

from isoloss.plan.recipes.compare import compare_recipes
from isoloss.plan.recipes.comparison import Comparison
from isoloss.plan.recipes.comparisons import Comparisons
from isoloss.plan.recipes.looks import Looks, false_discovery
from isoloss.plan.recipes.parts import (
    Crossover,
    LawMultiplier,
    PairedRuns,
    ScaleComparison,
    TieMultiplier,
)

__all__ = [
    "Comparison",
    "Comparisons",
    "Crossover",
    "LawMultiplier",
    "Looks",
    "PairedRuns",
    "ScaleComparison",
    "TieMultiplier",
    "compare_recipes",
    "false_discovery",
]
