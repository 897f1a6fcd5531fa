"""Resampling: any estimator, clusters, blocks that survive a kill, and intervals that cover."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

import isoloss
from fit.designs import CHINCHILLA, design, law_of, table
from isoloss.errors import InputError
from isoloss.fit import bootstrap, fit, fit_laws, forecast
from isoloss.fit.uncertainty import BLOCK, resample_weights
from isoloss.runs import Runs


def test_weights_are_multiplicities_of_groups() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2])
    weights = resample_weights(groups, 4000, rng=np.random.default_rng(0))
    assert weights.shape == (4000, 6)
    assert np.all(weights == np.rint(weights))
    for members in ([0, 1], [3, 4, 5]):
        assert np.all(np.ptp(weights[:, members], axis=1) == 0), "a group moves together"
    assert np.all(weights[:, [0, 2, 3]].sum(axis=1) == 3)
    # Multinomial(3, 1/3): mean 1, variance 2/3; four standard errors.
    assert weights[:, 2].mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 3 / 4000))
    assert weights[:, 2].var() == pytest.approx(2 / 3, abs=0.08)


def test_any_callable_can_be_resampled() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    out = bootstrap(lambda rows: [values[rows].mean(), values[rows].std()], 50, draws=600, rng=3)
    assert out.shape == (600, 2)
    assert out[:, 0].std() == pytest.approx(values.std() / 50**0.5, rel=0.12)
    again = bootstrap(lambda rows: [values[rows].mean(), values[rows].std()], 50, draws=600, rng=3)
    assert out.tobytes() == again.tobytes()
    other = bootstrap(lambda rows: [values[rows].mean(), values[rows].std()], 50, draws=600, rng=4)
    assert not np.array_equal(out, other)
    # More draws continue the same streams, block by block.
    more = bootstrap(lambda rows: values[rows].mean(), 50, draws=BLOCK * 2 + 1, rng=3)
    np.testing.assert_array_equal(more[:BLOCK], out[:BLOCK, 0])


def test_clusters_widen_the_spread_of_shared_errors() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 5)
    values = np.repeat(rng.standard_normal(20), 5)
    case = bootstrap(lambda rows: values[rows].mean(), 100, draws=500)
    cluster = bootstrap(lambda rows: values[rows].mean(), 100, draws=500, groups=groups)
    assert cluster.std() / case.std() == pytest.approx(5**0.5, rel=0.2)


def test_misuse_of_the_bootstrap() -> None:
    with pytest.raises(InputError, match="groups"):
        bootstrap(np.mean, 3, groups=[0, 1])
    with pytest.raises(InputError, match="draws"):
        bootstrap(np.mean, 3, draws=0)
    with pytest.raises(InputError, match="key"):
        bootstrap(np.mean, 3, journal=Path("unused"))


def test_a_journal_serves_only_the_same_question(tmp_path: Path) -> None:
    def draw(scale: float, key: str, n: int = 10, seed: int = 0) -> float:
        out = bootstrap(
            lambda rows: scale * rows.mean(), n, draws=5, rng=seed, journal=tmp_path, key=key
        )
        return float(np.abs(out).max())

    first = draw(1.0, "a")
    assert draw(1e9, "a") == first, "served from the journal"
    assert draw(1e9, "b") > 1e6
    assert draw(1e9, "a", n=11) > 1e6
    assert draw(1e9, "a", seed=1) > 1e6


def test_a_fit_continues_its_journal_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = table("chinchilla", noise=0.01)
    first = fit(runs, draws=300, journal=tmp_path)
    pieces = sorted(tmp_path.rglob("*.npy"))
    assert len(pieces) == 2
    module = sys.modules["isoloss.fit.draw_methods"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "resample_weights", lambda *a, **k: pytest.fail("drawn again"))
        second = fit(runs, draws=300, journal=tmp_path)
    assert first.draws.tobytes() == second.draws.tobytes()
    pieces[0].write_bytes(pieces[0].read_bytes()[:-8])
    assert fit(runs, draws=300, journal=tmp_path).draws.tobytes() == first.draws.tobytes()
    for options in ({"rng": 1}, {"objective": "lsq"}, {"draws": 299}, {"law": "coupled"}):
        before = len(list(tmp_path.rglob("*.npy")))
        fit(runs, **({"draws": 300, "journal": tmp_path} | options))
        assert len(list(tmp_path.rglob("*.npy"))) > before


WORKER = """
import sys, os, signal
from pathlib import Path
import numpy as np
from isoloss.fit import bootstrap
journal, calls, stop = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
count = 0

def statistic(rows):
    global count
    count += 1
    if count == stop:
        os.kill(os.getpid(), signal.SIGKILL)
    with calls.open("a") as file:
        file.write(".")
    return [rows.mean(), rows.std()]

