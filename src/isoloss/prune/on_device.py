"""Products of passes and pairs on a device, by torch: the one file of the room that may import it.

Rows come from disk block by block and stay on the device until their block is done. Products are
float32 with TF32 off, sums float64 and in one order, so that one device with one version of torch
repeats itself; the bits are not those of numpy. Results agree with numpy's to rounding: a row that
is equally far from two centroids, to a millionth, may go to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.serial import write_atomic
from isoloss.errors import InputError
from isoloss.prune.embeddings import Embeddings
from isoloss.prune.kmeans_assign import FARTHEST, Sums
from isoloss.prune.pieces import Floats

_TILE = 4096
"""Centroids multiplied at once."""

_PANEL = 2048
"""Rows compared at once with as many others."""

_ENGINE = "engine.txt"


def as_engine(device: Any, executor: Any = None) -> dict[str, Any]:
    """Look at a device; say by what and where products are taken.

    Raises
    ------
    InputError
        If there is no such device, or an executor is given as well.
    MissingExtra
        Without torch.
    """
    if device is None:
        return {"engine": "numpy", "device": None}
    from isoloss.theory.on_device import check_device

    check_device(device)
    if executor is not None:
        raise InputError(
            f"device = {device!r}: workers would share it; leave out the executor, or the device"
        )
    return {"engine": "torch", "device": device}


def keep_engine(folder: Path, engine: dict[str, Any]) -> None:
    """Write into an unfinished folder what works on it; refuse another to go on.

    Raises
    ------
    InputError
        If another engine or device began.
    """
    said = _said(engine)
    try:
        before = (folder / _ENGINE).read_text("utf8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        write_atomic(folder / _ENGINE, said + "\n")
        return
    if before != said:
        raise InputError(
            f"{folder}: was begun by {before[:40]} and cannot be gone on with by {said}, whose "
            "last digits differ; give the device it was begun on, or remove the folder"
        )


def _said(engine: dict[str, Any]) -> str:
    return "numpy" if engine["device"] is None else f"{engine['engine']} on {engine['device']}"


def sum_on_device(
    piece: Embeddings, block: int, centroids: Floats, mean: Floats | None, device: str
) -> Sums:
    """Do what `kmeans_assign.sum_piece` does; only sums and far rows come back."""
    import torch

    with _exact():
        search = _Search(centroids, mean, device)
        place, (k, dim) = search.place, centroids.shape
        total = torch.zeros((k, dim), dtype=torch.float64, device=place)
        counts = torch.zeros(k, dtype=torch.int64, device=place)
        distance = torch.zeros((), dtype=torch.float64, device=place)
        far = torch.zeros(0, device=place)
        rows = torch.zeros(0, dtype=torch.int64, device=place)
        vectors = torch.zeros((0, dim), device=place)
        for start, x, labels, squared in search.blocks(piece, block):
            with _in_order():
                total.index_add_(0, labels, x.double())
            counts.index_add_(0, labels, torch.ones_like(labels))
            distance += squared.sum(dtype=torch.float64)
            some = _farthest(squared)
            far = torch.cat([far, squared[some]])
            rows = torch.cat([rows, some + (piece.first + start)])
            vectors = torch.cat([vectors, x[some]])
            # Those held stand first: of equal distances the lower row stays first.
            best = _farthest(far)
            far, rows, vectors = far[best], rows[best], vectors[best]
        return Sums(
            _back(total), _back(counts), float(distance), _back(far).astype(np.float64),
            _back(rows), _back(vectors),
        )  # fmt: skip


def assign_on_device(
    piece: Embeddings, block: int, centroids: Floats, mean: Floats | None, device: str
) -> tuple[Any, Any]:
    """Cluster of each row, int32, and its squared distance, float32."""
    labels = np.empty(piece.rows, dtype=np.int32)
    squared = np.empty(piece.rows, dtype=np.float32)
    with _exact():
        search = _Search(centroids, mean, device)
        for start, _, found, far in search.blocks(piece, block):
            labels[start : start + len(found)] = _back(found)
            squared[start : start + len(found)] = _back(far)
    return labels, squared


def products_on_device(x: Floats, device: str) -> Callable[[int], Floats]:
    """Keep rows on a device; the function returned multiplies all of them with one."""
    import torch

    there = torch.tensor(x, device=torch.device(device))

    def with_row(i: int) -> Floats:
        with _exact():
            return np.asarray(_back(there @ there[i]))

    return with_row


class DevicePanels:
    """Rows of a cluster on a device, all at once or, from a file, panel by panel."""

    size = _PANEL

    def __init__(self, x: Any, device: str) -> None:
        import torch

        self.x, self.place = x, torch.device(device)
        self.there = None if isinstance(x, np.memmap) else torch.tensor(x, device=self.place)
        self.before = torch.ones((_PANEL, _PANEL), dtype=torch.bool, device=self.place).tril()

    def __len__(self) -> int:
        return len(self.x)

    def take(self, low: int, high: int, stay: Any = None) -> Any:
        """Rows of a panel, or those of them that stay."""
        import torch

        if self.there is not None:
            rows = self.there[low:high]
        else:
            rows = torch.tensor(np.array(self.x[low:high]), device=self.place)
        return rows if stay is None else rows[torch.tensor(stay, device=self.place)]

    def hits(self, a: Any, b: Any, same: bool, floor: float) -> tuple[Any, Any]:
        """Rows of b with a cosine above the floor to some row of a, and all their cosines."""
        with _exact():
            cosine = a @ b.T
            if same:
                cosine.masked_fill_(self.before[: len(a), : len(a)], -np.inf)
            hit = (cosine.amax(dim=0) > floor).nonzero().ravel()
            return _back(hit), _back(cosine[:, hit])

    def host(self, rows: Any, some: Any) -> Floats:
        """Bring some of the rows of a panel here."""
        import torch

        return np.asarray(_back(rows[torch.tensor(some, device=self.place)]))


class _Search:
    """Centroids on a device, and the nearest one of each row of block after block."""

    def __init__(self, centroids: Floats, mean: Floats | None, device: str) -> None:
        import torch

        self.place = torch.device(device)
        self.centroids = torch.tensor(centroids, device=self.place)
        self.mean = None if mean is None else torch.tensor(mean, device=self.place)
        self.half = None
        if mean is not None:
            self.half = (0.5 * self.centroids.double().square().sum(dim=1)).float()

    def blocks(self, piece: Embeddings, block: int) -> Iterator[tuple[int, Any, Any, Any]]:
        """First row, rows as prepared, cluster and squared distance, all on the device."""
        import torch

        for start, raw in _sent(piece, block, self.place):
            if self.mean is None:
                size = torch.linalg.vector_norm(raw, dim=1, keepdim=True, dtype=torch.float64)
                x = raw / size.float()
            else:
                x = raw - self.mean
            labels = self.nearest(x)
            yield start, x, labels, (x - self.centroids[labels]).square().sum(dim=1)

    def nearest(self, x: Any) -> Any:
        """Nearest centroid, the lowest of equals."""
        import torch

        best = labels = None
        for first in range(0, len(self.centroids), _TILE):
            product = x @ self.centroids[first : first + _TILE].T
            if self.half is not None:
                product -= self.half[first : first + _TILE]
            place = product.argmax(dim=1)
            value = product.gather(1, place[:, None])[:, 0]
            if best is None:
                best, labels = value, place
            else:
                better = value > best
                best = torch.where(better, value, best)
                labels = torch.where(better, place + first, labels)
        return labels


def _sent(piece: Embeddings, block: int, place: Any) -> Iterator[tuple[int, Any]]:
    """Send raw rows as float32; the next block is read while the device works on the last."""
    import torch

    away = place.type == "cuda"
    shape = (min(block, piece.rows), piece.dim)
    held = [torch.empty(shape, dtype=torch.float32, pin_memory=away) for _ in range(2)]
    sent: list[Any] = [None, None]
    for turn, (start, raw) in enumerate(piece.blocks(block)):
        side = turn % 2
        if sent[side] is not None:
            # What lies in this half has to have left before it is written over.
            sent[side].synchronize()
        here = held[side][: len(raw)]
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(here.numpy(), raw, casting="unsafe")
        there = here.to(place, non_blocking=True)
        if away:
            sent[side] = torch.cuda.Event()
            sent[side].record(torch.cuda.current_stream(place))
        yield start, there


def _farthest(squared: Any) -> Any:
    import torch

    return torch.sort(squared, descending=True, stable=True).indices[:FARTHEST]


def _back(values: Any) -> Any:
    return values.cpu().numpy()


@contextmanager
def _exact() -> Iterator[None]:
    """Take products in float32 proper, not in the shorter TF32 or bfloat16."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _in_order() -> Iterator[None]:
    """Add in one order, whatever the threads of the device do; products refuse this mode."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn)
