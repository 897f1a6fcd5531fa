"""Scores of pieces of text by what was learned from the pool alone, each with what it cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune import Scores, fit_kmeans, score_prototypes
from isoloss.study.pilot_embeddings import embed
from isoloss.study.pilot_scores import Scored, check_metrics
from isoloss.sweep.data.pieces import cut_pieces
from isoloss.sweep.data.table import Data
from isoloss.sweep.shapes import Transformer

TEXT_METRICS = ("perplexity", "prototypes", "novelty")
"""Metrics of text."""

_ROWS = 1024

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScoring:
    """How scores of pieces of text are made.

    Attributes
    ----------
    model, passes, batch, lr
        Network whose loss is the score ``perplexity``, and how it learns from the pool.
    longest, buckets
        Of label-free embeddings: n-grams of 1 to so many bytes, hashed to so many numbers.
    components, k
        Principal parts of these for ``prototypes``, and centroids; one for 16 pieces, at most 64,
        where 0.
    """

    model: Transformer = field(
        default_factory=lambda: Transformer(width=32, depth=1, heads=2, context=64)
    )
    passes: float = 1.0
    batch: int = 16
    lr: float = 0.01
    longest: int = 3
    buckets: int = 512
    components: int = 32
    k: int = 0

    def __post_init__(self) -> None:
        bounds = {"batch": (1, 1 << 20), "longest": (1, 4), "buckets": (2, 8192),
                  "components": (1, 8192), "k": (0, 1 << 20)}  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{name} = {value!r}: must be a whole number, {low} to {high}")

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


def ngram_rows(pieces: Any, *, longest: int = 3, buckets: int = 512) -> Floats:
    """Embed texts by hashed counts of their n-grams: roots of shares, rows of length 1.

    The product of two rows is the sum over buckets of sqrt(p q) of the shares p and q that each
    text has in it: 1 of texts of the same counts, 0 of texts with nothing in common.

    Parameters
    ----------
    pieces
        Bytes, (pieces, bytes).
    longest, buckets
        As in `TextScoring`; each length has a part of its own in the hash.

    Raises
    ------
    InputError
        If pieces are no table of bytes, or shorter than the longest n-gram.

    Examples
    --------
    >>> rows = ngram_rows(np.frombuffer(b"abcabdxyzxyw", dtype=np.uint8).reshape(3, 4), longest=1)
    >>> (rows @ rows.T).round(2).tolist()
    [[1.0, 0.25, 0.0], [0.25, 1.0, 0.5], [0.0, 0.5, 1.0]]
    """
    text = np.asarray(pieces)
    if text.ndim != 2 or text.dtype != np.uint8 or text.shape[1] < longest:
        raise InputError(
            f"pieces: {text.dtype} of shape {text.shape}; must be bytes (uint8), a piece a row of "
            f"at least {longest}"
        )
    n, made = len(text), np.empty((len(text), buckets), dtype=np.float32)
    for start in range(0, n, _ROWS):
        part = text[start : start + _ROWS].astype(np.uint64)
        found = np.zeros(len(part) * buckets)
        base = np.arange(len(part))[:, None] * buckets
        code = np.zeros_like(part)
        for length in range(1, longest + 1):
            ends = part[:, length - 1 :]
            code = (code[:, : ends.shape[1]] << np.uint64(8)) | ends
            slots = _mixed(code + (np.uint64(length) << np.uint64(40))) % np.uint64(buckets)
            found += np.bincount((base + slots.astype(np.int64)).ravel(), minlength=found.size)
        counts = found.reshape(len(part), buckets)
        made[start : start + _ROWS] = np.sqrt(counts / counts.sum(axis=1, keepdims=True))
    return made


def _mixed(code: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread whole numbers over 64 bits, the same on every machine (finaliser of splitmix64)."""
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))


