"""Embeddings of images by a network that was trained elsewhere, kept so that none is made twice."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.serial import to_json, write_atomic
from isoloss.errors import InputError

PRETRAINED = ("efficientnet",)
"""Networks that others trained; each needs its package."""

_ROWS = 512
_BLOCK = 4096
_MOST = 64 << 30

Floats = npt.NDArray[np.float32]
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """Features of images, and what they cost.

    Attributes
    ----------
    rows
        (n, width), float32, of the precision of float16.
    flops, cpu_seconds
        Of these rows, made now or before.
    """

    rows: Floats
    flops: float
    cpu_seconds: float


def check_images(kind: str, shape: tuple[int, ...]) -> None:
    """Refuse inputs of a shape that the network does not read, and say which package is missing.

    Raises
    ------
    InputError
        If an input is no image of one or three channels.
    MissingExtra
        Without torch, or without the package of the network.
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < 2:
        raise InputError(
            f"embedding = {kind!r}: inputs of shape {shape}; needs images (channels, height, "
            "width) of one or three channels"
        )
    from isoloss.sweep.batched import check_torch

    check_torch()
    from isoloss.sweep.pretrained import check_pretrained

    check_pretrained()


def pretrained_features(
    x: Any, rows: npt.NDArray[np.int64] | None = None, kind: str = "efficientnet", *,
    cache: Path | None = None, device: str = "cpu", on_step: Step | None = None,
) -> Features:  # fmt: skip
    """Embed images by a network that was trained on others.

    Inputs of this library had the mean of each pixel subtracted. The least value that a pixel has
    in ``x`` is taken for black, and the largest distance from it for white: this gives photographs
    and drawings back as they were, if every pixel is somewhere black and one somewhere white.

    Parameters
    ----------
    x
        Images, (n, 1 or 3, height, width).
    rows
        Which of them; all by default.
    kind
        Of `PRETRAINED`.
    cache
        Folder; what stands in it for the same images and weights is not made again, and what is
        made is added every few thousand rows.
    device
        Where.
    on_step
        Called with a few words as it goes on.

    Raises
    ------
    InputError
        If inputs are no images, or files in the folder are damaged.
    MissingExtra
        Without torch, or without the package of the network.
    """
    images = np.asarray(x, dtype=np.float32)
    check_images(kind, images.shape[1:])
    from isoloss.sweep.pretrained import EfficientNet

    wanted = np.arange(len(images)) if rows is None else np.asarray(rows)
    network = EfficientNet(device=device)
    low = images.min(axis=0)
    span = float((images.max(axis=0) - low).max()) or 1.0
    held = _Held(len(images), network.width)
    if cache is not None:
        made_of = hashlib.sha256(np.ascontiguousarray(images).data)
        made_of.update(f"{kind} {network.side} {network.digest} {images.shape}".encode())
        held = _Kept(cache, f"{kind}-{made_of.hexdigest()[:12]}", len(images), network.width)
    todo = wanted[~held.done[wanted]]
    for start in range(0, todo.size, _ROWS):
        if on_step:
            on_step(f"{kind}: {start:,} of {todo.size:,} images")
        part, began = todo[start : start + _ROWS], time.process_time()
        values = network.features((images[part] - low) / span)
        held.add(part, values, time.process_time() - began)
    held.close()
    return Features(
        rows=held.values[wanted].astype(np.float32), flops=network.flops * wanted.size,
        cpu_seconds=held.seconds * wanted.size / max(1, int(held.done.sum())),
    )  # fmt: skip


class _Held:
    """Features by row, which of them are made, and the CPU seconds of these."""

    values: npt.NDArray[np.float16]

    def __init__(self, n: int, width: int) -> None:
        if 2 * n * width > _MOST:
            raise InputError(f"{n} images: their features take more than {_MOST >> 30} GB")
        self.seconds, self.done = 0.0, np.zeros(n, dtype=bool)
        self._place(n, width)

    def _place(self, n: int, width: int) -> None:
        self.values = np.zeros((n, width), dtype=np.float16)

    def add(self, rows: npt.NDArray[np.int64], values: Floats, seconds: float) -> None:
        # Rounded whether kept or not: a second start works on the same numbers.
        self.values[rows] = values
        self.done[rows] = True
        self.seconds += seconds

    def close(self) -> None:
        pass


class _Kept(_Held):
    """The same in two files: features, and a note of which are there, written after them."""

    def __init__(self, folder: Path, name: str, n: int, width: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._data, self._note = folder / f"{name}.float16", folder / f"{name}.json"
        self._fresh = 0
        super().__init__(n, width)
        if self._note.is_file() and self._data.is_file():
            self._read(n)

    def _place(self, n: int, width: int) -> None:
        size = 2 * n * width
        there = self._data.stat().st_size if self._data.is_file() else 0
        if there not in (0, size):
            raise InputError(
                f"{self._data}: has {there} bytes and not {size}; delete it to embed again"
            )
        if not there:
            # Without its features the note would promise zeros.
            self._note.unlink(missing_ok=True)
        self.values = np.memmap(
            self._data, dtype=np.float16, mode="r+" if there else "w+", shape=(n, width)
        )

    def _read(self, n: int) -> None:
        try:
            if self._note.stat().st_size > n + 1024:
                raise ValueError
            told = json.loads(self._note.read_text("utf8"))
            seconds, bits = float(told["cpu_seconds"]), bytes.fromhex(told["done"])
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{self._note}: is damaged; delete it to embed again") from None
        if len(bits) != (n + 7) // 8 or not (math.isfinite(seconds) and seconds >= 0):
            raise InputError(f"{self._note}: is of other images; delete it to embed again")
        self.seconds = seconds
        self.done = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=n).astype(bool)

    def add(self, rows: npt.NDArray[np.int64], values: Floats, seconds: float) -> None:
        super().add(rows, values, seconds)
        self._fresh += rows.size
        if self._fresh >= _BLOCK:
            self.close()

    def close(self) -> None:
        if self._fresh:
            self.values.flush()  # type: ignore[attr-defined]
            done = np.packbits(self.done).tobytes().hex()
            write_atomic(self._note, to_json({"cpu_seconds": self.seconds, "done": done}))
            self._fresh = 0
