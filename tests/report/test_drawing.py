import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.report.canvas import NARROW, WIDE, Canvas, linear_axis, log_axis, spread
from isoloss.report.digits import (
    count,
    decade_ticks,
    linear_ticks,
    percent,
    power,
    significant,
    times,
)
from isoloss.report.markup import Markup, escape, json_block, tag

positive = st.floats(min_value=1e-200, max_value=1e200)


@given(positive, st.floats(min_value=1.001, max_value=1e60))
def test_log_ticks_lie_inside_and_are_few(low, ratio):
    ticks = decade_ticks(low, low * ratio, 6)
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= 7
    assert all(low * (1 - 1e-6) <= t <= low * ratio * (1 + 1e-6) for t in ticks)


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_linear_ticks_lie_inside_and_are_few(low, span):
    ticks = linear_ticks(low, low + span, 6)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-6 * span <= t <= low + span * (1 + 1e-6) for t in ticks)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_formats_never_show_what_is_not_a_number(value):
    for write in (significant, power, count, percent, times):
        assert not {"nan", "inf", "e+", "e-"} & {write(value)[i : i + 3] for i in range(9)}


@given(st.floats(min_value=1.0, max_value=9e14))
def test_count_keeps_two_digits(value):
    shown = count(value)
    units = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
    read = float(shown[:-1]) * units[shown[-1]] if shown[-1] in units else float(shown)
    assert read == pytest.approx(value, rel=0.051)


@given(st.lists(st.floats(0, 500), max_size=12), st.floats(1, 30))
def test_spread_keeps_the_gap_and_the_order(positions, gap):
    placed = spread(positions, gap)
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    moved = [placed[i] for i in order]
    assert all(b - a >= gap - 1e-6 for a, b in pairwise(moved))


def test_log_axis_places_decades_evenly_and_drops_what_has_no_place():
    axis = log_axis([np.array([1.0, 1000.0])], 0, 300, title="", most=6, pad=0)
    assert axis([1.0, 10.0, 100.0, 1000.0]) == pytest.approx([0, 100, 200, 300])
    assert np.isnan(axis([0.0, -1.0, math.nan])).all()


def test_points_far_outside_stay_near_the_page():
    axis = linear_axis([np.array([0.0, 1.0])], 0, 100, title="", most=5)
    assert np.abs(axis([1e300, -1e300])).max() <= 300


@pytest.mark.parametrize("page", [WIDE, NARROW])
def test_line_is_broken_where_a_point_is_missing(page):
    axis = linear_axis([np.array([0.0, 4.0])], 0, 100, title="", most=5)
    canvas = Canvas("test", page, axis, axis)
    canvas.line([0, 1, 2, 3, 4], [0, 1, math.nan, 3, 4], "curve")
    drawn = canvas.render("title", "description")
    path = drawn.partition('class="curve"')[0].rpartition('d="')[2]
    assert path.count("M") == 2


def test_tag_escapes_texts_and_attributes_but_not_markup():
    assert tag("p", "<b>", title='"x"') == '<p title="&quot;x&quot;">&lt;b&gt;</p>'
    assert tag("p", Markup("<b></b>"), None, ["&", 1]) == "<p><b></b>&amp;1</p>"
    assert escape("'") == "&#x27;"


def test_json_block_has_no_markup_and_no_separators():
    shown = json_block({"a": "</script>&\u2028\u2029", "b": float("nan")})
    assert not set("<>&\u2028\u2029") & set(shown)
    assert '"b":null' in shown
