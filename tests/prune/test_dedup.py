import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss._core.local_pool import LocalPool
from isoloss.errors import InputError
from isoloss.prune import (
    dedup_rules,
    default_clusters,
    find_duplicates,
    fit_kmeans,
    open_embeddings,
    score_prototypes,
)
from isoloss.prune.dedup_folder import write_duplicates
from isoloss.prune.dedup_rules import duplicates
from isoloss.prune.plan import DEDUP_ROW_BYTES
from prune.prune_made import blobs, shards


def turned(*degrees):
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def plain(x, eps, rule):
    """The rules as loops over pairs, in float64."""
    x = x.astype(float)
    x = x / np.linalg.norm(x, axis=1)[:, None]
    near = np.array([[((a - b) ** 2).sum() / 2 < eps for b in x] for a in x])
    n, gone = len(x), np.zeros(len(x), dtype=bool)
    if rule == "code":
        return np.array([near[:j, j].any() for j in range(n)])
    if rule == "greedy":
        for j in range(n):
            gone[j] = (near[:j, j] & ~gone[:j]).any()
        return gone
    group = np.arange(n)
    for _ in range(n):
        group = np.array([group[near[j]].min() for j in range(n)])
    return group != np.arange(n)


def test_the_chain_that_tells_the_rules_apart():
    # Neighbours at cosine .966, ends at .866: near, near, and not near.
    chain = turned(0, 15, 30)
    removed = {rule: duplicates(chain, 0.05, rule) for rule in ("greedy", "code", "paper")}
    assert removed["greedy"][0].tolist() == [False, True, False]
    assert removed["code"][0].tolist() == [False, True, True]
    assert removed["paper"][0].tolist() == [False, True, True]
    assert removed["code"][1].tolist() == [-1, 0, 1]
    assert removed["paper"][1].tolist() == [-1, 0, 0]
    # With the middle last, the program keeps both ends and the group keeps one.
    middle_last = turned(0, 30, 15)
    assert duplicates(middle_last, 0.05, "code")[0].tolist() == [False, False, True]
    assert duplicates(middle_last, 0.05, "paper")[0].tolist() == [False, True, True]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.001, 0.02, 0.2, 1.0]), st.integers(2, 60))
def test_the_rules_are_those_of_loops_over_pairs(seed, eps, n):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3)).astype("f4")
    x[rng.integers(n, size=n // 3)] = x[0]
    x /= np.linalg.norm(x, axis=1)[:, None]
    panel, dedup_rules.PANEL = dedup_rules.PANEL, 7
    try:
        found = {rule: duplicates(x, eps, rule) for rule in ("greedy", "code", "paper")}
    finally:
        dedup_rules.PANEL = panel
    for rule, (removed, partner) in found.items():
        assert removed.tolist() == plain(x, eps, rule).tolist(), rule
        assert ((partner >= 0) == removed).all()
        assert (partner[removed] < np.flatnonzero(removed)).all()
        if rule != "code":
            assert not removed[partner[removed]].any()
        whole = duplicates(x, eps, rule)
        assert (whole[0] == removed).all()
    assert (found["greedy"][0] <= found["code"][0]).all()
    assert (found["code"][0] <= found["paper"][0]).all()


@pytest.mark.parametrize("rule", ["greedy", "code", "paper"])
def test_copies_are_at_distance_zero_however_products_round(rule):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 300)).astype("f4")
    x = np.concatenate([x, x])
    x /= np.linalg.norm(x, axis=1)[:, None]
    removed, partner = duplicates(x, 1e-12, rule)
    assert removed.tolist() == [False] * 40 + [True] * 40
    assert partner[40:].tolist() == list(range(40))
    # Strictly below: at zero nothing goes.
    assert not duplicates(x, 0.0, rule)[0].any()


def test_more_rows_than_a_panel_and_all_alike():
    x = np.repeat(turned(10), 2500, axis=0)
    for rule in ("greedy", "code", "paper"):
        removed, partner = duplicates(x, 0.05, rule)
        assert removed.sum() == 2499
        assert not removed[0]
        assert partner[-1] == 0 or rule == "code"


def test_planted_copies_are_found_and_named():
    x = blobs(2000, dim=24)
    rng = np.random.default_rng(5)
    copies = rng.permutation(2000)[:200].reshape(2, 100)
    x[copies[0]] = 3 * x[copies[1]] * (1 + 1e-6 * rng.standard_normal((100, 24)))
    found = find_duplicates(x, eps=1e-6, k=5)
    pairs = {frozenset(p) for p in copies.T.tolist()}
    assert {
        frozenset(p) for p in zip(found.removed.tolist(), found.partners.tolist(), strict=True)
    } == pairs
    assert found.cosines.min() > 1 - 1e-6
    assert sorted([*found.kept, *found.removed]) == list(range(2000))
    assert found.to_dict()["removed"] == 100