def score_text(
    data: Data, piece: int, rows: npt.NDArray[np.int64], metrics: Iterable[str], *,
    scoring: TextScoring | None = None, seed: int = 0, device: str = "cpu",
    on_step: Callable[[str], None] | None = None,
) -> dict[str, Scored]:  # fmt: skip
    """Score a pool of pieces of text; high is hard.

    ``perplexity`` is the loss per byte of a small transformer after it learned from the pool;
    ``prototypes`` 1 - cosine to the nearest of k centroids of principal parts of n-gram counts;
    ``novelty`` 1 - cosine of these counts to the nearest other piece, so that near-duplicates are
    easy. Networks, parts and centroids see nothing outside the pool.

    Parameters
    ----------
    data
        Text.
    piece
        Bytes of a piece.
    rows
        The pool: numbers of pieces, rising.
    metrics
        Of `TEXT_METRICS`.
    scoring
        How; the defaults of `TextScoring` without.
    seed
        Of the network and the centroids.
    device
        Where the network is trained.
    on_step
        Called with a few words before each step.

    Raises
    ------
    InputError
        For an unknown metric, data that are no text, or a pool too small.
    MissingExtra
        Without torch, for ``perplexity``.

    References
    ----------
    Marion et al., arXiv:2309.04564, for perplexity; Sorscher et al., arXiv:2206.14486, for
    prototypes.
    """
    wanted = check_metrics(metrics, TEXT_METRICS)
    how, step = scoring or TextScoring(), on_step or (lambda text: None)
    text = cut_pieces(data, piece, rows)
    if len(text) < 8:
        raise InputError(f"pool of {len(text)}: must be at least 8 pieces; give a larger pool")
    found: dict[str, Scored] = {}
    if "perplexity" in wanted:
        from isoloss.sweep.piece_losses import piece_losses

        step(f"a network, {how.passes:g} passes over {len(text)} pieces")
        told = piece_losses(
            data, piece, rows, model=how.model, passes=how.passes, batch=how.batch, lr=how.lr,
            seed=int(np.random.default_rng([seed, 33]).integers(1 << 31)), device=device,
        )  # fmt: skip
        found["perplexity"] = _scored(
            "perplexity", told.losses, rows, told.flops, told.cpu_seconds, "arXiv:2309.04564",
            f"nats per byte of a transformer after {how.passes:g} passes over the pool",
        )  # fmt: skip
    if set(wanted) - {"perplexity"}:
        step(f"n-grams of {len(text)} pieces")
        started = time.process_time()
        counted = ngram_rows(text, longest=how.longest, buckets=how.buckets)
        seconds = time.process_time() - started
        for name in wanted:
            if name != "perplexity":
                make = _prototypes if name == "prototypes" else _novelty
                found[name] = make(counted, rows, how, seed, seconds)
    return {name: found[name] for name in wanted}


def _prototypes(
    counted: Floats, rows: npt.NDArray[np.int64], how: TextScoring, seed: int, seconds: float
) -> Scored:
    started = time.process_time()
    held = embed(counted, "pca", components=how.components)
    k = how.k or int(np.clip(len(rows) // 16, 2, 64))
    clusters = fit_kmeans(held.rows, min(k, len(rows) // 4), rng=seed)
    near = score_prototypes(held.rows, clusters)
    flops = held.flops + 2.0 * held.rows.size * k * (clusters.objective.size + 1)
    return _scored(
        "prototypes", near.scores, rows, flops, seconds + time.process_time() - started,
        "arXiv:2206.14486", f"1 - cosine to the nearest of {k} centroids of n-gram counts",
    )  # fmt: skip


def _novelty(
    counted: Floats, rows: npt.NDArray[np.int64], how: TextScoring, seed: int, seconds: float
) -> Scored:
    started = time.process_time()
    nearest = np.empty(len(counted))
    for start in range(0, len(counted), _ROWS):
        near = counted[start : start + _ROWS] @ counted.T
        own = np.arange(len(near))
        near[own, start + own] = -1.0
        nearest[start : start + _ROWS] = near.max(axis=1)
    return _scored(
        "novelty", 1 - nearest, rows, 2.0 * counted.size * len(counted),
        seconds + time.process_time() - started, "",
        "1 - cosine of n-gram counts to the nearest other piece",
    )  # fmt: skip


def _scored(
    name: str, values: Any, rows: npt.NDArray[np.int64], flops: float, seconds: float, source: str,
    definition: str,
) -> Scored:  # fmt: skip
    scores = Scores(
        metric=name, definition=definition, source=source,
        values=np.asarray(values, dtype=np.float64), ids=rows,
    )  # fmt: skip
    return Scored(scores=scores, flops=float(flops), cpu_seconds=seconds)
