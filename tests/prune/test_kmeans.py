import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss._core.executor import Dask, Here
from isoloss._core.local_pool import LocalPool
from isoloss.errors import InputError
from isoloss.prune import (
    bytes_needed,
    check_embeddings,
    fit_kmeans,
    open_embeddings,
    score_prototypes,
)
from isoloss.prune.kmeans_assign import (
    FARTHEST,
    SUMMED,
    assign_piece,
    nearest,
    sum_piece,
    sum_rows,
)
from isoloss.prune.pieces import prepare
from prune.prune_made import BLOCK, PIECE, blobs, same, shards

GEOMETRIES = ("cosine", "euclidean")


def plain_lloyd(x, centroids, passes, unit):
    """The algorithm on whole float64 arrays, as in a textbook."""
    x = x.astype(float)
    if unit:
        x = x / np.linalg.norm(x, axis=1)[:, None]
    for _ in range(passes):
        labels = ((x[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
        centroids = np.array([x[labels == j].mean(axis=0) for j in range(len(centroids))])
        if unit:
            centroids /= np.linalg.norm(centroids, axis=1)[:, None]
    return centroids


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_passes_are_those_of_the_textbook(geometry):
    x = blobs(2000)
    options = {"geometry": geometry, "start": "sample", "block": BLOCK, "rng": 3, "tolerance": 0}
    one = fit_kmeans(x, 9, passes=1, **options)
    # Rows that the start took: the seed's, which a single row a centroid shows.
    rows = np.sort(np.random.default_rng([3, 0]).choice(2000, 9, replace=False, shuffle=False))
    begin = x[rows].astype(float)
    if geometry == "cosine":
        begin /= np.linalg.norm(begin, axis=1)[:, None]
    for passes in (1, 6):
        found = one if passes == 1 else fit_kmeans(x, 9, passes=passes, **options)
        wanted = plain_lloyd(x, begin, passes, geometry == "cosine")
        assert np.abs(found.centroids - wanted).max() < 1e-5


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_objective_never_rises_and_the_counts_are_all_rows(geometry):
    found = fit_kmeans(blobs(), 10, geometry=geometry, block=BLOCK, tolerance=0, passes=30)
    assert (np.diff(found.objective) <= 1e-9).all()
    assert found.counts.sum() == 3000
    assert found.converged
    assert found.left <= 0.0 or found.objective.size == 30


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_shards_workers_and_order_do_not_move_a_bit(tmp_path, geometry):
    x = blobs(4 * PIECE + 100)
    options = {"geometry": geometry, "block": BLOCK, "passes": 4}
    whole = fit_kmeans(x, 8, **options)
    paths = shards(tmp_path / "a", x, [10, 700, 1537])
    assert same(fit_kmeans(paths, 8, **options), whole)
    assert same(fit_kmeans(paths[::-1], 8, **options), whole)
    assert same(fit_kmeans(paths, 8, executor=Here(), **options), whole)
    with LocalPool(2) as pool:
        assert same(fit_kmeans(paths[::-1], 8, executor=pool, **options), whole)
        assert same(fit_kmeans(x, 8, executor=pool, **options), whole)
    assert not same(fit_kmeans(x, 8, rng=1, **options), whole)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_gives_the_same_bits(tmp_path):
    distributed = pytest.importorskip("distributed")
    x = blobs(3 * PIECE + 5)
    paths = shards(tmp_path / "a", x, [100])
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            silence_logs=50, local_directory=str(tmp_path / "dask"),
        ) as cluster,
        Dask(cluster.scheduler_address) as executor,
    ):  # fmt: skip
        executor.client.run(sys.path.extend, sys.path)
        found = fit_kmeans(paths, 6, block=BLOCK, executor=executor)
        scores = score_prototypes(paths, found, executor=executor).scores
    assert same(found, fit_kmeans(x, 6, block=BLOCK))
    assert scores.tobytes() == score_prototypes(x, found).scores.tobytes()


def test_what_is_widened_gives_the_same_bits():
    x = blobs(300).astype("f2")
    wide = fit_kmeans(x.astype("f8"), 5, block=BLOCK)
    assert same(fit_kmeans(x, 5, block=BLOCK), wide)


class Stop(Exception):
    pass


def test_a_run_that_stops_goes_on_from_its_last_pass(tmp_path):
    x = blobs(2 * PIECE)
    options = {"block": BLOCK, "passes": 6, "tolerance": 0}
    whole = fit_kmeans(x, 8, **options)

    def stop(text):
        if text.startswith("pass 4, row 512"):
            raise Stop

    with pytest.raises(Stop):
        fit_kmeans(x, 8, journal=tmp_path, on_step=stop, **options)
    seen = []
    again = fit_kmeans(x, 8, journal=tmp_path, on_step=seen.append, **options)
    assert same(again, whole)
    assert next(t for t in seen if t.startswith("pass")).startswith("pass 4")
    # Finished: nothing is computed again.
    seen.clear()
    assert same(fit_kmeans(x, 8, journal=tmp_path, on_step=seen.append, **options), whole)
    assert not any(t.startswith("pass") for t in seen)
    # Other rows or settings do not find it.
    seen.clear()
    fit_kmeans(x, 8, journal=tmp_path, on_step=seen.append, **(options | {"rng": 1}))
    fit_kmeans(2 * x[::-1], 8, journal=tmp_path, on_step=seen.append, **options)
    assert sum(t.startswith("pass 1, row 0") for t in seen) == 2


def test_a_damaged_state_counts_for_nothing(tmp_path):
    x = blobs(PIECE)
    options = {"block": BLOCK, "passes": 5, "tolerance": 0}
    whole = fit_kmeans(x, 8, journal=tmp_path, **options)
    for path in tmp_path.rglob("pass-000005.npy"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 255]))
    seen = []
    assert same(fit_kmeans(x, 8, journal=tmp_path, on_step=seen.append, **options), whole)
    assert next(t for t in seen if t.startswith("pass")).startswith("pass 5")


