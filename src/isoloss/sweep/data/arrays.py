"""Data of one's own as arrays: .npy files in a folder, or one .npz."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from isoloss.errors import InputError
from isoloss.spectra.npy import read_npy
from isoloss.sweep.data.place import MOST_BYTES, at, shown, size_of
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.standard import (
    Pair,
    Raw,
    assemble,
    classes_data,
    digest_arrays,
    split_off,
    standardised,
)
from isoloss.sweep.data.table import Data

NAMES = tuple(f"{part}_{side}" for part in ("train", "valid", "test") for side in "xy")
MOST_CLASSES = 100_000
_RATIO = 1100
_MEMBERS = 64


def read_arrays(spec: DataSpec) -> Data:
    """Read inputs (n, features), (n, h, w) or (n, c, h, w), and targets.

    Whole-number targets of one dimension are labels; other numbers are targets.
    """
    path = at(spec.path or "")
    found = _folder(path) if path.is_dir() else _npz(path)
    for name in ("train_x", "train_y"):
        if name not in found:
            raise InputError(f"{shown(path)}: no array {name}; needed are train_x and train_y")
    for part in ("valid", "test"):
        if (f"{part}_x" in found) != (f"{part}_y" in found):
            raise InputError(f"{shown(path)}: {part}_x and {part}_y come together or not at all")
    digest = digest_arrays(found[name] for name in NAMES if name in found)
    given = {
        part: (_inputs(part, found[f"{part}_x"]), _targets(part, found[f"{part}_y"]))
        for part in ("train", "valid", "test")
        if f"{part}_x" in found
    }
    _check(given)
    notes: tuple[str, ...] = ()
    tenth = max(1, len(given["train"][1]) // 10)
    for part in ("test", "valid"):
        if part not in given:
            given["train"], given[part] = split_off(given["train"], tenth)
            notes += (f"{part}: {tenth} rows of train set apart",)
    return _data(given["train"], given["valid"], given["test"], digest, notes)


def _data(train: Pair, valid: Pair, test: Pair, digest: str, notes: tuple[str, ...]) -> Data:
    parts = (train, valid, test)
    if not len(train[1]):
        raise InputError("train: no examples are left for it; give more")
    if train[1].ndim == 1:
        top = int(max(y.max() for _, y in parts))
        if top >= MOST_CLASSES:
            raise InputError(
                f"labels up to {top}: more than {MOST_CLASSES} classes; number them from 0, or "
                "give targets as floating-point numbers"
            )
        return classes_data(train, valid, test, outputs=top + 1, digest=digest, notes=notes)
    inputs = standardised([x for x, _ in parts])
    targets = [np.array(y, dtype=np.float32) for _, y in parts]
    return assemble("numbers", inputs, targets, targets[0].shape[1], digest, notes)


def _inputs(part: str, x: Raw) -> Raw:
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3, 4):
        raise InputError(
            f"{part}_x: {x.dtype} of shape {x.shape}; give numbers of shape (n, features), "
            "(n, height, width) or (n, channels, height, width)"
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise InputError(f"{part}_x: holds NaN or infinity; fix or drop those rows")
    return x[:, None] if x.ndim == 3 else x


def _targets(part: str, y: Raw) -> Raw:
    if y.ndim == 1 and y.dtype.kind in "biu":
        # The largest uint64 would turn negative without a word.
        return y.astype(np.int64) if y.max() < 1 << 62 else np.full(len(y), 1 << 62)
    if y.ndim not in (1, 2) or y.dtype.kind not in "biuf":
        raise InputError(
            f"{part}_y: {y.dtype} of shape {y.shape}; give labels (n,) or numbers (n, outputs)"
        )
    numbers = y.astype(np.float32).reshape(len(y), -1)
    if not np.isfinite(numbers).all():
        raise InputError(f"{part}_y: holds NaN, infinity or numbers beyond float32")
    return numbers


def _check(given: dict[str, Pair]) -> None:
    x0, y0 = given["train"]
    for part, (x, y) in given.items():
        if len(x) != len(y):
            raise InputError(f"{part}: {len(x)} inputs and {len(y)} targets; give one a row")
        if x.shape[1:] != x0.shape[1:] or y.shape[1:] != y0.shape[1:] or y.ndim != y0.ndim:
            raise InputError(
                f"{part}: shapes {x.shape}, {y.shape} do not go with train, {x0.shape}, {y0.shape}"
            )


def _folder(path: Path) -> dict[str, Raw]:
    files = {name: path / f"{name}.npy" for name in NAMES}
    found = {}
    for name, file in files.items():
        if file.is_file():
            size_of(file)
            found[name] = read_npy(file)
    return found


def _npz(path: Path) -> dict[str, Raw]:
    size_of(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(infos) > _MEMBERS or len(set(names)) < len(names):
                raise InputError(f"{shown(path)}: too many arrays, or two of one name")
            wanted = [i for i in infos if i.filename.removesuffix(".npy") in NAMES]
            if sum(info.file_size for info in wanted) > MOST_BYTES:
                raise InputError(f"{shown(path)}: unpacks to more than {MOST_BYTES} bytes")
            return {i.filename.removesuffix(".npy"): _member(archive, i, path) for i in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{shown(path)}: is no .npz of plain arrays, or is damaged ({error})"
        ) from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Raw:
    """One array, once header, size in the directory and size on disk agree."""
    name = f"{shown(path)}: {info.filename}"
    if info.file_size > _RATIO * info.compress_size + 1000:
        raise InputError(f"{name}: claims {info.file_size} bytes of {info.compress_size}")
    with archive.open(info) as file:
        shape, dtype = _header(cast(BinaryIO, file), name)
        if file.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise InputError(f"{name}: the header claims shape {shape}, and the file is not of it")
    with archive.open(info) as file:
        found: Raw = np.lib.format.read_array(cast(Any, file), allow_pickle=False)
    if found.size == 0:
        raise InputError(f"{name}: shape {shape} holds no number")
    return found


def _header(file: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise InputError(f"{name}: .npy version {version}; save plain arrays of numbers")
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise InputError(f"{name}: holds pickled objects, which could run code when read")
    return shape, dtype
