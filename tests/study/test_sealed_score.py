import math
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.runs import Conventions, Runs
from isoloss.study.sealed import crps, score_sealed, seal
from study.sealing import NOW, TARGETS, answers, forecast, forged, plain_file, table, truth


def score(given, **options):
    return score_sealed(forecast(), given, now=NOW, **options)


def test_a_row_holds_what_can_be_computed_by_hand():
    y = truth()["loss"]
    (row,) = score(truth()).rows
    p = forecast().points[0]
    q = p["quantiles"]
    assert row["error_percent"] == pytest.approx(100 * (p["loss"] - y) / y)
    assert row["log_ratio"] == pytest.approx(math.log(y / p["loss"]))
    assert row["crps"] == crps(q["probability"], q["new_run"], y)
    ninety = next(i for i in row["intervals"] if i["level"] == 0.9)
    assert (ninety["low"], ninety["high"]) == (p["interval"]["low"], p["interval"]["high"])
    assert ninety["inside"]
    assert ninety["score"] == ninety["high"] - ninety["low"]
    assert row["baselines"]["last_run"]["error_percent"] > 5
    assert [i["level"] for i in row["intervals"]] == [
        0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99
    ]  # fmt: skip


def test_a_miss_is_outside_and_is_fined():
    high = forecast().points[0]["interval"]["high"]
    (row,) = score({**truth(), "loss": high + 0.01}).rows
    ninety = next(i for i in row["intervals"] if i["level"] == 0.9)
    assert not ninety["inside"]
    assert ninety["score"] == pytest.approx(ninety["high"] - ninety["low"] + 20 * 0.01)
    assert "90 % missed" in score({**truth(), "loss": high + 0.01}).summary()


def test_every_row_of_the_truth_is_scored_or_listed():
    rows = [truth(), {"N": 5e7, "D": 1e9, "loss": 3.0}, truth() | {"loss": truth()["loss"] * 1.001}]
    found = score(rows)
    assert [r["point"] for r in found.rows] == [0, 0]
    assert [o["point"] for o in found.answers["open"]] == [1]
    assert [u["row"] for u in found.answers["unmatched"]] == [2]
    assert found.doubtful
    assert "not scored: row 2" in found.summary()
    assert "open: no truth yet at N = 1e+09" in found.summary()


def test_refused_rows_are_listed(tmp_path):
    path = tmp_path / "truth.csv"
    y = truth()["loss"]
    path.write_text(f"N,D,loss\n6e8,2e10,{y}\n6e8,2e10,nan\n1e9,4e10,-2\n1e9,x,2\n", "utf8")
    found = score(path)
    assert len(found.rows) == 1
    assert [r["row"] for r in found.answers["refused"]] == [2, 3, 4]
    assert found.doubtful


def test_the_tolerance_is_the_largest_difference_of_a_resource():
    near = {**truth(), "D": 2e10 * 1.009}
    assert len(score(near).rows) == 1
    for change in ({"D": 2e10 * 1.011}, {"N": 6e8 / 1.011}):
        with pytest.raises(InputError, match=r"nearest is 1\.1 % away"):
            score({**truth(), **change})
    assert len(score({**truth(), "D": 2e10 * 1.011}, tolerance=0.02).rows) == 1
    for bad in (0.0, -1, 0.6, float("nan")):
        with pytest.raises(InputError, match="tolerance"):
            score(truth(), tolerance=bad)


def test_of_two_near_targets_the_nearest_is_meant():
    found = seal(
        table(), [{"N": 6e8, "D": 2e10}, {"N": 6.05e8, "D": 2e10}], laws=["chinchilla"], draws=100
    )
    (row,) = score_sealed(found, {"N": 6.04e8, "D": 2e10, "loss": truth()["loss"]}).rows
    assert row["point"] == 1


def test_the_mean_over_seeds_has_the_interval_of_the_mean():
    wide, narrow = (score(truth(), of_mean=m).rows[0]["intervals"][-1] for m in (False, True))
    assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]


def test_changed_files_are_refused_before_they_are_scored(tmp_path):
    content = answers()
    content["points"][0]["loss"] = truth()["loss"]
    with pytest.raises(InputError, match="was changed"):
        score_sealed(plain_file(tmp_path, content), truth())