@pytest.mark.slow
def test_a_killed_process_goes_on_from_its_last_pass(tmp_path):
    x = blobs(40_000, dim=32, centres=60)
    np.save(tmp_path / "x.npy", x)
    code = (
        "from isoloss.prune import fit_kmeans\n"
        f"f = fit_kmeans({str(tmp_path / 'x.npy')!r}, 50, block=64, passes=25, tolerance=0, "
        f"journal={str(tmp_path / 'j')!r})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"]
    )
    while not list((tmp_path / "j").rglob("pass-000003.sha256")):
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    seen = []
    options = {"block": 64, "passes": 25, "tolerance": 0}
    path = tmp_path / "x.npy"
    again = fit_kmeans(path, 50, journal=tmp_path / "j", on_step=seen.append, **options)
    assert not any(t.startswith("pass 1,") for t in seen)
    assert same(again, fit_kmeans(path, 50, **options))


def test_far_from_the_origin_nothing_is_lost():
    x = blobs(2000)
    near = fit_kmeans(x, 7, geometry="euclidean", block=BLOCK)
    # A shift that float32 holds exactly for rows rounded to multiples of 1/64.
    x = np.round(64 * x) / 64
    near = fit_kmeans(x, 7, geometry="euclidean", block=BLOCK)
    far = fit_kmeans(x + 4096, 7, geometry="euclidean", block=BLOCK)
    assert far.objective == pytest.approx(near.objective, rel=1e-5)
    assert np.abs(far.centroids - 4096 - near.centroids).max() < 1e-4


def test_cosine_does_not_see_lengths():
    x = blobs(1000)
    scale = 2.0 ** np.random.default_rng(0).integers(-20, 20, size=1000)
    a = fit_kmeans(x, 6, block=BLOCK)
    b = fit_kmeans((x * scale[:, None]).astype("f4"), 6, block=BLOCK)
    assert a.centroids.tobytes() == b.centroids.tobytes()


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("start", ["k-means++", "sample"])
def test_as_many_centroids_as_rows_and_more(geometry, start):
    x = blobs(40)
    found = fit_kmeans(x, 40, geometry=geometry, start=start)
    assert found.objective[-1] < 1e-12
    assert found.counts.tolist() == [1] * 40
    with pytest.raises(InputError, match="k = 41: there are 40 rows"):
        fit_kmeans(x, 41, geometry=geometry)


