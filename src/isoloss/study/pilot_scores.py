"""Scores of a pool by networks that saw nothing but the pool, each with what it cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune import (
    ByCluster,
    Scores,
    class_means,
    cluster_complexity,
    fit_kmeans,
    neighbour_graph,
    score_aum,
    score_d2,
    score_disagreement,
    score_el2n,
    score_forgetting,
    score_grand,
    score_margin,
    score_memorization,
    score_misclassified,
    score_moderate,
    score_prototypes,
    softmax,
)
from isoloss.study.pilot_embeddings import EMBEDDINGS, embed
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data
from isoloss.sweep.recorded import Look, train_recorded
from isoloss.sweep.shapes import Mlp
from isoloss.sweep.spec import RunSpec

GROUPS: dict[str, tuple[str, ...]] = {
    "training": ("el2n", "grand", "margin", "forgetting", "aum", "class-means", "moderate", "d2"),
    "subsets": ("memorization", "misclassified", "disagreement"),
    "embedding": ("prototypes", "density"),
}
"""Metrics by what is trained for them: one set of networks serves a whole group."""

METRICS = tuple(name for group in GROUPS.values() for name in group)

FIXED = {"moderate": "middle", "density": "cluster", "d2": "hard"}
"""Policies of metrics whose papers name one."""

_EARLY = ("el2n", "grand", "margin")
_FEATURES = ("class-means", "moderate", "d2")

Floats = npt.NDArray[Any]
Step = Callable[[str], None]


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
        Label-free embedding, as `isoloss.study.pilot_embeddings.embed` takes it, and centroids;
        ten a class where 0.
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


def score_pool(
    data: Data, rows: npt.NDArray[np.int64], metrics: Iterable[str], *,
    scoring: Scoring | None = None, seed: int = 0, device: str = "cpu",
    on_step: Step | None = None,
) -> dict[str, Scored]:  # fmt: skip
    """Score a pool of training examples by several metrics.

    Everything learns from the pool alone: networks, means, principal parts and centroids see no
    example outside it, and validation and test parts are not looked at.

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
    job = _Job(pool, rows, how, seed, device, on_step or (lambda text: None))
    found: dict[str, Scored] = {}
    for group, names in GROUPS.items():
        if mine := [name for name in names if name in wanted]:
            found |= getattr(job, group)(mine)
    return {name: found[name] for name in wanted}


def check_metrics(metrics: Iterable[str], known: Sequence[str] = METRICS) -> tuple[str, ...]:
    """Read names of metrics; each counts once."""
    import difflib

    found = tuple(dict.fromkeys(metrics))
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"metric = {name!r}: {meant}known are {', '.join(known)}")
    return found


class _Job:
    """A pool that is being scored."""

    def __init__(
        self, pool: Data, rows: npt.NDArray[np.int64], how: Scoring, seed: int, device: str,
        step: Step,
    ) -> None:  # fmt: skip
        self.pool, self.rows, self.how, self.seed = pool, rows, how, seed
        self.device, self.step = device, step
        self.n, self.y = rows.size, pool.train_y

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
        late = any(name not in _EARLY for name in names)
        specs = self._specs(K, how.width, self.n, how.epochs, 31)
        every = specs[0].updates / how.epochs
        times = [max(1, round(every * (i + 1))) for i in range(how.epochs if late else how.early)]
        seen = _Outputs(self, K, times, how.early - 1)
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
            cost = cheap if name in _EARLY else whole
            if name in _FEATURES:
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
        how, started = self.how, time.process_time()
        self.step(f"embedding of {self.n} examples")
        held = embed(
            self.pool.train_x, how.embedding, components=how.components, seed=self.seed,
            device=self.device,
        )  # fmt: skip
        k = min(how.k or 10 * self.pool.outputs, self.n // 4)
        clusters = fit_kmeans(held.rows, k, rng=self.seed)
        near = score_prototypes(held.rows, clusters)
        width = held.rows.shape[1]
        cost = held.flops + 2.0 * self.n * k * width * (clusters.objective.size + 1)
        seconds = time.process_time() - started
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


class _Outputs:
    """What is kept of the looks of the networks on the whole pool."""

    def __init__(self, job: _Job, K: int, times: list[int], early: int) -> None:
        self.job, self.times, self.early = job, times, early
        n, T, classes = job.n, len(times), job.pool.outputs
        self.margins = np.empty((T, K, n), dtype=np.float32)
        self.logits = np.empty((K, n, classes), dtype=np.float32)
        self.lengths = np.empty((K, n, 1), dtype=np.float32)
        self.features = np.empty((n, job.how.width), dtype=np.float32)

    def take(self, look: Look) -> None:
        """Keep margins of every time, outputs of the early one, features of the first network."""
        t, y, who = self.times.index(look.step), self.job.y, look.members
        for rows, out, hidden in look.blocks():
            own = np.take_along_axis(out, y[None, rows, None], axis=2)[:, :, 0]
            others = out.copy()
            np.put_along_axis(others, y[None, rows, None], -np.inf, axis=2)
            self.margins[t, who, rows] = own - others.max(axis=2)
            if t == self.early:
                self.logits[who, rows] = out
                self.lengths[who, rows, 0] = np.linalg.norm(hidden, axis=2)
            if t == len(self.times) - 1 and who.start == 0:
                self.features[rows] = hidden[0]

    def score(self, name: str) -> tuple[Scores, float]:
        """Give a metric, and FLOPs beside those of the networks."""
        job, y = self.job, self.job.y
        if name in _EARLY:
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
        graph = neighbour_graph(unit, min(job.how.neighbours, n - 1))
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
