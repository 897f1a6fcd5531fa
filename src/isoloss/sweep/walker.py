"""A network and its optimiser on the way: steps, and all the numbers that steps change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from isoloss.errors import InputError
from isoloss.sweep.models.build import build
from isoloss.sweep.models.width import groups
from isoloss.sweep.order import Order
from isoloss.sweep.schedule import rate
from isoloss.sweep.source import Source
from isoloss.sweep.spec import RunSpec

RECENT = 50
"""Losses of steps that are kept: divergence is looked for this often, and ``train_loss`` is their
mean."""

BOUND = 1e3
"""A loss of a step above this many times that of the first is divergence."""


class Walker:
    """State of training: weights, moments of the optimiser, losses of the latest steps.

    Parameters
    ----------
    spec
        The run that gives model, optimiser and seed.
    source
        Its data.
    features
        Shape of one input.
    """

    def __init__(self, spec: RunSpec, source: Source, features: tuple[int, ...]) -> None:
        self.source = source
        self.model = build(spec, features, source.outputs).to(source.device)
        self.parameters = list(self.model.parameters())
        self.optimiser: torch.optim.Optimizer
        own = groups(self.model, spec)
        if spec.optimiser == "adamw":
            betas = (spec.beta1, spec.beta2)
            self.optimiser = torch.optim.AdamW(own, lr=spec.lr, betas=betas, fused=True)
        else:
            self.optimiser = torch.optim.SGD(own, lr=spec.lr, momentum=spec.beta1)
        self.recent = torch.full((RECENT,), math.nan, device=source.device)
        self.first = torch.full((), math.nan, device=source.device)
        self._begin(spec)

    def _begin(self, spec: RunSpec) -> None:
        """Make the optimiser's state now as the first step would, so that it can be filled in."""
        for p in self.parameters:
            zero = torch.zeros_like(p, memory_format=torch.preserve_format)
            if spec.optimiser == "adamw":
                state: dict[str, Any] = {"step": torch.zeros((), device=p.device)}
                state |= {"exp_avg": zero, "exp_avg_sq": zero.clone()}
            else:
                state = {"momentum_buffer": zero} if spec.beta1 else {}
            self.optimiser.state[p] = state

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a step changes, by name; not copies."""
        named = {"recent": self.recent, "first": self.first}
        for name, p in self.model.named_parameters():
            named[name] = p.detach()
            for part, value in self.optimiser.state[p].items():
                named[f"{name} {part}"] = value
        return named

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """Go to a state that `tensors` gave."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])

    def walk(self, spec: RunSpec, order: Order, start: int, stop: int) -> None:
        """Take the steps of a run from ``start`` to before ``stop``."""
        optimiser, source = self.optimiser, self.source
        clip = math.isfinite(spec.clip)
        for step in range(start, stop):
            x, y = source.batch(order.at(step))
            lr = rate(spec, step)
            for group in optimiser.param_groups:
                group["lr"] = lr * group["factor"]
            loss = source.loss(self.model, x, y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(self.parameters, spec.clip)
            optimiser.step()
            self.recent[step % RECENT] = loss.detach()
            if step == 0:
                self.first.copy_(loss.detach())

    def trouble(self, steps: int) -> str:
        """Say why the run must end after so many steps; empty where it need not."""
        worst = float(self.recent[:steps].max())
        bound = BOUND * float(self.first)
        if math.isnan(worst) or not worst <= (bound or math.inf):
            return f"training loss {worst:.3g} within {RECENT} steps before step {steps}"
        return ""

    def train_loss(self, steps: int) -> float:
        """Mean loss of the latest steps, before each was taken."""
        return float(self.recent[:steps].double().mean())


def order_of(spec: RunSpec, source: Source) -> Order:
    """Order of the examples of a run.

    Raises
    ------
    InputError
        When D asks for more than the data hold.
    """
    if spec.unit > spec.D:
        raise InputError(f"D = {spec.D}: less than one sequence of {spec.unit} bytes; raise D")
    return Order(spec, source.examples)
