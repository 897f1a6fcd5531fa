"""Products by torch give numpy's clusters, scores and duplicates, but for rounding."""

import json
import subprocess
import sys

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError
from isoloss.prune import (
    class_means,
    find_duplicates,
    fit_kmeans,
    on_device,
    read_prototype_scores,
    score_prototypes,
    write_prototype_scores,
)
from isoloss.prune.dedup_rules import near_pairs
from isoloss.prune.embeddings import open_embeddings
from isoloss.prune.kmeans_assign import assign_piece, sum_piece
from isoloss.prune.prototypes_folder import read_manifest
from prune.prune_made import BLOCK, blobs, shards

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request):
    torch = pytest.importorskip("torch")
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    torch.set_num_threads(1)
    return request.param


def gaps(x, centroids):
    """How much nearer the nearest centroid is than the next, in squared distance."""
    squared = np.square(x[:, None].astype(float) - centroids[None]).sum(axis=2)
    squared.sort(axis=1)
    return squared[:, 1] - squared[:, 0]


@pytest.mark.parametrize("geometry", ["cosine", "euclidean"])
@pytest.mark.parametrize("tile", [4096, 3])
def test_a_piece_gives_the_same_sums_and_clusters(device, geometry, tile, monkeypatch):
    monkeypatch.setattr(on_device, "_TILE", tile)
    x = blobs(700, dim=10)
    rng = np.random.default_rng(1)
    centroids = rng.standard_normal((8, 10)).astype("f4")
    mean = x.mean(axis=0) if geometry == "euclidean" else None
    unit = x - mean if mean is not None else x / np.linalg.norm(x, axis=1)[:, None]
    if mean is None:
        centroids /= np.linalg.norm(centroids, axis=1)[:, None]
    piece = open_embeddings(x).cut(100, 700)
    for block in (BLOCK, 1000):
        here = assign_piece(piece, block, centroids, mean)
        there = on_device.assign_on_device(piece, block, centroids, mean, device)
        sure = gaps(unit[100:], centroids) > 1e-5
        assert sure.mean() > 0.9
        assert (here[0] == there[0])[sure].all()
        assert there[0].dtype == np.int32
        assert there[1] == pytest.approx(here[1], abs=1e-5)
        ours = sum_piece(piece, block, centroids, mean)
        theirs = on_device.sum_on_device(piece, block, centroids, mean, device)
        assert theirs.counts.tolist() == np.bincount(there[0], minlength=8).tolist()
        wanted = np.zeros((8, 10))
        np.add.at(wanted, there[0], unit[100:].astype(float))
        assert theirs.total == pytest.approx(wanted, abs=1e-4)
        assert theirs.distance == pytest.approx(ours.distance, rel=1e-6)
        assert theirs.far == pytest.approx(ours.far, rel=1e-5)
        assert theirs.far_rows.tolist() == ours.far_rows.tolist()
        assert theirs.far_vectors == pytest.approx(ours.far_vectors, abs=1e-6)
        again = on_device.sum_on_device(piece, block, centroids, mean, device)
        assert again.total.tobytes() == theirs.total.tobytes()


def test_equal_rows_and_centroids_go_to_the_first(device):
    x = np.repeat(np.eye(4, dtype="f4"), 30, axis=0)
    piece = open_embeddings(x)
    twice = np.repeat(np.eye(4, dtype="f4"), 2, axis=0)
    labels, squared = on_device.assign_on_device(piece, BLOCK, twice, None, device)
    assert labels.tolist() == np.repeat([0, 2, 4, 6], 30).tolist()
    assert not squared.any()
    far = on_device.sum_on_device(piece, BLOCK, twice[:1], None, device).far_rows
    assert far.tolist() == list(range(30, 62))


@pytest.mark.parametrize("geometry", ["cosine", "euclidean"])
@pytest.mark.parametrize("start", ["k-means++", "sample"])
def test_clusters_and_scores_agree(device, geometry, start):
    x = blobs(3000)
    options = {"geometry": geometry, "start": start, "passes": 12, "block": BLOCK}
    here = fit_kmeans(x, 7, **options)
    there = fit_kmeans(x, 7, device=device, **options)
    assert there.settings["device"] == device
    assert "device" not in here.settings
    assert there.centroids == pytest.approx(here.centroids, abs=1e-4)
    assert there.objective == pytest.approx(here.objective, rel=1e-5)
    assert np.abs(there.counts - here.counts).sum() <= 4
    ours, theirs = score_prototypes(x, here), score_prototypes(x, there, device=device)
    assert theirs.scores == pytest.approx(ours.scores, abs=1e-3)
    assert (theirs.clusters == ours.clusters).mean() > 0.999
    assert theirs.ids.tolist() == ours.ids.tolist()


