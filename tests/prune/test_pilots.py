import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.prune import pilots as module
from isoloss.prune.pilots import read_pilots

ROW = {"policy": "hard", "keep": 0.5, "pool": 1000, "D": 500, "seed": 0, "loss": 0.3}


def table(*changes):
    rows = [ROW | {"seed": i} | change for i, change in enumerate(changes)]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"keep": 1.5, "D": None}, "OUT_OF_RANGE", "at most 1"),
        ({"keep": 0, "D": None}, "OUT_OF_RANGE", "above 0"),
        ({"keep": None}, "OUT_OF_RANGE", "missing"),
        ({"D": 600}, "MISMATCH", "keep x pool is 500"),
        ({"D": None, "pool": None}, "MISSING", "give one"),
        ({"loss": float("nan")}, "NOT_FINITE", "diverged"),
        ({"loss": float("inf")}, "NOT_FINITE", "diverged"),
        ({"loss": 0}, "NOT_POSITIVE", "above 0"),
        ({"loss": "low"}, "NOT_A_NUMBER", "'low'"),
        ({"loss": ""}, "MISSING", "both are empty"),
        ({"policy": "=HYPERLINK(1)"}, "UNKNOWN_POLICY", "random, hard or easy"),
        ({"seed": 0}, "DUPLICATE", "repeats row 1"),
        ({"seed": 0, "loss": 0.4}, "DUPLICATE", "another result"),
        ({"pool": 0.2, "D": None}, "NOT_POSITIVE", "1 or more"),
    ],
)
def test_bad_rows_are_refused_with_number_rule_and_remedy(change, code, words):
    found = read_pilots(table({}, change, {}))
    assert found.rows == (1, 3)
    assert [(r.row, r.code) for r in found.refused] == [(2, code)]
    assert words in found.refused[0].reason


def test_missing_sizes_are_derived():
    found = read_pilots(table({"D": None}, {"pool": None}, {"pool": 1001, "D": 501}))
    assert found.D.tolist() == [500, 500, 501]
    assert found.pool.tolist() == [1000, 1000, 1001]


def test_random_rows_are_unpruned_smaller_pools():
    whole = {"policy": "hard", "keep": 1.0, "pool": 500}
    found = read_pilots(table({"policy": "random", "seed": 7}, whole | {"seed": 7}))
    assert found.policy == ("none", "none")
    assert found.keep.tolist() == [1, 1]
    assert found.pool.tolist() == [500, 500]
    assert not found.refused


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({}, "no column policy"),
        ({"policy": [], "keep": [], "D": [], "loss": []}, "it has no rows"),
        ({"policy": ["hard"], "keep": [0.5], "loss": [1]}, "no column pool or D"),
        ({"policy": ["hard"], "keep": [0.5], "D": [5]}, "no column loss or error"),
        ({"policy": ["hard"], "keep": [0.5, 1], "D": [5], "loss": [1]}, "one length"),
        ({"policy": "hard", "keep": [0.5], "D": [5], "loss": [1]}, "no list"),
        ({"policy": ["hard"], "keep": [2], "D": [5], "loss": [1]}, "row 1: keep = 2.0"),
        (3, "got int"),
    ],
)
def test_tables_that_cannot_be_read(source, words):
    with pytest.raises(InputError, match=words):
        read_pilots(source)


def test_files(tmp_path, monkeypatch):
    path = tmp_path / "p.csv"
    path.write_text("policy,keep,pool,loss,note\nhard,0.5,100,0.3,=1+1\n\nhard,0.5,100\n")
    found = read_pilots(path)
    assert (len(found), found.ignored, found.source) == (1, ("note",), "p.csv")
    assert (found.refused[0].row, found.refused[0].code) == (2, "FIELDS")
    for text, words in (
        (b"", "is empty"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"policy,keep,keep,D,loss\n", "keep is there twice"),
        (b'policy,keep,D,loss\n"hard,1', "cannot be read as CSV"),
    ):
        path.write_bytes(text)
        with pytest.raises(InputError, match=words):
            read_pilots(path)
    with pytest.raises(InputError, match="is a folder"):
        read_pilots(tmp_path)
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="larger than"):
        read_pilots(path)
    monkeypatch.setattr(module, "MAX_ROWS", 1)
    with pytest.raises(InputError, match="more than 1 rows"):
        read_pilots(table({}, {}))


def test_several_scores_share_the_random_rows():
    found = read_pilots(
        table(
            {"policy": "random", "keep": 1, "D": None, "metric": ""},
            {"metric": "el2n"},
            {"metric": "margin"},
        )
    )
    assert found.metrics() == (("", "el2n"), ("", "margin"))
    assert len(found.of("el2n")) == 2
    with pytest.raises(InputError, match="name one of"):
        found.of()
    with pytest.raises(InputError, match="no pruned row has them"):
        found.of("grand")


def test_digest_ignores_the_order_of_rows():
    found = read_pilots(table({}, {"loss": 0.4}, {"loss": 0.5}))
    turned = read_pilots({k: v[::-1] for k, v in table({}, {"loss": 0.4}, {"loss": 0.5}).items()})
    other = read_pilots(table({}, {"loss": 0.4}, {"loss": 0.6}))
    assert found.digest == turned.digest != other.digest
    assert not found.keep.flags.writeable
    assert isinstance(np.asarray(found.D), np.ndarray)
