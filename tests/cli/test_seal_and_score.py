import json

import numpy as np
import pytest

from cli.commands import call, good, losses, text, write

SEAL = ("--law", "chinchilla", "--draws", "100")
AT = "N=6e8,D=2e10"
LOSS = float(losses(np.array([6e8]), np.array([2e10]), noise=0)[0])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seal")
    runs = write(folder, good())
    out = folder / "f.json"
    result = call(
        "seal", runs, "--at", AT, "--at", "N=7e8,D=2e10", "--note", "<b>", *SEAL, "--out", out
    )
    assert result.exit_code == 0, result.stderr
    return folder, runs, out, result


def test_the_hash_alone_is_on_stdout(place):
    _, _, out, result = place
    assert result.stdout.strip() == json.loads(out.read_text("utf8"))["sha256"]
    assert len(result.stdout.strip()) == 64


def test_a_seal_is_never_written_over(place):
    _, runs, out, _ = place
    before = out.read_bytes()
    result = call("seal", runs, "--at", AT, *SEAL, "--out", out)
    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert out.read_bytes() == before


def test_a_check_derives_the_forecast_again_with_what_was_sealed(tmp_path):
    runs = write(tmp_path, good().replace("N,D", "size,D"))
    out = tmp_path / "f.json"
    words = ("--columns", "N=size", "--units", "D=1", "--where", "D<9e9")
    assert call("seal", runs, *words, "--at", AT, *SEAL, "--out", out).exit_code in (0, 3)
    result = call("seal", "--check", out, "--runs", runs, "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(answer) == {"sha256", "time_utc", "same_runs", "same", "shift", "notes"}
    assert (answer["same"], answer["shift"]) == (True, 0.0)
    assert (
        call("seal", "--check", out, "--runs", "-", *words[:2], stdin=runs.read_bytes()).exit_code
        == 1
    )
    other = write(
        tmp_path, runs.read_text("utf8").replace("200000000.0", "200000001.0", 1), "o.csv"
    )
    result = call("seal", "--check", out, "--runs", other)
    assert result.exit_code == 1
    assert "NOT those" in result.stderr


def test_a_changed_file_is_refused_by_both_commands(place, tmp_path):
    changed = write(tmp_path, place[2].read_text("utf8").replace('"draws": 100', '"draws": 101'))
    for words in (("seal", "--check", changed), ("score", changed, "--truth", f"{AT},loss=2.4")):
        result = call(*words)
        assert result.exit_code == 1
        assert "was changed after it was sealed" in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""


def test_a_forecast_is_scored_recorded_and_summarised(place, tmp_path):
    record, truth = tmp_path / "rec", f"{AT},loss={LOSS}"
    call("seal", place[1], "--at", AT, *SEAL, "--out", tmp_path / "g.json", "--record", record)
    result = call("score", place[2], "--truth", truth, "--record", record, "--json")
    assert result.exit_code == 0
    assert "record: 1 new" in result.stderr
    answer = json.loads(result.stdout)
    assert abs(answer["rows"][0]["error_percent"]) < 2
    assert len(answer["open"]) == 1
    again = call("score", place[2], "--truth", truth, "--record", record)
    assert "0 new, 1 were in it already" in again.stderr
    picture = tmp_path / "r.svg"
    words = ["--plot", picture] if _has_matplotlib() else []
    result = call("score", "--summary", record, *words, "--json")
    answer = json.loads(result.stdout)
    assert (answer["n_forecasts"], answer["n_targets"], len(answer["open"])) == (2, 1, 1)
    assert "Too few to judge" in result.stderr
    assert not words or picture.read_bytes().startswith(b"<?xml")


def _has_matplotlib():
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def test_a_table_of_truth_lists_every_row(place, tmp_path):
    table = text(
        N=[6e8, 1e7, 7e8],
        D=[2e10, 1e9, 2e10],
        loss=[LOSS, 3, "bad"],
        name=["a", "\x1b[31mb\x07", "c"],
    )
    result = call("score", place[2], write(tmp_path, table, "t.csv"))
    assert result.exit_code == 3
    for piece in ("measured", "not scored: b", "refused row 3", "open: no truth yet"):
        assert piece in result.stderr
    assert "\x1b" not in result.stderr


def test_losses_in_bits_are_refused_until_converted(place, tmp_path):
    table = write(tmp_path, text(N=[6e8], D=[2e10], loss=[LOSS / np.log(2)]), "t.csv")
    result = call("score", place[2], table)
    assert result.exit_code == 1
    assert "--units loss=0.693147" in result.stderr
    result = call("score", place[2], table, "--units", "loss=0.693147")
    assert result.exit_code == 0
    assert "90 % in" in result.stderr


def test_conventions_are_stated_by_both_sides(place, tmp_path):
    out = tmp_path / "c.json"
    call("seal", place[1], "--at", AT, *SEAL, "--conventions", "N=all parameters", "--out", out)
    table = write(tmp_path, text(N=[6e8], D=[2e10], loss=[LOSS]), "t.csv")
    assert call("score", out, table).exit_code == 3
    assert call("score", out, table, "--conventions", "N=all parameters").exit_code == 0
    result = call("score", out, table, "--conventions", "N=non-embedding")
    assert result.exit_code == 1
    assert "N is 'non-embedding', but was 'all parameters'" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("seal",), "--check FILE"),
        (("seal", "{runs}", "--at", AT), "--out FILE"),
        (("seal", "{runs}", "--at", "N=nan", "--out", "x.json"), "finite"),
        (("seal", "--check", "{out}", "--at", AT), "no effect beside --check"),
        (("seal", "{runs}", "--check", "{out}"), "--runs RUNS"),
        (("seal", "{runs}", "--at", AT, "--out", "x.json", "--runs", "y"), "--runs needs --check"),
        (("score",), "--summary RECORD"),
        (("score", "{out}"), "give FORECAST and either"),
        (("score", "{out}", "{runs}", "--truth", f"{AT},loss=2"), "give FORECAST and either"),
        (("score", "{out}", "--truth", f"{AT},loss=0"), "positive"),
        (("score", "--summary", "{out}", "--mean"), "no effect beside --summary"),
        (("score", "{out}", "{runs}", "--plot", "x.svg"), "--plot needs --summary"),
        (("score", "{out}", "{runs}", "--tolerance", "0"), "tolerance"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(place, words, said):
    _, runs, out, _ = place
    result = call(*(str(w).format(runs=runs, out=out) for w in words))
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("score", "absent.json", "--truth", f"{AT},loss=2"), "absent.json"),
        (("score", "{runs}", "--truth", f"{AT},loss=2"), "cannot be read as JSON"),
        (("score", "{out}", "{runs}"), "no row is at a target"),
        (("score", "{out}", "absent.csv"), "no such file"),
        (("score", "{out}", "--truth", "N=6e8,loss=2"), "D is missing"),
        (("score", "--summary", "{runs}"), "no line of it"),
        (("score", "--summary", "absent.jsonl"), "no such record"),
        (("seal", "{runs}", "--at", AT, "--out", "x.json", "--record", "{runs}"), "no line of it"),
        (("seal", "{runs}", "--at", "N=1e9", "--out", "x.json"), "D missing"),
        (("seal", "{runs}", "--at", AT, "--out", "x.json", "--draws", "10"), "draws = 10"),
        (("seal", "{runs}", "--at", "N=1e200,D=1e200", "--out", "x.json"), "beyond what can"),
    ],
)
def test_bad_input_is_one_line_of_error(place, words, said, tmp_path, monkeypatch):
    _, runs, out, _ = place
    monkeypatch.chdir(tmp_path)
    result = call(*(str(w).format(runs=runs, out=out) for w in words))
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("error: ") == 1
    assert result.stdout == ""
    assert not (tmp_path / "x.json").exists()
