import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.commands import DATA, FEW, SIZES, call, good, losses, text, write
from isoloss.laws import PUBLISHED, law_names

FIT_KEYS = {
    "schema", "law", "law_reason", "formula", "pinned", "tied", "parameters", "intervals",
    "objective", "status", "reasons", "certificate", "rms_residual", "seed_noise", "noise_power",
    "n_rows", "n_draws", "influence", "digest", "seed", "influential_rows", "profiles", "n_refused",
    "refused", "scale_influence", "side_by_side", "notes",
}  # fmt: skip
FORECAST_KEYS = {
    "at", "C", "loss", "interval", "mean_interval", "laws", "reach", "backtest_error",
    "backtest_reach", "sentence",
}  # fmt: skip
SHARED_KEYS = {
    "backtest", "laws_sentence", "n_rows", "left_out", "refused", "influence", "telling_runs",
    "notes",
}  # fmt: skip
PLAN_KEYS = {
    "budget", "N_opt", "D_opt", "L_opt", "tokens_per_parameter", "intervals", "near_optimal",
    "price", "laws", "exponent_N", "exponent_N_interval", "cost", "warnings", "sentence",
}  # fmt: skip
ONE_LAW = ("--law", "chinchilla", *FEW)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return write(tmp_path, good())


def is_interval(value: dict[str, object]) -> bool:
    assert set(value) == {"low", "high", "level", "method"}
    return value["low"] <= value["high"] and value["level"] == 0.9 and bool(value["method"])


def test_fit_json_has_the_agreed_keys_and_types(runs):
    result = call("fit", runs, "--law", "chinchilla", "--objective", "huber:1e-3", "--json", *FEW)
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(answer) == FIT_KEYS
    assert set(answer["parameters"]) == {"E", "A", "B", "alpha", "beta"} == set(answer["intervals"])
    assert all(is_interval(v) for v in answer["intervals"].values())
    assert set(answer["objective"]) == {"name", "value"}
    assert answer["objective"]["name"] == "huber:0.001"
    assert (answer["law"], answer["status"], answer["n_rows"]) == ("chinchilla", "ok", 30)
    assert answer["certificate"]["scaled_gradient"] < 1e-6
    for name, value in answer["parameters"].items():
        i = answer["intervals"][name]
        assert i["low"] <= value <= i["high"]
    assert answer["parameters"]["alpha"] == pytest.approx(0.35, abs=0.02)


def test_forecast_json_has_the_agreed_keys_and_types(runs):
    result = call("forecast", runs, "--at", "N=1e9,D=2e10", "--json", *ONE_LAW)
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(answer) == FORECAST_KEYS | SHARED_KEYS
    assert is_interval(answer["interval"])
    assert answer["interval"]["low"] < answer["loss"] < answer["interval"]["high"]
    assert {"law", "weight", "loss", "low", "high", "level", "method"} == set(answer["laws"][0])
    assert {"cuts", "entries", "error", "objective", "reach", "steps"} == set(answer["backtest"])
    assert answer["loss"] == pytest.approx(losses(*np.array([[1e9], [2e10]]), noise=0)[0], rel=0.01)
    assert answer["C"] == pytest.approx(1.2e20)


def test_several_targets_and_budgets_come_in_the_order_given(runs):
    words = (
        "--at",
        "N=1e9,D=2e10",
        "--at",
        "N=2e9,D=2e10",
        "--compute",
        "1e20",
        "--compute",
        "9e20",
    )
    answer = json.loads(call("forecast", runs, *words, "--json", *ONE_LAW).stdout)
    assert set(answer) == {"forecasts"} | SHARED_KEYS
    assert [f["at"]["N"] for f in answer["forecasts"][:2]] == [1e9, 2e9]
    assert [f["C"] for f in answer["forecasts"][2:]] == [1e20, 9e20]
    assert all(set(f) == FORECAST_KEYS for f in answer["forecasts"])


def test_plan_json_has_the_agreed_keys_and_types(runs):
    result = call("plan", runs, "--budget", "1e20", "--json", *ONE_LAW)
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(answer) == PLAN_KEYS | {"laws_sentence", "left_out", "refused", "notes"}
    assert set(answer["intervals"]) == {"N_opt", "D_opt", "L_opt"}
    assert all(is_interval(v) for v in answer["intervals"].values())
    assert {"tolerance_percent", "N_low", "N_high", "compute_price_percent"} == set(
        answer["near_optimal"]
    )
    assert answer["near_optimal"]["N_low"] < answer["N_opt"] < answer["near_optimal"]["N_high"]
    assert 6 * answer["N_opt"] * answer["D_opt"] == pytest.approx(1e20)
    ratios = [row["N_ratio"] for row in answer["price"]]
    assert ratios == sorted(ratios)
    assert 1.0 in ratios
    assert [row["excess_percent"] >= -1e-9 for row in answer["price"]] == [True] * len(ratios)


