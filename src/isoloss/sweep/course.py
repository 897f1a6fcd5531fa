"""The way through a run, or through several that share a trunk, with looks and checkpoints."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isoloss._core.version import package_version
from isoloss.sweep.checkpoint import Checkpoint
from isoloss.sweep.counts import counts
from isoloss.sweep.data.table import Data
from isoloss.sweep.row import class_errors, row
from isoloss.sweep.schedule import decay_start, looks
from isoloss.sweep.source import Source
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.walker import RECENT, Walker, order_of
from isoloss.theory.on_device import check_device

_VERSIONS = (package_version(), str(torch.__version__), np.__version__)

OnRow = Callable[[dict[str, Any]], None]


@dataclass(slots=True, kw_only=True)
class Record:
    """What one run has shown so far."""

    curve: list[list[float]] = field(default_factory=list)
    best: float = math.inf
    chosen: int = 0
    loss: float = math.nan
    missed: list[int] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    trunk_seconds: float = 0.0


class Course:
    """Runs of one data set in ascending order of steps, trained one way.

    A single run goes from its first step to its last. Several, which differ in D alone, follow one
    trunk; each leaves it where its own rate begins to fall, goes to its end, and the trunk goes on
    from where it was left. Time on the trunk is shared by the runs that are yet to leave it.
    """

    def __init__(
        self, specs: Sequence[RunSpec], data: Data, device: str, checkpoint: Path | None
    ) -> None:
        check_device(device)
        self.specs, self.data, self.device = list(specs), data, device
        self.counts = [counts(spec, data.features, data.outputs) for spec in specs]
        self.source = Source(specs[0], data, device)
        self.orders = [order_of(spec, self.source) for spec in specs]
        self.looks = [looks(spec) for spec in specs]
        self.walker = Walker(specs[-1], self.source, data.features)
        self.records = [Record() for _ in specs]
        self.rows: list[dict[str, Any]] = []
        self.step, self.reason = 0, ""
        self.left: dict[str, Tensor] | None = None
        self.left_step = 0
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        own = self.walker.tensors()
        key = [[s.name for s in specs], data.digest, device, *_VERSIONS]
        text = hashlib.sha256(json.dumps(key).encode()).hexdigest()
        most = 2 * sum(t.numel() for t in own.values())
        self.checkpoint = Checkpoint(checkpoint, text, most)
        self._resume(own)

    def run(
        self, on_row: OnRow | None = None, on_best: Callable[[], None] | None = None
    ) -> list[dict[str, Any]]:
        """Train what is left and return all rows, the fewest steps first."""
        self._since = time.perf_counter(), time.process_time()
        for i in range(len(self.rows), len(self.specs)):
            last = len(self.specs) - 1
            if self.left is None and i < last:
                self._go(last, decay_start(self.specs[i]), range(i, last + 1), on_best)
                if not self.reason:
                    self._leave()
            if not self.reason:
                self._go(i, self.specs[i].updates, range(i, i + 1), on_best)
            self.rows.append(self._row(i))
            if on_row:
                on_row(self.rows[-1])
            self._return()
        return self.rows

    def _go(self, by: int, stop: int, who: range, on_best: Callable[[], None] | None) -> None:
        """Go to a step as run ``by`` does; looks and time belong to the runs ``who``."""
        spec, order = self.specs[by], self.orders[by]
        while self.step < stop:
            ends = {stop, (self.step // RECENT + 1) * RECENT}
            ends |= {min((s for s in self.looks[i] if s > self.step), default=stop) for i in who}
            upto = min(ends)
            self.walker.walk(spec, order, self.step, upto)
            self.step = upto
            if upto % RECENT == 0 or upto == spec.updates:
                self.reason = self.walker.trouble(upto)
            if not self.reason:
                self._look([i for i in who if upto in self.looks[i]], on_best)
            self._clock(who)
            if self.reason:
                return
            if self.checkpoint.due():
                self._save()

    def _look(self, who: list[int], on_best: Callable[[], None] | None) -> None:
        """Measure the validation loss, and the test loss of runs that choose the best step."""
        if not who:
            return
        valid, _ = self.source.evaluate(self.walker.model, "valid")
        test: tuple[float, npt.NDArray[Any] | None] | None = None
        for i in who:
            spec, record = self.specs[i], self.records[i]
            record.curve.append([self.step, self.step * spec.batch * spec.unit, valid])
            if valid < record.best:
                record.best = valid
                if spec.choose == "best":
                    test = test or self.source.evaluate(self.walker.model, "test")
                    record.chosen, record.loss = self.step, test[0]
                    record.missed = [] if test[1] is None else test[1].tolist()
                    if on_best:
                        on_best()

    def _row(self, i: int) -> dict[str, Any]:
        """Measure the test loss and build the row."""
        spec, record = self.specs[i], self.records[i]
        loss_last = math.nan
        if not self.reason:
            loss_last, missed = self.source.evaluate(self.walker.model, "test")
            if spec.choose == "last":
                record.chosen, record.loss = self.step, loss_last
                record.missed = [] if missed is None else missed.tolist()
            if not math.isfinite(record.loss):
                self.reason = f"test loss {record.loss:.3g} after step {self.step}"
        self._clock(range(i, i + 1))
        bad = bool(self.reason)
        classes = self.data.kind == "classes"
        error = math.nan if bad else sum(record.missed) / len(self.data.test_x)
        return row(
            spec,
            self.counts[i],
            steps=self.step,
            status="diverged" if bad else "done",
            reason=self.reason,
            seconds=record.seconds,
            cpu_seconds=record.cpu_seconds,
            device=self.device,
            digest=self.data.digest,
            loss=math.nan if bad else record.loss,
            error=error if classes else None,
            class_errors=(
                class_errors(record.missed, self.data.test_y) if classes and not bad else None
            ),
            loss_last=loss_last if spec.choose == "best" else None,
            chosen_step=record.chosen,
            train_loss=math.nan if bad else self.walker.train_loss(self.step),
            curve=record.curve,
            trunk_seconds=round(record.trunk_seconds, 4) if len(self.specs) > 1 else None,
            torch=str(torch.__version__),
            started=self.started,
        )

    def _leave(self) -> None:
        """Keep the state of the trunk before a branch goes its own way."""
        self.left = {name: t.clone() for name, t in self.walker.tensors().items()}
        self.left_step = self.step

    def _return(self) -> None:
        """Go back to the trunk. Where the trunk itself diverged, there is nothing to go back to."""
        if self.left is not None:
            self.walker.put(self.left)
            self.step, self.reason, self.left = self.left_step, "", None

    def _clock(self, who: range) -> None:
        """Share the time since the last call."""
        now = time.perf_counter(), time.process_time()
        for i in who:
            record = self.records[i]
            share = (now[0] - self._since[0]) / len(who)
            record.seconds += share
            record.cpu_seconds += (now[1] - self._since[1]) / len(who)
            if len(who) > 1:
                record.trunk_seconds += share
        self._since = now

    def _save(self) -> None:
        states = {"now": self.walker.tensors()} | ({"left": self.left} if self.left else {})
        arrays = {
            f"{state} {name}": t.cpu().numpy()
            for state, tensors in states.items()
            for name, t in tensors.items()
        }
        notes = {
            "step": self.step,
            "left_step": self.left_step,
            "rows": self.rows,
            "records": [asdict(record) for record in self.records],
            "started": self.started,
        }
        self.checkpoint.write(notes, arrays)

    def _resume(self, own: Mapping[str, Tensor]) -> None:
        """Go on from the checkpoint, where there is one."""
        found = self.checkpoint.read()
        if found is None:
            return
        notes, arrays = found
        states: dict[str, dict[str, Tensor]] = {}
        for name, array in arrays.items():
            place, _, rest = name.partition(" ")
            states.setdefault(place, {})[rest] = _copy(array, self.device)
        for state in states.values():
            if {n: t.shape for n, t in state.items()} != {n: t.shape for n, t in own.items()}:
                return
        if "now" not in states:
            return
        self.records = [Record(**fields) for fields in notes["records"]]
        self.rows, self.started = notes["rows"], notes["started"]
        self.step, self.left_step = notes["step"], notes["left_step"]
        self.left = states.get("left")
        self.walker.put(states["now"])


def _copy(array: npt.NDArray[np.float32], device: str) -> Tensor:
    return torch.tensor(array, device=device)
