"""Border checks, intervals, canonical JSON, atomic files and the journal."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import isoloss
from isoloss._core.arrays import as_level, as_positive, as_vector, freeze
from isoloss._core.interval import Interval
from isoloss._core.journal import Journal
from isoloss._core.serial import digest_bytes, plain, to_json, write_atomic
from isoloss.errors import FitError, InputError, IsolossError, LawError, MissingExtra


def test_freeze_copies_what_could_change() -> None:
    source = np.arange(3.0)
    frozen = freeze(source)
    source[0] = 9.0
    assert frozen[0] == 0.0
    assert freeze(frozen) is frozen
    with pytest.raises(ValueError, match="read-only"):
        frozen[0] = 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, math.nan], r"D\[1\] = .*nan.*finite and positive"),
        ([1.0, 2.0, 0.0], r"D\[2\] = .*0.0.*positive"),
        ([[1.0], [2.0]], "one dimension"),
        (["a"], "expected numbers"),
        ({"a": 1}, "expected numbers"),
        (1j, "expected numbers"),
        ([math.inf], r"D\[0\]"),
    ],
)
def test_vectors_are_refused_by_element(values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_vector("D", values, positive=True)


def test_numbers_at_the_border() -> None:
    assert as_vector("x", 3).tolist() == [3.0]
    assert as_positive("x", "2.5") == 2.5
    for bad in (0.0, -1.0, [1.0, 2.0], math.nan):
        with pytest.raises(InputError, match="x"):
            as_positive("x", bad)
    for bad in (0.0, 1.0, -0.1, 90, math.nan):
        with pytest.raises(InputError, match="level"):
            as_level(bad)


def test_errors_are_of_one_tree() -> None:
    assert issubclass(InputError, (IsolossError, ValueError))
    assert issubclass(LawError, ValueError)
    assert FitError("TOO_FEW_RUNS", "text").code == "TOO_FEW_RUNS"
    assert "isoloss[plot]" in str(MissingExtra("matplotlib", "plot"))


def test_intervals_of_draws() -> None:
    draws = np.arange(1001.0)
    interval = Interval.from_draws(draws[::-1], level=0.9, method="m")
    assert (interval.low, interval.high) == pytest.approx((50.0, 950.0), rel=1e-12)
    assert 50.1 in interval
    assert 49.9 not in interval
    assert 950.1 not in interval
    # A draw of weight two is two draws, whatever the scale of the weights.
    weights = np.where(draws < 500, 2.0, 1.0)
    twice = Interval.from_draws(np.r_[draws, draws[draws < 500]], level=0.5, method="m")
    weighted = Interval.from_draws(draws, level=0.5, method="m", weights=7 * weights)
    assert weighted.low == pytest.approx(twice.low, abs=1.5)
    assert weighted.high == pytest.approx(twice.high, abs=1.5)
    assert "90 %" in repr(interval)
    assert Interval(low=1.0, high=2.0, level=0.9, method="m").to_dict() == {
        "low": 1.0,
        "high": 2.0,
        "level": 0.9,
        "method": "m",
    }


def test_plain_types() -> None:
    value = {
        1: np.float64(0.5),
        "a": np.arange(4).reshape(2, 2),
        "b": (np.int64(3), math.inf),
        "c": np.array(2.0),
        "d": {"y", "x"},
        "e": np.bool_(True),
        "f": Interval(low=0, high=1, level=0.9, method="m"),
        "g": math.nan,
    }
    assert plain(value) == {
        "1": 0.5,
        "a": [[0, 1], [2, 3]],
        "b": [3, None],
        "c": 2.0,
        "d": ["x", "y"],
        "e": True,
        "f": {"low": 0, "high": 1, "level": 0.9, "method": "m"},
        "g": None,
    }
    assert json.loads(to_json(value)) == plain(value)


def test_json_bytes_do_not_depend_on_the_process() -> None:
    code = "from isoloss._core.serial import to_json; print(to_json({'s': set('abcdefgh')}))"
    found = set()
    for seed in ("1", "2", "3"):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": source_root()}
        found.add(
            subprocess.run(
                [sys.executable, "-c", code], env=env, capture_output=True, check=True
            ).stdout
        )
    assert len(found) == 1


def source_root() -> str:
    return str(Path(isoloss.__file__).parents[1])


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_atomic(path, "first, ß")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, "old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(path, "new")
    journal = Journal(tmp_path, "key")
    with pytest.raises(OSError, match="no space left"):
        journal.write("piece", np.ones(3))
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert journal.read("piece") is None


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (4, 1, 2)])
def test_journal_round_trip(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(shape)
    Journal(tmp_path, {"a": 1.0}).write("piece", np.array(values, order="F"))
    found = Journal(tmp_path, {"a": 1.0}).read("piece")
    assert found is not None
    np.testing.assert_array_equal(found, values)
    assert found.shape == shape
    loaded = np.load(Journal(tmp_path, {"a": 1.0}).folder / "piece.npy", allow_pickle=False)
    np.testing.assert_array_equal(loaded, values)
    assert Journal(tmp_path, {"a": 1.0 + 1e-15}).read("piece") is None
    assert Journal(tmp_path, {"a": 1.0}).read("other") is None


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


DAMAGE: list[Callable[[bytes], bytes]] = [
    lambda b: b[:-1],
    lambda b: b[:-8],
    lambda b: b + bytes(8),
    lambda b: b[:100],
    lambda b: b"",
    lambda b: bytes(len(b)),
    lambda b: header("(1000000000000000000000000000000,)") + b[128:],
    lambda b: header("(1000000000000,)") + b[128:],
    lambda b: header("(4294967296, 4294967296)"),
    lambda b: header("(-1,)") + b[128:],
    lambda b: header("(3") + b[128:],
    lambda b: header("(" * 50) + b[128:],
    lambda b: header("__import__('os').getpid()") + b[128:],
    lambda b: b.replace(b"<f8", b"|O8"),
    lambda b: b.replace(b"False", b"True "),
]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_piece_is_absent(
    damage: Callable[[bytes], bytes], signed: bool, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, "key")
    journal.write("piece", np.array([1.0, 2.0, 3.0]))
    path = journal.folder / "piece.npy"
    assert journal.read("piece") is not None
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    if signed:
        # Whoever writes into the folder can sign too: the header must still be harmless.
        (journal.folder / "piece.sha256").write_text(digest_bytes(damaged))
    assert journal.read("piece") is None


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_noticed(data: st.DataObject, tmp_path_factory: Any) -> None:
    journal = Journal(tmp_path_factory.mktemp("journal"), "key")
    journal.write("piece", np.array([1.0, 2.0, 3.0]))
    path = journal.folder / "piece.npy"
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    assert journal.read("piece") is None


def test_pools_loaded_after_the_first_use_have_one_thread_too() -> None:
    # scipy brings a second BLAS; in a process of its own, so that it is not there yet.
    code = """
