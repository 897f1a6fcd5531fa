"""Parameters and training FLOPs of a model, term by term, without the framework that trains it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.flops import FLOPS_PER_PARAMETER_TOKEN, transformer_counts
from isoloss.sweep.shapes import Cnn, Mlp, Transformer
from isoloss.sweep.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Size of a model, and its training FLOPs for one example or one byte.

    Attributes
    ----------
    N
        All parameters, biases included.
    N_non_embedding
        Of a transformer, blocks and norms alone; of others the same as ``N``.
    flops_dense
        6 for each product of a weight with a number: forward 2, backward 4. A convolution counts
        every place it is applied to. Biases, norms and activations are not counted.
    flops_head
        The same of the last layer.
    flops_attention
        Scores and mixing over the context, causal.
    """

    N: int
    N_non_embedding: int
    flops_dense: int
    flops_head: int
    flops_attention: int = 0

    @property
    def flops(self) -> int:
        """All terms."""
        return self.flops_dense + self.flops_head + self.flops_attention

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


def counts(spec: RunSpec, features: Sequence[int], outputs: int) -> Counts:
    """Count parameters and FLOPs of the model of a run.

    Parameters
    ----------
    spec
        The run.
    features
        Shape of one input, as `Data.features`; empty for text.
    outputs
        Classes, columns of the target, or symbols.

    Raises
    ------
    InputError
        Where the model does not fit such inputs, or is solved rather than trained.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec, Mlp, RunSpec
    >>> spec = RunSpec(model=Mlp(width=64), data=DataSpec(name="fashion-mnist"), D=1024,
    ...                steps=500, batch=64, lr=0.003)
    >>> counts(spec, (1, 28, 28), 10)
    Counts(N=55050, N_non_embedding=55050, flops_dense=325632, flops_head=3840, flops_attention=0)

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361, section 2.1; Chowdhery et al. 2022, arXiv:2204.02311,
    appendix B, for attention.
    """
    model = spec.model
    check_features(spec, features)
    per = FLOPS_PER_PARAMETER_TOKEN
    if isinstance(model, Transformer):
        c = transformer_counts(
            width=model.width, depth=model.depth, vocabulary=outputs, context=model.context
        )
        return Counts(
            N=c.N_total,
            N_non_embedding=c.N_non_embedding,
            flops_dense=c.flops_dense,
            flops_head=c.flops_head,
            flops_attention=c.flops_attention,
        )
    w, d = model.width, getattr(model, "depth", 1)
    head = w * outputs
    if isinstance(model, Mlp):
        dense = weights = math.prod(features) * w + (d - 1) * w * w
    else:
        channels, height, width = features
        weights = dense = 0
        for _ in range(d):
            # Stride 2 with one place of padding: a side of n places becomes one of ceil(n / 2).
            height, width = -(-height // 2), -(-width // 2)
            weights += 9 * channels * w
            dense += 9 * channels * w * height * width
            channels = w
    N = weights + d * w + head + outputs
    return Counts(N=N, N_non_embedding=N, flops_dense=per * dense, flops_head=per * head)


def check_features(spec: RunSpec, features: Sequence[int]) -> None:
    """Refuse a model that cannot take inputs of this shape."""
    model, shape = spec.model, tuple(features)
    if spec.solved:
        raise InputError(f"run {spec.name}: {model.kind} is solved in closed form, not trained")
    if isinstance(model, Transformer) != (not shape):
        takes = "text" if isinstance(model, Transformer) else "classes or numbers"
        has = "text" if not shape else f"inputs of shape {shape}"
        raise InputError(f"run {spec.name}: a {model.kind} learns from {takes}; the data are {has}")
    if isinstance(model, Cnn) and len(shape) != 3:
        raise InputError(
            f"run {spec.name}: a cnn takes inputs of shape (channels, height, width), not {shape}"
        )
