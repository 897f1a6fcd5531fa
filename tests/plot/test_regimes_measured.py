import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plot.regimes_measured import (
    draw_regime,
    draw_regimes_measured,
    regime_line,
    regime_series,
)

X = [64, 128, 256, 512, 1024]


def _rows(a: float = 0.5, floor: float = 0.0) -> list[dict[str, object]]:
    return [
        {
            "D": x,
            "loss": floor + (1 + 0.1 * s) * x**-a,
            "status": "done",
            "spec": {"seed": 0, "data": {"seed": s}, "model": {"width": x // 2}},
        }
        for x in X
        for s in range(3)
    ]


def test_the_series_is_what_the_rows_say() -> None:
    line = regime_line(
        _rows(), "D", label="d = 4", seed="data.seed", floor=0.0, expected=0.5, low=100
    )
    (series,) = regime_series([line])
    np.testing.assert_allclose(series["y"], 1.1 * np.array(X) ** -0.5)
    np.testing.assert_allclose(series["error"], 0.1 / 3**0.5 * np.array(X) ** -0.5)
    np.testing.assert_allclose(series["fit_y"], 1.1 * series["fit_x"] ** -0.5, rtol=1e-6)
    assert series["used"].tolist() == [False, True, True, True, True]
    assert series["label"].startswith("d = 4: 0.50 [0.50, 0.50], theory 0.50")


def test_a_limit_is_taken_off_and_points_below_it_are_left_out() -> None:
    rows = _rows(1.0, floor=0.2)
    line = regime_line(rows, "width", seed="data.seed", limit=np.full(len(rows), 0.2))
    (series,) = regime_series([line])
    assert line.exponent.value == pytest.approx(1)
    np.testing.assert_allclose(series["x"], np.array(X) / 2)
    np.testing.assert_allclose(series["y"], 1.1 / np.array(X))


def test_runs_that_diverged_are_left_out() -> None:
    rows = _rows()
    rows[4] |= {"status": "diverged", "loss": float("nan")}
    assert len(regime_line(rows, "D", seed="data.seed").x) == 14


def test_bad_rows_are_said() -> None:
    with pytest.raises(InputError, match="needed in each"):
        regime_line([{"loss": 1.0}], "D")
    with pytest.raises(InputError, match="2 values for 15 rows"):
        regime_line(_rows(), "D", limit=[1.0, 2.0])
    with pytest.raises(InputError, match="from 1 to 4"):
        draw_regimes_measured({})


def test_pictures_hold_the_points() -> None:
    pytest.importorskip("matplotlib")
    line = regime_line(_rows(), "D", seed="data.seed", floor=0.0)
    ax = draw_regime([line], x="D", title="data")
    drawn = ax.lines[0].get_xydata()
    np.testing.assert_allclose(np.asarray(drawn)[:, 0], X)
    assert ax.get_xscale() == "log"
    figure = draw_regimes_measured({"a": ("D", [line]), "b": ("D", [line]), "c": ("N", [line])})
    assert len(figure.axes) == 4
    assert not figure.axes[3].axison