def test_which_row_stays_is_chosen_by_its_distance_from_the_centroid():
    heap = turned(*np.linspace(-20, 20, 41))
    pair = turned(60.0, 60.5)
    x = np.concatenate([heap, pair])
    hard = find_duplicates(x, eps=1e-4, k=1, prefer="hard")
    easy = find_duplicates(x, eps=1e-4, k=1, prefer="easy")
    assert hard.removed.tolist() == [41]
    assert easy.removed.tolist() == [42]


@pytest.mark.parametrize("rule", ["greedy", "code", "paper"])
def test_shards_workers_and_scratch_files_give_the_same(tmp_path, rule):
    x = blobs(3000, dim=6)
    options = {"eps": 0.01, "rule": rule, "k": 4, "passes": 3}
    whole = find_duplicates(x, **options)
    assert 100 < whole.removed.size < 2900
    paths = shards(tmp_path / "a", x, [700, 2000])
    with LocalPool(2) as pool:
        others = [
            find_duplicates(paths[::-1], **options),
            find_duplicates(x, cluster_bytes=1, scratch=tmp_path, **options),
            find_duplicates(paths, executor=pool, **options),
            find_duplicates(x, executor=pool, cluster_bytes=1, **options),
            find_duplicates(x, clusters=whole.clusters, eps=0.01, rule=rule),
        ]
    for other in others:
        for name in ("kept", "removed", "partners", "cosines"):
            assert getattr(other, name).tobytes() == getattr(whole, name).tobytes(), name
    assert not list(tmp_path.glob("isoloss-*"))


def test_one_cluster_with_half_the_rows_in_a_file(tmp_path):
    rng = np.random.default_rng(0)
    heap = np.eye(8)[0] + 0.02 * rng.standard_normal((2500, 8))
    x = np.concatenate([heap, rng.standard_normal((2500, 8))]).astype("f4")
    small = find_duplicates(x, eps=1e-4, k=8, cluster_bytes=1 << 16, scratch=tmp_path)
    whole = find_duplicates(x, eps=1e-4, k=8)
    assert small.clusters.counts.max() >= 2500
    assert small.removed.tobytes() == whole.removed.tobytes()


