"""What is read off tables of pilots, on tables of known truth; and their pictures."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError
from isoloss.study.pilot_readings import crossovers, frontier, pilot_laws
from isoloss.study.pilot_study import EXPERIMENTS, read_pruning, run_experiment
from isoloss.study.pilot_table import PILOT_COLUMNS, pilot_csv, pilot_means, pilot_text

POOLS = tuple(1000 * 2**i for i in range(6))


def truth(D, policy, keep, pool):
    """Random sets fall as D^-0.3; the hard of a pool better by a power of pool over 4000."""
    gain = {"random": 0.0, "hard": 0.1 * math.log(pool / 4000), "easy": -0.05}[policy]
    return 2.0 * D**-0.3 * math.exp(-gain * (1 - keep))


def table(noise=0.0, seeds=3, pools=POOLS, keeps=(0.2, 0.4, 0.8, 1.0)):
    rng, rows = np.random.default_rng(0), []
    for pool in pools:
        for keep in keeps:
            for metric, policy in (("", "random"), ("m", "hard"), ("m", "easy")):
                if keep == 1 and metric:
                    continue
                D = round(keep * pool)
                for seed in range(seeds):
                    error = truth(D, policy, keep, pool) * math.exp(noise * rng.standard_normal())
                    rows.append(dict.fromkeys(PILOT_COLUMNS, 1.0) | {
                        "data": "made", "metric": metric, "policy": policy, "keep": keep,
                        "pool": pool, "D": D, "seed": seed, "error": error, "worst_error": error,
                        "score_flops": 0.5 if metric else 0.0,
                    })  # fmt: skip
    return rows


def test_the_pool_where_hard_begins_to_win_is_found():
    for row in crossovers(table()):
        assert row["hard_over_random"] == pytest.approx(4000, rel=1e-6)
        # 0.1 log(pool / 4000) = -0.05
        assert row["hard_over_easy"] == pytest.approx(4000 * math.exp(-0.5), rel=0.05)
        assert row["pools"] == 6
    worse = [r | {"error": r["error"] + (r["policy"] == "hard")} for r in table()]
    assert all(math.isnan(r["hard_over_random"]) for r in crossovers(worse))
    better = [r | {"error": r["error"] - (r["policy"] == "hard")} for r in table()]
    assert all(r["hard_over_random"] == POOLS[0] for r in crossovers(better))


def test_the_frontier_takes_the_best_of_all_pools():
    rows = {r["D"]: r for r in frontier(table())}
    # 1600 examples: .8 of 2000, .4 of 4000 or .2 of 8000; the last gains most.
    found = rows[1600]
    assert (found["metric"], found["policy"], found["keep"], found["pool"]) == (
        "m",
        "hard",
        0.2,
        8000,
    )
    assert found["of"] == 6
    assert found["chance"] == pytest.approx(2 * 1600**-0.3)
    assert found["gain"] == pytest.approx(found["chance"] - truth(1600, "hard", 0.2, 8000))


def test_the_best_of_many_that_differ_by_chance_alone_gains_nothing():
    gains, seen = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = table(pools=(8000, 16000, 32000))
        rows = [r | {"error": 0.1 + 0.01 * rng.standard_normal()} for r in rows]
        for found in frontier(rows):
            cell = ("metric", "policy", "keep", "pool")
            mine = [r["error"] for r in rows if all(r[n] == found[n] for n in cell)]
            gains.append(found["gain"])
            seen.append(found["chance"] - np.mean(mine))
    # Of 200 tables: within five standard errors of zero, where the plain best is far above.
    assert abs(np.mean(gains)) < 5 * np.std(gains) / len(gains) ** 0.5
    assert np.mean(seen) > 20 * np.std(seen) / len(seen) ** 0.5


def scored(rows, error):
    """The table with other errors of what scores keep."""
    return [r | {"error": error(r["D"])} if r["metric"] else r for r in rows]


def test_powers_are_those_of_the_table():
    plain, best = pilot_laws(scored(table(), lambda D: 1.9 * D**-0.35))
    assert (plain.what, best.what) == ("unpruned", "best share")
    assert plain.exponent == pytest.approx(0.3, abs=1e-9)
    assert plain.amplitude == pytest.approx(2.0)
    assert best.exponent == pytest.approx(0.35, abs=1e-9)
    assert best.amplitude == pytest.approx(1.9)
    assert (plain.low, plain.high) == (200, 25600)
    one = pilot_laws(scored(table(seeds=1), lambda D: 1.9 * D**-0.35))
    assert one[0].interval is None


def test_sizes_at_which_pruning_harms_are_no_part_of_a_power():
    rows = scored(table(), lambda D: 2 * D**-0.3 * (1.3 if D < 1500 else 0.95))
    plain, best = pilot_laws(rows)
    assert plain.low == best.low == 1600
    # From 200 on, the end of the harm would look like a steeper fall.
    assert best.exponent == pytest.approx(0.3, abs=1e-9)
    assert pilot_laws(scored(table(), lambda D: 3 * D**-0.3)) == []


def test_the_interval_of_a_power_holds_it_as_often_as_it_says():
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = scored(table(), lambda D: 1.5 * D**-0.35)
        rows = [r | {"error": r["error"] * math.exp(0.02 * rng.standard_normal())} for r in rows]
        held += 0.3 in pilot_laws(rows)[0].interval
    # 90 %: 46 or more of 60 but for three in ten thousand.
    assert held >= 46


def test_the_text_has_every_line():
    text = pilot_text(table())
    assert text.count("made, pool of") == 6
    assert "m hard" in text
    assert "20%" in text


def study(folder):
    """Tables of all experiments."""
    rows = scored(table(noise=0.01), lambda D: 1.5 * D**-0.35)
    rows = [r | {"data": "fashion-mnist"} for r in rows]
    for name in EXPERIMENTS:
        (folder / f"pruning-{name}.csv").write_text(pilot_csv(rows))


def test_a_folder_of_tables_is_read_and_shown(tmp_path):
    study(tmp_path)
    found = read_pruning(tmp_path)
    assert set(found.rows) == set(EXPERIMENTS)
    assert found.laws[0].exponent == pytest.approx(0.3, abs=0.02)
    assert "error falls as D^-0.3" in found.summary()
    assert "0.50 trainings" in found.summary()
    only = read_pruning(tmp_path, only=["metrics"])
    assert list(only.rows) == ["metrics"]
    assert not only.frontier
    shown = call("prune", "study", "--read", tmp_path, "--json")
    assert shown.exit_code == 0
    with pytest.raises(InputError, match="must be one of"):
        read_pruning(tmp_path, only=["all"])
    with pytest.raises(InputError, match="must be one of"):
        run_experiment("all", tmp_path)


def test_pictures_show_the_numbers(tmp_path):
    pytest.importorskip("matplotlib")
    from isoloss.plot.pruning import draw_frontier, draw_gains, draw_sizes, gain_series, size_series

    means = pilot_means(table())
    lines = size_series(means)
    assert [line["label"] for line in lines] == ["whole pool", "m, easy", "m, hard"]
    assert lines[0]["x"].tolist() == [0.2, 0.4, 0.8]
    at = [truth(k * 32000, "random", k, 32000) for k in (0.2, 0.4, 0.8, 1.0)]
    np.testing.assert_allclose(lines[0]["y"], [100 * (e - at[3]) for e in at[:3]], rtol=1e-9)
    hard = [truth(k * 32000, "hard", k, 32000) for k in (0.2, 0.4, 0.8)]
    np.testing.assert_allclose(lines[2]["y"], 100 * (np.array(at[:3]) - hard), rtol=1e-9)
    gains = gain_series(means, "m")
    assert {(g["policy"], g["keep"]) for g in gains} == {
        (p, k) for p in ("hard", "easy") for k in (0.2, 0.4, 0.8)
    }
    hard = next(g for g in gains if g["policy"] == "hard")
    assert (np.diff(np.sign(hard["y"])) >= 0).all()
    assert len(draw_sizes(means).lines) > 2
    draw_gains(means, "m")
    for what, piece in (
        (lambda: draw_frontier([]), "empty"), (lambda: draw_gains(means, "q"), "chance"),
        (lambda: size_series([]), "none"), (lambda: size_series(means, 7), "pool = 7"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=piece):
            what()
    study(tmp_path)
    shown = call("prune", "study", "--read", tmp_path, "--plot", tmp_path / "out")
    assert shown.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "pruning-abundance.svg", "pruning-metrics.svg", "pruning-networks-frontier.svg",
    ]  # fmt: skip


def test_an_experiment_is_what_its_name_says(tmp_path, monkeypatch):
    seen = {}

    def trained(data, out, **given):
        seen.update(given, data=data, out=out)

    monkeypatch.setattr("isoloss.study.pilots.train_pilots", trained)
    run_experiment("noise-guard", tmp_path, workers=2)
    assert seen["data"] == replace(EXPERIMENTS["metrics"].data, label_noise=0.2)
    assert (seen["noise_guard"], seen["name"], seen["workers"]) == (0.2, "pruning-noise-guard", 2)
