import json
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError
from isoloss.prune import plan_pruning, read_prototype_scores
from isoloss.prune.plan import FORMULA, bytes_needed
from prune.prune_made import blobs, shards


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    x = blobs(800)
    x[5], x[6] = x[500], x[501]
    shards(folder, x, [300], ids=np.arange(800) * 3)
    np.save(folder.parent / "labels.npy", np.arange(800) % 4)
    return folder


def test_scores_by_command(rows, tmp_path):
    words = ["prune", "score", rows, "--metric", "prototypes", "--k", "6", "--seed", "0"]
    result = call(*words, "--passes", "100", "--out", tmp_path / "a")
    assert result.exit_code == 0, result.stderr
    assert "memory" in result.stderr
    assert "high is hard" in result.stderr
    again = call(*words, "--passes", "100", "--out", tmp_path / "b", "--json")
    assert json.loads(again.stdout)["rows"] == 800
    one = call(*words[:2], rows / "x1.npy", rows / "x0.npy", *words[3:], "--passes", "100",
               "--out", tmp_path / "c", "--executor", "here")  # fmt: skip
    assert one.exit_code == 0, one.stderr
    for path in (tmp_path / "a").iterdir():
        for other in ("b", "c"):
            assert path.read_bytes() == (tmp_path / other / path.name).read_bytes()
    assert read_prototype_scores(tmp_path / "a").ids[-1] == 799 * 3
    few = call(*words, "--passes", "1", "--out", tmp_path / "d")
    assert few.exit_code == 3
    assert "has not converged" in few.stderr


