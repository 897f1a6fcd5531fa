"""``isoloss compare``."""

import json

import numpy as np
import pytest

from cli.commands import call, losses, text, write

FAST = ("--draws", "100")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    C = np.geomspace(1e17, 1e20, 12)
    rows = {"recipe": [], "C": [], "loss": []}
    for i, (name, A) in enumerate((("old", 300.0), ("<b>new", 280.0))):
        noise = np.exp(1e-3 * np.random.default_rng(i).standard_normal(12))
        rows["recipe"] += [name] * 12
        rows["C"] += C.tolist()
        rows["loss"] += ((1.8 + A * C**-0.13) * noise).tolist()
    write(folder, text(**rows), "both.csv")
    for name in ("old", "<b>new"):
        at = [i for i, v in enumerate(rows["recipe"]) if v == name]
        part = {k: [rows[k][i] for i in at] for k in ("C", "loss")}
        write(folder, text(**part), f"{name.strip('<b>')}.csv")
    return folder


def test_two_files_and_one_with_a_column_say_the_same(place):
    two = call("compare", place / "old.csv", place / "new.csv", *FAST)
    one = call("compare", place / "both.csv", "--by", "recipe", "--baseline", "old", *FAST)
    assert two.exit_code == 0, two.stderr
    assert "verdict: new is better at C = 1e+20" in two.stderr
    assert one.stderr == two.stderr.replace("new ", "<b>new ")
    assert two.stdout == ""


def test_the_compute_may_be_named(place):
    files = (place / "old.csv", place / "new.csv", *FAST)
    named, bare = (call("compare", *files, "--at", at) for at in ("C=1e19", "1e19"))
    assert named.stderr == bare.stderr
    assert "at C = 1e+19" in named.stderr
    assert "'D=1e19' is not a number" in call("compare", *files, "--at", "D=1e19").stderr


def test_json_is_the_contract(place):
    result = call("compare", place / "old.csv", place / "new.csv", "--tie", "E", "--json", *FAST)
    (row,) = json.loads(result.stdout)["comparisons"]
    assert row["ties"] == [["E"]]
    assert [t["used"] for t in row["scales"][0]["by_tie"]] == [True, False]
    assert row["differs"]
    assert set(row["curves"]) >= {"C", "multiplier", "multiplier_low", "multiplier_high"}


def test_a_picture_is_written_and_shows_no_markup_of_names(place):
    pytest.importorskip("matplotlib")
    words = ("compare", place / "both.csv", "--by", "recipe", *FAST, "--plot")
    assert call(*words, place / "out.svg").exit_code == 0
    assert b"<b>new" not in (place / "out.svg").read_bytes()
    assert call(*words, place / "out.png").exit_code == 0
    assert (place / "out.png").read_bytes().startswith(b"\x89PNG")


def test_doubt_has_its_own_status(place):
    confused = write(place, (place / "old.csv").read_text("utf8").replace("loss", "loss"), "b.csv")
    rows = np.loadtxt(confused, delimiter=",", skiprows=1)
    noise = 1 + 1e-3 * np.random.default_rng(4).standard_normal(12)
    write(place, text(C=rows[:, 0].tolist(), loss=(rows[:, 1] * noise).tolist()), "b.csv")
    result = call("compare", place / "old.csv", place / "b.csv", *FAST)
    assert result.exit_code == 3
    assert "cannot tell" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("old.csv",), 2, "two files or more"),
        (("old.csv", "new.csv", "--by", "recipe"), 2, "two files or more"),
        (("both.csv", "--by", "nothing"), 1, "nothing"),
        (("old.csv", "absent.csv"), 1, "absent.csv"),
        (("old.csv", "old.csv"), 1, "same runs"),
        (("old.csv", "new.csv", "--at", "-1"), 2, "positive"),
        (("old.csv", "new.csv", "--looks", "7/5"), 1, "look k of K"),
        (("old.csv", "new.csv", "--tie", "A"), 1, "depends on alpha"),
        (("old.csv", "new.csv", "--baseline", "z"), 1, "no such recipe"),
        (("old.csv", "new.csv", "--plot", "old.csv"), 2, "ends in .svg or .png"),
        (("old.csv", "new.csv", "--ratio", "20"), 1, "laws of N and D"),
        (("old.csv", "new.csv", "--draws", "5"), 1, "draws = 5"),
    ],
)
def test_mistakes_end_in_a_sentence(place, monkeypatch, words, code, said):
    monkeypatch.chdir(place)
    result = call("compare", *words)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_runs_without_a_split_point_to_one_axis(place):
    N = np.geomspace(1e7, 1e9, 12)
    for i, name in enumerate("cd"):
        columns = {"N": N.tolist(), "D": (20 * N).tolist()}
        columns["loss"] = losses(N, 20 * N, seed=i).tolist()
        write(place, text(**columns), f"{name}.csv")
    result = call("compare", place / "c.csv", place / "d.csv", *FAST)
    assert result.exit_code == 1
    assert "--axis" in result.stderr


def test_rows_without_a_recipe_are_refused_and_listed(place, tmp_path):
    lines = (place / "both.csv").read_text().splitlines()
    lines[3] = "," + lines[3].split(",", 1)[1]
    path = write(tmp_path, "\n".join(lines) + "\n", "gap.csv")
    found = call("compare", path, "--by", "recipe", "--axis", "C", *FAST, "--json")
    said = json.loads(found.stdout)
    assert [c["recipe"] for c in said["comparisons"]] == ["<b>new"]
    assert said["refused"] == [
        {
            "file": str(path),
            "row": 3,
            "name": "row 3",
            "code": "MISSING",
            "reason": "recipe is missing",
        }
    ]


def test_refused_rows_of_every_file_stand_in_the_json(place, tmp_path):
    bad = write(tmp_path, (place / "new.csv").read_text() + "1e21,nan\n", "new.csv")
    found = call("compare", place / "old.csv", bad, "--axis", "C", *FAST, "--json")
    said = json.loads(found.stdout)
    assert [(r["file"], r["row"]) for r in said["refused"]] == [(str(bad), 13)]
    assert {n["file"] for n in said["notes"]} <= {str(place / "old.csv"), str(bad)}


def test_a_recipe_of_too_few_runs_is_named(place, tmp_path):
    lines = (place / "both.csv").read_text() + "tiny,1e18,3\n"
    found = call("compare", write(tmp_path, lines), "--by", "recipe", "--axis", "C", *FAST)
    assert found.exit_code == 1
    assert "'tiny' against 'old'" in found.stderr


def test_an_axis_beside_a_law_of_two_is_refused(tmp_path):
    N, D = np.repeat([1e7, 1e8, 1e9], 4), np.tile([1e9, 3e9, 1e10, 3e10], 3)
    paths = [write(tmp_path, text(N=N, D=D, loss=losses(N, D, seed=s)), f"{s}.csv") for s in (0, 1)]
    found = call("compare", *paths, "--law", "chinchilla", "--axis", "D", *FAST)
    assert found.exit_code == 1
    assert "one of axis and law" in found.stderr
