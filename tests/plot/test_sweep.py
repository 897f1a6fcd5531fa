import math

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plot.sweep import draw_sweep, sweep_series


def row(width: int, D: int, seed: int = 0, **changes):
    spec = {"model": {"kind": "mlp", "width": width, "depth": 2}, "seed": seed}
    loss = 1 + 10 * width**-0.5 + 100 * D**-0.5 + 0.1 * seed
    return {
        "status": "done", "N": width**2, "D": D, "flops": 6.0 * width**2 * D, "loss": loss,
        "spec": spec,
    } | changes  # fmt: skip


ROWS = [row(w, D, s) for w in (32, 4, 16) for D in (100, 400, 1600) for s in (0, 1)]


def test_lines_are_shapes_by_size_with_means_and_ranges_over_seeds():
    series = sweep_series([*ROWS, row(4, 100, loss=math.nan), row(4, 50, status="failed")])
    assert list(series) == ["C", "D"]
    assert [line["label"] for line in series["D"]] == ["width 4", "width 16", "width 32"]
    line = series["D"][0]
    assert line["x"].tolist() == [100, 400, 1600]
    assert line["runs"].tolist() == [2, 2, 2]
    ends = np.array([[row(4, D, s)["loss"] for D in (100, 400, 1600)] for s in (0, 1)])
    assert np.allclose(line["loss"], np.exp(np.log(ends).mean(axis=0)))
    assert np.allclose([line["low"], line["high"]], ends)
    assert series["C"][0]["x"].tolist() == [6.0 * 16 * D for D in (100, 400, 1600)]


def test_with_one_size_of_data_the_axis_is_parameters():
    series = sweep_series([r for r in ROWS if r["D"] == 400])
    assert list(series) == ["C", "N"]
    (line,) = series["N"]
    assert line["x"].tolist() == [16, 256, 1024]
    assert line["label"] == "mlp depth 2"


def test_the_picture_shows_the_series_and_nothing_is_an_error():
    pytest.importorskip("matplotlib")
    ax = draw_sweep(ROWS, title="made")
    assert [line.get_ydata().tolist() for line in ax.lines] == [
        line["loss"].tolist() for line in sweep_series(ROWS)["C"]
    ]
    with pytest.raises(InputError, match="no run of the ledger has a loss"):
        draw_sweep([row(4, 100, status="failed")])
