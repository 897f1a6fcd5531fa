import json
import math

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plot.examples import read_texts, shown_text, take_images
from isoloss.plot.save import svg_bytes
from isoloss.plot.scores import chosen_rows, draw_scores, score_series
from isoloss.prune import Scores, select

RNG = np.random.default_rng(0)
VALUES = RNG.permutation(200).astype(float)


def scores(values=VALUES, **more):
    return Scores(metric="mine", definition="a number", source="me", values=values, **more)


def test_counts_and_kept_counts_are_all_of_them():
    found = select(scores(), 0.3, policy="hard")
    series = score_series(scores(), selection=found)
    assert series["counts"].sum() == 200
    assert series["kept"].sum() == 60
    assert series["cut"] == 140.0
    assert (series["kept"] <= series["counts"]).all()
    dark = series["kept"] > 0
    assert series["edges"][:-1][dark].min() > 136


def test_examples_are_those_next_to_the_quantile():
    series = score_series(scores(), quantiles=[0, 0.5, 1], each=4)
    at = [VALUES[e["rows"]].tolist() for e in series["examples"]]
    assert at[0] == [0, 1, 2, 3]
    assert at[1] == [98, 99, 100, 101]
    assert at[2] == [196, 197, 198, 199]
    assert chosen_rows(series) == sorted(np.concatenate([e["rows"] for e in series["examples"]]))


def test_bars_and_triangles_are_the_series():
    found = select(scores(), 50)
    ax = draw_scores(scores(), selection=found)
    heights = [p.get_height() for p in ax.patches]
    assert sum(heights[:60]) == 200
    assert sum(heights[60:]) == 50
    marks = next(line for line in ax.lines if line.get_marker() == "^")
    assert marks.get_xdata().tolist() == [e["score"] for e in score_series(scores())["examples"]]


def test_a_selection_of_nothing_and_of_all():
    for mask in (np.zeros(200, bool), np.ones(200, bool)):
        series = score_series(scores(), kept=mask)
        assert series["kept"].sum() == mask.sum()
        assert svg_bytes(draw_scores(scores(), kept=mask, examples=np.ones((200, 4))))


@pytest.mark.parametrize(
    "values",
    [[1.0], [2.0, 2.0, 2.0], [0.0, math.inf, -math.inf], [math.inf], [-1e308, 1e299, -1e299]],
)
def test_scores_that_are_alike_or_infinite(values):
    series = score_series(scores(values), each=2)
    assert series["infinite"] == (np.abs(values) > 1e300).sum()
    assert series["counts"].sum() == (np.abs(values) < 1e300).sum()
    assert svg_bytes(draw_scores(scores(values), examples=["a"] * len(values)))


def test_images_of_every_form_are_the_same_picture():
    flat = RNG.random((6, 16))
    grey = flat.reshape(6, 4, 4)
    rows = np.array([4, 1])
    for form in (flat, grey, grey[..., None], grey[:, None]):
        assert np.array_equal(take_images(form, rows), grey[rows])
    bytes_ = (grey * 255).astype(np.uint8)
    assert np.allclose(take_images(bytes_, rows), bytes_[rows] / 255)
    colour = RNG.random((6, 4, 4, 3))
    assert np.array_equal(take_images(colour, rows), colour[rows])
    assert np.array_equal(take_images(np.moveaxis(colour, 3, 1), rows), colour[rows])
    far = take_images(grey * 50 - 20, rows)
    assert (far.min(), far.max()) == (0, 1)
    assert np.isfinite(take_images(np.full((2, 2, 2), np.nan), np.array([0]))).all()
    assert take_images(np.zeros((2, 500, 300)), np.array([0])).shape == (1, 84, 50)


def test_the_sheet_holds_the_images_in_order_of_scores():
    images = np.repeat(VALUES / 200, 9).reshape(200, 3, 3)
    ax = draw_scores(scores(), examples=images, quantiles=[0, 1], each=3)
    sheets = [a.images[0].get_array() for a in ax.figure.axes if a.images]
    assert sheets[0][0, [0, 4, 8]].tolist() == pytest.approx([0, 1 / 200, 2 / 200])
    assert sheets[1][0, [0, 4, 8]].tolist() == pytest.approx([197 / 200, 198 / 200, 199 / 200])


def test_texts_show_what_is_hidden_and_nothing_is_markup():
    hostile = ["$\\frac{", "<script>alert(1)</script>", "a\x00\x1b[2J\u202e\u200b\nb", "中文", ""]
    found = scores([1.0, 2, 3, 4, 5], labels=np.array(["$", "<b>", "\x07", "é", ""]))
    ax = draw_scores(found, examples=hostile, each=5, quantiles=[0])
    page = svg_bytes(ax)
    assert b"<script" not in page
    words = [t.get_text() for a in ax.figure.axes for t in a.texts]
    assert any("a\\x00\\x1b[2J\\u202e\\u200b\\nb" in w for w in words)
    assert any("\\u4e2d\\u6587" in w for w in words)
    assert all(not t.get_parse_math() for a in ax.figure.axes for t in a.texts if t.get_text())
    assert len(shown_text("\x00" * 5000, 20)) <= 20


def test_texts_are_read_from_chosen_lines(tmp_path):
    path = tmp_path / "t.jsonl"
    lines = [{"text": "one"}, "two", {"other": 3}, 4]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert read_texts(path, [0, 1, 2, 3], 4) == {0: "one", 1: "two", 2: '{"other": 3}', 3: "4"}
    plain = tmp_path / "t.txt"
    plain.write_bytes(b"a\r\n\xff\n\nd")
    assert read_texts(plain, [0, 1, 3], 4) == {0: "a", 1: "\ufffd", 3: "d"}
    for count, said in ((3, "more lines for 3"), (5, "4 lines for 5")):
        with pytest.raises(InputError, match=said):
            read_texts(plain, [0], count)
    path.write_text('"a"\n{broken\n')
    assert read_texts(path, [0], 2) == {0: "a"}
    with pytest.raises(InputError, match=r"line 2: is no JSON"):
        read_texts(path, [1], 2)
    path.write_text("[" * 100_000 + "\n")
    with pytest.raises(InputError, match="is no JSON"):
        read_texts(path, [0], 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantiles": [1.1]}, "must lie from 0"),
        ({"each": 0}, "each = 0"),
        ({"kept": [1, 0]}, "True or False"),
        ({"examples": np.zeros((3, 4))}, "3 for 200"),
        ({"examples": np.zeros((200, 5))}, "square number"),
        ({"examples": np.zeros((200, 2, 2, 7))}, "shape"),
        ({"examples": np.zeros((200, 4), complex)}, "complex"),
        ({"examples": "text"}, "list of texts"),
        ({"examples": {}}, "has no text"),
    ],
)
def test_mistakes_are_told(options, said):
    with pytest.raises(InputError, match=said):
        draw_scores(scores(), **options)


def test_nan_is_refused():
    with pytest.raises(InputError, match="NaN"):
        score_series(scores([1.0, math.nan]))
