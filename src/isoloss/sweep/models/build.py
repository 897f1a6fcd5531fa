"""From a spec to a network with initial weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from isoloss.sweep.counts import check_features
from isoloss.sweep.models.dense import Convolutions, Perceptron
from isoloss.sweep.models.transformer import ByteTransformer
from isoloss.sweep.shapes import Mlp, Transformer
from isoloss.sweep.spec import RunSpec


def build(spec: RunSpec, features: Sequence[int], outputs: int) -> nn.Module:
    """Build the network of a run on the CPU, its weights drawn from ``spec.seed`` alone.

    Parameters
    ----------
    spec
        The run.
    features
        Shape of one input; empty for text.
    outputs
        Classes, columns of the target, or symbols.

    Raises
    ------
    InputError
        Where the model does not fit such inputs, or is solved rather than trained.

    Examples
    --------
    >>> import torch
    >>> from isoloss.sweep import DataSpec, Mlp, RunSpec
    >>> spec = RunSpec(model=Mlp(width=64), data=DataSpec(name="fashion-mnist"), D=1024,
    ...                steps=500, batch=64, lr=0.003)
    >>> build(spec, (1, 28, 28), 10)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """
    check_features(spec, features)
    shape = spec.model
    base = spec.base_width if spec.width_rule == "mup" else None
    model: ByteTransformer | Perceptron | Convolutions
    # On no device first: torch would otherwise draw weights that are drawn again below.
    with torch.device("meta"):
        if isinstance(shape, Transformer):
            model = ByteTransformer(shape, outputs, base)
        elif isinstance(shape, Mlp):
            model = Perceptron(shape, math.prod(features), outputs, base)
        else:
            model = Convolutions(shape, features[0], outputs, base)  # type: ignore[arg-type]
    model.to_empty(device="cpu")
    model.draw(torch.Generator().manual_seed(spec.seed))
    if spec.readout == "zero":
        # After the draw, so that all other weights are those of a random readout.
        with torch.no_grad():
            model.layers[-1].weight.zero_()
    return model
