"""Batches of the training part, and losses on the held-out parts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isoloss.errors import InputError
from isoloss.sweep.data.table import Data
from isoloss.sweep.shapes import Transformer
from isoloss.sweep.spec import RunSpec

BLOCKS: dict[str, int] = {"valid": 256, "test": 1024}
"""Blocks of text on which a loss is measured, evenly spaced over the part."""

_AT_ONCE = {"text": 64, "classes": 512, "numbers": 512}


class Source:
    """What a run learns from, on its device.

    Parameters
    ----------
    spec, data
        The run and its data.
    device
        A device of torch.

    Raises
    ------
    InputError
        Where the loss does not fit the data, or a part is too small.
    """

    def __init__(self, spec: RunSpec, data: Data, device: str) -> None:
        self.kind, self.outputs, self.device = data.kind, data.outputs, device
        self.squared = spec.loss == "squared" or (spec.loss == "auto" and data.kind == "numbers")
        if self.squared and data.kind == "text":
            raise InputError("loss = 'squared': text is learned by cross-entropy")
        if not self.squared and data.kind == "numbers":
            raise InputError("loss = 'cross-entropy': the targets are numbers; use 'squared'")
        self.context = spec.model.context if isinstance(spec.model, Transformer) else 0
        parts = {"train": (data.train_x, data.train_y), "valid": (data.valid_x, data.valid_y)}
        parts["test"] = (data.test_x, data.test_y)
        for name, (x, _) in parts.items():
            if len(x) <= self.context:
                raise InputError(
                    f"data: {len(x)} examples or bytes in the {name} part; "
                    f"at least {self.context + 1} are needed"
                )
        self.examples = data.examples
        self.x, self.y = (_tensor(a, device) for a in parts["train"])
        self.parts = {name: parts[name] for name in ("valid", "test")}
        if self.context:
            self.examples = (data.examples - 1) // self.context
            self.offsets = torch.arange(self.context + 1, device=device)

    def batch(self, chosen: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of the examples, or blocks, of these numbers."""
        index = torch.from_numpy(chosen).to(self.device)
        if self.context:
            block = self.x[(index * self.context)[:, None] + self.offsets].long()
            return block[:, :-1], block[:, 1:]
        return self.x.index_select(0, index), self.y.index_select(0, index)

    def loss(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Mean loss over the batch; squared errors are summed over outputs."""
        return self._loss(model(x), y, "mean")

    @torch.no_grad()
    def evaluate(self, model: nn.Module, part: str) -> tuple[float, npt.NDArray[Any] | None]:
        """Loss on a held-out part, and of classes the wrong answers by class."""
        total, wrong, n = 0.0, np.zeros(self.outputs, dtype=np.int64), 0
        for x, y in self._pieces(part):
            out = model(x)
            total += float(self._loss(out, y, "sum"))
            if self.kind == "classes":
                missed = y[out.argmax(1) != y].cpu().numpy()
                wrong += np.bincount(missed, minlength=self.outputs)
            n += y.numel() if self.context else len(y)
        return total / n, wrong if self.kind == "classes" else None

    def _loss(self, out: Tensor, y: Tensor, reduction: str) -> Tensor:
        if not self.squared:
            flat = out.reshape(-1, self.outputs)
            return F.cross_entropy(flat, y.reshape(-1), reduction=reduction)
        if self.kind == "classes":
            y = F.one_hot(y, self.outputs).to(out.dtype)
        summed = F.mse_loss(out, y.reshape(out.shape), reduction="sum")
        return summed / len(out) if reduction == "mean" else summed

    def _pieces(self, part: str) -> Any:
        """Yield inputs and targets of a part, some at a time."""
        x, y = self.parts[part]
        if self.context:
            last = len(x) - self.context - 1
            starts = np.linspace(0, last, min(BLOCKS[part], last + 1)).astype(np.int64)
            x = x[starts[:, None] + np.arange(self.context + 1)].astype(np.int64)
        size = _AT_ONCE[self.kind]
        for i in range(0, len(x), size):
            piece = _tensor(x[i : i + size], self.device)
            if self.context:
                yield piece[:, :-1], piece[:, 1:]
            else:
                yield piece, _tensor(y[i : i + size], self.device)


def _tensor(array: npt.NDArray[Any], device: str) -> Tensor:
    # Tensors share the memory of arrays; torch warns of read-only ones, and nothing here writes.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable")
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)
