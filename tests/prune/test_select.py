import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.prune import ByCluster, Stratified, score_forgetting, select
from isoloss.prune.scores_ids import as_ids, hash_ids
from isoloss.prune.select_rank import first, middle, ranks

POLICIES = ("hard", "easy", "random", "middle", "stratified", Stratified(7, "mass"))


def made(seed=0, n=200, levels=12):
    """Scores with many ties, ids that are no row numbers, labels and clusters of unequal size."""
    rng = np.random.default_rng(seed)
    return {
        "scores": rng.integers(levels, size=n).astype(float) / 4,
        "ids": rng.choice(10**9, n, replace=False),
        "labels": np.minimum(rng.geometric(0.4, n), 6),
        "clusters": rng.integers(9, size=n),
    }


def shuffled(data, seed=1):
    order = np.random.default_rng(seed).permutation(len(data["scores"]))
    return {k: v[order] for k, v in data.items()}


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("floor", [0.0, 0.3, 0.6])
def test_the_budget_is_exact_and_the_order_of_rows_does_not_matter(policy, floor):
    data = made()
    how = {"policy": policy, "class_floor": floor, "cluster_floor": floor / 2, "seed": 4}
    for budget in (1, 37, 120, 199, 200):
        if floor and budget in (1, 199):
            continue
        found = select(budget=budget, **data, **how)
        assert len(found) == budget == len(found.kept) == found.mask.sum() == found.rows.size
        again = select(budget=budget, **shuffled(data), **how)
        for name in ("ids", "score", "reason"):
            assert getattr(found, name).tobytes() == getattr(again, name).tobytes()
        assert set(data["ids"][found.mask]) == set(found.kept)
        assert set(found.kept) | set(found.dropped_ids.tolist()) == set(data["ids"])


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 4), st.data())
@settings(max_examples=150, deadline=None)
def test_first_is_a_full_sort(seed, n, levels, data):
    rng = np.random.default_rng(seed)
    key, ids = rng.integers(levels, size=n).astype(np.float32), rng.permutation(n)
    count = data.draw(st.integers(0, n))
    order = np.lexsort((ids, hash_ids(ids, 3), -key))
    assert np.flatnonzero(first(key, ids, 3, count)).tolist() == sorted(order[:count])
    free = rng.random(n) < 0.5
    some = order[free[order]][:count]
    assert np.flatnonzero(first(key, ids, 3, count, among=free)).tolist() == sorted(some)


