"""What strangers give: refused in one line by the commands, or worked through."""

import os
import struct

import numpy as np
import pytest

from cli.commands import call
from isoloss.prune import find_duplicates, fit_kmeans, open_embeddings, score_prototypes, select
from prune.prune_made import blobs, same


def claim(path, shape):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.encode() + bytes(96))


def parquet(path, *, cut=None, value=None):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    rows = blobs(50).tolist()
    if value is not None:
        rows[7][2] = value
    pq.write_table(pa.table({"embedding": pa.array(rows, pa.list_(pa.float32()))}), path)
    if cut:
        path.write_bytes(path.read_bytes()[:-cut])


def with_row(value):
    x = blobs(50)
    x[7] = value
    return x


def pickled(path):
    np.save(path, np.array([[{}, {}]], dtype=object), allow_pickle=True)


def looped(folder):
    (folder / "b.npy").symlink_to(folder / "c.npy")
    (folder / "c.npy").symlink_to(folder / "b.npy")


def twice(folder):
    np.save(folder / "b.npy", blobs(50))
    np.save(folder / "b.ids.npy", [*range(49), 7])


REFUSED = {
    "NaN": (lambda f: np.save(f / "b.npy", with_row(np.nan)), "b.npy row 7: column 0 is nan"),
    "zero row": (lambda f: np.save(f / "b.npy", with_row(0)), "b.npy row 7: is zero"),
    "ids twice": (twice, "has the id 7 of"),
    "another width": (lambda f: np.save(f / "b.npy", np.ones((3, 5))), "rows hold 5 numbers"),
    "10^12 rows": (lambda f: claim(f / "b.npy", (10**12, 12)), "the header claims shape"),
    "overflowing shape": (lambda f: claim(f / "b.npy", (10**17, 10**17)), "the header claims"),
    "cut Parquet": (lambda f: parquet(f / "b.parquet", cut=40), "b.parquet: the Parquet file"),
    "cut inside Parquet": (lambda f: (f / "b.parquet").write_bytes(b"PAR1" + bytes(90) + b"PAR1"),
                           "b.parquet: the Parquet file"),
    "NaN in Parquet": (lambda f: parquet(f / "b.parquet", value=float("nan")), "row 7: column 2"),
    "pickle": (lambda f: pickled(f / "b.npy"), "holds pickled objects"),
    "empty shard": (lambda f: np.save(f / "b.npy", np.ones((0, 12))), "holds no number"),
    "empty file": (lambda f: (f / "b.npy").touch(), "is not a .npy file"),
    "symbolic links in a loop": (looped, ".npy: symbolic links that lead back"),
    "a link to nothing": (lambda f: (f / "b.npy").symlink_to(f / "gone"), "b.npy: is no file"),
    "a folder named as a shard": (lambda f: (f / "b.npy").mkdir(), "b.npy: is no file"),
    "a pipe": (lambda f: os.mkfifo(f / "b.npy"), "b.npy: is no file"),
    "a link to another shard": (lambda f: (f / "b.npy").symlink_to(f / "a.npy"), "given twice"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("command", ["score", "dedup"])
def test_refused_in_one_line(tmp_path, kind, command):
    if "Parquet" in kind:
        pytest.importorskip("pyarrow")
    make, message = REFUSED[kind]
    folder = tmp_path / "rows"
    folder.mkdir()
    np.save(folder / "a.npy", blobs(50))
    if kind == "ids twice":
        np.save(folder / "a.ids.npy", np.arange(100, 150))
    make(folder)
    more = ["--out", tmp_path / "out"] if command == "score" else ["--eps", "0.05"]
    result = call("prune", command, folder, "--k", "3", *more, "--json")
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score", "{rows}", "--k", "51", "--out", "{out}"], "there are 50 rows"),
        (["dedup", "{rows}", "--k", "51", "--eps", "0.05"], "there are 50 rows"),
        (["select", "{out}", "--keep", "0"], "keep from 1 to 50"),
        (["select", "{out}", "--keep", "51"], "keep from 1 to 50"),
        (["select", "{out}", "--keep", "1.5"], "at most 1"),
    ],
)
def test_numbers_out_of_reach(tmp_path, words, message):
    np.save(tmp_path / "rows.npy", blobs(50))
    places = {"rows": tmp_path / "rows.npy", "out": tmp_path / "out"}
    if words[0] == "select":
        made = call("prune", "score", places["rows"], "--k", "3", "--out", places["out"])
        assert made.exit_code in (0, 3)
    result = call("prune", *(w.format(**places) for w in words))
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]


