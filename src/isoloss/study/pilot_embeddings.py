"""Embeddings of images and vectors that need no label: pixels, principal parts, filters, codes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError

EMBEDDINGS = ("pca", "pixels", "convolutions", "autoencoder")
"""Kinds of label-free embeddings."""

_ROWS = 4096
_PASSES = 5.0
_FILTERS, _SIDE = 64, 6
"""Random convolutions: how many filters, and their side in pixels."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedded:
    """Embeddings, and what they cost.

    Attributes
    ----------
    rows
        (n, width), float32.
    flops, cpu_seconds
        Of making them.
    """

    rows: Floats
    flops: float
    cpu_seconds: float


def embed(
    x: Any, kind: str = "pca", *, components: int = 64, seed: int = 0, device: str = "cpu"
) -> Embedded:
    """Embed inputs without their labels, learning from these inputs alone.

    Parameters
    ----------
    x
        Inputs, (n, features) or (n, channels, height, width).
    kind
        ``"pixels"``: inputs as they are. ``"pca"``: their ``components`` leading principal
        parts, each divided by its deviation. ``"convolutions"``: means over quarters of the image
        of 64 random filters of 6 x 6 pixels, rectified, then ``"pca"`` of these.
        ``"autoencoder"``: ``components`` hidden units of a perceptron of one layer that learns in
        five passes to give its inputs back.
    components
        Principal parts, at most as many as there are.
    seed
        Of random filters and first weights.
    device
        Where the autoencoder is trained.

    Raises
    ------
    InputError
        For an unknown kind, or inputs without two sides where convolutions are asked for.
    MissingExtra
        Without torch, for ``"autoencoder"``.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((100, 1, 8, 8))
    >>> embed(x, components=5).rows.shape, embed(x, "pixels").rows.shape
    ((100, 5), (100, 64))
    """
    if kind not in EMBEDDINGS:
        raise InputError(f"embedding = {kind!r}: write one of {', '.join(EMBEDDINGS)}")
    if components < 1:
        raise InputError(f"components = {components}: must be 1 or more")
    started = time.process_time()
    inputs = np.asarray(x, dtype=np.float32)
    flops = 0.0
    if kind == "convolutions":
        rows, flops = _convolved(inputs, seed)
    elif kind == "autoencoder":
        rows, flops = _coded(inputs, components, seed, device)
    else:
        rows = inputs.reshape(len(inputs), -1)
    if kind in ("pca", "convolutions"):
        rows, more = _principal(rows, components)
        flops += more
    return Embedded(rows=rows, flops=flops, cpu_seconds=time.process_time() - started)


def _principal(rows: Floats, components: int) -> tuple[Floats, float]:
    n, p = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    gram = np.zeros((p, p))
    for start in range(0, n, _ROWS):
        part = rows[start : start + _ROWS] - mean.astype(np.float32)
        gram += part.T @ part
    values, vectors = np.linalg.eigh(gram / n)
    keep = min(components, int((values > 1e-9 * values[-1]).sum()), n)
    # Each part gets one variance: distances then do not follow brightness alone.
    turn = (vectors[:, ::-1][:, :keep] / np.sqrt(values[::-1][:keep])).astype(np.float32)
    made = np.empty((n, keep), dtype=np.float32)
    for start in range(0, n, _ROWS):
        part = slice(start, start + _ROWS)
        made[part] = (rows[part] - mean.astype(np.float32)) @ turn
    return made, 2.0 * n * p * p + 10.0 * p**3 + 2.0 * n * p * keep


def _convolved(x: Floats, seed: int) -> tuple[Floats, float]:
    if x.ndim != 4 or min(x.shape[2:]) < _SIDE + 1:
        raise InputError(
            f"embedding = 'convolutions': inputs of shape {x.shape[1:]}; needs images (channels, "
            f"height, width) of at least {_SIDE + 1} pixels a side"
        )
    n, channels = x.shape[:2]
    size = channels * _SIDE * _SIDE
    filters = np.random.default_rng([seed, 41]).standard_normal((size, _FILTERS))
    filters = (filters - filters.mean(axis=0)).astype(np.float32)
    filters /= np.linalg.norm(filters, axis=0)
    places = np.lib.stride_tricks.sliding_window_view(x[:1], (_SIDE, _SIDE), (2, 3))[:, :, ::2, ::2]
    high, wide = places.shape[2:4]
    made = np.empty((n, _FILTERS * 4), dtype=np.float32)
    step = max(1, (1 << 24) // (high * wide * size))
    for start in range(0, n, step):
        seen = np.lib.stride_tricks.sliding_window_view(
            x[start : start + step], (_SIDE, _SIDE), (2, 3)
        )[:, :, ::2, ::2]
        rows = len(seen)
        patches = seen.transpose(0, 2, 3, 1, 4, 5).reshape(rows, high, wide, size)
        out = np.maximum(patches @ filters, 0)
        up, left = (high + 1) // 2, (wide + 1) // 2
        quarters = [
            out[:, a, b].mean(axis=(1, 2))
            for a in (slice(None, up), slice(high - up, None))
            for b in (slice(None, left), slice(wide - left, None))
        ]
        made[start : start + rows] = np.concatenate(quarters, axis=1)
    return made, 2.0 * n * high * wide * size * _FILTERS


def _coded(x: Floats, components: int, seed: int, device: str) -> tuple[Floats, float]:
    """Hidden units of a perceptron that learns to give its inputs back."""
    from isoloss.sweep.data.spec import DataSpec
    from isoloss.sweep.data.table import Data
    from isoloss.sweep.recorded import Look, train_recorded
    from isoloss.sweep.shapes import Mlp
    from isoloss.sweep.spec import RunSpec

    flat = x.reshape(len(x), -1)
    data = Data(
        kind="numbers", train_x=flat, train_y=flat, valid_x=flat[:1], valid_y=flat[:1],
        test_x=flat[:1], test_y=flat[:1], outputs=flat.shape[1], digest="",
    )  # fmt: skip
    batch = min(64, len(flat))
    spec = RunSpec(
        model=Mlp(width=components, depth=1), data=DataSpec(name="given"), D=len(flat),
        batch=batch, passes=_PASSES, lr=2e-3, seed=seed,
    )  # fmt: skip
    made = np.empty((len(flat), components), dtype=np.float32)

    def look(found: Look) -> None:
        for rows, _, hidden in found.blocks():
            made[rows] = hidden[0]

    found = train_recorded([spec], data, steps=[spec.updates], on_look=look, device=device)
    return made, found.flops + found.look_flops
