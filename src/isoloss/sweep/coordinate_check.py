"""Whether activations keep their size as networks get wider: the test of a width rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from isoloss.errors import InputError
from isoloss.sweep.data.table import Data
from isoloss.sweep.models.transformer import Block
from isoloss.sweep.shapes import of_width
from isoloss.sweep.source import Source
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.walker import Walker, order_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoordinateCheck:
    """Mean absolute activations by width, step and layer.

    Attributes
    ----------
    widths
        Widths tried, (W,).
    layers
        Names of layers, L of them; the outputs last.
    size
        Mean absolute activation, (W, steps + 1, L); step 0 is before training.
    change
        Mean absolute difference from the activation before training, the same shape.
    slope
        Slope of log change after the last step against log width, (L,): 0 where training moves
        a layer's activations as much at any width, above where it moves wide layers more.
    """

    widths: npt.NDArray[np.int64]
    layers: tuple[str, ...]
    size: npt.NDArray[np.float64]
    change: npt.NDArray[np.float64]
    slope: npt.NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return {
            "widths": self.widths.tolist(),
            "layers": list(self.layers),
            "size": self.size.tolist(),
            "change": self.change.tolist(),
            "slope": self.slope.tolist(),
        }

    def __repr__(self) -> str:
        slopes = ", ".join(f"{n} {s:+.2f}" for n, s in zip(self.layers, self.slope, strict=True))
        return f"CoordinateCheck(widths {self.widths.min()} to {self.widths.max()}; {slopes})"


def coordinate_check(
    spec: RunSpec,
    data: Data,
    *,
    widths: Sequence[int] = (32, 64, 128, 256, 512, 1024),
    steps: int = 5,
    seeds: int = 3,
    device: str = "cpu",
) -> CoordinateCheck:
    """Train a few steps at each width, and see how large activations are and how far they move.

    Under a right width rule the change of every layer keeps its size as the width grows; under
    the standard rule at one rate it grows, until training is unstable. The rate does not fall, and
    there is no warm-up.

    Parameters
    ----------
    spec
        The run; its width, seed, steps and schedule are replaced.
    data
        What it learns from. Activations are taken on the first batch.
    widths
        At least two.
    steps
        Steps of training.
    seeds
        Networks over which activations are averaged.
    device
        A device of torch.

    Raises
    ------
    InputError
        For fewer than two widths, or no steps or seeds.

    References
    ----------
    Yang et al. 2022, arXiv:2203.03466, appendix D.1.
    """
    if len(set(widths)) < 2 or steps < 1 or seeds < 1:
        raise InputError(
            f"widths = {list(widths)}, steps = {steps}, seeds = {seeds}: give at least two widths, "
            "one step, one seed"
        )
    base = replace(spec, steps=steps, schedule="constant", warmup=0)
    runs = [replace(base, model=of_width(spec.model, w)) for w in widths]
    found = [
        [_one(replace(run, seed=spec.seed + k), data, device) for k in range(seeds)] for run in runs
    ]
    layers = tuple(found[0][0][0])
    both = np.array([np.mean([[size, change] for _, size, change in f], 0) for f in found])
    size, change = both[:, 0], both[:, 1]
    with np.errstate(divide="ignore"):
        slope = np.polyfit(np.log(np.asarray(widths, float)), np.log(change[:, -1]), 1)[0]
    return CoordinateCheck(
        widths=np.asarray(widths, np.int64), layers=layers, size=size, change=change, slope=slope
    )


Sizes = list[list[float]]


def _one(spec: RunSpec, data: Data, device: str) -> tuple[list[str], Sizes, Sizes]:
    """Names of layers, sizes and changes of one network."""
    source = Source(spec, data, device)
    order = order_of(spec, source)
    walker = Walker(spec, source, data.features)
    probe, _ = source.batch(order.at(0))
    first = _activations(walker.model, probe)
    sizes, changes = [], []
    for step in range(spec.steps + 1):
        now = _activations(walker.model, probe)
        sizes.append([float(a.abs().mean()) for a in now.values()])
        changes.append([float((a - first[n]).abs().mean()) for n, a in now.items()])
        if step < spec.steps:
            walker.walk(spec, order, step, step + 1)
    return list(first), sizes, changes


@torch.no_grad()
def _activations(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return outputs of layers and blocks, before activation functions, and of the whole."""
    seen: dict[str, Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.Embedding, Block)):

            def keep(_m: nn.Module, _i: Any, out: Tensor, name: str = name) -> None:
                seen[name] = out.detach().clone()

            hooks.append(module.register_forward_hook(keep))
    try:
        out = model(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not any(value.shape == out.shape and torch.equal(value, out) for value in seen.values()):
        seen["outputs"] = out
    return seen
