"""Small data and specs that the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from isoloss.sweep import Cnn, Data, DataSpec, Mlp, RunSpec, Transformer

MLP = Mlp(width=8, depth=2)
CNN = Cnn(width=4, depth=2)
TEXT = Transformer(width=16, depth=1, heads=2, context=16)


def classes(n: int = 200, shape: tuple[int, ...] = (5,), outputs: int = 3) -> Data:
    """Labels that a linear map of the inputs decides."""
    return _pairs("classes", n, shape, outputs)


def numbers(n: int = 200, shape: tuple[int, ...] = (5,), outputs: int = 2) -> Data:
    """Targets that are linear in the inputs."""
    return _pairs("numbers", n, shape, outputs)


def _pairs(kind: str, n: int, shape: tuple[int, ...], outputs: int) -> Data:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((n + 100, *shape)).astype(np.float32)
    y = x.reshape(len(x), -1) @ rng.standard_normal((int(np.prod(shape)), outputs))
    y = y.argmax(1) if kind == "classes" else y.astype(np.float32)
    x.flags.writeable = False
    return Data(
        kind=kind, train_x=x[:n], train_y=y[:n], valid_x=x[n : n + 50], valid_y=y[n : n + 50],
        test_x=x[n + 50 :], test_y=y[n + 50 :], outputs=outputs, digest="ab" * 32,
    )  # fmt: skip


def text(n: int = 20_000) -> Data:
    """Bytes of a chain in which each depends on the one before."""
    rng = np.random.default_rng(5)
    jumps = rng.integers(0, 3, n + 4000)
    x = (np.cumsum(jumps) % 61).astype(np.uint8)
    none = np.zeros(0)
    return Data(
        kind="text", train_x=x[:n], train_y=none, valid_x=x[n : n + 2000], valid_y=none,
        test_x=x[n + 2000 :], test_y=none, outputs=256, digest="cd" * 32,
    )  # fmt: skip


def spec(model: Any = MLP, **changes: Any) -> RunSpec:
    """A short run."""
    given: dict[str, Any] = {"D": 100, "steps": 60, "batch": 8, "lr": 0.01, "evaluations": 3}
    return RunSpec(model=model, data=DataSpec(name="given"), **(given | changes))


def text_spec(**changes: Any) -> RunSpec:
    """A short run on text that sees each byte once."""
    given: dict[str, Any] = {"D": 6400, "steps": 0, "batch": 4, "warmup": 5, "schedule": "wsd"}
    return spec(TEXT, **(given | changes))


def unclocked(row: dict[str, Any]) -> str:
    """A row without what the clock says; text, so that NaN equals NaN."""
    from isoloss.sweep.row import CLOCKED

    return repr({name: value for name, value in row.items() if name not in CLOCKED})


@contextmanager
def quickly(blocks: int = 16) -> Iterator[None]:
    """One thread, and losses of text on few blocks."""
    import torch

    from isoloss.sweep import source

    threads, kept = torch.get_num_threads(), dict(source.BLOCKS)
    torch.set_num_threads(1)
    source.BLOCKS.update(valid=blocks // 2, test=blocks)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        source.BLOCKS.update(kept)
