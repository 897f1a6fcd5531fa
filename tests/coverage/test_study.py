import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from isoloss._core.serial import to_json
from isoloss.coverage import coverage, simulate
from isoloss.coverage.cells import ALL_CELLS
from isoloss.coverage.journal import RepeatJournal, digest_of
from isoloss.coverage.procedures import PROCEDURES, QUANTITIES, Settings, score_repeat
from isoloss.errors import FitError, InputError

FEW = ("chinchilla/isoflop-20/*",)


def numbers(result):
    """All but how long it took and what was asked for."""
    return to_json({k: v for k, v in result.answers.items() if k in ("summary", "cells")})


@pytest.fixture
def faked(fake, monkeypatch):
    """A study of the fake procedure; keeps which repeats were run."""
    ran = []

    def score(cell, index, settings):
        ran.append((cell.name, index))
        return fake(cell, index, settings)

    monkeypatch.setattr(simulate, "score_repeat", score)
    return ran


def test_processes_and_order_do_not_change_a_number(tiny, tiny_options, tmp_path):
    swapped = tiny_options | {"only": tiny_options["only"][::-1]}
    assert numbers(coverage(out=tmp_path, jobs=2, **swapped)) == numbers(tiny)


def test_a_study_holds_what_it_says(tiny, tiny_options):
    answers = tiny.answers
    assert [c["cell"] for c in answers["cells"]] == list(tiny_options["only"])
    assert tiny.complete
    for cell in answers["cells"]:
        assert cell["inside"]
        assert cell["laws"] == ["chinchilla", "coupled", "additive", "kaplan"]
        rows = {(r["target"], r["procedure"], r["quantity"]): r for r in cell["scores"]}
        assert len(rows) == 2 * len(PROCEDURES) * len(QUANTITIES)
        for target in ("1e23", "1000x"):
            for procedure in PROCEDURES:
                assert rows[target, procedure, "mean"]["answered"] == 2
            # The set promises that one run varies at least as much as the mean.
            mean, new = (rows[target, "set", q]["width"] for q in ("mean", "new_run"))
            assert mean <= new
    one, other = (
        {(r["target"], r["quantity"]): r for r in answers["cells"][0]["scores"]
         if r["procedure"] == p}
        for p in ("single", "oracle")
    )  # fmt: skip
    # Where the default law is the true one, the two are one fit.
    assert all(one[k] | {"procedure": "oracle"} == other[k] for k in one)
    assert all(r["ratio"] == 1 for r in other.values())
    timing = answers["timing"]["cpu_s_per_repeat"]["isoflop-20"]
    assert timing["fit_laws"] > 10 * timing["plan"] > 0


def test_a_second_start_runs_nothing_and_more_repeats_only_those(faked, tmp_path):
    first = coverage(out=tmp_path, only=FEW, repeats=3, draws=9)
    assert len(faked) == len(set(faked)) == 15
    assert numbers(coverage(out=tmp_path, only=FEW, repeats=3, draws=9)) == numbers(first)
    assert len(faked) == 15
    coverage(out=tmp_path, only=FEW, repeats=4, draws=9)
    assert sorted(faked[15:]) == sorted((n, 3) for n in {n for n, _ in faked})


@pytest.mark.parametrize("change", [{"draws": 10}, {"rng": 1}, {"level": 0.8}])
def test_repeats_of_other_settings_are_not_taken(faked, tmp_path, change):
    coverage(out=tmp_path, **{"only": FEW, "repeats": 1, "draws": 9})
    coverage(out=tmp_path, **{"only": FEW, "repeats": 1, "draws": 9, **change})
    assert len(faked) == 10


def test_damaged_lines_count_as_absent(faked, tmp_path):
    whole = coverage(out=tmp_path, only=FEW, repeats=2, draws=9)
    path = tmp_path / "repeats.jsonl"
    lines = path.read_text("utf8").splitlines()
    row = json.loads(lines[0])
    row["values"][0][0][0][0] += 1e-9
    hurt = [json.dumps(row), lines[1][:-30], '{"run": 3}', "[]", *lines[3:]]
    path.write_text("\n".join(hurt) + "\n" + lines[2][:50])
    faked.clear()
    assert numbers(coverage(out=tmp_path, only=FEW, repeats=2, draws=9)) == numbers(whole)
    assert len(faked) == 3