@pytest.mark.parametrize("policy", ["hard", "easy", "middle", "random", Stratified(2, "mass")])
def test_ties_do_not_follow_rows_or_ids(policy):
    rows = select(np.zeros(10_000), 5000, policy=policy).rows
    # 10 blocks of 1000, hypergeometric: standard deviation 15; false alarm below 1e-4.
    assert np.abs(np.bincount(rows // 1000, minlength=10) - 500).max() < 75
    other = select(np.zeros(10_000), 5000, policy=policy, seed=1).rows
    assert 2300 < np.intersect1d(rows, other).size < 2700


def splitmix(x):
    """Mix in plain Python, as printed in the paper."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def test_hash_is_the_same_for_ever():
    ids = [0, 1, -1, 2**63 - 1, -(2**63)]
    known = [splitmix((v + 0x9E3779B97F4A7C15) % 2**64) for v in ids]
    assert known[0] == 0xE220A8397B1DCDAF
    assert hash_ids(as_ids(ids), 0).tolist() == known
    assert hash_ids(as_ids(np.array([2**64 - 1, 0], dtype=np.uint64)), 0).tolist() == [
        known[2],
        known[0],
    ]
    one = (0xCBF29CE484222325 ^ ord("a")) * 0x100000001B3 % 2**64
    assert hash_ids(as_ids(["a"]), 0).tolist() == [splitmix((one + 0x9E3779B97F4A7C15) % 2**64)]
    texts = hash_ids(as_ids(["a", "b", "longer é"]), 7).tolist()
    assert texts == hash_ids(as_ids(["a", "b", "longer é", "x" * 50])[:3], 7).tolist()
    assert texts == hash_ids(as_ids(np.array([b"a", b"b", "longer é".encode()])), 7).tolist()
    assert len({*texts, *hash_ids(as_ids(["a", "b"]), 8).tolist()}) == 5


def test_hard_and_easy_keep_the_ends_middle_the_middle():
    scores = np.random.default_rng(0).permutation(100).astype(np.float32)
    assert sorted(scores[select(scores, 10).rows]) == list(range(90, 100))
    assert sorted(scores[select(scores, 10, policy="easy").rows]) == list(range(10))
    assert sorted(scores[select(scores, 10, policy="middle").rows]) == list(range(45, 55))
    assert select(scores, 10).cut == 90
    assert select(scores, 10, policy="easy").cut == 9
    assert select(scores, 10).score.dtype == np.float32


@given(st.integers(0, 2**32), st.sampled_from(["hard", "easy", "middle", Stratified(5, "mass")]))
@settings(max_examples=40, deadline=None)
def test_only_the_order_of_scores_matters(seed, policy):
    data = made(seed, n=80)
    how = {"policy": policy, "class_floor": 0.4, "noise_guard": 0.1, "seed": seed % 7}
    found = select(budget=30, **data, **how)
    data["scores"] = np.exp(data["scores"]) * 1e-3 - 7
    assert select(budget=30, **data, **how).reason.tobytes() == found.reason.tobytes()


def test_one_score_at_many_budgets():
    data = made()
    found = select(budget=20, **data, policy="hard", class_floor=0.5)
    larger = found.at(0.5)
    again = select(budget=100, **data, policy="hard", class_floor=0.5)
    assert larger.reason.tobytes() == again.reason.tobytes()
    for policy in ("hard", "easy", "random"):
        kept = [set(select(budget=b, **data, policy=policy).kept) for b in (10, 50, 90)]
        assert kept[0] < kept[1] < kept[2]
    assert pickle.loads(pickle.dumps(found)).at(30).kept == found.at(30).kept


@pytest.mark.parametrize(("share", "rows", "kept"), [(0.3, 10, 3), (0.29, 100, 29), (1.0, 7, 7),
                                                     (0.7, 10, 7), (0.25, 10, 3)])  # fmt: skip
def test_shares_are_rounded_to_the_nearest(share, rows, kept):
    assert len(select(np.arange(rows), share)) == kept


def test_class_floors_hold_and_the_rest_goes_by_rank():
    n = 1000
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2, 3], [700, 200, 90, 10])
    scores = rng.standard_normal(n) + labels * -2.0
    free = select(scores, 200, labels=labels)
    assert free.classes[2][1] == 0
    held = select(scores, 200, labels=labels, class_floor=0.5)
    assert {k: v[1] for k, v in held.classes.items()} == {0: 140, 1: 25, 2: 25, 3: 10}
    # Only what is below the cut is there for its class.
    assert held.reasons["class-floor"] == (held.mask & (scores < held.cut)).sum() > 35
    assert set(labels[held.row[held.reason == 1]]) == {1, 2, 3}
    for name in range(4):
        inside = np.flatnonzero(labels == name)
        best = inside[np.argsort(-scores[inside])][: held.classes[name][1]]
        np.testing.assert_array_equal(np.sort(best), np.flatnonzero(held.mask & (labels == name)))
    equal = select(scores, 40, labels=labels, class_floor=1.0)
    assert [v[1] for v in equal.classes.values()] == [10, 10, 10, 10]
    told = select(scores, 40, labels=labels, class_floor={3: 7, 2: 1})
    assert told.classes[3][1] == 7
    assert told.classes[2][1] == 1


def test_both_floors_hold():
    data = made(n=400)
    found = select(budget=150, **data, class_floor=0.4, cluster_floor=0.6)
    each_class, each_cluster = int(0.4 * 150 / 6), int(0.6 * 150 / 9)
    assert all(k >= min(rows, each_class) for rows, k in found.classes.values())
    assert all(k >= min(rows, each_cluster) for rows, k in found.clusters.values())


def test_what_a_class_floor_keeps_counts_for_the_cluster():
    groups = np.repeat([0, 1, 2], 20)
    scores = np.arange(60.0)
    found = select(scores, 30, labels=groups, clusters=groups, class_floor=1.0, cluster_floor=1.0)
    assert [k for _, k in found.classes.values()] == [10, 10, 10]


def reference_strata(scores, count, strata):
    """Counts of each stratum, filled from the smallest up as in the paper's code."""
    low, high = scores.min(), scores.max()
    place = np.minimum(((scores - low) / (high - low) * strata).astype(int), strata - 1)
    sizes = np.bincount(place, minlength=strata)
    left, kept = count, np.zeros(strata, dtype=int)
    for turn, stratum in enumerate(np.argsort(sizes, kind="stable")):
        kept[stratum] = min(sizes[stratum], left // (strata - turn))
        left -= kept[stratum]
    return place, kept


@given(st.integers(0, 2**32), st.integers(1, 299), st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_stratified_is_coverage_centric(seed, count, strata):
    scores = np.random.default_rng(seed).standard_normal(300) ** 3
    found = select(scores, count, policy=Stratified(strata), seed=seed % 100)
    place, kept = reference_strata(scores, count, strata)
    ours = np.bincount(place[found.rows], minlength=strata)
    assert ours.sum() == count
    # Strata of one size may take the odd one in another order.
    sizes = np.bincount(place, minlength=strata)
    assert sorted(zip(sizes, ours, strict=True)) == sorted(zip(sizes, kept, strict=True))


def test_noise_guard_drops_the_hardest_and_negative_scores_too():
    scores = -np.arange(100.0)
    found = select(scores, 20, noise_guard=0.1)
    assert found.reasons == {"rank": 20, "budget": 70, "suspect": 10}
    assert found.rows.tolist() == list(range(10, 30))
    other = select(scores, 20, noise_guard=0.1, suspicion=np.arange(100.0))
    assert not set(other.rows) & set(range(90, 100))
    assert other.rows.tolist() == list(range(20))


def test_strata_of_equal_mass_are_not_emptied_by_an_outlier():
    scores = np.append(np.random.default_rng(0).random(999), 1e9)
    wide = select(scores, 100, policy=Stratified(10))
    mass = select(scores, 100, policy=Stratified(10, "mass"))
    order = np.argsort(np.argsort(scores))
    np.testing.assert_array_equal(np.bincount(order[mass.rows] // 100), 10)
    assert 999 in wide.rows


def test_excluded_rows_and_neighbours_are_told():
    found = select([5.0, 4.0, 3.0], 1, ids=["a", "b", "c"], exclude=[True, False, False],
                   neighbour=["b", "a", "a"])  # fmt: skip
    assert found.kept == ["b"]
    assert found.to_columns()["reason"].tolist() == ["excluded", "rank", "budget"]
    assert found.to_columns()["neighbour"].tolist() == ["b", "a", "a"]


def test_by_shard_gives_local_rows():
    scores = np.random.default_rng(0).random(50)
    found = select(scores, 20)
    lengths = [7, 0, 30, 13]
    parts = found.by_shard(lengths)
    starts = np.cumsum([0, *lengths[:-1]])
    np.testing.assert_array_equal(
        np.concatenate([p + s for p, s in zip(parts, starts, strict=True)]), found.rows
    )
    assert parts[1].size == 0
    with pytest.raises(InputError, match="sum to 49"):
        found.by_shard([49])


def test_never_learned_is_kept_by_hard():
    correct = np.zeros((5, 4), dtype=bool)
    correct[:, 1:] = True
    correct[2, 2] = False
    for rule, kept in (("presentations", 0), ("inf", 0), ("zero", 2)):
        found = select(score_forgetting(correct, never_learned=rule), 1)
        assert found.kept == [kept]
        assert found.to_dict()["cut"] == {"presentations": 5, "inf": "inf", "zero": 1}[rule]


BAD = {
    "NaN, with ids": (
        {"scores": [1.0, np.nan, np.nan], "ids": [7, 9, 8]}, "2 of 3 are NaN, ids 8, 9"),
    "twice the same id": ({"scores": [1.0, 2.0, 3.0], "ids": ["a", "b", "a"]}, "repeat, such as a"),
    "budget of nothing": ({"budget": 0}, "keep from 1 to 3"),
    "share of nothing": ({"budget": 0.0}, "above 0"),
    "share that is no row": ({"budget": 0.01}, "is 0 of 3"),
    "more than there are": ({"budget": 4}, "keep from 1 to 3"),
    "share above one": ({"budget": 1.5}, "at most 1"),
    "a truth for a budget": ({"budget": True}, "budget = True"),
    "NaN for a budget": ({"budget": float("nan")}, "budget = nan"),
    "more than are left": ({"budget": 3, "noise_guard": 0.4}, "2 of 3 rows are left"),
    "floors beyond the budget": (
        {"labels": [0, 1, 2], "class_floor": {0: 1, 1: 1, 2: 1}}, "need 3 rows of a budget of 2"),
    "floor beyond the class": (
        {"labels": [0, 1, 2], "class_floor": {0: 2}}, "0 is to keep 2 and has 1"),
    "floor of an empty class": ({"labels": [0, 1, 2], "class_floor": {5: 1}}, "no row has label 5"),
    "floor without labels": ({"class_floor": 0.5}, "needs labels"),
    "floor above one": ({"labels": [0, 1, 2], "class_floor": 1.5}, "share from 0 to 1"),
    "labels of another number": ({"labels": [0, 1], "class_floor": 0.5}, "labels: shape"),
    "unknown policy": ({"policy": "hardest"}, "did you mean 'hard'"),
    "clusters missing": ({"policy": ByCluster([1.0])}, "needs the cluster"),
    "complexity missing": (
        {"policy": ByCluster({0: 1.0}), "clusters": [0, 0, 1]}, "none for cluster 1"),
    "no scores": ({"scores": []}, "one number for each example"),
    "scores in texts": ({"scores": ["a", "b", "c"]}, "expected numbers"),
    "ids in floats": ({"ids": [0.5, 1, 2]}, "whole number or text"),
    "ids of two kinds": ({"ids": np.array([1, "a", 2], dtype=object)}, "not a mixture"),
    "infinite range": ({"scores": [0.0, 1.0, np.inf], "policy": "stratified"}, "infinite"),
    "exclude in numbers": ({"exclude": [0, 1, 0]}, "True or False"),
    "guard of all": ({"noise_guard": 1.0}, "below 1"),
    "guard in words": ({"noise_guard": "some"}, "below 1"),
    "floor in words": ({"labels": [0, 1, 2], "class_floor": "some"}, "share from 0 to 1"),
    "negative seed": ({"seed": -1}, "zero or more"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_in_words(kind):
    change, message = BAD[kind]
    with pytest.raises(InputError, match=message):
        select(**{"scores": [3.0, 1.0, 2.0], "budget": 2, **change})


@pytest.mark.parametrize("policy", ["hard", "random"])
def test_a_million_rows_in_bounded_memory(policy):
    n = 1_000_000
    rng = np.random.default_rng(0)
    scores = rng.random(n, dtype=np.float32).round(3)
    ids = rng.permutation(n) * 7
    labels = rng.integers(10, size=n)
    tracemalloc.start()
    found = select(scores, 0.3, ids=ids, labels=labels, class_floor=0.5, policy=policy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 300_000
    assert peak < 100 * n
    if policy == "hard":
        assert found.reasons == {"rank": 300_000, "budget": 700_000}
        by_rank = np.sort(scores)[::-1][:300_000]
        np.testing.assert_array_equal(np.sort(scores[found.mask]), by_rank[::-1])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_middle_is_that_of_the_ranks(kind):
    rng = np.random.default_rng(5)
    for case in range(120):
        n = int(rng.integers(1, 60))
        few = rng.choice([-np.inf, -1.0, -0.0, 0.0, 0.5, np.inf], n)
        key = (few if case % 3 else rng.standard_normal(n)).astype(kind)
        ids = as_ids(np.sort(rng.choice(500, n, replace=False)))
        order = np.lexsort((ids, hash_ids(ids, case), key))
        rank = np.empty(n, dtype=int)
        rank[order] = np.arange(n)
        assert (ranks(key, ids, case) == rank).all()
        far = np.abs(2 * rank - (n - 1))
        for count in {1, n // 2 or 1, n - 1 or 1, n}:
            wanted = np.lexsort((ids, hash_ids(ids, case), far))[:count]
            assert np.flatnonzero(middle(key, ids, case, count)).tolist() == sorted(wanted)
            # Floors of nothing ask for the same by way of the ranks.
            both = [
                select(key, count, ids=ids, policy="middle", seed=case, **more).kept
                for more in ({}, {"labels": np.zeros(n, int), "class_floor": {0: 0}})
            ]
            assert both[0] == both[1] == ids[np.sort(wanted)].tolist()
