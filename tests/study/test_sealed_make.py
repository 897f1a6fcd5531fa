from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

import isoloss
from isoloss.errors import InputError
from isoloss.fit import fit
from isoloss.runs import Runs
from isoloss.study.sealed import check_sealed, seal
from isoloss.study.sealed.file import sealed
from study.sealing import NOW, TARGETS, D, N, answers, forecast, forged, loss_at, table


def test_what_is_sealed_is_what_forecast_says():
    laws = isoloss.fit_laws(table(), ["chinchilla", "additive"], draws=200)
    for level in (0.5, 0.9, 0.99):
        for f, p in zip(
            isoloss.forecast(table(), TARGETS, laws=laws, level=level),
            forecast().points,
            strict=True,
        ):
            grid = np.array(p["quantiles"]["probability"])
            low = int(np.argmin(np.abs(grid - (1 - level) / 2)))
            for name, interval in (("new_run", f.interval), ("mean", f.mean)):
                q = p["quantiles"][name]
                assert (q[low], q[-1 - low]) == pytest.approx((interval.low, interval.high))
            assert p["loss"] == f.loss == p["quantiles"]["new_run"][len(grid) // 2]
            assert p["reach"] == f.reach


def test_the_level_asked_for_is_among_the_quantiles():
    found = seal(table(), TARGETS[0], laws=["chinchilla"], draws=100, level=0.68)
    p = found.points[0]
    assert p["interval"]["level"] == 0.68
    k = p["quantiles"]["probability"].index(0.16)
    assert p["quantiles"]["new_run"][k] == p["interval"]["low"]


def test_baselines_are_the_best_of_the_largest_runs_and_a_plain_law():
    base = forecast().points[0]["baselines"]
    largest = (N * D).max() == (N * D)
    assert base["last_run"]["loss"] == table()["loss"][largest].min()
    plain = fit(table(), "chinchilla", draws=0).predict(
        {k: np.array([v]) for k, v in TARGETS[0].items()}
    )
    assert base["plain_law"]["loss"] == pytest.approx(float(plain[0]))


def test_the_same_runs_and_time_give_the_same_hash_in_any_order():
    order = np.random.default_rng(0).permutation(len(N))
    options = {"laws": ["chinchilla", "additive"], "draws": 200, "note": "<b>n</b>", "now": NOW}
    assert seal(table().select(order), TARGETS, **options).sha256 == forecast().sha256
    later = options | {"now": NOW + timedelta(seconds=1)}
    assert seal(table(), TARGETS, **later).sha256 != forecast().sha256


def test_one_axis_has_a_plain_law_too():
    runs = {
        "D": np.geomspace(1e7, 1e10, 10),
        "loss": 1.5 + 400 * np.geomspace(1e7, 1e10, 10) ** -0.3,
    }
    p = seal(runs, {"D": 1e11}, draws=100).points[0]
    assert p["baselines"]["plain_law"]["loss"] == pytest.approx(1.5 + 400 * 1e11**-0.3, rel=1e-3)
    assert p["beyond"] == {"D": pytest.approx(10.0)}


def test_a_target_among_the_runs_is_said_to_be_one():
    found = seal(table(), [TARGETS[0], {"N": 1.6e8, "D": 1.005e10}], laws=["chinchilla"], draws=100)
    assert found.answers["runs"]["holding_targets"] == [{"point": 1, "runs": ["row 20"]}]
    assert "for these it is no forecast" in check_sealed(found).summary()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"draws": 0}, "draws = 0"),
        ({"draws": 10**7}, "draws = "),
        ({"note": "x" * 2001}, "2000 characters"),
        ({"note": 3}, "note"),
        ({"laws": [isoloss.get_law("chinchilla")]}, "names or formulas"),
        ({"conventions": {"M": "x"}}, "'M' is not one of"),
        ({"level": 1.0}, "level"),
        ({"at": []}, "0 targets"),
        ({"at": [TARGETS[1], dict(reversed(TARGETS[1].items()))]}, "given twice"),
        ({"at": [{"N": 1e9}]}, "D missing|D"),
        ({"at": [{"N": -1.0, "D": 1e9}]}, "positive"),
    ],
)
def test_what_cannot_be_sealed_is_refused(change, said):
    given = {"at": TARGETS[0], "laws": ["chinchilla"], "draws": 100} | change
    with pytest.raises(InputError, match=said):
        seal(table(), given.pop("at"), **given)


