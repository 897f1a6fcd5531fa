"""Tables of different conventions are not mixed; described models are counted anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.runs import Conventions, Runs, combine_runs, embedded_runs, read_runs
from isoloss.runs.counting import CONVENTIONS, MlpModel, convert_runs, describe_runs

FIXED = {"vocabulary": 256, "positions": "learned"}
RUNS = embedded_runs()
MODELS = describe_runs(RUNS, **FIXED)


def table(**changes):
    base = {"N": [1e6, 2e6], "D": [1e8, 2e8], "loss": [4.0, 3.5]}
    return base | changes


def test_equal_conventions_are_combined():
    one = read_runs(table(lr=[0.1, 0.2]))
    two = read_runs(table(loss=[3.9, 3.4]), conventions={"N": " Parameters as  given"})
    both = combine_runs([one, two])
    assert len(both) == 4
    assert both["loss"].tolist() == [4.0, 3.5, 3.9, 3.4]
    assert "lr" not in both
    assert any("lr" in note.message and note.code == "COLUMN_IGNORED" for note in both.notes)
    assert combine_runs([one]) is one
    halves = RUNS.select(slice(0, 50)), RUNS.select(slice(50, None))
    assert combine_runs(halves).digest == RUNS.digest


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("N", {"N": "non-embedding parameters"}),
        ("D", {"D": "examples"}),
        ("C", {"C": "counted"}),
        ("loss", {"loss": "bits per byte"}),
        ("evaluation", {"evaluation": "C4"}),
    ],
)
def test_different_conventions_are_refused_with_the_axis(axis, words):
    one, two = read_runs(table()), read_runs(table(), conventions=words)
    with pytest.raises(InputError, match=f"different conventions are not combined: {axis} is"):
        combine_runs([one, two])


def test_columns_whose_names_say_what_they_count_are_told_apart():
    """Column names set conventions on reading, so that mixing is seen without further words."""
    bare = {"non_embedding_params": [1e6, 2e6], "tokens": [1e8, 2e8], "loss": [4.0, 3.5]}
    full = {"total_params": [1e6, 2e6], "tokens": [1e8, 2e8], "loss": [4.0, 3.5]}
    with pytest.raises(InputError, match="N is 'non-embedding parameters' in"):
        combine_runs([read_runs(bare), read_runs(full)])
    given = read_runs(table(C=[7e14, 3e15]))
    with pytest.raises(InputError, match="C is '6 N D' in"):
        combine_runs([read_runs(table()), given])


def test_nothing_to_combine():
    with pytest.raises(InputError, match="expected one Runs"):
        combine_runs([])
    with pytest.raises(InputError, match="expected one Runs"):
        combine_runs([table()])
    one = Runs(columns={"N": [1.0]})
    with pytest.raises(InputError, match="no column is in all"):
        combine_runs([one, Runs(columns={"D": [1.0]})])


def test_conversion_of_the_embedded_runs_meets_its_own_columns():
    kaplan = convert_runs(RUNS, MODELS, "kaplan")
    assert kaplan["N"].tolist() == RUNS["N_non_embedding"].tolist()
    assert kaplan["C"].tolist() == (6 * RUNS["N_non_embedding"] * RUNS["D"]).tolist()
    ledger = convert_runs(RUNS, MODELS, "ledger")
    assert ledger["N"].tolist() == RUNS["N"].tolist()
    np.testing.assert_allclose(ledger["C"] / ledger["D"], RUNS["C"] / RUNS["seen"], rtol=1e-15)
    assert kaplan.conventions.N == CONVENTIONS["kaplan"].N
    assert kaplan.conventions.loss == RUNS.conventions.loss
    assert any(n.code == "CONVENTION" and "2001.08361" in n.message for n in kaplan.notes)
    with pytest.raises(InputError, match="different conventions"):
        combine_runs([kaplan, ledger])
    # There and back, and through a file of its own kind.
    again = convert_runs(kaplan, MODELS, "ledger")
    assert again.digest == ledger.digest
    assert Runs.from_dict(kaplan.to_dict()).conventions == kaplan.conventions


def test_descriptions_come_from_columns_of_many_names():
    columns = table(n_layer=[2, 3], d_model=[64, 96], n_heads=[4, 6], seq_len=[32, 32])
    models = describe_runs(read_runs(columns), vocabulary=100)
    assert [(m.depth, m.width, m.heads, m.context) for m in models] == [
        (2, 64, 4, 32),
        (3, 96, 6, 32),
    ]


@pytest.mark.parametrize(
    ("columns", "constants", "message"),
    [
        ({}, {"vocabulary": 10}, "run 'row 1': decoder: context, depth, heads, width missing"),
        ({"width": [64, 64], "d_model": [64, 64]}, {}, "all look like width"),
        ({"width": [64, 64]}, {"width": 32}, "is the column 'width' and a constant"),
        ({"width": [64, 64.5]}, {}, r"width\[1\] = 64.5: must be a whole number"),
        ({"width": [64, 1e300]}, {}, "must be a whole number"),
        ({}, {"colour": 3}, "colour: not a field"),
        ({"width": [64, 64], "depth": [0, 1], "heads": [1, 1], "context": [8, 8]},
         {"vocabulary": 9}, "run 'row 1': depth = 0"),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be(columns, constants, message):
    with pytest.raises(InputError, match=message):
        describe_runs(read_runs(table(**columns)), **constants)


def test_conversions_that_cannot_be():
    with pytest.raises(InputError, match="descriptions for 113 runs"):
        convert_runs(RUNS, MODELS[:3], "kaplan")
    with pytest.raises(InputError, match="must be one of exact"):
        convert_runs(RUNS, MODELS, "nonsense")
    two = RUNS.select([0, 1])
    with pytest.raises(InputError, match="decoder-only"):
        convert_runs(two, [MlpModel(inputs=2, widths=(2,), outputs=1)] * 2, "kaplan")
    with pytest.raises(InputError, match="no column 'D'"):
        convert_runs(Runs(columns={"N": [1.0]}), MODELS[:1], "kaplan")
    assert replace(two, conventions=Conventions()).digest == two.digest