import numpy
from threadpoolctl import threadpool_info
from isoloss._core.threads import one_thread
with one_thread():
    before = len(threadpool_info())
import scipy.linalg
with one_thread():
    found = [pool["num_threads"] for pool in threadpool_info()]
print(before, set(found))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split(maxsplit=1)[1].strip() == "{1}", shown.stdout


def test_blas_runs_in_one_thread_inside_and_as_before_after() -> None:
    from threadpoolctl import threadpool_info

    from isoloss._core.threads import one_thread

    def threads() -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info()]

    before = threads()
    with one_thread():
        assert set(threads()) <= {1}
    assert threads() == before


@pytest.mark.parametrize("weights", [None, np.ones(40)])
def test_an_interval_of_draws_that_run_off_is_open(weights: Any) -> None:
    draws = np.concatenate([np.linspace(1.0, 2.0, 30), np.full(10, np.inf)])
    found = Interval.from_draws(draws, level=0.9, method="draws", weights=weights)
    assert found.high == np.inf
    assert 1.0 <= found.low < 1.1
    below = Interval.from_draws(-draws, level=0.9, method="draws", weights=weights)
    assert (below.low, below.high) == (-np.inf, pytest.approx(-found.low, abs=0.05))
    few = np.concatenate([np.linspace(1.0, 2.0, 99), [np.inf]])
    assert Interval.from_draws(few, level=0.9, method="draws").high < 2.0