@pytest.mark.parametrize("start", ["k-means++", "sample"])
def test_fewer_distinct_rows_than_centroids_leave_clusters_empty(start):
    x = np.repeat(blobs(5), 20, axis=0)
    found = fit_kmeans(x, 8, start=start, passes=50)
    assert found.empty[-1] == 3
    assert found.objective[-1] < 1e-10
    assert sorted(found.counts)[3:] == [20] * 5


def test_an_empty_cluster_gets_the_farthest_row():
    lone = [[0.0, 1.0], [0.0, 1.0], [0.6, 0.8]]
    x = np.concatenate([np.repeat([[1.0, 0.0]], 50, axis=0), lone])
    # A seed whose three first centroids are copies: two clusters get no row.
    found = fit_kmeans(x, 3, start="sample", rng=0)
    assert found.empty[:2].tolist() == found.replaced[:2].tolist() == [2, 0]
    # The farthest row first; of its equals one only.
    assert np.abs(found.centroids - [[1, 0], [0, 1], [0.6, 0.8]])[1:].max() < 1e-6
    assert found.counts.tolist() == [50, 2, 1]
    assert found.objective[-1] < 1e-12


def test_a_cluster_that_holds_half_the_rows():
    rng = np.random.default_rng(0)
    heap = np.eye(8)[0] + 0.01 * rng.standard_normal((3000, 8))
    x = np.concatenate([heap, rng.standard_normal((3000, 8))])
    found = fit_kmeans(x, 8, block=BLOCK)
    assert found.counts.max() >= 3000
    assert found.empty[-1] == 0


def test_rows_that_cancel_keep_their_centroid():
    x = np.array([[1.0, 0.0], [-1.0, 0.0]] * 10)
    found = fit_kmeans(x, 1, passes=3)
    assert np.abs(np.linalg.norm(found.centroids, axis=1) - 1).max() < 1e-12


def test_passes_that_run_out_are_not_called_converged():
    found = fit_kmeans(blobs(), 30, passes=1)
    assert not found.converged
    assert found.left == np.inf
    assert "not converged" in repr(found)
    assert found.summary().endswith("not converged")


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(1, 1100), st.integers(0, 5))
def test_nearest_is_nearest(rows, k, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 5)).astype("f4")
    c = rng.standard_normal((k, 5)).astype("f4")
    labels, squared = nearest(x, c)
    exact = ((x[:, None].astype(float) - c) ** 2).sum(axis=2)
    assert np.abs(exact[np.arange(rows), labels] - exact.min(axis=1)).max() < 1e-5
    assert squared == pytest.approx(exact[np.arange(rows), labels], rel=1e-5, abs=1e-12)


