import math

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plot.gallery.style import panels
from isoloss.plot.save import svg_bytes
from isoloss.plot.verdict import draw_verdict, draw_verdicts, title_of, verdict_series
from plot.verdict_made import SLOPES, D, refused, verdict


def curves(ax):
    """Lines that are drawn with more than two points, by their last value."""
    return [line.get_xydata() for line in ax.lines if len(line.get_xydata()) > 5]


def test_lines_are_no_pruning_and_each_policy_at_its_best_share():
    series = verdict_series(verdict())
    assert [line["label"] for line in series["lines"]] == ["no pruning", "hard 30 %", "easy 60 %"]
    assert [len(p["D"]) for p in series["points"]] == [3] * 5
    shown = [(p["policy"], p["keep"]) for p in series["points"] if p["shown"]]
    assert shown == [("none", 1.0), ("easy", 0.6), ("hard", 0.3)]
    assert series["largest"] == 1600
    assert [(t["policy"], t["D"]) for t in series["targets"]] == [
        ("none", 3000), ("hard", 3000), ("easy", 3000),
    ]  # fmt: skip


def test_local_exponents_of_power_laws_are_their_exponents():
    front = verdict_series(verdict())["frontier"]
    assert np.allclose(front["exponent"], 0.8, atol=1e-9)
    assert np.allclose(front["exponent_unpruned"], 0.5, atol=1e-6)
    assert np.allclose(front["unpruned"], 4 * front["D"] ** -0.5, rtol=1e-9)


def test_what_is_drawn_is_what_the_verdict_holds():
    ax = draw_verdict(verdict())
    drawn = curves(ax)
    for policy, line in zip(("none", "hard", "easy"), drawn, strict=True):
        assert np.allclose(line, np.c_[D, 4 * D ** -SLOPES[policy]])
    rings = [line.get_xydata()[0] for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert tuple(rings[0]) == (3000, 0.07)
    bands = [c.get_paths()[0].vertices for c in ax.collections if len(c.get_paths()[0]) > 40]
    assert len(bands) == 3
    assert bands[0][:, 1].max() == pytest.approx(1.2 * 4 * 100**-0.5)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    front, slopes = ax.figure.axes[1:]
    assert np.allclose(curves(front)[1][:, 1], 3 * curves(front)[1][:, 0] ** -0.8)
    assert np.allclose(curves(slopes)[1][:, 1], 0.8)
    assert svg_bytes(ax) == svg_bytes(draw_verdict(verdict()))


def test_one_policy_alone_and_no_frontier():
    ax = draw_verdict(verdict(policies=("easy",), frontier=None, answer="none"))
    assert len(ax.figure.axes) == 1
    assert len(curves(ax)) == 2
    assert "do not prune" in ax.get_title(loc="left")


def test_intervals_without_end_are_left_out_and_axes_stay_where_the_numbers_are():
    odd = verdict(spread=math.inf)
    wide = [c for c in odd.curves if c.policy == "hard"]
    for c in wide:
        c.high.setflags(write=True)
        c.high[10:] = np.inf
        c.low[10:] = 0
    ax = draw_verdict(odd)
    assert svg_bytes(ax).startswith(b"<?xml")
    low, high = ax.get_ylim()
    assert 0.001 < low < high < 2


def test_a_refused_verdict_has_its_pilots_alone():
    ax = draw_verdict(refused())
    assert curves(ax) == []
    assert "no verdict" in ax.get_title(loc="left")
    drawn = np.concatenate([line.get_xydata() for line in ax.lines])
    assert len(drawn) == 15
    assert svg_bytes(draw_verdict(refused(points=())))


def test_hostile_names_are_text():
    name = "<script>$x^2$\x1b[31m\u202e" + "n" * 200
    ax = draw_verdict(verdict(metric=name, data="$\\frac{"))
    page = svg_bytes(ax)
    assert b"<script" not in page
    assert b"\x1b" not in page
    assert len(title_of(verdict(metric=name))) <= 60
    assert svg_bytes(draw_verdict(verdict(metric="$\\frac{$")))


def test_bars_are_one_standard_error():
    ax = draw_verdict(verdict())
    bars = ax.containers[0].lines[2][0].get_segments()
    for (x, low), (_, high) in bars:
        assert (high - low) / 2 == pytest.approx(0.02 * 4 * x**-0.5)


def test_several_verdicts_stand_in_rows():
    ax = draw_verdicts([verdict(), refused()])
    axes = ax.figure.axes
    assert len(axes) == 6
    assert [a.axison for a in axes] == [True] * 4 + [False] * 2
    with pytest.raises(InputError, match="none"):
        draw_verdicts([])


def test_axes_that_are_given_are_drawn_on():
    axes = panels(2)
    assert draw_verdict(verdict(), axes=axes) is axes[0]
    assert len(curves(axes[1])) == 2
    for wrong in ([], panels(4)):
        with pytest.raises(InputError, match="one to three"):
            draw_verdict(verdict(), axes=wrong)
