"""Tables at random and tables damaged at random: runs, or an error that says what is wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from isoloss.runs import Runs
from runs.mutants import COLUMNS, accounted, damage, damages, parquet_seeds, read, seeds, survive

QUICK = settings(max_examples=150)
LONG = settings(max_examples=12_000, derandomize=False, database=None)
TEXTS = sorted(set(seeds()) - {"saved"})


def independent_count(kind: str, data: bytes) -> int | None:
    """Rows by another way of counting, or None where the damage leaves no way to tell."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if kind in ("list", "columns", "nested"):
        try:
            value = json.loads(text)
        except ValueError:
            return None
        return len(value) if isinstance(value, list) and text.lstrip()[:1] == "[" else None
    if kind == "jsonl":
        first = next((line for line in text.split("\n") if line.strip()), "")
        if not first.lstrip().startswith("{"):
            return None
        try:
            if not isinstance(json.loads(first), dict):
                return None
        except ValueError:
            return None
        return sum(bool(line.strip()) for line in text.split("\n"))
    if '"' in text or text.lstrip()[:1] in ("{", "["):
        return None
    lines = re.split(r"\r\n|\r|\n", text)
    if any("\t" in line and not line.strip() for line in lines):
        return None  # blank, or a row of empty cells: it depends on the delimiter
    return sum(bool(line.strip()) for line in lines) - 1


def try_damaged(kind: str, steps: list[tuple[int, int, int, bytes]]) -> None:
    data = damage(seeds()[kind], steps)
    runs = survive(data)
    if runs is None:
        return
    count = independent_count(kind, data)
    if count is not None:
        accounted(runs, count)


@pytest.mark.parametrize("kind", TEXTS)
@QUICK
@given(steps=damages())
def test_damaged_texts(kind: str, steps: Any) -> None:
    try_damaged(kind, steps)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXTS)
@LONG
@given(steps=damages(12))
def test_damaged_texts_at_length(kind: str, steps: Any) -> None:
    try_damaged(kind, steps)


@QUICK
@given(steps=damages(3))
def test_a_damaged_artifact_is_refused_or_is_what_its_digest_says(steps: Any) -> None:
    data = damage(seeds()["saved"], steps)
    runs = survive(data)
    if runs is None:
        return
    value = json.loads(data.decode("utf-8-sig"))
    if value.get("kind") == "runs" and "schema" in value:
        assert runs.digest == value["digest"]
        for name, column in value["columns"].items():
            assert runs[name].tolist() == column


def try_parquet(kind: str, steps: Any) -> None:
    survive(damage(parquet_seeds()[kind], steps))


@pytest.mark.parametrize("kind", ["plain", "snappy", "groups", "checked"])
@settings(max_examples=60)
@given(steps=damages(4))
def test_damaged_parquet(kind: str, steps: Any) -> None:
    pytest.importorskip("pyarrow")
    try_parquet(kind, steps)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "snappy", "groups", "checked"])
@settings(LONG, max_examples=6_000)
@given(steps=damages(4))
def test_damaged_parquet_at_length(kind: str, steps: Any) -> None:
    pytest.importorskip("pyarrow")
    try_parquet(kind, steps)


@QUICK
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: t.encode("utf8", "ignore")))
def test_any_bytes(data: bytes) -> None:
    survive(data)


CELLS = st.one_of(
    st.floats().map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(
        ["", "NA", "null", "1.3B", "7e6", "3.25", "1,5", "nan", "-inf", "1_0", "٣", "x"]
    ),
    st.text(st.characters(exclude_characters='"\r\n,', exclude_categories=["Cs"]), max_size=8),
)
HEADERS = st.lists(
    st.sampled_from(["N", "D", "C", "U", "loss", "seed", "lr", "name", "val_loss", "x", ""]),
    min_size=1,
    max_size=6,
)


@QUICK
@given(HEADERS, st.data())
def test_rows_of_any_cells_are_all_accounted_for(header: list[str], data: st.DataObject) -> None:
    """Used and refused rows are the rows of the file, however ragged and whatever they hold."""
    width = st.integers(max(0, len(header) - 1), len(header) + 1)
    good = {"N": "1e6", "D": "1e9", "C": "6e15", "U": "1e8", "loss": "3.5"}
    rows = []
    for _ in range(data.draw(st.integers(0, 6))):
        row = [data.draw(CELLS) for _ in range(data.draw(width))]
        rows.append(row)
    rows += [[good.get(h, str(i)) for h in header] for i in range(data.draw(st.integers(0, 3)))]
    rows = data.draw(st.permutations(rows))
    text = "\n".join(",".join(row) for row in [header, *rows]) + "\n"
    assume("\x00" not in text)
    runs = survive(text.encode())
    if runs is not None:
        lines = [line for line in text.split("\n")[1:] if line.strip()]
        accounted(runs, len(lines))


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["N", "loss", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(
    st.sampled_from(["N", "D", "C", "loss", "name", "seed", "config", "a.b", ""]),
    VALUES,
    max_size=6,
)
ROWS = st.lists(OBJECTS | VALUES | st.just({"N": 1e6, "D": 1e9, "loss": 3.0}), max_size=6)


@QUICK
@given(ROWS)
def test_objects_of_any_shape_are_all_accounted_for(rows: list[Any]) -> None:
    runs = survive(json.dumps(rows).encode())
    if runs is not None:
        accounted(runs, len(rows))
    lines = "\n".join(json.dumps(row) for row in rows)
    second = survive(lines.encode())
    if second is not None and lines.lstrip().startswith("{") and len(rows) > 1:
        accounted(second, len(rows))


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(["N", "D", "C", "loss", "name", "seed", "x"]),
        st.lists(VALUES, min_size=3, max_size=3),
    )
)
def test_columns_of_any_cells_are_all_accounted_for(columns: dict[str, list[Any]]) -> None:
    runs = survive(json.dumps(columns).encode())
    if runs is not None and columns.get("kind") != "runs":
        accounted(runs, 3)


@QUICK
@given(
    st.dictionaries(st.text(max_size=4), st.sampled_from([0, -1.0, float("nan"), "x", 1e6, None])),
    st.dictionaries(st.text(max_size=4), st.sampled_from(list(COLUMNS))),
)
def test_any_options(units: Any, columns: Any) -> None:
    survive(seeds()["csv"], units=units, columns=columns)


def test_the_seeds_are_valid() -> None:
    for data in seeds().values():
        runs = read(data)
        assert len(runs) == 6
        assert isinstance(runs, Runs)


def test_the_parquet_seeds_are_valid() -> None:
    pytest.importorskip("pyarrow")
    digests = {read(data).digest for data in parquet_seeds().values()}
    assert digests == {read(seeds()["columns"]).digest}