def test_a_constant_column_and_any_numbers_are_worked_through():
    x = blobs(400)
    x[:, 3] = 1e4
    for geometry in ("cosine", "euclidean"):
        found = fit_kmeans(x, 5, geometry=geometry)
        assert found.counts.sum() == 400
        assert np.isfinite(score_prototypes(x, found).scores).all()
    whole = (100 * blobs(400)).astype(np.int16)
    assert same(fit_kmeans(whole, 5), fit_kmeans(whole.astype(np.float64), 5))


def test_one_cluster_with_half_the_rows_is_compared_whole():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4000, 12)).astype(np.float32)
    x[:2000] = [1] + [0] * 11
    x[:2000] += 0.01 * rng.standard_normal((2000, 12)).astype(np.float32)
    x[1500] = 2 * x[3]
    found = find_duplicates(x, eps=1e-6, k=4)
    assert found.clusters.counts.max() >= 2000
    assert found.removed.tolist() in ([3], [1500])


def test_shards_of_one_name_in_two_folders(tmp_path):
    x = blobs(300)
    for name, part in (("one", x[:100]), ("two", x[100:])):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "x.npy", part)
    paths = [tmp_path / name / "x.npy" for name in ("one", "two")]
    found = fit_kmeans(open_embeddings(paths[::-1]), 3)
    assert same(found, fit_kmeans(open_embeddings(paths), 3))
    assert same(found, fit_kmeans(x, 3))


def test_ids_of_data_comp_from_rows_to_selection(tmp_path):
    rng = np.random.default_rng(2)
    uids = np.array(
        [tuple(v) for v in rng.integers(2**64, size=(60, 2), dtype=np.uint64)], dtype="u8,u8"
    )
    np.save(tmp_path / "a.npy", blobs(60))
    np.save(tmp_path / "uids.npy", uids)
    words = ["--ids", tmp_path / "uids.npy", "--passes", "50", "--out", tmp_path / "s"]
    assert call("prune", "score", tmp_path / "a.npy", "--k", "2", *words).exit_code == 0
    out = tmp_path / "kept.npy"
    more = ["--content", "uids", "--out", out]
    result = call("prune", "select", tmp_path / "s", "--keep", "20", *more)
    assert result.exit_code == 0, result.stderr
    kept = np.load(out)
    assert kept.dtype == np.dtype("u8,u8")
    scores = np.concatenate([np.load(p) for p in sorted((tmp_path / "s").glob("*.scores.npy"))])
    assert kept.tolist() == np.sort(uids[np.sort(np.argsort(scores)[-20:])]).tolist()
    assert len(select(scores, 20, ids=uids)) == 20
    np.save(tmp_path / "uids.npy", np.arange(60))
    again = ["--ids", tmp_path / "uids.npy", "--passes", "50", "--out", tmp_path / "t"]
    assert call("prune", "score", tmp_path / "a.npy", "--k", "2", *again).exit_code == 0
    refused = call("prune", "select", tmp_path / "t", "--keep", "20", "--content", "uids",
                   "--out", tmp_path / "no.npy")  # fmt: skip
    assert refused.exit_code == 1
    assert "32 hexadecimal digits" in refused.stderr
