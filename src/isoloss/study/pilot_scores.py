"""Scores of a pool by networks that saw nothing but the pool, each with what it cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune import (
    Scores,
    cluster_complexity,
    fit_kmeans,
    score_disagreement,
    score_memorization,
    score_misclassified,
    score_prototypes,
)
from isoloss.study.pilot_embeddings import embed
from isoloss.study.pilot_looks import EARLY, FEATURES, Outputs
from isoloss.study.pilot_scoring import GROUPS, Scored, Scoring, check_metrics
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data
from isoloss.sweep.recorded import Look, train_recorded
from isoloss.sweep.shapes import Mlp
from isoloss.sweep.spec import RunSpec

Step = Callable[[str], None]


def score_pool(
    data: Data, rows: npt.NDArray[np.int64], metrics: Iterable[str], *,
    scoring: Scoring | None = None, seed: int = 0, device: str = "cpu",
    cache: Path | None = None, on_step: Step | None = None,
) -> dict[str, Scored]:  # fmt: skip
    """Score a pool of training examples by several metrics.

    Everything learns from the pool alone: networks, means, principal parts and centroids see no
    example outside it, and validation and test parts are not looked at. (A pretrained network is
    shown which value of a pixel is the least in the training part.)

    Parameters
    ----------
    data
        Classes.
    rows
        The pool: rows of the training part, rising.
    metrics
        Of `METRICS`.
    scoring
        How; the defaults of `Scoring` without.
    seed
        Of networks, subsets and centroids.
    device
        Where networks are trained.
    cache
        Folder in which features of a pretrained network are kept, for other pools too.
    on_step
        Called with a few words before each step.

    Raises
    ------
    InputError
        For an unknown metric, data without classes, or a pool too small to train on.
    MissingExtra
        Without torch.

    Examples
    --------
    >>> from isoloss.sweep import load_data
    >>> data = load_data(DataSpec(name="mnist1d", examples=300))
    >>> found = score_pool(data, np.arange(0, 300, 2), ["prototypes"], scoring=Scoring(k=5))
    >>> found["prototypes"].scores
    Scores(prototypes, 150 examples, high is hard)
    """
    wanted = check_metrics(metrics)
    how = scoring or Scoring()
    if data.kind != "classes":
        raise InputError(f"data: targets are {data.kind}; scores of pilots need classes")
    if rows.size < 2 * how.batch:
        raise InputError(
            f"pool of {rows.size}: must be at least two batches of {how.batch}; "
            "give a larger pool, or a smaller batch in Scoring"
        )
    x, y = data.train_x[rows], data.train_y[rows]
    # The one row of the other parts is one of the pool: nothing else can leak into a network.
    pool = Data(
        kind="classes", train_x=x, train_y=y, valid_x=x[:1], valid_y=y[:1], test_x=x[:1],
        test_y=y[:1], outputs=data.outputs, digest=data.digest,
    )  # fmt: skip
    job = _Job(
        pool, rows, how, seed, device, on_step or (lambda text: None), data.train_x, cache
    )  # fmt: skip
    found: dict[str, Scored] = {}
    for group, names in GROUPS.items():
        if mine := [name for name in names if name in wanted]:
            found |= getattr(job, group)(mine)
    return {name: found[name] for name in wanted}


class _Job:
    """A pool that is being scored."""

    def __init__(
        self, pool: Data, rows: npt.NDArray[np.int64], how: Scoring, seed: int, device: str,
        step: Step, every: npt.NDArray[np.float32], cache: Path | None,
    ) -> None:  # fmt: skip
        self.pool, self.rows, self.how, self.seed = pool, rows, how, seed
        self.device, self.step = device, step
        self.n, self.y = rows.size, pool.train_y
        self.every, self.cache = every, cache

    def _specs(self, count: int, width: int, D: int, epochs: int, stream: int) -> list[RunSpec]:
        how = self.how
        first = RunSpec(
            model=Mlp(width=width, depth=how.depth), data=DataSpec(name="given"), D=D,
            batch=how.batch, passes=float(epochs), lr=how.lr,
        )  # fmt: skip
        seeds = np.random.default_rng([self.seed, stream]).integers(1 << 31, size=count).tolist()
        plain = first.to_dict() | {"model": first.model, "data": first.data}
        return [RunSpec(**(plain | {"seed": s})) for s in seeds]

    def _scored(
        self, found: Scores, name: str, flops: float, seconds: float, **more: Any
    ) -> Scored:
        named = Scores(
            metric=name, definition=found.definition, source=found.source,
            values=np.asarray(found.values, dtype=np.float64), ids=self.rows, labels=self.y,
        )  # fmt: skip
        return Scored(scores=named, flops=float(flops), cpu_seconds=seconds, **more)

    def training(self, names: list[str]) -> dict[str, Scored]:
        """Scores of networks that train on the whole pool."""
        how, K = self.how, self.how.networks
        late = any(name not in EARLY for name in names)
        specs = self._specs(K, how.width, self.n, how.epochs, 31)
        every = specs[0].updates / how.epochs
        times = [max(1, round(every * (i + 1))) for i in range(how.epochs if late else how.early)]
        seen = Outputs(self.y, self.pool.outputs, how, times)
        self.step(f"{K} networks, {how.epochs} passes over {self.n} examples")
        told = train_recorded(specs, self.pool, steps=times, on_look=seen.take, device=self.device)
        part = how.early / how.epochs
        cheap = told.flops * part + told.look_flops
        whole = told.flops + told.look_flops * how.epochs
        made = {}
        for name in names:
            started = time.process_time()
            self.step(f"{name} of {self.n} examples")
            found, more = seen.score(name)
            cost = cheap if name in EARLY else whole
            if name in FEATURES:
                # One network is enough where its features alone are used.
                cost = (told.flops + told.look_flops) / K
            if name == "d2":
                cost += cheap
            share = cost / (told.flops + told.look_flops * len(times))
            seconds = told.cpu_seconds * share + time.process_time() - started
            made[name] = self._scored(found, name, cost + more, seconds)
        return made

    def subsets(self, names: list[str]) -> dict[str, Scored]:
        """Scores of networks that train on random parts of the pool."""
        how, M = self.how, self.how.subsets
        size = max(how.batch, round(how.share * self.n))
        specs = self._specs(M, how.subset_width, size, how.subset_epochs, 32)
        predicted = np.empty((M, self.n), dtype=np.int16)

        def look(found: Look) -> None:
            for rows, out, _ in found.blocks():
                predicted[found.members, rows] = out.argmax(axis=2)

        self.step(f"{M} networks on {how.share:.0%} of {self.n} examples each")
        told = train_recorded(
            specs, self.pool, steps=[specs[0].updates], on_look=look, device=self.device
        )
        cost, made = told.flops + told.look_flops, {}
        for name in names:
            if name == "memorization":
                masks = np.zeros((M, self.n), dtype=bool)
                for mask, members in zip(masks, told.members, strict=True):
                    mask[members] = True
                found = score_memorization(masks, predicted == self.y)
            elif name == "misclassified":
                found = score_misclassified(predicted, self.y)
            else:
                found = score_disagreement(predicted)
            made[name] = self._scored(found, name, cost, told.cpu_seconds)
        return made

    def embedding(self, names: list[str]) -> dict[str, Scored]:
        """Distances in a label-free embedding, by k-means."""
        how = self.how
        self.step(f"embedding of {self.n} examples")
        held = embed(
            self.every, how.embedding, components=how.components, seed=self.seed,
            device=self.device, rows=self.rows, cache=self.cache, on_step=self.step,
        )  # fmt: skip
        started = time.process_time()
        k = min(how.k or 10 * self.pool.outputs, self.n // 4)
        clusters = fit_kmeans(held.rows, k, rng=self.seed)
        near = score_prototypes(held.rows, clusters)
        width = held.rows.shape[1]
        cost = held.flops + 2.0 * self.n * k * width * (clusters.objective.size + 1)
        seconds = held.cpu_seconds + time.process_time() - started
        plain = Scores(
            metric="prototypes", source="arXiv:2206.14486", values=near.scores,
            definition=f"1 - cosine to the nearest of {k} centroids of {how.embedding} embeddings",
        )  # fmt: skip
        made = {}
        for name in names:
            if name == "prototypes":
                made[name] = self._scored(plain, name, cost, seconds)
                continue
            total = np.bincount(near.clusters, near.scores, minlength=k)
            inside = total / np.maximum(np.bincount(near.clusters, minlength=k), 1)
            complexity = cluster_complexity(clusters.centroids, inside)
            # Policies know clusters that have rows.
            full = np.unique(near.clusters)
            made[name] = self._scored(
                plain, name, cost, seconds, clusters=near.clusters, complexity=complexity[full]
            )
        return made
