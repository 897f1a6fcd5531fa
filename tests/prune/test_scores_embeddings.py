import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.prune import (
    Scores,
    cluster_complexity,
    neighbour_graph,
    score_d2,
    score_moderate,
    score_point_value,
    select,
)
from isoloss.theory import fit_points, group_contributions


def test_moderate_is_the_distance_to_the_class_median():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((90, 5)), rng.integers(3, size=90)
    known = np.empty(90)
    for k in range(3):
        known[y == k] = np.linalg.norm(x[y == k] - np.median(x[y == k], axis=0), axis=1)
    found = score_moderate(x, y)
    np.testing.assert_allclose(found.values, known, rtol=1e-13)
    kept = known[select(found, 30, policy="middle").rows]
    order = np.sort(known)
    np.testing.assert_array_equal(np.sort(kept), order[30:60])


@pytest.mark.parametrize("near", [1, 3, 20])
def test_complexity_by_all_pairs(near, monkeypatch):
    rng = np.random.default_rng(1)
    c, inside = rng.standard_normal((12, 4)) + 1, rng.random(12)
    unit = c / np.linalg.norm(c, axis=1)[:, None]
    far = 1 - unit @ unit.T
    np.fill_diagonal(far, np.inf)
    known = np.sort(far, axis=1)[:, : min(near, 11)].mean(axis=1) * inside
    for block in (1 << 21, 30):
        monkeypatch.setattr("isoloss.prune.scores_embeddings.BLOCK", block)
        found = cluster_complexity(c, inside, neighbours=near)
        np.testing.assert_allclose(found, known, rtol=1e-12)
    np.testing.assert_allclose(cluster_complexity(c * 7, inside, neighbours=near), known)


@pytest.mark.parametrize("width", [3, 20])
def test_the_graph_is_exact(width):
    x = np.random.default_rng(2).standard_normal((80, width))
    apart = np.linalg.norm(x[:, None] - x, axis=2)
    np.fill_diagonal(apart, np.inf)
    near, distances = neighbour_graph(x, 6)
    np.testing.assert_array_equal(near, np.argsort(apart, axis=1)[:, :6])
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :6], rtol=1e-9)


def by_argmax(s, near, d, gamma, forward):
    """Pick the largest of all, each time."""
    message = (np.exp(-d) * s[near]).sum(axis=1)
    now = s + message if forward == "sum" else s * message
    order, gone = [], np.zeros(len(s), dtype=bool)
    for _ in range(len(s)):
        i = int(np.argmax(np.where(gone, -np.inf, now)))
        gone[i] = True
        order.append(i)
        now[near[i]] -= np.exp(-gamma * d[i]) * now[i]
    return order


@pytest.mark.parametrize("forward", ["sum", "product"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_d2_picks_the_largest_each_time(forward, gamma):
    rng = np.random.default_rng(3)
    x, s = rng.standard_normal((150, 3)), rng.random(150)
    near, d = neighbour_graph(x, 7)
    found = score_d2(s, near, d, gamma=gamma, forward=forward)
    order = by_argmax(s, near, d, gamma, forward)
    assert np.argsort(-found.values).tolist() == order
    assert sorted(select(found, 40).rows) == sorted(order[:40])


def test_d2_leaves_out_twins_and_keeps_ids():
    x = np.array([[0.0, 0], [0, 1e-6], [3, 0], [0, 4]])
    given = Scores(metric="el2n", definition="", source="", values=[1.0, 0.99, 0.3, 0.2],
                   ids=["a", "b", "c", "d"], labels=[0, 0, 1, 1])  # fmt: skip
    found = score_d2(given, *neighbour_graph(x, 1))
    assert select(found, 3).kept == ["a", "c", "d"]
    assert "of el2n" in found.definition
    assert select(given, 3).kept == ["a", "b", "c"]


def test_values_of_points_by_their_laws():
    k = np.repeat(np.arange(100, 1001, 100), 4)
    noise = 0.3 * np.tile([1, -1, 0.5, -0.5], 10) / k
    point = np.repeat([7, 9, 11], 40)
    delta = np.concatenate([2 * k**-1.2 + noise, -1 * k**-1.0 + noise, 5 * k**-1.5 + noise])
    laws = fit_points(group_contributions(point, np.tile(k, 3), delta))
    found = score_point_value(laws, 500)
    np.testing.assert_array_equal(found.values, laws.value(500))
    np.testing.assert_array_equal(found.columns["se"], laws.error(500))
    assert select(found, 2).kept == [7, 11]
    few = fit_points(group_contributions([1, 2], [100, 200], [0.1, 0.1]))
    with pytest.raises(InputError, match="no point has an estimate"):
        score_point_value(few, 500)


BAD = {
    "not finite": lambda: score_moderate([[np.nan]], [0]),
    "labels of another number": lambda: score_moderate([[1.0]], [0, 1]),
    "one cluster": lambda: cluster_complexity([[1.0]], [0.1]),
    "no direction": lambda: cluster_complexity([[0.0], [1.0]], [0.1, 0.1]),
    "distances below zero inside": lambda: cluster_complexity([[1.0], [2.0]], [0.1, -0.1]),
    "no neighbours": lambda: cluster_complexity([[1.0], [2.0]], [0.1, 0.1], neighbours=0),
    "as many neighbours as rows": lambda: neighbour_graph([[1.0], [2.0]], 2),
    "graph of another number": lambda: score_d2([1.0, 2.0], [[0]], [[1.0]]),
    "no row": lambda: score_d2([1.0, 2.0], [[1], [2]], [[1.0], [1.0]]),
    "distance below zero": lambda: score_d2([1.0, 2.0], [[1], [0]], [[1.0], [-1.0]]),
    "score below zero": lambda: score_d2([-1.0, 2.0], [[1], [0]], [[1.0], [1.0]]),
    "gamma below zero": lambda: score_d2([1.0, 2.0], [[1], [0]], [[1.0], [1.0]], gamma=-1),
    "neither": lambda: score_d2([1.0, 2.0], [[1], [0]], [[1.0], [1.0]], forward="mean"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_in_words(kind):
    with pytest.raises(InputError):
        BAD[kind]()
