"""The command on runs under way: formats, cut logs, exit status, and bad input."""

import json
from pathlib import Path

import pytest

from cli.commands import call

CURVES = Path(__file__).parents[2] / "docs" / "data" / "curves"
RUN = str(CURVES / "w16-wsd.csv")
PLAN = ("--plan", "wsd-linear:1920:2400", "--floor", "0", "--warmup", "100")


def rows() -> list[list[str]]:
    lines = Path(RUN).read_text().splitlines()[1:]
    return [line.split(",") for line in lines]


def test_the_end_of_a_real_run_lies_in_the_interval():
    like = [
        w for n in ("constant", "cosine", "linear") for w in ("--like", CURVES / f"w16-{n}.csv")
    ]
    found = call("watch", RUN, *PLAN, "--until", 1200, *like, "--json")
    said = json.loads(found.stdout)["runs"][0]
    assert found.exit_code == 0
    assert said["route"] == "like"
    assert said["final"]["low"] < float(rows()[-1][2]) < said["final"]["high"]
    assert len(said["replayed"]) == 3


def test_a_log_that_is_cut_in_its_last_record_reads_as_csv_and_as_trainer(tmp_path: Path):
    half = rows()[:48]
    table = tmp_path / "run.csv"
    table.write_text(
        "step,lr,valid_loss\n" + "".join(",".join(r) + "\n" for r in half) + "1225,0.016,2.9"
    )
    state = tmp_path / "trainer_state.json"
    history = [
        {"step": int(s), "learning_rate": float(r), "eval_loss": float(v)} for s, r, v in half
    ]
    text = json.dumps({"global_step": 1200, "max_steps": 2400, "log_history": history})
    state.write_text(text[:-2] + ', {"step": 1225, "eval_l')
    ends = [
        json.loads(call("watch", p, *PLAN, "--json").stdout)["runs"][0]["final_loss"]
        for p in (table, state)
    ]
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_a_run_that_broke_down_is_stopped(tmp_path: Path):
    broken = tmp_path / "run.csv"
    lines = [",".join(r) for r in rows()[:48]]
    broken.write_text("step,lr,valid_loss\n" + "\n".join(lines) + "\n1225,0.016,nan\n")
    drawing = tmp_path / "run.svg"
    found = call("watch", broken, *PLAN, "--plot", drawing)
    assert found.exit_code == 3
    assert "NOT_FINITE" in found.stderr
    assert "; stop" in found.stderr
    assert drawing.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ([RUN], 2, "say how the run goes on"),
        ([RUN, *PLAN, "--like", RUN, "--family", RUN], 2, "not both"),
        ([RUN, "--plan", "cosine:100"], 1, "are planned"),
        ([RUN, *PLAN, "--family", str(CURVES / "w16-cosine.csv")], 1, "two complete runs"),
        (["nowhere.csv", *PLAN], 1, "no such file"),
        ([RUN, *PLAN, "--until", "150"], 1, "so wait"),
    ],
)
def test_bad_input_is_a_message(words, status, says):
    found = call("watch", *words)
    assert found.exit_code == status
    assert says in found.stderr
    assert "Traceback" not in found.stderr


def test_a_run_with_too_few_logs_costs_no_other_its_answer(tmp_path: Path):
    young = tmp_path / "young.csv"
    young.write_text("step,lr,valid_loss\n25,0.004,3.8\n")
    found = call("watch", young, RUN, *PLAN, "--until", 1200, "--json")
    said = json.loads(found.stdout)
    assert [one["name"] for one in said["runs"]] == ["w16-wsd"]
    assert [one["name"] for one in said["failed"]] == ["young"]
    assert found.exit_code == 3
    assert call("watch", young, *PLAN, "--peak", "0.016").exit_code == 1


def test_a_run_does_not_forecast_itself():
    others = ("--like", CURVES / "w16-cosine.csv", "--like", CURVES / "w16-constant.csv")
    ends = [
        json.loads(call("watch", RUN, *PLAN, "--until", 1200, *w, "--json").stdout)["runs"][0]
        for w in (others, (*others, "--like", RUN))
    ]
    assert ends[0] == ends[1]
    found = call("watch", RUN, *PLAN, "--until", 1200, "--like", RUN)
    assert found.exit_code == 1
    assert "itself the only complete run" in found.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--of", "nobody=cosine:2400"), "no complete run"), (("--target", "nan"), "finite")],
)
def test_words_that_would_be_passed_over_are_usage_errors(words: tuple[str, ...], says: str):
    found = call("watch", RUN, *PLAN, "--until", 1200, *words)
    assert found.exit_code == 2
    assert says in found.stderr


def test_no_early_run_is_stopped_on_the_word_of_its_own_curve_alone():
    target = ("--target", "2.1", "--json")  # which the run reaches, ending at 2.036
    said = json.loads(call("watch", RUN, *PLAN, "--until", 720, *target).stdout)["runs"][0]
    assert [r["code"] for r in said["reasons"]] == ["ABOVE_TARGET"]
    assert said["verdict"] == "look"
    hopeless = ("--target", "1.2", "--json")
    late = json.loads(call("watch", RUN, *PLAN, "--until", 1800, *hopeless).stdout)["runs"][0]
    assert late["verdict"] == "stop"
