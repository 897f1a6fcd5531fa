"""Labels, groups and digests against slow independent versions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.runs.rows import clean, group_rows, short, sort_rows

FEW = st.lists(st.sampled_from([0.0, 1.0, 2.0, float("nan")]), min_size=6, max_size=6)


@given(st.lists(FEW, min_size=1, max_size=4))
def test_groups_are_those_of_a_dictionary(columns: list[list[float]]) -> None:
    seen: dict[str, int] = {}
    expected = [seen.setdefault(str(row), len(seen)) for row in zip(*columns, strict=True)]
    assert group_rows([np.array(c) for c in columns]).tolist() == expected


@given(st.lists(FEW, min_size=1, max_size=4))
def test_order_is_that_of_a_lexicographic_sort(columns: list[list[float]]) -> None:
    arrays = [np.array(c) for c in columns]
    order, starts = sort_rows(arrays)
    assert order.tolist() == np.lexsort(arrays[::-1]).tolist()
    assert starts[0]
    assert starts.sum() == len({str(row) for row in zip(*columns, strict=True)})


@given(
    st.text(alphabet=st.characters() | st.sampled_from("\x1b[]m;0\x07\u202e\x9b\n"), max_size=400)
)
def test_clean_text_is_printable_short_and_stable(text: str) -> None:
    result = clean(text)
    assert result.isprintable()
    assert len(result) <= 200
    assert clean(result) == result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[1;31mb\x1b[0m", "ab"),
        ("a\x1b]8;;http://x\x07b", "ab"),
        ("a\tb\x00c", "a bc"),
        ("  plain ", "plain"),
        ("é漢", "é漢"),
        ("a" * 300, "a" * 200),
    ],
)
def test_clean_examples(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_short_values_fit_a_message() -> None:
    assert short("x" * 99) == repr("x" * 57 + "...")
    assert short(10**5000) == "'a huge integer'"
    assert short({}) == "'dict'"
    assert short(None) == "'None'"
