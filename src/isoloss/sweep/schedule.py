"""Learning rate by step, and the steps after which a run is looked at."""

from __future__ import annotations

import math

from isoloss.sweep.spec import RunSpec


def rate(spec: RunSpec, step: int) -> float:
    """Learning rate of a step, the first being 0.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec, Mlp, RunSpec
    >>> spec = RunSpec(model=Mlp(width=8), data=DataSpec(name="given"), D=64, steps=10, batch=8,
    ...                lr=1.0, schedule="wsd", warmup=2, decay=0.4)
    >>> [rate(spec, step) for step in range(10)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    lr, steps, warmup = spec.lr, spec.updates, spec.warmup
    if step < warmup:
        return lr * (step + 1) / warmup
    match spec.schedule:
        case "linear":
            return lr * (steps - step) / (steps - warmup)
        case "cosine":
            return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
        case "wsd":
            decay = steps - decay_start(spec)
            return lr if steps - step >= decay else lr * (steps - step) / decay
        case _:
            return lr


def decay_start(spec: RunSpec) -> int:
    """Count the steps of a ``wsd`` run before its rate falls: over these, D plays no part."""
    return spec.updates - max(1, round(spec.decay * spec.updates))


def looks(spec: RunSpec) -> frozenset[int]:
    """Numbers of steps after which the validation part is looked at: evenly spaced, the last in.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec, Mlp, RunSpec
    >>> spec = RunSpec(model=Mlp(width=8), data=DataSpec(name="given"), D=64, steps=10, batch=8,
    ...                lr=0.01, evaluations=4)
    >>> sorted(looks(spec))
    [2, 5, 8, 10]
    """
    n, k = spec.updates, spec.evaluations
    k = min(k, n)
    return frozenset(max(1, round(n * (i + 1) / k)) for i in range(k))
