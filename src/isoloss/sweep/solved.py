"""What all solved runs share: which are solved together, their targets, FLOPs and rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.sweep.counts import Counts
from isoloss.sweep.data.table import Data, subset_order
from isoloss.sweep.row import row
from isoloss.sweep.shapes import KernelRidge, RandomFeatures
from isoloss.sweep.spec import RunSpec

_BLOCK = 4096

Guesses = list[Array]
"""Predictions of each run on the same rows, (n, outputs)."""


def in_common(spec: RunSpec) -> RunSpec:
    """Return what runs that are solved together have in common: all but width and ridge.

    Raises
    ------
    InputError
        If the model is not solved.
    """
    model = spec.model
    if isinstance(model, RandomFeatures):
        return replace(spec, model=replace(model, width=1, ridge=0.0))
    if isinstance(model, KernelRidge):
        return replace(spec, model=replace(model, ridge=0.0))
    raise InputError(
        f"model = {model.kind}: is trained, not solved; only random-features and kernel-ridge are"
    )


def check_solved(specs: Sequence[RunSpec], data: Data) -> None:
    """Refuse runs that cannot be solved together, or not on such data."""
    first = in_common(specs[0])
    for one in specs[1:]:
        if in_common(one) != first:
            raise InputError(
                f"run {one.name}: differs from {specs[0].name} in more than width and ridge"
            )
    spec = specs[0]
    if data.kind == "text":
        raise InputError(f"data are text: {spec.model.kind} needs inputs of numbers")
    if spec.loss == "cross-entropy":
        raise InputError("loss = 'cross-entropy': has no closed form; write 'squared' or 'auto'")
    if data.examples < spec.D:
        raise InputError(f"D = {spec.D}: the data hold {data.examples} training examples; lower D")
    if not len(data.test_x):
        raise InputError("data: no test examples to judge by")


def solution_flops(spec: RunSpec, features: Sequence[int]) -> tuple[int, int]:
    """FLOPs of the features or the kernel, and of the solution, of a run solved alone.

    P features of d inputs for D examples take ``2 d P D``; with n = max(D, P) and m = min(D, P)
    the solution takes ``2 n m^2 - 2 m^3/3`` without a ridge, ``n m^2 + m^3/3`` with one. A kernel
    takes ``2 d D^2``, its solution ``D^3/3``.
    """
    d, model = math.prod(features), spec.model
    if isinstance(model, KernelRidge):
        return 2 * d * spec.D**2, spec.D**3 // 3
    assert isinstance(model, RandomFeatures)
    n, m = max(spec.D, model.width), min(spec.D, model.width)
    solved = n * m * m + m**3 // 3 if model.ridge > 0 else 2 * n * m * m - 2 * m**3 // 3
    return 2 * d * model.width * spec.D, solved


def members_of(spec: RunSpec, data: Data) -> Any:
    """Rows of the training part that the run learns from."""
    return subset_order(data.examples, spec.seed if spec.subset is None else spec.subset)[: spec.D]


def targets_of(data: Data, y: Any) -> Array:
    """Numbers as they are, classes as columns of zeros and ones."""
    if data.kind == "classes":
        return np.asarray(np.eye(data.outputs)[y])
    return np.asarray(y, dtype=np.float64).reshape(len(y), data.outputs)


def errors_of(data: Data, guesses: Iterable[Array], truth: Array) -> Array:
    """Mean squared error summed over outputs, and share of wrong classes, (runs, 2)."""
    right = truth.argmax(axis=1)
    found = []
    for guess in guesses:
        wrong = np.mean(guess.argmax(axis=1) != right) if data.kind == "classes" else math.nan
        found.append((((guess - truth) ** 2).sum(axis=1).mean(), wrong))
    return np.array(found)


def errors_on_test(data: Data, predict: Callable[[Any], Guesses]) -> Array:
    """Errors of each run on the test part, block by block, (runs, 2)."""
    total: Array | float = 0.0
    for start in range(0, len(data.test_x), _BLOCK):
        part = slice(start, start + _BLOCK)
        truth = targets_of(data, data.test_y[part])
        total = total + len(truth) * errors_of(data, predict(data.test_x[part]), truth)
    return np.asarray(total / len(data.test_x))


def timed_rows(
    specs: Sequence[RunSpec], data: Data, work: Callable[[], tuple[Array, Array, Sequence[int]]]
) -> list[dict[str, Any]]:
    """Do the work, which gives errors on samples, on test rows, and ranks; return a row a run.

    The time taken is shared out by the FLOPs that each run takes alone.
    """
    begun, started, busy = datetime.now(UTC), time.perf_counter(), time.process_time()
    trained, tested, ranks = work()
    wall, cpu = time.perf_counter() - started, time.process_time() - busy
    flops = [solution_flops(spec, data.features) for spec in specs]
    whole = sum(map(sum, flops))
    found = []
    for i, spec in enumerate(specs):
        share, finite = sum(flops[i]) / whole, bool(np.isfinite(tested[i, 0]))
        unknowns = spec.D if isinstance(spec.model, KernelRidge) else spec.model.width
        N = (unknowns + 1) * data.outputs
        found.append(
            row(
                spec,
                Counts(N=N, N_non_embedding=N, flops_dense=0, flops_head=0),
                status="done" if finite else "diverged",
                reason="" if finite else "the test loss is not finite",
                seconds=wall * share,
                cpu_seconds=cpu * share,
                device="cpu",
                digest=data.digest,
                # Not so much an example: the solution is one.
                flops_dense=flops[i][0],
                flops_head=flops[i][1],
                flops=sum(flops[i]),
                loss=float(tested[i, 0]) if finite else math.nan,
                error=float(tested[i, 1]) if data.kind == "classes" else None,
                train_loss=float(trained[i, 0]),
                rank=int(ranks[i]),
                curve=[],
                started=begun.isoformat(timespec="seconds"),
            )
        )
    return found
