"""Valid tables in every format, ways to damage them, and what must hold of whatever comes out."""

from __future__ import annotations

import io
import json
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from isoloss._core.serial import to_json
from isoloss.errors import IsolossError
from isoloss.runs import Runs, read_runs

COLUMNS: dict[str, list[Any]] = {
    "run": ["a", "b", "c", "d", "e", "f"],
    "params": [1e6, 2e6, 4e6, 8e6, 1.6e7, 3.2e7],
    "tokens": [1e9, 1e9, 2e9, 2e9, 4e9, 4e9],
    "loss": [4.0, 3.5, 3.1, 2.9, 2.75, 2.625],
    "seed": [0, 1, 2, 0, 1, 2],
    "note": ["x", "two words", "", "y", "z", "é"],
}
# Pieces that mean something to one parser or another; a random byte rarely does.
TOKENS = (
    b",", b"\t", b";", b"|", b'"', b'""', b"\n", b"\r", b"\r\n", b"\n\n", b" ", b"\\", b"'", b"#",
    b"{", b"}", b"[", b"]", b":", b"null", b"true", b"NaN", b"Infinity", b"-", b"+", b"e", b".",
    b"0", b"-0", b"1e400", b"1e-400", b"9" * 320, b"0x10", b"1_000", b"1,000", b"1.3B", b"nan",
    b"N", b"D", b"C", b"U", b"loss", b"params", b"tokens", b"flops", b"seed", b"name", b"kind",
    b'"kind":"runs","schema":1,', b"\xef\xbb\xbf", b"\xff", b"\x00", b"\x1b[31m", b"\xe2\x80\xae",
    b"\xc2\x85", b"\xe2\x80\xa8", b"\x0b", b"\x0c", b"\x1c", b"\\ud800", b"\\u0000", b"PAR1",
    b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x80\x80\x80\x08", b"\x00\x00\x00\x80",
)  # fmt: skip


def delimited(separator: str, end: str = "\n", *, quoted: bool = False) -> bytes:
    rows = [list(COLUMNS), *zip(*COLUMNS.values(), strict=True)]
    quote = '"' if quoted else ""
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    return (end.join(lines) + end).encode()


@cache
def parquet(**options: Any) -> bytes:
    import pyarrow
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pyarrow.table(COLUMNS), buffer, **options)
    return buffer.getvalue()


@cache
def seeds() -> dict[str, bytes]:
    """Valid files by format; each gives six runs."""
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    nested = [
        {"config": {"params": r["params"], "data": {"tokens": r["tokens"]}}} | r for r in rows
    ]
    for row in nested:
        del row["params"], row["tokens"]
    return {
        "csv": delimited(","),
        "crlf": b"\xef\xbb\xbf" + delimited(",", "\r\n"),
        "quoted": delimited(",", quoted=True),
        "semicolon": delimited(";"),
        "tsv": delimited("\t"),
        "list": json.dumps(rows).encode(),
        "columns": json.dumps(COLUMNS, indent=1).encode(),
        "nested": json.dumps(nested).encode(),
        "jsonl": "\n".join(json.dumps(row) for row in rows).encode(),
        "saved": to_json(read_runs(COLUMNS).to_dict()).encode(),
    }


@cache
def parquet_seeds() -> dict[str, bytes]:
    """As `seeds`, in the layouts that Parquet has."""
    return {
        "plain": parquet(compression="none", use_dictionary=False),
        "snappy": parquet(),
        "groups": parquet(row_group_size=2, data_page_version="2.0"),
        "checked": parquet(compression="gzip", write_page_checksum=True),
    }


def damage(data: bytes, steps: list[tuple[int, int, int, bytes]]) -> bytes:
    """Apply (kind, place, length, piece) one after the other."""
    for kind, place, length, piece in steps:
        at = place % (len(data) + 1)
        if kind == 0:  # insert
            data = data[:at] + piece + data[at:]
        elif kind == 1:  # overwrite
            data = data[:at] + piece + data[at + len(piece) :]
        elif kind == 2:  # delete
            data = data[:at] + data[at + length :]
        elif kind == 3:  # repeat a stretch
            data = data[: at + length] + data[at:]
        elif kind == 4:  # cut short
            data = data[:at]
        elif kind == 5 and at < len(data):  # flip one bit
            data = data[:at] + bytes([data[at] ^ (1 << length % 8)]) + data[at + 1 :]
        elif kind == 6:  # move a stretch to another place
            stretch = data[at : at + length]
            rest = data[:at] + data[at + length :]
            to = (place // 7) % (len(rest) + 1)
            data = rest[:to] + stretch + rest[to:]
    return data


def damages(most: int = 6) -> st.SearchStrategy[list[tuple[int, int, int, bytes]]]:
    piece = st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=4)
    step = st.tuples(st.integers(0, 6), st.integers(0, 2**20), st.integers(1, 200), piece)
    return st.lists(step, min_size=1, max_size=most)


def read(data: bytes, **options: Any) -> Runs:
    return read_runs(io.BytesIO(data), **options)


def survive(data: bytes, **options: Any) -> Runs | None:
    """Read what may be anything: runs that keep every promise, or an error of the family."""
    try:
        runs = read(data, **options)
    except IsolossError as error:
        text = str(error)
        assert text
        # Messages end in terminals: one line, printable and of a length that can be read.
        assert text.isprintable(), repr(text)
        assert len(text) < 4000
        return None
    check(runs)
    return runs


def check(runs: Runs) -> None:
    """What is true of all runs, wherever they came from."""
    for name, values in runs.columns.items():
        assert values.dtype == np.float64
        assert values.shape == (len(runs),)
        assert np.isfinite(values).all(), name
        assert not values.flags.writeable
        if name in ("N", "D", "C", "U", "loss"):
            assert (values > 0).all(), name
    used, refused = list(runs.rows), [r.row for r in runs.refused]
    assert all(row >= 1 for row in used + refused)
    for text in (*runs.names, *(r.reason for r in runs.refused), *(n.message for n in runs.notes)):
        assert text.isprintable()
    back = Runs.from_dict(json.loads(to_json(runs.to_dict())))
    assert back.digest == runs.digest
    assert runs.summary()


def accounted(runs: Runs, count: int) -> None:
    """Every row of the source is used or refused, and none twice."""
    rows = sorted([*runs.rows, *(r.row for r in runs.refused)])
    assert rows == list(range(1, count + 1))
