"""Images and labels in the idx format of MNIST, and the sets that come in it."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.place import MOST_BYTES, find, shown, size_of, where
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.standard import classes_data, digest_arrays, split_off
from isoloss.sweep.data.table import Data

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
FOLDERS = {
    "fashion-mnist": ("fashion-mnist", "FashionMNIST/raw"),
    "mnist": ("mnist", "MNIST/raw"),
}
"""Debian's folder, and that of torchvision."""
FASHION = "6c7a0f02127e0cdc"
"""Start of the digest of Fashion-MNIST as Debian ships it."""
CLASSES, SIDE = 10, 28
_RATIO = 1100
"""No deflate stream grows more than this on unpacking."""
_BLOCK = 1 << 20

Bytes = npt.NDArray[np.uint8]


def read_idx(path: Path, dimensions: int) -> Bytes:
    """Read a file of unsigned bytes, gzipped or not.

    What the header claims is held against the size of the file before anything is allocated.

    Raises
    ------
    InputError
        If the file is of another format, cut, longer than its header says, or damaged.
    """
    size, name = size_of(path), shown(path)
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            return _read(cast(BinaryIO, file), dimensions, size * (_RATIO if packed else 1), name)
    except (EOFError, gzip.BadGzipFile, zlib.error, OSError) as error:
        raise InputError(f"{name}: is damaged or was cut ({error}); get it again") from None


def _read(file: BinaryIO, dimensions: int, most: int, name: str) -> Bytes:
    head = file.read(4 + 4 * dimensions)
    if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
        raise InputError(f"{name}: is no idx file of bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", head[4:])
    claimed = math.prod(shape)
    if not 0 < claimed <= min(most, MOST_BYTES):
        raise InputError(f"{name}: the header claims shape {shape}, which the file cannot hold")
    values, held = np.empty(claimed, dtype=np.uint8), 0
    while held < claimed:
        block = file.read(min(_BLOCK, claimed - held))
        if not block:
            raise InputError(f"{name}: ends after {held} of {claimed} bytes; get it again")
        values[held : held + len(block)] = np.frombuffer(block, dtype=np.uint8)
        held += len(block)
    if file.read(1):
        raise InputError(f"{name}: is longer than the {claimed} bytes that its header claims")
    return values.reshape(shape)


def find_idx(spec: DataSpec) -> list[Path] | None:
    """Look for the four files on this machine."""
    return find(spec.path, FOLDERS[spec.name], FILES, (".gz", ""))


def read_idx_set(spec: DataSpec) -> Data:
    """Fashion-MNIST or MNIST: the last 5,000 of a permutation are validation, or 10 % of fewer."""
    paths = find_idx(spec)
    if paths is None:
        raise InputError(_absent(spec))
    arrays = [read_idx(path, 3 if i % 2 == 0 else 1) for i, path in enumerate(paths)]
    for i in (0, 2):
        if len(arrays[i]) != len(arrays[i + 1]):
            raise InputError(
                f"{shown(paths[i])}: {len(arrays[i])} images and {len(arrays[i + 1])} labels"
            )
        if arrays[i].shape[1:] != (SIDE, SIDE):
            raise InputError(f"{shown(paths[i])}: images of {arrays[i].shape[1:]}, not 28 x 28")
    digest = digest_arrays(arrays)
    notes: tuple[str, ...] = ()
    fashion = digest.startswith(FASHION)
    if fashion and spec.name == "mnist":
        raise InputError(f"{shown(paths[0])}: is Fashion-MNIST; give the path of MNIST")
    if not fashion and spec.name == "fashion-mnist":
        notes = ("the files are not Fashion-MNIST as Debian ships it",)
    train = arrays[0][:, None], arrays[1]
    train, valid = split_off(train, min(5000, max(1, len(arrays[1]) // 10)))
    test = arrays[2][:, None], arrays[3]
    return classes_data(train, valid, test, outputs=CLASSES, digest=digest, notes=notes)


def _absent(spec: DataSpec) -> str:
    begin = f"{spec.name}: not found in {where(spec.path)}; "
    if spec.name == "mnist":
        return begin + f"put the four idx files ({FILES[0]}.gz ...) there and give path"
    return (
        begin + "on Debian: apt install dataset-fashion-mnist; by pip: pip install torchvision, "
        "then python -c \"import torchvision; torchvision.datasets.FashionMNIST('DIR', "
        'download=True)" and path = DIR; ISOLOSS_DATA = DIR serves every run'
    )
