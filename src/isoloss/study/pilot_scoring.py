"""How pilots score a pool: metrics, settings, and what a score is with its cost."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune import ByCluster, Scores
from isoloss.study.pilot_embeddings import EMBEDDINGS

GROUPS: dict[str, tuple[str, ...]] = {
    "training": ("el2n", "grand", "margin", "forgetting", "aum", "class-means", "moderate", "d2"),
    "subsets": ("memorization", "misclassified", "disagreement"),
    "embedding": ("prototypes", "density"),
}
"""Metrics by what is trained for them: one set of networks serves a whole group."""

METRICS = tuple(name for group in GROUPS.values() for name in group)

FIXED = {"moderate": "middle", "density": "cluster", "d2": "hard"}
"""Policies of metrics whose papers name one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How scores are made.

    Attributes
    ----------
    networks, epochs, early
        Perceptrons trained on the whole pool, for how many passes; after how many of them EL2N,
        GraNd and margin are taken. Forgetting and areas under the margin look after every pass.
    subsets, share, subset_epochs
        Perceptrons trained on a random ``share`` of the pool each, for memorization and votes.
    width, subset_width, depth
        Hidden units a layer of the two kinds, and layers.
    batch, lr
        Of both.
    embedding, components, k
        Label-free embedding, as `isoloss.study.pilots.embed` takes it, and centroids; ten a class
        where 0.
    neighbours
        Of the graph of D2.
    """

    networks: int = 6
    epochs: int = 10
    early: int = 2
    subsets: int = 48
    share: float = 0.7
    subset_epochs: int = 5
    width: int = 64
    subset_width: int = 32
    depth: int = 2
    batch: int = 64
    lr: float = 0.002
    embedding: str = "pca"
    components: int = 64
    k: int = 0
    neighbours: int = 10

    def __post_init__(self) -> None:
        least = {"networks": 1, "epochs": 1, "early": 1, "subsets": 8, "subset_epochs": 1, "k": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise InputError(f"{name} = {value!r}: must be a whole number of at least {low}")
        if self.early > self.epochs:
            raise InputError(f"early = {self.early}: must be at most epochs = {self.epochs}")
        if not 0 < self.share < 1:
            raise InputError(f"share = {self.share!r}: must lie between 0 and 1")
        if self.embedding not in EMBEDDINGS:
            raise InputError(
                f"embedding = {self.embedding!r}: write one of {', '.join(EMBEDDINGS)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """One metric over a pool, and what it would have cost alone.

    Attributes
    ----------
    scores
        High is hard; ids are rows of the training part.
    flops, cpu_seconds
        Of making it: forward and backward passes, products of embeddings and k-means.
    clusters, complexity
        Of ``density``: the cluster of each example, and complexities.
    """

    scores: Scores
    flops: float
    cpu_seconds: float
    clusters: npt.NDArray[Any] | None = None
    complexity: npt.NDArray[Any] | None = None

    def policy(self, name: str) -> Any:
        """Give the policy of a name for these scores."""
        if name != "cluster":
            return name
        if self.complexity is None:
            raise InputError("policy = 'cluster': is that of the metric density alone")
        return ByCluster(complexity=self.complexity.tolist())


def check_metrics(metrics: Iterable[str], known: Sequence[str] = METRICS) -> tuple[str, ...]:
    """Read names of metrics; each counts once."""
    found = tuple(dict.fromkeys(metrics))
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"metric = {name!r}: {meant}known are {', '.join(known)}")
    return found
