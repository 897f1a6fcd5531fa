import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError
from isoloss.prune import Scores, Stratified, read_scores, select, write_scores, write_selection
from isoloss.prune.select_output import CONTENTS

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf8")


def table(n=100, texts=False, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(10 * n)[:n]
    return Scores(
        metric="el2n", definition="of a test", source="here",
        values=rng.random(n).astype(np.float32).round(2),
        ids=np.array([f"é{i}" for i in ids]) if texts else ids,
        labels=np.minimum(rng.geometric(0.5, n), 4),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return write_scores(table(), tmp_path / "scores", shard_rows=30)


@pytest.mark.parametrize("texts", [False, True])
def test_scores_come_back_as_they_were(tmp_path, texts):
    found = table(texts=texts)
    place = write_scores(found, tmp_path / "scores", shard_rows=33)
    again = read_scores(place)
    for name in ("ids", "values", "labels"):
        assert getattr(again, name).tobytes() == getattr(found, name).tobytes()
    assert (again.metric, again.definition, again.source) == ("el2n", "of a test", "here")
    assert again.values.dtype == np.float32
    assert len(json.loads((place / "manifest.json").read_text())["shards"]) == 4
    assert read_scores(place / "manifest.json").values.tobytes() == found.values.tobytes()
    with pytest.raises(InputError, match="is there already"):
        write_scores(found, place)


def test_a_manifest_by_hand_needs_little(tmp_path):
    np.save(tmp_path / "s.npy", [0.5, 2.0])
    np.save(tmp_path / "i.npy", [4, 2])
    manifest = {"schema": 1, "metric": "mine", "direction": "high is hard", "rows": 2,
                "shards": [{"scores": "s.npy", "ids": "i.npy", "rows": 2}]}  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert select(read_scores(tmp_path), 1).kept == [2]


def test_ids_of_128_bits_are_their_digits(tmp_path):
    texts = ["0123456789abcdef0000000000000001", "ffffffffffffffff8000000000000000"]
    pairs = np.array([[int(t[:16], 16), int(t[16:], 16)] for t in texts], dtype=np.uint64)
    np.save(tmp_path / "s.npy", [0.5, 2.0])
    np.save(tmp_path / "i.npy", pairs)
    manifest = {"schema": 1, "direction": "high is hard",
                "shards": [{"scores": "s.npy", "ids": "i.npy", "rows": 2}]}  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert select(read_scores(tmp_path), 1).kept == texts[1:]
    fields = pairs.view("u8,u8").ravel()
    assert select([1.0, 2.0], 2, ids=fields).kept == texts
    for bad in (pairs.astype(np.int64), pairs[:, :1], np.zeros(2, "u8,u8,u8")):
        with pytest.raises(InputError, match="ids: "):
            select([1.0, 2.0], 1, ids=bad)


def spoil(folder, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for key, value in changes.items():
        if key in manifest["shards"][0]:
            manifest["shards"][0][key] = value
        else:
            manifest[key] = value
    path.write_text(json.dumps(manifest))


HOSTILE = {
    "another direction": (lambda f: spoil(f, direction="low is hard"), "negate"),
    "another schema": (lambda f: spoil(f, schema=2), "schema is not 1"),
    "no shards": (lambda f: spoil(f, shards=[]), "lists no shards"),
    "a file outside": (lambda f: spoil(f, scores="../x.npy"), "is no name of a file"),
    "a file that is gone": (lambda f: (f / "ids-00001.npy").unlink(), "is not there"),
    "a pickle": (lambda f: np.save(f / "ids-00000.npy", np.array([{}] * 30, dtype=object),
                                   allow_pickle=True), "pickled"),
    "rows that differ": (lambda f: spoil(f, rows=31), "rows"),
    "changed scores": (lambda f: np.save(f / "scores-00000.npy", np.zeros(30, np.float32)),
                       "digest"),
    "no JSON": (lambda f: (f / "manifest.json").write_text("{"), "is not JSON"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "has no manifest.json"),
    "labels of another number": (
        lambda f: (np.save(f / "labels.npy", np.zeros(3)), spoil(f, digest=None)), "labels"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_damaged_folders_are_refused_in_a_line(folder, kind):
    change, message = HOSTILE[kind]
    change(folder)
    result = call("prune", "select", folder, "--keep", "0.5", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def write_csv(path, text):
    path.write_text(text, encoding="utf8")
    return path


def test_a_csv_with_labels(tmp_path):
    path = write_csv(tmp_path / "s.csv", "\ufeffLabel,ID,Score\ncat,007,.5\ndog,7,2\ncat,8,1e-3\n")
    found = read_scores(path)
    assert [v.decode() for v in found.ids] == ["007", "7", "8"]
    assert found.labels.tolist() == ["cat", "dog", "cat"]
    assert select(found, 1).kept == ["7"]
    numbers = read_scores(write_csv(tmp_path / "n.csv", "id,score\n12,1\n-3,2\n"))
    assert numbers.ids.tolist() == [12, -3]
    assert numbers.labels is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns named 'id'"),
        ("id,score\n", "has no rows"),
        ("name,score\n1,2\n", "columns named 'id'"),
        ("id,score,score\n1,2,3\n", "2 columns named 'score'"),
        ("id,score\n1,2,3\n", "line 2: 3 cells"),
        ("id,score\n1,high\n", "'high' is no score"),
        ("id,score\n1,\n2,1\n", "1 of 2 are NaN, ids 1"),
        ("id,score\n1,1\n1,2\n", "repeat"),
    ],
)
def test_bad_csv_is_refused_in_a_line(tmp_path, text, message):
    result = call("prune", "select", write_csv(tmp_path / "s.csv", text), "--keep", "1")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert message in result.stderr


def read(path, content):
    if path.suffix == ".npy":
        return np.load(path).tolist()
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    return rows if content == "record" else [int(next(iter(r.values()))) for r in rows]


@pytest.mark.parametrize(
    ("content", "suffix"),
    [(c, s) for c, ends in CONTENTS.items() for s in ends if s and c != "uids"],
)
def test_every_content_in_every_form(tmp_path, content, suffix):
    found = select(table(), 0.3, class_floor=0.5)
    path = write_selection(found, tmp_path / f"out{suffix}", content=content)
    got = read(path, content)
    if content == "record":
        assert [int(r["id"]) for r in got] == found.ids.tolist()
        assert [np.float32(r["score"]) for r in got] == found.score.tolist()
        assert [str(r["kept"]).lower() == "true" for r in got] == (found.reason < 5).tolist()
        assert [r["reason"] for r in got] == found.to_columns()["reason"].tolist()
    else:
        known = {"ids": found.kept_ids, "dropped": found.dropped_ids, "rows": found.rows,
                 "mask": found.mask}  # fmt: skip
        assert got == known[content].tolist()
    told = json.loads((tmp_path / f"out{suffix}.json").read_text())
    assert told["kept"] == 30
    assert len(told["sha256"]) == 64
    with pytest.raises(InputError, match="is there already"):
        write_selection(found, path, content=content)
    assert write_selection(found, path, content=content, overwrite=True) == path
    assert {p.name for p in tmp_path.iterdir()} == {path.name, f"{path.name}.json"}


def test_bitmaps_of_shards(folder, tmp_path):
    out = tmp_path / "bits"
    words = ("prune", "select", folder, "--keep", "0.3", "--content", "shards", "--out", out)
    assert call(*words).exit_code == 0
    shards = json.loads((out / "manifest.json").read_text())["shards"]
    bits = [np.unpackbits(np.load(out / s["bits"]), count=s["rows"]).astype(bool) for s in shards]
    assert [b.sum() for b in bits] == [s["kept"] for s in shards]
    np.testing.assert_array_equal(np.concatenate(bits), select(table(), 0.3).mask)
    again = call(*words)
    assert again.exit_code == 1
    assert "is there already" in again.stderr


def test_the_command_gives_what_the_library_gives(folder, tmp_path):
    out = tmp_path / "kept.npy"
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    words = ["prune", "select", folder, "--keep", "0.3", "--policy", "stratified", "--strata", "8",
             "--class-floor", "0.5", "--noise-guard", "0.1", "--seed", "3",
             "--out", out]  # fmt: skip
    result = call(*words, "--json")
    assert result.exit_code == 0, result.stderr
    found = select(table(), 0.3, policy=Stratified(8), class_floor=0.5, noise_guard=0.1, seed=3)
    np.testing.assert_array_equal(np.load(out), found.kept_ids)
    answer = json.loads(result.stdout)
    assert answer == {**found.to_dict(), "out": str(out)}
    for key in (*answer, *answer["classes"][0], *answer["reasons"]):
        assert f"`{key}`" in PAGE, key
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    refused = call(*words)
    assert refused.exit_code == 1
    assert "is there already" in refused.stderr
    assert call(*words, "--overwrite").exit_code == 0


def test_the_order_of_rows_changes_no_byte(tmp_path):
    one = table(texts=True)
    order = np.random.default_rng(9).permutation(len(one))
    other = Scores(metric="el2n", definition="of a test", source="here", ids=one.ids[order],
                   values=one.values[order], labels=one.labels[order])  # fmt: skip
    for name, scores, size in (("a", one, 1000), ("b", other, 7)):
        place = write_scores(scores, tmp_path / name / "scores", shard_rows=size)
        words = ("--keep", "40", "--class-floor", "0.5", "--content", "record", "--seed", "1")
        out = tmp_path / name / "out.csv"
        assert call("prune", "select", place, *words, "--out", out).exit_code == 0
    for name in ("out.csv", "out.csv.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_clusters_exclusions_and_a_class_that_is_lost(folder, tmp_path):
    ids = table().ids
    np.save(tmp_path / "clusters.npy", np.arange(100) % 3)
    np.save(tmp_path / "complexity.npy", [0.1, 0.2, 0.3])
    np.save(tmp_path / "gone.npy", ids[:20])
    words = ("prune", "select", folder, "--clusters", tmp_path / "clusters.npy")
    more = ("--policy", "cluster", "--complexity", tmp_path / "complexity.npy", "--json")
    result = call(*words, *more, "--keep", "30", "--exclude", tmp_path / "gone.npy")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["reasons"] == {"allocation": 30, "budget": 50, "excluded": 20}
    np.save(tmp_path / "gone.npy", [10**12])
    strange = call(*words, "--keep", "30", "--exclude", tmp_path / "gone.npy")
    assert strange.exit_code == 1
    assert "not among the scores: 1000000000000" in strange.stderr
    assert "needs it" in call(*words, "--policy", "cluster", "--keep", "3").stderr
    lost = call("prune", "select", folder, "--keep", "1")
    assert lost.exit_code == 3
    assert "classes keep no example" in lost.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--keep", "0"), 1, "keep from 1"),
        (("--keep", "0.0"), 1, "above 0"),
        (("--keep", "101"), 1, "keep from 1 to 100"),
        (("--keep", "nan"), 1, "nan"),
        (("--keep", "much"), 2, "write a share"),
        ((), 2, "--keep"),
        (("--keep", "5", "--class-floor", "1.5"), 2, "range"),
        (("--keep", "5", "--policy", "hardest"), 2, "hardest"),
        (("--keep", "5", "--out", "x.txt"), 1, "choose one of these endings"),
        (("--keep", "5", "--labels", "nowhere.npy"), 1, "nowhere.npy"),
        (("--keep", "95", "--noise-guard", "0.5"), 1, "50 of 100 rows are left"),
        (("--keep", "5", "--cluster-floor", "0.5"), 1, "needs clusters"),
    ],
)
def test_bad_words_are_refused(folder, words, code, message):
    result = call("prune", "select", folder, *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["scores-00000.npy", "new.npy"])
def test_nothing_is_written_into_what_is_read(folder, name):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    result = call("prune", "select", folder, "--keep", "3", "--overwrite", "--out", folder / name)
    assert result.exit_code == 1
    assert "would write over" in result.stderr
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_no_folder_and_no_text(tmp_path):
    assert call("prune", "select", tmp_path / "none.csv", "--keep", "1").exit_code == 1
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    result = call("prune", "select", tmp_path / "x.csv", "--keep", "1")
    assert "UTF-8" in result.stderr
    shutil.rmtree(tmp_path)
