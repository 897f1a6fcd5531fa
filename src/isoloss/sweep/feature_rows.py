"""What features of networks need: rows as tensors, a network held still, batches put together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isoloss.errors import InputError


def rows_of(x: Any) -> np.ndarray[Any, Any]:
    """Check inputs, (n, ...), of numbers."""
    try:
        found = np.asarray(x)
    except ValueError as error:
        raise InputError("x: expected rows of equal length") from error
    if found.dtype.kind not in "fuib" or found.ndim < 2 or not len(found):
        raise InputError(
            f"x: shape {found.shape} of {found.dtype}; expected rows of numbers, (n, ...)"
        )
    return found


def tensor(rows: np.ndarray[Any, Any], device: str) -> Tensor:
    """Copy rows to the device: whole numbers as symbols of text, others in float32."""
    kind = np.int64 if rows.dtype.kind in "ui" else np.float32
    return torch.from_numpy(np.array(rows, dtype=kind)).to(device)


def run(module: nn.Module, given: Tensor) -> Any:
    """Call the network without derivatives; inputs that do not fit are the caller's mistake."""
    try:
        with torch.no_grad():
            return module(given)
    except (RuntimeError, TypeError, IndexError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"x: rows of shape {tuple(given.shape[1:])} do not fit the network ({said})"
        ) from error


@contextmanager
def still(module: nn.Module, device: str) -> Iterator[None]:
    """Hold the network in evaluation mode, then leave it as it was."""
    modes = [(m, m.training) for m in module.modules()]
    module.to(device)
    module.eval()
    try:
        yield
    finally:
        for m, mode in modes:
            m.training = mode


def outputs_of(found: Any) -> Tensor:
    """Bring outputs to the form (rows, outputs); of a sequence the last place."""
    if not isinstance(found, Tensor):
        raise InputError("module: returns no tensor")
    if found.ndim == 1:
        return found[:, None]
    return found[:, -1] if found.ndim == 3 else found.flatten(1)


def collect(
    blocks: Iterator[np.ndarray[Any, Any]], n: int, out: str | Path | None
) -> np.ndarray[Any, Any]:
    """Put batches of n rows together, in memory or in a file that appears whole."""
    first = next(blocks)
    shape = (n, first.shape[1])
    if out is None:
        table = np.empty(shape, dtype=np.float32)
        _fill(table, first, blocks)
        return table
    with whole_file(Path(out), shape) as mapped:
        _fill(mapped, first, blocks)
    return np.asarray(np.load(Path(out), mmap_mode="r", allow_pickle=False))


def _fill(table: Any, first: Any, blocks: Iterator[np.ndarray[Any, Any]]) -> None:
    table[: len(first)] = first
    start = len(first)
    for block in blocks:
        table[start : start + len(block)] = block
        start += len(block)


@contextmanager
def whole_file(path: Path, shape: tuple[int, int]) -> Iterator[Any]:
    """Map a ``.npy`` file to be filled, and put it in place when it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        mapped = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        yield mapped
        mapped.flush()
        del mapped
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
