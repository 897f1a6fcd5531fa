"""Formats: told by content, refused by name when foreign, bounded when hostile."""

from __future__ import annotations

import builtins
import gzip
import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss._core.serial import to_json
from isoloss.errors import InputError, IsolossError, MissingExtra
from isoloss.runs import Runs, read_runs
from isoloss.runs import source as limits
from isoloss.runs.sniff import sniff

DATA = {
    "run": ["a", "b", "c"],
    "params": [1e6, 2e6, 4e6],
    "tokens": [1e9, 1e9, 2e9],
    "loss": [4.0, 3.5, 3.1],
}
ROWS = [dict(zip(DATA, row, strict=True)) for row in zip(*DATA.values(), strict=True)]
DIGEST = read_runs(DATA).digest


def read(data: str | bytes, **options: object) -> Runs:
    return read_runs(io.BytesIO(data.encode() if isinstance(data, str) else data), **options)  # type: ignore[arg-type]


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (pickle.dumps(DATA), "pickle.*never opened"),
        (pickle.dumps(DATA, protocol=2), "pickle"),
        (gzip.compress(b"N,loss\n1,2\n", mtime=0), "gzip.*unpack"),
        (zipped("runs.csv"), "zip archive.*unpack"),
        (zipped("[Content_Types].xml"), "Excel.*export"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 99, "Excel"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"%PDF-1.7", "PDF"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstandard"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x93NUMPY\x01\x00", "numpy"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"ARROW1\0\0", "Feather"),
        (b"<!DOCTYPE html><p>sign in", "web page"),
        ("N,loss\n1,2\n".encode("utf-16"), "UTF-16"),
        ("N,loss\n1,2\n".encode("utf-16-le"), "UTF-16"),
        (b"N,loss\n1,2\n" * 9 + b"\x00", "binary"),
        (b"\0" * 257 + b"ustar", "tar"),
    ],
)
def test_foreign_files_are_named_with_the_remedy(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=what):
        read_runs(path)


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "txt", ""])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DATA),
        json.dumps(ROWS, indent=2),
        "\n".join(json.dumps(row) for row in ROWS),
        "\ufeff" + "\n\n".join(json.dumps(row) for row in ROWS) + "\n",
    ],
)
def test_json_in_any_layout_under_any_name(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"runs.{suffix}"
    path.write_text(text, encoding="utf8")
    if suffix == "jsonl" and text.startswith(("[", '{"run": [')):
        return  # a whole document is not JSON lines, and the suffix says it is
    assert read_runs(path).digest == DIGEST


def test_json_of_one_run_and_of_columns_by_label() -> None:
    assert len(read('{"N": 1, "D": 2, "loss": 3}')) == 1
    assert read('{"N": {"0": 1, "1": 2}, "loss": {"0": 3, "1": 2}}')["N"].tolist() == [1, 2]


def test_nested_objects_give_dotted_names_and_lists_are_left_out() -> None:
    rows = [
        {"config": {"n_params": n, "opt": {"lr": 0.1}}, "D": 5, "val/loss": 3 / n, "log": [1]}
        for n in (1, 2)
    ]
    runs = read(json.dumps(rows))
    assert runs["N"].tolist() == [1, 2]
    assert runs["lr"].tolist() == [0.1, 0.1]
    assert any("'log' left out: it holds lists" in note.message for note in runs.notes)


def test_bad_lines_are_refused_one_by_one() -> None:
    lines = [json.dumps(ROWS[0]), "{broken", "[1]", "", json.dumps(ROWS[1]), "3", '{"run": "d"}']
    runs = read("\n".join(lines))
    assert runs.rows == (1, 4)
    assert {r.row: r.code for r in runs.refused} == {
        2: "NOT_AN_OBJECT", 3: "NOT_AN_OBJECT", 5: "NOT_AN_OBJECT", 6: "MISSING",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested|cannot be read"),
        ('{"a":' * 100_000, "nested|cannot be read"),
        ('[{"N": 1, "loss": ' + "9" * 5000 + "}]", "cannot be read"),
        ("[{", "cannot be read"),
        ("[]", "no columns"),
        ("{}", "no columns"),
        ("[1, 2]", "2 rows refused; row 1"),
        ('{"N": [1, 2], "loss": [1]}', "differ in length"),
        ('{"N": [1, 2], "loss": 1}', "no list of values"),
        ('{"N": [1, 2], "loss": "12"}', "one value per run"),
        ('{"N": [], "loss": []}', "no rows"),
        ('[{"N": 1, "loss": NaN}]', "not a finite number"),
        ('[{"N": true, "loss": 1}]', "not a number"),
    ],
)
def test_json_that_cannot_be_used(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(text)


def test_json_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OBJECTS", 9)
    monkeypatch.setattr("isoloss.runs.frames.MAX_OBJECTS", 9)
    with pytest.raises(InputError, match="more than 9 cells"):
        read(json.dumps(ROWS))
    monkeypatch.setattr("isoloss.runs.text.MAX_JSON_BYTES", 20)
    with pytest.raises(InputError, match="larger than 20 bytes; write JSON lines"):
        read(json.dumps(ROWS))


def test_cells_of_a_wide_table_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.Limits.check, "__kwdefaults__", {"cells": 11})
    with pytest.raises(InputError, match="more than 11 cells"):
        read("N,D,C,loss\n" + "1,2,3,4\n" * 3)