def measured(**words):
    t = truth()
    return Runs(columns={k: [v] for k, v in t.items()}, conventions=replace(Conventions(), **words))


def with_words(tmp_path, **words):
    content = answers()
    content["runs"]["conventions"] = asdict(Conventions()) | words
    return forged(tmp_path, content)


def test_conventions_that_differ_are_refused_and_silence_is_noted(tmp_path):
    non, total = {"N": "non-embedding parameters"}, {"N": "total parameters"}
    file = with_words(tmp_path, **non)
    with pytest.raises(InputError, match="N is 'total parameters', but was 'non-embedding"):
        score_sealed(file, measured(**total), now=NOW)
    silent = score_sealed(file, measured(), now=NOW)
    assert "the truth does not say what N is" in silent.answers["notes"][0]
    assert silent.doubtful
    other = score(measured(**total))
    assert "the forecast does not say what N is" in other.answers["notes"][0]
    same = score_sealed(file, measured(N="Non-embedding  PARAMETERS"), now=NOW)
    assert not same.doubtful
    # Compute plays no part in laws of N and D; the loss and the evaluation always do.
    assert not score_sealed(file, measured(C="dense FLOPs", **non), now=NOW).doubtful
    bits = with_words(tmp_path, loss="bits per byte")
    with pytest.raises(InputError, match="loss is 'nats per byte'"):
        score_sealed(bits, measured(loss="nats per byte"), now=NOW)
    assert not score_sealed(file, truth(), now=NOW).doubtful


@pytest.mark.parametrize(
    ("convert", "name"),
    [
        (lambda y: y / math.log(2), "bits"),
        (lambda y: y / math.log(10), "decimal logarithms"),
        (math.exp, "perplexities"),
    ],
)
def test_losses_in_another_unit_are_refused(convert, name):
    other = {**truth(), "loss": convert(truth()["loss"])}
    with pytest.raises(InputError, match=name):
        score(other)
    assert len(score(other, same_unit=True).rows) == 1
    # A plain miss is no other unit.
    assert len(score(truth(factor=1.25)).rows) == 1
    # Where one of them is near, the unit is right and the other is bad news.
    both = [truth(1), other]
    assert len(score(both).rows) == 2


def test_a_target_that_the_runs_held_is_marked():
    at = {"N": 1.6e8, "D": 1e10}
    found = seal(table(), at, laws=["chinchilla"], draws=100)
    (row,) = score_sealed(found, {**at, "loss": 2.9}).rows
    assert row["known"]


def test_a_clock_in_the_future_is_noted():
    found = score_sealed(forecast(), truth(), now=NOW - timedelta(days=3))
    assert "lies in the future" in found.answers["notes"][0]
    assert found.doubtful


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"N": 6e8, "loss": 2.4}, "D is missing"),
        ([{"N": 6e8, "D": 2e10}], "loss is missing"),
        ({"N": 6e8, "D": 2e10, "loss": float("nan")}, "not a number|finite|usable"),
        ({"N": 6e8, "D": 2e10, "loss": -1.0}, "usable"),
        ([], "empty"),
        ({"C": [1e20, 2e20], "loss": [2.0, 2.1]}, "N|axis|column"),
    ],
)
def test_truths_that_cannot_be_used_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        score(given)


def test_names_of_runs_are_clean_where_people_read_them():
    t = {k: [v, v] for k, v in truth().items()} | {"name": ["\x1b[31m<b>x", "y\x07z"]}
    t["N"] = [6e8, 1e6]
    found = score(t)
    assert "\x1b" not in found.summary()
    assert "\x07" not in found.summary()
    assert np.isfinite(found.rows[0]["crps"])
    assert TARGETS[0]["N"] == found.rows[0]["at"]["N"]


def test_a_forecast_too_vague_to_tell_units_apart_refuses_none(tmp_path):
    content = answers()
    for p in content["points"]:
        for name in ("new_run", "mean"):
            p["quantiles"][name] = [p["loss"] * (q / p["loss"]) ** 9 for q in p["quantiles"][name]]
    vague = forged(tmp_path, content)
    assert len(score_sealed(vague, truth(0, 1.3), now=NOW).rows) == 1
