"""Where data sets lie on a machine, and files of strangers read within limits."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from isoloss.errors import InputError

VARIABLE = "ISOLOSS_DATA"
DEBIAN = Path("/usr/share/datasets")
MOST_BYTES = 8 << 30
"""Bytes that the arrays of one set may take."""


def roots(path: str | None) -> list[Path]:
    """Folders to look in: the one that is named and no other, or those that a machine may have."""
    if path:
        return [at(path)]
    found = [at(named)] if (named := os.environ.get(VARIABLE)) else []
    return [*found, DEBIAN, cache()]


def at(path: str) -> Path:
    """Make a path of text; a home that is not known leaves its ``~``, where pathlib raises."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def cache() -> Path:
    """Folder of the user's caches; it is read and never written."""
    return at(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "isoloss"


def find(
    path: str | None, folders: Sequence[str], files: Sequence[str], endings: Sequence[str] = ("",)
) -> list[Path] | None:
    """Return the files of the first folder that holds all of them, each with one of the endings."""
    for root in roots(path):
        for folder in (root, *(root / name for name in folders)):
            found = [
                next((p for e in endings if (p := folder / (name + e)).is_file()), None)
                for name in files
            ]
            held = [p for p in found if p is not None]
            if len(held) == len(files):
                return held
    return None


def where(path: str | None) -> str:
    """Name the places that were looked in, for an error."""
    return ", ".join(shown(root) for root in roots(path))


def shown(path: object) -> str:
    """Write a path for a message; what a terminal would obey or cannot print is escaped."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def kept(path: str) -> str:
    r"""Write a path as a ledger keeps it: a relative one as it is, of any other its last part.

    Where a home or a disk lies is no part of an experiment and may name a person.

    Examples
    --------
    >>> kept("data/cats.npz"), kept("/home/ann/cats.npz"), kept("~/cats"), kept("C:\\ann\\cats")
    ('data/cats.npz', 'cats.npz', 'cats', 'cats')
    """
    if PureWindowsPath(path).drive:
        return PureWindowsPath(path).name or path
    if path.startswith(("/", "~")):
        return PurePosixPath(path).name or path
    return path


def without_places(text: str, paths: Iterable[str | None]) -> str:
    """Take out of a message where the given paths, caches, homes and the current folder lie."""
    known = {form: kept(path) for path in paths if path for form in (path, str(at(path)))}
    for variable in (VARIABLE, "XDG_CACHE_HOME"):
        if named := os.environ.get(variable):
            known.setdefault(str(at(named)), f"${variable}")
    known.setdefault(os.path.expanduser("~"), "~")  # noqa: PTH111
    known.setdefault(str(Path.cwd()), ".")
    for place in sorted(known, key=len, reverse=True):
        # A relative path stands as it is; a root alone would be found in every path.
        if len(place) > 1 and Path(place).is_absolute():
            text = text.replace(place, known[place])
    return text


def size_of(path: Path, most: int = MOST_BYTES) -> int:
    """Size of a plain file.

    Raises
    ------
    InputError
        If it is absent, no plain file (a pipe would wait for ever), empty or too large.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{shown(path)}: is no plain file")
    if found.st_size == 0:
        raise InputError(f"{shown(path)}: is empty")
    if found.st_size > most:
        raise InputError(
            f"{shown(path)}: {found.st_size} bytes, more than the {most} that are read"
        )
    return found.st_size


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a plain file whole, and no more of it than its size said."""
    size = size_of(path, most)
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read ({error.strerror})") from None


def files_below(root: Path, *, links: bool = False) -> list[Path]:
    """Plain files below a folder, sorted; links to folders are never followed.

    Links to files are followed only where asked: in a folder of strangers they may point anywhere.
    """
    if not root.is_dir():
        raise InputError(f"{shown(root)}: is no folder")
    found = []
    for folder, _, names in os.walk(root, followlinks=False):
        for name in names:
            path = Path(folder) / name
            if path.is_file() and (links or not path.is_symlink()):
                found.append(path)
    return sorted(found)
