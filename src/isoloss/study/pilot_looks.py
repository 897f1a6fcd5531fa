"""What is kept of networks while they train on a pool, and the scores made of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.prune import (
    Scores,
    class_means,
    neighbour_graph,
    score_aum,
    score_d2,
    score_el2n,
    score_forgetting,
    score_grand,
    score_margin,
    score_moderate,
    score_prototypes,
    softmax,
)
from isoloss.study.pilot_scoring import Scoring
from isoloss.sweep.recorded import Look

EARLY = ("el2n", "grand", "margin")
"""Metrics that are taken early in training."""

FEATURES = ("class-means", "moderate", "d2")
"""Metrics of the last features of one network."""

Floats = npt.NDArray[Any]


class Outputs:
    """What is kept of the looks of the networks on the whole pool."""

    def __init__(
        self, labels: npt.NDArray[np.int64], classes: int, how: Scoring, times: list[int]
    ) -> None:
        self.labels, self.how, self.times = labels, how, times
        n, T, K = labels.size, len(times), how.networks
        self.margins = np.empty((T, K, n), dtype=np.float32)
        self.logits = np.empty((K, n, classes), dtype=np.float32)
        self.lengths = np.empty((K, n, 1), dtype=np.float32)
        self.features = np.empty((n, how.width), dtype=np.float32)

    def take(self, look: Look) -> None:
        """Keep margins of every time, outputs of the early one, features of the first network."""
        t, y, who = self.times.index(look.step), self.labels, look.members
        for rows, out, hidden in look.blocks():
            own = np.take_along_axis(out, y[None, rows, None], axis=2)[:, :, 0]
            others = out.copy()
            np.put_along_axis(others, y[None, rows, None], -np.inf, axis=2)
            self.margins[t, who, rows] = own - others.max(axis=2)
            if t == self.how.early - 1:
                self.logits[who, rows] = out
                self.lengths[who, rows, 0] = np.linalg.norm(hidden, axis=2)
            if t == len(self.times) - 1 and who.start == 0:
                self.features[rows] = hidden[0]

    def score(self, name: str) -> tuple[Scores, float]:
        """Give a metric, and FLOPs beside those of the networks."""
        y = self.labels
        if name in EARLY:
            if name == "margin":
                return score_margin(self.logits, y, of="logits"), 0.0
            p = np.stack([softmax(part) for part in self.logits])
            if name == "el2n":
                return score_el2n(p, y), 0.0
            return score_grand(p, y, hidden=self.lengths), 0.0
        if name == "aum":
            return score_aum(self.margins.mean(axis=1), of="logits"), 0.0
        if name == "forgetting":
            each = [score_forgetting(self.margins[:, k] > 0) for k in range(self.margins.shape[1])]
            mean = np.mean([found.values for found in each], axis=0)
            said = f"mean over {len(each)} runs of {each[0].definition}, looked at after each pass"
            return Scores(
                metric=name, definition=said, source=each[0].source, values=mean
            ), 0.0  # fmt: skip
        n, width = self.features.shape
        if name == "moderate":
            return score_moderate(self.features, y), 0.0
        rows = _with_length(self.features)
        if name == "class-means":
            found = score_prototypes(rows, class_means(rows, y))
            return Scores(
                metric=name, source="arXiv:2206.14486", values=found.scores,
                definition="1 - cosine to the class mean of last features of one network",
            ), 2.0 * n * width  # fmt: skip
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        graph = neighbour_graph(unit, min(self.how.neighbours, n - 1))
        p = np.stack([softmax(part) for part in self.logits])
        return score_d2(score_el2n(p, y), *graph), 2.0 * n * n * width


def _with_length(features: Floats) -> Floats:
    """Features of which none is zero, which would have no direction."""
    lost = np.linalg.norm(features, axis=1) < 1e-12
    if not lost.any():
        return features
    held = features.copy()
    held[lost] = 1e-6
    return held
