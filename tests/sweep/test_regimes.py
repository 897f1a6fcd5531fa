"""Tables of the measured regimes: there and back, exponents with known truth, the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from isoloss.cli import main
from isoloss.errors import InputError
from isoloss.sweep import read_grid
from isoloss.sweep.regime_readings import best_of_seeds, readings, width_curves
from isoloss.sweep.regime_spectra import read_routes, routes_table, routes_text
from isoloss.sweep.regime_table import mean_table, read_mean_table, read_run_table, run_table
from isoloss.sweep.regimes import CURVES, EXPERIMENTS, SPECTRA, read_regimes


def row(**more: Any) -> dict[str, Any]:
    """One row of a ledger; ``data``, ``model`` and other fields of the spec by name."""
    data = {"name": "teacher", "dimension": 4, "seed": 0} | more.pop("data", {})
    model = {"kind": "mlp", "width": 8, "depth": 2} | more.pop("model", {})
    spec = {"data": data, "model": model, "loss": "squared"}
    spec |= {k: more.pop(k, d) for k, d in (("seed", 0), ("subset", None))}
    made = {"run": "r", "status": "done", "N": 100, "D": 64, "steps": 5, "train_loss": 0.0,
            "cpu_seconds": 0.5, "curve": [[5, 160, 0.25]], "torch": "2", "data": "ab"}  # fmt: skip
    return made | more | {"spec": spec}


def back(rows: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    for number, given in enumerate(rows):
        given["run"] = f"r{number}"
    return read_run_table(run_table(rows, **options))


def teachers(power: float, d: int = 4) -> list[dict[str, Any]]:
    return [
        row(data={"dimension": d, "seed": t}, D=D, loss=(1 + 0.1 * t) * D**-power)
        for t in range(3)
        for D in (64, 128, 256, 512, 1024)
    ]


def test_a_row_comes_back_from_its_table() -> None:
    given = row(
        data={"name": "mnist1d", "dimension": 0, "superclasses": 5, "seed": 0}, seed=3, subset=7,
        model={"kind": "cnn", "width": 16, "depth": 3}, loss=0.5, error=0.25, ensemble_loss=0.4,
        isoloss="1",
    )  # fmt: skip
    (found,) = back([given], curves=True)
    assert found["spec"]["data"]["change"] == "superclasses=5"
    assert found["spec"]["model"] == {"kind": "cnn", "width": 16, "depth": 3}
    assert (found["spec"]["seed"], found["spec"]["subset"]) == (3, 7)
    for name in ("N", "D", "loss", "error", "train_loss", "ensemble_loss", "cpu_seconds"):
        assert found[name] == given[name], name
    assert found["curve"] == [[5.0, None, 0.25]]
    assert found["valid_loss"] == 0.25
    assert found["versions"] == "isoloss 1 torch 2"


def test_runs_that_diverged_keep_their_row_and_count_for_nothing() -> None:
    rows = teachers(0.8)
    rows[3] |= {"status": "diverged", "loss": float("nan")}
    table = back(rows)
    assert [r["status"] for r in table].count("diverged") == 1
    assert len(readings("teacher-data", table)[0].line.x) == 14


def test_teachers_give_their_exponent_beside_four_over_d() -> None:
    first, second = readings("teacher-data", back(teachers(1.0)))
    assert first.line.exponent.value == pytest.approx(1.0, abs=1e-4)
    assert (first.law, second.law) == ("power", "floor")
    assert (first.line.expected, first.published, first.verdict) == (1.0, 0.74, "holds")
    missed = readings("teacher-data", back(teachers(0.7)))[0]
    assert missed.verdict == "misses"


def test_only_students_that_fit_their_examples_count() -> None:
    rows = teachers(1.0)
    for r in rows:
        if r["D"] > 512:
            r["train_loss"] = r["loss"]
    assert readings("teacher-data", back(rows))[0].line.exponent.high == 512


def test_the_best_seed_is_chosen_by_validation_alone() -> None:
    rows = [
        row(seed=s, loss=loss, curve=[[5, 160, valid]])
        for s, (loss, valid) in enumerate([(0.1, 0.3), (0.2, 0.1), (0.05, 0.2)])
    ]
    assert [r["loss"] for r in best_of_seeds(back(rows))] == [0.2]


def test_variance_in_data_and_width_approach_their_limits() -> None:
    rng = np.random.default_rng(0)
    rows = [
        row(subset=s, D=D, loss=0.5 + (30 + rng.standard_normal()) / D)
        for s in range(8)
        for D in (512, 1024, 2048, 4096, 8192)
    ]
    (found,) = readings("variance-data", back(rows))
    assert found.line.exponent.value == pytest.approx(1.0, abs=0.05)
    assert found.verdict == "holds"
    rows = [
        row(seed=s, model={"width": w}, loss=0.5 + w**-0.5 + (2 + 0.1 * s) / w,
            ensemble_loss=0.5 + w**-0.5)
        for s in range(4)
        for w in (16, 32, 64, 128)
    ]  # fmt: skip
    # The mean prediction of each width takes off what falls more slowly.
    assert readings("variance-width", back(rows))[0].line.exponent.value == pytest.approx(1)


def test_distances_from_the_mean_prediction_give_the_sharper_interval() -> None:
    rng = np.random.default_rng(1)
    rows = [
        row(seed=s, model={"width": w}, loss=0.5 + 2 / w + 0.02 * rng.standard_normal(),
            ensemble_loss=0.5, ensemble_distance=2 / w * (1 + 0.02 * rng.standard_normal()))
        for s in range(6)
        for w in (16, 32, 64, 128)
    ]  # fmt: skip
    by_distance = readings("variance-width", back(rows))[0].line.exponent
    assert by_distance.interval.low < 1 < by_distance.interval.high
    assert by_distance.interval.high - by_distance.interval.low < 0.2
    for one in rows:
        del one["ensemble_distance"]
    by_loss = readings("variance-width", back(rows))[0].line.exponent
    assert by_loss.interval.high - by_loss.interval.low > 0.5


def test_images_are_told_apart_by_what_was_done_to_them() -> None:
    rows = [
        row(data={"name": "fashion-mnist", "dimension": 0} | change, model={"kind": kind}, seed=s,
            D=D, loss=D**-power * (1 + 0.01 * s))
        for change, kind, power in (({}, "mlp", 0.3), ({"superclasses": 5}, "mlp", 0.4),
                                    ({}, "cnn", 0.2))
        for s in range(3)
        for D in (64, 128, 256, 512, 1024)
    ]  # fmt: skip
    found = [
        r
        for r in readings("images-data", back(rows), dimensions={"fashion-mnist mlp": 10.0})
        if r.law == "power"
    ]
    assert [(r.group, round(r.line.exponent.value, 3)) for r in found] == [
        ("fashion-mnist cnn", 0.2), ("fashion-mnist mlp", 0.3),
        ("fashion-mnist mlp superclasses=5", 0.4),
    ]  # fmt: skip
    assert [r.line.expected for r in found] == [None, 0.4, None]
    assert [r.published for r in found] == [0.21, None, None]


def test_gaps_of_curves_fall_as_one_over_the_width() -> None:
    rows = [
        row(model={"width": w}, seed=s, loss=1.0,
            curve=[[t, 0, 1 + t * 4 / w * 0.01 + 1e-5 * s] for t in (10, 20)])
        for w in (16, 32, 64, 128)
        for s in range(3)
    ]  # fmt: skip
    found = width_curves(back(rows, curves=True))
    assert [r["step"] for r in found] == [10, 20]
    assert found[1]["exponent"] == pytest.approx(1.0, abs=0.02)
    assert found[1]["narrowest_gap"] == pytest.approx((0.05 - 0.00625) / 1.00626, rel=1e-3)
    with pytest.raises(InputError, match="no curves"):
        width_curves(back(rows))


def test_means_come_back_from_their_table() -> None:
    ends = {"low": 0.9, "high": 1.1}
    given = row(loss=0.5, members=4) | {
        "kind": "mean", "sem": None, "groups": 1, "mean_loss": 0.6, "variance": 0.1,
        "widths": {"scatter": {"exponent": 1.0, "interval": ends},
                   "bias": {"exponent": None, "interval": None}},
    }  # fmt: skip
    text = mean_table([row(loss=1.0), given])
    (found,) = read_mean_table(text)
    assert (found["data"], found["members"], found["loss"]) == ("teacher", 4, 0.5)
    assert (found["scatter"], found["scatter_low"], found.get("bias")) == (1.0, 0.9, None)


def test_routes_come_back_from_their_table() -> None:
    given = [{"data": "a", "model": "mlp", "features": "last", "route": "4/d", "alpha_D": 0.4,
              "low": 0.3, "high": 0.5, "dimension": 10.0, "rows": 5}]  # fmt: skip
    found = read_routes(routes_table(given))
    assert found == given
    assert "0.40 [0.30, 0.50]" in routes_text(found)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no column 'run'"),
        ("run,status,data,model,width,N,D,seed\n", "no column 'loss'"),
        ("run,status,data,model,width,N,D,seed,loss\na,done,t,mlp,8,1,1,0,x\n", "line 2: loss"),
        ("run,status,data,model,width,N,D,seed,loss\na,done,t,mlp,8,1,1,b,1\n", "line 2: seed"),
    ],
)
def test_what_is_no_table_is_said(text: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        read_run_table(text)


def test_every_experiment_has_a_grid_whose_runs_are_all_different() -> None:
    for name in EXPERIMENTS:
        if name != SPECTRA:
            specs = read_grid(f"regimes-{name}")
            assert len({s.name for s in specs}) == len(specs) > 10


def command(*words: object) -> Any:
    return CliRunner().invoke(main, ["sweep", "regimes", *map(str, words)])


def test_the_command_reads_a_folder_and_draws(tmp_path: Path) -> None:
    (tmp_path / "regimes-teacher-data.csv").write_text(run_table(teachers(1.0)))
    found = command("--read", tmp_path, "--plot", tmp_path / "figures")
    assert found.exit_code == 0, found.output
    assert "d = 4" in found.output
    assert "1.00 [1.00, 1.00]" in found.output
    assert (tmp_path / "figures" / "teachers.svg").read_text().startswith("<?xml")
    told = json.loads(command("--read", tmp_path, "--json").stdout)
    assert told["exponents"][0]["exponent"] == pytest.approx(1.0, abs=1e-4)
    assert told["cost"]["teacher-data"] == {"runs": 15, "cpu_seconds": 7.5}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "--out"),
        (["--read", "{}", "--out", "{}"], 2, "--read"),
        (["--read", "{}"], 1, "holds no table"),
        (["--read", "{}", "--only", "teachers"], 2, "--only teachers"),
        (["--read", "{}/absent"], 2, "does not exist"),
        (["--out", "{}", "--workers", "0"], 2, "workers"),
    ],
)
def test_mistakes_are_said(tmp_path: Path, words: list[str], status: int, said: str) -> None:
    found = command(*(w.format(tmp_path) for w in words))
    assert found.exit_code == status
    assert said in found.output
    assert "Traceback" not in found.output


def test_a_damaged_table_is_said(tmp_path: Path) -> None:
    (tmp_path / "regimes-aspect.csv").write_bytes(b"\xff\xfe\x00run")
    found = command("--read", tmp_path)
    assert (found.exit_code, "UTF-8" in found.output) == (1, True)


def test_the_command_trains_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from isoloss.sweep import DataSpec, Mlp, RunSpec, gridfile

    specs = [
        RunSpec(model=Mlp(width=w), data=DataSpec(name="teacher", dimension=2, teacher_width=4,
                teacher_depth=1, examples=128), D=64, steps=4, batch=16, lr=0.01,
                loss="squared", seed=s, width_rule="mup", evaluations=2)
        for w in (4, 8, 16) for s in range(3)
    ]  # fmt: skip
    monkeypatch.setattr(gridfile, "read_grid", lambda name: specs)
    # Each experiment first and alone: a folder that is not there is made by either.
    for name in ("variance-width", CURVES):
        found = command("--out", tmp_path / name, "--only", name)
        assert found.exit_code == 0, found.output
    found = command("--out", tmp_path, "--only", CURVES, "--only", "variance-width")
    assert found.exit_code == 0, found.output
    table = (tmp_path / f"regimes-{CURVES}.csv").read_text()
    assert len(table.splitlines()) == 10
    assert read_regimes(tmp_path).means["variance-width"]
    ledger = tmp_path / "ledgers" / f"regimes-{CURVES}.jsonl"
    before = ledger.read_text()
    assert command("--out", tmp_path, "--only", CURVES).exit_code == 0
    assert ledger.read_text() == before


TABLES = Path(__file__).parents[2] / "docs" / "data"


@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if n != SPECTRA])
def test_shipped_tables_hold_the_runs_of_the_grids(name: str) -> None:
    """A grid that changes without its table would leave numbers that no command makes."""
    table = TABLES / f"regimes-{name}.csv"
    if not table.exists():
        pytest.skip("not run")
    rows = read_run_table(table.read_text())
    assert {r["run"] for r in rows} == {s.name for s in read_grid(f"regimes-{name}")}
