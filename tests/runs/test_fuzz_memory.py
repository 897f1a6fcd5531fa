"""Files made to exhaust memory or time: what is allocated stays in proportion to the file."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from isoloss.errors import InputError, IsolossError
from isoloss.runs import read_runs

ROOM = 48 * 2**20
"""Whatever the file, what readers may take: batches, a megabyte of head, a few million gaps."""
MULTIPLE = 90
"""A row of two bytes that is refused is listed, with its name: about eighty bytes a byte."""
HEAD = b"N,D,loss\n"
ROW = b'{"N":1,"loss":2}\n'


def numbered(pattern: bytes, n: int, between: bytes = b",") -> bytes:
    return between.join(pattern % i for i in range(n))


def wide(columns: int) -> bytes:
    return b"N,loss," + numbered(b"x%x", columns) + b"\n" + b"1," * (columns + 1) + b"1\n"


def flags(columns: int) -> bytes:
    """Two sizes with names, and columns that all tell the same two experiments apart."""
    rows = (b"%d,%d,s%d" % (i % 2 + 1, i + 2, i % 2) for i in range(64))
    cells = (b",a" * columns, b",b" * columns)
    head = b"N,loss,size," + numbered(b"x%x", columns) + b"\n"
    return head + b"".join(r + cells[i // 2 % 2] + b"\n" for i, r in enumerate(rows))


# Each gives a file of a size in proportion to n.
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "one line of digits": lambda n: HEAD + b"1" * n,
    "one line of text": lambda n: b"N,loss\n1," + b"a" * n,
    "one header": lambda n: b"N" * n,
    "commas in the header": lambda n: b"," * n + b"\n",
    "quotes in the header": lambda n: b'"' * n + b"\n",
    "commas in a row": lambda n: HEAD + b"," * n,
    "a quote left open": lambda n: HEAD + b'"' + b"a,\n" * (n // 3),
    "blank lines": lambda n: HEAD + b"\n" * n,
    "old line ends": lambda n: HEAD + b"\r" * n,
    "lines of blanks": lambda n: HEAD + b" \n" * (n // 2),
    "rows of one field": lambda n: HEAD + b"1\n" * (n // 2),
    "rows of text": lambda n: HEAD + b"x,y,z\n" * (n // 6),
    "rows of nothing": lambda n: HEAD + b",,\n" * (n // 3),
    "equal rows": lambda n: HEAD + b"1,2,3\n" * (n // 6),
    "different words": lambda n: HEAD + numbered(b"x%x,y%x,1\n".replace(b"y%x", b"y"), n // 9, b""),
    "a wide table": lambda n: wide(min(n // 8, 9000)),
    "copies of a flag in many columns": lambda n: flags(n // 128),
    "different words in two columns": lambda n: (
        b"N,loss,p,q\n" + numbered(b"1,2,x%x,y\n", n // 12, b"")
    ),
    "escapes": lambda n: b"N,loss,name\n1,2," + b"\x1b]" * 5000 + b"\n" + b"\x1b[0;" * (n // 5),
    "empty lists": lambda n: b"[" + b"[]," * (n // 3) + b"[]]",
    "empty objects": lambda n: b"[" + b"{}," * (n // 3) + b"{}]",
    "a list of numbers": lambda n: b"[" + b"1," * (n // 2) + b"1]",
    "equal objects": lambda n: b"[" + b'{"N":1,"loss":2},' * (n // 17) + b"{}]",
    "an object of its own keys a row": lambda n: b"[" + numbered(b'{"%x":1}', n // 11) + b"]",
    "many keys and then few": lambda n: (
        b'[{"N":1,"loss":2,'
        + numbered(b'"%x":1', n // 16)
        + b"},"
        + b'{"N":1},' * (n // 16)
        + b"{}]"
    ),
    "an object of many keys": lambda n: b"{" + numbered(b'"%x":1', n // 8) + b"}",
    "an object of empty columns": lambda n: b"{" + numbered(b'"%x":[]', n // 9) + b"}",
    "lists in lists": lambda n: b"[" * n,
    "objects in objects": lambda n: b'{"a":' * (n // 5),
    "a deep cell": lambda n: b'{"N":[1],"loss":' + b"[" * 900 + b"]" * 900 + b"}",
    "a long text": lambda n: b'[{"N":1,"loss":"' + b"a" * n + b'"}]',
    "a long integer": lambda n: b'[{"N":1,"loss":' + b"9" * n + b"}]",
    "escapes in a name": lambda n: b'[{"N":1,"loss":2,"name":"' + b"\\u001b]" * (n // 7) + b'"}]',
    "lines of numbers": lambda n: ROW + b"1\n" * (n // 2),
    "lines of empty objects": lambda n: ROW + b"{}\n" * (n // 3),
    "lines of deep lists": lambda n: ROW + (b"[" * 2000 + b"\n") * (n // 2000),
    "lines of their own keys": lambda n: ROW + numbered(b'{"%x":1}\n', n // 11, b""),
    "a saved table": lambda n: json.dumps(
        {"kind": "runs", "schema": 1, "columns": {"N": [1] * (n // 10)}, "rows": [1] * (n // 10)}
    ).encode(),
    "a gzip bomb": lambda n: gzip.compress(b"0" * (50 * n)),
}  # fmt: skip


def attempt(data: bytes, **options: Any) -> None:
    with contextlib.suppress(IsolossError):
        read_runs(io.BytesIO(data), **options)


def peak(data: bytes) -> int:
    """Most that Python and numpy hold at once while reading, beyond the file itself."""
    tracemalloc.start()
    try:
        attempt(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def calls(data: bytes) -> int:
    """Calls of functions, built-in ones too, that reading takes: time without a clock."""
    count = 0

    def tick(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        attempt(data)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("kind", HOSTILE)
def test_memory_is_in_proportion_to_the_file(kind: str) -> None:
    data = HOSTILE[kind](40_000)
    assert peak(data) < ROOM + MULTIPLE * len(data)


@pytest.mark.parametrize("kind", HOSTILE)
def test_work_grows_no_faster_than_the_file(kind: str) -> None:
    small, large = (HOSTILE[kind](n) for n in (6_000, 24_000))
    assert calls(large) < 5 * calls(small) + 2000


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_ten_megabytes_of_it(kind: str) -> None:
    """Anything quadratic would take days."""
    data = HOSTILE[kind](10_000_000)
    assert peak(data) < ROOM + MULTIPLE * len(data)


@pytest.mark.parametrize("kind", ["a line", "a header", "a text in JSON"])
def test_one_line_of_ten_megabytes(kind: str) -> None:
    filler = b"a" * 10_000_000
    data = {
        "a line": b"N,loss\n1," + filler,
        "a header": filler,
        "a text in JSON": b'[{"N":1,"loss":"' + filler + b'"}]',
    }[kind]
    assert peak(data) < ROOM + 4 * len(data)


def test_a_million_columns_are_refused() -> None:
    with pytest.raises(InputError, match=r"1,000,002 columns; at most 10,000"):
        read_runs(io.BytesIO(b"N,loss" + b",x" * 1_000_000 + b"\n1,2\n"))


def test_refused_rows_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isoloss.runs.source.MAX_REFUSED", 100)
    files = {
        "fields": HEAD + b"1,2,3\n" + b"1\n" * 101,
        "text": HEAD + b"1,2,3\n" + b"x,1,1\n" * 101,
        "negative": HEAD + b"1,2,3\n" + b"-1,1,1\n" * 101,
        "duplicate": HEAD + b"1,2,3\n" * 102,
        "objects": b"[" + b"1," * 101 + b'{"N":1,"loss":2}]',
        "lines": ROW + b"1\n" * 101,
    }
    for data in files.values():
        with pytest.raises(
            InputError, match=r"more than 100 rows cannot be used, such as row [12]:"
        ):
            read_runs(io.BytesIO(data))
    assert len(read_runs(io.BytesIO(HEAD + b"1,2,3\n" + b"1\n" * 100)).refused) == 100


def test_objects_that_share_no_names_are_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isoloss.runs.source.FEW_CELLS", 1000)
    rows = [{"N": 1e6, "loss": 3.0} | {f"x{i}": 1.0} for i in range(400)]
    with pytest.raises(InputError, match="fill one cell in 50 or fewer"):
        read_runs(io.BytesIO(json.dumps(rows).encode()))
    # Ten names at a time out of two hundred, as trackers export them, are a table.
    rows = [
        {"N": 1e6 + i, "loss": 3.0} | {f"x{(i + j) % 200}": 1.0 for j in range(10)}
        for i in range(400)
    ]
    assert len(read_runs(io.BytesIO(json.dumps(rows).encode()))) == 400


def test_json_of_too_many_parts_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("isoloss.runs.text.MAX_CONTAINERS", 10)
    with pytest.raises(InputError, match="more than 10 objects and lists"):
        read_runs(io.BytesIO(b"[" + b"{}," * 10 + b"{}]"))


def varint(number: int) -> bytes:
    """A signed number as Thrift's compact protocol writes it."""
    number <<= 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def claiming(size: int, codec: str) -> bytes:
    """Parquet whose last page says it takes so many bytes when expanded."""
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    values = np.arange(1.0, 1001.0)
    buffer = io.BytesIO()
    table = pyarrow.table({"N": values, "loss": values})
    pq.write_table(table, buffer, compression=codec, use_dictionary=False, write_statistics=False)
    data = buffer.getvalue()
    chunk = pq.ParquetFile(buffer).metadata.row_group(0).column(1)
    start, length = chunk.data_page_offset, chunk.total_compressed_size
    assert data[start : start + 3] == b"\x15\x00\x15"  # page type, then the expanded size
    end = start + 3
    while data[end] & 128:
        end += 1
    new = varint(size)
    longer = length + len(new) - (end + 1 - start - 3)
    place = data.index(varint(length), start + length)  # the footer must know of the longer page
    assert len(varint(longer)) == len(varint(length))
    data = data[:place] + varint(longer) + data[place + len(varint(length)) :]
    return data[: start + 3] + new + data[end + 1 :]


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd"])
def test_a_parquet_page_that_claims_two_gigabytes(codec: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    usual = pyarrow.default_memory_pool()
    counted = pyarrow.proxy_memory_pool(usual)
    pyarrow.set_memory_pool(counted)
    try:
        with pytest.raises(InputError, match="damaged"):
            read_runs(io.BytesIO(claiming(2**31 - 1, codec)))
    finally:
        pyarrow.set_memory_pool(usual)
    assert counted.max_memory() < ROOM


def test_a_parquet_footer_that_claims_a_gigabyte() -> None:
    pytest.importorskip("pyarrow")
    for size in (2**31 - 1, 2**30, 10**6):
        data = b"PAR1" + b"\x00" * 1000 + size.to_bytes(4, "little") + b"PAR1"
        assert peak(data) < ROOM
        with pytest.raises(InputError, match="damaged"):
            read_runs(io.BytesIO(data))