def test_saved_runs_open_again_and_a_changed_one_does_not() -> None:
    runs = read_runs(DATA)
    text = to_json(runs.to_dict())
    assert read(text).to_dict() == runs.to_dict()
    assert read_runs(runs.to_dict()).digest == DIGEST
    with pytest.raises(InputError, match="digest"):
        read(text.replace("3.5", "3.4"))
    with pytest.raises(InputError, match="raw tables"):
        read(text, units={"N": 2.0})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["N", "loss", "D", "x", "kind"]), inner)
        ),
    )
)
def test_any_json_gives_runs_or_an_isoloss_error(value: object) -> None:
    try:
        runs = read(json.dumps(value))
    except IsolossError:
        return
    assert len(runs) >= 1


def frames() -> list[object]:
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    pyarrow = pytest.importorskip("pyarrow")
    arrow = pyarrow.table(DATA)
    kinds = np.rec.fromarrays(list(DATA.values()), names=list(DATA)).view(np.ndarray)
    return [
        pandas.DataFrame(DATA),
        pandas.DataFrame(DATA).astype({"params": "Int64", "run": "category"}),
        polars.DataFrame(DATA),
        arrow,
        SimpleNamespace(to_dict=lambda: DATA),
        SimpleNamespace(__dataframe__=lambda *_, **__: pandas.DataFrame(DATA).__dataframe__()),
        SimpleNamespace(__arrow_c_stream__=arrow.__arrow_c_stream__),
        kinds,
        ROWS,
        {name: tuple(values) for name, values in DATA.items()},
        {name: dict(enumerate(values)) for name, values in DATA.items()},
        {name: np.array(values) for name, values in DATA.items()},
    ]


@pytest.mark.parametrize("which", range(12))
def test_frames_of_any_make(which: int) -> None:
    frame = frames()[which]
    with warnings.catch_warnings():
        # pandas announces the end of the protocol that one of the frames offers.
        warnings.filterwarnings("ignore", message="(?s).*(__dataframe__|Dataframe Interchange)")
        assert read_runs(frame).digest == DIGEST


def test_gaps_in_frames_are_missing() -> None:
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    columns = {"name": ["a", None, "c"], "N": [1, None, 3], "loss": [3.0, 2.0, None]}
    nullable = pandas.DataFrame(columns).astype({"N": "Int64"})
    for frame in (pandas.DataFrame(columns), nullable, polars.DataFrame(columns), columns):
        runs = read_runs(frame)
        assert runs.names == ("a",)
        assert [refusal.name for refusal in runs.refused] == ["row 2", "c"]
        assert {refusal.code for refusal in runs.refused} <= {"MISSING", "NOT_FINITE"}


def test_frames_with_two_columns_of_one_name() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InputError, match="same name"):
        read_runs(pandas.DataFrame([[1, 2, 3]], columns=["N", "N", "loss"]))
    with pytest.raises(InputError, match="same name"):
        read_runs({1: [1], "1": [2], "loss": [3]})


