"""Pieces of a text: what a selection of text keeps or drops."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.table import Data

Bytes = npt.NDArray[np.uint8]


def pieces(data: Data, piece: int) -> int:
    """Count the whole pieces of the training part, each of which a byte follows.

    Piece i is the bytes from ``i * piece`` to before ``(i + 1) * piece``; what is left at the end
    belongs to none.

    Parameters
    ----------
    data
        Text.
    piece
        Bytes, 1 or more.

    Raises
    ------
    InputError
        If the data are no text, or shorter than one piece.

    Examples
    --------
    >>> empty, part = np.empty(0, dtype=np.int64), np.arange(10, dtype=np.uint8)
    >>> text = Data(kind="text", train_x=part, train_y=empty, valid_x=part, valid_y=empty,
    ...             test_x=part, test_y=empty, outputs=256, digest="")
    >>> pieces(text, 3), pieces(text, 5)
    (3, 1)
    >>> cut_pieces(text, 3, np.array([2, 0])).tolist(), join_pieces(text, 3, np.array([0, 2]))
    ([[6, 7, 8], [0, 1, 2]], array([0, 1, 2, 6, 7, 8, 9], dtype=uint8))
    """
    if data.kind != "text":
        raise InputError(f"piece = {piece}: targets are {data.kind}; only text has pieces")
    if piece < 1:
        raise InputError(f"piece = {piece}: must be a whole number of at least 1")
    count = (data.examples - 1) // piece
    if count < 1:
        raise InputError(
            f"piece = {piece}: longer than the {data.examples} bytes for training; give fewer"
        )
    return count


def cut_pieces(data: Data, piece: int, rows: npt.NDArray[np.int64]) -> Bytes:
    """Give pieces by number, (rows, piece)."""
    whole: Bytes = data.train_x[: pieces(data, piece) * piece].reshape(-1, piece)
    return whole[rows]


def join_pieces(data: Data, piece: int, rows: npt.NDArray[np.int64]) -> Bytes:
    """Put pieces one after the other, and behind them the byte that follows the last.

    With that byte every byte of a block of text has a next one, so that k pieces make exactly
    ``k * piece / context`` blocks. The last byte of a piece is followed by the first of the next
    one kept.
    """
    kept = cut_pieces(data, piece, rows).reshape(-1)
    return np.append(kept, data.train_x[(int(rows[-1]) + 1) * piece])
