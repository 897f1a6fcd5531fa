"""The pruned perceptron as one law of the fit engine, which the verdict's faster form equals."""

from collections.abc import Sequence

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.law import Law, Parameter
from isoloss.laws.margin_pruned import LEAST_ANGLE, RIGHT
from isoloss.prune.verdict_forms import EXACT, Design, columns

_FULL = 0.5


def perceptron_law(designs: Sequence[Design]) -> Law:
    """Exact error of the pruned perceptron, hard and easy rows with one angle of the score."""
    names = [d.policy for d in designs]
    hard = "keep_hard" if "hard" in names else "1"
    formula, axes = f"margin_hard(x/M, {hard}, theta)", ["x", *(f"keep_{n}" for n in names)]
    if "easy" in names:
        formula = f"(2 - easy)*{formula} + (easy - 1)*margin_easy(x_easy/M, share_easy, theta)"
        axes += ["easy", "x_easy", "share_easy"]
    return Law(
        name=EXACT, formula=f"E + A*({formula})", axes=tuple(axes),
        parameters=(
            Parameter(name="E", start=(0.01, 0.5), meaning="irreducible loss"),
            Parameter(name="A", start=(1.0, 10.0), meaning="loss over that of the model"),
            Parameter(name="M", start=(0.05, 3.0), meaning="examples that count as one each"),
            Parameter(
                name="theta", lower=LEAST_ANGLE, upper=RIGHT, start=(0.15, 1.2),
                meaning="angle of the score to the truth",
            ),
        ),
    )  # fmt: skip


def exact_columns(
    x: Array, policy: str, keep: Array, designs: Sequence[Design]
) -> dict[str, Array]:
    """Columns of the law: those of every form, and the easy rows apart."""
    table = columns(x, policy, keep, designs)
    x = table["x"]
    keep = np.broadcast_to(keep, x.shape)
    easy = np.full(keep.shape, policy == "easy") & (keep < 1)
    table["easy"] = np.where(easy, 2.0, 1.0)
    table["x_easy"] = np.where(easy, x, np.min(x, axis=-1, keepdims=True))
    table["share_easy"] = np.where(easy, keep, _FULL)
    return table
