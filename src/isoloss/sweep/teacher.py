"""Train many students of one teacher at once: all of them see the same samples."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from isoloss.errors import InputError
from isoloss.sweep.students import StudentSpec, spec_fields
from isoloss.theory.on_device import check_device
from isoloss.theory.teacher import draw_teacher

JUDGED = 16_384
"""Fresh inputs on which a student is compared with its teacher."""

LEFT = 1e-4
"""Part of the stick that the teachers leave unbroken: what is cut is below 1e-8 of the logit's
variance, and a teacher of 60 then has 550 neurons."""

_BETA1, _BETA2, _TINY = 0.9, 0.99, 1e-8


class Students:
    """Neurons of several students side by side: one product with the inputs serves them all.

    Students are given by width; those of one width stand together, so that logits are sums over
    rows of a view.
    """

    def __init__(self, specs: Sequence[StudentSpec], device: str) -> None:
        self.widths = [s.n for s in specs]
        parts = [_start(s) for s in specs]
        self.W = torch.cat([w for w, _ in parts]).to(device)
        self.a = torch.cat([a for _, a in parts]).to(device)
        of = [torch.full((n,), i) for i, n in enumerate(self.widths)]
        self.student = torch.cat(of).to(device)
        self.lr = torch.tensor([s.lr for s in specs], device=device)[self.student]
        self.moments = [torch.zeros_like(v) for v in (self.W, self.W, self.a, self.a)]

    def logits(self, hidden: Tensor) -> Tensor:
        """Sum the neurons of each student: (batch, neurons) to (batch, students)."""
        weighted, out, start, i = hidden * self.a, [], 0, 0
        while i < len(self.widths):
            n = self.widths[i]
            alike = self.widths.count(n)
            block = weighted[:, start : start + alike * n]
            out.append(block.unflatten(1, (alike, n)).sum(2))
            start, i = start + alike * n, i + alike
        return torch.cat(out, 1)

    def gradient(self, X: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the mean log loss of every student in its own W and a."""
        hidden = (X @ self.W.T).relu_()
        left = (self.logits(hidden).sigmoid_() - y[:, None]) / len(X)
        left = left[:, self.student]
        return ((hidden > 0) * left).T @ X * self.a[:, None], (hidden * left).sum(0)

    def step(self, X: Tensor, y: Tensor, step: int, steps: int) -> None:
        """One step of Adam, its rate falling to zero as a cosine."""
        shrink = 0.5 * (1 + math.cos(math.pi * step / steps))
        rate = self.lr * (shrink / (1 - _BETA1 ** (step + 1)))
        debias = 1 / math.sqrt(1 - _BETA2 ** (step + 1))
        mW, vW, ma, va = self.moments
        gW, ga = self.gradient(X, y)
        for value, g, m, v, r in ((self.W, gW, mW, vW, rate[:, None]), (self.a, ga, ma, va, rate)):
            m.lerp_(g, 1 - _BETA1)
            v.mul_(_BETA2).addcmul_(g, g, value=1 - _BETA2)
            value -= r * m / (v.sqrt() * debias + _TINY)


def train_students(specs: Sequence[StudentSpec], *, device: str = "cpu") -> list[dict[str, Any]]:
    """Train students of one stream together and return their rows of the ledger.

    A student's result does not depend on who trains beside it, but for rounding, which long
    training at a high rate can amplify to some percent of the loss. ``loss`` is the
    divergence from the teacher's true conditional in nats, the mean over fresh inputs: the log
    loss above the irreducible part, without its noise.
    """
    check_device(device)
    specs = sorted(specs, key=lambda s: (s.n, s.lr))
    first = specs[0]
    if any(s.stream != first.stream for s in specs):
        raise InputError("specs: students of different streams cannot train together")
    if device == "cpu":
        torch.set_num_threads(1)
    source = np.random.default_rng([first.teacher, first.d, first.K])
    teacher = draw_teacher(first.d, first.K, source, left=LEFT)
    atoms = torch.tensor(teacher.atoms.T, dtype=torch.float32, device=device).contiguous()
    slopes = torch.tensor(teacher.slopes, dtype=torch.float32, device=device)
    students = Students(specs, device)
    started = time.perf_counter()
    with torch.no_grad():
        for step, (X, y) in enumerate(_stream(first, atoms, slopes, device)):
            students.step(X, y, step, first.updates)
        losses = _judge(first, students, atoms, slopes, device)
    seconds = (time.perf_counter() - started) / len(specs)
    return [
        {"run": s.name, "loss": loss, "steps": s.updates, "samples": s.samples, "batch": s.batch}
        | spec_fields(s)
        | {"seconds": round(seconds, 3), "device": device, "torch": torch.__version__}
        for s, loss in zip(specs, losses, strict=True)
    ]


def _start(spec: StudentSpec) -> tuple[Tensor, Tensor]:
    """Draw initial weights: the same whatever the learning rate and the number of samples."""
    source = np.random.default_rng([spec.teacher, spec.d, spec.K, spec.n])
    W = source.standard_normal((spec.n, spec.d)) / math.sqrt(spec.d)
    a = source.standard_normal(spec.n) / spec.n
    return torch.tensor(W, dtype=torch.float32), torch.tensor(a, dtype=torch.float32)


def _stream(
    spec: StudentSpec, atoms: Tensor, slopes: Tensor, device: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of inputs and labels, drawn many at a time."""
    seed = np.random.SeedSequence(spec.stream).generate_state(1, np.uint64)[0]
    source = torch.Generator(device).manual_seed(int(seed >> np.uint64(1)))
    together = max(1, 2048 // spec.batch)
    for start in range(0, spec.updates, together):
        k = min(together, spec.updates - start)
        X = torch.randn(k * spec.batch, spec.d, generator=source, device=device)
        chance = ((X @ atoms).relu_() @ slopes).sigmoid_()
        y = (torch.rand(len(X), generator=source, device=device) < chance).float()
        yield from zip(X.split(spec.batch), y.split(spec.batch), strict=True)


def _judge(
    spec: StudentSpec, students: Students, atoms: Tensor, slopes: Tensor, device: str
) -> list[float]:
    """Divergence of each student from its teacher; NaN where training diverged."""
    source = torch.Generator(device).manual_seed(spec.teacher)
    total = torch.zeros(len(students.widths), dtype=torch.float64, device=device)
    for _ in range(JUDGED // 2048):
        X = torch.randn(2048, spec.d, generator=source, device=device)
        f = ((X @ atoms).relu_() @ slopes).double()[:, None]
        g = students.logits((X @ students.W.T).relu_()).double()
        total += (f.sigmoid() * (f - g) + F.softplus(g) - F.softplus(f)).sum(0)
    found = (total / JUDGED).tolist()
    return [x if math.isfinite(x) else math.nan for x in found]
