"""Train a byte transformer on pieces of text and measure its loss on each of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from isoloss.errors import InputError
from isoloss.sweep.counts import counts
from isoloss.sweep.data.pieces import cut_pieces, join_pieces
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data
from isoloss.sweep.shapes import Transformer
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.train import trained

_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PieceLosses:
    """Losses of pieces, and what they cost.

    Attributes
    ----------
    losses
        Nats per byte, (pieces,), float64.
    flops, cpu_seconds
        Of training and of one look at every piece.
    """

    losses: npt.NDArray[np.float64]
    flops: float
    cpu_seconds: float

    def __repr__(self) -> str:
        return f"PieceLosses({self.losses.size} pieces, mean {self.losses.mean():.3f} nats/byte)"


def piece_losses(
    data: Data, piece: int, rows: npt.NDArray[np.int64], *, model: Transformer, passes: float,
    batch: int, lr: float, seed: int = 0, device: str = "cpu",
) -> PieceLosses:  # fmt: skip
    """Train on pieces of the training part, then measure the loss per byte of each of them.

    The network sees no other text. A piece is read in blocks of ``model.context`` bytes, each
    without what stood before it: its first byte is given, and the loss is the mean over the others.

    Parameters
    ----------
    data
        Text.
    piece
        Bytes of a piece, whole blocks.
    rows
        Which pieces, rising.
    model, passes, batch, lr, seed
        As in `RunSpec`.
    device
        Where.

    Raises
    ------
    InputError
        If a piece is no whole number of blocks, the pieces are fewer than a step takes, or the
        network diverges.
    """
    if piece % model.context:
        raise InputError(
            f"piece = {piece}: must be whole blocks of context = {model.context} bytes"
        )
    started = time.process_time()
    joined = join_pieces(data, piece, rows)
    # The held-out parts of this training are a block of the pool itself: nothing else is seen.
    some = joined[: model.context + 1]
    pool = replace(data, train_x=joined, valid_x=some, test_x=some)
    spec = RunSpec(
        model=model, data=DataSpec(name="given"), D=rows.size * piece, batch=batch, lr=lr,
        passes=passes, evaluations=1, seed=seed,
    )  # fmt: skip
    network, row = trained(spec, pool, device=device)
    if row["status"] == "diverged":
        raise InputError(f"scoring network: {row['reason']}; lower its rate")
    blocks = cut_pieces(data, piece, rows).reshape(-1, model.context)
    losses = _losses(network, blocks, device).reshape(rows.size, -1).mean(axis=1)
    each = counts(spec, (), data.outputs).flops
    return PieceLosses(
        losses=losses,
        # Forward alone: two of the six FLOPs of a weight and byte.
        flops=float(each) * spec.seen + each / 3 * rows.size * piece,
        cpu_seconds=time.process_time() - started,
    )


@torch.no_grad()
def _losses(network: Any, blocks: npt.NDArray[np.uint8], device: str) -> npt.NDArray[np.float64]:
    """Mean loss of each block, (blocks,)."""
    found = np.empty(len(blocks))
    for start in range(0, len(blocks), _AT_ONCE):
        part = torch.from_numpy(blocks[start : start + _AT_ONCE].astype(np.int64)).to(device)
        out = network(part[:, :-1])
        each = F.cross_entropy(out.transpose(1, 2), part[:, 1:], reduction="none")
        found[start : start + len(part)] = each.double().mean(dim=1).cpu().numpy()
    return found
