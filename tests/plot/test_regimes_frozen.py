import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plot.regimes_frozen import draw_regimes_frozen, regimes_frozen_series


def rows():
    made = []
    for target in ("teacher", "labels"):
        for regime, fixed in (
            ("variance-limited", 8),
            ("resolution-limited", np.inf),
            ("descent", 16),
        ):
            for axis in ("P", "D"):
                for x in (64, 8, 16, 32):
                    made.append(
                        {"target": target, "regime": regime, "axis": axis, "fixed": str(fixed),
                         "x": x, "loss": f"{1 + 1 / x}", "sem": 0.01, "predicted": 1 + 1.1 / x,
                         "excess": 1 / x, "excess_predicted": 1.1 / x}
                    )  # fmt: skip
    return made


def test_series_are_the_rows_in_order():
    series = regimes_frozen_series(rows())
    assert len(series) == 12
    curve = series["labels", "descent", "P"]
    assert curve["x"].tolist() == [8, 16, 32, 64]
    assert curve["loss"] == pytest.approx(1 + 1 / curve["x"])
    assert np.isinf(series["teacher", "resolution-limited", "D"]["fixed"]).all()


def test_panels_show_what_was_measured_and_predicted():
    pytest.importorskip("matplotlib")
    ax = draw_regimes_frozen(rows(), title="made")
    axes = ax.figure.axes
    assert len(axes) == 6
    assert ax.get_title(loc="left") == "Variance-limited, made: teacher"
    points = ax.get_lines()[0].get_xydata()
    assert points[:, 1] == pytest.approx(1 / points[:, 0])
    line = ax.get_lines()[1].get_xydata()
    assert line[:, 1] == pytest.approx(1.1 / line[:, 0])
    # Lines are broken at the peak, x = 16, and nothing stands there.
    solid = [
        x for x in axes[2].get_lines() if x.get_linestyle() == "-" and x.get_marker() == "None"
    ]
    assert [x.get_xdata().tolist() for x in solid] == [[8], [32, 64]] * 2
    whole = [
        x for x in axes[1].get_lines() if x.get_linestyle() == "-" and x.get_marker() == "None"
    ]
    assert [x.get_xdata().tolist() for x in whole] == [[8, 16, 32, 64]] * 2


def test_mistakes_are_named():
    with pytest.raises(InputError, match=r"rows\[0\]: no field 'x'"):
        regimes_frozen_series([{k: v for k, v in rows()[0].items() if k != "x"}])
    with pytest.raises(InputError, match="is no number"):
        regimes_frozen_series([rows()[0] | {"loss": "much"}])
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="none to draw"):
        draw_regimes_frozen([])