@pytest.mark.parametrize("value", [np.zeros((2, 2)), 3.0, None, "text", object()])
def test_columns_that_are_no_lists(value: object) -> None:
    with pytest.raises(InputError, match="column 'N'"):
        read_runs({"N": value, "loss": [1.0, 2.0]})


def parquet(**columns: object) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def test_parquet_from_disk_and_stream(tmp_path: Path) -> None:
    data = parquet(**DATA)
    (tmp_path / "runs.csv").write_bytes(data)
    assert read_runs(tmp_path / "runs.csv").digest == DIGEST
    assert read(data).digest == DIGEST


def test_parquet_kinds_gaps_and_columns_left_out() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from decimal import Decimal

    runs = read(
        parquet(
            N=pyarrow.array([1, 2, None, 4], pyarrow.int64()),
            D=["1M", "2M", "3M", None],
            loss=pyarrow.array([Decimal("3.5"), Decimal("3.25"), Decimal("3.1"), Decimal("3.0")]),
            tags=[["a"], [], None, ["b"]],
            text=pyarrow.array(["x", None, "y", "x"]).dictionary_encode(),
        )
    )
    assert runs["D"].tolist() == [1e6, 2e6]
    assert runs["loss"].tolist() == [3.5, 3.25]
    assert [refusal.row for refusal in runs.refused] == [3, 4]
    assert any("'tags' left out" in note.message for note in runs.notes)
    assert any("'text' left out" in note.message for note in runs.notes)


def test_parquet_rows_are_counted_across_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isoloss.runs.parquet.BATCH_ROWS", 2)
    runs = read(parquet(N=[1.0, 2.0, 3.0, 4.0, -5.0], loss=[5.0, 4.0, 3.0, 2.0, 1.0]))
    assert runs.rows == (1, 2, 3, 4)
    assert [refusal.row for refusal in runs.refused] == [5]


def repeated(text: str, count: int) -> bytes:
    """Parquet with one text on every row, stored once."""
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    codes = pyarrow.array(np.zeros(count, dtype=np.int32))
    name = pyarrow.DictionaryArray.from_arrays(codes, [text])
    table = pyarrow.table({"N": np.arange(1.0, count + 1), "loss": np.ones(count), "name": name})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, store_schema=False)  # else the reader would be told
    return buffer.getvalue()


def test_parquet_bombs_are_refused_by_their_metadata() -> None:
    data = parquet(N=np.ones(300_000), loss=np.ones(300_000))
    assert len(data) < 100_000
    with pytest.raises(InputError, match="more than 200,000 rows"):
        read(data, max_rows=200_000)
    with pytest.raises(InputError, match="larger than"):
        read(parquet(N=np.arange(1, 99_999.0), loss=np.ones(99_998)), max_bytes=700_000)


def test_a_long_text_repeated_on_every_row_is_not_expanded() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    data = repeated("x" * 100_000, 1000)
    usual = pyarrow.default_memory_pool()
    counted = pyarrow.proxy_memory_pool(usual)
    pyarrow.set_memory_pool(counted)
    try:
        runs = read(data)
    finally:
        pyarrow.set_memory_pool(usual)
    assert runs.names[-1] == "x" * 200
    assert 100_000 < counted.max_memory() < 20_000_000  # 100 MB if every row had its own copy


def test_damaged_parquet_is_an_input_error() -> None:
    data = parquet(**DATA)
    with pytest.raises(InputError, match="cut short or damaged"):
        read(data[:-20])
    for cut in range(4, len(data), 97):
        with pytest.raises(InputError):
            read(data[:cut])


@given(st.integers(4, 700), st.integers(0, 255))
def test_parquet_with_a_changed_byte_gives_runs_or_an_isoloss_error(at: int, byte: int) -> None:
    data = bytearray(parquet(**DATA))
    data[at % len(data)] = byte
    try:
        read(bytes(data))
    except IsolossError:
        return


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def hidden(name: str, *rest: object, **more: object) -> object:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("importlib.import_module", hidden)
    with pytest.raises(MissingExtra, match=r"isoloss\[parquet\]"):
        read(b"PAR1" + b"\0" * 20)


def test_a_csv_named_parquet_is_told() -> None:
    with pytest.raises(InputError, match="not a Parquet file"):
        sniff(b"N,loss\n1,2\n", "parquet")
