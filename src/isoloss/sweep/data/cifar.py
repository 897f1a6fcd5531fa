"""CIFAR-10 in its binary version; the pickled one could run code when read, and is not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isoloss.errors import InputError
from isoloss.sweep.data.place import find, read_file, shown, where
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.standard import Pair, classes_data, digest_arrays, split_off
from isoloss.sweep.data.table import Data

FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
FOLDERS = ("cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin")
_RECORD = 3073
_EACH = 10_000


def find_cifar(spec: DataSpec) -> list[Path] | None:
    """Look for the six files on this machine."""
    return find(spec.path, FOLDERS, FILES)


def read_cifar(spec: DataSpec) -> Data:
    """Read the six files: one byte of label and 3 x 32 x 32 of image an example."""
    paths = find_cifar(spec)
    if paths is None:
        pickled = find(
            spec.path, ("cifar-10-batches-py", "cifar10/cifar-10-batches-py"), ["batches.meta"]
        )
        raise InputError(
            f"cifar10: no cifar-10-batches-bin in {where(spec.path)}; "
            + ("what is there is the pickled version, which is not read; " if pickled else "")
            + "get https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, unpack it and give path"
        )
    batches = [_batch(path) for path in paths]
    train = tuple(np.concatenate([b[i] for b in batches[:-1]]) for i in (0, 1))
    digest = digest_arrays([*train, *batches[-1]])
    notes: tuple[str, ...] = ()
    if [len(b[1]) for b in batches] != [_EACH] * len(FILES):
        notes = (f"files hold {[len(b[1]) for b in batches]} images, not {_EACH} each",)
    rest, valid = split_off((train[0], train[1]), min(5000, max(1, len(train[1]) // 10)))
    return classes_data(rest, valid, batches[-1], outputs=10, digest=digest, notes=notes)


def _batch(path: Path) -> Pair:
    content = read_file(path, _RECORD * 1_000_000)
    if len(content) % _RECORD:
        raise InputError(
            f"{shown(path)}: {len(content)} bytes are no whole number of records of {_RECORD}; "
            "it was cut or is another file"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, _RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