def test_the_runs_give_the_forecast_again():
    found = check_sealed(forecast(), table(), now=NOW)
    assert (found.same_runs, found.shift, found.same, found.notes) == (True, 0.0, True, ())
    assert check_sealed(forecast(), now=NOW).same is None


def test_other_runs_are_told_from_those_sealed():
    losses = table()["loss"].copy()
    losses[3] *= 1 + 1e-9
    other = replace(table(), columns={**table().columns, "loss": losses})
    found = check_sealed(forecast(), other, now=NOW)
    assert (found.same_runs, found.same) == (False, None)
    assert "NOT those" in found.summary()


def test_numbers_that_the_runs_do_not_give_are_found():
    # Whoever makes a file can make its hash; only the runs show that its numbers are invented.
    content = answers()
    p = content["points"][0]
    p["quantiles"]["new_run"][0] *= 0.98
    p["interval"]["low"] *= 0.98
    found = check_sealed(sealed(content), table(), now=NOW)
    assert found.same_runs
    assert not found.same
    assert found.shift > 0.1
    assert "NOT the same" in found.summary()


def test_a_clock_in_the_future_is_noted():
    found = check_sealed(forecast(), now=NOW - timedelta(hours=1))
    assert "lies in the future" in found.notes[0]
    assert not check_sealed(forecast(), now=NOW - timedelta(minutes=1)).notes


def test_options_of_a_stranger_end_in_an_error_of_ours(tmp_path):
    for name, value in (("laws", ["__import__('os')"]), ("objective", "steal"), ("outliers", "x"),
                        ("emphasis", [1])):  # fmt: skip
        content = answers()
        content["options"][name] = value
        with pytest.raises(isoloss.IsolossError):
            check_sealed(forged(tmp_path, content), table(), now=NOW)


def test_sensitivity_finds_what_moves_the_forecast():
    # A tenth of the runs at the smallest size is off: to leave them out must lead the list.
    rng = np.random.default_rng(2)
    loss = loss_at(N, D) * np.exp(0.001 * rng.standard_normal(len(N)))
    loss[N.min() == N] *= 1.02
    runs = Runs(columns={"N": N, "D": D, "loss": loss})
    found = seal(
        runs, TARGETS, laws=["chinchilla"], objective="lsq", draws=200, outliers="keep",
        sensitivity=True,
    )  # fmt: skip
    rows = found.answers["sensitivity"]
    moves = [max(abs(v) for v in r["percent_of_interval"]) for r in rows if not r["reason"]]
    assert moves == sorted(moves, reverse=True)
    kinds = {r["kind"] for r in rows}
    assert {"objective", "weights", "runs", "scale"} <= kinds
    by_title = {r["assumption"]: r for r in rows}
    row = by_title["without N = 1e+07 (4 runs)"]
    clean_runs = runs.select(N.min() < N)
    direct = fit(clean_runs, "chinchilla", objective="lsq", draws=0)
    base = fit(runs, "chinchilla", objective="lsq", draws=0)
    x = {k: np.array([v]) for k, v in TARGETS[0].items()}
    moved = float(direct.predict(x)[0] / base.predict(x)[0])
    assert row["loss"][0] / found.points[0]["loss"] == pytest.approx(moved, rel=2e-3)
    assert abs(row["percent_of_interval"][0]) > 5


def test_of_several_largest_runs_the_best_is_carried_over():
    size, data = np.append(N, N[-1]), np.append(D, D[-1])
    losses = np.append(table()["loss"], table()["loss"][-1] * 0.99)
    runs = Runs(columns={"N": size, "D": data, "loss": losses})
    found = seal(runs, TARGETS[0], laws=["chinchilla"], draws=100)
    assert found.points[0]["baselines"]["last_run"]["loss"] == losses[-1]