def test_a_repeat_reads_back_to_the_last_bit(fake, tmp_path):
    cell = ALL_CELLS["curve-floor/points-12/heavy"]
    repeat = fake(cell, 5, Settings())
    values = repeat.values.copy()
    values[0, 0, 0] = np.nextafter(1.0, 2.0), np.inf, 1 / 3
    object.__setattr__(repeat, "values", values)
    object.__setattr__(repeat, "failures", (("set", "no answer"),))
    journal = RepeatJournal(tmp_path / "repeats.jsonl", Settings())
    journal.write(repeat)
    back = journal.read()[cell.name, 5]
    assert np.array_equal(back.values, values, equal_nan=True)
    assert digest_of(back) == digest_of(repeat)
    assert (back.failures, back.cpu, back.fresh) == (repeat.failures, repeat.cpu, repeat.fresh)


def test_an_interrupt_keeps_and_reports_what_is_done(fake, monkeypatch, tmp_path):
    calls = []

    def interrupted(cell, index, settings):
        calls.append(cell.name)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return fake(cell, index, settings)

    monkeypatch.setattr(simulate, "score_repeat", interrupted)
    part = coverage(out=tmp_path, only=FEW, repeats=2, draws=9)
    assert not part.complete
    assert [c["repeats"] for c in part.answers["cells"]] == [2, 2, 1, 1, 1]
    assert len(coverage(out=tmp_path, only=FEW, repeats=2, draws=9).answers["cells"]) == 5
    assert len(calls) == 8 + 3


def test_repeats_behind_a_gap_do_not_count(faked, monkeypatch, tmp_path):
    """Which repeats are in a result must not depend on which happened to be quick."""
    coverage(out=tmp_path, only=FEW, repeats=3, draws=9)
    path = tmp_path / "repeats.jsonl"
    names = ("chinchilla/isoflop-20/normal 1", "chinchilla/isoflop-20/heavy 0")
    kept = [r for r in path.read_text("utf8").splitlines() if not any(n in r for n in names)]
    assert len(kept) == 13
    path.write_text("\n".join(kept) + "\n", "utf8")

    def interrupted(cell, index, settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "score_repeat", interrupted)
    part = coverage(out=tmp_path, only=FEW, repeats=3, draws=9)
    found = {c["noise"]: c["repeats"] for c in part.answers["cells"]}
    assert found == {"normal": 1, "shrinking": 3, "one-sided": 3, "outliers": 3}


def test_an_interrupt_before_anything_is_done_says_so(monkeypatch, tmp_path):
    def interrupted(cell, index, settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "score_repeat", interrupted)
    with pytest.raises(FitError, match="start again"):
        coverage(out=tmp_path, only=FEW, repeats=2, draws=9)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal on this system")
