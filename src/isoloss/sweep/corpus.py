"""The default text: the source of Python's own standard library, which every machine has."""

from __future__ import annotations

import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError

_SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """Bytes for training and for evaluation, split by whole files.

    Attributes
    ----------
    train, held_out
        Concatenated files, uint8.
    digest
        SHA-256 over names and contents in order; changes with the patch release of Python.
    n_files
        Distinct files used (exact copies are dropped).
    """

    train: npt.NDArray[np.uint8]
    held_out: npt.NDArray[np.uint8]
    digest: str
    n_files: int


def read_corpus(root: Path | None = None, *, held_out_percent: int = 7) -> Corpus:
    """Read every ``.py`` file below ``root`` (default: the running interpreter's library).

    A file's side is decided by a hash of its contents, so whole files stay on one side and the
    split does not depend on the order of the directory. Test suites are left out because some
    distributions package them separately. The training files are shuffled by the same hash:
    neighbouring packages do not arrive together.
    """
    root = root or Path(sysconfig.get_path("stdlib"))
    files: dict[str, tuple[str, bytes]] = {}
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if _SKIPPED & set(relative.parts) or not path.is_file():
            continue
        content = path.read_bytes()
        if content:
            files.setdefault(hashlib.sha256(content).hexdigest(), (relative.as_posix(), content))
    if not files:
        raise InputError(f"{root}: no .py files found; give a folder that holds some")
    digest = hashlib.sha256()
    sides: dict[bool, list[bytes]] = {True: [], False: []}
    for key in sorted(files):
        name, content = files[key]
        digest.update(f"{name}\0{key}\n".encode())
        sides[int(key[:8], 16) % 100 < held_out_percent].append(content)
    if not all(sides.values()):
        raise InputError(f"{root}: {len(files)} files are too few to hold any out; give more text")
    train, held_out = (np.frombuffer(b"\n".join(sides[s]), dtype=np.uint8) for s in (False, True))
    return Corpus(train=train, held_out=held_out, digest=digest.hexdigest(), n_files=len(files))
