"""Arrays of strangers on disk: the header is believed only where the file bears it out."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from isoloss.errors import InputError

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_WIDTHS = {(1, 0): (2, "<H"), (2, 0): (4, "<I")}
_DESCR = re.compile(r"[\"']descr[\"'] ?:")
_KIND = re.compile(r"[\"']descr[\"'] ?: ?[\"'](?P<kind>[<>|=]?[A-Za-z?][0-9A-Za-z\[\]]{0,12})[\"']")
_ORDER = re.compile(r"[\"']fortran_order[\"'] ?: ?(?P<order>True|False)")
# A comma parts any two numbers, so that there is one way to read a text and no search.
_SIZES = r"(?: ?-?[0-9]{1,18}(?: ?, ?-?[0-9]{1,18}){0,7} ?,?)? ?"
_SHAPE = re.compile(r"[\"']shape[\"'] ?: ?\((?P<sizes>" + _SIZES + r")\)")


def read_npy(path: Path) -> np.ndarray[Any, Any]:
    """Map a ``.npy`` file into memory, without unpickling and without trusting its header.

    The size that the header claims is compared with the size of the file before anything is
    allocated.

    Raises
    ------
    InputError
        If the file is no ``.npy``, holds objects, complex numbers, dates or records, or is shorter
        or longer than its header says.
    """
    with path.open("rb") as file:
        shape, fortran, dtype = _header(file, path.name)
        offset = file.tell()
    claimed = math.prod(shape) * dtype.itemsize
    size = path.stat().st_size - offset
    if claimed != size:
        raise InputError(
            f"{path.name}: the header claims shape {shape} of {dtype}, {claimed} bytes, and the "
            f"file holds {size} after it; it is damaged or was cut, write it again"
        )
    if claimed == 0:
        raise InputError(f"{path.name}: shape {shape} holds no number")
    return np.memmap(
        path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C"
    )


def is_npy(path: Path) -> bool:
    """Whether a file begins as ``.npy`` files do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _header(file: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    start = file.read(len(_MAGIC) + 2)
    if start[: len(_MAGIC)] != _MAGIC:
        raise InputError(f"{name}: is not a .npy file")
    version = (start[-2], start[-1]) if len(start) == len(_MAGIC) + 2 else (0, 0)
    if version not in _WIDTHS:
        raise InputError(
            f"{name}: .npy version {version}; save a plain array of numbers with numpy.save"
        )
    width, code = _WIDTHS[version]
    head = file.read(width)
    length = struct.unpack(code, head)[0] if len(head) == width else _LONGEST_HEADER + 1
    text = file.read(length) if length <= _LONGEST_HEADER else b""
    if len(text) != length:
        raise InputError(f"{name}: the header of the .npy file is damaged")
    return _parse(text.decode("latin1"), name)


def _parse(text: str, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the three entries of a header by their form; nothing is evaluated."""
    order, shape, kind = (pattern.search(text) for pattern in (_ORDER, _SHAPE, _KIND))
    if order is None or shape is None or not _DESCR.search(text):
        raise InputError(f"{name}: the header of the .npy file cannot be read")
    try:
        dtype = np.dtype(kind["kind"]) if kind else None
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: the header of the .npy file cannot be read") from error
    if dtype is not None and dtype.hasobject:
        raise InputError(
            f"{name}: holds pickled objects, which could run code when read; save numbers with "
            "numpy.save(..., allow_pickle=False)"
        )
    if dtype is None or dtype.kind not in "biufSU":
        raise InputError(f"{name}: holds {dtype or 'records'}; give an array of real numbers")
    sizes = tuple(int(n) for n in shape["sizes"].split(",") if n.strip())
    if any(n < 0 for n in sizes):
        raise InputError(f"{name}: the header claims shape {sizes}; sizes are zero or more")
    return sizes, order["order"] == "True", dtype
