"""Images in folders, one folder a class."""

from __future__ import annotations

import hashlib
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.sweep.data.place import MOST_BYTES, at, files_below, read_file, shown
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.standard import Pair, classes_data
from isoloss.sweep.data.table import Data

ENDINGS = (".png", ".jpg", ".jpeg")
MOST_PIXELS = 50_000_000
"""Pixels of an image that is unpacked."""
_MOST_FILE = 256 << 20
_HELD = 10
"""Images in a hundred for test, and as many for validation."""

_PARTS = {"train", "test", "val", "valid", "validation"}
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Pixels of eight bits or fewer: Pillow cuts wider ones off at 255."""

Found = dict[str, tuple[Path, int]]


def read_images(spec: DataSpec) -> Data:
    """Read every image, in the order of the hashes of the files.

    Where the folder holds ``train`` and ``test``, classes are looked for in these, and validation
    is set apart from ``train`` alone.
    """
    module = _pillow()
    root = at(spec.path or "")
    size, channels = spec.size or 28, spec.channels or 3
    split = (root / "train").is_dir() and (root / "test").is_dir()
    trees = [root / "train", root / "test"] if split else [root]
    names = _classes(trees)
    listed = [_listed(tree, names) for tree in trees]
    copies = sum(n for _, n in listed)
    train, rest = (listed[0][0], listed[1][0]) if split else (listed[0][0], {})
    # An image on both sides would be learned by heart and then asked for.
    twice = [key for key in rest if key in train]
    for key in twice:
        del train[key]
    keys = sorted(train)
    held = max(1, len(keys) * _HELD // 100)
    cuts = [keys[held:], keys[:held], sorted(rest)]
    if not split:
        cuts = [keys[2 * held :], keys[held : 2 * held], keys[:held]]
    total = 4 * sum(map(len, cuts)) * channels * size * size
    if total > MOST_BYTES:
        raise InputError(f"{shown(root)}: images take {total} bytes; lower size, or give fewer")
    both = train | rest
    parts = [_read(module, [both[key] for key in cut], size, channels) for cut in cuts]
    digest = hashlib.sha256(f"{size} {channels}\n".encode())
    for number, cut in enumerate(cuts):
        for key in cut:
            digest.update(f"{number} {key} {both[key][1]}\n".encode())
    notes: tuple[str, ...] = (
        f"{len(both)} images of {len(names)} classes in the order of their names",
    )
    if copies + len(twice):
        notes += (f"{copies + len(twice)} exact copies left out",)
    return classes_data(*parts, outputs=len(names), digest=digest.hexdigest(), notes=notes)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise InputError("images: Pillow is not installed; pip install pillow") from None
    return Image


def _classes(trees: list[Path]) -> list[str]:
    names: set[str] = set()
    for tree in trees:
        if not tree.is_dir():
            raise InputError(f"{shown(tree)}: is no folder")
        with os.scandir(tree) as entries:
            names |= {
                e.name
                for e in entries
                if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")
            }
    if len(names) < 2:
        raise InputError(
            f"{shown(trees[0])}: {len(names)} folders; put the images of each class in one"
        )
    if parts := sorted(names & _PARTS):
        raise InputError(
            f"{shown(trees[0])}: holds {', '.join(parts)}, which is no class; give a folder of "
            "classes, or one that holds train and test"
        )
    return sorted(names)


def _listed(tree: Path, names: list[str]) -> tuple[Found, int]:
    """Images by the hash of their files, with the class, and how many copies there are."""
    found: Found = {}
    copies = 0
    for number, name in enumerate(names):
        paths = files_below(tree / name) if (tree / name).is_dir() else []
        images = [path for path in paths if path.suffix.lower() in ENDINGS]
        for path in images:
            key = hashlib.sha256(read_file(path, _MOST_FILE)).hexdigest()
            if key in found and found[key][1] != number:
                raise InputError(
                    f"{shown(path)}: is the same image as {shown(found[key][0])}, of another "
                    "class; remove one"
                )
            copies += key in found
            found.setdefault(key, (path, number))
    if not found:
        raise InputError(f"{shown(tree)}: no files that end in {', '.join(ENDINGS)}")
    return found, copies


def _read(module: Any, files: list[tuple[Path, int]], size: int, channels: int) -> Pair:
    x = np.empty((len(files), channels, size, size), dtype=np.uint8)
    for i, (path, _) in enumerate(files):
        x[i] = _pixels(module, path, size, channels)
    return x, np.array([number for _, number in files], dtype=np.int64)


def _pixels(module: Any, path: Path, size: int, channels: int) -> Any:
    """One image as (channels, size, size), squeezed to a square; nothing but PNG and JPEG."""
    try:
        with warnings.catch_warnings():
            # What Pillow warns of, such as odd profiles, does not change pixels.
            warnings.simplefilter("ignore")
            with module.open(path, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise InputError(
                        f"{shown(path)}: {image.width} x {image.height} pixels, more than "
                        f"{MOST_PIXELS}; make it smaller"
                    )
                if image.mode not in _MODES:
                    raise InputError(
                        f"{shown(path)}: pixels of mode {image.mode}; save it with 8 bits a channel"
                    )
                grey = image.convert("RGB" if channels == 3 else "L")
                small = grey.resize((size, size), module.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError,
            module.DecompressionBombError) as error:  # fmt: skip
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{shown(path)}: cannot be read as PNG or JPEG; remove or repair it"
        ) from None
    return np.asarray(small, dtype=np.uint8).reshape(size, size, channels).transpose(2, 0, 1)
