"""Lines at the end of a file, each on disk before the call returns."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def append_line(path: Path, line: str) -> None:
    r"""Add one line: flushed to disk, and whole or absent where the disk is full.

    A kill inside the write leaves an end without its newline; the next line starts on a line of its
    own, so that readers lose the torn one alone.

    Parameters
    ----------
    path
        File, created if absent.
    line
        Text without newlines.

    Raises
    ------
    OSError
        When the line cannot be written; what a full disk took of it is taken back.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "log"
    ...     _ = path.write_text("whole\ntorn")
    ...     append_line(path, "next")
    ...     path.read_text()
    'whole\ntorn\nnext\n'
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size and os.pread(handle, 1, size - 1) != b"\n"
        rest = f"{chr(10) if torn else ''}{line}\n".encode()
        written = 0
        try:
            while rest:
                # A full disk takes a part first and refuses the rest at the next write.
                count = os.write(handle, rest)
                written, rest = written + count, rest[count:]
            os.fsync(handle)
        except OSError as error:
            error.filename = error.filename or str(path)
            # Only what this call wrote is taken back, never the line of another writer.
            with contextlib.suppress(OSError):
                if os.fstat(handle).st_size == size + written:
                    os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)


def repair_end(path: Path) -> bool:
    """Cut a torn last line off a file that nobody else writes; say whether there was one."""
    if not path.exists():
        return False
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end, block = size, 1 << 16
        while end:
            start = max(0, end - block)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end == size:
            return False
        file.truncate(end)
        os.fsync(file.fileno())
    return True