@pytest.mark.parametrize("rule", ["greedy", "code", "paper"])
@pytest.mark.parametrize("neighbours", [1, 2])
def test_duplicates_are_the_same(device, rule, neighbours, monkeypatch, tmp_path):
    x = blobs(1200, dim=6)
    x[5:40] = 2 * x[100:135]
    clusters = fit_kmeans(x, 4)
    options = {"eps": 0.003, "rule": rule, "neighbours": neighbours, "clusters": clusters}
    here = find_duplicates(x, **options)
    assert 35 < here.removed.size < 1000
    for panel, held in ((2048, 1 << 30), (64, 1 << 30), (64, 1)):
        monkeypatch.setattr(on_device, "_PANEL", panel)
        monkeypatch.setattr(on_device.DevicePanels, "size", panel)
        there = find_duplicates(x, device=device, cluster_bytes=held, scratch=tmp_path, **options)
        # The order of rows is that of float32 distances, which may change places within rounding.
        same = np.intersect1d(here.removed, there.removed).size
        assert same > 0.97 * max(here.removed.size, there.removed.size)
        assert abs(here.removed.size - there.removed.size) <= 2
    unit = x / np.linalg.norm(x, axis=1)[:, None]
    pairs = [sorted(zip(*(v.tolist() for v in near_pairs(unit, 0.003, where)), strict=True))
             for where in (None, device)]  # fmt: skip
    assert pairs[0] == pairs[1]


def test_precision_and_order_are_put_back(device):
    import torch

    torch.set_float32_matmul_precision("medium")
    try:
        x = open_embeddings(blobs(50))
        on_device.sum_on_device(x, BLOCK, blobs(3), None, device)
        assert torch.get_float32_matmul_precision() == "medium"
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")


def test_another_engine_does_not_go_on(device, tmp_path):
    x = blobs(400)
    fit_kmeans(x, 3, passes=1, journal=tmp_path / "n")
    with pytest.raises(InputError, match="was begun by numpy and cannot be gone on with"):
        fit_kmeans(x, 3, passes=1, journal=tmp_path / "n", device=device)
    short = fit_kmeans(x, 3, passes=2, tolerance=0, journal=tmp_path / "d", device=device)
    again = fit_kmeans(x, 3, passes=2, tolerance=0, journal=tmp_path / "d", device=device)
    assert again.centroids.tobytes() == short.centroids.tobytes()
    with pytest.raises(InputError, match=f"was begun by torch on {device} .* by numpy"):
        fit_kmeans(x, 3, passes=2, journal=tmp_path / "d")
    (tmp_path / "s" / ".unfinished").mkdir(parents=True)
    (tmp_path / "s" / ".unfinished" / "engine.txt").write_text("numpy\n")
    with pytest.raises(InputError, match="was begun by numpy"):
        write_prototype_scores(x, short, tmp_path / "s", device=device)


def test_a_device_alone(device):
    x = blobs(60)
    clusters = fit_kmeans(x, 2)
    for job in (
        lambda **o: fit_kmeans(x, 2, **o),
        lambda **o: score_prototypes(x, clusters, **o),
        lambda **o: find_duplicates(x, eps=0.1, **o),
    ):
        with pytest.raises(InputError, match="workers would share it"):
            job(device=device, executor=object())
        with pytest.raises(InputError, match="write 'cpu', 'cuda'"):
            job(device="gpu")
    means = class_means(x, np.arange(60) % 2)
    with pytest.raises(InputError, match="no products to gain"):
        score_prototypes(x, means, device=device)


def test_devices_on_the_command_line(device, tmp_path):
    folder = tmp_path / "rows"
    shards(folder, blobs(300), [120])
    words = ("prune", "score", folder, "--k", "3", "--passes", "50")
    done = call(*words, "--device", device, "--out", tmp_path / "a", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["device"] == device
    assert call(*words, "--out", tmp_path / "b").exit_code == 0
    about = [read_manifest(tmp_path / name) for name in "ab"]
    assert [(m["engine"], m["device"]) for m in about] == [("torch", device), ("numpy", None)]
    ours, theirs = (read_prototype_scores(tmp_path / name).scores for name in "ba")
    assert theirs == pytest.approx(ours, abs=1e-4)
    both = call(*words, "--device", device, "--executor", "here", "--out", tmp_path / "c")
    assert both.exit_code == 2
    assert "workers would share it" in both.stderr
    np.save(tmp_path / "labels.npy", np.arange(300) % 3)
    alone = call("prune", "score", folder, "--labels", tmp_path / "labels.npy", "--device", device,
                 "--out", tmp_path / "d")  # fmt: skip
    assert alone.exit_code == 2
    assert "class means have no products" in alone.stderr
    copies = call("prune", "dedup", folder, "--eps", "0.01", "--device", device, "--neighbours",
                  "2", "--k", "3", "--json")  # fmt: skip
    assert json.loads(copies.stdout)["neighbours"] == 2


def test_an_absent_device_is_named_before_anything_is_written(tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    np.save(tmp_path / "x.npy", blobs(30))
    for words in (("score", "--k", "2", "--out", tmp_path / "s"), ("dedup", "--eps", "0.1")):
        gone = call("prune", words[0], tmp_path / "x.npy", *words[1:], "--device", "cuda")
        assert gone.exit_code == 1
        assert gone.stderr.startswith("error: device = 'cuda': torch")
        assert "finds no CUDA device here" in gone.stderr
    assert not (tmp_path / "s").exists()


def test_without_torch_numpy_works_and_the_extra_is_named():
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.modules['torch'] = None\n"
        "import numpy as np\nfrom isoloss.errors import MissingExtra\n"
        "from isoloss.prune import fit_kmeans\n"
        "x = np.eye(4)\nprint(len(fit_kmeans(x, 2).centroids))\n"
        "try:\n    fit_kmeans(x, 2, device='cpu')\n"
        "except MissingExtra as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "2", done.stderr
    assert "pip install 'isoloss[train]'" in done.stdout
