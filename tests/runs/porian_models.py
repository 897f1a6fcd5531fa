"""The models of Porian et al. 2024, recovered from the sizes in their released runs.

Three counts of each model are in the table: without embeddings, with the head, with attention as
parameters. Their differences are V d and L T d, which gives width and depth; what is left of the
first gives the hidden units of a gated perceptron.
"""

from __future__ import annotations

import csv

import pytest

from conftest import SHARED
from isoloss.runs.counting import DecoderModel

PATH = SHARED / "porian-discrepancies" / "isoflop_points.csv"
VOCABULARY, CONTEXT = 50432, 2048


def sizes() -> dict[str, list[float]]:
    """Sizes of the models in each of their counts, ascending."""
    if not PATH.exists():
        pytest.skip("the shared data folder is not beside the repository")
    with PATH.open(encoding="utf8") as file:
        rows = [r for r in csv.DictReader(file) if r["dataset"] == "rw"]
    kinds = ("kaplan", "standard", "attention")
    return {k: sorted({float(r["n"]) for r in rows if r["param_count"] == k}) for k in kinds}


def models() -> dict[float, DecoderModel]:
    """Description of each model by its size without embeddings."""
    found = {}
    for bare, headed, attending in zip(*sizes().values(), strict=True):
        width = int((headed - bare) / VOCABULARY)
        depth = int((attending - headed) / (width * CONTEXT))
        hidden = int((bare / depth - 4 * width**2) / (3 * width))
        found[bare] = DecoderModel(
            width=width, depth=depth, heads=1, vocabulary=VOCABULARY, context=CONTEXT,
            mlp_width=hidden, gated=True, norm="none",
        )  # fmt: skip
    return found
