import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plot.confront import confront_series, draw_confront
from isoloss.sweep.confront import confront


@pytest.fixture(scope="module")
def found():
    D = np.repeat(2.0 ** np.arange(5, 13), 2)
    runs = [{"N": 9, "D": d, "loss": 0.1 + d**-0.5 + 1e-3 * (i % 2)} for i, d in enumerate(D)]
    at = np.geomspace(32, 300, 12)
    kernels = [
        {"kernel": "made", "kind": kind, "D": d, "loss": v, "low": 0.9 * v, "high": 1.1 * v}
        for kind in ("spectrum", "regression")
        for d, v in zip(at, 0.2 + at**-0.5, strict=True)
    ]
    return confront(runs, kernels, draws=50)


def test_series_hold_the_points_and_each_kind_of_curve(found):
    series = confront_series(found)
    assert series["small"][0].tolist() == [32, 64, 128, 256, 512]
    assert series["held"][0].tolist() == [1024, 2048, 4096]
    assert series["held"][1] == pytest.approx(0.1005 + series["held"][0] ** -0.5)
    assert list(series["laws"]) == ["laws of D"]
    assert list(series["spectra"]) == list(series["measured"]) == ["made"]
    assert series["errors"] == found.ranking()


def test_a_row_of_panels_a_data_set(found):
    pytest.importorskip("matplotlib")
    ax = draw_confront({"one": found, "other": found})
    axes = ax.figure.axes
    assert len(axes) == 6
    assert axes[3].get_title(loc="left") == "other: laws fitted to small runs"
    # Up to its reach the curve is drawn whole, then dashed from where it ended.
    solid, dashed = axes[1].lines[:2]
    assert dashed.get_xdata()[0] == solid.get_xdata()[-1]
    assert dashed.get_xdata()[-1] == 4096
    names = [label.get_text() for label in axes[2].get_yticklabels()]
    assert names == [name for name, *_ in found.ranking()]


def test_nothing_is_refused():
    with pytest.raises(InputError, match="no data set"):
        draw_confront({})
