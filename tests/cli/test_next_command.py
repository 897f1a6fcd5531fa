"""``isoloss next``: its keys, its statuses, what it writes and what it refuses."""

import json
import math

import numpy as np
import pytest

from cli.commands import call, confounded, good, text, write

ASKED = ("--goal", "loss@C=1e20", "--budget", "1e18", "--law", "chinchilla", "--draws", "0")
KEYS = {
    "goal", "companion", "budget", "spent", "unit", "stop", "sentence", "gain", "before", "after",
    "companion_before", "companion_after", "runs", "waves", "longest", "n_candidates", "limits",
    "noise", "laws", "status", "reasons", "laws_sentence", "left_out", "refused", "notes",
}  # fmt: skip
RUN_KEYS = {
    "at", "name", "cost", "seeds", "gain", "gain_per_cost", "companion_gain", "loss", "noise",
    "goal", "separates", "log_odds", "reason", "shape",
}  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    return write(tmp_path, good())


def test_json_has_the_agreed_keys_and_the_words_say_the_same(runs):
    result = call("next", runs, *ASKED, "--k", "3", "--parallel", "2", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(answer) == KEYS
    assert all(set(r) == RUN_KEYS for r in answer["runs"])
    assert 0 < answer["gain"] < 1
    assert answer["spent"] <= 1e18
    assert answer["before"]["low"] < answer["after"]["low"] < answer["after"]["high"]
    assert sum(len(w) for w in answer["waves"]) == sum(r["seeds"] for r in answer["runs"])
    words = call("next", runs, *ASKED, "--k", "3").stderr
    assert answer["sentence"] in words
    for r in answer["runs"]:
        assert r["reason"] in words


def test_files_are_written_and_are_the_same_each_time(runs, tmp_path):
    pytest.importorskip("matplotlib")
    pages = []
    for i in range(2):
        page, picture = tmp_path / f"{i}.html", tmp_path / f"{i}.svg"
        result = call(
            "next", runs, *ASKED, "--k", "2", "--html", page, "--plot", picture,
            "--shape", "vocabulary=512,context=256",
        )  # fmt: skip
        assert result.exit_code == 0
        assert "layers" in result.stderr
        pages.append((page.read_text("utf8"), picture.read_bytes()))
    assert pages[0] == pages[1]
    assert "What to run next" in pages[0][0]
    assert "layers" in pages[0][0]
    assert str(tmp_path) not in pages[0][0]


def test_a_picture_shows_every_run_to_make(runs):
    pytest.importorskip("matplotlib")
    from isoloss.fit import fit_laws
    from isoloss.plan import plan_next_runs
    from isoloss.plot.next_runs import draw_next_runs, next_runs_series
    from isoloss.runs import read_runs

    table = read_runs(runs)
    laws = fit_laws(table, ["chinchilla"], draws=0)
    found = plan_next_runs(laws, table, "loss@C=1e20", budget=1e18, k=3)
    series = next_runs_series(found, table)
    assert series["next"]["N"].tolist() == [r.at["N"] for r in found.runs]
    assert len(series["candidates"]["gain"]) == len(found.considered)
    ax = draw_next_runs(found, table)
    assert [t.get_text() for t in ax.texts] == series["next"]["label"]


def test_pools_and_boxes_reach_the_plan(runs, tmp_path):
    pool = write(tmp_path, text(N=[1e8, 3e8], D=[1e9, 5e8], name=["a", "b"]), "pool.csv")
    answer = json.loads(call("next", runs, *ASKED, "--pool", pool, "--json").stdout)
    assert {r["name"] for r in answer["runs"]} <= {"a", "b"}
    assert answer["n_candidates"] == 2
    boxed = json.loads(
        call("next", runs, *ASKED, "--box", "N=1e7:2e7,D=1e9:2e9", "--only", "--json").stdout
    )
    assert all(r["at"]["N"] * (1 + 1e-9) >= 1e7 for r in boxed["runs"])
    assert boxed["companion"] is None


def test_doubts_and_the_stop_verdict_have_status_3(runs, tmp_path):
    poor = call("next", runs, *ASKED, "--budget", "1e3", "--json")
    assert poor.exit_code == 3
    assert json.loads(poor.stdout)["stop"]
    path = write(tmp_path, confounded(), "confounded.csv")
    blind = call(
        "next", path, "--goal", "loss@N=1e10,D=1e12", "--budget", "1e20", "--law", "chinchilla",
        "--draws", "0",
    )  # fmt: skip
    assert blind.exit_code == 3
    assert "UNIDENTIFIED" in blind.stderr


@pytest.mark.parametrize(
    ("words", "code", "piece"),
    [
        (("--goal", "speed@C=1e20"), 1, "goal = 'speed@C=1e20'"),
        (("--goal", "loss@N=1e9"), 1, "D is missing"),
        (("--budget", "-1"), 2, "finite and positive"),
        (("--k", "0"), 2, "--k"),
        (("--box", "N=1e7,D=1e9:2e9"), 2, "LOW:HIGH"),
        (("--box", "N=:1e8,D=1e9:2e9"), 1, "box N"),
        (("--pool", "nowhere.csv"), 1, "nowhere.csv"),
        (("--shape", "vocabulary=512"), 1, "context"),
        (("--shape", "vocabulary=512,context=128,colour=red"), 1, "colour"),
        (("--shape", "vocabulary=512,context=x"), 1, "context"),
        (("--plot", "a.pdf"), 2, ".svg or .png"),
        (("--html", "."), 2, ".html"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_one_line(runs, words, code, piece):
    result = call("next", runs, *ASKED, *words)
    assert result.exit_code == code
    assert piece in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_law_of_one_resource_has_a_plan(tmp_path):
    D = np.geomspace(1e8, 1e11, 20)
    loss = (1.8 + 2100 * D**-0.37) * np.exp(0.002 * np.random.default_rng(3).standard_normal(20))
    path = write(tmp_path, text(D=D.tolist(), loss=loss.tolist()))
    words = ("--goal", "loss@D=1e13", "--budget", "1e12", "--draws", "0", "--json")
    answer = json.loads(call("next", path, *words).stdout)
    assert answer["unit"] == "D"
    assert math.isfinite(answer["after"]["high"])


ARM_KEYS = {
    "goal", "baseline", "recipe", "resource", "scale", "rule", "budget", "spent", "unit", "stop",
    "sentence", "multiplier", "before", "after", "verdict", "power", "chance", "gain", "runs",
    "ties", "laws", "noise", "correlation", "correlation_sentence", "n_candidates", "limits",
    "status", "reasons", "refused", "notes",
}  # fmt: skip
ARMS = ("--goal", "A-vs-B@C=1e20", "--budget", "1e18", "--law", "chinchilla", "--k", "4")


@pytest.fixture
def two(tmp_path):
    """Two recipes in a file each, and in one with a column of recipes."""
    rng = np.random.default_rng(0)
    N, D = np.repeat([1e6, 1e7, 1e8], 4), np.tile([1e8, 3e8, 1e9, 3e9], 3)
    lines, paths = [], []
    for name, A in (("old", 480.0), ("new", 474.0)):
        loss = (1.8 + A * N**-0.35 + 2100 * D**-0.37) * np.exp(3e-3 * rng.standard_normal(12))
        rows = [f"{n!r},{d!r},{v!r}" for n, d, v in zip(*map(np.ndarray.tolist, (N, D, loss)),
                                                        strict=True)]  # fmt: skip
        lines += [f"{row},{name}" for row in rows]
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text("N,D,loss\n" + "\n".join(rows) + "\n", encoding="utf8")
    both = tmp_path / "both.csv"
    both.write_text("N,D,loss,recipe\n" + "\n".join(lines) + "\n", encoding="utf8")
    return (*paths, both)


def test_two_recipes_have_the_agreed_keys_and_the_words_say_the_same(two):
    old, new, both = two
    result = call("next", old, new, *ARMS, "--json")
    answer = json.loads(result.stdout)
    assert set(answer) == ARM_KEYS
    assert result.exit_code == (0 if answer["status"] == "ok" else 3)
    assert answer["spent"] <= 1e18
    assert answer["baseline"] == "old"
    assert set(answer["refused"]) == {"old", "new"}
    words = call("next", old, new, *ARMS).stderr
    assert answer["sentence"] in words
    joined = json.loads(call("next", both, "--by", "recipe", *ARMS, "--json").stdout)
    assert joined["runs"] == answer["runs"]
    assert joined["before"] == answer["before"]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (["--plot", "x.svg"], 2, "--plot does not go with a goal of two recipes"),
        (["--draws", "10"], 2, "--draws does not go"),
        (["--by", "recipe"], 2, "two files, or one and --by"),
        (["--paired", "often"], 2, "auto or a correlation"),
        (["--paired", "2"], 1, "below 1"),
        (["--goal", "loss@C=1e20"], 2, "give --goal A-vs-B"),
        (["--goal", "old-vs-older@C=1e20"], 1, "no two such recipes"),
        (["--goal", "A-vs-B@C=0"], 1, "goal"),
        (["--goal", "A-vs-B"], 1, "A-vs-B@C=1e22"),
        (["--tie", "F"], 1, "no parameter"),
        (["--rule", "best"], 2, "rule"),
    ],
)
def test_what_two_recipes_cannot_have_is_said_without_a_traceback(two, change, code, said):
    old, new, _ = two
    result = call("next", old, new, *ARMS, *change)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    alone = call("next", old, *ARMS)
    assert alone.exit_code == 2
    twice = call("next", old, old, *ARMS)
    assert twice.exit_code in (1, 2)