out = bootstrap(statistic, 30, draws=900, rng=11, journal=journal, key="mean and spread")
np.save(sys.argv[4], out)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_and_resumed_draws_are_the_same(tmp_path: Path) -> None:
    def work(journal: str, calls: str, stop: int, out: str) -> int:
        arguments = [str(tmp_path / journal), str(tmp_path / calls), str(stop), str(tmp_path / out)]
        env = os.environ | {"PYTHONPATH": str(Path(isoloss.__file__).parents[1])}
        return subprocess.run(
            [sys.executable, "-c", WORKER, *arguments], env=env, check=False
        ).returncode

    def count(calls: str) -> int:
        return (tmp_path / calls).stat().st_size

    assert work("whole", "whole-calls", 0, "whole.npy") == 0
    assert count("whole-calls") == 900
    # Killed inside the third block of 250, then in the fourth; two blocks were finished, then one.
    assert work("cut", "calls", 640, "cut.npy") == -signal.SIGKILL
    assert count("calls") == 639
    assert work("cut", "calls", 300, "cut.npy") == -signal.SIGKILL
    assert count("calls") == 639 + 299
    assert not (tmp_path / "cut.npy").exists()
    assert work("cut", "calls", 0, "cut.npy") == 0
    assert count("calls") == 639 + 299 + 150, "finished blocks are not drawn again"
    assert (tmp_path / "cut.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not list(tmp_path.rglob("*.tmp"))


def test_repeated_seeds_are_resampled_together() -> None:
    runs = table("chinchilla", noise=0.01)
    x = {a: np.tile(runs[a], 3) for a in ("N", "D")}
    rng = np.random.default_rng(0)
    shared = np.tile(0.01 * rng.standard_normal(len(runs)), 3)
    loss = law_of("chinchilla")(CHINCHILLA, x) * np.exp(
        shared + 1e-4 * rng.standard_normal(3 * len(runs))
    )
    seeds = Runs(columns={**x, "loss": loss, "seed": np.repeat([0.0, 1.0, 2.0], len(runs))})
    auto, case = (fit(seeds, objective="lsq", draws=400, resample=r) for r in ("auto", "case"))
    assert (auto.method, case.method) == ("cluster bootstrap", "case bootstrap")
    wider = auto.draws.std(axis=0) / case.draws.std(axis=0)
    assert np.all(wider > 1.4), "shared errors of a configuration count once, not thrice"
    assert fit(runs, draws=5).method == "case bootstrap"


def test_very_many_runs_use_the_sandwich(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = table("chinchilla", noise=0.01, per_axis=14)
    plain = fit(runs, objective="lsq", draws=1000)
    module = sys.modules["isoloss.fit.fit"]
    monkeypatch.setattr(module, "MANY", 100)
    many = fit(runs, objective="lsq", draws=1000)
    assert many.method == "sandwich, normal"
    np.testing.assert_allclose(many.theta, plain.theta, rtol=1e-8)
    ratio = many.draws.std(axis=0) / plain.draws.std(axis=0)
    # Amplitudes are skewed: their normal limit is rougher.
    assert np.all((ratio > 0.7) & (ratio < 1.3)), ratio


def test_the_sandwich_sees_clusters_and_laws_that_contain_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = table("chinchilla", noise=0.01, per_axis=8)
    thrice = Runs(
        columns={a: np.repeat(base[a], 3) for a in ("N", "D", "loss")}
        | {"seed": np.tile(np.arange(3.0), len(base))}
    )
    monkeypatch.setattr(sys.modules["isoloss.fit.fit"], "MANY", 60)
    clustered = fit(thrice, objective="lsq", draws=1000)
    case = fit(thrice, objective="lsq", draws=1000, resample="case")
    assert clustered.method == "cluster sandwich, normal"
    ratio = clustered.draws.std(axis=0) / case.draws.std(axis=0)
    # Copies of a run are one run: the spread is that of the cases times the root of three.
    np.testing.assert_allclose(ratio, 3**0.5, rtol=0.1)
    wide = fit(thrice, "coupled", objective="lsq", draws=20)
    assert wide.value <= clustered.value * (1 + 1e-9)


@pytest.mark.slow
def test_intervals_cover_what_they_claim() -> None:
    """Ninety per cent intervals of parameters, of the mean loss and of new runs.

    150 tables: binomial bounds at a false-alarm rate of 1e-4 a quantity, widened by three points
    for the percentile bootstrap of 60 runs.
    """
    law, trials, sigma = law_of("chinchilla"), 150, 0.004
    x = design("chinchilla", per_axis=8)
    truth = law.theta(CHINCHILLA)
    clean = law(truth, x)
    target = {"N": 7e10, "D": 1.4e12}
    hits = np.zeros(7)
    for seed in range(trials):
        rng = np.random.default_rng([99, seed])
        loss = clean * np.exp(sigma * rng.standard_normal(len(clean)))
        found = fit(Runs(columns={**x, "loss": loss}), objective="lsq", draws=200, rng=seed)
        inside = [v in found.intervals[n] for n, v in CHINCHILLA.items()]
        mean = law(truth, target)[0]
        new = mean * np.exp(sigma * rng.standard_normal())
        inside.append(mean in found.interval(target)[0])
        inside.append(new in found.interval(target, new_run=True)[0])
        hits += inside
    low = binom.ppf(1e-4, trials, 0.9) - 0.03 * trials
    high = binom.ppf(1 - 1e-4, trials, 0.9) + 0.03 * trials
    assert np.all((hits >= low) & (hits <= high)), hits / trials


@pytest.mark.slow
def test_forecasts_cover_the_truth_over_laws() -> None:
    """Forecast intervals over laws hold the true loss at 100 times the scale in most tables.

    They may be wider than claimed, since laws that are wrong widen them, but not narrower:
    30 tables, binomial bound at a false-alarm rate of 1e-3.
    """
    law, trials = law_of("chinchilla"), 30
    x = design("chinchilla", per_axis=6)
    target = {"N": 1e11, "D": 3e12}
    mean = law(CHINCHILLA, target)[0]
    hits = 0
    for seed in range(trials):
        rng = np.random.default_rng([7, seed])
        loss = law(CHINCHILLA, x) * np.exp(0.004 * rng.standard_normal(len(x["N"])))
        runs = Runs(columns={**x, "loss": loss})
        laws = fit_laws(
            runs, ["chinchilla", "coupled"], objective="huber:1e-3", draws=150, rng=seed
        )
        hits += mean * np.exp(0.004 * rng.standard_normal()) in forecast(laws, target).interval
    assert hits >= binom.ppf(1e-3, trials, 0.9), hits / trials
