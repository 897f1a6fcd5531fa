"""The default text: the source of Python's own standard library, which every machine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.text import digest_of, hundredth, stdlib_files


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
    files = stdlib_files(root)
    sides: dict[bool, list[bytes]] = {True: [], False: []}
    for key in sorted(files):
        sides[hundredth(key) < held_out_percent].append(files[key][1])
    if not all(sides.values()):
        raise InputError(f"{root}: {len(files)} files are too few to hold any out; give more text")
    train, held_out = (np.frombuffer(b"\n".join(sides[s]), dtype=np.uint8) for s in (False, True))
    return Corpus(train=train, held_out=held_out, digest=digest_of(files), n_files=len(files))
