"""Inputs that random damage once got past the readers, each by the name of what went wrong."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest

from isoloss.errors import InputError
from isoloss.runs import read_runs
from runs.mutants import accounted, delimited, read, survive


@pytest.mark.parametrize("place", [0, 33])
def test_a_quote_before_a_tab_gives_a_message_of_one_printable_line(place: int) -> None:
    """The csv module quotes the delimiter in its message: a raw tab reached the terminal."""
    data = delimited("\t")
    piece = b'"kind":"runs","schema":1,'
    with pytest.raises(InputError, match="a tab expected after") as caught:
        read(data[:place] + piece + data[place:])
    assert str(caught.value).isprintable()


def test_a_json_document_of_two_hundred_bytes_is_not_given_a_quarter_of_a_gigabyte() -> None:
    """The buffer was as large as the largest document allowed, whatever the size of this one."""
    data = io.BytesIO(json.dumps([{"N": 1e6 * i, "loss": 3.0} for i in range(1, 5)]).encode())
    tracemalloc.start()
    try:
        assert len(read_runs(data)) == 4
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_a_key_of_its_own_on_every_row_does_not_make_a_square_of_gaps() -> None:
    """A megabyte of one-key objects became fifty million absent cells: 400 MB."""
    data = b"[" + b",".join(b'{"N":1,"x%d":1}' % i for i in range(3000)) + b"]"
    with pytest.raises(InputError, match="fill one cell in 50 or fewer"):
        read(data)


def test_a_name_given_twice_by_nesting_keeps_the_first_value_and_its_row() -> None:
    """Gaps are filled when a name comes back; a second value must not slip into the next row."""
    rows = [
        {"N": 1.0, "a": {"b": 1.0}, "a.b": 9.0, "loss": 3.0},
        {"N": 2.0, "loss": 2.9},
        {"N": 3.0, "a.b": 3.0, "loss": 2.8},
    ]
    runs = survive(json.dumps(rows[::2]).encode())
    assert runs is not None
    assert runs["a.b"].tolist() == [1.0, 3.0]
    runs = survive(json.dumps(rows).encode(), columns={"q": "a.b"})
    assert runs is not None
    assert runs["q"].tolist() == [1.0, 3.0]
    assert [r.row for r in runs.refused] == [2]
    accounted(runs, 3)


@pytest.mark.parametrize("broken", ["{", '{"N": 1e6,, "loss": 3}', '{"N": 1e6} trailing'])
def test_a_damaged_first_line_does_not_cost_the_others(broken: str) -> None:
    """Without a suffix JSON lines were told by their first line alone, good or bad."""
    rows = [json.dumps({"N": 1e6 * i, "loss": 3.0 / i}) for i in range(1, 4)]
    runs = survive("\n".join([broken, *rows]).encode())
    assert runs is not None
    assert runs.rows == (2, 3, 4)
    assert [(r.row, r.code) for r in runs.refused] == [(1, "NOT_AN_OBJECT")]


def test_documents_over_several_lines_are_no_json_lines() -> None:
    row = {"N": 1e6, "loss": 3.0}
    for text in (
        json.dumps([row], indent=0),
        "[\n" + json.dumps(row) + "\n]",
        "[\n" + json.dumps(row) + ",\n" + json.dumps(row | {"N": 2e6}) + "\n]",
        json.dumps(row, indent=1),
        '{"N":\n{"0": 1e6, "1": 2e6},\n"loss":\n{"0": 3.0, "1": 2.9}\n}',
        '{"N":\n{"0": 1e6}\n,"loss":\n{"0": 3.0}\n}',
    ):
        assert read(text.encode()).refused == (), text
