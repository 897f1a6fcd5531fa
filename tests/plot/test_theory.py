import numpy as np
import pytest

from cli.commands import call
from isoloss.plot.theory import draw_theory, theory_series

ANSWER = {
    "test_excess": [[1.0, 0.5, None], [2.0, 1.0, 0.0]],
    "train": [[0.5, 0.2, 0.1], [1.0, 0.5, 0.2]],
    "kappa": [[1, 1, 1], [1, 1, 1]],
}
AXES = {"N": [10.0, 20.0], "t": [1.0, 10.0, 100.0]}


def test_lines_run_along_the_longest_axis_and_leave_out_what_cannot_be_placed():
    series = theory_series(ANSWER, AXES)
    assert (series["x"], len(series["lines"])) == ("t", 4)
    assert [line["label"] for line in series["lines"][:2]] == [
        "test_excess N 10",
        "test_excess N 20",
    ]
    assert series["lines"][0]["x"].tolist() == [1, 10]
    assert series["lines"][1]["y"].tolist() == [2, 1]
    turned = {k: np.array(v, dtype=object).T.tolist() for k, v in ANSWER.items()}
    again = theory_series(turned, dict(reversed(AXES.items())))
    assert [line["y"].tolist() for line in again["lines"]] == [
        line["y"].tolist() for line in series["lines"]
    ]


def test_simulations_come_with_the_lines():
    drawn = {"draws": 5, "train": dict.fromkeys(("mean", "sem", "z"), ANSWER["train"])}
    series = theory_series(ANSWER | {"simulation": drawn}, AXES)
    assert ["mean" in line for line in series["lines"]] == [False, False, True, True]
    assert series["lines"][2]["sem"].tolist() == [0.5, 0.2, 0.1]
    pytest.importorskip("matplotlib")
    ax = draw_theory(ANSWER | {"simulation": drawn}, AXES)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_the_command_writes_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    words = ("theory", "random-features", "--b", "1.5", "--a", "1.5", "--M", "100", "--N")
    path = tmp_path / "curve.svg"
    result = call(*words, "10,20,30", "--T", "40,50", "--grid", "--simulate", "3", "--plot", path)
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes().startswith(b"<?xml")
    lonely = call(*words, "10", "--T", "40", "--plot", path)
    assert lonely.exit_code == 1
    assert "single point" in lonely.stderr
