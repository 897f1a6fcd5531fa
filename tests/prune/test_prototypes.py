import hashlib
import json
import shutil
import tracemalloc

import numpy as np
import pytest

from isoloss._core.local_pool import LocalPool
from isoloss.errors import InputError
from isoloss.prune import (
    class_means,
    fit_kmeans,
    open_embeddings,
    read_prototype_scores,
    score_prototypes,
    write_prototype_scores,
)
from isoloss.prune.prototypes_folder import read_manifest
from prune.prune_made import BLOCK, PIECE, blobs, shards


def unit(x):
    x = np.asarray(x, dtype=float)
    return x / np.linalg.norm(x, axis=1)[:, None]


def test_scores_are_distances_to_the_nearest_centroid():
    x = blobs(500)
    found = fit_kmeans(x, 6, block=BLOCK)
    scores = score_prototypes(x, found)
    cosines = unit(x) @ found.centroids.T
    assert scores.scores == pytest.approx(1 - cosines.max(axis=1), abs=1e-6)
    assert (scores.clusters == cosines.argmax(axis=1)).all()
    found = fit_kmeans(x, 6, block=BLOCK, geometry="euclidean")
    scores = score_prototypes(x, found)
    exact = np.linalg.norm(x[:, None] - found.centroids, axis=2)
    assert scores.scores == pytest.approx(exact.min(axis=1), rel=1e-5)
    assert scores.ids.tolist() == list(range(500))


def test_digits_are_kept_next_to_a_centroid():
    x = np.array([[1.0, 0.0]] * 50 + [[1.0, 1e-4]], dtype=np.float32)
    found = fit_kmeans(x, 1)
    angle = 1e-4 * 50 / 51
    assert score_prototypes(x, found).scores[-1] == pytest.approx(angle**2 / 2, rel=0.01)


def test_high_is_hard():
    rng = np.random.default_rng(0)
    x = np.eye(6)[rng.integers(6, size=400)] + 0.05 * rng.standard_normal((400, 6))
    x[7] = x[x[:, 0] > 0.5][0] + x[x[:, 1] > 0.5][0]
    assert score_prototypes(x, fit_kmeans(x, 6)).scores.argmax() == 7


@pytest.mark.parametrize("geometry", ["cosine", "euclidean"])
@pytest.mark.parametrize("text", [False, True])
def test_class_means_and_the_distance_to_the_own_one(geometry, text):
    x, y = blobs(600), np.random.default_rng(1).integers(-2, 3, size=600)
    labels = np.array([f"c{v + 2}" for v in y]) if text else y
    means = class_means(x, labels, geometry=geometry, block=BLOCK)
    rows = unit(x) if geometry == "cosine" else x.astype(float)
    wanted = np.array([rows[y == v].mean(axis=0) for v in range(-2, 3)])
    if geometry == "cosine":
        wanted = unit(wanted)
    assert np.abs(means.centroids - wanted).max() < 1e-6
    assert means.counts.sum() == 600
    scores = score_prototypes(x, means)
    rest = np.linalg.norm(rows - wanted[y + 2], axis=1)
    exact = rest**2 / 2 if geometry == "cosine" else rest
    assert scores.scores == pytest.approx(exact, rel=1e-4)
    assert (scores.clusters == y + 2).all()


def test_a_wrong_label_scores_high():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    x = np.eye(5)[y] + 0.1 * rng.standard_normal((300, 5))
    y[11] = (y[11] + 1) % 3
    assert score_prototypes(x, class_means(x, y)).scores.argmax() == 11


def test_shards_and_workers_do_not_move_a_bit(tmp_path):
    x, y = blobs(2 * PIECE + 50), np.random.default_rng(1).integers(4, size=2 * PIECE + 50)
    np.save(tmp_path / "y.npy", y)
    paths = shards(tmp_path / "a", x, [3, 600])
    with LocalPool(2) as pool:
        for pruned in (
            lambda rows, **how: fit_kmeans(rows, 5, block=BLOCK, **how),
            lambda rows, **how: class_means(rows, tmp_path / "y.npy", block=BLOCK, **how),
        ):
            alone = score_prototypes(x, pruned(x))
            other = score_prototypes(paths, pruned(paths[::-1], executor=pool), executor=pool)
            for name, column in alone.to_columns().items():
                assert column.tobytes() == other.to_columns()[name].tobytes()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(19, dtype=int), r"labels: labels has shape \(19,\), and there are 20 rows"),
        (np.zeros(20), "labels: labels holds float64"),
        (np.zeros((20, 2), dtype=int), r"holds int64 of shape \(20, 2\)"),
        (np.array([{}] * 20), "expected an array of plain values"),
    ],
)
def test_bad_labels_are_named(labels, message):
    with pytest.raises(InputError, match=message):
        class_means(blobs(20), labels)


def test_rows_of_a_class_that_cancel_are_named():
    with pytest.raises(InputError, match="class 3: its rows cancel"):
        class_means([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], [3, 3, 4])


