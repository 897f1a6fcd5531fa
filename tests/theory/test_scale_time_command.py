"""The commands of size, time and data: numbers, shapes, files in and out, mistakes."""

import csv
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call, text
from isoloss.theory import draw_contributions, exchange
from theory.given import near

GOLDEN = tomllib.loads((Path(__file__).parents[1] / "golden" / "scale_time.toml").read_text("utf8"))
GROUPS = ("two-groups", "--ls", "0.05", "--ln", "1", "--Ms", "50", "--Mn", "100", "--D", "2000")


def ask(*words, stdin=None):
    result = call("theory", *words, "--json", stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def listed(values):
    return ",".join(map(str, values))


def test_reference_numbers_and_lists_that_go_together():
    case = GOLDEN["linear"]
    words = ("scale-time", "--c", listed(case["c"]), "--tau", listed(case["tau"]))
    answer = ask(*words, "--S2", "1", "--noise", "0.25")
    assert list(answer) == ["excess"]
    assert answer["excess"] == pytest.approx(case["excess"], abs=0.51e-8)
    one = ask("scale-time", "--c", "0.5", "--tau", "1", "--S2", "1", "--noise", "0.25")
    assert one["excess"] == near(answer["excess"][0], rel=1e-14)
    case = GOLDEN["two-groups"]
    answer = ask(*GROUPS, "--noise", "1", "--tau", listed(case["tau"]))
    assert answer["excess"] == pytest.approx(case["excess"], abs=0.51e-8)


def test_a_grid_and_both_ends():
    answer = ask("scale-time", "--c", "0,1,inf", "--tau", "0,1,inf", "--noise", "1", "--grid")
    assert np.shape(answer["excess"]) == (3, 3)
    assert answer["excess"][1][2] == "inf"
    assert answer["excess"][2] == [1.0, 1.0, 1.0]


def test_size_and_time_in_place_of_their_product():
    base = ask("scale-time", "--c", "0.5", "--tau", "3", "--noise", "0.2")["excess"]
    words = ("scale-time", "--M", "50", "--D", "100", "--noise", "0.2", "--eta", "0.01")
    assert ask(*words, "--p", "10", "--t", "30")["excess"] == near(base)
    assert ask(*words, "--p", "30,10", "--t", "10,30")["excess"] == near([base, base])
    assert ask("scale-time", "--c", "0.5", "--p", "1.5", "--t", "2", "--noise", "0.2")[
        "excess"
    ] == near(base)


def test_simulation_adds_its_distance():
    words = ("scale-time", "--c", "0.5,2", "--tau", "1,10", "--noise", "0.25", "--simulate", "6")
    answer = ask(*words, "--D", "80")
    assert list(answer) == ["excess", "z", "simulation"]
    assert np.shape(answer["z"]) == (2,)
    assert max(map(abs, answer["z"])) < 5
    assert set(answer["simulation"]["excess"]) == {"mean", "sem", "z"}
    assert ask(*words, "--D", "80") == answer
    drawn = ask("scale-time", "--M", "40", "--D", "80,20", "--tau", "2", "--simulate", "3")
    assert np.shape(drawn["z"]) == (2,)


def test_pictures_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    for i, words in enumerate(
        (("scale-time", "--c", "0.5", "--tau", "1,10,100"), (*GROUPS, "--tau", "1,10"))
    ):
        path = tmp_path / f"{i}.svg"
        ask(*words, "--noise", "1", "--plot", path)
        assert b"excess" in path.read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ("scale-time", "--c", "1"),
        ("scale-time", "--tau", "1"),
        ("scale-time", "--c", "1", "--M", "5", "--tau", "1"),
        ("scale-time", "--c", "1", "--tau", "1", "--p", "2"),
        ("scale-time", "--c", "1", "--tau", "1", "--eta", "2"),
        ("scale-time", "--c", "1", "--tau", "1", "--D", "5"),
        ("scale-time", "--c", "1", "--tau", "1", "--D", "5,6", "--simulate", "3"),
        ("scale-time", "--c", "1,2", "--tau", "1,2,3"),
        ("scale-time", "--c", "one", "--tau", "1"),
        GROUPS,
        ("point-value", "x.csv", "--at", "0"),
        ("point-value", "x.csv", "--range", "5"),
        ("point-value", "x.csv", "--range", "9,5"),
        ("point-value", "x.csv", "--range", "1.5,5"),
        ("point-value", "x.csv", "--select", "3"),
        ("point-value", "x.csv", "--at", "5", "--remove"),
        ("point-value", "x.csv", "--at", "5", "--out", "x.parquet"),
        ("exchange", "x.csv", "--tolerance", "0"),
    ],
)
def test_mistakes_of_usage(words):
    result = call("theory", *words)
    assert result.exit_code == 2
    assert "Error" in result.stderr


