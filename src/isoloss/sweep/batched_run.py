"""Train a stack of perceptrons, look at held-out data on the way, save, resume."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isoloss.sweep.batched_state import Record, Saver
from isoloss.sweep.counts import counts
from isoloss.sweep.data.table import Data
from isoloss.sweep.models.build import build
from isoloss.sweep.order import Order
from isoloss.sweep.row import class_errors, row
from isoloss.sweep.schedule import looks, rate
from isoloss.sweep.shapes import Mlp
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.stack import AdamW, Sgd, Stack
from isoloss.sweep.walker import BOUND, RECENT
from isoloss.theory.on_device import check_device

_INDICES = 2**18

Chosen = tuple[npt.NDArray[np.int64] | None, str]
"""Rows of the training part that a run may see, None for all; digest of these data."""


class Held:
    """The data as tensors, and the loss that the runs take on them."""

    def __init__(self, spec: RunSpec, data: Data, device: str, dtype: str) -> None:
        self.data, self.device, self.dtype = data, device, getattr(torch, dtype)
        self.classes = data.kind == "classes"
        self.squared = spec.loss == "squared" or (spec.loss == "auto" and not self.classes)
        self.train = self._pair(data.train_x, data.train_y)
        self.valid = self._pair(data.valid_x, data.valid_y)
        self.test = self._pair(data.test_x, data.test_y)

    def _pair(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[Tensor, Tensor]:
        # Torch shares the memory of arrays, and warns of those that are read-only.
        inputs = torch.from_numpy(np.require(x.reshape(len(x), -1), requirements=("C", "W")))
        targets = torch.from_numpy(np.require(y, requirements=("C", "W")))
        if not self.squared:
            return inputs.to(self.device, self.dtype), targets.to(self.device, torch.int64)
        if self.classes:
            targets = torch.nn.functional.one_hot(targets.long(), self.data.outputs)
        targets = targets.reshape(len(targets), -1)
        return inputs.to(self.device, self.dtype), targets.to(self.device, self.dtype)


def run_stack(
    specs: Sequence[RunSpec],
    data: Data,
    *,
    at_once: int,
    device: str,
    checkpoint: Path | None,
    dtype: str,
    chosen: Sequence[Chosen],
) -> list[dict[str, Any]]:
    """Train runs that share a key; see `isoloss.sweep.batched.train_batched`."""
    orders = [
        Order(spec, data.examples, rows) for spec, (rows, _) in zip(specs, chosen, strict=True)
    ]
    digests = [digest for _, digest in chosen]
    names = json.dumps([[s.name for s in specs], data.digest, digests, device, dtype, at_once])
    saver = Saver(checkpoint, hashlib.sha256(names.encode()).hexdigest())
    saved = saver.read()
    rows = saved[0].rows if saved else []
    with computing(device):
        held = Held(specs[0], data, device, dtype)
        for start in range(len(rows), len(specs), at_once):
            part = slice(start, start + at_once)
            run = Together(specs[part], orders[part], held, saver, rows, digests[part])
            if saved:
                run.resume(*saved)
                saved = None
            run.train()
            rows = rows + run.rows()
    return rows


@contextmanager
def computing(device: str) -> Iterator[None]:
    """Compute without autograd on a device that is there, on one thread where it is the CPU."""
    check_device(device)
    threads = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


class Together:
    """Members that train together, and their state."""

    def __init__(
        self,
        specs: Sequence[RunSpec],
        orders: Sequence[Order],
        held: Held,
        saver: Saver,
        rows: list[dict[str, Any]],
        digests: Sequence[str],
        watched: Mapping[int, Callable[[], None]] | None = None,
    ) -> None:
        self.specs, self.orders, self.held, self.saver = specs, orders, held, saver
        self.digests, self.watched = digests, watched
        first, K, data = specs[0], len(specs), held.data
        self.first = first
        features = math.prod(data.features)
        assert isinstance(first.model, Mlp)
        self.stack = Stack(
            first.model,
            features,
            data.outputs,
            [_initial(spec, data) for spec in specs],
            batch=first.batch,
            squared=held.squared,
            device=held.device,
            dtype=held.dtype,
        )
        rates, decay = [spec.lr for spec in specs], first.weight_decay
        self.optimiser: AdamW | Sgd
        if first.optimiser == "adamw":
            betas = (first.beta1, first.beta2)
            self.optimiser = AdamW(self.stack, rates, betas=betas, decay=decay)
        else:
            self.optimiser = Sgd(self.stack, rates, momentum=first.beta1, decay=decay)
        self.best = self.stack.values.clone() if first.choose == "best" else None
        self.recent = torch.full((RECENT, K), math.nan, device=held.device, dtype=held.dtype)
        self.first_loss = torch.full_like(self.recent[0], math.nan)
        self.record = Record(
            runs=saver.runs,
            rows=rows,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            stopped=[0] * K,
            reasons=[""] * K,
            best=[math.inf] * K,
            chosen=[0] * K,
            curves=[[] for _ in specs],
        )

    def buffers(self) -> list[Tensor]:
        """All numbers that training changes."""
        best = [] if self.best is None else [self.best]
        return [self.stack.values, *self.optimiser.state, self.recent, self.first_loss, *best]

    def resume(self, record: Record, numbers: bytes) -> None:
        """Go on from what was saved, if it fits."""
        buffers = self.buffers()
        sizes = [buffer.nbytes for buffer in buffers]
        if not record.fits(len(self.specs), self.first.updates) or sum(sizes) != len(numbers):
            return
        self.record = record
        start = 0
        for buffer, size in zip(buffers, sizes, strict=True):
            saved = np.frombuffer(numbers[start : start + size], str(buffer.dtype)[6:])
            # A copy: torch warns of arrays that are read-only.
            buffer.copy_(torch.from_numpy(saved.copy()).view_as(buffer))
            start += size

    def train(self) -> None:
        """Take the remaining steps. Where some are watched, held-out data are not looked at."""
        first, stack, record, K = self.first, self.stack, self.record, len(self.specs)
        x, labels = self.held.train
        updates, watched = first.updates, self.watched
        looks_at = looks(first) if watched is None else watched
        factors = [rate(first, step) / first.lr for step in range(updates)]
        flat = stack.x.view(K * first.batch, -1)
        ahead = max(1, _INDICES // (K * first.batch))
        clock, cpu = time.perf_counter(), time.process_time()
        before = record.seconds, record.cpu_seconds
        for start in range(record.step, updates, ahead):
            stop = min(start + ahead, updates)
            indices = np.stack([order.span(start, stop) for order in self.orders], 1)
            chosen = torch.from_numpy(indices).to(self.held.device)
            targets = labels[chosen]
            for step in range(start, stop):
                torch.index_select(x, 0, chosen[step - start].view(-1), out=flat)
                y = targets[step - start]
                self.recent[step % RECENT] = stack.gradient(y)
                if step == 0:
                    self.first_loss.copy_(self.recent[0])
                stack.clip(first.clip)
                self.optimiser.step(step, factors[step])
                done = step + 1
                at_bound = done % RECENT == 0 or done == updates
                if not at_bound and done not in looks_at:
                    continue
                record.step = done
                if at_bound:
                    self._drop(stack.batch_losses(y))
                if watched is not None and done in watched:
                    watched[done]()
                elif done in looks_at:
                    self._look()
                record.seconds = before[0] + time.perf_counter() - clock
                record.cpu_seconds = before[1] + time.process_time() - cpu
                if all(record.reasons):
                    return
                if done < updates and self.saver.due():
                    self.saver.save(record, [b.cpu().numpy().tobytes() for b in self.buffers()])

    def _look(self) -> None:
        """Evaluate on the validation part; keep the weights of those that improved."""
        record = self.record
        losses = self.stack.evaluate(*self.held.valid)[0].tolist()
        step = record.step
        better = []
        for k, loss in enumerate(losses):
            if record.reasons[k]:
                continue
            record.curves[k].append([step, step * self.first.batch, loss])
            if loss < record.best[k]:
                record.best[k] = loss
                record.chosen[k] = step
                better.append(k)
        if self.best is not None and better:
            which = torch.tensor(better, device=self.held.device)
            for kept, now in zip(self.stack.split(self.best), self.stack.tensors, strict=True):
                kept[which] = now[which]

    def _drop(self, now: Tensor) -> None:
        """Note who diverged. They run on beside the others, out of whose numbers theirs stay."""
        steps = self.record.step
        worst = torch.maximum(self.recent[:steps].amax(0), now).tolist()
        for k, (loss, start) in enumerate(zip(worst, self.first_loss.tolist(), strict=True)):
            if not loss <= (BOUND * start or math.inf):
                self._end(k, f"training loss {loss:.3g} within {RECENT} steps before step {steps}")

    def _end(self, k: int, reason: str) -> None:
        if not self.record.reasons[k]:
            self.record.reasons[k], self.record.stopped[k] = reason, self.record.step

    def rows(self) -> list[dict[str, Any]]:
        """Look at the test part and return the rows."""
        record, best = self.record, self.best
        clock, cpu = time.perf_counter(), time.process_time()
        losses, missed = self.stack.evaluate(*self.held.test)
        last = loss = losses.tolist()
        if best is not None:
            losses, missed = self.stack.evaluate(*self.held.test, self.stack.split(best))
            loss = losses.tolist()
        for k, value in enumerate(loss):
            if not math.isfinite(value):
                self._end(k, f"test loss {value:.3g} after step {record.step}")
        record.seconds += time.perf_counter() - clock
        record.cpu_seconds += time.process_time() - cpu
        wrong = missed.cpu().numpy()
        return [self._row(k, loss[k], last[k], wrong[k]) for k in range(len(self.specs))]

    def _row(
        self, k: int, loss: float, last: float, missed: npt.NDArray[np.float64]
    ) -> dict[str, Any]:
        spec, record, K = self.specs[k], self.record, len(self.specs)
        data, reason = self.held.data, record.reasons[k]
        steps = record.stopped[k] if reason else spec.updates
        choosing = self.best is not None
        train_loss = self.recent[: spec.updates, k].double().mean().item()
        error = missed.sum() / len(data.test_x)
        classes = self.held.classes and not reason
        return row(
            spec,
            counts(spec, data.features, data.outputs),
            steps=steps,
            status="diverged" if reason else "done",
            reason=reason,
            seconds=record.seconds / K,
            cpu_seconds=record.cpu_seconds / K,
            device=self.held.device,
            digest=self.digests[k],
            loss=math.nan if reason else loss,
            error=(math.nan if reason else float(error)) if self.held.classes else None,
            class_errors=class_errors(missed, data.test_y) if classes else None,
            loss_last=(math.nan if reason else last) if choosing else None,
            chosen_step=record.chosen[k] if choosing else 0 if reason else steps,
            train_loss=math.nan if reason else train_loss,
            curve=record.curves[k],
            together=K,
            torch=str(torch.__version__),
            started=record.started,
        )


def _initial(spec: RunSpec, data: Data) -> list[Tensor]:
    """Draw the weights that the run would start from on its own."""
    return [p.detach() for p in build(spec, data.features, data.outputs).parameters()]