def test_files_hold_ids_and_reasons(tmp_path):
    x = np.concatenate([blobs(60), blobs(60)[10:20]])
    ids = np.random.default_rng(0).permutation(70) * 11
    opened = open_embeddings(x, ids=ids)
    found = find_duplicates(opened, eps=1e-6, k=1)
    answer = write_duplicates(opened, found, tmp_path / "kept.npy")
    kept, removed, partners = (
        np.load(tmp_path / name) for name in ("kept.npy", "kept.removed.npy", "kept.partners.npy")
    )
    assert answer["removed"] == len(removed) == 10
    assert (np.diff(kept) > 0).all()
    assert sorted([*kept, *removed]) == sorted(ids)
    place = {v: i for i, v in enumerate(ids)}
    for a, b in zip(removed, partners, strict=True):
        assert abs(place[a] - place[b]) in range(50, 61)
    with pytest.raises(InputError, match="is there already"):
        write_duplicates(opened, found, tmp_path / "kept.npy")
    pairs = np.stack([np.full(70, 5), ids], axis=1).astype("u8")
    opened = open_embeddings(x, ids=pairs)
    write_duplicates(opened, found, tmp_path / "pairs.npy")
    assert np.load(tmp_path / "pairs.npy")[:, 1].tolist() == kept.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": -0.1}, "eps = -0.1"),
        ({"eps": float("nan")}, "eps = nan"),
        ({"eps": 0.1, "rule": "all"}, "rule = 'all'"),
        ({"eps": 0.1, "prefer": "x"}, "prefer = 'x'"),
        ({"eps": 0.1, "k": 31}, "k = 31: there are 30 rows"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(InputError, match=message):
        find_duplicates(blobs(30), **options)


def test_clusters_must_be_of_these_rows_and_by_cosine():
    x = blobs(30)
    with pytest.raises(InputError, match="duplicates go by cosine"):
        find_duplicates(x, eps=0.1, clusters=fit_kmeans(x, 2, geometry="euclidean"))
    with pytest.raises(InputError, match="are those of 30 rows, and there are 20"):
        find_duplicates(x[:20], eps=0.1, clusters=fit_kmeans(x, 2))


def test_memory_grows_by_what_is_stated_for_a_row(tmp_path):
    peaks = []
    for i, rows in enumerate((10_000, 40_000)):
        np.save(tmp_path / f"{i}.npy", np.random.default_rng(0).standard_normal((rows, 64)))
        clusters = fit_kmeans(tmp_path / f"{i}.npy", rows // 500, passes=1, start="sample")
        tracemalloc.start()
        find_duplicates(tmp_path / f"{i}.npy", eps=0.05, clusters=clusters)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 30_000 * DEDUP_ROW_BYTES + 5e6


def test_the_clusters_taken_unasked_balance_passes_and_pairs():
    for rows in (10**4, 10**6, 10**9):
        k = default_clusters(rows, 10)
        assert rows**2 / k == pytest.approx(2 * 10 * rows * k, rel=0.1)
    assert default_clusters(1) == 1


def brute(x, eps, rule, key, shared):
    """The rule by loops over all pairs that are compared, rows in the order of the key."""
    unit = x.astype(float) / np.linalg.norm(x.astype(float), axis=1)[:, None]
    order = np.argsort(key, kind="stable")
    near = (np.square(unit[:, None] - unit).sum(axis=2) / 2 < eps) & shared
    removed, group = set(), {i: i for i in range(len(x))}
    for place, i in enumerate(order):
        for j in order[:place]:
            if near[i, j]:
                if rule == "code" or (rule == "greedy" and j not in removed):
                    removed.add(i)
                one, other = group[i], group[j]
                group = {a: other if g == one else g for a, g in group.items()}
    if rule == "paper":
        seen = set()
        for i in order:
            (removed if group[i] in seen else seen).add(i if group[i] in seen else group[i])
    return sorted(int(i) for i in removed)


@pytest.mark.parametrize("rule", ["greedy", "code", "paper"])
@pytest.mark.parametrize("prefer", ["hard", "easy"])
def test_two_neighbours_see_all_pairs_that_share_one(rule, prefer):
    sizes = np.zeros(3, dtype=int)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((90, 3)).astype("f4")
        clusters = fit_kmeans(x, 6, rng=seed)
        scores = score_prototypes(x, clusters).scores
        key = scores if prefer == "easy" else -scores
        unit = x / np.linalg.norm(x, axis=1)[:, None]
        nearest = np.argsort(-unit @ clusters.centroids.T, axis=1)
        options = {"eps": 0.02, "rule": rule, "prefer": prefer, "clusters": clusters}
        for count in (1, 2):
            mine = np.eye(6)[nearest[:, :count]].sum(axis=1)
            found = find_duplicates(x, neighbours=count, **options)
            assert found.removed.tolist() == brute(x, 0.02, rule, key, mine @ mine.T > 0)
            sizes[count] += found.removed.size
            cosines = (unit[found.removed] * unit[found.partners]).sum(axis=1)
            assert found.cosines == pytest.approx(cosines, abs=1e-6)
            place = np.argsort(np.argsort(key, kind="stable"))
            assert (place[found.partners] < place[found.removed]).all()
            if rule != "code":
                assert not set(found.partners) & set(found.removed)
    assert sizes[2] > sizes[1]


def test_two_neighbours_with_one_cluster_or_more_than_a_tile(monkeypatch):
    from isoloss.prune import dedup_border

    x = blobs(500)
    whole = find_duplicates(x, eps=0.05, k=1)
    both = find_duplicates(x, eps=0.05, k=1, neighbours=2)
    assert both.removed.tobytes() == whole.removed.tobytes()
    assert both.to_dict()["neighbours"] == 2
    clusters = fit_kmeans(x, 9)
    # Two clusters of two are all rows: nothing is left to a border.
    two = find_duplicates(x, eps=0.05, k=2, neighbours=2)
    order = fit_kmeans(x, 2)
    assert two.removed.size >= find_duplicates(x, eps=0.05, clusters=order).removed.size
    wide = find_duplicates(x, eps=0.05, clusters=clusters, neighbours=2)
    monkeypatch.setattr(dedup_border, "TILE_CENTROIDS", 2)
    narrow = find_duplicates(x, eps=0.05, clusters=clusters, neighbours=2)
    with LocalPool(2) as pool:
        away = find_duplicates(x, eps=0.05, clusters=clusters, neighbours=2, executor=pool)
    for name in ("kept", "removed", "partners", "cosines"):
        assert getattr(narrow, name).tobytes() == getattr(wide, name).tobytes()
        assert getattr(away, name).tobytes() == getattr(wide, name).tobytes()


def test_near_pairs_beyond_memory_are_refused(monkeypatch):
    monkeypatch.setattr(dedup_rules, "MOST_PAIRS", 1000)
    x = np.repeat(turned(10, 80), 100, axis=0)
    with pytest.raises(InputError, match="more than 1e\\+03 near pairs"):
        find_duplicates(x, eps=0.01, k=2, neighbours=2)
    with pytest.raises(InputError, match="neighbours = 3"):
        find_duplicates(x, eps=0.01, k=2, neighbours=3)
