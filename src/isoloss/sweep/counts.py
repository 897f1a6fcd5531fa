"""Parameters and training FLOPs of a model, term by term, without the framework that trains it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.counting import (
    ConvModel,
    DecoderModel,
    Layer,
    MlpModel,
    count_model,
)
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
    check_features(spec, features)
    found = count_model(description(spec, features, outputs), masked="half")
    return Counts(
        N=found.N_total,
        N_non_embedding=found.N_non_embedding,
        flops_dense=int(found.flops_of("dense")),
        flops_head=int(found.flops_of("head")),
        flops_attention=int(found.flops_of("attention")),
    )


def description(
    spec: RunSpec, features: Sequence[int], outputs: int
) -> DecoderModel | MlpModel | ConvModel:
    """Describe the model of a run, for counts in any convention."""
    model = spec.model
    if isinstance(model, Transformer):
        return DecoderModel(
            width=model.width, depth=model.depth, heads=model.heads, vocabulary=outputs,
            context=model.context, positions="learned",
        )  # fmt: skip
    if isinstance(model, Mlp):
        widths = (model.width,) * model.depth
        return MlpModel(inputs=math.prod(features), widths=widths, outputs=outputs)
    channels, height, width = features
    convolution = Layer(kind="conv", channels=model.width, kernel=3, stride=2, bias=True)
    head = (Layer(kind="mean"), Layer(kind="dense", channels=outputs, bias=True))
    layers = (convolution,) * getattr(model, "depth", 1) + head
    return ConvModel(inputs=(channels, height, width), layers=layers)


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