def test_prototypes_of_another_width_or_of_other_rows_are_refused():
    x = blobs(30)
    with pytest.raises(InputError, match="rows hold 5 numbers, the prototypes 12"):
        score_prototypes(x[:, :5], fit_kmeans(x, 2))
    with pytest.raises(InputError, match="and labels for 30"):
        score_prototypes(x[:20], class_means(x, np.zeros(30, dtype=int)))
    assert score_prototypes(x[:20], fit_kmeans(x, 2)).scores.size == 20


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_rows_that_were_not_looked_at_are_named_where_they_have_no_score(value):
    found = fit_kmeans(blobs(40), 3)
    other = blobs(30)
    other[17] = value
    with pytest.raises(InputError, match="array row 17: has no finite distance"):
        score_prototypes(other, found)


def test_a_folder_of_scores_says_what_it_holds(tmp_path):
    x = blobs(2 * PIECE + 9)
    ids = np.array([f"u{i}" for i in range(len(x))])
    opened = open_embeddings(shards(tmp_path / "a", x, [100], ids=ids))
    found = fit_kmeans(opened, 5, block=BLOCK)
    manifest = write_prototype_scores(opened, found, tmp_path / "out")
    assert json.loads(json.dumps(manifest)) == read_manifest(tmp_path / "out")
    assert [part["rows"] for part in manifest["shards"]] == [PIECE, PIECE, 9]
    assert manifest["rows_digest"] == found.checked.digest
    assert manifest["direction"] == "high is hard"
    assert manifest["definition"] == "1 - cosine to the nearest of 5 centroids of k-means"
    lines = "".join(
        hashlib.sha256((tmp_path / "out" / part[what]).read_bytes()).hexdigest() + "\n"
        for part in manifest["shards"] for what in ("scores", "ids")
    )  # fmt: skip
    assert manifest["digest"] == hashlib.sha256(lines.encode()).hexdigest()
    read, held = read_prototype_scores(tmp_path / "out"), score_prototypes(opened, found)
    for name, column in held.to_columns().items():
        assert np.array_equal(column, read.to_columns()[name])
    assert manifest["max"] == held.scores.max()
    assert np.array_equal(np.load(tmp_path / "out" / "centroids.npy"), found.centroids)
    assert np.array_equal(np.load(tmp_path / "out" / "clusters.npy"), held.clusters)
    with pytest.raises(InputError, match="holds finished scores"):
        write_prototype_scores(opened, found, tmp_path / "out")
    # A shorter answer leaves nothing of the longer one.
    (tmp_path / "out" / "manifest.json").unlink()
    write_prototype_scores(x[:20], found, tmp_path / "out")
    assert len(read_prototype_scores(tmp_path / "out").scores) == 20
    assert len(list((tmp_path / "out").glob("part-*"))) == 3


def test_writing_goes_on_where_it_stopped(tmp_path):
    x = blobs(3 * PIECE)
    found = fit_kmeans(x, 5, block=BLOCK)
    whole = write_prototype_scores(x, found, tmp_path / "whole")

    def stop(text):
        if text.startswith(f"scored row {2 * PIECE} "):
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write_prototype_scores(x, found, out, on_step=stop)
    with pytest.raises(InputError, match="was not finished"):
        read_prototype_scores(out)
    # Pieces of other prototypes are not taken for these.
    shutil.copytree(out, tmp_path / "other")
    changed = fit_kmeans(x, 9, block=BLOCK, rng=1)
    write_prototype_scores(x, changed, tmp_path / "other")
    wanted = score_prototypes(x, changed).scores
    assert np.array_equal(read_prototype_scores(tmp_path / "other").scores, wanted)
    # The second piece is damaged, the first is kept.
    (out / "part-000001.scores.npy").write_bytes(b"")
    seen = []
    assert write_prototype_scores(x, found, out, on_step=seen.append) == whole
    assert len(seen) == 2
    assert sorted(p.name for p in out.iterdir()) == sorted(
        p.name for p in (tmp_path / "whole").iterdir()
    )


def test_damaged_folders_are_named(tmp_path):
    x = blobs(50)
    write_prototype_scores(x, fit_kmeans(x, 2), tmp_path)
    path = tmp_path / "part-000000.scores.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 255]))
    with pytest.raises(InputError, match=r"part-000000\.scores\.npy: is missing or damaged"):
        read_prototype_scores(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"part-000000\.scores\.npy: is missing or damaged"):
        read_prototype_scores(tmp_path)
    for text, message in (("{", "is not JSON"), ("[]", "is not a manifest"), ("{}", "is not a")):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(InputError, match=message):
            read_manifest(tmp_path)


def test_memory_of_writing_does_not_grow_with_rows(tmp_path):
    peaks = []
    for i, rows in enumerate((20_000, 80_000)):
        np.save(tmp_path / f"{i}.npy", blobs(rows, dim=32))
        opened = open_embeddings(tmp_path / f"{i}.npy")
        found = fit_kmeans(opened, 20, passes=1, block=256)
        write_prototype_scores(opened, found, tmp_path / f"first {i}")
        tracemalloc.start()
        write_prototype_scores(opened, found, tmp_path / f"out {i}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
