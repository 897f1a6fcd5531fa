"""Many perceptrons of one shape side by side: gradients, clipping and steps of all at once.

Gradients are written out by hand into buffers made once. Autograd would allocate every
intermediate anew, and a small network spends more time on that than on arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from isoloss.sweep.shapes import Mlp

_aten = torch.ops.aten
_AT_ONCE = 2**19
"""Numbers in one layer's outputs when all members look at held-out data: a few MB."""


_TINY = torch.finfo(torch.float32).tiny


class Stack:
    """K perceptrons: layer l holds weights (K, out, in) and biases (K, out).

    All parameters lie in the flat buffer ``values``, tensor after tensor, those of the first
    member first in each; their gradients lie alike in ``gradients``. Outputs are kept as
    (K, outputs, batch): sums over the few outputs then run along long rows.

    Parameters
    ----------
    shape
        Hidden layers, the same for all members.
    features, outputs
        Sizes of one input and one output.
    starts
        Initial parameters of each member: weights (out, in) and biases, layer by layer, as
        `torch.nn.Module.parameters` gives them.
    batch
        Examples each member sees in a step.
    squared
        Loss: the mean over examples of the sum of squared errors, or else cross-entropy in nats.
    """

    def __init__(
        self,
        shape: Mlp,
        features: int,
        outputs: int,
        starts: Sequence[Sequence[Tensor]],
        *,
        batch: int,
        squared: bool,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        K = self.K = len(starts)
        self.batch, self.squared = batch, squared
        make: dict[str, Any] = {"device": device, "dtype": dtype}
        sizes = [features, *[shape.width] * shape.depth, outputs]
        shapes = [s for i, o in pairwise(sizes) for s in ((K, o, i), (K, o))]
        self.values = torch.empty(sum(math.prod(s) for s in shapes), **make)
        self.gradients = torch.zeros_like(self.values)
        self.tensors = _views(self.values, shapes)
        self.slopes = _views(self.gradients, shapes)
        for own, given in zip(self.tensors, zip(*starts, strict=True), strict=True):
            own.copy_(torch.stack(list(given)))
        self.x = torch.empty(K, batch, features, **make)
        self._before = [torch.empty(K, batch, shape.width, **make) for _ in range(shape.depth)]
        self._activate, self._back, in_place = _ACTIVATIONS[shape.activation]
        self._after = self._before if in_place else [torch.empty_like(z) for z in self._before]
        self._error = [torch.empty_like(z) for z in self._before[:2]]
        self._out = torch.empty(K, outputs, batch, **make)
        self._left = torch.empty_like(self._out)
        self._minus = torch.full((K, 1, batch), -1.0, **make)
        self._norms = torch.empty(len(shapes), K, **make)

    def gradient(self, y: Tensor) -> Tensor:
        """Fill ``gradients`` with those of the mean loss of the batch in ``x``; return the losses.

        ``y`` holds labels (K, batch), or for squared errors targets (K, batch, outputs). The
        losses (K,) are by-products: cross-entropies of single examples saturate at 87 nats, where
        probabilities vanish in float32. `batch_losses` are exact.
        """
        below = self.x
        for i, (z, h) in enumerate(zip(self._before, self._after, strict=True)):
            W, b = self.tensors[2 * i : 2 * i + 2]
            torch.baddbmm(b[:, None], below, W.mT, out=z)
            self._activate(z, h)
            below = h
        W, b = self.tensors[-2:]
        torch.baddbmm(b[:, :, None], W, below.mT, out=self._out)
        left = self._left
        if self.squared:
            torch.sub(self._out, y.mT, out=left)
            losses = torch.linalg.vector_norm(left.view(self.K, -1), dim=1).square_()
            losses.mul_(1 / self.batch)
            left.mul_(2 / self.batch)
        else:
            torch.softmax(self._out, 1, out=left)
            losses = left.gather(1, y[:, None]).clamp_min_(_TINY).log_().sum((1, 2))
            losses.mul_(-1 / self.batch)
            left.scatter_add_(1, y[:, None], self._minus).mul_(1 / self.batch)
        torch.bmm(left, below, out=self.slopes[-2])
        torch.sum(left, 2, out=self.slopes[-1])
        delta = torch.bmm(left.mT, W, out=self._error[0])
        for i in reversed(range(len(self._before))):
            self._back(delta, self._before[i], self._after[i])
            torch.bmm(delta.mT, self._after[i - 1] if i else self.x, out=self.slopes[2 * i])
            torch.sum(delta, 1, out=self.slopes[2 * i + 1])
            if i:
                other = self._error[1 if delta is self._error[0] else 0]
                delta = torch.bmm(delta, self.tensors[2 * i], out=other)
        return losses

    def batch_losses(self, y: Tensor) -> Tensor:
        """Mean loss (K,) of the batch whose `gradient` was last computed."""
        return self._losses(self._out, y.mT if self.squared else y[:, None]).mean(1)

    def clip(self, most: float) -> None:
        """Shrink the gradient of each member whose norm exceeds ``most``."""
        if math.isinf(most):
            return
        K = self.K
        for slope, norm in zip(self.slopes, self._norms, strict=True):
            torch.linalg.vector_norm(slope.view(K, -1), dim=1, out=norm)
        # The small number and the order are those of torch.nn.utils.clip_grad_norm_.
        shrink = most / (torch.linalg.vector_norm(self._norms, dim=0) + 1e-6)
        if shrink.device.type == "cpu" and bool(shrink.min() >= 1):
            return
        shrink.clamp_(max=1)
        for slope in self.slopes:
            slope.mul_(shrink.view(K, *[1] * (slope.dim() - 1)))

    def evaluate(
        self, x: Tensor, y: Tensor, tensors: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean loss (K,) and wrong answers by class (K, outputs; no meaning for numbers).

        ``x`` is (n, features), the same for all members; ``y`` labels (n,) or targets
        (n, outputs); ``tensors`` other parameters than the present ones.
        """
        loss = torch.zeros(self.K, dtype=torch.float64, device=x.device)
        wrong = torch.zeros(self.K, self._out.shape[1], dtype=torch.float64, device=x.device)
        for rows, out, _ in self.outputs(x, tensors):
            target = y[rows]
            each = target.mT if self.squared else target[None]
            loss += self._losses(out, each.expand(self.K, *each.shape)).double().sum(1)
            labels = target.argmax(1) if self.squared else target
            wrong.index_add_(1, labels, (out.argmax(1) != labels).double())
        return loss / len(x), wrong

    def outputs(
        self, x: Tensor, tensors: Sequence[Tensor] | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield rows of ``x``, outputs (K, outputs, rows), and what enters the last layer.

        ``x`` and ``tensors`` are as for `evaluate`; the last layer takes (K, rows, width).
        """
        tensors = self.tensors if tensors is None else tensors
        step = max(1, _AT_ONCE // (self.K * max(self._out.shape[1], self._before[0].shape[2])))
        for start in range(0, len(x), step):
            part = x[start : start + step]
            h = part.expand(self.K, *part.shape)
            for W, b in zip(tensors[:-2:2], tensors[1:-2:2], strict=True):
                z = torch.baddbmm(b[:, None], h, W.mT)
                h = z if self._after is self._before else torch.empty_like(z)
                self._activate(z, h)
            out = torch.baddbmm(tensors[-1][:, :, None], tensors[-2], h.mT)
            yield slice(start, start + len(part)), out, h

    def _losses(self, out: Tensor, y: Tensor) -> Tensor:
        """Loss of each example, (K, batch)."""
        if self.squared:
            return (out - y).square_().sum(1)
        return torch.logsumexp(out, 1) - out.gather(1, y)[:, 0]

    def split(self, flat: Tensor) -> list[Tensor]:
        """View a flat buffer as the parameters' tensors."""
        return _views(flat, [tuple(t.shape) for t in self.tensors])


class AdamW:
    """Steps of AdamW, each member at its own rate, as one pass over the flat buffers."""

    def __init__(
        self, stack: Stack, rates: Sequence[float], *, betas: tuple[float, float], decay: float
    ) -> None:
        self._stack, self._decay = stack, decay
        self.state = [torch.zeros_like(stack.values) for _ in range(2)]
        self._count = torch.zeros((), dtype=torch.float32, device=stack.values.device)
        self._rates = _rates(stack, rates)
        self._fixed = {"beta1": betas[0], "beta2": betas[1], "eps": 1e-8}
        self._fixed |= {"amsgrad": False, "maximize": False}
        # The kernel knows one rate. Where members differ it moves zeros at rate 1, and what they
        # became is the direction of every member.
        alike = isinstance(self._rates, float)
        self._moved = stack.values if alike else torch.zeros_like(stack.values)

    def step(self, number: int, factor: float) -> None:
        """Take step ``number``, counted from 0, at ``factor`` times each member's rate."""
        stack, rates = self._stack, self._rates
        self._count.fill_(number + 1)
        rate, decay = factor, 0.0
        if isinstance(rates, float):
            rate, decay = factor * rates, self._decay
        else:
            self._moved.zero_()
        torch._fused_adamw_(
            [self._moved],
            [stack.gradients],
            [self.state[0]],
            [self.state[1]],
            [],
            [self._count],
            lr=rate,
            weight_decay=decay,
            **self._fixed,
        )
        if not isinstance(rates, float):
            if self._decay:
                stack.values.addcmul_(stack.values, rates, value=-factor * self._decay)
            stack.values.addcmul_(self._moved, rates)


class Sgd:
    """Steps along the gradient with momentum, each member at its own rate."""

    def __init__(
        self, stack: Stack, rates: Sequence[float], *, momentum: float, decay: float
    ) -> None:
        self._stack, self._momentum, self._decay = stack, momentum, decay
        self.state = [torch.zeros_like(stack.values)]
        self._rates = _rates(stack, rates)

    def step(self, number: int, factor: float) -> None:
        """Take a step at ``factor`` times each member's rate."""
        stack, (moving,) = self._stack, self.state
        if self._decay:
            stack.gradients.add_(stack.values, alpha=self._decay)
        moving.mul_(self._momentum).add_(stack.gradients)
        if isinstance(self._rates, float):
            stack.values.add_(moving, alpha=-factor * self._rates)
        else:
            stack.values.addcmul_(moving, self._rates, value=-factor)


def _rates(stack: Stack, rates: Sequence[float]) -> float | Tensor:
    """One rate where all agree, else the rate of each number in the flat buffer."""
    if len(set(rates)) == 1:
        return float(rates[0])
    spread = torch.empty_like(stack.values)
    each = torch.tensor(rates, dtype=spread.dtype, device=spread.device)
    for tensor in stack.split(spread):
        tensor.copy_(each.view(-1, *[1] * (tensor.dim() - 1)).expand_as(tensor))
    return spread


def _views(flat: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    parts = flat.split([math.prod(s) for s in shapes])
    return [part.view(s) for part, s in zip(parts, shapes, strict=True)]


def _erf_back(delta: Tensor, z: Tensor, h: Tensor) -> None:
    delta.mul_(z.square_().neg_().exp_()).mul_(2 / math.sqrt(math.pi))


_Forward = Callable[[Tensor, Tensor], Any]
_Backward = Callable[[Tensor, Tensor, Tensor], Any]
# Forward from z into h; backward on what comes from above, in place; whether h may be z itself.
_ACTIVATIONS: dict[str, tuple[_Forward, _Backward, bool]] = {
    "relu": (
        lambda z, h: torch.clamp_min(z, 0, out=h),
        lambda d, z, h: _aten.threshold_backward.grad_input(d, h, 0, grad_input=d),
        True,
    ),
    "tanh": (
        lambda z, h: torch.tanh(z, out=h),
        lambda d, z, h: _aten.tanh_backward.grad_input(d, h, grad_input=d),
        True,
    ),
    "gelu": (
        lambda z, h: _aten.gelu.out(z, approximate="none", out=h),
        lambda d, z, h: _aten.gelu_backward.grad_input(d, z, approximate="none", grad_input=d),
        False,
    ),
    "erf": (lambda z, h: torch.erf(z, out=h), _erf_back, False),
}
