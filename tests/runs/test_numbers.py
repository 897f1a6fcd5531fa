"""Cells to numbers: both paths agree, and every refusal names its value."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.runs.numbers import read_numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_text_and_numbers_and_arrays_read_the_same(values: list[float]) -> None:
    for cells in (
        values,
        [repr(v) for v in values],
        np.array(values),
        [np.float64(v) for v in values],
    ):
        read, problems = read_numbers(cells, suffix=False)
        assert read.tolist() == values
        assert not problems


@given(st.lists(st.floats().map(repr) | st.text(max_size=6), min_size=1))
def test_every_cell_is_a_finite_number_or_a_problem(cells: list[str]) -> None:
    values, problems = read_numbers(cells, suffix=True)
    assert sorted(problems) == np.flatnonzero(~np.isfinite(values)).tolist()
    slow, same = read_numbers([*cells, "x"], suffix=True)  # one bad cell forces the careful path
    assert slow[:-1].tobytes() == values.tobytes()
    assert {i: code for i, (code, _) in same.items() if i < len(cells)} == {
        i: code for i, (code, _) in problems.items()
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("350M", 350e6),
        ("350m", 350e6),
        ("1.3B", 1.3e9),
        ("70k", 70e3),
        ("2T", 2e12),
        (" .5 B ", 5e8),
        ("1e9", 1e9),
        ("+3.", 3.0),
        ("-2", -2.0),
        ("1E-3", 1e-3),
    ],
)
def test_accepted_spellings(text: str, value: float) -> None:
    assert read_numbers([text], suffix=True)[0].tolist() == [value]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("", "MISSING"),
        ("  ", "MISSING"),
        ("N/A", "MISSING"),
        ("null", "MISSING"),
        (None, "MISSING"),
        ("nan", "NOT_FINITE"),
        ("-inf", "NOT_FINITE"),
        ("Infinity", "NOT_FINITE"),
        ("1e400", "NOT_FINITE"),
        (float("inf"), "NOT_FINITE"),
        (10**400, "NOT_FINITE"),
        (Decimal("1e999"), "NOT_FINITE"),
        (Decimal("sNaN"), "NOT_FINITE"),
        ("1,000,000", "NOT_A_NUMBER"),
        ("3,14", "NOT_A_NUMBER"),
        ("1_000", "NOT_A_NUMBER"),
        ("٣", "NOT_A_NUMBER"),
        ("0x10", "NOT_A_NUMBER"),
        ("1e", "NOT_A_NUMBER"),
        ("1 2", "NOT_A_NUMBER"),
        ("=1+1", "NOT_A_NUMBER"),
        ("12Q", "NOT_A_NUMBER"),
        (True, "NOT_A_NUMBER"),
        (1j, "NOT_A_NUMBER"),
        (np.bool_(True), "NOT_A_NUMBER"),
        ([1], "NOT_A_NUMBER"),
        (b"1", "NOT_A_NUMBER"),
        ("1" * 401, "NOT_A_NUMBER"),
        ("1" * 100_000 + "x", "NOT_A_NUMBER"),
    ],
)
def test_refused_cells_have_a_code_and_name_the_value(cell: object, code: str) -> None:
    values, problems = read_numbers([cell, "7"], suffix=True)
    assert np.isnan(values[0])
    assert values[1] == 7
    assert problems[0][0] == code
    assert len(problems[0][1]) < 200
    if code == "NOT_A_NUMBER" and isinstance(cell, str) and len(cell) < 50:
        assert repr(cell) in problems[0][1]


def test_unit_letters_only_where_allowed() -> None:
    assert read_numbers(["350M"], suffix=False)[1][0][0] == "NOT_A_NUMBER"


def test_the_callers_array_is_not_changed() -> None:
    mine = np.array([1.0, np.inf])
    values, problems = read_numbers(mine, suffix=False)
    assert mine.tolist() == [1.0, np.inf]
    assert np.isnan(values[1])
    assert list(problems) == [1]


@pytest.mark.parametrize(
    ("array", "bad"),
    [
        (np.array([1, 2], dtype=np.int64), []),
        (np.ma.masked_array([1.0, 2.0], mask=[False, True]), [1]),
        (np.array([True, False]), [0, 1]),
        (np.array(["1", "x"]), [1]),
        (np.array([1, None], dtype=object), [1]),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), [0]),
        (np.array([1 + 0j]), [0]),
    ],
)
def test_arrays_of_any_kind(array: np.ndarray, bad: list[int]) -> None:
    assert sorted(read_numbers(array, suffix=False)[1]) == bad