def test_several_budgets_give_several_plans_that_grow(runs):
    words = ("--budget", "1e20", "--budget", "1e21")
    answer = json.loads(call("plan", runs, *words, "--json", *ONE_LAW).stdout)
    first, second = answer["plans"]
    assert (first["budget"], second["budget"]) == (1e20, 1e21)
    assert first["N_opt"] < second["N_opt"]
    assert first["L_opt"] > second["L_opt"]


def test_plan_counts_compute_as_the_option_or_the_runs_do(tmp_path):
    path = write(tmp_path, good(C=(8 * SIZES * DATA).tolist()))
    words = ("--budget", "1e21", "--json", "--law", "chinchilla", "--draws", "0")
    own = json.loads(call("plan", path, *words).stdout)
    assert 8 * own["N_opt"] * own["D_opt"] == pytest.approx(1e21)
    told = json.loads(call("plan", path, *words, "--flops-per-nd", "12").stdout)
    assert 12 * told["N_opt"] * told["D_opt"] == pytest.approx(1e21)


def test_unique_examples_cap_what_a_plan_asks_for(runs):
    words = ("--budget", "1e21", "--unique", "1e9", "--json", *ONE_LAW)
    answer = json.loads(call("plan", runs, *words).stdout)
    assert answer["D_opt"] <= 1e9
    assert answer["intervals"]["D_opt"]["high"] <= 1e9


def test_study_writes_its_files_and_prints_what_it_wrote(runs, tmp_path):
    out = tmp_path / "out"
    result = call("study", runs, "--out", out, "--json", *ONE_LAW)
    assert result.exit_code in (0, 3)
    assert {"report.html", "report.md", "laws.tex", "study.json"} <= {p.name for p in out.iterdir()}
    assert (out / "study.json").read_text("utf8") == result.stdout
    assert not (out / ".unfinished").exists()
    answer = json.loads(result.stdout)
    assert answer["command"] == "isoloss study runs.csv --law chinchilla --draws 50"
    assert answer["title"] == "runs.csv"
    assert str(tmp_path) not in (out / "report.html").read_text("utf8")


def test_the_command_in_a_study_keeps_formulas_whole(runs, tmp_path):
    words = ("--law", "E + A/N**a + B/D**b", "--draws", "0", "--json")
    answer = json.loads(call("study", runs, "--out", tmp_path / "out", *words).stdout)
    assert "'E + A/N**a + B/D**b'" in answer["command"]
    assert "out" not in answer["command"]


def test_laws_lists_every_law_with_formula_parameters_and_source():
    answer = json.loads(call("laws", "--json").stdout)["laws"]
    assert [law["law"] for law in answer] == list(law_names())
    for law in answer:
        assert {"formula", "parameters", "source"} <= set(law)
        assert law["parameters"]
        assert law["source"]
    words = call("laws").stdout
    for law in answer:
        assert law["law"] in words
        assert law["formula"] in words
        assert law["source"] in words


def test_published_constants_are_listed_with_their_sources():
    answer = json.loads(call("laws", "--published", "--json").stdout)
    assert set(answer) == set(PUBLISHED)
    words = call("laws", "--published").stdout
    assert all(known["source"] in words for known in answer.values())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("fit",), ["chinchilla: E +", "status ok", "alpha", "case bootstrap"]),
        (("forecast", "--at", "N=1e9,D=2e10"), ["loss 2.4", "back-test error", "weight 1.000"]),
        (("plan", "--budget", "1e20"), ["Train about", "N_opt [", "D_opt [", "L_opt ["]),
    ],
)
def test_without_json_words_go_to_stderr_and_nothing_to_stdout(runs, words, expected):
    result = call(words[0], runs, *words[1:], *ONE_LAW)
    assert result.exit_code == 0
    assert result.stdout == ""
    for piece in expected:
        assert piece in result.stderr


def test_standard_input_is_read_where_the_path_is_a_dash(runs):
    named = json.loads(call("fit", runs, "--json", *FEW).stdout)
    piped = json.loads(call("fit", "-", "--json", *FEW, stdin=good()).stdout)
    assert piped == named


