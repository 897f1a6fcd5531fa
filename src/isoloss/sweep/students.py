"""Students of random ReLU teachers: what one run is, and the grid of the documented experiment."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from isoloss.errors import InputError, MissingExtra
from isoloss.sweep.ledger import append_row, unfinished

RATES = (0.003, 0.01, 0.03)
"""Learning rates tried for every student."""

LONGEST = 20_000_000
"""Samples beyond which a student is left out: the narrowest at the largest budgets, far from best,
would take longer than all others."""

TEACHERS = ((10, 10), (10, 60), (40, 10), (40, 60))
"""Pairs of d and K."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentSpec:
    """One student: n ReLU neurons without biases that see T fresh samples once.

    Attributes
    ----------
    d, K, teacher
        Dimension of the inputs, concentration, and seed of the teacher.
    n
        Neurons of the student; its d n input weights are counted as its parameters.
    T
        Samples asked for; `samples` of them fill whole batches.
    lr
        Learning rate of Adam at the start; it falls to zero as a cosine.

    Examples
    --------
    >>> spec = StudentSpec(d=10, K=10, teacher=0, n=8, T=32_000, lr=0.01)
    >>> spec.batch, spec.updates, spec.samples
    (21, 1523, 31983)
    """

    d: int
    K: int
    teacher: int
    n: int
    T: int
    lr: float

    def __post_init__(self) -> None:
        for name, least in {"d": 1, "K": 1, "teacher": 0, "n": 1, "T": 8}.items():
            if getattr(self, name) < least:
                raise InputError(f"{name} = {getattr(self, name)}: must be at least {least}")
        if not 0 < self.lr < 1:
            raise InputError(f"lr = {self.lr}: the learning rate must lie between 0 and 1")

    @property
    def batch(self) -> int:
        """Samples a step: about 1500 steps, but of 8 to 256 samples."""
        return min(256, max(8, self.T // 1500))

    @property
    def updates(self) -> int:
        """Optimiser steps."""
        return self.T // self.batch

    @property
    def samples(self) -> int:
        """Samples seen."""
        return self.updates * self.batch

    @property
    def stream(self) -> tuple[int, int, int, int]:
        """Students of one stream see the same samples in the same order."""
        return (self.T, self.d, self.K, self.teacher)

    @property
    def name(self) -> str:
        """Name of the run."""
        return f"d{self.d}-K{self.K}-t{self.teacher}-n{self.n}-T{self.T}-lr{self.lr:g}"


def student_grid(*, quick: bool = False, rates: Sequence[float] = RATES) -> list[StudentSpec]:
    """List the students of the documented experiment, the shortest first.

    Six budgets C = d n T from 1.024e6 up, each four times the one before; seven widths a budget,
    each twice the one before, but for those of more than `LONGEST` samples; eight teachers for
    each pair of d and K; every one of the learning ``rates``. ``quick`` takes the first three
    budgets, three teachers and the first pair.
    """
    pairs, levels, teachers = (TEACHERS[:1], 3, 3) if quick else (TEACHERS, 6, 8)
    specs = [
        StudentSpec(d=d, K=K, teacher=seed, n=n, T=_samples(d, n, level), lr=lr)
        for d, K in pairs
        for level in range(levels)
        for n in (2 ** (level // 2 + i) for i in range(7))
        for seed in range(teachers)
        for lr in dict.fromkeys(float(rate) for rate in rates)
        if _samples(d, n, level) <= LONGEST
    ]
    return sorted(specs, key=lambda s: (s.stream, s.n, s.lr))


def _samples(d: int, n: int, level: int) -> int:
    return int(1_024_000 * 4**level // (d * n))


def run_students(
    specs: Sequence[StudentSpec],
    ledger: Path,
    *,
    device: str = "cpu",
    on_row: Callable[[dict[str, Any], int, int], None] | None = None,
) -> None:
    """Train every student that has no row yet; those of one stream train together.

    Rows are written to ``ledger`` when their stream ends, so that an interrupt costs one stream.

    Parameters
    ----------
    specs
        The students. Two equal specs are one.
    ledger
        JSONL file, created if absent.
    device
        Where torch computes: ``"cpu"`` (one thread) or ``"cuda"``. Another device draws other
        samples.
    on_row
        Called with the row, the count done and the total after each student.

    Raises
    ------
    MissingExtra
        Without torch.
    InputError
        If the device is not there.
    """
    by_name = {spec.name: spec for spec in specs}
    todo = [by_name[name] for name in unfinished(by_name, ledger)]
    todo.sort(key=lambda s: s.stream)
    done = len(by_name) - len(todo)
    if not todo:
        return
    if find_spec("torch") is None:
        raise MissingExtra("torch", "train")
    from isoloss.sweep.teacher import train_students

    ledger.parent.mkdir(parents=True, exist_ok=True)
    for _, group in groupby(todo, key=lambda s: s.stream):
        for row in train_students(list(group), device=device):
            append_row(ledger, row)
            done += 1
            if on_row:
                on_row(row, done, len(by_name))


def spec_fields(spec: StudentSpec) -> dict[str, Any]:
    """Fields of a spec as plain types."""
    fields: dict[str, Any] = json.loads(json.dumps(asdict(spec)))
    return fields