def test_of_equal_centroids_the_first_is_taken():
    c = np.ones((2500, 3), dtype=np.float32)
    labels, squared = nearest(np.ones((3, 3), dtype=np.float32), c)
    assert labels.tolist() == [0, 0, 0]
    assert squared.tolist() == [0, 0, 0]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_memory_is_stated_and_does_not_grow_with_rows(tmp_path, geometry):
    peaks = []
    for i, rows in enumerate((20_000, 80_000)):
        np.save(tmp_path / f"{i}.npy", blobs(rows, dim=32))
        opened = open_embeddings(tmp_path / f"{i}.npy")
        fit_kmeans(opened, 20, passes=1, block=256, geometry=geometry)
        tracemalloc.start()
        fit_kmeans(opened, 20, passes=2, block=256, geometry=geometry)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < bytes_needed(80_000, 32, 20, block=256)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k = 0: must be a whole number from 1"),
        ({"k": 2.5}, "k = 2.5"),
        ({"k": True}, "k = True"),
        ({"passes": 0}, "passes = 0"),
        ({"tolerance": -1}, "tolerance = -1"),
        ({"tolerance": float("nan")}, "tolerance = nan"),
        ({"geometry": "l1"}, "geometry = 'l1': write cosine or euclidean"),
        ({"start": "x"}, "start = 'x': write k-means"),
        ({"rng": -1}, "rng = -1"),
        ({"block": 0}, "block = 0"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(InputError, match=message):
        fit_kmeans(blobs(20), **({"k": 3} | options))


def test_what_was_checked_must_fit():
    x = blobs(20)
    x[3] = 0
    checked = check_embeddings(open_embeddings(x), geometry="euclidean")
    with pytest.raises(InputError, match="a row is zero and has no direction"):
        fit_kmeans(x, 3, checked=checked)
    with pytest.raises(InputError, match="is of 20 rows of 12, and these are 19 of 12"):
        fit_kmeans(x[:19], 3, geometry="euclidean", checked=checked)
    for factor in (1e25, 1e-20):
        with pytest.raises(InputError, match="squares of distances leave float32"):
            fit_kmeans(x * factor, 3, geometry="euclidean")
        assert fit_kmeans(blobs(20) * factor, 3).converged
    assert fit_kmeans(np.zeros((9, 2)), 2, geometry="euclidean").objective.tolist() == [0]


def test_a_generator_gives_a_seed():
    x = blobs(200)
    found = fit_kmeans(x, 5, rng=np.random.default_rng(4))
    seed = int(np.random.default_rng(4).integers(2**62))
    assert found.settings["seed"] == seed
    assert same(fit_kmeans(x, 5, rng=seed), found)


def test_to_dict_is_plain():
    found = fit_kmeans(blobs(200), 3)
    answer = found.to_dict()
    assert answer["passes"] == len(answer["objective"])
    assert answer["digest"] == found.checked.digest
    assert Path("x") not in answer.values()


@pytest.mark.parametrize("rising", [True, False])
def test_the_farthest_rows_are_those_of_a_sort(rising):
    angle = np.linspace(0.1, 1.5, PIECE)[:: 1 if rising else -1]
    angle[2 * BLOCK : 3 * BLOCK] = angle[BLOCK : 2 * BLOCK]
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    near = np.array([[1, 0]], dtype=np.float32)
    found = sum_piece(open_embeddings(x), BLOCK, near, None)
    _, squared = nearest(prepare(x, None), near)
    order = np.argsort(-squared, kind="stable")[:FARTHEST]
    assert found.far_rows.tolist() == order.tolist()
    np.testing.assert_allclose(found.far, squared[order], rtol=1e-6)


@pytest.mark.parametrize("noise", [1e-4, 0.05, 1.0])
def test_distances_of_unit_rows_keep_their_digits_near_and_far(noise):
    rng = np.random.default_rng(1)
    near = prepare(rng.normal(size=(20, 64)).astype(np.float32), None)
    x = np.repeat(near, 50, axis=0) + noise * rng.normal(size=(1000, 64)).astype(np.float32)
    labels, squared = assign_piece(open_embeddings(x), BLOCK, near, None)
    wide, centroids = prepare(x, None).astype(np.float64), near.astype(np.float64)
    exact = ((wide[:, None] - centroids) ** 2).sum(axis=2)
    assert labels.tolist() == exact.argmin(axis=1).tolist()
    np.testing.assert_allclose(squared, exact.min(axis=1), rtol=3e-6)


@pytest.mark.parametrize("k", [2, 500])
def test_sums_of_few_and_of_many_rows_are_those_of_float64(k):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(5000, 3)).astype(np.float32) + 100
    labels = rng.integers(k, size=5000)
    present, sums = sum_rows(x, labels, k)
    exact = np.zeros((k, 3))
    np.add.at(exact, labels, x.astype(np.float64))
    assert (np.bincount(labels, minlength=k).max() > SUMMED) == (k == 2)
    np.testing.assert_allclose(sums, exact[present], rtol=1e-6 if k == 500 else 1e-13)