def test_formulas_pins_ties_and_bounds_reach_the_fit(runs):
    def parameters(*words):
        return json.loads(call("fit", runs, *words, "--draws", "0", "--json").stdout)["parameters"]

    own = parameters("--law", "E + A*N**-a + B*D**-b")
    catalogue = parameters()
    assert own["a"] == pytest.approx(catalogue["alpha"], rel=1e-6)
    pinned = parameters("--pin", "E=1.7", "--pin", "A=480")
    assert set(pinned) == {"B", "alpha", "beta"}
    assert set(parameters("--tie", "beta=alpha")) == {"E", "A", "B", "alpha"}
    assert parameters("--bounds", "alpha=0.2:0.3")["alpha"] == pytest.approx(0.3)
    assert parameters("--bounds", "alpha=:0.3")["alpha"] == pytest.approx(0.3)


def test_columns_and_units_may_be_repeated_and_the_last_wins(tmp_path):
    path = write(
        tmp_path,
        text(
            size=(SIZES / 1e6).tolist(), seen=(DATA / 1e9).tolist(), y=losses(SIZES, DATA).tolist()
        ),
    )
    words = ("--columns", "N=seen", "--columns", "N=size,D=seen", "--columns", "loss=y")
    words += ("--units", "N=1e3", "--units", "N=1e6,D=1e9")
    mapped = json.loads(call("fit", path, *words, "--json", *FEW).stdout)
    plain = json.loads(call("fit", write(tmp_path, good()), "--json", *FEW).stdout)
    assert mapped["parameters"] == pytest.approx(plain["parameters"], rel=1e-6)


def test_sizes_in_millions_give_the_same_answer_to_the_last_byte(tmp_path, runs):
    path = write(tmp_path, good(N=(SIZES / 1e6).tolist()), "millions.csv")
    assert (
        call("fit", path, "--units", "N=1e6", "--json", *FEW).stdout_bytes
        == call("fit", runs, "--json", *FEW).stdout_bytes
    )


def test_the_order_of_rows_changes_no_byte_of_a_forecast(tmp_path, runs):
    lines = good().splitlines()
    order = np.random.default_rng(1).permutation(len(lines) - 1) + 1
    path = write(tmp_path, "\n".join([lines[0], *(lines[i] for i in order)]) + "\n", "other.csv")
    for words in (("forecast", "--at", "N=1e9,D=2e10"), ("plan", "--budget", "1e21")):
        plain, shuffled = (call(words[0], p, *words[1:], *ONE_LAW, "--json") for p in (runs, path))
        assert plain.stdout_bytes == shuffled.stdout_bytes


def test_loss_in_another_unit_scales_the_amplitudes_alone(tmp_path, runs):
    bits = write(tmp_path, good(loss=(losses(SIZES, DATA) / np.log(2)).tolist()), "bits.csv")
    nats, other = (
        json.loads(call("fit", p, "--json", "--draws", "0").stdout)["parameters"]
        for p in (runs, bits)
    )
    for name in ("E", "A", "B"):
        assert other[name] * np.log(2) == pytest.approx(nats[name], rel=1e-5)
    for name in ("alpha", "beta"):
        assert other[name] == pytest.approx(nats[name], rel=1e-5)


def test_two_processes_print_the_same_bytes(runs):
    words = ["forecast", str(runs), "--at", "N=1e9,D=2e10", "--json", *ONE_LAW]
    code = f"import sys; sys.argv = ['isoloss', *{words!r}]\nfrom isoloss.cli import main; main()"
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] == call(*words).stdout_bytes


def test_seed_and_level_change_the_intervals_they_should(runs):
    def alpha(*words):
        answer = json.loads(call("fit", runs, "--json", *FEW, *words).stdout)
        return answer["parameters"]["alpha"], answer["intervals"]["alpha"]

    (value, wide), (other, narrow), (_, reseeded) = (
        alpha(),
        alpha("--level", "0.5"),
        alpha("--seed", "7"),
    )
    assert value == other
    assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]
    assert (narrow["level"], wide["level"]) == (0.5, 0.9)
    assert reseeded["low"] != wide["low"]


def test_a_journal_is_continued_and_its_blocks_are_kept(runs, tmp_path):
    words = ("fit", runs, "--journal", tmp_path / "kept", "--draws", "300", "--json")
    first = call(*words)
    blocks = {p: p.stat().st_mtime_ns for p in (tmp_path / "kept").rglob("*.npy")}
    assert len(blocks) == 2
    assert call(*words).stdout_bytes == first.stdout_bytes
    assert {p: p.stat().st_mtime_ns for p in blocks} == blocks


def test_help_and_version_exit_with_zero():
    for words in (["--help"], ["-h"], ["--version"], ["fit", "--help"], ["sweep", "--help"]):
        assert call(*words).exit_code == 0
    listed = call("--help").stdout
    assert all(
        re.search(rf"^\s+{name}\b", listed, re.M)
        for name in ("fit", "forecast", "laws", "plan", "study", "sweep")
    )
