"""Forecasts of real tables, sealed on the smaller runs and scored on the largest."""

import numpy as np
import pytest

from isoloss.runs import Runs, embedded_runs
from isoloss.study.pipeline import hold_out
from isoloss.study.sealed import (
    add_score,
    calibration,
    clopper_pearson,
    read_sealed,
    score_sealed,
    seal,
)
from study.sealing import loss_at


def sealed_and_scored(runs, held, folder, name):
    high = runs.select(held)
    targets = dict.fromkeys(zip(high["N"].tolist(), high["D"].tolist(), strict=True))
    found = seal(runs.select(~held), [{"N": n, "D": d} for n, d in targets], draws=200, note=name)
    score = score_sealed(read_sealed(found.write(folder / f"{name}.json")), high)
    assert len(score.rows) == len(high)
    assert not score.answers["open"]
    assert add_score(folder / "record", score) == len(high)
    return score


def test_the_largest_embedded_runs(tmp_path):
    runs = embedded_runs()
    score = sealed_and_scored(runs, hold_out(runs), tmp_path, "embedded")
    assert not score.doubtful
    a = calibration(tmp_path / "record").answers
    last = next(b for b in a["scores"]["baselines"] if b["name"] == "last_run")
    assert a["scores"]["crps_percent"] < 1 < 5 < last["error_percent"]
    assert a["sentence"].startswith("Too few to judge")


@pytest.mark.slow
def test_the_largest_published_runs(epoch_240, tmp_path):
    score = sealed_and_scored(epoch_240, epoch_240["C"] > 1e21, tmp_path, "epoch")
    errors = np.array([abs(r["error_percent"]) for r in score.rows])
    plain = np.array([abs(r["baselines"]["plain_law"]["error_percent"]) for r in score.rows])
    assert errors.mean() < 1 < 5
    assert errors.mean() < plain.mean()
    held = sum(i["inside"] for r in score.rows for i in r["intervals"] if i["level"] == 0.9)
    assert clopper_pearson(held, len(errors), level=0.999)[1] > 0.9


@pytest.mark.slow
def test_a_record_of_simulated_tables_is_calibrated(tmp_path):
    rng = np.random.default_rng(5)
    N, D = np.repeat([1e7, 3e7, 1e8, 3e8], 5), np.tile(np.geomspace(2e8, 2e10, 5), 4)
    for _ in range(40):
        loss = loss_at(N, D) * np.exp(0.004 * rng.standard_normal(len(N)))
        found = seal(
            Runs(columns={"N": N, "D": D, "loss": loss}), {"N": 1e9, "D": 3e10},
            laws=["chinchilla", "additive"], draws=200,
        )  # fmt: skip
        truth = float(loss_at(1e9, 3e10)) * float(np.exp(0.004 * rng.standard_normal()))
        add_score(tmp_path, score_sealed(found, {"N": 1e9, "D": 3e10, "loss": truth}))
    a = calibration(tmp_path).answers
    # With 40 tables a level of 99.9 % is missed by chance once in a thousand for each share.
    for c in a["coverage"]:
        low, high = clopper_pearson(c["inside"], 40, level=0.999)
        assert low < c["level"] < high
    assert a["bias"]["chance"] > 1e-3
