"""The command on training curves: words, JSON, files, exit status, and bad input."""

import json
from pathlib import Path

import pytest

from cli.commands import call as run

CURVES = Path(__file__).parents[2] / "docs" / "data" / "curves"
THREE = [str(CURVES / f"w16-{n}.csv") for n in ("constant", "cosine", "wsd")]
USUAL = ("--floor", "0", "--warmup", "100")


def test_runs_left_out_end_within_their_intervals():
    found = run(
        "schedule", *THREE, *USUAL, "--json", "--schedule", "linear:2400", "--schedule",
        "wsd-linear:1200:2400",
    )  # fmt: skip
    assert found.exit_code == 0
    said = json.loads(found.stdout)
    ends = {f["schedule"]: f["final"] for f in said["forecasts"]}
    for name, kind in (("linear", "linear:2400"), ("wsd-early", "wsd-linear:1200:2400")):
        last = (CURVES / f"w16-{name}.csv").read_text().splitlines()[-1]
        assert ends[kind]["low"] < float(last.split(",")[2]) < ends[kind]["high"]
    assert said["comparison"]["best"] == "wsd-linear:1200:2400"


def test_files_are_written_and_a_schedule_is_read(tmp_path: Path):
    plan = tmp_path / "plan.csv"
    plan.write_text("step,lr\n0,0\n100,0.016\n1200,0.016\n2400,0.0001\n")
    table, drawing = tmp_path / "out.csv", tmp_path / "out.svg"
    found = run(
        "schedule", *THREE, "--schedule", str(plan), "--csv", str(table), "--plot", str(drawing),
        "--law", "annealing",
    )  # fmt: skip
    assert found.exit_code == 0
    lines = table.read_text().splitlines()
    assert lines[0] == "schedule,step,loss,low,high"
    assert len(lines) == 201
    assert drawing.read_text().startswith("<?xml")


def test_one_curve_is_doubtful():
    found = run("schedule", THREE[1], *USUAL, "--schedule", "cosine:2400")
    assert found.exit_code == 3
    assert "ONE_CURVE" in found.stderr


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--schedule", "sine:5"], 1, "write constant:T"),
        (["--schedule", "nothing.csv"], 1, "no such file"),
        (["--of", "nobody=cosine:2400"], 1, "no curve is named nobody"),
        (["--plot", "x.pdf"], 2, "ends in .svg or .png"),
        (["--metric", "perplexity"], 1, "no loss among"),
        (["--schedule", "wsd:10:2400"], 1, "marks must rise"),
    ],
)
def test_bad_input_is_a_message(words, status, says):
    found = run("schedule", THREE[0], *USUAL, *words)
    assert found.exit_code == status
    assert says in found.stderr
    assert "Traceback" not in found.stderr


def test_bad_files_are_a_message(tmp_path: Path):
    for text, says in (
        ("step,lr\n0,x\n", "row 1"),
        ("step,loss\n0,1\n", "no column of learning rates"),
        ("step,lr\n5,1\n3,1\n", "must rise"),
        ("lr\n1\n", "two or more"),
    ):
        (tmp_path / "p.csv").write_text(text)
        found = run("schedule", *THREE, "--schedule", str(tmp_path / "p.csv"))
        assert found.exit_code == 1
        assert says in found.stderr


def test_no_log_is_written_over(tmp_path: Path):
    log = tmp_path / "run.csv"
    log.write_text(Path(THREE[1]).read_text())
    before = log.read_text()
    for source in (log, tmp_path):
        words = ("--schedule", "linear:2400", "--csv", str(log))
        found = run("schedule", str(source), *USUAL, *words)
        assert found.exit_code == 2
        assert "would write over what is read" in found.stderr
        assert log.read_text() == before


def test_a_schedule_that_cannot_be_read_is_said_before_the_fit():
    found = run("schedule", *THREE, *USUAL, "--schedule", "linear:-5")
    assert found.exit_code == 1
    assert "fitting" not in found.stderr


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("<b>x", "TEXT: logs of the loss hold text, such as '<b>x'"),
        ("0", "NOT_POSITIVE: 10 logs"),
        ("-1", "NOT_POSITIVE: 10 logs"),
        ("1e300", "NOT_POSITIVE: 10 logs"),
    ],
)
def test_logs_that_are_left_out_are_counted(tmp_path: Path, cell: str, says: str):
    lines = Path(THREE[1]).read_text().splitlines()
    for i in range(9, 99, 9):
        lines[i] = ",".join([*lines[i].split(",")[:2], cell])
    log = tmp_path / "run.csv"
    log.write_text("\n".join(lines) + "\n")
    assert says in run("schedule", str(log), THREE[0], *USUAL).stderr


def test_a_log_without_a_run_is_said(tmp_path: Path):
    log = tmp_path / "begun.csv"
    log.write_text("step,lr,valid_loss\n")
    found = run("schedule", str(log), *THREE, *USUAL)
    assert found.exit_code == 0
    assert "EMPTY: 'begun.csv' holds no run" in found.stderr
    alone = run("schedule", str(log), *USUAL)
    assert alone.exit_code == 1
    assert "no run in it" in alone.stderr


def test_rates_under_a_name_that_is_not_logged_are_an_error():
    found = run("schedule", *THREE, *USUAL, "--columns", "lr=speed")
    assert found.exit_code == 1
    assert "lr = 'speed'" in found.stderr


def test_two_curves_that_do_not_foretell_one_another_are_doubtful():
    found = run("schedule", *THREE[:2], *USUAL, "--schedule", "linear:2400", "--json")
    assert found.exit_code == 3
    fit = json.loads(found.stdout)["fit"]
    assert [r["code"] for r in fit["reasons"]] == ["LOOSE"]
    assert run("schedule", *THREE, *USUAL).exit_code == 0