def test_a_killed_study_goes_on_where_it_was(tiny, tiny_options, tmp_path):
    code = (
        "from isoloss.coverage import coverage\n"
        f"coverage(out={str(tmp_path)!r}, **{tiny_options!r})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    path = tmp_path / "repeats.jsonl"
    while process.poll() is None and not (path.exists() and b"\n" in path.read_bytes()):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the study ended before it could be killed"
    kept = path.read_bytes()
    done = kept.count(b"\n")
    assert 0 < done < 4
    seen = []
    result = coverage(out=tmp_path, on_repeat=seen.append, **tiny_options)
    assert path.read_bytes().startswith(kept)
    assert [p.done for p in seen] == list(range(done + 1, 5))
    assert all(p.total == 4 and p.seconds_left >= 0 for p in seen)
    assert numbers(result) == numbers(tiny)


def test_a_procedure_that_fails_is_told_and_not_counted(monkeypatch, tmp_path):
    import isoloss
    from isoloss.fit import fit_laws

    def failing(runs, **options):
        if options["rng"] == 1:
            raise FitError("NO_LAW", "nothing fits")
        return fit_laws(runs, ["chinchilla"], **options)

    monkeypatch.setattr(isoloss, "fit_laws", failing, raising=False)
    monkeypatch.setattr(isoloss, "forecast", lambda *a, **k: 1 / 0, raising=False)
    result = coverage(out=tmp_path, only=("coupled-1.15/isoflop-20/normal",), repeats=2, draws=5)
    reasons = [(f["repeat"], f["procedure"], f["reason"]) for f in result.failures]
    assert reasons == [(0, "set", "ZeroDivisionError: division by zero"),
                       (1, "set", "nothing fits")]  # fmt: skip
    (cell,) = result.answers["cells"]
    # The set that was used does not hold the truth.
    assert (cell["laws"], cell["inside"]) == (["chinchilla"], False)
    hits = {(r["procedure"], r["quantity"]): r["hits"] for r in cell["scores"]}
    assert hits["set", "mean"] == "xx"
    assert hits["set", "N_opt"][1] == "x" != hits["set", "N_opt"][0]
    assert "x" not in hits["oracle", "mean"]


def test_the_oracle_covers_what_it_claims():
    """A law taken as right, and right: 90 % of 120 tables, within 3.5 binomial errors."""
    from isoloss.coverage.procedures import _Notes, _score_law

    cell = ALL_CELLS["chinchilla/isoflop-45/normal"]
    target, hits = cell.targets[0], np.zeros(2)
    for i in range(120):
        notes = _Notes(np.full((2, 3, 3, 3), np.nan))
        runs = cell.simulate(i, 0)[0]
        options = {"draws": 100, "level": 0.9, "rng": i}
        _score_law(notes, "oracle", cell.truth.law, runs, cell.targets, options)
        assert not notes.failures
        loss, _, size = notes.values[0, PROCEDURES.index("oracle")]
        hits += loss[0] <= target.loss <= loss[1], size[0] <= target.N_opt <= size[1]
    assert (np.abs(hits / 120 - 0.9) < 3.5 * np.sqrt(0.9 * 0.1 / 120)).all(), hits


def test_one_run_varies_more_than_the_mean_under_one_law():
    from isoloss.coverage.procedures import _Notes, _score_law

    # Many runs: the noise of one is most of its interval.
    cell = ALL_CELLS["chinchilla/wide-200/normal"]
    notes = _Notes(np.full((2, 3, 3, 3), np.nan))
    options = {"draws": 100, "level": 0.9, "rng": 0}
    _score_law(notes, "single", "chinchilla", cell.simulate(0, 0)[0], cell.targets, options)
    mean, new, _ = notes.values[0, PROCEDURES.index("single")]
    assert new[1] - new[0] > 1.2 * (mean[1] - mean[0]) > 0
    assert new[2] == mean[2]


def test_an_interval_without_an_end_is_told():
    from isoloss import Interval
    from isoloss.coverage.procedures import _Notes

    notes = _Notes(np.full((2, 3, 3, 3), np.nan))
    half = Interval(low=1.0, high=float("nan"), level=0.9, method="")
    open_ended = Interval(low=1.0, high=float("inf"), level=0.9, method="")
    notes.put("set", "mean", [half, open_ended], [2.0, 2.0])
    assert notes.failures == [("set", "no interval of mean at target 1")]
    assert np.isnan(notes.values[0, 0, 0]).all()
    assert notes.values[1, 0, 0].tolist() == [1.0, float("inf"), 2.0]


@pytest.mark.parametrize(
    "truth", ["drifting", "slow-term", "bent-floor", "broken-size", "curve-two-terms",
              "curve-late-bend", "curve-drifting"],
)  # fmt: skip
def test_oracles_outside_the_catalogue_find_their_truth(truth):
    """Without noise the true form fits better than 1e-6: its starts reach its parameters."""
    import isoloss

    design = "wide-200" if not truth.startswith("curve") else "points-40"
    cell = ALL_CELLS[f"{truth}/{design}/normal"]
    x = cell.design.draw(np.random.default_rng(0))
    fit = isoloss.fit(x | {"loss": cell.truth.loss(x)}, cell.truth.law, objective="lsq", draws=0)
    assert np.abs(fit.residuals).max() < 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "huge"}, "size = 'huge'"),
        ({"repeats": 0}, "repeats = 0"),
        ({"draws": 0}, "draws = 0"),
        ({"draws": 1.5}, "draws = 1.5"),
        ({"level": 1.0}, "level = 1.0"),
        ({"rng": -1}, "rng = -1"),
        ({"jobs": 0}, "jobs = 0"),
        ({"only": ("nothing",)}, "only = 'nothing'"),
    ],
)
def test_arguments_that_break_a_rule_are_named(faked, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        coverage(out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    assert not faked


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        coverage(out=tmp_path / "out", only=FEW)


def test_scoring_repeats_to_the_last_bit():
    cell, settings = ALL_CELLS["kaplan/isoflop-20/normal"], Settings(draws=5)
    first = digest_of(score_repeat(cell, 0, settings))
    assert digest_of(score_repeat(cell, 0, settings)) == first
    assert digest_of(score_repeat(cell, 0, Settings(draws=5, seed=1))) != first