@pytest.mark.parametrize(
    ("words", "piece"),
    [
        (("scale-time", "--c", "-1", "--tau", "1"), "c = -1.0"),
        (("scale-time", "--c", "nan", "--tau", "1"), "c = nan"),
        (("scale-time", "--M", "inf", "--D", "inf", "--tau", "1"), "M/D"),
        (("scale-time", "--c", "0", "--tau", "1", "--simulate", "3"), "c = 0.0"),
        (("scale-time", "--c", "1", "--tau", "1", "--noise", "-3"), "noise"),
        (("scale-time", "--M", "3.5", "--D", "7", "--tau", "1", "--simulate", "3"), "M = 3.5"),
        ((*GROUPS, "--tau", "-1"), "tau = -1.0"),
        (("exchange", "nowhere.csv"), "nowhere.csv"),
        (("exchange", "--run", "nothing"), "no column"),
        (("point-value", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_bad_values_are_named_without_a_trace(words, piece):
    result = call("theory", *words, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert piece in result.stderr


def table(order=None, label=False):
    """Four points of known laws as columns."""
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(4), 80)
    k = rng.integers(100, 1001, 320).astype(float)
    c, alpha = np.array([2, -0.5, 50, 0.0])[ids], np.array([1.2, 1.0, 1.7, 1.0])[ids]
    delta = draw_contributions(k, c=c, alpha=alpha, sigma=0.02, beta=1.8, rng=rng)
    columns = {"point": ids, "k": k, "delta": delta} | ({"label": ids % 2} if label else {})
    return columns if order is None else {n: v[order] for n, v in columns.items()}


def test_points_have_the_same_laws_from_every_kind_of_file(tmp_path):
    columns = table()
    plain = text(**{n: v.tolist() for n, v in columns.items()})
    (tmp_path / "a.csv").write_text(plain)
    np.save(tmp_path / "b.npy", np.stack(list(columns.values()), axis=1))
    fields = np.empty(320, dtype=[("delta", "f8"), ("k", "f4"), ("point", "i4")])
    for name, values in columns.items():
        fields[name] = values
    np.save(tmp_path / "c.npy", fields)
    mixed = table(np.random.default_rng(1).permutation(320))
    shuffled = text(**{n: v.tolist() for n, v in mixed.items()})
    (tmp_path / "d.csv").write_text("\ufeff" + shuffled.replace("point,k", "Point, K", 1))
    words = ("--at", "500", "--range", "100,1000")
    first = ask("point-value", tmp_path / "a.csv", *words)
    assert list(first) == ["points", "counts", "at", "range", "estimator", "laws"]
    assert first["points"] == 4
    assert first["counts"] == {"ok": 3, "zero": 1}
    assert first["laws"]["status"] == ["ok", "ok", "ok", "zero"]
    for other in (
        ask("point-value", tmp_path / "b.npy", *words),
        ask("point-value", tmp_path / "c.npy", *words),
        ask("point-value", "-", *words, stdin=plain),
        ask("point-value", tmp_path / "d.csv", *words, "--unsorted"),
    ):
        order = np.argsort(other["laws"]["point"])
        for name in ("c", "alpha", "value", "error", "mean_value", "nll"):
            assert np.array(other["laws"][name])[order] == near(first["laws"][name], rel=1e-8)


def test_laws_are_written_and_the_best_points_named(tmp_path):
    np.save(tmp_path / "a.npy", np.stack(list(table(label=True).values()), axis=1))
    words = ("point-value", tmp_path / "a.npy", "--at", "500", "--select", "2")
    answer = ask(*words, "--out", tmp_path / "new" / "laws.csv")
    # Point 2 is best at 500, and one of another class comes with it.
    assert answer["chosen"] == [2, 1]
    assert answer["label"] == [0.0, 1.0]
    assert answer["refused"] == 1
    with (tmp_path / "new" / "laws.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(r["alpha"]) for r in rows] == near(answer["laws"]["alpha"])
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["laws.csv"]
    assert ask(*words, "--remove")["chosen"] == [1]
    assert ask(*words, "--min-alpha", "1.1")["chosen"] == [2, 0]
    ask(*words, "--out", tmp_path / "laws.npy", "--estimator", "log", "--min-r2", "0.2")
    array = np.load(tmp_path / "laws.npy", allow_pickle=False)
    assert array["point"].tolist() == [0, 1, 2, 3]
    assert array["status"].dtype.kind == "U"
    assert len(ask("point-value", tmp_path / "a.npy", "--at", "5000",
                   "--select", "1")["chosen"]) == 1  # fmt: skip


def test_people_read_a_table(tmp_path):
    (tmp_path / "a.csv").write_text(text(**{n: v.tolist() for n, v in table().items()}))
    result = call("theory", "point-value", tmp_path / "a.csv", "--at", "500", "--select", "1")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "4 points: 3 ok, 1 zero" in result.stderr
    assert "chosen 1: 2" in result.stderr


@pytest.mark.parametrize(
    ("content", "piece"),
    [
        ("a,b\n1,2\n", "no column point, k, delta"),
        ("point,k,delta\n", "holds no samples"),
        ("point,k,delta\n1,5,x\n", "every field must be a number"),
        ("point,k,delta\n1,5\n", "every field must be a number"),
        ("point,k,delta\n1.5,5,1\n", "point[0] = 1.5"),
        ("point,k,delta\n1,0,1\n", "k[0] = 0"),
        ("point,k,delta\n\n2,5,1\n\n1,5,1\n", "--unsorted"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_bad_files_are_named_and_nothing_is_written(tmp_path, content, piece):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = call("theory", "point-value", path, "--out", tmp_path / "o.csv", "--json")
    assert result.exit_code == 1
    assert piece in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_arrays_of_anything_else_are_refused(tmp_path):
    for array in (np.array([{1: 2}], dtype=object), np.zeros(3), np.array([["a", "b", "c"]])):
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
        result = call("theory", "point-value", tmp_path / "a.npy")
        assert result.exit_code == 1
        assert "a.npy" in result.stderr


def test_exchange_reads_tables_and_the_embedded_runs(tmp_path):
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e6, 1e8, 4), np.geomspace(1e8, 1e10, 6)))
    loss = 2 + (N**0.4 * D / 1e12) ** -0.2
    columns = {"N": N.tolist(), "steps": (D / 1e5).tolist(), "loss": loss.tolist()}
    (tmp_path / "runs.csv").write_text(text(**columns))
    words = ("exchange", tmp_path / "runs.csv", "--columns", "D=steps", "--draws", "20")
    answer = ask(*words, "--root", "2.5", "--level", "0.5", "--seed", "3")
    assert answer["g"] == pytest.approx(0.4, abs=0.01)
    assert answer["scale_exponent"] == near(2.5 * answer["g"])
    assert answer["interval"]["level"] == 0.5
    assert answer["g"] == near(exchange(N, D / 1e5, loss, draws=0).g)
    ours = ask("exchange", "--draws", "0", "--tolerance", "0.1")
    assert ours["points"] == 113
    result = call("theory", *words)
    assert "Closest to one curve of N^0.4 D" in result.stderr
    assert result.stderr.count("g = ") == 4
