"""The table of runs: content, selection, round trips and distrust of artifacts."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss._core.serial import to_json
from isoloss.errors import InputError
from isoloss.runs import Conventions, Note, Refusal, Runs, read_runs

GRID = {"N": [1e6, 2e6, 4e6, 1e6], "D": [1e8, 1e9, 1e8, 1e8], "loss": [4.0, 3.5, 3.6, 4.1]}
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LABELS = st.text(max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> Runs:
    count = draw(st.integers(1, 6))
    axes = draw(
        st.lists(st.sampled_from(["N", "D", "loss", "seed", "d/model"]), min_size=1, unique=True)
    )
    column = st.lists(FLOATS, min_size=count, max_size=count)
    return Runs(
        columns={axis: draw(column) for axis in axes},
        names=tuple(draw(st.lists(LABELS, min_size=count, max_size=count))),
        rows=tuple(draw(st.lists(st.integers(1, 10**6), min_size=count, max_size=count))),
        conventions=Conventions(evaluation=draw(LABELS)),
        source=draw(LABELS),
        refused=(Refusal(3, draw(LABELS), "MISSING", draw(LABELS)),),
        notes=(Note("UNITS", "info", draw(LABELS)),),
    )


@given(tables())
def test_dict_round_trip_is_exact_through_json(runs: Runs) -> None:
    back = Runs.from_dict(json.loads(to_json(runs.to_dict())))
    assert back.to_dict() == runs.to_dict()
    for name, values in runs.columns.items():
        assert back[name].tobytes() == values.tobytes()


@given(tables(), st.randoms(use_true_random=False))
def test_digest_ignores_the_order_of_rows_and_columns(runs: Runs, random: object) -> None:
    order = list(range(len(runs)))
    random.shuffle(order)  # type: ignore[attr-defined]
    columns = {name: runs[name][order] for name in reversed(list(runs.columns))}
    names = tuple(runs.names[i] for i in order)
    rows = tuple(runs.rows[i] for i in order)
    assert Runs(columns=columns, names=names, rows=rows).digest == runs.digest
    assert runs.select(order).digest == runs.digest


def test_digest_sees_values_names_axes_and_which_name_has_which_value() -> None:
    base = Runs(columns=GRID, names=tuple("abcd"))
    changed = {**GRID, "loss": [4.0, 3.5, 3.6, np.nextafter(4.1, 5)]}
    others = [
        Runs(columns=changed, names=tuple("abcd")),
        Runs(columns=GRID, names=tuple("abce")),
        Runs(columns=GRID, names=tuple("bacd")),
        Runs(columns={"C" if k == "D" else k: v for k, v in GRID.items()}, names=tuple("abcd")),
        Runs(columns=GRID),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 6


def test_digest_of_unnamed_runs_does_not_depend_on_row_numbers() -> None:
    backwards = {name: values[::-1] for name, values in GRID.items()}
    assert Runs(columns=GRID).digest == Runs(columns=backwards).digest


def test_both_zeros_are_one_value() -> None:
    plus, minus = (Runs(columns={"seed": [0.0, zero]}) for zero in (0.0, -0.0))
    assert plus.digest == minus.digest


def test_columns_are_read_only_and_do_not_follow_the_callers_array() -> None:
    mine = np.array([1.0, 2.0])
    runs = Runs(columns={"N": mine})
    mine[0] = 9.0
    assert runs["N"].tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        runs["N"][0] = 3.0
    with pytest.raises(TypeError):
        runs.columns["D"] = mine  # type: ignore[index]


def test_unknown_column_lists_those_there_are() -> None:
    with pytest.raises(InputError, match="'E'; they have: N, D, loss"):
        Runs(columns=GRID)["E"]
    assert "N" in Runs(columns=GRID)
    assert "E" not in Runs(columns=GRID)


def test_select_keeps_rows_names_and_refusals_and_renews_notes() -> None:
    refused = (Refusal(9, "x", "MISSING", "loss is missing"),)
    stated = (Note("UNITS", "info", "N was multiplied by 2"),)
    runs = Runs(columns=GRID, names=tuple("abcd"), refused=refused, notes=stated)
    assert "REPLICATES" in {note.code for note in runs.notes}
    part = runs.select(runs["loss"] < 4.0)
    assert part.names == ("b", "c")
    assert part.rows == (2, 3)
    assert part.refused == refused
    assert part.notes[0] == stated[0]
    assert "REPLICATES" not in {note.code for note in part.notes}
    assert runs.select([3, 3]).names == ("d", "d")
    assert runs.select(slice(1, None)).names == ("b", "c", "d")
    assert len([n for n in runs.select(slice(None)).notes if n.code == "REPLICATES"]) == 1


@pytest.mark.parametrize(
    "index", [[False] * 4, [], [4], [True] * 3, [0.5], [[0, 1]], ["a"], slice(9, None)]
)
def test_select_refuses_what_selects_nothing_or_something_else(index: object) -> None:
    with pytest.raises(InputError, match="select"):
        Runs(columns=GRID).select(index)  # type: ignore[arg-type]


def test_configurations_ignore_chance_and_outcomes_but_no_setting() -> None:
    columns = {
        "N": [1, 1, 2, 1, 1],
        "batch_size": [8, 8, 8, 16, 8],
        "seed": [0, 1, 0, 0, 2],
        "loss": [3.0, 3.1, 2.0, 3.2, 3.0],
        "train_loss": [2.0, 2.1, 1.0, 2.2, 2.3],
        "wall_time": [1, 2, 3, 4, 5],
    }
    assert Runs(columns=columns).configurations().tolist() == [0, 0, 1, 2, 0]
    assert Runs(columns={"loss": [3.0, 2.0]}).configurations().tolist() == [0, 0]


def test_axes_give_what_a_law_takes() -> None:
    runs = Runs(columns=GRID)
    assert list(runs.axes(["D", "N"])) == ["D", "N"]
    with pytest.raises(InputError, match="no column 'U'"):
        runs.axes(["N", "U"])


def test_to_columns_reads_back() -> None:
    runs = Runs(columns=GRID, names=tuple("abcd"))
    again = read_runs(runs.to_columns(), flops="6ND").select([3, 1, 0, 2])
    assert Runs(columns=again.axes(GRID), names=again.names).digest == runs.digest


def test_copies_between_processes_are_equal() -> None:
    runs = Runs(columns=GRID, names=tuple("abcd"))
    for twin in (copy.deepcopy(runs), pickle.loads(pickle.dumps(runs))):
        assert twin.to_dict() == runs.to_dict()


HOSTILE = "\x1b[31m<script>alert(1)</script>\x07\u202e" + "z" * 500


def test_labels_lose_escapes_and_length_and_html_is_escaped() -> None:
    runs = Runs(
        columns={"<b>N": [1.0]},
        names=(HOSTILE,),
        source=HOSTILE,
        refused=(Refusal(2, HOSTILE, "MISSING", HOSTILE),),
        notes=(Note("UNITS", "info", HOSTILE),),
    )
    assert len(runs.names[0]) <= 200
    for text in (runs.names[0], runs.summary().replace("\n", ""), repr(runs)):
        assert text.isprintable()
    page = runs._repr_html_()
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script" in page
    assert "\x1b" not in page


def test_summary_counts_refusals_and_shows_ranges() -> None:
    refused = tuple(Refusal(i, "", "MISSING", f"loss is missing {i}") for i in range(1, 9))
    text = Runs(columns=GRID, refused=refused).summary()
    assert "4 runs from memory" in text
    assert "refused 8 rows: MISSING 8" in text
    assert "and 3 more" in text
    assert "1e+06 to 4e+06, 3 distinct" in text
    assert "warning  FEW_RUNS" in text


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({}, "at least one"),
        ({"N": []}, "at least one"),
        ({"N": [1.0], "D": [1.0, 2.0]}, "one length"),
        ({"N": [np.nan]}, "finite"),
        ({"N": [10**400]}, "1.8e308"),
        ({"N": [[1.0]]}, "dimension"),
        ({"N": ["x"]}, "numbers"),
        ({"": [1.0]}, "printable"),
        ({"a\nb": [1.0]}, "printable"),
        ({"name": [1.0]}, "run ids"),
    ],
)
def test_construction_refuses_bad_columns(columns: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        Runs(columns=columns)  # type: ignore[arg-type]


def test_short_labels_are_cleaned_too() -> None:
    assert Runs(columns={"N": [1, 2]}, names=("a\x07b", " \x1b[1m")).names == ("ab", "row 2")


def test_a_mask_of_another_length_is_told_as_such() -> None:
    with pytest.raises(InputError, match="mask of length 3 for 4 runs"):
        Runs(columns=GRID).select([True] * 3)


def test_construction_counts_names_and_rows() -> None:
    with pytest.raises(InputError, match="3 names"):
        Runs(columns=GRID, names=tuple("abc"))


def artifact() -> dict[str, object]:
    refused = (Refusal(9, "x", "MISSING", "loss is missing"),)
    return json.loads(to_json(Runs(columns=GRID, refused=refused).to_dict()))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", 2),
        ("kind", "fit"),
        ("columns", [1]),
        ("columns", {"N": [1.0, 2.0, 3.0, "4"]}),
        ("columns", {"N": [1.0, 2.0, 3.0, True]}),
        ("columns", {"N": [1.0, 2.0, 3.0, None]}),
        ("columns", {"N": [1.0, 2.0, 3.0, 10**400]}),
        ("columns", {"N": 3}),
        ("columns", {}),
        ("names", ["a"]),
        ("names", [1, 2, 3, 4]),
        ("names", []),
        ("rows", [0, 1, 2, 3]),
        ("rows", [1.0, 2.0, 3.0, 4.0]),
        ("source", None),
        ("digest", "0" * 64),
        ("digest", None),
        ("conventions", {"N": "x"}),
        ("conventions", {"N": 1, "D": "", "C": "", "loss": "", "evaluation": ""}),
        ("refused", [{"row": 1}]),
        ("refused", "no"),
        ("refused", [{"row": "1", "name": "", "code": "", "reason": ""}]),
        ("notes", [{"code": "X", "severity": "fatal", "message": ""}]),
        ("notes", [7]),
    ],
)
def test_artifact_fields_are_not_trusted(key: str, value: object) -> None:
    with pytest.raises(InputError):
        Runs.from_dict({**artifact(), key: value})


@pytest.mark.parametrize("key", sorted(artifact()))
def test_artifact_lacking_a_field_is_refused(key: str) -> None:
    data = artifact()
    del data[key]
    with pytest.raises(InputError):
        Runs.from_dict(data)


def test_artifact_with_one_changed_number_is_refused() -> None:
    data = artifact()
    data["columns"]["loss"][0] += 1e-9  # type: ignore[index]
    with pytest.raises(InputError, match="digest"):
        Runs.from_dict(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_an_artifact_or_an_input_error(value: object) -> None:
    with pytest.raises(InputError):
        Runs.from_dict(value)  # type: ignore[arg-type]
