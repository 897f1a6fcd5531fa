"""Texts as bytes, split by whole files."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.place import at, files_below, read_file, shown
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data

MOST_TEXT = 4 << 30
"""Bytes of text that are read."""
SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
_TEST, _VALID = 7, 3
"""Files in a hundred for test and for validation."""

Files = dict[str, tuple[str, bytes]]


def stdlib_files(root: Path | None = None) -> Files:
    """Read the standard library by hash: name and content; tests and copies left out.

    Test suites are left out because some distributions package them separately.
    """
    root = root or Path(sysconfig.get_path("stdlib"))
    paths = [
        path
        for path in files_below(root, links=True)
        if path.suffix == ".py" and not SKIPPED & set(path.relative_to(root).parts)
    ]
    found = _distinct(root, paths)
    if not found:
        raise InputError(f"{shown(root)}: no .py files found; give a folder that holds some")
    return found


def digest_of(files: Files) -> str:
    """SHA-256 over names and contents in the order of their hashes."""
    digest = hashlib.sha256()
    for key in sorted(files):
        digest.update(os.fsencode(files[key][0]) + f"\0{key}\n".encode())
    return digest.hexdigest()


def hundredth(key: str) -> int:
    """Where a file's hash falls among a hundred: it decides the file's side for ever."""
    return int(key[:8], 16) % 100


def read_stdlib(spec: DataSpec) -> Data:
    """Test is every file whose hash falls below 7, validation from 97 on, training the rest."""
    files = stdlib_files()
    sides: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
    for key in sorted(files):
        place = hundredth(key)
        sides[2 if place < _TEST else 1 if place >= 100 - _VALID else 0].append(files[key][1])
    note = f"standard library of this Python, {len(files)} files"
    return _data(sides, digest_of(files), "the standard library", (note,))


def read_text(spec: DataSpec) -> Data:
    """Read a folder of texts, or one file."""
    path = at(spec.path or "")
    return _one_file(path) if path.is_file() else _folder(path, spec.endings)


def _one_file(path: Path) -> Data:
    content = np.frombuffer(read_file(path, MOST_TEXT), dtype=np.uint8)
    ends = [content.size * 18 // 20, content.size * 19 // 20]
    parts = tuple([part.tobytes()] for part in np.split(content, ends))
    digest = hashlib.sha256(content.data).hexdigest()
    return _data(parts, digest, shown(path), ("one file, split by position",))


def _folder(root: Path, endings: str) -> Data:
    wanted = tuple(endings.lower().split())
    paths = [
        path
        for path in files_below(root)
        if (path.name.lower().endswith(wanted) if wanted else not _hidden(path, root))
    ]
    size = sum(path.stat().st_size for path in paths)
    if size > MOST_TEXT:
        raise InputError(f"{shown(root)}: {size} bytes of text, more than {MOST_TEXT}; give fewer")
    files = _distinct(root, paths)
    # Without an ending to go by, a NUL byte is the mark of what is no text.
    texts = files if wanted else {k: v for k, v in files.items() if b"\0" not in v[1][:8192]}
    if not texts:
        raise InputError(f"{shown(root)}: no texts found{f' that end in {endings}' * bool(wanted)}")
    keys = sorted(texts)
    test, valid = (max(1, len(keys) * share // 100) for share in (_TEST, _VALID))
    cuts = (keys[test + valid :], keys[test : test + valid], keys[:test])
    sides = tuple([texts[key][1] for key in cut] for cut in cuts)
    notes: tuple[str, ...] = (f"{len(texts)} files",)
    if left := len(files) - len(texts):
        notes += (f"{left} files that are no text left out",)
    if copies := sum(path.stat().st_size > 0 for path in paths) - len(files):
        notes += (f"{copies} exact copies left out",)
    return _data(sides, digest_of(texts), shown(root), notes)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _distinct(root: Path, paths: Iterable[Path]) -> Files:
    """Files by the hash of what they hold; of copies the first stays, empty ones go."""
    found: Files = {}
    for path in paths:
        if path.stat().st_size == 0:
            continue
        content = read_file(path, MOST_TEXT)
        key = hashlib.sha256(content).hexdigest()
        found.setdefault(key, (path.relative_to(root).as_posix(), content))
    return found


def _data(sides: Iterable[list[bytes]], digest: str, name: str, notes: tuple[str, ...]) -> Data:
    train, valid, test = (_joined(side) for side in sides)
    if not (train.size and valid.size and test.size):
        raise InputError(f"{name}: too little text for training, validation and test; give more")
    empty = np.empty(0, dtype=np.int64)
    return Data(
        kind="text",
        train_x=train,
        train_y=empty,
        valid_x=valid,
        valid_y=empty,
        test_x=test,
        test_y=empty,
        outputs=256,
        digest=digest,
        notes=notes,
    )


def _joined(side: list[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytearray(b"\n".join(side)), dtype=np.uint8)
