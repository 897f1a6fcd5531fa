"""Numbers of the information law's pictures: the bound, students as their table has them."""

from pathlib import Path

import numpy as np
import pytest

from isoloss.plot import gallery
from isoloss.plot.gallery.information import answer_series
from isoloss.runs import read_runs
from isoloss.sweep import student_grid, student_optima
from isoloss.sweep.student_measured import measured_optima
from isoloss.theory import information_optimum

TABLE = Path(__file__).parents[2] / "docs" / "data" / "teacher-students.csv"


@pytest.fixture(scope="module")
def optima():
    if not TABLE.exists():
        pytest.skip("the pages are not beside the tests")
    return student_optima(read_runs(TABLE, columns={"D": "D"}))


def test_the_table_holds_the_whole_grid(optima):
    cells = {(s.d, s.K, s.d * s.n * s.T, s.n, s.teacher) for s in student_grid()}
    runs = read_runs(TABLE, columns={"D": "D"})
    rows = zip(runs["d"], runs["K"], runs["C"], runs["N"] / runs["d"], runs["seed"], strict=True)
    assert set(rows) == cells
    assert len(runs) == len(cells)
    assert TABLE.stat().st_size < 80_000


def test_what_the_pictures_show_is_what_the_table_gives(optima):
    for d, K in optima.pairs:
        here = (optima.d == d) & (optima.K == K)
        found = measured_optima(d, K)
        np.testing.assert_array_equal(found["C"], optima.C[here])
        for name in ("n", "T", "loss"):
            for end, of in (("", "_opt"), ("_low", "_low"), ("_high", "_high")):
                attribute = "loss" if (name, end) == ("loss", "") else f"{name}{of}"
                exact = getattr(optima, attribute)[here]
                np.testing.assert_allclose(found[f"{name}{end}"], exact, rtol=6e-4)


def test_students_gain_with_dimension_and_complexity_as_the_theory_says(optima):
    share = {
        (d, K): float((d * measured_optima(d, K)["n"][-1]) ** 2) for d, K in optima.pairs.tolist()
    }
    assert share[10, 10] < share[10, 60]
    assert share[10, 10] < share[40, 10]
    assert share[40, 10] < share[40, 60]


def test_the_bound_holds_and_is_loose(optima):
    bound = information_optimum(optima.C, d=optima.d, K=optima.K)
    ratio = bound.loss / optima.loss_high
    assert (ratio > 10).all()
    # Its best networks are wider than the best students at every budget.
    assert (bound.n_opt > optima.n_high).all()


def test_lines_are_the_bound_and_the_dashed_one_has_slope_one_half():
    series = gallery.information_split_series(pairs=((10, 10), (7, 3)), C=(1e6, 1e9))
    curve = series["curves"][1]
    exact = information_optimum(curve["C"], d=7, K=3)
    np.testing.assert_allclose(curve["T"], exact.T_opt)
    assert curve["students"]["n"].size == 0
    line = series["linear"]
    slopes = np.diff(np.log(line["n"])) / np.diff(np.log(line["C"]))
    np.testing.assert_allclose(slopes, 0.5)
    assert line["n"][-1] == series["curves"][0]["n"][-1]


def test_shares_of_students_are_those_of_their_sizes():
    series = gallery.model_share_series(d=(5, 50), K=(10, 1000))
    first, other = series["curves"]
    assert first["students"]["d"].tolist() == [10, 40]
    assert other["students"]["d"].size == 0
    n = measured_optima(40, 10)["n"][-1]
    assert first["students"]["share"][1] == pytest.approx(1600 * n * n / series["C"])
    nowhere = gallery.model_share_series(C=1e7)
    assert all(c["students"]["d"].size == 0 for c in nowhere["curves"])


def test_lines_of_an_answer_run_along_the_longest_axis():
    answer = {"n_opt": [[1.0, 2.0, 0.0], [4.0, 5.0, 6.0]], "T_opt": [[9.0] * 3] * 2}
    lines = answer_series(answer, {"d": [1.0, 2.0], "C": [1.0, 10.0, 100.0]})
    assert [line["label"] for line in lines] == [
        "n_opt d 1", "n_opt d 2", "T_opt d 1", "T_opt d 2",
    ]  # fmt: skip
    assert lines[0]["y"].tolist() == [1.0, 2.0]
    assert lines[1]["x"].tolist() == [1.0, 10.0, 100.0]