def test_scores_from_labels(rows, tmp_path):
    labels = rows.parent / "labels.npy"
    result = call("prune", "score", rows, "--labels", labels, "--distance", "euclidean",
                  "--out", tmp_path, "--json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["metric"] == "class prototypes"
    assert answer["prototypes"]["counts"] == [200] * 4


def test_duplicates_by_command(rows, tmp_path):
    out = tmp_path / "kept.npy"
    result = call("prune", "dedup", rows, "--eps", "1e-6", "--rule", "greedy", "--k", "1",
                  "--out", out, "--json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["kept"], answer["removed"]) == (798, 2)
    assert np.load(out).size == 798
    assert set(np.load(tmp_path / "kept.removed.npy")) | set(
        np.load(tmp_path / "kept.partners.npy")
    ) == {15, 18, 1500, 1503}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["kept.json", *(v["file"] for v in answer["files"].values())]
    )


def test_a_plan_by_command():
    words = ["prune", "plan", "--rows", "1e9", "--dim", "768", "--k", "10000", "--flops", "1e11"]
    answer = json.loads(call(*words, "--json").stdout)
    assert answer["pass_flops"] == 2e9 * 768 * 1e4
    start = 2 * 16 * 1e4 * 1e4 * 768
    assert answer["flops"] == 21 * answer["pass_flops"] + start
    look = 1e9 * 768 * 4 / 1e9
    assert answer["hours"] == pytest.approx(((answer["flops"] + 9 * start) / 1e11 + look) / 3600)
    assert set(answer["formula"]) <= set(answer)
    shown = call(*words, "--workers", "64").stderr
    assert "1e+11 FLOP/s a worker (given)" in shown
    assert "measured here" in call("prune", "plan", "--rows", "9", "--dim", "8", "--k", "3").stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["score", "{rows}", "--out", "{out}"], 2, "give --k"),
        (["score", "{rows}", "--k", "3", "--labels", "y.npy", "--out", "{out}"], 1, "y.npy"),
        (["score", "{rows}", "--k", "some", "--out", "{out}"], 2, "whole number"),
        (["score", "nowhere", "--k", "3", "--out", "{out}"], 1, "there is no such file"),
        (["score", "{out}", "--k", "3", "--out", "{out}"], 1, "holds no .npy or .parquet file"),
        (["score", "{rows}", "--k", "801", "--out", "{out}"], 1, "there are 800 rows"),
        (["score", "{rows}", "--k", "1.5", "--out", "{out}"], 2, "whole number"),
        (["score", "{rows}", "--k", "inf", "--out", "{out}"], 2, "whole number"),
        (["score", "{rows}", "--k", "3", "--out", "{rows}/x0.npy"], 1, "error: "),
        (["score", "{rows}", "--k", "3", "--ids", "none.npy", "--out", "{out}"], 1, "none.npy"),
        (["score", "{rows}", "--k", "3", "--executor", "pc", "--out", "{out}"], 1, "executor ="),
        (["dedup", "{rows}", "--eps", "0.1", "--out", "{out}/a.txt"], 2, "written as .npy"),
        (["dedup", "{rows}", "--eps", "nan", "--out", "{out}/a.npy"], 1, "eps = nan"),
        (["plan", "--rows", "10", "--dim", "4", "--k", "11"], 1, "there are 10 rows"),
        (["plan", "--rows", "1e30", "--dim", "4", "--k", "11"], 2, "whole number"),
        (["plan", "--rows", "10", "--dim", "4", "--k", "1", "--flops", "0"], 2, "positive"),
    ],
)
def test_mistakes_are_told_without_a_trace(rows, tmp_path, words, code, message):
    filled = [w.format(rows=rows, out=tmp_path) for w in words]
    result = call("prune", *filled)
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_every_key_is_described(rows, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf8")
    section = page[page.index("## `isoloss prune") :]
    answers = [
        json.loads(call("prune", *words, "--json").stdout)
        for words in (
            ["score", rows, "--k", "3", "--out", tmp_path / "a"],
            ["dedup", rows, "--eps", "0.1", "--out", tmp_path / "b.npy"],
            ["plan", "--rows", "9", "--dim", "8", "--k", "3"],
        )
    ]
    for answer in answers:
        for key in answer:
            assert f"`{key}`" in section, key


def test_plans_are_checked_and_explained():
    plan = plan_pruning(1000, 8, 10, flops_per_second=1e9, workers=4)
    start = 10 * 2 * 160 * 10 * 8 / 1e9 / 3600
    look = 1000 * 8 * 4 / 1e9 / 3600
    assert plan.cpu_hours == pytest.approx(21 * 2 * 1000 * 8 * 10 / 1e9 / 3600 + start + look)
    assert plan.hours == pytest.approx((plan.cpu_hours - start) / 4 + start)
    assert plan.dedup_flops == 1000 * 8 * (100 + 512)
    assert (plan.cost, plan.dedup_cost) == (None, None)
    paid = plan_pruning(1000, 8, 10, flops_per_second=1e9, price=2)
    assert (paid.cost, paid.dedup_cost) == (2 * paid.cpu_hours, 2 * paid.dedup_cpu_hours)
    assert paid.sent_bytes == 0
    assert plan.sent_bytes == 20 * 10 * 8 * 8
    assert plan.read_bytes == 1000 * 8 * 4 * 22
    assert {k for k in plan.to_dict() if k in FORMULA} >= {"pass_flops", "bytes_needed"}
    with pytest.raises(InputError, match="width = 3"):
        plan_pruning(1000, 8, 10, width=3)
    with pytest.raises(InputError, match="price"):
        plan_pruning(1000, 8, 10, price=-1)
    with pytest.raises(InputError, match="rows = -1"):
        plan_pruning(-1, 8, 10)
    assert bytes_needed(10**12, 64, 100) == bytes_needed(10**7, 64, 100)
    assert bytes_needed(10**7, 64, 100, in_flight=4) > bytes_needed(10**7, 64, 100)


def test_the_commands_one_after_the_other(rows, tmp_path):
    labels = rows.parent / "labels.npy"
    words = ["score", rows, "--metric", "prototypes", "--k", "6", "--seed", "0", "--passes", "100"]
    with_labels, without = tmp_path / "with", tmp_path / "without"
    assert call("prune", *words, "--labels", labels, "--out", with_labels).exit_code == 0
    assert call("prune", *words, "--out", without).exit_code == 0
    assert (with_labels / "clusters.npy").read_bytes() == (without / "clusters.npy").read_bytes()
    more = ["--keep", "0.3", "--policy", "hard", "--class-floor", "0.5", "--json"]
    answers = {}
    for folder in (with_labels, without):
        out = tmp_path / f"{folder.name}.npy"
        result = call("prune", "select", folder, *more, "--out", out)
        assert result.exit_code == 0, result.stderr
        assert np.load(out).size == 240
        answers[folder.name] = (json.loads(result.stdout), result.stderr)
    answer, told = answers["with"]
    assert [c["rows"] for c in answer["classes"]] == [200] * 4
    assert min(c["kept"] for c in answer["classes"]) >= 30
    assert told == ""
    answer, told = answers["without"]
    assert "taken over their clusters" in told
    kept = np.load(tmp_path / "without.npy")
    clusters = np.load(without / "clusters.npy")[kept // 3]
    sizes = np.bincount(np.load(without / "clusters.npy"), minlength=6)
    assert (np.bincount(clusters, minlength=6) >= np.minimum(sizes, 20)).all()
    known = call("prune", "select", without, *more, "--labels", labels)
    assert "clusters" not in known.stderr
    spoiled = with_labels / "labels.npy"
    np.save(spoiled, np.load(spoiled)[::-1])
    assert "digest" in call("prune", "select", with_labels, *more).stderr


def test_duplicates_without_a_file_are_counted(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("prune", "dedup", rows, "--eps", "0.05", "--rule", "greedy")
    assert result.exit_code == 0, result.stderr
    assert "of 800 rows go as duplicates" in result.stderr
    assert "nothing is written" in result.stderr
    assert list(tmp_path.iterdir()) == []
    short = call("prune", "dedup", rows, "--eps", "0.05", "--k", "6", "--passes", "1")
    assert "k-means had not converged" in short.stderr


def test_plans_count_the_pairs_of_known_clusters(rows, tmp_path):
    sizes = [700, 0, 100, 200]
    options = {"flops_per_second": 1e9, "price": 2}
    equal = plan_pruning(1000, 8, 4, **options)
    plan = plan_pruning(1000, 8, 4, sizes=sizes, **options)
    assert plan.dedup_flops == pytest.approx(8 * sum(n * (n + 512) for n in sizes))
    assert plan.uneven == pytest.approx(1000**-2 * 4 * sum(n * n for n in sizes))
    assert (equal.uneven, equal.cpu_hours) == (1, plan.cpu_hours)
    assert plan.dedup_cost == pytest.approx(equal.dedup_cost * plan.dedup_flops / equal.dedup_flops)
    assert plan_pruning(1000, 8, 4, sizes=[250] * 4, **options).dedup_flops == equal.dedup_flops
    for bad, message in (
        ([1000], "give rows of 4 clusters"), ([999, 0, 0, 0], "sum to 999, and there are 1000"),
        ([-1, 1, 500, 500], "give rows of 4"), (["a"] * 4, "give rows of 4"),
        ([np.nan, 0, 500, 500], "give rows of 4"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            plan_pruning(1000, 8, 4, sizes=bad, **options)
    scores = tmp_path / "scores"
    assert (
        call("prune", "score", rows, "--k", "5", "--passes", "90", "--out", scores).exit_code == 0
    )
    words = ["prune", "plan", "--dim", "12", "--flops", "1e9"]
    read = json.loads(call(*words, "--clusters", scores, "--json").stdout)
    alone = json.loads(call(*words, "--clusters", scores / "clusters.npy", "--json").stdout)
    counts = np.bincount(np.load(scores / "clusters.npy"))
    assert read == alone
    assert (read["rows"], read["k"]) == (800, 5)
    assert read["dedup_flops"] == pytest.approx(12 * (counts * (counts + 512.0)).sum())
    shown = call(*words, "--clusters", scores).stderr
    assert "in these clusters" in shown
    np.save(tmp_path / "low.npy", [-1, 2])
    np.save(tmp_path / "high.npy", [2**40, 2])
    np.save(tmp_path / "float.npy", [0.5, 2])
    np.save(tmp_path / "none.npy", np.zeros(0, int))
    for name, code, message in (
        ("low.npy", 1, "beyond 0 to"), ("high.npy", 1, "beyond 0 to"),
        ("float.npy", 1, "give the number of its cluster"), ("none.npy", 1, "holds no number"),
        ("absent.npy", 1, "absent.npy"), ("", 1, "manifest.json"),
    ):  # fmt: skip
        gone = call(*words, "--clusters", tmp_path / name)
        assert gone.exit_code == code, gone.stderr
        assert message in gone.stderr
        assert "Traceback" not in gone.stderr
    assert call(*words, "--clusters", scores, "--k", "3").exit_code == 2
    assert call(*words, "--k", "3").exit_code == 2
