"""Perceptrons and convolutional networks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from isoloss.sweep.shapes import Cnn, Mlp

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "erf": torch.erf,
}


class _Layers(nn.Module):
    """Layers in a row, each but the last followed by the activation."""

    def __init__(self, layers: list[Any], activation: str, base: int | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.act = ACTIVATIONS[activation]
        self.gain = 2.0 if activation in ("relu", "gelu") else 1.0
        self.base = base

    def draw(self, source: Generator) -> None:
        """Fill in the initial weights: variance 2 over fan-in below relu and gelu, 1 else.

        Biases are 0. Under ``mup`` the last layer shrinks with the width beyond the base width,
        its variance as one over fan-in squared.
        """
        last = len(self.layers) - 1
        with torch.no_grad():
            for i, layer in enumerate(self.layers):
                fan_in = layer.weight[0].numel()
                variance = (self.gain if i < last else 1.0) / fan_in
                if i == last and self.base is not None:
                    variance *= self.base / fan_in
                drawn = torch.randn(layer.weight.shape, generator=source)
                layer.weight.copy_(drawn * variance**0.5)
                layer.bias.zero_()

    def role(self, name: str) -> str:
        """Tell what a parameter joins: see `isoloss.sweep.models.width`."""
        number, last = int(name.split(".")[1]), len(self.layers) - 1
        if number == last:
            return "readout" if name.endswith("weight") else "finite"
        return "input" if number == 0 or name.endswith("bias") else "hidden"


class Perceptron(_Layers):
    """Inputs, flattened, through hidden layers of one width."""

    def __init__(self, shape: Mlp, features: int, outputs: int, base: int | None) -> None:
        sizes = [features, *[shape.width] * shape.depth, outputs]
        super().__init__([nn.Linear(i, o) for i, o in pairwise(sizes)], shape.activation, base)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (batch, ...) to outputs (batch, outputs)."""
        h = x.flatten(1)
        for layer in self.layers[:-1]:
            h = self.act(layer(h))
        out: Tensor = self.layers[-1](h)
        return out


class Convolutions(_Layers):
    """Convolutions 3 by 3 with stride 2, the mean over places, a linear readout."""

    def __init__(self, shape: Cnn, channels: int, outputs: int, base: int | None) -> None:
        sizes = [channels, *[shape.width] * shape.depth]
        layers: list[Any] = [
            nn.Conv2d(i, o, kernel_size=3, stride=2, padding=1) for i, o in pairwise(sizes)
        ]
        super().__init__([*layers, nn.Linear(shape.width, outputs)], shape.activation, base)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to outputs (batch, outputs)."""
        h = x
        for layer in self.layers[:-1]:
            h = self.act(layer(h))
        out: Tensor = self.layers[-1](h.mean((2, 3)))
        return out
