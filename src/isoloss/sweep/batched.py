"""Which small runs can train as one batched program, how many at a time, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError, MissingExtra
from isoloss.sweep.data.table import Data
from isoloss.sweep.shapes import Mlp
from isoloss.sweep.spec import RunSpec

MOST_PARAMETERS = 150_000
"""Larger networks keep a core busy one at a time: batching them gains little."""

MOST_TOGETHER = 256
"""Beyond this many members nothing is gained, and more is lost with a killed worker."""

_CACHE = 400_000
"""Parameters of all members together up to which the optimiser's buffers stay near the core."""

_LEAST_TOGETHER = 8


def batchable(
    spec: RunSpec, features: Sequence[int] | None = None, outputs: int | None = None
) -> RunSpec | None:
    """Return a key that runs share when they can train together, or None.

    Members may differ in ``D``, ``lr``, ``seed``, ``subset`` and the selection of the data; all
    else, the number of steps included, is the same.

    Parameters
    ----------
    spec
        The run.
    features, outputs
        Shape of one input and number of outputs, where known: first and last layer then count
        towards `MOST_PARAMETERS`, else only the layers between hidden ones.

    Returns
    -------
    RunSpec or None
        None where the model is no perceptron, or too large to gain, or scaled by ``mup``.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec, Mlp, RunSpec
    >>> a = RunSpec(model=Mlp(width=16), data=DataSpec(name="given"), D=500, steps=100,
    ...             batch=32, lr=0.003)
    >>> b = RunSpec(model=Mlp(width=16), data=DataSpec(name="given"), D=900, steps=100,
    ...             batch=32, lr=0.01, seed=3)
    >>> batchable(a) == batchable(b)
    True
    """
    if not isinstance(spec.model, Mlp) or spec.width_rule != "standard":
        return None
    if _parameters(spec.model, _size(features), outputs or 0) > MOST_PARAMETERS:
        return None
    data = spec.data.whole
    return replace(
        spec, data=data, D=1, lr=1.0, seed=0, subset=None, steps=spec.updates, passes=1.0
    )


def together(spec: RunSpec, features: Sequence[int], outputs: int) -> int:
    """Members that `train_batched` trains at a time: more push each other out of the cache.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec, Mlp, RunSpec
    >>> spec = RunSpec(model=Mlp(width=64), data=DataSpec(name="fashion-mnist"), D=1024,
    ...                steps=500, batch=64, lr=0.003)
    >>> together(spec, (1, 28, 28), 10)
    8
    """
    if not isinstance(spec.model, Mlp):
        return 1
    N = _parameters(spec.model, _size(features), outputs)
    return min(MOST_TOGETHER, max(_LEAST_TOGETHER, _CACHE // N))


def train_batched(
    specs: Sequence[RunSpec],
    data: Data,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    at_once: int | None = None,
    dtype: str = "float32",
    chosen: Sequence[tuple[npt.NDArray[np.int64] | None, str]] | None = None,
) -> list[dict[str, Any]]:
    """Train runs that share a key of `batchable` as one program, and return their rows in order.

    Each member sees the examples, in the order, from the initial weights and at the rates that it
    would see alone; only the rounding of its sums differs. A member that diverges gets its row
    and leaves the others as they were. Seconds and energy of the whole are shared out evenly.

    Parameters
    ----------
    specs
        The runs, any number of them.
    data
        What they learn from: labels or numbers.
    device
        ``"cpu"`` (one thread) or ``"cuda"``.
    checkpoint
        File to which the state is written every half minute, and from which a second call goes
        on; a damaged one, or one of other runs, counts as absent. The caller deletes it when the
        rows are safe.
    at_once
        Members of one stack; by default as many as `together` says.
    dtype
        ``"float32"``, or ``"float64"`` to compare with other programs.
    chosen
        Of each run the rows of the training part that it may see, None for all, and the digest of
        these data: what `isoloss.sweep.data.changes.selected_rows` gives. Without it every run
        learns from all of ``data``.

    Raises
    ------
    InputError
        Where the runs cannot train together or on these data, or the device is not there.
    MissingExtra
        Without torch.
    """
    specs = list(specs)
    if not specs:
        return []
    keys = {batchable(spec, data.features, data.outputs) for spec in specs}
    if None in keys:
        bad = next(s for s in specs if batchable(s, data.features, data.outputs) is None)
        raise InputError(
            f"run {bad.name}: not a perceptron of at most {MOST_PARAMETERS:,} parameters under the "
            "standard width rule; train it alone"
        )
    if len(keys) > 1 or (chosen is None and len({spec.data for spec in specs}) > 1):
        raise InputError(
            "specs: runs trained together may differ in D, lr, seed and subset only, and in their "
            "selection where chosen says what it is; group them by batchable"
        )
    if data.kind == "text":
        raise InputError("data: a perceptron learns labels or numbers, not text")
    if data.kind == "numbers" and specs[0].loss == "cross-entropy":
        raise InputError("loss = 'cross-entropy': the targets are numbers; use 'squared'")
    if min(len(data.valid_x), len(data.test_x)) < 1:
        raise InputError("data: validation and test need at least one example each")
    if at_once is None:
        at_once = together(specs[0], data.features, data.outputs)
    if at_once < 1:
        raise InputError(f"at_once = {at_once}: must be at least 1")
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype = {dtype!r}: must be 'float32' or 'float64'")
    check_torch()
    from isoloss.sweep.batched_run import run_stack

    return run_stack(
        specs, data, at_once=at_once, device=device, checkpoint=checkpoint, dtype=dtype,
        chosen=chosen or [(None, data.digest)] * len(specs),
    )  # fmt: skip


def check_torch() -> None:
    """Say what to install where torch is not there."""
    if find_spec("torch") is None:
        raise MissingExtra("torch", "train")


def _size(features: Sequence[int] | None) -> int:
    size = 1 if features else 0
    for n in features or ():
        size *= n
    return size


def _parameters(model: Mlp, features: int, outputs: int) -> int:
    width, hidden = model.width, model.depth - 1
    return (features + 1) * width + hidden * (width + 1) * width + (width + 1) * outputs
