import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plan.recipes import compare_recipes
from isoloss.plot.recipes import (
    comparison_series,
    comparisons_series,
    draw_comparison,
    draw_comparisons,
)
from isoloss.plot.save import svg_bytes
from plan.recipes.made import curve


@pytest.fixture(scope="module")
def found():
    tables = {
        "old": curve(300, 0, noise=1e-4),
        "new": curve(300 * 3e18**0.01, 1, alpha=0.14, noise=1e-4),
        "same": curve(300, 2),
    }
    return compare_recipes(tables, draws=100)


def row(found, name):
    return next(r for r in found.rows if r.recipe == name)


def test_the_series_hold_the_curves_the_runs_and_the_crossing(found):
    new = row(found, "new")
    s = comparison_series(new)
    assert s["names"] == ("old", "new")
    assert s["C"][-1] <= 101 * s["largest"]
    assert (s["multiplier_low"] <= s["multiplier"]).all()
    assert (s["multiplier"] <= s["multiplier_high"]).all()
    assert s["crossing"][0] < 3e18 < s["crossing"][2]
    assert len(s["recipe_runs"]["loss"]) == 12
    j = int(np.argmin(np.abs(np.log(s["C"] / s["points"]["C"][1]))))
    assert s["multiplier"][j] == pytest.approx(s["points"]["multiplier"][1], rel=0.01)


def test_the_picture_draws_the_series(found):
    pytest.importorskip("matplotlib")
    ax = draw_comparison(row(found, "new"))
    line = np.asarray(ax.lines[0].get_xydata())
    s = comparison_series(row(found, "new"))
    assert line[:, 0].tolist() == s["C"].tolist()
    assert line[:, 1] == pytest.approx(s["multiplier"])
    assert ax.get_yscale() == "log"
    assert len(ax.get_figure().axes) == 2
    assert svg_bytes(ax) == svg_bytes(draw_comparison(row(found, "new")))


def test_many_variants_have_a_row_each(found):
    pytest.importorskip("matplotlib")
    s = comparisons_series(found)
    ax = draw_comparisons(found)
    assert [t.get_text() for t in ax.get_yticklabels()] == list(reversed(s["names"]))
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    assert [float(m.get_xdata()[0]) for m in marks] == pytest.approx(s["multiplier"].tolist())


def test_axes_are_counted(found):
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="one or two"):
        draw_comparison(found.rows[0], axes=[])
