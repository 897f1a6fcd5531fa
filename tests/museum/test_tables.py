"""Published tables that can only be read by running what is in them."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoloss._core.journal import Journal
from isoloss.errors import InputError
from isoloss.runs import read_runs

ran: list[str] = []


def mark(text: str) -> dict[str, list[float]]:
    """Stands for whatever code a stranger's file wants to run."""
    ran.append(text)
    return {"N": [1.0], "loss": [2.0]}


class Trap:
    """Calls a function when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return mark, ("opened",)


def trapped() -> dict[str, bytes]:
    array = io.BytesIO()
    np.save(array, np.array([Trap()], dtype=object), allow_pickle=True)
    archive = io.BytesIO()
    np.savez(archive, N=np.array([Trap()], dtype=object))
    plain = {f"protocol {p}": pickle.dumps(Trap(), protocol=p) for p in range(6)}
    data = pickle.dumps(Trap())
    return plain | {
        "xz": lzma.compress(data),
        "gzip": gzip.compress(data),
        "bzip2": bz2.compress(data),
        "npy": array.getvalue(),
        "npz": archive.getvalue(),
    }


def unpickle(path: Path) -> Any:
    """The defect: the loader that such a release asks for."""
    data = path.read_bytes()
    for opener in (lzma.decompress, gzip.decompress, bz2.decompress):
        try:
            data = opener(data)
        except Exception:
            continue
        break
    if data[:1] in (b"\x93", b"P"):
        return np.load(io.BytesIO(data), allow_pickle=True)
    return pickle.loads(data)


def runs_code(reader: Callable[[Path], Any], path: Path) -> bool:
    ran.clear()
    with contextlib.suppress(InputError):
        found = reader(path)
        if isinstance(found, np.lib.npyio.NpzFile):
            dict(found)  # its arrays are loaded when asked for
    return bool(ran)


@pytest.mark.parametrize("suffix", ["pickle", "pkl", "csv", "json", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", trapped())
def test_a_table_that_is_a_pickle(kind: str, suffix: str, tmp_path: Path) -> None:
    """The rows of two papers are released as pickles, which run code when they are loaded.

    Where: hadasah/scaling_laws (four ``*.pickle.xz``), mlfoundations/scaling
    (``scaling_law_dict.pkl``).

    Ours: no reader unpickles, whatever the name, the protocol or the compression; the file is
    told by its bytes and refused with what to do instead.
    """
    path = tmp_path / f"runs.{suffix}"
    path.write_bytes(trapped()[kind])
    assert not runs_code(read_runs, path)
    with pytest.raises(InputError) as caught:
        read_runs(path)
    if suffix in ("pickle", "pkl") and kind.startswith("protocol"):
        assert "never opened" in str(caught.value)
    assert runs_code(unpickle, path), "the trap is no trap"


def test_nor_is_a_journal_of_draws_unpickled(tmp_path: Path) -> None:
    """Finished blocks of draws are read back as plain arrays or not at all."""
    journal = Journal(tmp_path, ["key"])
    journal.write("block", np.ones((2, 3)))
    np.testing.assert_array_equal(journal.read("block"), np.ones((2, 3)))
    ran.clear()
    files = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert files
    for file in files:
        np_file = io.BytesIO()
        np.save(np_file, np.array([Trap()], dtype=object), allow_pickle=True)
        file.write_bytes(np_file.getvalue())
    assert journal.read("block") is None
    assert not ran
